//! Venues whose streams are channels of symbols: subscribed by message on a connection, with the
//! book's snapshot in the stream and diffs without numbers.
//!
//! What differs between such venues is a [`Dialect`]: data and plain functions, in the venue's
//! folder. The machine is the same:
//!
//! - [`machine`]: commands and frames in; events and messages out; `subscriptions`: from what is
//!   wanted to what is subscribed
//! - [`links`]: which instrument stands on which connection, and the messages that subscribe it
//! - [`markets`]: per instrument, what it takes to order and prove its streams
//! - `book`: one connection at a time feeds a book; the quote that follows from it
//! - `probes`: silence; `requests`: instrument list and questions by REST

use std::borrow::Cow;

use model::venue::{BulkDecoder, Profile};
use model::{CanonicalEvent, Error, Kind};

use crate::assembler::Rules;

mod book;
pub mod links;
pub mod machine;
pub mod markets;
mod message;
mod probes;
mod requests;
mod subscriptions;

pub use machine::Machine;
pub use message::Message;

/// What a venue of this sort is.
#[derive(Debug)]
pub struct Dialect {
    /// The venue's name in configuration and captures.
    pub name: &'static str,
    /// Where streams are: scheme and host.
    pub ws_url: &'static str,
    /// The path there.
    pub ws_path: &'static str,
    /// Where requests go: scheme and host.
    pub rest_url: &'static str,
    /// Limits and habits.
    pub profile: Profile,
    /// Instruments on one connection.
    pub instruments_max: usize,
    /// Instruments in one message.
    pub batch: usize,
    /// What stands between base and quote in a symbol.
    pub separator: char,
    /// The channel that carries a kind. Quotes follow from the book.
    pub channels: &'static [(Kind, &'static str)],
    /// A channel that says for each instrument that its feed is alive, where there is one.
    pub heartbeat: Option<&'static str>,
    /// Where the instruments are listed.
    pub list: List,
    /// Levels a side that can be subscribed, ascending; empty where it is always the whole book.
    pub depths: &'static [u32],
    /// What a book is proven by, subscribed to so many levels a side.
    pub rules: fn(depth: Option<u32>) -> Rules,
    /// The text of a message that changes subscriptions.
    pub request: fn(&Change<'_>) -> String,
    /// Reads a message into an empty event.
    pub read: for<'a> fn(&'a [u8], &mut CanonicalEvent) -> Result<Message<'a>, Error>,
    /// Reads a further entry of a message, where messages have more than one.
    pub read_entry: Option<EntryReader>,
    /// Whose book a message was about that could not be read, where no checksum would show that
    /// it is missing.
    pub book_of: Option<SubjectReader>,
    /// Asks for the best levels.
    pub book_probe: Question,
    /// Whether the answer has the book's quantities too, not just its prices.
    pub probe_quantities: bool,
    /// Asks for the newest trade, where the heartbeat does not name it.
    pub trade_probe: Option<Question>,
}

/// Reads an entry of a kind into an empty event and gives its symbol.
pub type EntryReader =
    for<'a> fn(Kind, &'a [u8], &mut CanonicalEvent) -> Result<Cow<'a, str>, Error>;

/// Gives the symbol whose book a message is about, as far as that can be read.
pub type SubjectReader = for<'a> fn(&'a [u8]) -> Option<Cow<'a, str>>;

/// Where a venue lists its instruments.
#[derive(Clone, Copy, Debug)]
pub enum List {
    /// On a channel of the first connection.
    Channel(&'static str),
    /// At a path; its weight and how it is read.
    Rest(&'static str, u32, BulkDecoder),
}

/// A REST request about a symbol.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// Path and query for a symbol.
    pub path: fn(&str) -> String,
    /// What it costs of the venue's budget.
    pub weight: u32,
    /// How the answer is read.
    pub read: BulkDecoder,
}

/// A change of subscriptions.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// Or unsubscribe.
    pub subscribe: bool,
    /// The channel.
    pub channel: &'static str,
    /// Symbols; none where the channel has none.
    pub symbols: &'a [&'a str],
    /// Levels a side, for books that are not always whole.
    pub depth: Option<u32>,
    /// A number of its own.
    pub id: u64,
}

impl Dialect {
    /// The kind whose channel brings what a kind is made of; `None` where the venue has no such
    /// stream.
    #[must_use]
    pub fn carrier(&self, kind: Kind) -> Option<Kind> {
        let carrier = if kind == Kind::Quote { Kind::BookUpdate } else { kind };
        self.channel(carrier).map(|_| carrier)
    }

    /// The channel of a carrier.
    #[must_use]
    pub fn channel(&self, carrier: Kind) -> Option<&'static str> {
        self.channels.iter().find(|(kind, _)| *kind == carrier).map(|(_, channel)| *channel)
    }

    /// The smallest number of levels that can be subscribed and holds `wanted`, the largest there
    /// is where none holds it; `None` where it is always the whole book.
    #[must_use]
    pub fn depth(&self, wanted: u32) -> Option<u32> {
        let holds = self.depths.iter().find(|depth| **depth >= wanted);
        holds.or(self.depths.last()).copied()
    }

    /// Base and quote of a symbol that is in no list.
    #[must_use]
    pub fn split_symbol<'s>(&self, symbol: &'s str) -> Option<(&'s str, &'s str)> {
        let (base, quote) = symbol.split_once(self.separator)?;
        (!base.is_empty() && !quote.is_empty()).then_some((base, quote))
    }
}
