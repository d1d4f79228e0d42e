//! What can be traded: canonical names, and the tick and lot that a venue's own list gives.

use std::fmt;

use rust_decimal::Decimal;

/// What sort of contract an instrument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Contract {
    /// Delivery at once: `BTC-USDT`.
    Spot,
    /// No expiry: `BTC-USDT-PERP`.
    Perpetual,
    /// Delivery on a day: `BTC-USDT-261225`.
    Dated(Expiry),
}

/// A delivery day, UTC, as the six digits `YYMMDD` of a canonical name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Expiry(u32);

impl Expiry {
    /// Reads `YYMMDD`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 6 && text.bytes().all(|b| b.is_ascii_digit());
        let day: u32 = digits.then(|| text.parse().ok())??;
        let (month, dom) = (day / 100 % 100, day % 100);
        ((1..=12).contains(&month) && (1..=31).contains(&dom)).then_some(Self(day))
    }

    /// The UTC day that holds `ms` milliseconds since the epoch; `None` outside 2000 to 2099.
    ///
    /// Civil-from-days after Howard Hinnant's public-domain description.
    #[must_use]
    pub fn from_millis(ms: u64) -> Option<Self> {
        let shifted = ms / 86_400_000 + 719_468;
        let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        let short = year.checked_sub(2000).filter(|y| *y < 100)?;
        u32::try_from(short * 10_000 + month * 100 + day).ok().map(Self)
    }
}

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}", self.0)
    }
}

/// Whether a venue takes orders for an instrument now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trading {
    /// Open for orders.
    Open,
    /// Known and closed for now (halt, break, before the start).
    Halted,
    /// The venue's own word, kept as it came: venues add states without notice.
    Other(Box<str>),
    /// The instrument is in no list, so nothing is known: no tick, no lot, orders refused.
    #[default]
    Unlisted,
}

/// An instrument as one provider has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// Canonical name: `BASE-QUOTE`, with `-PERP` or `-YYMMDD` where it is no spot pair.
    pub name: Box<str>,
    /// What sort of contract it is.
    pub contract: Contract,
    /// Whether orders are taken.
    pub trading: Trading,
    /// Smallest step of a price, in quote currency.
    pub tick: Option<Decimal>,
    /// Smallest step of a quantity, in base currency or contracts.
    pub lot: Option<Decimal>,
    /// Smallest order value, in quote currency.
    pub notional_min: Option<Decimal>,
    /// What one contract is worth: base currency for linear, quote currency for inverse contracts.
    pub contract_size: Option<Decimal>,
    /// Places after the point that the venue prints for prices.
    pub price_places: Option<u32>,
    /// Places after the point that the venue prints for quantities.
    pub quantity_places: Option<u32>,
}

impl Instrument {
    /// An instrument that is in no list: only its name is known.
    #[must_use]
    pub fn unlisted(base: &str, quote: &str, contract: Contract) -> Self {
        Self {
            name: canonical_name(base, quote, contract).into(),
            contract,
            trading: Trading::Unlisted,
            tick: None,
            lot: None,
            notional_min: None,
            contract_size: None,
            price_places: None,
            quantity_places: None,
        }
    }
}

/// `BASE-QUOTE`, `BASE-QUOTE-PERP` or `BASE-QUOTE-YYMMDD`, in capitals.
#[must_use]
pub fn canonical_name(base: &str, quote: &str, contract: Contract) -> String {
    let (base, quote) = (base.to_uppercase(), quote.to_uppercase());
    match contract {
        Contract::Spot => format!("{base}-{quote}"),
        Contract::Perpetual => format!("{base}-{quote}-PERP"),
        Contract::Dated(expiry) => format!("{base}-{quote}-{expiry}"),
    }
}

/// Whether a name is canonical: `BASE-QUOTE`, `BASE-QUOTE-PERP` or `BASE-QUOTE-YYMMDD` in capitals.
#[must_use]
pub fn is_canonical(name: &str) -> bool {
    let mut parts = name.split('-');
    let (base, quote, contract) = (parts.next(), parts.next(), parts.next());
    // Venues list assets with names outside ASCII too; what has no capitals stays as it is.
    let is_asset = |asset: Option<&str>| {
        asset.is_some_and(|asset| {
            (1..=32).contains(&asset.len())
                && asset.chars().all(char::is_alphanumeric)
                && asset.to_uppercase() == asset
        })
    };
    let is_contract = |contract: &str| contract == "PERP" || Expiry::parse(contract).is_some();
    is_asset(base)
        && is_asset(quote)
        && contract.is_none_or(is_contract)
        && parts.next().is_none()
        && quote != Some("PERP")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_contract() {
        let dated = Contract::Dated(Expiry::parse("261225").unwrap());
        assert_eq!(canonical_name("btc", "usdt", Contract::Spot), "BTC-USDT");
        assert_eq!(canonical_name("BTC", "USD", Contract::Perpetual), "BTC-USD-PERP");
        assert_eq!(canonical_name("BTC", "USD", dated), "BTC-USD-261225");
    }

    #[test]
    fn expiry_comes_from_digits_or_from_a_delivery_time() {
        assert_eq!(Expiry::parse("210625").unwrap().to_string(), "210625");
        for wrong in ["21062", "2106255", "211325", "210600", "21-625", "PERP"] {
            assert_eq!(Expiry::parse(wrong), None, "{wrong}");
        }
        // 2021-06-25 08:00 UTC, the delivery hour of quarterly futures; a leap day; both ends.
        assert_eq!(Expiry::from_millis(1_624_608_000_000), Expiry::parse("210625"));
        assert_eq!(Expiry::from_millis(1_709_164_800_000), Expiry::parse("240229"));
        assert_eq!(Expiry::from_millis(946_684_800_000), Expiry::parse("000101"));
        assert_eq!(Expiry::from_millis(4_133_404_800_000), None);
        assert_eq!(Expiry::from_millis(u64::MAX), None);
    }
}
