//! Bytes of a connection to messages, without a system call: a server's frames lie in memory and
//! are handed out so many bytes a read.
//!
//! 16 KiB a read is what a busy connection gives, 1,500 what a single packet brings. The messages
//! are text, which both libraries check for UTF-8; a server does not mask.

use std::hint::black_box;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::Stream;
use net::frames::{FrameReader, Received};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_websockets::{ClientBuilder, Limits};

use super::report::tenth;
use super::{Contender, Rounds, race};

const ROUNDS: Rounds = Rounds { count: 41, operations: FRAMES };
/// A pass: about 1 MiB at 256 bytes, so that it stays in the cache.
const FRAMES: usize = 4_096;
/// The same as the gateway's own connections have.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// One size of frame and of read.
#[derive(Clone, Debug, Serialize)]
pub struct Case {
    /// What a read gives at most.
    pub read_bytes: usize,
    /// A frame's payload.
    pub frame_bytes: usize,
    /// The gateway's own reader, with the copy into the frame that waits for the decoder: a frame.
    pub ns: f64,
    /// `tokio-websockets`, which shakes the gateway's hands and could read for it: a frame.
    pub tokio_websockets_ns: f64,
    /// `tungstenite` as it comes, with a read buffer of 128 KiB: a frame.
    pub tungstenite_ns: Option<f64>,
    /// How much less time the gateway's takes than that.
    pub reduction_pct: Option<f64>,
    /// `tungstenite` with the smallest read buffer that holds such a read: a frame. It clears its
    /// whole buffer before every read, so that a small one pays.
    pub tungstenite_tuned_ns: Option<f64>,
}

/// Measures.
///
/// # Errors
/// A contender can't read the frames, or reads other ones.
pub fn measure() -> Result<Vec<Case>, String> {
    let mut cases = Vec::new();
    for frame_bytes in [256, 1_024] {
        let wire = wire(frame_bytes);
        for read_bytes in [16_384, 1_500] {
            cases.push(case(&wire, frame_bytes, read_bytes)?);
        }
    }
    Ok(cases)
}

fn case(wire: &[u8], frame_bytes: usize, read_bytes: usize) -> Result<Case, String> {
    let expect = |found: &Count| found.check(frame_bytes);
    #[allow(unused_mut, reason = "the libraries are a feature")]
    let mut contenders = vec![
        Contender::new(FRAMES, || expect(&ours(wire, read_bytes)?)),
        Contender::new(FRAMES, || expect(&library(wire, read_bytes)?)),
    ];
    #[cfg(feature = "yardsticks")]
    contenders.extend([128 << 10, read_bytes.next_power_of_two()].map(|buffer| {
        Contender::new(FRAMES, move || {
            let mut found = Count::default();
            yardstick::websocket::read_all(wire, read_bytes, buffer, |text| found.add(text))
                .map_err(|error| format!("tungstenite: {error}"))?;
            found.check(frame_bytes)
        })
    }));
    let times = race(ROUNDS, &mut contenders)?;

    let (default, tuned) = (times.get(2), times.get(3));
    Ok(Case {
        read_bytes,
        frame_bytes,
        ns: tenth(times[0]),
        tokio_websockets_ns: tenth(times[1]),
        tungstenite_ns: default.copied().map(tenth),
        reduction_pct: default.map(|theirs| tenth(100.0 * (1.0 - times[0] / theirs))),
        tungstenite_tuned_ns: tuned.copied().map(tenth),
    })
}

/// Whether all frames arrive, cut into reads of that many bytes.
#[cfg(test)]
pub(super) fn proof(read_bytes: usize) -> Result<(), String> {
    let wire = wire(256);
    ours(&wire, read_bytes)?.check(256)?;
    library(&wire, read_bytes)?.check(256)
}

/// What was read, so that nobody reads less.
#[derive(Debug, Default)]
struct Count {
    frames: usize,
    bytes: usize,
}

impl Count {
    #[inline]
    fn add(&mut self, message: &[u8]) {
        self.frames += 1;
        self.bytes += black_box(message).len();
    }

    fn check(&self, frame_bytes: usize) -> Result<(), String> {
        if self.frames == FRAMES && self.bytes == FRAMES * frame_bytes {
            return Ok(());
        }
        let Self { frames, bytes } = self;
        Err(format!("of {FRAMES} frames of {frame_bytes} bytes, {frames} with {bytes} were read"))
    }
}

/// Reads all of `wire` the way that the gateway's connections do.
fn ours(wire: &[u8], read_bytes: usize) -> Result<Count, String> {
    let mut rest = wire;
    let mut reader = FrameReader::new(MESSAGE_BYTES_MAX);
    let (mut found, mut frame) = (Count::default(), Vec::new());
    loop {
        match reader.next().map_err(|fault| format!("the gateway's reader: {fault:?}"))? {
            Some(Received::Message(payload)) => {
                frame.clear();
                frame.extend_from_slice(payload);
                found.add(&frame);
            }
            Some(other) => return Err(format!("the gateway's reader: {other:?}")),
            None if rest.is_empty() => return Ok(found),
            None => {
                let room = reader.room();
                let (head, tail) = rest.split_at(rest.len().min(read_bytes).min(room.len()));
                room[..head.len()].copy_from_slice(head);
                reader.filled(head.len());
                rest = tail;
            }
        }
    }
}

/// Reads all of `wire` with the library, polled by hand.
fn library(wire: &[u8], read_bytes: usize) -> Result<Count, String> {
    let memory = Memory { rest: wire, read_bytes };
    let limits = Limits::default().max_payload_len(Some(MESSAGE_BYTES_MAX));
    let mut stream = ClientBuilder::new().limits(limits).take_over(memory);
    let mut context = Context::from_waker(Waker::noop());
    let mut found = Count::default();
    while found.frames < FRAMES {
        match Pin::new(&mut stream).poll_next(&mut context) {
            Poll::Ready(Some(Ok(message))) => {
                let payload: Bytes = message.into_payload().into();
                found.add(&payload);
            }
            Poll::Ready(Some(Err(error))) => return Err(format!("tokio-websockets: {error}")),
            Poll::Ready(None) => break,
            Poll::Pending => return Err("memory kept a reader waiting".to_owned()),
        }
    }
    Ok(found)
}

/// Bytes in memory, handed out at most `read_bytes` at a time.
struct Memory<'a> {
    rest: &'a [u8],
    read_bytes: usize,
}

impl AsyncRead for Memory<'_> {
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let len = self.rest.len().min(self.read_bytes).min(buffer.remaining());
        let (head, tail) = self.rest.split_at(len);
        buffer.put_slice(head);
        self.rest = tail;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Memory<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, b: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(b.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Unmasked text frames of `frame_bytes` each, as a server sends them.
fn wire(frame_bytes: usize) -> Vec<u8> {
    let payload: Vec<u8> =
        br#"{"e":"trade","p":"0.35130000","q":"6195.00","#.iter().cycle().take(frame_bytes).copied().collect();
    let length = u16::try_from(frame_bytes).unwrap_or(u16::MAX).to_be_bytes();
    let mut wire = Vec::with_capacity(FRAMES * (frame_bytes + 4));
    for _ in 0..FRAMES {
        // Final text frame; 126 announces a length in the two bytes that follow.
        wire.extend([0x81, 126, length[0], length[1]]);
        wire.extend(&payload);
    }
    wire
}
