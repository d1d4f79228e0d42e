//! Bounded object pools with strict ownership. Knows no word of what is pooled.
//!
//! A [`Pool`] lends a fixed number of objects; a [`Pooled`] is the unique owner of one and gives it
//! back, [reset](Reset), when dropped. Who must not wait uses [`Pool::try_acquire`]; others wait in
//! arrival order, with a deadline, blocking or not. A thread that acquires and returns by itself
//! has the same several times faster in a [`LocalPool`]. A [`Manager`] holds all pools of a program,
//! their gauges and their shutdown.
//!
//! # Reading order
//! `word` (the state in 64 bits), `core` (free list, waiting, closing: safe code), `waiters` and
//! `wait` (the queue), `pooled` (the objects and all unsafe code), `pool` (the handle), `local` (the pool of
//! one thread), `loans` (stacks of what is out), `manager` and `report`.
//!
//! # What is deliberately absent
//! Growing and shrinking, raw hand-over of objects, a per-thread cache, names as keys, and any
//! clock on the way of `try_acquire` in release builds. The README says why, with figures.

mod core;
mod error;
mod loans;
mod local;
mod manager;
mod pool;
mod pooled;
mod report;
mod reset;
mod stats;
mod sync;
mod wait;
mod waiters;
mod word;

pub use error::AcquireError;
pub use loans::{Held, TRACKS_LOANS};
pub use local::{LocalPool, LocalPooled};
pub use manager::{AlreadyRegistered, Manager};
pub use pool::{DEFAULT_DEADLINE, Pool};
pub use pooled::Pooled;
pub use report::{PoolReport, ShutdownReport};
pub use reset::{Reset, reset_string, reset_vec};
pub use stats::PoolStats;

/// A type for this crate's examples.
#[doc(hidden)]
pub mod doc {
    /// A pooled note.
    #[derive(Debug, Default, PartialEq, Eq)]
    pub struct Note {
        /// What it says.
        pub text: String,
    }

    impl crate::Reset for Note {
        fn reset(&mut self) {
            let Self { text } = self;
            crate::reset_string(text, 64);
        }
    }
}

/// Compiles and runs the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
