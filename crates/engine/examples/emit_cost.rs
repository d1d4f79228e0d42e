//! What an event costs on the shard, by the number of subscribers:
//! `cargo run --release -p engine --example emit_cost`.
//!
//! Timed is what the shard does: take a pooled event, fill it, emit it, end the turn. The
//! consumers drain between the timed stretches, on the same thread, so their caches are warm.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a measurement reads the clock"
)]

use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use engine::resequence::Limits;
use engine::{
    Capacity, Catalog, Consumer, Context, Inbox, MergeSpec, QueueCapacity, RoutingTable, Shard,
    Subscription,
};
use model::event::{BookMeta, CanonicalEvent, Level, Trade};
use model::instrument::Contract;
use model::venue::Pipeline;
use model::{Body, Decimal, Error, Event, Instrument, InstrumentId, Kind, Nanos, ProviderId};

const TURN: u64 = 64;
const TURNS: u64 = 20_000;

struct Sink;
impl Consumer for Sink {
    fn on_event(&mut self, event: Event, _: &mut Context<'_>) {
        std::hint::black_box(&event);
    }
}

struct Bench {
    shard: Shard,
    inboxes: Vec<Inbox>,
    provider: ProviderId,
    instrument: InstrumentId,
}

impl Bench {
    fn new(consumers: usize) -> Result<Self, Error> {
        let mut shard = Shard::new(Capacity::default(), Catalog::new(), Waker::noop().clone());
        let provider = shard.catalog().provider("p")?;
        shard.resequence(provider, Kind::Trade, Limits::default());
        let listed = Instrument::unlisted("BTC", "USDT", Contract::Spot);
        let instrument = shard.port(provider, Nanos(0)).list(&listed)?;
        let inboxes = (0..consumers)
            .map(|n| shard.add_consumer(&n.to_string(), QueueCapacity::default(), Nanos(0)))
            .collect::<Result<Vec<_>, _>>()?;
        let all: Vec<_> = inboxes
            .iter()
            .map(|inbox| Subscription { consumer: inbox.id(), ..Subscription::default() })
            .collect();
        let table = RoutingTable::default().next(&all, shard.catalog())?;
        shard.set_routing(Arc::new(table), Nanos(0));
        Ok(Self { shard, inboxes, provider, instrument })
    }

    /// From here on every trade is a fragment of a merge whose windows never go out.
    fn merge(&mut self) -> Result<(), Error> {
        self.shard.catalog().provider("q")?;
        let spec = MergeSpec {
            name: "merge".into(),
            instrument: "BTC-USDT".into(),
            kind: Kind::Trade,
            providers: vec!["p".into(), "q".into()],
            ..MergeSpec::default()
        };
        self.shard.add_merge(&spec).map(drop)
    }

    /// Time per event in tenths of a nanosecond: the median turn.
    fn run(&mut self, kind: Kind, fill: impl Fn(&mut CanonicalEvent, u64)) -> u128 {
        let mut turns: Vec<Duration> =
            (0..TURNS).map(|turn| self.turn(turn, kind, &fill)).collect();
        turns.sort_unstable();
        turns[turns.len() / 2].as_nanos() * 10 / u128::from(TURN)
    }

    fn turn(&mut self, turn: u64, kind: Kind, fill: impl Fn(&mut CanonicalEvent, u64)) -> Duration {
        let now = Nanos(turn);
        let start = Instant::now();
        for n in 0..TURN {
            let mut port = self.shard.port(self.provider, now);
            let Some(mut event) = port.event() else { continue };
            event.set_kind(self.instrument, kind);
            fill(&mut event, turn * TURN + n);
            port.emit(event);
        }
        self.shard.end_turn(now);
        let took = start.elapsed();
        for inbox in &mut self.inboxes {
            while inbox.drain(&mut Sink, || now) > 0 {}
        }
        took
    }
}

fn main() -> Result<(), Error> {
    println!("an event is {} bytes", size_of::<Event>());
    let level = Level { price: Decimal::ONE, quantity: Decimal::TWO };
    let columns = ["trade, ns", "update of 8 levels, ns", "trade in a merge, ns"];
    println!("{:>9} {:>14} {:>26} {:>24}", "consumers", columns[0], columns[1], columns[2]);
    for consumers in [0, 1, 3, 10] {
        let mut bench = Bench::new(consumers)?;
        let trade = bench.run(Kind::Trade, fill_trade);
        let update = bench.run(Kind::BookUpdate, |event, n| {
            event.header.seq_provider = Some(n);
            event.body = Body::Book(BookMeta::default());
            event.bids.extend([level; 4]);
            event.asks.extend([level; 4]);
        });
        bench.merge()?;
        let merged = bench.run(Kind::Trade, |event, n| fill_trade(event, TURNS * TURN + n));
        let tenths = |value: u128| format!("{}.{}", value / 10, value % 10);
        let figures = [trade, update, merged].map(tenths);
        println!("{consumers:>9} {:>14} {:>26} {:>24}", figures[0], figures[1], figures[2]);
    }
    Ok(())
}

fn fill_trade(event: &mut CanonicalEvent, n: u64) {
    event.header.seq_provider = Some(n);
    event.body = Body::Trade(Trade { trade_id: n, ..Trade::default() });
}
