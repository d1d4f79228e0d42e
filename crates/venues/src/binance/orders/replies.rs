//! What becomes of an answer.

use model::ledger::{Name, Outcome};
use model::trading::{Heard, Ticket};
use model::venue::{Bulk, Notice, Sink};
use model::{Error, Nanos, RequestId};

use super::account::tell_fill;
use super::answers::{self, Wish, refusal};
use super::habits::{KEEP_ALIVE, REFUSED_RETRY, RETRY};
use super::instructions::FILLS_MAX;
use super::wire::{Fill, ListenKey, Order, ServerTime, Taken};
use super::{From, Job, Orders, Page, millis};
use crate::json::fallback::read;
use crate::orders::{DONE, Reply, UNCLEAR, not_sent};
use crate::signing::Secret;

impl Orders {
    /// An answer on the socket.
    pub(super) fn on_reply(
        &mut self,
        id: Option<u64>,
        status: u16,
        body: &str,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) {
        let reply = match status {
            200 => Reply::Good(body.as_bytes()),
            _ => Reply::Bad(status, body.as_bytes()),
        };
        match id {
            // Whose it is shows when its time is over.
            None => sink.pipeline.notice(Notice::RequestRefused(body)),
            Some(id) => {
                let Some(job) = self.tickets.take(RequestId(id)) else { return };
                if let Err(error) = self.finish(job, reply, now, sink) {
                    sink.pipeline.notice(Notice::RequestRefused(&error.message));
                }
            }
        }
    }

    /// Ends a job with whatever became of its request.
    pub(super) fn finish(
        &mut self,
        job: Job,
        reply: Reply<'_>,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        if let Reply::Bad(_, body) = reply {
            self.note(body, now);
        }
        match job {
            // Its answers are others.
            Job::Listings => Ok(()),
            Job::Time { sent } => self.on_time(sent, reply, now, sink),
            Job::NewKey => self.on_new_key(reply, now, sink),
            Job::KeepKey => {
                self.on_kept_key(reply, now);
                Ok(())
            }
            Job::LogOn { conn } => {
                match (reply, self.conn(conn)) {
                    (Reply::Good(_), Some(conn)) => conn.logged_on = true,
                    // Each message is signed by itself, then.
                    (Reply::Bad(_, body), _) => refused(body, "session.logon", sink),
                    _ => {}
                }
                Ok(())
            }
            Job::Subscribe { conn } => {
                self.on_subscribed(conn, reply, now, sink);
                Ok(())
            }
            Job::Change { ticket, wish } => end(ticket, changed(wish, reply), sink),
            Job::Query { ticket, client_id } => {
                let read = |body: &[u8]| self.on_order(ticket, &client_id, body, now, sink);
                let outcome = told(reply, read);
                end(ticket, outcome, sink)
            }
            Job::OpenOrders { ticket } => {
                let outcome = told(reply, |body| self.on_orders(ticket, body, now, sink));
                end(ticket, outcome, sink)
            }
            Job::Balances { ticket } => {
                let outcome = told(reply, |body| self.on_account(body, now, sink));
                end(ticket, outcome, sink)
            }
            Job::Fills { ticket, page } => self.on_fills(ticket, page, reply, now, sink),
        }
    }

    /// Ends a job that has no answer.
    pub(super) fn give_up(&mut self, job: Job, reply: Reply<'_>, now: Nanos, sink: &mut Sink<'_>) {
        // Only the reading of an answer fails.
        let _ = self.finish(job, reply, now, sink);
    }

    /// What an error says to all that follow.
    fn note(&mut self, body: &[u8], now: Nanos) {
        let Some(refusal) = refusal(body) else { return };
        if refusal.code == answers::BAD_TIME {
            self.clock.doubt(now);
        }
        if let Some(until) = refusal.data.millis {
            let wait = until.saturating_sub(self.clock.millis(now).unwrap_or(until));
            self.slow_until = Some(now + std::time::Duration::from_millis(wait));
        }
    }

    fn on_time(
        &mut self,
        sent: Nanos,
        reply: Reply<'_>,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let Reply::Good(body) = reply else {
            self.clock.failed(now);
            return Ok(());
        };
        match read::<ServerTime>(body) {
            Ok(time) => {
                self.clock.answered(sent, time.millis, now);
                self.open_links(now, sink);
                Ok(())
            }
            Err(error) => {
                self.clock.failed(now);
                Err(error)
            }
        }
    }

    fn on_new_key(
        &mut self,
        reply: Reply<'_>,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let body = match reply {
            Reply::Good(body) => body,
            Reply::Bad(_, body) => {
                refused(body, "listenKey", sink);
                self.key_at = Some(now + REFUSED_RETRY);
                return Ok(());
            }
            Reply::Lost(_) | Reply::Unsent(_) => {
                self.key_at = Some(now + RETRY);
                return Ok(());
            }
        };
        match read::<ListenKey<'_>>(body) {
            Ok(ListenKey { key }) => {
                self.key_at = Some(now + KEEP_ALIVE);
                self.take_key(Secret::from(key.0.into_owned()), sink);
                Ok(())
            }
            // Not in its own words, which may hold the key.
            Err(_) => {
                self.key_at = Some(now + REFUSED_RETRY);
                Err(Error::ignore("an answer to listenKey without a key"))
            }
        }
    }

    fn on_kept_key(&mut self, reply: Reply<'_>, now: Nanos) {
        self.key_at = Some(match reply {
            Reply::Good(_) => now + KEEP_ALIVE,
            Reply::Bad(_, body)
                if refusal(body).is_some_and(|why| why.code == answers::NO_LISTEN_KEY) =>
            {
                self.forget_key();
                now
            }
            Reply::Bad(..) => now + REFUSED_RETRY,
            Reply::Lost(_) | Reply::Unsent(_) => now + RETRY,
        });
    }

    /// All of a list is told, or nothing: what is absent from it counts as over.
    fn on_orders(
        &mut self,
        ticket: Ticket,
        body: &[u8],
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Result<Outcome, Error> {
        for order in read::<Vec<Order<'_>>>(body)? {
            self.tell_order(ticket, &order, None, now, sink);
        }
        Ok(DONE)
    }

    fn on_order(
        &mut self,
        ticket: Ticket,
        client_id: &Name,
        body: &[u8],
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Result<Outcome, Error> {
        let order: Order<'_> = read(body)?;
        self.tell_order(ticket, &order, Some(client_id), now, sink);
        let venue_order_id = Some(order.order_id.to_string().into());
        Ok(Outcome::Accepted { venue_order_id })
    }

    /// A page of fills; a full one, or one whose span ends before now, is followed by another.
    fn on_fills(
        &mut self,
        ticket: Ticket,
        mut page: Page,
        reply: Reply<'_>,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let mut next = None;
        let outcome = told(reply, |body| {
            let fills = read::<Vec<Fill>>(body)?;
            for fill in &fills {
                tell_fill(ticket, &page.instrument, fill, now, sink);
            }
            let last = fills.iter().map(|fill| fill.id).max();
            next = self.next_page(page.from, fills.len(), last, now);
            Ok(DONE)
        });
        let Some(from) = next else { return end(ticket, outcome, sink) };
        page.from = from;
        let call = self.fills(&page, now);
        self.send(call, Job::Fills { ticket, page }, now, sink);
        Ok(())
    }

    fn next_page(&self, from: From, len: usize, last: Option<u64>, now: Nanos) -> Option<From> {
        match (from, last) {
            // A page that brings nothing new ends it.
            (From::Id(from), Some(last)) if len >= FILLS_MAX && last >= from => {
                Some(From::Id(last.saturating_add(1)))
            }
            (From::Millis(_), Some(last)) if len >= FILLS_MAX => {
                Some(From::Id(last.saturating_add(1)))
            }
            (From::Millis(from), _) => {
                let until = from.saturating_add(millis(self.line.fills_span?));
                (until < self.clock.millis(now)?).then_some(From::Millis(until))
            }
            _ => None,
        }
    }

    /// The venue's list of instruments; gives no answer to anybody.
    pub(super) fn on_listings(
        &mut self,
        id: RequestId,
        outcome: model::venue::Outcome<'_>,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let bulk = match outcome {
            model::venue::Outcome::Answered(body) => super::super::rest::read_listings(body),
            model::venue::Outcome::Decoded(bulk) => bulk,
            // The session goes on by itself.
            model::venue::Outcome::Delayed(..) => return Ok(()),
            _ => Err(Error::ignore("the venue refuses its list of instruments")),
        };
        self.tickets.take(id);
        match bulk {
            Ok(Bulk::Listings { listings, unreadable }) => {
                for entry in &unreadable {
                    sink.pipeline.notice(Notice::UnreadableInstrument(entry));
                }
                self.listings.extend(listings);
                self.take_listings(now, sink);
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(error) => {
                self.list_at = Some(now + REFUSED_RETRY);
                Err(error)
            }
        }
    }
}

/// The one answer of a ticket; an error of its reading goes on.
fn end(
    ticket: Ticket,
    (outcome, error): (Outcome, Option<Error>),
    sink: &mut Sink<'_>,
) -> Result<(), Error> {
    sink.pipeline.heard(Heard::Answer { ticket, outcome });
    error.map_or(Ok(()), Err)
}

/// What came of a request that changes something.
fn changed(wish: Wish, reply: Reply<'_>) -> (Outcome, Option<Error>) {
    match reply {
        Reply::Good(_) if matches!(wish, Wish::CancelAll | Wish::Other) => (DONE, None),
        Reply::Good(body) => match read::<Taken>(body).map(|taken| taken.order()) {
            Ok(Some(id)) => {
                let venue_order_id = Some(id.to_string().into());
                (Outcome::Accepted { venue_order_id }, None)
            }
            Ok(None) => (UNCLEAR, Some(Error::ignore("an answer that names no order"))),
            Err(error) => (UNCLEAR, Some(error)),
        },
        other => (failed(wish, other), None),
    }
}

/// What came of a request that reads, whose body is read by `read`.
fn told(
    reply: Reply<'_>,
    read: impl FnOnce(&[u8]) -> Result<Outcome, Error>,
) -> (Outcome, Option<Error>) {
    match reply {
        Reply::Good(body) => match read(body) {
            Ok(outcome) => (outcome, None),
            Err(error) => (UNCLEAR, Some(error)),
        },
        other => (failed(Wish::Other, other), None),
    }
}

fn failed(wish: Wish, reply: Reply<'_>) -> Outcome {
    match reply {
        Reply::Good(_) => UNCLEAR,
        Reply::Bad(status, body) => answers::outcome(wish, status, refusal(body).as_ref()),
        Reply::Lost(how) => Outcome::Unknown(how),
        Reply::Unsent(why) => not_sent(why),
    }
}

/// The operator hears what the venue refused of the machine's own.
pub(super) fn refused(body: &[u8], what: &str, sink: &mut Sink<'_>) {
    let words = match refusal(body) {
        Some(why) => format!("{what}: {}: {}", why.code, why.msg.0),
        None => format!("{what}: no reason that can be read"),
    };
    sink.pipeline.notice(Notice::RequestRefused(&words));
}
