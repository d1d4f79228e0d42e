//! What the maker was told of its orders, kept beside it, and held against what the venues know.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::Decimal;
use model::decimal::Plain;
use model::ledger::{Name, Report};
use model::order::OrderState;
use sim::venue::TrueOrder;

use super::stage;

/// So many orders of a provider that have ended are kept: more than a simulated venue keeps.
const ENDED_MAX: usize = 2 * stage::ORDERS_MAX;

/// What was told; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Orders(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    calm: AtomicBool,
    told: Mutex<BTreeMap<Name, Told>>,
    /// Ids so far.
    ids: AtomicU64,
    /// The highest position in the ledger that was dealt with.
    position: AtomicU64,
}

/// What was told of one provider's orders.
#[derive(Debug, Default)]
struct Told {
    /// By instrument and the venue's id.
    orders: BTreeMap<(Name, Name), Order>,
    ended: VecDeque<(Name, Name)>,
    doubled: u64,
}

#[derive(Debug, Default)]
struct Order {
    state: OrderState,
    filled: Decimal,
    trades: BTreeSet<Name>,
}

/// How far what was told is from what the venue knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gap {
    /// Reports that never came.
    pub lost: u64,
    /// Reports that came more than once.
    pub doubled: u64,
    /// The first of them, in words.
    pub what: Option<String>,
}

impl Orders {
    /// Nothing new is to be ordered, and what is open is to be taken back; or go on.
    pub fn set_calm(&self, calm: bool) {
        self.0.calm.store(calm, Ordering::Release);
    }

    /// Whether that is so.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        self.0.calm.load(Ordering::Acquire)
    }

    /// A report came, from that position of the ledger; `false` where it was dealt with before, as may
    /// be after a crash that took its acknowledgement.
    pub fn note(&self, position: u64, report: &Report) -> bool {
        if position <= self.0.position.load(Ordering::Acquire) {
            return false;
        }
        self.lock().entry(report.provider.clone()).or_default().note(report);
        self.0.position.store(position, Ordering::Release);
        true
    }

    /// Up to where reports were dealt with.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.0.position.load(Ordering::Acquire)
    }

    /// A number that no order has had, also when the maker is made anew.
    #[must_use]
    pub fn next_id(&self) -> u64 {
        self.0.ids.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Holds what was told of a provider's orders against what its venue knows of them.
    #[must_use]
    pub fn compare(&self, provider: &str, orders: &[TrueOrder]) -> Gap {
        let told = self.lock();
        let none = Told::default();
        let told = told.get(provider).unwrap_or(&none);
        let mut gap = Gap { doubled: told.doubled, ..Gap::default() };
        for order in orders {
            let key = (order.instrument.as_str().into(), order.id.to_string().as_str().into());
            let (lost, what) = missing(told.orders.get(&key), order);
            gap.lost += lost;
            gap.what = gap.what.or_else(|| {
                Some(format!("{provider} {} order {}: {}", order.instrument, order.id, what?))
            });
        }
        gap
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Name, Told>> {
        self.0.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    fn note(&mut self, report: &Report) {
        // What never had an id is nothing that a venue knows.
        if !report.has_venue_id() {
            return;
        }
        let key = (report.instrument.clone(), report.venue_order_id.clone());
        let order = self.orders.entry(key.clone()).or_default();
        let was_over = order.state.is_terminal();
        match &report.fill {
            Some(fill) => self.doubled += u64::from(!order.trades.insert(fill.trade_id.clone())),
            None => self.doubled += u64::from(was_over && report.state.is_terminal()),
        }
        (order.state, order.filled) = (report.state, report.filled);
        if report.state.is_terminal() && !was_over {
            self.ended.push_back(key);
        }
        if self.ended.len() > ENDED_MAX
            && let Some(oldest) = self.ended.pop_front()
        {
            self.orders.remove(&oldest);
        }
    }
}

/// How many reports of an order are missing, and which, in words.
fn missing(told: Option<&Order>, order: &TrueOrder) -> (u64, Option<String>) {
    let Some(told) = told else {
        return (1 + order.fills.len() as u64, Some("nothing was told of it".to_owned()));
    };
    let known = |trade: u64| told.trades.contains(trade.to_string().as_str());
    let fills = order.fills.iter().filter(|fill| !known(fill.trade)).count() as u64;
    if fills > 0 {
        return (fills, Some(format!("{fills} of {} fills were not told", order.fills.len())));
    }
    if told.filled != order.filled {
        let (ours, theirs) = (Plain(told.filled), Plain(order.filled));
        return (1, Some(format!("{ours} was told to be filled where {theirs} is")));
    }
    if !order.state.is_open() && !told.state.is_terminal() {
        return (1, Some(format!("its end was not told, {:?}", order.state)));
    }
    (0, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Nanos;
    use model::event::Side;
    use model::ledger::{Fill, OrderKey};
    use sim::market::order::State;
    use sim::venue::TrueFill;

    fn report(state: OrderState, filled: i64, trade: Option<&str>) -> Report {
        let fill = |trade_id: &str| Fill {
            trade_id: trade_id.into(),
            price: Decimal::TEN,
            quantity: Decimal::ONE,
        };
        Report {
            order: OrderKey { consumer: "maker".into(), client_order_id: "m-1".into() },
            provider: "p".into(),
            instrument: "A-B".into(),
            venue_order_id: "7".into(),
            state,
            side: Side::Buy,
            quantity: Decimal::TWO,
            filled: Decimal::from(filled),
            fill: trade.map(fill),
            venue_event_id: None,
            text: "".into(),
            ts_event: None,
            ts_recv: Nanos::default(),
        }
    }

    fn truth(state: State, trades: &[u64]) -> TrueOrder {
        let fill = |trade: &u64| TrueFill {
            trade: *trade,
            at: Nanos::default(),
            price: Decimal::TEN,
            quantity: Decimal::ONE,
            fee: Decimal::ZERO,
            fee_asset: "B".to_owned(),
            is_maker: true,
        };
        TrueOrder {
            instrument: "A-B".to_owned(),
            id: 7,
            client_order_id: Some("m-1".to_owned()),
            times_asked: 1,
            side: Side::Buy,
            price: Some(Decimal::TEN),
            quantity: Decimal::TWO,
            filled: Decimal::from(trades.len()),
            state,
            created: Nanos::default(),
            updated: Nanos::default(),
            fills: trades.iter().map(fill).collect(),
        }
    }

    impl Orders {
        fn next(&self, report: &Report) {
            assert!(self.note(self.position() + 1, report));
        }
    }

    fn lost(orders: &Orders, truth: &TrueOrder) -> u64 {
        orders.compare("p", std::slice::from_ref(truth)).lost
    }

    #[test]
    fn what_was_not_told_is_lost_and_what_was_told_twice_is_doubled() {
        let orders = Orders::default();
        assert_eq!(lost(&orders, &truth(State::New, &[])), 1, "nothing at all");
        orders.next(&report(OrderState::Acknowledged, 0, None));
        assert_eq!(lost(&orders, &truth(State::New, &[])), 0);
        assert_eq!(lost(&orders, &truth(State::PartiallyFilled, &[1])), 1, "a fill");
        orders.next(&report(OrderState::Partial, 1, Some("1")));
        assert_eq!(lost(&orders, &truth(State::PartiallyFilled, &[1])), 0);
        assert_eq!(lost(&orders, &truth(State::Cancelled, &[1])), 1, "the end");
        orders.next(&report(OrderState::Cancelled, 1, None));
        assert_eq!(lost(&orders, &truth(State::Cancelled, &[1])), 0);
        assert_eq!(orders.compare("p", &[]).doubled, 0);
        orders.next(&report(OrderState::Partial, 1, Some("1")));
        assert_eq!(orders.compare("p", &[]).doubled, 1, "the fill again");
    }

    #[test]
    fn what_comes_again_after_a_crash_is_known_by_its_position() {
        let orders = Orders::default();
        let fill = report(OrderState::Partial, 1, Some("1"));
        assert!(orders.note(5, &fill));
        assert!(!orders.note(5, &fill));
        assert_eq!((orders.compare("p", &[]).doubled, orders.position()), (0, 5));
    }

    #[test]
    fn what_no_venue_ever_had_is_not_kept() {
        let orders = Orders::default();
        let refused =
            Report { venue_order_id: "client:m-1".into(), ..report(OrderState::Rejected, 0, None) };
        orders.next(&refused);
        orders.next(&refused);
        assert_eq!(orders.compare("p", &[]), Gap::default());
    }
}
