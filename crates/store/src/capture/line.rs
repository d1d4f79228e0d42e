//! One line of a capture: JSON text to [`CaptureLine`] and back.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use model::Nanos;
use model::capture::{CaptureLine, Direction, Wire};
use serde::{Deserialize, Serialize};

/// A line to be written, borrowed; what [`CaptureLine`] has, and what only our recorder adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineRef<'a> {
    /// When, by the recorder's clock.
    pub t: Nanos,
    /// Which venue.
    pub venue: &'a str,
    /// Which connection.
    pub conn: &'a str,
    /// WebSocket or REST.
    pub wire: Wire,
    /// Which way.
    pub direction: Direction,
    /// The connection's or the request's address.
    pub url: &'a str,
    /// The payload, byte for byte.
    pub data: &'a [u8],
    /// Status code of a REST answer.
    pub status: Option<u16>,
    /// Method of a REST request.
    pub method: Option<&'a str>,
    /// How many lines were dropped right before this one; written when not 0.
    pub lost: u64,
}

impl<'a> From<&'a CaptureLine> for LineRef<'a> {
    fn from(line: &'a CaptureLine) -> Self {
        Self {
            t: line.t,
            venue: &line.venue,
            conn: &line.conn,
            wire: line.wire,
            direction: line.direction,
            url: &line.url,
            data: &line.data,
            status: line.status,
            method: None,
            lost: 0,
        }
    }
}

/// What a reader makes of one line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    Line(CaptureLine),
    /// A `kind` or `dir` that this version does not know: to be skipped and counted.
    Unknown,
}

/// The fields as they stand; unknown ones are ignored, missing ones are named by [`parse`].
#[derive(Deserialize)]
struct AsRead<'a> {
    t: Option<u64>,
    venue: Option<String>,
    conn: Option<String>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    dir: Cow<'a, str>,
    url: Option<String>,
    data: Option<String>,
    data_b64: Option<String>,
    status: Option<u16>,
}

/// Reads one line. The error says what was wrong and what was expected.
pub(crate) fn parse(text: &[u8]) -> Result<Parsed, String> {
    let read: AsRead<'_> = serde_json::from_slice(text).map_err(|error| {
        format!(
            "not a capture line: {error}; expected one JSON object with an integer `t` (ns) and \
             strings `venue`, `conn`, `kind`, `dir`, `url` and `data`"
        )
    })?;
    let (Some(wire), Some(direction)) = (wire(&read.kind), direction(&read.dir)) else {
        return Ok(Parsed::Unknown);
    };
    let data = payload(read.data, read.data_b64, direction)?;
    Ok(Parsed::Line(CaptureLine {
        t: Nanos(required(read.t, "t", "an integer, ns since the Unix epoch")?),
        venue: required(read.venue, "venue", "a venue's name such as \"okx\"")?,
        conn: required(read.conn, "conn", "the connection's name such as \"ws-1\"")?,
        wire,
        direction,
        url: required(read.url, "url", "the connection's or the request's address")?,
        data,
        status: read.status,
    }))
}

fn required<T>(value: Option<T>, name: &str, what: &str) -> Result<T, String> {
    value.ok_or_else(|| format!("field `{name}` is missing; expected {what}"))
}

/// The payload from whichever of the two fields holds it.
fn payload(
    text: Option<String>,
    base64: Option<String>,
    direction: Direction,
) -> Result<Vec<u8>, String> {
    match (text, base64) {
        (Some(text), None) => Ok(text.into_bytes()),
        (None | Some(_), Some(code)) => BASE64
            .decode(code.as_bytes())
            .map_err(|error| format!("field `data_b64` is no padded base64: {error}")),
        (None, None) if matches!(direction, Direction::Open | Direction::Close) => Ok(Vec::new()),
        (None, None) => {
            Err("no payload; expected a string `data`, or `data_b64` for bytes that are no UTF-8"
                .to_owned())
        }
    }
}

fn wire(name: &str) -> Option<Wire> {
    match name {
        "ws" => Some(Wire::Ws),
        "http" => Some(Wire::Http),
        _ => None,
    }
}

fn direction(name: &str) -> Option<Direction> {
    match name {
        "open" => Some(Direction::Open),
        "out" => Some(Direction::Out),
        "in" => Some(Direction::In),
        "close" => Some(Direction::Close),
        _ => None,
    }
}

#[derive(Serialize)]
struct AsWritten<'a> {
    t: u64,
    venue: &'a str,
    conn: &'a str,
    kind: &'static str,
    dir: &'static str,
    url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "is_zero")]
    lost: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_b64: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Appends the line and its line feed to `out`.
pub(crate) fn write(line: &LineRef<'_>, out: &mut Vec<u8>) -> Result<(), String> {
    let data = std::str::from_utf8(line.data).ok();
    let written = AsWritten {
        t: line.t.0,
        venue: line.venue,
        conn: line.conn,
        kind: match line.wire {
            Wire::Ws => "ws",
            Wire::Http => "http",
        },
        dir: match line.direction {
            Direction::Open => "open",
            Direction::Out => "out",
            Direction::In => "in",
            Direction::Close => "close",
        },
        url: line.url,
        method: line.method,
        status: line.status,
        lost: line.lost,
        data,
        data_b64: data.is_none().then(|| BASE64.encode(line.data)),
    };
    serde_json::to_writer(&mut *out, &written).map_err(|error| error.to_string())?;
    out.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_line_of_others_is_read_with_fields_nobody_knows() {
        let text = r#"{"t":5,"venue":"okx","conn":"ws-1","dir":"in","kind":"ws","url":"wss://h",
                       "data":"é\u0000","headers":{"a":[1]},"later":null}"#;
        let Parsed::Line(line) = parse(text.as_bytes()).unwrap() else { panic!("known line") };
        assert_eq!((line.t, line.venue.as_str(), line.conn.as_str()), (Nanos(5), "okx", "ws-1"));
        assert_eq!((line.wire, line.direction), (Wire::Ws, Direction::In));
        assert_eq!(line.data, "é\0".as_bytes());
        assert_eq!(line.status, None);
    }

    #[test]
    fn unknown_kinds_and_directions_are_told_apart_from_broken_lines() {
        assert_eq!(parse(br#"{"kind":"udp","dir":"in"}"#), Ok(Parsed::Unknown));
        assert!(parse(br#"{"kind":"ws","dir":"note","t":"x"}"#).is_err());
        assert_eq!(parse(br#"{"kind":"ws","dir":"note","t":1}"#), Ok(Parsed::Unknown));
    }

    #[test]
    fn a_broken_line_says_what_was_expected() {
        let line = |t: &str, rest: &str| {
            format!(r#"{{"t":{t},"venue":"v","conn":"c","kind":"ws","dir":"in","url":"u"{rest}}}"#)
        };
        assert!(refused("nonsense").contains("expected one JSON object"));
        for t in ["1.5", "\"1\"", "-1", "1e3"] {
            assert!(refused(&line(t, r#","data":"""#)).contains("u64"), "{t}");
        }
        assert!(refused(&line("null", r#","data":"""#)).contains("`t` is missing"));
        assert!(refused(&line("1", "")).contains("expected a string `data`"));
        assert!(refused(&line("1", r#","data_b64":"?""#)).contains("no padded base64"));
        assert!(
            refused(r#"{"t":1,"conn":"c","kind":"ws","dir":"in","url":"u","data":""}"#)
                .contains("`venue` is missing")
        );
    }

    #[test]
    fn open_and_close_may_come_without_a_payload() {
        for dir in ["open", "close"] {
            let text =
                format!(r#"{{"t":1,"venue":"v","conn":"c","kind":"ws","dir":"{dir}","url":"u"}}"#);
            let Parsed::Line(line) = parse(text.as_bytes()).unwrap() else { panic!("{dir}") };
            assert!(line.data.is_empty());
        }
    }

    #[test]
    fn what_is_written_has_the_fields_of_the_format_and_no_others() {
        let line = LineRef {
            t: Nanos(7),
            venue: "v",
            conn: "http-0",
            wire: Wire::Http,
            direction: Direction::In,
            url: "u",
            data: b"{\"a\":1}",
            status: Some(200),
            method: None,
            lost: 0,
        };
        let mut out = Vec::new();
        write(&line, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"t\":7,\"venue\":\"v\",\"conn\":\"http-0\",\"kind\":\"http\",\"dir\":\"in\",\
             \"url\":\"u\",\"status\":200,\"data\":\"{\\\"a\\\":1}\"}\n"
        );
        let mut out = Vec::new();
        write(&LineRef { data: &[0xff], lost: 3, ..line }, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains(r#""lost":3"#) && text.contains(r#""data_b64":"/w==""#), "{text}");
    }
}
