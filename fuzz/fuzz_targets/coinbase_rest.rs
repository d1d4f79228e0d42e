//! No REST answer makes its reader panic, and what was read holds together.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::venue::Bulk;
use venues::coinbase::rest::{read_book, read_products};

fuzz_target!(|body: &[u8]| {
    if let Ok(Bulk::Listings { listings, unreadable }) = read_products(body) {
        for listing in &listings {
            assert!(!listing.instrument.name.is_empty());
            assert!(listing.instrument.tick.is_none_or(|tick| !tick.is_zero()));
            assert!(listing.instrument.lot.is_none_or(|lot| !lot.is_zero()));
        }
        assert!(unreadable.iter().all(|said| !said.is_empty()));
    }
    let _ = read_book(body);
});
