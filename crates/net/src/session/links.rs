//! Links, the logical connections that a venue asks for, and the physical ones that are opened for
//! them.

use std::collections::VecDeque;

use model::venue::{LinkChange, Pipeline, Sink};
use model::{ConnId, LinkId, Nanos};

use super::Session;
use super::action::Action;
use super::backoff::Backoff;
use super::conn::{Conn, Role, Stage};
use super::pace::Pacer;
use crate::fault::ConnectError;

/// A venue asks for at most so many links; more are refused, loudly.
const LINKS_MAX: usize = 1_024;
/// Of a connection's message budget, this much is kept for answering the far end's pings.
const PONG_RESERVE: u32 = 1;

/// A logical connection that the venue wants.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: LinkId,
    url: String,
    /// When the next connect is due: of the main connection where there is none, else of its
    /// replacement. `None` while one is being opened or none is needed.
    pub(super) connect_at: Option<Nanos>,
    pub(super) backoff: Backoff,
    /// When the connect of the second connection is due, where it is wanted and not there.
    pub(super) second_at: Option<Nanos>,
    pub(super) second_backoff: Backoff,
    /// The main connection is to be replaced.
    pub(super) renewing: bool,
    was_open: bool,
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

/// Opening.
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
}
