//! Errors that say what the caller must do about them.

use std::borrow::Cow;
use std::fmt;

/// What whoever receives an [`Error`] must do. Ordered by reach: each affects more than the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Remedy {
    /// Count it and go on; nothing else is touched.
    Ignore,
    /// Refuse this one request or command and tell who asked.
    Reject,
    /// The stream's state is in doubt: rebuild it from the venue.
    Resync,
    /// The connection can't be trusted any more: close it and open another.
    Reconnect,
    /// Nothing can go on from here without an operator.
    Stop,
}

impl Remedy {
    /// Lower-case name, as it stands in logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ignore => "ignore",
            Self::Reject => "reject",
            Self::Resync => "resync",
            Self::Reconnect => "reconnect",
            Self::Stop => "stop",
        }
    }
}

/// What was wrong, in words, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What the receiver must do.
    pub remedy: Remedy,
    /// What was wrong and what would have been right.
    pub message: Cow<'static, str>,
}

impl Error {
    /// An error with any remedy.
    pub fn new(remedy: Remedy, message: impl Into<Cow<'static, str>>) -> Self {
        Self { remedy, message: message.into() }
    }

    /// Harmless: to be counted, nothing more.
    pub fn ignore(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Remedy::Ignore, message)
    }

    /// The request that caused it is refused.
    pub fn reject(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Remedy::Reject, message)
    }

    /// The stream has to be rebuilt.
    pub fn resync(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Remedy::Resync, message)
    }

    /// The connection has to be replaced.
    pub fn reconnect(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Remedy::Reconnect, message)
    }

    /// An operator is needed.
    pub fn stop(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Remedy::Stop, message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (remedy: {})", self.message, self.remedy.name())
    }
}

impl std::error::Error for Error {}
