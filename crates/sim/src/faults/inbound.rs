//! What clients say, and when it is read.

use std::time::Duration;

use bytes::Bytes;
use model::Nanos;

use super::{Faulty, HELD_MAX, Subject};
use crate::machine::{ClientId, ControlFrame, Output, Request, RequestId};

/// What a client said.
#[derive(Clone, Debug)]
pub(super) enum Inbound {
    Message(ClientId, Bytes),
    Control(ClientId, ControlFrame),
    Request(RequestId, Request),
}

impl<M: Subject> Faulty<M> {
    /// A client has said something: it is read at once, or when its time comes.
    pub(super) fn hear(&mut self, now: Nanos, what: Inbound, out: &mut Vec<Output>) {
        let client = match &what {
            Inbound::Message(client, _) | Inbound::Control(client, _) => Some(*client),
            Inbound::Request(..) => None,
        };
        let line = client.and_then(|client| self.clients.get_mut(&client));
        if client.is_some() && line.is_none() {
            return;
        }
        let mut at = line.and_then(|line| line.read_at.take_if(|at| *at > now));
        if self.unread.len() < HELD_MAX && self.chance(self.faults.read_slow) {
            self.note(now, "read_slow", client);
            let late = Duration::from_millis(self.rng.below(self.faults.read_slow_ms.into()));
            at = at.max(Some(now + late));
        }
        let Some(at) = at.filter(|at| *at > now) else { return self.take(now, what, out) };
        if let Some(line) = client.and_then(|client| self.clients.get_mut(&client)) {
            line.read_at = Some(at);
        }
        self.order += 1;
        self.unread.insert((at, self.order), what);
    }

    /// Reads what has waited long enough; all of it once there are no faults any more.
    pub(super) fn read(&mut self, now: Nanos, out: &mut Vec<Output>) {
        while let Some(first) = self.unread.first_entry() {
            if self.active && first.key().0 > now {
                return;
            }
            let what = first.remove();
            self.take(now, what, out);
        }
    }

    fn take(&mut self, now: Nanos, what: Inbound, out: &mut Vec<Output>) {
        match what {
            Inbound::Request(id, request) => {
                self.call(now, out, |inner, now, out| inner.request(now, id, &request, out));
            }
            Inbound::Control(client, control) => {
                if self.clients.contains_key(&client) {
                    self.call(now, out, |inner, now, out| {
                        inner.control(now, client, &control, out);
                    });
                }
            }
            Inbound::Message(client, message) if self.is_private(client) => {
                self.take_private(now, client, &message, out);
            }
            Inbound::Message(client, message) => {
                if self.clients.contains_key(&client) {
                    self.call(now, out, |inner, now, out| {
                        inner.message(now, client, &message, out)
                    });
                }
            }
        }
    }
}
