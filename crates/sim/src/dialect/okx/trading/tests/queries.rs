//! What an account asks.

use super::*;

#[test]
fn an_order_is_shown_as_it_stands_with_its_last_execution_and_all_its_fees() {
    let mut desk = desk(1, 0);
    desk.place(BOB, &limit(SPOT, "sell", "60000", "0.01"));
    desk.place(BOB, &limit(SPOT, "sell", "60010", "0.01"));
    let order = with(
        limit(SPOT, "buy", "60020", "0.03"),
        &json!({"clOrdId": "mine", "tag": "bot", "stpMode": "cancel_taker"}),
    );
    let id = desk.place(ANN, &order);
    let row = desk.order(ANN, SPOT, &id);
    let ms = (desk.now.0 / 1_000_000).to_string();
    for (field, value) in [
        ("instType", "SPOT"),
        ("instId", SPOT),
        ("ordId", &id),
        ("clOrdId", "mine"),
        ("tag", "bot"),
        ("px", "60020"),
        ("sz", "0.03"),
        ("ordType", "limit"),
        ("side", "buy"),
        ("tdMode", "cash"),
        ("accFillSz", "0.02"),
        ("avgPx", "60005"),
        ("state", "partially_filled"),
        ("fillPx", "60010"),
        ("fillSz", "0.01"),
        ("fillTime", &ms),
        ("feeCcy", "BTC"),
        // A thousandth of what was received.
        ("fee", "-0.00002"),
        ("rebate", "0"),
        ("rebateCcy", "USDT"),
        ("pnl", "0"),
        ("stpMode", "cancel_taker"),
        ("tgtCcy", ""),
        ("cTime", &ms),
        ("uTime", &ms),
        ("cancelSource", ""),
        ("reduceOnly", "false"),
        ("posSide", ""),
        ("lever", ""),
        ("tradeQuoteCcy", "USDT"),
        ("category", "normal"),
    ] {
        assert_eq!(row[field], *value, "{field}");
    }
    let by_name = desk.get(ANN, &format!("trade/order?instId={SPOT}&clOrdId=mine"));
    assert_eq!(by_name, [row]);
    for (path, status, code) in [
        ("trade/order", 400, "50014"),
        ("trade/order?instId=ETH-USDT&ordId=1", 200, "51001"),
        ("trade/order?instId=BTC-USDT", 200, "51003"),
        ("trade/order?instId=BTC-USDT&ordId=99999999", 200, "51603"),
        ("trade/order?instId=BTC-USDT&ordId=x", 200, "51603"),
        ("trade/order?instId=BTC-USDT&clOrdId=other", 200, "51603"),
        ("trade/orders-history", 400, "50014"),
        ("trade/fills-history", 400, "50014"),
        ("trade/fills?instType=SHOES", 400, "51000"),
        ("trade/orders-pending?limit=many", 400, "51000"),
        ("trade/fills?after=x", 400, "51000"),
    ] {
        let (found, answer) = desk.asked(ANN, path);
        assert_eq!((found, &answer["code"]), (status, &code.into()), "{path}");
    }
    let (_, answer) = desk.asked(BOB, &format!("trade/order?instId={SPOT}&ordId={id}"));
    assert_eq!(answer["code"], "51603", "it is Ann's");
}

/// The naive model: all orders in the sequence in which they were placed, newest first.
#[test]
fn lists_are_newest_first_and_pages_of_them_are_the_list() {
    let mut desk = desk(1, 0);
    let mut ids = Vec::new();
    for nth in 0..45 {
        let inst_id = [SPOT, SWAP, INVERSE][nth % 3];
        let sz = if inst_id == SPOT { "0.001" } else { "2" };
        let order = limit(inst_id, "buy", "50000", sz);
        ids.push((inst_id, desk.place(ANN, &order)));
        desk.run(Duration::from_millis(7));
    }
    let newest: Vec<_> = ids.iter().rev().map(|(_, id)| id.clone()).collect();
    let all = desk.get(ANN, "trade/orders-pending");
    assert_eq!(each(&all, "ordId"), newest);
    for limit in [1, 7, 44, 45] {
        let (mut paged, mut after) = (Vec::new(), String::new());
        loop {
            let page = desk.get(ANN, &format!("trade/orders-pending?limit={limit}{after}"));
            desk.run(Duration::from_millis(100));
            let Some(last) = page.last() else { break };
            after = format!("&after={}", last["ordId"].as_str().unwrap());
            paged.extend(page);
        }
        assert_eq!(paged, all, "{limit}");
    }
    let before = desk.get(ANN, &format!("trade/orders-pending?before={}", newest[10]));
    assert_eq!(each(&before, "ordId"), newest[..10]);
    for (filter, kept) in
        [("instType=SWAP", 30), ("instId=BTC-USDT", 15), ("instFamily=BTC-USD", 15)]
    {
        assert_eq!(
            desk.get(ANN, &format!("trade/orders-pending?{filter}")).len(),
            kept,
            "{filter}"
        );
    }
    assert_eq!(desk.get(ANN, "trade/orders-pending?ordType=post_only,fok").len(), 0);
    assert_eq!(desk.get(ANN, "trade/orders-pending?ordType=post_only,limit&state=live").len(), 45);
    assert!(desk.get(BOB, "trade/orders-pending").is_empty());
    // Ended, they are in the histories and nowhere else.
    for (inst_id, id) in ids.iter().step_by(2) {
        desk.op(ANN, "cancel-order", &[json!({"instId": inst_id, "ordId": id})]);
    }
    assert_eq!(desk.get(ANN, "trade/orders-pending").len(), 22);
    for path in ["orders-history", "orders-history-archive"] {
        let spot = desk.get(ANN, &format!("trade/{path}?instType=SPOT"));
        let swap = desk.get(ANN, &format!("trade/{path}?instType=SWAP&state=canceled"));
        assert_eq!((spot.len(), swap.len()), (8, 15), "{path}");
        let filled = desk.get(ANN, &format!("trade/{path}?instType=SPOT&state=filled"));
        assert!(filled.is_empty());
        let created = number(&spot[3]["cTime"]);
        let since = desk.get(ANN, &format!("trade/{path}?instType=SPOT&begin={created}"));
        let until = desk.get(ANN, &format!("trade/{path}?instType=SPOT&end={created}"));
        assert_eq!((since, until), (spot[..=3].to_vec(), spot[3..].to_vec()));
    }
}

#[test]
fn fills_are_both_sides_of_a_trade_with_what_each_paid() {
    let mut desk = desk(1, 0);
    let sold = desk.place(BOB, &limit(SPOT, "sell", "60000", "0.01"));
    let bought = desk.place(ANN, &limit(SPOT, "buy", "60000", "0.004"));
    desk.run(Duration::from_millis(50));
    desk.place(ANN, &limit(SPOT, "buy", "60000", "0.006"));
    let (ann, bob) = (desk.get(ANN, "trade/fills"), desk.get(BOB, "trade/fills?instType=SPOT"));
    assert_eq!((ann.len(), bob.len()), (2, 2));
    let (mine, other) = (&ann[1], &bob[1]);
    for (field, value, others) in [
        ("tradeId", mine["tradeId"].as_str().unwrap(), mine["tradeId"].as_str().unwrap()),
        ("ordId", &*bought, &*sold),
        ("side", "buy", "sell"),
        ("execType", "T", "M"),
        ("fillPx", "60000", "60000"),
        ("fillSz", "0.004", "0.004"),
        ("feeCcy", "BTC", "USDT"),
        ("fee", "-0.000004", "-0.24"),
        ("feeRate", "-0.001", "-0.001"),
        ("fillPnl", "0", "0"),
        ("subType", "1", "2"),
        ("instId", SPOT, SPOT),
    ] {
        assert_eq!([&mine[field], &other[field]], [value, others], "{field}");
    }
    assert!(number(&ann[0]["billId"]) > number(&ann[1]["billId"]), "newest first");
    let older = ann[0]["billId"].as_str().unwrap();
    assert_eq!(desk.get(ANN, &format!("trade/fills?after={older}")), ann[1..]);
    assert_eq!(desk.get(ANN, &format!("trade/fills?ordId={bought}")), ann[1..]);
    let since = ann[0]["ts"].as_str().unwrap();
    assert_eq!(desk.get(ANN, &format!("trade/fills?begin={since}")), ann[..1]);
    assert_eq!(desk.get(ANN, "trade/fills-history?instType=SPOT&limit=1"), ann[..1]);
    assert!(desk.get(ANN, "trade/fills?instType=SWAP").is_empty());
}

/// A contract of BTC-USDT-SWAP is 0.01 BTC, one of BTC-USD-SWAP 100 dollars.
#[test]
fn a_position_counts_contracts_and_settles_in_its_currency() {
    for (inst_id, ccy, value, [upl, pnl]) in [
        // 0.01 BTC at 61,000, bought for 600; three sold for 30 more than they had cost.
        (SWAP, "USDT", "610", ["10", "30"]),
        // (1/60,000 − 1/61,000) × 100, and three times that.
        (INVERSE, "BTC", "100", ["0.0000273224043715847", "0.0000819672131147541"]),
    ] {
        let mut desk = desk(1, 0);
        desk.place(BOB, &limit(inst_id, "sell", "60000", "4"));
        desk.place(ANN, &limit(inst_id, "buy", "60000", "4"));
        desk.place(BOB, &limit(inst_id, "buy", "61000", "3"));
        desk.place(ANN, &limit(inst_id, "sell", "61000", "3"));
        let row = desk.get(ANN, "account/positions").remove(0);
        assert_eq!([&row["pos"], &row["instId"], &row["ccy"]], ["1", inst_id, ccy], "{row}");
        assert_eq!((&row["avgPx"], &row["markPx"]), (&"60000".into(), &"61000".into()));
        assert_eq!([&row["mgnMode"], &row["posSide"], &row["lever"]], ["cross", "net", "1"]);
        let near = |field: &str, expected: Decimal| {
            let off = (number(&row[field]) - expected).abs();
            assert!(off < decimal("0.00000000000001"), "{field} {} {expected}", row[field]);
        };
        near("upl", decimal(upl));
        near("pnl", decimal(pnl));
        near("notionalUsd", decimal(value));
        let fills = desk.get(ANN, "trade/fills");
        let fees: Decimal = fills.iter().map(|fill| number(&fill["fee"])).sum();
        near("fee", fees);
        let pnls: Decimal = fills.iter().map(|fill| number(&fill["fillPnl"])).sum();
        near("pnl", pnls);
        near("realizedPnl", pnls + fees);
        assert!(desk.get(ANN, "account/positions?instType=SPOT").is_empty());
        // Bob stands on the other side; closed, a position is shown where it is named.
        assert_eq!(desk.get(BOB, "account/positions")[0]["pos"], "-1");
        desk.place(BOB, &limit(inst_id, "buy", "61000", "1"));
        desk.place(ANN, &limit(inst_id, "sell", "61000", "1"));
        assert!(desk.get(ANN, "account/positions").is_empty());
        let closed = desk.get(ANN, &format!("account/positions?instId={inst_id}"));
        assert_eq!((&closed[0]["pos"], &closed[0]["posId"]), (&"0".into(), &row["posId"]));
    }
}

#[test]
fn a_balance_is_what_is_free_and_what_is_set_aside() {
    let mut desk = desk(1, 0);
    desk.place(ANN, &limit(SPOT, "buy", "50000", "0.01"));
    desk.place(ANN, &limit(SWAP, "sell", "60000", "4"));
    let row = desk.get(ANN, "account/balance").remove(0);
    let usdt = row["details"].as_array().unwrap().iter().find(|one| one["ccy"] == "USDT").unwrap();
    // 500 for the one, 2,400 for the other.
    for (field, value) in [
        ("cashBal", "1000000"),
        ("eq", "1000000"),
        ("availBal", "997100"),
        ("availEq", "997100"),
        ("frozenBal", "2900"),
        ("ordFrozen", "2900"),
        ("upl", "0"),
        ("coinUsdPrice", "1"),
        ("eqUsd", "1000000"),
    ] {
        assert_eq!(usdt[field], value, "{field}");
    }
    let each = |row: &Value| row["details"].as_array().unwrap().len();
    let one = desk.get(ANN, "account/balance?ccy=BTC").remove(0);
    assert_eq!((each(&row), each(&one)), (3, 1));
    assert_eq!(one["details"][0]["coinUsdPrice"], "60000");
    assert_eq!(each(&desk.get(ANN, "account/balance?ccy=BTC,USDT")[0]), 2);
    // A million of each: dollars, tethers, bitcoins at 60,000.
    assert_eq!(row["totalEq"], "60002000000");
}

#[test]
fn the_account_says_what_it_is_and_the_coins_are_listed() {
    let mut desk = desk(1, 0);
    let config = desk.get(ANN, "account/config").remove(0);
    assert_eq!((&config["acctLv"], &config["posMode"]), (&"2".into(), &"net_mode".into()));
    assert_ne!(config["uid"], desk.get(BOB, "account/config")[0]["uid"]);
    let coins = desk.get(ANN, "asset/currencies");
    assert_eq!(each(&coins, "ccy"), ["BTC", "USDT", "USD"]);
    assert_eq!(desk.get(ANN, "asset/currencies?ccy=USDT").len(), 1);
    // Five in two seconds.
    (0..4).for_each(|_| drop(desk.get(ANN, "account/config")));
    assert_eq!(desk.asked(ANN, "account/config").0, 429);
    desk.run(Duration::from_secs(2));
    desk.get(ANN, "account/config");
}
