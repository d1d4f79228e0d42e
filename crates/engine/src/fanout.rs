//! Fan-out: one copy of an event per subscriber, each in the subscriber's own queue.

use std::num::NonZeroU32;
use std::sync::Arc;

use model::event::CanonicalEvent;
use model::{ConsumerId, Event, Header, Kind, MergedEvent, Nanos, Stream};
use rtrb::{Producer, PushError};

use crate::books::{Books, Entry, LANES, Lane, Slot, lane_kind};
use crate::critical::Critical;
use crate::dead_letters::{Content, LetterReason, Letters};
use crate::doorbell::{Doorbell, LastRing};
use crate::exec_log::LogRequest;
use crate::queue::{Backlog, Item, Lost};
use crate::route::{Filter, RoutingTable};
use crate::share::{EVENT, Pace, Tokens, divide};
use crate::tally::{ConsumerCounts, Tally};

/// The shard's end of one consumer's queue.
#[derive(Debug)]
pub(crate) struct Outlet {
    consumer: ConsumerId,
    ring: Producer<Event>,
    backlog: Backlog,
    critical: Critical,
    /// Where there is a budget.
    tokens: Option<Tokens>,
    /// Nothing that waits has a token: there is nothing to look for before the next ones come.
    held: bool,
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
    /// Up to when it is counted how long it is behind or stalled.
    since: Since,
    /// The consumer's end is gone.
    closed: bool,
    /// The next event makes it panic, as a bug would.
    #[cfg(test)]
    broken: bool,
}

/// While something is so: up to when it is counted.
#[derive(Clone, Copy, Debug, Default)]
struct Since {
    behind: Option<Nanos>,
    stalled: Option<Nanos>,
}

/// The time that has passed since it was last asked, where it was so all the time; `is` says whether it
/// is so from now on.
fn pass(since: &mut Option<Nanos>, is: bool, now: Nanos) -> u64 {
    let before = std::mem::replace(since, is.then_some(now));
    before.map_or(0, |before| now.0.saturating_sub(before.0))
}

impl Outlet {
    pub(crate) fn new(
        consumer: ConsumerId,
        ring: Producer<Event>,
        critical: Critical,
        trades_max: usize,
        tally: Arc<Tally>,
        (bell, room): (Arc<Doorbell>, Arc<Doorbell>),
    ) -> Self {
        Self {
            consumer,
            ring,
            backlog: Backlog::new(trades_max),
            critical,
            tokens: None,
            held: false,
            counts: ConsumerCounts::default(),
            tally,
            bell: LastRing(bell),
            room,
            filled: false,
            counted: false,
            since: Since::default(),
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
    pub(crate) fn offer(&mut self, lane: Lane, mut event: Event) {
        if self.closed {
            return;
        }
        #[cfg(test)]
        assert!(!std::mem::take(&mut self.broken), "broken on purpose");
        self.counts.offered += 1;
        self.counted = true;
        if !self.has_token(lane, &event) {
            return self.backlog.put(lane, event, &mut self.counts);
        }
        if !self.backlog.admits(lane, &mut event) {
            self.held = false;
            return self.backlog.put(lane, event, &mut self.counts);
        }
        let critical = event.kind().is_critical();
        match self.ring.push(event) {
            Ok(()) => {
                self.filled = true;
                self.spend(lane, critical);
            }
            Err(PushError::Full(event)) => {
                self.held = false;
                self.backlog.put(lane, event, &mut self.counts);
            }
        }
    }

    /// Whether another command can be opened.
    pub(crate) fn takes_command(&self) -> bool {
        !self.closed && self.critical.takes_command()
    }

    /// Whether the budget lets an event pass; without a budget every event.
    #[inline]
    fn has_token(&mut self, lane: Lane, event: &Event) -> bool {
        let Some(tokens) = &mut self.tokens else { return true };
        if event.kind().is_critical() {
            return true;
        }
        tokens.want(lane);
        let has = tokens.has(lane);
        self.counts.held += u64::from(!has);
        has
    }

    #[inline]
    fn spend(&mut self, lane: Lane, critical: bool) {
        if let Some(tokens) = self.tokens.as_mut().filter(|_| !critical) {
            tokens.take(lane);
        }
    }

    /// The consumer's book of that lane is to be replaced by a fresh snapshot.
    pub(crate) fn hold_book(&mut self, lane: Lane, header: Header) {
        if !self.closed {
            (self.counted, self.held) = (true, false);
            self.backlog.hold_book(lane, header, &mut self.counts);
        }
    }

    /// The consumer does not want the book of that lane any more.
    fn leave_book(&mut self, lane: Lane) {
        self.counted = true;
        self.backlog.leave_book(lane, &mut self.counts);
    }

    /// Moves what waits into the ring, as far as there is room, and wakes the consumer.
    pub(crate) fn end_turn(&mut self, books: &Books, now: Nanos, version: u32) {
        if !self.closed && self.ring.is_abandoned() {
            self.close();
        }
        loop {
            self.critical_turn(now);
            let waits = !self.drain(books, now, version);
            if !waits && !self.critical.wants_room() {
                break;
            }
            self.room.arm();
            let more = waits && !self.ring.is_full();
            if !more && !self.critical.can_go_on(now) {
                break;
            }
            self.room.disarm();
        }
        self.note_depth(now);
        if std::mem::take(&mut self.filled) {
            self.bell.0.ring();
        }
        if std::mem::take(&mut self.counted) {
            self.tally.publish_shard(&self.counts);
        }
    }

    /// How much is queued and waits at the end of a turn, and since when.
    #[inline]
    fn note_depth(&mut self, now: Nanos) {
        let counts = &mut self.counts;
        if self.filled {
            counts.queued = (self.ring.buffer().capacity() - self.ring.slots()) as u64;
            counts.queued_max = counts.queued_max.max(counts.queued);
            counts.critical_queued = self.critical.queued() as u64;
            counts.critical_queued_max = counts.critical_queued_max.max(counts.critical_queued);
        }
        if self.counted {
            counts.waiting = (self.backlog.len() + self.critical.waiting()) as u64;
            counts.waiting_max = counts.waiting_max.max(counts.waiting);
        }
        let behind = counts.waiting > 0;
        if behind || self.since.behind.is_some() {
            counts.behind_ns += pass(&mut self.since.behind, behind, now);
            self.counted = true;
        }
        if counts.stalled || self.since.stalled.is_some() {
            counts.stalled_ns += pass(&mut self.since.stalled, counts.stalled, now);
            self.counted = true;
        }
    }

    /// What was counted, and of a lane.
    pub(crate) fn counts(&self) -> &ConsumerCounts {
        &self.counts
    }

    pub(crate) fn lost(&self, lane: Lane) -> Lost {
        self.backlog.lost(lane)
    }

    /// Something that the critical lane does, where the consumer is still there.
    pub(crate) fn critically<T>(
        &mut self,
        act: impl FnOnce(&mut Critical, &mut ConsumerCounts) -> (T, bool),
    ) -> Option<T> {
        if self.closed {
            return None;
        }
        let (result, filled) = act(&mut self.critical, &mut self.counts);
        self.filled |= filled;
        self.counted = true;
        Some(result)
    }

    pub(crate) fn critical(&self) -> &Critical {
        &self.critical
    }

    fn critical_turn(&mut self, now: Nanos) {
        if self.critical.can_go_on(now) && !self.closed {
            self.filled |= self.critical.end_turn(now, &mut self.counts);
            self.counted = true;
        }
    }

    /// Moves what waits, and may go, into the ring; `false` where that is full first.
    fn drain(&mut self, books: &Books, now: Nanos, version: u32) -> bool {
        let mut from = 0;
        while !self.backlog.is_empty() && !self.held {
            if self.ring.is_full() {
                return false;
            }
            let taken = match &self.tokens {
                Some(tokens) => self.backlog.take_let_out(&mut from, |lane| tokens.has(lane)),
                None => self.backlog.take(),
            };
            let Some((lane, item)) = taken else {
                self.held = true;
                break;
            };
            self.counted = true;
            let event = match item {
                Item::Gone => continue,
                Item::Event(event) => event,
                Item::Deltas(deltas) => {
                    let header =
                        Header { ts_emit: now, routing_version: version, ..*deltas.header() };
                    match books.smaller_snapshot(&header, deltas.generation(), deltas.len()) {
                        Some(event) => {
                            self.counts.snapshots += 1;
                            self.counts.conflated += 1;
                            self.backlog.note_conflated(lane, 1);
                            event
                        }
                        None => {
                            self.counts.updates_merged += 1;
                            deltas.into_event()
                        }
                    }
                }
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
            self.spend(lane, event.kind().is_critical());
            if let Err(PushError::Full(event)) = self.ring.push(event) {
                // Nobody but this thread fills the ring, so this can't be; nothing is lost if so.
                self.backlog.put(lane, event, &mut self.counts);
                return false;
            }
            self.filled = true;
        }
        self.backlog.tidy();
        true
    }

    /// The share that it begins with, in parts of an event; `None` where there is no budget.
    fn set_share(&mut self, share: Option<u64>) {
        (self.tokens, self.held) = (share.map(Tokens::new), false);
        self.tell_share(share.unwrap_or_default(), 0);
    }

    fn begin_window(&mut self, share: u64) {
        if let Some(tokens) = &mut self.tokens {
            let demand = tokens.demand();
            tokens.begin(share);
            self.tell_share(share, demand);
        }
    }

    fn tell_share(&mut self, share: u64, demand: u64) {
        (self.counts.share, self.counts.demand) = (share.div_ceil(EVENT), demand);
        self.counted = true;
    }

    fn refill(&mut self, refills: u64) {
        if let Some(tokens) = &mut self.tokens {
            tokens.refill(refills);
            self.held = false;
        }
    }

    /// Shows which trades were dropped.
    fn bury(&mut self, letters: &mut Letters, now: Nanos) {
        let consumer = self.consumer;
        let (dropped, more) = self.backlog.take_dropped();
        for event in dropped {
            letters.put(LetterReason::Dropped, now, || Some(Content::Dropped { consumer, event }));
        }
        letters.lose(LetterReason::Dropped, more);
    }

    /// The consumer is gone: what it would have got is given up.
    fn close(&mut self) {
        (self.closed, self.counted) = (true, true);
        self.backlog = Backlog::new(1);
        self.critical.close();
        self.counts.stalled = false;
    }
}

/// The routes and outlets of a shard.
#[derive(Debug, Default)]
pub(crate) struct Fanout {
    table: Arc<RoutingTable>,
    outlets: Vec<Outlet>,
    /// By lane.
    routes: Vec<Route>,
    /// Where there is a budget.
    pace: Option<Pace>,
}

/// Who gets a stream, as indices of outlets, in order.
#[derive(Clone, Debug, Default)]
struct Route {
    events: Vec<u16>,
    status: Vec<u16>,
}

impl Fanout {
    pub(crate) fn version(&self) -> u32 {
        self.table.version()
    }

    pub(crate) fn table(&self) -> &RoutingTable {
        &self.table
    }

    pub(crate) fn outlets(&self) -> &[Outlet] {
        &self.outlets
    }

    pub(crate) fn outlet(&self, consumer: ConsumerId) -> Option<&Outlet> {
        self.outlets.iter().find(|outlet| outlet.consumer == consumer)
    }

    pub(crate) fn outlet_mut(&mut self, consumer: ConsumerId) -> Option<&mut Outlet> {
        self.outlets.iter_mut().find(|outlet| outlet.consumer == consumer)
    }

    /// What the log of execution events is to be asked or told next.
    pub(crate) fn log_request(&mut self) -> Option<LogRequest> {
        self.outlets.iter_mut().find_map(|outlet| outlet.critical.request())
    }

    /// When a turn is wanted though nothing arrives.
    pub(crate) fn deadline(&self) -> Option<Nanos> {
        let critical = self.outlets.iter().filter_map(|outlet| outlet.critical.deadline()).min();
        let waits = |outlet: &Outlet| !outlet.backlog.is_empty();
        let refill =
            self.pace.filter(|_| self.outlets.iter().any(waits)).map(|pace| pace.refill_at());
        critical.into_iter().chain(refill).min()
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

    /// Copies a merged event to whoever subscribed its merge.
    pub(crate) fn send_merged(&mut self, lane: Lane, event: &MergedEvent) {
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

    /// From here on the consumers share that many events of market data a second; without a number
    /// each gets all.
    pub(crate) fn set_budget(&mut self, budget: Option<NonZeroU32>, now: Nanos) {
        self.pace = budget.map(|budget| Pace::new(budget, now));
        let parts = self.outlets.len().max(1) as u64;
        let share = self.pace.map(|pace| pace.budget() / parts);
        self.outlets.iter_mut().for_each(|outlet| outlet.set_share(share));
    }

    /// Windows in which the shares came to more than the budget.
    pub(crate) fn shares_scaled(&self) -> u64 {
        self.pace.map_or(0, |pace| pace.scaled)
    }

    /// Gives out what tokens are due.
    fn pace(&mut self, now: Nanos) {
        let Some(due) = self.pace.as_mut().and_then(|pace| pace.due(now)) else { return };
        if due.window {
            self.divide_anew();
        }
        self.outlets.iter_mut().for_each(|outlet| outlet.refill(due.refills));
    }

    /// Divides the budget by what was wanted in the window that ends.
    fn divide_anew(&mut self) {
        let Some(pace) = &mut self.pace else { return };
        let open = |outlet: &&mut Outlet| !outlet.closed;
        let demand = |outlet: &mut Outlet| outlet.tokens.as_ref().map_or(0, Tokens::demand) * EVENT;
        let demands: Vec<u64> = self.outlets.iter_mut().filter(open).map(demand).collect();
        let (shares, scaled) = divide(pace.budget(), &demands);
        pace.scaled += u64::from(scaled);
        if scaled && pace.scaled.is_power_of_two() {
            tracing::warn!(
                budget = pace.budget() / EVENT,
                windows = pace.scaled,
                "the consumers' shares come to more than the budget: they are scaled down"
            );
        }
        for (outlet, share) in self.outlets.iter_mut().filter(open).zip(shares) {
            outlet.begin_window(share);
        }
    }

    /// Ends the turn for every queue.
    pub(crate) fn end_turn(&mut self, books: &Books, now: Nanos) {
        self.pace(now);
        let version = self.version();
        self.outlets.iter_mut().for_each(|outlet| outlet.end_turn(books, now, version));
    }

    /// Hands over what full queues dropped in this turn.
    pub(crate) fn bury(&mut self, letters: &mut Letters, now: Nanos) {
        let dropped = |outlet: &&mut Outlet| outlet.backlog.has_dropped();
        self.outlets.iter_mut().filter(dropped).for_each(|outlet| outlet.bury(letters, now));
    }

    pub(crate) fn add(&mut self, outlet: Outlet, books: &Books, header: Header) {
        let n = u16::try_from(self.outlets.len()).unwrap_or(u16::MAX);
        self.outlets.push(outlet);
        let (parts, pace) = (self.outlets.len() as u64, self.pace);
        if let (Some(pace), Some(outlet)) = (pace, self.outlets.last_mut()) {
            outlet.set_share(Some(pace.budget() / parts));
        }
        for entry in books.iter() {
            self.resolve(n, entry, header).count();
        }
    }

    /// Swaps the table. `header` is what a snapshot for a new subscriber of a book starts from.
    /// Gives who hears of the states of which lane from here on, and did not before.
    ///
    /// Only what differs between the two tables is looked at.
    pub(crate) fn set_table(
        &mut self,
        table: Arc<RoutingTable>,
        books: &Books,
        header: Header,
    ) -> Vec<(u16, Lane)> {
        let before = std::mem::replace(&mut self.table, table);
        let mut new = Vec::new();
        for (consumer, filters) in self.table.differences(&before) {
            let found = (0..).zip(&self.outlets).find(|(_, outlet)| outlet.consumer == consumer);
            let Some((n, _)) = found else { continue };
            for slot in touched(&filters, books) {
                let Some(entry) = books.get(slot) else { continue };
                new.extend(self.resolve(n, (slot, entry), header).map(|lane| (n, lane)));
            }
        }
        new
    }

    /// Finds who gets the streams of a new slot.
    pub(crate) fn add_slot(&mut self, slot: Slot, entry: &Entry, header: Header) {
        self.routes.resize_with((slot.index() + 1) * LANES, Route::default);
        for n in (0..).take(self.outlets.len()) {
            self.resolve(n, (slot, entry), header).count();
        }
    }

    /// Finds which streams of a slot an outlet gets. Whoever is new to a book that is already known
    /// gets its snapshot first, then exactly what follows. Gives the lanes whose states it did not
    /// hear of before.
    fn resolve(
        &mut self,
        n: u16,
        (slot, entry): (Slot, &Entry),
        header: Header,
    ) -> impl Iterator<Item = Lane> + use<> {
        let mut new = [None; LANES];
        let Some(outlet) = self.outlets.get_mut(usize::from(n)) else {
            return new.into_iter().flatten();
        };
        let Entry { provider, instrument, announced, .. } = *entry;
        let own_lane = |kind: &Kind| lane_kind(*kind) == *kind;
        for kind in Kind::ALL.into_iter().take(LANES).filter(own_lane) {
            let Some(lane) = slot.lane(kind) else { continue };
            let Some(route) = self.routes.get_mut(lane.index()) else { continue };
            let stream = Stream { provider, instrument, kind };
            let events = self.table.wants(outlet.consumer, stream);
            let status = self.table.wants_status(outlet.consumer, stream);
            let changed = set(&mut route.events, n, events);
            if set(&mut route.status, n, status) && status {
                new[kind.index()] = Some(lane);
            }
            match (kind == Kind::BookUpdate && changed, events) {
                (true, true) if announced > 0 => {
                    outlet.hold_book(lane, Header { stream, ..header });
                }
                (true, false) => outlet.leave_book(lane),
                _ => {}
            }
        }
        new.into_iter().flatten()
    }

    /// Begins anew with a consumer: each of its books is to be replaced by a snapshot. Gives the lanes
    /// whose states it hears of.
    pub(crate) fn renew(
        &mut self,
        consumer: ConsumerId,
        books: &Books,
        header: Header,
    ) -> Vec<(u16, Lane)> {
        let found = (0..).zip(&mut self.outlets).find(|(_, outlet)| outlet.consumer == consumer);
        let Some((n, outlet)) = found else { return Vec::new() };
        let mut hears = Vec::new();
        for (slot, entry) in books.iter() {
            let Entry { provider, instrument, announced, .. } = *entry;
            for lane in Kind::ALL.into_iter().take(LANES).filter_map(|kind| slot.lane(kind)) {
                let Some(route) = self.routes.get(lane.index()) else { continue };
                let kind = lane.kind();
                let gets = kind == Kind::BookUpdate && route.events.binary_search(&n).is_ok();
                if gets && announced > 0 {
                    let stream = Stream { provider, instrument, kind };
                    outlet.hold_book(lane, Header { stream, ..header });
                }
                if route.status.binary_search(&n).is_ok() {
                    hears.push((n, lane));
                }
            }
        }
        hears.dedup();
        hears
    }

    /// Hands a state to one outlet: whoever is new to a stream hears how it stands.
    pub(crate) fn tell_status(&mut self, n: u16, lane: Lane, event: Event) {
        if let Some(outlet) = self.outlets.get_mut(usize::from(n)) {
            outlet.offer(lane, event);
        }
    }
}

/// The slots of whose streams these filters may mean any.
fn touched(filters: &[Arc<Filter>], books: &Books) -> Vec<Slot> {
    let mut slots = Vec::new();
    for filter in filters {
        if filter.names_pairs() {
            slots.extend(filter.pairs().filter_map(|(p, i)| books.find(p, i)));
        } else {
            let fits = |entry: &Entry| filter.fits_pair(entry.provider, entry.instrument);
            slots.extend(books.iter().filter(|(_, e)| fits(e)).map(|(slot, _)| slot));
        }
    }
    slots.sort_unstable();
    slots.dedup();
    slots
}

/// Puts an outlet into an ordered list, or takes it out; says whether that changed anything.
fn set(list: &mut Vec<u16>, n: u16, member: bool) -> bool {
    match (list.binary_search(&n), member) {
        (Err(at), true) => list.insert(at, n),
        (Ok(at), false) => drop(list.remove(at)),
        _ => return false,
    }
    true
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
