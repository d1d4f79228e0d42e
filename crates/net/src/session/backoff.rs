//! How long to wait before trying again: exponential, with full jitter, so that clients that fell
//! off together do not come back together.

use std::time::Duration;

use crate::rng::Rng;

/// The first wait is at most this long.
pub const BACKOFF_BASE: Duration = Duration::from_millis(250);
/// No wait is longer than this.
pub const BACKOFF_CAP: Duration = Duration::from_secs(30);

/// So many failures in a row count where connections were made and carried data: 4 s at most.
const EASED_MAX: u32 = 4;

/// Counts failures in a row.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The longest that the next wait can be.
    fn ceiling(self) -> Duration {
        let factor = 1_u32.checked_shl(self.failures.min(16)).unwrap_or(u32::MAX);
        BACKOFF_BASE.saturating_mul(factor).min(BACKOFF_CAP)
    }

    /// Draws the next wait, from zero to the ceiling, and raises the ceiling.
    pub(super) fn next(&mut self, rng: &mut Rng) -> Duration {
        let wait = rng.up_to(self.ceiling());
        self.failures = self.failures.saturating_add(1);
        wait
    }

    /// The venue was there and spoke, if only for a moment: it is not to be waited for as long as
    /// one that refuses.
    pub(super) fn ease(&mut self) {
        self.failures = self.failures.min(EASED_MAX);
    }

    /// All is well again.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_start_over_after_a_success() {
        let mut backoff = Backoff::default();
        let mut ceilings = Vec::new();
        for _ in 0..10 {
            ceilings.push(backoff.ceiling().as_millis());
            backoff.next(&mut Rng::new(1));
        }
        assert_eq!(
            ceilings,
            [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]
        );
        for _ in 0..100 {
            backoff.next(&mut Rng::new(1));
        }
        assert_eq!(backoff.ceiling(), BACKOFF_CAP);
        backoff.ease();
        assert_eq!(backoff.ceiling(), Duration::from_secs(4));
        backoff.reset();
        backoff.ease();
        assert_eq!(backoff.ceiling(), BACKOFF_BASE, "what is less stays");
    }

    #[test]
    fn waits_stay_below_the_ceiling_and_differ_by_seed() {
        let row = |seed| {
            let (mut backoff, mut rng) = (Backoff::default(), Rng::new(seed));
            (0..40)
                .map(|_| {
                    let ceiling = backoff.ceiling();
                    let wait = backoff.next(&mut rng);
                    assert!(wait <= ceiling, "{wait:?} > {ceiling:?}");
                    wait
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(row(1), row(1));
        assert_ne!(row(1), row(2));
    }
}
