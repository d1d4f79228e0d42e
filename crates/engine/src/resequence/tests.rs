//! Each rule by example; and for any arrivals: what leaves is the sort within the window, each
//! position once, and nothing waits without a hole before it or longer than it may.

use std::time::Duration;

use model::Header;
use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;

/// A sequence and what left it: positions, 0 where a hole was given up.
struct Bench {
    sequence: Sequence,
    out: Vec<u64>,
    /// How many were doubles, and how many too late.
    behind: (u64, u64),
    now: Nanos,
}

impl Bench {
    fn new(events_max: usize) -> Self {
        let sequence = Sequence::new(Limits { events_max, ..Limits::default() });
        Self { sequence, out: Vec::new(), behind: (0, 0), now: Nanos(0) }
    }

    /// An arrival, as the shard takes it.
    fn arrive(&mut self, position: u64) -> Place {
        let place = self.sequence.arrive(position);
        match place {
            Place::Next | Place::Filler => self.out.push(position),
            Place::Early => {
                let header =
                    Header { seq_provider: Some(position), ts_recv: self.now, ..Header::default() };
                self.sequence.hold(position, Event { header, ..Event::default() }, self.now);
            }
            Place::Duplicate => self.behind.0 += 1,
            Place::Late => self.behind.1 += 1,
        }
        self.release();
        place
    }

    fn release(&mut self) {
        while let Some(release) = self.sequence.release() {
            self.out.push(match release {
                Release::Gap => 0,
                Release::Event(event) => event.header.seq_provider.unwrap(),
            });
        }
    }

    /// Time passes, and the looks that are due in it happen.
    fn pass(&mut self, ms: u64) {
        let end = Nanos(self.now.0 + ms * MS);
        while let Some(at) = self.sequence.look_at.filter(|at| *at <= end) {
            self.sequence.look(at);
            self.release();
        }
        self.now = end;
    }
}

fn arrived(events_max: usize, positions: &[u64]) -> Bench {
    let mut bench = Bench::new(events_max);
    for position in positions {
        bench.arrive(*position);
    }
    bench
}

#[test]
fn what_comes_in_order_leaves_at_once_wherever_it_begins() {
    let bench = arrived(200, &[70, 71, 72]);
    assert_eq!(bench.out, [70, 71, 72]);
    assert_eq!(bench.sequence.look_at, None, "nobody has to look");
}

#[test]
fn what_is_behind_a_hole_waits_until_the_hole_is_filled() {
    let mut bench = arrived(200, &[1, 3, 5]);
    assert_eq!(bench.out, [1]);
    assert_eq!(bench.arrive(2), Place::Filler);
    assert_eq!(bench.out, [1, 2, 3]);
    bench.arrive(4);
    assert_eq!(bench.out, [1, 2, 3, 4, 5]);
    assert_eq!(bench.sequence.look_at, None);
}

#[test]
fn after_the_lateness_the_hole_is_given_up_and_only_what_waited_long_enough_goes() {
    let mut bench = arrived(200, &[1, 3]);
    bench.pass(100);
    bench.arrive(7);
    bench.pass(49);
    assert_eq!(bench.out, [1]);
    bench.pass(1);
    assert_eq!(bench.out, [1, 0, 3], "7 waits for 4, 5 and 6 a little longer");
    bench.pass(100);
    assert_eq!(bench.out, [1, 0, 3, 0, 7]);
}

#[test]
fn an_event_that_expires_takes_those_before_it_along() {
    let mut bench = arrived(200, &[1, 9]);
    bench.pass(100);
    bench.arrive(5);
    bench.pass(50);
    assert_eq!(bench.out, [1, 0, 5, 0, 9]);
}

#[test]
fn one_more_than_may_wait_gives_up_the_oldest_hole() {
    let mut bench = arrived(3, &[1, 3, 4, 9]);
    assert_eq!(bench.out, [1]);
    bench.arrive(10);
    assert_eq!(bench.out, [1, 0, 3, 4], "what is behind the next hole goes on waiting");
    bench.pass(200);
    assert_eq!(bench.out, [1, 0, 3, 4, 0, 9, 10]);
}

#[test]
fn each_position_leaves_once_and_what_comes_too_late_is_told_from_what_was_there() {
    let mut bench = arrived(200, &[5, 6, 9]);
    for (position, place) in
        [(6, Place::Duplicate), (2, Place::Duplicate), (9, Place::Duplicate), (7, Place::Filler)]
    {
        assert_eq!(bench.arrive(position), place, "{position}");
    }
    bench.pass(200);
    assert_eq!(bench.arrive(8), Place::Late);
    assert_eq!(bench.arrive(9), Place::Duplicate);
    assert_eq!(bench.out, [5, 6, 7, 0, 9]);
}

#[test]
fn of_every_hole_that_was_given_up_what_comes_late_is_late_once() {
    let mut bench = arrived(200, &[1, 6, 8]);
    bench.pass(200);
    assert_eq!(bench.out, [1, 0, 6, 0, 8]);
    for (position, place) in [
        (4, Place::Late),
        (4, Place::Duplicate),
        (2, Place::Late),
        (5, Place::Late),
        (3, Place::Late),
        (7, Place::Late),
        (7, Place::Duplicate),
    ] {
        assert_eq!(bench.arrive(position), place, "{position}");
    }
    assert!(bench.sequence.given_up.is_empty());
}

#[test]
fn holes_that_were_given_up_are_known_within_a_bound() {
    let mut bench = Bench::new(1);
    let most = HOLES_MAX as u64;
    // Every second one is missing.
    (0..=most + 1).for_each(|n| assert_ne!(bench.arrive(2 * n + 1), Place::Duplicate));
    bench.pass(200);
    assert_eq!(bench.sequence.given_up.len(), HOLES_MAX);
    assert_eq!((bench.arrive(2), bench.arrive(4)), (Place::Duplicate, Place::Late));
    let mut bench = arrived(200, &[1, 1_000]);
    bench.pass(200);
    // One hole is cut into many.
    (1..=most + 5).for_each(|n| assert_ne!(bench.arrive(2 * n + 1), Place::Duplicate));
    assert_eq!(bench.sequence.given_up.len(), HOLES_MAX);
}

#[test]
fn what_is_flushed_goes_out_whole_and_what_is_forgotten_may_begin_anywhere() {
    let mut bench = arrived(200, &[5, 7, 9]);
    bench.sequence.flush();
    bench.release();
    assert_eq!(bench.out, [5, 0, 7, 0, 9]);
    assert_eq!(bench.arrive(3), Place::Duplicate);
    bench.sequence.forget();
    assert_eq!(bench.arrive(3), Place::Next);
    assert_eq!(bench.arrive(5), Place::Early);
}

#[test]
fn the_last_position_there_is_is_no_end() {
    let mut bench = arrived(200, &[u64::MAX - 2, u64::MAX]);
    bench.pass(200);
    assert_eq!(bench.arrive(u64::MAX), Place::Duplicate);
    assert_eq!(bench.out, [u64::MAX - 2, 0, u64::MAX]);
}

/// The rules, written down once more over plain lists that are sorted anew at every step.
#[derive(Default)]
struct Naive {
    out: Vec<u64>,
    last: Option<u64>,
    /// Position, and when it arrived.
    waiting: Vec<(u64, u64)>,
    look_at: u64,
    /// What went by and never came.
    lacking: BTreeSet<u64>,
    behind: (u64, u64),
}

impl Naive {
    fn arrive(&mut self, position: u64, now_ms: u64, events_max: usize) {
        let known = self.waiting.iter().any(|(other, _)| *other == position);
        if known || self.last.is_some_and(|last| position <= last) {
            let late = self.lacking.remove(&position);
            *(if late { &mut self.behind.1 } else { &mut self.behind.0 }) += 1;
            return;
        }
        if self.waiting.is_empty() {
            self.look_at = now_ms + 50;
        }
        self.waiting.push((position, now_ms));
        self.settle(|_, waiting| waiting.len() > events_max);
    }

    fn pass(&mut self, until_ms: u64) {
        while !self.waiting.is_empty() && self.look_at <= until_ms {
            let now = self.look_at;
            self.settle(|_, waiting| waiting.iter().any(|(_, at)| at + 150 <= now));
            self.look_at = now + 50;
        }
    }

    fn forget(&mut self) {
        self.last = None;
        self.lacking.clear();
    }

    /// As long as the lowest is the next one, or has to go, it goes.
    fn settle(&mut self, must: impl Fn(u64, &[(u64, u64)]) -> bool) {
        loop {
            self.waiting.sort_unstable();
            let Some((lowest, _)) = self.waiting.first().copied() else { return };
            let next = self.last.is_none_or(|last| lowest == last + 1);
            if !next && !must(lowest, &self.waiting) {
                return;
            }
            if !next {
                self.out.push(0);
                self.lacking.extend(self.last.map_or(0, |last| last + 1)..lowest);
            }
            self.out.push(lowest);
            self.last = Some(lowest);
            self.waiting.remove(0);
        }
    }
}

/// What happens to a stream.
#[derive(Clone, Copy, Debug)]
enum Step {
    Arrive(u64),
    Flush,
    StartOver,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![30 => (1..40u64).prop_map(Step::Arrive), 1 => Just(Step::Flush), 1 => Just(Step::StartOver)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// Two connections, each with losses and delays of its own, and a stream that ends for a while:
    /// whatever arrives, what leaves is what the rules say, ascending, what does not is counted for
    /// what it is, and nothing waits but behind a hole.
    #[test]
    fn what_leaves_is_what_the_naive_rules_say(
        events_max in 1..8usize,
        steps in prop::collection::vec((step(), 0..80u64), 1..200),
    ) {
        let (mut bench, mut naive) = (Bench::new(events_max), Naive::default());
        let mut arrived = BTreeSet::new();
        let mut begins = 0;
        for (step, ms) in steps {
            bench.pass(ms);
            naive.pass(bench.now.0 / MS);
            match step {
                Step::Arrive(position) => {
                    bench.arrive(position);
                    arrived.insert(position);
                    naive.arrive(position, bench.now.0 / MS, events_max);
                }
                Step::Flush | Step::StartOver => {
                    bench.sequence.flush();
                    bench.release();
                    naive.settle(|_, _| true);
                }
            }
            if matches!(step, Step::StartOver) {
                bench.sequence.forget();
                naive.forget();
                begins = bench.out.len();
            }
            prop_assert_eq!((&bench.out, bench.behind), (&naive.out, naive.behind));
            let Sequence { position: last, waiting, look_at, .. } = &bench.sequence;
            prop_assert!(waiting.len() <= events_max);
            prop_assert_eq!(look_at.is_some(), !waiting.is_empty());
            for (position, event) in waiting {
                prop_assert!(last.is_some_and(|last| last + 1 < *position));
                prop_assert!(bench.now.since(event.header.ts_recv) < Duration::from_millis(200));
            }
            let left = bench.out[begins..].iter().filter(|position| **position > 0);
            prop_assert!(left.is_sorted_by(|a, b| a < b), "{:?}", bench.out);
        }
        bench.pass(1_000);
        prop_assert!(bench.out.iter().all(|position| *position == 0 || arrived.contains(position)));
    }

    /// Where positions skip, each goes out once and none is lost, whatever the order, as long as it is
    /// not further behind than is remembered; what is, is late or a double.
    #[test]
    fn where_positions_skip_what_leaves_is_the_naive_set(
        positions in prop::collection::vec(prop_oneof![0..60u64, 0..3_000u64], 1..2_500),
    ) {
        let (mut recent, mut naive) = (Recent::default(), BTreeSet::new());
        for position in positions {
            let newer = naive.range(position + 1..).count();
            match recent.arrive(position) {
                Place::Next => prop_assert!(naive.insert(position), "{} twice", position),
                Place::Duplicate => prop_assert!(naive.contains(&position)),
                Place::Late => prop_assert!(newer >= crate::capacity::RECENT_MAX),
                place => prop_assert!(false, "{:?}", place),
            }
        }
    }

    /// Nothing is displaced by more than the window: what leaves is the sort, nothing is lost, and
    /// no hole is given up, however often each event comes.
    #[test]
    fn within_the_window_what_leaves_is_the_sort(
        delays in prop::collection::vec(prop::collection::vec(0..150u64, 1..4), 1..150),
    ) {
        let mut arrivals: Vec<(u64, u64)> = Vec::new();
        for (position, delays) in (1..).zip(&delays) {
            // Sent a millisecond apart, over as many connections as there are delays.
            arrivals.extend(delays.iter().map(|delay| (10 + position + delay, position)));
        }
        // The stream is known from before.
        arrivals.push((0, 0));
        arrivals.sort_unstable();
        let mut bench = Bench::new(200);
        for (at, position) in arrivals {
            bench.pass(at - bench.now.0 / MS);
            bench.arrive(1_000 + position);
        }
        bench.pass(1_000);
        let sorted: Vec<_> = (1_000..=1_000 + delays.len() as u64).collect();
        prop_assert_eq!(bench.out, sorted);
    }
}
