//! Fan-out: one copy of an event per subscriber, each in the subscriber's own queue.

use std::sync::Arc;

use model::event::CanonicalEvent;
use model::{ConsumerId, Event, Header, Kind, Nanos, Stream};
use rtrb::{Producer, PushError};

use crate::books::{Books, LANES, Lane, Slot, lane_kind};
use crate::doorbell::{Doorbell, LastRing};
use crate::queue::{Backlog, Item};
use crate::route::RoutingTable;
use crate::tally::{ConsumerCounts, Tally};

/// The shard's end of one consumer's queue.
#[derive(Debug)]
pub(crate) struct Outlet {
    consumer: ConsumerId,
    ring: Producer<Event>,
    backlog: Backlog,
    counts: ConsumerCounts,
    tally: Arc<Tally>,
    /// Rung for the consumer, at most once a turn. After the ring: fields are dropped in order.
    bell: LastRing,
    /// Rung by the consumer when it made room that is waited for.
    room: Arc<Doorbell>,
    /// Something was put into the ring in this turn.
    filled: bool,
    /// Something changed since the counters were last published.
    counted: bool,
    /// The consumer's end is gone.
    closed: bool,
    /// The next event makes it panic, as a bug would.
    #[cfg(test)]
    broken: bool,
}

impl Outlet {
    pub(crate) fn new(
        consumer: ConsumerId,
        ring: Producer<Event>,
        trades_max: usize,
        tally: Arc<Tally>,
        (bell, room): (Arc<Doorbell>, Arc<Doorbell>),
    ) -> Self {
        Self {
            consumer,
            ring,
            backlog: Backlog::new(trades_max),
            counts: ConsumerCounts::default(),
            tally,
            bell: LastRing(bell),
            room,
            filled: false,
            counted: false,
            closed: false,
            #[cfg(test)]
            broken: false,
        }
    }

    pub(crate) fn consumer(&self) -> ConsumerId {
        self.consumer
    }

    pub(crate) fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }

    /// Queues an event, behind what its stream already has in the queue.
    #[inline]
    pub(crate) fn offer(&mut self, lane: Lane, event: Event) {
        if self.closed {
            return;
        }
        #[cfg(test)]
        assert!(!std::mem::take(&mut self.broken), "broken on purpose");
        self.counts.offered += 1;
        self.counted = true;
        if !self.backlog.admits(lane, &event) {
            return self.backlog.put(lane, event, &mut self.counts);
        }
        match self.ring.push(event) {
            Ok(()) => self.filled = true,
            Err(PushError::Full(event)) => self.backlog.put(lane, event, &mut self.counts),
        }
    }

    /// The consumer's book of that lane is to be replaced by a fresh snapshot.
    pub(crate) fn hold_book(&mut self, lane: Lane, header: Header) {
        if !self.closed {
            self.counted = true;
            self.backlog.hold_book(lane, header);
        }
    }

    /// The consumer does not want the book of that lane any more.
    fn leave_book(&mut self, lane: Lane) {
        self.counted = true;
        self.backlog.leave_book(lane);
    }

    /// Moves what waits into the ring, as far as there is room, and wakes the consumer.
    pub(crate) fn end_turn(&mut self, books: &Books, now: Nanos, version: u32) {
        if !self.closed && self.ring.is_abandoned() {
            self.close();
        }
        while !self.backlog.is_empty() {
            self.drain(books, now, version);
            if self.backlog.is_empty() {
                break;
            }
            self.room.arm();
            if self.ring.is_full() {
                break;
            }
            self.room.disarm();
        }
        if std::mem::take(&mut self.filled) {
            self.bell.0.ring();
        }
        if std::mem::take(&mut self.counted) {
            self.counts.waiting = self.backlog.len() as u64;
            self.tally.publish_shard(&self.counts);
        }
    }

    fn drain(&mut self, books: &Books, now: Nanos, version: u32) {
        while !self.ring.is_full() {
            let Some((lane, item)) = self.backlog.take() else { return };
            self.counted = true;
            let event = match item {
                Item::Gone => continue,
                Item::Event(event) => event,
                Item::Snapshot(header) => {
                    let header = Header { ts_emit: now, routing_version: version, ..header };
                    let Some(event) = books.snapshot(&header) else {
                        self.backlog.set_starved(lane, true);
                        continue;
                    };
                    self.counts.snapshots += 1;
                    event
                }
            };
            if let Err(PushError::Full(event)) = self.ring.push(event) {
                // Nobody but this thread fills the ring, so this can't be; nothing is lost if so.
                self.backlog.put(lane, event, &mut self.counts);
                return;
            }
            self.filled = true;
        }
    }

    /// The consumer is gone: what it would have got is given up.
    fn close(&mut self) {
        self.closed = true;
        self.backlog = Backlog::new(1);
    }
}

/// The routes and outlets of a shard.
#[derive(Debug, Default)]
pub(crate) struct Fanout {
    table: Arc<RoutingTable>,
    outlets: Vec<Outlet>,
    /// By lane.
    routes: Vec<Route>,
}

/// Who gets a stream, as indices of outlets.
#[derive(Clone, Debug, Default)]
struct Route {
    events: Box<[u16]>,
    status: Box<[u16]>,
}

impl Fanout {
    pub(crate) fn version(&self) -> u32 {
        self.table.version()
    }

    pub(crate) fn outlets(&self) -> &[Outlet] {
        &self.outlets
    }

    /// Makes the next copy for that outlet panic.
    #[cfg(test)]
    pub(crate) fn break_outlet(&mut self, index: usize) {
        self.outlets[index].broken = true;
    }

    /// Copies an event to whoever subscribed its stream.
    #[inline]
    pub(crate) fn send(&mut self, lane: Lane, event: &CanonicalEvent) {
        let Some(route) = self.routes.get(lane.index()) else { return };
        if !route.events.is_empty() {
            deliver(&mut self.outlets, &route.events, lane, event.to_event());
        }
    }

    /// Copies an event that is no pooled one any more to whoever subscribed its stream.
    pub(crate) fn send_kept(&mut self, lane: Lane, event: Event) {
        if let Some(route) = self.routes.get(lane.index()) {
            deliver(&mut self.outlets, &route.events, lane, event);
        }
    }

    /// Copies a state to whoever hears of the stream's states.
    pub(crate) fn send_status(&mut self, lane: Lane, event: Event) {
        if let Some(route) = self.routes.get(lane.index()) {
            deliver(&mut self.outlets, &route.status, lane, event);
        }
    }

    /// Everyone who subscribed a book gets a fresh snapshot of it at the end of the turn.
    pub(crate) fn hold_book(&mut self, lane: Lane, header: Header) {
        let Some(route) = self.routes.get(lane.index()) else { return };
        for outlet in &route.events {
            if let Some(outlet) = self.outlets.get_mut(usize::from(*outlet)) {
                outlet.hold_book(lane, header);
            }
        }
    }

    /// Ends the turn for every queue.
    pub(crate) fn end_turn(&mut self, books: &Books, now: Nanos) {
        let version = self.version();
        self.outlets.iter_mut().for_each(|outlet| outlet.end_turn(books, now, version));
    }

    pub(crate) fn add(&mut self, outlet: Outlet, books: &Books, header: Header) {
        self.outlets.push(outlet);
        self.resolve_all(books, header);
    }

    /// Swaps the table. `header` is what a snapshot for a new subscriber of a book starts from.
    pub(crate) fn set_table(&mut self, table: Arc<RoutingTable>, books: &Books, header: Header) {
        self.table = table;
        self.resolve_all(books, header);
    }

    fn resolve_all(&mut self, books: &Books, header: Header) {
        for (slot, entry) in books.iter() {
            let stream =
                Stream { provider: entry.provider, instrument: entry.instrument, ..header.stream };
            let known = entry.announced > 0;
            self.resolve(slot, Header { stream, ..header }, known);
        }
    }

    /// Finds who gets the streams of a slot. Whoever is new to a book that is already known gets
    /// its snapshot first, then exactly what follows.
    pub(crate) fn resolve(&mut self, slot: Slot, header: Header, book_known: bool) {
        let own_lane = |kind: &Kind| lane_kind(*kind) == *kind;
        for kind in Kind::ALL.into_iter().take(LANES).filter(own_lane) {
            let Some(lane) = slot.lane(kind) else { continue };
            let stream = Stream { kind, ..header.stream };
            let wanting = |wants: &dyn Fn(ConsumerId) -> bool| -> Box<[u16]> {
                let outlets = (0..).zip(&self.outlets);
                outlets.filter(|(_, outlet)| wants(outlet.consumer)).map(|(n, _)| n).collect()
            };
            let route = Route {
                events: wanting(&|consumer| self.table.wants(consumer, stream)),
                status: wanting(&|consumer| self.table.wants_status(consumer, stream)),
            };
            if self.routes.len() <= lane.index() {
                self.routes.resize(lane.index() + 1, Route::default());
            }
            let before = std::mem::replace(&mut self.routes[lane.index()], route.clone());
            if kind == Kind::BookUpdate {
                let without = |other: &Route, n: u16| !other.events.contains(&n);
                for (n, outlet) in (0..).zip(&mut self.outlets) {
                    match (without(&before, n), without(&route, n)) {
                        (true, false) if book_known => outlet.hold_book(lane, header),
                        (false, true) => outlet.leave_book(lane),
                        _ => {}
                    }
                }
            }
        }
    }
}

/// One copy each, and the event itself to the last.
#[inline]
fn deliver(outlets: &mut [Outlet], to: &[u16], lane: Lane, event: Event) {
    let Some((last, others)) = to.split_last() else { return };
    for outlet in others {
        if let Some(outlet) = outlets.get_mut(usize::from(*outlet)) {
            outlet.offer(lane, event.clone());
        }
    }
    if let Some(outlet) = outlets.get_mut(usize::from(*last)) {
        outlet.offer(lane, event);
    }
}
