//! Payloads: every message of the market streams, by cursor and by fallback.
//!
//! ```json
//! {"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1672515782136,"s":"BTCUSDT",
//!   "U":157,"u":160,"b":[["0.0024","10"]],"a":[["0.0026","100"]]}}
//! ```
//! Sources: binance-spot-api-docs `web-socket-streams.md`; developers.binance.com, USDⓈ-M and
//! COIN-M futures, "Websocket Market Streams".
//!
//! Both readers fill the same fields of the same event; which one ran can't be told from it.

use std::borrow::Cow;
use std::time::Duration;

use model::event::{BookMeta, Funding, Kline, Quote, Ticker, Trade};
use model::{Body, CanonicalEvent, Error, Kind, Level, Nanos, Side};

mod fields;
mod shape;

pub use fields::read_slowly;
pub use shape::follow;

/// A message of the venue. An event's contents are in the event that was handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// The event was filled; its kind stands in its header.
    Event {
        /// The venue's symbol.
        symbol: Cow<'a, str>,
    },
    /// An answer to a request of ours on the socket.
    Reply {
        /// The venue's complaint; `None` when the request was carried out.
        error: Option<String>,
    },
    /// The server is about to shut down: connect anew as soon as possible.
    ServerShutdown,
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
        return Ok(Message::Event { symbol: Cow::Borrowed(symbol) });
    }
    // The cursor may have got half way.
    event.body = Body::Empty;
    event.bids.clear();
    event.asks.clear();
    event.header = model::Header::default();
    read_slowly(message, event)
}

/// The fields of a diff besides its levels.
struct DepthFields {
    ts_event: u64,
    first: u64,
    last: u64,
    previous: Option<u64>,
}

impl DepthFields {
    fn fill(&self, event: &mut CanonicalEvent) {
        start(event, Kind::BookUpdate, Some(self.last), Some(self.ts_event));
        event.body = Body::Book(BookMeta {
            seq_first: Some(self.first),
            seq_last: Some(self.last),
            seq_prev: self.previous,
            ..BookMeta::default()
        });
    }
}

/// The fields of an aggregate trade.
struct TradeFields {
    id: u64,
    price: model::Decimal,
    quantity: model::Decimal,
    ts_trade: u64,
    buyer_is_maker: bool,
}

impl TradeFields {
    fn fill(&self, event: &mut CanonicalEvent) {
        start(event, Kind::Trade, Some(self.id), Some(self.ts_trade));
        event.body = Body::Trade(Trade {
            price: self.price,
            quantity: self.quantity,
            aggressor: if self.buyer_is_maker { Side::Sell } else { Side::Buy },
            trade_id: self.id,
        });
    }
}

/// The fields of a best bid and offer; the spot line sends no time.
struct QuoteFields {
    update_id: u64,
    bid: Level,
    ask: Level,
    ts_event: Option<u64>,
}

impl QuoteFields {
    fn fill(&self, event: &mut CanonicalEvent) {
        start(event, Kind::Quote, Some(self.update_id), self.ts_event);
        event.body = Body::Quote(Quote { bid: self.bid, ask: self.ask });
    }
}

fn fill_ticker(event: &mut CanonicalEvent, ts_event: u64, ticker: &Ticker) {
    start(event, Kind::Ticker, None, Some(ts_event));
    event.body = Body::Ticker(*ticker);
}

fn fill_kline(event: &mut CanonicalEvent, ts_event: u64, kline: &Kline) {
    start(event, Kind::Kline, None, Some(ts_event));
    event.body = Body::Kline(*kline);
}

fn fill_funding(event: &mut CanonicalEvent, ts_event: u64, funding: &Funding) {
    start(event, Kind::Funding, None, Some(ts_event));
    event.body = Body::Funding(*funding);
}

/// Sets the header; times are in ms.
fn start(event: &mut CanonicalEvent, kind: Kind, seq: Option<u64>, ts_event: Option<u64>) {
    event.header.stream.kind = kind;
    event.header.seq_provider = seq;
    event.header.ts_event = ts_event.map(Nanos::from_millis);
}

/// The length of a candle by the venue's name for it; zero where it is none that is known. A
/// month (`1M`) has no fixed length.
fn interval(name: &str) -> Duration {
    let Some((unit, count)) =
        name.split_at_checked(name.len().saturating_sub(1)).map(|(n, u)| (u, n))
    else {
        return Duration::ZERO;
    };
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        "w" => 7 * 24 * 60 * 60,
        _ => 0,
    };
    let count: u64 = count.parse::<u16>().map_or(0, u64::from);
    Duration::from_secs(seconds * count)
}

/// When something happens next; the venue writes 0 for never.
fn next_time(ms: u64) -> Option<Nanos> {
    (ms != 0).then(|| Nanos::from_millis(ms))
}

#[cfg(test)]
mod tests;
