//! What tells one report from another, and what amounts mean in each state.

use proptest::prelude::*;

use super::*;

fn report(state: OrderState, fill: Option<&str>) -> Report {
    Report {
        order: OrderKey { consumer: "c".into(), client_order_id: "1".into() },
        provider: "p".into(),
        instrument: "BTC-USDT".into(),
        venue_order_id: "77".into(),
        state,
        side: Side::Buy,
        quantity: Decimal::from(5),
        filled: Decimal::from(2),
        fill: fill.map(|id| Fill {
            trade_id: id.into(),
            price: Decimal::ONE,
            quantity: Decimal::ONE,
        }),
        venue_event_id: None,
        text: "".into(),
        ts_event: Some(Nanos(9)),
        ts_recv: Nanos(10),
    }
}

#[test]
fn one_trade_id_on_two_instruments_or_on_both_orders_of_a_self_trade_is_two_fills() {
    let fill = report(OrderState::Partial, Some("8"));
    let elsewhere = Report { instrument: "ETH-USDT".into(), ..fill.clone() };
    let other_side = Report { venue_order_id: "78".into(), ..fill.clone() };
    let other_account = Report { provider: "q".into(), ..fill.clone() };
    for other in [elsewhere, other_side, other_account] {
        assert_ne!(fill.key(), other.key());
    }
}

#[test]
fn a_fill_is_the_same_whoever_brings_it_and_in_whatever_state() {
    let socket = report(OrderState::Partial, Some("8"));
    let rest = Report {
        state: OrderState::Cancelled,
        venue_event_id: Some(4),
        ts_event: None,
        ts_recv: Nanos(99),
        ..socket.clone()
    };
    assert_eq!(socket.key(), rest.key());
}

#[test]
fn a_change_of_state_goes_by_the_venues_number_else_by_amount_and_time() {
    let plain = report(OrderState::Cancelled, None);
    let padded = Report { filled: Decimal::new(200, 2), ts_recv: Nanos(99), ..plain.clone() };
    assert_eq!(plain.key(), padded.key());
    for other in [
        Report { state: OrderState::Expired, ..plain.clone() },
        Report { filled: Decimal::ONE, ..plain.clone() },
        Report { quantity: Decimal::ONE, ..plain.clone() },
        Report { ts_event: Some(Nanos(8)), ..plain.clone() },
        Report { venue_event_id: Some(1), ..plain.clone() },
    ] {
        assert_ne!(plain.key(), other.key());
    }
    let numbered = Report { venue_event_id: Some(1), ..plain };
    let later = Report { ts_event: None, filled: Decimal::ONE, ..numbered.clone() };
    assert_eq!(numbered.key(), later.key());
    assert_ne!(numbered.key(), Report { venue_event_id: Some(2), ..later }.key());
}

#[test]
fn only_requests_wait_for_the_disk() {
    let order = OrderKey { consumer: "c".into(), client_order_id: "1".into() };
    let change =
        Change { order: order.clone(), number: 1, terms: ChangeTerms::Cancel, ts: Nanos(1) };
    assert!(Fact::Change(change).releases());
    let sent = Sent { order: order.clone(), request: Request::Submit, ts: Nanos(1) };
    assert!(!Fact::Sent(sent.clone()).releases());
    assert_eq!(Fact::Sent(sent).order(), Some(&order));
    assert!(!Fact::Report(report(OrderState::Filled, None)).releases());
}

proptest! {
    #[test]
    fn remaining_is_what_is_not_filled_in_every_state(quantity in 0_i64..1_000, filled in 0_i64..1_000) {
        for state in [
            OrderState::Acknowledged,
            OrderState::Partial,
            OrderState::Filled,
            OrderState::Cancelled,
            OrderState::Rejected,
            OrderState::Expired,
        ] {
            let report = Report {
                quantity: quantity.into(),
                filled: filled.into(),
                ..report(state, None)
            };
            prop_assert_eq!(report.remaining(), Decimal::from(quantity - filled));
            let leaves = if state.is_terminal() { 0 } else { (quantity - filled).max(0) };
            prop_assert_eq!(report.leaves(), Decimal::from(leaves));
        }
    }
}
