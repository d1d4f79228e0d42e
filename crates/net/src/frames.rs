//! Frames of RFC 6455 as a client reads and writes them, without a socket.
//!
//! Why not the library's: it hands every payload out as a counted reference into its buffer, which
//! costs two atomic operations a frame and a new buffer whenever one is still referred to. Here a
//! message is a slice of the one buffer, copied into the pooled frame that waits for it
//! (`meltica bench --only websocket` compares them). The library still shakes hands.
//!
//! A fragmented message is assembled; UTF-8 is checked once it is whole; a length is refused by its
//! header, before its bytes are waited for.

use crate::rng::Rng;

/// The buffer's size while no message needs more. A busy connection fills it in one read.
const BUFFER_BYTES: usize = 32 * 1_024;
/// Opcode, length and extended length; a server does not mask.
const HEADER_BYTES_MAX: usize = 10;
/// Control frames carry at most so many bytes.
pub(crate) const CONTROL_BYTES_MAX: usize = 125;

/// What a server sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received<'a> {
    /// A text or binary message, whole.
    Message(&'a [u8]),
    /// A ping, to be answered with its payload.
    Ping(&'a [u8]),
    /// A pong.
    Pong,
    /// The close frame: its code (1005 where it has none) and its words.
    Close(u16, &'a str),
}

/// What a server must not send, by the close code that it gets for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameFault {
    /// 1002: against the protocol, in these words.
    Protocol(&'static str),
    /// 1007: text that is no UTF-8.
    InvalidUtf8,
    /// 1009: a message over the limit.
    Oversized,
}

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Takes bytes in pieces of any size and gives messages.
#[derive(Debug)]
pub struct FrameReader {
    buffer: Vec<u8>,
    /// What was read and not taken: `start..end`.
    start: usize,
    end: usize,
    /// The fragments of a message that goes on, and its opcode.
    partial: Vec<u8>,
    partial_opcode: Option<u8>,
    message_bytes_max: usize,
}

/// A frame that is whole: opcode, whether it is the last of its message, and its payload's place.
struct Frame {
    opcode: u8,
    last: bool,
    from: usize,
    to: usize,
}

impl FrameReader {
    /// A reader of messages up to `message_bytes_max` bytes.
    #[must_use]
    pub fn new(message_bytes_max: usize) -> Self {
        Self {
            buffer: vec![0; BUFFER_BYTES],
            start: 0,
            end: 0,
            partial: Vec::new(),
            partial_opcode: None,
            message_bytes_max,
        }
    }

    /// Where the next bytes go; never empty after [`next`](Self::next) gave `None`.
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.buffer[self.end..]
    }

    /// So many bytes of [`room`](Self::room) were filled.
    pub fn filled(&mut self, bytes: usize) {
        self.end = (self.end + bytes).min(self.buffer.len());
    }

    /// Whether a frame or message was begun that is not whole.
    #[must_use]
    pub fn is_within(&self) -> bool {
        self.start < self.end || self.partial_opcode.is_some()
    }

    /// The next thing that is whole; `None` when more bytes are needed.
    ///
    /// # Errors
    /// The connection can't go on; what would follow is not to be read.
    #[inline]
    #[allow(clippy::should_implement_trait, reason = "it lends from itself")]
    pub fn next(&mut self) -> Result<Option<Received<'_>>, FrameFault> {
        loop {
            let Some(frame) = self.frame()? else { return Ok(None) };
            self.start = frame.to;
            match frame.opcode {
                // The usual case first: a message in one frame.
                TEXT | BINARY if frame.last => {
                    let payload = &self.buffer[frame.from..frame.to];
                    return message(payload, frame.opcode).map(Some);
                }
                TEXT | BINARY | CONTINUATION => {
                    if self.assemble(&frame) {
                        let opcode = self.partial_opcode.take().unwrap_or(BINARY);
                        return message(&self.partial, opcode).map(Some);
                    }
                }
                PING => return Ok(Some(Received::Ping(&self.buffer[frame.from..frame.to]))),
                PONG => return Ok(Some(Received::Pong)),
                _ => return close(&self.buffer[frame.from..frame.to]).map(Some),
            }
        }
    }

    /// The frame at the front, if it is whole; else makes room for it.
    #[inline]
    fn frame(&mut self) -> Result<Option<Frame>, FrameFault> {
        let bytes = &self.buffer[self.start..self.end];
        let [first, second, ..] = *bytes else { return Ok(self.need(HEADER_BYTES_MAX)) };
        let (opcode, last) = (first & 0x0F, first & 0x80 != 0);
        let (len, header) = match second & 0x7F {
            126 => match bytes.get(2..4).and_then(|b| b.first_chunk()) {
                Some(len) => (u64::from(u16::from_be_bytes(*len)), 4),
                None => return Ok(self.need(HEADER_BYTES_MAX)),
            },
            127 => match bytes.get(2..10).and_then(|b| b.first_chunk()) {
                Some(len) => (u64::from_be_bytes(*len), 10),
                None => return Ok(self.need(HEADER_BYTES_MAX)),
            },
            len => (u64::from(len), 2),
        };
        self.check(first, second, len, header)?;
        let len = usize::try_from(len).map_err(|_| FrameFault::Oversized)?;
        let before = if opcode == CONTINUATION { self.partial.len() } else { 0 };
        if opcode < CLOSE && before.saturating_add(len) > self.message_bytes_max {
            return Err(FrameFault::Oversized);
        }
        let from = self.start + header;
        let to = from + len;
        if to > self.end {
            return Ok(self.need(header + len));
        }
        Ok(Some(Frame { opcode, last, from, to }))
    }

    /// What RFC 6455, section 5, forbids.
    #[inline]
    fn check(&self, first: u8, second: u8, len: u64, header: usize) -> Result<(), FrameFault> {
        let (opcode, last) = (first & 0x0F, first & 0x80 != 0);
        let fault = |words| Err(FrameFault::Protocol(words));
        if first & 0x70 != 0 {
            return fault("a reserved bit is set and no extension was agreed on");
        }
        if second & 0x80 != 0 {
            return fault("a server must not mask its frames");
        }
        if (header == 4 && len < 126) || (header == 10 && len <= 0xFFFF) {
            return fault("a length is written with more bytes than it needs");
        }
        match opcode {
            TEXT | BINARY if self.partial_opcode.is_some() => {
                fault("a message begins within another")
            }
            CONTINUATION if self.partial_opcode.is_none() => {
                fault("a fragment continues no message")
            }
            CONTINUATION | TEXT | BINARY => Ok(()),
            CLOSE | PING | PONG if !last => fault("a control frame is fragmented"),
            CLOSE | PING | PONG if len > CONTROL_BYTES_MAX as u64 => {
                fault("a control frame is longer than 125 bytes")
            }
            CLOSE if len == 1 => fault("a close frame carries half a code"),
            CLOSE | PING | PONG => Ok(()),
            _ => fault("an opcode is none that is defined"),
        }
    }

    /// Takes a fragment; true when the message is whole.
    fn assemble(&mut self, frame: &Frame) -> bool {
        if frame.opcode != CONTINUATION {
            self.partial_opcode = Some(frame.opcode);
            self.partial.clear();
        }
        self.partial.extend_from_slice(&self.buffer[frame.from..frame.to]);
        frame.last
    }

    /// Makes room for a frame of `bytes` at the front, and for at least one more byte.
    fn need<T>(&mut self, bytes: usize) -> Option<T> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            // What a huge message needed is not kept for ever.
            if self.buffer.len() > BUFFER_BYTES && bytes <= BUFFER_BYTES {
                self.buffer.truncate(BUFFER_BYTES);
                self.buffer.shrink_to_fit();
            }
        }
        if self.partial_opcode.is_none() && self.partial.capacity() > BUFFER_BYTES {
            self.partial = Vec::new();
        }
        if self.start > 0
            && (self.start + bytes > self.buffer.len() || self.end == self.buffer.len())
        {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if bytes > self.buffer.len() {
            self.buffer.resize(bytes, 0);
        }
        None
    }
}

#[inline]
fn message(payload: &[u8], opcode: u8) -> Result<Received<'_>, FrameFault> {
    if opcode == TEXT && simdutf8::basic::from_utf8(payload).is_err() {
        return Err(FrameFault::InvalidUtf8);
    }
    Ok(Received::Message(payload))
}

/// RFC 6455, section 7.4: which codes may stand in a close frame.
fn close(payload: &[u8]) -> Result<Received<'_>, FrameFault> {
    let Some((code, words)) = payload.split_first_chunk::<2>() else {
        return Ok(Received::Close(1005, ""));
    };
    let code = u16::from_be_bytes(*code);
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(FrameFault::Protocol("a close code is none that may be sent"));
    }
    let words = std::str::from_utf8(words).map_err(|_| FrameFault::InvalidUtf8)?;
    Ok(Received::Close(code, words))
}

/// Makes frames of what is to be sent: masked, in one piece.
#[derive(Debug)]
pub(crate) struct FrameWriter {
    bytes: Vec<u8>,
    written: usize,
    rng: Rng,
}

impl FrameWriter {
    /// Masks are drawn from a generator of that seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self { bytes: Vec::new(), written: 0, rng: Rng::new(seed) }
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.frame(TEXT, &[text.as_bytes()]);
    }

    pub(crate) fn ping(&mut self, payload: &[u8]) {
        self.frame(PING, &[&payload[..payload.len().min(CONTROL_BYTES_MAX)]]);
    }

    pub(crate) fn pong(&mut self, payload: &[u8]) {
        self.frame(PONG, &[payload]);
    }

    /// A close frame; without a code where `code` is `None`.
    pub(crate) fn close(&mut self, code: Option<u16>, words: &str) {
        let code = code.map(u16::to_be_bytes);
        let code = code.as_ref().map_or(&[][..], |code| &code[..]);
        self.frame(CLOSE, &[code, words.as_bytes()]);
    }

    /// What is still to be written.
    pub(crate) fn waiting(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    /// So much of it was written.
    pub(crate) fn wrote(&mut self, bytes: usize) {
        self.written += bytes;
        if self.written >= self.bytes.len() {
            self.bytes.clear();
            self.bytes.shrink_to(BUFFER_BYTES);
            self.written = 0;
        }
    }

    fn frame(&mut self, opcode: u8, parts: &[&[u8]]) {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        self.bytes.push(0x80 | opcode);
        match (u8::try_from(len), u16::try_from(len)) {
            (Ok(short), _) if short < 126 => self.bytes.push(0x80 | short),
            (_, Ok(middle)) => {
                self.bytes.push(0x80 | 126);
                self.bytes.extend(middle.to_be_bytes());
            }
            _ => {
                self.bytes.push(0x80 | 127);
                self.bytes.extend((len as u64).to_be_bytes());
            }
        }
        let mask = (self.rng.next_u64() as u32).to_be_bytes();
        self.bytes.extend(mask);
        let payload = parts.iter().copied().flatten();
        self.bytes.extend(payload.zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    }
}

#[cfg(test)]
mod tests;
