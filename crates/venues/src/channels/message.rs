//! What a message of such a venue can be.

use std::borrow::Cow;

use model::Kind;
use model::venue::Listing;

/// A message of the venue. An event's contents are in the event that was handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// The event was filled; its kind stands in its header.
    Event {
        /// The venue's symbol.
        symbol: Cow<'a, str>,
        /// Further entries of the same kind, each checked and to be read by itself. Empty, and
        /// without memory of its own, for nearly every message.
        more: Vec<&'a [u8]>,
    },
    /// What happened before the subscription. It shows what the stream's next position follows.
    History {
        /// What it is about.
        kind: Kind,
        /// The venue's symbol.
        symbol: Cow<'a, str>,
        /// Its position.
        position: u64,
    },
    /// The venue says that an instrument's feed is alive, and which trade was its last.
    Alive {
        /// The venue's symbol.
        symbol: Cow<'a, str>,
        /// Number of the last trade.
        last_trade: u64,
    },
    /// Subscriptions that are in force, by the kind that their channel carries.
    Confirmed(Vec<(Kind, Cow<'a, str>)>),
    /// The venue's complaint about a request on the socket.
    Refused(String),
    /// Instruments.
    Listings {
        /// What could be read.
        listings: Vec<Listing>,
        /// What could not, with the reason.
        unreadable: Vec<String>,
        /// Whether it is the whole list; else it adds to the list and changes it.
        whole: bool,
    },
    /// The venue's own state, in its words, where it is not the usual one.
    Status(Cow<'a, str>),
    /// Known, and nothing to be done.
    Nothing,
    /// A type that this version does not know.
    Unknown(Cow<'a, str>),
}
