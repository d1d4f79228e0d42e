//! Binance's simulated lines against clients written from the documentation, and the table of
//! requests, streams, limits and errors.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Decimal, Nanos};
use proptest::prelude::*;
use serde_json::Value;

use crate::faults::Faults;
use crate::machine::{ClientId, ControlFrame, Machine, Output, Reply, Request, RequestId};
use crate::venue::{SimOptions, Simulator, TrueBook, default_symbols, venue};

#[path = "tests/arrays.rs"]
mod arrays;
#[path = "tests/candles.rs"]
mod candles;

const START: Nanos = Nanos(1_790_000_000_000_000_000);
const ME: ClientId = ClientId(1);
const SECOND: Duration = Duration::from_secs(1);

/// A venue and what it has sent.
struct Far {
    simulator: Simulator,
    now: Nanos,
    out: Vec<Output>,
    asked: u64,
    /// Whether pings are answered.
    answers: bool,
}

impl Far {
    fn new(name: &str, rate: u32) -> Self {
        let options = SimOptions {
            seed: 5,
            symbols: default_symbols(name, 2),
            rate,
            faults: Faults::default(),
            start: START,
            accounts: Vec::new(),
        };
        let simulator = venue(name, &options).unwrap().unwrap();
        Self { simulator, now: START, out: Vec::new(), asked: 0, answers: true }
    }

    fn connected(name: &str, rate: u32, target: &str) -> Self {
        let mut far = Self::new(name, rate);
        far.connect(ME, target).unwrap();
        far
    }

    fn connect(&mut self, client: ClientId, target: &str) -> Result<(), Reply> {
        self.simulator.connect(self.now, client, target, &mut self.out)
    }

    fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(at) = self.simulator.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.simulator.tick(self.now, &mut self.out);
            self.answer_pings();
        }
        self.now = end;
    }

    fn answer_pings(&mut self) {
        while self.answers
            && let Some(at) = self.out.iter().position(|o| matches!(o, Output::Ping { .. }))
            && let Output::Ping { client, payload } = self.out.remove(at)
        {
            self.control(client, ControlFrame::Pong(payload));
        }
    }

    fn control(&mut self, client: ClientId, control: ControlFrame) {
        self.simulator.control(self.now, client, &control, &mut self.out);
    }

    fn get(&mut self, target: &str) -> Reply {
        self.asked += 1;
        let (id, mut out) = (RequestId(self.asked), Vec::new());
        self.simulator.request(self.now, id, &Request::get(target), &mut out);
        match out.pop() {
            Some(Output::Answer { request, reply }) if request == id => reply,
            other => panic!("{target}: {other:?}"),
        }
    }

    fn json(&mut self, target: &str) -> Value {
        let reply = self.get(target);
        let body = String::from_utf8_lossy(&reply.body).into_owned();
        assert_eq!(reply.status, 200, "{target}: {body}");
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{target}: {error}: {body}"))
    }

    fn say(&mut self, text: &str) {
        self.simulator.message(self.now, ME, text.as_bytes(), &mut self.out);
    }

    /// The messages that have come, parsed.
    fn messages(&mut self) -> Vec<Value> {
        let payload = |output: Output| match output {
            Output::Send { payload, .. } => serde_json::from_slice(&payload).ok(),
            _ => None,
        };
        self.out.drain(..).filter_map(payload).collect()
    }
}

fn number(value: &Value) -> Decimal {
    model::decimal::parse(value.as_str().unwrap().as_bytes()).unwrap().normalize()
}

type Levels = BTreeMap<Decimal, Decimal>;

fn apply(side: &mut Levels, levels: &Value) {
    for level in levels.as_array().unwrap() {
        let (price, quantity) = (number(&level[0]), number(&level[1]));
        if quantity.is_zero() {
            side.remove(&price)
        } else {
            side.insert(price, quantity)
        };
    }
}

fn truth(book: &TrueBook) -> [Levels; 2] {
    [&book.bids, &book.asks].map(|side| {
        side.iter().map(|level| (level.price.normalize(), level.quantity.normalize())).collect()
    })
}

/// The documented procedure, step by step, as a client would follow it.
fn local_book(snapshot: &Value, diffs: &[Value], futures: bool) -> ([Levels; 2], u64) {
    let mut last = snapshot["lastUpdateId"].as_u64().unwrap();
    let mut book = [Levels::new(), Levels::new()];
    apply(&mut book[0], &snapshot["bids"]);
    apply(&mut book[1], &snapshot["asks"]);
    let mut first = true;
    for diff in diffs {
        let id = |name: &str| diff[name].as_u64().unwrap();
        let (begin, end) = (id("U"), id("u"));
        assert!(begin <= end);
        // Spot: drop u <= lastUpdateId. Futures: drop u < lastUpdateId.
        if end < last || (!futures && end == last) {
            continue;
        }
        match (futures, first) {
            (false, _) => assert!(begin <= last + 1, "gap: {begin} after {last}"),
            (true, true) => assert!(begin <= last || id("pu") <= last, "{begin} after {last}"),
            (true, false) => assert_eq!(id("pu"), last),
        }
        (first, last) = (false, end);
        apply(&mut book[0], &diff["b"]);
        apply(&mut book[1], &diff["a"]);
    }
    (book, last)
}

#[test]
fn a_client_that_follows_the_documented_procedure_has_the_venues_books() {
    for (name, target, rest, symbol) in [
        ("binance", "/ws/btcusdt@depth@100ms", "/api/v3", "BTCUSDT"),
        ("binance", "/ws/btcusdt@depth", "/api/v3", "BTCUSDT"),
        ("binance-usdm", "/public/ws/btcusdt@depth@100ms", "/fapi/v1", "BTCUSDT"),
        ("binance-usdm", "/public/ws/btcusdt@depth@500ms", "/fapi/v1", "BTCUSDT"),
        ("binance-coinm", "/ws/btcusd_perp@depth", "/dapi/v1", "BTCUSD_PERP"),
    ] {
        let mut far = Far::connected(name, 500, target);
        far.run_for(3 * SECOND);
        let before = far.messages();
        assert!(before.len() > 1, "{name}");
        let snapshot = far.json(&format!("{rest}/depth?symbol={symbol}&limit=1000"));
        far.run_for(7 * SECOND);
        far.simulator.freeze();
        far.run_for(3 * SECOND);
        let diffs: Vec<Value> = before.into_iter().chain(far.messages()).collect();
        assert!(diffs.iter().all(|diff| diff["e"] == "depthUpdate" && diff["s"] == symbol));
        let books = far.simulator.books();
        let book = books.values().find(|book| book.symbol == symbol).unwrap();
        let (local, position) = local_book(&snapshot, &diffs, name != "binance");
        assert_eq!((local, Some(position)), (truth(book), book.position), "{name} {target}");
        // And the other way round: it was not the snapshot alone.
        assert!(
            diffs.iter().filter(|d| d["u"].as_u64() > snapshot["lastUpdateId"].as_u64()).count()
                > 5
        );
    }
}

#[test]
fn trades_have_every_id_once_and_the_requests_know_them_too() {
    let target = "/stream?streams=btcusdt@trade/btcusdt@aggTrade";
    let mut far = Far::connected("binance", 2_000, target);
    far.run_for(5 * SECOND);
    let (mut trades, mut aggregates) = (Vec::new(), Vec::new());
    for message in far.messages() {
        let data = message["data"].clone();
        match message["stream"].as_str().unwrap() {
            "btcusdt@trade" => trades.push(data),
            _ => aggregates.push(data),
        }
    }
    assert!(trades.len() > aggregates.len() && aggregates.len() > 100);
    for pair in trades.windows(2) {
        assert_eq!(pair[0]["t"].as_u64().unwrap() + 1, pair[1]["t"].as_u64().unwrap());
    }
    let mut single = trades.iter();
    for pair in aggregates.windows(2) {
        assert_eq!(pair[0]["a"].as_u64().unwrap() + 1, pair[1]["a"].as_u64().unwrap());
        assert_eq!(pair[0]["l"].as_u64().unwrap() + 1, pair[1]["f"].as_u64().unwrap());
    }
    for aggregate in &aggregates {
        let count = aggregate["l"].as_u64().unwrap() - aggregate["f"].as_u64().unwrap() + 1;
        let parts: Vec<_> = single.by_ref().take(usize::try_from(count).unwrap()).collect();
        let sum: Decimal = parts.iter().map(|trade| number(&trade["q"])).sum();
        assert_eq!(sum.normalize(), number(&aggregate["q"]));
        assert!(
            parts.iter().all(|trade| trade["p"] == aggregate["p"] && trade["m"] == aggregate["m"])
        );
    }
    let newest = far.json("/api/v3/aggTrades?symbol=BTCUSDT&limit=1");
    assert_eq!(newest[0]["a"], aggregates.last().unwrap()["a"]);
    let from = aggregates[aggregates.len() - 20]["a"].as_u64().unwrap();
    let some = far.json(&format!("/api/v3/aggTrades?symbol=BTCUSDT&limit=5&fromId={from}"));
    let ids: Vec<_> =
        some.as_array().unwrap().iter().map(|row| row["a"].as_u64().unwrap()).collect();
    assert_eq!(ids, (from..from + 5).collect::<Vec<_>>());
    let rows = far.json("/api/v3/trades?symbol=BTCUSDT&limit=2");
    assert_eq!(rows[1]["id"], trades.last().unwrap()["t"]);
}

#[test]
fn quotes_tickers_candles_and_funding_say_what_the_books_say() {
    let public = "/public/stream?streams=btcusdt@bookTicker/btcusdt@depth5@100ms";
    let mut far = Far::connected("binance-usdm", 300, public);
    let market = "/market/stream?streams=btcusdt@ticker/btcusdt@miniTicker/btcusdt@kline_1m/\
                  btcusdt@markPrice@1s/btcusdt@markPrice";
    far.connect(ClientId(2), market).unwrap();
    far.run_for(Duration::from_secs(90));
    far.simulator.freeze();
    far.run_for(3 * SECOND);
    let mut by_stream: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for mut message in far.messages() {
        let stream = message["stream"].as_str().unwrap().to_owned();
        by_stream.entry(stream).or_default().push(message["data"].take());
    }
    let last = |stream: &str| by_stream[stream].last().unwrap().clone();
    let book = &far.simulator.books()["BTC-USDT-PERP"];
    let quote = last("btcusdt@bookTicker");
    let best = [&book.bids[0], &book.asks[0]];
    let quoted = [("b", "B"), ("a", "A")].map(|(p, q)| (number(&quote[p]), number(&quote[q])));
    assert_eq!(quoted, best.map(|level| (level.price.normalize(), level.quantity.normalize())));
    let partial = last("btcusdt@depth5@100ms");
    assert_eq!((partial["b"].as_array().unwrap().len(), &partial["b"][0][0]), (5, &quote["b"]));
    let candles = &by_stream["btcusdt@kline_1m"];
    let closed: Vec<_> = candles.iter().filter(|k| k["k"]["x"] == true).collect();
    assert!(!closed.is_empty() && closed.len() <= 2, "{} candles have ended", closed.len());
    for (at, candle) in candles.iter().enumerate().skip(1) {
        let opened = |k: &Value| k["k"]["t"].as_u64().unwrap();
        let moved = opened(candle) != opened(&candles[at - 1]);
        assert_eq!(moved, candles[at - 1]["k"]["x"] == true, "a minute ends once");
    }
    assert_eq!(by_stream["btcusdt@ticker"].len(), 93);
    assert_eq!(by_stream["btcusdt@markPrice@1s"].len(), 93);
    assert_eq!(by_stream["btcusdt@markPrice"].len(), 31);
    assert_eq!(last("btcusdt@ticker")["c"], last("btcusdt@miniTicker")["c"]);
    assert_eq!(last("btcusdt@markPrice")["r"], "0.00010000");
    let rows = far.json("/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=3");
    assert_eq!(rows.as_array().unwrap().len(), 3);
    assert_eq!(rows[2][4], last("btcusdt@kline_1m")["k"]["c"]);
}

#[test]
fn on_the_wrong_one_of_the_split_addresses_a_stream_is_silent() {
    for (target, heard) in [
        ("/public/ws/btcusdt@bookTicker", true),
        ("/market/ws/btcusdt@bookTicker", false),
        ("/market/ws/btcusdt@aggTrade", true),
        ("/public/ws/btcusdt@aggTrade", false),
        ("/ws/btcusdt@aggTrade", true),
    ] {
        let mut far = Far::connected("binance-usdm", 500, target);
        far.run_for(3 * SECOND);
        assert_eq!(!far.messages().is_empty(), heard, "{target}");
    }
}

#[test]
fn subscriptions_change_while_connected_and_are_listed() {
    let mut far = Far::connected("binance", 500, "/ws/0");
    far.run_for(2 * SECOND);
    assert!(far.messages().is_empty(), "a name that is no stream is silent");
    far.say(r#"{"method":"SUBSCRIBE","params":["btcusdt@aggTrade","ethusdt@aggTrade"],"id":1}"#);
    far.say(r#"{"method":"UNSUBSCRIBE","params":["btcusdt@aggTrade","0"],"id":"two"}"#);
    far.say(r#"{"method":"LIST_SUBSCRIPTIONS","id":3}"#);
    let replies: Vec<String> = far.messages().iter().map(Value::to_string).collect();
    assert_eq!(
        replies,
        [
            r#"{"id":1,"result":null}"#,
            r#"{"id":"two","result":null}"#,
            r#"{"id":3,"result":["ethusdt@aggTrade"]}"#
        ]
    );
    far.run_for(3 * SECOND);
    let messages = far.messages();
    assert!(!messages.is_empty() && messages.iter().all(|message| message["s"] == "ETHUSDT"));
    far.say(r#"{"method":"SET_PROPERTY","params":["combined",true],"id":4}"#);
    far.run_for(3 * SECOND);
    assert!(far.messages().iter().skip(1).all(|message| message["stream"] == "ethusdt@aggTrade"));
}

#[test]
fn a_speed_that_is_named_and_the_same_by_default_are_one_stream() {
    let target = "/stream?streams=btcusdt@depth@1000ms/btcusdt@depth";
    let mut far = Far::connected("binance", 500, target);
    far.run_for(5 * SECOND);
    let messages = far.messages();
    let of = |name: &str| {
        let named = messages.iter().filter(|message| message["stream"] == name);
        named.map(|message| message["data"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(of("btcusdt@depth"), of("btcusdt@depth@1000ms"));
    assert!(of("btcusdt@depth").len() > 2);
    far.say(r#"{"method":"UNSUBSCRIBE","params":["btcusdt@depth"],"id":1}"#);
    far.messages();
    far.run_for(5 * SECOND);
    let messages = far.messages();
    assert!(messages.len() > 2);
    assert!(messages.iter().all(|message| message["stream"] == "btcusdt@depth@1000ms"));
}

#[test]
fn who_talks_too_much_is_disconnected() {
    let mut far = Far::connected("binance", 100, "/ws/btcusdt@aggTrade");
    for n in 0..5 {
        far.say(&format!(r#"{{"method":"LIST_SUBSCRIPTIONS","id":{n}}}"#));
    }
    assert_eq!(far.messages().len(), 5);
    far.say(r#"{"method":"LIST_SUBSCRIPTIONS","id":6}"#);
    let reason = "Too many requests".to_owned();
    assert_eq!(far.out, [Output::Close { client: ME, code: 1008, reason }]);
    far.out.clear();
    far.run_for(5 * SECOND);
    assert!(far.out.is_empty(), "nothing is sent to who is gone");
}

#[test]
fn pings_and_pongs_count_and_who_does_not_answer_is_disconnected() {
    for (name, max, end_s) in [("binance", 5, 80), ("binance-usdm", 10, 780)] {
        let mut far = Far::connected(name, 0, "/ws/btcusdt@depth");
        for _ in 1..max {
            far.control(ME, ControlFrame::Ping(Default::default()));
        }
        far.say(r#"{"method":"LIST_SUBSCRIPTIONS","id":1}"#);
        assert_eq!(far.messages().len(), 1);
        far.control(ME, ControlFrame::Pong(Default::default()));
        let reason = "Too many requests".to_owned();
        assert_eq!(far.out, [Output::Close { client: ME, code: 1008, reason }]);
        let mut far = Far::connected(name, 0, "/ws/btcusdt@depth");
        far.answers = false;
        far.run_for(Duration::from_secs(end_s) - Duration::from_millis(1));
        assert!(far.out.iter().all(|output| matches!(output, Output::Ping { client: ME, .. })));
        far.run_for(Duration::from_millis(1));
        let reason = "Pong timeout".to_owned();
        assert_eq!(far.out.pop(), Some(Output::Close { client: ME, code: 1008, reason }));
    }
}

#[test]
fn a_connection_lives_for_a_day_and_takes_so_many_streams() {
    let mut far = Far::connected("binance-coinm", 0, "/ws");
    let names = |from: usize, count: usize| {
        let names: Vec<_> = (from..from + count).map(|n| format!(r#""s{n}@aggTrade""#)).collect();
        names.join(",")
    };
    far.say(&format!(r#"{{"method":"SUBSCRIBE","params":[{}],"id":1}}"#, names(0, 200)));
    assert_eq!(far.messages()[0]["result"], Value::Null);
    far.say(&format!(r#"{{"method":"SUBSCRIBE","params":[{}],"id":2}}"#, names(200, 1)));
    let refused = far.messages();
    assert_eq!((&refused[0]["error"]["code"], &refused[0]["id"]), (&2.into(), &2.into()));
    let day = Duration::from_secs(24 * 60 * 60);
    // A minute at a time: what is missed for longer is left out.
    far.run_for(day - SECOND);
    assert!(far.out.is_empty());
    far.run_for(2 * SECOND);
    assert!(matches!(far.out[..], [Output::Close { client: ME, code: 1001, .. }]));
    let target = format!("/stream?streams={}", names(0, 201).replace(['"'], "").replace(',', "/"));
    assert_eq!(far.connect(ME, &target).unwrap_err().status, 400);
}

/// Clients that check what they read want every field that the venue documents.
fn assert_fields(entry: &Value, spot: bool) {
    let (numbers, texts, flags): (&[&str], &[&str], &[&str]) = if spot {
        (
            &["quoteAssetPrecision", "baseCommissionPrecision", "quoteCommissionPrecision"],
            &["defaultSelfTradePreventionMode"],
            &["ocoAllowed", "otoAllowed", "opoAllowed", "allowTrailingStop", "amendAllowed"],
        )
    } else {
        (
            &["pricePrecision", "quantityPrecision", "deliveryDate", "onboardDate"],
            &[
                "maintMarginPercent",
                "requiredMarginPercent",
                "underlyingType",
                "triggerProtect",
                "liquidationFee",
                "marketTakeBound",
            ],
            &[],
        )
    };
    assert!(numbers.iter().all(|field| entry[field].is_u64()), "{entry}");
    assert!(texts.iter().all(|field| entry[field].is_string()), "{entry}");
    assert!(flags.iter().all(|field| entry[field] == false), "{entry}");
    let list = if spot { &entry["permissionSets"][0] } else { &entry["underlyingSubType"] };
    assert!(list.is_array(), "{entry}");
}

#[test]
fn the_table_of_requests() {
    for (name, rest, symbol, rows) in [
        (
            "binance",
            "/api/v3",
            "BTCUSDT",
            &["ticker/24hr", "ticker/bookTicker", "ticker/price"][..],
        ),
        ("binance-usdm", "/fapi/v1", "BTCUSDT", &["ticker/24hr", "ticker/price", "premiumIndex"]),
        (
            "binance-coinm",
            "/dapi/v1",
            "BTCUSD_PERP",
            &["ticker/24hr", "ticker/price", "premiumIndex"],
        ),
    ] {
        let mut far = Far::new(name, 500);
        far.run_for(5 * SECOND);
        assert_eq!(far.json(&format!("{rest}/ping")), serde_json::json!({}));
        let now_ms = far.now.0 / 1_000_000;
        assert_eq!(far.json(&format!("{rest}/time"))["serverTime"], now_ms);
        let list = far.json(&format!("{rest}/exchangeInfo"));
        let symbols: Vec<_> =
            list["symbols"].as_array().unwrap().iter().map(|s| &s["symbol"]).collect();
        assert_eq!(symbols[0], symbol);
        assert_fields(&list["symbols"][0], name == "binance");
        for row in rows {
            let all = far.json(&format!("{rest}/{row}"));
            assert_eq!(all.as_array().unwrap().len(), symbols.len(), "{row}");
            let one = far.json(&format!("{rest}/{row}?symbol={symbol}"));
            let one = if name == "binance-coinm" { &one[0] } else { &one };
            assert_eq!((one, &one["symbol"]), (&all[0], &symbol.into()), "{row}");
        }
        if name != "binance" {
            let history = far.json(&format!("{rest}/fundingRate?symbol={symbol}&limit=3"));
            assert_eq!(history.as_array().unwrap().len(), 3);
        }
    }
}

#[test]
fn spot_lists_those_symbols_that_are_named() {
    let mut far = Far::new("binance", 500);
    far.run_for(5 * SECOND);
    for row in ["ticker/24hr", "ticker/bookTicker", "ticker/price"] {
        let all = far.json(&format!("/api/v3/{row}"));
        let one = far.json(&format!("/api/v3/{row}?symbols=%5B%22ETHUSDT%22%5D"));
        assert_eq!(one, serde_json::json!([all[1]]), "{row}");
        let both = far.json(&format!(r#"/api/v3/{row}?symbols=["ETHUSDT","BTCUSDT"]"#));
        assert_eq!(both, serde_json::json!([all[1], all[0]]), "{row}");
    }
}

#[test]
fn the_table_of_errors() {
    let cases: &[(&str, &str, u16, i64)] = &[
        ("binance", "/api/v3/depth", 400, -1102),
        ("binance", "/api/v3/depth?symbol=", 400, -1102),
        ("binance", "/api/v3/depth?symbol=btcusdt", 400, -1121),
        ("binance", "/api/v3/depth?symbol=BTCUSDT&limit=abc", 400, -1100),
        ("binance", "/api/v3/depth?symbol=BTCUSDT&limit=-1", 400, -1100),
        ("binance-usdm", "/fapi/v1/trades?symbol=BTCUSDT&limit=x", 400, -1100),
        ("binance", "/api/v3/depth?symbol=BTCUSDT&limit=99999999999999999999", 400, -1130),
        ("binance", "/api/v3/ticker/price?symbols=%5B%22NOPE%22%5D", 400, -1121),
        ("binance", "/api/v3/ticker/24hr?symbol=BTCUSDT&symbols=%5B%22ETHUSDT%22%5D", 400, -1128),
        ("binance", "/api/v3/depth?symbol=BTCUSDT&limit=0", 400, -1130),
        ("binance", "/api/v3/aggTrades?symbol=BTCUSDT&limit=0", 400, -1130),
        ("binance", "/api/v3/klines?symbol=BTCUSDT", 400, -1102),
        ("binance", "/api/v3/klines?symbol=BTCUSDT&interval=7m", 400, -1120),
        ("binance", "/api/v3/exchangeInfo?symbol=NOPE", 400, -1121),
        ("binance", "/api/v3/exchangeInfo?symbols=BTCUSDT", 400, -1130),
        ("binance", "/api/v3/premiumIndex", 404, -1000),
        ("binance", "/fapi/v1/time", 404, -1000),
        ("binance-usdm", "/fapi/v1/depth?symbol=BTCUSDT&limit=7", 400, -4021),
        ("binance-coinm", "/dapi/v1/depth?symbol=BTCUSD", 400, -1121),
    ];
    for (name, target, status, code) in cases {
        let reply = Far::new(name, 0).get(target);
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!((reply.status, &body["code"]), (*status, &(*code).into()), "{target}: {body}");
        assert!(body["msg"].is_string());
    }
    let mut far = Far::new("binance", 0);
    let two = far.json("/api/v3/exchangeInfo?symbols=%5B%22BTCUSDT%22,%22ETHUSDT%22%5D");
    assert_eq!(two["symbols"].as_array().unwrap().len(), 2);
    let post =
        Request { method: "POST".to_owned(), ..Request::get("/api/v3/depth?symbol=BTCUSDT") };
    let mut out = Vec::new();
    far.simulator.request(far.now, RequestId(99), &post, &mut out);
    assert!(matches!(&out[..], [Output::Answer { reply, .. }] if reply.status == 405));
}

#[test]
fn weights_are_counted_in_the_header_and_end_in_a_ban() {
    let mut far = Far::new("binance", 0);
    let header = |reply: &Reply, wanted: &str| -> Option<u32> {
        let header = reply.headers.iter().find(|(name, _)| name == wanted);
        header.map(|(_, value)| value.parse().unwrap())
    };
    let used = |reply: &Reply| {
        let used = header(reply, "x-mbx-used-weight-1m");
        assert_eq!(header(reply, "x-mbx-used-weight"), used);
        used.unwrap()
    };
    let futures = Far::new("binance-usdm", 0).get("/fapi/v1/ping");
    assert_eq!(
        (header(&futures, "x-mbx-used-weight-1m"), header(&futures, "x-mbx-used-weight")),
        (Some(1), None)
    );
    let mut sum = 0;
    for (target, weight) in [
        ("ping", 1),
        ("depth?symbol=BTCUSDT&limit=5", 5),
        ("depth?symbol=BTCUSDT&limit=101", 25),
        ("depth?symbol=BTCUSDT&limit=1000", 50),
        ("depth?symbol=BTCUSDT&limit=5000", 250),
        ("depth?symbol=NOPE&limit=5000", 250),
        ("exchangeInfo", 20),
        ("trades?symbol=BTCUSDT", 25),
        ("aggTrades?symbol=BTCUSDT", 4),
        ("ticker/24hr", 80),
        ("ticker/24hr?symbol=BTCUSDT", 2),
        ("ticker/bookTicker", 4),
    ] {
        sum += weight;
        assert_eq!(used(&far.get(&format!("/api/v3/{target}"))), sum, "{target}");
    }
    let status = |far: &mut Far| far.get("/api/v3/depth?symbol=BTCUSDT&limit=5000").status;
    let mut answers = BTreeMap::new();
    (0..40).for_each(|_| *answers.entry(status(&mut far)).or_insert(0) += 1);
    // 6,000 less what was used holds 21 more; ten warnings; then the ban.
    assert_eq!(answers, BTreeMap::from([(200, 21), (429, 10), (418, 9)]));
    far.now = far.now + Duration::from_secs(121);
    assert_eq!(status(&mut far), 200);
}

/// What comes close to what a client may say, and what does not.
fn nearly(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    let word = prop_oneof![
        4 => prop::sample::select(words).prop_map(str::to_owned),
        1 => ".{0,6}",
    ];
    prop::collection::vec(word, 0..8).prop_map(|words| words.concat())
}

proptest! {
    /// Whatever a client sends, it gets an answer or silence, and others go on.
    #[test]
    fn nonsense_disturbs_nobody(
        line in 0..3_usize,
        path in nearly(&["/ws", "/stream", "?streams=", "/public", "/market", "btcusdt@", "depth",
            "5", "@100ms", "/", "%", "%C3", "kline_", "1m", "ethusd_perp@", "ticker"]),
        message in nearly(&["{", "}", "\"method\":", "\"SUBSCRIBE\"", ",", "\"params\":", "[", "]",
            "\"btcusdt@depth\"", "\"id\":", "1", "null", "\"LIST_SUBSCRIPTIONS\""]),
        request in nearly(&["/api/v3/", "/fapi/v1/", "/dapi/v1/", "depth", "klines", "aggTrades",
            "exchangeInfo", "?symbol=BTCUSDT", "&limit=", "5", "-1", "99999999999999999999",
            "&symbols=", "[\"BTCUSDT\"]", "&startTime=", "&interval=1m", "&fromId="]),
    ) {
        let name = ["binance", "binance-usdm", "binance-coinm"][line];
        let mut far = Far::connected(name, 300, "/ws/btcusdt@trade/btcusd_perp@trade");
        let stranger = ClientId(2);
        if far.connect(stranger, &path).is_ok() {
            let (simulator, out) = (&mut far.simulator, &mut far.out);
            simulator.message(far.now, stranger, message.as_bytes(), out);
        }
        let status = far.get(&request).status;
        prop_assert!([200, 400, 404].contains(&status), "{status} for {request}");
        far.out.clear();
        far.run_for(2 * SECOND);
        let mine = |output: &Output| matches!(output, Output::Send { client: ME, .. });
        prop_assert!(far.out.iter().any(mine));
    }
}
