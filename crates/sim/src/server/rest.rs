//! One connection: requests until one asks to go on by WebSocket.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::driver::Command;
use super::http::{self, HEAD_BYTES_MAX, Head, Refusal};
use super::{Shared, until_stopped, websocket};
use crate::machine::{Reply, Request, RequestId};

/// Serves a connection until it ends.
pub(super) async fn serve(mut stream: TcpStream, peer: SocketAddr, mut shared: Shared) {
    let mut buffer = BytesMut::with_capacity(2_048);
    loop {
        let mut stopped = shared.stopped.clone();
        let head = tokio::select! {
            () = until_stopped(&mut stopped) => return,
            head = read_head(&mut stream, &mut buffer, &shared) => head,
        };
        let served = match head {
            Ok(None) | Err(Ended::Lost) => return,
            Err(Ended::Refused(refusal)) => {
                tracing::debug!(%peer, status = refusal.0, message = refusal.1, "refused");
                // Whether the client still hears it changes nothing: the connection ends here.
                let _ = answer(&mut stream, &http::refusal(&refusal), false, true, &shared).await;
                return;
            }
            Ok(Some((head, bytes))) if head.upgrade => {
                return websocket::serve(stream, peer, buffer, (head, bytes), shared).await;
            }
            Ok(Some((head, bytes))) => {
                let _ = buffer.split_to(bytes);
                request(&mut stream, &mut buffer, head, &mut shared).await
            }
        };
        if !served {
            return;
        }
    }
}

/// Why there is no head.
enum Ended {
    Lost,
    Refused(Refusal),
}

/// A head and its length in the buffer; none where the client is done.
async fn read_head(
    stream: &mut TcpStream,
    buffer: &mut BytesMut,
    shared: &Shared,
) -> Result<Option<(Head, usize)>, Ended> {
    let options = &shared.options;
    match timeout(options.idle_max, http::fill(stream, buffer, 1)).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) | Err(_) => return Ok(None),
    }
    let whole = async {
        loop {
            if let Some(end) = http::head_end(buffer) {
                return Ok(end);
            }
            if buffer.len() >= HEAD_BYTES_MAX {
                let message = format!("the request's head is over {HEAD_BYTES_MAX} bytes");
                return Err(Ended::Refused((431, message)));
            }
            let more = buffer.len() + 1;
            http::fill(stream, buffer, more).await.map_err(|_| Ended::Lost)?;
        }
    };
    let end = timeout(options.request_within, whole)
        .await
        .map_err(|_| Ended::Refused(late(options.request_within)))??;
    let head = http::parse(&buffer[..end]).map_err(Ended::Refused)?;
    if head.body_bytes > options.body_bytes_max {
        let message = format!("a body may have {} bytes at most", options.body_bytes_max);
        return Err(Ended::Refused((413, message)));
    }
    Ok(Some((head, end)))
}

fn late(limit: Duration) -> Refusal {
    (408, format!("the request was not complete within {limit:?}"))
}

/// Serves one request; whether another may follow.
async fn request(
    stream: &mut TcpStream,
    buffer: &mut BytesMut,
    head: Head,
    shared: &mut Shared,
) -> bool {
    let body = http::fill(stream, buffer, head.body_bytes);
    if !matches!(timeout(shared.options.request_within, body).await, Ok(Ok(()))) {
        return false;
    }
    let body = buffer.split_to(head.body_bytes).freeze();
    let Head { method, target, headers, keep_alive, .. } = head;
    let with_body = method != "HEAD";
    let request = Request { method, target, headers, body };
    let Some((id, reply)) = ask(request, shared).await else { return false };
    let written = answer(stream, &reply, keep_alive, with_body, shared).await.is_ok();
    let told = shared.commands.send(Command::Answered { request: id, written }).await;
    keep_alive && written && told.is_ok()
}

/// The machine's answer; none where the server stops.
async fn ask(request: Request, shared: &Shared) -> Option<(RequestId, Reply)> {
    let (answer, answered) = oneshot::channel();
    shared.commands.send(Command::Request { request, answer }).await.ok()?;
    answered.await.ok()
}

/// Writes an answer within the time a request has.
pub(super) async fn answer(
    stream: &mut TcpStream,
    reply: &Reply,
    keep_alive: bool,
    with_body: bool,
    shared: &Shared,
) -> io::Result<()> {
    let writing = http::write(stream, reply, keep_alive, with_body);
    timeout(shared.options.request_within, writing)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
