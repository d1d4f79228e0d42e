//! How many of everything a shard has: each number is a sum with one term per owner.

use std::sync::Arc;
use std::time::Duration;

use model::event::CanonicalEvent;
use model::frame::{ProviderRaw, WsFrame};
use model::merged::MergedEvent;
use model::order::{ExecReport, OrderRequest};
use pool::{LocalPool, Manager, Pool, Reset};

/// The sizes of a shard's pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Objects in the pool of [`WsFrame`].
    pub ws_frames: u16,
    /// Objects in the pool of [`ProviderRaw`].
    pub provider_raws: u16,
    /// Objects in the pool of [`CanonicalEvent`].
    pub canonical_events: u16,
    /// Objects in the pool of [`MergedEvent`].
    pub merged_events: u16,
    /// Objects in the pool of [`OrderRequest`].
    pub order_requests: u16,
    /// Objects in the pool of [`ExecReport`].
    pub exec_reports: u16,
    /// Whether the pools only count: each loan is then a box of its own with buffers of its own. To
    /// measure what pooling is worth.
    pub boxed: bool,
}

impl Default for Capacity {
    fn default() -> Self {
        Self {
            ws_frames: 64 // one per provider: the message whose read and decoding is under way
                + 136, // spare: the written starting point is 200
            provider_raws: DEAD_LETTERS_MAX as u16 // on their way to whoever keeps them
                + 1 // in that one's hand
                + 71, // spare: the written starting point is 200
            canonical_events: 3 // of one message: the update, the snapshot and the quote from it
                + 297, // spare: the written starting point is 300; each goes before the next comes
            merged_events: 1 // of the window that closes; the next is closed after it
                + 49, // spare: the written starting point is 50
            order_requests: 16 // one per consumer, from submit until its intent is queued
                + ORDER_REQUESTS_FOR_CANCELS,
            exec_reports: 1 // of the report that is received; the desk takes it in before the next
                + 19, // spare: the written starting point is 20
            boxed: false,
        }
    }
}

/// Dead letters between the shard and whoever keeps them.
pub const DEAD_LETTERS_MAX: usize = 128;

/// Of those places, so many are not for letters of low priority.
pub const DEAD_LETTERS_NOT_LOW: usize = 64;

/// Of the trades that a consumer's full queue drops in a turn, so many become dead letters; the
/// others are counted.
pub const DROPPED_SHOWN: usize = 8;

/// Of the order requests, those that only cancels may take.
pub const ORDER_REQUESTS_FOR_CANCELS: u16 = 4;

/// The sizes of one consumer's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueCapacity {
    /// Events in the ring between the shard and the consumer.
    pub ring: usize,
    /// Trades that wait behind a full ring before the oldest is dropped.
    pub trades: usize,
    /// Execution and control events in the critical ring; further ones wait in the log.
    pub critical: usize,
    /// Commands of the consumer that are open at a time: their answers wait outside of the ring.
    pub commands: usize,
}

impl Default for QueueCapacity {
    fn default() -> Self {
        Self {
            ring: 256  // the batch that the consumer has in hand
                + 256  // the next one, while its thread is being woken
                + 512, // a burst: 0.1 s of 5,000 events a second
            trades: 4_096, // beyond it a consumer is seconds behind, and told by the count
            critical: 192 // a second of reports of a busy venue account: 190 orders in 10 s, each filled
                + 64, // answers to all the commands that may be open
            commands: 32,  // one each 30 ms while each takes the second that it may
        }
    }
}

/// Levels of one book's updates that wait merged, of which more would be a snapshot's work: 16 KiB.
pub const MERGED_LEVELS_EACH: usize = 512;

/// The same for all books of one consumer: 1 MiB.
pub const MERGED_LEVELS_MAX: usize = 32_768;

/// A consumer reads at most this many events before it hears that its batch ended.
pub const BATCH_MAX: usize = 256;

/// The same for a consumer on the shard's thread, where others wait for the end of its batch.
pub const BATCH_ON_SHARD_MAX: usize = 32;

/// A handler that takes longer for an event is counted as slow.
pub const HANDLER_SLOW: Duration = Duration::from_millis(100);

/// A handler that has not returned for so long is counted as blocked.
pub const HANDLER_BLOCKED: Duration = Duration::from_secs(1);

/// Books, hence (provider, instrument) pairs in use, on one shard.
pub const BOOKS_MAX: usize = 65_536;

/// Distinct instrument names, over all providers.
pub const NAMES_MAX: usize = 65_536;

/// Facts about instruments, over all providers: some venues list several thousand each.
pub const FACTS_MAX: usize = 4 * NAMES_MAX;

/// Providers, and consumers, of one process.
pub const PARTIES_MAX: usize = 1_024;

/// Positions of a stream that skips which are known to have been there: seconds of the busiest, 8 KiB.
pub const RECENT_MAX: usize = 1_024;

/// Holes of a stream that were given up and are known as such: what fills one of them is late.
pub const HOLES_MAX: usize = 64;

/// Merges of one shard, removed ones included, whose places are given to others when there is no other
/// room: each holds at most one window, of one fragment a provider.
pub const MERGES_MAX: usize = 256;

/// Of those, merges that one consumer may have at a time, so that none takes the room of all.
pub const MERGES_PER_CONSUMER: usize = 32;

/// Subscriptions of one consumer.
pub const SUBSCRIPTIONS_MAX: usize = 1_024;

/// Streams that one subscription may name.
pub const STREAMS_PER_SUBSCRIPTION: usize = 1_024;

/// Names of instruments that one consumer may bring in, so that none fills the table for all.
pub const NAMES_PER_CONSUMER: usize = 4_096;

/// Commands of a consumer that wait to be taken.
pub const COMMANDS_MAX: usize = 64;

/// Commands of a consumer that are known again by their id: its newest.
pub const COMMANDS_REMEMBERED: usize = 512;

/// Commands of operators that wait to be taken; as many offs of theirs may be pending, and for each
/// consumer as many subscriptions.
pub const OPERATOR_COMMANDS_MAX: usize = 256;

/// Distinct names of unknown message types and the like that are counted one by one, per provider.
pub const NOTICES_MAX: usize = 256;

/// The six pools of a shard. Handles: clones share the same objects.
///
/// What never leaves the shard's thread comes from a [`LocalPool`], a third of the cost; what other
/// threads take or give back from a [`Pool`].
#[derive(Clone)]
pub struct Pools {
    /// Frames between the socket read and the end of the turn.
    pub ws_frames: LocalPool<WsFrame>,
    /// Payloads that outlive their frame, on their way to another thread.
    pub provider_raws: Pool<ProviderRaw>,
    /// Events between decode and fan-out.
    pub canonical_events: LocalPool<CanonicalEvent>,
    /// Windows between their close and fan-out.
    pub merged_events: LocalPool<MergedEvent>,
    /// Orders from submit, on a consumer's thread, until the intent is queued and the bytes are
    /// encoded.
    pub order_requests: Pool<OrderRequest>,
    /// What venues say of orders, from receipt until what follows from it is queued: facts, and the
    /// report that goes to the consumer once it is written.
    pub exec_reports: LocalPool<ExecReport>,
    manager: Arc<Manager>,
}

impl Pools {
    /// Pools of those sizes, all objects made now.
    #[must_use]
    pub fn new(capacity: Capacity) -> Self {
        let Capacity { boxed, .. } = capacity;
        let pools = Self {
            ws_frames: local("WsFrame", capacity.ws_frames, boxed),
            provider_raws: shared("ProviderRaw", capacity.provider_raws, boxed),
            canonical_events: local("CanonicalEvent", capacity.canonical_events, boxed),
            merged_events: local("MergedEvent", capacity.merged_events, boxed),
            order_requests: shared("OrderRequest", capacity.order_requests, boxed),
            exec_reports: local("ExecReport", capacity.exec_reports, boxed),
            manager: Arc::new(Manager::new()),
        };
        let Self { manager, .. } = &pools;
        manager.add_local(&pools.ws_frames);
        let raws = manager.add(&pools.provider_raws);
        manager.add_local(&pools.canonical_events);
        manager.add_local(&pools.merged_events);
        let orders = manager.add(&pools.order_requests);
        manager.add_local(&pools.exec_reports);
        debug_assert!(raws.and(orders).is_ok(), "the manager is new, the types differ");
        pools
    }

    /// Knows all six, from any thread, and outlives the shard: gauges, and the shutdown.
    #[must_use]
    pub fn manager(&self) -> &Arc<Manager> {
        &self.manager
    }

    /// Whether another frame can be read and decoded now.
    #[must_use]
    pub fn have_room(&self) -> bool {
        self.ws_frames.has_free() && self.canonical_events.has_free()
    }
}

fn local<T: Reset>(name: &'static str, capacity: u16, boxed: bool) -> LocalPool<T> {
    if boxed { LocalPool::boxed(name, capacity) } else { LocalPool::new(name, capacity) }
}

fn shared<T: Reset + Send>(name: &'static str, capacity: u16, boxed: bool) -> Pool<T> {
    if boxed { Pool::boxed(name, capacity) } else { Pool::new(name, capacity) }
}

impl std::fmt::Debug for Pools {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.manager.fmt(f)
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn the_sums_are_the_written_starting_points() {
        let stats = Pools::new(Capacity::default()).manager().stats();
        let sizes = stats.iter().map(|pool| (pool.pool, pool.capacity));
        let expected = [
            ("WsFrame", 200),
            ("ProviderRaw", 200),
            ("CanonicalEvent", 300),
            ("MergedEvent", 50),
            ("OrderRequest", 20),
            ("ExecReport", 20),
        ];
        assert!(sizes.eq(expected));
    }

    #[test]
    fn a_shared_pool_is_found_by_its_type() {
        let pools = Pools::new(Capacity::default());
        let held = pools.order_requests.try_acquire();
        let found = pools.manager().get::<OrderRequest>().unwrap();
        assert_eq!(found.stats().in_use, 1);
        drop(held);
        assert_eq!(found.stats().in_use, 0);
    }

    #[test]
    fn there_is_room_until_either_pool_is_out() {
        let one = Capacity { ws_frames: 1, canonical_events: 1, ..Capacity::default() };
        for capacity in [one, Capacity { boxed: true, ..one }] {
            let pools = Pools::new(capacity);
            assert!(pools.have_room());
            let frame = pools.ws_frames.try_acquire();
            assert!(!pools.have_room());
            drop(frame);
            let event = pools.canonical_events.try_acquire();
            assert!(!pools.have_room());
            drop(event);
            assert!(pools.have_room());
        }
    }
}
