//! A venue whose messages are orders to itself, and a pipeline that counts.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, clippy::expect_used)]

pub mod desk;
pub mod rig;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use model::book::Book;
use model::event::{Kind, Reason, StreamState};
use model::trading::Heard;
use model::venue::{
    Bulk, Command, Count, Discard, LinkChange, Notice, Outbox, Outcome, Pipeline, Profile, Rate,
    Request, Response, Sink, Venue,
};
use model::{
    CanonicalEvent, ConnId, Error, ExecReport, Instrument, InstrumentId, LinkId, Nanos, Remedy,
    RequestId,
};
use pool::{LocalPool, LocalPooled};

/// What the venue's machine was told, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    Open(LinkId, ConnId),
    Frame(ConnId, String),
    Close(ConnId),
    Answered(RequestId, String),
    Decoded(RequestId, usize),
    Delayed(RequestId, Reason, Nanos),
    Refused(RequestId, u16, String),
    Status(RequestId, u16, String),
    Lost(RequestId),
    Unsent(RequestId, String),
    Timer(Nanos),
}

#[derive(Default)]
pub struct Script {
    pub calls: Vec<Call>,
    /// Arrival stamps of frames.
    pub stamps: Vec<Nanos>,
    /// Wanted with the next call.
    pub wants: Outbox,
    /// Links asked for by the first command.
    pub links: Vec<(LinkId, String)>,
    /// Sent on every connection that opens.
    pub greeting: Option<String>,
    /// Asked again for ever when refused.
    pub stubborn: bool,
    pub next_request: u64,
}

/// A handle on the script of a venue that was given away.
#[derive(Clone, Default)]
pub struct Handle(Arc<Mutex<Script>>);

impl Handle {
    pub fn lock(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap()
    }

    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// The calls since the last time.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.lock().calls)
    }
}

pub const PROFILE: Profile = Profile {
    connection_lifetime: Some(Duration::from_secs(24 * 3_600)),
    ping_after: Duration::from_secs(60),
    ping_text: None,
    pong_timeout: Duration::from_secs(10),
    connects: Rate { count: 300, per: Duration::from_secs(300) },
    messages: Rate { count: 5, per: Duration::from_secs(1) },
    weight: Rate { count: 6_000, per: Duration::from_secs(60) },
    used_weight_header: Some("x-used"),
    message_bytes_max: 64 * 1_024,
    contiguous: &[],
    skipping: &[],
};

pub struct FakeVenue {
    profile: Profile,
    handle: Handle,
}

impl FakeVenue {
    pub fn new(profile: Profile, handle: Handle) -> Self {
        Self { profile, handle }
    }

    fn note(&self, call: Call, sink: &mut Sink<'_>) -> MutexGuard<'_, Script> {
        let mut script = self.handle.lock();
        script.calls.push(call);
        give(&mut script, sink);
        script
    }
}

fn give(script: &mut Script, sink: &mut Sink<'_>) {
    let wants = std::mem::take(&mut script.wants);
    sink.outbox.links.extend(wants.links);
    sink.outbox.frames.extend(wants.frames);
    sink.outbox.once_frames.extend(wants.once_frames);
    sink.outbox.requests.extend(wants.requests);
    sink.outbox.cancelled.extend(wants.cancelled);
    sink.outbox.renew.extend(wants.renew);
    sink.outbox.reconnect.extend(wants.reconnect);
    if let Some(at) = wants.wake_at {
        sink.outbox.wake_at(at);
    }
}

pub fn bulk(body: &[u8]) -> Result<Bulk, Error> {
    Ok(Bulk::LastTrade(Some(body.len() as u64)))
}

pub fn request(id: u64, weight: u32) -> Request {
    request_to(id, weight, &format!("http://h/{id}"))
}

pub fn request_to(id: u64, weight: u32, url: &str) -> Request {
    Request::get(RequestId(id), url.to_owned(), weight, bulk)
}

impl Venue for FakeVenue {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn on_command(&mut self, command: &Command, _: Nanos, sink: &mut Sink<'_>) {
        let mut script = self.handle.lock();
        give(&mut script, sink);
        for (link, url) in std::mem::take(&mut script.links) {
            let url = matches!(command, Command::Subscribe(_)).then_some(url);
            sink.outbox.links.push(LinkChange { link, url });
        }
    }

    fn on_open(&mut self, link: LinkId, conn: ConnId, _: Nanos, sink: &mut Sink<'_>) {
        let script = self.note(Call::Open(link, conn), sink);
        if let Some(greeting) = &script.greeting {
            sink.outbox.frames.push((conn, greeting.clone()));
        }
    }

    fn on_frame(
        &mut self,
        conn: ConnId,
        frame: &[u8],
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let text = String::from_utf8_lossy(frame).into_owned();
        let mut script = self.note(Call::Frame(conn, text.clone()), sink);
        script.stamps.push(now);
        let (word, rest) = text.split_once(' ').unwrap_or((&text, ""));
        match word {
            "data" => {
                let event = sink.pipeline.event().expect("an event");
                sink.pipeline.emit(event);
            }
            "duplicate" => {
                let event = sink.pipeline.event().expect("an event");
                sink.pipeline.discard(event, Discard::Duplicate);
            }
            "shutdown" => sink.outbox.renew.push((conn, Reason::VenueReset)),
            "distrust" => sink.outbox.reconnect.push((conn, Reason::CrossedBook)),
            "say" => sink.outbox.frames.push((conn, rest.to_owned())),
            "ask" => {
                script.next_request += 1;
                sink.outbox.requests.push(request_to(script.next_request, 1, rest));
            }
            "ack" => {}
            "resync" => return Err(Error::resync("so it is")),
            "reconnect" => return Err(Error::reconnect("so it is")),
            "stop" => return Err(Error::stop("so it is")),
            _ => return Err(Error::ignore("it is no word of this venue")),
        }
        Ok(())
    }

    fn on_close(&mut self, conn: ConnId, _: Nanos, sink: &mut Sink<'_>) {
        drop(self.note(Call::Close(conn), sink));
    }

    fn on_response(
        &mut self,
        response: Response<'_>,
        _: Nanos,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let id = response.id.expect("an id");
        let mut bad = None;
        let call = match response.outcome {
            Outcome::Answered(body) => {
                let body = String::from_utf8_lossy(body).into_owned();
                bad = match body.as_str() {
                    "bad" => Some(Remedy::Ignore),
                    "stop" => Some(Remedy::Stop),
                    _ => None,
                };
                Call::Answered(id, body)
            }
            Outcome::Decoded(Ok(Bulk::LastTrade(Some(len)))) => Call::Decoded(id, len as usize),
            Outcome::Decoded(other) => panic!("{other:?}"),
            Outcome::Delayed(reason, at) => Call::Delayed(id, reason, at),
            Outcome::Refused(status, words) => {
                let mut script = self.handle.lock();
                if script.stubborn {
                    script.next_request += 1;
                    sink.outbox.requests.push(request(1_000_000 + script.next_request, 1));
                }
                Call::Refused(id, status, words.to_owned())
            }
            Outcome::Status(status, body) => {
                Call::Status(id, status, String::from_utf8_lossy(body).into_owned())
            }
            Outcome::Lost(_) => Call::Lost(id),
            Outcome::Unsent(why) => Call::Unsent(id, why.to_owned()),
        };
        drop(self.note(call, sink));
        bad.map_or(Ok(()), |remedy| Err(Error::new(remedy, "so it is")))
    }

    fn on_timer(&mut self, now: Nanos, sink: &mut Sink<'_>) {
        drop(self.note(Call::Timer(now), sink));
    }
}

/// A pipeline that goes nowhere.
pub struct Nowhere {
    events: LocalPool<CanonicalEvent>,
    book: Book,
    pub emitted: usize,
    pub unreadable: usize,
}

impl Nowhere {
    pub fn new() -> Self {
        Self {
            events: LocalPool::new("events", 4),
            book: Book::default(),
            emitted: 0,
            unreadable: 0,
        }
    }
}

impl Pipeline for Nowhere {
    fn event(&mut self) -> Option<LocalPooled<CanonicalEvent>> {
        self.events.try_acquire()
    }

    fn emit(&mut self, _: LocalPooled<CanonicalEvent>) -> bool {
        self.emitted += 1;
        true
    }

    fn derive(&mut self, _: LocalPooled<CanonicalEvent>) {}

    fn discard(&mut self, _: LocalPooled<CanonicalEvent>, _: Discard) {}

    fn status(&mut self, _: InstrumentId, _: Kind, _: StreamState, _: Reason) {}

    fn count(&mut self, _: InstrumentId, _: Kind, _: Count) {}

    fn notice(&mut self, _: Notice<'_>) {}

    fn unreadable(&mut self, _: ConnId, _: &[u8], _: &Error) {
        self.unreadable += 1;
    }

    fn exec_report(&mut self) -> Option<LocalPooled<ExecReport>> {
        None
    }

    fn heard(&mut self, _: Heard) {}

    fn book(&mut self, _: InstrumentId) -> &mut Book {
        &mut self.book
    }

    fn list(&mut self, _: &Instrument) -> Result<InstrumentId, Error> {
        Ok(InstrumentId(0))
    }
}

impl net::Ports for Nowhere {
    fn with(&mut self, _: Nanos, f: &mut dyn FnMut(&mut dyn Pipeline)) {
        f(self);
    }
}
