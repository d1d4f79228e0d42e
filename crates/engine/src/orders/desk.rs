//! The order desk: everything between a consumer's wish and a venue's trading machine, and back.
//!
//! Synchronous, without clock and I/O; the driver joins it to consumers, ledger and machines.
//!
//! # What the driver does
//! | goes in | from |
//! | --- | --- |
//! | [`submit`](Desk::submit), [`cancel`](Desk::cancel), [`amend`](Desk::amend), [`query`](Desk::query), [`acknowledge`](Desk::acknowledge) | consumers |
//! | [`ledger`](Desk::ledger), [`looked_up`](Desk::looked_up), [`stranger_looked_up`](Desk::stranger_looked_up) | the ledger |
//! | [`heard`](Desk::heard) | trading machines |
//! | [`switch_on`](Desk::switch_on), [`switch_off`](Desk::switch_off), [`kill`](Desk::kill), [`never_arrived`](Desk::never_arrived) | operators |
//! | [`on_timer`](Desk::on_timer) | the clock, at [`deadline`](Desk::deadline) |
//!
//! | comes out, to be taken until there is none | for |
//! | --- | --- |
//! | [`take_append`](Desk::take_append); [`give_back`](Desk::give_back) where the ledger is full | the ledger's writer |
//! | [`take_instruction`](Desk::take_instruction) | the provider's machine, at once |
//! | [`take_delivery`](Desk::take_delivery) | the consumer's critical lane |
//! | [`take_reply`](Desk::take_reply) | the consumer |
//! | [`take_lookup`](Desk::take_lookup), [`take_stranger`](Desk::take_stranger) | whoever reads the ledger |
//! | [`take_account`](Desk::take_account) | all consumers |
//! | [`take_note`](Desk::take_note) | the operator |
//!
//! # Why nothing leaves after `switch_off`
//! Nothing that could leave is ever handed out beforehand: each call of `take_instruction` decides
//! anew, with the switch as the last thing that is looked at. Once `switch_off` has returned no order
//! of that consumer comes out; the driver has only to see that what it took before is written.
//!
//! # Why nothing leaves twice
//! An order leaves when its verdict is `Stored` and the mark `Durable` covers it, and stops waiting by
//! that. What is restored after a restart never waits: it may have left.
//!
//! # Why no report is lost
//! A report is appended in the same call that changes the order, kept until it is taken, and delivered
//! once it is written. Where too many wait, what a venue says is not taken in at all, and its account
//! is reconciled after a pause, again and again until all of it is.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use model::ledger::{Acknowledgement, Fact, LedgerAppend, Name, OrderKey, Report};
use model::order::Intent;
use model::reply::{OrderReply, OrderView, ReplyAnswer};
use model::trading::{Balance, Position, Ticket, TradingProfile};
use model::venue::Rate;
use model::{Decimal, Error, Nanos};

use super::book::Orders;
use super::order::{Effects, Oddity, Order};

mod account;
mod budget;
mod enter;
mod exit;
mod exposure;
mod heard;
mod journal;
mod kill;
mod lookup;
mod reconcile;
mod restore;
mod risk;
mod strangers;
mod switch;

pub use enter::NewOrder;
pub use risk::{Limits, Market, Scope};

use account::{Account, Purpose};
use exposure::Counted;
use journal::Journal;
use lookup::Lookups;
use risk::Risk;
use strangers::Strangers;
use switch::Switches;

/// What becomes of an open venue order that no order of ours claims.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Orphans {
    /// The operator is told.
    #[default]
    Report,
    /// The operator is told and it is cancelled.
    Cancel,
}

/// How the desk works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeskOptions {
    /// At most this many orders are open.
    pub open_max: usize,
    /// So many settled orders are remembered, so that what is told late finds them.
    pub settled_max: usize,
    /// Where so many facts wait for the ledger, new orders are denied.
    pub facts_max: usize,
    /// Where so many facts wait for the ledger, what venues say is not taken in until there is room,
    /// and then asked for; cancels leave without being written down, of each order one at a time.
    pub facts_full: usize,
    /// At most this many orders of an account are between their consumer and their venue.
    pub waiting_max: usize,
    /// How long an order waits for the rate budget where its venue has no deadline.
    pub wait_max: Duration,
    /// How far our clock and a venue's may be apart.
    pub clock_error: Duration,
    /// How often each account is reconciled though nothing happened.
    pub reconcile_every: Option<Duration>,
    /// What becomes of open venue orders that no order of ours claims.
    pub orphans: Orphans,
    /// Venues that can do so cancel everything unless they hear from us within this time.
    pub dead_man: Option<Duration>,
}

impl Default for DeskOptions {
    fn default() -> Self {
        Self {
            open_max: 4_096,
            settled_max: 4_096,
            facts_max: 4_096,
            facts_full: 8_192,
            waiting_max: 256,
            wait_max: Duration::from_secs(5),
            clock_error: Duration::from_secs(1),
            reconcile_every: Some(Duration::from_secs(60)),
            orphans: Orphans::Report,
            dead_man: None,
        }
    }
}

/// A report that the ledger has, for the consumer's critical lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Where it stands in the ledger.
    pub position: u64,
    /// The report; whose it is stands in its order.
    pub report: Arc<Report>,
}

/// News of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountNews {
    /// How much of an asset there is.
    Balance(Balance),
    /// What is held of an instrument.
    Position(Position),
}

/// Something for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// See [`Oddity`].
    Odd {
        /// Which order.
        order: OrderKey,
        /// What was odd.
        oddity: Oddity,
    },
    /// The ledger can't be written: no order leaves.
    LedgerStuck(Error),
    /// It can be written again.
    LedgerRecovered,
    /// The ledger answered what it can't have meant: nothing is done by that answer.
    LedgerBroken(String),
    /// An order was open in the ledger and had not been restored; it is now, and is asked about.
    NotRestored(OrderKey),
    /// An open venue order that no order of ours claims; told once.
    Orphan {
        /// Where.
        provider: Name,
        /// Canonical name of what it is for.
        instrument: Name,
        /// The venue's id of it.
        venue_order_id: Name,
    },
    /// A fill of a venue order that is no order of ours, here or in the ledger; told once.
    UnclaimedFill {
        /// Where.
        provider: Name,
        /// The venue's id of the order.
        venue_order_id: Name,
        /// The venue's id of the trade.
        trade_id: Name,
    },
    /// An answer to an instruction that is not under way.
    UnknownTicket(Ticket),
    /// So many of its orders were rejected that the consumer's switch went off.
    BreakerTripped(Name),
    /// The consumer does not read its execution events; its new orders are denied.
    Stalled(Name),
    /// A question that reconciliation asked was not answered.
    NotReconciled {
        /// The provider.
        provider: Name,
        /// What was asked and what came.
        what: String,
    },
    /// Reports were not taken in because too many facts wait for the ledger, no pooled report was free,
    /// or the ledger could not say whose they are; the account will be reconciled.
    Overfull(Name),
}

/// At most this many notes wait; the oldest goes first, and is counted.
const NOTES_MAX: usize = 1_024;

/// Where an order is on its way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Its intent is at the ledger.
    Entering,
    /// It waits for the rate budget.
    Waiting,
    /// It went out, may have, or never will.
    #[default]
    Out,
}

/// What the desk knows of an order beside its state.
#[derive(Clone, Debug, Default)]
struct Record {
    stage: Stage,
    /// The switch's, when it entered.
    epoch: u64,
    /// The consumer took it back before it was sent.
    withdrawn: bool,
    /// Its price as the venue said last, or after the last amend that it took.
    price: Option<Decimal>,
    /// When the venue said so, by its clock.
    priced: Option<Nanos>,
    /// The number of its last change.
    changes: u32,
    /// That of a cancel under way that is not written down: too many facts wait.
    unwritten: Option<u32>,
    /// What amends under way want of it, by number.
    amends: BTreeMap<u32, Amend>,
    /// What it counts with in the exposure.
    counted: Counted,
    /// Its fills are asked for, or were, before an end of it is believed.
    sweep: Option<Sweep>,
    /// What its query found is held back until they are.
    held: bool,
    /// When its end was told, where it is over.
    over: Option<Nanos>,
}

/// A venue said that an order is over with more filled than fills were told.
#[derive(Clone, Debug)]
struct Sweep {
    /// Of which venue order.
    venue_order_id: Name,
    /// How much it said.
    filled: Decimal,
    /// Questions for fills with higher tickets were asked after that.
    after: u64,
    /// One of them was answered.
    told: bool,
}

/// An amend under way.
#[derive(Clone, Copy, Debug)]
struct Amend {
    price: Option<Decimal>,
    quantity: Option<Decimal>,
    /// The switch's, when it was wanted.
    epoch: u64,
}

/// The order desk. See the [module](self).
#[derive(Debug)]
pub struct Desk {
    options: DeskOptions,
    orders: Orders,
    /// Of each of `orders`, and of some that were just forgotten.
    records: BTreeMap<OrderKey, Record>,
    /// Open orders that a venue is to be asked about, and when.
    asks: BTreeMap<OrderKey, Nanos>,
    journal: Journal,
    risk: Risk,
    switches: Switches,
    accounts: BTreeMap<Name, Account>,
    /// Instructions without their answer: at most a few for each open order and instrument.
    tickets: BTreeMap<Ticket, (Name, Purpose)>,
    last_ticket: u64,
    deliveries: VecDeque<Delivery>,
    replies: VecDeque<OrderReply>,
    lookups: Lookups,
    strangers: Strangers,
    /// The newest of each asset and instrument that was not taken yet.
    news: BTreeMap<(Name, bool, Name), AccountNews>,
    notes: VecDeque<Note>,
    notes_lost: u64,
}

impl Desk {
    /// An empty desk.
    #[must_use]
    pub fn new(options: DeskOptions) -> Self {
        Self {
            options,
            orders: Orders::new(options.open_max, options.settled_max),
            records: BTreeMap::new(),
            asks: BTreeMap::new(),
            journal: Journal::default(),
            risk: Risk::default(),
            switches: Switches::default(),
            accounts: BTreeMap::new(),
            tickets: BTreeMap::new(),
            last_ticket: 0,
            deliveries: VecDeque::new(),
            replies: VecDeque::new(),
            lookups: Lookups::default(),
            strangers: Strangers::default(),
            news: BTreeMap::new(),
            notes: VecDeque::new(),
            notes_lost: 0,
        }
    }

    /// A provider trades from here on: its machine is told to listen for these instruments.
    pub fn add_provider(&mut self, name: Name, profile: TradingProfile, instruments: Vec<Name>) {
        self.accounts.insert(name, Account::new(profile, instruments));
    }

    /// A consumer is known from here on. Its switch is off unless it is to be `on`; so many rejected
    /// orders in so long (`breaker`) throw it off. `acknowledged` is what the ledger says.
    pub fn add_consumer(&mut self, name: Name, on: bool, acknowledged: u64, breaker: Option<Rate>) {
        self.switches.add(name, on, acknowledged, breaker);
    }

    /// Sets the limits of a scope; replaces those that it had.
    pub fn set_limits(&mut self, scope: Scope, limits: Limits) {
        self.risk.set(scope, limits);
    }

    /// All orders that are open or were until lately.
    #[must_use]
    pub fn orders(&self) -> &Orders {
        &self.orders
    }

    /// Why the ledger can't be written, where it can't.
    #[must_use]
    pub fn stuck(&self) -> Option<&Error> {
        self.journal.stuck.as_ref()
    }

    /// Whether a consumer's switch is on.
    #[must_use]
    pub fn is_on(&self, consumer: &str) -> bool {
        self.switches.is_on(consumer)
    }

    /// A consumer may trade. `false` where there is no such consumer.
    pub fn switch_on(&mut self, consumer: &str) -> bool {
        self.switches.set(consumer, true)
    }

    /// A consumer may not trade: when this returns no order of it comes out any more, also none that
    /// was on its way. Cancels do. `false` where there is no such consumer.
    pub fn switch_off(&mut self, consumer: &str, now: Nanos) -> bool {
        let known = self.switches.set(consumer, false);
        self.deny_waiting(now);
        known
    }

    /// A consumer's critical window is full, or was read back. While it is full its new orders are
    /// denied.
    pub fn set_stalled(&mut self, consumer: &str, stalled: bool) {
        let Some(party) = self.switches.get_mut(consumer) else { return };
        if std::mem::replace(&mut party.stalled, stalled) != stalled && stalled {
            self.note(Note::Stalled(consumer.into()));
        }
    }

    /// A consumer has dealt with everything up to and with a position in the ledger.
    pub fn acknowledge(&mut self, consumer: &str, position: u64, now: Nanos) {
        if let Some(party) = self.switches.get_mut(consumer) {
            party.wanted = party.wanted.max(position);
        }
        self.write_acknowledgements(now);
    }

    /// The next fact for the ledger.
    pub fn take_append(&mut self, now: Nanos) -> Option<LedgerAppend> {
        let append = self.journal.take()?;
        if self.journal.len() == 0 {
            self.write_acknowledgements(now);
        }
        Some(append)
    }

    /// The ledger has no room for the fact that was taken last.
    pub fn give_back(&mut self, append: LedgerAppend) {
        self.journal.give_back(append);
    }

    /// How many facts wait for the ledger.
    #[must_use]
    pub fn facts_len(&self) -> usize {
        self.journal.len()
    }

    /// Whether the ledger has all facts, what it released was decided on, and every report that it has
    /// was taken for its consumer.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.journal.is_settled() && self.deliveries.is_empty()
    }

    /// The next report to be delivered, in order for each consumer.
    pub fn take_delivery(&mut self) -> Option<Delivery> {
        self.deliveries.pop_front()
    }

    /// The next answer to a consumer.
    pub fn take_reply(&mut self) -> Option<OrderReply> {
        self.replies.pop_front()
    }

    /// The next news of an account and whose it is. Of what came several times only the newest.
    pub fn take_account(&mut self) -> Option<(Name, AccountNews)> {
        self.news.pop_first().map(|((provider, ..), news)| (provider, news))
    }

    /// The next note for the operator.
    pub fn take_note(&mut self) -> Option<Note> {
        self.notes.pop_front()
    }

    /// How many notes went because nobody took them.
    #[must_use]
    pub fn notes_lost(&self) -> u64 {
        self.notes_lost
    }

    fn note(&mut self, note: Note) {
        if self.notes.len() >= NOTES_MAX {
            self.notes.pop_front();
            self.notes_lost += 1;
        }
        self.notes.push_back(note);
    }

    fn reply(&mut self, order: &OrderKey, intent: Intent, answer: ReplyAnswer) {
        self.replies.push_back(OrderReply { order: order.clone(), intent, answer });
    }

    fn write_acknowledgements(&mut self, now: Nanos) {
        for (consumer, party) in self.switches.iter_mut() {
            if party.wanted > party.acknowledged && self.journal.len() < self.options.facts_max {
                party.acknowledged = party.wanted;
                let (consumer, position) = (consumer.clone(), party.wanted);
                let fact = Acknowledgement { consumer, position, ts: now };
                self.journal.append(Fact::Acknowledgement(fact));
            }
        }
    }

    /// Carries out what a change of an order leads to.
    fn apply(&mut self, key: &OrderKey, effects: Effects) {
        if let Some(report) = effects.report {
            let over = report.state.is_terminal();
            let record = self.records.entry(key.clone()).or_default();
            record.over = over.then(|| record.over.unwrap_or(report.ts_recv));
            self.journal.report(report);
        }
        for oddity in effects.oddities {
            self.note(Note::Odd { order: key.clone(), oddity });
        }
        self.touch(key);
    }

    /// Keeps what is known beside an order right; after every change of one.
    fn touch(&mut self, key: &OrderKey) {
        while let Some(left) = self.orders.take_left() {
            self.records.remove(&left);
        }
        let Some(order) = self.orders.get(key) else { return };
        let record = self.records.entry(key.clone()).or_default();
        match order.ask_at() {
            Some(at) => drop(self.asks.insert(key.clone(), at)),
            None => drop(self.asks.remove(key)),
        }
        let counted = counted(order, record);
        let before = std::mem::replace(&mut record.counted, counted);
        let terms = &order.submit().terms;
        self.risk.exposure.count(&key.consumer, terms, before, counted);
    }
}

/// What an order counts with: as much as may be filled of it, whichever of its amends come through.
fn counted(order: &Order, record: &Record) -> Counted {
    let (filled, open) = (order.filled(), !order.standing().is_terminal());
    let wanted = record.amends.values().filter_map(|amend| amend.quantity).max();
    let wanted = wanted.map_or(Decimal::ZERO, |quantity| quantity.saturating_sub(filled));
    let leaves = if open { order.leaves().max(wanted) } else { Decimal::ZERO };
    Counted { leaves, filled, open }
}

fn view(order: &Order) -> OrderView {
    OrderView {
        state: order.standing().reported(),
        quantity: order.quantity(),
        filled: order.filled(),
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
