//! How fast a capture is played.

use std::str::FromStr;
use std::time::Duration;

use model::Error;

/// How fast a capture is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speed {
    /// This many thousandths of the recorded pace: 1,000 is as recorded, 500 half as fast.
    PerMille(u64),
    /// As fast as the clients read.
    Max,
}

impl Speed {
    /// As recorded.
    pub const RECORDED: Self = Self::PerMille(1_000);

    /// How long something takes that took `recorded`.
    #[must_use]
    pub fn takes(self, recorded: Duration) -> Duration {
        match self {
            Self::Max => Duration::ZERO,
            Self::PerMille(thousandths) => {
                let nanos = recorded.as_nanos() * 1_000 / u128::from(thousandths.max(1));
                Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
            }
        }
    }
}

impl FromStr for Speed {
    type Err = Error;

    /// Reads `max`, or a factor such as `1`, `10x` or `0.5x` with up to three decimals.
    fn from_str(text: &str) -> Result<Self, Error> {
        if text == "max" {
            return Ok(Self::Max);
        }
        let wrong = || {
            Error::reject(format!(
                "speed '{text}' is not understood; expected 'max' or a factor above 0 with up to \
                 three decimals, such as '1x', '10x' or '0.5x'"
            ))
        };
        let factor = text.strip_suffix('x').unwrap_or(text);
        let (whole, decimals) = factor.split_once('.').unwrap_or((factor, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(decimals) || decimals.len() > 3 {
            return Err(wrong());
        }
        let thousandths = format!("{whole}{decimals:0<3}").parse().map_err(|_| wrong())?;
        if thousandths == 0 { Err(wrong()) } else { Ok(Self::PerMille(thousandths)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_read_exactly() {
        for (text, speed) in [
            ("max", Speed::Max),
            ("1", Speed::RECORDED),
            ("1x", Speed::RECORDED),
            ("10x", Speed::PerMille(10_000)),
            ("0.5x", Speed::PerMille(500)),
            ("1.25", Speed::PerMille(1_250)),
            ("0.001", Speed::PerMille(1)),
        ] {
            assert_eq!(text.parse::<Speed>(), Ok(speed), "{text}");
        }
        for text in [
            "",
            "x",
            "0",
            "0.0",
            "-1",
            "1.",
            ".5",
            "1.2345",
            "fast",
            "1e3",
            "9".repeat(30).as_str(),
        ] {
            let error = text.parse::<Speed>().unwrap_err();
            assert!(error.message.contains("expected 'max' or a factor"), "{text}");
        }
    }

    #[test]
    fn pace_is_scaled() {
        let second = Duration::from_secs(1);
        assert_eq!(Speed::RECORDED.takes(second), second);
        assert_eq!(Speed::PerMille(10_000).takes(second), Duration::from_millis(100));
        assert_eq!(Speed::PerMille(500).takes(second), Duration::from_secs(2));
        assert_eq!(Speed::Max.takes(second), Duration::ZERO);
        assert_eq!(Speed::PerMille(1).takes(Duration::MAX), Duration::from_nanos(u64::MAX));
    }
}
