//! Coinbase Exchange, public feed.
//!
//! - [`wire`]: payloads of the channels; [`rest`]: instrument list and probes
//! - this file: what tells the venue from others of its sort ([`crate::channels`])
//!
//! Addresses are below docs.cdp.coinbase.com/exchange.

use std::time::Duration;

use model::Kind;
use model::venue::{Profile, Rate};

use crate::assembler::{Continuity, Rules};
use crate::channels::{Change, Dialect, List, Question};

pub mod rest;
pub mod wire;

/// Heartbeats come every second for each product, so ten silent seconds are worth a ping. 8
/// connects and 10 messages a second (`websocket-feed/rate-limits`), 10 public requests a second
/// (`rest-api/rate-limits`), of which bursts above are left alone. A whole book is one message: the
/// largest are some megabytes. Trade ids count up by one per product: the heartbeat's last id is
/// there to "verify that no messages were missed" (`websocket-feed/channels`, read 2026-11-25), and
/// each of the 66 trades of the recording of 2021 follows the one before it.
const PROFILE: Profile = Profile {
    connection_lifetime: None,
    ping_after: Duration::from_secs(10),
    ping_text: None,
    pong_timeout: Duration::from_secs(10),
    connects: Rate { count: 8, per: Duration::from_secs(1) },
    messages: Rate { count: 10, per: Duration::from_secs(1) },
    weight: Rate { count: 10, per: Duration::from_secs(1) },
    used_weight_header: None,
    message_bytes_max: 16 << 20,
    contiguous: &[Kind::Trade],
    skipping: &[],
};

/// The venue.
pub static DIALECT: Dialect = Dialect {
    name: "coinbase",
    ws_url: "wss://ws-feed.exchange.coinbase.com",
    ws_path: "/",
    rest_url: "https://api.exchange.coinbase.com",
    profile: PROFILE,
    // "Spread subscriptions over more than one connection" (`websocket-feed/best-practices`).
    instruments_max: 60,
    batch: 60,
    separator: '-',
    // `level2` needs keys (`websocket-feed/authentication`); this one does not.
    channels: &[
        (Kind::BookUpdate, "level2_batch"),
        (Kind::Trade, "matches"),
        (Kind::Ticker, "ticker"),
    ],
    heartbeat: Some("heartbeat"),
    list: List::Rest("/products", 1, rest::read_products),
    depths: &[],
    rules: |_| RULES,
    request,
    read: wire::read,
    read_entry: None,
    book_of: Some(wire::book_of),
    book_probe: Question { path: rest::book_path, weight: 1, read: rest::read_book },
    probe_quantities: true,
    // Messages of `matches` can be dropped; the heartbeat names the last trade
    // (`websocket-feed/channels`).
    trade_probe: None,
};

/// Neither numbers nor a checksum: a book that crosses itself is all that can be seen.
const RULES: Rules = Rules {
    continuity: Continuity::Unnumbered,
    depth: None,
    checksum: None,
    crossed_is_fault: true,
};

/// `{"type":"subscribe","channels":[{"name":"ticker","product_ids":["ETH-USD"]}]}`
fn request(change: &Change<'_>) -> String {
    let kind = if change.subscribe { "subscribe" } else { "unsubscribe" };
    let (channel, products) = (change.channel, change.symbols.join("\",\""));
    format!(
        r#"{{"type":"{kind}","channels":[{{"name":"{channel}","product_ids":["{products}"]}}]}}"#
    )
}
