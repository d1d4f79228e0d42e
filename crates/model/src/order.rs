//! Trade orders on their way out, and what became of them on the way back: the pooled forms.
//!
//! Both are filled in place and hold nothing that has to wait: an order that waits for its venue is
//! plain memory, and a report that waits for the ledger or its consumer is a
//! [`Report`](crate::ledger::Report).

use pool::{Reset, reset_string};
use rust_decimal::Decimal;

use crate::event::Side;
use crate::ids::{ConsumerId, InstrumentId, ProviderId};
use crate::ledger::Fill;
use crate::time::Nanos;
use crate::trading::{Ticket, VenueState};

/// The longest id that a returned object keeps room for; venues take 32 to 36 characters.
pub const ID_KEPT: usize = 64;
/// The longest text of a venue that a returned object keeps room for.
pub const TEXT_KEPT: usize = 256;

/// What a consumer wants of a venue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Intent {
    /// A new order.
    #[default]
    Submit,
    /// An order of ours is to go.
    Cancel,
    /// An order of ours is to change in price or quantity.
    Amend,
    /// How an order of ours stands.
    Query,
}

impl Intent {
    /// The name that output uses.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Cancel => "cancel",
            Self::Amend => "amend",
            Self::Query => "query",
        }
    }
}

/// How an order is priced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OrderType {
    /// At its price or better.
    #[default]
    Limit,
    /// At what the book gives.
    Market,
}

/// How long an order stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeInForce {
    /// Until it is cancelled.
    #[default]
    Gtc,
    /// What can be filled at once; the rest is cancelled.
    Ioc,
    /// All of it at once, or nothing.
    Fok,
    /// Only if it does not take.
    PostOnly,
}

/// A request to a venue, from submit until its intent is queued to the ledger and its bytes are
/// encoded.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct OrderRequest {
    /// Whose it is.
    pub consumer: ConsumerId,
    /// The consumer's own id, unique for ever within the consumer.
    pub client_order_id: String,
    /// Where it goes.
    pub provider: ProviderId,
    /// What it is for.
    pub instrument: InstrumentId,
    /// What is wanted.
    pub intent: Intent,
    /// Which side.
    pub side: Side,
    /// How it is priced.
    pub order_type: OrderType,
    /// How long it stands.
    pub time_in_force: TimeInForce,
    /// In quote currency; `None` for market orders, and where an amend leaves it.
    pub price: Option<Decimal>,
    /// In base currency or contracts; zero where an amend leaves it.
    pub quantity: Decimal,
    /// When the consumer handed it in.
    pub ts_submit: Nanos,
    /// Follows the order through logs.
    pub decision_id: u64,
}

impl Reset for OrderRequest {
    fn reset(&mut self) {
        let Self {
            consumer,
            client_order_id,
            provider,
            instrument,
            intent,
            side,
            order_type,
            time_in_force,
            price,
            quantity,
            ts_submit,
            decision_id,
        } = self;
        *consumer = ConsumerId::default();
        reset_string(client_order_id, ID_KEPT);
        *provider = ProviderId::default();
        *instrument = InstrumentId::default();
        *intent = Intent::default();
        *side = Side::default();
        *order_type = OrderType::default();
        *time_in_force = TimeInForce::default();
        *price = None;
        *quantity = Decimal::ZERO;
        *ts_submit = Nanos::default();
        *decision_id = 0;
    }
}

/// What state a report brings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OrderState {
    /// The venue has it.
    #[default]
    Acknowledged,
    /// Some of it is filled.
    Partial,
    /// All of it is filled.
    Filled,
    /// It is gone before it was filled.
    Cancelled,
    /// The venue does not take it.
    Rejected,
    /// Its time in force has ended it.
    Expired,
}

impl OrderState {
    /// The name that the ledger and output use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Acknowledged => "acknowledged",
            Self::Partial => "partial",
            Self::Filled => "filled",
            Self::Cancelled => "cancelled",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
        }
    }

    /// Whether nothing more can come.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Acknowledged | Self::Partial)
    }
}

/// What a venue says of one of the account's orders, by whichever way (its stream, an answer, a list),
/// from receipt until what follows from it is queued: its fact for the ledger, with the report that
/// goes to the consumer once that is written. A string is empty where the venue does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecReport {
    /// What it answers; `None` where the venue says it unasked.
    pub ticket: Option<Ticket>,
    /// Canonical name of what it is about.
    pub instrument: String,
    /// The id that the order was sent with.
    pub venue_client_id: String,
    /// The venue's id of the order, unique per instrument on some venues.
    pub venue_order_id: String,
    /// Which side.
    pub side: Option<Side>,
    /// The order's price, in quote currency.
    pub price: Option<Decimal>,
    /// Its state; `None` where only a trade is told.
    pub state: Option<VenueState>,
    /// Its whole quantity.
    pub quantity: Option<Decimal>,
    /// What is filled in all.
    pub filled: Option<Decimal>,
    /// The venue's id of the trade, where it is a fill.
    pub trade_id: String,
    /// The fill's price, in quote currency.
    pub last_price: Decimal,
    /// The fill's quantity, in base currency or contracts.
    pub last_quantity: Decimal,
    /// The venue's number of what happened, where it has one.
    pub venue_event_id: Option<u64>,
    /// The venue's reason, as it came.
    pub text: String,
    /// When it happened, by the venue's clock.
    pub ts_event: Option<Nanos>,
    /// When it arrived.
    pub ts_recv: Nanos,
}

impl ExecReport {
    /// The fill that it tells, where it is one.
    #[must_use]
    pub fn fill(&self) -> Option<Fill> {
        let told = (!self.trade_id.is_empty()).then_some(self.trade_id.as_str())?;
        Some(Fill { trade_id: told.into(), price: self.last_price, quantity: self.last_quantity })
    }

    /// It tells of no fill.
    pub fn clear_fill(&mut self) {
        self.trade_id.clear();
        (self.last_price, self.last_quantity) = (Decimal::ZERO, Decimal::ZERO);
    }
}

impl Reset for ExecReport {
    fn reset(&mut self) {
        let Self {
            ticket,
            instrument,
            venue_client_id,
            venue_order_id,
            side,
            price,
            state,
            quantity,
            filled,
            trade_id,
            last_price,
            last_quantity,
            venue_event_id,
            text,
            ts_event,
            ts_recv,
        } = self;
        *ticket = None;
        reset_string(instrument, ID_KEPT);
        reset_string(venue_client_id, ID_KEPT);
        reset_string(venue_order_id, ID_KEPT);
        (*side, *price, *state) = (None, None, None);
        (*quantity, *filled) = (None, None);
        reset_string(trade_id, ID_KEPT);
        (*last_price, *last_quantity) = (Decimal::ZERO, Decimal::ZERO);
        *venue_event_id = None;
        reset_string(text, TEXT_KEPT);
        *ts_event = None;
        *ts_recv = Nanos::default();
    }
}
