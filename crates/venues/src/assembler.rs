//! The one book assembler: joins a snapshot and the diffs around it into a proven book.
//!
//! What proves a venue's book is data ([`Rules`]); the procedure is the same for all:
//!
//! 1. Diffs that arrive while the book is not `Live` wait in plain bounded memory.
//! 2. A snapshot by request that the waiting diffs connect to replaces the book; they are applied
//!    on top. One that is older than the first waiting diff can't be connected: another is asked
//!    for. A snapshot in the stream replaces the book as it comes; nothing has to wait for it.
//! 3. From then on every diff must continue the last one, and the book after it must agree with
//!    the venue's checksum, where there is one, and not be crossed. Where it doesn't, the book
//!    stops being `Live` at once, and a snapshot is asked for.
//! 4. A diff whose numbers say that one before it is missing waits for that one, as long as events
//!    wait in the engine's resequencing ([`Limits`]): what came over
//!    another connection, or in another order, is no gap. What is in order is not delayed.
//!
//! Consumers see one `book_snapshot` of a new generation per recovery, then updates while `Live`.

use model::event::{BookMeta, Reason, StreamState};
use model::venue::{Count, DepthSnapshot, Discard, Limits, Pipeline};
use model::{Body, Book, CanonicalEvent, InstrumentId, Kind, Nanos};
use pool::LocalPooled;

mod rules;
mod waiting;

pub use rules::{Checksum, Continuity, Places, Rules};

use rules::{Position, Step, Verdict};
use waiting::Waiting;

/// What the machine has to do for the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Ask {
    /// Nothing.
    Nothing,
    /// Fetch a snapshot, unless one is on its way; where snapshots come in the stream, subscribe
    /// the book anew, once.
    Snapshot,
}

/// The assembler of one book.
#[derive(Debug)]
pub struct Assembler {
    instrument: InstrumentId,
    rules: Rules,
    limits: Limits,
    waiting: Waiting,
    /// The book's last id came from a snapshot by request, which may lie within the next diff's
    /// range.
    anchored: bool,
    /// When to look at the diffs that wait for one before them, while the book is `Live` and any do.
    look_at: Option<Nanos>,
}

impl Assembler {
    /// An assembler for an instrument whose book is proven in that way.
    #[must_use]
    pub fn new(instrument: InstrumentId, rules: Rules) -> Self {
        let (limits, waiting) = (Limits::default(), Waiting::default());
        Self { instrument, rules, limits, waiting, anchored: false, look_at: None }
    }

    /// The same with other limits for diffs that wait for one before them.
    #[must_use]
    pub fn within(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Whether a diff that came another way than those before it (over a second connection) goes
    /// on from the book as it stands.
    pub fn reaches_across(&self, event: &CanonicalEvent, pipeline: &mut dyn Pipeline) -> bool {
        let Body::Book(meta) = event.body else { return false };
        let book = pipeline.book(self.instrument);
        let step = Step::of(&meta, event.header.ts_event);
        let position = Position { anchored: true, ..self.position(book) };
        let continues = self.rules.continuity.judge(position, &step) == Verdict::Continues;
        book.state == StreamState::Live && step.last > book.seq_last && continues
    }

    /// The diffs come another way from here on, cut at other numbers: the next one may reach back
    /// behind the book's. What waits for one of the other way will not get it.
    pub fn change_source(&mut self) {
        self.anchored = true;
        if self.look_at.take().is_some() {
            self.waiting.clear();
        }
    }

    /// When [`on_look`](Self::on_look) is wanted, while any diff waits for one before it.
    #[must_use]
    pub fn look_at(&self) -> Option<Nanos> {
        self.look_at
    }

    /// Time has passed: a diff that has waited for long enough is a gap.
    pub fn on_look(&mut self, now: Nanos, pipeline: &mut dyn Pipeline) -> Ask {
        if self.look_at.is_none_or(|at| now < at) {
            return Ask::Nothing;
        }
        self.look_at = None;
        if pipeline.book(self.instrument).state != StreamState::Live {
            return Ask::Nothing;
        }
        // What could go on, but for want of a free event.
        if self.release(now, pipeline) == Ask::Snapshot {
            return Ask::Snapshot;
        }
        if self.waiting.is_late(self.limits.lateness, now) {
            return self.fault(Reason::SequenceGap, now, pipeline);
        }
        Ask::Nothing
    }

    /// The venue's list says, or says anew, what its checksum is computed with.
    pub fn set_places(&mut self, places: Places) {
        if let Some(checksum) = &mut self.rules.checksum {
            checksum.places = places;
        }
    }

    /// Takes a decoded diff: emits it, keeps it, or drops it.
    pub fn on_diff(
        &mut self,
        mut event: LocalPooled<CanonicalEvent>,
        now: Nanos,
        pipeline: &mut dyn Pipeline,
    ) -> Ask {
        let Body::Book(meta) = event.body else {
            pipeline.discard(event, Discard::Absorbed);
            return Ask::Nothing;
        };
        let step = Step::of(&meta, event.header.ts_event);
        let mut book = pipeline.book(self.instrument);
        let verdict = self.rules.continuity.judge(self.position(book), &step);
        // A stale book that is continued was only late; numbers alone can tell.
        let numbered = step.last.is_some() && self.rules.continuity != Continuity::Unnumbered;
        if book.state == StreamState::Stale && verdict == Verdict::Continues && numbered {
            self.turn(StreamState::Live, Reason::Flowing, now, pipeline);
            book = pipeline.book(self.instrument);
        }
        if book.state != StreamState::Live {
            self.keep(&event, meta, step, now);
            pipeline.discard(event, Discard::Absorbed);
            return Ask::Snapshot;
        }
        let position = self.position(book);
        match verdict {
            Verdict::Continues => match self.advance(&mut event, meta, pipeline) {
                Ok(()) => {
                    pipeline.emit(event);
                    self.release(now, pipeline)
                }
                Err(reason) => {
                    pipeline.discard(event, Discard::Absorbed);
                    self.fault(reason, now, pipeline)
                }
            },
            Verdict::Duplicate => {
                pipeline.discard(event, Discard::Duplicate);
                Ask::Nothing
            }
            Verdict::Gap if self.rules.continuity.leaves_hole(position, &step) => {
                let is_new = self.waiting.keep(&event, meta, step, now);
                pipeline.discard(event, if is_new { Discard::Early } else { Discard::Duplicate });
                self.look_at.get_or_insert(now + self.limits.look_every);
                if self.waiting.len() > self.limits.events_max {
                    return self.fault(Reason::SequenceGap, now, pipeline);
                }
                Ask::Nothing
            }
            Verdict::Gap => {
                self.keep(&event, meta, step, now);
                pipeline.discard(event, Discard::Absorbed);
                self.fault(Reason::SequenceGap, now, pipeline)
            }
        }
    }

    /// Takes a snapshot that came in the stream: it is the book from here on.
    pub fn on_stream_snapshot(
        &mut self,
        mut event: LocalPooled<CanonicalEvent>,
        now: Nanos,
        pipeline: &mut dyn Pipeline,
    ) -> Ask {
        let Body::Book(mut meta) = event.body else {
            pipeline.discard(event, Discard::Absorbed);
            return Ask::Nothing;
        };
        let step = Step::of(&meta, event.header.ts_event);
        let book = pipeline.book(self.instrument);
        let was_live = book.state == StreamState::Live;
        // Of two connections that overlap, the second one's may be older than the book, which then
        // goes on with the diffs behind it.
        if was_live && step.is_before(self.position(book)) {
            self.anchored = true;
            pipeline.discard(event, Discard::Duplicate);
            return Ask::Nothing;
        }
        self.waiting.clear();
        (self.anchored, self.look_at) = (false, None);
        book.clear();
        if let Err(reason) = self.change(&event, &meta, pipeline) {
            pipeline.discard(event, Discard::Absorbed);
            return self.fault(reason, now, pipeline);
        }
        let book = pipeline.book(self.instrument);
        book.generation += 1;
        meta.generation = book.generation;
        event.header.stream.kind = Kind::BookSnapshot;
        event.body = Body::Book(meta);
        pipeline.emit(event);
        if !was_live {
            self.recovered(now, pipeline);
        }
        Ask::Nothing
    }

    /// Takes a snapshot by request: makes it the book where the waiting diffs connect to it.
    pub fn on_snapshot(
        &mut self,
        snapshot: &DepthSnapshot,
        now: Nanos,
        pipeline: &mut dyn Pipeline,
    ) -> Ask {
        let book = pipeline.book(self.instrument);
        if book.state == StreamState::Live {
            // Nobody waits any longer for a diff that the venue has gone beyond.
            if self.look_at.is_none() || Some(snapshot.seq_last) <= book.seq_last {
                return Ask::Nothing;
            }
            let _ = self.fault(Reason::SequenceGap, now, pipeline);
        }
        self.waiting.drop_covered(snapshot.seq_last);
        if !self.waiting.follow(self.rules.continuity, snapshot.seq_last) {
            return Ask::Snapshot;
        }
        if let Err(reason) = self.rebuild(snapshot, pipeline) {
            return self.fault(reason, now, pipeline);
        }
        self.announce(now, pipeline);
        Ask::Nothing
    }

    /// The connection is gone: what waits will never be continued, and a book that was proven
    /// is not any more.
    pub fn on_disconnect(&mut self, now: Nanos, pipeline: &mut dyn Pipeline) {
        self.waiting.clear();
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

    fn position(&self, book: &Book) -> Position {
        Position { last: book.seq_last, ts_event: book.ts_event, anchored: self.anchored }
    }

    /// Keeps a diff for the snapshot to come, where numbers can connect it to one.
    fn keep(&mut self, event: &CanonicalEvent, meta: BookMeta, step: Step, now: Nanos) {
        if step.last.is_some() {
            self.waiting.keep(event, meta, step, now);
        }
    }

    /// Applies a diff that continues the book.
    fn advance(
        &mut self,
        event: &mut CanonicalEvent,
        mut meta: BookMeta,
        pipeline: &mut dyn Pipeline,
    ) -> Result<(), Reason> {
        meta.generation = self.change(event, &meta, pipeline)?;
        event.body = Body::Book(meta);
        self.anchored = false;
        Ok(())
    }

    /// Sends what waited and goes on from the book as it stands now; what still waits is looked at
    /// later.
    #[inline]
    fn release(&mut self, now: Nanos, pipeline: &mut dyn Pipeline) -> Ask {
        if self.waiting.len() == 0 { Ask::Nothing } else { self.release_waiting(now, pipeline) }
    }

    fn release_waiting(&mut self, now: Nanos, pipeline: &mut dyn Pipeline) -> Ask {
        while let Some(mut event) = pipeline.event() {
            let position = self.position(pipeline.book(self.instrument));
            let Some(diff) = self.waiting.take_next(self.rules.continuity, position) else { break };
            let meta = diff.fill(&mut event);
            if let Err(reason) = self.advance(&mut event, meta, pipeline) {
                return self.fault(reason, now, pipeline);
            }
            pipeline.derive(event);
        }
        let waits = self.waiting.len() > 0;
        self.look_at = waits.then(|| self.look_at.unwrap_or(now + self.limits.look_every));
        Ask::Nothing
    }

    /// Changes the book by a whole message, and proves what comes out; gives its generation.
    #[inline]
    fn change(
        &self,
        event: &CanonicalEvent,
        meta: &BookMeta,
        pipeline: &mut dyn Pipeline,
    ) -> Result<u32, Reason> {
        let book = pipeline.book(self.instrument);
        book.apply(&event.bids, &event.asks).map_err(|_| Reason::Malformed)?;
        if let Some(depth) = self.rules.depth {
            book.truncate(depth);
        }
        book.seq_last = meta.seq_last;
        book.ts_event = event.header.ts_event;
        let generation = book.generation;
        let proof = self.rules.prove(book, meta.checksum);
        let count = match proof {
            Ok(true) => Some(Count::ChecksumOk),
            Err(Reason::ChecksumMismatch) => Some(Count::ChecksumFailed),
            _ => None,
        };
        if let Some(count) = count {
            pipeline.count(self.instrument, Kind::BookUpdate, count);
        }
        proof.map(|_| generation)
    }

    /// Makes the snapshot and the waiting diffs the book.
    fn rebuild(
        &mut self,
        snapshot: &DepthSnapshot,
        pipeline: &mut dyn Pipeline,
    ) -> Result<(), Reason> {
        let waiting = self.waiting.take();
        self.anchored = waiting.is_empty();
        let book = pipeline.book(self.instrument);
        book.clear();
        book.apply(&snapshot.bids, &snapshot.asks).map_err(|_| Reason::Malformed)?;
        book.seq_last = Some(snapshot.seq_last);
        book.ts_event = snapshot.ts_event;
        for diff in waiting {
            let (bids, asks) = diff.sides();
            book.apply(bids, asks).map_err(|_| Reason::Malformed)?;
            book.seq_last = diff.step.last;
            book.ts_event = diff.step.ts_event.or(book.ts_event);
        }
        if let Some(depth) = self.rules.depth {
            book.truncate(depth);
        }
        self.rules.prove(book, None)?;
        book.generation += 1;
        Ok(())
    }

    /// Sends the recovered book as one snapshot, then says that it is live.
    fn announce(&mut self, now: Nanos, pipeline: &mut dyn Pipeline) {
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
        self.recovered(now, pipeline);
    }

    /// The book is proven, for the first time or again.
    fn recovered(&mut self, now: Nanos, pipeline: &mut dyn Pipeline) {
        if pipeline.book(self.instrument).generation > 1 {
            pipeline.count(self.instrument, Kind::BookUpdate, Count::Resync);
        }
        self.turn(StreamState::Live, Reason::Synced, now, pipeline);
    }

    /// The book can't be relied on any more.
    fn fault(&mut self, reason: Reason, now: Nanos, pipeline: &mut dyn Pipeline) -> Ask {
        let live = pipeline.book(self.instrument).state == StreamState::Live;
        if live && reason != Reason::Malformed {
            pipeline.count(self.instrument, Kind::BookUpdate, Count::Gap);
        }
        self.turn(StreamState::Gapped, reason, now, pipeline);
        Ask::Snapshot
    }

    /// Changes the book's state, in the book and in the stream.
    fn turn(
        &mut self,
        state: StreamState,
        reason: Reason,
        now: Nanos,
        pipeline: &mut dyn Pipeline,
    ) {
        if state != StreamState::Live {
            self.look_at = None;
        }
        let book = pipeline.book(self.instrument);
        if book.state == state && book.reason == reason {
            return;
        }
        (book.state, book.reason, book.since) = (state, reason, now);
        pipeline.status(self.instrument, Kind::BookUpdate, state, reason);
    }
}
