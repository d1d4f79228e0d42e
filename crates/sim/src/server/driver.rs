//! The one task that calls the machine.

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;
use model::Nanos;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::{ServerOptions, until_stopped};
use crate::machine::{
    ClientId, ControlFrame, Machine, Output, Reply, Request, RequestId, SENDS_MAX,
};

/// What connections tell the machine.
#[derive(Debug)]
pub(super) enum Command {
    /// A client wants a WebSocket connection.
    Connect { target: String, link: Link, verdict: oneshot::Sender<Result<ClientId, Reply>> },
    /// A client sent a message.
    Message { client: ClientId, payload: Bytes },
    /// A client sent a ping or a pong.
    Control { client: ClientId, control: ControlFrame },
    /// A WebSocket connection has ended.
    Gone { client: ClientId },
    /// A client asked by REST.
    Request { request: Request, answer: oneshot::Sender<(RequestId, Reply)> },
    /// The answer was written, or could not be.
    Answered { request: RequestId, written: bool },
}

/// What a connection's task writes, in order.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// A message.
    Message(Bytes),
    /// A ping.
    Ping(Bytes),
    /// The last thing: close.
    Close(CloseWith),
    /// The last thing: the start of a message, and no more.
    Break(Option<Bytes>),
    /// The last thing: nothing, for as long as the client likes.
    Silence,
}

/// How to close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CloseWith {
    pub(super) code: u16,
    pub(super) reason: String,
}

/// The driver's end of a connection.
#[derive(Debug)]
pub(super) struct Link {
    /// What is to be written.
    pub(super) queue: mpsc::Sender<Outgoing>,
    /// To close past the queue.
    pub(super) cut: watch::Sender<Option<CloseWith>>,
}

/// Calls the machine and does what it puts out.
pub(super) struct Driver {
    machine: Box<dyn Machine>,
    commands: mpsc::Receiver<Command>,
    finish: watch::Sender<bool>,
    stopped: watch::Receiver<bool>,
    options: ServerOptions,
    clock: Clock,
    links: BTreeMap<ClientId, Link>,
    /// Connections that are there and on which nothing comes through.
    silenced: BTreeMap<ClientId, Link>,
    answers: BTreeMap<RequestId, oneshot::Sender<(RequestId, Reply)>>,
    ids: u64,
    out: Vec<Output>,
    /// Since when a client without room has held up the machine.
    stalled: Option<Instant>,
}

/// Why the driver woke up.
enum Wake {
    Stop,
    Command(Command),
    Deadline,
    Stall,
}

impl Driver {
    pub(super) fn new(
        machine: Box<dyn Machine>,
        commands: mpsc::Receiver<Command>,
        finish: watch::Sender<bool>,
        stopped: watch::Receiver<bool>,
        options: ServerOptions,
    ) -> Self {
        Self {
            machine,
            commands,
            finish,
            stopped,
            options,
            clock: Clock::start(),
            links: BTreeMap::new(),
            silenced: BTreeMap::new(),
            answers: BTreeMap::new(),
            ids: 0,
            out: Vec::new(),
            stalled: None,
        }
    }

    /// Runs until stopped, then closes every connection.
    pub(super) async fn run(mut self) {
        loop {
            match self.wake().await {
                Wake::Stop => break,
                Wake::Command(command) => self.command(command),
                Wake::Deadline => self.machine.tick(self.clock.now(), &mut self.out),
                Wake::Stall => self.cut_the_slow(),
            }
            self.dispatch();
            if self.machine.finished() {
                self.finish.send_if_modified(|finished| !std::mem::replace(finished, true));
            }
        }
        let goodbye = CloseWith { code: 1001, reason: "the server stops".to_owned() };
        for link in self.links.values() {
            if link.queue.try_send(Outgoing::Close(goodbye.clone())).is_err() {
                link.cut.send_replace(Some(goodbye.clone()));
            }
        }
    }

    async fn wake(&mut self) -> Wake {
        let deadline = self.machine.deadline().map(|deadline| self.clock.instant(deadline));
        let full = self.machine.waits_for_clients().then(|| self.first_full()).flatten();
        self.stalled = match (deadline, full) {
            (Some(_), Some(_)) => self.stalled.or_else(|| Some(Instant::now())),
            _ => None,
        };
        let full = full.map(|client| self.links[&client].queue.clone());
        let stall_end = self.stalled.map(|since| since + self.options.stall_max);
        tokio::select! {
            () = until_stopped(&mut self.stopped) => Wake::Stop,
            command = self.commands.recv() => command.map_or(Wake::Stop, Wake::Command),
            () = ready_at(deadline, full) => Wake::Deadline,
            () = sleep_until(stall_end.unwrap_or_else(Instant::now)), if stall_end.is_some() => {
                Wake::Stall
            }
        }
    }

    /// The first client without room for all that one call may send it.
    fn first_full(&self) -> Option<ClientId> {
        let room = SENDS_MAX.min(self.options.queue_messages_max);
        let mut full = self.links.iter().filter(|(_, link)| link.queue.capacity() < room);
        full.next().map(|(&client, _)| client)
    }

    fn command(&mut self, command: Command) {
        let now = self.clock.now();
        match command {
            Command::Connect { target, link, verdict } => {
                let client = ClientId(self.next_id());
                let connected = self.machine.connect(now, client, &target, &mut self.out);
                if connected.is_ok() {
                    self.links.insert(client, link);
                }
                if verdict.send(connected.map(|()| client)).is_err() {
                    self.gone(now, client);
                }
            }
            Command::Message { client, payload } => {
                if self.links.contains_key(&client) {
                    self.machine.message(now, client, &payload, &mut self.out);
                }
            }
            Command::Control { client, control } => {
                if self.links.contains_key(&client) {
                    self.machine.control(now, client, &control, &mut self.out);
                }
            }
            Command::Gone { client } => self.gone(now, client),
            Command::Request { request, answer } => {
                let id = RequestId(self.next_id());
                self.answers.insert(id, answer);
                self.machine.request(now, id, &request, &mut self.out);
            }
            Command::Answered { request, written } => {
                self.machine.answered(now, request, written, &mut self.out);
            }
        }
    }

    fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    fn gone(&mut self, now: Nanos, client: ClientId) {
        let silenced = self.silenced.remove(&client).is_some();
        if self.links.remove(&client).is_some() || silenced {
            self.machine.disconnected(now, client, &mut self.out);
        }
    }

    /// Does what the machine put out, also what it puts out meanwhile.
    fn dispatch(&mut self) {
        while !self.out.is_empty() {
            for output in std::mem::take(&mut self.out) {
                match output {
                    Output::Send { client, payload } => {
                        self.put(client, Outgoing::Message(payload));
                    }
                    Output::Ping { client, payload } => self.put(client, Outgoing::Ping(payload)),
                    Output::Close { client, code, reason } => {
                        self.put(client, Outgoing::Close(CloseWith { code, reason }));
                        self.links.remove(&client);
                    }
                    Output::Break { client, partial } => {
                        self.put(client, Outgoing::Break(partial));
                        self.links.remove(&client);
                        if let Some(link) = self.silenced.remove(&client) {
                            // Its queue is empty: nothing came through.
                            drop(link.queue.try_send(Outgoing::Break(None)));
                        }
                    }
                    Output::Silence { client } => {
                        self.put(client, Outgoing::Silence);
                        if let Some(link) = self.links.remove(&client) {
                            self.silenced.insert(client, link);
                        }
                    }
                    Output::Answer { request, reply } => {
                        let answer = self.answers.remove(&request);
                        if answer.is_none_or(|answer| answer.send((request, reply)).is_err()) {
                            let now = self.clock.now();
                            self.machine.answered(now, request, false, &mut self.out);
                        }
                    }
                }
            }
        }
    }

    fn put(&mut self, client: ClientId, outgoing: Outgoing) {
        let Some(link) = self.links.get(&client) else { return };
        match link.queue.try_send(outgoing) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                let behind = self.options.queue_messages_max;
                self.cut(client, format!("too slow: {behind} messages behind"));
            }
            // Its task has ended and says so in a command that is on its way.
            Err(mpsc::error::TrySendError::Closed(_)) => {}
        }
    }

    /// Cuts off the clients that have held up the machine for too long.
    fn cut_the_slow(&mut self) {
        while let Some(client) = self.first_full() {
            self.cut(client, format!("too slow: did not read for {:?}", self.options.stall_max));
        }
    }

    fn cut(&mut self, client: ClientId, reason: String) {
        let Some(link) = self.links.remove(&client) else { return };
        tracing::warn!(%client, reason, "client is cut off");
        link.cut.send_replace(Some(CloseWith { code: 1008, reason }));
        self.machine.disconnected(self.clock.now(), client, &mut self.out);
    }
}

/// Waits for the deadline, and then until the client without room has some.
async fn ready_at(deadline: Option<Instant>, full: Option<mpsc::Sender<Outgoing>>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
    if let Some(queue) = full {
        let room = SENDS_MAX.min(queue.max_capacity());
        // A closed queue has all the room: whatever is put there is dropped.
        let _ = queue.reserve_many(room).await;
    }
}

/// The time, as the machine wants it.
struct Clock {
    epoch: Nanos,
    start: Instant,
}

impl Clock {
    fn start() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { epoch: Nanos(0) + since, start: Instant::now() }
    }

    fn now(&self) -> Nanos {
        self.epoch + self.start.elapsed()
    }

    /// When a point in time is; one that is too far away to be reached is in 30 years.
    fn instant(&self, at: Nanos) -> Instant {
        const FAR: std::time::Duration = std::time::Duration::from_secs(30 * 365 * 86_400);
        self.start + at.since(self.epoch).min(FAR)
    }
}
