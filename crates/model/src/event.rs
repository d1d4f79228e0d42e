//! Canonical events: what a venue said, in the gateway's words.
//!
//! [`CanonicalEvent`] is the pooled form that a decoder fills in place; its level buffers are
//! used again and again. [`Event`] is the copy that a consumer owns: plain memory, no pool slot,
//! with what is large (a book's levels, a report) in one place that all copies share.

use std::sync::Arc;
use std::time::Duration;

use pool::{Reset, reset_vec};
use rust_decimal::Decimal;

use crate::control::{ControlAck, ControlResult};
use crate::ids::Stream;
use crate::ledger::Report;
use crate::merged::Fragment;
use crate::reply::OrderReply;
use crate::time::Nanos;
use crate::trading::{Balance, Position};

/// What an event says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A trade between others.
    #[default]
    Trade,
    /// Best bid and offer.
    Quote,
    /// Statistics of the last 24 hours.
    Ticker,
    /// A whole book; replaces what was there.
    BookSnapshot,
    /// Changed levels of a book.
    BookUpdate,
    /// A candle.
    Kline,
    /// Funding rate and mark price of a perpetual.
    Funding,
    /// What several providers sent of one kind within a window.
    Merged,
    /// What became of an order of ours. Critical.
    ExecReport,
    /// A balance of ours. Critical.
    Balance,
    /// A command was taken. Critical.
    ControlAck,
    /// A command's outcome. Critical.
    ControlResult,
    /// A stream's state changed. Critical.
    StreamStatus,
}

impl Kind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; 13] = [
        Self::Trade,
        Self::Quote,
        Self::Ticker,
        Self::BookSnapshot,
        Self::BookUpdate,
        Self::Kline,
        Self::Funding,
        Self::Merged,
        Self::ExecReport,
        Self::Balance,
        Self::ControlAck,
        Self::ControlResult,
        Self::StreamStatus,
    ];

    /// The name that configuration and output use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Trade => "trade",
            Self::Quote => "quote",
            Self::Ticker => "ticker",
            Self::BookSnapshot => "book_snapshot",
            Self::BookUpdate => "book_update",
            Self::Kline => "kline",
            Self::Funding => "funding",
            Self::Merged => "merged",
            Self::ExecReport => "exec_report",
            Self::Balance => "balance",
            Self::ControlAck => "control_ack",
            Self::ControlResult => "control_result",
            Self::StreamStatus => "stream_status",
        }
    }

    /// The kind of that [`name`](Self::name).
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Execution and control: never dropped and never coalesced.
    #[must_use]
    pub fn is_critical(self) -> bool {
        self as u8 >= Self::ExecReport as u8
    }

    /// The kind as an index into a table of [`Kind::ALL`]'s length.
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }
}

/// First in every event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// What it belongs to.
    pub stream: Stream,
    /// The venue's own position in the stream, where it has one.
    pub seq_provider: Option<u64>,
    /// When it happened, by the venue's clock, where it says so.
    pub ts_event: Option<Nanos>,
    /// When the read that completed its frame returned, by ours.
    pub ts_recv: Nanos,
    /// When it was handed to the fan-out.
    pub ts_emit: Nanos,
    /// The routing table by which it was fanned out.
    pub routing_version: u32,
    /// How many events of its stream this consumer lacks right before this one, because more waited
    /// for it than may: trades, the oldest of which go first.
    pub dropped: u32,
    /// Follows one occurrence through logs and traces.
    pub trace_id: u64,
}

/// A side of a book or of a trade.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Bids; the buyer.
    #[default]
    Buy,
    /// Asks; the seller.
    Sell,
}

impl Side {
    /// `buy` or `sell`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Buy => "buy",
            Self::Sell => "sell",
        }
    }
}

/// A price and what stands there; quantity zero removes the level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// In quote currency.
    pub price: Decimal,
    /// In base currency or contracts.
    pub quantity: Decimal,
}

/// A trade between others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trade {
    /// In quote currency.
    pub price: Decimal,
    /// In base currency or contracts.
    pub quantity: Decimal,
    /// Who took: the side that crossed the spread.
    pub aggressor: Side,
    /// The venue's number for it, per instrument.
    pub trade_id: u64,
}

/// Best bid and offer. A side that is empty has price and quantity zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quote {
    /// Best bid.
    pub bid: Level,
    /// Best offer.
    pub ask: Level,
}

/// Statistics of the last 24 hours; what a venue does not send is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticker {
    /// Price of the last trade.
    pub last: Decimal,
    /// Quantity of the last trade.
    pub last_quantity: Option<Decimal>,
    /// Price 24 hours ago.
    pub open: Option<Decimal>,
    /// Highest price.
    pub high: Option<Decimal>,
    /// Lowest price.
    pub low: Option<Decimal>,
    /// Traded quantity, in base currency or contracts.
    pub volume: Option<Decimal>,
    /// Traded value, in quote currency.
    pub quote_volume: Option<Decimal>,
    /// Best bid price.
    pub bid: Option<Decimal>,
    /// Best offer price.
    pub ask: Option<Decimal>,
}

/// A candle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kline {
    /// Length of the candle.
    pub interval: Duration,
    /// First instant.
    pub ts_open: Nanos,
    /// Last instant, as the venue gives it.
    pub ts_close: Nanos,
    /// First price.
    pub open: Decimal,
    /// Highest price.
    pub high: Decimal,
    /// Lowest price.
    pub low: Decimal,
    /// Last price.
    pub close: Decimal,
    /// Traded quantity.
    pub volume: Decimal,
    /// Traded value, in quote currency.
    pub quote_volume: Option<Decimal>,
    /// Number of trades.
    pub trades: Option<u64>,
    /// Whether it will not change any more.
    pub closed: bool,
}

/// Funding of a perpetual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Funding {
    /// Rate of the running interval, as a fraction; `None` for contracts without funding.
    pub rate: Option<Decimal>,
    /// When it is paid next.
    pub ts_next: Option<Nanos>,
    /// Mark price.
    pub mark: Option<Decimal>,
    /// Index price.
    pub index: Option<Decimal>,
}

/// What goes with the levels of a book snapshot or update.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BookMeta {
    /// First update id that it covers.
    pub seq_first: Option<u64>,
    /// Last update id that it covers; the same as the header's `seq_provider`.
    pub seq_last: Option<u64>,
    /// The last update id before it, where the venue says so.
    pub seq_prev: Option<u64>,
    /// The venue's checksum of the book after it.
    pub checksum: Option<u32>,
    /// Counts the snapshots of a book: an update belongs to the snapshot of its generation.
    pub generation: u32,
    /// How many of the shared levels are bids; set when the copy is made.
    pub bids: u32,
}

/// Whether a stream can be relied on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamState {
    /// Not there yet.
    #[default]
    Syncing,
    /// Proven as far as the venue's proof reaches.
    Live,
    /// Something is missing; being repaired.
    Gapped,
    /// Shown to be behind the venue; being repaired.
    Stale,
}

impl StreamState {
    /// `Syncing`, `Live`, `Gapped` or `Stale`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Syncing => "Syncing",
            Self::Live => "Live",
            Self::Gapped => "Gapped",
            Self::Stale => "Stale",
        }
    }
}

/// Why a stream's state changed or did not change yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Subscribed, nothing received yet.
    #[default]
    Subscribed,
    /// A snapshot, with what came after it, is proven.
    Synced,
    /// The first message after the connection came (kinds without a snapshot).
    Flowing,
    /// The venue's sequence skipped.
    SequenceGap,
    /// The venue's checksum differs from the book's.
    ChecksumMismatch,
    /// The best bid is not below the best offer.
    CrossedBook,
    /// A probe showed progress that the stream did not bring, or failed.
    ProbeMissedProgress,
    /// The connection is gone.
    Disconnected,
    /// More waited for a snapshot than there is room for.
    BufferFull,
    /// The repair waits for the venue's rate budget.
    RateLimited,
    /// The repair waits for a venue that answers with errors or not at all.
    VenueUnavailable,
    /// A message of the stream could not be read.
    Malformed,
    /// The venue says that it starts over (maintenance).
    VenueReset,
    /// The venue has taken the subscription, and nothing came yet.
    Confirmed,
}

impl Reason {
    /// The name that logs and output use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Subscribed => "subscribed",
            Self::Synced => "synced",
            Self::Flowing => "flowing",
            Self::SequenceGap => "sequence_gap",
            Self::ChecksumMismatch => "checksum_mismatch",
            Self::CrossedBook => "crossed_book",
            Self::ProbeMissedProgress => "probe_missed_progress",
            Self::Disconnected => "disconnected",
            Self::BufferFull => "buffer_full",
            Self::RateLimited => "rate_limited",
            Self::VenueUnavailable => "venue_unavailable",
            Self::Malformed => "malformed",
            Self::VenueReset => "venue_reset",
            Self::Confirmed => "confirmed",
        }
    }
}

/// A change in whether a stream can be relied on; goes out in the stream itself, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamStatus {
    /// Which kind of the header's instrument it is about; book kinds share [`Kind::BookUpdate`].
    pub of: Kind,
    /// The state from here on.
    pub state: StreamState,
    /// Why.
    pub reason: Reason,
    /// Since when.
    pub since: Nanos,
    /// How many changes this one stands for: more than 1 where a full queue kept the latest only.
    pub transitions: u32,
}

/// What several providers sent of one kind within a window. The header's provider is the merge
/// itself, which has a name like one; its position is the merge's own counter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Merged {
    /// The kind that was merged.
    pub of: Kind,
    /// Which window of its merge it is: never the same again, also after a restart, and growing.
    pub merge_id: u64,
    /// When the window opened.
    pub ts_open: Nanos,
    /// When it closed.
    pub ts_close: Nanos,
    /// One per provider, in the order in which the merge names them; shared by all copies.
    pub fragments: Arc<[Fragment]>,
}

/// What an event says, by kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Body {
    /// Nothing yet: what a pooled event holds before it is filled.
    #[default]
    Empty,
    /// See [`Trade`].
    Trade(Trade),
    /// See [`Quote`].
    Quote(Quote),
    /// See [`Ticker`].
    Ticker(Ticker),
    /// A snapshot or an update, by the header's kind; the levels stand beside the body.
    Book(BookMeta),
    /// See [`Kline`].
    Kline(Kline),
    /// See [`Funding`].
    Funding(Funding),
    /// See [`Merged`].
    Merged(Merged),
    /// See [`StreamStatus`].
    Status(StreamStatus),
    /// See [`ControlAck`].
    Ack(ControlAck),
    /// See [`ControlResult`].
    Result(ControlResult),
    /// See [`Report`]: what became of an order of the consumer's, shared by all copies. Its position
    /// in the ledger is the header's `seq_provider`.
    Exec(Arc<Report>),
    /// See [`OrderReply`]: an answer to a request about an order that is no report.
    Reply(Arc<OrderReply>),
    /// See [`Balance`].
    Balance(Arc<Balance>),
    /// See [`Position`].
    Position(Arc<Position>),
}

/// An event that a consumer owns: plain memory that no pool waits for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    /// First in every event.
    pub header: Header,
    /// What it says.
    pub body: Body,
    /// A book's changed or whole levels, bids first; shared by all copies of the event.
    pub levels: Option<Arc<[Level]>>,
}

// A copy for each subscriber is what fan-out costs: with 8 bytes more it costs 40 % more.
const _: () = assert!(size_of::<Event>() <= 264);

impl Event {
    /// What the event says.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.header.stream.kind
    }

    /// The bids of a book event, best first in a snapshot, in the venue's order in an update.
    #[must_use]
    pub fn bids(&self) -> &[Level] {
        self.split().0
    }

    /// The offers of a book event, best first in a snapshot, in the venue's order in an update.
    #[must_use]
    pub fn asks(&self) -> &[Level] {
        self.split().1
    }

    fn split(&self) -> (&[Level], &[Level]) {
        match (&self.levels, &self.body) {
            (Some(levels), Body::Book(meta)) => {
                levels.split_at_checked(meta.bids as usize).unwrap_or((levels, &[]))
            }
            _ => (&[], &[]),
        }
    }
}

/// The pooled form of an event: a decoder fills it in place, the fan-out copies it, and it goes
/// back to its pool.
#[derive(Debug, Default, PartialEq)]
pub struct CanonicalEvent {
    /// First in every event.
    pub header: Header,
    /// What it says.
    pub body: Body,
    /// Changed or whole bids.
    pub bids: Vec<Level>,
    /// Changed or whole offers.
    pub asks: Vec<Level>,
}

/// A returned event keeps room for this many levels a side; a deeper snapshot's memory is given
/// back. 1,024 levels are 32 KiB.
pub const LEVELS_KEPT: usize = 1_024;

impl CanonicalEvent {
    /// Sets what the event is about; the provider is the pipeline's to set.
    pub fn set_kind(&mut self, instrument: crate::InstrumentId, kind: Kind) {
        self.header.stream.instrument = instrument;
        self.header.stream.kind = kind;
    }

    /// The copy that consumers get. Its levels are one allocation, however many consumers share
    /// it; an event without levels allocates nothing.
    #[must_use]
    pub fn to_event(&self) -> Event {
        let Body::Book(mut meta) = self.body else {
            return Event { header: self.header, body: self.body.clone(), levels: None };
        };
        meta.bids = u32::try_from(self.bids.len()).unwrap_or(u32::MAX);
        let levels = self.bids.iter().chain(&self.asks).copied().collect();
        Event { header: self.header, body: Body::Book(meta), levels: Some(levels) }
    }
}

impl Reset for CanonicalEvent {
    fn reset(&mut self) {
        let Self { header, body, bids, asks } = self;
        *header = Header::default();
        *body = Body::default();
        reset_vec(bids, LEVELS_KEPT);
        reset_vec(asks, LEVELS_KEPT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(price: i64) -> Level {
        Level { price: Decimal::from(price), quantity: Decimal::ONE }
    }

    #[test]
    fn kinds_have_names_that_lead_back() {
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind.index(), index);
            assert_eq!(Kind::parse(kind.name()), Some(kind));
        }
        assert!(Kind::StreamStatus.is_critical() && Kind::ExecReport.is_critical());
        assert!(!Kind::Funding.is_critical() && !Kind::BookUpdate.is_critical());
    }

    #[test]
    fn a_copy_shares_its_levels_and_splits_them_again() {
        let event = CanonicalEvent {
            body: Body::Book(BookMeta::default()),
            bids: vec![level(3), level(2)],
            asks: vec![level(4)],
            ..CanonicalEvent::default()
        };
        let copy = event.to_event();
        let other = copy.clone();
        assert_eq!(copy.bids(), &[level(3), level(2)]);
        assert_eq!(copy.asks(), &[level(4)]);
        assert_eq!(
            copy.levels.as_ref().map(|l| l.as_ptr()),
            other.levels.as_ref().map(|l| l.as_ptr())
        );
    }

    #[test]
    fn reset_gives_the_default_and_keeps_room_up_to_the_cap() {
        let mut event = CanonicalEvent {
            body: Body::Trade(Trade::default()),
            bids: vec![level(1); 10],
            asks: vec![level(1); LEVELS_KEPT * 4],
            ..CanonicalEvent::default()
        };
        event.reset();
        assert_eq!(event, CanonicalEvent::default());
        assert!(event.bids.capacity() >= 10);
        assert!(event.asks.capacity() <= LEVELS_KEPT * 2);
    }
}
