//! A budget of events a second, divided among the outlets.

use std::num::NonZeroU32;

use model::Nanos;

use super::{Fanout, Outlet};
use crate::share::{EVENT, Pace, divide};

impl Fanout {
    /// From here on the consumers share that many events of market data a second; without a number
    /// each gets all.
    pub(crate) fn set_budget(&mut self, budget: Option<NonZeroU32>, now: Nanos) {
        self.pace = budget.map(|budget| Pace::new(budget, now));
        let parts = self.outlets.len().max(1) as u64;
        let share = self.pace.map(|pace| pace.budget() / parts);
        self.outlets.iter_mut().for_each(|outlet| outlet.set_share(share));
    }

    /// Windows in which the shares came to more than the budget.
    pub(crate) fn shares_scaled(&self) -> u64 {
        self.pace.map_or(0, |pace| pace.scaled)
    }

    /// Gives out what tokens are due.
    pub(super) fn pace(&mut self, now: Nanos) {
        let Some(due) = self.pace.as_mut().and_then(|pace| pace.due(now)) else { return };
        if due.window {
            self.divide_anew();
        }
        self.outlets.iter_mut().for_each(|outlet| outlet.refill(due.refills));
    }

    /// Divides the budget by what was wanted in the window that ends.
    fn divide_anew(&mut self) {
        let Some(pace) = &mut self.pace else { return };
        let demands: Vec<u64> = self.outlets.iter().filter_map(Outlet::demand).collect();
        let (shares, scaled) = divide(pace.budget(), &demands);
        pace.scaled += u64::from(scaled);
        if scaled && pace.scaled.is_power_of_two() {
            tracing::warn!(
                budget = pace.budget() / EVENT,
                windows = pace.scaled,
                "the consumers' shares come to more than the budget: they are scaled down"
            );
        }
        let open = self.outlets.iter_mut().filter(|outlet| outlet.demand().is_some());
        for (outlet, share) in open.zip(shares) {
            outlet.begin_window(share);
        }
    }
}
