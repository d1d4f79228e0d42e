//! The builder: the one place that knows how the rooms are joined.

use std::path::PathBuf;
use std::time::Duration;

use engine::control::OperatorEnd;
use engine::{Consumer, Operator, Subscription};
use store::capture::{Recorder, RecorderOptions, WriterOptions};

use crate::clock::SystemClock;
use crate::config::Config;
use crate::consumers::{ConsumerOptions, Seat, Source};
use crate::control::Control;
use crate::dead_letters::DeadLetterQueue;
use crate::live::{self, Parts};
use crate::metrics::{self, MetricsEnd, MetricsHandle};
use crate::outcome::{Gauges, RunError, Stop, Summary};

/// A gateway to be run.
#[derive(Debug)]
pub struct Gateway;

impl Gateway {
    /// Starts with a configuration.
    #[must_use]
    pub fn builder(config: Config) -> Builder {
        let (operator, operators) = engine::control::operator();
        Builder {
            operator,
            operators,
            dead_letters: DeadLetterQueue::new(&config.dead_letters),
            metrics: metrics::handle(),
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
    operator: Operator,
    operators: OperatorEnd,
    dead_letters: DeadLetterQueue,
    metrics: (MetricsHandle, MetricsEnd),
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
        self,
        name: &str,
        wants: Subscription,
        consumer: impl Consumer + 'static,
    ) -> Self {
        self.seat(name, ConsumerOptions::of(wants), Source::One(Box::new(consumer)))
    }

    /// Adds a consumer with options, made by `make`: once at first, and anew when it has panicked,
    /// where its options don't say otherwise.
    /// ```no_run
    /// # use meltica::{Consumer, Context, ConsumerOptions, Event, Gateway, Kind, Placement, Rights};
    /// # use meltica::{Subscription, config};
    /// # let config = config::load("meltica.toml".as_ref()).unwrap();
    /// #[derive(Default)]
    /// struct Strategy;
    ///
    /// impl Consumer for Strategy {
    ///     fn on_event(&mut self, event: Event, ctx: &mut Context<'_>) {
    ///         println!("{event:?}, may trade: {}", ctx.may_trade());
    ///     }
    /// }
    ///
    /// let options = ConsumerOptions {
    ///     wants: Subscription::of("spot", "BTC-USDT", Kind::Quote),
    ///     rights: Rights { trade: true, ..Rights::default() },
    ///     placement: Placement::shard(),
    ///     ..ConsumerOptions::default()
    /// };
    /// Gateway::builder(config).consumer_with("strategy", options, Strategy::default).run().unwrap();
    /// ```
    #[must_use]
    pub fn consumer_with<C: Consumer + 'static>(
        self,
        name: &str,
        options: ConsumerOptions,
        mut make: impl FnMut() -> C + Send + 'static,
    ) -> Self {
        self.seat(name, options, Source::Made(Box::new(move || Box::new(make()))))
    }

    fn seat(mut self, name: &str, options: ConsumerOptions, source: Source) -> Self {
        self.consumers.push(Seat { name: name.to_owned(), options, source });
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

    /// Commands the gateway from any thread, while it runs: subscriptions of its consumers, their
    /// trading switches.
    #[must_use]
    pub fn control(&self) -> Control {
        Control::new(self.operator.clone())
    }

    /// Looks at what could not be used or delivered, from any thread, while it runs and after it.
    #[must_use]
    pub fn dead_letters(&self) -> DeadLetterQueue {
        self.dead_letters.clone()
    }

    /// Looks at everything that is counted, from any thread, while it runs.
    #[must_use]
    pub fn metrics(&self) -> MetricsHandle {
        self.metrics.0.clone()
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
            operators: self.operators,
            dead_letters: self.dead_letters,
            metrics: self.metrics.1,
        };
        let mut summary = live::run(parts, self.consumers)?;
        for recorder in recorders {
            let report = recorder.finish().map_err(|error| RunError::new("recording", error))?;
            summary.lines_lost += report.lost;
        }
        Ok(summary)
    }
}
