//! The same independent reading for venues whose books are channels: a snapshot in the stream, then
//! diffs without numbers.
//!
//! Checksum: "top 10 asks, low to high, then top 10 bids, high to low, each as price then quantity,
//! without the point and without leading zeros"; the book is cut to the subscribed depth before.

use std::collections::BTreeMap;

use model::capture::{CaptureLine, Direction, Wire};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::naive::{Side, plain, price};

/// Levels a side that a replay takes a recording to have subscribed to.
const DEPTH: usize = 1_000;

#[derive(Default)]
struct Book {
    events: BTreeMap<&'static str, u64>,
    bids: Side,
    asks: Side,
    received: bool,
    synced: bool,
    checksums: [u64; 2],
    gaps: u64,
    resyncs: u64,
}

/// What one venue's lines come to, in the form of a report (`resyncs` too).
pub fn read(lines: &[CaptureLine]) -> Value {
    let venue = lines[0].venue.clone();
    let checksummed = lines.iter().any(|line| line.data.starts_with(b"{\"channel\""));
    let mut places: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    let mut books: BTreeMap<String, Book> = BTreeMap::new();
    let (mut frames, mut malformed) = (0, 0);
    for line in lines.iter().filter(|l| (l.wire, l.direction) == (Wire::Ws, Direction::In)) {
        frames += 1;
        let Ok(frame) = serde_json::from_slice::<Value>(&line.data) else {
            malformed += 1;
            continue;
        };
        if checksummed {
            numbers(&frame, &line.data, &mut places, &mut books);
        } else {
            texts(&frame, &mut books);
        }
    }
    let instruments: serde_json::Map<_, _> =
        books.into_iter().map(|(name, book)| (name.replace('/', "-"), book.report())).collect();
    json!({"venue": venue, "ws_frames": frames, "malformed": malformed, "instruments": instruments})
}

/// Prices between quotation marks, no checksum.
fn texts(frame: &Value, books: &mut BTreeMap<String, Book>) {
    let Some(product) = frame["product_id"].as_str() else { return };
    let kind = match frame["type"].as_str().unwrap() {
        "snapshot" => "book_snapshot",
        "l2update" => "book_update",
        "match" => "trade",
        "ticker" => "ticker",
        _ => return,
    };
    let book = books.entry(product.to_owned()).or_default();
    *book.events.entry(kind).or_default() += 1;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    if kind == "book_snapshot" {
        book.begin();
        for (key, bid) in [("bids", true), ("asks", false)] {
            for level in frame[key].as_array().unwrap() {
                book.set(bid, &text(&level[0]), &text(&level[1]));
            }
        }
    } else if kind == "book_update" && book.synced {
        for change in frame["changes"].as_array().unwrap() {
            book.set(change[0] == "buy", &text(&change[1]), &text(&change[2]));
        }
    }
    let crossed = book.bids.keys().next_back() >= book.asks.keys().next() && !book.bids.is_empty();
    if book.synced && crossed && !book.asks.is_empty() {
        book.fault();
    }
}

#[derive(Deserialize)]
struct Numbers<'a> {
    #[serde(borrow)]
    data: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    symbol: String,
    #[serde(borrow, default)]
    bids: Vec<Level<'a>>,
    #[serde(borrow, default)]
    asks: Vec<Level<'a>>,
    #[serde(default)]
    checksum: u32,
}

#[derive(Deserialize)]
struct Level<'a> {
    #[serde(borrow)]
    price: &'a RawValue,
    #[serde(borrow)]
    qty: &'a RawValue,
}

/// Prices as bare numbers, whose text counts, and a checksum.
fn numbers(
    frame: &Value,
    text: &[u8],
    places: &mut BTreeMap<String, [usize; 2]>,
    books: &mut BTreeMap<String, Book>,
) {
    for pair in frame["data"]["pairs"].as_array().into_iter().flatten() {
        let of = |key: &str| usize::try_from(pair[key].as_u64().unwrap()).unwrap();
        let symbol = pair["symbol"].as_str().unwrap().to_owned();
        places.insert(symbol, [of("price_precision"), of("qty_precision")]);
    }
    let (channel, kind) = (frame["channel"].as_str(), frame["type"].as_str());
    let kind = match (channel, kind) {
        (Some("book"), Some("snapshot")) => "book_snapshot",
        (Some("book"), _) => "book_update",
        (Some("trade"), Some("update")) => "trade",
        (Some("ticker"), _) => "ticker",
        (Some("ohlc"), Some("update")) => "kline",
        _ => return,
    };
    let Numbers { data } = serde_json::from_slice(text).unwrap();
    for entry in data {
        let book = books.entry(entry.symbol.clone()).or_default();
        *book.events.entry(kind).or_default() += 1;
        if kind == "book_snapshot" {
            book.begin();
        } else if kind != "book_update" || !book.synced {
            continue;
        }
        for (levels, bid) in [(&entry.bids, true), (&entry.asks, false)] {
            for level in levels {
                book.set(bid, level.price.get(), level.qty.get());
            }
        }
        book.cut();
        let agrees = book.checksum(places.get(&entry.symbol)) == entry.checksum;
        book.checksums[usize::from(!agrees)] += 1;
        if !agrees {
            book.fault();
        }
    }
}

impl Book {
    fn begin(&mut self) {
        self.resyncs += u64::from(self.received && !self.synced);
        self.bids.clear();
        self.asks.clear();
        (self.received, self.synced) = (true, true);
    }

    fn fault(&mut self) {
        self.gaps += u64::from(self.synced);
        self.synced = false;
    }

    fn set(&mut self, bid: bool, at: &str, quantity: &str) {
        let side = if bid { &mut self.bids } else { &mut self.asks };
        let (key, _) = price(at);
        if plain(quantity) == "0" {
            side.remove(&key);
        } else {
            side.insert(key, (at.to_owned(), quantity.to_owned()));
        }
    }

    fn cut(&mut self) {
        while self.bids.len() > DEPTH {
            self.bids.pop_first();
        }
        while self.asks.len() > DEPTH {
            self.asks.pop_last();
        }
    }

    fn checksum(&self, places: Option<&[usize; 2]>) -> u32 {
        let mut text = String::new();
        for level in self.asks.values().take(10).chain(self.bids.values().rev().take(10)) {
            for (number, which) in [(&level.0, 0), (&level.1, 1)] {
                let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
                let width = places.map_or(0, |places| places[which]);
                let digits = format!("{whole}{fraction:0<width$}");
                text += digits.trim_start_matches('0');
            }
        }
        let mut crc = u32::MAX;
        for byte in text.bytes() {
            crc ^= u32::from(byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
            }
        }
        !crc
    }

    fn report(&self) -> Value {
        let shown = |(price, quantity): &(String, String)| json!([plain(price), plain(quantity)]);
        let bids: Vec<_> = self.bids.values().rev().take(10).map(shown).collect();
        let asks: Vec<_> = self.asks.values().take(10).map(shown).collect();
        let book = self.received.then(|| {
            json!({
                "bids": bids, "asks": asks, "levels": [self.bids.len(), self.asks.len()],
                "synced": self.synced, "checksum_ok": self.checksums[0],
                "checksum_failed": self.checksums[1], "gaps": self.gaps, "resyncs": self.resyncs,
            })
        });
        json!({"events": self.events, "book": book})
    }
}
