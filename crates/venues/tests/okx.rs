//! The OKX machine in virtual time: what is its own beside the conformance suite.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::Bench;
use model::event::Reason;
use model::venue::{Count, Discard, Outcome};
use model::{Body, Kind, Side, StreamState};
use venues::Settings;

const SPOT: &str = r#"{"code":"0","msg":"","data":[
  {"instType":"SPOT","instId":"BTC-USDT","tickSz":"0.1","lotSz":"0.00001","state":"live"},
  {"instType":"SPOT","instId":"ETH-USDT","tickSz":"0.01","lotSz":"0.0001","state":"live"}]}"#;
const RESUBSCRIBED: [&str; 2] = [
    r#"{"op":"unsubscribe","args":[{"channel":"books","instId":"BTC-USDT"}]}"#,
    r#"{"op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT"}]}"#,
];

fn book(action: &str, previous: i64, seq: u64, bid: &str, quantity: u32) -> String {
    format!(
        r#"{{"arg":{{"channel":"books","instId":"BTC-USDT"}},"action":"{action}","data":[{{"asks":[],"bids":[["{bid}","{quantity}","0","1"]],"ts":"1700000000000","checksum":0,"seqId":{seq},"prevSeqId":{previous}}}]}}"#
    )
}

fn rest(seq: u64, bid: &str) -> String {
    format!(
        r#"{{"code":"0","msg":"","data":[{{"asks":[["101","1","0","1"]],"bids":[["{bid}","2","0","1"]],"ts":"1700000000000","seqId":{seq}}}]}}"#
    )
}

fn ack(bench: &mut Bench, conn: u32) {
    let text =
        r#"{"event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"},"connId":"a"}"#;
    bench.frame(conn, text).unwrap();
}

/// Subscribed to a book, connected and told so.
fn connected() -> Bench {
    let mut bench = Bench::new(venues::create("okx", Settings::default()).unwrap());
    bench.subscribe(&[("BTC-USDT", Kind::BookUpdate)]);
    let list = bench.take_request("instType=SPOT").unwrap();
    bench.answer(&list, SPOT).unwrap();
    bench.open(0, 1);
    bench.outbox.frames.clear();
    ack(&mut bench, 1);
    bench
}

/// The same with the book live at 10.
fn live() -> Bench {
    let mut bench = connected();
    bench.frame(1, &book("snapshot", -1, 10, "100", 1)).unwrap();
    assert_eq!(bench.state("BTC-USDT"), StreamState::Live);
    bench
}

fn sent(bench: &mut Bench) -> Vec<String> {
    std::mem::take(&mut bench.outbox.frames).into_iter().map(|(_, text)| text).collect()
}

#[test]
fn only_the_lists_that_are_needed_are_asked_for() {
    let mut bench = Bench::new(venues::create("okx", Settings::default()).unwrap());
    bench.subscribe(&[("BTC-USDT-PERP", Kind::Trade), ("BTC-USD-261225", Kind::Kline)]);
    bench.subscribe(&[("ETH-USDT-PERP", Kind::Trade)]);
    let urls: Vec<_> = bench.outbox.requests.iter().map(|request| request.url.as_str()).collect();
    assert_eq!(
        urls,
        [
            "https://openapi.okx.com/api/v5/public/instruments?instType=SWAP",
            "https://openapi.okx.com/api/v5/public/instruments?instType=FUTURES",
        ]
    );
    let futures = bench.take_request("FUTURES").unwrap();
    let body = r#"{"code":"0","data":[{"instId":"BTC-USD-261225","ctVal":"100","state":"live"}]}"#;
    bench.answer(&futures, body).unwrap();
    let url = bench.outbox.links[0].url.as_deref();
    assert_eq!(url, Some("wss://ws.okx.com/ws/v5/business"), "candles have their own socket");
    bench.open(0, 1);
    let candle = r#"{"op":"subscribe","args":[{"channel":"candle1m","instId":"BTC-USD-261225"}]}"#;
    assert_eq!(sent(&mut bench), [candle]);
    assert!(bench.pipeline.notices.is_empty(), "the other list is still on its way");
}

#[test]
fn a_refused_list_is_asked_for_again() {
    let mut bench = Bench::new(venues::create("okx", Settings::default()).unwrap());
    bench.subscribe(&[("BTC-USDT", Kind::Trade)]);
    let list = bench.take_request("instType=SPOT").unwrap();
    let busy = r#"{"code":"50001","msg":"Service temporarily unavailable","data":[]}"#;
    assert!(bench.answer(&list, busy).unwrap_err().message.contains("50001"));
    bench.pass(31_000);
    let list = bench.take_request("instType=SPOT").unwrap();
    bench.answer(&list, SPOT).unwrap();
    assert_eq!(bench.outbox.links.len(), 1);
}

#[test]
fn a_gap_subscribes_anew_once_and_ignores_diffs_until_the_snapshot() {
    let mut bench = live();
    bench.frame(1, &book("update", 12, 15, "100", 5)).unwrap();
    bench.pass(200);
    assert_eq!(bench.state("BTC-USDT"), StreamState::Gapped);
    assert_eq!(sent(&mut bench), RESUBSCRIBED);
    for (previous, seq) in [(15, 20), (20, 22)] {
        bench.frame(1, &book("update", previous, seq, "100", 6)).unwrap();
    }
    bench.pass(1_500);
    assert!(sent(&mut bench).is_empty() && bench.outbox.requests.is_empty());
    bench.frame(1, &book("snapshot", -1, 30, "100", 7)).unwrap();
    bench.frame(1, &book("update", 30, 31, "99", 8)).unwrap();
    assert_eq!(bench.levels("BTC-USDT", Side::Buy), ["100×7", "99×8"]);
    assert_eq!((bench.pipeline.count(Count::Gap), bench.pipeline.count(Count::Resync)), (1, 1));
    bench.pass(20_000);
    assert!(bench.outbox.requests.is_empty(), "nothing is due any more");
}

#[test]
fn a_book_without_a_snapshot_in_the_stream_is_started_by_request() {
    let mut bench = connected();
    bench.frame(1, &book("update", 12, 15, "100", 5)).unwrap();
    bench.frame(1, &book("update", 15, 20, "99", 6)).unwrap();
    bench.pass(1_900);
    assert!(bench.outbox.requests.is_empty());
    bench.pass(200);
    let request = bench.take_request("/api/v5/market/books?instId=BTC-USDT&sz=400").unwrap();
    bench.answer(&request, &rest(17, "98")).unwrap();
    assert_eq!(bench.levels("BTC-USDT", Side::Buy), ["99×6", "98×2"]);
    assert_eq!(bench.book("BTC-USDT").seq_last, Some(20));
    assert_eq!(bench.pipeline.derived[0].kind(), Kind::BookSnapshot);
    // From then on a repair goes the same way at once.
    bench.pass(31_000);
    let probe = bench.take_request("sz=20").unwrap();
    bench.answer(&probe, &rest(20, "99")).unwrap();
    bench.frame(1, &book("update", 22, 25, "100", 7)).unwrap();
    bench.pass(200);
    assert!(sent(&mut bench).is_empty());
    let request = bench.take_request("sz=400").unwrap();
    bench.answer(&request, &rest(21, "98")).unwrap();
    assert_eq!(bench.state("BTC-USDT"), StreamState::Gapped, "older than what waits");
    bench.pass(1_000);
    let request = bench.take_request("sz=400").unwrap();
    bench.answer(&request, &rest(23, "98")).unwrap();
    assert_eq!(bench.levels("BTC-USDT", Side::Buy), ["100×7", "98×2"]);
    // Until a snapshot comes in the stream again.
    bench.frame(1, &book("snapshot", -1, 40, "100", 9)).unwrap();
    bench.pass(31_000);
    bench.frame(1, &book("update", 41, 42, "100", 7)).unwrap();
    bench.pass(200);
    assert_eq!(sent(&mut bench), RESUBSCRIBED);
}

#[test]
fn a_refused_book_says_why_it_takes_long_and_is_asked_for_again() {
    let mut bench = connected();
    bench.pass(2_100);
    let request = bench.take_request("sz=400").unwrap();
    bench.outcome(&request, Outcome::Delayed(Reason::RateLimited, bench.now)).unwrap();
    assert_eq!(bench.book("BTC-USDT").reason, Reason::RateLimited);
    bench.outcome(&request, Outcome::Refused(400, "{}")).unwrap();
    assert!(bench.pipeline.notices[0].contains("status 400"));
    assert_eq!(bench.book("BTC-USDT").reason, Reason::VenueUnavailable);
    bench.pass(31_000);
    let request = bench.take_request("sz=400").unwrap();
    bench.answer(&request, &rest(17, "98")).unwrap();
    assert_eq!(bench.state("BTC-USDT"), StreamState::Live);
}

#[test]
fn a_maintenance_reset_is_followed() {
    let mut bench = live();
    for (previous, seq, quantity) in [(10, 15, 2), (15, 15, 2), (15, 3, 3), (3, 5, 4)] {
        bench.frame(1, &book("update", previous, seq, "100", quantity)).unwrap();
    }
    assert_eq!(bench.levels("BTC-USDT", Side::Buy), ["100×4"]);
    assert_eq!((bench.pipeline.count(Count::Gap), bench.pipeline.emitted.len()), (0, 5));
}

#[test]
fn two_connections_whose_steps_end_at_different_numbers_overlap_without_a_gap() {
    let mut bench = live();
    bench.frame(1, &book("update", 10, 15, "100", 2)).unwrap();
    bench.open(0, 2);
    ack(&mut bench, 2);
    // The second one's snapshot is older, and its steps are cut elsewhere.
    bench.frame(2, &book("snapshot", -1, 12, "100", 9)).unwrap();
    bench.frame(1, &book("update", 15, 22, "100", 3)).unwrap();
    bench.frame(2, &book("update", 12, 18, "100", 8)).unwrap();
    bench.frame(2, &book("update", 18, 25, "100", 4)).unwrap();
    bench.frame(1, &book("update", 22, 30, "100", 5)).unwrap();
    // What one has ahead of the other is left to the other.
    bench.frame(2, &book("update", 33, 36, "100", 7)).unwrap();
    assert_eq!(bench.levels("BTC-USDT", Side::Buy), ["100×5"]);
    bench.close(1);
    bench.frame(2, &book("update", 25, 36, "100", 6)).unwrap();
    assert_eq!(bench.levels("BTC-USDT", Side::Buy), ["100×6"]);
    assert_eq!(bench.pipeline.count(Count::Gap), 0);
    assert_eq!(bench.pipeline.discards(Discard::Duplicate), 3);
    assert_eq!(bench.state("BTC-USDT"), StreamState::Live);
    // One connection alone has to be without a break again.
    bench.frame(2, &book("update", 35, 40, "100", 1)).unwrap();
    assert_eq!(bench.state("BTC-USDT"), StreamState::Gapped);
}

#[test]
fn quotes_go_on_when_their_numbers_start_over_and_several_in_one_instant_pass() {
    let mut bench = live();
    bench.subscribe(&[("ETH-USDT", Kind::Quote)]);
    let quote = |ts: u64, seq: u64| {
        format!(
            r#"{{"arg":{{"channel":"bbo-tbt","instId":"ETH-USDT"}},"data":[{{"asks":[["11","1","0","1"]],"bids":[["10","1","0","1"]],"ts":"{ts}","seqId":{seq}}}]}}"#
        )
    };
    for (ts, seq) in [(100, 50), (100, 51), (100, 51), (99, 52), (101, 3), (101, 4)] {
        bench.frame(1, &quote(ts, seq)).unwrap();
    }
    let seqs: Vec<_> =
        bench.pipeline.emitted[1..].iter().map(|event| event.header.seq_provider).collect();
    assert_eq!(seqs, [Some(50), Some(51), Some(3), Some(4)]);
}

#[test]
fn silent_trades_and_quotes_are_probed_by_what_proves_them() {
    let mut bench = live();
    bench.subscribe(&[("ETH-USDT", Kind::Trade), ("ETH-USDT", Kind::Quote)]);
    let trade = r#"{"arg":{"channel":"trades","instId":"ETH-USDT"},"data":[{"instId":"ETH-USDT","tradeId":"5","px":"1","sz":"1","side":"buy","ts":"2"}]}"#;
    let quote = r#"{"arg":{"channel":"bbo-tbt","instId":"ETH-USDT"},"data":[{"asks":[["101","1","0","1"]],"bids":[["100","2","0","1"]],"ts":"3","seqId":7}]}"#;
    bench.frame(1, trade).unwrap();
    bench.frame(1, quote).unwrap();
    let stale = |bench: &Bench, kind| {
        bench.pipeline.statuses.iter().any(|s| s.1 == kind && s.2 == StreamState::Stale)
    };
    bench.pass(31_000);
    let probe = bench.take_request("books?instId=ETH-USDT&sz=20").unwrap();
    bench.answer(&probe, &rest(900, "100")).unwrap();
    bench.pass(5_000);
    assert!(!stale(&bench, Kind::Quote), "the best levels are the same: nothing was missed");
    bench.pass(90_000);
    let probe = bench.take_request("trades?instId=ETH-USDT&limit=1").unwrap();
    bench.answer(&probe, r#"{"code":"0","data":[{"tradeId":"9"}]}"#).unwrap();
    bench.outbox.frames.clear();
    bench.pass(4_000);
    assert!(stale(&bench, Kind::Trade));
    assert!(sent(&mut bench)[0].contains(r#""unsubscribe","args":[{"channel":"trades""#));
    let probe = bench.take_request("books?instId=ETH-USDT&sz=20").unwrap();
    bench.answer(&probe, &rest(900, "99")).unwrap();
    bench.pass(4_000);
    assert!(stale(&bench, Kind::Quote));
}

#[test]
fn numbers_ahead_over_the_same_levels_are_no_missed_progress() {
    let mut bench = live();
    bench.frame(1, &book("update", 10, 11, "100", 2)).unwrap();
    bench.pass(31_000);
    let probe = bench.take_request("sz=20").unwrap();
    let deeper = rest(900, "100").replace(r#"[["101","1","0","1"]]"#, "[]");
    bench.answer(&probe, &deeper).unwrap();
    bench.pass(10_000);
    assert_eq!(bench.state("BTC-USDT"), StreamState::Live);
    bench.pass(30_000);
    let probe = bench.take_request("sz=20").unwrap();
    bench.outcome(&probe, Outcome::Delayed(Reason::VenueUnavailable, bench.now)).unwrap();
    assert_eq!(bench.state("BTC-USDT"), StreamState::Stale, "a probe that fails shows nothing");
    bench.frame(1, &book("update", 11, 12, "100", 3)).unwrap();
    assert_eq!(bench.state("BTC-USDT"), StreamState::Live, "it was only late");
}

#[test]
fn several_trades_in_a_message_are_several_events() {
    let mut bench = live();
    bench.subscribe(&[("ETH-USDT", Kind::Trade)]);
    let one = |id: u64| {
        format!(
            r#"{{"instId":"ETH-USDT","tradeId":"{id}","px":"1","sz":"1","side":"buy","ts":"2"}}"#
        )
    };
    let text = format!(
        r#"{{"arg":{{"channel":"trades","instId":"ETH-USDT"}},"data":[{},{},{}]}}"#,
        one(5),
        one(6),
        one(6)
    );
    bench.frame(1, &text).unwrap();
    let ids: Vec<_> = bench.pipeline.emitted[1..]
        .iter()
        .map(|event| match event.body {
            Body::Trade(trade) => trade.trade_id,
            _ => 0,
        })
        .collect();
    assert_eq!(ids, [5, 6, 6], "the engine knows what it had");
}

#[test]
fn nothing_is_fetched_for_a_book_that_nobody_wants_any_more() {
    let mut bench = connected();
    bench.unsubscribe(&[("BTC-USDT", Kind::BookUpdate)]);
    bench.pass(60_000);
    assert!(bench.outbox.requests.is_empty());
}

#[test]
fn a_recording_is_taken_as_it_comes() {
    let settings = Settings { adopt: true, ..Settings::default() };
    let mut bench = Bench::new(venues::create("okx", settings).unwrap());
    bench.open(0, 1);
    bench.open(1, 2);
    let text = book("snapshot", -1, 10, "100", 1).replace("BTC-USDT", "BTC-USD-220527");
    bench.frame(1, &text).unwrap();
    assert_eq!(bench.state("BTC-USD-220527"), StreamState::Live);
    bench.frame(1, &book("update", 12, 15, "100", 5)).unwrap();
    let url = "https://www.okx.com/api/v5/market/books?instId=BTC-USDT&sz=400";
    bench.unasked(url, &rest(13, "99")).unwrap();
    assert_eq!(bench.levels("BTC-USDT", Side::Buy), ["100×5", "99×2"]);
    let error = bench.frame(1, &text.replace("BTC-USD-220527", "BTC")).unwrap_err();
    assert!(error.message.contains("'BTC'"));
    bench.close(2);
    assert_eq!(bench.state("BTC-USD-220527"), StreamState::Live);
    bench.close(1);
    assert_eq!(bench.state("BTC-USD-220527"), StreamState::Gapped);
}
