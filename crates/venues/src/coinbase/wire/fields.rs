//! The same messages in any order of fields: the fallback, and the only source of errors.

use std::borrow::Cow;
use std::fmt;

use model::event::{Ticker, Trade};
use model::{CanonicalEvent, Error, Kind, Level, Side};
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};

use super::{fill_book, fill_ticker, fill_trade};
use crate::channels::Message;
use crate::json::fallback::{Levels, Number, Text, Utc, read};

/// What tells the messages apart.
#[derive(serde::Deserialize)]
struct Head<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Text<'a>>,
}

/// Reads a message of any spelling into `event`.
///
/// # Errors
/// As [`super::read`].
pub fn read_slowly<'a>(
    message: &'a [u8],
    event: &mut CanonicalEvent,
) -> Result<Message<'a>, Error> {
    let head: Head<'a> = read(message)?;
    let symbol = match head.kind.as_ref().map(|kind| &*kind.0) {
        Some("l2update") => read::<Update<'a>>(message)?.fill(event),
        Some("snapshot") => read::<Snapshot<'a>>(message)?.fill(event),
        Some("match") => read::<Match<'a>>(message)?.fill(event),
        Some("ticker") => read::<DayTicker<'a>>(message)?.fill(event),
        Some("last_match") => {
            let Match { product_id, trade_id, .. } = read(message)?;
            let (kind, symbol) = (Kind::Trade, product_id.0);
            return Ok(Message::History { kind, symbol, position: trade_id });
        }
        Some("heartbeat") => {
            let Heartbeat { product_id, last_trade_id } = read(message)?;
            return Ok(Message::Alive { symbol: product_id.0, last_trade: last_trade_id });
        }
        Some("subscriptions") => return subscriptions(message),
        Some("error") => {
            let Complaint { message, reason } = read(message)?;
            let reason = reason.unwrap_or_default();
            return Ok(Message::Refused(format!("{}: {}", message.0, reason.0)));
        }
        Some(_) => return Ok(Message::Unknown(head.kind.unwrap_or_default().0)),
        None => return Err(Error::ignore("a message without the field `type`")),
    };
    Ok(Message::Event { symbol, more: Vec::new() })
}

/// The product of a message about its book, as far as that can be read.
#[must_use]
pub fn book_of(message: &[u8]) -> Option<Cow<'_, str>> {
    #[derive(serde::Deserialize)]
    struct Subject<'a> {
        #[serde(rename = "type", borrow)]
        kind: Text<'a>,
        #[serde(borrow)]
        product_id: Text<'a>,
    }
    let Subject { kind, product_id } = read(message).ok()?;
    matches!(&*kind.0, "l2update" | "snapshot").then_some(product_id.0)
}

/// `{"type":"subscriptions","channels":[{"name":"matches","product_ids":["ETH-USD"]}]}`: all that
/// are in force on the connection.
fn subscriptions(message: &[u8]) -> Result<Message<'_>, Error> {
    #[derive(serde::Deserialize)]
    struct Subscriptions<'a> {
        #[serde(borrow)]
        channels: Vec<Channel<'a>>,
    }
    #[derive(serde::Deserialize)]
    struct Channel<'a> {
        #[serde(borrow)]
        name: Text<'a>,
        #[serde(borrow, default)]
        product_ids: Vec<Text<'a>>,
    }
    let Subscriptions { channels } = read(message)?;
    let mut confirmed = Vec::new();
    for Channel { name, product_ids } in channels {
        let kind = match &*name.0 {
            "level2" | "level2_batch" => Kind::BookUpdate,
            "matches" => Kind::Trade,
            "ticker" => Kind::Ticker,
            _ => continue,
        };
        confirmed.extend(product_ids.into_iter().map(|product| (kind, product.0)));
    }
    Ok(Message::Confirmed(confirmed))
}

#[derive(serde::Deserialize)]
struct Complaint<'a> {
    #[serde(borrow)]
    message: Text<'a>,
    #[serde(borrow)]
    reason: Option<Text<'a>>,
}

#[derive(serde::Deserialize)]
struct Heartbeat<'a> {
    #[serde(borrow)]
    product_id: Text<'a>,
    last_trade_id: u64,
}

#[derive(serde::Deserialize)]
struct Update<'a> {
    #[serde(borrow)]
    product_id: Text<'a>,
    changes: Vec<Change>,
    time: Option<Utc>,
}

impl<'a> Update<'a> {
    fn fill(self, event: &mut CanonicalEvent) -> Cow<'a, str> {
        for Change(side, level) in self.changes {
            let levels = if side == Side::Buy { &mut event.bids } else { &mut event.asks };
            levels.push(level);
        }
        fill_book(event, Kind::BookUpdate, self.time.map(|time| time.0));
        self.product_id.0
    }
}

/// `["buy","22356.27","0.00000000"]`
struct Change(Side, Level);

impl<'de> Deserialize<'de> for Change {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ChangeVisitor;
        impl<'de> Visitor<'de> for ChangeVisitor {
            type Value = Change;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[side, price, size]")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Change, A::Error> {
                let missing = |n| de::Error::invalid_length(n, &"a side, a price and a size");
                let MakerSide(side) = seq.next_element()?.ok_or_else(|| missing(0))?;
                let Number(price) = seq.next_element()?.ok_or_else(|| missing(1))?;
                let Number(quantity) = seq.next_element()?.ok_or_else(|| missing(2))?;
                while seq.next_element::<de::IgnoredAny>()?.is_some() {}
                Ok(Change(side, Level { price, quantity }))
            }
        }
        deserializer.deserialize_seq(ChangeVisitor)
    }
}

/// `buy` or `sell`.
struct MakerSide(Side);

impl<'de> Deserialize<'de> for MakerSide {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Text(text) = Text::deserialize(deserializer)?;
        match &*text {
            "buy" => Ok(Self(Side::Buy)),
            "sell" => Ok(Self(Side::Sell)),
            other => Err(de::Error::custom(format_args!("side '{other}' is neither buy nor sell"))),
        }
    }
}

#[derive(serde::Deserialize)]
struct Snapshot<'a> {
    #[serde(borrow)]
    product_id: Text<'a>,
    bids: Levels,
    asks: Levels,
    time: Option<Utc>,
}

impl<'a> Snapshot<'a> {
    fn fill(self, event: &mut CanonicalEvent) -> Cow<'a, str> {
        event.bids.extend_from_slice(&self.bids.0);
        event.asks.extend_from_slice(&self.asks.0);
        fill_book(event, Kind::BookSnapshot, self.time.map(|time| time.0));
        self.product_id.0
    }
}

#[derive(serde::Deserialize)]
struct Match<'a> {
    #[serde(borrow)]
    product_id: Text<'a>,
    trade_id: u64,
    side: MakerSide,
    size: Number,
    price: Number,
    time: Utc,
}

impl<'a> Match<'a> {
    fn fill(self, event: &mut CanonicalEvent) -> Cow<'a, str> {
        let Self { price: Number(price), size: Number(quantity), trade_id, .. } = self;
        let trade = Trade { price, quantity, trade_id, ..Trade::default() };
        fill_trade(event, self.side.0, trade, self.time.0);
        self.product_id.0
    }
}

#[derive(serde::Deserialize)]
struct DayTicker<'a> {
    #[serde(borrow)]
    product_id: Text<'a>,
    sequence: u64,
    price: Number,
    open_24h: Option<Number>,
    volume_24h: Option<Number>,
    low_24h: Option<Number>,
    high_24h: Option<Number>,
    best_bid: Option<Number>,
    best_ask: Option<Number>,
    last_size: Option<Number>,
    time: Option<Utc>,
}

impl<'a> DayTicker<'a> {
    fn fill(self, event: &mut CanonicalEvent) -> Cow<'a, str> {
        let value = |number: Option<Number>| number.map(|number| number.0);
        let ticker = Ticker {
            last: self.price.0,
            last_quantity: value(self.last_size),
            open: value(self.open_24h),
            high: value(self.high_24h),
            low: value(self.low_24h),
            volume: value(self.volume_24h),
            quote_volume: None,
            bid: value(self.best_bid),
            ask: value(self.best_ask),
        };
        fill_ticker(event, self.sequence, &ticker, self.time.map(|time| time.0));
        self.product_id.0
    }
}
