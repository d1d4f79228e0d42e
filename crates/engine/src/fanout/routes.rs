//! Which outlets get which lane: looked at when a slot or an outlet is new and when the table changes, so
//! that an event finds a ready list.

use std::sync::Arc;

use model::{ConsumerId, Header, Kind, Stream};

use super::Fanout;
use crate::books::{Books, Entry, LANES, Lane, Slot, lane_kind};
use crate::route::{Filter, RoutingTable};

/// Who gets a stream, as indices of outlets, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Route {
    pub(super) events: Vec<u16>,
    pub(super) status: Vec<u16>,
}

impl Fanout {
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
            let found = (0..).zip(&self.outlets).find(|(_, outlet)| outlet.consumer() == consumer);
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
    pub(super) fn resolve(
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
            let events = self.table.wants(outlet.consumer(), stream);
            let status = self.table.wants_status(outlet.consumer(), stream);
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
        let found = (0..).zip(&mut self.outlets).find(|(_, outlet)| outlet.consumer() == consumer);
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
