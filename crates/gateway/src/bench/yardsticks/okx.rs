//! OKX's channels by the ordinary decoder.

use std::hint::black_box;
use std::time::Duration;

use model::event::{Body, BookMeta, Kline, Quote, Ticker, Trade};
use model::{CanonicalEvent, Kind, Level, Nanos, Side};
use yardstick::decode::Book;
use yardstick::decode::okx::{self, read};

use super::{Lane, each, kept, level};

/// Reads all `frames` of one kind when called.
pub(super) fn decoder<'a>(kind: Kind, frames: &'a [&'a [u8]]) -> Lane<'a> {
    let mut book = Book::default();
    Box::new(move || {
        let read = match kind {
            Kind::BookUpdate | Kind::BookSnapshot => each(frames, |frame| {
                let change = book.read_books(frame)?;
                black_box((&change, &book));
                Ok(())
            }),
            Kind::Trade => each(frames, |frame| kept(read::<okx::Trade<'_>>(frame)?)),
            Kind::Quote => each(frames, |frame| kept(read::<okx::Quote>(frame)?)),
            Kind::Ticker => each(frames, |frame| kept(read::<okx::Ticker<'_>>(frame)?)),
            Kind::Kline => each(frames, |frame| kept(read::<okx::Candle<'_>>(frame)?)),
            _ => Ok(()),
        };
        read.map_err(|error| error.to_string())
    })
}

/// What the ordinary decoder reads from a frame, as an event of ours.
pub(super) fn event(frame: &[u8], kind: Kind) -> Result<CanonicalEvent, serde_json::Error> {
    let mut event = CanonicalEvent::default();
    event.header.stream.kind = kind;
    let (seq, ts_ms) = match kind {
        Kind::BookUpdate | Kind::BookSnapshot => {
            let mut book = Book::default();
            let change = book.read_books(frame)?;
            event.bids = book.bids.iter().map(level).collect();
            event.asks = book.asks.iter().map(level).collect();
            event.body = Body::Book(BookMeta {
                seq_last: change.seq_id,
                seq_prev: change.prev_seq_id.and_then(|id| u64::try_from(id).ok()),
                checksum: (change.checksum != 0).then_some(change.checksum.cast_unsigned()),
                ..BookMeta::default()
            });
            (change.seq_id, Some(change.ts))
        }
        Kind::Trade => {
            let [trade] = read::<okx::Trade<'_>>(frame)?.data;
            event.body = Body::Trade(Trade {
                price: trade.px.0,
                quantity: trade.sz.0,
                aggressor: if trade.side == "buy" { Side::Buy } else { Side::Sell },
                trade_id: trade.trade_id.0,
            });
            (Some(trade.trade_id.0), Some(trade.ts.0))
        }
        Kind::Quote => {
            let [quote] = read::<okx::Quote>(frame)?.data;
            let best = |[level]: [okx::Level; 1]| Level { price: level.0.0, quantity: level.1.0 };
            event.body = Body::Quote(Quote { bid: best(quote.bids), ask: best(quote.asks) });
            (quote.seq_id, Some(quote.ts.0))
        }
        Kind::Ticker => {
            let [ticker] = read::<okx::Ticker<'_>>(frame)?.data;
            event.body = Body::Ticker(day(&ticker));
            (None, Some(ticker.ts.0))
        }
        Kind::Kline => {
            let [candle] = read::<okx::Candle<'_>>(frame)?.data;
            event.body = Body::Kline(minute(&candle));
            (None, None)
        }
        _ => (None, None),
    };
    event.header.seq_provider = seq;
    event.header.ts_event = ts_ms.map(Nanos::from_millis);
    Ok(event)
}

fn day(ticker: &okx::Ticker<'_>) -> Ticker {
    Ticker {
        last: ticker.last.0,
        last_quantity: Some(ticker.last_sz.0),
        open: Some(ticker.open24h.0),
        high: Some(ticker.high24h.0),
        low: Some(ticker.low24h.0),
        volume: Some(ticker.vol24h.0),
        quote_volume: (ticker.inst_type == "SPOT").then_some(ticker.vol_ccy24h.0),
        bid: Some(ticker.bid_px.0),
        ask: Some(ticker.ask_px.0),
    }
}

fn minute(candle: &okx::Candle<'_>) -> Kline {
    let first = Nanos::from_millis(candle.0.0);
    Kline {
        interval: Duration::from_secs(60),
        ts_open: first,
        ts_close: first + Duration::from_millis(59_999),
        open: candle.1.0,
        high: candle.2.0,
        low: candle.3.0,
        close: candle.4.0,
        volume: candle.5.0,
        quote_volume: Some(candle.7.0),
        trades: None,
        closed: candle.8 == "1",
    }
}
