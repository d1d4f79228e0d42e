//! How far writing and syncing have got, between their two threads. It knows neither ledger nor disk, so
//! that `tests/loom.rs` can try all its interleavings.

#[cfg(loom)]
use loom::sync::{Condvar, Mutex, MutexGuard};
use std::sync::PoisonError;
#[cfg(not(loom))]
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// After so many transactions the side that syncs puts in order what they leave behind: about a
/// thousand pages of a SQLite log.
const TIDY_AFTER: u64 = 200;

/// How far writing and syncing have got, between their two threads.
pub(super) struct Progress<S, E> {
    state: Mutex<State<S, E>>,
    changed: Condvar,
}

impl<S, E> Default for Progress<S, E> {
    fn default() -> Self {
        let state = State {
            written: 0,
            due: None,
            untidy: 0,
            busy: false,
            held: false,
            failed: None,
            fresh: None,
            ended: false,
        };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }
}

struct State<S, E> {
    /// The last append that is written.
    written: u64,
    /// When what is written is to be on the disk at the latest, where some of it is not.
    due: Option<Instant>,
    /// So many transactions were not put in order yet.
    untidy: u64,
    /// A call of the disk is under way.
    busy: bool,
    /// No call of the disk may begin: it is being recovered.
    held: bool,
    /// Why a call failed; none begins until it was recovered.
    failed: Option<E>,
    /// What calls go to from now on.
    fresh: Option<S>,
    /// Nothing is written any more.
    ended: bool,
}

/// What the thread is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Bring to the disk what is written.
    Sync {
        /// Up to that append.
        up_to: u64,
    },
    /// Put in order what was left behind.
    Tidy,
    /// There is nothing to do before that has passed, or something changes.
    Wait(Option<Duration>),
    /// Nothing any more.
    End,
}

impl<S, E> State<S, E> {
    fn next(&self, now: Instant) -> Step {
        match self.due.map(|due| due.saturating_duration_since(now)) {
            _ if self.ended => Step::End,
            _ if self.held || self.failed.is_some() => Step::Wait(None),
            Some(Duration::ZERO) => Step::Sync { up_to: self.written },
            None if self.untidy >= TIDY_AFTER => Step::Tidy,
            left => Step::Wait(left),
        }
    }
}

impl<S, E: Clone> Progress<S, E> {
    fn lock(&self) -> MutexGuard<'_, State<S, E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<S, E>>) -> MutexGuard<'a, State<S, E>> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// A transaction is written, up to that append; on the disk it is to be within `sync_within`, where
    /// it is to be there at all.
    pub(super) fn written(&self, up_to: u64, sync_within: Option<Duration>) {
        let mut state = self.lock();
        state.written = up_to;
        state.untidy += 1;
        let due = sync_within.and_then(|within| Instant::now().checked_add(within));
        state.due = [state.due, due].into_iter().flatten().min();
        if due.is_some() || state.untidy >= TIDY_AFTER {
            self.changed.notify_all();
        }
    }

    /// Why a sync failed, where one has.
    pub(super) fn failure(&self) -> Option<E> {
        self.lock().failed.clone()
    }

    /// Whether something that is to be on the disk is not.
    pub(super) fn is_behind(&self) -> bool {
        self.lock().due.is_some()
    }

    /// Has what is to be on the disk brought there now, and waits for it.
    ///
    /// # Errors
    /// Why a sync failed.
    pub(super) fn settle(&self) -> Result<(), E> {
        let mut state = self.lock();
        state.due = state.due.map(|_| Instant::now());
        self.changed.notify_all();
        loop {
            if let Some(error) = &state.failed {
                return Err(error.clone());
            }
            if state.due.is_none() && !state.busy {
                return Ok(());
            }
            state = self.wait(state);
        }
    }

    /// No call begins any more, and none is under way.
    pub(super) fn hold(&self) {
        let mut state = self.lock();
        state.held = true;
        while state.busy {
            state = self.wait(state);
        }
    }

    /// What failed is made good; calls go to `side` once they [may](Self::go_on).
    pub(super) fn recovered(&self, side: S) {
        let mut state = self.lock();
        (state.failed, state.fresh) = (None, Some(side));
    }

    /// Calls may begin again.
    pub(super) fn go_on(&self) {
        self.lock().held = false;
        self.changed.notify_all();
    }

    /// Nothing is written any more.
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }

    /// Waits for something to do, and begins it.
    pub(super) fn begin(&self, side: &mut S) -> Step {
        let mut state = self.lock();
        loop {
            let step = state.next(Instant::now());
            match step {
                Step::Wait(None) => state = self.wait(state),
                Step::Wait(Some(left)) => {
                    let waited = self.changed.wait_timeout(state, left);
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
                Step::Sync { .. } => state.due = None,
                Step::Tidy => state.untidy = 0,
                Step::End => {}
            }
            if !matches!(step, Step::Wait(_)) {
                state.busy = step != Step::End;
                if let Some(fresh) = state.fresh.take() {
                    *side = fresh;
                }
                return step;
            }
        }
    }

    /// What was begun has ended. What failed is due again once that is recovered.
    pub(super) fn done(&self, failed: Option<E>) {
        let mut state = self.lock();
        state.busy = false;
        if failed.is_some() {
            (state.failed, state.due) = (failed, Some(Instant::now()));
        }
        self.changed.notify_all();
    }
}

#[cfg(all(test, not(loom)))]
#[path = "progress/tests.rs"]
mod tests;
