//! The venue, asked by hand.

use std::collections::BTreeMap;

use model::Decimal;
use serde_json::Value;

use super::*;
use crate::accounts::Account;
use crate::faults::Faults;
use crate::machine::{Machine, Output, RequestId};
use crate::venue::{Simulator, venue};

const START: Nanos = Nanos(1_780_000_000_000_000_000);
const CLIENT: ClientId = ClientId(1);

struct Talk {
    simulator: Simulator,
    now: Nanos,
    heard: Vec<Value>,
    closed: Option<(Nanos, u16)>,
}

fn talk(rate: u32) -> Talk {
    let options = SimOptions {
        seed: 3,
        symbols: vec!["BTC-USD".to_owned(), "ETH-USD".to_owned()],
        rate,
        faults: Faults::default(),
        start: START,
        accounts: vec![Account::demo()],
    };
    let simulator = venue("coinbase", &options).unwrap().unwrap();
    let mut talk = Talk { simulator, now: START, heard: Vec::new(), closed: None };
    talk.simulator.connect(START, CLIENT, "/", &mut Vec::new()).unwrap();
    talk
}

impl Talk {
    fn take(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Send { payload, .. } => {
                    self.heard.push(serde_json::from_slice(&payload).unwrap());
                }
                Output::Close { code, .. } => self.closed = Some((self.now, code)),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Says something; gives what is answered at once.
    fn say(&mut self, text: &str) -> Vec<Value> {
        let mut out = Vec::new();
        self.simulator.message(self.now, CLIENT, text.as_bytes(), &mut out);
        let before = std::mem::take(&mut self.heard);
        self.take(out);
        let answers = self.heard.clone();
        self.heard.splice(0..0, before);
        answers
    }

    fn subscribe(&mut self, channels: &str) -> Vec<Value> {
        self.say(&format!(
            r#"{{"type":"subscribe","product_ids":["BTC-USD","ETH-USD"],"channels":{channels}}}"#
        ))
    }

    /// Lets time pass; gives what was heard since the last time.
    fn run(&mut self, duration: Duration) -> Vec<Value> {
        let end = self.now + duration;
        while let Some(at) = self.simulator.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            let mut out = Vec::new();
            self.simulator.tick(self.now, &mut out);
            self.take(out);
        }
        self.now = end;
        std::mem::take(&mut self.heard)
    }

    fn ask(&mut self, target: &str) -> (u16, Value) {
        let mut out = Vec::new();
        self.simulator.request(self.now, RequestId(1), &Request::get(target), &mut out);
        let Some(Output::Answer { reply, .. }) = out.pop() else { panic!("no answer") };
        (reply.status, serde_json::from_slice(&reply.body).unwrap())
    }

    /// As the only one that is asked in a while.
    fn get(&mut self, target: &str) -> Value {
        self.simulator.new_address();
        let (status, body) = self.ask(target);
        assert_eq!(status, 200, "{target}: {body}");
        body
    }
}

fn of(heard: &[Value], kind: &str, product: &str) -> Vec<Value> {
    let is = |message: &&Value| message["type"] == kind && message["product_id"] == product;
    heard.iter().filter(is).cloned().collect()
}

fn number(value: &Value) -> Decimal {
    value.as_str().unwrap().parse().unwrap()
}

/// Bids and asks: sizes by price.
type Sides = [BTreeMap<Decimal, Decimal>; 2];

/// A client's book, as the documentation says: the snapshot replaces, a size of 0 removes.
fn book(heard: &[Value], product: &str) -> Sides {
    let mut sides = Sides::default();
    follow(&mut sides, heard, product);
    sides
}

fn follow(sides: &mut Sides, heard: &[Value], product: &str) {
    for message in heard.iter().filter(|message| message["product_id"] == product) {
        match message["type"].as_str().unwrap() {
            "snapshot" => {
                *sides = ["bids", "asks"].map(|name| {
                    let levels = message[name].as_array().unwrap().iter();
                    levels.map(|level| (number(&level[0]), number(&level[1]))).collect()
                });
            }
            "l2update" => {
                for change in message["changes"].as_array().unwrap() {
                    let side = usize::from(change[0] == "sell");
                    match number(&change[2]) {
                        size if size.is_zero() => sides[side].remove(&number(&change[1])),
                        size => sides[side].insert(number(&change[1]), size),
                    };
                }
            }
            _ => {}
        }
    }
}

fn truth(talk: &Talk, product: &str) -> Sides {
    let book = &talk.simulator.books()[product];
    [&book.bids, &book.asks]
        .map(|levels| levels.iter().map(|level| (level.price, level.quantity)).collect())
}

#[test]
fn a_client_that_follows_the_procedure_has_the_truth() {
    let mut talk = talk(500);
    talk.subscribe(r#"["level2_batch"]"#);
    let (mut all, mut books) = (Vec::new(), [Sides::default(), Sides::default()]);
    for n in 0..20 {
        let heard = talk.run(Duration::from_secs(1));
        for (copy, product) in books.iter_mut().zip(["BTC-USD", "ETH-USD"]) {
            follow(copy, &heard, product);
            assert_eq!(*copy, truth(&talk, product), "{product} in second {n}");
        }
        all.extend(heard);
    }
    for product in ["BTC-USD", "ETH-USD"] {
        assert_eq!(of(&all, "snapshot", product).len(), 1);
        let updates = of(&all, "l2update", product);
        // A batch at most every 50 ms, at its whole multiples.
        assert!((100..=400).contains(&updates.len()), "{}", updates.len());
        let times: Vec<_> = updates.iter().map(|update| update["time"].as_str().unwrap()).collect();
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{product}");
        let on_grid = |time: &&str| time.ends_with("50000Z") || time.ends_with("00000Z");
        assert!(times.iter().all(on_grid), "{times:?}");
    }
}

#[test]
fn whoever_comes_later_or_again_gets_a_snapshot_that_is_continued() {
    let mut talk = talk(500);
    talk.subscribe(r#"["level2_batch"]"#);
    talk.run(Duration::from_millis(3_020));
    talk.say(r#"{"type":"unsubscribe","product_ids":["BTC-USD"],"channels":["level2_batch"]}"#);
    let heard = talk.run(Duration::from_millis(1_010));
    assert!(of(&heard, "l2update", "BTC-USD").is_empty());
    assert!(!of(&heard, "l2update", "ETH-USD").is_empty());
    // In the middle of a window, of which the others still have the first half to come.
    let answers = talk.subscribe(r#"["level2_batch"]"#);
    let kinds: Vec<_> = answers.iter().map(|message| &message["type"]).collect();
    assert_eq!(kinds, ["subscriptions", "snapshot"]);
    let heard = talk.run(Duration::from_millis(2_970));
    assert_eq!(book(&heard, "BTC-USD"), truth(&talk, "BTC-USD"));
}

#[test]
fn sequences_rise_and_the_last_trade_is_known_by_all() {
    let mut talk = talk(500);
    talk.subscribe(r#"["matches","ticker"]"#);
    let heard = talk.run(Duration::from_secs(20));
    let numbers = |kind, key: &str| -> Vec<u64> {
        of(&heard, kind, "ETH-USD").iter().map(|m| m[key].as_u64().unwrap()).collect()
    };
    let (ids, sequences) = (numbers("match", "trade_id"), numbers("match", "sequence"));
    assert!(ids.len() > 20 && ids.windows(2).all(|pair| pair[1] == pair[0] + 1));
    assert!(sequences.windows(2).all(|pair| pair[0] < pair[1]));
    let last = talk.simulator.trades("ETH-USD").pop().unwrap();
    let matches = of(&heard, "match", "ETH-USD");
    let matched = matches.last().unwrap();
    let maker = if last.aggressor == Side::Buy { "sell" } else { "buy" };
    assert_eq!((&matched["trade_id"], &matched["side"]), (&last.id.into(), &maker.into()));
    assert_ne!(matched["maker_order_id"], matched["taker_order_id"]);
    let tickers = of(&heard, "ticker", "ETH-USD");
    assert!(tickers.len() <= ids.len() && !tickers.is_empty());
    for ticker in &tickers {
        let at = sequences.iter().position(|seen| ticker["sequence"] == *seen).unwrap();
        assert_eq!(ticker["trade_id"], ids[at]);
        assert_ne!(ticker["side"], matches[at]["side"], "who took");
        assert!(number(&ticker["low_24h"]) <= number(&ticker["price"]));
        assert!(number(&ticker["price"]) <= number(&ticker["high_24h"]));
        assert!(number(&ticker["best_bid"]) < number(&ticker["best_ask"]));
    }
    talk.say(r#"{"type":"unsubscribe","channels":["matches"]}"#);
    let answers = talk.subscribe(r#"["matches"]"#);
    let again = of(&answers, "last_match", "ETH-USD").pop().unwrap();
    assert_eq!(again["sequence"], *sequences.last().unwrap());
    assert_eq!(again["trade_id"], last.id);
}

#[test]
fn heartbeats_come_each_second_and_name_sequence_and_trade() {
    let mut talk = talk(500);
    talk.subscribe(r#"["heartbeat","matches","status"]"#);
    let heard = talk.run(Duration::from_secs(10));
    assert_eq!(heard.iter().filter(|message| message["type"] == "status").count(), 3);
    let (mut trade, mut sequence, mut beats) = (None, 0, 0);
    let all = heard.iter().filter(|message| message["product_id"] == "BTC-USD");
    for message in all {
        let current = message["sequence"].as_u64().unwrap();
        assert!(sequence <= current, "{message}");
        sequence = current;
        if message["type"] == "heartbeat" {
            beats += 1;
            assert!(trade.is_none_or(|id| message["last_trade_id"] == id), "{message}");
        } else {
            trade = message["trade_id"].as_u64();
        }
    }
    assert_eq!((beats, trade.is_some()), (10, true));
    assert_eq!(of(&heard, "heartbeat", "ETH-USD").len(), 10);
}

#[test]
fn a_connection_without_a_subscription_ends_after_five_seconds() {
    let mut silent = talk(10);
    silent.run(Duration::from_secs(10));
    assert_eq!(silent.closed, Some((START + SUBSCRIBE_WITHIN, 1008)));
    let mut refused = talk(10);
    refused.subscribe(r#"["tricker"]"#);
    refused.run(Duration::from_secs(10));
    assert!(refused.closed.is_some(), "a refusal is no subscription");
    let mut subscribed = talk(10);
    subscribed.subscribe(r#"["ticker"]"#);
    subscribed.say(r#"{"type":"unsubscribe","channels":["ticker"]}"#);
    subscribed.run(Duration::from_secs(10));
    assert_eq!(subscribed.closed, None);
}

#[test]
fn subscriptions_are_told_whole_and_refusals_in_the_venues_words() {
    let mut talk = talk(0);
    let answers = talk.say(
        r#"{"type":"subscribe","product_ids":["ETH-USD","X-Y"],"channels":["ticker",{"name":"heartbeat","product_ids":["BTC-USD"]},"status"]}"#,
    );
    assert_eq!(answers[0]["reason"], "X-Y is not a valid product");
    let channels = serde_json::json!([
        {"name": "heartbeat", "product_ids": ["BTC-USD"]},
        {"name": "status", "product_ids": []},
        {"name": "ticker", "product_ids": ["ETH-USD"]},
    ]);
    assert_eq!(
        (&answers[1]["type"], &answers[1]["channels"]),
        (&"subscriptions".into(), &channels)
    );
    assert_eq!(answers[2]["products"][0]["id"], "BTC-USD");
    let answers = talk.say(r#"{"type":"unsubscribe","channels":["ticker","status"]}"#);
    assert_eq!(answers[0]["channels"], serde_json::json!([channels[0]]));
    let answers = talk.say(r#"{"type":"unsubscribe","product_ids":["BTC-USD"]}"#);
    assert_eq!(answers[0]["channels"], serde_json::json!([]));
    for (ask, message, reason) in [
        (
            r#"{"type":"subscribe","channels":["tricker"]}"#,
            "Failed to subscribe",
            "tricker is not a valid channel",
        ),
        (
            r#"{"type":"subscribe","channels":["ticker"]}"#,
            "Failed to subscribe",
            "ticker: no product_ids",
        ),
        (r#"{"type":"subscribe"}"#, "Failed to subscribe", "no channels"),
        (
            r#"{"type":"sing"}"#,
            "Failed to subscribe",
            "Type has to be either subscribe or unsubscribe",
        ),
        (
            r#"{"type":"subscribe","product_ids":["BTC-USD"],"channels":["level2"]}"#,
            "Failed to subscribe",
            errors::UNSIGNED.1,
        ),
        ("garbage", "Malformed JSON", "not a request"),
        (r#"{"type":"subscribe","channels":[7]}"#, "Malformed JSON", "not a request"),
    ] {
        let answers = talk.say(ask);
        let [error] = answers.as_slice() else { panic!("{answers:?}") };
        assert_eq!(
            (&error["message"], &error["reason"]),
            (&message.into(), &reason.into()),
            "{ask}"
        );
    }
}

/// A subscription of `level2`, with a signature of that text by that secret.
fn signed(key: &str, passphrase: &str, secret: &str, text: &str, timestamp: &str) -> String {
    let secret = crate::sign::from_base64(secret).unwrap();
    let signature = crate::sign::base64(&crate::sign::hmac_sha256(secret, text.as_bytes()));
    format!(
        r#"{{"type":"subscribe","product_ids":["BTC-USD"],"channels":["level2"],"key":"{key}","passphrase":"{passphrase}","timestamp":{timestamp},"signature":"{signature}"}}"#
    )
}

#[test]
fn level2_is_for_those_who_sign_and_comes_once_beside_the_batch() {
    let Account { api_key, secret, passphrase, .. } = Account::demo();
    let of = |stamp: &str| {
        let text = format!("{}{}", stamp.trim_matches('"'), sign::SIGNED);
        signed(&api_key, &passphrase, &secret, &text, stamp)
    };
    let mut talk = talk(500);
    let right = &format!("1780000000{}", sign::SIGNED);
    for (wrong, reason) in [
        (signed("k", &passphrase, &secret, right, "1780000000"), errors::KEY),
        (signed("", &passphrase, &secret, right, "1780000000"), errors::KEY),
        (signed(&api_key, "p", &secret, right, "1780000000"), errors::PASSPHRASE),
        (signed(&api_key, &passphrase, "b3RoZXI=", right, "1780000000"), errors::SIGNATURE),
        (signed(&api_key, &passphrase, &secret, right, "1780000001"), errors::SIGNATURE),
        (of("1780000000").replace("\"signature\":\"", "\"signature\":\"%"), errors::SIGNATURE),
        (of("1780000031"), errors::EXPIRED),
        (of("1779999969"), errors::EXPIRED),
        (of(r#""noon""#), errors::TIMESTAMP),
        (of("null"), errors::TIMESTAMP),
    ] {
        let answers = talk.say(&wrong);
        let said = (&answers[0]["message"], &answers[0]["reason"]);
        assert_eq!(said, (&reason.0.into(), &reason.1.into()), "{wrong}");
    }
    for stamp in ["1780000000", r#""1780000000.25""#, "1780000030", "1779999970"] {
        let answers = talk.say(&of(stamp));
        assert_eq!(answers[0]["channels"][0]["name"], "level2", "{stamp}");
    }
    talk.say(r#"{"type":"subscribe","product_ids":["BTC-USD"],"channels":["level2_batch"]}"#);
    let heard = talk.run(Duration::from_secs(5));
    assert_eq!(book(&heard, "BTC-USD"), truth(&talk, "BTC-USD"));
    let updates = super::tests::of(&heard, "l2update", "BTC-USD");
    assert!(updates.windows(2).all(|pair| pair[0]["time"] != pair[1]["time"]));
}

#[test]
fn requests_are_limited_to_ten_a_second_and_bursts_of_fifteen() {
    let mut talk = talk(0);
    for round in 0..3 {
        let granted = if round == 0 { 15 } else { 10 };
        for n in 0..granted {
            assert_eq!(talk.ask("/time").0, 200, "{round} {n}");
        }
        let (status, body) = talk.ask("/products");
        assert_eq!((status, &body["message"]), (429, &"Public rate limit exceeded".into()));
        talk.run(Duration::from_secs(1));
    }
    talk.run(Duration::from_secs(60));
    assert_eq!((0..20).filter(|_| talk.ask("/time").0 == 200).count(), 15, "and no more");
}

#[test]
fn rest_agrees_with_the_stream() {
    let mut talk = talk(500);
    talk.subscribe(r#"["level2_batch","matches","ticker","heartbeat"]"#);
    let heard = talk.run(Duration::from_secs(10));
    let whole = talk.get("/products/BTC-USD/book?level=2");
    let sides = ["bids", "asks"].map(|name| -> BTreeMap<_, _> {
        let levels = whole[name].as_array().unwrap().iter();
        assert!(levels.clone().all(|level| level[2].as_u64().unwrap() > 0));
        levels.map(|level| (number(&level[0]), number(&level[1]))).collect()
    });
    assert_eq!(sides, book(&heard, "BTC-USD"));
    assert_eq!(sides, truth(&talk, "BTC-USD"));
    let best = talk.get("/products/BTC-USD/book");
    assert_eq!(best["bids"].as_array().unwrap().len(), 1);
    assert_eq!((&best["bids"][0], &best["asks"][0]), (&whole["bids"][0], &whole["asks"][0]));
    assert_eq!(best["sequence"], talk.simulator.books()["BTC-USD"].position.unwrap());
    let matches = of(&heard, "match", "BTC-USD");
    let trades = talk.get("/products/BTC-USD/trades");
    for (trade, matched) in trades.as_array().unwrap().iter().zip(matches.iter().rev()) {
        for key in ["trade_id", "side", "price", "time"] {
            assert_eq!(trade[key], matched[key], "{key}");
        }
        assert_eq!(number(&trade["size"]), number(&matched["size"]));
    }
    let newest = trades[0]["trade_id"].as_u64().unwrap();
    let page = talk.get(&format!("/products/BTC-USD/trades?limit=2&after={newest}"));
    assert_eq!(page, serde_json::json!([trades[1], trades[2]]));
    assert_eq!(
        talk.get(&format!("/products/BTC-USD/trades?before={newest}")),
        serde_json::json!([])
    );
    let (ticker, streamed) =
        (talk.get("/products/BTC-USD/ticker"), of(&heard, "ticker", "BTC-USD"));
    assert_eq!(ticker["trade_id"], streamed.last().unwrap()["trade_id"]);
    let stats = talk.get("/products/BTC-USD/stats");
    assert_eq!(stats["last"], ticker["price"]);
    assert_eq!(stats["high"], streamed.last().unwrap()["high_24h"]);
}

#[test]
fn candles_are_of_whole_buckets_newest_first_and_at_most_300() {
    let mut talk = talk(500);
    talk.run(Duration::from_secs(130));
    let minutes = talk.get("/products/BTC-USD/candles?granularity=60");
    let rows: Vec<Vec<Decimal>> = minutes
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row.as_array().unwrap().iter().map(|n| n.to_string().parse().unwrap()).collect())
        .collect();
    assert_eq!(rows.len(), 300);
    assert!(rows.windows(2).all(|pair| pair[0][0] > pair[1][0]));
    for row in &rows {
        let [at, low, high, open, close, _] = row.as_slice() else { panic!("{row:?}") };
        assert!((at % Decimal::from(60)).is_zero());
        assert!(low <= open && low <= close && high >= open && high >= close);
    }
    let ticker = talk.get("/products/BTC-USD/ticker");
    assert_eq!(rows[0][4], number(&ticker["price"]));
    assert!(!rows[0][5].is_zero());
    let end = 1_780_000_000 / 60 * 60;
    let range = talk.get(&format!("/products/BTC-USD/candles?start={}&end={end}", end - 120));
    let starts: Vec<_> =
        range.as_array().unwrap().iter().map(|row| row[0].as_u64().unwrap()).collect();
    assert_eq!(starts, [end, end - 60, end - 120]);
    let date = |at: u64| crate::digits::rfc3339(Nanos(at * 1_000_000_000), 3).replace(':', "%3A");
    let dated = format!("/products/BTC-USD/candles?start={}&end={}", date(end - 120), date(end));
    assert_eq!(talk.get(&dated), range);
}

#[test]
fn rest_says_what_is_wrong() {
    let mut talk = talk(0);
    assert_eq!(talk.get("/products").as_array().unwrap().len(), 2);
    let product = talk.get("/products/ETH-USD");
    assert_eq!((&product["base_currency"], &product["status"]), (&"ETH".into(), &"online".into()));
    let currencies = talk.get("/currencies");
    let ids: Vec<_> = currencies.as_array().unwrap().iter().map(|of| &of["id"]).collect();
    assert_eq!(ids, ["BTC", "USD", "ETH"]);
    let time = talk.get("/time");
    assert_eq!(time["iso"], "2026-05-28T20:26:40.000Z");
    assert_eq!(time["epoch"].to_string(), "1780000000.0");
    for (target, status, message) in [
        ("/", 404, "NotFound"),
        ("/nothing", 404, "NotFound"),
        ("/products/X-Y", 404, "NotFound"),
        ("/products/X-Y/book", 404, "NotFound"),
        ("/products/BTC-USD/bok", 404, "NotFound"),
        ("/products/BTC-USD/ticker", 404, "NotFound"),
        ("/products/BTC-USD/book?level=3", 400, "Invalid level: 1 or 2 expected"),
        ("/products/BTC-USD/book?level=x", 400, "Invalid level: 1 or 2 expected"),
        ("/products/BTC-USD/trades?limit=x", 400, "Invalid limit: 1 to 1000 expected"),
        ("/products/BTC-USD/trades?after=x", 400, "Invalid after: a trade_id expected"),
        ("/products/BTC-USD/candles?granularity=61", 400, "Unsupported granularity"),
        ("/products/BTC-USD/candles?start=noon&end=1", 400, "Invalid start"),
    ] {
        let (got, body) = talk.ask(target);
        assert_eq!((got, &body["message"]), (status, &message.into()), "{target}");
    }
    let (status, body) = talk.ask("/products/BTC-USD/candles?start=0&end=18061");
    assert!(status == 400 && body["message"].as_str().unwrap().contains("exceeds 300"), "{body}");
}

#[test]
fn only_spot_is_listed_and_only_its_path_is_served() {
    let error = VENUE.listing("BTC-USD-PERP").unwrap_err();
    assert!(error.message.contains("BASE-QUOTE"), "{error:?}");
    let mut talk = talk(0);
    let reply = talk.simulator.connect(START, ClientId(2), "/v2", &mut Vec::new()).unwrap_err();
    assert_eq!(reply.status, 404);
    talk.simulator.connect(START, ClientId(2), "/?a=b", &mut Vec::new()).unwrap();
}
