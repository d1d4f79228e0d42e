//! Rates that are never exceeded: in no window of the given length, wherever it begins, goes more
//! than allowed. Venues count in windows of their own, whose borders we don't know.

use std::collections::VecDeque;
use std::time::Duration;

use model::Nanos;
use model::venue::Rate;

/// What was spent in the running window. Bounded: an entry is at least one unit, and units are
/// limited; corrections merge with the newest entry of the same moment.
#[derive(Clone, Debug)]
pub(super) struct Pacer {
    limit: u32,
    /// What is kept back of the rate, beside the limit.
    kept: u32,
    per: Duration,
    spent: u32,
    entries: VecDeque<(Nanos, u32)>,
}

impl Pacer {
    /// Allows `rate` less `reserve` (but at least one unit).
    pub(super) fn new(rate: Rate, reserve: u32) -> Self {
        let limit = rate.count.saturating_sub(reserve).max(1);
        let kept = rate.count.saturating_sub(limit);
        Self { limit, kept, per: rate.per, spent: 0, entries: VecDeque::new() }
    }

    /// How much can be spent at all in a window.
    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    /// How much was spent in the window that ends now.
    pub(super) fn spent(&mut self, now: Nanos) -> u32 {
        self.forget(now);
        self.spent
    }

    /// When `units` may be spent: at `now`, or later. More than the limit: when all is free.
    pub(super) fn ready_at(&self, units: u32, now: Nanos) -> Nanos {
        let mut left = self.spent;
        let mut at = now;
        for &(when, spent) in &self.entries {
            let freed_at = when + self.per;
            if freed_at > now {
                if left.saturating_add(units) <= self.limit {
                    break;
                }
                at = freed_at;
            }
            left = left.saturating_sub(spent);
        }
        at
    }

    /// Spends `units` if they are there now.
    pub(super) fn take(&mut self, units: u32, now: Nanos) -> bool {
        self.forget(now);
        let ready = self.spent.saturating_add(units) <= self.limit;
        if ready {
            self.spend(units, now);
        }
        ready
    }

    /// Spends `units` if they are there now, with what is kept back.
    pub(super) fn take_kept(&mut self, units: u32, now: Nanos) -> bool {
        self.forget(now);
        let all = self.limit.saturating_add(self.kept);
        let ready = self.spent.saturating_add(units) <= all;
        if ready {
            self.spend(units, now);
        }
        ready
    }

    /// Notes what was spent without asking: by the far end's demand, or by somebody else.
    pub(super) fn spend(&mut self, units: u32, now: Nanos) {
        if units == 0 {
            return;
        }
        self.spent = self.spent.saturating_add(units);
        let full = self.entries.len() > self.limit as usize;
        match self.entries.back_mut() {
            Some((when, spent)) if *when == now || full => {
                // Merging into the newest only ever keeps units longer than needed.
                *when = now;
                *spent = spent.saturating_add(units);
            }
            _ => self.entries.push_back((now, units)),
        }
    }

    fn forget(&mut self, now: Nanos) {
        while let Some(&(when, spent)) = self.entries.front() {
            if when + self.per > now {
                break;
            }
            self.spent = self.spent.saturating_sub(spent);
            self.entries.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { count: 5, per: Duration::from_secs(1) };

    fn ms(ms: u64) -> Nanos {
        Nanos::from_millis(ms)
    }

    #[test]
    fn a_window_is_exhausted_and_frees_itself() {
        let mut pacer = Pacer::new(RATE, 0);
        for at in [0, 100, 200, 300, 400] {
            assert!(pacer.take(1, ms(at)));
        }
        assert!(!pacer.take(1, ms(500)));
        assert_eq!(pacer.ready_at(1, ms(500)), ms(1_000));
        assert_eq!(pacer.ready_at(2, ms(500)), ms(1_100));
        assert!(!pacer.take(1, ms(999)));
        assert!(pacer.take(1, ms(1_000)));
        assert!(!pacer.take(1, ms(1_099)));
    }

    #[test]
    fn what_others_spend_counts_and_memory_is_bounded() {
        let mut pacer = Pacer::new(RATE, 1);
        assert_eq!(pacer.limit(), 4);
        for at in 0..10_000 {
            pacer.spend(1, Nanos(at));
        }
        assert!(pacer.entries.len() <= 6);
        assert_eq!(pacer.spent(Nanos(10_000)), 10_000);
        assert!(!pacer.take(1, ms(999)));
        assert_eq!(pacer.spent(ms(1_001)), 0);
    }

    #[test]
    fn more_than_the_limit_is_never_granted() {
        let mut pacer = Pacer::new(RATE, 0);
        assert!(!pacer.take(6, ms(0)));
        assert!(pacer.take(5, ms(0)));
    }
}
