//! What a code says of an order, and what it leaves open.
//!
//! Whatever does not say for sure that nothing happened is `Unknown`. Source: okx.com/docs-v5, "Error
//! Code": 50001 service unavailable, 50004 "does not mean that the request was successful or failed",
//! 50013 busy, 50026 system error, 51054 and 51149 timed out; others of 50, 51 and 60 thousand are
//! refusals.

use model::ledger::Outcome;

use crate::orders::{UNCLEAR, refused};

/// What was wanted, as far as it matters to what an error means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A new order.
    Place,
    /// It is to go.
    Cancel,
    /// It is to be changed.
    Amend,
    /// Anything that changes no order.
    Other,
}

const UNCLEAR_CODES: [u32; 6] = [50_001, 50_004, 50_013, 50_026, 51_054, 51_149];
/// An open order has that client id: since no order is sent twice, it may be ours.
const DUPLICATE_CLIENT_ID: u32 = 51_016;
/// Filled, cancelled, or never there.
const NOT_OPEN: [u32; 6] = [51_400, 51_401, 51_402, 51_503, 51_509, 51_510];
const NO_SUCH_ORDER: u32 = 51_603;
/// Time stamps that are too far from the venue's time, of requests and of logins.
const BAD_TIME: [&str; 4] = ["50102", "50112", "60004", "60006"];

/// Whether a code says that our times are wrong.
#[must_use]
pub fn is_bad_time(code: &str) -> bool {
    BAD_TIME.contains(&code)
}

/// What an error means.
#[must_use]
pub fn outcome(wish: Wish, code: &str, words: &str) -> Outcome {
    let number: u32 = code.parse().unwrap_or(0);
    let sure =
        matches!(number, 50_000..52_000 | 60_000..61_000) && !UNCLEAR_CODES.contains(&number);
    match number {
        _ if !sure => UNCLEAR,
        DUPLICATE_CLIENT_ID => UNCLEAR,
        NO_SUCH_ORDER if wish != Wish::Place => Outcome::NotFound,
        _ if NOT_OPEN.contains(&number) && matches!(wish, Wish::Cancel | Wish::Amend) => {
            Outcome::NotFound
        }
        _ => refused(code, words),
    }
}

/// What an answer with another status than 2xx, and without a code, means.
#[must_use]
pub fn outcome_of_status(status: u16) -> Outcome {
    match status {
        // Turned away at the door: for lack of a key, by the firewall, for asking too often.
        401 | 403 | 429 => refused(&format!("http-{status}"), "no reason given"),
        _ => UNCLEAR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_says_so_for_sure_is_refused() {
        let funds = "Order failed. Insufficient USDT balance in account.";
        assert_eq!(outcome(Wish::Place, "51008", funds), refused("51008", funds));
        assert_eq!(outcome(Wish::Place, "60013", "Invalid args"), refused("60013", "Invalid args"));
        for code in ["50001", "50004", "50013", "50026", "51054", "51149", "1", "", "x", "64003"] {
            assert_eq!(outcome(Wish::Place, code, "?"), UNCLEAR, "{code}");
        }
        assert_eq!(outcome(Wish::Place, "51016", "Client order ID already exists"), UNCLEAR);
        assert!(matches!(outcome_of_status(429), Outcome::Refused { .. }));
        assert_eq!(outcome_of_status(502), UNCLEAR);
        assert_eq!(outcome_of_status(404), UNCLEAR);
    }

    #[test]
    fn an_order_that_is_not_there_is_not_found() {
        assert_eq!(outcome(Wish::Cancel, "51400", ""), Outcome::NotFound);
        assert_eq!(outcome(Wish::Amend, "51503", ""), Outcome::NotFound);
        assert_eq!(outcome(Wish::Other, "51603", ""), Outcome::NotFound);
        assert!(matches!(outcome(Wish::Place, "51603", ""), Outcome::Refused { .. }));
        assert!(matches!(outcome(Wish::Place, "51400", ""), Outcome::Refused { .. }));
    }
}
