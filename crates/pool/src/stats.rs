//! A pool's gauges.

use std::time::Duration;

/// What a pool has done so far, and how it stands now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolStats {
    /// The pool's name.
    pub pool: &'static str,
    /// How many objects there are.
    pub capacity: u16,
    /// How many are out now.
    pub in_use: u16,
    /// The most that were ever out at once.
    pub high_water: u16,
    /// How many acquisitions had to wait (including those that then timed out).
    pub waits: u64,
    /// How long all finished waits took together.
    pub wait_total: Duration,
    /// How many waits ended without an object because their time was up.
    pub timeouts: u64,
    /// How often something was wanted at once of an open pool, and nothing was free.
    pub exhausted: u64,
    /// How many returns met a `reset` that panicked (see [`Reset`](crate::Reset)).
    pub reset_panics: u64,
}
