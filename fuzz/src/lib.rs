//! An account's machine that is up and has been asked for things, for targets that feed it what a venue
//! might say.

use std::collections::BTreeMap;
use std::time::Duration;

use model::event::{Reason, Side};
use model::ledger::Name;
use model::order::{OrderType, TimeInForce};
use model::trading::{Heard, Instruction, Placement, Target, Ticket};
use model::venue::{
    Command, Count, Discard, Notice, OnceFrame, Outbox, Outcome, Pipeline, Request, Response, Sink,
    Venue,
};
use model::{
    Book, CanonicalEvent, ConnId, Decimal, Error, ExecReport, Instrument, InstrumentId, Kind,
    LinkId, Nanos, StreamState,
};
use pool::{LocalPool, LocalPooled};
use venues::{Credentials, OrderWay, Settings, create_trading};

/// What is open when the venue speaks: all instructions with a ticket.
pub const INSTRUCTIONS: usize = 9;

/// What a machine tells, and how often each ticket was answered.
struct Ears {
    heard: Vec<Heard>,
    reports: LocalPool<ExecReport>,
    notices: usize,
    book: Book,
}

impl Default for Ears {
    fn default() -> Self {
        let (heard, notices, book) = Default::default();
        Self { heard, reports: LocalPool::boxed("ExecReport", 256), notices, book }
    }
}

impl Pipeline for Ears {
    fn event(&mut self) -> Option<LocalPooled<CanonicalEvent>> {
        None
    }
    fn emit(&mut self, _: LocalPooled<CanonicalEvent>) -> bool {
        false
    }
    fn derive(&mut self, _: LocalPooled<CanonicalEvent>) {}
    fn discard(&mut self, _: LocalPooled<CanonicalEvent>, _: Discard) {}
    fn status(&mut self, _: InstrumentId, _: Kind, _: StreamState, _: Reason) {}
    fn count(&mut self, _: InstrumentId, _: Kind, _: Count) {}
    fn notice(&mut self, notice: Notice<'_>) {
        self.notices += format!("{notice:?}").len();
    }
    fn unreadable(&mut self, _: ConnId, _: &[u8], _: &Error) {}
    fn exec_report(&mut self) -> Option<LocalPooled<ExecReport>> {
        self.reports.try_acquire()
    }
    fn heard(&mut self, heard: Heard) {
        self.heard.push(heard);
    }
    fn book(&mut self, _: InstrumentId) -> &mut Book {
        &mut self.book
    }
    fn list(&mut self, _: &Instrument) -> Result<InstrumentId, Error> {
        Ok(InstrumentId(0))
    }
}

/// A machine of orders, its far end played by whoever holds this.
pub struct Desk {
    machine: Box<dyn Venue>,
    ears: Ears,
    outbox: Outbox,
    now: Nanos,
    instrument: Name,
    conns: Vec<(LinkId, ConnId)>,
    /// Open requests.
    requests: Vec<Request>,
    answers: BTreeMap<Ticket, u32>,
    listening: bool,
}

impl Desk {
    /// A machine of a venue that listens.
    #[must_use]
    pub fn live(venue: &str, instrument: &str, orders: OrderWay) -> Self {
        let credentials = Credentials::new("key".into(), "secret".into(), Some("phrase".into()));
        let settings = Settings { orders, ..Settings::default() };
        let machine = create_trading(venue, settings, credentials.expect("credentials"));
        let mut desk = Self {
            machine: machine.expect("a machine"),
            ears: Ears::default(),
            outbox: Outbox::default(),
            now: Nanos(1_790_000_000_000_000_000),
            instrument: instrument.into(),
            conns: Vec::new(),
            requests: Vec::new(),
            answers: BTreeMap::new(),
            listening: false,
        };
        desk.trade(Instruction::Listen { instruments: vec![instrument.into()] });
        for _ in 0..8 {
            desk.serve();
        }
        assert!(desk.listening, "everything of its own was answered");
        desk
    }

    /// Answers what the machine needs for itself, at any venue.
    fn serve(&mut self) {
        for request in std::mem::take(&mut self.requests) {
            let body = upkeep(&request.url, self.now);
            self.respond(&request, Outcome::Answered(body.as_bytes()));
        }
        for frame in std::mem::take(&mut self.outbox.once_frames) {
            for answer in confirmed(&frame) {
                let _ = self.frame(frame.conn, answer.as_bytes());
            }
        }
    }

    fn call<R>(&mut self, call: impl FnOnce(&mut dyn Venue, Nanos, &mut Sink<'_>) -> R) -> R {
        let result = self.call_alone(call);
        for link in std::mem::take(&mut self.outbox.links) {
            let known = self.conns.iter().any(|(of, _)| *of == link.link);
            if link.url.is_some() && !known {
                let conn = ConnId(u32::from(link.link.0) + 1);
                self.conns.push((link.link, conn));
                self.call_alone(|venue, now, sink| venue.on_open(link.link, conn, now, sink));
            }
        }
        result
    }

    fn call_alone<R>(&mut self, call: impl FnOnce(&mut dyn Venue, Nanos, &mut Sink<'_>) -> R) -> R {
        let mut sink = Sink { pipeline: &mut self.ears, outbox: &mut self.outbox };
        let result = call(&mut *self.machine, self.now, &mut sink);
        self.requests.append(&mut self.outbox.requests);
        for heard in std::mem::take(&mut self.ears.heard) {
            // Its debug form is what an operator may see.
            let _ = format!("{heard:?}");
            match heard {
                Heard::Listening(hears) => self.listening = hears,
                Heard::Answer { ticket, .. } => {
                    *self.answers.get_mut(&ticket).expect("a ticket that was given") += 1;
                }
                Heard::Order(order) => {
                    let known = |ticket| self.answers.contains_key(&ticket);
                    assert!(order.ticket.is_none_or(known), "{order:?}");
                }
                Heard::Balance(_) | Heard::Position(_) => {}
            }
        }
        result
    }

    fn trade(&mut self, instruction: Instruction) {
        let command = Command::Trade(instruction);
        self.call(|venue, now, sink| venue.on_command(&command, now, sink));
    }

    fn respond(&mut self, request: &Request, outcome: Outcome<'_>) {
        let response = Response { id: Some(request.id), url: &request.url, outcome };
        let _ = self.call(|venue, now, sink| venue.on_response(response, now, sink));
    }

    /// Whether the machine says that it hears everything.
    #[must_use]
    pub fn listens(&self) -> bool {
        self.listening
    }

    /// The connection of the account's messages, which is opened last.
    #[must_use]
    pub fn account(&self) -> ConnId {
        self.conns.last().expect("a connection").1
    }

    /// Asks for the instruction of that number.
    pub fn ask(&mut self, which: usize) {
        let ticket = Ticket(self.answers.len() as u64 + 1);
        self.answers.insert(ticket, 0);
        let instruction = self.instruction(which, ticket);
        self.trade(instruction);
    }

    fn instruction(&self, which: usize, ticket: Ticket) -> Instruction {
        let instrument = self.instrument.clone();
        let id: Name = "m6oWAIgRdS6OyfV8xhxIP9n".into();
        let target = Target {
            instrument: instrument.clone(),
            venue_client_id: id.clone(),
            venue_order_id: None,
        };
        let (price, quantity) = (Decimal::ONE_HUNDRED, Decimal::TWO);
        match which % INSTRUCTIONS {
            0 => {
                let order = Placement {
                    instrument,
                    venue_client_id: id,
                    side: Side::Buy,
                    order_type: OrderType::Limit,
                    time_in_force: TimeInForce::Gtc,
                    price: Some(price),
                    quantity,
                    deadline: None,
                };
                Instruction::Place { ticket, order }
            }
            1 => Instruction::Cancel { ticket, target },
            2 => Instruction::Amend { ticket, target, side: Side::Buy, price, quantity },
            3 => Instruction::Query { ticket, target },
            4 => Instruction::OpenOrders { ticket },
            5 => {
                let since = self.now - Duration::from_secs(60);
                Instruction::Fills { ticket, instrument, since }
            }
            6 => Instruction::Balances { ticket },
            7 => Instruction::CancelAll { ticket, instrument },
            _ => Instruction::DeadMan { ticket, instrument, within: Duration::from_secs(60) },
        }
    }

    /// The venue says something on a connection.
    ///
    /// # Errors
    /// The machine's.
    pub fn frame(&mut self, conn: ConnId, frame: &[u8]) -> Result<(), Error> {
        self.call(|venue, now, sink| venue.on_frame(conn, frame, now, sink))
    }

    /// The venue answers all open requests alike.
    pub fn answer(&mut self, status: u16, body: &[u8]) {
        for request in std::mem::take(&mut self.requests) {
            let outcome = match status {
                200 => Outcome::Answered(body),
                other => Outcome::Status(other, body),
            };
            self.respond(&request, outcome);
        }
    }

    /// Nothing more comes: every ticket has exactly one answer by then.
    pub fn end(mut self) {
        for _ in 0..3 {
            self.now = self.now + Duration::from_secs(11);
            self.call(|venue, now, sink| venue.on_timer(now, sink));
        }
        assert!(self.answers.values().all(|count| *count == 1), "{:?}", self.answers);
    }
}

/// The answer to a request that a machine makes for itself.
fn upkeep(url: &str, now: Nanos) -> String {
    let ms = now.0 / 1_000_000;
    let body = match url {
        url if url.ends_with("/public/time") => {
            format!(r#"{{"code":"0","msg":"","data":[{{"ts":"{ms}"}}]}}"#)
        }
        url if url.ends_with("/time") => format!(r#"{{"serverTime":{ms}}}"#),
        url if url.contains("listenKey") => r#"{"listenKey":"k"}"#.to_owned(),
        url if url.contains("/fapi/") => {
            r#"{"symbols":[{"symbol":"BTCUSDT","status":"TRADING","contractType":"PERPETUAL","baseAsset":"BTC","quoteAsset":"USDT","filters":[]}]}"#.to_owned()
        }
        url if url.ends_with("exchangeInfo") => {
            r#"{"symbols":[{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","filters":[]}]}"#.to_owned()
        }
        _ => {
            r#"{"code":"0","msg":"","data":[{"instType":"SWAP","instId":"BTC-USDT-SWAP","instIdCode":7,"ctVal":"0.01","ctMult":"1","tickSz":"0.01","lotSz":"0.1","state":"live"}]}"#.to_owned()
        }
    };
    body
}

/// The answers to a message that a machine sends for itself.
fn confirmed(frame: &OnceFrame) -> Vec<String> {
    let channel = |name| format!(r#"{{"event":"subscribe","arg":{{"channel":"{name}"}}}}"#);
    match &frame.text {
        text if text.contains(r#""op":"login""#) => {
            vec![r#"{"event":"login","code":"0","msg":""}"#.to_owned()]
        }
        text if text.contains(r#""op":"subscribe""#) => {
            ["orders", "account", "positions"].map(channel).into()
        }
        _ => {
            vec![format!(r#"{{"id":{},"status":200,"result":{{"subscriptionId":0}}}}"#, frame.id.0)]
        }
    }
}

/// Feeds a machine what comes on sockets: each line a message, all instructions open before the first.
/// What can't be read may have been a report, so the machine says that it does not hear.
pub fn speak(desk: &mut Desk, messages: &[u8]) {
    for which in 0..INSTRUCTIONS {
        desk.ask(which);
    }
    let account = desk.account();
    for message in messages.split(|byte| *byte == b'\n').take(8) {
        if desk.frame(account, message).is_err() {
            assert!(!desk.listens(), "{:?}", String::from_utf8_lossy(message));
        }
    }
}

/// Feeds a machine answers of requests: the first byte says to which instruction, the second with which
/// status, each line after them is the body of one answer.
pub fn respond(desk: &mut Desk, bytes: &[u8]) {
    let [which, status, bodies @ ..] = bytes else { return };
    desk.ask(usize::from(*which));
    let status = [200, 400, 429, 503][usize::from(*status) % 4];
    for body in bodies.split(|byte| *byte == b'\n').take(8) {
        desk.answer(status, body);
    }
}
