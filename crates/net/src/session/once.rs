//! What goes now or never: orders, and whatever is signed.
//!
//! It does not wait in a queue, where it would grow stale or be sent when nobody wants it any more,
//! and it is never tried again, since it may have happened. Every one ends in exactly one outcome:
//! answered, lost (it may have happened), or unsent (it has not).

use model::Nanos;
use model::venue::{OnceFrame, Outcome, Pipeline, Request};

use super::Session;
use super::action::{Action, Reply, ReplyBody};
use super::requests::{Pending, pause_after};
use crate::fault::FetchError;

impl Session {
    pub(super) fn send_once(&mut self, frame: OnceFrame, now: Nanos, pipeline: &mut dyn Pipeline) {
        let OnceFrame { conn, id, text, urgent } = frame;
        let open = self.conns.iter_mut().find(|c| c.id == conn && c.is_open());
        let why = match open.map(|open| open.take_message(urgent, now)) {
            Some(true) => return self.actions.push_back(Action::Send { conn, text }),
            Some(false) => "the connection's message budget is used up",
            None => "the connection is gone",
        };
        self.respond(id, "", Outcome::Unsent(why), now, pipeline);
    }

    pub(super) fn request_once(
        &mut self,
        request: Request,
        urgent: bool,
        now: Nanos,
        pipeline: &mut dyn Pipeline,
    ) {
        match self.requests.take_once(request.weight, urgent, now) {
            Ok(()) => self.send_request(Pending::new(request, now), now),
            Err(why) => {
                self.stats.requests_refused += 1;
                self.respond(request.id, &request.url, Outcome::Unsent(why), now, pipeline);
            }
        }
    }

    /// Gives up every request under way that changes something, other than what is urgent; what
    /// became of it is not known.
    pub fn abandon_changes(&mut self, now: Nanos, pipeline: &mut dyn Pipeline) {
        let now = self.advance(now);
        for pending in self.requests.take_changes() {
            self.actions.push_back(Action::Cancel { id: pending.request.id });
            let given_up = Err(FetchError::Abandoned);
            self.answered_once(&pending.request, given_up, now, pipeline);
        }
        self.settle(now, pipeline);
    }

    pub(super) fn answered_once(
        &mut self,
        request: &Request,
        result: Result<Reply<'_>, FetchError>,
        now: Nanos,
        pipeline: &mut dyn Pipeline,
    ) {
        let (id, url) = (request.id, &request.url);
        let reply = match result {
            Ok(reply) => reply,
            Err(error) => {
                let words = error.to_string();
                let outcome = match error {
                    FetchError::Connect(_) | FetchError::Url(_) | FetchError::Busy => {
                        Outcome::Unsent(&words)
                    }
                    FetchError::Timeout
                    | FetchError::Body(_)
                    | FetchError::TooLarge { .. }
                    | FetchError::Abandoned => Outcome::Lost(&words),
                };
                return self.respond(id, url, outcome, now, pipeline);
            }
        };
        if let Some(usual) = pause_after(reply.status, self.profile.weight) {
            let wait = reply.retry_after.unwrap_or(usual);
            self.requests.pause(wait, &mut self.rng, now);
            self.stats.rate_limited_pauses += 1;
        }
        let outcome = match reply.body {
            ReplyBody::Read(bulk) => Outcome::Decoded(bulk),
            ReplyBody::Raw(body) if (200..300).contains(&reply.status) => Outcome::Answered(body),
            ReplyBody::Raw(body) => Outcome::Status(reply.status, body),
        };
        self.respond(id, url, outcome, now, pipeline);
    }
}
