//! The lists that make an account's whole picture: whether they were told, and how far back they go.

use model::ledger::{Lost, Outcome};
use model::reply::ReplyAnswer;
use model::trading::{Heard, Instruction, NOT_SENT, Ticket};

use super::world::{Which, World};
use super::*;
use crate::orders::inquiry::PAUSE_MAX;

fn is_list(instruction: &Instruction) -> bool {
    let open = matches!(instruction, Instruction::OpenOrders { .. });
    open || is_balances(instruction) || matches!(instruction, Instruction::Fills { .. })
}

fn is_balances(instruction: &Instruction) -> bool {
    matches!(instruction, Instruction::Balances { .. })
}

#[test]
fn an_account_whose_lists_were_not_told_is_not_reconciled_and_is_asked_again_with_growing_pauses() {
    let refused = || Outcome::Refused { code: "-1003".into(), text: "not now".into() };
    let unknown = || Outcome::Unknown(Lost::Timeout);
    for (which, outcome) in [
        (is_list as Which, refused()),
        (is_list, unknown()),
        (is_list, Outcome::NotFound),
        (is_balances, refused()),
        (is_balances, unknown()),
    ] {
        let mut world = World::new(DeskOptions { reconcile_every: None, ..DeskOptions::default() });
        world.unheeded = Some((which, outcome.clone()));
        world.run();
        let mut pauses = Vec::new();
        for _ in 0..12 {
            world.submit("1");
            world.run();
            let pause = world.desk.deadline(world.now).unwrap().since(world.now);
            pauses.push(pause);
            world.tick(pause.as_millis() as u64);
        }
        assert!(world.placed.is_empty(), "{outcome:?}");
        let not_listening = ReplyAnswer::Denied(Denial::NotListening);
        assert!(world.replied.iter().all(|reply| reply.answer == not_listening));
        assert!(pauses.is_sorted(), "{pauses:?}");
        assert_eq!(pauses.last(), Some(&PAUSE_MAX), "{outcome:?}");
        world.unheeded = None;
        world.settle();
        world.submit("1");
        world.settle();
        assert_eq!(world.placed.len(), 1, "{outcome:?}");
        world.check();
    }
}

/// How far back the fills are listed in a reconciliation now.
fn lists_back_to(world: &mut World) -> Duration {
    world.desk.reconcile(&P.into(), world.now);
    let mut asked = None;
    while let Some(instruction) = world.desk.take_instruction(P, world.now) {
        if let Instruction::Fills { since, .. } = instruction {
            asked = Some(world.now.since(since));
        }
        world.wire.push_back(instruction);
    }
    world.run();
    asked.expect("fills are listed")
}

#[test]
fn fills_of_an_order_that_rests_for_long_are_not_listed_from_its_beginning_each_time() {
    let (hour, short) = (Duration::from_secs(3_600), Duration::from_secs(120));
    let mut world = World::new(DeskOptions { reconcile_every: None, ..DeskOptions::default() });
    world.run();
    world.submit("1");
    world.run();
    world.trade("1");
    world.run();
    world.tick(3_600_000);
    assert!(lists_back_to(&mut world) > hour - short, "nothing was listed since the start");
    world.tick(1);
    assert!(lists_back_to(&mut world) < short, "what was told needs no second list");
    // One that nobody tells, and that comes into the lists later than they reach back.
    world.listed_after = Duration::from_secs(300);
    world.link = false;
    world.trade("1");
    world.link = true;
    world.tick(1_000);
    assert!(lists_back_to(&mut world) < short);
    world.run();
    world.tick(300_000);
    assert!(lists_back_to(&mut world) > hour, "the venue's amount says that there is more");
    world.settle();
    world.check();
    world.crash();
    world.run();
    world.tick(1);
    world.settle();
    world.check();
}

/// The ticket and the name of a list that is asked for.
fn list(instruction: &Instruction) -> Option<(Ticket, String)> {
    Some(match instruction {
        Instruction::Fills { ticket, instrument, .. } => (*ticket, instrument.to_string()),
        Instruction::OpenOrders { ticket } => (*ticket, "open orders".to_owned()),
        Instruction::Balances { ticket } => (*ticket, "balances".to_owned()),
        _ => return None,
    })
}

#[test]
fn lists_for_which_the_budget_has_no_room_are_asked_for_again_by_themselves_until_all_were_told() {
    let mut desk = desk(DeskOptions { reconcile_every: None, ..DeskOptions::default() });
    let instruments = (0..50).map(|n| Name::from(format!("C{n}-USDT"))).collect();
    desk.add_provider(P.into(), profile(), instruments);
    let (mut now, mut told, mut refused) = (at(1_000_000), Vec::new(), 0);
    desk.heard(P, Heard::Listening(true), now);
    for _ in 0..10 {
        // What the venue answers in two seconds.
        let mut room = 20;
        for _ in 0..20 {
            desk.on_timer(now);
            while let Some(instruction) = desk.take_instruction(P, now) {
                let Some((ticket, name)) = list(&instruction) else { continue };
                let outcome = if room > 0 {
                    room -= 1;
                    told.push(name);
                    Outcome::Accepted { venue_order_id: None }
                } else {
                    refused += 1;
                    Outcome::Refused { code: NOT_SENT.into(), text: "no room".into() }
                };
                desk.heard(P, Heard::Answer { ticket, outcome }, now);
            }
            now = now + Duration::from_millis(100);
        }
    }
    told.sort_unstable();
    told.dedup();
    assert_eq!(told.len(), 52);
    assert!(refused < 200, "{refused}");
    assert!(desk.accounts[P].reconciled);
    let notes = std::iter::from_fn(|| desk.take_note());
    let untold = notes.filter(|note| matches!(note, Note::NotReconciled { .. })).count();
    assert_eq!(untold, 32, "each is told of once");
}

#[test]
fn what_the_venue_does_not_list_keeps_nobody_from_trading() {
    let mut world = World::new(DeskOptions { reconcile_every: None, ..DeskOptions::default() });
    let fills = |instruction: &Instruction| matches!(instruction, Instruction::Fills { .. });
    world.unheeded = Some((fills, Outcome::NotFound));
    world.run();
    assert!(world.desk.accounts[P].reconciled);
    let account = &world.desk.accounts[P];
    assert!(account.fills.is_empty(), "that proves nothing of an order");
}
