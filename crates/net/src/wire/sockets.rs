//! The sockets of a provider by what they are doing: connecting, open, closing; and the addresses
//! of its open requests. Bounded by the session, which decides what is opened.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use model::{ConnId, RequestId};

use crate::fault::{CloseReason, ConnectError};
use crate::ws::WebSocket;

/// Close handshakes going on at once; the oldest is cut short by one more.
const CLOSING_LEN_MAX: usize = 32;

type Opening = Pin<Box<dyn Future<Output = Result<WebSocket, ConnectError>> + Send>>;

/// A connection on its way.
pub(super) struct Connecting {
    conn: ConnId,
    url: String,
    opening: Opening,
}

impl Connecting {
    pub(super) fn new(conn: ConnId, url: String, opening: Opening) -> Self {
        Self { conn, url, opening }
    }
}

/// An open connection.
pub(super) struct Socket {
    conn: ConnId,
    pub(super) url: String,
    pub(super) stream: WebSocket,
    /// Whether there may be something to read in this turn.
    pub(super) readable: bool,
}

impl Socket {
    pub(super) fn new(conn: ConnId, url: String, stream: WebSocket) -> Self {
        Self { conn, url, stream, readable: true }
    }
}

#[derive(Default)]
pub(super) struct Sockets {
    connecting: Vec<Connecting>,
    open: Vec<Socket>,
    closing: VecDeque<WebSocket>,
    requests: Vec<(RequestId, String)>,
    /// Where the round robin goes on.
    cursor: usize,
}

impl Sockets {
    pub(super) fn connect(&mut self, connecting: Connecting) {
        self.connecting.push(connecting);
    }

    /// The next connect that is decided, one way or the other.
    pub(super) fn poll_connecting(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Option<(ConnId, String, Result<WebSocket, ConnectError>)> {
        for at in 0..self.connecting.len() {
            if let Poll::Ready(result) = self.connecting[at].opening.as_mut().poll(cx) {
                let Connecting { conn, url, .. } = self.connecting.swap_remove(at);
                return Some((conn, url, result));
            }
        }
        None
    }

    /// Stops connecting.
    pub(super) fn give_up(&mut self, conn: ConnId) {
        self.connecting.retain(|connecting| connecting.conn != conn);
    }

    pub(super) fn add(&mut self, socket: Socket) {
        self.open.push(socket);
    }

    pub(super) fn get(&mut self, conn: ConnId) -> Option<&mut Socket> {
        self.open.iter_mut().find(|socket| socket.conn == conn)
    }

    pub(super) fn url(&self, conn: ConnId) -> &str {
        self.open.iter().find(|socket| socket.conn == conn).map_or("", |socket| &socket.url)
    }

    pub(super) fn remove(&mut self, conn: ConnId) -> Option<Socket> {
        let at = self.open.iter().position(|socket| socket.conn == conn)?;
        Some(self.open.remove(at))
    }

    /// Every connection may have something to read again.
    pub(super) fn begin_round(&mut self) {
        for socket in &mut self.open {
            socket.readable = true;
        }
    }

    /// The next connection that may have something to read, in turn.
    pub(super) fn next_readable(&mut self) -> Option<ConnId> {
        let len = self.open.len();
        let at = (0..len).map(|step| (self.cursor + step) % len).find(|&at| self.open[at].readable);
        let at = at?;
        self.cursor = at + 1;
        Some(self.open[at].conn)
    }

    /// Writes what is queued everywhere; gives the first connection that failed.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Option<(ConnId, CloseReason)> {
        self.open.iter_mut().find_map(|socket| match socket.stream.poll_flush(cx) {
            Poll::Ready(Err(reason)) => Some((socket.conn, reason)),
            _ => None,
        })
    }

    /// A connection whose last messages are not with the operating system yet.
    pub(super) fn unflushed(&self) -> Option<ConnId> {
        let waiting = self.open.iter().find(|socket| !socket.stream.is_flushed());
        waiting.map(|socket| socket.conn)
    }

    /// Lets a connection end properly, aside; `true` when another was cut short for it.
    pub(super) fn wind_up(&mut self, stream: WebSocket) -> bool {
        let full = self.closing.len() >= CLOSING_LEN_MAX;
        if full {
            self.closing.pop_front();
        }
        self.closing.push_back(stream);
        full
    }

    /// Whether a connection that ends has still something to write: its farewell, and what waited
    /// before that.
    pub(super) fn closes_unflushed(&self) -> bool {
        self.closing.iter().any(|stream| !stream.is_flushed())
    }

    /// Cuts short what ends and has still something to write.
    pub(super) fn cut_unflushed(&mut self) {
        self.closing.retain(WebSocket::is_flushed);
    }

    pub(super) fn poll_closing(&mut self, cx: &mut Context<'_>) {
        self.closing.retain_mut(|stream| stream.poll_closed(cx).is_pending());
    }

    pub(super) fn closing_len(&self) -> usize {
        self.closing.len()
    }

    pub(super) fn requested(&mut self, id: RequestId, url: String) {
        self.requests.push((id, url));
    }

    /// The address of a request that is not open any more.
    pub(super) fn answered(&mut self, id: RequestId) -> Option<String> {
        let at = self.requests.iter().position(|(open, _)| *open == id)?;
        Some(self.requests.swap_remove(at).1)
    }
}
