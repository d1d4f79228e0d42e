//! The `instrument` channel: every pair with its precisions.
//!
//! Source: docs.kraken.com/exchange/api-reference/spot-websocket-v2/instrument. Steps come in
//! exponent form (`1e-05`).

use model::instrument::{Contract, Trading, canonical_name};
use model::venue::Listing;
use model::{Error, Instrument};
use serde::Deserialize;

use crate::json::fallback::{Exact, Raw, Text, read_raw, start_of};

/// Reads the pairs of a snapshot or update, and says which could not be read. One entry that can't
/// be read does not keep the others from being read.
///
/// # Errors
/// It is no list of pairs.
pub fn read(data: Raw<'_>) -> Result<(Vec<Listing>, Vec<String>), Error> {
    #[derive(Deserialize)]
    struct Data<'a> {
        #[serde(borrow, default)]
        pairs: Vec<Raw<'a>>,
    }
    let data: Data<'_> = read_raw(data)?;
    let (mut listings, mut unreadable) = (Vec::with_capacity(data.pairs.len()), Vec::new());
    for raw in data.pairs {
        match read_raw::<Pair<'_>>(raw) {
            Ok(pair) => listings.push(pair.listing()),
            Err(error) => unreadable.push(format!("{}: {}", start_of(raw.get()), error.message)),
        }
    }
    Ok((listings, unreadable))
}

#[derive(Deserialize)]
struct Pair<'a> {
    #[serde(borrow)]
    symbol: Text<'a>,
    #[serde(borrow)]
    base: Text<'a>,
    #[serde(borrow)]
    quote: Text<'a>,
    #[serde(borrow)]
    status: Option<Text<'a>>,
    price_precision: Option<u32>,
    qty_precision: Option<u32>,
    price_increment: Option<Exact>,
    qty_increment: Option<Exact>,
    cost_min: Option<Exact>,
}

impl Pair<'_> {
    fn listing(&self) -> Listing {
        let step = |number: Option<Exact>| number.map(|n| n.0).filter(|step| !step.is_zero());
        Listing {
            symbol: (*self.symbol.0).into(),
            instrument: Instrument {
                name: canonical_name(&self.base.0, &self.quote.0, Contract::Spot).into(),
                contract: Contract::Spot,
                trading: self.trading(),
                tick: step(self.price_increment),
                lot: step(self.qty_increment),
                notional_min: step(self.cost_min),
                contract_size: None,
                price_places: self.price_precision,
                quantity_places: self.qty_precision,
            },
        }
    }

    fn trading(&self) -> Trading {
        match self.status.as_ref().map(|status| &*status.0) {
            Some("online") => Trading::Open,
            Some("maintenance" | "work_in_progress") => Trading::Halted,
            Some(other) => Trading::Other(other.into()),
            None => Trading::Other("".into()),
        }
    }
}
