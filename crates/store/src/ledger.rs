//! The ledger: what was wanted of venues and what became of it, kept across any crash.
//!
//! * [`LedgerWriter`] is the engine's side: a bounded queue to a thread that groups what comes and
//!   writes it, and another one that brings it to the disk. It never makes the engine wait.
//! * [`LedgerWrite`], [`LedgerSync`] and [`LedgerRead`] are what a database has to do; [`SqliteWriter`] and
//!   [`SqliteReader`] do it with one file; with the feature `postgres` a database does it too.
//!
//! Facts are only ever added. The one thing that changes is what is current: an order's last
//! answer and report, how far a consumer has got, and what it holds. The primary key of an order's row is
//! (consumer, client order id), and inserting it **is** the check for duplicates.

mod encode;
mod error;
mod held;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
mod sqlite;
mod storage;
mod writer;

pub use error::LedgerError;
pub use held::Held;
pub use memory::MemoryLedger;
#[cfg(feature = "postgres")]
pub use postgres::{PostgresReader, PostgresWriter};
pub use sqlite::{SqliteReader, SqliteWriter};
pub use storage::{LedgerRead, LedgerSync, LedgerWrite, NothingToSync};
pub use writer::{Durability, LedgerReport, LedgerStatus, LedgerWriter, WriterOptions};

#[cfg(test)]
#[path = "ledger/tests/conformance.rs"]
mod conformance;
