//! The Coinbase Exchange machine in virtual time: every rule of its procedures by example.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::Bench;
use model::event::Reason;
use model::venue::{Count, Discard, Outcome};
use model::{Body, Kind, Remedy, Side, StreamState};
use venues::Settings;

const LIST: &str = r#"[
  {"id":"BTC-USD","base_currency":"BTC","quote_currency":"USD","quote_increment":"0.01","base_increment":"0.00000001","status":"online"},
  {"id":"ETH-USD","base_currency":"ETH","quote_currency":"USD","quote_increment":"0.01","base_increment":"0.00000001","status":"online"}]"#;
const SNAPSHOT: &str = r#"{"type":"snapshot","product_id":"BTC-USD","asks":[["11.00","1"],["12.00","5"]],"bids":[["10.00","1"],["9.00","1"]]}"#;
const BOOK: (&str, Kind) = ("BTC-USD", Kind::BookUpdate);
const TRADE: (&str, Kind) = ("BTC-USD", Kind::Trade);

/// Subscribed, listed and connected.
fn connected(streams: &[(&str, Kind)]) -> Bench {
    let mut bench = Bench::new(venues::create("coinbase", Settings::default()).unwrap());
    bench.subscribe(streams);
    let list = bench.take_request("https://api.exchange.coinbase.com/products").unwrap();
    bench.answer(&list, LIST).unwrap();
    bench.open(0, 1);
    bench
}

/// The same with the book of BTC-USD live.
fn live(streams: &[(&str, Kind)]) -> Bench {
    let mut bench = connected(streams);
    bench.frame(1, SNAPSHOT).unwrap();
    assert_eq!(bench.state("BTC-USD"), StreamState::Live);
    bench.outbox.frames.clear();
    bench
}

fn update(side: &str, price: &str, size: &str) -> String {
    format!(
        r#"{{"type":"l2update","product_id":"BTC-USD","changes":[["{side}","{price}","{size}"]],"time":"2021-04-17T16:43:37.075687Z"}}"#
    )
}

fn trade(id: u64) -> String {
    format!(
        r#"{{"type":"match","trade_id":{id},"maker_order_id":"a","taker_order_id":"b","side":"sell","size":"1","price":"10.5","product_id":"BTC-USD","sequence":{},"time":"2021-04-17T16:43:37.089723Z"}}"#,
        id * 10
    )
}

fn heartbeat(last_trade: u64) -> String {
    format!(
        r#"{{"type":"heartbeat","sequence":90,"last_trade_id":{last_trade},"product_id":"BTC-USD","time":"2014-11-07T08:19:28.464459Z"}}"#
    )
}

fn sent(bench: &Bench) -> Vec<&str> {
    bench.outbox.frames.iter().map(|(_, text)| text.as_str()).collect()
}

fn last_status(bench: &Bench) -> (Kind, StreamState, Reason) {
    let (_, kind, state, reason) = bench.pipeline.statuses.last().unwrap();
    (*kind, *state, *reason)
}

/// A heartbeat each second, as the venue sends them.
fn pass_with_heartbeats(bench: &mut Bench, seconds: u64, last_trade: u64) {
    for _ in 0..seconds {
        bench.frame(1, &heartbeat(last_trade)).unwrap();
        bench.pass(1_000);
    }
}

#[test]
fn the_list_comes_first_and_the_channels_at_once_when_connected() {
    let bench = connected(&[BOOK, TRADE, ("ETH-USD", Kind::Ticker), ("ETH-USD", Kind::Quote)]);
    let url = bench.outbox.links[0].url.as_deref();
    assert_eq!(url, Some("wss://ws-feed.exchange.coinbase.com/"));
    assert_eq!(
        sent(&bench),
        [
            r#"{"type":"subscribe","channels":[{"name":"level2_batch","product_ids":["BTC-USD","ETH-USD"]}]}"#,
            r#"{"type":"subscribe","channels":[{"name":"matches","product_ids":["BTC-USD"]}]}"#,
            r#"{"type":"subscribe","channels":[{"name":"ticker","product_ids":["ETH-USD"]}]}"#,
            r#"{"type":"subscribe","channels":[{"name":"heartbeat","product_ids":["BTC-USD","ETH-USD"]}]}"#,
        ]
    );
}

#[test]
fn a_list_that_is_refused_is_asked_for_again() {
    let mut bench = Bench::new(venues::create("coinbase", Settings::default()).unwrap());
    bench.subscribe(&[BOOK]);
    let list = bench.take_request("/products").unwrap();
    bench.outcome(&list, Outcome::Refused(403, "{}")).unwrap();
    assert!(bench.pipeline.notices[0].contains("status 403"));
    bench.pass(29_000);
    assert!(bench.outbox.requests.is_empty());
    bench.pass(2_000);
    let list = bench.take_request("/products").unwrap();
    bench.answer(&list, LIST).unwrap();
    assert_eq!(bench.outbox.links.len(), 1);
}

#[test]
fn kinds_that_the_public_feed_has_not_are_refused() {
    let bench = connected(&[("BTC-USD", Kind::Kline), ("BTC-USD", Kind::Funding)]);
    for (notice, kind) in bench.pipeline.notices.iter().zip(["kline", "funding"]) {
        assert!(
            notice.contains(&format!("BTC-USD {kind}: coinbase has no such stream")),
            "{notice}"
        );
    }
    assert!(bench.outbox.links.is_empty(), "nothing to connect for");
}

#[test]
fn a_book_is_its_snapshot_and_the_changes_after_it() {
    let mut bench = connected(&[BOOK, ("BTC-USD", Kind::Quote)]);
    bench.frame(1, &update("buy", "10.50", "7")).unwrap();
    assert_eq!(bench.pipeline.discards(Discard::Absorbed), 1, "before its snapshot");
    bench.frame(1, SNAPSHOT).unwrap();
    bench.frame(1, &update("buy", "10.00", "3")).unwrap();
    bench.frame(1, &update("sell", "11.00", "0.00000000")).unwrap();
    assert_eq!(bench.levels("BTC-USD", Side::Buy), ["10×3", "9×1"]);
    assert_eq!(bench.levels("BTC-USD", Side::Sell), ["12×5"]);
    let quotes: Vec<_> = bench.pipeline.derived.iter().map(|event| event.body.clone()).collect();
    assert_eq!(quotes.len(), 3);
    let Body::Quote(quote) = quotes[2] else { panic!() };
    assert_eq!(
        (quote.bid.quantity.to_string(), quote.ask.price.to_string()),
        ("3".into(), "12.00".into())
    );
}

#[test]
fn a_crossed_book_is_a_fault_and_is_repaired_once() {
    let mut bench = live(&[BOOK, ("ETH-USD", Kind::BookUpdate)]);
    bench.frame(1, &SNAPSHOT.replace("BTC", "ETH")).unwrap();
    bench.frame(1, &update("buy", "11.00", "1")).unwrap();
    let crossed = (Kind::BookUpdate, StreamState::Gapped, Reason::CrossedBook);
    assert_eq!(last_status(&bench), crossed);
    assert_eq!(bench.pipeline.count(Count::Gap), 1);
    bench.pass(300);
    for _ in 0..3 {
        bench.frame(1, &update("buy", "9.50", "1")).unwrap();
    }
    assert_eq!(
        sent(&bench),
        [
            r#"{"type":"unsubscribe","channels":[{"name":"level2_batch","product_ids":["BTC-USD"]}]}"#,
            r#"{"type":"subscribe","channels":[{"name":"level2_batch","product_ids":["BTC-USD"]}]}"#,
        ]
    );
    bench.frame(1, SNAPSHOT).unwrap();
    assert_eq!(bench.state("BTC-USD"), StreamState::Live);
    assert_eq!(bench.levels("BTC-USD", Side::Buy), ["10×1", "9×1"]);
    assert_eq!(bench.state("ETH-USD"), StreamState::Live);
}

#[test]
fn a_change_that_cannot_be_read_costs_its_own_book() {
    let mut bench = live(&[BOOK, ("ETH-USD", Kind::BookUpdate)]);
    bench.frame(1, &SNAPSHOT.replace("BTC", "ETH")).unwrap();
    // No number and no checksum would ever show that it is missing.
    let error = bench.frame(1, &update("buy", "cheap", "1")).unwrap_err();
    assert_eq!(error.remedy, Remedy::Ignore);
    assert_eq!(last_status(&bench), (Kind::BookUpdate, StreamState::Stale, Reason::Malformed));
    assert!(bench.frame(1, "{\"type\":\"l2upd").is_err());
    assert_eq!(bench.state("ETH-USD"), StreamState::Live);
    bench.frame(1, SNAPSHOT).unwrap();
    assert_eq!(bench.state("BTC-USD"), StreamState::Live);
    // A level that no book holds is a fault of the same reach.
    bench.frame(1, &update("buy", "0.0000000000000000001", "1")).unwrap();
    assert_eq!(last_status(&bench), (Kind::BookUpdate, StreamState::Gapped, Reason::Malformed));
}

#[test]
fn matches_are_trades_and_the_last_before_the_subscription_is_none() {
    let mut bench = connected(&[TRADE]);
    let last = trade(5).replace("\"match\"", "\"last_match\"");
    bench.frame(1, &last).unwrap();
    for id in [6, 9, 9, 7] {
        bench.frame(1, &trade(id)).unwrap();
    }
    let ids: Vec<_> =
        bench.pipeline.emitted.iter().map(|event| event.header.seq_provider).collect();
    let expected = [6, 9, 9, 7].map(Some);
    assert_eq!(
        ids, expected,
        "ids count up by one: what came twice or late is the engine's to tell"
    );
}

#[test]
fn a_heartbeat_names_the_trade_that_is_missing() {
    let mut bench = live(&[BOOK, TRADE]);
    bench.frame(1, &trade(6)).unwrap();
    pass_with_heartbeats(&mut bench, 5, 6);
    assert_eq!(bench.state("BTC-USD"), StreamState::Live);
    // On its way when the heartbeat was sent.
    bench.frame(1, &heartbeat(7)).unwrap();
    bench.pass(1_000);
    bench.frame(1, &trade(7)).unwrap();
    pass_with_heartbeats(&mut bench, 5, 7);
    let stale = (Kind::Trade, StreamState::Stale, Reason::ProbeMissedProgress);
    assert_ne!(last_status(&bench), stale);
    pass_with_heartbeats(&mut bench, 5, 8);
    assert_eq!(last_status(&bench), stale);
    let again = |text: &&&str| text.contains("matches");
    assert_eq!(sent(&bench).iter().filter(again).count(), 2, "once: {:?}", sent(&bench));
    bench.frame(1, &trade(9)).unwrap();
    assert_eq!(last_status(&bench), (Kind::Trade, StreamState::Live, Reason::Flowing));
    assert_eq!(bench.state("BTC-USD"), StreamState::Live, "the book lost nothing");
}

#[test]
fn a_feed_whose_heartbeat_stops_is_stale() {
    let mut bench = live(&[BOOK, TRADE]);
    bench.frame(1, &trade(6)).unwrap();
    pass_with_heartbeats(&mut bench, 3, 6);
    bench.pass(8_000);
    assert_eq!(bench.state("BTC-USD"), StreamState::Live);
    bench.pass(3_000);
    assert_eq!(bench.state("BTC-USD"), StreamState::Stale);
    assert!(
        bench.pipeline.statuses.iter().any(|s| (s.1, s.2) == (Kind::Trade, StreamState::Stale))
    );
    assert_eq!(sent(&bench).len(), 4, "book and matches: {:?}", sent(&bench));
    bench.frame(1, SNAPSHOT).unwrap();
    assert_eq!(bench.state("BTC-USD"), StreamState::Live);
}

const BEST: &str = r#"{"bids":[["10.00","1.0","2"]],"asks":[["11","1","1"]],"sequence":67863466,"auction_mode":false}"#;

#[test]
fn a_quiet_book_is_asked_for_its_best_levels() {
    let mut bench = live(&[BOOK]);
    pass_with_heartbeats(&mut bench, 32, 0);
    let probe = bench.take_request("/products/BTC-USD/book?level=1").unwrap();
    bench.answer(&probe, BEST).unwrap();
    pass_with_heartbeats(&mut bench, 25, 0);
    assert_eq!(bench.state("BTC-USD"), StreamState::Live, "quiet is not stale");
    pass_with_heartbeats(&mut bench, 7, 0);
    let probe = bench.take_request("level=1").unwrap();
    // The same prices, and more at one of them.
    bench.answer(&probe, &BEST.replace("1.0", "2")).unwrap();
    pass_with_heartbeats(&mut bench, 4, 0);
    let stale = (Kind::BookUpdate, StreamState::Stale, Reason::ProbeMissedProgress);
    assert_eq!(last_status(&bench), stale);
    bench.frame(1, SNAPSHOT).unwrap();
    assert_eq!(bench.state("BTC-USD"), StreamState::Live);
}

#[test]
fn a_disconnect_gaps_and_the_next_connection_repairs() {
    let mut bench = live(&[BOOK, ("BTC-USD", Kind::Quote), TRADE]);
    bench.frame(1, &trade(6)).unwrap();
    bench.close(1);
    assert_eq!(bench.state("BTC-USD"), StreamState::Gapped);
    bench.pass(60_000);
    assert!(bench.outbox.frames.is_empty(), "nobody to tell");
    bench.open(0, 2);
    assert_eq!(sent(&bench).len(), 3);
    bench.frame(2, &update("buy", "10.50", "7")).unwrap();
    bench.frame(2, SNAPSHOT).unwrap();
    assert_eq!(bench.levels("BTC-USD", Side::Buy), ["10×1", "9×1"]);
    assert_eq!(last_status(&bench), (Kind::Quote, StreamState::Live, Reason::Synced));
}

#[test]
fn two_connections_never_feed_one_book() {
    let mut bench = live(&[BOOK]);
    bench.open(0, 2);
    bench.frame(1, &update("buy", "10.00", "3")).unwrap();
    bench.frame(2, &update("buy", "10.00", "4")).unwrap();
    assert_eq!(bench.levels("BTC-USD", Side::Buy)[0], "10×3");
    bench.frame(2, &SNAPSHOT.replace("10.00\",\"1", "10.00\",\"5")).unwrap();
    // A change from before that snapshot, late on the other connection.
    bench.frame(1, &update("buy", "10.00", "4")).unwrap();
    assert_eq!(bench.levels("BTC-USD", Side::Buy)[0], "10×5");
    bench.close(1);
    bench.frame(2, &update("buy", "10.00", "6")).unwrap();
    assert_eq!(bench.levels("BTC-USD", Side::Buy)[0], "10×6");
    assert_eq!(bench.pipeline.count(Count::Gap), 0);
}

#[test]
fn what_is_not_known_is_harmless_and_a_refusal_is_said() {
    let mut bench = live(&[BOOK]);
    for text in [
        r#"{"type":"auction","product_id":"BTC-USD"}"#,
        &update("buy", "9.50", "1").replace("BTC-USD", "DOGE-USD"),
        r#"{"type":"subscriptions","channels":[]}"#,
        r#"{"type":"error","message":"Failed to subscribe","reason":"DOGE-USD is not a valid product"}"#,
    ] {
        bench.frame(1, text).unwrap();
    }
    assert_eq!(bench.state("BTC-USD"), StreamState::Live);
    let notices = bench.pipeline.notices.join(" ");
    for what in
        ["UnknownType(\"auction\")", "UnexpectedSymbol(\"DOGE-USD\")", "not a valid product"]
    {
        assert!(notices.contains(what), "{notices}");
    }
}

#[test]
fn a_recording_is_taken_as_it_comes() {
    let settings = Settings { adopt: true, ..Settings::default() };
    let mut bench = Bench::new(venues::create("coinbase", settings).unwrap());
    bench.open(0, 1);
    bench.frame(1, SNAPSHOT).unwrap();
    bench.frame(1, &update("buy", "10.50", "7")).unwrap();
    assert_eq!(bench.levels("BTC-USD", Side::Buy)[0], "10.5×7");
    bench.frame(1, &trade(6)).unwrap();
    let kinds: Vec<_> = bench.pipeline.emitted.iter().map(model::Event::kind).collect();
    assert_eq!(kinds, [Kind::BookSnapshot, Kind::BookUpdate, Kind::Trade]);
    bench.close(1);
    assert_eq!(bench.state("BTC-USD"), StreamState::Gapped);
}
