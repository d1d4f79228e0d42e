//! What was counted per consumer, readable from other threads.
//!
//! Each half has one writer (the shard, the consumer's thread) and a cache line pair of its own.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hdrhistogram::Histogram;
use model::{Error, Nanos, Stream};

use crate::histogram::LatencyHistogram;

mod handed;

pub use handed::Handed;
use handed::HandedTable;

#[cfg(doc)]
use crate::capacity::{HANDLER_BLOCKED, HANDLER_SLOW};

/// Longest latency that is told apart, in ns: 100 s. Longer ones count as this.
const LATENCY_MAX_NS: u64 = 100_000_000_000;

/// The counters of one consumer.
#[derive(Debug)]
pub struct Tally {
    shard: ShardHalf,
    inbox: InboxHalf,
    taken: Mutex<Times>,
}

/// How long events took, as the consumer's side saw it.
#[derive(Debug)]
struct Times {
    /// To three digits, in 240 KiB: there is one for each consumer.
    latency: Histogram<u64>,
    queued: LatencyHistogram,
    /// Execution and control.
    critical: LatencyHistogram,
    streams: HandedTable,
}

/// What the consumer's side published of times, all of it up to the same batch.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    /// Of market data, from `ts_recv` to the handler's entry, in ns.
    pub latency: Histogram<u64>,
    /// The part of it from `ts_emit` on: decoding, routing, the queue and the wake; what was conflated
    /// counts from when it left the backlog.
    pub queued: LatencyHistogram,
    /// The same as the first, of execution and control.
    pub critical: LatencyHistogram,
    /// What was handed over of each stream.
    pub streams: Vec<(Stream, Handed)>,
}

/// An event that was handed over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub stream: Stream,
    /// From the return of the read to the handler's entry.
    pub latency_ns: u64,
    /// From the hand-over to the fan-out to the handler's entry.
    pub queued_ns: u64,
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct ShardHalf {
    offered: AtomicU64,
    conflated: AtomicU64,
    merged: AtomicU64,
    snapshots: AtomicU64,
    updates_merged: AtomicU64,
    dropped: AtomicU64,
    waiting: AtomicU64,
    waiting_max: AtomicU64,
    queued: AtomicU64,
    queued_max: AtomicU64,
    critical_queued: AtomicU64,
    critical_queued_max: AtomicU64,
    behind_ns: AtomicU64,
    stalled_ns: AtomicU64,
    read_back: AtomicU64,
    stalls: AtomicU64,
    demand: AtomicU64,
    share: AtomicU64,
    held: AtomicU64,
    stalled: AtomicBool,
    blocked: AtomicU64,
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct InboxHalf {
    delivered: AtomicU64,
    critical_delivered: AtomicU64,
    panics: AtomicU64,
    acknowledged: AtomicU64,
    skipped: AtomicU64,
    slow: AtomicU64,
    overruns: AtomicU64,
    restarts: AtomicU64,
    /// When the handler that runs was entered, in ns; 0 where none does.
    entered: AtomicU64,
    /// With which event.
    trace_id: AtomicU64,
}

/// What a consumer's [`Tally`] said at one moment. Once nothing is under way,
/// `offered + snapshots = delivered + skipped + conflated + merged + dropped`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConsumerCounts {
    /// Events routed to it.
    pub offered: u64,
    /// Market data that newer data of its stream replaced or was merged into, withheld book updates
    /// included.
    pub conflated: u64,
    /// Stream states that a later one of their stream stands for; none of them is lost, the later
    /// one says how many there were.
    pub merged: u64,
    /// Fresh snapshots that stand for withheld book updates.
    pub snapshots: u64,
    /// Book updates handed over that stand, level by level, for several.
    pub updates_merged: u64,
    /// Trades that were dropped because too many waited.
    pub dropped: u64,
    /// Events that wait behind the full ring now.
    pub waiting: u64,
    /// The most that ever did at the end of a turn.
    pub waiting_max: u64,
    /// Events of market data in the ring at the end of the last turn that put something in.
    pub queued: u64,
    /// The most that there ever were.
    pub queued_max: u64,
    /// Execution and control events in their ring at the end of the last turn that put something in.
    pub critical_queued: u64,
    /// The most that there ever were.
    pub critical_queued_max: u64,
    /// How long events waited behind the full ring, up to the last turn, in ns.
    pub behind_ns: u64,
    /// How long the critical window was full, up to the last turn, in ns.
    pub stalled_ns: u64,
    /// Execution events that did not fit the critical window and came from the log later.
    pub read_back: u64,
    /// How often the critical window was full when more came.
    pub stalls: u64,
    /// Events that it would have got in the last second; only where there is a budget.
    pub demand: u64,
    /// Events a second that it may have of the budget, rounded up.
    pub share: u64,
    /// Events that found no token and waited, or were conflated.
    pub held: u64,
    /// Whether its critical window is full, and not all of what came since has been read back yet.
    pub stalled: bool,
    /// Events handed to it.
    pub delivered: u64,
    /// Critical ones among them.
    pub critical_delivered: u64,
    /// Panics of its handlers.
    pub panics: u64,
    /// The position in the log of execution events up to which it has dealt with all.
    pub acknowledged: u64,
    /// Market data that was not handed to a consumer that was made anew, which gets all of it afresh.
    pub skipped: u64,
    /// Calls of its handlers that took longer than [`HANDLER_SLOW`].
    pub slow: u64,
    /// Times that a handler did not return for longer than [`HANDLER_BLOCKED`].
    pub blocked: u64,
    /// Batches on the shard's thread that took longer than their budget.
    pub overruns: u64,
    /// How often it was made anew after a panic.
    pub restarts: u64,
}

impl ConsumerCounts {
    /// With the shard's half as its writer has it now, which is not published before the turn's end.
    pub(crate) fn with_shard_half(self, shard: &Self) -> Self {
        let Self { delivered, critical_delivered, panics, acknowledged, skipped, .. } = self;
        let Self { slow, blocked, overruns, restarts, .. } = self;
        let inbox = Self { delivered, critical_delivered, panics, acknowledged, skipped, ..*shard };
        Self { slow, blocked, overruns, restarts, ..inbox }
    }
}

impl Tally {
    /// All zero.
    ///
    /// # Errors
    /// None in practice: the histogram's bounds are constants that it accepts.
    pub(crate) fn new() -> Result<Self, Error> {
        let latency = Histogram::new_with_bounds(1, LATENCY_MAX_NS, 3)
            .map_err(|error| Error::stop(format!("latency histogram: {error}")))?;
        Ok(Self {
            shard: ShardHalf::default(),
            inbox: InboxHalf::default(),
            taken: Mutex::new(Times {
                latency,
                queued: LatencyHistogram::default(),
                critical: LatencyHistogram::default(),
                streams: HandedTable::default(),
            }),
        })
    }

    /// The counters now.
    #[must_use]
    pub fn counts(&self) -> ConsumerCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (shard, inbox) = (&self.shard, &self.inbox);
        ConsumerCounts {
            offered: read(&shard.offered),
            conflated: read(&shard.conflated),
            merged: read(&shard.merged),
            snapshots: read(&shard.snapshots),
            updates_merged: read(&shard.updates_merged),
            dropped: read(&shard.dropped),
            waiting: read(&shard.waiting),
            waiting_max: read(&shard.waiting_max),
            queued: read(&shard.queued),
            queued_max: read(&shard.queued_max),
            critical_queued: read(&shard.critical_queued),
            critical_queued_max: read(&shard.critical_queued_max),
            behind_ns: read(&shard.behind_ns),
            stalled_ns: read(&shard.stalled_ns),
            read_back: read(&shard.read_back),
            stalls: read(&shard.stalls),
            demand: read(&shard.demand),
            share: read(&shard.share),
            held: read(&shard.held),
            stalled: shard.stalled.load(Ordering::Relaxed),
            delivered: read(&inbox.delivered),
            critical_delivered: read(&inbox.critical_delivered),
            panics: read(&inbox.panics),
            acknowledged: self.acknowledged(),
            skipped: read(&inbox.skipped),
            slow: read(&inbox.slow),
            blocked: read(&shard.blocked),
            overruns: read(&inbox.overruns),
            restarts: read(&inbox.restarts),
        }
    }

    /// Latencies of market data from `ts_recv` to the handler's entry, in ns, up to now.
    #[must_use]
    pub fn latency(&self) -> Histogram<u64> {
        self.lock().latency.clone()
    }

    /// All times.
    pub(crate) fn times(&self) -> Published {
        let times = self.lock();
        Published {
            latency: times.latency.clone(),
            queued: times.queued.clone(),
            critical: times.critical.clone(),
            streams: times.streams.iter().collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Times> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The position up to which the consumer has dealt with its execution events.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.inbox.acknowledged.load(Ordering::Relaxed)
    }

    /// Says so; from the consumer's side only, which never goes back.
    pub(crate) fn acknowledge(&self, position: u64) {
        self.inbox.acknowledged.store(position, Ordering::Relaxed);
    }

    /// A handler is entered; called by the consumer's side.
    pub(crate) fn enter(&self, now: Nanos, trace_id: u64) {
        self.inbox.trace_id.store(trace_id, Ordering::Relaxed);
        self.inbox.entered.store(now.0, Ordering::Relaxed);
    }

    /// No handler runs any more.
    pub(crate) fn leave(&self) {
        self.inbox.entered.store(0, Ordering::Relaxed);
    }

    /// Since when which event is being handled; `None` where no handler runs.
    pub(crate) fn running(&self) -> Option<(Nanos, u64)> {
        let entered = self.inbox.entered.load(Ordering::Relaxed);
        (entered > 0).then(|| (Nanos(entered), self.inbox.trace_id.load(Ordering::Relaxed)))
    }

    /// A handler does not return; how often that was so.
    pub(crate) fn blocked(&self) -> u64 {
        self.shard.blocked.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The shard's half, as its single writer counted it.
    pub(crate) fn publish_shard(&self, counts: &ConsumerCounts) {
        let half = &self.shard;
        half.offered.store(counts.offered, Ordering::Relaxed);
        half.conflated.store(counts.conflated, Ordering::Relaxed);
        half.merged.store(counts.merged, Ordering::Relaxed);
        half.snapshots.store(counts.snapshots, Ordering::Relaxed);
        half.updates_merged.store(counts.updates_merged, Ordering::Relaxed);
        half.dropped.store(counts.dropped, Ordering::Relaxed);
        half.waiting.store(counts.waiting, Ordering::Relaxed);
        half.waiting_max.store(counts.waiting_max, Ordering::Relaxed);
        half.queued.store(counts.queued, Ordering::Relaxed);
        half.queued_max.store(counts.queued_max, Ordering::Relaxed);
        half.critical_queued.store(counts.critical_queued, Ordering::Relaxed);
        half.critical_queued_max.store(counts.critical_queued_max, Ordering::Relaxed);
        half.behind_ns.store(counts.behind_ns, Ordering::Relaxed);
        half.stalled_ns.store(counts.stalled_ns, Ordering::Relaxed);
        half.read_back.store(counts.read_back, Ordering::Relaxed);
        half.stalls.store(counts.stalls, Ordering::Relaxed);
        half.demand.store(counts.demand, Ordering::Relaxed);
        half.share.store(counts.share, Ordering::Relaxed);
        half.held.store(counts.held, Ordering::Relaxed);
        half.stalled.store(counts.stalled, Ordering::Relaxed);
    }

    /// The inbox's half, as its single writer counted it, and a batch's events.
    pub(crate) fn publish_inbox(&self, counts: &ConsumerCounts, taken: &[Taken]) {
        let half = &self.inbox;
        half.delivered.store(counts.delivered, Ordering::Relaxed);
        half.critical_delivered.store(counts.critical_delivered, Ordering::Relaxed);
        half.panics.store(counts.panics, Ordering::Relaxed);
        half.skipped.store(counts.skipped, Ordering::Relaxed);
        half.slow.store(counts.slow, Ordering::Relaxed);
        half.overruns.store(counts.overruns, Ordering::Relaxed);
        half.restarts.store(counts.restarts, Ordering::Relaxed);
        let mut times = self.lock();
        for Taken { stream, latency_ns, queued_ns } in taken {
            if stream.kind.is_critical() {
                times.critical.record(*latency_ns);
                continue;
            }
            times.latency.saturating_record(*latency_ns);
            times.queued.record(*queued_ns);
            times.streams.count(*stream, *latency_ns);
        }
    }
}
