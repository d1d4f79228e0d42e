//! What it takes, per instrument, to order and prove its streams.

use std::collections::BTreeMap;
use std::time::Duration;

use model::event::Quote;
use model::venue::Listing;
use model::{InstrumentId, Kind, Nanos, RequestId, StreamState};
use rustc_hash::FxHashMap;

use crate::assembler::{Assembler, Rules};

/// The first repeat of a snapshot request waits for so long, each further one twice as long.
const REFETCH_AFTER: Duration = Duration::from_millis(250);
/// But never longer than this.
const REFETCH_AFTER_MAX: Duration = Duration::from_secs(10);
/// After so long without a request the next one goes at once again.
const CALM: Duration = Duration::from_secs(30);

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

/// Kinds of market data come first among all kinds.
pub const KINDS: usize = Kind::ExecReport as usize;

/// One stream of an instrument.
#[derive(Clone, Copy, Debug, Default)]
pub struct Track {
    /// Whether anybody subscribed it.
    pub wanted: bool,
    /// Whether it can be relied on; a book's own state stands in the book.
    pub state: StreamState,
    /// The position of the newest message: what is not newer is a duplicate.
    pub position: u64,
    /// When something last came, or was shown not to be missing.
    pub seen: Nanos,
    /// Where its probe stands.
    pub probe: Probe,
}

/// A question to the venue whether a silent stream is missing something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Probe {
    /// None is out.
    #[default]
    Idle,
    /// Asked.
    Asked(RequestId),
    /// The venue is ahead, which may still be on its way: the stream has until then to reach the
    /// position.
    Behind {
        /// What the venue has.
        position: u64,
        /// When the stream is stale if it has not reached it.
        until: Nanos,
    },
}

/// Where the snapshot of a book stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fetch {
    /// The request that is out.
    pub asked: Option<RequestId>,
    /// When the next one may go.
    pub retry_at: Option<Nanos>,
    attempts: u32,
    last: Nanos,
}

impl Fetch {
    /// Whether a request may go now; if it has to wait, until when.
    pub fn permit(&mut self, now: Nanos) -> Result<(), Nanos> {
        if now.since(self.last) > CALM {
            self.attempts = 0;
        }
        let wait = match self.attempts {
            0 => Duration::ZERO,
            n => REFETCH_AFTER.saturating_mul(1 << (n - 1).min(16)).min(REFETCH_AFTER_MAX),
        };
        let due = self.last + wait;
        if now < due { Err(due) } else { Ok(()) }
    }

    /// A request went out.
    pub fn sent(&mut self, request: RequestId, now: Nanos) {
        *self = Self {
            asked: Some(request),
            retry_at: None,
            attempts: self.attempts.saturating_add(1),
            last: now,
        };
    }
}

impl Market {
    fn new(symbol: &str, instrument: InstrumentId, rules: Rules) -> Self {
        Self {
            symbol: symbol.into(),
            instrument,
            tracks: [Track::default(); KINDS],
            assembler: Assembler::new(instrument, rules),
            fetch: Fetch::default(),
            quote: Quote::default(),
        }
    }
}

/// The instruments of a provider: those with streams, and the venue's list.
#[derive(Debug, Default)]
pub struct Markets {
    /// Those with streams.
    pub all: Vec<Market>,
    by_symbol: FxHashMap<Box<str>, usize>,
    listings: BTreeMap<Box<str>, Listing>,
    names: FxHashMap<Box<str>, Box<str>>,
    /// Whether the venue's list has arrived.
    pub listed: bool,
}

impl Markets {
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

    /// The venue's entry for a canonical name.
    #[must_use]
    pub fn listing(&self, name: &str) -> Option<&Listing> {
        self.listings.get(name)
    }

    /// The venue's entry for a symbol.
    #[must_use]
    pub fn listing_of_symbol(&self, symbol: &str) -> Option<&Listing> {
        self.listings.get(self.names.get(symbol)?)
    }

    /// Takes the venue's list. Of two symbols with one canonical name the one that trades counts:
    /// a contract that is being settled may still be listed beside its successor.
    pub fn set_listings(&mut self, listings: Vec<Listing>) {
        self.listed = true;
        self.listings.clear();
        self.names.clear();
        for listing in listings {
            let open = listing.instrument.trading == model::instrument::Trading::Open;
            let name = listing.instrument.name.clone();
            if open || !self.listings.contains_key(&name) {
                self.names.insert(listing.symbol.clone(), name.clone());
                self.listings.insert(name, listing);
            }
        }
    }

    /// Adds an instrument; gives its place.
    pub fn add(&mut self, symbol: &str, instrument: InstrumentId, rules: Rules) -> usize {
        let index = self.all.len();
        self.all.push(Market::new(symbol, instrument, rules));
        self.by_symbol.insert(symbol.into(), index);
        index
    }
}
