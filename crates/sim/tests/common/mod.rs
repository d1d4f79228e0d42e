//! What the socket tests share: captures, and the plainest possible clients.

#![allow(dead_code, reason = "each test file uses its part")]

use std::net::SocketAddr;
use std::path::Path;

use futures_util::StreamExt;
use model::Nanos;
use model::capture::{CaptureLine, Direction, Wire};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_websockets::{ClientBuilder, MaybeTlsStream, WebSocketStream};

/// A WebSocket client.
pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// One line of a capture, recorded on a connection to `target`.
pub fn line(t: u64, wire: Wire, direction: Direction, target: &str, data: &str) -> CaptureLine {
    CaptureLine {
        t: Nanos(t),
        venue: "binance".into(),
        conn: if wire == Wire::Ws { "ws-1".into() } else { "http-0".into() },
        wire,
        direction,
        url: format!("wss://venue.example{target}"),
        data: data.as_bytes().to_vec(),
        status: None,
    }
}

/// `count` frames of one stream, `t` apart, each with `padding` bytes more than it needs.
pub fn frames(count: u64, t: u64, padding: usize) -> Vec<CaptureLine> {
    let target = "/stream?streams=a@trade";
    let data = |n| {
        let pad = "x".repeat(padding);
        format!(r#"{{"stream":"a@trade","data":{{"n":{n},"pad":"{pad}"}}}}"#)
    };
    let frames = (0..count).map(|n| line(n * t, Wire::Ws, Direction::In, target, &data(n)));
    std::iter::once(line(0, Wire::Ws, Direction::Open, target, "")).chain(frames).collect()
}

/// The payloads that a venue sent over WebSocket, in order.
pub fn sent(lines: &[CaptureLine]) -> Vec<Vec<u8>> {
    let frames = lines.iter().filter(|l| l.wire == Wire::Ws && l.direction == Direction::In);
    frames.map(|line| line.data.clone()).collect()
}

/// Connects, or panics.
pub async fn connect(url: &str) -> Socket {
    ClientBuilder::new().uri(url).unwrap().connect().await.unwrap().0
}

/// The next `count` messages.
pub async fn receive(socket: &mut Socket, count: usize) -> Vec<Vec<u8>> {
    let mut messages = Vec::with_capacity(count);
    while messages.len() < count {
        let message = socket.next().await.expect("the connection is open").unwrap();
        messages.push(message.as_payload().to_vec());
    }
    messages
}

/// The code of the close that ends the connection, after whatever still comes before it.
pub async fn close_code(socket: &mut Socket) -> Option<u16> {
    while let Some(Ok(message)) = socket.next().await {
        if let Some((code, _)) = message.as_close() {
            return Some(code.into());
        }
    }
    None
}

/// One connection for several REST requests.
pub struct Rest {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Rest {
    pub async fn connect(addr: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(addr).await.unwrap(), buffer: Vec::new() }
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub async fn get(&mut self, target: &str) -> (u16, String) {
        self.write(format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()).await;
        self.read(true).await
    }

    /// Status and body of the next answer.
    pub async fn read(&mut self, with_body: bool) -> (u16, String) {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at + 4;
            }
            self.more().await;
        };
        let head = String::from_utf8(self.buffer.drain(..end).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let length: usize = if with_body { length.unwrap().parse().unwrap() } else { 0 };
        while self.buffer.len() < length {
            self.more().await;
        }
        (status, String::from_utf8(self.buffer.drain(..length).collect()).unwrap())
    }

    /// The first line of the next answer.
    pub async fn line(&mut self) -> String {
        while !self.buffer.contains(&b'\n') {
            self.more().await;
        }
        String::from_utf8_lossy(&self.buffer).lines().next().unwrap_or_default().to_owned()
    }

    async fn more(&mut self) {
        let read = self.stream.read_buf(&mut self.buffer).await.unwrap();
        assert!(read > 0, "the server closed the connection");
    }

    /// Whether the server has closed, after everything it sent was read.
    pub async fn is_closed(&mut self) -> bool {
        matches!(self.stream.read_buf(&mut self.buffer).await, Ok(0) | Err(_))
    }
}

/// A public capture, where it is there.
pub fn public(name: &str) -> Option<Vec<CaptureLine>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/captures");
    let Ok(text) = std::fs::read_to_string(folder.join(name)) else {
        println!("skipped: {} has no {name}", folder.display());
        return None;
    };
    Some(text.lines().map(public_line).collect())
}

fn public_line(text: &str) -> CaptureLine {
    let value: serde_json::Value = serde_json::from_str(text).unwrap();
    let field = |name: &str| value[name].as_str().unwrap().to_owned();
    CaptureLine {
        t: Nanos(value["t"].as_u64().unwrap()),
        venue: field("venue"),
        conn: field("conn"),
        wire: if value["kind"] == "ws" { Wire::Ws } else { Wire::Http },
        direction: match value["dir"].as_str().unwrap() {
            "open" => Direction::Open,
            "out" => Direction::Out,
            _ => Direction::In,
        },
        url: field("url"),
        data: field("data").into_bytes(),
        status: None,
    }
}
