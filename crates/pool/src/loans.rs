//! Who acquired what is out: a stack and an instant per loan, in debug builds and with `pool-debug`.
//!
//! Also the assertion that an index is lent only from home and returned only from outside: with
//! no raw hand-over in this crate nothing can reach a returned object, so there is no poison.

use std::{
    backtrace::Backtrace,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// True if this build keeps each loan's acquisition stack and age (which costs an allocation and
/// microseconds a loan): debug builds, and any build with the feature `pool-debug`.
pub const TRACKS_LOANS: bool = cfg!(all(any(debug_assertions, feature = "pool-debug"), not(loom)));

/// An object that is out.
#[derive(Clone, Debug)]
pub struct Held {
    /// How long it has been out.
    pub age: Duration,
    /// Where it was acquired.
    pub stack: Arc<Backtrace>,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "out for {:?}, acquired at\n{}", self.age, self.stack)
    }
}

struct Loan {
    since: Instant,
    stack: Arc<Backtrace>,
}

/// One entry per object, or none at all where loans are not tracked.
pub(crate) struct Loans(Box<[Mutex<Option<Loan>>]>);

impl Loans {
    pub(crate) fn new(capacity: u16) -> Self {
        let tracked = if TRACKS_LOANS { capacity } else { 0 };
        Loans((0..tracked).map(|_| Mutex::new(None)).collect())
    }

    /// Notes that `index` goes out, asserting that it was home.
    #[inline]
    pub(crate) fn start(&self, index: u16) {
        if TRACKS_LOANS {
            let loan = Loan { since: Instant::now(), stack: Arc::new(Backtrace::force_capture()) };
            let before = self.entry(index).replace(loan);
            debug_assert!(before.is_none(), "object {index} was lent twice");
        }
    }

    /// Notes that `index` comes home, asserting that it was out.
    #[inline]
    pub(crate) fn end(&self, index: u16) {
        if TRACKS_LOANS {
            let loan = self.entry(index).take();
            debug_assert!(loan.is_some(), "object {index} came home twice");
        }
    }

    /// All that is out, the oldest first.
    pub(crate) fn held(&self) -> Vec<Held> {
        let entries = (0..self.0.len()).filter_map(|at| {
            let entry = self.0[at].lock().unwrap_or_else(PoisonError::into_inner);
            entry.as_ref().map(|l| Held { age: l.since.elapsed(), stack: Arc::clone(&l.stack) })
        });
        let mut held: Vec<Held> = entries.collect();
        held.sort_by_key(|held| std::cmp::Reverse(held.age));
        held
    }

    fn entry(&self, index: u16) -> std::sync::MutexGuard<'_, Option<Loan>> {
        self.0[usize::from(index)].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
