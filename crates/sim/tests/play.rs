//! Captures played over real loopback sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::{Rest, close_code, connect, frames, line, public, receive, sent};
use futures_util::{SinkExt, StreamExt};
use model::capture::{CaptureLine, Direction, Wire, split_url};
use sim::play::{PlayOptions, Player, Speed, serve};
use sim::server::{self, ServerHandle, ServerOptions};
use tokio_websockets::{CloseCode, Message};

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
const STREAM: &str = "/stream?streams=a@trade";

fn options(speed: Speed) -> PlayOptions {
    PlayOptions { speed, ..PlayOptions::default() }
}

async fn playing(lines: &[CaptureLine]) -> ServerHandle {
    serve(ANY, lines.to_vec(), &options(Speed::Max)).await.unwrap()
}

async fn bounded(lines: &[CaptureLine], speed: Speed, bounds: ServerOptions) -> ServerHandle {
    let player = Player::new(lines.to_vec(), &options(speed)).unwrap();
    server::start(ANY, Box::new(player), bounds).await.unwrap()
}

/// Bounds for clients that come late to their own close, however busy the machine is.
fn patient() -> ServerOptions {
    ServerOptions { close_within: Duration::from_secs(60), ..ServerOptions::default() }
}

#[tokio::test]
async fn a_client_gets_exactly_the_recorded_frames_in_order_around_the_recorded_answers() {
    let mut lines = frames(500, 1_000_000, 10);
    lines.insert(0, line(0, Wire::Http, Direction::In, "/info", "{\"info\":1}"));
    let depth = line(0, Wire::Http, Direction::In, "/depth?symbol=A", "{\"depth\":1}");
    lines.insert(102, depth);
    let server = playing(&lines).await;
    let mut rest = Rest::connect(server.addr()).await;
    assert_eq!(rest.get("/info").await, (200, "{\"info\":1}".into()));

    let mut socket = connect(&format!("{}{STREAM}", server.ws_url())).await;
    let first = receive(&mut socket, 100).await;
    assert_eq!(rest.get("/depth?symbol=A").await, (200, "{\"depth\":1}".into()));
    let rest_of_it = receive(&mut socket, 400).await;
    assert_eq!([first, rest_of_it].concat(), sent(&lines));
    server.finished().await;

    assert_eq!(rest.get("/depth?symbol=A").await.0, 503);
    assert_eq!(rest.get("/info").await.0, 200);
    assert_eq!(rest.get("/nothing").await.0, 404);
}

#[tokio::test]
async fn the_public_captures_arrive_byte_for_byte() {
    for name in ["binance.jsonl", "binance-futures.jsonl"] {
        let Some(lines) = public(name) else { continue };
        let server = playing(&lines).await;
        let url = &lines.iter().find(|line| line.direction == Direction::Open).unwrap().url;
        let (path, query) = split_url(url);
        let mut socket = connect(&format!("{}{path}?{query}", server.ws_url())).await;
        let mut rest = Rest::connect(server.addr()).await;
        for line in lines.iter().filter(|line| line.wire == Wire::Http) {
            let (path, query) = split_url(&line.url);
            let (status, body) = rest.get(&format!("{path}?{query}")).await;
            assert_eq!(status, 200, "{}", line.url);
            assert!(body.as_bytes() == line.data, "{}", line.url);
        }
        let expected = sent(&lines);
        assert!(receive(&mut socket, expected.len()).await == expected, "{name}");
        server.finished().await;
    }
}

#[tokio::test]
async fn overlapping_connections_and_subscriptions_by_message_get_the_frames_too() {
    let lines = frames(50, 1, 0);
    let server = playing(&lines).await;
    let mut quiet = connect(&format!("{}/ws", server.ws_url())).await;
    let mut second = connect(&format!("{}/ws", server.ws_url())).await;
    second.send(Message::text("nonsense")).await.unwrap();
    let error = receive(&mut second, 1).await;
    assert!(String::from_utf8_lossy(&error[0]).starts_with(r#"{"error":{"code":3"#));
    let subscribe = r#"{"method":"SUBSCRIBE","params":["a@trade"],"id":1}"#;
    second.send(Message::text(subscribe)).await.unwrap();
    let raw = receive(&mut second, 51).await;
    assert_eq!(raw[0], br#"{"id":1,"result":null}"#);
    assert_eq!(raw[1], br#"{"n":0,"pad":""}"#);
    // The end has come, connections stay, and pings are answered with their payload.
    server.finished().await;
    quiet.send(Message::ping("are you there")).await.unwrap();
    let pong = quiet.next().await.unwrap().unwrap();
    assert!(pong.is_pong() && &pong.as_payload()[..] == b"are you there");
}

#[tokio::test]
async fn stopping_says_goodbye_and_frees_the_port() {
    let server = playing(&frames(1, 1, 0)).await;
    let addr = server.addr();
    let mut socket = connect(&format!("{}{STREAM}", server.ws_url())).await;
    let mut idle = Rest::connect(addr).await;
    receive(&mut socket, 1).await;
    let (code, ()) = tokio::join!(close_code(&mut socket), server.stop());
    assert_eq!(code, Some(1001));
    assert!(idle.is_closed().await);
    let again = serve(addr, frames(1, 1, 0), &options(Speed::Max)).await.unwrap();
    let error = serve(addr, frames(1, 1, 0), &options(Speed::Max)).await.unwrap_err();
    assert!(error.message.contains("choose a free port"), "{error}");
    again.stop().await;
}

#[tokio::test]
async fn a_recorded_close_arrives_with_its_code_and_playback_goes_on_after_the_return() {
    let mut lines = frames(4, 1, 0);
    lines.insert(3, line(2, Wire::Ws, Direction::Close, STREAM, "1012 restart"));
    let server = playing(&lines).await;
    let url = format!("{}{STREAM}", server.ws_url());
    let mut socket = connect(&url).await;
    let before = receive(&mut socket, 2).await;
    assert_eq!(close_code(&mut socket).await, Some(1012));
    let mut socket = connect(&url).await;
    assert_eq!([before, receive(&mut socket, 2).await].concat(), sent(&lines));
}

#[tokio::test]
async fn at_full_speed_the_player_waits_for_a_slow_reader() {
    let lines = frames(200, 1, 100_000);
    let bounds = ServerOptions { queue_messages_max: 64, ..ServerOptions::default() };
    let server = bounded(&lines, Speed::Max, bounds).await;
    let mut socket = connect(&format!("{}{STREAM}", server.ws_url())).await;
    assert!(receive(&mut socket, 200).await == sent(&lines));
}

#[tokio::test]
async fn at_a_pace_a_client_that_does_not_read_is_closed_with_1008_and_harms_nobody() {
    let lines = frames(400, 1, 100_000);
    let bounds = ServerOptions { queue_messages_max: 8, ..patient() };
    let server = bounded(&lines, Speed::RECORDED, bounds).await;
    let mut lazy = connect(&format!("{}{STREAM}", server.ws_url())).await;
    server.finished().await;
    // 40 MB don't fit into any socket buffer: the client was cut off while it was not reading.
    assert_eq!(close_code(&mut lazy).await, Some(1008));
    let mut rest = Rest::connect(server.addr()).await;
    assert_eq!(rest.get("/any").await.0, 404);
}

#[tokio::test]
async fn at_full_speed_a_client_that_never_reads_is_cut_off_in_the_end() {
    let lines = frames(400, 1, 100_000);
    let bounds =
        ServerOptions { queue_messages_max: 64, stall_max: Duration::from_millis(50), ..patient() };
    let server = bounded(&lines, Speed::Max, bounds).await;
    let mut lazy = connect(&format!("{}{STREAM}", server.ws_url())).await;
    server.finished().await;
    assert_eq!(close_code(&mut lazy).await, Some(1008));
}

#[tokio::test]
async fn a_client_that_goes_without_goodbye_is_forgotten() {
    let lines = frames(3, 1, 0);
    let server = bounded(&lines, Speed::Max, ServerOptions::default()).await;
    let gone = connect(&format!("{}/ws/quiet@trade", server.ws_url())).await;
    drop(gone);
    let mut closing = connect(&format!("{}/ws/quiet@trade", server.ws_url())).await;
    closing.send(Message::close(Some(CloseCode::NORMAL_CLOSURE), "")).await.unwrap();
    assert_eq!(close_code(&mut closing).await, Some(1000));
    let mut socket = connect(&format!("{}{STREAM}", server.ws_url())).await;
    assert_eq!(receive(&mut socket, 3).await, sent(&lines));
}

#[tokio::test]
async fn refused_requests_say_why() {
    let server = playing(&frames(1, 1, 0)).await;
    let mut rest = Rest::connect(server.addr()).await;
    // Two requests in one packet, one without a body in its answer.
    rest.write(b"HEAD /a HTTP/1.1\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc").await;
    assert_eq!(rest.read(false).await.0, 404);
    let (status, body) = rest.read(true).await;
    assert!(status == 404 && body.contains("no answer to /b"), "{body}");
    rest.write(b"GET /c HTTP/1.1\r\nConnection: close\r\n\r\n").await;
    assert_eq!(rest.read(true).await.0, 404);
    assert!(rest.is_closed().await);

    let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(16 * 1_024));
    let large = "POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n";
    for (bytes, status) in [
        ("nonsense\r\n\r\n", 400),
        (long.as_str(), 431),
        (large, 413),
        ("GET /wrong HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 404),
    ] {
        let mut rest = Rest::connect(server.addr()).await;
        rest.write(bytes.as_bytes()).await;
        let (refused, body) = rest.read(true).await;
        assert_eq!(refused, status, "{body}");
        assert!(rest.is_closed().await);
    }
    let mut rest = Rest::connect(server.addr()).await;
    rest.write(b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n").await;
    assert_eq!(rest.line().await, "HTTP/1.1 400 Bad Request");
}

#[tokio::test]
async fn connections_are_bounded() {
    let bounds = ServerOptions { connections_max: 1, ..ServerOptions::default() };
    let server = bounded(&frames(1, 1, 0), Speed::Max, bounds).await;
    let mut first = Rest::connect(server.addr()).await;
    assert_eq!(first.get("/a").await.0, 404);
    assert!(Rest::connect(server.addr()).await.is_closed().await);
    assert_eq!(first.get("/a").await.0, 404);
}

#[tokio::test]
async fn a_request_that_never_ends_and_an_idle_connection_are_closed() {
    let bounds = ServerOptions {
        request_within: Duration::from_millis(20),
        idle_max: Duration::from_millis(20),
        ..ServerOptions::default()
    };
    let server = bounded(&frames(1, 1, 0), Speed::Max, bounds).await;
    let mut slow = Rest::connect(server.addr()).await;
    slow.write(b"GET / HT").await;
    assert_eq!(slow.read(true).await.0, 408);
    assert!(Rest::connect(server.addr()).await.is_closed().await);
}
