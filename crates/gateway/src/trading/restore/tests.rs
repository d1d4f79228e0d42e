//! What a start says of orders that nobody could ask about.

use model::event::Side;
use model::ledger::{LedgerAppend, Terms};
use model::order::{OrderType, TimeInForce};
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
