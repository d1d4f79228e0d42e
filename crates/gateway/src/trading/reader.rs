//! Reading the ledger beside the shard: a thread that is asked and answers, so that nothing there
//! waits for a disk.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use engine::Catalog;
use engine::exec_log::{Page, exec_event};
use model::ledger::{Name, OrderKey, StoredOrder, VenueName};
use model::{ConsumerId, Error};
use store::ledger::{LedgerError, LedgerRead};

use super::restore::{WithFacts, facts_of};

/// Questions that may be under way; one more waits with whoever asks.
const ASKS_MAX: usize = 256;

/// A question.
#[derive(Debug)]
pub(crate) enum Ask {
    /// A consumer's reports behind a position, at most `limit`.
    Page {
        /// Its number in this process.
        consumer: ConsumerId,
        /// Its name, by which the ledger knows it.
        name: Name,
        /// Behind this position.
        after: u64,
        /// At most so many.
        limit: usize,
    },
    /// What is known of an order.
    Order(OrderKey),
    /// Whose a venue order is.
    Stranger(VenueName),
}

/// An answer.
#[derive(Debug)]
pub(crate) enum Told {
    /// To [`Ask::Page`].
    Page(Page),
    /// To [`Ask::Order`]; where the ledger can't be read, nothing is said of the order.
    Order(OrderKey, Result<Option<Box<StoredOrder>>, Error>),
    /// To [`Ask::Stranger`], with all facts of the order that it is; where the ledger can't be read,
    /// nothing is said of it.
    Stranger(VenueName, Result<Option<WithFacts>, Error>),
}

impl Told {
    /// Why the ledger could not be read for it.
    fn error(&self) -> Option<&Error> {
        match self {
            Self::Page(page) => page.events.as_ref().err(),
            Self::Order(_, stored) => stored.as_ref().err(),
            Self::Stranger(_, stored) => stored.as_ref().err(),
        }
    }
}

/// The shard's side.
#[derive(Debug)]
pub(super) struct Reader {
    asks: SyncSender<Ask>,
    told: Receiver<Told>,
    thread: JoinHandle<()>,
    /// Nobody sends here: it ends with the thread.
    ended: Receiver<()>,
}

impl Reader {
    /// Starts the thread; `wake` is called after each answer.
    ///
    /// # Errors
    /// When no thread can be had.
    pub(super) fn start(
        mut ledger: Box<dyn LedgerRead>,
        catalog: Catalog,
        wake: impl Fn() + Send + 'static,
    ) -> std::io::Result<Self> {
        let (asks, questions) = sync_channel(ASKS_MAX);
        // As many answers as questions fit, so that the thread never waits for the shard.
        let (answers, told) = sync_channel(ASKS_MAX + 1);
        let (alive, ended) = sync_channel(0);
        let thread = std::thread::Builder::new().name("ledger-reader".into()).spawn(move || {
            let _alive: SyncSender<()> = alive;
            let mut failing = Failing::default();
            while let Ok(ask) = questions.recv() {
                let told = answer(&mut *ledger, &catalog, ask);
                failing.look(told.error());
                if answers.send(told).is_err() {
                    return;
                }
                wake();
            }
        })?;
        Ok(Self { asks, told, thread, ended })
    }

    /// Asks.
    ///
    /// # Errors
    /// The question itself, where as many as may be are under way.
    pub(super) fn ask(&self, ask: Ask) -> Result<(), Ask> {
        self.asks.try_send(ask).map_err(|refused| match refused {
            TrySendError::Full(ask) | TrySendError::Disconnected(ask) => ask,
        })
    }

    /// The next answer.
    pub(super) fn told(&self) -> Option<Told> {
        self.told.try_recv().ok()
    }

    /// Ends the thread, or leaves it behind where its database does not answer in time; whether it ended.
    pub(super) fn finish(self, within: Duration) -> bool {
        drop((self.asks, self.told));
        let left = self.ended.recv_timeout(within) == Err(RecvTimeoutError::Timeout);
        if left {
            tracing::warn!("the ledger's reader has no answer still, and is left behind");
        } else if self.thread.join().is_err() {
            tracing::error!("the ledger's reader panicked; this is a bug, please report it");
        }
        !left
    }
}

/// Whether reading fails, told to the operator where that changes: a consumer that goes on ordering
/// would fill the log with one error for each of its orders.
#[derive(Debug, Default)]
struct Failing(Option<Error>);

impl Failing {
    /// What became of one question; whether it was told.
    fn look(&mut self, error: Option<&Error>) -> bool {
        if self.0.as_ref() == error {
            return false;
        }
        match error {
            Some(error) => tracing::error!(
                %error, "the ledger can't be read: no order is taken whose id it might know"
            ),
            None => tracing::info!("the ledger can be read again"),
        }
        self.0 = error.cloned();
        true
    }
}

pub(super) fn answer(ledger: &mut dyn LedgerRead, catalog: &Catalog, ask: Ask) -> Told {
    match ask {
        Ask::Page { consumer, name, after, limit } => {
            let events = ledger.reports_after(&name, after, limit).map(|reports| {
                let event = |(position, report)| exec_event(position, Arc::new(report), catalog);
                reports.into_iter().map(event).collect()
            });
            Told::Page(Page { consumer, after, events: events.map_err(|error| (&error).into()) })
        }
        Ask::Order(key) => {
            let stored = ledger.order(&key).map(|stored| stored.map(Box::new));
            Told::Order(key, stored.map_err(|error| (&error).into()))
        }
        Ask::Stranger(of) => {
            let stored = owned(ledger, &of);
            Told::Stranger(of, stored.map_err(|error| (&error).into()))
        }
    }
}

fn owned(ledger: &mut dyn LedgerRead, of: &VenueName) -> Result<Option<WithFacts>, LedgerError> {
    let Some(key) = ledger.owner(of)? else { return Ok(None) };
    let Some(stored) = ledger.order(&key)? else { return Ok(None) };
    Ok(Some((stored.submit, facts_of(ledger, &key)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_hears_once_that_reading_fails_and_once_that_it_is_over() {
        let (disk, damaged) = (Error::reject("check the disk"), Error::stop("damaged"));
        let mut failing = Failing::default();
        let mut told = |error| failing.look(error);
        assert!(!told(None));
        assert!(told(Some(&disk)));
        assert!(!told(Some(&disk)));
        assert!(told(Some(&damaged)), "another cause");
        assert!(!told(Some(&damaged)));
        assert!(told(None));
        assert!(!told(None));
    }
}
