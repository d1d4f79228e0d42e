//! The session's rules about connections, in virtual time.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::time::Duration;

use common::desk::{Desk, START};
use common::{Call, PROFILE};
use model::event::Reason;
use model::venue::{LinkChange, Profile, Rate};
use model::{ConnId, LinkId, Nanos};
use net::session::{BACKOFF_BASE, BACKOFF_CAP};
use net::{Action, ConnectError};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

fn sec(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn nothing_happens_before_the_first_command() {
    let mut desk = Desk::new();
    assert_eq!(desk.session.deadline(), None);
    desk.pass(DAY);
    assert!(desk.log.is_empty());
}

#[test]
fn a_link_is_connected_at_once_and_the_venue_told_when_it_is_up() {
    let mut desk = Desk::new();
    desk.venue.lock().greeting = Some("hello".into());
    desk.link(7);
    assert_eq!(desk.done(), ["connect 1 for 7 to wss://h/7"]);
    assert!(desk.calls().is_empty());
    desk.opened(ConnId(1));
    assert_eq!(desk.calls(), [Call::Open(LinkId(7), ConnId(1))]);
    assert_eq!(desk.done(), ["send 1 hello"]);
    assert_eq!(desk.session.stats().open, 1);
}

/// How long the waits between the first connects are when none succeeds.
fn waits(seed: u64, count: usize) -> Vec<Duration> {
    let mut desk = Desk::with(PROFILE, |config| config.seed = seed);
    desk.link(0);
    let mut waits = Vec::new();
    for _ in 0..count {
        let conn = desk.connecting();
        desk.connect_failed(conn);
        waits.push(desk.next_connect().1);
    }
    assert_eq!(desk.session.stats().connects_failed, count as u64);
    waits
}

#[test]
fn failed_connects_are_repeated_with_growing_jittered_waits() {
    for seed in 0..50 {
        for (failures, wait) in waits(seed, 20).into_iter().enumerate() {
            let ceiling = BACKOFF_BASE * 2_u32.pow(failures.min(10) as u32);
            assert!(wait <= ceiling.min(BACKOFF_CAP), "{wait:?} after {failures}");
        }
    }
    // Full jitter: the same failure waits anything from nothing to the ceiling.
    let tenth: Vec<_> = (0..200).map(|seed| waits(seed, 10)[9]).collect();
    assert!(tenth.iter().any(|&wait| wait < sec(5)) && tenth.iter().any(|&wait| wait > sec(25)));
    assert_eq!(waits(3, 8), waits(3, 8));
    assert_ne!(waits(3, 8), waits(4, 8));
}

#[test]
fn the_wait_starts_over_only_after_a_connection_was_useful_for_a_while() {
    let run = |data: bool, useful: Duration| {
        let mut longest = Duration::ZERO;
        for seed in 0..40 {
            let mut desk = Desk::with(PROFILE, |config| config.seed = seed);
            desk.link(0);
            for _ in 0..8 {
                let conn = desk.connecting();
                desk.connect_failed(conn);
                desk.next_connect();
            }
            let conn = desk.connecting();
            desk.opened(conn);
            if data {
                desk.frame(conn, "data");
            }
            desk.pass(useful);
            desk.closed(conn);
            longest = longest.max(desk.next_connect().1);
        }
        longest
    };
    assert!(run(true, sec(30)) <= BACKOFF_BASE);
    let short = run(true, sec(29));
    assert!(short > sec(3) && short <= sec(4), "the venue was there: {short:?}");
    assert!(run(false, sec(29)) > sec(10), "a connection without data is as good as none");
}

#[test]
fn a_refusal_that_names_a_time_is_obeyed() {
    let mut desk = Desk::new();
    desk.link(0);
    let (status, retry_after) = (429, Some(sec(77)));
    let error = ConnectError::Upgrade { status, retry_after, body: "slow".into() };
    desk.connect_failed_by(ConnId(1), &error);
    assert_eq!(desk.next_connect().1, sec(77));
}

#[test]
fn a_connect_on_which_nobody_reports_is_given_up() {
    let mut desk = Desk::new();
    desk.link(0);
    desk.done();
    desk.pass(sec(15));
    assert_eq!(desk.done()[0], "close 1 1000");
    let (conn, _) = desk.next_connect();
    // The late word of the first changes nothing.
    desk.opened(ConnId(1));
    assert!(desk.calls().is_empty());
    desk.opened(conn);
    assert_eq!(desk.calls(), [Call::Open(LinkId(0), conn)]);
}

#[test]
fn connects_keep_to_the_venues_rate() {
    let connects = Rate { count: 3, per: sec(60) };
    let mut desk = Desk::with(Profile { connects, ..PROFILE }, |_| {});
    for link in 0..5 {
        desk.link(link);
    }
    assert_eq!(desk.done().len(), 3);
    desk.pass(sec(14));
    assert_eq!(desk.done(), [""; 0]);
    desk.opened(ConnId(1));
    desk.opened(ConnId(2));
    desk.opened(ConnId(3));
    desk.pass(sec(47));
    assert_eq!(desk.done(), ["connect 4 for 3 to wss://h/3", "connect 5 for 4 to wss://h/4"]);
}

#[test]
fn a_lost_connection_is_told_and_replaced() {
    let (mut desk, conn) = Desk::open(PROFILE, |_| {});
    desk.closed(conn);
    assert_eq!(desk.calls(), [Call::Close(conn)]);
    let (next, wait) = desk.next_connect();
    assert!(wait <= BACKOFF_BASE && next != conn);
    desk.opened(next);
    let stats = desk.session.stats();
    assert_eq!((stats.disconnects, stats.reconnects, stats.connects), (1, 1, 2));
}

#[test]
fn a_link_without_an_address_is_closed_for_good() {
    let (mut desk, conn) = Desk::open(PROFILE, |_| {});
    desk.unlink(0);
    assert_eq!(desk.done(), ["close 1 1000"]);
    assert_eq!(desk.calls(), [Call::Close(conn)]);
    desk.pass(DAY);
    assert!(desk.done().is_empty());
}

#[test]
fn a_link_that_is_not_up_yet_can_be_closed() {
    let mut desk = Desk::new();
    desk.link(0);
    desk.unlink(0);
    assert_eq!(desk.done(), ["connect 1 for 0 to wss://h/0", "close 1 1000"]);
    assert!(desk.calls().is_empty(), "it was never open");
}

#[test]
fn a_new_address_is_used_at_the_next_connect() {
    let (mut desk, conn) = Desk::open(PROFILE, |_| {});
    let url = Some("wss://elsewhere/".to_owned());
    desk.want(|outbox| outbox.links.push(LinkChange { link: LinkId(0), url }));
    assert!(desk.done().is_empty());
    desk.closed(conn);
    desk.next_connect();
    assert_eq!(desk.done(), ["connect 2 for 0 to wss://elsewhere/"]);
}

// Renewal.

#[test]
fn a_connection_is_replaced_before_its_life_ends_and_never_two_at_once() {
    let mut when = Vec::new();
    for seed in 0..40 {
        let (mut desk, old) = Desk::open(PROFILE, |config| config.seed = seed);
        let from = desk.now;
        let new = loop {
            desk.step(HOUR);
            // Not silent: something comes between the deadlines.
            desk.frame(old, "data");
            if desk.log.iter().any(|(_, action)| matches!(action, Action::Connect { .. })) {
                break desk.connecting();
            }
        };
        let age = desk.now.since(from);
        assert!(age > DAY / 24 * 22 && age <= DAY / 24 * 23 + BACKOFF_BASE, "{age:?}");
        when.push(age);
        desk.take_log();
        desk.opened(new);
        // Both feed the venue; the old one stays until the new one brings data.
        desk.frame(old, "data 1");
        desk.frame(new, "ack");
        assert!(desk.done().is_empty());
        desk.frame(new, "duplicate");
        assert_eq!(desk.done(), ["close 1 1000"]);
        let calls = desk.calls();
        let calls = &calls[calls.len() - 5..];
        let said = |conn, text: &str| Call::Frame(conn, text.into());
        assert_eq!(
            calls,
            [
                Call::Open(LinkId(0), new),
                said(old, "data 1"),
                said(new, "ack"),
                said(new, "duplicate"),
                Call::Close(old)
            ]
        );
        let stats = desk.session.stats();
        assert_eq!((stats.renewals, stats.disconnects, stats.reconnects), (1, 0, 0));
    }
    when.sort();
    assert!(when[39] - when[0] > DAY / 24 / 4, "all at once: {when:?}");
}

/// A connection whose venue has announced its end, and its replacement, not open yet.
fn announced() -> (Desk, ConnId, ConnId) {
    let (mut desk, old) = Desk::open(PROFILE, |_| {});
    desk.frame(old, "shutdown");
    let (new, wait) = desk.next_connect();
    assert!(wait <= BACKOFF_BASE);
    desk.take_log();
    desk.venue.take_calls();
    (desk, old, new)
}

#[test]
fn an_announced_end_brings_the_replacement_first() {
    let (mut desk, old, new) = announced();
    // Said again, it changes nothing.
    desk.frame(old, "shutdown");
    desk.opened(new);
    desk.frame(old, "shutdown");
    assert!(desk.done().is_empty());
    desk.frame(new, "data");
    assert_eq!(desk.done(), ["close 1 1000"]);
    desk.pass(sec(50));
    assert!(desk.done().is_empty());
}

#[test]
fn a_quiet_replacement_takes_over_after_the_grace() {
    let (mut desk, _, new) = announced();
    desk.opened(new);
    desk.pass(sec(4));
    assert!(desk.done().is_empty());
    desk.pass(sec(1));
    assert_eq!(desk.done(), ["close 1 1000"]);
    assert_eq!(desk.session.stats().renewals, 1);
}

#[test]
fn the_old_one_stays_until_the_replacement_has_asked_for_everything() {
    let (mut desk, _, new) = announced();
    let texts = |n| (0..n).map(move |i| (new, format!("subscribe {i}")));
    desk.opened(new);
    desk.want(|outbox| outbox.frames.extend(texts(9)));
    desk.frame(new, "data");
    assert_eq!(desk.done().len(), 4, "the message budget holds the rest back");
    desk.pass(Duration::from_millis(1_500));
    assert_eq!(desk.done().len(), 4);
    desk.pass(Duration::from_millis(600));
    assert_eq!(desk.done(), ["send 2 subscribe 8", "close 1 1000"]);
}

#[test]
fn when_the_replacement_fails_the_old_one_stays_and_it_is_tried_again() {
    let (mut desk, old, mut new) = announced();
    for _ in 0..6 {
        desk.connect_failed(new);
        desk.frame(old, "data");
        new = desk.next_connect().0;
    }
    desk.opened(new);
    desk.closed(new);
    new = desk.next_connect().0;
    assert!(!desk.is_dead(old));
    desk.opened(new);
    desk.frame(new, "data");
    assert!(desk.is_dead(old));
    assert_eq!(desk.session.stats().renewals, 1);
}

#[test]
fn when_the_old_one_goes_first_the_replacement_takes_its_place() {
    // Open already.
    let (mut desk, old, new) = announced();
    desk.opened(new);
    desk.closed(old);
    desk.pass(sec(50));
    assert!(desk.done().is_empty(), "nothing more to connect");
    // On its way.
    let (mut desk, old, new) = announced();
    desk.closed(old);
    desk.pass(sec(10));
    assert!(desk.done().is_empty());
    desk.opened(new);
    desk.frame(new, "data");
    desk.pass(sec(50));
    assert!(desk.done().is_empty());
    // Between two attempts.
    let (mut desk, old, new) = announced();
    desk.connect_failed(new);
    desk.closed(old);
    let (next, _) = desk.next_connect();
    desk.opened(next);
    desk.frame(next, "data");
    desk.take_log();
    desk.pass(sec(50));
    assert!(desk.done().is_empty());
}

#[test]
fn a_replacement_that_is_announced_to_end_is_replaced_in_its_turn() {
    let (mut desk, old, new) = announced();
    desk.opened(new);
    desk.frame(new, "shutdown");
    assert!(!desk.is_dead(old));
    desk.frame(new, "data");
    assert!(desk.is_dead(old));
    let (third, wait) = desk.next_connect();
    assert!(wait <= BACKOFF_BASE * 4 && !desk.is_dead(new), "{wait:?}");
    desk.opened(third);
    desk.frame(third, "data");
    assert!(desk.is_dead(new));
}

#[test]
fn a_server_that_always_announces_its_end_does_not_make_us_race() {
    let (mut desk, mut conn) = Desk::open(PROFILE, |_| {});
    let from = desk.now;
    for _ in 0..30 {
        desk.frame(conn, "shutdown");
        conn = desk.next_connect().0;
        desk.opened(conn);
        desk.frame(conn, "data");
    }
    assert!(desk.now.since(from) > sec(120), "{:?}", desk.now.since(from));
}

// Distrust.

#[test]
fn a_distrusted_connection_is_closed_at_once_and_opened_again() {
    let (mut desk, conn) = Desk::open(PROFILE, |_| {});
    desk.frame(conn, "distrust");
    assert_eq!(desk.done(), ["close 1 1000"]);
    assert_eq!(desk.calls().last(), Some(&Call::Close(conn)));
    assert!(desk.next_connect().1 <= BACKOFF_BASE);
    desk.want(|outbox| outbox.reconnect.push((conn, Reason::CrossedBook)));
    assert_eq!(desk.done(), ["connect 2 for 0 to wss://h/0"], "what is gone stays gone");
}

#[test]
fn an_error_is_treated_by_its_remedy() {
    let (mut desk, conn) = Desk::open(PROFILE, |_| {});
    desk.frame(conn, "gibberish");
    desk.frame(conn, "resync");
    let stats = desk.session.stats();
    assert_eq!((stats.malformed, stats.resyncs, stats.open), (1, 1, 1));
    desk.frame(conn, "reconnect");
    assert_eq!(desk.done(), ["close 1 1002"]);
    let (conn, _) = desk.next_connect();
    desk.opened(conn);
    desk.frame(conn, "data");
    assert_eq!(desk.session.stats().malformed, 2);
    desk.frame(conn, "stop");
    assert_eq!(desk.done().last().unwrap(), "close 2 1000");
    assert_eq!(desk.pipeline.unreadable, 4, "each is shown to somebody");
    assert_eq!(&*desk.session.fatal().unwrap().message, "so it is");
    desk.pass(DAY);
    desk.link(3);
    assert!(desk.done().is_empty());
}

#[test]
fn a_message_that_is_no_text_ends_with_code_1007() {
    let (mut desk, conn) = Desk::open(PROFILE, |_| {});
    desk.session.frame(conn, b"reconnect \xff", desk.now, &mut desk.pipeline);
    desk.command(true);
    assert_eq!(desk.done(), ["close 1 1007"]);
}

// Silence.

#[test]
fn a_silent_connection_is_pinged_and_a_pong_keeps_it() {
    let (mut desk, conn) = Desk::open(PROFILE, |_| {});
    desk.pass(sec(59));
    assert!(desk.done().is_empty());
    desk.pass(sec(1));
    assert_eq!(desk.done(), ["ping 1"]);
    desk.pass(sec(9));
    desk.session.ponged(conn, desk.now);
    desk.pass(sec(59));
    assert!(desk.done().is_empty());
    desk.pass(sec(1));
    assert_eq!(desk.done(), ["ping 1"]);
    // Any sign of life will do.
    desk.frame(conn, "data");
    desk.pass(sec(59));
    desk.session.pinged(conn, desk.now);
    desk.pass(sec(59));
    assert!(desk.done().is_empty());
    assert_eq!(desk.session.stats().pings, 2);
}

#[test]
fn a_connection_that_answers_no_ping_is_dead() {
    let (mut desk, conn) = Desk::open(PROFILE, |_| {});
    desk.pass(sec(60));
    desk.pass(Duration::from_millis(9_999));
    assert_eq!(desk.done(), ["ping 1"]);
    desk.pass(Duration::from_millis(1));
    assert_eq!(desk.done(), ["close 1 1001"]);
    assert_eq!(desk.calls(), [Call::Close(conn)]);
    assert!(desk.next_connect().1 <= BACKOFF_BASE);
    assert_eq!(desk.session.stats().pong_timeouts, 1);
}

#[test]
fn a_venue_that_wants_a_text_for_a_ping_gets_it_and_any_message_answers() {
    let (mut desk, conn) = Desk::open(Profile { ping_text: Some("ping"), ..PROFILE }, |_| {});
    desk.pass(sec(60));
    assert_eq!(desk.done(), ["send 1 ping"]);
    desk.session.frame(conn, b"pong", desk.now, &mut desk.pipeline);
    desk.pass(sec(59));
    assert!(desk.done().is_empty());
    desk.pass(sec(1) + PROFILE.pong_timeout);
    assert_eq!(desk.done(), ["send 1 ping", "close 1 1001"]);
    assert_eq!(desk.session.stats().pings, 2);
}

#[test]
fn an_old_stamp_does_not_turn_time_back() {
    let (mut desk, conn) = Desk::open(PROFILE, |_| {});
    desk.pass(sec(50));
    desk.session.timer(desk.now, &mut desk.pipeline);
    desk.session.frame(conn, b"data", START, &mut desk.pipeline);
    assert_eq!(desk.venue.lock().stamps.last(), Some(&START), "the venue sees the arrival");
    desk.pass(sec(59));
    assert!(desk.done().is_empty(), "silence counts from the latest time known");
}

// Sending.

#[test]
fn messages_keep_to_the_venues_rate_and_leave_room_for_a_pong() {
    let (mut desk, conn) = Desk::open(PROFILE, |_| {});
    desk.pass(sec(2));
    desk.want(|outbox| outbox.frames.extend((0..10).map(|i| (conn, i.to_string()))));
    assert_eq!(desk.done().len(), 4);
    desk.session.pinged(conn, desk.now);
    desk.pass(Duration::from_millis(999));
    assert!(desk.done().is_empty());
    desk.pass(Duration::from_millis(1));
    assert_eq!(desk.done().len(), 4);
    desk.pass(sec(1));
    assert_eq!(desk.done(), ["send 1 8", "send 1 9"]);
}

#[test]
fn pongs_count() {
    let (mut desk, conn) = Desk::open(PROFILE, |_| {});
    desk.pass(sec(2));
    for _ in 0..3 {
        desk.session.pinged(conn, desk.now);
    }
    desk.pass(Duration::from_millis(500));
    desk.want(|outbox| outbox.frames.extend((0..4).map(|i| (conn, i.to_string()))));
    assert_eq!(desk.done().len(), 1, "four of five are spent, one is kept for the next pong");
    desk.pass(Duration::from_millis(500));
    assert_eq!(desk.done().len(), 3);
}

#[test]
fn what_was_not_carried_out_yet_is_forgotten_with_its_connection() {
    let (mut desk, conn) = Desk::open(PROFILE, |_| {});
    desk.pass(sec(2));
    // A driver that fails while it carries out the first of several actions.
    desk.venue.lock().wants.frames.extend((0..3).map(|i| (conn, i.to_string())));
    desk.session.frame(conn, b"data", desk.now, &mut desk.pipeline);
    assert!(matches!(desk.session.next_action(), Some(Action::Send { .. })));
    desk.closed(conn);
    assert!(desk.done().is_empty());
}

#[test]
fn what_is_for_a_connection_that_is_gone_is_not_sent() {
    let (mut desk, conn) = Desk::open(PROFILE, |_| {});
    desk.pass(sec(2));
    desk.want(|outbox| outbox.frames.extend((0..10).map(|i| (conn, i.to_string()))));
    desk.take_log();
    desk.closed(conn);
    desk.want(|outbox| outbox.frames.push((conn, "late".into())));
    desk.want(|outbox| outbox.renew.push((conn, Reason::VenueReset)));
    desk.frame(conn, "data");
    desk.pass(sec(5));
    assert_eq!(desk.done(), ["connect 2 for 0 to wss://h/0"]);
    assert_eq!(desk.session.stats().stale_sends, 1);
}

#[test]
fn more_to_send_than_there_is_room_for_ends_the_connection() {
    let (mut desk, conn) = Desk::open(PROFILE, |config| config.sends_len_max = 10);
    desk.want(|outbox| outbox.frames.extend((0..11).map(|i| (conn, i.to_string()))));
    assert_eq!(desk.done(), ["close 1 1000"]);
    assert_eq!(desk.calls(), [Call::Close(conn)], "the venue knows that nothing was sent");
    assert_eq!(desk.session.stats().send_overflows, 1);
    desk.next_connect();
}

// The venue's timer, and the end.

#[test]
fn the_earliest_wish_for_the_timer_wins() {
    let mut desk = Desk::new();
    let at = |ms| START + Duration::from_millis(ms);
    desk.want(|outbox| outbox.wake_at(at(500)));
    desk.want(|outbox| outbox.wake_at(at(200)));
    desk.want(|outbox| outbox.wake_at(at(900)));
    desk.pass(sec(2));
    assert_eq!(desk.calls(), [Call::Timer(at(200))]);
    assert_eq!(desk.session.deadline(), None, "it asks again if it still wants to");
}

#[test]
fn a_wish_for_the_timer_after_a_frame_is_noted() {
    let (mut desk, conn) = Desk::open(PROFILE, |_| {});
    let at = Nanos(desk.now.0 + 77);
    desk.venue.lock().wants.wake_at(at);
    desk.frame(conn, "data");
    assert_eq!(desk.session.deadline(), Some(at));
}

#[test]
fn a_shutdown_closes_everything_and_nothing_comes_after() {
    let (mut desk, conn) = Desk::open(PROFILE, |_| {});
    desk.link(1);
    desk.want(|outbox| outbox.requests.push(common::request(5, 1)));
    desk.take_log();
    desk.shutdown();
    assert_eq!(desk.done(), ["close 1 1000", "close 2 1000", "cancel 5"]);
    assert_eq!(desk.calls(), [Call::Close(conn)], "the second was not open yet");
    desk.opened(ConnId(2));
    desk.frame(conn, "data");
    desk.link(4);
    desk.pass(DAY);
    assert!(desk.done().is_empty() && desk.calls().is_empty());
    assert_eq!(desk.session.deadline(), None);
}
