//! Whole numbers for money: prices in ticks, quantities in lots, values in one fine unit.

use model::Decimal;

/// Places after the point that an [`Amount`] has.
pub const PLACES: u32 = 18;

/// An amount of an asset, in units of 10⁻¹⁸. Prices have at most 10⁹ ticks and quantities at most
/// 10⁹ lots, so that no value comes near the 10³⁸ that fit.
pub type Amount = i128;

/// One whole unit of an asset.
pub const ONE: Amount = 1_000_000_000_000_000_000;

/// The smallest step of a price or a quantity: `units` × 10^-`places`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// How many of the last place, at least 1.
    pub units: u64,
    /// Places after the point, at most [`PLACES`].
    pub places: u32,
}

impl Step {
    /// A step of 10^-`places`.
    #[must_use]
    pub const fn tenth(places: u32) -> Self {
        Self { units: 1, places }
    }

    /// So many steps, as a number with the step's places.
    #[must_use]
    pub fn decimal(self, steps: u64) -> Decimal {
        let value = i128::from(steps) * i128::from(self.units);
        Decimal::try_from_i128_with_scale(value, self.places).unwrap_or(Decimal::MAX)
    }

    /// How many steps a number is; `None` where it is not a whole number of them, or negative.
    #[must_use]
    pub fn steps(self, value: Decimal) -> Option<u64> {
        let value = value.normalize();
        let more = self.places.checked_sub(value.scale())?;
        let units = value.mantissa().checked_mul(10_i128.checked_pow(more)?)?;
        let whole = units % i128::from(self.units) == 0;
        whole.then(|| u64::try_from(units / i128::from(self.units)).ok())?
    }

    /// So many steps, as an amount.
    #[must_use]
    pub fn amount(self, steps: u64) -> Amount {
        Amount::from(steps) * self.in_amounts()
    }

    /// One step, as an amount.
    #[must_use]
    pub fn in_amounts(self) -> Amount {
        Amount::from(self.units) * 10_i128.pow(PLACES.saturating_sub(self.places))
    }
}

/// An amount with all of its places, without trailing zeros.
#[must_use]
pub fn decimal(amount: Amount) -> Decimal {
    Decimal::try_from_i128_with_scale(amount, PLACES)
        // More than 96 bits: the last places go, which no venue would print.
        .or_else(|_| Decimal::try_from_i128_with_scale(amount / 10_000_000_000, PLACES - 10))
        .unwrap_or(Decimal::MAX)
        .normalize()
}

/// The number as an amount; `None` where it has more places or does not fit.
#[must_use]
pub fn amount(value: Decimal) -> Option<Amount> {
    let value = value.normalize();
    let more = PLACES.checked_sub(value.scale())?;
    value.mantissa().checked_mul(10_i128.checked_pow(more)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Decimal {
        model::decimal::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn steps_and_numbers_convert_exactly() {
        let cent = Step::tenth(2);
        assert_eq!(cent.steps(number("1.50")), Some(150));
        assert_eq!(cent.steps(number("1.500")), Some(150));
        assert_eq!(cent.steps(number("1.505")), None);
        assert_eq!(cent.steps(number("-1")), None);
        assert_eq!(cent.decimal(150).to_string(), "1.50");
        let quarter = Step { units: 25, places: 2 };
        assert_eq!(quarter.steps(number("1.75")), Some(7));
        assert_eq!(quarter.steps(number("1.70")), None);
        assert_eq!(quarter.decimal(7).to_string(), "1.75");
        assert_eq!(quarter.amount(4), ONE);
    }

    #[test]
    fn amounts_are_exact_up_to_eighteen_places() {
        assert_eq!(amount(number("1.5")), Some(ONE + ONE / 2));
        assert_eq!(amount(number("0.000000000000000001")), Some(1));
        assert_eq!(amount(number("0.0000000000000000001")), None);
        assert_eq!(decimal(ONE * 3 / 2).to_string(), "1.5");
        assert_eq!(decimal(-1).to_string(), "-0.000000000000000001");
        assert_eq!(decimal(ONE * 1_000_000_000_000).to_string(), "1000000000000");
    }
}
