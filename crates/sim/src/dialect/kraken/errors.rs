//! Every error in one table, in the venue's words.
//!
//! REST: docs.kraken.com/exchange/guides/general/errors; all come with status 200. WebSocket: each
//! channel's page of `websocket-v2`, as far as it says; the others are ours.

use crate::machine::Reply;

pub(super) const ARGUMENTS: &str = "EGeneral:Invalid arguments";
pub(super) const METHOD: &str = "EGeneral:Unknown method";
pub(super) const ASSET: &str = "EQuery:Unknown asset";
pub(super) const PAIR: &str = "EQuery:Unknown asset pair";
pub(super) const TOO_OFTEN: &str = "EAPI:Rate limit exceeded";
pub(super) const UNAVAILABLE: &str = "EService:Unavailable";

/// The answer by REST.
pub(super) fn refusal(error: &str) -> Reply {
    Reply::new(200, format!(r#"{{"error":["{error}"]}}"#))
}

/// Where nothing listens for WebSockets.
pub(super) fn no_path() -> Reply {
    Reply { status: 404, ..refusal("EGeneral:Unknown path") }
}

pub(super) const WS_JSON: &str = "Malformed request";
pub(super) const WS_METHOD: &str = "Unsupported method";
pub(super) const WS_NO_SYMBOLS: &str = "Symbol(s) missing";
pub(super) const WS_UNKNOWN: &str = "Subscription not found";
pub(super) const WS_TOO_MANY: &str = "Exceeded subscriptions limit";
pub(super) const WS_TWICE: &str = "Already subscribed to one or more symbols";
pub(super) const WS_DEPTH: &str = "Subscription depth not supported";
pub(super) const WS_INTERVAL: &str = "Subscription ohlc interval not supported";
/// With the symbol behind it.
pub(super) const WS_SYMBOL: &str = "Currency pair not supported";
/// With the channel behind it.
pub(super) const WS_CHANNEL: &str = "Unsupported channel";

/// What is said to a message that is no request.
pub(super) fn ws_error(error: &str) -> String {
    format!(r#"{{"error":"{error}","success":false}}"#)
}
