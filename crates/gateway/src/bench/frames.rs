//! What is measured on: lines of captures.
//!
//! The built-in ones are ours, in the form of the venues' market streams: prices that walk, levels
//! that come and go, and frames that differ in length, so that no branch is learnt by heart.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use model::capture::{CaptureLine, Direction, Wire};
use store::capture::Reader;

/// The frames that ship with the binary.
const BUILT_IN: [&[u8]; 3] = [
    include_bytes!("../../fixtures/bench.jsonl"),
    include_bytes!("../../fixtures/bench-channels.jsonl"),
    include_bytes!("../../fixtures/bench-okx.jsonl"),
];

/// Captures, in memory.
#[derive(Debug)]
pub struct Captures {
    /// Each with the name of its file.
    pub files: Vec<(String, Vec<CaptureLine>)>,
}

impl Captures {
    /// The frames that ship with the binary.
    ///
    /// # Errors
    /// They can't be read, which a test excludes.
    pub fn built_in() -> Result<Self, String> {
        let mut all = Vec::new();
        for bytes in BUILT_IN {
            all.extend(lines(Reader::new("built-in frames", Cursor::new(bytes)))?);
        }
        Ok(Self { files: vec![("built-in".to_owned(), all)] })
    }

    /// The captures of a folder, of those venues that this version knows.
    ///
    /// # Errors
    /// The folder or a capture can't be read, or there is none.
    pub fn read(folder: &Path) -> Result<Self, String> {
        let fault = |error| format!("reading the folder {}: {error}", folder.display());
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).map_err(fault)? {
            paths.push(entry.map_err(fault)?.path());
        }
        paths.sort();
        let known = venues::registry::names();
        let mut files = Vec::new();
        for path in paths {
            let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into());
            if !(name.ends_with(".jsonl") || name.ends_with(".jsonl.zst")) {
                continue;
            }
            let mut lines = lines(Reader::open(&path))?;
            lines.retain(|line| known.contains(&line.venue.as_str()));
            if !lines.is_empty() {
                files.push((name, lines));
            }
        }
        if files.is_empty() {
            return Err(format!(
                "the folder {} has no capture (.jsonl or .jsonl.zst) of a venue that is known: {}",
                folder.display(),
                known.join(", ")
            ));
        }
        Ok(Self { files })
    }

    /// All frames that venues sent over WebSocket, with the venue's name.
    pub fn frames(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files
            .iter()
            .flat_map(|(_, lines)| lines)
            .filter(|line| is_frame(line))
            .map(|line| (line.venue.as_str(), line.data.as_slice()))
    }
}

/// Whether a line is what a venue sent over WebSocket.
#[must_use]
pub fn is_frame(line: &CaptureLine) -> bool {
    (line.wire, line.direction) == (Wire::Ws, Direction::In)
}

fn lines(reader: Result<Reader, store::capture::CaptureError>) -> Result<Vec<CaptureLine>, String> {
    let lines: Result<Vec<_>, _> = reader.map_err(|error| error.to_string())?.collect();
    lines.map_err(|error| error.to_string())
}
