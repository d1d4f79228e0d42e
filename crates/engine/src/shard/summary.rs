//! What a shard knows, for people and reports: provider by provider, instrument by instrument.

use std::sync::Arc;

use model::event::{Level, Side};
use model::{Book, InstrumentId, Kind, Nanos, ProviderId, StreamState};

use super::Shard;
use crate::books::{LANES, Slot};
use crate::stats::{ProviderStats, StreamStats};

/// One provider of a shard.
#[derive(Clone, Copy, Debug)]
pub struct ProviderView<'a> {
    shard: &'a Shard,
    /// Its number.
    pub id: ProviderId,
}

/// One instrument of a provider.
#[derive(Clone, Debug)]
pub struct InstrumentView<'a> {
    shard: &'a Shard,
    slot: Slot,
    /// Its number.
    pub id: InstrumentId,
    /// Its canonical name.
    pub name: Arc<str>,
}

impl Shard {
    /// Every provider of the directory, in order of arrival.
    pub fn providers(&self) -> impl Iterator<Item = (Arc<str>, ProviderView<'_>)> {
        let providers = self.catalog.providers().into_iter();
        providers.map(|(id, name)| (name, ProviderView { shard: self, id }))
    }

    /// The book of a pair that was ever used.
    #[must_use]
    pub fn book(&self, provider: ProviderId, instrument: InstrumentId) -> Option<&Book> {
        let slot = self.books.find(provider, instrument)?;
        self.books.get(slot).map(|entry| &entry.book)
    }

    /// The counters of a stream that was ever used.
    #[must_use]
    pub fn stream(
        &self,
        provider: ProviderId,
        instrument: InstrumentId,
        kind: Kind,
    ) -> Option<&StreamStats> {
        let slot = self.books.find(provider, instrument)?;
        if kind.index() >= LANES {
            return None;
        }
        self.streams.get(slot.index() * LANES + kind.index())
    }
}

impl<'a> ProviderView<'a> {
    /// What was counted for it beside its streams.
    #[must_use]
    pub fn stats(&self) -> ProviderStats {
        self.shard.providers.get(self.id.index()).cloned().unwrap_or_default()
    }

    /// The instruments of which anything was heard, by name.
    #[must_use]
    pub fn instruments(&self) -> Vec<InstrumentView<'a>> {
        let shard = self.shard;
        let own = shard.books.iter().filter(|(_, entry)| entry.provider == self.id);
        let mut views: Vec<_> = own
            .filter_map(|(slot, entry)| {
                let (id, name) =
                    (entry.instrument, shard.catalog.instrument_name(entry.instrument)?);
                Some(InstrumentView { shard, slot, id, name })
            })
            .filter(|view| view.streams().next().is_some())
            .collect();
        views.sort_by(|a, b| a.name.cmp(&b.name));
        views
    }
}

impl<'a> InstrumentView<'a> {
    /// The streams of which anything was heard, in order of kinds. Snapshots and updates of a book
    /// are counted apart; its state stands with the updates.
    pub fn streams(&self) -> impl Iterator<Item = (Kind, &'a StreamStats)> + use<'a> {
        let first = self.slot.index() * LANES;
        let stats = self.shard.streams.iter().skip(first).take(LANES);
        Kind::ALL.into_iter().zip(stats).filter(|(_, stats)| stats.is_used())
    }

    /// Decoded venue messages per kind, kinds without any left out.
    pub fn decoded(&self) -> impl Iterator<Item = (Kind, u64)> + use<'a> {
        self.streams().map(|(kind, stats)| (kind, stats.decoded)).filter(|(_, count)| *count > 0)
    }

    /// The book; `None` where none was ever received.
    #[must_use]
    pub fn book(&self) -> Option<BookView<'a>> {
        let book = &self.shard.books.get(self.slot)?.book;
        let stats = self.shard.streams.get(self.slot.index() * LANES + Kind::BookUpdate.index())?;
        (book.generation > 0).then_some(BookView { book, stats })
    }
}

/// A book with its stream's counters.
#[derive(Clone, Copy, Debug)]
pub struct BookView<'a> {
    /// The book.
    pub book: &'a Book,
    /// Gaps, resyncs and checksums.
    pub stats: &'a StreamStats,
}

impl BookView<'_> {
    /// The best levels of a side.
    #[must_use]
    pub fn best(&self, side: Side, count: usize) -> Vec<Level> {
        self.book.levels(side).take(count).collect()
    }

    /// Whether it can be relied on.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.book.state == StreamState::Live
    }

    /// The share of its time in which it could be relied on, in millionths.
    #[must_use]
    pub fn valid_ppm(&self, now: Nanos) -> u32 {
        self.stats.valid_ppm(now)
    }
}
