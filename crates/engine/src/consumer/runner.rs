//! A consumer with its inbox: whoever has a thread for it calls [`Runner::run`].
//!
//! A consumer that is made by a factory is made anew when it has panicked, after a while that grows.
//! The new one knows nothing: so the shard is asked to begin anew with it, which is a flip. Market
//! data of older versions is skipped, every book begins with its snapshot, every stream says how it
//! stands, and critical events come as ever.

use std::time::Duration;

use model::Nanos;

use super::panics;
use super::{Consumer, Inbox};
use crate::capacity::{BATCH_MAX, BATCH_ON_SHARD_MAX};

/// Makes a consumer, as often as it is needed.
///
/// What the one before has commanded stands, and answers to it still come. So the new one commands
/// under numbers of its own, counted from [`Context::now`](crate::Context::now) on for instance: the
/// same command under the same number is the one that was given before.
pub type Factory = Box<dyn FnMut() -> Box<dyn Consumer> + Send>;

/// Whether a consumer that panicked is made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// No: it goes on with the next event.
    Never,
    /// Yes, after `first`, then after twice as long each time, up to `most`; what lived longer than
    /// `most` begins with `first` again.
    AfterPanic {
        /// Before the first restart.
        first: Duration,
        /// Before any.
        most: Duration,
    },
}

impl Default for Restart {
    fn default() -> Self {
        Self::AfterPanic { first: Duration::from_millis(100), most: Duration::from_secs(30) }
    }
}

/// Where a consumer runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Placement {
    /// On a thread of its own.
    #[default]
    Thread,
    /// On the shard's thread, after each turn: the shortest way, for short handlers that are trusted
    /// not to wait. A batch that takes longer than its budget is counted; too many of them, and the
    /// consumer goes on on a thread of its own.
    Shard {
        /// For a batch of up to [`BATCH_ON_SHARD_MAX`] events.
        budget: Duration,
        /// So many overruns move it off; one of `n` budgets counts `n - 1` times, at least once, and
        /// all are forgiven after 1,000 batches in a row that kept to it.
        overruns_max: u32,
    },
}

impl Placement {
    /// On the shard's thread with the usual budget of 200 µs a batch.
    #[must_use]
    pub fn shard() -> Self {
        Self::Shard { budget: Duration::from_micros(200), overruns_max: 8 }
    }
}

/// After so many batches in a row that kept to the budget, overruns are forgiven.
const FORGIVEN_AFTER: u32 = 1_000;

/// A consumer and the end of its queue.
pub struct Runner {
    inbox: Inbox,
    life: Life,
    make: Option<(Factory, Duration, Duration)>,
    /// Before the next restart.
    backoff: Duration,
    begun: Option<Nanos>,
}

enum Life {
    /// It takes events.
    Up(Box<dyn Consumer>),
    /// It has panicked and is made anew then.
    Down(Nanos),
    /// It can't be made, and there is nothing more to make it for.
    Over,
}

impl Runner {
    /// A consumer that there is one of: after a panic it goes on with the next event.
    #[must_use]
    pub fn new(inbox: Inbox, consumer: Box<dyn Consumer>) -> Self {
        panics::install();
        let (life, backoff) = (Life::Up(consumer), Duration::ZERO);
        Self { inbox, life, make: None, backoff, begun: None }
    }

    /// A consumer that is made by `make`: at once, and anew as `restart` says.
    #[must_use]
    pub fn made(inbox: Inbox, mut make: Factory, restart: Restart) -> Self {
        let mut runner = Self::new(inbox, make());
        if let Restart::AfterPanic { first, most } = restart {
            runner.make = Some((make, first, most));
            runner.backoff = first;
        }
        runner
    }

    /// Its end of the queue.
    #[must_use]
    pub fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// Hands one batch to the consumer and says how many events it was; `now` is read once per event
    /// and once at the end.
    pub fn run(&mut self, now: impl FnMut() -> Nanos) -> usize {
        self.run_up_to(BATCH_MAX, now)
    }

    fn run_up_to(&mut self, most: usize, mut now: impl FnMut() -> Nanos) -> usize {
        if let Life::Down(at) = self.life {
            let at_once = self.inbox.is_abandoned();
            let now = now();
            if at > now && !at_once {
                return 0;
            }
            self.make_anew(now);
        }
        let Life::Up(consumer) = &mut self.life else { return 0 };
        let panics = self.inbox.panics();
        let restarts = self.make.is_some();
        let handed = self.inbox.drain_batch(most, &mut **consumer, &mut now, restarts);
        if restarts && self.inbox.panics() > panics {
            self.bury(now());
        }
        handed
    }

    /// The consumer has panicked: it goes, and comes again after a while.
    fn bury(&mut self, now: Nanos) {
        let Some((_, first, most)) = &self.make else { return };
        if self.begun.is_some_and(|begun| now.since(begun) > *most) {
            self.backoff = *first;
        }
        let again_in = self.backoff;
        self.backoff = (self.backoff * 2).min(*most);
        tracing::warn!(
            consumer = &**self.inbox.name(),
            again_in_ms = again_in.as_millis(),
            "a consumer that panicked is made anew"
        );
        let old = std::mem::replace(&mut self.life, Life::Down(now + again_in));
        // What is broken may break once more when it goes.
        if let Err(caught) = panics::catch(true, || drop(old)) {
            self.inbox.log_panic(None, &caught);
        }
    }

    fn make_anew(&mut self, now: Nanos) {
        let Some((make, _, _)) = &mut self.make else { return };
        match panics::catch(true, make) {
            Ok(consumer) => {
                self.life = Life::Up(consumer);
                self.begun = Some(now);
                self.inbox.begin_anew();
            }
            Err(caught) => {
                self.inbox.not_made(&caught);
                if self.inbox.is_abandoned() {
                    self.life = Life::Over;
                } else {
                    self.bury(now);
                }
            }
        }
    }

    /// When [`run`](Self::run) is wanted though nothing arrives.
    #[must_use]
    pub fn deadline(&self) -> Option<Nanos> {
        match self.life {
            Life::Down(at) => Some(at),
            Life::Up(_) | Life::Over => None,
        }
    }

    /// Whether whoever runs it may sleep until the waker is called, or, where there is one, until
    /// its deadline; to be asked right before every sleep.
    #[must_use]
    pub fn may_sleep(&self) -> bool {
        matches!(self.life, Life::Down(_)) || self.inbox.may_sleep()
    }

    /// Whether nothing is there and nothing will come, since the shard is gone; or nobody can be made
    /// who would take what is there.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.life, Life::Over) || self.inbox.is_closed()
    }
}

impl std::fmt::Debug for Runner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runner").field("inbox", &self.inbox).finish_non_exhaustive()
    }
}

/// A consumer on the shard's thread.
#[derive(Debug)]
pub struct Resident {
    runner: Runner,
    budget: Duration,
    overruns_max: u32,
    strikes: u32,
    kept: u32,
}

/// What becomes of a consumer on the shard's thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stay {
    /// It keeps to its budget.
    Here,
    /// It takes too long: it is to be moved to a thread of its own.
    MoveOff,
}

impl Resident {
    /// A consumer with a budget a batch; see [`Placement::Shard`].
    #[must_use]
    pub fn new(runner: Runner, budget: Duration, overruns_max: u32) -> Self {
        Self { runner, budget, overruns_max, strikes: 0, kept: 0 }
    }

    /// Hands it one batch, and measures how long that takes.
    pub fn run(&mut self, mut now: impl FnMut() -> Nanos) -> Stay {
        if self.runner.inbox.is_empty() && self.runner.deadline().is_none() {
            return Stay::Here;
        }
        let begun = now();
        let handed = self.runner.run_up_to(BATCH_ON_SHARD_MAX, &mut now);
        let took = now().since(begun);
        if handed > 0 {
            self.judge(took);
        }
        if self.strikes > self.overruns_max { Stay::MoveOff } else { Stay::Here }
    }

    fn judge(&mut self, took: Duration) {
        if took <= self.budget {
            self.kept += 1;
            if self.kept >= FORGIVEN_AFTER {
                (self.kept, self.strikes) = (0, 0);
            }
            return;
        }
        self.kept = 0;
        let budgets = took.as_nanos() / self.budget.as_nanos().max(1);
        let strikes = u32::try_from(budgets.saturating_sub(1)).unwrap_or(u32::MAX).max(1);
        self.strikes = self.strikes.saturating_add(strikes);
        self.runner.inbox.overran();
    }

    /// When [`run`](Self::run) is wanted though nothing arrives.
    #[must_use]
    pub fn deadline(&self) -> Option<Nanos> {
        self.runner.deadline()
    }

    /// Whether events wait that it could take now.
    #[must_use]
    pub fn has_events(&self) -> bool {
        self.runner.deadline().is_none() && !self.runner.inbox.is_empty()
    }

    /// The consumer, to be run by somebody else.
    #[must_use]
    pub fn into_runner(self) -> Runner {
        self.runner
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
