//! The machine of orders: spot and USDⓈ-M, one machine for both.
//!
//! - [`habits`]: what differs between the lines, as data
//! - [`params`]: requests and messages as they are written and signed
//! - [`wire`]: what comes back; [`answers`]: what an error leaves open
//! - `instructions`: what the desk wants → requests; `replies`: their answers
//! - `account`: the account's stream and lists → what is heard
//! - `upkeep`: clock, list, listen key, subscriptions
//!
//! **What goes which way.** What changes an order goes over the socket where that is configured and the
//! socket is up, else by request; everything that reads goes by request, where the session counts its
//! weight. Nothing is ever sent twice.
//!
//! **Amounts.** Quantities are in base currency, on both lines. A futures balance is the wallet's:
//! `free` what is not set apart for isolated positions, `locked` the rest; the stream says no more.
//!
//! **What is forgotten.** On USDⓈ-M an order that ended unfilled is not found any more when it was placed
//! three days ago, and any order after 90 days (developers.binance.com, USDⓈ-M "Query Order").

use std::time::Duration;

use model::event::Reason;
use model::ledger::{Lost, Name};
use model::trading::{Instruction, Ticket, TradingProfile};
use model::venue::{Command, LinkChange, Notice, Outcome, Profile, Response, Sink, Venue};
use model::{ConnId, Error, LinkId, Nanos};

use super::line::Line;
use crate::listings::Listings;
use crate::orders::Reply;
use crate::orders::clock::Clock;
use crate::orders::holdings::Holdings;
use crate::orders::listening::Listening;
use crate::orders::tickets::Tickets;
use crate::registry::Settings;
use crate::signing::{Credentials, Secret};

mod account;
pub mod answers;
pub mod habits;
mod instructions;
pub mod params;
mod replies;
mod upkeep;
pub mod wire;

use answers::Wish;
use habits::TradeLine;

/// The socket of the orders.
const API: LinkId = LinkId(0);
/// The socket of the account's messages, where it is another.
const USER: LinkId = LinkId(1);

/// The machine of one provider's orders.
#[derive(Debug)]
pub struct Orders {
    line: &'static TradeLine,
    market: &'static Line,
    credentials: Credentials,
    settings: Settings,
    clock: Clock,
    listings: Listings,
    tickets: Tickets<Job>,
    conns: Vec<Conn>,
    listening: Listening,
    balances: Holdings,
    positions: Holdings,
    /// What the desk trades; `None` before it said so.
    wanted: Option<Vec<Name>>,
    listed: bool,
    listed_at: Option<Nanos>,
    api_opened: bool,
    /// When the list is asked for again.
    list_at: Option<Nanos>,
    listen_key: Option<Secret>,
    /// When the listen key is asked for, or kept alive.
    key_at: Option<Nanos>,
    /// The socket is not to be used for what can wait.
    slow_until: Option<Nanos>,
}

/// A connection that is up.
#[derive(Debug)]
struct Conn {
    id: ConnId,
    link: LinkId,
    /// What it is there for is confirmed.
    ready: bool,
    /// The session on it needs no further signatures.
    logged_on: bool,
    /// When it is subscribed, again.
    subscribe_at: Option<Nanos>,
}

/// What a request is for.
#[derive(Debug)]
enum Job {
    Listings,
    Time { sent: Nanos },
    NewKey,
    KeepKey,
    LogOn { conn: ConnId },
    Subscribe { conn: ConnId },
    Change { ticket: Ticket, wish: Wish },
    Query { ticket: Ticket, client_id: Name },
    OpenOrders { ticket: Ticket },
    Fills { ticket: Ticket, page: Page },
    Balances { ticket: Ticket },
}

/// Where a list of fills goes on.
#[derive(Clone, Debug)]
struct Page {
    instrument: Name,
    symbol: String,
    from: From,
}

#[derive(Clone, Copy, Debug)]
enum From {
    Millis(u64),
    Id(u64),
}

impl Orders {
    /// A machine for a line and an account; it does nothing before [`Instruction::Listen`].
    #[must_use]
    pub fn new(
        (line, market): (&'static TradeLine, &'static Line),
        settings: Settings,
        credentials: Credentials,
    ) -> Self {
        Self {
            line,
            market,
            credentials,
            settings,
            clock: Clock::new(),
            listings: Listings::default(),
            tickets: Tickets::default(),
            conns: Vec::new(),
            listening: Listening::default(),
            balances: Holdings::default(),
            positions: Holdings::default(),
            wanted: None,
            listed: false,
            listed_at: None,
            api_opened: false,
            list_at: None,
            listen_key: None,
            key_at: None,
            slow_until: None,
        }
    }

    /// The link that brings the account's messages.
    fn account_link(&self) -> LinkId {
        if self.line.listen.is_some() { USER } else { API }
    }

    fn hears(&self) -> bool {
        let link = self.account_link();
        self.conns.iter().any(|conn| conn.link == link && conn.ready)
    }

    fn conn(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.conns.iter_mut().find(|conn| conn.id == id)
    }

    /// Says what has changed, and when it wants to be called.
    fn settle(&mut self, now: Nanos, sink: &mut Sink<'_>) {
        if let Some(heard) = self.listening.update(self.hears(), now) {
            sink.pipeline.heard(heard);
        }
        let clock = self.clock.due().filter(|_| self.wanted.is_some());
        let dues = [clock, self.tickets.due(), self.list_at, self.key_at, self.listening.due()];
        let subscriptions = self.conns.iter().filter_map(|conn| conn.subscribe_at);
        if let Some(due) = dues.into_iter().flatten().chain(subscriptions).min() {
            sink.outbox.wake_at(due.max(now));
        }
    }

    /// A message could not be read: it may have been a report.
    fn doubt(&mut self, error: Error, now: Nanos, sink: &mut Sink<'_>) -> Error {
        self.listening.doubt(now);
        self.settle(now, sink);
        Error::resync(error.message)
    }

    fn link(&self, link: LinkId, url: String, sink: &mut Sink<'_>) {
        sink.outbox.links.push(LinkChange { link, url: Some(url) });
    }

    /// A base address without its last slash.
    fn base<'a>(&'a self, own: &'a str) -> &'a str {
        let configured = self.settings.account_url.as_deref().or(self.settings.ws_url.as_deref());
        configured.unwrap_or(own).trim_end_matches('/')
    }
}

impl Venue for Orders {
    fn profile(&self) -> &Profile {
        &self.line.profile
    }

    fn trading(&self) -> Option<&TradingProfile> {
        Some(&self.line.trading)
    }

    fn on_command(&mut self, command: &Command, now: Nanos, sink: &mut Sink<'_>) {
        match command {
            Command::Trade(Instruction::Listen { instruments }) => {
                self.listen(instruments, now, sink);
            }
            Command::Trade(instruction) => self.instruct(instruction, now, sink),
            // Market data has a machine of its own.
            Command::Subscribe(_) | Command::Unsubscribe(_) => {
                sink.pipeline.notice(Notice::RequestRefused("a machine of orders has no streams"));
            }
        }
        self.settle(now, sink);
    }

    fn on_open(&mut self, link: LinkId, conn: ConnId, now: Nanos, sink: &mut Sink<'_>) {
        let subscribes = link == API && self.account_link() == API;
        let ready = match link {
            USER => self.listen_key.is_some(),
            _ => !subscribes,
        };
        self.conns.push(Conn { id: conn, link, ready, logged_on: false, subscribe_at: None });
        if link == API && self.credentials.is_ed25519() {
            self.log_on(conn, now, sink);
        }
        if subscribes {
            self.subscribe(conn, now, sink);
        }
        self.settle(now, sink);
    }

    fn on_frame(
        &mut self,
        conn: ConnId,
        frame: &[u8],
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let read = wire::read_frame(frame).and_then(|frame| match frame {
            wire::Frame::Reply { id, status, body } => {
                self.on_reply(id, status, body, now, sink);
                Ok(())
            }
            wire::Frame::Event { kind, body } => self.on_event(conn, &kind, body, now, sink),
        });
        match read {
            Ok(()) => {
                self.settle(now, sink);
                Ok(())
            }
            Err(error) => Err(self.doubt(error, now, sink)),
        }
    }

    fn on_close(&mut self, conn: ConnId, now: Nanos, sink: &mut Sink<'_>) {
        self.conns.retain(|other| other.id != conn);
        self.settle(now, sink);
        for job in self.tickets.take_of_conn(conn) {
            self.give_up(job, Reply::Lost(Lost::Disconnected), now, sink);
        }
        self.settle(now, sink);
    }

    fn on_response(
        &mut self,
        response: Response<'_>,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let Some(id) = response.id else { return Ok(()) };
        if matches!(self.tickets.get(id), Some(Job::Listings)) {
            let result = self.on_listings(id, response.outcome, now, sink);
            self.settle(now, sink);
            return result;
        }
        let body;
        let reply = match response.outcome {
            Outcome::Answered(body) => Reply::Good(body),
            Outcome::Decoded(Ok(model::venue::Bulk::Bytes(bytes))) => {
                body = bytes;
                Reply::Good(&body)
            }
            Outcome::Status(status, body) => Reply::Bad(status, body),
            Outcome::Unsent(why) => Reply::Unsent(why),
            Outcome::Lost(_) | Outcome::Decoded(_) => Reply::Lost(Lost::Timeout),
            // Only of what is repeated.
            Outcome::Delayed(..) | Outcome::Refused(..) => return Ok(()),
        };
        let Some(job) = self.tickets.take(id) else { return Ok(()) };
        let result = self.finish(job, reply, now, sink);
        self.settle(now, sink);
        result
    }

    fn on_timer(&mut self, now: Nanos, sink: &mut Sink<'_>) {
        self.keep_up(now, sink);
        for job in self.tickets.take_due(now) {
            if let Job::Subscribe { conn } = job {
                sink.outbox.reconnect.push((conn, Reason::VenueUnavailable));
            }
            self.give_up(job, Reply::Lost(Lost::Timeout), now, sink);
        }
        self.settle(now, sink);
    }
}

/// Of a time in ms.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
