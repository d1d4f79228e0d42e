//! What is still out, for people to read.

use std::{fmt, time::Duration};

use crate::loans::Held;

/// What is out of one pool.
#[derive(Clone, Debug)]
pub struct PoolReport {
    /// The pool's name.
    pub pool: &'static str,
    /// How many objects are out.
    pub out: u16,
    /// Each of them, the oldest first; empty where loans are not [tracked](crate::TRACKS_LOANS).
    pub held: Vec<Held>,
}

impl fmt::Display for PoolReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pool {}: {} out", self.pool, self.out)?;
        self.held.iter().try_for_each(|held| write!(f, "\n{held}"))
    }
}

/// What is out of all pools after a shutdown.
#[derive(Clone, Debug)]
pub struct ShutdownReport {
    /// The pools with something out, in order of registration.
    pub unreturned: Vec<PoolReport>,
    /// How long the shutdown waited.
    pub waited: Duration,
}

impl ShutdownReport {
    /// True if every object came home.
    pub fn is_clean(&self) -> bool {
        self.unreturned.is_empty()
    }
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_clean() {
            return write!(f, "every pooled object came home within {:?}", self.waited);
        }
        write!(f, "not returned within {:?}:", self.waited)?;
        self.unreturned.iter().try_for_each(|pool| write!(f, "\n{pool}"))
    }
}
