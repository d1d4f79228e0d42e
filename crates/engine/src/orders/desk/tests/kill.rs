//! The kill switch and the venues' dead-man switches, each rule by example.

use model::ledger::{Lost, Outcome};
use model::order::OrderState;
use model::trading::{Instruction, VenueState};

use super::examples::{last_state, world, write_all};
use super::world::{VenueOrder, Which, World};
use super::*;

#[test]
fn the_kill_switch_takes_everything_back_with_a_stuck_ledger_too() {
    let mut world = world();
    world.submit("1");
    world.submit("2");
    world.run();
    world.submit("3");
    world.set_stuck(true);
    world.reply();
    world.desk.kill(world.now);
    for _ in 0..20 {
        world.take();
        world.venue();
        world.hear();
    }
    assert!(world.venue.values().all(|order| order.state == VenueState::Cancelled));
    assert!(!world.desk.is_on("c"));
    world.settle();
    assert_eq!(world.placed.len(), 2);
    world.check();
}

#[test]
fn what_the_kill_switch_wants_in_vain_it_wants_again() {
    let mut world = world();
    world.submit("1");
    world.run();
    let takes_back: Which = |instruction| {
        matches!(instruction, Instruction::CancelAll { .. } | Instruction::Cancel { .. })
    };
    world.unheeded = Some((takes_back, Outcome::Unknown(Lost::Timeout)));
    world.desk.kill(world.now);
    world.run();
    world.unheeded = None;
    world.tick(1_999);
    world.run();
    assert_eq!(world.venue["x1"].state, VenueState::Open);
    world.tick(1);
    world.run();
    assert_eq!(world.venue["x1"].state, VenueState::Cancelled);
    world.settle();
    world.check();
}

#[test]
fn what_the_kill_switch_could_not_take_back_is_tried_again_also_where_it_is_not_ours() {
    let mut world = world();
    world.venue.insert("x9".into(), VenueOrder::stranger());
    let all: Which = |instruction| matches!(instruction, Instruction::CancelAll { .. });
    world.unheeded = Some((all, Outcome::Unknown(Lost::Timeout)));
    world.desk.kill(world.now);
    world.run();
    world.tick(2_000);
    world.run();
    world.unheeded = None;
    assert_eq!(world.venue["x9"].state, VenueState::Open);
    world.tick(2_000);
    world.run();
    assert_eq!(world.venue["x9"].state, VenueState::Cancelled);
    world.tick(60_000);
    assert!(world.desk.accounts[P].killing.is_empty(), "and then it is over");
}

#[test]
fn a_kill_that_takes_long_ends_though_others_are_let_trade_again() {
    let mut world = world();
    world.submit("1");
    write_all(&mut world);
    world.take();
    world.lose_request = true;
    world.venue();
    world.hear();
    world.desk.kill(world.now);
    world.run();
    // An operator lets it trade before it is known what became of the first order.
    world.desk.switch_on("c");
    for n in 10..70 {
        world.tick(1_000);
        world.submit(&n.to_string());
        world.run();
    }
    assert_eq!(last_state(&world, "1"), Some(OrderState::Rejected));
    let open =
        (60..70).filter(|n| last_state(&world, &n.to_string()) == Some(OrderState::Acknowledged));
    assert_eq!(open.count(), 10);
}

/// How the switch was wound by now, without a look at the clock.
fn winds(world: &mut World) -> Vec<Duration> {
    world.run();
    std::mem::take(&mut world.winds)
}

#[test]
fn a_dead_man_switch_is_wound_while_orders_are_open_and_then_ended() {
    let within = Duration::from_secs(30);
    let options = DeskOptions { dead_man: Some(within), ..DeskOptions::default() };
    let mut world = World::new(options);
    world.run();
    world.tick(1);
    assert_eq!(winds(&mut world), [], "nothing is open");
    world.submit("1");
    assert_eq!(winds(&mut world), [within], "with the order, not when something else is due");
    world.tick(9_999);
    assert_eq!(winds(&mut world), [], "a third of it has not passed");
    world.tick(1);
    assert_eq!(winds(&mut world), [within]);
    world.set_link(false);
    world.hear();
    world.tick(20_000);
    assert_eq!(winds(&mut world), [], "whoever hears nothing lets it run out");
    world.set_link(true);
    world.hear();
    world.tick(1);
    assert_eq!(winds(&mut world), [within]);
    world.cancel_at_venue("1");
    world.run();
    world.tick(1);
    assert_eq!(winds(&mut world), [Duration::ZERO], "taken off again");
    world.tick(20_000);
    assert_eq!(winds(&mut world), []);
}

#[test]
fn a_dead_man_switch_that_all_instruments_share_is_ended_with_the_last_of_them() {
    let within = Duration::from_secs(30);
    let mut world = World::new(DeskOptions { dead_man: Some(within), ..DeskOptions::default() });
    let profile = TradingProfile { dead_man: Some(DeadMan::Account), ..profile() };
    world.desk = Desk::new(world.options);
    world.desk.add_provider(P.into(), profile, vec![BTC.into(), "ETH-USDT".into()]);
    world.desk.add_consumer("c".into(), true, 0, None);
    world.run();
    world.submit("1");
    let terms = Terms { instrument: "ETH-USDT".into(), ..terms() };
    let new = NewOrder { order: key("2"), terms, decision_id: 1 };
    let instrument = btc();
    let market = Market { instrument: Some(&instrument), price: Some(Decimal::TEN) };
    world.desk.submit(new, market, world.now);
    assert_eq!(winds(&mut world), [within]);
    world.cancel_at_venue("2");
    world.run();
    world.tick(1);
    assert_eq!(winds(&mut world), [], "an order of the other instrument is open");
    world.cancel_at_venue("1");
    world.run();
    world.tick(1);
    assert_eq!(winds(&mut world), [Duration::ZERO]);
}

#[test]
fn a_dead_man_switch_that_is_being_ended_is_wound_for_a_new_order() {
    let within = Duration::from_secs(30);
    let mut world = World::new(DeskOptions { dead_man: Some(within), ..DeskOptions::default() });
    world.run();
    world.submit("1");
    assert_eq!(winds(&mut world), [within]);
    world.cancel_at_venue("1");
    world.run();
    world.tick(1);
    world.take();
    world.now = world.now + Duration::from_millis(1);
    world.submit("2");
    assert_eq!(winds(&mut world), [Duration::ZERO, within]);
}
