//! Limits: weight a minute, messages a second, how long a connection lives.
//!
//! All clients of a simulator count as one address. Whoever goes on asking after 429 is banned with
//! 418, and `Retry-After` says for how long.
//! <https://github.com/binance/binance-spot-api-docs/blob/master/rest-api.md#ip-limits>

use std::time::Duration;

use model::Nanos;
use serde_json::{Value, json};

use super::errors::{Failure, Wrong};
use crate::faults::Trouble;
use crate::machine::Reply;

const MINUTE_NS: u64 = 60_000_000_000;
/// After so many requests that were answered with 429 comes the ban.
const WARNINGS_MAX: u32 = 10;
/// A first ban lasts so long.
const BAN: Duration = Duration::from_secs(120);

/// What an address has used of its weight.
#[derive(Clone, Debug)]
pub struct Weight {
    max: u32,
    minute: u64,
    used: u32,
    warnings: u32,
    banned_until: Nanos,
}

impl Weight {
    /// Nothing is used yet.
    #[must_use]
    pub fn new(max: u32) -> Self {
        Self { max, minute: 0, used: 0, warnings: 0, banned_until: Nanos(0) }
    }

    /// Takes a request's weight.
    ///
    /// # Errors
    /// What is said then.
    pub fn take(&mut self, now: Nanos, weight: u32) -> Result<(), Failure> {
        let minute = now.0 / MINUTE_NS;
        if minute != self.minute {
            (self.minute, self.used, self.warnings) = (minute, 0, 0);
        }
        if now < self.banned_until {
            return Err(self.banned());
        }
        if self.used.saturating_add(weight) <= self.max {
            self.used += weight;
            return Ok(());
        }
        self.warnings += 1;
        if self.warnings > WARNINGS_MAX {
            self.banned_until = now + BAN;
            return Err(self.banned());
        }
        Err(until(Nanos((minute + 1) * MINUTE_NS), Wrong::Weight(self.max)))
    }

    fn banned(&self) -> Failure {
        until(self.banned_until, Wrong::Banned(self.banned_until.0 / 1_000_000))
    }

    /// What was used in this minute.
    #[must_use]
    pub fn used(&self) -> u32 {
        self.used
    }

    /// The answer to a request that is turned away whatever it asks for.
    #[must_use]
    pub fn turn_away(&self, now: Nanos, why: Trouble) -> Reply {
        match why {
            Trouble::Unavailable => Wrong::Overloaded.reply(),
            Trouble::TooOften(wait) => refusal(now, &until(now + wait, Wrong::Weight(self.max))),
            Trouble::Banned(wait) => {
                refusal(now, &until(now + wait, Wrong::Banned((now + wait).0 / 1_000_000)))
            }
        }
    }
}

fn until(at: Nanos, wrong: Wrong<'_>) -> Failure {
    Failure { retry_at: Some(at), ..wrong.failure() }
}

/// The answer by REST, which says in a header how long to wait.
pub fn refusal(now: Nanos, failure: &Failure) -> Reply {
    let mut reply = failure.reply();
    if let Some(at) = failure.retry_at {
        let seconds = at.since(now).as_millis().div_ceil(1_000).max(1);
        reply.headers.push(("retry-after".to_owned(), seconds.to_string()));
    }
    reply
}

/// What a connection has sent in this second.
#[derive(Clone, Copy, Debug, Default)]
pub struct Talk {
    second: u64,
    messages: u32,
}

impl Talk {
    /// Counts a message; whether it is one too many.
    pub fn is_too_much(&mut self, now: Nanos, max: u32) -> bool {
        let second = now.0 / 1_000_000_000;
        if second != self.second {
            *self = Self { second, messages: 0 };
        }
        self.messages += 1;
        self.messages > max
    }
}

/// "300 connections per attempt every 5 minutes per IP."
const CONNECTS_MAX: u32 = 300;
const CONNECTS_PER: Duration = Duration::from_secs(300);

/// Connections that were made in these five minutes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Connects {
    since: Nanos,
    count: u32,
}

impl Connects {
    /// Counts a connection.
    ///
    /// # Errors
    /// The answer that refuses it.
    pub fn take(&mut self, now: Nanos) -> Result<(), Reply> {
        if now.since(self.since) >= CONNECTS_PER {
            *self = Self { since: now, count: 0 };
        }
        self.count += 1;
        if self.count <= CONNECTS_MAX {
            return Ok(());
        }
        Err(refusal(now, &until(self.since + CONNECTS_PER, Wrong::Connects)))
    }
}

/// How many orders an account may place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderLimit {
    /// `SECOND`, `MINUTE` or `DAY`.
    pub interval: &'static str,
    /// So many of them.
    pub interval_num: u64,
    /// All of it, in seconds.
    pub seconds: u64,
    /// The end of the name of the header that tells the count: `10s`, `1m`, `1d`.
    pub header: &'static str,
    /// So many orders.
    pub limit: u32,
}

impl OrderLimit {
    /// When the interval of that time is over.
    #[must_use]
    pub fn ends(&self, now: Nanos) -> Nanos {
        let length = self.seconds * 1_000_000_000;
        Nanos((now.0 / length + 1) * length)
    }

    /// What `exchangeInfo` says of it.
    #[must_use]
    pub fn entry(&self) -> Value {
        json!({"rateLimitType": "ORDERS", "interval": self.interval,
               "intervalNum": self.interval_num, "limit": self.limit})
    }
}

/// The orders that an account has placed, by each of a line's limits.
///
/// The venue gives orders back that were filled; here all count, so that a client that keeps this
/// keeps the venue's limit as well.
/// <https://github.com/binance/binance-spot-api-docs/blob/master/rest-api.md#unfilled-order-count>
#[derive(Clone, Debug)]
pub struct OrderCounts {
    limits: &'static [OrderLimit],
    /// The interval by its number, and how many there were in it.
    counts: Vec<(u64, u32)>,
}

impl OrderCounts {
    /// None yet.
    #[must_use]
    pub fn new(limits: &'static [OrderLimit]) -> Self {
        Self { limits, counts: vec![(0, 0); limits.len()] }
    }

    /// Counts an order.
    ///
    /// # Errors
    /// The limit that it would break; it is not counted then.
    pub fn take(&mut self, now: Nanos) -> Result<(), OrderLimit> {
        for (limit, count) in self.limits.iter().zip(&mut self.counts) {
            let interval = now.0 / 1_000_000_000 / limit.seconds;
            if count.0 != interval {
                *count = (interval, 0);
            }
            if count.1 >= limit.limit {
                return Err(*limit);
            }
        }
        self.counts.iter_mut().for_each(|count| count.1 += 1);
        Ok(())
    }

    /// The limits, each with its count at that time.
    pub fn used(&self, now: Nanos) -> impl Iterator<Item = (&'static OrderLimit, u32)> {
        self.limits.iter().zip(&self.counts).map(move |(limit, (interval, count))| {
            let current = now.0 / 1_000_000_000 / limit.seconds == *interval;
            (limit, if current { *count } else { 0 })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Nanos = Nanos(1_780_000_040_000_000_000);

    fn refused(now: Nanos, result: Result<(), Failure>) -> Option<(u16, String)> {
        let reply = refusal(now, &result.err()?);
        Some((reply.status, reply.headers[0].1.clone()))
    }

    #[test]
    fn weight_runs_out_and_comes_back_with_the_minute() {
        let mut weight = Weight::new(100);
        assert_eq!(refused(NOW, weight.take(NOW, 60)), None);
        // 20 s past a whole minute.
        assert_eq!(refused(NOW, weight.take(NOW, 41)), Some((429, "40".to_owned())));
        assert_eq!(refused(NOW, weight.take(NOW, 40)), None);
        assert_eq!(weight.used(), 100);
        assert_eq!(refused(NOW, weight.take(NOW + Duration::from_secs(40), 1)), None);
        assert_eq!(weight.used(), 1);
    }

    #[test]
    fn who_does_not_listen_is_banned_for_two_minutes() {
        let mut weight = Weight::new(1);
        for _ in 0..WARNINGS_MAX {
            assert_eq!(refused(NOW, weight.take(NOW, 2)), Some((429, "40".to_owned())));
        }
        assert_eq!(refused(NOW, weight.take(NOW, 2)), Some((418, "120".to_owned())));
        let later = NOW + Duration::from_secs(100);
        assert_eq!(refused(later, weight.take(later, 1)), Some((418, "20".to_owned())));
        assert_eq!(refused(NOW, weight.take(NOW + BAN, 1)), None);
    }

    #[test]
    fn orders_count_by_every_limit_and_a_refused_one_by_none() {
        let limit = |seconds, limit| OrderLimit {
            interval: "SECOND",
            interval_num: seconds,
            seconds,
            header: "",
            limit,
        };
        let limits: &'static [OrderLimit] = Box::leak(Box::new([limit(10, 2), limit(60, 3)]));
        let mut counts = OrderCounts::new(limits);
        assert!(counts.take(NOW).is_ok() && counts.take(NOW).is_ok());
        assert_eq!(counts.take(NOW), Err(limits[0]));
        let later = NOW + Duration::from_secs(10);
        let used = |counts: &OrderCounts, at| counts.used(at).map(|(_, n)| n).collect::<Vec<_>>();
        assert_eq!((used(&counts, NOW), used(&counts, later)), (vec![2, 2], vec![0, 2]));
        assert!(counts.take(later).is_ok());
        assert_eq!(counts.take(later), Err(limits[1]));
        assert!(counts.take(NOW + Duration::from_secs(40)).is_ok(), "another minute");
    }

    #[test]
    fn messages_count_by_the_second_and_connections_by_five_minutes() {
        let mut talk = Talk::default();
        assert!((0..5).all(|_| !talk.is_too_much(NOW, 5)) && talk.is_too_much(NOW, 5));
        assert!(!talk.is_too_much(NOW + Duration::from_secs(1), 5));
        let mut connects = Connects::default();
        assert!((0..CONNECTS_MAX).all(|_| connects.take(NOW).is_ok()));
        let reply = connects.take(NOW).unwrap_err();
        assert_eq!((reply.status, reply.headers[0].1.as_str()), (429, "300"));
        assert!(connects.take(NOW + CONNECTS_PER).is_ok());
    }
}
