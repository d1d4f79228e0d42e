//! The one place that chooses between the real primitives and loom's models of them.

#[cfg(not(loom))]
pub(crate) use std::{
    cell::UnsafeCell,
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicU16, AtomicU64, AtomicUsize},
    },
    thread::{Thread, current, park_timeout},
};

#[cfg(loom)]
pub(crate) use loom::{
    cell::UnsafeCell,
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicU16, AtomicU64, AtomicUsize},
    },
    thread::{Thread, current},
};

/// Loom knows no time: a blocking wait ends only when it is woken. Expiry is modelled through the
/// async form, whose timer is an event.
#[cfg(loom)]
pub(crate) fn park_timeout(_limit: std::time::Duration) {
    loom::thread::park();
}

/// Locks, taking no notice of poison: what a lock of this crate guards is complete between any two
/// statements that could panic, and a pool must outlive its users' panics.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
