//! Binance: spot, USDⓈ-M and COIN-M, one machine for the three.
//!
//! - [`mod@line`]: what differs between the product lines, as data
//! - [`wire`]: payloads of the market streams; [`rest`]: REST answers
//! - [`feed`]: the machine: frames and answers → events
//! - [`links`]: which stream stands on which connection
//! - [`orders`]: the machine of orders, spot and USDⓈ-M
//! - [`markets`]: per instrument, what it takes to order and prove its streams

pub mod feed;
pub mod line;
pub mod links;
pub mod markets;
pub mod orders;
pub mod rest;
pub mod wire;

pub use feed::Binance;
pub use line::{LINES, Line};
pub use orders::Orders;
