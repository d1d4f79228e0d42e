//! A venue's list of instruments, by canonical name and by the venue's symbol.

use std::collections::BTreeMap;

use model::instrument::Trading;
use model::venue::Listing;
use rustc_hash::FxHashMap;

/// The instruments that a venue lists. Bounded by what one answer of each kind can hold.
#[derive(Debug, Default)]
pub struct Listings {
    by_name: BTreeMap<Box<str>, Listing>,
    names: FxHashMap<Box<str>, Box<str>>,
}

impl Listings {
    /// The entry of a canonical name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Listing> {
        self.by_name.get(name)
    }

    /// The entry of a symbol.
    #[must_use]
    pub fn of_symbol(&self, symbol: &str) -> Option<&Listing> {
        self.by_name.get(self.names.get(symbol)?)
    }

    /// Takes an answer, or what changed since. Of two symbols with one canonical name the one that
    /// trades counts: a contract that is being settled may still be listed beside its successor.
    pub fn extend(&mut self, listings: Vec<Listing>) {
        for listing in listings {
            let open = listing.instrument.trading == Trading::Open;
            let name = listing.instrument.name.clone();
            let known = self.by_name.get(&name).map(|known| &known.symbol);
            if open || known.is_none_or(|symbol| *symbol == listing.symbol) {
                self.names.insert(listing.symbol.clone(), name.clone());
                self.by_name.insert(name, listing);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use model::Instrument;
    use model::instrument::Contract;

    use super::*;

    fn listing(symbol: &str, trading: Trading) -> Listing {
        let instrument = Instrument { trading, ..Instrument::unlisted("A", "B", Contract::Spot) };
        Listing { symbol: symbol.into(), instrument }
    }

    #[test]
    fn of_two_symbols_the_one_that_trades_counts_and_newer_facts_replace_older_ones() {
        let mut listings = Listings::default();
        let settling = Trading::Other("SETTLING".into());
        listings.extend(vec![listing("OLD", settling.clone()), listing("NEW", Trading::Open)]);
        listings.extend(vec![listing("OLD", settling)]);
        assert_eq!(&*listings.get("A-B").unwrap().symbol, "NEW");
        listings.extend(vec![listing("NEW", Trading::Halted)]);
        assert_eq!(listings.of_symbol("NEW").unwrap().instrument.trading, Trading::Halted);
        assert_eq!(listings.get("C-D"), None);
    }
}
