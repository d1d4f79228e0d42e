//! Who waits, in arrival order, and what was handed to whom. Plain data: the lock is around it.

use std::{collections::VecDeque, task::Waker, time::Duration};

/// Names one wait; tickets of one pool are drawn in arrival order.
pub(crate) type Ticket = u64;

/// Where a wait stands.
pub(crate) enum Standing {
    /// Served: the object of this index is the waiter's, who has left the queue.
    Served(u16),
    /// Still in the queue.
    Queued,
    /// Sent away because the pool closed.
    SentAway,
}

/// The queue of waiters, the hand-overs they have not picked up yet, and the gauges of waiting.
#[derive(Default)]
pub(crate) struct Waiters {
    next_ticket: Ticket,
    queue: VecDeque<(Ticket, Waker)>,
    served: Vec<(Ticket, u16)>,
    pub(crate) waits: u64,
    pub(crate) wait_total: Duration,
    pub(crate) timeouts: u64,
}

impl Waiters {
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Takes the last place in the queue.
    pub(crate) fn join(&mut self, waker: Waker) -> Ticket {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waits += 1;
        self.queue.push_back((ticket, waker));
        ticket
    }

    /// Hands object `index` to whoever came first; the waker to call once the lock is released.
    pub(crate) fn serve(&mut self, index: u16) -> Option<Waker> {
        let (ticket, waker) = self.queue.pop_front()?;
        self.served.push((ticket, index));
        Some(waker)
    }

    /// Picks up what `ticket` was served, or keeps its place with `waker`, which becomes the one
    /// that was there before, to be dropped outside the lock.
    pub(crate) fn ask(&mut self, ticket: Ticket, waker: &mut Waker) -> Standing {
        if let Some(index) = self.pick_up(ticket) {
            return Standing::Served(index);
        }
        match self.place(ticket) {
            Some(at) => std::mem::swap(&mut self.queue[at].1, waker),
            None => return Standing::SentAway,
        }
        Standing::Queued
    }

    /// Gives up the place of `ticket`; what it had been served already, and its waker.
    pub(crate) fn leave(&mut self, ticket: Ticket) -> (Option<u16>, Option<Waker>) {
        let served = self.pick_up(ticket);
        let waker = self.place(ticket).and_then(|at| self.queue.remove(at)).map(|(_, waker)| waker);
        (served, waker)
    }

    /// Empties the queue because the pool closes; the wakers to call once the lock is released.
    pub(crate) fn send_away(&mut self) -> Vec<Waker> {
        self.queue.drain(..).map(|(_, waker)| waker).collect()
    }

    fn pick_up(&mut self, ticket: Ticket) -> Option<u16> {
        let at = self.served.iter().position(|(of, _)| *of == ticket)?;
        Some(self.served.swap_remove(at).1)
    }

    fn place(&self, ticket: Ticket) -> Option<usize> {
        self.queue.binary_search_by_key(&ticket, |(of, _)| *of).ok()
    }
}
