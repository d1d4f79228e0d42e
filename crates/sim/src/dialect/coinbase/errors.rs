//! Every error in one table: of REST status and message, of the feed message and reason.
//!
//! Statuses are documented, and that a body has a `message`; the words of 429 are as clients have seen
//! them (askmike/gekko #2859), the others ours.

use bytes::Bytes;
use serde_json::json;

use crate::machine::Reply;

/// What is wrong with a request: status and message.
pub(super) type Wrong = (u16, &'static str);

pub(super) const NOT_FOUND: Wrong = (404, "NotFound");
pub(super) const UNAVAILABLE: Wrong = (500, "Internal server error");
pub(super) const TOO_OFTEN: Wrong = (429, "Public rate limit exceeded");
pub(super) const LEVEL: Wrong = (400, "Invalid level: 1 or 2 expected");
pub(super) const LIMIT: Wrong = (400, "Invalid limit: 1 to 1000 expected");
pub(super) const BEFORE: Wrong = (400, "Invalid before: a trade_id expected");
pub(super) const AFTER: Wrong = (400, "Invalid after: a trade_id expected");
pub(super) const GRANULARITY: Wrong = (400, "Unsupported granularity");
pub(super) const START: Wrong = (400, "Invalid start");
pub(super) const END: Wrong = (400, "Invalid end");
pub(super) const RANGE: Wrong = (
    400,
    "granularity too small for the requested time range. Count of aggregations requested exceeds 300",
);

/// The answer.
pub(super) fn refusal((status, message): Wrong) -> Reply {
    Reply::new(status, json!({"message": message}).to_string())
}

/// What is wrong with a message on the feed: its own message, and the reason; `{}` stands for what is
/// meant.
pub(super) type FeedWrong = (&'static str, &'static str);

const FAILED: &str = "Failed to subscribe";
const UNKNOWN: &str = "Authentication Failed";

pub(super) const JSON: FeedWrong = ("Malformed JSON", "not a request");
pub(super) const TYPE: FeedWrong = (FAILED, "Type has to be either subscribe or unsubscribe");
pub(super) const NO_CHANNELS: FeedWrong = (FAILED, "no channels");
pub(super) const CHANNEL: FeedWrong = (FAILED, "{} is not a valid channel");
pub(super) const NO_PRODUCTS: FeedWrong = (FAILED, "{}: no product_ids");
pub(super) const PRODUCT: FeedWrong = (FAILED, "{} is not a valid product");
pub(super) const UNSIGNED: FeedWrong =
    (FAILED, "level2, level3, and full channels now require authentication.");
pub(super) const KEY: FeedWrong = (UNKNOWN, "Invalid API Key");
pub(super) const PASSPHRASE: FeedWrong = (UNKNOWN, "Invalid Passphrase");
pub(super) const TIMESTAMP: FeedWrong = (UNKNOWN, "invalid timestamp");
pub(super) const EXPIRED: FeedWrong = (UNKNOWN, "request timestamp expired");
pub(super) const SIGNATURE: FeedWrong = (UNKNOWN, "invalid signature");

/// The message that says so.
pub(super) fn feed_error((message, reason): FeedWrong, what: &str) -> Bytes {
    let reason = reason.replace("{}", what);
    json!({"type": "error", "message": message, "reason": reason}).to_string().into()
}

/// How a connection ends on which nothing was subscribed in time: close code and reason.
pub(super) const SILENT: (u16, &str) = (1_008, "no subscribe within 5 seconds");
