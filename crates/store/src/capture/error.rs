//! What can go wrong with a capture, said with the file, the line and the way out.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A capture could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureError {
    /// Which file or folder.
    pub path: PathBuf,
    /// Which line, counted from 1, where it is about one.
    pub line: Option<u64>,
    /// What was wrong and what would have been right.
    pub message: String,
}

impl CaptureError {
    pub(crate) fn new(path: &Path, line: Option<u64>, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }

    /// An error of the operating system, with what was being done and what to do about it.
    pub(crate) fn io(path: &Path, line: Option<u64>, doing: &str, error: &io::Error) -> Self {
        let hint = match error.kind() {
            io::ErrorKind::NotFound => "; check the path",
            io::ErrorKind::PermissionDenied => "; give this user access or choose another folder",
            io::ErrorKind::StorageFull => "; free some space or choose another disk",
            io::ErrorKind::AlreadyExists => "; captures are never overwritten, choose another name",
            io::ErrorKind::IsADirectory => "; this is a folder, name a file in it",
            _ => "",
        };
        Self::new(path, line, format!("{doing} failed: {error}{hint}"))
    }
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for CaptureError {}
