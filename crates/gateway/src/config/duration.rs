//! Durations as people write them: `200us`, `500ms`, `10s`, `5m`, `24h`.

use std::time::Duration;

/// Reads a whole number with its unit: `us`, `ms`, `s`, `m` or `h`.
///
/// # Errors
/// What would be right, to be put after "expected".
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || "a whole number with its unit (us, ms, s, m, h), such as 500ms, 10s, 5m or 24h";
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let micros_each = match unit {
        "us" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        _ => return Err(wrong().to_owned()),
    };
    if number.is_empty() {
        return Err(wrong().to_owned());
    }
    let micros = number.parse::<u64>().ok().and_then(|number| number.checked_mul(micros_each));
    micros.map(Duration::from_micros).ok_or_else(|| "a duration that fits into 64 bits".to_owned())
}

/// The shortest form that [`parse`] reads back; what is below a microsecond is left out.
#[must_use]
pub fn show(duration: Duration) -> String {
    if !duration.as_micros().is_multiple_of(1_000) {
        return format!("{}us", duration.as_micros());
    }
    let millis = duration.as_millis();
    for (unit, each) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
        if millis >= each && millis.is_multiple_of(each) {
            return format!("{}{unit}", millis / each);
        }
    }
    format!("{millis}ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read_and_shown() {
        for (text, millis) in
            [("500ms", 500), ("10s", 10_000), ("5m", 300_000), ("24h", 86_400_000), ("0ms", 0)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
            assert_eq!(show(Duration::from_millis(millis)), text);
        }
        assert_eq!(show(Duration::from_millis(90_000)), "90s");
        assert_eq!(parse("200us"), Ok(Duration::from_micros(200)));
        assert_eq!(show(Duration::from_micros(1_200)), "1200us");
    }

    #[test]
    fn anything_else_says_what_would_be_right() {
        let huge = "99999999999999999999h";
        let wide = "18446744073709551615h";
        for wrong in ["", "10", "s", "-1s", "+1s", "1.5s", "1 s", " 1s", "1S", "1d", "1s5", "1µs"]
        {
            assert!(parse(wrong).is_err_and(|said| said.contains("10s")), "{wrong}");
        }
        assert!(parse(huge).is_err() && parse(wide).is_err());
    }
}
