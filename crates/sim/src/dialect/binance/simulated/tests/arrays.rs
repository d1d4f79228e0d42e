//! Streams of all instruments.

use super::*;

fn of(messages: &[Value], stream: &str) -> Vec<Value> {
    let all = messages.iter().filter(|message| message["stream"] == stream);
    all.map(|message| message["data"].clone()).collect()
}

fn symbols(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|row| row["s"].as_str().unwrap()).collect()
}

#[test]
fn all_tickers_and_marks_come_in_one_list() {
    let streams = "!miniTicker@arr/!ticker@arr/!markPrice@arr/!markPrice@arr@1s/btcusdt@ticker";
    let mut far = Far::connected("binance-usdm", 500, &format!("/market/stream?streams={streams}"));
    far.run_for(Duration::from_millis(6_500));
    let messages = far.messages();
    for (stream, event, count) in [
        ("!miniTicker@arr", "24hrMiniTicker", 6),
        ("!ticker@arr", "24hrTicker", 6),
        ("!markPrice@arr", "markPriceUpdate", 2),
        ("!markPrice@arr@1s", "markPriceUpdate", 6),
    ] {
        let lists = of(&messages, stream);
        assert_eq!(lists.len(), count, "{stream}");
        assert!(lists.iter().all(|list| symbols(list) == ["BTCUSDT", "ETHUSDT"]), "{stream}");
        assert_eq!(lists[0][0]["e"], event);
    }
    let alone = of(&messages, "btcusdt@ticker");
    let listed = of(&messages, "!ticker@arr");
    assert!(alone.iter().eq(listed.iter().map(|list| &list[0])));
}

#[test]
fn what_did_not_change_is_in_no_list() {
    let mut far = Far::connected("binance", 500, "/ws/!miniTicker@arr");
    far.run_for(2 * SECOND);
    assert_eq!(symbols(&far.messages()[0]).len(), 2);
    far.simulator.freeze();
    far.run_for(2 * SECOND);
    far.out.clear();
    far.run_for(5 * SECOND);
    assert!(far.messages().is_empty());
    far.simulator.thaw();
    far.run_for(2 * SECOND);
    assert!(!far.messages().is_empty());
    far.say(r#"{"method":"UNSUBSCRIBE","params":["!miniTicker@arr"],"id":1}"#);
    far.out.clear();
    far.run_for(2 * SECOND);
    assert!(far.messages().is_empty());
}

#[test]
fn all_quotes_come_each_alone_and_spot_has_fewer_of_these_streams() {
    let mut far = Far::connected("binance-coinm", 500, "/ws/!bookTicker");
    far.run_for(Duration::from_millis(5_200));
    let messages = far.messages();
    let told: Vec<_> = messages.iter().map(|message| message["s"].as_str().unwrap()).collect();
    assert_eq!(told, ["BTCUSD_PERP", "ETHUSD_PERP"]);
    let quote = far.json("/dapi/v1/ticker/bookTicker?symbol=BTCUSD_PERP");
    assert_eq!(messages[0]["e"], "bookTicker");
    assert!(number(&messages[0]["a"]) > number(&messages[0]["b"]), "{quote}");

    let mut far = Far::connected("binance", 500, "/ws/!bookTicker/!ticker@arr/!markPrice@arr");
    far.run_for(6 * SECOND);
    assert!(far.messages().is_empty());
}
