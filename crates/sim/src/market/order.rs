//! Orders, why they are refused, and what the market tells of them.

use std::fmt;

use model::{Nanos, Side};

use super::money::Amount;

/// The place of an instrument in its market.
pub type Index = usize;

/// An account of a market, the crowd's among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccountId(pub usize);

/// What an order is to be executed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pricing {
    /// At whatever is there; what is left then expires.
    Market,
    /// At this price or better.
    Limit {
        /// The price.
        ticks: u64,
        /// Refused where it would trade at once.
        post_only: bool,
    },
}

/// What becomes of what can't be executed at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lasting {
    /// It waits until cancelled.
    #[default]
    GoodTillCancel,
    /// It expires.
    ImmediateOrCancel,
    /// Nothing is executed unless all can be.
    FillOrKill,
    /// It waits until cancelled; where it would have to trade at once it expires instead, at a venue
    /// that accepts such an order rather than refuse it.
    MakeOrExpire,
}

/// What happens where an order meets another one of its own account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SelfTrade {
    /// They trade.
    #[default]
    Allow,
    /// The one that comes expires.
    ExpireTaker,
    /// The one that waited expires.
    ExpireMaker,
    /// Both expire.
    ExpireBoth,
    /// Both become smaller by what they share; the one that is then empty expires.
    Decrement,
}

/// An order that is to be placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// For whom.
    pub account: AccountId,
    /// Of which instrument.
    pub instrument: Index,
    /// The account's own name for it, unique among its open orders.
    pub client_id: Option<Box<str>>,
    /// Buy or sell.
    pub side: Side,
    /// At which price.
    pub pricing: Pricing,
    /// How much.
    pub lots: u64,
    /// For how long.
    pub lasting: Lasting,
    /// How it meets its own account's orders.
    pub self_trade: SelfTrade,
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Open, nothing executed.
    New,
    /// Open, partly executed.
    PartiallyFilled,
    /// Executed whole.
    Filled,
    /// Ended by its account.
    Cancelled,
    /// Ended by what it asked for itself: nothing (more) to be had at once.
    Expired,
    /// Ended because it met its own account's order.
    ExpiredInMatch,
}

impl State {
    /// Whether the order is in the book.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::New | Self::PartiallyFilled)
    }
}

/// An order as the market knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Counts up per instrument, and is no other instrument's.
    pub id: u64,
    /// Whose.
    pub account: AccountId,
    /// Of which instrument.
    pub instrument: Index,
    /// The account's own name for it.
    pub client_id: Option<Box<str>>,
    /// Buy or sell.
    pub side: Side,
    /// At which price.
    pub pricing: Pricing,
    /// How much.
    pub lots: u64,
    /// How much of it was executed.
    pub filled: u64,
    /// How much of it was taken away because it met its own account's order.
    pub prevented: u64,
    /// What was executed was worth so much.
    pub value: Amount,
    /// For how long.
    pub lasting: Lasting,
    /// How it meets its own account's orders.
    pub self_trade: SelfTrade,
    /// Where it stands.
    pub state: State,
    /// When it was placed.
    pub created: Nanos,
    /// When it last changed.
    pub updated: Nanos,
    /// What its account has set aside for what is left of it.
    pub locked: Amount,
}

impl Order {
    /// What may still be executed.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.lots - self.filled - self.prevented
    }

    /// The limit; none for a market order.
    #[must_use]
    pub fn ticks(&self) -> Option<u64> {
        match self.pricing {
            Pricing::Market => None,
            Pricing::Limit { ticks, .. } => Some(ticks),
        }
    }
}

/// Why an order, a cancel or an amendment is refused; nothing has happened then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The price is 0 or above the highest.
    PriceRange,
    /// The price is too far from the last trade.
    PriceBand,
    /// The quantity is 0 or above the largest.
    QuantityRange,
    /// The order is worth too little.
    ValueMin,
    /// The account has as many open orders as it may have.
    OpenOrders,
    /// The account can't pay for it.
    Balance,
    /// A post-only order would trade at once.
    WouldTake,
    /// Another open order of the account has that name.
    DuplicateClientId,
    /// There is no such open order.
    UnknownOrder,
    /// The market stands still.
    Frozen,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PriceRange => "the price is 0 or above the highest that is taken",
            Self::PriceBand => "the price is too far from the last trade's",
            Self::QuantityRange => "the quantity is 0 or above the largest that is taken",
            Self::ValueMin => "the order is worth less than the smallest that is taken",
            Self::OpenOrders => "the account has as many open orders as it may have",
            Self::Balance => "the account can't pay for it",
            Self::WouldTake => "a post-only order would trade at once",
            Self::DuplicateClientId => "another open order of the account has that name",
            Self::UnknownOrder => "there is no such open order",
            Self::Frozen => "the market stands still",
        })
    }
}

/// Two orders met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trade {
    /// Counts up per instrument.
    pub id: u64,
    /// When.
    pub at: Nanos,
    /// At the price of the order that waited.
    pub ticks: u64,
    /// How much.
    pub lots: u64,
    /// The side of the order that came.
    pub aggressor: Side,
    /// The order that came.
    pub taker: u64,
    /// The order that waited.
    pub maker: u64,
}

impl Trade {
    /// The orders of buyer and seller.
    #[must_use]
    pub fn orders(&self) -> (u64, u64) {
        match self.aggressor {
            Side::Buy => (self.taker, self.maker),
            Side::Sell => (self.maker, self.taker),
        }
    }
}

/// What an account paid and got in one trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// The trade.
    pub trade: Trade,
    /// What it was worth.
    pub value: Amount,
    /// What the account paid for it.
    pub fee: Amount,
    /// In which asset: its place in the market's list.
    pub fee_asset: usize,
    /// Whether the account's order was the one that waited.
    pub is_maker: bool,
    /// What a closed position brought; 0 elsewhere.
    pub profit: Amount,
}

/// Something happened to an order of an account that wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The order after it.
    pub order: Order,
    /// What happened.
    pub cause: Cause,
}

/// What happened to an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It was placed.
    Placed,
    /// It was executed, in part or whole.
    Filled(Fill),
    /// It has ended otherwise; its state says how.
    Ended,
    /// Price or quantity changed.
    Amended,
}

/// What the market tells the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Nanos,
    /// Of which instrument.
    pub instrument: Index,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A level of the book has changed.
    Level {
        /// Of this side.
        side: Side,
        /// At this price.
        ticks: u64,
        /// What stands there now; 0 for nothing.
        lots: u64,
    },
    /// Two orders met.
    Trade(Trade),
    /// An order of an account that wants to know has changed.
    Report(Box<Report>),
}
