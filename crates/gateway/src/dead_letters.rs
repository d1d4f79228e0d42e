//! The dead-letter queue: what could not be used or was not delivered is kept, written and shown, on a
//! thread of its own.
//!
//! | file | what it is |
//! | --- | --- |
//! | `clerk` | the thread: takes letters off the shard, no more a second than it may |
//! | `queue` | what is kept in memory, and what goes first where there is no room |
//! | `named` | a letter of the engine with names for its numbers |
//! | `redact` | what may be a secret is taken out of payloads |
//! | `disk` | files, and what happens when the disk refuses |
//! | `shown` | at most one line a second in the log for each source |
//! | `filter` | which letters somebody wants to see |

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use store::dead_letters::DeadLetter;

use crate::config;

mod clerk;
mod disk;
mod filter;
mod named;
mod queue;
mod redact;
mod shown;

pub(crate) use clerk::Clerk;
pub use filter::{Filter, Since};

use queue::Queue;

/// The letters of a run, to be looked at from any thread while it lasts and after it; clones are the
/// same queue.
#[derive(Clone, Debug)]
pub struct DeadLetterQueue(Arc<Mutex<Queue>>);

/// What is in the queue at one moment.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DeadLetterSnapshot {
    /// The newest of those that were asked for, oldest first.
    pub letters: Vec<Arc<DeadLetter>>,
    /// How many there are of those that were asked for.
    pub matched: u64,
    /// How many letters are in the queue.
    pub entries: usize,
    /// About how much memory they take.
    pub bytes: usize,
    /// How many were in it and went, since others needed their place.
    pub evicted: u64,
}

impl DeadLetterQueue {
    /// An empty one with those bounds.
    #[must_use]
    pub fn new(config: &config::DeadLetters) -> Self {
        Self(Arc::new(Mutex::new(Queue::new(config.entries_max, config.bytes_max))))
    }

    /// The newest `tail` of the letters that the filter lets through. All of one moment: what is put
    /// in meanwhile is in the next one.
    #[must_use]
    pub fn snapshot(&self, filter: &Filter, tail: usize) -> DeadLetterSnapshot {
        let queue = self.lock();
        let mut letters: Vec<_> = queue.iter().filter(|letter| filter.admits(letter)).collect();
        let (entries, bytes, evicted) = (queue.len(), queue.bytes(), queue.evicted());
        drop(queue);
        letters.sort_unstable_by_key(|letter| letter.seq);
        let matched = letters.len() as u64;
        let letters = letters.split_off(letters.len().saturating_sub(tail));
        DeadLetterSnapshot { letters, matched, entries, bytes, evicted }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
