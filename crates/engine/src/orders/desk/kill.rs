//! The kill switch, and the venues' own dead-man switches.

use std::collections::BTreeSet;
use std::time::Duration;

use model::Nanos;
use model::ledger::Name;

use super::Desk;
use super::account::Question;

/// So often it is tried again until no order is open.
const KILL_AGAIN: Duration = Duration::from_secs(2);

impl Desk {
    /// Throws all trading switches off and takes all orders back, ledger or not: those that were not
    /// sent never are, and the others are cancelled again and again until none is open. Orders of the
    /// account that are not ours go too.
    pub fn kill(&mut self, now: Nanos) {
        self.switches.all_off();
        self.deny_waiting(now);
        let providers: Vec<Name> = self.accounts.keys().cloned().collect();
        for provider in providers {
            let open = self.open_instruments(&provider);
            let Some(account) = self.accounts.get_mut(&provider) else { continue };
            for instrument in open.into_iter().chain(account.instruments.clone()) {
                account.killing.insert(instrument, now);
            }
            self.kill_on(&provider, now);
        }
    }

    /// The instruments that an account has open orders for which are out or may be.
    fn open_instruments(&self, provider: &Name) -> BTreeSet<Name> {
        let open = self.open_orders(provider);
        let orders = open.iter().filter_map(|key| self.orders.get(key));
        orders.map(|order| order.submit().terms.instrument.clone()).collect()
    }

    /// Goes on with what was begun, where it is time to.
    pub(super) fn kill_on(&mut self, provider: &Name, now: Nanos) {
        let open = self.open_instruments(provider);
        let Some(account) = self.accounts.get_mut(provider) else { return };
        let due: Vec<Name> =
            account.killing.iter().filter(|(_, at)| **at <= now).map(|(i, _)| i.clone()).collect();
        for instrument in due {
            account.ask(Question::CancelAll { instrument: instrument.clone() });
            if open.contains(&instrument) {
                account.killing.insert(instrument, now + KILL_AGAIN);
            } else {
                account.killing.remove(&instrument);
            }
        }
    }

    /// All orders of an instrument could not be taken back at once: each by itself.
    pub(super) fn kill_each(&mut self, provider: &Name, instrument: &Name) {
        let open = self.open_orders(provider);
        for key in open {
            let order = self.orders.get(&key);
            let own = order.is_some_and(|o| o.submit().terms.instrument == *instrument);
            let Some(account) = self.accounts.get_mut(provider).filter(|_| own) else { continue };
            account.ask(Question::KillOne(key));
        }
    }

    /// Winds the venue's dead-man switch of each instrument with open orders, and lets those run out
    /// that have none any more.
    pub(super) fn wind(&mut self, provider: &Name, now: Nanos) {
        let Some(within) = self.options.dead_man else { return };
        let open = self.open_instruments(provider);
        let Some(account) = self.accounts.get_mut(provider) else { return };
        if !account.profile.dead_man || !account.listening {
            return;
        }
        let over: Vec<Name> =
            account.dead_man.keys().filter(|name| !open.contains(*name)).cloned().collect();
        for instrument in over {
            account.dead_man.remove(&instrument);
            account.ask(Question::DeadMan { instrument });
        }
        for instrument in open {
            if account.dead_man.get(&instrument).is_none_or(|at| *at <= now) {
                account.dead_man.insert(instrument.clone(), now + within / 3);
                account.ask(Question::DeadMan { instrument });
            }
        }
    }
}
