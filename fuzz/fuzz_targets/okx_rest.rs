//! No REST answer makes its reader panic, and what was read holds together.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::venue::Bulk;
use venues::okx::habits::{list_of, split_symbol};
use venues::okx::rest::{read_depth, read_last_trade, read_listings};

fuzz_target!(|body: &[u8]| {
    if let Ok(Bulk::Listings { listings, unreadable }) = read_listings(body) {
        for listing in &listings {
            let (_, _, contract) = split_symbol(&listing.symbol).expect("a symbol that was split");
            assert_eq!(contract, listing.instrument.contract);
            assert!(["SPOT", "SWAP", "FUTURES"].contains(&list_of(&listing.instrument.name)));
            assert!(listing.instrument.tick.is_none_or(|tick| !tick.is_zero()));
            assert!(listing.instrument.lot.is_none_or(|lot| !lot.is_zero()));
        }
        assert!(unreadable.iter().all(|said| !said.is_empty()));
    }
    let _ = read_depth(body);
    let _ = read_last_trade(body);
});
