//! What happens to an event that finds the queue full: the policy of each kind.

use model::{Body, Event, Kind};

/// What happens to an event that finds the queue full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// It replaces what waits of its stream, which is counted as conflated.
    ///
    /// For what is a state rather than a step: quote, ticker, kline, funding, and what is merged of
    /// them.
    LatestWins,
    /// It waits; where too many trades of the consumer wait, the oldest of them is dropped and
    /// counted, and the next one of its stream says how many the consumer lacks before it.
    ///
    /// For trades and what is merged of them: each is a fact of its own, and the oldest are worth
    /// least.
    OldestDropped,
    /// It is merged, level by level, into what waits of its stream, which is counted as conflated.
    /// A snapshot, more levels than may wait, or more than the book itself has, are withheld
    /// instead, until one snapshot of the shard's book, taken when there is room, stands for all of
    /// it.
    ///
    /// For book snapshots and updates: a consumer's book is never missing a change, only late.
    LevelsMerged,
    /// It replaces the state that waits of its stream and takes over its number of transitions.
    ///
    /// For stream states, which are critical: none is lost.
    TransitionsAdded,
}

impl WhenFull {
    /// The policy for an event: a merged one has that of the kind that was merged.
    #[must_use]
    pub fn for_event(event: &Event) -> Option<Self> {
        match &event.body {
            Body::Merged(merged) => Self::of(merged.of),
            _ => Self::of(event.kind()),
        }
    }

    /// The policy for a kind. Execution and control have none: their lane is not this queue.
    #[must_use]
    pub fn of(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Quote | Kind::Ticker | Kind::Kline | Kind::Funding | Kind::Merged => {
                Some(Self::LatestWins)
            }
            Kind::Trade => Some(Self::OldestDropped),
            Kind::BookSnapshot | Kind::BookUpdate => Some(Self::LevelsMerged),
            Kind::StreamStatus => Some(Self::TransitionsAdded),
            Kind::ExecReport | Kind::Balance | Kind::ControlAck | Kind::ControlResult => None,
        }
    }
}
