//! Venue protocol state machines, without sockets and without a clock.
//!
//! One folder a venue; a [`registry`] that is the only place where they stand side by side; one
//! book [`assembler`]; one [`json`] codec; one machine for venues of [`channels`]. A machine implements [`model::venue::Venue`]: bytes,
//! answers, commands and the time in; events, frames, requests and the next deadline out.

pub mod assembler;
pub mod binance;
pub mod channels;
pub mod coinbase;
pub mod crc32;
pub mod json;
pub mod kraken;
pub mod listings;
pub mod okx;
pub mod orders;
pub mod registry;
pub mod signing;
pub mod track;

pub use orders::OrderWay;
pub use registry::{Settings, create, create_trading, trades};
pub use signing::{Credentials, Secret};
