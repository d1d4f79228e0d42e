//! Fair share: how many events a second each consumer gets of a budget, and each stream of a consumer.
//!
//! Over each second it is counted what everyone would have got. For the next one, of `n` who wanted
//! anything, each may have a quarter of what it wanted, or the budget's `n`th part, whichever is more:
//! its share is that, or all that it wants where that is less. Shares that come to more than the
//! budget are scaled down, all alike, and that is reported. Within a consumer the same rule divides
//! its share among its streams.
//!
//! A share is a rate: tokens come in ten times a second, and an event of market data takes one of its
//! stream's and one of its consumer's. What finds none waits, and is conflated by the policies of
//! [`queue`](crate::queue). What is critical takes no token.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use model::Nanos;

use crate::books::Lane;

/// Demand is counted over so long, and shares hold for so long.
pub const WINDOW: Duration = Duration::from_secs(1);

/// Tokens come in so often.
pub const REFILL: Duration = Duration::from_millis(100);

/// Refills in a window.
const REFILLS: u64 = 10;

/// A bucket holds what so many refills bring: a batch may be late by one.
const BURST: u64 = 2;

/// A token in the parts that a bucket counts: rates are not multiples of the refills.
const TOKEN: u64 = REFILLS;

/// Divides a budget among demands, in events of one window: by the rule above, what each may have, and
/// whether the shares had to be scaled. Whoever demands nothing may have the `n`th part too, so that
/// it can begin.
pub fn divide(budget: u64, demands: &[u64]) -> (Vec<u64>, bool) {
    let active = demands.iter().filter(|demand| **demand > 0).count().max(1) as u64;
    let part = budget / active;
    let limit = |demand: &u64| demand.div_ceil(4).max(part);
    let wanted: u64 = demands.iter().map(|demand| limit(demand).min(*demand)).sum();
    if wanted <= budget {
        return (demands.iter().map(limit).collect(), false);
    }
    let scaled = |demand: &u64| {
        let share = if *demand == 0 { part } else { limit(demand).min(*demand) };
        let scaled = u128::from(share) * u128::from(budget) / u128::from(wanted);
        u64::try_from(scaled).unwrap_or(u64::MAX)
    };
    (demands.iter().map(scaled).collect(), true)
}

/// What may be had of one rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bucket {
    /// Wanted in this window.
    demand: u64,
    /// Events in a window.
    rate: u64,
    /// In parts of [`TOKEN`].
    parts: u64,
}

impl Bucket {
    fn full(rate: u64) -> Self {
        Self { demand: 0, rate, parts: Self::most(rate) }
    }

    /// One event and a refill fit, however low the rate: what is left of a refill is not lost.
    fn most(rate: u64) -> u64 {
        (rate * BURST).max(rate + TOKEN)
    }

    /// A window has [`REFILLS`] refills and an event as many parts: a refill brings as many parts as a
    /// window brings events.
    fn refill(&mut self, refills: u64) {
        let brought = self.rate.saturating_mul(refills);
        self.parts = self.parts.saturating_add(brought).min(Self::most(self.rate));
    }

    fn has_one(&self) -> bool {
        self.parts >= TOKEN
    }
}

/// One consumer's tokens.
#[derive(Debug)]
pub(crate) struct Tokens {
    whole: Bucket,
    /// By lane.
    streams: Vec<Option<Bucket>>,
    /// Lanes that have a bucket.
    used: BTreeSet<Lane>,
}

impl Tokens {
    /// For a consumer that begins with that share.
    pub(crate) fn new(rate: u64) -> Self {
        Self { whole: Bucket::full(rate), streams: Vec::new(), used: BTreeSet::new() }
    }

    /// Counts an event that the consumer is to get.
    pub(crate) fn want(&mut self, lane: Lane) {
        self.whole.demand += 1;
        self.stream(lane).demand += 1;
    }

    /// Whether there is a token for an event of that lane.
    pub(crate) fn has(&self, lane: Lane) -> bool {
        let stream = self.streams.get(lane.index()).and_then(Option::as_ref);
        self.whole.has_one() && stream.is_none_or(Bucket::has_one)
    }

    /// Takes it.
    pub(crate) fn take(&mut self, lane: Lane) {
        self.whole.parts = self.whole.parts.saturating_sub(TOKEN);
        let stream = self.stream(lane);
        stream.parts = stream.parts.saturating_sub(TOKEN);
    }

    /// Demand of the window, which ends.
    pub(crate) fn demand(&self) -> u64 {
        self.whole.demand
    }

    /// Begins a window with that share, divided among the streams that wanted anything.
    pub(crate) fn begin(&mut self, rate: u64) {
        (self.whole.rate, self.whole.demand) = (rate, 0);
        let used = std::mem::take(&mut self.used);
        let demand = |lane: &Lane| {
            self.streams
                .get(lane.index())
                .and_then(Option::as_ref)
                .map_or(0, |bucket| bucket.demand)
        };
        let demands: Vec<u64> = used.iter().map(demand).collect();
        let (rates, _) = divide(rate, &demands);
        for ((lane, demand), rate) in used.into_iter().zip(demands).zip(rates) {
            let Some(place) = self.streams.get_mut(lane.index()) else { continue };
            if demand == 0 {
                // It begins anew when it wants something again.
                *place = None;
            } else if let Some(bucket) = place {
                (bucket.rate, bucket.demand) = (rate, 0);
                self.used.insert(lane);
            }
        }
    }

    pub(crate) fn refill(&mut self, refills: u64) {
        self.whole.refill(refills);
        for lane in &self.used {
            if let Some(Some(bucket)) = self.streams.get_mut(lane.index()) {
                bucket.refill(refills);
            }
        }
    }

    /// A stream that is new in this window has an equal part of the share for the time being.
    fn stream(&mut self, lane: Lane) -> &mut Bucket {
        if self.streams.len() <= lane.index() {
            self.streams.resize(lane.index() + 1, None);
        }
        let (used, whole) = (&mut self.used, self.whole.rate);
        self.streams[lane.index()].get_or_insert_with(|| {
            used.insert(lane);
            Bucket::full(whole / used.len() as u64)
        })
    }
}

/// When windows and refills begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) budget: NonZeroU32,
    refill_at: Nanos,
    window_at: Nanos,
    /// Windows in which the shares came to more than the budget.
    pub(crate) scaled: u64,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) refills: u64,
    pub(crate) window: bool,
}

impl Pace {
    pub(crate) fn new(budget: NonZeroU32, now: Nanos) -> Self {
        Self { budget, refill_at: now + REFILL, window_at: now + WINDOW, scaled: 0 }
    }

    /// What is due at `now`, which then is done.
    pub(crate) fn due(&mut self, now: Nanos) -> Option<Due> {
        if now < self.refill_at {
            return None;
        }
        let step = REFILL.as_nanos() as u64;
        let refills = 1 + now.0.saturating_sub(self.refill_at.0) / step;
        self.refill_at = Nanos(self.refill_at.0.saturating_add(refills.saturating_mul(step)));
        let window = now >= self.window_at;
        if window {
            self.window_at = now + WINDOW;
        }
        Some(Due { refills, window })
    }

    /// When the next tokens come.
    pub(crate) fn refill_at(&self) -> Nanos {
        self.refill_at
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
