//! Captures: ours agrees with an independent reading and with the judge's own figures, every field;
//! two runs agree to the byte; a lost diff is noticed in its own book and nowhere else.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::{Path, PathBuf};

use common::{fixture, fixture_lines, lines_of, naive, replayed, replayed_with_events};
use meltica::report::VenueReport;
use model::capture::{CaptureLine, Direction, Wire};
use serde_json::Value;

const VENUES: [&str; 3] = ["binance", "binance-usdm", "binance-coinm"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/captures")
}

fn value(report: &VenueReport) -> Value {
    serde_json::to_value(report).unwrap()
}

/// The public captures of venues that this version knows, with what is expected of them.
fn public() -> Vec<(PathBuf, Value)> {
    let Ok(text) = std::fs::read(folder().join("expected.json")) else {
        println!("skipped: {} has no expected.json", folder().display());
        return Vec::new();
    };
    let all: Vec<Value> = serde_json::from_slice(&text).unwrap();
    let known = |entry: &Value| {
        venues::registry::names().iter().any(|name| entry["venue"].as_str() == Some(name))
    };
    let mut found = Vec::new();
    for entry in all.into_iter().filter(known) {
        let path = folder().join(entry["file"].as_str().unwrap());
        if path.exists() {
            found.push((path, entry));
        } else {
            println!("skipped: {} is not there", path.display());
        }
    }
    found
}

/// Every field of `expected`, however deep, is in `found` with that value; where it has a list of
/// instruments or kinds, there are no others.
#[track_caller]
fn assert_holds(path: &str, expected: &Value, found: &Value) {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            if path.ends_with(".instruments") || path.ends_with(".events") {
                let names = |map: &serde_json::Map<String, Value>| -> Vec<String> {
                    map.keys().cloned().collect()
                };
                assert_eq!(names(found), names(expected), "{path}");
            }
            for (key, expected) in expected {
                let found = found.get(key).unwrap_or_else(|| panic!("{path}.{key} is missing"));
                assert_holds(&format!("{path}.{key}"), expected, found);
            }
        }
        _ => assert_eq!(found, expected, "{path}"),
    }
}

#[test]
fn every_expected_field_of_the_public_captures_holds() {
    for (path, expected) in public() {
        let (reports, _) = replayed_with_events(&path);
        assert_eq!(reports.len(), 1, "{}", path.display());
        assert_holds(&reports[0].file, &expected, &value(&reports[0]));
    }
}

#[test]
fn the_independent_reading_is_right_about_the_public_captures() {
    for (path, expected) in public() {
        if !naive::knows(expected["venue"].as_str().unwrap()) {
            continue;
        }
        let mut read = naive::read(&lines_of(&path));
        read["file"] = expected["file"].clone();
        assert_holds("naive", &expected, &read);
    }
}

#[test]
fn our_capture_agrees_with_an_independent_reading() {
    let (reports, _) = replayed_with_events(&fixture());
    let venues: Vec<_> = reports.iter().map(|report| report.venue.as_str()).collect();
    assert_eq!(venues, VENUES);
    for report in &reports {
        let expected = naive::read(&fixture_lines(&report.venue));
        assert_holds(&report.venue, &expected, &value(report));
    }
}

/// That the fixture is worth something: each stream of each line, and books that are live.
#[test]
fn our_capture_holds_every_kind_of_stream() {
    let (reports, _) = replayed_with_events(&fixture());
    let kinds = ["book_snapshot", "book_update", "kline", "quote", "ticker", "trade"];
    for report in &reports {
        assert_eq!(report.malformed, 0);
        for (name, instrument) in &report.instruments {
            let heard: Vec<_> = instrument.events.keys().copied().collect();
            let expected: Vec<_> = if report.venue == "binance-usdm" {
                vec!["book_snapshot", "book_update", "funding", "kline", "quote", "ticker", "trade"]
            } else {
                kinds.to_vec()
            };
            assert_eq!(heard, expected, "{name}");
            let book = instrument.book.as_ref().unwrap();
            assert!(book.synced && book.gaps == 0 && book.levels[0] > 10, "{name}");
        }
    }
    let names: Vec<_> = reports.iter().flat_map(|r| r.instruments.keys()).collect();
    assert_eq!(names, ["BTC-USDT", "ETH-BTC", "BTC-USDT-PERP", "ETH-USD-260925"]);
}

#[test]
fn two_runs_agree_to_the_byte() {
    let mut paths = vec![fixture()];
    paths.extend(public().into_iter().map(|(path, _)| path));
    for path in paths {
        let (first, second) = (replayed_with_events(&path), replayed_with_events(&path));
        let text = |reports: &[VenueReport]| serde_json::to_string(reports).unwrap();
        assert_eq!(text(&first.0), text(&second.0), "{}", path.display());
        assert!(first.1.lines().count() > 100, "{}", path.display());
        assert!(first.1 == second.1, "{}: the events differ", path.display());
    }
}

/// Whether a consumer of events alone can have the book: the last snapshot and the updates after
/// it, level by level, are the reported best levels.
#[test]
fn a_consumer_of_events_has_the_reported_book() {
    let (reports, events) = replayed_with_events(&fixture());
    for report in &reports {
        for (name, instrument) in &report.instruments {
            let mut sides = [std::collections::BTreeMap::new(), std::collections::BTreeMap::new()];
            let own = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            for event in own.filter(|e| e["instrument"] == **name && e["provider"] == *report.venue)
            {
                if event["kind"] == "book_snapshot" {
                    sides.iter_mut().for_each(std::collections::BTreeMap::clear);
                }
                for (side, key) in sides.iter_mut().zip(["bids", "asks"]) {
                    for level in event[key].as_array().into_iter().flatten() {
                        let text = |at: usize| level[at].as_str().unwrap();
                        let price = model::decimal::parse(text(0).as_bytes()).unwrap();
                        side.insert(price, [text(0).to_owned(), text(1).to_owned()]);
                        side.retain(|_, level| level[1] != "0");
                    }
                }
            }
            let book = instrument.book.as_ref().unwrap();
            let bids: Vec<_> = sides[0].values().rev().take(10).cloned().collect();
            let asks: Vec<_> = sides[1].values().take(10).cloned().collect();
            assert_eq!((&bids, &asks), (&book.bids, &book.asks), "{name}");
            assert_eq!([sides[0].len(), sides[1].len()], book.levels, "{name}");
        }
    }
}

/// A diff that stands after its snapshot and before another diff of its instrument.
struct Place {
    line: usize,
    symbol: String,
}

fn diff(line: &CaptureLine) -> Option<Value> {
    let frame: Value = (line.wire == Wire::Ws && line.direction == Direction::In)
        .then(|| serde_json::from_slice(&line.data).ok())??;
    (frame["data"]["e"] == "depthUpdate").then(|| frame["data"].clone())
}

/// Every diff of the lines that is newer than its snapshot, the last of each instrument apart.
fn places(lines: &[CaptureLine]) -> Vec<Place> {
    let mut snapshots: Vec<(String, u64)> = Vec::new();
    let mut places: Vec<Place> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if let Some((_, symbol)) = line.url.split_once("/depth?symbol=") {
            let body: Value = serde_json::from_slice(&line.data).unwrap();
            let symbol = symbol.split('&').next().unwrap().to_owned();
            snapshots.push((symbol, body["lastUpdateId"].as_u64().unwrap()));
        } else if let Some(diff) = diff(line) {
            let symbol = diff["s"].as_str().unwrap().to_owned();
            let newer = |(of, id): &(String, u64)| *of == symbol && diff["u"].as_u64() > Some(*id);
            if snapshots.iter().any(newer) {
                places.push(Place { line: at, symbol });
            }
        }
    }
    let last =
        |place: &Place| !places.iter().any(|p| p.symbol == place.symbol && p.line > place.line);
    let ends: Vec<usize> = places.iter().filter(|place| last(place)).map(|p| p.line).collect();
    places.retain(|place| !ends.contains(&place.line));
    places
}

/// Positions looked at: enough for every book to be met often, few enough to be quick.
const EVERY: usize = 7;

/// The instrument of a symbol of the fixture.
fn name(symbol: &str, venue: &str) -> &'static str {
    match (symbol, venue) {
        ("BTCUSDT", "binance") => "BTC-USDT",
        ("ETHBTC", _) => "ETH-BTC",
        ("BTCUSDT", _) => "BTC-USDT-PERP",
        _ => "ETH-USD-260925",
    }
}

#[test]
fn a_lost_diff_is_a_gap_in_its_own_book_and_nothing_elsewhere() {
    for venue in VENUES {
        let lines = fixture_lines(venue);
        let whole = replayed(&lines);
        let places = places(&lines);
        assert!(places.len() > 40, "{venue}: {}", places.len());
        for place in places.iter().step_by(EVERY) {
            let mut lines = lines.clone();
            lines.remove(place.line);
            let found = replayed(&lines);
            let own = name(&place.symbol, venue);
            for (name, instrument) in &found.instruments {
                if name != own {
                    assert_eq!(Some(instrument), whole.instruments.get(name), "{name}");
                }
            }
            let book = found.instruments[own].book.as_ref().unwrap();
            assert_eq!((book.gaps, book.synced), (1, false), "{own}, line {}", place.line + 1);
            assert_holds(venue, &naive::read(&lines), &value(&found));
        }
    }
}

#[test]
fn a_doubled_diff_changes_no_book() {
    for venue in VENUES {
        let lines = fixture_lines(venue);
        let whole = replayed(&lines);
        let diffs: Vec<usize> = (0..lines.len()).filter(|at| diff(&lines[*at]).is_some()).collect();
        for at in diffs.into_iter().step_by(EVERY) {
            for later in [1, 40] {
                let mut lines = lines.clone();
                let doubled = lines[at].clone();
                lines.insert((at + later).min(lines.len()), doubled);
                let found = replayed(&lines);
                for (name, instrument) in &whole.instruments {
                    let found = &found.instruments[name];
                    assert_eq!(found.book, instrument.book, "{name}, line {} doubled", at + 1);
                }
                assert_eq!(found.ws_frames, whole.ws_frames + 1);
            }
        }
    }
}

#[test]
fn swapped_diffs_are_no_gap_and_garbage_is_counted_and_touches_nothing() {
    let lines = fixture_lines("binance");
    let whole = replayed(&lines);
    let place = &places(&lines)[20];
    let garbage =
        [&b"{\"stream\":\"btcusdt@depth@100ms\",\"data\":{"[..], b"", b"null", b"\xff\xfe"];
    for (count, bytes) in garbage.into_iter().enumerate() {
        let mut lines = lines.clone();
        let mut line = lines[place.line].clone();
        line.data = bytes.to_vec();
        lines.insert(place.line, line);
        let found = replayed(&lines);
        assert_eq!(found.malformed, 1, "garbage {count}");
        assert_eq!(found.instruments, whole.instruments, "garbage {count}");
    }
    let mut lines = lines;
    let next = (place.line + 1..lines.len())
        .find(|at| diff(&lines[*at]).is_some_and(|diff| diff["s"] == *place.symbol))
        .unwrap();
    lines.swap(place.line, next);
    let found = replayed(&lines);
    let own = name(&place.symbol, "binance");
    assert_eq!(found.instruments[own].book, whole.instruments[own].book);
}
