//! Plays a raw capture as the venue that sent it.
//!
//! * A recorded frame goes by its stream's name to every connection that is subscribed to it. One
//!   that names no stream (a notice, garbage) goes to one connection: the oldest that shares a
//!   stream with the connection it was recorded on.
//! * The clock starts when every recorded stream is subscribed; from then on frames go out at the
//!   recorded pace, or [faster](Speed).
//! * Recorded REST answers are found by [`model::capture::answers`]. Those recorded before the
//!   first WebSocket line are there from the start and can be asked for any number of times. Any
//!   other is given once, in order, whenever it is asked for; playback does not go past it until it
//!   has been asked for and written. An answer to a request that could already be answered from the
//!   start (a refreshed instrument list) holds nothing up.
//! * A request for which no answer is left gets 503, one that the capture never answers 404, both
//!   with a JSON body that says so.
//! * A recorded `close` closes the connections with the streams that this ended, where such a
//!   stream goes on later in the capture; playback waits until those are subscribed again. After
//!   the last frame connections stay open.
//!
//! [`Player`] is a [`Machine`](crate::machine::Machine): it plays in virtual time by plain calls,
//! or behind real sockets with [`serve`]. The capture is held in memory, at most
//! [`PlayOptions::bytes_max`] of it.

use std::net::SocketAddr;

use model::Error;
use model::capture::CaptureLine;

use crate::server::{self, ServerHandle, ServerOptions};

mod answers;
mod player;
mod speed;
mod tape;

pub use player::{PlayReport, Player};
pub use speed::Speed;

/// How a capture is played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlayOptions {
    /// How fast.
    pub speed: Speed,
    /// Which venue's lines, where the capture holds several.
    pub venue: Option<String>,
    /// At most this many bytes of payloads are held.
    pub bytes_max: usize,
}

impl Default for PlayOptions {
    fn default() -> Self {
        Self { speed: Speed::RECORDED, venue: None, bytes_max: 2 * 1_024 * 1_024 * 1_024 }
    }
}

/// The venues in a capture, in the order they first appear: each is played at an address of its
/// own, since several venues use the same paths.
#[must_use]
pub fn venues(lines: &[CaptureLine]) -> Vec<String> {
    let mut venues: Vec<String> = Vec::new();
    for line in lines {
        if !venues.contains(&line.venue) {
            venues.push(line.venue.clone());
        }
    }
    venues
}

/// Plays a capture on one port, WebSocket and REST alike, until it is stopped.
///
/// # Errors
/// When the capture can't be played (see [`Player::new`]) or the address can't be listened on.
pub async fn serve(
    listen: SocketAddr,
    lines: impl IntoIterator<Item = CaptureLine>,
    options: &PlayOptions,
) -> Result<ServerHandle, Error> {
    let player = Player::new(lines, options)?;
    server::start(listen, Box::new(player), ServerOptions::default()).await
}
