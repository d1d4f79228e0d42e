//! New orders: every filter, every type.

use super::*;

/// What is changed of an order that would be taken, spot or swap, and what is said then.
const FILTERS: [(&str, &str, &str, &str); 39] = [
    (SPOT, r#"{"instId": null}"#, "50014", "Parameter instId can not be empty."),
    (
        SPOT,
        r#"{"instId": "ETH-USDT"}"#,
        "51001",
        "Instrument ID, Instrument ID code, or Spread ID doesn't exist.",
    ),
    (SPOT, r#"{"side": ""}"#, "50014", "Parameter side can not be empty."),
    (SPOT, r#"{"side": "hold"}"#, "51000", "Parameter side error"),
    (SPOT, r#"{"tdMode": null}"#, "50014", "Parameter tdMode can not be empty."),
    (SPOT, r#"{"tdMode": "cross"}"#, "51000", "Parameter tdMode error"),
    (SWAP, r#"{"tdMode": "cash"}"#, "51000", "Parameter tdMode error"),
    (SWAP, r#"{"posSide": "long"}"#, "51000", "Parameter posSide error"),
    (SPOT, r#"{"ordType": null}"#, "50014", "Parameter ordType can not be empty."),
    (SPOT, r#"{"ordType": "stop"}"#, "51000", "Parameter ordType error"),
    (SPOT, r#"{"ordType": "optimal_limit_ioc"}"#, "51000", "Parameter ordType error"),
    (SPOT, r#"{"stpMode": "none"}"#, "51000", "Parameter stpMode error"),
    (
        SPOT,
        r#"{"stpMode": "cancel_both", "ordType": "fok"}"#,
        "50016",
        "Parameter stpMode does not match parameter ordType",
    ),
    (SPOT, r#"{"clOrdId": "a-b"}"#, "51000", "Parameter clOrdId error"),
    (
        SPOT,
        r#"{"clOrdId": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}"#,
        "51000",
        "Parameter clOrdId error",
    ),
    (SPOT, r#"{"clOrdId": "mine"}"#, "51016", "Client order ID already exists."),
    (SPOT, r#"{"tag": "aaaaaaaaaaaaaaaaa"}"#, "51000", "Parameter tag error"),
    (SPOT, r#"{"px": null}"#, "51204", "The price for the limit order cannot be empty."),
    (SPOT, r#"{"px": "-1"}"#, "51000", "Parameter px error"),
    (SPOT, r#"{"px": "much"}"#, "51000", "Parameter px error"),
    (
        SPOT,
        r#"{"px": "60000.05"}"#,
        "51150",
        "The precision of the number of trades or the price exceeds the limit.",
    ),
    (
        SPOT,
        r#"{"px": "300000.1"}"#,
        "51006",
        "Order price is not within the price limit (max buy price: 300000, min sell price: 12000)",
    ),
    (
        SPOT,
        r#"{"px": "11999.9"}"#,
        "51006",
        "Order price is not within the price limit (max buy price: 300000, min sell price: 12000)",
    ),
    (SPOT, r#"{"sz": null}"#, "50014", "Parameter sz can not be empty."),
    (SPOT, r#"{"sz": "0"}"#, "51000", "Parameter sz error"),
    (
        SPOT,
        r#"{"sz": "0.000009"}"#,
        "51020",
        "Your order should meet or exceed the minimum order amount.",
    ),
    (
        SPOT,
        r#"{"sz": "0.00008"}"#,
        "51020",
        "Your order should meet or exceed the minimum order amount.",
    ),
    (SPOT, r#"{"sz": "0.001005"}"#, "51121", "Order quantity must be a multiple of the lot size."),
    (SWAP, r#"{"sz": "1.5"}"#, "51121", "Order quantity must be a multiple of the lot size."),
    (SPOT, r#"{"sz": "1000.00001"}"#, "51005", "Your order amount exceeds the max order amount."),
    (
        SWAP,
        r#"{"sz": "100000001"}"#,
        "51101",
        "Order failed, the sz of the current order can't be more than 100000000 (contracts).",
    ),
    (SPOT, r#"{"sz": "20"}"#, "51008", "Order failed. Insufficient USDT balance in account"),
    (SWAP, r#"{"sz": "100000"}"#, "51008", "Order failed. Insufficient USDT margin in account"),
    (SWAP, r#"{"reduceOnly": "perhaps"}"#, "51000", "Parameter reduceOnly error"),
    (SWAP, r#"{"reduceOnly": true}"#, "51205", "Reduce Only is not available."),
    (
        SPOT,
        r#"{"attachAlgoOrds": [{"slTriggerPx": "1"}]}"#,
        "54070",
        "The current function is not supported.",
    ),
    (SPOT, r#"{"ordType": "market", "tgtCcy": "usd"}"#, "51000", "Parameter tgtCcy error"),
    (SPOT, r#"{"ordType": "market", "banAmend": "no"}"#, "51000", "Parameter banAmend error"),
    (SPOT, r#"{"ordType": "market"}"#, "51109", "No available offers."),
];

#[test]
fn every_filter_refuses_in_the_venues_words_and_changes_nothing() {
    let mut desk = desk(1, 0);
    let good = limit(SPOT, "buy", "60000", "0.001");
    let swap = limit(SWAP, "sell", "60000", "2");
    desk.place(ANN, &with(good.clone(), &json!({"clOrdId": "mine"})));
    desk.settle();
    let before = desk.simulator.balances("meltica-demo-key");
    for (inst_id, fields, code, words) in FILTERS {
        let order = if inst_id == SPOT { &good } else { &swap };
        let order = with(order.clone(), &serde_json::from_str(fields).unwrap());
        let (found, said) = desk.refusal(ANN, "trade/order", &order);
        assert_eq!(found, code, "{fields}: {said}");
        assert!(said.starts_with(words), "{fields}: {said}");
    }
    desk.settle();
    assert_eq!(desk.simulator.balances("meltica-demo-key"), before);
    assert_eq!(desk.get(ANN, "trade/orders-pending").len(), 1);
    assert_eq!(desk.simulator.counts("meltica-demo-key").placed, 1);
    // By code over WebSocket, whatever the id says.
    for (fields, code) in [
        (json!({"instId": SPOT}), "50014"),
        (json!({"instIdCode": 0}), "51001"),
        (json!({"instIdCode": 4}), "51001"),
        (json!({"instIdCode": "x"}), "51001"),
    ] {
        let ask = json!({"id": "1", "op": "order", "args": [fields]});
        let answer = desk.say(ANN, &ask.to_string()).remove(0);
        assert_eq!((&answer["code"], &answer["data"][0]["sCode"]), (&"1".into(), &code.into()));
    }
    desk.simulator.freeze();
    desk.settle();
    assert_eq!(desk.refusal(ANN, "trade/order", &good).0, "51022");
}

#[test]
fn an_instrument_has_so_many_open_orders_of_an_account_and_no_more() {
    let mut desk = desk(1, 0);
    let order = limit(SPOT, "buy", "20000", "0.001");
    for _ in 0..10 {
        let many = Value::from(vec![order.clone(); 20]);
        let (_, answer) = desk.post(ANN, "trade/batch-orders", &many);
        assert_eq!(answer["code"], "0", "{answer}");
    }
    let (code, words) = desk.refusal(ANN, "trade/order", &order);
    assert_eq!(code, "51174");
    assert!(words.contains("BTC-USDT exceed the limit of 200"), "{words}");
    assert_eq!(desk.get(ANN, "trade/orders-pending").len(), 100);
}

#[test]
fn each_type_of_order_does_what_the_venue_says() {
    let mut desk = desk(1, 0);
    desk.place(BOB, &limit(SPOT, "sell", "60000", "0.02"));
    let mut came = |side: &str, px: &str, sz: &str, ord_type: &str| {
        let order = with(limit(SPOT, side, px, sz), &json!({"ordType": ord_type}));
        let id = desk.place(ANN, &order);
        let row = desk.order(ANN, SPOT, &id);
        assert_eq!(row["ordType"], ord_type);
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        [text("state"), text("accFillSz"), text("cancelSource")]
    };
    let taken =
        |state: &str, filled: &str, source: &str| [state, filled, source].map(str::to_owned);
    assert_eq!(came("buy", "60000", "0.03", "fok"), taken("canceled", "0", "13"));
    assert_eq!(came("buy", "60000", "0.005", "fok"), taken("filled", "0.005", ""));
    assert_eq!(came("buy", "60000", "0.005", "post_only"), taken("canceled", "0", "31"));
    assert_eq!(came("buy", "59999.9", "0.005", "post_only"), taken("live", "0", ""));
    assert_eq!(came("buy", "59999.9", "0.005", "ioc"), taken("canceled", "0", "14"));
    assert_eq!(came("buy", "60000", "0.02", "ioc"), taken("canceled", "0.015", "14"));
    assert_eq!(came("buy", "60000.1", "0.02", "limit"), taken("live", "0", ""));
    // Nobody is there; then somebody who has less.
    desk.place(BOB, &limit(SWAP, "buy", "60000", "3"));
    for (ord_type, sz, state, filled) in
        [("market", "2", "filled", "2"), ("optimal_limit_ioc", "2", "canceled", "1")]
    {
        let order = with(limit(SWAP, "sell", "1", sz), &json!({"ordType": ord_type, "px": ""}));
        let id = desk.place(ANN, &order);
        let row = desk.order(ANN, SWAP, &id);
        assert_eq!([&row["state"], &row["accFillSz"], &row["px"]], [state, filled, ""]);
        assert_eq!((&row["ordType"], &row["tgtCcy"]), (&ord_type.into(), &"".into()));
    }
}

#[test]
fn a_spot_market_order_is_sized_in_the_currency_that_it_says() {
    let mut desk = desk(1, 0);
    for (side, px) in [("sell", "60001"), ("sell", "60002"), ("buy", "59999"), ("buy", "59998")] {
        desk.place(BOB, &limit(SPOT, side, px, "0.01"));
    }
    let market = |side: &str, sz: &str| json!({"instId": SPOT, "tdMode": "cash", "side": side, "ordType": "market", "sz": sz});
    for (order, target, sz, filled) in [
        // 900 USDT: the first 0.01 costs 600.01, 299.99 more buys 0.00499 at 60,002.
        (market("buy", "900"), "quote_ccy", "900", "0.01499"),
        (
            with(market("buy", "0.001"), &json!({"tgtCcy": "base_ccy"})),
            "base_ccy",
            "0.001",
            "0.001",
        ),
        (market("sell", "0.005"), "base_ccy", "0.005", "0.005"),
        // 300.5 USDT: 0.005 brings 299.995, 0.505 more would take less than a lot.
        (
            with(market("sell", "300.5"), &json!({"tgtCcy": "quote_ccy"})),
            "quote_ccy",
            "300.5",
            "0.005",
        ),
    ] {
        let id = desk.place(ANN, &order);
        let row = desk.order(ANN, SPOT, &id);
        let seen = [&row["state"], &row["tgtCcy"], &row["sz"], &row["accFillSz"]];
        assert_eq!(seen, ["filled", target, sz, filled], "{row}");
    }
    // Less than a lot's worth, less than the smallest order.
    assert_eq!(desk.refusal(ANN, "trade/order", &market("buy", "0.3")).0, "51020");
    assert_eq!(desk.refusal(ANN, "trade/order", &market("buy", "3")).0, "51020");
}

#[test]
fn a_market_order_beyond_the_balance_trades_what_can_be_paid_unless_it_may_not() {
    let mut desk = desk(1, 0);
    // Bob has a million of each, Ann too: she is left with a thousand dollars.
    for _ in 0..2 {
        desk.place(BOB, &limit(SPOT, "sell", "60000", "8.325"));
        desk.place(ANN, &limit(SPOT, "buy", "60000", "8.325"));
    }
    desk.place(BOB, &limit(SPOT, "sell", "60000", "1"));
    let market = json!({"instId": SPOT, "tdMode": "cash", "side": "buy", "ordType": "market",
        "sz": "0.5", "tgtCcy": "base_ccy"});
    let strict = with(market.clone(), &json!({"banAmend": true}));
    let (code, words) = desk.refusal(ANN, "trade/order", &strict);
    assert_eq!((&*code, &*words), ("51008", "Order failed. Insufficient USDT balance in account"));
    let id = desk.place(ANN, &market);
    let row = desk.order(ANN, SPOT, &id);
    assert_eq!([&row["state"], &row["accFillSz"]], ["filled", "0.01666"]);
    let left = &desk.simulator.balances("meltica-demo-key")["USDT"];
    assert_eq!(left.0, decimal("0.4"));
    assert_eq!(desk.refusal(ANN, "trade/order", &market).0, "51008");
}

#[test]
fn an_order_that_meets_its_own_account_goes_as_it_says() {
    for (mode, mine, other) in [
        (Value::Null, "live", "canceled"),
        ("cancel_maker".into(), "live", "canceled"),
        ("cancel_taker".into(), "canceled", "live"),
        ("cancel_both".into(), "canceled", "canceled"),
    ] {
        let mut desk = desk(1, 0);
        let first = desk.place(ANN, &limit(SPOT, "sell", "60000", "0.01"));
        let order = with(limit(SPOT, "buy", "60000", "0.01"), &json!({"stpMode": mode}));
        let second = desk.place(ANN, &order);
        for (id, state) in [(second, mine), (first, other)] {
            let row = desk.order(ANN, SPOT, &id);
            assert_eq!(row["state"], state, "{mode}");
            assert_eq!(row["cancelSource"], if state == "canceled" { "32" } else { "" });
        }
    }
}

#[test]
fn several_orders_in_one_request_are_answered_one_by_one() {
    let mut desk = desk(1, 0);
    let good = with(limit(SPOT, "buy", "50000", "0.01"), &json!({"clOrdId": "a1", "tag": "t"}));
    let bad = limit(SWAP, "buy", "50000", "0");
    let again = good.clone();
    let both = [good, bad, again];
    let by_socket = desk.op(ANN, "batch-orders", &both);
    assert_eq!((&by_socket["code"], &by_socket["msg"]), (&"2".into(), &"".into()));
    let (status, answer) = desk.post(BOB, "trade/batch-orders", &both.to_vec().into());
    assert_eq!((status, &answer["code"]), (200, &"2".into()));
    assert_eq!(answer["msg"], "Bulk operation partially succeeded.");
    assert_eq!(answer["inTime"].as_str().unwrap().len(), 16);
    for rows in [&by_socket["data"], &answer["data"]] {
        let rows = rows.as_array().unwrap();
        assert_eq!(each(rows, "sCode"), ["0", "51000", "51016"]);
        assert_eq!(each(rows, "clOrdId"), ["a1", "", "a1"]);
        assert_eq!(each(rows, "tag"), ["t", "", "t"]);
        assert_eq!(rows[1]["ordId"], "");
        let id = rows[0]["ordId"].as_str().unwrap().parse::<u64>().unwrap();
        assert!(id > 1_000_000);
    }
    let (_, failed) = desk.post(BOB, "trade/batch-orders", &json!([both[1]]));
    assert_eq!((&failed["code"], &failed["msg"]), (&"1".into(), &"Operation failed.".into()));
    let many = vec![both[0].clone(); 21];
    let cases = [
        ("trade/batch-orders", "51111"),
        ("trade/cancel-batch-orders", "51406"),
        ("trade/amend-batch-orders", "51501"),
    ];
    for (path, code) in cases {
        assert_eq!(desk.post(BOB, path, &many.clone().into()).1["code"], code);
    }
    let truth = desk.simulator.orders("meltica-demo-key");
    assert_eq!((truth.len(), truth[0].times_asked), (1, 2));
}

#[test]
fn a_request_that_comes_too_late_is_not_done() {
    let mut desk = desk(1, 0);
    let order = limit(SPOT, "buy", "50000", "0.01");
    let ms = desk.now.0 / 1_000_000;
    let mut ask = |op: &str, deadline: &str, args: Value| {
        let ask = json!({"id": "1", "op": op, "expTime": deadline, "args": [args]});
        desk.say(ANN, &ask.to_string()).remove(0)["code"].clone()
    };
    let coded = with(order.clone(), &json!({"instIdCode": 1}));
    assert_eq!(ask("order", &(ms - 1).to_string(), coded.clone()), "50036");
    assert_eq!(ask("order", "soon", coded.clone()), "51000");
    assert_eq!(ask("order", &ms.to_string(), coded), "0");
    let amend = json!({"instIdCode": 1, "ordId": "1", "newSz": "1"});
    assert_eq!(ask("amend-order", "1", amend.clone()), "50036");
    // A cancel is never too late.
    assert_eq!(ask("cancel-order", "1", amend), "1");
    let mut request = desk.signed(ANN, "POST", "/api/v5/trade/order", &order.to_string());
    request.headers.push(("exptime".to_owned(), "1".to_owned()));
    assert_eq!(desk.ask(&request).1["code"], "50036");
    assert_eq!(desk.simulator.counts("meltica-demo-key").placed, 1);
}

#[test]
fn orders_are_counted_by_account_instrument_and_act_on_both_ways_together() {
    let mut desk = desk(1, 0);
    let order = limit(SPOT, "buy", "50000", "0.001");
    for nth in 0..60 {
        if nth % 2 == 0 {
            desk.place(ANN, &order);
        } else {
            assert_eq!(desk.op(ANN, "order", std::slice::from_ref(&order))["code"], "0");
        }
    }
    let refused = desk.op(ANN, "order", std::slice::from_ref(&order));
    assert_eq!((&refused["code"], &refused["data"]), (&"50011".into(), &json!([])));
    assert!(refused["msg"].as_str().unwrap().starts_with("Rate limit reached."));
    let (status, answer) = desk.post(ANN, "trade/order", &order);
    assert_eq!((status, &answer["code"]), (429, &"50011".into()));
    // One in a batch is one alone; another instrument, act, account, or two at once is not.
    assert_eq!(desk.post(ANN, "trade/batch-orders", &json!([order])).0, 429);
    desk.place(BOB, &order);
    desk.place(ANN, &limit(SWAP, "buy", "50000", "1"));
    assert_eq!(desk.post(ANN, "trade/batch-orders", &json!([order, order])).1["code"], "0");
    let cancel = json!({"instId": SPOT, "ordId": "1"});
    assert_eq!(desk.refusal(ANN, "trade/cancel-order", &cancel).0, "51400");
    desk.run(Duration::from_secs(2));
    desk.place(ANN, &order);
    assert_eq!(desk.simulator.counts("meltica-demo-key").placed, 64);
}

/// What the faults of orders need of a venue.
#[test]
fn an_order_whose_outcome_is_unknown_is_answered_so_and_counted_where_it_was_turned_away() {
    let order = with(limit(SPOT, "buy", "50000", "0.01"), &json!({"clOrdId": "mine"}));
    let faults = Faults { order_outcome_unknown: 1_000_000, ..Faults::default() };
    let mut desk = desk_with(1, 0, faults);
    let (status, answer) = desk.post(ANN, "trade/order", &order);
    assert_eq!((status, &answer["code"]), (400, &"50004".into()));
    let other = with(order.clone(), &json!({"clOrdId": "other"}));
    let answer = desk.op(ANN, "order", &[other]);
    assert_eq!((&answer["code"], &answer["data"][0]["sCode"]), (&"1".into(), &"51149".into()));
    assert_eq!(answer["data"][0]["clOrdId"], "other");
    // Both came into being all the same.
    assert_eq!(desk.simulator.orders("meltica-demo-key").len(), 2);
    assert_eq!(desk.simulator.counts("meltica-demo-key").asked, 2);

    let mut desk = desk_with(1, 0, Faults { answer_5xx: 1_000_000, ..Faults::default() });
    let body = json!([order, with(order.clone(), &json!({"clOrdId": "other"}))]).to_string();
    let requests = [
        desk.signed(ANN, "POST", "/api/v5/trade/batch-orders", &body),
        desk.signed(ANN, "POST", "/api/v5/trade/order", &order.to_string()),
        desk.signed(ANN, "POST", "/api/v5/trade/cancel-order", &order.to_string()),
    ];
    for request in &requests {
        let mut out = Vec::new();
        desk.simulator.request(desk.now, RequestId(1), request, &mut out);
    }
    let counts = desk.simulator.counts("meltica-demo-key");
    assert_eq!((counts.asked, counts.sent_twice, counts.placed), (3, 1, 0));
}
