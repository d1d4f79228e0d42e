//! Lists of balances and positions that leave out what is zero: what was there before and is not any
//! more has to be told all the same.

use std::collections::BTreeSet;

use model::ledger::Name;

/// So many names are remembered; more are told, but not that they went to zero.
const NAMES_MAX: usize = 4_096;

/// The names that were told of with something other than zero.
#[derive(Debug, Default)]
pub struct Holdings {
    held: BTreeSet<Name>,
}

impl Holdings {
    /// A name is told of.
    pub fn tell(&mut self, name: &Name, is_zero: bool) {
        if is_zero {
            self.held.remove(name);
        } else if self.held.len() < NAMES_MAX {
            self.held.insert(name.clone());
        }
    }

    /// A whole list was told: gives the names that it leaves out, which are zero from now on.
    pub fn left_out(&mut self, told: &BTreeSet<Name>) -> Vec<Name> {
        let gone: Vec<_> = self.held.difference(told).cloned().collect();
        self.held.retain(|name| told.contains(name));
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_list_leaves_out_is_zero_once() {
        let mut holdings = Holdings::default();
        let [btc, eth, bnb]: [Name; 3] = ["BTC".into(), "ETH".into(), "BNB".into()];
        for name in [&btc, &eth, &bnb] {
            holdings.tell(name, false);
        }
        holdings.tell(&bnb, true);
        assert_eq!(holdings.left_out(&BTreeSet::from([btc.clone()])), [eth]);
        assert_eq!(holdings.left_out(&BTreeSet::from([btc])), [] as [Name; 0]);
    }
}
