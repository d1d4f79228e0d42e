//! Which simulated venues play, what of them is subscribed, and how their books are compared.

use model::{Kind, Nanos};
use sim::accounts::{Account, Counts};
use sim::venue::{self, SimOptions, Simulator};
use venues::registry::{self, Abilities};

use super::Options;
use super::books::{Books, Difference};
use super::orders::{Gap, Orders};

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
    /// Whether orders go to it.
    pub trades: bool,
    /// The venue; its clones are the same one.
    pub simulator: Simulator,
}

/// So many ended orders of its account a venue keeps: minutes of them, so that a soak's memory is
/// what it will be after a few.
pub const ORDERS_MAX: usize = 2_000;

/// Whether everything on the bill can be played.
///
/// # Errors
/// A venue that can't be, with those that can; or one that is named twice.
pub fn check(options: &Options) -> Result<(), String> {
    venues(options).map(drop)
}

/// The venues of a demo, whose markets begin at that time.
///
/// # Errors
/// A venue that can't be played, or a market that can't be made.
pub fn cast(options: &Options, start: Nanos) -> Result<Vec<Part>, String> {
    let venues = venues(options)?;
    let rate = options.rate / u32::try_from(venues.len()).unwrap_or(1).max(1);
    let part = |(nth, (name, abilities)): (u64, &(&'static str, Abilities))| {
        let instruments = venue::default_symbols(name, options.symbols);
        let faults = options.faults.clone();
        let faults = if abilities.loss_shows { faults } else { faults.without_silent_loss() };
        let options = SimOptions {
            // Venues of one seed are not to move alike.
            seed: options.seed.wrapping_mul(1_000).wrapping_add(nth),
            symbols: instruments.clone(),
            rate,
            faults,
            start,
            accounts: vec![Account { orders_max: ORDERS_MAX, ..Account::demo() }],
        };
        let simulator = venue::venue(name, &options).map_err(|error| error.message)?;
        let simulator = simulator.ok_or_else(|| format!("{name} is not simulated"))?;
        let (kinds, depth) = (abilities.kinds.to_vec(), abilities.book_levels);
        let trades = registry::trades(name);
        Ok(Part { venue: name, instruments, kinds, depth, trades, simulator })
    };
    (0..).zip(&venues).map(part).collect()
}

/// Those that are wanted; all that can be played where none is named.
fn venues(options: &Options) -> Result<Vec<(&'static str, Abilities)>, String> {
    let simulated = venue::venues().into_iter();
    let playable: Vec<_> =
        simulated.filter_map(|name| Some((name, registry::abilities(name)?))).collect();
    if options.venues.is_empty() {
        return Ok(playable);
    }
    let find = |name: &String| {
        let found = playable.iter().find(|(playable, _)| playable == name).copied();
        found.ok_or_else(|| {
            let known: Vec<_> = playable.iter().map(|(name, _)| *name).collect();
            format!("no venue '{name}' can be simulated; expected some of {}", known.join(", "))
        })
    };
    let found = options.venues.iter().map(find).collect::<Result<Vec<_>, _>>()?;
    once(&options.venues)?;
    Ok(found)
}

/// Whether no venue is named twice.
///
/// # Errors
/// The one that is.
pub(crate) fn once(venues: &[String]) -> Result<(), String> {
    let twice = venues.iter().enumerate().find(|(nth, name)| venues[..*nth].contains(name));
    twice.map_or(Ok(()), |(_, name)| Err(format!("the venue '{name}' twice; expected each once")))
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

    /// What was not told of the orders here, or told twice.
    #[must_use]
    pub fn gap(&self, told: &Orders) -> Gap {
        let orders = self.simulator.orders(&Account::demo().api_key);
        told.compare(self.venue, &orders)
    }

    /// What the account did here, in numbers.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.simulator.counts(&Account::demo().api_key)
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
