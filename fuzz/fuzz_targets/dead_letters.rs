//! No file makes the reader of dead letters panic, and what it reads is written as it was read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use store::dead_letters::{Files, read_from};

fuzz_target!(|file: &[u8]| {
    let mut letters = Vec::new();
    if let Err((line, why)) = read_from(file, &mut |letter| letters.push(letter)) {
        assert!(line > 0 && !why.is_empty());
    }
    let mut text = Vec::new();
    for letter in &letters {
        text.extend_from_slice(&Files::line(letter));
    }
    let mut again = Vec::new();
    assert_eq!(read_from(&text[..], &mut |letter| again.push(letter)), Ok(false));
    assert_eq!(again, letters);
});
