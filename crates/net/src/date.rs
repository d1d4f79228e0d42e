//! HTTP's dates (`Sun, 06 Nov 1994 08:49:37 GMT`) and what `Retry-After` says. RFC 9110, 5.6.7 and
//! 10.2.3; only the form that senders must generate is read.

use std::time::Duration;

use model::Nanos;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A date header as a point in time.
#[must_use]
pub(crate) fn parse(text: &str) -> Option<Nanos> {
    let mut parts = text.split_once(", ")?.1.split(' ');
    let day: i64 = parts.next()?.parse().ok()?;
    let month = parts.next()?;
    let month = i64::try_from(MONTHS.iter().position(|&name| name == month)?).ok()? + 1;
    let year: i64 = parts.next()?.parse().ok()?;
    let mut clock = parts.next()?.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let in_range = (1..=31).contains(&day)
        && (1970..=9999).contains(&year)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    if !in_range || parts.next() != Some("GMT") {
        return None;
    }
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    u64::try_from(seconds).ok()?.checked_mul(1_000_000_000).map(Nanos)
}

/// Days since 1970-01-01 of a Gregorian date (Howard Hinnant, "chrono-compatible low-level date
/// algorithms"): years begin in March, so that the leap day comes last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// How long `Retry-After` asks to wait: seconds, or a date that is compared with the answer's own
/// `Date`, so that the two machines' clocks need not agree.
#[must_use]
pub(crate) fn retry_after(value: &str, date: Option<&str>) -> Option<Duration> {
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    Some(parse(value)?.since(parse(date?)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn dates_are_read_and_others_declined() {
        let of = |text| parse(text).map(|at| at.0 / 1_000_000_000);
        assert_eq!(of("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(of("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(of("Thu, 29 Feb 2024 23:59:59 GMT"), Some(1_709_251_199));
        assert_eq!(of("Sunday, 06-Nov-94 08:49:37 GMT"), None);
        assert_eq!(of("Sun, 06 Nov 1994 08:49:37 CET"), None);
        assert_eq!(of("Sun, 99 Nov 1994 08:49:37 GMT"), None);
        assert_eq!(of(""), None);
    }

    #[test]
    fn retry_after_takes_seconds_and_dates() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(retry_after("120", None), Some(Duration::from_secs(120)));
        let later = "Sun, 06 Nov 1994 08:51:37 GMT";
        assert_eq!(retry_after(later, Some(date)), Some(Duration::from_secs(120)));
        assert_eq!(retry_after(date, Some(later)), Some(Duration::ZERO));
        assert_eq!(retry_after(later, None), None);
        assert_eq!(retry_after("soon", Some(date)), None);
    }
}
