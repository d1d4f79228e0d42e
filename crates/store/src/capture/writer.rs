//! Writes captures, a new file by size or age.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::Nanos;

use super::error::CaptureError;
use super::line::{self, LineRef};
use crate::stamp;

/// How files are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Naming {
    /// This one file, never a second.
    File(PathBuf),
    /// `folder/base-20261103T142501Z-1.jsonl`, the stamp being the first line's. The number at the
    /// end makes names unique where files of one second meet.
    Stamped {
        /// Where; made where it does not exist.
        folder: PathBuf,
        /// What the names begin with.
        base: String,
    },
}

/// How captures are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriterOptions {
    /// How files are called.
    pub naming: Naming,
    /// Whether files are compressed (zstd). A [`Naming::File`] goes by its name.
    pub compress: bool,
    /// A file that would grow beyond this is ended first. Counted before compression.
    pub file_bytes_max: u64,
    /// A file is ended when a line comes this long after its first.
    pub file_age_max: Duration,
}

impl WriterOptions {
    /// One file, compressed when its name ends in `.zst`, without bounds.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self {
            compress: path.extension().is_some_and(|extension| extension == "zst"),
            naming: Naming::File(path),
            file_bytes_max: u64::MAX,
            file_age_max: Duration::MAX,
        }
    }

    /// Compressed files in a folder, a new one after 1 GiB of lines or an hour.
    pub fn stamped(folder: impl Into<PathBuf>, base: impl Into<String>) -> Self {
        Self {
            naming: Naming::Stamped { folder: folder.into(), base: base.into() },
            compress: true,
            file_bytes_max: 1_024 * 1_024 * 1_024,
            file_age_max: Duration::from_secs(3_600),
        }
    }
}

/// What a writer wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriterReport {
    /// How many lines.
    pub lines: u64,
    /// How many bytes, before compression.
    pub bytes: u64,
    /// How many files.
    pub files: u64,
    /// The last of them, at most [`FILES_NAMED_MAX`], oldest first.
    pub paths: VecDeque<PathBuf>,
}

/// A report names at most this many files.
pub const FILES_NAMED_MAX: usize = 1_000;

/// Writes lines into files.
///
/// A file is called `….part` until it is whole, and no existing file is ever overwritten: what
/// carries its final name can be read to its end. A `.part` left by a kill can be read up to the
/// last [`flush`](Self::flush).
#[derive(Debug)]
pub struct Writer {
    options: WriterOptions,
    current: Option<Current>,
    scratch: Vec<u8>,
    report: WriterReport,
}

impl Writer {
    /// A writer that makes its first file with the first line, and the folder now.
    ///
    /// # Errors
    /// When the folder can't be made, or the one file exists already.
    pub fn new(options: WriterOptions) -> Result<Self, CaptureError> {
        match &options.naming {
            Naming::File(path) => free(path)?,
            Naming::Stamped { folder, .. } => fs::create_dir_all(folder)
                .map_err(|error| CaptureError::io(folder, None, "making the folder", &error))?,
        }
        Ok(Self { options, current: None, scratch: Vec::new(), report: WriterReport::default() })
    }

    /// Writes one line; its `t` decides about the file's age.
    ///
    /// # Errors
    /// When the disk refuses. The file is in doubt then: write no more to it.
    pub fn write(&mut self, line: &LineRef<'_>) -> Result<(), CaptureError> {
        self.scratch.clear();
        line::write(line, &mut self.scratch)
            .map_err(|message| CaptureError::new(&self.path(), None, message))?;
        let size = self.scratch.len() as u64;
        if self.current.as_ref().is_some_and(|current| self.is_full(current, line.t, size)) {
            self.end_file()?;
        }
        let current = match &mut self.current {
            Some(current) => current,
            none => none.insert(Current::begin(&self.options, line.t)?),
        };
        current.write(&self.scratch)?;
        self.report.lines += 1;
        self.report.bytes += size;
        Ok(())
    }

    /// Hands everything written so far to the operating system, readable by others.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn flush(&mut self) -> Result<(), CaptureError> {
        let Some(current) = &mut self.current else { return Ok(()) };
        let flushed = current.sink.flush();
        flushed.map_err(|error| CaptureError::io(&current.part, None, "flushing", &error))
    }

    /// Ends the last file and says what was written.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(mut self) -> Result<WriterReport, CaptureError> {
        self.end_file()?;
        Ok(self.report)
    }

    /// What was written so far; a file counts once it is whole.
    #[must_use]
    pub fn report(&self) -> &WriterReport {
        &self.report
    }

    fn is_full(&self, current: &Current, now: Nanos, size: u64) -> bool {
        matches!(self.options.naming, Naming::Stamped { .. })
            && (current.bytes.saturating_add(size) > self.options.file_bytes_max
                || now.since(current.begun) >= self.options.file_age_max)
    }

    fn end_file(&mut self) -> Result<(), CaptureError> {
        let Some(current) = self.current.take() else { return Ok(()) };
        let path = current.end()?;
        self.report.files += 1;
        if self.report.paths.len() == FILES_NAMED_MAX {
            self.report.paths.pop_front();
        }
        self.report.paths.push_back(path);
        Ok(())
    }

    /// What an error is about: the open file, else where files go.
    fn path(&self) -> PathBuf {
        match (&self.current, &self.options.naming) {
            (Some(current), _) => current.part.clone(),
            (None, Naming::File(path) | Naming::Stamped { folder: path, .. }) => path.clone(),
        }
    }
}

/// A file that is being written.
#[derive(Debug)]
struct Current {
    part: PathBuf,
    path: PathBuf,
    sink: Sink,
    begun: Nanos,
    bytes: u64,
}

impl Current {
    fn begin(options: &WriterOptions, now: Nanos) -> Result<Self, CaptureError> {
        let path = match &options.naming {
            Naming::File(path) => path.clone(),
            Naming::Stamped { folder, base } => free_name(folder, base, now, options.compress)?,
        };
        free(&path)?;
        let part = part_of(&path);
        let opened = OpenOptions::new().write(true).create_new(true).open(&part);
        let sink = opened.and_then(|file| Sink::new(file, options.compress));
        let sink =
            sink.map_err(|error| CaptureError::io(&part, None, "making the capture file", &error))?;
        Ok(Self { part, path, sink, begun: now, bytes: 0 })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), CaptureError> {
        let written = self.sink.write_all(bytes);
        written.map_err(|error| CaptureError::io(&self.part, None, "writing", &error))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Ends the file and gives it its final name.
    fn end(self) -> Result<PathBuf, CaptureError> {
        let Self { part, path, sink, .. } = self;
        let ended = sink.end();
        ended.map_err(|error| CaptureError::io(&part, None, "ending the capture file", &error))?;
        free(&path)?;
        fs::rename(&part, &path)
            .map_err(|error| CaptureError::io(&path, None, "naming the capture file", &error))?;
        Ok(path)
    }
}

/// The first name of its second that neither a whole nor an unfinished file has.
fn free_name(
    folder: &Path,
    base: &str,
    now: Nanos,
    compress: bool,
) -> Result<PathBuf, CaptureError> {
    let stamp = stamp::utc(now);
    let extension = if compress { "jsonl.zst" } else { "jsonl" };
    (1..=10_000_u32)
        .map(|number| folder.join(format!("{base}-{stamp}-{number}.{extension}")))
        .find(|path| !path.exists() && !part_of(path).exists())
        .ok_or_else(|| {
            let message = format!("10,000 files {base}-{stamp}-… exist; let files grow larger");
            CaptureError::new(folder, None, message)
        })
}

fn free(path: &Path) -> Result<(), CaptureError> {
    if path.exists() {
        let message = "the file exists; captures are never overwritten, choose another name";
        return Err(CaptureError::new(path, None, message));
    }
    Ok(())
}

fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

enum Sink {
    Plain(BufWriter<File>),
    Zstd(zstd::stream::write::Encoder<'static, BufWriter<File>>),
}

impl Sink {
    fn new(file: File, compress: bool) -> io::Result<Self> {
        let file = BufWriter::new(file);
        if !compress {
            return Ok(Self::Plain(file));
        }
        let mut encoder = zstd::stream::write::Encoder::new(file, 3)?;
        encoder.include_checksum(true)?;
        Ok(Self::Zstd(encoder))
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.write_all(bytes),
            Self::Zstd(encoder) => encoder.write_all(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }

    fn end(self) -> io::Result<()> {
        let file = match self {
            Self::Plain(file) => file,
            Self::Zstd(encoder) => encoder.finish()?,
        };
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Zstd(_) => "Zstd",
        })
    }
}

#[cfg(test)]
#[path = "writer/tests.rs"]
mod tests;
