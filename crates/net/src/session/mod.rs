//! Drives a venue without sockets and without a clock: what happened goes in, what is to be done
//! comes out.
//!
//! A [`Session`] owns one provider's [`Venue`] and makes all decisions that have nothing to do
//! with what the messages say: when to connect and how long to wait after a failure, when to
//! replace a connection, when a silent one is dead, what may be sent and asked now. Whoever drives
//! it (real sockets: [`Wire`](crate::wire::Wire); virtual time: plain calls) calls the input
//! methods with `now`, then carries out [`next_action`](Session::next_action) until there is none,
//! and calls [`timer`](Session::timer) at [`deadline`](Session::deadline).
//!
//! | file | what it decides |
//! | --- | --- |
//! | `links` | which connections are opened for what the venue asks |
//! | `conn` | how far a connection has come |
//! | `traffic` | what goes over it, and whether it lives |
//! | `renewal` | when one is replaced, and how |
//! | `loss` | what takes the place of one that is lost |
//! | `requests` | REST |
//! | `once` | what goes now or never |
//! | `pace` | the rates |

mod action;
mod backoff;
mod conn;
mod links;
mod loss;
mod once;
mod pace;
mod race;
mod renewal;
pub(crate) mod requests;
mod traffic;
mod watch;

use std::collections::VecDeque;
use std::time::Duration;

use model::venue::{Command, Outbox, Pipeline, Profile, Repeat, Sink, Venue};
use model::{ConnId, Error, Nanos, Remedy};

use crate::fault::CloseReason;
use crate::rng::Rng;

pub use action::{Action, Reply, ReplyBody, SessionStats};
pub use backoff::{BACKOFF_BASE, BACKOFF_CAP};
pub use race::SeatStats;
pub use requests::PAUSE_AFTER_418;

use conn::Conn;
use links::Link;
use pace::Pacer;
use race::Race;
use requests::Requests;

/// A venue that answers every call with more to do is let go on after so many rounds.
const ROUNDS_MAX: u32 = 32;
/// And goes on after so long.
const ROUNDS_PAUSE: Duration = Duration::from_millis(10);

/// What a session is told about its provider, beside the venue's own profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// The provider's name, for logs.
    pub name: String,
    /// Where the jitter begins; two providers get two seeds.
    pub seed: u64,
    /// Percent of the REST weight that is left to others (orders, other programs on the address).
    pub weight_reserve_pct: u8,
    /// Requests under way at the same time.
    pub in_flight_max: usize,
    /// Requests that wait; more are refused.
    pub queue_len_max: usize,
    /// Messages that wait on one connection; more end it.
    pub sends_len_max: usize,
    /// For one attempt at a request, all of it.
    pub request_timeout: Duration,
    /// A connect that was not reported on for so long is given up. Longer than the driver's own.
    pub connect_timeout: Duration,
    /// A replacement that carries no data takes over after so long: its streams may be quiet.
    pub renewal_grace: Duration,
    /// Connections that each link has all the time: 1, or 2, which bring the same, so that one
    /// that is slow or gone is not missed.
    pub redundancy: u8,
    /// A connection that has carried data for so long has earned a fast reconnect.
    pub useful_after: Duration,
}

impl SessionConfig {
    /// The usual figures.
    #[must_use]
    pub fn new(name: impl Into<String>, seed: u64) -> Self {
        Self {
            name: name.into(),
            seed,
            weight_reserve_pct: 20,
            in_flight_max: 8,
            queue_len_max: 1_024,
            sends_len_max: 1_024,
            request_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(15),
            renewal_grace: Duration::from_secs(5),
            redundancy: 1,
            useful_after: Duration::from_secs(30),
        }
    }
}

/// One provider's venue and all decisions around it.
pub struct Session {
    venue: Box<dyn Venue>,
    profile: Profile,
    config: SessionConfig,
    rng: Rng,
    links: Vec<Link>,
    conns: Vec<Conn>,
    last_conn: u32,
    connects: Pacer,
    /// Who is first, where each link has two connections.
    race: Race,
    requests: Requests,
    /// When the venue wants its timer.
    wake_at: Option<Nanos>,
    /// The latest time that was given. Stamps of messages lag behind those of timers, and a rate is
    /// only kept if what was spent later never looks earlier.
    latest: Nanos,
    /// When to go on with what a venue without end wanted.
    resume_at: Option<Nanos>,
    outbox: Outbox,
    actions: VecDeque<Action>,
    stats: SessionStats,
    stopped: bool,
    fatal: Option<Error>,
}

impl Session {
    /// A session that does nothing until the first [`command`](Self::command).
    #[must_use]
    pub fn new(venue: Box<dyn Venue>, config: SessionConfig) -> Self {
        let profile = *venue.profile();
        Self {
            profile,
            rng: Rng::new(config.seed),
            links: Vec::new(),
            conns: Vec::new(),
            last_conn: 0,
            connects: Pacer::new(profile.connects, 0),
            race: Race::default(),
            requests: Requests::new(profile.weight, &config),
            wake_at: None,
            latest: Nanos::default(),
            resume_at: None,
            outbox: Outbox::default(),
            actions: VecDeque::new(),
            stats: SessionStats::default(),
            stopped: false,
            fatal: None,
            venue,
            config,
        }
    }

    /// The provider's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// The venue's limits and habits.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// What it has seen and done.
    #[must_use]
    pub fn stats(&self) -> SessionStats {
        let mut stats = self.stats;
        stats.open = u32::try_from(self.conns.iter().filter(|c| c.is_open()).count()).unwrap_or(0);
        self.requests.gauges(&mut stats);
        stats
    }

    /// What each of a link's two connections came to; zeros where there is but one.
    #[must_use]
    pub fn seats(&self) -> [SeatStats; 2] {
        self.race.seats()
    }

    /// The error after which an operator is needed; the session does nothing any more.
    #[must_use]
    pub fn fatal(&self) -> Option<&Error> {
        self.fatal.as_ref()
    }

    /// The next thing to do, to be asked for until there is none after every input.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`timer`](Self::timer) is wanted, given that nothing else happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Nanos> {
        if self.stopped {
            return None;
        }
        let single = [self.wake_at, self.resume_at, self.requests.deadline()];
        let links = self.links.iter().flat_map(|link| [link.connect_at, link.second_at]);
        let conns = self.conns.iter().filter_map(|conn| conn.deadline(&self.profile, &self.config));
        single.into_iter().chain(links).flatten().chain(conns).min()
    }

    /// Subscriptions change.
    pub fn command(&mut self, command: &Command, now: Nanos, pipeline: &mut dyn Pipeline) {
        if self.stopped {
            return;
        }
        let now = self.advance(now);
        self.venue.on_command(command, now, &mut Sink { pipeline, outbox: &mut self.outbox });
        self.settle(now, pipeline);
    }

    /// A message arrived on a connection; `now` is when the read that completed it returned.
    pub fn frame(&mut self, conn: ConnId, payload: &[u8], now: Nanos, pipeline: &mut dyn Pipeline) {
        let Some(at) = self.conns.iter().position(|c| c.id == conn && c.is_open()) else {
            return;
        };
        self.stats.frames += 1;
        self.stats.bytes += payload.len() as u64;
        let arrived = now;
        let now = self.advance(now);
        self.conns[at].heard(now);
        let unproven = self.conns[at].first_data.is_none();
        let result = if unproven || self.config.redundancy > 1 {
            self.watched_frame(at, payload, arrived, pipeline)
        } else {
            let mut sink = Sink { pipeline: &mut *pipeline, outbox: &mut self.outbox };
            self.venue.on_frame(conn, payload, arrived, &mut sink)
        };
        match result {
            Ok(()) if !unproven && self.only_a_wish_for_the_timer() => {}
            Ok(()) => self.settle(now, pipeline),
            Err(error) => {
                self.frame_fault(conn, payload, &error, now, pipeline);
                self.settle(now, pipeline);
            }
        }
    }

    /// The deadline has come.
    pub fn timer(&mut self, now: Nanos, pipeline: &mut dyn Pipeline) {
        if self.stopped {
            return;
        }
        let now = self.advance(now);
        if self.wake_at.is_some_and(|at| at <= now) {
            self.wake_at = None;
            self.venue.on_timer(now, &mut Sink { pipeline, outbox: &mut self.outbox });
        }
        self.time_connections(now, pipeline);
        self.time_requests(now, pipeline);
        self.settle(now, pipeline);
    }

    /// Closes everything. Nothing is done afterwards, whatever comes in.
    pub fn shutdown(&mut self, now: Nanos, pipeline: &mut dyn Pipeline) {
        if self.stopped {
            return;
        }
        let now = self.advance(now);
        self.links.clear();
        for conn in self.conn_ids() {
            self.drop_conn(conn, 1_000, "shutting down", now, pipeline);
        }
        self.drop_requests();
        self.outbox = Outbox::default();
        self.stopped = true;
    }

    fn advance(&mut self, now: Nanos) -> Nanos {
        self.latest = self.latest.max(now);
        self.latest
    }

    /// The usual case after a frame: nothing to do but perhaps to note a deadline.
    fn only_a_wish_for_the_timer(&mut self) -> bool {
        if let Some(at) = self.outbox.wake_at.take() {
            self.wake_at = Some(at.earliest(self.wake_at));
        }
        is_empty(&self.outbox)
    }

    fn frame_fault(
        &mut self,
        conn: ConnId,
        payload: &[u8],
        error: &Error,
        now: Nanos,
        pipeline: &mut dyn Pipeline,
    ) {
        pipeline.unreadable(conn, payload, error);
        match error.remedy {
            Remedy::Ignore | Remedy::Reject => self.stats.malformed += 1,
            Remedy::Resync => self.stats.resyncs += 1,
            Remedy::Reconnect => {
                self.stats.malformed += 1;
                let code = if std::str::from_utf8(payload).is_err() { 1_007 } else { 1_002 };
                self.lose(conn, code, "unusable message", now, pipeline);
            }
            Remedy::Stop => self.stop(error.clone(), now, pipeline),
        }
    }

    fn stop(&mut self, error: Error, now: Nanos, pipeline: &mut dyn Pipeline) {
        tracing::error!(provider = %self.config.name, "stopped: {}", error.message);
        self.shutdown(now, pipeline);
        self.fatal = Some(error);
    }

    /// Does what the venue wants and what has become possible, until nothing is left.
    fn settle(&mut self, now: Nanos, pipeline: &mut dyn Pipeline) {
        self.resume_at = None;
        for _ in 0..ROUNDS_MAX {
            if self.stopped {
                return;
            }
            self.empty_outbox(now, pipeline);
            self.start_connects(now);
            self.send_texts(now);
            self.promote_replacements(now, pipeline);
            self.send_requests(now, pipeline);
            if is_empty(&self.outbox) {
                return;
            }
        }
        self.resume_at = Some(now + ROUNDS_PAUSE);
    }

    fn empty_outbox(&mut self, now: Nanos, pipeline: &mut dyn Pipeline) {
        if self.only_a_wish_for_the_timer() {
            return;
        }
        let outbox = std::mem::take(&mut self.outbox);
        for change in outbox.links {
            self.change_link(change, now, pipeline);
        }
        for (conn, reason) in outbox.reconnect {
            tracing::info!(
                provider = %self.config.name, conn = conn.0, reason = reason.name(),
                "the venue's machine distrusts the connection"
            );
            self.lose(conn, 1_000, "starting over", now, pipeline);
        }
        for (conn, reason) in outbox.renew {
            tracing::info!(
                provider = %self.config.name, conn = conn.0, reason = reason.name(),
                "the connection is to be replaced"
            );
            self.renew(conn, now, pipeline);
        }
        for (conn, text) in outbox.frames {
            self.queue_text(conn, text, now, pipeline);
        }
        for frame in outbox.once_frames {
            self.send_once(frame, now, pipeline);
        }
        for id in &outbox.cancelled {
            self.cancel_request(*id);
        }
        for request in outbox.requests {
            match request.repeat {
                _ if outbox.cancelled.contains(&request.id) => {}
                Repeat::UntilAnswered => self.queue_request(request, now, pipeline),
                Repeat::Once { urgent } => self.request_once(request, urgent, now, pipeline),
            }
        }
    }

    /// A connection that the driver reports as ended.
    pub fn closed(
        &mut self,
        conn: ConnId,
        reason: &CloseReason,
        now: Nanos,
        pipeline: &mut dyn Pipeline,
    ) {
        let Some(lost) = self.forget(conn) else { return };
        let now = self.advance(now);
        tracing::warn!(
            provider = %self.config.name, conn = conn.0, code = reason.code(),
            "connection ended: {reason}"
        );
        self.tell_closed(&lost, now, pipeline);
        self.after_loss(&lost, None, now);
        self.settle(now, pipeline);
    }
}

fn is_empty(outbox: &Outbox) -> bool {
    let Outbox { links, frames, once_frames, requests, cancelled, renew, reconnect, wake_at } =
        outbox;
    links.is_empty()
        && frames.is_empty()
        && once_frames.is_empty()
        && requests.is_empty()
        && cancelled.is_empty()
        && renew.is_empty()
        && reconnect.is_empty()
        && wake_at.is_none()
}
