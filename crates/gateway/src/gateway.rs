//! The builder: the one place that knows how the rooms are joined.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use engine::{Consumer, Inbox, Subscription};
use futures_util::task::AtomicWaker;
use store::capture::{Recorder, RecorderOptions, WriterOptions};

use crate::clock::SystemClock;
use crate::config::Config;
use crate::live::{self, Parts};
use crate::report::VenueReport;

/// A gateway to be run.
#[derive(Debug)]
pub struct Gateway;

impl Gateway {
    /// Starts with a configuration.
    #[must_use]
    pub fn builder(config: Config) -> Builder {
        Builder {
            config,
            consumers: Vec::new(),
            record: None,
            duration: None,
            stop: Stop::default(),
            signals: false,
        }
    }
}

/// A gateway being put together.
pub struct Builder {
    config: Config,
    consumers: Vec<Seat>,
    record: Option<PathBuf>,
    duration: Option<Duration>,
    stop: Stop,
    signals: bool,
}

/// A consumer, and what it wants.
pub(crate) struct Seat {
    pub name: String,
    pub wants: Subscription,
    pub consumer: Box<dyn Consumer>,
}

/// What went wrong before or while a gateway ran.
#[derive(Debug)]
pub struct RunError(pub String);

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RunError {}

impl RunError {
    pub(crate) fn new(what: &str, error: impl fmt::Display) -> Self {
        Self(format!("{what}: {error}"))
    }
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// How long it ran.
    pub elapsed: Duration,
    /// Per provider.
    pub providers: Vec<VenueReport>,
    /// Consumers whose handler did not return in time; their threads were left behind.
    pub stuck: Vec<String>,
    /// Lines that a recorder had to drop.
    pub lines_lost: u64,
}

/// Ends a run from any thread.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<StopFlag>);

#[derive(Debug, Default)]
struct StopFlag {
    set: AtomicBool,
    waker: AtomicWaker,
}

impl Stop {
    /// The run ends: connections are closed properly, consumers get what they have coming.
    pub fn stop(&self) {
        self.0.set.store(true, Ordering::Release);
        self.0.waker.wake();
    }

    /// Whether it was called; if not, the task is woken when it is.
    pub(crate) fn poll(&self, cx: &std::task::Context<'_>) -> bool {
        self.0.waker.register(cx.waker());
        self.0.set.load(Ordering::Acquire)
    }
}

impl Builder {
    /// Adds a consumer of everything, on a thread of its own.
    #[must_use]
    pub fn consumer(self, name: &str, consumer: impl Consumer + 'static) -> Self {
        self.consumer_of(name, Subscription::default(), consumer)
    }

    /// Adds a consumer of what `wants` names; its `consumer` field is filled in here.
    #[must_use]
    pub fn consumer_of(
        mut self,
        name: &str,
        wants: Subscription,
        consumer: impl Consumer + 'static,
    ) -> Self {
        let consumer = Box::new(consumer);
        self.consumers.push(Seat { name: name.to_owned(), wants, consumer });
        self
    }

    /// Records what goes over every provider's wires, one set of files each, in that folder.
    #[must_use]
    pub fn record(mut self, folder: impl Into<PathBuf>) -> Self {
        self.record = Some(folder.into());
        self
    }

    /// Ends the run by itself.
    #[must_use]
    pub fn stop_after(mut self, duration: Duration) -> Self {
        self.duration = Some(duration);
        self
    }

    /// Ends the run on Ctrl-C and SIGTERM.
    #[must_use]
    pub fn stop_on_signals(mut self) -> Self {
        self.signals = true;
        self
    }

    /// Ends the run from another thread.
    #[must_use]
    pub fn stop_handle(&self) -> Stop {
        self.stop.clone()
    }

    /// Runs until it is stopped. Blocks the calling thread, which becomes the shard's.
    ///
    /// # Errors
    /// Something needed could not be had: threads, files, a second consumer of one name.
    pub fn run(self) -> Result<Summary, RunError> {
        let clock = SystemClock::start();
        let mut recorders = Vec::new();
        for provider in &self.config.providers {
            let Some(folder) = &self.record else { break };
            let writer = WriterOptions::stamped(folder, &provider.name);
            let recorder = Recorder::start(RecorderOptions::new(writer))
                .map_err(|error| RunError::new("recording", error))?;
            recorders.push(recorder);
        }
        let taps = recorders.iter().zip(&self.config.providers);
        let taps = taps.map(|(recorder, provider)| recorder.tap(&provider.venue)).collect();
        let parts = Parts {
            config: self.config,
            clock,
            taps,
            duration: self.duration,
            stop: self.stop,
            signals: self.signals,
        };
        let mut summary = live::run(parts, self.consumers)?;
        for recorder in recorders {
            let report = recorder.finish().map_err(|error| RunError::new("recording", error))?;
            summary.lines_lost += report.lost;
        }
        Ok(summary)
    }
}

/// The threads of the consumers.
pub(crate) struct Seated {
    threads: Vec<(String, JoinHandle<()>)>,
}

impl Seated {
    /// Gives each consumer a thread of its own.
    pub(crate) fn start(
        seats: Vec<(Inbox, Box<dyn Consumer>)>,
        clock: SystemClock,
    ) -> Result<Self, RunError> {
        let mut threads = Vec::new();
        for (inbox, consumer) in seats {
            let name = inbox.name().to_string();
            let thread = std::thread::Builder::new().name(format!("consumer-{name}"));
            let handle = thread
                .spawn(move || drain(inbox, consumer, clock))
                .map_err(|error| RunError::new("a thread for a consumer", error))?;
            threads.push((name, handle));
        }
        Ok(Self { threads })
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
