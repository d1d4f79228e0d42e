//! The list of venues: the one place where they stand side by side.

use std::time::Duration;

use model::venue::Venue;

use crate::binance::{Binance, LINES, Line};
use crate::channels::{Dialect, Machine};
use crate::okx::Okx;
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
    /// A book or quote that is silent for so long is probed.
    pub silence: Duration,
    /// Takes whatever arrives for a subscription, as a replay must: the recording says what was
    /// subscribed.
    pub adopt: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ws_url: None,
            rest_url: None,
            book_depth: 1_000,
            silence: Duration::from_secs(30),
            adopt: false,
        }
    }
}

/// The names under which venues are configured and recorded.
#[must_use]
pub fn names() -> Vec<&'static str> {
    let lines = LINES.iter().map(|line| line.name);
    let dialects = DIALECTS.iter().map(|dialect| dialect.name);
    lines.chain([okx::habits::NAME]).chain(dialects).collect()
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
