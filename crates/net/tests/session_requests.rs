//! The session's rules about REST, in virtual time.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use std::time::Duration;

use common::desk::Desk;
use common::{Call, PROFILE, request};
use model::event::Reason;
use model::venue::{Bulk, Profile, Rate};
use model::{Nanos, RequestId};
use net::session::{BACKOFF_BASE, BACKOFF_CAP, PAUSE_AFTER_418};
use net::{FetchError, Reply, ReplyBody, SessionConfig};

const JITTER: Duration = Duration::from_millis(250);

fn sec(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ask(desk: &mut Desk, ids: impl IntoIterator<Item = u64>, weight: u32) {
    desk.want(|outbox| outbox.requests.extend(ids.into_iter().map(|id| request(id, weight))));
}

/// A budget of so much a minute, all of it ours.
fn budget(count: u32) -> (Profile, fn(&mut SessionConfig)) {
    let weight = Rate { count, per: sec(60) };
    (Profile { weight, ..PROFILE }, |config| config.weight_reserve_pct = 0)
}

/// The one call, which must be a delay.
fn delayed(desk: &Desk) -> (u64, Reason, Nanos) {
    match desk.calls()[..] {
        [Call::Delayed(RequestId(id), reason, at)] => (id, reason, at),
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn an_answer_reaches_the_venue_once() {
    let mut desk = Desk::new();
    ask(&mut desk, [1], 5);
    assert_eq!(desk.done(), ["request 1"]);
    let stats = desk.session.stats();
    assert_eq!((stats.requests, stats.requests_in_flight, stats.weight_used), (1, 1, 5));
    desk.answer(1, 200, "body");
    assert_eq!(desk.calls(), [Call::Answered(RequestId(1), "body".into())]);
    desk.answer(1, 200, "again");
    desk.answer(2, 200, "never asked");
    desk.pass(sec(3_600));
    assert!(desk.calls().is_empty() && desk.done().is_empty());
}

#[test]
fn an_answer_that_was_read_elsewhere_is_handed_on_as_it_is() {
    let mut desk = Desk::new();
    ask(&mut desk, [1], 5);
    let body = ReplyBody::Read(Ok(Bulk::LastTrade(Some(7))));
    let reply = Reply { status: 200, weight_used: None, retry_after: None, body };
    desk.session.answered(RequestId(1), Ok(reply), desk.now, &mut desk.pipeline);
    assert_eq!(desk.calls(), [Call::Decoded(RequestId(1), 7)]);
}

#[test]
fn at_most_eight_are_under_way() {
    let mut desk = Desk::new();
    ask(&mut desk, 1..=20, 1);
    assert_eq!(desk.done().len(), 8);
    desk.answer(3, 200, "");
    assert_eq!(desk.done(), ["request 9"]);
    assert_eq!(desk.session.stats().requests_queued, 11);
    desk.calls();
}

#[test]
fn failures_that_pass_are_repeated_with_growing_waits() {
    for seed in 0..30 {
        let mut desk = Desk::with(PROFILE, |config| config.seed = seed);
        ask(&mut desk, [1], 1);
        for round in 0..20_u32 {
            match round % 5 {
                0 => desk.answer(1, 503, "down"),
                1 => desk.fail(1, FetchError::Timeout),
                2 => desk.fail(1, FetchError::Connect("refused".into())),
                3 => desk.fail(1, FetchError::Body("reset".into())),
                _ => desk.fail(1, FetchError::Busy),
            }
            let (id, reason, at) = delayed(&desk);
            assert_eq!((id, reason), (1, Reason::VenueUnavailable));
            let ceiling = (BACKOFF_BASE * 2_u32.pow(round.min(10))).min(BACKOFF_CAP);
            assert!(at.since(desk.now) <= ceiling, "{:?} in {round}", at.since(desk.now));
            desk.take_log();
            desk.pass(at.since(desk.now));
            assert_eq!(desk.done(), ["request 1"]);
        }
        desk.answer(1, 200, "at last");
        assert_eq!(desk.calls(), [Call::Answered(RequestId(1), "at last".into())]);
        assert_eq!(desk.session.stats().retries, 20);
    }
}

#[test]
fn a_busy_venue_that_names_a_time_is_obeyed() {
    let mut desk = Desk::new();
    ask(&mut desk, [1], 1);
    desk.answer_with(1, 503, "", None, Some(sec(40)));
    let (_, reason, at) = delayed(&desk);
    assert_eq!((reason, at.since(desk.now)), (Reason::VenueUnavailable, sec(40)));
}

#[test]
fn a_request_on_which_nobody_reports_is_cancelled_and_repeated() {
    let mut desk = Desk::new();
    ask(&mut desk, [1], 1);
    desk.take_log();
    desk.pass(sec(11));
    assert_eq!(desk.done()[0], "cancel 1");
    let (id, reason, _) = delayed(&desk);
    assert_eq!((id, reason), (1, Reason::VenueUnavailable));
    desk.pass(BACKOFF_BASE);
    desk.answer(1, 200, "late");
    assert_eq!(desk.calls(), [Call::Answered(RequestId(1), "late".into())]);
}

#[test]
fn a_refusal_is_final_and_says_why() {
    let mut desk = Desk::new();
    ask(&mut desk, [1, 2, 3], 1);
    desk.answer(1, 400, "Invalid symbol.");
    desk.answer(2, 302, "moved");
    desk.fail(3, FetchError::TooLarge { limit: 9 });
    let calls = desk.calls();
    assert_eq!(calls[0], Call::Refused(RequestId(1), 400, "Invalid symbol.".into()));
    assert_eq!(calls[1], Call::Refused(RequestId(2), 302, "moved".into()));
    assert!(matches!(&calls[2], Call::Refused(RequestId(3), 0, why) if why.contains("9 bytes")));
    desk.take_log();
    desk.pass(sec(600));
    assert!(desk.done().is_empty());
}

#[test]
fn an_answer_that_cannot_be_used_is_counted() {
    let mut desk = Desk::new();
    ask(&mut desk, [1, 2], 1);
    desk.answer(1, 200, "bad");
    assert_eq!(desk.session.stats().malformed, 1);
    desk.answer(2, 200, "stop");
    assert!(desk.session.fatal().is_some());
}

// Being told to slow down.

#[test]
fn a_429_pauses_every_request_until_the_time_it_names() {
    let mut desk = Desk::with(PROFILE, |config| config.in_flight_max = 2);
    ask(&mut desk, 1..=4, 1);
    desk.take_log();
    desk.answer_with(1, 429, "slow down", None, Some(sec(7)));
    let told: Vec<_> = desk.calls();
    let [Call::Delayed(RequestId(1), Reason::RateLimited, until), ..] = told[..] else {
        panic!("{told:?}")
    };
    assert!(until.since(desk.now) >= sec(7) && until.since(desk.now) <= sec(7) + JITTER);
    // Those that wait know it as well, once.
    let others = |id| Call::Delayed(RequestId(id), Reason::RateLimited, until);
    assert_eq!(told[1..], [others(3), others(4)]);
    ask(&mut desk, [5], 1);
    assert_eq!(desk.calls(), [others(5)]);
    // What is under way may still be answered.
    desk.answer(2, 200, "ok");
    assert_eq!(desk.calls(), [Call::Answered(RequestId(2), "ok".into())]);
    desk.pass(until.since(desk.now) - Duration::from_nanos(1));
    assert!(desk.done().is_empty() && desk.calls().is_empty());
    desk.pass(Duration::from_nanos(1));
    assert_eq!(desk.done(), ["request 1", "request 3"], "the oldest first");
    assert_eq!(desk.session.stats().rate_limited_pauses, 1);
}

#[test]
fn without_a_named_time_the_pause_is_long_enough() {
    let budget = |per| Rate { count: 40, per };
    for (status, per, pause) in
        [(429, sec(60), sec(60)), (429, sec(2), sec(2)), (418, sec(2), PAUSE_AFTER_418)]
    {
        let mut desk = Desk::with(Profile { weight: budget(per), ..PROFILE }, |_| {});
        ask(&mut desk, [1], 1);
        desk.take_log();
        desk.answer(1, status, "");
        let (_, reason, until) = delayed(&desk);
        assert_eq!(reason, Reason::RateLimited);
        assert!(until.since(desk.now) >= pause && until.since(desk.now) <= pause + JITTER);
        desk.pass(pause - Duration::from_nanos(1));
        assert!(desk.done().is_empty());
        desk.pass(JITTER + Duration::from_nanos(1));
        assert_eq!(desk.done(), ["request 1"]);
    }
}

#[test]
fn a_second_429_never_shortens_the_pause() {
    let mut desk = Desk::new();
    ask(&mut desk, [1, 2], 1);
    desk.take_log();
    desk.answer_with(1, 418, "", None, Some(sec(300)));
    desk.answer_with(2, 429, "", None, Some(sec(1)));
    desk.pass(sec(299));
    assert!(desk.done().is_empty());
    desk.pass(sec(2));
    assert_eq!(desk.done().len(), 2);
}

// The budget.

#[test]
fn the_budget_holds_requests_back_and_the_venue_knows() {
    let (profile, adjust) = budget(100);
    let mut desk = Desk::with(profile, adjust);
    let from = desk.now;
    ask(&mut desk, [1, 2], 50);
    desk.pass(sec(10));
    ask(&mut desk, [3], 50);
    assert_eq!(desk.done(), ["request 1", "request 2"]);
    assert_eq!(delayed(&desk), (3, Reason::RateLimited, from + sec(60)));
    desk.answer(1, 200, "");
    desk.answer(2, 200, "");
    desk.take_log();
    desk.pass(sec(50) - Duration::from_nanos(1));
    assert!(desk.done().is_empty());
    desk.pass(Duration::from_nanos(1));
    assert_eq!(desk.done(), ["request 3"]);
}

#[test]
fn a_fifth_of_the_budget_is_left_to_others() {
    let weight = Rate { count: 100, per: sec(60) };
    let mut desk = Desk::with(Profile { weight, ..PROFILE }, |_| {});
    ask(&mut desk, [1, 2], 40);
    ask(&mut desk, [3], 1);
    assert_eq!(desk.done(), ["request 1", "request 2"]);
}

#[test]
fn what_others_spend_is_learned_from_the_venues_header() {
    let (profile, adjust) = budget(100);
    let mut desk = Desk::with(profile, adjust);
    ask(&mut desk, [1], 10);
    desk.answer_with(1, 200, "", Some(95), None);
    assert_eq!(desk.session.stats().weight_used, 95);
    desk.calls();
    desk.take_log();
    ask(&mut desk, [2], 10);
    assert!(desk.done().is_empty());
    assert_eq!(delayed(&desk).1, Reason::RateLimited);
    desk.pass(sec(60));
    assert_eq!(desk.done(), ["request 2"]);
    // A header that says less (its minute has just begun) gives nothing back.
    desk.answer_with(2, 200, "", Some(0), None);
    assert_eq!(desk.session.stats().weight_used, 10);
}

#[test]
fn a_heavy_request_is_not_overtaken_for_ever() {
    let (profile, adjust) = budget(100);
    let mut desk = Desk::with(profile, adjust);
    ask(&mut desk, [1], 30);
    ask(&mut desk, [2], 90);
    ask(&mut desk, [3], 10);
    assert_eq!(desk.done(), ["request 1"], "there is room for 3, but 2 was first");
    desk.answer(1, 200, "");
    desk.pass(sec(60));
    assert_eq!(desk.done(), ["request 2", "request 3"]);
}

#[test]
fn what_can_never_be_paid_is_refused_at_once() {
    let (profile, adjust) = budget(100);
    let mut desk = Desk::with(profile, adjust);
    ask(&mut desk, [1], 101);
    let calls = desk.calls();
    assert!(matches!(&calls[0], Call::Refused(_, 0, why) if why.contains("100")), "{calls:?}");
    assert!(desk.done().is_empty());
}

// Bounds.

#[test]
fn a_full_queue_answers() {
    let mut desk = Desk::with(PROFILE, |config| config.queue_len_max = 10);
    ask(&mut desk, 1..=11, 1);
    let refused =
        |calls: Vec<Call>| calls.iter().filter(|c| matches!(c, Call::Refused(..))).count();
    assert_eq!(refused(desk.calls()), 1);
    assert_eq!(desk.done().len(), 8);
    assert_eq!(desk.session.stats().requests_refused, 1);
    ask(&mut desk, 12..=30, 1);
    assert_eq!(refused(desk.calls()), 11);
    assert_eq!(desk.session.stats().requests_queued, 10);
}

#[test]
fn a_venue_that_never_takes_no_for_an_answer_does_not_hang_the_shard() {
    let mut desk = Desk::with(PROFILE, |config| config.queue_len_max = 0);
    desk.venue.lock().stubborn = true;
    ask(&mut desk, [1], 1);
    let rounds = desk.calls().len();
    assert!(rounds > 1 && rounds < 100, "{rounds}");
    // It goes on later.
    desk.step(sec(1));
    assert!(!desk.calls().is_empty());
}

// Cancelling.

#[test]
fn what_is_cancelled_is_never_answered() {
    let mut desk = Desk::with(PROFILE, |config| config.in_flight_max = 1);
    ask(&mut desk, [1, 2, 3], 1);
    desk.take_log();
    desk.want(|outbox| outbox.cancelled.extend([RequestId(1), RequestId(2)]));
    assert_eq!(desk.done(), ["cancel 1", "request 3"]);
    desk.answer(1, 200, "late");
    assert!(desk.calls().is_empty());
    desk.answer(3, 200, "yes");
    assert_eq!(desk.calls().len(), 1);
}

#[test]
fn what_is_asked_and_cancelled_in_one_breath_is_not_sent() {
    let mut desk = Desk::new();
    desk.want(|outbox| {
        outbox.requests.push(request(1, 1));
        outbox.cancelled.push(RequestId(1));
    });
    assert!(desk.done().is_empty());
}
