//! The line: places that are found again by ticket and by lane, and taken in order.

use model::{Event, Kind};

use super::{Backlog, Item, Waiting, WhenFull};
use crate::books::Lane;

/// A line is rebuilt without its gone places when it is this much longer than twice its live ones.
pub(super) const SLACK: usize = 64;

/// An empty line keeps room for this many places, about 300 KiB; what a longer one took is given
/// back.
pub(super) const PLACES_KEPT: usize = 1_024;

#[derive(Debug)]
pub(super) struct Place {
    pub(super) lane: Lane,
    pub(super) item: Item,
}

impl Backlog {
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

    pub(super) fn waiting(&mut self, lane: Lane) -> &mut Waiting {
        let index = lane.index();
        if self.lanes.len() <= index {
            self.lanes.resize_with(index + 1, Waiting::default);
        }
        &mut self.lanes[index]
    }

    pub(super) fn place(&mut self, ticket: u64) -> Option<&mut Place> {
        let index = usize::try_from(ticket.checked_sub(self.head)?).ok()?;
        self.line.get_mut(index)
    }

    pub(super) fn item(&mut self, ticket: u64) -> Option<&Item> {
        self.place(ticket).map(|place| &place.item)
    }

    pub(super) fn replace(&mut self, ticket: u64, item: Item) {
        if let Some(place) = self.place(ticket) {
            place.item = item;
        }
    }

    pub(super) fn append(&mut self, lane: Lane, item: Item) -> u64 {
        let ticket = self.head + self.line.len() as u64;
        self.line.push_back(Place { lane, item });
        self.live += 1;
        let waiting = self.waiting(lane);
        waiting.live += 1;
        waiting.last = ticket;
        ticket
    }

    /// Empties a place, and gives what was in it.
    pub(super) fn erase(&mut self, ticket: u64) -> Item {
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
pub(super) fn oldest_goes(item: &Item) -> Option<&Event> {
    let Item::Event(event) = item else { return None };
    (WhenFull::for_event(event) == Some(WhenFull::OldestDropped)).then_some(event)
}
