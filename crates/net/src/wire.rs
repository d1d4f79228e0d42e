//! The socket driver of one provider: carries out what its session decides, and tells the session
//! what the sockets say. No decision is made here.
//!
//! A [`Wire`] is polled from one `poll_fn` on the shard's current-thread runtime, together with
//! those of the shard's other providers. It spawns nothing: connects are futures polled in place.

mod sockets;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use model::capture::{Direction, Tap};
use model::frame::WsFrame;
use model::venue::{Command, Pipeline, Request};
use model::{ConnId, Nanos};
use pool::LocalPool;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::connect::Connector;
use crate::fault::{CloseReason, FetchError};
use crate::http::{Fetch, Fetched, HttpPort};
use crate::session::{Action, Reply, ReplyBody, Session};
use crate::ws::Incoming;

use sockets::{Connecting, Socket, Sockets};

/// Answers taken in one turn; more wait for the next, so that sockets have theirs.
const ANSWERS_PER_TURN: u32 = 16;
/// Messages read from one connection before the next has its turn.
const READS_IN_A_ROW: usize = 16;

/// The engine, as the driver sees it: lends the pipeline of this wire's provider for one call.
pub trait Ports {
    /// Calls `f` once, with the pipeline as of `now` (the arrival stamp of what is handled).
    fn with(&mut self, now: Nanos, f: &mut dyn FnMut(&mut dyn Pipeline));
}

/// What a turn did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Messages read.
    pub frames: usize,
    /// Whether reading stopped because no [`WsFrame`] was free, or the budget was 0.
    pub starved: bool,
    busy: bool,
}

/// What was handed over to a [`Wire`] up to some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandedOver(u64);

/// What a driver counts, beside its session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireStats {
    /// Turns in which reading stopped because no [`WsFrame`] was free, or the budget was 0.
    pub starved_turns: u64,
    /// Bytes of payload sent.
    pub bytes_sent: u64,
    /// Close handshakes that were cut short because too many were going on.
    pub closes_cut: u64,
}

/// What a wire is made of.
pub struct WireParts {
    /// Decides.
    pub session: Session,
    /// Opens connections.
    pub connector: Arc<Connector>,
    /// Makes requests.
    pub http: HttpPort,
    /// Records of messages between read and end of turn.
    pub frames: LocalPool<WsFrame>,
    /// Sees everything that goes over the wire.
    pub tap: Option<Box<dyn Tap>>,
}

/// One provider's connections and requests.
pub struct Wire {
    session: Session,
    connector: Arc<Connector>,
    http: HttpPort,
    frames: LocalPool<WsFrame>,
    tap: Option<Box<dyn Tap>>,
    sockets: Sockets,
    sleep: Pin<Box<Sleep>>,
    sleeping_until: Option<Nanos>,
    stats: WireStats,
}

impl Wire {
    /// A driver at rest. Must be made inside a tokio runtime with I/O and time.
    #[must_use]
    pub fn new(parts: WireParts) -> Self {
        let WireParts { session, connector, http, frames, tap } = parts;
        Self {
            session,
            connector,
            http,
            frames,
            tap,
            sockets: Sockets::default(),
            sleep: Box::pin(sleep_until(Instant::now())),
            sleeping_until: None,
            stats: WireStats::default(),
        }
    }

    /// The session, to look at.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// What was counted.
    #[must_use]
    pub fn stats(&self) -> WireStats {
        self.stats
    }

    /// Subscriptions change. Poll a turn afterwards.
    pub fn command(&mut self, command: &Command, ports: &mut dyn Ports) {
        let now = self.connector.clock.now();
        ports.with(now, &mut |pipeline| self.session.command(command, now, pipeline));
        self.carry_out(now, ports);
    }

    /// One turn: takes answers and established connections, reads at most `budget_frames` messages,
    /// one connection after the other, sees to the deadline, and writes what is queued. A budget of 0
    /// says that there is no room for what would be read.
    ///
    /// Ready when anything was done, and then to be polled again; pending when there is nothing to
    /// do, with the task to be woken when there is.
    pub fn poll_turn(
        &mut self,
        cx: &mut Context<'_>,
        ports: &mut dyn Ports,
        budget_frames: usize,
    ) -> Poll<Turn> {
        let mut turn = Turn::default();
        self.take_answers(cx, ports, &mut turn);
        self.take_connects(cx, ports, &mut turn);
        // Reading comes first: after a stall, the pong that the deadline misses may lie there.
        self.read(cx, ports, budget_frames, &mut turn);
        self.take_deadline(ports, &mut turn);
        self.write(cx, ports, &mut turn);
        self.sockets.poll_closing(cx);
        self.sleep_until_deadline(cx, &mut turn);
        if turn.busy { Poll::Ready(turn) } else { Poll::Pending }
    }

    /// What was handed over so far, to be looked at by [`has_written`](Self::has_written) later.
    #[must_use]
    pub fn handed_over(&self) -> HandedOver {
        HandedOver(self.http.changes())
    }

    /// Whether everything that was handed over up to then is written: messages are with the operating
    /// system, those of connections that are being closed too, and no such request that changes
    /// something is in the HTTP thread's hands. None of it can leave any more after that.
    #[must_use]
    pub fn has_written(&self, up_to: HandedOver) -> bool {
        let flushed = self.sockets.unflushed().is_none() && !self.sockets.closes_unflushed();
        flushed && self.http.has_let_go(up_to.0)
    }

    /// Gives up what is not written, so that [`has_written`](Self::has_written) soon holds:
    /// connections that take nothing are cut, and requests that change something are lost. What
    /// became of them is not known.
    pub fn give_up_unwritten(&mut self, ports: &mut dyn Ports) {
        let now = self.connector.clock.now();
        while let Some(conn) = self.sockets.unflushed() {
            // Dropped as it is: a close handshake would write what waits before it.
            drop(self.sockets.remove(conn));
            let reason = CloseReason::Requested;
            ports.with(now, &mut |pipeline| self.session.closed(conn, &reason, now, pipeline));
        }
        // Nobody waits for their answers any more.
        self.sockets.cut_unflushed();
        ports.with(now, &mut |pipeline| self.session.abandon_changes(now, pipeline));
        self.carry_out(now, ports);
    }

    /// Closes every connection properly, and gives up every request. Ready at the latest when the
    /// time for closing has passed; nothing is left to do then.
    pub async fn close(&mut self, ports: &mut dyn Ports) {
        self.begin_close(ports);
        poll_fn(|cx| self.poll_closed(cx)).await;
    }

    /// The first half of [`close`](Self::close), for whoever closes several wires at once.
    ///
    /// A recording ends here: that the run is over is no fault of the connections, and must not
    /// look like one when it is replayed.
    pub fn begin_close(&mut self, ports: &mut dyn Ports) {
        self.tap = None;
        let now = self.connector.clock.now();
        ports.with(now, &mut |pipeline| self.session.shutdown(now, pipeline));
        self.carry_out(now, ports);
    }

    /// The second half of [`close`](Self::close).
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sockets.poll_closing(cx);
        if self.sockets.closing_len() == 0 { Poll::Ready(()) } else { Poll::Pending }
    }

    fn take_answers(&mut self, cx: &mut Context<'_>, ports: &mut dyn Ports, turn: &mut Turn) {
        for _ in 0..ANSWERS_PER_TURN {
            let Poll::Ready(fetched) = self.http.poll_answer(cx) else { return };
            turn.busy = true;
            self.answered(fetched, ports);
        }
    }

    fn answered(&mut self, fetched: Fetched, ports: &mut dyn Ports) {
        let now = self.connector.clock.now();
        let Fetched { id, result } = fetched;
        let (url, mut answer) = match result {
            Ok(answer) => (self.sockets.answered(id), answer),
            Err(error) => {
                self.sockets.answered(id);
                return self.tell_answer(id, Err(error), now, ports);
            }
        };
        if let (Some(tap), Some(url)) = (&mut self.tap, &url) {
            tap.answered(now, url, answer.status, &answer.body);
        }
        let body = match answer.bulk.take() {
            Some(bulk) => ReplyBody::Read(bulk),
            None => ReplyBody::Raw(&answer.body),
        };
        let (status, weight_used) = (answer.status, answer.weight_used);
        let reply = Reply { status, weight_used, retry_after: answer.retry_after, body };
        self.tell_answer(id, Ok(reply), now, ports);
    }

    fn tell_answer(
        &mut self,
        id: model::RequestId,
        result: Result<Reply<'_>, FetchError>,
        now: Nanos,
        ports: &mut dyn Ports,
    ) {
        let mut result = Some(result);
        ports.with(now, &mut |pipeline| {
            if let Some(result) = result.take() {
                self.session.answered(id, result, now, pipeline);
            }
        });
        self.carry_out(now, ports);
    }

    fn take_connects(&mut self, cx: &mut Context<'_>, ports: &mut dyn Ports, turn: &mut Turn) {
        while let Some((conn, url, result)) = self.sockets.poll_connecting(cx) {
            turn.busy = true;
            let now = self.connector.clock.now();
            match result {
                Ok(stream) => {
                    // The read that completed the upgrade may have brought the first messages too:
                    // they are not to look older than their connection.
                    if let Some(tap) = &mut self.tap {
                        tap.opened(stream.read_at(), conn, &url);
                    }
                    self.sockets.add(Socket::new(conn, url, stream));
                    ports.with(now, &mut |pipeline| self.session.opened(conn, now, pipeline));
                }
                Err(error) => ports.with(now, &mut |pipeline| {
                    self.session.connect_failed(conn, &error, now, pipeline);
                }),
            }
            self.carry_out(now, ports);
        }
    }

    fn take_deadline(&mut self, ports: &mut dyn Ports, turn: &mut Turn) {
        let Some(deadline) = self.session.deadline() else { return };
        let now = self.connector.clock.now();
        if deadline <= now {
            turn.busy = true;
            ports.with(now, &mut |pipeline| self.session.timer(now, pipeline));
            self.carry_out(now, ports);
        }
    }

    /// Reads round robin until the budget is used up or no connection has anything.
    fn read(
        &mut self,
        cx: &mut Context<'_>,
        ports: &mut dyn Ports,
        budget_frames: usize,
        turn: &mut Turn,
    ) {
        self.sockets.begin_round();
        if budget_frames == 0 {
            return self.starve(turn);
        }
        let mut reads_left = budget_frames;
        while reads_left > 0 {
            let Some(conn) = self.sockets.next_readable() else { return };
            let slice = reads_left.min(READS_IN_A_ROW);
            let used = self.read_some(conn, slice, cx, ports, turn);
            reads_left -= used;
            if turn.starved {
                return;
            }
        }
        // More may be there.
        turn.busy = true;
    }

    /// Reads up to `limit` messages of one connection; says how many things were read, control
    /// frames included.
    fn read_some(
        &mut self,
        conn: ConnId,
        limit: usize,
        cx: &mut Context<'_>,
        ports: &mut dyn Ports,
        turn: &mut Turn,
    ) -> usize {
        for used in 0..limit {
            let Some(mut frame) = self.frames.try_acquire() else {
                self.starve(turn);
                return used;
            };
            // Gone when a message made the session close its connection.
            let Some(socket) = self.sockets.get(conn) else { return used };
            let Poll::Ready(incoming) = socket.stream.poll_frame(cx, &mut frame.payload) else {
                socket.readable = false;
                return used;
            };
            turn.busy = true;
            match incoming {
                Ok(Incoming::Message(at)) => {
                    turn.frames += 1;
                    (frame.ts_recv, frame.conn) = (at, conn);
                    self.take_frame(&frame, ports);
                }
                Ok(Incoming::Ping) => {
                    let now = self.connector.clock.now();
                    self.session.pinged(conn, now);
                }
                Ok(Incoming::Pong) => {
                    let now = self.connector.clock.now();
                    self.session.ponged(conn, now);
                }
                Err(reason) => {
                    self.ended(conn, &reason, ports);
                    return used + 1;
                }
            }
        }
        limit
    }

    /// What is there stays there until the next turn.
    fn starve(&mut self, turn: &mut Turn) {
        turn.starved = true;
        turn.busy = true;
        self.stats.starved_turns += 1;
    }

    fn take_frame(&mut self, frame: &WsFrame, ports: &mut dyn Ports) {
        let (now, conn) = (frame.ts_recv, frame.conn);
        if let Some(tap) = &mut self.tap {
            let url = self.sockets.url(conn);
            tap.frame(now, conn, Direction::In, url, &frame.payload);
        }
        let session = &mut self.session;
        ports.with(now, &mut |pipeline| session.frame(conn, &frame.payload, now, pipeline));
        self.carry_out(now, ports);
    }

    fn write(&mut self, cx: &mut Context<'_>, ports: &mut dyn Ports, turn: &mut Turn) {
        while let Some((conn, reason)) = self.sockets.poll_flush(cx) {
            turn.busy = true;
            self.ended(conn, &reason, ports);
        }
    }

    /// A connection ended by itself: what is left of it is wound up aside.
    fn ended(&mut self, conn: ConnId, reason: &CloseReason, ports: &mut dyn Ports) {
        let now = self.connector.clock.now();
        self.retire(conn, reason, now);
        ports.with(now, &mut |pipeline| self.session.closed(conn, reason, now, pipeline));
        self.carry_out(now, ports);
    }

    fn retire(&mut self, conn: ConnId, why: &dyn std::fmt::Display, now: Nanos) {
        let Some(socket) = self.sockets.remove(conn) else { return };
        if let Some(tap) = &mut self.tap {
            tap.closed(now, conn, &socket.url, &why.to_string());
        }
        if self.sockets.wind_up(socket.stream) {
            self.stats.closes_cut += 1;
        }
    }

    fn sleep_until_deadline(&mut self, cx: &mut Context<'_>, turn: &mut Turn) {
        let Some(deadline) = self.session.deadline() else { return };
        // Every message moves the deadline for silence on: rather than set the timer each time, it
        // is left to go off too early.
        if self.sleep.is_elapsed() || self.sleeping_until.is_none_or(|until| deadline < until) {
            let now = self.connector.clock.now();
            if deadline <= now {
                turn.busy = true;
                return;
            }
            self.sleep.as_mut().reset(Instant::now() + deadline.since(now));
            self.sleeping_until = Some(deadline);
        }
        // Gone off too early, the next turn sleeps for the rest.
        turn.busy |= self.sleep.as_mut().poll(cx).is_ready();
    }

    /// Does what the session has decided.
    fn carry_out(&mut self, now: Nanos, ports: &mut dyn Ports) {
        while let Some(action) = self.session.next_action() {
            match action {
                Action::Connect { conn, url, message_bytes_max, .. } => {
                    let connect = self.connector.clone().connect(url.clone(), message_bytes_max);
                    self.sockets.connect(Connecting::new(conn, url, Box::pin(connect)));
                }
                Action::Send { conn, text } => self.send(conn, text, now),
                Action::Ping { conn, payload } => {
                    if let Some(socket) = self.sockets.get(conn) {
                        socket.stream.ping(&payload);
                    }
                }
                Action::Close { conn, code, reason } => {
                    self.sockets.give_up(conn);
                    if let Some(socket) = self.sockets.get(conn) {
                        socket.stream.close(code, reason);
                    }
                    self.retire(conn, &reason, now);
                }
                Action::Request { request, timeout } => {
                    self.request(Fetch { request, timeout }, now, ports);
                }
                Action::Cancel { id } => {
                    self.sockets.answered(id);
                    self.http.cancel(id);
                }
            }
        }
    }

    fn send(&mut self, conn: ConnId, text: String, now: Nanos) {
        if let Some(tap) = &mut self.tap {
            tap.frame(now, conn, Direction::Out, self.sockets.url(conn), text.as_bytes());
        }
        if let Some(socket) = self.sockets.get(conn) {
            self.stats.bytes_sent += text.len() as u64;
            socket.stream.send_text(&text);
        }
    }

    fn request(&mut self, fetch: Fetch, now: Nanos, ports: &mut dyn Ports) {
        let Request { id, method, ref url, .. } = fetch.request;
        let url = url.clone();
        if let Err(error) = self.http.submit(fetch) {
            // Comes back as a retry in the future, or as unsent, so this goes no deeper.
            ports.with(now, &mut |pipeline| {
                self.session.answered(id, Err(error.clone()), now, pipeline);
            });
            return;
        }
        if let Some(tap) = &mut self.tap {
            tap.requested(now, method.name(), &url);
        }
        self.sockets.requested(id, url);
    }
}
