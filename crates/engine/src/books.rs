//! The shard's books: one per (provider, instrument), found by two array look-ups.
//!
//! Here is also the shard's dense numbering: a [`Slot`] per (provider, instrument) in use, and a
//! lane per stream in it, by which statistics, routes and backlogs are indexed.

use std::sync::Arc;

use model::event::{BookMeta, Side, StreamState};
use model::{Body, Book, Event, Header, InstrumentId, Kind, Level, ProviderId, Stream};

use crate::capacity::{BOOKS_MAX, NAMES_MAX};

/// Kinds of market data, which come first in [`Kind::ALL`]; each has a lane per slot.
pub(crate) const LANES: usize = 8;

/// A (provider, instrument) pair of this shard, as an index into the shard's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(u32);

/// A stream of this shard, as an index into the shard's tables. What shares a lane keeps its
/// order: both book kinds share the one of [`Kind::BookUpdate`], and a status goes through the
/// lane of the stream that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lane(u32);

impl Slot {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }

    /// The lane of a kind; `None` for execution and control, which have no lane here.
    pub(crate) fn lane(self, kind: Kind) -> Option<Lane> {
        let kind = lane_kind(kind);
        (kind.index() < LANES).then(|| Lane(self.0 * LANES as u32 + kind as u32))
    }
}

impl Lane {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }

    /// The slot that it belongs to.
    pub(crate) fn slot(self) -> Slot {
        Slot(self.0 / LANES as u32)
    }

    /// The kind under which its state is kept.
    pub(crate) fn kind(self) -> Kind {
        Kind::ALL[self.index() % LANES]
    }

    /// The lane of that number, for what is indexed by lanes.
    pub(crate) fn numbered(index: u32) -> Self {
        Self(index)
    }
}

/// The kind under which a stream's state is kept: book kinds share [`Kind::BookUpdate`].
#[must_use]
pub fn lane_kind(kind: Kind) -> Kind {
    if kind == Kind::BookSnapshot { Kind::BookUpdate } else { kind }
}

/// All books of a shard.
#[derive(Debug, Default)]
pub struct Books {
    /// Slot + 1 by provider and instrument; 0 where there is none.
    index: Vec<Vec<u32>>,
    entries: Vec<Entry>,
    /// What is handed out where there is no room for another book; nobody reads it.
    spare: Book,
}

/// One book and whose it is.
#[derive(Debug)]
pub struct Entry {
    /// The provider.
    pub provider: ProviderId,
    /// The instrument.
    pub instrument: InstrumentId,
    /// The book.
    pub book: Book,
    /// The generation of the last snapshot that went out.
    pub(crate) announced: u32,
}

impl Books {
    /// The slot of a pair, where it has one.
    #[must_use]
    #[inline]
    pub fn find(&self, provider: ProviderId, instrument: InstrumentId) -> Option<Slot> {
        let slot = *self.index.get(provider.index())?.get(instrument.index())?;
        slot.checked_sub(1).map(Slot)
    }

    /// Whether there is no room for another book.
    pub(crate) fn is_full(&self) -> bool {
        self.room() == 0
    }

    /// For how many further books there is room.
    pub(crate) fn room(&self) -> usize {
        BOOKS_MAX.saturating_sub(self.entries.len())
    }

    /// Makes a slot for a pair that has none; `None` where the shard holds all that it may.
    pub(crate) fn add(&mut self, provider: ProviderId, instrument: InstrumentId) -> Option<Slot> {
        if self.is_full() || instrument.index() >= NAMES_MAX {
            return None;
        }
        if self.index.len() <= provider.index() {
            self.index.resize_with(provider.index() + 1, Vec::new);
        }
        let row = self.index.get_mut(provider.index())?;
        if row.len() <= instrument.index() {
            row.resize(instrument.index() + 1, 0);
        }
        let slot = u32::try_from(self.entries.len()).ok()?;
        *row.get_mut(instrument.index())? = slot + 1;
        self.entries.push(Entry { provider, instrument, book: Book::default(), announced: 0 });
        Some(Slot(slot))
    }

    /// Sets the precision at which a book keeps its prices, as long as it holds none.
    pub(crate) fn set_places(&mut self, slot: Slot, places: Option<u32>) {
        if let (Some(places), Some(entry)) = (places, self.entries.get_mut(slot.index()))
            && entry.book == Book::default()
        {
            entry.book = Book::with_places(places);
        }
    }

    /// A slot's book, and whose it is.
    #[must_use]
    pub fn get(&self, slot: Slot) -> Option<&Entry> {
        self.entries.get(slot.index())
    }

    /// A slot's book to change; without a slot, one that nobody reads.
    pub(crate) fn book_mut(&mut self, slot: Option<Slot>) -> &mut Book {
        match slot.and_then(|slot| self.entries.get_mut(slot.index())) {
            Some(entry) => &mut entry.book,
            None => {
                self.spare = Book::default();
                &mut self.spare
            }
        }
    }

    /// Remembers that a snapshot of that generation went out.
    pub(crate) fn announced(&mut self, slot: Slot, generation: u32) {
        if let Some(entry) = self.entries.get_mut(slot.index()) {
            entry.announced = generation;
        }
    }

    /// All books with their slots, in order of first use.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, &Entry)> {
        (0..).map(Slot).zip(&self.entries)
    }

    /// The book as it stands, where it is of that generation, can be relied on, and has no more than
    /// so many levels: then it says as much as an update of so many, and is no larger.
    pub(crate) fn smaller_snapshot(
        &self,
        follows: &Header,
        generation: u32,
        levels: usize,
    ) -> Option<Event> {
        let Stream { provider, instrument, .. } = follows.stream;
        let book = &self.get(self.find(provider, instrument)?)?.book;
        let (bids, asks) = book.depth();
        let stands_for_it = book.generation == generation && bids + asks <= levels;
        stands_for_it.then(|| self.snapshot(follows)).flatten()
    }

    /// The book as it stands, as an event that replaces what a consumer has; `None` while the book
    /// can't be relied on. `follows` is the header of the event that it stands for.
    pub(crate) fn snapshot(&self, follows: &Header) -> Option<Event> {
        let Stream { provider, instrument, .. } = follows.stream;
        let book = &self.get(self.find(provider, instrument)?)?.book;
        if book.state != StreamState::Live {
            return None;
        }
        let (bids, asks) = (book.levels(Side::Buy), book.levels(Side::Sell));
        let levels: Arc<[Level]> = bids.chain(asks).collect();
        let meta = BookMeta {
            seq_last: book.seq_last,
            generation: book.generation,
            bids: u32::try_from(book.depth().0).unwrap_or(u32::MAX),
            ..BookMeta::default()
        };
        let header = Header {
            stream: Stream { kind: Kind::BookSnapshot, ..follows.stream },
            seq_provider: book.seq_last,
            ts_event: book.ts_event,
            ..*follows
        };
        Some(Event { header, body: Body::Book(meta), levels: Some(levels) })
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use model::Decimal;

    const P: ProviderId = ProviderId(3);
    const I: InstrumentId = InstrumentId(7);

    fn level(price: i64) -> Level {
        Level { price: Decimal::from(price), quantity: Decimal::ONE }
    }

    #[test]
    fn slots_are_dense_and_lanes_are_shared_by_the_book_kinds() {
        let mut books = Books::default();
        assert_eq!(books.find(P, I), None);
        let slot = books.add(P, I).unwrap();
        let other = books.add(ProviderId(0), I).unwrap();
        assert_eq!((slot.index(), other.index()), (0, 1));
        assert_eq!(books.find(P, I), Some(slot));
        assert_eq!(books.find(P, InstrumentId(6)), None);
        assert_eq!(slot.lane(Kind::BookSnapshot), slot.lane(Kind::BookUpdate));
        assert_eq!(slot.lane(Kind::ExecReport), None);
        assert_eq!(slot.lane(Kind::StreamStatus), None);
        let lanes = [slot, other].map(|slot| slot.lane(Kind::Merged).unwrap().index());
        assert_eq!(lanes, [7, 15]);
    }

    #[test]
    fn a_pair_beyond_the_limit_gets_a_book_that_nobody_reads() {
        let mut books = Books::default();
        assert_eq!(books.add(P, InstrumentId(NAMES_MAX as u32)), None);
        books.book_mut(None).set(Side::Buy, level(1)).unwrap();
        assert_eq!(books.book_mut(None), &Book::default());
        assert_eq!(books.iter().count(), 0);
    }

    #[test]
    fn only_a_live_book_makes_a_snapshot() {
        let mut books = Books::default();
        let slot = books.add(P, I);
        let stream = Stream { provider: P, instrument: I, kind: Kind::BookUpdate };
        let header = Header { stream, trace_id: 9, ..Header::default() };
        let book = books.book_mut(slot);
        book.apply(&[level(2), level(1)], &[level(3)]).unwrap();
        (book.seq_last, book.generation, book.state) = (Some(5), 2, StreamState::Gapped);
        assert_eq!(books.snapshot(&header), None);
        books.book_mut(slot).state = StreamState::Live;
        let event = books.snapshot(&header).unwrap();
        assert_eq!(event.kind(), Kind::BookSnapshot);
        assert_eq!((event.header.seq_provider, event.header.trace_id), (Some(5), 9));
        assert_eq!((event.bids(), event.asks()), (&[level(2), level(1)][..], &[level(3)][..]));
    }

    #[test]
    fn precision_is_set_only_while_the_book_is_empty() {
        let mut books = Books::default();
        let slot = books.add(P, I).unwrap();
        books.set_places(slot, Some(4));
        assert_eq!(books.get(slot).unwrap().book, Book::with_places(4));
        books.book_mut(Some(slot)).set(Side::Buy, level(1)).unwrap();
        books.set_places(slot, Some(2));
        assert_eq!(books.get(slot).unwrap().book.depth(), (1, 0));
    }
}
