//! The WebSocket API.

use super::*;

const API: &str = "/ws-api/v3";

fn connected(mut far: Far, target: &str) -> Far {
    far.connect(ME, target);
    far
}

fn order(side: &str, quantity: &str, price: &str, name: &str) -> Value {
    json!({"symbol": "BTCUSDT", "side": side, "type": "LIMIT", "timeInForce": "GTC",
           "quantity": quantity, "price": price, "newClientOrderId": name})
}

#[test]
fn the_same_requests_are_answered_as_by_rest() {
    let mut far = connected(Far::spot(), API);
    let placed = far.ws(Who::Demo, "order.place", order("BUY", "1", "59000", "mine"));
    assert_eq!((&placed["status"], &placed["result"]["status"]), (&json!(200), &json!("NEW")));
    assert_eq!(placed["rateLimits"][0]["rateLimitType"], "REQUEST_WEIGHT");
    let by_name = json!({"symbol": "BTCUSDT", "origClientOrderId": "mine"});
    let status = far.ws(Who::Demo, "order.status", by_name.clone());
    assert_eq!(status["result"]["orderId"], placed["result"]["orderId"]);
    let by_rest = far.granted(Who::Demo, "GET", "/api/v3/openOrders", "");
    assert_eq!(far.ws(Who::Demo, "openOrders.status", json!({}))["result"], by_rest);
    let mut replace = order("BUY", "1", "58000", "next");
    replace["cancelReplaceMode"] = "STOP_ON_FAILURE".into();
    replace["cancelOrigClientOrderId"] = "mine".into();
    let replaced = far.ws(Who::Demo, "order.cancelReplace", replace);
    assert_eq!(replaced["result"]["newOrderResult"], "SUCCESS");
    let by_name = json!({"symbol": "BTCUSDT", "origClientOrderId": "next"});
    assert_eq!(far.ws(Who::Demo, "v3/order.cancel", by_name)["result"]["status"], "CANCELED");
    let none = far.ws(Who::Demo, "openOrders.cancelAll", json!({"symbol": "BTCUSDT"}));
    assert_eq!((&none["status"], &none["error"]["code"]), (&json!(400), &json!(-2011)));
    for method in ["account.status", "account.commission", "myTrades", "allOrders", "order.test"] {
        let answer = far.ws(Who::Demo, method, order("BUY", "1", "59000", "t"));
        assert_eq!(answer["status"], 200, "{method}: {answer}");
    }
    assert_eq!(far.plain("ping", &json!({}))["result"], json!({}));
    assert_eq!(far.plain("time", &json!({}))["result"]["serverTime"], far.now_ms());
    let quiet = far.plain("ping", &json!({"returnRateLimits": false}));
    assert!(quiet["rateLimits"].is_null(), "{quiet}");
}

#[test]
fn market_data_is_the_same_as_by_rest() {
    let one = json!({"symbol": "BTCUSDT"});
    let mut candles = one.clone();
    candles["interval"] = "1m".into();
    let busy = |name: &str| {
        let mut far = Far::with(name, 50, Faults::default());
        far.run_for(Duration::from_secs(10));
        far
    };
    let mut far = connected(busy("binance"), API);
    for (method, params, path) in [
        ("exchangeInfo", &json!({"symbols": ["ETHUSDT"]}), r#"exchangeInfo?symbols=["ETHUSDT"]"#),
        ("depth", &json!({"symbol": "BTCUSDT", "limit": 5}), "depth?symbol=BTCUSDT&limit=5"),
        ("trades.recent", &one, "trades?symbol=BTCUSDT"),
        ("trades.historical", &one, "historicalTrades?symbol=BTCUSDT"),
        ("trades.aggregate", &one, "aggTrades?symbol=BTCUSDT"),
        ("klines", &candles, "klines?symbol=BTCUSDT&interval=1m"),
        ("uiKlines", &candles, "uiKlines?symbol=BTCUSDT&interval=1m"),
        ("avgPrice", &one, "avgPrice?symbol=BTCUSDT"),
        ("ticker.24hr", &one, "ticker/24hr?symbol=BTCUSDT"),
        ("ticker.price", &json!({}), "ticker/price"),
        ("ticker.book", &one, "ticker/bookTicker?symbol=BTCUSDT"),
    ] {
        let answer = far.plain(method, params);
        let by_rest = body(&far.raw(&Request::get(format!("/api/v3/{path}"))));
        assert_eq!((&answer["status"], &answer["result"]), (&json!(200), &by_rest), "{method}");
        assert!(!answer["rateLimits"].is_null());
    }
    let wrong = far.plain("klines", &json!({"symbol": "BTCUSDT", "interval": "2m"}));
    assert_eq!((&wrong["status"], &wrong["error"]["code"]), (&json!(400), &json!(-1120)));

    let mut far = connected(busy("binance-usdm"), "/ws-fapi/v1");
    for (method, path) in
        [("depth", "depth"), ("ticker.price", "ticker/price"), ("ticker.book", "ticker/bookTicker")]
    {
        let by_rest = body(&far.raw(&Request::get(format!("/fapi/v1/{path}?symbol=BTCUSDT"))));
        assert_eq!(far.plain(method, &one)["result"], by_rest, "{method}");
    }
    assert_eq!(far.plain("klines", &candles)["error"]["code"], -1020);
}

#[test]
fn what_is_wrong_gets_the_venues_own_error() {
    let mut far = connected(Far::spot(), API);
    let code = |answer: &Value| answer["error"]["code"].as_i64().unwrap();
    assert_eq!(code(&far.plain("order.fly", &json!({}))), -1020);
    assert_eq!(code(&far.plain("order.place", &order("BUY", "1", "59000", "x"))), -1102);
    let unsigned = json!({"apiKey": "meltica-demo-key", "timestamp": far.now_ms()});
    assert_eq!(code(&far.plain("account.status", &unsigned)), -1102);
    let mut forged = unsigned.clone();
    forged["signature"] = "00".into();
    assert_eq!(code(&far.plain("account.status", &forged)), -1022);
    assert_eq!(code(&far.ws(Who::Demo, "session.logon", json!({}))), -4056);
    assert_eq!(code(&far.plain("userDataStream.subscribe", &json!({}))), -2015);
    assert_eq!(code(&far.plain("userDataStream.unsubscribe", &json!({}))), -2036);
    far.say(ME, "{nonsense");
    far.say(ME, r#"{"id":[],"method":"ping"}"#);
    far.say(ME, r#"{"id":1}"#);
    let codes: Vec<_> =
        far.heard(ME).iter().map(|answer| (answer["id"].clone(), code(answer))).collect();
    assert_eq!(codes, [(Value::Null, -1135), (Value::Null, -1102), (Value::Null, -1102)]);
    let mut elsewhere = Far::futures();
    assert!(elsewhere.simulator.connect(START, ME, API, &mut Vec::new()).is_err());
}

#[test]
fn a_session_that_has_logged_on_needs_no_signature() {
    let mut far = connected(Far::spot(), API);
    let status = far.plain("session.status", &json!({}));
    assert!(status["result"]["apiKey"].is_null(), "{status}");
    let logon = far.ws(Who::Edwards, "session.logon", json!({}));
    assert_eq!(logon["result"]["apiKey"], "edwards-key");
    let mut new = order("BUY", "1", "59000", "mine");
    new["timestamp"] = far.now_ms().into();
    assert_eq!(far.plain("order.place", &new)["status"], 200);
    new["timestamp"] = (far.now_ms() - 9_000).into();
    assert_eq!(far.plain("order.place", &new)["error"]["code"], -1021);
    let subscribed = far.plain("userDataStream.subscribe", &json!({}));
    assert_eq!(subscribed["result"], json!({"subscriptionId": 0}));
    assert_eq!(far.plain("userDataStream.subscribe", &json!({}))["error"]["code"], -2035);
    assert_eq!(far.orders(Who::Edwards).len(), 1);
    let out = far.plain("session.logout", &json!({}));
    assert!(out["result"]["apiKey"].is_null());
    let ended = far.heard(ME);
    let told = ended.iter().find(|event| event["event"]["e"] == "eventStreamTerminated");
    assert_eq!(told.unwrap()["subscriptionId"], 0);
    far.limit(Who::Edwards, "BUY", "1", "58000", "unheard");
    assert_eq!(far.heard(ME), Vec::<Value>::new());
}

#[test]
fn a_subscription_tells_each_account_its_own_orders_and_balances() {
    let mut far = connected(Far::spot(), API);
    for (number, who) in [Who::Demo, Who::Other].into_iter().enumerate() {
        let subscribed = far.ws(who, "userDataStream.subscribe.signature", json!({}));
        assert_eq!(subscribed["result"]["subscriptionId"], number);
    }
    let listed = far.plain("session.subscriptions", &json!({}));
    assert_eq!(listed["result"], json!([{"subscriptionId": 0}, {"subscriptionId": 1}]));
    far.limit(Who::Other, "SELL", "0.3", "60000", "ask");
    far.heard(ME);
    far.limit(Who::Demo, "BUY", "0.5", "60000", "buy");
    let heard = far.heard(ME);
    let seen: Vec<_> = heard
        .iter()
        .map(|event| {
            let inner = &event["event"];
            let kind = inner["x"].as_str().unwrap_or_default();
            (event["subscriptionId"].as_u64().unwrap(), inner["e"].as_str().unwrap(), kind)
        })
        .collect();
    assert_eq!(
        seen,
        [
            (0, "executionReport", "NEW"),
            (0, "executionReport", "TRADE"),
            (1, "executionReport", "TRADE"),
            (0, "outboundAccountPosition", ""),
            (1, "outboundAccountPosition", ""),
        ]
    );
    let trade = &heard[1]["event"];
    let names =
        ["s", "c", "S", "o", "f", "q", "p", "X", "l", "z", "L", "n", "N", "Z", "Y", "V", "C"];
    let right = [
        "BTCUSDT",
        "buy",
        "BUY",
        "LIMIT",
        "GTC",
        "0.50000000",
        "60000.00000000",
        "PARTIALLY_FILLED",
        "0.30000000",
        "0.30000000",
        "60000.00000000",
        "0.00030000",
        "BTC",
        "18000.00000000",
        "18000.00000000",
        "EXPIRE_MAKER",
        "",
    ];
    assert_eq!(names.map(|name| trade[name].as_str().unwrap()), right);
    assert_eq!((&trade["w"], &trade["m"], &trade["g"]), (&json!(true), &json!(false), &json!(-1)));
    let balances = &heard[3]["event"]["B"];
    // 0.3 BTC less the fee; 0.2 BTC at 60,000 are still set aside.
    assert_eq!(balances[0], json!({"a": "BTC", "f": "1000000.29970000", "l": "0.00000000"}));
    assert_eq!(balances[1], json!({"a": "USDT", "f": "970000.00000000", "l": "12000.00000000"}));
    let query = "symbol=BTCUSDT&origClientOrderId=buy&newClientOrderId=bye";
    far.granted(Who::Demo, "DELETE", "/api/v3/order", query);
    let cancel = far.heard(ME)[0]["event"].clone();
    assert_eq!(
        (&cancel["x"], &cancel["c"], &cancel["C"]),
        (&json!("CANCELED"), &json!("bye"), &json!("buy"))
    );
    assert_eq!(
        far.plain("userDataStream.unsubscribe", &json!({"subscriptionId": 1}))["status"],
        200
    );
}

#[test]
fn futures_have_their_own_names() {
    let mut far = connected(Far::futures(), "/ws-fapi/v1");
    let placed = far.ws(Who::Demo, "order.place", order("BUY", "1", "59000", "mine"));
    assert_eq!(placed["result"]["status"], "NEW");
    let mut change = order("BUY", "2", "59000", "x");
    change["origClientOrderId"] = "mine".into();
    assert_eq!(far.ws(Who::Demo, "order.modify", change)["result"]["origQty"], "2.0000");
    let by_name = json!({"symbol": "BTCUSDT", "origClientOrderId": "mine"});
    assert_eq!(far.ws(Who::Demo, "order.status", by_name.clone())["status"], 200);
    assert_eq!(far.ws(Who::Demo, "order.cancel", by_name)["result"]["status"], "CANCELED");
    for method in ["v2/account.status", "v2/account.balance", "v2/account.position"] {
        assert_eq!(far.ws(Who::Demo, method, json!({}))["status"], 200, "{method}");
    }
    let key = json!({"apiKey": "meltica-demo-key"});
    let started = far.plain("userDataStream.start", &key);
    assert!(started["result"]["listenKey"].is_string(), "{started}");
    assert_eq!(far.plain("userDataStream.stop", &key)["result"], json!({}));
    let elsewhere = far.plain("userDataStream.subscribe", &json!({}));
    assert_eq!(elsewhere["error"]["code"], -1020);
}

#[test]
fn a_broken_limit_says_when_it_may_be_asked_again() {
    for (spot, max, per_s) in [(true, 100, 10), (false, 300, 10)] {
        let (far, target) = if spot { (Far::spot(), API) } else { (Far::futures(), "/ws-fapi/v1") };
        let mut far = connected(far, target);
        far.run_for(Duration::from_secs(3));
        let now_ms = far.now_ms();
        for _ in 0..max {
            far.ws(Who::Demo, "order.place", order("BUY", "0.001", "59000", "x"));
        }
        let refused = far.ws(Who::Demo, "order.place", order("BUY", "0.001", "59000", "x"));
        let until = |seconds: u64| (now_ms / 1_000 / seconds + 1) * seconds * 1_000;
        let data = |retry_after: u64| json!({"serverTime": now_ms, "retryAfter": retry_after});
        assert_eq!((&refused["status"], &refused["error"]["code"]), (&json!(429), &json!(-1015)));
        assert_eq!(refused["error"]["data"], data(until(per_s)));
        // A request that is heavy enough to use the minute up, then one more, and one too many.
        let mut status = || {
            let answer = far.ws(Who::Demo, "account.status", json!({}));
            (answer["status"].as_u64().unwrap(), answer["error"]["data"].clone())
        };
        while status().0 == 200 {}
        assert_eq!(status(), (429, data(until(60))));
        while status().0 == 429 {}
        assert_eq!(status(), (418, data(now_ms + 120_000)));
        far.run_for(Duration::from_secs(20));
        let banned = far.plain("ping", &json!({}));
        assert_eq!(banned["error"]["data"]["serverTime"], now_ms + 20_000);
        assert_eq!(banned["error"]["data"]["retryAfter"], now_ms + 120_000);
    }
}

#[test]
fn a_connection_ends_after_a_day_and_is_told_before_maintenance() {
    let faults = Faults { maintenance_every_s: 60, ..Faults::default() };
    let mut far = connected(Far::with("binance", 0, faults), API);
    far.run_for(Duration::from_secs(200));
    let told = far.heard(ME);
    assert_eq!(told[0]["event"]["e"], "serverShutdown");
    let closed = |far: &Far| far.out.iter().any(|output| matches!(output, Output::Close { .. }));
    assert!(closed(&far));
    let mut far = connected(Far::spot(), API);
    // Its pings are answered.
    far.run_for(Duration::from_secs(24 * 3_600 - 1));
    assert!(!closed(&far));
    far.run_for(Duration::from_secs(1));
    assert!(closed(&far));
}
