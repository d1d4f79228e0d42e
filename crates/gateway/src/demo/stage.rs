//! Which simulated venues play, what of them is subscribed, and how their books are compared.

use model::{Kind, Nanos};
use sim::venue::{self, SimOptions, Simulator};

use super::Options;
use super::books::{Books, Difference};

/// The venues of a demo that says nothing of them.
const USUAL: [&str; 3] = ["binance", "okx", "kraken"];

/// A venue with its part.
#[derive(Clone)]
pub struct Part {
    /// The provider's name, and the venue's.
    pub venue: &'static str,
    /// Canonical names.
    pub instruments: Vec<String>,
    /// What is subscribed of each.
    pub kinds: Vec<Kind>,
    /// To so many levels a side the venue's protocol makes its book known.
    pub depth: usize,
    /// The venue; its clones are the same one.
    pub simulator: Simulator,
}

/// How a venue is played.
struct Role {
    venue: &'static str,
    /// To so many levels a side its protocol proves a book: beyond them a lost update of a level
    /// that stays outside would go unseen.
    depth: usize,
    /// Kinds beside books and trades.
    kinds: &'static [Kind],
    /// Whether a client can know that it has missed a message.
    notices_loss: bool,
}

const ROLES: [Role; 6] = [
    Role {
        venue: "binance",
        depth: 1_000,
        kinds: &[Kind::Quote, Kind::Ticker, Kind::Kline],
        notices_loss: true,
    },
    Role {
        venue: "binance-usdm",
        depth: 1_000,
        kinds: &[Kind::Quote, Kind::Ticker, Kind::Kline, Kind::Funding],
        notices_loss: true,
    },
    Role {
        venue: "binance-coinm",
        depth: 1_000,
        kinds: &[Kind::Quote, Kind::Ticker, Kind::Kline, Kind::Funding],
        notices_loss: true,
    },
    Role {
        venue: "okx",
        depth: 400,
        kinds: &[Kind::Quote, Kind::Ticker, Kind::Kline],
        notices_loss: true,
    },
    Role {
        venue: "kraken",
        depth: 10,
        kinds: &[Kind::Quote, Kind::Ticker, Kind::Kline],
        notices_loss: true,
    },
    Role {
        venue: "coinbase",
        depth: 1_000,
        kinds: &[Kind::Quote, Kind::Ticker],
        notices_loss: false,
    },
];

/// Whether everything on the bill can be played.
///
/// # Errors
/// A venue that can't be, with those that can.
pub fn check(options: &Options) -> Result<(), String> {
    roles(options).map(drop)
}

/// The venues of a demo, whose markets begin at that time.
///
/// # Errors
/// A venue that can't be played, or a market that can't be made.
pub fn cast(options: &Options, start: Nanos) -> Result<Vec<Part>, String> {
    let roles = roles(options)?;
    let rate = options.rate / u32::try_from(roles.len()).unwrap_or(1).max(1);
    let part = |(nth, role): (u64, &&'static Role)| {
        let instruments = venue::default_symbols(role.venue, options.symbols);
        let faults = options.faults.clone();
        let faults = if role.notices_loss { faults } else { faults.without_silent_loss() };
        let options = SimOptions {
            // Venues of one seed are not to move alike.
            seed: options.seed.wrapping_mul(1_000).wrapping_add(nth),
            symbols: instruments.clone(),
            rate,
            faults,
            start,
        };
        let simulator = venue::venue(role.venue, &options).map_err(|error| error.to_string())?;
        let simulator = simulator.ok_or_else(|| format!("{} is not simulated", role.venue))?;
        let kinds = [&[Kind::BookUpdate, Kind::Trade], role.kinds].concat();
        Ok(Part { venue: role.venue, instruments, kinds, depth: role.depth, simulator })
    };
    (0..).zip(&roles).map(part).collect()
}

fn roles(options: &Options) -> Result<Vec<&'static Role>, String> {
    let simulated = venue::venues();
    let playable = |role: &&'static Role| simulated.contains(&role.venue) && is_adapted(role.venue);
    if options.venues.is_empty() {
        let usual = ROLES.iter().filter(|role| USUAL.contains(&role.venue));
        return Ok(usual.filter(playable).collect());
    }
    let role = |name: &String| {
        let found = ROLES.iter().filter(playable).find(|role| role.venue == name);
        found.ok_or_else(|| {
            let known: Vec<_> = ROLES.iter().filter(playable).map(|role| role.venue).collect();
            format!("no venue '{name}' can be simulated; expected some of {}", known.join(", "))
        })
    };
    options.venues.iter().map(role).collect()
}

fn is_adapted(venue: &str) -> bool {
    venues::registry::names().contains(&venue)
}

impl Part {
    /// Where the books that a consumer kept differ from the venue's own.
    #[must_use]
    pub fn differences(&self, kept: &Books) -> Vec<Difference> {
        let books = self.simulator.books();
        let compared = books.iter().map(|(instrument, book)| {
            kept.compare((self.venue, instrument), &book.bids, &book.asks, self.depth)
        });
        compared.filter_map(Result::err).collect()
    }

    /// Faults stop and the market stands still, or both go on.
    pub fn set_calm(&self, calm: bool) {
        self.simulator.set_faults(!calm);
        if calm {
            self.simulator.freeze();
        } else {
            self.simulator.thaw();
        }
    }
}
