//! What has to be there before orders can go, and stay: the list of instruments, the venue's clock,
//! the listen key, the subscription.

use std::time::Duration;

use model::event::Reason;
use model::ledger::{Lost, Name};
use model::venue::{Method, Notice, OnceFrame, Request, Sink};
use model::{ConnId, Nanos};

use super::habits::{Ask, REFUSED_RETRY, RETRY};
use super::params::Params;
use super::replies::refused;
use super::{API, Job, Orders, USER};
use crate::binance::rest;
use crate::orders::{OrderWay, Reply};
use crate::signing::Secret;

/// The list is asked for at most so often because of an instrument that is not in it.
const LIST_EVERY: Duration = Duration::from_secs(60);

impl Orders {
    /// The desk is there.
    pub(super) fn listen(&mut self, instruments: &[Name], now: Nanos, sink: &mut Sink<'_>) {
        self.wanted = Some(instruments.to_vec());
        if !self.listed {
            self.ask_listings(now, sink);
        }
        self.keep_up(now, sink);
    }

    /// Does what is due.
    pub(super) fn keep_up(&mut self, now: Nanos, sink: &mut Sink<'_>) {
        if self.wanted.is_none() {
            return;
        }
        let is_due = |at: Option<Nanos>| at.is_some_and(|at| at <= now);
        if is_due(self.clock.due()) {
            self.clock.asked();
            let id = self.tickets.next_id();
            let time = self.plain("time", 1);
            self.request(id, (&time, Method::Get, false), "", Job::Time { sent: now }, now, sink);
        }
        if is_due(self.list_at) {
            self.list_at = None;
            self.ask_listings(now, sink);
        }
        if is_due(self.key_at) {
            self.key_at = None;
            self.ask_key(now, sink);
        }
        let due: Vec<_> =
            self.conns.iter().filter(|c| is_due(c.subscribe_at)).map(|c| c.id).collect();
        for conn in due {
            self.subscribe(conn, now, sink);
        }
        self.open_links(now, sink);
    }

    /// A path that needs no signature.
    fn plain(&self, last: &'static str, weight: u32) -> Ask {
        let path = match (last, self.line.listen.is_some()) {
            ("time", false) => "/api/v3/time",
            ("time", true) => "/fapi/v1/time",
            _ => self.line.listen.as_ref().map_or("", |listen| listen.key),
        };
        Ask { path, weight, socket: None }
    }

    fn ask_listings(&mut self, now: Nanos, sink: &mut Sink<'_>) {
        let id = self.tickets.next_id();
        self.tickets.open_for_ever(id, Job::Listings);
        self.listed_at = Some(now);
        let base = self.settings.rest_url.as_deref().unwrap_or(self.market.rest_url);
        let path = self.market.rest_path;
        let url = format!("{}{path}/exchangeInfo", base.trim_end_matches('/'));
        let weight = self.market.list_weight;
        sink.outbox.requests.push(Request::get(id, url, weight, rest::read_listings));
    }

    /// An instrument is not in the list: it may be new.
    pub(super) fn list_again(&mut self, now: Nanos) {
        let earliest = self.listed_at.map_or(now, |at| at + LIST_EVERY);
        self.list_at = Some(self.list_at.unwrap_or(earliest.max(now)));
    }

    /// The list is there.
    pub(super) fn take_listings(&mut self, now: Nanos, sink: &mut Sink<'_>) {
        let first = !std::mem::replace(&mut self.listed, true);
        for name in self.wanted.iter().flatten().filter(|_| first) {
            if self.listings.get(name).is_none() {
                sink.pipeline.notice(Notice::UnknownInstrument(name));
            }
        }
        if first && self.line.listen.is_some() {
            self.key_at = Some(now);
        }
        self.keep_up(now, sink);
    }

    /// The socket of the orders is opened once all is there that it takes to use it.
    pub(super) fn open_links(&mut self, now: Nanos, sink: &mut Sink<'_>) {
        let by_socket = self.settings.orders == OrderWay::WebSocket || self.account_link() == API;
        let ready = self.listed && self.clock.millis(now).is_some();
        if by_socket && ready && !self.api_opened {
            self.api_opened = true;
            let url = format!("{}{}", self.base(self.line.api_url), self.line.api_path);
            self.link(API, url, sink);
        }
    }

    fn ask_key(&mut self, now: Nanos, sink: &mut Sink<'_>) {
        let (method, job) = match self.listen_key {
            None => (Method::Post, Job::NewKey),
            Some(_) => (Method::Put, Job::KeepKey),
        };
        let id = self.tickets.next_id();
        let ask = self.plain("key", 1);
        self.request(id, (&ask, method, false), "", job, now, sink);
    }

    /// A new key: its stream is another one.
    pub(super) fn take_key(&mut self, key: Secret, sink: &mut Sink<'_>) {
        let Some(listen) = &self.line.listen else { return };
        let url = format!("{}{}{}", self.base(listen.url), listen.path, key.text());
        self.listen_key = Some(key);
        self.link(USER, url, sink);
        for conn in self.conns.iter().filter(|conn| conn.link == USER) {
            sink.outbox.reconnect.push((conn.id, Reason::VenueReset));
        }
    }

    /// The venue has dropped the key: its stream is silent from now on.
    pub(super) fn forget_key(&mut self) {
        self.listen_key = None;
        for conn in self.conns.iter_mut().filter(|conn| conn.link == USER) {
            conn.ready = false;
        }
    }

    /// Proves to a connection whose it is, so that nothing on it has to be signed.
    pub(super) fn log_on(&mut self, conn: ConnId, now: Nanos, sink: &mut Sink<'_>) {
        self.own(conn, "session.logon", Job::LogOn { conn }, now, sink);
    }

    /// Asks for the account's messages on a connection.
    pub(super) fn subscribe(&mut self, conn: ConnId, now: Nanos, sink: &mut Sink<'_>) {
        if let Some(conn) = self.conn(conn) {
            conn.subscribe_at = None;
        }
        let method = "userDataStream.subscribe.signature";
        self.own(conn, method, Job::Subscribe { conn }, now, sink);
    }

    fn own(&mut self, conn: ConnId, method: &str, job: Job, now: Nanos, sink: &mut Sink<'_>) {
        let stamp = self.clock.millis(now).unwrap_or(now.0 / 1_000_000);
        let id = self.tickets.next_id();
        let params = Params::default().number("timestamp", stamp);
        let text = params.message(id.0, method, Some(&self.credentials));
        self.tickets.open(id, job, Some(conn), now);
        sink.outbox.once_frames.push(OnceFrame { conn, id, text, urgent: true });
    }

    pub(super) fn on_subscribed(
        &mut self,
        conn: ConnId,
        reply: Reply<'_>,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) {
        let again = match reply {
            Reply::Good(_) => None,
            Reply::Bad(_, body) => {
                refused(body, "userDataStream.subscribe.signature", sink);
                // Where it was the clock, it is right again by then.
                Some(now + REFUSED_RETRY)
            }
            Reply::Lost(Lost::Timeout) | Reply::Unsent(_) => Some(now + RETRY),
            Reply::Lost(_) => return,
        };
        if let Some(conn) = self.conn(conn) {
            conn.ready = again.is_none();
            conn.subscribe_at = again;
        }
    }
}
