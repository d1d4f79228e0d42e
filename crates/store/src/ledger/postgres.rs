//! The ledger in a schema of a Postgres database.
//!
//! Every commit waits for the server's disk (`synchronous_commit`), also those that would not have
//! to: the server may die alone, and what it then forgot would have been told to consumers. Each
//! session sees to it that it is so, whatever its role's settings. A server that does not bring its own
//! log to its disk (`fsync`) is refused where a disk is promised. So there is no speed to be had here; it
//! is for those whose orders belong beside other data. (postgresql.org/docs/current/wal-async-commit.html,
//! postgresql.org/docs/current/runtime-config-wal.html)
//!
//! One process writes: its session holds an advisory lock, which goes with the session.

use std::error::Error;
use std::time::{Duration, Instant};

use model::ledger::{
    Acknowledgement, Answer, Fact, LedgerAppend, Name, Report, Request, Submit, Verdict,
};
use model::{Decimal, Remedy};
use postgres::config::SslMode;
use postgres::types::{FromSql, Type};
use postgres::{Client, Config, NoTls, Transaction};

use super::encode;
use super::error::LedgerError;
use super::held;
use super::storage::{LedgerSync, LedgerWrite, NothingToSync};
use super::writer::Durability;

mod read;
mod schema;

pub use read::PostgresReader;

/// A server that does not answer is given up after so long.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// What was sent to a server whose network is gone is given up after so long; a session on which
/// nothing happens is asked for a sign of life as soon.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(8);
const QUIET_FOR: Duration = Duration::from_secs(5);
const ASKED_EVERY: Duration = Duration::from_secs(1);
const ASKED_TIMES: u32 = 3;
/// What each session begins with. A statement that takes longer is an error: the batch is tried again.
/// Where the role or the database has turned off that a commit waits for the disk, this turns it on;
/// other settings all wait for it, and for standbys as somebody has chosen.
const SETTINGS: &str = "SET statement_timeout = '10s'; SET lock_timeout = '5s';
    SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') = 'off'";
/// How far the server brings what is committed.
const PROMISES: &str = "SELECT current_setting('fsync'), current_setting('synchronous_commit')";
/// The server has noticed the end of a process that was killed within so long.
const LOCKED_WITHIN: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The advisory lock that says who writes.
const LOCK: &str = "SELECT pg_try_advisory_lock(hashtext(current_schema()), x'4D4C5443'::int)";

/// Where a ledger is: an address, and what may be shown of it.
#[derive(Clone)]
struct Place {
    config: Config,
    /// Without user and password.
    shown: String,
}

impl Place {
    fn new(url: &str) -> Result<Self, LedgerError> {
        let place = url.split_once("://").map_or("", |(_, rest)| rest);
        let place = place.rsplit_once('@').map_or(place, |(_, host)| host);
        let shown = format!("postgres://{}", place.split('?').next().unwrap_or_default());
        let mut config: Config = url.parse().map_err(|error| {
            let right = "it must look like postgres://user:password@host:5432/database";
            LedgerError::stop(&shown, format!("the address can't be read: {error}; {right}"))
        })?;
        if config.get_ssl_mode() == SslMode::Require {
            let message = "TLS is not built in; reach the server by a local socket, or through a \
                           tunnel, and leave sslmode away";
            return Err(LedgerError::stop(&shown, message));
        }
        config.connect_timeout(CONNECT_WITHIN).application_name("meltica ledger");
        config.tcp_user_timeout(ACKNOWLEDGED_WITHIN).keepalives(true);
        config.keepalives_idle(QUIET_FOR).keepalives_interval(ASKED_EVERY);
        config.keepalives_retries(ASKED_TIMES);
        Ok(Self { config, shown })
    }

    fn connect(&self) -> Result<Client, LedgerError> {
        let mut db = self.config.connect(NoTls).map_err(|e| self.failed("connecting", &e))?;
        let settings = db.batch_execute(SETTINGS);
        settings.map_err(|error| self.failed("connecting", &error))?;
        Ok(db)
    }

    /// A session that writes: one whose commits are as durable as that.
    fn connect_durably(&self, durability: Durability) -> Result<Client, LedgerError> {
        let mut db = self.connect()?;
        let promises = db.query_one(PROMISES, &[]);
        let promises = promises.map_err(|error| self.failed("connecting", &error))?;
        let (fsync, commit): (&str, &str) = (promises.get(0), promises.get(1));
        match broken_promise(durability, fsync, commit) {
            None => Ok(db),
            Some(why) if durability != Durability::Os => Err(LedgerError::stop(&self.shown, why)),
            Some(why) => {
                tracing::warn!(ledger = %self.shown, "{why}");
                Ok(db)
            }
        }
    }

    fn failed(&self, doing: &str, error: &postgres::Error) -> LedgerError {
        LedgerError::postgres(&self.shown, doing, error)
    }
}

/// Why what such a server commits is not as durable as it seems, where that is so.
fn broken_promise(durability: Durability, fsync: &str, commit: &str) -> Option<String> {
    let setting = match (fsync, commit) {
        ("off", _) => "fsync = off: what it says to be on its disk is lost when its machine dies",
        (_, "off") => {
            "synchronous_commit = off, against this session's will: what it says to be \
                       written is lost when it dies"
        }
        _ => return None,
    };
    let right = match durability {
        Durability::Os => {
            "that is within what durability = \"os\" promises, but may damage the database"
        }
        _ => "turn it on, or choose durability = \"os\"",
    };
    Some(format!("the server runs with {setting}; {right}"))
}

/// The writing side of a Postgres ledger. One process has it: its session holds a lock.
pub struct PostgresWriter {
    place: Place,
    durability: Durability,
    db: Client,
    /// Which opening of the ledger this is.
    run: i64,
    /// Gone after an error, until it is there again.
    usable: bool,
}

impl PostgresWriter {
    /// Opens the ledger at an address such as `postgres://user:password@host:5432/database`, or
    /// makes it in the session's schema; what is written is to be as durable as that.
    ///
    /// # Errors
    /// When another process writes it, when it is of a later version, when the server can't be
    /// reached or refuses, or when it can't promise that.
    pub fn open(url: &str, durability: Durability) -> Result<Self, LedgerError> {
        let place = Place::new(url)?;
        let mut db = place.connect_durably(durability)?;
        lock_soon(&place, &mut db)?;
        schema::migrate(&mut db, &place)?;
        let opened = db.query_one("INSERT INTO runs DEFAULT VALUES RETURNING run", &[]);
        let run = opened.map_err(|error| place.failed("opening the ledger", &error))?.get(0);
        Ok(Self { place, durability, db, run, usable: true })
    }

    fn write(&mut self, batch: &[LedgerAppend]) -> Result<Vec<Verdict>, LedgerError> {
        let place = self.place.clone();
        let failed = |error: postgres::Error| place.failed("writing the ledger", &error);
        let mut db = self.db.transaction().map_err(failed)?;
        let last = db.query_one("SELECT coalesce(max(position), 0) FROM facts", &[]);
        let last: i64 = last.map_err(failed)?.get(0);
        let seq = db.query_one("SELECT seq FROM runs WHERE run = $1", &[&self.run]);
        let seq: i64 = seq.map_err(failed)?.get(0);
        let newest = batch.last().map_or(0, |append| signed(append.seq)).max(seq);
        let mut group = Group { db, place: &place, run: self.run, seq, last };
        let verdicts = batch.iter().map(|append| group.append(append)).collect::<Result<_, _>>()?;
        let mut db = group.db;
        db.execute("UPDATE runs SET seq = $2 WHERE run = $1", &[&self.run, &newest])
            .map_err(failed)?;
        db.commit().map_err(failed)?;
        Ok(verdicts)
    }
}

impl LedgerWrite for PostgresWriter {
    fn append(&mut self, batch: &[LedgerAppend]) -> Result<Vec<Verdict>, LedgerError> {
        if !self.usable {
            self.recover()?;
        }
        let written = self.write(batch);
        self.usable = written.is_ok();
        written
    }

    /// Every commit waits for the disk.
    fn syncing(&mut self) -> Result<Box<dyn LedgerSync>, LedgerError> {
        Ok(Box::new(NothingToSync))
    }

    /// Connects anew. What was committed is on the disk, what was not is gone whole.
    fn recover(&mut self) -> Result<(), LedgerError> {
        // The old session, and with it its lock, goes first.
        let _ = self.db.batch_execute("SELECT pg_advisory_unlock_all()");
        let mut db = self.place.connect_durably(self.durability)?;
        lock(&self.place, &mut db)?;
        let ours = db.query_opt("SELECT run FROM runs WHERE run = $1", &[&self.run]);
        let ours = ours.map_err(|error| self.place.failed("recovering the ledger", &error))?;
        if ours.is_none() {
            let message = "the database is not the one that was opened; put that one back";
            return Err(LedgerError::stop(&self.place.shown, message));
        }
        self.db = db;
        self.usable = true;
        Ok(())
    }
}

/// Takes the lock, waiting a moment where a process that was killed holds it still.
fn lock_soon(place: &Place, db: &mut Client) -> Result<(), LedgerError> {
    let begun = Instant::now();
    loop {
        match lock(place, db) {
            Err(error) if error.remedy == Remedy::Reject && begun.elapsed() < LOCKED_WITHIN => {
                std::thread::park_timeout(LOOK_EVERY);
            }
            locked => return locked,
        }
    }
}

/// Takes the lock that says who writes. A session that broke off may hold it for a moment more.
fn lock(place: &Place, db: &mut Client) -> Result<(), LedgerError> {
    let locked = db.query_one(LOCK, &[]).map_err(|error| place.failed("locking", &error))?;
    if locked.get(0) {
        return Ok(());
    }
    let message = "another session writes this ledger; end it, or name another database";
    Err(LedgerError::reject(&place.shown, message))
}

/// A batch on its way into the tables.
struct Group<'a> {
    db: Transaction<'a>,
    place: &'a Place,
    run: i64,
    /// The last append of this run that is there: a batch up to there was committed by an earlier
    /// try of which nobody heard.
    seq: i64,
    /// The last position.
    last: i64,
}

impl Group<'_> {
    fn append(&mut self, append: &LedgerAppend) -> Result<Verdict, LedgerError> {
        let place = self.place;
        let failed = |error: postgres::Error| place.failed("writing the ledger", &error);
        if let Some(position) = self.earlier_try(append.seq).map_err(failed)? {
            return Ok(Verdict::Stored { position });
        }
        if let Fact::Submit(submit) = &append.fact {
            let (consumer, id) = (&*submit.order.consumer, &*submit.order.client_order_id);
            let new = self.db.execute(
                "INSERT INTO orders (consumer, client_order_id, intent) VALUES ($1, $2, $3)
                 ON CONFLICT DO NOTHING",
                &[&consumer, &id, &(self.last + 1)],
            );
            if new.map_err(failed)? == 0 {
                return self.judge(submit);
            }
        }
        let verdict = self.keep(append)?;
        if let Verdict::Stored { position } = verdict {
            self.make_current(&append.fact, signed(position)).map_err(failed)?;
        }
        Ok(verdict)
    }

    /// Where an earlier try of which nobody heard has put the append.
    fn earlier_try(&mut self, seq: u64) -> Result<Option<u64>, postgres::Error> {
        if signed(seq) > self.seq {
            return Ok(None);
        }
        let sql = "SELECT position FROM facts WHERE run = $1 AND seq = $2";
        let row = self.db.query_opt(sql, &[&self.run, &signed(seq)])?;
        Ok(row.map(|row| unsigned(row.get(0))))
    }

    /// What to say of an intent whose key is taken.
    fn judge(&mut self, submit: &Submit) -> Result<Verdict, LedgerError> {
        let stored = read::order(&mut self.db, self.place, &submit.order)?.ok_or_else(|| {
            let message = format!("order {} is there and can't be read", submit.order);
            LedgerError::stop(&self.place.shown, message)
        })?;
        let same = stored.submit.terms == submit.terms;
        let stored = Box::new(stored);
        Ok(if same { Verdict::Duplicate(stored) } else { Verdict::Conflict(stored) })
    }

    fn keep(&mut self, append: &LedgerAppend) -> Result<Verdict, LedgerError> {
        let place = self.place;
        let failed = |error: postgres::Error| place.failed("writing the ledger", &error);
        let row = encode::Columns::of(&append.fact).map_err(|error| {
            LedgerError::stop(&place.shown, format!("encoding a fact failed: {error}"))
        })?;
        let encode::Columns { kind, consumer, client_order_id, identity, body } = row;
        let (position, seq) = (self.last + 1, signed(append.seq));
        let new = self.db.execute(
            "INSERT INTO facts (position, run, seq, kind, consumer, client_order_id, identity, body)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (identity) DO NOTHING",
            &[&position, &self.run, &seq, &kind, &consumer, &client_order_id, &identity, &body],
        );
        if new.map_err(failed)? == 0 {
            let known =
                self.db.query_one("SELECT position FROM facts WHERE identity = $1", &[&identity]);
            return Ok(Verdict::Known { position: unsigned(known.map_err(failed)?.get(0)) });
        }
        self.last = position;
        Ok(Verdict::Stored { position: unsigned(position) })
    }

    fn make_current(&mut self, fact: &Fact, position: i64) -> Result<(), postgres::Error> {
        match fact {
            Fact::Answer(Answer { order, request: Request::Submit, .. }) => {
                self.db.execute(
                    "UPDATE orders SET answer = $3 WHERE consumer = $1 AND client_order_id = $2",
                    &[&&*order.consumer, &&*order.client_order_id, &position],
                )?;
            }
            Fact::Report(report) => self.make_report_current(report, position)?,
            Fact::Acknowledgement(Acknowledgement { consumer, position, .. }) => {
                let position = signed(*position).min(self.last);
                self.db.execute(
                    "INSERT INTO consumers VALUES ($1, $2) ON CONFLICT (name) DO UPDATE
                     SET acknowledged = greatest(consumers.acknowledged, excluded.acknowledged)",
                    &[&&**consumer, &position],
                )?;
            }
            Fact::Answer(_) | Fact::Submit(_) | Fact::Change(_) | Fact::Sent(_) => {}
        }
        Ok(())
    }

    fn make_report_current(
        &mut self,
        report: &Report,
        position: i64,
    ) -> Result<(), postgres::Error> {
        self.db.execute(
            "UPDATE orders SET report = $3, state = $4, quantity = $5, filled = $6, open = $7
             WHERE consumer = $1 AND client_order_id = $2",
            &[
                &&*report.order.consumer,
                &&*report.order.client_order_id,
                &position,
                &report.state.name(),
                &report.quantity.to_string(),
                &report.filled.to_string(),
                &!report.state.is_terminal(),
            ],
        )?;
        let Some(moved) = held::moved(report) else { return Ok(()) };
        let of = [&report.order.consumer, &report.provider, &report.instrument];
        let held = self.db.query_opt(
            "SELECT quantity FROM positions
             WHERE consumer = $1 AND provider = $2 AND instrument = $3",
            &[&&**of[0], &&**of[1], &&**of[2]],
        )?;
        let held = held.map_or(Ok(Decimal::ZERO), |row| row.try_get(0).map(|Quantity(held)| held));
        hold(&mut self.db, of, held::sum(held?, moved))
    }
}

/// A consumer holds so much of an instrument at a provider.
fn hold(
    db: &mut Transaction<'_>,
    of: [&Name; 3],
    quantity: Decimal,
) -> Result<(), postgres::Error> {
    let sql = "INSERT INTO positions VALUES ($1, $2, $3, $4)
               ON CONFLICT (consumer, provider, instrument) DO UPDATE
               SET quantity = excluded.quantity";
    let quantity = quantity.to_string();
    db.execute(sql, &[&&**of[0], &&**of[1], &&**of[2], &quantity]).map(drop)
}

/// A quantity as it was written.
struct Quantity(Decimal);

impl<'a> FromSql<'a> for Quantity {
    fn from_sql(of: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let text = <&str>::from_sql(of, raw)?;
        Ok(Self(model::decimal::parse(text.as_bytes())?))
    }

    fn accepts(of: &Type) -> bool {
        <&str as FromSql>::accepts(of)
    }
}

/// Postgres' integers are signed; counters never get that far.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
#[path = "postgres/tests.rs"]
mod tests;
