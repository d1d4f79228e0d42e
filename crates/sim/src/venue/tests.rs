//! Every simulated venue: the same run gives the same bytes, and what it tells adds up to what it
//! has.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::sign;

pub const START: Nanos = Nanos(1_790_000_000_000_000_000);

pub fn options(venue: &str, seed: u64) -> SimOptions {
    SimOptions {
        seed,
        symbols: default_symbols(venue, 3),
        rate: 200,
        faults: Faults::default(),
        start: START,
        accounts: Vec::new(),
    }
}

/// Drives a simulator until `end`; gives all that came out, with its time.
pub fn drive(simulator: &mut Simulator, end: Nanos) -> Vec<(Nanos, Output)> {
    drive_from(simulator, (START, end), SENDS_MAX)
}

/// Also where faults hold things back, which then come all at once.
fn drive_from(
    simulator: &mut Simulator,
    (begin, end): (Nanos, Nanos),
    max: usize,
) -> Vec<(Nanos, Output)> {
    let (mut all, mut out, mut now) = (Vec::new(), Vec::new(), begin);
    while let Some(at) = simulator.deadline().filter(|at| *at <= end) {
        now = now.max(at);
        simulator.tick(now, &mut out);
        assert!(out.len() <= max, "{} at once", out.len());
        all.extend(out.drain(..).map(|output| (now, output)));
    }
    all
}

/// What one client does at a venue.
struct Visit {
    venue: &'static str,
    /// Where it connects to, and what it says then.
    begin: fn(&mut Simulator) -> (String, Vec<String>),
    /// What it asks by REST each second.
    ask: fn(Nanos) -> Vec<Request>,
    /// The fields in which it may find new values.
    enumerations: &'static [&'static str],
}

fn said(target: &str, says: &[&str]) -> (String, Vec<String>) {
    (target.to_owned(), says.iter().map(|&text| text.to_owned()).collect())
}

fn gets(targets: &[&str]) -> Vec<Request> {
    targets.iter().map(|target| Request::get(*target)).collect()
}

fn at_ms(now: Nanos) -> u64 {
    now.0 / 1_000_000
}

/// A request as Binance has it signed.
fn signed(now: Nanos, method: &str, path: &str, query: &str) -> Request {
    let Account { api_key, secret, .. } = Account::demo();
    let query = format!("{query}&timestamp={}", at_ms(now));
    let signature = sign::hex(&sign::hmac_sha256(secret, query.as_bytes()));
    Request {
        method: method.to_owned(),
        headers: vec![("x-mbx-apikey".to_owned(), api_key)],
        ..Request::get(format!("{path}?{query}&signature={signature}"))
    }
}

fn trades_at(now: Nanos, path: &str) -> Vec<Request> {
    let order = "symbol=BTCUSDT&side=BUY&quantity=0.01&type=";
    vec![
        signed(now, "POST", &format!("{path}/order"), &format!("{order}MARKET")),
        signed(
            now,
            "POST",
            &format!("{path}/order"),
            &format!("{order}LIMIT&timeInForce=GTC&price=50000"),
        ),
        signed(now, "GET", &format!("{path}/openOrders"), "symbol=BTCUSDT"),
    ]
}

/// Spot's reports come on the WebSocket API.
fn at_spot(_: &mut Simulator) -> (String, Vec<String>) {
    let Account { api_key, secret, .. } = Account::demo();
    let params = format!("apiKey={api_key}&timestamp={}", at_ms(START));
    let signature = sign::hex(&sign::hmac_sha256(secret, params.as_bytes()));
    let text = format!(
        r#"{{"id":1,"method":"userDataStream.subscribe.signature","params":{{"apiKey":"{api_key}","timestamp":{},"signature":"{signature}"}}}}"#,
        at_ms(START)
    );
    said("/ws-api/v3", &[&text])
}

/// Those of USDⓈ-M by a listen key.
fn at_usdm(simulator: &mut Simulator) -> (String, Vec<String>) {
    let request =
        Request { method: "POST".to_owned(), ..signed(START, "", "/fapi/v1/listenKey", "") };
    let mut out = Vec::new();
    simulator.request(START, RequestId(1_000), &request, &mut out);
    let text = out.iter().find_map(|output| match output {
        Output::Answer { reply, .. } => std::str::from_utf8(&reply.body).ok(),
        _ => None,
    });
    // None where the answer was lost or refused.
    let key = text.and_then(|text| text.split('"').nth(3)).unwrap_or("none");
    said(&format!("/private/ws/{key}"), &[])
}

fn at_okx(_: &mut Simulator) -> (String, Vec<String>) {
    let Account { api_key, secret, passphrase, .. } = Account::demo();
    let stamp = START.0 / 1_000_000_000;
    let message = format!("{stamp}{}", concat!("GET/users", "/self/verify"));
    let signature = sign::base64(&sign::hmac_sha256(secret, message.as_bytes()));
    let login = format!(
        r#"{{"op":"login","args":[{{"apiKey":"{api_key}","passphrase":"{passphrase}","timestamp":"{stamp}","sign":"{signature}"}}]}}"#
    );
    let orders = r#"{"op":"subscribe","args":[{"channel":"orders","instType":"ANY"}]}"#;
    let place = r#"{"id":"1","op":"order","args":[{"instIdCode":1,"tdMode":"cash","side":"buy","ordType":"limit","px":"50000","sz":"0.01"}]}"#;
    said("/ws/v5/private", &[&login, orders, place])
}

/// At every venue for its market data, and where it can be traded for that.
fn visits() -> impl Iterator<Item = Visit> {
    at_binance().into_iter().chain(elsewhere())
}

fn at_binance() -> Vec<Visit> {
    vec![
        Visit {
            venue: "binance",
            begin: |_| {
                let streams = "btcusdt@depth@100ms/ethusdt@aggTrade/btcusdt@bookTicker";
                said(&format!("/stream?streams={streams}/btcusdt@kline_1m/btcusdt@ticker"), &[])
            },
            ask: |_| gets(&["/api/v3/depth?symbol=BTCUSDT&limit=1000", "/api/v3/exchangeInfo"]),
            enumerations: &["status"],
        },
        Visit {
            venue: "binance-usdm",
            begin: |_| said("/public/stream?streams=btcusdt@depth@100ms/ethusdt@bookTicker", &[]),
            ask: |_| gets(&["/fapi/v1/depth?symbol=BTCUSDT", "/fapi/v1/exchangeInfo"]),
            enumerations: &["status"],
        },
        Visit {
            venue: "binance-coinm",
            begin: |_| said("/stream?streams=btcusd_perp@depth/ethusd_perp@kline_1m", &[]),
            ask: |_| gets(&["/dapi/v1/ticker/24hr", "/dapi/v1/exchangeInfo"]),
            enumerations: &["contractStatus"],
        },
        Visit {
            venue: "binance",
            begin: at_spot,
            ask: |now| trades_at(now, "/api/v3"),
            enumerations: &["V", "f", "o"],
        },
        Visit {
            venue: "binance-usdm",
            begin: at_usdm,
            ask: |now| trades_at(now, "/fapi/v1"),
            enumerations: &["V", "f", "o"],
        },
    ]
}

fn elsewhere() -> Vec<Visit> {
    vec![
        Visit {
            venue: "okx",
            begin: |_| {
                let books = r#"{"op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT"},{"channel":"trades","instId":"ETH-USDT"},{"channel":"tickers","instId":"BTC-USDT"}]}"#;
                let other =
                    r#"{"op":"subscribe","args":[{"channel":"instruments","instType":"SPOT"}]}"#;
                said("/ws/v5/public", &[books, other])
            },
            ask: |_| {
                gets(&[
                    "/api/v5/market/books?instId=BTC-USDT&sz=50",
                    "/api/v5/public/instruments?instType=SPOT",
                ])
            },
            enumerations: &["ruleType", "state"],
        },
        Visit {
            venue: "okx",
            begin: at_okx,
            ask: |_| gets(&["/api/v5/market/trades?instId=BTC-USDT"]),
            enumerations: &["ordType"],
        },
        Visit {
            venue: "kraken",
            begin: |_| {
                let of = |channel: &str| {
                    format!(
                        r#"{{"method":"subscribe","params":{{"channel":"{channel}","symbol":["BTC/USDT"]}}}}"#
                    )
                };
                let list = r#"{"method":"subscribe","params":{"channel":"instrument"}}"#;
                let [book, trade, ticker, ohlc] = ["book", "trade", "ticker", "ohlc"].map(of);
                said("/v2", &[&book, &trade, &ticker, &ohlc, list])
            },
            ask: |_| gets(&["/0/public/Trades?pair=XBTUSDT", "/0/public/AssetPairs"]),
            enumerations: &["ord_type", "status"],
        },
        Visit {
            venue: "coinbase",
            begin: |_| {
                let text = r#"{"type":"subscribe","product_ids":["BTC-USD"],"channels":["level2_batch","matches","ticker","heartbeat","status"]}"#;
                said("/", &[text])
            },
            ask: |_| gets(&["/products", "/products/BTC-USD/book?level=2"]),
            enumerations: &["status"],
        },
    ]
}

/// Everything that one client sees of a venue in ten seconds.
fn traffic(visit: &Visit, options: &SimOptions) -> Vec<(Nanos, Output)> {
    let accounts = vec![Account::demo()];
    let options = SimOptions { accounts, ..options.clone() };
    let mut simulator = super::venue(visit.venue, &options).unwrap().unwrap();
    let (mut out, mut log) = (Vec::new(), Vec::new());
    let (target, says) = (visit.begin)(&mut simulator);
    let connects = |client: &ClientId| simulator.connect(START, *client, &target, &mut out).is_ok();
    let client = (1..).map(ClientId).find(connects).unwrap();
    for text in says {
        simulator.message(START, client, text.as_bytes(), &mut out);
    }
    log.extend(out.drain(..).map(|output| (START, output)));
    for second in 0..10 {
        let (begin, end) = [second, second + 1].map(|s| START + Duration::from_secs(s)).into();
        log.extend(drive_from(&mut simulator, (begin, end), usize::MAX));
        for (n, request) in (visit.ask)(end).iter().enumerate() {
            let id = RequestId(second * 10 + n as u64);
            simulator.request(end, id, request, &mut out);
        }
        log.extend(out.drain(..).map(|output| (end, output)));
    }
    log
}

/// What a venue answers to a request that it turns away; `None` where the fault never happens there.
fn turned_away(venue: &str, faults: Faults) -> Option<Reply> {
    let options = SimOptions { faults, ..options(venue, 1) };
    let mut simulator = super::venue(venue, &options).unwrap().unwrap();
    let mut out = Vec::new();
    simulator.request(START, RequestId(1), &Request::get("/time"), &mut out);
    let Some(Output::Answer { reply, .. }) = out.pop() else { panic!("{venue}: {out:?}") };
    (simulator.faults_injected() == 1).then_some(reply)
}

#[test]
fn each_venue_turns_requests_away_in_its_own_words() {
    let of = |venue: &str| {
        let unavailable = Faults { answer_5xx: 1_000_000, ..Faults::default() };
        let too_often = Faults { answer_429: 1_000_000, ..Faults::default() };
        let banned = Faults { answer_418: 1_000_000, ..Faults::default() };
        [unavailable, too_often, banned].map(|faults| turned_away(venue, faults))
    };
    let until = (START + Duration::from_secs(2)).0 / 1_000_000;
    for venue in ["binance", "binance-usdm", "binance-coinm"] {
        let all = of(venue).map(Option::unwrap);
        for (reply, (status, wait, words)) in all.iter().zip([
            (503, None, r#""code":-1008"#),
            (429, Some("1"), r#""code":-1003"#),
            (418, Some("2"), &format!("banned until {until}")),
        ]) {
            let headers = wait.map(|wait| ("retry-after".to_owned(), wait.to_owned()));
            assert_eq!(reply.status, status);
            assert_eq!(reply.headers, Vec::from_iter(headers));
            let body = String::from_utf8_lossy(&reply.body);
            assert!(body.contains(words), "no {words} in {body}");
        }
    }
    let said = |status, body: &'static str| Some(Reply::new(status, body));
    let unavailable = r#"{"code":"50001","data":[],"msg":"Service temporarily unavailable. Please try again later."}"#;
    let too_often = r#"{"code":"50011","data":[],"msg":"Too Many Requests"}"#;
    assert_eq!(of("okx"), [said(503, unavailable), said(429, too_often), None]);
    let unavailable = r#"{"message":"Internal server error"}"#;
    let too_often = r#"{"message":"Public rate limit exceeded"}"#;
    assert_eq!(of("coinbase"), [said(500, unavailable), said(429, too_often), None]);
    let unavailable = r#"{"error":["EService:Unavailable"]}"#;
    let too_often = r#"{"error":["EAPI:Rate limit exceeded"]}"#;
    assert_eq!(of("kraken"), [said(200, unavailable), said(200, too_often), None]);
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_one_others() {
    for visit in visits() {
        for preset in crate::faults::PRESETS {
            let faults = Faults { oversized_kib: 1, ..Faults::preset(preset).unwrap() };
            let with = |seed| {
                traffic(
                    &visit,
                    &SimOptions { faults: faults.clone(), ..options(visit.venue, seed) },
                )
            };
            let (first, place) = (with(7), (visit.venue, preset, visit.enumerations));
            assert!(first.len() > 10, "{place:?}: {} outputs", first.len());
            assert!(first == with(7), "{place:?}");
            assert!(first != with(8), "{place:?}");
        }
    }
}

/// What differs between two texts: the names of fields. Only new values do.
fn differences(old: &Value, new: &Value, name: &str, found: &mut BTreeSet<String>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            assert_eq!(old.len(), new.len(), "{name}");
            old.iter().for_each(|(name, old)| differences(old, &new[name], name, found));
        }
        (Value::Array(old), Value::Array(new)) => {
            assert_eq!(old.len(), new.len(), "{name}");
            old.iter().zip(new).for_each(|(old, new)| differences(old, new, name, found));
        }
        _ if old == new => {}
        _ => {
            assert_eq!(new, "BRAND_NEW", "{name} was {old}");
            found.insert(name.to_owned());
        }
    }
}

#[test]
fn new_values_come_in_the_fields_that_the_venue_names_and_nowhere_else() {
    let text = |output: &Output| -> Value {
        let bytes = match output {
            Output::Send { payload, .. } => payload,
            Output::Answer { reply, .. } => &reply.body,
            other => panic!("{other:?}"),
        };
        serde_json::from_slice(bytes).unwrap()
    };
    for visit in visits() {
        let clean = options(visit.venue, 7);
        let faults = Faults { novel_value: 1_000_000, ..Faults::default() };
        let [clean, spoiled] =
            [clean.clone(), SimOptions { faults, ..clean }].map(|of| traffic(&visit, &of));
        assert_eq!(clean.len(), spoiled.len(), "{}", visit.venue);
        let mut found = BTreeSet::new();
        for ((_, old), (_, new)) in clean.iter().zip(&spoiled) {
            differences(&text(old), &text(new), "", &mut found);
        }
        let expected = visit.enumerations.iter().map(|&name| name.to_owned());
        assert_eq!(found, expected.collect(), "{}", visit.venue);
    }
}

#[test]
fn a_venue_that_is_not_there_or_can_not_list_something_is_said() {
    assert!(super::venue("nowhere", &options("binance", 1)).unwrap().is_none());
    for (venue, symbol, expected) in [
        ("binance", "BTC-USDT-PERP", "BTC-USDT"),
        ("binance-usdm", "BTC-USDT", "BTC-USDT-PERP"),
        ("binance-usdm", "BTC-USD-PERP", "BTC-USDT-PERP"),
        ("binance-coinm", "BTC-USDT-PERP", "BTC-USD-PERP"),
        ("binance-usdm", "BTC-USDT-260231", "YYMMDD"),
        ("binance", "btc-usdt", "BTC-USDT"),
    ] {
        let symbols = vec![symbol.to_owned()];
        let error =
            super::venue(venue, &SimOptions { symbols, ..options(venue, 1) }).err().unwrap();
        assert!(error.message.contains(expected), "{venue} {symbol}: {error}");
    }
    let twice = vec!["BTC-USDT".to_owned(); 2];
    let error = super::venue("binance", &SimOptions { symbols: twice, ..options("binance", 1) });
    assert!(error.err().unwrap().message.contains("twice"));
}

#[test]
fn every_venue_has_a_hundred_and_fifty_instruments() {
    for venue in venues() {
        let symbols = default_symbols(venue, 150);
        assert_eq!(symbols.len(), 150, "{venue}");
        let simulator = super::venue(venue, &SimOptions { symbols, ..options(venue, 1) });
        let books = simulator.unwrap().unwrap().books();
        assert_eq!(books.len(), 150, "{venue}");
        for (name, book) in books {
            assert!(book.bids.len() > 20 && book.asks.len() > 20, "{venue} {name}");
            assert!(book.bids[0].price < book.asks[0].price, "{venue} {name}");
        }
    }
}

#[test]
fn a_frozen_market_says_its_last_word_and_then_nothing_of_books_and_trades() {
    let mut simulator = super::venue("binance", &options("binance", 3)).unwrap().unwrap();
    let target = "/stream?streams=btcusdt@depth@100ms/btcusdt@bookTicker/btcusdt@aggTrade";
    simulator.connect(START, ClientId(1), target, &mut Vec::new()).unwrap();
    drive(&mut simulator, START + Duration::from_secs(5));
    let before = simulator.books();
    simulator.freeze();
    let last = drive(&mut simulator, START + Duration::from_secs(6));
    let frozen = simulator.books();
    let sent = |part: &str| {
        let has = |output: &Output| {
            matches!(output, Output::Send { payload, .. }
            if std::str::from_utf8(payload).unwrap().contains(part))
        };
        last.iter().filter(|(_, output)| has(output)).count()
    };
    assert!(sent("@depth@100ms") > 0 && sent("@bookTicker") > 0);
    for (name, book) in &frozen {
        assert_ne!(book.bids.first(), before[name].bids.first(), "{name}");
        assert_ne!(book.asks.first(), before[name].asks.first(), "{name}");
    }
    let after = drive(&mut simulator, START + Duration::from_secs(30));
    assert!(after.iter().all(|(_, output)| matches!(output, Output::Ping { .. })), "{after:?}");
    assert_eq!(simulator.books(), frozen);
}
