//! The socket driver over real loopback sockets, with a scripted far end: each fault ends in a
//! connection that works again, or in a clear word.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use common::rig::{
    Far, Names, Pages, Rig, RigConfig, close_code, page, raw, raw_close_code, reset, rest, send,
    text,
};
use common::{Call, PROFILE};
use futures_util::{SinkExt, StreamExt};
use model::venue::{LinkChange, Profile, Rate};
use model::{ConnId, LinkId, RequestId};
use net::WsTimeouts;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_websockets::{CloseCode, Message};

const FIRST: ConnId = ConnId(1);
const SECOND: ConnId = ConnId(2);

async fn up() -> (Rig, Far) {
    up_with(&RigConfig::default()).await
}

/// A rig that has asked for one link.
async fn up_with(config: &RigConfig) -> (Rig, Far) {
    let far = Far::bind().await;
    let mut rig = Rig::new(config);
    rig.link([far.url().as_str()]);
    (rig, far)
}

/// The far end takes the next connection and shows that it works.
async fn works_again(rig: &mut Rig, far: &Far, conn: ConnId) {
    let mut socket = rig
        .run(async {
            let mut socket = far.accept().await;
            send(&mut socket, "data again").await;
            socket
        })
        .await;
    rig.until(|calls| calls.contains(&Call::Frame(conn, "data again".into()))).await;
    assert!(rig.venue.calls().contains(&Call::Close(ConnId(conn.0 - 1))));
    let _ = socket.send(Message::ping("")).await;
}

fn ended(rig: &Rig) -> String {
    let lines = rig.seen.lines();
    lines.iter().find(|line| line.starts_with("close 1")).unwrap().clone()
}

#[tokio::test]
async fn messages_go_both_ways_and_the_tap_sees_them() {
    let (mut rig, far) = up().await;
    rig.venue.lock().greeting = Some("hello".into());
    rig.run(async {
        let mut socket = far.accept().await;
        assert_eq!(text(&mut socket).await, "hello");
        send(&mut socket, "say more").await;
        assert_eq!(text(&mut socket).await, "more");
        socket.send(Message::binary(&b"data binary"[..])).await.unwrap();
        send(&mut socket, "say end").await;
        assert_eq!(text(&mut socket).await, "end");
    })
    .await;
    assert_eq!(rig.texts(), ["say more", "data binary", "say end"]);
    let lines = rig.seen.lines();
    assert_eq!(
        lines[..7],
        [
            "open 1",
            "out 1 hello",
            "in 1 say more",
            "out 1 more",
            "in 1 data binary",
            "in 1 say end",
            "out 1 end"
        ]
    );
    assert_eq!(rig.frames.stats().in_use, 0);
    assert_eq!(rig.wire.stats().bytes_sent, 12);
}

#[tokio::test]
async fn a_ping_is_answered_with_its_payload() {
    let (mut rig, far) = up().await;
    rig.run(async {
        let mut socket = far.accept().await;
        socket.send(Message::ping("1700000000123")).await.unwrap();
        let pong = socket.next().await.unwrap().unwrap();
        assert!(pong.is_pong());
        assert_eq!(&pong.into_payload()[..], b"1700000000123");
    })
    .await;
}

#[tokio::test]
async fn pings_of_the_far_end_count_as_messages() {
    let messages = Rate { count: 5, per: Duration::from_secs(3_600) };
    let profile = Profile { messages, ..PROFILE };
    let (mut rig, far) = up_with(&RigConfig { profile, ..RigConfig::default() }).await;
    rig.run(async {
        let mut socket = far.accept().await;
        for _ in 0..4 {
            socket.send(Message::ping("!")).await.unwrap();
            assert!(socket.next().await.unwrap().unwrap().is_pong());
        }
        // What is kept is for pongs.
        send(&mut socket, "say too much").await;
        socket.send(Message::ping("last")).await.unwrap();
        assert!(socket.next().await.unwrap().unwrap().is_pong());
    })
    .await;
    assert_eq!(rig.texts(), ["say too much"]);
}

#[tokio::test]
async fn a_connect_that_is_not_wanted_any_more_is_given_up() {
    // Longer than the test may take: it must not be the deadline that ends it.
    let timeouts = WsTimeouts { connect: Duration::from_secs(60), ..WsTimeouts::default() };
    let (mut rig, far) = up_with(&RigConfig { timeouts, ..RigConfig::default() }).await;
    let mut tcp = rig.run(far.accept_raw()).await;
    let close = LinkChange { link: LinkId(0), url: None };
    rig.venue.lock().wants.links.push(close);
    rig.command();
    let mut request = Vec::new();
    rig.run(tcp.read_to_end(&mut request)).await.unwrap();
    assert!(request.starts_with(b"GET /ws HTTP/1.1"));
    assert!(rig.venue.calls().is_empty());
}

#[tokio::test]
async fn a_fragmented_message_arrives_whole_with_a_ping_in_its_middle() {
    let (mut rig, far) = up().await;
    rig.run(async {
        let mut tcp = far.accept_bytes().await;
        let parts =
            [raw(0x01, b"data "), raw(0x89, b"!"), raw(0x00, b"in two "), raw(0x80, b"parts")];
        for part in parts {
            tcp.write_all(&part).await.unwrap();
        }
        let mut pong = [0; 7];
        tcp.read_exact(&mut pong).await.unwrap();
        assert_eq!(pong[..2], [0x8a, 0x81]);
    })
    .await;
    rig.until(|calls| calls.contains(&Call::Frame(FIRST, "data in two parts".into()))).await;
}

#[tokio::test]
async fn a_frame_is_stamped_by_the_read_that_completed_it() {
    let (mut rig, far) = up_with(&RigConfig { counting_clock: true, ..RigConfig::default() }).await;
    let mut tcp = rig
        .run(async {
            let mut tcp = far.accept_bytes().await;
            // Two and a half in one read.
            let third = raw(0x81, b"data 3");
            let together =
                [raw(0x81, b"data 1"), raw(0x81, b"data 2"), third[..4].to_vec()].concat();
            tcp.write_all(&together).await.unwrap();
            tcp
        })
        .await;
    rig.until(|calls| calls.contains(&Call::Frame(FIRST, "data 2".into()))).await;
    tcp.write_all(&raw(0x81, b"data 3")[4..]).await.unwrap();
    rig.until(|calls| calls.contains(&Call::Frame(FIRST, "data 3".into()))).await;
    let stamps = rig.venue.lock().stamps.clone();
    assert_eq!(stamps[0], stamps[1]);
    assert!(stamps[2] > stamps[1]);
}

#[tokio::test]
async fn rubbish_in_a_message_touches_nothing_else() {
    let (mut rig, far) = up().await;
    rig.run(async {
        let mut socket = far.accept().await;
        send(&mut socket, "{\"e\":").await;
        send(&mut socket, "say still here").await;
        assert_eq!(text(&mut socket).await, "still here");
    })
    .await;
    let stats = rig.wire.session().stats();
    assert_eq!((stats.malformed, stats.connects), (1, 1));
}

/// What breaks a connection, as bytes, and the code that it is closed with.
async fn breaks(bytes: &[u8], code: u16, why: &str) {
    let profile = Profile { message_bytes_max: 1_000, ..PROFILE };
    let (mut rig, far) = up_with(&RigConfig { profile, ..RigConfig::default() }).await;
    let said = rig
        .run(async {
            let mut tcp = far.accept_bytes().await;
            tcp.write_all(&raw(0x81, b"data")).await.unwrap();
            tcp.write_all(bytes).await.unwrap();
            tcp.shutdown().await.unwrap();
            raw_close_code(&mut tcp).await
        })
        .await;
    assert_eq!(said, Some(code), "{why}");
    assert!(ended(&rig).contains(why), "{}", ended(&rig));
    works_again(&mut rig, &far, SECOND).await;
}

#[tokio::test]
async fn an_oversized_message_ends_its_connection_with_1009() {
    breaks(&raw(0x81, &[b'x'; 1_001]), 1_009, "larger than the 1000 bytes").await;
}

#[tokio::test]
async fn fragments_that_are_too_large_together_end_it_as_well() {
    let parts = [raw(0x01, &[b'x'; 600]), raw(0x80, &[b'x'; 600])].concat();
    breaks(&parts, 1_009, "larger than the 1000 bytes").await;
}

#[tokio::test]
async fn an_announced_monster_is_not_waited_for() {
    let header = [0x81, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    breaks(&header, 1_009, "larger than the 1000 bytes").await;
}

#[tokio::test]
async fn garbage_frames_end_it_with_1002() {
    breaks(&raw(0xf1, b"reserved bits"), 1_002, "broke the WebSocket protocol").await;
    breaks(&raw(0x83, b"unknown opcode"), 1_002, "broke the WebSocket protocol").await;
    breaks(&raw(0x80, b"continues nothing"), 1_002, "broke the WebSocket protocol").await;
    breaks(&raw(0x09, b"fragmented ping"), 1_002, "broke the WebSocket protocol").await;
}

#[tokio::test]
async fn bad_utf8_ends_it_with_1007() {
    breaks(&raw(0x81, b"data \xff\xfe"), 1_007, "not UTF-8").await;
}

#[tokio::test]
async fn every_close_code_is_answered_told_and_followed_by_a_new_connection() {
    for code in [1_000, 1_001, 1_002, 1_003, 1_007, 1_008, 1_009, 1_011, 1_012, 1_013, 4_001] {
        let (mut rig, far) = up().await;
        let answered = rig
            .run(async {
                let mut socket = far.accept().await;
                send(&mut socket, "data").await;
                let close = CloseCode::try_from(code).unwrap();
                socket.send(Message::close(Some(close), "so it ends")).await.unwrap();
                close_code(&mut socket).await
            })
            .await;
        assert_eq!(answered, Some(code));
        assert_eq!(
            ended(&rig),
            format!("close 1: closed by the far end with code {code}: 'so it ends'")
        );
        works_again(&mut rig, &far, SECOND).await;
    }
}

#[tokio::test]
async fn a_connection_that_drops_comes_back() {
    let (mut rig, far) = up().await;
    rig.run(async { drop(far.accept().await) }).await;
    works_again(&mut rig, &far, SECOND).await;
    assert!(ended(&rig).contains("without a close frame"), "{}", ended(&rig));
    let (mut rig, far) = up().await;
    rig.run(async { reset(far.accept_bytes().await) }).await;
    works_again(&mut rig, &far, SECOND).await;
    assert!(ended(&rig).contains("the network failed"), "{}", ended(&rig));
}

#[tokio::test]
async fn a_half_closed_socket_is_closed_and_comes_back() {
    // Between two frames or within one: its other half still hears a farewell from us.
    for bytes in [6, 3] {
        let (mut rig, far) = up().await;
        rig.run(async {
            let mut tcp = far.accept_bytes().await;
            tcp.write_all(&raw(0x81, b"data")[..bytes]).await.unwrap();
            tcp.shutdown().await.unwrap();
            assert_eq!(raw_close_code(&mut tcp).await, Some(1_000));
        })
        .await;
        assert!(ended(&rig).contains("without a close frame"), "{}", ended(&rig));
        works_again(&mut rig, &far, SECOND).await;
    }
}

#[tokio::test]
async fn a_silent_socket_is_pinged_and_given_up() {
    let (ping_after, pong_timeout) = (Duration::from_millis(30), Duration::from_millis(60));
    let profile = Profile { ping_after, pong_timeout, ..PROFILE };
    let timeouts = WsTimeouts { close: Duration::from_millis(30), ..WsTimeouts::default() };
    let (mut rig, far) = up_with(&RigConfig { timeouts, profile, ..RigConfig::default() }).await;
    let tcp = rig
        .run(async {
            let mut tcp = far.accept_bytes().await;
            // A masked ping of 8 bytes; it is not answered.
            let mut ping = [0; 14];
            tcp.read_exact(&mut ping).await.unwrap();
            assert_eq!(ping[..2], [0x89, 0x88]);
            assert_eq!(raw_close_code(&mut tcp).await, Some(1_001));
            tcp
        })
        .await;
    works_again(&mut rig, &far, SECOND).await;
    assert_eq!(ended(&rig), "close 1: no pong");
    drop(tcp);
}

#[tokio::test]
async fn a_socket_that_answers_pings_stays() {
    let (ping_after, pong_timeout) = (Duration::from_millis(20), Duration::from_secs(5));
    let profile = Profile { ping_after, pong_timeout, ..PROFILE };
    let (mut rig, far) = up_with(&RigConfig { profile, ..RigConfig::default() }).await;
    let venue = rig.venue.clone();
    rig.run(async {
        let mut socket = far.accept().await;
        for _ in 0..3 {
            // The library answers it.
            assert!(socket.next().await.unwrap().unwrap().is_ping());
        }
        send(&mut socket, "say x").await;
        assert_eq!(text(&mut socket).await, "x");
    })
    .await;
    assert!(!venue.calls().contains(&Call::Close(FIRST)));
}

#[tokio::test]
async fn a_far_end_that_takes_no_bytes_is_given_up() {
    let write = Duration::from_millis(50);
    let timeouts = WsTimeouts { write, close: write, ..WsTimeouts::default() };
    let (mut rig, far) = up_with(&RigConfig { timeouts, ..RigConfig::default() }).await;
    // More than the socket buffers of both ends hold.
    rig.venue.lock().greeting = Some("x".repeat(12 * 1_024 * 1_024));
    let tcp = rig.run(far.accept_bytes()).await;
    rig.until(|calls| calls.contains(&Call::Open(LinkId(0), FIRST))).await;
    rig.venue.lock().greeting = None;
    rig.until(|calls| calls.contains(&Call::Close(FIRST))).await;
    assert!(ended(&rig).contains("took no bytes"), "{}", ended(&rig));
    works_again(&mut rig, &far, SECOND).await;
    drop(tcp);
}

#[tokio::test]
async fn refused_connections_and_unknown_names_are_tried_until_they_work() {
    let names = Names { failures: AtomicUsize::new(2), ..Names::default() };
    let config = RigConfig { names: Arc::new(names), ..RigConfig::default() };
    let far = Far::bind().await;
    let mut rig = Rig::new(&config);
    rig.link([format!("ws://venue.example:{}/ws", far.port()).as_str()]);
    rig.run(far.accept()).await;
    assert_eq!(rig.wire.session().stats().connects_failed, 2);

    let far = Far::bind().await;
    let url = far.url();
    drop(far);
    let mut rig = Rig::new(&RigConfig::default());
    rig.link([url.as_str()]);
    let failed = |rig: &Rig| rig.wire.session().stats().connects_failed;
    while failed(&rig) < 2 {
        rig.run(tokio::task::yield_now()).await;
    }
    assert!(rig.venue.calls().is_empty());
}

#[tokio::test]
async fn a_refused_upgrade_is_tried_again() {
    let (mut rig, far) = up().await;
    rig.run(async {
        drop(far.answer(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n").await);
        let mut socket = far.accept().await;
        send(&mut socket, "data").await;
    })
    .await;
    rig.until(|calls| calls.contains(&Call::Frame(SECOND, "data".into()))).await;
}

#[tokio::test]
async fn a_renewal_opens_the_new_connection_before_the_old_one_goes() {
    let (mut rig, far) = up().await;
    rig.run(async {
        let mut old = far.accept().await;
        send(&mut old, "shutdown").await;
        let mut new = far.accept().await;
        send(&mut old, "say both").await;
        assert_eq!(text(&mut old).await, "both");
        send(&mut new, "data").await;
        assert_eq!(close_code(&mut old).await, Some(1_000));
        send(&mut new, "say done").await;
        assert_eq!(text(&mut new).await, "done");
    })
    .await;
    let order = [
        Call::Open(LinkId(0), FIRST),
        Call::Frame(FIRST, "shutdown".into()),
        Call::Open(LinkId(0), SECOND),
        Call::Frame(FIRST, "say both".into()),
        Call::Frame(SECOND, "data".into()),
        Call::Close(FIRST),
        Call::Frame(SECOND, "say done".into()),
    ];
    assert_eq!(rig.venue.calls(), order);
}

#[tokio::test]
async fn a_turn_reads_no_more_than_its_budget_and_serves_all_connections() {
    let far = Far::bind().await;
    let mut rig = Rig::new(&RigConfig::default());
    rig.link([far.url().as_str(), far.url().as_str()]);
    let sockets = rig
        .run(async {
            let mut sockets = [far.accept_bytes().await, far.accept_bytes().await];
            for tcp in &mut sockets {
                let burst = raw(0x81, b"data").repeat(100);
                tcp.write_all(&burst).await.unwrap();
            }
            sockets
        })
        .await;
    rig.until(|calls| calls.len() == 202).await;
    // Again, turn by turn.
    rig.venue.take_calls();
    let mut sockets = sockets;
    for tcp in &mut sockets {
        tcp.write_all(&raw(0x81, b"data").repeat(100)).await.unwrap();
    }
    let turn = std::future::poll_fn(|cx| rig.wire.poll_turn(cx, &mut rig.ports, 40)).await;
    assert_eq!(turn.frames, 40);
    let of =
        |conn| rig.venue.calls().iter().filter(|c| **c == Call::Frame(conn, "data".into())).count();
    assert!(of(FIRST) >= 8 && of(SECOND) >= 8, "{} and {}", of(FIRST), of(SECOND));
}

#[tokio::test]
async fn without_a_free_record_nothing_is_read_until_there_is_one() {
    let (mut rig, far) = up_with(&RigConfig { frames: 1, ..RigConfig::default() }).await;
    let mut socket = rig.run(far.accept()).await;
    let taken = rig.frames.try_acquire().unwrap();
    send(&mut socket, "data").await;
    let turn = std::future::poll_fn(|cx| rig.wire.poll_turn(cx, &mut rig.ports, 40)).await;
    assert!(turn.starved && turn.frames == 0);
    drop(taken);
    // Nor is it where there is no room for what would come of it.
    let turn = std::future::poll_fn(|cx| rig.wire.poll_turn(cx, &mut rig.ports, 0)).await;
    assert!(turn.starved && turn.frames == 0);
    rig.until(|calls| calls.contains(&Call::Frame(FIRST, "data".into()))).await;
    assert!(rig.wire.stats().starved_turns > 1);
    assert_eq!(rig.frames.stats().in_use, 0);
}

#[tokio::test]
async fn closing_shakes_hands() {
    let far = Far::bind().await;
    let mut rig = Rig::new(&RigConfig::default());
    rig.link([far.url().as_str(), far.url().as_str()]);
    let mut sockets = rig.run(async { [far.accept().await, far.accept().await] }).await;
    rig.until(|calls| calls.len() == 2).await;
    let ((), codes) = tokio::join!(rig.wire.close(&mut rig.ports), async {
        [close_code(&mut sockets[0]).await, close_code(&mut sockets[1]).await]
    });
    assert_eq!(codes, [Some(1_000), Some(1_000)]);
    assert_eq!(rig.wire.session().stats().open, 0);
    // The end of a run is no fault of its connections: the recording ends before it.
    assert_eq!(rig.seen.lines(), ["open 1", "open 2"]);
}

#[tokio::test]
async fn closing_does_not_wait_for_a_far_end_that_does_not_answer() {
    let timeouts = WsTimeouts { close: Duration::from_millis(30), ..WsTimeouts::default() };
    let (mut rig, far) = up_with(&RigConfig { timeouts, ..RigConfig::default() }).await;
    let tcp = rig.run(far.accept_bytes()).await;
    rig.until(|calls| calls.len() == 1).await;
    rig.wire.close(&mut rig.ports).await;
    drop(tcp);
}

// REST.

/// A rig whose venue asks for a path and hears what became of it.
async fn asks(config: &RigConfig, pages: Pages, path: &str) -> Rig {
    let mut rig = Rig::new(config);
    let url = format!("{}{path}", rest(pages).await);
    rig.venue.lock().wants.requests.push(common::request_to(1, 1, &url));
    rig.command();
    rig.until(|calls| !calls.is_empty()).await;
    rig
}

fn delayed(rig: &Rig, reason: model::event::Reason) -> bool {
    matches!(rig.venue.calls()[0], Call::Delayed(RequestId(1), why, _) if why == reason)
}

#[tokio::test]
async fn an_answer_reaches_the_venue_and_the_tap() {
    let pages = || Pages::from([("/ok", page("200 OK", "x-used: 99\r\n", "body"))]);
    let rig = asks(&RigConfig::default(), pages(), "/ok").await;
    assert_eq!(rig.venue.calls(), [Call::Answered(RequestId(1), "body".into())]);
    assert_eq!(rig.seen.lines(), ["GET", "200 body"]);
    assert_eq!(rig.wire.session().stats().weight_used, 99);
}

#[tokio::test]
async fn a_large_answer_arrives_read() {
    let body = "x".repeat(300_000);
    let pages = Pages::from([("/large", page("200 OK", "", &body))]);
    let rig = asks(&RigConfig::default(), pages, "/large").await;
    assert_eq!(rig.venue.calls(), [Call::Decoded(RequestId(1), 300_000)]);
    assert!(rig.seen.lines()[1].len() > 300_000, "the recorder gets it as it came");
}

#[tokio::test]
async fn answers_that_are_none_delay_or_refuse() {
    use model::event::Reason::{RateLimited, VenueUnavailable};
    let pages = || {
        Pages::from([
            ("/429", page("429 Slow", "Retry-After: 1\r\n", "")),
            ("/418", page("418 Banned", "", "")),
            ("/503", page("503 Down", "", "")),
            ("/400", page("400 No", "", "Invalid symbol.")),
            ("/never", Vec::new()),
            ("/huge", page("200 OK", "", &"x".repeat(2_000))),
        ])
    };
    let config = RigConfig {
        request_timeout: Duration::from_millis(200),
        body_bytes_max: 1_000,
        ..RigConfig::default()
    };
    for (path, reason) in [
        ("/429", RateLimited),
        ("/418", RateLimited),
        ("/503", VenueUnavailable),
        ("/never", VenueUnavailable),
        ("/reset", VenueUnavailable),
    ] {
        let rig = asks(&config, pages(), path).await;
        assert!(delayed(&rig, reason), "{path}: {:?}", rig.venue.calls());
    }
    let rig = asks(&config, pages(), "/400").await;
    assert_eq!(rig.venue.calls(), [Call::Refused(RequestId(1), 400, "Invalid symbol.".into())]);
    let rig = asks(&config, pages(), "/huge").await;
    assert!(
        matches!(&rig.venue.calls()[0], Call::Refused(_, 0, why) if why.contains("1000 bytes"))
    );
}

#[tokio::test]
async fn a_venue_that_was_busy_is_asked_again() {
    let pages = Pages::from([("/429", page("429 Slow", "Retry-After: 0\r\n", ""))]);
    let mut rig = asks(&RigConfig::default(), pages, "/429").await;
    rig.until(|calls| calls.len() >= 3).await;
    assert!(rig.wire.session().stats().retries >= 2);
}
