//! A session in virtual time, with a far end that answers by itself or not at all.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::venue::{Command, Outbox, Profile, Request};
use model::{ConnId, LinkId, Nanos, RequestId};
use net::{
    Action, CloseReason, ConnectError, FetchError, Reply, ReplyBody, Session, SessionConfig,
};

use super::{Call, FakeVenue, Handle, Nowhere, PROFILE};

pub const START: Nanos = Nanos(1_700_000_000_000_000_000);

pub struct Desk {
    pub session: Session,
    pub venue: Handle,
    pub pipeline: Nowhere,
    pub now: Nanos,
    /// What was done, with when.
    pub log: Vec<(Nanos, Action)>,
    /// Connections that no action may name any more.
    dead: BTreeSet<ConnId>,
    known: BTreeMap<ConnId, LinkId>,
    open: BTreeSet<ConnId>,
    /// Requests under way, with their weight.
    pub asked: BTreeMap<RequestId, u32>,
}

impl Desk {
    pub fn new() -> Self {
        Self::with(PROFILE, |_| {})
    }

    pub fn with(profile: Profile, adjust: impl FnOnce(&mut SessionConfig)) -> Self {
        let mut config = SessionConfig::new("test", 1);
        adjust(&mut config);
        let venue = Handle::default();
        let session = Session::new(Box::new(FakeVenue::new(profile, venue.clone())), config);
        Self {
            session,
            venue,
            pipeline: Nowhere::new(),
            now: START,
            log: Vec::new(),
            dead: BTreeSet::new(),
            known: BTreeMap::new(),
            open: BTreeSet::new(),
            asked: BTreeMap::new(),
        }
    }

    /// Asks for link 0 and opens it.
    pub fn open(profile: Profile, adjust: impl FnOnce(&mut SessionConfig)) -> (Self, ConnId) {
        let mut desk = Self::with(profile, adjust);
        desk.link(0);
        let conn = desk.connecting();
        desk.opened(conn);
        desk.frame(conn, "data");
        desk.take_log();
        desk.venue.take_calls();
        (desk, conn)
    }

    pub fn link(&mut self, link: u16) {
        self.venue.lock().links.push((LinkId(link), format!("wss://h/{link}")));
        self.command(true);
    }

    pub fn unlink(&mut self, link: u16) {
        self.venue.lock().links.push((LinkId(link), String::new()));
        self.command(false);
    }

    pub fn command(&mut self, subscribe: bool) {
        let none = Vec::new();
        let command = if subscribe { Command::Subscribe(none) } else { Command::Unsubscribe(none) };
        self.session.command(&command, self.now, &mut self.pipeline);
        self.drain();
    }

    /// Has the venue's machine want something.
    pub fn want(&mut self, wish: impl FnOnce(&mut Outbox)) {
        wish(&mut self.venue.lock().wants);
        self.command(true);
    }

    pub fn opened(&mut self, conn: ConnId) {
        self.open.insert(conn);
        self.session.opened(conn, self.now, &mut self.pipeline);
        self.drain();
    }

    pub fn connect_failed(&mut self, conn: ConnId) {
        let error = ConnectError::Io("no luck".into());
        self.connect_failed_by(conn, &error);
    }

    pub fn connect_failed_by(&mut self, conn: ConnId, error: &ConnectError) {
        self.dead.insert(conn);
        self.session.connect_failed(conn, error, self.now, &mut self.pipeline);
        self.drain();
    }

    pub fn frame(&mut self, conn: ConnId, text: &str) {
        self.session.frame(conn, text.as_bytes(), self.now, &mut self.pipeline);
        self.drain();
    }

    pub fn closed(&mut self, conn: ConnId) {
        self.dead.insert(conn);
        self.session.closed(conn, &CloseReason::Eof, self.now, &mut self.pipeline);
        self.drain();
    }

    pub fn answer(&mut self, id: u64, status: u16, body: &str) {
        self.answer_with(id, status, body, None, None);
    }

    pub fn answer_with(
        &mut self,
        id: u64,
        status: u16,
        body: &str,
        weight_used: Option<u32>,
        retry_after: Option<Duration>,
    ) {
        let body = ReplyBody::Raw(body.as_bytes());
        let reply = Reply { status, weight_used, retry_after, body };
        self.asked.remove(&RequestId(id));
        self.session.answered(RequestId(id), Ok(reply), self.now, &mut self.pipeline);
        self.drain();
    }

    pub fn fail(&mut self, id: u64, error: FetchError) {
        self.asked.remove(&RequestId(id));
        self.session.answered(RequestId(id), Err(error), self.now, &mut self.pipeline);
        self.drain();
    }

    pub fn shutdown(&mut self) {
        self.session.shutdown(self.now, &mut self.pipeline);
        self.drain();
    }

    /// Goes to the next deadline, which must not be later than `within`; false when there is none.
    pub fn step(&mut self, within: Duration) -> bool {
        let Some(deadline) = self.session.deadline() else { return false };
        if deadline > self.now + within {
            return false;
        }
        self.now = self.now.max(deadline);
        self.session.timer(self.now, &mut self.pipeline);
        self.drain();
        let next = self.session.deadline();
        assert!(next.is_none_or(|next| next > self.now), "the timer spins at {}", self.now);
        true
    }

    /// Lets time pass, with all deadlines in it.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end.since(self.now)) {}
        self.now = end;
    }

    fn drain(&mut self) {
        while let Some(action) = self.session.next_action() {
            self.check(&action);
            self.log.push((self.now, action));
        }
    }

    /// What holds for every action, whatever happened.
    fn check(&mut self, action: &Action) {
        match action {
            Action::Connect { conn, link, .. } => {
                assert!(self.known.insert(*conn, *link).is_none(), "{conn} again");
                let live = self.known.iter().filter(|(c, l)| *l == link && !self.dead.contains(c));
                assert!(live.count() <= 2, "a crowd on link {link}");
            }
            Action::Send { conn, .. } | Action::Ping { conn, .. } => {
                assert!(self.known.contains_key(conn) && !self.dead.contains(conn), "{action:?}");
            }
            Action::Close { conn, .. } => {
                assert!(self.known.contains_key(conn) && self.dead.insert(*conn), "{action:?}");
            }
            Action::Request { request: Request { id, weight, .. }, .. } => {
                assert!(self.asked.insert(*id, *weight).is_none(), "{action:?}");
            }
            Action::Cancel { id } => {
                assert!(self.asked.remove(id).is_some(), "{action:?}");
            }
        }
    }

    pub fn is_dead(&self, conn: ConnId) -> bool {
        self.dead.contains(&conn)
    }

    pub fn is_open(&self, conn: ConnId) -> bool {
        self.open.contains(&conn)
    }

    /// Connections on their way.
    pub fn connecting_now(&self) -> Vec<ConnId> {
        let waits = |conn: &&ConnId| !self.dead.contains(conn) && !self.open.contains(conn);
        self.known.keys().filter(waits).copied().collect()
    }

    pub fn take_log(&mut self) -> Vec<(Nanos, Action)> {
        std::mem::take(&mut self.log)
    }

    /// The actions since the last time, in short.
    pub fn done(&mut self) -> Vec<String> {
        self.take_log().into_iter().map(|(_, action)| short(&action)).collect()
    }

    /// The connection that was last asked for.
    pub fn connecting(&self) -> ConnId {
        let conn = |action: &Action| match action {
            Action::Connect { conn, .. } => Some(*conn),
            _ => None,
        };
        self.log.iter().rev().find_map(|(_, action)| conn(action)).unwrap()
    }

    /// Waits for the next connect; gives how long it took.
    pub fn next_connect(&mut self) -> (ConnId, Duration) {
        let (before, from) = (self.known.len(), self.now);
        while self.known.len() == before {
            assert!(self.step(Duration::from_secs(1_000)), "no connect");
        }
        (self.connecting(), self.now.since(from))
    }

    pub fn calls(&self) -> Vec<Call> {
        self.venue.take_calls()
    }
}

pub fn short(action: &Action) -> String {
    match action {
        Action::Connect { conn, link, url, .. } => format!("connect {conn} for {link} to {url}"),
        Action::Send { conn, text } => format!("send {conn} {text}"),
        Action::Ping { conn, .. } => format!("ping {conn}"),
        Action::Close { conn, code, .. } => format!("close {conn} {code}"),
        Action::Request { request, .. } => format!("request {}", request.id),
        Action::Cancel { id } => format!("cancel {id}"),
    }
}
