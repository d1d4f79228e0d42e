//! Consumers of different speed on threads of their own, fed by synthetic providers:
//! `cargo run --release -p engine --example load`.
//!
//! **Overload**: 5 consumers, 50 instruments of 3 providers, trades, quotes and book updates. Two
//! consumers are slow: their handlers take so long that 5 times more comes than they can take. Paired
//! runs, without and with the slow ones' delay, show whether the fast ones are disturbed; execution
//! events go to everybody from a log in memory, and must all arrive in order.
//!
//! **Shares**: three consumers that want everything and one that wants a tenth, under a budget.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "a measurement reads the clock, and ends where it can't be made"
)]

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use engine::doorbell::thread_waker;
use engine::{
    Capacity, Catalog, Consumer, Context, ExecLog, Inbox, MemoryLog, QueueCapacity, RoutingTable,
    Shard, Subscription, Tally,
};
use model::event::{BookMeta, Level, Quote, Side, StreamState, Trade};
use model::instrument::Contract;
use model::venue::Pipeline;
use model::{
    Body, Decimal, Event, Header, Instrument, InstrumentId, Kind, Nanos, ProviderId, Stream,
};

const PROVIDERS: u16 = 3;
const INSTRUMENTS: u32 = 50;
const CONSUMERS: usize = 5;
const SLOW: usize = 2;
const RUN: Duration = Duration::from_secs(4);
const TURN: Duration = Duration::from_micros(500);
/// Events a second, and what a slow handler takes for each: a fifth of them in a second.
const RATE: u64 = 20_000;
const SLOW_HANDLER: Duration = Duration::from_micros(250);
/// So many events are followed by an execution event for each consumer.
const EXECUTION_EACH: u64 = 200;

fn now(start: Instant) -> Nanos {
    Nanos(start.elapsed().as_nanos() as u64)
}

/// Takes its time, and checks that execution events come in order.
struct Handler {
    takes: Duration,
    last: u64,
    executions: Arc<AtomicU64>,
    disorder: Arc<AtomicBool>,
}

impl Consumer for Handler {
    fn on_event(&mut self, event: Event, ctx: &mut Context<'_>) {
        if let (Kind::ExecReport, Some(position)) = (event.kind(), event.header.seq_provider) {
            self.disorder.fetch_or(position <= self.last, Ordering::Relaxed);
            self.last = position;
            self.executions.fetch_add(1, Ordering::Relaxed);
            ctx.acknowledge(position).unwrap();
        }
        let begun = Instant::now();
        while begun.elapsed() < self.takes {
            std::thread::park_timeout(self.takes.saturating_sub(begun.elapsed()));
        }
    }
}

/// A shard whose machines are a loop.
struct Stage {
    shard: Shard,
    start: Instant,
    sent: u64,
    log: MemoryLog,
    logged: u64,
}

impl Stage {
    fn new(start: Instant, consumers: usize) -> (Self, Vec<Inbox>) {
        let mut shard = Shard::new(Capacity::default(), Catalog::new(), thread_waker());
        for n in 0..PROVIDERS {
            shard.catalog().provider(&format!("p{n}")).unwrap();
        }
        for n in 0..INSTRUMENTS {
            let listed = Instrument::unlisted(&format!("C{n}"), "USDT", Contract::Spot);
            for provider in 0..PROVIDERS {
                shard.port(ProviderId(provider), Nanos(0)).list(&listed).unwrap();
            }
        }
        let inboxes = (0..consumers).map(|n| {
            shard.add_consumer(&n.to_string(), QueueCapacity::default(), Nanos(0)).unwrap()
        });
        let inboxes: Vec<_> = inboxes.collect();
        let log = MemoryLog::new(1_000_000);
        (Self { shard, start, sent: 0, log, logged: 0 }, inboxes)
    }

    fn route(&mut self, wanted: &[Subscription]) {
        let table = RoutingTable::default().next(wanted, self.shard.catalog()).unwrap();
        self.shard.set_routing(Arc::new(table), now(self.start));
    }

    /// One event: of ten, four book updates, three trades, three quotes.
    fn send(&mut self) {
        self.sent += 1;
        let n = self.sent;
        let provider = ProviderId((n % u64::from(PROVIDERS)) as u16);
        let instrument = InstrumentId((n / 3 % u64::from(INSTRUMENTS)) as u32);
        let at = now(self.start);
        let mut port = self.shard.port(provider, at);
        let Some(mut event) = port.event() else { return };
        event.header.seq_provider = Some(n);
        let level =
            Level { price: Decimal::from(n / 150 % 40 + 1), quantity: Decimal::from(n % 7) };
        match n % 10 {
            0 | 2 | 5 | 7 => {
                let book = port.book(instrument);
                book.set(Side::Buy, level).unwrap();
                let first = book.generation == 0;
                (book.generation, book.state, book.seq_last) = (1, StreamState::Live, Some(n));
                event.set_kind(
                    instrument,
                    if first { Kind::BookSnapshot } else { Kind::BookUpdate },
                );
                event.bids.push(level);
                let seq_last = Some(n);
                event.body =
                    Body::Book(BookMeta { seq_last, generation: 1, ..BookMeta::default() });
            }
            1 | 4 | 8 => {
                event.set_kind(instrument, Kind::Trade);
                event.body = Body::Trade(Trade { trade_id: n, ..Trade::default() });
            }
            _ => {
                event.set_kind(instrument, Kind::Quote);
                event.body = Body::Quote(Quote::default());
            }
        }
        port.emit(event);
    }

    fn execute(&mut self, inboxes: &[model::ConsumerId]) {
        self.logged += 1;
        let stream = Stream { kind: Kind::ExecReport, ..Stream::default() };
        let header = Header { stream, ..Header::default() };
        for consumer in inboxes {
            let event = Event { header, ..Event::default() };
            let event = self.log.append(*consumer, event).unwrap();
            self.shard.execution(*consumer, event, now(self.start));
        }
    }

    fn end_turn(&mut self) {
        let at = now(self.start);
        self.shard.end_turn(at);
        while let Some(request) = self.shard.log_request() {
            if let Some(page) = self.log.serve(request).unwrap() {
                self.shard.log_page(page, at);
                self.shard.end_turn(at);
            }
        }
    }

    /// Sends at a rate until the time is over.
    fn drive(&mut self, rate: u64, run: Duration, executions_for: &[model::ConsumerId]) {
        let begun = Instant::now();
        let before = self.sent;
        while begun.elapsed() < run {
            let due = begun.elapsed().as_micros() as u64 * rate / 1_000_000;
            while self.sent - before < due {
                self.send();
                if !executions_for.is_empty() && self.sent.is_multiple_of(EXECUTION_EACH) {
                    self.execute(executions_for);
                }
            }
            self.end_turn();
            std::thread::park_timeout(TURN);
        }
    }
}

/// What came of one run.
struct Outcome {
    p99_us: u64,
    conflated: u64,
    merged: u64,
    stalls: u64,
    rss_kib: (u64, u64),
    executions: bool,
}

fn rss_kib() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or_default() * 4
}

fn overload(slow: Duration) -> Outcome {
    let start = Instant::now();
    let (mut stage, inboxes) = Stage::new(start, CONSUMERS);
    let ids: Vec<_> = inboxes.iter().map(Inbox::id).collect();
    let all = ids.iter().map(|id| Subscription { consumer: *id, ..Subscription::default() });
    stage.route(&all.collect::<Vec<_>>());
    let disorder = Arc::new(AtomicBool::new(false));
    let mut threads = Vec::new();
    let mut tallies: Vec<Arc<Tally>> = Vec::new();
    let mut executions = Vec::new();
    for (n, inbox) in inboxes.into_iter().enumerate() {
        let count = Arc::new(AtomicU64::new(0));
        tallies.push(inbox.tally().clone());
        executions.push(count.clone());
        let takes = if n < SLOW { slow } else { Duration::ZERO };
        let handler = Handler { takes, last: 0, executions: count, disorder: disorder.clone() };
        threads.push(std::thread::spawn(move || drain(inbox, handler, start)));
    }
    stage.drive(RATE, RUN / 4, &ids);
    let rss_before = rss_kib();
    stage.drive(RATE, RUN, &ids);
    let rss_after = rss_kib();
    let logged = stage.logged;
    let arrived = |executions: &[Arc<AtomicU64>]| {
        executions.iter().all(|count| count.load(Ordering::Relaxed) == logged)
    };
    let settle = Instant::now();
    while !arrived(&executions) && settle.elapsed() < Duration::from_secs(10) {
        stage.end_turn();
        std::thread::park_timeout(TURN);
    }
    let slow_counts = tallies[0].counts();
    let fast = tallies[SLOW..].iter().map(|tally| tally.latency().value_at_quantile(0.99)).max();
    drop(stage);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    Outcome {
        p99_us: fast.unwrap_or_default() / 1_000,
        conflated: slow_counts.conflated,
        merged: slow_counts.updates_merged,
        stalls: slow_counts.stalls,
        rss_kib: (rss_before, rss_after),
        executions: arrived(&executions) && !disorder.load(Ordering::Relaxed),
    }
}

fn drain(mut inbox: Inbox, mut handler: Handler, start: Instant) {
    inbox.attach(thread_waker());
    while !inbox.is_closed() {
        if inbox.drain(&mut handler, || now(start)) == 0 && inbox.may_sleep() {
            std::thread::park();
        }
    }
}

fn shares() {
    let start = Instant::now();
    let (mut stage, mut inboxes) = Stage::new(start, 4);
    let mut wanted: Vec<_> = inboxes
        .iter()
        .map(|inbox| Subscription { consumer: inbox.id(), ..Subscription::default() })
        .collect();
    // Five of fifty instruments: a tenth.
    wanted[3].instruments = (0..5).map(|n| format!("C{n}-USDT").into()).collect();
    stage.route(&wanted);
    let budget = 12_000;
    stage.shard.set_budget(NonZeroU32::new(budget), now(start));
    let mut handlers: Vec<_> = inboxes.iter().map(|_| Taker).collect();
    let begun = Instant::now();
    let seconds = 4;
    while begun.elapsed() < Duration::from_secs(seconds) {
        stage.drive(RATE, Duration::from_millis(20), &[]);
        for (inbox, handler) in inboxes.iter_mut().zip(&mut handlers) {
            while inbox.drain(handler, || now(start)) > 0 {}
        }
    }
    println!("\nshares of {budget} events/s, {RATE} events/s sent");
    println!(
        "{:>9} {:>9} {:>9} {:>13} {:>7}",
        "consumer", "wants/s", "share/s", "delivered/s", "%"
    );
    for (n, inbox) in inboxes.iter().enumerate() {
        let counts = inbox.tally().counts();
        let delivered = counts.delivered / seconds;
        let wants = counts.offered / seconds;
        println!(
            "{n:>9} {wants:>9} {:>9} {delivered:>13} {:>7}",
            counts.share,
            delivered * 100 / wants.max(1)
        );
    }
    println!("scaled in {} seconds", stage.shard.shares_scaled());
}

struct Taker;
impl Consumer for Taker {
    fn on_event(&mut self, event: Event, _: &mut Context<'_>) {
        std::hint::black_box(&event);
    }
}

fn main() {
    println!(
        "{:>4} {:>13} {:>13} {:>10} {:>8} {:>7} {:>17} {:>11}",
        "run",
        "unloaded p99",
        "overload p99",
        "conflated",
        "merged",
        "stalls",
        "rss KiB",
        "executions"
    );
    let mut pairs = Vec::new();
    for run in 1..=5 {
        let (alone, loaded) = (overload(Duration::ZERO), overload(SLOW_HANDLER));
        let executions = alone.executions && loaded.executions;
        let rss = format!("{} {}", loaded.rss_kib.0, loaded.rss_kib.1);
        println!(
            "{run:>4} {:>10} us {:>10} us {:>10} {:>8} {:>7} {rss:>17} {:>11}",
            alone.p99_us,
            loaded.p99_us,
            loaded.conflated,
            loaded.merged,
            loaded.stalls,
            if executions { "in order" } else { "LOST" }
        );
        pairs.push((loaded.p99_us, alone.p99_us));
    }
    pairs.sort_by_key(|(loaded, alone)| loaded * 1_000 / alone.max(&1));
    println!("median pair: {} us loaded, {} us unloaded", pairs[2].0, pairs[2].1);
    shares();
}
