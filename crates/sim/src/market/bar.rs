//! How long candles are, and when they begin.

use model::Nanos;

use crate::digits::civil;

const MINUTE_NS: u64 = 60_000_000_000;
const DAY_NS: u64 = 24 * 60 * MINUTE_NS;
/// The epoch was a Thursday: so many days after a Monday.
const EPOCH_DAYS: u64 = 3;

/// A length of candles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    every: Every,
    /// How far the clock that days begin by is ahead of UTC.
    ahead_ns: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Every {
    /// So many minutes, counted from the epoch on.
    Minutes(u64),
    /// Weeks, from Monday on.
    Week,
    /// So many months of a year.
    Months(u64),
}

impl Bar {
    /// A week, from Monday on.
    pub const WEEK: Self = Self { every: Every::Week, ahead_ns: 0 };

    /// So many minutes, counted from the epoch on.
    #[must_use]
    pub const fn minutes(count: u64) -> Self {
        Self { every: Every::Minutes(count), ahead_ns: 0 }
    }

    /// So many days, counted from the epoch on.
    #[must_use]
    pub const fn days(count: u64) -> Self {
        Self::minutes(count * 1_440)
    }

    /// So many months of a year.
    #[must_use]
    pub const fn months(count: u64) -> Self {
        Self { every: Every::Months(count), ahead_ns: 0 }
    }

    /// The same by a clock that is so many hours ahead of UTC.
    #[must_use]
    pub const fn ahead(self, hours: u64) -> Self {
        Self { ahead_ns: hours * 60 * MINUTE_NS, ..self }
    }

    /// When the candle of a time begins.
    #[must_use]
    pub fn begin(self, at: Nanos) -> Nanos {
        let local = at.0 + self.ahead_ns;
        let begin = match self.every {
            Every::Minutes(count) => {
                let length = count.max(1) * MINUTE_NS;
                local / length * length
            }
            Every::Week => {
                let since_monday = (local / DAY_NS + EPOCH_DAYS) % 7;
                (local / DAY_NS).saturating_sub(since_monday) * DAY_NS
            }
            Every::Months(count) => month(local, count),
        };
        Nanos(begin.saturating_sub(self.ahead_ns))
    }

    /// When the next candle begins after the one that begins then.
    #[must_use]
    pub fn end(self, begin: Nanos) -> Nanos {
        match self.every {
            Every::Minutes(count) => Nanos(begin.0 + count.max(1) * MINUTE_NS),
            Every::Week => Nanos(begin.0 + 7 * DAY_NS),
            // A day in the month that follows, whatever the months before are like.
            Every::Months(count) => self.begin(Nanos(begin.0 + (31 * count + 1) * DAY_NS)),
        }
    }
}

impl From<u64> for Bar {
    fn from(minutes: u64) -> Self {
        Self::minutes(minutes)
    }
}

/// When so many months begin that a time is in.
fn month(at_ns: u64, count: u64) -> u64 {
    let mut at_ns = at_ns;
    loop {
        let ([_, month, day, ..], _) = civil(Nanos(at_ns));
        let begin = (at_ns / DAY_NS).saturating_sub(day - 1) * DAY_NS;
        if count == 0 || (month - 1).is_multiple_of(count) {
            return begin;
        }
        at_ns = begin.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digits::{rfc3339, seconds_of};

    fn at(text: &str) -> Nanos {
        Nanos(seconds_of(text).unwrap() * 1_000_000_000)
    }

    #[test]
    fn candles_begin_with_the_minute_day_week_and_month_of_their_clock() {
        // A Tuesday.
        let now = at("2026-11-24T17:31:40Z");
        for (bar, begin, end) in [
            (Bar::minutes(5), "2026-11-24T17:30:00Z", "2026-11-24T17:35:00Z"),
            (Bar::minutes(360), "2026-11-24T12:00:00Z", "2026-11-24T18:00:00Z"),
            (Bar::minutes(360).ahead(8), "2026-11-24T16:00:00Z", "2026-11-24T22:00:00Z"),
            (Bar::days(1), "2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z"),
            (Bar::days(1).ahead(8), "2026-11-24T16:00:00Z", "2026-11-25T16:00:00Z"),
            (Bar::WEEK, "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"),
            (Bar::WEEK.ahead(8), "2026-11-22T16:00:00Z", "2026-11-29T16:00:00Z"),
            (Bar::months(1), "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
            (Bar::months(1).ahead(8), "2026-10-31T16:00:00Z", "2026-11-30T16:00:00Z"),
            (Bar::months(3), "2026-10-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ] {
            let told = (rfc3339(bar.begin(now), 0), rfc3339(bar.end(bar.begin(now)), 0));
            assert_eq!(told, (begin.to_owned(), end.to_owned()), "{bar:?}");
        }
    }

    #[test]
    fn each_candle_ends_where_the_next_begins() {
        for bar in [Bar::minutes(7), Bar::WEEK.ahead(8), Bar::months(1), Bar::months(3).ahead(8)] {
            let mut begin = bar.begin(at("2027-12-25T00:00:00Z"));
            for _ in 0..30 {
                let end = bar.end(begin);
                assert_eq!(bar.begin(Nanos(end.0 - 1)), begin, "{bar:?}");
                assert_eq!(bar.begin(end), end, "{bar:?}");
                begin = end;
            }
        }
    }
}
