//! `tungstenite`, reading a server's frames from memory.

use std::io::{self, Read, Write};

use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

/// Bytes in memory, handed out at most `read_bytes` at a time: a socket without system calls.
#[derive(Debug)]
struct Memory<'a> {
    rest: &'a [u8],
    read_bytes: usize,
}

impl Read for Memory<'_> {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.rest.len().min(buffer.len()).min(self.read_bytes);
        let (head, tail) = self.rest.split_at(len);
        buffer[..len].copy_from_slice(head);
        self.rest = tail;
        Ok(len)
    }
}

impl Write for Memory<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads all frames in `bytes` as a client that was just upgraded, at most `read_bytes` at a time,
/// with a read buffer of `buffer_bytes`; gives each text message to `each`.
///
/// # Errors
/// What the library says, except for the end of the bytes.
pub fn read_all(
    bytes: &[u8],
    read_bytes: usize,
    buffer_bytes: usize,
    mut each: impl FnMut(&[u8]),
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let config = WebSocketConfig::default().read_buffer_size(buffer_bytes);
    let memory = Memory { rest: bytes, read_bytes };
    let mut socket = WebSocket::from_raw_socket(memory, Role::Client, Some(config));
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => each(text.as_bytes()),
            Ok(_) => {}
            Err(Error::Protocol(_) | Error::ConnectionClosed | Error::AlreadyClosed)
                if socket.get_ref().rest.is_empty() =>
            {
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_arrives_whole_however_it_is_cut() {
        let mut bytes = Vec::new();
        for text in ["one", "two", "three"] {
            bytes.extend([0x81, u8::try_from(text.len()).unwrap()]);
            bytes.extend(text.as_bytes());
        }
        for read_bytes in [1, 3, 4_096] {
            let mut seen = Vec::new();
            read_all(&bytes, read_bytes, 16_384, |text| seen.push(text.to_vec())).unwrap();
            assert_eq!(seen, [&b"one"[..], b"two", b"three"]);
        }
    }
}
