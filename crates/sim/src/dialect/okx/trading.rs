//! Trading: signed requests, orders over WebSocket, and what an account is told.
//!
//! Written from www.okx.com/docs-v5/en (read 2026-11-25): "Order Book Trading", "Trade"; "Trading
//! Account"; "Overview" for signatures, limits and `expTime`; "Error Code".
//!
//! ```text
//!   REST ──► login ──► requests ──► place, change ──► market ──► events
//!            signed   ► queries                                    │
//!   ws   ──► login once, then requests                             ▼
//!        ◄── channels ◄───────────────── rows ◄──────────── facts, bills, positions
//! ```
//!
//! The market knows orders and balances, [`Accounts`](crate::accounts::Accounts) what has become of
//! orders; here is what only this venue says of them: [`Facts`], [`Bill`]s, [`Held`] positions.
//! The account is one of net positions, cross margin and no borrowing; the kinds of orders are
//! those of [`place`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use model::{Nanos, Side};

use super::ms;
use crate::accounts::Accounts;
use crate::market::Market;
use crate::market::money::Amount;
use crate::market::order::{AccountId, Cause, Fill, Index, Order, Report};

mod change;
pub(super) mod channels;
pub(super) mod fields;
mod holdings;
pub(super) mod login;
mod place;
mod queries;
pub(super) mod requests;
mod rows;
#[cfg(test)]
mod tests;

pub(super) use queries::Query;

/// Events of an account are told together, at multiples of this.
const TOGETHER_MS: u64 = 50;

/// What is done to orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Act {
    Place,
    Cancel,
    Amend,
}

/// In which currency the size of a spot market order was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Target {
    /// It is no such order.
    #[default]
    None,
    Base,
    Quote,
}

/// What the venue remembers of an order that the market does not.
#[derive(Clone, Debug, Default)]
struct Facts {
    ord_type: &'static str,
    tag: String,
    target: Target,
    /// The size as it was given, where it was in quote currency.
    sized: Option<String>,
    /// The account's own name for the last amendment.
    amended_by: String,
    /// It ended because the last amendment wanted no more than had been executed.
    amended_to_done: bool,
    /// The code of what canceled it, where that was not its account.
    canceled_by: Option<&'static str>,
    /// All fees so far.
    fee: Amount,
    /// All profit so far.
    profit: Amount,
    last: Option<Fill>,
}

/// An execution in an account's list.
#[derive(Clone, Debug)]
struct Bill {
    /// Counts up over all.
    id: u64,
    order: Order,
    tag: String,
    fill: Fill,
}

/// A derivative position, also one that is closed.
#[derive(Clone, Debug, Default)]
struct Held {
    id: u64,
    lots: i64,
    opened: Nanos,
    updated: Nanos,
    /// Fees since it was opened.
    fee: Amount,
    /// Profit since it was opened.
    profit: Amount,
    /// The last trade.
    trade: u64,
}

/// What of an account has changed and has not been told.
#[derive(Clone, Debug, Default)]
struct Dirty {
    assets: BTreeSet<usize>,
    positions: BTreeSet<Index>,
}

/// What the venue remembers of its accounts. Bounded: facts of the orders that
/// [`Accounts`](crate::accounts::Accounts) knows, as many bills of an account, a position for each of
/// its instruments.
#[derive(Default)]
pub(super) struct Trading {
    facts: BTreeMap<(AccountId, Index, u64), Facts>,
    /// How many ended orders all accounts keep.
    kept: usize,
    bills: BTreeMap<AccountId, VecDeque<Bill>>,
    held: BTreeMap<(AccountId, Index), Held>,
    /// When an account's dead-man switch with that tag strikes.
    switches: BTreeMap<(AccountId, String), Nanos>,
    dirty: BTreeMap<AccountId, Dirty>,
    /// When that is told.
    tell_at: Option<Nanos>,
    last_bill: u64,
}

impl Trading {
    fn facts(&self, order: &Order) -> Facts {
        let key = (order.account, order.instrument, order.id);
        self.facts.get(&key).cloned().unwrap_or_default()
    }

    fn facts_mut(&mut self, order: &Order) -> &mut Facts {
        self.facts.entry((order.account, order.instrument, order.id)).or_default()
    }

    /// Remembers what is peculiar to a new order, and forgets what nobody can ask for any more.
    fn remember(&mut self, accounts: &Accounts, order: &Order, facts: Facts) {
        let kept = accounts.ids().filter_map(|id| accounts.get(id)).map(|of| of.orders_max);
        self.kept = kept.sum();
        if self.facts.len() >= 2 * self.kept {
            self.facts
                .retain(|(account, index, id), _| accounts.order(*account, *index, *id).is_some());
        }
        self.facts.insert((order.account, order.instrument, order.id), facts);
    }

    /// Books what happened to an order; gives what of its account may have changed.
    fn learn(&mut self, market: &Market, now: Nanos, report: &Report) -> Dirty {
        let order = &report.order;
        let of = market.instrument(order.instrument);
        let assets: &[&str] =
            if of.is_derivative() { &[holdings::settles(of)] } else { &[&of.base, &of.quote] };
        let mut changed = Dirty::default();
        changed.assets.extend(assets.iter().filter_map(|asset| market.find_asset(asset)));
        if let Cause::Filled(fill) = &report.cause {
            if of.is_derivative() {
                changed.positions.insert(order.instrument);
                self.hold(order, fill);
            }
            self.bill(order, fill);
        }
        let together_ms = (ms(now) / TOGETHER_MS + 1) * TOGETHER_MS;
        self.tell_at.get_or_insert(Nanos::from_millis(together_ms));
        let dirty = self.dirty.entry(order.account).or_default();
        dirty.assets.extend(&changed.assets);
        dirty.positions.extend(&changed.positions);
        changed
    }

    fn bill(&mut self, order: &Order, fill: &Fill) {
        let facts = self.facts_mut(order);
        facts.fee += fill.fee;
        facts.profit += fill.profit;
        facts.last = Some(*fill);
        let tag = facts.tag.clone();
        self.last_bill += 1;
        let bill = Bill { id: self.last_bill, order: order.clone(), tag, fill: *fill };
        let bills = self.bills.entry(order.account).or_default();
        if bills.len() >= self.kept {
            bills.pop_front();
        }
        bills.push_back(bill);
    }

    /// A position changes. One that is opened anew keeps its id.
    fn hold(&mut self, order: &Order, fill: &Fill) {
        let next = self.held.len() as u64 + 1;
        let held = self.held.entry((order.account, order.instrument)).or_default();
        let signed = i64::try_from(fill.trade.lots).unwrap_or(i64::MAX);
        let lots = held.lots + if order.side == Side::Buy { signed } else { -signed };
        if held.lots == 0 || (lots != 0 && (held.lots > 0) != (lots > 0)) {
            let id = if held.id == 0 { next } else { held.id };
            *held = Held { id, opened: fill.trade.at, ..Held::default() };
        }
        held.lots = lots;
        held.fee += fill.fee;
        held.profit += fill.profit;
        (held.updated, held.trade) = (fill.trade.at, fill.trade.id);
    }

    /// When something is to be done next by the clock: tell what has changed, or strike.
    pub(super) fn deadline(&self) -> Option<Nanos> {
        self.tell_at.into_iter().chain(self.switches.values().copied()).min()
    }
}
