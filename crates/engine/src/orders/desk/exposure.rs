//! What consumers hold and what their open orders may add to it.

use std::collections::BTreeMap;

use model::Decimal;
use model::event::Side;
use model::ledger::{Name, Terms};

/// A consumer's holding of an instrument at a provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Holding {
    /// In base currency or contracts; below zero when it is short.
    pub(super) position: Decimal,
    /// What open orders may still buy.
    pub(super) buys: Decimal,
    /// What open orders may still sell.
    pub(super) sells: Decimal,
    /// How many orders are open.
    pub(super) open: usize,
}

/// What one order counts with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// What may still be filled of it; zero once it is over.
    pub(super) leaves: Decimal,
    /// Filled in all.
    pub(super) filled: Decimal,
    /// Whether it is open.
    pub(super) open: bool,
}

/// (consumer, provider, instrument).
pub(super) type Place = (Name, Name, Name);

/// All holdings. As many as consumers trade instruments, which are those of the venues' lists.
#[derive(Clone, Debug, Default)]
pub(super) struct Exposure {
    holdings: BTreeMap<Place, Holding>,
    /// What one unit was worth when last asked, by provider and instrument; in quote currency.
    values: BTreeMap<(Name, Name), Decimal>,
}

impl Exposure {
    /// An order counted with `before` and counts with `now`.
    pub(super) fn count(&mut self, consumer: &Name, terms: &Terms, before: Counted, now: Counted) {
        if before == now {
            return;
        }
        let place = (consumer.clone(), terms.provider.clone(), terms.instrument.clone());
        let holding = self.holdings.entry(place).or_default();
        let bought = now.filled.saturating_sub(before.filled);
        let leaves = now.leaves.saturating_sub(before.leaves);
        match terms.side {
            Side::Buy => {
                holding.position = holding.position.saturating_add(bought);
                holding.buys = holding.buys.saturating_add(leaves);
            }
            Side::Sell => {
                holding.position = holding.position.saturating_sub(bought);
                holding.sells = holding.sells.saturating_add(leaves);
            }
        }
        holding.open = holding.open + usize::from(now.open) - usize::from(before.open);
    }

    /// What fills of orders made up that may be long over.
    pub(super) fn hold(&mut self, place: Place, quantity: Decimal) {
        let holding = self.holdings.entry(place).or_default();
        holding.position = holding.position.saturating_add(quantity);
    }

    /// What one unit of an instrument is worth from here on.
    pub(super) fn value(&mut self, provider: &Name, instrument: &Name, value: Decimal) {
        self.values.insert((provider.clone(), instrument.clone()), value);
    }

    /// What one unit of an instrument is worth, where that was ever told.
    pub(super) fn value_of(&self, provider: &Name, instrument: &Name) -> Option<Decimal> {
        self.values.get(&(provider.clone(), instrument.clone())).copied()
    }

    /// The holdings for which `within` says yes, by place.
    pub(super) fn within(
        &self,
        within: impl Fn(&Place) -> bool,
    ) -> impl Iterator<Item = (&Place, &Holding)> {
        self.holdings.iter().filter(move |(place, _)| within(place))
    }
}
