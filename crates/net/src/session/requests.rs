//! REST: what waits, what is under way, what it costs, and what to do when it fails.
//!
//! Requests for market data are reads that may be repeated, so every failure that can pass is
//! retried for as long as the venue's machine wants the answer; it cancels what it no longer does.
//! What is made once is [`super::once`]'s.

use std::collections::VecDeque;
use std::time::Duration;

use model::event::Reason;
use model::venue::{Method, Outcome, Pipeline, Rate, Repeat, Request, Response, Sink};
use model::{Nanos, Remedy, RequestId};

use super::action::{Action, Reply, ReplyBody, SessionStats};
use super::backoff::Backoff;
use super::pace::Pacer;
use super::{Session, SessionConfig};
use crate::fault::FetchError;
use crate::rng::Rng;
use crate::upgrade::start_of;

/// How long nothing is asked after a 418 without `Retry-After`: the shortest ban that is known.
pub const PAUSE_AFTER_418: Duration = Duration::from_secs(120);
/// Providers that were paused together do not all come back in the same instant.
const PAUSE_JITTER: Duration = Duration::from_millis(250);
/// The driver's own timeout comes first; this is for drivers without one.
const TIMEOUT_GRACE: Duration = Duration::from_secs(1);

/// A request that is not answered yet.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) request: Request,
    attempts: u32,
    backoff: Backoff,
    not_before: Nanos,
    /// Until when the venue's machine knows that it waits.
    told_until: Option<Nanos>,
}

impl Pending {
    pub(super) fn new(request: Request, now: Nanos) -> Self {
        let backoff = Backoff::default();
        Self { request, attempts: 0, backoff, not_before: now, told_until: None }
    }
}

#[derive(Debug)]
struct UnderWay {
    pending: Pending,
    give_up_at: Nanos,
}

/// All requests of a provider.
#[derive(Debug)]
pub(super) struct Requests {
    queue: VecDeque<Pending>,
    under_way: Vec<UnderWay>,
    budget: Pacer,
    paused_until: Option<Nanos>,
    /// As of the last time that something was decided.
    weight_used: u32,
    queue_len_max: usize,
    in_flight_max: usize,
    /// When a request that is due may go, if the budget holds it back.
    budget_at: Option<Nanos>,
}

/// What to do with an answer.
enum Verdict<'a> {
    Deliver(ReplyBody<'a>),
    Refused(u16, String),
    Retry(Option<Duration>, String),
    Pause(u16, Duration),
}

impl Requests {
    pub(super) fn new(weight: Rate, config: &SessionConfig) -> Self {
        let reserve_pct = u32::from(config.weight_reserve_pct.min(100));
        // In two steps, since the product may not fit.
        let reserve = weight.count / 100 * reserve_pct + weight.count % 100 * reserve_pct / 100;
        Self {
            queue: VecDeque::new(),
            under_way: Vec::new(),
            budget: Pacer::new(weight, reserve),
            paused_until: None,
            weight_used: 0,
            queue_len_max: config.queue_len_max,
            in_flight_max: config.in_flight_max,
            budget_at: None,
        }
    }

    pub(super) fn gauges(&self, stats: &mut SessionStats) {
        stats.weight_used = self.weight_used;
        stats.requests_queued = u32::try_from(self.queue.len()).unwrap_or(u32::MAX);
        stats.requests_in_flight = u32::try_from(self.under_way.len()).unwrap_or(u32::MAX);
    }

    pub(super) fn deadline(&self) -> Option<Nanos> {
        let give_up = self.under_way.iter().map(|u| u.give_up_at).min();
        if self.queue.is_empty() || self.under_way.len() >= self.in_flight_max {
            return give_up;
        }
        let due = self.queue.iter().map(|p| p.not_before).min().unwrap_or_default();
        let held = self.paused_until.max(self.budget_at).unwrap_or_default();
        Some(due.max(held).earliest(give_up))
    }

    /// Until when nothing that is due may go, if so.
    fn held_until(&mut self, weight: u32, now: Nanos) -> Option<Nanos> {
        self.weight_used = self.budget.spent(now);
        let budget_at = Some(self.budget.ready_at(weight, now)).filter(|&at| at > now);
        self.budget_at = budget_at;
        self.paused_until = self.paused_until.filter(|&at| at > now);
        self.paused_until.max(budget_at)
    }

    /// The venue knows better than we what was spent, for others share the address.
    fn correct(&mut self, used: Option<u32>, now: Nanos) {
        let ours = self.budget.spent(now);
        self.budget.spend(used.unwrap_or(0).saturating_sub(ours), now);
        self.weight_used = self.budget.spent(now);
    }

    /// Spends what a request that goes now or never costs; why not, where it can't.
    pub(super) fn take_once(
        &mut self,
        weight: u32,
        urgent: bool,
        now: Nanos,
    ) -> Result<(), &'static str> {
        if urgent {
            // Also in a pause: that cancels pass is worth the venue's displeasure.
            let room = self.budget.take_kept(weight, now);
            return room.then_some(()).ok_or("the venue's rate budget is used up, its reserve too");
        }
        if self.held_until(weight, now).is_some() {
            return Err("the venue's rate budget is used up, or it told us to slow down");
        }
        if self.under_way.len() >= self.in_flight_max {
            return Err("too many requests are under way");
        }
        self.budget.spend(weight, now);
        Ok(())
    }

    /// Those under way that change something, without what is urgent.
    pub(super) fn take_changes(&mut self) -> Vec<Pending> {
        let all = std::mem::take(&mut self.under_way);
        let (changes, rest) = all.into_iter().partition(|u| changes(&u.pending.request));
        self.under_way = rest;
        let changes: Vec<UnderWay> = changes;
        changes.into_iter().map(|under_way| under_way.pending).collect()
    }

    fn take_under_way(&mut self, id: RequestId) -> Option<Pending> {
        let at = self.under_way.iter().position(|u| u.pending.request.id == id)?;
        Some(self.under_way.swap_remove(at).pending)
    }

    pub(super) fn pause(&mut self, wait: Duration, rng: &mut Rng, now: Nanos) -> Nanos {
        let until = now + wait + rng.up_to(PAUSE_JITTER);
        let until = until.max(self.paused_until.unwrap_or(until));
        self.paused_until = Some(until);
        until
    }
}

/// Whether a request changes something that must not change later; cancels always pass.
pub(crate) fn changes(request: &Request) -> bool {
    request.method != Method::Get && request.repeat == Repeat::Once { urgent: false }
}

/// How long nothing is asked after a status that asks for it, without `Retry-After`; `None` of others.
/// After a 429 it is a whole window of the venue's budget: a fresh one has begun by then.
pub(super) fn pause_after(status: u16, budget: Rate) -> Option<Duration> {
    match status {
        429 => Some(budget.per),
        418 => Some(PAUSE_AFTER_418),
        _ => None,
    }
}

fn judge<'a>(result: Result<Reply<'a>, FetchError>, budget: Rate) -> Verdict<'a> {
    let reply = match result {
        Ok(reply) => reply,
        Err(error @ (FetchError::TooLarge { .. } | FetchError::Url(_))) => {
            return Verdict::Refused(0, error.to_string());
        }
        Err(error) => return Verdict::Retry(None, error.to_string()),
    };
    let start = match &reply.body {
        ReplyBody::Raw(body) => start_of(body),
        ReplyBody::Read(_) => String::new(),
    };
    if let Some(usual) = pause_after(reply.status, budget) {
        return Verdict::Pause(reply.status, reply.retry_after.unwrap_or(usual));
    }
    match reply.status {
        200..=299 => Verdict::Deliver(reply.body),
        // 408 is the far end's word for a timeout, whatever its class.
        status @ (408 | 500..) => {
            Verdict::Retry(reply.retry_after, format!("HTTP {status}: '{start}'"))
        }
        status => Verdict::Refused(status, start),
    }
}

impl Session {
    /// A request was answered, or could not be. An answer that nobody waits for is dropped.
    pub fn answered(
        &mut self,
        id: RequestId,
        result: Result<Reply<'_>, FetchError>,
        now: Nanos,
        pipeline: &mut dyn Pipeline,
    ) {
        let Some(pending) = self.requests.take_under_way(id) else { return };
        let now = self.advance(now);
        if let Ok(reply) = &result {
            self.requests.correct(reply.weight_used, now);
        }
        if matches!(pending.request.repeat, Repeat::Once { .. }) {
            self.answered_once(&pending.request, result, now, pipeline);
            return self.settle(now, pipeline);
        }
        match judge(result, self.profile.weight) {
            Verdict::Deliver(ReplyBody::Raw(body)) => {
                self.respond(id, &pending.request.url, Outcome::Answered(body), now, pipeline);
            }
            Verdict::Deliver(ReplyBody::Read(bulk)) => {
                self.respond(id, &pending.request.url, Outcome::Decoded(bulk), now, pipeline);
            }
            Verdict::Refused(status, words) => {
                self.refuse(&pending.request, status, &words, now, pipeline);
            }
            Verdict::Retry(wait, words) => self.retry(pending, wait, &words, now, pipeline),
            Verdict::Pause(status, wait) => {
                let until = self.requests.pause(wait, &mut self.rng, now);
                self.stats.rate_limited_pauses += 1;
                tracing::warn!(
                    provider = %self.config.name, status, pause_s = until.since(now).as_secs(),
                    "the venue tells us to slow down: no request until the pause is over"
                );
                self.postpone(pending, Reason::RateLimited, until, now, pipeline);
            }
        }
        self.settle(now, pipeline);
    }

    pub(super) fn queue_request(
        &mut self,
        request: Request,
        now: Nanos,
        pipeline: &mut dyn Pipeline,
    ) {
        let limit = self.requests.budget.limit();
        if request.weight > limit {
            let words = format!(
                "it weighs {}, and the budget allows {limit} in all; lower the weight reserve",
                request.weight
            );
            self.refuse(&request, 0, &words, now, pipeline);
        } else if self.requests.queue.len() >= self.requests.queue_len_max {
            self.stats.requests_refused += 1;
            self.refuse(&request, 0, "too many requests wait already", now, pipeline);
        } else {
            self.requests.queue.push_back(Pending::new(request, now));
        }
    }

    pub(super) fn cancel_request(&mut self, id: RequestId) {
        self.requests.queue.retain(|pending| pending.request.id != id);
        if self.requests.take_under_way(id).is_some() {
            // Sent or about to be: an attempt that the driver has not seen yet needs no cancelling.
            let before = self.actions.len();
            self.actions
                .retain(|a| !matches!(a, Action::Request { request, .. } if request.id == id));
            if self.actions.len() == before {
                self.actions.push_back(Action::Cancel { id });
            }
        }
    }

    pub(super) fn drop_requests(&mut self) {
        self.requests.queue.clear();
        let ids: Vec<_> = self.requests.under_way.iter().map(|u| u.pending.request.id).collect();
        for id in ids {
            self.cancel_request(id);
        }
    }

    /// Attempts on which no driver reported.
    pub(super) fn time_requests(&mut self, now: Nanos, pipeline: &mut dyn Pipeline) {
        let due = self.requests.under_way.iter().filter(|u| u.give_up_at <= now);
        for id in due.map(|u| u.pending.request.id).collect::<Vec<_>>() {
            if let Some(pending) = self.requests.take_under_way(id) {
                self.actions.push_back(Action::Cancel { id });
                if matches!(pending.request.repeat, Repeat::Once { .. }) {
                    let error = Err(FetchError::Timeout);
                    self.answered_once(&pending.request, error, now, pipeline);
                    continue;
                }
                self.retry(pending, None, &FetchError::Timeout.to_string(), now, pipeline);
            }
        }
    }

    /// Sends what is due as far as budget and room allow, oldest first: a heavy request at the
    /// head holds back lighter ones, or it would never have its turn.
    pub(super) fn send_requests(&mut self, now: Nanos, pipeline: &mut dyn Pipeline) {
        while self.requests.under_way.len() < self.requests.in_flight_max {
            let Some(at) = self.requests.queue.iter().position(|p| p.not_before <= now) else {
                self.requests.budget_at = None;
                return;
            };
            let weight = self.requests.queue[at].request.weight;
            if let Some(until) = self.requests.held_until(weight, now) {
                self.tell_waiting(until, now, pipeline);
                return;
            }
            self.requests.budget.spend(weight, now);
            self.requests.weight_used = self.requests.budget.spent(now);
            if let Some(pending) = self.requests.queue.remove(at) {
                self.send_request(pending, now);
            }
        }
    }

    pub(super) fn send_request(&mut self, mut pending: Pending, now: Nanos) {
        let timeout = self.config.request_timeout;
        self.stats.requests += 1;
        self.stats.retries += u64::from(pending.attempts > 0);
        pending.attempts = pending.attempts.saturating_add(1);
        self.actions.push_back(Action::Request { request: pending.request.clone(), timeout });
        let give_up_at = now + timeout + TIMEOUT_GRACE;
        self.requests.under_way.push(UnderWay { pending, give_up_at });
    }

    /// Tells the venue's machine about every due request that it has to wait, once for each wait.
    fn tell_waiting(&mut self, until: Nanos, now: Nanos, pipeline: &mut dyn Pipeline) {
        for at in 0..self.requests.queue.len() {
            let pending = &mut self.requests.queue[at];
            if pending.not_before > now || pending.told_until.is_some_and(|told| told > now) {
                continue;
            }
            pending.told_until = Some(until);
            let (id, url) = (pending.request.id, std::mem::take(&mut pending.request.url));
            self.respond(id, &url, Outcome::Delayed(Reason::RateLimited, until), now, pipeline);
            // Gone when the answer stopped the session.
            let Some(pending) = self.requests.queue.get_mut(at) else { return };
            pending.request.url = url;
        }
    }

    fn retry(
        &mut self,
        mut pending: Pending,
        wait: Option<Duration>,
        words: &str,
        now: Nanos,
        pipeline: &mut dyn Pipeline,
    ) {
        let drawn = pending.backoff.next(&mut self.rng);
        let at = now + drawn.max(wait.unwrap_or(drawn));
        tracing::warn!(
            provider = %self.config.name, request = pending.request.id.0,
            attempt = pending.attempts, again_in_ms = at.since(now).as_millis(),
            "request failed: {words}"
        );
        self.postpone(pending, Reason::VenueUnavailable, at, now, pipeline);
    }

    /// Back to the head of the queue: it has waited longest.
    fn postpone(
        &mut self,
        mut pending: Pending,
        reason: Reason,
        at: Nanos,
        now: Nanos,
        pipeline: &mut dyn Pipeline,
    ) {
        pending.not_before = at;
        pending.told_until = Some(at);
        let (id, outcome) = (pending.request.id, Outcome::Delayed(reason, at));
        self.respond(id, &pending.request.url, outcome, now, pipeline);
        if !self.stopped {
            self.requests.queue.push_front(pending);
        }
    }

    fn refuse(
        &mut self,
        request: &Request,
        status: u16,
        words: &str,
        now: Nanos,
        pipeline: &mut dyn Pipeline,
    ) {
        tracing::warn!(
            provider = %self.config.name, request = request.id.0, status,
            "request refused for good: {words}"
        );
        self.respond(request.id, &request.url, Outcome::Refused(status, words), now, pipeline);
    }

    /// Hands an outcome to the venue. What it wants done then waits in the outbox.
    pub(super) fn respond(
        &mut self,
        id: RequestId,
        url: &str,
        outcome: Outcome<'_>,
        now: Nanos,
        pipeline: &mut dyn Pipeline,
    ) {
        let response = Response { id: Some(id), url, outcome };
        let mut sink = Sink { pipeline: &mut *pipeline, outbox: &mut self.outbox };
        let Err(error) = self.venue.on_response(response, now, &mut sink) else { return };
        tracing::warn!(
            provider = %self.config.name, request = id.0, remedy = error.remedy.name(),
            "an answer could not be used: {}", error.message
        );
        match error.remedy {
            Remedy::Ignore | Remedy::Reject | Remedy::Reconnect => self.stats.malformed += 1,
            Remedy::Resync => self.stats.resyncs += 1,
            Remedy::Stop => self.stop(error, now, pipeline),
        }
    }
}
