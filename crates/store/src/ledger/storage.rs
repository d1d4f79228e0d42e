//! What a database has to do to hold the ledger. `tests/conformance.rs` is the test that each must pass.

use model::ledger::{
    Fact, LedgerAppend, OrderKey, Report, StoredOrder, Submit, VenueName, Verdict,
};

use super::error::LedgerError;
use super::held::Held;

/// The writing side: one thread has it.
pub trait LedgerWrite: Send {
    /// Keeps all of `batch` or nothing, and says what became of each append, in order. Then it is with
    /// the operating system, or further: it survives the process, not a power cut.
    ///
    /// After an error it is to be called with the same batch until it succeeds: what of it got
    /// through all the same is recognised by its `seq`.
    ///
    /// # Errors
    /// When nothing of it counts; [`recover`](Self::recover) comes next.
    fn append(&mut self, batch: &[LedgerAppend]) -> Result<Vec<Verdict>, LedgerError>;

    /// The side that brings to the disk what is appended from now on, for a thread of its own.
    ///
    /// # Errors
    /// When it can't be had now.
    fn syncing(&mut self) -> Result<Box<dyn LedgerSync>, LedgerError>;

    /// Starts over after an error of either side, while the other one rests. When it succeeds, all
    /// that was ever appended is on the disk, and another [`syncing`](Self::syncing) side is needed.
    ///
    /// # Errors
    /// When the cause is still there.
    fn recover(&mut self) -> Result<(), LedgerError>;
}

/// The side that syncs.
pub trait LedgerSync: Send {
    /// Brings to the disk what was appended before it was called.
    ///
    /// # Errors
    /// When it can't be said that it is there; [`recover`](LedgerWrite::recover) comes next.
    fn sync(&mut self) -> Result<(), LedgerError>;

    /// Puts in order what appends leave behind; called now and then, when nothing is to be synced.
    ///
    /// # Errors
    /// As for [`sync`](Self::sync).
    fn tidy(&mut self) -> Result<(), LedgerError>;
}

/// Of a ledger whose every append is as safe as it will ever be.
#[derive(Clone, Copy, Debug)]
pub struct NothingToSync;

impl LedgerSync for NothingToSync {
    fn sync(&mut self) -> Result<(), LedgerError> {
        Ok(())
    }

    fn tidy(&mut self) -> Result<(), LedgerError> {
        Ok(())
    }
}

/// The reading side: any thread may have one. It sees what was appended, durable or not.
pub trait LedgerRead: Send {
    /// What is known of an order.
    ///
    /// # Errors
    /// When the ledger can't be read.
    fn order(&mut self, key: &OrderKey) -> Result<Option<StoredOrder>, LedgerError>;

    /// Orders that something may still become of, oldest first: at most `limit` behind the
    /// position of an intent (0 to begin with).
    ///
    /// # Errors
    /// When the ledger can't be read.
    fn open_orders(&mut self, after: u64, limit: usize) -> Result<Vec<StoredOrder>, LedgerError>;

    /// An order's facts with their positions, oldest first: at most `limit` behind a position.
    ///
    /// # Errors
    /// When the ledger can't be read.
    fn facts_of(
        &mut self,
        key: &OrderKey,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Fact)>, LedgerError>;

    /// A consumer's reports with their positions, oldest first: at most `limit` behind a position.
    ///
    /// # Errors
    /// When the ledger can't be read.
    fn reports_after(
        &mut self,
        consumer: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Report)>, LedgerError>;

    /// Whose order a venue's order is: by the venue's id, which a report has told, else by the id that
    /// it was sent with.
    ///
    /// # Errors
    /// When the ledger can't be read.
    fn owner(&mut self, of: &VenueName) -> Result<Option<OrderKey>, LedgerError>;

    /// The newest facts of all orders with their positions, oldest first: at most `limit`.
    ///
    /// # Errors
    /// When the ledger can't be read.
    fn newest(&mut self, limit: usize) -> Result<Vec<(u64, Fact)>, LedgerError>;

    /// What a consumer holds by the fills of all its orders, by provider and instrument; kept with each
    /// report, so that it takes as long as there are instruments.
    ///
    /// # Errors
    /// When the ledger can't be read.
    fn held(&mut self, consumer: &str) -> Result<Vec<Held>, LedgerError>;

    /// The position up to which a consumer has acknowledged; 0 where it never did.
    ///
    /// # Errors
    /// When the ledger can't be read.
    fn acknowledged(&mut self, consumer: &str) -> Result<u64, LedgerError>;
}

/// Whether an intent became that order of its venue, by the id that it was sent with.
pub(super) fn is_of(submit: &Submit, of: &VenueName) -> bool {
    submit.terms.provider == of.provider
        && submit.terms.instrument == of.instrument
        && of.venue_client_id.as_ref() == Some(&submit.venue_client_id)
}
