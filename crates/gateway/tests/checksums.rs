//! A book that only its checksum proves, on recorded traffic: a level that is one unit off is seen at
//! once, in its own book and nowhere else; whatever is lost, doubled or swapped, the levels that the
//! checksum covers are right or the book is not live.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::naive::price;
use common::{lines_of, replayed};
use meltica::report::VenueReport;
use model::capture::CaptureLine;
use serde_json::Value;

/// Levels a side that the checksum covers.
const COVERED: usize = 25;
/// Every so many messages are broken.
const EVERY: usize = 5;

/// The recording without numbers; `None`, and nothing to be shown, where it is not there.
fn recording() -> Option<Vec<CaptureLine>> {
    let path: PathBuf =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/captures/okx.jsonl");
    if path.exists() {
        return Some(lines_of(&path));
    }
    println!("skipped: {} is not there", path.display());
    None
}

/// A book message of the recording.
struct Place {
    line: usize,
    symbol: String,
    snapshot: bool,
    /// A level that is set by it and covered after it: side and place in the message.
    covered: Option<(&'static str, usize)>,
}

fn message(line: &CaptureLine) -> Option<Value> {
    let frame: Value = serde_json::from_slice(&line.data).ok()?;
    (frame["arg"]["channel"] == "books" && frame["data"].is_array()).then_some(frame)
}

fn places(lines: &[CaptureLine]) -> Vec<Place> {
    let mut books: BTreeMap<(String, &str), BTreeMap<String, String>> = BTreeMap::new();
    let mut places = Vec::new();
    for (line, frame) in lines.iter().enumerate().filter_map(|(at, l)| Some((at, message(l)?))) {
        let symbol = frame["arg"]["instId"].as_str().unwrap().to_owned();
        let mut covered = None;
        for side in ["asks", "bids"] {
            let book = books.entry((symbol.clone(), side)).or_default();
            let levels = frame["data"][0][side].as_array().unwrap();
            for level in levels {
                let (key, quantity) =
                    (price(level[0].as_str().unwrap()).0, level[1].as_str().unwrap());
                book.insert(key, quantity.to_owned());
            }
            book.retain(|_, quantity| quantity != "0");
            let best: Vec<&String> = match side {
                "asks" => book.keys().take(COVERED).collect(),
                _ => book.keys().rev().take(COVERED).collect(),
            };
            let set = |level: &Value| {
                level[1] != "0" && best.contains(&&price(level[0].as_str().unwrap()).0)
            };
            covered = covered.or(levels.iter().position(set).map(|at| (side, at)));
        }
        places.push(Place { line, symbol, snapshot: frame["action"] == "snapshot", covered });
    }
    places
}

/// The instrument's name is its symbol: the recording holds a spot pair and a dated future.
fn book(report: &VenueReport, symbol: &str) -> Value {
    serde_json::to_value(&report.instruments[symbol]).unwrap()["book"].clone()
}

fn others_are_untouched(found: &VenueReport, whole: &VenueReport, own: &str) {
    for (name, instrument) in whole.instruments.iter().filter(|(name, _)| *name != own) {
        assert_eq!(found.instruments.get(name), Some(instrument), "{name}");
    }
}

#[test]
fn a_covered_level_that_is_one_unit_off_is_seen_at_once() {
    let Some(lines) = recording() else { return };
    let whole = replayed(&lines);
    let places = places(&lines);
    let covered = places.iter().filter(|place| !place.snapshot && place.covered.is_some());
    let mut broken = 0;
    for place in covered.step_by(EVERY) {
        let (side, at) = place.covered.unwrap();
        let mut frame = message(&lines[place.line]).unwrap();
        let quantity = &mut frame["data"][0][side][at][1];
        let text = quantity.as_str().unwrap().to_owned();
        let (head, last) = text.split_at(text.len() - 1);
        let last: u8 = last.parse().unwrap();
        *quantity = format!("{head}{}", if last == 9 { 8 } else { last + 1 }).into();
        let mut lines = lines.clone();
        lines[place.line].data = serde_json::to_vec(&frame).unwrap();
        let found = replayed(&lines);
        let book = book(&found, &place.symbol);
        assert_eq!((&book["checksum_failed"], &book["gaps"]), (&1.into(), &1.into()));
        assert_eq!(book["synced"], false, "line {}", place.line + 1);
        others_are_untouched(&found, &whole, &place.symbol);
        broken += 1;
    }
    assert!(broken > 20, "{broken}");
}

#[test]
fn what_is_lost_doubled_or_swapped_leaves_covered_levels_right_or_the_book_not_live() {
    let Some(lines) = recording() else { return };
    let whole = replayed(&lines);
    let places = places(&lines);
    let mut seen = 0;
    for (index, place) in places.iter().enumerate().filter(|(_, p)| !p.snapshot).step_by(EVERY) {
        let next = places[index + 1..].iter().find(|other| other.symbol == place.symbol);
        let Some(next) = next else { continue };
        let broken: [fn(&mut Vec<CaptureLine>, usize, usize); 3] = [
            |lines, at, _| drop(lines.remove(at)),
            |lines, at, _| lines.insert(at + 1, lines[at].clone()),
            |lines, at, next| lines.swap(at, next),
        ];
        for fault in broken {
            let mut lines = lines.clone();
            fault(&mut lines, place.line, next.line);
            let found = replayed(&lines);
            others_are_untouched(&found, &whole, &place.symbol);
            let (book, right) = (book(&found, &place.symbol), book(&whole, &place.symbol));
            if book["synced"] == true {
                assert_eq!((&book["bids"], &book["asks"]), (&right["bids"], &right["asks"]));
            } else {
                assert_eq!(book["gaps"], 1);
                seen += 1;
            }
        }
    }
    assert!(seen > 20, "{seen}");
}
