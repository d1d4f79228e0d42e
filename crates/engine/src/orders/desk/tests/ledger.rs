//! Changes of orders, and what the ledger has to do with them: full, stuck, or of an earlier process.

use model::ledger::{Fact, Request};
use model::reply::ReplyAnswer;
use model::trading::{Heard, VenueState};

use super::world::World;
use super::*;
use crate::orders::order::AMENDS_MAX;

/// A world in which order 1 is open at the venue.
fn world(options: DeskOptions) -> World {
    let mut world = World::new(options);
    world.run();
    world.submit("1");
    world.run();
    world
}

fn denials(world: &World) -> Vec<Denial> {
    let denied = world.replied.iter().filter_map(|reply| match reply.answer {
        ReplyAnswer::Denied(denial) => Some(denial),
        _ => None,
    });
    denied.collect()
}

/// As many amends as may be are on their way, in the ledger and not at the venue.
fn amend_all(world: &mut World) {
    (0..=AMENDS_MAX).for_each(|_| world.amend("1", 6));
    for _ in 0..4 {
        world.append();
        world.write();
    }
    world.read(false);
    assert_eq!(denials(world), [Denial::TooManyChanges], "one more than may be");
}

#[test]
fn a_cancel_passes_as_many_amends_as_may_be() {
    let mut world = world(DeskOptions::default());
    amend_all(&mut world);
    world.desk.cancel(&key("1"), world.now);
    world.settle();
    assert_eq!(world.venue["x1"].state, VenueState::Cancelled);
    world.check();
}

#[test]
fn changes_whose_answer_a_restart_took_keep_no_other_out() {
    let mut world = world(DeskOptions::default());
    amend_all(&mut world);
    world.crash();
    world.run();
    world.replied.clear();
    world.amend("1", 7);
    world.run();
    assert_eq!((denials(&world), world.venue["x1"].quantity), (vec![], 7.into()));
    let numbers = world.facts.iter().filter_map(|fact| match fact {
        Fact::Change(change) => Some(change.number),
        _ => None,
    });
    assert!(numbers.eq(1..=AMENDS_MAX as u32 + 1), "{:?}", world.facts);
    world.desk.cancel(&key("1"), world.now);
    world.settle();
    assert_eq!(world.venue["x1"].state, VenueState::Cancelled);
    world.check();
}

#[test]
fn cancels_that_are_refused_again_and_again_while_the_ledger_is_stuck_fill_nothing() {
    let options = DeskOptions { facts_max: 10, facts_full: 20, ..DeskOptions::default() };
    let mut world = world(options);
    world.set_stuck(true);
    world.reply();
    let order = world.venue.remove("x1").unwrap();
    for n in 0..1_000 {
        world.desk.cancel(&key("1"), world.now);
        (0..4).for_each(|_| {
            world.take();
            world.venue();
            world.hear();
        });
        world.tick(200);
        let refused = world.desk.take_reply().map(|reply| reply.answer);
        assert!(matches!(refused, Some(ReplyAnswer::Refused { .. })), "{n}: {refused:?}");
        assert!(world.desk.facts_len() <= 22, "{n}: {}", world.desk.facts_len());
    }
    // One at a time.
    world.desk.cancel(&key("1"), world.now);
    world.desk.cancel(&key("1"), world.now);
    let denied = world.desk.take_reply().map(|reply| reply.answer);
    assert_eq!(denied, Some(ReplyAnswer::Denied(Denial::TooManyChanges)));
    world.venue.insert("x1".into(), order);
    world.settle();
    assert_eq!(world.venue["x1"].state, VenueState::Cancelled);
    world.check();
    let mut written: Vec<u32> = Vec::new();
    for fact in &world.facts {
        let of = match fact {
            Fact::Change(change) => {
                written.push(change.number);
                continue;
            }
            Fact::Sent(sent) => sent.request,
            Fact::Answer(answer) => answer.request,
            _ => continue,
        };
        let Request::Change(number) = of else { continue };
        assert!(written.contains(&number), "{number} was never written");
    }
}

#[test]
fn a_cancel_that_waits_for_a_ledger_which_gets_stuck_leaves_all_the_same() {
    let mut world = world(DeskOptions::default());
    world.desk.cancel(&key("1"), world.now);
    world.append();
    world.take();
    assert!(world.wire.is_empty(), "it is on its way into the ledger");
    world.set_stuck(true);
    world.reply();
    world.take();
    world.venue();
    assert_eq!(world.venue["x1"].state, VenueState::Cancelled);
    world.settle();
    world.check();
}

#[test]
fn an_order_that_the_ledger_alone_knew_can_be_changed_as_often_as_before() {
    let mut world = world(DeskOptions::default());
    (6..9).for_each(|quantity| {
        world.amend("1", quantity);
        world.run();
    });
    // A process that did not take it over.
    world.desk = desk(world.options);
    world.desk.heard(P, Heard::Listening(true), world.now);
    world.run();
    world.submit("1");
    world.run();
    assert!(world.notes.contains(&Note::NotRestored(key("1"))), "{:?}", world.notes);
    world.amend("1", 6);
    world.run();
    assert_eq!(world.venue["x1"].quantity, 6.into());
    world.desk.cancel(&key("1"), world.now);
    world.run();
    assert_eq!(world.venue["x1"].state, VenueState::Cancelled);
    let broken = world.notes.iter().filter(|note| matches!(note, Note::LedgerBroken(_)));
    assert_eq!(broken.count(), 0, "{:?}", world.notes);
}
