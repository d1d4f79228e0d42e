//! What can go wrong with the ledger, said with the file and the way out.

use std::fmt;
use std::path::Path;

use model::{Error, Remedy};
use rusqlite::ErrorCode;

/// The ledger could not be opened, read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerError {
    /// Which file, or which database: without user and password.
    pub place: String,
    /// What the caller must do: `Reject` where it may pass by itself, `Stop` where it can't.
    pub remedy: Remedy,
    /// What was wrong and what would have been right.
    pub message: String,
}

impl LedgerError {
    pub(crate) fn stop(place: impl AsRef<Path>, message: impl Into<String>) -> Self {
        let place = place.as_ref().display().to_string();
        Self { place, remedy: Remedy::Stop, message: message.into() }
    }

    pub(crate) fn reject(place: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Self { remedy: Remedy::Reject, ..Self::stop(place, message) }
    }

    /// An error of SQLite, with what was being done and what to do about it.
    pub(crate) fn sqlite(path: &Path, doing: &str, error: &rusqlite::Error) -> Self {
        use ErrorCode::{
            CannotOpen, DatabaseBusy, DatabaseCorrupt, DatabaseLocked, DiskFull, NotADatabase,
            PermissionDenied, ReadOnly, SystemIoFailure,
        };
        let (remedy, hint) = match error.sqlite_error_code() {
            Some(DiskFull) => (Remedy::Reject, "; free some space"),
            Some(DatabaseBusy | DatabaseLocked) => {
                (Remedy::Reject, "; end the program that holds it")
            }
            Some(SystemIoFailure) => (Remedy::Reject, "; check the disk"),
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
        Self { remedy, ..Self::stop(path, message) }
    }
}

#[cfg(feature = "postgres")]
impl LedgerError {
    /// An error of Postgres, with what was being done and what to do about it.
    pub(crate) fn postgres(place: &str, doing: &str, error: &postgres::Error) -> Self {
        use postgres::error::SqlState;
        let code = error.code();
        // Classes of states: 08 connection, 53 resources (a full disk), 55 locks, 57 shutdown.
        let passes = code.is_none_or(|code| {
            ["08", "53", "55", "57"].iter().any(|class| code.code().starts_with(class))
        });
        let (remedy, hint) = match code {
            Some(&SqlState::DISK_FULL) => (Remedy::Reject, "; free some space"),
            Some(&(SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION)) => {
                (Remedy::Stop, "; check user and password")
            }
            Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                (Remedy::Stop, "; give this user the right to make and write tables there")
            }
            _ if passes => (Remedy::Reject, "; check the server"),
            _ => (Remedy::Stop, ""),
        };
        // The library's own words hide what the server said.
        let said = error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string);
        Self { remedy, ..Self::stop(place, format!("{doing} failed: {said}{hint}")) }
    }
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

impl std::error::Error for LedgerError {}

impl From<&LedgerError> for Error {
    fn from(error: &LedgerError) -> Self {
        Self::new(error.remedy, error.to_string())
    }
}
