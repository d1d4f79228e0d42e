//! No file makes the reader of captures panic or read without end.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use store::capture::Reader;

fuzz_target!(|file: &[u8]| {
    let Ok(reader) = Reader::new("fuzz", Cursor::new(file.to_vec())) else { return };
    let mut reader = reader.line_bytes_max(1 << 16);
    let mut items = 0;
    while let Some(line) = reader.next() {
        items += 1;
        // Compressed bytes may hold many lines, but each line comes from bytes.
        if items > 1 << 20 {
            return;
        }
        if let Err(error) = line {
            assert!(!error.to_string().is_empty());
        }
    }
    assert!(reader.next().is_none());
});
