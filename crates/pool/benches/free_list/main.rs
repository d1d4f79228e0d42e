//! Which free list? The pool against the candidates that lost, which live only here.
//!
//! `cargo bench -p pool` prints the median nanoseconds of one acquire + release of a 256-byte
//! object with a cleared buffer, alone and with 8 threads, and the slowest percentiles of a single
//! acquire + release under contention.
#![allow(unsafe_code, clippy::unwrap_used)] // the candidates may do anything: they are not shipped

use std::{
    hint::black_box,
    sync::{Arc, Barrier, Mutex},
    time::Instant,
};

use pool::{LocalPool, Pool, Pooled, Reset};

mod candidates;
use candidates::{Bitmap, Cached, CountedStack, MutexVec};

/// What is pooled: as large as an event, with one buffer.
#[derive(Default)]
pub(crate) struct Object {
    words: [u64; 32],
    buffer: Vec<u8>,
}

impl Reset for Object {
    fn reset(&mut self) {
        let Self { words, buffer } = self;
        words[0] = 0;
        pool::reset_vec(buffer, 256);
    }
}

/// A pool to be measured.
pub(crate) trait Candidate {
    /// One acquire, one touch, one release; false if nothing was free.
    fn cycle(&self) -> bool;
}

/// A pool to be measured by many threads.
trait Shareable: Candidate + Send + Sync {}
impl<C: Candidate + Send + Sync> Shareable for C {}

fn touch(object: &mut Object) {
    object.words[0] = black_box(1);
    object.buffer.push(1);
    black_box(object);
}

impl Candidate for Pool<Object> {
    fn cycle(&self) -> bool {
        let Some(mut object): Option<Pooled<Object>> = self.try_acquire() else { return false };
        touch(&mut object);
        true
    }
}

impl Candidate for LocalPool<Object> {
    fn cycle(&self) -> bool {
        let Some(mut object) = self.try_acquire() else { return false };
        touch(&mut object);
        true
    }
}

/// No pool at all: a box and its buffer a use.
struct NoPool;

impl Candidate for NoPool {
    fn cycle(&self) -> bool {
        touch(&mut Box::<Object>::default());
        true
    }
}

/// The work without any acquisition, to be subtracted by the reader.
struct Floor(Mutex<Object>);

impl Floor {
    fn run(&mut self, rounds: u32) -> f64 {
        let object = self.0.get_mut().unwrap();
        let start = Instant::now();
        for _ in 0..rounds {
            touch(object);
            object.reset();
        }
        per_round(start, rounds)
    }
}

fn per_round(start: Instant, rounds: u32) -> f64 {
    start.elapsed().as_nanos() as f64 / f64::from(rounds)
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

const ALONE_ROUNDS: u32 = 1_000_000;
const CROWD: usize = 8;
const CROWD_ROUNDS: u32 = 200_000;
const REPEATS: usize = 15;

fn alone(candidate: &(impl Candidate + ?Sized)) -> f64 {
    let sample = || {
        let start = Instant::now();
        for _ in 0..ALONE_ROUNDS {
            black_box(candidate.cycle());
        }
        per_round(start, ALONE_ROUNDS)
    };
    sample(); // warm up
    median((0..REPEATS).map(|_| sample()).collect())
}

/// Wall time of all threads' rounds, divided by all rounds.
fn crowd(candidate: &Arc<dyn Shareable>) -> f64 {
    let sample = || {
        let gate = Arc::new(Barrier::new(CROWD + 1));
        let threads: Vec<_> = (0..CROWD)
            .map(|_| {
                let (candidate, gate) = (Arc::clone(candidate), Arc::clone(&gate));
                std::thread::spawn(move || {
                    gate.wait();
                    for _ in 0..CROWD_ROUNDS {
                        black_box(candidate.cycle());
                    }
                })
            })
            .collect();
        gate.wait();
        let start = Instant::now();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        start.elapsed().as_nanos() as f64 / (CROWD as f64 * f64::from(CROWD_ROUNDS))
    };
    median((0..REPEATS).map(|_| sample()).collect())
}

/// The percentiles of single cycles in a crowd, clock included (about 20 ns): 50, 99, 99.9, 99.99.
fn crowd_tail(candidate: &Arc<dyn Shareable>) -> [u64; 4] {
    let threads: Vec<_> = (0..CROWD)
        .map(|_| {
            let candidate = Arc::clone(candidate);
            std::thread::spawn(move || {
                let mut took = Vec::with_capacity(CROWD_ROUNDS as usize);
                for _ in 0..CROWD_ROUNDS {
                    let start = Instant::now();
                    black_box(candidate.cycle());
                    took.push(start.elapsed().as_nanos() as u64);
                }
                took
            })
        })
        .collect();
    let mut all: Vec<u64> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    all.sort_unstable();
    [0.5, 0.99, 0.999, 0.9999].map(|share| all[(all.len() as f64 * share) as usize])
}

fn main() {
    let capacity = 200;
    let candidates: Vec<(&str, Arc<dyn Shareable>)> = vec![
        ("Pool", Arc::new(Pool::<Object>::new("objects", capacity))),
        ("Pool, boxed mode", Arc::new(Pool::<Object>::boxed("objects", capacity))),
        ("no pool: Box::default()", Arc::new(NoPool)),
        ("Mutex<Vec<Box>> + Arc a loan", Arc::new(MutexVec::new(capacity))),
        ("same stack + Arc a loan", Arc::new(CountedStack::new(capacity))),
        ("bitmap (4 words) + counter", Arc::new(Bitmap::new(capacity))),
        ("thread cache over the stack", Arc::new(Cached::new(capacity))),
    ];
    let floor = median((0..REPEATS).map(|_| Floor(Mutex::default()).run(ALONE_ROUNDS)).collect());
    println!("loans tracked: {}; touch and reset alone: {floor:.1} ns", pool::TRACKS_LOANS);
    println!(
        "{:<30} {:>9} {:>11}   8 threads, one cycle p50/p99/p99.9/p99.99",
        "acquire + touch + release, ns", "1 thread", "8 threads"
    );
    for (name, local) in [
        ("LocalPool", LocalPool::<Object>::new("objects", capacity)),
        ("LocalPool, boxed mode", LocalPool::boxed("objects", capacity)),
    ] {
        println!("{name:<30} {:>9.1}", alone(&local));
    }
    for (name, candidate) in &candidates {
        let (one, eight) = (alone(candidate.as_ref()), crowd(candidate));
        let [p50, p99, p999, p9999] = crowd_tail(candidate);
        println!("{name:<30} {one:>9.1} {eight:>11.1}   {p50}/{p99}/{p999}/{p9999}");
    }
}
