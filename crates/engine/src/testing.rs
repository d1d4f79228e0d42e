//! What this crate's tests share: a shard with one instrument, and a consumer that follows it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

use model::event::{BookMeta, Level, Reason, Side, StreamState, Trade};
use model::instrument::Contract;
use model::venue::Pipeline;
use model::{Body, Book, Decimal, Event, Instrument, InstrumentId, Kind, Nanos, ProviderId};

use crate::{
    Capacity, Catalog, Consumer, Context, Inbox, QueueCapacity, RoutingTable, Shard, Subscription,
};

/// The one that [`shard`] lists.
pub(crate) const INSTRUMENT: InstrumentId = InstrumentId(0);
const PROVIDER: ProviderId = ProviderId(0);

/// A shard with those consumers, each subscribed to everything.
pub(crate) fn shard(consumers: &[(&str, QueueCapacity)]) -> (Shard, Vec<Inbox>) {
    let mut shard = Shard::new(Capacity::default(), Catalog::new(), Waker::noop().clone());
    let inboxes = consumers
        .iter()
        .map(|(name, capacity)| shard.add_consumer(name, *capacity, Nanos(0)).unwrap())
        .collect();
    subscribe_all(&mut shard);
    (shard, inboxes)
}

/// Names a provider and an instrument, and subscribes every consumer to everything.
pub(crate) fn subscribe_all(shard: &mut Shard) {
    shard.catalog().provider("p").unwrap();
    let listed = Instrument::unlisted("BTC", "USDT", Contract::Spot);
    assert_eq!(shard.port(PROVIDER, Nanos(0)).list(&listed).unwrap(), INSTRUMENT);
    let all: Vec<_> = shard
        .consumers()
        .map(|(consumer, _)| Subscription { consumer, ..Subscription::default() })
        .collect();
    let table = RoutingTable::default().next(&all, shard.catalog()).unwrap();
    shard.set_routing(Arc::new(table), Nanos(0));
}

/// Emits a trade of that number.
pub(crate) fn trade(shard: &mut Shard, now: Nanos, trade_id: u64) {
    trade_of(shard, now, INSTRUMENT, trade_id);
}

/// The same of any instrument.
pub(crate) fn trade_of(shard: &mut Shard, now: Nanos, instrument: InstrumentId, trade_id: u64) {
    let mut port = shard.port(PROVIDER, now);
    let mut event = port.event().unwrap();
    event.set_kind(instrument, Kind::Trade);
    event.header.seq_provider = Some(trade_id);
    event.body = Body::Trade(Trade { trade_id, ..Trade::default() });
    port.emit(event);
}

/// Gives a stream a state.
pub(crate) fn status(shard: &mut Shard, now: Nanos, of: Kind, state: StreamState) {
    shard.port(PROVIDER, now).status(INSTRUMENT, of, state, Reason::Flowing);
}

/// Changes one level of the book, which is live from the first change on.
pub(crate) fn update(shard: &mut Shard, now: Nanos, n: u64) {
    let mut port = shard.port(PROVIDER, now);
    let level = Level { price: Decimal::from(n % 7), quantity: Decimal::from(n % 5) };
    let book = port.book(INSTRUMENT);
    book.set(Side::Buy, level).unwrap();
    book.seq_last = Some(n);
    let first = book.generation == 0;
    (book.generation, book.state) = (1, StreamState::Live);
    let mut event = port.event().unwrap();
    event.set_kind(INSTRUMENT, if first { Kind::BookSnapshot } else { Kind::BookUpdate });
    event.header.seq_provider = Some(n);
    event.bids.push(level);
    event.body = Body::Book(BookMeta { generation: 1, ..BookMeta::default() });
    port.emit(event);
    if first {
        status(shard, now, Kind::BookUpdate, StreamState::Live);
    }
}

/// Follows one instrument the way a strategy would.
#[derive(Debug, Default)]
pub(crate) struct Follower {
    pub(crate) trades: Vec<u64>,
    pub(crate) transitions: u64,
    pub(crate) last: Option<Body>,
    bids: BTreeMap<Decimal, Decimal>,
}

impl Follower {
    /// The bids that it has are those of the shard's book.
    pub(crate) fn assert_same_book(&self, book: &Book) {
        let shard: BTreeMap<_, _> =
            book.levels(Side::Buy).map(|level| (level.price, level.quantity)).collect();
        assert_eq!(self.bids, shard);
    }
}

impl Consumer for Follower {
    fn on_event(&mut self, event: Event, _: &mut Context<'_>) {
        match &event.body {
            Body::Trade(trade) => self.trades.push(trade.trade_id),
            Body::Status(status) => self.transitions += u64::from(status.transitions),
            Body::Book(_) => {
                if event.kind() == Kind::BookSnapshot {
                    self.bids.clear();
                }
                for level in event.bids() {
                    self.bids.insert(level.price, level.quantity);
                }
                self.bids.retain(|_, quantity| !quantity.is_zero());
            }
            _ => {}
        }
        self.last = Some(event.body);
    }
}

/// Keeps every event that it gets.
#[derive(Debug, Default)]
pub(crate) struct Kept(pub(crate) Vec<Event>);

impl Consumer for Kept {
    fn on_event(&mut self, event: Event, _: &mut Context<'_>) {
        self.0.push(event);
    }
}
