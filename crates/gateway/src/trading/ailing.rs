//! A ledger in a file whose disk fills up and fails from time to time, for the crash harness.
//!
//! `MELTICA_LEDGER_AILS=7` has it do so; chance begins at 7. What ails it lasts for some calls, so that
//! it takes as long as the writer waits between its tries.

use std::sync::{Arc, Mutex, PoisonError};

use model::Remedy;
use model::ledger::{LedgerAppend, Verdict};
use sim::rng::Rng;
use store::ledger::{LedgerError, LedgerSync, LedgerWrite, SqliteWriter};

/// Where to begin.
const VARIABLE: &str = "MELTICA_LEDGER_AILS";
/// Between two times about so many calls go well.
const WELL: u64 = 20;
/// A full disk is so for at most so many calls: some still find room.
const FULL: u64 = 40;
/// Anything else for at most so many.
const ILL: u64 = 5;

/// What ails it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ailment {
    /// The file can't grow: SQLite says so itself.
    Full,
    /// Nothing gets to the file.
    Refused,
    /// It gets there, and an error is said all the same.
    Unheard,
}

/// When it ails, and of what.
struct Health {
    rng: Rng,
    /// So many calls more go well.
    well: u64,
    /// And then so many ail of that.
    ill: (Ailment, u64),
}

/// See the [module](self).
struct Ailing {
    inner: SqliteWriter,
    health: Arc<Mutex<Health>>,
}

/// Its side that syncs.
struct AilingSync {
    inner: Box<dyn LedgerSync>,
    health: Arc<Mutex<Health>>,
}

/// That writer, ailing where the environment says so.
pub(super) fn maybe(writer: SqliteWriter) -> Box<dyn LedgerWrite> {
    let seed = std::env::var(VARIABLE).ok().and_then(|text| text.parse().ok());
    match seed {
        Some(seed) => {
            let health = Health { rng: Rng::new(seed, 0), well: WELL, ill: (Ailment::Full, 0) };
            Box::new(Ailing { inner: writer, health: Arc::new(Mutex::new(health)) })
        }
        None => Box::new(writer),
    }
}

impl Health {
    /// What ails this call.
    fn ails(&mut self) -> Option<Ailment> {
        if self.well > 0 {
            self.well -= 1;
            if self.well == 0 {
                self.ill = match self.rng.below(3) {
                    0 => (Ailment::Full, 1 + self.rng.below(FULL)),
                    1 => (Ailment::Refused, 1 + self.rng.below(ILL)),
                    _ => (Ailment::Unheard, 1 + self.rng.below(ILL)),
                };
            }
            return None;
        }
        self.ill.1 -= 1;
        if self.ill.1 == 0 {
            self.well = 1 + self.rng.below(2 * WELL);
        }
        Some(self.ill.0)
    }
}

fn ails(health: &Mutex<Health>) -> Option<Ailment> {
    health.lock().unwrap_or_else(PoisonError::into_inner).ails()
}

/// A call of `health`'s owner; a full disk is its own affair.
fn call(
    health: &Mutex<Health>,
    call: impl FnOnce() -> Result<(), LedgerError>,
) -> Result<(), LedgerError> {
    match ails(health) {
        Some(Ailment::Refused) => Err(error()),
        Some(Ailment::Unheard) => call().and(Err(error())),
        Some(Ailment::Full) | None => call(),
    }
}

fn error() -> LedgerError {
    let message = "it ails: no real disk is behind this".to_owned();
    LedgerError { place: "ledger".to_owned(), remedy: Remedy::Reject, message }
}

impl LedgerWrite for Ailing {
    fn append(&mut self, batch: &[LedgerAppend]) -> Result<Vec<Verdict>, LedgerError> {
        let ailment = ails(&self.health);
        self.inner.set_full(ailment == Some(Ailment::Full))?;
        if ailment == Some(Ailment::Refused) {
            return Err(error());
        }
        let verdicts = self.inner.append(batch)?;
        if ailment == Some(Ailment::Unheard) { Err(error()) } else { Ok(verdicts) }
    }

    fn syncing(&mut self) -> Result<Box<dyn LedgerSync>, LedgerError> {
        let (inner, health) = (self.inner.syncing()?, self.health.clone());
        Ok(Box::new(AilingSync { inner, health }))
    }

    fn recover(&mut self) -> Result<(), LedgerError> {
        call(&self.health, || self.inner.recover())
    }
}

impl LedgerSync for AilingSync {
    fn sync(&mut self) -> Result<(), LedgerError> {
        call(&self.health, || self.inner.sync())
    }

    fn tidy(&mut self) -> Result<(), LedgerError> {
        call(&self.health, || self.inner.tidy())
    }
}
