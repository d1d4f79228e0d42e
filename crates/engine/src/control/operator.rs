//! The way in for operators: from any thread, past every consumer.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::task::Waker;

use model::control::Verdict;
use model::{Error, Remedy};

use super::Command;
use crate::capacity::OPERATOR_COMMANDS_MAX;

/// An ack, or the result of a command whose ack said pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How the command stands.
    pub verdict: Verdict,
    /// The version of a routing table by which it holds.
    pub routing_version: u32,
}

/// Where an operator's answers go: at most two a command, so that there is always room.
#[derive(Clone, Debug)]
pub(crate) struct Reply(SyncSender<Answer>);

impl Reply {
    pub(crate) fn send(&self, answer: Answer) {
        // An operator that does not listen any more is no fault.
        let _ = self.0.try_send(answer);
    }
}

/// For whom, what, and where the answers go.
type Request = (Box<str>, Command, Reply);

/// An operator's end; clones are the same one. Commands that are given before the gateway runs are
/// carried out when it does.
#[derive(Clone, Debug)]
pub struct Operator {
    commands: SyncSender<Request>,
    shard: Arc<OnceLock<Waker>>,
}

/// The shard's end.
#[derive(Debug)]
pub struct OperatorEnd {
    commands: Receiver<Request>,
    /// More may wait than were taken in this turn.
    pub(super) more: bool,
    shard: Arc<OnceLock<Waker>>,
}

/// Both ends.
#[must_use]
pub fn operator() -> (Operator, OperatorEnd) {
    let (sender, receiver) = sync_channel(OPERATOR_COMMANDS_MAX);
    let shard = Arc::new(OnceLock::new());
    let end = OperatorEnd { commands: receiver, more: false, shard: shard.clone() };
    (Operator { commands: sender, shard }, end)
}

impl Operator {
    /// Commands something for a consumer; the answers come out of what is given back: an ack, and a
    /// result where the ack said pending.
    ///
    /// # Errors
    /// [`Remedy::Reject`] where too many commands wait, [`Remedy::Stop`] where the gateway is gone.
    pub fn command(&self, consumer: &str, command: Command) -> Result<Receiver<Answer>, Error> {
        let (send, answers) = sync_channel(2);
        match self.commands.try_send((consumer.into(), command, Reply(send))) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                return Err(Error::reject(format!(
                    "the command was not taken: {OPERATOR_COMMANDS_MAX} others wait"
                )));
            }
            Err(TrySendError::Disconnected(_)) => {
                return Err(Error::new(Remedy::Stop, "the gateway does not run any more"));
            }
        }
        if let Some(waker) = self.shard.get() {
            waker.wake_by_ref();
        }
        Ok(answers)
    }
}

impl OperatorEnd {
    /// Calls the shard for each command from here on; what was given before is taken all the same.
    pub(crate) fn attach(&self, waker: Waker) {
        self.shard.get_or_init(|| waker);
    }

    /// The next command, where there is one.
    pub(super) fn next_command(&mut self) -> Option<Request> {
        self.commands.try_recv().ok()
    }
}
