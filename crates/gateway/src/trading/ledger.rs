//! Opening the ledger where the configuration says it is.

use std::path::Path;

use store::ledger::{LedgerRead, LedgerWrite, SqliteReader, SqliteWriter};

use crate::config::LedgerPlace;
use crate::outcome::RunError;

/// The writing side; makes the ledger where there is none.
///
/// # Errors
/// When it can't be opened or made.
pub(crate) fn writer(place: &LedgerPlace) -> Result<Box<dyn LedgerWrite>, RunError> {
    match place {
        LedgerPlace::File(path) => {
            make_folder(path)?;
            Ok(Box::new(SqliteWriter::open(path).map_err(failed)?))
        }
        #[cfg(feature = "postgres")]
        LedgerPlace::Postgres(variable) => {
            let url = address(variable)?;
            Ok(Box::new(store::ledger::PostgresWriter::open(&url).map_err(failed)?))
        }
        #[cfg(not(feature = "postgres"))]
        LedgerPlace::Postgres(_) => Err(no_postgres()),
    }
}

/// A reading side of a ledger that a writer has opened.
///
/// # Errors
/// When it can't be opened.
pub(crate) fn reader(place: &LedgerPlace) -> Result<Box<dyn LedgerRead>, RunError> {
    match place {
        LedgerPlace::File(path) => Ok(Box::new(SqliteReader::open(path).map_err(failed)?)),
        #[cfg(feature = "postgres")]
        LedgerPlace::Postgres(variable) => {
            let url = address(variable)?;
            Ok(Box::new(store::ledger::PostgresReader::open(&url).map_err(failed)?))
        }
        #[cfg(not(feature = "postgres"))]
        LedgerPlace::Postgres(_) => Err(no_postgres()),
    }
}

/// The database's address, which may carry a password: it is read where it is used.
#[cfg(feature = "postgres")]
fn address(variable: &str) -> Result<String, RunError> {
    std::env::var(variable).map_err(|_| {
        let right = "set it to postgres://user:password@host:5432/database";
        RunError(format!("the environment variable {variable} is not set: {right}"))
    })
}

#[cfg(not(feature = "postgres"))]
fn no_postgres() -> RunError {
    RunError("this build has no Postgres; build with the cargo feature postgres".to_owned())
}

fn make_folder(path: &Path) -> Result<(), RunError> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else {
        return Ok(());
    };
    std::fs::create_dir_all(folder)
        .map_err(|error| RunError::new(&format!("the ledger's folder {}", folder.display()), error))
}

fn failed(error: store::ledger::LedgerError) -> RunError {
    RunError::new("the ledger", error)
}
