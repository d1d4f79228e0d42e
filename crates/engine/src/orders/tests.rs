//! Orders by example, by naive model, and in every order of arrival.

use std::time::Duration;

use model::event::Side;
use model::ledger::{
    Answer, Change, ChangeTerms, Fill, Lost, Name, OrderKey, Outcome, Request, Sent, Submit, Terms,
};
use model::order::{ExecReport, OrderState, OrderType, TimeInForce};
use model::trading::VenueState;
use model::{Decimal, Nanos};

use super::*;

mod arrival;
mod examples;

const SECOND: Duration = Duration::from_secs(1);

fn key(id: &str) -> OrderKey {
    OrderKey { consumer: "c".into(), client_order_id: id.into() }
}

/// An order of 5, which its venue takes until second 100.
fn submit(id: &str) -> Submit {
    Submit {
        order: key(id),
        terms: Terms {
            provider: "p".into(),
            instrument: "BTC-USDT".into(),
            side: Side::Buy,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::Gtc,
            price: Some(Decimal::TEN),
            quantity: Decimal::from(5),
        },
        venue_client_id: format!("v{id}").into(),
        deadline: Some(at(100)),
        ts: at(1),
        decision_id: 1,
    }
}

fn at(seconds: u64) -> Nanos {
    Nanos(seconds * 1_000_000_000)
}

/// An order whose bytes went out.
fn sent() -> Order {
    let mut order = Order::new(submit("1"));
    let sent = Sent { order: key("1"), request: Request::Submit, ts: at(2) };
    assert_eq!(order.sent(&sent), Effects::default());
    order
}

fn answer(request: Request, outcome: Outcome) -> Answer {
    Answer { order: key("1"), request, outcome, ts: at(3) }
}

fn refused() -> Outcome {
    Outcome::Refused { code: "-1".into(), text: "no".into() }
}

/// What a venue says of its order 7, which is one of 5.
fn says(state: VenueState, filled: i64) -> ExecReport {
    ExecReport {
        venue_order_id: "7".into(),
        state: Some(state),
        quantity: Some(Decimal::from(5)),
        filled: Some(filled.into()),
        ts_recv: at(4),
        ..ExecReport::default()
    }
}

/// A trade of order 7 by itself, as a list of trades has it.
fn trade(id: u64, quantity: i64) -> ExecReport {
    let nothing =
        ExecReport { state: None, quantity: None, filled: None, ..says(VenueState::Open, 0) };
    with_fill(id, quantity, nothing)
}

/// The same report, of that fill.
fn with_fill(id: u64, quantity: i64, seen: ExecReport) -> ExecReport {
    let (last_price, last_quantity) = (Decimal::TEN, quantity.into());
    ExecReport { trade_id: id.to_string(), last_price, last_quantity, ..seen }
}

fn fill(id: u64, quantity: i64) -> Option<Fill> {
    let trade_id: Name = id.to_string().into();
    Some(Fill { trade_id, price: Decimal::TEN, quantity: quantity.into() })
}

fn state(effects: &Effects) -> Option<(OrderState, i64, i64)> {
    let whole = |amount: Decimal| i64::try_from(amount.mantissa()).ok();
    let report = effects.report.as_ref()?;
    Some((report.state, whole(report.filled)?, whole(report.leaves())?))
}
