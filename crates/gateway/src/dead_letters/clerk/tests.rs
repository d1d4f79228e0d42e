//! Letters from a shard to the queue and the files, with names; and no more a second than may be.

use std::task::Waker;

use engine::control::Command;
use engine::dead_letters::LETTER_BYTES_MAX;
use engine::{Capacity, QueueCapacity, RoutingTable, Shard, Subscription};
use model::event::Trade;
use model::instrument::Contract;
use model::venue::{Notice, Pipeline};
use model::{Body, CommandId, ConnId, Error, Instrument, Kind, ProviderId};
use store::dead_letters::{DeadLetter, files_of, read};

use super::*;
use crate::dead_letters::Filter;

const P: ProviderId = ProviderId(0);

/// Everything that can become a letter, once.
fn all_sorts(shard: &mut Shard) {
    shard.catalog().provider("spot").unwrap();
    let mut inbox = shard
        .add_consumer("slow", QueueCapacity { ring: 1, trades: 1, ..Default::default() }, Nanos(0))
        .unwrap();
    let all = Subscription { consumer: inbox.id(), ..Subscription::default() };
    let table = RoutingTable::default().next(&[all], shard.catalog()).unwrap();
    shard.set_routing(table.into(), Nanos(0));
    let listed = Instrument::unlisted("BTC", "USDT", Contract::Spot);
    let mut port = shard.port(P, Nanos(7));
    let instrument = port.list(&listed).unwrap();
    for trade_id in 1..=3 {
        let mut event = port.event().unwrap();
        event.set_kind(instrument, Kind::Trade);
        event.body = Body::Trade(Trade { trade_id, ..Trade::default() });
        port.emit(event);
    }
    port.notice(Notice::UnknownType("rolling"));
    let payload = br#"{"e":"trade","listenKey":"k1""#;
    port.unreadable(ConnId(4), payload, &Error::ignore("no end"));
    let wrong = Subscription { instruments: vec!["btc".into()], ..Subscription::default() };
    inbox.command(CommandId(1), Command::Subscribe(wrong)).unwrap();
    shard.end_turn(Nanos(9));
}

fn shard() -> Shard {
    Shard::new(Capacity::default(), Catalog::new(), Waker::noop().clone())
}

/// Runs a clerk over what a shard has to say, to its end.
fn kept(config: &config::DeadLetters, say: impl FnOnce(&mut Shard)) -> DeadLetterQueue {
    let (mut shard, queue) = (shard(), DeadLetterQueue::new(config));
    let (letters, catalog) = (shard.dead_letters(), shard.catalog().clone());
    let clock = SystemClock::start();
    let clerk = Clerk::start(letters, (queue.clone(), config), catalog, clock).unwrap();
    say(&mut shard);
    drop(shard);
    clerk.join();
    queue
}

#[test]
fn letters_have_names_and_what_is_secret_is_not_in_them() {
    let queue = kept(&config::DeadLetters::default(), all_sorts);
    let letters = queue.snapshot(&Filter::default(), 100).letters;
    let found: Vec<_> = letters
        .iter()
        .map(|letter| {
            let DeadLetter { seq, reason, provider, consumer, conn, .. } = &**letter;
            (*seq, &**reason, provider.as_deref(), consumer.as_deref(), *conn)
        })
        .collect();
    let expected = [
        (1, "unmapped", Some("spot"), None, None),
        (2, "unreadable", Some("spot"), None, Some(4)),
        (3, "refused_command", None, Some("slow"), None),
        (4, "dropped", Some("spot"), Some("slow"), None),
    ];
    assert_eq!(found, expected);
    let payload = |n: usize| letters[n].payload.clone().unwrap();
    assert_eq!(payload(1), r#"{"e":"trade","listenKey":"(not shown)""#);
    assert_eq!((letters[1].bytes, letters[1].cut), (29, false));
    let wanted = r#"{"subscribe":{"instruments":["btc"],"kinds":[],"providers":[]}}"#;
    assert_eq!(payload(2), wanted);
    assert!(letters[2].detail.contains("malformed_instrument: "), "{}", letters[2].detail);
    let DeadLetter { instrument, kind, trace_id, .. } = &*letters[3];
    assert_eq!((instrument.as_deref(), kind.as_deref()), (Some("BTC-USDT"), Some("trade")));
    assert!(trace_id.is_some() && payload(3).contains("\"trade_id\":2"), "{}", payload(3));
}

#[test]
fn what_is_in_memory_is_in_the_files_too() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("letters");
    let config = config::DeadLetters { folder: Some(folder.clone()), ..Default::default() };
    let queue = kept(&config, all_sorts);
    let mut written = Vec::new();
    for file in files_of(&folder).unwrap() {
        read(&file, &mut |letter| written.push(letter)).unwrap();
    }
    let in_memory = queue.snapshot(&Filter::default(), 100).letters;
    assert!(in_memory.iter().map(|letter| &**letter).eq(&written) && written.len() == 4);
}

#[test]
fn a_folder_that_cannot_be_had_is_told_before_anything_runs() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let folder = Some(file.path().join("letters"));
    let config = config::DeadLetters { folder, ..Default::default() };
    let (letters, queue) = (shard().dead_letters(), DeadLetterQueue::new(&config));
    let clock = SystemClock::start();
    let started = Clerk::start(letters, (queue, &config), Catalog::new(), clock);
    let error = started.err().unwrap().to_string();
    assert!(error.starts_with("dead_letters.folder: ") && error.contains("letters"), "{error}");
}

#[test]
fn a_snapshot_gives_the_newest_of_those_that_fit_and_how_many_there_are() {
    let queue = kept(&config::DeadLetters::default(), |shard| {
        all_sorts(shard);
        let large = vec![b'x'; LETTER_BYTES_MAX];
        (0..9).for_each(|n| {
            shard.port(P, Nanos(n)).unreadable(ConnId(1), &large, &Error::ignore("no"));
        });
    });
    let unreadable = Filter {
        reason: Some(engine::dead_letters::LetterReason::Unreadable),
        ..Filter::default()
    };
    let snapshot = queue.snapshot(&unreadable, 3);
    assert_eq!((snapshot.matched, snapshot.entries, snapshot.evicted), (10, 13, 0));
    let seqs: Vec<_> = snapshot.letters.iter().map(|letter| letter.seq).collect();
    assert_eq!(seqs, [11, 12, 13]);
    let cut = &snapshot.letters[0];
    assert_eq!((cut.payload.as_ref().unwrap().len(), cut.cut), (8 << 10, true));
    assert_eq!(cut.bytes, LETTER_BYTES_MAX as u64);
}

#[test]
fn no_more_letters_a_second_are_taken_than_may_be() {
    let mut pace = Pace::new(Nanos(0));
    let mut taken = Vec::new();
    for ms in 0..3_000 {
        let mut now = 0;
        while pace.has_one(Nanos(ms * 1_000_000)) {
            pace.spend();
            now += 1;
        }
        taken.push(now);
    }
    assert_eq!(taken[0], BURST);
    assert_eq!(taken[1..1_001].iter().sum::<u32>(), 1_000);
    assert!(taken[1..].iter().all(|now| *now <= REFILL.0));
    assert!(pace.has_one(Nanos(3_600_000_000_000)) && pace.left == BURST, "no more are gathered");
}
