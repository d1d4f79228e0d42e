//! The ledger on two threads of its own: one writes, one reads.

use std::task::Waker;
use std::time::Duration;

use engine::Catalog;
use model::ledger::{LedgerAppend, LedgerReply};
use store::ledger::{LedgerReport, LedgerWriter, WriterOptions};

use super::reader::{Ask, Reader, Told};
use super::{Ledger, ledger};
use crate::config::LedgerConfig;
use crate::outcome::RunError;

/// A question that is under way in the end is given up after so long: nothing is lost by that.
const READER_ENDS_WITHIN: Duration = Duration::from_secs(2);

/// Does something with the ledger on a thread of its own, and waits: before a run has begun. A
/// database's client has a runtime, which can't be used where another one runs.
///
/// # Errors
/// Why it can't be done.
pub(crate) fn aside<T: Send>(
    what: impl FnOnce() -> Result<T, RunError> + Send,
) -> Result<T, RunError> {
    let done = std::thread::scope(|scope| scope.spawn(what).join());
    done.unwrap_or_else(|_| {
        Err(RunError("reading the ledger panicked; this is a bug, please report it".to_owned()))
    })
}

/// The threads, from the shard's side.
#[derive(Debug)]
pub(crate) struct Threads {
    writer: LedgerWriter,
    reader: Reader,
}

impl Threads {
    /// Opens the ledger and starts both; `waker` wakes the shard when there is something to hear.
    ///
    /// # Errors
    /// When the ledger can't be opened, or no thread can be had.
    pub(crate) fn start(
        config: &LedgerConfig,
        catalog: Catalog,
        waker: &Waker,
    ) -> Result<Self, RunError> {
        let options = WriterOptions { durability: config.durability, ..WriterOptions::default() };
        let (storage, read) =
            aside(|| Ok((ledger::writer(config)?, ledger::reader(&config.place)?)))?;
        let wake = waker.clone();
        let writer = LedgerWriter::start(storage, options, move || wake.wake_by_ref())
            .map_err(|error| RunError::new("the ledger's thread", error))?;
        let wake = waker.clone();
        let reader = Reader::start(read, catalog, move || wake.wake_by_ref())
            .map_err(|error| RunError::new("the ledger's reader", error))?;
        Ok(Self { writer, reader })
    }

    /// Writes what waits, and ends both: in bounded time, whatever the ledger does.
    ///
    /// # Errors
    /// What could not be written, or may not have been.
    pub(crate) fn finish(self) -> Result<LedgerReport, RunError> {
        self.reader.finish(READER_ENDS_WITHIN);
        self.writer.finish().map_err(|error| RunError::new("the ledger", error))
    }
}

impl Ledger for Threads {
    fn append(&mut self, append: LedgerAppend) -> Result<(), Box<LedgerAppend>> {
        self.writer.try_append(append)
    }

    fn reply(&mut self) -> Option<LedgerReply> {
        self.writer.try_next()
    }

    fn ask(&mut self, ask: Ask) -> Result<(), Ask> {
        self.reader.ask(ask)
    }

    fn told(&mut self) -> Option<Told> {
        self.reader.told()
    }
}
