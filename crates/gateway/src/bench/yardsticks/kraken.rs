//! Kraken's channels by the ordinary decoder. Times are read by our own parser in both lanes: the
//! library has none.

use std::hint::black_box;

use model::event::{Body, BookMeta, Kline, Ticker, Trade};
use model::{CanonicalEvent, Kind, Nanos, Side};
use yardstick::decode::Book;
use yardstick::decode::kraken::{self, read};

use super::{Lane, each, kept, level, time};

/// Reads all `frames` of one kind when called.
pub(super) fn decoder<'a>(kind: Kind, frames: &'a [&'a [u8]]) -> Lane<'a> {
    let mut book = Book::default();
    Box::new(move || {
        let read = match kind {
            Kind::BookUpdate | Kind::BookSnapshot => each(frames, |frame| {
                let change = book.read_channel(frame)?;
                black_box((change.timestamp.map(time), &change, &book));
                Ok(())
            }),
            Kind::Trade => each(frames, |frame| {
                let trades: kraken::Message<'_, kraken::Trade<'_>> = read(frame)?;
                for trade in &trades.data {
                    black_box(time(trade.timestamp));
                }
                kept(trades)
            }),
            Kind::Ticker => each(frames, |frame| {
                let tickers: kraken::Message<'_, kraken::Ticker<'_>> = read(frame)?;
                for ticker in &tickers.data {
                    black_box(ticker.timestamp.map(time));
                }
                kept(tickers)
            }),
            Kind::Kline => each(frames, |frame| {
                let candles: kraken::Message<'_, kraken::Candle<'_>> = read(frame)?;
                black_box(candles.timestamp.map(time));
                for candle in &candles.data {
                    black_box(time(candle.interval_begin));
                }
                kept(candles)
            }),
            _ => Ok(()),
        };
        read.map_err(|error| error.to_string())
    })
}

/// What the ordinary decoder reads from a frame, the last entry, as an event of ours.
pub(super) fn event(frame: &[u8], kind: Kind) -> Result<CanonicalEvent, serde_json::Error> {
    let mut event = CanonicalEvent::default();
    event.header.stream.kind = kind;
    match kind {
        Kind::BookUpdate | Kind::BookSnapshot => {
            let mut book = Book::default();
            let change = book.read_channel(frame)?;
            event.bids = book.bids.iter().map(level).collect();
            event.asks = book.asks.iter().map(level).collect();
            event.header.ts_event = change.timestamp.and_then(time);
            let checksum = Some(change.checksum);
            event.body = Body::Book(BookMeta { checksum, ..BookMeta::default() });
        }
        Kind::Trade => {
            let trades: kraken::Message<'_, kraken::Trade<'_>> = read(frame)?;
            for trade in &trades.data {
                event.header.seq_provider = Some(trade.trade_id);
                event.header.ts_event = time(trade.timestamp);
                event.body = Body::Trade(Trade {
                    price: trade.price.0,
                    quantity: trade.qty.0,
                    aggressor: if trade.side == "buy" { Side::Buy } else { Side::Sell },
                    trade_id: trade.trade_id,
                });
            }
        }
        Kind::Ticker => {
            let tickers: kraken::Message<'_, kraken::Ticker<'_>> = read(frame)?;
            for ticker in &tickers.data {
                event.header.ts_event = ticker.timestamp.and_then(time);
                event.body = Body::Ticker(Ticker {
                    last: ticker.last.0,
                    bid: Some(ticker.bid.0),
                    ask: Some(ticker.ask.0),
                    volume: Some(ticker.volume.0),
                    low: Some(ticker.low.0),
                    high: Some(ticker.high.0),
                    ..Ticker::default()
                });
            }
        }
        Kind::Kline => {
            let candles: kraken::Message<'_, kraken::Candle<'_>> = read(frame)?;
            event.header.ts_event = candles.timestamp.and_then(time);
            event.body = candles.data.last().map_or(Body::Empty, |c| Body::Kline(kline(c)));
        }
        _ => {}
    }
    Ok(event)
}

fn kline(candle: &kraken::Candle<'_>) -> Kline {
    let interval = std::time::Duration::from_secs(u64::from(candle.interval) * 60);
    let ts_open = time(candle.interval_begin).unwrap_or(Nanos(0));
    Kline {
        interval,
        ts_open,
        ts_close: ts_open + interval,
        open: candle.open.0,
        high: candle.high.0,
        low: candle.low.0,
        close: candle.close.0,
        volume: candle.volume.0,
        trades: Some(candle.trades),
        ..Kline::default()
    }
}
