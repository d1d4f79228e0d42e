//! The list of venues: the one place where they stand side by side.

use std::time::Duration;

use model::venue::{Limits, Venue};
use model::{Error, Kind};

use crate::binance::orders::habits::TradeLine;
use crate::binance::{Binance, LINES, Line, Orders};
use crate::channels::{Dialect, Machine};
use crate::okx::Okx;
use crate::orders::OrderWay;
use crate::signing::Credentials;
use crate::{coinbase, kraken, okx};

/// Venues of channels.
static DIALECTS: [&Dialect; 2] = [&coinbase::DIALECT, &kraken::DIALECT];

/// What a provider's configuration says to its venue machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where streams are, scheme and host; the venue's own address where `None`.
    pub ws_url: Option<String>,
    /// Where requests go, scheme and host; the venue's own address where `None`.
    pub rest_url: Option<String>,
    /// Levels a side to ask for in a book snapshot; the venue rounds up to what it offers.
    pub book_depth: u32,
    /// How long diffs of a book wait for one before them.
    pub limits: Limits,
    /// A book or quote that is silent for so long is probed.
    pub silence: Duration,
    /// Takes whatever arrives for a subscription, as a replay must: the recording says what was
    /// subscribed.
    pub adopt: bool,
    /// Where orders and the account's messages go, scheme and host; `ws_url` where `None`, and the
    /// venue's own address where that is `None` too.
    pub account_url: Option<String>,
    /// How orders travel, where the venue leaves the choice.
    pub orders: OrderWay,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ws_url: None,
            rest_url: None,
            book_depth: 1_000,
            limits: Limits::default(),
            silence: Duration::from_secs(30),
            adopt: false,
            account_url: None,
            orders: OrderWay::default(),
        }
    }
}

/// What a venue offers, and how far its protocol proves a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// Kinds of market data; [`Kind::BookUpdate`] stands for the whole book.
    pub kinds: &'static [Kind],
    /// To so many levels a side its messages make a book known and prove it.
    pub book_levels: usize,
    /// Whether a client can know by itself that a message of a book is missing.
    pub loss_shows: bool,
}

/// Kinds of a spot market.
const SPOT: &[Kind] = &[Kind::BookUpdate, Kind::Trade, Kind::Quote, Kind::Ticker, Kind::Kline];
/// With those of perpetuals.
const FUTURES: &[Kind] =
    &[Kind::BookUpdate, Kind::Trade, Kind::Quote, Kind::Ticker, Kind::Kline, Kind::Funding];
/// Without candles.
const PLAIN: &[Kind] = &[Kind::BookUpdate, Kind::Trade, Kind::Quote, Kind::Ticker];

/// What a venue offers; `None` where there is no venue of that name. How it was found out stands in
/// each venue's folder.
#[must_use]
pub fn abilities(venue: &str) -> Option<Abilities> {
    let of = |kinds, book_levels, loss_shows| Some(Abilities { kinds, book_levels, loss_shows });
    match venue {
        // As deep as the snapshot was; beyond it levels are unknown until they change.
        "binance" => of(SPOT, 1_000, true),
        "binance-usdm" | "binance-coinm" => of(FUTURES, 1_000, true),
        "okx" => of(FUTURES, 400, true),
        // Beyond the checksum's levels a lost change goes unseen.
        "kraken" => of(SPOT, 10, true),
        // Neither numbers nor checksums: a lost change shows when the book crosses itself, if ever.
        "coinbase" => of(PLAIN, 1_000, false),
        _ => None,
    }
}

/// The names under which venues are configured and recorded.
#[must_use]
pub fn names() -> Vec<&'static str> {
    let lines = LINES.iter().map(|line| line.name);
    let dialects = DIALECTS.iter().map(|dialect| dialect.name);
    lines.chain([okx::habits::NAME]).chain(dialects).collect()
}

/// Whether a venue has a machine of orders.
#[must_use]
pub fn trades(venue: &str) -> bool {
    TradeLine::find(venue).is_some() || venue == okx::habits::NAME
}

/// The machine of a venue's orders, for an account.
///
/// # Errors
/// [`Remedy::Stop`](model::Remedy::Stop): nothing can be traded there, or not with such keys.
pub fn create_trading(
    venue: &str,
    settings: Settings,
    credentials: Credentials,
) -> Result<Box<dyn Venue>, Error> {
    if let Some(line) = TradeLine::find(venue) {
        return Ok(Box::new(Orders::new(line, settings, credentials)));
    }
    if venue == okx::habits::NAME {
        return Ok(Box::new(okx::Orders::new(settings, credentials)?));
    }
    Err(Error::stop(format!("no orders can be placed at '{venue}'")))
}

/// The machine of a venue; `None` where there is no venue of that name.
#[must_use]
pub fn create(venue: &str, settings: Settings) -> Option<Box<dyn Venue>> {
    if let Some(line) = Line::find(venue) {
        return Some(Box::new(Binance::new(line, settings)));
    }
    if venue == okx::habits::NAME {
        return Some(Box::new(Okx::new(settings)));
    }
    let dialect = DIALECTS.iter().find(|dialect| dialect.name == venue)?;
    Some(Box::new(Machine::new(dialect, settings)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_venue_has_a_machine_and_abilities() {
        for name in names() {
            assert!(create(name, Settings::default()).is_some(), "{name}");
            let abilities = abilities(name).unwrap();
            assert!(abilities.kinds.contains(&Kind::BookUpdate), "{name}");
        }
        let credentials = || Credentials::new("k".into(), "s".into(), Some("p".into())).unwrap();
        for name in names() {
            let machine = create_trading(name, Settings::default(), credentials());
            assert_eq!(machine.is_ok(), trades(name), "{name}");
            assert!(machine.is_err() || machine.is_ok_and(|m| m.trading().is_some()), "{name}");
        }
        let without = Credentials::new("k".into(), "s".into(), None).unwrap();
        let error = create_trading("okx", Settings::default(), without).err().unwrap();
        assert!(error.message.contains("passphrase"), "{error}");
        assert_eq!(abilities("bynance"), None);
        assert!(create("bynance", Settings::default()).is_none());
    }
}
