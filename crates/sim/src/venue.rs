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
//! same venue, which tells the [truth](Simulator::books).

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use model::{Error, Level, Nanos, Side};

use crate::dialect;
use crate::faults::{Fault, Faults, Faulty};
use crate::machine::{ClientId, Machine, Output, Reply, Request, RequestId, SENDS_MAX};
use crate::market::instrument::Listing;
use crate::market::order::{Event, Index, Trade};
use crate::market::{Market, MarketOptions};

#[cfg(test)]
mod tests;

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
}

/// What a dialect works with.
pub struct Floor<'a> {
    /// The time.
    pub now: Nanos,
    /// The market. What orders cause goes into `events`.
    pub market: &'a mut Market,
    /// What happened and has not been told yet: with the next tick.
    pub events: &'a mut Vec<Event>,
    out: &'a mut Vec<Output>,
}

impl Floor<'_> {
    /// Sends a message.
    pub fn send(&mut self, client: ClientId, payload: Bytes) {
        self.out.push(Output::Send { client, payload });
    }

    /// Ends a connection, which the dialect has forgotten.
    pub fn close(&mut self, client: ClientId, code: u16, reason: &str) {
        self.out.push(Output::Close { client, code, reason: reason.to_owned() });
    }
}

/// A market and a dialect as one machine.
struct Exchange {
    market: Market,
    dialect: Box<dyn Dialect>,
    events: Vec<Event>,
    /// Messages that are to go out, at most what one action or one tick of the dialect leads to.
    outbox: VecDeque<Output>,
    /// The market is to stand still, or to go on, with the next tick.
    freeze: Option<bool>,
}

impl Exchange {
    fn floor<'a>(
        market: &'a mut Market,
        events: &'a mut Vec<Event>,
        out: &'a mut Vec<Output>,
        now: Nanos,
    ) -> Floor<'a> {
        Floor { now, market, events, out }
    }

    /// Tells the dialect what has happened.
    fn tell(&mut self, now: Nanos) {
        if self.events.is_empty() {
            return;
        }
        let events = std::mem::take(&mut self.events);
        let mut out = Vec::new();
        let mut floor = Self::floor(&mut self.market, &mut self.events, &mut out, now);
        self.dialect.events(&mut floor, &events);
        self.outbox.extend(out);
    }

    /// Does the next thing that is due; whether there was one.
    fn step(&mut self, now: Nanos) -> bool {
        let is_due = |at: Option<Nanos>| at.is_some_and(|at| at <= now);
        if let Some(frozen) = self.freeze.take() {
            if frozen {
                self.market.freeze(now, &mut self.events);
            } else {
                self.market.thaw(now);
            }
        } else if is_due(self.market.deadline()) {
            self.market.advance(now, &mut self.events);
        } else if is_due(self.dialect.deadline()) {
            let mut out = Vec::new();
            let mut floor = Self::floor(&mut self.market, &mut self.events, &mut out, now);
            self.dialect.tick(&mut floor);
            self.outbox.extend(out);
        } else {
            return false;
        }
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
        let mut floor = Self::floor(&mut self.market, &mut self.events, out, now);
        self.dialect.connect(&mut floor, client, target)
    }

    fn message(&mut self, now: Nanos, client: ClientId, message: &[u8], out: &mut Vec<Output>) {
        self.tell(now);
        let mut floor = Self::floor(&mut self.market, &mut self.events, out, now);
        self.dialect.message(&mut floor, client, message);
    }

    fn disconnected(&mut self, _now: Nanos, client: ClientId, _out: &mut Vec<Output>) {
        self.dialect.disconnected(client);
        let of =
            |output: &Output| matches!(output, Output::Send { client: to, .. } if *to == client);
        self.outbox.retain(|output| !of(output));
    }

    fn request(&mut self, now: Nanos, id: RequestId, request: &Request, out: &mut Vec<Output>) {
        self.tell(now);
        let mut floor = Self::floor(&mut self.market, &mut self.events, out, now);
        let reply = self.dialect.request(&mut floor, request);
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

/// A book as the venue itself has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrueBook {
    /// The venue's symbol.
    pub symbol: String,
    /// How far it has come, in the venue's own count.
    pub position: Option<u64>,
    /// Best first.
    pub bids: Vec<Level>,
    /// Best first.
    pub asks: Vec<Level>,
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
    let market =
        MarketOptions { seed: options.seed, listings, rate: options.rate, accounts: Vec::new() };
    let market = Market::new(&market, options.start)?;
    let dialect = simulated.dialect(&market, options)?;
    let (events, outbox) = (Vec::new(), VecDeque::new());
    let exchange = Exchange { market, dialect, events, outbox, freeze: None };
    let faulty = Faulty::new(exchange, options.faults.clone(), options.seed);
    let machine = Arc::new(Mutex::new(faulty));
    Ok(Some(Simulator { venue: simulated.name(), machine }))
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

    /// Every book, by the instrument's canonical name.
    #[must_use]
    pub fn books(&self) -> BTreeMap<String, TrueBook> {
        let faulty = self.lock();
        let Exchange { market, dialect, .. } = faulty.inner();
        let book = |index| {
            let instrument = market.instrument(index);
            let levels = |side| {
                let all = market.book(index).levels(side);
                let level = |(ticks, lots)| Level {
                    price: instrument.tick.decimal(ticks),
                    quantity: instrument.lot.decimal(lots),
                };
                all.map(level).collect()
            };
            let book = TrueBook {
                symbol: dialect.symbol(index).to_owned(),
                position: dialect.position(index),
                bids: levels(Side::Buy),
                asks: levels(Side::Sell),
            };
            (instrument.name.to_string(), book)
        };
        (0..market.len()).map(book).collect()
    }

    /// An instrument's last trades, oldest first, by its canonical name; none where it is unknown.
    #[must_use]
    pub fn trades(&self, name: &str) -> Vec<Trade> {
        let faulty = self.lock();
        let market = &faulty.inner().market;
        let index = market.find(name);
        index.map_or_else(Vec::new, |index| market.tape(index).trades().iter().copied().collect())
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
