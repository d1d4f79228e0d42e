//! The policies at work: how what finds no room is taken into the line.

use model::{Body, Event, Header, Kind};

use super::deltas::Deltas;
use super::line::{Place, oldest_goes};
use super::{Backlog, Item, Waiting, WhenFull, is_live};
use crate::books::Lane;
use crate::capacity::{DROPPED_SHOWN, MERGED_LEVELS_EACH, MERGED_LEVELS_MAX};
use crate::tally::ConsumerCounts;

impl Backlog {
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

    pub(super) fn put_latest(&mut self, lane: Lane, event: Event, counts: &mut ConsumerCounts) {
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

    pub(super) fn put_status(&mut self, lane: Lane, mut event: Event, counts: &mut ConsumerCounts) {
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

    pub(super) fn put_book(&mut self, lane: Lane, event: Event, counts: &mut ConsumerCounts) {
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

    /// Another thing stands for what waits of a book from here on.
    fn replace_book(&mut self, ticket: u64, item: Item, counts: &mut ConsumerCounts) {
        let Some(place) = self.place(ticket) else { return };
        let before = std::mem::replace(&mut place.item, item);
        if let Item::Deltas(deltas) = &before {
            self.levels -= deltas.len();
        }
        counts.conflated += u64::from(matches!(before, Item::Event(_) | Item::Deltas(_)));
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

    pub(super) fn put_trade(&mut self, lane: Lane, event: Event, counts: &mut ConsumerCounts) {
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
    pub(super) fn tell_dropped(&mut self, lane: Lane, event: &mut Event) {
        let waiting = self.waiting(lane);
        if waiting.dropped > 0 && WhenFull::for_event(event) == Some(WhenFull::OldestDropped) {
            // It was told nothing yet: one that was, and waits, is the oldest of its stream.
            event.header.dropped = std::mem::take(&mut waiting.dropped);
            self.owing -= 1;
        }
    }
}

fn add_transitions(newer: &mut Event, older: &Event) {
    if let (Body::Status(newer), Body::Status(older)) = (&mut newer.body, &older.body) {
        newer.transitions = newer.transitions.saturating_add(older.transitions);
    }
}
