//! Orders, joined: consumers, the desk, the ledger and the trading machines, for both drivers.
//!
//! The desk decides and never waits; what it decides is carried from here to whoever does it, until
//! nothing is left to carry. Which [`Ledger`] that is (two threads and a disk, or memory in virtual
//! time), and how a machine is reached (a socket, or a plain call), is the driver's business.

#[cfg(feature = "crash-points")]
mod ailing;
mod counts;
pub(crate) mod ledger;
mod notes;
mod reader;
mod restore;
mod room;
mod threads;
mod virtual_ledger;

pub use counts::OrderCounts;
pub(crate) use reader::{Ask, Told};
pub(crate) use restore::{Kept, open_without_providers};
pub(crate) use room::{Party, Room};
pub(crate) use threads::{Threads, aside};
pub(crate) use virtual_ledger::VirtualLedger;

use model::ledger::{LedgerAppend, LedgerReply};

/// The ledger, as the room sees it: nothing here waits.
pub(crate) trait Ledger {
    /// Hands a fact in.
    ///
    /// # Errors
    /// The fact itself, where there is no room for it now.
    fn append(&mut self, append: LedgerAppend) -> Result<(), Box<LedgerAppend>>;

    /// What the writer says next.
    fn reply(&mut self) -> Option<LedgerReply>;

    /// Asks the reader.
    ///
    /// # Errors
    /// The question itself, where there is no room for it now.
    fn ask(&mut self, ask: Ask) -> Result<(), Ask>;

    /// What the reader answers next.
    fn told(&mut self) -> Option<Told>;
}
