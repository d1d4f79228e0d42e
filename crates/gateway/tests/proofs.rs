//! How far each venue's proof of a book reaches, on recordings: a covered level that is one unit off
//! is seen at once, in its own book and nowhere else; whatever is lost, doubled or swapped, what the
//! proof covers is right or the book is not live.
//!
//! Binance's lines, whose snapshots come by request, have the same in `captures.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use common::lines_of;
use common::naive::{plain, price};
use meltica::replay::Replay;
use meltica::report::VenueReport;
use model::capture::CaptureLine;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// What shows that a message is missing.
#[derive(Clone, Copy, PartialEq)]
enum Proof {
    /// Numbers: the whole book.
    Sequence,
    /// A checksum over so many levels a side, with every message.
    Checksum(usize),
    /// A book that crosses itself.
    Crossing,
}

struct Recording {
    venue: &'static str,
    proof: Proof,
    lines: Vec<CaptureLine>,
    /// Its book messages, in order.
    places: Vec<Place>,
}

/// The recordings that are there: those beside the project may be missing, our own may not.
fn recordings() -> Vec<Recording> {
    let (ours, shared) = ("fixtures/bench", "../../../shared/captures/");
    let files = [
        ("okx", Proof::Sequence, format!("{ours}-okx.jsonl")),
        ("kraken", Proof::Checksum(10), format!("{ours}-channels.jsonl")),
        ("coinbase", Proof::Crossing, format!("{ours}-channels.jsonl")),
        ("okx", Proof::Checksum(25), format!("{shared}okx.jsonl")),
        ("kraken", Proof::Checksum(10), format!("{shared}kraken-v2.jsonl")),
        ("coinbase", Proof::Crossing, format!("{shared}coinbase.jsonl")),
    ];
    let mut all = Vec::new();
    for (venue, proof, file) in files {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        if path.exists() {
            let mut lines = lines_of(&path);
            lines.retain(|line| line.venue == venue);
            let places = places(&lines, proof);
            all.push(Recording { venue, proof, lines, places });
        } else {
            println!("skipped: {} is not there", path.display());
        }
    }
    assert!(all.len() >= 3);
    all
}

/// A book message of a recording.
struct Place {
    line: usize,
    symbol: String,
    snapshot: bool,
    /// Where in the message the quantities of those levels stand that it sets and a checksum then
    /// covers.
    covered: Vec<Range<usize>>,
}

/// A level that a message sets; `bid`, price, and where its quantity's digits stand.
type Set = (bool, String, Range<usize>);

/// A book message: symbol, whether it is a snapshot, and what it sets.
fn message(data: &[u8]) -> Option<(String, bool, Vec<Set>)> {
    let place = |raw: &RawValue| {
        let digits = raw.get().trim_matches('"');
        let at = digits.as_ptr() as usize - data.as_ptr() as usize;
        at..at + digits.len()
    };
    let set = |bid: bool, price: &RawValue, quantity: &RawValue| -> Set {
        (bid, price.get().trim_matches('"').to_owned(), place(quantity))
    };
    let Frame { arg, action, channel, kind, data: entries, product_id, asks, bids, changes } =
        serde_json::from_slice(data).ok()?;
    let mut sets = Vec::new();
    if let Some(product) = product_id {
        for change in changes.into_iter().flatten() {
            sets.push(set(change[0].get() == "\"buy\"", change[1], change[2]));
        }
        for (bid, levels) in [(false, asks), (true, bids)] {
            let levels = levels.into_iter().flatten();
            sets.extend(levels.map(|level| set(bid, level[0], level[1])));
        }
        let snapshot = kind? == "snapshot";
        return (!sets.is_empty()).then_some((product, snapshot, sets));
    }
    let of_books =
        channel == Some("book") || arg.as_ref().is_some_and(|arg| arg.channel == "books");
    let entries: Vec<Entry<'_>> =
        of_books.then(|| serde_json::from_str(entries?.get()).ok()).flatten()?;
    let [entry] = &entries[..] else { return None };
    for (bid, levels) in [(false, &entry.asks), (true, &entry.bids)] {
        sets.extend(levels.iter().map(|level| match level {
            Level::List(level) => set(bid, level[0], level[1]),
            Level::Named { price, qty } => set(bid, price, qty),
        }));
    }
    let symbol = entry.symbol.clone().or(arg.map(|arg| arg.inst_id))?;
    Some((symbol, action.or(kind) == Some("snapshot"), sets))
}

/// Whatever a venue of these says about books.
#[derive(Deserialize)]
struct Frame<'a> {
    arg: Option<Argument>,
    action: Option<&'a str>,
    channel: Option<&'a str>,
    #[serde(rename = "type")]
    kind: Option<&'a str>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    product_id: Option<String>,
    #[serde(borrow)]
    asks: Option<Vec<Vec<&'a RawValue>>>,
    #[serde(borrow)]
    bids: Option<Vec<Vec<&'a RawValue>>>,
    #[serde(borrow)]
    changes: Option<Vec<Vec<&'a RawValue>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Argument {
    channel: String,
    inst_id: String,
}

#[derive(Deserialize)]
struct Entry<'a> {
    symbol: Option<String>,
    #[serde(borrow)]
    asks: Vec<Level<'a>>,
    #[serde(borrow)]
    bids: Vec<Level<'a>>,
}

enum Level<'a> {
    List(Vec<&'a RawValue>),
    Named { price: &'a RawValue, qty: &'a RawValue },
}

impl<'de: 'a, 'a> Deserialize<'de> for Level<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Named<'a> {
            #[serde(borrow)]
            price: &'a RawValue,
            #[serde(borrow)]
            qty: &'a RawValue,
        }
        let text = <&RawValue>::deserialize(deserializer)?.get();
        if text.starts_with('[') {
            return Ok(Self::List(serde_json::from_str(text).unwrap()));
        }
        let Named { price, qty } = serde_json::from_str(text).unwrap();
        Ok(Self::Named { price, qty })
    }
}

fn places(lines: &[CaptureLine], proof: Proof) -> Vec<Place> {
    let mut books: BTreeMap<(String, bool), BTreeSet<String>> = BTreeMap::new();
    let mut places = Vec::new();
    for (line, bytes) in lines.iter().map(|line| &line.data[..]).enumerate() {
        let Some((symbol, snapshot, sets)) = message(bytes) else { continue };
        for side in [true, false].into_iter().filter(|_| snapshot) {
            books.remove(&(symbol.clone(), side));
        }
        let is_set =
            |at: &Range<usize>| plain(std::str::from_utf8(&bytes[at.clone()]).unwrap()) != "0";
        for (bid, at, quantity) in &sets {
            let book = books.entry((symbol.clone(), *bid)).or_default();
            let key = price(at).0;
            let _ = if is_set(quantity) { book.insert(key) } else { book.remove(&key) };
        }
        let levels = if let Proof::Checksum(levels) = proof { levels } else { 0 };
        let is_covered = |(bid, at, quantity): &Set| {
            let (book, key) = (&books[&(symbol.clone(), *bid)], price(at).0);
            let better = if *bid { book.range(key..).count() } else { book.range(..=key).count() };
            is_set(quantity) && better <= levels
        };
        let covered = sets.iter().filter(|set| is_covered(set)).map(|set| set.2.clone()).collect();
        places.push(Place { line, symbol, snapshot, covered });
    }
    places
}

/// The canonical name of a symbol of these recordings.
fn name(symbol: &str) -> String {
    symbol.replace('/', "-").replace("-SWAP", "-PERP")
}

fn book(report: &VenueReport, symbol: &str) -> Value {
    serde_json::to_value(&report.instruments[name(symbol).as_str()]).unwrap()["book"].clone()
}

fn others_are_untouched(found: &VenueReport, whole: &VenueReport, symbol: &str) {
    let own = name(symbol);
    for (name, instrument) in whole.instruments.iter().filter(|(name, _)| **name != own) {
        assert_eq!(found.instruments.get(name), Some(instrument), "{name}");
    }
}

/// At most so many messages of a recording are broken.
const BROKEN: usize = 16;

/// So many of them, evenly.
fn some<T: Copy>(places: &[T]) -> impl Iterator<Item = T> {
    places.iter().step_by(places.len() / BROKEN + 1).copied()
}

/// What lines come to.
fn replayed(lines: &[&CaptureLine]) -> VenueReport {
    let mut replay = Replay::new(&lines[0].venue).unwrap();
    lines.iter().for_each(|line| replay.line(line));
    replay.finish();
    replay.report("lines").unwrap()
}

#[test]
fn a_covered_level_that_is_one_unit_off_is_seen_at_once() {
    for Recording { venue, lines, places, .. } in recordings() {
        let lines: Vec<&CaptureLine> = lines.iter().collect();
        let whole = replayed(&lines);
        let covered: Vec<_> =
            places.iter().filter(|place| !place.snapshot && !place.covered.is_empty()).collect();
        for (nth, place) in some(&covered).enumerate() {
            let at = place.covered[nth % place.covered.len()].clone();
            let mut altered = lines[place.line].clone();
            let last = altered.data[at].last_mut().unwrap();
            *last = if *last == b'9' { b'8' } else { *last + 1 };
            let mut lines = lines.clone();
            lines[place.line] = &altered;
            let found = replayed(&lines);
            let book = book(&found, &place.symbol);
            let seen = (&book["checksum_failed"], &book["gaps"], &book["synced"]);
            let line = place.line + 1;
            assert_eq!(seen, (&1.into(), &1.into(), &false.into()), "{venue}, line {line}");
            others_are_untouched(&found, &whole, &place.symbol);
        }
    }
}

/// What a recording's proof covers is as in the whole recording, or the book is not live.
fn is_right_or_not_live(found: &Value, whole: &Value, proof: Proof, at: &str) {
    if found["synced"] != true {
        assert_eq!(found["gaps"], 1, "{at}");
    } else if proof == Proof::Crossing {
        let best = |side: &str| found[side][0][0].as_str().map(|at| price(at).0);
        assert!(best("bids").zip(best("asks")).is_none_or(|(bid, ask)| bid < ask), "{at}");
    } else {
        assert_eq!((&found["bids"], &found["asks"]), (&whole["bids"], &whole["asks"]), "{at}");
        let numbered = proof == Proof::Sequence;
        assert!(!numbered || found["levels"] == whole["levels"], "{at}");
    }
}

#[test]
fn what_is_lost_doubled_or_swapped_leaves_what_is_proven_right_or_the_book_not_live() {
    let broken: [fn(&mut Vec<&CaptureLine>, usize, usize); 3] = [
        |lines, at, _| _ = lines.remove(at),
        |lines, at, _| lines.insert(at + 1, lines[at]),
        |lines, at, next| lines.swap(at, next),
    ];
    for Recording { venue, proof, lines, places } in recordings() {
        let lines: Vec<&CaptureLine> = lines.iter().collect();
        let whole = replayed(&lines);
        // Each diff with the next message of its book.
        let followed = places.iter().enumerate().filter(|(_, place)| !place.snapshot);
        let followed = followed.filter_map(|(index, place)| {
            let next = places[index + 1..].iter().find(|other| other.symbol == place.symbol)?;
            Some((place, next.line))
        });
        let followed: Vec<_> = followed.collect();
        assert!(followed.len() >= BROKEN, "{venue}: {}", followed.len());
        let mut seen = 0;
        for (place, next) in some(&followed) {
            for fault in broken {
                let mut lines = lines.clone();
                fault(&mut lines, place.line, next);
                let found = replayed(&lines);
                others_are_untouched(&found, &whole, &place.symbol);
                let own = book(&found, &place.symbol);
                let at = format!("{venue}, line {}", place.line + 1);
                is_right_or_not_live(&own, &book(&whole, &place.symbol), proof, &at);
                seen += usize::from(own["synced"] != true);
            }
        }
        assert!(proof == Proof::Crossing || seen >= BROKEN / 4, "{venue}: {seen}");
    }
}
