//! The pipeline between venue machines and consumers: synchronous, without a clock (`now` is an
//! argument), without a wait, without a venue's name.
//!
//! # The stages, in reading order
//! | stage | where | what it does |
//! | --- | --- | --- |
//! | intake | [`shard`] | a [`Port`] is what a venue machine sees of the engine: it fills pooled events and hands them in |
//! | resequence | [`resequence`] | duplicates out, order in, for streams whose positions count up by one; diffs are put in order by the book assembler |
//! | books | [`books`] | the shard's [`Books`](books::Books); the assembler changes them, the engine reads them |
//! | merge | [`merge`] | windows over several providers' streams; one look-up where nothing merges a stream |
//! | route | [`route`] | which consumers get a stream: one immutable [`RoutingTable`], swapped whole |
//! | fan-out | [`fanout`] | one copy per subscriber; the pooled original goes back |
//! | queue | [`queue`] | one bounded queue per consumer, and what happens when it is full ([`WhenFull`]) |
//! | critical lane | [`exec_log`] | execution and control, past all of the above: never dropped, read back from a log where the window is full |
//! | consumers | [`consumer`] | the [`Inbox`] that a consumer's thread drains, in batches |
//!
//! Beside the way of an event: [`control`] (commands in, one flip a turn, answers out; what is subscribed
//! at the venues), [`capacity`] (how many of everything, and for whom), [`catalog`]
//! (numbers and names), [`share`] (who gets how much of a budget), [`stats`] and [`tally`] (what was
//! counted, per stream and per consumer; [`Metrics`] is all of it at one moment), [`histogram`]
//! (how long things take), [`doorbell`] (how the two ends of a queue wake each other), [`dead_letters`]
//! (what could not be used or was not delivered, on its way to whoever keeps it), [`orders`] (what becomes
//! of orders, and who decides it).
//!
//! # What is deliberately absent
//! Threads, sockets, timers and locks on the way of an event.

pub mod books;
pub mod capacity;
pub mod catalog;
pub mod consumer;
pub mod control;
pub(crate) mod critical;
pub mod dead_letters;
pub mod doorbell;
pub mod exec_log;
pub mod fanout;
pub mod histogram;
pub mod merge;
pub mod orders;
pub mod queue;
pub mod resequence;
pub mod route;
pub mod shard;
pub mod share;
pub mod stats;
mod sync;
pub mod tally;
#[cfg(test)]
#[cfg(not(loom))]
mod testing;

pub use capacity::{Capacity, Pools, QueueCapacity};
pub use catalog::Catalog;
pub use consumer::{Consumer, Context, Factory, Inbox, Placement, Resident, Restart, Runner, Stay};
pub use control::{Command, ControlSettings, Operator, OrderCommand, Rights, Switch};
pub use exec_log::{ExecLog, LogRequest, MemoryLog, Page};
pub use histogram::LatencyHistogram;
pub use merge::{CloseOn, Merge, MergeCounts, MergeSpec};
pub use queue::WhenFull;
pub use route::{RoutingTable, Subscription, VersionGate};
pub use shard::{ConnectionMetrics, Metrics, Port, Shard, TradingRoom};
pub use stats::{ProviderStats, StreamStats};
pub use tally::{ConsumerCounts, Tally};
