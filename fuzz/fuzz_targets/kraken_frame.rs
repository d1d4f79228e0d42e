//! Whenever the cursor accepts a frame, the fallback reads the same entries from it; what either of
//! them gave to be read later can be read; and no bytes make any of them panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::{CanonicalEvent, Kind};
use venues::channels::Message;
use venues::kraken::wire::{follow, read, read_entry, read_slowly};

/// All entries of a message, written out: decimals compare by value, and so show their digits.
fn entries(symbol: &str, event: &CanonicalEvent, more: &[&[u8]]) -> String {
    let kind: Kind = event.header.stream.kind;
    let mut all = format!("{symbol} {event:?}");
    for text in more {
        let mut event = CanonicalEvent::default();
        let symbol = read_entry(kind, text, &mut event).expect("an entry that was checked");
        all += &format!("\n{symbol} {event:?}");
    }
    all
}

fuzz_target!(|frame: &[u8]| {
    let (mut fast, mut slow) = (CanonicalEvent::default(), CanonicalEvent::default());
    let slowly = read_slowly(frame, &mut slow);
    let expected = match &slowly {
        Ok(Message::Event { symbol, more }) => Some(entries(symbol, &slow, more)),
        _ => None,
    };
    if let Some((symbol, more)) = follow(frame, &mut fast) {
        assert_eq!(Some(entries(symbol, &fast, &more)), expected, "{slowly:?}");
    }
    // Both in turn, as the gateway does it: what the cursor left half filled must not show.
    let mut event = CanonicalEvent::default();
    let result = read(frame, &mut event);
    assert_eq!(result.is_ok(), slowly.is_ok());
    if let Ok(Message::Event { symbol, more }) = result {
        assert_eq!(Some(entries(&symbol, &event, &more)), expected);
    }
});
