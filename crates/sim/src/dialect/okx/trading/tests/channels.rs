//! What an account is told.

use super::*;

#[test]
fn each_thing_that_happens_to_an_order_is_told_once_to_each_side() {
    let mut desk = desk(1, 0);
    for client in [ANN, BOB] {
        let told = desk.subscribe(client, &json!({"channel": "orders", "instType": "ANY"}));
        let [done, count] = &told[..] else { panic!("{told:?}") };
        assert_eq!(done["arg"], json!({"channel": "orders", "instType": "ANY"}));
        assert_eq!(
            (&count["event"], &count["connCount"]),
            (&"channel-conn-count".into(), &"1".into())
        );
        assert_eq!(count["channel"], "orders");
    }
    let sold = desk.place(BOB, &limit(SPOT, "sell", "60000", "0.01"));
    let order = with(limit(SPOT, "buy", "60010", "0.03"), &json!({"clOrdId": "mine"}));
    let bought = desk.place(ANN, &order);
    desk.post(ANN, "trade/cancel-order", &json!({"instId": SPOT, "ordId": bought}));
    let heard = desk.settle();
    assert!(heard.iter().all(|(_, message)| message["arg"]["uid"].is_string()), "{heard:?}");
    let (ann, bob) = (rows(&heard, ANN, "orders"), rows(&heard, BOB, "orders"));
    assert_eq!(each(&ann, "ordId"), [&*bought; 3]);
    assert_eq!(each(&bob, "ordId"), [&*sold; 2]);
    assert_eq!(each(&ann, "state"), ["live", "partially_filled", "canceled"]);
    assert_eq!(each(&bob, "state"), ["live", "filled"]);
    assert_eq!(each(&ann, "accFillSz"), ["0", "0.01", "0.01"]);
    assert_eq!(each(&ann, "avgPx"), ["0", "60000", "60000"]);
    assert_eq!(each(&ann, "cancelSource"), ["", "", "1"]);
    for (row, others) in [(&ann[1], ["T", "-0.00001", "BTC"]), (&bob[1], ["M", "-0.6", "USDT"])] {
        assert_eq!([&row["execType"], &row["fillFee"], &row["fillFeeCcy"]], others);
        assert_eq!([&row["fillPx"], &row["fillSz"]], ["60000", "0.01"]);
        assert_eq!(row["tradeId"], ann[1]["tradeId"]);
        assert_eq!((&row["fee"], &row["fillNotionalUsd"]), (&row["fillFee"], &"600".into()));
        assert_eq!(
            [&row["code"], &row["msg"], &row["amendResult"], &row["reqId"]],
            ["0", "", "", ""]
        );
    }
    for row in [&ann[0], &ann[2], &bob[0]] {
        assert_eq!([&row["tradeId"], &row["fillPx"], &row["execType"]], ["", "", ""]);
        assert_eq!([&row["fillSz"], &row["fillFee"]], ["0", "0"]);
    }
}

#[test]
fn orders_come_by_instrument_on_every_subscription_that_asks_for_them() {
    let mut desk = desk(1, 0);
    let args = [
        json!({"channel": "orders", "instType": "ANY"}),
        json!({"channel": "orders", "instType": "SPOT"}),
        json!({"channel": "orders", "instType": "SWAP", "instFamily": "BTC-USDT"}),
        json!({"channel": "orders", "instType": "SWAP", "instId": INVERSE}),
    ];
    for arg in &args {
        assert_eq!(desk.subscribe(ANN, arg)[0]["arg"], *arg);
    }
    for (inst_id, sz) in [(SPOT, "0.001"), (SWAP, "1"), (INVERSE, "1")] {
        desk.place(ANN, &limit(inst_id, "buy", "50000", sz));
    }
    let heard = desk.settle();
    let mut seen: Vec<_> = heard
        .iter()
        .map(|(_, message)| {
            let (mut arg, row) = (message["arg"].clone(), &message["data"][0]);
            arg.as_object_mut().unwrap().remove("uid");
            (args.iter().position(|known| *known == arg).unwrap(), row["instId"].as_str().unwrap())
        })
        .collect();
    seen.sort_unstable();
    let all = [(0, INVERSE), (0, SPOT), (0, SWAP), (1, SPOT), (2, SWAP), (3, INVERSE)];
    let mut expected = all.to_vec();
    expected.sort_unstable();
    assert_eq!(seen, expected);
    for arg in &args {
        let text = json!({"op": "unsubscribe", "args": [arg]}).to_string();
        assert_eq!(desk.say(ANN, &text)[0]["event"], "unsubscribe");
    }
    desk.place(ANN, &limit(SPOT, "buy", "50000", "0.001"));
    assert!(desk.settle().is_empty());
}

#[test]
fn an_account_is_told_whole_at_first_and_by_the_clock_and_what_changed_together() {
    let mut desk = desk(1, 0);
    let told = desk.subscribe(ANN, &json!({"channel": "account"}));
    let first = &told[2];
    assert_eq!(
        (&first["eventType"], &first["curPage"], &first["lastPage"]),
        (&"snapshot".into(), &1.into(), &true.into())
    );
    assert_eq!(first["data"][0]["details"].as_array().unwrap().len(), 3);
    let quiet = ClientId(5);
    desk.connect(quiet, "/ws/v5/private");
    desk.log_in(quiet, &account(ANN));
    let extra = json!({"updateInterval": "0"}).to_string();
    let arg = json!({"channel": "account", "ccy": "BTC", "extraParams": extra});
    let told = desk.subscribe(quiet, &arg);
    assert_eq!(told[0]["arg"], json!({"channel": "account", "ccy": "BTC"}));
    assert_eq!(told[1]["connCount"], "2");
    assert_eq!(told[2]["data"][0]["details"].as_array().unwrap().len(), 1);
    // Two orders within 50 ms are told as one, at its end.
    desk.place(ANN, &limit(SPOT, "buy", "50000", "0.01"));
    desk.run(Duration::from_millis(20));
    desk.place(ANN, &limit(SPOT, "buy", "50000", "0.01"));
    assert!(desk.run(Duration::from_millis(29)).is_empty());
    let heard = desk.run(Duration::from_millis(1));
    let [(ANN, message), (to, other)] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!((*to, &message["eventType"]), (quiet, &"event_update".into()));
    assert!(message.get("curPage").is_none());
    let details = message["data"][0]["details"].as_array().unwrap();
    assert_eq!(each(details, "ccy"), ["BTC", "USDT"]);
    assert_eq!([&details[1]["availBal"], &details[1]["frozenBal"]], ["999000", "1000"]);
    assert_eq!(each(other["data"][0]["details"].as_array().unwrap(), "ccy"), ["BTC"]);
    // Each five seconds, but not to the one who does not want it.
    desk.say(quiet, "ping");
    desk.run(Duration::ZERO);
    let regular = desk.run(Duration::from_secs(15));
    assert_eq!(rows(&regular, quiet, "account").len(), 0);
    let regular: Vec<_> = regular.iter().filter(|(to, _)| *to == ANN).collect();
    assert_eq!(regular.len(), 3);
    assert!(regular.iter().all(|(_, message)| message["eventType"] == "snapshot"));
}

#[test]
fn a_position_is_told_as_it_opens_turns_and_closes() {
    let mut desk = desk(1, 0);
    let arg = json!({"channel": "positions", "instType": "SWAP", "instId": SWAP});
    let told = desk.subscribe(ANN, &arg);
    assert_eq!((&told[2]["eventType"], &told[2]["data"]), (&"snapshot".into(), &json!([])));
    let trade = |desk: &mut Desk, inst_id: &str, side: &str, sz: &str| {
        let other = if side == "buy" { "sell" } else { "buy" };
        desk.place(BOB, &limit(inst_id, other, "60000", sz));
        desk.place(ANN, &limit(inst_id, side, "60000", sz));
        rows(&desk.settle(), ANN, "positions")
    };
    let opened = trade(&mut desk, SWAP, "buy", "3");
    let turned = trade(&mut desk, SWAP, "sell", "5");
    let closed = trade(&mut desk, SWAP, "buy", "2");
    assert!(trade(&mut desk, INVERSE, "buy", "1").is_empty(), "another instrument");
    let all = [&opened[0], &turned[0], &closed[0]];
    assert_eq!(all.map(|row| row["pos"].as_str().unwrap()), ["3", "-2", "0"]);
    assert!(all.iter().all(|row| row["posId"] == opened[0]["posId"]));
    assert_eq!(opened[0]["fee"], "-0.9");
    // What turned it opened another one, with fees of its own.
    assert_eq!((&turned[0]["fee"], &turned[0]["cTime"]), (&"-1.5".into(), &turned[0]["uTime"]));
    let every = json!({"updateInterval": "2000"}).to_string();
    desk.subscribe(BOB, &json!({"channel": "positions", "instType": "ANY", "extraParams": every}));
    let regular = rows(&desk.run(Duration::from_secs(6)), BOB, "positions");
    assert_eq!(each(&regular, "instId"), [INVERSE; 3]);
}

#[test]
fn balances_and_positions_come_with_each_execution_at_once() {
    let mut desk = desk(1, 0);
    let told = desk.subscribe(ANN, &json!({"channel": "balance_and_position"}));
    let first = &told[2]["data"][0];
    assert_eq!(first["eventType"], "snapshot");
    assert_eq!(each(first["balData"].as_array().unwrap(), "ccy"), ["BTC", "USDT", "USD"]);
    assert_eq!((&first["posData"], &first["trades"]), (&json!([]), &json!([])));
    desk.place(BOB, &limit(SWAP, "sell", "60000", "1"));
    desk.place(BOB, &limit(SWAP, "sell", "60001", "1"));
    desk.place(ANN, &limit(SWAP, "buy", "60001", "3"));
    let told = rows(&desk.run(Duration::ZERO), ANN, "balance_and_position");
    let [row] = &told[..] else { panic!("{told:?}") };
    assert_eq!(row["eventType"], "filled");
    // 0.05 % of 1,200.01.
    assert_eq!(row["balData"][0]["cashBal"], "999999.399995");
    let position = &row["posData"][0];
    assert_eq!([&position["instId"], &position["pos"], &position["avgPx"]], [SWAP, "2", "60000.5"]);
    let trades = row["trades"].as_array().unwrap();
    let ids =
        each(trades, "tradeId").iter().map(|id| id.parse::<u64>().unwrap()).collect::<Vec<_>>();
    assert_eq!((ids.len(), ids[1] - ids[0]), (2, 1));
    assert_eq!(position["tradeId"], trades[1]["tradeId"]);
}

#[test]
fn what_is_no_channel_of_the_account_is_refused() {
    let mut desk = desk(1, 0);
    for (arg, code) in [
        (json!({"channel": "fills"}), "64003"),
        (json!({"channel": "orders"}), "60018"),
        (json!({"channel": "orders", "instType": "SHOES"}), "60018"),
        (json!({"channel": "positions"}), "60018"),
        (json!({"channel": "orders-algo", "instType": "ANY"}), "60018"),
        (json!({"channel": "books", "instId": SPOT}), "60018"),
        (json!({}), "60012"),
    ] {
        let told = desk.subscribe(ANN, &arg);
        assert_eq!((told.len(), &told[0]["code"]), (1, &code.into()), "{arg}");
    }
}

#[test]
fn thirty_connections_may_listen_to_a_channel_of_an_account() {
    let mut desk = desk(1, 0);
    let arg = json!({"channel": "account"});
    for nth in 1..=30 {
        let client = ClientId(100 + nth);
        desk.connect(client, "/ws/v5/private");
        desk.log_in(client, &account(ANN));
        let told = desk.subscribe(client, &arg);
        assert_eq!((&told[1]["connCount"], told.len()), (&nth.to_string().into(), 3));
    }
    let told = desk.subscribe(ANN, &arg);
    assert_eq!((&told[0]["event"], told.len()), (&"subscribe".into(), 2));
    assert_eq!(told[1]["event"], "channel-conn-count-error");
    // Another channel, another account.
    assert_eq!(desk.subscribe(ANN, &json!({"channel": "balance_and_position"})).len(), 3);
    assert_eq!(desk.subscribe(BOB, &arg).len(), 3);
    desk.place(ANN, &limit(SPOT, "buy", "50000", "0.01"));
    let heard = desk.settle();
    assert_eq!((rows(&heard, ANN, "account").len(), heard.len()), (0, 30));
}
