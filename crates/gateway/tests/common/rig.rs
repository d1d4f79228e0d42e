//! A world with two exchanges, one for the faults and one that must not be disturbed, and one
//! consumer of everything.

use std::time::Duration;

use engine::{Capacity, Catalog, Inbox, QueueCapacity, RoutingTable, Shard, Subscription};
use meltica::Kind;
use meltica::virtual_time::World;
use model::event::{Reason, StreamState};
use model::venue::{Command, Subscription as Wanted};
use model::{Decimal, Nanos};

use super::exchange::{Exchange, Faults};
use super::follower::{Follower, Side};

/// The place of the exchange that gets the faults, and its name.
pub const FAULTY: usize = 0;
pub const NAME: &str = "faulty";
pub const CALM: &str = "calm";
pub const INSTRUMENTS: [&str; 2] = ["BTC-USDT", "ETH-USDT"];
/// One way.
const LATENCY: Duration = Duration::from_millis(5);
/// Between two looks at the queue.
const SLICE: Duration = Duration::from_millis(200);
/// A repaired stream is live again within so long, where the venue answers.
pub const REPAIR: Duration = Duration::from_secs(5);

pub const LIVE: (StreamState, Reason) = (StreamState::Live, Reason::Synced);
pub const LOST: (StreamState, Reason) = (StreamState::Gapped, Reason::Disconnected);
pub const GAP: (StreamState, Reason) = (StreamState::Gapped, Reason::SequenceGap);
pub const START: (StreamState, Reason) = (StreamState::Syncing, Reason::Subscribed);
pub const TAKEN: (StreamState, Reason) = (StreamState::Syncing, Reason::Confirmed);
pub const FLOWS: (StreamState, Reason) = (StreamState::Live, Reason::Flowing);

pub fn gapped(reason: Reason) -> (StreamState, Reason) {
    (StreamState::Gapped, reason)
}

pub struct Rig {
    pub world: World,
    pub faulty: Exchange,
    pub calm: Exchange,
    pub follower: Follower,
    inbox: Inbox,
    slice: Duration,
}

/// A shard with one consumer of everything.
pub fn shard_with_consumer(now: Nanos) -> (Shard, Inbox) {
    let mut shard =
        Shard::new(Capacity::default(), Catalog::new(), std::task::Waker::noop().clone());
    let inbox = shard.add_consumer("follower", QueueCapacity::default(), now).unwrap();
    let all = Subscription { consumer: inbox.id(), ..Subscription::default() };
    let table = RoutingTable::default().next(&[all], shard.catalog()).unwrap();
    shard.set_routing(table.into(), now);
    (shard, inbox)
}

pub fn subscribe(instruments: &[&str], kinds: &[Kind]) -> Command {
    let all = instruments.iter().flat_map(|name| kinds.iter().map(move |kind| (*name, *kind)));
    Command::Subscribe(all.map(|(name, kind)| Wanted { instrument: name.into(), kind }).collect())
}

impl Rig {
    /// Both exchanges are there; nothing is subscribed yet.
    pub fn idle() -> Self {
        let now = Nanos(1_780_000_000_000_000_000);
        let (shard, inbox) = shard_with_consumer(now);
        let mut world = World::new(shard, now, LATENCY);
        let (faulty, calm) = (Exchange::new(7), Exchange::new(8));
        for (name, exchange) in [(NAME, &faulty), (CALM, &calm)] {
            let venue = venues::create("binance", venues::Settings::default()).unwrap();
            world.add(name, venue, Box::new(exchange.clone())).unwrap();
        }
        let follower = Follower::default();
        Self { world, faulty, calm, follower, inbox, slice: SLICE }
    }

    /// Both are subscribed.
    pub fn subscribed() -> Self {
        let mut rig = Self::idle();
        rig.subscribe();
        rig
    }

    /// Both are live, and have been for a while.
    pub fn live() -> Self {
        let mut rig = Self::subscribed();
        rig.run_for(Duration::from_secs(40));
        rig.assert_live();
        rig
    }

    pub fn subscribe(&mut self) {
        for link in [0, 1] {
            let command = subscribe(&INSTRUMENTS, &[Kind::BookUpdate, Kind::Trade]);
            self.world.command(link, &command);
        }
    }

    pub fn with_slice(mut self, slice: Duration) -> Self {
        self.slice = slice;
        self
    }

    fn drain(&mut self) {
        let now = self.world.now;
        while self.inbox.drain(&mut self.follower, || now) > 0 {}
        let counts = self.inbox.tally().counts();
        assert_eq!((counts.panics, counts.dropped, counts.conflated), (0, 0, 0));
        assert_eq!(self.follower.inner().complaint, None);
    }

    pub fn run_for(&mut self, duration: Duration) {
        let end = self.world.now + duration;
        while self.world.now < end {
            self.world.run_for(self.slice.min(end.since(self.world.now)));
            self.drain();
        }
    }

    /// Runs until it is as wanted.
    #[track_caller]
    pub fn run_until(&mut self, limit: Duration, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let end = self.world.now + limit;
        while !done(self) {
            let states = self.states(INSTRUMENTS[0]);
            assert!(self.world.now < end, "not within {limit:?}: {what}; states {states:?}");
            self.world.run_for(Duration::from_millis(10));
            self.drain();
        }
    }

    pub fn is_live(&self, provider: &str) -> bool {
        INSTRUMENTS.iter().all(|name| {
            let known = self.follower.known(provider, name);
            let trades = self.follower.states(provider, name, Kind::Trade);
            known.book_state == StreamState::Live && trades.last() == Some(&FLOWS)
        })
    }

    #[track_caller]
    pub fn assert_live(&self) {
        assert!(self.is_live(NAME) && self.is_live(CALM), "{:?}", self.states(INSTRUMENTS[0]));
    }

    /// The book's states on the faulty exchange.
    pub fn states(&self, instrument: &str) -> Vec<(StreamState, Reason)> {
        self.follower.states(NAME, instrument, Kind::BookUpdate)
    }

    /// Something goes wrong for a while; what became of the books' states since then.
    #[track_caller]
    pub fn during(&mut self, faults: Faults, duration: Duration) {
        self.faulty.set(faults);
        self.run_for(duration);
        self.faulty.set(Faults::default());
    }

    /// All is well again soon, everything agrees, and the other provider was left in peace.
    #[track_caller]
    pub fn assert_recovers(&mut self) {
        self.assert_recovers_within(REPAIR);
    }

    #[track_caller]
    pub fn assert_recovers_within(&mut self, limit: Duration) {
        self.run_until(limit, "live again", |rig| rig.is_live(NAME));
        self.run_for(Duration::from_secs(2));
        self.assert_agreement();
    }

    /// Everybody has the same books, and the other provider never heard of anything.
    #[track_caller]
    pub fn assert_agreement(&mut self) {
        for exchange in [&self.faulty, &self.calm] {
            exchange.state().frozen = true;
        }
        self.run_for(Duration::from_secs(1));
        self.assert_live();
        for (link, name, exchange) in [(0, NAME, &self.faulty), (1, CALM, &self.calm)] {
            for (at, instrument) in INSTRUMENTS.iter().enumerate() {
                let state = exchange.state();
                let market = &state.markets[at];
                let sides = [side(&market.bids), side(&market.asks)];
                let known = self.follower.known(name, instrument);
                assert_eq!(
                    [&known.bids, &known.asks],
                    [&sides[0], &sides[1]],
                    "{name} {instrument}"
                );
                assert_eq!(known.position, market.update_id);
                let provider = self.world.provider(link);
                let id = self.world.shard.catalog().find_instrument(instrument).unwrap();
                let book = self.world.shard.book(provider, id).unwrap();
                let of = |side| {
                    let levels = book.levels(side);
                    levels.map(|l| (l.price.normalize(), l.quantity.normalize())).collect::<Side>()
                };
                assert_eq!([of(model::Side::Buy), of(model::Side::Sell)], sides);
            }
        }
        for instrument in INSTRUMENTS {
            let books = self.follower.states(CALM, instrument, Kind::BookUpdate);
            let trades = self.follower.states(CALM, instrument, Kind::Trade);
            assert_eq!(
                (books, trades),
                (vec![START, LIVE], vec![START, TAKEN, FLOWS]),
                "{instrument}"
            );
            assert!(is_contiguous(&self.follower.known(CALM, instrument).trades));
        }
        for exchange in [&self.faulty, &self.calm] {
            exchange.state().frozen = false;
        }
    }
}

pub fn is_contiguous(trades: &[u64]) -> bool {
    !trades.is_empty() && trades.windows(2).all(|pair| pair[1] == pair[0] + 1)
}

fn side(side: &super::exchange::Side) -> Side {
    let money = |hundredths: u64| Decimal::new(i64::try_from(hundredths).unwrap(), 2).normalize();
    side.iter().map(|(price, quantity)| (money(*price), money(*quantity))).collect()
}
