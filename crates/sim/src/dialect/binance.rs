//! Binance's market streams: spot, USDⓈ-M and COIN-M.
//!
//! A stream is called `btcusdt@depth@100ms`. Raw streams are at `/ws/<stream>`, combined ones at
//! `/stream?streams=<a>/<b>`, their messages wrapped in `{"stream":"<name>","data":<message>}`;
//! both kinds of connection take `SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`
//! and `GET_PROPERTY`.
//! <https://github.com/binance/binance-spot-api-docs/blob/master/web-socket-streams.md>
//!
//! USDⓈ-M splits its addresses since 2026-03-06: `/public` for books and quotes, `/market` for
//! trades, prices, candles and tickers; on the wrong one a stream is silent. Addresses without such
//! a prefix serve everything here, as they did when older captures were made.
//! <https://developers.binance.com> "Important WebSocket Change Notice"

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use model::capture::{params, split_url};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{PlayDialect, Recorded, Session};

mod errors;
mod feed;
mod limits;
mod line;
mod list;
mod pulse;
mod query;
mod rest;
mod simulated;
mod streams;
mod trading;
mod wire;

pub use line::LINES;

/// The venues that speak this dialect.
pub const VENUES: &[&str] = &["binance", "binance-usdm", "binance-coinm"];

/// "A single connection can listen to a maximum of 1024 streams."
pub const STREAMS_MAX: usize = 1_024;

const ENVELOPE_STREAM: &[u8] = br#"{"stream":"#;
const ENVELOPE_DATA: &[u8] = br#","data":"#;

/// What streams on USDⓈ-M's `/public` begin with, after the symbol.
const PUBLIC: &[&str] = &["depth", "rpiDepth", "bookTicker"];

/// What streams on USDⓈ-M's `/market` begin with, after the symbol.
const MARKET: &[&str] =
    &["aggTrade", "markPrice", "kline", "continuousKline", "ticker", "miniTicker", "forceOrder"];

/// The dialect of one product line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binance {
    /// Whether addresses are split into `/public` and `/market`.
    split: bool,
}

impl Binance {
    /// The dialect of a venue, where it is one of [`VENUES`].
    #[must_use]
    pub fn for_venue(venue: &str) -> Option<Self> {
        VENUES.contains(&venue).then_some(Self { split: venue == "binance-usdm" })
    }

    /// The path below `/public` or `/market`, where this product line has them.
    fn below_lane<'a>(&self, path: &'a str) -> &'a str {
        let lane = |prefix| path.strip_prefix(prefix).filter(|rest: &&str| rest.starts_with('/'));
        match lane("/public").or_else(|| lane("/market")) {
            Some(rest) if self.split => rest,
            _ => path,
        }
    }

    /// Whether frames arrive wrapped and the streams that an address asks for.
    fn asked(&self, target: &str) -> Option<(bool, Vec<String>)> {
        let (path, query) = split_url(target);
        let path = self.below_lane(path);
        // One client appends a number to tell its connections apart, and the venue takes it.
        if path == "/stream" || path.starts_with("/stream/") {
            let names = params(query).filter(|(name, _)| *name == "streams");
            return Some((true, names.flat_map(|(_, value)| names_in(value)).collect()));
        }
        let raw = path.strip_prefix("/ws")?;
        (raw.is_empty() || raw.starts_with('/')).then(|| (false, names_in(raw).collect()))
    }
}

/// The stream names of `a/b/c`, percent-decoded.
fn names_in(list: &str) -> impl Iterator<Item = String> {
    percent_decoded(list)
        .split('/')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect::<Vec<_>>()
        .into_iter()
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What tells a recorded frame's nature.
#[derive(Deserialize)]
struct Outline<'a> {
    #[serde(borrow, default)]
    stream: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    id: Option<IgnoredAny>,
    error: Option<IgnoredAny>,
    e: Option<IgnoredAny>,
}

impl PlayDialect for Binance {
    fn recorded(&self, url: &str, payload: &[u8]) -> Recorded {
        let Ok(outline) = serde_json::from_slice::<Outline<'_>>(payload) else {
            return Recorded::Unnamed;
        };
        if let (Some(stream), Some(data)) = (&outline.stream, outline.data) {
            // `data` borrows from `payload`, so the difference is its place in there.
            let start = (data.get().as_ptr() as usize).saturating_sub(payload.as_ptr() as usize);
            let body = start..start + data.get().len();
            return Recorded::Named { stream: stream.clone().into_owned(), body };
        }
        if outline.error.is_some() || (outline.id.is_some() && outline.e.is_none()) {
            return Recorded::Reply;
        }
        match self.asked(url) {
            Some((false, names)) if names.len() == 1 => {
                let stream = names.into_iter().next().unwrap_or_default();
                Recorded::Named { stream, body: 0..payload.len() }
            }
            _ => Recorded::Unnamed,
        }
    }

    fn connect(&self, target: &str) -> Result<Session, (u16, String)> {
        let Some((enveloped, streams)) = self.asked(target) else {
            let lanes = if self.split { ", each also below /public and /market" } else { "" };
            let (path, _) = split_url(target);
            let message = format!(
                "no streams at {path}; expected /stream?streams=<a>/<b> or /ws/<stream>{lanes}"
            );
            return Err((404, message));
        };
        if streams.len() > STREAMS_MAX {
            let count = streams.len();
            return Err((400, format!("{count} streams asked for; at most {STREAMS_MAX} are had")));
        }
        Ok(Session { target: target.to_owned(), streams: streams.into_iter().collect(), enveloped })
    }

    fn message(&self, session: &mut Session, message: &[u8]) -> Vec<Bytes> {
        let reply = match serde_json::from_slice::<Value>(message) {
            Err(error) => failure(&Value::Null, 3, &format!("Invalid JSON: {error}")),
            Ok(asked) => command(session, &asked)
                .unwrap_or_else(|(code, text)| failure(&asked["id"], code, &text)),
        };
        vec![Bytes::from(reply.to_string())]
    }

    fn serves(&self, session: &Session, stream: &str) -> bool {
        if !session.streams.contains(stream) {
            return false;
        }
        let kind = stream.split_once(['@', '!']).map_or(stream, |(_, kind)| kind);
        let one_of = |list: &[&str]| list.iter().any(|prefix| kind.starts_with(prefix));
        let below = |lane: &str| self.split && session.target.starts_with(lane);
        !(below("/public/") && one_of(MARKET) || below("/market/") && one_of(PUBLIC))
    }

    fn payload(
        &self,
        session: &Session,
        stream: &str,
        whole: &Bytes,
        body: &Range<usize>,
    ) -> Bytes {
        let bare = body.len() == whole.len();
        match (session.enveloped, bare) {
            (true, false) | (false, true) => whole.clone(),
            (false, false) => whole.slice(body.clone()),
            (true, true) => {
                let name = Value::from(stream).to_string();
                let parts = [ENVELOPE_STREAM, name.as_bytes(), ENVELOPE_DATA, whole, b"}"];
                Bytes::from(parts.concat())
            }
        }
    }

    fn refusal(&self, _status: u16, message: &str) -> Bytes {
        // -1000 is UNKNOWN: nothing of the venue's own catalogue means "not in this capture".
        Bytes::from(json!({"code": -1000, "msg": message}).to_string())
    }
}

/// Does what a client asks for on a connection; code and message of the error where it can't.
fn command(session: &mut Session, asked: &Value) -> Result<Value, (u8, String)> {
    let id = &asked["id"];
    if !(asked.get("id").is_some()
        && (id.is_u64() || id.is_i64() || id.is_string() || id.is_null()))
    {
        return Err((2, "Invalid request: request ID must be an unsigned integer".to_owned()));
    }
    let Some(method) = asked["method"].as_str() else {
        return Err((2, "Invalid request: missing field `method`".to_owned()));
    };
    let result = match method {
        "SUBSCRIBE" => subscribe(session, stream_params(asked)?)?,
        "UNSUBSCRIBE" => {
            for stream in stream_params(asked)? {
                session.streams.remove(&stream);
            }
            Value::Null
        }
        "LIST_SUBSCRIPTIONS" => json!(session.streams),
        "SET_PROPERTY" => set_property(session, &asked["params"])?,
        "GET_PROPERTY" => {
            property_name(&asked["params"])?;
            json!(session.enveloped)
        }
        other => {
            let known = "`SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, \
                         `GET_PROPERTY`";
            let message =
                format!("Invalid request: unknown variant {other}, expected one of {known}");
            return Err((2, message));
        }
    };
    Ok(json!({"result": result, "id": id}))
}

fn subscribe(session: &mut Session, streams: Vec<String>) -> Result<Value, (u8, String)> {
    let new = streams.iter().filter(|stream| !session.streams.contains(*stream)).count();
    if session.streams.len() + new > STREAMS_MAX {
        return Err((2, "Invalid request: too many parameters".to_owned()));
    }
    session.streams.extend(streams);
    Ok(Value::Null)
}

fn stream_params(asked: &Value) -> Result<Vec<String>, (u8, String)> {
    let invalid = || (2, "Invalid request: params must be a list of stream names".to_owned());
    let list = asked["params"].as_array().ok_or_else(invalid)?;
    list.iter().map(|name| name.as_str().map(str::to_owned).ok_or_else(invalid)).collect()
}

fn set_property(session: &mut Session, params: &Value) -> Result<Value, (u8, String)> {
    property_name(params)?;
    let Some(combined) = params[1].as_bool() else {
        return Err((1, "Invalid value type: expected Boolean".to_owned()));
    };
    session.enveloped = combined;
    Ok(Value::Null)
}

fn property_name(params: &Value) -> Result<(), (u8, String)> {
    match params[0].as_str() {
        Some("combined") => Ok(()),
        Some(_) => Err((0, "Unknown property".to_owned())),
        None => Err((2, "Invalid request: property name must be a string".to_owned())),
    }
}

fn failure(id: &Value, code: u8, message: &str) -> Value {
    json!({"error": {"code": code, "msg": message}, "id": id})
}

#[cfg(test)]
#[path = "binance/tests.rs"]
mod tests;
