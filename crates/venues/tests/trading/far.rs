//! The far end of an account, and a desk that drives a machine against it.

use std::time::Duration;

use model::ExecReport;
use model::ledger::{Name, Outcome};
use model::order::{OrderType, TimeInForce};
use model::trading::{DeadMan, Heard, Instruction, Placement, Target, Ticket};
use model::venue::{self, Command, Request};
use model::{ConnId, Decimal, Side};
use venues::{Credentials, Settings, create_trading};

use crate::common::Bench;

pub const KEY: &str = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A";
pub const SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
pub const PASSPHRASE: &str = "correct horse 7";

pub fn credentials() -> Credentials {
    Credentials::new(KEY.into(), SECRET.into(), Some(PASSPHRASE.into())).unwrap()
}

/// What a request or message asks for, as the far end reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    Place,
    Cancel,
    Amend,
    Query,
    OpenOrders,
    Fills,
    Balances,
    CancelAll,
    DeadMan,
    /// What the machine needs for itself.
    Upkeep,
}

impl Asked {
    pub fn changes(self) -> bool {
        matches!(self, Self::Place | Self::Cancel | Self::Amend | Self::CancelAll)
    }
}

/// Something that the machine wants sent.
#[derive(Clone, Debug)]
pub enum Sent {
    /// By request.
    Request(Request),
    /// On a socket.
    Frame { conn: ConnId, id: Option<model::RequestId>, text: String },
}

/// How an answer goes.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    Good,
    /// Refused for want of funds.
    Refused,
    /// There is no such order.
    NotFound,
    /// The venue does not know either.
    Unknown,
    /// Nonsense with a good status.
    Garbage,
}

/// What differs between far ends.
pub struct Facts {
    pub venue: &'static str,
    pub instrument: &'static str,
    /// Whether orders are expected on a socket.
    pub by_socket: bool,
    pub amends_price: bool,
    pub dead_man: Option<DeadMan>,
    /// Names of position and balance in the list that [`Far::answer`] gives.
    pub asset: &'static str,
    pub position: Option<&'static str>,
}

/// A venue's side of an account.
pub trait Far {
    fn facts(&self) -> Facts;
    fn settings(&self) -> Settings;
    fn asked(&self, sent: &Sent) -> Asked;
    /// The body of a request's answer, or the message that answers one: status and text.
    fn answer(&mut self, sent: &Sent, answer: Answer, now_ms: u64) -> (u16, String);
    /// A message of the account: the order stands.
    fn report_new(&self, client_id: &str, now_ms: u64) -> String;
    /// A message of the account: half of it is filled.
    fn report_fill(&self, client_id: &str, trade: u64, now_ms: u64) -> String;
    /// A message of the account: it was cancelled by us.
    fn report_cancelled(&self, client_id: &str, now_ms: u64) -> String;
    /// A report that lacks a field.
    fn report_broken(&self) -> String;
    /// A message of the account of a type that is not known yet.
    fn strange(&self) -> String;
    /// Order type and time in force, as a request or message says them.
    fn terms(&self, words: &str) -> String;
    /// How a request carries the time that it is by the venue's clock.
    fn stamp(&self, now_ms: u64) -> String;
    /// The debug form of a machine.
    fn debug(&self) -> String;
    /// Which link brings the account's messages.
    fn account_link(&self) -> u16;
}

/// A machine with its far end, driven by plain calls.
pub struct Desk {
    pub bench: Bench,
    pub far: Box<dyn Far>,
    /// Open connections and their links.
    pub conns: Vec<(u32, u16)>,
    pub links: Vec<(u16, String)>,
    next_conn: u32,
    next_ticket: u64,
    /// All that was sent so far that changes orders.
    pub changes_sent: Vec<String>,
}

impl Desk {
    pub fn new(far: Box<dyn Far>) -> Self {
        let credentials = credentials();
        let machine = create_trading(far.facts().venue, far.settings(), credentials).unwrap();
        Self {
            bench: Bench::new(machine),
            far,
            conns: Vec::new(),
            links: Vec::new(),
            next_conn: 1,
            next_ticket: 1,
            changes_sent: Vec::new(),
        }
    }

    /// A machine that listens, with everything of its own answered.
    pub fn live(far: Box<dyn Far>) -> Self {
        let mut desk = Self::new(far);
        desk.listen();
        desk.serve_upkeep();
        assert_eq!(desk.heard(), [Heard::Listening(true)]);
        desk
    }

    pub fn listen(&mut self) {
        let instruments = vec![Name::from(self.far.facts().instrument)];
        self.trade(Instruction::Listen { instruments });
    }

    pub fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    pub fn trade(&mut self, instruction: Instruction) {
        self.bench.command(&Command::Trade(instruction));
    }

    pub fn now_ms(&self) -> u64 {
        self.bench.now.0 / 1_000_000
    }

    /// What was heard since the last time.
    pub fn heard(&mut self) -> Vec<Heard> {
        std::mem::take(&mut self.bench.pipeline.heard)
    }

    /// What was sent since the last time.
    pub fn sent(&mut self) -> Vec<Sent> {
        let outbox = &mut self.bench.outbox;
        let frames = std::mem::take(&mut outbox.frames).into_iter();
        let frames = frames.map(|(conn, text)| Sent::Frame { conn, id: None, text });
        let once = std::mem::take(&mut outbox.once_frames).into_iter();
        let once = once.map(|frame| Sent::Frame {
            conn: frame.conn,
            id: Some(frame.id),
            text: frame.text,
        });
        let requests = std::mem::take(&mut outbox.requests).into_iter().map(Sent::Request);
        let all: Vec<_> = frames.chain(once).chain(requests).collect();
        for sent in &all {
            if self.far.asked(sent).changes() {
                self.changes_sent.push(match sent {
                    Sent::Request(request) => request.url.clone() + &request.body,
                    Sent::Frame { text, .. } => text.clone(),
                });
            }
        }
        all
    }

    /// The only thing that was sent.
    pub fn only_sent(&mut self) -> Sent {
        let mut all = self.sent();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    /// Answers one thing that was sent.
    pub fn reply(&mut self, sent: &Sent, answer: Answer) {
        let (status, text) = self.far.answer(sent, answer, self.now_ms());
        match sent {
            Sent::Request(request) if (200..300).contains(&status) => {
                let _ = self.bench.answer(request, &text);
            }
            Sent::Request(request) => {
                let outcome = venue::Outcome::Status(status, text.as_bytes());
                let _ = self.bench.outcome(request, outcome);
            }
            Sent::Frame { conn, .. } => {
                for message in text.lines() {
                    let _ = self.bench.frame(conn.0, message);
                }
            }
        }
    }

    /// Opens and closes what the machine wants opened and closed.
    pub fn obey(&mut self) {
        for change in std::mem::take(&mut self.bench.outbox.links) {
            let known = self.links.iter().position(|(link, _)| *link == change.link.0);
            match (change.url, known) {
                (Some(url), Some(at)) => self.links[at].1 = url,
                (Some(url), None) => {
                    self.links.push((change.link.0, url));
                    self.open(change.link.0);
                }
                (None, _) => panic!("no link is closed for good"),
            }
        }
        for (conn, _) in std::mem::take(&mut self.bench.outbox.reconnect) {
            if let Some(at) = self.conns.iter().position(|(id, _)| *id == conn.0) {
                let (_, link) = self.conns[at];
                self.close(conn.0);
                self.open(link);
            }
        }
    }

    pub fn open(&mut self, link: u16) -> u32 {
        let conn = self.next_conn;
        self.next_conn += 1;
        self.conns.push((conn, link));
        self.bench.open(link, conn);
        conn
    }

    pub fn close(&mut self, conn: u32) {
        self.conns.retain(|(id, _)| *id != conn);
        self.bench.close(conn);
    }

    /// Answers all that the machine needs for itself, until it needs no more.
    pub fn serve_upkeep(&mut self) {
        for _ in 0..20 {
            self.obey();
            let sent = self.sent();
            if sent.is_empty() {
                return;
            }
            for sent in sent {
                assert_eq!(self.far.asked(&sent), Asked::Upkeep, "{sent:?}");
                self.reply(&sent, Answer::Good);
            }
        }
        panic!("the machine asks without end");
    }

    /// Answers all that the machine needs for itself, up to a message that holds `part`.
    pub fn serve_until(&mut self, part: &str) {
        for _ in 0..20 {
            self.obey();
            for sent in self.sent() {
                if matches!(&sent, Sent::Frame { text, .. } if text.contains(part)) {
                    return;
                }
                self.reply(&sent, Answer::Good);
            }
        }
        panic!("no message with {part}");
    }

    pub fn account_conn(&self) -> u32 {
        let link = self.far.account_link();
        self.conns.iter().rev().find(|(_, of)| *of == link).unwrap().0
    }

    pub fn place(&mut self) -> Ticket {
        self.place_as(OrderType::Limit, TimeInForce::Gtc)
    }

    pub fn place_as(&mut self, order_type: OrderType, time_in_force: TimeInForce) -> Ticket {
        let ticket = self.ticket();
        let limit = order_type == OrderType::Limit;
        let order = Placement {
            instrument: self.far.facts().instrument.into(),
            venue_client_id: CLIENT_ID.into(),
            side: Side::Buy,
            order_type,
            time_in_force,
            price: limit.then(|| number("100.50")),
            quantity: number("2.0"),
            deadline: Some(self.bench.now + Duration::from_secs(5)),
        };
        self.trade(Instruction::Place { ticket, order });
        ticket
    }

    pub fn target(&self, with_venue_id: bool) -> Target {
        Target {
            instrument: self.far.facts().instrument.into(),
            venue_client_id: CLIENT_ID.into(),
            venue_order_id: with_venue_id.then(|| ORDER_ID.into()),
        }
    }

    /// One instruction of every kind that has a ticket.
    pub fn instruction(&mut self, which: Asked, with_venue_id: bool) -> (Ticket, Instruction) {
        let ticket = self.ticket();
        let target = self.target(with_venue_id);
        let instrument: Name = self.far.facts().instrument.into();
        let since = self.bench.now - Duration::from_secs(60);
        let within = Duration::from_secs(60);
        let instruction = match which {
            Asked::Place => {
                let order = Placement {
                    instrument,
                    venue_client_id: CLIENT_ID.into(),
                    side: Side::Buy,
                    order_type: OrderType::Limit,
                    time_in_force: TimeInForce::Gtc,
                    price: Some(number("100.50")),
                    quantity: number("2.0"),
                    deadline: None,
                };
                Instruction::Place { ticket, order }
            }
            Asked::Cancel => Instruction::Cancel { ticket, target },
            Asked::Amend => Instruction::Amend {
                ticket,
                target,
                side: Side::Buy,
                price: number("100.50"),
                quantity: number("1.5"),
            },
            Asked::Query => Instruction::Query { ticket, target },
            Asked::OpenOrders => Instruction::OpenOrders { ticket },
            Asked::Fills => Instruction::Fills { ticket, instrument, since },
            Asked::Balances => Instruction::Balances { ticket },
            Asked::CancelAll => Instruction::CancelAll { ticket, instrument },
            Asked::DeadMan => Instruction::DeadMan { ticket, instrument, within },
            Asked::Upkeep => panic!("not the desk's"),
        };
        (ticket, instruction)
    }
}

pub const CLIENT_ID: &str = "m6oWAIgRdS6OyfV8xhxIP9n";
pub const ORDER_ID: &str = "4293153";

pub fn number(text: &str) -> Decimal {
    model::decimal::parse(text.as_bytes()).unwrap()
}

pub fn answer(ticket: Ticket, outcome: Outcome) -> Heard {
    Heard::Answer { ticket, outcome }
}

pub fn accepted(ticket: Ticket) -> Heard {
    answer(ticket, Outcome::Accepted { venue_order_id: Some(ORDER_ID.into()) })
}

/// The orders among what was heard.
pub fn orders(heard: &[Heard]) -> Vec<&ExecReport> {
    let orders = heard.iter().filter_map(|heard| match heard {
        Heard::Order(order) => Some(&**order),
        _ => None,
    });
    orders.collect()
}
