//! What this process holds, and whether it grows.

use std::time::Duration;

/// Resident memory in bytes; `None` where the system does not say.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: u64 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1_024)
}

/// Open descriptors; `None` where the system does not say.
#[must_use]
pub fn descriptors() -> Option<usize> {
    // The folder is open itself while it is read.
    std::fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count().saturating_sub(1))
}

/// A straight line through samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slope {
    /// Growth in bytes an hour.
    pub bytes_per_hour: f64,
    /// The standard error of that.
    pub error: f64,
}

impl Slope {
    /// The line of least squares through (time, bytes); `None` for fewer than three moments.
    #[must_use]
    pub fn through(samples: &[(Duration, u64)]) -> Option<Self> {
        const HOUR_S: f64 = 3_600.0;
        let count = samples.len() as f64;
        let points = samples.iter().map(|(at, bytes)| (at.as_secs_f64() / HOUR_S, *bytes as f64));
        let mean = |sum: f64| sum / count;
        let (x, y) = points.clone().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
        let (x, y) = (mean(x), mean(y));
        let (xx, xy) = points.clone().fold((0.0, 0.0), |(xx, xy), point| {
            (xx + (point.0 - x).powi(2), xy + (point.0 - x) * (point.1 - y))
        });
        if samples.len() < 3 || xx <= 0.0 {
            return None;
        }
        let slope = xy / xx;
        let off = points.map(|point| (point.1 - y - slope * (point.0 - x)).powi(2)).sum::<f64>();
        Some(Self { bytes_per_hour: slope, error: (off / (count - 2.0) / xx).sqrt() })
    }

    /// Whether this is growth: more than `allowance` an hour, and more than noise would show.
    #[must_use]
    pub fn grows(&self, allowance: f64) -> bool {
        self.bytes_per_hour > allowance && self.bytes_per_hour > 4.0 * self.error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1_024 * 1_024;

    fn each_minute(bytes: impl Fn(u64) -> u64) -> Vec<(Duration, u64)> {
        (0..30).map(|minute| (Duration::from_secs(60 * minute), bytes(minute))).collect()
    }

    #[test]
    fn a_straight_growth_is_found_exactly() {
        let slope = Slope::through(&each_minute(|minute| 50 * MIB + minute * MIB)).unwrap();
        assert!((slope.bytes_per_hour - 60.0 * MIB as f64).abs() < 1.0, "{slope:?}");
        assert!(slope.error < 1.0, "{slope:?}");
        assert!(slope.grows(MIB as f64) && !slope.grows(61.0 * MIB as f64));
    }

    #[test]
    fn noise_around_a_level_is_no_growth() {
        let noise = |minute: u64| (minute * 7_919 % 13) * MIB / 4;
        let slope = Slope::through(&each_minute(|minute| 50 * MIB + noise(minute))).unwrap();
        assert!(!slope.grows(0.0), "{slope:?}");
        let leaking = each_minute(|minute| 50 * MIB + noise(minute) + minute * MIB);
        assert!(Slope::through(&leaking).unwrap().grows(8.0 * MIB as f64));
    }

    #[test]
    fn a_line_needs_three_moments() {
        let minute = Duration::from_secs(60);
        assert_eq!(Slope::through(&[(minute, 1), (minute * 2, 2)]), None);
        assert_eq!(Slope::through(&[(minute, 1); 5]), None, "one moment five times");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_holds_something() {
        assert!(resident_bytes().is_some_and(|bytes| bytes > MIB / 2));
        let before = descriptors().unwrap();
        let file = std::fs::File::open("/proc/self/status").unwrap();
        // Other tests open and close files meanwhile.
        assert!(before >= 3 && descriptors().unwrap() >= 3);
        drop(file);
    }
}
