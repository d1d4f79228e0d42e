//! The ledger in virtual time: what is handed in is written some time later, and what was not
//! written when the process died is gone. Its disk may refuse for a while, with no room for what is
//! handed in meanwhile.

use std::collections::VecDeque;
use std::time::Duration;

use engine::Catalog;
use model::ledger::{LedgerAppend, LedgerReply};
use model::{Error, Nanos};
use store::ledger::{LedgerWrite, MemoryLedger};

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
    /// The disk takes nothing before then.
    refuses_until: Nanos,
    /// It was told that the disk refuses.
    stuck: bool,
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
            refuses_until: Nanos::default(),
            stuck: false,
            replies: VecDeque::new(),
            told: VecDeque::new(),
        }
    }

    /// The disk takes nothing before that.
    pub(crate) fn refuse_until(&mut self, until: Nanos) {
        self.refuses_until = until;
    }

    /// Writes the next fact that is due, or says that it can't; whether there was one.
    pub(crate) fn write_next(&mut self, now: Nanos) -> bool {
        self.now = now;
        let refuses = now < self.refuses_until;
        if self.waiting.front().is_none_or(|(at, _)| *at > now) || (refuses && self.stuck) {
            return false;
        }
        if refuses != self.stuck {
            self.stuck = refuses;
            self.replies.push_back(match refuses {
                true => LedgerReply::Stuck(Error::reject("the disk refuses")),
                false => LedgerReply::Recovered,
            });
            return true;
        }
        let Some((_, append)) = self.waiting.pop_front() else { return false };
        let seq = append.seq;
        // The memory itself refuses nothing.
        let verdicts = self.memory.append(&[append]).unwrap_or_default().into_iter();
        self.replies.extend(verdicts.map(|verdict| LedgerReply::Verdict { seq, verdict }));
        self.replies.push_back(LedgerReply::Written { up_to: seq });
        self.replies.push_back(LedgerReply::Durable { up_to: seq });
        true
    }

    /// When the next fact is written.
    pub(crate) fn deadline(&self) -> Option<Nanos> {
        let due = self.waiting.front().map(|(at, _)| *at);
        due.map(|at| if self.stuck { at.max(self.refuses_until) } else { at })
    }
}

impl Ledger for VirtualLedger {
    fn append(&mut self, append: LedgerAppend) -> Result<(), Box<LedgerAppend>> {
        if self.waiting.len() >= QUEUE_MAX || self.stuck {
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
