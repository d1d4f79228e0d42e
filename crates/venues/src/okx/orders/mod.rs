//! The machine of orders.
//!
//! - [`answers`]: what a code leaves open; [`wire`]: what comes back
//! - `instructions`: what the desk wants → requests and messages; `replies`: their answers
//! - `account`: the account's channels and lists → what is heard
//! - `upkeep`: clock, lists, login, subscriptions
//!
//! **What goes which way.** Orders, cancels and amends go over the private socket while it is up and the
//! list has the instrument's number, else by request; everything that reads goes by request. Nothing is
//! ever sent twice.
//!
//! **Amounts.** Spot quantities are in base currency, market orders too (`tgtCcy`: the venue's own default
//! for a market buy is the quote currency). Quantities of swaps and futures are in contracts. Spot trades
//! with `cash`, all else with `cross` margin, in the account's net mode.
//!
//! **What is forgotten.** An order that was canceled unfilled is kept for two hours ("Get order history
//! (last 7 days)").
//!
//! **The dead man's switch** of this venue is one for all instruments of the account, of 10 to 120 s.
//!
//! Sources, read 2026-11-25: okx.com/docs-v5, "Overview / WebSocket / Login", "REST Authentication",
//! "Order Book Trading / Trade" (place, cancel, amend, `expTime`, order channel, cancel all after, fills),
//! "Trading Account" (balance, positions, their channels), "Error Code"; okx.com/docs-v5/log_en, "Delist
//! instId request parameter in WS order operation channels" (`instIdCode` since March 2026).

use std::time::Duration;

use model::event::Reason;
use model::ledger::{self, Lost, Name};
use model::trading::{Amends, DeadMan, Instruction, Ticket, TradingProfile};
use model::venue::{Bulk, Command, Notice, Outcome, Profile, Rate, Response, Sink, Venue};
use model::{ConnId, Error, LinkId, Nanos};
use rustc_hash::FxHashMap;

use super::habits::PROFILE;
use crate::listings::Listings;
use crate::orders::Reply;
use crate::orders::client_id::client_id;
use crate::orders::clock::Clock;
use crate::orders::holdings::Holdings;
use crate::orders::listening::Listening;
use crate::orders::tickets::Tickets;
use crate::registry::Settings;
use crate::signing::Credentials;

mod account;
pub mod answers;
mod instructions;
mod replies;
mod upkeep;
pub mod wire;

use answers::Wish;

/// The one connection.
const PRIVATE: LinkId = LinkId(0);

/// The venue takes an order no later than so long after it was sent (`expTime`).
pub const EXPIRES_AFTER: Duration = Duration::from_secs(5);

/// The 480 requests an hour are of logins and subscriptions; orders and cancels have 60 in 2 s each.
const ORDER_PROFILE: Profile =
    Profile { messages: Rate { count: 120, per: Duration::from_secs(2) }, ..PROFILE };

/// The limit per instrument, taken for all together; an account has 1,000.
const TRADING: TradingProfile = TradingProfile {
    client_id,
    deadline_after: Some(EXPIRES_AFTER),
    orders: &[Rate { count: 60, per: Duration::from_secs(2) }],
    kept_for_cancels: 10,
    // By a limit of their own, as large; counted together they are within both.
    cancels_count: true,
    amends: Amends::PriceAndQuantity,
    dead_man: Some(DeadMan::Account),
    client_id_reusable: true,
};

/// The machine of one provider's orders.
#[derive(Debug)]
pub struct Orders {
    credentials: Credentials,
    settings: Settings,
    clock: Clock,
    listings: Listings,
    /// The venue's number of each symbol, which messages have to use.
    codes: FxHashMap<Box<str>, u64>,
    tickets: Tickets<Job>,
    conns: Vec<Conn>,
    listening: Listening,
    balances: Holdings,
    positions: Holdings,
    /// What the desk trades; `None` before it said so.
    wanted: Option<Vec<Name>>,
    /// Lists that are there, and when each is asked for again.
    listed: Vec<&'static str>,
    list_at: Vec<(&'static str, Nanos)>,
    opened: bool,
}

/// A connection that is up.
#[derive(Debug)]
struct Conn {
    id: ConnId,
    logged_in: bool,
    /// Per channel, whether it is confirmed.
    confirmed: [bool; CHANNELS.len()],
    /// Until when the answer to the login or the last confirmation has to be there.
    due: Option<Nanos>,
    /// When it is tried again, after a refusal.
    again_at: Option<Nanos>,
}

/// The account's channels, and what is asked of them.
const CHANNELS: [(&str, &str); 3] = [
    ("orders", r#"{"channel":"orders","instType":"ANY"}"#),
    // Only when something has changed.
    ("account", r#"{"channel":"account","extraParams":"{\"updateInterval\":\"0\"}"}"#),
    (
        "positions",
        r#"{"channel":"positions","instType":"ANY","extraParams":"{\"updateInterval\":\"0\"}"}"#,
    ),
];

impl Conn {
    fn is_ready(&self) -> bool {
        self.logged_in && self.confirmed == [true; CHANNELS.len()]
    }
}

/// What a request is for.
#[derive(Debug)]
enum Job {
    List {
        list: &'static str,
    },
    Time {
        sent: Nanos,
    },
    Change {
        ticket: Ticket,
        wish: Wish,
    },
    DeadMan {
        ticket: Ticket,
    },
    Query {
        ticket: Ticket,
    },
    OpenOrders {
        ticket: Ticket,
        /// Of the last order on the page before.
        after: Option<String>,
    },
    Fills {
        ticket: Ticket,
        page: Page,
    },
    Balances {
        ticket: Ticket,
    },
    Positions {
        ticket: Ticket,
    },
    /// All orders of an instrument that are to go: what is open, page by page.
    Find {
        ticket: Ticket,
        symbol: String,
        found: Vec<String>,
    },
    /// And their cancels.
    Sweep {
        ticket: Ticket,
        symbol: String,
        /// What is still to be cancelled.
        left: Vec<String>,
        /// What was said of the first that could not be.
        failed: Option<ledger::Outcome>,
    },
}

/// A page of a list of fills: which path, from when on, and older than which.
#[derive(Clone, Debug)]
struct Page {
    path: &'static str,
    symbol: String,
    since_ms: u64,
    after: Option<String>,
}

impl Orders {
    /// A machine for an account; it does nothing before [`Instruction::Listen`].
    ///
    /// # Errors
    /// [`Remedy::Stop`](model::Remedy::Stop): the venue knows no such keys.
    pub fn new(settings: Settings, credentials: Credentials) -> Result<Self, Error> {
        if credentials.is_ed25519() {
            return Err(Error::stop("this venue signs with a secret, not with an Ed25519 key"));
        }
        if credentials.passphrase().is_none() {
            return Err(Error::stop("this venue's keys have a passphrase, and there is none"));
        }
        Ok(Self {
            credentials,
            settings,
            clock: Clock::new(),
            listings: Listings::default(),
            codes: FxHashMap::default(),
            tickets: Tickets::default(),
            conns: Vec::new(),
            listening: Listening::default(),
            balances: Holdings::default(),
            positions: Holdings::default(),
            wanted: None,
            listed: Vec::new(),
            list_at: Vec::new(),
            opened: false,
        })
    }

    fn conn(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.conns.iter_mut().find(|conn| conn.id == id)
    }

    /// Says what has changed, and when it wants to be called.
    fn settle(&mut self, now: Nanos, sink: &mut Sink<'_>) {
        let hears = self.conns.iter().any(Conn::is_ready);
        if let Some(heard) = self.listening.update(hears, now) {
            sink.pipeline.heard(heard);
        }
        let clock = self.clock.due().filter(|_| self.wanted.is_some());
        let dues = [clock, self.tickets.due(), self.listening.due()].into_iter().flatten();
        let lists = self.list_at.iter().map(|(_, at)| *at);
        let conns = self.conns.iter().flat_map(|conn| [conn.due, conn.again_at]).flatten();
        if let Some(due) = dues.chain(lists).chain(conns).min() {
            sink.outbox.wake_at(due.max(now));
        }
    }
}

impl Venue for Orders {
    fn profile(&self) -> &Profile {
        &ORDER_PROFILE
    }

    fn trading(&self) -> Option<&TradingProfile> {
        Some(&TRADING)
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

    fn on_open(&mut self, _: LinkId, conn: ConnId, now: Nanos, sink: &mut Sink<'_>) {
        let confirmed = [false; CHANNELS.len()];
        self.conns.push(Conn { id: conn, logged_in: false, confirmed, due: None, again_at: None });
        self.log_in(conn, now, sink);
        self.settle(now, sink);
    }

    fn on_frame(
        &mut self,
        conn: ConnId,
        frame: &[u8],
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let result = wire::read_frame(frame)
            .and_then(|message| self.on_message(conn, message, now, sink))
            .map_err(|error| {
                // It may have been a report.
                self.listening.doubt(now);
                Error::resync(error.message)
            });
        self.settle(now, sink);
        result
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
        let body;
        let reply = match response.outcome {
            // The session goes on by itself.
            Outcome::Delayed(..) => return Ok(()),
            Outcome::Answered(body) => Reply::Good(body),
            Outcome::Decoded(Ok(Bulk::Bytes(bytes))) => {
                body = bytes;
                Reply::Good(&body)
            }
            Outcome::Status(status, body) => Reply::Bad(status, body),
            Outcome::Refused(status, words) => Reply::Bad(status, words.as_bytes()),
            Outcome::Unsent(why) => Reply::Unsent(why),
            Outcome::Lost(_) | Outcome::Decoded(_) => Reply::Lost(Lost::Timeout),
        };
        let Some(job) = response.id.and_then(|id| self.tickets.take(id)) else { return Ok(()) };
        let result = self.finish(job, reply, now, sink);
        self.settle(now, sink);
        result
    }

    fn on_timer(&mut self, now: Nanos, sink: &mut Sink<'_>) {
        self.keep_up(now, sink);
        for conn in self.conns.iter_mut().filter(|conn| conn.due.is_some_and(|due| due <= now)) {
            conn.due = None;
            sink.outbox.reconnect.push((conn.id, Reason::VenueUnavailable));
        }
        for job in self.tickets.take_due(now) {
            self.give_up(job, Reply::Lost(Lost::Timeout), now, sink);
        }
        self.settle(now, sink);
    }
}
