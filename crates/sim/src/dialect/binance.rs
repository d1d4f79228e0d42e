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

mod arrays;
mod by_name;
mod candles;
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

use errors::{StreamWrong, stream_error};
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
            Err(error) => stream_error(&Value::Null, errors::JSON, &error.to_string()),
            Ok(asked) => command(session, &asked).unwrap_or_else(|wrong| {
                let method = asked["method"].as_str().unwrap_or_default();
                stream_error(&asked["id"], wrong, method)
            }),
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

/// Does what a client asks for on a connection.
fn command(session: &mut Session, asked: &Value) -> Result<Value, StreamWrong> {
    let id = &asked["id"];
    if !(asked.get("id").is_some()
        && (id.is_u64() || id.is_i64() || id.is_string() || id.is_null()))
    {
        return Err(errors::ID);
    }
    let result = match asked["method"].as_str().ok_or(errors::NO_METHOD)? {
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
        _ => return Err(errors::METHOD),
    };
    Ok(json!({"result": result, "id": id}))
}

fn subscribe(session: &mut Session, streams: Vec<String>) -> Result<Value, StreamWrong> {
    let new = streams.iter().filter(|stream| !session.streams.contains(*stream)).count();
    if session.streams.len() + new > STREAMS_MAX {
        return Err(errors::TOO_MANY);
    }
    session.streams.extend(streams);
    Ok(Value::Null)
}

fn stream_params(asked: &Value) -> Result<Vec<String>, StreamWrong> {
    let list = asked["params"].as_array().ok_or(errors::STREAMS)?;
    list.iter().map(|name| name.as_str().map(str::to_owned).ok_or(errors::STREAMS)).collect()
}

fn set_property(session: &mut Session, params: &Value) -> Result<Value, StreamWrong> {
    property_name(params)?;
    session.enveloped = params[1].as_bool().ok_or(errors::VALUE)?;
    Ok(Value::Null)
}

fn property_name(params: &Value) -> Result<(), StreamWrong> {
    match params[0].as_str() {
        Some("combined") => Ok(()),
        Some(_) => Err(errors::PROPERTY),
        None => Err(errors::PROPERTY_NAME),
    }
}

#[cfg(test)]
#[path = "binance/tests.rs"]
mod tests;
