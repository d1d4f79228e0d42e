//! What goes over connections that are open: messages in, paced messages out, and probes of those that
//! are silent.

use model::venue::{Pipeline, Sink};
use model::{ConnId, Error, Nanos};

use super::Session;
use super::action::Action;
use super::conn::Stage;
use super::watch::Watch;

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
