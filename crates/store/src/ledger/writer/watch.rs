//! A second pair of eyes: a database that does not answer at all holds the writer's thread inside one
//! call, where it can't say so itself.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use model::ledger::{LedgerAppend, LedgerReply, Verdict};

use super::Shared;
use crate::ledger::error::LedgerError;
use crate::ledger::storage::{LedgerWrite, Reach};

/// Looked at so many times while a call may last.
const LOOKS: u32 = 4;

/// A database whose calls can be seen to last.
pub(super) struct Timed {
    pub(super) storage: Box<dyn LedgerWrite>,
    pub(super) shared: Arc<Shared>,
}

/// A call is under way for as long as this lives.
struct UnderWay<'a>(&'a Shared);

impl<'a> UnderWay<'a> {
    fn begin(shared: &'a Shared) -> Self {
        *shared.begun() = Some(Instant::now());
        Self(shared)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        *self.0.begun() = None;
    }
}

impl LedgerWrite for Timed {
    fn append(
        &mut self,
        batch: &[LedgerAppend],
        reach: Reach,
    ) -> Result<Vec<Verdict>, LedgerError> {
        let _under_way = UnderWay::begin(&self.shared);
        self.storage.append(batch, reach)
    }

    fn sync(&mut self) -> Result<(), LedgerError> {
        let _under_way = UnderWay::begin(&self.shared);
        self.storage.sync()
    }

    fn recover(&mut self) -> Result<(), LedgerError> {
        let _under_way = UnderWay::begin(&self.shared);
        self.storage.recover()
    }
}

impl Shared {
    fn begun(&self) -> MutexGuard<'_, Option<Instant>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that looks.
pub(super) struct Watch {
    pub(super) shared: Arc<Shared>,
    pub(super) replies: SyncSender<LedgerReply>,
    pub(super) wake: Arc<dyn Fn() + Send + Sync>,
    pub(super) answers_within: Duration,
    /// Nobody sends here: it ends with the writer's thread.
    pub(super) writer: Receiver<()>,
}

impl Watch {
    pub(super) fn run(self) {
        let every = self.answers_within / LOOKS;
        while self.writer.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
            if self.look() {
                (self.wake)();
            }
        }
    }

    /// Whether it was told just now that a call lasts for too long.
    fn look(&self) -> bool {
        // Held until it is told, so that the call's end, and with it the all-clear, comes after.
        let begun = self.shared.begun();
        let mut stuck = self.shared.stuck();
        if stuck.is_some() || begun.is_none_or(|begun| begun.elapsed() < self.answers_within) {
            return false;
        }
        let message = format!(
            "no answer within {:?}; check the server, its network and its disk, it goes on by itself",
            self.answers_within
        );
        let error = LedgerError::reject("the ledger's database", message);
        let told = self.replies.try_send(LedgerReply::Stuck((&error).into()));
        if matches!(told, Err(TrySendError::Full(_))) {
            // The next look tells it.
            return true;
        }
        tracing::error!(%error, "the ledger can't be written: no order leaves until it can");
        *stuck = Some(error);
        true
    }
}
