//! What trading machines have heard.

use model::ledger::{Name, OrderKey, Outcome, Request};
use model::order::{ExecReport, Intent, OrderState};
use model::reply::ReplyAnswer;
use model::trading::{Heard, NOT_FOUND, Ticket, UNKNOWN, VenueState};
use model::{Decimal, Nanos};

use super::super::leg::Leg;
use super::account::{Orphan, Purpose, Question};
use super::{AccountNews, Desk, Note, Orphans, Record, Sweep};

/// At most so many orphans of an account are remembered as told.
const ORPHANS_MAX: usize = 1_024;
/// At most so many assets and instruments have news at once.
const NEWS_MAX: usize = 8_192;

/// Fills of an order are missing.
struct Lacking {
    /// How much is filled, by what is told.
    filled: Decimal,
    /// When the order was handed in.
    since: Nanos,
    /// It was not known by that id of its venue.
    new: bool,
}

impl Desk {
    /// A provider's trading machine has heard something.
    pub fn heard(&mut self, provider: &str, heard: Heard, now: Nanos) {
        let Some((name, _)) = self.accounts.get_key_value(provider) else { return };
        let name = name.clone();
        match heard {
            Heard::Listening(listening) => self.listening(&name, listening, now),
            Heard::Answer { ticket, outcome } => self.answer(&name, ticket, outcome, now),
            Heard::Order(seen) => self.order_seen(&name, &seen, now),
            Heard::Balance(balance) => {
                let key = (name, false, balance.asset.clone());
                self.account_news(key, AccountNews::Balance(balance));
            }
            Heard::Position(position) => {
                let key = (name, true, position.instrument.clone());
                self.account_news(key, AccountNews::Position(position));
            }
        }
    }

    fn account_news(&mut self, key: (Name, bool, Name), news: AccountNews) {
        if self.news.len() < NEWS_MAX || self.news.contains_key(&key) {
            self.news.insert(key, news);
        }
    }

    fn answer(&mut self, provider: &Name, ticket: Ticket, outcome: Outcome, now: Nanos) {
        match self.tickets.remove(&ticket) {
            Some((of, Purpose::Place(key))) if of == *provider => {
                if matches!(outcome, Outcome::Refused { .. }) {
                    self.rejected(&key, now);
                }
                self.answered(&key, Request::Submit, outcome, now);
            }
            Some((of, Purpose::Change(key, number, _))) if of == *provider => {
                self.change_answered(&key, number, outcome, now);
            }
            Some((of, Purpose::Question { question, asked, since })) if of == *provider => {
                if let Some(account) = self.accounts.get_mut(provider) {
                    account.open.remove(&question);
                }
                self.told(provider, (ticket, question), (asked, since), &outcome, now);
            }
            _ => self.note(Note::UnknownTicket(ticket)),
        }
    }

    fn change_answered(&mut self, key: &OrderKey, number: u32, outcome: Outcome, now: Nanos) {
        // Of an order that has left there is none any more, and none is to be made.
        let mut left = Record::default();
        let record = self.records.get_mut(key).unwrap_or(&mut left);
        let amend = record.amends.remove(&number);
        let intent = if amend.is_some() { Intent::Amend } else { Intent::Cancel };
        let refused = match &outcome {
            Outcome::Accepted { .. } => {
                record.price = amend.and_then(|amend| amend.price).or(record.price);
                None
            }
            Outcome::Refused { code, text } => Some((code.clone(), text.clone())),
            Outcome::NotFound => {
                Some((NOT_FOUND.into(), "the venue finds no such open order".into()))
            }
            Outcome::Unknown(how) => Some((UNKNOWN.into(), format!("no answer: {how:?}").into())),
        };
        if let Some((code, text)) = refused {
            self.reply(key, intent, ReplyAnswer::Refused { code, text });
        }
        self.answered(key, Request::Change(number), outcome, now);
    }

    /// A provider's machine had something to tell of an order, and it could not be taken in: the
    /// account is asked for it after a pause, which grows as long as that goes on. Asked at once it would
    /// be missed again, until the venue's rate budget is used up.
    pub fn missed(&mut self, provider: &str, now: Nanos) {
        let Some(account) = self.accounts.get_mut(provider) else { return };
        account.reconcile_soon(now);
        if !std::mem::replace(&mut account.missed, true) {
            self.note(Note::Overfull(provider.into()));
        }
    }

    fn order_seen(&mut self, provider: &Name, seen: &ExecReport, now: Nanos) {
        if self.journal.len() >= self.options.facts_full {
            return self.missed(provider, now);
        }
        match self.orders.find(provider, seen).cloned() {
            Some(key) => self.seen_of(provider, &key, seen, now),
            None => self.unclaimed(provider, seen, now),
        }
    }

    /// What is told is of that order.
    pub(super) fn seen_of(
        &mut self,
        provider: &Name,
        key: &OrderKey,
        seen: &ExecReport,
        now: Nanos,
    ) {
        if self.fills_come_first(provider, key, seen, now) {
            return;
        }
        if let Some(record) = self.records.get_mut(key) {
            record.take_price(seen);
        }
        let effects = self.orders.observe(key, seen).unwrap_or_default();
        let rejected = effects.report.as_ref().is_some_and(|r| r.state == OrderState::Rejected);
        self.apply(key, effects);
        if rejected {
            self.rejected(key, now);
        }
    }

    /// Whether what is told would end an order with fills that nobody has told. It is held back, since
    /// what ends an order is the last that a restart knows of it: the fills are asked for, and then
    /// the order once more. What fills were asked for before the venue said so does not count: more
    /// may have been filled since.
    fn fills_come_first(
        &mut self,
        provider: &Name,
        key: &OrderKey,
        told: &ExecReport,
        now: Nanos,
    ) -> bool {
        let Some(Lacking { filled, since, new }) = self.lacking(key, told) else { return false };
        let Some(record) = self.records.get_mut(key) else { return false };
        let venue_order_id: Name = told.venue_order_id.as_str().into();
        let asked = record.sweep.as_ref();
        match asked.filter(|of| of.venue_order_id == venue_order_id && of.filled >= filled) {
            Some(sweep) if sweep.told => return false,
            Some(_) => {}
            None => {
                let after = self.last_ticket;
                record.sweep = Some(Sweep { venue_order_id, filled, after, told: false });
            }
        }
        if new {
            // Fills may be told under the venue's id alone: the order has to be known by it first.
            let effects = self.orders.observe(key, &that_it_is_there(told));
            self.apply(key, effects.unwrap_or_default());
        }
        let Some(record) = self.records.get_mut(key) else { return false };
        if told.ticket.is_some() {
            record.held = true;
        } else {
            // What the stream said comes again as an answer.
            self.orders.update(key, |order| order.doubt(now));
            self.touch(key);
        }
        self.want_fills(provider, &told.instrument.as_str().into(), since);
        true
    }

    /// What nobody has told of an order that what is told would end.
    fn lacking(&self, key: &OrderKey, told: &ExecReport) -> Option<Lacking> {
        let order = self.orders.get(key).filter(|order| !order.standing().is_terminal())?;
        let ends = told.state.is_some_and(|state| state != VenueState::Open);
        let own = |leg: &&Leg| leg.venue_order_id().as_ref() == told.venue_order_id;
        let leg = order.legs().iter().find(own);
        let known = leg.map(|leg| leg.filled().saturating_sub(leg.unattributed()));
        let known = known.unwrap_or_default().saturating_add(told.last_quantity);
        let filled = filled(told, order.quantity());
        let lacks = ends && filled > known;
        lacks.then(|| Lacking { filled, since: order.submit().ts, new: leg.is_none() })
    }

    fn unclaimed(&mut self, provider: &Name, seen: &ExecReport, now: Nanos) {
        if seen.fill().is_some() {
            return self.fill_of_stranger(provider, seen, now);
        }
        if seen.state != Some(VenueState::Open) {
            return;
        }
        let provider = provider.clone();
        let Some(account) = self.accounts.get_mut(&provider) else { return };
        let client = Some(seen.venue_client_id.as_str()).filter(|id| !id.is_empty());
        let orphan = Orphan {
            instrument: seen.instrument.as_str().into(),
            venue_order_id: seen.venue_order_id.as_str().into(),
            venue_client_id: client.map(Name::from),
        };
        if self.options.orphans == Orphans::Cancel && seen.ticket.is_some() {
            account.ask(Question::CancelOrphan(orphan.clone()));
        }
        if account.orphans.len() >= ORPHANS_MAX {
            account.orphans.pop_first();
        }
        if account.orphans.insert(orphan.clone()) {
            let Orphan { instrument, venue_order_id, .. } = orphan;
            self.note(Note::Orphan { provider, instrument, venue_order_id });
        }
    }
}

impl Record {
    /// The venue says at which price the order stands: an amend that it took may have come to nothing
    /// after all, as may one of an earlier process.
    fn take_price(&mut self, seen: &ExecReport) {
        if seen.price.is_some() && seen.ts_event >= self.priced {
            (self.price, self.priced) = (seen.price, seen.ts_event);
        }
    }
}

/// Of what was seen of an order, that the venue has it, and nothing more.
fn that_it_is_there(seen: &ExecReport) -> ExecReport {
    ExecReport {
        venue_order_id: seen.venue_order_id.clone(),
        state: Some(VenueState::Open),
        ts_recv: seen.ts_recv,
        ..ExecReport::default()
    }
}

/// What an answer says to be filled.
fn filled(seen: &ExecReport, wanted: model::Decimal) -> model::Decimal {
    let whole = seen.quantity.unwrap_or(wanted);
    match seen.state {
        Some(VenueState::Filled) => seen.filled.unwrap_or_default().max(whole),
        _ => seen.filled.unwrap_or_default(),
    }
}
