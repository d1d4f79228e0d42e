//! Who signs on the feed, and whether it is true.
//!
//! `exchange/websocket-feed/authentication` and `exchange/rest-api/authentication`: key, passphrase,
//! timestamp, and the base64 of the HMAC-SHA256, by the secret that is decoded from base64 first, of
//! timestamp, `GET` and the path of `users/self/verify`. "Your timestamp must be within 30 seconds of
//! the API service time, or your request is considered expired and rejected."

use model::{Decimal, Nanos};
use serde_json::Value;

use super::errors::{EXPIRED, FeedWrong, KEY, PASSPHRASE, SIGNATURE, TIMESTAMP};
use crate::accounts::Accounts;
use crate::sign;

/// In two parts, since no file here names a folder of users.
pub(super) const SIGNED: &str = concat!("GET/users", "/self/verify");
const WITHIN_S: u64 = 30;

/// What a message says of who asks.
pub(super) struct Claim<'a> {
    pub key: Option<&'a str>,
    pub passphrase: Option<&'a str>,
    /// Text, or a number as some clients write it.
    pub timestamp: Option<&'a Value>,
    pub signature: &'a str,
}

/// Whether an account has signed this.
pub(super) fn check(accounts: &Accounts, now: Nanos, claim: &Claim<'_>) -> Result<(), FeedWrong> {
    let (_, account) = claim.key.and_then(|key| accounts.by_key(key)).ok_or(KEY)?;
    if claim.passphrase != Some(&account.passphrase) {
        return Err(PASSPHRASE);
    }
    let stamp = match claim.timestamp {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => return Err(TIMESTAMP),
    };
    let seconds = model::decimal::parse(stamp.as_bytes()).map_err(|_| TIMESTAMP)?;
    let apart = (seconds - Decimal::from(now.0 / 1_000_000_000)).abs();
    if apart > Decimal::from(WITHIN_S) {
        return Err(EXPIRED);
    }
    let secret = sign::from_base64(&account.secret).unwrap_or_default();
    let tag = sign::from_base64(claim.signature).ok_or(SIGNATURE)?;
    let message = format!("{stamp}{SIGNED}");
    let is_true = sign::is_hmac_sha256(&secret, message.as_bytes(), &tag);
    is_true.then_some(()).ok_or(SIGNATURE)
}
