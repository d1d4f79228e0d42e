//! The nouns of Meltica: what every other room talks about.
//!
//! Nothing here does I/O, reads a clock, names a venue or holds a float. Time arrives as an
//! argument ([`Nanos`]), money is exact ([`Decimal`], read by one parser in [`decimal`]), and a
//! venue is whatever implements [`venue::Venue`].

pub mod book;
pub mod capture;
pub mod control;
pub mod decimal;
pub mod error;
pub mod event;
pub mod frame;
pub mod ids;
pub mod instrument;
pub mod ledger;
pub mod merged;
pub mod order;
pub mod reply;
pub mod time;
pub mod trading;
pub mod venue;

pub use book::Book;
pub use control::{ControlAck, ControlResult, Refusal, Verdict};
pub use error::{Error, Remedy};
pub use event::{Body, CanonicalEvent, Event, Header, Kind, Level, Side, StreamState};
pub use frame::{ProviderRaw, WsFrame};
pub use ids::{CommandId, ConnId, ConsumerId, InstrumentId, LinkId, ProviderId, RequestId, Stream};
pub use instrument::Instrument;
pub use merged::MergedEvent;
pub use order::{ExecReport, OrderRequest};
pub use reply::{Denial, OrderReply};
pub use rust_decimal::Decimal;
pub use time::Nanos;
