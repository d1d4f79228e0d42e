//! What becomes of orders: one transition table, and the evidence that it is fed with.
//!
//! Everything here is pure: facts and observations go in, reports for the ledger and oddities for
//! the operator come out. Nothing sends, waits or reads a clock.
//!
//! * [`table`]: how an order stands, what can happen to it, and where that leads.
//! * [`leg`]: one venue order: its fills, each once, and its amounts.
//! * [`order`]: one client order: its intent, its requests, and all venue orders behind it.
//! * [`inquiry`]: when to ask a venue about an outcome that is not known, and when "not found" is
//!   final.
//! * [`book`]: all orders, bounded, found by their names.
//! * [`desk`]: from a consumer's wish to a venue and back: switch, risk, ledger, rate budget,
//!   reconciliation.
//! * [`port`]: the way of a consumer's requests to the shard.
//!
//! # Why the order of arrival does not matter
//! Socket, answer and query tell the same story in any order, twice, or with parts missing. What
//! they say is kept as evidence that only grows: a set of fills, the largest amount, the newest
//! quantity, the strongest state. How an order stands is a function of that evidence, so that all
//! interleavings of the same evidence end in the same state.

pub mod book;
pub mod desk;
pub mod inquiry;
pub mod leg;
pub mod order;
pub mod port;
pub mod table;

pub use book::Orders;
pub use desk::{Desk, DeskOptions, Limits, Market, NewOrder, Note, Scope};
pub use order::{Effects, Oddity, Order};
pub use port::{NotTaken, OrderGate, OrderPort, OrderSpec};
pub use table::{Input, Standing, Step};

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
