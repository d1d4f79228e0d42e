//! The gateway's venues against the simulators, in virtual time: after whatever went wrong, every
//! book is live and the venue's own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::follower::Follower;
use common::rig::{FLOWS, TAKEN, shard_with_consumer, subscribe};
use meltica::Kind;
use meltica::virtual_time::World;
use model::event::StreamState;
use model::{Decimal, Level, Nanos, Side};
use sim::faults::Faults;
use sim::venue::{SimOptions, Simulator, TrueBook};

const START: Nanos = Nanos(1_790_000_000_000_000_000);
const VENUES: [&str; 3] = ["binance", "binance-usdm", "binance-coinm"];
/// A line that has fallen silent while it stays open is found by a ping after 30 s and 10 s without
/// its answer: no client can know before.
const SILENCE: Duration = Duration::from_secs(45);
/// How long a gateway may take to be right again once nothing goes wrong any more.
const SETTLE: Duration = Duration::from_secs(10);

struct Rig {
    world: World,
    inbox: engine::Inbox,
    follower: Follower,
    simulators: Vec<Simulator>,
}

impl Rig {
    fn new(seed: u64, symbols: usize, rate: u32, faults: &Faults) -> Self {
        let (shard, inbox) = shard_with_consumer(START);
        let mut world = World::new(shard, START, Duration::from_millis(3));
        let mut simulators = Vec::new();
        for (link, venue) in VENUES.into_iter().enumerate() {
            let symbols = sim::venue::default_symbols(venue, symbols);
            let faults = faults.clone();
            let (accounts, names) = (Vec::new(), symbols.clone());
            let options = SimOptions { seed, symbols: names, rate, faults, start: START, accounts };
            let simulator = sim::venue(venue, &options).unwrap().unwrap();
            let machine = venues::create(venue, venues::Settings::default()).unwrap();
            assert_eq!(world.add(venue, machine, Box::new(simulator.clone())).unwrap(), link);
            let names: Vec<&str> = symbols.iter().map(String::as_str).collect();
            let mut kinds =
                vec![Kind::BookUpdate, Kind::Trade, Kind::Quote, Kind::Ticker, Kind::Kline];
            kinds.extend((venue != "binance").then_some(Kind::Funding));
            world.command(link, &subscribe(&names, &kinds));
            simulators.push(simulator);
        }
        Self { world, inbox, follower: Follower::default(), simulators }
    }

    fn run_for(&mut self, duration: Duration) {
        let end = self.world.now + duration;
        while self.world.now < end {
            self.world.run_for(Duration::from_millis(100));
            let now = self.world.now;
            while self.inbox.drain(&mut self.follower, || now) > 0 {}
        }
    }

    /// Faults end, and when what they have left behind has been found the market stands still.
    fn settle(&mut self) {
        self.simulators.iter().for_each(|simulator| simulator.set_faults(false));
        self.run_for(SILENCE);
        self.simulators.iter().for_each(Simulator::freeze);
        self.run_for(SETTLE);
    }

    /// What is not as at the venues.
    fn differences(&self) -> Vec<String> {
        let mut all = Vec::new();
        for (link, simulator) in self.simulators.iter().enumerate() {
            for (name, truth) in simulator.books() {
                all.extend(self.difference(link, &name, &truth));
            }
        }
        all
    }

    fn difference(&self, link: usize, name: &str, truth: &TrueBook) -> Option<String> {
        let venue = VENUES[link];
        let shard = &self.world.shard;
        let id = shard.catalog().find_instrument(name)?;
        let book = shard.book(self.world.provider(link), id)?;
        let known = self.follower.known(venue, name);
        if book.state != StreamState::Live || known.book_state != StreamState::Live {
            return Some(format!("{venue} {name}: {:?}, {:?}", book.state, book.reason));
        }
        let plain = |levels: &[Level]| -> BTreeMap<Decimal, Decimal> {
            levels.iter().map(|l| (l.price.normalize(), l.quantity.normalize())).collect()
        };
        let of = |side| plain(&book.levels(side).collect::<Vec<_>>());
        let expected = [plain(&truth.bids), plain(&truth.asks)];
        let same = [of(Side::Buy), of(Side::Sell)] == expected
            && [known.bids, known.asks] == expected
            && book.seq_last == truth.position;
        let (at, position) = (book.seq_last, truth.position);
        (!same).then(|| format!("{venue} {name}: another book; at {at:?}, venue {position:?}"))
    }
}

/// A preset over seeds and minutes; how many faults there were.
fn sweep(preset: &str, seeds: std::ops::Range<u64>, lasting: Duration) -> u64 {
    let faults = Faults::preset(preset).unwrap();
    let mut injected = 0;
    for seed in seeds {
        let mut rig = Rig::new(seed, 3, 120, &faults);
        rig.run_for(lasting);
        rig.settle();
        assert_eq!(rig.differences(), Vec::<String>::new(), "{preset}, seed {seed}");
        assert_eq!(rig.follower.inner().complaint, None, "{preset}, seed {seed}");
        let in_use = |pool: &pool::PoolStats| pool.in_use;
        assert!(rig.world.shard.pools().manager().stats().iter().all(|pool| in_use(pool) == 0));
        injected += rig.simulators.iter().map(Simulator::faults_injected).sum::<u64>();
    }
    injected
}

#[test]
fn without_faults_every_stream_of_every_line_flows_and_never_breaks() {
    let mut rig = Rig::new(1, 5, 100, &Faults::default());
    rig.run_for(Duration::from_secs(120));
    rig.settle();
    assert_eq!(rig.differences(), Vec::<String>::new());
    for (link, venue) in VENUES.into_iter().enumerate() {
        assert_eq!(rig.world.session(link).stats().reconnects, 0, "{venue}");
        for name in rig.simulators[link].books().keys() {
            let known = rig.follower.known(venue, name);
            assert!(known.updates > 100, "{venue} {name}: {} updates", known.updates);
            assert_eq!(known.generation, 1, "{venue} {name}");
            let mut kinds = vec![Kind::Trade, Kind::Quote, Kind::Ticker, Kind::Kline];
            kinds.extend((venue != "binance").then_some(Kind::Funding));
            for kind in kinds {
                let states = rig.follower.states(venue, name, kind);
                assert_eq!(states.last(), Some(&FLOWS), "{venue} {name} {}", kind.name());
                // That the venue has taken the subscription may be told before anything flows.
                let others = states.iter().filter(|state| **state != TAKEN).count();
                assert_eq!(others, 2, "{venue} {name} {}: {states:?}", kind.name());
            }
            assert!(common::rig::is_contiguous(&known.trades), "{venue} {name}");
        }
    }
}

#[test]
fn after_broken_lines_every_book_is_the_venues_own() {
    let injected = sweep("flaky", 0..10, Duration::from_secs(120));
    assert!(injected > 500, "{injected} faults");
}

#[test]
fn after_refused_and_late_answers_every_book_is_the_venues_own() {
    let injected = sweep("throttled", 0..10, Duration::from_secs(120));
    assert!(injected > 20, "{injected} faults");
}
