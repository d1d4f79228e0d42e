//! The room where it is carried: from consumers to the desk, from there to ledger and machines, and
//! back.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use engine::exec_log::{LogRequest, exec_event};
use engine::orders::Standing;
use engine::orders::desk::{AccountNews, Desk, Market};
use engine::orders::port::{OrderGate, OrderPort, way};
use engine::{OrderCommand, Shard, Switch, TradingRoom};
use model::ledger::{Name, OrderKey};
use model::order::Intent;
use model::reply::ReplyAnswer;
use model::trading::{Heard, Instruction};
use model::venue::Rate;
use model::{Body, ConsumerId, Event, Header, Kind, Nanos, OrderRequest, ProviderId, Stream};

use super::Ledger;
use super::counts::OrderCounts;
use super::notes::Notes;
use super::reader::{Ask, Told};
use super::restore::Kept;
use crate::crash_points;
use crate::outcome::RunError;

/// A consumer that trades.
#[derive(Debug)]
struct Trader {
    id: ConsumerId,
    name: Name,
    gate: OrderGate,
    switch: Switch,
    /// How often the switch had been thrown off when it was last looked at.
    offs: u64,
    /// Whether it was on then.
    on: bool,
}

/// A consumer that is to trade.
#[derive(Clone, Debug)]
pub(crate) struct Party {
    /// Its number.
    pub id: ConsumerId,
    /// Its name, by which the ledger knows it.
    pub name: Name,
    /// So many rejected orders in so long throw its switch off.
    pub breaker: Option<Rate>,
}

/// What tells one piece of news from another: whose it is, of which kind, about what.
type NewsKey = (ConsumerId, ProviderId, bool, Name);

/// The desk, and whom it knows by which number.
#[derive(Debug)]
pub(crate) struct Room {
    desk: Desk,
    traders: Vec<Trader>,
    providers: Vec<(ProviderId, Name)>,
    counts: OrderCounts,
    /// A question that the ledger's reader had no room for.
    ask: Option<Ask>,
    /// The newest of each that its consumer had no room for; at most one for each asset and
    /// instrument.
    news: BTreeMap<NewsKey, Event>,
    /// Answers that their consumer had no room for; its requests wait behind them.
    replies: BTreeMap<ConsumerId, VecDeque<Event>>,
    notes: Notes,
}

impl Room {
    /// A room around a desk that knows its providers, with what is open in the ledger taken over.
    /// Gives each party's way in, in order.
    ///
    /// # Errors
    /// There is no room for what is open in it.
    pub(crate) fn restored(
        mut desk: Desk,
        parties: &[Party],
        providers: Vec<(ProviderId, Name)>,
        kept: Kept,
        shard: &mut Shard,
        now: Nanos,
    ) -> Result<(Self, Vec<OrderPort>), RunError> {
        let (mut traders, mut ports) = (Vec::new(), Vec::new());
        shard.join_orders();
        for (Party { id, name, breaker }, acknowledged) in parties.iter().zip(&kept.acknowledged) {
            let acknowledged = *acknowledged;
            // Off: the first turn looks how the switch stands.
            desk.add_consumer(name.clone(), false, acknowledged, *breaker);
            shard.resume(*id, acknowledged);
            let requests = &shard.pools().order_requests;
            let (port, gate) = way(*id, requests, shard.waker().clone());
            ports.push(port);
            let switch = shard.switch(*id).cloned().unwrap_or_default();
            let name = name.clone();
            traders.push(Trader { id: *id, name, gate, switch, offs: 0, on: false });
        }
        kept.restore(&mut desk, now)?;
        let (counts, news, replies, notes) = Default::default();
        Ok((Self { desk, traders, providers, counts, ask: None, news, replies, notes }, ports))
    }

    /// The orders as they are known here.
    pub(crate) fn desk(&self) -> &Desk {
        &self.desk
    }

    /// What came of orders so far.
    pub(crate) fn counts(&self) -> OrderCounts {
        let mut counts = self.counts;
        let orders = self.desk.orders().iter();
        let unknown = orders.filter(|(_, order)| order.standing() == Standing::Unknown);
        counts.unknown = unknown.count() as u64;
        counts
    }

    /// Whether the ledger has everything, and consumers were handed what came of it.
    pub(crate) fn is_settled(&self) -> bool {
        self.desk.is_settled()
    }

    /// Every switch goes off, until an operator switches it on.
    pub(crate) fn hold_off(&self, shard: &mut Shard) {
        self.traders.iter().for_each(|trader| shard.hold_off(trader.id));
    }

    /// When [`turn`](Self::turn) is wanted though nothing happens.
    pub(crate) fn deadline(&self, now: Nanos) -> Option<Nanos> {
        self.desk.deadline(now)
    }

    /// Carries everything to where it belongs. What comes back is for the trading machines, to be
    /// carried out at once and in order; to be called again until there is nothing.
    pub(crate) fn turn(
        &mut self,
        shard: &mut Shard,
        ledger: &mut dyn Ledger,
        now: Nanos,
    ) -> Vec<(ProviderId, Instruction)> {
        self.follow_operators(shard, now);
        self.follow_switches(shard, now);
        if self.desk.deadline(now).is_some_and(|at| at <= now) {
            self.desk.on_timer(now);
        }
        self.hear_ledger(shard, ledger, now);
        self.hear_consumers(shard, now);
        self.ask_ledger(shard, ledger, now);
        self.write_down(ledger, now);
        self.deliver(shard, now);
        self.tell_operator(shard, now);
        self.send_out(now)
    }

    fn follow_operators(&mut self, shard: &mut Shard, now: Nanos) {
        while let Some(command) = shard.order_command() {
            match command {
                OrderCommand::Kill => {
                    tracing::warn!(
                        "the kill switch: all orders are taken back, all switches go off"
                    );
                    self.hold_off(shard);
                    self.desk.kill(now);
                }
                OrderCommand::NeverArrived(order) => {
                    let taken = self.desk.never_arrived(&order, now);
                    tracing::warn!(%order, taken, "an operator says that an order never arrived");
                }
            }
        }
    }

    /// What the desk has thrown off by itself is off on the control bus, too, until an operator switches
    /// it on.
    fn hold_off_thrown(&self, shard: &mut Shard) {
        let thrown =
            self.traders.iter().filter(|trader| trader.on && !self.desk.is_on(&trader.name));
        thrown.for_each(|trader| shard.hold_off(trader.id));
    }

    /// The desk's switches stand as the control bus' do, and were off where those were in between.
    fn follow_switches(&mut self, shard: &mut Shard, now: Nanos) {
        self.hold_off_thrown(shard);
        for Trader { name, switch, offs, on, .. } in &mut self.traders {
            let (is_on, thrown) = switch.read();
            if std::mem::replace(offs, thrown) != thrown {
                self.desk.switch_off(name, now);
            }
            if is_on && !self.desk.is_on(name) {
                self.desk.switch_on(name);
            }
            *on = is_on;
        }
    }

    fn hear_ledger(&mut self, shard: &mut Shard, ledger: &mut dyn Ledger, now: Nanos) {
        while let Some(reply) = ledger.reply() {
            self.desk.ledger(reply, now);
        }
        while let Some(told) = ledger.told() {
            match told {
                Told::Page(page) => shard.log_page(page, now),
                Told::Order(key, Ok(stored)) => self.desk.looked_up(&key, stored.as_deref()),
                Told::Order(key, Err(_)) => self.desk.not_looked_up(&key),
                Told::Stranger(of, Ok(stored)) => self.desk.stranger_looked_up(&of, stored, now),
                Told::Stranger(of, Err(_)) => self.desk.stranger_not_looked_up(&of, now),
            }
        }
    }

    /// What consumers want. Whoever has no room for an answer waits with its requests.
    fn hear_consumers(&mut self, shard: &mut Shard, now: Nanos) {
        for at in 0..self.traders.len() {
            let Trader { id, ref name, .. } = self.traders[at];
            self.desk.set_stalled(name, shard.is_stalled(id));
            while !self.replies.contains_key(&id) && shard.has_notice_room(id) {
                let Some(request) = self.traders[at].gate.take() else { break };
                self.take_request(&request, &self.traders[at].name.clone(), shard, now);
                // What is answered at once finds its place before the next is taken.
                self.deliver_replies(shard, now);
            }
        }
    }

    fn take_request(&mut self, request: &OrderRequest, whose: &Name, shard: &Shard, now: Nanos) {
        self.counts.submitted += u64::from(request.intent == Intent::Submit);
        let catalog = shard.catalog();
        let place = match request.intent {
            Intent::Submit => Some((request.provider, request.instrument)),
            Intent::Amend => {
                let client_order_id = request.client_order_id.as_str().into();
                let key = OrderKey { consumer: whose.clone(), client_order_id };
                self.desk.terms_of(&key).and_then(|terms| {
                    let provider = catalog.find_provider(&terms.provider)?;
                    Some((provider, catalog.find_instrument(&terms.instrument)?))
                })
            }
            Intent::Cancel | Intent::Query => None,
        };
        let facts = place.and_then(|(provider, instrument)| catalog.facts(provider, instrument));
        let price = place.and_then(|(provider, instrument)| shard.mid(provider, instrument));
        if place.is_some() {
            self.desk
                .value_holdings(catalog, |provider, instrument| shard.mid(provider, instrument));
        }
        let market = Market { instrument: facts.as_deref(), price };
        self.desk.request(request, catalog, market, now);
    }

    /// What windows that are behind, and the desk, want to know of the ledger.
    fn ask_ledger(&mut self, shard: &mut Shard, ledger: &mut dyn Ledger, now: Nanos) {
        while let Some(ask) = self.ask.take().or_else(|| self.next_question(shard, now)) {
            if let Err(ask) = ledger.ask(ask) {
                self.ask = Some(ask);
                return;
            }
        }
    }

    fn next_question(&mut self, shard: &mut Shard, now: Nanos) -> Option<Ask> {
        while let Some(request) = shard.log_request() {
            let (LogRequest::Read { consumer, .. } | LogRequest::Acknowledge { consumer, .. }) =
                request;
            let trader = self.traders.iter().find(|trader| trader.id == consumer);
            let Some(Trader { name, .. }) = trader else { continue };
            match request {
                LogRequest::Read { consumer, after, limit } => {
                    return Some(Ask::Page { consumer, name: name.clone(), after, limit });
                }
                LogRequest::Acknowledge { position, .. } => {
                    self.desk.acknowledge(name, position, now);
                }
            }
        }
        let order = self.desk.take_lookup().map(Ask::Order);
        order.or_else(|| self.desk.take_stranger().map(Ask::Stranger))
    }

    /// What the ledger is to keep.
    fn write_down(&mut self, ledger: &mut dyn Ledger, now: Nanos) {
        while let Some(append) = self.desk.take_append(now) {
            if let Err(append) = ledger.append(append) {
                self.desk.give_back(*append);
                return;
            }
        }
    }

    /// What consumers are to hear.
    fn deliver(&mut self, shard: &mut Shard, now: Nanos) {
        while let Some(delivery) = self.desk.take_delivery() {
            let whose = &delivery.report.order.consumer;
            let Some(id) = self.number(whose) else { continue };
            self.counts.delivered(delivery.report.state);
            let event = exec_event(delivery.position, delivery.report, shard.catalog());
            crash_points::pass("delivery-before");
            shard.execution(id, event, now);
            crash_points::pass("delivery-after");
        }
        self.deliver_replies(shard, now);
        self.deliver_news(shard, now);
    }

    fn deliver_replies(&mut self, shard: &mut Shard, now: Nanos) {
        while let Some(reply) = self.desk.take_reply() {
            let Some(id) = self.number(&reply.order.consumer) else { continue };
            let denied = matches!(reply.answer, ReplyAnswer::Denied(_));
            self.counts.denied += u64::from(denied && reply.intent == Intent::Submit);
            let stream = Stream { kind: Kind::ControlResult, ..Stream::default() };
            let event = event(stream, Body::Reply(Arc::new(reply)), now);
            self.replies.entry(id).or_default().push_back(event);
        }
        self.replies.retain(|id, waiting| {
            while let Some(event) = waiting.pop_front() {
                if let Err(event) = shard.notice(*id, event, now) {
                    waiting.push_front(*event);
                    return true;
                }
            }
            false
        });
    }

    fn deliver_news(&mut self, shard: &mut Shard, now: Nanos) {
        while let Some((provider, news)) = self.desk.take_account() {
            let Some((id, _)) = self.providers.iter().find(|(_, name)| *name == provider) else {
                continue;
            };
            let (about, body) = match news {
                AccountNews::Balance(balance) => {
                    ((false, balance.asset.clone()), Body::Balance(Arc::new(balance)))
                }
                AccountNews::Position(position) => {
                    ((true, position.instrument.clone()), Body::Position(Arc::new(position)))
                }
            };
            let stream = Stream { provider: *id, kind: Kind::Balance, ..Stream::default() };
            for trader in &self.traders {
                let event = event(stream, body.clone(), now);
                self.news.insert((trader.id, *id, about.0, about.1.clone()), event);
            }
        }
        self.news.retain(|(consumer, ..), event| {
            !shard.has_notice_room(*consumer)
                || shard.notice(*consumer, std::mem::take(event), now).is_err()
        });
    }

    fn number(&self, name: &Name) -> Option<ConsumerId> {
        self.traders.iter().find(|trader| trader.name == *name).map(|trader| trader.id)
    }

    /// What venues are to do.
    fn send_out(&mut self, now: Nanos) -> Vec<(ProviderId, Instruction)> {
        let mut instructions = Vec::new();
        for (provider, name) in &self.providers {
            while let Some(instruction) = self.desk.take_instruction(name, now) {
                instructions.push((*provider, instruction));
            }
        }
        instructions
    }

    /// What happened that an operator has to know.
    fn tell_operator(&mut self, shard: &mut Shard, now: Nanos) {
        self.hold_off_thrown(shard);
        while let Some(note) = self.desk.take_note() {
            self.notes.tell(&note, now);
        }
    }
}

impl TradingRoom for Room {
    fn heard(&mut self, provider: ProviderId, heard: Heard, now: Nanos) {
        if let Some((_, name)) = self.providers.iter().find(|(id, _)| *id == provider) {
            let points = crash_points::of_heard(&heard);
            points.iter().for_each(|[before, _]| crash_points::pass(before));
            self.desk.heard(name, heard, now);
            points.iter().for_each(|[_, after]| crash_points::pass(after));
        }
    }

    fn missed(&mut self, provider: ProviderId, now: Nanos) {
        if let Some((_, name)) = self.providers.iter().find(|(id, _)| *id == provider) {
            self.desk.missed(name, now);
        }
    }
}

fn event(stream: Stream, body: Body, now: Nanos) -> Event {
    let header = Header { stream, ts_recv: now, ..Header::default() };
    Event { header, body, ..Event::default() }
}

#[cfg(test)]
#[path = "room/tests.rs"]
mod tests;
