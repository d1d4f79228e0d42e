//! Reading the Postgres ledger, on sessions of its own.

use model::ledger::{Answer, Fact, OrderKey, Report, StoredOrder, Submit, VenueName};
use postgres::types::ToSql;
use postgres::{Client, GenericClient, Row};

use super::{Place, Quantity, signed, unsigned};
use crate::ledger::encode;
use crate::ledger::error::LedgerError;
use crate::ledger::held::Held;
use crate::ledger::storage::{LedgerRead, is_of};

/// How many rows a reader gives at once, whatever it is asked for.
const ROWS_MAX: usize = 10_000;

/// The reading side of a Postgres ledger that exists.
pub struct PostgresReader {
    place: Place,
    db: Client,
}

impl PostgresReader {
    /// Opens the ledger for reading; the address is as for the writer.
    ///
    /// # Errors
    /// When it is not there or can't be reached.
    pub fn open(url: &str) -> Result<Self, LedgerError> {
        let place = Place::new(url)?;
        let mut db = place.connect()?;
        db.batch_execute("SET default_transaction_read_only = on")
            .map_err(|error| place.failed("opening the ledger", &error))?;
        Ok(Self { place, db })
    }

    /// Does it, with a new session where the old one is gone.
    fn read<T>(
        &mut self,
        read: impl FnOnce(&mut Client, &Place) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        if self.db.is_closed() {
            self.db = self.place.connect()?;
        }
        read(&mut self.db, &self.place)
    }
}

impl LedgerRead for PostgresReader {
    fn order(&mut self, key: &OrderKey) -> Result<Option<StoredOrder>, LedgerError> {
        self.read(|db, place| order(db, place, key))
    }

    fn open_orders(&mut self, after: u64, limit: usize) -> Result<Vec<StoredOrder>, LedgerError> {
        self.read(|db, place| {
            let intents = rows(
                db,
                place,
                "SELECT facts.position, facts.body FROM orders JOIN facts ON position = intent
                 WHERE open AND intent > $1 ORDER BY intent LIMIT $2",
                &[&signed(after), &rows_max(limit)],
            )?;
            let keys = intents.iter().filter_map(|(_, fact)| fact.order());
            let orders = keys.map(|key| order(db, place, key));
            orders.filter_map(Result::transpose).collect()
        })
    }

    fn facts_of(
        &mut self,
        key: &OrderKey,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Fact)>, LedgerError> {
        self.read(|db, place| {
            rows(
                db,
                place,
                "SELECT position, body FROM facts
                 WHERE consumer = $1 AND client_order_id = $2 AND position > $3
                 ORDER BY position LIMIT $4",
                &[&&*key.consumer, &&*key.client_order_id, &signed(after), &rows_max(limit)],
            )
        })
    }

    fn held(&mut self, consumer: &str) -> Result<Vec<Held>, LedgerError> {
        self.read(|db, place| {
            let failed = |error| place.failed("reading the ledger", &error);
            let sql = "SELECT provider, instrument, quantity FROM positions WHERE consumer = $1";
            let rows = db.query(sql, &[&consumer]).map_err(failed)?;
            let held = |row: Row| {
                let (provider, instrument): (String, String) = (row.try_get(0)?, row.try_get(1)?);
                let Quantity(quantity) = row.try_get(2)?;
                Ok(Held { provider: provider.into(), instrument: instrument.into(), quantity })
            };
            rows.into_iter().map(|row| held(row).map_err(failed)).collect()
        })
    }

    fn reports_after(
        &mut self,
        consumer: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Report)>, LedgerError> {
        self.read(|db, place| {
            let found = rows(
                db,
                place,
                "SELECT position, body FROM facts
                 WHERE kind = 'report' AND consumer = $1 AND position > $2
                 ORDER BY position LIMIT $3",
                &[&consumer, &signed(after), &rows_max(limit)],
            )?;
            reports_of(found, place)
        })
    }

    fn owner(&mut self, of: &VenueName) -> Result<Option<OrderKey>, LedgerError> {
        self.read(|db, place| {
            let encoded =
                |error| LedgerError::stop(&place.shown, format!("encoding failed: {error}"));
            for (from, to) in encode::of_venue_order(of).map_err(encoded)? {
                let sql = "SELECT position, body FROM facts
                           WHERE identity >= $1 AND identity < $2 LIMIT 1";
                if let Some((_, fact)) = rows(db, place, sql, &[&from, &to])?.first() {
                    return Ok(fact.order().cloned());
                }
            }
            let sent = rows(
                db,
                place,
                "SELECT position, body FROM facts WHERE kind = 'submit'
                 AND (body::jsonb #>> '{submit,venue_client_id}') = $1",
                &[&of.venue_client_id.as_deref()],
            )?;
            Ok(sent.into_iter().find_map(|(_, fact)| match fact {
                Fact::Submit(submit) if is_of(&submit, of) => Some(submit.order),
                _ => None,
            }))
        })
    }

    fn newest(&mut self, limit: usize) -> Result<Vec<(u64, Fact)>, LedgerError> {
        self.read(|db, place| {
            let sql = "SELECT position, body FROM facts ORDER BY position DESC LIMIT $1";
            let mut newest = rows(db, place, sql, &[&signed(limit as u64)])?;
            newest.reverse();
            Ok(newest)
        })
    }

    fn acknowledged(&mut self, consumer: &str) -> Result<u64, LedgerError> {
        self.read(|db, place| {
            let sql = "SELECT acknowledged FROM consumers WHERE name = $1";
            let row = db.query_opt(sql, &[&consumer]);
            let row = row.map_err(|error| place.failed("reading the ledger", &error))?;
            Ok(row.map_or(0, |row| unsigned(row.get(0))))
        })
    }
}

/// Reports of all consumers behind a position, oldest first.
pub(super) fn reports(
    db: &mut impl GenericClient,
    place: &Place,
    after: u64,
) -> Result<Vec<(u64, Report)>, LedgerError> {
    let found = rows(
        db,
        place,
        "SELECT position, body FROM facts WHERE kind = 'report' AND position > $1
         ORDER BY position LIMIT $2",
        &[&signed(after), &rows_max(ROWS_MAX)],
    )?;
    reports_of(found, place)
}

fn reports_of(found: Vec<(u64, Fact)>, place: &Place) -> Result<Vec<(u64, Report)>, LedgerError> {
    let report = |(position, fact)| match fact {
        Fact::Report(report) => Ok((position, report)),
        other => Err(mixed_up(place, position, &other)),
    };
    found.into_iter().map(report).collect()
}

/// What is known of an order.
pub(super) fn order(
    db: &mut impl GenericClient,
    place: &Place,
    key: &OrderKey,
) -> Result<Option<StoredOrder>, LedgerError> {
    let row = db.query_opt(
        "SELECT intent, answer, report FROM orders WHERE consumer = $1 AND client_order_id = $2",
        &[&&*key.consumer, &&*key.client_order_id],
    );
    let row = row.map_err(|error| place.failed("reading the ledger", &error))?;
    let Some(row) = row else { return Ok(None) };
    let (intent, answer, report): (i64, Option<i64>, Option<i64>) =
        (row.get(0), row.get(1), row.get(2));
    let submit: Submit = match fact_at(db, place, intent)? {
        Fact::Submit(submit) => submit,
        other => return Err(mixed_up(place, unsigned(intent), &other)),
    };
    let answer: Option<Answer> = match answer {
        None => None,
        Some(at) => match fact_at(db, place, at)? {
            Fact::Answer(answer) => Some(answer),
            other => return Err(mixed_up(place, unsigned(at), &other)),
        },
    };
    let report: Option<Report> = match report {
        None => None,
        Some(at) => match fact_at(db, place, at)? {
            Fact::Report(report) => Some(report),
            other => return Err(mixed_up(place, unsigned(at), &other)),
        },
    };
    Ok(Some(StoredOrder { submit, position: unsigned(intent), answer, report }))
}

fn fact_at(db: &mut impl GenericClient, place: &Place, position: i64) -> Result<Fact, LedgerError> {
    let row = db.query_one("SELECT body FROM facts WHERE position = $1", &[&position]);
    let row = row.map_err(|error| place.failed("reading the ledger", &error))?;
    decode(place, position, row.get(0))
}

fn rows(
    db: &mut impl GenericClient,
    place: &Place,
    sql: &str,
    values: &[&(dyn ToSql + Sync)],
) -> Result<Vec<(u64, Fact)>, LedgerError> {
    let found = db.query(sql, values);
    let found = found.map_err(|error| place.failed("reading the ledger", &error))?;
    let fact = |row: &postgres::Row| {
        let position: i64 = row.get(0);
        Ok((unsigned(position), decode(place, position, row.get(1))?))
    };
    found.iter().map(fact).collect()
}

fn decode(place: &Place, position: i64, body: &str) -> Result<Fact, LedgerError> {
    encode::from_text(body).map_err(|error| {
        let message = format!("position {position} holds no fact: {error}; put back a copy");
        LedgerError::stop(&place.shown, message)
    })
}

fn mixed_up(place: &Place, position: u64, found: &Fact) -> LedgerError {
    let kind = encode::kind(found);
    let message = format!("position {position} holds a fact of kind '{kind}'; put back a copy");
    LedgerError::stop(&place.shown, message)
}

fn rows_max(limit: usize) -> i64 {
    i64::try_from(limit.min(ROWS_MAX)).unwrap_or(i64::MAX)
}
