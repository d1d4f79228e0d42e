//! A sequenced stream in the shard: who hears what, when, and what is counted.

use std::time::Duration;

use model::event::Trade;

use super::*;
use crate::resequence::Limits;

const MS: u64 = 1_000_000;

/// A shard whose trades are sequenced and `Live`, with one consumer.
fn sequenced() -> (Shard, Inbox) {
    let (mut shard, inbox) = one();
    shard.resequence(P, Kind::Trade, Limits::default());
    testing::status(&mut shard, Nanos(0), Kind::Trade, StreamState::Live);
    (shard, inbox)
}

/// Trades by their number, states by theirs.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Trade(u64),
    State(StreamState, Reason),
}

use Told::State;

const GAP: Told = State(StreamState::Gapped, Reason::SequenceGap);
const ON: Told = State(StreamState::Live, Reason::Flowing);

fn t(trade: u64) -> Told {
    Told::Trade(trade)
}

fn heard(inbox: &mut Inbox) -> Vec<Told> {
    let events = take(inbox);
    let traces: Vec<_> = events.iter().map(|event| event.header.trace_id).collect();
    assert!(traces.is_sorted_by(|a, b| a < b), "{traces:?}");
    let what = events.into_iter().map(|event| match event.body {
        Body::Trade(trade) => t(trade.trade_id),
        Body::Status(status) => State(status.state, status.reason),
        body => panic!("{body:?}"),
    });
    what.collect()
}

fn trades(shard: &mut Shard, now: Nanos, numbers: &[u64]) {
    numbers.iter().for_each(|n| testing::trade(shard, now, *n));
}

#[test]
fn two_connections_give_one_stream_and_the_first_wins() {
    let (mut shard, mut inbox) = sequenced();
    // The newer connection is ahead of what only the older one still brings.
    trades(&mut shard, Nanos(1), &[10, 12, 10, 13, 11, 12, 13, 14, 14]);
    assert_eq!(heard(&mut inbox), [ON, t(10), t(11), t(12), t(13), t(14)]);
    let stats = shard.stream(P, INSTRUMENT, Kind::Trade).unwrap();
    assert_eq!((stats.decoded, stats.emitted, stats.duplicates), (9, 5, 4));
    assert_eq!((stats.early, stats.late, stats.gaps, stats.out_of_order), (2, 0, 0, 0));
    assert_eq!(shard.deadline(), None);
}

#[test]
fn a_hole_that_is_given_up_is_told_in_the_stream_and_counted() {
    let (mut shard, mut inbox) = sequenced();
    trades(&mut shard, Nanos(1), &[10, 13]);
    for ms in [50, 100] {
        assert_eq!(shard.deadline(), Some(Nanos(1 + ms * MS)));
        shard.end_turn(Nanos(1 + ms * MS));
    }
    assert_eq!(heard(&mut inbox), [ON, t(10)]);
    shard.end_turn(Nanos(1 + 150 * MS));
    assert_eq!(shard.deadline(), None);
    trades(&mut shard, Nanos(1 + 151 * MS), &[14, 12]);
    assert_eq!(heard(&mut inbox), [GAP, ON, t(13), t(14)]);
    let stats = shard.stream(P, INSTRUMENT, Kind::Trade).unwrap();
    assert_eq!((stats.gaps, stats.resyncs, stats.late, stats.duplicates), (1, 1, 1, 0));
    assert_eq!((stats.decoded, stats.emitted, stats.transitions), (4, 3, 3));
}

#[test]
fn what_waited_keeps_the_time_of_its_arrival_and_holds_no_pooled_event() {
    let (mut shard, mut inbox) = sequenced();
    trades(&mut shard, Nanos(1), &[1]);
    for (read, emitted, trade_id) in [(1, 2, 3), (5, 6, 2)] {
        let mut port = shard.port(P, Nanos(read));
        port.ts_emit = Nanos(emitted);
        let mut event = port.event().unwrap();
        event.set_kind(INSTRUMENT, Kind::Trade);
        event.header.seq_provider = Some(trade_id);
        event.body = Body::Trade(Trade { trade_id, ..Trade::default() });
        port.emit(event);
        assert_eq!(shard.pools().canonical_events.stats().in_use, 0);
    }
    let header = take(&mut inbox).pop().unwrap().header;
    assert_eq!(
        (header.seq_provider, header.ts_recv, header.ts_emit),
        (Some(3), Nanos(1), Nanos(6))
    );
    assert_eq!((header.stream.provider, header.routing_version), (P, 1));
}

#[test]
fn a_lost_connection_lets_out_what_waits_and_the_next_may_count_from_anywhere() {
    for reason in [Reason::Disconnected, Reason::VenueReset, Reason::Subscribed] {
        let (mut shard, mut inbox) = sequenced();
        trades(&mut shard, Nanos(1), &[10, 12]);
        let mut port = shard.port(P, Nanos(2));
        port.status(INSTRUMENT, Kind::Trade, StreamState::Gapped, reason);
        port.status(INSTRUMENT, Kind::Trade, StreamState::Live, Reason::Flowing);
        trades(&mut shard, Nanos(3), &[4, 5]);
        let lost = State(StreamState::Gapped, reason);
        assert_eq!(heard(&mut inbox), [ON, t(10), GAP, ON, t(12), lost, ON, t(4), t(5)]);
    }
}

#[test]
fn a_stream_in_doubt_keeps_its_position() {
    let (mut shard, mut inbox) = sequenced();
    trades(&mut shard, Nanos(1), &[10]);
    let mut port = shard.port(P, Nanos(2));
    port.status(INSTRUMENT, Kind::Trade, StreamState::Stale, Reason::ProbeMissedProgress);
    trades(&mut shard, Nanos(3), &[10, 11]);
    let stale = State(StreamState::Stale, Reason::ProbeMissedProgress);
    assert_eq!(heard(&mut inbox), [ON, t(10), stale, t(11)]);
}

#[test]
fn where_positions_skip_each_goes_out_once_and_what_comes_late_is_no_double() {
    let (mut shard, mut inbox) = one();
    shard.once(P, Kind::Trade);
    testing::status(&mut shard, Nanos(0), Kind::Trade, StreamState::Live);
    trades(&mut shard, Nanos(1), &[10, 20, 15, 15, 20, 10, 5, 21]);
    assert_eq!(heard(&mut inbox), [ON, t(10), t(20), t(15), t(5), t(21)]);
    let stats = shard.stream(P, INSTRUMENT, Kind::Trade).unwrap();
    assert_eq!((stats.decoded, stats.emitted, stats.duplicates, stats.late), (8, 5, 3, 0));
    assert_eq!((stats.out_of_order, stats.early, shard.deadline()), (2, 0, None));
    testing::status(&mut shard, Nanos(2), Kind::Trade, StreamState::Stale);
    trades(&mut shard, Nanos(3), &[10, 15]);
    assert_eq!(shard.stream(P, INSTRUMENT, Kind::Trade).unwrap().duplicates, 5);
    let mut port = shard.port(P, Nanos(4));
    port.status(INSTRUMENT, Kind::Trade, StreamState::Gapped, Reason::Disconnected);
    trades(&mut shard, Nanos(5), &[10]);
    assert_eq!(heard(&mut inbox).last(), Some(&t(10)), "a venue that restarted may count anew");
}

#[test]
fn what_is_too_late_to_know_whether_it_was_there_is_told_in_the_stream() {
    let (mut shard, mut inbox) = one();
    shard.once(P, Kind::Trade);
    testing::status(&mut shard, Nanos(0), Kind::Trade, StreamState::Live);
    let most = crate::capacity::RECENT_MAX as u64;
    // Of 2, 4, … the first is not remembered any more.
    let mut pass = |shard: &mut Shard, n: u64| {
        trades(shard, Nanos(n), &[2 * n]);
        shard.end_turn(Nanos(n));
        heard(&mut inbox)
    };
    (1..=most + 1).for_each(|n| drop(pass(&mut shard, n)));
    trades(&mut shard, Nanos(most + 2), &[1, 2, 3, 1, 2 * most + 1, 4]);
    assert_eq!(heard(&mut inbox), [GAP, ON, t(3), t(2 * most + 1)]);
    let stats = shard.stream(P, INSTRUMENT, Kind::Trade).unwrap();
    assert_eq!((stats.late, stats.duplicates, stats.gaps), (2, 2, 1));
    // Once it is all forgotten, it is told again.
    for n in 1..=most {
        trades(&mut shard, Nanos(2 * most), &[4 * most + n]);
        shard.end_turn(Nanos(2 * most));
        heard(&mut inbox);
    }
    trades(&mut shard, Nanos(3 * most), &[1, 2]);
    assert_eq!(heard(&mut inbox), [GAP, ON]);
}

#[test]
fn streams_that_were_not_declared_pass_straight_through() {
    let (mut shard, mut inbox) = one();
    let other = shard.catalog().provider("other").unwrap();
    shard.resequence(other, Kind::Trade, Limits::default());
    shard.resequence(P, Kind::Quote, Limits::default());
    trades(&mut shard, Nanos(1), &[10, 12, 11, 11]);
    assert_eq!(heard(&mut inbox), [t(10), t(12), t(11), t(11)]);
    assert_eq!(shard.stream(P, INSTRUMENT, Kind::Trade).unwrap().out_of_order, 1);
}

#[test]
fn limits_are_per_kind_and_streams_do_not_wait_for_each_other() {
    let (mut shard, mut inbox) = one();
    let lateness = Duration::from_millis(10);
    let short = Limits { lateness, look_every: lateness, ..Limits::default() };
    shard.resequence(P, Kind::Trade, short);
    shard.resequence(P, Kind::Quote, Limits::default());
    let quote = |shard: &mut Shard, seq| {
        let mut port = shard.port(P, Nanos(1));
        let mut event = port.event().unwrap();
        event.set_kind(INSTRUMENT, Kind::Quote);
        event.header.seq_provider = Some(seq);
        port.emit(event);
    };
    trades(&mut shard, Nanos(1), &[1, 3]);
    quote(&mut shard, 1);
    quote(&mut shard, 3);
    let seqs = |inbox: &mut Inbox| -> Vec<_> {
        take(inbox).iter().filter_map(|e| Some((e.kind(), e.header.seq_provider?))).collect()
    };
    assert_eq!(seqs(&mut inbox), [(Kind::Trade, 1), (Kind::Quote, 1)]);
    shard.end_turn(Nanos(1 + 10 * MS));
    assert_eq!(seqs(&mut inbox), [(Kind::Trade, 3)]);
    assert_eq!(shard.deadline(), Some(Nanos(1 + 50 * MS)));
    quote(&mut shard, 2);
    assert_eq!(seqs(&mut inbox), [(Kind::Quote, 2), (Kind::Quote, 3)]);
}
