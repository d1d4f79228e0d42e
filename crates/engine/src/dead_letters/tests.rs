//! What becomes a dead letter, what is known of it, and what a flood comes to.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

use model::event::Quote;
use model::venue::{Notice, Pipeline};
use model::{Body, Kind, Remedy, Stream};
use proptest::prelude::*;

use super::*;
use crate::capacity::DROPPED_SHOWN;
use crate::control::operator;
use crate::merge::{CloseOn, MergeSpec};
use crate::route::Subscription;
use crate::testing::{self, INSTRUMENT};
use crate::{Inbox, QueueCapacity, Shard};

const FROM: (ProviderId, ConnId) = (ProviderId(3), ConnId(9));
const P: ProviderId = ProviderId(0);

fn put(letters: &mut Letters, pool: &Pool<ProviderRaw>, payload: &[u8]) -> bool {
    letters.put_unreadable(pool, FROM, Nanos(5), payload, &Error::ignore("no comma"))
}

fn way() -> (Letters, DeadLetters) {
    let mut letters = Letters::default();
    let end = letters.open();
    (letters, end)
}

fn raw(letter: Option<Letter>) -> Pooled<ProviderRaw> {
    match letter.map(|letter| letter.content) {
        Some(Content::Unreadable(raw)) => raw,
        other => panic!("{other:?}"),
    }
}

fn unmapped(letters: &mut Letters, reason: LetterReason) -> bool {
    letters.put(reason, Nanos(1), || {
        Some(Content::Unmapped { provider: P, what: "type", name: "x".into() })
    })
}

#[test]
fn an_unreadable_message_says_whose_it_is_when_it_came_and_what_was_wrong() {
    let (mut out, mut letters) = way();
    let pool = Pool::new("ProviderRaw", 2);
    assert!(put(&mut out, &pool, b"{\"a\":1 2}"));
    let raw = raw(letters.take());
    assert_eq!((raw.provider, raw.conn, raw.ts_recv), (FROM.0, FROM.1, Nanos(5)));
    assert_eq!((&raw.payload[..], raw.bytes), (&b"{\"a\":1 2}"[..], 9));
    assert_eq!((&*raw.error, raw.remedy), ("no comma", Some(Remedy::Ignore)));
    assert_eq!(pool.stats().in_use, 1);
    drop(raw);
    assert_eq!(pool.stats().in_use, 0);
    assert!(letters.take().is_none() && !letters.is_closed());
}

#[test]
fn a_huge_message_is_cut_and_its_length_kept() {
    let (mut out, mut letters) = way();
    let pool = Pool::new("ProviderRaw", 1);
    assert!(put(&mut out, &pool, &vec![b'x'; LETTER_BYTES_MAX + 1]));
    let raw = raw(letters.take());
    assert_eq!((raw.payload.len(), raw.bytes), (LETTER_BYTES_MAX, LETTER_BYTES_MAX + 1));
}

#[test]
fn a_flood_takes_what_there_is_room_for_and_the_next_letter_says_how_many_were_lost() {
    let (mut out, mut letters) = way();
    let few = Pool::new("ProviderRaw", 2);
    let taken = (0..5).filter(|_| put(&mut out, &few, b"x")).count();
    assert_eq!(taken, 2, "as many as the pool has");
    while letters.take().is_some() {}
    assert!(put(&mut out, &few, b"x"));
    assert_eq!(letters.take().unwrap().lost, 3);
    let many = Pool::new("ProviderRaw", 1_000);
    let taken = (0..1_000).filter(|_| put(&mut out, &many, b"x")).count();
    assert_eq!(taken, DEAD_LETTERS_MAX, "as many as the way has");
    assert_eq!(usize::from(many.stats().in_use), DEAD_LETTERS_MAX);
    drop((out, letters));
    assert_eq!(many.stats().in_use, 0, "also those that nobody read");
}

#[test]
fn letters_of_low_priority_leave_room_for_the_others() {
    let (mut out, mut letters) = way();
    let low = (0..1_000).filter(|_| unmapped(&mut out, LetterReason::Dropped)).count();
    assert_eq!(low, DEAD_LETTERS_MAX - DEAD_LETTERS_NOT_LOW);
    let high = (0..1_000).filter(|_| unmapped(&mut out, LetterReason::Unmapped)).count();
    assert_eq!(high, DEAD_LETTERS_NOT_LOW);
    assert!(letters.take().is_some());
    assert!(!unmapped(&mut out, LetterReason::LateFragment), "the room is the others'");
    assert!(unmapped(&mut out, LetterReason::RefusedCommand));
}

/// Whether somebody was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_reader_hears_of_a_letter_and_of_the_end_after_the_last() {
    let (mut out, mut letters) = way();
    let woken = Arc::new(Woken::default());
    assert!(letters.attach(Waker::from(woken.clone())));
    assert!(letters.may_sleep());
    assert!(unmapped(&mut out, LetterReason::Unmapped));
    assert!(woken.0.load(Ordering::Relaxed));
    assert!(!letters.may_sleep());
    drop(out);
    assert!(letters.is_abandoned() && !letters.is_closed(), "one is still there");
    assert!(letters.take().is_some());
    assert!(letters.is_closed() && !letters.may_sleep());
}

#[test]
fn every_reason_has_a_code_of_its_own_and_stands_at_its_number() {
    for (n, reason) in LetterReason::ALL.into_iter().enumerate() {
        assert_eq!(reason as usize, n);
        let same = LetterReason::ALL.into_iter().filter(|other| other.name() == reason.name());
        assert_eq!(same.count(), 1, "{reason:?}");
    }
}

// ---- On a shard. ----

/// A consumer with so much room.
fn one(ring: usize, trades: usize) -> (Shard, Inbox, DeadLetters) {
    let capacity = QueueCapacity { ring, trades, ..QueueCapacity::default() };
    let (mut shard, mut inboxes) = testing::shard(&[("slow", capacity)]);
    let letters = shard.dead_letters();
    (shard, inboxes.remove(0), letters)
}

fn counts(shard: &Shard, reason: LetterReason) -> (u64, u64) {
    let (_, counts) = shard.letter_counts().find(|(other, _)| *other == reason).unwrap();
    (counts.seen, counts.lost)
}

fn all(letters: &mut DeadLetters) -> Vec<Letter> {
    std::iter::from_fn(|| letters.take()).collect()
}

#[test]
fn a_trade_that_a_full_queue_drops_is_a_letter_with_its_consumer() {
    let (mut shard, inbox, mut letters) = one(1, 2);
    for trade_id in 1..=5 {
        testing::trade(&mut shard, Nanos(trade_id), trade_id);
    }
    assert!(letters.take().is_none(), "at the end of the turn");
    shard.end_turn(Nanos(9));
    let found = all(&mut letters).into_iter().map(|letter| match letter.content {
        Content::Dropped { consumer, event: Event { header, body: Body::Trade(trade), .. } } => {
            assert_eq!((consumer, letter.at), (inbox.id(), Nanos(9)));
            let stream = Stream { provider: P, instrument: INSTRUMENT, kind: Kind::Trade };
            assert_eq!(header.stream, stream);
            trade.trade_id
        }
        other => panic!("{other:?}"),
    });
    assert_eq!(found.collect::<Vec<_>>(), [2, 3], "the first is in the ring");
    assert_eq!(counts(&shard, LetterReason::Dropped), (2, 0));
    assert_eq!(inbox.tally().counts().dropped, 2);
}

#[test]
fn of_a_flood_of_drops_each_turn_shows_the_first_and_all_are_counted() {
    let (mut shard, inbox, mut letters) = one(1, 1);
    for trade_id in 1..=102 {
        testing::trade(&mut shard, Nanos(trade_id), trade_id);
    }
    shard.end_turn(Nanos(200));
    assert_eq!(all(&mut letters).len(), DROPPED_SHOWN);
    let shown = DROPPED_SHOWN as u64;
    assert_eq!(counts(&shard, LetterReason::Dropped), (100, 100 - shown));
    testing::trade(&mut shard, Nanos(300), 103);
    shard.end_turn(Nanos(300));
    let lost: Vec<_> = all(&mut letters).iter().map(|letter| letter.lost).collect();
    assert_eq!(lost, [100 - shown]);
    assert_eq!(inbox.tally().counts().dropped, 101);
}

#[test]
fn a_fragment_that_comes_too_late_is_a_letter_of_its_merge() {
    let (mut shard, _inbox, mut letters) = one(64, 64);
    shard.catalog().provider("q").unwrap();
    let merge = MergeSpec {
        name: "m".into(),
        instrument: "BTC-USDT".into(),
        kind: Kind::Quote,
        providers: vec!["p".into(), "q".into()],
        close: CloseOn::Complete,
        ..MergeSpec::default()
    };
    let merge = shard.add_merge(&merge).unwrap();
    let quote = |shard: &mut Shard, provider: u16, at: u64| {
        let mut port = shard.port(ProviderId(provider), Nanos(at));
        let mut event = port.event().unwrap();
        event.set_kind(INSTRUMENT, Kind::Quote);
        event.body = Body::Quote(Quote::default());
        port.emit(event);
    };
    quote(&mut shard, 0, 10);
    quote(&mut shard, 1, 20);
    quote(&mut shard, 0, 20);
    let found = all(&mut letters);
    let [Letter { lost: 0, content: Content::LateFragment { merge: of, event }, .. }] = &found[..]
    else {
        panic!("{found:?}")
    };
    assert_eq!((*of, event.header.ts_recv, event.header.stream.provider), (merge, Nanos(20), P));
    assert_eq!(shard.merges().next().unwrap().counts().late, 1);
}

#[test]
fn an_event_that_comes_after_its_hole_was_given_up_is_a_letter_with_all_that_it_said() {
    let (mut shard, _inbox, mut letters) = one(64, 64);
    shard.resequence(P, Kind::Trade, crate::resequence::Limits::default());
    for (at, trade) in [(1, 10), (2, 12)] {
        testing::trade(&mut shard, Nanos(at), trade);
    }
    shard.end_turn(Nanos(200_000_000));
    for (at, trade) in [(200_000_001, 11), (200_000_002, 11), (200_000_003, 12)] {
        testing::trade(&mut shard, Nanos(at), trade);
    }
    let found = all(&mut letters);
    let [Letter { at, lost: 0, content: Content::Late(event) }] = &found[..] else {
        panic!("{found:?}")
    };
    let header = &event.header;
    assert_eq!((*at, header.ts_recv), (Nanos(200_000_001), Nanos(200_000_001)));
    assert_eq!((header.seq_provider, header.trace_id > 0), (Some(11), true));
    assert_eq!(header.stream, Stream { provider: P, instrument: INSTRUMENT, kind: Kind::Trade });
    assert!(matches!(&event.body, Body::Trade(trade) if trade.trade_id == 11));
    assert_eq!(found[0].content.reason().priority(), Priority::Low);
    let stats = shard.stream(P, INSTRUMENT, Kind::Trade).unwrap();
    assert_eq!((stats.late, stats.duplicates), (1, 2), "the second time it was there");
}

#[test]
fn the_first_of_what_nothing_is_known_of_is_a_letter_and_what_is_known_is_none() {
    let (mut shard, _inbox, mut letters) = one(64, 64);
    let mut port = shard.port(P, Nanos(7));
    for notice in [
        Notice::UnknownType("rollingWindow"),
        Notice::UnknownType("rollingWindow"),
        Notice::UnexpectedSymbol("DOGE"),
        Notice::VenueStatus("maintenance"),
    ] {
        port.notice(notice);
    }
    let found: Vec<_> = all(&mut letters)
        .into_iter()
        .map(|letter| match letter.content {
            Content::Unmapped { provider: P, what, name } => (what, name),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [("unknown_type", "rollingWindow"), ("unexpected_symbol", "DOGE")];
    assert_eq!(found, expected.map(|(what, name)| (what, name.into())));
}

#[test]
fn a_command_that_is_refused_is_a_letter_with_what_was_wanted_and_by_whom() {
    let (mut shard, mut inbox, mut letters) = one(64, 64);
    let (operators, end) = operator();
    shard.attach_operators(end);
    let wrong = Subscription { instruments: vec!["btc".into()], ..Subscription::default() };
    let wrong = Command::Subscribe(wrong);
    let right = Command::SetTrading(false);
    inbox.command(model::CommandId(1), wrong.clone()).unwrap();
    inbox.command(model::CommandId(2), Command::SetTrading(true)).unwrap();
    inbox.command(model::CommandId(3), right.clone()).unwrap();
    inbox.command(model::CommandId(3), wrong.clone()).unwrap();
    operators.command("nobody", right.clone()).unwrap();
    operators.command("slow", wrong.clone()).unwrap();
    operators.command("slow", right.clone()).unwrap();
    shard.end_turn(Nanos(4));
    let found: Vec<_> = all(&mut letters)
        .into_iter()
        .map(|letter| match letter.content {
            Content::RefusedCommand { consumer, operator, command, refusal } => {
                (consumer.to_string(), operator, *command, refusal)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let slow = || "slow".to_owned();
    let expected = [
        (slow(), false, wrong.clone(), Refusal::MalformedInstrument),
        (slow(), false, Command::SetTrading(true), Refusal::Unauthorised),
        (slow(), false, wrong.clone(), Refusal::IdReused),
        ("nobody".to_owned(), true, right, Refusal::UnknownConsumer),
        (slow(), true, wrong, Refusal::MalformedInstrument),
    ];
    assert_eq!(found, expected);
}

proptest! {
    /// Against a list of everything: what was handed over and what was lost is what there was, in
    /// order, and each letter tells of the lost ones of its reason since the one before it.
    #[test]
    fn nothing_is_unaccounted_for(steps in prop::collection::vec(0..7usize, 1..600)) {
        let (mut out, mut end) = way();
        let mut expected = [LetterCounts::default(); LetterReason::ALL.len()];
        let (mut waiting, mut untold) = (Vec::new(), [0; LetterReason::ALL.len()]);
        for step in steps {
            let Some(reason) = LetterReason::ALL.get(step).copied() else {
                let taken = end.take().map(|letter| (letter.lost, letter.content.reason()));
                let first = (!waiting.is_empty()).then(|| waiting.remove(0));
                prop_assert_eq!(taken, first);
                continue;
            };
            let free = DEAD_LETTERS_MAX - waiting.len();
            let low = reason.priority() == Priority::Low;
            let fits = free > if low { DEAD_LETTERS_NOT_LOW } else { 0 };
            prop_assert_eq!(out.put(reason, Nanos(0), || Some(content(reason))), fits);
            expected[step].seen += 1;
            if fits {
                waiting.push((std::mem::take(&mut untold[step]), reason));
            } else {
                expected[step].lost += 1;
                untold[step] += 1;
            }
        }
        prop_assert!(out.counts().map(|(_, counts)| counts).eq(expected));
        let left = std::iter::from_fn(|| end.take()).map(|of| (of.lost, of.content.reason()));
        prop_assert!(left.eq(waiting));
    }
}

/// Something of that reason.
fn content(reason: LetterReason) -> Content {
    let (consumer, event) = (ConsumerId(0), Event::default());
    match reason {
        LetterReason::Dropped => Content::Dropped { consumer, event },
        LetterReason::LateFragment => Content::LateFragment { merge: P, event },
        LetterReason::Late => Content::Late(event),
        LetterReason::Unmapped => Content::Unmapped { provider: P, what: "", name: "".into() },
        LetterReason::Unreadable => {
            let pool = Pool::new("ProviderRaw", 1);
            Content::Unreadable(pool.try_acquire().unwrap())
        }
        LetterReason::RefusedCommand => Content::RefusedCommand {
            consumer: "".into(),
            operator: false,
            command: Box::new(Command::SetTrading(true)),
            refusal: Refusal::Unauthorised,
        },
    }
}
