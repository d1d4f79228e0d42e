//! Eight threads, random hold times from a seed, every way to acquire: in the end all are home.
#![allow(clippy::unwrap_used)]
#![cfg(not(loom))]

use std::{
    future::Future,
    hint::spin_loop,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::pin,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use pool::{Pool, Pooled, Reset};

#[derive(Default)]
struct Item {
    owner: AtomicU64,
    buffer: Vec<u64>,
}

impl Reset for Item {
    fn reset(&mut self) {
        *self.owner.get_mut() = 0;
        pool::reset_vec(&mut self.buffer, 16);
    }
}

/// xorshift64*: all randomness of a run follows from its seed.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }
}

const THREADS: u64 = 8;
const ROUNDS: u64 = if cfg!(miri) { 20 } else { 3_000 };
const PATIENCE: Duration = Duration::from_secs(60);

/// Polls until the timer, `polls` polls from now, or an object is there.
fn poll_for(pool: &Pool<Item>, mut polls: u64) -> Option<Pooled<Item>> {
    let timer = std::future::poll_fn(move |_| {
        polls = polls.saturating_sub(1);
        if polls == 0 { Poll::Ready(()) } else { Poll::Pending }
    });
    let mut acquiring = pin!(pool.acquire_async(timer));
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        match acquiring.as_mut().poll(&mut cx) {
            Poll::Ready(outcome) => return outcome.ok(),
            Poll::Pending => thread::yield_now(),
        }
    }
}

fn acquire_somehow(pool: &Pool<Item>, random: &mut Seeded) -> Option<Pooled<Item>> {
    match random.below(4) {
        0 => pool.try_acquire(),
        1 => pool.acquire(Duration::from_micros(random.below(50))).ok(),
        2 => {
            let polls = 1 + random.below(20);
            poll_for(pool, polls)
        }
        _ => Some(pool.acquire(PATIENCE).unwrap()), // so that nobody starves
    }
}

/// Holds a loan for a random time, checking that nobody else can reach the object.
fn use_alone(mut loan: Pooled<Item>, me: u64, random: &mut Seeded) {
    assert_eq!(loan.owner.swap(me, Ordering::Relaxed), 0);
    assert!(loan.buffer.is_empty());
    loan.buffer.push(me);
    for _ in 0..random.below(60) {
        spin_loop();
    }
    if random.below(8) == 0 {
        thread::yield_now();
    }
    assert_eq!((loan.owner.load(Ordering::Relaxed), loan.buffer[0]), (me, me));
    if random.below(50) == 0 {
        let unwound = catch_unwind(AssertUnwindSafe(move || {
            let _held = loan;
            resume_unwind(Box::new("a panic while holding")); // without the hook's noise
        }));
        assert!(unwound.is_err());
    }
}

fn run(seed: u64, capacity: u16) {
    let pool: Pool<Item> = Pool::new("items", capacity);
    thread::scope(|scope| {
        for me in 1..=THREADS {
            let pool = pool.clone();
            scope.spawn(move || {
                let mut random = Seeded(seed ^ (me << 32));
                for _ in 0..ROUNDS {
                    if let Some(loan) = acquire_somehow(&pool, &mut random) {
                        use_alone(loan, me, &mut random);
                    }
                }
            });
        }
    });
    let stats = pool.stats();
    assert_eq!(stats.in_use, 0, "seed {seed}: {stats:?}");
    assert!(stats.high_water <= capacity);
    let all: Vec<_> = std::iter::from_fn(|| pool.try_acquire()).collect();
    assert_eq!(all.len(), usize::from(capacity), "seed {seed}: every object is home");
}

#[test]
fn eight_threads_with_random_hold_times_bring_everything_home() {
    for (seed, capacity) in [(1, 1), (2, 3), (3, 7), (4, 12)] {
        run(seed, capacity);
    }
}
