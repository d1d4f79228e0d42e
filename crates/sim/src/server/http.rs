//! Just enough HTTP/1.1 for clients of a simulator: bounded heads, bodies with a length.

use std::io;
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use model::Nanos;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::digits::http_date;
use crate::machine::Reply;

/// A request's head may be this long.
pub(super) const HEAD_BYTES_MAX: usize = 16 * 1_024;
const HEADERS_MAX: usize = 100;

/// The head of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) method: String,
    pub(super) target: String,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    /// Whether another request may follow on this connection.
    pub(super) keep_alive: bool,
    /// Whether the client wants to go on by WebSocket.
    pub(super) upgrade: bool,
    pub(super) body_bytes: usize,
}

/// Why a request is refused: status and message.
pub(super) type Refusal = (u16, String);

/// Where a head ends, its empty line included, where it has all arrived.
pub(super) fn head_end(buffer: &[u8]) -> Option<usize> {
    buffer.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// Reads a head, given up to and with its empty line.
pub(super) fn parse(head: &[u8]) -> Result<Head, Refusal> {
    let text = std::str::from_utf8(head)
        .map_err(|_| (400, "the request's head is no UTF-8".to_owned()))?;
    let mut lines = text.trim_end_matches("\r\n").split("\r\n");
    let first = lines.next().unwrap_or_default();
    let mut words = first.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err((400, "expected a request line such as 'GET /path HTTP/1.1'".to_owned()));
    };
    if version != "HTTP/1.1" && version != "HTTP/1.0" {
        return Err((505, format!("version '{version}' is not served; expected HTTP/1.1")));
    }
    let headers = lines.map(header).collect::<Result<Vec<_>, _>>()?;
    if headers.len() > HEADERS_MAX {
        return Err((431, format!("more than {HEADERS_MAX} headers")));
    }
    let all = |name: &'static str| {
        headers.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    };
    let has = |name, token: &str| {
        all(name).flat_map(|v| v.split(',')).any(|v| v.trim().eq_ignore_ascii_case(token))
    };
    if all("transfer-encoding").next().is_some() {
        return Err((501, "transfer-encoding is not served; send a content-length".to_owned()));
    }
    let keep_alive = if version == "HTTP/1.1" {
        !has("connection", "close")
    } else {
        has("connection", "keep-alive")
    };
    let upgrade = has("connection", "upgrade") && has("upgrade", "websocket");
    let body_bytes = body_bytes(all("content-length"))?;
    let (method, target) = (method.to_owned(), target.to_owned());
    Ok(Head { method, target, headers, keep_alive, upgrade, body_bytes })
}

fn header(line: &str) -> Result<(String, String), Refusal> {
    match line.split_once(':') {
        Some((name, value)) if !name.is_empty() && !name.contains([' ', '\t']) => {
            Ok((name.to_ascii_lowercase(), value.trim().to_owned()))
        }
        _ => Err((400, format!("header line '{line}' is not understood; expected 'name: value'"))),
    }
}

fn body_bytes<'a>(lengths: impl Iterator<Item = &'a str>) -> Result<usize, Refusal> {
    let mut bytes = None;
    for length in lengths {
        let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
        match length.parse() {
            Ok(number) if digits && bytes.is_none_or(|known| known == number) => {
                bytes = Some(number);
            }
            _ => return Err((400, format!("content-length '{length}' is not understood"))),
        }
    }
    Ok(bytes.unwrap_or(0))
}

/// Reads until the buffer holds at least `bytes`.
pub(super) async fn fill(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut BytesMut,
    bytes: usize,
) -> io::Result<()> {
    while buffer.len() < bytes {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// Writes an answer; one to `HEAD` goes without its body.
pub(super) async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    reply: &Reply,
    keep_alive: bool,
    with_body: bool,
) -> io::Result<()> {
    let (status, reason, length) = (reply.status, reason(reply.status), reply.body.len());
    let connection = if keep_alive { "keep-alive" } else { "close" };
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let date = http_date(Nanos(0) + since);
    let mut head = format!(
        "HTTP/1.1 {status} {reason}\r\nDate: {date}\r\n\
         Content-Type: application/json;charset=UTF-8\r\n\
         Content-Length: {length}\r\nConnection: {connection}\r\n"
    );
    for (name, value) in &reply.headers {
        head.push_str(name);
        head.push_str(": ");
        head.push_str(value);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await?;
    if with_body {
        stream.write_all(&reply.body).await?;
    }
    stream.flush().await
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        413 => "Content Too Large",
        418 => "I'm a teapot",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "-",
    }
}

/// A refusal of the server itself, before any machine was asked.
pub(super) fn refusal((status, message): &Refusal) -> Reply {
    let body = serde_json::json!({"msg": message}).to_string();
    Reply::new(*status, Bytes::from(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_get_and_an_upgrade_are_told_apart() {
        let get =
            parse(b"GET /a?b=c HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n").unwrap();
        assert_eq!((get.method.as_str(), get.target.as_str()), ("GET", "/a?b=c"));
        assert!(get.keep_alive && !get.upgrade && get.body_bytes == 0);
        assert_eq!(get.headers[0], ("host".to_owned(), "h".to_owned()));
        let upgrade = parse(
            b"GET /ws HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\r\n",
        );
        assert!(upgrade.unwrap().upgrade);
        assert!(!parse(b"GET / HTTP/1.0\r\n\r\n").unwrap().keep_alive);
        assert!(!parse(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap().keep_alive);
    }

    #[test]
    fn what_is_not_served_says_what_is() {
        for (head, status) in [
            ("GET /\r\n\r\n", 400),
            ("GET / HTTP/2\r\n\r\n", 505),
            ("GET / HTTP/1.1\r\nno header\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nbad name: x\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
            ("POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
        ] {
            assert_eq!(parse(head.as_bytes()).unwrap_err().0, status, "{head}");
        }
        assert_eq!(parse(b"GET /\xff HTTP/1.1\r\n\r\n").unwrap_err().0, 400);
    }

    #[tokio::test]
    async fn an_answer_has_its_date_and_the_venues_headers() {
        let mut reply = Reply::new(200, "{}");
        reply.headers.push(("x-mbx-used-weight-1m".to_owned(), "1".to_owned()));
        let mut written = Vec::new();
        write(&mut written, &reply, true, true).await.unwrap();
        let text = String::from_utf8(written).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, "{}");
        assert!(head.contains("\r\nx-mbx-used-weight-1m: 1"), "{head}");
        let date = head.split("\r\n").find_map(|line| line.strip_prefix("Date: ")).unwrap();
        assert_eq!((date.len(), &date[25..]), ("Sun, 21 Mar 2021 14:23:14 GMT".len(), " GMT"));
    }

    #[test]
    fn a_head_ends_at_its_empty_line() {
        assert_eq!(head_end(b"GET / HTTP/1.1\r\n\r"), None);
        assert_eq!(head_end(b"GET / HTTP/1.1\r\n\r\nbody"), Some(18));
    }
}
