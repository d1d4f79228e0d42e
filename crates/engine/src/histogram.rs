//! How long things take: a histogram of fixed size that is cheap to fill.
//!
//! Values below 8 ns have buckets of their own; above, each power of two is divided into eight, so
//! that a value is known to an eighth of itself. 280 buckets reach to 137 s; longer counts as that.

/// Buckets to each power of two, as a power of two.
const SUB_BITS: u32 = 3;
/// Values of so many bits are told apart.
const BITS_MAX: u32 = 37;
/// How many buckets there are.
const BUCKETS: usize = ((BITS_MAX - SUB_BITS + 1) << SUB_BITS) as usize;

/// Durations in ns. It takes memory (2.2 KiB) with its first value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LatencyHistogram {
    buckets: Option<Box<[u64; BUCKETS]>>,
    count: u64,
    sum_ns: u64,
    max_ns: u64,
}

impl LatencyHistogram {
    /// Counts a duration.
    #[inline]
    pub fn record(&mut self, ns: u64) {
        let buckets = self.buckets.get_or_insert_with(|| Box::new([0; BUCKETS]));
        if let Some(bucket) = buckets.get_mut(bucket_of(ns)) {
            *bucket += 1;
        }
        self.count += 1;
        self.sum_ns = self.sum_ns.saturating_add(ns);
        self.max_ns = self.max_ns.max(ns);
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// All of them together.
    #[must_use]
    pub fn sum_ns(&self) -> u64 {
        self.sum_ns
    }

    /// The longest.
    #[must_use]
    pub fn max_ns(&self) -> u64 {
        self.max_ns
    }

    /// What so many millionths of all durations do not exceed, to an eighth of it; 0 where there is
    /// none. `at(990_000)` is the 99th percentile.
    #[must_use]
    pub fn at(&self, ppm: u32) -> u64 {
        let rank = (u128::from(self.count) * u128::from(ppm)).div_ceil(1_000_000).max(1);
        let mut seen = 0;
        let found = self.buckets().find(|(_, count)| {
            seen += u128::from(*count);
            seen >= rank
        });
        found.map_or(0, |(most_ns, _)| most_ns.min(self.max_ns))
    }

    /// The buckets that hold something, in order: the longest duration that falls into each, and how
    /// many did.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let all = self.buckets.iter().flat_map(|buckets| buckets.iter().copied().enumerate());
        all.filter(|(_, count)| *count > 0).map(|(bucket, count)| (most_of(bucket), count))
    }

    /// Adds what another one counted.
    pub fn add(&mut self, other: &Self) {
        let Some(theirs) = &other.buckets else { return };
        let ours = self.buckets.get_or_insert_with(|| Box::new([0; BUCKETS]));
        ours.iter_mut().zip(theirs.iter()).for_each(|(ours, theirs)| *ours += theirs);
        self.count += other.count;
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
    }
}

#[inline]
fn bucket_of(ns: u64) -> usize {
    let ns = ns.min((1 << BITS_MAX) - 1);
    // Values below a whole power of two's worth of buckets count one by one.
    let shift = (u64::BITS - SUB_BITS).saturating_sub(ns.leading_zeros() + 1);
    let bucket = (u64::from(shift) << SUB_BITS) + (ns >> shift);
    bucket as usize
}

/// The longest duration that falls into a bucket.
fn most_of(bucket: usize) -> u64 {
    let (octave, sub) = ((bucket >> SUB_BITS) as u64, (bucket & ((1 << SUB_BITS) - 1)) as u64);
    match octave.checked_sub(1) {
        None => sub,
        Some(shift) => (((1 << SUB_BITS) + sub + 1) << shift) - 1,
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn buckets_follow_each_other_without_a_hole() {
        let mut before = 0;
        for bucket in 0..BUCKETS {
            let most = most_of(bucket);
            assert_eq!(bucket_of(most), bucket, "{most}");
            assert_eq!(bucket_of(before), bucket, "{before}");
            before = most + 1;
        }
        assert_eq!(before, 1 << BITS_MAX);
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn an_empty_one_has_nothing() {
        let histogram = LatencyHistogram::default();
        assert_eq!((histogram.at(500_000), histogram.count(), histogram.max_ns()), (0, 0, 0));
        assert_eq!(histogram.buckets().count(), 0);
    }

    proptest! {
        /// Against the sorted list of all values.
        #[test]
        fn every_quantile_is_known_to_an_eighth_of_itself(
            values in prop::collection::vec((0..38u32, any::<u64>()), 1..200),
            split in 0..200usize,
            ppm in 1..=1_000_000u32,
        ) {
            let mut values: Vec<u64> =
                values.into_iter().map(|(bits, value)| value & ((1 << bits.min(37)) - 1)).collect();
            let (mut all, mut rest) = (LatencyHistogram::default(), LatencyHistogram::default());
            for (n, value) in values.iter().enumerate() {
                if n < split { all.record(*value) } else { rest.record(*value) }
            }
            all.add(&rest);
            values.sort_unstable();
            let rank = (values.len() as u128 * u128::from(ppm)).div_ceil(1_000_000) as usize;
            let (found, exact) = (all.at(ppm), values[rank - 1]);
            prop_assert!(found >= exact && found <= exact + exact / 8, "{} for {}", found, exact);
            prop_assert_eq!(all.count(), values.len() as u64);
            prop_assert_eq!(all.max_ns(), values[values.len() - 1]);
            prop_assert_eq!(all.sum_ns(), values.iter().sum::<u64>());
            prop_assert_eq!(all.buckets().map(|(_, count)| count).sum::<u64>(), all.count());
        }
    }
}
