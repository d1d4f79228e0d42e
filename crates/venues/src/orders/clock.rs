//! How far a venue's clock is from ours: venues refuse what was signed too long ago, or in their
//! future.

use std::time::Duration;

use model::Nanos;

/// How often it is measured.
const EVERY: Duration = Duration::from_secs(5 * 60);
/// How soon again where there was no answer, or none of use.
const AGAIN: Duration = Duration::from_secs(1);
/// An answer that took longer says too little.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(2);

/// The venue's clock, as far as it is known.
#[derive(Debug, Default)]
pub struct Clock {
    /// The venue's time less ours, in ms.
    ahead_ms: Option<i64>,
    /// When it is to be asked for; `None` while it is being asked for.
    due: Option<Nanos>,
}

impl Clock {
    /// Not known yet, and asked for at once.
    #[must_use]
    pub fn new() -> Self {
        Self { ahead_ms: None, due: Some(Nanos(0)) }
    }

    /// The venue's time in ms; `None` before the first answer.
    #[must_use]
    pub fn millis(&self, now: Nanos) -> Option<u64> {
        let ours = now.0 / 1_000_000;
        self.ahead_ms.map(|ahead| ours.saturating_add_signed(ahead))
    }

    /// When it is to be asked for.
    #[must_use]
    pub fn due(&self) -> Option<Nanos> {
        self.due
    }

    /// It is being asked for.
    pub fn asked(&mut self) {
        self.due = None;
    }

    /// The venue said `server_ms` somewhere between two of our times. Whether that is of use.
    pub fn answered(&mut self, asked: Nanos, server_ms: u64, now: Nanos) -> bool {
        let took = now.since(asked);
        if took > ROUND_TRIP_MAX {
            self.failed(now);
            return false;
        }
        let ours = (asked + took / 2).0 / 1_000_000;
        let ahead = i128::from(server_ms) - i128::from(ours);
        self.ahead_ms = i64::try_from(ahead).ok();
        self.due = Some(now + EVERY);
        self.ahead_ms.is_some()
    }

    /// There was no answer of use. What is known stays in use.
    pub fn failed(&mut self, now: Nanos) {
        self.due = Some(now + AGAIN);
    }

    /// The venue says that our times are wrong: it is measured at once, unless it is being measured.
    pub fn doubt(&mut self, now: Nanos) {
        self.due = self.due.map(|due| due.min(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_the_round_trip_is_taken_off_and_slow_answers_are_not_believed() {
        let at = |ms: u64| Nanos::from_millis(1_700_000_000_000 + ms);
        let mut clock = Clock::new();
        assert_eq!(clock.millis(at(0)), None);
        clock.asked();
        assert_eq!(clock.due(), None);
        assert!(clock.answered(at(0), 1_700_000_000_250, at(100)));
        assert_eq!(clock.millis(at(100)), Some(1_700_000_000_300));
        assert_eq!(clock.due(), Some(at(100) + EVERY));
        clock.doubt(at(500));
        assert_eq!(clock.due(), Some(at(500)));
        clock.asked();
        clock.doubt(at(600));
        assert_eq!(clock.due(), None);
        assert!(!clock.answered(at(600), 0, at(4_000)));
        assert_eq!(clock.due(), Some(at(5_000)));
        assert_eq!(clock.millis(at(100)), Some(1_700_000_000_300));
    }

    #[test]
    fn a_venue_behind_us_and_nonsense_do_no_harm() {
        let mut clock = Clock::new();
        assert!(clock.answered(Nanos::from_millis(900), 500, Nanos::from_millis(900)));
        assert_eq!(clock.millis(Nanos::from_millis(1_000)), Some(600));
        assert_eq!(clock.millis(Nanos(0)), Some(0));
        assert!(!clock.answered(Nanos(0), u64::MAX, Nanos(0)));
    }
}
