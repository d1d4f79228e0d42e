//! A bucket of tokens: full at first, filled steadily, one taken for each request.

use std::time::Duration;

use model::Nanos;

/// What is left of an allowance.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    max: u32,
    /// One more token after each.
    every: Duration,
    /// When it is full again, if nobody takes anything before.
    full_at: Nanos,
}

impl Bucket {
    /// A full one, of `max` tokens.
    #[must_use]
    pub fn new(max: u32, every: Duration) -> Self {
        Self { max, every, full_at: Nanos(0) }
    }

    /// Takes a token; `false` where none is left, and nothing has changed then.
    pub fn take(&mut self, now: Nanos) -> bool {
        let full_at = self.full_at.max(now) + self.every;
        let is_there = full_at.since(now) <= self.every * self.max;
        if is_there {
            self.full_at = full_at;
        }
        is_there
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVERY: Duration = Duration::from_millis(100);

    proptest! {
        #[test]
        fn a_bucket_is_one_that_is_counted_by_hand(
            max in 1_u32..20,
            waits in prop::collection::vec(0_u64..400, 1..200),
        ) {
            let mut bucket = Bucket::new(max, EVERY);
            let (mut now, mut tokens_ms) = (Nanos(1_790_000_000_000_000_000), u64::from(max) * 100);
            for wait_ms in waits {
                now = now + Duration::from_millis(wait_ms);
                tokens_ms = (tokens_ms + wait_ms).min(u64::from(max) * 100);
                let expected = tokens_ms >= 100;
                tokens_ms -= if expected { 100 } else { 0 };
                prop_assert_eq!(bucket.take(now), expected);
            }
        }
    }
}
