//! A pipeline for tests: keeps what a venue machine gives, and books in a map.

#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;

use model::event::Reason;
use model::ids::Interner;
use model::venue::{
    Command, Count, Discard, Notice, Outbox, Outcome, Pipeline, Request, Response, Sink,
    Subscription, Venue,
};
use model::{
    Book, CanonicalEvent, ConnId, Error, Event, Instrument, InstrumentId, Kind, LinkId, Nanos,
    Side, StreamState,
};
use pool::{LocalPool, LocalPooled};

pub struct TestPipeline {
    pool: LocalPool<CanonicalEvent>,
    names: Interner,
    pub books: BTreeMap<InstrumentId, Book>,
    pub emitted: Vec<Event>,
    pub derived: Vec<Event>,
    pub discarded: Vec<(Kind, Discard)>,
    pub statuses: Vec<(String, Kind, StreamState, Reason)>,
    pub counts: Vec<(Kind, Count)>,
    pub notices: Vec<String>,
    pub instruments: BTreeMap<InstrumentId, Instrument>,
}

impl Default for TestPipeline {
    fn default() -> Self {
        Self {
            pool: LocalPool::new("CanonicalEvent", 2),
            names: Interner::new(1_000),
            books: BTreeMap::new(),
            emitted: Vec::new(),
            derived: Vec::new(),
            discarded: Vec::new(),
            statuses: Vec::new(),
            counts: Vec::new(),
            notices: Vec::new(),
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

    fn emit(&mut self, event: LocalPooled<CanonicalEvent>) {
        self.emitted.push(event.to_event());
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
