//! REST answers: the instrument list, and what probes ask.
//!
//! Sources: docs.cdp.coinbase.com/api-reference/exchange-api/rest-api/products, pages
//! `get-all-known-trading-pairs` and `get-product-book`.

use model::instrument::{Contract, Trading, canonical_name};
use model::venue::{Bulk, DepthSnapshot, Listing};
use model::{Decimal, Error, Instrument};
use serde::Deserialize;

use crate::json::fallback::{Exact, Levels, Raw, Text, Utc, read, read_raw, start_of};

/// Best levels of a product.
#[must_use]
pub fn book_path(product: &str) -> String {
    format!("/products/{product}/book?level=1")
}

/// Reads `[{"id":"BTC-USD",…},…]`. One entry that can't be read does not keep the others from being
/// read.
///
/// # Errors
/// The answer as a whole is no instrument list.
pub fn read_products(body: &[u8]) -> Result<Bulk, Error> {
    let products: Vec<Raw<'_>> = read(body)?;
    let (mut listings, mut unreadable) = (Vec::with_capacity(products.len()), Vec::new());
    for raw in products {
        match read_raw::<Product<'_>>(raw) {
            Ok(product) => listings.push(product.listing()),
            Err(error) => unreadable.push(format!("{}: {}", start_of(raw.get()), error.message)),
        }
    }
    Ok(Bulk::Listings { listings, unreadable })
}

/// Reads `{"bids":[["6247.58","6.3578146","2"]],"asks":[…],"sequence":67863466,…}`; a level's third
/// entry counts its orders.
///
/// # Errors
/// The answer is no book.
pub fn read_book(body: &[u8]) -> Result<Bulk, Error> {
    #[derive(Deserialize)]
    struct Book {
        bids: Levels,
        asks: Levels,
        sequence: u64,
        time: Option<Utc>,
    }
    let Book { bids, asks, sequence, time } = read(body)?;
    let ts_event = time.map(|time| time.0);
    Ok(Bulk::Depth(DepthSnapshot { seq_last: sequence, ts_event, bids: bids.0, asks: asks.0 }))
}

#[derive(Deserialize)]
struct Product<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    base_currency: Text<'a>,
    #[serde(borrow)]
    quote_currency: Text<'a>,
    quote_increment: Option<Exact>,
    base_increment: Option<Exact>,
    min_market_funds: Option<Exact>,
    #[serde(borrow)]
    status: Option<Text<'a>>,
    #[serde(default)]
    trading_disabled: bool,
    #[serde(default)]
    cancel_only: bool,
}

impl Product<'_> {
    fn listing(&self) -> Listing {
        let step = |number: Option<Exact>| number.map(|n| n.0).filter(|step| !step.is_zero());
        let places = |step: Option<Decimal>| step.map(|step| step.normalize().scale());
        let (tick, lot) = (step(self.quote_increment), step(self.base_increment));
        Listing {
            symbol: (*self.id.0).into(),
            instrument: Instrument {
                name: canonical_name(&self.base_currency.0, &self.quote_currency.0, Contract::Spot)
                    .into(),
                contract: Contract::Spot,
                trading: self.trading(),
                tick,
                lot,
                notional_min: step(self.min_market_funds),
                contract_size: None,
                price_places: places(tick),
                quantity_places: places(lot),
            },
        }
    }

    fn trading(&self) -> Trading {
        match self.status.as_ref().map(|status| &*status.0) {
            Some("online") if self.trading_disabled || self.cancel_only => Trading::Halted,
            Some("online") => Trading::Open,
            Some(other) => Trading::Other(other.into()),
            None => Trading::Other("".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_give_tick_lot_and_notional_and_unknown_words_are_kept() {
        let body = br#"[{"id":"BTC-USD","base_currency":"BTC","quote_currency":"USD",
            "quote_increment":"0.01","base_increment":"0.00000001","min_market_funds":"1",
            "status":"online","status_message":"","cancel_only":false,"trading_disabled":false},
            {"id":"OLD-USD","base_currency":"OLD","quote_currency":"USD","status":"delisted"},
            {"id":"OFF-USD","base_currency":"OFF","quote_currency":"USD","status":"online",
             "trading_disabled":true},
            {"id":"BAD-USD"}, 7]"#;
        let Bulk::Listings { listings, unreadable } = read_products(body).unwrap() else {
            panic!()
        };
        let instrument = &listings[0].instrument;
        assert_eq!((&*listings[0].symbol, &*instrument.name), ("BTC-USD", "BTC-USD"));
        assert_eq!((instrument.price_places, instrument.quantity_places), (Some(2), Some(8)));
        assert_eq!(instrument.notional_min, Some(Decimal::ONE));
        let trading: Vec<_> = listings.iter().map(|l| l.instrument.trading.clone()).collect();
        assert_eq!(trading, [Trading::Open, Trading::Other("delisted".into()), Trading::Halted]);
        assert_eq!(unreadable.len(), 2);
        assert!(unreadable[0].contains("BAD-USD") && unreadable[0].contains("base_currency"));
    }

    #[test]
    fn the_best_levels_are_read_and_nonsense_is_refused() {
        let body = br#"{"bids":[["6247.58","6.3578146","2"]],"asks":[["6251.52","2","1"]],
            "sequence":67863466,"auction_mode":false,"auction":null,"time":"2021-02-12T01:09:23.3Z"}"#;
        let Bulk::Depth(depth) = read_book(body).unwrap() else { panic!() };
        assert_eq!(
            (depth.seq_last, depth.bids[0].price.to_string()),
            (67_863_466, "6247.58".into())
        );
        for wrong in [&b""[..], b"<html>", b"{}", br#"{"message":"NotFound"}"#] {
            assert!(read_book(wrong).is_err() && read_products(wrong).is_err());
        }
    }
}
