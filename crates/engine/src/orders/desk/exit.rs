//! What leaves: durable requests, within the rate budget, past the switch.

use std::collections::VecDeque;

use model::ledger::{
    Answer, ChangeTerms, Fact, LedgerReply, Name, OrderKey, Outcome, Request, Sent, StoredOrder,
    Verdict,
};
use model::order::Intent;
use model::reply::ReplyAnswer;
use model::trading::{Instruction, Placement, Target, Ticket};
use model::{Denial, Nanos};

use super::super::order::Order;
use super::account::{Job, Purpose};
use super::journal::Wish;
use super::{Delivery, Desk, Note, Stage};

impl Desk {
    /// The ledger's writer says something.
    pub fn ledger(&mut self, reply: LedgerReply, now: Nanos) {
        match reply {
            LedgerReply::Verdict { seq, verdict } => self.journal.verdict(seq, verdict),
            LedgerReply::Written { up_to } => {
                while let Some((report, verdict)) = self.journal.written(up_to) {
                    match verdict {
                        Some(Verdict::Stored { position }) => {
                            self.deliveries.push_back(Delivery { position, report });
                        }
                        Some(Verdict::Known { .. }) => {}
                        other => self.broken("a report", other.as_ref()),
                    }
                }
            }
            LedgerReply::Durable { up_to } => {
                while let Some((wish, verdict)) = self.journal.durable(up_to) {
                    self.durable(wish, verdict, now);
                }
            }
            LedgerReply::Stuck(error) => {
                self.note(Note::LedgerStuck(error.clone()));
                self.journal.stuck = Some(error);
                for cancel in self.journal.release_cancels() {
                    self.release(cancel, now);
                }
            }
            LedgerReply::Recovered => {
                self.journal.stuck = None;
                self.note(Note::LedgerRecovered);
            }
        }
    }

    fn broken(&mut self, what: &str, verdict: Option<&Verdict>) {
        self.note(Note::LedgerBroken(format!("{what} got the verdict {verdict:?}")));
    }

    fn durable(&mut self, wish: Wish, verdict: Option<Verdict>, now: Nanos) {
        if let Wish::Submit(key) = &wish {
            let order = self.orders.get(key);
            let account = order.and_then(|o| self.accounts.get_mut(&o.submit().terms.provider));
            if let Some(account) = account {
                account.entering -= 1;
            }
        }
        match (wish, verdict) {
            (wish, Some(Verdict::Stored { .. })) => self.release(wish, now),
            (Wish::Submit(key), Some(Verdict::Duplicate(stored))) => {
                self.withdraw(&key);
                let answer = ReplyAnswer::Duplicate((&*stored).into());
                self.reply(&key, Intent::Submit, answer);
                self.restore_stored(*stored, now);
            }
            (Wish::Submit(key), Some(Verdict::Conflict(stored))) => {
                self.withdraw(&key);
                self.reply(&key, Intent::Submit, ReplyAnswer::Denied(Denial::IdReused));
                self.restore_stored(*stored, now);
            }
            (Wish::Change(key, number, terms), Some(Verdict::Known { .. })) => {
                self.renumber(key, number, terms, now);
            }
            (_, verdict) => self.broken("a request", verdict.as_ref()),
        }
    }

    /// An order is not what it seemed: its key was used before.
    fn withdraw(&mut self, key: &OrderKey) {
        let Some(order) = self.orders.get(key) else { return };
        let before = self.records.remove(key).map(|record| record.counted).unwrap_or_default();
        let terms = &order.submit().terms;
        self.risk.exposure.count(&key.consumer, terms, before, Default::default());
        self.orders.withdraw(key);
        self.asks.remove(key);
    }

    /// An order turns out to be open in the ledger though it is not here.
    fn restore_stored(&mut self, stored: StoredOrder, now: Nanos) {
        if !stored.is_open() {
            return;
        }
        let key = stored.submit.order.clone();
        let answer = stored.answer.map(Fact::Answer);
        let facts: Vec<Fact> = answer.into_iter().chain(stored.report.map(Fact::Report)).collect();
        if self.restore(stored.submit, &facts, now).is_ok() {
            self.note(Note::NotRestored(key));
        }
    }

    /// The next thing that a provider's machine is to do. It is taken as done by that: its fact is
    /// written, and it never comes again.
    pub fn take_instruction(&mut self, provider: &str, now: Nanos) -> Option<Instruction> {
        let account = self.accounts.get_mut(provider)?;
        if !account.started {
            account.started = true;
            let instruments = account.instruments.clone();
            return Some(Instruction::Listen { instruments });
        }
        let (name, _) = self.accounts.get_key_value(provider)?;
        let name = name.clone();
        self.take_cancel(&name, now)
            .or_else(|| self.take_job(&name, now))
            .or_else(|| self.take_question(&name, now))
    }

    fn take_cancel(&mut self, provider: &Name, now: Nanos) -> Option<Instruction> {
        loop {
            let account = self.accounts.get_mut(provider)?;
            if account.cancel_at(now) > now {
                return None;
            }
            let Job::Change(key, number, terms) = account.cancels.pop_front()? else { continue };
            if self.is_over(&key) {
                self.drop_change(&key, number, Denial::Settled, now);
                continue;
            }
            return self.instruct_change(provider, &key, number, terms, now);
        }
    }

    /// What of the jobs may leave now: the last look at everything that could forbid it.
    fn take_job(&mut self, provider: &Name, now: Nanos) -> Option<Instruction> {
        if self.holds_orders_up() {
            return None;
        }
        self.deny_waiting(now);
        let account = self.accounts.get_mut(provider)?;
        if !account.listening || account.budget.free_at(false, now) > now {
            return None;
        }
        match account.jobs.pop_front()? {
            Job::Place(key) => self.instruct_place(provider, &key, now),
            Job::Change(key, number, terms) => {
                self.instruct_change(provider, &key, number, terms, now)
            }
        }
    }

    /// Whether the ledger takes nothing now, so that no order may leave.
    pub(super) fn holds_orders_up(&self) -> bool {
        self.journal.stuck.is_some() || self.journal.len() >= self.options.facts_max
    }

    fn instruct_place(
        &mut self,
        provider: &Name,
        key: &OrderKey,
        now: Nanos,
    ) -> Option<Instruction> {
        let ticket = self.ticket(provider, Purpose::Place(key.clone()));
        let submit = self.orders.get(key)?.submit().clone();
        if let Some(record) = self.records.get_mut(key) {
            record.stage = Stage::Out;
        }
        self.accounts.get_mut(provider)?.budget.take(now);
        self.sent(key, Request::Submit, now);
        let terms = submit.terms;
        self.wind_one(provider, &terms.instrument, now);
        let order = Placement {
            instrument: terms.instrument,
            venue_client_id: submit.venue_client_id,
            side: terms.side,
            order_type: terms.order_type,
            time_in_force: terms.time_in_force,
            price: terms.price,
            quantity: terms.quantity,
            deadline: submit.deadline,
        };
        Some(Instruction::Place { ticket, order })
    }

    fn instruct_change(
        &mut self,
        provider: &Name,
        key: &OrderKey,
        number: u32,
        terms: ChangeTerms,
        now: Nanos,
    ) -> Option<Instruction> {
        let order = self.orders.get(key)?;
        let (target, own) = (target(order), order.submit().terms.clone());
        let price = self.records.get(key).and_then(|record| record.price).or(own.price);
        let quantity = order.quantity();
        let ticket = self.ticket(provider, Purpose::Change(key.clone(), number, terms.clone()));
        let account = self.accounts.get_mut(provider)?;
        if terms != ChangeTerms::Cancel || account.profile.cancels_count {
            account.budget.take(now);
        }
        self.sent(key, Request::Change(number), now);
        Some(match terms {
            ChangeTerms::Cancel => Instruction::Cancel { ticket, target },
            ChangeTerms::Amend { price: new, quantity: wanted } => Instruction::Amend {
                ticket,
                target,
                side: own.side,
                price: new.or(price).unwrap_or_default(),
                quantity: wanted.unwrap_or(quantity),
            },
        })
    }

    pub(super) fn ticket(&mut self, provider: &Name, purpose: Purpose) -> Ticket {
        self.last_ticket += 1;
        let ticket = Ticket(self.last_ticket);
        self.tickets.insert(ticket, (provider.clone(), purpose));
        ticket
    }

    fn sent(&mut self, key: &OrderKey, request: Request, now: Nanos) {
        let sent = Sent { order: key.clone(), request, ts: now };
        if !self.is_unwritten(key, request) {
            self.journal.append(Fact::Sent(sent.clone()));
        }
        let effects = self.orders.update(key, |order| order.sent(&sent)).unwrap_or_default();
        self.apply(key, effects);
    }

    pub(super) fn is_over(&self, key: &OrderKey) -> bool {
        self.orders.get(key).is_none_or(|order| order.standing().is_terminal())
    }

    /// Denies what waits and may not go any more: its switch was thrown, its deadline has passed, or
    /// its consumer took it back.
    pub(super) fn deny_waiting(&mut self, now: Nanos) {
        let mut denied = Vec::new();
        let mut accounts = std::mem::take(&mut self.accounts);
        for account in accounts.values_mut() {
            let jobs = std::mem::take(&mut account.jobs);
            let mut kept = VecDeque::with_capacity(jobs.len());
            for job in jobs {
                match self.forbids(&job, now) {
                    Some(denial) => denied.push((job, denial)),
                    None => kept.push_back(job),
                }
            }
            account.jobs = kept;
        }
        self.accounts = accounts;
        for (job, denial) in denied {
            match job {
                Job::Place(key) => self.deny_order(&key, denial, now),
                Job::Change(key, number, _) => self.drop_change(&key, number, denial, now),
            }
        }
    }

    /// Why a job may not leave, now or ever.
    fn forbids(&self, job: &Job, now: Nanos) -> Option<Denial> {
        let (Job::Place(key) | Job::Change(key, ..)) = job;
        let (order, record) = (self.orders.get(key)?, self.records.get(key)?);
        let (epoch, submit) = match job {
            Job::Place(_) => (Some(record.epoch), Some(order.submit())),
            Job::Change(_, number, _) => (record.amends.get(number).map(|a| a.epoch), None),
        };
        let until = submit.map(|s| s.deadline.unwrap_or(s.ts + self.options.wait_max));
        match epoch {
            _ if record.withdrawn && submit.is_some() => Some(Denial::Withdrawn),
            Some(epoch) if !self.switches.may_leave(&key.consumer, epoch) => {
                Some(Denial::SwitchOff)
            }
            _ if until.is_some_and(|until| now >= until) => Some(Denial::Expired),
            _ if submit.is_none() && order.standing().is_terminal() => Some(Denial::Settled),
            _ => None,
        }
    }

    /// An order whose intent is in the ledger is denied before it was sent: the consumer gets that as
    /// a report, and a restart knows it.
    fn deny_order(&mut self, key: &OrderKey, denial: Denial, now: Nanos) {
        if let Some(record) = self.records.get_mut(key) {
            record.stage = Stage::Out;
        }
        let text = format!("{}: {}", denial.code(), denial.text()).into();
        let outcome = Outcome::Refused { code: denial.code().into(), text };
        self.answered(key, Request::Submit, outcome, now);
    }

    /// A change that was written down is not sent.
    fn drop_change(&mut self, key: &OrderKey, number: u32, denial: Denial, now: Nanos) {
        let amend = self.records.get_mut(key).and_then(|record| record.amends.remove(&number));
        let intent = if amend.is_some() { Intent::Amend } else { Intent::Cancel };
        let outcome = Outcome::Refused { code: denial.code().into(), text: denial.text().into() };
        self.answered(key, Request::Change(number), outcome, now);
        self.reply(key, intent, ReplyAnswer::Denied(denial));
    }

    /// A request's answer is written down and taken in.
    pub(super) fn answered(
        &mut self,
        key: &OrderKey,
        request: Request,
        outcome: Outcome,
        now: Nanos,
    ) {
        let answer = Answer { order: key.clone(), request, outcome, ts: now };
        if !self.is_unwritten(key, request) {
            self.journal.append(Fact::Answer(answer.clone()));
        } else if let Some(record) = self.records.get_mut(key) {
            record.unwritten = None;
        }
        let effects = self.orders.update(key, |order| order.answer(&answer, now));
        self.apply(key, effects.unwrap_or_default());
    }
}

/// How a venue finds an order: by the newest of its venue orders that is not over.
pub(super) fn target(order: &Order) -> Target {
    let submit = order.submit();
    let open = order.legs().iter().rev().find(|leg| !leg.standing().is_terminal());
    Target {
        instrument: submit.terms.instrument.clone(),
        venue_client_id: submit.venue_client_id.clone(),
        venue_order_id: open.map(|leg| leg.venue_order_id().clone()),
    }
}
