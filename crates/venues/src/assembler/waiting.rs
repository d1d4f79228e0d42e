//! Diffs that wait, for a snapshot or for one before them: plain bounded memory, no pool slot.

use std::collections::VecDeque;
use std::time::Duration;

use model::event::BookMeta;
use model::{Body, CanonicalEvent, Header, Level, Nanos};

use super::rules::{Continuity, Position, Step, Verdict};

/// At most this many diffs wait for a snapshot: more than a minute of 100 ms diffs.
const DIFFS_MAX: usize = 1_024;
/// And at most this many levels in them.
const LEVELS_MAX: usize = 65_536;

/// The diffs of one book that wait, in the venue's order.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    diffs: VecDeque<Diff>,
    levels: usize,
}

/// A diff that waits.
#[derive(Debug)]
pub(super) struct Diff {
    pub(super) step: Step,
    header: Header,
    meta: BookMeta,
    levels: Box<[Level]>,
    bids: usize,
}

impl Diff {
    /// Its bids and offers.
    pub(super) fn sides(&self) -> (&[Level], &[Level]) {
        self.levels.split_at(self.bids)
    }

    /// Makes an event of it again.
    pub(super) fn fill(&self, event: &mut CanonicalEvent) -> BookMeta {
        let (bids, asks) = self.sides();
        event.header = self.header;
        event.body = Body::Book(self.meta);
        event.bids.extend_from_slice(bids);
        event.asks.extend_from_slice(asks);
        self.meta
    }
}

impl Waiting {
    /// Copies a diff to where it can wait; whether it was not there yet. The oldest go where there is
    /// no more room, since a snapshot that is still to come covers them first; all go where the
    /// venue's numbers start over, since none of them can be connected to a snapshot any more.
    pub(super) fn keep(
        &mut self,
        event: &CanonicalEvent,
        meta: BookMeta,
        step: Step,
        now: Nanos,
    ) -> bool {
        if self.starts_over(step) {
            self.clear();
        }
        let at = self.diffs.partition_point(|diff| diff.step.last < step.last);
        if self.diffs.get(at).is_some_and(|diff| diff.step.last == step.last) {
            return false;
        }
        let levels: Box<[Level]> = event.bids.iter().chain(&event.asks).copied().collect();
        self.levels += levels.len();
        let header = Header { ts_recv: now, ..event.header };
        self.diffs.insert(at, Diff { step, header, meta, levels, bids: event.bids.len() });
        while self.diffs.len() > DIFFS_MAX || self.levels > LEVELS_MAX {
            self.drop_first();
        }
        true
    }

    /// A lower number is not an earlier diff that comes late, but a venue that counts anew.
    fn starts_over(&self, step: Step) -> bool {
        let Some(newest) = self.diffs.back().map(|diff| diff.step) else { return false };
        let later = step.starts_over() || step.ts_event > newest.ts_event;
        step.last < newest.last && later
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.diffs.len()
    }

    /// Whether one of them has waited for so long.
    pub(super) fn is_late(&self, lateness: Duration, now: Nanos) -> bool {
        self.diffs.iter().any(|diff| now.since(diff.header.ts_recv) >= lateness)
    }

    /// Takes the first that goes on from a book at `position`, and drops what is not newer than it.
    pub(super) fn take_next(&mut self, continuity: Continuity, position: Position) -> Option<Diff> {
        self.drop_covered(position.last?);
        let goes_on = |diff: &Diff| continuity.judge(position, &diff.step) == Verdict::Continues;
        let index = self.diffs.iter().position(goes_on)?;
        let diff = self.diffs.remove(index)?;
        self.levels -= diff.levels.len();
        Some(diff)
    }

    /// Drops what a snapshot covers.
    pub(super) fn drop_covered(&mut self, snapshot: u64) {
        while self.diffs.front().is_some_and(|diff| diff.step.last <= Some(snapshot)) {
            self.drop_first();
        }
    }

    /// Whether the diffs follow a snapshot and each other. Where they don't, what lies before the
    /// break is dropped, since it can never be connected; what follows it still may be, to a later
    /// snapshot.
    pub(super) fn follow(&mut self, continuity: Continuity, snapshot: u64) -> bool {
        let mut position = Position { last: Some(snapshot), ts_event: None, anchored: true };
        for index in 0..self.diffs.len() {
            let Some(diff) = self.diffs.get(index) else { break };
            if continuity.judge(position, &diff.step) != Verdict::Continues {
                (0..index).for_each(|_| self.drop_first());
                return false;
            }
            position = Position { last: diff.step.last, ts_event: None, anchored: false };
        }
        true
    }

    /// Takes all of them.
    pub(super) fn take(&mut self) -> VecDeque<Diff> {
        self.levels = 0;
        std::mem::take(&mut self.diffs)
    }

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        self.diffs.clear();
        self.levels = 0;
    }

    fn drop_first(&mut self) {
        if let Some(diff) = self.diffs.pop_front() {
            self.levels -= diff.levels.len();
        }
    }
}
