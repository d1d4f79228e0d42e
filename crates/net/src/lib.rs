//! The wires: WebSocket, TLS and HTTP, and the session that drives a venue. Knows no venue and not
//! the engine.
//!
//! # The way of a frame
//! 1. The shard polls [`Wire::poll_turn`]. For each connection in turn a pooled
//!    [`WsFrame`](model::frame::WsFrame) is acquired *before* the socket is read; without one,
//!    reading stops until the next turn.
//! 2. [`WebSocket::poll_frame`] reads and assembles ([`frames`]), and copies the message into the
//!    record. Below TLS, each read that brought bytes is stamped by the [`Clock`] that was handed in, so that a message carries the
//!    return of the read that completed it, however many came with that read.
//! 3. The [`Tap`](model::capture::Tap), if there is one, sees the payload. It is not copied here.
//! 4. [`Ports::with`] lends the engine's pipeline as of the stamp, and [`Session::frame`] hands the
//!    payload to the [`Venue`](model::venue::Venue), which fills events and leaves its wishes in
//!    the outbox.
//! 5. The session turns wishes into [`Action`]s, within the venue's rates; the wire carries them out
//!    and writes at the end of the turn. The record goes back to its pool.
//!
//! # Two drivers, one truth
//! All decisions are in [`session`], a state machine without sockets and clock. [`Wire`] is its
//! driver for real sockets; a loop in virtual time is the other: it calls the inputs (`command`,
//! `opened`, `connect_failed`, `frame`, `pinged`, `ponged`, `closed`, `answered`, `timer`), takes
//! [`Session::next_action`] until there is none, and goes on at [`Session::deadline`]. The session
//! gives up on connects and requests that nobody reports on, so such a loop needs no timers.
//!
//! # What ends a connection
//! | fault | close code sent | then |
//! | --- | --- | --- |
//! | message too large, also in fragments | 1009 | reconnect with backoff |
//! | text that is not UTF-8 | 1007 | the same |
//! | broken protocol, or a message with the remedy `Reconnect` | 1002 | the same |
//! | no pong | 1001 | the same |
//! | closed by the far end | its own code | the same |
//! | half-closed, dropped, no bytes taken | none, or 1000 | the same |
//! | replaced, not needed, distrusted, shutting down | 1000 | as decided |
//!
//! Whatever is wrong with a message's content is the venue's affair and is only counted here.
//!
//! # Where to read
//! `connect` (name, TCP, TLS, upgrade within one deadline), `io` (the stamps), `upgrade` (the answer
//! to the upgrade), [`frames`] (RFC 6455 without a socket), `ws` (one open connection), [`http`] (a thread of its own), [`session`] (all
//! decisions), [`wire`] (one provider's sockets), `fault` (what can go wrong, in words).
//!
//! # What is deliberately absent
//! - A clock, randomness and name resolution of its own: all are handed in. Only timers are tokio's,
//!   and the masking keys, which need not be unpredictable here, are the library's.
//! - Tasks per connection, channels between socket and venue, and locks on the way of a frame.
//! - Proxies, redirects, cookies, HTTP/2, compression on either wire.
//! - Requests with a body, and any that must not be repeated: orders take a way of their own.
//! - Subscriptions, sequence numbers, staleness of a *stream*: they need to know what messages say,
//!   so the venue's machine decides. Here is only the silence of a connection.

mod clock;
mod connect;
mod date;
mod fault;
pub mod frames;
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
pub use wire::{HandedOver, Ports, Turn, Wire, WireParts, WireStats};
pub use ws::{Incoming, WebSocket};
