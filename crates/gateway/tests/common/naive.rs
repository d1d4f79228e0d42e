//! An independent reading of captures, straight from what the venue writes about its messages:
//! nothing of the gateway's decoders, numbers, books or procedures is used. Slow and plain.
//!
//! Spot: "If the event's first update ID is greater than the book's + 1, discard and start over."
//! Futures: "Each new event's pu should be equal to the previous event's u; the first processed
//! event has U <= lastUpdateId AND u >= lastUpdateId."

use std::collections::BTreeMap;

use model::capture::{CaptureLine, Direction, Wire};
use serde_json::{Value, json};

/// One side: prices as sortable text.
pub type Side = BTreeMap<String, (String, String)>;

#[derive(Default)]
struct Instrument {
    events: BTreeMap<&'static str, u64>,
    bids: Side,
    asks: Side,
    /// The last update id; none before the first snapshot that fits.
    position: Option<u64>,
    /// No diff followed the snapshot yet.
    fresh: bool,
    synced: bool,
    gaps: u64,
    resyncs: u64,
    waiting: Vec<Value>,
}

/// Whether the reading is written for a venue; what is expected of the others was computed by a
/// program that is not here.
pub fn knows(venue: &str) -> bool {
    venue != "okx"
}

/// What one venue's lines come to, in the form of a report (`resyncs` too).
pub fn read(lines: &[CaptureLine]) -> Value {
    let venue = lines[0].venue.clone();
    if matches!(venue.as_str(), "coinbase" | "kraken") {
        return super::naive_channels::read(lines);
    }
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut instruments: BTreeMap<String, Instrument> = BTreeMap::new();
    let (mut frames, mut malformed) = (0, 0);
    for line in lines {
        match (line.wire, line.direction) {
            (Wire::Http, Direction::In) => {
                let body: Value = serde_json::from_slice(&line.data).unwrap();
                if line.url.contains("/exchangeInfo") {
                    names.extend(listed(&body));
                } else if line.url.contains("/depth?") {
                    let symbol = parameter(&line.url, "symbol");
                    let name = name_of(&names, &symbol, &venue);
                    instruments.entry(name).or_default().snapshot(&body, &venue);
                }
            }
            (Wire::Ws, Direction::In) => {
                frames += 1;
                let Ok(frame) = serde_json::from_slice::<Value>(&line.data) else {
                    malformed += 1;
                    continue;
                };
                let data = if frame["data"].is_object() { &frame["data"] } else { &frame };
                let Some(symbol) = data["s"].as_str() else { continue };
                let name = name_of(&names, symbol, &venue);
                instruments.entry(name).or_default().message(data, &venue);
            }
            _ => {}
        }
    }
    let instruments: serde_json::Map<_, _> =
        instruments.into_iter().map(|(name, instrument)| (name, instrument.report())).collect();
    json!({"venue": venue, "ws_frames": frames, "malformed": malformed, "instruments": instruments})
}

fn listed(body: &Value) -> Vec<(String, String)> {
    let entry = |entry: &Value| {
        let text = |key: &str| entry[key].as_str().unwrap_or("").to_owned();
        let (symbol, pair) =
            (text("symbol"), format!("{}-{}", text("baseAsset"), text("quoteAsset")));
        let name = match (text("contractType").as_str(), symbol.rsplit_once('_')) {
            ("", _) => pair,
            (kind, _) if kind.contains("PERPETUAL") => format!("{pair}-PERP"),
            (_, Some((_, day))) => format!("{pair}-{day}"),
            _ => pair,
        };
        (symbol, name)
    };
    body["symbols"].as_array().unwrap().iter().map(entry).collect()
}

/// The list's name; without a list, the rule for the few quote assets of public captures.
fn name_of(names: &BTreeMap<String, String>, symbol: &str, venue: &str) -> String {
    if let Some(name) = names.get(symbol) {
        return name.clone();
    }
    let (pair, suffix) = symbol.split_once('_').unwrap_or((symbol, ""));
    let quotes = ["USDT", "BUSD", "USDC", "TUSD", "BTC", "ETH", "BNB", "EUR", "USD"];
    let quote = quotes.into_iter().find(|quote| pair.ends_with(quote)).unwrap();
    let base = pair.strip_suffix(quote).unwrap();
    let suffix = match suffix {
        "" if venue == "binance" => String::new(),
        "" => "-PERP".to_owned(),
        suffix => format!("-{suffix}"),
    };
    format!("{base}-{quote}{suffix}")
}

fn parameter(url: &str, name: &str) -> String {
    let query = url.split_once('?').unwrap().1;
    let found = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
    found.unwrap().to_owned()
}

/// Sortable, shown without needless zeros.
pub fn price(text: &str) -> (String, String) {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    (format!("{whole:0>20}.{fraction:0<20}"), plain(text))
}

pub fn plain(text: &str) -> String {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let whole = if whole.is_empty() { "0" } else { whole };
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

fn set(side: &mut Side, levels: &Value) {
    for level in levels.as_array().unwrap() {
        let (key, shown) = price(level[0].as_str().unwrap());
        let quantity = plain(level[1].as_str().unwrap());
        if quantity == "0" {
            side.remove(&key);
        } else {
            side.insert(key, (shown, quantity));
        }
    }
}

impl Instrument {
    fn message(&mut self, data: &Value, venue: &str) {
        let kind = match data["e"].as_str() {
            Some("depthUpdate") => "book_update",
            Some("aggTrade") => "trade",
            Some("bookTicker") => "quote",
            Some("24hrTicker") => "ticker",
            Some("kline") => "kline",
            Some("markPriceUpdate") => "funding",
            // Spot's bookTicker names no type: u, s, b, B, a, A.
            None if data["B"].is_string() && data["A"].is_string() => "quote",
            _ => return,
        };
        *self.events.entry(kind).or_default() += 1;
        if kind != "book_update" {
            return;
        }
        if !self.synced {
            self.waiting.push(data.clone());
        } else if !self.apply(data, venue) {
            self.gaps += 1;
            self.synced = false;
            self.waiting = vec![data.clone()];
        }
    }

    /// False where the diff leaves a gap.
    fn apply(&mut self, diff: &Value, venue: &str) -> bool {
        let id = |key: &str| diff[key].as_u64().unwrap();
        let position = self.position.unwrap();
        if id("u") <= position {
            return true;
        }
        let follows = match venue {
            "binance" => id("U") <= position + 1,
            _ if self.fresh => id("U") <= position || id("pu") <= position,
            _ => id("pu") == position,
        };
        if follows {
            self.position = Some(id("u"));
            self.fresh = false;
            set(&mut self.bids, &diff["b"]);
            set(&mut self.asks, &diff["a"]);
        }
        follows
    }

    fn snapshot(&mut self, body: &Value, venue: &str) {
        *self.events.entry("book_snapshot").or_default() += 1;
        if self.synced {
            return;
        }
        let before = (self.bids.clone(), self.asks.clone(), self.position, self.fresh);
        self.bids.clear();
        self.asks.clear();
        set(&mut self.bids, &body["bids"]);
        set(&mut self.asks, &body["asks"]);
        let first = self.position.is_none();
        (self.position, self.fresh) = (body["lastUpdateId"].as_u64(), true);
        let waiting = std::mem::take(&mut self.waiting);
        self.synced = waiting.iter().all(|diff| self.apply(diff, venue));
        if self.synced {
            self.resyncs += u64::from(!first);
        } else {
            (self.bids, self.asks, self.position, self.fresh) = before;
            self.waiting = waiting;
        }
    }

    fn report(&self) -> Value {
        let shown = |(price, quantity): &(String, String)| json!([price, quantity]);
        let bids: Vec<_> = self.bids.values().rev().take(10).map(shown).collect();
        let asks: Vec<_> = self.asks.values().take(10).map(shown).collect();
        let book = self.position.map(|_| {
            json!({
                "bids": bids, "asks": asks, "levels": [self.bids.len(), self.asks.len()],
                "synced": self.synced, "checksum_ok": 0, "checksum_failed": 0,
                "gaps": self.gaps, "resyncs": self.resyncs,
            })
        });
        json!({"events": self.events, "book": book})
    }
}
