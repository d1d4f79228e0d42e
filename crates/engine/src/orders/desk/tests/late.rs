//! Fills that a venue lists late, of orders that are over; and what a restart makes of orders of which
//! fills are missing.

use model::ledger::Fill;
use model::order::{ExecReport, OrderState};
use model::trading::VenueState;

use super::exposure::Holding;
use super::world::World;
use super::*;

/// How an order ends of which a fill is not told.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// The venue says that it is filled.
    Filled,
    /// It is taken back, and the venue says what was filled of it.
    Cancelled,
    /// And the venue does not say so.
    Silently,
}

/// A world with an order that is over, and a fill that was not told and is listed so long after it was.
fn ended(end: End, listed_after: Duration) -> World {
    let mut world = World::new(DeskOptions::default());
    world.run();
    world.submit("1");
    world.run();
    (world.listed_after, world.hides) = (listed_after, end == End::Silently);
    let trades = if end == End::Filled { 5 } else { 2 };
    world.trade("1");
    world.run();
    world.link = false;
    (1..trades).for_each(|_| world.trade("1"));
    world.link = true;
    match end {
        End::Filled => world.desk.reconcile(&P.into(), world.now),
        End::Cancelled | End::Silently => world.cancel_at_venue("1"),
    }
    for _ in 0..10 {
        world.run();
        world.tick(500);
    }
    let last = world.read.iter().rev().find(|(_, report)| report.order == key("1"));
    let state = if end == End::Filled { OrderState::Filled } else { OrderState::Cancelled };
    assert_eq!(last.map(|(_, report)| report.state), Some(state), "{end:?}");
    world
}

/// Time goes by, and what is due is done.
fn pass(world: &mut World, seconds: u64) {
    for _ in 0..seconds {
        world.tick(1_000);
        world.run();
    }
}

#[test]
fn a_fill_that_is_listed_late_is_told_whenever_the_process_starts_anew() {
    for (end, listed_after, remembers) in [
        // As long as the order is remembered it is known that fills of it are missing…
        (End::Filled, 300, true),
        (End::Cancelled, 300, true),
        // …else it is found by what is listed: as late as two lists overlap.
        (End::Silently, 50, true),
        (End::Filled, 50, false),
        (End::Cancelled, 50, false),
        (End::Silently, 50, false),
    ] {
        for crash_after in [None, Some(0), Some(20), Some(130)] {
            for down in [0, 30, 1_000] {
                let mut world = ended(end, Duration::from_secs(listed_after));
                world.remembers = remembers;
                if let Some(seconds) = crash_after {
                    pass(&mut world, seconds);
                    world.now = world.now + Duration::from_secs(down);
                    world.crash();
                }
                pass(&mut world, 400);
                world.settle();
                world.check();
            }
        }
    }
}

#[test]
fn a_fill_that_is_told_late_finds_its_order_in_the_ledger_once() {
    let mut world = ended(End::Silently, Duration::from_secs(1_000_000));
    world.remembers = false;
    world.crash();
    pass(&mut world, 3_600);
    let (facts, fill) = (world.facts.len(), world.venue["x1"].fills[1].clone());
    for _ in 0..3 {
        world.tell(&"x1".into(), Some(fill.clone()), None);
        world.run();
    }
    assert_eq!(world.facts.iter().skip(facts).filter(|fact| is_fill(fact)).count(), 1);
    world.check();
}

#[test]
fn an_order_that_ended_long_ago_and_is_forgotten_by_its_venue_ends_here_too() {
    for (down, over) in [(3_600, false), (3 * 3_600, true)] {
        for crash in [false, true] {
            let mut world = World::new(DeskOptions::default());
            world.run();
            world.submit("1");
            world.run();
            world.set_link(false);
            world.hear();
            world.venue.remove("x1");
            world.now = world.now + Duration::from_secs(down);
            if crash {
                world.crash();
            }
            world.set_link(true);
            pass(&mut world, 120);
            let last = world.read.last().map(|(_, report)| report.state);
            let (state, open) = match over {
                true => (OrderState::Cancelled, 0),
                false => (OrderState::Acknowledged, 1),
            };
            assert_eq!((last, world.desk.orders().open_len()), (Some(state), open), "{down}");
        }
    }
}

fn is_fill(fact: &Fact) -> bool {
    matches!(fact, Fact::Report(report) if report.fill.is_some())
}

/// A trade of a stranger's order, as a list tells it.
fn strangers_fill(world: &World, order: u64, trade: u64) -> ExecReport {
    ExecReport {
        instrument: BTC.into(),
        venue_order_id: format!("s{order}"),
        trade_id: format!("t{trade}"),
        last_price: Decimal::TEN,
        last_quantity: Decimal::ONE,
        ts_recv: world.now,
        ..ExecReport::default()
    }
}

fn hear(world: &mut World, seen: ExecReport) {
    let report = world.report(seen);
    world.desk.heard(P, report, world.now);
}

#[test]
fn whose_a_fill_is_the_ledger_is_asked_once_for_each_order_and_so_many_wait_and_no_more() {
    let mut world = World::new(DeskOptions::default());
    world.run();
    for n in 0..5_000 {
        let fill = strangers_fill(&world, n / 10, n);
        hear(&mut world, fill);
    }
    assert_eq!(world.desk.take_note(), Some(Note::Overfull(P.into())), "they are asked for again");
    let asks: Vec<_> = std::iter::from_fn(|| world.desk.take_stranger()).collect();
    assert_eq!(asks.len(), 410, "4096 wait");
    for of in &asks {
        world.desk.stranger_looked_up(of, None, world.now);
    }
    let told = std::iter::from_fn(|| world.desk.take_note()).count() as u64;
    assert_eq!(told + world.desk.notes_lost(), 4_096);
    for n in 0..4_096 {
        let fill = strangers_fill(&world, n / 10, n);
        hear(&mut world, fill);
    }
    assert_eq!(world.desk.take_stranger(), None, "that these are nobody's is known");
}

#[test]
fn a_fill_of_which_the_ledger_cant_say_whose_it_is_is_asked_for_again() {
    let mut world = World::new(DeskOptions::default());
    world.run();
    let fill = strangers_fill(&world, 9, 9);
    hear(&mut world, fill.clone());
    let of = world.desk.take_stranger().expect("the ledger is asked");
    hear(&mut world, fill.clone());
    assert_eq!(world.desk.take_stranger(), None, "once");
    world.desk.stranger_not_looked_up(&of, world.now);
    assert!(world.desk.accounts[P].missed, "it is to be told again");
    hear(&mut world, fill.clone());
    assert_eq!(world.desk.take_stranger(), Some(of.clone()));
    world.desk.stranger_looked_up(&of, None, world.now);
    hear(&mut world, fill);
    assert_eq!(world.desk.take_stranger(), None);
    let told = std::iter::from_fn(|| world.desk.take_note());
    assert_eq!(told.filter(|note| matches!(note, Note::UnclaimedFill { .. })).count(), 1);
}

#[test]
fn an_order_of_which_a_report_is_on_its_way_into_the_ledger_is_looked_up_behind_it() {
    let mut world = World::new(DeskOptions { settled_max: 0, ..DeskOptions::default() });
    world.run();
    ["1", "2"].iter().for_each(|id| world.submit(id));
    world.run();
    world.cancel_at_venue("1");
    world.cancel_at_venue("2");
    (0..4).for_each(|_| world.hear());
    assert!(world.desk.orders().get(&key("1")).is_none(), "the ledger alone knows it");
    let fill = Fill { trade_id: "t".into(), price: Decimal::TEN, quantity: Decimal::ONE };
    world.tell(&"x1".into(), Some(fill), None);
    world.hear();
    assert_eq!(world.desk.take_stranger(), None, "the ledger would say that it is open");
    world.append();
    world.write();
    (0..8).for_each(|_| world.reply());
    assert!(world.desk.take_stranger().is_some());
}

fn holding(world: &World) -> Holding {
    let exposure = &world.desk.risk.exposure;
    exposure.within(|_| true).map(|(_, holding)| holding.clone()).next().unwrap_or_default()
}

fn holds(position: i64, buys: i64, open: usize) -> Holding {
    Holding { position: position.into(), buys: buys.into(), sells: Decimal::ZERO, open }
}

/// An order of five in a world, filled so far; how much of that by the venue's word alone.
fn filled(told: usize, by_amount: usize) -> World {
    let mut world = World::new(DeskOptions::default());
    world.run();
    world.submit("1");
    world.run();
    (0..told).for_each(|_| world.trade("1"));
    world.run();
    world.listed_after = Duration::from_secs(100_000);
    world.link = false;
    (0..by_amount).for_each(|_| world.trade("1"));
    world.link = true;
    if by_amount > 0 {
        world.tell(&"x1".into(), None, None);
        pass(&mut world, 5);
    }
    world
}

#[test]
fn what_is_held_and_what_is_open_is_after_a_restart_what_it_was_before() {
    for (told, by_amount) in [(0, 0), (2, 0), (0, 2), (1, 2), (5, 0), (2, 3)] {
        let mut world = filled(told, by_amount);
        let all = (told + by_amount) as i64;
        let held = holds(all, 5 - all, usize::from(all < 5));
        assert_eq!(holding(&world), held, "{told} and {by_amount}");
        for remembers in [true, false] {
            world.remembers = remembers;
            world.crash();
            // What nobody told of an order that is over is known with the order alone.
            let known = if remembers || all < 5 { all } else { told as i64 };
            let now = Holding { position: known.into(), ..held.clone() };
            assert_eq!(holding(&world), now, "{told} and {by_amount}, a new process");
            pass(&mut world, 5);
            assert_eq!(holding(&world), now, "{told} and {by_amount}, asked");
        }
        // The fills come, and are not counted again; so it is in the process behind that.
        world.listed_after = Duration::ZERO;
        world.remembers = true;
        world.crash();
        pass(&mut world, 5);
        assert_eq!(holding(&world), held, "{told} and {by_amount}, told late");
        world.crash();
        assert_eq!(holding(&world), held, "{told} and {by_amount}, told late, a new process");
        world.settle();
        world.check();
        assert_eq!(world.venue["x1"].state == VenueState::Filled, all == 5);
    }
}
