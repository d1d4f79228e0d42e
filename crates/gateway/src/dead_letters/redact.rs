//! Takes out of a payload what may be a secret, by the names that secrets go by.
//!
//! What is looked at could not be read, so nothing is known of its form: a name is any run of letters
//! and digits, and what stands behind it and a colon or an equals sign is its value, with quotation
//! marks or without, in JSON, in JSON within a text, or in an address. Where in doubt more is hidden.

use std::borrow::Cow;

/// Stands in place of what was taken out.
const HIDDEN: &[u8] = b"(not shown)";

/// A name that has one of these in it, whatever its case and its `_` and `-`.
const WORDS: [&str; 10] = [
    "secret",
    "passw",
    "passphrase",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "credential",
    "listenkey",
    "signature",
];

/// A name that is one of these.
const NAMES: [&str; 4] = ["sign", "okaccesssign", "authorization", "cookie"];

/// The payload without what may be a secret.
pub(super) fn redact(payload: &[u8]) -> Cow<'_, [u8]> {
    let mut shown = Vec::new();
    let (mut from, mut at) = (0, 0);
    while let Some((name, end)) = next_name(payload, at) {
        at = end;
        if !is_secret(name) {
            continue;
        }
        let Some(value) = value_at(payload, end) else { continue };
        shown.extend_from_slice(&payload[from..value.start]);
        shown.extend_from_slice(HIDDEN);
        (from, at) = (value.end, value.end);
    }
    if from == 0 {
        return Cow::Borrowed(payload);
    }
    shown.extend_from_slice(&payload[from..]);
    Cow::Owned(shown)
}

/// The next name from there on, and where it ends.
fn next_name(payload: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let rest = payload.get(at..)?;
    let start = at + rest.iter().position(|byte| is_of_name(*byte))?;
    let rest = &payload[start..];
    let end = start + rest.iter().position(|byte| !is_of_name(*byte)).unwrap_or(rest.len());
    Some((&payload[start..end], end))
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

fn is_secret(name: &[u8]) -> bool {
    let letters = name.iter().filter(|byte| byte.is_ascii_alphanumeric());
    let name: String = letters.map(|byte| byte.to_ascii_lowercase() as char).collect();
    WORDS.iter().any(|word| name.contains(word)) || NAMES.contains(&name.as_str())
}

/// Where the value stands that belongs to a name which ends there.
fn value_at(payload: &[u8], name_end: usize) -> Option<std::ops::Range<usize>> {
    let is_filler = |byte: u8| matches!(byte, b'"' | b'\'' | b'\\') || byte.is_ascii_whitespace();
    let skip = |from: usize| {
        let rest = payload.get(from..).unwrap_or_default();
        from + rest.iter().position(|byte| !is_filler(*byte)).unwrap_or(rest.len())
    };
    let sign = skip(name_end);
    if !matches!(payload.get(sign), Some(b':' | b'=')) {
        return None;
    }
    let blank = |byte: &u8| !byte.is_ascii_whitespace();
    let start = sign + 1 + payload[sign + 1..].iter().position(blank)?;
    let slashes = payload[start..].iter().take_while(|byte| **byte == b'\\').count();
    let value = start + slashes;
    let end = match payload.get(value)? {
        quote @ (b'"' | b'\'') => {
            return Some(value + 1..quoted(payload, value + 1, *quote, slashes));
        }
        // All that is in it may be one.
        b'[' | b'{' => payload.len(),
        _ => {
            let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b'&' | b'"' | b'\\');
            let rest = &payload[value..];
            let ended = |byte: &u8| ends(byte) || byte.is_ascii_whitespace();
            value + rest.iter().position(ended).unwrap_or(rest.len())
        }
    };
    (end > start).then_some(start..end)
}

/// Where a quoted text ends that began behind so many backslashes: at a quotation mark behind no more.
fn quoted(payload: &[u8], from: usize, quote: u8, slashes: usize) -> usize {
    let mut before = 0;
    for (at, byte) in payload.iter().enumerate().skip(from) {
        match byte {
            b'\\' => before += 1,
            byte if *byte == quote && before <= slashes => return at - before,
            _ => before = 0,
        }
    }
    payload.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(payload: &str) -> String {
        String::from_utf8(redact(payload.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn a_secret_is_hidden_in_whatever_form_it_stands_and_the_rest_is_not() {
        for (payload, expected) in [
            (r#"{"a":1,"apiKey":"k1","b":2}"#, r#"{"a":1,"apiKey":"(not shown)","b":2}"#),
            (r#"{"API_SECRET" : 'k1' }"#, r#"{"API_SECRET" : '(not shown)' }"#),
            (r#"{"listenKey":"k1"#, r#"{"listenKey":"(not shown)"#),
            (r#"{"passphrase":"k\"1","n":3}"#, r#"{"passphrase":"(not shown)","n":3}"#),
            (
                r#"{"data":"{\"token\":\"k1\",\"n\":1}"}"#,
                r#"{"data":"{\"token\":\"(not shown)\",\"n\":1}"}"#,
            ),
            (
                "/order?symbol=A&signature=k1&timestamp=5",
                "/order?symbol=A&signature=(not shown)&timestamp=5",
            ),
            (r#"{"sign":k1,"signal":"up"}"#, r#"{"sign":(not shown),"signal":"up"}"#),
            (r#"{"credentials":{"user":"k1"}}"#, r#"{"credentials":(not shown)"#),
            (r#"{"e":"trade","token""#, r#"{"e":"trade","token""#),
            ("{\"token\":", "{\"token\":"),
        ] {
            assert_eq!(shown(payload), expected);
        }
    }

    #[test]
    fn market_data_is_shown_as_it_came() {
        let trade = r#"{"e":"aggTrade","s":"BTCUSDT","a":1,"p":"0.1","q":"5" 6}"#;
        assert!(matches!(redact(trade.as_bytes()), Cow::Borrowed(_)));
    }

    proptest! {
        /// Whatever stands around it.
        #[test]
        fn no_secret_is_shown(
            before in "[a-z{}\\[\\],:\"\\\\ ]{0,20}",
            name in prop::sample::select(vec!["apiKey", "X-SECRET", "listen_key", "Passphrase"]),
            between in prop::sample::select(vec!["\":\"", "\" : \"", "=", "\\\":\\\"", ":", "':'"]),
            after in "[a-z{}\\[\\],:\"\\\\& ]{0,20}",
        ) {
            const SECRET: &str = "K9X7Q2";
            // A name of its own: what stands right before it would be part of it.
            let payload = format!("{before} {name}{between}{SECRET}{after}");
            prop_assert!(!shown(&payload).contains(SECRET), "{} -> {}", payload, shown(&payload));
        }

        #[test]
        fn any_bytes_will_do(payload in prop::collection::vec(any::<u8>(), 0..100)) {
            redact(&payload);
        }
    }
}
