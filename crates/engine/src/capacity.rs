//! How many of everything a shard has: each number is a sum with one term per owner.

use model::event::CanonicalEvent;
use model::frame::{ProviderRaw, WsFrame};
use pool::{Pool, PoolStats};

/// The sizes of a shard's pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Objects in the pool of [`WsFrame`].
    pub ws_frames: u16,
    /// Objects in the pool of [`ProviderRaw`].
    pub provider_raws: u16,
    /// Objects in the pool of [`CanonicalEvent`].
    pub canonical_events: u16,
}

impl Default for Capacity {
    fn default() -> Self {
        Self {
            ws_frames: 64 // one per provider: the message whose read and decoding is under way
                + 136, // spare: the written starting point is 200
            // Nobody's yet: what waits for a snapshot or a disk is plain memory. Malformed frames on
            // their way to the dead-letter queue will be these.
            provider_raws: 200,
            canonical_events: 3 // of one message: the update, the snapshot and the quote from it
                + 297, // spare: the written starting point is 300; each goes before the next comes
        }
    }
}

/// The sizes of one consumer's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueCapacity {
    /// Events in the ring between the shard and the consumer.
    pub ring: usize,
    /// Trades that wait behind a full ring before the oldest is dropped.
    pub trades: usize,
}

impl Default for QueueCapacity {
    fn default() -> Self {
        Self {
            ring: 256  // the batch that the consumer has in hand
                + 256  // the next one, while its thread is being woken
                + 512, // a burst: 0.1 s of 5,000 events a second
            trades: 4_096, // beyond it a consumer is seconds behind, and told by the count
        }
    }
}

/// A consumer reads at most this many events before it hears that its batch ended.
pub const BATCH_MAX: usize = 256;

/// Books, hence (provider, instrument) pairs in use, on one shard.
pub const BOOKS_MAX: usize = 65_536;

/// Distinct instrument names, over all providers.
pub const NAMES_MAX: usize = 65_536;

/// Facts about instruments, over all providers: some venues list several thousand each.
pub const FACTS_MAX: usize = 4 * NAMES_MAX;

/// Providers, and consumers, of one process.
pub const PARTIES_MAX: usize = 1_024;

/// Distinct names of unknown message types and the like that are counted one by one, per provider.
pub const NOTICES_MAX: usize = 256;

/// The pools of a shard. Handles: clones share the same objects.
#[derive(Clone)]
pub struct Pools {
    /// Frames between the socket read and the end of the turn.
    pub ws_frames: Pool<WsFrame>,
    /// Payloads that outlive their frame.
    pub provider_raws: Pool<ProviderRaw>,
    /// Events between decode and fan-out.
    pub canonical_events: Pool<CanonicalEvent>,
}

impl Pools {
    /// Pools of those sizes, all objects made now.
    #[must_use]
    pub fn new(capacity: Capacity) -> Self {
        Self {
            ws_frames: Pool::new("WsFrame", capacity.ws_frames),
            provider_raws: Pool::new("ProviderRaw", capacity.provider_raws),
            canonical_events: Pool::new("CanonicalEvent", capacity.canonical_events),
        }
    }

    /// The gauges, in the order of the fields.
    #[must_use]
    pub fn stats(&self) -> [PoolStats; 3] {
        [self.ws_frames.stats(), self.provider_raws.stats(), self.canonical_events.stats()]
    }

    /// Whether another frame can be read and decoded now.
    #[must_use]
    pub fn have_room(&self) -> bool {
        let free = |stats: PoolStats| stats.in_use < stats.capacity;
        free(self.ws_frames.stats()) && free(self.canonical_events.stats())
    }
}

impl std::fmt::Debug for Pools {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.stats()).finish()
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn the_sums_are_the_written_starting_points() {
        let capacity = Capacity::default();
        assert_eq!(
            (capacity.ws_frames, capacity.provider_raws, capacity.canonical_events),
            (200, 200, 300)
        );
    }

    #[test]
    fn there_is_room_until_either_pool_is_out() {
        let pools = Pools::new(Capacity { ws_frames: 1, provider_raws: 0, canonical_events: 1 });
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
