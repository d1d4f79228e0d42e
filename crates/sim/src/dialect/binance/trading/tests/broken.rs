//! What is refused, with the venue's own codes.

use proptest::prelude::*;

use super::*;

#[test]
fn a_request_is_from_who_has_the_secret_and_in_time() {
    let mut far = Far::spot();
    let path = "/api/v3/account";
    let ms = far.now_ms();
    let signed = |query: &str, who: Who| format!("{path}?{query}&signature={}", who.sign(query));
    let get = |target: String| Far::request(Who::Demo, "GET", target);
    let now = format!("timestamp={ms}");
    for (request, status, code) in [
        (Request::get(signed(&now, Who::Demo)), 401, -2014),
        (
            Request {
                headers: vec![("x-mbx-apikey".to_owned(), "nobody".to_owned())],
                ..Request::get(signed(&now, Who::Demo))
            },
            401,
            -2015,
        ),
        (get(format!("{path}?{now}")), 400, -1102),
        (get(signed("recvWindow=5000", Who::Demo)), 400, -1102),
        (get(signed("timestamp=soon", Who::Demo)), 400, -1100),
        (get(signed(&now, Who::Other)), 400, -1022),
        (get(format!("{path}?{now}&signature=zz")), 400, -1022),
        (get(signed(&now, Who::Demo).replace("timestamp", "recvWindow=9&timestamp")), 400, -1022),
        (get(signed(&format!("timestamp={}", ms + 1_000), Who::Demo)), 400, -1021),
        (get(signed(&format!("timestamp={}", ms - 5_001), Who::Demo)), 400, -1021),
        (get(signed(&format!("recvWindow=60001&{now}"), Who::Demo)), 400, -1131),
        (Far::request(Who::Demo, "PUT", signed(&now, Who::Demo)), 405, -1000),
    ] {
        let reply = far.raw(&request);
        let body = body(&reply);
        assert_eq!((reply.status, &body["code"]), (status, &json!(code)), "{request:?} {body}");
    }
    for query in [
        format!("timestamp={}", ms + 999),
        format!("timestamp={}", ms - 5_000),
        format!("recvWindow=60000&timestamp={}", ms - 60_000),
        format!("recvWindow=5000.5&timestamp={}000", ms),
    ] {
        assert_eq!(far.raw(&get(signed(&query, Who::Demo))).status, 200, "{query}");
    }
}

#[test]
fn query_and_body_are_signed_as_one_and_an_ed25519_key_is_a_key() {
    let mut far = Far::spot();
    let query = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC";
    let form = format!("quantity=1&price=59000&timestamp={}", far.now_ms());
    // Nothing stands between the two.
    let signature = Who::Demo.sign(&format!("{query}{form}"));
    let body = format!("{form}&signature={signature}").into();
    let target = format!("/api/v3/order?{query}");
    let request = Request { body, ..Far::request(Who::Demo, "POST", target) };
    assert_eq!(far.raw(&request).status, 200);
    far.granted(Who::Edwards, "GET", "/api/v3/account", "");
    assert_eq!(far.orders(Who::Demo).len(), 1);
}

#[test]
fn every_rule_of_an_order_has_its_answer_on_spot() {
    let mut far = Far::spot();
    far.limit(Who::Demo, "BUY", "1", "59000", "taken");
    far.limit(Who::Other, "SELL", "1", "60000", "ask");
    let good = limit("BUY", "1", "59000", "new");
    let with = |old: &str, new: &str| good.replace(old, new);
    let maker = "symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=1&price=60000";
    for (query, code) in [
        (with("symbol=BTCUSDT&", ""), -1102),
        (with("BTCUSDT", "BTCEUR"), -1121),
        (with("side=BUY&", ""), -1102),
        (with("BUY", "buy"), -1117),
        (with("type=LIMIT&", ""), -1102),
        (with("LIMIT", "STOP_LOSS"), -1116),
        (with("timeInForce=GTC&", ""), -1102),
        (with("GTC", "GTX"), -1115),
        (with("type=LIMIT", "type=LIMIT_MAKER"), -1106),
        (with("quantity=1&", ""), -1102),
        (with("quantity=1", "quantity=1e1"), -1100),
        (with("quantity=1", "quantity=-1"), -1100),
        (with("quantity=1", "quantity=1.123456789"), -1111),
        (with("quantity=1", "quantity=1.000001"), -1013),
        (with("quantity=1", "quantity=0"), -1013),
        (with("quantity=1", "quantity=2000"), -1013),
        (with("quantity=1", "quantity=0.00001"), -1013),
        (with("&price=59000", ""), -1102),
        (with("59000", "59000.05"), -1013),
        (with("59000", "0"), -1013),
        (with("59000", "700000"), -1013),
        (with("59000", "10000"), -1013),
        (with("quantity=1&price=59000", "quantity=100&price=59000"), -2010),
        (with("=new", "=taken"), -2010),
        (with("=new", "=no spaces"), -1100),
        (with("=new", &format!("={}", "x".repeat(37))), -1100),
        (maker.to_owned(), -2010),
        (format!("{good}&selfTradePreventionMode=MAYBE"), -1130),
        (format!("{good}&newOrderRespType=LONG"), -1130),
        ("symbol=BTCUSDT&side=BUY&type=MARKET&quoteOrderQty=10".to_owned(), -2010),
        ("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&price=1".to_owned(), -1106),
        ("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&timeInForce=GTC".to_owned(), -1106),
    ] {
        let seen = far.refused(Who::Demo, "POST", "/api/v3/order", &query);
        assert_eq!(seen, (400, code), "{query}");
    }
    for (method, path, query, code) in [
        ("DELETE", "/api/v3/order", "symbol=BTCUSDT&orderId=1", -2011),
        ("DELETE", "/api/v3/order", "symbol=BTCUSDT&origClientOrderId=x", -2011),
        ("DELETE", "/api/v3/order", "symbol=ETHUSDT&origClientOrderId=taken", -2011),
        ("DELETE", "/api/v3/order", "symbol=BTCUSDT", -1102),
        ("DELETE", "/api/v3/order", "symbol=BTCUSDT&orderId=x", -1100),
        ("GET", "/api/v3/order", "symbol=BTCUSDT&orderId=1", -2013),
        ("DELETE", "/api/v3/openOrders", "symbol=ETHUSDT", -2011),
        ("GET", "/api/v3/myTrades", "", -1102),
    ] {
        assert_eq!(far.refused(Who::Demo, method, path, query), (400, code), "{path} {query}");
    }
    assert_eq!(far.orders(Who::Demo).len(), 1, "nothing of it has happened");
}

#[test]
fn every_rule_of_an_order_has_its_answer_on_futures() {
    let mut far = Far::futures();
    far.limit(Who::Demo, "BUY", "1", "59000", "taken");
    far.limit(Who::Other, "SELL", "1", "60000", "ask");
    let good = limit("BUY", "1", "59000", "new");
    let with = |old: &str, new: &str| good.replace(old, new);
    for (query, code) in [
        (with("quantity=1", "quantity=1.00001"), -1111),
        (with("59000", "59000.05"), -1111),
        (with("quantity=1", "quantity=0"), -4003),
        (with("quantity=1", "quantity=20000"), -4005),
        (with("quantity=1", "quantity=0.0001&x=1").replace("59000", "13000"), -4164),
        (with("59000", "700000"), -4002),
        (with("59000", "10000"), -4016),
        (with("quantity=1", "quantity=100"), -2019),
        (with("=new", "=taken"), -4116),
        (with("GTC", "GTX").replace("59000", "60000"), -5022),
        (format!("{good}&positionSide=LONG"), -4061),
        (format!("{good}&reduceOnly=true"), -2022),
        (with("GTC", "GTD"), -1115),
        (with("LIMIT", "STOP_MARKET"), -1116),
    ] {
        let seen = far.refused(Who::Demo, "POST", "/fapi/v1/order", &query);
        assert_eq!(seen, (400, code), "{query}");
    }
    let change = "symbol=BTCUSDT&side=BUY&quantity=1&price=59000&origClientOrderId=";
    for (query, code) in [
        (format!("{change}taken"), -5027),
        (format!("{change}none"), -2013),
        (format!("{change}taken").replace("BUY", "SELL"), -2011),
    ] {
        let seen = far.refused(Who::Demo, "PUT", "/fapi/v1/order", &query);
        assert_eq!(seen, (400, code), "{query}");
    }
    assert_eq!(far.orders(Who::Demo).len(), 1, "nothing of it has happened");
}

#[test]
fn orders_are_counted_and_the_one_too_many_is_told_by_how_much() {
    let mut far = Far::spot();
    let counts = |reply: &Reply| {
        let of = |name: &str| {
            let header = reply.headers.iter().find(|(header, _)| header == name);
            header.unwrap().1.parse::<u32>().unwrap()
        };
        (of("x-mbx-order-count-10s"), of("x-mbx-order-count-1d"))
    };
    for n in 1..=100 {
        let query = limit("BUY", "0.001", "59000", &format!("n{n}"));
        let reply = far.ask(Who::Demo, "POST", "/api/v3/order", &query);
        assert_eq!((reply.status, counts(&reply)), (200, (n, n)));
    }
    let query = limit("BUY", "0.001", "59000", "over");
    let reply = far.ask(Who::Demo, "POST", "/api/v3/order", &query);
    let text = "Too many new orders; current limit is 100 orders per 10 SECOND.";
    assert_eq!((reply.status, body(&reply)), (429, json!({"code": -1015, "msg": text})));
    // Another account has its own, and the time goes on.
    far.place(Who::Other, &query);
    far.run_for(Duration::from_secs(10));
    let reply = far.ask(Who::Demo, "POST", "/api/v3/order", &query);
    assert_eq!((reply.status, counts(&reply)), (200, (1, 101)));
    let told = far.granted(Who::Demo, "GET", "/api/v3/rateLimit/order", "");
    assert_eq!((&told[0]["count"], &told[1]["count"]), (&json!(1), &json!(101)));
}

#[test]
fn an_order_that_was_sent_twice_is_known_whatever_came_of_it() {
    let faults = Faults { answer_5xx: 1_000_000, ..Faults::default() };
    let mut far = Far::with("binance", 0, faults);
    let good = limit("BUY", "1", "59000", "mine");
    assert_eq!(far.ask(Who::Demo, "POST", "/api/v3/order", &good).status, 503);
    far.simulator.set_faults(false);
    far.place(Who::Demo, &good);
    assert_eq!(far.refused(Who::Demo, "POST", "/api/v3/order", &good), (400, -2010));
    far.refused(Who::Demo, "POST", "/api/v3/order", &limit("BUY", "9999", "59000", "mine"));
    let counts = far.simulator.counts("meltica-demo-key");
    assert_eq!((counts.asked, counts.sent_twice, counts.placed), (4, 3, 1));
    assert_eq!(far.orders(Who::Demo)[0].times_asked, 4);
}

/// Parameters that requests know, with what somebody may write into them.
fn parameters() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "symbol",
        "side",
        "type",
        "timeInForce",
        "quantity",
        "price",
        "newClientOrderId",
        "orderId",
        "origClientOrderId",
        "recvWindow",
        "limit",
        "startTime",
        "fromId",
        "countdownTime",
        "cancelReplaceMode",
        "cancelOrderId",
        "reduceOnly",
        "selfTradePreventionMode",
    ]);
    let value = prop_oneof![
        prop::sample::select(vec![
            "BTCUSDT",
            "BUY",
            "SELL",
            "LIMIT",
            "MARKET",
            "LIMIT_MAKER",
            "GTC",
            "IOC",
            "FOK",
            "GTX",
            "1",
            "0",
            "0.5",
            "59000",
            "60000.1",
            "99999999999999999999",
            "18446744073709551615",
            "STOP_ON_FAILURE",
            "ALLOW_FAILURE",
            "true",
            "DECREMENT",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,24}",
        "[0-9.]{0,44}",
    ];
    let encoded = |text: String| {
        text.bytes()
            .map(|byte| match byte {
                b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'.' | b'_' => {
                    char::from(byte).to_string()
                }
                other => format!("%{other:02X}"),
            })
            .collect::<String>()
    };
    let pair = (name, value).prop_map(move |(name, value)| format!("{name}={}", encoded(value)));
    prop::collection::vec(pair, 0..10).prop_map(|pairs| pairs.join("&"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is asked gets an answer, and nobody's money comes from nowhere.
    #[test]
    fn whatever_is_asked_is_answered(queries in prop::collection::vec(parameters(), 1..30), spot in any::<bool>()) {
        let mut far = if spot { Far::spot() } else { Far::futures() };
        far.limit(Who::Other, "SELL", "1", "60000", "ask");
        far.connect(ME, if spot { "/ws-api/v3" } else { "/ws-fapi/v1" });
        for (n, query) in queries.iter().enumerate() {
            let all = requests::REQUESTS.iter().filter(|asked| asked.path.starts_with(if spot { "/api" } else { "/fapi" }));
            let all: Vec<_> = all.collect();
            let asked = all[n * 7 % all.len()];
            let reply = far.ask(Who::Demo, asked.method, asked.path, query);
            prop_assert!(serde_json::from_slice::<Value>(&reply.body).is_ok());
            let reply = far.ask(Who::Demo, "POST", far.order_path(), query);
            prop_assert!([200, 400, 429].contains(&reply.status), "{} {query}", reply.status);
            far.say(ME, query);
            let params: serde_json::Map<_, _> = model::capture::params(query)
                .map(|(name, value)| (name.to_owned(), value.into()))
                .collect();
            let answer = far.ws(Who::Demo, "order.place", params.into());
            prop_assert!(answer["status"].is_u64(), "{answer}");
        }
        for (asset, (free, locked)) in far.simulator.balances("meltica-demo-key") {
            let held = free + locked;
            prop_assert!(!free.is_sign_negative() && !locked.is_sign_negative() && held > Decimal::ZERO, "{asset}");
        }
    }
}
