//! What one consumer, or an operator, may have of everything, so that there is room for the others.

use super::*;
use crate::capacity::{
    COMMANDS_MAX, COMMANDS_REMEMBERED, MERGES_PER_CONSUMER, NAMES_PER_CONSUMER, SUBSCRIPTIONS_MAX,
};

fn merge(name: &str) -> MergeSpec {
    MergeSpec {
        name: name.into(),
        instrument: "BTC-USDT".into(),
        providers: vec!["one".into(), "two".into()],
        ..MergeSpec::default()
    }
}

/// What a consumer is told first of a merge that it wants.
fn join(bus: &mut Bus, consumer: usize, id: u64, name: &str) -> Verdict {
    bus.command(consumer, id, Command::SubscribeMerged(merge(name)))[0].verdict
}

#[test]
fn a_command_that_is_repeated_while_it_is_pending_is_open_no_longer_for_that() {
    let mut bus = Bus::new(1);
    let most = QueueCapacity::default().commands;
    for _ in 0..2 * most {
        let sent = bus.command(0, 7, Command::Subscribe(trades()));
        assert!(
            matches!(sent[..], [Answered { verdict: Verdict::Pending { .. }, .. }]),
            "{sent:?}"
        );
    }
    bus.told();
    bus.status(0, Kind::Trade, StreamState::Live, Reason::Flowing);
    let results = answers(&bus.take(0));
    assert!(matches!(results[..], [Answered { id: 7, result: true, .. }]), "{results:?}");
    for id in 8..8 + 2 * most as u64 {
        assert_eq!(bus.command(0, id, Command::SetTrading(false)).len(), 1);
    }
}

#[test]
fn the_newest_commands_of_a_consumer_are_known_again_and_no_others() {
    let mut bus = Bus::new(1);
    for id in 0..=COMMANDS_REMEMBERED as u64 {
        bus.command(0, id, Command::SetTrading(false));
    }
    let other = |bus: &mut Bus, id| bus.command(0, id, Command::Unsubscribe(trades()))[0].verdict;
    assert_eq!(other(&mut bus, 1), Verdict::Refused(Refusal::IdReused));
    assert_eq!(other(&mut bus, 0), Verdict::Effective, "the oldest is forgotten");
}

#[test]
fn a_consumer_brings_in_so_many_names_and_no_more() {
    let mut bus = Bus::new(1);
    let of = |names: std::ops::Range<usize>| {
        let instruments = names.map(|n| format!("X{n}-USDT").into()).collect();
        Command::Subscribe(Subscription { instruments, ..Subscription::default() })
    };
    for first in (0..NAMES_PER_CONSUMER).step_by(STREAMS_PER_SUBSCRIPTION) {
        assert_eq!(bus.ask(of(first..first + STREAMS_PER_SUBSCRIPTION)), Verdict::Effective);
    }
    let more = NAMES_PER_CONSUMER..NAMES_PER_CONSUMER + 1;
    assert_eq!(bus.ask(of(more)), Verdict::Refused(Refusal::NoRoom));
    assert_eq!(bus.ask(of(0..1)), Verdict::Effective, "of names that are known any");
}

#[test]
fn commands_beyond_the_limit_are_handed_back_and_those_that_wait_are_taken_in_time() {
    let mut bus = Bus::new(1);
    for id in 0..COMMANDS_MAX as u64 {
        bus.submit(0, id, Command::SetTrading(false));
    }
    let more = bus.inboxes[0].command(CommandId(99), Command::SetTrading(false));
    assert!(more.unwrap_err().message.contains("command 99 was not taken"));
    assert_eq!(bus.shard.deadline(), Some(Nanos(0)), "a turn is wanted at once");
    bus.turn();
    assert_eq!(bus.shard.deadline(), Some(Nanos(0)), "half of them are taken in a turn");
    bus.turn();
    assert_eq!(answers(&bus.take(0)).len(), COMMANDS_MAX);
    bus.turn();
    assert_ne!(bus.shard.deadline(), Some(Nanos(0)));
}

#[test]
fn an_operators_commands_that_were_too_many_for_a_turn_want_the_next_at_once() {
    let mut bus = Bus::new(1);
    let off = || Command::SetTrading(false);
    let answers: Vec<_> =
        (0..=COMMANDS_PER_TURN).map(|_| bus.operator.command("c0", off()).unwrap()).collect();
    bus.turn();
    let answered = || answers.iter().filter(|answers| answers.try_recv().is_ok()).count();
    assert_eq!((answered(), bus.shard.deadline()), (COMMANDS_PER_TURN, Some(Nanos(0))));
    bus.turn();
    assert_eq!(answered(), 1);
    assert_ne!(bus.shard.deadline(), Some(Nanos(0)));
}

#[test]
fn what_operators_wait_for_is_bounded() {
    let mut bus = Bus::new(1);
    bus.shard.join_orders();
    let say = |bus: &mut Bus, command: Command| {
        let answers = bus.operator.command("c0", command).unwrap();
        bus.turn();
        answers
    };
    let subscribed = (0..OPERATOR_COMMANDS_MAX).map(|_| Command::Subscribe(trades()));
    let off = (0..OPERATOR_COMMANDS_MAX).map(|_| Command::SetTrading(false));
    let mut waiting = Vec::new();
    for (n, command) in (1..).zip(subscribed.chain(off)) {
        waiting.push(bus.operator.command("c0", command).unwrap());
        if n % COMMANDS_PER_TURN == 0 {
            bus.turn();
        }
    }
    let pending = |answer: Answer| matches!(answer.verdict, Verdict::Pending { .. });
    assert!(waiting.iter().all(|answers| answers.try_recv().is_ok_and(pending)));
    let later = say(&mut bus, Command::Subscribe(trades()));
    assert!(later.try_recv().is_err(), "not taken yet");
    assert_ne!(bus.shard.deadline(), Some(Nanos(0)), "nor looked at over and over");
    bus.shard.switches_seen();
    bus.shard.confirm_offs();
    bus.turn();
    let refused = Verdict::Refused(Refusal::TooManyPending);
    assert_eq!(later.try_recv().unwrap().verdict, refused);
    let off = say(&mut bus, Command::SetTrading(false));
    assert!(off.try_recv().is_ok_and(pending));
    let unsubscribed = say(&mut bus, Command::Unsubscribe(trades()));
    assert_eq!(unsubscribed.try_recv().unwrap().verdict, Verdict::Effective);
    let again = say(&mut bus, Command::Subscribe(trades()));
    assert!(again.try_recv().is_ok_and(pending), "there is room again");
}

#[test]
fn no_consumer_has_so_many_merges_that_others_can_have_none() {
    let mut bus = Bus::new(2);
    join(&mut bus, 0, 0, "m0");
    bus.told();
    for provider in 0..2 {
        bus.status(provider, Kind::Quote, StreamState::Live, Reason::Flowing);
    }
    let most = MERGES_PER_CONSUMER as u64;
    for n in 1..most {
        assert_eq!(join(&mut bus, 0, n, &format!("m{n}")), Verdict::Effective);
    }
    let refused = Verdict::Refused(Refusal::TooManySubscriptions);
    assert_eq!(join(&mut bus, 0, most, "more"), refused);
    assert_eq!(bus.shard.catalog().find_provider("more"), None);
    assert_eq!(join(&mut bus, 0, most + 1, "m3"), Verdict::Effective, "it has this one already");
    assert_eq!(join(&mut bus, 1, 1, "other"), Verdict::Effective);
    bus.command(0, most + 2, Command::UnsubscribeMerged("m0".into()));
    assert_eq!(join(&mut bus, 0, most + 3, "more"), Verdict::Effective);
}

#[test]
fn a_consumer_without_room_for_another_subscription_still_has_its_merge() {
    let mut bus = Bus::new(1);
    bus.ask(Command::SubscribeMerged(merge("best")));
    bus.told();
    for provider in 0..2 {
        bus.status(provider, Kind::Quote, StreamState::Live, Reason::Flowing);
    }
    bus.take(0);
    let of = |n: usize| {
        let instruments = vec![format!("X{n}-USDT").into()];
        Command::Subscribe(Subscription { instruments, ..Subscription::default() })
    };
    for n in 1..SUBSCRIPTIONS_MAX {
        assert_eq!(bus.ask(of(n)), Verdict::Effective);
    }
    let refused = Verdict::Refused(Refusal::TooManySubscriptions);
    assert_eq!(bus.ask(of(SUBSCRIPTIONS_MAX)), refused);
    assert_eq!(bus.ask(Command::SubscribeMerged(merge("other"))), refused);
    assert_eq!(bus.ask(Command::SubscribeMerged(merge("best"))), Verdict::Effective);
    assert_eq!(bus.ask(of(1)), Verdict::Effective);
}

#[test]
fn a_consumer_that_names_its_merges_anew_for_ever_ends_merging_for_nobody() {
    let mut bus = Bus::new(2);
    for n in 0..2 * crate::capacity::MERGES_MAX as u64 {
        let name = format!("m{n}");
        let verdict = join(&mut bus, 0, 2 * n, &name);
        assert!(!matches!(verdict, Verdict::Refused(_)), "{n}: {verdict:?}");
        bus.command(0, 2 * n + 1, Command::UnsubscribeMerged(name.as_str().into()));
    }
    let verdict = join(&mut bus, 1, 1, "other");
    assert!(!matches!(verdict, Verdict::Refused(_)), "{verdict:?}");
}

#[test]
fn a_merge_that_is_refused_brings_in_no_name_and_uses_up_no_right_to() {
    let mut bus = Bus::new(1);
    let refused = Verdict::Refused(Refusal::MalformedMerge);
    for n in 0..=NAMES_PER_CONSUMER as u64 {
        let instrument = format!("X{n}-USDT").into();
        let wrong = MergeSpec { instrument, window: Duration::ZERO, ..merge("m") };
        let found = bus.command(0, n, Command::SubscribeMerged(wrong));
        assert_eq!(found[0].verdict, refused);
    }
    let catalog = bus.shard.catalog();
    assert_eq!((catalog.find_instrument("X0-USDT"), catalog.find_provider("m")), (None, None));
    let new = MergeSpec { instrument: "X0-USDT".into(), ..merge("m") };
    let found = bus.command(0, u64::MAX, Command::SubscribeMerged(new));
    assert!(matches!(found[0].verdict, Verdict::Pending { .. }), "{found:?}");
}
