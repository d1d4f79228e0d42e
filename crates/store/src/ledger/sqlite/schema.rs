//! The tables, and how an older file becomes a newer one.

use std::path::Path;

use model::ledger::Fact;
use rusqlite::{Connection, TransactionBehavior};

use super::super::error::LedgerError;
use super::super::held::Sums;
use super::read;

/// Marks the file as a ledger ("MLTC").
pub(super) const APPLICATION_ID: i32 = 0x4D4C_5443;

/// What leads from each version to the next, beginning with an empty file. A row is never changed
/// once it was released: a change is a new row.
const MIGRATIONS: [&str; 4] = [
    include_str!("schema_1.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
];
/// With this version came the table of what is held.
const HELD_SINCE: usize = 2;

/// The version that this program writes.
pub(super) const VERSION: usize = MIGRATIONS.len();

/// Brings a file up to [`VERSION`], in one transaction.
pub(super) fn migrate(db: &mut Connection, path: &Path) -> Result<(), LedgerError> {
    let failed =
        |error: rusqlite::Error| LedgerError::sqlite(path, "setting up the ledger", &error);
    let found = version(db, path)?;
    if found == VERSION {
        return Ok(());
    }
    let change = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    for (version, step) in (1..).zip(MIGRATIONS).skip(found) {
        change.execute_batch(step).map_err(failed)?;
        if version == HELD_SINCE {
            fill_held(&change, path)?;
        }
    }
    change.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
    change.pragma_update(None, "user_version", super::signed(VERSION as u64)).map_err(failed)?;
    change.commit().map_err(failed)
}

/// What is held by the reports that are there.
fn fill_held(change: &Connection, path: &Path) -> Result<(), LedgerError> {
    let failed =
        |error: rusqlite::Error| LedgerError::sqlite(path, "setting up the ledger", &error);
    let mut sums = Sums::default();
    let reports = "SELECT position, body FROM facts WHERE kind = 'report' ORDER BY position";
    let mut reports = change.prepare(reports).map_err(failed)?;
    let mut rows = reports.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let (position, body): (i64, String) =
            (row.get(0).map_err(failed)?, row.get(1).map_err(failed)?);
        if let Fact::Report(report) = read::decode(path, position, &body)? {
            sums.add(&report);
        }
    }
    for ((consumer, provider, instrument), quantity) in sums.0 {
        super::hold(change, [&consumer, &provider, &instrument], quantity).map_err(failed)?;
    }
    Ok(())
}

/// The version of a file that is a ledger, or empty.
pub(super) fn version(db: &Connection, path: &Path) -> Result<usize, LedgerError> {
    let failed = |error: rusqlite::Error| LedgerError::sqlite(path, "opening the ledger", &error);
    let read = |name| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let found = read("user_version").map_err(failed)?;
    let application = read("application_id").map_err(failed)?;
    let tables: i64 =
        db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    let ours = application == i64::from(APPLICATION_ID);
    if !ours && (tables > 0 || found != 0 || application != 0) {
        let message = "the file is a database of something else; name a file of its own";
        return Err(LedgerError::stop(path, message));
    }
    let version = usize::try_from(found).unwrap_or(usize::MAX);
    if version > VERSION {
        let message = format!(
            "the ledger has version {found}, this program writes {VERSION}: use the program that \
             made it, or a later one"
        );
        return Err(LedgerError::stop(path, message));
    }
    Ok(version)
}
