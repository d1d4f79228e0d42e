//! OKX for the suite: one public socket, snapshots in the stream.

use model::event::{Body, Funding, Ticker};
use model::{Book, Kind, Level, Nanos, Side};
use venues::assembler::Places;
use venues::okx::habits::checksum;

use crate::far::{Exchange, Facts, FarBook, one_off};
use crate::samples::{kline, number, quote, ticker, trade};

const SYMBOLS: [&str; 2] = ["BTC-USDT-SWAP", "ETH-USDT-SWAP"];

pub struct Okx {
    books: [FarBook; 2],
    clock: u64,
}

impl Default for Okx {
    fn default() -> Self {
        Self { books: [FarBook::new(), FarBook::new()], clock: 1_700_000_000_000 }
    }
}

/// The venue's checksum of a book, computed on a book of ours: its digits are tested elsewhere.
fn sum(far: &FarBook) -> i32 {
    let mut book = Book::default();
    for side in [Side::Buy, Side::Sell] {
        for (price, quantity) in far.side(side) {
            book.set(side, Level { price: number(&price), quantity: number(&quantity) }).unwrap();
        }
    }
    checksum(&book, Places::default()).cast_signed()
}

impl Okx {
    fn book_message(
        &mut self,
        of: usize,
        action: &str,
        sides: [String; 2],
        previous: i64,
    ) -> String {
        self.clock += 100;
        let (symbol, book) = (SYMBOLS[of], &self.books[of]);
        let ([bids, asks], sum, ts, seq) = (sides, sum(book), self.clock, book.seq);
        format!(
            r#"{{"arg":{{"channel":"books","instId":"{symbol}"}},"action":"{action}","data":[{{"asks":{asks},"bids":{bids},"ts":"{ts}","checksum":{sum},"seqId":{seq},"prevSeqId":{previous}}}]}}"#
        )
    }

    fn snapshot(&mut self, of: usize) -> String {
        let sides = [Side::Buy, Side::Sell].map(|side| self.books[of].json(side, r#","0","1""#));
        self.book_message(of, "snapshot", sides, -1)
    }
}

impl Exchange for Okx {
    fn facts(&self) -> Facts {
        Facts {
            venue: "okx",
            names: ["BTC-USDT-PERP", "ETH-USDT-PERP"],
            kinds: &[Kind::Trade, Kind::Quote, Kind::Ticker, Kind::Kline, Kind::Funding],
            without: Some(Kind::Balance),
            numbered: true,
            checksummed: true,
            announces_end: Some(
                r#"{"event":"notice","code":"64008","msg":"The connection will soon be closed for a service upgrade. Please reconnect.","connId":"a4d3ae55"}"#,
            ),
            streams_max: 240,
        }
    }

    fn book(&self, of: usize) -> &FarBook {
        &self.books[of]
    }

    fn answer(&mut self, url: &str, extra: usize) -> String {
        let data = if url.contains("/public/instruments?instType=SWAP") {
            let symbols = SYMBOLS.map(str::to_owned).into_iter();
            let all = symbols.chain((0..extra).map(|n| format!("C{n}-USDT-SWAP")));
            let entry = |symbol| {
                format!(
                    r#"{{"instType":"SWAP","instId":"{symbol}","ctVal":"0.01","ctMult":"1","tickSz":"0.01","lotSz":"0.001","state":"live"}}"#
                )
            };
            all.map(entry).collect::<Vec<_>>().join(",")
        } else {
            let of = SYMBOLS.iter().position(|s| url.contains(&format!("instId={s}&"))).unwrap();
            let book = &self.books[of];
            let [bids, asks] = [Side::Buy, Side::Sell].map(|side| book.json(side, r#","0","1""#));
            format!(r#"{{"asks":{asks},"bids":{bids},"ts":"{}","seqId":{}}}"#, self.clock, book.seq)
        };
        format!(r#"{{"code":"0","msg":"","data":[{data}]}}"#)
    }

    fn replies(&mut self, said: &str) -> Vec<String> {
        let mut replies = Vec::new();
        for (of, symbol) in SYMBOLS.iter().enumerate() {
            let arg = format!(r#"{{"channel":"books","instId":"{symbol}"}}"#);
            if said.starts_with(r#"{"op":"subscribe""#) && said.contains(&arg) {
                replies.push(format!(r#"{{"event":"subscribe","arg":{arg},"connId":"a4d3ae55"}}"#));
                replies.push(self.snapshot(of));
            }
            for channel in ["trades", "bbo-tbt", "tickers", "candle1m", "funding-rate"] {
                let arg = format!(r#"{{"channel":"{channel}","instId":"{symbol}"}}"#);
                if said.starts_with(r#"{"op":"subscribe""#) && said.contains(&arg) {
                    replies.push(format!(r#"{{"event":"subscribe","arg":{arg},"connId":"a"}}"#));
                }
            }
        }
        replies
    }

    fn diff(&mut self, of: usize, side: Side, level: (&str, &str), lie: bool) -> String {
        let previous = i64::try_from(self.books[of].seq).unwrap();
        self.books[of].set(side, level);
        self.books[of].seq += 7;
        let quantity = if lie { one_off(level.1) } else { level.1.to_owned() };
        let changed = format!(r#"[["{}","{quantity}","0","1"]]"#, level.0);
        let none = "[]".to_owned();
        let sides = if side == Side::Buy { [changed, none] } else { [none, changed] };
        self.book_message(of, "update", sides, previous)
    }

    fn event(&mut self, of: usize, kind: Kind) -> (String, Body) {
        self.clock += 1;
        let (symbol, ts) = (SYMBOLS[of], self.clock);
        let (channel, entry, body) = match kind {
            Kind::Trade => (
                "trades",
                format!(
                    r#"{{"instId":"{symbol}","tradeId":"{ts}","px":"100.10","sz":"0.500","side":"sell","ts":"{ts}","count":"1","source":"0","seqId":7}}"#
                ),
                trade(ts),
            ),
            Kind::Quote => (
                "bbo-tbt",
                format!(
                    r#"{{"asks":[["101","2","0","1"]],"bids":[["99.50","1.50","0","3"]],"ts":"{ts}","seqId":{ts}}}"#
                ),
                quote(),
            ),
            Kind::Ticker => (
                "tickers",
                format!(
                    r#"{{"instType":"SWAP","instId":"{symbol}","last":"1","lastSz":"2","askPx":"3","askSz":"4","bidPx":"5","bidSz":"6","open24h":"7","high24h":"8","low24h":"9","sodUtc0":"10","sodUtc8":"11","volCcy24h":"12","vol24h":"13.0","ts":"{ts}"}}"#
                ),
                ticker(Ticker {
                    bid: Some(number("5")),
                    ask: Some(number("3")),
                    ..Ticker::default()
                }),
            ),
            Kind::Kline => (
                "candle1m",
                r#"["1699999980000","1","4","0.5","2","10","11","12.50","0"]"#.to_owned(),
                kline(None),
            ),
            _ => (
                "funding-rate",
                format!(
                    r#"{{"fundingRate":"0.00010","fundingTime":"1700006400000","instId":"{symbol}","instType":"SWAP","nextFundingRate":"","nextFundingTime":"1700035200000","ts":"{ts}"}}"#
                ),
                Body::Funding(Funding {
                    rate: Some(number("0.00010")),
                    ts_next: Some(Nanos::from_millis(1_700_006_400_000)),
                    mark: None,
                    index: None,
                }),
            ),
        };
        let arg = format!(r#""arg":{{"channel":"{channel}","instId":"{symbol}"}}"#);
        (format!(r#"{{{arg},"data":[{entry}]}}"#), body)
    }

    fn strange(&mut self) -> Vec<String> {
        let trade = self.event(0, Kind::Trade).0;
        vec![
            r#"{"arg":{"channel":"brand-new","instId":"BTC-USDT-SWAP"},"data":[{}]}"#.to_owned(),
            trade.replace(SYMBOLS[0], "DOGE-USDT-SWAP"),
            r#"{"event":"error","code":"60018","msg":"channel:books,instId:NOPE doesn't exist","connId":"a4"}"#.to_owned(),
        ]
    }

    fn names_books(&self, said: &str) -> Vec<usize> {
        let named = |of: &usize| said.contains(&format!(r#""books","instId":"{}""#, SYMBOLS[*of]));
        (0..2).filter(named).filter(|_| said.contains(r#""op":"subscribe""#)).collect()
    }
}
