//! The control bus at the end of a turn: commands in, one flip, answers out.

use std::sync::Arc;

use model::control::Refusal;
use model::venue::Command as VenueCommand;
use model::{ConsumerId, Error, Event, Header, Kind, Nanos, ProviderId, Stream, venue};

use super::Shard;
use crate::books::lane_kind;
use crate::capacity::HANDLER_BLOCKED;
use crate::control::{
    Answer, Command, ControlSettings, Desk, OperatorEnd, OrderCommand, Ready, Rights, Switch, To,
};
use crate::dead_letters::{Content, LetterReason};
use crate::route::{RoutingTable, Subscription};

/// Commands of one consumer that are taken in one turn.
const COMMANDS_PER_TURN: usize = 64;

impl Shard {
    /// How long lingers and confirmations take, from here on.
    pub fn set_control(&mut self, settings: ControlSettings) {
        self.control.set_settings(settings);
    }

    /// Listens to operators from here on.
    pub fn attach_operators(&mut self, operators: OperatorEnd) {
        operators.attach(self.waker.clone());
        self.control.attach(operators);
    }

    /// What a consumer may command.
    pub fn set_rights(&mut self, consumer: ConsumerId, rights: Rights) {
        self.control.set_rights(consumer, rights);
    }

    /// A consumer's trading switch; off until a command says otherwise. `None` where the consumer is
    /// not there.
    #[must_use]
    pub fn switch(&self, consumer: ConsumerId) -> Option<&Switch> {
        self.control.desk(consumer).map(|desk| desk.switch())
    }

    /// From here on there are orders, and whoever looks after them asks in every turn for
    /// [`order_command`](Self::order_command) and follows the switches.
    pub fn join_orders(&mut self) {
        self.control.join_orders();
    }

    /// The next thing that an operator wants of orders.
    pub fn order_command(&mut self) -> Option<OrderCommand> {
        self.control.order_command()
    }

    /// How a consumer's trading switch stands at the start: off where nothing is said.
    pub fn set_trading(&mut self, consumer: ConsumerId, on: bool) {
        self.control.set_trading(consumer, on);
    }

    /// Throws a consumer's switch off, until an operator switches it on.
    pub fn hold_off(&mut self, consumer: ConsumerId) {
        self.control.hold_off(consumer);
    }

    /// Says that every switch was looked at: no order of those whose switch is off is handed out from
    /// here on. Whether somebody waits until nothing leaves any more.
    pub fn switches_seen(&mut self) -> bool {
        self.control.switches_seen()
    }

    /// Says that nothing that was handed out before [`switches_seen`](Self::switches_seen) can leave
    /// any more: whoever threw a switch off is told with the end of the turn.
    pub fn confirm_offs(&mut self) {
        self.control.confirm_offs();
    }

    /// Says what a provider's venue has: subscriptions to other kinds are refused at once.
    pub fn offer(&mut self, provider: ProviderId, kinds: &'static [Kind]) {
        self.control.offer(provider, kinds);
    }

    /// Keeps streams of a provider subscribed at its venue whoever else names them: what its
    /// configuration says.
    ///
    /// # Errors
    /// [`Remedy::Reject`](model::Remedy::Reject) where there is no room for another name.
    pub fn pin(
        &mut self,
        provider: ProviderId,
        streams: &[venue::Subscription],
    ) -> Result<(), Error> {
        for venue::Subscription { instrument, kind } in streams {
            let instrument = self.catalog.instrument(instrument)?;
            self.control.pin(Stream { provider, instrument, kind: lane_kind(*kind) });
        }
        Ok(())
    }

    /// Subscribes a consumer as its own command would, from the end of this turn on.
    ///
    /// # Errors
    /// Why not.
    pub fn subscribe(&mut self, subscription: &Subscription, now: Nanos) -> Result<(), Refusal> {
        let mut control = std::mem::take(&mut self.control);
        let subscribed = control.subscribe(subscription, self, now);
        self.control = control;
        subscribed
    }

    /// What a provider's venue is to be told now, as far as anything has changed; to be asked after
    /// every turn until there is nothing. `free` says whether its session's message budget is: where
    /// not, changes gather.
    pub fn venue_commands(&mut self, provider: ProviderId, free: bool) -> Vec<VenueCommand> {
        self.control.venue_commands(provider, free, &self.catalog)
    }

    /// Takes commands, flips the table once for all of them, and answers.
    pub(super) fn control_turn(&mut self, now: Nanos) {
        self.control.look(now);
        self.take_commands(now);
        if let Some(table) = self.control.staged(self.fanout.table()) {
            self.set_routing(Arc::new(table), now);
            self.renew(now);
        }
        for ready in self.control.ready() {
            self.send_answer(ready, now);
        }
    }

    /// Whether a command could be taken at once.
    pub(super) fn command_waits(&self) -> bool {
        let open = |consumer| self.fanout.outlet(consumer).is_some_and(|o| o.takes_command());
        self.control.operator_waits()
            || self.control.has_ready()
            || self.control.renewals().next().is_some()
            || self.control.waiting().any(open)
    }

    /// Tells consumers that were made anew everything: each book's snapshot, each stream's state.
    fn renew(&mut self, now: Nanos) {
        let version = self.fanout.version();
        let renewed = self.control.renewals().map(|desk| {
            desk.renew_from(version);
            desk.consumer
        });
        for consumer in renewed.collect::<Vec<_>>() {
            let header = self.blank_header(now);
            for (outlet, lane) in self.fanout.renew(consumer, &self.books, header) {
                if let Some(event) = self.status_now(lane, now) {
                    self.fanout.tell_status(outlet, lane, event);
                }
            }
        }
    }

    /// Looks whether handlers return, and counts and tells of one that does not. To be called about
    /// as often as [`HANDLER_BLOCKED`] passes.
    pub fn watch_handlers(&mut self, now: Nanos) {
        for outlet in self.fanout.outlets() {
            let Some((since, trace_id)) = outlet.tally().running() else { continue };
            let consumer = outlet.consumer();
            let news = self.blocked.get(&consumer) != Some(&trace_id);
            if news && now.since(since) > HANDLER_BLOCKED {
                self.blocked.insert(consumer, trace_id);
                let blocked = outlet.tally().blocked();
                let consumer = self.catalog.consumer_name(consumer);
                tracing::error!(
                    consumer = consumer.as_deref(),
                    trace_id,
                    blocked,
                    "a consumer's handler has not returned; nobody else waits for it"
                );
            }
        }
    }

    fn take_commands(&mut self, now: Nanos) {
        let mut control = std::mem::take(&mut self.control);
        for consumer in control.waiting().collect::<Vec<_>>() {
            for _ in 0..COMMANDS_PER_TURN {
                let waits = control.desk(consumer).is_some_and(Desk::has_command);
                if !waits || self.open_command(consumer).is_err() {
                    break;
                }
                control.take(consumer, self, now);
            }
        }
        control.take_operators(self, now);
        self.control = control;
    }

    /// A command that is refused becomes a dead letter; `consumer` is for whom it was.
    #[cold]
    pub(crate) fn bury_command(
        &mut self,
        (consumer, operator): (&Arc<str>, bool),
        command: &Command,
        refusal: Refusal,
        now: Nanos,
    ) {
        self.letters.put(LetterReason::RefusedCommand, now, || {
            let (consumer, command) = (consumer.clone(), Box::new(command.clone()));
            Some(Content::RefusedCommand { consumer, operator, command, refusal })
        });
    }

    /// The table in force.
    pub(crate) fn table(&self) -> &RoutingTable {
        self.fanout.table()
    }

    fn send_answer(&mut self, ready: Ready, now: Nanos) {
        match &ready.to {
            To::Operator(reply) => {
                let routing_version = self.fanout.version();
                reply.send(Answer { verdict: ready.verdict, routing_version });
            }
            To::Consumer(consumer, id) => {
                let (kind, body) = ready.body(*id);
                let stream = Stream { kind, ..Stream::default() };
                let header = Header { stream, ..self.blank_header(now) };
                let event = Event { header, body, levels: None };
                if let Err(error) = self.answer(*consumer, event, ready.is_last, now) {
                    tracing::error!(%consumer, %error, "an answer is not delivered");
                }
            }
        }
    }
}
