//! Who asks, and whether it is true: key, signature, time.
//!
//! <https://github.com/binance/binance-spot-api-docs/blob/master/rest-api.md#signed-trade-and-user_data-endpoint-security>

use model::Nanos;

use super::super::errors::Failure;
use super::super::query::Query;
use super::errors::Why;
use crate::accounts::{Account, Accounts};
use crate::market::order::AccountId;
use crate::sign;

/// A request is good for so long after its time, in ms, where it says nothing itself.
const RECV_WINDOW_MS: u64 = 5_000;
const RECV_WINDOW_MS_MAX: u64 = 60_000;
/// Its time may be so far ahead of the venue's.
const AHEAD_MS: u64 = 1_000;
/// A time above this is in microseconds.
const MICROSECONDS_FROM: u64 = 100_000_000_000_000;

/// What a request says of who asks.
pub(super) struct Claim<'a> {
    pub key: Option<&'a str>,
    /// What was signed.
    pub payload: &'a str,
    pub params: &'a Query,
}

/// The account of a key.
pub(super) fn known(accounts: &Accounts, key: Option<&str>) -> Result<AccountId, Failure> {
    let key = key.filter(|key| !key.is_empty()).ok_or(Why::KeyMissing)?;
    Ok(accounts.by_key(key).ok_or(Why::Key)?.0)
}

/// The account that a signed request is from.
pub(super) fn signed(
    accounts: &Accounts,
    now: Nanos,
    claim: &Claim<'_>,
) -> Result<AccountId, Failure> {
    let id = known(accounts, claim.key)?;
    let account = accounts.get(id).ok_or(Why::Key)?;
    let signature = claim.params.get("signature").ok_or_else(|| Why::Missing.of("signature"))?;
    let timestamp = stamp(claim.params)?;
    if !is_signed(account, claim.payload.as_bytes(), signature) {
        return Err(Why::Signature.failure());
    }
    in_time(now, timestamp, claim.params)?;
    Ok(id)
}

/// Whether a request is in time that a session vouches for.
pub(super) fn timely(now: Nanos, params: &Query) -> Result<(), Failure> {
    in_time(now, stamp(params)?, params)
}

fn is_signed(account: &Account, payload: &[u8], signature: &str) -> bool {
    match &account.public_key {
        Some(key) => sign::from_base64(signature)
            .is_some_and(|signature| sign::is_ed25519(key, payload, &signature)),
        None => sign::from_hex(signature)
            .is_some_and(|tag| sign::is_hmac_sha256(&account.secret, payload, &tag)),
    }
}

/// The request's time, in ms.
fn stamp(params: &Query) -> Result<u64, Failure> {
    let text = params.get("timestamp").ok_or_else(|| Why::Missing.of("timestamp"))?;
    let illegal = || Why::Illegal.of("'timestamp'; legal range is '^[0-9]{1,20}$'");
    let stamp: u64 = text.parse().map_err(|_| illegal())?;
    Ok(if stamp >= MICROSECONDS_FROM { stamp / 1_000 } else { stamp })
}

fn in_time(now: Nanos, stamp_ms: u64, params: &Query) -> Result<(), Failure> {
    let window = params.get("recvWindow").map_or(Ok(RECV_WINDOW_MS), |text| {
        let whole = text.split('.').next().unwrap_or_default();
        whole.parse().map_err(|_| Why::Illegal.of("'recvWindow'; legal range is '^[0-9]{1,20}$'"))
    })?;
    if window > RECV_WINDOW_MS_MAX {
        return Err(Why::RecvWindow.failure());
    }
    let now_ms = now.0 / 1_000_000;
    if stamp_ms >= now_ms + AHEAD_MS {
        return Err(Why::Early.failure());
    }
    if now_ms.saturating_sub(stamp_ms) > window {
        return Err(Why::Late.failure());
    }
    Ok(())
}

/// A query or a form without its signature, as it was sent.
pub(super) fn without_signature(text: &str) -> String {
    let parts = text.split('&').filter(|part| !part.starts_with("signature="));
    parts.collect::<Vec<_>>().join("&")
}
