//! The answer to a WebSocket upgrade, read whole before the WebSocket library sees it.
//!
//! Two reasons: a refusal's body says why (a ban, a wrong path), and the library drops it; and the
//! library's check of `Sec-WebSocket-Accept` panics on a value that is longer than a hash, so such
//! an answer must not reach it.

use std::io;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::ReadBuf;

use crate::date;
use crate::fault::Phase;

/// Longer answers are not read to their end: no venue needs that many headers.
const HEAD_BYTES_MAX: usize = 16 * 1_024;
/// So much of a refusal's body is kept for the operator.
const BODY_BYTES_MAX: usize = 300;
/// Length of a SHA-1 in base64.
const ACCEPT_LEN: usize = 28;

/// What the far end said instead of 101.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: String,
}

/// How far a connect has come; outlives the stream, which the library drops when it fails.
pub(crate) struct Progress {
    phase: AtomicU8,
    refusal: Mutex<Option<Refusal>>,
}

const PHASES: [Phase; 4] = [Phase::Resolve, Phase::Tcp, Phase::Tls, Phase::Upgrade];

impl Progress {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { phase: AtomicU8::new(0), refusal: Mutex::new(None) })
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    pub(crate) fn phase(&self) -> Phase {
        PHASES[usize::from(self.phase.load(Ordering::Relaxed)).min(PHASES.len() - 1)]
    }

    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn refused(&self, refusal: Refusal) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
    }
}

/// Collects the answer, judges it, and hands its bytes on.
pub(crate) struct Answer {
    bytes: Vec<u8>,
    /// Where an acceptance ends; what came behind it is not the WebSocket library's.
    accepted: Option<usize>,
    given: usize,
    complete: bool,
    progress: Arc<Progress>,
}

impl Answer {
    pub(crate) fn new(progress: Arc<Progress>) -> Self {
        Self { bytes: Vec::new(), accepted: None, given: 0, complete: false, progress }
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Takes what was read; nothing means that the far end ended its side.
    pub(crate) fn take(&mut self, read: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(read);
        self.complete = read.is_empty();
        let Some(head_len) = find(&self.bytes, b"\r\n\r\n") else {
            if self.bytes.len() > HEAD_BYTES_MAX {
                return Err(bad("its answer has no end of headers within 16 KiB"));
            }
            return Ok(());
        };
        let (head, body) = (&self.bytes[..head_len], &self.bytes[head_len + 4..]);
        match status(head) {
            Some(101) => {
                if header(head, "sec-websocket-accept").is_some_and(|hash| hash.len() != ACCEPT_LEN)
                {
                    return Err(bad("its Sec-WebSocket-Accept is not a hash"));
                }
                self.complete = true;
                self.accepted = Some(head_len + 4);
            }
            Some(status) => {
                self.complete |= body.len() >= expected_body_len(head);
                let refusal =
                    Refusal { status, retry_after: retry_after(head), body: start_of(body) };
                self.progress.refused(refusal);
            }
            None => return Err(bad("its answer is not HTTP")),
        }
        Ok(())
    }

    /// Copies what fits; `false` when all was handed on before.
    pub(crate) fn hand_on(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let rest = &self.bytes[self.given..self.accepted.unwrap_or(self.bytes.len())];
        let fits = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..fits]);
        self.given += fits;
        !rest.is_empty()
    }

    /// What came behind an acceptance: the first frames.
    pub(crate) fn behind(mut self) -> Vec<u8> {
        self.accepted.map_or_else(Vec::new, |head| self.bytes.split_off(head))
    }
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The status code of `HTTP/1.1 101 Switching Protocols`.
fn status(head: &[u8]) -> Option<u16> {
    let line = head.strip_prefix(b"HTTP/1.")?;
    std::str::from_utf8(line.get(2..5)?).ok()?.parse().ok()
}

/// A header's value, by its lower-case name.
fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    head.split(|&byte| byte == b'\n').skip(1).find_map(|line| {
        let (key, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// How many bytes of a refusal's body to wait for: none where its length is unknown, since the far
/// end may keep the connection open.
fn expected_body_len(head: &[u8]) -> usize {
    let length = header(head, "content-length").and_then(|length| length.parse().ok());
    length.map_or(0, |length: usize| length.min(BODY_BYTES_MAX))
}

fn retry_after(head: &[u8]) -> Option<Duration> {
    date::retry_after(header(head, "retry-after")?, header(head, "date"))
}

/// The start of a body as one line of text.
pub(crate) fn start_of(body: &[u8]) -> String {
    let start = &body[..body.len().min(BODY_BYTES_MAX)];
    let text = String::from_utf8_lossy(start);
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(parts: &[&[u8]]) -> (io::Result<()>, Answer) {
        let mut answer = Answer::new(Progress::new());
        for part in parts {
            assert!(!answer.is_complete(), "read on after it was complete");
            if let Err(error) = answer.take(part) {
                return (Err(error), answer);
            }
        }
        (Ok(()), answer)
    }

    #[test]
    fn an_acceptance_is_handed_on_and_what_came_behind_it_is_kept() {
        let whole = b"HTTP/1.1 101 Switching Protocols\r\n\
            Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x02{}";
        for split in 1..whole.len() - 4 {
            let (result, mut answer) = read(&[&whole[..split], &whole[split..]]);
            result.unwrap();
            assert!(answer.is_complete());
            let mut handed = Vec::new();
            loop {
                let mut room = [0; 7];
                let mut room = ReadBuf::new(&mut room);
                if !answer.hand_on(&mut room) {
                    break;
                }
                handed.extend_from_slice(room.filled());
            }
            assert_eq!(handed, whole[..whole.len() - 4]);
            assert_eq!(answer.behind(), b"\x81\x02{}"[4 - (whole.len() - split).min(4)..]);
        }
    }

    #[test]
    fn a_refusal_is_kept_with_the_start_of_its_body() {
        let (result, answer) = read(&[
            b"HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nContent-Length: 9\r\n\r\nslow",
            b" down",
        ]);
        result.unwrap();
        assert!(answer.is_complete());
        let refusal = answer.progress.refusal().unwrap();
        assert_eq!(
            refusal,
            Refusal {
                status: 429,
                retry_after: Some(Duration::from_secs(7)),
                body: "slow down".into()
            }
        );
    }

    #[test]
    fn what_would_make_the_library_panic_does_not_reach_it() {
        let long = "A".repeat(64);
        let head = format!("HTTP/1.1 101 OK\r\nSEC-WEBSOCKET-ACCEPT: {long}\r\n\r\n");
        assert!(read(&[head.as_bytes()]).0.unwrap_err().to_string().contains("not a hash"));
    }

    #[test]
    fn garbage_and_endless_heads_are_errors() {
        assert!(read(&[b"SSH-2.0-OpenSSH_9.6\r\n\r\n"]).0.is_err());
        assert!(read(&[&[b'a'; HEAD_BYTES_MAX + 1]]).0.is_err());
    }
}
