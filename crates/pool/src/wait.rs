//! One wait for an object, from joining the queue to leaving it; both waiting forms use it.

use std::{
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use crate::{
    core::{Core, Entry},
    error::AcquireError,
    waiters::{Standing, Ticket},
};

/// A place in a pool's queue. Dropping it gives the place (or what was served) back.
pub(crate) struct Wait<'a> {
    core: &'a Core,
    since: Instant,
    /// None once the wait is over.
    ticket: Option<Ticket>,
}

/// An index nobody else owns, put back unless it is [kept](Permit::keep).
pub(crate) struct Permit<'a> {
    core: &'a Core,
    index: u16,
}

impl Permit<'_> {
    /// The index, to be put back by whoever called.
    pub(crate) fn keep(self) -> u16 {
        let index = self.index;
        std::mem::forget(self);
        index
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.core.put(self.index);
    }
}

/// Takes an object without waiting, unless that would leave fewer than `reserve` free.
#[inline]
pub(crate) fn take(core: &Core, reserve: u16) -> Option<Permit<'_>> {
    core.take(reserve).map(|index| Permit { core, index })
}

impl<'a> Wait<'a> {
    /// Joins the queue, unless the outcome is known at once.
    pub(crate) fn begin(
        core: &'a Core,
        waker: &Waker,
    ) -> Result<Self, Result<Permit<'a>, AcquireError>> {
        let mut wait = Wait { core, since: Instant::now(), ticket: None };
        match core.join(waker) {
            Entry::Queued(ticket) => {
                wait.ticket = Some(ticket);
                Ok(wait)
            }
            Entry::Taken(index) => Err(Ok(Permit { core, index })),
            Entry::Closed => Err(Err(closed(core, Duration::ZERO))),
        }
    }

    /// How long this wait has lasted.
    pub(crate) fn waited(&self) -> Duration {
        self.since.elapsed()
    }

    /// The outcome if there is one; else `waker` is called when there is.
    pub(crate) fn poll(&mut self, waker: &Waker) -> Poll<Result<Permit<'a>, AcquireError>> {
        let Some(ticket) = self.ticket else { return Poll::Ready(Err(self.timed_out())) };
        let standing = self.core.ask(ticket, waker);
        if let Standing::Queued = standing {
            return Poll::Pending;
        }
        self.ticket = None;
        let waited = self.waited();
        self.core.count_wait(waited, false);
        Poll::Ready(match standing {
            Standing::Served(index) => Ok(Permit { core: self.core, index }),
            _ => Err(closed(self.core, waited)),
        })
    }

    /// Ends the wait: what was served in the last moment, else the error.
    pub(crate) fn expire(mut self) -> Result<Permit<'a>, AcquireError> {
        let served = self.ticket.take().and_then(|ticket| self.core.leave(ticket));
        self.core.count_wait(self.waited(), served.is_none());
        match served {
            Some(index) => Ok(Permit { core: self.core, index }),
            None => Err(self.timed_out()),
        }
    }

    fn timed_out(&self) -> AcquireError {
        let waited = self.waited();
        AcquireError::TimedOut { pool: self.core.name(), capacity: self.core.capacity(), waited }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket.take() else { return };
        if let Some(index) = self.core.leave(ticket) {
            self.core.put(index);
        }
        self.core.count_wait(self.waited(), false);
    }
}

fn closed(core: &Core, waited: Duration) -> AcquireError {
    AcquireError::Closed { pool: core.name(), capacity: core.capacity(), waited }
}
