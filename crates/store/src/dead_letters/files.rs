//! Files of dead letters: a new one by size, so many of them, oldest out first.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use model::Nanos;

use super::DeadLetter;
use crate::stamp;

/// What the names of files begin with: `dead-letters-20261103T142501Z-0001.jsonl`, the stamp being
/// that of the first letter. So names sort by time.
const BASE: &str = "dead-letters-";
const EXTENSION: &str = ".jsonl";

/// Where, how large and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilesOptions {
    /// Where; made where it does not exist.
    pub folder: PathBuf,
    /// A file that would grow beyond this is followed by another.
    pub file_bytes_max: u64,
    /// With one more than this, the oldest file is removed.
    pub files_max: usize,
}

/// Writes letters into files, each with one call to the system, so that what was written can be read at
/// once. A restart goes on with the newest file.
#[derive(Debug)]
pub struct Files {
    options: FilesOptions,
    current: Option<(File, PathBuf, u64)>,
}

impl Files {
    /// Makes the folder; the first file comes with the first letter.
    ///
    /// # Errors
    /// When the folder can't be made or looked into.
    pub fn open(options: FilesOptions) -> io::Result<Self> {
        let folder = &options.folder;
        fs::create_dir_all(folder).map_err(at(folder, "making the folder"))?;
        ours(folder)?;
        Ok(Self { options, current: None })
    }

    /// Writes one letter.
    ///
    /// # Errors
    /// When the disk refuses. The letter is not written, or a part of it is, behind which nothing is
    /// ever put; the next one may be tried.
    pub fn write(&mut self, letter: &DeadLetter) -> io::Result<()> {
        let line = Self::line(letter);
        let size = line.len() as u64;
        let fits = |bytes: u64| bytes.saturating_add(size) <= self.options.file_bytes_max;
        let (mut file, path, bytes) = match self.current.take().filter(|(_, _, n)| fits(*n)) {
            Some(current) => current,
            None => self.next(Nanos(letter.t), fits)?,
        };
        file.write_all(&line).map_err(at(&path, "writing"))?;
        self.current = Some((file, path, bytes + size));
        Ok(())
    }

    /// A letter as its line, with the line feed.
    #[must_use]
    pub fn line(letter: &DeadLetter) -> Vec<u8> {
        let mut line = serde_json::to_vec(letter).unwrap_or_default();
        line.push(b'\n');
        line
    }

    /// The newest file where it is whole and has room, else a new one.
    fn next(&self, t: Nanos, fits: impl Fn(u64) -> bool) -> io::Result<(File, PathBuf, u64)> {
        let FilesOptions { folder, files_max, .. } = &self.options;
        let mut files = ours(folder)?;
        if let Some(newest) = files.last()
            && let Some((file, bytes)) = whole(newest).map_err(at(newest, "opening"))?
            && fits(bytes)
        {
            return Ok((file, newest.clone(), bytes));
        }
        let path = free_name(folder, t, files.last())?;
        let file = OpenOptions::new().append(true).create_new(true).open(&path);
        let file = file.map_err(at(&path, "making the file"))?;
        files.push(path.clone());
        for oldest in files.iter().take(files.len().saturating_sub(*files_max)) {
            fs::remove_file(oldest).map_err(at(oldest, "removing"))?;
        }
        Ok((file, path, 0))
    }
}

/// A file to be gone on with, and its length; `None` where its last line is torn, as a kill or a full
/// disk leaves it.
fn whole(path: &Path) -> io::Result<Option<(File, u64)>> {
    let mut file = OpenOptions::new().read(true).append(true).open(path)?;
    let bytes = file.metadata()?.len();
    if bytes == 0 {
        return Ok(Some((file, 0)));
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok((last == *b"\n").then_some((file, bytes)))
}

/// A name that sorts behind the newest one there is, also where the clock was set back.
fn free_name(folder: &Path, t: Nanos, newest: Option<&PathBuf>) -> io::Result<PathBuf> {
    let newest = newest.and_then(|path| path.file_name()?.to_str());
    let own = format!("{BASE}{}", stamp::utc(t));
    // The newest name without its number, where that is later.
    let later = newest.and_then(|name| name.get(..own.len())).filter(|name| *name > own.as_str());
    let begins = later.unwrap_or(&own);
    let names = (1..=9_999).map(|number| format!("{begins}-{number:04}{EXTENSION}"));
    let free = names.into_iter().find(|name| newest.is_none_or(|newest| name.as_str() > newest));
    free.map(|name| folder.join(name)).ok_or_else(|| {
        let message = format!("{}: 9,999 files {begins}-… in one second", folder.display());
        io::Error::other(message)
    })
}

/// The files of a folder that are ours by name, oldest first.
fn ours(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(at(folder, "looking into the folder"))? {
        let path = entry.map_err(at(folder, "looking into the folder"))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| name.starts_with(BASE) && name.ends_with(EXTENSION)) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The files that a path means: itself, or of a folder the dead letters in it, oldest first.
///
/// # Errors
/// When it is not there, or is a folder without any.
pub fn files_of(path: &Path) -> io::Result<Vec<PathBuf>> {
    let meta = fs::metadata(path).map_err(at(path, "opening"))?;
    if !meta.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let files = ours(path)?;
    if files.is_empty() {
        let name = path.display();
        let message = format!("{name}: no file in this folder is called {BASE}…{EXTENSION}");
        return Err(io::Error::new(io::ErrorKind::NotFound, message));
    }
    Ok(files)
}

fn at<'a>(path: &'a Path, doing: &'a str) -> impl Fn(io::Error) -> io::Error + 'a {
    move |error| io::Error::new(error.kind(), format!("{}: {doing}: {error}", path.display()))
}
