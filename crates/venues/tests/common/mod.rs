//! A pipeline for tests: keeps what a venue machine gives, and books in a map.

#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;

use model::event::Reason;
use model::ids::Interner;
use model::trading::Heard;
use model::venue::{
    Command, Count, Discard, Notice, Outbox, Outcome, Pipeline, Request, Response, Sink,
    Subscription, Venue,
};
use model::{
    Book, CanonicalEvent, ConnId, Error, Event, ExecReport, Instrument, InstrumentId, Kind, LinkId,
    Nanos, RequestId, Side, StreamState,
};
use pool::{LocalPool, LocalPooled};

pub struct TestPipeline {
    pool: LocalPool<CanonicalEvent>,
    pub reports: LocalPool<ExecReport>,
    names: Interner,
    pub books: BTreeMap<InstrumentId, Book>,
    pub emitted: Vec<Event>,
    pub derived: Vec<Event>,
    pub discarded: Vec<(Kind, Discard)>,
    pub statuses: Vec<(String, Kind, StreamState, Reason)>,
    pub counts: Vec<(Kind, Count)>,
    pub notices: Vec<String>,
    pub heard: Vec<Heard>,
    pub instruments: BTreeMap<InstrumentId, Instrument>,
}

impl Default for TestPipeline {
    fn default() -> Self {
        Self {
            pool: LocalPool::new("CanonicalEvent", 2),
            reports: LocalPool::new("ExecReport", 200),
            names: Interner::new(1_000),
            books: BTreeMap::new(),
            emitted: Vec::new(),
            derived: Vec::new(),
            discarded: Vec::new(),
            statuses: Vec::new(),
            counts: Vec::new(),
            notices: Vec::new(),
            heard: Vec::new(),
            instruments: BTreeMap::new(),
        }
    }
}

impl TestPipeline {
    pub fn id(&self, name: &str) -> InstrumentId {
        InstrumentId(self.names.get(name).unwrap())
    }

    pub fn count(&self, what: Count) -> usize {
        self.counts.iter().filter(|(_, other)| *other == what).count()
    }

    pub fn discards(&self, why: Discard) -> usize {
        self.discarded.iter().filter(|(_, other)| *other == why).count()
    }
}

impl Pipeline for TestPipeline {
    fn event(&mut self) -> Option<LocalPooled<CanonicalEvent>> {
        self.pool.try_acquire()
    }

    fn emit(&mut self, event: LocalPooled<CanonicalEvent>) -> bool {
        self.emitted.push(event.to_event());
        true
    }

    fn derive(&mut self, event: LocalPooled<CanonicalEvent>) {
        self.derived.push(event.to_event());
    }

    fn discard(&mut self, event: LocalPooled<CanonicalEvent>, why: Discard) {
        self.discarded.push((event.header.stream.kind, why));
    }

    fn status(&mut self, id: InstrumentId, of: Kind, state: StreamState, reason: Reason) {
        let name = self.names.name(id.0).unwrap().to_string();
        self.statuses.push((name, of, state, reason));
    }

    fn count(&mut self, _: InstrumentId, kind: Kind, what: Count) {
        self.counts.push((kind, what));
    }

    fn notice(&mut self, notice: Notice<'_>) {
        self.notices.push(format!("{notice:?}"));
    }

    fn unreadable(&mut self, _: ConnId, _: &[u8], _: &Error) {}

    fn exec_report(&mut self) -> Option<LocalPooled<ExecReport>> {
        self.reports.try_acquire()
    }

    fn heard(&mut self, heard: Heard) {
        self.heard.push(heard);
    }

    fn book(&mut self, instrument: InstrumentId) -> &mut Book {
        self.books.entry(instrument).or_default()
    }

    fn list(&mut self, instrument: &Instrument) -> Result<InstrumentId, Error> {
        let id = InstrumentId(self.names.intern(&instrument.name)?);
        self.instruments.insert(id, instrument.clone());
        Ok(id)
    }
}

/// A machine with its pipeline and outbox, driven by plain calls.
pub struct Bench {
    pub venue: Box<dyn Venue>,
    pub pipeline: TestPipeline,
    pub outbox: Outbox,
    pub now: Nanos,
}

impl Bench {
    pub fn new(venue: Box<dyn Venue>) -> Self {
        let now = Nanos(1_700_000_000_000_000_000);
        Self { venue, pipeline: TestPipeline::default(), outbox: Outbox::default(), now }
    }

    fn with<R>(&mut self, call: impl FnOnce(&mut dyn Venue, Nanos, &mut Sink<'_>) -> R) -> R {
        let mut sink = Sink { pipeline: &mut self.pipeline, outbox: &mut self.outbox };
        call(&mut *self.venue, self.now, &mut sink)
    }

    pub fn subscribe(&mut self, streams: &[(&str, Kind)]) {
        let command = Command::Subscribe(subscriptions(streams));
        self.with(|venue, now, sink| venue.on_command(&command, now, sink));
    }

    pub fn unsubscribe(&mut self, streams: &[(&str, Kind)]) {
        let command = Command::Unsubscribe(subscriptions(streams));
        self.with(|venue, now, sink| venue.on_command(&command, now, sink));
    }

    pub fn command(&mut self, command: &Command) {
        self.with(|venue, now, sink| venue.on_command(command, now, sink));
    }

    /// What goes now or never did not go.
    pub fn unsent(&mut self, id: RequestId, why: &str) {
        let response = Response { id: Some(id), url: "", outcome: Outcome::Unsent(why) };
        let _ = self.with(|venue, now, sink| venue.on_response(response, now, sink));
    }

    pub fn open(&mut self, link: u16, conn: u32) {
        self.with(|venue, now, sink| venue.on_open(LinkId(link), ConnId(conn), now, sink));
    }

    pub fn close(&mut self, conn: u32) {
        self.with(|venue, now, sink| venue.on_close(ConnId(conn), now, sink));
    }

    pub fn frame(&mut self, conn: u32, text: &str) -> Result<(), Error> {
        self.with(|venue, now, sink| venue.on_frame(ConnId(conn), text.as_bytes(), now, sink))
    }

    /// Lets time pass without anything happening, timers apart.
    pub fn pass(&mut self, ms: u64) {
        let end = self.now + std::time::Duration::from_millis(ms);
        while let Some(at) = self.outbox.wake_at.take_if(|at| *at <= end) {
            self.now = at.max(self.now);
            self.with(|venue, now, sink| venue.on_timer(now, sink));
        }
        self.now = end;
    }

    /// The open request whose address holds `part`, taken.
    pub fn take_request(&mut self, part: &str) -> Option<Request> {
        let at = self.outbox.requests.iter().position(|request| request.url.contains(part))?;
        Some(self.outbox.requests.remove(at))
    }

    pub fn answer(&mut self, request: &Request, body: &str) -> Result<(), Error> {
        let outcome = Outcome::Answered(body.as_bytes());
        self.outcome(request, outcome)
    }

    /// An answer that nobody asked for, as a recording holds them.
    pub fn unasked(&mut self, url: &str, body: &str) -> Result<(), Error> {
        let response = Response { id: None, url, outcome: Outcome::Answered(body.as_bytes()) };
        self.with(|venue, now, sink| venue.on_response(response, now, sink))
    }

    pub fn outcome(&mut self, request: &Request, outcome: Outcome<'_>) -> Result<(), Error> {
        let response = Response { id: Some(request.id), url: &request.url, outcome };
        self.with(|venue, now, sink| venue.on_response(response, now, sink))
    }

    pub fn book(&mut self, name: &str) -> &Book {
        let id = self.pipeline.id(name);
        self.pipeline.book(id)
    }

    pub fn state(&mut self, name: &str) -> StreamState {
        self.book(name).state
    }

    /// `price×quantity` of a side, best first.
    pub fn levels(&mut self, name: &str, side: Side) -> Vec<String> {
        let levels = self.book(name).levels(side);
        levels.map(|l| format!("{}×{}", l.price.normalize(), l.quantity.normalize())).collect()
    }
}

fn subscriptions(streams: &[(&str, Kind)]) -> Vec<Subscription> {
    let one =
        |(name, kind): &(&str, Kind)| Subscription { instrument: (*name).into(), kind: *kind };
    streams.iter().map(one).collect()
}

/// A book as Kraken keeps and sends it: prices and quantities are integers of its precision.
#[derive(Clone)]
pub struct KrakenBook {
    symbol: &'static str,
    pub places: usize,
    pub sides: [BTreeMap<u32, u32>; 2],
    pub depth: usize,
}

impl KrakenBook {
    /// Ten bids below and ten offers above 1,000 units.
    pub fn new(symbol: &'static str, places: usize) -> Self {
        let bids = (990..1_000).map(|price| (price, price * 3)).collect();
        let asks = (1_002..1_012).map(|price| (price, price * 2)).collect();
        Self { symbol, places, sides: [bids, asks], depth: 10 }
    }

    /// Changes a level and gives the update that says so.
    pub fn update(&mut self, side: Side, price: u32, quantity: u32) -> String {
        self.set(side, price, quantity);
        let level = format!("{{{}}}", self.printed(price, quantity));
        let (bids, asks) =
            if side == Side::Buy { (level, String::new()) } else { (String::new(), level) };
        self.message("update", &bids, &asks)
    }

    pub fn set(&mut self, side: Side, price: u32, quantity: u32) {
        let levels = &mut self.sides[usize::from(side == Side::Sell)];
        levels.insert(price, quantity);
        levels.retain(|_, quantity| *quantity > 0);
    }

    pub fn snapshot(&self) -> String {
        let side = |side| {
            let levels = self.best(side, self.depth);
            let levels: Vec<_> =
                levels.iter().map(|(p, q)| format!("{{{}}}", self.printed(*p, *q))).collect();
            levels.join(",")
        };
        self.message("snapshot", &side(Side::Buy), &side(Side::Sell))
    }

    pub fn best(&self, side: Side, depth: usize) -> Vec<(u32, u32)> {
        let [bids, asks] = &self.sides;
        let pair = |(price, quantity): (&u32, &u32)| (*price, *quantity);
        match side {
            Side::Buy => bids.iter().rev().map(pair).take(depth).collect(),
            Side::Sell => asks.iter().map(pair).take(depth).collect(),
        }
    }

    /// The subscribed levels as `Bench::levels` shows them.
    pub fn shown(&self, side: Side) -> Vec<String> {
        let level = |(price, quantity): &(u32, u32)| {
            let price = model::Decimal::new(i64::from(*price), u32::try_from(self.places).unwrap());
            let quantity = model::Decimal::new(i64::from(*quantity), 8);
            format!("{}×{}", price.normalize(), quantity.normalize())
        };
        self.best(side, self.depth).iter().map(level).collect()
    }

    /// An update of these levels, with the checksum of the book as it stands.
    pub fn message_of(&self, bids: &[(u32, u32)], asks: &[(u32, u32)]) -> String {
        let side = |levels: &[(u32, u32)]| {
            let one = |(p, q): &(u32, u32)| format!("{{{}}}", self.printed(*p, *q));
            levels.iter().map(one).collect::<Vec<_>>().join(",")
        };
        self.message("update", &side(bids), &side(asks))
    }

    fn message(&self, kind: &str, bids: &str, asks: &str) -> String {
        format!(
            r#"{{"channel":"book","type":"{kind}","data":[{{"symbol":"{}","bids":[{bids}],"asks":[{asks}],"checksum":{},"timestamp":"2026-08-16T23:37:03.745044Z"}}]}}"#,
            self.symbol,
            self.checksum()
        )
    }

    fn printed(&self, price: u32, quantity: u32) -> String {
        format!(r#""price":{},"qty":{}"#, digits(price, self.places), digits(quantity, 8))
    }

    /// As the documentation says it, on text.
    fn checksum(&self) -> u32 {
        let mut text = String::new();
        for side in [Side::Sell, Side::Buy] {
            for (price, quantity) in self.best(side, 10) {
                for number in [digits(price, self.places), digits(quantity, 8)] {
                    text += number.replace('.', "").trim_start_matches('0');
                }
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
}

/// An integer of `10^-places` as a decimal.
fn digits(number: u32, places: usize) -> String {
    let text = format!("{number:0>width$}", width = places + 1);
    let (whole, fraction) = text.split_at(text.len() - places);
    if places == 0 { whole.to_owned() } else { format!("{whole}.{fraction}") }
}
