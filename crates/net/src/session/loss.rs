//! Losing connections, and what takes their place.

use model::venue::{Pipeline, Sink};
use model::{ConnId, Nanos};

use super::Session;
use super::action::Action;
use super::conn::{Conn, Role};
use crate::fault::ConnectError;

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

    pub(super) fn was_useful(&self, conn: &Conn, now: Nanos) -> bool {
        conn.first_data.is_some_and(|since| since + self.config.useful_after <= now)
    }

    pub(super) fn give_up_connecting(
        &mut self,
        conn: ConnId,
        now: Nanos,
        pipeline: &mut dyn Pipeline,
    ) {
        let lost = self.drop_conn(conn, 1_000, "connect timed out", now, pipeline);
        let error = ConnectError::Timeout {
            after: self.config.connect_timeout,
            phase: crate::fault::Phase::Tcp,
        };
        if let Some(lost) = lost {
            self.not_connected(&lost, &error, now);
        }
    }

    pub(super) fn not_connected(&mut self, lost: &Conn, error: &ConnectError, now: Nanos) {
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
    pub(super) fn after_loss_of_one(
        &mut self,
        at: usize,
        lost: &Conn,
        not_before: Option<Nanos>,
        now: Nanos,
    ) {
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
