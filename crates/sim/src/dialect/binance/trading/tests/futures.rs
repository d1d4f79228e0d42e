//! USDⓈ-M by REST, and its listen keys.

use super::*;

const HOUR: Duration = Duration::from_secs(3_600);

impl Far {
    fn listen_key(&mut self, who: Who) -> String {
        let reply = self.raw(&Self::request(who, "POST", "/fapi/v1/listenKey".to_owned()));
        body(&reply)["listenKey"].as_str().unwrap().to_owned()
    }
}

#[test]
fn an_order_is_placed_changed_and_cancelled() {
    let mut far = Far::futures();
    let placed = far.limit(Who::Demo, "BUY", "0.5", "59000", "mine");
    let names =
        ["symbol", "clientOrderId", "price", "avgPrice", "origQty", "status", "positionSide"];
    let right = ["BTCUSDT", "mine", "59000.0", "0.0000", "0.5000", "NEW", "BOTH"];
    assert_eq!(names.map(|name| placed[name].as_str().unwrap()), right);
    let change = "symbol=BTCUSDT&side=BUY&quantity=0.6&price=59100&origClientOrderId=mine";
    let changed = far.granted(Who::Demo, "PUT", "/fapi/v1/order", change);
    assert_eq!((&changed["orderId"], &changed["origQty"]), (&placed["orderId"], &json!("0.6000")));
    let query = "symbol=BTCUSDT&origClientOrderId=mine";
    assert_eq!(far.granted(Who::Demo, "GET", "/fapi/v1/order", query), changed);
    assert_eq!(far.granted(Who::Demo, "GET", "/fapi/v1/openOrders", ""), json!([changed]));
    let cancelled = far.granted(Who::Demo, "DELETE", "/fapi/v1/order", query);
    assert_eq!(
        (&cancelled["status"], &cancelled["clientOrderId"]),
        (&json!("CANCELED"), &json!("mine"))
    );
    let all = far.granted(Who::Demo, "GET", "/fapi/v1/allOrders", "symbol=BTCUSDT");
    assert_eq!(all, json!([cancelled]));
    let done = far.granted(Who::Demo, "DELETE", "/fapi/v1/allOpenOrders", "symbol=BTCUSDT");
    assert_eq!(done["code"], 200);
}

#[test]
fn a_position_is_opened_valued_and_closed() {
    let mut far = Far::futures();
    let key = far.listen_key(Who::Demo);
    far.connect(ME, &format!("/private/ws/{key}"));
    far.limit(Who::Other, "SELL", "2", "60000", "ask");
    far.limit(Who::Demo, "BUY", "2", "60000", "buy");
    far.limit(Who::Other, "BUY", "2", "60100", "bid");
    far.limit(Who::Other, "SELL", "1", "60300", "ask2");
    let risk = far.granted(Who::Demo, "GET", "/fapi/v3/positionRisk", "");
    let row = &risk[0];
    let seen = ["positionAmt", "entryPrice", "markPrice", "unRealizedProfit", "notional"];
    let right = ["2.0000", "60000.0000", "60200.0", "400.00000000", "120400.00000000"];
    assert_eq!(seen.map(|name| row[name].as_str().unwrap()), right);
    let account = far.granted(Who::Demo, "GET", "/fapi/v3/account", "");
    // A fee of 0.05 % of 120,000; the position sets aside what it cost.
    assert_eq!(account["totalWalletBalance"], "999940.00000000");
    assert_eq!(account["availableBalance"], "879940.00000000");
    assert_eq!(account["totalUnrealizedProfit"], "400.00000000");
    let balance = far.granted(Who::Demo, "GET", "/fapi/v2/balance", "");
    assert_eq!(
        (&balance[0]["asset"], &balance[0]["balance"]),
        (&json!("USDT"), &json!("999940.00000000"))
    );
    let close =
        "symbol=BTCUSDT&side=SELL&type=MARKET&quantity=2&reduceOnly=true&newOrderRespType=RESULT";
    let closed = far.place(Who::Demo, close);
    assert_eq!((&closed["status"], &closed["avgPrice"]), (&json!("FILLED"), &json!("60100.0000")));
    let heard = far.heard(ME);
    let told = heard.iter().rfind(|event| event["o"]["x"] == "TRADE").unwrap();
    assert_eq!((&told["o"]["rp"], &told["o"]["R"]), (&json!("200.00000000"), &json!(true)));
    let position = &heard.last().unwrap()["a"]["P"][0];
    assert_eq!((&position["pa"], &position["up"]), (&json!("0.0000"), &json!("0.00000000")));
    let trades = far.granted(Who::Demo, "GET", "/fapi/v1/userTrades", "symbol=BTCUSDT");
    assert_eq!(
        (&trades[1]["realizedPnl"], &trades[1]["maker"]),
        (&json!("200.00000000"), &json!(false))
    );
    assert_eq!(far.granted(Who::Demo, "GET", "/fapi/v2/positionRisk", ""), json!([]));
    let again = far.refused(Who::Demo, "POST", "/fapi/v1/order", close);
    assert_eq!(again, (400, -2022), "there is nothing left to reduce");
}

#[test]
fn a_listen_key_tells_orders_and_account_to_whoever_has_it() {
    let mut far = Far::futures();
    let key = far.listen_key(Who::Demo);
    assert_eq!(far.listen_key(Who::Demo), key, "an account has one");
    for (client, target) in [
        (1, format!("/private/ws/{key}")),
        (2, format!("/private/ws?listenKey={key}")),
        (3, format!("/private/stream?streams={key}")),
        (4, format!("/ws/{key}")),
        (5, "/private/ws/nobodys".to_owned()),
    ] {
        far.connect(ClientId(client), &target);
    }
    far.limit(Who::Other, "SELL", "2", "60000", "ask");
    far.limit(Who::Demo, "BUY", "2", "60000", "buy");
    let heard = far.heard(ME);
    let kinds: Vec<_> = heard.iter().map(|event| event["e"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["ORDER_TRADE_UPDATE", "ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE"]);
    let (new, trade) = (&heard[0]["o"], &heard[1]["o"]);
    assert_eq!((&new["x"], &new["X"], &new["c"]), (&json!("NEW"), &json!("NEW"), &json!("buy")));
    assert!(new["N"].is_null() && new["n"].is_null(), "no commission, no field");
    let names = ["x", "X", "l", "z", "L", "ap", "n", "N", "rp"];
    let right = [
        "TRADE",
        "FILLED",
        "2.0000",
        "2.0000",
        "60000.0",
        "60000.0000",
        "60.00000000",
        "USDT",
        "0.00000000",
    ];
    assert_eq!(names.map(|name| trade[name].as_str().unwrap()), right);
    let update = &heard[2]["a"];
    assert_eq!((&update["m"], &update["B"][0]["wb"]), (&json!("ORDER"), &json!("999940.00000000")));
    let position = &update["P"][0];
    assert_eq!(
        (&position["s"], &position["pa"], &position["ep"]),
        (&json!("BTCUSDT"), &json!("2.0000"), &json!("60000.0000"))
    );
    assert_eq!(far.heard(ClientId(2)), heard);
    let wrapped = far.heard(ClientId(3));
    assert_eq!((&wrapped[0]["stream"], &wrapped[0]["data"]), (&json!(key), &heard[0]));
    assert_eq!(far.heard(ClientId(4)), heard);
    assert_eq!(far.heard(ClientId(5)), Vec::<Value>::new());
}

#[test]
fn a_listen_key_lives_for_an_hour_unless_it_is_kept_or_given_up() {
    let mut far = Far::futures();
    let unsigned = |method: &str| Far::request(Who::Demo, method, "/fapi/v1/listenKey".to_owned());
    assert_eq!(body(&far.raw(&unsigned("PUT")))["code"], -1125);
    let key = far.listen_key(Who::Demo);
    far.connect(ME, &format!("/private/ws/{key}"));
    far.run_for(HOUR - Duration::from_secs(1));
    assert_eq!(body(&far.raw(&unsigned("PUT")))["listenKey"], json!(key));
    far.run_for(HOUR - Duration::from_secs(1));
    assert_eq!(far.heard(ME), Vec::<Value>::new());
    far.run_for(Duration::from_secs(2));
    let heard = far.heard(ME);
    assert_eq!((&heard[0]["e"], &heard[0]["listenKey"]), (&json!("listenKeyExpired"), &json!(key)));
    let next = far.listen_key(Who::Demo);
    assert_ne!(next, key);
    far.connect(ClientId(2), &format!("/private/ws/{next}"));
    assert_eq!(far.raw(&unsigned("DELETE")).status, 200);
    far.limit(Who::Demo, "BUY", "1", "59000", "unheard");
    assert_eq!(far.heard(ME).len() + far.heard(ClientId(2)).len(), 0);
}

#[test]
fn orders_end_when_nobody_says_in_time_that_they_may_live() {
    let mut far = Far::futures();
    far.limit(Who::Demo, "BUY", "1", "59000", "mine");
    far.limit(Who::Other, "BUY", "1", "59000", "theirs");
    let path = "/fapi/v1/countdownCancelAll";
    let say = |far: &mut Far, ms: u64| {
        far.granted(Who::Demo, "POST", path, &format!("symbol=BTCUSDT&countdownTime={ms}"))
    };
    assert_eq!(say(&mut far, 5_000), json!({"symbol": "BTCUSDT", "countdownTime": "5000"}));
    far.run_for(Duration::from_secs(4));
    say(&mut far, 5_000);
    far.run_for(Duration::from_secs(4));
    say(&mut far, 0);
    far.run_for(Duration::from_secs(60));
    assert!(far.orders(Who::Demo)[0].state.is_open());
    say(&mut far, 5_000);
    far.run_for(Duration::from_secs(5));
    assert!(!far.orders(Who::Demo)[0].state.is_open());
    assert!(far.orders(Who::Other)[0].state.is_open());
}

#[test]
fn settings_that_clients_ask_for_are_told() {
    let mut far = Far::futures();
    let dual = far.granted(Who::Demo, "GET", "/fapi/v1/positionSide/dual", "");
    assert_eq!(dual, json!({"dualSidePosition": false}));
    let multi = far.granted(Who::Demo, "GET", "/fapi/v1/multiAssetsMargin", "");
    assert_eq!(multi, json!({"multiAssetsMargin": false}));
    let fees = far.granted(Who::Demo, "GET", "/fapi/v1/commissionRate", "symbol=BTCUSDT");
    assert_eq!(fees["takerCommissionRate"], "0.00050000");
    let brackets = far.granted(Who::Demo, "GET", "/fapi/v1/leverageBracket", "");
    assert_eq!(brackets.as_array().unwrap().len(), 2);
}
