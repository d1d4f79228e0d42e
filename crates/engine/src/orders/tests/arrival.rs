//! Whatever comes in whatever order: the same evidence, the same end.

use std::collections::{BTreeMap, BTreeSet};

use model::ledger::{Fact, Report};
use proptest::prelude::*;

use super::*;

/// Where an input alone leads, by the chain of standings: what the table must agree with.
fn target(input: Input) -> Standing {
    match input {
        Input::Sent => Standing::Sent,
        Input::Lost => Standing::Unknown,
        Input::Refused | Input::Absent => Standing::Refused,
        Input::Accepted => Standing::Acknowledged,
        Input::Part => Standing::Partial,
        Input::Whole => Standing::Filled,
        Input::Rejected => Standing::Rejected,
        Input::Expired => Standing::Expired,
        Input::Cancelled => Standing::Cancelled,
        Input::Replaced => Standing::Replaced,
    }
}

#[test]
fn the_table_only_ever_gains_evidence() {
    for from in Standing::ALL {
        for input in Input::ALL {
            let to = table::step(from, input).to;
            if input == Input::Absent && from < Standing::Unknown {
                assert_eq!(to, from, "what was never in doubt is not found absent");
            } else {
                assert_eq!(to, from.max(target(input)), "{from:?} {input:?}");
            }
        }
    }
}

#[test]
fn the_legal_ways_are_those_of_the_design() {
    use OrderState::{Acknowledged, Cancelled, Expired, Filled, Partial, Rejected};
    let legal = |from, to| match (from, to) {
        (None, _) | (Some(Acknowledged), _) => true,
        (Some(Partial), to) => !matches!(to, Acknowledged | Rejected),
        (Some(Filled | Cancelled | Rejected | Expired), _) => false,
    };
    for from in Standing::ALL.into_iter().filter(|from| *from != Standing::Pending) {
        for input in Input::ALL {
            let step = table::step(from, input);
            let (was, is) = (from.reported(), step.to.reported());
            if let Some(to) = is.filter(|_| was != is) {
                assert_eq!(step.legal, legal(was, to), "{from:?} {input:?}");
            }
            if from.is_terminal() {
                assert!(step.to.is_terminal() || !step.legal, "{from:?} {input:?}");
            }
        }
    }
}

/// Something that reaches an order.
#[expect(clippy::large_enum_variant, reason = "a dozen of them in a list")]
#[derive(Clone, Debug)]
enum Message {
    Answer(Outcome),
    Seen(ExecReport),
    Reconnect,
}

fn deliver(order: &mut Order, message: &Message) -> Effects {
    match message {
        Message::Answer(outcome) => order.answer(&answer(Request::Submit, outcome.clone()), at(9)),
        Message::Seen(seen) => order.observe(seen),
        Message::Reconnect => {
            order.doubt(at(9));
            Effects::default()
        }
    }
}

/// What a venue may say of the orders `7` and `8`: true, false, half, twice.
fn any_message() -> impl Strategy<Value = Message> {
    let state = prop_oneof![
        4 => Just(Some(VenueState::Open)),
        1 => Just(Some(VenueState::Filled)),
        1 => Just(Some(VenueState::Cancelled)),
        1 => Just(Some(VenueState::Replaced)),
        1 => Just(Some(VenueState::Rejected)),
        1 => Just(Some(VenueState::Expired)),
        3 => Just(None),
    ];
    let amount = || proptest::option::of(0_i64..7);
    let fill = proptest::option::of((0_u64..5, 1_i64..3));
    let quantity = prop_oneof![3 => Just(Some(5)), 1 => amount()];
    let seen = (0_u8..5, state, quantity, amount(), fill, proptest::option::of(0_u64..3));
    prop_oneof![
        12 => seen.prop_map(|(leg, state, quantity, filled, new, ts)| {
            let seen = ExecReport {
                venue_order_id: if leg == 0 { "8".into() } else { "7".into() },
                state,
                quantity: quantity.map(Decimal::from),
                filled: filled.map(Decimal::from),
                ts_event: ts.map(Nanos),
                ..says(VenueState::Open, 0)
            };
            Message::Seen(match new {
                Some((id, quantity)) => with_fill(id, quantity, seen),
                None => seen,
            })
        }),
        1 => Just(Message::Answer(refused())),
        1 => Just(Message::Answer(Outcome::Unknown(Lost::Timeout))),
        1 => Just(Message::Answer(Outcome::Accepted { venue_order_id: None })),
        1 => Just(Message::Answer(Outcome::Accepted { venue_order_id: Some("7".into()) })),
        1 => Just(Message::Reconnect),
    ]
}

/// How an order ends: standing, quantity, filled.
type End = (Standing, Decimal, Decimal);

fn end(order: &Order) -> End {
    (order.standing(), order.quantity(), order.filled())
}

/// One venue order, as what was said of it leaves it: worked out at the end, from all of it.
fn naive_leg(seen: &[&ExecReport]) -> (Standing, Decimal, Decimal) {
    let mut fills: BTreeMap<Name, Decimal> = BTreeMap::new();
    for fill in seen.iter().filter_map(|seen| seen.fill()) {
        let known = fills.entry(fill.trade_id).or_default();
        *known = (*known).max(fill.quantity);
    }
    let told = seen.iter().filter_map(|seen| seen.filled).max().unwrap_or_default();
    let over = |state| state != VenueState::Open;
    let newest = seen.iter().filter_map(|s| {
        s.quantity.map(|quantity| (s.ts_event, s.state.is_some_and(over), quantity))
    });
    let newest = newest.max();
    let quantity = newest.map_or(Decimal::from(5), |(_, _, quantity)| quantity);
    let mut filled = fills.values().sum::<Decimal>().max(told);
    let said = seen.iter().map(|seen| seen.state.map_or(Input::Accepted, super::leg::input));
    let mut standing = said.map(target).max().unwrap();
    if standing == Standing::Filled {
        filled = filled.max(quantity);
    }
    if filled > Decimal::ZERO {
        standing = standing.max(Standing::Partial);
        if newest.is_some() && filled >= quantity {
            standing = Standing::Filled;
        }
    }
    (standing, quantity, filled)
}

fn naive(messages: &[Message]) -> End {
    let mut legs: BTreeMap<String, Vec<ExecReport>> = BTreeMap::new();
    let mut alone = Standing::Sent;
    for message in messages {
        match message {
            Message::Seen(seen) => {
                legs.entry(seen.venue_order_id.clone()).or_default().push(seen.clone());
            }
            Message::Answer(Outcome::Accepted { venue_order_id: Some(id) }) => {
                let mut open = trade(0, 0);
                open.clear_fill();
                legs.entry(id.as_ref().into()).or_default().push(open);
            }
            Message::Answer(Outcome::Accepted { .. }) => alone = alone.max(Standing::Acknowledged),
            Message::Answer(Outcome::Refused { .. }) => alone = alone.max(Standing::Refused),
            Message::Answer(_) => alone = alone.max(Standing::Unknown),
            Message::Reconnect => {}
        }
    }
    if legs.is_empty() {
        return (alone, Decimal::from(5), Decimal::ZERO);
    }
    let legs: Vec<_> =
        legs.values().map(|seen| naive_leg(&seen.iter().collect::<Vec<_>>())).collect();
    let filled: Decimal = legs.iter().map(|leg| leg.2).sum();
    let waiting = legs.iter().all(|leg| leg.0 == Standing::Replaced);
    let left = legs.iter().map(|leg| leg.1 - leg.2).max().unwrap();
    let quantity: Decimal =
        legs.iter().map(|leg| if leg.0 == Standing::Replaced { leg.2 } else { leg.1 }).sum();
    let quantity = if waiting { quantity + left } else { quantity };
    let open = legs.iter().any(|leg| !leg.0.is_terminal());
    let kept = legs.iter().map(|leg| leg.0).filter(|s| *s != Standing::Replaced).max();
    let standing = match kept {
        Some(standing) if !open => standing,
        _ if filled > Decimal::ZERO => Standing::Partial,
        _ => Standing::Acknowledged,
    };
    (standing, quantity, filled)
}

fn messages() -> impl Strategy<Value = Vec<Message>> {
    proptest::collection::vec(any_message(), 0..12)
}

fn shuffled() -> impl Strategy<Value = (Vec<Message>, Vec<Message>)> {
    messages().prop_flat_map(|messages| (Just(messages.clone()), Just(messages).prop_shuffle()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_order_of_arrival_ends_where_the_naive_model_does((first, second) in shuffled()) {
        let mut one = sent();
        first.iter().for_each(|message| drop(deliver(&mut one, message)));
        let mut other = sent();
        second.iter().for_each(|message| drop(deliver(&mut other, message)));
        prop_assert_eq!(end(&one), end(&other));
        prop_assert_eq!(end(&one), naive(&first));
        // What came twice came once.
        second.iter().for_each(|message| drop(deliver(&mut other, message)));
        prop_assert_eq!(end(&one), end(&other));
    }

    #[test]
    fn nothing_is_filled_twice_or_out_of_nothing(messages in messages()) {
        let mut order = sent();
        let mut last: Option<Report> = None;
        let mut told = BTreeSet::new();
        let mut keys = BTreeSet::new();
        for message in &messages {
            let effects = deliver(&mut order, message);
            prop_assert_eq!(order.remaining(), order.quantity() - order.filled());
            prop_assert!(order.leaves() >= Decimal::ZERO);
            prop_assert!(!order.standing().is_terminal() || order.leaves().is_zero());
            prop_assert!(order.legs().iter().all(|leg| leg.unattributed() >= Decimal::ZERO));
            let Some(report) = effects.report else { continue };
            prop_assert_eq!(report.remaining(), order.remaining());
            prop_assert_eq!(report.leaves(), order.leaves());
            if let Some(fill) = &report.fill {
                let name = (report.venue_order_id.clone(), fill.trade_id.clone());
                prop_assert!(told.insert(name), "a fill is told once");
                prop_assert!(keys.insert(report.key()));
            }
            let over = last.as_ref().is_some_and(|last| last.state.is_terminal());
            if over && !report.state.is_terminal() {
                let second = order.legs().len() > 1;
                prop_assert!(second || !effects.oddities.is_empty(), "{:?}", message);
            }
            last = Some(report);
        }
        let fills: BTreeSet<_> = messages.iter().filter_map(|message| match message {
            Message::Seen(seen) if !seen.trade_id.is_empty() => {
                Some((seen.venue_order_id.as_str().into(), seen.trade_id.as_str().into()))
            }
            _ => None,
        }).collect();
        prop_assert_eq!(told, fills, "each fill reaches the consumer");
    }

    /// An order with one venue order, restored from its facts at any moment, stands as it stood,
    /// with what was not known in doubt; and no fill is told twice or lost.
    #[test]
    fn a_restart_at_any_moment_changes_nothing(messages in messages(), cut in 0_usize..12) {
        let messages: Vec<_> = messages.into_iter().filter(is_of_seven).collect();
        let (before, after) = messages.split_at(cut.min(messages.len()));
        let (mut order, mut restored) = restart(before);
        let told = |order: &Order| (order.standing().reported(), order.quantity(), order.filled());
        prop_assert_eq!(told(&restored), told(&order));
        prop_assert!(restored.standing() >= Standing::Unknown);
        let asked = !restored.standing().is_terminal();
        prop_assert_eq!(restored.ask_at(), asked.then_some(at(50)));
        for message in after {
            let (one, other) = (deliver(&mut order, message), deliver(&mut restored, message));
            let fill = |effects: Effects| effects.report.and_then(|report| report.fill);
            prop_assert_eq!(fill(one), fill(other));
        }
    }

    /// An order whose end was told, with whatever venue orders behind it, is over after a restart, and owes
    /// its consumer nothing.
    #[test]
    fn an_end_that_was_told_is_the_end_after_a_restart(messages in messages()) {
        let (order, mut restored) = restart(&messages);
        let answers = messages.iter().any(|message| matches!(message, Message::Answer(_)));
        if order.standing().is_terminal() && !answers {
            prop_assert_eq!(restored.take_owed(), None);
            prop_assert!(restored.standing().is_terminal(), "{:?} {:?}", order, restored);
            prop_assert_eq!(restored.ask_at(), None);
        }
    }

    /// Where the venue does not contradict itself, what comes after a restart ends in the same place.
    #[test]
    fn a_restart_ends_where_no_restart_does(messages in messages(), cut in 0_usize..12) {
        let mut messages: Vec<_> = messages.into_iter().filter(is_of_seven).collect();
        for message in &mut messages {
            let Message::Seen(seen) = message else { continue };
            // What stands in for another is a second venue order, and here is one.
            seen.state = seen.state.filter(|state| *state != VenueState::Replaced);
            seen.quantity = seen.quantity.map(|_| Decimal::from(5));
            seen.filled = seen.filled.map(|filled| filled.min(Decimal::from(4)));
            // Four fills of one: less than the order, so that an end is what the venue calls one.
            if seen.trade_id.is_empty() || *seen.trade_id >= *"4" {
                seen.clear_fill();
            } else {
                seen.last_quantity = Decimal::ONE;
            }
        }
        let (before, after) = messages.split_at(cut.min(messages.len()));
        let (mut order, mut restored) = restart(before);
        for message in after {
            deliver(&mut order, message);
            deliver(&mut restored, message);
        }
        prop_assert_eq!(order.filled(), restored.filled());
        prop_assert_eq!(order.quantity(), restored.quantity());
        // A report that says nothing new is not kept; where that makes a difference the venue is
        // being asked.
        let same = order.standing().reported() == restored.standing().reported();
        prop_assert!(same || restored.ask_at().is_some(), "{:?} {:?}", order, restored);
    }
}

fn is_of_seven(message: &Message) -> bool {
    !matches!(message, Message::Seen(seen) if seen.venue_order_id != "7")
}

/// An order after `messages`, and the same restored from its facts.
fn restart(messages: &[Message]) -> (Order, Order) {
    let mut order = sent();
    let bytes = Sent { order: key("1"), request: Request::Submit, ts: at(2) };
    let mut facts = vec![Fact::Submit(submit("1")), Fact::Sent(bytes)];
    for message in messages {
        let effects = deliver(&mut order, message);
        if let Message::Answer(outcome) = message {
            facts.push(Fact::Answer(answer(Request::Submit, outcome.clone())));
        }
        facts.extend(effects.report.map(Fact::Report));
    }
    let restored = Order::restore(submit("1"), &facts, at(50));
    (order, restored)
}
