//! Faults: what really goes wrong between a venue and its clients, put in front of any [`Machine`].
//!
//! [`Faulty`] drives a machine and spoils what comes out of it, by chance from one seed. What it did
//! and when is kept in a [log](Faulty::log), so that a test can ask what a client made of it. Whether
//! a message may be altered is the venue's to say: only a venue that sends checksums lets its client
//! notice. What else the lines must know of the machine behind them it says as a [`Subject`].

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use model::Nanos;

use crate::machine::{ClientId, ControlFrame, Machine, Output, Reply, Request, RequestId};
use crate::rng::Rng;
use inbound::Inbound;
use orders::Fate;

mod inbound;
mod options;
mod orders;
mod spoil;

pub use options::{Faults, PRESETS};

/// At most this many faults are remembered; the oldest go.
const LOG_MAX: usize = 65_536;
/// At most this many outputs are held back at a time; beyond it they go at once.
const HELD_MAX: usize = 65_536;
/// How long a stream's messages are kept back by a mute.
const MUTED_FOR: Duration = Duration::from_secs(20);
/// So long after a venue has said that a connection will end for maintenance it does.
const NOTICE: Duration = Duration::from_secs(10);

/// What faults have to know of a machine; one that carries no orders need say nothing.
pub trait Subject: Machine {
    /// Whether a connection carries orders or their reports.
    fn is_private(&self, _client: ClientId) -> bool {
        false
    }

    /// The answer to an order, a cancel or an amendment whose outcome the venue does not know itself;
    /// `None` where the request is none of them.
    fn unknown_outcome(&self, _request: &Request) -> Option<Reply> {
        None
    }

    /// The same of a message on a private connection.
    fn unknown_outcome_to(&self, _message: &[u8]) -> Option<Bytes> {
        None
    }

    /// Whether what is said on a private connection reports what became of an order.
    fn is_report(&self, _payload: &[u8]) -> bool {
        false
    }

    /// What a new value may come in, of messages and of answers.
    fn enumerations(&self) -> &'static [Enumeration] {
        &[]
    }

    /// The answer that turns a request away before the machine sees it, with the venue's own status,
    /// headers and words; `None` where the venue has none of that sort.
    fn turn_away(&mut self, now: Nanos, request: &Request, why: Trouble) -> Option<Reply>;

    /// What the venue says on a connection that will end for maintenance, where it says anything.
    fn farewell(&self, _now: Nanos, _client: ClientId) -> Option<Bytes> {
        None
    }

    /// Books are numbered anew from here on; `false` where the venue never does that.
    fn reset(&mut self) -> bool {
        false
    }
}

/// A field whose values a venue may add to at any time, and that says nothing of what happened, so that
/// a client can do without it: an order's sort, an instrument's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enumeration {
    /// What a message or an answer holds that has it.
    pub within: &'static str,
    /// What stands there before its value: `"status":"`.
    pub field: &'static str,
}

/// Why a venue turns a request away, whatever it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It serves nobody at the moment.
    Unavailable,
    /// It was asked too often, and is to be left alone for so long.
    TooOften(Duration),
    /// It was asked far too often: nothing is answered for so long.
    Banned(Duration),
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When.
    pub at: Nanos,
    /// What, by the name of its option.
    pub what: &'static str,
    /// To whom; `None` where it was a request.
    pub client: Option<ClientId>,
}

/// A machine behind bad lines.
pub struct Faulty<M> {
    inner: M,
    faults: Faults,
    rng: Rng,
    active: bool,
    clients: BTreeMap<ClientId, Line>,
    /// Clients on whose connections nothing comes through any more; broken when faults stop.
    silenced: BTreeSet<ClientId>,
    /// What is to become of the answers to requests, where that has been decided.
    fates: BTreeMap<RequestId, Fate>,
    /// What clients said and the machine has not read yet, by time and in the order in which it came.
    unread: BTreeMap<(Nanos, u64), Inbound>,
    /// When books are next numbered anew.
    reset_at: Option<Nanos>,
    /// Held back until its time, in the order in which it came.
    held: BinaryHeap<Reverse<Held>>,
    order: u64,
    scratch: Vec<Output>,
    log: VecDeque<Fault>,
    injected: u64,
}

/// One client's line.
#[derive(Debug, Default)]
struct Line {
    /// Everything goes out from then on: before it, in order, nothing.
    stalled_until: Option<Nanos>,
    /// Goes out after the next message.
    overtaken: Option<Bytes>,
    /// The stream that is kept back, and until when.
    muted: Option<(String, Nanos)>,
    /// The next fault of the connection itself.
    breaks_at: Option<Nanos>,
    /// When the venue announces its end.
    farewell_at: Option<Nanos>,
    /// The end was announced: it will be a clean one.
    is_announced: bool,
    /// Nothing that is sent gets through any more; it breaks at once.
    is_lost: bool,
    /// What the client says is read at this time, in order.
    read_at: Option<Nanos>,
}

/// An output whose time has not come.
#[derive(Debug)]
struct Held {
    at: Nanos,
    order: u64,
    output: Output,
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Held {}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Held {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl<M> Faulty<M> {
    /// `inner` behind lines with those faults, all chance from `seed`.
    #[must_use]
    pub fn new(inner: M, faults: Faults, seed: u64) -> Self {
        Self {
            inner,
            active: faults != Faults::default(),
            faults,
            rng: Rng::new(seed, 0),
            clients: BTreeMap::new(),
            silenced: BTreeSet::new(),
            fates: BTreeMap::new(),
            unread: BTreeMap::new(),
            reset_at: None,
            held: BinaryHeap::new(),
            order: 0,
            scratch: Vec::new(),
            log: VecDeque::new(),
            injected: 0,
        }
    }

    /// The machine.
    pub fn inner(&self) -> &M {
        &self.inner
    }

    /// The machine, to be told something.
    pub fn inner_mut(&mut self) -> &mut M {
        &mut self.inner
    }

    /// No more faults from here on, or again. What was held back goes out at the next tick, and
    /// connections that fell silent end there.
    pub fn set_active(&mut self, active: bool) {
        self.active = active && self.faults != Faults::default();
        if !self.active {
            for line in self.clients.values_mut() {
                let Line { breaks_at, is_lost, overtaken, .. } = std::mem::take(line);
                let breaks_at = breaks_at.filter(|_| is_lost);
                *line = Line { breaks_at, is_lost, overtaken, ..Line::default() };
            }
        }
    }

    /// The faults so far, the oldest first; the oldest of very many are gone.
    pub fn log(&self) -> impl Iterator<Item = &Fault> {
        self.log.iter()
    }

    /// How many faults there were.
    #[must_use]
    pub fn injected(&self) -> u64 {
        self.injected
    }

    fn note(&mut self, at: Nanos, what: &'static str, client: Option<ClientId>) {
        tracing::debug!(at = at.0, what, client = client.map(|client| client.0), "fault");
        self.injected += 1;
        if self.log.len() == LOG_MAX {
            self.log.pop_front();
        }
        self.log.push_back(Fault { at, what, client });
    }

    fn chance(&mut self, per_million: u32) -> bool {
        self.active && per_million > 0 && self.rng.below(1_000_000) < u64::from(per_million)
    }

    /// When a thing happens next that happens once in so many seconds on average.
    fn next_in(&mut self, now: Nanos, every_s: u32) -> Option<Nanos> {
        let mean_ms = u64::from(every_s) * 1_000;
        let happens = self.active && mean_ms > 0;
        happens.then(|| now + Duration::from_millis(1 + self.rng.below(2 * mean_ms)))
    }

    fn hold(&mut self, at: Nanos, output: Output, out: &mut Vec<Output>) {
        if self.held.len() >= HELD_MAX {
            out.push(output);
            return;
        }
        self.order += 1;
        self.held.push(Reverse(Held { at, order: self.order, output }));
    }

    fn forget(&mut self, client: ClientId) {
        self.clients.remove(&client);
        let of = |held: &Reverse<Held>| match &held.0.output {
            Output::Send { client: other, .. }
            | Output::Ping { client: other, .. }
            | Output::Close { client: other, .. } => *other == client,
            _ => false,
        };
        self.held.retain(|held| !of(held));
    }
}

impl<M: Subject> Faulty<M> {
    /// Calls the machine with its own clock, and spoils what comes out.
    fn call(
        &mut self,
        now: Nanos,
        out: &mut Vec<Output>,
        call: impl FnOnce(&mut M, Nanos, &mut Vec<Output>),
    ) {
        // What was held back until now comes before what comes now.
        self.release(now, out);
        let mut clean = std::mem::take(&mut self.scratch);
        let theirs = self.faults.skewed(now);
        call(&mut self.inner, theirs, &mut clean);
        for output in clean.drain(..) {
            self.spoil(now, output, out);
        }
        self.scratch = clean;
    }

    /// Tells what the venue says on connections that will end for maintenance.
    fn announce_ends(&mut self, now: Nanos, out: &mut Vec<Output>) {
        let due = |line: &Line| line.farewell_at.is_some_and(|at| at <= now);
        let due: Vec<_> =
            self.clients.iter().filter(|(_, line)| due(line)).map(|(client, _)| *client).collect();
        for client in due {
            let payload = self.inner.farewell(self.faults.skewed(now), client);
            let Some(line) = self.clients.get_mut(&client) else { continue };
            line.farewell_at = None;
            let Some(payload) = payload else { continue };
            line.breaks_at = Some(now + NOTICE);
            line.is_announced = true;
            self.note(now, "maintenance", Some(client));
            self.pass(now, client, payload, out);
        }
    }

    /// Lets books be numbered anew where it is time.
    fn reset(&mut self, now: Nanos) {
        if self.reset_at.is_none_or(|at| at > now) {
            return;
        }
        self.reset_at = self.next_in(now, self.faults.reset_every_s);
        if self.active && self.inner.reset() {
            self.note(now, "reset", None);
        }
    }

    /// Breaks the connections whose time has come.
    fn break_lines(&mut self, now: Nanos, out: &mut Vec<Output>) {
        let due = |line: &Line| line.breaks_at.is_some_and(|at| at <= now);
        let due: Vec<_> =
            self.clients.iter().filter(|(_, line)| due(line)).map(|(client, _)| *client).collect();
        for client in due {
            let announced = self.clients.get(&client).is_some_and(|line| line.is_announced);
            self.forget(client);
            let (what, output) = match self.rng.below(4) {
                _ if announced => (
                    "disconnect: maintenance",
                    Output::Close { client, code: 1_012, reason: "service restart".to_owned() },
                ),
                0 => (
                    "disconnect: clean",
                    Output::Close { client, code: 1_001, reason: "going away".to_owned() },
                ),
                1 => ("disconnect: mid-frame", Output::Break { client, partial: Some(half()) }),
                2 => {
                    self.silenced.insert(client);
                    ("disconnect: silent", Output::Silence { client })
                }
                _ => ("disconnect: abrupt", Output::Break { client, partial: None }),
            };
            self.note(now, what, Some(client));
            out.push(output);
            self.call(now, out, |inner, now, out| inner.disconnected(now, client, out));
        }
    }

    fn release(&mut self, now: Nanos, out: &mut Vec<Output>) {
        let active = self.active;
        while self.held.peek().is_some_and(|held| !active || held.0.at <= now) {
            if let Some(Reverse(held)) = self.held.pop() {
                out.push(held.output);
            }
        }
        if !active {
            let broken = std::mem::take(&mut self.silenced).into_iter();
            out.extend(broken.map(|client| Output::Break { client, partial: None }));
            for (client, line) in &mut self.clients {
                let payload = line.overtaken.take();
                out.extend(payload.map(|payload| Output::Send { client: *client, payload }));
            }
        }
    }
}

/// What a broken connection still brings: the start of a message.
fn half() -> Bytes {
    Bytes::from_static(b"{\"the line broke in the middle of th")
}

impl<M: Subject> Machine for Faulty<M> {
    fn connect(
        &mut self,
        now: Nanos,
        client: ClientId,
        target: &str,
        out: &mut Vec<Output>,
    ) -> Result<(), Reply> {
        if self.chance(self.faults.connect_refused) {
            self.note(now, "connect_refused", Some(client));
            return Err(Reply::new(503, "{}"));
        }
        let theirs = self.faults.skewed(now);
        let mut clean = std::mem::take(&mut self.scratch);
        let connected = self.inner.connect(theirs, client, target, &mut clean);
        if connected.is_ok() {
            let breaks_at = self.next_in(now, self.faults.disconnect_every_s);
            let farewell_at = self.next_in(now, self.faults.maintenance_every_s);
            self.clients.insert(client, Line { breaks_at, farewell_at, ..Line::default() });
            if self.reset_at.is_none() {
                self.reset_at = self.next_in(now, self.faults.reset_every_s);
            }
        }
        for output in clean.drain(..) {
            self.spoil(now, output, out);
        }
        self.scratch = clean;
        connected
    }

    fn message(&mut self, now: Nanos, client: ClientId, message: &[u8], out: &mut Vec<Output>) {
        let message = Inbound::Message(client, Bytes::copy_from_slice(message));
        self.hear(now, message, out);
    }

    fn control(
        &mut self,
        now: Nanos,
        client: ClientId,
        control: &ControlFrame,
        out: &mut Vec<Output>,
    ) {
        self.hear(now, Inbound::Control(client, control.clone()), out);
    }

    fn disconnected(&mut self, now: Nanos, client: ClientId, out: &mut Vec<Output>) {
        self.silenced.remove(&client);
        // One that was broken here has been reported already.
        if self.clients.contains_key(&client) {
            self.forget(client);
            self.call(now, out, |inner, now, out| inner.disconnected(now, client, out));
        }
    }

    fn request(&mut self, now: Nanos, id: RequestId, request: &Request, out: &mut Vec<Output>) {
        if let Some(reply) = self.refusal(now, request) {
            out.push(Output::Answer { request: id, reply });
            return;
        }
        if self.chance(self.faults.answer_lost) {
            self.note(now, "answer_lost", None);
            self.fates.insert(id, Fate::Lost);
        } else if let Some(unknown) = self.inner.unknown_outcome(request)
            && let Some(fate) = self.fate(now, None, unknown)
        {
            self.fates.insert(id, fate);
        }
        self.hear(now, Inbound::Request(id, request.clone()), out);
    }

    fn answered(&mut self, now: Nanos, id: RequestId, written: bool, out: &mut Vec<Output>) {
        self.fates.remove(&id);
        self.call(now, out, |inner, now, out| inner.answered(now, id, written, out));
    }

    fn tick(&mut self, now: Nanos, out: &mut Vec<Output>) {
        self.announce_ends(now, out);
        self.break_lines(now, out);
        self.release(now, out);
        self.read(now, out);
        self.reset(now);
        let theirs = self.faults.skewed(now);
        if self.inner.deadline().is_some_and(|at| at <= theirs) {
            self.call(now, out, |inner, now, out| inner.tick(now, out));
        }
    }

    fn deadline(&self) -> Option<Nanos> {
        let inner = self.inner.deadline().map(|at| self.faults.unskewed(at));
        let overtaken = self.clients.values().any(|line| line.overtaken.is_some());
        let pending = !self.active && (overtaken || !self.silenced.is_empty());
        let if_active = |at| if self.active { at } else { Nanos(0) };
        let held = self.held.peek().map(|held| if_active(held.0.at));
        let ends = |line: &Line| line.breaks_at.into_iter().chain(line.farewell_at).min();
        let lines = self.clients.values().filter_map(ends);
        let unread = self.unread.keys().next().map(|(at, _)| *at).map(if_active);
        let others = [inner, held, unread, pending.then_some(Nanos(0)), self.reset_at];
        others.into_iter().flatten().chain(lines).min()
    }

    fn waits_for_clients(&self) -> bool {
        self.inner.waits_for_clients()
    }

    fn finished(&self) -> bool {
        self.inner.finished()
    }
}

#[cfg(test)]
mod tests;
