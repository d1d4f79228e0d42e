//! Whatever requests of an account are answered with, spot or futures, every ticket has one answer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use meltica_fuzz::{Desk, respond};
use venues::OrderWay;

fuzz_target!(|bytes: &[u8]| {
    for (line, instrument) in [("binance", "BTC-USDT"), ("binance-usdm", "BTC-USDT-PERP")] {
        let mut desk = Desk::live(line, instrument, OrderWay::Rest);
        respond(&mut desk, bytes);
        desk.end();
    }
});
