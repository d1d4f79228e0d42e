//! Which faults there are, and how often.

use std::time::Duration;

use model::Nanos;
use serde::Deserialize;

/// The presets by name.
pub const PRESETS: &[&str] = &["none", "flaky", "throttled", "orders", "chaos"];

/// What goes wrong, and how often: of a million, or once in so many seconds on average. Everything is
/// 0, that is never, unless it is said. As a file: these names in TOML.
///
/// A private connection, which carries orders or their reports, is as reliable as TCP: of what is
/// below it has nothing that would lose, alter or reorder messages while it is up. Reports are lost
/// with their connection (`report_lost`, `disconnect_every_s`), as at every venue. `report_suppressed`
/// alone is worse than that: it is for what periodic reconciliation has to find, and in no preset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// A connection ends about that often: properly, without a word, in the middle of a frame, or by
    /// falling silent while it stays open.
    pub disconnect_every_s: u32,
    /// A venue announces about that often that a connection ends for maintenance, and ends it 10 s later.
    pub maintenance_every_s: u32,
    /// About that often a venue that does so numbers its books anew.
    pub reset_every_s: u32,
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
    /// Are preceded by a frame of `oversized_kib`.
    pub oversized: u32,
    /// How large such a frame is.
    pub oversized_kib: u32,
    /// Have a field that nobody has heard of.
    pub novel_field: u32,
    /// Have a value that nobody has heard of, in a field that says nothing of what happened; answers to
    /// requests too, such as the state of an instrument in a list.
    pub novel_value: u32,
    /// Of a million messages and requests of clients, so many are read late, by up to `read_slow_ms`;
    /// what comes after them on their connection waits.
    pub read_slow: u32,
    /// How late.
    pub read_slow_ms: u32,
    /// Of a million requests, so many are turned away because the venue serves nobody at the moment: by a
    /// 5xx, or however it says so.
    pub answer_5xx: u32,
    /// Because it was asked too often: by 429, with `Retry-After` where the venue has that.
    pub answer_429: u32,
    /// Because of a ban, at a venue that has them: by 418, with `Retry-After`.
    pub answer_418: u32,
    /// Late, by up to `answer_slow_ms`.
    pub answer_slow: u32,
    /// How late.
    pub answer_slow_ms: u32,
    /// Carried out, and never answered.
    pub answer_lost: u32,
    /// Of a million orders, cancels and amendments, so many are carried out and never answered.
    pub order_answer_lost: u32,
    /// Are carried out at once and answered late, by up to `order_answer_late_ms`.
    pub order_answer_late: u32,
    /// How late: more than a client waits.
    pub order_answer_late_ms: u32,
    /// Are carried out, and answered with the venue's word for an unknown outcome.
    pub order_outcome_unknown: u32,
    /// Are answered only after the reports of what they did.
    pub order_report_first: u32,
    /// Of a million reports of orders, so many come twice, the second time up to a second later.
    pub report_twice: u32,
    /// Are lost with their connection, which breaks.
    pub report_lost: u32,
    /// Never come, though their connection stays up.
    pub report_suppressed: u32,
    /// The venue's clock is ahead by so much, behind where negative.
    pub clock_skew_ms: i32,
}

impl Faults {
    /// A preset; `None` where there is none of that name.
    #[must_use]
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "none" => Some(Self::default()),
            "flaky" => Some(Self::flaky()),
            "throttled" => Some(Self::throttled()),
            "orders" => Some(Self::orders()),
            "chaos" => Some(Self::chaos()),
            _ => None,
        }
    }

    /// Disconnects, gaps and bad checksums.
    fn flaky() -> Self {
        Self {
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
        }
    }

    /// Rate limits and slow answers.
    fn throttled() -> Self {
        Self {
            connect_refused: 50_000,
            answer_5xx: 50_000,
            answer_429: 100_000,
            answer_418: 5_000,
            answer_slow: 200_000,
            answer_slow_ms: 2_000,
            answer_lost: 10_000,
            ..Self::default()
        }
    }

    /// Lost, late and doubled answers and reports.
    fn orders() -> Self {
        Self {
            disconnect_every_s: 60,
            order_answer_lost: 20_000,
            order_answer_late: 20_000,
            order_answer_late_ms: 15_000,
            order_outcome_unknown: 20_000,
            order_report_first: 100_000,
            report_twice: 50_000,
            report_lost: 2_000,
            read_slow: 20_000,
            read_slow_ms: 2_000,
            ..Self::default()
        }
    }

    /// All of it, but for books that are numbered anew: a count of events that are out of order takes
    /// a number that goes back for one.
    fn chaos() -> Self {
        Self {
            maintenance_every_s: 120,
            oversized: 5,
            oversized_kib: 20 * 1_024,
            novel_field: 1_000,
            novel_value: 10_000,
            connect_refused: 50_000,
            answer_5xx: 20_000,
            answer_429: 20_000,
            answer_418: 1_000,
            answer_slow: 100_000,
            answer_slow_ms: 2_000,
            answer_lost: 5_000,
            order_answer_lost: 20_000,
            order_answer_late: 20_000,
            order_answer_late_ms: 15_000,
            order_outcome_unknown: 20_000,
            order_report_first: 100_000,
            report_twice: 50_000,
            report_lost: 2_000,
            read_slow: 5_000,
            read_slow_ms: 2_000,
            clock_skew_ms: 300,
            ..Self::flaky()
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
