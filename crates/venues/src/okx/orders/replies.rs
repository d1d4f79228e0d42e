//! What becomes of an answer.

use model::Nanos;
use model::ledger::Outcome;
use model::trading::{Heard, Ticket};
use model::venue::{Bulk, Notice, Sink};
use model::{Error, RequestId};

use super::super::rest::read_listings;
use super::answers::{self, Wish};
use super::instructions::{CANCELS_MAX, Call, PAGE_MAX, cancels, fills, open_orders};
use super::wire::{Account, Answer, Code, Fill, Held, Order, ServerTime, Taken};
use super::{Job, Orders, Page};
use crate::json::fallback::read;
use crate::orders::{DONE, Reply, UNCLEAR, not_sent};

/// So many open orders of an instrument are looked for at once; the venue allows an account fewer.
const FOUND_MAX: usize = 10_000;

/// What a reading gives: the ticket's outcome, or a further request for the same ticket.
enum Next {
    End(Outcome),
    Go(Call, Job),
}

impl Orders {
    /// An answer on the socket.
    pub(super) fn on_reply(
        &mut self,
        id: Option<u64>,
        answer: &Answer<'_>,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) {
        let Some(id) = id.map(RequestId) else {
            // Whose it is shows when its time is over.
            self.refused("an order", &answer.code.0, &answer.msg.0, now, sink);
            return;
        };
        // Nothing else goes over the socket.
        let Some(&Job::Change { ticket, wish }) = self.tickets.get(id) else { return };
        self.tickets.take(id);
        let (outcome, error) = self.changed(wish, answer, now);
        sink.pipeline.heard(Heard::Answer { ticket, outcome });
        if let Some(error) = error {
            sink.pipeline.notice(Notice::RequestRefused(&error.message));
        }
    }

    /// Ends a job that has no answer.
    pub(super) fn give_up(&mut self, job: Job, reply: Reply<'_>, now: Nanos, sink: &mut Sink<'_>) {
        // Only the reading of an answer fails.
        let _ = self.finish(job, reply, now, sink);
    }

    /// Ends a job with whatever became of its request, or goes on with the next request of it.
    pub(super) fn finish(
        &mut self,
        job: Job,
        reply: Reply<'_>,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let (ticket, wish) = match &job {
            Job::List { list } => return self.on_list(list, reply, now, sink),
            Job::Time { sent } => return self.on_time(*sent, reply, now, sink),
            Job::Change { ticket, wish } => (*ticket, *wish),
            Job::DeadMan { ticket }
            | Job::Query { ticket }
            | Job::OpenOrders { ticket, .. }
            | Job::Fills { ticket, .. }
            | Job::Balances { ticket }
            | Job::Positions { ticket }
            | Job::Find { ticket, .. }
            | Job::Sweep { ticket, .. } => (*ticket, Wish::Other),
        };
        let (outcome, error) = match reply {
            Reply::Lost(how) => (Outcome::Unknown(how), None),
            Reply::Unsent(why) => (not_sent(why), None),
            Reply::Bad(status, body) => (self.bad(wish, status, body, now), None),
            Reply::Good(body) => match self.good(job, wish, body, now, sink) {
                Ok(Next::End(outcome)) => (outcome, None),
                Ok(Next::Go(call, job)) => {
                    self.send(call, job, now, sink);
                    return Ok(());
                }
                Err(error) => (UNCLEAR, Some(error)),
            },
        };
        sink.pipeline.heard(Heard::Answer { ticket, outcome });
        error.map_or(Ok(()), Err)
    }

    fn good(
        &mut self,
        job: Job,
        wish: Wish,
        body: &[u8],
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Result<Next, Error> {
        let answer: Answer<'_> = read(body)?;
        if let Job::Change { wish, .. } = job {
            return match self.changed(wish, &answer, now) {
                (_, Some(error)) => Err(error),
                (outcome, None) => Ok(Next::End(outcome)),
            };
        }
        if let Job::Sweep { ticket, symbol, left, failed } = job {
            return self.on_swept(ticket, (symbol, left, failed), &answer, now);
        }
        if answer.code.0 != "0" {
            return Ok(Next::End(self.said(wish, &answer.code.0, &answer.msg.0, now)));
        }
        match job {
            Job::Query { ticket } => self.on_order(ticket, &answer, now, sink),
            Job::OpenOrders { ticket, after } => {
                self.on_orders(ticket, after.as_deref(), &answer, now, sink)
            }
            Job::Fills { ticket, page } => self.on_fills(ticket, page, &answer, now, sink),
            Job::Balances { ticket } => {
                self.on_balances(&answer.all::<Account<'_>>()?, now, sink);
                let call = Call::get("/account/positions".to_owned());
                Ok(Next::Go(call, Job::Positions { ticket }))
            }
            Job::Positions { .. } => {
                self.on_positions(&answer.all::<Held<'_>>()?, now, sink);
                Ok(Next::End(DONE))
            }
            Job::Find { ticket, symbol, found } => on_found(ticket, symbol, found, &answer),
            _ => Ok(Next::End(DONE)),
        }
    }

    /// What an answer to one order's request says: its own code, or the code of the order in it.
    fn changed(&mut self, wish: Wish, answer: &Answer<'_>, now: Nanos) -> (Outcome, Option<Error>) {
        let one = match answer.all::<Taken<'_>>() {
            Ok(all) => all.into_iter().next(),
            Err(error) => return (UNCLEAR, Some(error)),
        };
        match one {
            Some(taken) if taken.s_code.0 == "0" && !taken.ord_id.0.is_empty() => {
                let venue_order_id = Some((*taken.ord_id.0).into());
                (Outcome::Accepted { venue_order_id }, None)
            }
            Some(taken) if taken.s_code.0 != "0" => {
                (self.said(wish, &taken.s_code.0, &taken.s_msg.0, now), None)
            }
            None if answer.code.0 != "0" => {
                (self.said(wish, &answer.code.0, &answer.msg.0, now), None)
            }
            _ => (UNCLEAR, Some(Error::ignore("an answer that names no order"))),
        }
    }

    /// What a code means, and what it says to all that follow.
    fn said(&mut self, wish: Wish, code: &str, words: &str, now: Nanos) -> Outcome {
        if answers::is_bad_time(code) {
            self.clock.doubt(now);
        }
        answers::outcome(wish, code, words)
    }

    /// Another status than 2xx; it may have a code all the same.
    fn bad(&mut self, wish: Wish, status: u16, body: &[u8], now: Nanos) -> Outcome {
        match read::<Answer<'_>>(body) {
            _ if status >= 500 || status == 408 => UNCLEAR,
            Ok(answer) => self.said(wish, &answer.code.0, &answer.msg.0, now),
            Err(_) => answers::outcome_of_status(status),
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
        let all = read::<Answer<'_>>(body).and_then(|answer| answer.all::<ServerTime>());
        match all.as_deref() {
            Ok([ServerTime { ts }, ..]) => {
                self.clock.answered(sent, ts.0, now);
                self.open_link(now, sink);
                Ok(())
            }
            _ => {
                self.clock.failed(now);
                Err(Error::ignore("an answer to the question for the time without a time"))
            }
        }
    }

    fn on_list(
        &mut self,
        list: &'static str,
        reply: Reply<'_>,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let Reply::Good(body) = reply else {
            self.list_later(list, now);
            return Ok(());
        };
        let codes = read::<Answer<'_>>(body).and_then(|answer| {
            for code in
                answer.data.iter().filter_map(|raw| read::<Code<'_>>(raw.get().as_bytes()).ok())
            {
                if let Some(number) = code.inst_id_code {
                    self.codes.insert((*code.inst_id.0).into(), number);
                }
            }
            read_listings(body)
        });
        match codes {
            Ok(Bulk::Listings { listings, unreadable }) => {
                for entry in &unreadable {
                    sink.pipeline.notice(Notice::UnreadableInstrument(entry));
                }
                self.listings.extend(listings);
                self.take_list(list, now, sink);
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(error) => {
                self.list_later(list, now);
                Err(error)
            }
        }
    }

    fn on_order(
        &mut self,
        ticket: Ticket,
        answer: &Answer<'_>,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Result<Next, Error> {
        let all = answer.all::<Order<'_>>()?;
        let Some(order) = all.first() else { return Ok(Next::End(Outcome::NotFound)) };
        self.tell_order(Some(ticket), order, now, sink);
        let venue_order_id = Some((*order.ord_id.0).into());
        Ok(Next::End(Outcome::Accepted { venue_order_id }))
    }

    /// All of a page is told, or nothing: what is absent from the list counts as over.
    fn on_orders(
        &mut self,
        ticket: Ticket,
        after: Option<&str>,
        answer: &Answer<'_>,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Result<Next, Error> {
        let all = answer.all::<Order<'_>>()?;
        let next = goes_on(all.len(), all.last().map(|order| &*order.ord_id.0), after)?;
        for order in &all {
            self.tell_order(Some(ticket), order, now, sink);
        }
        Ok(match next {
            Some(_) => {
                let call = open_orders(None, next.as_deref());
                Next::Go(call, Job::OpenOrders { ticket, after: next })
            }
            None => Next::End(DONE),
        })
    }

    fn on_fills(
        &mut self,
        ticket: Ticket,
        page: Page,
        answer: &Answer<'_>,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Result<Next, Error> {
        let all = answer.all::<Fill<'_>>()?;
        let last = all.last().map(|fill| &*fill.bill_id.0);
        let after = goes_on(all.len(), last, page.after.as_deref())?;
        for fill in &all {
            self.tell_fill(ticket, fill, now, sink);
        }
        Ok(match after {
            Some(_) => {
                let page = Page { after, ..page };
                Next::Go(fills(&page), Job::Fills { ticket, page })
            }
            None => Next::End(DONE),
        })
    }

    /// Cancels of a request; an order that is over already is as good as cancelled. One that can't be
    /// does not keep the others.
    fn on_swept(
        &mut self,
        ticket: Ticket,
        (symbol, left, mut failed): (String, Vec<String>, Option<Outcome>),
        answer: &Answer<'_>,
        now: Nanos,
    ) -> Result<Next, Error> {
        if answer.data.is_empty() && answer.code.0 != "0" {
            return Ok(Next::End(self.said(Wish::Cancel, &answer.code.0, &answer.msg.0, now)));
        }
        for taken in answer.all::<Taken<'_>>()? {
            if taken.s_code.0 != "0" {
                match self.said(Wish::Cancel, &taken.s_code.0, &taken.s_msg.0, now) {
                    Outcome::NotFound => {}
                    other => failed = failed.or(Some(other)),
                }
            }
        }
        Ok(sweep(ticket, symbol, left, failed))
    }

    /// The operator hears what the venue refused of the machine's own. Its words may repeat what was
    /// sent, keys too.
    pub(super) fn refused(
        &mut self,
        what: &str,
        code: &str,
        words: &str,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) {
        if answers::is_bad_time(code) {
            self.clock.doubt(now);
        }
        let key = self.credentials.key();
        let phrase = self.credentials.passphrase().unwrap_or(key);
        let repeats = words.contains(key) || words.contains(phrase) || words.contains("\"sign");
        let words = if repeats { "(its words repeat what was sent)" } else { words };
        sink.pipeline.notice(Notice::RequestRefused(&format!("{what}: {code}: {words}")));
    }
}

/// Orders that are to be cancelled, a page of them.
fn on_found(
    ticket: Ticket,
    symbol: String,
    mut found: Vec<String>,
    answer: &Answer<'_>,
) -> Result<Next, Error> {
    let all = answer.all::<Order<'_>>()?;
    let last = all.last().map(|order| &*order.ord_id.0);
    let next = goes_on(all.len(), last, found.last().map(String::as_str))?;
    found.extend(all.iter().map(|order| order.ord_id.0.to_string()));
    Ok(match next {
        // Those that are known by now go first; there are others.
        Some(_) if found.len() >= FOUND_MAX => sweep(ticket, symbol, found, Some(UNCLEAR)),
        Some(_) => {
            let call = open_orders(Some(&symbol), next.as_deref()).urgent();
            Next::Go(call, Job::Find { ticket, symbol, found })
        }
        None => sweep(ticket, symbol, found, None),
    })
}

/// Cancels the next of them.
fn sweep(ticket: Ticket, symbol: String, mut left: Vec<String>, failed: Option<Outcome>) -> Next {
    if left.is_empty() {
        return Next::End(failed.unwrap_or(DONE));
    }
    let rest = left.split_off(left.len().min(CANCELS_MAX));
    let call = cancels(&symbol, &left);
    Next::Go(call, Job::Sweep { ticket, symbol, left: rest, failed })
}

/// Where a list of pages goes on: after the last of a full page; not after a short one.
///
/// # Errors
/// It comes back to where it was, and would never end.
fn goes_on(len: usize, last: Option<&str>, after: Option<&str>) -> Result<Option<String>, Error> {
    match last.filter(|_| len >= PAGE_MAX) {
        Some(last) if Some(last) == after => Err(Error::ignore("a list that does not go on")),
        last => Ok(last.map(str::to_owned)),
    }
}
