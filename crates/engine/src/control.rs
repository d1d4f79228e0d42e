//! The control bus: commands of consumers and operators in, acks and results out.
//!
//! A consumer commands through its [`Context`](crate::Context), an operator through an [`Operator`]
//! from any thread. Commands are taken at the end of a turn and staged, and the routing table is
//! flipped once for all of them; then each gets its ack. What a venue has to be asked for is pending
//! until the venue has confirmed it or sent something of it, and then gets a result.
//!
//! | file | what it is |
//! | --- | --- |
//! | `command` | what can be commanded |
//! | `desk` | one consumer's commands, what is remembered of them, and its trading switch |
//! | `operator` | the way in for operators |
//! | `check` | whether a subscription can be had |
//! | `subscriptions` | what consumers subscribe, staged for the next flip |
//! | `merged` | merges that live as long as somebody wants them |
//! | `natives` | reference counts and lingers of what is subscribed at the venues |
//! | `trading` | the way of switches and operators to the orders |
//! | `answers` | acks, what is pending, and results |

mod answers;
mod check;
mod command;
mod desk;
mod merged;
mod natives;
mod operator;
mod subscriptions;
mod trading;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use model::control::{Refusal, Verdict};
use model::ledger::OrderKey;
use model::{ConsumerId, Kind, Nanos, ProviderId, Stream};

use crate::capacity::OPERATOR_COMMANDS_MAX;
use crate::route::{Edit, Filter};
use crate::shard::Shard;

use answers::{Off, Pending};
pub(crate) use answers::{Ready, To};
pub use command::{Command, ControlSettings, OrderCommand};
pub(crate) use desk::{Desk, Port, port};
pub use desk::{Rights, Switch};
use merged::Merged;
use natives::Natives;
pub use operator::{Answer, Operator, OperatorEnd, operator};
pub use trading::OFF_WITHIN;

/// Commands taken of one source in one turn; the rest waits for the next.
const COMMANDS_PER_TURN: usize = 64;

/// What a command came to.
struct Done {
    verdict: Verdict,
    /// Of a subscription: what it is in the table, and the streams that it needs of venues.
    wanted: Option<(Arc<Filter>, Vec<Stream>)>,
}

impl From<Verdict> for Done {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, wanted: None }
    }
}

/// The shard's half of the control bus.
#[derive(Debug)]
pub(crate) struct Control {
    settings: ControlSettings,
    desks: Vec<Desk>,
    operators: Option<OperatorEnd>,
    natives: Natives,
    /// What each provider's venue has, where that was said.
    offers: BTreeMap<ProviderId, &'static [Kind]>,
    staged: Option<Edit>,
    /// Merges that were commanded, by name.
    merged: BTreeMap<Box<str>, Merged>,
    pending: Vec<Pending>,
    ready: Vec<Ready>,
    /// Something was heard of a venue since the pending ones were last looked at.
    heard: bool,
    /// Orders are joined: what is commanded about them is for whoever looks after them.
    orders: bool,
    offs: Vec<Off>,
    order_commands: VecDeque<OrderCommand>,
}

impl Default for Control {
    fn default() -> Self {
        let settings = ControlSettings::default();
        Self {
            settings,
            desks: Vec::new(),
            operators: None,
            natives: Natives::new(settings.linger),
            offers: BTreeMap::new(),
            staged: None,
            merged: BTreeMap::new(),
            pending: Vec::new(),
            ready: Vec::new(),
            heard: false,
            orders: false,
            offs: Vec::new(),
            order_commands: VecDeque::new(),
        }
    }
}

impl Control {
    pub(crate) fn set_settings(&mut self, settings: ControlSettings) {
        self.settings = settings;
        self.natives.set_linger(settings.linger);
    }

    pub(crate) fn attach(&mut self, operators: OperatorEnd) {
        self.operators = Some(operators);
    }

    pub(crate) fn add(&mut self, desk: Desk) {
        self.desks.push(desk);
    }

    pub(crate) fn offer(&mut self, provider: ProviderId, kinds: &'static [Kind]) {
        self.offers.insert(provider, kinds);
    }

    /// A stream is wanted whoever else wants it.
    pub(crate) fn pin(&mut self, stream: Stream) {
        self.natives.retain(stream);
    }

    /// The consumers whose commands wait.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = ConsumerId> + '_ {
        self.desks.iter().filter(|desk| desk.has_command()).map(|desk| desk.consumer)
    }

    /// The consumers that were made anew and were not told everything yet.
    pub(crate) fn renewals(&self) -> impl Iterator<Item = &Desk> {
        self.desks.iter().filter(|desk| desk.wants_renewal())
    }

    /// Whether commands of operators may wait that were not taken in the last turn.
    pub(crate) fn operator_waits(&self) -> bool {
        self.operators.as_ref().is_some_and(|end| end.more)
    }

    /// When a turn is wanted though no command waits.
    pub(crate) fn deadline(&self) -> Option<Nanos> {
        let pending = self.pending.iter().map(|pending| pending.until).min();
        [self.natives.deadline(), pending].into_iter().flatten().min()
    }

    pub(crate) fn set_rights(&mut self, consumer: ConsumerId, rights: Rights) {
        if let Some(desk) = self.desk_mut(consumer) {
            desk.rights = rights;
        }
    }

    pub(crate) fn desk(&self, consumer: ConsumerId) -> Option<&Desk> {
        self.desks.iter().find(|desk| desk.consumer == consumer)
    }

    fn desk_mut(&mut self, consumer: ConsumerId) -> Option<&mut Desk> {
        self.desks.iter_mut().find(|desk| desk.consumer == consumer)
    }

    /// Takes one command of a consumer, which must have one that waits. The shard's own control bus
    /// is this one, taken out for the time.
    pub(crate) fn take(&mut self, consumer: ConsumerId, shard: &mut Shard, now: Nanos) {
        let Some(desk) = self.desk_mut(consumer) else { return };
        let Some((id, command)) = desk.next_command() else { return };
        let remembered = desk.remembered(id, &command);
        if let Some(Verdict::Refused(refusal @ Refusal::IdReused)) = remembered {
            shard.bury_command((&desk.name, false), &command, refusal, now);
        }
        let is_repeated = remembered.is_some();
        let verdict = remembered.unwrap_or_else(|| {
            let done = self.carry_out((consumer, false), &command, shard, now);
            let verdict = done.verdict;
            self.await_end(consumer, To::Consumer(consumer, id), done);
            if let Some(desk) = self.desk_mut(consumer) {
                desk.remember(id, command, verdict);
            }
            verdict
        });
        let ack = Ready::ack(To::Consumer(consumer, id), verdict);
        self.ready.push(Ready { is_last: ack.is_last || is_repeated, ..ack });
    }

    /// Takes the commands of operators, as many as are taken in one turn.
    pub(crate) fn take_operators(&mut self, shard: &mut Shard, now: Nanos) {
        for taken in 1..=COMMANDS_PER_TURN {
            let Some(end) = &mut self.operators else { return };
            end.more = false;
            // Offs end within a second; until then no more of them gather than may wait to be taken.
            let waits = |off: &&Off| matches!(off.to, To::Operator(_));
            if self.offs.iter().filter(waits).count() >= OPERATOR_COMMANDS_MAX {
                return;
            }
            let next = end.next_command();
            end.more = next.is_some() && taken == COMMANDS_PER_TURN;
            let Some((name, command, reply)) = next else { return };
            let desk = self.desks.iter().find(|desk| *desk.name == *name);
            let verdict = match desk.map(|desk| desk.consumer) {
                // For all of them, and also where there is none.
                _ if command == Command::Kill => self.kill(&reply, now),
                Some(consumer) => {
                    let done = self.carry_out((consumer, true), &command, shard, now);
                    let verdict = done.verdict;
                    self.await_end(consumer, To::Operator(reply.clone()), done);
                    verdict
                }
                None => {
                    let refusal = Refusal::UnknownConsumer;
                    shard.bury_command((&name.into(), true), &command, refusal, now);
                    Verdict::Refused(refusal)
                }
            };
            self.ready.push(Ready::ack(To::Operator(reply), verdict));
        }
    }

    fn carry_out(
        &mut self,
        (consumer, operator): (ConsumerId, bool),
        command: &Command,
        shard: &mut Shard,
        now: Nanos,
    ) -> Done {
        self.try_out((consumer, operator), command, shard, now).unwrap_or_else(|refusal| {
            let Some(desk) = self.desk(consumer) else { return Verdict::Refused(refusal).into() };
            let (code, why) = (refusal.code(), refusal.text());
            tracing::debug!(consumer = &*desk.name, ?command, code, why, "a command is refused");
            shard.bury_command((&desk.name, operator), command, refusal, now);
            Verdict::Refused(refusal).into()
        })
    }

    fn try_out(
        &mut self,
        (consumer, operator): (ConsumerId, bool),
        command: &Command,
        shard: &mut Shard,
        now: Nanos,
    ) -> Result<Done, Refusal> {
        let desk = self.desk_mut(consumer).ok_or(Refusal::UnknownConsumer)?;
        match command {
            Command::SetTrading(on) => {
                desk.set_trading(*on, operator)?;
                Ok(self.switched(*on, now).into())
            }
            // An operator's kill was carried out before it came here.
            Command::Kill => Err(Refusal::Unauthorised),
            Command::NeverArrived(_) if !operator => Err(Refusal::Unauthorised),
            Command::NeverArrived(id) => {
                let (consumer, client_order_id) = ((*desk.name).into(), (**id).into());
                self.for_orders(OrderCommand::NeverArrived(OrderKey { consumer, client_order_id }))
            }
            _ if !operator && !desk.rights.subscribe => Err(Refusal::Unauthorised),
            // A consumer's own commands are bounded by those that it may have open.
            Command::Subscribe(_) | Command::SubscribeMerged(_)
                if operator && self.pending_of(consumer) >= OPERATOR_COMMANDS_MAX =>
            {
                Err(Refusal::TooManyPending)
            }
            Command::Subscribe(wanted) => self.add_subscription(consumer, wanted, shard, now),
            Command::Unsubscribe(unwanted) => {
                self.remove_subscription(consumer, unwanted, shard, now)?;
                Ok(Verdict::Effective.into())
            }
            Command::SubscribeMerged(spec) => self.add_merged(consumer, spec, shard, now),
            Command::UnsubscribeMerged(name) => {
                self.remove_merged(consumer, name, shard, now);
                Ok(Verdict::Effective.into())
            }
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
