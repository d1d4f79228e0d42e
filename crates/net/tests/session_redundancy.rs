//! Two connections for each link, all the time, in virtual time.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::time::Duration;

use common::desk::Desk;
use common::{Call, PROFILE};
use model::venue::Profile;
use model::{ConnId, LinkId};

const ONE: ConnId = ConnId(1);
const TWO: ConnId = ConnId(2);

fn sec(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Nobody is pinged.
const CALM: Profile = Profile { ping_after: Duration::from_secs(1_000_000), ..PROFILE };

/// Both connections of link 0 are up and bring data.
fn both_up(profile: Profile) -> Desk {
    let mut desk = Desk::with(profile, |config| config.redundancy = 2);
    desk.link(0);
    assert_eq!(desk.done(), ["connect 1 for 0 to wss://h/0", "connect 2 for 0 to wss://h/0"]);
    for conn in [ONE, TWO] {
        desk.opened(conn);
        desk.frame(conn, "data");
    }
    let opened = desk.calls().into_iter().filter(|call| matches!(call, Call::Open(..)));
    assert!(opened.eq([ONE, TWO].map(|conn| Call::Open(LinkId(0), conn))));
    desk
}

#[test]
fn a_link_has_two_connections_from_the_start_and_keeps_both() {
    let mut desk = both_up(CALM);
    desk.pass(sec(600));
    let closed = desk.done().into_iter().filter(|action| action.starts_with("close"));
    assert_eq!(closed.count(), 0);
    assert_eq!(desk.session.stats().open, 2);
}

#[test]
fn whichever_is_lost_is_opened_again_while_the_other_goes_on() {
    for lost in [ONE, TWO] {
        let mut desk = both_up(CALM);
        desk.venue.take_calls();
        desk.take_log();
        desk.closed(lost);
        assert_eq!(desk.calls(), [Call::Close(lost)]);
        let (again, after) = desk.next_connect();
        assert!(after <= net::session::BACKOFF_BASE, "{after:?}");
        desk.opened(again);
        assert_eq!(desk.session.stats().open, 2);
        desk.frame(again, "data");
        desk.closed(if lost == ONE { TWO } else { ONE });
        assert_eq!(desk.session.stats().open, 1, "the new one goes on");
        let (third, _) = desk.next_connect();
        desk.opened(third);
        assert_eq!(desk.session.stats().open, 2);
    }
}

#[test]
fn when_both_are_lost_both_are_opened_again() {
    let mut desk = both_up(CALM);
    desk.take_log();
    desk.closed(ONE);
    desk.closed(TWO);
    desk.pass(sec(10));
    let connects = desk.done().into_iter().filter(|action| action.starts_with("connect"));
    assert_eq!(connects.count(), 2);
}

#[test]
fn one_is_renewed_while_the_other_can_be_relied_on() {
    let profile = Profile { connection_lifetime: Some(sec(24 * 60)), ..CALM };
    let mut desk = both_up(profile);
    desk.take_log();
    let mut renewed = 0;
    while renewed < 10 {
        assert!(desk.step(sec(24 * 60)));
        assert!(desk.session.stats().open >= 1, "never without");
        for conn in desk.connecting_now() {
            renewed += 1;
            desk.opened(conn);
            desk.frame(conn, "data");
        }
    }
    let stats = desk.session.stats();
    assert_eq!((stats.renewals, stats.disconnects, stats.open), (10, 0, 2));
}

#[test]
fn a_renewal_waits_for_the_other_one() {
    let mut desk = both_up(CALM);
    desk.closed(TWO);
    desk.take_log();
    desk.frame(ONE, "shutdown");
    assert!(!desk.is_dead(ONE), "the only one is kept");
    let (two, _) = desk.next_connect();
    desk.opened(two);
    desk.frame(two, "data");
    desk.pass(sec(6));
    assert!(desk.is_dead(ONE), "now it goes");
    assert_eq!(desk.session.stats().renewals, 1);
}

#[test]
fn it_is_counted_which_connection_was_first() {
    let mut desk = both_up(CALM);
    for _ in 0..5 {
        desk.frame(TWO, "data");
        desk.frame(ONE, "duplicate");
    }
    let [one, two] = desk.session.seats();
    assert_eq!((one.first, one.again), (1, 5));
    assert_eq!((two.first, two.again), (6, 0));
}

#[test]
fn what_takes_a_connections_place_takes_its_seat() {
    let mut desk = both_up(CALM);
    desk.closed(ONE);
    let (again, _) = desk.next_connect();
    desk.opened(again);
    desk.frame(again, "data");
    assert_eq!(desk.session.seats().map(|seat| seat.first), [2, 1]);
}
