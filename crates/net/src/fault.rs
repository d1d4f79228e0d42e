//! What can go wrong on a wire: typed for the session, in words for the operator. Addresses are
//! named by host only, since paths may carry keys.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// How far a connect had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Looking up the name.
    Resolve,
    /// TCP connect.
    Tcp,
    /// TLS handshake.
    Tls,
    /// HTTP upgrade.
    Upgrade,
}

impl Phase {
    /// What was being done, as it stands in a message.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Resolve => "name resolution",
            Self::Tcp => "TCP connect",
            Self::Tls => "TLS handshake",
            Self::Upgrade => "WebSocket upgrade",
        }
    }
}

/// Why a connection was not established.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// The address can't be used at all.
    Url(String),
    /// The name could not be resolved.
    Resolve {
        /// The name.
        host: String,
        /// The resolver's words.
        detail: String,
    },
    /// Nobody listens there.
    Refused {
        /// The last address that was tried.
        address: SocketAddr,
    },
    /// The deadline over all phases passed.
    Timeout {
        /// The deadline.
        after: Duration,
        /// What was being done when it passed.
        phase: Phase,
    },
    /// The TLS handshake failed.
    Tls {
        /// The name that the certificate had to carry.
        host: String,
        /// The TLS library's words.
        detail: String,
    },
    /// The far end answered the upgrade with something else than 101.
    Upgrade {
        /// HTTP status.
        status: u16,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
        /// The start of the answer's body.
        body: String,
    },
    /// The far end does not speak the WebSocket handshake.
    Handshake(String),
    /// The network failed.
    Io(String),
}

impl ConnectError {
    /// How long the far end asks to wait before the next attempt.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Upgrade { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(detail) => write!(
                f,
                "the address can't be used: {detail}; it must look like wss://host[:port]/path"
            ),
            Self::Resolve { host, detail } => write!(
                f,
                "the name '{host}' could not be resolved ({detail}); check its spelling in the \
                 configuration and this machine's DNS"
            ),
            Self::Refused { address } => write!(
                f,
                "{address} refused the connection; check the port, and whether the venue is up"
            ),
            Self::Timeout { after, phase } => write!(
                f,
                "no connection within {after:?} (it hung in {}); check network and firewall",
                phase.name()
            ),
            Self::Tls { host, detail } => write!(
                f,
                "TLS with '{host}' failed: {detail}; for a private venue configure its \
                 authority's certificate"
            ),
            Self::Upgrade { status, body, .. } => write!(
                f,
                "the WebSocket upgrade was refused with HTTP {status}: '{body}'; 4xx points to \
                 address or permission, 429 to too many connects, 5xx to the venue"
            ),
            Self::Handshake(detail) => write!(
                f,
                "the far end does not speak WebSocket: {detail}; check the address's port and path"
            ),
            Self::Io(detail) => write!(f, "the network failed: {detail}"),
        }
    }
}

impl std::error::Error for ConnectError {}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The far end closed it properly.
    PeerClosed {
        /// Its close code; 1005 when it gave none.
        code: u16,
        /// Its words.
        reason: String,
    },
    /// The far end ended its side without a close frame (1006): half-closed or dropped.
    Eof,
    /// The network failed.
    Io(String),
    /// A message was larger than allowed; closed with 1009.
    Oversized {
        /// Bytes allowed.
        limit: usize,
    },
    /// A text message was not UTF-8; closed with 1007.
    InvalidUtf8,
    /// The far end broke the protocol; closed with 1002.
    Protocol(String),
    /// A ping was not answered in time.
    PongTimeout {
        /// The time it had.
        after: Duration,
    },
    /// Bytes could not be written in time.
    WriteTimeout {
        /// The time they had.
        after: Duration,
    },
    /// We wanted it closed.
    Requested,
}

impl CloseReason {
    /// The close code that describes it: the far end's own where there was one.
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            Self::PeerClosed { code, .. } => *code,
            Self::Eof | Self::Io(_) | Self::PongTimeout { .. } | Self::WriteTimeout { .. } => 1006,
            Self::Oversized { .. } => 1009,
            Self::InvalidUtf8 => 1007,
            Self::Protocol(_) => 1002,
            Self::Requested => 1000,
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerClosed { code, reason } => {
                write!(f, "closed by the far end with code {code}: '{reason}'")
            }
            Self::Eof => f.write_str("the far end ended its side without a close frame"),
            Self::Io(detail) => write!(f, "the network failed: {detail}"),
            Self::Oversized { limit } => write!(
                f,
                "a message was larger than the {limit} bytes allowed; raise the venue's limit if \
                 such messages are expected"
            ),
            Self::InvalidUtf8 => f.write_str("a text message was not UTF-8"),
            Self::Protocol(detail) => {
                write!(f, "the far end broke the WebSocket protocol: {detail}")
            }
            Self::PongTimeout { after } => {
                write!(f, "nothing came and a ping was not answered within {after:?}")
            }
            Self::WriteTimeout { after } => {
                write!(f, "the far end took no bytes for {after:?}")
            }
            Self::Requested => f.write_str("closed by us"),
        }
    }
}

impl std::error::Error for CloseReason {}

/// Why a request brought no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchError {
    /// Nothing complete within the request's time.
    Timeout,
    /// No connection: name, network or TLS.
    Connect(String),
    /// The answer broke off.
    Body(String),
    /// The answer is larger than allowed.
    TooLarge {
        /// Bytes allowed.
        limit: usize,
    },
    /// The address can't be used.
    Url(String),
    /// The HTTP thread has more to do than its queue holds, or is gone.
    Busy,
    /// It was given up on our side, perhaps after it was sent.
    Abandoned,
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("no complete answer in time; check network and venue"),
            Self::Connect(detail) => write!(
                f,
                "no connection: {detail}; check the address, DNS, and whether the venue is up"
            ),
            Self::Body(detail) => write!(f, "the answer broke off: {detail}"),
            Self::TooLarge { limit } => {
                write!(f, "the answer is larger than the {limit} bytes allowed")
            }
            Self::Url(detail) => write!(
                f,
                "the address can't be used: {detail}; it must look like https://host[:port]/path"
            ),
            Self::Busy => f.write_str("the HTTP thread takes no more requests now"),
            Self::Abandoned => f.write_str("given up on our side; it may have been sent"),
        }
    }
}

impl std::error::Error for FetchError {}
