//! Whether every report of an account is heard.

use std::time::Duration;

use model::Nanos;
use model::trading::Heard;

/// After a message that could not be read nothing is heard for so long: whoever listens asks the
/// venue how things stand, and is not to be kept asking.
const DEAF_FOR: Duration = Duration::from_secs(1);

/// What was said of it last.
#[derive(Debug, Default)]
pub struct Listening {
    said: bool,
    deaf_until: Option<Nanos>,
}

impl Listening {
    /// A message could not be read: it may have been a report.
    pub fn doubt(&mut self, now: Nanos) {
        self.deaf_until = Some(self.deaf_until.unwrap_or(now + DEAF_FOR));
    }

    /// When there is something to say without anything happening.
    #[must_use]
    pub fn due(&self) -> Option<Nanos> {
        self.deaf_until
    }

    /// What has changed, given whether a confirmed connection is up.
    pub fn update(&mut self, is_up: bool, now: Nanos) -> Option<Heard> {
        self.deaf_until = self.deaf_until.filter(|until| *until > now);
        let hears = is_up && self.deaf_until.is_none();
        let changed = std::mem::replace(&mut self.said, hears) != hears;
        changed.then_some(Heard::Listening(hears))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubt_is_said_at_once_and_over_after_a_second() {
        let second = Nanos(1_000_000_000);
        let mut listening = Listening::default();
        assert_eq!(listening.update(true, Nanos(0)), Some(Heard::Listening(true)));
        assert_eq!(listening.update(true, Nanos(1)), None);
        listening.doubt(Nanos(1));
        assert_eq!(listening.update(true, Nanos(1)), Some(Heard::Listening(false)));
        listening.doubt(Nanos(5));
        assert_eq!(listening.due(), Some(second + Duration::from_nanos(1)));
        assert_eq!(listening.update(true, second), None);
        let over = second + Duration::from_nanos(1);
        assert_eq!(listening.update(true, over), Some(Heard::Listening(true)));
        assert_eq!(listening.update(false, over), Some(Heard::Listening(false)));
    }
}
