//! Consumers: how each is to be seated, their threads, and those on the shard's thread.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::Duration;

use engine::{
    Consumer, Factory, Inbox, Placement, QueueCapacity, Resident, Restart, Rights, Runner, Stay,
    Subscription, Tally,
};
use model::Nanos;
use model::venue::Rate;

use crate::clock::SystemClock;
use crate::config::ConsumerConfig;
use crate::outcome::RunError;

/// A consumer that waits to be made anew looks this often whether the gateway still runs.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How a consumer is seated. What the configuration says about it goes over what stands here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerOptions {
    /// What it gets from the start on; everything by default. Its `consumer` field is filled in.
    pub wants: Subscription,
    /// What it may command.
    pub rights: Rights,
    /// Which thread it runs on.
    pub placement: Placement,
    /// Whether it is made anew when it has panicked.
    pub restart: Restart,
    /// The size of its queue.
    pub queue: QueueCapacity,
    /// Whether its trading switch is on from the start; off where nothing is said.
    pub trading: bool,
    /// So many rejected orders in so long throw its trading switch off.
    pub breaker: Option<Rate>,
}

impl ConsumerOptions {
    /// Those of a consumer that gets so much.
    #[must_use]
    pub fn of(wants: Subscription) -> Self {
        Self { wants, ..Self::default() }
    }

    /// With what the configuration says about it.
    #[must_use]
    pub fn configured(mut self, config: Option<&ConsumerConfig>) -> Self {
        let Some(config) = config else { return self };
        self.placement = config.placement.unwrap_or(self.placement);
        self.restart = config.restart.unwrap_or(self.restart);
        self.rights.subscribe = config.may_subscribe.unwrap_or(self.rights.subscribe);
        self.rights.trade = config.may_trade.unwrap_or(self.rights.trade);
        self.trading = config.trading.unwrap_or(self.trading);
        self.breaker = config.breaker.or(self.breaker);
        self
    }

    /// Whether it may ever hand an order in.
    pub(crate) fn trades(&self) -> bool {
        self.trading || self.rights.trade
    }
}

/// Where a consumer comes from.
pub(crate) enum Source {
    /// There is one.
    One(Box<dyn Consumer>),
    /// It is made as often as needed.
    Made(Factory),
}

/// A consumer that was registered.
pub(crate) struct Seat {
    pub name: String,
    pub options: ConsumerOptions,
    pub source: Source,
}

/// The consumers at work.
pub(crate) struct Seated {
    clock: SystemClock,
    threads: Vec<(String, JoinHandle<()>)>,
    residents: Vec<Resident>,
    tallies: Vec<(String, Arc<Tally>)>,
}

impl Seated {
    /// Nobody yet.
    pub(crate) fn new(clock: SystemClock) -> Self {
        Self { clock, threads: Vec::new(), residents: Vec::new(), tallies: Vec::new() }
    }

    /// Puts a consumer where it is to run.
    pub(crate) fn add(
        &mut self,
        inbox: Inbox,
        options: &ConsumerOptions,
        source: Source,
    ) -> Result<(), RunError> {
        self.tallies.push((inbox.name().to_string(), inbox.tally().clone()));
        let runner = match source {
            Source::One(consumer) => Runner::new(inbox, consumer),
            Source::Made(make) => Runner::made(inbox, make, options.restart),
        };
        match options.placement {
            Placement::Thread => self.start(runner).map_err(|(_, error)| error),
            Placement::Shard { budget, overruns_max } => {
                self.residents.push(Resident::new(runner, budget, overruns_max));
                Ok(())
            }
        }
    }

    /// Gives a consumer a thread of its own; where there is none, the consumer comes back.
    fn start(&mut self, runner: Runner) -> Result<(), (Box<Runner>, RunError)> {
        let (clock, name) = (self.clock, runner.inbox().name().to_string());
        let (hand_over, take) = sync_channel::<Runner>(1);
        let thread = std::thread::Builder::new().name(format!("consumer-{name}"));
        let spawned = thread.spawn(move || {
            if let Ok(runner) = take.recv() {
                drain(runner, clock);
            }
        });
        match spawned {
            Ok(handle) => {
                self.threads.push((name, handle));
                // It has room for one, and the thread waits for it.
                let _ = hand_over.send(runner);
                Ok(())
            }
            Err(error) => {
                let error = RunError::new("a thread for a consumer", error);
                Err((Box::new(runner), error))
            }
        }
    }

    /// Hands those on the shard's thread a batch each. One that takes too long goes on on a thread of
    /// its own, with all that is in its queue.
    pub(crate) fn run_residents(&mut self) {
        let (clock, mut n) = (self.clock, 0);
        while let Some(resident) = self.residents.get_mut(n) {
            if resident.run(|| clock.now()) == Stay::MoveOff {
                let runner = self.residents.remove(n).into_runner();
                self.move_off(runner);
            } else {
                n += 1;
            }
        }
    }

    /// Whether something waits for any of those on the shard's thread.
    pub(crate) fn resident_waits(&self) -> bool {
        self.residents.iter().any(Resident::has_events)
    }

    /// The time by which they are measured.
    pub(crate) fn clock(&self) -> SystemClock {
        self.clock
    }

    fn move_off(&mut self, runner: Runner) {
        let consumer = runner.inbox().name().clone();
        let overruns = runner.inbox().tally().counts().overruns;
        tracing::warn!(
            consumer = &*consumer,
            overruns,
            "a consumer on the shard's thread takes too long: it gets a thread of its own"
        );
        if let Err((runner, error)) = self.start(runner) {
            tracing::error!(consumer = &*consumer, %error, "it stays on the shard's thread");
            self.residents.push(Resident::new(*runner, Duration::MAX, u32::MAX));
        }
    }

    /// When [`run_residents`](Self::run_residents) is wanted though nothing arrives.
    pub(crate) fn deadline(&self) -> Option<Nanos> {
        self.residents.iter().filter_map(Resident::deadline).min()
    }

    /// What is counted for each of them.
    pub(crate) fn tallies(&self) -> Vec<(String, Arc<Tally>)> {
        self.tallies.clone()
    }

    /// After the shard is gone: those on this thread get what they have coming; of the others, waits
    /// for those who finish in time and gives the names of the rest.
    pub(crate) fn join(self, deadline: Duration) -> Vec<String> {
        let (clock, until) = (self.clock, self.clock.now() + deadline);
        for mut runner in self.residents.into_iter().map(Resident::into_runner) {
            while !runner.is_closed() && clock.now() < until {
                runner.run(|| clock.now());
            }
        }
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
fn drain(mut runner: Runner, clock: SystemClock) {
    runner.inbox().attach(engine::doorbell::thread_waker());
    while !runner.is_closed() {
        if runner.run(|| clock.now()) > 0 || !runner.may_sleep() {
            continue;
        }
        match runner.deadline() {
            Some(at) => std::thread::park_timeout(at.since(clock.now()).min(LOOK_EVERY)),
            None => std::thread::park(),
        }
    }
}
