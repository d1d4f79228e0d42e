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

    /// Takes an answer. Of two symbols with one canonical name the one that trades counts: a
    /// contract that is being settled may still be listed beside its successor.
    pub fn extend(&mut self, listings: Vec<Listing>) {
        for listing in listings {
            let open = listing.instrument.trading == Trading::Open;
            let name = listing.instrument.name.clone();
            if open || !self.by_name.contains_key(&name) {
                self.names.insert(listing.symbol.clone(), name.clone());
                self.by_name.insert(name, listing);
            }
        }
    }
}
