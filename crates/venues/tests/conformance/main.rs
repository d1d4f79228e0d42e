//! What every venue's adapter must do, written once and run for each.
//!
//! A venue brings a far end ([`far::Exchange`]): its messages, its answers, and what it has or has
//! not ([`far::Facts`]). Everything below is driven by plain calls in virtual time.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;

mod binance;
mod coinbase;
mod far;
mod faults;
mod kraken;
mod okx;
mod rules;
mod samples;

/// Every rule of the list, once for each venue.
macro_rules! conformance {
    ($($venue:ident: $far:expr;)*) => {$(
        mod $venue {
            use super::{faults, rules};

            conformance!(@rules $far;
                r01_connect r02_subscribe r03_instrument_mapping r04_fields_of_each_kind
                r05_precision r06_snapshot_and_diffs r07_gap r08_checksum_failure r09_staleness
                r10_resubscribe r11_limits r12_unknown_messages r13_renewal r14_shutdown);

            /// Rule 15: Whatever happens to diffs on their way, the book equals the venue's or is not
            /// `Live`, and no other instrument notices.
            #[test]
            fn r15_faults() {
                faults::sweep(&|| Box::new($far));
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
    conformance! {
        binance: crate::binance::Binance::new("binance");
        binance_usdm: crate::binance::Binance::new("binance-usdm");
        binance_coinm: crate::binance::Binance::new("binance-coinm");
        okx: crate::okx::Okx::default();
        kraken: crate::kraken::Kraken::default();
        coinbase: crate::coinbase::Coinbase::default();
    }

    use crate::{faults, rules};
}
