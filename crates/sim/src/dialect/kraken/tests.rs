//! The venue, asked by hand.

use std::collections::BTreeMap;

use model::Decimal;
use model::decimal::parse;
use serde_json::Value;

use super::*;
use crate::digits::{crc32, fixed, short};
use crate::faults::Faults;
use crate::machine::{Machine, Output, RequestId};
use crate::venue::{Simulator, venue};

const START: Nanos = Nanos(1_780_000_000_000_000_000);
const CLIENT: ClientId = ClientId(1);

struct Talk {
    simulator: Simulator,
    now: Nanos,
    heard: Vec<Value>,
}

fn talk(rate: u32) -> Talk {
    talk_of(rate, &["BTC-USDT", "ETH-USDT"])
}

fn talk_of(rate: u32, names: &[&str]) -> Talk {
    let options = SimOptions {
        seed: 3,
        symbols: names.iter().map(|name| (*name).to_owned()).collect(),
        rate,
        faults: Faults::default(),
        start: START,
        accounts: Vec::new(),
    };
    let simulator = venue("kraken", &options).unwrap().unwrap();
    let mut talk = Talk { simulator, now: START, heard: Vec::new() };
    let mut out = Vec::new();
    talk.simulator.connect(START, CLIENT, "/v2", &mut out).unwrap();
    talk.take(out);
    talk
}

impl Talk {
    fn take(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Send { payload, .. } => {
                    self.heard.push(serde_json::from_slice(&payload).unwrap());
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn say(&mut self, text: &str) {
        let mut out = Vec::new();
        self.simulator.message(self.now, CLIENT, text.as_bytes(), &mut out);
        self.take(out);
    }

    /// Lets time pass; gives what was heard.
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

    /// As the only one that is asked in a while.
    fn get(&mut self, target: &str) -> Value {
        self.simulator.new_address();
        self.ask(target)
    }

    fn ask(&mut self, target: &str) -> Value {
        let mut out = Vec::new();
        self.simulator.request(self.now, RequestId(1), &Request::get(target), &mut out);
        let Some(Output::Answer { reply, .. }) = out.pop() else { panic!("no answer") };
        assert_eq!(reply.status, 200);
        serde_json::from_slice(&reply.body).unwrap()
    }
}

fn channel(heard: &[Value], name: &str) -> Vec<Value> {
    heard.iter().filter(|message| message["channel"] == name).cloned().collect()
}

/// A client's book, by the venue's own procedure: apply, cut, check.
#[derive(Default)]
struct Copy {
    sides: [BTreeMap<Decimal, Decimal>; 2],
    checked: usize,
}

impl Copy {
    fn apply(&mut self, message: &Value, depth: usize, places: u32) {
        let data = &message["data"][0];
        if message["type"] == "snapshot" {
            *self = Self::default();
        }
        for (side, name) in self.sides.iter_mut().zip(["bids", "asks"]) {
            for level in data[name].as_array().unwrap() {
                let number = |of: &str| parse(level[of].to_string().as_bytes()).unwrap();
                match number("qty") {
                    quantity if quantity.is_zero() => side.remove(&number("price")),
                    quantity => side.insert(number("price"), quantity),
                };
            }
        }
        while self.sides[0].len() > depth {
            self.sides[0].pop_first();
        }
        while self.sides[1].len() > depth {
            self.sides[1].pop_last();
        }
        assert_eq!(data["checksum"], self.checksum(places), "{message}");
        self.checked += 1;
    }

    fn checksum(&self, places: u32) -> u32 {
        let asks = self.sides[1].iter().take(10);
        let levels = asks.chain(self.sides[0].iter().rev().take(10));
        let digits = |number: &Decimal, places| {
            fixed(*number, places).replace('.', "").trim_start_matches('0').to_owned()
        };
        let text: String =
            levels.map(|(price, lots)| digits(price, places) + &digits(lots, 8)).collect();
        crc32(text.as_bytes())
    }
}

#[test]
fn a_book_of_any_depth_follows_its_checksums_and_the_truth() {
    for depth in [10, 25, 1_000] {
        let mut talk = talk(500);
        talk.say(&format!(
            r#"{{"method":"subscribe","params":{{"channel":"book","symbol":["BTC/USDT"],"depth":{depth}}}}}"#
        ));
        let mut copy = Copy::default();
        let heard = talk.run(Duration::from_secs(20));
        let places = 1;
        channel(&heard, "book").iter().for_each(|message| copy.apply(message, depth, places));
        assert!(copy.checked > 100, "{}", copy.checked);
        let truth = &talk.simulator.books()["BTC-USDT"];
        for (copied, levels) in copy.sides.iter().zip([&truth.bids, &truth.asks]) {
            let truth: BTreeMap<_, _> =
                levels.iter().take(depth).map(|l| (l.price, l.quantity)).collect();
            assert_eq!(*copied, truth, "depth {depth}");
        }
    }
}

#[test]
fn a_subscription_is_answered_per_symbol_and_refused_in_the_venues_words() {
    let mut talk = talk(0);
    assert_eq!(talk.heard.remove(0)["channel"], "status");
    talk.say(
        r#"{"method":"subscribe","params":{"channel":"ticker","symbol":["BTC/USDT","X/Y"]},"req_id":7}"#,
    );
    let [done, snapshot, refused] = &talk.heard[..] else { panic!("{:?}", talk.heard) };
    assert_eq!((&done["success"], &done["req_id"]), (&Value::Bool(true), &7.into()));
    assert_eq!(done["result"]["symbol"], "BTC/USDT");
    assert_eq!((&snapshot["channel"], &snapshot["type"]), (&"ticker".into(), &"snapshot".into()));
    assert_eq!(refused["error"], "Currency pair not supported X/Y");
    for (ask, error) in [
        (
            r#"{"method":"subscribe","params":{"channel":"book","symbol":["BTC/USDT"],"depth":11}}"#,
            "Subscription depth not supported",
        ),
        (
            r#"{"method":"subscribe","params":{"channel":"ticker","symbol":["BTC/USDT"]}}"#,
            "Already subscribed to one or more symbols",
        ),
        (
            r#"{"method":"unsubscribe","params":{"channel":"trade","symbol":["BTC/USDT"]}}"#,
            "Subscription not found",
        ),
        (
            r#"{"method":"subscribe","params":{"channel":"tricker","symbol":["BTC/USDT"]}}"#,
            "Unsupported channel tricker",
        ),
        (r#"{"method":"subscribe","params":{"channel":"book"}}"#, "Symbol(s) missing"),
        (
            r#"{"method":"subscribe","params":{"channel":"ohlc","symbol":["BTC/USDT"],"interval":2}}"#,
            "Subscription ohlc interval not supported",
        ),
        (r#"{"method":"sing"}"#, "Unsupported method"),
        ("garbage", "Malformed request"),
    ] {
        talk.heard.clear();
        talk.say(ask);
        assert_eq!(talk.heard[0]["error"], error, "{ask}");
    }
}

#[test]
fn silence_is_broken_by_heartbeats_once_there_is_a_subscription() {
    let mut talk = talk(0);
    assert!(channel(&talk.run(Duration::from_secs(5)), "heartbeat").is_empty());
    talk.say(r#"{"method":"subscribe","params":{"channel":"trade","symbol":["BTC/USDT"]}}"#);
    assert_eq!(channel(&talk.run(Duration::from_secs(5)), "heartbeat").len(), 5);
    talk.say(r#"{"method":"ping","req_id":9}"#);
    assert_eq!((&talk.heard[0]["method"], &talk.heard[0]["req_id"]), (&"pong".into(), &9.into()));
}

#[test]
fn trades_tickers_and_candles_come_with_each_trade() {
    let mut talk = talk(500);
    for name in ["trade", "ticker", "ohlc"] {
        talk.say(&format!(
            r#"{{"method":"subscribe","params":{{"channel":"{name}","symbol":["ETH/USDT"]}}}}"#
        ));
    }
    let heard = talk.run(Duration::from_secs(10));
    let trades = channel(&heard, "trade");
    let ids: Vec<_> = trades
        .iter()
        .flat_map(|message| message["data"].as_array().unwrap())
        .map(|trade| trade["trade_id"].as_u64().unwrap())
        .collect();
    assert!(ids.len() > 20 && ids.windows(2).all(|pair| pair[1] == pair[0] + 1));
    let truth = talk.simulator.trades("ETH-USDT");
    assert_eq!(truth.last().unwrap().id, *ids.last().unwrap());
    let tickers = channel(&heard, "ticker");
    assert_eq!(tickers.len(), trades.len());
    for ticker in &tickers {
        let number = |key: &str| -> Decimal { ticker["data"][0][key].to_string().parse().unwrap() };
        let (last, change) = (number("last"), number("change"));
        let percent = change / (last - change) * Decimal::ONE_HUNDRED;
        assert_eq!(number("change_pct"), percent.round_dp(2).normalize(), "{ticker}");
    }
    let candles = channel(&heard, "ohlc");
    assert_eq!(candles[0]["type"], "snapshot");
    let last = &candles.last().unwrap()["data"][0];
    assert_eq!(last["close"].to_string(), short(close(&talk, "ETH-USDT")));
}

fn close(talk: &Talk, name: &str) -> Decimal {
    let trade = talk.simulator.trades(name).pop().unwrap();
    let tick = talk.simulator.books()[name].bids[0].price.scale();
    Decimal::new(i64::try_from(trade.ticks).unwrap(), tick)
}

#[test]
fn rest_agrees_with_the_stream_and_says_what_is_wrong() {
    let mut talk = talk(200);
    talk.run(Duration::from_secs(5));
    for (pair, key) in
        [("XBTUSDT", "XBTUSDT"), ("BTC/USDT", "BTC/USDT"), ("XBT%2FUSDT", "XBT/USDT")]
    {
        let book = talk.get(&format!("/0/public/Depth?pair={pair}&count=5"));
        let bids = book["result"][key]["bids"].as_array().unwrap();
        assert_eq!(bids.len(), 5);
        let best = talk.simulator.books()["BTC-USDT"].bids[0];
        assert_eq!(bids[0][0], best.price.to_string());
    }
    for (target, key) in [
        ("/0/public/Trades?pair=XBTUSDT", "XBTUSDT"),
        ("/0/public/OHLC?pair=XBTUSDT&interval=5", "XBTUSDT"),
        ("/0/public/Ticker?pair=ETHUSDT", "ETHUSDT"),
        ("/0/public/Ticker", "ETHUSDT"),
        ("/0/public/SystemStatus", "status"),
        ("/0/public/Time", "unixtime"),
    ] {
        let answer = talk.get(target);
        assert!(answer["error"].as_array().unwrap().is_empty(), "{target}");
        assert!(!answer["result"][key].is_null(), "{target}: {answer}");
    }
    for (target, error) in [
        ("/0/public/Depth?pair=XYZ", "EQuery:Unknown asset pair"),
        ("/0/public/Depth", "EGeneral:Invalid arguments"),
        ("/0/public/OHLC?pair=XBTUSDT&interval=2", "EGeneral:Invalid arguments"),
        ("/0/public/Nothing", "EGeneral:Unknown method"),
    ] {
        assert_eq!(talk.get(target)["error"][0], error, "{target}");
    }
}

#[test]
fn old_assets_and_their_pairs_have_the_venues_names() {
    let names = ["BTC-USD", "ETH-BTC", "DOGE-USD", "BTC-AUD", "SOL-EUR", "ETH-USDT"];
    let mut talk = talk_of(0, &names);
    let pairs = talk.get("/0/public/AssetPairs")["result"].clone();
    for (key, altname, wsname, base, quote) in [
        ("XXBTZUSD", "XBTUSD", "XBT/USD", "XXBT", "ZUSD"),
        ("XETHXXBT", "ETHXBT", "ETH/XBT", "XETH", "XXBT"),
        ("XDGUSD", "XDGUSD", "XDG/USD", "XXDG", "ZUSD"),
        ("XBTAUD", "XBTAUD", "XBT/AUD", "XXBT", "ZAUD"),
        ("SOLEUR", "SOLEUR", "SOL/EUR", "SOL", "ZEUR"),
        ("ETHUSDT", "ETHUSDT", "ETH/USDT", "XETH", "USDT"),
    ] {
        let of = &pairs[key];
        let told = ["altname", "wsname", "base", "quote"].map(|field| of[field].as_str().unwrap());
        assert_eq!(told, [altname, wsname, base, quote]);
    }
    let keys = |answer: Value| -> Vec<String> {
        answer["result"].as_object().unwrap().keys().cloned().collect()
    };
    for (target, wanted) in [
        ("Depth?pair=XXBTZUSD", ["XXBTZUSD"].as_slice()),
        ("Depth?pair=XBTUSD", &["XXBTZUSD"]),
        ("Depth?pair=BTCUSD", &["XXBTZUSD"]),
        ("AssetPairs?pair=BTC%2FUSD", &["BTC/USD"]),
        ("Ticker?pair=XBTUSD,ETH/BTC", &["ETH/BTC", "XXBTZUSD"]),
        ("Ticker?pair=XBTUSD%2CXDGUSD", &["XDGUSD", "XXBTZUSD"]),
        ("Assets?asset=XBT,ZEUR", &["XXBT", "ZEUR"]),
    ] {
        assert_eq!(keys(talk.get(&format!("/0/public/{target}"))), wanted, "{target}");
    }
    assert_eq!(talk.get("/0/public/Assets")["result"]["XXDG"]["altname"], "XDG");
    assert_eq!(talk.get("/0/public/Assets?asset=XYZ")["error"][0], errors::ASSET);
    assert_eq!(talk.get("/0/public/Ticker?pair=XBTUSD,XYZ")["error"][0], errors::PAIR);
}

#[test]
fn requests_are_limited_by_address_and_trades_and_candles_by_pair_too() {
    let mut talk = talk(0);
    let is_refused = |answer: &Value| answer["error"][0] == "EAPI:Rate limit exceeded";
    let kinds: [&[&str]; 5] = [
        &["/0/public/Time", "/0/public/Depth?pair=XBTUSDT", "/0/public/Trades?pair=XYZ"],
        &["/0/public/Trades?pair=XBTUSDT", "/0/public/Trades?pair=BTC/USDT"],
        &["/0/public/Trades?pair=ETHUSDT"],
        &["/0/public/OHLC?pair=XBTUSDT"],
        &["/0/public/OHLC?pair=ETHUSDT"],
    ];
    for granted in [5, 2] {
        for kind in kinds {
            let mut targets = kind.iter().cycle();
            for n in 0..granted {
                assert!(!is_refused(&talk.ask(targets.next().unwrap())), "{kind:?} {n}");
            }
            assert!(kind.iter().all(|target| is_refused(&talk.ask(target))), "{kind:?}");
        }
        talk.run(Duration::from_secs(2));
    }
    // Once a second is never too often.
    for _ in 0..100 {
        assert!(!is_refused(&talk.ask("/0/public/Ticker")));
        talk.run(Duration::from_secs(1));
    }
}

#[test]
fn trades_go_on_where_the_last_answer_ended() {
    let mut talk = talk(200);
    talk.run(Duration::from_secs(10));
    let truth: Vec<_> = talk.simulator.trades("BTC-USDT").iter().map(|trade| trade.id).collect();
    let mut page = |since: &str, count: usize| {
        let target = format!("/0/public/Trades?pair=XBTUSDT&count={count}&since={since}");
        let result = talk.get(&target)["result"].clone();
        let rows = result["XBTUSDT"].as_array().unwrap().clone();
        let ids: Vec<_> = rows.iter().map(|row| row[6].as_u64().unwrap()).collect();
        (ids, result["last"].as_str().unwrap().to_owned())
    };
    let (mut since, mut all) = ("0".to_owned(), Vec::new());
    loop {
        let (ids, last) = page(&since, 7);
        if ids.is_empty() {
            assert_eq!(last, since);
            break;
        }
        assert!(all.last() < ids.first(), "{all:?} and then {ids:?}");
        (since, _) = (last, all.extend(ids));
    }
    assert_eq!(all, truth);
    // Also in whole seconds.
    let middle = (START + Duration::from_secs(5)).0 / 1_000_000_000;
    let (later, _) = page(&middle.to_string(), 1_000);
    assert!(truth.ends_with(&later) && later.len() < truth.len() && !later.is_empty());
    assert_eq!(talk.get("/0/public/Trades?pair=XBTUSDT&since=x")["error"][0], errors::ARGUMENTS);
}

#[test]
fn only_spot_is_listed_and_only_its_path_is_served() {
    let error = VENUE.listing("BTC-USD-PERP").unwrap_err();
    assert!(error.message.contains("BASE-QUOTE"), "{error:?}");
    let mut talk = talk(0);
    let reply = talk.simulator.connect(START, ClientId(2), "/v3", &mut Vec::new()).unwrap_err();
    assert_eq!(reply.status, 404);
}
