//! Books: which connection a book follows, and how it gets its snapshot.
//!
//! 1. The first message of a subscription is the snapshot (`prevSeqId` −1); the book starts there.
//! 2. Where none comes within [`SNAPSHOT_WAIT`] of the subscription's acknowledgement, the book is
//!    asked for by request; the diffs that came meanwhile are joined to it by `seqId`.
//! 3. After a fault the book is `Gapped` first, then subscribed anew, once, and diffs are not
//!    applied until its snapshot is there. A book that got no snapshot in the stream before is
//!    asked for by request at once.
//! 4. While a connection is renewed both bring diffs. Their steps need not end at the same numbers:
//!    a diff of the other connection is taken where it reaches across the book's number, and from
//!    then on the book follows that connection.

use std::time::Duration;

use model::event::StreamState;
use model::venue::{Discard, Sink};
use model::{CanonicalEvent, ConnId, Kind, LinkId, Nanos};
use pool::LocalPooled;

use super::super::habits::BOOK_LEVELS;
use super::super::markets::Market;
use super::{Okx, Purpose};
use crate::assembler::Ask;

/// How long a snapshot in the stream may take behind the acknowledgement of its subscription.
const SNAPSHOT_WAIT: Duration = Duration::from_secs(2);
/// And how long where nothing was acknowledged yet.
const SUBSCRIBE_WAIT: Duration = Duration::from_secs(10);

impl Okx {
    /// A book message of a market.
    pub(super) fn on_book(
        &mut self,
        index: usize,
        conn: ConnId,
        event: LocalPooled<CanonicalEvent>,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) {
        let market = &mut self.markets.all[index];
        let snapshot = event.header.stream.kind == Kind::BookSnapshot;
        if market.book_conn != Some(conn) {
            let followed = market.book_conn.is_some();
            if followed && !snapshot && !market.assembler.reaches_across(&event, sink.pipeline) {
                sink.pipeline.discard(event, Discard::Duplicate);
                return;
            }
            market.book_conn = Some(conn);
            market.assembler.change_source();
        }
        let ask = if snapshot {
            market.snapshot_came(sink);
            market.assembler.on_stream_snapshot(event, now, sink.pipeline)
        } else {
            market.assembler.on_diff(event, now, sink.pipeline)
        };
        self.see_to_book(index, ask, now, sink);
    }

    /// Does what a market's assembler asks for.
    fn see_to_book(&mut self, index: usize, ask: Ask, now: Nanos, sink: &mut Sink<'_>) {
        if let Some(at) = self.markets.all[index].assembler.look_at() {
            sink.outbox.wake_at(at);
        }
        if ask == Ask::Snapshot {
            self.ask_book(index, now, sink);
        }
    }

    /// Looks at the diffs that wait for one before them.
    pub(super) fn look(&mut self, now: Nanos, sink: &mut Sink<'_>) {
        for index in 0..self.markets.all.len() {
            let ask = self.markets.all[index].assembler.on_look(now, sink.pipeline);
            self.see_to_book(index, ask, now, sink);
        }
    }

    /// The books of a link should start soon, now that its connection is told what stands on it.
    pub(super) fn expect_snapshots(&mut self, link: LinkId, now: Nanos, sink: &mut Sink<'_>) {
        let Some(link) = self.links.get(link) else { return };
        for market in &mut self.markets.all {
            let here = market.stream(Kind::BookUpdate).is_some_and(|stream| link.has(&stream));
            let live = sink.pipeline.book(market.instrument).state == StreamState::Live;
            if here && !live {
                market.snapshot_due = Some(now + SUBSCRIBE_WAIT);
            }
        }
    }

    /// A book's subscription is effective: its snapshot is next.
    pub(super) fn expect_snapshot(&mut self, index: usize, now: Nanos, sink: &mut Sink<'_>) {
        let market = &mut self.markets.all[index];
        let live = sink.pipeline.book(market.instrument).state == StreamState::Live;
        if !live && market.fetch.asked.is_none() {
            let due = now + SNAPSHOT_WAIT;
            market.snapshot_due = Some(due);
            sink.outbox.wake_at(due);
        }
    }

    /// Asks for a book's snapshot, unless one is on its way; at the earliest when the repeats of
    /// the last minute allow it.
    pub(super) fn ask_book(&mut self, index: usize, now: Nanos, sink: &mut Sink<'_>) {
        let market = &mut self.markets.all[index];
        let fetch = &mut market.fetch;
        // Every diff that waits asks; one that was put off, after a refusal too, stays put off.
        let under_way = fetch.asked.is_some() || market.snapshot_due.is_some();
        if under_way || fetch.retry_at.is_some_and(|at| at > now) {
            return;
        }
        if let Err(due) = fetch.permit(now) {
            fetch.retry_at = Some(due);
            sink.outbox.wake_at(due);
            return;
        }
        if market.by_request {
            self.request_book(index, now, sink);
            return;
        }
        fetch.sent(None, now);
        let due = now + SNAPSHOT_WAIT;
        market.snapshot_due = Some(due);
        sink.outbox.wake_at(due);
        if let Some(stream) = market.stream(Kind::BookUpdate) {
            self.links.resubscribe(&stream, sink.outbox);
        }
    }

    /// What is due for a market's book.
    pub(super) fn check_repair(&mut self, index: usize, now: Nanos, sink: &mut Sink<'_>) {
        let market = &mut self.markets.all[index];
        if market.snapshot_due.is_some_and(|at| at <= now) {
            market.snapshot_due = None;
            market.by_request = true;
            self.request_book(index, now, sink);
        } else if market.fetch.retry_at.is_some_and(|at| at <= now) {
            self.ask_book(index, now, sink);
        }
    }

    fn request_book(&mut self, index: usize, now: Nanos, sink: &mut Sink<'_>) {
        let symbol = &self.markets.all[index].symbol;
        let path = format!("/market/books?instId={symbol}&sz={BOOK_LEVELS}");
        let id = self.request(Purpose::Snapshot { market: index }, &path, sink);
        self.markets.all[index].fetch.sent(Some(id), now);
    }
}

impl Market {
    /// A snapshot came in the stream: none is due or asked for any more.
    fn snapshot_came(&mut self, sink: &mut Sink<'_>) {
        self.by_request = false;
        self.snapshot_due = None;
        self.fetch.retry_at = None;
        sink.outbox.cancelled.extend(self.fetch.asked.take());
    }

    /// Nobody wants the book any more, or its connection is gone.
    pub(super) fn forget_book(&mut self, sink: &mut Sink<'_>) {
        self.snapshot_came(sink);
        self.book_conn = None;
    }
}
