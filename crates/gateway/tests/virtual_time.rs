//! Everything that goes wrong between a venue and a consumer, in virtual time: each fault ends in
//! a recovered stream, the consumer was told the truth meanwhile, and nobody else noticed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::exchange::Faults;
use common::follower::Follower;
use common::rig::{
    FAULTY, FLOWS, GAP, INSTRUMENTS, LIVE, LOST, NAME, REPAIR, Rig, START, TAKEN, gapped,
    is_contiguous, shard_with_consumer, subscribe,
};
use common::{fixture_lines, replayed};
use meltica::Kind;
use meltica::report::VenueReport;
use meltica::virtual_time::{Reach, World};
use model::Nanos;
use model::capture::{CaptureLine, Direction};
use model::event::{Reason, StreamState};
use sim::play::{PlayOptions, Player};

const SECOND: Duration = Duration::from_secs(1);

/// The books' states, one after the other, on both instruments of the faulty exchange.
#[track_caller]
fn assert_books(rig: &Rig, after: &[(StreamState, Reason)]) {
    for instrument in INSTRUMENTS {
        let expected = [&[START, LIVE], after].concat();
        assert_eq!(rig.states(instrument), expected, "{instrument}");
    }
}

#[track_caller]
fn assert_trades(rig: &Rig, after: &[(StreamState, Reason)]) {
    for instrument in INSTRUMENTS {
        let expected = [&[START, TAKEN, FLOWS], after].concat();
        let found = rig.follower.states(NAME, instrument, Kind::Trade);
        assert_eq!(found, expected, "{instrument}");
    }
}

fn trades_are_whole(rig: &Rig) -> bool {
    INSTRUMENTS.iter().all(|name| is_contiguous(&rig.follower.known(NAME, name).trades))
}

// ---- A recorded venue as the far end. ----

fn player(venue: &str) -> Box<Player> {
    Box::new(Player::new(fixture_lines(venue), &PlayOptions::default()).unwrap())
}

const PLAYED: [(&str, &[&str]); 3] = [
    ("binance", &["BTC-USDT", "ETH-BTC"]),
    ("binance-usdm", &["BTC-USDT-PERP"]),
    ("binance-coinm", &["ETH-USD-260925"]),
];

/// All three venues of the fixture, played side by side, and a consumer that follows.
struct Played {
    world: World,
    inbox: engine::Inbox,
    follower: Follower,
}

impl Played {
    fn new() -> Self {
        let now = Nanos(1_790_000_000_000_000_000);
        let (shard, inbox) = shard_with_consumer(now);
        let mut world = World::new(shard, now, Duration::from_millis(2));
        for (link, (venue, instruments)) in PLAYED.into_iter().enumerate() {
            let machine = venues::create(venue, venues::Settings::default()).unwrap();
            assert_eq!(world.add(venue, machine, player(venue)).unwrap(), link);
            let mut kinds =
                vec![Kind::BookUpdate, Kind::Trade, Kind::Quote, Kind::Ticker, Kind::Kline];
            kinds.extend((venue == "binance-usdm").then_some(Kind::Funding));
            world.command(link, &subscribe(instruments, &kinds));
        }
        Self { world, inbox, follower: Follower::default() }
    }

    fn run_for(&mut self, duration: Duration) {
        let end = self.world.now + duration;
        while self.world.now < end {
            self.world.run_for(Duration::from_millis(100));
            let now = self.world.now;
            while self.inbox.drain(&mut self.follower, || now) > 0 {}
        }
        assert_eq!(self.follower.inner().complaint, None);
    }

    fn report(&self, venue: &str) -> VenueReport {
        VenueReport::of(&self.world.shard, venue, venue, (0, 0)).unwrap()
    }
}

#[test]
fn a_played_capture_comes_to_what_its_replay_comes_to() {
    let mut played = Played::new();
    played.run_for(10 * SECOND);
    for (venue, instruments) in PLAYED {
        let expected = replayed(&fixture_lines(venue));
        let found = played.report(venue);
        assert_eq!(found.instruments, expected.instruments, "{venue}");
        for instrument in instruments {
            let states = played.follower.states(venue, instrument, Kind::BookUpdate);
            assert_eq!(states, [START, LIVE], "{instrument}");
        }
    }
    // Nine seconds of a capture, a small fraction of one in reality: nothing here waits.
    assert!(played.world.shard.pools().manager().stats().iter().all(|pool| pool.in_use == 0));
}

#[test]
fn a_player_that_is_restarted_midway_ends_in_the_same_books() {
    let mut played = Played::new();
    played.run_for(3 * SECOND);
    played.world.replace_far(0, player("binance"));
    played.run_for(12 * SECOND);
    for (venue, instruments) in PLAYED {
        let (expected, found) = (replayed(&fixture_lines(venue)), played.report(venue));
        for instrument in instruments {
            let book = |report: &VenueReport| report.instruments[*instrument].book.clone().unwrap();
            let (expected, found) = (book(&expected), book(&found));
            let lost = venue == "binance";
            assert_eq!((&found.bids, &found.asks), (&expected.bids, &expected.asks));
            assert_eq!((found.levels, found.synced), (expected.levels, true));
            assert_eq!((found.gaps, found.resyncs), (0, u64::from(lost)), "{instrument}");
            let states = played.follower.states(venue, instrument, Kind::BookUpdate);
            let after = if lost { &[START, LIVE, LOST, LIVE][..] } else { &[START, LIVE] };
            assert_eq!(states, after, "{instrument}");
        }
    }
    assert_eq!(played.world.session(0).stats().reconnects, 1);
    assert_eq!(played.world.session(1).stats().reconnects, 0);
}

/// USDⓈ-M has books on one connection and trades on another.
#[test]
fn a_lost_connection_takes_only_its_own_streams_with_it() {
    let mut lines = fixture_lines("binance-usdm");
    let middle = lines.len() / 2;
    let of_trades = lines.iter().find(|line| line.url.contains("/market/stream")).unwrap();
    let (t, data) = (lines[middle].t, b"1012: restarts".to_vec());
    let close = CaptureLine { t, direction: Direction::Close, data, ..of_trades.clone() };
    lines.insert(middle, close);
    let mut played = Played::new();
    let far = Player::new(lines, &PlayOptions::default()).unwrap();
    played.world.replace_far(1, Box::new(far));
    played.run_for(12 * SECOND);
    let (venue, instrument) = ("binance-usdm", "BTC-USDT-PERP");
    let states = |of| played.follower.states(venue, instrument, of);
    // Nothing had come yet when the first player was replaced.
    assert_eq!(states(Kind::BookUpdate), [START, LIVE]);
    assert_eq!(states(Kind::Quote), [START, TAKEN, FLOWS]);
    for of in [Kind::Trade, Kind::Funding] {
        assert_eq!(states(of), [START, TAKEN, FLOWS, LOST, FLOWS], "{}", of.name());
    }
    let expected = replayed(&fixture_lines(venue)).instruments[instrument].book.clone();
    assert_eq!(played.report(venue).instruments[instrument].book, expected);
}

// ---- What is wrong in the stream. ----

#[test]
fn a_healthy_exchange_is_followed_exactly() {
    let mut rig = Rig::live();
    rig.assert_agreement();
    assert_books(&rig, &[]);
    assert_trades(&rig, &[]);
    assert!(trades_are_whole(&rig));
    assert_eq!(rig.faulty.asked("depth"), 2, "one snapshot a book");
    assert!(rig.follower.known(NAME, "BTC-USDT").updates > 350);
}

#[test]
fn a_gap_in_the_diffs_is_repaired_by_one_snapshot() {
    let mut rig = Rig::live();
    rig.during(Faults { lose: 1, ..Faults::default() }, SECOND);
    rig.assert_recovers();
    assert_books(&rig, &[GAP, LIVE]);
    assert_trades(&rig, &[]);
    assert!(trades_are_whole(&rig), "trades go on while a book is repaired");
    assert_eq!(rig.faulty.asked("depth"), 4, "one snapshot more for each of two books");
}

#[test]
fn a_snapshot_older_than_the_diffs_is_fetched_again() {
    let mut rig = Rig::live();
    let faults = Faults { lose: 1, old_snapshots: (2, 5), ..Faults::default() };
    rig.during(faults, SECOND);
    rig.assert_recovers();
    assert_books(&rig, &[GAP, LIVE]);
    assert_eq!(rig.faulty.asked("depth"), 6, "two old ones, and one that fits for each book");
}

#[test]
fn duplicate_diffs_and_trades_are_dropped_and_nothing_else_happens() {
    let mut rig = Rig::live();
    rig.during(Faults { double: 5, ..Faults::default() }, SECOND);
    rig.assert_recovers();
    assert_books(&rig, &[]);
    let (provider, catalog) = (rig.world.provider(FAULTY), rig.world.shard.catalog());
    let id = catalog.find_instrument("BTC-USDT").unwrap();
    let stats = |kind| rig.world.shard.stream(provider, id, kind).unwrap();
    assert_eq!((stats(Kind::BookUpdate).duplicates, stats(Kind::BookUpdate).gaps), (5, 0));
    assert_eq!(stats(Kind::Trade).duplicates, 5);
    assert_trades(&rig, &[]);
    assert!(trades_are_whole(&rig), "none twice");
}

#[test]
fn a_trade_that_comes_after_the_one_behind_it_is_put_in_its_place() {
    let mut rig = Rig::live();
    rig.during(Faults { swap_trades: 3, ..Faults::default() }, SECOND);
    rig.assert_recovers();
    assert_books(&rig, &[]);
    assert_trades(&rig, &[]);
    assert!(trades_are_whole(&rig), "in order, though they were not sent so");
}

#[test]
fn a_lost_trade_is_told_in_its_stream_and_nothing_waits_for_it_for_long() {
    let mut rig = Rig::live();
    rig.during(Faults { lose_trades: 1, ..Faults::default() }, SECOND);
    rig.assert_recovers();
    assert_books(&rig, &[]);
    assert_trades(&rig, &[GAP, FLOWS]);
    assert!(!trades_are_whole(&rig));
    let (provider, catalog) = (rig.world.provider(FAULTY), rig.world.shard.catalog());
    let id = catalog.find_instrument("BTC-USDT").unwrap();
    let stats = rig.world.shard.stream(provider, id, Kind::Trade).unwrap();
    assert_eq!((stats.gaps, stats.resyncs, stats.late), (1, 1, 0));
    assert!((1..=2).contains(&stats.early), "{}", stats.early);
    assert_eq!(stats.decoded, stats.emitted, "all that came went out");
}

#[test]
fn a_diff_that_comes_after_the_one_behind_it_is_put_in_its_place() {
    let mut rig = Rig::live();
    rig.during(Faults { swap: 1, ..Faults::default() }, SECOND);
    rig.assert_recovers();
    assert_books(&rig, &[]);
    let (provider, catalog) = (rig.world.provider(FAULTY), rig.world.shard.catalog());
    let id = catalog.find_instrument("BTC-USDT").unwrap();
    let stats = rig.world.shard.stream(provider, id, Kind::BookUpdate).unwrap();
    assert_eq!((stats.early, stats.gaps, stats.out_of_order), (1, 0, 0));
}

#[test]
fn garbage_is_counted_and_touches_nothing() {
    let mut rig = Rig::live();
    let inject = [
        r#"{"stream":"btcusdt@depth@100ms","data":{"#,
        "<html>",
        "",
        r#"{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","s":"BTCUSDT","U":"x"}}"#,
        r#"{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","s":"BTCUSDT","a":1,"p":"one"}}"#,
    ];
    let inject: Vec<_> = inject.into_iter().map(str::to_owned).collect();
    let count = inject.len() as u64;
    rig.during(Faults { inject, ..Faults::default() }, SECOND);
    rig.assert_recovers();
    assert_books(&rig, &[]);
    assert_trades(&rig, &[]);
    assert!(trades_are_whole(&rig));
    let stats = rig.world.session(FAULTY).stats();
    assert_eq!((stats.malformed, stats.reconnects), (count, 0));
    let provider = rig.world.shard.providers().find(|(name, _)| &**name == NAME).unwrap().1;
    assert_eq!(provider.stats().unreadable, count);
    assert_eq!(rig.faulty.state().connects, 1);
}

#[test]
fn unknown_types_and_symbols_are_noted_and_touch_nothing() {
    let mut rig = Rig::live();
    let inject = vec![
        r#"{"stream":"x","data":{"e":"brandNew","s":"BTCUSDT","z":[1]}}"#.to_owned(),
        r#"{"stream":"x","data":{"e":"aggTrade","E":1,"s":"XYZUSDT","a":1,"p":"1","q":"1","f":1,"l":1,"T":1,"m":true}}"#.to_owned(),
    ];
    rig.during(Faults { inject, ..Faults::default() }, SECOND);
    rig.assert_recovers();
    assert_books(&rig, &[]);
    assert_eq!(rig.world.session(FAULTY).stats().malformed, 0);
    let providers = rig.world.shard.providers().find(|(name, _)| &**name == NAME).unwrap();
    let stats = providers.1.stats();
    let mut noted: Vec<_> = stats.notices.iter().map(|(_, name, count)| (name, count)).collect();
    noted.sort_unstable();
    assert_eq!(noted, [("XYZUSDT", 1), ("brandNew", 1)]);
}

#[test]
fn a_stream_that_falls_silent_is_stale_only_when_the_probe_says_so() {
    let mut rig = Rig::live();
    rig.faulty.set(Faults { mute: Some("BTCUSDT"), ..Faults::default() });
    rig.run_for(29 * SECOND);
    assert_books(&rig, &[]);
    rig.run_until(10 * SECOND, "stale", |rig| rig.states("BTC-USDT").len() == 3);
    let missed = (StreamState::Stale, Reason::ProbeMissedProgress);
    assert_eq!(rig.states("BTC-USDT")[2], missed);
    rig.faulty.set(Faults::default());
    rig.run_until(REPAIR, "live again", |rig| rig.states("BTC-USDT").last() == Some(&LIVE));
    rig.assert_recovers();
    assert_eq!(rig.states("ETH-USDT"), [START, LIVE], "the neighbour was not touched");
    assert_eq!(rig.world.session(FAULTY).stats().reconnects, 0);
}

#[test]
fn quiet_is_not_stale() {
    let mut rig = Rig::live();
    rig.faulty.state().frozen = true;
    rig.run_for(300 * SECOND);
    assert_books(&rig, &[]);
    assert_trades(&rig, &[]);
    assert!(rig.faulty.asked("limit=5") >= 2, "it was asked");
    rig.faulty.state().frozen = false;
    rig.assert_recovers();
    assert_books(&rig, &[]);
}

// ---- What is wrong with requests. ----

/// A gap, while requests are answered like that for so long; the states until they are answered
/// again, and how often a snapshot was asked for meanwhile.
#[track_caller]
fn gap_with(rest: (Option<u16>, Option<u64>), fault: Duration) -> (Rig, usize) {
    let mut rig = Rig::live();
    let before = rig.faulty.asked("depth");
    rig.during(Faults { lose: 1, rest: Some(rest), ..Faults::default() }, fault);
    assert!(!rig.is_live(NAME));
    let asked = rig.faulty.asked("depth") - before;
    (rig, asked)
}

#[test]
fn a_429_is_obeyed_for_as_long_as_it_says() {
    let (mut rig, asked) = gap_with((Some(429), Some(20)), 15 * SECOND);
    assert!(asked <= 2, "{asked} requests in spite of Retry-After: one a book was under way");
    rig.run_for(4 * SECOND);
    assert!(!rig.is_live(NAME), "not before the pause is over");
    rig.assert_recovers();
    assert_books(&rig, &[GAP, gapped(Reason::RateLimited), LIVE]);
}

#[test]
fn a_418_is_obeyed_also_without_a_time() {
    let (mut rig, asked) = gap_with((Some(418), None), 100 * SECOND);
    assert!(asked <= 2, "{asked} requests during a ban");
    rig.run_for(18 * SECOND);
    assert!(!rig.is_live(NAME), "a ban lasts two minutes at least");
    rig.assert_recovers();
    assert_books(&rig, &[GAP, gapped(Reason::RateLimited), LIVE]);
}

#[test]
fn server_errors_are_tried_again_with_growing_waits() {
    for status in [500, 502, 503, 504] {
        let (mut rig, asked) = gap_with((Some(status), None), 4 * SECOND);
        assert!((4..=24).contains(&asked), "{status}: {asked} requests");
        rig.assert_recovers();
        assert_books(&rig, &[GAP, gapped(Reason::VenueUnavailable), LIVE]);
    }
}

#[test]
fn a_request_without_an_answer_is_given_up_and_tried_again() {
    let (mut rig, asked) = gap_with((None, None), 12 * SECOND);
    assert!((2..=6).contains(&asked), "{asked}");
    // What was asked right before the end of the fault has its whole time to be given up.
    rig.assert_recovers_within(11 * SECOND + REPAIR);
    assert_books(&rig, &[GAP, gapped(Reason::VenueUnavailable), LIVE]);
}

#[test]
fn a_snapshot_that_is_refused_for_good_is_asked_for_again_later() {
    let (mut rig, asked) = gap_with((Some(400), None), 10 * SECOND);
    assert_eq!(asked, 2, "not again at once");
    rig.assert_recovers_within(30 * SECOND);
    assert_books(&rig, &[GAP, gapped(Reason::VenueUnavailable), LIVE]);
}

#[test]
fn a_bad_instrument_list_is_asked_for_again_until_it_can_be_read() {
    for list in [(200, "<html>"), (200, "{}"), (200, r#"{"symbols":7}"#), (403, "{}"), (200, "")] {
        let mut rig = Rig::idle();
        rig.faulty.set(Faults { list: Some((list.0, list.1.to_owned())), ..Faults::default() });
        rig.subscribe();
        rig.run_for(25 * SECOND);
        assert_eq!(rig.faulty.asked("exchangeInfo"), 1, "{list:?}");
        assert_eq!(rig.faulty.state().connects, 0, "nothing to connect for");
        assert!(rig.states("BTC-USDT").is_empty());
        rig.faulty.set(Faults::default());
        rig.assert_recovers_within(10 * SECOND);
        assert_books(&rig, &[]);
    }
}

#[test]
fn an_instrument_that_is_not_listed_is_named_and_the_others_go_on() {
    let mut rig = Rig::idle();
    rig.world.command(FAULTY, &subscribe(&["DOGE-USDT"], &[Kind::Trade]));
    rig.subscribe();
    rig.run_for(5 * SECOND);
    rig.assert_live();
    let providers = rig.world.shard.providers().find(|(name, _)| &**name == NAME).unwrap();
    let stats = providers.1.stats();
    assert!(stats.notices.iter().any(|(_, name, _)| name == "DOGE-USDT"));
}

// ---- What is wrong with connections. ----

#[test]
fn a_close_with_any_code_is_followed_by_a_reconnect() {
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013] {
        let mut rig = Rig::live();
        rig.during(Faults { close: Some(code), ..Faults::default() }, SECOND / 2);
        rig.assert_recovers();
        assert_books(&rig, &[LOST, LIVE]);
        assert_trades(&rig, &[LOST, FLOWS]);
        let stats = rig.world.session(FAULTY).stats();
        assert_eq!((stats.disconnects, stats.reconnects), (1, 1), "{code}");
        assert_eq!(rig.world.session(1).stats().disconnects, 0);
    }
}

#[test]
fn a_connection_that_ends_without_a_word_is_opened_again() {
    let mut rig = Rig::live();
    let restarted = rig.faulty.restarted();
    rig.world.replace_far(FAULTY, restarted);
    rig.assert_recovers();
    assert_books(&rig, &[LOST, LIVE]);
    assert_trades(&rig, &[LOST, FLOWS]);
}

#[test]
fn a_silent_socket_is_found_by_its_missing_pong() {
    let mut rig = Rig::live();
    rig.world.set_reach(FAULTY, Reach::Silent);
    let began = rig.world.now;
    rig.run_until(60 * SECOND, "lost", |rig| rig.states("BTC-USDT").contains(&LOST));
    let after = rig.world.now.since(began);
    assert!(
        (39 * SECOND..42 * SECOND).contains(&after),
        "30 s of silence, 10 s for the pong: {after:?}"
    );
    rig.world.set_reach(FAULTY, Reach::Up);
    rig.assert_recovers();
    assert_eq!(rig.world.session(FAULTY).stats().pong_timeouts, 1);
    assert_eq!(rig.states("ETH-USDT").last(), Some(&LIVE));
    assert_trades(&rig, &[LOST, FLOWS]);
}

#[test]
fn a_silence_that_outlasts_several_connects_ends_as_well() {
    let mut rig = Rig::live();
    rig.world.set_reach(FAULTY, Reach::Silent);
    rig.run_for(80 * SECOND);
    assert!(rig.states("BTC-USDT").contains(&LOST));
    rig.world.set_reach(FAULTY, Reach::Up);
    // A connect that was swallowed is given up after 15 s, and the next waits a little.
    rig.assert_recovers_within(15 * SECOND + REPAIR);
}

#[test]
fn a_short_silence_is_only_late() {
    let mut rig = Rig::live();
    rig.world.set_reach(FAULTY, Reach::Silent);
    rig.run_for(20 * SECOND);
    rig.world.set_reach(FAULTY, Reach::Up);
    rig.assert_recovers();
    // What was sent meanwhile is gone, so the first diff after it doesn't continue the book, nor
    // the first trade the trades.
    assert_books(&rig, &[GAP, LIVE]);
    assert_trades(&rig, &[GAP, FLOWS]);
    assert_eq!(rig.world.session(FAULTY).stats().reconnects, 0);
}

#[test]
fn connections_that_are_refused_are_tried_until_they_are_not() {
    for reach in [Reach::Refused, Reach::Unresolved] {
        // From the start,
        let mut rig = Rig::idle();
        rig.world.set_reach(FAULTY, reach);
        rig.subscribe();
        rig.run_for(3 * SECOND);
        assert!(rig.states("BTC-USDT").is_empty(), "{reach:?}");
        rig.world.set_reach(FAULTY, Reach::Up);
        rig.assert_recovers();
        assert_books(&rig, &[]);
        // and when a connection was lost.
        rig.world.set_reach(FAULTY, reach);
        rig.during(Faults { close: Some(1001), ..Faults::default() }, 3 * SECOND);
        assert!(rig.world.session(FAULTY).stats().connects_failed > 1, "{reach:?}");
        rig.world.set_reach(FAULTY, Reach::Up);
        rig.assert_recovers();
        assert_books(&rig, &[LOST, LIVE]);
    }
}

#[test]
fn a_refused_upgrade_is_tried_again() {
    for status in [403, 429, 503] {
        let mut rig = Rig::live();
        let faults = Faults { close: Some(1001), refuse: Some(status), ..Faults::default() };
        rig.during(faults, 3 * SECOND);
        let failed = rig.world.session(FAULTY).stats().connects_failed;
        assert!((2..30).contains(&failed), "{status}: {failed}");
        rig.assert_recovers();
        assert_books(&rig, &[LOST, LIVE]);
    }
}

/// Waits grow, so that a venue that is down for long is not stormed.
#[test]
fn a_venue_that_is_down_for_an_hour_is_not_stormed() {
    let mut rig = Rig::live();
    rig.world.set_reach(FAULTY, Reach::Refused);
    rig.during(Faults { close: Some(1001), ..Faults::default() }, 3_600 * SECOND);
    let failed = rig.world.session(FAULTY).stats().connects_failed;
    assert!((100..600).contains(&failed), "{failed} attempts in an hour");
    rig.world.set_reach(FAULTY, Reach::Up);
    rig.assert_recovers_within(30 * SECOND + REPAIR);
    assert_books(&rig, &[LOST, LIVE]);
}

#[test]
fn an_announced_shutdown_is_met_by_a_replacement_and_nobody_notices() {
    let mut rig = Rig::live();
    let inject = vec![r#"{"stream":"","data":{"e":"serverShutdown","E":1}}"#.to_owned()];
    rig.during(Faults { inject, ..Faults::default() }, 10 * SECOND);
    assert_eq!(rig.faulty.state().connects, 2);
    assert_eq!(rig.faulty.state().clients.len(), 1, "the old one was closed");
    rig.assert_recovers();
    assert_books(&rig, &[]);
    assert_trades(&rig, &[]);
    assert!(trades_are_whole(&rig), "no trade lost, none twice");
    let stats = rig.world.session(FAULTY).stats();
    assert_eq!((stats.renewals, stats.disconnects), (1, 0));
    let provider = rig.world.provider(FAULTY);
    let id = rig.world.shard.catalog().find_instrument("BTC-USDT").unwrap();
    let book = rig.world.shard.stream(provider, id, Kind::BookUpdate).unwrap();
    assert!(book.duplicates > 0, "both connections brought the same for a moment");
}

#[test]
fn a_day_passes_without_a_moment_in_doubt() {
    let mut rig = Rig::live().with_slice(60 * SECOND);
    for exchange in [&rig.faulty, &rig.calm] {
        exchange.state().every = SECOND;
    }
    rig.run_for(25 * 3_600 * SECOND);
    assert_eq!(rig.faulty.state().expired, 0, "none lived until the venue ended it");
    for link in [0, 1] {
        let stats = rig.world.session(link).stats();
        assert_eq!((stats.renewals, stats.disconnects), (1, 0));
    }
    rig.assert_recovers();
    assert_books(&rig, &[]);
    assert_trades(&rig, &[]);
    assert!(trades_are_whole(&rig));
    assert!(rig.follower.known(NAME, "BTC-USDT").trades.len() > 90_000);
}

// ---- The same again. ----

#[test]
fn the_same_scenario_gives_the_same_events() {
    let scenario = || {
        let mut rig = Rig::subscribed();
        rig.follower.inner().keep_events = true;
        rig.run_for(3 * SECOND);
        rig.during(Faults { lose: 1, swap: 1, ..Faults::default() }, SECOND);
        let faults = Faults { rest: Some((Some(503), None)), lose: 1, ..Faults::default() };
        rig.during(faults, 2 * SECOND);
        rig.during(Faults { close: Some(1012), ..Faults::default() }, SECOND);
        rig.world.set_reach(FAULTY, Reach::Silent);
        rig.run_for(45 * SECOND);
        rig.world.set_reach(FAULTY, Reach::Up);
        rig.assert_recovers_within(15 * SECOND + REPAIR);
        std::mem::take(&mut rig.follower.inner().events)
    };
    let (first, second) = (scenario(), scenario());
    assert!(first.len() > 1_000, "{}", first.len());
    assert!(first == second, "two runs of one scenario differ");
}
