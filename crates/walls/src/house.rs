//! Where the house stands and which files belong to it.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that hold nothing written by us; in a git worktree `.git` is a file.
const FOREIGN: [&str; 4] = ["target", ".git", "captures", "node_modules"];

/// A file of the repository.
#[derive(Clone, Debug)]
pub struct File {
    /// From the root, with forward slashes: `crates/model/src/lib.rs`.
    pub path: String,
    /// The contents.
    pub text: String,
}

/// The root of the workspace.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// All text files of the repository, in the order of their paths.
///
/// # Panics
/// When a folder can't be read.
#[must_use]
pub fn files() -> Vec<File> {
    let root = root();
    let mut found = Vec::new();
    walk(&root, &root, &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn walk(root: &Path, folder: &Path, found: &mut Vec<File>) {
    #[expect(clippy::panic, reason = "a rule that can't read the house must not pass")]
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if FOREIGN.iter().any(|foreign| name == **foreign) {
            continue;
        }
        if path.is_dir() {
            walk(root, &path, found);
        } else if let (Ok(text), Ok(relative)) =
            (fs::read_to_string(&path), path.strip_prefix(root))
        {
            // What is no UTF-8 is no source.
            found.push(File { path: relative.to_string_lossy().replace('\\', "/"), text });
        }
    }
}
