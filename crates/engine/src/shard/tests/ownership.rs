//! Whatever goes wrong, every pooled object comes home; and whoever keeps events holds none.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use pool::PoolStats;

use super::*;
use crate::capacity::DEAD_LETTERS_MAX;

/// Consumers with a queue for all that these tests send.
fn three() -> (Shard, Vec<Inbox>) {
    let capacity = QueueCapacity { ring: 16_384, ..QueueCapacity::default() };
    testing::shard(&[("a", capacity), ("b", capacity), ("c", capacity)])
}

#[track_caller]
fn all_home(shard: &Shard) {
    for pool in shard.pools().manager().stats() {
        assert_eq!(pool.in_use, 0, "{}", pool.pool);
    }
}

/// How often each trade came.
fn trades(inbox: &mut Inbox) -> Vec<u64> {
    take(inbox).iter().filter_map(|event| event.header.seq_provider).collect()
}

struct Panics;
impl Consumer for Panics {
    fn on_event(&mut self, _: Event, _: &mut Context<'_>) {
        panic!("on purpose");
    }
}

#[test]
fn a_panic_in_a_handler_holds_nothing_and_harms_nobody() {
    let (mut shard, mut inboxes) = three();
    (1..=100).for_each(|n| testing::trade(&mut shard, Nanos(n), n));
    shard.end_turn(Nanos(100));
    assert_eq!(inboxes[0].drain(&mut Panics, || Nanos(101)), 100);
    all_home(&shard);
    assert_eq!(inboxes[0].tally().counts().panics, 100);
    for inbox in &mut inboxes[1..] {
        assert!(trades(inbox).into_iter().eq(1..=100));
    }
}

#[test]
fn a_panic_in_decode_gives_back_the_frame_and_the_event() {
    let (mut shard, mut inboxes) = three();
    let decode = |shard: &mut Shard| {
        let _frame = shard.pools().ws_frames.try_acquire().unwrap();
        let mut event = shard.port(P, Nanos(1)).event().unwrap();
        event.set_kind(INSTRUMENT, Kind::Trade);
        panic!("on purpose");
    };
    for _ in 0..1_000 {
        assert!(catch_unwind(AssertUnwindSafe(|| decode(&mut shard))).is_err());
        all_home(&shard);
    }
    testing::trade(&mut shard, Nanos(2), 7);
    shard.end_turn(Nanos(2));
    assert_eq!(trades(&mut inboxes[0]), [7]);
}

#[test]
fn a_panic_in_the_middle_of_fan_out_gives_back_the_event() {
    for broken in 0..3 {
        let (mut shard, mut inboxes) = three();
        shard.fanout.break_outlet(broken);
        let sent = catch_unwind(AssertUnwindSafe(|| testing::trade(&mut shard, Nanos(1), 1)));
        assert!(sent.is_err());
        all_home(&shard);
        testing::trade(&mut shard, Nanos(2), 2);
        shard.end_turn(Nanos(2));
        for (n, inbox) in inboxes.iter_mut().enumerate() {
            let expected: &[u64] = if n < broken { &[1, 2] } else { &[2] };
            assert_eq!(trades(inbox), expected, "{n} with {broken} broken");
        }
        all_home(&shard);
    }
}

#[test]
fn a_flood_of_what_cannot_be_read_holds_what_it_may_and_is_counted() {
    let (mut shard, _inboxes) = three();
    let error = Error::ignore("no comma");
    let flood = |shard: &mut Shard| {
        (0..1_000).for_each(|n| shard.port(P, Nanos(n)).unreadable(ConnId(1), b"{", &error));
        let stats = shard.providers().next().unwrap().1.stats();
        (stats.unreadable, stats.unreadable_not_kept)
    };
    assert_eq!(flood(&mut shard), (1_000, 1_000), "nobody looks");
    let mut letters = shard.dead_letters();
    assert_eq!(flood(&mut shard), (2_000, 2_000 - DEAD_LETTERS_MAX as u64));
    let letter = letters.take().unwrap();
    let Content::Unreadable(raw) = &letter.content else { panic!("{letter:?}") };
    assert_eq!((raw.provider, letter.at), (P, Nanos(0)), "the oldest first");
    drop((letter, letters));
    let before = shard.providers().next().unwrap().1.stats().unreadable_not_kept;
    assert_eq!(flood(&mut shard), (3_000, before + 1_000), "nobody looks any more");
    all_home(&shard);
}

#[test]
fn events_that_a_consumer_keeps_for_an_hour_change_no_gauge() {
    let (mut shard, mut inboxes) = three();
    let gauges = |shard: &Shard| -> Vec<PoolStats> { shard.pools().manager().stats() };
    testing::trade(&mut shard, Nanos(0), 0);
    testing::update(&mut shard, Nanos(0), 0);
    shard.end_turn(Nanos(0));
    let mut kept = take(&mut inboxes[0]);
    let (before, start) = (gauges(&shard), Nanos(1));
    for n in 1..=5_000 {
        testing::trade(&mut shard, start, n);
        testing::update(&mut shard, start, n);
        shard.end_turn(start);
        kept.extend(take(&mut inboxes[0]));
    }
    assert!(kept.len() >= 10_000);
    assert_eq!(gauges(&shard), before);
    let hour = start + Duration::from_secs(3_600);
    testing::trade(&mut shard, hour, 5_001);
    shard.end_turn(hour);
    assert_eq!(gauges(&shard), before, "also an hour later");
    let numbers = kept.iter().filter(|event| event.kind() == Kind::Trade);
    assert!(numbers.filter_map(|event| event.header.seq_provider).eq(0..=5_000), "still theirs");
}

/// A room that keeps what it hears in numbers, and may panic over it.
#[derive(Debug, Default)]
struct Ears {
    heard: Vec<String>,
    missed: usize,
    panics: bool,
}

impl TradingRoom for Ears {
    fn heard(&mut self, _: ProviderId, heard: Heard, _: Nanos) {
        let Heard::Order(report) = heard else { return };
        assert!(!self.panics, "on purpose");
        self.heard.push(report.venue_order_id.clone());
    }

    fn missed(&mut self, _: ProviderId, _: Nanos) {
        self.missed += 1;
    }
}

/// As many reports as a machine tells in one message.
fn tell(shard: &mut Shard, ears: &mut Ears, reports: u64) {
    let mut port = shard.trading_port(P, Nanos(1), ears);
    for n in 0..reports {
        let Some(mut report) = port.exec_report() else { continue };
        report.venue_order_id.push_str(&n.to_string());
        port.heard(Heard::Order(report));
    }
}

#[test]
fn a_report_is_home_when_it_was_heard_also_where_that_panics() {
    let (mut shard, _inboxes) = three();
    let mut ears = Ears::default();
    // A list of a thousand orders is one answer, and takes one place.
    tell(&mut shard, &mut ears, 1_000);
    assert!(ears.heard.iter().cloned().eq((0..1_000).map(|n| n.to_string())));
    let stats = shard.pools().exec_reports.stats();
    assert_eq!((stats.in_use, stats.high_water, stats.exhausted), (0, 1, 0));
    let mut ears = Ears { panics: true, ..Ears::default() };
    for _ in 0..100 {
        let told = catch_unwind(AssertUnwindSafe(|| tell(&mut shard, &mut ears, 1)));
        assert!(told.is_err());
        all_home(&shard);
    }
}

#[test]
fn without_a_free_report_reading_stops_and_what_is_missed_is_said() {
    let (mut shard, _inboxes) = three();
    let pool = shard.pools().exec_reports.clone();
    let held: Vec<_> = std::iter::from_fn(|| pool.try_acquire()).collect();
    assert!(!shard.can_hear());
    let mut ears = Ears::default();
    tell(&mut shard, &mut ears, 7);
    assert_eq!((ears.heard.len(), ears.missed), (0, 7));
    assert_eq!(shard.providers().next().unwrap().1.stats().exhausted, 7);
    // Who took them all, whoever asked whether there is one, and each report.
    assert_eq!(pool.stats().exhausted, 1 + 1 + 7);
    drop(held);
    assert!(shard.can_hear());
    tell(&mut shard, &mut ears, 1);
    assert_eq!((ears.heard.len(), ears.missed), (1, 7));
    all_home(&shard);
}
