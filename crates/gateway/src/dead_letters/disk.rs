//! Letters to files; a disk that refuses is told once, and tried again.

use std::io;
use std::time::Duration;

use model::Nanos;
use store::dead_letters::{DeadLetter, Files, FilesOptions};

/// A disk that has refused is tried again after so long.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// The files, and how they do.
#[derive(Debug)]
pub(super) struct Disk {
    files: Files,
    refused: Option<Refused>,
}

/// Nothing is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Refused {
    again_at: Nanos,
    /// Letters that are in memory alone.
    missed: u64,
}

impl Disk {
    /// Files in a folder, which is made.
    ///
    /// # Errors
    /// When it can't be made or looked into.
    pub(super) fn open(options: FilesOptions) -> io::Result<Self> {
        Ok(Self { files: Files::open(options)?, refused: None })
    }

    /// Writes a letter where the disk takes it.
    pub(super) fn write(&mut self, letter: &DeadLetter, now: Nanos) {
        if let Some(refused) = self.refused.as_mut().filter(|refused| now < refused.again_at) {
            refused.missed += 1;
            return;
        }
        match (self.files.write(letter), self.refused) {
            (Ok(()), None) => {}
            (Ok(()), Some(Refused { missed, .. })) => {
                tracing::info!(
                    missed,
                    "dead letters are written again; so many are in memory alone"
                );
                self.refused = None;
            }
            (Err(error), before) => {
                if before.is_none() {
                    tracing::error!(%error, "dead letters are not written; they are kept in memory");
                }
                let missed = before.map_or(0, |refused| refused.missed) + 1;
                self.refused = Some(Refused { again_at: now + AGAIN_AFTER, missed });
            }
        }
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use store::dead_letters::{files_of, read};

    #[test]
    fn a_full_disk_costs_the_letters_of_its_time_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().to_owned();
        let options =
            FilesOptions { folder: folder.clone(), file_bytes_max: 1_000_000, files_max: 3 };
        let mut disk = Disk::open(options).unwrap();
        let full = folder.join("dead-letters-20000101T000000Z-0001.jsonl");
        std::os::unix::fs::symlink("/dev/full", &full).unwrap();
        let second = |s: u64| Nanos(s * 1_000_000_000);
        let letter = |seq| DeadLetter { seq, ..DeadLetter::default() };
        disk.write(&letter(1), second(100));
        disk.write(&letter(2), second(101));
        assert_eq!(disk.refused, Some(Refused { again_at: second(110), missed: 2 }));
        disk.write(&letter(3), second(110));
        assert_eq!(disk.refused, Some(Refused { again_at: second(120), missed: 3 }));
        std::fs::remove_file(full).unwrap();
        disk.write(&letter(4), second(119));
        disk.write(&letter(5), second(120));
        assert_eq!(disk.refused, None);
        let mut seqs = Vec::new();
        read(&files_of(&folder).unwrap()[0], &mut |letter| seqs.push(letter.seq)).unwrap();
        assert_eq!(seqs, [5]);
    }
}
