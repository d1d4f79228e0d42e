//! For any interleaving of events, turns, drains and re-routings: each consumer's book is the
//! shard's, each stream's order is kept, no state is lost, and every dropped trade is counted.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::num::NonZeroU32;

use model::Decimal;
use model::event::{BookMeta, Level, Quote, Side, StreamState, Trade};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;
use crate::share;

const PAIRS: usize = 3;
type Levels = BTreeMap<(Side, Decimal), Decimal>;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    /// A level changes, if the book is live.
    Update {
        pair: usize,
        side: Side,
        price: i64,
        quantity: i64,
    },
    /// The book is not to be relied on any more.
    Gap(usize),
    /// The book was in doubt and turns out to be right: no new snapshot.
    Confirm(usize),
    /// The book is rebuilt; its snapshot goes out, or finds no pooled event.
    Recover {
        pair: usize,
        announced: bool,
    },
    /// The venue sends the whole book though it is live.
    Refresh(usize),
    Trade(usize),
    Quote(usize),
    TradeState(usize, StreamState),
    EndTurn,
    /// A consumer reads that many events.
    Drain(usize, usize),
    /// A consumer's subscription is taken away or given back.
    Subscribe(usize, bool),
}

fn step() -> impl Strategy<Value = Step> {
    let pair = 0..PAIRS;
    let side = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    let state = prop_oneof![Just(StreamState::Live), Just(StreamState::Gapped)];
    prop_oneof![
        8 => (pair.clone(), side, 1..9i64, 0..4i64)
            .prop_map(|(pair, side, price, quantity)| Step::Update { pair, side, price, quantity }),
        1 => pair.clone().prop_map(Step::Gap),
        3 => (pair.clone(), any::<bool>())
            .prop_map(|(pair, announced)| Step::Recover { pair, announced }),
        1 => pair.clone().prop_map(Step::Confirm),
        1 => pair.clone().prop_map(Step::Refresh),
        4 => pair.clone().prop_map(Step::Trade),
        3 => pair.clone().prop_map(Step::Quote),
        1 => (pair, state).prop_map(|(pair, state)| Step::TradeState(pair, state)),
        4 => Just(Step::EndTurn),
        4 => (0..3usize, 1..6usize).prop_map(|(consumer, most)| Step::Drain(consumer, most)),
        1 => (0..3usize, any::<bool>())
            .prop_map(|(consumer, wanted)| Step::Subscribe(consumer, wanted)),
    ]
}

/// The venue's side: a stand-in for machines and assembler, with the truth beside it.
struct Venue {
    shard: Shard,
    now: u64,
    /// The generation of each book at each moment: its update of that time belongs to it.
    generations: Vec<BTreeMap<u64, u32>>,
    /// Trades of each pair.
    trades: [u64; PAIRS],
}

impl Venue {
    fn pair(pair: usize) -> (ProviderId, InstrumentId) {
        // Two instruments of one provider, and one of them again at another.
        (ProviderId(u16::from(pair == 2)), InstrumentId(u32::from(pair == 1)))
    }

    fn port(&mut self, pair: usize) -> (Port<'_>, InstrumentId) {
        self.now += 1;
        let (provider, instrument) = Self::pair(pair);
        (self.shard.port(provider, Nanos(self.now)), instrument)
    }

    fn live(&mut self, pair: usize) -> bool {
        let (mut port, instrument) = self.port(pair);
        port.book(instrument).state == StreamState::Live
    }

    fn update(&mut self, pair: usize, side: Side, level: Level) {
        let now = self.now + 1;
        let (mut port, instrument) = self.port(pair);
        let book = port.book(instrument);
        book.set(side, level).unwrap();
        let seq_prev = book.seq_last.replace(now);
        let meta = BookMeta {
            seq_first: Some(now),
            seq_last: Some(now),
            seq_prev,
            generation: book.generation,
            ..BookMeta::default()
        };
        let mut event = port.event().unwrap();
        event.set_kind(instrument, Kind::BookUpdate);
        event.header.seq_provider = Some(now);
        event.body = Body::Book(meta);
        if side == Side::Buy {
            event.bids.push(level)
        } else {
            event.asks.push(level)
        }
        port.emit(event);
    }

    fn turn_book(&mut self, pair: usize, state: StreamState) {
        let (mut port, instrument) = self.port(pair);
        port.book(instrument).state = state;
        let generation = port.book(instrument).generation;
        port.status(instrument, Kind::BookUpdate, state, Reason::Synced);
        self.generations[pair].insert(self.now, generation);
    }

    fn recover(&mut self, pair: usize, announced: bool) {
        let now = self.now + 1;
        let (mut port, instrument) = self.port(pair);
        let book = port.book(instrument);
        book.clear();
        for n in 0..3 {
            let price = Decimal::from((now + n) % 9 + 1);
            let side = if n == 0 { Side::Buy } else { Side::Sell };
            book.set(side, Level { price, quantity: Decimal::TWO }).unwrap();
        }
        book.seq_last = Some(now);
        book.generation += 1;
        if announced {
            self.announce(pair);
        }
        self.turn_book(pair, StreamState::Live);
    }

    fn announce(&mut self, pair: usize) {
        let (mut port, instrument) = self.port(pair);
        let mut event = port.event().unwrap();
        let book = port.book(instrument);
        event.set_kind(instrument, Kind::BookSnapshot);
        event.header.seq_provider = book.seq_last;
        event.bids.extend(book.levels(Side::Buy));
        event.asks.extend(book.levels(Side::Sell));
        let (seq_last, generation) = (book.seq_last, book.generation);
        event.body = Body::Book(BookMeta { seq_last, generation, ..BookMeta::default() });
        port.derive(event);
    }

    fn plain(&mut self, pair: usize, kind: Kind) {
        let now = self.now + 1;
        self.trades[pair] += u64::from(kind == Kind::Trade);
        let trade_id = self.trades[pair];
        let (mut port, instrument) = self.port(pair);
        let mut event = port.event().unwrap();
        event.set_kind(instrument, kind);
        event.header.seq_provider = Some(now);
        event.body = match kind {
            Kind::Trade => Body::Trade(Trade { trade_id, ..Trade::default() }),
            _ => Body::Quote(Quote::default()),
        };
        port.emit(event);
    }

    /// The book, where it is live.
    fn truth(&mut self, pair: usize) -> Option<Levels> {
        let (provider, instrument) = Self::pair(pair);
        let book = self.shard.book(provider, instrument)?;
        let of = |side| book.levels(side).map(move |l| ((side, l.price), l.quantity));
        (book.state == StreamState::Live).then(|| of(Side::Buy).chain(of(Side::Sell)).collect())
    }
}

/// A consumer that checks what it can see as it comes.
#[derive(Default)]
struct Checker {
    /// It was subscribed all the time.
    steady: bool,
    generations: Vec<BTreeMap<u64, u32>>,
    books: [Levels; PAIRS],
    generation: [u32; PAIRS],
    states: BTreeMap<(usize, Kind), StreamState>,
    transitions: u64,
    trades: u64,
    /// The number of each pair's last trade.
    trade_ids: [u64; PAIRS],
    /// The position of each book.
    books_at: [Option<u64>; PAIRS],
    quotes: [Option<u64>; PAIRS],
    /// Position by (pair, kind); statuses by the stream that they are about.
    positions: BTreeMap<(usize, Kind, bool), u64>,
}

impl Checker {
    fn pair_of(stream: Stream) -> usize {
        let pair = (stream.provider, stream.instrument);
        (0..PAIRS).find(|n| Venue::pair(*n) == pair).unwrap()
    }

    /// Trace ids count up with what happened.
    fn in_order(&mut self, pair: usize, kind: Kind, status: bool, trace_id: u64) {
        let last = self.positions.insert((pair, kind, status), trace_id);
        assert!(last.is_none_or(|last| last < trace_id), "{kind:?} went back");
        // A book's snapshot may stand for what came after a state; nothing else overtakes.
        if kind != Kind::BookUpdate {
            let other = self.positions.get(&(pair, kind, !status));
            assert!(other.is_none_or(|other| *other < trace_id), "{kind:?} overtook");
        }
    }

    fn on_book(&mut self, pair: usize, event: &Event, meta: &BookMeta) {
        if event.kind() == Kind::BookSnapshot {
            self.books[pair].clear();
            self.generation[pair] = meta.generation;
        }
        assert_eq!(self.generation[pair], meta.generation, "an update without its snapshot");
        let at = self.books_at[pair];
        let follows =
            event.kind() == Kind::BookSnapshot || (meta.seq_prev == at && meta.seq_first > at);
        assert!(follows, "what it covers, {meta:?}, does not begin where the book is, {at:?}");
        assert_eq!(meta.seq_last, event.header.seq_provider);
        self.books_at[pair] = meta.seq_last;
        for (side, levels) in [(Side::Buy, event.bids()), (Side::Sell, event.asks())] {
            for level in levels {
                self.books[pair].insert((side, level.price), level.quantity);
            }
        }
        self.books[pair].retain(|_, quantity| !quantity.is_zero());
    }
}

impl Consumer for Checker {
    fn on_event(&mut self, event: Event, _: &mut Context<'_>) {
        let (pair, kind) = (Self::pair_of(event.header.stream), lane_kind(event.kind()));
        let of = if let Body::Status(status) = &event.body { status.of } else { kind };
        self.in_order(pair, of, kind == Kind::StreamStatus, event.header.trace_id);
        match &event.body {
            Body::Book(meta) => self.on_book(pair, &event, meta),
            Body::Trade(trade) => {
                self.trades += 1;
                let last = std::mem::replace(&mut self.trade_ids[pair], trade.trade_id);
                let told = last + u64::from(event.header.dropped) + 1;
                assert!(!self.steady || trade.trade_id == told, "{told} {trade:?}");
            }
            Body::Quote(_) => self.quotes[pair] = event.header.seq_provider,
            Body::Status(status) => {
                self.transitions += u64::from(status.transitions);
                self.states.insert((pair, status.of), status.state);
                let live = status.state == StreamState::Live;
                if status.of == Kind::BookUpdate && live && self.steady {
                    let generation = self.generations[pair][&event.header.ts_recv.0];
                    assert!(self.generation[pair] >= generation, "Live before its snapshot");
                }
            }
            _ => {}
        }
    }
}

struct World {
    venue: Venue,
    inboxes: Vec<Inbox>,
    checkers: Vec<Checker>,
    /// Whether each consumer is subscribed now, and was all the time.
    wanted: Vec<(bool, bool)>,
    table: RoutingTable,
    /// Offered to whoever was subscribed all the time.
    trades: u64,
    transitions: u64,
    quotes: [Option<u64>; PAIRS],
    states: BTreeMap<(usize, Kind), StreamState>,
}

impl World {
    fn new(capacities: &[(usize, usize)]) -> Self {
        let mut shard = Shard::new(Capacity::default(), Catalog::new(), Waker::noop().clone());
        for name in ["one", "two"] {
            shard.catalog().provider(name).unwrap();
        }
        for base in ["BTC", "ETH"] {
            let listed = Instrument::unlisted(base, "USDT", Contract::Spot);
            for provider in [ProviderId(0), ProviderId(1)] {
                shard.port(provider, Nanos(0)).list(&listed).unwrap();
            }
        }
        let inboxes: Vec<_> = capacities
            .iter()
            .enumerate()
            .map(|(n, (ring, trades))| {
                let capacity =
                    QueueCapacity { ring: *ring, trades: *trades, ..QueueCapacity::default() };
                shard.add_consumer(&n.to_string(), capacity, Nanos(0)).unwrap()
            })
            .collect();
        let checkers = capacities.iter().map(|_| Checker::default()).collect();
        let generations = vec![BTreeMap::new(); PAIRS];
        let mut world = Self {
            venue: Venue { shard, now: 0, generations, trades: [0; PAIRS] },
            inboxes,
            checkers,
            wanted: vec![(true, true); capacities.len()],
            table: RoutingTable::default(),
            trades: 0,
            transitions: 0,
            quotes: [None; PAIRS],
            states: BTreeMap::new(),
        };
        world.route();
        world
    }

    fn route(&mut self) {
        let wanting = self.inboxes.iter().zip(&self.wanted).filter(|(_, (now, _))| *now);
        let wanted: Vec<_> = wanting
            .map(|(inbox, _)| Subscription { consumer: inbox.id(), ..Subscription::default() })
            .collect();
        self.table = self.table.next(&wanted, self.venue.shard.catalog()).unwrap();
        let now = Nanos(self.venue.now);
        self.venue.shard.set_routing(Arc::new(self.table.clone()), now);
    }

    fn drain(&mut self, consumer: usize, most: usize) -> usize {
        let checker = &mut self.checkers[consumer];
        checker.steady = self.wanted[consumer].1;
        checker.generations.clone_from(&self.venue.generations);
        let read = self.inboxes[consumer].drain_up_to(most, checker, || Nanos(0));
        assert_eq!(self.inboxes[consumer].tally().counts().panics, 0, "see the panic above");
        read
    }

    fn turn_state(&mut self, pair: usize, of: Kind, state: StreamState) {
        if self.states.insert((pair, of), state) != Some(state) {
            self.transitions += 1;
        }
    }

    fn take(&mut self, step: Step) {
        let venue = &mut self.venue;
        match step {
            Step::Update { pair, side, price, quantity } if venue.live(pair) => {
                let level = Level { price: price.into(), quantity: quantity.into() };
                venue.update(pair, side, level);
            }
            Step::Refresh(pair) if venue.live(pair) => venue.announce(pair),
            Step::Update { .. } | Step::Refresh(_) => {}
            Step::Gap(pair) => {
                venue.turn_book(pair, StreamState::Gapped);
                self.turn_state(pair, Kind::BookUpdate, StreamState::Gapped);
            }
            Step::Confirm(pair) => {
                let (mut port, instrument) = venue.port(pair);
                if port.book(instrument).generation > 0 {
                    venue.turn_book(pair, StreamState::Live);
                    self.turn_state(pair, Kind::BookUpdate, StreamState::Live);
                }
            }
            Step::Recover { pair, announced } => {
                if !venue.live(pair) {
                    venue.recover(pair, announced);
                    self.turn_state(pair, Kind::BookUpdate, StreamState::Live);
                }
            }
            Step::Trade(pair) => {
                venue.plain(pair, Kind::Trade);
                self.trades += 1;
            }
            Step::Quote(pair) => {
                venue.plain(pair, Kind::Quote);
                self.quotes[pair] = Some(venue.now);
            }
            Step::TradeState(pair, state) => {
                let (mut port, instrument) = venue.port(pair);
                port.status(instrument, Kind::Trade, state, Reason::Flowing);
                self.turn_state(pair, Kind::Trade, state);
            }
            Step::EndTurn => {
                venue.now += share::REFILL.as_nanos() as u64 / 3;
                venue.shard.end_turn(Nanos(venue.now));
            }
            Step::Drain(consumer, most) => {
                self.drain(consumer, most);
            }
            Step::Subscribe(consumer, wanted) => {
                self.wanted[consumer].0 = wanted;
                self.wanted[consumer].1 &= wanted;
                self.route();
            }
        }
    }

    /// Whoever has nothing in its queue has exactly the books that are live.
    fn check_books(&mut self) {
        for (consumer, inbox) in self.inboxes.iter().enumerate() {
            let waiting = inbox.tally().counts().waiting;
            if !self.wanted[consumer].0 || waiting > 0 || !inbox.is_empty() {
                continue;
            }
            for pair in 0..PAIRS {
                if let Some(truth) = self.venue.truth(pair) {
                    assert_eq!(self.checkers[consumer].books[pair], truth, "pair {pair}");
                }
            }
        }
    }

    fn settle(&mut self) {
        loop {
            self.take(Step::EndTurn);
            let read: usize = (0..self.inboxes.len()).map(|n| self.drain(n, 64)).sum();
            let waits = self.inboxes.iter().any(|inbox| inbox.tally().counts().waiting > 0);
            if read == 0 && !waits {
                return;
            }
        }
    }

    fn check_end(&mut self) {
        for (consumer, checker) in self.checkers.iter().enumerate() {
            let counts = self.inboxes[consumer].tally().counts();
            assert_eq!(counts.waiting, 0);
            assert_eq!(
                counts.offered + counts.snapshots,
                counts.delivered + counts.conflated + counts.merged + counts.dropped,
                "{counts:?}"
            );
            if self.wanted[consumer].1 {
                assert_eq!(checker.trades + counts.dropped, self.trades);
                assert_eq!(checker.transitions, self.transitions);
                assert_eq!(checker.states, self.states);
                assert_eq!(checker.quotes, self.quotes);
            }
        }
        for pool in self.venue.shard.pools().manager().stats() {
            assert_eq!(pool.in_use, 0);
        }
    }
}

/// Merged updates and snapshots in their place are what this is about: both are to occur.
#[test]
fn every_consumer_has_the_shards_books_whatever_the_schedule() {
    let config =
        ProptestConfig { cases: 4_000, source_file: Some(file!()), ..ProptestConfig::default() };
    let (merged, snapshots) = (Cell::new(0), Cell::new(0));
    let capacities = prop::collection::vec((1..7usize, 1..5usize), 3);
    let budget = prop::option::weighted(0.3, 20..500u32);
    let schedules = (capacities, budget, prop::collection::vec(step(), 1..150));
    let tried = TestRunner::new(config).run(&schedules, |(capacities, budget, steps)| {
        let mut world = World::new(&capacities);
        world.venue.shard.set_budget(budget.and_then(NonZeroU32::new), Nanos(0));
        for step in steps {
            let ends = matches!(step, Step::EndTurn);
            world.take(step);
            if ends {
                world.check_books();
            }
        }
        world.settle();
        world.check_books();
        world.check_end();
        for inbox in &world.inboxes {
            let counts = inbox.tally().counts();
            merged.set(merged.get() + counts.updates_merged);
            snapshots.set(snapshots.get() + counts.snapshots);
        }
        Ok(())
    });
    tried.unwrap_or_else(|failure| panic!("{failure}"));
    let exercised = (merged.get(), snapshots.get());
    assert!(merged.get() > 1_000 && snapshots.get() > 1_000, "merged, snapshots: {exercised:?}");
}
