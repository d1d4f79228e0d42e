//! Reading the ledger beside the shard: a thread that is asked and answers, so that nothing there
//! waits for a disk.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use engine::Catalog;
use engine::exec_log::{Page, exec_event};
use model::ConsumerId;
use model::ledger::{Name, OrderKey, ReportKey, StoredOrder};
use store::ledger::{LedgerError, LedgerRead};

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
    /// Whether there is a report of that key.
    Report(ReportKey),
}

/// An answer.
#[derive(Debug)]
pub(crate) enum Told {
    /// To [`Ask::Page`].
    Page(Page),
    /// To [`Ask::Order`]; where the ledger can't be read, nothing is said of the order.
    Order(OrderKey, Result<Option<Box<StoredOrder>>, LedgerError>),
    /// To [`Ask::Report`]; `None` where the ledger can't be read.
    Report(ReportKey, Option<bool>),
}

/// The shard's side.
#[derive(Debug)]
pub(super) struct Reader {
    asks: SyncSender<Ask>,
    told: Receiver<Told>,
    thread: JoinHandle<()>,
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
        let thread = std::thread::Builder::new().name("ledger-reader".into()).spawn(move || {
            while let Ok(ask) = questions.recv() {
                if answers.send(answer(&mut *ledger, &catalog, ask)).is_err() {
                    return;
                }
                wake();
            }
        })?;
        Ok(Self { asks, told, thread })
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

    /// Ends the thread.
    pub(super) fn finish(self) {
        drop((self.asks, self.told));
        if self.thread.join().is_err() {
            tracing::error!("the ledger's reader panicked; this is a bug, please report it");
        }
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
            let stored = ledger.order(&key).inspect_err(|error| {
                tracing::error!(order = %key, %error, "an order can't be read from the ledger");
            });
            Told::Order(key, stored.map(|stored| stored.map(Box::new)))
        }
        Ask::Report(key) => {
            let known = ledger.knows(&key);
            let known = known.inspect_err(|error| {
                tracing::error!(?key, %error, "a report can't be looked up in the ledger");
            });
            Told::Report(key, known.ok())
        }
    }
}
