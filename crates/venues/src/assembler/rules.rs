//! What a venue's book is proven by: data that the assembler reads.

use model::event::{BookMeta, Reason};
use model::{Book, Nanos};

/// How a venue's book is proven.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How diffs follow each other.
    pub continuity: Continuity,
    /// Levels a side that were subscribed, where the venue sends no removal for a level that falls
    /// out of them: the book is cut to them after each whole message.
    pub depth: Option<usize>,
    /// The venue's checksum. It is compared where a message carries one.
    pub checksum: Option<Checksum>,
    /// Whether a best bid that is not below the best offer is a fault.
    pub crossed_is_fault: bool,
}

/// How a venue's diffs follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continuity {
    /// Update ids count up by one: the next diff's range starts at the last id + 1 or before.
    Ranges,
    /// Ids skip, but each diff names the last id of the one before it.
    PreviousId,
    /// A diff has one number and names that of the one before it. Numbers skip, may start over
    /// below the previous one, stay the same where nothing changed, and may be left out of every
    /// message of a book, which then has the checksum alone.
    PreviousSequence,
    /// Diffs have no numbers.
    Unnumbered,
}

/// A venue's checksum over its book.
#[derive(Clone, Copy, Debug)]
pub struct Checksum {
    /// Computes it.
    pub compute: fn(&Book, Places) -> u32,
    /// What it needs to know of the instrument.
    pub places: Places,
}

/// Places after the point that a venue prints, where its list says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Of a price.
    pub price: Option<u32>,
    /// Of a quantity.
    pub quantity: Option<u32>,
}

/// Where a book stands in its venue's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) last: Option<u64>,
    pub(super) ts_event: Option<Nanos>,
    /// It came from a snapshot by request, which may lie within the next diff's range.
    pub(super) anchored: bool,
}

/// A diff's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) first: Option<u64>,
    pub(super) last: Option<u64>,
    pub(super) previous: Option<u64>,
    pub(super) ts_event: Option<Nanos>,
}

/// What a diff is to a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Continues,
    Duplicate,
    Gap,
}

impl Rules {
    /// The whole proof is in the numbers; no checksum, nothing cut.
    #[must_use]
    pub const fn numbered(continuity: Continuity) -> Self {
        Self { continuity, depth: None, checksum: None, crossed_is_fault: true }
    }

    /// Whether a book is what its venue says it is after a message; `Ok(true)` where a checksum
    /// said so.
    pub(super) fn prove(&self, book: &Book, said: Option<u32>) -> Result<bool, Reason> {
        let sum = self.checksum.zip(said);
        if sum.is_some_and(|(sum, said)| (sum.compute)(book, sum.places) != said) {
            return Err(Reason::ChecksumMismatch);
        }
        if self.crossed_is_fault && book.is_crossed() {
            return Err(Reason::CrossedBook);
        }
        Ok(sum.is_some())
    }
}

impl Step {
    pub(super) fn of(meta: &BookMeta, ts_event: Option<Nanos>) -> Self {
        Self { first: meta.seq_first, last: meta.seq_last, previous: meta.seq_prev, ts_event }
    }

    /// Whether a snapshot says nothing that a book at `position` does not hold already. A lower
    /// number with a later time is a venue that started over.
    pub(super) fn is_before(&self, position: Position) -> bool {
        match (self.last, position.last) {
            (Some(last), Some(at)) if last == at => true,
            (Some(last), Some(at)) => last < at && self.ts_event <= position.ts_event,
            _ => false,
        }
    }

    /// The venue's numbers start over with this diff.
    pub(super) fn starts_over(&self) -> bool {
        matches!((self.last, self.previous), (Some(last), Some(previous)) if last < previous)
    }
}

impl Continuity {
    /// Whether something is missing between a book at `position` and a diff, so that the diff would
    /// continue it if that came.
    pub(super) fn leaves_hole(self, position: Position, step: &Step) -> bool {
        let (Some(at), Some(last)) = (position.last, step.last) else { return false };
        let behind = |id: Option<u64>, least: u64| id.is_some_and(|id| id > least);
        last > at
            && match self {
                Self::Ranges => behind(step.first, at.saturating_add(1)),
                Self::PreviousId | Self::PreviousSequence => behind(step.previous, at),
                Self::Unnumbered => false,
            }
    }

    /// What a diff is to a book at `position`.
    pub(super) fn judge(self, position: Position, step: &Step) -> Verdict {
        let (at, last) = match (position.last, step.last) {
            (Some(at), Some(last)) => (at, last),
            // Numbers on one side only prove nothing about each other.
            (None, None) if self == Self::PreviousSequence => return Verdict::Continues,
            _ if self == Self::Unnumbered => return Verdict::Continues,
            _ => return Verdict::Gap,
        };
        let new = last > at;
        let continues = match self {
            Self::Ranges => new && step.first.is_some_and(|first| first <= at.saturating_add(1)),
            // Behind a snapshot the diff's range must hold its id. `pu <= id` says the same where
            // ids skip: nothing of this instrument happened between `pu` and `U`.
            Self::PreviousId if position.anchored => {
                let reaches = |id: Option<u64>| id.is_some_and(|id| id <= at);
                new && (reaches(step.first) || reaches(step.previous))
            }
            Self::PreviousId => new && step.previous == Some(at),
            Self::PreviousSequence => {
                let within = position.anchored && new && step.previous.is_some_and(|id| id <= at);
                within || step.previous == Some(at)
            }
            Self::Unnumbered => true,
        };
        if continues {
            return Verdict::Continues;
        }
        // Where numbers may start over, a lower one is old only if its time says so too.
        let started_over =
            self == Self::PreviousSequence && last < at && step.ts_event > position.ts_event;
        if new || started_over { Verdict::Gap } else { Verdict::Duplicate }
    }
}
