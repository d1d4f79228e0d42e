//! Consumers of different speed on threads of their own, fed by synthetic providers.
//!
//! ```sh
//! cargo run --release -p engine --example load            # 3 minutes; or -- overload|memory|shares|ten
//! ```
//! **overload**: 5 consumers of 50 instruments of 3 providers, trades, quotes and book updates. Two of
//! the consumers are slow: 5 times more comes than they can take. Paired runs, without and with their
//! delay, show whether the fast ones are disturbed. Execution events go to everybody in bursts that no
//! window holds, from a log in memory, and must all arrive in order.
//!
//! **memory**: a minute of the same.
//!
//! **shares**: three consumers that want everything and one that wants a tenth, under a budget that
//! allows everyone its share, and under one that does not.
//!
//! **ten**: ten subscribers of one stream: how long until all have the event in their queues, and until
//! the first and the last of them has it in its handler.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "a measurement reads the clock, and ends where it can't be made"
)]

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use engine::doorbell::thread_waker;
use engine::{
    Capacity, Catalog, Consumer, Context, ExecLog, Inbox, MemoryLog, QueueCapacity, RoutingTable,
    Shard, Subscription, Tally,
};
use hdrhistogram::Histogram;
use model::event::{BookMeta, Level, Quote, Side, StreamState, Trade};
use model::instrument::Contract;
use model::venue::Pipeline;
use model::{
    Body, ConsumerId, Decimal, Event, Header, Instrument, InstrumentId, Kind, Nanos, ProviderId,
    Stream,
};

const PROVIDERS: u64 = 3;
const INSTRUMENTS: u64 = 50;
const CONSUMERS: usize = 5;
const SLOW: usize = 2;
const TURN: Duration = Duration::from_micros(500);
/// Events a second, and what a slow handler takes for each: a fifth of them in a second, or less.
const RATE: u64 = 20_000;
const SLOW_HANDLER: Duration = Duration::from_micros(250);
/// Every second so many execution events for each consumer at once: the window holds 256.
const EXECUTIONS: u64 = 400;

/// A clock that all threads share.
#[derive(Clone, Copy)]
struct Clock(Instant);

impl Clock {
    fn start() -> Self {
        Self(Instant::now())
    }

    fn now(self) -> Nanos {
        Nanos(1) + self.0.elapsed()
    }
}

/// A shard whose machines are a loop.
struct Stage {
    shard: Shard,
    clock: Clock,
    sent: u64,
    log: MemoryLog,
    /// Execution events for each of those who get them.
    executions: u64,
}

impl Stage {
    fn new(consumers: usize) -> (Self, Vec<Inbox>) {
        let mut shard = Shard::new(Capacity::default(), Catalog::new(), thread_waker());
        for n in 0..PROVIDERS {
            shard.catalog().provider(&format!("p{n}")).unwrap();
        }
        for n in 0..INSTRUMENTS {
            let listed = Instrument::unlisted(&format!("C{n}"), "USDT", Contract::Spot);
            for provider in 0..PROVIDERS {
                shard.port(ProviderId(provider as u16), Nanos(0)).list(&listed).unwrap();
            }
        }
        let capacity = QueueCapacity::default();
        let inboxes = (0..consumers)
            .map(|n| shard.add_consumer(&n.to_string(), capacity, Nanos(0)).unwrap())
            .collect();
        let log = MemoryLog::new(100_000);
        (Self { shard, clock: Clock::start(), sent: 0, log, executions: 0 }, inboxes)
    }

    fn route(&mut self, wanted: &[Subscription]) {
        let table = RoutingTable::default().next(wanted, self.shard.catalog()).unwrap();
        self.shard.set_routing(Arc::new(table), self.clock.now());
    }

    /// One event of the next stream: of ten, four book updates, three trades, three quotes.
    fn send(&mut self) {
        self.sent += 1;
        let n = self.sent;
        let provider = ProviderId((n % PROVIDERS) as u16);
        let instrument = InstrumentId((n / PROVIDERS % INSTRUMENTS) as u32);
        match (n / PROVIDERS / INSTRUMENTS + n) % 10 {
            0 | 2 | 5 | 7 => self.update(provider, instrument, n),
            1 | 4 | 8 => self.trade(provider, instrument, n),
            _ => {
                let mut port = self.shard.port(provider, self.clock.now());
                let mut event = port.event().unwrap();
                event.set_kind(instrument, Kind::Quote);
                event.body = Body::Quote(Quote::default());
                port.emit(event);
            }
        }
    }

    fn trade(&mut self, provider: ProviderId, instrument: InstrumentId, trade_id: u64) {
        let mut port = self.shard.port(provider, self.clock.now());
        let mut event = port.event().unwrap();
        event.set_kind(instrument, Kind::Trade);
        event.header.seq_provider = Some(trade_id);
        event.body = Body::Trade(Trade { trade_id, ..Trade::default() });
        port.emit(event);
    }

    fn update(&mut self, provider: ProviderId, instrument: InstrumentId, n: u64) {
        let mut port = self.shard.port(provider, self.clock.now());
        let price = Decimal::from(n / PROVIDERS / INSTRUMENTS % 40 + 1);
        let level = Level { price, quantity: Decimal::from(n % 7) };
        let book = port.book(instrument);
        book.set(Side::Buy, level).unwrap();
        let first = book.generation == 0;
        (book.generation, book.state, book.seq_last) = (1, StreamState::Live, Some(n));
        let mut event = port.event().unwrap();
        event.set_kind(instrument, if first { Kind::BookSnapshot } else { Kind::BookUpdate });
        event.header.seq_provider = Some(n);
        event.bids.push(level);
        let meta = BookMeta { seq_last: Some(n), generation: 1, ..BookMeta::default() };
        event.body = Body::Book(meta);
        port.emit(event);
    }

    /// A burst of execution events for each.
    fn execute(&mut self, consumers: &[ConsumerId]) {
        self.executions += EXECUTIONS;
        let stream = Stream { kind: Kind::ExecReport, ..Stream::default() };
        for _ in 0..EXECUTIONS {
            for consumer in consumers {
                let header = Header { stream, ..Header::default() };
                let event = Event { header, ..Event::default() };
                let event = self.log.append(*consumer, event).unwrap();
                self.shard.execution(*consumer, event, self.clock.now());
            }
        }
    }

    fn end_turn(&mut self) {
        let now = self.clock.now();
        self.shard.end_turn(now);
        while let Some(request) = self.shard.log_request() {
            if let Some(page) = self.log.serve(request).unwrap() {
                self.shard.log_page(page, now);
                self.shard.end_turn(now);
            }
        }
    }

    /// Sends at the rate until the time is over.
    fn drive(&mut self, time: Duration, executions_for: &[ConsumerId]) {
        let (begun, before) = (Instant::now(), self.sent);
        while begun.elapsed() < time {
            let due = begun.elapsed().as_micros() as u64 * RATE / 1_000_000;
            while self.sent - before < due {
                self.send();
                if !executions_for.is_empty() && self.sent.is_multiple_of(RATE) {
                    self.execute(executions_for);
                }
            }
            self.end_turn();
            std::thread::park_timeout(TURN);
        }
    }
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

fn on_a_thread<C: Consumer + 'static>(
    mut inbox: Inbox,
    mut consumer: C,
    clock: Clock,
) -> JoinHandle<C> {
    std::thread::spawn(move || {
        inbox.attach(thread_waker());
        while !inbox.is_closed() {
            if inbox.drain(&mut consumer, || clock.now()) == 0 && inbox.may_sleep() {
                std::thread::park();
            }
        }
        consumer
    })
}

/// A shard and its consumers on threads, of whom the first are slow.
struct Overload {
    stage: Stage,
    ids: Vec<ConsumerId>,
    tallies: Vec<Arc<Tally>>,
    threads: Vec<JoinHandle<Handler>>,
    executions: Arc<AtomicU64>,
    disorder: Arc<AtomicBool>,
}

/// What came of one run.
struct Outcome {
    p99_us: u64,
    slow_per_s: u64,
    conflated: u64,
    dropped: u64,
    read_back: u64,
    executions: bool,
}

impl Overload {
    fn new(slow: Duration) -> Self {
        let (mut stage, inboxes) = Stage::new(CONSUMERS);
        let ids: Vec<_> = inboxes.iter().map(Inbox::id).collect();
        let all = |id: &ConsumerId| Subscription { consumer: *id, ..Subscription::default() };
        stage.route(&ids.iter().map(all).collect::<Vec<_>>());
        let (executions, disorder) = (Arc::default(), Arc::default());
        let (mut threads, mut tallies) = (Vec::new(), Vec::new());
        for (n, inbox) in inboxes.into_iter().enumerate() {
            tallies.push(inbox.tally().clone());
            let takes = if n < SLOW { slow } else { Duration::ZERO };
            let (executions, disorder) = (Arc::clone(&executions), Arc::clone(&disorder));
            let handler = Handler { takes, last: 0, executions, disorder };
            threads.push(on_a_thread(inbox, handler, stage.clock));
        }
        Self { stage, ids, tallies, threads, executions, disorder }
    }

    fn drive(&mut self, time: Duration) {
        self.stage.drive(time, &self.ids);
    }

    /// What the slow ones have handed over, each.
    fn slow_delivered(&self) -> u64 {
        let delivered = self.tallies[..SLOW].iter().map(|tally| tally.counts().delivered);
        delivered.sum::<u64>() / SLOW as u64
    }

    /// Lets the last execution events arrive, and ends.
    fn end(mut self, time: Duration) -> Outcome {
        let slow_per_s = self.slow_delivered() * 1_000 / time.as_millis() as u64;
        let p99 = |tally: &Arc<Tally>| tally.latency().value_at_quantile(0.99);
        let p99_us = self.tallies[SLOW..].iter().map(p99).max().unwrap() / 1_000;
        let expected = self.stage.executions * CONSUMERS as u64;
        let settles = Instant::now();
        while self.executions.load(Ordering::Relaxed) < expected
            && settles.elapsed() < Duration::from_secs(10)
        {
            self.stage.end_turn();
            std::thread::park_timeout(TURN);
        }
        let counts: Vec<_> = self.tallies.iter().map(|tally| tally.counts()).collect();
        drop(self.stage);
        self.threads.into_iter().for_each(|thread| drop(thread.join().unwrap()));
        let all = self.executions.load(Ordering::Relaxed) == expected;
        Outcome {
            p99_us,
            slow_per_s,
            conflated: counts[0].conflated,
            dropped: counts[0].dropped,
            read_back: counts.iter().map(|counts| counts.read_back).sum(),
            executions: all && !self.disorder.load(Ordering::Relaxed),
        }
    }
}

/// Whether the limits were kept: fast consumers are at most twice as late as without slow ones, or
/// 200 us, and execution events come all and in order.
fn overload() -> bool {
    let time = Duration::from_secs(8);
    let run = |slow| {
        let mut run = Overload::new(slow);
        run.drive(time);
        run.end(time)
    };
    println!("overload: {RATE} events/s to each of {CONSUMERS}, {SLOW} of them slow");
    println!(
        " run  unloaded p99  overload p99  slow take/s  conflated  dropped  read back  executions"
    );
    let (mut pairs, mut executions) = (Vec::new(), true);
    for n in 1..=5 {
        let (alone, loaded) = (run(Duration::ZERO), run(SLOW_HANDLER));
        executions &= alone.executions && loaded.executions;
        println!(
            "{n:>4} {:>10} us {:>10} us {:>12} {:>10} {:>8} {:>10}  {}",
            alone.p99_us,
            loaded.p99_us,
            loaded.slow_per_s,
            loaded.conflated,
            loaded.dropped,
            loaded.read_back,
            if alone.executions && loaded.executions {
                "all, in order"
            } else {
                "NOT ALL IN ORDER"
            }
        );
        pairs.push((loaded.p99_us, alone.p99_us));
    }
    pairs.sort_by_key(|(loaded, alone)| loaded * 1_000 / alone.max(&1));
    let (loaded, alone) = pairs[pairs.len() / 2];
    let limit = (2 * alone).max(200);
    println!("median pair: {loaded} us against {alone} us; limit {limit} us");
    executions && loaded <= limit
}

fn memory() {
    let mut run = Overload::new(SLOW_HANDLER);
    let (part, parts) = (Duration::from_secs(10), 6);
    println!("memory of the process under overload, KiB each {} s", part.as_secs());
    for _ in 0..parts {
        run.drive(part);
        print!(" {}", rss_kib());
    }
    let outcome = run.end(part * parts);
    println!("; executions {}", if outcome.executions { "all, in order" } else { "NOT IN ORDER" });
}

fn rss_kib() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or_default() * 4
}

/// Takes whatever comes.
struct Taker;

impl Consumer for Taker {
    fn on_event(&mut self, event: Event, _: &mut Context<'_>) {
        std::hint::black_box(&event);
    }
}

/// Whether nobody has less than a quarter of what it wants; that is promised where the budget allows it.
fn shares(budget: u32) -> bool {
    let (mut stage, mut inboxes) = Stage::new(4);
    let all = |inbox: &Inbox| Subscription { consumer: inbox.id(), ..Subscription::default() };
    let mut wanted: Vec<_> = inboxes.iter().map(all).collect();
    wanted[3].instruments = (0..INSTRUMENTS / 10).map(|n| format!("C{n}-USDT").into()).collect();
    stage.route(&wanted);
    stage.shard.set_budget(NonZeroU32::new(budget), stage.clock.now());
    let mut drive = |seconds: u64| -> Vec<_> {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(seconds) {
            stage.drive(Duration::from_millis(20), &[]);
            for inbox in &mut inboxes {
                while inbox.drain(&mut Taker, || stage.clock.now()) > 0 {}
            }
        }
        inboxes.iter().map(|inbox| inbox.tally().counts()).collect()
    };
    // The shares are those of the demand in the first second.
    let (before, seconds) = (drive(2), 10);
    let after = drive(seconds);
    println!("shares of {budget} events/s, {RATE} events/s sent");
    println!("consumer   wants/s  share/s  delivered/s  of what it wants");
    let mut least = 100;
    for (n, (before, after)) in before.iter().zip(&after).enumerate() {
        let wants = (after.offered - before.offered) / seconds;
        let delivered = (after.delivered - before.delivered) / seconds;
        let percent = delivered * 100 / wants.max(1);
        least = percent.min(least);
        println!("{n:>8} {wants:>9} {:>8} {delivered:>12} {percent:>16} %", after.share);
    }
    println!("scaled in {} of {} windows", stage.shard.shares_scaled(), seconds + 2);
    least >= 25
}

/// Keeps when each event entered its handler.
struct Stamps {
    clock: Clock,
    entered: Arc<Mutex<Vec<Vec<Nanos>>>>,
    n: usize,
    mine: Vec<Nanos>,
}

impl Consumer for Stamps {
    fn on_event(&mut self, event: Event, _: &mut Context<'_>) {
        if event.kind() == Kind::Trade {
            self.mine.push(self.clock.now());
        }
    }
}

impl Drop for Stamps {
    fn drop(&mut self) {
        self.entered.lock().unwrap()[self.n] = std::mem::take(&mut self.mine);
    }
}

fn ten() {
    const TEN: usize = 10;
    const EVENTS: usize = 10_000;
    let (mut stage, inboxes) = Stage::new(TEN);
    let all = |inbox: &Inbox| Subscription { consumer: inbox.id(), ..Subscription::default() };
    stage.route(&inboxes.iter().map(all).collect::<Vec<_>>());
    let entered = Arc::new(Mutex::new(vec![Vec::new(); TEN]));
    let threads = inboxes.into_iter().enumerate().map(|(n, inbox)| {
        let (entered, mine) = (Arc::clone(&entered), Vec::with_capacity(EVENTS));
        on_a_thread(inbox, Stamps { clock: stage.clock, entered, n, mine }, stage.clock)
    });
    let threads: Vec<_> = threads.collect();
    let (mut sent, mut queued) = (Vec::new(), histogram());
    for n in 1..=EVENTS as u64 {
        let begun = stage.clock.now();
        stage.trade(ProviderId(0), InstrumentId(0), n);
        queued.saturating_record(stage.clock.now().0 - begun.0);
        stage.end_turn();
        sent.push(begun);
        std::thread::park_timeout(Duration::from_millis(1));
    }
    drop(stage);
    threads.into_iter().for_each(|thread| drop(thread.join().unwrap()));
    let entered = entered.lock().unwrap();
    assert!(entered.iter().all(|entered| entered.len() == EVENTS), "everyone got every event");
    let (mut first, mut last, mut apart) = (histogram(), histogram(), histogram());
    for (n, sent) in sent.iter().enumerate() {
        let times = || entered.iter().map(|entered| entered[n].0);
        let (soonest, latest) = (times().min().unwrap(), times().max().unwrap());
        first.saturating_record(soonest - sent.0);
        last.saturating_record(latest - sent.0);
        apart.saturating_record(latest - soonest);
    }
    println!("ten subscribers of one stream, {EVENTS} trades, 1,000/s; us   p50      p99      max");
    for (what, times) in [
        ("from emit until all ten have it queued", queued),
        ("from emit until the first handler's entry", first),
        ("from emit until the last handler's entry", last),
        ("between the first and the last entry", apart),
    ] {
        let us = |ns: u64| format!("{}.{}", ns / 1_000, ns % 1_000 / 100);
        let [p50, p99] = [0.5, 0.99].map(|part| us(times.value_at_quantile(part)));
        println!("{what:<48} {p50:>9} {p99:>9} {:>9}", us(times.max()));
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 10_000_000_000, 3).unwrap()
}

fn main() -> std::process::ExitCode {
    let only = std::env::args().nth(1);
    let wants = |part: &str| only.as_deref().is_none_or(|only| only == part);
    let mut broken = Vec::new();
    if wants("overload") && !overload() {
        broken.push("overload");
    }
    if wants("memory") {
        memory();
    }
    if wants("shares") {
        if !shares(20_000) {
            broken.push("shares");
        }
        // Less than the sum of the quarters: all are scaled alike.
        shares(12_000);
    }
    if wants("ten") {
        ten();
    }
    if broken.is_empty() {
        return std::process::ExitCode::SUCCESS;
    }
    eprintln!("beyond its limit: {}", broken.join(", "));
    std::process::ExitCode::from(3)
}
