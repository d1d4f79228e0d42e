//! Whatever requests of an account are answered with, every ticket has one answer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use meltica_fuzz::{Desk, respond};
use venues::OrderWay;

fuzz_target!(|bytes: &[u8]| {
    let mut desk = Desk::live("okx", "BTC-USDT-PERP", OrderWay::Rest);
    respond(&mut desk, bytes);
    desk.end();
});
