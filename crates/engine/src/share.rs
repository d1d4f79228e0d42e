//! Fair share: how many events a second each consumer gets of a budget, and each stream of a consumer.
//!
//! Over each second it is counted what everyone would have got. For the next one, of `n` who wanted
//! anything, each may have a quarter of what it wanted, or the budget's `n`th part, whichever is more:
//! its share is that, or all that it wants where that is less. Shares that come to more than the
//! budget are scaled down, all alike, and that is reported. Within a consumer a stream may have as much
//! as leaves the others what they want, or as much: its share is used up, and no stream uses it up alone.
//!
//! A share is a rate: tokens come in ten times a second, and an event of market data takes one of its
//! stream's and one of its consumer's. What finds none waits, and is conflated by the policies of
//! [`queue`](crate::queue). What is critical takes no token.
//!
//! Shares are counted in thousandths of an event: where a hundred streams share fifty events a second,
//! each has one every other second, and none has nothing for ever.

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

/// Rates are in so many parts of an event a window.
pub const EVENT: u64 = 1_000;

/// An event's token, in what a bucket counts: a refill brings as many as its rate has parts.
const TOKEN: u64 = EVENT * REFILLS;

/// Divides a budget among demands, all in the same unit: by the rule above, what each may have, and
/// whether the shares had to be scaled. Whoever demands nothing may have an equal part, so that it can
/// begin.
pub fn divide(budget: u64, demands: &[u64]) -> (Vec<u64>, bool) {
    let active = demands.iter().filter(|demand| **demand > 0).count().max(1) as u64;
    let (part, begins) = (budget / active, budget / demands.len().max(1) as u64);
    let limit = |demand: u64| if demand == 0 { begins } else { demand.div_ceil(4).max(part) };
    let wanted: u64 = demands.iter().map(|demand| limit(*demand).min(*demand)).sum();
    if wanted <= budget {
        return (demands.iter().map(|demand| limit(*demand)).collect(), false);
    }
    let scaled = |demand: &u64| {
        let share = if *demand == 0 { begins } else { limit(*demand).min(*demand) };
        let scaled = u128::from(share) * u128::from(budget) / u128::from(wanted);
        u64::try_from(scaled).unwrap_or(u64::MAX)
    };
    (demands.iter().map(scaled).collect(), true)
}

/// The most that each of a consumer's streams may have so that together they have all of its share:
/// what is left by those who want less is parted among the rest.
pub fn level(share: u64, mut demands: Vec<u64>) -> u64 {
    demands.sort_unstable();
    let (mut left, mut level) = (share, share);
    for (demand, more) in demands.iter().zip((1..=demands.len() as u64).rev()) {
        level = left / more;
        if *demand > level {
            break;
        }
        left -= demand;
    }
    level
}

/// What may be had of one rate, in parts of which an event takes a [`TOKEN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bucket {
    there: u64,
    /// Events wanted in this window.
    demand: u64,
}

impl Bucket {
    fn full(rate: u64) -> Self {
        Self { there: Self::most(rate), demand: 0 }
    }

    /// One event and a refill fit, however low the rate: what is left of a refill is not lost.
    fn most(rate: u64) -> u64 {
        (rate * BURST).max(rate + TOKEN)
    }

    fn refill(&mut self, rate: u64, refills: u64) {
        let brought = rate.saturating_mul(refills);
        self.there = self.there.saturating_add(brought).min(Self::most(rate));
    }

    fn has_one(&self) -> bool {
        self.there >= TOKEN
    }

    fn take_one(&mut self) {
        self.there = self.there.saturating_sub(TOKEN);
    }
}

/// One consumer's tokens. Rates are in parts of an [`EVENT`] a window.
#[derive(Debug)]
pub(crate) struct Tokens {
    whole: Bucket,
    rate: u64,
    /// By lane.
    streams: Vec<Option<Bucket>>,
    /// Of each stream.
    stream_rate: u64,
    /// Lanes that have a bucket: those that wanted anything in this window or the last.
    used: BTreeSet<Lane>,
}

impl Tokens {
    /// For a consumer that begins with that share.
    pub(crate) fn new(rate: u64) -> Self {
        let (streams, used) = (Vec::new(), BTreeSet::new());
        Self { whole: Bucket::full(rate), rate, streams, stream_rate: rate, used }
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
        self.whole.take_one();
        self.stream(lane).take_one();
    }

    /// Events wanted in the window so far.
    pub(crate) fn demand(&self) -> u64 {
        self.whole.demand
    }

    /// Begins a window with that share. A stream that wanted nothing begins anew when it does again.
    pub(crate) fn begin(&mut self, rate: u64) {
        (self.rate, self.whole.demand) = (rate, 0);
        let mut demands = Vec::with_capacity(self.used.len());
        self.used.retain(|lane| {
            let Some(place) = self.streams.get_mut(lane.index()) else { return false };
            let demand = place.as_mut().map_or(0, |bucket| std::mem::take(&mut bucket.demand));
            if demand == 0 {
                *place = None;
            } else {
                demands.push(demand * EVENT);
            }
            demand > 0
        });
        self.stream_rate = level(rate, demands);
    }

    pub(crate) fn refill(&mut self, refills: u64) {
        self.whole.refill(self.rate, refills);
        for lane in &self.used {
            if let Some(Some(bucket)) = self.streams.get_mut(lane.index()) {
                bucket.refill(self.stream_rate, refills);
            }
        }
    }

    fn stream(&mut self, lane: Lane) -> &mut Bucket {
        if self.streams.len() <= lane.index() {
            self.streams.resize(lane.index() + 1, None);
        }
        let (used, rate) = (&mut self.used, self.stream_rate);
        self.streams[lane.index()].get_or_insert_with(|| {
            used.insert(lane);
            Bucket::full(rate)
        })
    }
}

/// When windows and refills begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    budget: NonZeroU32,
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

    /// What all may have, in parts of an [`EVENT`] a window.
    pub(crate) fn budget(&self) -> u64 {
        u64::from(self.budget.get()) * EVENT
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
            // Windows begin with refills: one that is noticed late does not make the next one longer.
            self.window_at = Nanos(self.refill_at.0.saturating_sub(step)) + WINDOW;
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
