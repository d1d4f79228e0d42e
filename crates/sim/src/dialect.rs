//! How venues speak: as far as playing a capture needs it ([`PlayDialect`]), and whole, on a market
//! of their own ([`Simulated`]). One file or folder a venue.

use std::collections::BTreeSet;
use std::ops::Range;

use bytes::Bytes;
use model::Error;

use crate::market::Market;
use crate::market::instrument::Listing;
use crate::venue::{Dialect, SimOptions};

pub mod binance;
pub mod coinbase;
pub mod kraken;
pub mod okx;

/// What a recorded frame is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It belongs to a stream that clients subscribe to.
    Named {
        /// The stream.
        stream: String,
        /// Where in the payload the message itself is, without its envelope.
        body: Range<usize>,
    },
    /// The venue answered what its client had sent; the player answers its own clients itself.
    Reply,
    /// It names no stream: a notice, or something unreadable.
    Unnamed,
}

/// One client's connection: where it connected and what it asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// Path and query it connected to.
    pub target: String,
    /// Streams it is subscribed to.
    pub streams: BTreeSet<String>,
    /// Whether its messages come in an envelope that names their stream.
    pub enveloped: bool,
}

/// What is peculiar to a venue when a capture of it is played.
pub trait PlayDialect: Send {
    /// What a frame is that was recorded on a connection to `url`.
    fn recorded(&self, url: &str, payload: &[u8]) -> Recorded;

    /// A client connects to a path and query.
    ///
    /// # Errors
    /// Status and message of the refusal.
    fn connect(&self, target: &str) -> Result<Session, (u16, String)>;

    /// A client sent a message: changes the session, gives the replies in order.
    fn message(&self, session: &mut Session, message: &[u8]) -> Vec<Bytes>;

    /// Whether frames of a stream go to this connection.
    fn serves(&self, session: &Session, stream: &str) -> bool {
        session.streams.contains(stream)
    }

    /// A recorded frame as this connection gets it.
    fn payload(&self, session: &Session, stream: &str, whole: &Bytes, body: &Range<usize>)
    -> Bytes;

    /// The body of a REST answer that refuses.
    fn refusal(&self, status: u16, message: &str) -> Bytes;
}

/// The dialect for a venue, where captures of it can be played.
#[must_use]
pub fn for_venue(venue: &str) -> Option<Box<dyn PlayDialect>> {
    binance::Binance::for_venue(venue).map(|dialect| Box::new(dialect) as Box<dyn PlayDialect>)
}

/// The venues that [`for_venue`] knows.
pub const PLAYABLE: &[&str] = binance::VENUES;

/// A venue that can be simulated.
pub trait Simulated {
    /// Its name.
    fn name(&self) -> &'static str;

    /// What it says of an instrument of that canonical name.
    ///
    /// # Errors
    /// It lists no such instrument; says what it lists.
    fn listing(&self, name: &str) -> Result<Listing, Error>;

    /// The first `count` instruments that it would list.
    fn default_symbols(&self, count: usize) -> Vec<String>;

    /// Its way to speak of that market.
    ///
    /// # Errors
    /// An instrument can't be named.
    fn dialect(&self, market: &Market, options: &SimOptions) -> Result<Box<dyn Dialect>, Error>;
}

/// Every venue that can be simulated.
fn all() -> impl Iterator<Item = &'static dyn Simulated> {
    let lines = binance::LINES.iter().map(|line| line as &dyn Simulated);
    lines.chain([&coinbase::VENUE as &dyn Simulated, &kraken::VENUE, &okx::VENUE])
}

/// The simulated venue of that name.
#[must_use]
pub fn simulated(venue: &str) -> Option<&'static dyn Simulated> {
    all().find(|simulated| simulated.name() == venue)
}

/// The venues that [`simulated`] knows.
#[must_use]
pub fn simulated_venues() -> Vec<&'static str> {
    all().map(Simulated::name).collect()
}
