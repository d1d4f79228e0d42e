//! What commands cost while market data flows, on real threads, and what a placement is worth.
//!
//! ```sh
//! cargo run --release -p engine --example control_bus            # a minute; or -- SECONDS
//! ```
//! 150 streams that stay referenced, 20,000 trades a second. Two consumers keep everything and check
//! that nothing is missing; a third gives 1,000 subscribe and unsubscribe commands a second and
//! measures the time from each command to its ack in the handler. Then 1,000 trades a second, and a
//! consumer on a thread of its own beside one on the shard's.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a measurement reads the clock"
)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use engine::doorbell::thread_waker;
use engine::{
    Capacity, Catalog, Command, Consumer, Context, Inbox, QueueCapacity, Resident, Runner, Shard,
    Subscription, Tally, VersionGate,
};
use hdrhistogram::Histogram;
use model::control::Verdict;
use model::event::Trade;
use model::venue::{self, Pipeline};
use model::{Body, Error, Event, InstrumentId, Kind, Nanos, ProviderId, StreamState};

const PROVIDERS: [&str; 3] = ["one", "two", "three"];
const INSTRUMENTS: u32 = 50;

/// A clock that all threads share.
#[derive(Clone, Copy)]
struct Clock(Instant);

impl Clock {
    fn now(self) -> Nanos {
        Nanos(1) + self.0.elapsed()
    }
}

/// Checks that every stream's trades are numbered without a hole and that versions never go back.
#[derive(Default)]
struct Stable {
    last: BTreeMap<(ProviderId, InstrumentId), (u64, u32)>,
    wrong: Arc<AtomicU64>,
    critical: Arc<AtomicU64>,
}

impl Consumer for Stable {
    fn on_event(&mut self, event: Event, _: &mut Context<'_>) {
        if event.kind().is_critical() {
            self.critical.fetch_add(1, Ordering::Relaxed);
        }
        let Body::Trade(trade) = &event.body else { return };
        let (stream, version) = (event.header.stream, event.header.routing_version);
        let now = (trade.trade_id, version);
        let before = self.last.insert((stream.provider, stream.instrument), now);
        if before.is_some_and(|(id, old)| trade.trade_id != id + 1 || version < old) {
            self.wrong.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What the commanding consumer saw.
struct Flaps {
    effect: Histogram<u64>,
    sent: u64,
    acked: u64,
    not_effective: u64,
    handed_back: u64,
    old: u64,
    misrouted: u64,
}

/// Subscribes and unsubscribes one stream after the other.
struct Flapper {
    every: Duration,
    next: Option<Nanos>,
    until: Nanos,
    gate: VersionGate,
    open: BTreeMap<u64, Nanos>,
    /// By stream: from which version on it is had, or not.
    had: BTreeMap<u64, Vec<(u32, bool)>>,
    seen: Arc<Mutex<Flaps>>,
}

/// What the nth command of a flapper is about: each stream is had for a round and not had for one.
fn meaning(n: u64) -> (u64, bool) {
    let streams = u64::from(INSTRUMENTS) * 3;
    (n % streams, (n / streams).is_multiple_of(2))
}

fn command(n: u64) -> Command {
    let (stream, on) = meaning(n);
    let name = PROVIDERS[usize::from(low(stream % 3))];
    let wanted = Subscription::of(name, &format!("A{}-USDT", stream / 3), Kind::Trade);
    if on { Command::Subscribe(wanted) } else { Command::Unsubscribe(wanted) }
}

impl Flapper {
    fn give(&mut self, clock_now: Nanos, ctx: &mut Context<'_>) {
        let mut next = *self.next.get_or_insert(clock_now);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        while next <= clock_now && next < self.until {
            let id = seen.sent;
            if ctx.command(id, command(id)).is_err() {
                seen.handed_back += 1;
                break;
            }
            // From when it was due: what could not be given in time counts.
            self.open.insert(id, next);
            seen.sent += 1;
            next = next + self.every;
        }
        self.next = Some(next);
    }
}

impl Consumer for Flapper {
    fn on_event(&mut self, event: Event, ctx: &mut Context<'_>) {
        let older = !self.gate.admits(&event);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.old += u64::from(older);
        if let Body::Ack(ack) = &event.body {
            seen.acked += 1;
            seen.not_effective += u64::from(ack.verdict != Verdict::Effective);
            let (stream, on) = meaning(ack.command.0);
            let change = (event.header.routing_version, on);
            self.had.entry(stream).or_default().push(change);
            if let Some(due) = self.open.remove(&ack.command.0) {
                seen.effect.saturating_record(ctx.now.0.saturating_sub(due.0).max(1));
            }
        }
        // The first is had all the time: it is what calls this consumer.
        let stream = event.header.stream;
        let number = u64::from(stream.instrument.0) * 3 + u64::from(stream.provider.0);
        if event.kind() == Kind::Trade && number > 0 {
            let changes = self.had.get(&number).map_or(&[][..], Vec::as_slice);
            let version = event.header.routing_version;
            let last = changes.iter().rfind(|(from, _)| *from <= version);
            seen.misrouted += u64::from(last.is_none_or(|(_, on)| !on));
        }
    }

    fn on_batch_end(&mut self, ctx: &mut Context<'_>) {
        self.give(ctx.now, ctx);
    }
}

/// A consumer's thread.
fn run(inbox: Inbox, consumer: Box<dyn Consumer>, clock: Clock) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut runner = Runner::new(inbox, consumer);
        runner.inbox().attach(thread_waker());
        while !runner.is_closed() {
            if runner.run(|| clock.now()) == 0 && runner.may_sleep() {
                std::thread::park();
            }
        }
    })
}

struct Rig {
    shard: Shard,
    clock: Clock,
    ids: Vec<u64>,
    turns: u64,
}

impl Rig {
    fn new(clock: Clock) -> Result<Self, Error> {
        let mut shard = Shard::new(Capacity::default(), Catalog::new(), thread_waker());
        for name in PROVIDERS {
            let provider = shard.catalog().provider(name)?;
            let streams: Vec<_> = (0..INSTRUMENTS)
                .map(|n| venue::Subscription {
                    instrument: format!("A{n}-USDT").into(),
                    kind: Kind::Trade,
                })
                .collect();
            shard.pin(provider, &streams)?;
            while !shard.venue_commands(provider, true).is_empty() {}
        }
        let mut rig = Self { shard, clock, ids: vec![0; 3 * INSTRUMENTS as usize], turns: 0 };
        for n in 0..rig.ids.len() {
            let (provider, instrument) = place(n);
            let mut port = rig.shard.port(provider, clock.now());
            let reason = model::event::Reason::Flowing;
            port.status(instrument, Kind::Trade, StreamState::Live, reason);
        }
        Ok(rig)
    }

    fn seat(&mut self, name: &str, kinds: Vec<Kind>) -> Result<Inbox, Error> {
        let capacity = QueueCapacity { ring: 65_536, ..QueueCapacity::default() };
        let inbox = self.shard.add_consumer(name, capacity, self.clock.now())?;
        let consumer = inbox.id();
        if !kinds.is_empty() {
            let wanted = Subscription { consumer, kinds, ..Subscription::default() };
            self.subscribe(&wanted)?;
        }
        Ok(inbox)
    }

    fn subscribe(&mut self, wanted: &Subscription) -> Result<(), Error> {
        let subscribed = self.shard.subscribe(wanted, self.clock.now());
        subscribed.map_err(|why| Error::reject(why.text()))
    }

    fn trade(&mut self, n: usize) {
        let (provider, instrument) = place(n);
        self.ids[n] += 1;
        let trade_id = self.ids[n];
        let mut port = self.shard.port(provider, self.clock.now());
        let Some(mut event) = port.event() else { return };
        event.set_kind(instrument, Kind::Trade);
        event.header.seq_provider = Some(trade_id);
        event.body = Body::Trade(Trade { trade_id, ..Trade::default() });
        port.emit(event);
    }

    /// Trades at that rate, in turns as short as the thread is fast.
    fn run(&mut self, rate: u64, time: Duration, mut residents: Option<&mut Resident>) {
        let begun = self.clock.now();
        let (mut n, mut done) = (0_usize, 0_u64);
        loop {
            let passed = self.clock.now().since(begun);
            if passed >= time {
                return;
            }
            let due = clock_ns(passed) * rate / 1_000_000_000;
            for _ in 0..due.saturating_sub(done).min(128) {
                self.trade(n);
                n = (n + 1) % self.ids.len();
                done += 1;
            }
            if let Some(resident) = residents.as_deref_mut() {
                resident.run(|| self.clock.now());
            }
            self.shard.end_turn(self.clock.now());
            self.turns += 1;
            if due <= done && self.shard.deadline() != Some(Nanos(0)) {
                // To the next trade, or until a command comes.
                let next = Duration::from_nanos((done + 1) * 1_000_000_000 / rate);
                std::thread::park_timeout(next.saturating_sub(self.clock.now().since(begun)));
            }
        }
    }
}

fn place(n: usize) -> (ProviderId, InstrumentId) {
    let n = n as u64;
    (ProviderId(low(n % 3)), InstrumentId(u32::from(low(n / 3))))
}

/// A small number in fewer bits.
fn low(n: u64) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

fn clock_ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn quantiles(of: &Histogram<u64>) -> String {
    let us = |ns: u64| format!("{}.{} us", ns / 1_000, ns % 1_000 / 100);
    let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|q| us(of.value_at_quantile(q)));
    format!("p50 {p50}, p99 {p99}, p99.9 {p999}, max {}", us(of.max()))
}

fn commands(seconds: u64) -> Result<(), Error> {
    let clock = Clock(Instant::now());
    let mut rig = Rig::new(clock)?;
    let (wrong, critical) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut threads = Vec::new();
    let mut stable: Vec<Arc<Tally>> = Vec::new();
    for name in ["stable-1", "stable-2"] {
        let inbox = rig.seat(name, vec![Kind::Trade])?;
        stable.push(inbox.tally().clone());
        let (wrong, critical) = (wrong.clone(), critical.clone());
        threads.push(run(inbox, Box::new(Stable { wrong, critical, ..Stable::default() }), clock));
    }
    // It always has one stream, whose events call it.
    let inbox = rig.seat("flapper", Vec::new())?;
    let own =
        Subscription { consumer: inbox.id(), ..Subscription::of("one", "A0-USDT", Kind::Trade) };
    let wanted = Subscription { kinds: vec![Kind::Trade, Kind::Quote], ..own };
    rig.subscribe(&wanted)?;
    let seen = Arc::new(Mutex::new(Flaps {
        effect: inbox.tally().latency(),
        sent: 0,
        acked: 0,
        not_effective: 0,
        handed_back: 0,
        old: 0,
        misrouted: 0,
    }));
    let flapper = Flapper {
        every: Duration::from_micros(1_000),
        next: None,
        until: clock.now() + Duration::from_secs(seconds),
        gate: VersionGate::default(),
        open: BTreeMap::new(),
        had: BTreeMap::new(),
        seen: seen.clone(),
    };
    threads.push(run(inbox, Box::new(flapper), clock));
    rig.run(20_000, Duration::from_secs(seconds) + Duration::from_secs(1), None);
    let version = rig.shard.routing_version();
    let (turns, trades) = (rig.turns, rig.ids.iter().sum::<u64>());
    drop(rig);
    threads.into_iter().try_for_each(join)?;
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    println!("{seconds} s, {trades} trades on 150 streams, {turns} turns, {version} flips");
    println!(
        "commands: {} given, {} acknowledged, {} not effective at once, {} tries handed back",
        seen.sent, seen.acked, seen.not_effective, seen.handed_back
    );
    println!("effect time, from when the command was due to its ack: {}", quantiles(&seen.effect));
    println!("trades that no table in force gave: {}", seen.misrouted);
    println!("market data of an older version than an ack's: {} events, skippable", seen.old);
    let mut dropped = 0;
    for tally in &stable {
        let counts = tally.counts();
        dropped += counts.dropped;
        println!(
            "stable consumer: {} trades, {} dropped, {} wrong, {} critical",
            counts.delivered - counts.critical_delivered,
            counts.dropped,
            wrong.load(Ordering::Relaxed),
            counts.critical_delivered
        );
        println!("  latency {}", quantiles(&tally.latency()));
    }
    assert_eq!(seen.sent, seen.acked, "every command is acknowledged");
    assert_eq!((wrong.load(Ordering::Relaxed), seen.misrouted, dropped), (0, 0, 0));
    let slowest = Duration::from_nanos(seen.effect.value_at_quantile(0.99));
    assert!(slowest <= Duration::from_secs(1), "p99 of the effect time is {slowest:?}");
    Ok(())
}

/// A consumer that counts.
struct Taker;

impl Consumer for Taker {
    fn on_event(&mut self, event: Event, _: &mut Context<'_>) {
        std::hint::black_box(&event);
    }
}

fn placements(seconds: u64) -> Result<(), Error> {
    let clock = Clock(Instant::now());
    let mut rig = Rig::new(clock)?;
    let own = rig.seat("thread", vec![Kind::Trade])?;
    let shared = rig.seat("shard", vec![Kind::Trade])?;
    let tallies = [("a thread of its own", own.tally()), ("the shard's thread", shared.tally())];
    let tallies = tallies.map(|(name, tally)| (name, tally.clone()));
    let thread = run(own, Box::new(Taker), clock);
    let runner = Runner::new(shared, Box::new(Taker));
    let mut resident = Resident::new(runner, Duration::from_millis(5), 1_000);
    rig.run(1_000, Duration::from_secs(seconds), Some(&mut resident));
    drop(rig);
    join(thread)?;
    println!("1,000 trades a second for {seconds} s, emit to handler:");
    for (name, tally) in tallies {
        println!("  {name}: {}", quantiles(&tally.latency()));
    }
    Ok(())
}

fn join(thread: JoinHandle<()>) -> Result<(), Error> {
    thread.join().map_err(|_| Error::stop("a consumer's thread panicked"))
}

fn main() -> Result<(), Error> {
    let seconds = std::env::args().nth(1).and_then(|s| s.parse().ok()).unwrap_or(60);
    commands(seconds)?;
    placements(seconds.min(20))
}
