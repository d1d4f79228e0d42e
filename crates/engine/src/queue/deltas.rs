//! Book updates of one stream that wait, merged level by level: one update that does what all of them
//! do.

use std::sync::Arc;

use model::event::BookMeta;
use model::{Body, Event, Header, Level};

/// Consecutive updates of one book. Of each price and side the latest quantity counts, and a removal
/// is a quantity of zero: it stays, because the consumer may have the level.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Deltas {
    /// That of the last of them.
    header: Header,
    /// From the first of them what comes before, from the last what holds after.
    meta: BookMeta,
    /// By price, ascending.
    bids: Vec<Level>,
    /// By price, ascending.
    asks: Vec<Level>,
}

impl Deltas {
    /// From one update; `None` where it is none.
    pub(crate) fn of(event: &Event) -> Option<Self> {
        let Body::Book(meta) = event.body else { return None };
        let mut deltas = Self { header: event.header, meta, bids: Vec::new(), asks: Vec::new() };
        deltas.set_levels(event);
        Some(deltas)
    }

    /// Takes the update that follows; `false`, and nothing is changed, where it belongs to another
    /// snapshot.
    pub(crate) fn merge(&mut self, event: &Event) -> bool {
        let Body::Book(meta) = event.body else { return false };
        if meta.generation != self.meta.generation {
            return false;
        }
        self.header = event.header;
        self.meta =
            BookMeta { seq_first: self.meta.seq_first, seq_prev: self.meta.seq_prev, ..meta };
        self.set_levels(event);
        true
    }

    /// Levels on both sides.
    pub(crate) fn len(&self) -> usize {
        self.bids.len() + self.asks.len()
    }

    /// The header of the last update.
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// Which snapshot it changes.
    pub(crate) fn generation(&self) -> u32 {
        self.meta.generation
    }

    /// The one update, bids first, both sides by falling and by rising price.
    pub(crate) fn into_event(self) -> Event {
        let Self { header, mut meta, bids, asks } = self;
        meta.bids = u32::try_from(bids.len()).unwrap_or(u32::MAX);
        let levels: Arc<[Level]> = bids.into_iter().rev().chain(asks).collect();
        Event { header, body: Body::Book(meta), levels: Some(levels) }
    }

    fn set_levels(&mut self, event: &Event) {
        event.bids().iter().for_each(|level| set(&mut self.bids, *level));
        event.asks().iter().for_each(|level| set(&mut self.asks, *level));
    }
}

/// Equal prices are one level, however they are spelled; the last spelling stays.
fn set(levels: &mut Vec<Level>, level: Level) {
    match levels.binary_search_by(|held| held.price.cmp(&level.price)) {
        Ok(index) => levels[index] = level,
        Err(index) => levels.insert(index, level),
    }
}
