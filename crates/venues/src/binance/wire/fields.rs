//! The same messages in any order of fields: the fallback, and the only source of errors.

use std::borrow::Cow;

use model::event::{Funding, Kline, Ticker};
use model::{CanonicalEvent, Decimal, Error, Level, Nanos};
use serde::Deserialize;

use super::{
    DepthFields, Message, QuoteFields, TradeFields, fill_funding, fill_kline, fill_ticker,
    interval, next_time,
};
use crate::json::fallback::{Levels, Number, Raw, Text, read, read_raw};

/// What tells the messages apart, on both levels of the envelope.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    data: Option<Raw<'a>>,
    #[serde(borrow)]
    e: Option<Text<'a>>,
    #[serde(borrow)]
    event: Option<Raw<'a>>,
    #[serde(borrow)]
    result: Option<Raw<'a>>,
    #[serde(borrow)]
    id: Option<Raw<'a>>,
    #[serde(borrow)]
    error: Option<Raw<'a>>,
    #[serde(borrow)]
    code: Option<Raw<'a>>,
    #[serde(rename = "A", borrow)]
    ask_quantity: Option<Raw<'a>>,
}

/// Reads a message of any spelling into `event`.
///
/// # Errors
/// As [`super::read`].
pub fn read_slowly<'a>(
    message: &'a [u8],
    event: &mut CanonicalEvent,
) -> Result<Message<'a>, Error> {
    let head: Head<'_> = read(message)?;
    match head.data.or(head.event) {
        Some(data) => {
            let inner: Head<'_> = read_raw(data)?;
            payload(data.get().as_bytes(), &inner, event)
        }
        None => payload(message, &head, event),
    }
}

fn payload<'a>(
    text: &'a [u8],
    head: &Head<'a>,
    event: &mut CanonicalEvent,
) -> Result<Message<'a>, Error> {
    let symbol = match head.e.as_ref().map(|kind| &*kind.0) {
        Some("depthUpdate") => read::<Depth<'_>>(text)?.fill(event),
        Some("bookTicker") => read::<BookTicker<'_>>(text)?.fill(event),
        Some("aggTrade") => read::<AggTrade<'_>>(text)?.fill(event),
        Some("24hrTicker") => read::<DayTicker<'_>>(text)?.fill(event),
        Some("kline") => read::<Candle<'_>>(text)?.fill(event),
        Some("markPriceUpdate") => read::<MarkPrice<'_>>(text)?.fill(event)?,
        Some("serverShutdown") => return Ok(Message::ServerShutdown),
        Some(_) => {
            return Ok(Message::Unknown(head.e.clone().unwrap_or_default().0));
        }
        // The spot line's bookTicker is the one payload without a type.
        None if head.ask_quantity.is_some() => read::<BookTicker<'_>>(text)?.fill(event),
        None => return Ok(untyped(head)),
    };
    Ok(Message::Event { symbol })
}

/// `{"result":null,"id":1}`, `{"error":{"code":2,"msg":"…"},"id":1}`, `{"code":2,"msg":"…"}`.
fn untyped<'a>(head: &Head<'a>) -> Message<'a> {
    if head.error.is_some() || head.code.is_some() {
        let error = head.error.map_or("unknown", |error| error.get());
        let id = head.id.map_or("none", |id| id.get());
        return Message::Reply { error: Some(format!("request {id} refused: {error}")) };
    }
    if head.id.is_some() || head.result.is_some() {
        return Message::Reply { error: None };
    }
    Message::Unknown(Cow::Borrowed("message without a type"))
}

#[derive(Deserialize)]
struct Depth<'a> {
    #[serde(rename = "E")]
    ts_event: u64,
    #[serde(rename = "s", borrow)]
    symbol: Text<'a>,
    #[serde(rename = "U")]
    first: u64,
    #[serde(rename = "u")]
    last: u64,
    #[serde(rename = "pu")]
    previous: Option<u64>,
    #[serde(rename = "b")]
    bids: Levels,
    #[serde(rename = "a")]
    asks: Levels,
}

impl<'a> Depth<'a> {
    fn fill(self, event: &mut CanonicalEvent) -> Cow<'a, str> {
        event.bids.extend_from_slice(&self.bids.0);
        event.asks.extend_from_slice(&self.asks.0);
        let Self { ts_event, first, last, previous, .. } = self;
        DepthFields { ts_event, first, last, previous }.fill(event);
        self.symbol.0
    }
}

#[derive(Deserialize)]
struct BookTicker<'a> {
    #[serde(rename = "u")]
    update_id: u64,
    #[serde(rename = "s", borrow)]
    symbol: Text<'a>,
    #[serde(rename = "b")]
    bid: Number,
    #[serde(rename = "B")]
    bid_quantity: Number,
    #[serde(rename = "a")]
    ask: Number,
    #[serde(rename = "A")]
    ask_quantity: Number,
    #[serde(rename = "E")]
    ts_event: Option<u64>,
}

impl<'a> BookTicker<'a> {
    fn fill(self, event: &mut CanonicalEvent) -> Cow<'a, str> {
        QuoteFields {
            update_id: self.update_id,
            bid: Level { price: self.bid.0, quantity: self.bid_quantity.0 },
            ask: Level { price: self.ask.0, quantity: self.ask_quantity.0 },
            ts_event: self.ts_event,
        }
        .fill(event);
        self.symbol.0
    }
}

#[derive(Deserialize)]
struct AggTrade<'a> {
    #[serde(rename = "s", borrow)]
    symbol: Text<'a>,
    #[serde(rename = "a")]
    id: u64,
    #[serde(rename = "p")]
    price: Number,
    #[serde(rename = "q")]
    quantity: Number,
    #[serde(rename = "T")]
    ts_trade: u64,
    #[serde(rename = "m")]
    buyer_is_maker: bool,
}

impl<'a> AggTrade<'a> {
    fn fill(self, event: &mut CanonicalEvent) -> Cow<'a, str> {
        TradeFields {
            id: self.id,
            price: self.price.0,
            quantity: self.quantity.0,
            ts_trade: self.ts_trade,
            buyer_is_maker: self.buyer_is_maker,
        }
        .fill(event);
        self.symbol.0
    }
}

#[derive(Deserialize)]
struct DayTicker<'a> {
    #[serde(rename = "E")]
    ts_event: u64,
    #[serde(rename = "s", borrow)]
    symbol: Text<'a>,
    #[serde(rename = "c")]
    last: Number,
    #[serde(rename = "Q")]
    last_quantity: Option<Number>,
    #[serde(rename = "b")]
    bid: Option<Number>,
    #[serde(rename = "a")]
    ask: Option<Number>,
    #[serde(rename = "o")]
    open: Option<Number>,
    #[serde(rename = "h")]
    high: Option<Number>,
    #[serde(rename = "l")]
    low: Option<Number>,
    #[serde(rename = "v")]
    volume: Option<Number>,
    #[serde(rename = "q")]
    quote_volume: Option<Number>,
}

impl<'a> DayTicker<'a> {
    fn fill(self, event: &mut CanonicalEvent) -> Cow<'a, str> {
        let value = |number: Option<Number>| number.map(|number| number.0);
        let ticker = Ticker {
            last: self.last.0,
            last_quantity: value(self.last_quantity),
            open: value(self.open),
            high: value(self.high),
            low: value(self.low),
            volume: value(self.volume),
            quote_volume: value(self.quote_volume),
            bid: value(self.bid),
            ask: value(self.ask),
        };
        fill_ticker(event, self.ts_event, &ticker);
        self.symbol.0
    }
}

#[derive(Deserialize)]
struct Candle<'a> {
    #[serde(rename = "E")]
    ts_event: u64,
    #[serde(rename = "s", borrow)]
    symbol: Text<'a>,
    #[serde(rename = "k", borrow)]
    candle: CandleFields<'a>,
}

#[derive(Deserialize)]
struct CandleFields<'a> {
    #[serde(rename = "t")]
    ts_open: u64,
    #[serde(rename = "T")]
    ts_close: u64,
    #[serde(rename = "i", borrow)]
    interval: Text<'a>,
    #[serde(rename = "o")]
    open: Number,
    #[serde(rename = "c")]
    close: Number,
    #[serde(rename = "h")]
    high: Number,
    #[serde(rename = "l")]
    low: Number,
    #[serde(rename = "v")]
    volume: Number,
    #[serde(rename = "n")]
    trades: Option<u64>,
    #[serde(rename = "x")]
    closed: bool,
    #[serde(rename = "q")]
    quote_volume: Option<Number>,
}

impl<'a> Candle<'a> {
    fn fill(self, event: &mut CanonicalEvent) -> Cow<'a, str> {
        let k = self.candle;
        let kline = Kline {
            interval: interval(&k.interval.0),
            ts_open: Nanos::from_millis(k.ts_open),
            ts_close: Nanos::from_millis(k.ts_close),
            open: k.open.0,
            high: k.high.0,
            low: k.low.0,
            close: k.close.0,
            volume: k.volume.0,
            quote_volume: k.quote_volume.map(|number| number.0),
            trades: k.trades,
            closed: k.closed,
        };
        fill_kline(event, self.ts_event, &kline);
        self.symbol.0
    }
}

#[derive(Deserialize)]
struct MarkPrice<'a> {
    #[serde(rename = "E")]
    ts_event: u64,
    #[serde(rename = "s", borrow)]
    symbol: Text<'a>,
    #[serde(rename = "p", borrow)]
    mark: Raw<'a>,
    #[serde(rename = "i", borrow)]
    index: Option<Raw<'a>>,
    #[serde(rename = "r", borrow)]
    rate: Option<Raw<'a>>,
    #[serde(rename = "T")]
    next: Option<u64>,
}

impl<'a> MarkPrice<'a> {
    fn fill(self, event: &mut CanonicalEvent) -> Result<Cow<'a, str>, Error> {
        let funding = Funding {
            rate: self.rate.map_or(Ok(None), number_or_empty)?,
            ts_next: next_time(self.next.unwrap_or(0)),
            mark: number_or_empty(self.mark)?,
            index: self.index.map_or(Ok(None), number_or_empty)?,
        };
        fill_funding(event, self.ts_event, &funding);
        Ok(self.symbol.0)
    }
}

/// A number, or the empty text that the venue writes where a contract has no such number.
fn number_or_empty(raw: Raw<'_>) -> Result<Option<Decimal>, Error> {
    if raw.get() == "\"\"" { Ok(None) } else { read_raw::<Number>(raw).map(|n| Some(n.0)) }
}
