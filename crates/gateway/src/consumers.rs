//! Consumers on threads of their own.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use engine::{Consumer, Inbox, Subscription, Tally};

use crate::clock::SystemClock;
use crate::outcome::RunError;

/// A consumer, and what it wants.
pub(crate) struct Seat {
    pub name: String,
    pub wants: Subscription,
    pub consumer: Box<dyn Consumer>,
}

/// The threads of the consumers.
pub(crate) struct Seated {
    threads: Vec<(String, JoinHandle<()>)>,
    tallies: Vec<(String, Arc<Tally>)>,
}

impl Seated {
    /// Gives each consumer a thread of its own.
    pub(crate) fn start(
        seats: Vec<(Inbox, Box<dyn Consumer>)>,
        clock: SystemClock,
    ) -> Result<Self, RunError> {
        let (mut threads, mut tallies) = (Vec::new(), Vec::new());
        for (inbox, consumer) in seats {
            let name = inbox.name().to_string();
            tallies.push((name.clone(), inbox.tally().clone()));
            let thread = std::thread::Builder::new().name(format!("consumer-{name}"));
            let handle = thread
                .spawn(move || drain(inbox, consumer, clock))
                .map_err(|error| RunError::new("a thread for a consumer", error))?;
            threads.push((name, handle));
        }
        Ok(Self { threads, tallies })
    }

    /// What is counted for each of them.
    pub(crate) fn tallies(&self) -> Vec<(String, Arc<Tally>)> {
        self.tallies.clone()
    }

    /// Waits for those who finish in time; gives the names of the others.
    pub(crate) fn join(self, deadline: Duration, clock: SystemClock) -> Vec<String> {
        let until = clock.now() + deadline;
        let mut stuck = Vec::new();
        for (name, handle) in self.threads {
            while !handle.is_finished() && clock.now() < until {
                std::thread::park_timeout(Duration::from_millis(5));
            }
            if handle.is_finished() {
                // A panic outside of a handler; those inside were caught and counted.
                if handle.join().is_err() {
                    tracing::error!(consumer = name, "the consumer's thread panicked");
                }
            } else {
                tracing::error!(consumer = name, "a handler has not returned; left behind");
                stuck.push(name);
            }
        }
        stuck
    }
}

/// A consumer's thread: takes what is there, and sleeps when nothing is.
fn drain(mut inbox: Inbox, mut consumer: Box<dyn Consumer>, clock: SystemClock) {
    inbox.attach(engine::doorbell::thread_waker());
    while !inbox.is_closed() {
        if inbox.drain(&mut *consumer, || clock.now()) == 0 && inbox.may_sleep() {
            std::thread::park();
        }
    }
}
