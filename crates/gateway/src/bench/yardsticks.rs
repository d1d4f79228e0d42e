//! The ordinary decoder, in the race and checked against ours.

use std::hint::black_box;

use model::event::{Body, BookMeta, Funding, Kline, Quote, Ticker, Trade};
use model::{CanonicalEvent, Kind, Level, Nanos, Side};
use rust_decimal::Decimal;
use yardstick::decode::{self, Book, Number, Pair, read};

mod coinbase;
mod kraken;
mod okx;

/// Reads all its frames when called.
pub(super) type Lane<'a> = Box<dyn FnMut() -> Result<(), String> + 'a>;

/// Reads all `frames` of one kind of a venue when called.
pub(super) fn decoder<'a>(venue: &str, kind: Kind, frames: &'a [&'a [u8]]) -> Lane<'a> {
    match venue {
        "coinbase" => coinbase::decoder(kind, frames),
        "kraken" => kraken::decoder(kind, frames),
        "okx" => okx::decoder(kind, frames),
        _ => combined(kind, frames),
    }
}

/// What the ordinary decoder reads from a frame of a venue, as an event of ours.
pub(super) fn event(
    venue: &str,
    frame: &[u8],
    kind: Kind,
) -> Result<CanonicalEvent, serde_json::Error> {
    match venue {
        "coinbase" => coinbase::event(frame, kind),
        "kraken" => kraken::event(frame, kind),
        "okx" => okx::event(frame, kind),
        _ => combined_event(frame, kind),
    }
}

/// Messages of combined streams.
fn combined<'a>(kind: Kind, frames: &'a [&'a [u8]]) -> Lane<'a> {
    let mut book = Book::default();
    Box::new(move || {
        let read = match kind {
            Kind::BookUpdate => each(frames, |frame| {
                let diff = book.read(frame)?;
                black_box((&diff, &book));
                Ok(())
            }),
            Kind::Trade => each(frames, |frame| kept(read::<decode::Trade<'_>>(frame)?)),
            Kind::Quote => each(frames, |frame| kept(read::<decode::Quote<'_>>(frame)?)),
            Kind::Ticker => each(frames, |frame| kept(read::<decode::Ticker<'_>>(frame)?)),
            Kind::Kline => each(frames, |frame| kept(read::<decode::Candle<'_>>(frame)?)),
            Kind::Funding => each(frames, |frame| kept(read::<decode::MarkPrice<'_>>(frame)?)),
            _ => Ok(()),
        };
        read.map_err(|error| error.to_string())
    })
}

type Read = Result<(), serde_json::Error>;

#[inline]
fn each<'a>(frames: &[&'a [u8]], mut read: impl FnMut(&'a [u8]) -> Read) -> Read {
    frames.iter().try_for_each(|frame| read(black_box(frame)))
}

#[inline]
fn kept<T>(value: T) -> Read {
    black_box(&value);
    Ok(())
}

/// A message of a combined stream.
fn combined_event(frame: &[u8], kind: Kind) -> Result<CanonicalEvent, serde_json::Error> {
    let mut event = CanonicalEvent::default();
    let (seq, ts_ms) = match kind {
        Kind::BookUpdate => {
            let mut book = Book::default();
            let diff = book.read(frame)?;
            event.bids = book.bids.iter().map(level).collect();
            event.asks = book.asks.iter().map(level).collect();
            event.body = Body::Book(BookMeta {
                seq_first: Some(diff.first),
                seq_last: Some(diff.last),
                seq_prev: diff.previous,
                ..BookMeta::default()
            });
            (Some(diff.last), Some(diff.ts_event))
        }
        Kind::Trade => {
            let trade: decode::Trade<'_> = read(frame)?;
            event.body = Body::Trade(Trade {
                price: trade.price.0,
                quantity: trade.quantity.0,
                aggressor: if trade.buyer_is_maker { Side::Sell } else { Side::Buy },
                trade_id: trade.id,
            });
            (Some(trade.id), Some(trade.ts_trade))
        }
        Kind::Quote => {
            let quote: decode::Quote<'_> = read(frame)?;
            event.body = Body::Quote(Quote {
                bid: Level { price: quote.bid.0, quantity: quote.bid_quantity.0 },
                ask: Level { price: quote.ask.0, quantity: quote.ask_quantity.0 },
            });
            (Some(quote.update_id), quote.ts_event)
        }
        Kind::Ticker => {
            let ticker: decode::Ticker<'_> = read(frame)?;
            event.body = Body::Ticker(day(&ticker));
            (None, Some(ticker.ts_event))
        }
        Kind::Kline => {
            let candle: decode::Candle<'_> = read(frame)?;
            event.body = Body::Kline(kline(&candle.kline));
            (None, Some(candle.ts_event))
        }
        Kind::Funding => {
            let mark: decode::MarkPrice<'_> = read(frame)?;
            event.body = Body::Funding(Funding {
                rate: value(mark.rate),
                ts_next: (mark.next != 0).then(|| Nanos::from_millis(mark.next)),
                mark: Some(mark.mark.0),
                index: value(mark.index),
            });
            (None, Some(mark.ts_event))
        }
        _ => (None, None),
    };
    event.header.stream.kind = kind;
    event.header.seq_provider = seq;
    event.header.ts_event = ts_ms.map(Nanos::from_millis);
    Ok(event)
}

fn day(ticker: &decode::Ticker<'_>) -> Ticker {
    Ticker {
        last: ticker.last.0,
        last_quantity: value(ticker.last_quantity),
        open: value(ticker.open),
        high: value(ticker.high),
        low: value(ticker.low),
        volume: value(ticker.volume),
        quote_volume: value(ticker.quote_volume),
        bid: value(ticker.bid),
        ask: value(ticker.ask),
    }
}

fn kline(kline: &decode::Kline) -> Kline {
    Kline {
        interval: kline.interval.0,
        ts_open: Nanos::from_millis(kline.ts_open),
        ts_close: Nanos::from_millis(kline.ts_close),
        open: kline.open.0,
        high: kline.high.0,
        low: kline.low.0,
        close: kline.close.0,
        volume: kline.volume.0,
        quote_volume: value(kline.quote_volume),
        trades: kline.trades,
        closed: kline.closed,
    }
}

/// A time as text, by our own parser.
#[inline]
fn time(text: &str) -> Option<Nanos> {
    venues::json::timestamp::scan_utc(text.as_bytes()).map(|(time, _)| time)
}

fn value(number: Option<Number>) -> Option<Decimal> {
    number.map(|number| number.0)
}

fn level((price, quantity): &Pair) -> Level {
    Level { price: *price, quantity: *quantity }
}
