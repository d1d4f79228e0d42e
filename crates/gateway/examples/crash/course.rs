//! How gateways end, one after the other: at random moments and at each named point in turn, and which
//! points no gateway ever came to.

use std::collections::BTreeMap;
use std::time::Duration;

use meltica::crash_points::POINTS;
use sim::rng::Rng;

use crate::world::End;

/// A gateway is killed so many milliseconds after its start.
const MOMENTS_MS: std::ops::Range<u64> = 50..1_500;
/// A point is fatal at one of its first passings.
const PASSINGS: std::ops::Range<u64> = 1..9;
/// A point that was not passed often enough is tried so many times more, at its first passing.
const TRIES: u32 = 3;

/// Where a campaign stands.
#[derive(Debug)]
pub struct Course {
    /// What can be passed at all.
    points: Vec<&'static str>,
    ends: u32,
    /// Points whose turn has been.
    turns: usize,
    /// Kills at each point.
    pub hits: BTreeMap<&'static str, u32>,
    /// How often a point was not passed at all, as long as it was not hit.
    misses: BTreeMap<&'static str, u32>,
}

impl Course {
    /// From a point on; `syncs`: where the ledger is synced.
    pub fn new(from: &str, syncs: bool) -> Self {
        let at = POINTS.iter().position(|point| *point == from).unwrap_or_default();
        let passed = |point: &&&str| syncs || !point.starts_with("ledger-sync");
        let points = POINTS[at..].iter().chain(&POINTS[..at]).filter(passed).copied().collect();
        Self { points, ends: 0, turns: 0, hits: BTreeMap::new(), misses: BTreeMap::new() }
    }

    /// At a moment and at a point in turn. A point that was missed takes the place of a moment.
    pub fn next(&mut self, rng: &mut Rng) -> End {
        self.ends += 1;
        if self.ends.is_multiple_of(2) {
            let point = self.points[self.turns % self.points.len()];
            self.turns += 1;
            return End::At(point, within(rng, &PASSINGS));
        }
        let missed = self.misses.iter().find(|(_, tries)| **tries <= TRIES);
        match missed {
            Some((point, _)) => End::At(point, 1),
            None => End::After(Duration::from_millis(within(rng, &MOMENTS_MS))),
        }
    }

    /// A gateway ended at that point.
    pub fn hit(&mut self, point: &'static str) {
        *self.hits.entry(point).or_default() += 1;
        self.misses.remove(point);
    }

    /// None came there in time.
    pub fn missed(&mut self, point: &'static str) {
        if !self.hits.contains_key(point) {
            *self.misses.entry(point).or_default() += 1;
        }
    }

    /// Points that none ever came to, though all had their turn, or they were tried often enough.
    pub fn never_hit(&self) -> Vec<&'static str> {
        let whole = self.turns >= self.points.len();
        let tried = |point: &str| self.misses.get(point).is_some_and(|tries| *tries > TRIES);
        let never = |point: &&str| !self.hits.contains_key(point) && (whole || tried(point));
        self.points.iter().copied().filter(never).collect()
    }
}

fn within(rng: &mut Rng, range: &std::ops::Range<u64>) -> u64 {
    range.start + rng.below(range.end - range.start)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ends of a campaign in which points are passed but for these.
    fn ends(course: &mut Course, kills: usize, dead: &[&str]) -> Vec<Option<(&'static str, u64)>> {
        let mut rng = Rng::new(1, 0);
        let one = |_| match course.next(&mut rng) {
            End::After(_) => None,
            End::At(point, n) => {
                match dead.contains(&point) {
                    true => course.missed(point),
                    false => course.hit(point),
                }
                Some((point, n))
            }
        };
        (0..kills).map(one).collect()
    }

    #[test]
    fn every_point_has_its_turn_from_where_it_begins() {
        let mut course = Course::new("send-before", true);
        let all = ends(&mut course, 2 * POINTS.len(), &[]);
        let at: Vec<_> = all.iter().flatten().map(|(point, _)| *point).collect();
        assert_eq!((at.len(), at[0]), (POINTS.len(), "send-before"));
        assert_eq!(course.hits.len(), POINTS.len());
        assert_eq!(course.never_hit(), [""; 0]);
        let mut course = Course::new("ledger-acknowledgement-after", false);
        let all = ends(&mut course, 4, &[]);
        let at: Vec<_> = all.iter().flatten().map(|(point, _)| *point).collect();
        assert_eq!(at, ["ledger-acknowledgement-after", "send-before"], "nothing syncs");
    }

    #[test]
    fn a_point_that_is_missed_is_tried_again_at_its_first_passing_and_then_named() {
        let mut course = Course::new("send-after", true);
        let all = ends(&mut course, 3, &["send-after"]);
        assert_eq!(all[2], Some(("send-after", 1)));
        assert_eq!(course.never_hit(), [""; 0], "not tried often enough");
        ends(&mut course, 6, &["send-after"]);
        assert_eq!(course.never_hit(), ["send-after"]);
        let mut course = Course::new("send-after", true);
        ends(&mut course, 2, &["send-after"]);
        ends(&mut course, 1, &[]);
        ends(&mut course, 2 * POINTS.len(), &[]);
        assert_eq!(course.never_hit(), [""; 0], "hit at the second try");
    }

    #[test]
    fn a_whole_campaign_names_all_that_were_never_hit() {
        let mut course = Course::new(POINTS[0], true);
        let last = POINTS[POINTS.len() - 1];
        ends(&mut course, 2 * POINTS.len() - 2, &[last]);
        assert_eq!(course.never_hit(), [""; 0], "its turn has not come");
        ends(&mut course, 2, &[last]);
        assert_eq!(course.never_hit(), [last]);
    }
}
