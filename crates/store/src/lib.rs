//! What lasts: raw captures, dead letters, and the ledger of orders.
//!
//! Nothing here knows the engine. Files are written on threads of their own, so that no disk can
//! make a shard wait.

// A test may stop at the first surprise; code that runs for users may not.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod capture;
pub mod dead_letters;
pub mod ledger;
mod stamp;
