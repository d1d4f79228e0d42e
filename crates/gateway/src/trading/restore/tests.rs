//! What a start says of orders that nobody could ask about.

use model::event::Side;
use model::ledger::{LedgerAppend, Terms};
use model::order::{OrderState, OrderType, TimeInForce};
use store::ledger::{LedgerWrite, MemoryLedger};

use super::*;

fn submit(provider: &str, id: u64) -> Submit {
    Submit {
        order: OrderKey { consumer: "trader".into(), client_order_id: id.to_string().into() },
        terms: Terms {
            provider: provider.into(),
            instrument: "BTC-USDT".into(),
            side: Side::Buy,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::Gtc,
            price: Some(Decimal::TEN),
            quantity: Decimal::ONE,
        },
        venue_client_id: id.to_string().into(),
        deadline: None,
        ts: Nanos(1),
        decision_id: id,
    }
}

/// A ledger with so many open orders at each.
fn ledger(open: &[(&str, u64)]) -> MemoryLedger {
    let mut ledger = MemoryLedger::new();
    let all = open.iter().flat_map(|(provider, count)| (0..*count).map(move |_| *provider));
    let facts = (1..)
        .zip(all)
        .map(|(seq, provider)| LedgerAppend { seq, fact: Fact::Submit(submit(provider, seq)) });
    let facts: Vec<_> = facts.collect();
    ledger.append(&facts).unwrap();
    ledger
}

fn read(ledger: &MemoryLedger, providers: &[&str]) -> Result<Kept, String> {
    let providers: Vec<_> =
        (1..).zip(providers).map(|(id, name)| (ProviderId(id), Name::from(*name))).collect();
    Kept::read(&mut ledger.reopened(), &[], &providers).map_err(|error| error.0)
}

#[test]
fn an_open_order_at_a_provider_that_does_not_trade_ends_the_start() {
    let ledger = ledger(&[("spot", 2), ("old", 12), ("gone", 1)]);
    assert_eq!(read(&ledger, &["gone", "old", "spot"]).unwrap().open.len(), 15);
    let why = read(&ledger, &["spot", "new"]).unwrap_err();
    assert!(why.contains("12 at 'old' (trader/3, "), "{why}");
    assert!(why.contains("trader/12, 2 more)"), "{why}");
    assert!(why.contains("1 at 'gone' (trader/15)"), "{why}");
    assert!(why.contains("expected a [[provider]]") && !why.contains("spot"), "{why}");
}

#[test]
fn where_nobody_trades_open_orders_are_told() {
    let told = |open| open_without_providers(&mut ledger(open)).unwrap();
    assert_eq!(told(&[]), None);
    assert!(told(&[("spot", 1)]).unwrap().contains("1 at 'spot' (trader/1)"));
}

fn report(id: u64, state: OrderState) -> Fact {
    Fact::Report(Report {
        order: submit("spot", id).order,
        provider: "spot".into(),
        instrument: "BTC-USDT".into(),
        venue_order_id: id.to_string().into(),
        state,
        side: Side::Buy,
        quantity: Decimal::ONE,
        filled: Decimal::ZERO,
        fill: None,
        venue_event_id: None,
        text: "".into(),
        ts_event: Some(Nanos(2)),
        ts_recv: Nanos(100 + id),
    })
}

#[test]
fn what_settled_lately_is_taken_over_whole_in_the_order_in_which_it_settled() {
    use OrderState::{Acknowledged, Cancelled, Filled, Rejected};
    let mut ledger = ledger(&[("spot", 5)]);
    let ends = [(3, Cancelled), (1, Filled), (2, Rejected), (4, Acknowledged), (2, Acknowledged)];
    let facts = ends.map(|(id, state)| report(id, state));
    let facts = (6..).zip(facts).map(|(seq, fact)| LedgerAppend { seq, fact }).collect::<Vec<_>>();
    ledger.append(&facts).unwrap();
    let kept = Kept::read(&mut ledger.reopened(), &[], &[(ProviderId(1), "spot".into())]).unwrap();
    let ids = |orders: &[WithFacts]| -> Vec<String> {
        orders.iter().map(|(submit, _)| submit.order.client_order_id.to_string()).collect()
    };
    assert_eq!(ids(&kept.settled), ["3", "1"], "two was believed to be over, and lives");
    assert_eq!(ids(&kept.open), ["2", "4", "5"]);
    assert!(kept.settled.iter().all(|(_, facts)| facts.len() == 2), "each with its intent");
    assert_eq!(kept.last, Some(Nanos(102)));
    // What began earlier than is looked back to is whole all the same.
    for (newest, settled) in [(5, vec!["3", "1"]), (4, vec!["1"]), (3, vec![])] {
        let facts = ledger.newest(newest).unwrap();
        let found = super::settled(&mut ledger, facts).unwrap();
        assert_eq!(ids(&found), settled, "of the newest {newest}");
        assert!(found.iter().all(|(_, facts)| facts.len() == 2));
    }
}
