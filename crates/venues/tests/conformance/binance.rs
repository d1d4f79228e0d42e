//! Binance's three lines for the suite: streams in the address, snapshots by request.

use model::event::{Body, Funding, Ticker};
use model::{Kind, Nanos, Side};

use crate::far::{Exchange, Facts, FarBook};
use crate::samples::{kline, number, quote, ticker, trade};

pub struct Binance {
    line: &'static str,
    symbols: [&'static str; 2],
    names: [&'static str; 2],
    books: [FarBook; 2],
    clock: u64,
}

impl Binance {
    pub fn new(line: &'static str) -> Self {
        let (symbols, names) = match line {
            "binance" => (["BTCUSDT", "ETHUSDT"], ["BTC-USDT", "ETH-USDT"]),
            "binance-usdm" => (["BTCUSDT", "ETHUSDT"], ["BTC-USDT-PERP", "ETH-USDT-PERP"]),
            _ => (["BTCUSD_PERP", "ETHUSD_PERP"], ["BTC-USD-PERP", "ETH-USD-PERP"]),
        };
        let books = [FarBook::new(), FarBook::new()];
        Self { line, symbols, names, books, clock: 1_700_000_000_000 }
    }

    fn spot(&self) -> bool {
        self.line == "binance"
    }

    fn listed(&self, symbol: &str) -> String {
        let quote = if self.line == "binance-coinm" { "USD" } else { "USDT" };
        let base = symbol.split(quote).next().unwrap();
        let contract = if self.spot() { "" } else { r#""contractType":"PERPETUAL","# };
        format!(
            r#"{{"symbol":"{symbol}","status":"TRADING",{contract}"baseAsset":"{base}","quoteAsset":"{quote}","filters":[{{"filterType":"PRICE_FILTER","tickSize":"0.01"}},{{"filterType":"LOT_SIZE","stepSize":"0.001"}}]}}"#
        )
    }

    /// A message of a combined stream.
    fn wrap(&self, of: usize, stream: &str, data: &str) -> String {
        let symbol = self.symbols[of].to_lowercase();
        format!(r#"{{"stream":"{symbol}@{stream}","data":{{{data}}}}}"#)
    }
}

impl Exchange for Binance {
    fn facts(&self) -> Facts {
        let kinds: &[Kind] = &[Kind::Trade, Kind::Quote, Kind::Ticker, Kind::Kline, Kind::Funding];
        Facts {
            venue: self.line,
            names: self.names,
            kinds: if self.spot() { &kinds[..4] } else { kinds },
            without: self.spot().then_some(Kind::Funding),
            numbered: true,
            checksummed: false,
            announces_end: Some(
                r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}"#,
            ),
            streams_max: if self.line == "binance-coinm" { 200 } else { 1_024 },
        }
    }

    fn book(&self, of: usize) -> &FarBook {
        &self.books[of]
    }

    fn answer(&mut self, url: &str, extra: usize) -> String {
        if url.contains("/exchangeInfo") {
            let more = (0..extra).map(|n| self.symbols[0].replace("BTC", &format!("C{n}")));
            let all = self.symbols.map(str::to_owned).into_iter().chain(more);
            let entries: Vec<_> = all.map(|symbol| self.listed(&symbol)).collect();
            return format!(r#"{{"symbols":[{}]}}"#, entries.join(","));
        }
        let named = |s: &&str| url.contains(&format!("symbol={s}&"));
        let Some(of) = self.symbols.iter().position(named) else {
            return r#"{"lastUpdateId":1,"bids":[],"asks":[]}"#.to_owned();
        };
        let book = &self.books[of];
        let [bids, asks] = [Side::Buy, Side::Sell].map(|side| book.json(side, ""));
        format!(r#"{{"lastUpdateId":{},"bids":{bids},"asks":{asks}}}"#, book.seq)
    }

    fn replies(&mut self, said: &str) -> Vec<String> {
        match said.rsplit_once(r#","id":"#) {
            Some((_, id)) => vec![format!(r#"{{"result":null,"id":{id}"#)],
            None => Vec::new(),
        }
    }

    fn diff(&mut self, of: usize, side: Side, level: (&str, &str), _lie: bool) -> String {
        let previous = self.books[of].seq;
        self.books[of].set(side, level);
        self.books[of].seq += 3;
        self.clock += 100;
        let (symbol, last, ts) = (self.symbols[of], self.books[of].seq, self.clock);
        let first = if self.spot() { previous + 1 } else { previous + 2 };
        let (trade_time, before) = match self.spot() {
            true => (String::new(), String::new()),
            false => (format!(r#""T":{ts},"#), format!(r#","pu":{previous}"#)),
        };
        let changed = format!(r#"[["{}","{}"]]"#, level.0, level.1);
        let (bids, asks) =
            if side == Side::Buy { (changed.as_str(), "[]") } else { ("[]", changed.as_str()) };
        let data = format!(
            r#""e":"depthUpdate","E":{ts},{trade_time}"s":"{symbol}","U":{first},"u":{last}{before},"b":{bids},"a":{asks}"#
        );
        self.wrap(of, "depth@100ms", &data)
    }

    fn event(&mut self, of: usize, kind: Kind) -> (String, Body) {
        self.clock += 1;
        let (symbol, ts) = (self.symbols[of], self.clock);
        let (stream, data, body) = match kind {
            Kind::Trade => (
                "aggTrade",
                format!(
                    r#""e":"aggTrade","E":{ts},"s":"{symbol}","a":{ts},"p":"100.10","q":"0.500","f":1,"l":1,"T":{ts},"m":true,"M":true"#
                ),
                trade(ts),
            ),
            Kind::Quote => (
                "bookTicker",
                format!(r#""u":{ts},"s":"{symbol}","b":"99.50","B":"1.50","a":"101","A":"2""#),
                quote(),
            ),
            Kind::Ticker => (
                "ticker",
                format!(
                    r#""e":"24hrTicker","E":{ts},"s":"{symbol}","p":"0","P":"0","w":"1","c":"1","Q":"2","o":"7","h":"8","l":"9","v":"13.0","q":"12","O":0,"C":1,"F":0,"L":1,"n":2"#
                ),
                ticker(Ticker { quote_volume: Some(number("12")), ..Ticker::default() }),
            ),
            Kind::Kline => (
                "kline_1m",
                format!(
                    r#""e":"kline","E":{ts},"s":"{symbol}","k":{{"t":1699999980000,"T":1700000039999,"s":"{symbol}","i":"1m","f":1,"L":2,"o":"1","c":"2","h":"4","l":"0.5","v":"10","n":5,"x":false,"q":"12.50","V":"1","Q":"1","B":"0"}}"#
                ),
                kline(Some(5)),
            ),
            _ => (
                "markPrice@1s",
                format!(
                    r#""e":"markPriceUpdate","E":{ts},"s":"{symbol}","p":"100.5","i":"100.25","P":"1","r":"0.00010","T":1700006400000"#
                ),
                Body::Funding(Funding {
                    rate: Some(number("0.00010")),
                    ts_next: Some(Nanos::from_millis(1_700_006_400_000)),
                    mark: Some(number("100.5")),
                    index: Some(number("100.25")),
                }),
            ),
        };
        (self.wrap(of, stream, &data), body)
    }

    fn strange(&mut self) -> Vec<String> {
        let trade = self.event(0, Kind::Trade).0;
        vec![
            r#"{"stream":"btcusdt@new","data":{"e":"brandNew","E":1,"s":"BTCUSDT"}}"#.to_owned(),
            trade.replace(self.symbols[0], "DOGEUSDT"),
            r#"{"error":{"code":2,"msg":"Invalid request"},"id":3}"#.to_owned(),
        ]
    }

    fn names_books(&self, said: &str) -> Vec<usize> {
        let named =
            |of: &usize| said.contains(&format!("{}@depth", self.symbols[*of].to_lowercase()));
        (0..2).filter(named).filter(|_| !said.contains("UNSUBSCRIBE")).collect()
    }
}
