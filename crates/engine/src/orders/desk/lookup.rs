//! What only the ledger knows: orders that settled long ago or under an earlier process.

use std::collections::{BTreeMap, BTreeSet};

use model::ledger::{OrderKey, StoredOrder, Terms};
use model::order::Intent;
use model::reply::ReplyAnswer;
use model::{Denial, Nanos};

use super::{Desk, view};

/// So many questions of consumers may be open, and beside them so many about orders that are denied.
const LOOKUPS_MAX: usize = 256;

/// What an answer of the ledger is for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    /// A consumer asks how an order stands.
    Query,
    /// A new order is denied, unless it is not new.
    Submit { terms: Terms, denial: Denial, at: Nanos },
}

/// Questions to the ledger about orders.
#[derive(Debug, Default)]
pub(super) struct Lookups {
    /// Not taken by the driver yet.
    asks: BTreeSet<OrderKey>,
    /// Those that wait for an answer, in order.
    waiting: BTreeMap<OrderKey, Vec<Wanted>>,
}

impl Lookups {
    /// `false` where too many of its sort wait.
    fn add(&mut self, key: &OrderKey, wanted: Wanted) -> bool {
        let is_query = |wanted: &Wanted| *wanted == Wanted::Query;
        let all = self.waiting.values().flatten();
        if all.filter(|other| is_query(other) == is_query(&wanted)).count() >= LOOKUPS_MAX {
            return false;
        }
        if !self.waiting.contains_key(key) {
            self.asks.insert(key.clone());
        }
        self.waiting.entry(key.clone()).or_default().push(wanted);
        true
    }
}

impl Desk {
    /// A consumer wants to know how an order of its stands: from here, else from the ledger.
    pub fn query(&mut self, key: &OrderKey) {
        if let Some(order) = self.orders.get(key) {
            let answer = ReplyAnswer::Stands(view(order));
            self.reply(key, Intent::Query, answer);
        } else if !self.lookups.add(key, Wanted::Query) {
            let answer = ReplyAnswer::Denied(Denial::TooManyQueries);
            self.reply(key, Intent::Query, answer);
        }
    }

    /// A new order is denied. Its id may stand in the ledger for one that is over and not here any
    /// more: then what became of that is the answer, whatever forbids new ones now. No order that
    /// passes waits for that; and where too many are asked about, the denial is told at once.
    pub(super) fn deny_new(&mut self, key: &OrderKey, terms: Terms, denial: Denial, now: Nanos) {
        // Of these the id is known to be used, or what is asked for can't have been taken ever.
        let certain = matches!(denial, Denial::IdReused | Denial::Malformed);
        if certain || !self.lookups.add(key, Wanted::Submit { terms, denial, at: now }) {
            self.tell_denied(key, denial, now);
        }
    }

    fn tell_denied(&mut self, key: &OrderKey, denial: Denial, now: Nanos) {
        if is_breach(denial) {
            self.rejected(key, now);
        }
        self.reply(key, Intent::Submit, ReplyAnswer::Denied(denial));
    }

    /// The next order that the ledger is to be asked about; [`looked_up`](Self::looked_up) answers.
    pub fn take_lookup(&mut self) -> Option<OrderKey> {
        self.lookups.asks.pop_first()
    }

    /// What the ledger knows of an order that was to be looked up.
    pub fn looked_up(&mut self, order: &OrderKey, stored: Option<&StoredOrder>) {
        for wanted in self.lookups.waiting.remove(order).unwrap_or_default() {
            let (intent, answer) = match (wanted, stored) {
                (Wanted::Query, Some(stored)) => {
                    (Intent::Query, ReplyAnswer::Stands(stored.into()))
                }
                (Wanted::Query, None) => (Intent::Query, ReplyAnswer::Denied(Denial::UnknownOrder)),
                (Wanted::Submit { terms, .. }, Some(stored)) if stored.submit.terms == terms => {
                    (Intent::Submit, ReplyAnswer::Duplicate(stored.into()))
                }
                (Wanted::Submit { .. }, Some(_)) => {
                    (Intent::Submit, ReplyAnswer::Denied(Denial::IdReused))
                }
                (Wanted::Submit { denial, at, .. }, None) => {
                    self.tell_denied(order, denial, at);
                    continue;
                }
            };
            self.reply(order, intent, answer);
        }
    }

    /// The ledger could not be read: nobody knows whether the order is known.
    pub fn not_looked_up(&mut self, order: &OrderKey) {
        for wanted in self.lookups.waiting.remove(order).unwrap_or_default() {
            let intent = match wanted {
                Wanted::Query => Intent::Query,
                Wanted::Submit { .. } => Intent::Submit,
            };
            self.reply(order, intent, ReplyAnswer::Denied(Denial::LedgerUnreadable));
        }
    }
}

/// Whether a denial says that the consumer's program does what it should not.
fn is_breach(denial: Denial) -> bool {
    matches!(
        denial,
        Denial::Malformed
            | Denial::Tick
            | Denial::Lot
            | Denial::NotionalMin
            | Denial::PriceBand
            | Denial::OrderNotional
            | Denial::Position
            | Denial::Notional
            | Denial::OrderRate
            | Denial::TooManyOpen
    )
}
