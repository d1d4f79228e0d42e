//! What a provider's machine can do to a shard, and what consumers then get.

use std::sync::Arc;

use model::instrument::Contract;
use model::{Event, Remedy};

use super::*;
use crate::testing::{self, INSTRUMENT};
use crate::{Consumer, Context, Subscription};

mod exactness;
mod metrics;
mod order;
mod ownership;

const P: ProviderId = ProviderId(0);

/// Keeps everything.
#[derive(Default)]
struct Keeper(Vec<Event>);
impl Consumer for Keeper {
    fn on_event(&mut self, event: Event, _: &mut Context<'_>) {
        self.0.push(event);
    }
}

fn one() -> (Shard, Inbox) {
    let (shard, mut inboxes) = testing::shard(&[("a", QueueCapacity::default())]);
    (shard, inboxes.remove(0))
}

fn take(inbox: &mut Inbox) -> Vec<Event> {
    let mut keeper = Keeper::default();
    while inbox.drain(&mut keeper, || Nanos(0)) > 0 {}
    keeper.0
}

fn kinds(events: &[Event]) -> Vec<Kind> {
    events.iter().map(Event::kind).collect()
}

fn emit(shard: &mut Shard, now: Nanos, kind: Kind) {
    let mut port = shard.port(P, now);
    let mut event = port.event().unwrap();
    event.set_kind(INSTRUMENT, kind);
    port.emit(event);
}

#[test]
fn a_header_is_stamped_on_the_way() {
    let (mut shard, mut inbox) = one();
    let mut port = shard.port(P, Nanos(70));
    port.ts_emit = Nanos(75);
    let mut event = port.event().unwrap();
    event.set_kind(INSTRUMENT, Kind::Trade);
    (event.header.seq_provider, event.header.ts_event) = (Some(9), Some(Nanos(60)));
    event.header.stream.provider = ProviderId(33);
    port.emit(event);
    testing::trade(&mut shard, Nanos(80), 10);
    let events = take(&mut inbox);
    let header = events[0].header;
    assert_eq!(header.stream, Stream { provider: P, instrument: INSTRUMENT, kind: Kind::Trade });
    assert_eq!((header.ts_recv, header.ts_emit), (Nanos(70), Nanos(75)));
    assert_eq!((header.seq_provider, header.ts_event), (Some(9), Some(Nanos(60))));
    assert_eq!(header.routing_version, 1);
    assert_eq!(events[1].header.ts_emit, Nanos(80), "as received, unless said otherwise");
    assert!(events[1].header.trace_id > header.trace_id);
}

#[test]
fn every_message_is_counted_once_and_derived_events_are_no_messages() {
    let (mut shard, mut inbox) = one();
    emit(&mut shard, Nanos(1), Kind::Quote);
    let mut port = shard.port(P, Nanos(1));
    let mut derived = port.event().unwrap();
    derived.set_kind(INSTRUMENT, Kind::Quote);
    port.derive(derived);
    for why in [Discard::Duplicate, Discard::Absorbed, Discard::Unsubscribed] {
        let mut event = port.event().unwrap();
        event.set_kind(INSTRUMENT, Kind::Quote);
        port.discard(event, why);
    }
    port.count(INSTRUMENT, Kind::BookSnapshot, Count::Decoded);
    port.count(INSTRUMENT, Kind::BookSnapshot, Count::ChecksumOk);
    let quotes = shard.stream(P, INSTRUMENT, Kind::Quote).unwrap();
    assert_eq!((quotes.decoded, quotes.emitted), (4, 2));
    assert_eq!((quotes.duplicates, quotes.absorbed, quotes.unsubscribed), (1, 1, 1));
    assert_eq!(take(&mut inbox).len(), 2);
    assert_eq!(shard.pools().canonical_events.stats().in_use, 0);
    let (_, provider) = shard.providers().next().unwrap();
    let views = provider.instruments();
    let counts: Vec<_> = views[0].decoded().collect();
    assert_eq!(counts, [(Kind::Quote, 4), (Kind::BookSnapshot, 1)]);
    let book = shard.stream(P, INSTRUMENT, Kind::BookUpdate).unwrap();
    assert_eq!(book.checksum_ok, 1, "what happens to a book stands with its state");
    assert!(views[0].book().is_none(), "no book was received");
}

#[test]
fn a_state_is_an_event_when_it_or_its_reason_changes() {
    let (mut shard, mut inbox) = one();
    let mut port = shard.port(P, Nanos(5));
    port.status(INSTRUMENT, Kind::BookSnapshot, StreamState::Syncing, Reason::Subscribed);
    port.status(INSTRUMENT, Kind::BookUpdate, StreamState::Syncing, Reason::Subscribed);
    let mut port = shard.port(P, Nanos(6));
    port.status(INSTRUMENT, Kind::BookUpdate, StreamState::Syncing, Reason::RateLimited);
    port.status(INSTRUMENT, Kind::Trade, StreamState::Live, Reason::Flowing);
    let events = take(&mut inbox);
    let statuses: Vec<_> = events
        .iter()
        .map(|event| match event.body {
            Body::Status(s) => (s.of, s.state, s.reason, s.since, s.transitions),
            _ => panic!("{event:?}"),
        })
        .collect();
    let syncing = StreamState::Syncing;
    assert_eq!(
        statuses,
        [
            (Kind::BookUpdate, syncing, Reason::Subscribed, Nanos(5), 1),
            (Kind::BookUpdate, syncing, Reason::RateLimited, Nanos(5), 1),
            (Kind::Trade, StreamState::Live, Reason::Flowing, Nanos(6), 1),
        ]
    );
    assert!(events.iter().all(|event| event.kind() == Kind::StreamStatus));
    assert_eq!(shard.stream(P, INSTRUMENT, Kind::BookUpdate).unwrap().transitions, 2);
}

#[test]
fn events_carry_the_version_of_the_table_that_routed_them() {
    let (mut shard, mut inbox) = one();
    testing::trade(&mut shard, Nanos(1), 1);
    let trades_only =
        Subscription { consumer: inbox.id(), kinds: vec![Kind::Trade], ..Subscription::default() };
    let table = RoutingTable::default().next(&[], shard.catalog()).unwrap();
    let table = table.next(&[trades_only], shard.catalog()).unwrap();
    shard.set_routing(Arc::new(table.clone()), Nanos(2));
    assert_eq!(shard.routing_version(), 2);
    testing::trade(&mut shard, Nanos(3), 2);
    emit(&mut shard, Nanos(3), Kind::Quote);
    shard.set_routing(Arc::new(table.next(&[], shard.catalog()).unwrap()), Nanos(4));
    testing::trade(&mut shard, Nanos(5), 3);
    shard.end_turn(Nanos(5));
    let events = take(&mut inbox);
    let versions: Vec<_> = events.iter().map(|event| event.header.routing_version).collect();
    assert_eq!((kinds(&events), versions), (vec![Kind::Trade; 2], vec![1, 2]));
    let trades = shard.stream(P, INSTRUMENT, Kind::Trade).unwrap();
    assert_eq!(trades.decoded, 3, "counting does not depend on who listens");
}

#[test]
fn a_new_subscriber_of_a_book_gets_its_snapshot_and_then_what_follows() {
    let (mut shard, mut first) = one();
    for n in 1..=3 {
        testing::update(&mut shard, Nanos(n), n);
    }
    let mut late = shard.add_consumer("late", QueueCapacity::default(), Nanos(4)).unwrap();
    testing::subscribe_all(&mut shard);
    testing::update(&mut shard, Nanos(5), 4);
    shard.end_turn(Nanos(6));
    testing::update(&mut shard, Nanos(7), 5);
    shard.end_turn(Nanos(7));
    let (events, _) = (take(&mut late), take(&mut first));
    assert_eq!(kinds(&events), [Kind::BookSnapshot, Kind::StreamStatus, Kind::BookUpdate]);
    let positions: Vec<_> = events.iter().map(|event| event.header.seq_provider).collect();
    assert_eq!(positions, [Some(4), None, Some(5)]);
    let Body::Status(status) = &events[1].body else { panic!("{events:?}") };
    assert_eq!((status.of, status.state), (Kind::BookUpdate, StreamState::Live));
    assert_eq!(events[0].header.ts_emit, Nanos(6));
    assert_eq!(first.tally().counts().snapshots, 0, "who had it before is not disturbed");
    assert_eq!(late.tally().counts().snapshots, 1);
}

#[test]
fn whoever_left_a_book_is_not_owed_its_snapshot() {
    let capacity = QueueCapacity { ring: 2, trades: 9, ..QueueCapacity::default() };
    let (mut shard, mut inboxes) = testing::shard(&[("a", capacity)]);
    for n in 1..=3 {
        testing::update(&mut shard, Nanos(n), n);
    }
    shard.end_turn(Nanos(3));
    assert_eq!(inboxes[0].tally().counts().waiting, 1);
    let table = RoutingTable::default().next(&[], shard.catalog()).unwrap();
    shard.set_routing(Arc::new(table), Nanos(4));
    shard.end_turn(Nanos(4));
    assert_eq!(inboxes[0].tally().counts().waiting, 0);
    assert_eq!(kinds(&take(&mut inboxes[0])), [Kind::BookSnapshot, Kind::StreamStatus]);
    shard.end_turn(Nanos(5));
    assert!(take(&mut inboxes[0]).is_empty());
}

#[test]
fn a_recovered_book_reaches_consumers_even_if_its_snapshot_found_no_pooled_event() {
    let (mut shard, mut inbox) = one();
    testing::update(&mut shard, Nanos(1), 1);
    testing::status(&mut shard, Nanos(2), Kind::BookUpdate, StreamState::Gapped);
    take(&mut inbox);
    let mut port = shard.port(P, Nanos(3));
    let book = port.book(INSTRUMENT);
    (book.generation, book.seq_last, book.state) = (2, Some(8), StreamState::Live);
    port.status(INSTRUMENT, Kind::BookUpdate, StreamState::Live, Reason::Synced);
    shard.end_turn(Nanos(3));
    let events = take(&mut inbox);
    assert_eq!(kinds(&events), [Kind::BookSnapshot, Kind::StreamStatus]);
    assert!(matches!(events[0].body, Body::Book(meta) if meta.generation == 2));
}

#[test]
fn a_flood_empties_no_pool_and_a_held_event_stops_reading() {
    let (mut shard, inbox) = one();
    for n in 0..10_000 {
        testing::trade(&mut shard, Nanos(n), n);
        testing::update(&mut shard, Nanos(n), n);
    }
    shard.end_turn(Nanos(10_000));
    for pool in shard.pools().manager().stats() {
        assert_eq!((pool.in_use, pool.exhausted), (0, 0), "{pool:?}");
        assert!(pool.high_water <= 1, "an event is out from decode to fan-out only");
    }
    assert!(shard.can_read());
    drop(inbox);

    let few = Capacity { canonical_events: 2, ..Capacity::default() };
    let mut shard = Shard::new(few, Catalog::new(), Waker::noop().clone());
    let mut port = shard.port(P, Nanos(0));
    let held = [port.event(), port.event()];
    assert!(held.iter().all(Option::is_some) && port.event().is_none());
    assert!(!shard.can_read());
    drop(held);
    assert!(shard.can_read());
    shard.catalog().provider("p").unwrap();
    assert_eq!(shard.providers().next().unwrap().1.stats().exhausted, 1);
}

#[test]
fn an_execution_event_is_refused_and_counted_not_lost_in_silence() {
    let (mut shard, mut inbox) = one();
    emit(&mut shard, Nanos(1), Kind::ExecReport);
    assert!(take(&mut inbox).is_empty());
    assert_eq!(shard.providers().next().unwrap().1.stats().refused, 1);
    assert_eq!(shard.pools().canonical_events.stats().in_use, 0);
}

#[test]
fn a_shard_full_of_books_refuses_more_and_keeps_what_it_has() {
    let catalog = Catalog::new();
    let mut shard = Shard::new(Capacity::default(), catalog, Waker::noop().clone());
    for instrument in 0..BOOKS_MAX as u32 {
        assert!(shard.slot(P, InstrumentId(instrument)).is_some());
    }
    let other = ProviderId(1);
    let listed = Instrument::unlisted("BTC", "USDT", Contract::Spot);
    let error = shard.port(other, Nanos(0)).list(&listed).unwrap_err();
    assert_eq!(error.remedy, Remedy::Reject);
    assert_eq!(shard.port(P, Nanos(0)).list(&listed).unwrap(), INSTRUMENT, "has its place");
    let mut port = shard.port(other, Nanos(0));
    let mut event = port.event().unwrap();
    event.set_kind(INSTRUMENT, Kind::Trade);
    port.emit(event);
    port.status(INSTRUMENT, Kind::Trade, StreamState::Live, Reason::Flowing);
    assert_eq!(shard.provider_mut(other).refused, 2);
}

#[test]
fn a_name_is_one_consumers_only() {
    let (mut shard, _inbox) = one();
    let error = shard.add_consumer("a", QueueCapacity::default(), Nanos(0)).unwrap_err();
    assert!(error.message.contains("'a'"), "{error}");
}

#[test]
fn the_listed_precision_is_the_books() {
    let (mut shard, _inbox) = one();
    let mut listed = Instrument::unlisted("ETH", "USDT", Contract::Spot);
    listed.price_places = Some(3);
    let mut port = shard.port(P, Nanos(0));
    let id = port.list(&listed).unwrap();
    assert_eq!(port.book(id), &Book::with_places(3));
    assert_eq!(port.book(INSTRUMENT), &Book::default());
    listed.name = "BTC-USDT".into();
    assert_eq!(port.list(&listed).unwrap(), INSTRUMENT);
    assert_eq!(port.book(INSTRUMENT), &Book::with_places(3), "also when the list comes later");
}

#[test]
fn what_other_threads_need_of_a_shard_can_be_moved_to_them() {
    fn movable<T: Send>() {}
    movable::<Inbox>();
    fn shared<T: Send + Sync>() {}
    shared::<pool::Manager>();
    shared::<pool::Pool<model::OrderRequest>>();
    shared::<Catalog>();
    shared::<Arc<crate::Tally>>();
}
