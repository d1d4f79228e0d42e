//! What is counted is what happened, and a snapshot that is taken in the middle of it adds up.

use proptest::prelude::*;

use super::*;
use crate::queue::Lost;
use crate::shard::Metrics;
use crate::tally::Handed;

const MS: u64 = 1_000_000;

fn slow(ring: usize, trades: usize) -> (Shard, Inbox) {
    let capacity = QueueCapacity { ring, trades, ..QueueCapacity::default() };
    let (shard, mut inboxes) = testing::shard(&[("slow", capacity)]);
    (shard, inboxes.remove(0))
}

fn quote(shard: &mut Shard, (recv, emit): (u64, u64)) {
    let mut port = shard.port(P, Nanos(recv));
    port.ts_emit = Nanos(emit);
    let mut event = port.event().unwrap();
    event.set_kind(INSTRUMENT, Kind::Quote);
    port.emit(event);
}

#[test]
fn every_stage_of_an_event_is_measured_by_its_stamps() {
    let (mut shard, mut inbox) = slow(64, 64);
    quote(&mut shard, (1_000, 1_005));
    quote(&mut shard, (2_000, 2_007));
    shard.end_turn(Nanos(2_010));
    inbox.drain(&mut Keeper::default(), || Nanos(2_107));
    let metrics = shard.metrics(Nanos(3_000));
    assert_eq!((metrics.at, metrics.routing_version), (Nanos(3_000), 1));
    let [stream] = &metrics.streams[..] else { panic!("{metrics:?}") };
    assert_eq!(
        (&*stream.provider, &*stream.instrument, stream.kind),
        ("p", "BTC-USDT", Kind::Quote)
    );
    let wait = &stream.stats.wait;
    assert_eq!((wait.count(), wait.sum_ns(), wait.max_ns()), (2, 5 + 7, 7), "read to hand-over");
    let [consumer] = &metrics.consumers[..] else { panic!("{metrics:?}") };
    assert_eq!(&*consumer.name, "slow");
    let queued = &consumer.queued;
    assert_eq!((queued.count(), queued.sum_ns(), queued.max_ns()), (2, 1_102 + 100, 1_102));
    assert_eq!((consumer.latency_ns.len(), consumer.latency_ns.max()), (2, 1_107));
    let [handed] = &consumer.streams[..] else { panic!("{consumer:?}") };
    assert_eq!((&*handed.provider, handed.kind, handed.lost), ("p", Kind::Quote, Lost::default()));
    let of = handed.handed;
    assert_eq!((of.delivered, of.latency_sum_ns, of.latency_max_ns), (2, 1_107 + 107, 1_107));
}

#[test]
fn an_event_that_waited_behind_a_hole_counts_that_wait() {
    let (mut shard, _inbox) = slow(64, 64);
    shard.resequence(P, Kind::Trade, crate::resequence::Limits::default());
    for (at, trade_id) in [(0, 1), (10, 3), (30, 2)] {
        testing::trade(&mut shard, Nanos(at * MS), trade_id);
    }
    let trades = shard.stream(P, INSTRUMENT, Kind::Trade).unwrap();
    assert_eq!((trades.wait.count(), trades.wait.max_ns()), (3, 20 * MS));
}

#[test]
fn how_many_wait_behind_a_hole_stands_with_the_stream() {
    let (mut shard, _inbox) = slow(64, 64);
    shard.resequence(P, Kind::Trade, crate::resequence::Limits::default());
    let early = |shard: &Shard| shard.metrics(Nanos(9)).streams[0].early;
    for (trade, waiting) in [(1, 0), (3, 1), (5, 2), (2, 1), (4, 0)] {
        testing::trade(&mut shard, Nanos(1), trade);
        assert_eq!(early(&shard), waiting, "{trade}");
    }
}

#[test]
fn critical_events_have_times_and_a_depth_of_their_own() {
    let (mut shard, mut inbox) = slow(64, 64);
    let id = inbox.id();
    for n in 1..=3 {
        let mut event = Event::default();
        event.header.stream.kind = Kind::ExecReport;
        (event.header.seq_provider, event.header.ts_recv) = (Some(n), Nanos(1_000));
        shard.execution(id, event, Nanos(1_000));
    }
    shard.end_turn(Nanos(2_000));
    let of = |shard: &Shard| shard.metrics(Nanos(3_000)).consumers.remove(0);
    let counts = of(&shard).counts;
    assert_eq!((counts.critical_queued, counts.critical_queued_max, counts.queued), (3, 3, 0));
    assert_eq!(counts, inbox_counts(&shard));
    inbox.drain(&mut Keeper::default(), || Nanos(1_400));
    quote(&mut shard, (2_000, 2_000));
    shard.end_turn(Nanos(2_000));
    inbox.drain(&mut Keeper::default(), || Nanos(2_050));
    let found = of(&shard);
    assert_eq!((found.counts.critical_queued, found.counts.critical_queued_max), (0, 3));
    let critical = found.critical;
    assert_eq!((critical.count(), critical.sum_ns(), critical.max_ns()), (3, 1_200, 400));
    assert_eq!((found.latency_ns.len(), found.queued.count()), (1, 1), "and no other's");
}

#[test]
fn a_merge_names_who_is_missing() {
    let (mut shard, _inbox) = slow(64, 64);
    shard.catalog().provider("q").unwrap();
    let spec = crate::MergeSpec {
        name: "m".into(),
        instrument: "BTC-USDT".into(),
        providers: vec!["p".into(), "q".into()],
        ..crate::MergeSpec::default()
    };
    shard.add_merge(&spec).unwrap();
    quote(&mut shard, (1, 1));
    shard.end_turn(Nanos(20_000 * MS));
    let merge = shard.metrics(Nanos(20_000 * MS)).merges.remove(0);
    let missing: Vec<_> = merge.missing.iter().map(|(name, n)| (&**name, *n)).collect();
    assert_eq!(missing, [("p", 0), ("q", 1)]);
}

#[test]
fn depths_have_a_high_water_and_being_behind_has_a_duration() {
    let (mut shard, mut inbox) = slow(4, 100);
    let turn = |shard: &mut Shard, at: u64, trades: u64| {
        (0..trades).for_each(|n| testing::trade(shard, Nanos(at * MS), at * 100 + n));
        shard.end_turn(Nanos(at * MS));
        let counts = shard.metrics(Nanos(at * MS)).consumers[0].counts;
        assert_eq!(counts, inbox_counts(shard), "what is published is the same after a turn");
        (
            counts.queued,
            counts.queued_max,
            counts.waiting,
            counts.waiting_max,
            counts.behind_ns / MS,
        )
    };
    assert_eq!(turn(&mut shard, 1, 3), (3, 3, 0, 0, 0));
    assert_eq!(turn(&mut shard, 2, 3), (4, 4, 2, 2, 0));
    assert_eq!(turn(&mut shard, 5, 0), (4, 4, 2, 2, 3), "time passes without events, too");
    inbox.drain(&mut Keeper::default(), || Nanos(0));
    assert_eq!(turn(&mut shard, 9, 0), (2, 4, 0, 2, 7));
    assert_eq!(turn(&mut shard, 20, 1), (3, 4, 0, 2, 7), "and no longer than it is behind");
}

fn inbox_counts(shard: &Shard) -> crate::ConsumerCounts {
    shard.consumers().next().unwrap().1.counts()
}

#[test]
fn what_a_consumer_lacks_of_a_stream_stands_with_the_stream() {
    let (mut shard, mut inbox) = slow(1, 2);
    for n in 1..=5 {
        testing::trade(&mut shard, Nanos(n), n);
        quote(&mut shard, (n, n));
    }
    shard.end_turn(Nanos(9));
    for _ in 0..9 {
        inbox.drain(&mut Keeper::default(), || Nanos(9));
        shard.end_turn(Nanos(9));
    }
    let metrics = shard.metrics(Nanos(9));
    let of = |kind: Kind| metrics.consumers[0].streams.iter().find(|of| of.kind == kind).unwrap();
    let (trades, quotes) = (of(Kind::Trade), of(Kind::Quote));
    assert_eq!((trades.handed.delivered, trades.lost), (3, Lost { conflated: 0, dropped: 2 }));
    assert_eq!((quotes.handed.delivered, quotes.lost), (1, Lost { conflated: 4, dropped: 0 }));
}

#[test]
fn what_a_consumer_lacks_is_told_though_it_was_handed_nothing_and_when_it_is_gone() {
    let (mut shard, inbox) = slow(1, 2);
    for n in 1..=5 {
        testing::trade(&mut shard, Nanos(n), n);
        quote(&mut shard, (n, n));
    }
    shard.end_turn(Nanos(9));
    let lacks = |shard: &Shard| -> Vec<_> {
        let consumer = shard.metrics(Nanos(9)).consumers.remove(0);
        assert!(consumer.streams.iter().all(|of| of.handed == Handed::default()));
        consumer.streams.iter().map(|of| (of.kind, of.lost)).collect()
    };
    let lost = |conflated, dropped| Lost { conflated, dropped };
    let expected = [(Kind::Trade, lost(0, 2)), (Kind::Quote, lost(4, 0))];
    assert_eq!(lacks(&shard), expected);
    drop(inbox);
    shard.end_turn(Nanos(10));
    assert_eq!(lacks(&shard), expected, "counters never go back");
}

/// What holds at any moment; `before` is an earlier one.
fn assert_adds_up(metrics: &Metrics, before: Option<&Metrics>) {
    for (n, consumer) in metrics.consumers.iter().enumerate() {
        let counts = consumer.counts;
        let out = counts.delivered + counts.skipped + counts.conflated + counts.merged;
        assert!(out + counts.dropped <= counts.offered + counts.snapshots, "{counts:?}");
        let handed: u64 = consumer.streams.iter().map(|of| of.handed.delivered).sum();
        assert_eq!((consumer.latency_ns.len(), consumer.queued.count()), (handed, handed));
        assert!(handed <= counts.delivered, "{counts:?}");
        let lost = consumer.streams.iter().map(|of| of.lost.conflated + of.lost.dropped);
        assert_eq!(lost.sum::<u64>(), counts.conflated + counts.dropped, "{counts:?}");
        if let Some(before) = before.and_then(|before| before.consumers.get(n)) {
            let earlier = before.counts;
            assert!(earlier.delivered <= counts.delivered && earlier.offered <= counts.offered);
            assert!(before.queued.sum_ns() <= consumer.queued.sum_ns());
        }
    }
    for stream in &metrics.streams {
        assert_eq!(stream.stats.wait.count(), stream.stats.emitted);
    }
}

proptest! {
    /// Whatever happens in whatever order, snapshots between turns add up, and at the end exactly.
    #[test]
    fn a_snapshot_at_any_time_adds_up(steps in prop::collection::vec(0..5usize, 1..300)) {
        let (mut shard, mut inbox) = slow(3, 4);
        let mut before: Option<Metrics> = None;
        for (now, step) in (1..).zip(steps) {
            match step {
                0 => testing::trade(&mut shard, Nanos(now), now),
                1 => testing::update(&mut shard, Nanos(now), now),
                2 => quote(&mut shard, (now, now)),
                3 => drop(inbox.drain_up_to(2, &mut Keeper::default(), || Nanos(now))),
                _ => shard.end_turn(Nanos(now)),
            }
            let metrics = shard.metrics(Nanos(now));
            assert_adds_up(&metrics, before.as_ref());
            before = Some(metrics);
        }
        for _ in 0..50 {
            shard.end_turn(Nanos(1_000));
            inbox.drain(&mut Keeper::default(), || Nanos(1_000));
        }
        shard.end_turn(Nanos(1_000));
        let counts = shard.metrics(Nanos(1_000)).consumers[0].counts;
        let out = counts.delivered + counts.conflated + counts.merged + counts.dropped;
        prop_assert_eq!(out, counts.offered + counts.snapshots);
    }
}

#[test]
fn a_snapshot_adds_up_while_the_consumer_runs_on_its_own_thread() {
    let (mut shard, mut inbox) = slow(64, 64);
    let thread = std::thread::spawn(move || {
        while !inbox.is_closed() {
            inbox.drain(&mut Keeper::default(), || Nanos(5));
        }
    });
    let mut before: Option<Metrics> = None;
    for turn in 1..=300 {
        for n in 0..40 {
            testing::trade(&mut shard, Nanos(turn), turn * 100 + n);
            quote(&mut shard, (turn, turn));
        }
        if turn % 2 == 0 {
            shard.end_turn(Nanos(turn));
        }
        let metrics = shard.metrics(Nanos(turn));
        assert_adds_up(&metrics, before.as_ref());
        before = Some(metrics);
    }
    drop(shard);
    thread.join().unwrap();
}
