//! Connections: opening, replacing, probing, pacing what they send, and losing them.

use std::collections::VecDeque;

use model::venue::{LinkChange, Pipeline, Profile, Sink};
use model::{ConnId, Error, LinkId, Nanos};

use super::action::Action;
use super::backoff::Backoff;
use super::pace::Pacer;
use super::watch::Watch;
use super::{Session, SessionConfig};
use crate::fault::ConnectError;

/// A venue asks for at most so many links; more are refused, loudly.
const LINKS_MAX: usize = 1_024;
/// Of a connection's message budget, this much is kept for answering the far end's pings.
const PONG_RESERVE: u32 = 1;

/// A logical connection that the venue wants.
#[derive(Debug)]
pub(super) struct Link {
    id: LinkId,
    url: String,
    /// When the next connect is due: of the main connection where there is none, else of its
    /// replacement. `None` while one is being opened or none is needed.
    pub(super) connect_at: Option<Nanos>,
    backoff: Backoff,
    /// When the connect of the second connection is due, where it is wanted and not there.
    pub(super) second_at: Option<Nanos>,
    second_backoff: Backoff,
    /// The main connection is to be replaced.
    renewing: bool,
    was_open: bool,
}

/// What a connection is to its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// The one; at most one a link.
    Main,
    /// Will be the one; at most one a link, and only beside a main one.
    Replacement,
    /// Brings the same as the main one, all the time; at most one a link. A link that has one needs
    /// no replacements: while one of the two is replaced the other is there.
    Second,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Connecting { give_up_at: Nanos },
    Open { since: Nanos },
}

/// A physical connection.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) id: ConnId,
    link: LinkId,
    /// Under which its messages are counted: 0 or 1, another than its neighbour's.
    seat: usize,
    role: Role,
    stage: Stage,
    heard_at: Nanos,
    pinged_at: Option<Nanos>,
    pub(super) first_data: Option<Nanos>,
    renew_at: Option<Nanos>,
    /// A replacement that is itself to be replaced, once it is the main one.
    renew_wanted: bool,
    texts: VecDeque<String>,
    pacer: Pacer,
}

impl Conn {
    pub(super) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open { .. })
    }

    /// Spends a message of its budget; what is urgent is sent in any case.
    pub(super) fn take_message(&mut self, urgent: bool, now: Nanos) -> bool {
        if urgent {
            self.pacer.spend(1, now);
            return true;
        }
        self.pacer.take(1, now)
    }

    /// Something came: it lives.
    pub(super) fn heard(&mut self, now: Nanos) {
        self.heard_at = now;
        self.pinged_at = None;
    }

    /// When something has to be decided about it.
    pub(super) fn deadline(&self, profile: &Profile, config: &SessionConfig) -> Option<Nanos> {
        let since = match self.stage {
            Stage::Connecting { give_up_at } => return Some(give_up_at),
            Stage::Open { since } => since,
        };
        let mut at = match self.pinged_at {
            Some(pinged_at) => pinged_at + profile.pong_timeout,
            None => self.pacer.ready_at(1, self.heard_at + profile.ping_after),
        };
        at = at.earliest(self.renew_at);
        if !self.texts.is_empty() {
            at = at.min(self.pacer.ready_at(1, Nanos(0)));
        } else if self.role == Role::Replacement {
            at = at.min(since + config.renewal_grace);
        }
        Some(at)
    }

    /// Whether a replacement can take over: all that it has to ask for is asked for, and it brings
    /// data or has had the time to.
    fn is_ready(&self, now: Nanos, config: &SessionConfig) -> bool {
        self.role == Role::Replacement && self.carries(now, config)
    }

    /// Whether it can be relied on to bring its streams.
    fn carries(&self, now: Nanos, config: &SessionConfig) -> bool {
        let Stage::Open { since } = self.stage else { return false };
        let proven = self.first_data.is_some() || now >= since + config.renewal_grace;
        self.texts.is_empty() && proven
    }
}

/// Inputs about connections.
impl Session {
    /// A connection is established.
    pub fn opened(&mut self, conn: ConnId, now: Nanos, pipeline: &mut dyn Pipeline) {
        let now = self.advance(now);
        let renew_at = self.draw_renewal(now);
        let Some(at) = self.conns.iter_mut().find(|c| c.id == conn && !c.is_open()) else {
            return;
        };
        at.stage = Stage::Open { since: now };
        at.heard_at = now;
        at.renew_at = renew_at;
        let (link, role) = (at.link, at.role);
        self.stats.connects += 1;
        if let Some(link) = self.links.iter_mut().find(|l| l.id == link) {
            if link.was_open && role == Role::Main {
                self.stats.reconnects += 1;
            }
            link.was_open = true;
        }
        tracing::info!(
            provider = %self.config.name, conn = conn.0, link = link.0,
            replacement = role == Role::Replacement, "connected"
        );
        let mut sink = Sink { pipeline: &mut *pipeline, outbox: &mut self.outbox };
        self.venue.on_open(link, conn, now, &mut sink);
        self.settle(now, pipeline);
    }

    /// A connection could not be established.
    pub fn connect_failed(
        &mut self,
        conn: ConnId,
        error: &ConnectError,
        now: Nanos,
        pipeline: &mut dyn Pipeline,
    ) {
        if !self.conns.iter().any(|c| c.id == conn && !c.is_open()) {
            return;
        }
        let Some(lost) = self.forget(conn) else { return };
        let now = self.advance(now);
        self.not_connected(&lost, error, now);
        self.settle(now, pipeline);
    }

    /// A ping arrived; the driver has answered it with its payload.
    pub fn pinged(&mut self, conn: ConnId, now: Nanos) {
        let now = self.advance(now);
        if let Some(conn) = self.conns.iter_mut().find(|c| c.id == conn) {
            conn.heard(now);
            conn.pacer.spend(1, now);
        }
    }

    /// A pong arrived. Any sign of life answers a ping, so its payload is not compared.
    pub fn ponged(&mut self, conn: ConnId, now: Nanos) {
        let now = self.advance(now);
        if let Some(conn) = self.conns.iter_mut().find(|c| c.id == conn) {
            conn.heard(now);
        }
    }
}

/// Opening and replacing.
impl Session {
    pub(super) fn change_link(
        &mut self,
        change: LinkChange,
        now: Nanos,
        pipeline: &mut dyn Pipeline,
    ) {
        let known = self.links.iter().position(|link| link.id == change.link);
        match (change.url, known) {
            (Some(url), Some(at)) => self.links[at].url = url,
            (Some(url), None) if self.links.len() < LINKS_MAX => self.links.push(Link {
                id: change.link,
                url,
                connect_at: Some(now),
                backoff: Backoff::default(),
                second_at: (self.config.redundancy > 1).then_some(now),
                second_backoff: Backoff::default(),
                renewing: false,
                was_open: false,
            }),
            (Some(_), None) => tracing::error!(
                provider = %self.config.name, link = change.link.0,
                "no room for another link: {LINKS_MAX} are open; its streams stay silent"
            ),
            (None, Some(at)) => {
                self.links.remove(at);
                let of_link = self.conns.iter().filter(|c| c.link == change.link).map(|c| c.id);
                for conn in of_link.collect::<Vec<_>>() {
                    self.drop_conn(conn, 1_000, "not needed", now, pipeline);
                }
            }
            (None, None) => {}
        }
    }

    pub(super) fn start_connects(&mut self, now: Nanos) {
        for at in 0..self.links.len() {
            if self.links[at].connect_at.is_some_and(|due| due <= now) {
                self.links[at].connect_at = self.start_connect(at, false, now).err();
            }
            if self.links[at].second_at.is_some_and(|due| due <= now) {
                self.links[at].second_at = self.start_connect(at, true, now).err();
            }
        }
    }

    /// Begins to connect; where the venue's rate does not allow it yet, says when it will.
    fn start_connect(&mut self, at: usize, second: bool, now: Nanos) -> Result<(), Nanos> {
        if !self.connects.take(1, now) {
            return Err(self.connects.ready_at(1, now));
        }
        self.last_conn = self.last_conn.wrapping_add(1);
        let (conn, link) = (ConnId(self.last_conn), self.links[at].id);
        let mut of_link = self.conns.iter().filter(|c| c.link == link);
        let seat = usize::from(of_link.clone().any(|c| c.seat == 0));
        let has_main = of_link.any(|c| c.role == Role::Main);
        self.conns.push(Conn {
            id: conn,
            link,
            seat,
            role: match (second, has_main) {
                (true, _) => Role::Second,
                (false, true) => Role::Replacement,
                (false, false) => Role::Main,
            },
            stage: Stage::Connecting { give_up_at: now + self.config.connect_timeout },
            heard_at: now,
            pinged_at: None,
            first_data: None,
            renew_at: None,
            renew_wanted: false,
            texts: VecDeque::new(),
            pacer: Pacer::new(self.profile.messages, PONG_RESERVE),
        });
        let (url, message_bytes_max) = (self.links[at].url.clone(), self.profile.message_bytes_max);
        self.actions.push_back(Action::Connect { conn, link, url, message_bytes_max });
        Ok(())
    }

    /// When a connection that opens now is to be replaced: at 23/24 of its life, less up to 1/48,
    /// so that connections opened together are not all replaced together.
    fn draw_renewal(&mut self, now: Nanos) -> Option<Nanos> {
        let lifetime = self.profile.connection_lifetime?;
        Some(now + (lifetime / 24 * 23).saturating_sub(self.rng.up_to(lifetime / 48)))
    }

    pub(super) fn renew(&mut self, conn: ConnId, now: Nanos, pipeline: &mut dyn Pipeline) {
        if self.config.redundancy > 1 {
            self.renew_one_of_two(conn, now, pipeline);
        } else {
            self.renew_beside(conn, now);
        }
    }

    /// Closes one of two connections, if the other can be relied on, and opens it again.
    fn renew_one_of_two(&mut self, conn: ConnId, now: Nanos, pipeline: &mut dyn Pipeline) {
        let Some(link) = self.conns.iter().find(|c| c.id == conn && c.is_open()).map(|c| c.link)
        else {
            return;
        };
        let others = self.conns.iter().filter(|c| c.link == link && c.id != conn);
        let mut others = others.filter(|c| c.carries(now, &self.config));
        if others.next().is_none() {
            let again_at = now + self.config.renewal_grace;
            let waiting = self.conns.iter_mut().filter(|c| c.id == conn);
            waiting.for_each(|c| c.renew_at = Some(again_at));
            return;
        }
        self.stats.renewals += 1;
        let lost = self.drop_conn(conn, 1_000, "replaced", now, pipeline);
        let at = self.links.iter().position(|l| l.id == link);
        if let (Some(lost), Some(at)) = (lost, at) {
            self.after_loss_of_one(at, &lost, None, now);
        }
    }

    fn renew_beside(&mut self, conn: ConnId, now: Nanos) {
        let Some(at) = self.conns.iter().position(|c| c.id == conn && c.is_open()) else {
            return;
        };
        if self.conns[at].role == Role::Replacement {
            self.conns[at].renew_wanted = true;
            return;
        }
        let (id, useful) = (self.conns[at].link, self.was_useful(&self.conns[at], now));
        let Some(link) = self.links.iter_mut().find(|l| l.id == id && !l.renewing) else { return };
        link.renewing = true;
        if useful {
            link.backoff.reset();
        }
        link.connect_at = Some(now + link.backoff.next(&mut self.rng));
    }

    pub(super) fn promote_replacements(&mut self, now: Nanos, pipeline: &mut dyn Pipeline) {
        while let Some(at) = self.conns.iter().position(|c| c.is_ready(now, &self.config)) {
            let (conn, link) = (self.conns[at].id, self.conns[at].link);
            let old = self.conns.iter().find(|c| c.link == link && c.role == Role::Main);
            let old = old.map(|c| c.id);
            self.take_over(conn, now);
            if let Some(old) = old {
                self.stats.renewals += 1;
                self.drop_conn(old, 1_000, "replaced", now, pipeline);
            }
        }
    }

    /// The replacement is the main connection from now on.
    fn take_over(&mut self, conn: ConnId, now: Nanos) {
        let Some(at) = self.conns.iter_mut().find(|c| c.id == conn) else { return };
        at.role = Role::Main;
        let again = std::mem::take(&mut at.renew_wanted);
        let id = at.link;
        if let Some(link) = self.links.iter_mut().find(|l| l.id == id) {
            link.renewing = false;
            link.connect_at = None;
        }
        if again {
            self.renew_beside(conn, now);
        }
    }
}

/// Using.
impl Session {
    /// Whether no message waits for a connection's message budget: what is to be sent now goes at
    /// once.
    #[must_use]
    pub fn can_send(&self) -> bool {
        self.conns.iter().all(|conn| conn.texts.is_empty())
    }

    /// Hands a message to the venue and looks at what it makes of it.
    pub(super) fn watched_frame(
        &mut self,
        at: usize,
        payload: &[u8],
        now: Nanos,
        pipeline: &mut dyn Pipeline,
    ) -> Result<(), Error> {
        let (id, seat) = (self.conns[at].id, self.conns[at].seat);
        let race = (self.config.redundancy > 1).then_some((&mut self.race, seat, now));
        let mut watch = Watch { inner: pipeline, saw_data: false, race };
        let mut sink = Sink { pipeline: &mut watch, outbox: &mut self.outbox };
        let result = self.venue.on_frame(id, payload, now, &mut sink);
        if watch.saw_data && self.conns[at].first_data.is_none() {
            self.conns[at].first_data = Some(now);
        }
        result
    }

    pub(super) fn queue_text(
        &mut self,
        conn: ConnId,
        text: String,
        now: Nanos,
        pipeline: &mut dyn Pipeline,
    ) {
        let Some(open) = self.conns.iter_mut().find(|c| c.id == conn && c.is_open()) else {
            self.stats.stale_sends += 1;
            return;
        };
        if open.texts.len() < self.config.sends_len_max {
            open.texts.push_back(text);
            return;
        }
        // Dropping it would leave the venue believing that it was sent.
        self.stats.send_overflows += 1;
        self.lose(conn, 1_000, "too much to send", now, pipeline);
    }

    pub(super) fn send_texts(&mut self, now: Nanos) {
        for conn in self.conns.iter_mut().filter(|c| c.is_open()) {
            while !conn.texts.is_empty() && conn.pacer.take(1, now) {
                if let Some(text) = conn.texts.pop_front() {
                    self.actions.push_back(Action::Send { conn: conn.id, text });
                }
            }
        }
    }

    pub(super) fn time_connections(&mut self, now: Nanos, pipeline: &mut dyn Pipeline) {
        for conn in self.conn_ids() {
            let Some(at) = self.conns.iter().position(|c| c.id == conn) else { continue };
            match self.conns[at].stage {
                Stage::Connecting { give_up_at } if give_up_at <= now => {
                    self.give_up_connecting(conn, now, pipeline);
                }
                Stage::Connecting { .. } => {}
                Stage::Open { .. } => self.time_open(at, now, pipeline),
            }
        }
    }

    fn time_open(&mut self, at: usize, now: Nanos, pipeline: &mut dyn Pipeline) {
        let conn = &mut self.conns[at];
        let id = conn.id;
        let renew = conn.renew_at.is_some_and(|renew_at| renew_at <= now);
        if renew {
            conn.renew_at = None;
        }
        match conn.pinged_at {
            Some(pinged_at) if pinged_at + self.profile.pong_timeout <= now => {
                self.stats.pong_timeouts += 1;
                self.lose(id, 1_001, "no pong", now, pipeline);
                return;
            }
            Some(_) => {}
            None => {
                let silent = conn.heard_at + self.profile.ping_after <= now;
                if silent && conn.pacer.take(1, now) {
                    conn.pinged_at = Some(now);
                    self.stats.pings += 1;
                    self.actions.push_back(match self.profile.ping_text {
                        Some(text) => Action::Send { conn: id, text: text.to_owned() },
                        None => Action::Ping { conn: id, payload: now.0.to_be_bytes() },
                    });
                }
            }
        }
        if renew {
            self.renew(id, now, pipeline);
        }
    }
}

/// Losing.
impl Session {
    pub(super) fn conn_ids(&self) -> Vec<ConnId> {
        self.conns.iter().map(|c| c.id).collect()
    }

    /// Closes a connection and goes on without it.
    pub(super) fn lose(
        &mut self,
        conn: ConnId,
        code: u16,
        reason: &'static str,
        now: Nanos,
        pipeline: &mut dyn Pipeline,
    ) {
        if let Some(lost) = self.drop_conn(conn, code, reason, now, pipeline) {
            tracing::warn!(
                provider = %self.config.name, conn = conn.0, code, "connection given up: {reason}"
            );
            self.after_loss(&lost, None, now);
        }
    }

    /// Closes a connection; its link stays as it is.
    pub(super) fn drop_conn(
        &mut self,
        conn: ConnId,
        code: u16,
        reason: &'static str,
        now: Nanos,
        pipeline: &mut dyn Pipeline,
    ) -> Option<Conn> {
        let lost = self.forget(conn)?;
        self.actions.push_back(Action::Close { conn, code, reason });
        self.tell_closed(&lost, now, pipeline);
        Some(lost)
    }

    /// From here on no action names the connection.
    pub(super) fn forget(&mut self, conn: ConnId) -> Option<Conn> {
        let at = self.conns.iter().position(|c| c.id == conn)?;
        let about = |action: &Action| match action {
            Action::Send { conn: of, .. } | Action::Ping { conn: of, .. } => *of == conn,
            _ => false,
        };
        self.actions.retain(|action| !about(action));
        Some(self.conns.remove(at))
    }

    pub(super) fn tell_closed(&mut self, lost: &Conn, now: Nanos, pipeline: &mut dyn Pipeline) {
        if lost.is_open() {
            self.venue.on_close(lost.id, now, &mut Sink { pipeline, outbox: &mut self.outbox });
        }
    }

    fn was_useful(&self, conn: &Conn, now: Nanos) -> bool {
        conn.first_data.is_some_and(|since| since + self.config.useful_after <= now)
    }

    fn give_up_connecting(&mut self, conn: ConnId, now: Nanos, pipeline: &mut dyn Pipeline) {
        let lost = self.drop_conn(conn, 1_000, "connect timed out", now, pipeline);
        let error = ConnectError::Timeout {
            after: self.config.connect_timeout,
            phase: crate::fault::Phase::Tcp,
        };
        if let Some(lost) = lost {
            self.not_connected(&lost, &error, now);
        }
    }

    fn not_connected(&mut self, lost: &Conn, error: &ConnectError, now: Nanos) {
        self.stats.connects_failed += 1;
        self.after_loss(lost, error.retry_after().map(|wait| now + wait), now);
        let again_at = self.links.iter().find(|l| l.id == lost.link).and_then(|l| l.connect_at);
        tracing::warn!(
            provider = %self.config.name, conn = lost.id.0,
            again_in_ms = again_at.map(|at| at.since(now).as_millis()),
            "not connected: {error}"
        );
    }

    /// Decides what takes the place of a connection that is gone.
    pub(super) fn after_loss(&mut self, lost: &Conn, not_before: Option<Nanos>, now: Nanos) {
        let useful = self.was_useful(lost, now);
        let Some(at) = self.links.iter().position(|l| l.id == lost.link) else { return };
        if self.config.redundancy > 1 {
            self.stats.disconnects += u64::from(lost.is_open());
            self.after_loss_of_one(at, lost, not_before, now);
            return;
        }
        if useful {
            self.links[at].backoff.reset();
        } else if lost.first_data.is_some() {
            self.links[at].backoff.ease();
        }
        if lost.role == Role::Main {
            self.stats.disconnects += u64::from(lost.is_open());
            let next = self.conns.iter().find(|c| c.link == lost.link).map(|c| c.id);
            if let Some(next) = next {
                self.take_over(next, now);
                return;
            }
            self.links[at].renewing = false;
        }
        let again_at = now + self.links[at].backoff.next(&mut self.rng);
        self.links[at].connect_at = Some(again_at.max(not_before.unwrap_or(again_at)));
    }

    /// The same where there are two: the other one is the main one now, and another second is opened.
    fn after_loss_of_one(&mut self, at: usize, lost: &Conn, not_before: Option<Nanos>, now: Nanos) {
        let useful = self.was_useful(lost, now);
        let other = self.conns.iter_mut().filter(|c| c.link == lost.link);
        // An open one rather than one that is only being opened.
        let other = other.max_by_key(|c| c.is_open());
        let alone = other.is_none();
        if let Some(other) = other {
            other.role = Role::Main;
        }
        let link = &mut self.links[at];
        let (backoff, connect_at) = if alone && link.connect_at.is_none() {
            (&mut link.backoff, &mut link.connect_at)
        } else {
            (&mut link.second_backoff, &mut link.second_at)
        };
        if useful {
            backoff.reset();
        } else if lost.first_data.is_some() {
            backoff.ease();
        }
        let again_at = now + backoff.next(&mut self.rng);
        *connect_at = Some(again_at.max(not_before.unwrap_or(again_at)));
    }
}
