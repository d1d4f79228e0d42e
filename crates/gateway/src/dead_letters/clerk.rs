//! The thread that takes dead letters off the shard, keeps them, writes them and shows them.

use std::thread::JoinHandle;
use std::time::Duration;

use engine::Catalog;
use engine::dead_letters::{DeadLetters, Letter};
use model::Nanos;
use store::dead_letters::FilesOptions;

use super::DeadLetterQueue;
use super::disk::Disk;
use super::named::named;
use super::shown::Shown;
use crate::clock::SystemClock;
use crate::config;
use crate::outcome::RunError;

/// So many letters are taken in one go, and so many in each [`REFILL`] after it: a flood must cost
/// neither a core nor the disk. What is not taken is counted by the shard.
const BURST: u32 = 256;
/// Letters that are taken in the time between: 1,000 a second.
const REFILL: (u32, Duration) = (50, Duration::from_millis(50));

/// The thread.
pub(crate) struct Clerk {
    thread: JoinHandle<()>,
}

impl Clerk {
    /// Keeps what comes in that queue until the shard is gone, and writes it where the configuration
    /// says so.
    ///
    /// # Errors
    /// The folder can't be had, or no thread.
    pub(crate) fn start(
        letters: DeadLetters,
        (queue, config): (DeadLetterQueue, &config::DeadLetters),
        catalog: Catalog,
        clock: SystemClock,
    ) -> Result<Self, RunError> {
        let disk = match &config.folder {
            Some(folder) => {
                let (folder, file_bytes_max) = (folder.clone(), config.file_bytes_max as u64);
                let options = FilesOptions { folder, file_bytes_max, files_max: config.files_max };
                let opened = Disk::open(options);
                Some(opened.map_err(|error| RunError::new("dead_letters.folder", error))?)
            }
            None => None,
        };
        let (shown, payload_max) = (Shown::default(), config.payload_max);
        let desk = Desk { queue, catalog, disk, shown, payload_max };
        let thread = std::thread::Builder::new()
            .name("dead-letters".to_owned())
            .spawn(move || work(letters, desk, clock))
            .map_err(|error| RunError::new("a thread for dead letters", error))?;
        Ok(Self { thread })
    }

    /// Waits until all is kept.
    pub(crate) fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!("the thread for dead letters panicked");
        }
    }
}

/// Where letters go.
struct Desk {
    queue: DeadLetterQueue,
    catalog: Catalog,
    disk: Option<Disk>,
    shown: Shown,
    payload_max: usize,
}

impl Desk {
    fn keep(&mut self, letter: Letter, now: Nanos) {
        let reason = letter.content.reason();
        let letter = named(letter, &self.catalog, self.payload_max);
        let letter = self.queue.lock().put(reason.priority(), letter);
        if let Some(disk) = &mut self.disk {
            disk.write(&letter, now);
        }
        self.shown.letter(reason, &letter, now);
    }
}

fn work(mut letters: DeadLetters, mut desk: Desk, clock: SystemClock) {
    letters.attach(engine::doorbell::thread_waker());
    let mut pace = Pace::new(clock.now());
    while !letters.is_closed() {
        let now = clock.now();
        desk.shown.look(now);
        // What is left of a shard that is gone fits the ring.
        let paced = !pace.has_one(now) && !letters.is_abandoned();
        if paced {
            std::thread::park_timeout(REFILL.1);
            continue;
        }
        match letters.take() {
            Some(letter) => {
                pace.spend();
                desk.keep(letter, now);
            }
            None if letters.may_sleep() => match desk.shown.deadline() {
                Some(at) => std::thread::park_timeout(at.since(now)),
                None => std::thread::park(),
            },
            None => {}
        }
    }
    desk.shown.finish();
}

/// How many letters may be taken.
struct Pace {
    left: u32,
    refilled: Nanos,
}

impl Pace {
    fn new(now: Nanos) -> Self {
        Self { left: BURST, refilled: now }
    }

    fn has_one(&mut self, now: Nanos) -> bool {
        let due = now.since(self.refilled).as_nanos() / REFILL.1.as_nanos();
        if due > 0 {
            let due = u32::try_from(due).unwrap_or(BURST);
            self.left = self.left.saturating_add(due.saturating_mul(REFILL.0)).min(BURST);
            self.refilled = now;
        }
        self.left > 0
    }

    fn spend(&mut self) {
        self.left = self.left.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests;
