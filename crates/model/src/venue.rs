//! The venue contract: bytes, answers, commands and the time go in; events, frames, requests and
//! the next deadline come out.
//!
//! A [`Venue`] is a state machine without sockets and without a clock. Whoever drives it (real
//! sockets, virtual time, a replayed file, a test) calls its methods with `now` and carries out
//! what it finds in the [`Outbox`]. Events leave through the [`Pipeline`], which the engine
//! implements: they are filled in place in pooled memory.

use std::fmt;
use std::time::Duration;

use pool::LocalPooled;

use crate::book::Book;
use crate::error::Error;
use crate::event::{CanonicalEvent, Kind, Level, Reason, StreamState};
use crate::ids::{ConnId, InstrumentId, LinkId, RequestId};
use crate::instrument::Instrument;
use crate::order::ExecReport;
use crate::time::Nanos;
use crate::trading::{Heard, Instruction, TradingProfile};

/// A venue's protocol for one provider.
pub trait Venue: Send {
    /// The venue's limits and habits, which the session obeys.
    fn profile(&self) -> &Profile;

    /// Subscriptions change. Also how a machine is started: nothing happens before the first.
    fn on_command(&mut self, command: &Command, now: Nanos, sink: &mut Sink<'_>);

    /// A connection for `link` is established; another one may still be up while it is renewed.
    fn on_open(&mut self, link: LinkId, conn: ConnId, now: Nanos, sink: &mut Sink<'_>);

    /// A message arrived; `now` is when the read that completed it returned.
    ///
    /// # Errors
    /// The frame could not be read; the remedy says how far the damage reaches.
    fn on_frame(
        &mut self,
        conn: ConnId,
        frame: &[u8],
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error>;

    /// A connection ended; whether another takes its place is the session's decision.
    fn on_close(&mut self, conn: ConnId, now: Nanos, sink: &mut Sink<'_>);

    /// A request was answered, or will be later.
    ///
    /// # Errors
    /// The answer could not be read.
    fn on_response(
        &mut self,
        response: Response<'_>,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error>;

    /// The deadline that was asked for has come.
    fn on_timer(&mut self, now: Nanos, sink: &mut Sink<'_>);

    /// What the desk has to know of the venue's orders; `None` for a machine of market data, which
    /// takes no [`Command::Trade`].
    fn trading(&self) -> Option<&TradingProfile> {
        None
    }
}

/// Where a venue puts what comes out of it.
pub struct Sink<'a> {
    /// Events, books and counters.
    pub pipeline: &'a mut dyn Pipeline,
    /// Frames, requests and deadlines.
    pub outbox: &'a mut Outbox,
}

/// The engine, as a venue sees it. Everything is about the one provider that it was made for.
pub trait Pipeline {
    /// An event to fill; `None` when the pool is exhausted, which the pipeline counts.
    fn event(&mut self) -> Option<LocalPooled<CanonicalEvent>>;

    /// A decoded venue message goes to whoever subscribed; `false` where its stream has had it
    /// before, and it goes to nobody.
    fn emit(&mut self, event: LocalPooled<CanonicalEvent>) -> bool;

    /// An event that the gateway derived goes to whoever subscribed: the snapshot after a repair,
    /// a quote from a book. Not counted as a venue message. So does what was [early](Discard::Early)
    /// and counted then; it says in its header when it was received.
    fn derive(&mut self, event: LocalPooled<CanonicalEvent>);

    /// A decoded venue message goes to nobody, for the reason given.
    fn discard(&mut self, event: LocalPooled<CanonicalEvent>, why: Discard);

    /// A stream's state changes from here on.
    fn status(&mut self, instrument: InstrumentId, of: Kind, state: StreamState, reason: Reason);

    /// Counts an occurrence on a stream.
    fn count(&mut self, instrument: InstrumentId, kind: Kind, what: Count);

    /// Tells the operator of something that has no stream.
    fn notice(&mut self, notice: Notice<'_>);

    /// A message could not be read, for the reason given: counted, and kept for the operator to
    /// look at where there is room.
    fn unreadable(&mut self, conn: ConnId, payload: &[u8], error: &Error);

    /// A report to fill, for [`Heard::Order`]; `None` when the pool is exhausted. The pipeline counts
    /// that, and has the account asked for what could not be told.
    fn exec_report(&mut self) -> Option<LocalPooled<ExecReport>>;

    /// A trading machine has heard something of the account. It is taken in before this returns.
    fn heard(&mut self, heard: Heard);

    /// The shard's book of an instrument; empty and `Syncing` at first.
    fn book(&mut self, instrument: InstrumentId) -> &mut Book;

    /// Makes an instrument known and gives its number; known ones are replaced by the newer facts.
    ///
    /// # Errors
    /// [`Remedy::Reject`](crate::Remedy::Reject) when the table of instruments is full.
    fn list(&mut self, instrument: &Instrument) -> Result<InstrumentId, Error>;
}

/// Why a decoded message reaches nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discard {
    /// Not newer than what its stream already has.
    Duplicate,
    /// Taken into a book that is not `Live`: kept for it, or covered by its snapshot.
    Absorbed,
    /// Kept because something before it is missing; if that comes, it goes out behind it.
    Early,
    /// The stream was unsubscribed, or never subscribed.
    Unsubscribed,
}

/// What is counted per stream, beside the events themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// A venue message that has no event of its own was decoded (a REST snapshot).
    Decoded,
    /// The book left `Live` by a continuity or checksum fault.
    Gap,
    /// The book came back to `Live` after it had been there before.
    Resync,
    /// A venue's checksum agreed.
    ChecksumOk,
    /// A venue's checksum differed.
    ChecksumFailed,
    /// A periodic snapshot agreed with the running book.
    CompareOk,
    /// A probe was sent.
    Probe,
}

/// Something for the operator: counted by its name, logged with its detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice<'a> {
    /// A message type that this version does not know; harmless.
    UnknownType(&'a str),
    /// A message about an instrument that nobody subscribed; harmless.
    UnexpectedSymbol(&'a str),
    /// An instrument of the venue's list could not be read; the others are not affected.
    UnreadableInstrument(&'a str),
    /// The venue's list lacks an instrument that was subscribed; no data will come for it.
    UnknownInstrument(&'a str),
    /// The venue refused a subscription.
    SubscriptionRefused(&'a str),
    /// The venue refused a request for good.
    RequestRefused(&'a str),
    /// The venue asks for a replacement connection.
    ShutdownAnnounced(&'a str),
    /// The venue is not in its usual state (maintenance, cancels only), in its own words.
    VenueStatus(&'a str),
}

/// What the rest of the gateway asks of a venue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Streams are wanted. Those that are already subscribed are left alone.
    Subscribe(Vec<Subscription>),
    /// Streams are no longer wanted.
    Unsubscribe(Vec<Subscription>),
    /// Something is wanted of a trading machine.
    Trade(Instruction),
}

/// A stream by its canonical name, since the instrument's number is only known with its list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subscription {
    /// Canonical instrument name.
    pub instrument: Box<str>,
    /// What is wanted; [`Kind::BookUpdate`] stands for the book, snapshots included.
    pub kind: Kind,
}

/// What a venue wants done. Emptied by the driver after every call; one input produces a bounded
/// number of outputs.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Logical connections: opened when new, re-addressed for the next connect when known,
    /// closed when there is no address.
    pub links: Vec<LinkChange>,
    /// Text messages to send, in order; paced by the session within the message budget.
    pub frames: Vec<(ConnId, String)>,
    /// Messages that go now or never: see [`OnceFrame`].
    pub once_frames: Vec<OnceFrame>,
    /// Requests to make, in order; paced by the session within the rate budget.
    pub requests: Vec<Request>,
    /// Requests whose answer is not wanted any more.
    pub cancelled: Vec<RequestId>,
    /// Connections to replace: the old one goes when its replacement is up.
    pub renew: Vec<(ConnId, Reason)>,
    /// Connections that can't be trusted: closed at once, then opened again.
    pub reconnect: Vec<(ConnId, Reason)>,
    /// When [`Venue::on_timer`] is wanted; the earliest asked for wins.
    pub wake_at: Option<Nanos>,
}

impl Outbox {
    /// Asks for [`Venue::on_timer`] at `at` or before.
    pub fn wake_at(&mut self, at: Nanos) {
        self.wake_at = Some(at.earliest(self.wake_at));
    }
}

/// A logical connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkChange {
    /// Which.
    pub link: LinkId,
    /// Where to connect next time; `None` closes it.
    pub url: Option<String>,
}

/// A text message that is sent at once or not at all, because what it asks for must not happen
/// later. Where it can't be, [`Venue::on_response`] hears [`Outcome::Unsent`] under its id. Its debug
/// form does not hold the text, which may carry keys and signatures.
#[derive(Clone, PartialEq, Eq)]
pub struct OnceFrame {
    /// On which connection.
    pub conn: ConnId,
    /// Comes back where it could not be sent.
    pub id: RequestId,
    /// The message.
    pub text: String,
    /// May use what is kept of the message budget for what must not fail: cancels.
    pub urgent: bool,
}

impl fmt::Debug for OnceFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceFrame")
            .field("conn", &self.conn)
            .field("id", &self.id)
            .field("urgent", &self.urgent)
            .finish_non_exhaustive()
    }
}

/// A REST request. Its debug form holds no value of a header, no query and no body: they may carry
/// keys and signatures.
#[derive(Clone)]
pub struct Request {
    /// Comes back with the answer.
    pub id: RequestId,
    /// How.
    pub method: Method,
    /// The whole address.
    pub url: String,
    /// Headers of the venue's own, names in lower case. May carry keys: never logged.
    pub headers: Vec<(&'static str, String)>,
    /// A JSON or form body, empty for most.
    pub body: String,
    /// What it costs of the venue's budget.
    pub weight: u32,
    /// How often it may be made.
    pub repeat: Repeat,
    /// How a large answer is read away from the shard's thread.
    pub bulk: BulkDecoder,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Request")
            .field("id", &self.id)
            .field("method", &self.method)
            .field("url", &self.url.split('?').next().unwrap_or_default())
            .field("headers", &headers)
            .field("weight", &self.weight)
            .field("repeat", &self.repeat)
            .finish_non_exhaustive()
    }
}

impl Request {
    /// A plain `GET`, made again until it is answered.
    #[must_use]
    pub fn get(id: RequestId, url: String, weight: u32, bulk: BulkDecoder) -> Self {
        let (method, repeat) = (Method::Get, Repeat::UntilAnswered);
        Self { id, method, url, headers: Vec::new(), body: String::new(), weight, repeat, bulk }
    }
}

/// What a request does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    #[default]
    Get,
    /// Makes.
    Post,
    /// Changes.
    Put,
    /// Removes.
    Delete,
}

impl Method {
    /// As HTTP writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// How often a request may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// It waits for its turn within the budget, and is made again when it fails, until it is
    /// answered or cancelled.
    UntilAnswered,
    /// It is made at once or never, and never again: signed requests grow stale, and those that
    /// change something must not happen twice. Ends in [`Outcome::Answered`],
    /// [`Outcome::Decoded`], [`Outcome::Status`], [`Outcome::Lost`] or [`Outcome::Unsent`].
    Once {
        /// May use what is kept of the budget for what must not fail: cancels.
        urgent: bool,
    },
}

/// Reads a whole answer. A plain function, so that it can run on any thread.
pub type BulkDecoder = fn(&[u8]) -> Result<Bulk, Error>;

/// An answer that was read whole.
#[derive(Clone, Debug, PartialEq)]
pub enum Bulk {
    /// The venue's instruments, and the symbols of entries that could not be read.
    Listings {
        /// What could be read.
        listings: Vec<Listing>,
        /// What could not, with the reason.
        unreadable: Vec<String>,
    },
    /// A book.
    Depth(DepthSnapshot),
    /// The id of the newest trade; `None` where there was none yet.
    LastTrade(Option<u64>),
    /// The body as it came: the machine reads it itself.
    Bytes(Vec<u8>),
}

/// An instrument with the venue's own symbol for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The venue's symbol.
    pub symbol: Box<str>,
    /// The instrument.
    pub instrument: Instrument,
}

/// A book as a REST answer gives it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DepthSnapshot {
    /// The last update id that it covers.
    pub seq_last: u64,
    /// The venue's time of it, where it says so.
    pub ts_event: Option<Nanos>,
    /// Bids, best first.
    pub bids: Vec<Level>,
    /// Offers, best first.
    pub asks: Vec<Level>,
}

/// What became of a request.
#[derive(Debug)]
pub struct Response<'a> {
    /// Which request; `None` in a replay where the file answers what was not asked.
    pub id: Option<RequestId>,
    /// The request's address.
    pub url: &'a str,
    /// What became of it.
    pub outcome: Outcome<'a>,
}

/// What became of a request.
#[derive(Debug)]
pub enum Outcome<'a> {
    /// Status 2xx, body as it came.
    Answered(&'a [u8]),
    /// Status 2xx, body read on another thread because of its size.
    Decoded(Result<Bulk, Error>),
    /// Not answered yet; the session tries again at that time, for that reason.
    Delayed(Reason, Nanos),
    /// The venue refused it for good: status and the start of the body.
    Refused(u16, &'a str),
    /// A request that is made once was answered with another status than 2xx: status and body.
    Status(u16, &'a [u8]),
    /// A request that is made once was sent, and what became of it is not known.
    Lost(&'a str),
    /// What goes now or never did not go, for the reason given.
    Unsent(&'a str),
}

/// A venue's limits and habits, as data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// How long the venue lets a connection live; it is replaced well before.
    pub connection_lifetime: Option<Duration>,
    /// A connection on which nothing came for so long is pinged.
    pub ping_after: Duration,
    /// What a ping is where the venue wants a text message; the protocol's own frame where `None`.
    pub ping_text: Option<&'static str>,
    /// A ping not answered for so long means that the connection is dead.
    pub pong_timeout: Duration,
    /// Connects allowed per address.
    pub connects: Rate,
    /// Client messages allowed per connection, pings and pongs included.
    pub messages: Rate,
    /// REST weight allowed per address.
    pub weight: Rate,
    /// The response header in which the venue says how much weight is used, in lower case.
    pub used_weight_header: Option<&'static str>,
    /// Larger messages end the connection with close code 1009.
    pub message_bytes_max: usize,
    /// Kinds whose position ([`Header::seq_provider`](crate::Header::seq_provider)) counts up by
    /// one per event of an instrument, so that a hole shows. The engine puts them in order and drops
    /// doubles; the machine emits them as they come, from every connection. All other kinds pass
    /// straight through. Books are not meant: their assembler puts them in order.
    pub contiguous: &'static [Kind],
    /// Kinds whose position only goes up and skips, so that no hole shows, and of which nothing is to
    /// be lost. The engine drops doubles and lets pass what one connection brings after another had
    /// gone beyond it; the machine emits them as they come, from every connection.
    pub skipping: &'static [Kind],
}

/// How long, and how many, events of a stream wait behind a hole: the engine's where positions count
/// up by one, and a book's diffs where its machine puts them in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// An event that waited for so long goes at the next look, whatever is missing before it.
    pub lateness: Duration,
    /// While anything waits it is looked at so often.
    pub look_every: Duration,
    /// At most so many events of a stream wait; with another one the oldest hole is given up.
    pub events_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lateness: Duration::from_millis(150),
            look_every: Duration::from_millis(50),
            events_max: 200,
        }
    }
}

/// So many per so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// Per how long.
    pub per: Duration,
}
