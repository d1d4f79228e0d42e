//! The side of a SQLite file that syncs.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::{connect, never};
use crate::ledger::error::LedgerError;
use crate::ledger::storage::LedgerSync;

/// The write-ahead log of a ledger.
#[derive(Debug)]
pub(super) struct SqliteSync {
    path: PathBuf,
    /// Open all the time: the system tells an error of writing to those who had the file open before it.
    /// SQLite has no lock on this file, so that closing it releases none.
    log: File,
    /// For moving the log into the file.
    db: Connection,
}

impl SqliteSync {
    /// Opens the log of a ledger that a writer has open.
    pub(super) fn open(path: &Path) -> Result<Self, LedgerError> {
        let db = connect(path, OpenFlags::empty(), never)?;
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let log = OpenOptions::new().write(true).open(&log).map_err(|error| {
            let log = Path::new(&log).display();
            LedgerError::reject(path, format!("opening {log} failed: {error}; put it back"))
        })?;
        Ok(Self { path: path.to_owned(), log, db })
    }
}

impl LedgerSync for SqliteSync {
    fn sync(&mut self) -> Result<(), LedgerError> {
        self.log.sync_data().map_err(|error| {
            let message = format!("syncing the ledger failed: {error}; check the disk");
            LedgerError::reject(&self.path, message)
        })
    }

    /// Moves the log into the file, so that it begins anew. What it does not get to is left for the next
    /// time: a reader may stand in the way, or the writer be faster.
    fn tidy(&mut self) -> Result<(), LedgerError> {
        self.db
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
            .map_err(|error| LedgerError::sqlite(&self.path, "moving the ledger's log", &error))
    }
}
