//! The Kraken machine in virtual time: every rule of its procedures by example.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{Bench, KrakenBook};
use model::event::Reason;
use model::venue::{Count, Discard, Outcome};
use model::{Body, Kind, Remedy, Side, StreamState};
use venues::Settings;

const LIST: &str = r#"{"channel":"instrument","type":"snapshot","data":{"assets":[],"pairs":[
  {"symbol":"BTC/USD","base":"BTC","quote":"USD","status":"online","price_precision":1,"price_increment":0.1,"qty_precision":8,"qty_increment":1e-08},
  {"symbol":"ETH/USD","base":"ETH","quote":"USD","status":"online","price_precision":2,"price_increment":0.01,"qty_precision":8,"qty_increment":1e-08}]}}"#;
const BOOK: (&str, Kind) = ("BTC-USD", Kind::BookUpdate);

fn machine() -> Bench {
    let settings = Settings { book_depth: 10, ..Settings::default() };
    Bench::new(venues::create("kraken", settings).unwrap())
}

/// Subscribed, connected and listed.
fn connected(streams: &[(&str, Kind)]) -> Bench {
    let mut bench = machine();
    bench.subscribe(streams);
    bench.open(0, 1);
    bench.outbox.frames.clear();
    bench.frame(1, LIST).unwrap();
    bench
}

/// The same with the book of BTC-USD live.
fn live(streams: &[(&str, Kind)]) -> (Bench, KrakenBook) {
    let mut bench = connected(streams);
    let book = KrakenBook::new("BTC/USD", 1);
    bench.frame(1, &book.snapshot()).unwrap();
    assert_eq!(bench.state("BTC-USD"), StreamState::Live);
    bench.outbox.frames.clear();
    (bench, book)
}

fn sent(bench: &Bench) -> Vec<&str> {
    bench.outbox.frames.iter().map(|(_, text)| text.as_str()).collect()
}

/// The same message with another checksum.
fn wrong(message: &str) -> String {
    let (head, tail) = message.split_once("\"checksum\":").unwrap();
    let (sum, tail) = tail.split_once(',').unwrap();
    let sum: u32 = sum.parse().unwrap();
    format!("{head}\"checksum\":{},{tail}", sum ^ 1)
}

fn last_status(bench: &Bench) -> (Kind, StreamState, Reason) {
    let (_, kind, state, reason) = bench.pipeline.statuses.last().unwrap();
    (*kind, *state, *reason)
}

#[test]
fn a_subscription_connects_asks_for_the_list_and_then_for_its_channels() {
    let mut bench = machine();
    bench.subscribe(&[BOOK, ("ETH-USD", Kind::Kline), ("BTC-USD", Kind::Trade)]);
    assert_eq!(bench.outbox.links[0].url.as_deref(), Some("wss://ws.kraken.com/v2"));
    assert!(bench.outbox.requests.is_empty());
    bench.open(0, 1);
    assert_eq!(
        sent(&bench),
        [r#"{"method":"subscribe","params":{"channel":"instrument"},"req_id":1}"#]
    );
    bench.frame(1, LIST).unwrap();
    assert_eq!(
        sent(&bench)[1..],
        [
            r#"{"method":"subscribe","params":{"channel":"book","symbol":["BTC/USD"],"depth":10},"req_id":2}"#,
            r#"{"method":"subscribe","params":{"channel":"trade","symbol":["BTC/USD"],"snapshot":false},"req_id":3}"#,
            r#"{"method":"subscribe","params":{"channel":"ohlc","symbol":["ETH/USD"],"interval":1,"snapshot":false},"req_id":4}"#,
        ]
    );
    let id = bench.pipeline.id("BTC-USD");
    assert_eq!(bench.pipeline.instruments[&id].price_places, Some(1));
    // Subscribing what is subscribed changes nothing.
    bench.subscribe(&[BOOK]);
    assert_eq!(bench.outbox.frames.len(), 4);
}

#[test]
fn depth_is_rounded_up_to_what_is_offered() {
    for (wanted, subscribed) in [(1, 10), (11, 25), (100, 100), (101, 500), (5_000, 1_000)] {
        let settings = Settings { book_depth: wanted, ..Settings::default() };
        let mut bench = Bench::new(venues::create("kraken", settings).unwrap());
        bench.subscribe(&[BOOK]);
        bench.open(0, 1);
        bench.frame(1, LIST).unwrap();
        let depth = format!("\"depth\":{subscribed}}}");
        assert!(sent(&bench)[1].contains(&depth), "{wanted}: {:?}", sent(&bench));
    }
}

#[test]
fn what_the_venue_has_not_is_refused_with_its_name() {
    let bench = connected(&[("DOGE-USD", Kind::Trade), ("BTC-USD", Kind::Funding)]);
    assert_eq!(bench.pipeline.notices[1], r#"UnknownInstrument("DOGE-USD")"#);
    let refused = &bench.pipeline.notices[0];
    assert!(refused.contains("BTC-USD funding: kraken has no such stream"), "{refused}");
    assert!(bench.outbox.frames.is_empty());
}

#[test]
fn a_book_begins_with_its_snapshot_and_is_cut_to_its_depth() {
    let (mut bench, mut book) = live(&[BOOK]);
    // An eleventh bid above the others: the worst falls out, and no removal is sent for it.
    let before = bench.levels("BTC-USD", Side::Buy);
    let update = book.update(Side::Buy, 1_001, 7);
    bench.frame(1, &update).unwrap();
    let after = bench.levels("BTC-USD", Side::Buy);
    assert_eq!((before.len(), after.len()), (10, 10));
    assert_eq!(after[0], "100.1×0.00000007");
    assert_eq!(after[1..], before[..9]);
    assert_eq!(bench.pipeline.count(Count::ChecksumOk), 2);
    let kinds: Vec<_> = bench.pipeline.emitted.iter().map(model::Event::kind).collect();
    assert_eq!(kinds, [Kind::BookSnapshot, Kind::BookUpdate]);
}

#[test]
fn zeros_at_the_end_may_be_missing() {
    let (mut bench, mut book) = live(&[BOOK]);
    let update = book.update(Side::Sell, 1_100, 50_000_000);
    assert!(update.contains(r#""price":110.0,"qty":0.50000000"#), "{update}");
    bench.frame(1, &update.replace("110.0", "110").replace("0.50000000", "0.5")).unwrap();
    assert_eq!(bench.state("BTC-USD"), StreamState::Live);
    assert_eq!(bench.pipeline.count(Count::ChecksumFailed), 0);
}

#[test]
fn a_wrong_level_fails_the_next_checksum_and_only_its_own_book() {
    let (mut bench, mut book) = live(&[BOOK, ("ETH-USD", Kind::BookUpdate)]);
    let mut other = KrakenBook::new("ETH/USD", 2);
    bench.frame(1, &other.snapshot()).unwrap();
    // The quantity of a level in the middle of the ten is one unit off.
    let update = book.update(Side::Buy, 995, 41);
    bench.frame(1, &update.replace("0.00000041", "0.00000042")).unwrap();
    let (kind, state, reason) = last_status(&bench);
    assert_eq!((kind, state), (Kind::BookUpdate, StreamState::Gapped));
    assert_eq!(reason, Reason::ChecksumMismatch);
    assert_eq!(bench.pipeline.count(Count::Gap), 1);
    assert_eq!(bench.state("ETH-USD"), StreamState::Live);
    // What follows is not taken before the snapshot, which is asked for once.
    bench.pass(300);
    for quantity in 1..5 {
        let update = book.update(Side::Buy, 990, quantity);
        bench.frame(1, &update).unwrap();
    }
    assert_eq!(sent(&bench).len(), 2, "{:?}", sent(&bench));
    assert!(sent(&bench)[0].contains("unsubscribe") && sent(&bench)[1].contains("\"subscribe\""));
    bench.frame(1, &book.snapshot()).unwrap();
    assert_eq!(bench.state("BTC-USD"), StreamState::Live);
    assert_eq!(bench.levels("BTC-USD", Side::Buy), book.shown(Side::Buy));
    assert_eq!(bench.pipeline.count(Count::Resync), 1);
    bench.frame(1, &other.update(Side::Sell, 1_005, 3)).unwrap();
    assert_eq!(bench.state("ETH-USD"), StreamState::Live);
}

#[test]
fn a_book_that_fails_again_and_again_is_repaired_less_and_less_often() {
    let (mut bench, mut book) = live(&[BOOK]);
    let mut asked = Vec::new();
    let start = bench.now;
    for _ in 0..400 {
        bench.pass(100);
        if !bench.outbox.frames.is_empty() {
            asked.push(bench.now.since(start).as_millis());
            bench.outbox.frames.clear();
            bench.frame(1, &book.snapshot()).unwrap();
        }
        bench.frame(1, &wrong(&book.update(Side::Buy, 995, 41))).unwrap();
    }
    assert!(asked.len() < 12, "{asked:?}");
    assert!(asked.windows(2).all(|pair| pair[1] - pair[0] <= 10_200), "{asked:?}");
}

#[test]
fn a_subscription_that_is_not_answered_is_sent_again() {
    let mut bench = connected(&[BOOK, ("BTC-USD", Kind::Trade)]);
    bench.outbox.frames.clear();
    let ack =
        r#"{"method":"subscribe","result":{"channel":"trade","symbol":"BTC/USD"},"success":true}"#;
    bench.frame(1, ack).unwrap();
    bench.pass(2_500);
    assert!(sent(&bench).is_empty());
    bench.pass(2_000);
    assert_eq!(sent(&bench).len(), 2, "the book's, not the trades': {:?}", sent(&bench));
    assert!(sent(&bench)[1].contains("\"book\""));
    bench.pass(18_500);
    assert_eq!(sent(&bench).len(), 6, "after 6 and 12 seconds more");
    let refused = r#"{"error":"Exceeded msg rate","method":"subscribe","success":false}"#;
    bench.frame(1, refused).unwrap();
    assert!(bench.pipeline.notices[0].contains("Exceeded msg rate"));
}

#[test]
fn quotes_follow_the_best_levels_of_the_proven_book() {
    let (mut bench, mut book) = live(&[("BTC-USD", Kind::Quote)]);
    let quotes = |bench: &Bench| -> Vec<String> {
        let quote = |body: &Body| match body {
            Body::Quote(quote) => Some(format!("{} {}", quote.bid.price, quote.ask.price)),
            _ => None,
        };
        bench.pipeline.derived.iter().filter_map(|event| quote(&event.body)).collect()
    };
    assert_eq!(quotes(&bench), ["99.9 100.2"]);
    assert_eq!(last_status(&bench), (Kind::Quote, StreamState::Live, Reason::Synced));
    // Below the best nothing is said; at the best it is.
    bench.frame(1, &book.update(Side::Buy, 995, 41)).unwrap();
    assert_eq!(quotes(&bench).len(), 1);
    bench.frame(1, &book.update(Side::Buy, 1_000, 5)).unwrap();
    assert_eq!(quotes(&bench)[1..], ["100.0 100.2"]);
    bench.frame(1, &wrong(&book.update(Side::Buy, 1_001, 5))).unwrap();
    assert_eq!(quotes(&bench).len(), 2, "a book that is not proven has no quote");
    assert_eq!(last_status(&bench), (Kind::Quote, StreamState::Gapped, Reason::ChecksumMismatch));
    bench.frame(1, &book.snapshot()).unwrap();
    assert_eq!(quotes(&bench)[2..], ["100.1 100.2"]);
    // A book of a quote is nobody's book, but it is decoded all the same.
    bench.unsubscribe(&[("BTC-USD", Kind::Quote)]);
    assert!(sent(&bench).last().unwrap().contains("unsubscribe"));
    assert_eq!(bench.outbox.links.last().unwrap().url, None);
}

#[test]
fn a_book_stays_while_a_quote_or_a_book_is_wanted() {
    let (mut bench, mut book) = live(&[BOOK, ("BTC-USD", Kind::Quote)]);
    bench.unsubscribe(&[BOOK]);
    assert!(sent(&bench).is_empty());
    bench.frame(1, &book.update(Side::Buy, 1_000, 5)).unwrap();
    assert_eq!(bench.state("BTC-USD"), StreamState::Live);
    bench.subscribe(&[BOOK]);
    assert!(sent(&bench).is_empty(), "{:?}", sent(&bench));
    bench.unsubscribe(&[BOOK, ("BTC-USD", Kind::Quote)]);
    assert_eq!(sent(&bench).len(), 1);
    bench.frame(1, &book.update(Side::Buy, 1_000, 6)).unwrap();
    assert_eq!(bench.pipeline.discards(Discard::Unsubscribed), 1);
    assert_eq!(bench.state("BTC-USD"), StreamState::Syncing);
}

fn trades(ids: &[u64]) -> String {
    let one = |id: &u64| {
        format!(
            r#"{{"symbol":"BTC/USD","side":"buy","price":1.0,"qty":2.0,"ord_type":"market","trade_id":{id},"timestamp":"2026-08-26T11:34:06.075373Z"}}"#
        )
    };
    let all: Vec<_> = ids.iter().map(one).collect();
    format!(r#"{{"channel":"trade","type":"update","data":[{}]}}"#, all.join(","))
}

#[test]
fn every_trade_of_a_message_is_an_event_and_the_engine_puts_them_in_order() {
    let mut bench = connected(&[("BTC-USD", Kind::Trade)]);
    bench.frame(1, &trades(&[5, 6, 9])).unwrap();
    bench.frame(1, &trades(&[9, 10, 7])).unwrap();
    bench.frame(1, &trades(&[11]).replace("update", "snapshot")).unwrap();
    let ids: Vec<_> =
        bench.pipeline.emitted.iter().map(|event| event.header.seq_provider).collect();
    let expected = [5, 6, 9, 9, 10, 7].map(Some);
    assert_eq!(
        ids, expected,
        "ids count up by one: what came twice or late is the engine's to tell"
    );
    assert_eq!(bench.pipeline.discards(Discard::Duplicate), 0);
    assert_eq!(last_status(&bench), (Kind::Trade, StreamState::Live, Reason::Flowing));
    // A fault in the last entry refuses the message before anything of it went out.
    let broken = trades(&[12, 13]).replace("\"trade_id\":13", "\"trade_id\":null");
    assert_eq!(bench.frame(1, &broken).unwrap_err().remedy, Remedy::Ignore);
    assert_eq!(bench.pipeline.emitted.len(), 6);
}

#[test]
fn tickers_and_candles_share_times_and_are_told_apart_by_what_they_say() {
    let mut bench = connected(&[("BTC-USD", Kind::Ticker), ("BTC-USD", Kind::Kline)]);
    let ticker = |last: u32, time: &str| {
        format!(
            r#"{{"channel":"ticker","type":"update","data":[{{"symbol":"BTC/USD","bid":1.0,"bid_qty":1.0,"ask":2.0,"ask_qty":1.0,"last":{last},"volume":1.0,"vwap":1.0,"low":1.0,"high":1.0,"change":0.0,"change_pct":0.0,"trades":1,"timestamp":"2026-01-01T00:00:{time}Z"}}]}}"#
        )
    };
    for (last, time) in [(1, "01"), (2, "01"), (2, "01"), (3, "02"), (1, "01")] {
        bench.frame(1, &ticker(last, time)).unwrap();
    }
    assert_eq!(bench.pipeline.emitted.len(), 3);
    assert_eq!(bench.pipeline.discards(Discard::Duplicate), 2);
    let candle = r#"{"channel":"ohlc","type":"update","timestamp":"2026-01-01T00:00:05.1Z","data":[{"symbol":"BTC/USD","open":1,"high":2,"low":1,"close":2,"trades":6,"volume":1.5,"vwap":1.5,"interval_begin":"2026-01-01T00:00:00Z","interval":1}]}"#;
    bench.frame(1, candle).unwrap();
    bench.frame(1, candle).unwrap();
    assert_eq!(bench.pipeline.emitted.len(), 4);
}

#[test]
fn a_disconnect_gaps_what_stood_on_the_connection_and_a_new_one_repairs_it() {
    let (mut bench, book) = live(&[BOOK, ("BTC-USD", Kind::Quote), ("BTC-USD", Kind::Trade)]);
    bench.frame(1, &trades(&[5])).unwrap();
    bench.close(1);
    for kind in [Kind::BookUpdate, Kind::Quote, Kind::Trade] {
        let gapped = |s: &&(String, Kind, StreamState, Reason)| s.1 == kind;
        let status = bench.pipeline.statuses.iter().rfind(gapped).unwrap();
        assert_eq!((status.2, status.3), (StreamState::Gapped, Reason::Disconnected), "{kind:?}");
    }
    bench.open(0, 2);
    assert_eq!(sent(&bench).len(), 3, "instrument, book, trade: {:?}", sent(&bench));
    bench.frame(2, &book.snapshot()).unwrap();
    // A venue that restarted may count from anywhere.
    bench.frame(2, &trades(&[3])).unwrap();
    assert_eq!(bench.state("BTC-USD"), StreamState::Live);
    assert_eq!(last_status(&bench).0, Kind::Trade);
}

#[test]
fn a_renewed_connection_takes_the_book_over_without_a_gap() {
    let (mut bench, mut book) = live(&[BOOK, ("BTC-USD", Kind::Trade)]);
    bench.open(0, 2);
    // Until its snapshot comes, the new connection's diffs are not the book's.
    let update = book.update(Side::Buy, 995, 41);
    for conn in [1, 2] {
        bench.frame(conn, &update).unwrap();
        bench.frame(conn, &trades(&[5])).unwrap();
    }
    assert_eq!(
        bench.pipeline.discards(Discard::Duplicate),
        1,
        "the diff; the engine has the trades"
    );
    bench.frame(2, &book.snapshot()).unwrap();
    // From here on the old one's are not, however late they come.
    let update = book.update(Side::Buy, 995, 42);
    bench.frame(2, &update).unwrap();
    bench.frame(1, &update).unwrap();
    bench.close(1);
    assert_eq!(bench.state("BTC-USD"), StreamState::Live);
    assert!(bench.pipeline.statuses.iter().all(|status| status.2 != StreamState::Gapped));
    bench.frame(2, &book.update(Side::Buy, 995, 43)).unwrap();
    assert_eq!(bench.levels("BTC-USD", Side::Buy), book.shown(Side::Buy));
}

#[test]
fn a_replacement_that_fails_gives_the_book_back() {
    let (mut bench, mut book) = live(&[BOOK]);
    bench.open(0, 2);
    bench.frame(2, &book.snapshot()).unwrap();
    bench.outbox.frames.clear();
    bench.close(2);
    assert_eq!(last_status(&bench), (Kind::BookUpdate, StreamState::Gapped, Reason::Disconnected));
    bench.frame(1, &book.update(Side::Buy, 995, 42)).unwrap();
    bench.pass(1_000);
    assert!(sent(&bench)[1].contains("\"subscribe\""), "{:?}", sent(&bench));
    assert_eq!(bench.outbox.frames[1].0, model::ConnId(1));
    bench.frame(1, &book.snapshot()).unwrap();
    assert_eq!(bench.state("BTC-USD"), StreamState::Live);
}

const DEPTH: &str = r#"{"error":[],"result":{"XXBTZUSD":{"bids":[["99.90000","0.000",1]],"asks":[["100.20000","0.000",1]]}}}"#;

#[test]
fn quiet_is_not_stale() {
    let (mut bench, _) = live(&[BOOK]);
    bench.pass(29_000);
    assert!(bench.outbox.requests.is_empty());
    bench.pass(2_000);
    let probe = bench.take_request("api.kraken.com/0/public/Depth?pair=BTC/USD&count=1").unwrap();
    bench.answer(&probe, DEPTH).unwrap();
    bench.pass(25_000);
    assert_eq!(bench.state("BTC-USD"), StreamState::Live);
    assert_eq!(bench.pipeline.count(Count::Probe), 1);
}

#[test]
fn missed_progress_is_stale_and_repaired() {
    let (mut bench, book) = live(&[BOOK]);
    bench.pass(31_000);
    let probe = bench.take_request("Depth").unwrap();
    bench.answer(&probe, &DEPTH.replace("99.9", "99.8")).unwrap();
    assert_eq!(bench.state("BTC-USD"), StreamState::Live, "it may be on its way");
    bench.pass(4_000);
    let stale = (Kind::BookUpdate, StreamState::Stale, Reason::ProbeMissedProgress);
    assert_eq!(last_status(&bench), stale);
    assert!(sent(&bench)[1].contains("\"subscribe\""));
    bench.frame(1, &book.snapshot()).unwrap();
    assert_eq!(bench.state("BTC-USD"), StreamState::Live);
}

#[test]
fn progress_that_was_only_late_is_not_stale() {
    let (mut bench, mut book) = live(&[BOOK]);
    bench.pass(31_000);
    let probe = bench.take_request("Depth").unwrap();
    bench.answer(&probe, &DEPTH.replace("99.9", "99.8")).unwrap();
    bench.frame(1, &book.update(Side::Buy, 999, 0)).unwrap();
    bench.pass(4_000);
    assert_eq!(bench.state("BTC-USD"), StreamState::Live);
}

#[test]
fn a_probe_that_fails_is_stale_and_one_that_is_refused_as_asked_is_not() {
    let (mut bench, book) = live(&[BOOK]);
    bench.pass(31_000);
    let probe = bench.take_request("Depth").unwrap();
    bench.outcome(&probe, Outcome::Delayed(Reason::RateLimited, bench.now)).unwrap();
    bench.answer(&probe, r#"{"error":["EQuery:Unknown asset pair"]}"#).unwrap();
    assert_eq!(bench.state("BTC-USD"), StreamState::Live, "neither proves anything");
    assert!(bench.pipeline.notices[0].contains("Unknown asset pair"));
    bench.pass(31_000);
    let probe = bench.take_request("Depth").unwrap();
    bench.outcome(&probe, Outcome::Delayed(Reason::VenueUnavailable, bench.now)).unwrap();
    assert_eq!(
        last_status(&bench),
        (Kind::BookUpdate, StreamState::Stale, Reason::VenueUnavailable)
    );
    bench.frame(1, &book.snapshot()).unwrap();
    bench.pass(31_000);
    let probe = bench.take_request("Depth").unwrap();
    assert!(bench.answer(&probe, "<html>").is_err());
    assert_eq!(bench.state("BTC-USD"), StreamState::Stale);
}

#[test]
fn silent_trades_are_probed_by_the_newest() {
    let mut bench = connected(&[("BTC-USD", Kind::Trade)]);
    bench.frame(1, &trades(&[5])).unwrap();
    bench.pass(121_000);
    let probe = bench.take_request("0/public/Trades?pair=BTC/USD&count=1").unwrap();
    let newest = |id: u64| {
        format!(
            r#"{{"error":[],"result":{{"XXBTZUSD":[["1","2",3.5,"b","m","",{id}]],"last":"4"}}}}"#
        )
    };
    bench.answer(&probe, &newest(5)).unwrap();
    bench.pass(121_000);
    let probe = bench.take_request("Trades").unwrap();
    bench.answer(&probe, &newest(6)).unwrap();
    bench.outbox.frames.clear();
    bench.pass(4_000);
    let stale = (Kind::Trade, StreamState::Stale, Reason::ProbeMissedProgress);
    assert_eq!(last_status(&bench), stale);
    assert!(sent(&bench)[1].contains("\"trade\""));
    bench.frame(1, &trades(&[7])).unwrap();
    assert_eq!(last_status(&bench), (Kind::Trade, StreamState::Live, Reason::Flowing));
}

#[test]
fn what_is_not_known_is_harmless() {
    let (mut bench, mut book) = live(&[BOOK]);
    let other = KrakenBook::new("DOGE/USD", 5);
    for text in [
        r#"{"channel":"level3","type":"update","data":[]}"#,
        &other.snapshot(),
        r#"{"channel":"heartbeat"}"#,
        r#"{"channel":"status","type":"update","data":[{"system":"cancel_only"}]}"#,
    ] {
        bench.frame(1, text).unwrap();
    }
    assert_eq!(bench.frame(1, "{not json").unwrap_err().remedy, Remedy::Ignore);
    assert_eq!(bench.state("BTC-USD"), StreamState::Live);
    bench.frame(1, &book.update(Side::Buy, 995, 41)).unwrap();
    let notices = bench.pipeline.notices.join(" ");
    for what in ["level3", "DOGE/USD", "VenueStatus(\"cancel_only\")"] {
        assert!(notices.contains(what), "{notices}");
    }
}

#[test]
fn newer_precisions_count_from_the_next_message_on() {
    let mut bench = connected(&[BOOK]);
    let book = KrakenBook::new("BTC/USD", 1);
    let finer = LIST
        .replace("snapshot", "update")
        .replace(r#"price_precision":1"#, r#"price_precision":3"#);
    bench.frame(1, &finer).unwrap();
    bench.frame(1, &book.snapshot()).unwrap();
    assert_eq!(last_status(&bench).2, Reason::ChecksumMismatch);
    bench.frame(1, LIST).unwrap();
    bench.frame(1, &book.snapshot()).unwrap();
    assert_eq!(bench.state("BTC-USD"), StreamState::Live);
}

#[test]
fn links_are_filled_and_messages_are_batched() {
    let mut bench = machine();
    let names: Vec<String> = (0..250).map(|n| format!("C{n}-USD")).collect();
    let streams: Vec<_> = names.iter().map(|name| (name.as_str(), Kind::Trade)).collect();
    bench.subscribe(&streams);
    bench.open(0, 1);
    let pair = |n: usize| {
        format!(r#"{{"symbol":"C{n}/USD","base":"C{n}","quote":"USD","status":"online"}}"#)
    };
    let pairs: Vec<_> = (0..250).map(pair).collect();
    let list = format!(
        r#"{{"channel":"instrument","type":"snapshot","data":{{"pairs":[{}]}}}}"#,
        pairs.join(",")
    );
    bench.frame(1, &list).unwrap();
    assert_eq!(bench.outbox.links.len(), 2, "200 instruments on a connection");
    bench.open(1, 2);
    let on = |bench: &Bench, conn: u32| {
        let frames = bench.outbox.frames.iter().filter(|(c, t)| c.0 == conn && t.contains("trade"));
        frames.map(|(_, text)| text.matches("/USD").count()).collect::<Vec<_>>()
    };
    assert_eq!((on(&bench, 1), on(&bench, 2)), (vec![50; 4], vec![50]));
}

#[test]
fn a_recording_is_taken_as_it_comes() {
    let settings = Settings { adopt: true, ..Settings::default() };
    let mut bench = Bench::new(venues::create("kraken", settings).unwrap());
    bench.open(0, 1);
    let mut book = KrakenBook::new("BTC/USD", 1);
    // Without a list the digits as sent are what the checksum is made of.
    bench.frame(1, &book.update(Side::Buy, 995, 41)).unwrap();
    bench.frame(1, &book.snapshot()).unwrap();
    bench.frame(1, &book.update(Side::Buy, 995, 42)).unwrap();
    assert_eq!(bench.state("BTC-USD"), StreamState::Live);
    assert_eq!(bench.pipeline.count(Count::ChecksumOk), 2);
    assert!(bench.pipeline.derived.iter().all(|event| event.kind() == Kind::Quote));
    bench.close(1);
    assert_eq!(bench.state("BTC-USD"), StreamState::Gapped);
    let mut nonsense = book.snapshot();
    nonsense = nonsense.replace("BTC/USD", "BTCUSD");
    bench.open(0, 1);
    assert!(bench.frame(1, &nonsense).unwrap_err().message.contains("BASE/QUOTE"));
}

#[test]
fn a_list_or_a_snapshot_that_does_not_come_is_asked_for_again_within_five_seconds() {
    let mut bench = machine();
    bench.subscribe(&[BOOK]);
    bench.open(0, 1);
    bench.outbox.frames.clear();
    bench.pass(4_500);
    assert_eq!(
        sent(&bench),
        [
            r#"{"method":"unsubscribe","params":{"channel":"instrument"},"req_id":2}"#,
            r#"{"method":"subscribe","params":{"channel":"instrument"},"req_id":3}"#
        ]
    );
    bench.frame(1, LIST).unwrap();
    bench.outbox.frames.clear();
    bench.pass(4_500);
    let again = sent(&bench);
    assert_eq!(again.len(), 2, "{again:?}");
    assert!(again[1].contains("\"subscribe\"") && again[1].contains("\"book\""), "{again:?}");
    bench.frame(1, &KrakenBook::new("BTC/USD", 1).snapshot()).unwrap();
    assert_eq!(bench.state("BTC-USD"), StreamState::Live);
    bench.outbox.frames.clear();
    bench.pass(20_000);
    assert!(sent(&bench).is_empty(), "nothing more is asked for: {:?}", sent(&bench));
}
