//! The stream under a WebSocket: TCP or TLS over TCP, which remembers when bytes last arrived and
//! reads the answer to the upgrade ahead of the library that shakes hands.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use model::Nanos;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::clock::Clock;
use crate::upgrade::Answer;

/// A TCP stream that stamps each successful read.
pub(crate) struct Stamped {
    tcp: TcpStream,
    clock: Arc<dyn Clock>,
    read_at: Nanos,
}

impl Stamped {
    pub(crate) fn new(tcp: TcpStream, clock: Arc<dyn Clock>) -> Self {
        let read_at = clock.now();
        Self { tcp, clock, read_at }
    }
}

impl AsyncRead for Stamped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = ready!(Pin::new(&mut self.tcp).poll_read(cx, buf));
        if buf.filled().len() > before {
            self.read_at = self.clock.now();
        }
        Poll::Ready(result)
    }
}

impl AsyncWrite for Stamped {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// With or without TLS. The TLS state is a kilobyte, hence the box.
pub(crate) enum Transport {
    Plain(Stamped),
    Tls(Box<TlsStream<Stamped>>),
}

/// What the handshake, and then the frames, are read from and written to.
pub(crate) struct Io {
    transport: Transport,
    /// While hands are shaken.
    answer: Option<Answer>,
}

impl Io {
    pub(crate) fn new(transport: Transport, answer: Answer) -> Self {
        Self { transport, answer: Some(answer) }
    }

    /// What came behind the upgrade's answer.
    pub(crate) fn take_behind_answer(&mut self) -> Vec<u8> {
        self.answer.take().map_or_else(Vec::new, Answer::behind)
    }

    /// When the last read that brought bytes returned.
    pub(crate) fn read_at(&self) -> Nanos {
        match &self.transport {
            Transport::Plain(stream) => stream.read_at,
            Transport::Tls(stream) => stream.get_ref().0.read_at,
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(answer) = &mut this.answer {
            while !answer.is_complete() {
                let mut room = [0; 2_048];
                let mut room = ReadBuf::new(&mut room);
                ready!(poll_read(&mut this.transport, cx, &mut room))?;
                answer.take(room.filled())?;
            }
            // Once all of it was handed on, the library has no more to read.
            answer.hand_on(buf);
            return Poll::Ready(Ok(()));
        }
        poll_read(&mut this.transport, cx, buf)
    }
}

fn poll_read(
    transport: &mut Transport,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    match transport {
        Transport::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
        Transport::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Transport::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Transport::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
