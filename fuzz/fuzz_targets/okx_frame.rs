//! Whenever the cursor accepts a frame, the fallback reads the same event from it; and no bytes
//! make either of them panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::CanonicalEvent;
use venues::okx::wire::{Message, follow, read, read_slowly};

fuzz_target!(|frame: &[u8]| {
    let (mut fast, mut slow) = (CanonicalEvent::default(), CanonicalEvent::default());
    let slowly = read_slowly(frame, &mut slow);
    if let Some(symbol) = follow(frame, &mut fast) {
        let Ok(Message::Event { symbol: same, more }) = &slowly else {
            panic!("accepted by the cursor, but: {slowly:?}");
        };
        assert_eq!(symbol, same);
        assert!(more.is_empty());
        // Decimals compare by value; written out, they show their digits too.
        assert_eq!(format!("{fast:?}"), format!("{slow:?}"));
    }
    // Both in turn, as the gateway does it: what the cursor left half filled must not show.
    let mut event = CanonicalEvent::default();
    let result = read(frame, &mut event);
    assert_eq!(result.is_ok(), slowly.is_ok());
    if result.is_ok() {
        assert_eq!(event, slow);
        assert_eq!(result, slowly);
    }
});
