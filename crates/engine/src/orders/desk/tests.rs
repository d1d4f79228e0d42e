//! The desk by example, and against a fake ledger and a fake venue in every interleaving.

use std::time::Duration;

use model::event::Side;
use model::instrument::{Contract, Trading};
use model::ledger::{Name, OrderKey, Submit, Terms};
use model::order::{OrderType, TimeInForce};
use model::trading::{Amends, DeadMan, TradingProfile};
use model::venue::Rate;
use model::{Decimal, Denial, Instrument, Nanos};

use super::*;

mod crash;
mod examples;
mod interleavings;
mod kill;
mod late;
mod ledger;
mod limits;
mod lists;
mod world;

const P: &str = "p";
const BTC: &str = "BTC-USDT";

fn at(ms: u64) -> Nanos {
    Nanos::from_millis(ms)
}

fn key(id: &str) -> OrderKey {
    OrderKey { consumer: "c".into(), client_order_id: id.into() }
}

/// Five, at ten.
fn terms() -> Terms {
    Terms {
        provider: P.into(),
        instrument: BTC.into(),
        side: Side::Buy,
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::Gtc,
        price: Some(Decimal::TEN),
        quantity: Decimal::from(5),
    }
}

fn new_order(id: &str) -> NewOrder {
    NewOrder { order: key(id), terms: terms(), decision_id: 1 }
}

/// An intent that an earlier process wrote down.
fn submitted(id: &str, terms: Terms) -> Submit {
    let venue_client_id = format!("x{id}").into();
    Submit { order: key(id), terms, venue_client_id, deadline: None, ts: at(1), decision_id: 1 }
}

fn btc() -> Instrument {
    Instrument {
        trading: Trading::Open,
        tick: Some(Decimal::new(1, 1)),
        lot: Some(Decimal::ONE),
        notional_min: Some(Decimal::TEN),
        ..Instrument::unlisted("BTC", "USDT", Contract::Spot)
    }
}

const RATES: &[Rate] = &[Rate { count: 6, per: Duration::from_secs(1) }];

fn profile() -> TradingProfile {
    TradingProfile {
        client_id: |key| format!("x{}", key.client_order_id).into(),
        deadline_after: Some(Duration::from_secs(5)),
        orders: RATES,
        kept_for_cancels: 2,
        cancels_count: true,
        amends: Amends::PriceAndQuantity,
        dead_man: Some(DeadMan::Instrument),
        client_id_reusable: true,
    }
}

fn desk(options: DeskOptions) -> Desk {
    let mut desk = Desk::new(options);
    desk.add_provider(P.into(), profile(), vec![BTC.into()]);
    desk.add_consumer("c".into(), true, 0, None);
    desk
}
