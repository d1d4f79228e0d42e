//! The rules of the way out and back, each by example.

use model::ledger::{Fact, Lost, Outcome};
use model::order::{ExecReport, OrderState};
use model::reply::ReplyAnswer;
use model::trading::{Heard, Instruction, NOT_FOUND, UNKNOWN, VenueState};

use super::world::{VenueOrder, Which, World};
use super::*;
use crate::orders::desk::account::ASKED_MAX;
use crate::orders::inquiry::PAUSE_MIN;

/// A world that trades.
pub fn world() -> World {
    let mut world = World::new(DeskOptions::default());
    world.run();
    world
}

pub fn write_all(world: &mut World) {
    world.append();
    world.write();
    (0..16).for_each(|_| world.reply());
}

fn denials(world: &World) -> Vec<Denial> {
    let denied = world.replied.iter().filter_map(|reply| match reply.answer {
        ReplyAnswer::Denied(denial) => Some(denial),
        _ => None,
    });
    denied.collect()
}

pub fn last_state(world: &World, id: &str) -> Option<OrderState> {
    let own = world.read.iter().rev().find(|(_, report)| report.order == key(id));
    own.map(|(_, report)| report.state)
}

#[test]
fn an_order_goes_once_its_intent_is_durable_and_comes_back_as_reports() {
    let mut world = world();
    world.submit("1");
    assert!(world.desk.take_instruction(P, world.now).is_none(), "nothing is durable yet");
    write_all(&mut world);
    world.take();
    assert_eq!(world.placed.len(), 1);
    world.run();
    assert_eq!(last_state(&world, "1"), Some(OrderState::Acknowledged));
    (0..5).for_each(|_| world.trade("1"));
    world.run();
    assert_eq!(last_state(&world, "1"), Some(OrderState::Filled));
    assert!(world.facts.iter().any(|fact| matches!(fact, Fact::Acknowledgement(_))));
    world.settle();
    world.check();
}

#[test]
fn the_same_intent_again_gets_the_stored_answer_and_another_is_refused() {
    let mut world = world();
    world.submit("1");
    world.submit("1");
    world.run();
    world.cancel_at_venue("1");
    world.settle();
    // A new process does not know it any more; the ledger does.
    world.remembers = false;
    world.crash();
    world.settle();
    world.submit("1");
    world.settle();
    let views: Vec<_> = world.replied.iter().map(|reply| reply.answer.clone()).collect();
    let view = |state| {
        let quantity = Decimal::from(5);
        ReplyAnswer::Duplicate(OrderView { state, quantity, filled: Decimal::ZERO })
    };
    assert_eq!(views, [view(None), view(Some(OrderState::Cancelled))]);
    let instrument = btc();
    let market = Market { instrument: Some(&instrument), price: Some(Decimal::TEN) };
    let terms = Terms { quantity: Decimal::from(6), ..terms() };
    world.desk.submit(NewOrder { order: key("1"), terms, decision_id: 2 }, market, world.now);
    world.settle();
    assert_eq!(denials(&world), [Denial::IdReused]);
    world.check();
}

#[test]
fn whatever_forbids_new_orders_an_id_that_was_used_gets_its_answer() {
    let mut world = world();
    world.submit("1");
    world.run();
    world.cancel_at_venue("1");
    world.settle();
    world.remembers = false;
    world.crash();
    world.replied.clear();
    let instrument = btc();
    let market = Market { instrument: Some(&instrument), price: Some(Decimal::TEN) };
    let again = |world: &mut World, denial: Denial| {
        let other = Terms { quantity: Decimal::from(6), ..terms() };
        for (id, terms) in [("1", terms()), ("1", other), ("new", terms())] {
            let new = NewOrder { order: key(id), terms, decision_id: 2 };
            world.desk.submit(new, market, world.now);
            assert_eq!(world.desk.take_reply(), None, "the ledger is asked first");
        }
        world.look_up();
        let answers = std::iter::from_fn(|| world.desk.take_reply()).map(|reply| reply.answer);
        let state = Some(OrderState::Cancelled);
        let stored = OrderView { state, quantity: 5.into(), filled: Decimal::ZERO };
        let denied = ReplyAnswer::Denied;
        let expected = [ReplyAnswer::Duplicate(stored), denied(Denial::IdReused), denied(denial)];
        assert_eq!(answers.collect::<Vec<_>>(), expected);
    };
    again(&mut world, Denial::NotListening);
    world.settle();
    let limits =
        |position: i64| Limits { position_max: Some(position.into()), ..Limits::default() };
    world.desk.set_limits(Scope::Consumer("c".into()), limits(4));
    again(&mut world, Denial::Position);
    world.desk.set_limits(Scope::Consumer("c".into()), Limits::default());
    world.set_stuck(true);
    world.reply();
    again(&mut world, Denial::LedgerStuck);
    world.switch_off();
    again(&mut world, Denial::SwitchOff);
    assert_eq!(world.placed.len(), 1);
}

#[test]
fn what_is_looked_up_is_bounded_and_a_denial_that_finds_no_room_is_told_at_once() {
    let mut world = world();
    world.switch_off();
    (0..300).for_each(|id| world.submit(&format!("n{id}")));
    let told = std::iter::from_fn(|| world.desk.take_reply()).count();
    assert_eq!(told, 44, "256 wait");
    world.desk.query(&key("q"));
    assert_eq!(world.desk.take_reply(), None, "they keep no query out");
    (0..300).for_each(|id| world.desk.query(&key(&format!("n{id}"))));
    let told: Vec<_> = std::iter::from_fn(|| world.desk.take_reply()).collect();
    assert_eq!(told.len(), 45);
    let too_many = ReplyAnswer::Denied(Denial::TooManyQueries);
    assert!(told.iter().all(|reply| reply.answer == too_many));
    world.read(true);
    assert_eq!(world.replied.len(), 512, "each gets its answer");
}

#[test]
fn nothing_enters_without_a_switch_a_listener_a_ledger_or_a_reader() {
    let mut world = World::new(DeskOptions::default());
    world.submit("1");
    world.run();
    world.desk.set_stalled("c", true);
    world.submit("2");
    world.desk.set_stalled("c", false);
    world.desk.switch_off("c", world.now);
    world.submit("3");
    world.desk.switch_on("c");
    world.set_stuck(true);
    world.reply();
    world.submit("4");
    world.read(true);
    use Denial::{LedgerStuck, NotListening, Stalled, SwitchOff};
    assert_eq!(denials(&world), [NotListening, Stalled, SwitchOff, LedgerStuck]);
    assert!(world.facts.is_empty() && world.placed.is_empty());
}

#[test]
fn a_switch_that_went_off_on_the_way_stops_the_order_however_soon_it_is_on_again() {
    let mut world = world();
    world.submit("1");
    world.switch_off();
    world.desk.switch_on("c");
    world.settle();
    assert!(world.placed.is_empty());
    assert_eq!(last_state(&world, "1"), Some(OrderState::Rejected));
    assert!(world.read.iter().any(|(_, report)| report.text.starts_with("switch_off: ")));
    world.check();
}

#[test]
fn a_cancel_passes_the_switch_and_a_stuck_ledger() {
    let mut world = world();
    world.submit("1");
    world.run();
    world.switch_off();
    world.set_stuck(true);
    world.reply();
    world.desk.cancel(&key("1"), world.now);
    world.take();
    world.venue();
    assert_eq!(world.venue["x1"].state, VenueState::Cancelled);
    world.settle();
    assert_eq!(last_state(&world, "1"), Some(OrderState::Cancelled));
    world.check();
}

#[test]
fn an_order_that_is_durable_does_not_leave_while_the_ledger_is_stuck() {
    let mut world = world();
    world.submit("1");
    write_all(&mut world);
    world.set_stuck(true);
    world.reply();
    assert!(world.desk.take_instruction(P, world.now).is_none());
    world.set_stuck(false);
    world.reply();
    world.take();
    assert_eq!(world.placed.len(), 1);
}

#[test]
fn an_order_that_is_cancelled_before_it_left_never_leaves() {
    let mut world = world();
    world.submit("1");
    world.desk.cancel(&key("1"), world.now);
    world.settle();
    assert!(world.placed.is_empty());
    assert!(world.read.iter().any(|(_, report)| report.text.starts_with("withdrawn: ")));
    world.check();
}

#[test]
fn orders_share_the_budget_and_cancels_have_their_own() {
    let mut world = world();
    (1..=6).for_each(|id| world.submit(&id.to_string()));
    (0..4).for_each(|_| write_all(&mut world));
    (0..9).for_each(|_| world.take());
    assert_eq!(world.placed.len(), 4, "of six a second two are for cancels");
    (0..4).for_each(|_| world.venue());
    (0..9).for_each(|_| world.hear());
    world.desk.cancel(&key("1"), world.now);
    (0..4).for_each(|_| write_all(&mut world));
    let cancel = world.desk.take_instruction(P, world.now);
    assert!(matches!(cancel, Some(Instruction::Cancel { .. })), "{cancel:?}");
    let free_at = world.desk.deadline(world.now);
    assert!(free_at.is_some_and(|at| at <= world.now + Duration::from_secs(1)));
    world.tick(1_000);
    (0..4).for_each(|_| world.take());
    assert_eq!(world.placed.len(), 6);
}

#[test]
fn no_cancel_waits_for_a_limit_that_its_venue_does_not_count_it_against() {
    let mut world = world();
    world.desk = Desk::new(world.options);
    let profile = TradingProfile { cancels_count: false, kept_for_cancels: 0, ..profile() };
    world.desk.add_provider(P.into(), profile, vec![BTC.into()]);
    world.desk.add_consumer("c".into(), true, 0, None);
    world.set_link(false);
    world.set_link(true);
    world.run();
    let submit = |world: &mut World, ids: std::ops::RangeInclusive<u32>| {
        ids.for_each(|id| world.submit(&id.to_string()));
        world.run();
    };
    let cancel = |world: &mut World, ids: std::ops::RangeInclusive<u32>| {
        ids.for_each(|id| world.desk.cancel(&key(&id.to_string()), world.now));
        world.run();
        world.venue.values().filter(|order| order.state == VenueState::Cancelled).count()
    };
    submit(&mut world, 1..=3);
    assert_eq!(cancel(&mut world, 1..=3), 3);
    submit(&mut world, 4..=7);
    assert_eq!(world.placed.len(), 6, "as many as a second has, and no cancel uses any of it up");
    assert_eq!(cancel(&mut world, 4..=6), 6, "none waits for the next second");
    world.tick(1_000);
    world.run();
    assert_eq!(world.placed.len(), 7);
}

#[test]
fn an_order_that_waits_until_its_deadline_is_denied_and_was_never_sent() {
    let mut world = world();
    world.submit("1");
    write_all(&mut world);
    world.tick(5_000);
    world.settle();
    assert!(world.placed.is_empty());
    assert!(world.read.iter().any(|(_, report)| report.text.starts_with("expired: ")));
    world.check();
}

#[test]
fn a_lost_answer_is_asked_about_and_not_sent_again() {
    let mut world = world();
    // The stream says nothing of it either.
    world.link = false;
    world.lose_answer = true;
    world.submit("1");
    world.run();
    world.link = true;
    world.settle();
    assert_eq!((world.placed.len(), last_state(&world, "1")), (1, Some(OrderState::Acknowledged)));
    world.check();
}

#[test]
fn an_order_that_ended_while_nobody_was_there_ends_here_after_all_its_fills() {
    let mut world = world();
    world.link = false;
    world.lose_answer = true;
    world.submit("1");
    world.run();
    (0..5).for_each(|_| world.trade("1"));
    // Not even the venue's id is known, under which alone the fills are told.
    world.crash();
    world.settle();
    assert_eq!(last_state(&world, "1"), Some(OrderState::Filled));
    let fills = world.read.iter().filter(|(_, report)| report.fill.is_some()).count();
    let ends = world.read.iter().filter(|(_, report)| report.state.is_terminal()).count();
    assert_eq!((fills, ends), (5, 1), "{:?}", world.read);
    world.check();
}

#[test]
fn a_request_that_never_arrived_is_absent_by_the_rule_and_not_before() {
    let mut world = world();
    world.lose_request = true;
    world.submit("1");
    world.run();
    assert_eq!(world.placed.len(), 1);
    for _ in 0..10 {
        world.tick(1_000);
        world.run();
        assert_eq!(last_state(&world, "1"), None, "11 s after its deadline at the earliest");
    }
    world.settle();
    assert_eq!(last_state(&world, "1"), Some(OrderState::Rejected));
    assert!(world.read.iter().any(|(_, report)| report.text.starts_with("not found")));
    world.check();
}

#[test]
fn an_order_that_moves_while_nobody_listens_is_told_at_the_reconnect() {
    let mut world = world();
    world.submit("1");
    world.run();
    world.set_link(false);
    (0..5).for_each(|_| world.trade("1"));
    world.run();
    world.set_link(true);
    world.settle();
    assert_eq!(last_state(&world, "1"), Some(OrderState::Filled));
    world.check();
}

#[test]
fn an_amend_has_the_new_terms_and_needs_the_switch() {
    let mut world = world();
    world.submit("1");
    world.run();
    world.amend("1", 7);
    world.run();
    assert_eq!(world.venue["x1"].quantity, 7.into());
    world.amend("1", 9);
    world.switch_off();
    world.run();
    world.amend("1", 8);
    world.settle();
    assert_eq!(world.venue["x1"].quantity, 7.into());
    assert_eq!(denials(&world), [Denial::SwitchOff, Denial::SwitchOff]);
    world.check();
}

#[test]
fn few_questions_are_under_way_and_what_takes_orders_back_passes_them() {
    let mut world = world();
    ["1", "2", "3", "4", "5", "6"].iter().for_each(|id| world.submit(id));
    for _ in 0..4 {
        world.run();
        world.tick(1_000);
    }
    assert_eq!(world.placed.len(), 6);
    for up in [false, true] {
        world.set_link(up);
        world.hear();
    }
    world.tick(1);
    (0..50).for_each(|_| world.take());
    assert_eq!(world.wire.len(), ASKED_MAX, "{:?}", world.wire);
    world.desk.kill(world.now);
    world.take();
    let last = world.wire.back();
    assert!(matches!(last, Some(Instruction::CancelAll { .. })), "{last:?}");
    world.settle();
    world.check();
}

#[test]
fn an_open_order_that_nobody_claims_is_told_once_or_cancelled() {
    for orphans in [Orphans::Report, Orphans::Cancel] {
        let mut world = World::new(DeskOptions { orphans, ..DeskOptions::default() });
        world.venue.insert("stranger".into(), VenueOrder::stranger());
        world.settle();
        world.desk.reconcile(&P.into(), world.now);
        world.settle();
        let told = world.notes.iter().filter(|note| matches!(note, Note::Orphan { .. }));
        assert_eq!(told.count(), 1);
        let gone = world.venue["stranger"].state == VenueState::Cancelled;
        assert_eq!(gone, orphans == Orphans::Cancel);
    }
}

fn unclaimed(world: &World) -> usize {
    world.notes.iter().filter(|note| matches!(note, Note::UnclaimedFill { .. })).count()
}

#[test]
fn a_fill_that_nobody_claims_is_told_once_and_one_that_the_ledger_has_never() {
    let mut world = World::new(DeskOptions { settled_max: 0, ..DeskOptions::default() });
    world.run();
    world.submit("1");
    world.run();
    world.submit("2");
    world.run();
    (0..5).for_each(|_| world.trade("1"));
    world.cancel_at_venue("2");
    world.settle();
    assert_eq!(last_state(&world, "1"), Some(OrderState::Filled));
    world.remembers = false;
    // Its fills are listed again and again, by this process and the next, which do not have it.
    world.desk.reconcile(&P.into(), world.now);
    world.settle();
    world.crash();
    world.settle();
    assert_eq!(unclaimed(&world), 0);
    world.venue.insert("x9".into(), VenueOrder::stranger());
    world.trade("9");
    for _ in 0..3 {
        world.settle();
        world.desk.reconcile(&P.into(), world.now);
    }
    assert_eq!(unclaimed(&world), 1);
}

#[test]
fn what_was_not_taken_in_is_asked_for_after_a_pause() {
    let options = DeskOptions { facts_max: 2, facts_full: 3, ..DeskOptions::default() };
    let mut world = World::new(options);
    world.run();
    world.submit("1");
    world.run();
    // Nobody takes facts any more: the ledger is full.
    for _ in 0..5 {
        world.trade("1");
        world.hear();
    }
    world.read(false);
    assert!(world.notes.contains(&Note::Overfull(P.into())));
    let pause = world.now + PAUSE_MIN;
    assert_eq!(
        world.desk.deadline(world.now),
        Some(pause),
        "asked at once it would be missed again"
    );
    world.append();
    world.tick(500);
    world.run();
    assert_eq!(last_state(&world, "1"), Some(OrderState::Filled));
    world.settle();
    world.check();
}

#[test]
fn what_the_ledger_has_not_decided_on_is_not_settled() {
    let mut world = world();
    assert!(world.desk.is_settled());
    world.submit("1");
    world.append();
    assert!(!world.desk.is_settled(), "its intent is on its way into the ledger");
    world.switch_off();
    world.write();
    (0..4).for_each(|_| world.reply());
    assert!(!world.desk.is_settled(), "and so is that it was denied");
    write_all(&mut world);
    assert!(!world.desk.is_settled(), "and its consumer is to hear of it");
    world.read(false);
    assert!(world.desk.is_settled());
    assert_eq!(last_state(&world, "1"), Some(OrderState::Rejected));
}

#[test]
fn a_query_is_answered_from_here_or_from_the_ledger() {
    let mut world = world();
    world.submit("1");
    world.run();
    world.desk.query(&key("1"));
    world.desk.query(&key("2"));
    world.read(true);
    world.read(true);
    let view = OrderView {
        state: Some(OrderState::Acknowledged),
        quantity: 5.into(),
        filled: Decimal::ZERO,
    };
    let answers: Vec<_> = world.replied.iter().map(|reply| reply.answer.clone()).collect();
    assert_eq!(answers, [ReplyAnswer::Stands(view), ReplyAnswer::Denied(Denial::UnknownOrder)]);
}

#[test]
fn whoever_wants_a_change_hears_where_it_may_have_come_to_nothing() {
    let not_found = Outcome::NotFound;
    for (outcome, said) in [(not_found, NOT_FOUND), (Outcome::Unknown(Lost::Timeout), UNKNOWN)] {
        let mut world = world();
        world.submit("1");
        world.run();
        let changes: Which = |instruction| {
            matches!(instruction, Instruction::Cancel { .. } | Instruction::Amend { .. })
        };
        world.unheeded = Some((changes, outcome));
        world.desk.cancel(&key("1"), world.now);
        world.amend("1", 6);
        world.run();
        let codes = world.replied.iter().filter_map(|reply| match &reply.answer {
            ReplyAnswer::Refused { code, .. } => Some((reply.intent, &**code)),
            _ => None,
        });
        assert!(codes.eq([(Intent::Cancel, said), (Intent::Amend, said)]), "{:?}", world.replied);
        assert_eq!(last_state(&world, "1"), Some(OrderState::Acknowledged));
    }
}

#[test]
fn an_answer_that_nobody_waits_for_is_told_to_the_operator() {
    let mut world = world();
    let outcome = Outcome::Accepted { venue_order_id: None };
    world.desk.heard(P, Heard::Answer { ticket: Ticket(99), outcome }, world.now);
    assert_eq!(world.desk.take_note(), Some(Note::UnknownTicket(Ticket(99))));
}

#[test]
fn what_is_known_beside_an_order_leaves_with_it() {
    let mut world = World::new(DeskOptions { settled_max: 2, ..DeskOptions::default() });
    world.run();
    for id in ["1", "2", "3", "4", "5"] {
        world.submit(id);
        world.run();
        (0..5).for_each(|_| world.trade(id));
        world.settle();
        let known: Vec<_> = world.desk.orders.iter().map(|(key, _)| key).collect();
        assert_eq!(world.desk.records.keys().collect::<Vec<_>>(), known);
    }
    assert_eq!(world.desk.records.len(), 2);
}

#[test]
fn an_answer_that_comes_when_its_order_has_left_leaves_nothing_behind() {
    let mut world = World::new(DeskOptions { settled_max: 1, ..DeskOptions::default() });
    world.run();
    world.submit("1");
    world.run();
    world.desk.cancel(&key("1"), world.now);
    write_all(&mut world);
    world.take();
    let held = world.wire.pop_back();
    for id in ["1", "2"] {
        world.submit(id);
        world.run();
        (0..5).for_each(|_| world.trade(id));
        world.run();
    }
    world.wire.extend(held);
    world.run();
    assert_eq!(world.desk.records.keys().collect::<Vec<_>>(), [&key("2")]);
}

#[test]
fn an_amend_that_was_taken_and_came_to_nothing_moves_no_price() {
    let mut world = world();
    world.submit("1");
    world.run();
    let instrument = btc();
    let market = Market { instrument: Some(&instrument), price: Some(Decimal::TEN) };
    let amended = |world: &mut World, price, quantity: Option<i64>| {
        let quantity = quantity.map(Decimal::from);
        world.desk.amend(&key("1"), price, quantity, market, world.now);
        write_all(world);
        world.take();
        let Some(Instruction::Amend { ticket, price, quantity, .. }) = world.wire.pop_back() else {
            panic!("{:?}", world.wire)
        };
        let outcome = Outcome::Accepted { venue_order_id: Some("vx1".into()) };
        world.desk.heard(P, Heard::Answer { ticket, outcome }, world.now);
        (price, quantity)
    };
    let (ten, eleven) = (Decimal::TEN, Decimal::from(11));
    assert_eq!(amended(&mut world, Some(eleven), None), (eleven, 5.into()));
    assert_eq!(amended(&mut world, None, Some(6)), (eleven, 6.into()), "nothing else was said");
    let said = |price, ts_event| ExecReport {
        instrument: BTC.into(),
        venue_order_id: "vx1".into(),
        state: Some(VenueState::Open),
        quantity: Some(5.into()),
        price: Some(price),
        ts_event: Some(ts_event),
        ..ExecReport::default()
    };
    for (price, ts_event) in [(ten, at(2_000_000)), (eleven, at(1_999_999))] {
        let seen = world.report(said(price, ts_event));
        world.desk.heard(P, seen, world.now);
    }
    assert_eq!(amended(&mut world, None, Some(7)), (ten, 7.into()), "it stands at the old price");
}
