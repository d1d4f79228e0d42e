//! Whatever the socket of an account says, its machine goes on: every ticket has one answer, and what
//! can't be read is taken for a report that was missed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use meltica_fuzz::{Desk, speak};
use venues::OrderWay;

fuzz_target!(|messages: &[u8]| {
    let mut desk = Desk::live("okx", "BTC-USDT-PERP", OrderWay::WebSocket);
    speak(&mut desk, messages);
    desk.end();
});
