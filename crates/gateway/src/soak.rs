//! `meltica soak`: a demo that is watched for anything that grows.

use std::time::Duration;

use crate::demo::memory::Slope;
use crate::demo::{self, Options, Sample, Shown};

/// What is looked at, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Watch {
    /// Between two samples.
    pub every: Duration,
    /// At the start memory grows with all that is made once; this share of the run is not judged,
    /// in percent.
    pub warm_up_pct: u32,
    /// Memory may grow by so much an hour, in bytes: what a line through noise shows.
    pub allowance: f64,
    /// Runs of less than this are too short to be judged by their memory.
    pub judged_from: Duration,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(60),
            warm_up_pct: 25,
            allowance: 16.0 * 1_024.0 * 1_024.0,
            judged_from: Duration::from_secs(300),
        }
    }
}

/// Runs a soak to its end.
///
/// # Errors
/// As a demo's.
pub fn run(options: &Options, watch: Watch) -> Result<Shown, String> {
    let mut shown = demo::sampled(options, watch.every)?;
    let grown = judge(&shown.samples, watch);
    shown.broken.extend(grown);
    Ok(shown)
}

/// What is not as it was, in words.
fn judge(samples: &[Sample], watch: Watch) -> Vec<String> {
    let mut broken = Vec::new();
    let different = samples.iter().filter(|sample| sample.books_match_venues == Some(false));
    broken.extend(different.map(|sample| format!("after {:.0} s a book differed", sample.t_s)));
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return broken };
    let run = Duration::from_secs_f64(last.t_s);
    if run < watch.judged_from {
        return broken;
    }
    let from = run * watch.warm_up_pct / 100;
    let warm = samples.iter().filter(|sample| Duration::from_secs_f64(sample.t_s) >= from);
    let moments: Vec<_> =
        warm.map(|sample| (Duration::from_secs_f64(sample.t_s), sample.rss_bytes)).collect();
    if let Some(slope) = Slope::through(&moments).filter(|slope| slope.grows(watch.allowance)) {
        let Slope { bytes_per_hour, error } = slope;
        broken.push(format!("memory grows by {bytes_per_hour:.0} ± {error:.0} bytes an hour"));
    }
    // The gateway's own, the venues' and both ends of every connection, with room for renewals.
    if last.descriptors > 2 * first.descriptors + 16 {
        let (before, after) = (first.descriptors, last.descriptors);
        broken.push(format!("{after} descriptors are open, after {before} at the start"));
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1_024 * 1_024;

    fn samples(count: u32, of: impl Fn(u64) -> (u64, usize, Option<bool>)) -> Vec<Sample> {
        let sample = |minute: u32| {
            let (rss_bytes, descriptors, books_match_venues) = of(minute.into());
            Sample {
                t_s: f64::from(minute) * 60.0,
                rss_bytes,
                descriptors,
                pools: Vec::new(),
                books_match_venues,
                faults: 0,
            }
        };
        (0..count).map(sample).collect()
    }

    #[test]
    fn a_level_with_noise_after_a_warm_up_is_well() {
        let level = samples(20, |minute| {
            let warm_up = 40 * MIB * minute.min(4);
            (50 * MIB + warm_up + (minute * 31 % 7) * MIB / 8, 40, Some(true))
        });
        assert_eq!(judge(&level, Watch::default()), Vec::<String>::new());
    }

    #[test]
    fn growth_descriptors_and_differences_are_found() {
        let leak = samples(20, |minute| (50 * MIB + minute * MIB, 40, Some(true)));
        assert!(judge(&leak, Watch::default())[0].starts_with("memory grows by"));
        let open = samples(20, |minute| (50 * MIB, 40 + 10 * minute as usize, Some(true)));
        assert_eq!(
            judge(&open, Watch::default()),
            ["230 descriptors are open, after 40 at the start"]
        );
        let wrong = samples(20, |minute| (50 * MIB, 40, Some(minute != 3)));
        assert_eq!(judge(&wrong, Watch::default()), ["after 180 s a book differed"]);
    }

    #[test]
    fn a_short_run_is_not_judged_by_its_memory() {
        let short = samples(4, |minute| (50 * MIB + minute * 100 * MIB, 40, Some(true)));
        assert_eq!(judge(&short, Watch::default()), Vec::<String>::new());
        assert_eq!(judge(&[], Watch::default()), Vec::<String>::new());
    }
}
