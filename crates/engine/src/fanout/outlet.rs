//! The shard's end of one consumer's queue: ring, backlog, tokens and the critical lane.

use std::sync::Arc;

use model::{ConsumerId, Event, Header, Nanos};
use rtrb::{Producer, PushError};

use crate::books::{Books, Lane};
use crate::critical::Critical;
use crate::dead_letters::{Content, LetterReason, Letters};
use crate::doorbell::{Doorbell, LastRing};
use crate::exec_log::LogRequest;
use crate::queue::{Backlog, Item, Lost};
use crate::share::{EVENT, Tokens};
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

    /// Makes the next copy panic.
    #[cfg(test)]
    pub(super) fn break_next(&mut self) {
        self.broken = true;
    }

    /// Whether anything of market data waits.
    pub(super) fn waits(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// What the log of execution events is to be asked or told next.
    pub(super) fn log_request(&mut self) -> Option<LogRequest> {
        self.critical.request()
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
    pub(super) fn hold_book(&mut self, lane: Lane, header: Header) {
        if !self.closed {
            (self.counted, self.held) = (true, false);
            self.backlog.hold_book(lane, header, &mut self.counts);
        }
    }

    /// The consumer does not want the book of that lane any more.
    pub(super) fn leave_book(&mut self, lane: Lane) {
        self.counted = true;
        self.backlog.leave_book(lane, &mut self.counts);
    }

    /// Moves what waits into the ring, as far as there is room, and wakes the consumer.
    pub(super) fn end_turn(&mut self, books: &Books, now: Nanos, version: u32) {
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

    /// The lanes of which anything was lost.
    pub(crate) fn losing(&self) -> impl Iterator<Item = Lane> + '_ {
        self.backlog.losing()
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
            let Some(event) = self.event_of(lane, item, books, (now, version)) else { continue };
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

    /// What something that waited has become by its turn; none where it is withheld further.
    fn event_of(
        &mut self,
        lane: Lane,
        item: Item,
        books: &Books,
        (ts_emit, routing_version): (Nanos, u32),
    ) -> Option<Event> {
        let now = |header: &Header| Header { ts_emit, routing_version, ..*header };
        let snapshot = match item {
            Item::Gone => return None,
            Item::Event(event) => return Some(event),
            Item::Deltas(deltas) => {
                let (header, generation) = (now(deltas.header()), deltas.generation());
                let Some(snapshot) = books.smaller_snapshot(&header, generation, deltas.len())
                else {
                    self.counts.updates_merged += 1;
                    return Some(deltas.into_event());
                };
                self.counts.conflated += 1;
                self.backlog.note_conflated(lane, 1);
                snapshot
            }
            Item::Snapshot(header) => {
                let Some(snapshot) = books.snapshot(&now(&header)) else {
                    self.backlog.set_starved(lane, true);
                    return None;
                };
                snapshot
            }
        };
        self.counts.snapshots += 1;
        Some(snapshot)
    }

    /// The share that it begins with, in parts of an event; `None` where there is no budget.
    pub(super) fn set_share(&mut self, share: Option<u64>) {
        (self.tokens, self.held) = (share.map(Tokens::new), false);
        self.tell_share(share.unwrap_or_default(), 0);
    }

    /// What was wanted in this window, in parts of an event; `None` where the consumer is gone.
    pub(super) fn demand(&self) -> Option<u64> {
        let demand = self.tokens.as_ref().map_or(0, Tokens::demand) * EVENT;
        (!self.closed).then_some(demand)
    }

    pub(super) fn begin_window(&mut self, share: u64) {
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

    pub(super) fn refill(&mut self, refills: u64) {
        if let Some(tokens) = &mut self.tokens {
            tokens.refill(refills);
            self.held = false;
        }
    }

    /// Shows which trades were dropped.
    pub(super) fn bury(&mut self, letters: &mut Letters, now: Nanos) {
        if !self.backlog.has_dropped() {
            return;
        }
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
        self.backlog.give_up();
        self.critical.close();
        self.counts.stalled = false;
    }
}
