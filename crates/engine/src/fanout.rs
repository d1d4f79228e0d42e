//! Fan-out: one copy of an event per subscriber, each in the subscriber's own queue.
//!
//! | file | what it is |
//! | --- | --- |
//! | `routes` | which outlets get which lane, found beforehand |
//! | `outlet` | the shard's end of one consumer's queue |
//! | `budget` | how many events a second each outlet may get, where that is limited |

mod budget;
mod outlet;
mod routes;

use std::sync::Arc;

use model::event::CanonicalEvent;
use model::{ConsumerId, Event, Header, MergedEvent, Nanos};

use crate::books::{Books, Lane};
use crate::dead_letters::Letters;
use crate::exec_log::LogRequest;
use crate::route::RoutingTable;
use crate::share::Pace;

pub(crate) use outlet::Outlet;
use routes::Route;

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
        self.outlets.iter().find(|outlet| outlet.consumer() == consumer)
    }

    pub(crate) fn outlet_mut(&mut self, consumer: ConsumerId) -> Option<&mut Outlet> {
        self.outlets.iter_mut().find(|outlet| outlet.consumer() == consumer)
    }

    /// What the log of execution events is to be asked or told next.
    pub(crate) fn log_request(&mut self) -> Option<LogRequest> {
        self.outlets.iter_mut().find_map(Outlet::log_request)
    }

    /// When a turn is wanted though nothing arrives.
    pub(crate) fn deadline(&self) -> Option<Nanos> {
        let critical = self.outlets.iter().filter_map(|outlet| outlet.critical().deadline()).min();
        let waits = self.outlets.iter().any(Outlet::waits);
        let refill = self.pace.filter(|_| waits).map(|pace| pace.refill_at());
        critical.into_iter().chain(refill).min()
    }

    /// Makes the next copy for that outlet panic.
    #[cfg(test)]
    pub(crate) fn break_outlet(&mut self, index: usize) {
        self.outlets[index].break_next();
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

    /// Ends the turn for every queue.
    pub(crate) fn end_turn(&mut self, books: &Books, now: Nanos) {
        self.pace(now);
        let version = self.version();
        self.outlets.iter_mut().for_each(|outlet| outlet.end_turn(books, now, version));
    }

    /// Hands over what full queues dropped in this turn.
    pub(crate) fn bury(&mut self, letters: &mut Letters, now: Nanos) {
        self.outlets.iter_mut().for_each(|outlet| outlet.bury(letters, now));
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

    /// Hands a state to one outlet: whoever is new to a stream hears how it stands.
    pub(crate) fn tell_status(&mut self, n: u16, lane: Lane, event: Event) {
        if let Some(outlet) = self.outlets.get_mut(usize::from(n)) {
            outlet.offer(lane, event);
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
