//! The Binance machine in virtual time: every rule of its procedures by example.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::Bench;
use model::event::Reason;
use model::venue::{Count, Discard, Outcome};
use model::{Body, Kind, Remedy, Side, StreamState};
use venues::Settings;

const LIST: &str = r#"{"symbols":[
  {"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","filters":[
    {"filterType":"PRICE_FILTER","tickSize":"0.01"},{"filterType":"LOT_SIZE","stepSize":"0.001"}]},
  {"symbol":"ETHUSDT","status":"TRADING","baseAsset":"ETH","quoteAsset":"USDT","filters":[]}]}"#;
const PERPS: &str = r#"{"symbols":[
  {"symbol":"BTCUSDT","status":"TRADING","contractType":"PERPETUAL","baseAsset":"BTC","quoteAsset":"USDT"}]}"#;
const SNAPSHOT: &str =
    r#"{"lastUpdateId":100,"bids":[["10.0","1"],["9.0","1"]],"asks":[["11.0","1"]]}"#;

fn machine(line: &str) -> Bench {
    Bench::new(venues::create(line, Settings::default()).unwrap())
}

/// A spot machine with a book subscribed, connected, and its snapshot asked for.
fn connected() -> Bench {
    let mut bench = machine("binance");
    bench.subscribe(&[("BTC-USDT", Kind::BookUpdate)]);
    let list = bench.take_request("/api/v3/exchangeInfo").unwrap();
    bench.answer(&list, LIST).unwrap();
    bench.open(0, 1);
    bench
}

/// The same with the book live at update id 100.
fn live() -> Bench {
    let mut bench = connected();
    let depth = bench.take_request("/api/v3/depth?symbol=BTCUSDT&limit=1000").unwrap();
    bench.answer(&depth, SNAPSHOT).unwrap();
    assert_eq!(bench.state("BTC-USDT"), StreamState::Live);
    bench
}

fn diff(symbol: &str, first: u64, last: u64, bid: &str, quantity: u32) -> String {
    format!(
        r#"{{"stream":"{}@depth@100ms","data":{{"e":"depthUpdate","E":1,"s":"{symbol}","U":{first},"u":{last},"b":[["{bid}","{quantity}"]],"a":[]}}}}"#,
        symbol.to_lowercase()
    )
}

fn spot(bench: &mut Bench, first: u64, last: u64, quantity: u32) {
    bench.frame(1, &diff("BTCUSDT", first, last, "10.0", quantity)).unwrap();
}

fn last_status(bench: &Bench) -> (Kind, StreamState, Reason) {
    let (_, kind, state, reason) = bench.pipeline.statuses.last().unwrap();
    (*kind, *state, *reason)
}

#[test]
fn a_subscription_waits_for_the_list_and_then_connects() {
    let mut bench = machine("binance");
    bench.subscribe(&[("BTC-USDT", Kind::BookUpdate), ("BTC-USDT", Kind::Trade)]);
    assert!(bench.outbox.links.is_empty());
    let list = bench.take_request("exchangeInfo").unwrap();
    bench.answer(&list, LIST).unwrap();
    let url = bench.outbox.links[0].url.clone().unwrap();
    assert_eq!(
        url,
        "wss://stream.binance.com:9443/stream?streams=btcusdt@aggTrade/btcusdt@depth@100ms"
    );
    let id = bench.pipeline.id("BTC-USDT");
    assert_eq!(bench.pipeline.instruments[&id].price_places, Some(2));
    // Subscribing what is subscribed changes nothing.
    bench.subscribe(&[("BTC-USDT", Kind::Trade)]);
    assert_eq!(bench.outbox.links.len(), 1);
    assert!(bench.outbox.frames.is_empty());
}

#[test]
fn an_instrument_that_is_not_listed_is_refused_with_its_name() {
    let mut bench = connected();
    bench.subscribe(&[("DOGE-USDT", Kind::Trade)]);
    assert_eq!(bench.pipeline.notices, [r#"UnknownInstrument("DOGE-USDT")"#]);
    bench.subscribe(&[("BTC-USDT", Kind::Funding)]);
    assert!(bench.pipeline.notices[1].contains("BTC-USDT funding"));
}

#[test]
fn diffs_wait_for_the_snapshot_and_go_on_from_it() {
    let mut bench = connected();
    spot(&mut bench, 95, 99, 7);
    spot(&mut bench, 100, 102, 5);
    assert_eq!(bench.pipeline.discards(Discard::Absorbed), 2);
    let depth = bench.take_request("depth").unwrap();
    assert!(bench.take_request("depth").is_none(), "one request at a time");
    bench.answer(&depth, SNAPSHOT).unwrap();
    assert_eq!(bench.levels("BTC-USDT", Side::Buy), ["10×5", "9×1"]);
    assert_eq!(bench.book("BTC-USDT").seq_last, Some(102));
    // Consumers get the recovered book as one snapshot, then that it is live.
    let snapshot = &bench.pipeline.derived[0];
    assert_eq!((snapshot.kind(), snapshot.bids().len()), (Kind::BookSnapshot, 2));
    assert_eq!(last_status(&bench), (Kind::BookUpdate, StreamState::Live, Reason::Synced));
    spot(&mut bench, 103, 103, 9);
    assert_eq!(bench.pipeline.emitted.len(), 1);
    let Body::Book(meta) = bench.pipeline.emitted[0].body else { panic!() };
    assert_eq!((meta.seq_last, meta.generation), (Some(103), 1));
}

#[test]
fn a_gap_is_repaired_by_one_snapshot() {
    let mut bench = live();
    spot(&mut bench, 102, 103, 5);
    bench.pass(149);
    assert_eq!(bench.state("BTC-USDT"), StreamState::Live, "it may only be late");
    bench.pass(51);
    assert_eq!(last_status(&bench), (Kind::BookUpdate, StreamState::Gapped, Reason::SequenceGap));
    assert_eq!(bench.pipeline.count(Count::Gap), 1);
    spot(&mut bench, 104, 104, 6);
    assert_eq!(bench.pipeline.emitted.len(), 0, "nothing goes out while the book is in doubt");
    bench.pass(300);
    let depth = bench.take_request("depth").unwrap();
    spot(&mut bench, 105, 105, 8);
    assert!(bench.take_request("depth").is_none());
    bench.answer(&depth, &SNAPSHOT.replace("100", "103")).unwrap();
    assert_eq!(bench.levels("BTC-USDT", Side::Buy), ["10×8", "9×1"]);
    assert_eq!(bench.pipeline.count(Count::Resync), 1);
    assert_eq!(bench.book("BTC-USDT").generation, 2);
}

#[test]
fn a_snapshot_older_than_the_diffs_is_fetched_again() {
    let mut bench = connected();
    let depth = bench.take_request("depth").unwrap();
    spot(&mut bench, 105, 106, 5);
    bench.answer(&depth, SNAPSHOT).unwrap();
    assert_eq!(bench.state("BTC-USDT"), StreamState::Syncing);
    assert!(bench.take_request("depth").is_none(), "not at once: the venue has to move on");
    bench.pass(300);
    let depth = bench.take_request("depth").unwrap();
    bench.answer(&depth, &SNAPSHOT.replace("100", "104")).unwrap();
    assert_eq!(bench.state("BTC-USDT"), StreamState::Live);
    assert_eq!(bench.levels("BTC-USDT", Side::Buy)[0], "10×5");
}

#[test]
fn a_duplicate_diff_changes_nothing() {
    let mut bench = live();
    spot(&mut bench, 101, 102, 5);
    spot(&mut bench, 101, 102, 99);
    assert_eq!(bench.levels("BTC-USDT", Side::Buy)[0], "10×5");
    assert_eq!(bench.pipeline.discards(Discard::Duplicate), 1);
    assert_eq!(bench.state("BTC-USDT"), StreamState::Live);
}

#[test]
fn reordered_diffs_go_out_in_order_without_a_repair() {
    let mut bench = live();
    spot(&mut bench, 103, 103, 7);
    spot(&mut bench, 101, 102, 5);
    bench.pass(300);
    assert!(bench.take_request("depth").is_none());
    assert_eq!(bench.pipeline.count(Count::Gap), 0);
    let [first, second] = [&bench.pipeline.emitted[0], bench.pipeline.derived.last().unwrap()];
    assert_eq!([first, second].map(|event| event.header.seq_provider), [Some(102), Some(103)]);
    assert_eq!(bench.levels("BTC-USDT", Side::Buy)[0], "10×7");
}

#[test]
fn diffs_that_break_among_themselves_wait_for_a_newer_snapshot() {
    let mut bench = connected();
    spot(&mut bench, 101, 101, 2);
    spot(&mut bench, 103, 104, 3);
    let depth = bench.take_request("depth").unwrap();
    bench.answer(&depth, SNAPSHOT).unwrap();
    assert_eq!(bench.state("BTC-USDT"), StreamState::Syncing);
    bench.pass(300);
    let depth = bench.take_request("depth").unwrap();
    bench.answer(&depth, &SNAPSHOT.replace("100", "102")).unwrap();
    assert_eq!(bench.levels("BTC-USDT", Side::Buy)[0], "10×3");
}

#[test]
fn a_disconnect_gaps_only_what_stood_on_that_connection() {
    let mut bench = machine("binance-usdm");
    bench.subscribe(&[("BTC-USDT-PERP", Kind::BookUpdate), ("BTC-USDT-PERP", Kind::Trade)]);
    let list = bench.take_request("/fapi/v1/exchangeInfo").unwrap();
    bench.answer(&list, PERPS).unwrap();
    let urls: Vec<_> = bench.outbox.links.iter().map(|l| l.url.clone().unwrap()).collect();
    assert!(urls[0].contains("/market/stream?streams=btcusdt@aggTrade"), "{urls:?}");
    assert!(urls[1].contains("/public/stream?streams=btcusdt@depth@100ms"), "{urls:?}");
    bench.open(0, 1);
    bench.open(1, 2);
    let depth = bench.take_request("/fapi/v1/depth").unwrap();
    bench.answer(&depth, SNAPSHOT).unwrap();
    let trade = r#"{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":2,"a":5,"s":"BTCUSDT","p":"1","q":"1","f":1,"l":1,"T":2,"m":false}}"#;
    bench.frame(1, trade).unwrap();
    bench.close(1);
    assert_eq!(last_status(&bench), (Kind::Trade, StreamState::Gapped, Reason::Disconnected));
    assert_eq!(bench.state("BTC-USDT-PERP"), StreamState::Live);
    bench.close(2);
    assert_eq!(bench.state("BTC-USDT-PERP"), StreamState::Gapped);
    bench.open(1, 3);
    assert!(
        bench.take_request("depth").is_some() || {
            bench.pass(300);
            bench.take_request("depth").is_some()
        }
    );
}

#[test]
fn futures_diffs_follow_by_previous_id() {
    let mut bench = machine("binance-usdm");
    bench.subscribe(&[("BTC-USDT-PERP", Kind::BookUpdate)]);
    let list = bench.take_request("exchangeInfo").unwrap();
    bench.answer(&list, PERPS).unwrap();
    bench.open(0, 1);
    let diff = |first: u64, last: u64, previous: u64, quantity: u32| {
        format!(
            r#"{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":1,"T":1,"s":"BTCUSDT","U":{first},"u":{last},"pu":{previous},"b":[["10.0","{quantity}"]],"a":[]}}}}"#
        )
    };
    bench.frame(1, &diff(80, 90, 70, 2)).unwrap();
    bench.frame(1, &diff(95, 110, 90, 3)).unwrap();
    let depth = bench.take_request("depth").unwrap();
    bench.answer(&depth, SNAPSHOT).unwrap();
    assert_eq!(bench.levels("BTC-USDT-PERP", Side::Buy)[0], "10×3");
    // Ids skip: `U` is not the last `u` + 1, and that is no gap.
    bench.frame(1, &diff(150, 160, 110, 4)).unwrap();
    assert_eq!(bench.levels("BTC-USDT-PERP", Side::Buy)[0], "10×4");
    // Only behind a snapshot may a diff reach back; afterwards `pu` has to be the last `u`.
    bench.frame(1, &diff(155, 165, 150, 5)).unwrap();
    assert_eq!(bench.state("BTC-USDT-PERP"), StreamState::Gapped);
}

#[test]
fn a_renewed_connection_overlaps_without_doubling_anything() {
    let mut bench = live();
    bench.subscribe(&[("BTC-USDT", Kind::Quote)]);
    bench.open(0, 2);
    assert!(bench.take_request("depth").is_none(), "the book is proven already");
    let quote = r#"{"stream":"btcusdt@bookTicker","data":{"u":101,"s":"BTCUSDT","b":"10.0","B":"1","a":"11.0","A":"1"}}"#;
    for conn in [1, 2] {
        bench.frame(conn, &diff("BTCUSDT", 101, 101, "10.0", 5)).unwrap();
        bench.frame(conn, quote).unwrap();
    }
    assert_eq!(bench.pipeline.emitted.len(), 2);
    assert_eq!(bench.pipeline.discards(Discard::Duplicate), 2);
    bench.close(1);
    assert_eq!(bench.state("BTC-USDT"), StreamState::Live);
    bench.frame(2, &diff("BTCUSDT", 102, 102, "10.0", 6)).unwrap();
    assert_eq!(bench.pipeline.emitted.len(), 3);
}

#[test]
fn of_two_connections_the_older_may_still_bring_a_trade_that_the_newer_has_gone_beyond() {
    let mut bench = live();
    bench.subscribe(&[("BTC-USDT", Kind::Trade)]);
    bench.open(0, 2);
    let trade = |a: u64| {
        format!(
            r#"{{"stream":"btcusdt@aggTrade","data":{{"e":"aggTrade","E":2,"s":"BTCUSDT","a":{a},"p":"1","q":"1","f":1,"l":1,"T":2,"m":false,"M":true}}}}"#
        )
    };
    for (conn, a) in [(1, 5), (2, 7), (1, 6), (1, 7)] {
        bench.frame(conn, &trade(a)).unwrap();
    }
    // Putting them in order, and dropping the second 7, is the engine's.
    assert_eq!(bench.pipeline.emitted.len(), 4);
    assert_eq!(bench.pipeline.discards(Discard::Duplicate), 0);
}

#[test]
fn a_shutdown_notice_asks_for_a_replacement() {
    let mut bench = live();
    let notice = r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}"#;
    bench.frame(1, notice).unwrap();
    assert_eq!(bench.outbox.renew, [(model::ConnId(1), Reason::VenueReset)]);
    assert_eq!(bench.state("BTC-USDT"), StreamState::Live);
}

#[test]
fn what_is_not_known_is_harmless() {
    let mut bench = live();
    for text in [
        r#"{"stream":"btcusdt@new","data":{"e":"newType","E":1,"s":"BTCUSDT"}}"#,
        &diff("DOGEUSDT", 1, 2, "1", 1),
        r#"{"result":null,"id":1}"#,
    ] {
        bench.frame(1, text).unwrap();
    }
    let error = bench.frame(1, "{not json").unwrap_err();
    assert_eq!(error.remedy, Remedy::Ignore);
    assert_eq!(bench.state("BTC-USDT"), StreamState::Live);
    spot(&mut bench, 101, 101, 5);
    assert_eq!(bench.pipeline.emitted.len(), 1);
    assert!(bench.pipeline.notices[0].contains("newType"));
    assert!(bench.pipeline.notices[1].contains("DOGEUSDT"));
}

#[test]
fn a_refused_snapshot_is_asked_for_again_and_says_why_it_takes_long() {
    let mut bench = connected();
    let depth = bench.take_request("depth").unwrap();
    bench.outcome(&depth, Outcome::Delayed(Reason::RateLimited, bench.now)).unwrap();
    assert_eq!(last_status(&bench), (Kind::BookUpdate, StreamState::Syncing, Reason::RateLimited));
    bench.outcome(&depth, Outcome::Refused(400, "{}")).unwrap();
    assert!(bench.pipeline.notices[0].contains("status 400"));
    bench.pass(29_000);
    assert!(bench.take_request("depth").is_none());
    bench.pass(3_000);
    let depth = bench.take_request("depth").unwrap();
    assert!(bench.answer(&depth, "<html>").is_err());
    bench.pass(32_000);
    let depth = bench.take_request("depth").unwrap();
    bench.answer(&depth, SNAPSHOT).unwrap();
    assert_eq!(bench.state("BTC-USDT"), StreamState::Live);
}

#[test]
fn a_level_that_no_book_holds_costs_only_its_own_book() {
    let mut bench = live();
    bench.frame(1, &diff("BTCUSDT", 101, 101, "0.0000000000000000001", 5)).unwrap();
    assert_eq!(last_status(&bench), (Kind::BookUpdate, StreamState::Gapped, Reason::Malformed));
    bench.pass(300);
    let depth = bench.take_request("depth").unwrap();
    bench.answer(&depth, &SNAPSHOT.replace("100", "101")).unwrap();
    assert_eq!(bench.state("BTC-USDT"), StreamState::Live);
}

#[test]
fn quiet_is_not_stale() {
    let mut bench = live();
    bench.pass(29_000);
    assert!(bench.take_request("limit=5").is_none());
    bench.pass(2_000);
    let probe = bench.take_request("depth?symbol=BTCUSDT&limit=5").unwrap();
    bench.answer(&probe, SNAPSHOT).unwrap();
    bench.pass(25_000);
    assert_eq!(bench.state("BTC-USDT"), StreamState::Live);
    assert_eq!(bench.pipeline.count(Count::Probe), 1);
}

#[test]
fn missed_progress_is_stale_and_repaired() {
    let mut bench = live();
    bench.pass(31_000);
    let probe = bench.take_request("limit=5").unwrap();
    bench.answer(&probe, &SNAPSHOT.replace("100", "150")).unwrap();
    assert_eq!(bench.state("BTC-USDT"), StreamState::Live, "it may be on its way");
    bench.pass(4_000);
    assert_eq!(
        last_status(&bench),
        (Kind::BookUpdate, StreamState::Stale, Reason::ProbeMissedProgress)
    );
    let sent: Vec<_> = bench.outbox.frames.iter().map(|(_, text)| text.as_str()).collect();
    assert!(sent[0].contains("UNSUBSCRIBE") && sent[1].contains(r#""SUBSCRIBE""#), "{sent:?}");
    let depth = bench.take_request("limit=1000").unwrap();
    bench.answer(&depth, &SNAPSHOT.replace("100", "150")).unwrap();
    assert_eq!(bench.state("BTC-USDT"), StreamState::Live);
}

#[test]
fn progress_that_was_only_late_is_not_stale() {
    let mut bench = live();
    bench.pass(31_000);
    let probe = bench.take_request("limit=5").unwrap();
    bench.answer(&probe, &SNAPSHOT.replace("100", "102")).unwrap();
    spot(&mut bench, 101, 102, 5);
    bench.pass(4_000);
    assert_eq!(bench.state("BTC-USDT"), StreamState::Live);
}

#[test]
fn a_probe_that_fails_is_stale_until_the_stream_goes_on() {
    let mut bench = live();
    bench.pass(31_000);
    let probe = bench.take_request("limit=5").unwrap();
    bench.outcome(&probe, Outcome::Delayed(Reason::RateLimited, bench.now)).unwrap();
    assert_eq!(bench.state("BTC-USDT"), StreamState::Live, "no budget proves nothing");
    bench.outcome(&probe, Outcome::Delayed(Reason::VenueUnavailable, bench.now)).unwrap();
    assert_eq!(bench.state("BTC-USDT"), StreamState::Stale);
    spot(&mut bench, 101, 101, 5);
    assert_eq!(bench.state("BTC-USDT"), StreamState::Live);
    assert_eq!(bench.levels("BTC-USDT", Side::Buy)[0], "10×5");
}

#[test]
fn silent_trades_and_quotes_are_probed_by_what_proves_them() {
    let mut bench = connected();
    bench.subscribe(&[("ETH-USDT", Kind::Trade), ("ETH-USDT", Kind::Quote)]);
    let trade = r#"{"stream":"ethusdt@aggTrade","data":{"e":"aggTrade","E":2,"s":"ETHUSDT","a":5,"p":"1","q":"1","f":1,"l":1,"T":2,"m":false,"M":true}}"#;
    let quote = r#"{"stream":"ethusdt@bookTicker","data":{"u":101,"s":"ETHUSDT","b":"10.0","B":"1","a":"11.0","A":"1"}}"#;
    bench.frame(1, trade).unwrap();
    bench.frame(1, quote).unwrap();
    bench.pass(31_000);
    let probe = bench.take_request("depth?symbol=ETHUSDT&limit=5").unwrap();
    bench.answer(&probe, &SNAPSHOT.replace("100", "900")).unwrap();
    bench.pass(5_000);
    let stale = |bench: &Bench, kind| {
        bench.pipeline.statuses.iter().any(|s| s.1 == kind && s.2 == StreamState::Stale)
    };
    assert!(!stale(&bench, Kind::Quote), "the best levels are the same: nothing was missed");
    bench.pass(90_000);
    let probe = bench.take_request("aggTrades?symbol=ETHUSDT&limit=1").unwrap();
    bench.answer(&probe, r#"[{"a":9}]"#).unwrap();
    bench.pass(4_000);
    assert!(stale(&bench, Kind::Trade));
    let probe = bench.take_request("depth?symbol=ETHUSDT&limit=5").unwrap();
    bench.answer(&probe, &SNAPSHOT.replace("10.0\",\"1", "10.0\",\"3")).unwrap();
    bench.pass(4_000);
    assert!(stale(&bench, Kind::Quote));
}

#[test]
fn an_unsubscribed_stream_is_silent_and_can_come_back() {
    let mut bench = live();
    bench.unsubscribe(&[("BTC-USDT", Kind::BookUpdate)]);
    assert_eq!(bench.outbox.links.last().unwrap().url, None);
    spot(&mut bench, 101, 101, 5);
    assert_eq!(bench.pipeline.discards(Discard::Unsubscribed), 1);
    bench.subscribe(&[("BTC-USDT", Kind::BookUpdate)]);
    assert!(bench.outbox.links.last().unwrap().url.is_some());
    assert_eq!(bench.state("BTC-USDT"), StreamState::Syncing);
}

#[test]
fn nothing_is_fetched_for_a_book_that_nobody_wants_any_more() {
    let mut bench = live();
    spot(&mut bench, 102, 103, 5);
    bench.pass(200);
    assert!(bench.take_request("depth").is_none(), "put off: the last fetch was just now");
    bench.unsubscribe(&[("BTC-USDT", Kind::BookUpdate)]);
    bench.pass(60_000);
    assert!(bench.take_request("depth").is_none());
}

#[test]
fn a_recording_is_taken_as_it_comes() {
    let settings = Settings { adopt: true, ..Settings::default() };
    let mut bench = Bench::new(venues::create("binance-coinm", settings).unwrap());
    bench.open(0, 1);
    let diff = r#"{"stream":"btcusd_210625@depth@100ms","data":{"e":"depthUpdate","E":1,"T":1,"s":"BTCUSD_210625","ps":"BTCUSD","U":95,"u":110,"pu":90,"b":[["10.0","7"]],"a":[]}}"#;
    bench.frame(1, diff).unwrap();
    let depth = bench.take_request("/dapi/v1/depth?symbol=BTCUSD_210625").unwrap();
    bench.answer(&depth, SNAPSHOT).unwrap();
    assert_eq!(bench.levels("BTC-USD-210625", Side::Buy)[0], "10×7");
    bench.close(1);
    assert_eq!(bench.state("BTC-USD-210625"), StreamState::Gapped);
}
