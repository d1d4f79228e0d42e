//! The whole gateway over real loopback sockets: it comes to what a replay comes to, survives the
//! death of a venue, answers what is unusable with the right code, and keeps consumers apart.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use common::exchange::Exchange;
use common::host::{
    Host, LIMIT, Running, VENUES, Watch, any_port, book_states, config_of, expected, has_all,
    has_books, provider, watched,
};
use common::rig::{FLOWS, LIVE, LOST, START, TAKEN};
use engine::dead_letters::LetterReason;
use meltica::config::load_str;
use meltica::dead_letters::Filter;
use meltica::{Consumer, ConsumerOptions, Context, Event, Gateway, Kind, Placement};
use model::control::Verdict;
use sim::play::Speed;
use tokio_websockets::ServerBuilder;

fn players(speed: Speed) -> Vec<Host> {
    VENUES.iter().map(|(venue, _, _)| Host::play(any_port(), venue, speed)).collect()
}

fn has_everything(watch: &Watch) {
    let expected = expected();
    watch.until("the whole of three captures", |inner| {
        expected.iter().all(|(venue, report)| has_all(inner, venue, report))
    });
}

#[test]
fn played_captures_come_to_what_their_replay_comes_to() {
    for speed in [Speed::Max, Speed::PerMille(20_000)] {
        let hosts = players(speed);
        let (consumer, watch) = watched();
        let builder = Gateway::builder(config_of(&hosts)).consumer("watched", consumer);
        let running = Running::start(builder);
        has_everything(&watch);
        for (venue, instruments, _) in VENUES {
            for instrument in instruments {
                assert_eq!(book_states(&watch, venue, instrument), [START, LIVE], "{instrument}");
            }
        }
        let summary = running.stop();
        assert_eq!(
            book_states(&watch, "binance", "ETH-BTC"),
            [START, LIVE, LOST],
            "told of the end"
        );
        assert!(summary.stuck.is_empty() && summary.lines_lost == 0);
        for (found, expected) in summary.providers.iter().zip(expected_in_order()) {
            assert_eq!(found.instruments, expected.instruments, "{}", expected.venue);
            assert_eq!((found.ws_frames, found.malformed), (expected.ws_frames, 0));
        }
        for host in hosts {
            host.kill();
        }
    }
}

fn expected_in_order() -> Vec<meltica::report::VenueReport> {
    let mut all = expected();
    VENUES.iter().map(|(venue, _, _)| all.remove(*venue).unwrap()).collect()
}

#[test]
fn a_player_that_is_killed_and_started_again_gives_the_same_books() {
    let mut hosts = players(Speed::Max);
    hosts[0].kill_and_replace("binance", Speed::PerMille(4_000));
    let (consumer, watch) = watched();
    let builder = Gateway::builder(config_of(&hosts)).consumer("watched", consumer);
    let running = Running::start(builder);
    let name = ("binance".to_owned(), "ETH-BTC".to_owned());
    watch.until("some trades", |inner| {
        inner.known.get(&name).is_some_and(|known| known.trades.len() >= 5 && known.updates > 3)
    });
    hosts[0].kill_and_replace("binance", Speed::Max);
    let all = expected();
    watch.until("the same books again", |inner| {
        let again =
            |name: &str| inner.known[&("binance".to_owned(), name.to_owned())].generation == 2;
        again("BTC-USDT")
            && again("ETH-BTC")
            && all.iter().all(|(venue, report)| has_books(inner, venue, report))
    });
    for (venue, instruments, _) in VENUES {
        let after =
            if venue == "binance" { &[START, LIVE, LOST, LIVE][..] } else { &[START, LIVE] };
        for instrument in instruments {
            assert_eq!(book_states(&watch, venue, instrument), after, "{instrument}");
        }
    }
    let summary = running.stop();
    for (found, expected) in summary.providers.iter().zip(expected_in_order()) {
        for (name, instrument) in &expected.instruments {
            let (mut found, book) =
                (found.instruments[name].book.clone().unwrap(), instrument.book.clone().unwrap());
            let lost = expected.venue == "binance";
            assert_eq!(std::mem::take(&mut found.resyncs), u64::from(lost), "{name}");
            assert_eq!(found, book, "{name}");
        }
    }
}

trait Replace {
    /// Kills it, and starts a player of that speed in its place, on the same port.
    fn kill_and_replace(&mut self, venue: &str, speed: Speed);
}

impl Replace for Host {
    fn kill_and_replace(&mut self, venue: &str, speed: Speed) {
        // Something has to stand there while the old one goes.
        let placeholder = Host::start(any_port(), Box::new(Exchange::new(0)));
        let addr = std::mem::replace(self, placeholder).kill();
        std::mem::replace(self, Self::play(addr, venue, speed)).kill();
    }
}

/// Panics at every event.
struct Panics(SyncSender<()>);

impl Consumer for Panics {
    fn on_event(&mut self, _: Event, _: &mut Context<'_>) {
        let _ = self.0.try_send(());
        panic!("as it always does");
    }
}

#[test]
fn a_consumer_that_panics_disturbs_nobody() {
    let hosts = players(Speed::Max);
    let (consumer, watch) = watched();
    let (send, panicked) = sync_channel(1_000);
    let builder = Gateway::builder(config_of(&hosts))
        .consumer("panics", Panics(send))
        .consumer("watched", consumer);
    let running = Running::start(builder);
    has_everything(&watch);
    for _ in 0..100 {
        panicked.recv_timeout(LIMIT).expect("it is called again after a panic");
    }
    assert!(running.stop().stuck.is_empty());
}

#[test]
fn a_consumer_on_the_shard_that_takes_too_long_gets_a_thread_and_loses_nothing() {
    let hosts = players(Speed::PerMille(20_000));
    let (consumer, watch) = watched();
    // No time at all is less than any handler takes.
    let placement = Placement::Shard { budget: Duration::ZERO, overruns_max: 8 };
    let options = ConsumerOptions { placement, ..ConsumerOptions::default() };
    let mut consumer = Some(consumer);
    let builder =
        Gateway::builder(config_of(&hosts)).consumer_with("sluggish", options, move || {
            consumer.take().expect("it does not panic")
        });
    let control = builder.control();
    let running = Running::start(builder);
    has_everything(&watch);
    let ticket = control.set_trading("sluggish", true).unwrap();
    assert_eq!(ticket.settled(LIMIT).unwrap().verdict, Verdict::Effective);
    let summary = running.stop();
    let counts = summary.consumers[0].counts;
    assert!(counts.overruns > 0 && summary.stuck.is_empty(), "{counts:?}");
    assert_eq!((counts.dropped, counts.panics), (0, 0));
    assert!(control.set_trading("sluggish", false).is_err(), "it does not run any more");
}

#[test]
fn a_run_without_any_venue_ends_when_it_is_told_to() {
    let addr = Host::start(any_port(), Box::new(Exchange::new(0))).kill();
    let text = provider("binance", (addr, addr), &["BTC-USDT"], "\"trade\"");
    let running = Running::start(Gateway::builder(load_str(&text, &[]).unwrap()));
    let summary = running.stop();
    assert_eq!(summary.providers.len(), 1);
    assert!(summary.providers[0].instruments.is_empty());
}

// ---- What is unusable on the wire. ----

/// A WebSocket server that writes what it is told to, byte for byte.
struct Raw {
    addr: SocketAddr,
    /// Established connections, the handshake done.
    accepted: Receiver<TcpStream>,
}

fn raw_server() -> Raw {
    let (send, accepted) = sync_channel(16);
    let (ready, addr) = sync_channel(1);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind(any_port()).await.unwrap();
            ready.send(listener.local_addr().unwrap()).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let Ok((_, socket)) = ServerBuilder::new().accept(stream).await else { continue };
                let stream = socket.into_inner().into_std().unwrap();
                stream.set_nonblocking(false).unwrap();
                stream.set_read_timeout(Some(LIMIT)).unwrap();
                stream.set_write_timeout(Some(LIMIT)).unwrap();
                if send.try_send(stream).is_err() {
                    return;
                }
            }
        });
    });
    Raw { addr: addr.recv_timeout(LIMIT).unwrap(), accepted }
}

/// A server's text frame: never masked.
fn text_frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81];
    match payload.len() {
        short @ 0..126 => frame.push(u8::try_from(short).unwrap()),
        length @ 126..65_536 => {
            frame.push(126);
            frame.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            frame.push(127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

fn trade(id: u64) -> Vec<u8> {
    let data = format!(
        r#"{{"e":"aggTrade","E":1,"s":"BTCUSDT","a":{id},"p":"1","q":"1","f":1,"l":1,"T":1,"m":true}}"#
    );
    text_frame(format!(r#"{{"stream":"btcusdt@aggTrade","data":{data}}}"#).as_bytes())
}

/// The code of the close frame that the client sends next, other frames passed over.
fn close_code(stream: &mut TcpStream) -> u16 {
    loop {
        let mut head = [0; 2];
        stream.read_exact(&mut head).expect("a close frame before the end");
        assert!(head[1] & 0x80 != 0, "a client masks its frames");
        let mut rest = vec![0; 4 + usize::from(head[1] & 0x7f)];
        stream.read_exact(&mut rest).unwrap();
        let (mask, payload) = rest.split_at(4);
        let payload: Vec<_> = payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m).collect();
        if head[0] & 0x0f == 8 {
            return u16::from_be_bytes([payload[0], payload[1]]);
        }
    }
}

/// One provider gets `bytes` on its socket, another is an exchange that is well.
fn unusable(bytes: &[u8], code: u16) {
    let raw = raw_server();
    let (rest, calm) = (Exchange::new(1), Exchange::new(2));
    let rest_host = Host::start(any_port(), Box::new(rest));
    let calm_host = Host::start(any_port(), Box::new(calm));
    let kinds = "\"book\", \"trade\"";
    let text = provider("binance", (raw.addr, rest_host.addr), &["BTC-USDT"], kinds)
        + &provider("calm", (calm_host.addr, calm_host.addr), &["BTC-USDT"], kinds)
            .replace("venue = \"calm\"", "venue = \"binance\"");
    let (consumer, watch) = watched();
    let builder = Gateway::builder(load_str(&text, &[]).unwrap()).consumer("watched", consumer);
    let running = Running::start(builder);
    let trades = |inner: &common::follower::Inner, provider: &str| {
        let name = (provider.to_owned(), "BTC-USDT".to_owned());
        inner.known.get(&name).map_or(0, |known| known.trades.len())
    };

    let mut first = raw.accepted.recv_timeout(LIMIT).unwrap();
    first.write_all(&trade(1)).unwrap();
    watch.until("a trade and a book", |inner| trades(inner, "binance") == 1);
    let books = |states: usize| {
        let name = ("binance".to_owned(), "BTC-USDT".to_owned());
        watch.until("the book's state", |inner| {
            let changes = inner.known.get(&name).map(|known| known.changes.iter());
            changes.is_some_and(|c| c.filter(|c| c.of == Kind::BookUpdate).count() == states)
        });
    };
    books(2);
    // The client may close before all of it is written.
    let _ = first.write_all(bytes);
    assert_eq!(close_code(&mut first), code);

    let mut second = raw.accepted.recv_timeout(LIMIT).unwrap();
    second.write_all(&trade(2)).unwrap();
    watch.until("a trade after it", |inner| trades(inner, "binance") == 2);
    books(4);
    let calm_trades = trades(&watch.follower.inner(), "calm");
    watch.until("the other goes on", |inner| trades(inner, "calm") > calm_trades + 2);
    assert_eq!(book_states(&watch, "binance", "BTC-USDT"), [START, LIVE, LOST, LIVE]);
    let states = watch.follower.states("binance", "BTC-USDT", Kind::Trade);
    assert_eq!(states, [START, TAKEN, FLOWS, LOST, FLOWS]);
    assert_eq!(book_states(&watch, "calm", "BTC-USDT"), [START, LIVE], "it was not touched");
    assert_eq!(watch.follower.states("calm", "BTC-USDT", Kind::Trade), [START, TAKEN, FLOWS]);
    // Nobody is left to answer the goodbye, so it need not be waited for.
    drop(second);
    running.stop();
}

#[test]
fn what_is_counted_and_what_could_not_be_read_is_seen_from_outside() {
    let raw = raw_server();
    let rest_host = Host::start(any_port(), Box::new(Exchange::new(1)));
    let text = provider("binance", (raw.addr, rest_host.addr), &["BTC-USDT"], "\"trade\"");
    let (consumer, watch) = watched();
    let builder = Gateway::builder(load_str(&text, &[]).unwrap()).consumer("watched", consumer);
    let (letters, metrics) = (builder.dead_letters(), builder.metrics());
    let running = Running::start(builder);
    let mut wire = raw.accepted.recv_timeout(LIMIT).unwrap();
    let broken = br#"{"stream":"btcusdt@aggTrade","data":{"listenKey":"k1" 2}}"#;
    for frame in [trade(1), text_frame(broken), trade(2)] {
        wire.write_all(&frame).unwrap();
    }
    let name = ("binance".to_owned(), "BTC-USDT".to_owned());
    watch.until("two trades", |inner| {
        inner.known.get(&name).is_some_and(|known| known.trades.len() == 2)
    });
    let found = metrics.snapshot(LIMIT).expect("an answer while it runs");
    let trades = found.streams.iter().find(|stream| stream.kind == Kind::Trade).unwrap();
    assert_eq!((trades.stats.emitted, trades.stats.wait.count()), (2, 2));
    assert_eq!(&*found.consumers[0].name, "watched");
    let unreadable = found.dead_letters.iter().find(|(of, _)| *of == LetterReason::Unreadable);
    assert_eq!(unreadable.map(|(_, counts)| counts.seen), Some(1));
    running.stop();
    assert!(metrics.snapshot(LIMIT).is_none(), "and none after its end");
    let kept = letters.snapshot(&Filter::default(), 10);
    let [letter] = &kept.letters[..] else { panic!("{kept:?}") };
    assert_eq!((&*letter.reason, letter.provider.as_deref()), ("unreadable", Some("binance")));
    let payload = letter.payload.as_deref().unwrap();
    assert!(payload.contains("(not shown)") && !payload.contains("k1"), "{payload}");
    rest_host.kill();
}

#[test]
fn an_oversized_message_ends_its_connection_with_1009() {
    // The head alone says that more would come than is allowed.
    let mut head = vec![0x81, 127];
    head.extend((64_u64 << 20).to_be_bytes());
    unusable(&head, 1_009);
}

#[test]
fn text_that_is_not_utf_8_ends_its_connection_with_1007() {
    unusable(&text_frame(b"{\"stream\":\"\xc3\x28\"}"), 1_007);
}

#[test]
fn a_broken_protocol_ends_its_connection_with_1002() {
    // Reserved bits set, without an extension that would use them.
    unusable(&[0xf1, 0x01, b'x'], 1_002);
}
