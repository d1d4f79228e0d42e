//! Why a loan was refused.

use std::{fmt, time::Duration};

/// Why a waiting acquisition ended without an object. Callers treat both as back-pressure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcquireError {
    /// Every object stayed out until the deadline (or until the caller's timer fired).
    TimedOut {
        /// The pool's name.
        pool: &'static str,
        /// How many objects the pool has; all were out.
        capacity: u16,
        /// How long the caller waited.
        waited: Duration,
    },
    /// The pool was closed, before the call or during the wait.
    Closed {
        /// The pool's name.
        pool: &'static str,
        /// How many objects the pool has.
        capacity: u16,
        /// How long the caller waited until then.
        waited: Duration,
    },
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut { pool, capacity, waited } => {
                write!(f, "pool {pool}: all {capacity} objects stayed out for {waited:?}")
            }
            Self::Closed { pool, capacity, waited } => {
                write!(f, "pool {pool} (capacity {capacity}) is closed, after {waited:?}")
            }
        }
    }
}

impl std::error::Error for AcquireError {}
