//! The ledger in one SQLite file, with nothing to set up.
//!
//! The journal is a write-ahead log: a commit is one write, which survives the process
//! (`synchronous` NORMAL). On the disk it is once the log's file was synced, which another thread does
//! beside the next commits, as it moves the log into the file. Readers have connections of their own
//! and are never in the writer's way. (sqlite.org/wal.html, sqlite.org/pragma.html#pragma_synchronous)

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::Decimal;
use model::ledger::{Acknowledgement, Answer, Fact, LedgerAppend, Name, Report, Request, Verdict};
use rusqlite::{
    Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params,
};

use super::encode;
use super::error::LedgerError;
use super::held;
use super::storage::{LedgerSync, LedgerWrite};

mod read;
mod schema;
mod sync;

pub use read::SqliteReader;

/// As many pages as SQLite lets a file have (sqlite.org/limits.html).
const PAGES_MAX: i64 = 4_294_967_294;

/// The log is moved into the file beside the writer (`sync.rs`), who does it himself only where that
/// never gets to the log's end, because it is written to without a pause: at so many pages.
const LOG_PAGES_MAX: i64 = 16_384;

/// The writing side of a SQLite file. One process has it: it holds a lock beside the file.
#[derive(Debug)]
pub struct SqliteWriter {
    path: PathBuf,
    db: Connection,
    /// Held as long as the writer lives.
    _lock: File,
    /// Which opening of the file this is.
    run: i64,
    /// The last position before the last batch that was committed.
    before: i64,
}

impl SqliteWriter {
    /// Opens the file, or makes it. Whoever reads a ledger that nobody has open holds it for moments, to
    /// put its log in order: that is waited for, five seconds at most.
    ///
    /// # Errors
    /// When another process writes it or holds it for longer, when it is no ledger or one of a later
    /// version, or when the disk refuses.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, LedgerError> {
        Self::open_with(path.into(), briefly)
    }

    /// `patience` is asked whether to go on waiting for whoever holds the file.
    fn open_with(path: PathBuf, patience: Patience) -> Result<Self, LedgerError> {
        let lock = lock(&path)?;
        let mut db = connect(&path, OpenFlags::SQLITE_OPEN_CREATE, patience)?;
        schema::migrate(&mut db, &path)?;
        let failed = |error| LedgerError::sqlite(&path, "opening the ledger", &error);
        let checked: String =
            db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
        if checked != "ok" {
            let message = format!(
                "the file is damaged ({checked}); put back a copy of it: a new one would not know \
                 old orders"
            );
            return Err(LedgerError::stop(&path, message));
        }
        db.execute("INSERT INTO runs DEFAULT VALUES", []).map_err(failed)?;
        let run = db.last_insert_rowid();
        let before = last_position(&db).map_err(failed)?;
        sync_folder(&path)?;
        // From now on it is the writer's thread that waits, and says so.
        db.busy_handler(Some(never)).map_err(failed)?;
        Ok(Self { path, db, _lock: lock, run, before })
    }

    /// Has the file grow no further, as on a disk that is full, or grow again; a recovery has it
    /// grow again too. For whoever wants to see what comes of a full disk.
    ///
    /// # Errors
    /// When the file can't be used at all.
    pub fn set_full(&mut self, full: bool) -> Result<(), LedgerError> {
        // The least that SQLite takes is the size that the file has.
        let pages = if full { 1 } else { PAGES_MAX };
        self.db
            .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
            .map_err(|error| LedgerError::sqlite(&self.path, "limiting the ledger", &error))
    }
}

impl LedgerWrite for SqliteWriter {
    fn append(&mut self, batch: &[LedgerAppend]) -> Result<Vec<Verdict>, LedgerError> {
        let path = self.path.clone();
        let failed = |error| LedgerError::sqlite(&path, "writing the ledger", &error);
        let behavior = TransactionBehavior::Immediate;
        let change = self.db.transaction_with_behavior(behavior).map_err(failed)?;
        let last = last_position(&change).map_err(failed)?;
        let seq = change
            .prepare_cached("SELECT seq FROM runs WHERE run = ?1")
            .and_then(|mut statement| statement.query_row([self.run], |row| row.get(0)))
            .map_err(failed)?;
        let (run, before) = (self.run, self.before);
        let mut group = Group { db: change, path: &path, run, seq, before, last };
        let verdicts = batch.iter().map(|append| group.append(append)).collect::<Result<_, _>>()?;
        let newest = batch.last().map_or(0, |append| signed(append.seq));
        group
            .execute("UPDATE runs SET seq = ?2 WHERE run = ?1", params![run, seq.max(newest)])
            .map_err(failed)?;
        group.db.commit().map_err(failed)?;
        if newest > seq {
            self.before = last;
        }
        Ok(verdicts)
    }

    fn syncing(&mut self) -> Result<Box<dyn LedgerSync>, LedgerError> {
        Ok(Box::new(sync::SqliteSync::open(&self.path)?))
    }

    /// Opens the file anew and moves the whole log into it. After a sync that failed a later one
    /// proves nothing for what the earlier was about (the system may have dropped the pages): here
    /// all of it is written once more.
    fn recover(&mut self) -> Result<(), LedgerError> {
        let db = connect(&self.path, OpenFlags::empty(), never)?;
        let failed = |error| LedgerError::sqlite(&self.path, "recovering the ledger", &error);
        let ours: Option<i64> = db
            .query_row("SELECT run FROM runs WHERE run = ?1", [self.run], |row| row.get(0))
            .optional()
            .map_err(failed)?;
        if ours.is_none() {
            let message = "the file is not the one that was opened; put that one back";
            return Err(LedgerError::stop(&self.path, message));
        }
        let busy: i64 =
            db.query_row("PRAGMA wal_checkpoint(FULL)", [], |row| row.get(0)).map_err(failed)?;
        if busy != 0 {
            let message = "another program holds the ledger; end it";
            return Err(LedgerError::reject(&self.path, message));
        }
        sync_folder(&self.path)?;
        self.db = db;
        Ok(())
    }
}

/// A batch on its way into the file.
struct Group<'a> {
    db: Transaction<'a>,
    path: &'a Path,
    run: i64,
    /// The last append of this run that is in the file: a batch up to there was committed by an
    /// earlier try of which nobody heard.
    seq: i64,
    /// Behind this position stands what such a try left.
    before: i64,
    /// The last position.
    last: i64,
}

impl Group<'_> {
    fn append(&mut self, append: &LedgerAppend) -> Result<Verdict, LedgerError> {
        let path = self.path;
        let failed = |error| LedgerError::sqlite(path, "writing the ledger", &error);
        if let Some(position) = self.earlier_try(append.seq).map_err(failed)? {
            return Ok(Verdict::Stored { position });
        }
        if let Fact::Submit(submit) = &append.fact {
            let new = self
                .execute(
                    "INSERT INTO orders (consumer, client_order_id, intent) VALUES (?1, ?2, ?3)
                     ON CONFLICT DO NOTHING",
                    params![submit.order.consumer, submit.order.client_order_id, self.last + 1],
                )
                .map_err(failed)?;
            if new == 0 {
                return self.judge(submit);
            }
        }
        let verdict = self.keep(append)?;
        if let Verdict::Stored { position } = verdict {
            self.make_current(&append.fact, signed(position)).map_err(failed)?;
        }
        Ok(verdict)
    }

    fn execute(&self, sql: &str, values: impl rusqlite::Params) -> rusqlite::Result<usize> {
        self.db.prepare_cached(sql)?.execute(values)
    }

    /// Where an earlier try of which nobody heard has put the append.
    fn earlier_try(&self, seq: u64) -> rusqlite::Result<Option<u64>> {
        if signed(seq) > self.seq {
            return Ok(None);
        }
        let sql = "SELECT position FROM facts WHERE position > ?1 AND run = ?2 AND seq = ?3";
        self.db
            .prepare_cached(sql)?
            .query_row(params![self.before, self.run, signed(seq)], |row| row.get(0))
            .map(unsigned)
            .optional()
    }

    /// What to say of an intent whose key is taken.
    fn judge(&self, submit: &model::ledger::Submit) -> Result<Verdict, LedgerError> {
        let stored = read::order(&self.db, self.path, &submit.order)?.ok_or_else(|| {
            let message = format!("order {} is there and can't be read", submit.order);
            LedgerError::stop(self.path, message)
        })?;
        let same = stored.submit.terms == submit.terms;
        let stored = Box::new(stored);
        Ok(if same { Verdict::Duplicate(stored) } else { Verdict::Conflict(stored) })
    }

    fn keep(&mut self, append: &LedgerAppend) -> Result<Verdict, LedgerError> {
        let path = self.path;
        let encoded = |error| LedgerError::stop(path, format!("encoding a fact failed: {error}"));
        let failed = |error| LedgerError::sqlite(path, "writing the ledger", &error);
        let fact = &append.fact;
        let row = encode::Columns::of(fact).map_err(encoded)?;
        let encode::Columns { kind, consumer, client_order_id, identity, body } = row;
        let position = self.last + 1;
        let new = self
            .execute(
                "INSERT INTO facts
                 (position, run, seq, kind, consumer, client_order_id, identity, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (identity) DO NOTHING",
                params![
                    position,
                    self.run,
                    signed(append.seq),
                    kind,
                    consumer,
                    client_order_id,
                    identity,
                    body
                ],
            )
            .map_err(failed)?;
        if new == 0 {
            let position = self
                .db
                .prepare_cached("SELECT position FROM facts WHERE identity = ?1")
                .and_then(|mut statement| statement.query_row([identity], |row| row.get(0)));
            return Ok(Verdict::Known { position: unsigned(position.map_err(failed)?) });
        }
        self.last = position;
        Ok(Verdict::Stored { position: unsigned(position) })
    }

    fn make_current(&self, fact: &Fact, position: i64) -> rusqlite::Result<()> {
        match fact {
            Fact::Answer(Answer { order, request: Request::Submit, .. }) => {
                self.execute(
                    "UPDATE orders SET answer = ?3 WHERE consumer = ?1 AND client_order_id = ?2",
                    params![order.consumer, order.client_order_id, position],
                )?;
            }
            Fact::Report(report) => self.make_report_current(report, position)?,
            Fact::Acknowledgement(Acknowledgement { consumer, position, .. }) => {
                let position = signed(*position).min(self.last);
                self.execute(
                    "INSERT INTO consumers VALUES (?1, ?2) ON CONFLICT (name)
                     DO UPDATE SET acknowledged = max(acknowledged, excluded.acknowledged)",
                    params![consumer, position],
                )?;
            }
            Fact::Answer(_) | Fact::Submit(_) | Fact::Change(_) | Fact::Sent(_) => {}
        }
        Ok(())
    }

    fn make_report_current(&self, report: &Report, position: i64) -> rusqlite::Result<()> {
        self.execute(
            "UPDATE orders SET report = ?3, state = ?4, quantity = ?5, filled = ?6, open = ?7
             WHERE consumer = ?1 AND client_order_id = ?2",
            params![
                report.order.consumer,
                report.order.client_order_id,
                position,
                report.state.name(),
                report.quantity.to_string(),
                report.filled.to_string(),
                !report.state.is_terminal()
            ],
        )?;
        let Some(moved) = held::moved(report) else { return Ok(()) };
        let of = [&report.order.consumer, &report.provider, &report.instrument];
        let held = self
            .db
            .prepare_cached(
                "SELECT quantity FROM positions
                 WHERE consumer = ?1 AND provider = ?2 AND instrument = ?3",
            )?
            .query_row(of, |row| read::quantity(row, 0))
            .optional()?;
        hold(&self.db, of, held::sum(held.unwrap_or_default(), moved))
    }
}

/// A consumer holds so much of an instrument at a provider.
fn hold(db: &Connection, of: [&Name; 3], quantity: Decimal) -> rusqlite::Result<()> {
    let [consumer, provider, instrument] = of;
    db.prepare_cached("INSERT OR REPLACE INTO positions VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![consumer, provider, instrument, quantity.to_string()])
        .map(drop)
}

/// Whether to go on waiting for whoever holds the file, having asked so many times before.
type Patience = fn(i32) -> bool;

/// So often a file is asked for that somebody holds, and so far apart.
const ASKS_MAX: i32 = 250;
const ASKS_EVERY: Duration = Duration::from_millis(20);

fn briefly(asked: i32) -> bool {
    std::thread::park_timeout(ASKS_EVERY);
    asked < ASKS_MAX
}

fn never(_: i32) -> bool {
    false
}

/// Opens the file for reading and writing, with the settings that every connection has.
fn connect(path: &Path, flags: OpenFlags, patience: Patience) -> Result<Connection, LedgerError> {
    let failed = |error| LedgerError::sqlite(path, "opening the ledger", &error);
    let flags = flags | OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags).map_err(failed)?;
    db.busy_handler(Some(patience)).map_err(failed)?;
    db.set_prepared_statement_cache_capacity(32);
    schema::version(&db, path)?;
    let mode: String = db
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(failed)?;
    if mode != "wal" {
        let message = format!(
            "the disk takes no write-ahead log (journal mode '{mode}'); choose a local disk"
        );
        return Err(LedgerError::stop(path, message));
    }
    // Commits are synced by `sync.rs`; the log before it is moved, and the file behind that, in here.
    db.pragma_update(None, "synchronous", "NORMAL").map_err(failed)?;
    db.pragma_update(None, "wal_autocheckpoint", LOG_PAGES_MAX).map_err(failed)?;
    // Where the system's sync stops at the drive's cache, this one does not.
    db.pragma_update(None, "fullfsync", true).map_err(failed)?;
    db.pragma_update(None, "checkpoint_fullfsync", true).map_err(failed)?;
    Ok(db)
}

/// Takes the lock that says who writes; it goes with the process, however that ends.
fn lock(path: &Path) -> Result<File, LedgerError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let failed = |error: std::io::Error| {
        let hint = "check that the folder exists and that this user may write there";
        LedgerError::stop(&name, format!("taking the ledger's lock failed: {error}; {hint}"))
    };
    let file = OpenOptions::new().create(true).append(true).open(&name).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let message = "another process writes this ledger; end it, or name another file";
            Err(LedgerError::stop(path, message))
        }
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// A file is on the disk only when its name is.
fn sync_folder(path: &Path) -> Result<(), LedgerError> {
    #[cfg(unix)]
    {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let synced = File::open(folder.unwrap_or(Path::new("."))).and_then(|f| f.sync_all());
        synced.map_err(|error| {
            LedgerError::stop(path, format!("syncing the ledger's folder failed: {error}"))
        })?;
    }
    Ok(())
}

fn last_position(db: &Connection) -> rusqlite::Result<i64> {
    db.prepare_cached("SELECT coalesce(max(position), 0) FROM facts")?
        .query_row([], |row| row.get(0))
}

/// SQLite's integers are signed; counters never get that far.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
#[path = "sqlite/tests.rs"]
mod tests;
