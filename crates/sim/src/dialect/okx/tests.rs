//! The venue, asked by hand.

use std::collections::{BTreeMap, VecDeque};

use model::Decimal;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::digits::seconds_of;
use crate::faults::Faults;
use crate::machine::{Machine, Output, RequestId};
use crate::venue::{Simulator, venue};

const START: Nanos = Nanos(1_780_000_000_000_000_000);
const PUBLIC: ClientId = ClientId(1);
const BUSINESS: ClientId = ClientId(2);

struct Talk {
    simulator: Simulator,
    now: Nanos,
    heard: Vec<(ClientId, Value)>,
    closed: Vec<(ClientId, u16)>,
}

fn talk(seed: u64, rate: u32) -> Talk {
    let symbols = ["BTC-USDT", "BTC-USDT-PERP", "BTC-USD-PERP"].map(str::to_owned).to_vec();
    let (faults, accounts) = (Faults::default(), Vec::new());
    let options = SimOptions { seed, symbols, rate, faults, start: START, accounts };
    let simulator = venue("okx", &options).unwrap().unwrap();
    let mut talk = Talk { simulator, now: START, heard: Vec::new(), closed: Vec::new() };
    talk.connect(PUBLIC, "/ws/v5/public").unwrap();
    talk.connect(BUSINESS, "/ws/v5/business").unwrap();
    talk
}

impl Talk {
    fn connect(&mut self, client: ClientId, target: &str) -> Result<(), Reply> {
        self.simulator.connect(self.now, client, target, &mut Vec::new())
    }

    fn take(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Send { client, payload } => {
                    let text = std::str::from_utf8(&payload).unwrap();
                    let value = serde_json::from_str(text).unwrap_or_else(|_| text.into());
                    self.heard.push((client, value));
                }
                Output::Close { client, code, .. } => self.closed.push((client, code)),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Says something; gives what is answered at once.
    fn say(&mut self, client: ClientId, text: &str) -> Vec<Value> {
        let (mut out, before) = (Vec::new(), self.heard.len());
        self.simulator.message(self.now, client, text.as_bytes(), &mut out);
        self.take(out);
        self.heard[before..].iter().map(|(_, message)| message.clone()).collect()
    }

    fn subscribe(&mut self, client: ClientId, channel: &str, inst_id: &str) -> Vec<Value> {
        self.say(client, &ask("subscribe", channel, inst_id))
    }

    /// Lets time pass; gives what was heard, also before.
    fn run(&mut self, duration: Duration) -> Vec<(ClientId, Value)> {
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

    fn ask(&mut self, request: &Request) -> (u16, Value) {
        let mut out = Vec::new();
        self.simulator.request(self.now, RequestId(1), request, &mut out);
        let Some(Output::Answer { reply, .. }) = out.pop() else { panic!("no answer") };
        (reply.status, serde_json::from_slice(&reply.body).unwrap())
    }

    /// The rows of an answer.
    fn get(&mut self, target: &str) -> Vec<Value> {
        let (status, answer) = self.ask(&Request::get(target));
        assert_eq!((status, &answer["code"]), (200, &"0".into()), "{target}: {answer}");
        answer["data"].as_array().unwrap().clone()
    }
}

fn ask(op: &str, channel: &str, inst_id: &str) -> String {
    format!(r#"{{"op":"{op}","args":[{{"channel":"{channel}","instId":"{inst_id}"}}]}}"#)
}

/// The pushes of a channel for one instrument.
fn pushes(heard: &[(ClientId, Value)], channel: &str, inst_id: &str) -> Vec<Value> {
    let is_one = |message: &&Value| {
        let arg = &message["arg"];
        message["event"].is_null() && arg["channel"] == channel && arg["instId"] == inst_id
    };
    heard.iter().map(|(_, message)| message).filter(is_one).cloned().collect()
}

fn number(value: &Value) -> Decimal {
    value.as_str().unwrap().parse().unwrap()
}

/// A client's book, kept as the venue says.
#[derive(Clone, Debug, Default, PartialEq)]
struct Copy {
    seq: i64,
    sides: [BTreeMap<Decimal, Decimal>; 2],
}

impl Copy {
    fn of(data: &Value) -> Self {
        let mut copy = Self::default();
        copy.change(data);
        copy
    }

    fn change(&mut self, data: &Value) {
        for (side, name) in self.sides.iter_mut().zip(["bids", "asks"]) {
            for level in data[name].as_array().unwrap() {
                let ([price, size], orders) =
                    ([0, 1].map(|at| number(&level[at])), number(&level[3]));
                assert_eq!(size.is_zero(), orders.is_zero(), "{level}");
                if size.is_zero() {
                    assert!(side.remove(&price).is_some(), "{level} was not there");
                } else {
                    side.insert(price, size);
                }
            }
        }
        self.seq = data["seqId"].as_i64().unwrap();
    }

    fn apply(&mut self, message: &Value) {
        let data = &message["data"][0];
        assert_eq!(data["checksum"], 0);
        if message["action"] == "snapshot" {
            assert_eq!(data["prevSeqId"], -1);
            *self = Self::of(data);
            return;
        }
        assert_eq!((&message["action"], &data["prevSeqId"]), (&"update".into(), &self.seq.into()));
        self.change(data);
        assert!(self.sides.iter().all(|side| side.len() <= LEVELS));
    }

    /// What the venue itself has, as deep as the channel shows it.
    fn truth(talk: &Talk, name: &str) -> Self {
        let book = &talk.simulator.books()[name];
        let side = |levels: &Vec<model::Level>| {
            levels.iter().take(LEVELS).map(|level| (level.price, level.quantity)).collect()
        };
        let seq = i64::try_from(book.position.unwrap()).unwrap();
        Self { seq, sides: [side(&book.bids), side(&book.asks)] }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Whoever comes when, on any of the connections, has the truth once the market stands still.
    #[test]
    fn whoever_follows_the_sequence_has_the_venues_book(
        seed in 0_u64..1_000,
        rate in 50_u32..2_000,
        wait_ms in prop::collection::vec(0_u64..700, 1..4),
    ) {
        let mut talk = talk(seed, rate);
        let inst_ids = [("BTC-USDT", "BTC-USDT"), ("BTC-USDT-SWAP", "BTC-USDT-PERP")];
        let mut clients = Vec::new();
        for (nth, wait_ms) in (10..).zip(&wait_ms) {
            talk.connect(ClientId(nth), "/ws/v5/public").unwrap();
            talk.subscribe(ClientId(nth), "books", inst_ids[0].0);
            talk.subscribe(ClientId(nth), "books", inst_ids[1].0);
            clients.push((ClientId(nth), [Copy::default(), Copy::default()]));
            let heard = talk.run(Duration::from_millis(*wait_ms));
            follow(&mut clients, &heard);
        }
        let heard = talk.run(Duration::from_secs(3));
        follow(&mut clients, &heard);
        talk.simulator.freeze();
        let heard = talk.run(Duration::from_millis(200));
        follow(&mut clients, &heard);
        for ((_, copies), (at, name)) in
            clients.iter().flat_map(|client| [0, 1].map(|at| (client, (at, inst_ids[at].1))))
        {
            prop_assert_eq!(&copies[at], &Copy::truth(&talk, name));
        }
    }
}

fn follow(clients: &mut [(ClientId, [Copy; 2])], heard: &[(ClientId, Value)]) {
    for (client, copies) in clients {
        let own: Vec<_> = heard.iter().filter(|(to, _)| to == client).cloned().collect();
        for (copy, inst_id) in copies.iter_mut().zip(["BTC-USDT", "BTC-USDT-SWAP"]) {
            pushes(&own, "books", inst_id).iter().for_each(|message| copy.apply(message));
        }
    }
}

/// "How to manage a local order book correctly": buffered updates on a snapshot by REST.
#[test]
fn a_book_begun_by_rest_is_the_venues_too() {
    for offset_ms in [0, 30, 70, 99] {
        let mut talk = talk(5, 1_000);
        talk.subscribe(PUBLIC, "books", "BTC-USDT");
        talk.run(Duration::from_millis(1_000 + offset_ms));
        let mut copy = Copy::of(&talk.get("/api/v5/market/books?instId=BTC-USDT&sz=400")[0]);
        let rest = copy.clone();
        assert_eq!(rest, Copy::truth(&talk, "BTC-USDT"));
        talk.run(Duration::ZERO);
        talk.subscribe(PUBLIC, "books", "BTC-USDT");
        talk.simulator.freeze();
        let heard = talk.run(Duration::from_millis(200));
        let buffered: VecDeque<_> = pushes(&heard, "books", "BTC-USDT").into();
        let updates = buffered.iter().skip(1).map(|message| &message["data"][0]);
        let newer: Vec<_> =
            updates.filter(|data| data["seqId"].as_i64().unwrap() > rest.seq).collect();
        assert!(newer[0]["prevSeqId"].as_i64().unwrap() <= rest.seq);
        for data in newer {
            for (side, name) in copy.sides.iter_mut().zip(["bids", "asks"]) {
                for level in data[name].as_array().unwrap() {
                    match number(&level[1]) {
                        size if size.is_zero() => side.remove(&number(&level[0])),
                        size => side.insert(number(&level[0]), size),
                    };
                }
            }
            copy.seq = data["seqId"].as_i64().unwrap();
        }
        assert_eq!(copy, Copy::truth(&talk, "BTC-USDT"), "{offset_ms}");
    }
}

#[test]
fn a_quiet_book_says_so_each_minute_without_moving() {
    let mut talk = talk(1, 100);
    talk.subscribe(PUBLIC, "books", "BTC-USDT");
    talk.simulator.freeze();
    talk.run(Duration::from_secs(1));
    let mut quiet = Vec::new();
    for _ in 0..15 {
        // Somebody who pings is not thrown out.
        talk.say(PUBLIC, "ping");
        quiet.extend(pushes(&talk.run(Duration::from_secs(10)), "books", "BTC-USDT"));
    }
    let seq = Copy::truth(&talk, "BTC-USDT").seq;
    assert_eq!(quiet.len(), 2);
    for data in quiet.iter().map(|message| &message["data"][0]) {
        assert_eq!((&data["seqId"], &data["prevSeqId"]), (&seq.into(), &seq.into()));
        assert_eq!((&data["bids"], &data["asks"]), (&Value::from_iter([0; 0]), &data["bids"]));
    }
}

#[test]
fn the_best_levels_come_where_they_changed_and_are_the_books() {
    let mut talk = talk(7, 500);
    for (channel, depth, every_ms) in [("bbo-tbt", 1, 10), ("books5", 5, 100)] {
        let first = talk.subscribe(PUBLIC, channel, "BTC-USDT-SWAP");
        assert_eq!(first[1]["data"][0]["bids"].as_array().unwrap().len(), depth);
        let heard = pushes(&talk.run(Duration::from_secs(5)), channel, "BTC-USDT-SWAP");
        assert!(heard.len() > 20, "{channel}: {}", heard.len());
        for pair in heard.windows(2).map(|pair| [&pair[0]["data"][0], &pair[1]["data"][0]]) {
            assert_ne!([&pair[0]["bids"], &pair[0]["asks"]], [&pair[1]["bids"], &pair[1]["asks"]]);
            let [a, b] = pair.map(|data| number(&data["ts"]));
            assert!(b - a >= Decimal::from(every_ms), "{channel} {a} {b}");
        }
        talk.simulator.freeze();
        let last = pushes(&talk.run(Duration::from_millis(200)), channel, "BTC-USDT-SWAP");
        let last = Copy::of(&last.last().unwrap()["data"][0]);
        let truth = Copy::truth(&talk, "BTC-USDT-PERP");
        assert!(last.sides[0].iter().rev().eq(truth.sides[0].iter().rev().take(depth)));
        assert!(last.sides[1].iter().eq(truth.sides[1].iter().take(depth)));
        talk.simulator.thaw();
        talk.say(PUBLIC, &ask("unsubscribe", channel, "BTC-USDT-SWAP"));
        assert!(pushes(&talk.run(Duration::from_secs(1)), channel, "BTC-USDT-SWAP").is_empty());
    }
}

/// The naive model: the single trades that REST gives, added up by id.
#[test]
fn trades_of_one_order_at_one_price_are_one_and_add_up_to_those_by_rest() {
    let mut talk = talk(11, 300);
    talk.subscribe(PUBLIC, "trades", "BTC-USD-SWAP");
    let heard = talk.run(Duration::from_secs(30));
    let rows: Vec<_> = pushes(&heard, "trades", "BTC-USD-SWAP")
        .into_iter()
        .flat_map(|message| message["data"].as_array().unwrap().clone())
        .collect();
    let single = talk.get("/api/v5/market/trades?instId=BTC-USD-SWAP&limit=500");
    let id = |row: &Value| row["tradeId"].as_str().unwrap().parse::<u64>().unwrap();
    let by_id: BTreeMap<u64, &Value> = single.iter().map(|row| (id(row), row)).collect();
    assert!(single.is_sorted_by(|a, b| id(a) > id(b)));
    let known: Vec<_> =
        rows.iter().filter(|row| id(row) >= *by_id.keys().next().unwrap() + 50).collect();
    assert!(known.len() > 20 && known.iter().any(|row| row["count"] != "1"), "{}", known.len());
    for row in known {
        let count = row["count"].as_str().unwrap().parse::<u64>().unwrap();
        let parts: Vec<_> = (id(row) + 1 - count..=id(row)).map(|id| by_id[&id]).collect();
        assert_eq!(number(&row["sz"]), parts.iter().map(|part| number(&part["sz"])).sum());
        for (part, field) in
            parts.iter().flat_map(|part| ["px", "side", "ts", "instId"].map(|field| (part, field)))
        {
            assert_eq!(row[field], part[field]);
        }
    }
    let ids: Vec<_> = rows.iter().map(id).collect();
    let counts =
        rows.iter().skip(1).map(|row| row["count"].as_str().unwrap().parse::<u64>().unwrap());
    assert!(ids.windows(2).map(|pair| pair[1] - pair[0]).eq(counts), "a trade is missing");
}

#[test]
fn older_trades_are_had_in_pages_by_id_or_by_time() {
    let mut talk = talk(11, 300);
    talk.run(Duration::from_secs(20));
    let all = talk.get("/api/v5/market/trades?instId=BTC-USDT&limit=500");
    let history = "/api/v5/market/history-trades?instId=BTC-USDT";
    assert_eq!(talk.get(&format!("{history}&limit=500")), all[..100]);
    let (newer, older) = (all[10]["tradeId"].as_str().unwrap(), &all[30]["tradeId"]);
    let older = older.as_str().unwrap();
    let page = format!("{history}&after={newer}&limit=5");
    assert_eq!(talk.get(&page), all[11..16]);
    assert_eq!(talk.get(&format!("{history}&after={newer}&before={older}")), all[11..30]);
    let at = all[10]["ts"].as_str().unwrap();
    let earlier: Vec<_> = all.iter().filter(|row| row["ts"].as_str().unwrap() < at).collect();
    let by_time = talk.get(&format!("{history}&type=2&after={at}&limit=3"));
    assert!(by_time.iter().eq(earlier.into_iter().take(3)));
    let (_, wrong) = talk.ask(&Request::get(format!("{history}&type=3")));
    assert_eq!(wrong["code"], "51000");
}

#[test]
fn days_weeks_and_months_begin_by_either_clock() {
    let mut talk = talk(3, 100);
    talk.run(Duration::from_secs(10));
    for path in ["candles", "history-candles"] {
        for (bar, begin) in [
            ("1H", "2026-05-28T20:00:00Z"),
            ("6H", "2026-05-28T16:00:00Z"),
            ("6Hutc", "2026-05-28T18:00:00Z"),
            ("1D", "2026-05-28T16:00:00Z"),
            ("1Dutc", "2026-05-28T00:00:00Z"),
            ("1W", "2026-05-24T16:00:00Z"),
            ("1Wutc", "2026-05-25T00:00:00Z"),
            ("1M", "2026-04-30T16:00:00Z"),
            ("3Mutc", "2026-04-01T00:00:00Z"),
        ] {
            let row = &talk.get(&format!("/api/v5/market/{path}?instId=BTC-USDT&bar={bar}"))[0];
            let begin = (seconds_of(begin).unwrap() * 1_000).to_string();
            assert_eq!(row[0], *begin, "{path} {bar}");
        }
    }
    let first = talk.subscribe(BUSINESS, "candle1W", "BTC-USDT");
    assert_eq!(
        first[1]["data"][0][0],
        (seconds_of("2026-05-24T16:00:00Z").unwrap() * 1_000).to_string()
    );
}

#[test]
fn candles_come_each_second_and_end_with_a_last_word() {
    let mut talk = talk(3, 100);
    talk.subscribe(BUSINESS, "candle1m", "BTC-USDT");
    let mut rows = Vec::new();
    for _ in 0..15 {
        talk.say(BUSINESS, "ping");
        rows.extend(
            pushes(&talk.run(Duration::from_secs(10)), "candle1m", "BTC-USDT")
                .into_iter()
                .map(|message| message["data"][0].clone()),
        );
    }
    let ends: Vec<_> = rows.iter().filter(|row| row[8] == "1").collect();
    let by_rest = talk.get("/api/v5/market/candles?instId=BTC-USDT&bar=1m&limit=10");
    assert_eq!((by_rest.len(), &by_rest[0][8], &by_rest[1][8]), (10, &"0".into(), &"1".into()));
    assert!(ends.len() >= 2, "{}", ends.len());
    for end in ends {
        assert!(by_rest.contains(end), "{end} is not in {by_rest:?}");
    }
    let last = rows.last().unwrap();
    assert_eq!((&last[0], &last[1]), (&by_rest[0][0], &by_rest[0][1]));
    let older = talk.get(&format!(
        "/api/v5/market/candles?instId=BTC-USDT&after={}&before={}",
        by_rest[2][0].as_str().unwrap(),
        by_rest[5][0].as_str().unwrap()
    ));
    assert_eq!(older, by_rest[3..5]);
    // The same of longer ago, 300 at a time.
    let history = "/api/v5/market/history-candles?instId=BTC-USDT&limit=500";
    let newest = talk.get(history);
    assert_eq!((newest.len(), &newest[..10]), (300, &by_rest[..]));
    let after = newest[299][0].as_str().unwrap();
    let next = talk.get(&format!("{history}&after={after}"));
    let minute = |row: &Value| row[0].as_str().unwrap().parse::<u64>().unwrap() / 60_000;
    assert_eq!((next.len(), minute(&next[0])), (300, minute(&newest[299]) - 1));
}

#[test]
fn tickers_and_funding_are_the_same_by_both_ways() {
    let mut talk = talk(3, 200);
    talk.subscribe(PUBLIC, "tickers", "BTC-USDT-SWAP");
    talk.subscribe(PUBLIC, "funding-rate", "BTC-USDT-SWAP");
    talk.run(Duration::from_secs(5));
    talk.simulator.freeze();
    let heard = talk.run(Duration::from_millis(200));
    let mut streamed = pushes(&heard, "tickers", "BTC-USDT-SWAP").pop().unwrap()["data"][0].clone();
    let mut asked = talk.get("/api/v5/market/ticker?instId=BTC-USDT-SWAP").remove(0);
    let all = talk.get("/api/v5/market/tickers?instType=SWAP");
    assert_eq!((all.len(), &all[0]), (2, &asked));
    for ticker in [&mut streamed, &mut asked] {
        ticker["ts"].take();
    }
    assert_eq!(streamed, asked);
    let [low, last, high] = ["low24h", "last", "high24h"].map(|name| number(&asked[name]));
    assert!(low <= last && last <= high);
    let mut minute = Vec::new();
    for _ in 0..6 {
        talk.say(PUBLIC, "ping");
        minute.extend(talk.run(Duration::from_secs(10)));
    }
    assert_eq!(pushes(&minute, "funding-rate", "BTC-USDT-SWAP").len(), 1);
    let by_rest = talk.get("/api/v5/public/funding-rate?instId=BTC-USDT-SWAP");
    assert_eq!(by_rest[0]["fundingTime"].as_str().unwrap().parse::<u64>().unwrap() % 28_800_000, 0);
}

#[test]
fn volumes_are_in_the_units_of_each_sort() {
    let mut talk = talk(3, 500);
    // Short of the minute's end.
    talk.run(Duration::from_secs(15));
    for (inst_id, unit) in [("BTC-USDT", "1"), ("BTC-USDT-SWAP", "0.01"), ("BTC-USD-SWAP", "100")] {
        let instrument = talk
            .get(&format!(
                "/api/v5/public/instruments?instType={}&instId={inst_id}",
                if inst_id.ends_with("SWAP") { "SWAP" } else { "SPOT" }
            ))
            .remove(0);
        let row = talk.get(&format!("/api/v5/market/candles?instId={inst_id}&limit=1")).remove(0);
        let [volume, currency, quote] = [5, 6, 7].map(|at| number(&row[at]));
        assert!(!volume.is_zero());
        let (unit, low, high) = (unit.parse().unwrap(), number(&row[3]), number(&row[2]));
        match inst_id {
            "BTC-USDT" => assert!(currency == quote && instrument["ctVal"] == ""),
            "BTC-USDT-SWAP" => assert_eq!(currency, volume * number(&instrument["ctVal"])),
            _ => assert_eq!(quote, volume * number(&instrument["ctVal"])),
        }
        if inst_id != "BTC-USDT" {
            assert_eq!(number(&instrument["ctVal"]), unit);
        }
        let base = if inst_id == "BTC-USDT" { volume } else { currency };
        let cent = Decimal::new(1, 2);
        assert!(base * low <= quote + cent && quote <= base * high + cent, "{row}");
    }
}

#[test]
fn instruments_are_listed_by_sort_on_both_ways() {
    let mut talk = talk(3, 0);
    let asked = r#"{"op":"subscribe","args":[{"channel":"instruments","instType":"SWAP"}]}"#;
    let told = talk.say(PUBLIC, asked);
    let by_rest = talk.get("/api/v5/public/instruments?instType=SWAP");
    assert_eq!(told[1]["data"].as_array().unwrap(), &by_rest);
    let ids: Vec<_> = by_rest.iter().map(|row| &row["instId"]).collect();
    assert_eq!(ids, ["BTC-USDT-SWAP", "BTC-USD-SWAP"]);
    assert_eq!(
        (&by_rest[0]["settleCcy"], &by_rest[1]["settleCcy"]),
        (&"USDT".into(), &"BTC".into())
    );
    // Clients that check what they read want every field that the venue documents, empty or not.
    let spot = &talk.get("/api/v5/public/instruments?instType=SPOT")[0];
    for row in [spot, &by_rest[0]] {
        for field in [
            "alias",
            "auctionEndTime",
            "baseCcy",
            "category",
            "contTdSwTime",
            "ctMult",
            "ctType",
            "ctVal",
            "ctValCcy",
            "expTime",
            "groupId",
            "instFamily",
            "lever",
            "listTime",
            "lotSz",
            "maxIcebergSz",
            "maxLmtAmt",
            "maxLmtSz",
            "maxMktAmt",
            "maxMktSz",
            "maxStopSz",
            "maxTriggerSz",
            "maxTwapSz",
            "minSz",
            "openType",
            "optType",
            "preMktSwTime",
            "quoteCcy",
            "ruleType",
            "settleCcy",
            "state",
            "stk",
            "tickSz",
            "uly",
        ] {
            assert!(row[field].is_string(), "{field}: {row}");
        }
        assert_eq!(row["futureSettlement"], false);
    }
    assert_eq!(spot["tradeQuoteCcyList"], serde_json::json!(["USDT"]));
    assert!(talk.get("/api/v5/public/instruments?instType=OPTION&uly=BTC-USD").is_empty());
    assert_eq!(talk.get("/api/v5/public/time")[0]["ts"], ms(START).to_string());
}

#[test]
fn a_subscription_is_answered_with_its_id_and_taken_back() {
    let mut talk = talk(3, 100);
    let text = r#"{"id":"a\"1","op":"subscribe","args":[{"channel":"tickers","instId":"BTC-USDT"},{"channel":"books","instId":"X"}]}"#;
    let [done, push, refused] = &talk.say(PUBLIC, text)[..] else { panic!() };
    assert_eq!((&done["event"], &done["id"]), (&"subscribe".into(), &"a\"1".into()));
    assert_eq!(done["arg"].to_string(), r#"{"channel":"tickers","instId":"BTC-USDT"}"#);
    assert_eq!(done["connId"].as_str().unwrap().len(), 8);
    assert_eq!(push["arg"], done["arg"]);
    assert_eq!((&refused["code"], &refused["id"]), (&"60018".into(), &"a\"1".into()));
    let taken = talk.say(PUBLIC, &ask("unsubscribe", "tickers", "BTC-USDT"));
    assert_eq!((&taken[0]["event"], taken.len()), (&"unsubscribe".into(), 1));
    talk.run(Duration::ZERO);
    assert!(talk.run(Duration::from_secs(5)).is_empty());
}

#[test]
fn what_is_wrong_is_refused_in_the_venues_words() {
    let mut talk = talk(3, 0);
    let wrong = |channel: &str, inst_id: &str| {
        format!(
            "Wrong URL or channel:{channel},instId:{inst_id} doesn't exist. Please use the correct \
             URL, channel and parameters referring to API document."
        )
    };
    for (client, text, code, words) in [
        (PUBLIC, ask("subscribe", "books", "X"), "60018", wrong("books", "X")),
        (PUBLIC, ask("subscribe", "boks", "BTC-USDT"), "60018", wrong("boks", "BTC-USDT")),
        (PUBLIC, ask("subscribe", "candle1m", "BTC-USDT"), "60018", wrong("candle1m", "BTC-USDT")),
        (BUSINESS, ask("subscribe", "books", "BTC-USDT"), "60018", wrong("books", "BTC-USDT")),
        (
            BUSINESS,
            ask("subscribe", "candle2m", "BTC-USDT"),
            "60018",
            wrong("candle2m", "BTC-USDT"),
        ),
        (
            PUBLIC,
            ask("subscribe", "funding-rate", "BTC-USDT"),
            "60018",
            wrong("funding-rate", "BTC-USDT"),
        ),
        (PUBLIC, "garbage".to_owned(), "60012", "Invalid request: garbage".to_owned()),
        (PUBLIC, r#"{"op":"subscribe"}"#.to_owned(), "60013", "Invalid args".to_owned()),
        (PUBLIC, r#"{"op":"sing","args":[]}"#.to_owned(), "60019", "Invalid op: sing".to_owned()),
        (
            PUBLIC,
            r#"{"id":"1","op":"order","args":[{}]}"#.to_owned(),
            "60028",
            "The current operation is not supported by this URL. Please use the correct WebSocket \
             URL for the operation."
                .to_owned(),
        ),
    ] {
        let refused = talk.say(client, &text).pop().unwrap();
        assert_eq!((&refused["event"], &refused["code"]), (&"error".into(), &code.into()));
        assert_eq!(refused["msg"], words, "{text}");
    }
    assert_eq!(talk.connect(ClientId(9), "/ws/v5/privat").unwrap_err().status, 404);
}

#[test]
fn a_connection_lives_by_pings_or_pushes_and_has_limits() {
    let mut talk = talk(3, 0);
    assert_eq!(talk.say(PUBLIC, "ping"), [Value::from("pong")]);
    talk.run(Duration::from_secs(20));
    talk.say(PUBLIC, "ping");
    talk.run(Duration::from_millis(29_999));
    assert_eq!(talk.closed, [(BUSINESS, 4004)]);
    talk.run(Duration::from_millis(1));
    assert_eq!(talk.closed, [(BUSINESS, 4004), (PUBLIC, 4004)]);

    talk.connect(ClientId(5), "/ws/v5/public").unwrap();
    for _ in 0..480 {
        let heard = talk.say(ClientId(5), &ask("unsubscribe", "trades", "BTC-USDT"));
        assert_eq!(heard[0]["event"], "unsubscribe");
    }
    let refused = talk.subscribe(ClientId(5), "trades", "BTC-USDT");
    assert_eq!(refused[0]["code"], "60014");
    talk.now = talk.now + Duration::from_secs(3_600);
    assert_eq!(talk.subscribe(ClientId(5), "trades", "BTC-USDT")[0]["event"], "subscribe");
    talk.say(ClientId(5), &" ".repeat(64 * 1_024 + 1));
    assert_eq!(talk.closed.last(), Some(&(ClientId(5), 1009)));
}

#[test]
fn requests_are_refused_in_the_venues_form() {
    let mut talk = talk(3, 0);
    for (target, status, code) in [
        ("/api/v5/market/books", 400, "50014"),
        ("/api/v5/market/books?instId=", 400, "50014"),
        ("/api/v5/market/books?instId=X", 200, "51001"),
        ("/api/v5/market/books?instId=BTC-USDT&sz=many", 400, "51000"),
        ("/api/v5/market/candles?instId=BTC-USDT&bar=2m", 400, "51000"),
        ("/api/v5/market/tickers", 400, "50014"),
        ("/api/v5/public/instruments?instType=SHOES", 400, "51000"),
        ("/api/v5/public/funding-rate?instId=BTC-USDT", 200, "51001"),
        ("/api/v5/market/nothing", 404, "404"),
        ("/api/v4/market/books?instId=BTC-USDT", 404, "404"),
    ] {
        let (found, answer) = talk.ask(&Request::get(target));
        assert_eq!((found, &answer["code"]), (status, &code.into()), "{target}");
        assert!(answer["data"].as_array().unwrap().is_empty());
        assert!(!answer["msg"].as_str().unwrap().is_empty());
    }
    let post = Request { method: "POST".to_owned(), ..Request::get("/api/v5/public/time") };
    assert_eq!(talk.ask(&post).1["code"], "50115");
}

#[test]
fn too_many_requests_in_two_seconds_are_refused_where_they_are_too_many() {
    let mut talk = talk(3, 1);
    let books = "/api/v5/market/books?instId=BTC-USDT&sz=5";
    (0..40).for_each(|_| drop(talk.get(books)));
    let (status, answer) = talk.ask(&Request::get(books));
    assert_eq!((status, &answer["code"]), (429, &"50011".into()));
    (0..20).for_each(|_| drop(talk.get("/api/v5/public/instruments?instType=SPOT")));
    talk.get("/api/v5/public/instruments?instType=SWAP");
    talk.run(Duration::from_secs(2));
    assert_eq!(talk.get(books)[0]["bids"].as_array().unwrap().len(), 5);
}

#[test]
fn what_can_be_listed_is_spot_and_swaps() {
    let names = VENUE.default_symbols(4);
    assert_eq!(names, ["BTC-USDT", "BTC-USDT-PERP", "ETH-USDT", "ETH-USDT-PERP"]);
    assert_eq!(VENUE.default_symbols(150).len(), 150);
    for name in VENUE.default_symbols(150) {
        assert!(VENUE.listing(&name).is_ok(), "{name}");
    }
    let error = VENUE.listing("BTC-USDT-261225").unwrap_err();
    assert!(error.message.contains("BTC-USDT-PERP"), "{error:?}");
}
