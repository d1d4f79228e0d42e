//! Meltica as a library: the gateway, to be embedded.

pub mod bench;
pub mod cli;
pub mod clock;
pub mod config;
