//! Each rule of the windows by example, on a whole shard.

use std::collections::BTreeMap;
use std::time::Duration;

use model::event::{Quote, Reason, Trade};
use model::venue::Pipeline;
use model::{
    Body, Decimal, Error, Event, InstrumentId, Kind, Level, Nanos, ProviderId, StreamState,
};

use super::{CloseOn, MergeCounts, MergeSpec};
use crate::capacity::MERGES_MAX;
use crate::testing::{Kept, shard};
use crate::{Inbox, QueueCapacity, RoutingTable, Shard, Subscription};

mod replay;

const BTC: InstrumentId = InstrumentId(0);

/// A shard with three providers, one merge of that kind over all of them, and one consumer of
/// everything.
struct Rig {
    shard: Shard,
    inbox: Inbox,
    kept: Kept,
}

fn spec() -> MergeSpec {
    MergeSpec {
        name: "best".into(),
        instrument: "BTC-USDT".into(),
        providers: vec!["p".into(), "q".into(), "r".into()],
        window: Duration::from_nanos(1_000_000),
        ..MergeSpec::default()
    }
}

impl Rig {
    fn new(spec: &MergeSpec) -> Self {
        let mut rig = Self::without();
        rig.shard.add_merge(spec).unwrap();
        rig
    }

    fn without() -> Self {
        let (mut shard, mut inboxes) = shard(&[("c", QueueCapacity::default())]);
        for name in ["q", "r"] {
            shard.catalog().provider(name).unwrap();
        }
        shard.end_turn(Nanos(0));
        Self { shard, inbox: inboxes.remove(0), kept: Kept::default() }
    }

    fn emit(&mut self, provider: u16, at: u64, kind: Kind, seq: u64, body: Body) {
        let mut port = self.shard.port(ProviderId(provider), Nanos(at));
        let mut event = port.event().unwrap();
        event.set_kind(BTC, kind);
        event.header.seq_provider = Some(seq);
        event.body = body;
        port.emit(event);
    }

    fn quote(&mut self, provider: u16, at: u64, price: u64) {
        let bid = Level { price: Decimal::from(price), quantity: Decimal::ONE };
        let body = Body::Quote(Quote { bid, ..Quote::default() });
        self.emit(provider, at, Kind::Quote, price, body);
    }

    fn trade(&mut self, provider: u16, at: u64, trade_id: u64) {
        let body = Body::Trade(Trade { trade_id, ..Trade::default() });
        self.emit(provider, at, Kind::Trade, trade_id, body);
    }

    /// The merged events so far, others left out.
    fn merged(&mut self, at: u64) -> Vec<Event> {
        self.shard.end_turn(Nanos(at));
        while self.inbox.drain(&mut self.kept, || Nanos(at)) > 0 {}
        std::mem::take(&mut self.kept.0).into_iter().filter(|e| e.kind() == Kind::Merged).collect()
    }

    fn counts(&self) -> MergeCounts {
        self.shard.merges().next().unwrap().counts().clone()
    }
}

/// (provider, newest price or trade, count) of each fragment.
fn fragments(event: &Event) -> Vec<(u16, Decimal, u32)> {
    let value = |body: &Body| match body {
        Body::Quote(quote) => quote.bid.price,
        Body::Trade(trade) => Decimal::from(trade.trade_id),
        _ => panic!("{body:?}"),
    };
    window(event).fragments.iter().map(|f| (f.provider.0, value(&f.body), f.count)).collect()
}

fn window(event: &Event) -> model::event::Merged {
    match &event.body {
        Body::Merged(merged) => merged.clone(),
        _ => panic!("{event:?}"),
    }
}

/// So many of each provider.
fn missing(counts: [u64; 3]) -> BTreeMap<ProviderId, u64> {
    (0..).map(ProviderId).zip(counts).collect()
}

#[test]
fn a_window_of_all_providers_is_one_event_with_the_newest_of_each() {
    let mut rig = Rig::new(&spec());
    rig.quote(1, 10, 100);
    rig.quote(0, 20, 200);
    rig.quote(1, 30, 101);
    rig.quote(2, 1_000_010, 300);
    assert_eq!(rig.merged(1_000_010), [], "its last instant belongs to it");
    let merged = rig.merged(1_000_011);
    assert_eq!(merged.len(), 1);
    let event = &merged[0];
    let d = Decimal::from;
    assert_eq!(fragments(event), [(0, d(200), 1), (1, d(101), 2), (2, d(300), 1)]);
    let of = window(event);
    assert_eq!((of.of, of.merge_id), (Kind::Quote, 10));
    assert_eq!((of.ts_open, of.ts_close), (Nanos(10), Nanos(1_000_010)));
    let stream = event.header.stream;
    assert_eq!(rig.shard.catalog().provider_name(stream.provider).as_deref(), Some("best"));
    assert_eq!((stream.instrument, event.header.seq_provider), (BTC, Some(1)));
    assert_eq!(event.header.routing_version, rig.shard.routing_version());
    assert_eq!((event.header.ts_recv, event.header.ts_emit), (Nanos(1_000_011), Nanos(1_000_011)));
    assert_eq!(of.fragments[1].header.ts_recv, Nanos(30));
    assert_eq!(rig.shard.pools().merged_events.stats().in_use, 0);
    let missing = missing([0; 3]);
    let counts = MergeCounts { fragments: 4, emitted: 1, missing, ..MergeCounts::default() };
    assert_eq!(rig.counts(), counts);
}

#[test]
fn a_window_in_which_somebody_is_missing_is_suppressed_and_says_who() {
    let mut rig = Rig::new(&spec());
    rig.quote(0, 10, 1);
    rig.quote(2, 11, 1);
    assert_eq!(rig.merged(2_000_000), []);
    rig.quote(0, 2_000_001, 2);
    assert_eq!(rig.merged(4_000_000), []);
    let counts = rig.counts();
    assert_eq!((counts.emitted, counts.suppressed), (0, 2));
    assert_eq!(counts.missing, missing([0, 2, 1]));
    assert_eq!(counts.suppressed_up, 0, "no stream was ever said to be live");
}

#[test]
fn a_suppressed_window_counts_apart_where_every_stream_was_up_all_the_time() {
    let mut rig = Rig::new(&spec());
    let mut status = |provider: u16, at: u64, state| {
        let mut port = rig.shard.port(ProviderId(provider), Nanos(at));
        port.status(BTC, Kind::Quote, state, Reason::Flowing);
    };
    (0..3).for_each(|provider| status(provider, 5, StreamState::Live));
    rig.quote(0, 10, 1);
    rig.merged(2_000_000);
    assert_eq!((rig.counts().suppressed, rig.counts().suppressed_up), (1, 1));
    rig.quote(0, 2_000_001, 2);
    let mut port = rig.shard.port(ProviderId(2), Nanos(2_000_002));
    port.status(BTC, Kind::Quote, StreamState::Gapped, Reason::Disconnected);
    port.status(BTC, Kind::Quote, StreamState::Live, Reason::Flowing);
    rig.merged(4_000_000);
    assert_eq!((rig.counts().suppressed, rig.counts().suppressed_up), (2, 1), "one was away");
}

#[test]
fn the_thousandth_fragment_closes_a_window() {
    let mut rig = Rig::new(&MergeSpec { fragments_max: 5, ..spec() });
    for n in 0..5 {
        rig.quote((n % 3) as u16, 10 + n, n);
    }
    let merged = rig.merged(14);
    assert_eq!(merged.len(), 1);
    assert_eq!(window(&merged[0]).ts_close, Nanos(14));
    assert_eq!(merged[0].header.ts_recv, Nanos(14), "when the last fragment came");
    assert_eq!(MergeSpec::default().fragments_max, 1_000);
    assert_eq!(MergeSpec::default().window, Duration::from_secs(10));
}

#[test]
fn a_merge_on_completion_closes_as_soon_as_every_provider_has_sent() {
    let complete = MergeSpec { close: CloseOn::Complete, ..spec() };
    let mut rig = Rig::new(&complete);
    rig.quote(0, 10, 1);
    rig.quote(0, 11, 2);
    rig.quote(1, 12, 3);
    assert_eq!(rig.merged(12), []);
    rig.quote(2, 13, 4);
    assert_eq!(rig.merged(13).len(), 1);
    rig.quote(0, 14, 5);
    assert_eq!(rig.merged(2_000_000), [], "its time passed before the others sent");
    assert_eq!(rig.counts().missing, missing([0, 1, 1]));
}

#[test]
fn what_did_not_arrive_after_the_last_close_is_late() {
    let mut rig = Rig::new(&MergeSpec { close: CloseOn::Complete, ..spec() });
    for provider in 0..3 {
        rig.quote(provider, 10, 1);
    }
    rig.quote(0, 10, 2);
    rig.quote(1, 9, 2);
    assert_eq!(rig.counts().late, 2);
    rig.quote(0, 11, 3);
    let counts = rig.counts();
    assert_eq!((counts.late, counts.fragments, counts.emitted), (2, 4, 1));
}

#[test]
fn a_trade_that_waited_behind_a_hole_belongs_to_the_window_of_its_arrival() {
    let trades = MergeSpec { kind: Kind::Trade, ..spec() };
    let mut rig = Rig::without();
    let limits = crate::resequence::Limits::default();
    rig.shard.resequence(ProviderId(0), Kind::Trade, limits);
    rig.shard.add_merge(&trades).unwrap();
    rig.trade(0, 5, 1);
    rig.trade(1, 6, 1);
    rig.trade(2, 7, 1);
    rig.trade(0, 8, 3);
    assert_eq!(rig.merged(1_000_006).len(), 1, "without the one that waits");
    rig.trade(0, 1_000_010, 2);
    let counts = rig.counts();
    assert_eq!((counts.fragments, counts.late), (4, 1), "2 opens a window, 3 is late");
}

#[test]
fn several_merges_take_the_same_stream_each_by_its_own_rules() {
    let mut rig = Rig::new(&spec());
    let pair = MergeSpec {
        name: "pair".into(),
        providers: vec!["q".into(), "p".into()],
        close: CloseOn::Complete,
        ..spec()
    };
    rig.shard.add_merge(&pair).unwrap();
    for (at, provider) in [(10, 0), (11, 1), (12, 2), (13, 0), (14, 1)] {
        rig.quote(provider, at, at);
    }
    let merged = rig.merged(2_000_000);
    let name = |e: &Event| rig.shard.catalog().provider_name(e.header.stream.provider).unwrap();
    let names: Vec<_> = merged.iter().map(name).collect();
    let names: Vec<&str> = names.iter().map(|name| &**name).collect();
    assert_eq!(names, ["pair", "pair", "best"]);
    let d = Decimal::from;
    assert_eq!(fragments(&merged[0]), [(1, d(11), 1), (0, d(10), 1)], "in the order of its merge");
    assert_eq!(merged[1].header.seq_provider, Some(2));
}

#[test]
fn other_kinds_and_instruments_are_no_fragments() {
    let mut rig = Rig::new(&spec());
    rig.trade(0, 1, 1);
    let mut port = rig.shard.port(ProviderId(0), Nanos(2));
    let mut event = port.event().unwrap();
    event.set_kind(InstrumentId(7), Kind::Quote);
    port.emit(event);
    assert_eq!(rig.counts().fragments, 0);
    assert_eq!(rig.shard.deadline(), None);
}

#[test]
fn the_shard_asks_for_a_turn_right_after_a_window_is_over() {
    let mut rig = Rig::new(&spec());
    assert_eq!(rig.shard.deadline(), None);
    rig.quote(0, 10, 1);
    assert_eq!(rig.shard.deadline(), Some(Nanos(1_000_011)));
    rig.shard.end_turn(Nanos(1_000_010));
    assert_eq!(rig.counts().suppressed, 0);
    rig.shard.end_turn(Nanos(1_000_011));
    assert_eq!(rig.counts().suppressed, 1);
    assert_eq!(rig.shard.deadline(), None);
}

#[test]
fn a_merge_is_asked_for_twice_alike_and_refused_with_other_terms() {
    let mut rig = Rig::new(&spec());
    let id = rig.shard.merges().next().unwrap().id();
    assert_eq!(rig.shard.add_merge(&spec()).unwrap(), id);
    assert_eq!(rig.shard.merges().count(), 1);
    let other = MergeSpec { fragments_max: 9, ..spec() };
    let error = rig.shard.add_merge(&other).unwrap_err();
    assert!(error.message.contains("'best'") && error.message.contains("other terms"), "{error}");
}

#[test]
fn a_removed_merge_forgets_its_window_and_keeps_its_counter() {
    let mut rig = Rig::new(&MergeSpec { close: CloseOn::Complete, ..spec() });
    (0..3).for_each(|provider| rig.quote(provider, 10, 1));
    rig.quote(0, 11, 2);
    assert!(rig.shard.remove_merge("best"));
    assert!(!rig.shard.remove_merge("best") && !rig.shard.remove_merge("worst"));
    rig.quote(1, 12, 2);
    rig.shard.add_merge(&MergeSpec { close: CloseOn::Complete, ..spec() }).unwrap();
    rig.quote(2, 13, 2);
    rig.quote(1, 14, 2);
    assert_eq!(rig.merged(14).len(), 1, "the quote before the removal is forgotten");
    rig.quote(0, 15, 3);
    let merged = rig.merged(15);
    assert_eq!(merged[0].header.seq_provider, Some(2));
    assert_eq!(rig.shard.merges().count(), 1);
}

#[test]
fn counters_of_a_merge_never_go_back_whatever_becomes_of_it() {
    let mut rig = Rig::new(&spec());
    rig.quote(0, 10, 1);
    rig.merged(2_000_000);
    let before = rig.counts();
    assert_eq!((before.suppressed, &before.missing), (1, &missing([0, 1, 1])));
    rig.shard.remove_merge("best");
    assert_eq!(rig.counts(), before);
    // Again, over others and in another order.
    let pair = MergeSpec { providers: vec!["r".into(), "p".into()], ..spec() };
    rig.shard.add_merge(&pair).unwrap();
    assert_eq!(rig.counts(), before);
    rig.quote(2, 2_000_010, 1);
    rig.merged(4_000_000);
    let after = rig.counts();
    assert_eq!((after.suppressed, after.missing), (2, missing([1, 1, 1])));
}

#[test]
fn who_joins_a_merge_later_is_counted_missing_like_the_others() {
    let of = |names: [&str; 2]| MergeSpec { providers: names.map(Into::into).into(), ..spec() };
    let mut rig = Rig::new(&of(["p", "q"]));
    rig.quote(0, 10, 1);
    rig.merged(2_000_000);
    rig.shard.remove_merge("best");
    rig.shard.add_merge(&of(["q", "r"])).unwrap();
    rig.quote(1, 2_000_010, 1);
    rig.merged(4_000_000);
    assert_eq!(rig.counts().missing, missing([0, 1, 1]));
}

#[test]
fn a_whole_window_that_finds_no_pooled_event_is_counted_and_takes_no_position() {
    let mut rig = Rig::new(&MergeSpec { close: CloseOn::Complete, ..spec() });
    let pool = rig.shard.pools().merged_events.clone();
    let held: Vec<_> = std::iter::from_fn(|| pool.try_acquire()).collect();
    (0..3).for_each(|provider| rig.quote(provider, 10, 1));
    assert_eq!(rig.merged(10), []);
    drop(held);
    (0..3).for_each(|provider| rig.quote(provider, 11, 2));
    assert_eq!(rig.merged(11)[0].header.seq_provider, Some(1));
    let counts = rig.counts();
    assert_eq!((counts.exhausted, counts.emitted, counts.suppressed), (1, 1, 0));
}

#[test]
fn the_place_of_a_merge_that_was_removed_goes_to_another_and_nobody_takes_one_for_the_other() {
    let mut rig = Rig::without();
    let of = |n: usize| MergeSpec { name: format!("m{n}").into(), ..spec() };
    let ids: Vec<_> = (0..MERGES_MAX).map(|n| rig.shard.add_merge(&of(n)).unwrap()).collect();
    // Somebody still names the first.
    let named = Subscription {
        consumer: rig.inbox.id(),
        ..Subscription::of("m0", "BTC-USDT", Kind::Merged)
    };
    let table = RoutingTable::default().next(&[named], rig.shard.catalog()).unwrap();
    rig.shard.set_routing(std::sync::Arc::new(table), Nanos(0));
    for n in [0, 7, 3] {
        rig.shard.remove_merge(&format!("m{n}"));
    }
    let full = |rig: &mut Rig| rig.shard.add_merge(&of(MERGES_MAX)).unwrap_err().message;
    assert!(full(&mut rig).contains("limit of 256"), "their last events may be of this table");
    flip(&mut rig);
    rig.shard.add_merge(&of(3)).unwrap();
    rig.shard.remove_merge("m3");
    flip(&mut rig);
    let new = rig.shard.add_merge(&of(MERGES_MAX)).unwrap();
    assert_eq!(new, ids[7], "of those that nobody names it was removed first");
    let catalog = rig.shard.catalog();
    assert_eq!(catalog.provider_name(new).as_deref(), Some("m256"));
    assert_eq!(catalog.find_provider("m7"), None);
    assert_eq!(rig.shard.add_merge(&of(7)).unwrap(), ids[3]);
    assert_eq!(rig.shard.merges().count(), MERGES_MAX);
    assert!(rig.shard.merges().all(|merge| merge.counts().fragments == 0));
}

/// Everything as before, in a table of the next version.
fn flip(rig: &mut Rig) {
    let table = rig.shard.table().edit().finish();
    rig.shard.set_routing(std::sync::Arc::new(table), Nanos(0));
}

#[test]
fn merges_come_and_go_for_ever() {
    let mut rig = Rig::without();
    for n in 0..3 * MERGES_MAX as u64 {
        let name: Box<str> = format!("m{n}").into();
        let complete = MergeSpec { name: name.clone(), close: CloseOn::Complete, ..spec() };
        let id = rig.shard.add_merge(&complete).unwrap();
        (0..3).for_each(|provider| rig.quote(provider, 10 * n + 10, n));
        let merged = rig.merged(10 * n + 10);
        assert!(matches!(&merged[..], [e] if e.header.stream.provider == id), "{merged:?}");
        assert_eq!(merged[0].header.seq_provider, Some(1));
        assert!(rig.shard.remove_merge(&name));
        flip(&mut rig);
    }
    assert_eq!(rig.shard.merges().count(), MERGES_MAX);
}

#[test]
fn a_merge_that_is_refused_has_changed_nothing() {
    let mut rig = Rig::without();
    rig.shard.add_merge(&spec()).unwrap();
    let known = |rig: &Rig| {
        let catalog = rig.shard.catalog();
        let names = ["ETH-USDT", "m"]
            .map(|name| (catalog.find_instrument(name), catalog.find_provider(name)));
        let slots = crate::capacity::BOOKS_MAX - rig.shard.slots_free();
        (names, slots, catalog.providers().len(), rig.shard.merges().count())
    };
    let before = known(&rig);
    let new = || MergeSpec { name: "m".into(), instrument: "ETH-USDT".into(), ..spec() };
    for wrong in [
        MergeSpec { kind: Kind::BookUpdate, ..new() },
        MergeSpec { window: Duration::ZERO, ..new() },
        MergeSpec { providers: vec!["p".into(), "x".into()], ..new() },
        MergeSpec { providers: vec!["p".into(), "best".into()], ..new() },
        MergeSpec { name: "".into(), ..new() },
        MergeSpec { name: "p".into(), ..new() },
        MergeSpec { name: "best".into(), ..new() },
    ] {
        rig.shard.add_merge(&wrong).unwrap_err();
        assert_eq!(known(&rig), before, "{wrong:?}");
    }
    // No room for names, for slots, for merges.
    for n in rig.shard.catalog().providers().len()..crate::capacity::PARTIES_MAX {
        rig.shard.catalog().provider(&n.to_string()).unwrap();
    }
    let full = known(&rig);
    let error = rig.shard.add_merge(&new()).unwrap_err();
    assert!(error.message.contains("no room for the name 'm'"), "{error}");
    assert_eq!(known(&rig), full);
    let mut rig = Rig::without();
    let eth = rig.shard.catalog().instrument("ETH-USDT").unwrap();
    let other = (0..).map(InstrumentId).filter(|other| *other != eth);
    for instrument in other.take(rig.shard.slots_free() - 3) {
        rig.shard.port(ProviderId(9), Nanos(1)).book(instrument);
    }
    let full = known(&rig);
    let error = rig.shard.add_merge(&new()).unwrap_err();
    assert!(error.message.contains("no room for its streams"), "{error}");
    assert_eq!(known(&rig), full);
}

#[test]
fn a_merge_that_does_not_hold_together_is_refused_with_what_would_be_right() {
    let mut rig = Rig::without();
    rig.shard.catalog().provider("taken").unwrap();
    let pair = || vec!["p".into(), "q".into()];
    let wrong: [(MergeSpec, &str); 9] = [
        (MergeSpec { kind: Kind::BookUpdate, ..spec() }, "one of trade, quote, ticker"),
        (MergeSpec { kind: Kind::Merged, ..spec() }, "one of trade, quote, ticker"),
        (MergeSpec { providers: vec!["p".into()], ..spec() }, "1 providers; expected 2 to 64"),
        (MergeSpec { providers: vec!["p".into(), "p".into()], ..spec() }, "'p' twice"),
        (MergeSpec { providers: vec!["p".into(), "x".into()], ..spec() }, "no provider is named"),
        (MergeSpec { window: Duration::ZERO, ..spec() }, "expected 1ms to 3600s"),
        (MergeSpec { fragments_max: 2, ..spec() }, "expected 3 (one from each"),
        (MergeSpec { name: "taken".into(), providers: pair(), ..spec() }, "that no provider has"),
        (MergeSpec { name: "".into(), providers: pair(), ..spec() }, "that no provider has"),
    ];
    for (spec, right) in wrong {
        let error: Error = rig.shard.add_merge(&spec).unwrap_err();
        assert!(error.message.contains(right), "{error}");
    }
    assert_eq!(rig.shard.merges().count(), 0);
    rig.shard.add_merge(&spec()).unwrap();
    let of_merge =
        MergeSpec { name: "m".into(), providers: vec!["p".into(), "best".into()], ..spec() };
    assert!(rig.shard.add_merge(&of_merge).is_err(), "no merge of merges");
}

#[test]
fn there_is_room_for_so_many_merges() {
    let mut rig = Rig::without();
    for n in 0..crate::capacity::MERGES_MAX {
        let name = format!("m{n}").into();
        rig.shard.add_merge(&MergeSpec { name, ..spec() }).unwrap();
    }
    let error = rig.shard.add_merge(&spec()).unwrap_err();
    assert!(error.message.contains("limit of 256"), "{error}");
    rig.shard.remove_merge("m7");
    rig.shard.add_merge(&MergeSpec { name: "m7".into(), ..spec() }).unwrap();
}

#[test]
fn merged_events_come_to_who_subscribed_the_merge_by_its_name() {
    let mut rig = Rig::without();
    let mut others: Vec<_> = ["merged", "quotes"]
        .map(|name| rig.shard.add_consumer(name, QueueCapacity::default(), Nanos(0)).unwrap())
        .into();
    rig.shard.add_merge(&MergeSpec { close: CloseOn::Complete, ..spec() }).unwrap();
    let wants = |n: usize, providers: &[&str], kind| Subscription {
        consumer: others[n].id(),
        providers: providers.iter().map(|name| (*name).into()).collect(),
        kinds: vec![kind],
        ..Subscription::default()
    };
    let wanted = [wants(0, &["best"], Kind::Merged), wants(1, &[], Kind::Quote)];
    let table = RoutingTable::default().next(&wanted, rig.shard.catalog()).unwrap();
    rig.shard.set_routing(std::sync::Arc::new(table), Nanos(0));
    (0..3).for_each(|provider| rig.quote(provider, 10, 1));
    rig.shard.end_turn(Nanos(10));
    let got = others.iter_mut().map(|inbox| {
        let mut kept = Kept::default();
        inbox.drain(&mut kept, || Nanos(10));
        kept.0.iter().map(Event::kind).collect::<Vec<_>>()
    });
    assert_eq!(got.collect::<Vec<_>>(), [vec![Kind::Merged], vec![Kind::Quote; 3]]);
}

#[test]
fn the_copies_of_a_merged_event_share_its_fragments() {
    let (mut shard, mut inboxes) =
        shard(&[("a", QueueCapacity::default()), ("b", QueueCapacity::default())]);
    shard.catalog().provider("q").unwrap();
    let providers = vec!["p".into(), "q".into()];
    shard.add_merge(&MergeSpec { providers, close: CloseOn::Complete, ..spec() }).unwrap();
    let inbox = inboxes.remove(0);
    let mut rig = Rig { shard, inbox, kept: Kept::default() };
    rig.quote(0, 1, 1);
    rig.quote(1, 2, 1);
    let ours = rig.merged(2).remove(0);
    let mut kept = Kept::default();
    inboxes[0].drain(&mut kept, || Nanos(2));
    let theirs = kept.0.pop().unwrap();
    assert_eq!(theirs, ours);
    assert_eq!(window(&theirs).fragments.as_ptr(), window(&ours).fragments.as_ptr());
}

#[test]
fn a_slow_consumer_gets_the_latest_window_of_quotes_and_every_window_of_trades() {
    for (kind, expected) in [(Kind::Quote, vec![1, 4]), (Kind::Trade, vec![1, 2, 3, 4])] {
        let (mut shard, mut inboxes) =
            shard(&[("slow", QueueCapacity { ring: 1, trades: 9, ..QueueCapacity::default() })]);
        shard.catalog().provider("q").unwrap();
        let providers = vec!["p".into(), "q".into()];
        let spec = MergeSpec { kind, providers, close: CloseOn::Complete, ..spec() };
        let id = shard.add_merge(&spec).unwrap();
        let name = shard.catalog().provider_name(id).unwrap();
        let merged = Subscription {
            consumer: inboxes[0].id(),
            providers: vec![(*name).into()],
            ..Subscription::default()
        };
        let table = RoutingTable::default().next(&[merged], shard.catalog()).unwrap();
        shard.set_routing(std::sync::Arc::new(table), Nanos(0));
        let mut rig = Rig { shard, inbox: inboxes.remove(0), kept: Kept::default() };
        for n in 1..=4 {
            for provider in 0..2 {
                let at = 10 * n + u64::from(provider);
                if kind == Kind::Quote {
                    rig.quote(provider, at, n)
                } else {
                    rig.trade(provider, at, n)
                }
            }
        }
        let mut seqs = Vec::new();
        for _ in 0..4 {
            seqs.extend(rig.merged(99).iter().filter_map(|event| event.header.seq_provider));
        }
        assert_eq!(seqs, expected, "{kind:?}");
    }
}
