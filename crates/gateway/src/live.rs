//! The shard's thread over real sockets: one runtime, one task, turn after turn.
//!
//! A turn sees to orders, polls every provider's wire for a bounded number of frames, ends the engine's
//! turn (queues, wakes) and goes back to the runtime, which waits for sockets, timers and answers.

mod orders;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use engine::control::OperatorEnd;
use engine::{Capacity, Catalog, Inbox, MergeSpec, Metrics, Shard, Tally};
use model::venue::Pipeline;
use model::{Kind, Nanos, ProviderId};
use net::http::{HttpConfig, HttpThread};
use net::session::SeatStats;
use net::{
    Connector, Ports, Resolver, Session, SessionConfig, SystemResolver, Tls, Wire, WireParts,
    WsTimeouts,
};
use pool::Manager;
use store::capture::RecorderTap;

use crate::clock::SystemClock;
use crate::config::{Config, Merge, Network, subscriptions};
use crate::consumers::{ConsumerOptions, Seat, Seated, Source};
use crate::dead_letters::{Clerk, DeadLetterQueue};
use crate::metrics::{MetricsEnd, connections};
use crate::outcome::{Gauges, RunError, Stop, Summary};
use crate::report::{
    ConnectionReport, ConsumerReport, LetterReport, MergeReport, StreamReport, VenueReport,
};

/// Frames read per provider and turn, so that none keeps the others waiting.
const FRAMES_PER_TURN: usize = 128;
/// Connections are closed, consumers finish and pooled objects come home within so long each.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// What is known of orders is written and delivered within so long.
const SETTLE_WITHIN: Duration = Duration::from_secs(2);

/// How often it is looked whether handlers return.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// What a run is made of, beside its consumers.
pub(crate) struct Parts {
    pub config: Config,
    pub clock: SystemClock,
    /// One per provider, or none.
    pub taps: Vec<RecorderTap>,
    pub duration: Option<Duration>,
    pub stop: Stop,
    pub signals: bool,
    pub gauges: Gauges,
    pub operators: OperatorEnd,
    pub dead_letters: DeadLetterQueue,
    pub metrics: MetricsEnd,
}

use orders::Orders;

/// One provider on the shard.
struct Line {
    name: String,
    venue: String,
    provider: ProviderId,
    redundancy: u8,
    wire: Wire,
}

/// Lends a provider's port, stamped.
struct ShardPorts<'a> {
    shard: &'a mut Shard,
    provider: ProviderId,
    clock: SystemClock,
}

impl Ports for ShardPorts<'_> {
    fn with(&mut self, now: Nanos, f: &mut dyn FnMut(&mut dyn Pipeline)) {
        let mut port = self.shard.port(self.provider, now);
        port.ts_emit = self.clock.now();
        f(&mut port);
    }
}

/// Runs until stopped.
pub(crate) fn run(parts: Parts, seats: Vec<Seat>) -> Result<Summary, RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| RunError::new("the shard's runtime", error))?;
    runtime.block_on(run_shard(parts, seats))
}

async fn run_shard(parts: Parts, seats: Vec<Seat>) -> Result<Summary, RunError> {
    let Parts { config, clock, taps, duration, stop, signals, gauges, .. } = parts;
    let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
    parts.metrics.attach(waker.clone());
    let mut shard = Shard::new(Capacity::default(), Catalog::new(), waker);
    shard.set_budget(config.dispatch.events_per_s, clock.now());
    gauges.show(shard.pools().manager());
    shard.set_control(config.control);
    shard.attach_operators(parts.operators);
    let kept = (parts.dead_letters, &config.dead_letters);
    let clerk = Clerk::start(shard.dead_letters(), kept, shard.catalog().clone(), clock)?;
    let network = Wires::new(&config.network, clock)?;
    let mut lines = lines(&config, &network, taps, &mut shard, clock)?;
    let mut guests = welcome(&mut shard, seats, &config, clock)?;
    let mut orders = Orders::start(&config, &network, &mut shard, &mut guests, clock)?;
    let mut seated = seat(guests, clock)?;
    if signals {
        stop_on_signals(stop.clone())?;
    }
    let started = clock.now();
    shard.end_turn(started);
    tell_venues(&mut lines, &mut shard, clock);
    #[cfg(feature = "leak")]
    let mut leak = crate::leak::Leak::default();
    let mut end = duration.map(|after| Box::pin(tokio::time::sleep(after)));
    let mut alarm = Alarm::new();
    let mut watch_at = clock.now() + WATCH_EVERY;
    poll_fn(|cx| {
        let over = end.as_mut().is_some_and(|end| end.as_mut().poll(cx).is_ready());
        if over || stop.poll(cx) {
            return Poll::Ready(());
        }
        #[cfg(feature = "leak")]
        leak.turn(&shard, clock.now());
        if turn(&mut lines, &mut orders, &mut shard, &mut seated, cx) {
            cx.waker().wake_by_ref();
        }
        parts.metrics.serve(|| metrics(&lines, &shard, clock.now()));
        if watch_at <= clock.now() {
            shard.watch_handlers(clock.now());
            watch_at = clock.now() + WATCH_EVERY;
        }
        let of_orders = orders.as_ref().and_then(|orders| orders.deadline(clock.now()));
        let due = [shard.deadline(), seated.deadline(), of_orders, Some(watch_at)];
        alarm.set(due.into_iter().flatten().min(), clock, cx);
        Poll::Pending
    })
    .await;
    // Where time has ended it, whoever looks is to see that too.
    stop.stop();
    let mut summary = what_it_came_to(&lines, &shard, clock, started);
    if let Some(orders) = &mut orders {
        settle(orders, &mut shard, clock).await;
        summary.orders = orders.counts();
    }
    close(&mut lines, &mut orders, &mut shard, clock).await;
    shard.end_turn(clock.now());
    // What the closing led to is written too.
    let written = orders.map_or(Ok(()), |orders| orders.finish(&mut shard, clock));
    let tallies = seated.tallies();
    drop(lines);
    let manager = shard.pools().manager().clone();
    drop(shard);
    summary.stuck = seated.join(CLOSE_WITHIN);
    clerk.join();
    come_home(&manager, &mut summary);
    summary.consumers = tallies.iter().map(|(name, tally)| of_consumer(name, tally)).collect();
    written.map(|()| summary)
}

fn of_consumer(name: &str, tally: &Tally) -> ConsumerReport {
    ConsumerReport { id: name.to_owned(), counts: tally.counts(), latency_ns: tally.latency() }
}

/// Waits until every pooled object is back, and tells of those that are not.
fn come_home(manager: &Manager, summary: &mut Summary) {
    summary.pools = manager.stats();
    let shutdown = manager.shutdown(CLOSE_WITHIN);
    if !shutdown.is_clean() {
        tracing::error!("the pools: {shutdown}");
    }
    summary.unreturned = shutdown.unreturned;
}

/// The run as it stands before the connections are closed: that is what it came to.
fn what_it_came_to(lines: &[Line], shard: &Shard, clock: SystemClock, started: Nanos) -> Summary {
    let now = clock.now();
    Summary {
        elapsed: now.since(started),
        providers: lines.iter().filter_map(|line| line.report(shard)).collect(),
        streams: StreamReport::all(shard, now),
        merges: MergeReport::all(shard),
        dead_letters: shard.letter_counts().map(LetterReport::of).collect(),
        metrics: metrics(lines, shard, now),
        ..Summary::default()
    }
}

/// All that is counted: by the shard, and by the sessions.
fn metrics(lines: &[Line], shard: &Shard, now: Nanos) -> Metrics {
    let connections = lines.iter().flat_map(|line| connections(&line.name, line.seats()));
    Metrics { connections: connections.collect(), ..shard.metrics(now) }
}

/// Calls for a turn when the engine wants one though nothing arrives.
struct Alarm {
    sleep: Pin<Box<tokio::time::Sleep>>,
    at: Option<Nanos>,
}

impl Alarm {
    fn new() -> Self {
        Self { sleep: Box::pin(tokio::time::sleep(Duration::ZERO)), at: None }
    }

    /// From here on it goes off at `at`; a new time alone touches the timer.
    fn set(&mut self, at: Option<Nanos>, clock: SystemClock, cx: &mut Context<'_>) {
        if let Some(at) = at.filter(|at| self.at != Some(*at)) {
            let left = at.since(clock.now());
            self.sleep.as_mut().reset(tokio::time::Instant::now() + left);
        }
        self.at = at;
        if at.is_some() && self.sleep.as_mut().poll(cx).is_ready() {
            self.at = None;
            cx.waker().wake_by_ref();
        }
    }
}

/// One turn of the shard; says whether there is more to do at once.
fn turn(
    lines: &mut [Line],
    orders: &mut Option<Orders>,
    shard: &mut Shard,
    seated: &mut Seated,
    cx: &mut Context<'_>,
) -> bool {
    let (clock, mut busy) = (seated.clock(), false);
    // Execution comes before market data.
    if let Some(orders) = orders {
        busy |= orders.turn(shard, clock, cx);
    }
    for line in &mut *lines {
        // Without a free event nothing could be decoded: what is there waits for the next turn.
        let frames = if shard.can_read() { FRAMES_PER_TURN } else { 0 };
        let ports = &mut ShardPorts { shard, provider: line.provider, clock };
        busy |= line.wire.poll_turn(cx, ports, frames).is_ready();
    }
    // Before the others are woken, which takes longer than a short handler.
    seated.run_residents();
    shard.end_turn(clock.now());
    busy | tell_venues(lines, shard, clock) | seated.resident_waits()
}

/// Tells venues what is to be subscribed and what not any more, as far as their message budgets are
/// free; whether there was anything.
fn tell_venues(lines: &mut [Line], shard: &mut Shard, clock: SystemClock) -> bool {
    let mut told = false;
    for line in lines {
        loop {
            let commands = shard.venue_commands(line.provider, line.wire.session().can_send());
            if commands.is_empty() {
                break;
            }
            told = true;
            let ports = &mut ShardPorts { shard, provider: line.provider, clock };
            commands.iter().for_each(|command| line.wire.command(command, ports));
        }
    }
    told
}

/// Lets orders come to rest: nothing new goes, and what is known is written and delivered.
async fn settle(orders: &mut Orders, shard: &mut Shard, clock: SystemClock) {
    orders.end_trading(shard);
    let rested = poll_fn(|cx| {
        if orders.turn(shard, clock, cx) {
            cx.waker().wake_by_ref();
        }
        shard.end_turn(clock.now());
        let rested = orders.is_settled() && orders.has_written(&orders.handed_over());
        if rested { Poll::Ready(()) } else { Poll::Pending }
    });
    if tokio::time::timeout(SETTLE_WITHIN, rested).await.is_err() {
        tracing::warn!("not everything about orders could be written; the next start asks venues");
    }
}

/// Closes every connection, all at once.
async fn close(
    lines: &mut [Line],
    orders: &mut Option<Orders>,
    shard: &mut Shard,
    clock: SystemClock,
) {
    if let Some(orders) = orders {
        orders.begin_close(shard, clock);
    }
    for Line { provider, wire, .. } in &mut *lines {
        wire.begin_close(&mut ShardPorts { shard, provider: *provider, clock });
    }
    let of_orders = orders.iter_mut().flat_map(Orders::wires);
    let mut wires: Vec<_> = of_orders.chain(lines.iter_mut().map(|line| &mut line.wire)).collect();
    let all = poll_fn(|cx| {
        let open =
            wires.iter_mut().filter_map(|wire| wire.poll_closed(cx).is_pending().then_some(()));
        if open.count() == 0 { Poll::Ready(()) } else { Poll::Pending }
    });
    if tokio::time::timeout(CLOSE_WITHIN, all).await.is_err() {
        tracing::warn!("some connections did not close in time");
    }
}

/// Every provider with its machine, session and wires.
fn lines(
    config: &Config,
    network: &Wires,
    taps: Vec<RecorderTap>,
    shard: &mut Shard,
    clock: SystemClock,
) -> Result<Vec<Line>, RunError> {
    let mut taps = taps.into_iter();
    let mut lines = Vec::new();
    for (index, provider) in config.providers.iter().enumerate() {
        let id = shard
            .catalog()
            .provider(&provider.name)
            .map_err(|error| RunError::new("a provider", error))?;
        let machine = venues::create(&provider.venue, provider.settings.clone())
            .ok_or_else(|| RunError(format!("the venue '{}' is not known", provider.venue)))?;
        shard.follow(id, machine.profile(), provider.settings.limits);
        if let Some(abilities) = venues::registry::abilities(&provider.venue) {
            shard.offer(id, abilities.kinds);
        }
        shard
            .pin(id, &subscriptions(&provider.instruments, &provider.kinds))
            .map_err(|error| RunError::new("a provider's instruments", error))?;
        // Two providers must not jitter alike; the start makes two runs differ.
        let seed = clock.now().0.wrapping_add(index as u64);
        let session = Session::new(
            machine,
            SessionConfig {
                redundancy: provider.redundancy,
                request_timeout: config.network.request_timeout,
                connect_timeout: config.network.connect_timeout + Duration::from_secs(5),
                ..SessionConfig::new(&provider.name, seed)
            },
        );
        let wire = Wire::new(WireParts {
            http: network.http.port(session.profile().used_weight_header),
            session,
            connector: network.connector.clone(),
            frames: shard.pools().ws_frames.clone(),
            tap: taps.next().map(|tap| Box::new(tap) as Box<dyn model::capture::Tap>),
        });
        let (name, venue) = (provider.name.clone(), provider.venue.clone());
        let redundancy = provider.redundancy;
        lines.push(Line { name, venue, provider: id, redundancy, wire });
    }
    Ok(lines)
}

/// What all providers share.
struct Wires {
    connector: Arc<Connector>,
    http: HttpThread,
}

impl Wires {
    fn new(network: &Network, clock: SystemClock) -> Result<Self, RunError> {
        let pem = network
            .tls_ca_file
            .as_ref()
            .map(std::fs::read)
            .transpose()
            .map_err(|error| RunError::new("network.tls_ca_file", error))?;
        let tls = Tls::new(pem.as_deref()).map_err(|error| RunError::new("TLS", error))?;
        let resolver: Arc<dyn Resolver> = Arc::new(SystemResolver);
        let config = HttpConfig {
            connect_timeout: network.connect_timeout,
            ..HttpConfig::new(resolver.clone(), tls.clone())
        };
        let http = HttpThread::start(config).map_err(|error| RunError::new("HTTP", error))?;
        let timeouts = WsTimeouts { connect: network.connect_timeout, ..WsTimeouts::default() };
        let clock = Arc::new(clock);
        Ok(Self { connector: Arc::new(Connector { resolver, tls, clock, timeouts }), http })
    }
}

impl Line {
    /// Where every stream comes over two connections, each of them.
    fn seats(&self) -> Vec<SeatStats> {
        if self.redundancy == 1 { Vec::new() } else { self.wire.session().seats().to_vec() }
    }

    fn report(&self, shard: &Shard) -> Option<VenueReport> {
        let stats = self.wire.session().stats();
        let frames = (stats.frames, stats.malformed);
        let report = VenueReport::of(shard, &self.name, &self.venue, frames)?;
        let connections = self.seats().iter().map(ConnectionReport::new).collect();
        Some(VenueReport { connections, ..report })
    }
}

/// A consumer with its queue, before it has a thread.
struct Guest {
    inbox: Inbox,
    options: ConsumerOptions,
    source: Source,
}

/// Gives every consumer its queue, its rights and what it subscribes.
fn welcome(
    shard: &mut Shard,
    seats: Vec<Seat>,
    config: &Config,
    clock: SystemClock,
) -> Result<Vec<Guest>, RunError> {
    for merge in &config.merges {
        shard.add_merge(&merge.spec).map_err(|error| RunError::new("a merge", error))?;
    }
    for consumer in &config.consumers {
        if !seats.iter().any(|seat| seat.name == consumer.name) {
            let name = &consumer.name;
            tracing::info!(name, "the configuration has a [[consumer]] that this program has not");
        }
    }
    let mut guests = Vec::new();
    for Seat { name, options, source } in seats {
        let known = config.consumers.iter().find(|consumer| consumer.name == name);
        let mut options = options.configured(known);
        let inbox = shard
            .add_consumer(&name, options.queue, clock.now())
            .map_err(|error| RunError::new("a consumer", error))?;
        shard.set_rights(inbox.id(), options.rights);
        options.wants.consumer = inbox.id();
        shard
            .subscribe(&options.wants, clock.now())
            .map_err(|why| RunError(format!("what '{name}' subscribes: {}", why.text())))?;
        guests.push(Guest { inbox, options, source });
    }
    for merge in &config.merges {
        subscribe_merge(shard, merge, clock)?;
    }
    Ok(guests)
}

/// Gives every consumer its thread.
fn seat(guests: Vec<Guest>, clock: SystemClock) -> Result<Seated, RunError> {
    let mut seated = Seated::new(clock);
    for Guest { inbox, options, source } in guests {
        seated.add(inbox, &options, source)?;
    }
    Ok(seated)
}

/// Who a merge's configuration names gets its events, whatever else it wants.
fn subscribe_merge(shard: &mut Shard, merge: &Merge, clock: SystemClock) -> Result<(), RunError> {
    let MergeSpec { name, instrument, .. } = &merge.spec;
    for wanted in &merge.consumers {
        let seats = shard.consumers().map(|(consumer, _)| consumer);
        let seats: Vec<_> =
            seats.filter_map(|id| Some((id, shard.catalog().consumer_name(id)?))).collect();
        let Some((consumer, _)) = seats.iter().find(|(_, name)| **name == **wanted) else {
            let known: Vec<_> = seats.iter().map(|(_, name)| &**name).collect();
            return Err(RunError(format!(
                "the merge '{name}' names the consumer '{wanted}'; expected one of {known:?}"
            )));
        };
        let wants = engine::Subscription {
            consumer: *consumer,
            ..engine::Subscription::of(name, instrument, Kind::Merged)
        };
        shard
            .subscribe(&wants, clock.now())
            .map_err(|why| RunError(format!("what '{wanted}' gets of '{name}': {}", why.text())))?;
    }
    Ok(())
}

/// Ctrl-C and SIGTERM end the run; closing is bounded in time, so a second one is not needed.
fn stop_on_signals(stop: Stop) -> Result<(), RunError> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |error| RunError::new("listening for signals", error);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    tokio::spawn(async move {
        poll_fn(|cx| {
            let asked = interrupt.poll_recv(cx).is_ready() || terminate.poll_recv(cx).is_ready();
            if asked { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        stop.stop();
    });
    Ok(())
}
