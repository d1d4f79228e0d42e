//! What an account is told adds up to what the venue has; the same run gives the same bytes;
//! nonsense does no harm.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::market::order::State;

#[derive(Clone, Debug)]
enum Step {
    Place { instrument: usize, buy: bool, ord_type: usize, off: i64, size: u32, named: bool },
    Cancel { which: usize },
    Amend { which: usize, off: i64, size: u32 },
    Wait { ms: u64 },
}

fn steps() -> impl Strategy<Value = Vec<(bool, bool, Step)>> {
    let place = (0..3_usize, any::<bool>(), 0..6_usize, -30..30_i64, 1..40_u32, any::<bool>());
    let step = prop_oneof![
        6 => place.prop_map(|(instrument, buy, ord_type, off, size, named)| {
            Step::Place { instrument, buy, ord_type, off, size, named }
        }),
        2 => (0..50_usize).prop_map(|which| Step::Cancel { which }),
        2 => (0..50_usize, -30..30_i64, 1..40_u32)
            .prop_map(|(which, off, size)| Step::Amend { which, off, size }),
        3 => (0..400_u64).prop_map(|ms| Step::Wait { ms }),
    ];
    // Whether it is Ann's, and whether it is sent by REST.
    prop::collection::vec((any::<bool>(), any::<bool>(), step), 1..60)
}

const TYPES: [&str; 6] = ["limit", "market", "post_only", "fok", "ioc", "limit"];

fn size(instrument: usize, lots: u32) -> String {
    if instrument == 0 {
        Decimal::new(i64::from(lots) * 20, 5).to_string()
    } else {
        lots.to_string()
    }
}

fn price(off: i64) -> String {
    Decimal::new(600_000 + off, 1).to_string()
}

/// Does it; what came of it is seen on the channels.
fn act(desk: &mut Desk, nth: usize, ids: &mut Vec<(usize, String)>, step: (bool, bool, &Step)) {
    let (ann, by_rest, step) = step;
    let client = if ann { ANN } else { BOB };
    let known = |which: usize| ids.get(which.checked_rem(ids.len())?).cloned();
    let (path, op, arg) = match step {
        Step::Wait { ms } => {
            let heard = desk.run(Duration::from_millis(*ms));
            desk.heard = heard;
            return;
        }
        Step::Place { instrument, buy, ord_type, off, size: lots, named } => {
            let side = if *buy { "buy" } else { "sell" };
            let order = limit(NAMES[*instrument].1, side, &price(*off), &size(*instrument, *lots));
            let name = if *named { format!("n{nth}") } else { String::new() };
            let fields =
                json!({"ordType": TYPES[*ord_type], "clOrdId": name, "tgtCcy": "base_ccy"});
            ("trade/order", "order", with(order, &fields))
        }
        Step::Cancel { which } => {
            let Some((instrument, id)) = known(*which) else { return };
            let arg = json!({"instId": NAMES[instrument].1, "ordId": id});
            ("trade/cancel-order", "cancel-order", arg)
        }
        Step::Amend { which, off, size: lots } => {
            let Some((instrument, id)) = known(*which) else { return };
            let arg = json!({"instId": NAMES[instrument].1, "ordId": id, "newPx": price(*off),
                "newSz": size(instrument, *lots), "reqId": format!("r{nth}")});
            ("trade/amend-order", "amend-order", arg)
        }
    };
    let answer =
        if by_rest { desk.post(client, path, &arg).1 } else { desk.op(client, op, &[arg]) };
    let row = &answer["data"][0];
    if let (Step::Place { instrument, .. }, "0") = (step, row["sCode"].as_str().unwrap_or("")) {
        ids.push((*instrument, row["ordId"].as_str().unwrap().to_owned()));
    }
}

/// What a client has gathered from the channels.
#[derive(Default)]
struct Gathered {
    /// By order: the last row, how much was told as executed, and its fees.
    orders: BTreeMap<String, (Value, Decimal, Decimal)>,
    /// By currency: free, set aside.
    balances: BTreeMap<String, (Decimal, Decimal)>,
    /// Contracts by instrument.
    positions: BTreeMap<String, Decimal>,
}

fn gather(heard: &[(ClientId, Value)], client: ClientId) -> Gathered {
    let mut gathered = Gathered::default();
    for row in rows(heard, client, "orders") {
        let id = row["ordId"].as_str().unwrap().to_owned();
        let entry = gathered.orders.entry(id).or_default();
        entry.1 += number(&row["fillSz"]);
        entry.2 += number(&row["fillFee"]);
        assert_eq!(entry.1, number(&row["accFillSz"]), "{row}");
        assert_eq!(entry.2, number(&row["fee"]), "{row}");
        let ended = |row: &Value| matches!(row["state"].as_str(), Some("filled" | "canceled"));
        assert!(!ended(&entry.0), "after its end: {row}");
        entry.0 = row;
    }
    for account in rows(heard, client, "account") {
        for row in account["details"].as_array().unwrap() {
            let parts = (number(&row["availBal"]), number(&row["frozenBal"]));
            assert_eq!(number(&row["cashBal"]), parts.0 + parts.1);
            gathered.balances.insert(row["ccy"].as_str().unwrap().to_owned(), parts);
        }
    }
    for row in rows(heard, client, "positions") {
        let inst_id = row["instId"].as_str().unwrap().to_owned();
        gathered.positions.insert(inst_id, number(&row["pos"]));
    }
    gathered
}

fn state(state: State) -> &'static str {
    match state {
        State::New => "live",
        State::PartiallyFilled => "partially_filled",
        State::Filled => "filled",
        State::Cancelled | State::Expired | State::ExpiredInMatch => "canceled",
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_an_account_is_told_adds_up_to_what_the_venue_has(
        seed in 0_u64..100,
        rate in prop_oneof![Just(0_u32), Just(200)],
        steps in steps(),
    ) {
        let mut desk = desk(seed, rate);
        for client in [ANN, BOB] {
            let arg = json!({"channel": "orders", "instType": "ANY"});
            desk.subscribe(client, &arg);
            let extra = json!({"updateInterval": "0"}).to_string();
            for channel in ["account", "positions"] {
                let arg = json!({"channel": channel, "instType": "ANY", "extraParams": extra});
                let told = desk.subscribe(client, &arg);
                desk.heard.extend(told.into_iter().map(|message| (client, message)));
            }
        }
        let mut ids = Vec::new();
        for (nth, (ann, by_rest, step)) in steps.iter().enumerate() {
            act(&mut desk, nth, &mut ids, (*ann, *by_rest, step));
        }
        // The crowd stands still, and all that was under way comes.
        desk.simulator.freeze();
        let heard = desk.settle();
        for client in [ANN, BOB] {
            let Account { api_key, .. } = account(client);
            let gathered = gather(&heard, client);
            let truth = desk.simulator.orders(&api_key);
            prop_assert_eq!(gathered.orders.len(), truth.len());
            let mut contracts: BTreeMap<&str, Decimal> = BTreeMap::new();
            for order in &truth {
                let (row, filled, fees) = &gathered.orders[&order.id.to_string()];
                let done_by_amend = row["amendResult"] == "0" && row["state"] == "filled";
                if !done_by_amend {
                    prop_assert_eq!(row["state"].as_str().unwrap(), state(order.state));
                }
                prop_assert_eq!(*filled, order.filled);
                prop_assert_eq!(*fees, -order.fills.iter().map(|fill| fill.fee).sum::<Decimal>());
                let sum: Decimal = order.fills.iter().map(|fill| fill.quantity).sum();
                prop_assert_eq!(sum, order.filled);
                let (_, inst_id) = NAMES.iter().find(|(name, _)| *name == order.instrument).unwrap();
                let sign = if order.side == model::Side::Buy { *filled } else { -*filled };
                *contracts.entry(inst_id).or_default() += sign;
                // REST says the same.
                let asked = desk.order(client, inst_id, &order.id.to_string());
                for field in ["state", "accFillSz", "fee", "pnl", "px", "sz", "uTime", "clOrdId"] {
                    prop_assert_eq!(&asked[field], &row[field], "{} {}", field, order.id);
                }
            }
            let balances = desk.simulator.balances(&api_key);
            for (ccy, parts) in &gathered.balances {
                prop_assert_eq!(*parts, balances[ccy]);
            }
            for inst_id in [SWAP, INVERSE] {
                let told = gathered.positions.get(inst_id).copied().unwrap_or_default();
                prop_assert_eq!(told, contracts.get(inst_id).copied().unwrap_or_default());
            }
        }
    }

    /// Whatever is sent, something is answered, and the venue goes on.
    #[test]
    fn nonsense_is_answered_and_does_no_harm(
        texts in prop::collection::vec(("[a-zA-Z]{0,12}", "\\PC{0,12}"), 0..8),
        op in prop::sample::select(vec!["order", "amend-order", "batch-cancel-orders", "login", "subscribe"]),
        path in prop::sample::select(vec!["trade/order", "trade/cancel-batch-orders", "trade/cancel-all-after"]),
    ) {
        let mut desk = desk(1, 0);
        let names = ["instId", "side", "px", "sz", "ordType", "tdMode", "clOrdId", "channel", "timeOut"];
        let mut fields = serde_json::Map::new();
        for ((name, value), known) in texts.iter().zip(names.iter().cycle()) {
            fields.insert(name.clone(), Value::from(value.as_str()));
            fields.insert((*known).to_owned(), Value::from(value.as_str()));
        }
        let text = json!({"id": "1", "op": op, "args": [fields]}).to_string();
        prop_assert!(!desk.say(ANN, &text).is_empty());
        let body = if path.contains("batch") { json!([fields]) } else { json!(fields) };
        let (_, answer) = desk.post(ANN, path, &body);
        prop_assert!(answer["code"].is_string());
        let query: String = texts.iter().map(|(name, value)| format!("{name}={value}&")).collect();
        let query: String = query.chars().filter(|c| !c.is_whitespace() && *c != '#').collect();
        let (_, answer) = desk.asked(ANN, &format!("trade/orders-pending?{query}"));
        prop_assert!(answer["code"].is_string());
        desk.place(ANN, &limit(SPOT, "buy", "50000", "0.01"));
    }
}

/// All that both accounts hear while they trade in a busy market.
fn log(seed: u64) -> String {
    let mut desk = desk(seed, 300);
    for client in [ANN, BOB] {
        for channel in ["orders", "account", "positions", "balance_and_position"] {
            desk.subscribe(client, &json!({"channel": channel, "instType": "ANY"}));
        }
    }
    let mut log = String::new();
    let mut ids = Vec::new();
    for nth in 0..60_usize {
        let place = Step::Place {
            instrument: nth % 3,
            buy: nth % 2 == 0,
            ord_type: nth % 6,
            off: i64::try_from(nth * 7 % 40).unwrap() - 20,
            size: 3,
            named: nth % 4 == 0,
        };
        act(&mut desk, nth, &mut ids, (nth % 5 < 3, nth % 7 < 4, &place));
        let heard = desk.run(Duration::from_millis(130));
        log += &format!("{heard:?}\n");
    }
    log
}

#[test]
fn the_same_seed_tells_an_account_the_same_and_another_one_something_else() {
    let first = log(7);
    assert!(first.len() > 50_000, "{}", first.len());
    assert_eq!(first, log(7));
    assert_ne!(first, log(8));
}
