//! Asking a venue about an outcome that is not known.
//!
//! It is asked by client id, again and again with growing pauses. "Not found" may only mean that the
//! request is still under way. It is final when the venue can't take the request any more (its own
//! deadline, the error of the clocks and a margin have passed), when it was said twice after that, and
//! when the order is in neither the open orders nor the trades. Where the venue has no deadline it is
//! never final: an operator decides.
//!
//! Of an order that the venue has had it means something else. Right after it was taken it means nothing;
//! but venues forget orders that ended unfilled, the first of them after two hours (the sources stand with
//! the venues' machines). So it is over when the venue has shown no sign of it for longer than that, says
//! so for a minute, and has it in neither list.

use std::time::Duration;

use model::Nanos;

/// How long after the venue's deadline "not found" begins to count, beside the clocks' error.
pub const MARGIN: Duration = Duration::from_secs(5);
/// "Not found" that was said so often is believed.
const TIMES: u32 = 2;
/// Of an order that the venue has had it begins to count so long after the last sign of it.
pub const FORGOTTEN_AFTER: Duration = Duration::from_secs(2 * 3_600 + 300);
/// And has to be said so often, which takes a minute by the pauses.
const FORGOTTEN_TIMES: u32 = 8;
/// The pause after the first question; doubled from question to question.
pub const PAUSE_MIN: Duration = Duration::from_millis(500);
/// The longest pause between two questions.
pub const PAUSE_MAX: Duration = Duration::from_secs(30);

/// An open question about an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inquiry {
    next: Nanos,
    pause: Duration,
    /// What gave the last reason to ask happened then: a picture that was asked for before may not
    /// show it.
    since: Nanos,
    /// How many times "not found" was said,
    missing: u32,
    /// and how many times when it counted.
    not_found: u32,
}

impl Inquiry {
    /// A question to be asked at once.
    #[must_use]
    pub fn new(now: Nanos) -> Self {
        Self { next: now, pause: PAUSE_MIN, since: now, missing: 0, not_found: 0 }
    }

    /// A question to be asked unless what is expected is told soon.
    #[must_use]
    pub fn soon(now: Nanos) -> Self {
        Self { next: now + PAUSE_MIN, ..Self::new(now) }
    }

    /// There is one more reason to ask.
    pub fn again(&mut self, now: Nanos) {
        self.since = now;
    }

    /// Whether the answer to a question that went out then answers this.
    #[must_use]
    pub fn is_answered(&self, asked: Nanos) -> bool {
        asked >= self.since
    }

    /// When to ask.
    #[must_use]
    pub fn due(&self) -> Nanos {
        self.next
    }

    /// It was asked.
    pub fn asked(&mut self, now: Nanos) {
        self.next = now + self.pause;
        self.pause = self.pause.saturating_mul(2).min(PAUSE_MAX);
    }

    /// The venue does not find it; whether that is final. `asked` is when the question went out, `from`
    /// when that begins to count, `had` says that the venue has had it, and `absent` that the open
    /// orders and the trades do not have it.
    pub fn not_found(
        &mut self,
        asked: Nanos,
        from: Option<Nanos>,
        had: bool,
        absent: bool,
    ) -> bool {
        self.missing = self.missing.saturating_add(1);
        if from.is_none_or(|from| asked < from) {
            return false;
        }
        self.not_found = self.not_found.saturating_add(1);
        let times = if had { FORGOTTEN_TIMES } else { TIMES };
        self.not_found >= times && absent
    }

    /// Whether the venue did not find it for the second time; the first may have been too early.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.missing == 2
    }
}
