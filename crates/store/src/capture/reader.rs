//! Reads a capture line by line, plain or compressed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use model::capture::CaptureLine;

use super::error::CaptureError;
use super::line::{self, Parsed};

/// No line may be longer: a venue's largest answer is some tens of MiB.
pub const LINE_BYTES_MAX: usize = 64 * 1_024 * 1_024;

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The lines of one capture, in the order of the file.
///
/// Whether the file is compressed is seen from its first bytes, not from its name. Empty lines are
/// passed over; lines whose `kind` or `dir` is unknown are passed over and counted in
/// [`skipped`](Self::skipped). A line that can't be read is one error, after which the next call
/// goes on with the next line; an error of the file itself (disk, broken compression, a line over
/// the limit) is the last item.
pub struct Reader {
    path: PathBuf,
    input: Box<dyn BufRead + Send>,
    buffer: Vec<u8>,
    line: u64,
    skipped: u64,
    line_bytes_max: usize,
    ended: bool,
}

impl Reader {
    /// Opens a file.
    ///
    /// # Errors
    /// When it can't be opened or its first bytes can't be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CaptureError> {
        let path = path.as_ref();
        let file = File::open(path)
            .map_err(|error| CaptureError::io(path, None, "opening the capture", &error))?;
        Self::new(path, file)
    }

    /// Reads from anything; `name` stands in errors where a file's path would.
    ///
    /// # Errors
    /// When the first bytes can't be read.
    pub fn new(
        name: impl AsRef<Path>,
        input: impl Read + Send + 'static,
    ) -> Result<Self, CaptureError> {
        let path = name.as_ref();
        let input = decompressed(input)
            .map_err(|error| CaptureError::io(path, None, "reading the capture", &error))?;
        Ok(Self {
            path: path.to_owned(),
            input,
            buffer: Vec::new(),
            line: 0,
            skipped: 0,
            line_bytes_max: LINE_BYTES_MAX,
            ended: false,
        })
    }

    /// The same with another bound on a line's length.
    #[must_use]
    pub fn line_bytes_max(mut self, bytes: usize) -> Self {
        self.line_bytes_max = bytes;
        self
    }

    /// The number of the line read last, counted from 1.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }

    /// How many lines had a `kind` or `dir` that this version does not know.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Brings the next line into the buffer; false at the end.
    fn fill(&mut self) -> Result<bool, CaptureError> {
        self.buffer.clear();
        self.line += 1;
        let limit = self.line_bytes_max as u64 + 1;
        let mut bounded = self.input.by_ref().take(limit);
        let read = bounded.read_until(b'\n', &mut self.buffer);
        let read = read.map_err(|error| {
            CaptureError::io(&self.path, Some(self.line), "reading the capture", &error)
        })?;
        let text_len = self.buffer.len() - usize::from(self.buffer.ends_with(b"\n"));
        if text_len > self.line_bytes_max {
            let max = self.line_bytes_max;
            return Err(self.error(format!("the line is longer than the limit of {max} bytes")));
        }
        Ok(read > 0)
    }

    fn error(&self, message: String) -> CaptureError {
        CaptureError::new(&self.path, Some(self.line), message)
    }
}

impl Iterator for Reader {
    type Item = Result<CaptureLine, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.fill() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
            let text = self.buffer.trim_ascii();
            if text.is_empty() {
                continue;
            }
            match line::parse(text) {
                Ok(Parsed::Line(line)) => return Some(Ok(line)),
                Ok(Parsed::Unknown) => self.skipped += 1,
                Err(message) => return Some(Err(self.error(message))),
            }
        }
        self.ended = true;
        None
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("path", &self.path).field("line", &self.line).finish()
    }
}

/// Looks at the first bytes and puts a decompressor in between where they ask for one.
fn decompressed(mut input: impl Read + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    let mut head = Vec::with_capacity(ZSTD_MAGIC.len());
    input.by_ref().take(ZSTD_MAGIC.len() as u64).read_to_end(&mut head)?;
    let compressed = head == ZSTD_MAGIC;
    let whole = io::Cursor::new(head).chain(input);
    if compressed {
        Ok(Box::new(BufReader::new(zstd::stream::read::Decoder::new(whole)?)))
    } else {
        Ok(Box::new(BufReader::new(whole)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        r#"{"t":1,"venue":"v","conn":"ws-1","kind":"ws","dir":"in","url":"u","data":"x"}"#;

    fn reader(text: &str) -> Reader {
        Reader::new("mem.jsonl", io::Cursor::new(text.as_bytes().to_vec())).unwrap()
    }

    #[test]
    fn empty_lines_carriage_returns_and_a_missing_last_line_feed_are_harmless() {
        let text = format!("\n{GOOD}\r\n   \n{GOOD}");
        let mut reader = reader(&text);
        assert_eq!(reader.by_ref().filter(Result::is_ok).count(), 2);
        assert_eq!(reader.skipped(), 0);
        assert!(reader.next().is_none());
    }

    #[test]
    fn an_error_names_file_and_line_and_the_next_line_is_still_read() {
        let text = format!("{GOOD}\n{{\"t\":\n{GOOD}\n");
        let mut reader = reader(&text);
        assert!(reader.next().unwrap().is_ok());
        let error = reader.next().unwrap().unwrap_err();
        assert_eq!(error.line, Some(2));
        assert!(error.to_string().starts_with("mem.jsonl:2: not a capture line"), "{error}");
        assert!(reader.next().unwrap().is_ok());
        assert!(reader.next().is_none());
    }

    #[test]
    fn unknown_kinds_and_directions_are_counted() {
        let text = format!(
            "{}\n{}\n{GOOD}",
            GOOD.replace("\"ws\"", "\"udp\""),
            GOOD.replace("\"in\"", "\"sideways\"")
        );
        let mut reader = reader(&text);
        assert_eq!(reader.by_ref().count(), 1);
        assert_eq!(reader.skipped(), 2);
    }

    #[test]
    fn a_line_over_the_limit_is_the_last_error() {
        let text = format!("{GOOD}\n{GOOD}{GOOD}\n{GOOD}\n");
        let mut bounded = reader(&text).line_bytes_max(GOOD.len());
        assert!(bounded.next().unwrap().is_ok());
        let error = bounded.next().unwrap().unwrap_err();
        assert!(error.to_string().contains(":2: the line is longer than the limit of"), "{error}");
        assert!(bounded.next().is_none());
    }

    #[test]
    fn compressed_input_is_seen_by_its_bytes_and_a_cut_one_gives_its_lines_then_an_error() {
        let text = format!("{GOOD}\n").repeat(1_000);
        let packed = zstd::encode_all(text.as_bytes(), 3).unwrap();
        let twice = [packed.clone(), packed.clone()].concat();
        let whole = Reader::new("a", io::Cursor::new(twice)).unwrap();
        assert_eq!(whole.filter(Result::is_ok).count(), 2_000);

        let cut = Reader::new("a", io::Cursor::new(packed[..packed.len() - 3].to_vec())).unwrap();
        let items: Vec<_> = cut.collect();
        let error = items.last().unwrap().as_ref().unwrap_err();
        assert!(error.to_string().contains("reading the capture failed"), "{error}");
    }

    #[test]
    fn a_missing_file_and_a_folder_are_said_so() {
        let folder = tempfile::tempdir().unwrap();
        let error = Reader::open(folder.path().join("none.jsonl")).unwrap_err();
        assert!(error.to_string().contains("check the path"), "{error}");
        let error = Reader::open(folder.path()).unwrap_err();
        assert!(error.to_string().contains("this is a folder"), "{error}");
    }

    #[test]
    fn the_public_captures_are_read_whole() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/captures");
        let Ok(files) = std::fs::read_dir(&folder) else {
            println!("skipped: no captures in {}", folder.display());
            return;
        };
        for path in files.map(|file| file.unwrap().path()) {
            if path.extension().is_some_and(|extension| extension == "jsonl") {
                let lines = std::fs::read_to_string(&path).unwrap().lines().count();
                let mut reader = Reader::open(&path).unwrap();
                assert_eq!(reader.by_ref().map(Result::unwrap).count(), lines);
                assert_eq!(reader.skipped(), 0);
            }
        }
    }
}
