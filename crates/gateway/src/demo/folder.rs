//! Where keys and ledger of a demo are: a folder of its own, gone with it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use sim::accounts::Account as SimAccount;

use crate::config::{Account, LedgerConfig, LedgerPlace, OrdersConfig, SecretSource};

/// Tells the demos of one process apart.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// The folder; removed when it is dropped.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// A new one, with the demo account's keys in it as a trader would have them.
    ///
    /// # Errors
    /// It can't be made.
    pub fn make() -> Result<Self, String> {
        let name =
            format!("meltica-demo-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        let failed = |error: std::io::Error| format!("the folder {}: {error}", path.display());
        fs::create_dir(&path).map_err(failed)?;
        let folder = Self(path.clone());
        let SimAccount { api_key, secret, passphrase, .. } = SimAccount::demo();
        for (name, text) in [("key", api_key), ("secret", secret), ("passphrase", passphrase)] {
            write_private(&path.join(name), &text).map_err(failed)?;
        }
        Ok(folder)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The demo account.
    #[must_use]
    pub fn account(&self) -> Account {
        let file = |name: &str| SecretSource::File(self.0.join(name));
        Account {
            api_key: file("key"),
            secret: file("secret"),
            passphrase: Some(file("passphrase")),
        }
    }

    /// Orders, written down in it.
    #[must_use]
    pub fn orders(&self) -> OrdersConfig {
        let place = LedgerPlace::File(self.0.join("ledger.db"));
        let ledger = LedgerConfig { place, ..LedgerConfig::default() };
        OrdersConfig { ledger, ..OrdersConfig::default() }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "the demo's folder stays behind");
        }
    }
}

/// A file that is its owner's alone from the beginning.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)?.write_all(text.as_bytes())
}
