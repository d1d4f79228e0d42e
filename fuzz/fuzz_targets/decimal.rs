//! The parser of prices against a naive reading of the same text by digits, and its ways in
//! against each other.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::decimal::{parse, scan, scan_bare, scan_quoted, scan_uint};

fuzz_target!(|text: &[u8]| {
    let parsed = parse(text);
    match naive(text) {
        // Which fault is named first, that of the number or that of what follows it, is open.
        None => assert!(parsed.is_err()),
        Some(expected) => match parsed {
            Ok(value) => {
                let shown = value.to_string();
                assert_eq!(naive(shown.as_bytes()), Some(expected), "{shown}");
            }
            // Refused only where 28 places or 96 bits (28 to 29 digits) are exceeded, or where an
            // exponent is written with more than four digits.
            Err(error) => {
                let len = i64::try_from(expected.digits.len()).unwrap();
                let absurd = exponent_len(text) > 4;
                let beyond = expected.power < -28 || len > 28 || len + expected.power > 28;
                assert!(absurd || beyond, "{error} of {expected:?}");
            }
        },
    }
    if let Ok((value, len)) = scan(text) {
        let same = parse(&text[..len]).unwrap();
        assert_eq!(value.serialize(), same.serialize());
    }
    let quoted = scan(text).ok().filter(|(_, len)| text.get(*len) == Some(&b'"'));
    let quoted = quoted.map(|(value, len)| (value.serialize(), len + 1));
    assert_eq!(scan_quoted(text).map(|(value, len)| (value.serialize(), len)), quoted);
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let zeros = digits.starts_with(b"0") && digits.get(1).is_some_and(u8::is_ascii_digit);
    let bare =
        scan(text).ok().filter(|(_, len)| matches!(text.get(*len), Some(b',' | b'}' | b']')));
    let bare = bare.filter(|_| !zeros).map(|(value, len)| (value.serialize(), len));
    assert_eq!(scan_bare(text).map(|(value, len)| (value.serialize(), len)), bare);
    let run = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let spelled = run == 1 || (run > 1 && run <= 19 && text[0] != b'0');
    let integer = std::str::from_utf8(&text[..run]).unwrap().parse().ok().filter(|_: &u64| spelled);
    assert_eq!(scan_uint(text), integer.map(|value| (value, run)));
});

/// A number as its digits without zeros at either end, and the power of ten of the last one.
#[derive(Debug, PartialEq, Eq)]
struct Naive {
    negative: bool,
    digits: Vec<u8>,
    power: i64,
}

/// `-?digits[.digits][e[+-]digits]`, read one character after the other.
fn naive(text: &[u8]) -> Option<Naive> {
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let (number, exponent) = match text.iter().position(|b| matches!(b, b'e' | b'E')) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let (whole, fraction) = match number.iter().position(|b| *b == b'.') {
        Some(at) => (&number[..at], Some(&number[at + 1..])),
        None => (number, None),
    };
    let is_number = |digits: &[u8]| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    if !is_number(whole) || !fraction.is_none_or(is_number) {
        return None;
    }
    let mut power = match exponent {
        None => 0,
        Some([b'-', digits @ ..]) if is_number(digits) => -value(digits),
        Some([b'+', digits @ ..]) | Some(digits) if is_number(digits) => value(digits),
        Some(_) => return None,
    };
    let fraction = fraction.unwrap_or(&[]);
    power -= i64::try_from(fraction.len()).ok()?;
    let mut digits: Vec<u8> =
        whole.iter().chain(fraction).skip_while(|b| **b == b'0').copied().collect();
    while digits.last() == Some(&b'0') {
        digits.pop();
        power += 1;
    }
    if digits.is_empty() {
        return Some(Naive { negative: false, digits, power: 0 });
    }
    Some(Naive { negative, digits, power })
}

/// A large number where it does not fit.
fn value(digits: &[u8]) -> i64 {
    digits
        .iter()
        .fold(0_i64, |n, b| n.saturating_mul(10).saturating_add(i64::from(b - b'0')))
        .min(i64::MAX / 2)
}

fn exponent_len(text: &[u8]) -> usize {
    let at = text.iter().position(|b| matches!(b, b'e' | b'E')).map_or(text.len(), |at| at + 1);
    text[at..].iter().filter(|b| b.is_ascii_digit()).count()
}
