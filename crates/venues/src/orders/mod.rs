//! What trading machines share: [`client_id`], the venue's [`clock`], open [`tickets`], whether they
//! are [`listening`], and which [`holdings`] a list left out.

pub mod client_id;
pub mod clock;
pub mod holdings;
pub mod listening;
pub mod tickets;

use model::ledger::{Lost, Outcome};
use model::trading::NOT_SENT;

/// How orders travel, where a venue leaves the choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OrderWay {
    /// Over a socket; by request while it is down.
    #[default]
    WebSocket,
    /// By request.
    Rest,
}

/// Nothing was sent, for the reason given.
#[must_use]
pub fn not_sent(why: &str) -> Outcome {
    Outcome::Refused { code: NOT_SENT.into(), text: why.into() }
}

/// The venue did not take it.
#[must_use]
pub fn refused(code: &str, text: &str) -> Outcome {
    Outcome::Refused { code: code.into(), text: text.into() }
}

/// The venue took it, and there is no order to name.
pub const DONE: Outcome = Outcome::Accepted { venue_order_id: None };

/// The venue's answer does not say one or the other.
pub const UNCLEAR: Outcome = Outcome::Unknown(Lost::VenueError);
