//! The merges of a shard, found by the lanes whose events they take.

use model::{Error, Nanos, ProviderId};

use super::{Merge, MergeSpec, Parties, Removed};
use crate::books::Lane;
use crate::capacity::MERGES_MAX;

/// A merge that takes a lane's events, and which of its providers that lane is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input {
    pub merge: usize,
    pub place: usize,
}

/// Where a merge goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// Where it was before.
    Known(ProviderId),
    /// A place of its own.
    New,
    /// The place, and the number, of one that was removed.
    Of(ProviderId),
}

/// All merges of a shard.
#[derive(Debug, Default)]
pub(crate) struct Merges {
    /// In order of arrival; removed ones too, which keep their counters.
    merges: Vec<Merge>,
    /// How many were removed ever.
    removed: u64,
    /// By lane.
    inputs: Vec<Box<[Input]>>,
    /// No open window is over before this.
    over_from: Option<Nanos>,
}

impl Merges {
    /// Whether any merge takes the events of a lane.
    #[inline]
    pub(crate) fn takes(&self, lane: Lane) -> bool {
        self.inputs.get(lane.index()).is_some_and(|inputs| !inputs.is_empty())
    }

    /// The nth merge that takes the events of a lane.
    pub(crate) fn input(&self, lane: Lane, nth: usize) -> Option<Input> {
        self.inputs.get(lane.index())?.get(nth).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Merge> {
        self.merges.iter()
    }

    pub(crate) fn get_mut(&mut self, merge: usize) -> Option<&mut Merge> {
        self.merges.get_mut(merge)
    }

    /// The merge of that name, also when it is not in force.
    pub(crate) fn find(&self, name: &str) -> Option<&Merge> {
        self.merges.iter().find(|merge| &*merge.spec.name == name)
    }

    /// Whether that number is a merge's.
    pub(crate) fn is_merge(&self, id: ProviderId) -> bool {
        self.merges.iter().any(|merge| merge.parties.id == id)
    }

    /// Where a merge of that name goes, with the routing table of that version in force. Of the
    /// removed ones, whoever was so for longest makes room, but none whose number somebody still
    /// names, and none that was removed under that very table: so the events of two merges that had
    /// the same number are told apart by their versions.
    ///
    /// # Errors
    /// [`Remedy::Reject`](model::Remedy::Reject) where there are too many.
    pub(crate) fn room(
        &self,
        name: &str,
        version: u32,
        is_named: impl Fn(ProviderId) -> bool,
    ) -> Result<Room, Error> {
        if let Some(known) = self.find(name) {
            return Ok(Room::Known(known.id()));
        }
        if self.merges.len() < MERGES_MAX {
            return Ok(Room::New);
        }
        let free = self.merges.iter().filter_map(|merge| Some((merge.removed?, merge.id())));
        let free = free.filter(|(removed, id)| removed.version != version && !is_named(*id));
        let oldest = free.min_by_key(|(removed, _)| removed.nth);
        oldest.map(|(_, id)| Room::Of(id)).ok_or_else(|| {
            Error::reject(format!(
                "no room for the merge '{name}': the shard holds its limit of {MERGES_MAX}"
            ))
        })
    }

    /// Puts a merge in force; one of its name that was removed goes on with its counter, one of
    /// another name is forgotten.
    pub(crate) fn put(&mut self, spec: MergeSpec, parties: Parties) {
        match self.merges.iter_mut().find(|merge| merge.parties.id == parties.id) {
            Some(known) if known.spec.name == spec.name => known.revive(spec, parties),
            Some(other) => *other = Merge::new(spec, parties),
            None => self.merges.push(Merge::new(spec, parties)),
        }
        self.resolve();
    }

    /// Takes a merge out of force, with the routing table of that version in force, and forgets its
    /// open window; whether it was in force.
    pub(crate) fn remove(&mut self, name: &str, version: u32) -> bool {
        let found = self.merges.iter_mut().find(|m| m.is_active() && &*m.spec.name == name);
        let removed = found.map(|merge| merge.retire(Removed { nth: self.removed, version }));
        self.removed += 1;
        self.resolve();
        removed.is_some()
    }

    fn resolve(&mut self) {
        self.inputs.clear();
        let mut inputs: Vec<Vec<Input>> = Vec::new();
        for (merge, of) in self.merges.iter().enumerate().filter(|(_, of)| of.is_active()) {
            for (place, lane) in of.parties.inputs.iter().enumerate() {
                if inputs.len() <= lane.index() {
                    inputs.resize_with(lane.index() + 1, Vec::new);
                }
                inputs[lane.index()].push(Input { merge, place });
            }
        }
        self.inputs = inputs.into_iter().map(Into::into).collect();
    }

    /// A window may be over from `at` on.
    pub(crate) fn note(&mut self, end: Nanos) {
        self.over_from = Some(after(end).earliest(self.over_from));
    }

    /// When windows are to be looked at.
    pub(crate) fn deadline(&self) -> Option<Nanos> {
        self.over_from
    }

    /// A merge whose window is over, where it is time to look; to be asked until there is none.
    pub(crate) fn over(&mut self, now: Nanos) -> Option<usize> {
        if self.over_from.is_none_or(|from| now < from) {
            return None;
        }
        let found = self.merges.iter().position(|merge| merge.over(now).is_some());
        if found.is_none() {
            self.over_from = self.merges.iter().filter_map(Merge::end).map(after).min();
        }
        found
    }
}

/// A window's last instant still belongs to it.
fn after(end: Nanos) -> Nanos {
    Nanos(end.0.saturating_add(1))
}
