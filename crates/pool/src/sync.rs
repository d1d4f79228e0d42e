//! The one place that chooses between the real primitives and loom's models of them.

use std::{ptr::NonNull, time::Duration};

#[cfg(not(loom))]
pub(crate) use std::{
    cell::UnsafeCell,
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicU16, AtomicU64, AtomicUsize},
    },
};

#[cfg(loom)]
pub(crate) use loom::{
    cell::UnsafeCell,
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicU16, AtomicU64, AtomicUsize},
    },
};

/// What a thread sleeps on: its own parking place. Loom's `unpark` also wakes a thread that is
/// blocked in a lock, so models sleep on loom's `Notify`; they know no time, and sleep until woken.
#[cfg(not(loom))]
pub(crate) struct Sleeper(std::thread::Thread);
#[cfg(loom)]
pub(crate) struct Sleeper(loom::sync::Notify);

impl Sleeper {
    /// For the calling thread.
    pub(crate) fn new() -> std::sync::Arc<Self> {
        #[cfg(not(loom))]
        let place = std::thread::current();
        #[cfg(loom)]
        let place = loom::sync::Notify::new();
        std::sync::Arc::new(Sleeper(place))
    }

    /// Sleeps until woken (or for no reason), for `limit` at most.
    pub(crate) fn sleep(&self, limit: Duration) {
        #[cfg(not(loom))]
        std::thread::park_timeout(limit);
        #[cfg(loom)]
        let _ = (limit, self.0.wait());
    }
}

impl std::task::Wake for Sleeper {
    fn wake(self: std::sync::Arc<Self>) {
        #[cfg(not(loom))]
        self.0.unpark();
        #[cfg(loom)]
        self.0.notify();
    }
}

/// Locks, taking no notice of poison: what a lock of this crate guards is complete between any two
/// statements that could panic, and a pool must outlive its users' panics.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Loom's record of an exclusive access to a cell; nothing without loom.
#[cfg(not(loom))]
pub(crate) type Access<T> = std::marker::PhantomData<T>;
#[cfg(loom)]
pub(crate) type Access<T> = loom::cell::MutPtr<T>;

/// The address of a cell's contents, and the record of an exclusive access that lasts until it is
/// dropped.
#[cfg(not(loom))]
#[inline]
pub(crate) fn open<T>(cell: &UnsafeCell<T>) -> (NonNull<T>, Access<T>) {
    (NonNull::from(cell).cast(), std::marker::PhantomData) // a cell is laid out as its contents
}

#[cfg(loom)]
#[allow(clippy::expect_used)] // loom's test builds only
pub(crate) fn open<T>(cell: &UnsafeCell<T>) -> (NonNull<T>, Access<T>) {
    let access = cell.get_mut();
    (access.with(|at| NonNull::new(at).expect("a cell has an address")), access)
}
