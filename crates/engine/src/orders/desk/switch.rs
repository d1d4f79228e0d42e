//! Trading switches: one per consumer, off until it is switched on.
//!
//! Each time a switch is thrown off its epoch ends. An order carries the epoch in which it entered,
//! and the exit lets it pass only in the same: what was under way when the switch went off never
//! goes, however soon the switch is on again.

use std::collections::BTreeMap;

use model::ledger::Name;
use model::venue::Rate;
use model::{Denial, Nanos};

use super::budget::Budget;

/// What the desk knows of one consumer.
#[derive(Clone, Debug)]
pub(super) struct Party {
    on: bool,
    epoch: u64,
    /// Its critical window is full and not read back yet.
    pub(super) stalled: bool,
    /// Rejections, where so many in so long throw the switch off.
    breaker: Option<Budget>,
    /// Up to where the ledger was told that it has acknowledged.
    pub(super) acknowledged: u64,
    /// Up to where it has acknowledged.
    pub(super) wanted: u64,
}

/// All consumers' switches.
#[derive(Clone, Debug, Default)]
pub(super) struct Switches {
    parties: BTreeMap<Name, Party>,
}

impl Switches {
    /// A consumer is known from here on; one that is already known stays as it is.
    pub(super) fn add(&mut self, name: Name, on: bool, acknowledged: u64, breaker: Option<Rate>) {
        let breaker = breaker.map(|rate| Budget::new(&[rate], 0));
        let wanted = acknowledged;
        let party = Party { on, epoch: 0, stalled: false, breaker, acknowledged, wanted };
        self.parties.entry(name).or_insert(party);
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Party> {
        self.parties.get_mut(name)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&Name, &mut Party)> {
        self.parties.iter_mut()
    }

    /// Whether new orders of a consumer may enter; the epoch that they enter in.
    pub(super) fn enter(&self, name: &str) -> Result<u64, Denial> {
        let party = self.parties.get(name).ok_or(Denial::UnknownConsumer)?;
        match (party.on, party.stalled) {
            (false, _) => Err(Denial::SwitchOff),
            (true, true) => Err(Denial::Stalled),
            (true, false) => Ok(party.epoch),
        }
    }

    /// Whether what entered in an epoch may leave now.
    pub(super) fn may_leave(&self, name: &str, epoch: u64) -> bool {
        self.parties.get(name).is_some_and(|party| party.on && party.epoch == epoch)
    }

    pub(super) fn is_on(&self, name: &str) -> bool {
        self.parties.get(name).is_some_and(|party| party.on)
    }

    /// `false` where there is no such consumer.
    pub(super) fn set(&mut self, name: &str, on: bool) -> bool {
        let Some(party) = self.parties.get_mut(name) else { return false };
        if !on {
            party.epoch += 1;
        }
        party.on = on;
        true
    }

    pub(super) fn all_off(&mut self) {
        for party in self.parties.values_mut() {
            party.on = false;
            party.epoch += 1;
        }
    }

    /// An order of a consumer was rejected; whether that was once too often.
    pub(super) fn rejected(&mut self, name: &str, now: Nanos) -> bool {
        let Some(party) = self.parties.get_mut(name) else { return false };
        let Some(breaker) = &mut party.breaker else { return false };
        breaker.take(now);
        party.on && breaker.free_at(true, now) > now
    }
}
