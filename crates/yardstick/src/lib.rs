//! The ordinary libraries, to be measured against: nothing in here runs in the gateway.
//!
//! `meltica bench`, built with the feature `yardsticks`, runs them beside our own code in the same
//! run, on the same bytes. They are used as well as their documentation lets one use them: a slow
//! yardstick proves nothing.
//!
//! - [`decode`]: `serde_json` and `rust_decimal`'s own parser, for Binance's market streams
//! - [`websocket`]: `tungstenite`, reading frames from memory

pub mod allocations;
pub mod decode;
pub mod websocket;
