//! Reading the SQLite file, on connections that can't change it.

use std::path::{Path, PathBuf};

use model::Decimal;
use model::ledger::{Answer, Fact, OrderKey, Report, StoredOrder, Submit, VenueName};
use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};

use super::super::encode;
use super::super::error::LedgerError;
use super::super::held::Held;
use super::super::storage::{LedgerRead, is_of};
use super::{schema, signed, unsigned};

/// How many rows a reader gives at once, whatever it is asked for.
const ROWS_MAX: usize = 10_000;

/// The reading side of a SQLite file that exists.
#[derive(Debug)]
pub struct SqliteReader {
    path: PathBuf,
    db: Connection,
}

impl SqliteReader {
    /// Opens the file for reading.
    ///
    /// # Errors
    /// When it is not there, when it is no ledger or one of another version, or when the disk
    /// refuses.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, LedgerError> {
        let path = path.into();
        let failed = |error| LedgerError::sqlite(&path, "opening the ledger", &error);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&path, flags).map_err(failed)?;
        let version = schema::version(&db, &path)?;
        if version != schema::VERSION {
            let message = format!(
                "the ledger has version {version}, this program reads {}: open it for writing \
                 once, which brings it up to date",
                schema::VERSION
            );
            return Err(LedgerError::stop(&path, message));
        }
        Ok(Self { path, db })
    }

    fn rows(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
    ) -> Result<Vec<(u64, Fact)>, LedgerError> {
        let failed = |error| LedgerError::sqlite(&self.path, "reading the ledger", &error);
        let mut statement = self.db.prepare_cached(sql).map_err(failed)?;
        let rows = statement
            .query_map(values, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))
            .map_err(failed)?;
        rows.map(|row| {
            let (position, body) = row.map_err(failed)?;
            Ok((unsigned(position), decode(&self.path, position, &body)?))
        })
        .collect()
    }
}

impl LedgerRead for SqliteReader {
    fn order(&mut self, key: &OrderKey) -> Result<Option<StoredOrder>, LedgerError> {
        order(&self.db, &self.path, key)
    }

    fn open_orders(&mut self, after: u64, limit: usize) -> Result<Vec<StoredOrder>, LedgerError> {
        let intents = self.rows(
            "SELECT facts.position, facts.body FROM orders JOIN facts ON position = intent
             WHERE open = 1 AND intent > ?1 ORDER BY intent LIMIT ?2",
            params![signed(after), rows_max(limit)],
        )?;
        let known = |(_, fact): &(u64, Fact)| match fact.order() {
            Some(key) => order(&self.db, &self.path, key).transpose(),
            None => None,
        };
        intents.iter().filter_map(known).collect()
    }

    fn facts_of(
        &mut self,
        key: &OrderKey,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Fact)>, LedgerError> {
        self.rows(
            "SELECT position, body FROM facts
             WHERE consumer = ?1 AND client_order_id = ?2 AND position > ?3
             ORDER BY position LIMIT ?4",
            params![key.consumer, key.client_order_id, signed(after), rows_max(limit)],
        )
    }

    fn reports_after(
        &mut self,
        consumer: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Report)>, LedgerError> {
        let rows = self.rows(
            "SELECT position, body FROM facts
             WHERE kind = 'report' AND consumer = ?1 AND position > ?2
             ORDER BY position LIMIT ?3",
            params![consumer, signed(after), rows_max(limit)],
        )?;
        rows.into_iter()
            .map(|(position, fact)| match fact {
                Fact::Report(report) => Ok((position, report)),
                other => Err(mixed_up(&self.path, position, &other)),
            })
            .collect()
    }

    fn owner(&mut self, of: &VenueName) -> Result<Option<OrderKey>, LedgerError> {
        let encoded = |error| LedgerError::stop(&self.path, format!("encoding failed: {error}"));
        for (from, to) in encode::of_venue_order(of).map_err(encoded)? {
            let reported = self.rows(
                "SELECT position, body FROM facts WHERE identity >= ?1 AND identity < ?2 LIMIT 1",
                [from, to],
            )?;
            if let Some((_, fact)) = reported.first() {
                return Ok(fact.order().cloned());
            }
        }
        let sent = self.rows(
            "SELECT position, body FROM facts WHERE kind = 'submit'
             AND json_extract(body, '$.submit.venue_client_id') = ?1",
            [&of.venue_client_id],
        )?;
        Ok(sent.into_iter().find_map(|(_, fact)| match fact {
            Fact::Submit(submit) if is_of(&submit, of) => Some(submit.order),
            _ => None,
        }))
    }

    fn newest(&mut self, limit: usize) -> Result<Vec<(u64, Fact)>, LedgerError> {
        let sql = "SELECT position, body FROM facts ORDER BY position DESC LIMIT ?1";
        let mut newest = self.rows(sql, [signed(limit as u64)])?;
        newest.reverse();
        Ok(newest)
    }

    fn held(&mut self, consumer: &str) -> Result<Vec<Held>, LedgerError> {
        let failed = |error| LedgerError::sqlite(&self.path, "reading the ledger", &error);
        let sql = "SELECT provider, instrument, quantity FROM positions WHERE consumer = ?1";
        let mut statement = self.db.prepare_cached(sql).map_err(failed)?;
        let held = |row: &Row<'_>| {
            let (provider, instrument) = (row.get(0)?, row.get(1)?);
            Ok(Held { provider, instrument, quantity: quantity(row, 2)? })
        };
        let rows = statement.query_map([consumer], held).map_err(failed)?;
        rows.map(|row| row.map_err(failed)).collect()
    }

    fn acknowledged(&mut self, consumer: &str) -> Result<u64, LedgerError> {
        self.db
            .prepare_cached("SELECT acknowledged FROM consumers WHERE name = ?1")
            .and_then(|mut statement| statement.query_row([consumer], |row| row.get(0)).optional())
            .map(|position| position.map_or(0, unsigned))
            .map_err(|error| LedgerError::sqlite(&self.path, "reading the ledger", &error))
    }
}

/// What is known of an order.
pub(super) fn order(
    db: &Connection,
    path: &Path,
    key: &OrderKey,
) -> Result<Option<StoredOrder>, LedgerError> {
    let failed = |error| LedgerError::sqlite(path, "reading the ledger", &error);
    let row = db
        .prepare_cached(
            "SELECT intent, answer, report FROM orders
             WHERE consumer = ?1 AND client_order_id = ?2",
        )
        .and_then(|mut statement| {
            statement
                .query_row(params![key.consumer, key.client_order_id], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })
                .optional()
        })
        .map_err(failed)?;
    let Some((intent, answer, report)): Option<(i64, Option<i64>, Option<i64>)> = row else {
        return Ok(None);
    };
    let submit = submit_at(db, path, intent)?;
    let answer = answer.map(|position| answer_at(db, path, position)).transpose()?;
    let report = report.map(|position| report_at(db, path, position)).transpose()?;
    Ok(Some(StoredOrder { submit, position: unsigned(intent), answer, report }))
}

fn submit_at(db: &Connection, path: &Path, position: i64) -> Result<Submit, LedgerError> {
    match fact_at(db, path, position)? {
        Fact::Submit(submit) => Ok(submit),
        other => Err(mixed_up(path, unsigned(position), &other)),
    }
}

fn answer_at(db: &Connection, path: &Path, position: i64) -> Result<Answer, LedgerError> {
    match fact_at(db, path, position)? {
        Fact::Answer(answer) => Ok(answer),
        other => Err(mixed_up(path, unsigned(position), &other)),
    }
}

fn report_at(db: &Connection, path: &Path, position: i64) -> Result<Report, LedgerError> {
    match fact_at(db, path, position)? {
        Fact::Report(report) => Ok(report),
        other => Err(mixed_up(path, unsigned(position), &other)),
    }
}

fn fact_at(db: &Connection, path: &Path, position: i64) -> Result<Fact, LedgerError> {
    let body: String = db
        .prepare_cached("SELECT body FROM facts WHERE position = ?1")
        .and_then(|mut statement| statement.query_row([position], |row| row.get(0)))
        .map_err(|error| LedgerError::sqlite(path, "reading the ledger", &error))?;
    decode(path, position, &body)
}

/// A quantity as it was written.
pub(super) fn quantity(row: &Row<'_>, column: usize) -> rusqlite::Result<Decimal> {
    let text: String = row.get(column)?;
    model::decimal::parse(text.as_bytes()).map_err(|error| {
        let error = FromSqlError::other(error);
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}

pub(super) fn decode(path: &Path, position: i64, body: &str) -> Result<Fact, LedgerError> {
    encode::from_text(body).map_err(|error| {
        let message = format!("position {position} holds no fact: {error}; put back a copy");
        LedgerError::stop(path, message)
    })
}

fn mixed_up(path: &Path, position: u64, found: &Fact) -> LedgerError {
    let kind = encode::kind(found);
    let message = format!("position {position} holds a fact of kind '{kind}'; put back a copy");
    LedgerError::stop(path, message)
}

fn rows_max(limit: usize) -> i64 {
    i64::try_from(limit.min(ROWS_MAX)).unwrap_or(i64::MAX)
}
