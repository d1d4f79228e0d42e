//! Trading: who may, what they ask for, what they are told.
//!
//! ```text
//!   REST ───────────┐ sign            ┌─ orders ─► Floor ─► market
//!   WebSocket API ──┤ who asks? ─ act ┤
//!                   │                 └─ account, streams
//!   listen keys ◄───┴──── reports ◄──────────────────────── market's events
//! ```
//!
//! Spot and USDⓈ-M; COIN-M has market data alone. The same [`Action`](requests::Action) is behind a
//! REST request and its name over the WebSocket API.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use model::Nanos;

use super::limits::OrderCounts;
use super::line::Line;
use super::pulse::Pulse;
use super::simulated::SimulatedBinance;
use crate::accounts::Accounts;
use crate::dialect::Session;
use crate::machine::{ClientId, Reply, Request};
use crate::market::order::{AccountId, Index};
use crate::venue::Floor;

mod account;
mod errors;
mod orders;
mod payload;
mod reports;
mod requests;
mod rest;
mod sign;
mod streams;
mod terms;
mod ws_api;

use errors::Why;
use streams::ListenKey;
use ws_api::ApiSession;

/// A connection to a private stream.
#[derive(Clone, Debug)]
struct Listener {
    session: Session,
    pulse: Pulse,
}

/// What a line knows of its accounts beside the market.
#[derive(Debug, Default)]
pub(super) struct Trading {
    /// Connections to the WebSocket API.
    sessions: BTreeMap<ClientId, ApiSession>,
    listeners: BTreeMap<ClientId, Listener>,
    /// At most one an account.
    keys: BTreeMap<AccountId, ListenKey>,
    keys_made: u64,
    countdowns: BTreeMap<(AccountId, Index), Nanos>,
    counts: BTreeMap<AccountId, OrderCounts>,
    /// The names of cancels that have not been told yet.
    cancels: BTreeMap<(Index, u64), String>,
    /// Open orders that are to make a position smaller.
    reduce_only: BTreeSet<(Index, u64)>,
    names: u64,
}

impl Trading {
    /// A name for an order or a cancel that has none.
    fn new_name(&mut self) -> String {
        self.names += 1;
        format!("sim{:019}", self.names)
    }

    /// Whether a client is connected for orders or reports.
    pub(super) fn is_private(&self, client: ClientId) -> bool {
        self.sessions.contains_key(&client) || self.listeners.contains_key(&client)
    }

    /// A client is gone.
    pub(super) fn forget(&mut self, client: ClientId) {
        self.sessions.remove(&client);
        self.listeners.remove(&client);
    }

    /// When something ends next.
    pub(super) fn deadline(&self) -> Option<Nanos> {
        let sessions = self.sessions.values().map(|session| session.pulse.deadline());
        let listeners = self.listeners.values().map(|listener| listener.pulse.deadline());
        let keys = self.keys.values().map(|key| key.expires);
        let countdowns = self.countdowns.values().copied();
        sessions.chain(listeners).chain(keys).chain(countdowns).min()
    }

    /// How a client's connection stands.
    pub(super) fn pulse(&mut self, client: ClientId) -> Option<&mut Pulse> {
        let session = self.sessions.get_mut(&client).map(|session| &mut session.pulse);
        session.or_else(|| self.listeners.get_mut(&client).map(|listener| &mut listener.pulse))
    }

    /// How every connection stands.
    pub(super) fn pulses(&mut self) -> impl Iterator<Item = (ClientId, &mut Pulse)> {
        let sessions = self.sessions.iter_mut().map(|(client, of)| (*client, &mut of.pulse));
        sessions.chain(self.listeners.iter_mut().map(|(client, of)| (*client, &mut of.pulse)))
    }
}

impl SimulatedBinance {
    /// How many orders an account has placed.
    fn counts_of(&mut self, id: AccountId) -> &mut OrderCounts {
        let limits = self.line.order_limits;
        self.trading.counts.entry(id).or_insert_with(|| OrderCounts::new(limits))
    }

    /// Takes a client that is not here for market data; whether it is one.
    pub(super) fn connect_trader(
        &mut self,
        floor: &Floor<'_>,
        client: ClientId,
        target: &str,
    ) -> bool {
        self.connect_api(floor, client, target) || self.connect_listener(floor, client, target)
    }

    /// What such a client says.
    pub(super) fn hear_trader(&mut self, floor: &mut Floor<'_>, client: ClientId, message: &[u8]) {
        if self.trading.sessions.contains_key(&client) {
            self.hear_api(floor, client, message);
        } else {
            self.hear_listener(floor, client, message);
        }
    }

    /// Whether anybody hears what an account is told.
    fn is_heard(&self, id: AccountId) -> bool {
        if self.line.is_spot() {
            return self.trading.sessions.values().any(|session| session.listens_to(id).is_some());
        }
        self.trading.keys.contains_key(&id) && !self.trading.listeners.is_empty()
    }

    /// Tells an account something.
    fn tell(&self, floor: &mut Floor<'_>, id: AccountId, text: &str) {
        if self.line.is_spot() {
            self.tell_sessions(floor, id, text);
        } else if let Some(key) = self.trading.keys.get(&id) {
            self.tell_listeners(floor, &key.text, text);
        }
    }

    /// The answer to an order whose outcome nobody knows; `None` where a request asks for no order.
    pub(super) fn outcome_unknown(&self, request: &Request) -> Option<Reply> {
        let (path, _) = model::capture::split_url(&request.target);
        let mut asked = requests::at_path(self.line.sort, path);
        let asked = asked.find(|asked| asked.method == request.method)?;
        asked.action.changes_orders().then(|| self.outcome().failure().reply())
    }

    fn outcome(&self) -> Why {
        if self.line.is_spot() { Why::Outcome } else { Why::FuturesOutcome }
    }

    /// What the venue says where a connection will end.
    pub(super) fn says_farewell(&self, now: Nanos, client: ClientId) -> Bytes {
        let event = format!(r#"{{"e":"serverShutdown","E":{}}}"#, super::wire::ms(now));
        let wrapped = self.trading.sessions.contains_key(&client);
        Bytes::from(if wrapped { format!(r#"{{"event":{event}}}"#) } else { event })
    }
}

/// Whether what an account is told is about an order.
pub(super) fn is_report(payload: &[u8]) -> bool {
    const REPORTS: [&[u8]; 2] = [br#""e":"executionReport""#, br#""e":"ORDER_TRADE_UPDATE""#];
    REPORTS.iter().any(|report| payload.windows(report.len()).any(|window| window == *report))
}

/// Counts the order of a request that was refused before anybody looked at it.
pub(super) fn count_refused(line: &Line, accounts: &mut Accounts, request: &Request) {
    if let Some((id, query)) = rest::order_asked(accounts, line.sort, request) {
        orders::count(accounts, id, &query);
    }
}

#[cfg(test)]
mod tests;
