//! The reader against a naive writer of frames, in pieces of any size; the writer against a naive
//! reader; and each thing that a server must not send.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

/// A server's frame, byte by byte as section 5.2 draws it.
fn frame(opcode: u8, last: bool, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![if last { 0x80 | opcode } else { opcode }];
    match payload.len() {
        len @ 0..126 => bytes.push(len as u8),
        len @ 126..65_536 => {
            bytes.push(126);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend(payload);
    bytes
}

/// What was received, kept.
#[derive(Clone, Debug, PartialEq)]
enum Kept {
    Message(Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    Close(u16, String),
}

/// Reads everything from bytes that come in pieces of the given sizes, again and again.
fn read_all(wire: &[u8], max: usize, pieces: &[usize]) -> Result<Vec<Kept>, FrameFault> {
    let mut reader = FrameReader::new(max);
    let (mut kept, mut at, mut piece) = (Vec::new(), 0, 0);
    loop {
        while let Some(received) = reader.next()? {
            kept.push(match received {
                Received::Message(bytes) => Kept::Message(bytes.to_vec()),
                Received::Ping(bytes) => Kept::Ping(bytes.to_vec()),
                Received::Pong => Kept::Pong,
                Received::Close(code, words) => Kept::Close(code, words.to_owned()),
            });
        }
        assert!(!reader.room().is_empty(), "no room and nothing whole");
        if at == wire.len() {
            return Ok(kept);
        }
        let bytes = pieces[piece % pieces.len()].min(wire.len() - at).min(reader.room().len());
        piece += 1;
        reader.room()[..bytes].copy_from_slice(&wire[at..at + bytes]);
        reader.filled(bytes);
        at += bytes;
    }
}

fn fault(wire: &[u8]) -> FrameFault {
    let whole = read_all(wire, 1_000, &[1_024]).unwrap_err();
    assert_eq!(read_all(wire, 1_000, &[1]).unwrap_err(), whole);
    whole
}

#[test]
fn what_a_server_must_not_send_ends_the_connection() {
    let two = |first: Vec<u8>, second: Vec<u8>| [first, second].concat();
    for (wrong, word) in [
        (vec![0xC1, 0], "reserved"),
        (vec![0x81, 0x80, 0, 0, 0, 0], "mask"),
        (vec![0x83, 0], "opcode"),
        (vec![0x8B, 0], "opcode"),
        (vec![0x81, 126, 0, 125], "more bytes"),
        (vec![0x81, 127, 0, 0, 0, 0, 0, 0, 255, 255], "more bytes"),
        (vec![0x09, 0], "fragmented"),
        (vec![0x89, 126, 0, 126], "longer than 125"),
        (frame(CONTINUATION, true, b"x"), "continues no message"),
        (two(frame(TEXT, false, b"a"), frame(TEXT, true, b"b")), "within another"),
        (frame(CLOSE, true, &[3]), "half a code"),
        (frame(CLOSE, true, &1005u16.to_be_bytes()), "close code"),
        (frame(CLOSE, true, &2000u16.to_be_bytes()), "close code"),
    ] {
        let FrameFault::Protocol(words) = fault(&wrong) else { panic!("{wrong:?}") };
        assert!(words.contains(word), "{words}");
    }
}

#[test]
fn text_has_to_be_utf8_and_only_text() {
    assert_eq!(fault(&frame(TEXT, true, b"a\xFF")), FrameFault::InvalidUtf8);
    let halves = [frame(TEXT, false, b"\xC3"), frame(CONTINUATION, true, b"\xA9")].concat();
    assert_eq!(read_all(&halves, 9, &[3]).unwrap(), [Kept::Message("é".into())]);
    let cut_off = [frame(TEXT, false, b"\xC3"), frame(CONTINUATION, true, b"")].concat();
    assert_eq!(fault(&cut_off), FrameFault::InvalidUtf8);
    assert_eq!(read_all(&frame(BINARY, true, b"\xFF"), 9, &[9]).unwrap().len(), 1);
    let words = [&1000u16.to_be_bytes()[..], b"\xFF"].concat();
    assert_eq!(fault(&frame(CLOSE, true, &words)), FrameFault::InvalidUtf8);
}

#[test]
fn a_message_over_the_limit_is_refused_by_its_header() {
    assert!(read_all(&frame(TEXT, true, &[b'x'; 1_000]), 1_000, &[64]).is_ok());
    assert_eq!(fault(&[0x81, 126, 0x03, 0xE9]), FrameFault::Oversized);
    assert_eq!(fault(&[0x82, 127, 0x7F, 0, 0, 0, 0, 0, 0, 0]), FrameFault::Oversized);
    let fragments = [frame(TEXT, false, &[b'x'; 999]), vec![0x80, 2]].concat();
    assert_eq!(fault(&fragments), FrameFault::Oversized);
}

#[test]
fn what_a_huge_message_needed_is_given_back() {
    let mut reader = FrameReader::new(1 << 20);
    let wire = frame(BINARY, true, &vec![7; 1 << 20]);
    let mut at = 0;
    while reader.next().unwrap().is_none() {
        let bytes = reader.room().len().min(wire.len() - at);
        reader.room()[..bytes].copy_from_slice(&wire[at..at + bytes]);
        reader.filled(bytes);
        at += bytes;
    }
    assert!(reader.buffer.len() > 1 << 20 && !reader.is_within());
    assert!(reader.next().unwrap().is_none());
    assert_eq!(reader.buffer.capacity(), BUFFER_BYTES);
}

#[test]
fn a_close_frame_may_say_nothing() {
    assert_eq!(read_all(&[0x88, 0], 9, &[1]).unwrap(), [Kept::Close(1005, String::new())]);
    let words = [&4000u16.to_be_bytes()[..], "für heute".as_bytes()].concat();
    let read = read_all(&frame(CLOSE, true, &words), 9, &[5]).unwrap();
    assert_eq!(read, [Kept::Close(4000, "für heute".to_owned())]);
}

/// Undoes the mask, the slow way.
fn unmask(wire: &[u8]) -> (u8, Vec<u8>, usize) {
    assert!(wire[0] & 0x80 != 0 && wire[1] & 0x80 != 0, "whole and masked");
    let (len, at) = match wire[1] & 0x7F {
        126 => (usize::from(u16::from_be_bytes([wire[2], wire[3]])), 4),
        127 => (u64::from_be_bytes(wire[2..10].try_into().unwrap()) as usize, 10),
        len => (usize::from(len), 2),
    };
    let mask = &wire[at..at + 4];
    let payload = &wire[at + 4..at + 4 + len];
    let payload = payload.iter().enumerate().map(|(n, byte)| byte ^ mask[n % 4]).collect();
    (wire[0] & 0x0F, payload, at + 4 + len)
}

fn message() -> impl Strategy<Value = (bool, Vec<u8>)> {
    let size = prop_oneof![8 => 0usize..300, 1 => 65_000usize..70_000, 1 => Just(40_000usize)];
    (any::<bool>(), size, 0x20u8..0x7F).prop_map(|(text, size, byte)| (text, vec![byte; size]))
}

proptest! {
    #[test]
    fn messages_arrive_whole_however_they_are_cut(
        messages in proptest::collection::vec((message(), 1usize..4, any::<bool>()), 1..12),
        pieces in proptest::collection::vec(prop_oneof![1usize..20, 1usize..40_000], 1..8),
    ) {
        let (mut wire, mut sent) = (Vec::new(), Vec::new());
        for ((text, payload), fragments, ping) in messages {
            let cuts = payload.len().div_ceil(fragments).max(1);
            let parts: Vec<&[u8]> =
                if payload.is_empty() { vec![&[]] } else { payload.chunks(cuts).collect() };
            for (n, part) in parts.iter().enumerate() {
                let opcode = if n > 0 { CONTINUATION } else if text { TEXT } else { BINARY };
                wire.extend(frame(opcode, n + 1 == parts.len(), part));
                if ping {
                    wire.extend(frame(PING, true, &[n as u8]));
                    wire.extend(frame(PONG, true, b"late"));
                }
            }
            // What is sent between fragments overtakes their message.
            let pings = (0..parts.len()).filter(|_| ping);
            let mut around: Vec<Kept> =
                pings.flat_map(|n| [Kept::Ping(vec![n as u8]), Kept::Pong]).collect();
            let at = if ping { (parts.len() - 1) * 2 } else { 0 };
            around.insert(at, Kept::Message(payload));
            sent.extend(around);
        }
        prop_assert_eq!(read_all(&wire, 70_000, &pieces).unwrap(), sent);
    }

    #[test]
    fn any_bytes_are_read_or_refused(wire in proptest::collection::vec(any::<u8>(), 0..200)) {
        let whole = read_all(&wire, 500, &[4_096]);
        prop_assert_eq!(read_all(&wire, 500, &[1]).is_err(), whole.is_err());
    }

    #[test]
    fn what_is_written_can_be_read(
        seed in any::<u64>(), sizes in proptest::collection::vec(0usize..70_000, 1..5),
    ) {
        let mut writer = FrameWriter::new(seed);
        let texts: Vec<String> = sizes.iter().map(|size| "ä".repeat(size / 2)).collect();
        texts.iter().for_each(|text| writer.text(text));
        writer.ping(b"p");
        writer.close(Some(1001), "away");
        let wire = writer.waiting().to_vec();
        let mut at = 0;
        for text in &texts {
            let (opcode, payload, len) = unmask(&wire[at..]);
            prop_assert_eq!((opcode, payload.as_slice()), (TEXT, text.as_bytes()));
            at += len;
        }
        let (opcode, payload, len) = unmask(&wire[at..]);
        prop_assert_eq!((opcode, payload.as_slice()), (PING, &b"p"[..]));
        let (opcode, payload, _) = unmask(&wire[at + len..]);
        prop_assert_eq!((opcode, payload.as_slice()), (CLOSE, &b"\x03\xe9away"[..]));
        writer.wrote(wire.len());
        prop_assert!(writer.waiting().is_empty());
    }
}
