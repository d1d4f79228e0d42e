//! Kraken for the suite: instruments and snapshots on the socket, a checksum with every message.

use model::event::{Body, Kline, Ticker};
use model::{Book, Kind, Level, Nanos, Side};
use venues::assembler::Places;
use venues::kraken::checksum;

use crate::far::{Exchange, Facts, FarBook, one_off};
use crate::samples::{number, trade};

const SYMBOLS: [&str; 2] = ["BTC/USD", "ETH/USD"];
const TIME: &str = "2026-08-26T11:34:06.075373Z";

/// Further instruments of its list, which no request asks for.
const EXTRA: usize = 600;

pub struct Kraken {
    books: [FarBook; 2],
    clock: u64,
}

impl Default for Kraken {
    fn default() -> Self {
        Self { books: [FarBook::new(), FarBook::new()], clock: 1_000 }
    }
}

impl Kraken {
    fn message(&self, of: usize, kind: &str, [bids, asks]: [String; 2]) -> String {
        let (symbol, sum) = (SYMBOLS[of], sum(&self.books[of]));
        format!(
            r#"{{"channel":"book","type":"{kind}","data":[{{"symbol":"{symbol}","bids":[{bids}],"asks":[{asks}],"checksum":{sum},"timestamp":"{TIME}"}}]}}"#
        )
    }

    fn snapshot(&self, of: usize) -> String {
        let side = |side| {
            let levels = self.books[of].side(side);
            levels.iter().map(|(p, q)| level(p, q)).collect::<Vec<_>>().join(",")
        };
        self.message(of, "snapshot", [side(Side::Buy), side(Side::Sell)])
    }

    fn list() -> String {
        let symbols = SYMBOLS.map(str::to_owned).into_iter();
        let all = symbols.chain((0..EXTRA).map(|n| format!("C{n}/USD")));
        let pair = |symbol: String| {
            let base = symbol.trim_end_matches("/USD");
            format!(
                r#"{{"symbol":"{symbol}","base":"{base}","quote":"USD","status":"online","price_precision":2,"price_increment":0.01,"qty_precision":3,"qty_increment":1e-03}}"#
            )
        };
        let pairs = all.map(pair).collect::<Vec<_>>().join(",");
        format!(
            r#"{{"channel":"instrument","type":"snapshot","data":{{"assets":[],"pairs":[{pairs}]}}}}"#
        )
    }
}

fn level(price: &str, quantity: &str) -> String {
    format!(r#"{{"price":{price},"qty":{quantity}}}"#)
}

/// The venue's checksum of a book, computed on a book of ours: its digits are tested elsewhere.
fn sum(far: &FarBook) -> u32 {
    let mut book = Book::default();
    for side in [Side::Buy, Side::Sell] {
        for (price, quantity) in far.side(side) {
            book.set(side, Level { price: number(&price), quantity: number(&quantity) }).unwrap();
        }
    }
    checksum::compute(&book, Places { price: Some(2), quantity: Some(3) })
}

impl Exchange for Kraken {
    fn facts(&self) -> Facts {
        Facts {
            venue: "kraken",
            names: ["BTC-USD", "ETH-USD"],
            kinds: &[Kind::Trade, Kind::Ticker, Kind::Kline],
            without: Some(Kind::Funding),
            numbered: false,
            checksummed: true,
            announces_end: None,
            streams_max: 400,
        }
    }

    fn book(&self, of: usize) -> &FarBook {
        &self.books[of]
    }

    fn answer(&mut self, url: &str, _: usize) -> String {
        let of = SYMBOLS.iter().position(|s| url.contains(&format!("Depth?pair={s}&"))).unwrap();
        let [bids, asks] = [Side::Buy, Side::Sell].map(|side| self.books[of].json(side, ",1"));
        format!(r#"{{"error":[],"result":{{"XPAIR":{{"asks":{asks},"bids":{bids}}}}}}}"#)
    }

    fn replies(&mut self, said: &str) -> Vec<String> {
        if said.contains(r#""channel":"instrument""#) {
            return vec![Self::list()];
        }
        let confirmed = |channel: &str, symbol: &str| {
            format!(
                r#"{{"method":"subscribe","result":{{"channel":"{channel}","symbol":"{symbol}"}},"success":true}}"#
            )
        };
        let subscribes = said.contains(r#""method":"subscribe""#);
        let named = |word: &str| subscribes && said.contains(&format!("\"{word}\""));
        let mut replies = Vec::new();
        for channel in ["trade", "ticker", "ohlc"].into_iter().filter(|channel| named(channel)) {
            let symbols = SYMBOLS.iter().filter(|symbol| named(symbol));
            replies.extend(symbols.map(|symbol| confirmed(channel, symbol)));
        }
        replies.extend(self.names_books(said).into_iter().map(|of| self.snapshot(of)));
        replies
    }

    fn diff(&mut self, of: usize, side: Side, changed: (&str, &str), lie: bool) -> String {
        self.books[of].set(side, changed);
        let quantity = if lie { one_off(changed.1) } else { changed.1.to_owned() };
        let (level, none) = (level(changed.0, &quantity), String::new());
        let sides = if side == Side::Buy { [level, none] } else { [none, level] };
        self.message(of, "update", sides)
    }

    fn event(&mut self, of: usize, kind: Kind) -> (String, Body) {
        self.clock += 1;
        let (symbol, id) = (SYMBOLS[of], self.clock);
        let (head, entry, body) = match kind {
            Kind::Trade => (
                r#""channel":"trade","type":"update""#,
                format!(
                    r#""side":"sell","price":100.10,"qty":0.500,"ord_type":"limit","trade_id":{id},"timestamp":"{TIME}""#
                ),
                trade(id),
            ),
            Kind::Ticker => (
                r#""channel":"ticker","type":"update""#,
                format!(
                    r#""bid":5,"bid_qty":6,"ask":3,"ask_qty":4,"last":1,"volume":13.0,"vwap":1,"low":9,"high":8,"change":-6,"change_pct":-85.7,"trades":2,"timestamp":"{TIME}""#
                ),
                Body::Ticker(Ticker {
                    last: number("1"),
                    volume: Some(number("13.0")),
                    low: Some(number("9")),
                    high: Some(number("8")),
                    bid: Some(number("5")),
                    ask: Some(number("3")),
                    ..Ticker::default()
                }),
            ),
            _ => (
                r#""channel":"ohlc","type":"update","timestamp":"2023-11-14T22:13:05.1Z""#,
                r#""open":1,"high":4,"low":0.5,"close":2,"trades":7,"volume":10,"vwap":1.5,"interval_begin":"2023-11-14T22:13:00.000000000Z","interval":1"#.to_owned(),
                Body::Kline(Kline {
                    interval: std::time::Duration::from_secs(60),
                    ts_open: Nanos::from_millis(1_699_999_980_000),
                    ts_close: Nanos::from_millis(1_700_000_040_000),
                    open: number("1"),
                    high: number("4"),
                    low: number("0.5"),
                    close: number("2"),
                    volume: number("10"),
                    trades: Some(7),
                    ..Kline::default()
                }),
            ),
        };
        (format!(r#"{{{head},"data":[{{"symbol":"{symbol}",{entry}}}]}}"#), body)
    }

    fn strange(&mut self) -> Vec<String> {
        let trade = self.event(0, Kind::Trade).0;
        vec![
            r#"{"channel":"brand-new","type":"update","data":[{}]}"#.to_owned(),
            trade.replace(SYMBOLS[0], "DOGE/USD"),
            r#"{"error":"Currency pair not supported NOPE/USD","method":"subscribe","success":false,"symbol":"NOPE/USD"}"#.to_owned(),
        ]
    }

    fn names_books(&self, said: &str) -> Vec<usize> {
        let subscribes = said.contains(r#""method":"subscribe""#) && said.contains(r#""book""#);
        let named = |of: &usize| said.contains(&format!("\"{}\"", SYMBOLS[*of]));
        (0..2).filter(|_| subscribes).filter(named).collect()
    }
}
