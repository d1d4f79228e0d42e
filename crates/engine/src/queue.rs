//! A consumer's queue where its ring is full: what happens then, and the backlog that does it.
//!
//! The ring is filled first. Once a stream has something in the backlog, everything later of that
//! stream goes through the backlog too, so order within a stream is kept; streams do not wait for
//! each other. The backlog is bounded by its policies: a kind that conflates holds one event a
//! stream, a book's updates are one update of so many levels at most, a stream's states are one
//! event, and trades are counted.
//!
//! | file | what it is |
//! | --- | --- |
//! | `when_full` | the policy of each kind |
//! | `policies` | how each takes in what finds no room |
//! | `deltas` | updates of a book, merged level by level |
//! | `line` | where what waits stands, and how it is found again |

use std::collections::VecDeque;

use model::{Body, Event, Header, Kind, StreamState};

use crate::books::Lane;
use crate::tally::ConsumerCounts;

mod deltas;
mod line;
mod policies;
mod when_full;

use deltas::Deltas;
use line::Place;
pub use when_full::WhenFull;

/// What waits behind a full ring: one line in order of arrival, with places that are found again
/// by stream.
#[derive(Debug)]
pub(crate) struct Backlog {
    line: VecDeque<Place>,
    /// The ticket of the line's first place; tickets count up from there.
    head: u64,
    /// What each lane has in the line, by lane.
    lanes: Vec<Waiting>,
    /// Places that hold something.
    live: usize,
    /// Trades among them.
    trades: usize,
    trades_max: usize,
    /// No trade waits before this ticket.
    first_trade: u64,
    /// Lanes that lack a snapshot which can't be taken yet.
    starved: usize,
    /// Lanes whose next event is to say how many were dropped before it.
    owing: usize,
    /// Levels of all updates that are merged.
    levels: usize,
    /// The first trades that were dropped since somebody last looked.
    dropped: Vec<Event>,
    /// How many more there were.
    dropped_more: u64,
}

/// What a place holds.
#[derive(Debug)]
pub(crate) enum Item {
    /// Nothing any more.
    Gone,
    /// An event.
    Event(Event),
    /// Updates of a book.
    Deltas(Box<Deltas>),
    /// A snapshot that is to be taken when it is this place's turn; the header is that of the last
    /// event it stands for.
    Snapshot(Header),
}

/// One lane's places in the line.
#[derive(Clone, Debug, Default)]
struct Waiting {
    /// The one conflated event, the book's updates, or the snapshot to be.
    data: Option<u64>,
    /// The one state.
    status: Option<u64>,
    /// The newest place.
    last: u64,
    /// How many.
    live: u32,
    /// What this consumer has of the book is behind, and nothing in the line makes up for it.
    starved: bool,
    /// Dropped since this consumer's last event of the lane.
    dropped: u32,
    /// What became of the lane's events so far.
    lost: Lost,
}

/// Of one stream, what one consumer did not get one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Events that newer ones replaced or were merged into, withheld ones included.
    pub conflated: u64,
    /// Trades that were dropped.
    pub dropped: u64,
}

impl Backlog {
    /// An empty one, for at most `trades_max` trades (at least one).
    pub(crate) fn new(trades_max: usize) -> Self {
        Self {
            line: VecDeque::new(),
            head: 0,
            lanes: Vec::new(),
            live: 0,
            trades: 0,
            trades_max: trades_max.max(1),
            first_trade: 0,
            starved: 0,
            owing: 0,
            levels: 0,
            dropped: Vec::new(),
            dropped_more: 0,
        }
    }

    /// The trades that were dropped since this was last asked: the first of them, and how many more
    /// there were.
    pub(crate) fn take_dropped(&mut self) -> (impl Iterator<Item = Event> + '_, u64) {
        (self.dropped.drain(..), std::mem::take(&mut self.dropped_more))
    }

    /// Whether there are any.
    pub(crate) fn has_dropped(&self) -> bool {
        !self.dropped.is_empty() || self.dropped_more > 0
    }

    /// How many places hold something.
    pub(crate) fn len(&self) -> usize {
        self.live
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Whether an event may pass by the line into the ring; then it also says what was dropped
    /// before it.
    #[inline]
    pub(crate) fn admits(&mut self, lane: Lane, event: &mut Event) -> bool {
        let idle = self.live == 0 && self.starved == 0 && self.owing == 0;
        idle || self.admits_lane(lane, event)
    }

    fn admits_lane(&mut self, lane: Lane, event: &mut Event) -> bool {
        let Some(waiting) = self.lanes.get(lane.index()) else { return true };
        if waiting.live > 0 || !waiting.starved {
            let admitted = waiting.live == 0;
            if admitted {
                self.tell_dropped(lane, event);
            }
            return admitted;
        }
        match event.kind() {
            Kind::BookSnapshot => {
                self.set_starved(lane, false);
                true
            }
            Kind::StreamStatus => !is_live(event),
            _ => false,
        }
    }

    /// Takes an event that found no room.
    pub(crate) fn put(&mut self, lane: Lane, event: Event, counts: &mut ConsumerCounts) {
        let before = counts.conflated;
        match WhenFull::for_event(&event) {
            Some(WhenFull::LatestWins) => self.put_latest(lane, event, counts),
            Some(WhenFull::TransitionsAdded) => self.put_status(lane, event, counts),
            Some(WhenFull::LevelsMerged) => self.put_book(lane, event, counts),
            // What has no policy has no lane, so it never comes here; if it did, it would wait.
            Some(WhenFull::OldestDropped) | None => self.put_trade(lane, event, counts),
        }
        self.note_conflated(lane, counts.conflated - before);
        self.tidy();
    }

    /// Counts what was conflated of a lane; in the counters of the consumer it is counted already.
    pub(crate) fn note_conflated(&mut self, lane: Lane, many: u64) {
        if many > 0 {
            self.waiting(lane).lost.conflated += many;
        }
    }

    /// What became of each lane's events so far.
    pub(crate) fn lost(&self, lane: Lane) -> Lost {
        self.lanes.get(lane.index()).map_or_else(Lost::default, |waiting| waiting.lost)
    }

    /// The lanes of which anything was lost.
    pub(crate) fn losing(&self) -> impl Iterator<Item = Lane> + '_ {
        let lanes = (0..).map(Lane::numbered).zip(&self.lanes);
        lanes.filter(|(_, waiting)| waiting.lost != Lost::default()).map(|(lane, _)| lane)
    }

    /// Nobody is there any more for what waits. What was lost before stays counted, and is still to be
    /// shown.
    pub(crate) fn give_up(&mut self) {
        let Self { lanes, dropped, dropped_more, .. } = std::mem::replace(self, Self::new(1));
        let counted = |Waiting { lost, .. }| Waiting { lost, ..Waiting::default() };
        self.lanes = lanes.into_iter().map(counted).collect();
        (self.dropped, self.dropped_more) = (dropped, dropped_more);
    }
}

fn is_live(event: &Event) -> bool {
    matches!(&event.body, Body::Status(status) if status.state == StreamState::Live)
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
