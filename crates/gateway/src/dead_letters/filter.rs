//! Which letters somebody wants to see.

use std::time::Duration;

use engine::dead_letters::LetterReason;
use model::Nanos;
use store::dead_letters::DeadLetter;

use crate::config::duration;

/// What is not `None` has to fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Those about this provider.
    pub provider: Option<String>,
    /// Those about this consumer.
    pub consumer: Option<String>,
    /// Those for this reason.
    pub reason: Option<LetterReason>,
    /// Those from then on.
    pub since: Option<Since>,
}

/// From when on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Since {
    /// A time of the Unix epoch.
    At(Nanos),
    /// The start of a time in UTC, as [`DeadLetter::time`] gives it: `2026-11-03T14`.
    Written(String),
}

/// The form of a time; `0` stands for any digit.
const FORM: &str = "0000-00-00T00:00:00.000Z";
/// The shortest start of one: a day.
const DAY: usize = "0000-00-00".len();

impl Filter {
    /// Whether a letter is among them.
    #[must_use]
    pub fn admits(&self, letter: &DeadLetter) -> bool {
        let Self { provider, consumer, reason, since } = self;
        provider.as_deref().is_none_or(|name| letter.provider.as_deref() == Some(name))
            && consumer.as_deref().is_none_or(|name| letter.consumer.as_deref() == Some(name))
            && reason.is_none_or(|reason| letter.reason == reason.name())
            && since.as_ref().is_none_or(|since| since.admits(letter))
    }
}

impl Since {
    /// Reads `10m` (so long before `now`), `2026-11-03` or `2026-11-03T14:25`.
    ///
    /// # Errors
    /// What would be right.
    pub fn parse(text: &str, now: Nanos) -> Result<Self, String> {
        let fits = |(c, form): (char, char)| {
            if form == '0' { c.is_ascii_digit() } else { c == form }
        };
        let is_time =
            (DAY..=FORM.len()).contains(&text.len()) && text.chars().zip(FORM.chars()).all(fits);
        if is_time {
            return Ok(Self::Written(text.to_owned()));
        }
        let before = duration::parse(text).map(|ago: Duration| {
            let ago = u64::try_from(ago.as_nanos()).unwrap_or(u64::MAX);
            Self::At(Nanos(now.0.saturating_sub(ago)))
        });
        before.map_err(|_| {
            "a duration before now, such as 10m, or a day or time in UTC, such as 2026-11-03 or \
             2026-11-03T14:25"
                .to_owned()
        })
    }

    fn admits(&self, letter: &DeadLetter) -> bool {
        match self {
            Self::At(from) => letter.t >= from.0,
            // Times of one form sort as texts do, and a start sorts before what it begins.
            Self::Written(from) => letter.time() >= *from,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> DeadLetter {
        DeadLetter {
            t: 1_780_000_000_500_000_000, // 2026-05-28T20:26:40.500Z
            reason: "dropped".into(),
            provider: Some("spot".into()),
            consumer: Some("slow".into()),
            ..DeadLetter::default()
        }
    }

    #[test]
    fn all_that_is_asked_for_has_to_fit() {
        let all = Filter {
            provider: Some("spot".into()),
            consumer: Some("slow".into()),
            reason: Some(LetterReason::Dropped),
            since: None,
        };
        assert!(Filter::default().admits(&letter()) && all.admits(&letter()));
        for other in [
            Filter { provider: Some("usdm".into()), ..all.clone() },
            Filter { consumer: Some("fast".into()), ..all.clone() },
            Filter { reason: Some(LetterReason::Unreadable), ..all.clone() },
            Filter { provider: Some(String::new()), ..all.clone() },
        ] {
            assert!(!other.admits(&letter()), "{other:?}");
            assert!(!other.admits(&DeadLetter::default()), "{other:?}");
        }
    }

    #[test]
    fn a_time_is_a_duration_before_now_or_the_start_of_a_time_in_utc() {
        let now = Nanos(1_780_000_060_500_000_000);
        for (since, admitted) in [
            ("60s", true),
            ("59s", false),
            ("24h", true),
            ("2026-05-28", true),
            ("2026-05-29", false),
            ("2026-05-28T20:26:40", true),
            ("2026-05-28T20:26:40.500Z", true),
            ("2026-05-28T20:26:40.501Z", false),
            ("2026-05-28T21", false),
        ] {
            assert_eq!(Since::parse(since, now).unwrap().admits(&letter()), admitted, "{since}");
        }
        for wrong in
            ["", "yesterday", "2026", "2026-5-28", "2026-05-28 20:26", "10", "-1s", "äääää"]
        {
            let right = Since::parse(wrong, now).unwrap_err();
            assert!(right.contains("10m") && right.contains("UTC"), "{wrong}: {right}");
        }
    }
}
