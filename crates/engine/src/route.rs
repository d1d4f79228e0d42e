//! Who gets what: one immutable, versioned table, swapped whole.
//!
//! Filters are matched when a stream is first seen and when the table changes, and then only those
//! that changed; what an event finds is a ready list by its lane. A change is staged ([`Edit`]) and
//! flipped at the end of a turn, as one with all others of that turn. The version of the table that
//! routed it stands on every event: see [`Consumer`](crate::Consumer) for what may be relied on.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{ConsumerId, Error, Event, InstrumentId, Kind, ProviderId, Stream};

use crate::books::lane_kind;
use crate::catalog::Catalog;

/// What a consumer wants, by names. An empty list means all; a stream is wanted when one of the
/// consumer's subscriptions fits it.
///
/// [`Kind::BookSnapshot`] and [`Kind::BookUpdate`] both mean the book: updates are worth nothing
/// without their snapshot. The status of a stream comes with the stream; [`Kind::StreamStatus`]
/// alone asks for statuses without data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    /// Whose it is.
    pub consumer: ConsumerId,
    /// Names of providers.
    pub providers: Vec<Box<str>>,
    /// Canonical names of instruments.
    pub instruments: Vec<Box<str>>,
    /// Kinds of events.
    pub kinds: Vec<Kind>,
}

impl Subscription {
    /// One stream. The consumer is filled in where the subscription is handed in.
    #[must_use]
    pub fn of(provider: &str, instrument: &str, kind: Kind) -> Self {
        Self {
            providers: vec![provider.into()],
            instruments: vec![instrument.into()],
            kinds: vec![kind],
            ..Self::default()
        }
    }
}

/// The subscriptions in force, by numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoutingTable {
    version: u32,
    /// By consumer.
    consumers: Vec<Filters>,
}

/// What one consumer wants, in order and each once. Tables share it until it changes.
type Filters = Arc<[Arc<Filter>]>;

/// A subscription by numbers, its lists in order and without doubles: two that mean the same are
/// equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Filter {
    providers: Box<[ProviderId]>,
    instruments: Box<[InstrumentId]>,
    kinds: Box<[Kind]>,
}

impl RoutingTable {
    /// The table that follows this one, with these subscriptions alone: its version is one higher.
    ///
    /// # Errors
    /// [`Remedy::Reject`](model::Remedy::Reject) for a provider or a consumer that the catalog
    /// does not know, or when it has no room for another instrument's name.
    pub fn next(&self, wanted: &[Subscription], catalog: &Catalog) -> Result<Self, Error> {
        let mut edit = Self { version: self.version, consumers: Vec::new() }.edit();
        for subscription in wanted {
            if catalog.consumer_name(subscription.consumer).is_none() {
                let consumer = subscription.consumer;
                return Err(Error::reject(format!("no consumer has the number {consumer}")));
            }
            edit.add(subscription.consumer, Arc::new(Filter::new(subscription, catalog)?));
        }
        Ok(edit.finish())
    }

    /// Begins the table that follows this one.
    #[must_use]
    pub fn edit(&self) -> Edit {
        Edit { table: self.clone(), working: BTreeMap::new() }
    }

    /// Stands on every event that was routed by this table; 0 is the empty table.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Whether a consumer gets the events of a stream.
    #[must_use]
    pub fn wants(&self, consumer: ConsumerId, stream: Stream) -> bool {
        self.filters(consumer).iter().any(|filter| filter.fits(stream))
    }

    /// Whether a consumer hears of the states of a stream.
    #[must_use]
    pub fn wants_status(&self, consumer: ConsumerId, stream: Stream) -> bool {
        let status = Stream { kind: Kind::StreamStatus, ..stream };
        self.wants(consumer, stream) || self.wants(consumer, status)
    }

    /// What a consumer wants.
    #[must_use]
    pub fn filters(&self, consumer: ConsumerId) -> &[Arc<Filter>] {
        self.consumers.get(consumer.index()).map_or(&[], |filters| filters)
    }

    /// Whether any subscription names that provider.
    pub(crate) fn names(&self, provider: ProviderId) -> bool {
        self.consumers.iter().flat_map(|filters| filters.iter()).any(|f| f.names(provider))
    }

    /// What is in one of two tables only, consumer by consumer: all that a flip from one to the
    /// other can change.
    pub(crate) fn differences(&self, other: &Self) -> Vec<(ConsumerId, Vec<Arc<Filter>>)> {
        let consumers = self.consumers.len().max(other.consumers.len());
        let consumers = (0..u16::try_from(consumers).unwrap_or(u16::MAX)).map(ConsumerId);
        let same = |consumer: &ConsumerId| {
            let of = |table: &Self| table.consumers.get(consumer.index()).map(Arc::as_ptr);
            of(self) == of(other)
        };
        let changed = consumers.filter(|consumer| !same(consumer));
        let differences = changed.map(|consumer| {
            let (these, those) = (self.filters(consumer), other.filters(consumer));
            let only = |these: &[Arc<Filter>], those: &[Arc<Filter>]| -> Vec<_> {
                let gone = these.iter().filter(|filter| those.binary_search(filter).is_err());
                gone.cloned().collect()
            };
            (consumer, [only(these, those), only(those, these)].concat())
        });
        differences.filter(|(_, filters)| !filters.is_empty()).collect()
    }
}

/// Changes that are gathered and then go into force together, as one table.
#[derive(Clone, Debug)]
pub struct Edit {
    table: RoutingTable,
    working: BTreeMap<ConsumerId, Vec<Arc<Filter>>>,
}

impl Edit {
    /// What the consumer will want.
    #[must_use]
    pub fn filters(&self, consumer: ConsumerId) -> &[Arc<Filter>] {
        let working = self.working.get(&consumer).map(Vec::as_slice);
        working.unwrap_or_else(|| self.table.filters(consumer))
    }

    /// Whether a subscription that is added names that provider.
    pub(crate) fn names(&self, provider: ProviderId) -> bool {
        self.working.values().flatten().any(|filter| filter.names(provider))
    }

    /// Adds a subscription; `false` where it is there already.
    pub fn add(&mut self, consumer: ConsumerId, filter: Arc<Filter>) -> bool {
        let Err(at) = self.filters(consumer).binary_search(&filter) else { return false };
        self.working(consumer).insert(at, filter);
        true
    }

    /// Takes a subscription away; `false` where it is not there.
    pub fn remove(&mut self, consumer: ConsumerId, filter: &Filter) -> bool {
        let found = self.filters(consumer).binary_search_by(|other| (**other).cmp(filter));
        let Ok(at) = found else { return false };
        self.working(consumer).remove(at);
        true
    }

    /// Whether the table that comes of it would differ.
    #[must_use]
    pub fn is_change(&self) -> bool {
        self.working.iter().any(|(consumer, filters)| self.table.filters(*consumer) != *filters)
    }

    /// The table with all changes.
    #[must_use]
    pub fn finish(self) -> RoutingTable {
        let Self { mut table, working } = self;
        table.version = table.version.wrapping_add(1);
        for (consumer, filters) in working {
            if table.consumers.len() <= consumer.index() {
                table.consumers.resize_with(consumer.index() + 1, || Arc::from([]));
            }
            table.consumers[consumer.index()] = filters.into();
        }
        table
    }

    fn working(&mut self, consumer: ConsumerId) -> &mut Vec<Arc<Filter>> {
        let table = &self.table;
        self.working.entry(consumer).or_insert_with(|| table.filters(consumer).to_vec())
    }
}

impl Filter {
    /// A subscription with its names looked up; new names of instruments become known.
    ///
    /// # Errors
    /// [`Remedy::Reject`](model::Remedy::Reject) for a provider that the catalog does not know, or
    /// when it has no room for another instrument's name.
    pub fn new(subscription: &Subscription, catalog: &Catalog) -> Result<Self, Error> {
        let provider = |name: &str| {
            catalog.find_provider(name).ok_or_else(|| {
                let known: Vec<_> = catalog.providers().into_iter().map(|(_, name)| name).collect();
                Error::reject(format!("no provider is named '{name}'; there are {known:?}"))
            })
        };
        Self::of(subscription, provider, |name| catalog.instrument(name))
    }

    /// A subscription with its names looked up, where all of them are known.
    #[must_use]
    pub fn find(subscription: &Subscription, catalog: &Catalog) -> Option<Self> {
        let provider = |name: &str| catalog.find_provider(name).ok_or(());
        Self::of(subscription, provider, |name| catalog.find_instrument(name).ok_or(())).ok()
    }

    fn of<E>(
        subscription: &Subscription,
        provider: impl Fn(&str) -> Result<ProviderId, E>,
        instrument: impl Fn(&str) -> Result<InstrumentId, E>,
    ) -> Result<Self, E> {
        let Subscription { providers, instruments, kinds, .. } = subscription;
        let providers = providers.iter().map(|name| provider(name)).collect::<Result<_, _>>()?;
        let instruments = instruments.iter().map(|name| instrument(name));
        Ok(Self {
            providers: ordered(providers),
            instruments: ordered(instruments.collect::<Result<_, _>>()?),
            kinds: ordered(kinds.iter().map(|kind| lane_kind(*kind)).collect()),
        })
    }

    /// The streams that it names one by one, which their venues are asked for; none where one of
    /// the lists is empty: such a subscription follows what flows.
    pub fn streams(&self) -> impl Iterator<Item = Stream> + '_ {
        let market_data = |kind: &&Kind| !kind.is_critical() && **kind != Kind::Merged;
        let pairs = self.pairs();
        pairs.flat_map(move |(provider, instrument)| {
            let kinds = self.kinds.iter().filter(market_data);
            kinds.map(move |kind| Stream { provider, instrument, kind: *kind })
        })
    }

    /// Every provider with every instrument that it names.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (ProviderId, InstrumentId)> + '_ {
        let instruments = &self.instruments;
        self.providers.iter().flat_map(|p| instruments.iter().map(move |i| (*p, *i)))
    }

    /// Whether it names that provider.
    fn names(&self, provider: ProviderId) -> bool {
        self.providers.binary_search(&provider).is_ok()
    }

    /// Whether it means streams of that pair.
    pub(crate) fn fits_pair(&self, provider: ProviderId, instrument: InstrumentId) -> bool {
        fits(&self.providers, &provider) && fits(&self.instruments, &instrument)
    }

    /// Whether every list is one that names something, so that [`pairs`](Self::pairs) is all.
    pub(crate) fn names_pairs(&self) -> bool {
        !self.providers.is_empty() && !self.instruments.is_empty()
    }

    fn fits(&self, stream: Stream) -> bool {
        self.fits_pair(stream.provider, stream.instrument)
            && fits(&self.kinds, &lane_kind(stream.kind))
    }
}

/// Whether a version came before another. Versions wrap, after 49 days of a flip a millisecond.
pub(crate) fn is_older(version: u32, than: u32) -> bool {
    version.wrapping_sub(than).cast_signed() < 0
}

/// In order and without doubles.
fn ordered<T: Ord>(mut list: Vec<T>) -> Box<[T]> {
    list.sort_unstable();
    list.dedup();
    list.into()
}

/// A consumer's help across a flip: it skips market data that was routed by a table older than the
/// newest that an ack or a result of its own has told of.
///
/// Critical events always pass, and so do books: each update follows the one before it, so that
/// skipping one would break the consumer's book.
/// ```
/// # use engine::VersionGate;
/// # use model::Event;
/// # let events: Vec<Event> = Vec::new();
/// let mut gate = VersionGate::default();
/// for event in events.into_iter().filter(|event| gate.admits(event)) {
///     // …
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VersionGate {
    newest: u32,
}

impl VersionGate {
    /// Whether to look at an event; to be asked for each, once.
    pub fn admits(&mut self, event: &Event) -> bool {
        let older = is_older(event.header.routing_version, self.newest);
        match event.kind() {
            Kind::ControlAck | Kind::ControlResult => {
                if !older {
                    self.newest = event.header.routing_version;
                }
                true
            }
            Kind::BookSnapshot | Kind::BookUpdate => true,
            kind => kind.is_critical() || !older,
        }
    }

    /// The version of the newest table that was told of.
    #[must_use]
    pub fn newest(&self) -> u32 {
        self.newest
    }
}

fn fits<T: Ord>(list: &[T], item: &T) -> bool {
    list.is_empty() || list.binary_search(item).is_ok()
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    fn stream(provider: u16, instrument: u32, kind: Kind) -> Stream {
        Stream { provider: ProviderId(provider), instrument: InstrumentId(instrument), kind }
    }

    fn catalog() -> (Catalog, ConsumerId) {
        let catalog = Catalog::new();
        for name in ["one", "two"] {
            catalog.provider(name).unwrap();
        }
        for name in ["BTC-USDT", "ETH-USDT"] {
            catalog.instrument(name).unwrap();
        }
        let consumer = catalog.consumer("c").unwrap();
        (catalog, consumer)
    }

    #[test]
    fn empty_lists_mean_all_and_full_ones_must_all_fit() {
        let (catalog, consumer) = catalog();
        let all = Subscription { consumer, ..Subscription::default() };
        let table = RoutingTable::default().next(&[all], &catalog).unwrap();
        for kind in Kind::ALL {
            assert!(table.wants(consumer, stream(9, 9, kind)));
        }
        assert!(!table.wants(ConsumerId(5), stream(0, 0, Kind::Trade)));
        let some = Subscription {
            consumer,
            providers: vec!["two".into()],
            instruments: vec!["ETH-USDT".into()],
            kinds: vec![Kind::Trade],
        };
        let table = table.next(&[some], &catalog).unwrap();
        assert!(table.wants(consumer, stream(1, 1, Kind::Trade)));
        assert!(table.wants_status(consumer, stream(1, 1, Kind::Trade)));
        for other in [(0, 1, Kind::Trade), (1, 0, Kind::Trade), (1, 1, Kind::Quote)] {
            assert!(!table.wants(consumer, stream(other.0, other.1, other.2)), "{other:?}");
            assert!(!table.wants_status(consumer, stream(other.0, other.1, other.2)));
        }
        assert_eq!(table.version(), 2);
    }

    #[test]
    fn either_book_kind_is_the_book_and_statuses_can_be_had_alone() {
        let (catalog, consumer) = catalog();
        let of = |kind| {
            let kinds = vec![kind];
            let wanted = Subscription { consumer, kinds, ..Subscription::default() };
            RoutingTable::default().next(&[wanted], &catalog).unwrap()
        };
        for kind in [Kind::BookSnapshot, Kind::BookUpdate] {
            let table = of(kind);
            assert!(table.wants(consumer, stream(0, 0, Kind::BookSnapshot)));
            assert!(table.wants(consumer, stream(0, 0, Kind::BookUpdate)));
        }
        let table = of(Kind::StreamStatus);
        assert!(!table.wants(consumer, stream(0, 0, Kind::Trade)));
        assert!(table.wants_status(consumer, stream(0, 0, Kind::Trade)));
    }

    #[test]
    fn an_unknown_name_is_refused_with_what_is_known() {
        let (catalog, consumer) = catalog();
        let wanted =
            Subscription { consumer, providers: vec!["three".into()], ..Subscription::default() };
        let error = RoutingTable::default().next(&[wanted], &catalog).unwrap_err();
        assert!(error.message.contains("'three'") && error.message.contains("two"), "{error}");
        let wanted = Subscription { consumer: ConsumerId(8), ..Subscription::default() };
        assert!(RoutingTable::default().next(&[wanted], &catalog).is_err());
    }

    #[test]
    fn subscriptions_that_mean_the_same_are_the_same() {
        let (catalog, consumer) = catalog();
        let filter = |instruments: &[&str], kinds: &[Kind]| {
            let instruments = instruments.iter().map(|name| (*name).into()).collect();
            let providers = vec!["one".into()];
            let kinds = kinds.to_vec();
            let wanted = Subscription { consumer, providers, instruments, kinds };
            Arc::new(Filter::new(&wanted, &catalog).unwrap())
        };
        let book = filter(&["BTC-USDT", "ETH-USDT"], &[Kind::BookSnapshot]);
        let same = filter(&["ETH-USDT", "BTC-USDT", "ETH-USDT"], &[Kind::BookUpdate]);
        assert_eq!(book, same);
        assert_eq!(book.streams().count(), 2);
        assert_eq!(filter(&[], &[Kind::Trade]).streams().count(), 0, "it follows what flows");
        let no_venues = filter(&["BTC-USDT"], &[Kind::Merged, Kind::StreamStatus]);
        assert_eq!(no_venues.streams().count(), 0);
        let mut edit = RoutingTable::default().edit();
        assert!(edit.add(consumer, book.clone()) && !edit.add(consumer, same.clone()));
        let first = edit.finish();
        let mut edit = first.edit();
        assert!(edit.add(consumer, filter(&["BTC-USDT"], &[Kind::Trade])));
        assert!(edit.remove(consumer, &same) && !edit.remove(consumer, &book));
        let second = edit.finish();
        assert_eq!((first.version(), second.version()), (1, 2));
        assert_eq!(first.differences(&second)[0].1.len(), 2);
        assert!(second.differences(&second.edit().finish()).is_empty());
        assert!(!second.wants(consumer, stream(0, 0, Kind::BookUpdate)));
        assert!(first.wants(consumer, stream(0, 0, Kind::BookUpdate)), "a table never changes");
    }

    #[test]
    fn a_gate_skips_older_market_data_and_nothing_else() {
        let event = |kind, routing_version| {
            let mut event = Event::default();
            event.header.stream.kind = kind;
            event.header.routing_version = routing_version;
            event
        };
        let mut gate = VersionGate::default();
        assert!(gate.admits(&event(Kind::Trade, 0)));
        assert!(gate.admits(&event(Kind::ControlAck, 2)));
        assert!(gate.admits(&event(Kind::ControlResult, 1)));
        assert_eq!(gate.newest(), 2);
        for kind in Kind::ALL {
            let kept = kind.is_critical() || lane_kind(kind) == Kind::BookUpdate;
            assert_eq!(gate.admits(&event(kind, 1)), kept, "{kind:?}");
            assert!(gate.admits(&event(kind, 2)), "{kind:?}");
        }
        let mut gate = VersionGate { newest: u32::MAX };
        assert!(gate.admits(&event(Kind::Trade, 0)), "versions wrap");
    }
}
