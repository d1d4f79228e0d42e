//! What leaves a shard in the order of its stream: resequencing, and the states between the events.

use model::event::{CanonicalEvent, Reason, StreamState, StreamStatus};
use model::venue::{Count, Profile};
use model::{Body, Event, Header, Kind, Nanos, ProviderId, Stream};

use super::{Port, Shard};
use crate::books::{Entry, Lane, Slot};
use crate::dead_letters::{Content, LetterReason};
use crate::resequence::{Limits, Place, Release, Sequence};
use crate::stats::StreamStats;

impl Shard {
    /// Says that the positions of a provider's streams of a kind count up by one per instrument:
    /// they are put in order from here on. A venue's
    /// [`Profile`](model::venue::Profile::contiguous) says which kinds these are.
    pub fn resequence(&mut self, provider: ProviderId, kind: Kind, limits: Limits) {
        self.sequences.in_order(provider, kind, limits, &self.books);
    }

    /// Says that the positions of a provider's streams of a kind only go up and skip: each goes out
    /// once from here on.
    pub fn once(&mut self, provider: ProviderId, kind: Kind) {
        self.sequences.once(provider, kind, &self.books);
    }

    /// Does either for all kinds of which a provider's venue says so.
    pub fn follow(&mut self, provider: ProviderId, profile: &Profile, limits: Limits) {
        profile.contiguous.iter().for_each(|kind| self.resequence(provider, *kind, limits));
        profile.skipping.iter().for_each(|kind| self.once(provider, *kind));
    }

    /// Looks at what waited long enough.
    pub(super) fn look(&mut self, now: Nanos) {
        while let Some(lane) = self.sequences.due(now) {
            if let Some(sequence) = self.sequences.get(lane) {
                sequence.look(now);
            }
            self.release(lane, now, now);
        }
    }

    /// Sends what may leave a sequence, and says in the stream where a hole is given up.
    #[cold]
    pub(super) fn release(&mut self, lane: Lane, now: Nanos, ts_emit: Nanos) {
        while let Some(release) = self.sequences.get(lane).and_then(Sequence::release) {
            match release {
                Release::Gap => self.give_up(lane, now, ts_emit),
                Release::Event(event) => self.send_kept(lane, event, now, ts_emit),
            }
        }
        self.sequences.note(lane);
    }

    /// The stream ends here for a while: what waits goes out. Where it will start over, its
    /// position is forgotten, since a venue that restarted may count from anywhere.
    pub(super) fn interrupt(&mut self, lane: Lane, reason: Reason, now: Nanos, ts_emit: Nanos) {
        if let Some(sequence) = self.sequences.get(lane) {
            sequence.flush();
            self.release(lane, now, ts_emit);
        }
        if matches!(reason, Reason::Subscribed | Reason::Disconnected | Reason::VenueReset) {
            self.sequences.forget(lane);
        }
    }

    /// The consumers of a stream hear that something before what follows is missing for good.
    fn give_up(&mut self, lane: Lane, now: Nanos, ts_emit: Nanos) {
        if let Some(stream) = self.stream_mut(lane.slot(), lane.kind()) {
            stream.count(Count::Gap);
            stream.count(Count::Resync);
        }
        self.turn_stream(lane, (StreamState::Gapped, Reason::SequenceGap), now, ts_emit);
        self.turn_stream(lane, (StreamState::Live, Reason::Flowing), now, ts_emit);
    }

    /// Sends an event that waited; it keeps the time at which it was received.
    fn send_kept(&mut self, lane: Lane, mut event: Event, now: Nanos, ts_emit: Nanos) {
        if let Some(stream) = self.stream_mut(lane.slot(), event.kind()) {
            stream
                .emit(event.header.seq_provider, ts_emit.0.saturating_sub(event.header.ts_recv.0));
        }
        event.header.trace_id = self.next_trace();
        event.header.ts_emit = ts_emit;
        event.header.routing_version = self.fanout.version();
        if self.merges.takes(lane) {
            self.fanout.send_kept(lane, event.clone());
            self.merge(lane, (&event.header, &event.body), now, ts_emit);
        } else {
            self.fanout.send_kept(lane, event);
        }
    }

    /// A stream's state changes: its consumers hear of it, in order.
    pub(super) fn turn_stream(
        &mut self,
        lane: Lane,
        (state, reason): (StreamState, Reason),
        now: Nanos,
        ts_emit: Nanos,
    ) {
        let (slot, of) = (lane.slot(), lane.kind());
        if (state == StreamState::Live || reason == Reason::Confirmed)
            && let Some(&Entry { provider, instrument, .. }) = self.books.get(slot)
        {
            self.control.confirmed(Stream { provider, instrument, kind: of });
        }
        let Some(stats) = self.stream_mut(slot, of) else { return };
        if !stats.turn(state, reason, now) {
            return;
        }
        let Some(mut event) = self.status_now(lane, now) else { return };
        event.header.ts_emit = ts_emit;
        if of == Kind::BookUpdate && state == StreamState::Live {
            self.make_up_snapshot(slot, lane, event.header);
        }
        self.fanout.send_status(lane, event);
    }

    /// How a stream stands, as an event; `None` where it has no state yet.
    pub(super) fn status_now(&mut self, lane: Lane, now: Nanos) -> Option<Event> {
        let (slot, of) = (lane.slot(), lane.kind());
        let &mut StreamStats { state, reason, since, .. } = self.stream_mut(slot, of)?;
        let status = StreamStatus { of, state, reason, since: since?, transitions: 1 };
        let Entry { provider, instrument, .. } = *self.books.get(slot)?;
        let stream = Stream { provider, instrument, kind: Kind::StreamStatus };
        let header = Header { stream, ..self.blank_header(now) };
        Some(Event { header, body: Body::Status(status), levels: None })
    }

    /// A book is `Live` again but its snapshot did not go out (the pool was exhausted): whoever
    /// subscribed gets one at the end of the turn all the same.
    fn make_up_snapshot(&mut self, slot: Slot, lane: Lane, header: Header) {
        let Some(entry) = self.books.get(slot) else { return };
        let (announced, generation) = (entry.announced, entry.book.generation);
        if announced != generation {
            self.books.announced(slot, generation);
            self.fanout.hold_book(lane, header);
        }
    }
}

impl Port<'_> {
    /// Where an event stands in its stream.
    #[inline]
    pub(super) fn place(&mut self, lane: Lane, event: &CanonicalEvent) -> Place {
        self.shard.sequences.arrive(lane, event.header.seq_provider)
    }

    /// Keeps an early event until what is missing before it came or is given up.
    #[cold]
    pub(super) fn hold(&mut self, lane: Lane, event: &CanonicalEvent) {
        let Some(position) = event.header.seq_provider else { return };
        let mut event = event.to_event();
        event.header.stream.provider = self.provider;
        event.header.ts_recv = self.now;
        if let Some(stream) = self.shard.stream_mut(lane.slot(), lane.kind()) {
            stream.early += 1;
        }
        if let Some(sequence) = self.shard.sequences.get(lane) {
            sequence.hold(position, event, self.now);
        }
        self.shard.release(lane, self.now, self.ts_emit);
    }

    /// An event came after its place in the stream had gone by.
    #[cold]
    pub(super) fn behind(&mut self, lane: Lane, place: Place, event: &CanonicalEvent) {
        if let Some(stream) = self.shard.stream_mut(lane.slot(), lane.kind()) {
            if place == Place::Late {
                stream.late += 1;
            } else {
                stream.duplicates += 1;
            }
        }
        if place == Place::Late {
            if self.shard.sequences.tells(lane) {
                self.shard.give_up(lane, self.now, self.ts_emit);
            }
            self.bury_late(event);
        }
    }

    fn bury_late(&mut self, event: &CanonicalEvent) {
        let (provider, now) = (self.provider, self.now);
        let (trace_id, routing_version) = (self.shard.next_trace(), self.shard.fanout.version());
        self.shard.letters.put(LetterReason::Late, now, || {
            let mut event = event.to_event();
            event.header.stream.provider = provider;
            (event.header.ts_recv, event.header.ts_emit) = (now, now);
            (event.header.trace_id, event.header.routing_version) = (trace_id, routing_version);
            Some(Content::Late(event))
        });
    }
}
