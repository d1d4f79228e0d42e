//! What it takes, per instrument, to order and prove its streams.

use std::time::Duration;

use model::event::Quote;
use model::venue::Limits;
use model::{Body, ConnId, InstrumentId, Kind, LinkId, Nanos, StreamState};
use rustc_hash::FxHashMap;

use super::Dialect;
use crate::assembler::{Assembler, Places};
use crate::listings::Listings;
use crate::track::{KINDS, Probe};

/// The first repair of a book after another one waits for so long, each further one twice as long.
const REPAIR_AFTER: Duration = Duration::from_millis(250);
/// But never longer than this.
const REPAIR_AFTER_MAX: Duration = Duration::from_secs(10);
/// After so long without one the next repair goes at once again.
const CALM: Duration = Duration::from_secs(30);
/// A subscription is answered within so long, or sent again, so that a book whose snapshot got lost is
/// back within 5 s; then twice as long, and so on.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
/// How often that is doubled: to 384 s, for what the venue refuses for good.
const PATIENCE_DOUBLED_MAX: u32 = 7;

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
    /// The last quote that followed from the book.
    pub quote: Quote,
    /// Where it stands; `None` while nothing of it is wanted, and in a recording.
    pub link: Option<LinkId>,
    /// When the venue last said that its feed is alive; `None` before the first time.
    pub heard: Option<Nanos>,
}

/// One stream of an instrument.
#[derive(Clone, Debug, Default)]
pub struct Track {
    /// Whether anybody subscribed it.
    pub wanted: bool,
    /// Whether it can be relied on; a book's own state stands in the book.
    pub state: StreamState,
    /// The position of the newest message: what is not newer is a duplicate.
    pub position: u64,
    /// What the newest message said, where positions are times and two messages can share one.
    pub newest: Body,
    /// When something last came, or was shown not to be missing.
    pub seen: Nanos,
    /// Where its probe stands.
    pub probe: Probe,
    /// The connection that brings it; of a book, the one that brought its snapshot. `None` while
    /// the subscription is not answered.
    pub conn: Option<ConnId>,
    /// When it may be, or has to be, subscribed again.
    pub repeat: Repeat,
}

/// When a subscription is sent again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Repeat {
    /// When, unless it is answered before.
    pub due: Option<Nanos>,
    attempts: u32,
    last: Nanos,
}

impl Repeat {
    /// Whether a repair may go now; if it has to wait, until when.
    ///
    /// # Errors
    /// Until when.
    pub fn permit(&mut self, now: Nanos) -> Result<(), Nanos> {
        if self.due.is_none() && now.since(self.last) > CALM {
            self.attempts = 0;
        }
        let wait = match self.attempts {
            0 => Duration::ZERO,
            n => REPAIR_AFTER.saturating_mul(1 << (n - 1).min(16)).min(REPAIR_AFTER_MAX),
        };
        let at = self.last + wait;
        if now < at { Err(at) } else { Ok(()) }
    }

    /// The subscription went out.
    pub fn sent(&mut self, now: Nanos) {
        let patience = PATIENCE.saturating_mul(1 << self.attempts.min(PATIENCE_DOUBLED_MAX));
        let attempts = self.attempts.saturating_add(1);
        *self = Self { due: Some(now + patience), attempts, last: now };
    }

    /// The venue answered it.
    pub fn answered(&mut self) {
        self.due = None;
    }
}

impl Market {
    fn new(symbol: &str, instrument: InstrumentId, assembler: Assembler) -> Self {
        Self {
            symbol: symbol.into(),
            instrument,
            tracks: std::array::from_fn(|_| Track::default()),
            assembler,
            quote: Quote::default(),
            link: None,
            heard: None,
        }
    }

    /// The stream of a kind.
    #[inline]
    pub fn track(&mut self, kind: Kind) -> &mut Track {
        &mut self.tracks[kind.index()]
    }

    /// Whether a carrier's channel is needed.
    #[must_use]
    #[inline]
    pub fn needs(&self, carrier: Kind) -> bool {
        let wanted = |kind: Kind| self.tracks[kind.index()].wanted;
        wanted(carrier) || (carrier == Kind::BookUpdate && wanted(Kind::Quote))
    }

    /// Whether anything of it is wanted.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.tracks.iter().any(|track| track.wanted)
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
    /// What the venue lists.
    pub listings: Listings,
    /// Whether its list has arrived.
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

    /// Adds an instrument; gives its place.
    pub fn add(
        &mut self,
        symbol: &str,
        instrument: InstrumentId,
        dialect: &Dialect,
        depth: Option<u32>,
    ) -> usize {
        let index = self.all.len();
        let assembler = Assembler::new(instrument, (dialect.rules)(depth)).within(self.limits);
        self.all.push(Market::new(symbol, instrument, assembler));
        self.by_symbol.insert(symbol.into(), index);
        self.set_places(index);
        index
    }

    /// Tells a market's assembler the precisions of the list.
    pub fn set_places(&mut self, index: usize) {
        let symbol = &self.all[index].symbol;
        let Some(instrument) = self.listings.of_symbol(symbol).map(|listing| &listing.instrument)
        else {
            return;
        };
        let (price, quantity) = (instrument.price_places, instrument.quantity_places);
        self.all[index].assembler.set_places(Places { price, quantity });
    }
}
