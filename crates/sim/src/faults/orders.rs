//! What becomes of orders, their answers and their reports.

use std::time::Duration;

use bytes::Bytes;
use model::Nanos;

use super::{Faulty, Subject};
use crate::machine::{ClientId, Output, Reply};

/// An answer waits so long for the reports that are to come before it.
const REPORTS_FIRST: Duration = Duration::from_millis(50);
/// The second of two equal reports comes at most so much later.
const TWICE_MS: u64 = 1_000;

/// What is to become of an answer.
#[derive(Clone, Debug)]
pub(super) enum Fate<A = Reply> {
    /// It never comes.
    Lost,
    /// It comes then.
    Late(Nanos),
    /// This one comes instead.
    Instead(A),
}

impl<M: Subject> Faulty<M> {
    /// Whether a connection that is there carries orders or their reports.
    pub(super) fn is_private(&self, client: ClientId) -> bool {
        self.clients.contains_key(&client) && self.inner.is_private(client)
    }

    /// Decides what becomes of the answer to an order, a cancel or an amendment; `unknown` would say
    /// that nobody knows its outcome.
    pub(super) fn fate<A>(
        &mut self,
        now: Nanos,
        client: Option<ClientId>,
        unknown: A,
    ) -> Option<Fate<A>> {
        if self.chance(self.faults.order_answer_lost) {
            self.note(now, "order_answer_lost", client);
            return Some(Fate::Lost);
        }
        if self.chance(self.faults.order_answer_late) {
            self.note(now, "order_answer_late", client);
            let late = self.rng.below(self.faults.order_answer_late_ms.into());
            return Some(Fate::Late(now + Duration::from_millis(late)));
        }
        if self.chance(self.faults.order_outcome_unknown) {
            self.note(now, "order_outcome_unknown", client);
            return Some(Fate::Instead(unknown));
        }
        if self.chance(self.faults.order_report_first) {
            self.note(now, "order_report_first", client);
            return Some(Fate::Late(now + REPORTS_FIRST));
        }
        None
    }

    /// The machine reads a message on a private connection; what it says at once is the answer, since
    /// reports come with a tick.
    pub(super) fn take_private(
        &mut self,
        now: Nanos,
        client: ClientId,
        message: &[u8],
        out: &mut Vec<Output>,
    ) {
        let unknown = self.inner.unknown_outcome_to(message);
        let fate = unknown.and_then(|unknown| self.fate(now, Some(client), unknown));
        self.release(now, out);
        let mut clean = Vec::new();
        self.inner.message(self.faults.skewed(now), client, message, &mut clean);
        for output in clean {
            let is_answer = matches!(&output, Output::Send { client: to, .. } if *to == client);
            match (&fate, output) {
                (Some(Fate::Lost | Fate::Instead(_)), _) if is_answer => {}
                (Some(Fate::Late(at)), output) if is_answer => self.hold(*at, output, out),
                (_, output) => self.spoil(now, output, out),
            }
        }
        if let Some(Fate::Instead(payload)) = fate {
            self.pass(now, client, payload, out);
        }
    }

    /// A report of an order: nothing is overtaken while the connection is up, and nothing lost but what
    /// is suppressed.
    pub(super) fn spoil_report(
        &mut self,
        now: Nanos,
        client: ClientId,
        payload: Bytes,
        out: &mut Vec<Output>,
    ) {
        if self.happens(now, client, "report_lost", self.faults.report_lost) {
            if let Some(line) = self.clients.get_mut(&client) {
                (line.is_lost, line.breaks_at) = (true, Some(now));
            }
            return;
        }
        if self.happens(now, client, "report_suppressed", self.faults.report_suppressed) {
            return;
        }
        let twice = self.happens(now, client, "report_twice", self.faults.report_twice);
        self.pass(now, client, payload.clone(), out);
        if twice {
            let late = now + Duration::from_millis(self.rng.below(TWICE_MS));
            // Not before the first of the two, where that has to wait.
            let stalled = self.clients.get(&client).and_then(|line| line.stalled_until);
            let at = stalled.map_or(late, |until| late.max(until));
            self.hold(at, Output::Send { client, payload }, out);
        }
    }
}
