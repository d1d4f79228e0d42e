//! A pool that stays on one thread: no atomic read-modify-write, no unsafe code.

use std::{
    cell::RefCell,
    fmt,
    ops::{Deref, DerefMut},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    loans::Loans,
    report::PoolReport,
    reset::{Outcome, Reset, discard, restore},
    stats::PoolStats,
};

/// What other threads may see and do. Only the pool's own thread writes, except for `closed`.
pub(crate) struct Gauges {
    name: &'static str,
    capacity: u16,
    in_use: AtomicU16,
    high_water: AtomicU16,
    exhausted: AtomicU64,
    reset_panics: AtomicU64,
    closed: AtomicBool,
    loans: Loans,
}

impl Gauges {
    pub(crate) fn stats(&self) -> PoolStats {
        PoolStats {
            pool: self.name,
            capacity: self.capacity,
            in_use: self.in_use.load(Ordering::Acquire),
            high_water: self.high_water.load(Ordering::Relaxed),
            waits: 0,
            wait_total: Duration::ZERO,
            timeouts: 0,
            exhausted: self.exhausted.load(Ordering::Relaxed),
            reset_panics: self.reset_panics.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Waits until everything is home, or `timeout` after `start`; not on the pool's own thread.
    ///
    /// Looks once a millisecond: a shutdown happens once, and being told would cost every loan a
    /// fence.
    pub(crate) fn wait_all_home(&self, start: Instant, timeout: Duration) {
        while self.in_use.load(Ordering::Acquire) > 0 {
            let left = timeout.saturating_sub(start.elapsed());
            if left.is_zero() {
                return;
            }
            std::thread::park_timeout(left.min(Duration::from_millis(1)));
        }
    }

    pub(crate) fn report(&self) -> PoolReport {
        let out = self.in_use.load(Ordering::Acquire);
        PoolReport { pool: self.name, out, held: self.loans.held() }
    }

    /// Adds to a counter that only this thread writes: no locked instruction.
    fn count(counter: &AtomicU64) {
        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

struct Shared<T> {
    /// What is home, with the number that each object has in `loans`. The boxes are empty-handed
    /// (`None`) in boxed mode.
    free: RefCell<Vec<Home<T>>>,
    boxed: bool,
    gauges: Arc<Gauges>,
}

struct Home<T> {
    index: u16,
    object: Option<Box<T>>,
}

/// A fixed number of objects to lend on one thread, several times faster than a
/// [`Pool`](crate::Pool): for a thread that acquires and returns by itself.
///
/// The compiler keeps its loans on the thread; other threads can read its gauges and close it
/// through a [`Manager`](crate::Manager). There is no waiting form, since nobody else could return
/// what the thread waits for.
///
/// ```
/// use pool::LocalPool;
/// # use pool::doc::Note;
///
/// let notes: LocalPool<Note> = LocalPool::new("notes", 1);
/// let mut note = notes.try_acquire().ok_or("exhausted")?;
/// note.text.push_str("hello");
/// assert!(notes.try_acquire().is_none());
/// drop(note);
/// assert_eq!(notes.try_acquire().ok_or("exhausted")?.text, "");
/// # Ok::<(), &str>(())
/// ```
///
/// ```compile_fail,E0277
/// # let notes: pool::LocalPool<pool::doc::Note> = pool::LocalPool::new("notes", 1);
/// let note = notes.try_acquire();
/// std::thread::spawn(move || drop(note)); // cannot be sent between threads safely
/// ```
pub struct LocalPool<T: Reset> {
    shared: Rc<Shared<T>>,
}

/// An object on loan from a [`LocalPool`]: its unique owner, which resets it and gives it back when
/// dropped, also while unwinding.
#[must_use = "dropping the loan gives the object straight back"]
pub struct LocalPooled<T: Reset> {
    /// `None` only while being dropped.
    object: Option<Box<T>>,
    index: u16,
    shared: Rc<Shared<T>>,
}

impl<T: Reset> LocalPool<T> {
    /// A pool of `capacity` objects, all made now. `name` is for gauges and reports.
    pub fn new(name: &'static str, capacity: u16) -> Self {
        Self::made(name, capacity, false)
    }

    /// A pool that does not pool: each loan is a fresh box with fresh buffers, freed on return. All
    /// else is the same, so that the same code can be measured with and without pooling.
    pub fn boxed(name: &'static str, capacity: u16) -> Self {
        Self::made(name, capacity, true)
    }

    fn made(name: &'static str, capacity: u16, boxed: bool) -> Self {
        let home = |index| Home { index, object: (!boxed).then(Box::default) };
        let gauges = Gauges {
            name,
            capacity,
            in_use: AtomicU16::new(0),
            high_water: AtomicU16::new(0),
            exhausted: AtomicU64::new(0),
            reset_panics: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            loans: Loans::new(capacity),
        };
        let free = RefCell::new((0..capacity).rev().map(home).collect());
        LocalPool { shared: Rc::new(Shared { free, boxed, gauges: Arc::new(gauges) }) }
    }

    /// An object if one is free and the pool is open; never allocates, reads no clock.
    #[inline]
    pub fn try_acquire(&self) -> Option<LocalPooled<T>> {
        self.try_acquire_above(0)
    }

    /// As [`try_acquire`](Self::try_acquire), but only if more than `reserve` objects are free: for
    /// callers that must leave some to more urgent ones.
    #[inline]
    pub fn try_acquire_above(&self, reserve: u16) -> Option<LocalPooled<T>> {
        let gauges = &*self.shared.gauges;
        if gauges.closed.load(Ordering::Acquire) {
            return None;
        }
        let in_use = gauges.in_use.load(Ordering::Relaxed);
        if gauges.capacity - in_use <= reserve {
            Gauges::count(&gauges.exhausted);
            return None;
        }
        let fresh = self.shared.boxed.then(Box::<T>::default);
        let Home { index, object } = self.shared.free.borrow_mut().pop()?;
        gauges.in_use.store(in_use + 1, Ordering::Relaxed);
        if in_use >= gauges.high_water.load(Ordering::Relaxed) {
            gauges.high_water.store(in_use + 1, Ordering::Relaxed);
        }
        gauges.loans.start(index);
        Some(LocalPooled { object: fresh.or(object), index, shared: Rc::clone(&self.shared) })
    }

    /// Whether [`try_acquire`](Self::try_acquire) would give an object now; counted as if it were
    /// called where it would not.
    #[inline]
    pub fn has_free(&self) -> bool {
        let gauges = &*self.shared.gauges;
        if gauges.closed.load(Ordering::Acquire) {
            return false;
        }
        let free = gauges.in_use.load(Ordering::Relaxed) < gauges.capacity;
        if !free {
            Gauges::count(&gauges.exhausted);
        }
        free
    }

    /// The pool's name.
    pub fn name(&self) -> &'static str {
        self.shared.gauges.name
    }

    /// How many objects there are.
    pub fn capacity(&self) -> u16 {
        self.shared.gauges.capacity
    }

    /// The gauges now.
    pub fn stats(&self) -> PoolStats {
        self.shared.gauges.stats()
    }

    /// What is out now, with stacks and ages where they are [tracked](crate::TRACKS_LOANS).
    pub fn report(&self) -> PoolReport {
        self.shared.gauges.report()
    }

    /// Refuses new loans from here on, for good. What is out stays valid and may come home later.
    pub fn close(&self) {
        self.shared.gauges.close();
    }

    pub(crate) fn gauges(&self) -> Arc<Gauges> {
        Arc::clone(&self.shared.gauges)
    }
}

impl<T: Reset> Clone for LocalPool<T> {
    fn clone(&self) -> Self {
        LocalPool { shared: Rc::clone(&self.shared) }
    }
}

impl<T: Reset> fmt::Debug for LocalPool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stats().fmt(f)
    }
}

impl<T: Reset> Drop for LocalPooled<T> {
    #[inline]
    fn drop(&mut self) {
        let Shared { free, boxed, gauges } = &*self.shared;
        let Some(mut object) = self.object.take() else { return };
        // The user's code runs before `free` is borrowed: it may use this very pool.
        let (outcome, object) =
            if *boxed { (discard(object), None) } else { (restore(&mut *object), Some(object)) };
        if outcome != Outcome::Clean {
            Gauges::count(&gauges.reset_panics);
        }
        if outcome == Outcome::Spoilt {
            std::mem::forget(object); // retired; its own drop has panicked before
            return;
        }
        gauges.loans.end(self.index);
        free.borrow_mut().push(Home { index: self.index, object });
        let in_use = gauges.in_use.load(Ordering::Relaxed);
        gauges.in_use.store(in_use - 1, Ordering::Release);
    }
}

impl<T: Reset> Deref for LocalPooled<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match &self.object {
            Some(object) => object,
            None => unreachable!("a loan owns its object until it is dropped"),
        }
    }
}

impl<T: Reset> DerefMut for LocalPooled<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.object {
            Some(object) => object,
            None => unreachable!("a loan owns its object until it is dropped"),
        }
    }
}

impl<T: Reset + fmt::Debug> fmt::Debug for LocalPooled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Reset + PartialEq> PartialEq for LocalPooled<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Reset + Eq> Eq for LocalPooled<T> {}
