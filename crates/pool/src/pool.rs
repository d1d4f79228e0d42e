//! The handle that lends.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use crate::{
    error::AcquireError,
    pooled::{Pooled, Shared},
    report::PoolReport,
    reset::Reset,
    stats::PoolStats,
    sync::{Arc, Sleeper},
    wait::{Permit, Wait, take},
};

/// How long a waiting acquisition should wait where nothing else was decided.
pub const DEFAULT_DEADLINE: Duration = Duration::from_millis(100);

/// A fixed number of objects to lend. Clones are handles to the same pool, for any thread.
///
/// ```
/// use pool::{DEFAULT_DEADLINE, Pool};
/// # use pool::doc::Note;
///
/// let notes: Pool<Note> = Pool::new("notes", 2);
/// let mut note = notes.try_acquire().ok_or("exhausted")?;
/// note.text.push_str("hello");
/// assert_eq!(notes.stats().in_use, 1);
/// drop(note); // resets it and gives it back
///
/// let note = notes.acquire(DEFAULT_DEADLINE)?;
/// assert_eq!(note.text, "");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// When the last handle is dropped the pool closes; what is out then stays valid, and the last
/// object to come home frees the memory.
pub struct Pool<T: Reset> {
    shared: Arc<Shared<T>>,
}

impl<T: Reset> Pool<T> {
    /// A pool of `capacity` objects, all made now. `name` is for gauges, errors and reports.
    ///
    /// A pool without objects is one that is always exhausted.
    pub fn new(name: &'static str, capacity: u16) -> Self {
        Pool { shared: Shared::new(name, capacity, false) }
    }

    /// A pool that does not pool: each loan is a fresh box with fresh buffers, freed on return.
    /// All else (capacity, gauges, waiting, shutdown) is the same, so that the same code can be
    /// measured with and without pooling.
    pub fn boxed(name: &'static str, capacity: u16) -> Self {
        Pool { shared: Shared::new(name, capacity, true) }
    }

    /// An object if one is free and the pool is open; never waits, never allocates, reads no clock.
    #[inline]
    pub fn try_acquire(&self) -> Option<Pooled<T>> {
        self.try_acquire_above(0)
    }

    /// As [`try_acquire`](Self::try_acquire), but only if more than `reserve` objects are free: for
    /// callers that must leave some to more urgent ones.
    #[inline]
    pub fn try_acquire_above(&self, reserve: u16) -> Option<Pooled<T>> {
        match take(&self.shared.core, reserve) {
            Some(permit) => Some(self.lend(permit)),
            None => self.exhausted(),
        }
    }

    #[cold]
    fn exhausted(&self) -> Option<Pooled<T>> {
        if !self.shared.core.is_closed() {
            self.shared.core.count_exhausted();
        }
        None
    }

    /// An object: at once if one is free, else blocking the thread for its turn (waiters are served
    /// in the order in which they came, and nobody overtakes them) for up to `deadline`.
    ///
    /// Not for a thread on which the objects are returned: it would wait for itself.
    ///
    /// # Errors
    /// [`AcquireError::TimedOut`] after `deadline`, [`AcquireError::Closed`] as soon as the pool is
    /// closed.
    pub fn acquire(&self, deadline: Duration) -> Result<Pooled<T>, AcquireError> {
        if let Some(permit) = take(&self.shared.core, 0) {
            return Ok(self.lend(permit));
        }
        let sleeper = Sleeper::new();
        let waker = Waker::from(std::sync::Arc::clone(&sleeper));
        let mut wait = match Wait::begin(&self.shared.core, &waker) {
            Ok(wait) => wait,
            Err(outcome) => return outcome.map(|permit| self.lend(permit)),
        };
        loop {
            if let Poll::Ready(outcome) = wait.poll(&waker) {
                return outcome.map(|permit| self.lend(permit));
            }
            match deadline.checked_sub(wait.waited()) {
                Some(left) if !left.is_zero() => sleeper.sleep(left),
                _ => return wait.expire().map(|permit| self.lend(permit)),
            }
        }
    }

    /// As [`acquire`](Self::acquire) without blocking the thread: waits until `timer` is ready, for
    /// instance `tokio::time::sleep(DEFAULT_DEADLINE)`. The place in the queue is taken when the
    /// future is first polled, and given up when it is dropped.
    ///
    /// # Errors
    /// [`AcquireError::TimedOut`] once `timer` is ready, [`AcquireError::Closed`] as soon as the
    /// pool is closed.
    ///
    /// ```
    /// # use pool::{Pool, doc::Note};
    /// # use std::{future::{pending, Future}, pin::pin, task::{Context, Poll, Waker}};
    /// let notes: Pool<Note> = Pool::new("notes", 1);
    /// let mut wanted = pin!(notes.acquire_async(pending()));
    /// let mut cx = Context::from_waker(Waker::noop());
    /// assert!(matches!(wanted.as_mut().poll(&mut cx), Poll::Ready(Ok(_))));
    /// ```
    pub async fn acquire_async(
        &self,
        timer: impl Future<Output = ()>,
    ) -> Result<Pooled<T>, AcquireError> {
        if let Some(permit) = take(&self.shared.core, 0) {
            return Ok(self.lend(permit));
        }
        let mut timer = pin!(timer);
        let mut waiting: Option<Wait<'_>> = None;
        let outcome = poll_fn(|cx| {
            let wait = match &mut waiting {
                Some(wait) => wait,
                None => match Wait::begin(&self.shared.core, cx.waker()) {
                    Ok(wait) => waiting.insert(wait),
                    Err(outcome) => return Poll::Ready(outcome),
                },
            };
            if let Poll::Ready(outcome) = wait.poll(cx.waker()) {
                return Poll::Ready(outcome);
            }
            match timer.as_mut().poll(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(()) => match waiting.take() {
                    Some(wait) => Poll::Ready(wait.expire()),
                    None => Poll::Pending,
                },
            }
        });
        outcome.await.map(|permit| self.lend(permit))
    }

    #[inline]
    fn lend(&self, permit: Permit<'_>) -> Pooled<T> {
        Shared::lend(&self.shared, permit)
    }

    /// The pool's name.
    pub fn name(&self) -> &'static str {
        self.shared.core.name()
    }

    /// How many objects there are.
    pub fn capacity(&self) -> u16 {
        self.shared.core.capacity()
    }

    /// The gauges now.
    pub fn stats(&self) -> PoolStats {
        self.shared.core.stats()
    }

    /// What is out now, with stacks and ages where they are [tracked](crate::TRACKS_LOANS).
    pub fn report(&self) -> PoolReport {
        let core = &self.shared.core;
        PoolReport { pool: core.name(), out: core.in_use(), held: self.shared.loans.held() }
    }

    /// Refuses new loans from here on, for good, and ends every wait with an error. What is out
    /// stays valid and may come home later.
    pub fn close(&self) {
        self.shared.core.close();
    }

    /// [Closes](Self::close) the pool, blocks until all objects are home or `timeout` is over, and
    /// says what is still out.
    pub fn shutdown(&self, timeout: Duration) -> PoolReport {
        self.close();
        self.wait_all_home(Instant::now(), timeout);
        self.report()
    }

    pub(crate) fn wait_all_home(&self, start: Instant, timeout: Duration) {
        self.shared.core.wait_all_home(start, timeout);
    }
}

impl<T: Reset> Clone for Pool<T> {
    fn clone(&self) -> Self {
        self.shared.core.add_handle();
        Pool { shared: Arc::clone(&self.shared) }
    }
}

impl<T: Reset> Drop for Pool<T> {
    fn drop(&mut self) {
        if self.shared.core.drop_handle() {
            Shared::unclaim(&self.shared);
        }
    }
}

impl<T: Reset> std::fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.stats().fmt(f)
    }
}
