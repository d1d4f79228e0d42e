//! An account's keys, and what is signed with them.
//!
//! Secrets are wiped when they are dropped and have no debug form. What `ring` keeps of a key while it
//! signs lives on the stack for the length of one call.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use model::Error;
use ring::hmac;
use ring::signature::Ed25519KeyPair;
use zeroize::Zeroize;

/// Bytes that nobody is to see.
pub struct Secret(Vec<u8>);

impl Secret {
    fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Only of what was a text when it came in.
    #[must_use]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

impl From<Vec<u8>> for Secret {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// How a payload is signed.
#[derive(Debug)]
enum Signer {
    /// HMAC-SHA256 with the secret as it is written.
    Hmac(Secret),
    /// Ed25519, the private key as PKCS#8.
    Ed25519(Secret),
}

/// What an account of a venue is entered with.
#[derive(Debug)]
pub struct Credentials {
    key: Secret,
    signer: Signer,
    passphrase: Option<Secret>,
}

/// The first and last line of a private key.
const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";

impl Credentials {
    /// Credentials from what the venue handed out: its key, the secret (a text, or an Ed25519
    /// private key in PEM, PKCS#8), and the passphrase where the venue has one.
    ///
    /// # Errors
    /// [`Remedy::Stop`](model::Remedy::Stop): which of them is wrong, and what would be right;
    /// never what it is.
    pub fn new(key: String, secret: String, passphrase: Option<String>) -> Result<Self, Error> {
        let (key, secret) = (Secret::from(key), Secret::from(secret));
        let passphrase = passphrase.map(Secret::from);
        let printable = |secret: &Secret| {
            !secret.bytes().is_empty() && secret.bytes().iter().all(u8::is_ascii_graphic)
        };
        if !printable(&key) {
            return Err(wrong(
                "the API key is empty, or has a space or another character in it that \
                              a key does not have",
            ));
        }
        let signer = if secret.text().trim_start().starts_with("-----BEGIN") {
            Signer::Ed25519(read_pem(&secret)?)
        } else if printable(&secret) {
            Signer::Hmac(secret)
        } else {
            return Err(wrong(
                "the API secret is empty, or has a space or another character in it \
                              that a secret does not have",
            ));
        };
        let in_a_header = |b: &u8| b.is_ascii_graphic() || *b == b' ';
        if passphrase
            .as_ref()
            .is_some_and(|p| p.bytes().is_empty() || !p.bytes().iter().all(in_a_header))
        {
            return Err(wrong("the passphrase is empty, or not all printable ASCII"));
        }
        Ok(Self { key, signer, passphrase })
    }

    /// The public half, which goes into headers and messages.
    #[must_use]
    pub fn key(&self) -> &str {
        self.key.text()
    }

    /// The passphrase.
    #[must_use]
    pub fn passphrase(&self) -> Option<&str> {
        self.passphrase.as_ref().map(Secret::text)
    }

    /// Whether the key pair is an Ed25519 one.
    #[must_use]
    pub fn is_ed25519(&self) -> bool {
        matches!(self.signer, Signer::Ed25519(_))
    }

    /// HMAC-SHA256 in hexadecimal, or Ed25519 in base64, by the kind of key.
    #[must_use]
    pub fn sign(&self, payload: &str) -> String {
        match &self.signer {
            Signer::Hmac(secret) => hex(hmac_sha256(secret, payload).as_ref()),
            Signer::Ed25519(key) => ed25519(key, payload),
        }
    }

    /// HMAC-SHA256 in base64, or Ed25519 in base64, by the kind of key.
    #[must_use]
    pub fn sign_base64(&self, payload: &str) -> String {
        match &self.signer {
            Signer::Hmac(secret) => BASE64.encode(hmac_sha256(secret, payload)),
            Signer::Ed25519(key) => ed25519(key, payload),
        }
    }
}

fn wrong(words: &'static str) -> Error {
    Error::stop(words)
}

/// The bytes between the first and the last line, if they are an Ed25519 key.
fn read_pem(pem: &Secret) -> Result<Secret, Error> {
    let not_pem = || {
        wrong(
            "the private key is not of the form '-----BEGIN PRIVATE KEY-----' … '-----END PRIVATE \
               KEY-----' (PKCS#8, unencrypted), as 'openssl genpkey -algorithm ed25519' writes it",
        )
    };
    let text = pem.text().trim();
    let inner = text.strip_prefix(PEM_BEGIN).and_then(|text| text.strip_suffix(PEM_END));
    let mut inner: Vec<u8> = inner.ok_or_else(not_pem)?.bytes().collect();
    inner.retain(|byte| !byte.is_ascii_whitespace());
    let inner = Secret::from(inner);
    let der = Secret::from(BASE64.decode(inner.bytes()).map_err(|_| not_pem())?);
    match Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.bytes()) {
        Ok(_) => Ok(der),
        Err(_) => Err(wrong("the private key is no Ed25519 key; RSA keys are not taken")),
    }
}

fn hmac_sha256(secret: &Secret, payload: &str) -> hmac::Tag {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.bytes());
    hmac::sign(&key, payload.as_bytes())
}

fn ed25519(key: &Secret, payload: &str) -> String {
    // It was read once already when it came in.
    match Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.bytes()) {
        Ok(pair) => BASE64.encode(pair.sign(payload.as_bytes())),
        Err(_) => String::new(),
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles.map(|nibble| char::from(DIGITS[usize::from(nibble)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example keys of rest-api.md and web-socket-api.md.
    const KEY: &str = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A";
    const SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
    /// The first test key of RFC 8032, section 7.1, as PKCS#8.
    const PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
        -----END PRIVATE KEY-----\n";

    fn hmac() -> Credentials {
        Credentials::new(KEY.to_owned(), SECRET.to_owned(), None).unwrap()
    }

    #[test]
    fn hmac_signatures_are_those_of_the_documentation() {
        let rest = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1\
                    &recvWindow=5000&timestamp=1499827319559";
        assert_eq!(
            hmac().sign(rest),
            "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
        );
        let socket = format!(
            "apiKey={KEY}&newOrderRespType=ACK&price=52000.00&quantity=0.01000000&recvWindow=100\
             &side=SELL&symbol=BTCUSDT&timeInForce=GTC&timestamp=1645423376532&type=LIMIT"
        );
        assert_eq!(
            hmac().sign(&socket),
            "cc15477742bd704c29492d96c7ead9414dfd8e0ec4a00f947bb5bb454ddbd08a"
        );
    }

    #[test]
    fn hmac_in_base64_is_that_of_rfc_4231() {
        // Test case 2 there, its hexadecimal form in base64.
        let credentials = Credentials::new("k".into(), "Jefe".into(), Some("p".into())).unwrap();
        assert_eq!(
            credentials.sign_base64("what do ya want for nothing?"),
            "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM="
        );
    }

    #[test]
    fn ed25519_signatures_are_those_of_rfc_8032() {
        let credentials = Credentials::new(KEY.to_owned(), PEM.to_owned(), None).unwrap();
        assert!(credentials.is_ed25519());
        assert_eq!(
            credentials.sign(""),
            "5VZDAMNgrHKQhuLMgG6CioSHfx645dl02HPgZSJJAVVfuIIVkKM7rMYeOXAc+bRr0lv18FlbviRlUUFDjnoQCw=="
        );
        assert_eq!(credentials.sign("x"), credentials.sign_base64("x"));
    }

    #[test]
    fn what_is_wrong_is_said_and_what_it_is_is_not() {
        let new = |key: &str, secret: &str, pass: Option<&str>| {
            Credentials::new(key.to_owned(), secret.to_owned(), pass.map(str::to_owned))
        };
        let rsa = "-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----";
        let no_ed = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----";
        let cases = [
            (new("", "s3cr3t", None), "API key is empty"),
            (new("k y", "s3cr3t", None), "API key is empty, or has a space"),
            (new("k", "", None), "API secret is empty"),
            (new("k", "s3c\nr3t", None), "API secret is empty, or has a space"),
            (new("k", "s3cr3t", Some("")), "passphrase is empty"),
            (new("k", rsa, None), "PKCS#8"),
            (new("k", no_ed, None), "no Ed25519 key"),
        ];
        for (result, words) in cases {
            let error = result.unwrap_err();
            assert!(error.message.contains(words), "{error}");
            assert!(!error.message.contains("s3c") && !error.message.contains("MIIB"), "{error}");
        }
    }

    #[test]
    fn nothing_secret_has_a_debug_form() {
        let credentials = new_with_passphrase();
        let shown = format!("{credentials:?}");
        for hidden in [KEY, SECRET, "passphrase!"] {
            assert!(!shown.contains(hidden), "{shown}");
        }
    }

    fn new_with_passphrase() -> Credentials {
        Credentials::new(KEY.into(), SECRET.into(), Some("passphrase!".into())).unwrap()
    }
}
