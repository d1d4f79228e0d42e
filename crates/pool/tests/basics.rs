//! What a caller may rely on, one behaviour a test.
#![allow(clippy::unwrap_used, clippy::panic)]
#![cfg(not(loom))]

use std::{
    future::{Future, pending, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, Mutex, atomic::AtomicUsize, atomic::Ordering},
    task::{Context, Poll, Wake, Waker},
    thread,
    time::{Duration, Instant},
};

use pool::{AcquireError, DEFAULT_DEADLINE, LocalPool, Manager, Pool, Reset, TRACKS_LOANS};

#[derive(Default, Debug, PartialEq)]
struct Item {
    n: u64,
    bytes: Vec<u8>,
}

impl Reset for Item {
    fn reset(&mut self) {
        let Self { n, bytes } = self;
        *n = 0;
        pool::reset_vec(bytes, 64);
    }
}

const LONG: Duration = Duration::from_secs(30);

/// Until `pool` has seen `waits` waiters.
fn spin_until_waits(pool: &Pool<Item>, waits: u64) {
    while pool.stats().waits < waits {
        thread::yield_now();
    }
}

#[test]
fn lends_up_to_capacity_and_resets_on_return() {
    for pool in [Pool::<Item>::new("items", 2), Pool::boxed("items", 2)] {
        let mut first = pool.try_acquire().unwrap();
        first.n = 7;
        first.bytes.push(1);
        let second = pool.try_acquire().unwrap();
        assert!(pool.try_acquire().is_none());
        drop(first);
        let again = pool.try_acquire().unwrap();
        assert_eq!(*again, Item::default());
        drop((second, again));
        let stats = pool.stats();
        assert_eq!((stats.in_use, stats.high_water, stats.exhausted), (0, 2, 1));
    }
}

#[test]
fn a_local_pool_does_the_same() {
    for pool in [LocalPool::<Item>::new("items", 2), LocalPool::boxed("items", 2)] {
        let mut first = pool.try_acquire().unwrap();
        first.bytes.push(1);
        assert!(pool.try_acquire_above(1).is_none());
        assert!(pool.has_free());
        let second = pool.try_acquire().unwrap();
        assert!(!pool.has_free());
        assert!(pool.try_acquire().is_none());
        drop(first);
        let again = pool.try_acquire().unwrap();
        assert_eq!(*again, Item::default());
        drop(again);
        assert!(pool.has_free());
        pool.close();
        assert!(!pool.has_free());
        assert!(pool.try_acquire().is_none());
        assert_eq!(pool.report().out, 1);
        drop(second);
        let stats = pool.stats();
        assert_eq!((stats.in_use, stats.high_water, stats.exhausted), (0, 2, 3));
    }
}

#[test]
fn buffers_outlive_their_loan() {
    let pool: Pool<Item> = Pool::new("items", 1);
    pool.try_acquire().unwrap().bytes.reserve_exact(64);
    assert_eq!(pool.try_acquire().unwrap().bytes.capacity(), 64);
    pool.try_acquire().unwrap().bytes.reserve_exact(4096);
    assert_eq!(pool.try_acquire().unwrap().bytes.capacity(), 64);
}

#[test]
fn a_reserve_is_left_for_the_urgent() {
    let pool: Pool<Item> = Pool::new("items", 3);
    let _one = pool.try_acquire_above(2).unwrap();
    assert!(pool.try_acquire_above(2).is_none());
    let _two = pool.try_acquire_above(1).unwrap();
    assert!(pool.try_acquire_above(1).is_none());
    assert!(pool.try_acquire().is_some());
}

#[test]
fn an_empty_pool_is_always_exhausted() {
    let pool: Pool<Item> = Pool::new("none", 0);
    assert!(pool.try_acquire().is_none());
    assert!(pool.acquire(Duration::ZERO).is_err());
    assert_eq!(pool.shutdown(LONG).out, 0);
}

#[test]
fn the_largest_pool_lends_every_object_once() {
    if TRACKS_LOANS {
        return; // 65,535 stacks prove nothing more
    }
    let pool: Pool<Nothing> = Pool::new("items", u16::MAX);
    let all: Vec<_> = std::iter::from_fn(|| pool.try_acquire()).collect();
    assert_eq!(all.len(), usize::from(u16::MAX));
    drop(all);
    assert_eq!(pool.stats().in_use, 0);
}

#[derive(Default)]
struct Nothing;

impl Reset for Nothing {
    fn reset(&mut self) {}
}

#[test]
fn all_held_means_an_error_after_the_deadline_and_a_flow_that_recovers() {
    let pool: Pool<Item> = Pool::new("items", 1);
    let held = pool.try_acquire().unwrap();
    let start = Instant::now();
    let error = pool.acquire(DEFAULT_DEADLINE).unwrap_err();
    println!("a deadline of {DEFAULT_DEADLINE:?} took {:?}", start.elapsed());
    let AcquireError::TimedOut { pool: name, capacity, waited } = error else { panic!("{error}") };
    assert_eq!((name, capacity), ("items", 1));
    assert!(waited >= DEFAULT_DEADLINE && waited <= start.elapsed());
    assert!(error.to_string().starts_with("pool items: all 1 objects stayed out for 1"));
    let stats = pool.stats();
    assert_eq!((stats.waits, stats.timeouts, stats.exhausted), (1, 1, 0));
    assert!(stats.wait_total >= DEFAULT_DEADLINE);

    drop(held);
    assert!(pool.acquire(Duration::ZERO).is_ok());
    assert_eq!(pool.stats().waits, 1);
}

#[test]
fn waiters_are_served_in_order_and_nobody_overtakes() {
    let pool: Pool<Item> = Pool::new("items", 1);
    let held = pool.try_acquire().unwrap();
    let served = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for turn in 0..6 {
            let (pool, served) = (&pool, &served);
            scope.spawn(move || {
                let _loan = pool.acquire(LONG).unwrap();
                served.lock().unwrap().push(turn);
            });
            spin_until_waits(pool, turn + 1);
        }
        drop(held);
    });
    assert_eq!(*served.lock().unwrap(), [0, 1, 2, 3, 4, 5]);
    assert_eq!(pool.stats().in_use, 0);
}

#[test]
fn a_waiter_that_gives_up_does_not_hold_up_the_next() {
    let pool: Pool<Item> = Pool::new("items", 1);
    let held = pool.try_acquire().unwrap();
    thread::scope(|scope| {
        let patient = scope.spawn(|| pool.acquire(LONG).is_ok());
        spin_until_waits(&pool, 1);
        assert!(pool.acquire(Duration::from_millis(1)).is_err());
        drop(held);
        assert!(patient.join().unwrap());
    });
    assert!(pool.try_acquire().is_some());
}

struct CountWakes(AtomicUsize);

impl Wake for CountWakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn the_async_form_waits_for_a_return_or_the_callers_timer() {
    let pool: Pool<Item> = Pool::new("items", 1);
    let wakes = Arc::new(CountWakes(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&wakes));
    let mut cx = Context::from_waker(&waker);

    let held = pool.try_acquire().unwrap();
    let mut waits = pin!(pool.acquire_async(pending()));
    assert!(waits.as_mut().poll(&mut cx).is_pending());
    let mut times_out = pin!(pool.acquire_async(ready(())));
    let Poll::Ready(Err(AcquireError::TimedOut { .. })) = times_out.as_mut().poll(&mut cx) else {
        panic!("the timer was ready")
    };
    drop(held);
    assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
    assert!(pool.try_acquire().is_none(), "handed over, though not picked up yet");
    let Poll::Ready(Ok(loan)) = waits.as_mut().poll(&mut cx) else { panic!("it was served") };
    drop(loan);
    assert_eq!(pool.stats().in_use, 0);
}

#[test]
fn a_cancelled_wait_gives_up_its_place_and_what_it_was_served() {
    let pool: Pool<Item> = Pool::new("items", 1);
    let mut cx = Context::from_waker(Waker::noop());
    let held = pool.try_acquire().unwrap();
    {
        let mut waits = pin!(pool.acquire_async(pending()));
        assert!(waits.as_mut().poll(&mut cx).is_pending());
    }
    {
        let mut waits = pin!(pool.acquire_async(pending()));
        assert!(waits.as_mut().poll(&mut cx).is_pending());
        drop(held);
        assert_eq!(pool.stats().in_use, 1);
    }
    assert_eq!((pool.stats().in_use, pool.stats().waits), (0, 2));
}

#[test]
fn async_acquisition_may_move_between_threads() {
    fn is_send(_: &impl Send) {}
    let pool: Pool<Item> = Pool::new("items", 1);
    is_send(&pool.acquire_async(pending()));
}

#[test]
fn a_panic_while_holding_brings_the_object_home() {
    for pool in [Pool::<Item>::new("items", 1), Pool::boxed("items", 1)] {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let mut loan = pool.try_acquire().unwrap();
            loan.n = 9;
            panic!("a consumer");
        }));
        assert!(outcome.is_err());
        let other = pool.clone();
        let outcome = thread::spawn(move || {
            let _loan = other.acquire(LONG).unwrap();
            panic!("another thread");
        });
        assert!(outcome.join().is_err());
        assert_eq!(*pool.try_acquire().unwrap(), Item::default());
    }
    let local: LocalPool<Item> = LocalPool::new("items", 1);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        local.try_acquire().unwrap().n = 9;
        let _loan = local.try_acquire().unwrap();
        panic!("decode");
    }));
    assert!(outcome.is_err());
    assert_eq!(*local.try_acquire().unwrap(), Item::default());
}

/// Panics in `reset` if told to, and in its own drop too if told so.
#[derive(Default, Debug, PartialEq)]
struct Touchy {
    bad_reset: bool,
    bad_drop: bool,
}

impl Reset for Touchy {
    fn reset(&mut self) {
        assert!(!self.bad_reset, "reset");
        self.bad_drop = false;
    }
}

impl Drop for Touchy {
    fn drop(&mut self) {
        assert!(!self.bad_drop, "drop");
    }
}

#[test]
fn a_panicking_reset_loses_nothing_and_shows_nothing() {
    let pool: Pool<Touchy> = Pool::new("touchy", 1);
    let local: LocalPool<Touchy> = LocalPool::new("touchy", 1);
    pool.try_acquire().unwrap().bad_reset = true;
    local.try_acquire().unwrap().bad_reset = true;
    assert_eq!((pool.stats().in_use, pool.stats().reset_panics), (0, 1));
    assert_eq!((local.stats().in_use, local.stats().reset_panics), (0, 1));
    assert_eq!(*pool.try_acquire().unwrap(), Touchy::default());
    assert_eq!(*local.try_acquire().unwrap(), Touchy::default());

    // Also when it happens while another panic unwinds.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        pool.try_acquire().unwrap().bad_reset = true;
        let mut loan = pool.try_acquire().unwrap();
        loan.bad_reset = true;
        panic!("the first");
    }));
    assert!(outcome.is_err());
    assert_eq!((pool.stats().in_use, pool.stats().reset_panics), (0, 3));
}

#[test]
fn an_object_that_cannot_be_replaced_is_retired_and_named() {
    let pool: Pool<Touchy> = Pool::new("touchy", 2);
    let mut loan = pool.try_acquire().unwrap();
    (loan.bad_reset, loan.bad_drop) = (true, true);
    drop(loan);
    assert_eq!((pool.stats().in_use, pool.stats().reset_panics), (1, 1));
    assert_eq!(*pool.try_acquire().unwrap(), Touchy::default());
    assert_eq!(pool.shutdown(Duration::ZERO).out, 1);
}

#[test]
fn loans_outlive_their_pool() {
    let payload = Arc::new(());

    #[derive(Default)]
    struct Holds(Option<Arc<()>>);
    impl Reset for Holds {
        fn reset(&mut self) {} // keeps it, so that only freeing the pool drops it
    }

    let pool: Pool<Holds> = Pool::new("holds", 3);
    let mut loans: Vec<_> = std::iter::from_fn(|| pool.try_acquire()).collect();
    loans.iter_mut().for_each(|loan| loan.0 = Some(Arc::clone(&payload)));
    drop(loans.pop());
    let another = pool.clone();
    drop(pool);
    drop(loans.pop());
    drop(another);
    assert!(loans[0].0.is_some());
    assert_eq!(Arc::strong_count(&payload), 4);
    drop(loans);
    assert_eq!(Arc::strong_count(&payload), 1, "the last one home frees the pool");
}

#[test]
fn closing_refuses_and_wakes() {
    let pool: Pool<Item> = Pool::new("items", 1);
    let held = pool.try_acquire().unwrap();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| pool.acquire(LONG));
        spin_until_waits(&pool, 1);
        pool.close();
        let error = waiter.join().unwrap().unwrap_err();
        assert!(matches!(error, AcquireError::Closed { pool: "items", capacity: 1, .. }));
        assert!(error.to_string().starts_with("pool items (capacity 1) is closed"));
    });
    drop(held);
    assert!(pool.try_acquire().is_none());
    assert!(matches!(pool.acquire(LONG), Err(AcquireError::Closed { .. })));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(pin!(pool.acquire_async(pending())).poll(&mut cx).is_ready());
    let stats = pool.stats();
    assert_eq!((stats.in_use, stats.exhausted, stats.timeouts), (0, 0, 0));
}

#[test]
fn shutdown_waits_for_what_comes_home() {
    let pool: Pool<Item> = Pool::new("items", 2);
    let loans: Vec<_> = std::iter::from_fn(|| pool.try_acquire()).collect();
    thread::scope(|scope| {
        let shutdown = scope.spawn(|| pool.shutdown(LONG));
        while pool.try_acquire_above(0).is_some() || pool.acquire(Duration::ZERO).is_ok() {}
        drop(loans);
        assert_eq!(shutdown.join().unwrap().out, 0);
    });
}

#[test]
fn shutdown_names_what_is_held() {
    let manager = Manager::new();
    let items: Pool<Item> = Pool::new("items", 4);
    let touchy: Pool<Touchy> = Pool::new("touchy", 4);
    let local: LocalPool<Nothing> = LocalPool::new("local", 4);
    manager.add(&items).unwrap();
    manager.add(&touchy).unwrap();
    manager.add_local(&local);
    let twice = manager.add(&Pool::<Item>::new("more", 1)).unwrap_err();
    assert_eq!(twice.pool, "items");
    assert_eq!(manager.get::<Touchy>().unwrap().name(), "touchy");
    assert!(manager.get::<Nothing>().is_none());

    let held = (items.try_acquire(), items.try_acquire(), local.try_acquire());
    let start = Instant::now();
    let report = manager.shutdown(Duration::from_millis(5));
    assert!(start.elapsed() < Duration::from_secs(5));
    let out: Vec<_> = report.unreturned.iter().map(|pool| (pool.pool, pool.out)).collect();
    assert_eq!(out, [("items", 2), ("local", 1)]);
    for pool in &report.unreturned {
        assert_eq!(pool.held.len(), if TRACKS_LOANS { usize::from(pool.out) } else { 0 });
        assert!(pool.held.is_sorted_by_key(|held| std::cmp::Reverse(held.age)));
    }
    let text = report.to_string();
    assert!(text.contains("pool items: 2 out"), "{text}");
    if TRACKS_LOANS && !cfg!(miri) {
        assert!(text.contains("shutdown_names_what_is_held"), "the stack says where: {text}");
    }
    assert!(items.try_acquire().is_none() && local.try_acquire().is_none());
    drop(held);
    assert!(manager.shutdown(Duration::ZERO).is_clean());
    assert!(manager.stats().iter().all(|stats| stats.in_use == 0));
}
