//! Who may trade at `meltica sim`, from a file.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use sim::accounts::Account;
use sim::sign;

/// What stands before the key in the public half of an Ed25519 key as OpenSSL writes it (RFC 8410).
const ED25519_DER: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    account: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    api_key: String,
    secret: Option<String>,
    #[serde(default)]
    passphrase: String,
    public_key: Option<String>,
    #[serde(default)]
    funds: BTreeMap<String, u64>,
}

/// The accounts of a file.
pub(super) fn read(path: &str) -> Result<Vec<Account>, String> {
    parse(&std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?)
}

fn parse(text: &str) -> Result<Vec<Account>, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    if file.account.is_empty() {
        return Err("no [[account]]; expected at least one".to_owned());
    }
    let mut keys = BTreeSet::new();
    for (place, entry) in file.account.iter().enumerate() {
        if entry.api_key.is_empty() || !keys.insert(&entry.api_key) {
            let key = &entry.api_key;
            return Err(format!(
                "account[{place}].api_key: '{key}'; expected one that no other has"
            ));
        }
    }
    file.account.iter().enumerate().map(|(place, entry)| account(place, entry)).collect()
}

fn account(place: usize, entry: &Entry) -> Result<Account, String> {
    let public_key = match (&entry.secret, &entry.public_key) {
        (Some(secret), None) if !secret.is_empty() => None,
        (None, Some(text)) => Some(public_key(text).ok_or_else(|| {
            format!(
                "account[{place}].public_key: expected the public half of an Ed25519 key, as PEM or its \
                 32 bytes in base64"
            )
        })?),
        _ => {
            return Err(format!("account[{place}]: expected either a secret or a public_key"));
        }
    };
    let secret = entry.secret.as_deref().unwrap_or_default();
    let funds = entry.funds.clone();
    Ok(Account { public_key, funds, ..Account::new(&entry.api_key, secret, &entry.passphrase) })
}

fn public_key(text: &str) -> Option<[u8; 32]> {
    let body: String =
        text.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    let bytes = sign::from_base64(&body)?;
    bytes.strip_prefix(&ED25519_DER).unwrap_or(&bytes).try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8410, 10.1.
    const PEM: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----";

    #[test]
    fn accounts_are_what_the_file_says() {
        let bare = "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
        let text = format!(
            "[[account]]\napi_key = \"a\"\nsecret = \"s\"\npassphrase = \"p\"\nfunds = {{ BTC = 3 }}\n\
             [[account]]\napi_key = \"b\"\npublic_key = \"\"\"{PEM}\"\"\"\n\
             [[account]]\napi_key = \"c\"\npublic_key = \"{bare}\"\n"
        );
        let accounts = parse(&text).unwrap();
        let funds = BTreeMap::from([("BTC".to_owned(), 3)]);
        assert!(accounts[0] == Account { funds, ..Account::new("a", "s", "p") });
        let key = accounts[1].public_key.unwrap();
        assert_eq!((accounts[1].api_key.as_str(), &key[..3]), ("b", &[0x19, 0xbf, 0x44][..]));
        assert_eq!(accounts[2].public_key, Some(key));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let a = "[[account]]\napi_key = \"a\"\nsecret = \"s\"\n";
        for (text, says) in [
            (String::new(), "at least one"),
            ("[[account]]\nsecret = \"s\"\n".to_owned(), "api_key"),
            (a.replace("\"a\"", "\"\""), "account[0].api_key"),
            (format!("{a}{a}"), "account[1].api_key: 'a'"),
            ("[[account]]\napi_key = \"a\"\n".to_owned(), "account[0]: expected either"),
            (format!("{a}public_key = \"\"\"{PEM}\"\"\"\n"), "account[0]: expected either"),
            (a.replace("secret", "public_key"), "account[0].public_key"),
            (format!("{a}fund = 3\n"), "fund"),
            (format!("{a}funds = {{ BTC = -3 }}\n"), "BTC"),
            (format!("{a}secret = 3\n"), "secret"),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
