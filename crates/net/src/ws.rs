//! One open WebSocket, to be polled on the shard's thread.
//!
//! The library assembles fragments, checks UTF-8, and answers pings with their payload and closes
//! with their code; here is what it leaves out: arrival stamps, deadlines for writing and closing,
//! a bound on unanswered pings, and reasons in types.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink, Stream};
use model::Nanos;
use tokio::time::{Sleep, sleep};
use tokio_websockets::proto::ProtocolError;
use tokio_websockets::{CloseCode, Error, Message, WebSocketStream};

use crate::connect::WsTimeouts;
use crate::fault::CloseReason;
use crate::io::Io;

/// Close frames carry at most so many bytes of reason.
const REASON_BYTES_MAX: usize = 123;
/// Control frames carry at most so many bytes.
const CONTROL_BYTES_MAX: usize = 125;
/// A far end that sends more pings than this without taking our pongs fills our memory.
const PONGS_WAITING_MAX: u32 = 256;

/// What arrived.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A text or binary message, whole, with the time when the read that completed it returned.
    Message(Nanos, Bytes),
    /// A ping; its answer is queued already.
    Ping,
    /// A pong, wanted or not.
    Pong,
}

/// An open WebSocket connection.
///
/// After an error from [`poll_frame`](Self::poll_frame) or [`poll_flush`](Self::poll_flush), the
/// only thing left to do is [`poll_closed`](Self::poll_closed), which sends a close frame that is
/// still due, or to drop it.
pub struct WebSocket {
    stream: WebSocketStream<Io>,
    message_bytes_max: usize,
    timeouts: WsTimeouts,
    /// Something was queued since all was written.
    dirty: bool,
    pongs_waiting: u32,
    write_deadline: Option<Pin<Box<Sleep>>>,
    close_deadline: Option<Pin<Box<Sleep>>>,
}

impl WebSocket {
    pub(crate) fn new(
        stream: WebSocketStream<Io>,
        message_bytes_max: usize,
        timeouts: WsTimeouts,
    ) -> Self {
        Self {
            stream,
            message_bytes_max,
            timeouts,
            dirty: false,
            pongs_waiting: 0,
            write_deadline: None,
            close_deadline: None,
        }
    }

    /// The next thing that arrived.
    ///
    /// # Errors
    /// The connection ended, or has to.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Incoming, CloseReason>> {
        let message = match ready!(Pin::new(&mut self.stream).poll_next(cx)) {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Poll::Ready(Err(self.failed(error))),
            None => return Poll::Ready(Err(CloseReason::Eof)),
        };
        Poll::Ready(if message.is_ping() {
            self.dirty = true;
            self.pongs_waiting += 1;
            if self.pongs_waiting > PONGS_WAITING_MAX {
                Err(self.end(1008, CloseReason::Protocol("it pings and reads no pong".to_owned())))
            } else {
                Ok(Incoming::Ping)
            }
        } else if message.is_pong() {
            Ok(Incoming::Pong)
        } else if let Some((code, reason)) = message.as_close() {
            self.dirty = true;
            Err(CloseReason::PeerClosed { code: code.into(), reason: reason.to_owned() })
        } else {
            Ok(Incoming::Message(self.stream.get_ref().read_at(), message.into_payload().into()))
        })
    }

    /// Queues a text message. What is queued after a close is dropped.
    pub fn send_text(&mut self, text: String) {
        self.queue(Message::text(text));
    }

    /// Queues a ping; of a payload over 125 bytes, the start.
    pub fn ping(&mut self, payload: &[u8]) {
        let payload = &payload[..payload.len().min(CONTROL_BYTES_MAX)];
        self.queue(Message::ping(payload.to_vec()));
    }

    /// Queues a close frame. A code that must not be sent becomes 1000, a long reason is cut.
    pub fn close(&mut self, code: u16, reason: &str) {
        let code = CloseCode::try_from(code).ok().filter(|code| !code.is_reserved());
        let mut end = reason.len().min(REASON_BYTES_MAX);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        let code = code.unwrap_or(CloseCode::NORMAL_CLOSURE);
        self.queue(Message::close(Some(code), &reason[..end]));
    }

    /// Writes what is queued. Ready when nothing waits.
    ///
    /// # Errors
    /// The network failed, or the far end took nothing for the time allowed.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        if !self.dirty {
            return Poll::Ready(Ok(()));
        }
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Ready(Ok(())) => {
                self.dirty = false;
                self.pongs_waiting = 0;
                self.write_deadline = None;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.failed(error))),
            Poll::Pending => {
                let after = self.timeouts.write;
                ready!(poll_deadline(&mut self.write_deadline, after, cx));
                Poll::Ready(Err(CloseReason::WriteTimeout { after }))
            }
        }
    }

    /// Finishes: sends what is queued and a close frame where none was sent, waits for the far
    /// end's, and shuts the stream down. Ready at the latest when the time for closing has passed.
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if Pin::new(&mut self.stream).poll_close(cx).is_ready() {
            return Poll::Ready(());
        }
        poll_deadline(&mut self.close_deadline, self.timeouts.close, cx)
    }

    fn queue(&mut self, message: Message) {
        // Refused only after a close, when nobody will read it any more.
        self.dirty |= Pin::new(&mut self.stream).start_send(message).is_ok();
    }

    fn end(&mut self, code: u16, reason: CloseReason) -> CloseReason {
        self.close(code, &reason.to_string());
        reason
    }

    /// The library queues the close frame of a fault itself, except for fragments that are too
    /// large together; queuing it again does nothing.
    fn failed(&mut self, error: Error) -> CloseReason {
        self.dirty = true;
        match error {
            Error::Protocol(ProtocolError::InvalidUtf8) => CloseReason::InvalidUtf8,
            Error::Protocol(error) => CloseReason::Protocol(error.to_string()),
            Error::PayloadTooLong { .. } => {
                let limit = self.message_bytes_max;
                self.end(1009, CloseReason::Oversized { limit })
            }
            Error::Io(error) if is_eof(&error) => CloseReason::Eof,
            Error::Io(error) => CloseReason::Io(error.to_string()),
            Error::AlreadyClosed => CloseReason::Requested,
            other => CloseReason::Protocol(other.to_string()),
        }
    }
}

/// The stream ended within a frame, or TLS without its own farewell. The framing layer has no type
/// for the former, only words; a change of them would only make it an `Io`.
fn is_eof(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::UnexpectedEof
        || (error.kind() == std::io::ErrorKind::Other && error.to_string().contains("remaining"))
}

fn poll_deadline(
    deadline: &mut Option<Pin<Box<Sleep>>>,
    after: Duration,
    cx: &mut Context<'_>,
) -> Poll<()> {
    deadline.get_or_insert_with(|| Box::pin(sleep(after))).as_mut().poll(cx)
}
