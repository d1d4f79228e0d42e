//! The pool without its objects: which indices are free, who waits, whether it is closed.
//!
//! All of it is safe code. Who gets an index from here is its only owner until it is put back;
//! `pooled` builds on exactly that.

use std::{sync::atomic::Ordering, task::Waker, time::Duration, time::Instant};

use crate::{
    stats::PoolStats,
    sync::{AtomicU16, AtomicU64, AtomicUsize, Condvar, Mutex, lock},
    waiters::{Standing, Ticket, Waiters},
    word::{CLOSED, ORPHANED, WAITING, Word},
};

/// Two cache lines of its own (the second is prefetched with the first on x86), so that loans do
/// not slow down readers of the fields beside it.
#[repr(align(128))]
struct Alone<T>(T);

/// The bookkeeping of one pool.
pub(crate) struct Core {
    word: Alone<AtomicU64>,
    /// For each object in the stack, the one below it.
    next: Box<[AtomicU16]>,
    name: &'static str,
    capacity: u16,
    /// Live `Pool` handles; loans are counted in `word`.
    handles: AtomicUsize,
    waiters: Mutex<Waiters>,
    /// Signalled when the last object comes home to a closed pool.
    all_home: Condvar,
    // Plain statistics: no decision hangs on them, so loom need not explore them.
    high_water: std::sync::atomic::AtomicU16,
    exhausted: std::sync::atomic::AtomicU64,
    reset_panics: std::sync::atomic::AtomicU64,
}

/// How joining the queue ended.
pub(crate) enum Entry {
    /// An object had come home meanwhile.
    Taken(u16),
    /// In the queue.
    Queued(Ticket),
    /// The pool is closed.
    Closed,
}

impl Core {
    /// `capacity` free objects and one handle.
    pub(crate) fn new(name: &'static str, capacity: u16) -> Self {
        // The last link is never followed: with nothing below, the count is zero.
        let next = (1..=capacity).map(AtomicU16::new).collect();
        Core {
            word: Alone(AtomicU64::new(Word::full(capacity).0)),
            next,
            name,
            capacity,
            handles: AtomicUsize::new(1),
            waiters: Mutex::new(Waiters::default()),
            all_home: Condvar::new(),
            high_water: std::sync::atomic::AtomicU16::new(0),
            exhausted: std::sync::atomic::AtomicU64::new(0),
            reset_panics: std::sync::atomic::AtomicU64::new(0),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn capacity(&self) -> u16 {
        self.capacity
    }

    fn word(&self) -> &AtomicU64 {
        &self.word.0
    }

    fn now(&self) -> Word {
        Word(self.word().load(Ordering::Acquire))
    }

    /// Takes a free object if more than `reserve` are free and the pool is open.
    ///
    /// Nobody is overtaken: while somebody waits, nothing is free.
    #[inline]
    pub(crate) fn take(&self, reserve: u16) -> Option<u16> {
        let mut seen = self.now();
        loop {
            if seen.free() <= reserve || seen.has(CLOSED) {
                return None;
            }
            match self.take_top(seen) {
                Ok(index) => return Some(index),
                Err(changed) => seen = changed,
            }
        }
    }

    /// One attempt to take the top of the stack as `seen`, which must not be empty.
    #[inline]
    fn take_top(&self, seen: Word) -> Result<u16, Word> {
        let top = seen.top();
        // May be stale if the stack has changed since; then the swap fails.
        let below = self.next[usize::from(top)].load(Ordering::Relaxed);
        let after = seen.taken(below);
        // Acquire: what the last owner did to the object happens before what we do. Every change
        // of the word is a read-modify-write, so this holds for each owner before us.
        self.word()
            .compare_exchange_weak(seen.0, after.0, Ordering::Acquire, Ordering::Acquire)
            .map_err(Word)?;
        let in_use = self.capacity - after.free();
        if in_use > self.high_water.load(Ordering::Relaxed) {
            self.high_water.fetch_max(in_use, Ordering::Relaxed);
        }
        Ok(top)
    }

    /// The word and the link of `index`, for [`Core::try_put`].
    #[inline]
    pub(crate) fn place_of(&self, index: u16) -> (&AtomicU64, &AtomicU16) {
        (self.word(), &self.next[usize::from(index)])
    }

    /// Puts `index` back if no flag asks for more; else changes nothing and returns false.
    ///
    /// Takes the two atomics instead of `&self` because the swap may give the last claim on the
    /// pool away: another thread may free it before this function has returned.
    #[inline]
    pub(crate) fn try_put((word, link): (&AtomicU64, &AtomicU16), index: u16) -> bool {
        let mut seen = Word(word.load(Ordering::Relaxed));
        while !seen.needs_care() {
            link.store(seen.top(), Ordering::Relaxed);
            let after = seen.put(index);
            // Release: our use of the object (and its link) happens before the next owner's.
            match word.compare_exchange_weak(seen.0, after.0, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return true,
                Err(changed) => seen = Word(changed),
            }
        }
        false
    }

    /// Puts `index` back, handing it to the first waiter if there is one.
    ///
    /// True if this was the last object of a pool without handles: the caller then gives up the
    /// loans' claim on the memory.
    #[cold]
    pub(crate) fn put_with_care(&self, index: u16) -> bool {
        let mut waiters = lock(&self.waiters);
        if let Some(waker) = waiters.serve(index) {
            self.clear_waiting_if_empty(&waiters);
            drop(waiters);
            waker.wake();
            return false;
        }
        let after = self.push(index);
        let all_home = after.free() == self.capacity;
        if all_home && after.has(CLOSED) {
            self.all_home.notify_all();
        }
        all_home && after.has(ORPHANED)
    }

    /// Puts `index` back; for callers that hold a handle, so that it cannot be the last claim.
    pub(crate) fn put(&self, index: u16) {
        if !Self::try_put(self.place_of(index), index) {
            self.put_with_care(index);
        }
    }

    fn push(&self, index: u16) -> Word {
        let mut seen = self.now();
        loop {
            self.next[usize::from(index)].store(seen.top(), Ordering::Relaxed);
            let after = seen.put(index);
            // Also acquires: the last one home frees what all others have written.
            match self.word().compare_exchange_weak(
                seen.0,
                after.0,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return after,
                Err(changed) => seen = Word(changed),
            }
        }
    }

    fn clear_waiting_if_empty(&self, waiters: &Waiters) {
        if waiters.is_empty() {
            self.word().fetch_and(!WAITING, Ordering::AcqRel);
        }
    }

    /// Joins the queue, unless an object has come home or the pool has closed meanwhile.
    pub(crate) fn join(&self, waker: &Waker) -> Entry {
        let waker = waker.clone();
        let mut waiters = lock(&self.waiters);
        let mut seen = self.now();
        while !seen.has(WAITING) {
            if seen.has(CLOSED) {
                return Entry::Closed;
            }
            let attempt = if seen.free() > 0 {
                self.take_top(seen).map(Some)
            } else {
                // Succeeds only while nothing is free; from then on returns come to us.
                self.word()
                    .compare_exchange(
                        seen.0,
                        seen.with(WAITING).0,
                        Ordering::AcqRel,
                        Ordering::Acquire,
                    )
                    .map(|_| None)
                    .map_err(Word)
            };
            match attempt {
                Ok(Some(index)) => return Entry::Taken(index),
                Ok(None) => break,
                Err(changed) => seen = changed,
            }
        }
        Entry::Queued(waiters.join(waker))
    }

    /// Where `ticket` stands; keeps `waker` if it is still in the queue.
    pub(crate) fn ask(&self, ticket: Ticket, waker: &Waker) -> Standing {
        let mut waker = waker.clone();
        lock(&self.waiters).ask(ticket, &mut waker)
    }

    /// Gives up the place of `ticket`; what it had been served already.
    pub(crate) fn leave(&self, ticket: Ticket) -> Option<u16> {
        let mut waiters = lock(&self.waiters);
        let (served, waker) = waiters.leave(ticket);
        if waker.is_some() {
            self.clear_waiting_if_empty(&waiters);
        }
        drop(waiters);
        served
    }

    /// Adds a finished wait to the gauges.
    pub(crate) fn count_wait(&self, waited: Duration, timed_out: bool) {
        let mut waiters = lock(&self.waiters);
        waiters.wait_total += waited;
        waiters.timeouts += u64::from(timed_out);
    }

    /// Counts a refused `try_acquire`.
    pub(crate) fn count_exhausted(&self) {
        self.exhausted.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a `reset` that panicked.
    pub(crate) fn count_reset_panic(&self) {
        self.reset_panics.fetch_add(1, Ordering::Relaxed);
    }

    /// Refuses new loans from here on and sends everybody who waits away.
    pub(crate) fn close(&self) {
        let mut waiters = lock(&self.waiters);
        self.word().fetch_or(CLOSED, Ordering::AcqRel);
        let wakers = waiters.send_away();
        self.clear_waiting_if_empty(&waiters);
        drop(waiters);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits until every object of the closed pool is home, or `timeout` after `start`.
    pub(crate) fn wait_all_home(&self, start: Instant, timeout: Duration) {
        let mut waiters = lock(&self.waiters);
        while self.in_use() > 0 {
            let left = timeout.saturating_sub(start.elapsed());
            if left.is_zero() {
                return;
            }
            waiters = match self.all_home.wait_timeout(waiters, left) {
                Ok((guard, _)) => guard,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.now().has(CLOSED)
    }

    pub(crate) fn in_use(&self) -> u16 {
        self.capacity - self.now().free()
    }

    pub(crate) fn add_handle(&self) {
        self.handles.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a handle out. True if it was the last and nothing is on loan: the caller then gives
    /// up the loans' claim on the memory (else the last object to come home does).
    pub(crate) fn drop_handle(&self) -> bool {
        if self.handles.fetch_sub(1, Ordering::AcqRel) != 1 {
            return false;
        }
        let before = Word(self.word().fetch_or(CLOSED | ORPHANED, Ordering::AcqRel));
        before.free() == self.capacity
    }

    /// The gauges now.
    pub(crate) fn stats(&self) -> PoolStats {
        let waiters = lock(&self.waiters);
        PoolStats {
            pool: self.name,
            capacity: self.capacity,
            in_use: self.in_use(),
            high_water: self.high_water.load(Ordering::Relaxed),
            waits: waiters.waits,
            wait_total: waiters.wait_total,
            timeouts: waiters.timeouts,
            exhausted: self.exhausted.load(Ordering::Relaxed),
            reset_panics: self.reset_panics.load(Ordering::Relaxed),
        }
    }
}
