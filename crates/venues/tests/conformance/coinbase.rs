//! Coinbase Exchange for the suite: the list by REST, snapshots in the stream, no numbers.

use model::event::{Body, Ticker};
use model::{Kind, Side};

use crate::far::{Exchange, Facts, FarBook};
use crate::samples::{number, trade};

const PRODUCTS: [&str; 2] = ["BTC-USD", "ETH-USD"];
const TIME: &str = "2021-04-17T16:43:37.075687Z";

pub struct Coinbase {
    books: [FarBook; 2],
    clock: u64,
}

impl Default for Coinbase {
    fn default() -> Self {
        Self { books: [FarBook::new(), FarBook::new()], clock: 1_000 }
    }
}

impl Coinbase {
    fn snapshot(&self, of: usize) -> String {
        let [bids, asks] = [Side::Buy, Side::Sell].map(|side| self.books[of].json(side, ""));
        let product = PRODUCTS[of];
        format!(
            r#"{{"type":"snapshot","product_id":"{product}","asks":{asks},"bids":{bids},"time":"{TIME}"}}"#
        )
    }
}

impl Exchange for Coinbase {
    fn facts(&self) -> Facts {
        Facts {
            venue: "coinbase",
            names: PRODUCTS,
            kinds: &[Kind::Trade, Kind::Ticker],
            without: Some(Kind::Kline),
            numbered: false,
            checksummed: false,
            announces_end: None,
            streams_max: 120,
        }
    }

    fn book(&self, of: usize) -> &FarBook {
        &self.books[of]
    }

    fn answer(&mut self, url: &str, extra: usize) -> String {
        if let Some(of) = PRODUCTS.iter().position(|p| url.contains(&format!("/{p}/book"))) {
            let book = &self.books[of];
            let [bids, asks] = [Side::Buy, Side::Sell].map(|side| book.json(side, r#","1""#));
            return format!(r#"{{"bids":{bids},"asks":{asks},"sequence":7,"time":"{TIME}"}}"#);
        }
        let products = PRODUCTS.map(str::to_owned).into_iter();
        let all = products.chain((0..extra).map(|n| format!("C{n}-USD")));
        let entry = |product: String| {
            let base = product.trim_end_matches("-USD");
            format!(
                r#"{{"id":"{product}","base_currency":"{base}","quote_currency":"USD","quote_increment":"0.01","base_increment":"0.001","status":"online"}}"#
            )
        };
        format!("[{}]", all.map(entry).collect::<Vec<_>>().join(","))
    }

    fn replies(&mut self, said: &str) -> Vec<String> {
        let mut replies: Vec<_> =
            self.names_books(said).into_iter().map(|of| self.snapshot(of)).collect();
        let now = said.replace(r#""type":"subscribe""#, r#""type":"subscriptions""#);
        replies.extend((now != said).then_some(now));
        replies
    }

    fn diff(&mut self, of: usize, side: Side, (price, size): (&str, &str), _: bool) -> String {
        self.books[of].set(side, (price, size));
        let (product, side) = (PRODUCTS[of], side.name());
        format!(
            r#"{{"type":"l2update","product_id":"{product}","changes":[["{side}","{price}","{size}"]],"time":"{TIME}"}}"#
        )
    }

    fn event(&mut self, of: usize, kind: Kind) -> (String, Body) {
        self.clock += 1;
        let (product, id) = (PRODUCTS[of], self.clock);
        match kind {
            // The maker bought, so the taker sold.
            Kind::Trade => (
                format!(
                    r#"{{"type":"match","trade_id":{id},"maker_order_id":"a","taker_order_id":"b","side":"buy","size":"0.500","price":"100.10","product_id":"{product}","sequence":{id},"time":"{TIME}"}}"#
                ),
                trade(id),
            ),
            _ => (
                format!(
                    r#"{{"type":"ticker","sequence":{id},"product_id":"{product}","price":"1","open_24h":"7","volume_24h":"13.0","low_24h":"9","high_24h":"8","volume_30d":"10","best_bid":"5","best_bid_size":"6","best_ask":"3","best_ask_size":"4","side":"buy","time":"{TIME}","trade_id":1,"last_size":"2"}}"#
                ),
                Body::Ticker(Ticker {
                    last: number("1"),
                    last_quantity: Some(number("2")),
                    open: Some(number("7")),
                    high: Some(number("8")),
                    low: Some(number("9")),
                    volume: Some(number("13.0")),
                    quote_volume: None,
                    bid: Some(number("5")),
                    ask: Some(number("3")),
                }),
            ),
        }
    }

    fn strange(&mut self) -> Vec<String> {
        let trade = self.event(0, Kind::Trade).0;
        vec![
            r#"{"type":"brand-new","product_id":"BTC-USD"}"#.to_owned(),
            trade.replace(PRODUCTS[0], "DOGE-USD"),
            r#"{"type":"error","message":"Failed to subscribe","reason":"NOPE-USD is not a valid product"}"#.to_owned(),
        ]
    }

    fn names_books(&self, said: &str) -> Vec<usize> {
        let subscribes = said.contains(r#""type":"subscribe""#) && said.contains("level2_batch");
        let named = |of: &usize| said.contains(&format!("\"{}\"", PRODUCTS[*of]));
        (0..2).filter(|_| subscribes).filter(named).collect()
    }
}
