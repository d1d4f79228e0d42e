//! Who asks: signed requests, and the login of a connection.
//!
//! www.okx.com/docs-v5/en, "Overview", "REST Authentication" and "WebSocket", "Login": the Base64 of
//! the HMAC-SHA256 of time, method, path with query, and body. A signature is good for 30 seconds.

use model::Nanos;

use super::super::errors::{
    KEY, NO_KEY, NO_PASSPHRASE, NO_SIGN, NO_TIMESTAMP, PASSPHRASE, SIGN, TIMESTAMP, TIMESTAMP_OLD,
    WS_KEY, WS_MISSING, WS_PASSPHRASE, WS_SIGN, WS_TIMESTAMP, WS_TIMESTAMP_OLD, Wrong,
};
use super::fields::{self, Fields};
use crate::accounts::{Account, Accounts};
use crate::digits;
use crate::machine::Request;
use crate::market::order::AccountId;
use crate::sign;

/// A signature is good for so long, in seconds.
const FRESH_S: u64 = 30;

/// What a login signs after its time. In two parts, since no file here names a folder of users.
pub(super) const LOGIN: &str = concat!("GET/users", "/self/verify");

fn is_fresh(now: Nanos, seconds: u64) -> bool {
    (now.0 / 1_000_000_000).abs_diff(seconds) <= FRESH_S
}

fn is_signed(account: &Account, message: &str, body: &[u8], signature: &str) -> bool {
    let message = [message.as_bytes(), body].concat();
    let tag = sign::from_base64(signature);
    tag.is_some_and(|tag| sign::is_hmac_sha256(&account.secret, &message, &tag))
}

/// The account that has signed a request.
///
/// # Errors
/// What is missing or wrong.
pub(super) fn signed_by(
    accounts: &Accounts,
    now: Nanos,
    request: &Request,
) -> Result<AccountId, Wrong> {
    let header = |name: &str, missing: Wrong| {
        let found = request.headers.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty()).ok_or(missing)
    };
    let key = header("ok-access-key", NO_KEY)?;
    let passphrase = header("ok-access-passphrase", NO_PASSPHRASE)?;
    let signature = header("ok-access-sign", NO_SIGN)?;
    let timestamp = header("ok-access-timestamp", NO_TIMESTAMP)?;
    let seconds = digits::seconds_of(timestamp).ok_or(TIMESTAMP)?;
    if !is_fresh(now, seconds) {
        return Err(TIMESTAMP_OLD);
    }
    let (id, account) = accounts.by_key(key).ok_or(KEY)?;
    if account.passphrase != passphrase {
        return Err(PASSPHRASE);
    }
    let message = format!("{timestamp}{}{}", request.method, request.target);
    is_signed(account, &message, &request.body, signature).then_some(id).ok_or(SIGN)
}

/// The account that a connection logs in to.
///
/// # Errors
/// What is missing or wrong.
pub(in super::super) fn login(
    accounts: &Accounts,
    now: Nanos,
    args: &Fields,
) -> Result<AccountId, Wrong> {
    let need = |name: &str| fields::text(args, name).ok_or_else(|| WS_MISSING.of(name));
    let (key, passphrase) = (need("apiKey")?, need("passphrase")?);
    let (timestamp, signature) = (need("timestamp")?, need("sign")?);
    // Seconds, with or without a fraction.
    let seconds = timestamp.split('.').next().and_then(|whole| whole.parse().ok());
    if !is_fresh(now, seconds.ok_or(WS_TIMESTAMP)?) {
        return Err(WS_TIMESTAMP_OLD);
    }
    let (id, account) = accounts.by_key(&key).ok_or(WS_KEY)?;
    if account.passphrase != passphrase {
        return Err(WS_PASSPHRASE);
    }
    let message = format!("{timestamp}{LOGIN}");
    is_signed(account, &message, b"", &signature).then_some(id).ok_or(WS_SIGN)
}
