//! What the order desk answers to a consumer at once, beside the reports that come from the ledger.
//!
//! A submit that is taken gets no reply: what becomes of it comes as reports. What is denied before
//! its intent is in the ledger gets a [`Denial`], after a look into the ledger: an id that was used
//! gets its answer, whatever forbids new orders. Only where hundreds wait for that look the denial
//! comes without it. What is denied behind the ledger gets a report in the state `Rejected`, whose
//! text begins with the denial's code.

use rust_decimal::Decimal;

use crate::ledger::{Name, OrderKey, StoredOrder};
use crate::order::{Intent, OrderState};

/// An answer to one request of a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderReply {
    /// Which order.
    pub order: OrderKey,
    /// What was wanted.
    pub intent: Intent,
    /// What is answered.
    pub answer: ReplyAnswer,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyAnswer {
    /// Nothing was done, for this reason.
    Denied(Denial),
    /// The order was submitted before with the same terms; nothing was sent. This is how it stands.
    Duplicate(OrderView),
    /// How the order stands.
    Stands(OrderView),
    /// The venue did not take the change, or may not have: it is asked how the order stands, which is told
    /// where that is news.
    Refused {
        /// The venue's code, as it came; or one of ours ([`NOT_SENT`](crate::trading::NOT_SENT),
        /// [`NOT_FOUND`](crate::trading::NOT_FOUND), [`UNKNOWN`](crate::trading::UNKNOWN)).
        code: Name,
        /// The venue's reason, as it came.
        text: Name,
    },
}

/// How an order stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderView {
    /// The state of the last report; `None` while the venue has said nothing, which includes an
    /// order whose outcome is not known.
    pub state: Option<OrderState>,
    /// The last quantity that the venue confirmed, else the one that was asked for.
    pub quantity: Decimal,
    /// Filled in all.
    pub filled: Decimal,
}

impl From<&StoredOrder> for OrderView {
    fn from(stored: &StoredOrder) -> Self {
        let report = stored.report.as_ref();
        Self {
            state: report.map(|report| report.state),
            quantity: report.map_or(stored.submit.terms.quantity, |report| report.quantity),
            filled: report.map_or(Decimal::ZERO, |report| report.filled),
        }
    }
}

/// Declares the denials: each with its code and what would be right.
macro_rules! denials {
    ($($name:ident, $code:literal, $text:literal;)+) => {
        /// Why a request is denied.
        ///
        /// | code | what it means and what would be right |
        /// | --- | --- |
        $(#[doc = concat!("| `", $code, "` | ", $text, " |")])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Denial {
            $(#[doc = $text] $name,)+
        }

        impl Denial {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The stable code.
            #[must_use]
            pub fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)+
                }
            }

            /// What it means, and what would be right.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

denials! {
    SwitchOff, "switch_off", "the consumer's trading switch is off, or was off in between";
    Stalled, "stalled", "the consumer does not read its execution events: read and acknowledge them first";
    UnknownConsumer, "unknown_consumer", "the desk does not know the consumer: add it first";
    UnknownProvider, "unknown_provider", "no provider of that name trades: see the configuration";
    NotListening, "not_listening", "the account's reports are not heard now, or were not reconciled yet: try again later";
    LedgerStuck, "ledger_stuck", "the ledger can't be written, so nothing may be sent: try again later";
    LedgerFull, "ledger_full", "too many facts wait for the ledger: try again later";
    TooManyOpen, "too_many_open", "as many orders are open as may be: wait until some are over";
    TooManyWaiting, "too_many_waiting", "as many orders wait for the account's rate budget as may: try again later";
    Expired, "expired", "the order waited for the account's rate budget until its deadline and was never sent";
    Withdrawn, "withdrawn", "the order was cancelled before it was sent, and never was";
    Malformed, "malformed", "ids have 1 to 64 characters, quantities are above zero, limit orders have a price above zero, market orders none and are not post-only";
    Unlisted, "unlisted", "the venue's list lacks the instrument, or what it says of it lacks tick or lot";
    Halted, "halted", "the venue takes no orders for the instrument now";
    Tick, "tick", "the price is not a multiple of the instrument's tick";
    Lot, "lot", "the quantity is not a multiple of the instrument's lot";
    NotionalMin, "notional_min", "the order's value is below the venue's smallest";
    NoReference, "no_reference", "a limit needs a price of the instrument, or of what else is held, and none is known now";
    PriceBand, "price_band", "the price is too far from the market";
    OrderNotional, "order_notional", "the order's value is above the limit";
    Position, "position", "the position with all open orders would be above the limit";
    Notional, "notional", "the value of all positions and open orders would be above the limit";
    OrderRate, "order_rate", "more orders in this time than the limit allows";
    IdReused, "id_reused", "the client order id stands for an order with other terms: use a new one";
    UnknownOrder, "unknown_order", "the consumer has no open order of that id";
    Settled, "settled", "the order is over";
    TooManyChanges, "too_many_changes", "as many changes of the order are on their way as may be: wait for an answer";
    NotAmendable, "not_amendable", "the venue can't amend, the order is not known to it yet, or nothing would change";
    LedgerUnreadable, "ledger_unreadable", "the ledger can't be read, so the order may be known and open all the same: ask again later, under the same id";
    TooManyQueries, "too_many_queries", "as many questions to the ledger are open as may be: try again later";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_denial_has_a_code_of_its_own_and_says_more() {
        for (n, denial) in Denial::ALL.iter().enumerate() {
            assert!(Denial::ALL[n + 1..].iter().all(|other| other.code() != denial.code()));
            assert!(denial.text().len() > denial.code().len());
        }
    }
}
