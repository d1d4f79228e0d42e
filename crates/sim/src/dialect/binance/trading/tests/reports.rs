//! What an account is told adds up to what the venue has, whatever is asked for; the same run gives
//! the same bytes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::market::order::State;

/// What a client knows of an order by reports alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    name: String,
    status: String,
    filled: Decimal,
    trades: Vec<(u64, Decimal, Decimal, Decimal)>,
}

/// Follows the reports of one account as a client would.
fn follow(heard: &[Value], spot: bool) -> BTreeMap<u64, Known> {
    let mut orders: BTreeMap<u64, Known> = BTreeMap::new();
    for message in heard {
        let event = if spot { &message["event"] } else { message };
        let order = match event["e"].as_str().unwrap() {
            "executionReport" => event,
            "ORDER_TRADE_UPDATE" => &event["o"],
            _ => continue,
        };
        let known = orders.entry(order["i"].as_u64().unwrap()).or_default();
        let cancel = spot && order["x"] == "CANCELED";
        known.name = order[if cancel { "C" } else { "c" }].as_str().unwrap().to_owned();
        known.status = order["X"].as_str().unwrap().to_owned();
        let before = known.filled;
        known.filled = number(&order["z"]);
        if order["x"] == "TRADE" {
            let last = number(&order["l"]);
            assert_eq!(before + last, known.filled, "each execution is told once, in order");
            let id = order["t"].as_u64().unwrap();
            known.trades.push((id, number(&order["L"]), last, number(&order["n"])));
        }
    }
    orders
}

fn truth(orders: &[TrueOrder]) -> BTreeMap<u64, Known> {
    let status = |state| match state {
        State::New => "NEW",
        State::PartiallyFilled => "PARTIALLY_FILLED",
        State::Filled => "FILLED",
        State::Cancelled => "CANCELED",
        State::Expired => "EXPIRED",
        State::ExpiredInMatch => "EXPIRED_IN_MATCH",
    };
    let known = |order: &TrueOrder| Known {
        name: order.client_order_id.clone().unwrap(),
        status: status(order.state).to_owned(),
        filled: order.filled.normalize(),
        trades: order
            .fills
            .iter()
            .map(|fill| {
                let numbers =
                    [fill.price, fill.quantity, fill.fee].map(|number| number.normalize());
                (fill.trade, numbers[0], numbers[1], numbers[2])
            })
            .collect(),
    };
    orders.iter().map(|order| (order.id, known(order))).collect()
}

/// The last that was told of each asset.
fn balances(heard: &[Value]) -> BTreeMap<String, (Decimal, Decimal)> {
    let mut all = BTreeMap::new();
    for message in heard {
        let event = &message["event"];
        if event["e"] != "outboundAccountPosition" {
            continue;
        }
        for row in event["B"].as_array().unwrap() {
            let parts = (number(&row["f"]), number(&row["l"]));
            all.insert(row["a"].as_str().unwrap().to_owned(), parts);
        }
    }
    all
}

#[derive(Clone, Debug)]
struct Step {
    other: bool,
    buys: bool,
    kind: usize,
    off: u64,
    quantity: u64,
    wait_ms: u64,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (any::<bool>(), any::<bool>(), 0..7_usize, 0..40_u64, 1..30_u64, 0..400_u64);
    let step = step.prop_map(|(other, buys, kind, off, quantity, wait_ms)| Step {
        other,
        buys,
        kind,
        off,
        quantity,
        wait_ms,
    });
    prop::collection::vec(step, 1..40)
}

/// Does what the steps say; whatever the venue answers is fine.
fn play(far: &mut Far, steps: &[Step]) {
    for (n, step) in steps.iter().enumerate() {
        let who = if step.other { Who::Other } else { Who::Demo };
        let side = if step.buys { "BUY" } else { "SELL" };
        let path = far.order_path();
        let price = 59_998 + step.off / 10;
        let quantity = format!("0.{:03}", step.quantity);
        let order = limit(side, &quantity, &format!("{price}.{}", step.off % 10), &format!("n{n}"));
        let oldest = far.orders(who).into_iter().find(|order| order.state.is_open());
        let of = oldest.map_or(1, |order| order.id);
        match step.kind {
            0 => drop(far.ask(who, "DELETE", path, &format!("symbol=BTCUSDT&orderId={of}"))),
            1 => {
                let query = format!("symbol=BTCUSDT&side={side}&type=MARKET&quantity={quantity}");
                drop(far.ask(who, "POST", path, &query));
            }
            2 if !far.spot => {
                let query = format!("{order}&orderId={of}");
                drop(far.ask(who, "PUT", path, &query));
            }
            2 => {
                let query = format!("{order}&cancelReplaceMode=ALLOW_FAILURE&cancelOrderId={of}");
                drop(far.ask(who, "POST", "/api/v3/order/cancelReplace", &query));
            }
            3 => drop(far.ask(who, "POST", path, &order.replace("GTC", "IOC"))),
            4 => {
                let query = format!("{order}&selfTradePreventionMode=DECREMENT");
                drop(far.ask(who, "POST", path, &query));
            }
            _ => drop(far.ask(who, "POST", path, &order)),
        }
        far.run_for(Duration::from_millis(step.wait_ms));
    }
    far.run_for(Duration::from_secs(1));
}

/// A venue whose first account hears what it is told.
fn listening(spot: bool, rate: u32, faults: Faults) -> Far {
    let mut far = Far::with(if spot { "binance" } else { "binance-usdm" }, rate, faults);
    if spot {
        far.connect(ME, "/ws-api/v3");
        far.ws(Who::Demo, "userDataStream.subscribe.signature", json!({}));
    } else {
        let path = "/fapi/v1/listenKey".to_owned();
        let reply = far.raw(&Far::request(Who::Demo, "POST", path));
        let key = body(&reply)["listenKey"].as_str().unwrap().to_owned();
        far.connect(ME, &format!("/private/ws/{key}"));
    }
    far
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn reports_add_up_to_the_venues_truth(steps in steps(), spot in any::<bool>(), crowd in any::<bool>()) {
        let mut far = listening(spot, if crowd { 200 } else { 0 }, Faults::default());
        play(&mut far, &steps);
        let heard = far.heard(ME);
        prop_assert_eq!(follow(&heard, spot), truth(&far.orders(Who::Demo)));
        let told = heard.iter().filter(|message| {
            let event = if spot { &message["event"] } else { *message };
            event["e"] == "executionReport" || event["e"] == "ORDER_TRADE_UPDATE"
        });
        let counts = far.simulator.counts("meltica-demo-key");
        prop_assert_eq!(told.count() as u64, counts.reports);
        if spot {
            let all = far.simulator.balances("meltica-demo-key");
            for (asset, parts) in balances(&heard) {
                // The venue prints eight places.
                let near = |told: Decimal, real: Decimal| {
                    told == real.trunc_with_scale(8).normalize()
                };
                let real = all[&asset];
                prop_assert!(near(parts.0, real.0) && near(parts.1, real.1), "{asset} {parts:?} {real:?}");
            }
        }
    }

    #[test]
    fn rest_tells_what_the_venue_has(steps in steps(), spot in any::<bool>()) {
        let mut far = listening(spot, 200, Faults::default());
        play(&mut far, &steps);
        let paths = if spot {
            ["/api/v3/allOrders", "/api/v3/myTrades"]
        } else {
            ["/fapi/v1/allOrders", "/fapi/v1/userTrades"]
        };
        let [orders, trades] =
            paths.map(|path| far.granted(Who::Demo, "GET", path, "symbol=BTCUSDT&limit=1000"));
        let known = truth(&far.orders(Who::Demo));
        prop_assert_eq!(orders.as_array().unwrap().len(), known.len());
        for row in orders.as_array().unwrap() {
            let known = &known[&row["orderId"].as_u64().unwrap()];
            prop_assert_eq!(&row["status"], &json!(known.status));
            prop_assert_eq!(number(&row["executedQty"]), known.filled);
        }
        let told: usize = known.values().map(|known| known.trades.len()).sum();
        prop_assert_eq!(trades.as_array().unwrap().len(), told);
    }
}

#[test]
fn the_same_run_gives_the_same_bytes_under_every_preset() {
    let mut step = 0_u64;
    let mut next = |below: u64| {
        step = step.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (step >> 33) % below
    };
    let steps: Vec<Step> = (0..40)
        .map(|_| Step {
            other: next(2) == 0,
            buys: next(2) == 0,
            kind: usize::try_from(next(7)).unwrap(),
            off: next(40),
            quantity: 1 + next(29),
            wait_ms: next(400),
        })
        .collect();
    for preset in ["none", "orders"] {
        for spot in [true, false] {
            let run = || {
                let faults = Faults { disconnect_every_s: 0, ..Faults::preset(preset).unwrap() };
                let faults = Faults { read_slow: 0, order_answer_lost: 0, ..faults };
                let faults = Faults { order_answer_late: 0, order_report_first: 0, ..faults };
                let mut far = listening(spot, 200, faults);
                play(&mut far, &steps);
                format!("{:?} {:?}", far.out, far.simulator.fault_log())
            };
            let first = run();
            assert!(first.len() > 5_000 && first == run(), "{preset}");
        }
    }
}
