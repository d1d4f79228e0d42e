//! The contract of whatever stands in for a venue, whoever drives it.

use std::fmt;

use bytes::Bytes;
use model::Nanos;

/// One WebSocket connection of one client; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One REST request of one client; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// A REST request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case, in the order they came.
    pub headers: Vec<(String, String)>,
    /// The body, empty for most.
    pub body: Bytes,
}

impl Request {
    /// A `GET` without headers.
    pub fn get(target: impl Into<String>) -> Self {
        Self { method: "GET".to_owned(), target: target.into(), ..Self::default() }
    }
}

/// A REST answer, or why a WebSocket connection was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// Headers beside length, type and connection, their names in lower case.
    pub headers: Vec<(String, String)>,
    /// A JSON body.
    pub body: Bytes,
}

impl Reply {
    /// An answer without headers of its own.
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }
}

/// A control frame of a client (RFC 6455, 5.5). Closes are the driver's business, and so is the
/// answer to a ping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlFrame {
    /// A ping, which the driver answers.
    Ping(Bytes),
    /// The answer to a ping, with its payload, or one that nobody asked for.
    Pong(Bytes),
}

/// What a machine wants done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A message to a client: text where it is UTF-8, else binary.
    Send {
        /// To whom.
        client: ClientId,
        /// The message.
        payload: Bytes,
    },
    /// A ping to a client; its answer comes as [`ControlFrame::Pong`].
    Ping {
        /// To whom.
        client: ClientId,
        /// At most 125 bytes.
        payload: Bytes,
    },
    /// End a connection. The machine has forgotten the client already.
    Close {
        /// Whose.
        client: ClientId,
        /// WebSocket close code.
        code: u16,
        /// At most 123 bytes.
        reason: String,
    },
    /// A connection ends without a word, after the start of a message where one is given, also one
    /// that was silenced. The machine has forgotten the client already.
    Break {
        /// Whose.
        client: ClientId,
        /// What still comes of a longer message.
        partial: Option<Bytes>,
    },
    /// A connection stays open, and nothing comes through any more in either direction, not even the
    /// answer to a ping. The machine may still break it, and is told when it ends.
    Silence {
        /// Whose.
        client: ClientId,
    },
    /// The answer to a request. When it has been written, the driver calls
    /// [`Machine::answered`].
    Answer {
        /// Which request.
        request: RequestId,
        /// The answer.
        reply: Reply,
    },
}

/// Stands in for a venue, without sockets and without a clock.
///
/// The driver hands in what clients do, with the time, and does what comes out. When
/// [`deadline`](Self::deadline) is reached it calls [`tick`](Self::tick); a deadline that has
/// already passed means "at once". One [`tick`](Self::tick) puts out at most [`SENDS_MAX`] messages
/// per client, so that a driver can keep room for them; the other calls put out replies only.
pub trait Machine: Send {
    /// A client wants a WebSocket connection at this path and query.
    ///
    /// # Errors
    /// The HTTP answer that refuses it; the client is forgotten then.
    fn connect(
        &mut self,
        now: Nanos,
        client: ClientId,
        target: &str,
        out: &mut Vec<Output>,
    ) -> Result<(), Reply>;

    /// A client sent a message.
    fn message(&mut self, now: Nanos, client: ClientId, message: &[u8], out: &mut Vec<Output>);

    /// A client sent a ping or a pong.
    fn control(
        &mut self,
        now: Nanos,
        client: ClientId,
        control: &ControlFrame,
        out: &mut Vec<Output>,
    );

    /// A connection ended, other than by [`Output::Close`].
    fn disconnected(&mut self, now: Nanos, client: ClientId, out: &mut Vec<Output>);

    /// A client asked by REST; answered by one [`Output::Answer`], now or later.
    fn request(&mut self, now: Nanos, id: RequestId, request: &Request, out: &mut Vec<Output>);

    /// An answer was written whole, or could not be.
    fn answered(&mut self, now: Nanos, id: RequestId, written: bool, out: &mut Vec<Output>);

    /// The deadline has come.
    fn tick(&mut self, now: Nanos, out: &mut Vec<Output>);

    /// When [`tick`](Self::tick) is to be called next.
    fn deadline(&self) -> Option<Nanos>;

    /// Whether a deadline may wait until every client has room for [`SENDS_MAX`] messages (as
    /// fast as clients read), or must be kept (a venue's pace, slow clients are cut off).
    fn waits_for_clients(&self) -> bool {
        false
    }

    /// Whether there is nothing left to be sent by itself.
    fn finished(&self) -> bool {
        false
    }
}

/// One [`Machine::tick`] puts out at most this many messages for one client.
pub const SENDS_MAX: usize = 64;
