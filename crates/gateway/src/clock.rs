//! The one place where the machine is asked what time it is.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use model::Nanos;

/// Wall time at the start, carried on by the monotonic clock: stamps are comparable with a venue's
/// and never go backwards.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    epoch: Nanos,
    anchor: Instant,
}

impl SystemClock {
    /// Anchored now.
    #[must_use]
    pub fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { epoch: Nanos::default() + since_epoch, anchor: Instant::now() }
    }

    /// Nanoseconds since the Unix epoch.
    #[must_use]
    pub fn now(&self) -> Nanos {
        self.epoch + self.anchor.elapsed()
    }
}

impl net::Clock for SystemClock {
    fn now(&self) -> Nanos {
        Self::now(self)
    }
}
