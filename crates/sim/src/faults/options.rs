//! Which faults there are, and how often.

use std::time::Duration;

use model::Nanos;
use serde::Deserialize;

/// The presets by name.
pub const PRESETS: &[&str] = &["none", "flaky", "throttled"];

/// What goes wrong, and how often: of a million, or once in so many seconds on average. Everything is
/// 0, that is never, unless it is said. As a file: these names in TOML.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// A connection ends about that often: properly, without a word, in the middle of a frame, or by
    /// falling silent while it stays open.
    pub disconnect_every_s: u32,
    /// Of a million connects, so many are refused with 503.
    pub connect_refused: u32,
    /// Of a million messages, so many never come.
    pub dropped: u32,
    /// Come twice.
    pub duplicated: u32,
    /// Come after the next one.
    pub reordered: u32,
    /// Have another checksum than the venue's; where there is none, nothing is altered.
    pub altered: u32,
    /// Hold up their connection, by up to `stall_ms`; all of it comes then, in order.
    pub stalled: u32,
    /// How long a stall may be.
    pub stall_ms: u32,
    /// Are the last of their stream for 20 s, while the others go on: a stale book on a live socket.
    pub muted: u32,
    /// Are preceded by something that is no message at all.
    pub garbage: u32,
    /// Are preceded by a message of a type that nobody has heard of.
    pub unknown: u32,
    /// Of a million requests, so many are answered by a 5xx.
    pub answer_5xx: u32,
    /// By 429, with `Retry-After`.
    pub answer_429: u32,
    /// By 418, with `Retry-After`.
    pub answer_418: u32,
    /// Late, by up to `answer_slow_ms`.
    pub answer_slow: u32,
    /// How late.
    pub answer_slow_ms: u32,
    /// Carried out, and never answered.
    pub answer_lost: u32,
    /// The venue's clock is ahead by so much, behind where negative.
    pub clock_skew_ms: i32,
}

impl Faults {
    /// A preset; `None` where there is none of that name.
    #[must_use]
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "none" => Some(Self::default()),
            "flaky" => Some(Self {
                disconnect_every_s: 30,
                dropped: 400,
                duplicated: 400,
                reordered: 400,
                altered: 400,
                stalled: 200,
                stall_ms: 1_500,
                muted: 20,
                garbage: 200,
                unknown: 200,
                ..Self::default()
            }),
            "throttled" => Some(Self {
                connect_refused: 50_000,
                answer_5xx: 50_000,
                answer_429: 100_000,
                answer_418: 5_000,
                answer_slow: 200_000,
                answer_slow_ms: 2_000,
                answer_lost: 10_000,
                ..Self::default()
            }),
            _ => None,
        }
    }

    /// Without what a client could not notice where messages carry neither sequence nor checksum.
    #[must_use]
    pub fn without_silent_loss(self) -> Self {
        Self { dropped: 0, duplicated: 0, reordered: 0, muted: 0, ..self }
    }

    /// The venue's time.
    pub(super) fn skewed(&self, now: Nanos) -> Nanos {
        shifted(now, i64::from(self.clock_skew_ms))
    }

    /// The time at which the venue's clock shows `theirs`.
    pub(super) fn unskewed(&self, theirs: Nanos) -> Nanos {
        shifted(theirs, -i64::from(self.clock_skew_ms))
    }
}

fn shifted(at: Nanos, by_ms: i64) -> Nanos {
    let by = Duration::from_millis(by_ms.unsigned_abs());
    if by_ms < 0 {
        Nanos(at.0.saturating_sub(u64::try_from(by.as_nanos()).unwrap_or(0)))
    } else {
        at + by
    }
}
