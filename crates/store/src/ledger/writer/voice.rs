//! What the ledger's threads say: to the engine, and to the operator.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

use model::ledger::LedgerReply;

use super::Shared;
use crate::ledger::error::LedgerError;

/// The way to the engine, of each thread.
#[derive(Clone)]
pub(super) struct Voice {
    pub(super) shared: Arc<Shared>,
    pub(super) replies: SyncSender<LedgerReply>,
    pub(super) wake: Arc<dyn Fn() + Send + Sync>,
    /// A call that lasts longer is told as one that failed.
    pub(super) answers_within: Duration,
}

impl Voice {
    /// Waits where there is no room, but not before the engine was told to make some. Where nobody
    /// listens any more nothing is said; what is written stays written.
    pub(super) fn reply(&self, message: LedgerReply) {
        if let Err(TrySendError::Full(message)) = self.replies.try_send(message) {
            (self.wake)();
            let _ = self.replies.send(message);
        }
    }

    /// Everything up to there is as durable as the mode promises.
    pub(super) fn durable(&self, up_to: u64) {
        self.shared.durable_up_to.fetch_max(up_to, Ordering::Release);
        self.reply(LedgerReply::Durable { up_to });
        (self.wake)();
    }

    /// Tells the engine and the operator why nothing can be written, once for as long as that stays the
    /// same.
    pub(super) fn stuck(&self, error: &LedgerError) {
        self.shared.failures.fetch_add(1, Ordering::Relaxed);
        let mut stuck = self.shared.stuck();
        if stuck.as_ref() == Some(error) {
            return;
        }
        *stuck = Some(error.clone());
        drop(stuck);
        tracing::error!(%error, "the ledger can't be written, it is tried again: no order leaves until it can");
        self.reply(LedgerReply::Stuck(error.into()));
        (self.wake)();
    }

    /// A call has succeeded. Tells the engine and the operator that it works again, where they were told
    /// that it does not, unless another call still lasts for too long.
    pub(super) fn relieve(&self) {
        let begun = self.shared.begun();
        let late = begun.iter().flatten().any(|begun| begun.elapsed() >= self.answers_within);
        if late || self.shared.stuck().take().is_none() {
            return;
        }
        drop(begun);
        tracing::info!("the ledger can be written again");
        self.reply(LedgerReply::Recovered);
    }
}
