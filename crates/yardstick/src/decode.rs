//! `serde_json`, used as well as it can be, for Binance's market streams.
//!
//! One pass over the bytes and no [`serde_json::Value`]: borrowed structs by derive for the
//! envelope and the payload, decimals parsed by `rust_decimal` from the borrowed text, the levels
//! of a book written into buffers that are used again. The caller says which message comes (as a
//! program does that looks at the stream's name first), so that nothing is read twice. Fields that
//! nobody wants are left out of the structs, which lets the library skip them.

use std::fmt;
use std::time::Duration;

use rust_decimal::Decimal;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

pub mod coinbase;
pub mod kraken;
pub mod okx;

/// A price and a quantity.
pub type Pair = (Decimal, Decimal);

/// The envelope of a combined stream.
#[derive(serde::Deserialize)]
struct Combined<T> {
    data: T,
}

/// Reads a payload in the envelope of a combined stream.
///
/// # Errors
/// What the library says.
#[inline]
pub fn read<'a, T: serde::Deserialize<'a>>(message: &'a [u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice::<Combined<T>>(message).map(|combined| combined.data)
}

/// A decimal number between quotation marks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Number(pub Decimal);

impl<'de> serde::Deserialize<'de> for Number {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decimal number between quotation marks")
            }

            #[inline]
            #[expect(clippy::disallowed_methods, reason = "the library's own way is measured")]
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Number, E> {
                Decimal::from_str_exact(text).map(Number).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// An aggregate trade.
#[derive(Clone, Copy, Debug, PartialEq, serde::Deserialize)]
pub struct Trade<'a> {
    /// The venue's symbol.
    #[serde(rename = "s")]
    pub symbol: &'a str,
    /// Number of the trade.
    #[serde(rename = "a")]
    pub id: u64,
    /// Price.
    #[serde(rename = "p")]
    pub price: Number,
    /// Quantity.
    #[serde(rename = "q")]
    pub quantity: Number,
    /// When it happened, in ms.
    #[serde(rename = "T")]
    pub ts_trade: u64,
    /// Whether the buyer was the maker.
    #[serde(rename = "m")]
    pub buyer_is_maker: bool,
}

/// Best bid and offer.
#[derive(Clone, Copy, Debug, PartialEq, serde::Deserialize)]
pub struct Quote<'a> {
    /// Update id.
    #[serde(rename = "u")]
    pub update_id: u64,
    /// The venue's symbol.
    #[serde(rename = "s")]
    pub symbol: &'a str,
    /// Best bid.
    #[serde(rename = "b")]
    pub bid: Number,
    /// Quantity of the best bid.
    #[serde(rename = "B")]
    pub bid_quantity: Number,
    /// Best offer.
    #[serde(rename = "a")]
    pub ask: Number,
    /// Quantity of the best offer.
    #[serde(rename = "A")]
    pub ask_quantity: Number,
    /// When it was so, in ms; the spot line does not say.
    #[serde(rename = "E")]
    pub ts_event: Option<u64>,
}

/// Statistics of the last 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, serde::Deserialize)]
pub struct Ticker<'a> {
    /// When, in ms.
    #[serde(rename = "E")]
    pub ts_event: u64,
    /// The venue's symbol.
    #[serde(rename = "s")]
    pub symbol: &'a str,
    /// Last price.
    #[serde(rename = "c")]
    pub last: Number,
    /// Last quantity.
    #[serde(rename = "Q")]
    pub last_quantity: Option<Number>,
    /// Best bid; spot only.
    #[serde(rename = "b")]
    pub bid: Option<Number>,
    /// Best offer; spot only.
    #[serde(rename = "a")]
    pub ask: Option<Number>,
    /// First price.
    #[serde(rename = "o")]
    pub open: Option<Number>,
    /// Highest price.
    #[serde(rename = "h")]
    pub high: Option<Number>,
    /// Lowest price.
    #[serde(rename = "l")]
    pub low: Option<Number>,
    /// Traded quantity.
    #[serde(rename = "v")]
    pub volume: Option<Number>,
    /// Traded value.
    #[serde(rename = "q")]
    pub quote_volume: Option<Number>,
}

/// A candle with what is around it.
#[derive(Clone, Copy, Debug, PartialEq, serde::Deserialize)]
pub struct Candle<'a> {
    /// When, in ms.
    #[serde(rename = "E")]
    pub ts_event: u64,
    /// The venue's symbol.
    #[serde(rename = "s")]
    pub symbol: &'a str,
    /// The candle.
    #[serde(rename = "k")]
    pub kline: Kline,
}

/// A candle.
#[derive(Clone, Copy, Debug, PartialEq, serde::Deserialize)]
pub struct Kline {
    /// First instant, in ms.
    #[serde(rename = "t")]
    pub ts_open: u64,
    /// Last instant, in ms.
    #[serde(rename = "T")]
    pub ts_close: u64,
    /// Length.
    #[serde(rename = "i")]
    pub interval: Interval,
    /// First price.
    #[serde(rename = "o")]
    pub open: Number,
    /// Last price.
    #[serde(rename = "c")]
    pub close: Number,
    /// Highest price.
    #[serde(rename = "h")]
    pub high: Number,
    /// Lowest price.
    #[serde(rename = "l")]
    pub low: Number,
    /// Traded quantity.
    #[serde(rename = "v")]
    pub volume: Number,
    /// Number of trades.
    #[serde(rename = "n")]
    pub trades: Option<u64>,
    /// Whether it will not change any more.
    #[serde(rename = "x")]
    pub closed: bool,
    /// Traded value.
    #[serde(rename = "q")]
    pub quote_volume: Option<Number>,
}

/// The length of a candle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(from = "&str")]
pub struct Interval(pub Duration);

impl From<&str> for Interval {
    fn from(name: &str) -> Self {
        let (count, unit) = name.split_at_checked(name.len().wrapping_sub(1)).unwrap_or(("", ""));
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            "w" => 604_800,
            _ => 0,
        };
        Self(Duration::from_secs(seconds * count.parse::<u16>().map_or(0, u64::from)))
    }
}

/// Mark price and funding.
#[derive(Clone, Copy, Debug, PartialEq, serde::Deserialize)]
pub struct MarkPrice<'a> {
    /// When, in ms.
    #[serde(rename = "E")]
    pub ts_event: u64,
    /// The venue's symbol.
    #[serde(rename = "s")]
    pub symbol: &'a str,
    /// Mark price.
    #[serde(rename = "p")]
    pub mark: Number,
    /// Index price.
    #[serde(rename = "i")]
    pub index: Option<Number>,
    /// Funding rate.
    #[serde(rename = "r")]
    pub rate: Option<Number>,
    /// When funding is paid next, in ms; 0 for never.
    #[serde(rename = "T")]
    pub next: u64,
}

/// The fields of a diff besides its levels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Diff<'a> {
    /// When, in ms.
    pub ts_event: u64,
    /// The venue's symbol.
    pub symbol: &'a str,
    /// First update id.
    pub first: u64,
    /// Last update id.
    pub last: u64,
    /// Last update id of the diff before; futures only.
    pub previous: Option<u64>,
}

/// Buffers for the levels of one diff, used again and again.
#[derive(Debug, Default)]
pub struct Book {
    /// Changed bids.
    pub bids: Vec<Pair>,
    /// Changed offers.
    pub asks: Vec<Pair>,
}

impl Book {
    /// Reads a diff in the envelope of a combined stream, its levels into the buffers.
    ///
    /// # Errors
    /// What the library says.
    #[inline]
    pub fn read<'a>(&mut self, message: &'a [u8]) -> Result<Diff<'a>, serde_json::Error> {
        self.bids.clear();
        self.asks.clear();
        let mut json = serde_json::Deserializer::from_slice(message);
        let diff = Envelope(self).deserialize(&mut json)?;
        json.end()?;
        Ok(diff)
    }
}

/// [`Combined`], with the buffers handed through.
struct Envelope<'b>(&'b mut Book);

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum EnvelopeField {
    Data,
    #[serde(other)]
    Other,
}

impl<'de> DeserializeSeed<'de> for Envelope<'_> {
    type Value = Diff<'de>;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Diff<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Envelope<'_> {
    type Value = Diff<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message of a combined stream")
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Diff<'de>, A::Error> {
        let mut diff = None;
        while let Some(field) = map.next_key()? {
            match field {
                EnvelopeField::Data => diff = Some(map.next_value_seed(Payload(&mut *self.0))?),
                EnvelopeField::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        diff.ok_or_else(|| A::Error::missing_field("data"))
    }
}

/// The diff itself.
struct Payload<'b>(&'b mut Book);

#[derive(serde::Deserialize)]
#[serde(field_identifier)]
enum DiffField {
    #[serde(rename = "E")]
    TsEvent,
    #[serde(rename = "s")]
    Symbol,
    #[serde(rename = "U")]
    First,
    #[serde(rename = "u")]
    Last,
    #[serde(rename = "pu")]
    Previous,
    #[serde(rename = "b")]
    Bids,
    #[serde(rename = "a")]
    Asks,
    #[serde(other)]
    Other,
}

impl<'de> DeserializeSeed<'de> for Payload<'_> {
    type Value = Diff<'de>;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Diff<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Payload<'_> {
    type Value = Diff<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a depthUpdate")
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Diff<'de>, A::Error> {
        let missing = A::Error::missing_field;
        let (mut ts_event, mut symbol, mut first, mut last) = (None, None, None, None);
        let (mut previous, mut bids, mut asks) = (None, None, None);
        while let Some(field) = map.next_key()? {
            match field {
                DiffField::TsEvent => ts_event = Some(map.next_value()?),
                DiffField::Symbol => symbol = Some(map.next_value()?),
                DiffField::First => first = Some(map.next_value()?),
                DiffField::Last => last = Some(map.next_value()?),
                DiffField::Previous => previous = Some(map.next_value()?),
                DiffField::Bids => bids = Some(map.next_value_seed(Levels(&mut self.0.bids))?),
                DiffField::Asks => asks = Some(map.next_value_seed(Levels(&mut self.0.asks))?),
                DiffField::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        bids.ok_or_else(|| missing("b"))?;
        asks.ok_or_else(|| missing("a"))?;
        Ok(Diff {
            ts_event: ts_event.ok_or_else(|| missing("E"))?,
            symbol: symbol.ok_or_else(|| missing("s"))?,
            first: first.ok_or_else(|| missing("U"))?,
            last: last.ok_or_else(|| missing("u"))?,
            previous,
        })
    }
}

/// A side's levels.
struct Levels<'b>(&'b mut Vec<Pair>);

impl<'de> DeserializeSeed<'de> for Levels<'_> {
    type Value = ();

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Levels<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of [price, quantity]")
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some((price, quantity)) = seq.next_element::<(Number, Number)>()? {
            self.0.push((price.0, quantity.0));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_is_read_into_the_same_buffers() {
        let mut book = Book::default();
        for _ in 0..2 {
            let message = br#"{"stream":"x@depth","data":{"e":"depthUpdate","E":7,"T":6,"s":"X","U":1,"u":2,"pu":0,"b":[["0.10","2"]],"a":[]}}"#;
            let diff = book.read(message).unwrap();
            assert_eq!(
                diff,
                Diff { ts_event: 7, symbol: "X", first: 1, last: 2, previous: Some(0) }
            );
            assert_eq!((book.bids.len(), book.asks.len()), (1, 0));
            assert_eq!(book.bids[0].0.to_string(), "0.10");
        }
        assert!(book.read(br#"{"data":{"E":7}}"#).is_err());
        assert!(book.read(br#"{"data":{"E":7,"s":"X","U":1,"u":2,"b":[["1"]],"a":[]}}"#).is_err());
    }

    #[test]
    fn other_messages_are_read_from_their_envelope() {
        let trade: Trade<'_> = read(br#"{"stream":"x@aggTrade","data":{"e":"aggTrade","E":1,"s":"X","a":5,"p":"0.50","q":"3","f":1,"l":1,"T":9,"m":true,"M":true}}"#).unwrap();
        assert_eq!((trade.id, trade.price.0.to_string()), (5, "0.50".to_owned()));
        let candle: Candle<'_> = read(br#"{"stream":"x@kline_1m","data":{"e":"kline","E":1,"s":"X","k":{"t":1,"T":2,"s":"X","i":"3m","f":1,"L":2,"o":"1","c":"2","h":"3","l":"0.5","v":"9","n":4,"x":false,"q":"8","V":"1","Q":"1","B":"0"}}}"#).unwrap();
        assert_eq!(candle.kline.interval, Interval(Duration::from_secs(180)));
    }
}
