//! What it takes, per instrument, to order and prove its streams.

use model::InstrumentId;
use model::event::Quote;
use model::venue::{Limits, Listing};
use rustc_hash::FxHashMap;

use crate::assembler::{Assembler, Rules};
use crate::listings::Listings;
use crate::track::{Fetch, KINDS, Track};

/// One instrument of the provider.
#[derive(Debug)]
pub struct Market {
    /// The venue's symbol.
    pub symbol: Box<str>,
    /// The pipeline's number for it.
    pub instrument: InstrumentId,
    /// Per kind of market data.
    pub tracks: [Track; KINDS],
    /// The book's assembler.
    pub assembler: Assembler,
    /// Where the book's snapshot stands.
    pub fetch: Fetch,
    /// The last best bid and offer, which a probe is compared with.
    pub quote: Quote,
}

impl Market {
    fn new(symbol: &str, instrument: InstrumentId, assembler: Assembler) -> Self {
        Self {
            symbol: symbol.into(),
            instrument,
            tracks: [Track::default(); KINDS],
            assembler,
            fetch: Fetch::default(),
            quote: Quote::default(),
        }
    }
}

/// The instruments of a provider: those with streams, and the venue's list.
#[derive(Debug, Default)]
pub struct Markets {
    /// How long diffs of a book wait for one before them.
    limits: Limits,
    /// Those with streams.
    pub all: Vec<Market>,
    by_symbol: FxHashMap<Box<str>, usize>,
    /// The venue's list.
    pub listings: Listings,
    /// Whether it has arrived.
    pub listed: bool,
}

impl Markets {
    /// None yet; diffs of their books will wait for one before them within these limits.
    #[must_use]
    pub fn within(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// The place of a symbol in [`all`](Self::all).
    #[must_use]
    #[inline]
    pub fn index(&self, symbol: &str) -> Option<usize> {
        self.by_symbol.get(symbol).copied()
    }

    /// The place of an instrument by its canonical name.
    #[must_use]
    pub fn index_of_name(&self, name: &str) -> Option<usize> {
        self.index(&self.listings.get(name)?.symbol)
    }

    /// Takes the venue's list.
    pub fn set_listings(&mut self, listings: Vec<Listing>) {
        self.listed = true;
        self.listings = Listings::default();
        self.listings.extend(listings);
    }

    /// Adds an instrument; gives its place.
    pub fn add(&mut self, symbol: &str, instrument: InstrumentId, rules: Rules) -> usize {
        let index = self.all.len();
        let assembler = Assembler::new(instrument, rules).within(self.limits);
        self.all.push(Market::new(symbol, instrument, assembler));
        self.by_symbol.insert(symbol.into(), index);
        index
    }
}
