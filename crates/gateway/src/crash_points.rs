//! Named points of an order's way. A build with the feature `crash-points` dies at one of them when it
//! is told to, for the crash harness; in any other build passing one is nothing at all.
//!
//! `MELTICA_CRASH_AT=ledger-report-before:3` has the process end at the third passing of that point.
//! It ends by [`std::process::abort`]: no destructor runs, nothing is unwound, nothing that waits in
//! memory is written, so that files and sockets are left as SIGKILL would leave them at this very
//! instruction.

#[cfg(feature = "crash-points")]
use model::ledger::Fact;
use model::trading::Heard;

/// All points, before and after each thing that happens to an order.
pub const POINTS: [&str; 24] = [
    "ledger-submit-before",
    "ledger-submit-after",
    "ledger-change-before",
    "ledger-change-after",
    "ledger-sent-before",
    "ledger-sent-after",
    "ledger-answer-before",
    "ledger-answer-after",
    "ledger-report-before",
    "ledger-report-after",
    "ledger-acknowledgement-before",
    "ledger-acknowledgement-after",
    "ledger-sync-before",
    "ledger-sync-after",
    "send-before",
    "send-after",
    "write-before",
    "write-after",
    "answer-before",
    "answer-after",
    "report-before",
    "report-after",
    "delivery-before",
    "delivery-after",
];

/// Before and after a fact is written to the ledger.
#[cfg(feature = "crash-points")]
pub(crate) fn of_fact(fact: &Fact) -> [&'static str; 2] {
    match fact {
        Fact::Submit(_) => ["ledger-submit-before", "ledger-submit-after"],
        Fact::Change(_) => ["ledger-change-before", "ledger-change-after"],
        Fact::Sent(_) => ["ledger-sent-before", "ledger-sent-after"],
        Fact::Answer(_) => ["ledger-answer-before", "ledger-answer-after"],
        Fact::Report(_) => ["ledger-report-before", "ledger-report-after"],
        Fact::Acknowledgement(_) => {
            ["ledger-acknowledgement-before", "ledger-acknowledgement-after"]
        }
    }
}

/// Before and after the desk hears of something, where it is about an order.
pub(crate) fn of_heard(heard: &Heard) -> Option<[&'static str; 2]> {
    match heard {
        Heard::Answer { .. } => Some(["answer-before", "answer-after"]),
        Heard::Order(_) => Some(["report-before", "report-after"]),
        Heard::Listening(_) | Heard::Balance(_) | Heard::Position(_) => None,
    }
}

/// The process is at that point now.
#[cfg(not(feature = "crash-points"))]
#[inline(always)]
pub(crate) fn pass(_point: &'static str) {}

#[cfg(feature = "crash-points")]
pub(crate) use armed::pass;

#[cfg(feature = "crash-points")]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Where to end, and at which passing, from 1.
    const VARIABLE: &str = "MELTICA_CRASH_AT";

    struct End {
        point: String,
        at: u64,
        passed: AtomicU64,
    }

    /// The process is at that point now; it may be the end of it.
    pub(crate) fn pass(point: &'static str) {
        static END: OnceLock<Option<End>> = OnceLock::new();
        debug_assert!(super::POINTS.contains(&point), "{point} is not in the list");
        let Some(end) = END.get_or_init(end) else { return };
        if end.point == point && end.passed.fetch_add(1, Ordering::Relaxed) + 1 == end.at {
            std::process::abort();
        }
    }

    /// What the environment says; `None` where it says nothing that can be used.
    fn end() -> Option<End> {
        let text = std::env::var(VARIABLE).ok()?;
        let said = text.split_once(':').and_then(|(point, at)| {
            let at = at.parse().ok().filter(|at| *at > 0)?;
            let known = super::POINTS.contains(&point);
            known.then(|| End { point: point.to_owned(), at, passed: AtomicU64::new(0) })
        });
        if said.is_none() {
            let points = super::POINTS.join(", ");
            tracing::error!(
                "{VARIABLE}={text}: expected <point>:<n>, n from 1, a point of {points}"
            );
        }
        said
    }
}
