//! What is traded: steps, filters and fees of an instrument, derived from its canonical name.

use model::Error;
use model::instrument::{Contract, Expiry};

use super::money::{Amount, ONE, PLACES, Step};

/// How a trade is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Base against quote, at once.
    Spot,
    /// A position with its profit in quote currency; one unit of quantity stands for `size` of the
    /// base.
    Linear {
        /// What one unit of quantity stands for, 1 step of it.
        size: Step,
    },
    /// A position with its profit in base currency; one unit of quantity is worth `size` of the
    /// quote.
    Inverse {
        /// Whole units of the quote.
        size: u64,
    },
}

/// What a venue says of an instrument; all the rest follows from the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Canonical name: `BTC-USDT`, `BTC-USDT-PERP`, `BTC-USD-261225`.
    pub name: String,
    /// How it is settled.
    pub settlement: Settlement,
}

/// An instrument of a market.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// Canonical name.
    pub name: Box<str>,
    /// What is bought and sold.
    pub base: Box<str>,
    /// What prices are in.
    pub quote: Box<str>,
    /// What sort of contract it is.
    pub contract: Contract,
    /// How it is settled.
    pub settlement: Settlement,
    /// Step of prices.
    pub tick: Step,
    /// Step of quantities, and the smallest one.
    pub lot: Step,
    /// The highest price, in ticks.
    pub ticks_max: u64,
    /// The largest quantity of an order, in lots.
    pub lots_max: u64,
    /// The smallest value of an order, in the asset that [`value`](Self::value) is in; 0 for none.
    pub value_min: Amount,
    /// An order's price may be so many times above the last trade's, or below it.
    pub band: u64,
    /// Open orders that one account may have.
    pub open_orders_max: usize,
    /// Where the price starts, in ticks.
    pub reference: u64,
    /// What an order that waited pays, in millionths of the trade's value.
    pub maker_fee_ppm: u32,
    /// What an order that did not wait pays.
    pub taker_fee_ppm: u32,
}

/// What assets are worth, in millionths of a dollar; an asset that is not here gets a price of its
/// own from its name.
const WORTH: &[(&str, u64)] = &[
    ("BTC", 60_000_000_000),
    ("ETH", 3_000_000_000),
    ("SOL", 150_000_000),
    ("BNB", 600_000_000),
    ("XRP", 500_000),
    ("ADA", 400_000),
    ("DOGE", 120_000),
    ("LTC", 70_000_000),
    ("DOT", 6_000_000),
    ("LINK", 14_000_000),
    ("AVAX", 28_000_000),
    ("TRX", 150_000),
    ("USDT", 1_000_000),
    ("USDC", 1_000_000),
    ("FDUSD", 1_000_000),
    ("USD", 1_000_000),
    ("EUR", 1_080_000),
    ("GBP", 1_270_000),
];

/// Bases for default lists, the best known first.
const BASES: [&str; 50] = [
    "BTC", "ETH", "SOL", "XRP", "DOGE", "ADA", "LTC", "DOT", "LINK", "AVAX", "TRX", "BNB", "UNI",
    "ATOM", "XLM", "BCH", "NEAR", "FIL", "APT", "ARB", "OP", "SUI", "INJ", "AAVE", "MKR", "ALGO",
    "GRT", "SAND", "MANA", "AXS", "EGLD", "FLOW", "CHZ", "CRV", "SNX", "COMP", "ZEC", "DASH",
    "ETC", "XTZ", "KSM", "ENJ", "BAT", "ZRX", "LRC", "IMX", "STX", "RUNE", "KAVA", "FTM",
];

/// Prices have at most so many places, as venues print them.
const PRICE_PLACES_MAX: u32 = 8;
/// Prices start at so many ticks or more, where [`PRICE_PLACES_MAX`] allows it.
const TICKS_FINE: u64 = 100_000;
/// No price is above this, in ticks.
const TICKS_MAX: u64 = 1_000_000_000;
/// No order is larger than this, in lots.
const LOTS_MAX: u64 = 100_000_000;

/// The first `count` of at most 150 names: every base against each quote, with that suffix.
#[must_use]
pub fn default_names(count: usize, quotes: &[&str], suffix: &str) -> Vec<String> {
    let all = quotes.iter().flat_map(|quote| {
        BASES.iter().filter(move |base| *base != quote).map(move |base| (base, quote))
    });
    all.map(|(base, quote)| format!("{base}-{quote}{suffix}")).take(count).collect()
}

impl Instrument {
    /// The instrument of a listing.
    ///
    /// # Errors
    /// The name is not canonical; says what one looks like.
    pub fn new(listing: &Listing) -> Result<Self, Error> {
        let (base, quote, contract) = split(&listing.name)?;
        let (worth, quote_worth) = (worth(base), worth(quote));
        let ticks = |places: u32| {
            u64::try_from(u128::from(worth) * 10_u128.pow(places) / u128::from(quote_worth))
                .unwrap_or(TICKS_MAX)
        };
        let fine = |places: &u32| ticks(*places) >= TICKS_FINE;
        let tick_places = (0..PRICE_PLACES_MAX).find(fine).unwrap_or(PRICE_PLACES_MAX);
        let reference = ticks(tick_places).clamp(100, TICKS_MAX / 100);
        let lot = lot(listing.settlement, worth);
        let spot = listing.settlement == Settlement::Spot;
        let dollars = ONE / Amount::from(quote_worth.max(1)) * 1_000_000;
        Ok(Self {
            name: listing.name.as_str().into(),
            base: base.into(),
            quote: quote.into(),
            contract,
            settlement: listing.settlement,
            tick: Step::tenth(tick_places),
            lot,
            ticks_max: reference * 10,
            lots_max: LOTS_MAX,
            value_min: match listing.settlement {
                Settlement::Inverse { .. } => 0,
                // Five dollars, to a whole hundredth of a lot's worth.
                _ => 5 * dollars,
            },
            band: 5,
            open_orders_max: 200,
            reference,
            maker_fee_ppm: if spot { 1_000 } else { 200 },
            taker_fee_ppm: if spot { 1_000 } else { 500 },
        })
    }

    /// What so many lots are worth at a price: in quote currency, for an inverse contract in base
    /// currency and rounded down.
    #[must_use]
    pub fn value(&self, ticks: u64, lots: u64) -> Amount {
        let steps = Amount::from(ticks) * Amount::from(lots);
        let (tick, lot) = (self.tick, self.lot);
        match self.settlement {
            Settlement::Spot => {
                let places = PLACES.saturating_sub(tick.places + lot.places);
                steps * Amount::from(tick.units * lot.units) * 10_i128.pow(places)
            }
            Settlement::Linear { size } => {
                let places = PLACES.saturating_sub(tick.places + lot.places + size.places);
                steps * Amount::from(tick.units * lot.units * size.units) * 10_i128.pow(places)
            }
            Settlement::Inverse { size } => {
                let quote = self.lot.amount(lots) * Amount::from(size);
                let tick = Amount::from(tick.units * ticks.max(1));
                quote * 10_i128.pow(self.tick.places) / tick
            }
        }
    }

    /// Whether trades change a position rather than two balances.
    #[must_use]
    pub fn is_derivative(&self) -> bool {
        self.settlement != Settlement::Spot
    }
}

/// About half a dollar, one contract where a unit is a contract.
fn lot(settlement: Settlement, worth: u64) -> Step {
    let places = (0..8).find(|places| worth / 10_u64.pow(*places) < 1_000_000).unwrap_or(8);
    match settlement {
        Settlement::Spot => Step::tenth(places),
        Settlement::Linear { size } if size == Step::tenth(0) => {
            Step::tenth(places.saturating_sub(1))
        }
        Settlement::Linear { .. } | Settlement::Inverse { .. } => Step::tenth(0),
    }
}

fn worth(asset: &str) -> u64 {
    let known = WORTH.iter().find(|(name, _)| *name == asset).map(|(_, worth)| *worth);
    // From a cent up to some hundred dollars.
    known.unwrap_or_else(|| {
        let sum = asset.bytes().fold(7_u64, |sum, byte| sum * 31 % 1_000_003 + u64::from(byte));
        10_000 * (1 + sum % 97) * 10_u64.pow(u32::try_from(sum % 4).unwrap_or(0))
    })
}

/// Base, quote and contract of a canonical name.
fn split(name: &str) -> Result<(&str, &str, Contract), Error> {
    let parts: Vec<&str> = name.split('-').collect();
    let plain = |part: &&str| {
        let good = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
        (1..=12).contains(&part.len()) && part.chars().all(good)
    };
    let found = match parts.as_slice() {
        [base, quote] => Some((*base, *quote, Contract::Spot)),
        [base, quote, "PERP"] => Some((*base, *quote, Contract::Perpetual)),
        [base, quote, day] => Expiry::parse(day).map(|day| (*base, *quote, Contract::Dated(day))),
        _ => None,
    };
    found.filter(|(base, quote, _)| plain(base) && plain(quote) && base != quote).ok_or_else(|| {
        Error::reject(format!(
            "'{name}' is no instrument's name; expected BASE-QUOTE in capitals, as in BTC-USDT, \
             BTC-USDT-PERP or BTC-USDT-261225"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::super::money;
    use super::*;

    fn instrument(name: &str, settlement: Settlement) -> Instrument {
        Instrument::new(&Listing { name: name.to_owned(), settlement }).unwrap()
    }

    #[test]
    fn steps_follow_from_what_the_assets_are_worth() {
        let btc = instrument("BTC-USDT", Settlement::Spot);
        assert_eq!((btc.tick, btc.lot, btc.reference), (Step::tenth(1), Step::tenth(5), 600_000));
        assert_eq!(money::decimal(btc.value_min).to_string(), "5");
        let cross = instrument("ETH-BTC", Settlement::Spot);
        assert_eq!(cross.tick.decimal(cross.reference).to_string(), "0.0500000");
        let linear = Settlement::Linear { size: Step::tenth(0) };
        assert_eq!(instrument("BTC-USDT-PERP", linear).lot, Step::tenth(4));
        for name in default_names(150, &["USDT", "USDC", "EUR"], "") {
            let made = instrument(&name, Settlement::Spot);
            assert!((100..=10_000_000).contains(&made.reference), "{made:?}");
            let lot = made.value(made.reference, 1);
            assert!((ONE / 100..2 * ONE).contains(&lot), "{lot} {made:?}");
        }
    }

    #[test]
    fn values_are_exact_and_inverse_ones_rounded_down() {
        let btc = instrument("BTC-USDT", Settlement::Spot);
        // 60,000.0 × 0.00001
        assert_eq!(money::decimal(btc.value(600_000, 1)).to_string(), "0.6");
        let inverse = instrument("BTC-USD-PERP", Settlement::Inverse { size: 100 });
        // 3 × 100 USD at 70,000.0
        let value = money::decimal(inverse.value(700_000, 3)).to_string();
        assert_eq!(value, "0.004285714285714285");
        let contracts = Settlement::Linear { size: Step::tenth(2) };
        let swap = instrument("BTC-USDT-PERP", contracts);
        // 7 contracts of 0.01 at 60,000.0
        assert_eq!(money::decimal(swap.value(600_000, 7)).to_string(), "4200");
    }

    #[test]
    fn a_hundred_and_fifty_names_differ() {
        let names = default_names(1_000, &["USDT", "USDC", "EUR"], "-PERP");
        let set: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!((names.len(), set.len()), (150, 150));
        assert_eq!(names[0], "BTC-USDT-PERP");
    }

    #[test]
    fn a_wrong_name_is_refused_with_what_would_be_right() {
        for name in
            ["BTCUSDT", "btc-usdt", "BTC-", "BTC-USDT-SWAP", "BTC-BTC", "A-B-C-D", "", "Ü-B"]
        {
            let listing = Listing { name: name.to_owned(), settlement: Settlement::Spot };
            let error = Instrument::new(&listing).unwrap_err();
            assert!(error.message.contains("BTC-USDT-261225"), "{name}: {error}");
        }
    }
}
