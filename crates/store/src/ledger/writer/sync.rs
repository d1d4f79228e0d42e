//! The thread that syncs, beside the one that writes: what comes while a request is synced is written, and
//! a report told, before that is over.

use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Weak};

use super::Work;
use super::progress::{Progress, Step};
use super::voice::Voice;
use super::watch::{Call, UnderWay};
use crate::ledger::error::LedgerError;
use crate::ledger::storage::LedgerSync;

/// Where calls of the disk go.
pub(super) type Side = Box<dyn LedgerSync>;

/// The thread.
pub(super) struct Syncer {
    pub(super) side: Side,
    pub(super) progress: Arc<Progress<Side, LedgerError>>,
    pub(super) voice: Voice,
    /// Whoever recovers is woken by way of its queue.
    pub(super) writer: Weak<SyncSender<Work>>,
}

impl Syncer {
    pub(super) fn run(mut self) {
        loop {
            let step = self.progress.begin(&mut self.side);
            let under_way = UnderWay::begin(&self.voice.shared, Call::Sync);
            let result = match step {
                Step::Sync { .. } => self.side.sync(),
                Step::Tidy => self.side.tidy(),
                Step::End | Step::Wait(_) => return,
            };
            drop(under_way);
            if let (Step::Sync { up_to }, Ok(())) = (step, &result) {
                self.voice.relieve();
                self.voice.durable(up_to);
            }
            let failed = result.err();
            let wakes = failed.is_some();
            // What is durable was told before: whoever holds the disk's calls may say that it is stuck.
            self.progress.done(failed);
            if wakes && let Some(queue) = self.writer.upgrade() {
                // Where the queue is full, the writer looks without being told.
                let _ = queue.try_send(None);
            }
        }
    }
}
