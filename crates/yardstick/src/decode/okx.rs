//! The same for OKX's public channels: one entry a message.

use std::fmt;

use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::{Book, Number, Pair};

/// Reads a message of one entry.
///
/// # Errors
/// What the library says.
#[inline]
pub fn read<'a, T: Deserialize<'a>>(message: &'a [u8]) -> Result<Push<'a, T>, serde_json::Error> {
    serde_json::from_slice(message)
}

/// A message of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Push<'a, T> {
    /// What it is about.
    #[serde(borrow)]
    pub arg: Arg<'a>,
    /// Its entry.
    pub data: [T; 1],
}

/// What a message is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Arg<'a> {
    /// The venue's symbol.
    pub inst_id: &'a str,
}

/// An integer between quotation marks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digits(pub u64);

impl<'de> Deserialize<'de> for Digits {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&str>::deserialize(deserializer)?.parse().map(Self).map_err(D::Error::custom)
    }
}

/// A trade.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trade<'a> {
    /// Number of the trade.
    pub trade_id: Digits,
    /// Price.
    pub px: Number,
    /// Quantity.
    pub sz: Number,
    /// Who took: `buy` or `sell`.
    pub side: &'a str,
    /// When it happened, in ms.
    pub ts: Digits,
}

/// Best bid and offer.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Quote {
    /// Best offer.
    pub asks: [Level; 1],
    /// Best bid.
    pub bids: [Level; 1],
    /// When it was so, in ms.
    pub ts: Digits,
    /// Its number.
    pub seq_id: Option<u64>,
}

/// Price, quantity, and two fields that nobody wants.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Level(pub Number, pub Number, IgnoredAny, IgnoredAny);

/// Statistics of the last 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ticker<'a> {
    /// What sort of instrument it is.
    pub inst_type: &'a str,
    /// Last price.
    pub last: Number,
    /// Last quantity.
    pub last_sz: Number,
    /// Best offer.
    pub ask_px: Number,
    /// Best bid.
    pub bid_px: Number,
    /// First price.
    pub open24h: Number,
    /// Highest price.
    pub high24h: Number,
    /// Lowest price.
    pub low24h: Number,
    /// Traded value.
    pub vol_ccy24h: Number,
    /// Traded quantity.
    pub vol24h: Number,
    /// When, in ms.
    pub ts: Digits,
}

/// First instant in ms, open, high, low, close, volume, a value that nobody wants, value, whether
/// it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Candle<'a>(
    pub Digits,
    pub Number,
    pub Number,
    pub Number,
    pub Number,
    pub Number,
    IgnoredAny,
    pub Number,
    pub &'a str,
);

/// The fields of a book message besides its levels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change<'a> {
    /// The venue's symbol.
    pub symbol: &'a str,
    /// When, in ms.
    pub ts: u64,
    /// The venue's checksum; 0 is none.
    pub checksum: i32,
    /// Its number.
    pub seq_id: Option<u64>,
    /// The number before it; −1 is none.
    pub prev_seq_id: Option<i64>,
}

impl Book {
    /// Reads a message of the `books` channel, its levels into the buffers.
    ///
    /// # Errors
    /// What the library says.
    #[inline]
    pub fn read_books<'a>(&mut self, message: &'a [u8]) -> Result<Change<'a>, serde_json::Error> {
        self.bids.clear();
        self.asks.clear();
        let mut json = serde_json::Deserializer::from_slice(message);
        let change = Message(self).deserialize(&mut json)?;
        json.end()?;
        Ok(change)
    }
}

/// A message, its one entry and the levels in it, with the buffers handed through.
struct Message<'b>(&'b mut Book);
struct Entries<'b>(&'b mut Book);
struct Entry<'b>(&'b mut Book);
struct Levels<'b>(&'b mut Vec<Pair>);

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Field {
    Arg,
    Data,
    Asks,
    Bids,
    Ts,
    Checksum,
    SeqId,
    PrevSeqId,
    #[serde(other)]
    Other,
}

macro_rules! seed {
    ($name:ident, $method:ident, $value:ty) => {
        impl<'de> DeserializeSeed<'de> for $name<'_> {
            type Value = $value;

            #[inline]
            fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<$value, D::Error> {
                from.$method(self)
            }
        }
    };
}

seed!(Message, deserialize_map, Change<'de>);
seed!(Entries, deserialize_seq, Change<'de>);
seed!(Entry, deserialize_map, Change<'de>);
seed!(Levels, deserialize_seq, ());

impl<'de> Visitor<'de> for Message<'_> {
    type Value = Change<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message of a channel")
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Change<'de>, A::Error> {
        let (mut arg, mut change) = (Arg::default(), Change::default());
        while let Some(field) = map.next_key()? {
            match field {
                Field::Arg => arg = map.next_value()?,
                Field::Data => change = map.next_value_seed(Entries(&mut *self.0))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Change { symbol: arg.inst_id, ..change })
    }
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = Change<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one entry")
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Change<'de>, A::Error> {
        let change = seq.next_element_seed(Entry(self.0))?;
        change.ok_or_else(|| A::Error::invalid_length(0, &"one entry"))
    }
}

impl<'de> Visitor<'de> for Entry<'_> {
    type Value = Change<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a book")
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Change<'de>, A::Error> {
        let mut change = Change::default();
        while let Some(field) = map.next_key()? {
            match field {
                Field::Asks => map.next_value_seed(Levels(&mut self.0.asks))?,
                Field::Bids => map.next_value_seed(Levels(&mut self.0.bids))?,
                Field::Ts => change.ts = map.next_value::<Digits>()?.0,
                Field::Checksum => change.checksum = map.next_value()?,
                Field::SeqId => change.seq_id = Some(map.next_value()?),
                Field::PrevSeqId => change.prev_seq_id = Some(map.next_value()?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(change)
    }
}

impl<'de> Visitor<'de> for Levels<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of [price, quantity, …]")
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(Level(price, quantity, ..)) = seq.next_element()? {
            self.0.push((price.0, quantity.0));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_book_message_is_read_into_the_same_buffers() {
        let mut book = Book::default();
        for _ in 0..2 {
            let message = br#"{"arg":{"channel":"books","instId":"X-Y"},"action":"update","data":[{"asks":[["1.10","2","0","1"]],"bids":[],"ts":"7","checksum":-3,"seqId":5,"prevSeqId":-1}]}"#;
            let change = book.read_books(message).unwrap();
            let (seq_id, prev_seq_id) = (Some(5), Some(-1));
            let expected = Change { symbol: "X-Y", ts: 7, checksum: -3, seq_id, prev_seq_id };
            assert_eq!(change, expected);
            assert_eq!((book.bids.len(), book.asks[0].0.to_string()), (0, "1.10".to_owned()));
        }
        assert!(book.read_books(br#"{"arg":{"instId":"X"},"data":[]}"#).is_err());
    }

    #[test]
    fn other_messages_are_read_from_their_envelope() {
        let push: Push<'_, Candle<'_>> = read(br#"{"arg":{"channel":"candle1m","instId":"X-Y"},"data":[["1","2","3","4","5","6","7","8","1"]]}"#).unwrap();
        assert_eq!((push.arg.inst_id, push.data[0].0, push.data[0].8), ("X-Y", Digits(1), "1"));
    }
}
