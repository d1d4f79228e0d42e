//! The consumer's end: batches, panics, sleeping, and the whole protocol over two threads.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::task::Wake;
use std::time::Duration;

use model::venue::Pipeline;
use model::{Body, Kind, ProviderId, StreamState};
use tracing::field::{Field, Visit};
use tracing::{Level, Metadata, span};

use super::*;
use crate::doorbell::thread_waker;
use crate::testing::{self, Follower};
use crate::{Capacity, Shard};

struct Count(AtomicUsize);
impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn counter() -> (Arc<Count>, Waker) {
    let count = Arc::new(Count(AtomicUsize::new(0)));
    (count.clone(), Waker::from(count))
}

fn calls(count: &Count) -> usize {
    count.0.load(Ordering::Relaxed)
}

#[derive(Default)]
struct Batches {
    events: usize,
    ends: Vec<usize>,
    stamps: Vec<Nanos>,
}

impl Consumer for Batches {
    fn on_event(&mut self, _: Event, ctx: &mut Context<'_>) {
        self.events += 1;
        self.stamps.push(ctx.now);
    }
    fn on_batch_end(&mut self, ctx: &mut Context<'_>) {
        assert_eq!(&*ctx.catalog.consumer_name(ctx.consumer).unwrap(), "a");
        self.ends.push(self.events);
    }
}

#[test]
fn a_batch_is_what_is_there_up_to_a_limit_and_ends_once() {
    let capacity = QueueCapacity { ring: 1_000, ..QueueCapacity::default() };
    let (mut shard, mut inboxes) = testing::shard(&[("a", capacity)]);
    for n in 0..BATCH_MAX as u64 + 10 {
        testing::trade(&mut shard, Nanos(1_000), n);
    }
    shard.end_turn(Nanos(1_000));
    let mut consumer = Batches::default();
    let mut now = 1_000;
    let mut clock = || {
        now += 500;
        Nanos(now)
    };
    let inbox = &mut inboxes[0];
    assert_eq!(inbox.drain(&mut consumer, &mut clock), BATCH_MAX);
    assert_eq!(inbox.drain(&mut consumer, &mut clock), 10);
    assert_eq!(inbox.drain(&mut consumer, &mut clock), 0);
    assert_eq!(consumer.ends, [BATCH_MAX, BATCH_MAX + 10], "no end without a batch");
    assert!(consumer.stamps[..BATCH_MAX].iter().all(|now| *now == Nanos(1_500)));
    let latency = inbox.tally().latency();
    assert_eq!((latency.len(), latency.min()), (BATCH_MAX as u64 + 10, 500));
    assert_eq!(inbox.tally().counts().delivered, BATCH_MAX as u64 + 10);
}

/// Panics on every second event.
struct Faulty(u64);
impl Consumer for Faulty {
    fn on_event(&mut self, _: Event, _: &mut Context<'_>) {
        self.0 += 1;
        assert!(self.0.is_multiple_of(2), "faulty on purpose");
    }
    fn on_batch_end(&mut self, _: &mut Context<'_>) {
        panic!("faulty at the end, too");
    }
}

/// Lines of the log, field by field.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<BTreeMap<&'static str, String>>>>);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

struct Line(BTreeMap<&'static str, String>);

impl tracing::Subscriber for Log {
    fn enabled(&self, of: &Metadata<'_>) -> bool {
        *of.level() == Level::ERROR
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(BTreeMap::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// In a process of its own: what listens to the log is known to the whole process, and other tests panic
/// at the same time, to which nobody listens.
#[test]
fn a_panic_is_logged_with_consumer_trace_id_and_stack() {
    let name = "consumer::inbox::tests::a_panic_alone_is_logged_with_consumer_trace_id_and_stack";
    let alone = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--test-threads=1"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&alone.stdout);
    assert!(alone.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "run by the test above, in a process of its own"]
fn a_panic_alone_is_logged_with_consumer_trace_id_and_stack() {
    let (mut shard, mut inboxes) = testing::shard(&[("bad", QueueCapacity::default())]);
    for n in 0..3 {
        testing::trade(&mut shard, Nanos(n), n);
    }
    shard.end_turn(Nanos(10));
    panics::install();
    let (mut bad, log) = (Faulty(0), Log::default());
    tracing::subscriber::with_default(log.clone(), || {
        inboxes[0].drain(&mut bad, || Nanos(10));
    });
    let lines = log.0.lock().unwrap();
    let [first, second, end] = &lines[..] else { panic!("{lines:?}") };
    let of = [(first, "1", "on_event"), (second, "2", "on_event"), (end, "3", "on_batch_end")];
    for (line, nth, handler) in of {
        assert_eq!((&*line["consumer"], &*line["panics"]), ("\"bad\"", nth), "{line:?}");
        assert!(line["at"].contains("inbox/tests.rs"), "{line:?}");
        let stack = &line["stack"];
        assert!(stack.contains(handler) && stack.contains("drain"), "{stack}");
    }
    let trace = |line: &BTreeMap<&str, String>| line.get("trace_id").map(|id| id.parse().unwrap());
    let (one, two): (Option<u64>, Option<u64>) = (trace(first), trace(second));
    assert_eq!(two, one.map(|id| id + 2), "the first and the third event");
    assert!(one > Some(0) && trace(end).is_none(), "the end of a batch is of no event");
    assert!(first["panic"].contains("faulty on purpose"));
}

#[test]
fn a_panicking_consumer_goes_on_and_harms_no_other() {
    let capacity = QueueCapacity::default();
    let (mut shard, mut inboxes) = testing::shard(&[("bad", capacity), ("good", capacity)]);
    for n in 0..10 {
        testing::trade(&mut shard, Nanos(n), n);
    }
    shard.end_turn(Nanos(10));
    let (mut bad, mut good) = (Faulty(0), Follower::default());
    assert_eq!(inboxes[0].drain(&mut bad, || Nanos(10)), 10);
    assert_eq!(inboxes[1].drain(&mut good, || Nanos(10)), 10);
    let counts = inboxes[0].tally().counts();
    assert_eq!((counts.delivered, counts.panics, bad.0), (10, 5 + 1, 10));
    assert_eq!(inboxes[1].tally().counts().panics, 0);
    assert_eq!(good.trades.len(), 10);
}

#[test]
fn a_sleeping_consumer_is_woken_once_a_turn_and_a_busy_one_never() {
    let (mut shard, mut inboxes) = testing::shard(&[("a", QueueCapacity::default())]);
    let inbox = &mut inboxes[0];
    let (woken, waker) = counter();
    assert!(inbox.attach(waker.clone()) && !inbox.attach(waker));
    testing::trade(&mut shard, Nanos(1), 1);
    shard.end_turn(Nanos(1));
    assert_eq!(calls(&woken), 0, "it is not asleep");
    assert!(!inbox.may_sleep(), "something is there");
    inbox.drain(&mut Follower::default(), || Nanos(2));
    assert!(inbox.may_sleep());
    shard.end_turn(Nanos(2));
    assert_eq!(calls(&woken), 0, "nothing came");
    for n in 2..5 {
        testing::trade(&mut shard, Nanos(3), n);
    }
    shard.end_turn(Nanos(3));
    shard.end_turn(Nanos(4));
    assert_eq!(calls(&woken), 1);
    drop(shard);
    assert!(!inbox.is_closed() && !inbox.may_sleep(), "what is in the queue is still delivered");
    assert_eq!(inbox.drain(&mut Follower::default(), || Nanos(2)), 3);
    assert!(inbox.is_closed() && !inbox.may_sleep());
}

#[test]
fn the_end_of_the_shard_wakes_whoever_sleeps() {
    let (shard, inboxes) = testing::shard(&[("a", QueueCapacity::default())]);
    let (woken, waker) = counter();
    inboxes[0].attach(waker);
    assert!(inboxes[0].may_sleep());
    drop(shard);
    assert_eq!(calls(&woken), 1);
    assert!(inboxes[0].is_closed());
}

#[test]
fn a_consumer_that_makes_room_calls_the_shard_only_when_something_waits() {
    let (called, waker) = counter();
    let mut shard = Shard::new(Capacity::default(), Catalog::new(), waker);
    let capacity = QueueCapacity { ring: 2, trades: 9, ..QueueCapacity::default() };
    let mut inbox = shard.add_consumer("a", capacity, Nanos(0)).unwrap();
    testing::subscribe_all(&mut shard);
    let mut consumer = Follower::default();
    for n in 1..=2 {
        testing::trade(&mut shard, Nanos(n), n);
    }
    shard.end_turn(Nanos(2));
    inbox.drain(&mut consumer, || Nanos(3));
    assert_eq!(calls(&called), 0, "nothing waited");
    for n in 3..=5 {
        testing::trade(&mut shard, Nanos(n), n);
    }
    shard.end_turn(Nanos(5));
    assert_eq!(inbox.tally().counts().waiting, 1);
    inbox.drain(&mut consumer, || Nanos(6));
    inbox.drain(&mut consumer, || Nanos(6));
    assert_eq!(calls(&called), 1);
    shard.end_turn(Nanos(7));
    inbox.drain(&mut consumer, || Nanos(8));
    assert_eq!(calls(&called), 1);
    assert_eq!(consumer.trades, [1, 2, 3, 4, 5]);
    assert_eq!(inbox.tally().counts().waiting, 0);
}

#[test]
fn a_consumer_that_left_costs_nothing_more() {
    let capacity = QueueCapacity { ring: 1, trades: 9, ..QueueCapacity::default() };
    let (mut shard, mut inboxes) = testing::shard(&[("gone", capacity), ("here", capacity)]);
    (0..5).for_each(|n| testing::trade(&mut shard, Nanos(0), n));
    shard.end_turn(Nanos(0));
    inboxes[1].drain(&mut Follower::default(), || Nanos(0));
    let waiting = |shard: &Shard| shard.consumers().next().unwrap().1.counts().waiting;
    assert_eq!(waiting(&shard), 4);
    drop(inboxes.remove(0));
    shard.end_turn(Nanos(1));
    assert_eq!(waiting(&shard), 0);
    for n in 5..50 {
        testing::trade(&mut shard, Nanos(n), n);
        shard.end_turn(Nanos(n));
        let mut here = Follower::default();
        assert_eq!(inboxes[0].drain(&mut here, || Nanos(n)), 1);
    }
    let (_, gone) = shard.consumers().next().unwrap();
    assert!(gone.counts().waiting == 0 && gone.counts().offered <= 6, "{:?}", gone.counts());
}

#[test]
fn a_handler_that_fails_on_every_event_fills_no_disk() {
    let logged: Vec<_> = (1..=1_000).filter(|n| is_logged(*n)).collect();
    assert_eq!(logged[..16], (1..=16).collect::<Vec<_>>());
    assert_eq!(logged[16..], [32, 64, 128, 256, 512]);
}

/// Acknowledges each execution event.
struct Acknowledges;

impl Consumer for Acknowledges {
    fn on_event(&mut self, event: Event, ctx: &mut Context<'_>) {
        let position = event.header.seq_provider.filter(|_| event.kind() == Kind::ExecReport);
        position.into_iter().for_each(|position| ctx.acknowledge(position).unwrap());
    }
}

#[test]
fn the_shard_is_called_when_executions_were_acknowledged() {
    let (called, waker) = counter();
    let mut shard = Shard::new(Capacity::default(), Catalog::new(), waker);
    let mut inbox = shard.add_consumer("a", QueueCapacity::default(), Nanos(0)).unwrap();
    testing::subscribe_all(&mut shard);
    testing::trade(&mut shard, Nanos(1), 1);
    shard.end_turn(Nanos(1));
    inbox.drain(&mut Acknowledges, || Nanos(1));
    assert_eq!(calls(&called), 0);
    let mut event = Event::default();
    (event.header.stream.kind, event.header.seq_provider) = (Kind::ExecReport, Some(1));
    shard.execution(inbox.id(), event, Nanos(2));
    shard.end_turn(Nanos(2));
    inbox.drain(&mut Acknowledges, || Nanos(2));
    assert_eq!(calls(&called), 1);
}

/// Two threads, a ring of 8, both ends asleep whenever they may: a lost wakeup never ends.
#[test]
fn nothing_is_lost_between_two_threads_that_sleep() {
    const EVENTS: u64 = 100_000;
    let (result, finished) = sync_channel(2);
    let (hand_over, take) = sync_channel(1);
    let failed = result.clone();
    let shard = std::thread::spawn(move || {
        let mut shard = Shard::new(Capacity::default(), Catalog::new(), thread_waker());
        let capacity = QueueCapacity { ring: 8, trades: 16, ..QueueCapacity::default() };
        let inbox = shard.add_consumer("a", capacity, Nanos(0)).unwrap();
        testing::subscribe_all(&mut shard);
        hand_over.send(inbox).unwrap();
        for n in 1..=EVENTS {
            let now = Nanos(n);
            testing::trade(&mut shard, now, n);
            testing::update(&mut shard, now, n);
            if n % 64 == 0 {
                let state = if n % 128 == 0 { StreamState::Live } else { StreamState::Gapped };
                testing::status(&mut shard, now, Kind::Trade, state);
            }
            if n % 5 == 0 {
                shard.end_turn(now);
            }
        }
        shard.end_turn(Nanos(EVENTS));
        while shard.consumers().any(|(_, tally)| tally.counts().waiting > 0) {
            std::thread::park();
            shard.end_turn(Nanos(EVENTS));
        }
        let counts = shard.consumers().next().map(|(_, tally)| tally.counts());
        let mut port = shard.port(ProviderId(0), Nanos(EVENTS));
        let book = port.book(testing::INSTRUMENT).clone();
        drop(shard);
        drop(result);
        (book, counts)
    });
    let consumer = std::thread::spawn(move || {
        let mut inbox: Inbox = take.recv().unwrap();
        inbox.attach(thread_waker());
        let mut follower = Follower::default();
        while !inbox.is_closed() {
            if inbox.drain(&mut follower, || Nanos(0)) == 0 && inbox.may_sleep() {
                std::thread::park();
            }
        }
        drop(failed);
        (follower, inbox.tally().counts())
    });
    let end: Result<(), _> = finished.recv_timeout(Duration::from_secs(120));
    assert_eq!(end, Err(RecvTimeoutError::Disconnected), "a wakeup was lost");
    let (book, _) = shard.join().unwrap();
    let (follower, counts) = consumer.join().unwrap();
    follower.assert_same_book(&book);
    assert_eq!(
        counts.offered + counts.snapshots,
        counts.delivered + counts.conflated + counts.merged + counts.dropped,
        "{counts:?}"
    );
    assert_eq!(follower.trades.len() as u64 + counts.dropped, EVENTS);
    assert_eq!(follower.transitions, EVENTS / 64 + 1, "the book's own first state is the one more");
    assert!(follower.trades.is_sorted());
    assert!(matches!(follower.last, Some(Body::Trade(_) | Body::Book(_) | Body::Status(_))));
}
