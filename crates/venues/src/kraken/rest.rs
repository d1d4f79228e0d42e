//! REST answers: what probes ask.
//!
//! Sources: docs.kraken.com/api-reference/market-data, pages `get-order-book` and
//! `get-recent-trades`. Pairs may be written as on the socket (`BTC/USD`), which is not documented;
//! the answer names the pair in a third way, so the one entry that there is counts. Errors come with
//! status 200.

use std::fmt;

use model::Error;
use model::venue::{Bulk, DepthSnapshot};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::json::fallback::{Levels, Raw, Text, read, read_raw};

/// Best levels of a pair.
#[must_use]
pub fn depth_path(symbol: &str) -> String {
    format!("/0/public/Depth?pair={symbol}&count=1")
}

/// The newest trade of a pair.
#[must_use]
pub fn trades_path(symbol: &str) -> String {
    format!("/0/public/Trades?pair={symbol}&count=1")
}

/// Reads `{"error":[],"result":{"XXBTZUSD":{"asks":[["77586.4","0.001",1788332500]],"bids":[…]}}}`.
/// It has no number, so `seq_last` is 0.
///
/// # Errors
/// [`Remedy::Reject`](model::Remedy::Reject) for the venue's own complaint; else the answer is no
/// book.
pub fn read_depth(body: &[u8]) -> Result<Bulk, Error> {
    #[derive(Deserialize)]
    struct Depth {
        bids: Levels,
        asks: Levels,
    }
    let Depth { bids, asks } = read_raw(result(body)?)?;
    Ok(Bulk::Depth(DepthSnapshot { bids: bids.0, asks: asks.0, ..DepthSnapshot::default() }))
}

/// Reads `{"error":[],"result":{"XXBTZUSD":[[price,volume,time,side,type,misc,id]],"last":"…"}}`.
///
/// # Errors
/// As [`read_depth`].
pub fn read_last_trade(body: &[u8]) -> Result<Bulk, Error> {
    let trades: Vec<TradeId> = read_raw(result(body)?)?;
    Ok(Bulk::LastTrade(trades.iter().map(|trade| trade.0).max()))
}

/// The pair's part of an answer.
fn result(body: &[u8]) -> Result<Raw<'_>, Error> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow, default)]
        error: Vec<Text<'a>>,
        #[serde(borrow)]
        result: Option<OnePair<'a>>,
    }
    let answer: Answer<'_> = read(body)?;
    if let Some(Text(error)) = answer.error.first() {
        return Err(Error::reject(error.clone().into_owned()));
    }
    let pair = answer.result.and_then(|result| result.0);
    pair.ok_or_else(|| Error::ignore("an answer without a pair"))
}

/// The entry that is not `last`.
struct OnePair<'a>(Option<Raw<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for OnePair<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairVisitor;
        impl<'de> Visitor<'de> for PairVisitor {
            type Value = OnePair<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with an entry for the pair")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pair = None;
                while let Some(Text(name)) = map.next_key()? {
                    if name == "last" {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        pair = Some(map.next_value()?);
                    }
                }
                Ok(OnePair(pair))
            }
        }
        deserializer.deserialize_map(PairVisitor)
    }
}

/// The last of a trade's seven entries.
struct TradeId(u64);

impl<'de> Deserialize<'de> for TradeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TradeVisitor;
        impl<'de> Visitor<'de> for TradeVisitor {
            type Value = TradeId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[price, volume, time, side, type, misc, id]")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<TradeId, A::Error> {
                for at in 0..6 {
                    let missing = || serde::de::Error::invalid_length(at, &self);
                    seq.next_element::<IgnoredAny>()?.ok_or_else(missing)?;
                }
                let id = seq.next_element()?;
                let id = id.ok_or_else(|| serde::de::Error::invalid_length(6, &self))?;
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(TradeId(id))
            }
        }
        deserializer.deserialize_seq(TradeVisitor)
    }
}

#[cfg(test)]
mod tests {
    use model::Remedy;

    use super::*;

    #[test]
    fn the_best_levels_and_the_newest_trade_are_read() {
        let body =
            br#"{"error":[],"result":{"XXBTZUSD":{"asks":[["77586.40000","0.001",1788332500]],
            "bids":[["77586.30000","0.072",1788332499]]}}}"#;
        let Bulk::Depth(depth) = read_depth(body).unwrap() else { panic!() };
        assert_eq!(depth.asks[0].price.to_string(), "77586.40000");
        assert_eq!((depth.bids.len(), depth.seq_last), (1, 0));
        let body = br#"{"error":[],"result":{"last":"1688669597","XXBTZUSD":[
            ["30243.40000","0.34507674",1688669597.8277369,"b","m","",61044952]]}}"#;
        assert_eq!(read_last_trade(body), Ok(Bulk::LastTrade(Some(61_044_952))));
        let none = br#"{"error":[],"result":{"XXBTZUSD":[],"last":"0"}}"#;
        assert_eq!(read_last_trade(none), Ok(Bulk::LastTrade(None)));
    }

    #[test]
    fn a_complaint_is_told_from_nonsense() {
        let error = read_depth(br#"{"error":["EQuery:Unknown asset pair"]}"#).unwrap_err();
        assert_eq!(error.remedy, Remedy::Reject);
        assert!(error.message.contains("Unknown asset pair"));
        for nonsense in [&b""[..], b"<html>", b"[]", br#"{"error":[],"result":{}}"#] {
            assert_eq!(read_depth(nonsense).unwrap_err().remedy, Remedy::Ignore);
            assert_eq!(read_last_trade(nonsense).unwrap_err().remedy, Remedy::Ignore);
        }
        let short = br#"{"error":[],"result":{"XXBTZUSD":[["1","1",1.5,"b","m"]]}}"#;
        assert!(read_last_trade(short).unwrap_err().message.contains("misc"));
    }
}
