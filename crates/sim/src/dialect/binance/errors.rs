//! Every error of public requests: status, code and text as the venue has them. Those of trading are
//! in `trading/errors.rs`.
//!
//! <https://github.com/binance/binance-spot-api-docs/blob/master/errors.md>;
//! developers.binance.com, derivatives, "Error Code".

use model::Nanos;
use serde_json::{Value, json};

use super::wire::ms;
use crate::machine::Reply;

/// What is wrong with a message on a stream: code and text; `{}` stands for what is meant. They are of
/// `web-socket-streams.md`, "Error Messages", as far as it says.
pub(super) type StreamWrong = (u8, &'static str);

pub(super) const PROPERTY: StreamWrong = (0, "Unknown property");
pub(super) const VALUE: StreamWrong = (1, "Invalid value type: expected Boolean");
pub(super) const ID: StreamWrong = (2, "Invalid request: request ID must be an unsigned integer");
pub(super) const NO_METHOD: StreamWrong = (2, "Invalid request: missing field `method`");
pub(super) const METHOD: StreamWrong = (
    2,
    "Invalid request: unknown variant {}, expected one of `SUBSCRIBE`, `UNSUBSCRIBE`, \
     `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`",
);
pub(super) const TOO_MANY: StreamWrong = (2, "Invalid request: too many parameters");
pub(super) const STREAMS: StreamWrong =
    (2, "Invalid request: params must be a list of stream names");
pub(super) const PROPERTY_NAME: StreamWrong =
    (2, "Invalid request: property name must be a string");
pub(super) const JSON: StreamWrong = (3, "Invalid JSON: {}");

/// The answer that says so.
pub(super) fn stream_error(id: &Value, (code, text): StreamWrong, what: &str) -> Value {
    json!({"error": {"code": code, "msg": text.replace("{}", what)}, "id": id})
}

/// An error of the venue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// HTTP status.
    pub status: u16,
    /// The venue's code.
    pub code: i32,
    /// The venue's text.
    pub text: String,
    /// What is said beside it, where anything is.
    pub data: Option<Value>,
    /// When it may be asked again, where a limit was broken.
    pub retry_at: Option<Nanos>,
}

impl Failure {
    /// Code and text as the venue sends them.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut body = json!({"code": self.code, "msg": self.text});
        if let Some(data) = &self.data {
            body["data"] = data.clone();
        }
        body
    }

    /// The same as the WebSocket API says it, which tells of limits in the body: "responses that have a
    /// status 429 include a `retryAfter` field"; with 418 it is "the timestamp when the ban will be lifted"
    /// (`web-socket-api.md`, "Rate limits").
    #[must_use]
    pub fn ws_body(&self, now: Nanos) -> Value {
        let mut body = self.body();
        if let Some(at) = self.retry_at {
            body["data"] = json!({"serverTime": ms(now), "retryAfter": ms(at)});
        }
        body
    }

    /// The answer.
    #[must_use]
    pub fn reply(&self) -> Reply {
        Reply::new(self.status, self.body().to_string())
    }
}

impl From<Wrong<'_>> for Failure {
    fn from(wrong: Wrong<'_>) -> Self {
        wrong.failure()
    }
}

/// The errors, by what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong<'a> {
    /// There is nothing at that path.
    Path,
    /// The path takes another method.
    Method,
    /// A symbol that is not listed.
    Symbol,
    /// A parameter that has to be there and is not.
    Missing(&'a str),
    /// A parameter that is not what it should be.
    Invalid(&'a str),
    /// A number with something else in it.
    Illegal(&'a str),
    /// Parameters that are not to be had together.
    Combination,
    /// A candle length that is not offered.
    Interval,
    /// Futures: a number of levels that is not offered.
    DepthLimit(&'a str),
    /// Nobody is served at the moment.
    Overloaded,
    /// More weight used than a minute has; the limit.
    Weight(u32),
    /// More connections than five minutes may have.
    Connects,
    /// Banned until that time, in ms.
    Banned(u64),
}

impl Wrong<'_> {
    /// The table.
    #[must_use]
    pub fn failure(self) -> Failure {
        let (status, code, text) = match self {
            Self::Path => {
                (404, -1000, "An unknown error occurred while processing the request.".to_owned())
            }
            Self::Method => (405, -1000, "Method not allowed.".to_owned()),
            Self::Symbol => (400, -1121, "Invalid symbol.".to_owned()),
            Self::Missing(name) => {
                let text = format!(
                    "Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
                );
                (400, -1102, text)
            }
            Self::Invalid(name) => {
                (400, -1130, format!("Data sent for parameter '{name}' is not valid."))
            }
            Self::Illegal(name) => {
                let text = format!(
                    "Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'."
                );
                (400, -1100, text)
            }
            Self::Combination => {
                (400, -1128, "Combination of optional parameters invalid.".to_owned())
            }
            Self::Interval => (400, -1120, "Invalid interval.".to_owned()),
            Self::DepthLimit(limit) => (400, -4021, format!("{limit} is not valid depth limit.")),
            Self::Overloaded => {
                let text = "Server is currently overloaded with other requests. Please try again in a \
                            few minutes.";
                (503, -1008, text.to_owned())
            }
            Self::Weight(limit) => {
                let text = format!(
                    "Too much request weight used; current limit is {limit} request weight per 1 \
                     MINUTE. Please use WebSocket Streams for live updates to avoid polling the \
                     API."
                );
                (429, -1003, text)
            }
            Self::Connects => {
                let text = "Too many connection attempts from IP; current limit is 300 per '5m'.";
                (429, -1034, text.to_owned())
            }
            Self::Banned(until_ms) => {
                let text = format!(
                    "Way too much request weight used; IP banned until {until_ms}. Please use \
                     WebSocket Streams for live updates to avoid bans."
                );
                (418, -1003, text)
            }
        };
        Failure { status, code, text, data: None, retry_at: None }
    }

    /// The answer.
    #[must_use]
    pub fn reply(self) -> Reply {
        self.failure().reply()
    }
}
