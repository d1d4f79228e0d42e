//! How many requests may go in how long: a sliding window over what went.

use std::collections::VecDeque;

use model::Nanos;
use model::venue::Rate;

/// Requests that went, and the rates that all of them keep. Stricter than a venue's fixed windows:
/// no span of time of any rate's length has more than that rate allows.
#[derive(Clone, Debug)]
pub struct Budget {
    rates: Vec<Rate>,
    kept: u32,
    /// As many as the largest rate counts, oldest first.
    went: VecDeque<Nanos>,
}

impl Budget {
    /// Nothing went yet; `kept` of each rate are for whoever may use them up.
    #[must_use]
    pub fn new(rates: &[Rate], kept: u32) -> Self {
        Self { rates: rates.to_vec(), kept, went: VecDeque::new() }
    }

    /// When the next may go, which is `now` where it may. `all` may use up what is kept.
    #[must_use]
    pub fn free_at(&self, all: bool, now: Nanos) -> Nanos {
        let free_at = |rate: &Rate| {
            let kept = if all { 0 } else { self.kept };
            let most = rate.count.saturating_sub(kept).max(1) as usize;
            let first = self.went.len().checked_sub(most)?;
            self.went.get(first).map(|went| *went + rate.per)
        };
        self.rates.iter().filter_map(free_at).fold(now, Nanos::max)
    }

    /// One goes; to be asked [`free_at`](Self::free_at) before.
    pub fn take(&mut self, now: Nanos) {
        let most = self.rates.iter().map(|rate| rate.count).max().unwrap_or(0) as usize;
        self.went.push_back(now);
        while self.went.len() > most {
            self.went.pop_front();
        }
    }
}
