//! Who may.

use super::*;

#[test]
fn a_request_is_its_accounts_where_every_header_is_right() {
    // Worked out by another program, with the secret and the request of the documentation.
    let message = "2020-12-08T09:08:57.715ZGET/api/v5/account/balance?ccy=BTC";
    let tag = sign::hmac_sha256("22582BD0CFF14C41EDBF1AB98506286D", message.as_bytes());
    assert_eq!(sign::base64(&tag), "HiZhvSfMtWJA3uUIVXV3a/bSXNPCWvYFXoGCVS8V4zY=");

    let mut desk = desk(1, 0);
    let target = "/api/v5/account/balance?ccy=BTC";
    let good = desk.signed(ANN, "GET", target, "");
    assert_eq!(desk.ask(&good).0, 200);
    let set = |request: &Request, name: &str, value: &str| {
        let mut request = request.clone();
        let header = request.headers.iter_mut().find(|(other, _)| other == name).unwrap();
        header.1 = value.to_owned();
        request
    };
    let resigned = |desk: &Desk, timestamp: &str| {
        let message = format!("{timestamp}GET{target}");
        let tag = sign::hmac_sha256(&account(ANN).secret, message.as_bytes());
        let request = set(&desk.signed(ANN, "GET", target, ""), "ok-access-timestamp", timestamp);
        set(&request, "ok-access-sign", &sign::base64(&tag))
    };
    let times = [29, 31].map(|seconds| {
        [desk.now + Duration::from_secs(seconds), Nanos(desk.now.0 - seconds * 1_000_000_000)]
            .map(|at| resigned(&desk, &digits::rfc3339(at, 3)))
    });
    for fresh in &times[0] {
        assert_eq!(desk.ask(fresh).0, 200);
    }
    for (request, code) in [
        (set(&good, "ok-access-key", ""), "50103"),
        (set(&good, "ok-access-passphrase", ""), "50104"),
        (set(&good, "ok-access-sign", ""), "50106"),
        (set(&good, "ok-access-timestamp", ""), "50107"),
        (set(&good, "ok-access-timestamp", "yesterday"), "50112"),
        (set(&good, "ok-access-key", "nobody"), "50111"),
        (set(&good, "ok-access-passphrase", "bobs word"), "50105"),
        (set(&good, "ok-access-sign", "not base64!"), "50113"),
        (set(&good, "ok-access-sign", "aGVsbG8="), "50113"),
        (set(&good, "ok-access-timestamp", &digits::rfc3339(desk.now, 0)), "50113"),
        (Request { target: target.replace("BTC", "ETH"), ..good.clone() }, "50113"),
        (Request { method: "POST".to_owned(), ..good.clone() }, "50115"),
        (times[1][0].clone(), "50102"),
        (times[1][1].clone(), "50102"),
    ] {
        let (status, answer) = desk.ask(&request);
        let expected = if code == "50115" { 405 } else { 401 };
        assert_eq!((status, &answer["code"]), (expected, &code.into()), "{request:?}");
    }
    let order = desk.signed(ANN, "POST", "/api/v5/trade/order", "{}");
    for (request, status, code) in [
        (Request { body: "{\"a\":1}".into(), ..order.clone() }, 401, "50113"),
        (desk.signed(ANN, "POST", "/api/v5/trade/order", ""), 400, "50000"),
        (desk.signed(ANN, "POST", "/api/v5/trade/order", "{"), 400, "50002"),
        (desk.signed(ANN, "POST", "/api/v5/trade/order", "[]"), 400, "50002"),
        (desk.signed(ANN, "POST", "/api/v5/trade/batch-orders", "[7]"), 400, "50002"),
        (set(&order, "content-type", "text/plain"), 400, "50006"),
        (desk.signed(ANN, "DELETE", "/api/v5/trade/order", ""), 405, "50115"),
        (desk.signed(ANN, "GET", "/api/v5/trade/cancel-order", ""), 405, "50115"),
        (desk.signed(ANN, "GET", "/api/v5/trade/cancel-all-after", ""), 405, "50115"),
        (desk.signed(ANN, "GET", "/api/v5/trade/nothing", ""), 404, "404"),
    ] {
        let (found, answer) = desk.ask(&request);
        assert_eq!((found, &answer["code"]), (status, &code.into()), "{request:?}");
    }
}

#[test]
fn a_connection_logs_in_once_and_is_ended_where_that_fails() {
    let message = format!("1607418537{LOGIN}");
    let tag = sign::hmac_sha256("22582BD0CFF14C41EDBF1AB98506286D", message.as_bytes());
    assert_eq!(sign::base64(&tag), "0vjUjLrA6Rxym2CT08KxFZ5U92xuS0FYHMvxJS17GwM=");

    let mut desk = desk(1, 0);
    let again = desk.log_in(ANN, &account(ANN));
    assert_eq!((&again["event"], &again["code"]), (&"error".into(), &"60031".into()));
    assert!(desk.closed.is_empty());
    let now = (desk.now.0 / 1_000_000_000).to_string();
    let old = (desk.now.0 / 1_000_000_000 - 31).to_string();
    let signed = |seconds: &str, secret: &str| {
        let message = format!("{seconds}{LOGIN}");
        sign::base64(&sign::hmac_sha256(secret, message.as_bytes()))
    };
    let Account { api_key, secret, passphrase, .. } = account(ANN);
    let args = |key: &str, word: &str, at: &str, secret: &str| {
        let sign = signed(at, secret);
        json!([{"apiKey": key, "passphrase": word, "timestamp": at, "sign": sign}])
    };
    let mut nth = 10;
    for (args, code) in [
        (json!([]), "60013"),
        (json!([{}, {}]), "60013"),
        (json!([{"apiKey": api_key}]), "60027"),
        (args(&api_key, &passphrase, "soon", &secret), "60004"),
        (args(&api_key, &passphrase, &old, &secret), "60006"),
        (args("nobody", &passphrase, &now, &secret), "60005"),
        (args(&api_key, "bobs word", &now, &secret), "60024"),
        (args(&api_key, &passphrase, &now, "bobs secret"), "60007"),
    ] {
        nth += 1;
        desk.connect(ClientId(nth), "/ws/v5/private");
        let answer = desk.say(ClientId(nth), &json!({"op": "login", "args": args}).to_string());
        assert_eq!((&answer[0]["event"], &answer[0]["code"]), (&"error".into(), &code.into()));
        assert_eq!(desk.closed.last(), Some(&(ClientId(nth), 4001)), "{code}");
    }
    // At each address; a fraction of a second does no harm.
    for (nth, target) in (30..).zip(["/ws/v5/public", "/ws/v5/business", "/ws/v5/private"]) {
        desk.connect(ClientId(nth), target);
        let args = args(&api_key, &passphrase, &format!("{now}.25"), &secret);
        let answer = desk.say(ClientId(nth), &json!({"op": "login", "args": args}).to_string());
        assert_eq!((&answer[0]["event"], &answer[0]["code"]), (&"login".into(), &"0".into()));
    }
}

#[test]
fn orders_and_channels_want_a_login_and_their_address() {
    let mut desk = desk(1, 0);
    desk.connect(ClientId(9), "/ws/v5/private");
    desk.connect(ClientId(8), "/ws/v5/public");
    let subscribe = json!({"op": "subscribe", "args": [{"channel": "account"}]}).to_string();
    let order = json!({"id": "1", "op": "order", "args": [{}]}).to_string();
    let cases = [
        (ClientId(9), &subscribe, "60011"),
        (ClientId(9), &order, "60011"),
        (ClientId(8), &subscribe, "60018"),
        (ClientId(8), &order, "60028"),
    ];
    for (client, text, code) in cases {
        let answer = desk.say(client, text);
        assert_eq!((&answer[0]["event"], &answer[0]["code"]), (&"error".into(), &code.into()));
    }
    for (ask, code) in [
        (json!({"op": "order", "args": [{}]}), "60027"),
        (json!({"id": "a-b", "op": "order", "args": [{}]}), "60033"),
        (json!({"id": "1", "op": "order", "args": []}), "60013"),
        (json!({"id": "1", "op": "order", "args": [{}, {}]}), "60013"),
        (json!({"id": "1", "op": "batch-orders"}), "60013"),
        (json!({"id": "1", "op": "order", "args": [7]}), "60012"),
    ] {
        assert_eq!(desk.say(ANN, &ask.to_string())[0]["code"], code, "{ask}");
    }
}
