//! The same for Coinbase's channels.

use std::fmt;

use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::{Book, Levels, Number};

/// Reads a message.
///
/// # Errors
/// What the library says.
#[inline]
pub fn read<'a, T: Deserialize<'a>>(message: &'a [u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(message)
}

/// A trade.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Match<'a> {
    /// The venue's symbol.
    pub product_id: &'a str,
    /// Number of the trade.
    pub trade_id: u64,
    /// Of the order that was there: `buy` or `sell`.
    pub side: &'a str,
    /// Quantity.
    pub size: Number,
    /// Price.
    pub price: Number,
    /// When it happened.
    pub time: &'a str,
}

/// Statistics of the last 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Ticker<'a> {
    /// The venue's symbol.
    pub product_id: &'a str,
    /// Its position.
    pub sequence: u64,
    /// Last price.
    pub price: Number,
    /// First price.
    pub open_24h: Number,
    /// Traded quantity.
    pub volume_24h: Number,
    /// Lowest price.
    pub low_24h: Number,
    /// Highest price.
    pub high_24h: Number,
    /// Best bid.
    pub best_bid: Number,
    /// Best offer.
    pub best_ask: Number,
    /// When.
    pub time: &'a str,
    /// Last quantity.
    pub last_size: Number,
}

/// The fields of a snapshot or update besides its levels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change<'a> {
    /// The venue's symbol.
    pub product_id: &'a str,
    /// When; a snapshot does not say.
    pub time: Option<&'a str>,
}

impl Book {
    /// Reads a snapshot or update, its levels into the buffers.
    ///
    /// # Errors
    /// What the library says.
    #[inline]
    pub fn read_product<'a>(&mut self, message: &'a [u8]) -> Result<Change<'a>, serde_json::Error> {
        self.bids.clear();
        self.asks.clear();
        let mut json = serde_json::Deserializer::from_slice(message);
        let change = Product(self).deserialize(&mut json)?;
        json.end()?;
        Ok(change)
    }
}

/// A snapshot or update.
struct Product<'b>(&'b mut Book);

/// `[["buy","22356.27","0.00000000"],…]`
struct Changes<'b>(&'b mut Book);

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    ProductId,
    Bids,
    Asks,
    Changes,
    Time,
    #[serde(other)]
    Other,
}

impl<'de> DeserializeSeed<'de> for Product<'_> {
    type Value = Change<'de>;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Change<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Product<'_> {
    type Value = Change<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a snapshot or an update")
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Change<'de>, A::Error> {
        let (mut product_id, mut time) = (None, None);
        while let Some(field) = map.next_key()? {
            match field {
                Field::ProductId => product_id = Some(map.next_value()?),
                Field::Bids => map.next_value_seed(Levels(&mut self.0.bids))?,
                Field::Asks => map.next_value_seed(Levels(&mut self.0.asks))?,
                Field::Changes => map.next_value_seed(Changes(&mut *self.0))?,
                Field::Time => time = Some(map.next_value()?),
                Field::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let product_id = product_id.ok_or_else(|| A::Error::missing_field("product_id"))?;
        Ok(Change { product_id, time })
    }
}

impl<'de> DeserializeSeed<'de> for Changes<'_> {
    type Value = ();

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Changes<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of [side, price, size]")
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some((side, price, size)) = seq.next_element::<(&str, Number, Number)>()? {
            let levels = if side == "buy" { &mut self.0.bids } else { &mut self.0.asks };
            levels.push((price.0, size.0));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_and_snapshots_are_read_into_the_same_buffers() {
        let mut book = Book::default();
        let update = br#"{"type":"l2update","product_id":"X","changes":[["buy","0.10","2"],["sell","3","0"]],"time":"t"}"#;
        let change = book.read_product(update).unwrap();
        assert_eq!(change, Change { product_id: "X", time: Some("t") });
        assert_eq!((book.bids[0].0.to_string(), book.asks.len()), ("0.10".to_owned(), 1));
        let snapshot = br#"{"type":"snapshot","product_id":"X","asks":[["2","1"]],"bids":[]}"#;
        assert_eq!(book.read_product(snapshot).unwrap().time, None);
        assert_eq!((book.bids.len(), book.asks.len()), (0, 1));
        assert!(book.read_product(b"{}").is_err());
    }
}
