//! What has to be there before orders can go, and stay: the lists of instruments, the venue's clock,
//! the login, the subscriptions.

use std::time::Duration;

use model::event::Reason;
use model::ledger::Name;
use model::venue::{LinkChange, Notice, OnceFrame, Repeat, Request, Sink};
use model::{ConnId, Error, Nanos};

use super::super::habits::{LISTS, WS_URL, list_of};
use super::wire::Frame;
use super::{CHANNELS, Job, Orders, PRIVATE};
use crate::json;
use crate::orders::as_it_came;
use crate::orders::tickets::ANSWER_WITHIN;

/// What a login signs. In two parts, since a wall takes it for a path of somebody's machine.
const VERIFY: &str = concat!("/us", "ers/self/verify");
/// What was refused is tried again after so long.
const RETRY: Duration = Duration::from_secs(30);
/// A list is asked for at most so often because of an instrument that is not in it.
const LIST_EVERY: Duration = Duration::from_secs(60);

impl Orders {
    /// The desk is there.
    pub(super) fn listen(&mut self, instruments: &[Name], now: Nanos, sink: &mut Sink<'_>) {
        self.wanted = Some(instruments.to_vec());
        for list in LISTS {
            let wanted = instruments.iter().any(|name| list_of(name) == list);
            if wanted && !self.listed.contains(&list) {
                self.list_at.push((list, now));
            }
        }
        self.keep_up(now, sink);
    }

    /// Whether all lists that the desk's instruments stand in are there.
    pub(super) fn is_listed(&self) -> bool {
        self.wanted
            .as_ref()
            .is_some_and(|names| names.iter().all(|name| self.listed.contains(&list_of(name))))
    }

    /// Does what is due.
    pub(super) fn keep_up(&mut self, now: Nanos, sink: &mut Sink<'_>) {
        if self.wanted.is_none() {
            return;
        }
        if self.clock.due().is_some_and(|at| at <= now) {
            self.clock.asked();
            self.ask("/public/time", Job::Time { sent: now }, now, sink);
        }
        let due = |(_, at): &mut (&'static str, Nanos)| *at <= now;
        for (list, _) in self.list_at.extract_if(.., due).collect::<Vec<_>>() {
            let path = format!("/public/instruments?instType={list}");
            self.ask(&path, Job::List { list }, now, sink);
        }
        let again: Vec<_> = self
            .conns
            .iter()
            .filter(|conn| conn.again_at.is_some_and(|at| at <= now))
            .map(|conn| (conn.id, conn.logged_in))
            .collect();
        for (conn, logged_in) in again {
            match logged_in {
                true => self.subscribe(conn, now, sink),
                false => self.log_in(conn, now, sink),
            }
        }
        self.open_link(now, sink);
    }

    /// A request that needs no signature.
    fn ask(&mut self, path: &str, job: Job, now: Nanos, sink: &mut Sink<'_>) {
        let id = self.tickets.next_id();
        self.tickets.open(id, job, None, now);
        let url = format!("{}/api/v5{path}", self.rest_base());
        let repeat = Repeat::Once { urgent: false };
        sink.outbox.requests.push(Request { repeat, ..Request::get(id, url, 1, as_it_came) });
    }

    /// A list could not be had.
    pub(super) fn list_later(&mut self, list: &'static str, now: Nanos) {
        self.list_at.push((list, now + Duration::from_secs(5)));
    }

    /// An instrument is not in its list: it may be new.
    pub(super) fn list_again(&mut self, instrument: &Name, now: Nanos) {
        let list = list_of(instrument);
        if !self.list_at.iter().any(|(other, _)| *other == list) {
            self.list_at.push((list, now + LIST_EVERY));
        }
    }

    /// A list is there.
    pub(super) fn take_list(&mut self, list: &'static str, now: Nanos, sink: &mut Sink<'_>) {
        if !self.listed.contains(&list) {
            self.listed.push(list);
            for name in self.wanted.iter().flatten().filter(|name| list_of(name) == list) {
                if self.listings.get(name).is_none() {
                    sink.pipeline.notice(Notice::UnknownInstrument(name));
                }
            }
        }
        self.open_link(now, sink);
    }

    /// The connection is opened once all is there that it takes to use it.
    pub(super) fn open_link(&mut self, now: Nanos, sink: &mut Sink<'_>) {
        if self.opened || !self.is_listed() || self.clock.millis(now).is_none() {
            return;
        }
        self.opened = true;
        let configured = self.settings.account_url.as_deref().or(self.settings.ws_url.as_deref());
        let base = configured.unwrap_or(WS_URL).trim_end_matches('/');
        let url = Some(format!("{base}/ws/v5/private"));
        sink.outbox.links.push(LinkChange { link: PRIVATE, url });
    }

    /// Proves to a connection whose it is.
    pub(super) fn log_in(&mut self, conn: ConnId, now: Nanos, sink: &mut Sink<'_>) {
        let stamp = self.clock.millis(now).unwrap_or(now.0 / 1_000_000) / 1_000;
        let sign = self.credentials.sign_base64(&format!("{stamp}GET{VERIFY}"));
        let key = json::quoted(self.credentials.key());
        let phrase = json::quoted(self.credentials.passphrase().unwrap_or_default());
        let text = format!(
            "{{\"op\":\"login\",\"args\":[{{\"apiKey\":{key},\"passphrase\":{phrase},\
             \"timestamp\":\"{stamp}\",\"sign\":\"{sign}\"}}]}}"
        );
        self.own(conn, text, now, sink);
    }

    /// Asks for the account's channels that are not confirmed.
    fn subscribe(&mut self, conn: ConnId, now: Nanos, sink: &mut Sink<'_>) {
        let Some(open) = self.conn(conn) else { return };
        let missing = CHANNELS.iter().zip(open.confirmed).filter(|(_, confirmed)| !confirmed);
        let args = missing.map(|((_, arg), _)| *arg).collect::<Vec<_>>().join(",");
        self.own(conn, format!("{{\"op\":\"subscribe\",\"args\":[{args}]}}"), now, sink);
    }

    fn own(&mut self, conn: ConnId, text: String, now: Nanos, sink: &mut Sink<'_>) {
        if let Some(conn) = self.conn(conn) {
            conn.due = Some(now + ANSWER_WITHIN);
            conn.again_at = None;
        }
        // Where it could not be sent, no answer comes, and the connection is replaced.
        let id = self.tickets.next_id();
        sink.outbox.once_frames.push(OnceFrame { conn, id, text, urgent: true });
    }

    /// A message of the socket.
    pub(super) fn on_message(
        &mut self,
        conn: ConnId,
        frame: Frame<'_>,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        match frame {
            Frame::Pong => Ok(()),
            Frame::Reply { id, answer } => {
                self.on_reply(id, &answer, now, sink);
                Ok(())
            }
            Frame::Data { channel, data } => self.on_data(&channel.0, &data, now, sink),
            Frame::Event { event, code, words, channel } => {
                self.on_word(conn, &event.0, (&code.0, &words.0), &channel.0, now, sink);
                Ok(())
            }
        }
    }

    /// The venue's word about the connection or a subscription.
    fn on_word(
        &mut self,
        conn: ConnId,
        event: &str,
        (code, words): (&str, &str),
        channel: &str,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) {
        match event {
            "login" if code == "0" => {
                if let Some(open) = self.conn(conn) {
                    open.logged_in = true;
                }
                self.subscribe(conn, now, sink);
            }
            "subscribe" => {
                let Some(open) = self.conn(conn) else { return };
                if let Some(at) = CHANNELS.iter().position(|(name, _)| *name == channel) {
                    open.confirmed[at] = true;
                }
                if open.is_ready() {
                    (open.due, open.again_at) = (None, None);
                }
            }
            "login" | "error" | "channel-conn-count-error" | "unsubscribe" => {
                self.refused("login or subscription", code, words, now, sink);
                let Some(open) = self.conn(conn) else { return };
                // The venue may take a channel away too: where too many connections have it.
                if let Some(at) = CHANNELS.iter().position(|(name, _)| *name == channel) {
                    open.confirmed[at] = false;
                }
                if !open.is_ready() {
                    (open.due, open.again_at) = (None, Some(now + RETRY));
                }
            }
            "notice" if code == "64008" => {
                sink.pipeline.notice(Notice::ShutdownAnnounced("notice 64008"));
                sink.outbox.renew.push((conn, Reason::VenueReset));
            }
            "channel-conn-count" => {}
            other => sink.pipeline.notice(Notice::UnknownType(other)),
        }
    }
}
