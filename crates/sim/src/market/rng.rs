//! The market's own dice: splitmix64, so that a seed is a run.

use std::time::Duration;

/// A generator of numbers; the same seed gives the same row on every machine.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The generator of a seed; `stream` tells apart the generators of one run.
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut rng = Self(seed ^ stream.wrapping_mul(0xa24b_aed4_963e_e407));
        rng.next_u64();
        rng
    }

    /// The next number (Steele, Lea and Flood, "Fast splittable pseudorandom number generators").
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`; 0 where that is 0. The high half of a product has no bias that
    /// would show.
    pub fn below(&mut self, limit: u64) -> u64 {
        #[expect(clippy::cast_possible_truncation, reason = "the high half of 128 bits")]
        let high = ((u128::from(self.next_u64()) * u128::from(limit)) >> 64) as u64;
        high
    }

    /// Whether a thing happens that happens once in `n` times; never where `n` is 0.
    pub fn one_in(&mut self, n: u32) -> bool {
        n != 0 && self.below(u64::from(n)) == 0
    }

    /// A small number mostly, one up to `1 << doublings` now and then.
    pub fn skewed(&mut self, doublings: u64) -> u64 {
        let limit = 1 << self.below(doublings + 1).min(62);
        self.below(limit)
    }

    /// A duration around `mean`: from half of it to one and a half.
    pub fn around(&mut self, mean: Duration) -> Duration {
        let mean_ns = u64::try_from(mean.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos((mean_ns / 2).saturating_add(self.below(mean_ns)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_seeds_and_streams_differ() {
        let row = |seed, stream| {
            let mut rng = Rng::new(seed, stream);
            (0..8).map(|_| rng.next_u64()).collect::<Vec<_>>()
        };
        assert_eq!(row(1, 0), row(1, 0));
        assert_ne!(row(1, 0), row(2, 0));
        assert_ne!(row(1, 0), row(1, 1));
    }

    #[test]
    fn draws_stay_in_range_and_reach_all_of_it() {
        let mut rng = Rng::new(7, 0);
        let mut seen = [false; 5];
        (0..200).for_each(|_| seen[usize::try_from(rng.below(5)).unwrap()] = true);
        assert_eq!(seen, [true; 5]);
        assert_eq!(rng.below(0), 0);
        assert!((0..500).all(|_| rng.skewed(6) < 64));
        assert!((0..500).any(|_| rng.skewed(6) > 32));
        assert!(!rng.one_in(0) && rng.one_in(1));
        let mean = Duration::from_millis(10);
        let drawn: Vec<_> = (0..500).map(|_| rng.around(mean)).collect();
        assert!(drawn.iter().all(|d| *d >= mean / 2 && *d < mean * 3 / 2));
    }
}
