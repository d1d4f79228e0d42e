//! The builder: the one place that knows how the rooms are joined.

use std::path::PathBuf;
use std::time::Duration;

use engine::{Consumer, Subscription};
use store::capture::{Recorder, RecorderOptions, WriterOptions};

use crate::clock::SystemClock;
use crate::config::Config;
use crate::consumers::Seat;
use crate::live::{self, Parts};
use crate::outcome::{Gauges, RunError, Stop, Summary};

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
            gauges: Gauges::default(),
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
    gauges: Gauges,
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

    /// Ends the run when `stop` is told to, as [`stop_handle`](Self::stop_handle) does.
    #[must_use]
    pub fn stop_with(mut self, stop: Stop) -> Self {
        self.stop = stop;
        self
    }

    /// Shows the pools of the run through `gauges`.
    #[must_use]
    pub fn gauges(mut self, gauges: Gauges) -> Self {
        self.gauges = gauges;
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
            gauges: self.gauges,
        };
        let mut summary = live::run(parts, self.consumers)?;
        for recorder in recorders {
            let report = recorder.finish().map_err(|error| RunError::new("recording", error))?;
            summary.lines_lost += report.lost;
        }
        Ok(summary)
    }
}
