//! Coinbase's channels by the ordinary decoder. Times are read by our own parser in both lanes: the
//! library has none.

use std::hint::black_box;

use model::event::{Body, BookMeta, Ticker, Trade};
use model::{CanonicalEvent, Kind, Side};
use yardstick::decode::Book;
use yardstick::decode::coinbase::{self, read};

use super::{Lane, each, kept, level, time};

/// Reads all `frames` of one kind when called.
pub(super) fn decoder<'a>(kind: Kind, frames: &'a [&'a [u8]]) -> Lane<'a> {
    let mut book = Book::default();
    Box::new(move || {
        let read = match kind {
            Kind::BookUpdate | Kind::BookSnapshot => each(frames, |frame| {
                let change = book.read_product(frame)?;
                black_box((change.time.map(time), &change, &book));
                Ok(())
            }),
            Kind::Trade => each(frames, |frame| {
                let trade: coinbase::Match<'_> = read(frame)?;
                black_box(time(trade.time));
                kept(trade)
            }),
            Kind::Ticker => each(frames, |frame| {
                let ticker: coinbase::Ticker<'_> = read(frame)?;
                black_box(time(ticker.time));
                kept(ticker)
            }),
            _ => Ok(()),
        };
        read.map_err(|error| error.to_string())
    })
}

/// What the ordinary decoder reads from a frame, as an event of ours.
pub(super) fn event(frame: &[u8], kind: Kind) -> Result<CanonicalEvent, serde_json::Error> {
    let mut event = CanonicalEvent::default();
    event.header.stream.kind = kind;
    match kind {
        Kind::BookUpdate | Kind::BookSnapshot => {
            let mut book = Book::default();
            let change = book.read_product(frame)?;
            event.bids = book.bids.iter().map(level).collect();
            event.asks = book.asks.iter().map(level).collect();
            event.header.ts_event = change.time.and_then(time);
            event.body = Body::Book(BookMeta::default());
        }
        Kind::Trade => {
            let trade: coinbase::Match<'_> = read(frame)?;
            event.header.seq_provider = Some(trade.trade_id);
            event.header.ts_event = time(trade.time);
            event.body = Body::Trade(Trade {
                price: trade.price.0,
                quantity: trade.size.0,
                aggressor: if trade.side == "buy" { Side::Sell } else { Side::Buy },
                trade_id: trade.trade_id,
            });
        }
        Kind::Ticker => {
            let ticker: coinbase::Ticker<'_> = read(frame)?;
            event.header.seq_provider = Some(ticker.sequence);
            event.header.ts_event = time(ticker.time);
            event.body = Body::Ticker(Ticker {
                last: ticker.price.0,
                last_quantity: Some(ticker.last_size.0),
                open: Some(ticker.open_24h.0),
                high: Some(ticker.high_24h.0),
                low: Some(ticker.low_24h.0),
                volume: Some(ticker.volume_24h.0),
                quote_volume: None,
                bid: Some(ticker.best_bid.0),
                ask: Some(ticker.best_ask.0),
            });
        }
        _ => {}
    }
    Ok(event)
}
