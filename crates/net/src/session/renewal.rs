//! Replacing connections: one beside the other, so that nothing is missed in between.

use model::venue::Pipeline;
use model::{ConnId, Nanos};

use super::Session;
use super::conn::Role;

impl Session {
    /// When a connection that opens now is to be replaced: at 23/24 of its life, less up to 1/48,
    /// so that connections opened together are not all replaced together.
    pub(super) fn draw_renewal(&mut self, now: Nanos) -> Option<Nanos> {
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
    pub(super) fn take_over(&mut self, conn: ConnId, now: Nanos) {
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
