//! OKX v5: spot, perpetual swaps and dated futures, in one list of symbols.
//!
//! - [`habits`]: addresses, limits, channels and the symbol rule
//! - [`wire`]: payloads of the public channels; [`rest`]: REST answers
//! - [`feed`]: the machine: frames and answers → events
//! - [`links`]: which channel stands on which connection
//! - [`orders`]: the machine of orders
//! - [`markets`]: per instrument, what it takes to order and prove its streams

pub mod feed;
pub mod habits;
pub mod links;
pub mod markets;
pub mod orders;
pub mod rest;
pub mod wire;

pub use feed::Okx;
pub use orders::Orders;
