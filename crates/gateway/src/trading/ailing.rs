//! A ledger in a file whose disk fills up and fails from time to time, for the crash harness.
//!
//! `MELTICA_LEDGER_AILS=7` has it do so; chance begins at 7. What ails it lasts for some calls, so that
//! it takes as long as the writer waits between its tries.

use model::Remedy;
use model::ledger::{LedgerAppend, Verdict};
use sim::rng::Rng;
use store::ledger::{LedgerError, LedgerWrite, Reach, SqliteWriter};

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

/// See the [module](self).
struct Ailing {
    inner: SqliteWriter,
    rng: Rng,
    /// So many calls more go well.
    well: u64,
    /// And then so many ail of that.
    ill: (Ailment, u64),
}

/// That writer, ailing where the environment says so.
pub(super) fn maybe(writer: SqliteWriter) -> Box<dyn LedgerWrite> {
    let seed = std::env::var(VARIABLE).ok().and_then(|text| text.parse().ok());
    match seed {
        Some(seed) => {
            let rng = Rng::new(seed, 0);
            Box::new(Ailing { inner: writer, rng, well: WELL, ill: (Ailment::Full, 0) })
        }
        None => Box::new(writer),
    }
}

impl Ailing {
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

    fn error() -> LedgerError {
        let message = "it ails: no real disk is behind this".to_owned();
        LedgerError { place: "ledger".to_owned(), remedy: Remedy::Reject, message }
    }
}

impl LedgerWrite for Ailing {
    fn append(
        &mut self,
        batch: &[LedgerAppend],
        reach: Reach,
    ) -> Result<Vec<Verdict>, LedgerError> {
        let ailment = self.ails();
        self.inner.set_full(ailment == Some(Ailment::Full))?;
        if ailment == Some(Ailment::Refused) {
            return Err(Self::error());
        }
        let verdicts = self.inner.append(batch, reach)?;
        if ailment == Some(Ailment::Unheard) { Err(Self::error()) } else { Ok(verdicts) }
    }

    fn sync(&mut self) -> Result<(), LedgerError> {
        match self.ails() {
            Some(Ailment::Refused) => Err(Self::error()),
            Some(Ailment::Unheard) => self.inner.sync().and(Err(Self::error())),
            Some(Ailment::Full) | None => self.inner.sync(),
        }
    }

    fn recover(&mut self) -> Result<(), LedgerError> {
        match self.ails() {
            Some(Ailment::Refused) => Err(Self::error()),
            Some(Ailment::Unheard) => self.inner.recover().and(Err(Self::error())),
            Some(Ailment::Full) | None => self.inner.recover(),
        }
    }
}
