//! How venues write numbers and times.

use std::fmt::Write as _;

use model::{Decimal, Nanos};

/// A number with exactly so many places.
#[must_use]
pub fn fixed(value: Decimal, places: u32) -> String {
    let mut value = value;
    value.rescale(places);
    value.to_string()
}

/// A number as a JSON number is written that once was a binary one: as short as it goes, with at
/// least one place.
#[must_use]
pub fn short(value: Decimal) -> String {
    let value = value.normalize();
    if value.scale() == 0 { format!("{value}.0") } else { value.to_string() }
}

/// Year, month, day, hour, minute, second of a time, and the nanoseconds beyond it.
pub(crate) fn civil(at: Nanos) -> ([u64; 6], u64) {
    let (seconds, nanos) = (at.0 / 1_000_000_000, at.0 % 1_000_000_000);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days to a date, after Howard Hinnant's "chrono-compatible low-level date algorithms"; the
    // years begin in March, so that the leap day is the last.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    ([year, month, day, rest / 3_600, rest / 60 % 60, rest % 60], nanos)
}

/// `2026-11-24T18:30:05.123456Z`, with so many places of a second, at most 9.
#[must_use]
pub fn rfc3339(at: Nanos, places: u32) -> String {
    let ([year, month, day, hour, minute, second], nanos) = civil(at);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if places > 0 {
        let places = places.min(9);
        let part = nanos / 10_u64.pow(9 - places);
        // Writing to a string can't fail.
        let _ = write!(text, ".{part:0width$}", width = places as usize);
    }
    text.push('Z');
    text
}

/// `Sun, 21 Mar 21 14:23:14 +0000`, the date of RFC 822 as RFC 1123 takes it over.
#[must_use]
pub fn rfc1123(at: Nanos) -> String {
    date(at, true)
}

/// `Sun, 21 Mar 2021 14:23:14 GMT`, as HTTP's headers have it.
#[must_use]
pub fn http_date(at: Nanos) -> String {
    date(at, false)
}

fn date(at: Nanos, is_short: bool) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let ([year, month, day, hour, minute, second], _) = civil(at);
    let name = DAYS[(at.0 / 1_000_000_000 / 86_400 % 7) as usize];
    let month = MONTHS[(month - 1) as usize];
    let (year, zone) = match is_short {
        true => (format!("{:02}", year % 100), "+0000"),
        false => (format!("{year:04}"), "GMT"),
    };
    format!("{name}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} {zone}")
}

/// Whole seconds since the epoch of a time like `2026-11-24T18:30:05Z`, with or without places of a
/// second; `None` where it is no such time, or before 1970.
#[must_use]
pub fn seconds_of(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z').unwrap_or(text).split_once('T')?;
    let time = time.split_once('.').map_or(time, |(whole, _)| whole);
    let three = |text: &str, mark| -> Option<[u64; 3]> {
        let parts: Result<Vec<u64>, _> = text.split(mark).map(str::parse).collect();
        parts.ok()?.try_into().ok()
    };
    let ([year, month, day], [hour, minute, second]) = (three(date, '-')?, three(time, ':')?);
    if !(1970..=9999).contains(&year)
        || month > 12
        || day > 31
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    // The other way round than `civil`.
    let (shifted, from_march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_era = shifted % 400;
    let of_year = (153 * from_march + 2) / 5 + day.checked_sub(1)?;
    let days = shifted / 400 * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    let seconds = days.checked_sub(719_468)? * 86_400 + hour * 3_600 + minute * 60 + second;
    // A day that does not exist comes out as another one.
    let found = civil(Nanos(seconds.checked_mul(1_000_000_000)?)).0;
    (found == [year, month, day, hour, minute, second]).then_some(seconds)
}

/// The CRC-32 of IEEE 802.3, as checksums of books use it.
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        let index = (crc ^ u32::from(*byte)) & 0xff;
        CRC_TABLE[index as usize] ^ (crc >> 8)
    })
}

const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        let mut crc = n as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
            bit += 1;
        }
        table[n] = crc;
        n += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_venues_write_them() {
        let number = Decimal::new(1_250, 3);
        assert_eq!((fixed(number, 8).as_str(), short(number).as_str()), ("1.25000000", "1.25"));
        assert_eq!(short(Decimal::new(40, 0)), "40.0");
        assert_eq!(short(Decimal::new(0, 8)), "0.0");
    }

    #[test]
    fn times_are_dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
            (1_767_225_600, "2026-01-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(Nanos(seconds * 1_000_000_000), 0), text);
        }
        assert_eq!(rfc3339(Nanos(1_500_000), 6), "1970-01-01T00:00:00.001500Z");
        assert_eq!(rfc3339(Nanos(7), 9), "1970-01-01T00:00:00.000000007Z");
    }

    #[test]
    fn a_time_has_its_day_of_the_week() {
        // docs.kraken.com, "Get Server Time".
        assert_eq!(rfc1123(Nanos(1_616_336_594_000_000_000)), "Sun, 21 Mar 21 14:23:14 +0000");
        let date = http_date(Nanos(1_616_336_594_000_000_000));
        assert_eq!(date, "Sun, 21 Mar 2021 14:23:14 GMT");
        assert_eq!(rfc1123(Nanos(0)), "Thu, 01 Jan 70 00:00:00 +0000");
    }

    #[test]
    fn dates_are_times_and_nonsense_is_none() {
        for day in (0..60_000).step_by(13) {
            let at = Nanos((day * 86_400 + day) * 1_000_000_000);
            assert_eq!(seconds_of(&rfc3339(at, 3)), Some(at.0 / 1_000_000_000));
            assert_eq!(
                seconds_of(rfc3339(at, 0).trim_end_matches('Z')),
                Some(at.0 / 1_000_000_000)
            );
        }
        for text in [
            "",
            "2026-11-24",
            "2026-02-30T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-18446744073709551615-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "1969-12-31T23:59:59Z",
            "9999-01-01T00:00:00Z",
            "99999999999999999999-01-01T00:00:00Z",
            "a-b-cTd:e:f",
        ] {
            assert_eq!(seconds_of(text), None, "{text}");
        }
    }

    #[test]
    fn the_checksum_is_the_one_that_all_use() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }
}
