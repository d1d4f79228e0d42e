//! What goes into a session and comes out of it, besides time and frames.

use std::time::Duration;

use model::venue::{Bulk, Request};
use model::{ConnId, Error, LinkId, RequestId};

/// What a session wants done. The driver carries actions out in order, after every input.
#[derive(Clone, Debug)]
pub enum Action {
    /// Open a connection, and report `opened` or `connect_failed`.
    Connect {
        /// Its name from now on.
        conn: ConnId,
        /// What it serves.
        link: LinkId,
        /// Where to.
        url: String,
        /// Larger messages end it with code 1009.
        message_bytes_max: usize,
    },
    /// Send a text message.
    Send {
        /// On which connection.
        conn: ConnId,
        /// The message.
        text: String,
    },
    /// Send a ping.
    Ping {
        /// On which connection.
        conn: ConnId,
        /// Comes back with the pong.
        payload: [u8; 8],
    },
    /// Close a connection, or give up opening it. The session has forgotten it: nothing about it
    /// need be reported, and what still arrives on it is not wanted.
    Close {
        /// Which.
        conn: ConnId,
        /// Close code for the far end.
        code: u16,
        /// Reason for the far end and the recorder.
        reason: &'static str,
    },
    /// Make a request, and report `answered`. The same id again is another attempt.
    Request {
        /// The request.
        request: Request,
        /// For all of it.
        timeout: Duration,
    },
    /// Give a request up; no answer is wanted.
    Cancel {
        /// Which.
        id: RequestId,
    },
}

/// An answer to a request, of whatever status.
#[derive(Debug)]
pub struct Reply<'a> {
    /// HTTP status.
    pub status: u16,
    /// What the venue says is used of its weight budget.
    pub weight_used: Option<u32>,
    /// How long the venue asks to wait.
    pub retry_after: Option<Duration>,
    /// The body, as it came or read.
    pub body: ReplyBody<'a>,
}

/// The body of an answer.
#[derive(Debug)]
pub enum ReplyBody<'a> {
    /// As it came.
    Raw(&'a [u8]),
    /// Read whole, elsewhere.
    Read(Result<Bulk, Error>),
}

/// What a session has seen and done. Counters only ever grow; gauges are marked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionStats {
    /// Messages received.
    pub frames: u64,
    /// Their payload bytes.
    pub bytes: u64,
    /// Messages and answers that could not be read.
    pub malformed: u64,
    /// Messages and answers after which the venue rebuilt a stream.
    pub resyncs: u64,
    /// Connections that were established.
    pub connects: u64,
    /// Connects that failed.
    pub connects_failed: u64,
    /// Connections that ended without being replaced first.
    pub disconnects: u64,
    /// Connections established in place of one that had ended.
    pub reconnects: u64,
    /// Connections replaced while they were up.
    pub renewals: u64,
    /// Pings sent.
    pub pings: u64,
    /// Connections given up because a ping was not answered.
    pub pong_timeouts: u64,
    /// Messages that the venue wanted sent on a connection that was gone.
    pub stale_sends: u64,
    /// Connections given up because more waited to be sent than there is room for.
    pub send_overflows: u64,
    /// Requests sent, attempts included.
    pub requests: u64,
    /// Attempts after the first.
    pub retries: u64,
    /// Times that the venue told us to slow down (429, 418).
    pub rate_limited_pauses: u64,
    /// Requests refused because the queue was full.
    pub requests_refused: u64,
    /// Gauge: weight spent in the running window, by us and, where the venue says so, by others.
    pub weight_used: u32,
    /// Gauge: connections that are up.
    pub open: u32,
    /// Gauge: requests that wait.
    pub requests_queued: u32,
    /// Gauge: requests under way.
    pub requests_in_flight: u32,
}
