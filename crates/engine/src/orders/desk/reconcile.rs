//! Asking venues: about orders in doubt, and for the whole picture of an account.
//!
//! Everything that an answer brings is an observation like any other, and observations are evidence
//! that only grows: reconciling twice changes nothing.

use std::time::Duration;

use model::Nanos;
use model::ledger::{Name, OrderKey, Outcome, Request, Sent, Submit};
use model::trading::{Instruction, Target, Ticket};

use super::super::inquiry::{PAUSE_MAX, PAUSE_MIN};
use super::super::table::Standing;
use super::account::{Account, Purpose, Question, Told};
use super::exit::target;
use super::{Desk, Note, Order};

/// Fills are asked for from so long before the last time that they were told whole: venues list them
/// with delay.
const OVERLAP: Duration = Duration::from_secs(60);

/// Fills that are missing of an order that is over are asked for from its beginning on, again and again
/// for so long.
const OWED_FOR: Duration = Duration::from_secs(3_600);

impl Desk {
    /// A private stream is there, or may have missed something.
    pub(super) fn listening(&mut self, provider: &Name, listening: bool, now: Nanos) {
        if let Some(account) = self.accounts.get_mut(provider) {
            account.listening = listening;
        }
        if listening {
            self.reconcile(provider, now);
        } else {
            self.doubt(provider, now);
        }
    }

    /// Every open order of an account is to be asked about.
    fn doubt(&mut self, provider: &Name, now: Nanos) {
        self.orders.disconnected(provider, now);
        for key in self.open_orders(provider) {
            self.touch(&key);
        }
    }

    pub(super) fn open_orders(&self, provider: &Name) -> Vec<OrderKey> {
        let open = self.orders.iter().filter(|(_, order)| {
            order.submit().terms.provider == *provider && !order.standing().is_terminal()
        });
        open.map(|(key, _)| key.clone()).collect()
    }

    /// Asks for the whole picture of an account: fills, open orders, balances, and each open order of
    /// ours. The driver need not call this; the desk does when a stream is there (again), and
    /// periodically.
    pub fn reconcile(&mut self, provider: &Name, now: Nanos) {
        self.doubt(provider, now);
        let mut oldest: Vec<(Name, Nanos)> = Vec::new();
        for key in self.open_orders(provider) {
            let Some(order) = self.orders.get(&key) else { continue };
            let instrument = order.submit().terms.instrument.clone();
            let since = if self.fills_are_known(order) { now } else { order.submit().ts };
            oldest.push((instrument, since));
        }
        oldest.extend(self.owed(provider, now));
        let Some(account) = self.accounts.get_mut(provider) else { return };
        (account.missed, account.again, account.untold_at) = (false, false, None);
        account.reconcile_at = self.options.reconcile_every.map(|every| now + every);
        oldest.extend(account.instruments.iter().map(|name| (name.clone(), now)));
        for (instrument, _) in &oldest {
            account.ask(Question::Fills { instrument: instrument.clone() });
        }
        for (instrument, since) in oldest {
            account.begin_fills(&instrument, since);
        }
        account.ask(Question::OpenOrders);
        account.ask(Question::Balances);
    }

    /// Whether the fills of an order need not be listed from its beginning on again: they were, and
    /// come to what the venue says is filled of it. One that is listed too late for that shows in the
    /// venue's amount, and then they are.
    fn fills_are_known(&self, order: &Order) -> bool {
        let Submit { terms, ts, .. } = order.submit();
        let account = self.accounts.get(&terms.provider);
        let told = account.and_then(|account| account.fills.get(&terms.instrument));
        let confirmed = matches!(order.standing(), Standing::Acknowledged | Standing::Partial);
        told.is_some_and(|told| told.from <= *ts) && confirmed && order.unattributed().is_zero()
    }

    /// Where and since when fills are to be listed of orders that are over and were filled more than
    /// fills were told: a venue may list one late. Not for ever, since it may never list it; but once in
    /// each process.
    fn owed(&self, provider: &Name, now: Nanos) -> Vec<(Name, Nanos)> {
        let Some(account) = self.accounts.get(provider) else { return Vec::new() };
        let owes = |(key, order): &(&OrderKey, &Order)| {
            let Submit { terms, .. } = order.submit();
            let over = self.records.get(key).and_then(|record| record.over);
            let lately = over.is_some_and(|at| now.since(at) < OWED_FOR);
            terms.provider == *provider
                && over.is_some()
                && !order.unattributed().is_zero()
                && (lately || !account.fills.contains_key(&terms.instrument))
        };
        let since =
            |(_, order): (_, &Order)| (order.submit().terms.instrument.clone(), order.submit().ts);
        self.orders.iter().filter(owes).map(since).collect()
    }

    /// Asks for the lists that were not told.
    fn ask_untold(&mut self, provider: &Name) {
        let Some(account) = self.accounts.get_mut(provider) else { return };
        account.untold_at = None;
        account.untold.clone().into_iter().for_each(|question| account.ask(question));
    }

    pub(super) fn want_fills(&mut self, provider: &Name, instrument: &Name, since: Nanos) {
        let Some(account) = self.accounts.get_mut(provider) else { return };
        account.begin_fills(instrument, since);
        account.ask(Question::Fills { instrument: instrument.clone() });
    }

    pub(super) fn take_question(&mut self, provider: &Name, now: Nanos) -> Option<Instruction> {
        loop {
            let account = self.accounts.get_mut(provider)?;
            let question = account.next_question()?;
            let since = match &question {
                Question::Fills { instrument } => account.fills_since(instrument, now),
                _ => now,
            };
            let since = since - self.options.clock_error;
            match self.instruct_question(provider, &question, since, now) {
                Some(instruction) => return Some(instruction),
                None => {
                    let account = self.accounts.get_mut(provider)?;
                    account.open.remove(&question);
                }
            }
        }
    }

    /// The instruction for a question; `None` where there is nothing to ask any more.
    fn instruct_question(
        &mut self,
        provider: &Name,
        question: &Question,
        since: Nanos,
        now: Nanos,
    ) -> Option<Instruction> {
        let target = match question {
            Question::Query(key) | Question::KillOne(key) if self.is_over(key) => return None,
            Question::Query(key) | Question::KillOne(key) => self.orders.get(key).map(target),
            Question::CancelOrphan(orphan) => Some(Target {
                instrument: orphan.instrument.clone(),
                venue_client_id: orphan.venue_client_id.clone().unwrap_or_else(|| "".into()),
                venue_order_id: Some(orphan.venue_order_id.clone()),
            }),
            _ => None,
        };
        let asked = Purpose::Question { question: question.clone(), asked: now, since };
        let ticket = self.ticket(provider, asked);
        let within = self.options.dead_man.unwrap_or_default();
        Some(match question.clone() {
            Question::Fills { instrument } => Instruction::Fills { ticket, instrument, since },
            Question::OpenOrders => Instruction::OpenOrders { ticket },
            Question::Balances => Instruction::Balances { ticket },
            Question::Query(key) => {
                let sent = Sent { order: key.clone(), request: Request::Query, ts: now };
                self.orders.update(&key, |order| order.sent(&sent));
                self.touch(&key);
                Instruction::Query { ticket, target: target? }
            }
            Question::CancelAll { instrument } => Instruction::CancelAll { ticket, instrument },
            Question::KillOne(_) | Question::CancelOrphan(_) => {
                Instruction::Cancel { ticket, target: target? }
            }
            Question::DeadMan { instrument } => {
                let wound = self.accounts.get(provider)?.dead_man.contains_key(&instrument);
                let within = if wound { within } else { Duration::ZERO };
                Instruction::DeadMan { ticket, instrument, within }
            }
        })
    }

    /// A question was answered.
    pub(super) fn told(
        &mut self,
        provider: &Name,
        (ticket, question): (Ticket, Question),
        (asked, since): (Nanos, Nanos),
        outcome: &Outcome,
        now: Nanos,
    ) {
        let Some(account) = self.accounts.get_mut(provider) else { return };
        // What was missed may be of this answer.
        let whole = matches!(outcome, Outcome::Accepted { .. }) && !account.missed;
        let swept = whole || matches!(outcome, Outcome::Refused { .. } | Outcome::NotFound);
        match &question {
            Question::Query(key) => return self.query_answered(provider, key, asked, outcome, now),
            Question::CancelAll { instrument } if !matches!(outcome, Outcome::Accepted { .. }) => {
                return self.kill_each(provider, instrument, asked, now);
            }
            Question::KillOne(_) | Question::CancelAll { .. } => return,
            Question::OpenOrders if whole => {
                account.open_orders = Some(Told::after(None, asked, since));
            }
            Question::DeadMan { instrument } => self.wound(provider, instrument, asked),
            Question::Fills { instrument } => {
                let instrument = instrument.clone();
                if whole {
                    let told = Told::after(account.fills.get(&instrument), asked, since);
                    account.fills.insert(instrument.clone(), told);
                    account.fills_from.remove(&instrument);
                }
                self.fills_told(provider, &instrument, swept.then_some(ticket));
            }
            _ => {}
        }
        if whole {
            self.list_told(provider, &question);
        } else {
            self.not_told(provider, question, outcome, now);
        }
        if let Some(account) = self.accounts.get_mut(provider).filter(|account| account.all_told())
        {
            account.reconciled |= account.listening && account.untold.is_empty();
        }
    }

    /// The venue does answer: what it did not tell is asked for again soon.
    fn list_told(&mut self, provider: &Name, question: &Question) {
        let Some(account) = self.accounts.get_mut(provider) else { return };
        account.untold.remove(question);
        if !account.again {
            account.pause = PAUSE_MIN;
        }
    }

    /// A list is asked for again by itself: all at once may be more than the venue's budget has room
    /// for, however often. What else was not done is found by reconciling.
    fn not_told(&mut self, provider: &Name, question: Question, outcome: &Outcome, now: Nanos) {
        let Some(account) = self.accounts.get_mut(provider) else { return };
        let fills = matches!(question, Question::Fills { .. });
        let news = match question.is_list() {
            // The venue does not list the instrument: there are no fills of it to wait for.
            true if fills && *outcome == Outcome::NotFound => true,
            true => {
                let news = account.untold.insert(question.clone());
                account.ask_untold_soon(now);
                news
            }
            false => {
                account.reconcile_soon(now);
                true
            }
        };
        if news {
            let (provider, what) = (provider.clone(), format!("{question:?}: {outcome:?}"));
            self.note(Note::NotReconciled { provider, what });
        }
    }

    /// Fills of an instrument were told, by the answer to that ticket; `None` where that is not known.
    fn fills_told(&mut self, provider: &Name, instrument: &Name, ticket: Option<Ticket>) {
        for key in self.open_orders(provider) {
            let Some(order) = self.orders.get(&key) else { continue };
            let (own, since) = (order.submit().terms.instrument == *instrument, order.submit().ts);
            let record = self.records.get_mut(&key).filter(|_| own);
            let Some(sweep) = record.and_then(|record| record.sweep.as_mut()) else { continue };
            let after = ticket.is_some_and(|ticket| ticket.0 > sweep.after);
            sweep.told |= after;
            if !sweep.told {
                self.want_fills(provider, instrument, since);
            }
        }
    }

    fn query_answered(
        &mut self,
        provider: &Name,
        key: &OrderKey,
        asked: Nanos,
        outcome: &Outcome,
        now: Nanos,
    ) {
        let held = self.records.get_mut(key).is_some_and(|r| std::mem::take(&mut r.held));
        let missed = self.accounts.get(provider).is_some_and(|account| account.missed);
        match outcome {
            Outcome::Accepted { .. } if !held && !missed => {
                self.orders.update(key, |order| order.settled(asked));
                self.touch(key);
            }
            Outcome::NotFound => self.not_found(provider, key, asked, now),
            _ => self.touch(key),
        }
    }

    /// The venue does not find an order. Whether it is in the open orders and the trades is asked as
    /// soon as that can count.
    fn not_found(&mut self, provider: &Name, key: &OrderKey, asked: Nanos, now: Nanos) {
        let Some(order) = self.orders.get(key) else { return };
        let Submit { terms, ts, .. } = order.submit();
        let (instrument, ts) = (terms.instrument.clone(), *ts);
        let error = self.options.clock_error;
        let counts_from = order.absence_counts_from(error);
        let over = order.standing().is_terminal();
        let Some(account) = self.accounts.get_mut(provider) else { return };
        let counts = |told: &Told| counts_from.is_some_and(|from| told.asked >= from);
        let fills = account.fills.get(&instrument);
        let absent = account.open_orders.as_ref().is_some_and(counts)
            && fills.is_some_and(|told| counts(told) && told.since <= ts);
        if !over && !absent && counts_from.is_some_and(|from| now >= from) {
            account.begin_fills(&instrument, ts);
            account.ask(Question::Fills { instrument });
            account.ask(Question::OpenOrders);
        }
        let effects = self.orders.update(key, |order| order.not_found(asked, error, absent, now));
        self.apply(key, effects.unwrap_or_default());
    }

    /// An operator says that an order never got to its venue. `false` where that is not in doubt.
    pub fn never_arrived(&mut self, key: &OrderKey, now: Nanos) -> bool {
        let unknown = |order: &Order| order.standing() == Standing::Unknown;
        if !self.orders.get(key).is_some_and(unknown) {
            return false;
        }
        let why = "never arrived, says the operator";
        let effects = self.orders.update(key, |order| order.never_arrived(why, now));
        self.apply(key, effects.unwrap_or_default());
        true
    }

    /// What is due by now is done.
    pub fn on_timer(&mut self, now: Nanos) {
        self.deny_waiting(now);
        self.write_acknowledgements(now);
        let due: Vec<OrderKey> =
            self.asks.iter().filter(|(_, at)| **at <= now).map(|(key, _)| key.clone()).collect();
        for key in due {
            let Some(order) = self.orders.get(&key) else { continue };
            if let Some(account) = self.accounts.get_mut(&order.submit().terms.provider) {
                account.ask(Question::Query(key));
            }
        }
        let providers: Vec<Name> = self.accounts.keys().cloned().collect();
        for provider in providers {
            let Some(account) = self.accounts.get(&provider) else { continue };
            let due = account.reconcile_at.is_some_and(|at| at <= now);
            let untold = account.untold_at.is_some_and(|at| at <= now);
            if account.listening && due {
                self.reconcile(&provider, now);
            } else if account.listening && untold {
                self.ask_untold(&provider);
            }
            self.kill_on(&provider, now);
            self.wind(&provider, now);
        }
    }

    /// When [`on_timer`](Self::on_timer) is wanted though nothing happens, and
    /// [`take_instruction`](Self::take_instruction) behind it.
    #[must_use]
    pub fn deadline(&self, now: Nanos) -> Option<Nanos> {
        let accounts = self.accounts.values();
        let asked = |key: &OrderKey| {
            let order = self.orders.get(key);
            let account = order.and_then(|o| self.accounts.get(&o.submit().terms.provider));
            // Where no such provider trades nobody can be asked.
            account.is_none_or(|account| account.open.contains(&Question::Query(key.clone())))
        };
        let asks = self.asks.iter().filter(|(key, _)| !asked(key)).map(|(_, at)| *at);
        // Whatever the ledger holds up goes on with its next word.
        let held_up = self.holds_orders_up();
        let due = accounts.flat_map(|account| account.deadlines(held_up, now));
        due.chain(asks).min()
    }
}

impl Account {
    /// The next question for fills goes back as far as this.
    pub(super) fn begin_fills(&mut self, instrument: &Name, from: Nanos) {
        let known = self.fills_from.entry(instrument.clone()).or_insert(from);
        *known = from.min(*known);
    }

    /// From when on fills are to be asked for: from where they were told whole, or further back where
    /// something asks for it.
    fn fills_since(&self, instrument: &Name, now: Nanos) -> Nanos {
        let told = self.fills.get(instrument).map(|told| told.asked);
        let from = self.fills_from.get(instrument).copied().unwrap_or(now);
        from.min(told.unwrap_or(now)) - OVERLAP
    }

    /// Something was missed: all of it is asked again, soon at first.
    pub(super) fn reconcile_soon(&mut self, now: Nanos) {
        if std::mem::replace(&mut self.again, true) {
            return;
        }
        let soon = now + self.next_pause();
        self.reconcile_at = Some(self.reconcile_at.map_or(soon, |at| at.min(soon)));
    }

    /// The lists that were not told are asked for again, soon at first.
    fn ask_untold_soon(&mut self, now: Nanos) {
        if self.untold_at.is_none() {
            self.untold_at = Some(now + self.next_pause());
        }
    }

    fn next_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = pause.saturating_mul(2).min(PAUSE_MAX);
        pause
    }

    fn deadlines(&self, held_up: bool, now: Nanos) -> impl Iterator<Item = Nanos> + '_ {
        let jobs = !self.jobs.is_empty() && self.listening && !held_up;
        let jobs = jobs.then(|| self.budget.free_at(false, now));
        let cancels = (!self.cancels.is_empty()).then(|| self.cancel_at(now));
        let reconcile = self.reconcile_at.filter(|_| self.listening);
        let untold = self.untold_at.filter(|_| self.listening);
        // Whoever hears nothing winds nothing.
        let winds = self.dead_man.values().copied().filter(|_| self.listening);
        let all = [jobs, cancels, reconcile, untold].into_iter().flatten();
        all.chain(self.killing.values().map(|kill| kill.next)).chain(winds)
    }
}
