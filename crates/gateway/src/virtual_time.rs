//! The virtual-time loop: sessions, the engine and far ends joined by plain calls.
//!
//! Time stands still while anything happens and then jumps to the next moment at which something
//! does: a message arrives, a deadline comes. Nothing here sleeps, nothing is random, and the same
//! inputs give the same outputs. A far end is any [`Machine`]: a player of captures, a simulated
//! venue, a script in a test. Several links may have clones of one far end, as a venue's market data
//! and its orders have: whichever of them it is called through, what comes out goes to whom it is for.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use engine::Shard;
use engine::resequence::Limits;
use model::venue::{Command, Pipeline, Venue};
use model::{ConnId, Nanos, ProviderId, RequestId};
use net::{
    Action, CloseReason, ConnectError, FetchError, Reply, ReplyBody, Session, SessionConfig,
};
use sim::machine::{ClientId, ControlFrame, Machine, Output, Request, RequestId as FarRequestId};

mod orders;

use orders::Trading;
pub use orders::{Trader, TradingLink};

/// Whether a far end can be reached at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// As it should be.
    #[default]
    Up,
    /// Its name is not known.
    Unresolved,
    /// Nobody listens.
    Refused,
    /// Connections stay up and nothing comes through, in either direction.
    Silent,
}

/// One provider with its far end.
struct Link {
    provider: ProviderId,
    session: Session,
    far: Box<dyn Machine>,
    reach: Reach,
    clients: BTreeMap<ClientId, ConnId>,
    /// Connections that are open and on which nothing comes through any more.
    silent: BTreeSet<ConnId>,
    out: Vec<Output>,
}

/// Something that is on its way.
enum Happening {
    /// To the far end.
    Connect(ConnId, String),
    Message(ConnId, String),
    Control(ConnId, ControlFrame),
    Gone(ConnId),
    Request(RequestId, Request),
    /// To the session.
    Opened(ConnId),
    Failed(ConnId, ConnectError),
    Frame(ConnId, Bytes),
    Ping(ConnId, Bytes),
    Pong(ConnId),
    Closed(ConnId, CloseReason),
    Answer(RequestId, u16, Vec<(String, String)>, Bytes),
    Unanswered(RequestId, FetchError),
}

struct Due {
    at: Nanos,
    order: u64,
    link: usize,
    what: Happening,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// A shard with its providers' sessions and their far ends.
pub struct World {
    /// The time.
    pub now: Nanos,
    /// The engine.
    pub shard: Shard,
    links: Vec<Link>,
    queue: BinaryHeap<Reverse<Due>>,
    order: u64,
    latency: Duration,
    /// Tells this process' clients and requests from those of one that died before it.
    process: u8,
    trading: Option<Trading>,
    /// Points passed at which a process may die.
    points: u64,
    /// It dies at that one.
    dies_at: Option<u64>,
}

impl World {
    /// A world without providers in which everything takes `latency` one way.
    #[must_use]
    pub fn new(shard: Shard, now: Nanos, latency: Duration) -> Self {
        let queue = BinaryHeap::new();
        Self {
            now,
            shard,
            links: Vec::new(),
            queue,
            order: 0,
            latency,
            process: 0,
            trading: None,
            points: 0,
            dies_at: None,
        }
    }

    /// A world for a process that comes after others, whose far ends live on.
    #[must_use]
    pub fn after(self, processes: u8) -> Self {
        Self { process: processes, ..self }
    }

    /// The process dies, at once and without a word: all that was on its way is gone, and far ends
    /// see their connections end. Gives the time.
    pub fn die(mut self) -> Nanos {
        for link in 0..self.links.len() {
            for client in std::mem::take(&mut self.links[link].clients).into_keys() {
                self.far_call(link, |far, now, out| far.disconnected(now, client, out));
            }
        }
        self.now
    }

    /// Adds a provider; gives its place. At most 256.
    ///
    /// # Errors
    /// The engine has no room for it.
    pub fn add(
        &mut self,
        name: &str,
        venue: Box<dyn Venue>,
        far: Box<dyn Machine>,
    ) -> Result<usize, model::Error> {
        let config = SessionConfig::new(name, self.links.len() as u64);
        self.add_with(config, venue, far)
    }

    /// Adds a provider whose session is told that; gives its place.
    ///
    /// # Errors
    /// The engine has no room for it.
    pub fn add_with(
        &mut self,
        config: SessionConfig,
        venue: Box<dyn Venue>,
        far: Box<dyn Machine>,
    ) -> Result<usize, model::Error> {
        let provider = self.shard.catalog().provider(&config.name)?;
        self.shard.follow(provider, venue.profile(), Limits::default());
        let session = Session::new(venue, config);
        self.links.push(Link {
            provider,
            session,
            far,
            reach: Reach::Up,
            clients: BTreeMap::new(),
            silent: BTreeSet::new(),
            out: Vec::new(),
        });
        Ok(self.links.len() - 1)
    }

    /// The session of a provider.
    #[must_use]
    pub fn session(&self, link: usize) -> &Session {
        &self.links[link].session
    }

    /// The number of a provider.
    #[must_use]
    pub fn provider(&self, link: usize) -> ProviderId {
        self.links[link].provider
    }

    /// Changes whether a far end can be reached. Connections that are up stay so.
    pub fn set_reach(&mut self, link: usize, reach: Reach) {
        self.links[link].reach = reach;
    }

    /// Puts another far end in a provider's place, as a restarted server would be: every
    /// connection ends without a word.
    pub fn replace_far(&mut self, link: usize, far: Box<dyn Machine>) {
        self.links[link].far = far;
        for conn in std::mem::take(&mut self.links[link].clients).into_values() {
            self.send(link, Happening::Closed(conn, CloseReason::Eof));
        }
    }

    /// Subscriptions change.
    pub fn command(&mut self, link: usize, command: &Command) {
        self.session_call(link, |session, now, pipeline| session.command(command, now, pipeline));
    }

    /// Lets time pass.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.tell_venues();
        self.carry_orders();
        while let Some(at) = self.next_at().filter(|at| *at <= end && !self.is_dead()) {
            self.now = self.now.max(at);
            self.step();
        }
        self.now = if self.is_dead() { self.now } else { end };
    }

    /// Lets time pass until something is as wanted; `false` where it is not within `limit`.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + limit;
        self.tell_venues();
        self.carry_orders();
        while !done(self) {
            let Some(at) = self.next_at().filter(|at| *at <= end && !self.is_dead()) else {
                self.now = if self.is_dead() { self.now } else { end };
                return done(self);
            };
            self.now = self.now.max(at);
            self.step();
        }
        true
    }

    fn next_at(&self) -> Option<Nanos> {
        let queued = self.queue.peek().map(|Reverse(due)| due.at);
        let sessions = self.links.iter().filter_map(|link| link.session.deadline());
        let fars = self.links.iter().filter_map(|link| link.far.deadline());
        let orders = self.trading.as_ref().and_then(|trading| trading.deadline(self.now));
        let ours = self.shard.deadline().into_iter().chain(orders);
        queued.into_iter().chain(sessions).chain(fars).chain(ours).min()
    }

    /// Everything that is due now, in a fixed order: what is on its way, far ends, sessions.
    fn step(&mut self) {
        let now = self.now;
        while self.queue.peek().is_some_and(|Reverse(due)| due.at <= now) {
            if let Some(Reverse(due)) = self.queue.pop() {
                self.happen(due.link, due.what);
            }
        }
        for link in 0..self.links.len() {
            if self.links[link].far.deadline().is_some_and(|at| at <= now) {
                self.far_call(link, |far, now, out| far.tick(now, out));
            }
            if self.links[link].session.deadline().is_some_and(|at| at <= now) {
                self.session_call(link, Session::timer);
            }
        }
        self.carry_orders();
        if self.is_dead() {
            return;
        }
        self.shard.end_turn(now);
        self.tell_venues();
    }

    fn tell_venues(&mut self) {
        let of_data = |link: &usize| self.trading.as_ref().is_none_or(|of| !of.has(*link));
        let links: Vec<_> = (0..self.links.len()).filter(of_data).collect();
        links.into_iter().for_each(|link| self.tell_venue(link));
    }

    /// Tells a venue what is to be subscribed and what not any more, as far as its message budget is
    /// free.
    fn tell_venue(&mut self, link: usize) {
        loop {
            let Link { provider, session, .. } = &self.links[link];
            let commands = self.shard.venue_commands(*provider, session.can_send());
            if commands.is_empty() {
                return;
            }
            commands.iter().for_each(|command| self.command(link, command));
        }
    }

    fn happen(&mut self, link: usize, what: Happening) {
        let silent = self.links[link].reach == Reach::Silent;
        match what {
            Happening::Connect(conn, target) => self.connect(link, conn, &target),
            Happening::Request(id, request) => self.request(link, id, &request),
            _ if silent => {}
            Happening::Message(conn, _) | Happening::Control(conn, _)
                if self.links[link].silent.contains(&conn) => {}
            Happening::Gone(conn) if self.links[link].silent.remove(&conn) => {}
            Happening::Message(conn, text) => {
                let client = self.client(link, conn);
                self.far_call(link, |far, now, out| {
                    far.message(now, client, text.as_bytes(), out);
                });
            }
            Happening::Control(conn, control) => self.control(link, conn, &control),
            Happening::Gone(conn) => {
                let client = self.client(link, conn);
                self.links[link].clients.remove(&client);
                self.far_call(link, |far, now, out| far.disconnected(now, client, out));
            }
            Happening::Opened(conn) => {
                self.session_call(link, |s, now, pipeline| s.opened(conn, now, pipeline));
            }
            Happening::Failed(conn, error) => self.session_call(link, |s, now, pipeline| {
                s.connect_failed(conn, &error, now, pipeline);
            }),
            Happening::Frame(conn, payload) => {
                self.session_call(link, |s, now, pipeline| s.frame(conn, &payload, now, pipeline));
            }
            Happening::Ping(conn, payload) => {
                self.session_call(link, |session, now, _| session.pinged(conn, now));
                self.send(link, Happening::Control(conn, ControlFrame::Pong(payload)));
            }
            Happening::Pong(conn) => {
                self.session_call(link, |session, now, _| session.ponged(conn, now));
            }
            Happening::Closed(conn, reason) => {
                self.session_call(link, |s, now, pipeline| s.closed(conn, &reason, now, pipeline));
            }
            Happening::Answer(id, status, headers, body) => {
                self.answer(link, id, status, &headers, &body);
            }
            Happening::Unanswered(id, error) => self.session_call(link, |s, now, pipeline| {
                s.answered(id, Err(error), now, pipeline);
            }),
        }
    }

    fn connect(&mut self, link: usize, conn: ConnId, target: &str) {
        let client = self.client(link, conn);
        let error = match self.links[link].reach {
            Reach::Up => {
                let mut refusal = None;
                self.far_call(link, |far, now, out| {
                    refusal = far.connect(now, client, target, out).err();
                });
                refusal.map(|reply| ConnectError::Upgrade {
                    status: reply.status,
                    retry_after: None,
                    body: String::from_utf8_lossy(&reply.body).into_owned(),
                })
            }
            Reach::Unresolved => Some(ConnectError::Resolve {
                host: "far.end".to_owned(),
                detail: "no such name".to_owned(),
            }),
            Reach::Refused => {
                Some(ConnectError::Refused { address: SocketAddr::from(([127, 0, 0, 1], 1)) })
            }
            // The session gives it up by itself.
            Reach::Silent => return,
        };
        match error {
            Some(error) => self.send(link, Happening::Failed(conn, error)),
            None => {
                self.links[link].clients.insert(client, conn);
                self.send(link, Happening::Opened(conn));
            }
        }
    }

    /// A ping or a pong reaches the far end, which answers a ping unless it has ended the connection.
    fn control(&mut self, link: usize, conn: ConnId, control: &ControlFrame) {
        let client = self.client(link, conn);
        self.far_call(link, |far, now, out| far.control(now, client, control, out));
        if matches!(control, ControlFrame::Ping(_))
            && self.links[link].clients.contains_key(&client)
        {
            self.send(link, Happening::Pong(conn));
        }
    }

    fn request(&mut self, link: usize, id: RequestId, request: &Request) {
        if self.links[link].reach == Reach::Up {
            let far_id = self.far_id(link, id);
            self.far_call(link, |far, now, out| far.request(now, far_id, request, out));
        } else {
            let error = FetchError::Connect("the far end can't be reached".to_owned());
            self.send(link, Happening::Unanswered(id, error));
        }
    }

    fn answer(
        &mut self,
        link: usize,
        id: RequestId,
        status: u16,
        headers: &[(String, String)],
        body: &Bytes,
    ) {
        let header = |name: &str| {
            headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
        };
        let retry_after = header("retry-after").and_then(|s| s.parse().ok());
        let weight_header = self.links[link].session.profile().used_weight_header;
        let weight_used = weight_header.and_then(header).and_then(|used| used.parse().ok());
        let reply = Reply {
            status,
            weight_used,
            retry_after: retry_after.map(Duration::from_secs),
            body: ReplyBody::Raw(body),
        };
        let far_id = self.far_id(link, id);
        self.far_call(link, |far, now, out| far.answered(now, far_id, true, out));
        self.session_call(link, |s, now, pipeline| s.answered(id, Ok(reply), now, pipeline));
    }

    /// Calls a far end and puts what it wants done on its way.
    fn far_call(
        &mut self,
        link: usize,
        call: impl FnOnce(&mut dyn Machine, Nanos, &mut Vec<Output>),
    ) {
        let mut out = std::mem::take(&mut self.links[link].out);
        call(&mut *self.links[link].far, self.now, &mut out);
        for output in out.drain(..) {
            match output {
                Output::Send { client, payload } => {
                    if let Some((home, conn)) = self.home(client) {
                        self.send(home, Happening::Frame(conn, payload));
                    }
                }
                Output::Ping { client, payload } => {
                    if let Some((home, conn)) = self.home(client) {
                        self.send(home, Happening::Ping(conn, payload));
                    }
                }
                Output::Close { client, code, reason } => {
                    let reason = CloseReason::PeerClosed { code, reason };
                    self.end(client, reason);
                }
                Output::Break { client, .. } => {
                    if let Some((home, conn)) = self.home(client)
                        && self.links[home].silent.remove(&conn)
                    {
                        self.send(home, Happening::Closed(conn, CloseReason::Eof));
                    }
                    self.end(client, CloseReason::Eof);
                }
                Output::Silence { client } => {
                    if let Some((home, conn)) = self.home(client)
                        && self.links[home].clients.remove(&client).is_some()
                    {
                        self.links[home].silent.insert(conn);
                    }
                }
                Output::Answer { request, reply } => {
                    let Some(home) = self.home_of(request.0) else { continue };
                    let id = RequestId(request.0 & LOW);
                    let (status, headers) = (reply.status, reply.headers);
                    self.send(home, Happening::Answer(id, status, headers, reply.body));
                }
            }
        }
        self.links[link].out = out;
    }

    /// Calls a session and puts what it has decided on its way.
    fn session_call(
        &mut self,
        link: usize,
        call: impl FnOnce(&mut Session, Nanos, &mut dyn Pipeline),
    ) {
        let Link { provider, session, .. } = &mut self.links[link];
        let mut port = match &mut self.trading {
            Some(trading) if trading.has(link) => {
                trading.port(&mut self.shard, *provider, self.now)
            }
            _ => self.shard.port(*provider, self.now),
        };
        call(session, self.now, &mut port);
        while let Some(action) = self.links[link].session.next_action() {
            let what = match action {
                Action::Connect { conn, url, .. } => Happening::Connect(conn, target(&url)),
                Action::Send { conn, text } => Happening::Message(conn, text),
                Action::Ping { conn, payload } => {
                    let payload = Bytes::copy_from_slice(&payload);
                    Happening::Control(conn, ControlFrame::Ping(payload))
                }
                Action::Close { conn, .. } => Happening::Gone(conn),
                Action::Request { request, timeout } => {
                    // Heard only where nothing has answered before.
                    let (id, error) = (request.id, FetchError::Timeout);
                    self.send_after(link, timeout, Happening::Unanswered(id, error));
                    if self.links[link].reach == Reach::Silent {
                        continue;
                    }
                    Happening::Request(id, far_request(request))
                }
                // An answer that nobody waits for is dropped by the session.
                Action::Cancel { .. } => continue,
            };
            self.send(link, what);
        }
    }

    /// A connection is over, where it was not before.
    fn end(&mut self, client: ClientId, reason: CloseReason) {
        let Some((home, conn)) = self.home(client) else { return };
        if self.links[home].clients.remove(&client).is_some() {
            self.send(home, Happening::Closed(conn, reason));
        }
    }

    fn client(&self, link: usize, conn: ConnId) -> ClientId {
        ClientId(high(self.process, link) | u64::from(conn.0))
    }

    fn far_id(&self, link: usize, id: RequestId) -> FarRequestId {
        FarRequestId(high(self.process, link) | (id.0 & LOW))
    }

    /// Whose connection it is; `None` for one of a process that is no more.
    fn home(&self, client: ClientId) -> Option<(usize, ConnId)> {
        Some((self.home_of(client.0)?, ConnId(u32::try_from(client.0 & LOW).ok()?)))
    }

    fn home_of(&self, number: u64) -> Option<usize> {
        (0..self.links.len()).find(|link| high(self.process, *link) == number & !LOW)
    }

    fn send(&mut self, link: usize, what: Happening) {
        self.send_after(link, self.latency, what);
    }

    fn send_after(&mut self, link: usize, after: Duration, what: Happening) {
        self.order += 1;
        let (at, order) = (self.now + after, self.order);
        self.queue.push(Reverse(Due { at, order, link, what }));
    }
}

/// A link's number beside the process'.
fn high(process: u8, link: usize) -> u64 {
    (u64::from(process) << 56) | ((link as u64 & 0xFF) << 48)
}

/// Below a process and a link: connections and requests.
const LOW: u64 = (1 << 48) - 1;

/// A request as the far end gets it.
fn far_request(request: model::venue::Request) -> Request {
    let headers = request.headers.into_iter().map(|(name, value)| (name.to_owned(), value));
    Request {
        method: request.method.name().to_owned(),
        target: target(&request.url),
        headers: headers.collect(),
        body: request.body.into(),
    }
}

/// Path and query of an address.
fn target(url: &str) -> String {
    match model::capture::split_url(url) {
        (path, "") => path.to_owned(),
        (path, query) => format!("{path}?{query}"),
    }
}
