//! How a run is ended, and what it came to.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use engine::Metrics;
use futures_util::task::AtomicWaker;
use pool::{Manager, PoolReport, PoolStats};

use crate::report::{ConsumerReport, LetterReport, MergeReport, StreamReport, VenueReport};
use crate::trading::OrderCounts;

/// What went wrong before or while a gateway ran.
#[derive(Debug)]
pub struct RunError(pub String);

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RunError {}

impl RunError {
    pub(crate) fn new(what: &str, error: impl fmt::Display) -> Self {
        Self(format!("{what}: {error}"))
    }
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// How long it ran.
    pub elapsed: Duration,
    /// Per provider.
    pub providers: Vec<VenueReport>,
    /// Per stream.
    pub streams: Vec<StreamReport>,
    /// Per merge.
    pub merges: Vec<MergeReport>,
    /// What could not be used or delivered, by reason.
    pub dead_letters: Vec<LetterReport>,
    /// Everything that was counted before the connections were closed.
    pub metrics: Metrics,
    /// Per consumer, when all had what they had coming.
    pub consumers: Vec<ConsumerReport>,
    /// What came of orders.
    pub orders: OrderCounts,
    /// Consumers whose handler did not return in time; their threads were left behind.
    pub stuck: Vec<String>,
    /// Lines that a recorder had to drop.
    pub lines_lost: u64,
    /// The gauges of every pool when all was closed.
    pub pools: Vec<PoolStats>,
    /// The pools that did not get everything back, with the stacks of who took it in debug builds.
    pub unreturned: Vec<PoolReport>,
}

/// The pools of a run, to be looked at from any thread while it lasts.
#[derive(Clone, Debug, Default)]
pub struct Gauges(Arc<OnceLock<Arc<Manager>>>);

impl Gauges {
    /// Every pool's gauges; none before the run has begun.
    #[must_use]
    pub fn pools(&self) -> Vec<PoolStats> {
        self.0.get().map(|manager| manager.stats()).unwrap_or_default()
    }

    /// The run has begun. Those of a second one are not shown.
    pub(crate) fn show(&self, manager: &Arc<Manager>) {
        self.0.get_or_init(|| manager.clone());
    }
}

/// Ends a run from any thread.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<StopFlag>);

#[derive(Debug, Default)]
struct StopFlag {
    set: AtomicBool,
    waker: AtomicWaker,
}

impl Stop {
    /// The run ends: connections are closed properly, consumers get what they have coming.
    pub fn stop(&self) {
        self.0.set.store(true, Ordering::Release);
        self.0.waker.wake();
    }

    /// Whether it was called.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.set.load(Ordering::Acquire)
    }

    /// Whether it was called; if not, the task is woken when it is.
    pub(crate) fn poll(&self, cx: &std::task::Context<'_>) -> bool {
        self.0.waker.register(cx.waker());
        self.is_set()
    }
}
