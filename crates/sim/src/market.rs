//! One seeded world that trades: instruments, a matching engine, accounts, and a crowd.
//!
//! ```text
//!   crowd ──┐ actions, by the clock              ┌─ levels ──┐
//!           ├──► pit (book, price before time) ──┼─ trades ──┼─► events ─► a venue's dialect
//!   client ─┘ place, cancel, amend               └─ reports ─┘
//!                    │
//!                    └─ ledger (balances, positions, fees)
//! ```
//!
//! * [`Market::advance`] does the crowd's next action when its time has come; what happened is put
//!   into a list that the caller reads at once, so nothing waits here and nothing is lost.
//! * Nothing here knows a venue: prices are ticks and quantities lots ([`money::Step`]), refusals
//!   are an enum ([`Refusal`]) for which a dialect has its own words.
//! * The same seed, options and calls at the same times give the same events. Time is an argument.
//! * Bounded: books by the accounts' limits on open orders, the tape by [`tape::TRADES_MAX`] and
//!   [`tape::CANDLES_MAX`]; the rest is fixed when the market begins.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use model::{Error, Nanos, Side};

pub mod bar;
pub mod book;
mod crowd;
pub mod instrument;
pub mod ledger;
mod matching;
pub mod money;
pub mod order;

pub mod tape;

#[cfg(test)]
mod naive;
#[cfg(test)]
mod tests;

use crate::rng::Rng;
use book::Book;
use crowd::{Action, Crowd};
use instrument::{Instrument, Listing};
use ledger::{Assets, Ledger};
use matching::{Desk, Names, Pit};
use money::{Amount, ONE};
use order::{AccountId, Event, Index, NewOrder, Order, Refusal, What};
use tape::Tape;

/// At most so many instruments.
pub const INSTRUMENTS_MAX: usize = 500;
/// Orders that one instrument can ever have, by their ids.
const ORDERS_MAX: u64 = 1_000_000_000_000;
/// What each of the crowd's accounts has of each asset, in whole units.
const CROWD_FUNDS: Amount = 1_000_000_000_000 * ONE;

/// What a market is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarketOptions {
    /// What the crowd does follows from it.
    pub seed: u64,
    /// What is traded.
    pub listings: Vec<Listing>,
    /// Trades and changes of best levels a second that the crowd causes, over all instruments; 0
    /// for a market without a crowd.
    pub rate: u32,
    /// Accounts beside the crowd's: whole units of each asset that each has at the start.
    pub accounts: Vec<BTreeMap<String, u64>>,
}

/// The world; see [the module](self).
#[derive(Clone, Debug)]
pub struct Market {
    pits: Vec<Pit>,
    assets: Vec<Box<str>>,
    ledger: Ledger,
    names: Names,
    crowds: Vec<Crowd>,
    due: BinaryHeap<Reverse<(Nanos, Index)>>,
    /// Between two messages of one instrument, on average.
    usual: Duration,
    clients: usize,
    frozen: bool,
}

impl Market {
    /// A market with full books, whose crowd begins now.
    ///
    /// # Errors
    /// A name is not canonical or twice in the list, the list is empty or too long, or an account
    /// has an asset that is not traded.
    pub fn new(options: &MarketOptions, now: Nanos) -> Result<Self, Error> {
        let count = options.listings.len();
        if count == 0 || count > INSTRUMENTS_MAX {
            let message = format!("{count} instruments; expected 1 to {INSTRUMENTS_MAX}");
            return Err(Error::reject(message));
        }
        let mut market = Self {
            pits: Vec::new(),
            assets: Vec::new(),
            ledger: Ledger::new(0, 0, 0),
            names: Names::new(),
            crowds: Vec::new(),
            due: BinaryHeap::new(),
            usual: Duration::ZERO,
            clients: options.accounts.len(),
            frozen: false,
        };
        for listing in &options.listings {
            market.list(listing, options.seed, now)?;
        }
        market.fund(options)?;
        if options.rate > 0 {
            let instruments = u32::try_from(count).unwrap_or(u32::MAX);
            market.usual = Duration::from_secs(1) * instruments / options.rate;
            market.open(options.seed, now);
        }
        Ok(market)
    }

    fn list(&mut self, listing: &Listing, seed: u64, now: Nanos) -> Result<(), Error> {
        let instrument = Instrument::new(listing)?;
        if self.find(&instrument.name).is_some() {
            return Err(Error::reject(format!("{} is listed twice", instrument.name)));
        }
        let assets =
            Assets { base: self.asset(&instrument.base), quote: self.asset(&instrument.quote) };
        let index = self.pits.len();
        let mut dice = Rng::new(seed, 1_000 + index as u64);
        let next_order = (index as u64 + 1) * ORDERS_MAX + 1_000_000 + dice.below(1_000_000_000);
        let tape = Tape::new(now, instrument.reference, 1_000 + dice.below(1_000_000), dice);
        let open = vec![0; crowd::ACCOUNTS + self.clients];
        let book = Book::default();
        self.pits.push(Pit { index, instrument, assets, book, tape, next_order, open });
        Ok(())
    }

    /// The place of an asset, which is added where it is new.
    fn asset(&mut self, name: &str) -> usize {
        self.find_asset(name).unwrap_or_else(|| {
            self.assets.push(name.into());
            self.assets.len() - 1
        })
    }

    fn fund(&mut self, options: &MarketOptions) -> Result<(), Error> {
        let accounts = crowd::ACCOUNTS + self.clients;
        self.ledger = Ledger::new(accounts, self.assets.len(), self.pits.len());
        for (account, asset) in
            (0..crowd::ACCOUNTS).flat_map(|a| (0..self.assets.len()).map(move |b| (a, b)))
        {
            self.ledger.deposit(AccountId(account), asset, CROWD_FUNDS);
        }
        for (client, funds) in options.accounts.iter().enumerate() {
            for (name, units) in funds {
                let asset = self.find_asset(name).ok_or_else(|| {
                    let known = self.assets.join(", ");
                    Error::reject(format!(
                        "an account has {name}, which is not traded; {known} are"
                    ))
                })?;
                self.ledger.deposit(self.client(client), asset, Amount::from(*units) * ONE);
            }
        }
        Ok(())
    }

    /// The crowd arrives and fills the books.
    fn open(&mut self, seed: u64, now: Nanos) {
        let mut unheard = Vec::new();
        for index in 0..self.pits.len() {
            let fair = self.pits[index].instrument.reference;
            let mut crowd = Crowd::new(index, fair, Rng::new(seed, index as u64), now);
            for order in crowd.opening(&self.pits[index].instrument) {
                if let Ok(order) = self.desk(now, index, &mut unheard).place(&order)
                    && order.state.is_open()
                {
                    crowd.waits(order.account, order.id);
                }
            }
            self.due.push(Reverse((crowd.next_at(now, self.usual, 1), index)));
            self.crowds.push(crowd);
        }
    }

    /// When the crowd does something next; never in a frozen market or one without a crowd.
    #[must_use]
    pub fn deadline(&self) -> Option<Nanos> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    /// Does the crowd's next action where its time has come, one at most; puts what happened into
    /// `out`.
    pub fn advance(&mut self, now: Nanos, out: &mut Vec<Event>) {
        let Some(Reverse((_, index))) = self.due.peek().copied().filter(|due| due.0.0 <= now)
        else {
            return;
        };
        self.due.pop();
        let begin = out.len();
        let before = self.best(index);
        let action = self.crowds[index].act(&self.pits[index].instrument, &self.pits[index].book);
        if let Some(action) = action {
            self.act(now, index, &action, out);
        }
        let trades = out[begin..].iter().filter(|event| matches!(event.what, What::Trade(_)));
        let changed = u32::from(self.best(index) != before);
        let messages = u32::try_from(trades.count()).unwrap_or(u32::MAX) + changed;
        let next = self.crowds[index].next_at(now, self.usual, messages);
        self.due.push(Reverse((next, index)));
    }

    /// What the crowd does; what it may not do it simply has not done.
    fn act(&mut self, now: Nanos, index: Index, action: &Action, out: &mut Vec<Event>) {
        let mut desk = self.desk(now, index, out);
        match action {
            Action::Place(order) => {
                if let Ok(order) = desk.place(order)
                    && order.state.is_open()
                {
                    self.crowds[index].waits(order.account, order.id);
                }
            }
            // An order that is gone meanwhile, or would become too small, stays as it is.
            Action::Cancel(account, id) => drop(desk.cancel(*account, *id)),
            Action::Amend(account, id, ticks, lots) => {
                drop(desk.amend(*account, *id, *ticks, *lots));
            }
        }
    }

    /// Stops the market. Before that the crowd takes an order from every best level, so that a client
    /// that has missed something learns of it; clients' orders are refused from then on, cancels are not.
    pub fn freeze(&mut self, now: Nanos, out: &mut Vec<Event>) {
        if std::mem::replace(&mut self.frozen, true) {
            return;
        }
        self.due.clear();
        for index in 0..self.crowds.len() {
            for side in [Side::Buy, Side::Sell] {
                let book = &self.pits[index].book;
                let best = book.best(side).map(|(ticks, _)| ticks);
                let at_best = book.queue(side).take_while(|order| order.ticks() == best);
                let own = at_best.filter(|order| order.account.0 < crowd::ACCOUNTS).last();
                if let Some((account, id)) = own.map(|order| (order.account, order.id)) {
                    drop(self.desk(now, index, out).cancel(account, id));
                }
            }
        }
    }

    /// Lets a stopped market go on.
    pub fn thaw(&mut self, now: Nanos) {
        if !std::mem::replace(&mut self.frozen, false) {
            return;
        }
        for (index, crowd) in self.crowds.iter_mut().enumerate() {
            self.due.push(Reverse((crowd.next_at(now, self.usual, 1), index)));
        }
    }

    /// Whether it was stopped.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Places a client's order; gives it as it stands after all that happened at once.
    ///
    /// # Errors
    /// Why it is refused; nothing has happened then.
    pub fn place(
        &mut self,
        now: Nanos,
        order: &NewOrder,
        out: &mut Vec<Event>,
    ) -> Result<Order, Refusal> {
        if self.frozen {
            return Err(Refusal::Frozen);
        }
        self.desk(now, order.instrument, out).place(order)
    }

    /// Cancels an open order of an account.
    ///
    /// # Errors
    /// [`Refusal::UnknownOrder`]: the account has no such open order.
    pub fn cancel(
        &mut self,
        now: Nanos,
        (account, instrument, id): (AccountId, Index, u64),
        out: &mut Vec<Event>,
    ) -> Result<Order, Refusal> {
        self.desk(now, instrument, out).cancel(account, id)
    }

    /// Changes price and whole quantity of an open order. Made smaller at its price it keeps its
    /// place in the queue.
    ///
    /// # Errors
    /// Why that is refused; the order is then as before.
    pub fn amend(
        &mut self,
        now: Nanos,
        (account, instrument, id): (AccountId, Index, u64),
        (ticks, lots): (u64, u64),
        out: &mut Vec<Event>,
    ) -> Result<Order, Refusal> {
        if self.frozen {
            return Err(Refusal::Frozen);
        }
        self.desk(now, instrument, out).amend(account, id, ticks, lots)
    }

    /// The account of the client with that number in [`MarketOptions::accounts`].
    #[must_use]
    pub fn client(&self, number: usize) -> AccountId {
        AccountId(crowd::ACCOUNTS + number)
    }

    /// How many instruments there are; their places count up from 0.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pits.len()
    }

    /// Whether there are none, which is never so.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pits.is_empty()
    }

    /// The place of an instrument by its canonical name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Index> {
        self.pits.iter().position(|pit| &*pit.instrument.name == name)
    }

    /// An instrument by its place.
    #[must_use]
    pub fn instrument(&self, index: Index) -> &Instrument {
        &self.pits[index].instrument
    }

    /// Its book.
    #[must_use]
    pub fn book(&self, index: Index) -> &Book {
        &self.pits[index].book
    }

    /// Its trades; its candles reach up to the last trade or [`roll`](Self::roll).
    #[must_use]
    pub fn tape(&self, index: Index) -> &Tape {
        &self.pits[index].tape
    }

    /// Brings an instrument's candles up to a time, and gives its trades.
    pub fn roll(&mut self, index: Index, now: Nanos) -> &Tape {
        self.pits[index].tape.roll(now);
        &self.pits[index].tape
    }

    /// Best bid and best ask: ticks and lots, where there is one.
    #[must_use]
    pub fn best(&self, index: Index) -> [Option<(u64, u64)>; 2] {
        let book = &self.pits[index].book;
        [book.best(Side::Buy), book.best(Side::Sell)]
    }

    /// Balances and positions.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The assets in the order in which the ledger has them.
    #[must_use]
    pub fn assets(&self) -> &[Box<str>] {
        &self.assets
    }

    /// The place of an asset.
    #[must_use]
    pub fn find_asset(&self, name: &str) -> Option<usize> {
        self.assets.iter().position(|asset| &**asset == name)
    }

    /// The open orders of an account, by instrument and id.
    pub fn open_orders(&self, account: AccountId) -> impl Iterator<Item = &Order> {
        let has = move |pit: &&Pit| pit.open.get(account.0).is_some_and(|open| *open > 0);
        let all = self.pits.iter().filter(has).flat_map(|pit| pit.book.orders());
        all.filter(move |order| order.account == account)
    }

    /// The open order that an account calls so.
    #[must_use]
    pub fn named(&self, account: AccountId, name: &str) -> Option<&Order> {
        let (index, id) = *self.names.get(&(account, name.into()))?;
        self.pits[index].book.get(id)
    }

    fn desk<'a>(&'a mut self, now: Nanos, index: Index, out: &'a mut Vec<Event>) -> Desk<'a> {
        Desk {
            now,
            pit: &mut self.pits[index],
            ledger: &mut self.ledger,
            names: &mut self.names,
            clients_from: crowd::ACCOUNTS,
            out,
        }
    }
}
