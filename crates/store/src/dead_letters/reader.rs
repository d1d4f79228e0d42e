//! Reads files of dead letters.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::DeadLetter;

/// A longer line is none of ours.
pub const LINE_BYTES_MAX: u64 = 1024 * 1024;

/// Why a file can't be read: where, and what was expected there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError(String);

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ReadError {}

/// Gives the letters of a file one by one. A last line that is torn, as a kill or a full disk leaves it,
/// is no error; `true` where there was one.
///
/// # Errors
/// The file can't be read, or a line is no dead letter.
pub fn read(path: &Path, take: &mut dyn FnMut(DeadLetter)) -> Result<bool, ReadError> {
    let name = path.display();
    let file = File::open(path).map_err(|error| ReadError(format!("{name}: {error}")))?;
    let letters = read_from(file, take);
    letters.map_err(|(line, why)| ReadError(format!("{name}:{line}: {why}")))
}

/// The same of anything.
///
/// # Errors
/// With the line, from 1, that is no dead letter.
pub fn read_from(from: impl Read, take: &mut dyn FnMut(DeadLetter)) -> Result<bool, (u64, String)> {
    let (mut from, mut line) = (BufReader::new(from), Vec::new());
    for number in 1.. {
        line.clear();
        let failed = |error: io::Error| (number, error.to_string());
        let bytes = (&mut from).take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        if bytes.map_err(failed)? == 0 {
            break;
        }
        let ended = line.ends_with(b"\n");
        if !ended && line.len() as u64 == LINE_BYTES_MAX {
            return Err((number, format!("the line is longer than {LINE_BYTES_MAX} bytes")));
        }
        match serde_json::from_slice(&line) {
            Ok(letter) => take(letter),
            Err(_) if !ended => return Ok(true),
            Err(error) => {
                let right = "expected one JSON object with `t` (ns), `reason` and `priority`, as \
                             `[dead_letters]` of a configuration makes the gateway write them";
                return Err((number, format!("not a dead letter: {error}; {right}")));
            }
        }
    }
    Ok(false)
}
