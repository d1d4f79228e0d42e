//! What clients may say and what they get.

use super::*;

fn spot() -> Binance {
    Binance::for_venue("binance").unwrap()
}

fn usdm() -> Binance {
    Binance::for_venue("binance-usdm").unwrap()
}

fn said(session: &mut Session, text: &str) -> Value {
    let replies = spot().message(session, text.as_bytes());
    assert_eq!(replies.len(), 1);
    serde_json::from_slice(&replies[0]).unwrap()
}

fn names(session: &Session) -> Vec<&str> {
    session.streams.iter().map(String::as_str).collect()
}

#[test]
fn addresses_say_streams_and_envelope() {
    for (target, enveloped, streams) in [
        ("/stream?streams=a@trade/b@depth@100ms", true, vec!["a@trade", "b@depth@100ms"]),
        ("/stream?streams=a%40trade%2Fb@depth", true, vec!["a@trade", "b@depth"]),
        ("/stream?streams=%E5%B8%81usdt@trade", true, vec!["币usdt@trade"]),
        ("/stream?streams=100%@trade", true, vec!["100%@trade"]),
        ("/stream", true, vec![]),
        ("/ws", false, vec![]),
        ("/ws/a@trade", false, vec!["a@trade"]),
        ("/ws/a@trade/b@trade", false, vec!["a@trade", "b@trade"]),
    ] {
        let session = spot().connect(target).unwrap();
        assert_eq!((session.enveloped, names(&session)), (enveloped, streams), "{target}");
    }
    for target in ["/", "/wss/a@trade", "/streams?streams=a", "/public/ws/a@trade"] {
        let (status, message) = spot().connect(target).unwrap_err();
        assert!(status == 404 && message.contains("expected /stream"), "{target}");
    }
    assert_eq!(names(&usdm().connect("/public/ws/a@depth").unwrap()), ["a@depth"]);
    assert_eq!(usdm().connect("/private/ws/a@depth").unwrap_err().0, 404);
}

#[test]
fn on_the_wrong_path_of_usdm_a_stream_is_silent() {
    let served = |target: &str, stream: &str| {
        usdm().serves(&usdm().connect(&format!("{target}{stream}")).unwrap(), stream)
    };
    let public = ["a@depth@100ms", "a@rpiDepth", "a@bookTicker", "!bookTicker"];
    let market = ["a@aggTrade", "a@markPrice@1s", "a@kline_1m", "a@ticker", "!ticker@arr"];
    for (stream, is_public) in
        public.iter().map(|s| (*s, true)).chain(market.iter().map(|s| (*s, false)))
    {
        assert_eq!(served("/public/stream?streams=", stream), is_public, "{stream}");
        assert_eq!(served("/market/ws/", stream), !is_public, "{stream}");
        assert!(served("/stream?streams=", stream), "{stream}");
    }
    assert!(served("/public/stream?streams=", "a@somethingNew"));
}

#[test]
fn subscriptions_are_made_listed_and_taken_back() {
    let mut session = spot().connect("/ws").unwrap();
    let reply = said(&mut session, r#"{"method":"SUBSCRIBE","params":["b@x","a@x"],"id":1}"#);
    assert_eq!(reply, json!({"result": null, "id": 1}));
    let reply = said(&mut session, r#"{"method":"LIST_SUBSCRIPTIONS","id":"x"}"#);
    assert_eq!(reply, json!({"result": ["a@x", "b@x"], "id": "x"}));
    said(&mut session, r#"{"method":"UNSUBSCRIBE","params":["a@x","never@x"],"id":null}"#);
    assert_eq!(names(&session), ["b@x"]);
}

#[test]
fn the_envelope_is_a_property_of_the_connection() {
    let mut session = spot().connect("/ws").unwrap();
    let reply = said(&mut session, r#"{"method":"GET_PROPERTY","params":["combined"],"id":1}"#);
    assert_eq!(reply, json!({"result": false, "id": 1}));
    said(&mut session, r#"{"method":"SET_PROPERTY","params":["combined",true],"id":2}"#);
    assert!(session.enveloped);
}

#[test]
fn what_is_wrong_gets_the_venues_own_error() {
    let many: Vec<_> = (0..=STREAMS_MAX).map(|n| format!("s{n}@trade")).collect();
    let many = json!({"method": "SUBSCRIBE", "params": many, "id": 9}).to_string();
    for (text, code, message, id) in [
        ("nonsense", 3, "Invalid JSON", Value::Null),
        (r#"{"method":"SUBSCRIBE","params":["a"]}"#, 2, "request ID must be", Value::Null),
        (r#"{"method":"SUBSCRIBE","params":["a"],"id":[]}"#, 2, "request ID must be", json!([])),
        (r#"{"params":["a"],"id":3}"#, 2, "missing field `method`", json!(3)),
        (r#"{"method":"HELLO","id":4}"#, 2, "unknown variant HELLO", json!(4)),
        (r#"{"method":"SUBSCRIBE","params":"a","id":5}"#, 2, "params must be a list", json!(5)),
        (r#"{"method":"SUBSCRIBE","params":[1],"id":6}"#, 2, "params must be a list", json!(6)),
        (r#"{"method":"GET_PROPERTY","params":["x"],"id":7}"#, 0, "Unknown property", json!(7)),
        (r#"{"method":"GET_PROPERTY","id":7}"#, 2, "property name must be", json!(7)),
        (r#"{"method":"SET_PROPERTY","params":["combined",1],"id":8}"#, 1, "Boolean", json!(8)),
        ("[]", 2, "request ID must be", Value::Null),
        (many.as_str(), 2, "too many parameters", json!(9)),
    ] {
        let mut session = spot().connect("/ws").unwrap();
        let reply = said(&mut session, text);
        assert_eq!((&reply["error"]["code"], &reply["id"]), (&json!(code), &id), "{reply}");
        assert!(reply["error"]["msg"].as_str().unwrap().contains(message), "{reply}");
        assert!(session.streams.is_empty());
    }
}

#[test]
fn recorded_frames_are_told_apart() {
    let at = |url: &str, payload: &str| spot().recorded(url, payload.as_bytes());
    let combined = "wss://h/stream?streams=a@trade";
    let named = |stream: &str, body| Recorded::Named { stream: stream.into(), body };
    assert_eq!(at(combined, r#"{"stream":"a@trade","data":{"e":1}}"#), named("a@trade", 27..34));
    assert_eq!(at(combined, r#"{"data": [1] ,"stream":"\u0061"}"#), named("a", 9..12));
    assert_eq!(at("wss://h/ws/a@trade", r#"{"e":"trade"}"#), named("a@trade", 0..13));
    assert_eq!(at("wss://h/ws/a/b", r#"{"e":"trade"}"#), Recorded::Unnamed);
    assert_eq!(at(combined, r#"{"e":"serverShutdown","E":1}"#), Recorded::Unnamed);
    assert_eq!(at(combined, r#"{"result":null,"id":1}"#), Recorded::Reply);
    assert_eq!(at(combined, r#"{"error":{"code":2},"id":null}"#), Recorded::Reply);
    for garbage in ["", "x", "{\"stream\":", "[]", "{\"stream\":1,\"data\":2}"] {
        assert_eq!(at(combined, garbage), Recorded::Unnamed, "{garbage}");
    }
}

#[test]
fn frames_are_wrapped_and_unwrapped_byte_for_byte() {
    let (combined, raw) = (spot().connect("/stream").unwrap(), spot().connect("/ws").unwrap());
    let inner = Bytes::from_static(br#"{"p":"0.10"}"#);
    let whole = Bytes::from_static(br#"{"stream":"a@trade","data":{"p":"0.10"}}"#);
    let body = 27..39;
    let given = |session, bytes, body| spot().payload(session, "a@trade", bytes, &body);
    assert_eq!(given(&combined, &whole, body.clone()), whole);
    assert_eq!(given(&raw, &whole, body), inner);
    assert_eq!(given(&raw, &inner, 0..inner.len()), inner);
    assert_eq!(given(&combined, &inner, 0..inner.len()), whole);
}
