//! The wires: WebSocket, TLS and HTTP, and the session that drives a venue.

mod clock;
mod connect;
mod date;
mod fault;
pub mod http;
mod io;
mod resolve;
mod rng;
pub mod session;
mod tls;
mod upgrade;
pub mod wire;
mod ws;

pub use clock::Clock;
pub use connect::{Connector, WsTimeouts};
pub use fault::{CloseReason, ConnectError, FetchError, Phase};
pub use resolve::{Resolver, Resolving, SystemResolver};
pub use rng::Rng;
pub use session::{Action, Reply, ReplyBody, Session, SessionConfig, SessionStats};
pub use tls::{Tls, TlsError};
pub use wire::{Ports, Turn, Wire, WireParts, WireStats};
pub use ws::{Incoming, WebSocket};
