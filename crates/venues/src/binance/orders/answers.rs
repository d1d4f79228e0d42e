//! What an answer says of an order, and what it leaves open.
//!
//! Whatever does not say for sure that nothing happened is `Unknown`: every 5xx, and the codes below
//! of which errors.md says so, or says nothing. Source: binance-spot-api-docs `errors.md` and
//! `rest-api.md` ("HTTP Return Codes"); developers.binance.com, USDⓈ-M futures, "Error Code".

use model::ledger::Outcome;

use super::wire::Refusal;
use crate::json::fallback::read;
use crate::orders::{DONE, UNCLEAR, refused};

/// What was wanted, as far as it matters to what an error means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A new order.
    Place,
    /// It is to go.
    Cancel,
    /// It is to be changed.
    Amend,
    /// All are to go.
    CancelAll,
    /// Anything that changes no order.
    Other,
}

/// The time stamp was not to the venue's liking.
pub const BAD_TIME: i64 = -1_021;
/// There is no such listen key.
pub const NO_LISTEN_KEY: i64 = -1_125;

/// Of these the venue says that it does not know what became of the request, or does not say that
/// nothing did.
const UNCLEAR_CODES: [i64; 7] = [-1_000, -1_001, -1_004, -1_006, -1_007, -1_008, -1_016];
/// The venue has an open order of that client id: since no order is sent twice, it may be ours.
const DUPLICATE_CLIENT_ID: i64 = -4_116;
/// The order is what it is to become.
const NOTHING_TO_CHANGE: i64 = -5_027;
/// The venue knows no such order.
const NO_SUCH_ORDER: i64 = -2_013;
/// A cancel was refused, for a reason in words.
const CANCEL_REJECTED: i64 = -2_011;

/// The error of an answer; `None` where it has none that can be read.
#[must_use]
pub fn refusal(body: &[u8]) -> Option<Refusal<'_>> {
    read(body).ok()
}

/// What an answer with another status than 2xx means.
#[must_use]
pub fn outcome(wish: Wish, status: u16, refusal: Option<&Refusal<'_>>) -> Outcome {
    // A timeout by its class is ours, by its meaning theirs.
    if status >= 500 || status == 408 {
        return UNCLEAR;
    }
    let Some(Refusal { code, msg, .. }) = refusal else {
        return match status {
            // Turned away at the door: by the firewall, for lack of a key, for asking too often.
            401 | 403 | 418 | 429 => refused(&format!("http-{status}"), "no reason given"),
            _ => UNCLEAR,
        };
    };
    let words = &*msg.0;
    let unknown_order = *code == CANCEL_REJECTED && words.starts_with("Unknown order");
    match *code {
        code if !is_sure(code) => UNCLEAR,
        DUPLICATE_CLIENT_ID => UNCLEAR,
        _ if wish == Wish::Place && words.starts_with("Duplicate order") => UNCLEAR,
        NOTHING_TO_CHANGE if wish == Wish::Amend => DONE,
        NO_SUCH_ORDER if wish != Wish::Place => Outcome::NotFound,
        // There were none.
        _ if unknown_order && wish == Wish::CancelAll => DONE,
        _ if unknown_order => Outcome::NotFound,
        code => refused(&code.to_string(), words),
    }
}

/// Whether a code says that the request was not carried out.
fn is_sure(code: i64) -> bool {
    let known =
        matches!(code, -1_199..=-1_000 | -2_999..=-2_000 | -4_999..=-4_000 | -5_999..=-5_000);
    known && !UNCLEAR_CODES.contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(wish: Wish, status: u16, body: &str) -> Outcome {
        outcome(wish, status, refusal(body.as_bytes()).as_ref())
    }

    #[test]
    fn only_what_says_so_for_sure_is_refused() {
        let funds =
            r#"{"code":-2010,"msg":"Account has insufficient balance for requested action."}"#;
        let said = refused("-2010", "Account has insufficient balance for requested action.");
        assert_eq!(of(Wish::Place, 400, funds), said);
        assert_eq!(of(Wish::Place, 503, funds), UNCLEAR);
        let many = r#"{"code":-1015,"msg":"Too many new orders."}"#;
        assert_eq!(of(Wish::Place, 429, many), refused("-1015", "Too many new orders."));
        for code in [-1_000, -1_001, -1_006, -1_007, -1_008, -1_016, -3_000, -9_000, 0, 7] {
            let body = format!(r#"{{"code":{code},"msg":"x"}}"#);
            assert_eq!(of(Wish::Place, 400, &body), UNCLEAR, "{code}");
        }
        for (status, sure) in [(400, false), (403, true), (404, false), (408, false), (429, true)] {
            let outcome = of(Wish::Place, status, "<html>");
            assert_eq!(matches!(outcome, Outcome::Refused { .. }), sure, "{status}");
        }
    }

    #[test]
    fn a_duplicate_is_an_order_that_may_be_ours() {
        let spot = r#"{"code":-2010,"msg":"Duplicate order sent."}"#;
        let futures = r#"{"code":-4116,"msg":"ClientOrderId is duplicated."}"#;
        assert_eq!(of(Wish::Place, 400, spot), UNCLEAR);
        assert_eq!(of(Wish::Place, 400, futures), UNCLEAR);
    }

    #[test]
    fn an_order_that_is_not_there_is_not_found() {
        let gone = r#"{"code":-2011,"msg":"Unknown order sent."}"#;
        let none = r#"{"code":-2013,"msg":"Order does not exist."}"#;
        let barred = r#"{"code":-2011,"msg":"This account may not place or cancel orders."}"#;
        assert_eq!(of(Wish::Cancel, 400, gone), Outcome::NotFound);
        assert_eq!(of(Wish::Other, 400, none), Outcome::NotFound);
        assert_eq!(of(Wish::Amend, 400, none), Outcome::NotFound);
        assert_eq!(of(Wish::CancelAll, 400, gone), DONE);
        assert!(matches!(of(Wish::Cancel, 400, barred), Outcome::Refused { .. }));
        let same = r#"{"code":-5027,"msg":"No need to modify the order."}"#;
        assert_eq!(of(Wish::Amend, 400, same), DONE);
    }
}
