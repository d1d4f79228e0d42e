//! Spot by REST.

use super::*;

#[test]
fn an_order_is_placed_found_and_cancelled() {
    let mut far = Far::spot();
    let placed = far.limit(Who::Demo, "BUY", "0.5", "59000", "mine");
    let id = placed["orderId"].as_u64().unwrap();
    let at = json!(far.now_ms());
    assert_eq!(
        placed,
        json!({
            "symbol": "BTCUSDT", "orderId": id, "orderListId": -1, "clientOrderId": "mine",
            "transactTime": at, "price": "59000.00000000", "origQty": "0.50000000",
            "executedQty": "0.00000000", "origQuoteOrderQty": "0.00000000",
            "cummulativeQuoteQty": "0.00000000", "status": "NEW", "timeInForce": "GTC",
            "type": "LIMIT", "side": "BUY", "workingTime": at, "fills": [],
            "selfTradePreventionMode": "EXPIRE_MAKER",
        })
    );
    let by_name = "symbol=BTCUSDT&origClientOrderId=mine";
    let found = far.granted(Who::Demo, "GET", "/api/v3/order", by_name);
    assert_eq!(
        (&found["orderId"], &found["status"], &found["time"]),
        (&json!(id), &json!("NEW"), &at)
    );
    for path in ["/api/v3/openOrders", "/api/v3/allOrders"] {
        assert_eq!(far.granted(Who::Demo, "GET", path, "symbol=BTCUSDT"), json!([found]));
    }
    assert_eq!(far.granted(Who::Demo, "GET", "/api/v3/openOrders", ""), json!([found]));
    assert_eq!(far.granted(Who::Other, "GET", "/api/v3/openOrders", ""), json!([]));
    let account = far.granted(Who::Demo, "GET", "/api/v3/account", "");
    let usdt = account["balances"].as_array().unwrap().iter().find(|row| row["asset"] == "USDT");
    let parts = json!({"asset": "USDT", "free": "970500.00000000", "locked": "29500.00000000"});
    assert_eq!(usdt, Some(&parts));

    let by_id = format!("symbol=BTCUSDT&orderId={id}&newClientOrderId=bye");
    let cancelled = far.granted(Who::Demo, "DELETE", "/api/v3/order", &by_id);
    let names = (&cancelled["origClientOrderId"], &cancelled["clientOrderId"]);
    assert_eq!(names, (&json!("mine"), &json!("bye")));
    assert_eq!(cancelled["status"], "CANCELED");
    let found = far.granted(Who::Demo, "GET", "/api/v3/order", by_name);
    assert_eq!(found["status"], "CANCELED");
    assert_eq!(far.refused(Who::Demo, "DELETE", "/api/v3/order", by_name), (400, -2011));
    // The name may be used again, and means the newer order then.
    let again = far.limit(Who::Demo, "BUY", "0.5", "59000", "mine");
    let found = far.granted(Who::Demo, "GET", "/api/v3/order", by_name);
    assert_eq!(found["orderId"], again["orderId"]);
}

#[test]
fn an_order_that_is_filled_is_told_with_its_fills_and_fees() {
    let mut far = Far::spot();
    let ask = far.limit(Who::Other, "SELL", "0.3", "60000", "ask");
    far.limit(Who::Other, "SELL", "1", "60001", "ask2");
    let market = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.5";
    let placed = far.place(Who::Demo, market);
    let seen = ["status", "executedQty", "cummulativeQuoteQty", "type"].map(|name| &placed[name]);
    let right = ["FILLED", "0.50000000", "30000.20000000", "MARKET"].map(Value::from);
    assert_eq!(seen, [&right[0], &right[1], &right[2], &right[3]]);
    let first = &placed["fills"][0];
    assert_eq!((&first["price"], &first["qty"]), (&json!("60000.00000000"), &json!("0.30000000")));
    assert_eq!(
        (&first["commission"], &first["commissionAsset"]),
        (&json!("0.00030000"), &json!("BTC"))
    );
    let mine = far.granted(Who::Demo, "GET", "/api/v3/myTrades", "symbol=BTCUSDT");
    assert_eq!(mine.as_array().unwrap().len(), 2);
    assert_eq!((&mine[0]["isBuyer"], &mine[0]["isMaker"]), (&json!(true), &json!(false)));
    assert_eq!((&mine[0]["id"], &mine[0]["orderId"]), (&first["tradeId"], &placed["orderId"]));
    let of = format!("symbol=BTCUSDT&orderId={}", ask["orderId"]);
    let theirs = far.granted(Who::Other, "GET", "/api/v3/myTrades", &of);
    assert_eq!(
        (&theirs[0]["isMaker"], &theirs[0]["commission"]),
        (&json!(true), &json!("18.00000000"))
    );
    assert_eq!(theirs[0]["id"], mine[0]["id"], "both sides have the trade's number");
    let from = format!("symbol=BTCUSDT&fromId={}", mine[1]["id"]);
    let later = far.granted(Who::Demo, "GET", "/api/v3/myTrades", &from);
    assert_eq!(later, json!([mine[1]]));
    let ioc = limit("BUY", "2", "60001", "ioc").replace("GTC", "IOC");
    let seen = far.place(Who::Demo, &ioc);
    assert_eq!((&seen["status"], &seen["executedQty"]), (&json!("EXPIRED"), &json!("0.80000000")));
    let fok = limit("BUY", "2", "60001", "fok").replace("GTC", "FOK");
    let seen = far.place(Who::Demo, &fok);
    assert_eq!((&seen["status"], &seen["executedQty"]), (&json!("EXPIRED"), &json!("0.00000000")));
}

#[test]
fn an_answer_is_as_long_as_asked_for_and_a_test_places_nothing() {
    let mut far = Far::spot();
    let short = format!("{}&newOrderRespType=ACK", limit("BUY", "1", "59000", "a"));
    let answer = far.place(Who::Demo, &short);
    assert_eq!(answer.as_object().unwrap().len(), 5, "{answer}");
    let maker = "symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=1&price=59000";
    assert!(far.place(Who::Demo, maker)["status"].is_null());
    let test = limit("BUY", "1", "59000", "t");
    assert_eq!(far.granted(Who::Demo, "POST", "/api/v3/order/test", &test), json!({}));
    let wrong = test.replace("59000", "59000.05");
    assert_eq!(far.refused(Who::Demo, "POST", "/api/v3/order/test", &wrong), (400, -1013));
    assert_eq!(far.orders(Who::Demo).len(), 2);
}

#[test]
fn a_cancel_and_a_new_order_succeed_or_fail_together_or_apart() {
    let mut far = Far::spot();
    let path = "/api/v3/order/cancelReplace";
    let new = limit("BUY", "1", "58000", "next");
    let poor = limit("BUY", "1000", "58000", "poor");
    let ask = |order: &str, of: &str, mode: &str| {
        format!("{order}&cancelReplaceMode={mode}&cancelOrigClientOrderId={of}")
    };
    for (order, of, mode, status, code, results) in [
        (&new, "first", "STOP_ON_FAILURE", 200, None, ["SUCCESS", "SUCCESS"]),
        (&new, "none", "STOP_ON_FAILURE", 400, Some(-2022), ["FAILURE", "NOT_ATTEMPTED"]),
        (&poor, "next", "STOP_ON_FAILURE", 409, Some(-2021), ["SUCCESS", "FAILURE"]),
        (&new, "none", "ALLOW_FAILURE", 409, Some(-2021), ["FAILURE", "SUCCESS"]),
        (&poor, "none", "ALLOW_FAILURE", 400, Some(-2022), ["FAILURE", "FAILURE"]),
    ] {
        if of == "first" {
            far.limit(Who::Demo, "BUY", "1", "59000", "first");
        }
        let reply = far.ask(Who::Demo, "POST", path, &ask(order, of, mode));
        let body = body(&reply);
        assert_eq!((reply.status, body["code"].as_i64()), (status, code), "{body}");
        let told = if code.is_some() { &body["data"] } else { &body };
        let seen = [&told["cancelResult"], &told["newOrderResult"]];
        assert_eq!(seen, [&json!(results[0]), &json!(results[1])], "{body}");
    }
    let open = far.granted(Who::Demo, "GET", "/api/v3/openOrders", "");
    assert_eq!(open.as_array().unwrap().len(), 1);
    let all = far.granted(Who::Demo, "DELETE", "/api/v3/openOrders", "symbol=BTCUSDT");
    assert_eq!(
        (&all[0]["status"], &all[0]["origClientOrderId"]),
        (&json!("CANCELED"), &json!("next"))
    );
}

#[test]
fn own_orders_meet_as_the_mode_says() {
    for (mode, maker, taker) in [
        ("NONE", "FILLED", "FILLED"),
        ("EXPIRE_MAKER", "EXPIRED_IN_MATCH", "NEW"),
        ("EXPIRE_TAKER", "NEW", "EXPIRED_IN_MATCH"),
        ("EXPIRE_BOTH", "EXPIRED_IN_MATCH", "EXPIRED_IN_MATCH"),
        ("DECREMENT", "EXPIRED_IN_MATCH", "EXPIRED_IN_MATCH"),
    ] {
        let mut far = Far::spot();
        far.limit(Who::Demo, "SELL", "1", "60000", "maker");
        let query = limit("BUY", "1", "60000", "taker") + "&selfTradePreventionMode=" + mode;
        assert_eq!(far.place(Who::Demo, &query)["status"], taker, "{mode}");
        let query = "symbol=BTCUSDT&origClientOrderId=maker";
        assert_eq!(
            far.granted(Who::Demo, "GET", "/api/v3/order", query)["status"],
            maker,
            "{mode}"
        );
    }
}

#[test]
fn coins_fees_and_limits_are_told() {
    let mut far = Far::spot();
    let coins = far.granted(Who::Demo, "GET", "/sapi/v1/capital/config/getall", "");
    let names: Vec<_> = coins.as_array().unwrap().iter().map(|row| &row["coin"]).collect();
    assert_eq!(names, ["BTC", "USDT", "ETH"]);
    let fees = far.granted(Who::Demo, "GET", "/api/v3/account/commission", "symbol=BTCUSDT");
    assert_eq!(fees["standardCommission"]["maker"], "0.00100000");
    let all = far.granted(Who::Demo, "GET", "/sapi/v1/asset/tradeFee", "");
    assert_eq!(all.as_array().unwrap().len(), 2);
    let one = far.granted(Who::Demo, "GET", "/sapi/v1/asset/tradeFee", "symbol=ETHUSDT");
    assert_eq!(one, json!([all[1]]));
    assert_eq!(
        (&one[0]["symbol"], &one[0]["makerCommission"]),
        (&json!("ETHUSDT"), &json!("0.00100000"))
    );
    let pairs = far.granted(Who::Demo, "GET", "/sapi/v1/margin/allPairs", "");
    assert_eq!(pairs, json!([]));
    let list = far.raw(&Request::get("/api/v3/exchangeInfo"));
    let limits = body(&list)["rateLimits"].clone();
    assert_eq!(limits.as_array().unwrap().len(), 3, "{limits}");
    let thin = far.granted(Who::Demo, "GET", "/api/v3/account", "omitZeroBalances=true");
    assert_eq!(thin["balances"].as_array().unwrap().len(), 3);
}
