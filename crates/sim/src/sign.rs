//! How requests are signed: HMAC-SHA256 and Ed25519, checked in constant time.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::{hmac, signature};

/// The HMAC-SHA256 of a message.
#[must_use]
pub fn hmac_sha256(secret: impl AsRef<[u8]>, message: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_ref());
    hmac::sign(&key, message).as_ref().to_vec()
}

/// Whether `tag` is the HMAC-SHA256 of the message.
#[must_use]
pub fn is_hmac_sha256(secret: impl AsRef<[u8]>, message: &[u8], tag: &[u8]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_ref());
    hmac::verify(&key, message, tag).is_ok()
}

/// Whether `signature` is the key's for the message.
#[must_use]
pub fn is_ed25519(public_key: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
    let key = signature::UnparsedPublicKey::new(&signature::ED25519, public_key);
    key.verify(message, signature).is_ok()
}

/// Small hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // A `String` takes whatever is written.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes of hexadecimal digits; `None` where it is something else.
#[must_use]
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
        _ => None,
    });
    pairs.collect()
}

/// Base64 with padding.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The bytes of base64 with padding; `None` where it is something else.
#[must_use]
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_of_binances_documentation_comes_out() {
        // binance-spot-api-docs, rest-api.md, "Signed Endpoint Examples", HMAC keys.
        let secret = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
        let message = b"symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1\
                        &recvWindow=5000&timestamp=1499827319559";
        let tag = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71";
        assert_eq!(hex(&hmac_sha256(secret, message)), tag);
        assert!(is_hmac_sha256(secret, message, &from_hex(tag).unwrap()));
        assert!(!is_hmac_sha256("other", message, &from_hex(tag).unwrap()));
        assert!(!is_hmac_sha256(secret, b"other", &from_hex(tag).unwrap()));
        assert!(!is_hmac_sha256(secret, message, &[]));
    }

    #[test]
    fn an_ed25519_signature_holds_for_its_key_and_message() {
        use ring::signature::KeyPair as _;
        let pair = signature::Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let key = pair.public_key().as_ref().try_into().unwrap();
        let signed = pair.sign(b"message");
        assert!(is_ed25519(&key, b"message", signed.as_ref()));
        assert!(!is_ed25519(&key, b"other", signed.as_ref()));
        assert!(!is_ed25519(&[0; 32], b"message", signed.as_ref()));
        assert!(!is_ed25519(&key, b"message", b""));
    }

    #[test]
    fn digits_and_base64_go_both_ways_and_nonsense_is_none() {
        assert_eq!(hex(&[0, 0xab, 255]), "00abff");
        assert_eq!(from_hex("00ABff"), Some(vec![0, 0xab, 255]));
        assert_eq!((from_hex("0"), from_hex("zz"), from_hex("é")), (None, None, None));
        assert_eq!(from_base64(&base64(b"ab")), Some(b"ab".to_vec()));
        assert_eq!(from_base64("a"), None);
    }
}
