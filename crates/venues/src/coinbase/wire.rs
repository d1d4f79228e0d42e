//! Payloads of the Exchange feed, by cursor and by fallback.
//!
//! ```json
//! {"type":"l2update","product_id":"BTC-USD","changes":[["sell","29385.65","0.00000000"]],
//!   "time":"2022-05-21T17:40:36.836840Z"}
//! ```
//! Source: docs.cdp.coinbase.com/exchange/websocket-feed/channels.
//!
//! Both readers fill the same fields of the same event; which one ran can't be told from it.

use std::borrow::Cow;

use model::event::{BookMeta, Ticker, Trade};
use model::{Body, CanonicalEvent, Error, Kind, Nanos, Side};

use crate::channels::Message;

mod fields;
mod shape;

pub use fields::{book_of, read_slowly};
pub use shape::follow;

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

fn fill_book(event: &mut CanonicalEvent, kind: Kind, ts_event: Option<Nanos>) {
    start(event, kind, None, ts_event);
    event.body = Body::Book(BookMeta::default());
}

/// The venue names the side of the order that was there: who took is the other one.
fn fill_trade(event: &mut CanonicalEvent, maker: Side, trade: Trade, ts_event: Nanos) {
    let aggressor = if maker == Side::Buy { Side::Sell } else { Side::Buy };
    start(event, Kind::Trade, Some(trade.trade_id), Some(ts_event));
    event.body = Body::Trade(Trade { aggressor, ..trade });
}

fn fill_ticker(event: &mut CanonicalEvent, sequence: u64, ticker: &Ticker, ts: Option<Nanos>) {
    start(event, Kind::Ticker, Some(sequence), ts);
    event.body = Body::Ticker(*ticker);
}

fn start(event: &mut CanonicalEvent, kind: Kind, seq: Option<u64>, ts_event: Option<Nanos>) {
    event.header.stream.kind = kind;
    event.header.seq_provider = seq;
    event.header.ts_event = ts_event;
}

#[cfg(test)]
mod tests;
