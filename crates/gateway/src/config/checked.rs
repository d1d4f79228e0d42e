//! From the first life to the second: what is written becomes the types of [`super`], or faults.
//! Nothing stops at the first of them.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use engine::ControlSettings;
use engine::dead_letters::LETTER_BYTES_MAX;
use model::Kind;
use model::venue::Limits;

use super::file::Fault;
use super::merges;
use super::schema::{
    CONTROL, DEAD_LETTERS, DISPATCH, LOG, MERGE, NETWORK, PROVIDER, RESEQUENCING, SECTIONS,
    Section, TABLE,
};
use super::suggest::one_of;
use super::values;
use super::written::{Data, Node};
use super::{Config, DeadLetters, Dispatch, Log, Network, Provider, Table};
use super::{account, consumers, orders};

/// Levels a side; the most that any venue offers.
const BOOK_DEPTH: RangeInclusive<u32> = 1..=5_000;
/// One connection for each stream, or two.
const REDUNDANCY: RangeInclusive<u32> = 1..=2;
/// Below a second every instrument is quiet; above an hour nobody would notice.
const SILENCE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3_600);
/// Above it no machine's fan-out is the limit.
const EVENTS_PER_S: RangeInclusive<u32> = 1..=1_000_000_000;
/// Less than a millisecond heals nothing; after seconds a stream is better told to have a gap.
const LATENESS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(10);
/// The same, and no longer than anything may wait.
const LOOK_EVERY: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(10);
/// Events, or diffs of a book, which keep 1,024 at most.
const WAITING: RangeInclusive<u32> = 1..=1_000;
/// Below it nothing far away answers; above it nothing is alive.
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(300);
/// Faster than the eye, and slower than patience.
const EVERY: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3_600);

/// Not at all, or for most of a day.
const LINGER: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(43_200);
/// Less than a round trip says nothing; after minutes nobody waits any more.
const CONFIRM: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(300);

/// Dead letters in memory.
const LETTERS: RangeInclusive<u32> = 1..=1_000_000;
/// The largest letter fits in any case; more than that nobody reads.
const SIZE: RangeInclusive<usize> = 1 << 20..=4 << 30;
/// As much of a payload as the engine hands over, and enough to say what it was.
const PAYLOAD: RangeInclusive<usize> = 256..=LETTER_BYTES_MAX;
/// Files of them.
const FILES: RangeInclusive<u32> = 1..=1_000;

/// The whole configuration; what it holds counts only where no fault was added.
pub(super) fn config(root: &Node, faults: &mut Vec<Fault>) -> Config {
    sections_known(root, faults);
    let mut providers = providers(root, faults);
    let limits = limits(root, faults);
    providers.iter_mut().for_each(|provider| provider.settings.limits = limits);
    let merges = merges::merges(root, &providers, faults);
    let mut network = Reader::new(root, &NETWORK, faults);
    let standard = Network::default();
    let network = Network {
        tls_ca_file: network.read("tls_ca_file", values::certificates),
        connect_timeout: network
            .read("connect_timeout", values::duration(TIMEOUT))
            .unwrap_or(standard.connect_timeout),
        request_timeout: network
            .read("request_timeout", values::duration(TIMEOUT))
            .unwrap_or(standard.request_timeout),
    };
    let mut dispatch = Reader::new(root, &DISPATCH, faults);
    let events_per_s = dispatch.read("events_per_s", values::number(EVENTS_PER_S));
    let dispatch = Dispatch { events_per_s: events_per_s.and_then(NonZeroU32::new) };
    let mut log = Reader::new(root, &LOG, faults);
    let standard = Log::default();
    let log = Log {
        filter: log.read("filter", values::filter).unwrap_or(standard.filter),
        format: log.read("format", values::log_format).unwrap_or(standard.format),
    };
    let mut table = Reader::new(root, &TABLE, faults);
    let standard = Table::default();
    let table = Table {
        enabled: table.read("enabled", values::truth).unwrap_or(standard.enabled),
        every: table.read("every", values::duration(EVERY)).unwrap_or(standard.every),
    };
    let mut control = Reader::new(root, &CONTROL, faults);
    let standard = ControlSettings::default();
    let control = ControlSettings {
        linger: control.read("linger", values::duration(LINGER)).unwrap_or(standard.linger),
        confirm_within: control
            .read("confirm_within", values::duration(CONFIRM))
            .unwrap_or(standard.confirm_within),
    };
    let dead_letters = dead_letters(root, faults);
    let consumers = consumers::read(root, faults);
    let orders = orders::read(root, &providers, faults);
    Config {
        providers,
        merges,
        network,
        dispatch,
        log,
        table,
        control,
        dead_letters,
        consumers,
        orders,
    }
}

/// How long what is early waits, whatever it is.
fn limits(root: &Node, faults: &mut Vec<Fault>) -> Limits {
    let mut reader = Reader::new(root, &RESEQUENCING, faults);
    let standard = Limits::default();
    let most = reader.read("max_waiting", values::number(WAITING));
    Limits {
        lateness: reader.read("lateness", values::duration(LATENESS)).unwrap_or(standard.lateness),
        look_every: reader
            .read("look_every", values::duration(LOOK_EVERY))
            .unwrap_or(standard.look_every),
        events_max: most.and_then(|most| usize::try_from(most).ok()).unwrap_or(standard.events_max),
    }
}

fn dead_letters(root: &Node, faults: &mut Vec<Fault>) -> DeadLetters {
    let mut reader = Reader::new(root, &DEAD_LETTERS, faults);
    let standard = DeadLetters::default();
    let number = |number: Option<u32>| number.and_then(|number| usize::try_from(number).ok());
    DeadLetters {
        folder: reader.read("folder", values::folder),
        entries_max: number(reader.read("max_entries", values::number(LETTERS)))
            .unwrap_or(standard.entries_max),
        bytes_max: reader.read("max_bytes", values::size(SIZE)).unwrap_or(standard.bytes_max),
        payload_max: reader
            .read("max_payload", values::size(PAYLOAD))
            .unwrap_or(standard.payload_max),
        file_bytes_max: reader
            .read("file_size", values::size(SIZE))
            .unwrap_or(standard.file_bytes_max),
        files_max: number(reader.read("max_files", values::number(FILES)))
            .unwrap_or(standard.files_max),
    }
}

fn sections_known(root: &Node, faults: &mut Vec<Fault>) {
    let Data::Table(entries) = &root.data else { return };
    let names: Vec<&str> = SECTIONS.iter().map(|section| section.name).collect();
    for (name, node) in entries {
        if names.contains(&name.as_str()) {
            continue;
        }
        let home = SECTIONS.iter().find(|section| section.keys.contains(&name.as_str()));
        let expected = match home {
            Some(section) => format!("it below {}: there it is a key", header(section)),
            None => one_of(name, &names),
        };
        add(faults, node, expected);
    }
}

fn header(section: &Section) -> String {
    if section.repeated { format!("[[{}]]", section.name) } else { format!("[{}]", section.name) }
}

pub(super) fn add(faults: &mut Vec<Fault>, node: &Node, expected: String) {
    faults.push(Fault { key: node.key.clone(), value: node.shown.clone(), expected });
}

fn providers(root: &Node, faults: &mut Vec<Fault>) -> Vec<Provider> {
    let missing = Node { shown: String::new(), ..Node::table(PROVIDER.name) };
    let node = root.get(PROVIDER.name).unwrap_or(&missing);
    let right = "at least one [[provider]] with name, venue and instruments";
    let nodes = match &node.data {
        Data::List(nodes) if !nodes.is_empty() => nodes,
        Data::Table(table) if !table.is_empty() => {
            add(faults, node, "double brackets: [[provider]], once for each".to_owned());
            return Vec::new();
        }
        _ => {
            add(faults, node, right.to_owned());
            return Vec::new();
        }
    };
    let providers = nodes.iter().map(|node| provider(node, faults)).collect();
    // A merge has a name like a provider.
    let merges = root.get(MERGE.name).and_then(Node::list).unwrap_or_default();
    names_unique(nodes.iter().chain(&merges), faults);
    providers
}

pub(super) fn names_unique<'a>(nodes: impl Iterator<Item = &'a Node>, faults: &mut Vec<Fault>) {
    let mut first: HashMap<&str, &Node> = HashMap::new();
    for name in nodes.filter_map(|node| node.get("name")) {
        let Some(text) = name.text() else { continue };
        if let Some(other) = first.get(text) {
            add(faults, name, format!("a name of its own: {} has this one", other.key));
        } else {
            first.insert(text, name);
        }
    }
}

fn provider(node: &Node, faults: &mut Vec<Fault>) -> Provider {
    let mut reader = Reader::of(node, &PROVIDER, faults);
    let standard = venues::Settings::default();
    let name = reader.required("name", values::name);
    let venue = reader.required("venue", values::venue);
    let instruments = reader.list("instruments", "[\"BTC-USDT\"]", values::instrument);
    if instruments.is_none() {
        reader.missing("instruments", "at least one instrument, such as [\"BTC-USDT\"]");
    }
    let kind = |node: &Node| values::kind(node, venue.as_deref());
    let kinds = reader.list("kinds", "[\"book\", \"trade\"]", kind);
    if kinds.as_ref().is_some_and(|kinds| kinds.contains(&Kind::Funding)) {
        reader.no_spot(instruments.as_deref().unwrap_or_default());
    }
    let redundancy = reader.read("redundancy", values::number(REDUNDANCY));
    let settings = venues::Settings {
        ws_url: reader.read("ws_url", values::ws_url),
        rest_url: reader.read("rest_url", values::rest_url),
        book_depth: reader
            .read("book_depth", values::number(BOOK_DEPTH))
            .unwrap_or(standard.book_depth),
        silence: reader.read("silence", values::duration(SILENCE)).unwrap_or(standard.silence),
        account_url: reader.read("account_url", values::account_url),
        orders: reader.read("orders_over", values::order_way).unwrap_or(standard.orders),
        ..standard
    };
    let account = account::read(&mut reader, venue.as_deref());
    Provider {
        name: name.unwrap_or_default(),
        venue: venue.unwrap_or_default(),
        instruments: instruments.unwrap_or_default(),
        kinds: kinds.unwrap_or_else(|| vec![Kind::BookUpdate, Kind::Trade, Kind::Quote]),
        redundancy: redundancy.and_then(|number| u8::try_from(number).ok()).unwrap_or(1),
        settings,
        account,
    }
}

/// Reads the keys of one table.
pub(super) struct Reader<'a> {
    /// `None` where it isn't there or is no table.
    node: Option<&'a Node>,
    faults: &'a mut Vec<Fault>,
}

impl<'a> Reader<'a> {
    /// The table of a section that stands once.
    pub(super) fn new(root: &'a Node, section: &Section, faults: &'a mut Vec<Fault>) -> Self {
        match root.get(section.name) {
            Some(node) => Self::of(node, section, faults),
            None => Self { node: None, faults },
        }
    }

    /// This table; keys that the section has not are faults.
    pub(super) fn of(node: &'a Node, section: &Section, faults: &'a mut Vec<Fault>) -> Self {
        let Data::Table(entries) = &node.data else {
            add(faults, node, format!("a table: {} and its keys below it", header(section)));
            return Self { node: None, faults };
        };
        for (key, node) in entries {
            if !section.keys.contains(&key.as_str()) {
                add(faults, node, one_of(key, section.keys));
            }
        }
        Self { node: Some(node), faults }
    }

    /// The value of a key; `None` where it is not there or is wrong.
    pub(super) fn read<T>(
        &mut self,
        key: &str,
        value: impl Fn(&Node) -> Result<T, String>,
    ) -> Option<T> {
        let node = self.node?.get(key)?;
        value(node).map_err(|expected| add(self.faults, node, expected)).ok()
    }

    /// The same for a key that must be there.
    pub(super) fn required<T>(
        &mut self,
        key: &str,
        value: impl Fn(&Node) -> Result<T, String>,
    ) -> Option<T> {
        if let Some(node) = self.node.filter(|node| node.get(key).is_none()) {
            // What would be right, from the reader itself: nothing is never right.
            if let Err(expected) = value(&Node::table(&node.key)) {
                self.missing(key, &expected);
            }
        }
        self.read(key, value)
    }

    /// Whether a key is there, right or wrong.
    pub(super) fn has(&self, key: &str) -> bool {
        self.node.is_some_and(|node| node.get(key).is_some())
    }

    /// A fault of a key that is there.
    pub(super) fn fault(&mut self, key: &str, expected: &str) {
        if let Some(node) = self.node.and_then(|node| node.get(key)) {
            add(self.faults, node, expected.to_owned());
        }
    }

    /// A fault, where there is a table and the key is not in it.
    pub(super) fn missing(&mut self, key: &str, expected: &str) {
        let Some(node) = self.node.filter(|node| node.get(key).is_none()) else { return };
        let key = format!("{}.{key}", node.key);
        self.faults.push(Fault { key, value: String::new(), expected: expected.to_owned() });
    }

    /// Spot has no funding, whatever the venue: which of `names` are spot is a fault of the kind.
    fn no_spot(&mut self, names: &[String]) {
        let spot: Vec<_> = names.iter().filter(|name| values::is_spot(name)).cloned().collect();
        let kinds = self.node.and_then(|node| node.get("kinds")?.list());
        let mut kinds = kinds.into_iter().flatten();
        let funding = kinds.find(|kind| kind.text() == Some("funding"));
        if let Some(node) = funding.filter(|_| !spot.is_empty()) {
            let names = spot.join(", ");
            let right = format!(
                "a provider of perpetuals: {names} is spot and has no funding; \
                give spot a [[provider]] of its own, without this kind"
            );
            add(self.faults, &node, right);
        }
    }

    /// The values of a list without doubles; `None` where it is not there or is wrong.
    pub(super) fn list<T: PartialEq>(
        &mut self,
        key: &str,
        example: &str,
        value: impl Fn(&Node) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let node = self.node?.get(key)?;
        let Some(nodes) = node.list().filter(|nodes| !nodes.is_empty()) else {
            add(self.faults, node, format!("a list with at least one entry, such as {example}"));
            return None;
        };
        let mut values = Vec::new();
        for node in &nodes {
            match value(node) {
                Ok(value) if values.contains(&value) => {
                    add(self.faults, node, "each entry once: this one stands before".to_owned());
                }
                Ok(value) => values.push(value),
                Err(expected) => add(self.faults, node, expected),
            }
        }
        Some(values)
    }
}
