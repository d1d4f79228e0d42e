//! Who may trade at a simulated venue, and what became of all that they sent.
//!
//! An [`Account`] is what a client knows of itself; [`Accounts`] is what the venue knows: keys, every
//! order with its fills, every report, and how often an order was asked for. It learns from the
//! market's events, whoever caused them, so that it is the truth that a client is compared with.
//!
//! Bounded: of orders that have ended an account's last [`Account::orders_max`] are kept, of its reports
//! and of its names of orders [`REPORTS_EACH`] times as many; the [`Counts`] go on.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use model::Error;

use crate::market::order::{AccountId, Cause, Event, Fill, Index, Order, Report, State, What};

/// So many ended orders of an account are kept where nothing is said.
pub const ORDERS_MAX: usize = 20_000;
/// For each of them so many reports, and names with how often each was asked for.
pub const REPORTS_EACH: usize = 3;
/// What an account has of each asset where nothing is said, in whole units.
pub const FUNDS: u64 = 1_000_000;

/// Someone who may trade.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// The key that requests name.
    pub api_key: String,
    /// What requests are signed with. Base64, since some venues have it decoded first.
    pub secret: String,
    /// The third secret that some venues ask for.
    pub passphrase: String,
    /// Where there is one, requests are signed with its Ed25519 private key instead of the secret.
    pub public_key: Option<[u8; 32]>,
    /// Whole units of each asset at the start; [`FUNDS`] of each that is traded where nothing is said.
    pub funds: BTreeMap<String, u64>,
    /// So many of its ended orders are kept.
    pub orders_max: usize,
}

impl Account {
    /// The account of a venue with nothing to set up. Its secrets are known to everybody, as is fit
    /// for play money.
    #[must_use]
    pub fn demo() -> Self {
        Self::new("meltica-demo-key", "melticaDemoSecretNotReal", "meltica-demo-passphrase")
    }

    /// An account that signs with a secret, with [`FUNDS`] of everything.
    #[must_use]
    pub fn new(api_key: &str, secret: &str, passphrase: &str) -> Self {
        Self {
            api_key: api_key.to_owned(),
            secret: secret.to_owned(),
            passphrase: passphrase.to_owned(),
            public_key: None,
            funds: BTreeMap::new(),
            orders_max: ORDERS_MAX,
        }
    }
}

// A secret is in no log.
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { api_key, funds, .. } = self;
        f.debug_struct("Account")
            .field("api_key", api_key)
            .field("funds", funds)
            .finish_non_exhaustive()
    }
}

/// An order and what was executed of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The order as it stands.
    pub order: Order,
    /// Its fills, in order.
    pub fills: Vec<Fill>,
}

/// What an account has done, in numbers that are never forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Orders that came into being.
    pub placed: u64,
    /// Of them, those that were executed whole.
    pub filled: u64,
    /// Those that have ended otherwise.
    pub ended: u64,
    /// Reports.
    pub reports: u64,
    /// Executions.
    pub fills: u64,
    /// Requests for an order under a name, whatever came of them.
    pub asked: u64,
    /// Of them, those under a name that another request had used before.
    pub sent_twice: u64,
}

/// All accounts of a venue.
#[derive(Clone, Debug)]
pub struct Accounts {
    all: Vec<History>,
    /// The first account's id; the others follow.
    first: usize,
}

#[derive(Clone, Debug)]
struct History {
    account: Account,
    /// By instrument and id.
    records: BTreeMap<(Index, u64), Record>,
    /// Those that have ended, oldest end first.
    ended: VecDeque<(Index, u64)>,
    /// The newest order of each name.
    names: BTreeMap<(Index, Box<str>), u64>,
    reports: VecDeque<Report>,
    asked: BTreeMap<Box<str>, u32>,
    asked_order: VecDeque<Box<str>>,
    counts: Counts,
}

impl Accounts {
    /// These accounts, the first one with that id in the market.
    ///
    /// # Errors
    /// Two of them have the same key.
    pub(crate) fn new(accounts: &[Account], first: AccountId) -> Result<Self, Error> {
        for (place, account) in accounts.iter().enumerate() {
            let key = &account.api_key;
            if accounts[..place].iter().any(|other| other.api_key == *key) {
                let message = format!("two accounts have the key '{key}'; expected one each");
                return Err(Error::reject(message));
            }
        }
        let history = |account: &Account| History {
            account: account.clone(),
            records: BTreeMap::new(),
            ended: VecDeque::new(),
            names: BTreeMap::new(),
            reports: VecDeque::new(),
            asked: BTreeMap::new(),
            asked_order: VecDeque::new(),
            counts: Counts::default(),
        };
        Ok(Self { all: accounts.iter().map(history).collect(), first: first.0 })
    }

    /// The account with that key.
    #[must_use]
    pub fn by_key(&self, api_key: &str) -> Option<(AccountId, &Account)> {
        let place = self.all.iter().position(|of| of.account.api_key == api_key)?;
        Some((AccountId(self.first + place), &self.all[place].account))
    }

    /// An account of a client; `None` for the crowd's.
    #[must_use]
    pub fn get(&self, id: AccountId) -> Option<&Account> {
        self.history(id).map(|of| &of.account)
    }

    /// A request wants an order under that name: counts it, whatever comes of it. To be called once
    /// for each order that a request asks for.
    pub fn asked(&mut self, id: AccountId, name: &str) {
        let Some(of) = self.history_mut(id) else { return };
        of.counts.asked += 1;
        if let Some(times) = of.asked.get_mut(name) {
            *times += 1;
            of.counts.sent_twice += 1;
            return;
        }
        if of.asked_order.len() >= REPORTS_EACH * of.account.orders_max
            && let Some(oldest) = of.asked_order.pop_front()
        {
            of.asked.remove(&oldest);
        }
        of.asked.insert(name.into(), 1);
        of.asked_order.push_back(name.into());
    }

    /// How often an order was asked for under that name.
    #[must_use]
    pub fn times_asked(&self, id: AccountId, name: &str) -> u32 {
        self.history(id).and_then(|of| of.asked.get(name)).copied().unwrap_or(0)
    }

    /// An order of an account, open or ended.
    #[must_use]
    pub fn order(&self, id: AccountId, instrument: Index, order: u64) -> Option<&Record> {
        self.history(id)?.records.get(&(instrument, order))
    }

    /// The newest order of an account that has that name, open or ended.
    #[must_use]
    pub fn named(&self, id: AccountId, instrument: Index, name: &str) -> Option<&Record> {
        let order = *self.history(id)?.names.get(&(instrument, name.into()))?;
        self.order(id, instrument, order)
    }

    /// The orders of an account, open and ended, by instrument and then by age, the oldest first.
    pub fn orders(&self, id: AccountId) -> impl DoubleEndedIterator<Item = &Record> {
        self.history(id).into_iter().flat_map(|of| of.records.values())
    }

    /// The reports of an account, the oldest first.
    pub fn reports(&self, id: AccountId) -> impl DoubleEndedIterator<Item = &Report> {
        self.history(id).into_iter().flat_map(|of| &of.reports)
    }

    /// An account's numbers.
    #[must_use]
    pub fn counts(&self, id: AccountId) -> Counts {
        self.history(id).map(|of| of.counts).unwrap_or_default()
    }

    /// All accounts.
    pub fn ids(&self) -> impl Iterator<Item = AccountId> + use<> {
        (self.first..self.first + self.all.len()).map(AccountId)
    }

    /// Remembers what happened.
    pub(crate) fn learn(&mut self, events: &[Event]) {
        for event in events {
            if let What::Report(report) = &event.what
                && let Some(of) = self.history_mut(report.order.account)
            {
                of.learn(report);
            }
        }
    }

    fn history(&self, id: AccountId) -> Option<&History> {
        self.all.get(id.0.checked_sub(self.first)?)
    }

    fn history_mut(&mut self, id: AccountId) -> Option<&mut History> {
        self.all.get_mut(id.0.checked_sub(self.first)?)
    }
}

impl History {
    fn learn(&mut self, report: &Report) {
        let Report { order, cause } = report;
        let key = (order.instrument, order.id);
        self.counts.reports += 1;
        self.counts.placed += u64::from(*cause == Cause::Placed);
        let record = self
            .records
            .entry(key)
            .or_insert_with(|| Record { order: order.clone(), fills: Vec::new() });
        record.order = order.clone();
        if let Cause::Filled(fill) = cause {
            record.fills.push(*fill);
            self.counts.fills += 1;
        }
        if let Some(name) = &order.client_id {
            self.names.insert((order.instrument, name.clone()), order.id);
        }
        if !order.state.is_open() {
            self.counts.filled += u64::from(order.state == State::Filled);
            self.counts.ended += u64::from(order.state != State::Filled);
            self.ended.push_back(key);
        }
        if self.ended.len() > self.account.orders_max
            && let Some(oldest) = self.ended.pop_front()
        {
            self.forget(oldest);
        }
        if self.reports.len() >= REPORTS_EACH * self.account.orders_max {
            self.reports.pop_front();
        }
        self.reports.push_back(report.clone());
    }

    fn forget(&mut self, (instrument, id): (Index, u64)) {
        let Some(gone) = self.records.remove(&(instrument, id)) else { return };
        let Some(name) = gone.order.client_id else { return };
        let name = (instrument, name);
        if self.names.get(&name) == Some(&id) {
            self.names.remove(&name);
        }
    }
}

#[cfg(test)]
mod tests;
