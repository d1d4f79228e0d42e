//! REST answers: instrument lists, books, newest trade.
//!
//! Sources: okx.com/docs-v5, "Public Data / Get instruments", "Order Book Trading / Market Data /
//! Get order book" and "Get trades".

use model::instrument::{Contract, Trading, canonical_name};
use model::venue::{Bulk, DepthSnapshot, Listing};
use model::{Decimal, Error, Instrument, Nanos};
use serde::Deserialize;

use super::habits::split_symbol;
use super::wire::Integer;
use crate::json::fallback::{Levels, Number, Raw, Text, read, read_raw, start_of};

/// What every answer is wrapped in: `{"code":"0","msg":"","data":[…]}`.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    code: Text<'a>,
    #[serde(borrow)]
    msg: Option<Text<'a>>,
    #[serde(borrow, default)]
    data: Vec<Raw<'a>>,
}

fn entries(body: &[u8]) -> Result<Vec<Raw<'_>>, Error> {
    let answer: Answer<'_> = read(body)?;
    if answer.code.0 == "0" {
        return Ok(answer.data);
    }
    let words = answer.msg.unwrap_or_default();
    Err(Error::ignore(format!("the venue answers with code {}: {}", answer.code.0, words.0)))
}

/// Reads `instruments`. One entry that can't be read does not keep the others from being read.
///
/// # Errors
/// The answer as a whole is no instrument list.
pub fn read_listings(body: &[u8]) -> Result<Bulk, Error> {
    let entries = entries(body)?;
    let (mut listings, mut unreadable) = (Vec::with_capacity(entries.len()), Vec::new());
    for raw in entries {
        match read_raw::<Entry<'_>>(raw).and_then(|entry| entry.listing()) {
            Ok(listing) => listings.push(listing),
            Err(error) => unreadable.push(format!("{}: {}", start_of(raw.get()), error.message)),
        }
    }
    Ok(Bulk::Listings { listings, unreadable })
}

/// Reads `books`: `[{"asks":[["price","quantity","0","orders"]],"bids":[…],"ts":"…","seqId":…}]`.
///
/// # Errors
/// The answer is no book, or one without the number that joins it to the stream.
pub fn read_depth(body: &[u8]) -> Result<Bulk, Error> {
    #[derive(Deserialize)]
    struct Depth {
        asks: Levels,
        bids: Levels,
        ts: Integer,
        #[serde(rename = "seqId")]
        seq_last: u64,
    }
    let entries = entries(body)?;
    let [raw] = entries.as_slice() else {
        return Err(Error::ignore(format!("{} books in an answer to one", entries.len())));
    };
    let depth: Depth = read_raw(raw)?;
    let (bids, asks) = (depth.bids.0, depth.asks.0);
    let ts_event = Some(Nanos::from_millis(depth.ts.0));
    Ok(Bulk::Depth(DepthSnapshot { seq_last: depth.seq_last, ts_event, bids, asks }))
}

/// Reads `trades?limit=1`: `[{"tradeId":"…",…}]`.
///
/// # Errors
/// The answer is no list of trades.
pub fn read_last_trade(body: &[u8]) -> Result<Bulk, Error> {
    #[derive(Deserialize)]
    struct Trade {
        #[serde(rename = "tradeId")]
        id: Integer,
    }
    let mut newest = None;
    for raw in entries(body)? {
        newest = newest.max(Some(read_raw::<Trade>(raw)?.id.0));
    }
    Ok(Bulk::LastTrade(newest))
}

/// An entry of `instruments`; what a type of instrument lacks is an empty text.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    #[serde(borrow)]
    inst_id: Text<'a>,
    #[serde(borrow)]
    tick_sz: Option<Raw<'a>>,
    #[serde(borrow)]
    lot_sz: Option<Raw<'a>>,
    #[serde(borrow)]
    ct_val: Option<Raw<'a>>,
    #[serde(borrow)]
    ct_mult: Option<Raw<'a>>,
    #[serde(borrow)]
    state: Option<Text<'a>>,
}

impl Entry<'_> {
    fn listing(&self) -> Result<Listing, Error> {
        let symbol = &*self.inst_id.0;
        let (base, quote, contract) = split_symbol(symbol).ok_or_else(|| {
            Error::ignore("neither BASE-QUOTE nor with -SWAP or -YYMMDD behind it")
        })?;
        let (tick, lot) = (step(self.tick_sz)?, step(self.lot_sz)?);
        let places = |step: Option<Decimal>| step.map(|step| step.normalize().scale());
        Ok(Listing {
            symbol: symbol.into(),
            instrument: Instrument {
                name: canonical_name(base, quote, contract).into(),
                contract,
                trading: self.trading(),
                tick,
                lot,
                notional_min: None,
                contract_size: if contract == Contract::Spot { None } else { self.size()? },
                price_places: places(tick),
                quantity_places: places(lot),
            },
        })
    }

    /// The contract's value, in base currency where it is linear and in quote currency where it is
    /// inverse, times its multiplier.
    fn size(&self) -> Result<Option<Decimal>, Error> {
        let (Some(value), multiplier) = (step(self.ct_val)?, step(self.ct_mult)?) else {
            return Ok(None);
        };
        let multiplier = multiplier.unwrap_or(Decimal::ONE);
        let size = value.checked_mul(multiplier).ok_or_else(|| {
            Error::ignore(format!("a contract of {value} × {multiplier} can't be held exactly"))
        })?;
        Ok(Some(size))
    }

    fn trading(&self) -> Trading {
        match self.state.as_ref().map(|state| &*state.0) {
            Some("live") => Trading::Open,
            Some("suspend" | "preopen") => Trading::Halted,
            other => Trading::Other(other.unwrap_or_default().into()),
        }
    }
}

/// A positive number; an empty text or zero is none.
fn step(raw: Option<Raw<'_>>) -> Result<Option<Decimal>, Error> {
    match raw.filter(|raw| raw.get() != "\"\"") {
        None => Ok(None),
        Some(raw) => Ok(Some(read_raw::<Number>(raw)?.0).filter(|step| !step.is_zero())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listings(body: &str) -> (Vec<Listing>, Vec<String>) {
        match read_listings(body.as_bytes()).unwrap() {
            Bulk::Listings { listings, unreadable } => (listings, unreadable),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn entries_give_tick_lot_and_what_a_contract_is_worth() {
        let (listings, unreadable) = listings(
            r#"{"code":"0","msg":"","data":[
            {"instType":"SPOT","instId":"BTC-USDT","baseCcy":"BTC","quoteCcy":"USDT","tickSz":"0.1",
             "lotSz":"0.00000001","minSz":"0.00001","ctVal":"","ctMult":"","state":"live"},
            {"instType":"SWAP","instId":"BTC-USDT-SWAP","settleCcy":"USDT","ctVal":"0.01",
             "ctMult":"1","ctType":"linear","tickSz":"0.1","lotSz":"0.01","state":"suspend"},
            {"instType":"SWAP","instId":"BTC-USD-SWAP","settleCcy":"BTC","ctVal":"100",
             "ctMult":"1","ctType":"inverse","tickSz":"0.1","lotSz":"1","state":"test"},
            {"instType":"FUTURES","instId":"BTC-USD_UM-261225","ctVal":"0.001","ctMult":"10",
             "tickSz":"0.10","lotSz":"1","state":"live"},
            {"instType":"OPTION","instId":"BTC-USD-261225-90000-C","tickSz":"0.1"},7]}"#,
        );
        let facts: Vec<_> = listings
            .iter()
            .map(|l| {
                let size = l.instrument.contract_size.map(|size| size.normalize().to_string());
                (&*l.instrument.name, l.instrument.price_places, size)
            })
            .collect();
        let some = |size: &str| Some(size.to_owned());
        assert_eq!(
            facts,
            [
                ("BTC-USDT", Some(1), None),
                ("BTC-USDT-PERP", Some(1), some("0.01")),
                ("BTC-USD-PERP", Some(1), some("100")),
                ("BTC-USD_UM-261225", Some(1), some("0.01")),
            ]
        );
        assert_eq!(listings[0].instrument.quantity_places, Some(8));
        assert_eq!(listings[0].instrument.trading, Trading::Open);
        assert_eq!(listings[1].instrument.trading, Trading::Halted);
        assert_eq!(listings[2].instrument.trading, Trading::Other("test".into()));
        assert_eq!(unreadable.len(), 2);
        assert!(unreadable[0].contains("neither BASE-QUOTE"), "{}", unreadable[0]);
    }

    #[test]
    fn books_and_trades_are_read_and_nonsense_is_refused() {
        let body = br#"{"code":"0","msg":"","data":[{"asks":[["41006.8","0.6","0","1"]],
            "bids":[["41006.3","0.3","0","2"]],"ts":"1629966436396","seqId":7}]}"#;
        let Bulk::Depth(depth) = read_depth(body).unwrap() else { panic!() };
        assert_eq!((depth.seq_last, depth.bids.len(), depth.asks.len()), (7, 1, 1));
        assert_eq!(depth.ts_event, Some(Nanos::from_millis(1_629_966_436_396)));
        let trades = br#"{"code":"0","data":[{"tradeId":"5"},{"tradeId":"4"}]}"#;
        assert_eq!(read_last_trade(trades), Ok(Bulk::LastTrade(Some(5))));
        assert_eq!(read_last_trade(br#"{"code":"0","data":[]}"#), Ok(Bulk::LastTrade(None)));
        let refused = br#"{"code":"51001","msg":"Instrument ID does not exist","data":[]}"#;
        let error = read_depth(refused).unwrap_err();
        assert!(error.message.contains("51001") && error.message.contains("does not exist"));
        let without = br#"{"code":"0","data":[{"asks":[],"bids":[],"ts":"1"}]}"#;
        assert!(read_depth(without).unwrap_err().message.contains("seqId"));
        for wrong in [&b"{}"[..], b"", b"<html>", br#"{"code":"0","data":[1,2]}"#] {
            assert!(read_depth(wrong).is_err());
        }
        assert!(read_listings(b"[]").is_err());
    }
}
