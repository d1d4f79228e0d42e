//! Where an account's keys are: in files that nobody else can read, or in the environment. What they
//! are is read when a run starts, and nowhere kept.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use venues::signing::Credentials;
use zeroize::Zeroizing;

use super::checked::Reader;
use super::values;

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
        let named = |what: &'static str, source: &SecretSource| {
            source.read().map_err(|why| format!("{what}: {why}"))
        };
        let passphrase = self.passphrase.as_ref().map(|source| named("its passphrase", source));
        let mut passphrase = passphrase.transpose()?;
        let (mut key, mut secret) =
            (named("its API key", &self.api_key)?, named("its secret", &self.secret)?);
        // Moved, not copied: whoever has it wipes it.
        let passphrase = passphrase.as_deref_mut().map(std::mem::take);
        Credentials::new(std::mem::take(&mut *key), std::mem::take(&mut *secret), passphrase)
            .map_err(|error| error.message.into_owned())
    }
}

/// A provider's account, where anything is said of one; what it says must be there and readable.
pub(super) fn read(reader: &mut Reader<'_>, venue: Option<&str>) -> Option<Account> {
    let api_key = secret(reader, "api_key_file", "api_key_env");
    let secret_key = secret(reader, "secret_file", "secret_env");
    let passphrase = secret(reader, "passphrase_file", "passphrase_env");
    let keys = ["api_key_file", "api_key_env", "secret_file", "secret_env"];
    let said = keys.into_iter().chain(["passphrase_file", "passphrase_env"]);
    let first = said.into_iter().find(|key| reader.has(key))?;
    if let Some(venue) = venue.filter(|venue| !venues::registry::trades(venue)) {
        let names = venues::registry::names().into_iter();
        let names: Vec<_> = names.filter(|name| venues::registry::trades(name)).collect();
        let right = format!("no account: orders go to {} only, not to {venue}", names.join(", "));
        reader.fault(first, &right);
    }
    if !keys[..2].iter().any(|key| reader.has(key)) {
        reader.missing(keys[0], "where the venue's name for the key is, beside the others");
    }
    if !keys[2..].iter().any(|key| reader.has(key)) {
        reader.missing(keys[2], "where the secret is, beside the others");
    }
    Some(Account { api_key: api_key?, secret: secret_key?, passphrase })
}

/// A secret that is in a file or in the environment.
fn secret(reader: &mut Reader<'_>, file: &str, variable: &str) -> Option<SecretSource> {
    let in_file = reader.read(file, |node| readable(SecretSource::File(values::path(node)?)));
    let in_environment =
        reader.read(variable, |node| readable(SecretSource::Variable(values::variable(node)?)));
    if reader.has(file) && reader.has(variable) {
        reader.fault(variable, &format!("one of both: {file} stands beside it"));
    }
    in_file.or(in_environment)
}

/// The same, where the secret can be had.
fn readable(source: SecretSource) -> Result<SecretSource, String> {
    let right = match source {
        SecretSource::File(_) => "a file with one secret that its owner alone can read",
        SecretSource::Variable(_) => "a variable with one secret",
    };
    source.read().map(drop).map_err(|why| format!("{right} ({why})"))?;
    Ok(source)
}

impl SecretSource {
    /// The secret, which is wiped wherever it is dropped.
    ///
    /// # Errors
    /// Why it can't be had, and what would be right.
    pub fn read(&self) -> Result<Zeroizing<String>, String> {
        match self {
            Self::File(path) => read_file(path).map_err(|why| format!("{}: {why}", shown(path))),
            Self::Variable(name) => read_variable(name),
        }
    }
}

fn read_variable(name: &str) -> Result<Zeroizing<String>, String> {
    let value = std::env::var_os(name).unwrap_or_default();
    let value = Zeroizing::new(value.into_encoded_bytes());
    match std::str::from_utf8(&value).unwrap_or_default().trim() {
        // Not its name either: somebody may have written the secret itself there.
        "" => Err("no environment variable of that name is set, or it is empty".to_owned()),
        text => Ok(Zeroizing::new(text.to_owned())),
    }
}

/// A path as it may be told: not where it may be the secret itself that somebody has written there,
/// which is so where not even its folder exists.
fn shown(path: &Path) -> String {
    let folder = path.parent().filter(|folder| folder.parent().is_some() && folder.is_dir());
    if path.exists() || folder.is_some() {
        return path.display().to_string();
    }
    "what stands there is no path to a folder that exists, and is not shown, since it may be the \
     secret itself"
        .to_owned()
}

fn read_file(path: &Path) -> Result<Zeroizing<String>, String> {
    let failed = |error: std::io::Error| error.to_string();
    let file = File::open(path).map_err(failed)?;
    let facts = file.metadata().map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = facts.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(format!(
                "others can read it (mode {mode:03o}); make it its owner's alone: chmod 600"
            ));
        }
    }
    if facts.len() > BYTES_MAX {
        return Err(format!("{} bytes are no key", facts.len()));
    }
    // Room for all of it at once: no copy of it is left behind where it grows, and this one is wiped.
    let mut text = Zeroizing::new(String::with_capacity(BYTES_MAX as usize + 1));
    file.take(BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    match text.trim() {
        "" => Err("it is empty".to_owned()),
        text => Ok(Zeroizing::new(text.to_owned())),
    }
}
