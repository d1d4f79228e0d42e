//! What goes now or never, over real loopback sockets: whether it can still leave, and the end of
//! what has not left.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use common::rig::{Far, FarSocket, Pages, Rig, RigConfig, close_code, page, rest};
use common::{Call, request_to};
use futures_util::StreamExt;
use model::event::Reason;
use model::venue::{Method, OnceFrame, Repeat, Request};
use model::{ConnId, RequestId};

const CONN: ConnId = ConnId(1);
const ONCE: Repeat = Repeat::Once { urgent: false };

/// A server with a page that is answered, and one that is not.
async fn server() -> String {
    rest(Pages::from([("/yes", page("200 OK", "", "done")), ("/never", Vec::new())])).await
}

fn ask(rig: &mut Rig, request: Request) {
    rig.venue.lock().wants.requests.push(request);
    rig.command();
}

/// A rig that makes a request to one of them.
async fn asks(path: &str, request: impl FnOnce(Request) -> Request) -> Rig {
    let mut rig = Rig::new(&RigConfig::default());
    let url = format!("{}{path}", server().await);
    ask(&mut rig, request(Request { repeat: ONCE, ..request_to(1, 1, &url) }));
    rig
}

fn has_written(rig: &Rig) -> bool {
    rig.wire.has_written(rig.wire.handed_over())
}

async fn written(rig: &mut Rig) {
    rig.run(std::future::ready(())).await;
    while !has_written(rig) {
        // The HTTP thread lets go of it without a word to the shard.
        rig.run(tokio::task::yield_now()).await;
    }
}

#[tokio::test]
async fn a_change_is_in_hand_until_it_is_answered() {
    let mut rig = asks("/yes", |ask| Request { method: Method::Post, ..ask }).await;
    rig.until(|calls| calls.contains(&Call::Answered(RequestId(1), "done".into()))).await;
    written(&mut rig).await;
}

#[tokio::test]
async fn a_change_that_is_given_up_is_lost_and_can_leave_no_more() {
    let mut rig = asks("/never", |ask| Request { method: Method::Post, ..ask }).await;
    assert!(!has_written(&rig));
    rig.run(tokio::task::yield_now()).await;
    rig.wire.give_up_unwritten(&mut rig.ports);
    assert_eq!(rig.venue.calls(), [Call::Lost(RequestId(1))]);
    written(&mut rig).await;
}

#[tokio::test]
async fn a_change_waits_for_those_before_it_alone() {
    let (mut rig, server) = (Rig::new(&RigConfig::default()), server().await);
    let post = |id, path: &str| {
        let url = format!("{server}{path}");
        Request { method: Method::Post, repeat: ONCE, ..request_to(id, 1, &url) }
    };
    ask(&mut rig, post(1, "/yes"));
    let first = rig.wire.handed_over();
    assert!(!rig.wire.has_written(first));
    ask(&mut rig, post(2, "/never"));
    rig.until(|calls| calls.contains(&Call::Answered(RequestId(1), "done".into()))).await;
    assert!(rig.wire.has_written(first), "others that came later are under way");
    assert!(!has_written(&rig));
}

#[tokio::test]
async fn questions_and_what_is_urgent_are_nothing_to_wait_for() {
    let urgent = Repeat::Once { urgent: true };
    let cancel = |ask| Request { method: Method::Delete, repeat: urgent, ..ask };
    for mut rig in [asks("/never", |ask| ask).await, asks("/never", cancel).await] {
        rig.run(tokio::task::yield_now()).await;
        assert!(has_written(&rig));
        rig.wire.give_up_unwritten(&mut rig.ports);
        assert!(rig.venue.calls().is_empty());
    }
}

/// A connection that is open.
async fn opened() -> (Rig, Far, FarSocket) {
    let far = Far::bind().await;
    let mut rig = Rig::new(&RigConfig::default());
    rig.link([far.url().as_str()]);
    let socket = rig.run(far.accept()).await;
    let opened = |call: &Call| matches!(call, Call::Open(_, open) if *open == CONN);
    rig.until(|calls| calls.iter().any(opened)).await;
    (rig, far, socket)
}

/// A connection with more on it than any buffer on the way takes.
async fn clogged() -> (Rig, Far, FarSocket) {
    let (mut rig, far, socket) = opened().await;
    let text = "x".repeat(32 * 1_024 * 1_024);
    let frame = OnceFrame { conn: CONN, id: RequestId(1), text, urgent: false };
    rig.venue.lock().wants.once_frames.push(frame);
    rig.command();
    rig.run(tokio::task::yield_now()).await;
    assert!(!has_written(&rig));
    (rig, far, socket)
}

#[tokio::test]
async fn a_connection_that_takes_nothing_is_cut_with_what_waits_on_it() {
    let (mut rig, _far, socket) = clogged().await;
    rig.wire.give_up_unwritten(&mut rig.ports);
    assert!(has_written(&rig));
    assert!(rig.venue.calls().contains(&Call::Close(CONN)));
    drop(socket);
}

#[tokio::test]
async fn what_waits_on_a_connection_that_is_being_closed_can_still_leave_until_it_is_cut() {
    let (mut rig, _far, mut socket) = clogged().await;
    rig.venue.lock().wants.reconnect.push((CONN, Reason::Disconnected));
    rig.command();
    rig.run(tokio::task::yield_now()).await;
    assert!(!has_written(&rig), "a farewell is written behind what waits");
    rig.wire.give_up_unwritten(&mut rig.ports);
    assert!(has_written(&rig));
    // The message never arrives whole.
    assert!(rig.run(socket.next()).await.is_none_or(|message| message.is_err()));
}

#[tokio::test]
async fn a_farewell_that_is_written_is_nothing_to_wait_for() {
    let (mut rig, _far, mut socket) = opened().await;
    rig.venue.lock().wants.reconnect.push((CONN, Reason::Disconnected));
    rig.command();
    written(&mut rig).await;
    assert!(rig.run(close_code(&mut socket)).await.is_some());
}
