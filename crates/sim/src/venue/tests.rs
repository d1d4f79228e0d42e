//! Every simulated venue: the same run gives the same bytes, and what it tells adds up to what it
//! has.

use std::time::Duration;

use super::*;

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
    let (mut all, mut out, mut now) = (Vec::new(), Vec::new(), START);
    while let Some(at) = simulator.deadline().filter(|at| *at <= end) {
        now = now.max(at);
        simulator.tick(now, &mut out);
        assert!(out.len() <= SENDS_MAX, "{} at once", out.len());
        all.extend(out.drain(..).map(|output| (now, output)));
    }
    all
}

/// Everything that one client sees of a venue in ten seconds, with requests in between.
fn traffic(venue: &str, target: &str, options: &SimOptions, rest: &[&str]) -> String {
    let mut simulator = super::venue(venue, options).unwrap().unwrap();
    let mut out = Vec::new();
    let mut log = String::new();
    let mut attempts = (1..).map(ClientId);
    while let Err(refusal) = simulator.connect(START, attempts.next().unwrap(), target, &mut out) {
        log += &format!("{refusal:?}\n");
    }
    for second in 0..10 {
        let end = START + Duration::from_secs(second + 1);
        for (at, output) in drive(&mut simulator, end) {
            log += &format!("{at} {output:?}\n");
        }
        for target in rest {
            simulator.request(end, RequestId(second), &Request::get(*target), &mut out);
        }
        log += &format!("{end} {out:?}\n");
        out.clear();
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
    let cases = [
        (
            "binance",
            "/stream?streams=btcusdt@depth@100ms/ethusdt@aggTrade/btcusdt@bookTicker",
            ["/api/v3/depth?symbol=BTCUSDT&limit=1000", "/api/v3/exchangeInfo"],
        ),
        (
            "binance-usdm",
            "/public/stream?streams=btcusdt@depth@100ms/ethusdt@bookTicker",
            ["/fapi/v1/depth?symbol=BTCUSDT&limit=1000", "/fapi/v1/premiumIndex"],
        ),
        (
            "binance-coinm",
            "/stream?streams=btcusd_perp@depth/ethusd_perp@kline_1m",
            ["/dapi/v1/depth?symbol=BTCUSD_PERP&limit=1000", "/dapi/v1/ticker/24hr"],
        ),
    ];
    for (venue, target, rest) in cases {
        for preset in crate::faults::PRESETS {
            let faults = Faults { oversized_kib: 1, ..Faults::preset(preset).unwrap() };
            let with = |seed| SimOptions { faults: faults.clone(), ..options(venue, seed) };
            let first = traffic(venue, target, &with(7), &rest);
            assert!(first.len() > 10_000, "{venue} {preset}: {} bytes", first.len());
            assert!(first == traffic(venue, target, &with(7), &rest), "{venue} {preset}");
            assert!(first != traffic(venue, target, &with(8), &rest), "{venue} {preset}");
        }
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
