//! How often memory is asked for per event, from the frame to the consumer's handler, with the
//! pools and without.
//!
//! The same code runs in both columns: without pools, every loan is a box of its own with buffers of
//! its own ([`engine::Capacity::boxed`]). Counted is what the shard does (a frame into a `WsFrame`,
//! decode, book, fan-out) and what the consumers do to take and drop their copies; everything runs
//! on one thread, because the counter is per thread. The frames lie ready in memory. Nothing is
//! counted before every buffer has its size.

use serde::Serialize;

#[cfg(feature = "yardsticks")]
mod measure;

#[cfg(all(test, feature = "yardsticks"))]
pub(super) use measure::full_speed;
#[cfg(feature = "yardsticks")]
pub use measure::measure;

/// The section.
#[derive(Clone, Debug, Serialize)]
pub struct Allocations {
    /// With the pools, 3 subscribers, at full speed; book updates of 8 levels.
    pub per_event: PerEvent,
    /// Of mixed traffic at 1,000 events a second, allocations a second with the pools.
    pub pooled_per_s: f64,
    /// And without.
    pub unpooled_per_s: f64,
    /// How many fewer with the pools, in percent.
    pub reduction_pct: f64,
    /// The same traffic at full speed.
    pub full_speed: Pair,
    /// Each kind with each number of subscribers, at full speed.
    pub cases: Vec<Case>,
}

/// Allocations per event.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct PerEvent {
    /// A trade.
    pub trade: f64,
    /// A quote.
    pub quote: f64,
    /// A ticker.
    pub ticker: f64,
    /// A book update.
    pub book_update: f64,
}

/// Allocations per event in both columns.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Pair {
    /// With the pools.
    pub pooled: f64,
    /// Without.
    pub unpooled: f64,
    /// How many fewer, in percent.
    pub reduction_pct: f64,
}

/// One kind of event with so many subscribers.
#[derive(Clone, Debug, Serialize)]
pub struct Case {
    /// Its name.
    pub kind: &'static str,
    /// Levels in each, of a book update.
    pub levels: usize,
    /// How many consumers get it.
    pub subscribers: usize,
    /// Allocations per event.
    #[serde(flatten)]
    pub per_event: Pair,
}
