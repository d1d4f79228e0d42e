//! Consumers that panic, that overrun their budget, and that do not return.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use model::venue::Pipeline;
use model::{Body, Event, Kind, ProviderId, StreamState};

use super::*;
use crate::testing::{self, Follower};
use crate::{Context, QueueCapacity, Shard};

/// Follows, and panics on trades of those numbers.
struct Fragile {
    follower: Follower,
    panics_on: Vec<u64>,
    seen: Arc<AtomicU64>,
}

impl Consumer for Fragile {
    fn on_event(&mut self, event: Event, ctx: &mut Context<'_>) {
        self.seen.fetch_add(1, Ordering::Relaxed);
        if let Body::Trade(trade) = &event.body {
            assert!(!self.panics_on.contains(&trade.trade_id), "trade {}", trade.trade_id);
        }
        self.follower.on_event(event, ctx);
    }
}

fn shard() -> (Shard, Inbox) {
    let (shard, mut inboxes) = testing::shard(&[("a", QueueCapacity::default())]);
    (shard, inboxes.remove(0))
}

fn ms(ms: u64) -> Nanos {
    Nanos(1) + Duration::from_millis(ms)
}

/// Keeps what it is given where the test can look.
#[derive(Clone, Default)]
struct Shared(Arc<std::sync::Mutex<Follower>>);

struct Made {
    shared: Shared,
    panics_on: u64,
}

impl Consumer for Made {
    fn on_event(&mut self, event: Event, ctx: &mut Context<'_>) {
        if let Body::Trade(trade) = &event.body {
            assert_ne!(trade.trade_id, self.panics_on);
        }
        self.shared.0.lock().unwrap().on_event(event, ctx);
    }
}

#[test]
fn one_that_can_not_be_made_anew_loses_the_event_and_goes_on() {
    let (mut shard, inbox) = shard();
    let seen = Arc::new(AtomicU64::new(0));
    let fragile = Fragile { follower: Follower::default(), panics_on: vec![2], seen: seen.clone() };
    let mut runner = Runner::new(inbox, Box::new(fragile));
    for n in 1..=3 {
        testing::trade(&mut shard, ms(n), n);
    }
    shard.end_turn(ms(3));
    assert_eq!(runner.run(|| ms(3)), 3);
    assert_eq!(seen.load(Ordering::Relaxed), 3);
    let counts = runner.inbox().tally().counts();
    assert_eq!((counts.panics, counts.delivered, counts.restarts), (1, 3, 0));
}

#[test]
fn one_that_is_made_anew_begins_with_whole_books_and_misses_nothing_critical() {
    let (mut shard, inbox) = shard();
    let (made, shared) = (Arc::new(AtomicU32::new(0)), Shared::default());
    let (counter, later) = (made.clone(), shared.clone());
    let factory: Factory = Box::new(move || {
        let first = counter.fetch_add(1, Ordering::Relaxed) == 0;
        let shared = if first { Shared::default() } else { later.clone() };
        Box::new(Made { shared, panics_on: if first { 5 } else { 0 } })
    });
    let mut runner = Runner::made(inbox, factory, Restart::default());
    for n in 1..=8 {
        testing::update(&mut shard, ms(n), n);
        testing::trade(&mut shard, ms(n), n);
    }
    shard.end_turn(ms(8));
    // The snapshot and its state, four updates and five trades, of which the last is fatal.
    assert_eq!(runner.run(|| ms(8)), 11);
    assert!(runner.may_sleep());
    assert_eq!((runner.run(|| ms(50)), runner.deadline()), (0, Some(ms(108))), "not yet");
    testing::update(&mut shard, ms(60), 9);
    testing::status(&mut shard, ms(60), Kind::Trade, StreamState::Gapped);
    shard.end_turn(ms(60));
    let left = runner.run(|| ms(108));
    assert_eq!((left, made.load(Ordering::Relaxed)), (8, 2));
    assert_eq!(shared.0.lock().unwrap().transitions, 1, "critical events come as ever");
    assert_eq!(shard.deadline(), Some(Nanos(0)), "a turn is wanted at once, to begin anew");
    testing::update(&mut shard, ms(109), 10);
    shard.end_turn(ms(109));
    testing::trade(&mut shard, ms(110), 20);
    testing::update(&mut shard, ms(110), 11);
    shard.end_turn(ms(110));
    while runner.run(|| ms(110)) > 0 {}
    let mut port = shard.port(ProviderId(0), ms(110));
    shared.0.lock().unwrap().assert_same_book(port.book(testing::INSTRUMENT));
    assert_eq!(shared.0.lock().unwrap().trades, [20]);
    assert_eq!(shared.0.lock().unwrap().transitions, 1 + 2, "both streams say how they stand");
    let counts = runner.inbox().tally().counts();
    assert_eq!((counts.panics, counts.restarts), (1, 1));
    assert_eq!(
        counts.offered + counts.snapshots,
        counts.delivered + counts.skipped + counts.conflated
    );
}

#[test]
fn what_the_one_before_had_left_is_skipped_also_when_the_shard_has_begun_anew() {
    let (mut shard, inbox) = shard();
    let (mut first, shared) = (true, Shared::default());
    let later = shared.clone();
    let factory: Factory = Box::new(move || {
        let panics_on = u64::from(std::mem::take(&mut first));
        Box::new(Made { shared: later.clone(), panics_on })
    });
    let mut runner = Runner::made(inbox, factory, Restart::default());
    let most = BATCH_MAX as u64;
    (1..=most + 10).for_each(|n| testing::trade(&mut shard, ms(0), n));
    shard.end_turn(ms(0));
    assert_eq!((runner.run(|| ms(0)), runner.run(|| ms(100))), (1, BATCH_MAX));
    shard.end_turn(ms(100));
    testing::trade(&mut shard, ms(101), most + 11);
    shard.end_turn(ms(101));
    while runner.run(|| ms(101)) > 0 {}
    assert_eq!(shared.0.lock().unwrap().trades, [most + 11]);
    assert_eq!(runner.inbox().tally().counts().skipped, most + 9);
}

#[test]
fn what_panics_again_and_again_is_made_anew_ever_more_rarely() {
    let (mut shard, inbox) = shard();
    let made = Arc::new(AtomicU32::new(0));
    let counter = made.clone();
    let factory: Factory = Box::new(move || {
        assert!(counter.fetch_add(1, Ordering::Relaxed) != 3, "no more of them");
        Box::new(Made { shared: Shared::default(), panics_on: 7 })
    });
    let (first, most) = (Duration::from_millis(100), Duration::from_millis(400));
    let mut runner = Runner::made(inbox, factory, Restart::AfterPanic { first, most });
    let (mut now, mut waits) = (ms(0), Vec::new());
    for _ in 0..6 {
        // The one that was made just now asks to begin anew; what follows is for it.
        shard.end_turn(now);
        testing::trade(&mut shard, now, 7);
        shard.end_turn(now);
        while runner.deadline().is_none() && runner.run(|| now) > 0 {}
        let Some(at) = runner.deadline() else { panic!("it does not panic") };
        waits.push(u64::try_from(at.since(now).as_millis()).unwrap());
        now = at;
        runner.run(|| now);
    }
    assert_eq!(waits, [100, 200, 400, 400, 400, 400], "a factory that panics is tried again too");
    assert_eq!(runner.inbox().tally().counts().panics, 6);
}

/// Panics when it is handed anything, and once more when it goes.
struct Broken {
    gone: Arc<AtomicU32>,
    has_panicked: bool,
}

impl Consumer for Broken {
    fn on_event(&mut self, _: Event, _: &mut Context<'_>) {
        self.has_panicked = true;
        panic!("broken");
    }
}

impl Drop for Broken {
    fn drop(&mut self) {
        self.gone.fetch_add(1, Ordering::Relaxed);
        assert!(!self.has_panicked, "broken still");
    }
}

#[test]
fn one_that_breaks_once_more_when_it_goes_is_gone_and_what_lived_long_comes_back_soon() {
    let (mut shard, inbox) = shard();
    let gone = Arc::new(AtomicU32::new(0));
    let counter = gone.clone();
    let factory: Factory =
        Box::new(move || Box::new(Broken { gone: counter.clone(), has_panicked: false }));
    let (first, most) = (Duration::from_millis(100), Duration::from_millis(400));
    let mut runner = Runner::made(inbox, factory, Restart::AfterPanic { first, most });
    let mut now = ms(0);
    let mut dies_after = |runner: &mut Runner, lived: u64| {
        shard.end_turn(now);
        now = now + Duration::from_millis(lived);
        testing::trade(&mut shard, now, 1);
        shard.end_turn(now);
        runner.run(|| now);
        let at = runner.deadline().unwrap();
        let waits = at.since(now).as_millis();
        now = at;
        runner.run(|| now);
        waits
    };
    let waits = [0, 400, 401, 0].map(|lived| dies_after(&mut runner, lived));
    assert_eq!(waits, [100, 200, 100, 200]);
    assert_eq!(gone.load(Ordering::Relaxed), 4);
}

#[test]
fn one_that_is_down_when_the_shard_goes_gets_what_is_left_at_once() {
    let (mut shard, inbox) = shard();
    let shared = Shared::default();
    let later = shared.clone();
    let factory: Factory = Box::new(move || Box::new(Made { shared: later.clone(), panics_on: 1 }));
    let mut runner = Runner::made(inbox, factory, Restart::default());
    testing::trade(&mut shard, ms(0), 1);
    testing::status(&mut shard, ms(0), Kind::Trade, StreamState::Gapped);
    shard.end_turn(ms(0));
    assert_eq!((runner.run(|| ms(0)), runner.run(|| ms(1))), (1, 0), "it is down");
    drop(shard);
    assert_eq!(runner.run(|| ms(1)), 1);
    assert!(runner.is_closed() && shared.0.lock().unwrap().transitions == 1);
}

#[test]
fn one_that_can_not_be_made_any_more_does_not_hold_up_the_end() {
    let (mut shard, inbox) = shard();
    let made = Arc::new(AtomicU32::new(0));
    let counter = made.clone();
    let factory: Factory = Box::new(move || {
        assert!(counter.fetch_add(1, Ordering::Relaxed) == 0, "no more of them");
        Box::new(Made { shared: Shared::default(), panics_on: 1 })
    });
    let mut runner = Runner::made(inbox, factory, Restart::default());
    testing::trade(&mut shard, ms(0), 1);
    testing::trade(&mut shard, ms(0), 2);
    shard.end_turn(ms(0));
    assert_eq!(runner.run(|| ms(0)), 1);
    drop(shard);
    assert!(!runner.is_closed(), "a trade is left");
    assert_eq!((runner.run(|| ms(1)), runner.deadline()), (0, None));
    assert!(runner.is_closed(), "nobody will ever take it");
    assert_eq!(runner.run(|| ms(2)), 0);
    assert_eq!(made.load(Ordering::Relaxed), 2, "it was tried once");
    assert_eq!(runner.inbox().tally().counts().panics, 2);
}

/// Panics with every event, and counts the ends of batches.
struct Dead(Arc<AtomicU32>);

impl Consumer for Dead {
    fn on_event(&mut self, _: Event, _: &mut Context<'_>) {
        panic!("dead");
    }

    fn on_batch_end(&mut self, _: &mut Context<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn one_that_is_made_anew_is_not_called_once_more_after_its_panic() {
    for (restart, ends) in [(Restart::default(), 0), (Restart::Never, 1)] {
        let (mut shard, inbox) = shard();
        let counter = Arc::new(AtomicU32::new(0));
        let counted = counter.clone();
        let factory: Factory = Box::new(move || Box::new(Dead(counted.clone())));
        let mut runner = Runner::made(inbox, factory, restart);
        testing::trade(&mut shard, ms(0), 1);
        shard.end_turn(ms(0));
        assert_eq!(runner.run(|| ms(0)), 1);
        assert_eq!(counter.load(Ordering::Relaxed), ends, "{restart:?}");
        assert_eq!(runner.inbox().tally().running(), None);
    }
}

struct Takes(Arc<AtomicU64>, Duration);

impl Consumer for Takes {
    fn on_event(&mut self, _: Event, _: &mut Context<'_>) {
        self.0.fetch_add(u64::try_from(self.1.as_nanos()).unwrap(), Ordering::Relaxed);
    }
}

/// Runs batches of one trade that takes so long, until it is moved off; how many that was.
fn batches_until_moved(took: Duration, batches: u64) -> Option<u64> {
    let (mut shard, inbox) = shard();
    let clock = Arc::new(AtomicU64::new(1));
    let runner = Runner::new(inbox, Box::new(Takes(clock.clone(), took)));
    let mut resident = Resident::new(runner, Duration::from_micros(200), 8);
    let now = || Nanos(clock.load(Ordering::Relaxed));
    for n in 1..=batches {
        testing::trade(&mut shard, now(), n);
        shard.end_turn(now());
        match resident.run(now) {
            Stay::Here => assert!(!resident.has_events()),
            Stay::MoveOff => {
                let counts = resident.into_runner().inbox().tally().counts();
                assert!(counts.overruns > 0 && counts.delivered == n);
                return Some(n);
            }
        }
    }
    None
}

#[test]
fn a_consumer_that_takes_too_long_is_moved_off_the_sooner_the_longer_it_takes() {
    assert_eq!(batches_until_moved(Duration::from_micros(200), 3_000), None);
    assert_eq!(batches_until_moved(Duration::from_micros(201), 3_000), Some(9));
    assert_eq!(batches_until_moved(Duration::from_micros(600), 3_000), Some(5));
    assert_eq!(batches_until_moved(Duration::from_millis(50), 3_000), Some(1));
}

#[test]
fn overruns_are_forgiven_and_a_batch_on_the_shard_is_short() {
    let (mut shard, inbox) = shard();
    let clock = Arc::new(AtomicU64::new(1));
    let runner = Runner::new(inbox, Box::new(Takes(clock.clone(), Duration::from_micros(7))));
    let mut resident = Resident::new(runner, Duration::from_micros(200), 0);
    let now = || Nanos(clock.load(Ordering::Relaxed));
    for n in 1..=64 {
        testing::trade(&mut shard, now(), n);
    }
    shard.end_turn(now());
    assert_eq!(resident.run(now), Stay::MoveOff, "32 times 7 are more than 200");
    assert_eq!(resident.runner.inbox().tally().counts().delivered, 32);
    for n in 1..=FORGIVEN_AFTER {
        testing::trade(&mut shard, now(), u64::from(n));
        shard.end_turn(now());
        clock.fetch_add(1, Ordering::Relaxed);
        resident.judge(Duration::from_micros(1));
    }
    assert_eq!(resident.strikes, 0);
    let (kept, over) = (Duration::from_micros(200), Duration::from_micros(201));
    (0..FORGIVEN_AFTER / 2).for_each(|_| resident.judge(kept));
    resident.judge(over);
    (1..FORGIVEN_AFTER).for_each(|_| resident.judge(kept));
    assert_eq!(resident.strikes, 1, "not by a thousand in all");
    resident.judge(kept);
    assert_eq!(resident.strikes, 0, "by a thousand in a row");
}

#[test]
fn a_handler_that_does_not_return_is_counted_once_an_event() {
    let (mut shard, inbox) = shard();
    let tally = inbox.tally();
    for (trace_id, counted) in [(7, 1), (8, 2)] {
        tally.enter(Nanos(1), trace_id);
        for after in [999, 1_001, 5_000] {
            shard.watch_handlers(ms(after));
        }
        tally.leave();
        shard.watch_handlers(ms(9_000));
        assert_eq!(tally.counts().blocked, counted);
    }
    let mut runner = Runner::new(inbox, Box::new(Takes(Arc::default(), Duration::ZERO)));
    testing::trade(&mut shard, ms(9_000), 1);
    shard.end_turn(ms(9_000));
    assert_eq!(runner.run(|| ms(9_000)), 1);
    shard.watch_handlers(ms(20_000));
    assert_eq!(runner.inbox().tally().counts().blocked, 2, "with its batch a handler has returned");
}

#[test]
fn a_slow_handler_is_counted_when_it_returns() {
    for (took, slow) in [(100, 0), (101, 2)] {
        let (mut shard, inbox) = shard();
        let clock = Arc::new(AtomicU64::new(1));
        let takes = Takes(clock.clone(), Duration::from_millis(took));
        let mut runner = Runner::new(inbox, Box::new(takes));
        testing::trade(&mut shard, ms(0), 1);
        testing::trade(&mut shard, ms(0), 2);
        shard.end_turn(ms(0));
        runner.run(|| Nanos(clock.load(Ordering::Relaxed)));
        assert_eq!(runner.inbox().tally().counts().slow, slow, "{took} ms");
    }
}
