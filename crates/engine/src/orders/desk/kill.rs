//! The kill switch, and the venues' own dead-man switches.

use std::collections::BTreeSet;
use std::time::Duration;

use model::Nanos;
use model::ledger::{Name, OrderKey, Submit};
use model::trading::DeadMan;

use super::Desk;
use super::account::{Account, Kill, Question};

/// So often it is tried again until no order is open.
const KILL_AGAIN: Duration = Duration::from_secs(2);

/// So often a dead-man switch is wound in the time that it takes to run out.
const WINDS: u32 = 3;

impl Desk {
    /// Throws all trading switches off and takes all orders back, ledger or not: those that were not
    /// sent never are, and the others are cancelled again and again until none of them is open. Orders
    /// of the account that are not ours go too.
    pub fn kill(&mut self, now: Nanos) {
        self.switches.all_off();
        self.deny_waiting(now);
        let providers: Vec<Name> = self.accounts.keys().cloned().collect();
        for provider in providers {
            let open = self.open_instruments(&provider);
            let Some(account) = self.accounts.get_mut(&provider) else { continue };
            for instrument in open.into_iter().chain(account.instruments.clone()) {
                account.killing.insert(instrument, Kill { since: now, next: now });
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

    /// Goes on with what was begun, where it is time to: as long as anything is open that was wanted
    /// before. What is wanted by who was let trade again keeps nothing going.
    pub(super) fn kill_on(&mut self, provider: &Name, now: Nanos) {
        let Some(account) = self.accounts.get(provider) else { return };
        let due = account.killing.iter().filter(|(_, kill)| kill.next <= now);
        let due: Vec<(Name, Kill)> = due.map(|(name, kill)| (name.clone(), *kill)).collect();
        for (instrument, kill) in due {
            let open = self.open_since(provider, &instrument, kill.since).next().is_some();
            let Some(account) = self.accounts.get_mut(provider) else { return };
            account.ask(Question::CancelAll { instrument: instrument.clone() });
            if open {
                account.killing.insert(instrument, Kill { next: now + KILL_AGAIN, ..kill });
            } else {
                account.killing.remove(&instrument);
            }
        }
    }

    /// All orders of an instrument, asked for at that time, could not be taken back at once: each by
    /// itself, and all of them again, since some may not be ours.
    pub(super) fn kill_each(
        &mut self,
        provider: &Name,
        instrument: &Name,
        asked: Nanos,
        now: Nanos,
    ) {
        let open: Vec<OrderKey> = self.open_since(provider, instrument, asked).cloned().collect();
        let Some(account) = self.accounts.get_mut(provider) else { return };
        let again = Kill { since: asked, next: now + KILL_AGAIN };
        account.killing.entry(instrument.clone()).or_insert(again);
        open.into_iter().for_each(|key| account.ask(Question::KillOne(key)));
    }

    /// Open orders for an instrument that were wanted by then.
    fn open_since<'a>(
        &'a self,
        provider: &'a Name,
        instrument: &'a Name,
        since: Nanos,
    ) -> impl Iterator<Item = &'a OrderKey> {
        let open = self.orders.iter().filter(move |(_, order)| {
            let Submit { terms, ts, .. } = order.submit();
            let own = terms.provider == *provider && terms.instrument == *instrument;
            own && *ts <= since && !order.standing().is_terminal()
        });
        open.map(|(key, _)| key)
    }

    /// Winds the venue's dead-man switch of what has open orders, and ends those of what has none any
    /// more.
    pub(super) fn wind(&mut self, provider: &Name, now: Nanos) {
        let open = self.open_instruments(provider);
        let Some(account) = self.accounts.get_mut(provider).filter(|account| account.winds())
        else {
            return;
        };
        let open: BTreeSet<Name> = open.iter().map(|name| account.dead_man_of(name)).collect();
        let over: Vec<Name> =
            account.dead_man.keys().filter(|name| !open.contains(*name)).cloned().collect();
        for instrument in over {
            account.dead_man.remove(&instrument);
            account.ask(Question::DeadMan { instrument });
        }
        open.iter().for_each(|instrument| self.wind_one(provider, instrument, now));
    }

    /// Winds the switch that takes an instrument's orders back, where it is time to. An order does not
    /// wait for the next look at the clock, which may be long after it.
    pub(super) fn wind_one(&mut self, provider: &Name, instrument: &Name, now: Nanos) {
        let Some(within) = self.options.dead_man else { return };
        let Some(account) = self.accounts.get_mut(provider).filter(|account| account.winds())
        else {
            return;
        };
        let instrument = account.dead_man_of(instrument);
        if account.dead_man.get(&instrument).is_none_or(|at| *at <= now) {
            account.dead_man.insert(instrument.clone(), now + within / WINDS);
            account.ask(Question::DeadMan { instrument });
        }
    }

    /// A switch was wound, or ended. Where it was ended and is wanted again by now it is wound.
    pub(super) fn wound(&mut self, provider: &Name, instrument: &Name, asked: Nanos) {
        let Some(within) = self.options.dead_man else { return };
        let Some(account) = self.accounts.get_mut(provider) else { return };
        let next = account.dead_man.get(instrument);
        if next.is_some_and(|next| *next > asked + within / WINDS) {
            account.ask(Question::DeadMan { instrument: instrument.clone() });
        }
    }
}

impl Account {
    /// Whether its dead-man switches can be wound. Whoever hears nothing lets them run out.
    fn winds(&self) -> bool {
        self.profile.dead_man.is_some() && self.listening
    }

    /// What names the switch that takes an instrument's orders back: the instrument, or the same for all
    /// where there is one switch, so that it ends with the last of them and is never wound and ended
    /// at once.
    fn dead_man_of(&self, instrument: &Name) -> Name {
        let first =
            self.instruments.first().filter(|_| self.profile.dead_man == Some(DeadMan::Account));
        first.unwrap_or(instrument).clone()
    }
}
