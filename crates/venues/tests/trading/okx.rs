//! The far end of an account at OKX, written after okx.com/docs-v5: "Overview / WebSocket", "Order Book
//! Trading / Trade", "Trading Account", "Public Data".

use model::ledger::{Lost, Outcome};
use model::trading::{DeadMan, Heard, Instruction, VenueState};
use venues::json::timestamp::utc;
use venues::{OrderWay, Settings};

use crate::far::{
    Answer, Asked, CLIENT_ID, Desk, Facts, Far, ORDER_ID, Sent, accepted, answer, credentials,
    number, orders,
};

pub struct Okx {
    rest: bool,
}

impl Okx {
    pub fn new(rest: bool) -> Self {
        Self { rest }
    }

    fn order(&self, client_id: &str, state: &str, filled: &str, rest: &str) -> String {
        format!(
            r#"{{"accFillSz":"{filled}","algoId":"","avgPx":"","cTime":"1597026383085","category":"normal","clOrdId":"{client_id}","instId":"BTC-USDT-SWAP","instType":"SWAP","lever":"3","ordId":"{ORDER_ID}","ordType":"limit","posSide":"net","px":"100.50","side":"buy","state":"{state}","sz":"2.0","tag":"","tdMode":"cross","tgtCcy":"",{rest}}}"#
        )
    }

    fn resting(&self) -> String {
        let rest = r#""cancelSource":"","cancelSourceReason":"","fillPx":"100.25","fillSz":"1.0","tradeId":"77","uTime":"1597026383085""#;
        self.order(CLIENT_ID, "partially_filled", "1.0", rest)
    }

    fn taken(code: &str, words: &str) -> String {
        let id = if code == "0" { ORDER_ID } else { "" };
        format!(
            r#"{{"clOrdId":"{CLIENT_ID}","ordId":"{id}","tag":"","ts":"1695190491421","sCode":"{code}","sMsg":"{words}"}}"#
        )
    }

    fn good(&self, asked: Asked, words: &str, now: u64) -> String {
        match asked {
            Asked::Place | Asked::Cancel | Asked::Amend | Asked::CancelAll => Self::taken("0", ""),
            Asked::Query | Asked::OpenOrders => self.resting(),
            Asked::Fills => format!(
                r#"{{"instType":"SWAP","instId":"BTC-USDT-SWAP","tradeId":"77","ordId":"{ORDER_ID}","clOrdId":"{CLIENT_ID}","billId":"1111","tag":"","fillPx":"100.25","fillSz":"1.0","side":"buy","posSide":"net","execType":"M","feeCcy":"USDT","fee":"0.1","ts":"1597026383085"}}"#
            ),
            Asked::Balances if words.contains("positions") => {
                r#"{"instId":"BTC-USDT-SWAP","instType":"SWAP","mgnMode":"cross","pos":"-3","posSide":"net","avgPx":"100","uTime":"1597026383085"}"#.to_owned()
            }
            Asked::Balances => {
                r#"{"totalEq":"8","uTime":"1597026383085","details":[{"ccy":"USDT","cashBal":"8","availBal":"7.5","frozenBal":"0.5","eq":"8","uTime":"1597026383085"}]}"#.to_owned()
            }
            Asked::DeadMan => r#"{"triggerTime":"1587971460","tag":"","ts":"1587971400"}"#.to_owned(),
            Asked::Upkeep if words.contains("/public/time") => {
                // 250 ms ahead.
                format!(r#"{{"ts":"{}"}}"#, now + 250)
            }
            Asked::Upkeep if words.contains("instType=SPOT") => {
                r#"{"instType":"SPOT","instId":"BTC-USDT","instIdCode":7,"tickSz":"0.01","lotSz":"0.1","state":"live"}"#.to_owned()
            }
            Asked::Upkeep => {
                r#"{"instType":"SWAP","instId":"BTC-USDT-SWAP","instIdCode":2021032601102994,"ctVal":"0.01","ctMult":"1","tickSz":"0.01","lotSz":"0.1","state":"live"}"#.to_owned()
            }
        }
    }

    /// Answers to login and subscription are events without an id, one for each channel.
    fn event(text: &str, answer: Answer) -> String {
        match answer {
            Answer::Good if text.contains(r#""op":"login""#) => {
                r#"{"event":"login","code":"0","msg":"","connId":"a4d3ae55"}"#.to_owned()
            }
            Answer::Good => {
                let asked = ["orders", "account", "positions"].into_iter();
                let asked = asked.filter(|name| text.contains(&format!("\"channel\":\"{name}\"")));
                let one = |name| {
                    format!(
                        r#"{{"event":"subscribe","arg":{{"channel":"{name}"}},"connId":"a4d3ae55"}}"#
                    )
                };
                asked.map(one).collect::<Vec<_>>().join("\n")
            }
            // The venue repeats what it could not read.
            _ => format!(
                r#"{{"event":"error","code":"60012","msg":"Invalid request: {}","connId":"a4d3ae55"}}"#,
                text.replace('"', "\\\"").replace("\\\\\"", "'")
            ),
        }
    }

    fn push(&self, order: &str) -> String {
        format!(
            r#"{{"arg":{{"channel":"orders","instType":"ANY","uid":"77982378738415879"}},"data":[{order}]}}"#
        )
    }
}

impl Far for Okx {
    fn facts(&self) -> Facts {
        Facts {
            venue: "okx",
            instrument: "BTC-USDT-PERP",
            by_socket: !self.rest,
            amends_price: true,
            dead_man: Some(DeadMan::Account),
            asset: "USDT",
            position: Some("BTC-USDT-PERP"),
        }
    }

    fn settings(&self) -> Settings {
        let orders = if self.rest { OrderWay::Rest } else { OrderWay::WebSocket };
        Settings { orders, ..Settings::default() }
    }

    fn asked(&self, sent: &Sent) -> Asked {
        match sent {
            Sent::Frame { text, .. } => match text {
                text if text.contains(r#""op":"order""#) => Asked::Place,
                text if text.contains(r#""op":"cancel-order""#) => Asked::Cancel,
                text if text.contains(r#""op":"amend-order""#) => Asked::Amend,
                _ => Asked::Upkeep,
            },
            Sent::Request(request) => {
                let path = request.url.split('?').next().unwrap();
                match path.split_once("/api/v5").unwrap().1 {
                    "/trade/order" if request.body.is_empty() => Asked::Query,
                    "/trade/order" => Asked::Place,
                    "/trade/cancel-order" => Asked::Cancel,
                    "/trade/amend-order" => Asked::Amend,
                    "/trade/orders-pending" => Asked::OpenOrders,
                    "/trade/fills" | "/trade/fills-history" => Asked::Fills,
                    "/account/balance" | "/account/positions" => Asked::Balances,
                    "/trade/cancel-batch-orders" => Asked::CancelAll,
                    "/trade/cancel-all-after" => Asked::DeadMan,
                    _ => Asked::Upkeep,
                }
            }
        }
    }

    fn answer(&mut self, sent: &Sent, answer: Answer, now_ms: u64) -> (u16, String) {
        let asked = self.asked(sent);
        let words = match sent {
            Sent::Request(request) => request.url.clone(),
            Sent::Frame { text, .. } if asked == Asked::Upkeep => {
                return (200, Self::event(text, answer));
            }
            Sent::Frame { text, .. } => text.clone(),
        };
        let changes = asked.changes();
        let (status, code, data) = match answer {
            Answer::Good => (200, "0", self.good(asked, &words, now_ms)),
            Answer::Refused if changes => {
                let words = "Order failed. Insufficient USDT balance in account.";
                (200, "1", Self::taken("51008", words))
            }
            Answer::Refused => (200, "51000", String::new()),
            Answer::NotFound if asked == Asked::Balances && words.contains("positions") => {
                (200, "0", String::new())
            }
            Answer::NotFound if asked == Asked::Balances => {
                (200, "0", r#"{"details":[]}"#.to_owned())
            }
            Answer::NotFound if changes => (200, "1", Self::taken("51400", "Cancellation failed")),
            Answer::NotFound => (200, "51603", String::new()),
            Answer::Unknown if changes => (200, "1", Self::taken("51149", "Order timed out.")),
            Answer::Unknown => (504, "50004", String::new()),
            Answer::Garbage => {
                let text = match sent {
                    Sent::Request(_) => r#"{"what":"is this"}"#.to_owned(),
                    Sent::Frame { id, .. } => {
                        format!(r#"{{"id":"{}","op":"order","what":"is this"}}"#, id.unwrap().0)
                    }
                };
                return (200, text);
            }
        };
        let about = match sent {
            Sent::Request(_) => String::new(),
            Sent::Frame { id, .. } => format!(r#""id":"{}","op":"order","#, id.unwrap().0),
        };
        let text = format!(
            r#"{{{about}"code":"{code}","msg":"","data":[{data}],"inTime":"1695190491421339"}}"#
        );
        (status, text)
    }

    fn report_new(&self, client_id: &str, now_ms: u64) -> String {
        let rest = format!(
            r#""cancelSource":"","fillPx":"","fillSz":"0","tradeId":"","uTime":"{now_ms}""#
        );
        self.push(&self.order(client_id, "live", "0", &rest))
    }

    fn report_fill(&self, client_id: &str, trade: u64, now_ms: u64) -> String {
        let rest = format!(
            r#""cancelSource":"","fillPx":"100.25","fillSz":"1.0","tradeId":"{trade}","uTime":"{now_ms}""#
        );
        self.push(&self.order(client_id, "partially_filled", "1.0", &rest))
    }

    fn report_cancelled(&self, client_id: &str, now_ms: u64) -> String {
        let rest = format!(
            r#""cancelSource":"1","cancelSourceReason":"Order canceled by user.","fillPx":"","fillSz":"0","tradeId":"","uTime":"{now_ms}""#
        );
        self.push(&self.order(client_id, "canceled", "1.0", &rest))
    }

    fn report_broken(&self) -> String {
        self.report_new("x", 1).replace(r#""state":"#, r#""estate":"#)
    }

    fn strange(&self) -> String {
        r#"{"event":"brandNew","code":"0"}"#.to_owned()
    }

    fn terms(&self, words: &str) -> String {
        let rest = words.split_once(r#""ordType":""#).unwrap().1;
        rest.split('"').next().unwrap().to_owned()
    }

    fn stamp(&self, now_ms: u64) -> String {
        utc(now_ms + 250)
    }

    fn debug(&self) -> String {
        format!("{:?}", venues::okx::Orders::new(self.settings(), credentials()).unwrap())
    }

    fn account_link(&self) -> u16 {
        0
    }
}

fn text(sent: &Sent) -> String {
    match sent {
        Sent::Request(request) => request.body.clone(),
        Sent::Frame { text, .. } => text.clone(),
    }
}

#[test]
fn it_does_not_listen_before_every_channel_is_confirmed() {
    let mut desk = Desk::new(Box::new(Okx::new(false)));
    desk.listen();
    desk.serve_until("\"op\":\"subscribe\"");
    let conn = desk.account_conn();
    for (channel, heard) in
        [("orders", vec![]), ("positions", vec![]), ("account", vec![Heard::Listening(true)])]
    {
        let word = format!(r#"{{"event":"subscribe","arg":{{"channel":"{channel}"}}}}"#);
        desk.bench.frame(conn, &word).unwrap();
        assert_eq!(desk.heard(), heard, "{channel}");
    }
}

#[test]
fn messages_name_the_instrument_by_its_number_and_carry_the_deadline_by_the_venues_clock() {
    let mut desk = Desk::live(Box::new(Okx::new(false)));
    desk.place();
    let words = text(&desk.only_sent());
    let expires = format!(r#""expTime":"{}""#, desk.now_ms() + 250 + 5_000);
    for part in [r#""instIdCode":2021032601102994"#, r#""tdMode":"cross""#, &expires] {
        assert!(words.contains(part), "no {part} in {words}");
    }
    assert!(!words.contains(r#""instId":"#), "{words}");
    let mut desk = Desk::live(Box::new(Okx::new(true)));
    desk.place();
    let Sent::Request(request) = desk.only_sent() else { panic!() };
    let expires = (desk.now_ms() + 250 + 5_000).to_string();
    assert!(request.headers.contains(&("exptime", expires)), "{:?}", request.headers);
    assert!(!request.body.contains("instIdCode"), "{}", request.body);
}

#[test]
fn a_spot_market_order_says_that_its_quantity_is_in_base_currency() {
    let mut desk = Desk::new(Box::new(Okx::new(false)));
    desk.trade(Instruction::Listen { instruments: vec!["BTC-USDT".into()] });
    desk.serve_upkeep();
    let (ticket, instruction) = desk.instruction(Asked::Place, true);
    let Instruction::Place { mut order, .. } = instruction else { panic!() };
    order.instrument = "BTC-USDT".into();
    order.order_type = model::order::OrderType::Market;
    desk.trade(Instruction::Place { ticket, order });
    let words = text(&desk.only_sent());
    for part in [r#""tdMode":"cash""#, r#""tgtCcy":"base_ccy""#, r#""sz":"2""#] {
        assert!(words.contains(part), "no {part} in {words}");
    }
    // Somebody else's order in quote currency has a quantity that says nothing.
    let far = Okx::new(false);
    let report = far.report_new("x", 1).replace(r#""tgtCcy":"""#, r#""tgtCcy":"quote_ccy""#);
    let conn = desk.account_conn();
    desk.heard();
    desk.bench.frame(conn, &report).unwrap();
    assert_eq!(orders(&desk.heard())[0].quantity, None);
}

#[test]
fn what_its_time_in_force_has_ended_is_expired() {
    let mut desk = Desk::live(Box::new(Okx::new(false)));
    let conn = desk.account_conn();
    let report = Okx::new(false).report_cancelled(CLIENT_ID, 7);
    for (source, state) in [
        ("1", VenueState::Cancelled),
        ("13", VenueState::Expired),
        ("14", VenueState::Expired),
        ("31", VenueState::Expired),
    ] {
        let report =
            report.replace(r#""cancelSource":"1""#, &format!(r#""cancelSource":"{source}""#));
        desk.bench.frame(conn, &report).unwrap();
        let heard = desk.heard();
        let [order] = orders(&heard)[..] else { panic!("{heard:?}") };
        assert_eq!(order.state, Some(state), "{source}");
        assert_eq!(&*order.text, "Order canceled by user.");
    }
}

#[test]
fn an_instrument_without_a_number_is_traded_by_request() {
    let mut desk = Desk::new(Box::new(Okx::new(false)));
    desk.listen();
    for sent in desk.sent() {
        let Sent::Request(request) = &sent else { panic!("{sent:?}") };
        let (_, body) = desk.far.answer(&sent, Answer::Good, desk.now_ms());
        desk.bench.answer(request, &body.replace("instIdCode", "instIdKode")).unwrap();
    }
    desk.serve_upkeep();
    for which in [Asked::Place, Asked::Amend, Asked::Cancel] {
        let (ticket, instruction) = desk.instruction(which, true);
        desk.trade(instruction);
        let sent = desk.only_sent();
        assert!(matches!(sent, Sent::Request(_)), "{sent:?}");
        desk.heard();
        desk.reply(&sent, Answer::Good);
        assert_eq!(desk.heard(), [accepted(ticket)]);
    }
}

#[test]
fn a_channel_that_the_venue_takes_away_is_not_heard_until_it_is_back() {
    for word in [
        r#"{"event":"channel-conn-count-error","channel":"orders","connCount":"30","connId":"a4"}"#,
        r#"{"event":"unsubscribe","arg":{"channel":"orders","instType":"ANY"},"connId":"a4"}"#,
    ] {
        let mut desk = Desk::live(Box::new(Okx::new(false)));
        let conn = desk.account_conn();
        desk.bench.frame(conn, word).unwrap();
        assert_eq!(desk.heard(), [Heard::Listening(false)], "{word}");
        desk.bench.pass(31_000);
        let again = desk.only_sent();
        let words = text(&again);
        assert!(words.contains("subscribe") && !words.contains("positions"), "{words}");
        desk.reply(&again, Answer::Good);
        assert_eq!(desk.heard(), [Heard::Listening(true)], "{word}");
    }
}

#[test]
fn an_answer_on_the_socket_ends_nothing_that_went_by_request() {
    let mut desk = Desk::live(Box::new(Okx::new(false)));
    let conn = desk.account_conn();
    let (ticket, instruction) = desk.instruction(Asked::Query, true);
    desk.trade(instruction);
    let sent = desk.only_sent();
    let Sent::Request(request) = &sent else { panic!("{sent:?}") };
    let stray =
        format!(r#"{{"id":"{}","op":"order","code":"1","msg":"","data":[]}}"#, request.id.0);
    desk.bench.frame(conn, &stray).unwrap();
    assert_eq!(desk.heard(), []);
    desk.reply(&sent, Answer::Good);
    assert_eq!(desk.heard()[1..], [accepted(ticket)]);
}

#[test]
fn a_list_that_comes_back_to_where_it_was_ends_unclear() {
    let full = |far: &str| {
        let all = vec![far; 100].join(",");
        format!(r#"{{"code":"0","msg":"","data":[{all}]}}"#)
    };
    for which in [Asked::OpenOrders, Asked::Fills, Asked::CancelAll] {
        let mut desk = Desk::live(Box::new(Okx::new(false)));
        let (ticket, instruction) = desk.instruction(which, true);
        desk.trade(instruction);
        let row = match which {
            Asked::Fills => Okx::new(false).good(Asked::Fills, "", 0),
            _ => Okx::new(false).resting(),
        };
        for _ in 0..2 {
            let Sent::Request(request) = desk.only_sent() else { panic!() };
            let _ = desk.bench.answer(&request, &full(&row));
        }
        assert_eq!(desk.sent().len(), 0, "{which:?}");
        let heard = desk.heard();
        assert_eq!(heard.last(), Some(&answer(ticket, Outcome::Unknown(Lost::VenueError))));
    }
}

#[test]
fn lists_of_more_than_a_page_are_read_to_their_end_and_cancelled_in_batches() {
    let mut desk = Desk::live(Box::new(Okx::new(false)));
    let page = |from: usize, len: usize| {
        let order = |n: usize| Okx::new(false).resting().replace(ORDER_ID, &n.to_string());
        let all: Vec<_> = (from..from + len).map(order).collect();
        format!(r#"{{"code":"0","msg":"","data":[{}]}}"#, all.join(","))
    };
    let (ticket, instruction) = desk.instruction(Asked::CancelAll, true);
    desk.trade(instruction);
    for (from, len) in [(0, 100), (100, 5)] {
        let Sent::Request(request) = desk.only_sent() else { panic!() };
        assert_eq!(request.url.contains("&after=99"), from > 0, "{}", request.url);
        desk.bench.answer(&request, &page(from, len)).unwrap();
    }
    let mut cancelled = 0;
    while let Some(sent) = desk.sent().pop() {
        let count = text(&sent).matches("ordId").count();
        assert!(count <= 20);
        cancelled += count;
        // Those that are over already don't matter; one that can't be cancelled does not keep the others.
        let how = match cancelled {
            40 => Answer::NotFound,
            60 => Answer::Unknown,
            80 => Answer::Refused,
            _ => Answer::Good,
        };
        desk.reply(&sent, how);
    }
    assert_eq!(cancelled, 105);
    let unclear = Outcome::Unknown(Lost::VenueError);
    assert_eq!(desk.heard(), [answer(ticket, unclear)]);
    let (ticket, instruction) = desk.instruction(Asked::OpenOrders, true);
    desk.trade(instruction);
    let Sent::Request(request) = desk.only_sent() else { panic!() };
    desk.bench.answer(&request, &page(0, 100)).unwrap();
    let Sent::Request(request) = desk.only_sent() else { panic!() };
    desk.bench.answer(&request, &page(100, 0)).unwrap();
    let heard = desk.heard();
    assert_eq!(orders(&heard).len(), 100);
    assert!(orders(&heard).iter().all(|order| order.ticket == Some(ticket)));
    assert_eq!(orders(&heard)[7].filled, Some(number("1")));
}
