//! Diffs that wait for a snapshot: plain bounded memory, no pool slot.

use std::collections::VecDeque;

use model::{CanonicalEvent, Level};

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
    levels: Box<[Level]>,
    bids: usize,
}

impl Diff {
    /// Its bids and offers.
    pub(super) fn sides(&self) -> (&[Level], &[Level]) {
        self.levels.split_at(self.bids)
    }
}

impl Waiting {
    /// Copies a diff to where it can wait. The oldest go where there is no more room, since a
    /// snapshot that is still to come covers them first; all go where the venue's numbers start
    /// over, since none of them can be connected to a snapshot any more.
    pub(super) fn keep(&mut self, event: &CanonicalEvent, step: Step) {
        if let Some(newest) = self.diffs.back().map(|diff| diff.step)
            && step.last <= newest.last
        {
            let later = step.starts_over() || step.ts_event > newest.ts_event;
            if step.last == newest.last || !later {
                return;
            }
            self.clear();
        }
        let levels: Box<[Level]> = event.bids.iter().chain(&event.asks).copied().collect();
        self.levels += levels.len();
        self.diffs.push_back(Diff { step, levels, bids: event.bids.len() });
        while self.diffs.len() > DIFFS_MAX || self.levels > LEVELS_MAX {
            self.drop_first();
        }
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
