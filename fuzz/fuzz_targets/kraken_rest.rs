//! No REST answer makes its reader panic, and what was read holds together.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::venue::Bulk;
use venues::kraken::rest::{read_depth, read_last_trade};

fuzz_target!(|body: &[u8]| {
    if let Err(error) = read_depth(body) {
        assert!(!error.message.is_empty());
    }
    if let Ok(bulk) = read_last_trade(body) {
        assert!(matches!(bulk, Bulk::LastTrade(_)));
    }
});
