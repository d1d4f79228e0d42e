//! One open WebSocket, to be polled on the shard's thread: frames over a stream, with arrival
//! stamps, deadlines for writing and closing, a bound on unanswered pings, and reasons in types.

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use model::Nanos;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::connect::WsTimeouts;
use crate::fault::CloseReason;
use crate::frames::{CONTROL_BYTES_MAX, FrameFault, FrameReader, FrameWriter, Received};
use crate::io::Io;

/// Close frames carry at most so many bytes of reason.
const REASON_BYTES_MAX: usize = CONTROL_BYTES_MAX - 2;
/// A far end that sends more pings than this without taking our pongs fills our memory.
const PONGS_WAITING_MAX: u32 = 256;

/// What arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A text or binary message, whole, with the time when the read that completed it returned.
    Message(Nanos),
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
    io: Io,
    reader: FrameReader,
    writer: FrameWriter,
    message_bytes_max: usize,
    timeouts: WsTimeouts,
    /// Something was queued since all was written.
    dirty: bool,
    /// Our close frame was queued: nothing may follow it.
    close_queued: bool,
    /// The far end's close frame came, or none is to be waited for.
    far_end_done: bool,
    pongs_waiting: u32,
    write_deadline: Option<Pin<Box<Sleep>>>,
    close_deadline: Option<Pin<Box<Sleep>>>,
}

impl WebSocket {
    /// A connection over a stream on which hands were shaken.
    pub(crate) fn new(mut io: Io, message_bytes_max: usize, timeouts: WsTimeouts) -> Self {
        let mut reader = FrameReader::new(message_bytes_max);
        let behind = io.take_behind_answer();
        // At most what one read during the handshake brought, which is less than the buffer.
        let fits = behind.len().min(reader.room().len());
        reader.room()[..fits].copy_from_slice(&behind[..fits]);
        reader.filled(fits);
        // Masks must not be guessed by whoever chooses the payloads: seeded by the system.
        let seed = RandomState::new().hash_one(fits);
        Self {
            io,
            reader,
            writer: FrameWriter::new(seed),
            message_bytes_max,
            timeouts,
            dirty: false,
            close_queued: false,
            far_end_done: false,
            pongs_waiting: 0,
            write_deadline: None,
            close_deadline: None,
        }
    }

    /// When the last read that brought bytes returned: at first, when hands were shaken.
    pub(crate) fn read_at(&self) -> Nanos {
        self.io.read_at()
    }

    /// The next thing that arrived; a message's payload is put into `payload`.
    ///
    /// # Errors
    /// The connection ended, or has to.
    pub fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        payload: &mut Vec<u8>,
    ) -> Poll<Result<Incoming, CloseReason>> {
        loop {
            match self.reader.next() {
                Ok(Some(Received::Message(bytes))) => {
                    payload.clear();
                    payload.extend_from_slice(bytes);
                    return Poll::Ready(Ok(Incoming::Message(self.io.read_at())));
                }
                Ok(Some(Received::Ping(bytes))) => {
                    if !self.close_queued {
                        self.writer.pong(bytes);
                        self.dirty = true;
                    }
                    return Poll::Ready(self.pinged());
                }
                Ok(Some(Received::Pong)) => return Poll::Ready(Ok(Incoming::Pong)),
                Ok(Some(Received::Close(code, words))) => {
                    let reason = CloseReason::PeerClosed { code, reason: words.to_owned() };
                    self.far_end_done = true;
                    self.answer_close(code);
                    return Poll::Ready(Err(reason));
                }
                Ok(None) => {}
                Err(fault) => return Poll::Ready(Err(self.failed(fault))),
            }
            if let Err(reason) = ready!(self.poll_fill(cx)) {
                return Poll::Ready(Err(reason));
            }
        }
    }

    /// Reads once.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        let mut room = ReadBuf::new(self.reader.room());
        let read = ready!(Pin::new(&mut self.io).poll_read(cx, &mut room));
        let bytes = room.filled().len();
        self.reader.filled(bytes);
        Poll::Ready(match read {
            Ok(()) if bytes > 0 => Ok(()),
            Ok(()) => Err(CloseReason::Eof),
            Err(error) => Err(io_reason(&error)),
        })
    }

    fn pinged(&mut self) -> Result<Incoming, CloseReason> {
        self.pongs_waiting += 1;
        if self.pongs_waiting > PONGS_WAITING_MAX {
            let words = "it pings and reads no pong".to_owned();
            return Err(self.end(1008, CloseReason::Protocol(words)));
        }
        Ok(Incoming::Ping)
    }

    /// Queues a text message. What is queued after a close is dropped.
    pub fn send_text(&mut self, text: &str) {
        if !self.close_queued {
            self.writer.text(text);
            self.dirty = true;
        }
    }

    /// Whether all that was queued is with the operating system.
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        !self.dirty
    }

    /// Queues a ping; of a payload over 125 bytes, the start.
    pub fn ping(&mut self, payload: &[u8]) {
        if !self.close_queued {
            self.writer.ping(payload);
            self.dirty = true;
        }
    }

    /// Queues a close frame, once. A code that must not be sent becomes 1000, a long reason is cut.
    pub fn close(&mut self, code: u16, reason: &str) {
        if self.close_queued {
            return;
        }
        let code =
            if matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) { code } else { 1000 };
        let mut end = reason.len().min(REASON_BYTES_MAX);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        self.writer.close(Some(code), &reason[..end]);
        (self.close_queued, self.dirty) = (true, true);
    }

    /// Echoes the far end's code, as RFC 6455, section 5.5.1, asks for.
    fn answer_close(&mut self, code: u16) {
        if !self.close_queued {
            self.writer.close((code != 1005).then_some(code), "");
            (self.close_queued, self.dirty) = (true, true);
        }
    }

    /// Writes what is queued. Ready when nothing waits.
    ///
    /// # Errors
    /// The network failed, or the far end took nothing for the time allowed.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        if !self.dirty {
            return Poll::Ready(Ok(()));
        }
        let bytes = self.writer.waiting().len();
        match self.poll_write_all(cx) {
            Poll::Ready(Ok(())) => {
                tracing::trace!(bytes, "written");
                self.dirty = false;
                self.pongs_waiting = 0;
                self.write_deadline = None;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(io_reason(&error))),
            Poll::Pending => {
                let after = self.timeouts.write;
                ready!(poll_deadline(&mut self.write_deadline, after, cx));
                Poll::Ready(Err(CloseReason::WriteTimeout { after }))
            }
        }
    }

    fn poll_write_all(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        while !self.writer.waiting().is_empty() {
            match ready!(Pin::new(&mut self.io).poll_write(cx, self.writer.waiting()))? {
                0 => return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into())),
                bytes => self.writer.wrote(bytes),
            }
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }

    /// Finishes: sends what is queued and a close frame where none was sent, waits for the far
    /// end's, and shuts the stream down. Ready at the latest when the time for closing has passed.
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.poll_farewell(cx).is_ready() {
            return Poll::Ready(());
        }
        poll_deadline(&mut self.close_deadline, self.timeouts.close, cx)
    }

    fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.close(1000, "");
        if ready!(self.poll_write_all(cx)).is_err() {
            return Poll::Ready(());
        }
        self.dirty = false;
        let mut unread = Vec::new();
        while !self.far_end_done {
            // Anything but the close frame is too late to be of use.
            self.far_end_done = ready!(self.poll_frame(cx, &mut unread)).is_err();
        }
        Pin::new(&mut self.io).poll_shutdown(cx).map(drop)
    }

    fn end(&mut self, code: u16, reason: CloseReason) -> CloseReason {
        self.close(code, &reason.to_string());
        reason
    }

    /// Says what is wrong with what came, and does not wait for an answer that could not be read.
    fn failed(&mut self, fault: FrameFault) -> CloseReason {
        self.far_end_done = true;
        match fault {
            FrameFault::Protocol(words) => self.end(1002, CloseReason::Protocol(words.to_owned())),
            FrameFault::InvalidUtf8 => self.end(1007, CloseReason::InvalidUtf8),
            FrameFault::Oversized => {
                let limit = self.message_bytes_max;
                self.end(1009, CloseReason::Oversized { limit })
            }
        }
    }
}

/// TLS without its own farewell is an end like any other.
fn io_reason(error: &std::io::Error) -> CloseReason {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => CloseReason::Eof,
        _ => CloseReason::Io(error.to_string()),
    }
}

fn poll_deadline(
    deadline: &mut Option<Pin<Box<Sleep>>>,
    after: Duration,
    cx: &mut Context<'_>,
) -> Poll<()> {
    deadline.get_or_insert_with(|| Box::pin(sleep(after))).as_mut().poll(cx)
}
