//! A second pair of eyes: a database that does not answer at all holds the writer's thread inside one
//! call, where it can't say so itself.

use std::sync::mpsc::{Receiver, RecvTimeoutError, TrySendError};
use std::sync::{MutexGuard, PoisonError};
use std::time::Instant;

use model::ledger::LedgerReply;

use super::Shared;
use super::voice::Voice;
use crate::ledger::error::LedgerError;

/// Looked at so many times while a call may last.
const LOOKS: u32 = 4;

/// Whose call of the database it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Call {
    Write,
    Sync,
}

/// A call of the database is under way for as long as this lives.
pub(super) struct UnderWay<'a>(&'a Shared, Call);

impl<'a> UnderWay<'a> {
    pub(super) fn begin(shared: &'a Shared, call: Call) -> Self {
        shared.begun()[call as usize] = Some(Instant::now());
        Self(shared, call)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.begun()[self.1 as usize] = None;
    }
}

impl Shared {
    /// Since when each sort of call lasts.
    pub(super) fn begun(&self) -> MutexGuard<'_, [Option<Instant>; 2]> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that looks.
pub(super) struct Watch {
    pub(super) voice: Voice,
    /// Nobody sends here: it ends with the writer's thread.
    pub(super) writer: Receiver<()>,
}

impl Watch {
    pub(super) fn run(self) {
        let every = self.voice.answers_within / LOOKS;
        while self.writer.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
            if self.look() {
                (self.voice.wake)();
            }
        }
    }

    /// Whether it was told just now that a call lasts for too long.
    fn look(&self) -> bool {
        let Voice { shared, replies, answers_within, .. } = &self.voice;
        // Held until it is told, so that the call's end, and with it the all-clear, comes after.
        let begun = shared.begun();
        let mut stuck = shared.stuck();
        let late = begun.iter().flatten().any(|begun| begun.elapsed() >= *answers_within);
        if stuck.is_some() || !late {
            return false;
        }
        let message = format!(
            "no answer within {answers_within:?}; check the server, its network and its disk, it goes \
             on by itself"
        );
        let error = LedgerError::reject("the ledger's database", message);
        let told = replies.try_send(LedgerReply::Stuck((&error).into()));
        if matches!(told, Err(TrySendError::Full(_))) {
            // The next look tells it.
            return true;
        }
        tracing::error!(%error, "the ledger can't be written: no order leaves until it can");
        *stuck = Some(error);
        true
    }
}
