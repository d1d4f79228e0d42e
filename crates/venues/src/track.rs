//! What it takes to order, probe and repair the streams of an instrument, whatever the venue.

use std::time::Duration;

use model::{Kind, Nanos, RequestId, StreamState};

/// The first repeat of a snapshot request waits for so long, each further one twice as long.
const REFETCH_AFTER: Duration = Duration::from_millis(250);
/// But never longer than this.
const REFETCH_AFTER_MAX: Duration = Duration::from_secs(10);
/// After so long without a request the next one goes at once again.
const CALM: Duration = Duration::from_secs(30);

/// What the venue has and the stream has not may be on its way for so long.
const GRACE: Duration = Duration::from_secs(2);
/// Trades are rarer than changes of a book, and asking for them costs more: they may be silent for
/// so many times as long.
pub const TRADE_PATIENCE: u32 = 4;

/// Kinds of market data that venues send come first among all kinds.
pub const KINDS: usize = Kind::Merged as usize;

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

impl Probe {
    /// The venue is ahead: the stream has a little time to bring what is missing.
    #[must_use]
    pub fn behind(position: u64, now: Nanos) -> Self {
        Self::Behind { position, until: now + GRACE }
    }

    /// Takes the answer to a question that is out: the position that the stream has not reached,
    /// or `None` where nothing is missing, which is as good as having been `seen`.
    pub fn judge(&mut self, due: Option<u64>, seen: &mut Nanos, now: Nanos) {
        if !matches!(self, Self::Asked(_)) {
            return;
        }
        *self = due.map_or(Self::Idle, |position| Self::behind(position, now));
        if due.is_none() {
            *seen = now;
        }
    }
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

    /// A snapshot was asked for: by a request, or in another way.
    pub fn sent(&mut self, request: Option<RequestId>, now: Nanos) {
        *self = Self {
            asked: request,
            retry_at: None,
            attempts: self.attempts.saturating_add(1),
            last: now,
        };
    }
}
