//! Whatever the sockets of an account say, spot or futures, its machine goes on: every ticket has one
//! answer, and what can't be read is taken for a report that was missed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use meltica_fuzz::{Desk, speak};
use venues::OrderWay;

fuzz_target!(|messages: &[u8]| {
    for (line, instrument) in [("binance", "BTC-USDT"), ("binance-usdm", "BTC-USDT-PERP")] {
        let mut desk = Desk::live(line, instrument, OrderWay::WebSocket);
        speak(&mut desk, messages);
        desk.end();
    }
});
