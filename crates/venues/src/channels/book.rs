//! Books: one connection at a time feeds each, and a quote follows from it.
//!
//! Diffs have no numbers, so those of two connections can't be told apart or put in order. A book
//! takes them from the connection that brought its last snapshot, and from no other. While a
//! connection is renewed, its replacement's snapshot moves the book over without a gap.

use model::event::{Quote, Reason, StreamState};
use model::venue::{Discard, Sink};
use model::{Body, CanonicalEvent, ConnId, Error, Kind, Nanos, Side};
use pool::LocalPooled;

use super::machine::Machine;
use crate::assembler::Ask;
use crate::track::Probe;

impl Machine {
    /// A snapshot or a diff of a book.
    pub(super) fn on_book(
        &mut self,
        index: usize,
        conn: ConnId,
        event: LocalPooled<CanonicalEvent>,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) {
        let market = &mut self.markets.all[index];
        let track = market.track(Kind::BookUpdate);
        let snapshot = event.header.stream.kind == Kind::BookSnapshot;
        if snapshot {
            track.conn = Some(conn);
            track.repeat.answered();
            track.probe = Probe::Idle;
        } else if track.conn != Some(conn) {
            let asked = track.conn.is_none();
            let why = if asked { Discard::Absorbed } else { Discard::Duplicate };
            sink.pipeline.discard(event, why);
            return;
        }
        // Without numbers, the time of its newest message is where a book stands.
        (track.seen, track.position) = (now, now.0);
        let ask = if snapshot {
            market.assembler.on_stream_snapshot(event, now, sink.pipeline)
        } else {
            market.assembler.on_diff(event, now, sink.pipeline)
        };
        if ask == Ask::Snapshot {
            self.ask_book(index, now, sink);
        }
        self.quote_follows(index, sink);
    }

    /// Subscribes a book anew, once: until its snapshot comes, its diffs are not taken. At the
    /// earliest when the repairs of the last half minute allow it.
    pub(super) fn ask_book(&mut self, index: usize, now: Nanos, sink: &mut Sink<'_>) {
        let track = self.markets.all[index].track(Kind::BookUpdate);
        track.conn = None;
        track.probe = Probe::Idle;
        if let Err(due) = track.repeat.permit(now) {
            track.repeat.due = Some(due);
            sink.outbox.wake_at(due);
            return;
        }
        self.resubscribe(index, Kind::BookUpdate, now, sink);
    }

    /// Subscribes again what was not answered, or not allowed before.
    pub(super) fn repeat_due(&mut self, index: usize, now: Nanos, sink: &mut Sink<'_>) {
        for (carrier, _) in self.dialect.channels {
            let market = &mut self.markets.all[index];
            let needed = market.needs(*carrier);
            let track = market.track(*carrier);
            if needed && track.conn.is_none() && track.repeat.due.is_some_and(|due| due <= now) {
                self.resubscribe(index, *carrier, now, sink);
            }
        }
    }

    /// The quote is the book's best level, and can be relied on as far as the book can.
    pub(super) fn quote_follows(&mut self, index: usize, sink: &mut Sink<'_>) {
        let market = &mut self.markets.all[index];
        let instrument = market.instrument;
        let quote = market.track(Kind::Quote);
        if !quote.wanted {
            return;
        }
        let book = sink.pipeline.book(instrument);
        let (state, reason, ts_event) = (book.state, book.reason, book.ts_event);
        let best = |side| book.best(side).unwrap_or_default();
        let now = Quote { bid: best(Side::Buy), ask: best(Side::Sell) };
        let turned = quote.state != state;
        quote.state = state;
        if turned {
            sink.pipeline.status(instrument, Kind::Quote, state, reason);
        }
        if state != StreamState::Live || (now == market.quote && !turned) {
            return;
        }
        if let Some(mut event) = sink.pipeline.event() {
            event.set_kind(instrument, Kind::Quote);
            event.header.ts_event = ts_event;
            event.body = Body::Quote(now);
            sink.pipeline.derive(event);
            market.quote = now;
        }
    }

    /// A message that there was no event for may have been any book's of its connection.
    pub(super) fn not_taken(&mut self, conn: ConnId, now: Nanos, sink: &mut Sink<'_>) -> Error {
        for index in 0..self.markets.all.len() {
            if self.markets.all[index].track(Kind::BookUpdate).conn == Some(conn) {
                self.stale(index, Kind::BookUpdate, Reason::BufferFull, now, sink);
            }
        }
        Error::resync("no free event: the pool of canonical events is exhausted")
    }

    /// A message that could not be read is missing from its book; where no checksum will say so,
    /// that is said here, as far as the message still tells whose it was.
    pub(super) fn unreadable(&mut self, frame: &[u8], now: Nanos, sink: &mut Sink<'_>) {
        let symbol = self.dialect.book_of.and_then(|book_of| book_of(frame));
        if let Some(index) = symbol.and_then(|symbol| self.markets.index(&symbol)) {
            self.stale(index, Kind::BookUpdate, Reason::Malformed, now, sink);
        }
    }
}
