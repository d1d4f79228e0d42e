//! The assembler under every kind of proof: each rule by example, and against a naive venue whose
//! messages are dropped, doubled and swapped.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use common::TestPipeline;
use model::event::{BookMeta, Reason};
use model::instrument::Contract;
use model::venue::{Count, DepthSnapshot, Discard, Pipeline};
use model::{Body, Book, Decimal, Instrument, InstrumentId, Kind, Level, Nanos, Side, StreamState};
use proptest::prelude::*;
use venues::assembler::{Ask, Assembler, Checksum, Continuity, Places, Rules};
use venues::crc32::Crc32;

const NOW: Nanos = Nanos(1_700_000_000_000_000_000);

/// How many levels a side the checksum of these tests covers.
const COVERED: usize = 3;

/// A checksum as venues take it: over prices and quantities, best first, both sides.
fn sum(book: &Book, places: Places) -> u32 {
    let mut crc = Crc32::default();
    for side in [Side::Buy, Side::Sell] {
        for level in book.levels(side).take(COVERED) {
            write!(crc, "{side:?} {} {},", level.price.normalize(), level.quantity.normalize())
                .unwrap();
        }
    }
    crc.value() ^ places.price.unwrap_or(0)
}

const CHECKSUM: Checksum =
    Checksum { compute: sum, places: Places { price: None, quantity: None } };

/// A message of a venue.
#[derive(Clone, Debug, Default)]
struct Message {
    snapshot: bool,
    last: Option<u64>,
    previous: Option<u64>,
    checksum: Option<u32>,
    ms: u64,
    bids: Vec<(u32, u32)>,
    asks: Vec<(u32, u32)>,
}

struct Rig {
    pipeline: TestPipeline,
    id: InstrumentId,
    assembler: Assembler,
    now: Nanos,
}

impl Rig {
    fn new(rules: Rules) -> Self {
        let mut pipeline = TestPipeline::default();
        let id = pipeline.list(&Instrument::unlisted("A", "B", Contract::Spot)).unwrap();
        Self { pipeline, id, assembler: Assembler::new(id, rules), now: NOW }
    }

    fn take(&mut self, message: &Message) -> Ask {
        let mut event = self.pipeline.event().unwrap();
        let kind = if message.snapshot { Kind::BookSnapshot } else { Kind::BookUpdate };
        event.set_kind(self.id, kind);
        event.header.ts_event = Some(Nanos::from_millis(message.ms));
        event.header.seq_provider = message.last;
        event.bids.extend(levels(&message.bids));
        event.asks.extend(levels(&message.asks));
        event.body = Body::Book(BookMeta {
            seq_last: message.last,
            seq_prev: message.previous,
            checksum: message.checksum,
            ..BookMeta::default()
        });
        match message.snapshot {
            true => self.assembler.on_stream_snapshot(event, self.now, &mut self.pipeline),
            false => self.assembler.on_diff(event, self.now, &mut self.pipeline),
        }
    }

    /// A message behind one that never comes.
    fn take_behind_a_hole(&mut self, message: &Message) -> Ask {
        assert_eq!(self.take(message), Ask::Nothing);
        self.pass(200)
    }

    /// Lets time pass, with the looks that are due.
    fn pass(&mut self, ms: u64) -> Ask {
        let until = self.now + Duration::from_millis(ms);
        let mut asked = Ask::Nothing;
        while let Some(at) = self.assembler.look_at().filter(|at| *at <= until) {
            if self.assembler.on_look(at, &mut self.pipeline) == Ask::Snapshot {
                asked = Ask::Snapshot;
            }
        }
        self.now = until;
        asked
    }

    fn answer(&mut self, message: &Message) -> Ask {
        let snapshot = DepthSnapshot {
            seq_last: message.last.unwrap(),
            ts_event: Some(Nanos::from_millis(message.ms)),
            bids: levels(&message.bids),
            asks: levels(&message.asks),
        };
        self.assembler.on_snapshot(&snapshot, NOW, &mut self.pipeline)
    }

    fn book(&mut self) -> &Book {
        self.pipeline.book(self.id)
    }

    fn state(&mut self) -> (StreamState, Reason) {
        let book = self.book();
        (book.state, book.reason)
    }

    fn held(&mut self) -> [Vec<(u32, u32)>; 2] {
        let number = |n: Decimal| u32::try_from(n).unwrap();
        let side = |book: &Book, side| {
            book.levels(side).map(|l| (number(l.price), number(l.quantity))).collect()
        };
        let book = self.book();
        [side(book, Side::Buy), side(book, Side::Sell)]
    }
}

fn levels(pairs: &[(u32, u32)]) -> Vec<Level> {
    let level =
        |&(price, quantity): &(u32, u32)| Level { price: price.into(), quantity: quantity.into() };
    pairs.iter().map(level).collect()
}

fn snapshot(last: u64) -> Message {
    let (bids, asks) = (vec![(10, 1), (9, 1)], vec![(11, 1), (12, 1)]);
    Message { snapshot: true, last: Some(last), ms: last, bids, asks, ..Message::default() }
}

fn diff(previous: u64, last: u64, bid: (u32, u32)) -> Message {
    let (previous, last) = (Some(previous), Some(last));
    Message { last, previous, ms: 1_000, bids: vec![bid], ..Message::default() }
}

const SEQUENCED: Rules = Rules::numbered(Continuity::PreviousSequence);

/// Sequenced, live at 15.
fn live() -> Rig {
    let mut rig = Rig::new(SEQUENCED);
    assert_eq!(rig.take(&snapshot(10)), Ask::Nothing);
    assert_eq!(rig.take(&diff(10, 15, (10, 5))), Ask::Nothing);
    assert_eq!(rig.state(), (StreamState::Live, Reason::Synced));
    rig
}

#[test]
fn a_snapshot_in_the_stream_goes_out_as_it_came_and_starts_the_book() {
    let mut rig = live();
    assert_eq!(rig.held(), [vec![(10, 5), (9, 1)], vec![(11, 1), (12, 1)]]);
    let kinds: Vec<_> = rig.pipeline.emitted.iter().map(|event| event.kind()).collect();
    assert_eq!(kinds, [Kind::BookSnapshot, Kind::BookUpdate]);
    assert!(rig.pipeline.derived.is_empty());
    let generations: Vec<_> = rig.pipeline.emitted.iter().map(|event| &event.body).collect();
    assert!(generations.iter().all(|body| matches!(body, Body::Book(m) if m.generation == 1)));
    assert_eq!(rig.pipeline.count(Count::Resync), 0);
}

#[test]
fn diffs_before_the_snapshot_ask_for_it_and_are_not_applied() {
    let mut rig = Rig::new(SEQUENCED);
    assert_eq!(rig.take(&diff(5, 8, (7, 7))), Ask::Snapshot);
    assert_eq!(rig.take(&snapshot(10)), Ask::Nothing);
    assert_eq!(rig.held()[0], [(10, 1), (9, 1)]);
}

#[test]
fn numbers_skip_stay_the_same_and_start_over() {
    let mut rig = live();
    // Nothing changed; the numbers start over; they go on from there.
    for message in [
        Message { bids: vec![], ..diff(15, 15, (0, 0)) },
        diff(15, 3, (10, 6)),
        diff(3, 9, (10, 7)),
    ] {
        assert_eq!(rig.take(&message), Ask::Nothing);
        assert_eq!(rig.book().seq_last, message.last);
    }
    assert_eq!(rig.held()[0][0], (10, 7));
    assert_eq!(rig.pipeline.emitted.len(), 5);
}

#[test]
fn a_lost_start_over_is_a_gap_and_not_an_old_diff() {
    let mut rig = live();
    let late = Message { ms: 1_001, ..diff(3, 9, (10, 7)) };
    assert_eq!(rig.take(&late), Ask::Snapshot);
    assert_eq!(rig.state(), (StreamState::Gapped, Reason::SequenceGap));
    // The snapshot's lower number is no old one either.
    assert_eq!(rig.take(&Message { ms: 1_002, ..snapshot(9) }), Ask::Nothing);
    assert_eq!(rig.take(&diff(9, 10, (9, 4))), Ask::Nothing);
    assert_eq!(rig.held()[0], [(10, 1), (9, 4)]);
}

#[test]
fn a_gap_is_left_by_the_next_snapshot_in_the_stream() {
    let mut rig = live();
    assert_eq!(rig.take_behind_a_hole(&diff(16, 18, (10, 9))), Ask::Snapshot);
    assert_eq!(rig.take(&diff(18, 20, (10, 9))), Ask::Snapshot);
    assert_eq!(rig.pipeline.count(Count::Gap), 1);
    assert_eq!(rig.take(&snapshot(25)), Ask::Nothing);
    assert_eq!(rig.pipeline.count(Count::Resync), 1);
    assert_eq!(rig.book().generation, 2);
    assert_eq!(rig.take(&diff(25, 26, (8, 1))), Ask::Nothing);
    assert_eq!(rig.held()[0], [(10, 1), (9, 1), (8, 1)]);
}

#[test]
fn a_snapshot_by_request_may_lie_within_the_next_step() {
    let mut rig = live();
    assert_eq!(rig.take_behind_a_hole(&diff(17, 20, (10, 8))), Ask::Snapshot);
    assert_eq!(rig.answer(&snapshot(16)), Ask::Snapshot, "older than what waits");
    assert_eq!(rig.answer(&snapshot(18)), Ask::Nothing);
    assert_eq!(rig.held()[0], [(10, 8), (9, 1)]);
    assert_eq!(rig.take(&diff(19, 21, (10, 9))), Ask::Snapshot, "only behind a snapshot");
}

#[test]
fn an_overlapping_connection_doubles_nothing() {
    let mut rig = live();
    assert_eq!(rig.take(&snapshot(10)), Ask::Nothing);
    assert_eq!(rig.take(&snapshot(15)), Ask::Nothing);
    assert_eq!(rig.take(&diff(10, 15, (10, 99))), Ask::Nothing);
    assert_eq!(rig.pipeline.discards(Discard::Duplicate), 3);
    assert_eq!(rig.held()[0][0], (10, 5));
    // One that is ahead takes the book with it, and the book stays live.
    assert_eq!(rig.take(&snapshot(18)), Ask::Nothing);
    assert_eq!(rig.take(&diff(15, 18, (10, 99))), Ask::Nothing);
    assert_eq!((rig.held()[0][0], rig.book().generation), ((10, 1), 2));
    assert_eq!(rig.pipeline.statuses.len(), 1);
}

#[test]
fn numbers_on_one_side_only_prove_nothing() {
    let mut rig = live();
    let bare = Message { last: None, previous: None, ..diff(0, 0, (10, 6)) };
    assert_eq!(rig.take(&bare), Ask::Snapshot);
    assert_eq!(rig.take(&Message { last: None, ..snapshot(0) }), Ask::Nothing);
    assert_eq!(rig.take(&bare), Ask::Nothing);
    assert_eq!(rig.held()[0][0], (10, 6));
    assert_eq!(rig.take(&diff(15, 16, (10, 7))), Ask::Snapshot);
}

#[test]
fn a_checksum_is_compared_after_the_whole_message_and_the_cut() {
    let rules = Rules {
        continuity: Continuity::Unnumbered,
        depth: Some(2),
        checksum: Some(CHECKSUM),
        crossed_is_fault: true,
    };
    let mut rig = Rig::new(rules);
    let places = Places { price: Some(5), quantity: None };
    rig.assembler.set_places(places);
    let mut book = Book::default();
    let (bids, asks) = ([(10, 1), (8, 1)], [(11, 1)]);
    book.apply(&levels(&bids), &levels(&asks)).unwrap();
    let start = Message {
        snapshot: true,
        checksum: Some(sum(&book, places)),
        bids: bids.into(),
        asks: asks.into(),
        ..Message::default()
    };
    assert_eq!(rig.take(&start), Ask::Nothing);
    // The new level pushes 8 out of the two that are held.
    book.apply(&levels(&[(9, 1)]), &[]).unwrap();
    book.truncate(2);
    let next =
        Message { checksum: Some(sum(&book, places)), bids: vec![(9, 1)], ..Message::default() };
    assert_eq!(rig.take(&next), Ask::Nothing);
    assert_eq!(rig.pipeline.count(Count::ChecksumOk), 2);
    assert_eq!(rig.take(&Message { bids: vec![(9, 2)], ..next.clone() }), Ask::Snapshot);
    assert_eq!(rig.state(), (StreamState::Gapped, Reason::ChecksumMismatch));
    assert_eq!(rig.pipeline.count(Count::ChecksumFailed), 1);
    assert_eq!(rig.pipeline.count(Count::Gap), 1);
    assert_eq!(rig.pipeline.emitted.len(), 2, "nothing of the wrong message went out");
    // A snapshot that disagrees is no repair either, and no second gap.
    let wrong = Message { checksum: Some(7), ..start.clone() };
    assert_eq!(rig.take(&wrong), Ask::Snapshot);
    assert_eq!((rig.state().0, rig.pipeline.count(Count::Gap)), (StreamState::Gapped, 1));
    assert_eq!(rig.take(&start), Ask::Nothing);
    assert_eq!(rig.state(), (StreamState::Live, Reason::Synced));
    assert_eq!(rig.pipeline.count(Count::Resync), 1);
}

#[test]
fn a_crossed_book_is_a_fault() {
    let mut rig = live();
    assert_eq!(rig.take(&diff(15, 16, (11, 1))), Ask::Snapshot);
    assert_eq!(rig.state(), (StreamState::Gapped, Reason::CrossedBook));
    assert_eq!(rig.pipeline.count(Count::Gap), 1);
    let crossed = Message { bids: vec![(11, 1)], ..snapshot(20) };
    assert_eq!(rig.answer(&crossed), Ask::Snapshot);
    assert_eq!(rig.state().1, Reason::CrossedBook);
    let mut rig = Rig::new(Rules { crossed_is_fault: false, ..SEQUENCED });
    assert_eq!(rig.take(&crossed), Ask::Nothing);
    assert_eq!(rig.state().0, StreamState::Live);
}

#[test]
fn only_numbers_make_a_stale_book_live_again_by_themselves() {
    let mut rig = live();
    assert_eq!(
        rig.assembler.on_stale(Reason::ProbeMissedProgress, NOW, &mut rig.pipeline),
        Ask::Snapshot
    );
    assert_eq!(rig.take(&diff(15, 16, (10, 6))), Ask::Nothing);
    assert_eq!(rig.state(), (StreamState::Live, Reason::Flowing));

    let mut rig = Rig::new(Rules { continuity: Continuity::Unnumbered, ..SEQUENCED });
    let bare = |message: Message| Message { last: None, previous: None, ..message };
    assert_eq!(rig.take(&bare(snapshot(1))), Ask::Nothing);
    assert_eq!(
        rig.assembler.on_stale(Reason::ProbeMissedProgress, NOW, &mut rig.pipeline),
        Ask::Snapshot
    );
    assert_eq!(rig.take(&bare(diff(0, 0, (10, 6)))), Ask::Snapshot);
    assert_eq!(rig.state().0, StreamState::Stale);
}

#[test]
fn what_waited_from_before_numbers_started_over_stands_in_nobodys_way() {
    for lost in [false, true] {
        let mut rig = live();
        assert_eq!(rig.take_behind_a_hole(&diff(16, 18, (10, 9))), Ask::Snapshot);
        if !lost {
            assert_eq!(rig.take(&diff(18, 3, (10, 8))), Ask::Snapshot);
        }
        assert_eq!(rig.take(&Message { ms: 1_001, ..diff(3, 5, (10, 7)) }), Ask::Snapshot);
        assert_eq!(rig.answer(&snapshot(4)), Ask::Nothing);
        assert_eq!((rig.held()[0][0], rig.book().seq_last), ((10, 7), Some(5)));
    }
}

/// The venue's own book.
#[derive(Clone, Default)]
struct VenueBook {
    sides: [BTreeMap<u32, u32>; 2],
    last: u64,
    ms: u64,
    numbered: bool,
    summed: bool,
    depth: Option<usize>,
}

/// One step of a venue: side, distance from the middle, quantity, how far the number skips.
type Change = (bool, u32, u32, u64);

impl VenueBook {
    fn step(&mut self, (buy, distance, quantity, skip): Change) -> Message {
        let previous = self.last;
        // Now and then numbers start over, or stay the same because nothing changed.
        self.last = if skip == 9 && previous > 50 { 1 } else { previous + skip % 9 };
        self.ms += 100;
        let idle = self.last == previous && self.numbered;
        let mut message = self.message(false);
        message.previous = self.numbered.then_some(previous);
        if !idle {
            let price = if buy { 100 - distance } else { 101 + distance };
            self.sides[usize::from(!buy)].insert(price, quantity);
            self.sides[usize::from(!buy)].retain(|_, quantity| *quantity != 0);
            let levels = vec![(price, quantity)];
            (message.bids, message.asks) = if buy { (levels, vec![]) } else { (vec![], levels) };
        }
        if let Some(depth) = self.depth {
            while self.sides[0].len() > depth {
                self.sides[0].pop_first();
            }
            while self.sides[1].len() > depth {
                self.sides[1].pop_last();
            }
        }
        message.checksum = self.sum();
        message
    }

    fn message(&self, snapshot: bool) -> Message {
        let last = self.numbered.then_some(self.last);
        Message { snapshot, last, ms: self.ms, checksum: self.sum(), ..Message::default() }
    }

    fn snapshot(&self) -> Message {
        let [bids, asks] = self.levels();
        Message { bids, asks, ..self.message(true) }
    }

    fn levels(&self) -> [Vec<(u32, u32)>; 2] {
        let [bids, asks] = &self.sides;
        let pair = |(price, quantity): (&u32, &u32)| (*price, *quantity);
        [bids.iter().rev().map(pair).collect(), asks.iter().map(pair).collect()]
    }

    fn sum(&self) -> Option<u32> {
        let mut book = Book::default();
        let [bids, asks] = self.levels();
        book.apply(&levels(&bids), &levels(&asks)).unwrap();
        self.summed.then(|| sum(&book, Places::default()))
    }
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Deliver,
    Drop,
    Double,
    Swap,
    /// A level of the message is one unit off.
    Alter,
    Snapshot,
    Answer,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        12 => Just(Fate::Deliver),
        1 => Just(Fate::Drop),
        1 => Just(Fate::Double),
        1 => Just(Fate::Swap),
        1 => Just(Fate::Alter),
        2 => Just(Fate::Snapshot),
        2 => Just(Fate::Answer),
    ]
}

/// What the proof reaches: the whole book by numbers; the covered levels by checksum, which is all
/// that is left once a message was altered on its way. A book for which a diff waits is behind.
fn agree(rig: &mut Rig, venue: &VenueBook, altered: bool) -> Result<(), TestCaseError> {
    if rig.state().0 != StreamState::Live || rig.assembler.look_at().is_some() {
        return Ok(());
    }
    let (held, right) = (rig.held(), venue.levels());
    let reach = if venue.numbered && !altered { usize::MAX } else { COVERED };
    for (held, right) in held.iter().zip(&right) {
        let cut = |side: &Vec<(u32, u32)>| side.iter().take(reach).copied().collect::<Vec<_>>();
        prop_assert_eq!(cut(held), cut(right));
    }
    Ok(())
}

fn check(numbered: bool, summed: bool, steps: &[(Fate, Change)]) -> Result<(), TestCaseError> {
    let depth = (!numbered).then_some(5);
    let checksum = summed.then_some(CHECKSUM);
    let continuity = if numbered { Continuity::PreviousSequence } else { Continuity::Unnumbered };
    let mut rig = Rig::new(Rules { continuity, depth, checksum, crossed_is_fault: true });
    let mut venue = VenueBook { numbered, summed, depth, ..VenueBook::default() };
    let mut late: Option<Message> = None;
    let mut altered = false;
    let _ = rig.take(&venue.snapshot());
    for (fate, change) in steps {
        let _ = rig.pass(60);
        match fate {
            Fate::Snapshot => _ = rig.take(&venue.snapshot()),
            Fate::Answer if numbered => _ = rig.answer(&venue.snapshot()),
            _ => {
                let mut message = venue.step(*change);
                match fate {
                    Fate::Drop => continue,
                    Fate::Swap if late.is_none() => {
                        late = Some(message);
                        continue;
                    }
                    Fate::Double => _ = rig.take(&message),
                    Fate::Alter if summed => {
                        altered = true;
                        message.bids.iter_mut().for_each(|level| level.1 += 1);
                        message.asks.iter_mut().for_each(|level| level.1 += 1);
                    }
                    _ => {}
                }
                let _ = rig.take(&message);
                if let Some(late) = late.take() {
                    // What comes out of order shows at the latest with the next message.
                    let _ = rig.take(&late);
                    let _ = rig.take(&venue.step((true, 1, 1, 1)));
                }
                agree(&mut rig, &venue, altered)?;
            }
        }
    }
    let _ = rig.take(&venue.step((true, 0, 3, 1)));
    let _ = rig.pass(200);
    let _ = rig.take(&venue.snapshot());
    let _ = rig.take(&venue.step((true, 0, 4, 1)));
    prop_assert_eq!(rig.state().0, StreamState::Live);
    agree(&mut rig, &venue, altered)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn equal_or_not_live(
        proof in 0usize..3,
        steps in proptest::collection::vec(
            (fate(), (any::<bool>(), 0u32..8, 0u32..4, 0u64..10)), 1..60),
    ) {
        let (numbered, summed) = [(true, false), (true, true), (false, true)][proof];
        check(numbered, summed, &steps)?;
    }
}
