//! Meltica as a library: a gateway between crypto exchanges and the programs that trade on them.
//!
//! ```no_run
//! use meltica::{Consumer, Context, Event, Gateway, config};
//!
//! struct Printer;
//!
//! impl Consumer for Printer {
//!     fn on_event(&mut self, event: Event, ctx: &mut Context<'_>) {
//!         let name = ctx.catalog.instrument_name(event.header.stream.instrument);
//!         println!("{} {}", name.as_deref().unwrap_or("?"), event.kind().name());
//!     }
//! }
//!
//! let config = config::load("config/meltica.toml".as_ref()).expect("a configuration");
//! Gateway::builder(config).consumer("printer", Printer).run().expect("a run");
//! ```
//!
//! | file | what it is |
//! | --- | --- |
//! | [`config`] | as written → checked |
//! | [`gateway`] | the builder, and the one place that knows how the rooms are joined |
//! | [`consumers`] | how consumers are seated: threads, rights, restarts |
//! | [`control`] | commanding it while it runs, from any thread |
//! | [`live`] | the shard's thread over real sockets; consumers have threads of their own |
//! | [`crash_points`] | where a build for the crash harness can be told to die |
//! | [`dead_letters`] | what could not be used or delivered, kept, written and shown |
//! | [`orders`] | the words of orders, for strategies |
//! | [`metrics`] | what is counted, asked for while it runs |
//! | [`outcome`] | how a run is ended, and what it came to |
//! | [`virtual_time`] | the same rooms joined by plain calls, in a time of their own |
//! | [`replay`] | a capture through the same machines |
//! | [`report`], [`event_json`], [`table`] | what people and programs are shown |
//! | [`cli`] | the commands; [`bench`](mod@bench) measures |

pub mod bench;
pub mod cli;
pub mod clock;
pub mod config;
pub mod consumers;
pub mod control;
pub mod crash_points;
pub mod dead_letters;
pub mod demo;
pub mod event_json;
pub mod gateway;
#[cfg(feature = "leak")]
mod leak;
pub mod live;
pub mod logging;
pub mod metrics;
pub mod orders;
pub mod outcome;
pub mod replay;
pub mod report;
pub mod soak;
pub mod sweep;
pub mod table;
mod trading;
pub mod virtual_time;

pub use consumers::ConsumerOptions;
pub use control::{Control, Ticket};
pub use engine::{
    Catalog, Command, Consumer, Context, ControlSettings, Placement, Restart, Rights, Subscription,
    VersionGate,
};
pub use gateway::{Builder, Gateway};
pub use model::event::Side;
pub use model::{Body, Decimal, Event, InstrumentId, Kind, Nanos, ProviderId};
pub use outcome::{RunError, Stop, Summary};
pub use trading::OrderCounts;
