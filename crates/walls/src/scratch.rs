//! Scratch workspaces that break a ban, and the run of CI's own command over them.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::command::{self, Outcome};
use crate::house;

/// A check of CI may take this long over a scratch workspace, its libraries' first build included.
const LIMIT: Duration = Duration::from_secs(240);

/// A workspace outside the repository.
#[derive(Debug)]
pub struct Scratch {
    root: PathBuf,
    members: Vec<String>,
}

impl Scratch {
    /// An empty workspace in the folder `root`, with the lints and the locked versions of ours.
    ///
    /// # Errors
    /// When a file can't be read or written.
    pub fn new(root: &Path) -> io::Result<Self> {
        fs::copy(house::root().join("Cargo.lock"), root.join("Cargo.lock"))?;
        Ok(Self { root: root.to_path_buf(), members: Vec::new() })
    }

    /// Adds a member in the folder `name`, with `manifest` after its `[package]` and its lints.
    ///
    /// # Errors
    /// When a file can't be written.
    pub fn member(&mut self, name: &str, manifest: &str, lib: &str) -> io::Result<()> {
        self.member_licensed(name, "MIT", manifest, lib)
    }

    /// As [`Scratch::member`], under another license.
    ///
    /// # Errors
    /// When a file can't be written.
    pub fn member_licensed(
        &mut self,
        name: &str,
        license: &str,
        manifest: &str,
        lib: &str,
    ) -> io::Result<()> {
        let package = package(name, license, manifest);
        self.write(
            &format!("{name}/Cargo.toml"),
            &format!("{package}\n[lints]\nworkspace = true\n"),
        )?;
        self.write(&format!("{name}/src/lib.rs"), lib)?;
        self.members.push(name.to_owned());
        Ok(())
    }

    /// Writes the file `path` of the workspace.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write(&self, path: &str, text: &str) -> io::Result<()> {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap_or(&self.root))?;
        fs::write(path, text)
    }

    /// Runs `.ci/checks <check>` over the workspace.
    ///
    /// # Errors
    /// When it can't be run or takes too long.
    pub fn run(&self, check: &str) -> io::Result<Outcome> {
        let mut manifest = String::from("[workspace]\nresolver = \"3\"\nmembers = [");
        for member in &self.members {
            let _written = write!(manifest, "\"{member}\", ");
        }
        manifest.push_str("]\n\n");
        manifest.push_str(&lints(&fs::read_to_string(house::root().join("Cargo.toml"))?));
        self.write("Cargo.toml", &manifest)?;

        let mut command = Command::new(house::root().join(".ci/checks"));
        command.arg(check).arg(self.root.join("Cargo.toml")).current_dir(&self.root);
        // Libraries are built once, not in every run of the tests.
        command.env("CARGO_TARGET_DIR", target().join("walls"));
        command.env("CARGO_TERM_COLOR", "never").env("CARGO_INCREMENTAL", "0");
        command.env_remove("RUSTFLAGS");
        command::run(command, LIMIT)
    }
}

/// The manifest of a package that has no lints.
#[must_use]
pub fn package(name: &str, license: &str, manifest: &str) -> String {
    format!(
        "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
         license = \"{license}\"\npublish = false\n\n{manifest}\n"
    )
}

/// Where this test was built.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| house::root().join("target"), PathBuf::from)
}

/// The sections of `manifest` that set the workspace's lints.
fn lints(manifest: &str) -> String {
    let mut kept = false;
    let mut lints = String::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            kept = line.starts_with("[workspace.lints");
        }
        if kept {
            lints.push_str(line);
            lints.push('\n');
        }
    }
    lints
}

/// The messages of a checker: each begins with a line `error…` or `warning…`.
#[must_use]
pub fn messages(text: &str) -> Vec<String> {
    let mut messages: Vec<String> = Vec::new();
    for line in text.lines() {
        if line.starts_with("error") || line.starts_with("warning") || messages.is_empty() {
            messages.push(String::new());
        }
        if let Some(last) = messages.last_mut() {
            last.push_str(line);
            last.push('\n');
        }
    }
    messages
}
