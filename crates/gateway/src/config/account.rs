//! Where an account's keys are: in files that nobody else can read, or in the environment. What they
//! are is read when a run starts, and nowhere kept.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use venues::signing::Credentials;

/// Larger files hold no key.
const BYTES_MAX: u64 = 16 * 1_024;

/// Where one secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// In a file, which must be its owner's alone.
    File(PathBuf),
    /// In the environment variable of that name.
    Variable(String),
}

/// An account at a venue: a provider that has one trades.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The venue's name for the key.
    pub api_key: SecretSource,
    /// The secret, or an Ed25519 private key in PEM.
    pub secret: SecretSource,
    /// Where the venue has one.
    pub passphrase: Option<SecretSource>,
}

impl Account {
    /// The keys themselves.
    ///
    /// # Errors
    /// What can't be read or can't be a key, and what would be right; never what stands there.
    pub fn read(&self) -> Result<Credentials, String> {
        let passphrase = self.passphrase.as_ref().map(SecretSource::read).transpose()?;
        Credentials::new(self.api_key.read()?, self.secret.read()?, passphrase)
            .map_err(|error| error.message)
    }
}

impl SecretSource {
    /// The secret.
    ///
    /// # Errors
    /// Why it can't be had, and what would be right.
    pub fn read(&self) -> Result<String, String> {
        match self {
            Self::File(path) => read_file(path),
            Self::Variable(name) => match std::env::var(name) {
                Ok(value) if !value.trim().is_empty() => Ok(value.trim().to_owned()),
                _ => Err(format!("the environment variable {name} is not set, or empty")),
            },
        }
    }
}

fn read_file(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file = File::open(path).map_err(failed)?;
    let facts = file.metadata().map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = facts.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(format!(
                "{}: others can read it (mode {mode:03o}); make it its owner's alone: chmod 600",
                path.display()
            ));
        }
    }
    if facts.len() > BYTES_MAX {
        return Err(format!("{}: {} bytes are no key", path.display(), facts.len()));
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(format!("{}: it is empty", path.display()));
    }
    Ok(trimmed.to_owned())
}
