//! Every interleaving of two or three threads, within the bounds stated at each model.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p pool --release --test loom`
//!
//! The objects are loom cells and each loan is one exclusive access to its cell, so a model fails
//! if two loans of one object could ever overlap, if what one owner wrote were not visible to the
//! next, if a thread could wait for ever, or if a pool's memory were freed early, twice or never.
#![cfg(loom)]
#![allow(clippy::unwrap_used)]

use std::{
    future::{Future, pending, poll_fn},
    pin::pin,
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use loom::{
    model::Builder,
    sync::{
        Arc, Mutex, Notify,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
};
use pool::{AcquireError, Pool, Pooled, Reset};

#[derive(Default)]
struct Item {
    n: u64,
    /// Shows whether the pool is freed: loom complains of an `Arc` that is never dropped.
    token: Option<Arc<()>>,
}

impl Reset for Item {
    fn reset(&mut self) {
        self.n = 0;
    }
}

/// Time does not pass in a model; what would end by time ends by an event.
const FOREVER: Duration = Duration::from_secs(3600);

fn items(capacity: u16) -> Pool<Item> {
    Pool::new("items", capacity)
}

/// Explores `model` with at most `preemptions` forced switches a run; `None`: exhaustively.
fn explore(preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(model);
}

fn use_alone(loan: &mut Pooled<Item>) {
    assert_eq!(loan.n, 0, "reset, and nobody else is in here");
    loan.n = 1;
}

/// Loom's `unpark` also wakes threads that are blocked in a lock; its `Notify` does not.
struct Sleeper(Notify);

impl Wake for Sleeper {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.notify();
    }
}

fn sleeper() -> (std::sync::Arc<Sleeper>, Waker) {
    let sleeper = std::sync::Arc::new(Sleeper(Notify::new()));
    (std::sync::Arc::clone(&sleeper), Waker::from(sleeper))
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let (sleeper, waker) = sleeper();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        sleeper.0.wait();
    }
}

/// A timer that another thread lets expire.
#[derive(Clone)]
struct Alarm(Arc<(AtomicBool, Mutex<Option<Waker>>)>);

impl Alarm {
    fn new() -> Self {
        Alarm(Arc::new((AtomicBool::new(false), Mutex::new(None))))
    }

    fn ring(&self) {
        self.0.0.store(true, SeqCst);
        let waker = self.0.1.lock().unwrap().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn timer(&self) -> impl Future<Output = ()> + use<> {
        let alarm = self.clone();
        poll_fn(move |cx| {
            *alarm.0.1.lock().unwrap() = Some(cx.waker().clone());
            if alarm.0.0.load(SeqCst) { Poll::Ready(()) } else { Poll::Pending }
        })
    }
}

/// Two threads, one object, no bound: taken by one at a time, home in the end.
#[test]
fn acquire_and_release() {
    explore(None, || {
        let pool = items(1);
        let other = pool.clone();
        let thread = thread::spawn(move || {
            if let Some(mut loan) = other.try_acquire() {
                use_alone(&mut loan);
            }
        });
        if let Some(mut loan) = pool.try_acquire() {
            use_alone(&mut loan);
        }
        thread.join().unwrap();
        assert_eq!(pool.stats().in_use, 0);
        assert!(pool.try_acquire().is_some());
    });
}

/// Three threads, three objects, up to 3 preemptions: the stack is turned over under a thread that
/// is about to swap its top (what the tag is for).
#[test]
fn a_stack_turned_over_behind_ones_back() {
    explore(Some(3), || {
        let pool = items(3);
        let threads = [pool.clone(), pool.clone()].map(|pool| {
            thread::spawn(move || {
                let first = pool.try_acquire();
                let second = pool.try_acquire();
                for mut loan in [first, second].into_iter().flatten() {
                    use_alone(&mut loan); // the lower one comes home first: the order is reversed
                }
            })
        });
        let mut loan = pool.try_acquire();
        loan.iter_mut().for_each(use_alone);
        drop(loan);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let all: Vec<_> = std::iter::from_fn(|| pool.try_acquire()).collect();
        assert_eq!(all.len(), 3);
    });
}

/// Two threads, one object, no bound: a waiter is never forgotten by a return.
#[test]
fn waiting() {
    explore(None, || {
        let pool = items(1);
        let mut held = pool.try_acquire().unwrap();
        use_alone(&mut held);
        let other = pool.clone();
        let waiter = thread::spawn(move || use_alone(&mut other.acquire(FOREVER).unwrap()));
        drop(held);
        waiter.join().unwrap();
        assert_eq!(pool.stats().in_use, 0);
    });
}

/// Three threads, one object, up to 3 preemptions: two blocking waiters are both served.
#[test]
fn two_waiters() {
    explore(Some(3), || {
        let pool = items(1);
        let held = pool.try_acquire().unwrap();
        let waiters = [pool.clone(), pool.clone()]
            .map(|pool| thread::spawn(move || use_alone(&mut pool.acquire(FOREVER).unwrap())));
        drop(held);
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        assert!(pool.try_acquire().is_some());
    });
}

/// Three threads, up to 3 preemptions: whoever came first is served first, whatever a third does
/// that does not wait.
#[test]
fn first_come_first_served() {
    explore(Some(3), || {
        let pool = items(1);
        let held = pool.try_acquire().unwrap();
        let (sleeper, waker) = sleeper();
        let mut cx = Context::from_waker(&waker);
        let mut first = pin!(pool.acquire_async(pending()));
        let mut second = pin!(pool.acquire_async(pending()));
        assert!(first.as_mut().poll(&mut cx).is_pending());
        assert!(second.as_mut().poll(&mut cx).is_pending());
        let rival = pool.clone();
        let rival = thread::spawn(move || assert!(rival.try_acquire().is_none()));
        let returns = thread::spawn(move || drop(held));
        let loan = loop {
            assert!(second.as_mut().poll(&mut cx).is_pending());
            match first.as_mut().poll(&mut cx) {
                Poll::Ready(loan) => break loan.unwrap(),
                Poll::Pending => sleeper.0.wait(),
            }
        };
        assert!(second.as_mut().poll(&mut cx).is_pending());
        rival.join().unwrap();
        drop(loan);
        assert!(second.as_mut().poll(&mut cx).is_ready());
        returns.join().unwrap();
    });
}

/// Three threads, up to 3 preemptions: an object returns in the moment in which a wait expires.
/// It is served or it is free, never lost, and whoever waits behind gets it.
#[test]
fn expiry() {
    explore(Some(3), || {
        let pool = items(1);
        let held = pool.try_acquire().unwrap();
        let alarm = Alarm::new();
        let (other, timer) = (pool.clone(), alarm.timer());
        let waiter = thread::spawn(move || match block_on(other.acquire_async(timer)) {
            Ok(mut loan) => use_alone(&mut loan),
            Err(error) => assert!(matches!(error, AcquireError::TimedOut { .. })),
        });
        let rings = thread::spawn(move || alarm.ring());
        drop(held);
        use_alone(&mut pool.acquire(FOREVER).unwrap());
        waiter.join().unwrap();
        rings.join().unwrap();
        assert_eq!(pool.stats().in_use, 0);
    });
}

/// Two threads, no bound: a wait is abandoned while its object is being handed over.
#[test]
fn an_abandoned_wait() {
    explore(None, || {
        let pool = items(1);
        let held = pool.try_acquire().unwrap();
        let returns = thread::spawn(move || drop(held));
        {
            let mut waiting = pin!(pool.acquire_async(pending()));
            let _ = waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
        returns.join().unwrap();
        assert!(pool.try_acquire().is_some());
    });
}

/// Three threads, up to 3 preemptions: closing ends every wait, and nothing is lent afterwards.
#[test]
fn closing_while_one_waits() {
    explore(Some(3), || {
        let pool = items(1);
        let held = pool.try_acquire().unwrap();
        let other = pool.clone();
        let waiter = thread::spawn(move || match other.acquire(FOREVER) {
            Ok(mut loan) => use_alone(&mut loan),
            Err(error) => assert!(matches!(error, AcquireError::Closed { .. })),
        });
        let returns = thread::spawn(move || drop(held));
        pool.close();
        assert!(pool.try_acquire().is_none());
        waiter.join().unwrap();
        returns.join().unwrap();
        assert_eq!(pool.stats().in_use, 0);
    });
}

/// Three threads, up to 3 preemptions: a shutdown that waits is told of the last return.
#[test]
fn shutdown() {
    explore(Some(3), || {
        let pool = items(2);
        let threads = [pool.try_acquire(), pool.try_acquire()]
            .map(|loan| thread::spawn(move || drop(loan.unwrap())));
        assert_eq!(pool.shutdown(FOREVER).out, 0);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// Two threads, no bound: no loan begins after `close` has returned.
#[test]
fn no_loan_after_closing() {
    explore(None, || {
        let pool = items(1);
        let other = pool.clone();
        let lent = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&lent);
        let borrower = thread::spawn(move || {
            let loan = other.try_acquire();
            count.store(usize::from(loan.is_some()), SeqCst);
            loan
        });
        pool.close();
        let out = pool.stats().in_use;
        let loan = borrower.join().unwrap();
        assert_eq!(usize::from(out), lent.load(SeqCst), "what was out at closing is all there is");
        drop(loan);
        assert_eq!(pool.stats().in_use, 0);
    });
}

/// Three threads, no bound: the last handle and the last loans go at the same time. The memory is
/// freed once, by whoever is last (a token that is never dropped fails the model).
#[test]
fn the_last_one_frees_the_pool() {
    explore(None, || {
        let pool = items(2);
        let threads = [(); 2].map(|()| {
            let mut loan = pool.try_acquire().unwrap();
            loan.token = Some(Arc::new(()));
            thread::spawn(move || drop(loan))
        });
        drop(pool);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// Two threads, no bound: a waiter picks up, returns and drops the last handle while the return
/// that served it is still on its way out.
#[test]
fn the_waiter_frees_the_pool_behind_the_returner() {
    explore(None, || {
        let pool = items(1);
        let mut held = pool.try_acquire().unwrap();
        held.token = Some(Arc::new(()));
        let returns = thread::spawn(move || drop(held));
        drop(pool.acquire(FOREVER).unwrap());
        drop(pool);
        returns.join().unwrap();
    });
}
