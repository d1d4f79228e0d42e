//! The line of a raw capture: what went over a venue's wires, as it went.
//!
//! `store` reads and writes the lines, `sim` plays them, `gateway` replays them.

use crate::ids::ConnId;
use crate::time::Nanos;

/// What sort of traffic a line holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// WebSocket.
    Ws,
    /// REST.
    Http,
}

/// Which way a line went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The connection was established.
    Open,
    /// Sent by the client.
    Out,
    /// Sent by the venue.
    In,
    /// The connection ended; written by our recorder, absent from captures of others.
    Close,
}

/// One line of a raw capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureLine {
    /// When, by the recorder's clock.
    pub t: Nanos,
    /// Which venue: one of the registry's names.
    pub venue: String,
    /// Which connection.
    pub conn: String,
    /// WebSocket or REST.
    pub wire: Wire,
    /// Which way.
    pub direction: Direction,
    /// The connection's or the request's address.
    pub url: String,
    /// The payload, byte for byte.
    pub data: Vec<u8>,
    /// Status code of a REST answer, where it was recorded.
    pub status: Option<u16>,
}

/// What a wire shows to whoever records it. Called on the shard: it must not wait.
pub trait Tap: Send {
    /// A connection was established.
    fn opened(&mut self, now: Nanos, conn: ConnId, url: &str);
    /// A connection ended.
    fn closed(&mut self, now: Nanos, conn: ConnId, url: &str, why: &str);
    /// A text or binary message went over a connection.
    fn frame(&mut self, now: Nanos, conn: ConnId, direction: Direction, url: &str, payload: &[u8]);
    /// A request was sent.
    fn requested(&mut self, now: Nanos, method: &'static str, url: &str);
    /// A request was answered.
    fn answered(&mut self, now: Nanos, url: &str, status: u16, body: &[u8]);
}

/// Whether the answer recorded under one address answers a request to another: same path, and no
/// parameter that both have differs, apart from how many rows are asked for.
///
/// Hosts are not compared, since a capture may be played on any address.
#[must_use]
pub fn answers(recorded: &str, asked: &str) -> bool {
    let ((path_a, query_a), (path_b, query_b)) = (split_url(recorded), split_url(asked));
    let differs = |(name, value): (&str, &str)| {
        name != "limit" && params(query_b).any(|(other, theirs)| other == name && theirs != value)
    };
    path_a == path_b && !params(query_a).any(differs)
}

/// Path and query of an address: `/api/v3/depth` and `symbol=BTCUSDT`.
#[must_use]
pub fn split_url(url: &str) -> (&str, &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').map_or("/", |at| &rest[at..]);
    path.split_once('?').unwrap_or((path, ""))
}

/// The `name=value` pairs of a query.
pub fn params(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter_map(|pair| pair.split_once('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_found_by_path_and_common_parameters() {
        let recorded = "https://api.example.com/api/v3/depth?symbol=BTCUSDT&limit=1000";
        assert!(answers(recorded, "http://127.0.0.1:9/api/v3/depth?symbol=BTCUSDT&limit=5000"));
        assert!(answers(recorded, "http://127.0.0.1:9/api/v3/depth?limit=5000&symbol=BTCUSDT"));
        assert!(!answers(recorded, "http://127.0.0.1:9/api/v3/depth?symbol=ETHUSDT&limit=1000"));
        assert!(!answers(recorded, "http://127.0.0.1:9/fapi/v1/depth?symbol=BTCUSDT"));
        assert!(answers("https://h/time", "http://other/time"));
    }

    #[test]
    fn addresses_split_into_path_and_query() {
        assert_eq!(split_url("wss://h:9443/stream?streams=a/b"), ("/stream", "streams=a/b"));
        assert_eq!(split_url("wss://h"), ("/", ""));
        assert_eq!(params("a=1&b=2&c").collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
    }
}
