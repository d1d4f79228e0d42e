//! The far end of an account at Binance, written after rest-api.md, web-socket-api.md,
//! user-data-stream.md and the USDⓈ-M futures pages of developers.binance.com.

use model::trading::DeadMan;
use venues::binance::Orders;
use venues::binance::orders::habits::TradeLine;
use venues::{OrderWay, Settings};

use crate::far::{Answer, Asked, CLIENT_ID, Facts, Far, ORDER_ID, Sent, credentials};

pub struct Binance {
    line: &'static str,
    rest: bool,
}

impl Binance {
    pub fn new(line: &'static str, rest: bool) -> Self {
        Self { line, rest }
    }

    fn spot(&self) -> bool {
        self.line == "binance"
    }

    fn order(&self) -> String {
        format!(
            r#"{{"symbol":"BTCUSDT","orderId":{ORDER_ID},"orderListId":-1,"clientOrderId":"{CLIENT_ID}","price":"100.50000000","origQty":"2.00000000","executedQty":"1.00000000","cumQuote":"100","status":"PARTIALLY_FILLED","timeInForce":"GTC","type":"LIMIT","side":"BUY","time":1499827319559,"updateTime":1499827319560,"isWorking":true}}"#
        )
    }

    fn good(&self, asked: Asked, words: &str, now: u64) -> String {
        match asked {
            Asked::Place | Asked::Cancel => format!(
                r#"{{"symbol":"BTCUSDT","orderId":{ORDER_ID},"orderListId":-1,"clientOrderId":"x","transactTime":1507725176595}}"#
            ),
            Asked::Amend if self.spot() => format!(
                r#"{{"transactTime":1741926410255,"executionId":75,"amendedOrder":{{"symbol":"BTCUSDT","orderId":{ORDER_ID},"clientOrderId":"{CLIENT_ID}","price":"100.5","qty":"1.5","executedQty":"0","preventedQty":"0","status":"NEW"}}}}"#
            ),
            Asked::Amend | Asked::Query => self.order(),
            Asked::OpenOrders => format!("[{}]", self.order()),
            Asked::Fills => {
                let side = if self.spot() { r#""isBuyer":true,"isMaker":true"# } else { r#""buyer":true,"maker":true,"side":"BUY""# };
                format!(
                    r#"[{{"symbol":"BTCUSDT","id":28457,"orderId":{ORDER_ID},"price":"100.25","qty":"1.0","commission":"0.1","commissionAsset":"BNB","time":1499865549590,{side}}}]"#
                )
            }
            Asked::Balances if self.spot() => {
                r#"{"makerCommission":15,"canTrade":true,"updateTime":123456789,"balances":[{"asset":"BTC","free":"7.5","locked":"0.5"}]}"#.to_owned()
            }
            Asked::Balances => {
                r#"{"totalWalletBalance":"8.0","assets":[{"asset":"USDT","walletBalance":"8.0","unrealizedProfit":"0","crossWalletBalance":"7.5","availableBalance":"7","updateTime":1}],"positions":[{"symbol":"BTCUSDT","positionSide":"BOTH","positionAmt":"-3","unrealizedProfit":"0","updateTime":1}]}"#.to_owned()
            }
            Asked::CancelAll => r#"{"code":200,"msg":"The operation of cancel all open order is done."}"#.to_owned(),
            Asked::DeadMan => r#"{"symbol":"BTCUSDT","countdownTime":"60000"}"#.to_owned(),
            Asked::Upkeep if words.contains("/time") => {
                // 250 ms ahead.
                format!(r#"{{"serverTime":{}}}"#, now + 250)
            }
            Asked::Upkeep if words.contains("exchangeInfo") => {
                let kind = if self.spot() { "" } else { r#""contractType":"PERPETUAL","# };
                format!(
                    r#"{{"symbols":[{{"symbol":"BTCUSDT","status":"TRADING",{kind}"baseAsset":"BTC","quoteAsset":"USDT","filters":[]}}]}}"#
                )
            }
            Asked::Upkeep if words.contains("listenKey") => {
                r#"{"listenKey":"pqia91ma19a5s61cv6a81va65sdf19v8a65a1a5s61cv6a81va65sdf19v8a65a1"}"#.to_owned()
            }
            Asked::Upkeep => r#"{"subscriptionId":0}"#.to_owned(),
        }
    }

    fn report(&self, client_id: &str, now: u64, kind: &str, state: &str, rest: &str) -> String {
        let own = r#""S":"BUY","o":"LIMIT","f":"GTC","q":"2.00000000","p":"100.50000000""#;
        let fields = format!(
            r#""s":"BTCUSDT",{own},"x":"{kind}","X":"{state}","i":{ORDER_ID},"T":{now},{rest}"#
        );
        match self.spot() {
            true => {
                let (c, original) = match kind {
                    "CANCELED" => ("ofTheCancel", client_id),
                    _ => (client_id, ""),
                };
                format!(
                    r#"{{"subscriptionId":0,"event":{{"e":"executionReport","E":{now},"c":"{c}","C":"{original}","r":"NONE",{fields}}}}}"#
                )
            }
            false => format!(
                r#"{{"e":"ORDER_TRADE_UPDATE","E":{now},"T":{now},"o":{{"c":"{client_id}",{fields}}}}}"#
            ),
        }
    }
}

impl Far for Binance {
    fn facts(&self) -> Facts {
        Facts {
            venue: self.line,
            instrument: if self.spot() { "BTC-USDT" } else { "BTC-USDT-PERP" },
            by_socket: !self.rest,
            amends_price: !self.spot(),
            dead_man: (!self.spot()).then_some(DeadMan::Instrument),
            asset: if self.spot() { "BTC" } else { "USDT" },
            position: (!self.spot()).then_some("BTC-USDT-PERP"),
        }
    }

    fn settings(&self) -> Settings {
        let orders = if self.rest { OrderWay::Rest } else { OrderWay::WebSocket };
        Settings { orders, ..Settings::default() }
    }

    fn asked(&self, sent: &Sent) -> Asked {
        use model::venue::Method::{Delete, Get, Post, Put};
        match sent {
            Sent::Frame { text, .. } => match text {
                text if text.contains(r#""order.place""#) => Asked::Place,
                text if text.contains(r#""order.cancel""#) => Asked::Cancel,
                text if text.contains(r#""order.amend.keepPriority""#) => Asked::Amend,
                text if text.contains(r#""order.modify""#) => Asked::Amend,
                _ => Asked::Upkeep,
            },
            Sent::Request(request) => {
                let path = request.url.split('?').next().unwrap();
                match (request.method, path.rsplit_once('/').unwrap().1) {
                    (Post, "order") => Asked::Place,
                    (Delete, "order") => Asked::Cancel,
                    (Put, "order" | "keepPriority") => Asked::Amend,
                    (Get, "order") => Asked::Query,
                    (Get, "openOrders") => Asked::OpenOrders,
                    (Get, "myTrades" | "userTrades") => Asked::Fills,
                    (Get, "account") => Asked::Balances,
                    (Delete, "openOrders" | "allOpenOrders") => Asked::CancelAll,
                    (Post, "countdownCancelAll") => Asked::DeadMan,
                    _ => Asked::Upkeep,
                }
            }
        }
    }

    fn answer(&mut self, sent: &Sent, answer: Answer, now_ms: u64) -> (u16, String) {
        let asked = self.asked(sent);
        let words = match sent {
            Sent::Request(request) => request.url.clone(),
            Sent::Frame { text, .. } => text.clone(),
        };
        let (status, body) = match answer {
            Answer::NotFound if asked == Asked::Balances && self.spot() => {
                (200, r#"{"balances":[]}"#.to_owned())
            }
            Answer::NotFound if asked == Asked::Balances => {
                (200, r#"{"assets":[],"positions":[]}"#.to_owned())
            }
            Answer::Good => (200, self.good(asked, &words, now_ms)),
            Answer::Refused => (400, r#"{"code":-2010,"msg":"Account has insufficient balance for requested action."}"#.to_owned()),
            Answer::NotFound if asked == Asked::Cancel => {
                (400, r#"{"code":-2011,"msg":"Unknown order sent."}"#.to_owned())
            }
            Answer::NotFound => (400, r#"{"code":-2013,"msg":"Order does not exist."}"#.to_owned()),
            Answer::Unknown => (503, r#"{"code":-1007,"msg":"Timeout waiting for response from backend server. Send status unknown; execution status unknown."}"#.to_owned()),
            Answer::Garbage => (200, r#"{"what":"is this"}"#.to_owned()),
        };
        match sent {
            Sent::Request(_) => (status, body),
            Sent::Frame { id, .. } => {
                let id = id.unwrap().0;
                let name = if status == 200 { "result" } else { "error" };
                (200, format!(r#"{{"id":{id},"status":{status},"{name}":{body},"rateLimits":[]}}"#))
            }
        }
    }

    fn report_new(&self, client_id: &str, now_ms: u64) -> String {
        let none = if self.spot() { -1 } else { 0 };
        let rest = format!(r#""l":"0","L":"0","z":"0.00000000","t":{none}"#);
        self.report(client_id, now_ms, "NEW", "NEW", &rest)
    }

    fn report_fill(&self, client_id: &str, trade: u64, now_ms: u64) -> String {
        let rest = format!(r#""l":"1.0","L":"100.25","z":"1.00000000","t":{trade}"#);
        self.report(client_id, now_ms, "TRADE", "PARTIALLY_FILLED", &rest)
    }

    fn report_cancelled(&self, client_id: &str, now_ms: u64) -> String {
        let none = if self.spot() { -1 } else { 0 };
        let rest = format!(r#""l":"0","L":"0","z":"1.00000000","t":{none}"#);
        self.report(client_id, now_ms, "CANCELED", "CANCELED", &rest)
    }

    fn report_broken(&self) -> String {
        self.report_new("x", 1).replace(r#""X":"#, r#""XX":"#)
    }

    fn strange(&self) -> String {
        r#"{"subscriptionId":0,"event":{"e":"brandNew","E":1}}"#.to_owned()
    }

    fn debug(&self) -> String {
        let line = TradeLine::find(self.line).unwrap();
        format!("{:?}", Orders::new(line, self.settings(), credentials()))
    }

    fn account_link(&self) -> u16 {
        u16::from(!self.spot())
    }

    fn terms(&self, words: &str) -> String {
        let of = |name: &str| {
            let (mark, end) = match words.starts_with('{') {
                true => (format!("\"{name}\":\""), '"'),
                false => (format!("&{name}="), '&'),
            };
            let value = words.split_once(&mark).map_or("-", |(_, rest)| rest);
            value.split(end).next().unwrap().to_owned()
        };
        format!("{} {}", of("type"), of("timeInForce"))
    }

    fn stamp(&self, now_ms: u64) -> String {
        format!("timestamp={}", now_ms + 250)
    }
}
