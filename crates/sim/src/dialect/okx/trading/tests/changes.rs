//! Cancels, amendments, the dead-man switch.

use super::*;

#[test]
fn a_cancel_ends_an_open_order_by_either_name() {
    let mut desk = desk(1, 0);
    let named = with(limit(SPOT, "buy", "50000", "0.01"), &json!({"clOrdId": "mine"}));
    let id = desk.place(ANN, &named);
    for (fields, code) in [
        (json!({"instId": SPOT}), "51407"),
        (json!({"instId": SPOT, "ordId": "7"}), "51400"),
        (json!({"instId": SPOT, "ordId": "x"}), "51400"),
        (json!({"instId": SWAP, "ordId": id}), "51400"),
        (json!({"instId": SPOT, "clOrdId": "other"}), "51400"),
        (json!({"instId": SWAP, "clOrdId": "mine"}), "51400"),
        (json!({"ordId": id}), "50014"),
    ] {
        assert_eq!(desk.refusal(ANN, "trade/cancel-order", &fields).0, code, "{fields}");
    }
    let own = json!({"instId": SPOT, "ordId": id});
    assert_eq!(desk.refusal(BOB, "trade/cancel-order", &own).0, "51400");
    let done = desk.op(ANN, "cancel-order", &[json!({"instId": SPOT, "clOrdId": "mine"})]);
    let row = &done["data"][0];
    assert_eq!(
        (&row["ordId"], &row["clOrdId"], &row["sCode"]),
        (&id.as_str().into(), &"mine".into(), &"0".into())
    );
    assert!(row.get("tag").is_none() && row.get("reqId").is_none());
    assert_eq!(desk.refusal(ANN, "trade/cancel-order", &own).0, "51400");
    let row = desk.order(ANN, SPOT, &id);
    assert_eq!([&row["state"], &row["cancelSource"]], ["canceled", "1"]);
    assert_eq!(row["cancelSourceReason"], "Order canceled by user");
    // The name is free again; the newest of it is the one that is found.
    let second = desk.place(ANN, &named);
    let found = desk.get(ANN, &format!("trade/order?instId={SPOT}&clOrdId=mine")).remove(0);
    assert_eq!(found["ordId"], second);
    let (_, answer) = desk.post(
        ANN,
        "trade/cancel-batch-orders",
        &json!([own, {"instId": SPOT, "ordId": second}]),
    );
    assert_eq!(
        (&answer["code"], &answer["data"][0]["sCode"], &answer["data"][1]["sCode"]),
        (&"2".into(), &"51400".into(), &"0".into())
    );
}

#[test]
fn an_amendment_changes_what_it_says_and_is_told() {
    let mut desk = desk(1, 0);
    desk.subscribe(ANN, &json!({"channel": "orders", "instType": "ANY"}));
    let id = desk.place(ANN, &limit(SPOT, "buy", "50000", "0.01"));
    let amend = |fields: Value| with(json!({"instId": SPOT, "ordId": id}), &fields);
    let (_, answer) =
        desk.post(ANN, "trade/amend-order", &amend(json!({"newPx": "50001", "reqId": "r1"})));
    let row = &answer["data"][0];
    assert_eq!([&row["ordId"], &row["reqId"], &row["sCode"]], [id.as_str(), "r1", "0"]);
    let done = desk.op(ANN, "amend-order", &[amend(json!({"newSz": "0.02"}))]);
    assert_eq!(done["code"], "0");
    let row = desk.order(ANN, SPOT, &id);
    assert_eq!([&row["px"], &row["sz"], &row["state"]], ["50001", "0.02", "live"]);
    let told = rows(&desk.settle(), ANN, "orders");
    assert_eq!(each(&told, "amendResult"), ["", "0", "0"]);
    assert_eq!(each(&told, "reqId"), ["", "r1", ""]);
    assert_eq!(each(&told, "px"), ["50000", "50001", "50001"]);
    assert_eq!(each(&told, "sz"), ["0.01", "0.01", "0.02"]);
    for (fields, code) in [
        (json!({"ordId": null, "newSz": "1"}), "51003"),
        (json!({"ordId": "7", "newSz": "1"}), "51503"),
        (json!({}), "51500"),
        (json!({"newPx": "0"}), "51000"),
        (json!({"newPx": "50000.05"}), "51150"),
        (json!({"newPx": "400000"}), "51006"),
        (json!({"newSz": "0.020005"}), "51121"),
        (json!({"newSz": "0.00001"}), "51020"),
        (json!({"newSz": "30"}), "51502"),
        (json!({"newSz": "2000"}), "51005"),
        (json!({"newSz": "1", "reqId": "a b"}), "51000"),
    ] {
        assert_eq!(
            desk.refusal(ANN, "trade/amend-order", &amend(fields.clone())).0,
            code,
            "{fields}"
        );
    }
    assert_eq!(desk.refusal(BOB, "trade/amend-order", &amend(json!({"newSz": "1"}))).0, "51503");
    let row = desk.order(ANN, SPOT, &id);
    assert_eq!([&row["px"], &row["sz"], &row["state"]], ["50001", "0.02", "live"]);
}

#[test]
fn an_amendment_that_fails_cancels_where_that_was_asked_for() {
    let mut desk = desk(1, 0);
    desk.place(BOB, &limit(SPOT, "sell", "60000", "0.01"));
    let post_only = json!({"ordType": "post_only"});
    let id = desk.place(ANN, &with(limit(SPOT, "buy", "50000", "0.01"), &post_only));
    let takes = json!({"instId": SPOT, "ordId": id, "newPx": "60000"});
    assert_eq!(desk.refusal(ANN, "trade/amend-order", &takes).0, "51511");
    assert_eq!(desk.order(ANN, SPOT, &id)["state"], "live");
    let or_not = with(takes, &json!({"cxlOnFail": true}));
    assert_eq!(desk.refusal(ANN, "trade/amend-order", &or_not).0, "51511");
    let row = desk.order(ANN, SPOT, &id);
    assert_eq!([&row["state"], &row["cancelSource"]], ["canceled", "0"]);
}

#[test]
fn an_order_amended_to_what_is_executed_is_a_filled_one() {
    let mut desk = desk(1, 0);
    desk.subscribe(ANN, &json!({"channel": "orders", "instType": "SPOT"}));
    let id = desk.place(ANN, &limit(SPOT, "buy", "50000", "0.01"));
    desk.place(BOB, &limit(SPOT, "sell", "50000", "0.004"));
    let amend = json!({"instId": SPOT, "ordId": id, "newSz": "0.004", "reqId": "r"});
    assert_eq!(desk.post(ANN, "trade/amend-order", &amend).1["code"], "0");
    let row = desk.order(ANN, SPOT, &id);
    assert_eq!([&row["state"], &row["accFillSz"], &row["cancelSource"]], ["filled", "0.004", ""]);
    let told = rows(&desk.settle(), ANN, "orders");
    assert_eq!(each(&told, "state"), ["live", "partially_filled", "filled"]);
    assert_eq!((&told[2]["reqId"], &told[2]["fillSz"]), (&"r".into(), &"0".into()));
    assert!(desk.get(ANN, "trade/orders-pending").is_empty());
    let (free, locked) = desk.simulator.balances("meltica-demo-key")["USDT"];
    assert_eq!((free, locked), (decimal("999800"), Decimal::ZERO));
}

#[test]
fn the_switch_cancels_all_or_those_with_a_tag_unless_it_is_wound_again() {
    let mut desk = desk(1, 0);
    let tagged = |tag: &str| with(limit(SPOT, "buy", "50000", "0.01"), &json!({"tag": tag}));
    let [plain, marked] = ["", "bot"].map(|tag| desk.place(ANN, &tagged(tag)));
    let swap = desk.place(ANN, &limit(SWAP, "buy", "50000", "1"));
    let other = desk.place(BOB, &tagged("bot"));
    let wind = |desk: &mut Desk, seconds: &str, tag: &str| {
        let (_, answer) =
            desk.post(ANN, "trade/cancel-all-after", &json!({"timeOut": seconds, "tag": tag}));
        let row = &answer["data"][0];
        let at = row["triggerTime"].as_str().map(|at| at.parse::<u64>().unwrap());
        (answer["code"].as_str().unwrap().to_owned(), at)
    };
    for wrong in ["9", "121", "soon", "-1"] {
        assert_eq!(wind(&mut desk, wrong, "").0, "51000");
        desk.run(Duration::from_secs(1));
    }
    let now_s = desk.now.0 / 1_000_000_000;
    assert_eq!(wind(&mut desk, "0", ""), ("0".to_owned(), Some(0)));
    assert_eq!(wind(&mut desk, "10", "bot"), ("0".to_owned(), Some(now_s + 10)));
    wind(&mut desk, "0", "");
    assert_eq!(wind(&mut desk, "0", "").0, "50011", "one a second, of each tag");
    let state = |desk: &mut Desk, id: &str| desk.order(ANN, SPOT, id)["state"].clone();
    desk.run(Duration::from_millis(9_990));
    assert_eq!(state(&mut desk, &marked), "live");
    desk.run(Duration::from_millis(10));
    let row = desk.order(ANN, SPOT, &marked);
    assert_eq!([&row["state"], &row["cancelSource"]], ["canceled", "20"]);
    assert_eq!(state(&mut desk, &plain), "live");
    // Wound again in time, then stopped, then not.
    wind(&mut desk, "10", "");
    desk.run(Duration::from_secs(9));
    wind(&mut desk, "10", "");
    desk.run(Duration::from_secs(9));
    assert_eq!(wind(&mut desk, "0", ""), ("0".to_owned(), Some(0)));
    desk.run(Duration::from_secs(20));
    assert_eq!(state(&mut desk, &plain), "live");
    wind(&mut desk, "10", "");
    desk.run(Duration::from_secs(10));
    assert_eq!(state(&mut desk, &plain), "canceled");
    assert_eq!(desk.order(ANN, SWAP, &swap)["state"], "canceled");
    assert_eq!(desk.order(BOB, SPOT, &other)["state"], "live");
    for nth in 0..20 {
        assert_eq!(wind(&mut desk, "60", &format!("t{nth}")).0, "0");
    }
    assert_eq!(wind(&mut desk, "60", "t20").0, "51071");
}
