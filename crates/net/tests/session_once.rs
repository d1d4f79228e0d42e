//! What goes now or never, in virtual time: sent at once or not at all, never twice, one outcome.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use std::time::Duration;

use common::desk::Desk;
use common::{Call, PROFILE, request};
use model::venue::{OnceFrame, Profile, Rate, Repeat, Request};
use model::{ConnId, RequestId};
use net::{Action, FetchError};
use proptest::prelude::*;

fn once(id: u64, weight: u32, urgent: bool) -> Request {
    Request { repeat: Repeat::Once { urgent }, ..request(id, weight) }
}

fn ask(desk: &mut Desk, request: Request) {
    desk.want(|outbox| outbox.requests.push(request));
}

fn say(desk: &mut Desk, conn: ConnId, id: u64, urgent: bool) {
    let frame = OnceFrame { conn, id: RequestId(id), text: format!("order {id}"), urgent };
    desk.want(|outbox| outbox.once_frames.push(frame));
}

fn unsent(desk: &Desk) -> Vec<u64> {
    let unsent = |call: &Call| match call {
        Call::Unsent(id, _) => Some(id.0),
        _ => None,
    };
    desk.calls().iter().filter_map(unsent).collect()
}

#[test]
fn every_end_of_a_request_is_told_once_and_none_is_another_try() {
    let id = RequestId(1);
    type End = fn(&mut Desk);
    let ends: [(End, Call); 8] = [
        (|desk| desk.answer(1, 200, "yes"), Call::Answered(id, "yes".into())),
        (|desk| desk.answer(1, 400, "no"), Call::Status(id, 400, "no".into())),
        (|desk| desk.answer(1, 503, "down"), Call::Status(id, 503, "down".into())),
        (|desk| desk.fail(1, FetchError::Timeout), Call::Lost(id)),
        (|desk| desk.fail(1, FetchError::Body("reset".into())), Call::Lost(id)),
        (|desk| desk.fail(1, FetchError::TooLarge { limit: 1 }), Call::Lost(id)),
        // Nobody reports on it.
        (|desk| desk.pass(Duration::from_secs(60)), Call::Lost(id)),
        (|desk| desk.answer(1, 429, "slow"), Call::Status(id, 429, "slow".into())),
    ];
    for (end, call) in ends {
        let mut desk = Desk::new();
        ask(&mut desk, once(1, 1, false));
        assert_eq!(desk.done(), ["request 1"]);
        desk.take_log();
        end(&mut desk);
        assert_eq!(desk.calls(), [call]);
        desk.pass(Duration::from_secs(3_600));
        desk.answer(1, 200, "late");
        assert!(desk.calls().is_empty());
        assert!(!desk.done().iter().any(|done| done.starts_with("request")), "{:?}", desk.done());
    }
}

#[test]
fn what_never_left_is_not_lost() {
    for error in [FetchError::Busy, FetchError::Connect("x".into()), FetchError::Url("x".into())] {
        let mut desk = Desk::new();
        ask(&mut desk, once(1, 1, false));
        desk.fail(1, error);
        assert_eq!(unsent(&desk), [1]);
    }
}

#[test]
fn without_budget_it_does_not_wait_and_what_is_kept_is_for_what_is_urgent() {
    let weight = Rate { count: 10, per: Duration::from_secs(60) };
    let mut desk = Desk::with(Profile { weight, ..PROFILE }, |_| {});
    for id in 1..=8 {
        ask(&mut desk, once(id, 1, false));
    }
    assert!(unsent(&desk).is_empty());
    ask(&mut desk, once(9, 1, false));
    assert_eq!(unsent(&desk), [9]);
    // A fifth is kept.
    ask(&mut desk, once(10, 1, true));
    ask(&mut desk, once(11, 1, true));
    assert!(unsent(&desk).is_empty());
    ask(&mut desk, once(12, 1, true));
    assert_eq!(unsent(&desk), [12]);
}

#[test]
fn a_venue_that_slows_us_down_holds_back_all_but_what_is_urgent() {
    let mut desk = Desk::new();
    ask(&mut desk, once(1, 1, false));
    desk.answer(1, 429, "");
    desk.calls();
    ask(&mut desk, once(2, 1, false));
    assert_eq!(unsent(&desk), [2]);
    ask(&mut desk, once(3, 1, true));
    assert!(unsent(&desk).is_empty());
}

#[test]
fn a_message_goes_at_once_or_comes_back() {
    let (mut desk, conn) = Desk::open(PROFILE, |_| {});
    say(&mut desk, conn, 1, false);
    let sent = |desk: &mut Desk| {
        let log = desk.take_log();
        log.iter().filter(|(_, action)| matches!(action, Action::Send { .. })).count()
    };
    assert_eq!(sent(&mut desk), 1);
    // The second's budget is used up by what is not urgent.
    for id in 2..=100 {
        say(&mut desk, conn, id, false);
    }
    let returned = unsent(&desk);
    assert_eq!(sent(&mut desk) + returned.len(), 99);
    assert!(!returned.is_empty());
    say(&mut desk, conn, 101, true);
    assert_eq!(sent(&mut desk), 1);
    desk.closed(conn);
    desk.venue.take_calls();
    say(&mut desk, conn, 102, true);
    assert_eq!(unsent(&desk), [102]);
    // Nothing of it waited for a better time.
    desk.take_log();
    desk.pass(Duration::from_secs(30));
    assert_eq!(sent(&mut desk), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Each of them is asked for at most once, and ends exactly once.
    #[test]
    fn at_most_one_attempt_and_exactly_one_end(
        steps in proptest::collection::vec((0_u8..8, 1_u32..200, any::<bool>()), 1..60),
    ) {
        let weight = Rate { count: 600, per: Duration::from_secs(60) };
        let mut desk = Desk::with(Profile { weight, ..PROFILE }, |_| {});
        let (mut asked, mut ends) = (0_u64, std::collections::BTreeMap::<u64, u32>::new());
        for (what, weight, urgent) in steps {
            match what {
                0..=3 => {
                    asked += 1;
                    ask(&mut desk, once(asked, weight, urgent));
                }
                4 => desk.answer(asked, 200, ""),
                5 => desk.answer(asked, 429, ""),
                6 => desk.fail(asked, FetchError::Timeout),
                _ => desk.pass(Duration::from_secs(u64::from(weight))),
            }
            note(&desk, &mut ends);
        }
        desk.pass(Duration::from_secs(600));
        note(&desk, &mut ends);
        prop_assert_eq!(ends.len() as u64, asked);
        prop_assert!(ends.values().all(|count| *count == 1));
        let log = desk.take_log();
        for id in 1..=asked {
            let attempts = log.iter().filter(|(_, action)| {
                matches!(action, Action::Request { request, .. } if request.id.0 == id)
            });
            prop_assert!(attempts.count() <= 1);
        }
    }
}

fn note(desk: &Desk, ends: &mut std::collections::BTreeMap<u64, u32>) {
    for call in desk.calls() {
        let (Call::Answered(id, _) | Call::Status(id, ..) | Call::Lost(id) | Call::Unsent(id, _)) =
            call
        else {
            continue;
        };
        *ends.entry(id.0).or_default() += 1;
    }
}
