//! Where a round's ledger is: in a file, or in a database whose server is stopped and started while
//! gateways live.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sim::rng::Rng;
use store::ledger::{LedgerRead, SqliteReader};

/// The address of a server to test with.
const SERVER: &str = "MELTICA_TEST_POSTGRES";
/// A program that stops and starts it, and makes a schema there: `stop`, `start`, `schema <name>`.
const CONTROL: &str = "MELTICA_TEST_POSTGRES_SERVER";
/// The variable that has a gateway's address of its ledger, where that is a database.
pub const ADDRESS: &str = "CRASH_LEDGER";
/// The ledger's file, in the folder of a round.
pub const FILE: &str = "ledger.db";
/// What a gateway leaves in the folder of its round once its ledger is open.
const ALIVE: &str = "alive";

/// A server is stopped so many milliseconds after a gateway has opened its ledger…
const STOPS_MS: std::ops::Range<u64> = 50..600;
/// …and started again after so many.
const STARTS_MS: std::ops::Range<u64> = 50..500;
/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_millis(3);

/// Where it is.
#[derive(Clone, Debug)]
pub enum Place {
    /// This file.
    File(PathBuf),
    /// A schema of its own in the database of that address.
    Server(String),
}

/// The server is stopped and started while a gateway lives.
pub struct Outage {
    over: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Result<bool, String>>,
}

impl Place {
    /// In the folder of a round, or on the server that the environment names.
    pub fn of(folder: &Path, postgres: bool) -> Result<Self, String> {
        if !postgres {
            return Ok(Self::File(folder.join(FILE)));
        }
        let server = std::env::var(SERVER);
        let server = server.map_err(|_| format!("{SERVER} names no server: see .ci/postgres"))?;
        let folder = folder.file_name().unwrap_or_default().to_string_lossy();
        let letters = folder.chars().filter(char::is_ascii_alphanumeric);
        let schema = format!("crash_{}", letters.collect::<String>().to_lowercase());
        control(&["schema", &schema])?;
        let separator = if server.contains('?') { '&' } else { '?' };
        let address = format!("{server}{separator}options=-csearch_path%3D{schema}");
        aside(|| make_tables(&address))?;
        Ok(Self::Server(address))
    }

    /// For reading; `None` where nobody has made it yet.
    pub fn read(&self) -> Result<Option<Box<dyn LedgerRead>>, String> {
        match self {
            Self::File(path) if !path.exists() => Ok(None),
            Self::File(path) => {
                let reader = SqliteReader::open(path).map_err(|error| error.to_string())?;
                Ok(Some(Box::new(reader)))
            }
            Self::Server(address) => read_server(address).map(Some),
        }
    }

    /// Up to where a consumer has acknowledged.
    pub fn acknowledged(&self, consumer: &str) -> Result<u64, String> {
        aside(|| {
            let Some(mut reader) = self.read()? else { return Ok(0) };
            reader.acknowledged(consumer).map_err(|error| error.to_string())
        })
    }

    /// Stops and starts the server, once a gateway of that number has opened its ledger; `None` where
    /// there is no server.
    pub fn outage(&self, folder: &Path, number: u32, rng: &mut Rng) -> Option<Outage> {
        let Self::Server(_) = self else { return None };
        let over = Arc::new(AtomicBool::new(false));
        let mut within = |range: std::ops::Range<u64>| {
            Duration::from_millis(range.start + rng.below(range.end - range.start))
        };
        let (stops, starts) = (within(STOPS_MS), within(STARTS_MS));
        let (alive, ended) = (folder.join(ALIVE), over.clone());
        let thread = std::thread::spawn(move || {
            while std::fs::read_to_string(&alive).ok() != Some(number.to_string()) {
                if ended.load(Ordering::Relaxed) {
                    return Ok(false);
                }
                std::thread::park_timeout(LOOK_EVERY);
            }
            std::thread::park_timeout(stops);
            control(&["stop"])?;
            std::thread::park_timeout(starts);
            control(&["start"]).map(|()| true)
        });
        Some(Outage { over, thread })
    }
}

impl Outage {
    /// The gateway is over: the server is up again after this, and whether it was down.
    pub async fn end(self) -> Result<bool, String> {
        self.over.store(true, Ordering::Relaxed);
        while !self.thread.is_finished() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.thread.join().map_err(|_| "the outage's thread panicked".to_owned())?
    }
}

/// Does it on a thread of its own: the database's client has a runtime, and none lives in another.
pub fn aside<T: Send>(what: impl FnOnce() -> Result<T, String> + Send) -> Result<T, String> {
    let done = std::thread::scope(|scope| scope.spawn(what).join());
    done.map_err(|_| "reading the ledger panicked".to_owned())?
}

/// A gateway's ledger is open.
pub fn alive(folder: &Path, number: u32) -> Result<(), String> {
    let path = folder.join(ALIVE);
    std::fs::write(&path, number.to_string())
        .map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(feature = "postgres")]
fn make_tables(address: &str) -> Result<(), String> {
    let opened = store::ledger::PostgresWriter::open(address, store::ledger::Durability::Batch);
    opened.map(drop).map_err(|error| error.to_string())
}

#[cfg(feature = "postgres")]
fn read_server(address: &str) -> Result<Box<dyn LedgerRead>, String> {
    let opened = store::ledger::PostgresReader::open(address);
    Ok(Box::new(opened.map_err(|error| error.to_string())?))
}

#[cfg(not(feature = "postgres"))]
fn make_tables(_: &str) -> Result<(), String> {
    Err("this build has no Postgres; build with the cargo feature postgres".to_owned())
}

#[cfg(not(feature = "postgres"))]
fn read_server(_: &str) -> Result<Box<dyn LedgerRead>, String> {
    Err("this build has no Postgres; build with the cargo feature postgres".to_owned())
}

fn control(what: &[&str]) -> Result<(), String> {
    let program = std::env::var(CONTROL);
    let program = program.map_err(|_| format!("{CONTROL} names no program: see .ci/postgres"))?;
    let run = Command::new(&program).args(what).stdin(Stdio::null()).stdout(Stdio::null()).status();
    match run {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{program} {what:?}: {status}")),
        Err(error) => Err(format!("{program} {what:?}: {error}")),
    }
}
