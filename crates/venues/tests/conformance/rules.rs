//! The list. Each rule is run for every venue; where one does not apply, the venue's facts say so.

use model::event::Reason;
use model::venue::{Count, Discard};
use model::{Kind, Remedy, Side, StreamState};
use venues::Settings;

use crate::common::Bench;
use crate::far::{Desk, Exchange};

type Far<'a> = &'a dyn Fn() -> Box<dyn Exchange>;

const BOOK: Kind = Kind::BookUpdate;

/// Rule 1: Nothing before the first command; then a connection per link, at the configured address or
/// the venue's own.
pub fn r01_connect(far: Far<'_>) {
    let venue = far().facts().venue;
    let bench = Bench::new(venues::create(venue, Settings::default()).unwrap());
    assert!(bench.outbox.links.is_empty() && bench.outbox.requests.is_empty());
    let mut desk = Desk::new(far());
    desk.subscribe(&[(0, BOOK)]);
    assert!(desk.said[0].starts_with("wss://"), "{:?}", desk.said);
    let own = "ws://127.0.0.1:1/".to_owned();
    let settings =
        Settings { ws_url: Some(own.clone()), rest_url: Some(own), ..Settings::default() };
    let mut desk = Desk::new(far());
    desk.bench = Bench::new(venues::create(venue, settings).unwrap());
    desk.subscribe(&[(0, BOOK)]);
    assert!(desk.said[0].starts_with("ws://127.0.0.1:1/"), "{:?}", desk.said);
    desk.agree(0);
}

/// Rule 2: What is wanted is asked for at the venue, once; what is no longer wanted is silent.
pub fn r02_subscribe(far: Far<'_>) {
    let mut desk = Desk::live(far());
    let asked = |desk: &Desk| {
        desk.said.iter().flat_map(|said| desk.far.names_books(said)).collect::<Vec<_>>()
    };
    let mut before = asked(&desk);
    before.sort_unstable();
    assert_eq!(before, [0, 1]);
    desk.subscribe(&[(0, BOOK), (1, BOOK)]);
    assert_eq!(asked(&desk).len(), 2, "subscribed already");
    let name = desk.name(0);
    desk.bench.unsubscribe(&[(name, BOOK)]);
    desk.settle();
    let emitted = desk.bench.pipeline.emitted.len();
    desk.diff(0, Side::Buy, ("90", "7"));
    assert_eq!(desk.bench.pipeline.emitted.len(), emitted);
    assert_eq!(desk.bench.pipeline.discards(Discard::Unsubscribed), 1);
    desk.diff(1, Side::Buy, ("90", "7"));
    desk.agree(1);
}

/// Rule 3: Canonical names from the venue's own list, with its tick and lot; an instrument that is not
/// listed, or a kind that there is not, is refused by name and disturbs nothing.
pub fn r03_instrument_mapping(far: Far<'_>) {
    let mut desk = Desk::live(far());
    let id = desk.bench.pipeline.id(desk.name(0));
    let facts = &desk.bench.pipeline.instruments[&id];
    assert_eq!((facts.price_places, facts.quantity_places), (Some(2), Some(3)));
    assert_eq!(facts.tick.unwrap().normalize().to_string(), "0.01");
    assert_eq!(facts.lot.unwrap().normalize().to_string(), "0.001");
    let unlisted = desk.name(0).replace("BTC", "NOPE");
    desk.bench.subscribe(&[(&unlisted, Kind::Trade)]);
    desk.settle();
    let said =
        |desk: &Desk, what: &str| desk.bench.pipeline.notices.iter().any(|n| n.contains(what));
    assert!(said(&desk, &format!("UnknownInstrument(\"{unlisted}\")")));
    if let Some(without) = desk.facts.without {
        desk.subscribe(&[(0, without)]);
        assert!(said(&desk, without.name()), "{:?}", desk.bench.pipeline.notices);
    }
    desk.diff(0, Side::Buy, ("90", "7"));
    desk.agree(0);
}

/// Rule 4: Each kind that the venue offers is confirmed before anything of it comes, and reaches the
/// consumer with its fields, once.
pub fn r04_fields_of_each_kind(far: Far<'_>) {
    let mut desk = Desk::new(far());
    for kind in desk.facts.kinds {
        desk.subscribe(&[(0, *kind)]);
        let confirmed = (desk.name(0).to_owned(), *kind, StreamState::Syncing, Reason::Confirmed);
        assert_eq!(desk.bench.pipeline.statuses.last(), Some(&confirmed));
        let (text, body) = desk.far.event(0, *kind);
        let before = desk.bench.pipeline.emitted.len();
        desk.say(&text);
        let event = desk.bench.pipeline.emitted.last().unwrap_or_else(|| panic!("no {kind:?}"));
        assert_eq!((event.kind(), &event.body), (*kind, &body), "{text}");
        assert_eq!(format!("{:?}", event.body), format!("{body:?}"), "to the last digit");
        let (of, state, reason) =
            desk.bench.pipeline.statuses.last().map(|s| (s.1, s.2, s.3)).unwrap();
        assert_eq!((of, state, reason), (*kind, StreamState::Live, Reason::Flowing));
        // A candle is sent again and again until it closes; what the engine puts in order it also
        // keeps from doubling, so the machine passes it on.
        let profile = desk.bench.venue.profile();
        let resequenced = profile.contiguous.contains(kind) || profile.skipping.contains(kind);
        if *kind != Kind::Kline {
            desk.say(&text);
        }
        let emitted = desk.bench.pipeline.emitted.len() - before;
        assert_eq!(emitted, if resequenced { 2 } else { 1 }, "{kind:?} doubled");
    }
}

/// Rule 5: Digits arrive as they were sent.
pub fn r05_precision(far: Far<'_>) {
    let mut desk = Desk::live(far());
    for level in [("90.10", "0.500"), ("91.1", "12345678.001"), ("92", "3"), ("90.1", "0.5000")] {
        desk.diff(0, Side::Buy, level);
        let event = desk.bench.pipeline.emitted.last().unwrap();
        let sent = event.bids().iter().map(|l| (l.price.to_string(), l.quantity.to_string()));
        assert_eq!(sent.collect::<Vec<_>>(), [(level.0.to_owned(), level.1.to_owned())]);
        desk.agree(0);
    }
}

/// Rule 6: One snapshot, then updates of its generation; levels come, change and go.
pub fn r06_snapshot_and_diffs(far: Far<'_>) {
    let mut desk = Desk::live(far());
    let pipeline = &desk.bench.pipeline;
    let events = pipeline.emitted.iter().chain(&pipeline.derived);
    let snapshots = events.filter(|event| event.kind() == Kind::BookSnapshot).count();
    assert_eq!(snapshots, 2, "one each");
    let before = pipeline.emitted.len();
    for (side, level) in [
        (Side::Buy, ("90", "7")),
        (Side::Sell, ("101", "0")),
        (Side::Buy, ("100.5", "1")),
        (Side::Sell, ("110.25", "0.001")),
        (Side::Buy, ("90", "0.000")),
        (Side::Sell, ("77777", "0")),
    ] {
        desk.diff(0, side, level);
        desk.agree(0);
    }
    let updates = &desk.bench.pipeline.emitted[before..];
    assert_eq!(updates.len(), 6);
    for update in updates {
        let model::Body::Book(meta) = update.body else { panic!() };
        assert_eq!((update.kind(), meta.generation), (BOOK, 1));
    }
    desk.agree(1);
}

/// Rule 7: A diff that is missing shows with the next, once it can't be only late: `Gapped`, nothing
/// goes out, one repair, and no other instrument notices. Two that came in the wrong order are no gap.
pub fn r07_gap(far: Far<'_>) {
    let mut desk = Desk::live(far());
    if !desk.facts.numbered {
        return;
    }
    let first = desk.far.diff(0, Side::Buy, ("94", "4"), false);
    desk.diff(0, Side::Sell, ("104", "4"));
    desk.say(&first);
    desk.agree(0);
    desk.answering = false;
    let _lost = desk.far.diff(0, Side::Buy, ("95", "4"), false);
    let before = desk.bench.pipeline.emitted.len();
    desk.diff(0, Side::Sell, ("105", "4"));
    desk.pass(250);
    desk.diff(0, Side::Sell, ("106", "4"));
    let name = desk.name(0);
    assert_eq!(desk.bench.state(name), StreamState::Gapped);
    assert_eq!(desk.bench.book(name).reason, Reason::SequenceGap);
    assert_eq!(desk.bench.pipeline.emitted.len(), before);
    desk.diff(1, Side::Buy, ("95", "4"));
    desk.agree(1);
    desk.answering = true;
    desk.pass(5_000);
    desk.agree(0);
    assert_eq!(desk.bench.pipeline.count(Count::Gap), 1);
    assert_eq!(desk.bench.pipeline.count(Count::Resync), 1);
    assert_eq!(desk.bench.book(name).generation, 2);
    assert_eq!(desk.bench.book(desk.facts.names[1]).generation, 1);
}

/// Rule 8: A level that is one unit off fails the next checksum: `Gapped`, repaired, and no other
/// instrument notices.
pub fn r08_checksum_failure(far: Far<'_>) {
    let mut desk = Desk::live(far());
    if !desk.facts.checksummed {
        assert_eq!(desk.bench.pipeline.count(Count::ChecksumOk), 0);
        return;
    }
    let right = desk.bench.pipeline.count(Count::ChecksumOk);
    assert_eq!(right, 2, "both snapshots");
    desk.answering = false;
    let text = desk.far.diff(0, Side::Buy, ("95", "4"), true);
    desk.say(&text);
    let name = desk.name(0);
    assert_eq!(desk.bench.state(name), StreamState::Gapped);
    assert_eq!(desk.bench.book(name).reason, Reason::ChecksumMismatch);
    assert_eq!(desk.bench.pipeline.count(Count::ChecksumFailed), 1);
    assert_eq!(desk.bench.pipeline.count(Count::Gap), 1);
    desk.diff(1, Side::Buy, ("95", "4"));
    desk.agree(1);
    desk.answering = true;
    desk.pass(5_000);
    desk.agree(0);
    assert_eq!(desk.bench.pipeline.count(Count::Resync), 1);
}

/// Rule 9: Quiet is not stale. A probe that shows missed progress is, and is repaired.
pub fn r09_staleness(far: Far<'_>) {
    let mut desk = Desk::live(far());
    desk.pass(40_000);
    assert!(desk.bench.pipeline.count(Count::Probe) >= 2, "both books");
    assert!(desk.bench.pipeline.statuses.iter().all(|s| s.2 != StreamState::Stale));
    desk.agree(0);
    // The venue goes on, at the top where any probe looks, and nothing of it arrives.
    let _lost = desk.far.diff(0, Side::Buy, ("99.50", "4"), false);
    desk.pass(60_000);
    let name = desk.name(0);
    let stale = (name.to_owned(), BOOK, StreamState::Stale, Reason::ProbeMissedProgress);
    assert!(desk.bench.pipeline.statuses.contains(&stale), "{:?}", desk.bench.pipeline.statuses);
    desk.agree(0);
    let other = desk.name(1);
    assert!(desk.bench.pipeline.statuses.iter().all(|s| s.0 != other || s.2 != StreamState::Stale));
}

/// Rule 10: A connection that is lost gaps what stood on it; the next one is told everything again.
pub fn r10_resubscribe(far: Far<'_>) {
    let mut desk = Desk::live(far());
    let (link, _) = desk.conns[0];
    let url = desk.said[0].clone();
    desk.close(link);
    assert_eq!(desk.bench.state(desk.facts.names[0]), StreamState::Gapped);
    let _missed = desk.far.diff(0, Side::Buy, ("95", "4"), false);
    desk.open(link, &url);
    desk.settle();
    desk.pass(5_000);
    desk.agree(0);
    desk.agree(1);
    assert_eq!(desk.bench.pipeline.count(Count::Resync), 2);
    assert_eq!(desk.bench.pipeline.count(Count::Gap), 0, "no fault of the sequence");
}

/// Rule 11: Many streams keep to the venue's limits: streams on a connection, size of a message, and
/// what a connection may say while it starts.
pub fn r11_limits(far: Far<'_>) {
    let mut desk = Desk::new(far());
    desk.extra = 600;
    let names: Vec<_> = (0..600).map(|n| desk.name(0).replace("BTC", &format!("C{n}"))).collect();
    let streams: Vec<_> = names
        .iter()
        .flat_map(|name| [(name.as_str(), BOOK), (name.as_str(), Kind::Trade)])
        .collect();
    desk.bench.subscribe(&streams);
    desk.settle();
    assert!(desk.conns.len() >= streams.len().div_ceil(desk.facts.streams_max));
    assert!(desk.said.iter().all(|said| said.len() < 60_000), "a message is too long");
    let said = desk.said.len() - desk.conns.len();
    assert!(said <= streams.len() / 50 + desk.conns.len(), "{said} messages: one names many");
    let profile = desk.bench.venue.profile();
    assert!(profile.connects.count > 0 && profile.message_bytes_max >= 1 << 20);
}

/// Rule 12: What is not known is harmless; what is no message is counted; neither disturbs anything.
pub fn r12_unknown_messages(far: Far<'_>) {
    let mut desk = Desk::live(far());
    let strange = desk.far.strange();
    for text in &strange {
        desk.say(text);
    }
    assert_eq!(desk.bench.pipeline.notices.len(), strange.len(), "each is told to the operator");
    let conn = desk.conns[0].1;
    for garbage in ["{\"", "\u{0}", "[]", "{\"data\":{\"e\":1}}"] {
        let error = desk.bench.frame(conn, garbage).unwrap_err();
        assert_eq!(error.remedy, Remedy::Ignore, "{garbage}");
    }
    desk.diff(0, Side::Buy, ("95", "4"));
    desk.agree(0);
    assert_eq!(desk.bench.pipeline.count(Count::Gap), 0);
}

/// Rule 13: While a connection is renewed both speak; nothing is doubled, nothing is missed.
pub fn r13_renewal(far: Far<'_>) {
    let mut desk = Desk::live(far());
    desk.subscribe(&[(0, Kind::Trade)]);
    let statuses = desk.bench.pipeline.statuses.len();
    let (link, old) = desk.conns[0];
    let url = desk.said[0].clone();
    desk.open(link, &url);
    desk.settle();
    let new = desk.conns.last().unwrap().1;
    let before = desk.bench.pipeline.emitted.len();
    for level in [("95", "4"), ("96", "5")] {
        let text = desk.far.diff(0, Side::Buy, level, false);
        desk.bench.frame(old, &text).unwrap();
        desk.bench.frame(new, &text).unwrap();
        desk.agree(0);
    }
    assert_eq!(desk.bench.pipeline.emitted.len(), before + 2);
    desk.close(link);
    let text = desk.far.diff(0, Side::Buy, ("97", "6"), false);
    desk.bench.frame(new, &text).unwrap();
    desk.agree(0);
    let later = &desk.bench.pipeline.statuses[statuses..];
    assert!(later.iter().all(|s| s.1 != BOOK), "{later:?}");
}

/// Rule 14: A connection that is announced to end is renewed; with the last subscription everything is
/// closed and nothing is asked any more.
pub fn r14_shutdown(far: Far<'_>) {
    let mut desk = Desk::live(far());
    if let Some(text) = desk.facts.announces_end {
        desk.say(text);
        let conn = model::ConnId(desk.conns[0].1);
        assert_eq!(desk.bench.outbox.renew, [(conn, Reason::VenueReset)]);
        desk.agree(0);
    }
    let names = desk.facts.names;
    desk.bench.unsubscribe(&[(names[0], BOOK), (names[1], BOOK)]);
    desk.settle();
    assert!(desk.conns.is_empty(), "links without streams are closed");
    desk.answering = false;
    desk.pass(120_000);
    assert!(desk.bench.outbox.requests.is_empty() && desk.bench.outbox.frames.is_empty());
}
