//! Servers on loopback sockets that can be killed, and a gateway that runs beside the test.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use meltica::config::{Config, load_str};
use meltica::gateway::Builder;
use meltica::report::{InstrumentReport, VenueReport};
use meltica::{Consumer, Context, Event, Kind, Stop, Summary};
use sim::machine::Machine;
use sim::play::{PlayOptions, Player, Speed};
use sim::server::{ServerOptions, start};
use tokio::sync::oneshot;

use super::follower::{Follower, Inner};
use super::{fixture_lines, replayed};

/// Nothing here takes so long; what does has failed.
pub const LIMIT: Duration = Duration::from_secs(20);

/// The venues of the fixture and what is followed of each.
pub const VENUES: [(&str, &[&str], &str); 3] = [
    ("binance", &["BTC-USDT", "ETH-BTC"], ""),
    ("binance-usdm", &["BTC-USDT-PERP"], ", \"funding\""),
    ("binance-coinm", &["ETH-USD-260925"], ""),
];

pub fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A server with a thread and a runtime of its own.
pub struct Host {
    pub addr: SocketAddr,
    kill: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Host {
    pub fn start(listen: SocketAddr, machine: Box<dyn Machine>) -> Self {
        let (kill, killed) = oneshot::channel();
        let (ready, addr) = sync_channel(1);
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let server = start(listen, machine, ServerOptions::default()).await.unwrap();
                ready.send(server.addr()).unwrap();
                // An error is a test that ended without a word.
                let _ = killed.await;
            });
        });
        Self { addr: addr.recv_timeout(LIMIT).unwrap(), kill, thread }
    }

    /// Plays a venue of the fixture.
    pub fn play(listen: SocketAddr, venue: &str, speed: Speed) -> Self {
        let options = PlayOptions { speed, ..PlayOptions::default() };
        Self::start(listen, Box::new(Player::new(fixture_lines(venue), &options).unwrap()))
    }

    /// Ends it as a crash would: connections end without a word, the port is free again.
    pub fn kill(self) -> SocketAddr {
        let _ = self.kill.send(());
        self.thread.join().unwrap();
        self.addr
    }
}

/// A provider of a configuration, as text.
pub fn provider(
    venue: &str,
    (ws, rest): (SocketAddr, SocketAddr),
    instruments: &[&str],
    kinds: &str,
) -> String {
    format!(
        "[[provider]]\nname = \"{venue}\"\nvenue = \"{venue}\"\ninstruments = {instruments:?}\n\
         kinds = [{kinds}]\nws_url = \"ws://{ws}\"\nrest_url = \"http://{rest}\"\n"
    )
}

/// Every stream of the fixture, from these servers in the order of [`VENUES`].
pub fn config_of(hosts: &[Host]) -> Config {
    let all = "\"book\", \"trade\", \"quote\", \"ticker\", \"kline\"";
    let text = VENUES.iter().zip(hosts).map(|((venue, instruments, more), host)| {
        provider(venue, (host.addr, host.addr), instruments, &format!("{all}{more}"))
    });
    load_str(&text.collect::<String>(), &[]).unwrap()
}

/// A gateway on a thread of its own.
pub struct Running {
    stop: Stop,
    ended: Receiver<Summary>,
}

impl Running {
    pub fn start(builder: Builder) -> Self {
        let (send, ended) = sync_channel(1);
        let stop = builder.stop_handle();
        // Where nobody waits for it any more, the test has failed already.
        std::thread::spawn(move || drop(send.send(builder.run().unwrap())));
        Self { stop, ended }
    }

    pub fn stop(self) -> Summary {
        self.stop.stop();
        self.ended.recv_timeout(LIMIT).expect("the gateway ends soon after it is told to")
    }
}

/// A follower that says when there is something new to look at.
pub struct Watched {
    follower: Follower,
    news: SyncSender<()>,
}

/// The test's side of a [`Watched`].
pub struct Watch {
    pub follower: Follower,
    news: Receiver<()>,
}

pub fn watched() -> (Watched, Watch) {
    let (send, news) = sync_channel(1);
    let follower = Follower::default();
    (Watched { follower: follower.clone(), news: send }, Watch { follower, news })
}

impl Consumer for Watched {
    fn on_event(&mut self, event: Event, ctx: &mut Context<'_>) {
        self.follower.on_event(event, ctx);
    }

    fn on_batch_end(&mut self, _: &mut Context<'_>) {
        // One that waits already says it.
        let _ = self.news.try_send(());
    }
}

impl Watch {
    /// Waits until it is as wanted, looking whenever there is news.
    #[track_caller]
    pub fn until(&self, what: &str, done: impl Fn(&Inner) -> bool) {
        let end = Instant::now() + LIMIT;
        loop {
            let inner = self.follower.inner();
            assert_eq!(inner.complaint, None);
            if done(&inner) {
                return;
            }
            let states: Vec<_> =
                inner.known.iter().map(|(n, k)| (n.clone(), k.book_state)).collect();
            drop(inner);
            let left = end.saturating_duration_since(Instant::now());
            assert!(self.news.recv_timeout(left).is_ok(), "in time: {what}; {states:?}");
        }
    }
}

/// What the fixture comes to, by venue.
pub fn expected() -> BTreeMap<String, VenueReport> {
    let report =
        |(venue, _, _): &(&str, _, _)| ((*venue).to_owned(), replayed(&fixture_lines(venue)));
    VENUES.iter().map(report).collect()
}

/// How many events besides books a consumer of everything gets of it.
pub fn plain_events(expected: &VenueReport) -> u64 {
    let events = expected.instruments.values().flat_map(|instrument| &instrument.events);
    events.filter(|(kind, _)| !kind.starts_with("book")).map(|(_, count)| count).sum()
}

/// Whether a follower has got a venue's whole capture, with books as they are at its end.
pub fn has_all(inner: &Inner, venue: &str, expected: &VenueReport) -> bool {
    let plain: u64 = inner.plain.get(venue).copied().unwrap_or(0);
    plain >= plain_events(expected) && has_books(inner, venue, expected)
}

pub fn has_books(inner: &Inner, venue: &str, expected: &VenueReport) -> bool {
    expected.instruments.iter().all(|(name, instrument)| {
        let known = inner.known.get(&(venue.to_owned(), name.clone()));
        known.is_some_and(|known| shown(known) == best(instrument))
    })
}

type Best = (Vec<[String; 2]>, Vec<[String; 2]>, [usize; 2], bool);

fn best(report: &InstrumentReport) -> Best {
    let book = report.book.as_ref().unwrap();
    (book.bids.clone(), book.asks.clone(), book.levels, book.synced)
}

fn shown(known: &super::follower::Known) -> Best {
    let level = |(price, quantity): (&_, &_)| [format!("{price}"), format!("{quantity}")];
    let bids = known.bids.iter().rev().take(10).map(level).collect();
    let asks = known.asks.iter().take(10).map(level).collect();
    let live = known.book_state == model::StreamState::Live;
    (bids, asks, [known.bids.len(), known.asks.len()], live)
}

/// The states of a book, for comparison.
pub fn book_states(
    watch: &Watch,
    venue: &str,
    instrument: &str,
) -> Vec<(model::StreamState, model::event::Reason)> {
    watch.follower.states(venue, instrument, Kind::BookUpdate)
}
