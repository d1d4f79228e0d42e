//! Everything that a shard counts, at one moment, as plain values with names.

use std::collections::BTreeSet;
use std::sync::Arc;

use hdrhistogram::Histogram;
use model::{InstrumentId, Kind, Nanos, ProviderId, Stream};

use super::Shard;
use crate::books::{Entry, Lane};
use crate::dead_letters::{LetterCounts, LetterReason};
use crate::fanout::Outlet;
use crate::histogram::LatencyHistogram;
use crate::merge::{Merge, MergeCounts};
use crate::queue::Lost;
use crate::stats::{ProviderStats, StreamStats};
use crate::tally::{ConsumerCounts, Handed, Published};

/// A shard's counters. Counters never go back, so that two of these give rates.
///
/// # How consistent it is
/// It is taken on the shard's thread, between turns: streams, providers, merges, dead letters and the
/// shard's half of each consumer (what was offered, conflated, dropped, how deep its queue is) are of
/// one moment, and add up. A consumer's own half (what it was handed, latencies) is what its thread had
/// published by then, at the end of its last batch, and never ahead of the shard's: at any moment
/// `delivered + skipped + conflated + merged + dropped <= offered + snapshots`, equal once nothing is
/// under way.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// When.
    pub at: Nanos,
    /// The version of the routing table in force.
    pub routing_version: u32,
    /// Every stream of which anything was heard, provider by provider.
    pub streams: Vec<StreamMetrics>,
    /// Every consumer, in order of arrival.
    pub consumers: Vec<ConsumerMetrics>,
    /// Every merge that there is, and those that were removed and whose place no other has taken.
    pub merges: Vec<MergeMetrics>,
    /// Every provider, with what belongs to none of its streams.
    pub providers: Vec<(Arc<str>, ProviderStats)>,
    /// Where every stream of a provider comes over two connections: each of them. What their session
    /// counts, of which the shard knows nothing: whoever joins the two adds it.
    pub connections: Vec<ConnectionMetrics>,
    /// Dead letters.
    pub dead_letters: Vec<(LetterReason, LetterCounts)>,
}

/// One stream. Both kinds of a book are counted apart; its state stands with the updates.
#[derive(Clone, Debug)]
pub struct StreamMetrics {
    /// The provider's name.
    pub provider: Arc<str>,
    /// Canonical name.
    pub instrument: Arc<str>,
    /// The kind.
    pub kind: Kind,
    /// What was counted.
    pub stats: StreamStats,
    /// How many events wait behind a hole now.
    pub early: usize,
}

/// One consumer.
#[derive(Clone, Debug)]
pub struct ConsumerMetrics {
    /// Its name.
    pub name: Arc<str>,
    /// What was counted.
    pub counts: ConsumerCounts,
    /// Market data, from the return of the read to the handler's entry, in ns.
    pub latency_ns: Histogram<u64>,
    /// Of that, from the hand-over to the fan-out on.
    pub queued: LatencyHistogram,
    /// The same as the first of execution, control and the states of streams: from when what they tell
    /// of was received.
    pub critical: LatencyHistogram,
    /// By stream: what it was handed and what it lacks.
    pub streams: Vec<StreamHanded>,
}

/// What one consumer got of one stream of market data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamHanded {
    /// The provider's name, or the merge's.
    pub provider: Arc<str>,
    /// Canonical name.
    pub instrument: Arc<str>,
    /// The kind.
    pub kind: Kind,
    /// What it was handed.
    pub handed: Handed,
    /// What it was not handed one by one: of a book with its updates, of which it counts the snapshots
    /// too.
    pub lost: Lost,
}

/// One of two connections that bring the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionMetrics {
    /// The provider's name.
    pub provider: Arc<str>,
    /// Messages that it brought first, or alone.
    pub first: u64,
    /// Messages that had been there before.
    pub again: u64,
    /// Of those, copies of what the other one had brought not long before.
    pub lagged: u64,
    /// By how much these were behind, in ns, added up.
    pub lag_ns_sum: u64,
    /// The longest.
    pub lag_ns_max: u64,
}

/// One merge.
#[derive(Clone, Debug)]
pub struct MergeMetrics {
    /// Its name.
    pub name: Arc<str>,
    /// Canonical name.
    pub instrument: Arc<str>,
    /// What is merged.
    pub kind: Kind,
    /// Windows and fragments.
    pub counts: MergeCounts,
    /// Of the windows that were suppressed, in how many each provider was missing, by its name.
    pub missing: Vec<(Arc<str>, u64)>,
}

impl Shard {
    /// Everything that is counted, as it stands now; to be called between turns. Takes about 20 µs for
    /// each consumer and 1 µs for each stream.
    #[must_use]
    pub fn metrics(&self, at: Nanos) -> Metrics {
        let mut metrics = Metrics {
            at,
            routing_version: self.routing_version(),
            streams: Vec::new(),
            consumers: self.fanout.outlets().iter().map(|o| self.consumer_metrics(o)).collect(),
            merges: self.merges().map(|merge| self.merge_metrics(merge)).collect(),
            providers: Vec::new(),
            connections: Vec::new(),
            dead_letters: self.letter_counts().collect(),
        };
        for (provider, view) in self.providers() {
            for instrument in view.instruments() {
                let named = |(kind, stats): (Kind, &StreamStats)| StreamMetrics {
                    provider: provider.clone(),
                    instrument: instrument.name.clone(),
                    kind,
                    stats: stats.clone(),
                    early: self.early(view.id, instrument.id, kind),
                };
                metrics.streams.extend(instrument.streams().map(named));
            }
            metrics.providers.push((provider, view.stats()));
        }
        metrics
    }

    /// How many events of a stream wait behind a hole.
    fn early(&self, provider: ProviderId, instrument: InstrumentId, kind: Kind) -> usize {
        let lane = self.books.find(provider, instrument).and_then(|slot| slot.lane(kind));
        lane.map_or(0, |lane| self.sequences.waiting(lane))
    }

    fn consumer_metrics(&self, outlet: &Outlet) -> ConsumerMetrics {
        let tally = outlet.tally();
        // The consumer's own half first: what it has handed over was offered before.
        let Published { latency: latency_ns, queued, critical, streams } = tally.times();
        let streams = self.streams_handed(outlet, streams);
        let counts = tally.counts().with_shard_half(outlet.counts());
        let name = self.catalog().consumer_name(outlet.consumer()).unwrap_or_default();
        ConsumerMetrics { name, counts, latency_ns, queued, critical, streams }
    }

    fn merge_metrics(&self, merge: &Merge) -> MergeMetrics {
        let (spec, counts) = (merge.spec(), merge.counts().clone());
        let (name, instrument) = (Arc::from(&*spec.name), Arc::from(&*spec.instrument));
        let missing = counts.missing.iter();
        let missing = missing
            .filter_map(|(id, count)| Some((self.catalog().provider_name(*id)?, *count)))
            .collect();
        MergeMetrics { name, instrument, kind: spec.kind, counts, missing }
    }

    /// What was handed over of each stream, also where that is nothing and something is lost.
    fn streams_handed(&self, outlet: &Outlet, mut of: Vec<(Stream, Handed)>) -> Vec<StreamHanded> {
        let known: BTreeSet<Stream> = of.iter().map(|(stream, _)| *stream).collect();
        let losing = outlet.losing().filter_map(|lane| self.stream_of(lane));
        let nothing = losing.filter(|stream| !known.contains(stream));
        of.extend(nothing.map(|stream| (stream, Handed::default())));
        of.into_iter().filter_map(|of| self.stream_handed(outlet, of)).collect()
    }

    fn stream_of(&self, lane: Lane) -> Option<Stream> {
        let Entry { provider, instrument, .. } = *self.books.get(lane.slot())?;
        Some(Stream { provider, instrument, kind: lane.kind() })
    }

    fn stream_handed(&self, outlet: &Outlet, of: (Stream, Handed)) -> Option<StreamHanded> {
        let (Stream { provider, instrument, kind }, handed) = of;
        let lane = self.books.find(provider, instrument)?.lane(kind)?;
        // What is lost of a book is counted once, with its updates.
        let lost = if lane.kind() == kind { outlet.lost(lane) } else { Lost::default() };
        let provider = self.catalog.provider_name(provider)?;
        let instrument = self.catalog.instrument_name(instrument)?;
        Some(StreamHanded { provider, instrument, kind, handed, lost })
    }
}
