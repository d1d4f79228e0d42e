//! REST answers: instrument list, depth, newest trade; the same for the three lines.
//!
//! Sources: binance-spot-api-docs `rest-api.md` (`exchangeInfo`, `depth`, `aggTrades`);
//! developers.binance.com, the same for USDⓈ-M and COIN-M futures.

use model::instrument::{Contract, Expiry, Trading, canonical_name};
use model::venue::{Bulk, DepthSnapshot, Listing};
use model::{Decimal, Error, Instrument, Nanos};
use serde::Deserialize;

use crate::json::fallback::{Levels, Number, Raw, Text, read, read_raw, start_of};

/// Reads `exchangeInfo`. One entry that can't be read does not keep the others from being read.
///
/// # Errors
/// The answer as a whole is no instrument list.
pub fn read_listings(body: &[u8]) -> Result<Bulk, Error> {
    #[derive(Deserialize)]
    struct ExchangeInfo<'a> {
        #[serde(borrow)]
        symbols: Vec<Raw<'a>>,
    }
    let info: ExchangeInfo<'_> = read(body)?;
    let (mut listings, mut unreadable) = (Vec::with_capacity(info.symbols.len()), Vec::new());
    for raw in info.symbols {
        match read_raw::<Symbol<'_>>(raw).and_then(|symbol| symbol.listing()) {
            Ok(listing) => listings.push(listing),
            Err(error) => unreadable.push(format!("{}: {}", start_of(raw.get()), error.message)),
        }
    }
    Ok(Bulk::Listings { listings, unreadable })
}

/// Reads `depth`: `{"lastUpdateId":…,["E":…,"T":…,]"bids":[["price","quantity"]],"asks":[…]}`.
///
/// # Errors
/// The answer is no book.
pub fn read_depth(body: &[u8]) -> Result<Bulk, Error> {
    #[derive(Deserialize)]
    struct Depth {
        #[serde(rename = "lastUpdateId")]
        seq_last: u64,
        #[serde(rename = "E")]
        ts_event: Option<u64>,
        bids: Levels,
        asks: Levels,
    }
    let depth: Depth = read(body)?;
    let ts_event = depth.ts_event.map(Nanos::from_millis);
    let (bids, asks) = (depth.bids.0, depth.asks.0);
    Ok(Bulk::Depth(DepthSnapshot { seq_last: depth.seq_last, ts_event, bids, asks }))
}

/// Reads `aggTrades?limit=1`: `[{"a":26129,…}]`.
///
/// # Errors
/// The answer is no list of trades.
pub fn read_last_trade(body: &[u8]) -> Result<Bulk, Error> {
    #[derive(Deserialize)]
    struct Trade {
        a: u64,
    }
    let trades: Vec<Trade> = read(body)?;
    Ok(Bulk::LastTrade(trades.iter().map(|trade| trade.a).max()))
}

/// An entry of `exchangeInfo`; fields that only some lines have are optional.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Symbol<'a> {
    #[serde(borrow)]
    symbol: Text<'a>,
    #[serde(borrow)]
    base_asset: Text<'a>,
    #[serde(borrow)]
    quote_asset: Text<'a>,
    #[serde(borrow)]
    status: Option<Text<'a>>,
    #[serde(borrow)]
    contract_status: Option<Text<'a>>,
    #[serde(borrow)]
    contract_type: Option<Text<'a>>,
    delivery_date: Option<u64>,
    contract_size: Option<Number>,
    #[serde(borrow, default)]
    filters: Vec<Filter<'a>>,
}

/// One of many filters, told apart by `filterType`; unknown ones have none of these fields.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter<'a> {
    #[serde(borrow)]
    filter_type: Text<'a>,
    tick_size: Option<Number>,
    step_size: Option<Number>,
    min_notional: Option<Number>,
    notional: Option<Number>,
}

impl Symbol<'_> {
    fn listing(&self) -> Result<Listing, Error> {
        let contract = self.contract()?;
        let tick = self.filter("PRICE_FILTER", |f| f.tick_size);
        let lot = self.filter("LOT_SIZE", |f| f.step_size);
        let places = |step: Option<Decimal>| step.map(|step| step.normalize().scale());
        Ok(Listing {
            symbol: (*self.symbol.0).into(),
            instrument: Instrument {
                name: canonical_name(&self.base_asset.0, &self.quote_asset.0, contract).into(),
                contract,
                trading: self.trading(),
                tick,
                lot,
                // Spot calls it NOTIONAL or, in older lists, MIN_NOTIONAL; futures `notional`.
                notional_min: self
                    .filter("NOTIONAL", |f| f.min_notional)
                    .or_else(|| self.filter("MIN_NOTIONAL", |f| f.min_notional.or(f.notional))),
                contract_size: self.contract_size.map(|size| size.0),
                price_places: places(tick),
                quantity_places: places(lot),
            },
        })
    }

    /// A step of zero means that the filter is switched off.
    fn filter(&self, name: &str, value: fn(&Filter<'_>) -> Option<Number>) -> Option<Decimal> {
        let filter = self.filters.iter().find(|filter| filter.filter_type.0 == name)?;
        value(filter).map(|number| number.0).filter(|step| !step.is_zero())
    }

    fn contract(&self) -> Result<Contract, Error> {
        let Some(kind) = &self.contract_type else { return Ok(Contract::Spot) };
        if kind.0.contains("PERPETUAL") {
            return Ok(Contract::Perpetual);
        }
        // The symbol's own suffix is the name that traders use; the delivery day is the same.
        let by_symbol = self.symbol.0.rsplit_once('_').and_then(|(_, day)| Expiry::parse(day));
        by_symbol
            .or_else(|| self.delivery_date.and_then(Expiry::from_millis))
            .map(Contract::Dated)
            .ok_or_else(|| {
                Error::ignore(format!(
                    "contract type '{}' is neither perpetual nor does it name a delivery day",
                    kind.0
                ))
            })
    }

    fn trading(&self) -> Trading {
        match self.status.as_ref().or(self.contract_status.as_ref()).map(|status| &*status.0) {
            Some("TRADING") => Trading::Open,
            Some("HALT" | "BREAK" | "PENDING_TRADING" | "PRE_TRADING") => Trading::Halted,
            Some(other) => Trading::Other(other.into()),
            None => Trading::Other("".into()),
        }
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
    fn spot_entries_give_tick_lot_and_notional() {
        let (listings, unreadable) = listings(
            r#"{"timezone":"UTC","symbols":[{"symbol":"LRCBTC","status":"TRADING","baseAsset":"LRC",
            "quoteAsset":"BTC","filters":[
              {"filterType":"PRICE_FILTER","minPrice":"0.00000001","tickSize":"0.00000001"},
              {"filterType":"LOT_SIZE","stepSize":"1.00000000"},
              {"filterType":"ICEBERG_PARTS","limit":10},
              {"filterType":"MIN_NOTIONAL","minNotional":"0.00010000"}]}]}"#,
        );
        assert!(unreadable.is_empty());
        let instrument = &listings[0].instrument;
        assert_eq!(&*instrument.name, "LRC-BTC");
        assert_eq!(instrument.trading, Trading::Open);
        assert_eq!((instrument.price_places, instrument.quantity_places), (Some(8), Some(0)));
        assert_eq!(instrument.notional_min.unwrap().normalize().to_string(), "0.0001");
    }

    #[test]
    fn futures_are_perpetual_or_dated_and_unknown_words_are_kept() {
        let entry = |symbol: &str, kind: &str, delivery: u64, status: &str| {
            format!(
                r#"{{"symbol":"{symbol}","baseAsset":"BTC","quoteAsset":"USD","contractType":"{kind}",
                "contractStatus":"{status}","deliveryDate":{delivery},"contractSize":100,"filters":[]}}"#
            )
        };
        let body = format!(
            r#"{{"symbols":[{},{},{},{},7]}}"#,
            entry("BTCUSD_PERP", "PERPETUAL", 4_133_404_800_000, "TRADING"),
            entry("BTCUSD_210625", "CURRENT_QUARTER", 1_624_608_000_000, "CANCEL_ONLY"),
            entry("BTCUSDQ", "NEXT_QUARTER", 1_624_608_000_000, "TRADING"),
            entry("BTCUSD", "", 4_133_404_800_000, "TRADING"),
        );
        let (listings, unreadable) = listings(&body);
        let names: Vec<_> = listings.iter().map(|l| &*l.instrument.name).collect();
        assert_eq!(names, ["BTC-USD-PERP", "BTC-USD-210625", "BTC-USD-210625"]);
        assert_eq!(listings[1].instrument.trading, Trading::Other("CANCEL_ONLY".into()));
        assert_eq!(listings[0].instrument.contract_size, Some(Decimal::ONE_HUNDRED));
        assert_eq!(unreadable.len(), 2);
        assert!(unreadable[0].contains("neither perpetual"), "{}", unreadable[0]);
    }

    #[test]
    fn depth_and_trades_are_read_and_nonsense_is_refused() {
        let body = br#"{"lastUpdateId":7,"E":1,"T":2,"bids":[["1.5","2"]],"asks":[]}"#;
        let Bulk::Depth(depth) = read_depth(body).unwrap() else { panic!() };
        assert_eq!((depth.seq_last, depth.bids.len(), depth.asks.len()), (7, 1, 0));
        assert_eq!(read_last_trade(br#"[{"a":5,"p":"1"}]"#), Ok(Bulk::LastTrade(Some(5))));
        assert_eq!(read_last_trade(b"[]"), Ok(Bulk::LastTrade(None)));
        for wrong in [&b"{}"[..], b"", b"<html>", br#"{"lastUpdateId":-1,"bids":[],"asks":[]}"#] {
            assert!(read_depth(wrong).is_err() && read_listings(wrong).is_err());
        }
    }
}
