//! What every machine of orders must do, written once and run for each.
//!
//! A venue brings a far end ([`far::Far`]): its answers and messages, written after its documentation,
//! and how what the machine sends is recognised. Everything is driven by plain calls in virtual time.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;

mod binance;
mod far;
mod fates;
mod okx;
mod rules;

/// Every rule of the list, once for each far end.
macro_rules! trading {
    ($($venue:ident: $far:expr;)*) => {$(
        mod $venue {
            use super::{fates, rules};

            trading!(@rules $far;
                r01_listens_when_confirmed r02_places_once r03_cancels_and_amends r04_queries
                r05_lists r06_reports r07_refusals r08_unknown_outcomes r09_lost_connection
                r10_no_answer_in_time r11_unsent r12_unreadable_messages r13_renewal
                r14_before_it_is_ready r15_clock r16_secrets r17_dead_man r18_unlisted
                r20_no_free_report);

            /// Rule 19: Whatever happens, in whatever order, every ticket has exactly one answer, and
            /// nothing that changes an order is sent twice.
            #[test]
            fn r19_one_answer_each() {
                fates::sweep(&|| Box::new($far));
            }
        }
    )*};
    (@rules $far:expr; $($rule:ident)*) => {$(
        #[test]
        fn $rule() {
            rules::$rule(&|| Box::new($far));
        }
    )*};
}

mod of {
    trading! {
        binance: crate::binance::Binance::new("binance", false);
        binance_by_request: crate::binance::Binance::new("binance", true);
        binance_usdm: crate::binance::Binance::new("binance-usdm", false);
        binance_usdm_by_request: crate::binance::Binance::new("binance-usdm", true);
        okx: crate::okx::Okx::new(false);
        okx_by_request: crate::okx::Okx::new(true);
    }

    use crate::{fates, rules};
}
