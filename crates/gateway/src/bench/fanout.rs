//! What an event costs on the shard until it is in every subscriber's queue.
//!
//! Timed is a turn of the shard: 64 times a pooled event is taken, filled and emitted, then the turn
//! is ended. The subscribers drain between the timed stretches, on the same thread. The numbers of
//! subscribers take turns round by round; the figure is the median turn's, for one event.

use std::hint::black_box;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use engine::{
    Capacity, Catalog, Consumer, Context, Inbox, QueueCapacity, RoutingTable, Shard, Subscription,
};
use model::event::{BookMeta, CanonicalEvent, Level, Trade};
use model::instrument::Contract;
use model::venue::Pipeline;
use model::{Body, Decimal, Error, Event, Instrument, InstrumentId, Kind, Nanos, ProviderId};
use serde::Serialize;

use super::median;
use super::report::tenth;

const SUBSCRIBERS: [usize; 3] = [1, 3, 10];
const EVENTS: u64 = 64;
const ROUNDS: u64 = 10_000;
const WARM_UP: u64 = 500;

/// What was measured for one number of subscribers.
#[derive(Clone, Debug, Serialize)]
pub struct Case {
    /// So many get each event.
    pub subscribers: usize,
    /// A trade, until it is in all of their queues.
    pub ns: f64,
    /// A book update of 8 levels.
    pub book_update_ns: f64,
}

/// Measures.
///
/// # Errors
/// None in practice: the shard is new and has room; or queues that did not get every event.
pub fn measure() -> Result<Vec<Case>, String> {
    cases().map_err(|error| error.to_string())
}

fn cases() -> Result<Vec<Case>, Error> {
    let stages = SUBSCRIBERS.iter().map(|subscribers| Stage::new(*subscribers));
    let mut stages = stages.collect::<Result<Vec<_>, _>>()?;
    for round in 0..WARM_UP + ROUNDS {
        for stage in &mut stages {
            stage.round(round, round >= WARM_UP)?;
        }
    }
    Ok(stages.into_iter().map(Stage::case).collect())
}

struct Sink;

impl Consumer for Sink {
    fn on_event(&mut self, event: Event, _: &mut Context<'_>) {
        black_box(&event);
    }
}

/// A shard with its subscribers, and its times.
struct Stage {
    shard: Shard,
    inboxes: Vec<Inbox>,
    provider: ProviderId,
    instrument: InstrumentId,
    trades_ns: Vec<f64>,
    updates_ns: Vec<f64>,
}

impl Stage {
    fn new(subscribers: usize) -> Result<Self, Error> {
        let mut shard = Shard::new(Capacity::default(), Catalog::new(), Waker::noop().clone());
        let provider = shard.catalog().provider("bench")?;
        let listed = Instrument::unlisted("BTC", "USDT", Contract::Spot);
        let instrument = shard.port(provider, Nanos(0)).list(&listed)?;
        let inboxes = (0..subscribers)
            .map(|n| shard.add_consumer(&n.to_string(), QueueCapacity::default(), Nanos(0)))
            .collect::<Result<Vec<_>, _>>()?;
        let all = inboxes
            .iter()
            .map(|inbox: &Inbox| Subscription { consumer: inbox.id(), ..Subscription::default() });
        let table = RoutingTable::default().next(&all.collect::<Vec<_>>(), shard.catalog())?;
        shard.set_routing(Arc::new(table), Nanos(0));
        let (trades_ns, updates_ns) = (Vec::new(), Vec::new());
        Ok(Self { shard, inboxes, provider, instrument, trades_ns, updates_ns })
    }

    fn round(&mut self, round: u64, counts: bool) -> Result<(), Error> {
        let now = Nanos(round);
        let level = Level { price: Decimal::ONE, quantity: Decimal::TWO };
        let trade = self.turn(now, Kind::Trade, |event| {
            event.body = Body::Trade(Trade { trade_id: round, ..Trade::default() });
        })?;
        let update = self.turn(now, Kind::BookUpdate, |event| {
            event.body = Body::Book(BookMeta::default());
            event.bids.extend([level; 4]);
            event.asks.extend([level; 4]);
        })?;
        if counts {
            self.trades_ns.push(trade);
            self.updates_ns.push(update);
        }
        Ok(())
    }

    /// Time for one event, in ns.
    fn turn(
        &mut self,
        now: Nanos,
        kind: Kind,
        fill: impl Fn(&mut CanonicalEvent),
    ) -> Result<f64, Error> {
        let start = Instant::now();
        for _ in 0..EVENTS {
            let mut port = self.shard.port(self.provider, now);
            let mut event = port.event().ok_or_else(|| Error::stop("the pool is empty"))?;
            event.set_kind(self.instrument, kind);
            fill(&mut event);
            port.emit(event);
        }
        self.shard.end_turn(now);
        let took = start.elapsed();
        for inbox in &mut self.inboxes {
            let mut events = 0;
            while let n @ 1.. = inbox.drain(&mut Sink, || now) {
                events += n as u64;
            }
            if events != EVENTS {
                return Err(Error::stop(format!("{events} of {EVENTS} events in a queue")));
            }
        }
        Ok(took.as_nanos() as f64 / EVENTS as f64)
    }

    fn case(self) -> Case {
        Case {
            subscribers: self.inboxes.len(),
            ns: tenth(median(self.trades_ns)),
            book_update_ns: tenth(median(self.updates_ns)),
        }
    }
}
