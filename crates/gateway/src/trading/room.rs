//! The room where it is carried: from the desk to ledger, machines and consumers, and back.

use std::collections::BTreeMap;

use engine::Shard;
use engine::exec_log::{LogRequest, exec_event};
use engine::orders::desk::{Desk, Note};
use model::ledger::Name;
use model::trading::Instruction;
use model::{ConsumerId, Nanos, ProviderId};

use super::Ledger;
use super::reader::{Ask, Told};

/// The desk, and whom it knows by which number.
#[derive(Debug)]
pub(crate) struct Room {
    desk: Desk,
    consumers: BTreeMap<ConsumerId, Name>,
    providers: Vec<(ProviderId, Name)>,
    /// A question that the ledger's reader had no room for.
    ask: Option<Ask>,
}

impl Room {
    /// A room around a desk that knows its consumers and providers already.
    pub(crate) fn new(
        desk: Desk,
        consumers: BTreeMap<ConsumerId, Name>,
        providers: Vec<(ProviderId, Name)>,
    ) -> Self {
        Self { desk, consumers, providers, ask: None }
    }

    /// The desk, to look at.
    pub(crate) fn desk(&self) -> &Desk {
        &self.desk
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
        if self.desk.deadline(now).is_some_and(|at| at <= now) {
            self.desk.on_timer(now);
        }
        while self.take_in(shard, ledger, now)
            | self.write_down(ledger, now)
            | self.deliver(shard, now)
        {}
        self.ask_ledger(shard, ledger, now);
        self.tell_operator();
        self.send_out(now)
    }

    /// What ledger, machines and consumers have for the desk.
    fn take_in(&mut self, shard: &mut Shard, ledger: &mut dyn Ledger, now: Nanos) -> bool {
        let mut moved = false;
        while let Some(reply) = ledger.reply() {
            moved = true;
            self.desk.ledger(reply, now);
        }
        while let Some(told) = ledger.told() {
            moved = true;
            match told {
                Told::Page(page) => shard.log_page(page, now),
                Told::Order(key, stored) => self.desk.looked_up(&key, stored.as_ref()),
            }
        }
        while let Some((provider, heard)) = shard.take_heard() {
            moved = true;
            if let Some((_, name)) = self.providers.iter().find(|(id, _)| *id == provider) {
                self.desk.heard(name, heard, now);
            }
        }
        moved
    }

    /// What the ledger is to keep.
    fn write_down(&mut self, ledger: &mut dyn Ledger, now: Nanos) -> bool {
        let mut moved = false;
        while let Some(append) = self.desk.take_append(now) {
            if let Err(append) = ledger.append(append) {
                self.desk.give_back(*append);
                break;
            }
            moved = true;
        }
        moved
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

    /// What consumers are to hear.
    fn deliver(&mut self, shard: &mut Shard, now: Nanos) -> bool {
        let mut moved = false;
        while let Some(delivery) = self.desk.take_delivery() {
            moved = true;
            let consumer = &delivery.report.order.consumer;
            let Some(id) = number(&self.consumers, consumer) else { continue };
            let event = exec_event(delivery.position, delivery.report, shard.catalog());
            shard.execution(id, event, now);
        }
        moved
    }

    /// What windows that are behind, and the desk, want to know of the ledger.
    fn ask_ledger(&mut self, shard: &mut Shard, ledger: &mut dyn Ledger, now: Nanos) {
        for (id, name) in &self.consumers {
            self.desk.set_stalled(name, shard.is_stalled(*id));
        }
        loop {
            let Some(ask) = self.ask.take().or_else(|| self.next_question(shard, now)) else {
                return;
            };
            if let Err(ask) = ledger.ask(ask) {
                self.ask = Some(ask);
                return;
            }
        }
    }

    fn next_question(&mut self, shard: &mut Shard, now: Nanos) -> Option<Ask> {
        while let Some(request) = shard.log_request() {
            match request {
                LogRequest::Read { consumer, after, limit } => {
                    let name = self.consumers.get(&consumer)?.clone();
                    return Some(Ask::Page { consumer, name, after, limit });
                }
                LogRequest::Acknowledge { consumer, position } => {
                    if let Some(name) = self.consumers.get(&consumer) {
                        self.desk.acknowledge(name, position, now);
                    }
                }
            }
        }
        self.desk.take_lookup().map(Ask::Order)
    }
}

impl Room {
    /// What happened that an operator has to know.
    fn tell_operator(&mut self) {
        while let Some(note) = self.desk.take_note() {
            tell(&note);
        }
    }
}

fn number(consumers: &BTreeMap<ConsumerId, Name>, name: &Name) -> Option<ConsumerId> {
    consumers.iter().find(|(_, other)| *other == name).map(|(id, _)| *id)
}

fn tell(note: &Note) {
    match note {
        Note::LedgerRecovered => tracing::info!("the ledger can be written again"),
        Note::LedgerStuck(error) => {
            tracing::error!("the ledger can't be written, no order leaves: {}", error.message);
        }
        Note::Odd { order, oddity } => tracing::warn!(%order, ?oddity, "odd"),
        other => tracing::warn!(note = ?other, "orders"),
    }
}
