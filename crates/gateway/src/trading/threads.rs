//! The ledger on two threads of its own: one writes, one reads.

use std::task::Waker;

use engine::Catalog;
use model::ledger::{LedgerAppend, LedgerReply};
use store::ledger::{LedgerReport, LedgerWriter, WriterOptions};

use super::reader::{Ask, Reader, Told};
use super::{Ledger, ledger};
use crate::config::LedgerConfig;
use crate::outcome::RunError;

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
        let storage = ledger::writer(&config.place)?;
        let wake = waker.clone();
        let writer = LedgerWriter::start(storage, options, move || wake.wake_by_ref())
            .map_err(|error| RunError::new("the ledger's thread", error))?;
        let wake = waker.clone();
        let read = ledger::reader(&config.place)?;
        let reader = Reader::start(read, catalog, move || wake.wake_by_ref())
            .map_err(|error| RunError::new("the ledger's reader", error))?;
        Ok(Self { writer, reader })
    }

    /// Writes what waits, and ends both.
    pub(crate) fn finish(self) -> Result<LedgerReport, RunError> {
        self.reader.finish();
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
