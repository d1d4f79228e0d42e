//! A leak on purpose, in builds for tests alone: that a soak finds it is part of the soak's proof.

use std::time::Duration;

use engine::Shard;
use model::Nanos;

/// Between two leaks.
const EVERY: Duration = Duration::from_millis(100);
/// Memory of each.
const BYTES: usize = 1_024 * 1_024;

/// Forgets a pooled event and some memory ten times a second.
#[derive(Debug, Default)]
pub(crate) struct Leak {
    next: Nanos,
}

impl Leak {
    pub(crate) fn turn(&mut self, shard: &Shard, now: Nanos) {
        if now < self.next {
            return;
        }
        self.next = now + EVERY;
        std::mem::forget(shard.pools().canonical_events.try_acquire());
        // Touched, so that it is resident.
        std::mem::forget(vec![1_u8; BYTES]);
    }
}
