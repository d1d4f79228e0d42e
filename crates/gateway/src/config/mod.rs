//! Configuration in two lives: as written ([`mod@file`]), then checked (the types here).
//!
//! Everything that is wrong is found before anything starts, each fault with its key, the value
//! that stands there and what would be right.
//!
//! - [`mod@file`]: a text or a file, with the environment over it, in; [`Config`] or [`Fault`]s out
//! - [`schema`]: which keys there are; [`values`]: what each of them may be
//! - `written`: the first life, a tree of values; `environment`: what lies over it
//! - `checked`: from the first life to the second, `merges`, `consumers`, `orders` and [`account`] parts of
//!   it; `suggest`: what was probably meant
//! - [`duration`]: `10s`, `5m`, `24h`; [`size`]: `64KiB`, `16MiB`

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use engine::{MergeSpec, Placement, Restart};
use model::Kind;
use model::venue::{Rate, Subscription};

pub mod account;
mod checked;
mod consumers;
pub mod duration;
mod environment;
pub mod file;
mod merges;
mod orders;
pub mod schema;
pub mod size;
mod suggest;
pub mod values;
mod written;

pub use account::{Account, SecretSource};
pub use file::{Fault, load, load_str};
pub use orders::{LedgerConfig, LedgerPlace, OrdersConfig};

/// A configuration that holds together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Connections to venues; at least one, names unique.
    pub providers: Vec<Provider>,
    /// What is merged of them; names unique, among the providers' too.
    pub merges: Vec<Merge>,
    /// Connections in general.
    pub network: Network,
    /// What all consumers together may get.
    pub dispatch: Dispatch,
    /// Logs.
    pub log: Log,
    /// The built-in table of the terminal.
    pub table: Table,
    /// How long lingers and confirmations take.
    pub control: engine::ControlSettings,
    /// What is kept of what could not be used or delivered.
    pub dead_letters: DeadLetters,
    /// What is said about consumers, by name.
    pub consumers: Vec<ConsumerConfig>,
    /// Orders: where they are written down, and within which limits they go.
    pub orders: OrdersConfig,
}

impl Config {
    /// How many streams it asks for: each kind of each instrument of each provider.
    #[must_use]
    pub fn streams(&self) -> usize {
        let of = |provider: &Provider| provider.instruments.len() * provider.kinds.len();
        self.providers.iter().map(of).sum()
    }
}

/// A connection to a venue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Its own name: two accounts on one venue are two providers.
    pub name: String,
    /// Which venue: one of [`venues::registry::names`].
    pub venue: String,
    /// Canonical instrument names.
    pub instruments: Vec<String>,
    /// What is subscribed for each of them; [`Kind::BookUpdate`] stands for the whole book. Of spot
    /// there is no funding: it is of the others.
    pub kinds: Vec<Kind>,
    /// Connections that bring each stream at the same time: 1 or 2.
    pub redundancy: u8,
    /// Addresses and habits of the venue machine.
    pub settings: venues::Settings,
    /// Who trades there; nobody where `None`.
    pub account: Option<Account>,
}

/// What there is to subscribe: each of these kinds of each instrument, but for the funding of spot.
pub(crate) fn subscriptions(instruments: &[String], kinds: &[Kind]) -> Vec<Subscription> {
    let all = instruments.iter().flat_map(|name| kinds.iter().map(move |kind| (name, *kind)));
    let there = all.filter(|(name, kind)| *kind != Kind::Funding || !values::is_spot(name));
    there.map(|(name, kind)| Subscription { instrument: name.as_str().into(), kind }).collect()
}

/// What a configuration says about a consumer; what is `None` is the program's to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerConfig {
    /// The name under which the program registers it.
    pub name: String,
    /// Which thread it runs on.
    pub placement: Option<Placement>,
    /// Whether it is made anew when it has panicked.
    pub restart: Option<Restart>,
    /// Whether it may change its subscriptions.
    pub may_subscribe: Option<bool>,
    /// Whether it may switch its own trading on.
    pub may_trade: Option<bool>,
    /// Whether its trading is on from the start.
    pub trading: Option<bool>,
    /// So many rejected orders in so long throw its trading off.
    pub breaker: Option<Rate>,
}

/// Streams of several providers that are joined into one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merge {
    /// What is merged, and when its windows close. Every provider is one of the configuration's and
    /// has the instrument and the kind.
    pub spec: MergeSpec,
    /// Consumers that get it whatever else they want.
    pub consumers: Vec<String>,
}

/// Connections in general.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Certificates to trust beside the bundled ones, PEM.
    pub tls_ca_file: Option<PathBuf>,
    /// Resolving, connecting, TLS and upgrade together may take so long.
    pub connect_timeout: Duration,
    /// A REST answer may take so long.
    pub request_timeout: Duration,
}

/// What all consumers together may get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dispatch {
    /// Events of market data a second, by fair [`share`](engine::share); `None` sets no limit.
    pub events_per_s: Option<NonZeroU32>,
}

/// Logs go to standard error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// A filter as `tracing` reads it: `info`, `warn,net=debug`.
    pub filter: String,
    /// Text for people, or JSON for programs.
    pub format: LogFormat,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The built-in table of the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// Whether it is shown where standard output is a terminal.
    pub enabled: bool,
    /// How often it is drawn.
    pub every: Duration,
}

/// What is kept of what could not be used or delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetters {
    /// Where files of them go; in memory alone where `None`.
    pub folder: Option<PathBuf>,
    /// So many in memory.
    pub entries_max: usize,
    /// So many bytes of them in memory.
    pub bytes_max: usize,
    /// So many bytes of the payload of each.
    pub payload_max: usize,
    /// A file that would grow beyond this is followed by another.
    pub file_bytes_max: usize,
    /// With one more than this, the oldest file is removed.
    pub files_max: usize,
}

impl Default for DeadLetters {
    fn default() -> Self {
        Self {
            folder: None,
            entries_max: 10_000,
            bytes_max: 16 << 20,
            payload_max: 8 << 10,
            file_bytes_max: 16 << 20,
            files_max: 8,
        }
    }
}

impl Default for Network {
    fn default() -> Self {
        Self {
            tls_ca_file: None,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(10),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Text }
    }
}

impl Default for Table {
    fn default() -> Self {
        Self { enabled: true, every: Duration::from_secs(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_asks_for_the_funding_of_spot() {
        let names = ["BTC-USDT", "BTC-USDT-PERP", "BTC-USDT-261225"].map(str::to_owned);
        let all = subscriptions(&names, &[Kind::Quote, Kind::Funding]);
        let of = |kind| all.iter().filter(move |of| of.kind == kind).map(|of| &*of.instrument);
        assert!(of(Kind::Quote).eq(["BTC-USDT", "BTC-USDT-PERP", "BTC-USDT-261225"]));
        assert!(of(Kind::Funding).eq(["BTC-USDT-PERP", "BTC-USDT-261225"]));
    }
}
