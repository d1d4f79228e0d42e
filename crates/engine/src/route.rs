//! Who gets what: one immutable, versioned table, swapped whole.
//!
//! Filters are matched when a stream is first seen and when the table changes; what an event
//! finds is a ready list by its lane.

use model::{ConsumerId, Error, InstrumentId, Kind, ProviderId, Stream};

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

/// The subscriptions in force, by numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoutingTable {
    version: u32,
    filters: Vec<Filter>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Filter {
    consumer: ConsumerId,
    providers: Box<[ProviderId]>,
    instruments: Box<[InstrumentId]>,
    kinds: Box<[Kind]>,
}

impl RoutingTable {
    /// The table that follows this one: its version is one higher.
    ///
    /// # Errors
    /// [`Remedy::Reject`](model::Remedy::Reject) for a provider or a consumer that the catalog
    /// does not know, or when it has no room for another instrument's name.
    pub fn next(&self, wanted: &[Subscription], catalog: &Catalog) -> Result<Self, Error> {
        let filters = wanted.iter().map(|subscription| Filter::new(subscription, catalog));
        Ok(Self {
            version: self.version.wrapping_add(1),
            filters: filters.collect::<Result<_, _>>()?,
        })
    }

    /// Stands on every event that was routed by this table; 0 is the empty table.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Whether a consumer gets the events of a stream.
    #[must_use]
    pub fn wants(&self, consumer: ConsumerId, stream: Stream) -> bool {
        self.any(consumer, stream, |kind| lane_kind(kind) == lane_kind(stream.kind))
    }

    /// Whether a consumer hears of the states of a stream.
    #[must_use]
    pub fn wants_status(&self, consumer: ConsumerId, stream: Stream) -> bool {
        self.wants(consumer, stream)
            || self.any(consumer, stream, |kind| kind == Kind::StreamStatus)
    }

    fn any(&self, consumer: ConsumerId, stream: Stream, kind: impl Fn(Kind) -> bool) -> bool {
        self.filters.iter().any(|filter| {
            filter.consumer == consumer
                && fits(&filter.providers, |provider| *provider == stream.provider)
                && fits(&filter.instruments, |instrument| *instrument == stream.instrument)
                && fits(&filter.kinds, |of| kind(*of))
        })
    }
}

impl Filter {
    fn new(subscription: &Subscription, catalog: &Catalog) -> Result<Self, Error> {
        let Subscription { consumer, providers, instruments, kinds } = subscription;
        if catalog.consumer_name(*consumer).is_none() {
            return Err(Error::reject(format!("no consumer has the number {consumer}")));
        }
        let provider = |name: &str| {
            catalog.find_provider(name).ok_or_else(|| {
                let known: Vec<_> = catalog.providers().into_iter().map(|(_, name)| name).collect();
                Error::reject(format!("no provider is named '{name}'; there are {known:?}"))
            })
        };
        Ok(Self {
            consumer: *consumer,
            providers: providers.iter().map(|name| provider(name)).collect::<Result<_, _>>()?,
            instruments: instruments
                .iter()
                .map(|name| catalog.instrument(name))
                .collect::<Result<_, _>>()?,
            kinds: kinds.as_slice().into(),
        })
    }
}

fn fits<T>(list: &[T], item: impl Fn(&T) -> bool) -> bool {
    list.is_empty() || list.iter().any(item)
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
}
