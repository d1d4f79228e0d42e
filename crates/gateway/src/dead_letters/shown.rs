//! The log's share: of each source at most one line a second, and then how many there were between.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use engine::dead_letters::LetterReason;
use model::Nanos;
use store::dead_letters::DeadLetter;

/// Between two lines about one source.
const EVERY: Duration = Duration::from_secs(1);
/// How much of a payload a line shows.
const SHOWN_CHARS: usize = 200;

/// Whom a line is about: why, and the provider or consumer.
type Source = (LetterReason, Arc<str>);

/// When each source was last shown. There are as many as there are reasons and names of parties, which
/// are bounded.
#[derive(Debug, Default)]
pub(super) struct Shown(BTreeMap<Source, Held>);

#[derive(Debug)]
struct Held {
    /// When it was last shown.
    at: Nanos,
    /// How many came since.
    more: u64,
}

impl Shown {
    /// Shows a letter now, or counts it.
    pub(super) fn letter(&mut self, reason: LetterReason, letter: &DeadLetter, now: Nanos) {
        let source = match reason {
            LetterReason::Unreadable => letter.provider.clone(),
            LetterReason::Dropped => letter.consumer.clone(),
            // The shard says it itself, or it is counted where it belongs.
            LetterReason::Unmapped
            | LetterReason::LateFragment
            | LetterReason::Late
            | LetterReason::RefusedCommand => return,
        };
        let many = 1 + letter.lost;
        if let Some(more) = self.is_due((reason, source.unwrap_or_default()), many, now) {
            show(reason, letter, more);
        }
    }

    /// Whether a line is to be shown that stands for so many; then how many came since the last one.
    fn is_due(&mut self, source: Source, many: u64, now: Nanos) -> Option<u64> {
        let held = self.0.entry(source);
        let mut new = false;
        let held = held.or_insert_with(|| {
            new = true;
            Held { at: now, more: 0 }
        });
        held.more += many;
        if !new && now.since(held.at) < EVERY {
            return None;
        }
        held.at = now;
        Some(std::mem::take(&mut held.more) - 1)
    }

    /// Says how many came of sources of which nothing came after them.
    pub(super) fn look(&mut self, now: Nanos) {
        self.settle(|at| now.since(at) >= EVERY);
    }

    /// The same for all that is left.
    pub(super) fn finish(&mut self) {
        self.settle(|_| true);
    }

    fn settle(&mut self, is_due: impl Fn(Nanos) -> bool) {
        self.0.retain(|(reason, source), held| {
            let due = is_due(held.at);
            if due && held.more > 0 {
                let (reason, more) = (reason.name(), held.more);
                tracing::warn!(reason, of = &**source, more, "more dead letters like the last one");
            }
            !due
        });
    }

    /// When [`look`](Self::look) is wanted.
    pub(super) fn deadline(&self) -> Option<Nanos> {
        self.0.values().filter(|held| held.more > 0).map(|held| held.at + EVERY).min()
    }
}

fn show(reason: LetterReason, letter: &DeadLetter, more: u64) {
    let start = letter.payload.as_deref().map(start_of).unwrap_or_default();
    let DeadLetter { provider, instrument, consumer, conn, remedy, bytes, detail, .. } = letter;
    let (instrument, remedy) = (instrument.as_deref(), remedy.as_deref());
    if reason == LetterReason::Unreadable {
        let provider = provider.as_deref();
        tracing::warn!(
            provider,
            conn,
            remedy,
            bytes,
            start,
            more,
            "a message could not be used: {detail}"
        );
    } else {
        let (consumer, provider) = (consumer.as_deref(), provider.as_deref());
        tracing::warn!(
            consumer,
            provider,
            instrument,
            more,
            "a consumer is too slow: a trade was dropped"
        );
    }
}

/// The start of a payload as one line.
pub(super) fn start_of(payload: &str) -> String {
    let text = payload.trim().chars().take(SHOWN_CHARS);
    text.map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Nanos {
        Nanos(ms * 1_000_000)
    }

    #[test]
    fn a_flood_is_one_line_a_second_with_a_count_and_each_source_has_its_own() {
        let mut shown = Shown::default();
        let source = |name: &str| (LetterReason::Unreadable, Arc::from(name));
        let lines = (0..3_500).filter_map(|ms| shown.is_due(source("a"), 1, at(ms)));
        assert_eq!(lines.collect::<Vec<_>>(), [0, 999, 999, 999]);
        assert_eq!(shown.is_due(source("b"), 4, at(3_500)), Some(3), "three were lost before it");
        assert_eq!(shown.deadline(), Some(at(4_000)), "499 of a wait to be told");
        shown.look(at(3_999));
        assert!(shown.deadline().is_some());
        shown.look(at(4_000));
        assert_eq!(shown.deadline(), None);
        assert_eq!(shown.is_due(source("a"), 1, at(9_000)), Some(0));
    }

    #[test]
    fn sources_that_are_quiet_are_forgotten() {
        let mut shown = Shown::default();
        for n in 0..1_000 {
            shown.is_due((LetterReason::Dropped, n.to_string().into()), 1, at(n));
        }
        shown.look(at(10_000));
        assert_eq!(shown.0.len(), 0);
    }

    #[test]
    fn a_payload_is_one_short_line_whatever_it_holds() {
        assert_eq!(start_of(" {\n\"a\"\0\u{fffd} "), "{ \"a\" \u{fffd}");
        assert_eq!(start_of(&"ä".repeat(1_000)).chars().count(), SHOWN_CHARS);
    }
}
