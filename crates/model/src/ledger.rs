//! What the ledger keeps: facts about orders, in the order in which they became known.
//!
//! The engine never waits for a disk. It emits [`LedgerAppend`]s and goes on; the writer answers
//! with [`LedgerReply`]s, and [`LedgerReply::Durable`] releases what had to be durable first.
//!
//! Facts carry names, not the numbers of [`crate::ids`]: numbers are handed out anew by each
//! process, and a fact outlives the one that wrote it.

use std::fmt;
use std::sync::Arc;

use rust_decimal::Decimal;

use crate::error::Error;
use crate::event::Side;
use crate::order::{OrderState, OrderType, TimeInForce};
use crate::time::Nanos;

/// A name that facts share.
pub type Name = Arc<str>;

/// Names one order for ever: the consumer's own id, unique within the consumer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderKey {
    /// Whose order it is.
    pub consumer: Name,
    /// The consumer's id of it.
    pub client_order_id: Name,
}

impl fmt::Display for OrderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.consumer, self.client_order_id)
    }
}

/// What an order asks for. Two intents under one key are the same if their terms are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Where it goes.
    pub provider: Name,
    /// Canonical name of what it is for.
    pub instrument: Name,
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
}

/// A new order is wanted. Once this is durable the order may have been sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submit {
    /// Which order.
    pub order: OrderKey,
    /// What it asks for.
    pub terms: Terms,
    /// The id that the venue knows it by, a function of the key.
    pub venue_client_id: Name,
    /// The venue takes it no later than this, by our clock; `None` where the venue has no such
    /// deadline.
    pub deadline: Option<Nanos>,
    /// When the consumer handed it in.
    pub ts: Nanos,
    /// Follows the order through logs.
    pub decision_id: u64,
}

/// What is to become of an order that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeTerms {
    /// It is to go.
    Cancel,
    /// It is to have this price and this quantity from here on.
    Amend {
        /// In quote currency; `None` leaves it.
        price: Option<Decimal>,
        /// In all, what is filled included; `None` leaves it.
        quantity: Option<Decimal>,
    },
}

/// A cancel or an amend is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which order.
    pub order: OrderKey,
    /// Counts the changes of the order, from 1.
    pub number: u32,
    /// What is wanted.
    pub terms: ChangeTerms,
    /// When the consumer handed it in.
    pub ts: Nanos,
}

/// Which of an order's requests something is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Request {
    /// The order itself.
    Submit,
    /// Its change of that number.
    Change(u32),
    /// A question about it.
    Query,
}

/// A request's bytes went out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Which order.
    pub order: OrderKey,
    /// Which of its requests.
    pub request: Request,
    /// When.
    pub ts: Nanos,
}

/// Why a request's outcome is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lost {
    /// No answer in time.
    Timeout,
    /// The venue answered that it does not know either.
    VenueError,
    /// The link went down first.
    Disconnected,
    /// This process was not there to hear it.
    Restarted,
}

/// What a venue answered to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It took it, under this id where it says so.
    Accepted {
        /// The venue's id of the order.
        venue_order_id: Option<Name>,
    },
    /// It did not take it.
    Refused {
        /// The venue's code, as it came.
        code: Name,
        /// The venue's reason, as it came.
        text: Name,
    },
    /// It knows no such order.
    NotFound,
    /// Nothing that says one or the other.
    Unknown(Lost),
}

/// A request was answered, or its answer is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Which order.
    pub order: OrderKey,
    /// Which of its requests.
    pub request: Request,
    /// What came.
    pub outcome: Outcome,
    /// When.
    pub ts: Nanos,
}

/// One fill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fill {
    /// The venue's id of the trade, unique per instrument on some venues; both orders of a
    /// self-trade have the same.
    pub trade_id: Name,
    /// In quote currency.
    pub price: Decimal,
    /// In base currency or contracts.
    pub quantity: Decimal,
}

/// What became of an order: a change of state, a fill, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Which order.
    pub order: OrderKey,
    /// Who says so.
    pub provider: Name,
    /// Canonical name of what it is about.
    pub instrument: Name,
    /// The venue's id of the order, unique per instrument on some venues; [`NO_VENUE_ID`] and the id
    /// that we gave it where the venue has given it none.
    pub venue_order_id: Name,
    /// The order's state from here on.
    pub state: OrderState,
    /// Which side.
    pub side: Side,
    /// The last quantity that the venue confirmed.
    pub quantity: Decimal,
    /// Filled in all.
    pub filled: Decimal,
    /// The fill, where it is one.
    pub fill: Option<Fill>,
    /// The venue's number of what happened, where it has one.
    pub venue_event_id: Option<u64>,
    /// The venue's reason, as it came; empty where there is none.
    pub text: Name,
    /// When it happened, by the venue's clock.
    pub ts_event: Option<Nanos>,
    /// When its frame arrived.
    pub ts_recv: Nanos,
}

/// What [`Report::venue_order_id`] begins with where the venue has given the order no id.
pub const NO_VENUE_ID: &str = "client:";

impl Report {
    /// Whether the venue has given the order an id.
    #[must_use]
    pub fn has_venue_id(&self) -> bool {
        !self.venue_order_id.starts_with(NO_VENUE_ID)
    }

    /// What is not filled, in every state. Below zero only where the venue filled too much.
    #[must_use]
    pub fn remaining(&self) -> Decimal {
        self.quantity.saturating_sub(self.filled)
    }

    /// What can still be filled: [`remaining`](Self::remaining) while the order is open, else zero.
    #[must_use]
    pub fn leaves(&self) -> Decimal {
        if self.state.is_terminal() {
            return Decimal::ZERO;
        }
        self.remaining().max(Decimal::ZERO)
    }

    /// What tells the report from every other, also where it comes twice.
    #[must_use]
    pub fn key(&self) -> ReportKey {
        let what = match (&self.fill, self.venue_event_id) {
            (Some(fill), _) => Occurrence::Fill { trade_id: fill.trade_id.clone() },
            (None, Some(id)) => Occurrence::Event { state: self.state, id },
            (None, None) => Occurrence::State {
                state: self.state,
                quantity: self.quantity.normalize(),
                filled: self.filled.normalize(),
                ts_event: self.ts_event,
            },
        };
        ReportKey {
            provider: self.provider.clone(),
            instrument: self.instrument.clone(),
            venue_order_id: self.venue_order_id.clone(),
            what,
        }
    }
}

/// Names a report for ever, by what the venue says alone: socket, REST and a second
/// reconciliation come to the same key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReportKey {
    /// Who says so.
    pub provider: Name,
    /// What it is about.
    pub instrument: Name,
    /// The venue's id of the order: a self-trade's two orders have one trade id.
    pub venue_order_id: Name,
    /// What happened.
    pub what: Occurrence,
}

/// What a venue calls one of its orders, as far as it says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VenueName {
    /// Who says so.
    pub provider: Name,
    /// What it is for.
    pub instrument: Name,
    /// The venue's id of it.
    pub venue_order_id: Name,
    /// The id that it was sent with, where the venue says it.
    pub venue_client_id: Option<Name>,
}

/// What happened to an order, as far as it tells one report from another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Occurrence {
    /// A fill.
    Fill {
        /// The venue's id of the trade.
        trade_id: Name,
    },
    /// Anything else that the venue numbers.
    Event {
        /// The state that it brought.
        state: OrderState,
        /// The venue's number.
        id: u64,
    },
    /// Anything else that it does not number.
    State {
        /// The state that it brought.
        state: OrderState,
        /// The last quantity that the venue confirmed, without trailing zeros: an amend moves it.
        quantity: Decimal,
        /// Filled in all, without trailing zeros.
        filled: Decimal,
        /// The venue's time.
        ts_event: Option<Nanos>,
    },
}

/// A consumer has dealt with everything up to a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Who.
    pub consumer: Name,
    /// Up to and with this position in the ledger.
    pub position: u64,
    /// When.
    pub ts: Nanos,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// See [`Submit`].
    Submit(Submit),
    /// See [`Change`].
    Change(Change),
    /// See [`Sent`].
    Sent(Sent),
    /// See [`Answer`].
    Answer(Answer),
    /// See [`Report`].
    Report(Report),
    /// See [`Acknowledgement`].
    Acknowledgement(Acknowledgement),
}

impl Fact {
    /// Whether a request to a venue waits for it: it is made durable at once, the others with
    /// the next group.
    #[must_use]
    pub fn releases(&self) -> bool {
        matches!(self, Self::Submit(_) | Self::Change(_))
    }

    /// Which order it is about.
    #[must_use]
    pub fn order(&self) -> Option<&OrderKey> {
        match self {
            Self::Submit(submit) => Some(&submit.order),
            Self::Change(change) => Some(&change.order),
            Self::Sent(sent) => Some(&sent.order),
            Self::Answer(answer) => Some(&answer.order),
            Self::Report(report) => Some(&report.order),
            Self::Acknowledgement(_) => None,
        }
    }

    /// When it became known.
    #[must_use]
    pub fn ts(&self) -> Nanos {
        match self {
            Self::Submit(submit) => submit.ts,
            Self::Change(change) => change.ts,
            Self::Sent(sent) => sent.ts,
            Self::Answer(answer) => answer.ts,
            Self::Report(report) => report.ts_recv,
            Self::Acknowledgement(acknowledgement) => acknowledgement.ts,
        }
    }
}

/// A fact on its way to the writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerAppend {
    /// Counts the appends of one run of the process, from 1, without a gap.
    pub seq: u64,
    /// What is to be kept.
    pub fact: Fact,
}

/// What the ledger knows of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredOrder {
    /// Its intent.
    pub submit: Submit,
    /// Where the intent stands in the ledger.
    pub position: u64,
    /// The venue's last answer to the intent.
    pub answer: Option<Answer>,
    /// The last report.
    pub report: Option<Report>,
}

impl StoredOrder {
    /// Whether something may still become of it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.report.as_ref().is_none_or(|report| !report.state.is_terminal())
    }
}

/// What became of one append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is in the ledger, here.
    Stored {
        /// Positions grow with every fact and are never used again.
        position: u64,
    },
    /// The intent is there already: nothing is to be sent, this is its answer.
    Duplicate(Box<StoredOrder>),
    /// The key belongs to an intent with other terms: this one is refused.
    Conflict(Box<StoredOrder>),
    /// The report, or the change, is there already: nobody needs to hear of it again.
    Known {
        /// Where.
        position: u64,
    },
}

/// What the ledger's writer says to the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerReply {
    /// What became of one append. Comes before the mark that covers it.
    Verdict {
        /// Which append.
        seq: u64,
        /// What became of it.
        verdict: Verdict,
    },
    /// Written to the operating system: reports up to here may be delivered.
    Written {
        /// The last append that it covers.
        up_to: u64,
    },
    /// As durable as the mode promises: requests up to here may be sent.
    Durable {
        /// The last append that it covers.
        up_to: u64,
    },
    /// Nothing can be written now, and no request may be sent. It is tried again by itself.
    Stuck(Error),
    /// It can be written again.
    Recovered,
}

#[cfg(test)]
#[path = "ledger/tests.rs"]
mod tests;
