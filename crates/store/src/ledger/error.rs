//! What can go wrong with the ledger, said with the file and the way out.

use std::fmt;
use std::path::{Path, PathBuf};

use model::{Error, Remedy};
use rusqlite::ErrorCode;

/// The ledger could not be opened, read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerError {
    /// Which file.
    pub path: PathBuf,
    /// What the caller must do: `Reject` where it may pass by itself, `Stop` where it can't.
    pub remedy: Remedy,
    /// What was wrong and what would have been right.
    pub message: String,
}

impl LedgerError {
    pub(crate) fn stop(path: &Path, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), remedy: Remedy::Stop, message: message.into() }
    }

    pub(crate) fn reject(path: &Path, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), remedy: Remedy::Reject, message: message.into() }
    }

    /// An error of SQLite, with what was being done and what to do about it.
    pub(crate) fn sqlite(path: &Path, doing: &str, error: &rusqlite::Error) -> Self {
        use ErrorCode::{
            CannotOpen, DatabaseBusy, DatabaseCorrupt, DatabaseLocked, DiskFull, NotADatabase,
            PermissionDenied, ReadOnly, SystemIoFailure,
        };
        let (remedy, hint) = match error.sqlite_error_code() {
            Some(DiskFull) => (Remedy::Reject, "; free some space, it is tried again by itself"),
            Some(DatabaseBusy | DatabaseLocked) => {
                (Remedy::Reject, "; end the program that holds it, it is tried again by itself")
            }
            Some(SystemIoFailure) => (Remedy::Reject, "; check the disk, it is tried again"),
            Some(CannotOpen) => (Remedy::Stop, "; check that the folder exists and can be used"),
            Some(PermissionDenied | ReadOnly) => {
                (Remedy::Stop, "; give this user the right to write there")
            }
            Some(DatabaseCorrupt | NotADatabase) => {
                (Remedy::Stop, "; put back a copy of the file: a new one would not know old orders")
            }
            _ => (Remedy::Stop, ""),
        };
        let message = format!("{doing} failed: {error}{hint}");
        Self { path: path.to_owned(), remedy, message }
    }
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.message)
    }
}

impl std::error::Error for LedgerError {}

impl From<&LedgerError> for Error {
    fn from(error: &LedgerError) -> Self {
        Self::new(error.remedy, error.to_string())
    }
}
