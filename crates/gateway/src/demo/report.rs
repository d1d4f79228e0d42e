//! What a demo and a soak say at the end. The field names are a contract.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use pool::PoolStats;
use serde::Serialize;
use sim::accounts::Counts;

use super::memory::Slope;
use crate::outcome::Summary;
use crate::report::{
    ConsumerReport, Latency, LetterReport, MergeReport, QueueReport, StreamReport,
};
use crate::trading::OrderCounts;

/// Growth of memory is said of runs that take at least so long: in shorter ones it is noise.
const SLOPE_FROM: Duration = Duration::from_secs(300);

/// What a demo came to.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// How long the gateway ran, in seconds.
    pub elapsed_s: f64,
    /// WebSocket messages received.
    pub frames: u64,
    /// Events routed.
    pub events: u64,
    /// Messages that could not be read.
    pub malformed: u64,
    /// From the return of the read that completed a frame to the handler's entry, market data.
    pub latency_us: Latency,
    /// Per stream.
    pub streams: Vec<StreamReport>,
    /// Per consumer.
    pub consumers: Vec<Consumer>,
    /// What became of the orders.
    pub orders: Orders,
    /// What became of the merge windows.
    pub merges: Merges,
    /// What could not be used or delivered, by reason.
    pub dead_letters: Vec<LetterReport>,
    /// The pools when all was closed.
    pub pools: Vec<Pool>,
    /// Whether every book equals the simulator's own.
    pub books_match_venues: bool,
    /// Memory of this process, simulators included.
    pub memory: Memory,
}

/// One consumer.
#[derive(Clone, Debug, Serialize)]
pub struct Consumer {
    /// Its name.
    pub id: String,
    /// Events handed to it.
    pub delivered: u64,
    /// Market data that newer data of its stream replaced.
    pub conflated: u64,
    /// Trades dropped because too many waited.
    pub dropped: u64,
    /// Critical events handed to it.
    pub critical_delivered: u64,
    /// Reports of the simulators that never came.
    pub critical_lost: u64,
    /// How its queue did.
    #[serde(flatten)]
    pub queue: QueueReport,
}

/// Orders of all consumers.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Orders {
    /// Handed in by consumers.
    pub submitted: u64,
    /// Acknowledged by their venue.
    pub acked: u64,
    /// Filled whole.
    pub filled: u64,
    /// Cancelled.
    pub cancelled: u64,
    /// Refused.
    pub rejected: u64,
    /// Denied before anything was sent.
    pub denied: u64,
    /// Of unknown outcome still.
    pub unknown: u64,
    /// Requests per client order id beyond one, as the simulators count them.
    pub sent_twice: u64,
    /// Reports that the simulators sent.
    pub reports_sent_by_venues: u64,
    /// Reports that consumers got.
    pub reports_delivered: u64,
}

/// Merge windows, over all merges.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Merges {
    /// Windows emitted.
    pub emitted: u64,
    /// Windows in which a provider was missing.
    pub suppressed_partial: u64,
    /// Fragments that came after their window had closed.
    pub late_dropped: u64,
    /// Of the windows during which no provider was away, the share that was emitted, in percent.
    pub emitted_while_up_pct: f64,
    /// In how many of the suppressed windows each provider was missing.
    pub missing: BTreeMap<String, u64>,
}

/// One pool.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Pool {
    /// Its name.
    pub name: &'static str,
    /// How many objects there are.
    pub capacity: u16,
    /// How many are out.
    pub in_use: u16,
    /// How many were out at most.
    pub high_water: u16,
    /// Waits that ended with nothing.
    pub timeouts: u64,
    /// How often something was wanted at once, and nothing was free.
    pub exhausted: u64,
}

/// Memory of the process.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Memory {
    /// Resident when the first sample was taken.
    pub rss_start_bytes: u64,
    /// And when the last was.
    pub rss_end_bytes: u64,
    /// Fitted through the samples after the first quarter; `None` of less than 5 minutes.
    pub slope_bytes_per_hour: Option<f64>,
}

impl Report {
    pub(super) fn new(
        summary: &Summary,
        orders: Orders,
        books_match_venues: bool,
        memory: Memory,
    ) -> Self {
        let providers = &summary.providers;
        Self {
            elapsed_s: summary.elapsed.as_secs_f64(),
            frames: providers.iter().map(|provider| provider.ws_frames).sum(),
            events: summary.streams.iter().map(|stream| stream.events).sum(),
            malformed: providers.iter().map(|provider| provider.malformed).sum(),
            latency_us: latency(&summary.consumers),
            streams: summary.streams.clone(),
            consumers: summary.consumers.iter().map(|of| Consumer::new(of, summary)).collect(),
            orders,
            merges: Merges::of(&summary.merges),
            dead_letters: summary.dead_letters.clone(),
            pools: summary.pools.iter().map(Pool::new).collect(),
            books_match_venues,
            memory,
        }
    }

    /// So many reports never came to a consumer.
    pub(super) fn lost(&mut self, consumer: &str, reports: u64) {
        let of = self.consumers.iter_mut().filter(|of| of.id == consumer);
        of.for_each(|of| of.critical_lost = reports);
    }

    /// What did not hold, in words.
    #[must_use]
    pub fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        if !self.books_match_venues {
            broken.push("a book differs from its venue's".to_owned());
        }
        let out = self.pools.iter().filter(|pool| pool.in_use > 0);
        broken.extend(out.map(|pool| format!("{} of {} are not back", pool.in_use, pool.name)));
        if self.orders.sent_twice > 0 {
            broken.push(format!("{} orders were sent twice", self.orders.sent_twice));
        }
        let lost: u64 = self.consumers.iter().map(|consumer| consumer.critical_lost).sum();
        if lost > 0 {
            broken.push(format!("{lost} critical events were lost"));
        }
        broken
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { elapsed_s, frames, events, malformed, latency_us, .. } = self;
        let Latency { p50, p99, p999, max } = latency_us;
        let sum = |of: fn(&StreamReport) -> u64| self.streams.iter().map(of).sum::<u64>();
        let (gaps, resyncs) = (sum(|stream| stream.gaps), sum(|stream| stream.resyncs));
        let live = self.streams.iter().filter(|stream| stream.state == "Live").count();
        let streams = self.streams.len();
        writeln!(
            f,
            "ran for {elapsed_s:.1} s: {frames} frames, {malformed} unreadable; {events} events\n\
             to the handlers: p50 {p50:.1} µs, p99 {p99:.1} µs, p99.9 {p999:.1} µs, max {max:.0} µs\n\
             {live} of {streams} streams live; {gaps} gaps, {resyncs} resyncs"
        )?;
        self.write_consumers(f)?;
        self.write_orders(f)?;
        self.write_pools(f)?;
        let equal =
            if self.books_match_venues { "every book equals" } else { "NOT every book equals" };
        let mib = |bytes: u64| bytes / (1_024 * 1_024);
        let Memory { rss_start_bytes, rss_end_bytes, slope_bytes_per_hour } = self.memory;
        let (start, end) = (mib(rss_start_bytes), mib(rss_end_bytes));
        write!(f, "{equal} its venue's own\nmemory {start} → {end} MiB")?;
        match slope_bytes_per_hour {
            Some(slope) => writeln!(f, ", {:.2} MiB an hour", slope / (1_024.0 * 1_024.0)),
            None => writeln!(f),
        }
    }
}

impl Report {
    fn write_consumers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:<15} {:>9} {:>9} {:>7} {:>9} {:>6} {:>7} {:>8}",
            "consumer", "events", "conflated", "dropped", "p99 µs", "queued", "waiting", "behind s"
        )?;
        for Consumer { id, delivered, conflated, dropped, queue, .. } in &self.consumers {
            let QueueReport { queued_max, waiting_max, behind_s, latency_us, .. } = queue;
            let p99 = latency_us.p99;
            writeln!(
                f,
                "{id:<15} {delivered:>9} {conflated:>9} {dropped:>7} {p99:>9.1} {queued_max:>6} \
                 {waiting_max:>7} {behind_s:>8.1}"
            )?;
        }
        Ok(())
    }

    fn write_orders(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Orders { submitted, acked, filled, cancelled, rejected, denied, unknown, .. } =
            self.orders;
        let reports = self.orders.reports_delivered;
        let Merges { emitted, suppressed_partial, late_dropped, emitted_while_up_pct, missing } =
            &self.merges;
        let missing = missing.iter().filter(|(_, windows)| **windows > 0);
        let missing = missing.map(|(provider, windows)| format!(", {provider} in {windows}"));
        let missing = missing.collect::<String>().replacen(", ", ": missing ", 1);
        writeln!(
            f,
            "\norders: {submitted} submitted, {acked} acknowledged, {filled} filled, {cancelled} \
             cancelled,\n  {rejected} rejected, {denied} denied, {unknown} unknown; {reports} reports delivered\n\
             merged windows: {emitted} emitted ({emitted_while_up_pct:.1} % while no venue was \
             away),\n  {suppressed_partial} suppressed{missing}, {late_dropped} late events"
        )
    }

    fn write_pools(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{:<15} {:>9} {:>9} {:>10}", "pool", "at most", "capacity", "times none")?;
        for Pool { name, capacity, high_water, exhausted, .. } in &self.pools {
            writeln!(f, "{name:<15} {high_water:>9} {capacity:>9} {exhausted:>10}")?;
        }
        writeln!(f)
    }
}

impl Orders {
    /// What came of them here, and what the venues counted.
    pub(super) fn of(summary: &Summary, venues: &[Counts]) -> Self {
        let ours = summary.orders;
        let OrderCounts { submitted, denied, acked, filled, cancelled, rejected, unknown, .. } =
            ours;
        Self {
            submitted,
            acked,
            filled,
            cancelled,
            rejected,
            denied,
            unknown,
            sent_twice: venues.iter().map(|counts| counts.sent_twice).sum(),
            reports_sent_by_venues: venues.iter().map(|counts| counts.reports).sum(),
            reports_delivered: ours.delivered,
        }
    }
}

impl Merges {
    fn of(merges: &[MergeReport]) -> Self {
        let mut all = MergeReport::default();
        for merge in merges {
            all.emitted += merge.emitted;
            all.suppressed_partial += merge.suppressed_partial;
            all.suppressed_while_up += merge.suppressed_while_up;
            all.late_dropped += merge.late_dropped;
            for (provider, count) in &merge.missing {
                *all.missing.entry(provider.clone()).or_default() += count;
            }
        }
        Self {
            emitted: all.emitted,
            suppressed_partial: all.suppressed_partial,
            late_dropped: all.late_dropped,
            emitted_while_up_pct: all.emitted_while_up_pct(),
            missing: all.missing,
        }
    }
}

/// Of all consumers together.
fn latency(consumers: &[ConsumerReport]) -> Latency {
    let mut all: Option<Histogram<u64>> = None;
    for ConsumerReport { latency_ns, .. } in consumers {
        match &mut all {
            None => all = Some(latency_ns.clone()),
            // All have the same bounds.
            Some(all) => drop(all.add(latency_ns)),
        }
    }
    all.as_ref().map(Latency::exact).unwrap_or_default()
}

impl Consumer {
    fn new(of: &ConsumerReport, summary: &Summary) -> Self {
        let counts = of.counts;
        Self {
            id: of.id.clone(),
            delivered: counts.delivered,
            conflated: counts.conflated,
            dropped: counts.dropped,
            critical_delivered: counts.critical_delivered,
            critical_lost: 0,
            queue: QueueReport::of(of, &summary.metrics),
        }
    }
}

impl Pool {
    pub(super) fn new(stats: &PoolStats) -> Self {
        Self {
            name: stats.pool,
            capacity: stats.capacity,
            in_use: stats.in_use,
            high_water: stats.high_water,
            timeouts: stats.timeouts,
            exhausted: stats.exhausted,
        }
    }
}

impl Memory {
    /// Of samples (time, resident bytes) in their order.
    pub(super) fn of(samples: &[(Duration, u64)]) -> Self {
        let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
            return Self::default();
        };
        let long = last.0.saturating_sub(first.0) >= SLOPE_FROM;
        // At the start memory grows with all that is made once.
        let warm = first.0 + last.0.saturating_sub(first.0) / 4;
        let warm = samples.partition_point(|(at, _)| *at < warm);
        let slope = if long { Slope::through(&samples[warm..]) } else { None };
        Self {
            rss_start_bytes: first.1,
            rss_end_bytes: last.1,
            slope_bytes_per_hour: slope.map(|slope| slope.bytes_per_hour.round()),
        }
    }
}
