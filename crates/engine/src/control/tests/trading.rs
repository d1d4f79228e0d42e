//! Trading switches, and what operators want of orders.

use super::super::trading::ORDER_COMMANDS_MAX;
use super::*;

#[test]
fn trading_is_off_until_somebody_who_may_switches_it_on() {
    let mut bus = Bus::new(1);
    let consumer = bus.inboxes[0].id();
    let switch = bus.shard.switch(consumer).unwrap().clone();
    assert!(!switch.is_on());
    bus.shard.set_rights(consumer, Rights { trade: true, ..Rights::default() });
    assert_eq!(bus.ask(Command::SetTrading(true)), Verdict::Effective);
    assert!(switch.is_on());
    let off = bus.operator.command("c0", Command::SetTrading(false)).unwrap();
    bus.turn();
    assert_eq!(off.try_recv().unwrap().verdict, Verdict::Effective);
    assert!(!switch.is_on());
    let refused = Verdict::Refused(Refusal::Unauthorised);
    assert_eq!(bus.ask(Command::SetTrading(true)), refused, "an operator's off stands");
    assert_eq!(bus.ask(Command::SetTrading(false)), Verdict::Effective);
    bus.operator.command("c0", Command::SetTrading(true)).unwrap();
    bus.turn();
    assert!(switch.is_on());
    assert_eq!(bus.ask(Command::SetTrading(false)), Verdict::Effective);
    assert_eq!(bus.ask(Command::SetTrading(true)), Verdict::Effective);
}

#[test]
fn off_is_pending_until_nothing_that_was_handed_out_can_leave() {
    let mut bus = Bus::new(1);
    bus.shard.join_orders();
    let consumer = bus.inboxes[0].id();
    bus.shard.set_trading(consumer, true);
    let switch = bus.shard.switch(consumer).unwrap().clone();
    assert_eq!(switch.read(), (true, 0));
    let answers = bus.command(0, 1, Command::SetTrading(false));
    let until = bus.now - Duration::from_millis(1) + OFF_WITHIN;
    let pending = Verdict::Pending { why: Waiting::Orders, until };
    assert_eq!(answers[0].verdict, pending);
    assert_eq!((switch.read(), answers.len()), ((false, 1), 1));
    // What was handed out before anybody looked at the switch may still leave.
    bus.shard.confirm_offs();
    bus.turn();
    assert_eq!(super::answers(&bus.take(0)), []);
    assert!(bus.shard.switches_seen(), "somebody waits");
    bus.shard.confirm_offs();
    bus.turn();
    let answers = super::answers(&bus.take(0));
    assert!(matches!(answers[..], [Answered { verdict: Verdict::Effective, result: true, .. }]));
    assert!(!bus.shard.switches_seen());
    // On again at once, and whoever looks later sees that it was off in between.
    bus.shard.set_trading(consumer, false);
    bus.shard.set_trading(consumer, true);
    assert_eq!(switch.read(), (true, 2));
    bus.shard.hold_off(consumer);
    bus.shard.set_rights(consumer, Rights { trade: true, ..Rights::default() });
    assert_eq!(bus.ask(Command::SetTrading(true)), Verdict::Refused(Refusal::Unauthorised));
}

#[test]
fn operators_alone_kill_and_only_where_there_are_orders() {
    let mut bus = Bus::new(1);
    let say = |bus: &mut Bus, command: Command| {
        let answers = bus.operator.command("c0", command).unwrap();
        bus.turn();
        answers.try_recv().unwrap().verdict
    };
    let lost = || Command::NeverArrived("7".into());
    assert_eq!(say(&mut bus, Command::Kill), Verdict::Refused(Refusal::NoTrading));
    assert_eq!(say(&mut bus, lost()), Verdict::Refused(Refusal::NoTrading));
    bus.shard.join_orders();
    for command in [Command::Kill, lost()] {
        assert_eq!(bus.ask(command), Verdict::Refused(Refusal::Unauthorised));
    }
    assert_eq!(bus.shard.order_command(), None);
    assert_eq!(say(&mut bus, lost()), Verdict::Effective);
    assert!(!bus.shard.switches_seen(), "nothing to wait for");
    let killed = bus.operator.command("", Command::Kill).unwrap();
    bus.turn();
    let orders = |verdict| matches!(verdict, Verdict::Pending { why: Waiting::Orders, .. });
    assert!(orders(killed.try_recv().unwrap().verdict), "what was handed out may still leave");
    bus.turn();
    assert!(killed.try_recv().is_err());
    assert!(bus.shard.switches_seen(), "somebody waits");
    bus.shard.confirm_offs();
    bus.turn();
    assert_eq!(killed.try_recv().unwrap().verdict, Verdict::Effective);
    let order = OrderKey { consumer: "c0".into(), client_order_id: "7".into() };
    assert_eq!(bus.shard.order_command(), Some(OrderCommand::NeverArrived(order)));
    assert_eq!(bus.shard.order_command(), Some(OrderCommand::Kill));
    for _ in 0..ORDER_COMMANDS_MAX {
        assert!(orders(say(&mut bus, Command::Kill)));
    }
    assert_eq!(say(&mut bus, Command::Kill), Verdict::Refused(Refusal::TooManyPending));
}
