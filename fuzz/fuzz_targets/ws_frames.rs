//! However a server's bytes are cut into reads, the same messages and the same fault come out of
//! them; none is over the limit, and what a text message holds is text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use net::frames::{FrameReader, Received};

const MESSAGE_BYTES_MAX: usize = 40_000;

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, bytes) = input;
    let whole = read(bytes, usize::MAX);
    let pieces = read(bytes, usize::from(cut) + 1);
    assert_eq!(whole, pieces, "in reads of {}", usize::from(cut) + 1);
});

/// What comes out, up to a fault or the end.
fn read(mut bytes: &[u8], read_bytes: usize) -> Vec<String> {
    let mut reader = FrameReader::new(MESSAGE_BYTES_MAX);
    let mut seen = Vec::new();
    loop {
        match reader.next() {
            Err(fault) => {
                seen.push(format!("{fault:?}"));
                return seen;
            }
            Ok(Some(received)) => {
                if let Received::Message(message) = received {
                    assert!(message.len() <= MESSAGE_BYTES_MAX);
                }
                if let Received::Ping(payload) = received {
                    assert!(payload.len() <= 125);
                }
                seen.push(format!("{received:?}"));
            }
            Ok(None) => {
                if bytes.is_empty() {
                    seen.push(format!("within: {}", reader.is_within()));
                    return seen;
                }
                let room = reader.room();
                assert!(!room.is_empty());
                let len = room.len().min(read_bytes).min(bytes.len());
                room[..len].copy_from_slice(&bytes[..len]);
                reader.filled(len);
                bytes = &bytes[len..];
            }
        }
    }
}
