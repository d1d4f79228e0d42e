//! What replay and run say at the end: per provider and instrument, what came and how the books
//! stand. The field names are a contract.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use engine::dead_letters::{LetterCounts, LetterReason};
use engine::shard::{BookView, InstrumentView, StreamHanded};
use engine::{ConsumerCounts, LatencyHistogram, Metrics, Shard};
use hdrhistogram::Histogram;
use model::decimal::Plain;
use model::{Kind, Level, Nanos, Side};
use serde::Serialize;

/// Levels a side that a report shows.
const LEVELS_SHOWN: usize = 10;

/// One capture, or one provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VenueReport {
    /// Base name of the capture; the provider's name in a run.
    pub file: String,
    /// The venue.
    pub venue: String,
    /// WebSocket messages received.
    pub ws_frames: u64,
    /// Those that could not be decoded.
    pub malformed: u64,
    /// By canonical name.
    pub instruments: BTreeMap<String, InstrumentReport>,
    /// Where every stream comes over two connections: each of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub connections: Vec<ConnectionReport>,
}

/// One of two connections that bring the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ConnectionReport {
    /// Messages that it brought first, or alone.
    pub first: u64,
    /// Messages that had been there before.
    pub again: u64,
    /// By how much its copies were behind the other's, on average, in ns.
    pub lag_ns_mean: u64,
    /// The longest.
    pub lag_ns_max: u64,
}

impl ConnectionReport {
    /// Of a connection's counters.
    #[must_use]
    pub fn new(seat: &net::session::SeatStats) -> Self {
        let lag_ns_mean = seat.lag_ns_sum.checked_div(seat.lagged).unwrap_or(0);
        let (first, again, lag_ns_max) = (seat.first, seat.again, seat.lag_ns_max);
        Self { first, again, lag_ns_mean, lag_ns_max }
    }
}

/// One instrument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InstrumentReport {
    /// Decoded venue messages per kind.
    pub events: BTreeMap<&'static str, u64>,
    /// Its book; `None` where none was received.
    pub book: Option<BookReport>,
}

/// One book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BookReport {
    /// Best bids: price and quantity without trailing zeros.
    pub bids: Vec<[String; 2]>,
    /// Best offers.
    pub asks: Vec<[String; 2]>,
    /// Levels held: bids, offers.
    pub levels: [usize; 2],
    /// Whether its last state is `Live`.
    pub synced: bool,
    /// Venue checksums that agreed.
    pub checksum_ok: u64,
    /// Venue checksums that differed.
    pub checksum_failed: u64,
    /// Transitions out of `Live` by a continuity or checksum fault.
    pub gaps: u64,
    /// Returns to `Live` after the first.
    pub resyncs: u64,
}

impl VenueReport {
    /// What a shard knows of the provider of that name, with what its wires counted: messages
    /// received, and those that could not be decoded. `None` where the shard knows no such name.
    #[must_use]
    pub fn of(shard: &Shard, name: &str, venue: &str, frames: (u64, u64)) -> Option<Self> {
        let (_, provider) = shard.providers().find(|(other, _)| &**other == name)?;
        let instruments = provider.instruments();
        let heard = instruments.iter().filter(|view| view.decoded().next().is_some());
        Some(Self {
            file: name.to_owned(),
            venue: venue.to_owned(),
            ws_frames: frames.0,
            malformed: frames.1,
            instruments: heard
                .map(|view| (view.name.to_string(), InstrumentReport::new(view)))
                .collect(),
            connections: Vec::new(),
        })
    }
}

impl InstrumentReport {
    fn new(view: &InstrumentView<'_>) -> Self {
        Self {
            events: view.decoded().map(|(kind, count)| (kind.name(), count)).collect(),
            book: view.book().map(|book| BookReport::new(&book)),
        }
    }
}

impl BookReport {
    fn new(view: &BookView<'_>) -> Self {
        let side = |side| view.best(side, LEVELS_SHOWN).iter().map(shown).collect();
        let (bids, asks) = view.book.depth();
        Self {
            bids: side(Side::Buy),
            asks: side(Side::Sell),
            levels: [bids, asks],
            synced: view.is_synced(),
            checksum_ok: view.stats.checksum_ok,
            checksum_failed: view.stats.checksum_failed,
            gaps: view.stats.gaps,
            resyncs: view.stats.resyncs,
        }
    }
}

fn shown(level: &Level) -> [String; 2] {
    [Plain(level.price).to_string(), Plain(level.quantity).to_string()]
}

/// One stream of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StreamReport {
    /// The provider's name.
    pub provider: String,
    /// Canonical name.
    pub instrument: String,
    /// The kind; `book_update` stands for the whole book.
    pub kind: &'static str,
    /// Events routed, derived ones included.
    pub events: u64,
    /// Transitions out of `Live` by a continuity or checksum fault.
    pub gaps: u64,
    /// Returns to `Live` after the first.
    pub resyncs: u64,
    /// Decoded and not newer than what the stream had.
    pub duplicates: u64,
    /// Events whose venue position was below the one before it.
    pub out_of_order: u64,
    /// Events that came before something that they follow, and waited for it.
    pub early: u64,
    /// Events that came after the hole that they would have filled was given up.
    pub late: u64,
    /// From the return of the read that completed a frame to the hand-over of its event.
    pub wait_us: Latency,
    /// Venue checksums that agreed.
    pub checksum_ok: u64,
    /// Venue checksums that differed.
    pub checksum_failed: u64,
    /// The state at the end.
    pub state: &'static str,
    /// Why it was in that state.
    pub reason: &'static str,
    /// Time in which it could not be relied on, in seconds.
    pub invalid_s: f64,
    /// From leaving `Live` to being back, the last time, in milliseconds.
    pub last_recovery_ms: Option<f64>,
    /// The share of its time in which it was `Live`, in percent.
    pub valid_pct: f64,
}

impl StreamReport {
    /// Every stream of a shard of which anything was heard.
    #[must_use]
    pub fn all(shard: &Shard, now: Nanos) -> Vec<Self> {
        let mut all = Vec::new();
        for (provider, view) in shard.providers() {
            for instrument in view.instruments() {
                // A book's snapshots are counted with its updates' state.
                let streams = instrument.streams().filter(|(kind, _)| *kind != Kind::BookSnapshot);
                all.extend(streams.map(|(kind, stats)| Self {
                    provider: provider.to_string(),
                    instrument: instrument.name.to_string(),
                    kind: kind.name(),
                    events: stats.emitted,
                    gaps: stats.gaps,
                    resyncs: stats.resyncs,
                    duplicates: stats.duplicates,
                    out_of_order: stats.out_of_order,
                    early: stats.early,
                    late: stats.late,
                    wait_us: Latency::of(&stats.wait),
                    checksum_ok: stats.checksum_ok,
                    checksum_failed: stats.checksum_failed,
                    state: stats.state.name(),
                    reason: stats.reason.name(),
                    invalid_s: stats.not_live_ns(now) as f64 / 1e9,
                    last_recovery_ms: stats.last_recovery_ns.map(|ns| ns as f64 / 1e6),
                    valid_pct: f64::from(stats.valid_ppm(now)) / 10_000.0,
                }));
            }
        }
        all
    }
}

/// Durations in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    /// Median.
    pub p50: f64,
    /// 99 of 100 are below it.
    pub p99: f64,
    /// 999 of 1,000 are.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

impl Latency {
    /// Of a histogram that knows each to an eighth.
    #[must_use]
    pub fn of(ns: &LatencyHistogram) -> Self {
        let at = |ppm| us(ns.at(ppm));
        Self { p50: at(500_000), p99: at(990_000), p999: at(999_000), max: us(ns.max_ns()) }
    }

    /// Of one that knows each to three digits.
    #[must_use]
    pub fn exact(ns: &Histogram<u64>) -> Self {
        let at = |quantile| us(ns.value_at_quantile(quantile));
        Self { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: us(ns.max()) }
    }
}

fn us(ns: u64) -> f64 {
    ns as f64 / 1_000.0
}

/// How a consumer's queue did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct QueueReport {
    /// Stream states that a later one stands for.
    pub merged: u64,
    /// Book snapshots that stand for withheld updates.
    pub snapshots: u64,
    /// The most events of market data that were in the ring at the end of a turn.
    pub queued_max: u64,
    /// The most events that waited behind the full ring at the end of a turn.
    pub waiting_max: u64,
    /// How long events waited behind the full ring, in seconds.
    pub behind_s: f64,
    /// How often, and for how long, the critical window was full.
    pub stalls: u64,
    /// In seconds.
    pub stalled_s: f64,
    /// Calls of handlers that took long, and that did not return for long.
    pub slow: u64,
    /// See `slow`.
    pub blocked: u64,
    /// Panics of handlers.
    pub panics: u64,
    /// From the return of the read that completed a frame to the handler's entry, market data.
    pub latency_us: Latency,
    /// Of that, from the hand-over to the fan-out on: decoding, routing, the queue and the wake.
    pub queued_us: Latency,
    /// By stream of market data, before the connections were closed.
    pub streams: Vec<HandedReport>,
}

/// What one consumer got of one stream.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HandedReport {
    /// The provider's name, or the merge's.
    pub provider: String,
    /// Canonical name.
    pub instrument: String,
    /// The kind.
    pub kind: &'static str,
    /// Events handed to it.
    pub delivered: u64,
    /// Events that newer ones of the stream replaced or were merged into; of a book with its updates.
    pub conflated: u64,
    /// Trades dropped because too many waited.
    pub dropped: u64,
    /// Mean of the latency of what was handed to it.
    pub latency_us_mean: f64,
    /// The longest.
    pub latency_us_max: f64,
}

impl QueueReport {
    /// Of what a consumer came to, with what the shard counted before the connections were closed.
    #[must_use]
    pub fn of(consumer: &ConsumerReport, metrics: &Metrics) -> Self {
        let ConsumerReport { id, counts, latency_ns } = consumer;
        let found = metrics.consumers.iter().find(|of| *of.name == **id);
        let seconds = |ns: u64| ns as f64 / 1e9;
        Self {
            merged: counts.merged,
            snapshots: counts.snapshots,
            queued_max: counts.queued_max,
            waiting_max: counts.waiting_max,
            behind_s: seconds(counts.behind_ns),
            stalls: counts.stalls,
            stalled_s: seconds(counts.stalled_ns),
            slow: counts.slow,
            blocked: counts.blocked,
            panics: counts.panics,
            latency_us: Latency::exact(latency_ns),
            queued_us: found.map(|of| Latency::of(&of.queued)).unwrap_or_default(),
            streams: found
                .map_or_else(Vec::new, |of| of.streams.iter().map(HandedReport::of).collect()),
        }
    }
}

impl HandedReport {
    fn of(of: &StreamHanded) -> Self {
        let StreamHanded { provider, instrument, kind, handed, lost } = of;
        Self {
            provider: provider.to_string(),
            instrument: instrument.to_string(),
            kind: kind.name(),
            delivered: handed.delivered,
            conflated: lost.conflated,
            dropped: lost.dropped,
            latency_us_mean: us(handed.latency_sum_ns / handed.delivered.max(1)),
            latency_us_max: us(handed.latency_max_ns),
        }
    }
}

/// One merge of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MergeReport {
    /// Its name.
    pub merge: String,
    /// Canonical name.
    pub instrument: String,
    /// The kind that is merged.
    pub kind: &'static str,
    /// Events that were taken into a window.
    pub fragments: u64,
    /// Windows that went out.
    pub emitted: u64,
    /// Windows that did not, since a provider was missing.
    pub suppressed_partial: u64,
    /// Of those, windows during which every provider's stream was `Live` all the time.
    pub suppressed_while_up: u64,
    /// In how many of the suppressed windows each provider was missing.
    pub missing: BTreeMap<String, u64>,
    /// Events that were read before the last window closed and came after it.
    pub late_dropped: u64,
}

impl MergeReport {
    /// Every merge of a shard.
    #[must_use]
    pub fn all(shard: &Shard) -> Vec<Self> {
        let report = |merge: &engine::Merge| {
            let (spec, counts) = (merge.spec(), merge.counts());
            let name = |id| shard.catalog().provider_name(id).unwrap_or_default().to_string();
            let missing = counts.missing.iter().map(|(id, count)| (name(*id), *count));
            Self {
                merge: spec.name.to_string(),
                instrument: spec.instrument.to_string(),
                kind: spec.kind.name(),
                fragments: counts.fragments,
                emitted: counts.emitted,
                suppressed_partial: counts.suppressed,
                suppressed_while_up: counts.suppressed_up,
                missing: missing.collect(),
                late_dropped: counts.late,
            }
        };
        shard.merges().map(report).collect()
    }

    /// The share of windows that went out, in percent, of those during which nobody was away; 100
    /// where there was none.
    #[must_use]
    pub fn emitted_while_up_pct(&self) -> f64 {
        let up = self.emitted + self.suppressed_while_up;
        if up == 0 { 100.0 } else { self.emitted as f64 * 100.0 / up as f64 }
    }
}

/// What could not be used or delivered, of one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LetterReport {
    /// Why.
    pub reason: &'static str,
    /// How many there were.
    pub seen: u64,
    /// Of those, how many were counted and not kept.
    pub lost: u64,
}

impl LetterReport {
    /// Of a shard's counters.
    #[must_use]
    pub fn of((reason, counts): (LetterReason, LetterCounts)) -> Self {
        Self { reason: reason.name(), seen: counts.seen, lost: counts.lost }
    }
}

/// One consumer of a run.
#[derive(Clone, Debug)]
pub struct ConsumerReport {
    /// Its name.
    pub id: String,
    /// What was counted for it.
    pub counts: ConsumerCounts,
    /// From the return of the read that completed a frame to the handler's entry, in ns; market data
    /// alone.
    pub latency_ns: Histogram<u64>,
}

/// The reports for people: a line an instrument.
#[must_use]
pub fn text(reports: &[VenueReport]) -> String {
    let mut text = String::new();
    for report in reports {
        let VenueReport { file, venue, ws_frames, malformed, .. } = report;
        let _ = writeln!(text, "{file} ({venue}): {ws_frames} frames, {malformed} malformed");
        for (name, instrument) in &report.instruments {
            let events: Vec<_> =
                instrument.events.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
            let _ = write!(text, "  {name:<20} {}", events.join(", "));
            if let Some(book) = &instrument.book {
                let best = |side: &[[String; 2]]| side.first().map_or("-".into(), |l| l[0].clone());
                let state = if book.synced { "live" } else { "not live" };
                let _ = write!(
                    text,
                    "; book {state}, {} / {}, {} gaps, {} resyncs",
                    best(&book.bids),
                    best(&book.asks),
                    book.gaps,
                    book.resyncs
                );
            }
            text.push('\n');
        }
    }
    text.truncate(text.trim_end().len());
    text
}
