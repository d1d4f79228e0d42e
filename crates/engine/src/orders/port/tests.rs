//! Requests on their way from consumers to the shard.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Wake;

use super::*;

#[derive(Default)]
struct Bell(AtomicU32);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn spec(id: &str) -> OrderSpec<'_> {
    let (provider, instrument) = (ProviderId(1), InstrumentId(2));
    OrderSpec::limit(id, provider, instrument, Side::Sell, Decimal::ONE, Decimal::TEN)
}

#[test]
fn requests_come_in_order_with_all_they_say_and_wake_the_shard() {
    let (pool, bell) = (Pool::new("orders", 8), Arc::new(Bell::default()));
    let (mut port, mut gate) = way(ConsumerId(3), &pool, bell.clone().into());
    port.submit(&spec("a").for_time(TimeInForce::PostOnly), Nanos(5)).unwrap();
    port.amend("a", None, Some(Decimal::TWO), Nanos(6)).unwrap();
    port.query("a", Nanos(7)).unwrap();
    port.cancel("a", Nanos(8)).unwrap();
    assert_eq!(bell.0.load(Ordering::Relaxed), 4);
    let submit = gate.take().unwrap();
    let expected = OrderRequest {
        consumer: ConsumerId(3),
        client_order_id: "a".into(),
        provider: ProviderId(1),
        instrument: InstrumentId(2),
        side: Side::Sell,
        time_in_force: TimeInForce::PostOnly,
        price: Some(Decimal::TEN),
        quantity: Decimal::ONE,
        ts_submit: Nanos(5),
        ..OrderRequest::default()
    };
    assert_eq!(*submit, expected);
    let intents: Vec<_> =
        std::iter::from_fn(|| gate.take()).map(|r| (r.intent, r.quantity)).collect();
    let none = Decimal::ZERO;
    let expected = [(Intent::Amend, Decimal::TWO), (Intent::Query, none), (Intent::Cancel, none)];
    assert_eq!(intents, expected);
}

#[test]
fn where_no_request_is_free_cancels_still_are() {
    let pool = Pool::new("orders", ORDER_REQUESTS_FOR_CANCELS + 2);
    let (mut port, mut gate) = way(ConsumerId(0), &pool, Waker::noop().clone());
    port.submit(&spec("1"), Nanos(0)).unwrap();
    port.submit(&spec("2"), Nanos(0)).unwrap();
    assert_eq!(port.submit(&spec("3"), Nanos(0)), Err(NotTaken::Busy));
    assert_eq!(port.query("1", Nanos(0)), Err(NotTaken::Busy));
    for _ in 0..ORDER_REQUESTS_FOR_CANCELS {
        port.cancel("1", Nanos(0)).unwrap();
    }
    assert_eq!(port.cancel("1", Nanos(0)), Err(NotTaken::Busy));
    drop(gate.take());
    assert_eq!(port.submit(&spec("3"), Nanos(0)), Err(NotTaken::Busy), "that one is a cancel's");
    port.cancel("2", Nanos(0)).unwrap();
}

#[test]
fn an_id_that_no_order_can_have_is_not_taken() {
    let pool = Pool::new("orders", 8);
    let (mut port, _gate) = way(ConsumerId(0), &pool, Waker::noop().clone());
    assert_eq!(port.cancel("", Nanos(0)), Err(NotTaken::BadId));
    assert_eq!(port.cancel(&"x".repeat(65), Nanos(0)), Err(NotTaken::BadId));
    port.cancel(&"x".repeat(64), Nanos(0)).unwrap();
}
