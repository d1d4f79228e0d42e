//! How often may be asked.
//!
//! "The public endpoints are rate limited by IP address and currency pair for calls to Trades and OHLC, and
//! by IP address only for calls to all other public endpoints. Calling the public endpoints at a frequency
//! of 1 per second (or less) would remain within the rate limits" (support.kraken.com, "What are the API
//! rate limits?"). How many more are borne for a moment is written nowhere: [`BURST`] is ours.

use std::collections::BTreeMap;
use std::time::Duration;

use model::Nanos;

use super::errors::TOO_OFTEN;
use crate::bucket::Bucket;
use crate::market::order::Index;

const EVERY: Duration = Duration::from_secs(1);
const BURST: u32 = 5;

/// What is counted alone: a path for a pair, or all the rest.
pub(super) type Counted = Option<(&'static str, Index)>;

/// What was asked. All clients of a simulator count as one address; at most two buckets an instrument.
#[derive(Debug, Default)]
pub(super) struct Limits {
    buckets: BTreeMap<Counted, Bucket>,
}

impl Limits {
    /// Counts a request, where there is room for it.
    pub(super) fn take(&mut self, now: Nanos, counted: Counted) -> Result<(), &'static str> {
        let bucket = self.buckets.entry(counted).or_insert_with(|| Bucket::new(BURST, EVERY));
        bucket.take(now).then_some(()).ok_or(TOO_OFTEN)
    }
}
