//! Opening the ledger where the configuration says it is.

use std::path::Path;

#[cfg(feature = "crash-points")]
use store::ledger::LedgerSync;
use store::ledger::{LedgerRead, LedgerWrite, SqliteReader, SqliteWriter};

use crate::config::{LedgerConfig, LedgerPlace};
#[cfg(feature = "crash-points")]
use crate::crash_points;
use crate::outcome::RunError;

/// The writing side; makes the ledger where there is none.
///
/// # Errors
/// When it can't be opened or made, or can't be as durable as is wanted.
pub(crate) fn writer(config: &LedgerConfig) -> Result<Box<dyn LedgerWrite>, RunError> {
    let writer = open(config)?;
    #[cfg(feature = "crash-points")]
    let writer: Box<dyn LedgerWrite> = Box::new(Mortal(writer));
    Ok(writer)
}

fn open(config: &LedgerConfig) -> Result<Box<dyn LedgerWrite>, RunError> {
    match &config.place {
        LedgerPlace::File(path) => {
            make_folder(path)?;
            let writer = SqliteWriter::open(path).map_err(failed)?;
            #[cfg(feature = "crash-points")]
            return Ok(super::ailing::maybe(writer));
            #[cfg(not(feature = "crash-points"))]
            Ok(Box::new(writer))
        }
        #[cfg(feature = "postgres")]
        LedgerPlace::Postgres(variable) => {
            let url = address(variable)?;
            let writer = store::ledger::PostgresWriter::open(&url, config.durability);
            Ok(Box::new(writer.map_err(failed)?))
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
    std::fs::create_dir_all(folder).map_err(|error| {
        let folder = folder.display();
        RunError(format!("the ledger's folder {folder} can't be made: {error}; name another file"))
    })
}

fn failed(error: store::ledger::LedgerError) -> RunError {
    RunError::new("the ledger", error)
}

/// A ledger at each of whose writes the process can be told to die.
#[cfg(feature = "crash-points")]
struct Mortal(Box<dyn LedgerWrite>);

#[cfg(feature = "crash-points")]
impl LedgerWrite for Mortal {
    fn append(
        &mut self,
        batch: &[model::ledger::LedgerAppend],
    ) -> Result<Vec<model::ledger::Verdict>, store::ledger::LedgerError> {
        let points = || batch.iter().map(|append| crash_points::of_fact(&append.fact));
        points().for_each(|[before, _]| crash_points::pass(before));
        let verdicts = self.0.append(batch)?;
        points().for_each(|[_, after]| crash_points::pass(after));
        Ok(verdicts)
    }

    fn syncing(&mut self) -> Result<Box<dyn LedgerSync>, store::ledger::LedgerError> {
        Ok(Box::new(MortalSync(self.0.syncing()?)))
    }

    fn recover(&mut self) -> Result<(), store::ledger::LedgerError> {
        self.0.recover()
    }
}

/// Its other side.
#[cfg(feature = "crash-points")]
struct MortalSync(Box<dyn LedgerSync>);

#[cfg(feature = "crash-points")]
impl LedgerSync for MortalSync {
    fn sync(&mut self) -> Result<(), store::ledger::LedgerError> {
        crash_points::pass("ledger-sync-before");
        self.0.sync()?;
        crash_points::pass("ledger-sync-after");
        Ok(())
    }

    fn tidy(&mut self) -> Result<(), store::ledger::LedgerError> {
        self.0.tidy()
    }
}
