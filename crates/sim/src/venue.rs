//! Simulated venues: a [`Market`] that speaks a venue's protocol, behind lines with [`Faults`].
//!
//! ```text
//!   client ──► Faulty ──► Exchange ──► Dialect ──► Market
//!          ◄── faults ◄── in order ◄── payloads ◄── events
//! ```
//!
//! A venue's part is a [`Dialect`]: symbols, payloads, requests, limits. It is called with a
//! [`Floor`]: the time, the market, and where messages go. The market moves on in
//! [`Machine::tick`] alone; what a client's request causes is told with the next one.
//!
//! A [`Simulator`] can be cloned: one copy goes to a driver, the others are the test's hold on the
//! same venue, which tells the truth: see [`Simulator::orders`] and its neighbours.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use model::{Error, Nanos};

use crate::accounts::{Account, Accounts, FUNDS, Record};
use crate::dialect;
use crate::faults::{Enumeration, Fault, Faults, Faulty, Subject, Trouble};
use crate::machine::{
    ClientId, ControlFrame, Machine, Output, Reply, Request, RequestId, SENDS_MAX,
};
use crate::market::instrument::{Instrument, Listing};
use crate::market::order::{AccountId, Event, Index, NewOrder, Order, Refusal};
use crate::market::{Market, MarketOptions};

#[cfg(test)]
mod tests;
mod truth;

pub use truth::{TrueBook, TrueFill, TrueOrder};

/// What a simulated venue is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimOptions {
    /// All chance comes from it: the market's and the faults'.
    pub seed: u64,
    /// Canonical names of what is traded, as the venue can list it; `BTC-USDT-PERP` where it lists
    /// perpetuals. [`default_symbols`] has some.
    pub symbols: Vec<String>,
    /// Trades and changes of best levels a second, over all instruments. What a client gets
    /// follows from what it subscribes to: diffs of books come beside it, by the venue's clock.
    pub rate: u32,
    /// What goes wrong.
    pub faults: Faults,
    /// When the market begins.
    pub start: Nanos,
    /// Who may trade, beside the crowd. None where the venue has no trading here.
    pub accounts: Vec<Account>,
}

/// What is peculiar to a venue. Nothing here reads a clock or draws a number of its own: the same
/// calls give the same bytes.
pub trait Dialect: Send {
    /// The venue's symbol of an instrument.
    fn symbol(&self, index: Index) -> &str;

    /// How far an instrument's book has come, in the venue's own count.
    fn position(&self, index: Index) -> Option<u64>;

    /// A client connects to a path and query.
    ///
    /// # Errors
    /// The answer that refuses it; the dialect has forgotten the client then.
    fn connect(
        &mut self,
        floor: &mut Floor<'_>,
        client: ClientId,
        target: &str,
    ) -> Result<(), Reply>;

    /// A client sent a message.
    fn message(&mut self, floor: &mut Floor<'_>, client: ClientId, message: &[u8]);

    /// A client sent a ping or a pong, at a venue that counts them.
    fn control(&mut self, _floor: &mut Floor<'_>, _client: ClientId, _control: &ControlFrame) {}

    /// A client is gone.
    fn disconnected(&mut self, client: ClientId);

    /// A client asks by REST.
    fn request(&mut self, floor: &mut Floor<'_>, request: &Request) -> Reply;

    /// One action in the market, or several of one request, led to these events.
    fn events(&mut self, floor: &mut Floor<'_>, events: &[Event]);

    /// The dialect's deadline has come: what the venue sends by the clock.
    fn tick(&mut self, floor: &mut Floor<'_>);

    /// When [`tick`](Self::tick) is to be called next.
    fn deadline(&self) -> Option<Nanos>;

    /// Whether a connection carries orders or their reports; a venue without trading has none.
    fn is_private(&self, _client: ClientId) -> bool {
        false
    }

    /// The venue's answer to an order, a cancel or an amendment whose outcome it does not know itself;
    /// `None` where the request is none of them.
    fn unknown_outcome(&self, _request: &Request) -> Option<Reply> {
        None
    }

    /// The same of a message on a private connection.
    fn unknown_outcome_to(&self, _message: &[u8]) -> Option<Bytes> {
        None
    }

    /// Whether what is said on a private connection reports what became of an order.
    fn is_report(&self, _payload: &[u8]) -> bool {
        false
    }

    /// What a value that nobody has heard of may stand in.
    fn enumerations(&self) -> &'static [Enumeration];

    /// The venue's answer to a request that it turns away whatever it asks for; `None` where it has
    /// none of that sort. Orders that the request asks for have to be [counted](Accounts::asked) by
    /// then.
    fn turn_away(
        &mut self,
        now: Nanos,
        accounts: &mut Accounts,
        request: &Request,
        why: Trouble,
    ) -> Option<Reply>;

    /// What the venue says on a connection that will end for maintenance, where it says anything.
    fn farewell(&self, _now: Nanos, _client: ClientId) -> Option<Bytes> {
        None
    }

    /// Clients come from another address from here on: what is counted by address begins anew.
    fn new_address(&mut self) {}

    /// Books are numbered anew from here on; `false` where the venue never does that.
    fn reset(&mut self) -> bool {
        false
    }
}

/// What a dialect works with.
pub struct Floor<'a> {
    /// The time.
    pub now: Nanos,
    /// The market.
    pub market: &'a mut Market,
    /// Who may trade, and what has become of their orders up to now.
    pub accounts: &'a mut Accounts,
    /// What happened and has not been told yet: with the next tick.
    events: &'a mut Vec<Event>,
    out: &'a mut Vec<Output>,
}

impl Floor<'_> {
    /// Places an order; gives it as it stands after all that happened at once.
    ///
    /// # Errors
    /// Why it is refused; nothing has happened then.
    pub fn place(&mut self, order: &NewOrder) -> Result<Record, Refusal> {
        self.trade(|market, now, events| market.place(now, order, events))
    }

    /// Cancels an open order: its account, instrument and id.
    ///
    /// # Errors
    /// [`Refusal::UnknownOrder`]: the account has no such open order.
    pub fn cancel(&mut self, of: (AccountId, Index, u64)) -> Result<Record, Refusal> {
        self.trade(|market, now, events| market.cancel(now, of, events))
    }

    /// Changes price in ticks and whole quantity in lots of an open order; gives it as it stands
    /// after all that happened at once.
    ///
    /// # Errors
    /// Why that is refused; the order is then as before.
    pub fn amend(
        &mut self,
        of: (AccountId, Index, u64),
        terms: (u64, u64),
    ) -> Result<Record, Refusal> {
        self.trade(|market, now, events| market.amend(now, of, terms, events))
    }

    fn trade(
        &mut self,
        act: impl FnOnce(&mut Market, Nanos, &mut Vec<Event>) -> Result<Order, Refusal>,
    ) -> Result<Record, Refusal> {
        let begin = self.events.len();
        let order = act(self.market, self.now, self.events)?;
        self.accounts.learn(&self.events[begin..]);
        let known = self.accounts.order(order.account, order.instrument, order.id);
        Ok(known.cloned().unwrap_or(Record { order, fills: Vec::new() }))
    }

    /// Sends a message.
    pub fn send(&mut self, client: ClientId, payload: Bytes) {
        self.out.push(Output::Send { client, payload });
    }

    /// Sends a ping.
    pub fn ping(&mut self, client: ClientId, payload: Bytes) {
        self.out.push(Output::Ping { client, payload });
    }

    /// Ends a connection, which the dialect has forgotten.
    pub fn close(&mut self, client: ClientId, code: u16, reason: &str) {
        self.out.push(Output::Close { client, code, reason: reason.to_owned() });
    }
}

/// A market and a dialect as one machine.
struct Exchange {
    market: Market,
    accounts: Accounts,
    dialect: Box<dyn Dialect>,
    events: Vec<Event>,
    /// Messages that are to go out, at most what one action or one tick of the dialect leads to.
    outbox: VecDeque<Output>,
    /// The market is to stand still, or to go on, with the next tick.
    freeze: Option<bool>,
}

impl Exchange {
    /// Calls the dialect.
    fn dialect<T>(
        &mut self,
        now: Nanos,
        out: &mut Vec<Output>,
        call: impl FnOnce(&mut dyn Dialect, &mut Floor<'_>) -> T,
    ) -> T {
        let Self { market, accounts, events, dialect, .. } = self;
        call(&mut **dialect, &mut Floor { now, market, accounts, events, out })
    }

    /// Calls the dialect; what it sends has to wait for the next tick.
    fn dialect_later(&mut self, now: Nanos, call: impl FnOnce(&mut dyn Dialect, &mut Floor<'_>)) {
        let mut out = Vec::new();
        self.dialect(now, &mut out, call);
        self.outbox.extend(out);
    }

    /// Tells the dialect what has happened.
    fn tell(&mut self, now: Nanos) {
        if self.events.is_empty() {
            return;
        }
        let events = std::mem::take(&mut self.events);
        self.dialect_later(now, |dialect, floor| dialect.events(floor, &events));
    }

    /// Does the next thing that is due; whether there was one.
    fn step(&mut self, now: Nanos) -> bool {
        let is_due = |at: Option<Nanos>| at.is_some_and(|at| at <= now);
        let begin = self.events.len();
        if let Some(frozen) = self.freeze.take() {
            if frozen {
                self.market.freeze(now, &mut self.events);
            } else {
                self.market.thaw(now);
            }
        } else if is_due(self.market.deadline()) {
            self.market.advance(now, &mut self.events);
        } else if is_due(self.dialect.deadline()) {
            self.dialect_later(now, |dialect, floor| dialect.tick(floor));
        } else {
            return false;
        }
        self.accounts.learn(&self.events[begin..]);
        self.tell(now);
        true
    }
}

impl Machine for Exchange {
    fn connect(
        &mut self,
        now: Nanos,
        client: ClientId,
        target: &str,
        out: &mut Vec<Output>,
    ) -> Result<(), Reply> {
        self.tell(now);
        self.dialect(now, out, |dialect, floor| dialect.connect(floor, client, target))
    }

    fn message(&mut self, now: Nanos, client: ClientId, message: &[u8], out: &mut Vec<Output>) {
        self.tell(now);
        self.dialect(now, out, |dialect, floor| dialect.message(floor, client, message));
    }

    fn control(
        &mut self,
        now: Nanos,
        client: ClientId,
        control: &ControlFrame,
        out: &mut Vec<Output>,
    ) {
        self.dialect(now, out, |dialect, floor| dialect.control(floor, client, control));
    }

    fn disconnected(&mut self, _now: Nanos, client: ClientId, _out: &mut Vec<Output>) {
        self.dialect.disconnected(client);
        self.outbox.retain(|output| match output {
            Output::Send { client: to, .. } | Output::Ping { client: to, .. } => *to != client,
            _ => true,
        });
    }

    fn request(&mut self, now: Nanos, id: RequestId, request: &Request, out: &mut Vec<Output>) {
        self.tell(now);
        let reply = self.dialect(now, out, |dialect, floor| dialect.request(floor, request));
        out.push(Output::Answer { request: id, reply });
    }

    fn answered(&mut self, _now: Nanos, _id: RequestId, _written: bool, _out: &mut Vec<Output>) {}

    fn tick(&mut self, now: Nanos, out: &mut Vec<Output>) {
        self.tell(now);
        while self.outbox.len() < SENDS_MAX && self.step(now) {}
        let count = self.outbox.len().min(SENDS_MAX);
        out.extend(self.outbox.drain(..count));
    }

    fn deadline(&self) -> Option<Nanos> {
        if self.freeze.is_some() || !self.events.is_empty() || !self.outbox.is_empty() {
            return Some(Nanos(0));
        }
        self.market.deadline().into_iter().chain(self.dialect.deadline()).min()
    }
}

impl Subject for Exchange {
    fn is_private(&self, client: ClientId) -> bool {
        self.dialect.is_private(client)
    }

    fn unknown_outcome(&self, request: &Request) -> Option<Reply> {
        self.dialect.unknown_outcome(request)
    }

    fn unknown_outcome_to(&self, message: &[u8]) -> Option<Bytes> {
        self.dialect.unknown_outcome_to(message)
    }

    fn is_report(&self, payload: &[u8]) -> bool {
        self.dialect.is_report(payload)
    }

    fn enumerations(&self) -> &'static [Enumeration] {
        self.dialect.enumerations()
    }

    fn turn_away(&mut self, now: Nanos, request: &Request, why: Trouble) -> Option<Reply> {
        self.dialect.turn_away(now, &mut self.accounts, request, why)
    }

    fn farewell(&self, now: Nanos, client: ClientId) -> Option<Bytes> {
        self.dialect.farewell(now, client)
    }

    fn reset(&mut self) -> bool {
        self.dialect.reset()
    }
}

/// A simulated venue; clones are the same one.
#[derive(Clone)]
pub struct Simulator {
    venue: &'static str,
    machine: Arc<Mutex<Faulty<Exchange>>>,
}

/// The simulator of a venue; `None` where there is none of that name.
///
/// # Errors
/// The venue can't list one of the symbols, or the market refuses the list.
pub fn venue(name: &str, options: &SimOptions) -> Result<Option<Simulator>, Error> {
    let Some(simulated) = dialect::simulated(name) else { return Ok(None) };
    let mut listings: Vec<Listing> = Vec::with_capacity(options.symbols.len());
    for symbol in &options.symbols {
        listings.push(simulated.listing(symbol)?);
    }
    let funds = options.accounts.iter().map(|account| funds(account, &listings));
    let accounts = funds.collect::<Result<_, _>>()?;
    let market = MarketOptions { seed: options.seed, listings, rate: options.rate, accounts };
    let market = Market::new(&market, options.start)?;
    let accounts = Accounts::new(&options.accounts, market.client(0))?;
    let dialect = simulated.dialect(&market, options)?;
    let (events, outbox) = (Vec::new(), VecDeque::new());
    let exchange = Exchange { market, accounts, dialect, events, outbox, freeze: None };
    let faulty = Faulty::new(exchange, options.faults.clone(), options.seed);
    let machine = Arc::new(Mutex::new(faulty));
    Ok(Some(Simulator { venue: simulated.name(), machine }))
}

/// What an account begins with.
fn funds(account: &Account, listings: &[Listing]) -> Result<BTreeMap<String, u64>, Error> {
    if !account.funds.is_empty() {
        return Ok(account.funds.clone());
    }
    let mut funds = BTreeMap::new();
    for listing in listings {
        let Instrument { base, quote, .. } = Instrument::new(listing)?;
        funds.extend([base, quote].map(|asset| (asset.into_string(), FUNDS)));
    }
    Ok(funds)
}

/// The venues that [`venue`] knows.
#[must_use]
pub fn venues() -> Vec<&'static str> {
    dialect::simulated_venues()
}

/// The first `count` instruments of a venue, where the caller has no wish of its own: at most 150.
#[must_use]
pub fn default_symbols(venue: &str, count: usize) -> Vec<String> {
    dialect::simulated(venue).map_or_else(Vec::new, |simulated| simulated.default_symbols(count))
}

impl Simulator {
    /// The venue's name.
    #[must_use]
    pub fn venue(&self) -> &'static str {
        self.venue
    }

    /// Stops the market with the driver's next tick: every best level changes a last time, and
    /// what is under way still goes out, by the venue's clock: within a second or two.
    pub fn freeze(&self) {
        self.lock().inner_mut().freeze = Some(true);
    }

    /// Lets a stopped market go on with the driver's next tick.
    pub fn thaw(&self) {
        self.lock().inner_mut().freeze = Some(false);
    }

    /// Clients come from another address from here on: what the venue counts by address over a
    /// minute or more begins anew. For who starts more often than an address may.
    pub fn new_address(&self) {
        self.lock().inner_mut().dialect.new_address();
    }

    /// No more faults, or faults again.
    pub fn set_faults(&self, active: bool) {
        self.lock().set_active(active);
    }

    /// The faults so far, the oldest first.
    #[must_use]
    pub fn fault_log(&self) -> Vec<Fault> {
        self.lock().log().cloned().collect()
    }

    /// How many faults there were.
    #[must_use]
    pub fn faults_injected(&self) -> u64 {
        self.lock().injected()
    }

    fn lock(&self) -> MutexGuard<'_, Faulty<Exchange>> {
        // Nothing in there is left half done by a panic that would matter to a reader.
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Machine for Simulator {
    fn connect(
        &mut self,
        now: Nanos,
        client: ClientId,
        target: &str,
        out: &mut Vec<Output>,
    ) -> Result<(), Reply> {
        self.lock().connect(now, client, target, out)
    }

    fn message(&mut self, now: Nanos, client: ClientId, message: &[u8], out: &mut Vec<Output>) {
        self.lock().message(now, client, message, out);
    }

    fn control(
        &mut self,
        now: Nanos,
        client: ClientId,
        control: &ControlFrame,
        out: &mut Vec<Output>,
    ) {
        self.lock().control(now, client, control, out);
    }

    fn disconnected(&mut self, now: Nanos, client: ClientId, out: &mut Vec<Output>) {
        self.lock().disconnected(now, client, out);
    }

    fn request(&mut self, now: Nanos, id: RequestId, request: &Request, out: &mut Vec<Output>) {
        self.lock().request(now, id, request, out);
    }

    fn answered(&mut self, now: Nanos, id: RequestId, written: bool, out: &mut Vec<Output>) {
        self.lock().answered(now, id, written, out);
    }

    fn tick(&mut self, now: Nanos, out: &mut Vec<Output>) {
        self.lock().tick(now, out);
    }

    fn deadline(&self) -> Option<Nanos> {
        self.lock().deadline()
    }
}
