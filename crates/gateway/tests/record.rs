//! What the recorder writes while a capture is played replays to what the capture replays to.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;

use common::host::{
    Host, Running, VENUES, any_port, config_of, expected, has_all, has_books, watched,
};
use common::{lines_of, replayed_with_events};
use meltica::Gateway;
use meltica::report::VenueReport;
use model::capture::{Direction, Wire};
use sim::play::Speed;

/// Records while `during` goes on; gives what each file replays to, by venue.
fn recorded(
    hosts: Vec<Host>,
    during: impl FnOnce(&mut Vec<Host>, &common::host::Watch),
) -> (tempfile::TempDir, BTreeMap<String, VenueReport>) {
    let mut hosts = hosts;
    let folder = tempfile::tempdir().unwrap();
    let (consumer, watch) = watched();
    let builder = Gateway::builder(config_of(&hosts)).consumer("watched", consumer);
    let running = Running::start(builder.record(folder.path()));
    during(&mut hosts, &watch);
    let summary = running.stop();
    assert_eq!(summary.lines_lost, 0);
    let files = std::fs::read_dir(folder.path()).unwrap();
    let mut reports = BTreeMap::new();
    for path in files.map(|file| file.unwrap().path()) {
        let (first, second) = (replayed_with_events(&path), replayed_with_events(&path));
        assert!(first == second, "{} replays to the same twice", path.display());
        let [report] = &first.0[..] else { panic!("one venue a file: {}", path.display()) };
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with(&report.venue), "{name}");
        // What the run itself came to is what its recording comes to.
        let run = summary.providers.iter().find(|p| p.venue == report.venue).unwrap();
        assert_eq!(run.instruments, report.instruments, "{name}");
        assert_eq!((run.ws_frames, run.malformed), (report.ws_frames, report.malformed));
        assert!(reports.insert(report.venue.clone(), report.clone()).is_none(), "one file each");
    }
    (folder, reports)
}

fn players(speed: Speed) -> Vec<Host> {
    VENUES.iter().map(|(venue, _, _)| Host::play(any_port(), venue, speed)).collect()
}

#[test]
fn a_recording_of_a_played_capture_replays_to_the_same() {
    let all = expected();
    let (folder, reports) = recorded(players(Speed::Max), |_, watch| {
        watch.until("all of it", |inner| {
            all.iter().all(|(venue, report)| has_all(inner, venue, report))
        });
    });
    assert_eq!(reports.len(), 3);
    for (venue, report) in &reports {
        assert_eq!(report.instruments, all[venue].instruments, "{venue}");
        assert_eq!(report.ws_frames, all[venue].ws_frames, "{venue}");
    }
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let lines = lines_of(&file.unwrap().path());
        let of = |wire, direction| {
            lines.iter().filter(|l| l.wire == wire && l.direction == direction).count()
        };
        assert!(of(Wire::Ws, Direction::Open) >= 1 && of(Wire::Http, Direction::In) >= 2);
        assert_eq!(of(Wire::Http, Direction::In), of(Wire::Http, Direction::Out));
        assert_eq!(of(Wire::Ws, Direction::Close), 0, "that the run ended is no fault of it");
        // Connections are read in turns, and an answer is stamped when it is taken: what is in the
        // order of its time is each connection.
        for conn in lines.iter().map(|line| &line.conn) {
            let times: Vec<_> = lines.iter().filter(|l| l.conn == *conn).map(|l| l.t).collect();
            assert!(times.is_sorted(), "{conn}");
        }
    }
}

#[test]
fn a_recording_with_a_lost_connection_replays_to_the_same_books() {
    let all = expected();
    let mut hosts = players(Speed::Max);
    let slow = Host::play(any_port(), "binance", Speed::PerMille(4_000));
    std::mem::replace(&mut hosts[0], slow).kill();
    let (_folder, reports) = recorded(hosts, |hosts, watch| {
        let name = ("binance".to_owned(), "ETH-BTC".to_owned());
        watch.until("some trades", |inner| {
            inner.known.get(&name).is_some_and(|known| known.trades.len() >= 5)
        });
        let addr = hosts.remove(0).kill();
        hosts.insert(0, Host::play(addr, "binance", Speed::Max));
        watch.until("the same books", |inner| {
            inner.known[&name].generation == 2
                && all.iter().all(|(venue, report)| has_books(inner, venue, report))
        });
    });
    for (name, instrument) in &reports["binance"].instruments {
        let mut book = instrument.book.clone().unwrap();
        assert_eq!(std::mem::take(&mut book.resyncs), 1, "{name}: the loss is in the recording");
        assert_eq!(Some(&book), all["binance"].instruments[name].book.as_ref(), "{name}");
    }
}
