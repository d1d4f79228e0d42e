//! The venue contract for orders: what the order desk asks of a venue's trading machine, and what
//! the machine has heard.
//!
//! A trading machine is a [`Venue`](crate::venue::Venue) as well: the same session drives it. It
//! has the account's keys, logs in, signs, listens to the account's stream, and never decides
//! anything about an order: it carries [`Instruction`]s out **once**, and tells what it
//! [`Heard`]. A request whose outcome it can't tell is [`Lost`](crate::ledger::Lost), never tried
//! again by itself.

use std::time::Duration;

use pool::LocalPooled;
use rust_decimal::Decimal;

use crate::event::Side;
use crate::ledger::{Name, OrderKey, Outcome};
use crate::order::{ExecReport, OrderType, TimeInForce};
use crate::time::Nanos;
use crate::venue::Rate;

/// Names one instruction of the desk, and comes back with its answer. Never used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What the desk wants of a venue. Each with a ticket gets exactly one [`Heard::Answer`], also where
/// nothing could be sent or nothing came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Instruction {
    /// Logs in and listens to the account; comes first, once.
    Listen {
        /// Canonical names of what is traded there.
        instruments: Vec<Name>,
    },
    /// Sends an order.
    Place {
        /// Comes back with the answer.
        ticket: Ticket,
        /// The order.
        order: Placement,
    },
    /// Takes an order back.
    Cancel {
        /// Comes back with the answer.
        ticket: Ticket,
        /// Which order.
        target: Target,
    },
    /// Changes an order in place.
    Amend {
        /// Comes back with the answer.
        ticket: Ticket,
        /// Which order.
        target: Target,
        /// Which side it is on: some venues want to hear it again.
        side: Side,
        /// The price that it is to have, changed or not; in quote currency.
        price: Decimal,
        /// The quantity that it is to have in all, what is filled included, changed or not.
        quantity: Decimal,
    },
    /// Asks how an order stands: a [`Heard::Order`] and the answer, or the answer
    /// [`Outcome::NotFound`].
    Query {
        /// Comes back with what is heard and with the answer.
        ticket: Ticket,
        /// Which order.
        target: Target,
    },
    /// Asks for all open orders of the account: a [`Heard::Order`] each, then the answer.
    OpenOrders {
        /// Comes back with what is heard and with the answer.
        ticket: Ticket,
    },
    /// Asks for the account's fills: a [`Heard::Order`] each, then the answer; [`Outcome::NotFound`]
    /// where the venue does not list the instrument.
    Fills {
        /// Comes back with what is heard and with the answer.
        ticket: Ticket,
        /// Canonical name.
        instrument: Name,
        /// From when on, by the venue's clock.
        since: Nanos,
    },
    /// Asks for the account's balances and positions: a [`Heard::Balance`] or [`Heard::Position`]
    /// each, then the answer.
    Balances {
        /// Comes back with the answer.
        ticket: Ticket,
    },
    /// Takes all orders of an instrument back, in one request where the venue has one.
    CancelAll {
        /// Comes back with the answer.
        ticket: Ticket,
        /// Canonical name.
        instrument: Name,
    },
    /// Has the venue cancel everything of an instrument, or of the account where its switch reaches so
    /// far ([`DeadMan`]), unless it hears this again in time.
    DeadMan {
        /// Comes back with the answer.
        ticket: Ticket,
        /// Canonical name.
        instrument: Name,
        /// In how long; zero ends it.
        within: Duration,
    },
}

/// A new order, as a venue is asked to take it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Canonical name of what it is for.
    pub instrument: Name,
    /// The id that the venue is to know it by.
    pub venue_client_id: Name,
    /// Which side.
    pub side: Side,
    /// How it is priced.
    pub order_type: OrderType,
    /// How long it stands.
    pub time_in_force: TimeInForce,
    /// In quote currency; `None` for market orders.
    pub price: Option<Decimal>,
    /// In base currency or contracts.
    pub quantity: Decimal,
    /// The venue is to take it no later than this, by our clock; `None` where it has no such
    /// deadline.
    pub deadline: Option<Nanos>,
}

/// Which order a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Canonical name of what it is for.
    pub instrument: Name,
    /// The id that we gave it.
    pub venue_client_id: Name,
    /// The venue's id, where it is known: some venues' client ids are unique among open orders
    /// only.
    pub venue_order_id: Option<Name>,
}

/// What a trading machine has heard.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// Every report of the account is heard from here on (`true`), or may be missed (`false`).
    Listening(bool),
    /// An instruction's request was answered, or its answer is lost, or it was never sent
    /// ([`Outcome::Refused`] with the code [`NOT_SENT`]).
    Answer {
        /// Which instruction.
        ticket: Ticket,
        /// What came of it.
        outcome: Outcome,
    },
    /// The venue says how one of the account's orders stands, or tells a fill of it.
    Order(LocalPooled<ExecReport>),
    /// How much of an asset the account has.
    Balance(Balance),
    /// What the account holds of an instrument.
    Position(Position),
}

/// The code of a refusal by ourselves: nothing was sent.
pub const NOT_SENT: &str = "not-sent";
/// The code of a change that found no open order at the venue.
pub const NOT_FOUND: &str = "not-found";
/// The code of a change of which nobody knows what became.
pub const UNKNOWN: &str = "unknown";

/// What a venue says of an order's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VenueState {
    /// It stands; how much of it is filled is said by the amounts.
    Open,
    /// All of it is filled.
    Filled,
    /// It is gone.
    Cancelled,
    /// It is gone, and another venue order of the same client order stands in for it.
    Replaced,
    /// It was taken and thrown out.
    Rejected,
    /// Its time in force has ended it.
    Expired,
}

/// How much of an asset an account has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Its name, in capitals.
    pub asset: Name,
    /// What can be used.
    pub free: Decimal,
    /// What open orders or margins hold.
    pub locked: Decimal,
    /// When, by the venue's clock.
    pub ts_event: Option<Nanos>,
    /// When it arrived.
    pub ts_recv: Nanos,
}

/// What an account holds of a derivative.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Canonical name.
    pub instrument: Name,
    /// In base currency or contracts; below zero when it is short.
    pub quantity: Decimal,
    /// Average entry price, where it is said; in quote currency.
    pub entry_price: Option<Decimal>,
    /// When, by the venue's clock.
    pub ts_event: Option<Nanos>,
    /// When it arrived.
    pub ts_recv: Nanos,
}

/// What a venue changes of an order in place. The desk asks for nothing else: the machine does not
/// know what an order was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amends {
    /// Nothing.
    Nothing,
    /// The quantity, downwards only; the price stays.
    QuantityDown,
    /// Price and quantity.
    PriceAndQuantity,
}

impl Amends {
    /// Whether an order with the first price and quantity can be given the second ones.
    #[must_use]
    pub fn allows(
        self,
        (price, quantity): (Option<Decimal>, Decimal),
        (new_price, new_quantity): (Option<Decimal>, Decimal),
    ) -> bool {
        match self {
            Self::Nothing => false,
            Self::QuantityDown => new_price == price && new_quantity < quantity,
            Self::PriceAndQuantity => true,
        }
    }
}

/// What a dead-man switch takes back when it runs out, and what is ended with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadMan {
    /// The orders of an instrument: each has a switch of its own.
    Instrument,
    /// All orders of the account, which has one switch.
    Account,
}

/// What the desk has to know of a venue's orders, as data.
#[derive(Clone, Copy, Debug)]
pub struct TradingProfile {
    /// The id that a venue knows an order by: a function of its key, within the venue's length and
    /// alphabet, different for different keys.
    pub client_id: fn(&OrderKey) -> Name,
    /// The venue takes a request no later than so long after it was signed; `None` where it has no
    /// such deadline.
    pub deadline_after: Option<Duration>,
    /// How many orders an account may send: all of these hold.
    pub orders: &'static [Rate],
    /// How many of each of them are kept for cancels.
    pub kept_for_cancels: u32,
    /// Whether cancels count against them. Where not no cancel waits for them, and the session's own
    /// reserve is what bounds it.
    pub cancels_count: bool,
    /// How far [`Instruction::Amend`] is there.
    pub amends: Amends,
    /// How far [`Instruction::DeadMan`] reaches; `None` where there is none.
    pub dead_man: Option<DeadMan>,
    /// Whether a client id may be used again once its order is over: a query by it alone may then
    /// find another order.
    pub client_id_reusable: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_venue_that_only_reduces_keeps_the_price() {
        let at = |price, quantity| (Some(Decimal::new(price, 1)), Decimal::new(quantity, 1));
        let down = Amends::QuantityDown;
        assert!(down.allows(at(10, 20), at(10, 19)));
        assert!(down.allows(at(10, 20), (Some(Decimal::ONE), Decimal::ONE)));
        for other in [at(10, 20), at(10, 21), at(11, 19), (None, Decimal::ONE)] {
            assert!(!down.allows(at(10, 20), other), "{other:?}");
            assert!(Amends::PriceAndQuantity.allows(at(10, 20), other));
            assert!(!Amends::Nothing.allows(at(10, 20), other));
        }
    }
}
