//! What consumers want: checked, written down, and on its way to the ledger.

use model::ledger::{Change, ChangeTerms, Fact, OrderKey, Request, Submit, Terms};
use model::order::{Intent, OrderType};
use model::reply::ReplyAnswer;
use model::{Decimal, Denial, Nanos};

use super::super::table::Standing;
use super::account::Job;
use super::journal::Wish;
use super::risk::{Asked, Market};
use super::{Amend, Desk, Note, Record, Stage, view};

/// At most so many characters has a consumer's id of an order.
const ID_MAX: usize = 64;

/// A new order of a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// Whose it is, and the consumer's own id, unique for ever.
    pub order: OrderKey,
    /// What it asks for.
    pub terms: Terms,
    /// Follows the order through logs.
    pub decision_id: u64,
}

impl Desk {
    /// A consumer wants a new order. A denial or a duplicate is a reply; else what becomes of it
    /// comes as reports. An id that is in the ledger is a duplicate also where a new order would be
    /// denied: before a denial is told, the ledger is asked.
    pub fn submit(&mut self, new: NewOrder, market: Market<'_>, now: Nanos) {
        match self.try_submit(&new, market, now) {
            Ok(()) => {}
            Err(ReplyAnswer::Denied(denial)) => {
                self.deny_new(&new.order, new.terms, denial, now);
            }
            Err(answer) => self.reply(&new.order, Intent::Submit, answer),
        }
    }

    fn try_submit(
        &mut self,
        new: &NewOrder,
        market: Market<'_>,
        now: Nanos,
    ) -> Result<(), ReplyAnswer> {
        let NewOrder { order: key, terms, decision_id } = new;
        if let Some(known) = self.orders.get(key) {
            let same = known.submit().terms == *terms;
            return Err(if same {
                ReplyAnswer::Duplicate(view(known))
            } else {
                ReplyAnswer::Denied(Denial::IdReused)
            });
        }
        let epoch = self.may_enter(key, terms)?;
        let asked = Asked {
            consumer: &key.consumer,
            terms,
            counted: Decimal::ZERO,
            price: None,
            leaves: terms.quantity,
            new: true,
        };
        self.risk.check(asked, market, now).map_err(ReplyAnswer::Denied)?;
        let account = self.accounts.get_mut(&terms.provider);
        let account = account.ok_or(ReplyAnswer::Denied(Denial::UnknownProvider))?;
        let submit = Submit {
            order: key.clone(),
            venue_client_id: (account.profile.client_id)(key),
            deadline: account.profile.deadline_after.map(|after| now + after),
            terms: terms.clone(),
            ts: now,
            decision_id: *decision_id,
        };
        self.orders.submit(submit.clone()).map_err(|_| ReplyAnswer::Denied(Denial::TooManyOpen))?;
        account.entering += 1;
        let record = Record { stage: Stage::Entering, epoch, ..Record::default() };
        self.records.insert(key.clone(), record);
        self.journal.request(Fact::Submit(submit), Wish::Submit(key.clone()));
        self.touch(key);
        Ok(())
    }

    /// What forbids a new order or an amend whatever it asks for; the switch's epoch else.
    fn may_enter(&self, key: &OrderKey, terms: &Terms) -> Result<u64, ReplyAnswer> {
        let epoch = self.switches.enter(&key.consumer).map_err(ReplyAnswer::Denied)?;
        let account = self.accounts.get(&terms.provider);
        let length = key.client_order_id.chars().count();
        let denial = match account {
            _ if self.journal.stuck.is_some() => Denial::LedgerStuck,
            _ if self.journal.len() >= self.options.facts_max => Denial::LedgerFull,
            _ if !(1..=ID_MAX).contains(&length) => Denial::Malformed,
            None => Denial::UnknownProvider,
            Some(account) if !(account.listening && account.reconciled) => Denial::NotListening,
            Some(account) if account.entering + account.jobs.len() >= self.options.waiting_max => {
                Denial::TooManyWaiting
            }
            Some(_) if self.orders.open_len() >= self.options.open_max => Denial::TooManyOpen,
            Some(_) => return Ok(epoch),
        };
        Err(ReplyAnswer::Denied(denial))
    }

    /// A consumer wants an order of its gone. Always passes the switch, and does not wait for a ledger
    /// that is stuck. One that was not sent yet never will be.
    pub fn cancel(&mut self, key: &OrderKey, now: Nanos) {
        if let Err(denial) = self.try_cancel(key, now) {
            self.reply(key, Intent::Cancel, ReplyAnswer::Denied(denial));
        }
    }

    fn try_cancel(&mut self, key: &OrderKey, now: Nanos) -> Result<(), Denial> {
        let standing = self.orders.get(key).ok_or(Denial::UnknownOrder)?.standing();
        if standing.is_terminal() {
            return Err(Denial::Settled);
        }
        let record = self.records.entry(key.clone()).or_default();
        match record.stage {
            Stage::Entering => record.withdrawn = true,
            Stage::Waiting => {
                record.withdrawn = true;
                self.deny_waiting(now);
            }
            Stage::Out => self.change(key, ChangeTerms::Cancel, now)?,
        }
        Ok(())
    }

    /// A consumer wants an order of its to have another price, another quantity (in all, what is
    /// filled included), or both.
    pub fn amend(
        &mut self,
        key: &OrderKey,
        price: Option<Decimal>,
        quantity: Option<Decimal>,
        market: Market<'_>,
        now: Nanos,
    ) {
        if let Err(answer) = self.try_amend(key, (price, quantity), market, now) {
            self.reply(key, Intent::Amend, answer);
        }
    }

    fn try_amend(
        &mut self,
        key: &OrderKey,
        (price, quantity): (Option<Decimal>, Option<Decimal>),
        market: Market<'_>,
        now: Nanos,
    ) -> Result<(), ReplyAnswer> {
        let denied = ReplyAnswer::Denied;
        let order = self.orders.get(key).ok_or(denied(Denial::UnknownOrder))?;
        let terms = &order.submit().terms;
        self.may_enter(key, terms).or_else(|answer| match answer {
            // It adds no order.
            ReplyAnswer::Denied(Denial::TooManyOpen) => Ok(0),
            other => Err(other),
        })?;
        let amends = self.accounts.get(&terms.provider).map(|a| a.profile.amends);
        let open = matches!(order.standing(), Standing::Acknowledged | Standing::Partial);
        let priced = terms.order_type == OrderType::Limit;
        if order.standing().is_terminal() {
            return Err(denied(Denial::Settled));
        }
        if !open || !priced || (price, quantity) == (None, None) {
            return Err(denied(Denial::NotAmendable));
        }
        let record = self.records.get(key);
        let price_now = record.and_then(|record| record.price).or(terms.price);
        let wanted = quantity.unwrap_or(order.quantity());
        if wanted <= order.filled() {
            return Err(denied(Denial::Malformed));
        }
        let (before, after) = ((price_now, order.quantity()), (price.or(price_now), wanted));
        if !amends.is_some_and(|amends| amends.allows(before, after)) {
            return Err(denied(Denial::NotAmendable));
        }
        let terms = Terms { price: price.or(price_now), quantity: wanted, ..terms.clone() };
        let asked = Asked {
            consumer: &key.consumer,
            terms: &terms,
            counted: record.map_or(Decimal::ZERO, |record| record.counted.leaves),
            price: price_now,
            leaves: wanted.saturating_sub(order.filled()),
            new: false,
        };
        self.risk.check(asked, market, now).map_err(denied)?;
        self.change(key, ChangeTerms::Amend { price, quantity }, now).map_err(denied)
    }

    /// A change of an order that is out is written down and waits for that; a cancel does not where the
    /// ledger is stuck, and is not even written down where too many facts wait.
    fn change(&mut self, key: &OrderKey, terms: ChangeTerms, now: Nanos) -> Result<(), Denial> {
        let full = self.journal.len() >= self.options.facts_full;
        let record = self.records.entry(key.clone()).or_default();
        let unwritten = terms == ChangeTerms::Cancel && full;
        if unwritten && record.unwritten.is_some() {
            return Err(Denial::TooManyChanges);
        }
        let number = record.changes + 1;
        let change = Change { order: key.clone(), number, terms, ts: now };
        self.orders.change(&change).map_err(|_| Denial::TooManyChanges)?;
        record.changes = number;
        if unwritten {
            record.unwritten = Some(number);
        }
        if let ChangeTerms::Amend { price, quantity } = change.terms {
            let epoch = self.switches.enter(&key.consumer)?;
            record.amends.insert(number, Amend { price, quantity, epoch });
        }
        self.write_change(change, now);
        self.touch(key);
        Ok(())
    }

    fn write_change(&mut self, change: Change, now: Nanos) {
        let Change { order, number, terms, .. } = &change;
        let wish = Wish::Change(order.clone(), *number, terms.clone());
        let waits = *terms != ChangeTerms::Cancel || self.journal.stuck.is_none();
        if self.is_unwritten(order, Request::Change(*number)) {
            self.release(wish, now);
        } else if waits {
            self.journal.request(Fact::Change(change), wish);
        } else {
            self.journal.append(Fact::Change(change));
            self.release(wish, now);
        }
    }

    /// Whether a request is not to be found in the ledger, so that nothing of it goes there.
    pub(super) fn is_unwritten(&self, key: &OrderKey, request: Request) -> bool {
        let number = self.records.get(key).and_then(|record| record.unwritten);
        number.is_some_and(|number| request == Request::Change(number))
    }

    /// The ledger has a change of that number, of an earlier process that this one did not take over:
    /// it gets another. How many there were is not known here, so that it doubles.
    pub(super) fn renumber(&mut self, key: OrderKey, from: u32, terms: ChangeTerms, now: Nanos) {
        let Some(record) = self.records.get_mut(&key) else { return };
        let number = record.changes.saturating_mul(2);
        record.changes = number;
        if let Some(amend) = record.amends.remove(&from) {
            record.amends.insert(number, amend);
        }
        self.orders.update(&key, |order| order.renumber(from, number));
        self.write_change(Change { order: key, number, terms, ts: now }, now);
    }

    /// An order was rejected, by the venue or by a limit: once too often throws the switch off.
    pub(super) fn rejected(&mut self, key: &OrderKey, now: Nanos) {
        if self.switches.rejected(&key.consumer, now) {
            self.switch_off(&key.consumer, now);
            self.note(Note::BreakerTripped(key.consumer.clone()));
        }
    }

    /// A durable request goes to where it waits for the rate budget.
    pub(super) fn release(&mut self, wish: Wish, now: Nanos) {
        let (Wish::Submit(key) | Wish::Change(key, ..)) = &wish;
        let Some(order) = self.orders.get(key) else { return };
        let Some(account) = self.accounts.get_mut(&order.submit().terms.provider) else { return };
        match wish {
            Wish::Submit(key) => {
                if let Some(record) = self.records.get_mut(&key) {
                    record.stage = Stage::Waiting;
                }
                account.jobs.push_back(Job::Place(key));
                self.deny_waiting(now);
            }
            Wish::Change(key, number, terms) => {
                let cancel = terms == ChangeTerms::Cancel;
                let job = Job::Change(key, number, terms);
                if cancel { account.cancels.push_back(job) } else { account.jobs.push_back(job) }
            }
        }
    }
}
