//! What trading machines share: [`client_id`], the venue's [`clock`], open [`tickets`], whether they
//! are [`listening`], and which [`holdings`] a list left out.

pub mod client_id;
pub mod clock;
pub mod holdings;
pub mod listening;
pub mod tickets;

use model::ledger::{Lost, Name, Outcome};
use model::trading::{Instruction, NOT_SENT, Ticket};
use model::venue::Bulk;
use model::{Decimal, Error};

/// What became of a request, of either way.
#[derive(Clone, Copy, Debug)]
pub enum Reply<'a> {
    /// It was carried out: the body.
    Good(&'a [u8]),
    /// It was answered otherwise: status and body.
    Bad(u16, &'a [u8]),
    /// It may have been carried out.
    Lost(Lost),
    /// It was not sent, for the reason given.
    Unsent(&'a str),
}

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

/// What an instruction comes to that can't be sent, for the reason given. An instrument that the venue
/// does not list (`unlisted`) has no fills to be asked for, which is an answer.
#[must_use]
pub fn unsendable(wanted: &Instruction, unlisted: impl Fn(&Name) -> bool, why: &str) -> Outcome {
    match wanted {
        Instruction::Fills { instrument, .. } if unlisted(instrument) => Outcome::NotFound,
        _ => not_sent(why),
    }
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

/// The ticket of an instruction; the first one has none.
#[must_use]
pub fn ticket(wanted: &Instruction) -> Option<Ticket> {
    match wanted {
        Instruction::Listen { .. } => None,
        Instruction::Place { ticket, .. }
        | Instruction::Cancel { ticket, .. }
        | Instruction::Amend { ticket, .. }
        | Instruction::Query { ticket, .. }
        | Instruction::OpenOrders { ticket }
        | Instruction::Fills { ticket, .. }
        | Instruction::Balances { ticket }
        | Instruction::CancelAll { ticket, .. }
        | Instruction::DeadMan { ticket, .. } => Some(*ticket),
    }
}

/// A number without zeros at the end: venues refuse more digits than an instrument has.
#[must_use]
pub fn digits(number: Decimal) -> String {
    number.normalize().to_string()
}

/// Large answers are read by the machine all the same: they hold what only it can name.
///
/// # Errors
/// None.
pub fn as_it_came(body: &[u8]) -> Result<Bulk, Error> {
    Ok(Bulk::Bytes(body.to_vec()))
}
