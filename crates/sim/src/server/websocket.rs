//! One WebSocket connection: what the client sends goes to the machine, what waits goes out.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_websockets::{CloseCode, Limits, Message, ServerBuilder, WebSocketStream};

use super::driver::{CloseWith, Command, Link, Outgoing};
use super::http::Head;
use super::{Shared, rest, until_stopped};
use crate::machine::{ClientId, ControlFrame};

/// Asks the machine, shakes hands, and serves the connection until it ends.
pub(super) async fn serve(
    mut stream: TcpStream,
    peer: SocketAddr,
    buffer: BytesMut,
    (head, _bytes): (Head, usize),
    shared: Shared,
) {
    let (queue, queued) = mpsc::channel(shared.options.queue_messages_max);
    let (cut, cutting) = watch::channel(None);
    let (verdict, decided) = oneshot::channel();
    let link = Link { queue, cut };
    let asked = Command::Connect { target: head.target, link, verdict };
    if shared.commands.send(asked).await.is_err() {
        return;
    }
    let client = match decided.await {
        Ok(Ok(client)) => client,
        Ok(Err(reply)) => {
            // Whether the client still hears it changes nothing: the connection ends here.
            let _ = rest::answer(&mut stream, &reply, false, true, &shared).await;
            return;
        }
        Err(_) => return,
    };
    let limits = Limits::default().max_payload_len(Some(shared.options.message_bytes_max));
    let builder = ServerBuilder::new().limits(limits);
    let rewound = Rewound { head: buffer.freeze(), stream };
    match timeout(shared.options.request_within, builder.accept(rewound)).await {
        Ok(Ok((_, socket))) => {
            tracing::debug!(%peer, %client, "connected");
            Connection { socket, client, queued, cutting, shared: &shared }.run().await;
        }
        Ok(Err(error)) => tracing::debug!(%peer, %error, "handshake failed"),
        Err(_) => tracing::debug!(%peer, "handshake took too long"),
    }
    // An error means that the server has stopped and nobody counts clients any more.
    let _ = shared.commands.send(Command::Gone { client }).await;
}

struct Connection<'a> {
    socket: WebSocketStream<Rewound>,
    client: ClientId,
    queued: mpsc::Receiver<Outgoing>,
    cutting: watch::Receiver<Option<CloseWith>>,
    shared: &'a Shared,
}

/// What a connection does next.
enum Step {
    /// The machine had room for what the client sent.
    Told,
    Received(Command),
    Write(Outgoing),
    Close(CloseWith),
    /// The client has closed, or the connection is broken.
    End,
}

/// How a line fails.
enum Failure {
    Broken(Option<Bytes>),
    Silent,
}

/// What comes after the messages.
enum Last {
    Close(CloseWith),
    Fail(Failure),
}

impl Connection<'_> {
    async fn run(mut self) {
        let mut pending: Option<Command> = None;
        loop {
            match self.step(&mut pending).await {
                Step::Told => {}
                Step::Received(command) => pending = Some(command),
                Step::Write(first) => match self.write(first).await {
                    Ok(None) => {}
                    Ok(Some(Last::Close(close))) => return self.close(close).await,
                    Ok(Some(Last::Fail(failure))) => return self.fail(failure).await,
                    Err(error) => {
                        tracing::debug!(client = %self.client, %error, "could not write");
                        return;
                    }
                },
                Step::Close(close) => return self.close(close).await,
                Step::End => return,
            }
        }
    }

    /// Reads on only when the machine has taken what was read before; writing never waits for it,
    /// so that neither waits for the other for ever.
    async fn step(&mut self, pending: &mut Option<Command>) -> Step {
        tokio::select! {
            close = cut(&mut self.cutting) => Step::Close(close),
            place = self.shared.commands.reserve(), if pending.is_some() => {
                let Ok(place) = place else { return Step::End };
                if let Some(command) = pending.take() {
                    place.send(command);
                }
                Step::Told
            }
            message = self.socket.next(), if pending.is_none() => {
                received(self.client, message)
            }
            outgoing = self.queued.recv() => match outgoing {
                Some(outgoing) => Step::Write(outgoing),
                // The driver has let go of this connection and says why through `cutting`, or the
                // server has ended.
                None => Step::Close(self.cutting.borrow().clone().unwrap_or_else(goodbye)),
            },
        }
    }

    /// Writes all that waits, in one go; what comes last where that was among it or is demanded.
    async fn write(&mut self, first: Outgoing) -> Result<Option<Last>, tokio_websockets::Error> {
        let (socket, queued) = (&mut self.socket, &mut self.queued);
        let writing = async {
            let mut next = Some(first);
            while let Some(outgoing) = next {
                match outgoing {
                    Outgoing::Message(payload) => socket.feed(message(payload)).await?,
                    Outgoing::Ping(payload) => socket.feed(Message::ping(payload)).await?,
                    Outgoing::Close(close) => return Ok(Some(Last::Close(close))),
                    Outgoing::Break(partial) => {
                        socket.flush().await?;
                        return Ok(Some(Last::Fail(Failure::Broken(partial))));
                    }
                    Outgoing::Silence => {
                        socket.flush().await?;
                        return Ok(Some(Last::Fail(Failure::Silent)));
                    }
                }
                next = queued.try_recv().ok();
            }
            socket.flush().await?;
            Ok(None)
        };
        tokio::select! {
            written = writing => written,
            close = cut(&mut self.cutting) => Ok(Some(Last::Close(close))),
        }
    }

    /// Ends as a line does that fails: in the middle of a frame, or by falling silent.
    async fn fail(mut self, failure: Failure) {
        let mut stopped = self.shared.stopped.clone();
        let stream = self.socket.get_mut();
        match failure {
            Failure::Broken(None) => {}
            Failure::Broken(Some(partial)) => {
                // The head of a text frame twice as long as what comes of it (RFC 6455, 5.2).
                let length = u8::try_from(partial.len() * 2).unwrap_or(125).min(125);
                let frame = [&[0x81, length], &partial[..]].concat();
                // Whether it still arrives changes nothing.
                let _ = stream.write_all(&frame).await;
            }
            Failure::Silent => {
                let mut unheard = [0; 1_024];
                let heard_nothing =
                    async { while stream.read(&mut unheard).await.is_ok_and(|read| read > 0) {} };
                tokio::select! {
                    () = heard_nothing => {}
                    () = until_stopped(&mut stopped) => {}
                    // It is broken after all, or the driver has ended.
                    _ = self.queued.recv() => {}
                }
            }
        }
    }

    /// Says goodbye and waits a little for the client to say it too.
    async fn close(mut self, close: CloseWith) {
        let code = CloseCode::try_from(close.code).unwrap_or(CloseCode::GOING_AWAY);
        let farewell = async {
            if self.socket.send(Message::close(Some(code), &close.reason)).await.is_ok() {
                while let Some(Ok(_)) = self.socket.next().await {}
            }
        };
        if timeout(self.shared.options.close_within, farewell).await.is_err() {
            tracing::debug!(client = %self.client, "did not answer the close in time");
        }
    }
}

fn goodbye() -> CloseWith {
    CloseWith { code: 1001, reason: "the server stops".to_owned() }
}

/// Waits until the driver cuts the connection off.
async fn cut(cutting: &mut watch::Receiver<Option<CloseWith>>) -> CloseWith {
    let close = cutting.wait_for(Option::is_some).await.ok().and_then(|close| close.clone());
    match close {
        Some(close) => close,
        // The driver let go without cutting: the queue says what is to be done.
        None => std::future::pending().await,
    }
}

/// What a client sent; pings and closes are answered by the library.
fn received(client: ClientId, message: Option<Result<Message, tokio_websockets::Error>>) -> Step {
    match message {
        Some(Ok(message)) if message.is_text() || message.is_binary() => {
            let payload = Bytes::from(message.into_payload());
            Step::Received(Command::Message { client, payload })
        }
        Some(Ok(message)) if message.is_ping() => {
            let control = ControlFrame::Ping(message.into_payload().into());
            Step::Received(Command::Control { client, control })
        }
        Some(Ok(message)) if message.is_pong() => {
            let control = ControlFrame::Pong(message.into_payload().into());
            Step::Received(Command::Control { client, control })
        }
        Some(Ok(_)) => Step::Told,
        Some(Err(error)) => {
            tracing::debug!(%error, "a client broke the protocol");
            Step::End
        }
        None => Step::End,
    }
}

fn message(payload: Bytes) -> Message {
    if std::str::from_utf8(&payload).is_ok() {
        Message::text(payload)
    } else {
        Message::binary(payload)
    }
}

/// A stream with the bytes that were already read from it put back in front.
struct Rewound {
    head: Bytes,
    stream: TcpStream,
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.head.has_remaining() {
            let bytes = self.head.len().min(buffer.remaining());
            buffer.put_slice(&self.head.split_to(bytes));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
