//! Venues that are not there: simulators that speak the venues' protocols, and the player of raw
//! captures.
//!
//! Whatever stands in for a venue is a [`machine::Machine`]: bytes and the time in, bytes and the
//! next deadline out, no socket and no clock. It runs under two drivers: by plain calls in virtual
//! time, and behind real sockets in [`server`].
//!
//! Nothing here may import `venues`: were both ends written from the same code, the same
//! misreading of a venue's documentation would pass unseen.

// A test may stop at the first surprise; code that runs for users may not.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod accounts;
mod bucket;
pub mod dialect;
pub mod digits;
pub mod faults;
pub mod machine;
pub mod market;
pub mod play;
pub mod rng;
pub mod server;
pub mod sign;
pub mod venue;

pub use venue::{SimOptions, Simulator, venue};
