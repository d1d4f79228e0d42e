//! Streams whose positions only go up, and skip: that something is missing does not show, so nothing
//! waits, and each position goes out once.
//!
//! What one of two connections brings after the other had gone beyond it is no double: it goes out
//! when it comes. Which positions were there is known of the newest [`RECENT_MAX`]; what lies below
//! them is too late, since nobody knows any more whether it was there.

use std::cmp::Ordering;
use std::collections::VecDeque;

use super::Place;
use crate::capacity::RECENT_MAX;

/// One stream in which positions skip.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    /// The newest positions that went out, ascending.
    seen: VecDeque<u64>,
    /// The highest that went out and is not remembered any more.
    forgotten: Option<u64>,
    /// How many positions are to come before consumers are told again that something was too late.
    told_for: usize,
}

impl Recent {
    /// Takes note of a position that arrives.
    #[inline]
    pub(crate) fn arrive(&mut self, position: u64) -> Place {
        if self.seen.back().is_some_and(|newest| position <= *newest) {
            return self.behind(position);
        }
        self.remember(self.seen.len(), position);
        Place::Next
    }

    #[cold]
    fn behind(&mut self, position: u64) -> Place {
        let Err(at) = self.seen.binary_search(&position) else { return Place::Duplicate };
        match self.forgotten.map(|forgotten| position.cmp(&forgotten)) {
            Some(Ordering::Less) => Place::Late,
            Some(Ordering::Equal) => Place::Duplicate,
            Some(Ordering::Greater) | None => {
                self.remember(at, position);
                Place::Next
            }
        }
    }

    fn remember(&mut self, at: usize, position: u64) {
        self.seen.insert(at, position);
        self.told_for = self.told_for.saturating_sub(1);
        if self.seen.len() > RECENT_MAX {
            self.forgotten = self.seen.pop_front();
        }
    }

    /// Whether consumers are to be told that something was too late: they are told again only when all
    /// that was remembered then is forgotten, since a connection that is far behind is late with
    /// everything.
    pub(crate) fn tells(&mut self) -> bool {
        let tells = self.told_for == 0;
        if tells {
            self.told_for = RECENT_MAX;
        }
        tells
    }
}
