//! A point in time as it stands in a file name, `20261103T142501Z`, and as people read it,
//! `2026-11-03T14:25:01.000Z`.

use model::Nanos;

const DAY_S: u64 = 86_400;
/// Days from 0000-03-01, where a year ends with its leap day, to 1970-01-01.
const EPOCH_FROM_MARCH_0: u64 = 719_468;
/// Days of the 400 years after which the calendar repeats.
const ERA_DAYS: u64 = 146_097;

/// The point in time for a file's name, in UTC and whole seconds.
pub(crate) fn utc(t: Nanos) -> String {
    let ([year, month, day], [hour, minute, second]) = parts(t);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// The point in time for people, in UTC and milliseconds.
pub(crate) fn utc_ms(t: Nanos) -> String {
    let ([year, month, day], [hour, minute, second]) = parts(t);
    let ms = t.0 / 1_000_000 % 1_000;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

fn parts(t: Nanos) -> ([u64; 3], [u64; 3]) {
    let seconds = t.0 / 1_000_000_000;
    let (year, month, day) = date(seconds / DAY_S);
    let of_day = seconds % DAY_S;
    ([year, month, day], [of_day / 3_600, of_day / 60 % 60, of_day % 60])
}

/// Year, month and day of the Gregorian calendar, `days` after 1970-01-01.
///
/// Years are counted from March, so that the leap day is the last; the algorithm is
/// `civil_from_days` of <https://howardhinnant.github.io/date_algorithms.html>.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + EPOCH_FROM_MARCH_0;
    let (era, of_era) = (days / ERA_DAYS, days % ERA_DAYS);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_points_in_time() {
        let at = |seconds: u64| utc(Nanos(seconds * 1_000_000_000 + 999_999_999));
        assert_eq!(at(0), "19700101T000000Z");
        assert_eq!(at(951_827_696), "20000229T123456Z");
        assert_eq!(at(1_633_998_511), "20211012T002831Z");
        assert_eq!(at(4_107_542_399), "21000228T235959Z");
        assert_eq!(at(4_107_542_400), "21000301T000000Z");
        assert_eq!(utc(Nanos(u64::MAX)), "25540721T233433Z");
        assert_eq!(utc_ms(Nanos(951_827_696_007_999_999)), "2000-02-29T12:34:56.007Z");
    }
}
