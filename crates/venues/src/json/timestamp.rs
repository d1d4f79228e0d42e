//! Times as text: RFC 3339 in UTC, `2022-12-25T09:30:59.123456Z`, down to the nanosecond.

use model::Nanos;

/// Seconds of a day.
const DAY_S: u64 = 24 * 60 * 60;
/// The last year whose nanoseconds since the epoch fit in 64 bits throughout.
const YEAR_MAX: u64 = 2_553;
const TENS: [u64; 10] =
    [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000];

/// Reads the time at the start of `text`, up to and with its `Z`, and says how many bytes it took;
/// `None` where there is none of that form, or it is before 1970.
///
/// ```
/// use venues::json::timestamp::scan_utc;
/// let (time, len) = scan_utc(b"1970-01-02T00:00:01.5Z\"}").unwrap();
/// assert_eq!((time.0, len), (86_401_500_000_000, 22));
/// ```
#[inline]
#[must_use]
pub fn scan_utc(text: &[u8]) -> Option<(Nanos, usize)> {
    let fixed = text.first_chunk::<19>()?;
    let marks = [fixed[4], fixed[7], fixed[10], fixed[13], fixed[16]];
    if &marks != b"--T::" {
        return None;
    }
    let days = days(two(fixed, 0)? * 100 + two(fixed, 2)?, two(fixed, 5)?, two(fixed, 8)?)?;
    let (hour, minute, second) = (two(fixed, 11)?, two(fixed, 14)?, two(fixed, 17)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (fraction_ns, len) = fraction(text.get(19..)?)?;
    let seconds = days * DAY_S + hour * 3_600 + minute * 60 + second;
    Some((Nanos(seconds * 1_000_000_000 + fraction_ns), 19 + len))
}

/// `Z`, or a point with up to nine digits and `Z`: ns, and how many bytes.
#[inline]
fn fraction(text: &[u8]) -> Option<(u64, usize)> {
    let Some(digits) = text.strip_prefix(b".") else {
        return text.starts_with(b"Z").then_some((0, 1));
    };
    let (mut value, mut count) = (0, 0);
    while let Some(digit) = digits.get(count).map(|b| b.wrapping_sub(b'0')).filter(|d| *d < 10) {
        value = value * 10 + u64::from(digit);
        count += 1;
        if count > 9 {
            return None;
        }
    }
    let ends = count > 0 && digits.get(count) == Some(&b'Z');
    ends.then(|| (value * TENS[9 - count], count + 2))
}

/// Two digits.
#[inline(always)]
fn two(text: &[u8; 19], at: usize) -> Option<u64> {
    let (tens, units) = (text[at].wrapping_sub(b'0'), text[at + 1].wrapping_sub(b'0'));
    (tens < 10 && units < 10).then(|| u64::from(tens * 10 + units))
}

/// Days from the epoch to a day of the calendar.
///
/// Days-from-civil after Howard Hinnant's public-domain description.
#[inline]
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let last = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u64::from(leap),
        _ => 31,
    };
    if !(1_970..=YEAR_MAX).contains(&year)
        || !(1..=12).contains(&month)
        || !(1..=last).contains(&day)
    {
        return None;
    }
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year) = (year / 400, year % 400);
    let day_of_era = year * 365 + year / 4 - year / 100 + (153 * month + 2) / 5 + day - 1;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// Writes ms since the epoch in the form that [`scan_utc`] reads, to the millisecond.
///
/// ```
/// use venues::json::timestamp::utc;
/// assert_eq!(utc(1_607_418_537_715), "2020-12-08T09:08:57.715Z");
/// ```
#[must_use]
pub fn utc(ms: u64) -> String {
    let (day, ms) = (ms / (DAY_S * 1_000), ms % (DAY_S * 1_000));
    // Civil-from-days after Howard Hinnant's public-domain description.
    let shifted = day + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let (year, seconds) = (era * 400 + year_of_era + next, ms / 1_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1_000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<u64> {
        scan_utc(text.as_bytes()).filter(|(_, len)| *len == text.len()).map(|(time, _)| time.0)
    }

    #[test]
    fn times_are_read_to_the_nanosecond() {
        // As `date -u -d … +%s` has them.
        assert_eq!(read("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(read("2021-04-17T16:48:53.370507Z"), Some(1_618_678_133_370_507_000));
        assert_eq!(read("2024-02-29T23:59:59.999999999Z"), Some(1_709_251_199_999_999_999));
        assert_eq!(read("2000-03-01T00:00:00.0Z"), Some(951_868_800_000_000_000));
        assert_eq!(read("2553-12-31T23:59:59Z"), Some(18_429_292_799_000_000_000));
    }

    #[test]
    fn what_is_no_such_time_is_declined() {
        for wrong in [
            "",
            "2021-04-17T16:48:53",
            "2021-04-17 16:48:53Z",
            "2021-04-17T16:48:53.Z",
            "2021-04-17T16:48:53.1234567890Z",
            "2021-04-17T16:48:53+00:00",
            "2021-04-17T24:00:00Z",
            "2021-04-17T16:60:00Z",
            "2021-04-17T16:48:60Z",
            "2021-13-17T16:48:53Z",
            "2021-00-17T16:48:53Z",
            "2021-04-31T16:48:53Z",
            "2021-02-29T16:48:53Z",
            "2100-02-29T16:48:53Z",
            "1969-12-31T23:59:59Z",
            "2554-01-01T00:00:00Z",
            "2O21-04-17T16:48:53Z",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(ms in 0..18_000_000_000_000_u64) {
            prop_assert_eq!(read(&utc(ms)), Some(ms * 1_000_000), "{}", utc(ms));
        }

        #[test]
        fn every_day_follows_the_day_before(day in 0u64..200_000) {
            // A naive calendar, walked from a year's start.
            let mut left = day;
            let mut year = 1_970;
            let length = |year: u64| {
                let by = |years| year.is_multiple_of(years);
                let leap = (by(4) && !by(100)) || by(400);
                [31, 28 + u64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
            };
            while left >= length(year).iter().sum::<u64>() {
                left -= length(year).iter().sum::<u64>();
                year += 1;
            }
            let mut month = 0;
            while left >= length(year)[month] {
                left -= length(year)[month];
                month += 1;
            }
            let text = format!("{year:04}-{:02}-{:02}T00:00:00Z", month + 1, left + 1);
            prop_assert_eq!(read(&text), Some(day * DAY_S * 1_000_000_000), "{}", text);
        }
    }
}
