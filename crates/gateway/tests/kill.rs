//! The kill switch and the venues' own dead-man switches, joined: in virtual time, at every venue that
//! takes orders.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use common::trading::world;
use engine::control::{Answer, operator};
use engine::orders::DeskOptions;
use engine::{Command, Inbox, Operator};
use meltica::demo::Options;
use meltica::demo::maker::Maker;
use meltica::demo::orders::Orders;
use meltica::demo::stage::{self, Part};
use meltica::virtual_time::World;
use model::Nanos;
use model::control::{Verdict, Waiting};
use sim::accounts::Account;
use sim::machine::Machine;
use store::ledger::MemoryLedger;

const BEGIN: Nanos = Nanos(1_780_000_000_000_000_000);
const SLICE: Duration = Duration::from_millis(20);
/// The least that OKX takes is 10 s.
const WITHIN: Duration = Duration::from_secs(12);

struct Rig {
    parts: Vec<Part>,
    ledger: MemoryLedger,
    seen: Orders,
    world: World,
    inbox: Inbox,
    maker: Maker,
    operator: Operator,
}

impl Rig {
    fn new(venues: &[&str], options: DeskOptions) -> Self {
        let venues = venues.iter().map(|name| (*name).to_owned()).collect();
        let cast = Options { venues, symbols: 2, rate: 60, ..Options::default() };
        let parts = stage::cast(&cast, BEGIN).unwrap();
        let (ledger, seen) = (MemoryLedger::new(), Orders::default());
        let (mut world, inbox) = world(&parts, &ledger, options, (BEGIN, 0));
        let (operator, end) = operator();
        world.shard.attach_operators(end);
        let maker = Maker::new(seen.clone());
        Self { parts, ledger, seen, world, inbox, maker, operator }
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.world.now + time;
        while self.world.now < end {
            self.world.run_for(SLICE.min(end.since(self.world.now)));
            let now = self.world.now;
            while self.inbox.drain(&mut self.maker, || now) > 0 {}
        }
    }

    /// Until orders are open everywhere.
    fn trade(&mut self) {
        for _ in 0..200 {
            self.run_for(Duration::from_millis(100));
            if self.parts.iter().all(|part| open(part) > 0) {
                return;
            }
        }
        panic!("no orders everywhere: {:?}", self.parts.iter().map(open).collect::<Vec<_>>());
    }

    fn freeze(&self) {
        self.parts.iter().for_each(|part| part.simulator.freeze());
    }

    fn open(&self) -> usize {
        self.parts.iter().map(open).sum()
    }

    fn placed(&self) -> u64 {
        self.parts.iter().map(|part| part.counts().placed).sum()
    }

    fn kill(&self) -> Receiver<Answer> {
        self.operator.command("", Command::Kill).unwrap()
    }

    /// Nothing is missing and nothing was told twice.
    fn check(&self) {
        for part in &self.parts {
            let gap = part.gap(&self.seen);
            assert_eq!((gap.lost, gap.doubled, gap.what), (0, 0, None), "{}", part.venue);
            assert_eq!(part.counts().sent_twice, 0, "{}", part.venue);
        }
    }
}

fn open(part: &Part) -> usize {
    open_orders(part).len()
}

/// The open orders of an account, by the venue's ids.
fn open_orders(part: &Part) -> BTreeSet<(String, u64)> {
    let orders = part.simulator.orders(&Account::demo().api_key).into_iter();
    orders.filter(|order| order.state.is_open()).map(|o| (o.instrument, o.id)).collect()
}

const ALL: [&str; 3] = ["binance", "binance-usdm", "okx"];

#[test]
fn the_kill_switch_takes_back_every_order_of_every_account_and_none_leaves_any_more() {
    let mut rig = Rig::new(&ALL, DeskOptions::default());
    rig.trade();
    let (answers, mut verdicts) = (rig.kill(), Vec::new());
    for _ in 0..200 {
        rig.run_for(Duration::from_millis(1));
        verdicts.extend(answers.try_iter().map(|answer| answer.verdict));
        if verdicts.len() == 2 {
            break;
        }
    }
    let [Verdict::Pending { why: Waiting::Orders, .. }, Verdict::Effective] = verdicts[..] else {
        panic!("{verdicts:?}");
    };
    // What had left before arrives.
    rig.run_for(Duration::from_millis(10));
    let placed = rig.placed();
    rig.run_for(Duration::from_secs(5));
    assert_eq!((rig.placed(), rig.open()), (placed, 0));
    let refused = rig.seen.next_id();
    rig.run_for(Duration::from_secs(5));
    assert!(rig.seen.next_id() > refused + 1, "the maker goes on trying");
    assert_eq!((rig.placed(), rig.open()), (placed, 0));
    rig.check();
    // An operator alone lets it trade again.
    rig.operator.command("maker", Command::SetTrading(true)).unwrap();
    rig.run_for(Duration::from_secs(5));
    assert!(rig.placed() > placed);
}

#[test]
fn the_kill_switch_passes_a_ledger_that_cant_be_written() {
    let mut rig = Rig::new(&ALL, DeskOptions::default());
    rig.trade();
    rig.freeze();
    rig.world.refuse_writes(Duration::from_secs(10));
    rig.run_for(Duration::from_millis(500));
    assert!(rig.open() > 0);
    let _answers = rig.kill();
    rig.run_for(Duration::from_secs(5));
    assert_eq!(rig.open(), 0);
    rig.run_for(Duration::from_secs(10));
    assert_eq!(rig.open(), 0);
    rig.check();
}

#[test]
fn a_venue_cancels_everything_when_its_dead_man_switch_is_not_wound_any_more() {
    let options = DeskOptions { dead_man: Some(WITHIN), ..DeskOptions::default() };
    let mut rig = Rig::new(&["binance-usdm", "okx"], options);
    rig.trade();
    // The market stands still, and with it the maker: its orders stay.
    rig.freeze();
    rig.run_for(Duration::from_secs(1));
    let all = |parts: &[Part]| parts.iter().map(open_orders).collect::<Vec<_>>();
    let stood = all(&rig.parts);
    assert!(stood.iter().all(|open| !open.is_empty()), "{stood:?}");
    rig.run_for(5 * WITHIN);
    assert_eq!(all(&rig.parts), stood, "it is wound");
    let Rig { mut parts, ledger, seen, world: first, .. } = rig;
    let died = first.die();
    let tick = |parts: &mut Vec<Part>, at: Nanos| {
        parts.iter_mut().for_each(|part| part.simulator.tick(at, &mut Vec::new()));
    };
    tick(&mut parts, died + WITHIN / 2);
    assert_eq!(all(&parts), stood, "not before its time");
    tick(&mut parts, died + WITHIN);
    assert_eq!(parts.iter().map(open).sum::<usize>(), 0);
    // The next process is told.
    let (world, inbox) = world(&parts, &ledger, options, (died + 2 * WITHIN, 1));
    let (operator, _) = operator();
    let maker = Maker::new(seen.clone());
    seen.set_calm(true);
    let mut rig = Rig { parts, ledger, seen, world, inbox, maker, operator };
    rig.run_for(Duration::from_secs(10));
    rig.check();
    assert_eq!(rig.world.order_counts().unknown, 0);
    assert!(!rig.ledger.facts().is_empty());
}
