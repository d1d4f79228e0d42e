//! The ledger in virtual time: what is handed in is written some time later, and what was not
//! written when the process died is gone.

use std::collections::VecDeque;
use std::time::Duration;

use engine::Catalog;
use model::Nanos;
use model::ledger::{LedgerAppend, LedgerReply};
use store::ledger::{LedgerWrite, MemoryLedger, Reach};

use super::Ledger;
use super::reader::{Ask, Told};

/// At most so many facts wait.
const QUEUE_MAX: usize = 1_024;

/// A ledger whose disk takes its time.
#[derive(Debug)]
pub(crate) struct VirtualLedger {
    memory: MemoryLedger,
    catalog: Catalog,
    /// A fact is written so long after it was handed in.
    delay: Duration,
    now: Nanos,
    /// Handed in and not written yet.
    waiting: VecDeque<(Nanos, LedgerAppend)>,
    replies: VecDeque<LedgerReply>,
    told: VecDeque<Told>,
}

impl VirtualLedger {
    /// Over a memory that outlives it.
    pub(crate) fn new(memory: MemoryLedger, catalog: Catalog, delay: Duration) -> Self {
        Self {
            memory,
            catalog,
            delay,
            now: Nanos::default(),
            waiting: VecDeque::new(),
            replies: VecDeque::new(),
            told: VecDeque::new(),
        }
    }

    /// Writes the next fact that is due; whether there was one.
    pub(crate) fn write_next(&mut self, now: Nanos) -> bool {
        self.now = now;
        let Some((_, append)) = self.waiting.pop_front_if(|(at, _)| *at <= now) else {
            return false;
        };
        let seq = append.seq;
        // Memory refuses nothing.
        let verdicts = self.memory.append(&[append], Reach::Disk).unwrap_or_default().into_iter();
        self.replies.extend(verdicts.map(|verdict| LedgerReply::Verdict { seq, verdict }));
        self.replies.push_back(LedgerReply::Written { up_to: seq });
        self.replies.push_back(LedgerReply::Durable { up_to: seq });
        true
    }

    /// When the next fact is written.
    pub(crate) fn deadline(&self) -> Option<Nanos> {
        self.waiting.front().map(|(at, _)| *at)
    }
}

impl Ledger for VirtualLedger {
    fn append(&mut self, append: LedgerAppend) -> Result<(), Box<LedgerAppend>> {
        if self.waiting.len() >= QUEUE_MAX {
            return Err(Box::new(append));
        }
        self.waiting.push_back((self.now + self.delay, append));
        Ok(())
    }

    fn reply(&mut self) -> Option<LedgerReply> {
        self.replies.pop_front()
    }

    fn ask(&mut self, ask: Ask) -> Result<(), Ask> {
        self.told.push_back(super::reader::answer(&mut self.memory, &self.catalog, ask));
        Ok(())
    }

    fn told(&mut self) -> Option<Told> {
        self.told.pop_front()
    }
}
