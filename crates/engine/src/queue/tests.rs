//! Each policy by example, and the backlog's bounds for any order of calls.

use model::event::{BookMeta, Reason, StreamStatus};
use model::{Decimal, InstrumentId, Level, Stream, StreamState};
use proptest::prelude::*;

use super::line::{PLACES_KEPT, SLACK};
use super::*;
use crate::capacity::{DROPPED_SHOWN, MERGED_LEVELS_EACH, MERGED_LEVELS_MAX};

fn event(kind: Kind, seq: u64) -> Event {
    let stream = Stream { instrument: InstrumentId(1), kind, ..Stream::default() };
    let header = Header { stream, seq_provider: Some(seq), trace_id: seq, ..Header::default() };
    let body = match kind {
        Kind::StreamStatus => Body::Status(StreamStatus {
            of: Kind::Quote,
            state: StreamState::Gapped,
            reason: Reason::Disconnected,
            transitions: 1,
            ..StreamStatus::default()
        }),
        Kind::Trade => Body::Trade(model::event::Trade {
            price: Decimal::ONE,
            trade_id: seq,
            ..model::event::Trade::default()
        }),
        Kind::BookUpdate => return update(seq, &[(seq.into(), 1)]),
        _ => Body::Empty,
    };
    Event { header, body, levels: None }
}

/// An update of those bids, which follows the one numbered one less.
fn update(seq: u64, bids: &[(Decimal, i64)]) -> Event {
    let stream = Stream { kind: Kind::BookUpdate, ..Stream::default() };
    let header = Header { stream, seq_provider: Some(seq), trace_id: seq, ..Header::default() };
    let meta = BookMeta {
        seq_first: Some(seq),
        seq_last: Some(seq),
        seq_prev: Some(seq - 1),
        generation: 1,
        bids: bids.len() as u32,
        ..BookMeta::default()
    };
    let levels = bids.iter().map(|(price, n)| Level { price: *price, quantity: (*n).into() });
    Event { header, body: Body::Book(meta), levels: Some(levels.collect()) }
}

fn live(seq: u64) -> Event {
    let mut event = event(Kind::StreamStatus, seq);
    if let Body::Status(status) = &mut event.body {
        status.state = StreamState::Live;
    }
    event
}

struct Line {
    backlog: Backlog,
    counts: ConsumerCounts,
}

impl Line {
    fn new(trades_max: usize) -> Self {
        Self { backlog: Backlog::new(trades_max), counts: ConsumerCounts::default() }
    }

    fn put(&mut self, lane: u32, event: Event) {
        self.backlog.put(Lane::numbered(lane), event, &mut self.counts);
    }

    /// What waits: (lane, kind, seq), a snapshot to be as a book update.
    fn drain(&mut self) -> Vec<(usize, Kind, u64)> {
        std::iter::from_fn(|| self.backlog.take())
            .map(|(lane, item)| match item {
                Item::Event(event) => (lane.index(), event.kind(), event.header.trace_id),
                Item::Deltas(deltas) => (lane.index(), Kind::BookUpdate, deltas.header().trace_id),
                Item::Snapshot(header) => (lane.index(), Kind::BookSnapshot, header.trace_id),
                Item::Gone => panic!("an empty place was handed out"),
            })
            .collect()
    }

    fn transitions(&mut self) -> Vec<u32> {
        std::iter::from_fn(|| self.backlog.take())
            .filter_map(|(_, item)| match item {
                Item::Event(Event { body: Body::Status(status), .. }) => Some(status.transitions),
                _ => None,
            })
            .collect()
    }
}

use Kind::{BookSnapshot, BookUpdate, Quote, StreamStatus as Status, Trade};

#[test]
fn every_market_kind_and_the_status_have_a_policy_and_execution_has_none() {
    for kind in Kind::ALL {
        let passes_here = !kind.is_critical() || kind == Status;
        assert_eq!(WhenFull::of(kind).is_some(), passes_here, "{kind:?}");
    }
}

#[test]
fn the_latest_quote_takes_the_place_of_the_one_that_waits() {
    for kind in [Quote, Kind::Ticker, Kind::Kline, Kind::Funding] {
        let mut line = Line::new(9);
        line.put(0, event(kind, 1));
        line.put(1, event(kind, 2));
        line.put(0, event(kind, 3));
        assert_eq!(line.counts.conflated, 1);
        assert_eq!(line.drain(), [(0, kind, 3), (1, kind, 2)], "and keeps its turn");
    }
}

#[test]
fn a_quote_does_not_overtake_the_state_before_it() {
    let mut line = Line::new(9);
    line.put(0, event(Quote, 1));
    line.put(0, event(Status, 2));
    line.put(0, event(Quote, 3));
    assert_eq!(line.drain(), [(0, Status, 2), (0, Quote, 3)]);
}

#[test]
fn the_oldest_trade_of_any_stream_is_dropped_and_counted() {
    let mut line = Line::new(3);
    for seq in 1..=5 {
        line.put(u32::from(seq % 2 == 0), event(Trade, seq));
    }
    line.put(2, event(Quote, 6));
    assert_eq!(line.counts.dropped, 2);
    assert_eq!(line.drain(), [(0, Trade, 3), (1, Trade, 4), (0, Trade, 5), (2, Quote, 6)]);
}

#[test]
fn dropping_trades_spares_the_states_between_them() {
    let mut line = Line::new(1);
    line.put(0, event(Status, 1));
    for seq in 2..500 {
        line.put(0, event(Trade, seq));
    }
    assert_eq!(line.counts.dropped, 497);
    assert!(line.backlog.line.len() <= 2 * 2 + SLACK);
    assert_eq!(line.drain(), [(0, Status, 1), (0, Trade, 499)]);
}

#[test]
fn a_long_line_gives_its_memory_back_when_it_is_empty() {
    let many = 4 * PLACES_KEPT;
    let mut line = Line::new(many);
    (0..many as u64).for_each(|seq| line.put(0, event(Trade, seq)));
    assert!(line.backlog.line.capacity() >= many);
    line.drain();
    line.backlog.tidy();
    assert!(line.backlog.line.capacity() < 2 * PLACES_KEPT);
}

#[test]
fn a_line_that_closed_its_gaps_still_keeps_everyones_turn() {
    let mut line = Line::new(1);
    line.put(0, event(Quote, 1));
    for seq in 2..500 {
        line.put(1, event(Trade, seq));
    }
    line.put(0, event(Quote, 500));
    assert_eq!(line.drain(), [(0, Quote, 500), (1, Trade, 499)]);
}

#[test]
fn withheld_updates_become_one_snapshot() {
    let mut line = Line::new(9);
    line.put(0, event(BookUpdate, 1));
    line.put(0, event(BookSnapshot, 2));
    line.put(0, event(BookUpdate, 3));
    assert_eq!(line.counts.conflated, 3);
    assert_eq!(line.drain(), [(0, BookSnapshot, 3)]);
}

#[test]
fn updates_merge_level_by_level_and_keep_removals_and_what_they_cover() {
    let mut line = Line::new(9);
    let price = |n: i64| Decimal::new(n, 1);
    line.put(0, update(4, &[(price(10), 1), (price(30), 1)]));
    line.put(0, update(5, &[(price(20), 2), (price(10), 0)]));
    line.put(0, update(6, &[(Decimal::new(300, 2), 7), (price(40), 0)]));
    assert_eq!((line.counts.conflated, line.backlog.levels), (2, 4));
    let Some((_, Item::Deltas(deltas))) = line.backlog.take() else { panic!("they are merged") };
    assert_eq!(line.backlog.levels, 0);
    let event = deltas.into_event();
    let Body::Book(meta) = event.body else { panic!("{event:?}") };
    assert_eq!((meta.seq_prev, meta.seq_first, meta.seq_last), (Some(3), Some(4), Some(6)));
    assert_eq!((event.header.seq_provider, event.asks().len()), (Some(6), 0));
    let bids: Vec<_> = event.bids().iter().map(|l| (l.price, l.quantity)).collect();
    let expected = [(40, 0), (30, 7), (20, 2), (10, 0)];
    assert_eq!(bids, expected.map(|(at, quantity)| (price(at), quantity.into())));
    assert_eq!(event.bids()[1].price.scale(), 2, "the last spelling is what is read back");
}

#[test]
fn merged_updates_do_not_overtake_the_state_before_the_last_of_them() {
    let mut line = Line::new(9);
    line.put(0, event(BookUpdate, 1));
    line.put(0, event(Status, 2));
    line.put(0, event(BookUpdate, 3));
    line.put(0, event(BookUpdate, 4));
    assert_eq!(line.drain(), [(0, Status, 2), (0, BookUpdate, 4)]);
}

#[test]
fn updates_of_more_levels_than_may_wait_become_one_snapshot() {
    for (each, books) in [(MERGED_LEVELS_EACH / 2 + 1, 1), (MERGED_LEVELS_EACH / 2, 66)] {
        let mut line = Line::new(9);
        for seq in 1..=2 {
            for book in 0..books {
                let first = seq * 1_000;
                let bids: Vec<_> = (first..first + each as u64).map(|at| (at.into(), 1)).collect();
                line.put(book, update(seq, &bids));
            }
        }
        assert!(line.backlog.levels <= MERGED_LEVELS_MAX);
        let whole = MERGED_LEVELS_MAX / MERGED_LEVELS_EACH;
        let withheld = (books as usize).saturating_sub(whole).max(usize::from(books == 1));
        let waits = line.drain();
        let snapshots = waits.iter().filter(|(_, kind, _)| *kind == BookSnapshot);
        assert_eq!(snapshots.count(), withheld);
        assert_eq!(line.counts.conflated as usize, books as usize + withheld);
        assert_eq!(line.backlog.levels, 0);
    }
}

#[test]
fn an_update_of_another_snapshot_is_never_merged() {
    let mut line = Line::new(9);
    line.put(0, event(BookUpdate, 1));
    let mut other = event(BookUpdate, 2);
    if let Body::Book(meta) = &mut other.body {
        meta.generation = 2;
    }
    line.put(0, other);
    assert_eq!(line.drain(), [(0, BookSnapshot, 2)]);
    assert_eq!((line.counts.conflated, line.backlog.levels), (2, 0));
}

#[test]
fn the_next_trade_of_a_stream_says_how_many_were_dropped_before_it() {
    let mut line = Line::new(2);
    for (lane, seq) in [(0, 1), (1, 2), (0, 3), (0, 4), (2, 5), (2, 6)] {
        line.put(lane, event(Trade, seq));
    }
    let told = |line: &mut Line| match line.backlog.take() {
        Some((lane, Item::Event(event))) => {
            (lane.index(), event.header.trace_id, event.header.dropped)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!((told(&mut line), told(&mut line)), ((2, 5, 0), (2, 6, 0)));
    for (lane, dropped) in [(1, 1), (2, 0), (0, 3), (0, 0)] {
        let mut next = event(Trade, 9);
        assert!(line.backlog.admits(Lane::numbered(lane), &mut next));
        assert_eq!(next.header.dropped, dropped, "lane {lane}");
    }
    assert_eq!(line.backlog.owing, 0);
}

#[test]
fn a_snapshot_goes_before_the_state_that_says_it_is_live() {
    let mut line = Line::new(9);
    line.put(0, event(BookUpdate, 1));
    line.put(0, event(Status, 2));
    line.put(0, event(BookSnapshot, 3));
    line.put(0, live(4));
    line.put(0, event(BookUpdate, 5));
    assert_eq!(line.drain(), [(0, BookSnapshot, 5), (0, Status, 4)]);
    assert_eq!(line.counts.merged, 1);
}

#[test]
fn states_add_up_and_move_behind_what_came_between() {
    let mut line = Line::new(9);
    line.put(0, event(Status, 1));
    line.put(0, event(Status, 2));
    line.put(0, event(Trade, 3));
    line.put(0, event(Status, 4));
    line.put(1, event(Status, 5));
    assert_eq!(line.counts.merged, 2);
    assert_eq!(line.transitions(), [3, 1]);
}

#[test]
fn what_follows_in_a_stream_waits_behind_it_and_other_streams_pass() {
    let mut line = Line::new(9);
    line.put(3, event(Trade, 1));
    assert!(!line.backlog.admits(Lane::numbered(3), &mut event(Trade, 2)));
    assert!(line.backlog.admits(Lane::numbered(2), &mut event(Trade, 2)));
    assert!(line.backlog.admits(Lane::numbered(4), &mut event(Trade, 2)));
    line.drain();
    assert!(line.backlog.admits(Lane::numbered(3), &mut event(Trade, 2)));
}

#[test]
fn a_starved_book_takes_no_update_until_a_snapshot_or_its_return_to_live() {
    let mut line = Line::new(9);
    let lane = Lane::numbered(0);
    line.backlog.set_starved(lane, true);
    assert!(
        line.backlog.admits(lane, &mut event(Status, 1)),
        "that it is not live is heard at once"
    );
    assert!(line.backlog.admits(Lane::numbered(1), &mut event(BookUpdate, 1)));
    assert!(!line.backlog.admits(lane, &mut event(BookUpdate, 2)));
    line.put(0, event(BookUpdate, 2));
    assert_eq!(line.drain(), [(0, BookSnapshot, 2)]);

    line.backlog.set_starved(lane, true);
    assert!(line.backlog.admits(lane, &mut event(BookSnapshot, 3)), "which makes up for all");
    assert!(line.backlog.admits(lane, &mut event(BookUpdate, 4)));

    line.backlog.set_starved(lane, true);
    assert!(!line.backlog.admits(lane, &mut live(5)));
    line.put(0, live(5));
    assert_eq!(line.drain(), [(0, BookSnapshot, 5), (0, Status, 5)]);
    assert_eq!(line.backlog.starved, 0);
}

#[test]
fn a_starved_book_is_made_up_for_also_when_its_last_state_still_waits() {
    let mut line = Line::new(9);
    line.put(0, event(Status, 1));
    line.backlog.set_starved(Lane::numbered(0), true);
    line.put(0, live(2));
    assert_eq!(line.drain(), [(0, BookSnapshot, 2), (0, Status, 2)]);
}

proptest! {
    /// Whatever is put and taken: the line's length, its counts and the order within a lane hold.
    #[test]
    fn the_line_is_bounded_and_ordered(
        trades_max in 1..6usize,
        steps in prop::collection::vec((0..4u32, 0..5usize), 1..400),
    ) {
        const LANES: usize = 4;
        let mut line = Line::new(trades_max);
        let mut put = 0;
        let mut last = [0; LANES];
        let mut taken = 0;
        for (step, (lane, what)) in (1..).zip(steps) {
            let kinds = [Trade, Quote, Status, Trade];
            match kinds.get(what) {
                // A lane holds one kind of data, and states.
                Some(Status) => { line.put(lane, event(Status, step)); put += 1; }
                Some(_) => {
                    let kind = if lane < 2 { Trade } else { Quote };
                    line.put(lane, event(kind, step));
                    put += 1;
                }
                None => if let Some((lane, Item::Event(event))) = line.backlog.take() {
                    prop_assert!(event.header.trace_id > last[lane.index()]);
                    last[lane.index()] = event.header.trace_id;
                    taken += 1;
                }
            }
            let backlog = &line.backlog;
            prop_assert!(backlog.line.len() <= 2 * backlog.live + SLACK);
            prop_assert!(backlog.live <= trades_max + 2 * LANES);
            let held = backlog.line.iter().filter(|place| !matches!(place.item, Item::Gone));
            prop_assert_eq!(held.count(), backlog.live);
        }
        for (lane, _, trace_id) in line.drain() {
            prop_assert!(trace_id > last[lane]);
            last[lane] = trace_id;
            taken += 1;
        }
        let ConsumerCounts { conflated, merged, dropped, .. } = line.counts;
        let (shown, more) = line.backlog.take_dropped();
        let shown: Vec<_> = shown.map(|event| event.header.trace_id).collect();
        prop_assert_eq!(shown.len() as u64, dropped.min(DROPPED_SHOWN as u64));
        prop_assert_eq!(shown.len() as u64 + more, dropped);
        prop_assert!(shown.is_sorted(), "the oldest go first");
        prop_assert_eq!(put, taken + conflated + merged + dropped);
        prop_assert_eq!(line.backlog.trades, 0);
        for waiting in &line.backlog.lanes {
            prop_assert!(waiting.live == 0 && waiting.data.is_none() && waiting.status.is_none());
        }
    }
}
