//! The same messages in any order of fields: the fallback, and the only source of errors.

use std::borrow::Cow;
use std::fmt;

use model::event::{Funding, Kline, Ticker};
use model::{CanonicalEvent, Decimal, Error, Side, decimal};
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use super::{
    BookFields, Message, TradeFields, fill_funding, fill_kline, fill_quote, fill_ticker, interval,
    span,
};
use crate::json::fallback::{Levels, Number, Raw, Text, read, read_raw};

/// What tells the messages apart.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    arg: Option<Argument<'a>>,
    #[serde(borrow)]
    action: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<Vec<Raw<'a>>>,
    #[serde(borrow)]
    event: Option<Text<'a>>,
    #[serde(borrow)]
    code: Option<Text<'a>>,
    #[serde(borrow)]
    msg: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Argument<'a> {
    #[serde(borrow)]
    channel: Text<'a>,
    #[serde(borrow)]
    inst_id: Option<Text<'a>>,
}

/// Reads a message of any spelling into `event`.
///
/// # Errors
/// As [`super::read`].
pub fn read_slowly<'a>(
    message: &'a [u8],
    event: &mut CanonicalEvent,
) -> Result<Message<'a>, Error> {
    if message == b"pong" {
        return Ok(Message::Nothing);
    }
    let head: Head<'_> = read(message)?;
    match (head.event, head.arg, head.data) {
        (Some(kind), arg, _) => Ok(reply(kind, arg, head.code, head.msg)),
        (None, Some(arg), Some(data)) => push(arg, head.action.as_ref(), &data, event),
        _ => Ok(Message::Unknown(Cow::Borrowed("message without a type"))),
    }
}

/// `{"event":"subscribe","arg":{…},"connId":"…"}`, `{"event":"error","code":"60018","msg":"…"}`.
fn reply<'a>(
    kind: Text<'a>,
    arg: Option<Argument<'a>>,
    code: Option<Text<'a>>,
    words: Option<Text<'a>>,
) -> Message<'a> {
    let code = code.map_or(Cow::Borrowed("none"), |code| code.0);
    match (&*kind.0, arg) {
        ("subscribe", Some(Argument { channel, inst_id: Some(symbol) })) => {
            Message::Subscribed { channel: channel.0, symbol: symbol.0 }
        }
        ("subscribe" | "unsubscribe" | "channel-conn-count", _) => Message::Nothing,
        ("error" | "channel-conn-count-error", _) => {
            let words = words.map_or(Cow::Borrowed("no reason"), |words| words.0);
            Message::Refused(format!("code {code}: {words}"))
        }
        ("notice", _) if code == "64008" => Message::ShutdownAnnounced,
        ("notice", _) => Message::Unknown(Cow::Owned(format!("notice {code}"))),
        _ => Message::Unknown(kind.0),
    }
}

/// The entries of a channel: the first into `event`, the others behind it; all or none.
fn push<'a>(
    arg: Argument<'a>,
    action: Option<&Text<'_>>,
    data: &[Raw<'a>],
    event: &mut CanonicalEvent,
) -> Result<Message<'a>, Error> {
    let channel = &*arg.channel.0;
    let Some(entry) = reader(channel, action.map(|action| &*action.0))? else {
        return Ok(Message::Unknown(arg.channel.0));
    };
    let symbol = arg.inst_id.ok_or_else(|| {
        Error::ignore(format!("a push of channel '{channel}' without 'instId' in its 'arg'"))
    })?;
    let Some((first, others)) = data.split_first() else { return Ok(Message::Nothing) };
    entry.fill(first, event)?;
    let mut more = Vec::with_capacity(others.len());
    for raw in others {
        let mut next = CanonicalEvent::default();
        entry.fill(raw, &mut next)?;
        more.push(next);
    }
    Ok(Message::Event { symbol: symbol.0, more })
}

/// How the entries of a channel are read.
enum Entry<'c> {
    Book { snapshot: bool },
    Quote,
    Trade,
    Ticker,
    Candle { interval: &'c str },
    Funding,
}

/// `None` for a channel that is not known.
fn reader<'c>(channel: &'c str, action: Option<&str>) -> Result<Option<Entry<'c>>, Error> {
    Ok(Some(match channel {
        "books" => match action {
            Some("snapshot") => Entry::Book { snapshot: true },
            Some("update") => Entry::Book { snapshot: false },
            other => {
                return Err(Error::ignore(format!(
                    "the action of a book is 'snapshot' or 'update', not '{}'",
                    other.unwrap_or_default()
                )));
            }
        },
        "bbo-tbt" => Entry::Quote,
        "trades" => Entry::Trade,
        "tickers" => Entry::Ticker,
        "funding-rate" => Entry::Funding,
        _ => match channel.strip_prefix("candle") {
            Some(interval) => Entry::Candle { interval },
            None => return Ok(None),
        },
    }))
}

impl Entry<'_> {
    fn fill(&self, raw: Raw<'_>, event: &mut CanonicalEvent) -> Result<(), Error> {
        match *self {
            Self::Book { snapshot } => read_raw::<Book>(raw)?.fill(event, snapshot),
            Self::Quote => read_raw::<BestLevels>(raw)?.fill(event),
            Self::Trade => read_raw::<TradeEntry<'_>>(raw)?.fill(event)?,
            Self::Ticker => read_raw::<DayTicker<'_>>(raw)?.fill(event)?,
            Self::Candle { interval } => candle(&read_raw::<Vec<Text<'_>>>(raw)?, interval, event)?,
            Self::Funding => read_raw::<FundingRate<'_>>(raw)?.fill(event)?,
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Book {
    asks: Levels,
    bids: Levels,
    ts: Integer,
    #[serde(default)]
    checksum: i32,
    seq_id: Option<u64>,
    prev_seq_id: Option<Before>,
}

impl Book {
    fn fill(self, event: &mut CanonicalEvent, snapshot: bool) {
        event.asks.extend_from_slice(&self.asks.0);
        event.bids.extend_from_slice(&self.bids.0);
        BookFields {
            snapshot,
            ts_event: self.ts.0,
            last: self.seq_id,
            previous: self.prev_seq_id.and_then(|before| before.0),
            checksum: self.checksum,
        }
        .fill(event);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BestLevels {
    asks: Levels,
    bids: Levels,
    ts: Integer,
    seq_id: Option<u64>,
}

impl BestLevels {
    fn fill(self, event: &mut CanonicalEvent) {
        event.asks.extend_from_slice(&self.asks.0);
        event.bids.extend_from_slice(&self.bids.0);
        fill_quote(event, self.seq_id, self.ts.0);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TradeEntry<'a> {
    trade_id: Integer,
    px: Number,
    sz: Number,
    #[serde(borrow)]
    side: Text<'a>,
    ts: Integer,
}

impl TradeEntry<'_> {
    fn fill(self, event: &mut CanonicalEvent) -> Result<(), Error> {
        let side = match &*self.side.0 {
            "buy" => Side::Buy,
            "sell" => Side::Sell,
            other => {
                let text = format!("the side of a trade is 'buy' or 'sell', not '{other}'");
                return Err(Error::ignore(text));
            }
        };
        let (id, ts_trade) = (self.trade_id.0, self.ts.0);
        TradeFields { id, price: self.px.0, quantity: self.sz.0, side, ts_trade }.fill(event);
        Ok(())
    }
}

#[derive(Deserialize)]
struct DayTicker<'a> {
    #[serde(rename = "instType", borrow)]
    kind: Text<'a>,
    last: Number,
    #[serde(rename = "lastSz", borrow)]
    last_quantity: Option<Raw<'a>>,
    #[serde(rename = "askPx", borrow)]
    ask: Option<Raw<'a>>,
    #[serde(rename = "bidPx", borrow)]
    bid: Option<Raw<'a>>,
    #[serde(rename = "open24h", borrow)]
    open: Option<Raw<'a>>,
    #[serde(rename = "high24h", borrow)]
    high: Option<Raw<'a>>,
    #[serde(rename = "low24h", borrow)]
    low: Option<Raw<'a>>,
    #[serde(rename = "volCcy24h", borrow)]
    value: Option<Raw<'a>>,
    #[serde(rename = "vol24h", borrow)]
    volume: Option<Raw<'a>>,
    ts: Integer,
}

impl DayTicker<'_> {
    fn fill(self, event: &mut CanonicalEvent) -> Result<(), Error> {
        // For contracts it is in base currency.
        let value = self.value.filter(|_| self.kind.0 == "SPOT");
        let ticker = Ticker {
            last: self.last.0,
            last_quantity: number_or_empty(self.last_quantity)?,
            open: number_or_empty(self.open)?,
            high: number_or_empty(self.high)?,
            low: number_or_empty(self.low)?,
            volume: number_or_empty(self.volume)?,
            quote_volume: number_or_empty(value)?,
            bid: number_or_empty(self.bid)?,
            ask: number_or_empty(self.ask)?,
        };
        fill_ticker(event, self.ts.0, &ticker);
        Ok(())
    }
}

/// `[ts,open,high,low,close,volume,volumeCcy,volumeCcyQuote,confirm]`; the last two came later.
fn candle(entry: &[Text<'_>], name: &str, event: &mut CanonicalEvent) -> Result<(), Error> {
    let [ts, open, high, low, close, volume, _, rest @ ..] = entry else {
        let text = format!("a candle of {} entries: it has seven or more", entry.len());
        return Err(Error::ignore(text));
    };
    let interval = interval(name);
    let (ts_open, ts_close) = span(whole(&ts.0)?, interval);
    let kline = Kline {
        interval,
        ts_open,
        ts_close,
        open: exact(open)?,
        high: exact(high)?,
        low: exact(low)?,
        close: exact(close)?,
        volume: exact(volume)?,
        quote_volume: rest.first().map(exact).transpose()?,
        trades: None,
        closed: rest.get(1).is_some_and(|confirm| confirm.0 == "1"),
    };
    fill_kline(event, &kline);
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FundingRate<'a> {
    #[serde(borrow)]
    funding_rate: Option<Raw<'a>>,
    #[serde(borrow)]
    funding_time: Option<Text<'a>>,
    ts: Option<Integer>,
}

impl FundingRate<'_> {
    /// `fundingTime` is when this rate is paid; `nextFundingTime` is the one after it.
    fn fill(self, event: &mut CanonicalEvent) -> Result<(), Error> {
        let next = self.funding_time.filter(|time| !time.0.is_empty());
        let next = next.map(|time| whole(&time.0)).transpose()?;
        let funding = Funding {
            rate: number_or_empty(self.funding_rate)?,
            ts_next: next.map(model::Nanos::from_millis),
            mark: None,
            index: None,
        };
        let Some(ts) = self.ts else {
            return Err(Error::ignore("a funding rate without 'ts', the venue's time of it"));
        };
        fill_funding(event, ts.0, &funding);
        Ok(())
    }
}

/// A number, or the empty text that the venue writes where there is none.
fn number_or_empty(raw: Option<Raw<'_>>) -> Result<Option<Decimal>, Error> {
    match raw {
        None => Ok(None),
        Some(raw) if raw.get() == "\"\"" => Ok(None),
        Some(raw) => read_raw::<Number>(raw).map(|number| Some(number.0)),
    }
}

fn exact(text: &Text<'_>) -> Result<Decimal, Error> {
    decimal::parse(text.0.as_bytes())
        .map_err(|error| Error::ignore(format!("'{}' is {error}", text.0)))
}

fn whole(text: &str) -> Result<u64, Error> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .then(|| text.parse().ok())
        .flatten()
        .ok_or_else(|| Error::ignore(format!("'{text}' is no whole number of up to 64 bits")))
}

/// A whole number, between quotation marks or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Integer(pub u64);

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IntegerVisitor;
        impl Visitor<'_> for IntegerVisitor {
            type Value = Integer;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number between quotation marks")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Integer, E> {
                whole(text).map(Integer).map_err(|error| E::custom(error.message))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Integer, E> {
                Ok(Integer(value))
            }
        }
        deserializer.deserialize_any(IntegerVisitor)
    }
}

/// The number of the message before: −1 is none.
struct Before(Option<u64>);

impl<'de> Deserialize<'de> for Before {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BeforeVisitor;
        impl Visitor<'_> for BeforeVisitor {
            type Value = Before;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("-1 or a whole number")
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Before, E> {
                Ok(Before(Some(value)))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Before, E> {
                if value == -1 {
                    return Ok(Before(None));
                }
                u64::try_from(value).map(|value| Before(Some(value))).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(BeforeVisitor)
    }
}
