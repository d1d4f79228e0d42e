//! The same for Kraken's channels, whose numbers stand without quotation marks: the library keeps
//! their text (`RawValue`), and the decimals are parsed from it.

use std::fmt;

use rust_decimal::Decimal;
use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

use super::Book;

/// A decimal number from its own digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exact(pub Decimal);

impl<'de> Deserialize<'de> for Exact {
    #[inline]
    #[expect(clippy::disallowed_methods, reason = "the library's own way is measured")]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?.get();
        Decimal::from_str_exact(text).map(Self).map_err(D::Error::custom)
    }
}

/// Reads the entries of a message.
///
/// # Errors
/// What the library says.
#[inline]
pub fn read<'a, T: Deserialize<'a>>(
    message: &'a [u8],
) -> Result<Message<'a, T>, serde_json::Error> {
    serde_json::from_slice(message)
}

/// A message of a channel.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Message<'a, T> {
    /// When it was sent; candles only.
    pub timestamp: Option<&'a str>,
    /// What it says.
    pub data: Vec<T>,
}

/// A trade.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Trade<'a> {
    /// The venue's symbol.
    pub symbol: &'a str,
    /// `buy` or `sell`.
    pub side: &'a str,
    /// Price.
    pub price: Exact,
    /// Quantity.
    pub qty: Exact,
    /// Number of the trade.
    pub trade_id: u64,
    /// When it happened.
    pub timestamp: &'a str,
}

/// Statistics of the last 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Ticker<'a> {
    /// The venue's symbol.
    pub symbol: &'a str,
    /// Best bid.
    pub bid: Exact,
    /// Best offer.
    pub ask: Exact,
    /// Last price.
    pub last: Exact,
    /// Traded quantity.
    pub volume: Exact,
    /// Lowest price.
    pub low: Exact,
    /// Highest price.
    pub high: Exact,
    /// When.
    pub timestamp: Option<&'a str>,
}

/// A candle.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Candle<'a> {
    /// The venue's symbol.
    pub symbol: &'a str,
    /// First price.
    pub open: Exact,
    /// Highest price.
    pub high: Exact,
    /// Lowest price.
    pub low: Exact,
    /// Last price.
    pub close: Exact,
    /// Number of trades.
    pub trades: u64,
    /// Traded quantity.
    pub volume: Exact,
    /// First instant.
    pub interval_begin: &'a str,
    /// Length in minutes.
    pub interval: u32,
}

/// The fields of a snapshot or update besides its levels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change<'a> {
    /// The venue's symbol.
    pub symbol: &'a str,
    /// Of the book after it.
    pub checksum: u32,
    /// When.
    pub timestamp: Option<&'a str>,
}

impl Book {
    /// Reads a snapshot or update, its levels into the buffers.
    ///
    /// # Errors
    /// What the library says.
    #[inline]
    pub fn read_channel<'a>(&mut self, message: &'a [u8]) -> Result<Change<'a>, serde_json::Error> {
        self.bids.clear();
        self.asks.clear();
        let mut json = serde_json::Deserializer::from_slice(message);
        let change = Envelope(self).deserialize(&mut json)?;
        json.end()?;
        Ok(change)
    }
}

/// [`Message`], with the buffers handed through.
struct Envelope<'b>(&'b mut Book);

/// The list of one entry.
struct Entries<'b>(&'b mut Book);

/// The entry.
struct Entry<'b>(&'b mut Book);

/// A side's levels.
struct Levels<'b>(&'b mut Vec<super::Pair>);

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum EnvelopeField {
    Data,
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum EntryField {
    Symbol,
    Bids,
    Asks,
    Checksum,
    Timestamp,
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct OneLevel {
    price: Exact,
    qty: Exact,
}

impl<'de> DeserializeSeed<'de> for Envelope<'_> {
    type Value = Change<'de>;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Change<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Envelope<'_> {
    type Value = Change<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message of a channel")
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Change<'de>, A::Error> {
        let mut change = None;
        while let Some(field) = map.next_key()? {
            match field {
                EnvelopeField::Data => change = Some(map.next_value_seed(Entries(&mut *self.0))?),
                EnvelopeField::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        change.ok_or_else(|| A::Error::missing_field("data"))
    }
}

impl<'de> DeserializeSeed<'de> for Entries<'_> {
    type Value = Change<'de>;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Change<'de>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = Change<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of one book")
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Change<'de>, A::Error> {
        let change = seq.next_element_seed(Entry(&mut *self.0))?;
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        change.ok_or_else(|| A::Error::custom("no book"))
    }
}

impl<'de> DeserializeSeed<'de> for Entry<'_> {
    type Value = Change<'de>;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Change<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Entry<'_> {
    type Value = Change<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a book")
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Change<'de>, A::Error> {
        let missing = A::Error::missing_field;
        let (mut symbol, mut checksum, mut timestamp) = (None, None, None);
        while let Some(field) = map.next_key()? {
            match field {
                EntryField::Symbol => symbol = Some(map.next_value()?),
                EntryField::Bids => map.next_value_seed(Levels(&mut self.0.bids))?,
                EntryField::Asks => map.next_value_seed(Levels(&mut self.0.asks))?,
                EntryField::Checksum => checksum = Some(map.next_value()?),
                EntryField::Timestamp => timestamp = Some(map.next_value()?),
                EntryField::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Change {
            symbol: symbol.ok_or_else(|| missing("symbol"))?,
            checksum: checksum.ok_or_else(|| missing("checksum"))?,
            timestamp,
        })
    }
}

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
        f.write_str("a list of prices with quantities")
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(OneLevel { price, qty }) = seq.next_element()? {
            self.0.push((price.0, qty.0));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits_and_buffers_are_used_again() {
        let mut book = Book::default();
        for _ in 0..2 {
            let message = br#"{"channel":"book","type":"update","data":[{"symbol":"X","bids":[{"price":0.10,"qty":2.00000000}],"asks":[],"checksum":7,"timestamp":"t"}]}"#;
            let change = book.read_channel(message).unwrap();
            assert_eq!(change, Change { symbol: "X", checksum: 7, timestamp: Some("t") });
            assert_eq!((book.bids.len(), book.asks.len()), (1, 0));
            assert_eq!(book.bids[0].1.to_string(), "2.00000000");
        }
        assert!(book.read_channel(br#"{"data":[]}"#).is_err());
        let trades: Message<'_, Trade<'_>> = read(br#"{"channel":"trade","type":"update","data":[{"symbol":"X","side":"buy","price":0.10,"qty":1,"ord_type":"limit","trade_id":5,"timestamp":"t"}]}"#).unwrap();
        assert_eq!(
            (trades.data[0].trade_id, trades.data[0].price.0.to_string()),
            (5, "0.10".into())
        );
    }
}
