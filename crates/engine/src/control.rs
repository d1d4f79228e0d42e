//! The control bus: commands of consumers and operators in, acks and results out.
//!
//! A consumer commands through its [`Context`](crate::Context), an operator through an [`Operator`]
//! from any thread. Commands are taken at the end of a turn and staged, and the routing table is
//! flipped once for all of them; then each gets its ack. What a venue has to be asked for is pending
//! until the venue has confirmed it or sent something of it, and then gets a result.
//!
//! | file | what it is |
//! | --- | --- |
//! | `desk` | one consumer's commands, what is remembered of them, and its trading switch |
//! | `natives` | reference counts and lingers of what is subscribed at the venues |
//! | `merged` | merges that live as long as somebody wants them |
//! | `operator` | the way in for operators |
//! | `check` | whether a subscription can be had |

mod check;
mod desk;
mod merged;
mod natives;
mod operator;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use model::control::{Refusal, Verdict, Waiting};
use model::ledger::OrderKey;
use model::{Body, CommandId, ConsumerId, ControlAck, ControlResult, InstrumentId, Kind, Nanos};
use model::{ProviderId, Stream, venue};

use crate::capacity::OPERATOR_COMMANDS_MAX;
use crate::catalog::Catalog;
use crate::merge::MergeSpec;
use crate::route::{Edit, Filter, RoutingTable, Subscription};
use crate::shard::Shard;

pub(crate) use desk::{Desk, Port, port};
pub use desk::{Rights, Switch};
use merged::Merged;
use natives::{Natives, Standing};
pub use operator::{Answer, Operator, OperatorEnd, operator};

/// What was handed out before a switch was thrown off is written within so long, or given up.
pub const OFF_WITHIN: Duration = Duration::from_secs(1);

/// Commands taken of one source in one turn; the rest waits for the next.
const COMMANDS_PER_TURN: usize = 64;

/// What can be asked of the gateway while it runs.
///
/// Each is idempotent: what holds already is acknowledged and changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Events are wanted. Streams that it names one by one (provider, instrument and kind) are
    /// subscribed at their venues; a list that is empty follows whatever flows. The consumer is
    /// whoever commands, or the one that the operator names.
    Subscribe(Subscription),
    /// They are not wanted any more; it must be the same subscription. At the venue it is given up
    /// when nobody else has named it for the time of a linger.
    Unsubscribe(Subscription),
    /// A merge is wanted: it is put in force where it is not yet, its providers' streams are
    /// subscribed at their venues, and the consumer gets its events.
    SubscribeMerged(MergeSpec),
    /// The merge of that name is not wanted any more. With the last consumer of it the merge ends.
    UnsubscribeMerged(Box<str>),
    /// The consumer's orders may go, or may not: off at first. Off is always granted; on only to
    /// those who have the right, and not while an operator's off stands. Where there are orders, off
    /// is pending until nothing of the consumer can leave any more.
    SetTrading(bool),
    /// Operators alone: every consumer's switch off, and every order of every account taken back,
    /// again and again until none is open. Whose name stands with it does not matter. Pending until
    /// nothing but cancels can leave any more.
    Kill,
    /// Operators alone: an order of the consumer whose outcome can't be found out has never arrived.
    /// Whoever says so has looked at the venue.
    NeverArrived(Box<str>),
}

/// What an operator wants of orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderCommand {
    /// See [`Command::Kill`].
    Kill,
    /// See [`Command::NeverArrived`].
    NeverArrived(OrderKey),
}

/// At most so many commands about orders wait for the desk.
const ORDER_COMMANDS_MAX: usize = 64;

/// How long things take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlSettings {
    /// A stream that nobody names any more stays subscribed at its venue for so long.
    pub linger: Duration,
    /// A venue has so long to confirm a stream or to send something of it.
    pub confirm_within: Duration,
}

impl Default for ControlSettings {
    fn default() -> Self {
        Self { linger: Duration::from_secs(30), confirm_within: Duration::from_secs(10) }
    }
}

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
    fn ack(to: To, verdict: Verdict) -> Self {
        let is_last = !matches!(verdict, Verdict::Pending { .. });
        Self { to, verdict, is_result: false, is_last }
    }

    fn result(to: To, verdict: Verdict) -> Self {
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
struct Pending {
    consumer: ConsumerId,
    to: To,
    filter: Arc<Filter>,
    waiting: Vec<Stream>,
    until: Nanos,
}

/// A switch was thrown off, and somebody waits until nothing leaves any more.
#[derive(Debug)]
struct Off {
    to: To,
    /// Whoever looks after the orders has seen that it is off.
    seen: bool,
}

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

    /// Subscribes a consumer as its own command would.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn subscribe(
        &mut self,
        subscription: &Subscription,
        shard: &Shard,
        now: Nanos,
    ) -> Result<(), Refusal> {
        self.add_subscription(subscription.consumer, subscription, shard, now).map(drop)
    }

    fn carry_out(
        &mut self,
        (consumer, operator): (ConsumerId, bool),
        command: &Command,
        shard: &mut Shard,
        now: Nanos,
    ) -> Done {
        let desk = self.desks.iter_mut().find(|desk| desk.consumer == consumer);
        let Some(desk) = desk else { return Verdict::Refused(Refusal::UnknownConsumer).into() };
        let effective = |()| Verdict::Effective.into();
        let done = match command {
            Command::SetTrading(on) => {
                let orders = self.orders && !on;
                desk.set_trading(*on, operator).map(|()| match orders {
                    true => off_pending(now).into(),
                    false => Verdict::Effective.into(),
                })
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
                self.remove_subscription(consumer, unwanted, shard, now).map(effective)
            }
            Command::SubscribeMerged(spec) => self.add_merged(consumer, spec, shard, now),
            Command::UnsubscribeMerged(name) => {
                self.remove_merged(consumer, name, shard, now);
                Ok(Verdict::Effective.into())
            }
        };
        done.unwrap_or_else(|refusal| {
            let name = shard.catalog().consumer_name(consumer);
            let (name, why) = (name.as_deref(), refusal.text());
            tracing::debug!(
                consumer = name,
                ?command,
                code = refusal.code(),
                why,
                "a command is refused"
            );
            if let Some(desk) = self.desk(consumer) {
                shard.bury_command((&desk.name, operator), command, refusal, now);
            }
            Verdict::Refused(refusal).into()
        })
    }

    /// How many commands of operators are pending for a consumer.
    fn pending_of(&self, consumer: ConsumerId) -> usize {
        let own = self.pending.iter().filter(|pending| pending.consumer == consumer);
        own.filter(|pending| matches!(pending.to, To::Operator(_))).count()
    }

    /// The kill switch is off as any other is: whoever threw it is told when nothing leaves any more.
    fn kill(&mut self, reply: &operator::Reply, now: Nanos) -> Verdict {
        match self.for_orders(OrderCommand::Kill) {
            Ok(_) => {
                self.offs.push(Off { to: To::Operator(reply.clone()), seen: false });
                off_pending(now)
            }
            Err(refusal) => Verdict::Refused(refusal),
        }
    }

    fn for_orders(&mut self, command: OrderCommand) -> Result<Done, Refusal> {
        if !self.orders {
            return Err(Refusal::NoTrading);
        }
        if self.order_commands.len() >= ORDER_COMMANDS_MAX {
            return Err(Refusal::TooManyPending);
        }
        self.order_commands.push_back(command);
        Ok(Verdict::Effective.into())
    }

    fn add_subscription(
        &mut self,
        consumer: ConsumerId,
        wanted: &Subscription,
        shard: &Shard,
        now: Nanos,
    ) -> Result<Done, Refusal> {
        let catalog = shard.catalog();
        check::subscription(wanted, catalog, &self.offers)?;
        let known =
            Filter::find(wanted, catalog).filter(|filter| self.has(consumer, filter, shard));
        let filter = match known {
            Some(filter) => Arc::new(filter),
            None => {
                self.admit(consumer, wanted, shard)?;
                let filter = Filter::new(wanted, catalog).map_err(|_| Refusal::NoRoom)?;
                let filter = Arc::new(filter);
                filter.streams().for_each(|stream| self.natives.retain(stream));
                self.edit(shard).add(consumer, filter.clone());
                filter
            }
        };
        let streams: Vec<_> = filter.streams().collect();
        Ok(Done { verdict: self.standing(&streams, now), wanted: Some((filter, streams)) })
    }

    /// Whether a consumer may have one more subscription.
    fn admit(
        &mut self,
        consumer: ConsumerId,
        wanted: &Subscription,
        shard: &Shard,
    ) -> Result<(), Refusal> {
        let there = self.edit(shard).filters(consumer).len();
        let desk = self.desk_mut(consumer).ok_or(Refusal::UnknownConsumer)?;
        desk.admit(wanted, there, shard.catalog())
    }

    fn has(&mut self, consumer: ConsumerId, filter: &Filter, shard: &Shard) -> bool {
        let there = self.edit(shard).filters(consumer);
        there.binary_search_by(|other| (**other).cmp(filter)).is_ok()
    }

    /// The table that is being staged.
    fn edit(&mut self, shard: &Shard) -> &mut Edit {
        self.staged.get_or_insert_with(|| shard.table().edit())
    }

    /// How streams stand at their venues.
    fn standing(&self, streams: &[Stream], now: Nanos) -> Verdict {
        let mut why = None;
        for stream in streams {
            match self.natives.standing(*stream) {
                Some(Standing::Confirmed) => {}
                Some(Standing::Refused) => return Verdict::Refused(Refusal::UnknownAtVenue),
                Some(Standing::Queued) if self.natives.is_busy(stream.provider) => {
                    why = Some(Waiting::Budget);
                }
                _ => why = why.or(Some(Waiting::Venue)),
            }
        }
        let until = now + self.settings.confirm_within;
        why.map_or(Verdict::Effective, |why| Verdict::Pending { why, until })
    }

    fn remove_subscription(
        &mut self,
        consumer: ConsumerId,
        unwanted: &Subscription,
        shard: &Shard,
        now: Nanos,
    ) -> Result<(), Refusal> {
        check::names(unwanted, shard.catalog())?;
        // What names an instrument that nobody ever named is not subscribed.
        if let Some(filter) = Filter::find(unwanted, shard.catalog())
            && self.edit(shard).remove(consumer, &filter)
        {
            filter.streams().for_each(|stream| self.natives.release(stream, now));
            self.withdraw(consumer, &filter);
        }
        Ok(())
    }

    /// Ends what is pending of a subscription that is gone.
    fn withdraw(&mut self, consumer: ConsumerId, filter: &Filter) {
        let Self { pending, desks, ready, .. } = self;
        end_pending(pending, (desks, ready), |pending| {
            let own = pending.consumer == consumer && *pending.filter == *filter;
            own.then_some(Err(Refusal::Withdrawn))
        });
    }

    /// Keeps a command whose end is still to come.
    fn await_end(&mut self, consumer: ConsumerId, to: To, done: Done) {
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

    /// The table that was staged in this turn, where it differs from the one in force or somebody
    /// begins anew.
    pub(crate) fn staged(&mut self, table: &RoutingTable) -> Option<RoutingTable> {
        let anew = self.renewals().next().is_some();
        let edit = self.staged.take().filter(|edit| anew || edit.is_change());
        edit.or_else(|| anew.then(|| table.edit())).map(Edit::finish)
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

    /// From here on there are orders.
    pub(crate) fn join_orders(&mut self) {
        self.orders = true;
    }

    /// The next command about orders.
    pub(crate) fn order_command(&mut self) -> Option<OrderCommand> {
        self.order_commands.pop_front()
    }

    /// A consumer's switch as it stands at the start.
    pub(crate) fn set_trading(&mut self, consumer: ConsumerId, on: bool) {
        if let Some(desk) = self.desk_mut(consumer) {
            desk.set_switch(on);
        }
    }

    /// A consumer's switch is off until an operator switches it on.
    pub(crate) fn hold_off(&mut self, consumer: ConsumerId) {
        if let Some(desk) = self.desk_mut(consumer) {
            desk.hold_off();
        }
    }

    /// Every switch was looked at: those that are off now let nothing out any more. Whether somebody
    /// waits for what was let out before.
    pub(crate) fn switches_seen(&mut self) -> bool {
        self.offs.iter_mut().for_each(|off| off.seen = true);
        !self.offs.is_empty()
    }

    /// Nothing that was let out before the switches were last seen can leave any more.
    pub(crate) fn confirm_offs(&mut self) {
        let Self { offs, desks, ready, .. } = self;
        for Off { to, .. } in offs.extract_if(.., |off| off.seen) {
            settle(desks, &to, Verdict::Effective);
            ready.push(Ready::result(to, Verdict::Effective));
        }
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

    /// What a provider's venue is to be told now.
    pub(crate) fn venue_commands(
        &mut self,
        provider: ProviderId,
        free: bool,
        catalog: &Catalog,
    ) -> Vec<venue::Command> {
        let Some((on, off)) = self.natives.take(provider, free) else { return Vec::new() };
        let named = |streams: Vec<Stream>| -> Vec<_> {
            let one = |stream: Stream| {
                let instrument = (*catalog.instrument_name(stream.instrument)?).into();
                Some(venue::Subscription { instrument, kind: stream.kind })
            };
            streams.into_iter().filter_map(one).collect()
        };
        // New ones first: a connection that would be left without streams is then kept.
        let commands = [
            (!on.is_empty()).then(|| venue::Command::Subscribe(named(on))),
            (!off.is_empty()).then(|| venue::Command::Unsubscribe(named(off))),
        ];
        commands.into_iter().flatten().collect()
    }
}

/// What was handed out before a switch was thrown off is not written yet.
fn off_pending(now: Nanos) -> Verdict {
    Verdict::Pending { why: Waiting::Orders, until: now + OFF_WITHIN }
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
fn settle(desks: &mut [Desk], to: &To, verdict: Verdict) {
    if let To::Consumer(consumer, id) = to
        && let Some(desk) = desks.iter_mut().find(|desk| desk.consumer == *consumer)
    {
        desk.settle(*id, verdict);
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
