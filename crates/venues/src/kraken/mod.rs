//! Kraken, spot, WebSocket API v2.
//!
//! - [`wire`]: payloads of the channels; [`instruments`]: the list of pairs; [`rest`]: probes
//! - [`checksum`]: what proves a book
//! - this file: what tells the venue from others of its sort ([`crate::channels`])
//!
//! Addresses are below docs.kraken.com/exchange.

use std::time::Duration;

use model::Kind;
use model::venue::{Profile, Rate};

use crate::assembler::{Checksum, Continuity, Places, Rules};
use crate::channels::{Change, Dialect, List, Question};

pub mod checksum;
pub mod instruments;
pub mod rest;
pub mod wire;

/// A heartbeat comes about every second where nothing else does (`api-reference/
/// spot-websocket-v2/heartbeat`), so ten silent seconds are worth a ping. Cloudflare lets in 150
/// connects in 10 minutes (docs.kraken.com/websockets-v2). The rate of messages is not documented,
/// other than that there is one; public REST takes one request a second
/// (support.kraken.com, "What are the API rate limits?"). A trade's id is "a sequence number, unique
/// per book" (`api-reference/spot-websocket-v2/trade`, read 2026-11-25).
const PROFILE: Profile = Profile {
    connection_lifetime: None,
    ping_after: Duration::from_secs(10),
    ping_text: None,
    pong_timeout: Duration::from_secs(10),
    connects: Rate { count: 150, per: Duration::from_secs(600) },
    messages: Rate { count: 5, per: Duration::from_secs(1) },
    weight: Rate { count: 1, per: Duration::from_secs(1) },
    used_weight_header: None,
    message_bytes_max: 4 << 20,
    contiguous: &[Kind::Trade],
    skipping: &[],
};

/// The venue.
pub static DIALECT: Dialect = Dialect {
    name: "kraken",
    ws_url: "wss://ws.kraken.com",
    ws_path: "/v2",
    rest_url: "https://api.kraken.com",
    profile: PROFILE,
    instruments_max: 200,
    batch: 50,
    separator: '/',
    channels: &[
        (Kind::BookUpdate, "book"),
        (Kind::Trade, "trade"),
        (Kind::Ticker, "ticker"),
        (Kind::Kline, "ohlc"),
    ],
    heartbeat: None,
    list: List::Channel("instrument"),
    // A whitelist: other numbers are refused (`api-reference/spot-websocket-v2/book`).
    depths: &[10, 25, 100, 500, 1_000],
    rules,
    request,
    read: wire::read,
    read_entry: Some(wire::read_entry),
    // The next checksum shows what is missing.
    book_of: None,
    book_probe: Question { path: rest::depth_path, weight: 1, read: rest::read_depth },
    // They are rounded to three places there.
    probe_quantities: false,
    trade_probe: Some(Question { path: rest::trades_path, weight: 1, read: rest::read_last_trade }),
};

/// Diffs have no numbers; a checksum goes with each (`guides/websockets/book-checksum-v2`). A
/// crossed book that it agrees with is the venue's own.
fn rules(depth: Option<u32>) -> Rules {
    Rules {
        continuity: Continuity::Unnumbered,
        depth: depth.and_then(|depth| usize::try_from(depth).ok()),
        checksum: Some(Checksum { compute: checksum::compute, places: Places::default() }),
        crossed_is_fault: false,
    }
}

/// `{"method":"subscribe","params":{"channel":"book","symbol":["BTC/USD"],"depth":10},"req_id":1}`
///
/// What went before a subscription is asked for where it is a state, not where it is history.
fn request(change: &Change<'_>) -> String {
    let method = if change.subscribe { "subscribe" } else { "unsubscribe" };
    let (channel, id) = (change.channel, change.id);
    let mut params = format!(r#""channel":"{channel}""#);
    if !change.symbols.is_empty() {
        params += &format!(r#","symbol":["{}"]"#, change.symbols.join("\",\""));
    }
    if let Some(depth) = change.depth {
        params += &format!(r#","depth":{depth}"#);
    }
    match channel {
        "ohlc" => params += r#","interval":1,"snapshot":false"#,
        "trade" if change.subscribe => params += r#","snapshot":false"#,
        _ => {}
    }
    format!(r#"{{"method":"{method}","params":{{{params}}},"req_id":{id}}}"#)
}
