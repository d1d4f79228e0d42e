//! Payloads of the WebSocket API v2, by cursor and by fallback.
//!
//! ```json
//! {"channel":"book","type":"update","data":[{"symbol":"BTC/USD",
//!   "bids":[{"price":96953.3,"qty":2.57855918}],"asks":[],"checksum":670882415,
//!   "timestamp":"2025-02-10T00:22:43.211991Z"}]}
//! ```
//! Sources: docs.kraken.com/exchange/api-reference/spot-websocket-v2, pages `book`, `trade`,
//! `ticker`, `ohlc`, `instrument`, `status`, `heartbeat` and `ping`.
//!
//! Prices and quantities are JSON numbers with all the digits that the checksum is made of, so
//! both readers take them from the text. Both fill the same fields of the same event.

use std::borrow::Cow;
use std::time::Duration;

use model::event::{BookMeta, Kline, Ticker, Trade};
use model::{Body, CanonicalEvent, Error, Kind, Nanos};

use crate::channels::Message;

mod fields;
mod shape;

pub use fields::read_slowly;
pub use shape::follow;

/// Reads a message into `event`, which must be empty: its first entry, with the others to be read
/// by [`read_entry`].
///
/// # Errors
/// [`Remedy::Ignore`](model::Remedy::Ignore): the message is no JSON or lacks a field of its type;
/// `event` is then in no particular state and must go back to its pool.
#[inline]
pub fn read<'a>(message: &'a [u8], event: &mut CanonicalEvent) -> Result<Message<'a>, Error> {
    if let Some((symbol, more)) = follow(message, event) {
        return Ok(Message::Event { symbol: Cow::Borrowed(symbol), more });
    }
    clear(event);
    read_slowly(message, event)
}

/// Reads one of the further entries of a message of that kind into `event`, which must be empty.
///
/// # Errors
/// As [`read`]; none for what [`read`] gave.
pub fn read_entry<'a>(
    kind: Kind,
    entry: &'a [u8],
    event: &mut CanonicalEvent,
) -> Result<Cow<'a, str>, Error> {
    if let Some(symbol) = shape::entry_alone(kind, entry, event) {
        return Ok(Cow::Borrowed(symbol));
    }
    clear(event);
    fields::entry(kind, entry, event)
}

/// Undoes what the cursor did before it declined.
fn clear(event: &mut CanonicalEvent) {
    event.body = Body::Empty;
    event.bids.clear();
    event.asks.clear();
    event.header = model::Header::default();
}

/// The kind whose events a channel carries; `None` for channels of another sort.
fn carried(channel: &str) -> Option<Kind> {
    match channel {
        "book" => Some(Kind::BookUpdate),
        "trade" => Some(Kind::Trade),
        "ticker" => Some(Kind::Ticker),
        "ohlc" => Some(Kind::Kline),
        _ => None,
    }
}

/// The fields of a snapshot or update besides its levels.
fn fill_book(
    event: &mut CanonicalEvent,
    kind: Kind,
    checksum: Option<u32>,
    ts_event: Option<Nanos>,
) {
    start(event, kind, None, ts_event);
    event.body = Body::Book(BookMeta { checksum, ..BookMeta::default() });
}

fn fill_trade(event: &mut CanonicalEvent, trade: Trade, ts_event: Nanos) {
    start(event, Kind::Trade, Some(trade.trade_id), Some(ts_event));
    event.body = Body::Trade(trade);
}

fn fill_ticker(event: &mut CanonicalEvent, ticker: &Ticker, ts_event: Option<Nanos>) {
    start(event, Kind::Ticker, None, ts_event);
    event.body = Body::Ticker(*ticker);
}

/// A candle that lasts `minutes`. The venue does not say when one is complete: it just begins the
/// next.
fn fill_kline(event: &mut CanonicalEvent, kline: &Kline, minutes: u32) {
    let interval = Duration::from_secs(u64::from(minutes) * 60);
    start(event, Kind::Kline, None, None);
    event.body = Body::Kline(Kline {
        interval,
        ts_close: kline.ts_open + interval,
        closed: false,
        ..*kline
    });
}

fn start(event: &mut CanonicalEvent, kind: Kind, seq: Option<u64>, ts_event: Option<Nanos>) {
    event.header.stream.kind = kind;
    event.header.seq_provider = seq;
    event.header.ts_event = ts_event;
}

#[cfg(test)]
mod tests;
