//! Payloads: every message of the public channels, by cursor and by fallback.
//!
//! ```json
//! {"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[{
//!   "asks":[["30249.4","0","0","0"]],"bids":[["30182.6","452","0","1"]],"ts":"1652459225464",
//!   "checksum":-914047754,"seqId":123457,"prevSeqId":123456}]}
//! ```
//! Sources: okx.com/docs-v5, "Order Book Trading / Market Data" and "Public Data", WebSocket.
//!
//! Both readers fill the same fields of the same event; which one ran can't be told from it. The
//! cursor takes messages of one entry; what comes with several is read by the fallback.

use std::borrow::Cow;
use std::time::Duration;

use model::event::{BookMeta, Funding, Kline, Quote, Ticker, Trade};
use model::{Body, CanonicalEvent, Error, Kind, Level, Nanos, Side};

mod fields;
mod shape;

pub use fields::{Integer, read_slowly};
pub use shape::follow;

/// A message of the venue. An event's contents are in the event that was handed in.
#[derive(Debug, PartialEq)]
pub enum Message<'a> {
    /// The event was filled; its kind stands in its header.
    Event {
        /// The venue's symbol.
        symbol: Cow<'a, str>,
        /// What came in the same message behind it.
        more: Vec<CanonicalEvent>,
    },
    /// A subscription is effective.
    Subscribed {
        /// Of which channel.
        channel: Cow<'a, str>,
        /// Of which symbol.
        symbol: Cow<'a, str>,
    },
    /// The venue refuses what was asked on the socket: its code and words.
    Refused(String),
    /// The connection is about to be closed for a service upgrade.
    ShutdownAnnounced,
    /// An answer to a ping, the end of a subscription, a list without entries.
    Nothing,
    /// A type that this version does not know.
    Unknown(Cow<'a, str>),
}

/// Reads a message into `event`, which must be empty.
///
/// # Errors
/// [`Remedy::Ignore`](model::Remedy::Ignore): the message is no JSON or lacks a field of its type;
/// `event` is then in no particular state and must go back to its pool.
#[inline]
pub fn read<'a>(message: &'a [u8], event: &mut CanonicalEvent) -> Result<Message<'a>, Error> {
    if let Some(symbol) = follow(message, event) {
        return Ok(Message::Event { symbol: Cow::Borrowed(symbol), more: Vec::new() });
    }
    // The cursor may have got half way.
    event.body = Body::Empty;
    event.bids.clear();
    event.asks.clear();
    event.header = model::Header::default();
    read_slowly(message, event)
}

/// The fields of a book message besides its levels.
struct BookFields {
    snapshot: bool,
    ts_event: u64,
    last: Option<u64>,
    /// A snapshot has none.
    previous: Option<u64>,
    /// 0 is none.
    checksum: i32,
}

impl BookFields {
    #[inline]
    fn fill(&self, event: &mut CanonicalEvent) {
        let kind = if self.snapshot { Kind::BookSnapshot } else { Kind::BookUpdate };
        start(event, kind, self.last, Some(self.ts_event));
        event.body = Body::Book(BookMeta {
            seq_last: self.last,
            seq_prev: self.previous,
            checksum: (self.checksum != 0).then_some(self.checksum.cast_unsigned()),
            ..BookMeta::default()
        });
    }
}

/// The fields of a trade.
struct TradeFields {
    id: u64,
    price: model::Decimal,
    quantity: model::Decimal,
    side: Side,
    ts_trade: u64,
}

impl TradeFields {
    #[inline]
    fn fill(&self, event: &mut CanonicalEvent) {
        start(event, Kind::Trade, Some(self.id), Some(self.ts_trade));
        event.body = Body::Trade(Trade {
            price: self.price,
            quantity: self.quantity,
            aggressor: self.side,
            trade_id: self.id,
        });
    }
}

/// Makes the levels that a best bid and offer came in its quote; an empty side is zero.
#[inline]
fn fill_quote(event: &mut CanonicalEvent, last: Option<u64>, ts_event: u64) {
    let best = |levels: &mut Vec<Level>| {
        let level = levels.first().copied().unwrap_or_default();
        levels.clear();
        level
    };
    start(event, Kind::Quote, last, Some(ts_event));
    event.body = Body::Quote(Quote { bid: best(&mut event.bids), ask: best(&mut event.asks) });
}

fn fill_ticker(event: &mut CanonicalEvent, ts_event: u64, ticker: &Ticker) {
    start(event, Kind::Ticker, None, Some(ts_event));
    event.body = Body::Ticker(*ticker);
}

fn fill_kline(event: &mut CanonicalEvent, kline: &Kline) {
    start(event, Kind::Kline, None, None);
    event.body = Body::Kline(*kline);
}

fn fill_funding(event: &mut CanonicalEvent, ts_event: u64, funding: &Funding) {
    start(event, Kind::Funding, None, Some(ts_event));
    event.body = Body::Funding(*funding);
}

/// Sets the header; times are in ms.
#[inline]
fn start(event: &mut CanonicalEvent, kind: Kind, seq: Option<u64>, ts_event: Option<u64>) {
    event.header.stream.kind = kind;
    event.header.seq_provider = seq;
    event.header.ts_event = ts_event.map(Nanos::from_millis);
}

/// First and last instant of a candle that begins at `ms`; the venue names the first only.
fn span(ms: u64, interval: Duration) -> (Nanos, Nanos) {
    let first = Nanos::from_millis(ms);
    (first, first + interval.saturating_sub(Duration::from_millis(1)))
}

/// The length of a candle by the end of its channel's name; zero where it is none that is known.
/// A month (`1M`) has no fixed length.
fn interval(name: &str) -> Duration {
    let name = name.strip_suffix("utc").unwrap_or(name);
    let split = name.len().saturating_sub(1);
    let Some((count, unit)) = name.split_at_checked(split) else { return Duration::ZERO };
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "H" => 60 * 60,
        "D" => 24 * 60 * 60,
        "W" => 7 * 24 * 60 * 60,
        _ => 0,
    };
    Duration::from_secs(seconds * count.parse::<u16>().map_or(0, u64::from))
}

#[cfg(test)]
mod tests;
