//! How the two ends of a queue wake each other: a flag and a waker, without a lost wakeup.
//!
//! A [`Doorbell`] belongs to one sleeper. It serves both directions: a consumer's thread sleeps
//! until there is something in its queue, and the shard asks to be called when a full queue has
//! room again.
//!
//! ```text
//! sleeper                               other side
//! 1. armed = true                       1. changes the queue (push, or pop)
//! 2. fence                              2. fence
//! 3. looks at the queue:                3. armed? then armed = false, and wakes
//!    something to do: armed = false
//!    nothing: sleeps
//! ```
//! The two fences are totally ordered. If the sleeper's comes first, the other side sees the flag
//! and wakes; if the other's comes first, the sleeper sees the changed queue and stays awake. Every
//! change of the flag is a read-modify-write, so that there is one order of them all. The loom model
//! below tries every interleaving of it.

use std::sync::{Arc, OnceLock};
use std::task::{Wake, Waker};
use std::thread::Thread;

use crate::sync::{AtomicBool, Ordering, fence};

/// A flag that says that its owner sleeps or is about to, and how to wake it.
#[derive(Debug)]
pub struct Doorbell {
    armed: AtomicBool,
    waker: OnceLock<Waker>,
}

impl Default for Doorbell {
    fn default() -> Self {
        Self { armed: AtomicBool::new(false), waker: OnceLock::new() }
    }
}

impl Doorbell {
    /// A bell that calls `waker`.
    #[must_use]
    pub fn new(waker: Waker) -> Self {
        let bell = Self::default();
        bell.attach(waker);
        bell
    }

    /// Says how to wake the sleeper; `false` where that was said before, and nothing changes.
    pub fn attach(&self, waker: Waker) -> bool {
        self.waker.set(waker).is_ok()
    }

    /// The sleeper's first step. It must look at the queue once more before it sleeps.
    pub fn arm(&self) {
        self.armed.swap(true, Ordering::AcqRel);
        fence(Ordering::SeqCst);
    }

    /// The sleeper stays awake. A ring that came in between has been or will be heard in vain.
    pub fn disarm(&self) {
        self.armed.swap(false, Ordering::AcqRel);
    }

    /// The other side's step after it changed the queue: wakes a sleeper, once.
    ///
    /// Returns whether it did. Costs a fence and a load where nobody sleeps.
    pub fn ring(&self) -> bool {
        fence(Ordering::SeqCst);
        let woken = self.armed.load(Ordering::Relaxed) && self.armed.swap(false, Ordering::AcqRel);
        if woken && let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
        woken
    }
}

/// Rings once more when its side of the queue is gone: a sleeper hears that nothing will come any
/// more. To be dropped after that side.
#[derive(Debug)]
pub(crate) struct LastRing(pub(crate) Arc<Doorbell>);

impl Drop for LastRing {
    fn drop(&mut self) {
        self.0.ring();
    }
}

/// A waker that unparks the calling thread: for sleepers that use [`std::thread::park`].
#[must_use]
pub fn thread_waker() -> Waker {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
        fn wake_by_ref(self: &Arc<Self>) {
            self.0.unpark();
        }
    }
    Waker::from(Arc::new(Unpark(std::thread::current())))
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_bell_rings_once_per_arming_and_only_when_armed() {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let bell = Doorbell::new(Waker::from(count.clone()));
        assert!(!bell.ring());
        bell.arm();
        assert!(bell.ring() && !bell.ring());
        bell.arm();
        bell.disarm();
        assert!(!bell.ring());
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(!bell.attach(Waker::noop().clone()), "a second waker would hide the first");
    }
}

/// Run with `RUSTFLAGS="--cfg loom" cargo test -p engine --lib --release`.
#[cfg(test)]
#[cfg(loom)]
mod model {
    use super::*;
    use loom::sync::atomic::AtomicUsize;
    use loom::sync::{Arc as Shared, Condvar, Mutex};
    use loom::thread;

    /// Sleeping until woken, where a wake that comes first is kept, as with `std::thread::park`.
    /// (Loom's own `unpark` also ends a `join`, which it should not.)
    struct Sleeper {
        woken: Mutex<bool>,
        wake: Condvar,
    }

    impl Wake for Sleeper {
        fn wake(self: Arc<Self>) {
            *self.woken.lock().unwrap() = true;
            self.wake.notify_one();
        }
    }

    impl Sleeper {
        fn new() -> Arc<Self> {
            Arc::new(Self { woken: Mutex::new(false), wake: Condvar::new() })
        }

        fn sleep(&self) {
            let mut woken = self.woken.lock().unwrap();
            while !*woken {
                woken = self.wake.wait(woken).unwrap();
            }
            *woken = false;
        }
    }

    /// The queue is its length: the producer publishes with release, as the ring's tail is. A lost
    /// wakeup leaves the consumer asleep for ever, which loom reports as a deadlock.
    #[test]
    fn whatever_was_pushed_is_seen_without_a_timeout() {
        loom::model(|| {
            let sleeper = Sleeper::new();
            let bell = Shared::new(Doorbell::new(Waker::from(sleeper.clone())));
            let pushed = Shared::new(AtomicUsize::new(0));
            let producer = {
                let (bell, pushed) = (bell.clone(), pushed.clone());
                thread::spawn(move || {
                    for n in 1..=2 {
                        pushed.store(n, Ordering::Release);
                        bell.ring();
                    }
                })
            };
            let mut seen = 0;
            while seen < 2 {
                bell.arm();
                let there = pushed.load(Ordering::Acquire);
                if there > seen {
                    bell.disarm();
                    seen = there;
                } else {
                    sleeper.sleep();
                }
            }
            producer.join().unwrap();
        });
    }

    /// Both directions at once over a queue of one place: the shard waits for room while the
    /// consumer waits for events.
    #[test]
    fn a_full_queue_and_an_empty_one_never_wait_for_each_other() {
        /// Waits until the queue is `wanted`: full for one side, empty for the other.
        fn wait(full: &AtomicUsize, wanted: usize, bell: &Doorbell, sleeper: &Sleeper) {
            loop {
                bell.arm();
                if full.load(Ordering::Acquire) == wanted {
                    return bell.disarm();
                }
                sleeper.sleep();
            }
        }
        loom::model(|| {
            let (here, there) = (Sleeper::new(), Sleeper::new());
            let room = Shared::new(Doorbell::new(Waker::from(here.clone())));
            let bell = Shared::new(Doorbell::new(Waker::from(there.clone())));
            let full = Shared::new(AtomicUsize::new(0));
            let consumer = {
                let (full, bell, room) = (full.clone(), bell.clone(), room.clone());
                thread::spawn(move || {
                    for _ in 0..2 {
                        wait(&full, 1, &bell, &there);
                        full.store(0, Ordering::Release);
                        room.ring();
                    }
                })
            };
            for _ in 0..2 {
                wait(&full, 0, &room, &here);
                full.store(1, Ordering::Release);
                bell.ring();
            }
            consumer.join().unwrap();
        });
    }
}
