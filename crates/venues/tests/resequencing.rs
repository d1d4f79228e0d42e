//! Diffs that arrive in another order than the venue sent them: what is healed, what is given up, and
//! when; against what "sorted within the window" means, said without a buffer.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::TestPipeline;
use model::event::{BookMeta, Reason};
use model::instrument::Contract;
use model::venue::{Count, DepthSnapshot, Discard, Limits, Pipeline};
use model::{Body, Decimal, Instrument, InstrumentId, Kind, Level, Nanos, Side, StreamState};
use proptest::prelude::*;
use venues::assembler::{Ask, Assembler, Continuity, Rules};

const LATENESS: Duration = Duration::from_millis(150);
const LOOK_EVERY: Duration = Duration::from_millis(50);
const EARLY_MAX: usize = 200;

const NUMBERED: [Continuity; 3] =
    [Continuity::Ranges, Continuity::PreviousId, Continuity::PreviousSequence];

/// A venue's diffs: the `n`th sets one bid, and covers the ids from 10 `n` to 10 `n` + 9.
fn meta(continuity: Continuity, n: u64) -> BookMeta {
    let (first, last, previous) = (Some(10 * n), Some(10 * n + 9), Some(10 * n - 1));
    let meta = BookMeta { seq_last: last, ..BookMeta::default() };
    match continuity {
        Continuity::Ranges => BookMeta { seq_first: first, ..meta },
        // Ids skip: what is between the last one and the first is another instrument's.
        Continuity::PreviousId => {
            BookMeta { seq_first: first.map(|id| id + 3), seq_prev: previous, ..meta }
        }
        _ => BookMeta { seq_prev: previous, ..meta },
    }
}

fn level(n: u64) -> Level {
    Level { price: Decimal::from(n * 7 % 13 + 1), quantity: Decimal::from(n % 4) }
}

/// The book after `n` diffs.
fn truth(n: u64) -> BTreeMap<Decimal, Decimal> {
    let mut book = BTreeMap::from([(Decimal::ONE, Decimal::ONE)]);
    for Level { price, quantity } in (1..=n).map(level) {
        book.insert(price, quantity);
    }
    book.retain(|_, quantity| !quantity.is_zero());
    book
}

struct Rig {
    continuity: Continuity,
    pipeline: TestPipeline,
    id: InstrumentId,
    assembler: Assembler,
    now: Nanos,
    /// Number and time of each diff that went out.
    out: Vec<(u64, Nanos)>,
    seen: (usize, usize),
    asked: usize,
}

impl Rig {
    /// Live, before the first diff.
    fn new(continuity: Continuity) -> Self {
        Self::within(continuity, Limits::default())
    }

    fn within(continuity: Continuity, limits: Limits) -> Self {
        let mut pipeline = TestPipeline::default();
        let id = pipeline.list(&Instrument::unlisted("A", "B", Contract::Spot)).unwrap();
        let assembler = Assembler::new(id, Rules::numbered(continuity)).within(limits);
        let now = Nanos(0) + Duration::from_secs(1);
        let (out, seen, asked) = (Vec::new(), (0, 0), 0);
        let mut rig = Self { continuity, pipeline, id, assembler, now, out, seen, asked };
        assert_eq!(rig.answer(0), Ask::Nothing);
        rig
    }

    fn answer(&mut self, n: u64) -> Ask {
        let level = |(price, quantity)| Level { price, quantity };
        let snapshot = DepthSnapshot {
            seq_last: 10 * n + 9,
            ts_event: Some(Nanos(n)),
            bids: truth(n).into_iter().map(level).collect(),
            asks: Vec::new(),
        };
        self.assembler.on_snapshot(&snapshot, self.now, &mut self.pipeline)
    }

    /// Lets time pass, with the looks that are due.
    fn pass(&mut self, until: Nanos) {
        while let Some(at) = self.assembler.look_at().filter(|at| *at <= until) {
            self.now = at;
            let ask = self.assembler.on_look(at, &mut self.pipeline);
            self.note(ask);
        }
        self.now = until;
    }

    fn diff(&mut self, n: u64) {
        let mut event = self.pipeline.event().unwrap();
        event.set_kind(self.id, Kind::BookUpdate);
        event.header.ts_event = Some(Nanos(n));
        event.header.seq_provider = Some(n);
        event.bids.push(level(n));
        event.body = Body::Book(meta(self.continuity, n));
        let ask = self.assembler.on_diff(event, self.now, &mut self.pipeline);
        self.note(ask);
    }

    fn note(&mut self, ask: Ask) {
        self.asked += usize::from(ask == Ask::Snapshot);
        let (emitted, derived) = self.seen;
        let events = [&self.pipeline.emitted[emitted..], &self.pipeline.derived[derived..]];
        for event in events.into_iter().flatten().filter(|e| e.kind() == Kind::BookUpdate) {
            self.out.push((event.header.seq_provider.unwrap(), self.now));
        }
        self.seen = (self.pipeline.emitted.len(), self.pipeline.derived.len());
    }

    fn state(&mut self) -> (StreamState, Reason) {
        let book = self.pipeline.book(self.id);
        (book.state, book.reason)
    }

    fn held(&mut self) -> BTreeMap<Decimal, Decimal> {
        let book = self.pipeline.book(self.id);
        book.levels(Side::Buy).map(|level| (level.price, level.quantity)).collect()
    }
}

#[test]
fn a_swapped_pair_heals_without_a_gap_and_goes_out_in_order() {
    for continuity in NUMBERED {
        let mut rig = Rig::new(continuity);
        rig.diff(1);
        rig.diff(3);
        assert_eq!((rig.out.len(), rig.pipeline.discards(Discard::Early)), (1, 1));
        let received = rig.now;
        rig.pass(rig.now + (LATENESS - Duration::from_millis(1)));
        rig.diff(2);
        assert_eq!(rig.out.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!((rig.state().0, rig.asked), (StreamState::Live, 0));
        assert_eq!((rig.held(), rig.assembler.look_at()), (truth(3), None));
        let early = rig.pipeline.derived.last().unwrap();
        assert_eq!(early.header.ts_recv, received, "when it came, not when it went");
        assert!(matches!(&early.body, Body::Book(meta) if meta.generation == 1));
        assert_eq!(rig.pipeline.count(Count::Gap), 0);
    }
}

#[test]
fn a_lost_diff_is_a_gap_after_the_lateness_and_what_waited_connects_to_the_snapshot() {
    for continuity in NUMBERED {
        let mut rig = Rig::new(continuity);
        rig.diff(2);
        rig.diff(3);
        let since = rig.now;
        rig.pass(since + (LATENESS - Duration::from_millis(1)));
        assert_eq!((rig.state().0, rig.asked), (StreamState::Live, 0));
        rig.pass(since + (LATENESS + LOOK_EVERY));
        assert_eq!(rig.state(), (StreamState::Gapped, Reason::SequenceGap));
        assert_eq!((rig.asked, rig.pipeline.count(Count::Gap)), (1, 1));
        assert_eq!(rig.assembler.look_at(), None);
        // They came in another order, too late, and are in the venue's again.
        rig.diff(5);
        rig.diff(4);
        assert_eq!(rig.answer(1), Ask::Nothing);
        assert_eq!((rig.state().0, rig.held()), (StreamState::Live, truth(5)));
    }
}

#[test]
fn more_diffs_than_may_wait_are_a_gap_at_once() {
    let mut rig = Rig::new(Continuity::Ranges);
    let early = EARLY_MAX as u64;
    (2..2 + early).for_each(|n| rig.diff(n));
    rig.diff(2);
    assert_eq!((rig.state().0, rig.pipeline.discards(Discard::Duplicate)), (StreamState::Live, 1));
    rig.diff(2 + early);
    assert_eq!((rig.state().0, rig.asked), (StreamState::Gapped, 1));
}

#[test]
fn other_limits_are_kept_to() {
    let ms = Duration::from_millis;
    let limits = Limits { lateness: ms(30), look_every: ms(10), events_max: 2 };
    let mut rig = Rig::within(Continuity::Ranges, limits);
    let since = rig.now;
    rig.diff(2);
    assert_eq!(rig.assembler.look_at(), Some(since + ms(10)));
    rig.pass(since + ms(29));
    assert_eq!(rig.state().0, StreamState::Live);
    rig.pass(since + ms(30));
    assert_eq!(rig.state(), (StreamState::Gapped, Reason::SequenceGap));
    let mut rig = Rig::within(Continuity::Ranges, limits);
    (2..4).for_each(|n| rig.diff(n));
    assert_eq!(rig.state().0, StreamState::Live);
    rig.diff(4);
    assert_eq!(rig.state().0, StreamState::Gapped, "more than may wait");
}

#[test]
fn a_snapshot_that_is_beyond_the_hole_ends_the_waiting() {
    let mut rig = Rig::new(Continuity::PreviousSequence);
    rig.diff(1);
    rig.diff(4);
    assert_eq!(rig.answer(1), Ask::Nothing, "it says nothing new");
    assert_eq!((rig.state().0, rig.held()), (StreamState::Live, truth(1)));
    assert_eq!(rig.answer(3), Ask::Nothing);
    assert_eq!((rig.state(), rig.held()), ((StreamState::Live, Reason::Synced), truth(4)));
    assert_eq!((rig.pipeline.count(Count::Gap), rig.pipeline.count(Count::Resync)), (1, 1));
}

#[test]
fn a_connection_that_ends_takes_with_it_what_waits() {
    let mut rig = Rig::new(Continuity::Ranges);
    rig.diff(2);
    rig.assembler.on_disconnect(rig.now, &mut rig.pipeline);
    assert_eq!(
        (rig.state(), rig.assembler.look_at()),
        ((StreamState::Gapped, Reason::Disconnected), None)
    );
    assert_eq!(rig.answer(4), Ask::Nothing);
    assert_eq!(rig.held(), truth(4));
}

#[test]
fn a_book_that_is_stale_goes_on_when_what_was_missing_comes() {
    let mut rig = Rig::new(Continuity::PreviousId);
    rig.diff(2);
    let _ = rig.assembler.on_stale(Reason::ProbeMissedProgress, rig.now, &mut rig.pipeline);
    assert_eq!(rig.assembler.look_at(), None);
    rig.diff(1);
    assert_eq!((rig.state(), rig.held()), ((StreamState::Live, Reason::Flowing), truth(2)));
}

/// When each diff arrives, in ms behind its sending; `None` never.
type Delays = Vec<Option<u64>>;

fn delays() -> impl Strategy<Value = Delays> {
    let delay = prop_oneof![
        12 => Just(Some(0)),
        3 => (0..140u64).prop_map(Some),
        1 => (100..400u64).prop_map(Some),
        1 => Just(None),
    ];
    prop::collection::vec(delay, 1..40)
}

/// Where nothing is late, a diff goes out when it and all before it have come: that is what sorting
/// within the window comes to.
fn check(continuity: Continuity, delays: &Delays, every_ms: u64) -> Result<(), TestCaseError> {
    let mut rig = Rig::new(continuity);
    let begun = rig.now;
    let sent = |n: u64| begun + Duration::from_millis(n * every_ms);
    let comes = |n: u64| -> Option<Nanos> {
        let delay = *delays.get(usize::try_from(n).ok()?.checked_sub(1)?)?;
        delay.map(|ms| sent(n) + Duration::from_millis(ms))
    };
    let last = delays.len() as u64;
    let mut arrivals: Vec<(Nanos, u64)> = (1..=last).filter_map(|n| Some((comes(n)?, n))).collect();
    arrivals.sort_unstable();
    let end = sent(last) + Duration::from_secs(1);
    let mut gapped_at = None;
    for (at, n) in arrivals.iter().copied().map(|(at, n)| (at, Some(n))).chain([(end, None)]) {
        rig.pass(at);
        n.into_iter().for_each(|n| rig.diff(n));
        if rig.state().0 == StreamState::Live {
            prop_assert_eq!(rig.held(), truth(rig.out.len() as u64));
        } else if gapped_at.is_none() {
            gapped_at = Some(rig.pipeline.book(rig.id).since);
        }
    }
    // What each must have waited for, if it is to go out in order at all.
    let complete = |n: u64| (1..=n).map(comes).try_fold(begun, |most, at| Some(most.max(at?)));
    let waits = |n: u64| Some(complete(n).unwrap_or(end).since(comes(n)?));
    let longest = (1..=last).filter_map(waits).max().unwrap_or_default();
    if longest < LATENESS {
        prop_assert_eq!(gapped_at, None);
    }
    if longest > LATENESS + LOOK_EVERY {
        prop_assert!(gapped_at.is_some());
    }
    if let Some(at) = gapped_at {
        let kept = (1..=last).filter_map(comes).any(|came| came + LATENESS <= at);
        prop_assert!(kept, "nothing had waited for so long at {at:?}");
    }
    for (n, at) in (1..).zip(&rig.out) {
        prop_assert_eq!(Some(*at), complete(n).map(|complete| (n, complete)));
    }
    if gapped_at.is_none() {
        let whole = (1..=last).take_while(|n| complete(*n).is_some()).count();
        prop_assert_eq!(rig.out.len(), whole);
    }
    // And a snapshot of the end makes the book whole, whatever happened.
    let live = rig.state().0 == StreamState::Live;
    prop_assert_eq!(rig.answer(last), Ask::Nothing);
    prop_assert!(live || rig.held() == truth(last));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_goes_out_is_sorted_within_the_window_and_the_book_is_right_or_not_live(
        which in 0..3usize,
        delays in delays(),
        every_ms in 1..120u64,
    ) {
        check(NUMBERED[which], &delays, every_ms)?;
    }
}
