//! The same messages in any order of fields: the fallback, and the only source of errors.

use std::borrow::Cow;

use model::event::{Kline, Ticker, Trade};
use model::{CanonicalEvent, Decimal, Error, Kind, Level, Side};
use serde::Deserialize;

use super::{carried, fill_book, fill_kline, fill_ticker, fill_trade};
use crate::channels::Message;
use crate::json::fallback::{Exact, Raw, Text, Utc, read, read_raw};
use crate::kraken::instruments;

/// What tells the messages apart: channels and answers to requests.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    channel: Option<Text<'a>>,
    #[serde(rename = "type", borrow)]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<Raw<'a>>,
    #[serde(borrow)]
    timestamp: Option<Raw<'a>>,
    #[serde(borrow)]
    method: Option<Text<'a>>,
    #[serde(borrow)]
    error: Option<Raw<'a>>,
    #[serde(borrow)]
    symbol: Option<Raw<'a>>,
    #[serde(borrow)]
    result: Option<Raw<'a>>,
}

/// Reads a message of any spelling, its first entry into `event`.
///
/// # Errors
/// As [`super::read`].
pub fn read_slowly<'a>(
    message: &'a [u8],
    event: &mut CanonicalEvent,
) -> Result<Message<'a>, Error> {
    let head: Head<'a> = read(message)?;
    let Some(channel) = &head.channel else { return reply(&head) };
    let snapshot = head.kind.as_ref().is_some_and(|kind| kind.0 == "snapshot");
    match (&*channel.0, snapshot) {
        ("book", true) => entries(&head, Kind::BookSnapshot, event),
        ("book", false) => entries(&head, Kind::BookUpdate, event),
        ("ticker", _) => entries(&head, Kind::Ticker, event),
        // Those of the last minutes, before the subscription. None is asked for.
        ("trade" | "ohlc", true) | ("heartbeat", _) => Ok(Message::Nothing),
        ("trade", false) => entries(&head, Kind::Trade, event),
        ("ohlc", false) => {
            let read = entries(&head, Kind::Kline, event)?;
            let time: Option<Utc> = head.timestamp.map(read_raw).transpose()?;
            event.header.ts_event = time.map(|time| time.0);
            Ok(read)
        }
        ("instrument", _) => {
            let (listings, unreadable) = instruments::read(data(&head)?)?;
            Ok(Message::Listings { listings, unreadable, whole: snapshot })
        }
        ("status", _) => status(&head),
        _ => Ok(Message::Unknown(channel.0.clone())),
    }
}

fn data<'a>(head: &Head<'a>) -> Result<Raw<'a>, Error> {
    head.data.ok_or_else(|| Error::ignore("a message of a channel without the field `data`"))
}

/// The first entry is filled, the others are checked.
fn entries<'a>(
    head: &Head<'a>,
    kind: Kind,
    event: &mut CanonicalEvent,
) -> Result<Message<'a>, Error> {
    let all: Vec<Raw<'a>> = read_raw(data(head)?)?;
    let Some((first, others)) = all.split_first() else { return Ok(Message::Nothing) };
    let symbol = entry(kind, first.get().as_bytes(), event)?;
    let mut more = Vec::new();
    for other in others {
        let text = other.get().as_bytes();
        entry(kind, text, &mut CanonicalEvent::default())?;
        more.push(text);
    }
    Ok(Message::Event { symbol, more })
}

/// One entry of a message of that kind.
pub(super) fn entry<'a>(
    kind: Kind,
    text: &'a [u8],
    event: &mut CanonicalEvent,
) -> Result<Cow<'a, str>, Error> {
    match kind {
        Kind::BookUpdate | Kind::BookSnapshot => Ok(read::<Book<'a>>(text)?.fill(kind, event)),
        Kind::Trade => read::<OneTrade<'a>>(text)?.fill(event),
        Kind::Ticker => Ok(read::<DayTicker<'a>>(text)?.fill(event)),
        Kind::Kline => Ok(read::<Candle<'a>>(text)?.fill(event)),
        _ => Err(Error::ignore(format!("no channel carries {}", kind.name()))),
    }
}

/// `{"method":"subscribe","result":{"channel":"book","symbol":"ETH/BTC",…},"success":true,…}`,
/// `{"method":"subscribe","error":"…","success":false,"symbol":"NOPE/USD",…}`
fn reply<'a>(head: &Head<'a>) -> Result<Message<'a>, Error> {
    #[derive(Deserialize)]
    struct Subscribed<'a> {
        #[serde(borrow)]
        channel: Text<'a>,
        #[serde(borrow)]
        symbol: Option<Text<'a>>,
    }
    let method = head.method.as_ref().map_or("request", |method| &*method.0);
    if let Some(error) = head.error {
        let symbol = head.symbol.map_or("", |symbol| symbol.get());
        return Ok(Message::Refused(format!("{method} {symbol}: {}", error.get())));
    }
    if head.method.is_none() {
        return Err(Error::ignore("a message with neither a channel nor a method"));
    }
    let ("subscribe", Some(result)) = (method, head.result) else { return Ok(Message::Nothing) };
    let Subscribed { channel, symbol } = read_raw(result)?;
    let confirmed = carried(&channel.0).zip(symbol.map(|symbol| symbol.0));
    Ok(Message::Confirmed(confirmed.into_iter().collect()))
}

/// `[{"system":"online",…}]`
fn status<'a>(head: &Head<'a>) -> Result<Message<'a>, Error> {
    #[derive(Deserialize)]
    struct Status<'a> {
        #[serde(borrow)]
        system: Text<'a>,
    }
    let states: Vec<Status<'a>> = read_raw(data(head)?)?;
    let unusual = states.into_iter().map(|state| state.system.0).find(|system| system != "online");
    Ok(unusual.map_or(Message::Nothing, Message::Status))
}

#[derive(Deserialize)]
struct Book<'a> {
    #[serde(borrow)]
    symbol: Text<'a>,
    #[serde(default)]
    bids: Vec<OneLevel>,
    #[serde(default)]
    asks: Vec<OneLevel>,
    checksum: Option<u32>,
    timestamp: Option<Utc>,
}

#[derive(Deserialize)]
struct OneLevel {
    price: Exact,
    qty: Exact,
}

impl<'a> Book<'a> {
    fn fill(self, kind: Kind, event: &mut CanonicalEvent) -> Cow<'a, str> {
        let level = |level: &OneLevel| Level { price: level.price.0, quantity: level.qty.0 };
        event.bids.extend(self.bids.iter().map(level));
        event.asks.extend(self.asks.iter().map(level));
        fill_book(event, kind, self.checksum, self.timestamp.map(|time| time.0));
        self.symbol.0
    }
}

#[derive(Deserialize)]
struct OneTrade<'a> {
    #[serde(borrow)]
    symbol: Text<'a>,
    #[serde(borrow)]
    side: Text<'a>,
    price: Exact,
    qty: Exact,
    trade_id: u64,
    timestamp: Utc,
}

impl<'a> OneTrade<'a> {
    fn fill(self, event: &mut CanonicalEvent) -> Result<Cow<'a, str>, Error> {
        let aggressor = match &*self.side.0 {
            "buy" => Side::Buy,
            "sell" => Side::Sell,
            other => {
                return Err(Error::ignore(format!("side '{other}' is neither buy nor sell")));
            }
        };
        let Self { price: Exact(price), qty: Exact(quantity), trade_id, .. } = self;
        fill_trade(event, Trade { price, quantity, aggressor, trade_id }, self.timestamp.0);
        Ok(self.symbol.0)
    }
}

#[derive(Deserialize)]
struct DayTicker<'a> {
    #[serde(borrow)]
    symbol: Text<'a>,
    bid: Option<Exact>,
    ask: Option<Exact>,
    last: Exact,
    volume: Option<Exact>,
    low: Option<Exact>,
    high: Option<Exact>,
    timestamp: Option<Utc>,
}

impl<'a> DayTicker<'a> {
    fn fill(self, event: &mut CanonicalEvent) -> Cow<'a, str> {
        let ticker = Ticker {
            last: self.last.0,
            bid: value(self.bid),
            ask: value(self.ask),
            volume: value(self.volume),
            low: value(self.low),
            high: value(self.high),
            ..Ticker::default()
        };
        fill_ticker(event, &ticker, self.timestamp.map(|time| time.0));
        self.symbol.0
    }
}

fn value(number: Option<Exact>) -> Option<Decimal> {
    number.map(|number| number.0)
}

#[derive(Deserialize)]
struct Candle<'a> {
    #[serde(borrow)]
    symbol: Text<'a>,
    open: Exact,
    high: Exact,
    low: Exact,
    close: Exact,
    trades: Option<u64>,
    volume: Exact,
    interval_begin: Utc,
    interval: u32,
}

impl<'a> Candle<'a> {
    fn fill(self, event: &mut CanonicalEvent) -> Cow<'a, str> {
        let kline = Kline {
            ts_open: self.interval_begin.0,
            open: self.open.0,
            high: self.high.0,
            low: self.low.0,
            close: self.close.0,
            volume: self.volume.0,
            trades: self.trades,
            ..Kline::default()
        };
        fill_kline(event, &kline, self.interval);
        self.symbol.0
    }
}
