//! The tables, and how an older ledger becomes a newer one.

use postgres::{Client, Transaction};

use super::{Place, read};
use crate::ledger::error::LedgerError;
use crate::ledger::held::Sums;

/// What leads from each version to the next, beginning with nothing. A row is never changed once it
/// was released: a change is a new row.
const MIGRATIONS: [&str; 3] =
    [include_str!("schema_1.sql"), include_str!("schema_2.sql"), include_str!("schema_3.sql")];
/// With this version came the table of what is held.
const HELD_SINCE: usize = 2;

/// The version that this program writes.
pub(super) const VERSION: usize = MIGRATIONS.len();

/// Says which version the tables are.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS meltica_ledger (version bigint NOT NULL)";

/// Brings the tables up to [`VERSION`], in one transaction.
pub(super) fn migrate(db: &mut Client, place: &Place) -> Result<(), LedgerError> {
    let failed = |error: postgres::Error| place.failed("setting up the ledger", &error);
    let mut change = db.transaction().map_err(failed)?;
    change.batch_execute(TABLE).map_err(failed)?;
    let found = change.query_opt("SELECT version FROM meltica_ledger", &[]).map_err(failed)?;
    let found = found.map_or(0, |row| super::unsigned(row.get(0)));
    let found = usize::try_from(found).unwrap_or(usize::MAX);
    check(found, place)?;
    for (version, step) in (1..).zip(MIGRATIONS).skip(found) {
        change.batch_execute(step).map_err(failed)?;
        if version == HELD_SINCE {
            fill_held(&mut change, place)?;
        }
    }
    let version = super::signed(VERSION as u64);
    change.batch_execute("DELETE FROM meltica_ledger").map_err(failed)?;
    change.execute("INSERT INTO meltica_ledger VALUES ($1)", &[&version]).map_err(failed)?;
    change.commit().map_err(failed)
}

/// What is held by the reports that are there.
fn fill_held(change: &mut Transaction<'_>, place: &Place) -> Result<(), LedgerError> {
    let failed = |error: postgres::Error| place.failed("setting up the ledger", &error);
    let (mut sums, mut after) = (Sums::default(), 0);
    loop {
        let reports = read::reports(change, place, after)?;
        let Some((last, _)) = reports.last() else { break };
        after = *last;
        reports.iter().for_each(|(_, report)| sums.add(report));
    }
    for ((consumer, provider, instrument), quantity) in sums.0 {
        super::hold(change, [&consumer, &provider, &instrument], quantity).map_err(failed)?;
    }
    Ok(())
}

/// A later program's tables are not ours to touch.
pub(super) fn check(found: usize, place: &Place) -> Result<(), LedgerError> {
    if found <= VERSION {
        return Ok(());
    }
    let message = format!(
        "the ledger has version {found}, this program writes {VERSION}: use the program that made \
         it, or a later one"
    );
    Err(LedgerError::stop(&place.shown, message))
}
