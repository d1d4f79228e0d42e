//! What a command is answered: at once where it can be, and later where it waits for its venues.

use std::sync::Arc;

use model::control::{Refusal, Verdict, Waiting};
use model::{Body, CommandId, ConsumerId, ControlAck, ControlResult, InstrumentId, Kind, Nanos};
use model::{ProviderId, Stream};

use super::natives::Standing;
use super::{Control, Desk, Done, operator};
use crate::route::Filter;

/// Who gets an answer.
#[derive(Debug)]
pub(crate) enum To {
    /// A consumer, about the command of that id.
    Consumer(ConsumerId, CommandId),
    /// An operator.
    Operator(operator::Reply),
}

/// An answer that is ready, to be sent after the flip.
#[derive(Debug)]
pub(crate) struct Ready {
    pub to: To,
    pub verdict: Verdict,
    /// The result of a command whose ack said pending.
    pub is_result: bool,
    /// Whether no other answer follows: the result of a command that is pending comes once, however
    /// often it was repeated.
    pub is_last: bool,
}

impl Ready {
    pub(super) fn ack(to: To, verdict: Verdict) -> Self {
        let is_last = !matches!(verdict, Verdict::Pending { .. });
        Self { to, verdict, is_result: false, is_last }
    }

    pub(super) fn result(to: To, verdict: Verdict) -> Self {
        Self { to, verdict, is_result: true, is_last: true }
    }

    /// The answer as an event's kind and body, for a consumer.
    pub(crate) fn body(&self, command: CommandId) -> (Kind, Body) {
        let verdict = self.verdict;
        if self.is_result {
            (Kind::ControlResult, Body::Result(ControlResult { command, verdict }))
        } else {
            (Kind::ControlAck, Body::Ack(ControlAck { command, verdict }))
        }
    }
}

/// A subscription that waits for its venues.
#[derive(Debug)]
pub(super) struct Pending {
    consumer: ConsumerId,
    to: To,
    filter: Arc<Filter>,
    waiting: Vec<Stream>,
    pub(super) until: Nanos,
}

/// A switch was thrown off, and somebody waits until nothing leaves any more.
#[derive(Debug)]
pub(super) struct Off {
    pub(super) to: To,
    /// Whoever looks after the orders has seen that it is off.
    pub(super) seen: bool,
}

impl Control {
    /// How many commands of operators are pending for a consumer.
    pub(super) fn pending_of(&self, consumer: ConsumerId) -> usize {
        let own = self.pending.iter().filter(|pending| pending.consumer == consumer);
        own.filter(|pending| matches!(pending.to, To::Operator(_))).count()
    }

    /// Ends what is pending of a subscription that is gone.
    pub(super) fn withdraw(&mut self, consumer: ConsumerId, filter: &Filter) {
        let Self { pending, desks, ready, .. } = self;
        end_pending(pending, (desks, ready), |pending| {
            let own = pending.consumer == consumer && *pending.filter == *filter;
            own.then_some(Err(Refusal::Withdrawn))
        });
    }

    /// Keeps a command whose end is still to come.
    pub(super) fn await_end(&mut self, consumer: ConsumerId, to: To, done: Done) {
        match (done.verdict, done.wanted) {
            (Verdict::Pending { until, .. }, Some((filter, waiting))) => {
                self.pending.push(Pending { consumer, to, filter, waiting, until });
                self.heard = true;
            }
            (Verdict::Pending { why: Waiting::Orders, .. }, None) => {
                self.offs.push(Off { to, seen: false });
            }
            _ => {}
        }
    }

    /// Gives up what has lingered long enough, and looks what has become of pending commands.
    pub(crate) fn look(&mut self, now: Nanos) {
        self.natives.expire(now);
        let overdue = self.pending.iter().any(|pending| pending.until <= now);
        if !std::mem::take(&mut self.heard) && !overdue {
            return;
        }
        let Self { natives, pending, desks, ready, .. } = self;
        let standing = |stream: &Stream| natives.standing(*stream);
        end_pending(pending, (desks, ready), |pending| {
            pending.waiting.retain(|stream| standing(stream) != Some(Standing::Confirmed));
            if pending.waiting.is_empty() {
                Some(Ok(()))
            } else if pending.waiting.iter().any(|s| standing(s) == Some(Standing::Refused)) {
                Some(Err(Refusal::UnknownAtVenue))
            } else {
                (pending.until <= now).then_some(Err(Refusal::VenueSilent))
            }
        });
    }

    /// Whether answers are ready that were not sent with the last turn.
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The answers that are ready.
    pub(crate) fn ready(&mut self) -> Vec<Ready> {
        std::mem::take(&mut self.ready)
    }

    /// The venue has confirmed a stream, or sent something of it.
    pub(crate) fn confirmed(&mut self, stream: Stream) {
        self.heard |= self.natives.confirm(stream);
    }

    /// The venue has not got an instrument.
    pub(crate) fn refused(&mut self, provider: ProviderId, instrument: InstrumentId) {
        self.heard |= self.natives.refuse(provider, instrument);
    }
}

/// Ends those of which `end` says how.
fn end_pending(
    pending: &mut Vec<Pending>,
    (desks, ready): (&mut Vec<Desk>, &mut Vec<Ready>),
    mut end: impl FnMut(&mut Pending) -> Option<Result<(), Refusal>>,
) {
    let mut n = 0;
    while let Some(one) = pending.get_mut(n) {
        let Some(ended) = end(one) else {
            n += 1;
            continue;
        };
        let to = pending.remove(n).to;
        let verdict = ended.map_or_else(Verdict::Refused, |()| Verdict::Effective);
        settle(desks, &to, verdict);
        ready.push(Ready::result(to, verdict));
    }
}

/// Keeps how a command has ended, for when it is commanded again.
pub(super) fn settle(desks: &mut [Desk], to: &To, verdict: Verdict) {
    if let To::Consumer(consumer, id) = to
        && let Some(desk) = desks.iter_mut().find(|desk| desk.consumer == *consumer)
    {
        desk.settle(*id, verdict);
    }
}
