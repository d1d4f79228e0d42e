//! What the venue says to what it refuses: every filter and error of this dialect in one table.
//!
//! Codes, HTTP statuses and words are those of www.okx.com/docs-v5/en, "Error Code", "REST API" and
//! "WebSocket" (read 2026-11-25). What a filter is held to is said where it is checked; each check
//! names its line here.

use crate::machine::Reply;

/// A line of the table; `{0}` and `{1}` in its words are filled in by [`of`](Self::of).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// The HTTP status of an answer that refuses a whole request.
    pub status: u16,
    /// The code: of an answer, or of one order in it.
    pub code: &'static str,
    /// Distinguishes cases of one code; empty for most.
    pub sub_code: &'static str,
    words: &'static str,
    params: Vec<String>,
}

const fn rest(status: u16, code: &'static str, words: &'static str) -> Wrong {
    Wrong { status, code, sub_code: "", words, params: Vec::new() }
}

const fn order(code: &'static str, words: &'static str) -> Wrong {
    rest(200, code, words)
}

const fn sub(code: &'static str, sub_code: &'static str, words: &'static str) -> Wrong {
    Wrong { status: 200, code, sub_code, words, params: Vec::new() }
}

const fn socket(code: &'static str, words: &'static str) -> Wrong {
    rest(200, code, words)
}

impl Wrong {
    /// With the next of its placeholders filled in.
    pub fn of(mut self, param: impl Into<String>) -> Self {
        self.params.push(param.into());
        self
    }

    /// What it says.
    pub fn words(&self) -> String {
        let places = self.params.iter().enumerate();
        places.fold(self.words.to_owned(), |words, (at, param)| {
            words.replace(&format!("{{{at}}}"), param)
        })
    }

    /// The answer that refuses a REST request.
    pub fn reply(&self) -> Reply {
        let (code, words) = (self.code, quoted(&self.words()));
        Reply::new(self.status, format!(r#"{{"code":"{code}","data":[],"msg":{words}}}"#))
    }
}

/// Somebody's words, as JSON has them.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

// ---- Requests by REST, and orders by both ways: "General Class". ----

pub(super) const PATH: Wrong = rest(404, "404", "Not Found");
pub(super) const METHOD: Wrong = rest(405, "50115", "Invalid request method.");
pub(super) const BODY: Wrong = rest(400, "50000", "Body for POST request cannot be empty.");
pub(super) const JSON: Wrong = rest(400, "50002", "JSON syntax error");
pub(super) const CONTENT_TYPE: Wrong =
    rest(400, "50006", "Invalid Content-Type. Please use \"application/JSON\".");
/// Nobody is served at the moment.
pub(super) const UNAVAILABLE: Wrong =
    rest(503, "50001", "Service temporarily unavailable. Please try again later.");
/// More requests in two seconds than the path, or the act on the instrument, may have.
pub(super) const LIMIT: Wrong = rest(429, "50011", "Too Many Requests");
/// The same, where orders are sent over WebSocket.
pub(super) const LIMIT_SOCKET: Wrong = socket(
    "50011",
    "Rate limit reached. Please refer to API documentation and throttle requests accordingly.",
);
/// More than 1,000 new or amended orders in two seconds, over all derivatives of an account.
pub(super) const LIMIT_ACCOUNT: Wrong =
    rest(200, "50061", "You've reached the maximum order rate limit for this account.");
pub(super) const MISSING: Wrong = rest(400, "50014", "Parameter {0} can not be empty.");
pub(super) const CONFLICT: Wrong = rest(400, "50016", "Parameter {0} does not match parameter {1}");
/// What was asked for may have been done or not.
pub(super) const OUTCOME: Wrong = rest(
    400,
    "50004",
    "API endpoint request timeout. (does not mean that the request was successful or failed, please \
     check the request result).",
);
/// `expTime` was over when the request came.
pub(super) const EXPIRED: Wrong = rest(
    200,
    "50036",
    "The expTime can't be earlier than the current system time. Please adjust the expTime and try \
     again.",
);

// ---- Who signs: "API Class". ----

pub(super) const TIMESTAMP_OLD: Wrong = rest(401, "50102", "Timestamp request expired.");
pub(super) const NO_KEY: Wrong =
    rest(401, "50103", "Request header \"OK-ACCESS-KEY\" cannot be empty.");
pub(super) const NO_PASSPHRASE: Wrong =
    rest(401, "50104", "Request header \"OK-ACCESS-PASSPHRASE\" cannot be empty.");
pub(super) const PASSPHRASE: Wrong =
    rest(401, "50105", "Request header \"OK-ACCESS-PASSPHRASE\" incorrect.");
pub(super) const NO_SIGN: Wrong =
    rest(401, "50106", "Request header \"OK-ACCESS-SIGN\" cannot be empty.");
pub(super) const NO_TIMESTAMP: Wrong =
    rest(401, "50107", "Request header \"OK-ACCESS-TIMESTAMP\" cannot be empty.");
pub(super) const KEY: Wrong = rest(401, "50111", "Invalid OK-ACCESS-KEY.");
pub(super) const TIMESTAMP: Wrong = rest(401, "50112", "Invalid OK-ACCESS-TIMESTAMP.");
pub(super) const SIGN: Wrong = rest(401, "50113", "Invalid signature.");

// ---- Orders: "Trade Class". ----

pub(super) const INVALID: Wrong = rest(400, "51000", "Parameter {0} error");
pub(super) const INSTRUMENT: Wrong =
    order("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.");
pub(super) const NO_ID: Wrong = order("51003", "Either client order ID or order ID is required.");
/// A spot order is larger than the largest.
pub(super) const SIZE_MAX_SPOT: Wrong =
    order("51005", "Your order amount exceeds the max order amount.");
/// The price is further from the last than the market takes.
pub(super) const PRICE_LIMIT: Wrong = order(
    "51006",
    "Order price is not within the price limit (max buy price: {0}, min sell price: {1})",
);
pub(super) const BALANCE: Wrong =
    sub("51008", "1000", "Order failed. Insufficient {0} balance in account");
pub(super) const MARGIN: Wrong =
    sub("51008", "1001", "Order failed. Insufficient {0} margin in account");
/// Another open order of the account has that `clOrdId`.
pub(super) const DUPLICATE: Wrong = order("51016", "Client order ID already exists.");
/// Less than `minSz`, or worth less than the market takes.
pub(super) const SIZE_MIN: Wrong =
    order("51020", "Your order should meet or exceed the minimum order amount.");
/// The market stands still.
pub(super) const SUSPENDED: Wrong = order("51022", "Contract suspended.");
pub(super) const SWITCHES_MAX: Wrong =
    order("51071", "You've reached the maximum limit for tag level cancel all after timers.");
/// A derivative's order is larger than the largest.
pub(super) const SIZE_MAX_SWAP: Wrong =
    order("51101", "Order failed, the sz of the current order can't be more than {0} (contracts).");
/// A market order in quote currency, and nobody to trade with.
pub(super) const NO_OFFERS: Wrong = order("51109", "No available offers.");
pub(super) const PLACED_MAX: Wrong = order("51111", "Maximum {0} orders can be placed in bulk.");
/// Not a multiple of `lotSz`.
pub(super) const LOT_SIZE: Wrong =
    order("51121", "Order quantity must be a multiple of the lot size.");
/// The same as 50004, of one order.
pub(super) const OUTCOME_ORDER: Wrong = rest(
    500,
    "51149",
    "Order timed out. Please try again. (does not mean that the request was successful or failed, \
     please check the request result)",
);
/// Not a multiple of `tickSz`.
pub(super) const TICK_SIZE: Wrong =
    order("51150", "The precision of the number of trades or the price exceeds the limit.");
pub(super) const OPEN_MAX: Wrong =
    order("51174", "Order failed, number of pending orders for {0} exceed the limit of {1}.");
pub(super) const NO_PRICE: Wrong = order("51204", "The price for the limit order cannot be empty.");
pub(super) const REDUCE_ONLY: Wrong = order("51205", "Reduce Only is not available.");
pub(super) const CANCEL: Wrong = order(
    "51400",
    "Order cancellation failed as the order has been filled, canceled or does not exist.",
);
pub(super) const CANCELED_MAX: Wrong =
    rest(400, "51406", "Canceled - order count exceeds the limit {0}.");
pub(super) const CANCEL_NO_ID: Wrong =
    order("51407", "Either order ID or client order ID is required.");
pub(super) const AMEND_NOTHING: Wrong =
    order("51500", "You must enter a price, quantity, or TP/SL");
pub(super) const AMENDED_MAX: Wrong = rest(400, "51501", "Maximum {0} orders can be modified.");
pub(super) const AMEND_BALANCE: Wrong =
    sub("51502", "1030", "Unable to edit order: insufficient balance or margin.");
pub(super) const AMEND: Wrong = order("51503", "Your order has already been filled or canceled.");
pub(super) const AMEND_TAKES: Wrong = order(
    "51511",
    "Modification failed as the order price did not meet the requirement for Post Only.",
);
pub(super) const UNKNOWN: Wrong = order("51603", "Order does not exist.");
/// Stops attached to an order.
pub(super) const ATTACHED: Wrong = order(
    "54070",
    "The current function is not supported. Please update to the latest app version if using the \
     app, or use the attachAlgoOrds array to place orders via Open API.",
);

// ---- WebSocket. ----

pub(super) const WS_TIMESTAMP: Wrong = socket("60004", "Invalid timestamp");
pub(super) const WS_KEY: Wrong = socket("60005", "Invalid apiKey");
pub(super) const WS_TIMESTAMP_OLD: Wrong = socket("60006", "Timestamp request expired");
pub(super) const WS_SIGN: Wrong = socket("60007", "Invalid sign");
pub(super) const WS_NO_LOGIN: Wrong = socket("60011", "Please log in");
pub(super) const WS_REQUEST: Wrong = socket("60012", "Invalid request: {0}");
pub(super) const WS_ARGS: Wrong = socket("60013", "Invalid args");
pub(super) const WS_LIMIT: Wrong = socket("60014", "Requests too frequent");
pub(super) const WS_CHANNEL: Wrong = socket(
    "60018",
    "Wrong URL or {0} doesn't exist. Please use the correct URL, channel and parameters referring \
     to API document.",
);
pub(super) const WS_OP: Wrong = socket("60019", "Invalid op: {0}");
pub(super) const WS_PASSPHRASE: Wrong = socket("60024", "Wrong passphrase");
pub(super) const WS_MISSING: Wrong = socket("60027", "Parameter {0} can not be empty.");
pub(super) const WS_URL: Wrong = socket(
    "60028",
    "The current operation is not supported by this URL. Please use the correct WebSocket URL for \
     the operation.",
);
pub(super) const WS_LOGGED_IN: Wrong =
    socket("60031", "The WebSocket endpoint does not allow multiple or repeated logins.");
pub(super) const WS_INVALID: Wrong = socket("60033", "Parameter {0} error.");
/// `fills` is for the largest traders.
pub(super) const WS_TIER: Wrong =
    socket("64003", "Your trading fee tier doesn't meet the requirement to access this channel");
/// Told on a connection that will be ended.
pub(super) const WS_UPGRADE: Wrong =
    socket("64008", "The connection will soon be closed for a service upgrade. Please reconnect.");
