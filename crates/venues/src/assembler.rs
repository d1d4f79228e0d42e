//! The one book assembler: joins a snapshot and the diffs around it into a proven book.
//!
//! How a venue numbers its diffs is data ([`Continuity`]); the procedure is the same for all:
//!
//! 1. Diffs that arrive while the book is not `Live` wait in plain bounded memory.
//! 2. A snapshot that the waiting diffs connect to replaces the book; they are applied on top.
//!    One that is older than the first waiting diff can't be connected: another is asked for.
//! 3. From then on every diff must continue the last one. One that doesn't is a gap: the book
//!    stops being `Live` at once, the diff waits, and a snapshot is asked for.
//!
//! Consumers see one `book_snapshot` of a new generation per recovery, then updates while `Live`.

use std::collections::VecDeque;

use model::event::{BookMeta, Reason, StreamState};
use model::venue::{Count, DepthSnapshot, Discard, Pipeline};
use model::{Body, CanonicalEvent, InstrumentId, Kind, Level, Nanos};
use pool::LocalPooled;

/// How a venue's diffs follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continuity {
    /// Update ids count up by one: the next diff's range starts at the last id + 1 or before.
    Ranges,
    /// Ids skip, but each diff names the last id of the one before it.
    PreviousId,
}

/// What the machine has to do for the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Ask {
    /// Nothing.
    Nothing,
    /// Fetch a snapshot, unless one is on its way.
    Snapshot,
}

/// At most this many diffs wait for a snapshot: more than a minute of 100 ms diffs.
const WAITING_MAX: usize = 1_024;
/// And at most this many levels in them.
const WAITING_LEVELS_MAX: usize = 65_536;

/// The assembler of one book.
#[derive(Debug)]
pub struct Assembler {
    instrument: InstrumentId,
    continuity: Continuity,
    waiting: VecDeque<Diff>,
    waiting_levels: usize,
    /// The book's last id came from a snapshot, which may lie within the next diff's range.
    anchored: bool,
}

/// A diff that waits: plain memory, no pool slot.
#[derive(Debug)]
struct Diff {
    first: u64,
    last: u64,
    previous: Option<u64>,
    ts_event: Option<Nanos>,
    levels: Box<[Level]>,
    bids: usize,
}

impl Assembler {
    /// An assembler for an instrument whose diffs follow each other in that way.
    #[must_use]
    pub fn new(instrument: InstrumentId, continuity: Continuity) -> Self {
        let waiting = VecDeque::new();
        Self { instrument, continuity, waiting, waiting_levels: 0, anchored: false }
    }

    /// Takes a decoded diff: emits it, keeps it, or drops it.
    pub fn on_diff(
        &mut self,
        mut event: LocalPooled<CanonicalEvent>,
        now: Nanos,
        pipeline: &mut dyn Pipeline,
    ) -> Ask {
        let Body::Book(mut meta) = event.body else {
            pipeline.discard(event, Discard::Absorbed);
            return Ask::Nothing;
        };
        let (first, last) = (meta.seq_first.unwrap_or(0), meta.seq_last.unwrap_or(0));
        let book = pipeline.book(self.instrument);
        let position = book.seq_last.unwrap_or(0);
        let continues = self.continues(position, self.anchored, first, meta.seq_prev);
        // A stale book that is continued was only late.
        if book.state == StreamState::Stale && last > position && continues {
            self.turn(StreamState::Live, Reason::Flowing, now, pipeline);
        }
        let book = pipeline.book(self.instrument);
        if book.state != StreamState::Live {
            self.keep(&event, first, last, meta.seq_prev);
            pipeline.discard(event, Discard::Absorbed);
            return Ask::Snapshot;
        }
        if last <= position {
            pipeline.discard(event, Discard::Duplicate);
            return Ask::Nothing;
        }
        if !continues {
            pipeline.count(self.instrument, Kind::BookUpdate, Count::Gap);
            self.keep(&event, first, last, meta.seq_prev);
            pipeline.discard(event, Discard::Absorbed);
            self.turn(StreamState::Gapped, Reason::SequenceGap, now, pipeline);
            return Ask::Snapshot;
        }
        if book.apply(&event.bids, &event.asks).is_err() {
            pipeline.discard(event, Discard::Absorbed);
            self.turn(StreamState::Gapped, Reason::Malformed, now, pipeline);
            return Ask::Snapshot;
        }
        book.seq_last = Some(last);
        book.ts_event = event.header.ts_event;
        meta.generation = book.generation;
        event.body = Body::Book(meta);
        self.anchored = false;
        pipeline.emit(event);
        Ask::Nothing
    }

    /// Takes a snapshot: makes it the book where the waiting diffs connect to it.
    pub fn on_snapshot(
        &mut self,
        snapshot: &DepthSnapshot,
        now: Nanos,
        pipeline: &mut dyn Pipeline,
    ) -> Ask {
        let state = pipeline.book(self.instrument).state;
        if state == StreamState::Live {
            return Ask::Nothing;
        }
        while self.waiting.front().is_some_and(|diff| diff.last <= snapshot.seq_last) {
            self.drop_first();
        }
        if let Err(skipped) = self.check_chain(snapshot.seq_last) {
            // What lies before the break can never be connected; what follows it still may.
            (0..skipped).for_each(|_| self.drop_first());
            return Ask::Snapshot;
        }
        if self.rebuild(snapshot, pipeline).is_err() {
            self.turn(StreamState::Gapped, Reason::Malformed, now, pipeline);
            return Ask::Snapshot;
        }
        self.announce(now, pipeline);
        Ask::Nothing
    }

    /// The connection is gone: what waits will never be continued, and a book that was proven
    /// is not any more.
    pub fn on_disconnect(&mut self, now: Nanos, pipeline: &mut dyn Pipeline) {
        self.forget_waiting();
        if pipeline.book(self.instrument).generation > 0 {
            self.turn(StreamState::Gapped, Reason::Disconnected, now, pipeline);
        }
    }

    /// A probe showed that the stream is behind the venue, or could not show that it isn't.
    pub fn on_stale(&mut self, reason: Reason, now: Nanos, pipeline: &mut dyn Pipeline) -> Ask {
        self.turn(StreamState::Stale, reason, now, pipeline);
        Ask::Snapshot
    }

    /// Why the repair takes longer; the state stays what it is.
    pub fn on_delay(&mut self, reason: Reason, now: Nanos, pipeline: &mut dyn Pipeline) {
        let state = pipeline.book(self.instrument).state;
        if state != StreamState::Live {
            self.turn(state, reason, now, pipeline);
        }
    }

    /// Whether a diff continues a book at `position`.
    fn continues(&self, position: u64, anchored: bool, first: u64, previous: Option<u64>) -> bool {
        match self.continuity {
            Continuity::Ranges => first <= position.saturating_add(1),
            // Behind a snapshot the diff's range must hold its id. `pu <= id` says the same where
            // ids skip: nothing of this instrument happened between `pu` and `U`.
            Continuity::PreviousId if anchored => {
                first <= position || previous.is_some_and(|previous| previous <= position)
            }
            Continuity::PreviousId => previous == Some(position),
        }
    }

    /// Whether the waiting diffs follow a snapshot and each other; else how many come before the
    /// first that doesn't. That one is kept: a later snapshot may connect to it.
    fn check_chain(&self, snapshot: u64) -> Result<(), usize> {
        let (mut position, mut anchored) = (snapshot, true);
        for (index, diff) in self.waiting.iter().enumerate() {
            if diff.last <= position {
                continue;
            }
            if !self.continues(position, anchored, diff.first, diff.previous) {
                return Err(index);
            }
            (position, anchored) = (diff.last, false);
        }
        Ok(())
    }

    /// Makes the snapshot and the waiting diffs the book.
    fn rebuild(
        &mut self,
        snapshot: &DepthSnapshot,
        pipeline: &mut dyn Pipeline,
    ) -> Result<(), model::Error> {
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting_levels = 0;
        self.anchored = true;
        let book = pipeline.book(self.instrument);
        book.clear();
        book.apply(&snapshot.bids, &snapshot.asks)?;
        book.seq_last = Some(snapshot.seq_last);
        book.ts_event = snapshot.ts_event;
        book.generation += 1;
        for diff in waiting {
            if book.seq_last.is_some_and(|position| diff.last <= position) {
                continue;
            }
            let (bids, asks) = diff.levels.split_at(diff.bids);
            book.apply(bids, asks)?;
            book.seq_last = Some(diff.last);
            book.ts_event = diff.ts_event.or(book.ts_event);
            self.anchored = false;
        }
        Ok(())
    }

    /// Sends the recovered book as one snapshot, then says that it is live.
    fn announce(&mut self, now: Nanos, pipeline: &mut dyn Pipeline) {
        if pipeline.book(self.instrument).generation > 1 {
            pipeline.count(self.instrument, Kind::BookUpdate, Count::Resync);
        }
        if let Some(mut event) = pipeline.event() {
            let book = pipeline.book(self.instrument);
            event.set_kind(self.instrument, Kind::BookSnapshot);
            event.header.seq_provider = book.seq_last;
            event.header.ts_event = book.ts_event;
            event.bids.extend(book.levels(model::Side::Buy));
            event.asks.extend(book.levels(model::Side::Sell));
            event.body = Body::Book(BookMeta {
                seq_last: book.seq_last,
                generation: book.generation,
                ..BookMeta::default()
            });
            pipeline.derive(event);
        }
        self.turn(StreamState::Live, Reason::Synced, now, pipeline);
    }

    /// Changes the book's state, in the book and in the stream.
    fn turn(&self, state: StreamState, reason: Reason, now: Nanos, pipeline: &mut dyn Pipeline) {
        let book = pipeline.book(self.instrument);
        if book.state == state && book.reason == reason {
            return;
        }
        (book.state, book.reason, book.since) = (state, reason, now);
        pipeline.status(self.instrument, Kind::BookUpdate, state, reason);
    }

    /// Copies a diff to where it can wait; the oldest go where there is no more room, since a
    /// snapshot that is still to come covers them first.
    fn keep(&mut self, event: &CanonicalEvent, first: u64, last: u64, previous: Option<u64>) {
        if self.waiting.back().is_some_and(|newest| last <= newest.last) {
            return;
        }
        let levels: Box<[Level]> = event.bids.iter().chain(&event.asks).copied().collect();
        self.waiting_levels += levels.len();
        let ts_event = event.header.ts_event;
        let bids = event.bids.len();
        self.waiting.push_back(Diff { first, last, previous, ts_event, levels, bids });
        while self.waiting.len() > WAITING_MAX || self.waiting_levels > WAITING_LEVELS_MAX {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some(diff) = self.waiting.pop_front() {
            self.waiting_levels -= diff.levels.len();
        }
    }

    fn forget_waiting(&mut self) {
        self.waiting.clear();
        self.waiting_levels = 0;
    }
}
