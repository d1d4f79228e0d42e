//! A process that dies at any point of the way of its orders, in virtual time: before and after each
//! write of the ledger, each request, and between any two moments. Whatever the point, the next process
//! goes on so that nothing is sent twice, nothing is unknown to the ledger, and every report is told
//! once. So it is where the ledger's disk refuses for a while, and where a process dies meanwhile.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::trading::world;
use engine::orders::DeskOptions;
use engine::{Consumer, Context, Inbox};
use meltica::demo::Options;
use meltica::demo::maker::{self, Maker};
use meltica::demo::orders::Orders;
use meltica::demo::stage::{self, Part};
use meltica::virtual_time::World;
use model::ledger::Fact;
use model::reply::ReplyAnswer;
use model::{Body, Denial, Event, Nanos};
use sim::faults::Faults;
use store::ledger::{LedgerRead, MemoryLedger};

const BEGIN: Nanos = Nanos(1_780_000_000_000_000_000);
const SLICE: Duration = Duration::from_millis(20);
/// How long the first process trades, where it does not die before.
const STORY: Duration = Duration::from_secs(4);

/// The maker, and what it is handed.
struct Watched {
    maker: Maker,
    /// What the ledger knew as acknowledged when the process began.
    acknowledged: u64,
    handed: u64,
    /// What came though it was acknowledged, or came before. Not asserted where it comes: a panic of a
    /// consumer goes no further.
    again: Vec<String>,
    /// Orders that were denied because of the ledger.
    denied: u64,
}

impl Consumer for Watched {
    fn on_event(&mut self, event: Event, ctx: &mut Context<'_>) {
        if let Body::Exec(report) = &event.body {
            let position = event.header.seq_provider.unwrap();
            if position <= self.acknowledged.max(self.handed) {
                self.again.push(format!("{position}: {report:?}"));
            }
            self.handed = position;
        }
        if let Body::Reply(reply) = &event.body
            && let ReplyAnswer::Denied(Denial::LedgerStuck | Denial::LedgerFull) = reply.answer
        {
            self.denied += 1;
        }
        self.maker.on_event(event, ctx);
    }

    fn on_batch_end(&mut self, ctx: &mut Context<'_>) {
        self.maker.on_batch_end(ctx);
    }
}

/// A process.
struct Life {
    world: World,
    inbox: Inbox,
    consumer: Watched,
}

impl Life {
    fn begin(story: &Story) -> Self {
        let Story { parts, ledger, seen, now, processes, options, .. } = story;
        let (world, inbox) = world(parts, ledger, *options, (*now, *processes));
        let acknowledged = ledger.reopened().acknowledged(maker::NAME).unwrap();
        let maker = Maker::new(seen.clone());
        let consumer = Watched { maker, acknowledged, handed: 0, again: Vec::new(), denied: 0 };
        Self { world, inbox, consumer }
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.world.now + time;
        while self.world.now < end && !self.world.is_dead() {
            self.world.run_for(SLICE.min(end.since(self.world.now)));
            let now = self.world.now;
            while !self.world.is_dead() && self.inbox.drain(&mut self.consumer, || now) > 0 {}
            assert_eq!(self.consumer.again, [""; 0]);
            assert_eq!(self.inbox.tally().counts().panics, 0);
        }
    }
}

/// The venues, the ledger and the consumer's own memory, which outlive processes.
struct Story {
    parts: Vec<Part>,
    ledger: MemoryLedger,
    seen: Orders,
    now: Nanos,
    processes: u8,
    options: DeskOptions,
    /// From when on in a life, and for how long, the ledger's disk refuses.
    refuses: Option<(Duration, Duration)>,
    denied: u64,
    /// Venues may read late.
    slow: bool,
}

impl Story {
    fn new(faults: Faults) -> Self {
        let slow = faults.read_slow > 0;
        let options = Options {
            venues: vec!["binance".to_owned(), "okx".to_owned()],
            symbols: 1,
            rate: 100,
            faults,
            seed: 7,
            ..Options::default()
        };
        let parts = stage::cast(&options, BEGIN).unwrap();
        let (ledger, seen) = (MemoryLedger::new(), Orders::default());
        let (options, refuses, denied) = (DeskOptions::default(), None, 0);
        let (now, processes) = (BEGIN, 0);
        Self { parts, ledger, seen, now, processes, options, refuses, denied, slow }
    }

    /// A process that dies at a point, or trades for the whole story; how many points it passed.
    fn live(&mut self, dies_at: Option<u64>) -> u64 {
        let mut life = Life::begin(self);
        if let Some(point) = dies_at {
            life.world.die_at(point);
        }
        match self.refuses {
            Some((from, time)) => {
                life.run_for(from);
                life.world.refuse_writes(time);
                // What had left before has arrived by then, where the venue reads it at once.
                life.run_for(time / 2);
                let placed = self.placed();
                life.run_for(time - time / 2);
                let more = self.placed() - placed;
                assert!(more == 0 || self.slow, "{more} orders left while the disk refused");
                life.run_for(STORY - from);
            }
            None => life.run_for(STORY),
        }
        self.denied += life.consumer.denied;
        let points = life.world.points();
        self.now = life.world.die();
        self.processes += 1;
        points
    }

    /// A last process under which everything comes to rest; what does not hold after it.
    fn rest(self, point: &str) {
        let mut life = Life::begin(&self);
        life.run_for(Duration::from_millis(200));
        self.rest_under(life, point);
    }

    fn rest_under(mut self, mut life: Life, point: &str) {
        self.seen.set_calm(true);
        self.parts.iter().for_each(|part| part.set_calm(true));
        for _ in 0..40 {
            life.run_for(Duration::from_secs(1));
            if life.world.order_counts().unknown == 0 && self.lost() == 0 {
                break;
            }
        }
        self.now = life.world.now;
        for part in &self.parts {
            let gap = part.gap(&self.seen);
            assert_eq!((gap.lost, gap.doubled, gap.what), (0, 0, None), "{point}: {}", part.venue);
            assert_eq!(part.counts().sent_twice, 0, "{point}: {}", part.venue);
        }
        assert_eq!(life.world.order_counts().unknown, 0, "{point}: still unknown");
        self.check_ledger(point);
        let pools = life.world.shard.pools().manager().stats();
        assert!(pools.iter().all(|pool| pool.in_use == 0), "{point}: {pools:?}");
    }

    fn placed(&self) -> u64 {
        self.parts.iter().map(|part| part.counts().placed).sum()
    }

    fn lost(&self) -> u64 {
        self.parts.iter().map(|part| part.gap(&self.seen).lost).sum()
    }

    /// Every order that a venue was asked for is in the ledger, its intent before all else of it.
    fn check_ledger(&self, point: &str) {
        let facts = self.ledger.facts();
        let known = |name: &str| {
            facts.iter().any(|(_, fact)| match fact {
                Fact::Submit(submit) => &*submit.venue_client_id == name,
                _ => false,
            })
        };
        for part in &self.parts {
            let orders = part.simulator.orders(&sim::accounts::Account::demo().api_key);
            for order in &orders {
                let name = order.client_order_id.as_deref().unwrap();
                assert!(known(name), "{point}: {} has {name}", part.venue);
            }
        }
    }
}

#[test]
fn whatever_the_point_of_death_nothing_is_sent_twice_unknown_lost_or_doubled() {
    let mut whole = Story::new(Faults::default());
    let points = whole.live(None);
    let placed = whole.placed();
    assert!(points > 100 && placed >= 4, "{points} points, {placed} orders: a story of nothing");
    whole.rest("no death");
    for point in 1..=points {
        let mut story = Story::new(Faults::default());
        story.live(Some(point));
        story.rest(&format!("dead at {point} of {points}"));
    }
}

#[test]
fn so_it_is_where_the_next_process_dies_too_and_the_venues_are_in_chaos() {
    for point in (1..200).step_by(7) {
        let mut story = Story::new(Faults::preset("chaos").unwrap());
        story.live(Some(point));
        story.live(Some(1 + point * 31 % 97));
        story.live(Some(1 + point * 17 % 211));
        story.rest(&format!("chaos, dead at {point}"));
    }
}

/// Whoever holds the pooled reports, what venues say is not lost: it could not be told, so it is asked
/// for once it can be, by the same process.
#[test]
fn while_no_report_is_free_nothing_is_lost_and_the_flow_recovers() {
    let story = Story::new(Faults::default());
    let mut life = Life::begin(&story);
    life.run_for(Duration::from_secs(2));
    let pool = life.world.shard.pools().exec_reports.clone();
    assert_eq!(pool.stats().high_water, 1, "a report is out until it was heard");
    let held: Vec<_> = std::iter::from_fn(|| pool.try_acquire()).collect();
    let (before, missed) = (life.world.order_counts(), pool.stats().exhausted);
    life.run_for(Duration::from_secs(3));
    let missed = pool.stats().exhausted - missed;
    assert!(missed > 3 && story.lost() > 0, "{missed} reports found no room");
    drop(held);
    life.run_for(Duration::from_secs(10));
    // Whatever happened this very moment may be under way still.
    let slice = Duration::from_millis(5);
    let told = (0..100).any(|_| {
        life.run_for(slice);
        story.lost() == 0
    });
    let what: Vec<_> = story.parts.iter().map(|part| part.gap(&story.seen)).collect();
    assert!(told, "what was missed was asked for: {what:?}");
    let after = life.world.order_counts();
    assert!(after.delivered > before.delivered && after.submitted > before.submitted);
    story.rest_under(life, "no report was free");
}

/// A story in whose first process the disk refuses for a while.
fn refusing(nth: u64, options: DeskOptions, faults: &str) -> Story {
    let mut story = Story::new(Faults::preset(faults).unwrap());
    let from = Duration::from_millis(400 + nth * 97 % 2_000);
    let time = Duration::from_millis(200 + nth * 331 % 3_000);
    (story.options, story.refuses) = (options, Some((from, time)));
    story
}

/// So little room that what venues say is not taken in while the disk refuses.
fn no_room() -> DeskOptions {
    DeskOptions { facts_max: 2, facts_full: 3, ..DeskOptions::default() }
}

#[test]
fn a_disk_that_refuses_for_a_while_costs_nothing_but_time() {
    let mut denied = 0;
    for nth in 0..40 {
        for options in [DeskOptions::default(), no_room()] {
            let mut story = refusing(nth, options, "none");
            story.live(None);
            denied += story.denied;
            story.refuses = None;
            story.rest(&format!("refused, {nth}"));
        }
    }
    assert!(denied > 40, "{denied} orders were denied");
}

#[test]
fn so_it_is_where_the_process_dies_meanwhile_and_the_venues_are_in_chaos() {
    for nth in 0..30 {
        for options in [DeskOptions::default(), no_room()] {
            let mut story = refusing(nth, options, "chaos");
            story.live(Some(40 + nth * 23));
            story.live(Some(60 + nth * 37));
            story.live(None);
            story.refuses = None;
            story.rest(&format!("refused in chaos, {nth}"));
        }
    }
}
