//! What it takes, per instrument, to order and prove its streams.

use model::event::Quote;
use model::venue::Limits;
use model::{ConnId, InstrumentId, Nanos};
use rustc_hash::FxHashMap;

use super::habits::RULES;
use crate::assembler::Assembler;
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
    /// The connection whose diffs the book follows; those of another may only take over.
    pub book_conn: Option<ConnId>,
    /// A snapshot should come in the stream; from then on it is asked for by request.
    pub snapshot_due: Option<Nanos>,
    /// The last one that was due did not come.
    pub by_request: bool,
    /// The last best bid and offer, which a probe is compared with.
    pub quote: Quote,
    /// The venue's time of it.
    pub quote_ts: Option<Nanos>,
}

/// The instruments of a provider: those with streams, and the venue's lists.
#[derive(Debug, Default)]
pub struct Markets {
    /// How long diffs of a book wait for one before them.
    limits: Limits,
    /// Those with streams.
    pub all: Vec<Market>,
    by_symbol: FxHashMap<Box<str>, usize>,
    /// The venue's lists, as far as they were asked for.
    pub listings: Listings,
    /// Which lists have arrived.
    pub listed: Vec<&'static str>,
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

    /// Adds an instrument; gives its place.
    pub fn add(&mut self, symbol: &str, instrument: InstrumentId) -> usize {
        let index = self.all.len();
        self.all.push(Market {
            symbol: symbol.into(),
            instrument,
            tracks: [Track::default(); KINDS],
            assembler: Assembler::new(instrument, RULES).within(self.limits),
            fetch: Fetch::default(),
            book_conn: None,
            snapshot_due: None,
            by_request: false,
            quote: Quote::default(),
            quote_ts: None,
        });
        self.by_symbol.insert(symbol.into(), index);
        index
    }
}
