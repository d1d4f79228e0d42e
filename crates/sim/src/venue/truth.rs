//! What a simulated venue itself knows, so that a test can compare a client with it exactly.

use std::collections::BTreeMap;

use model::{Decimal, Level, Nanos, Side};

use super::{Exchange, Simulator};
use crate::accounts::{Counts, Record};
use crate::market::money;
use crate::market::order::{AccountId, Fill, Index, Pricing, State, Trade};

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

/// An order as the venue itself has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrueOrder {
    /// Canonical name of the instrument.
    pub instrument: String,
    /// The venue's own number for it.
    pub id: u64,
    /// The account's own name for it.
    pub client_order_id: Option<String>,
    /// How often a request asked for an order of that name.
    pub times_asked: u32,
    /// Buy or sell.
    pub side: Side,
    /// The limit; none for a market order.
    pub price: Option<Decimal>,
    /// How much.
    pub quantity: Decimal,
    /// How much of it was executed.
    pub filled: Decimal,
    /// Where it stands.
    pub state: State,
    /// When it was placed, by the venue's clock.
    pub created: Nanos,
    /// When it last changed.
    pub updated: Nanos,
    /// Its executions, in order.
    pub fills: Vec<TrueFill>,
}

/// An execution as the venue itself has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrueFill {
    /// The venue's number of the trade, which both sides of it have.
    pub trade: u64,
    /// When, by the venue's clock.
    pub at: Nanos,
    /// At which price.
    pub price: Decimal,
    /// How much.
    pub quantity: Decimal,
    /// What it cost.
    pub fee: Decimal,
    /// In which asset.
    pub fee_asset: String,
    /// Whether the order was the one that waited.
    pub is_maker: bool,
}

impl Simulator {
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

    /// The orders of an account, open and ended, by instrument and then the oldest first; none where
    /// no account has that key. Of very many that have ended the oldest are gone.
    #[must_use]
    pub fn orders(&self, api_key: &str) -> Vec<TrueOrder> {
        self.of_account(api_key, |exchange, id| {
            exchange.accounts.orders(id).map(|record| exchange.order(id, record)).collect()
        })
    }

    /// What an account has done, in numbers; zeros where no account has that key.
    #[must_use]
    pub fn counts(&self, api_key: &str) -> Counts {
        self.of_account(api_key, |exchange, id| exchange.accounts.counts(id))
    }

    /// Every report that an account got or would have got with a connection, the oldest first: each
    /// tells one thing that happened to one order, and the order as it stood then. Of very many the
    /// oldest are gone.
    #[must_use]
    pub fn reports(&self, api_key: &str) -> Vec<crate::market::order::Report> {
        self.of_account(api_key, |exchange, id| exchange.accounts.reports(id).cloned().collect())
    }

    /// What an account has of each asset: free and set aside.
    #[must_use]
    pub fn balances(&self, api_key: &str) -> BTreeMap<String, (Decimal, Decimal)> {
        self.of_account(api_key, |exchange, id| {
            let balance = |asset| {
                let balance = exchange.market.ledger().balance(id, asset);
                let parts = (money::decimal(balance.free), money::decimal(balance.locked));
                (exchange.market.assets()[asset].to_string(), parts)
            };
            (0..exchange.market.assets().len()).map(balance).collect()
        })
    }

    /// Asks of an account, after all that has happened up to now.
    fn of_account<T: Default>(
        &self,
        api_key: &str,
        ask: impl FnOnce(&Exchange, AccountId) -> T,
    ) -> T {
        let faulty = self.lock();
        let exchange = faulty.inner();
        let id = exchange.accounts.by_key(api_key).map(|(id, _)| id);
        id.map_or_else(T::default, |id| ask(exchange, id))
    }
}

impl Exchange {
    fn order(&self, id: AccountId, record: &Record) -> TrueOrder {
        let Record { order, fills } = record;
        let instrument = self.market.instrument(order.instrument);
        let name = order.client_id.as_deref();
        TrueOrder {
            instrument: instrument.name.to_string(),
            id: order.id,
            client_order_id: name.map(str::to_owned),
            times_asked: name.map_or(0, |name| self.accounts.times_asked(id, name)),
            side: order.side,
            price: match order.pricing {
                Pricing::Market => None,
                Pricing::Limit { ticks, .. } => Some(instrument.tick.decimal(ticks)),
            },
            quantity: instrument.lot.decimal(order.lots),
            filled: instrument.lot.decimal(order.filled),
            state: order.state,
            created: order.created,
            updated: order.updated,
            fills: fills.iter().map(|fill| self.fill(order.instrument, fill)).collect(),
        }
    }

    fn fill(&self, index: Index, fill: &Fill) -> TrueFill {
        let instrument = self.market.instrument(index);
        TrueFill {
            trade: fill.trade.id,
            at: fill.trade.at,
            price: instrument.tick.decimal(fill.trade.ticks),
            quantity: instrument.lot.decimal(fill.trade.lots),
            fee: money::decimal(fill.fee),
            fee_asset: self.market.assets()[fill.fee_asset].to_string(),
            is_maker: fill.is_maker,
        }
    }
}
