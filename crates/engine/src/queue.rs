//! A consumer's queue where its ring is full: what happens then, and the backlog that does it.
//!
//! The ring is filled first. Once a stream has something in the backlog, everything later of that
//! stream goes through the backlog too, so order within a stream is kept; streams do not wait for
//! each other. The backlog is bounded by its policies: a kind that conflates holds one event a
//! stream, a book's updates are one update of so many levels at most, a stream's states are one
//! event, and trades are counted.

use std::collections::VecDeque;

use model::{Body, Event, Header, Kind, StreamState};

use crate::books::Lane;
use crate::capacity::{DROPPED_SHOWN, MERGED_LEVELS_EACH, MERGED_LEVELS_MAX};
use crate::tally::ConsumerCounts;

mod deltas;

use deltas::Deltas;

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

#[derive(Debug)]
struct Place {
    lane: Lane,
    item: Item,
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
#[derive(Clone, Debug)]
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

const NOTHING: Waiting = Waiting {
    data: None,
    status: None,
    last: 0,
    live: 0,
    starved: false,
    dropped: 0,
    lost: Lost { conflated: 0, dropped: 0 },
};

/// A line is rebuilt without its gone places when it is this much longer than twice its live ones.
const SLACK: usize = 64;

/// An empty line keeps room for this many places, about 300 KiB; what a longer one took is given
/// back.
const PLACES_KEPT: usize = 1_024;

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

    /// From here on the lane's book changes are withheld, until its place's turn comes.
    pub(crate) fn hold_book(&mut self, lane: Lane, header: Header, counts: &mut ConsumerCounts) {
        let before = counts.conflated;
        self.hold(lane, header, counts);
        self.note_conflated(lane, counts.conflated - before);
    }

    fn hold(&mut self, lane: Lane, header: Header, counts: &mut ConsumerCounts) {
        self.set_starved(lane, false);
        match self.waiting(lane).data {
            // Keeps its place: the snapshot goes before the state that says it can be relied on.
            Some(ticket) => self.replace_book(ticket, Item::Snapshot(header), counts),
            None => {
                let ticket = self.append(lane, Item::Snapshot(header));
                self.waiting(lane).data = Some(ticket);
            }
        }
    }

    /// The lane's book is not wanted any more: what was withheld of it is given up.
    pub(crate) fn leave_book(&mut self, lane: Lane, counts: &mut ConsumerCounts) {
        self.set_starved(lane, false);
        if let Some(ticket) = self.waiting(lane).data {
            let before = counts.conflated;
            self.replace_book(ticket, Item::Gone, counts);
            self.note_conflated(lane, counts.conflated - before);
            self.erase(ticket);
            self.tidy();
        }
    }

    /// The lane's snapshot could not be taken: its next one, or its return to `Live`, will do.
    pub(crate) fn set_starved(&mut self, lane: Lane, starved: bool) {
        let waiting = self.waiting(lane);
        if waiting.starved != starved {
            waiting.starved = starved;
            self.starved = if starved { self.starved + 1 } else { self.starved - 1 };
        }
    }

    /// Takes the first thing out of the line.
    pub(crate) fn take(&mut self) -> Option<(Lane, Item)> {
        loop {
            let ticket = self.head;
            let Place { lane, mut item } = self.line.pop_front()?;
            self.head += 1;
            if matches!(item, Item::Gone) {
                continue;
            }
            self.forget(lane, ticket, &item);
            if let Item::Event(event) = &mut item {
                self.tell_dropped(lane, event);
            }
            return Some((lane, item));
        }
    }

    /// Takes the first thing at or behind a ticket whose lane is let out, and moves the ticket there;
    /// also a lane with a state in the line is let out, because states are critical and do not
    /// overtake.
    pub(crate) fn take_let_out(
        &mut self,
        from: &mut u64,
        let_out: impl Fn(Lane) -> bool,
    ) -> Option<(Lane, Item)> {
        *from = self.head.max(*from);
        loop {
            let place = self.place(*from)?;
            let (lane, gone) = (place.lane, matches!(place.item, Item::Gone));
            if !gone && (self.waiting(lane).status.is_some() || let_out(lane)) {
                break;
            }
            *from += 1;
        }
        let (ticket, place) = (*from, self.place(*from)?);
        let (lane, mut item) = (place.lane, std::mem::replace(&mut place.item, Item::Gone));
        self.forget(lane, ticket, &item);
        if let Item::Event(event) = &mut item {
            self.tell_dropped(lane, event);
        }
        Some((lane, item))
    }

    fn put_latest(&mut self, lane: Lane, event: Event, counts: &mut ConsumerCounts) {
        let Waiting { data, last, .. } = *self.waiting(lane);
        if let Some(ticket) = data {
            counts.conflated += 1;
            if ticket == last {
                return self.replace(ticket, Item::Event(event));
            }
            self.erase(ticket);
        }
        let ticket = self.append(lane, Item::Event(event));
        self.waiting(lane).data = Some(ticket);
    }

    fn put_status(&mut self, lane: Lane, mut event: Event, counts: &mut ConsumerCounts) {
        if self.waiting(lane).starved && is_live(&event) {
            self.hold(lane, event.header, counts);
        }
        let Waiting { status, last, .. } = *self.waiting(lane);
        if let Some(ticket) = status {
            counts.merged += 1;
            if let Some(Item::Event(older)) = self.item(ticket) {
                add_transitions(&mut event, older);
            }
            if ticket == last {
                return self.replace(ticket, Item::Event(event));
            }
            self.erase(ticket);
        }
        let ticket = self.append(lane, Item::Event(event));
        self.waiting(lane).status = Some(ticket);
    }

    fn put_book(&mut self, lane: Lane, event: Event, counts: &mut ConsumerCounts) {
        if event.kind() == Kind::BookSnapshot || self.waiting(lane).starved {
            counts.conflated += 1;
            return self.hold(lane, event.header, counts);
        }
        let Waiting { data, last, .. } = *self.waiting(lane);
        let Some(ticket) = data else {
            let ticket = self.append(lane, Item::Event(event));
            self.waiting(lane).data = Some(ticket);
            return;
        };
        counts.conflated += 1;
        if !self.merge(ticket, &event) {
            return self.replace_book(ticket, Item::Snapshot(event.header), counts);
        }
        if ticket != last
            && let Some(place) = self.place(ticket)
        {
            // A state came between: what follows it does not overtake it.
            let deltas = std::mem::replace(&mut place.item, Item::Gone);
            self.erase(ticket);
            let ticket = self.append(lane, deltas);
            self.waiting(lane).data = Some(ticket);
        }
    }

    /// Merges an update into what waits at a place; `false` where one snapshot is to stand for both.
    fn merge(&mut self, ticket: u64, event: &Event) -> bool {
        let Some(Place { item, .. }) = self.place(ticket) else { return false };
        let mut before = 0;
        match item {
            Item::Event(first) => match Deltas::of(first) {
                Some(deltas) => *item = Item::Deltas(Box::new(deltas)),
                None => return false,
            },
            Item::Deltas(deltas) => before = deltas.len(),
            Item::Snapshot(_) | Item::Gone => return false,
        }
        let Item::Deltas(deltas) = item else { return false };
        let merged = deltas.merge(event);
        let levels = deltas.len();
        self.levels += levels - before;
        merged && levels <= MERGED_LEVELS_EACH && self.levels <= MERGED_LEVELS_MAX
    }

    fn put_trade(&mut self, lane: Lane, event: Event, counts: &mut ConsumerCounts) {
        if self.trades >= self.trades_max {
            self.drop_oldest_trade();
            counts.dropped += 1;
        }
        self.append(lane, Item::Event(event));
        self.trades += 1;
    }

    fn drop_oldest_trade(&mut self) {
        self.first_trade = self.first_trade.max(self.head);
        while let Some(Place { lane, item }) = self.place(self.first_trade) {
            let (lane, found) = (*lane, oldest_goes(item).map(|trade| trade.header.dropped));
            self.first_trade += 1;
            if let Some(before) = found {
                let gone = self.erase(self.first_trade - 1);
                self.note_dropped(gone);
                let waiting = self.waiting(lane);
                let owed = waiting.dropped;
                waiting.dropped = owed.saturating_add(before).saturating_add(1);
                waiting.lost.dropped += 1;
                self.owing += usize::from(owed == 0);
                return;
            }
        }
    }

    fn note_dropped(&mut self, gone: Item) {
        match gone {
            Item::Event(trade) if self.dropped.len() < DROPPED_SHOWN => self.dropped.push(trade),
            _ => self.dropped_more += 1,
        }
    }

    /// Says in a trade how many of its stream were dropped before it.
    fn tell_dropped(&mut self, lane: Lane, event: &mut Event) {
        let waiting = self.waiting(lane);
        if waiting.dropped > 0 && WhenFull::for_event(event) == Some(WhenFull::OldestDropped) {
            // It was told nothing yet: one that was, and waits, is the oldest of its stream.
            event.header.dropped = std::mem::take(&mut waiting.dropped);
            self.owing -= 1;
        }
    }

    fn waiting(&mut self, lane: Lane) -> &mut Waiting {
        let index = lane.index();
        if self.lanes.len() <= index {
            self.lanes.resize(index + 1, NOTHING);
        }
        &mut self.lanes[index]
    }

    fn place(&mut self, ticket: u64) -> Option<&mut Place> {
        let index = usize::try_from(ticket.checked_sub(self.head)?).ok()?;
        self.line.get_mut(index)
    }

    fn item(&mut self, ticket: u64) -> Option<&Item> {
        self.place(ticket).map(|place| &place.item)
    }

    fn replace(&mut self, ticket: u64, item: Item) {
        if let Some(place) = self.place(ticket) {
            place.item = item;
        }
    }

    /// Another thing stands for what waits of a book from here on.
    fn replace_book(&mut self, ticket: u64, item: Item, counts: &mut ConsumerCounts) {
        let Some(place) = self.place(ticket) else { return };
        let before = std::mem::replace(&mut place.item, item);
        if let Item::Deltas(deltas) = &before {
            self.levels -= deltas.len();
        }
        counts.conflated += u64::from(matches!(before, Item::Event(_) | Item::Deltas(_)));
    }

    fn append(&mut self, lane: Lane, item: Item) -> u64 {
        let ticket = self.head + self.line.len() as u64;
        self.line.push_back(Place { lane, item });
        self.live += 1;
        let waiting = self.waiting(lane);
        waiting.live += 1;
        waiting.last = ticket;
        ticket
    }

    /// Empties a place, and gives what was in it.
    fn erase(&mut self, ticket: u64) -> Item {
        let Some(place) = self.place(ticket) else { return Item::Gone };
        let (lane, item) = (place.lane, std::mem::replace(&mut place.item, Item::Gone));
        self.forget(lane, ticket, &item);
        item
    }

    /// Books a place out that was taken or erased.
    fn forget(&mut self, lane: Lane, ticket: u64, item: &Item) {
        self.live -= 1;
        self.trades -= usize::from(oldest_goes(item).is_some());
        if let Item::Deltas(deltas) = item {
            self.levels -= deltas.len();
        }
        let waiting = self.waiting(lane);
        waiting.live -= 1;
        for kept in [&mut waiting.data, &mut waiting.status] {
            if *kept == Some(ticket) {
                *kept = None;
            }
        }
    }

    /// Keeps the line's length within a constant of twice what it holds, and gives back what a long
    /// one took.
    pub(crate) fn tidy(&mut self) {
        while self.line.front().is_some_and(|place| matches!(place.item, Item::Gone)) {
            self.line.pop_front();
            self.head += 1;
        }
        if self.line.is_empty() {
            self.line.shrink_to(PLACES_KEPT);
        }
        if self.line.len() <= 2 * self.live + SLACK {
            return;
        }
        self.line.retain(|place| !matches!(place.item, Item::Gone));
        self.first_trade = self.head;
        for (ticket, place) in (self.head..).zip(&self.line) {
            let waiting = &mut self.lanes[place.lane.index()];
            waiting.last = ticket;
            match &place.item {
                Item::Event(event) if event.kind() == Kind::StreamStatus => {
                    waiting.status = Some(ticket);
                }
                item if oldest_goes(item).is_some() => {}
                _ => waiting.data = Some(ticket),
            }
        }
    }
}

/// What waits and is of those whose oldest is dropped.
fn oldest_goes(item: &Item) -> Option<&Event> {
    let Item::Event(event) = item else { return None };
    (WhenFull::for_event(event) == Some(WhenFull::OldestDropped)).then_some(event)
}

fn is_live(event: &Event) -> bool {
    matches!(&event.body, Body::Status(status) if status.state == StreamState::Live)
}

fn add_transitions(newer: &mut Event, older: &Event) {
    if let (Body::Status(newer), Body::Status(older)) = (&mut newer.body, &older.body) {
        newer.transitions = newer.transitions.saturating_add(older.transitions);
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
