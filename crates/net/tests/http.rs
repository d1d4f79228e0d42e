//! REST over real loopback sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use common::bulk;
use common::rig::{GENEROUS, Names, Pages, RigConfig, page, rest};
use model::venue::{Bulk, Request};
use model::{Nanos, RequestId};
use net::FetchError;
use net::http::{BULK_BYTES, Fetch, Fetched, HttpAnswer, HttpPort, HttpThread};
use tokio::net::TcpListener;
use tokio::time::timeout;

fn fetch(id: u64, url: impl Into<String>) -> Fetch {
    let request = Request::get(RequestId(id), url.into(), 1, bulk);
    Fetch { request, timeout: Duration::from_secs(10) }
}

async fn next(port: &mut HttpPort) -> Fetched {
    timeout(GENEROUS, poll_fn(|cx| port.poll_answer(cx))).await.expect("no answer")
}

struct Bench {
    _thread: HttpThread,
    port: HttpPort,
}

impl Bench {
    fn new(config: &RigConfig) -> Self {
        let thread = config.http();
        let port = thread.port(Some("x-used"));
        Self { _thread: thread, port }
    }

    async fn get(&mut self, url: String) -> Result<HttpAnswer, FetchError> {
        self.port.submit(fetch(1, url)).unwrap();
        next(&mut self.port).await.result
    }
}

#[tokio::test]
async fn an_answer_comes_with_its_status_and_the_headers_that_matter() {
    let date = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    let url = rest(Pages::from([
        ("/ok", page("200 OK", &format!("X-Used: 42\r\n{date}"), "{}")),
        ("/429", page("429 Slow", "Retry-After: 7\r\n", "slow")),
        (
            "/418",
            page(
                "418 Banned",
                &format!("Retry-After: Sun, 06 Nov 1994 08:50:37 GMT\r\n{date}"),
                "",
            ),
        ),
        ("/503", page("503 Down", "X-Used: many\r\n", "down")),
        ("/301", page("301 Moved", "Location: /ok\r\n", "")),
    ]))
    .await;
    let mut bench = Bench::new(&RigConfig::default());
    let ok = bench.get(format!("{url}/ok")).await.unwrap();
    assert_eq!((ok.status, ok.weight_used, &ok.body[..]), (200, Some(42), &b"{}"[..]));
    assert_eq!(ok.date, Some(Nanos(784_111_777_000_000_000)));
    let answer = bench.get(format!("{url}/429")).await.unwrap();
    assert_eq!((answer.status, answer.retry_after), (429, Some(Duration::from_secs(7))));
    assert_eq!(&answer.body[..], b"slow");
    let answer = bench.get(format!("{url}/418")).await.unwrap();
    assert_eq!((answer.status, answer.retry_after), (418, Some(Duration::from_secs(60))));
    let answer = bench.get(format!("{url}/503")).await.unwrap();
    assert_eq!((answer.status, answer.weight_used), (503, None));
    // Not followed: a venue that moves is for the operator to know.
    assert_eq!(bench.get(format!("{url}/301")).await.unwrap().status, 301);
}

#[tokio::test]
async fn large_bodies_are_read_on_the_http_thread() {
    let (small, large) = ("x".repeat(BULK_BYTES), "x".repeat(BULK_BYTES + 1));
    let url = rest(Pages::from([
        ("/small", page("200 OK", "", &small)),
        ("/large", page("200 OK", "", &large)),
        ("/error", page("500 No", "", &large)),
    ]))
    .await;
    let mut bench = Bench::new(&RigConfig::default());
    let small = bench.get(format!("{url}/small")).await.unwrap();
    assert!(small.bulk.is_none() && small.body.len() == BULK_BYTES);
    let large = bench.get(format!("{url}/large")).await.unwrap();
    let len = BULK_BYTES as u64 + 1;
    assert_eq!(large.bulk, Some(Ok(Bulk::LastTrade(Some(len)))));
    assert!(bench.get(format!("{url}/error")).await.unwrap().bulk.is_none());
}

#[tokio::test]
async fn a_body_that_is_too_large_is_not_read() {
    let chunk = format!("{:x}\r\n{}\r\n", 600, "x".repeat(600));
    let chunked =
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n");
    let url = rest(Pages::from([
        ("/announced", page("200 OK", "", &"x".repeat(1_001))),
        ("/chunked", chunked.into_bytes()),
        ("/fits", page("200 OK", "", &"x".repeat(1_000))),
    ]))
    .await;
    let mut bench = Bench::new(&RigConfig { body_bytes_max: 1_000, ..RigConfig::default() });
    let limit = 1_000;
    for path in ["announced", "chunked"] {
        let error = bench.get(format!("{url}/{path}")).await.unwrap_err();
        assert_eq!(error, FetchError::TooLarge { limit }, "{path}");
    }
    assert!(bench.get(format!("{url}/fits")).await.is_ok());
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_a_timeout() {
    let url = rest(Pages::from([
        ("/never", Vec::new()),
        ("/half", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_vec()),
    ]))
    .await;
    let mut bench = Bench::new(&RigConfig::default());
    for path in ["never", "half"] {
        let hasty =
            Fetch { timeout: Duration::from_millis(50), ..fetch(1, format!("{url}/{path}")) };
        bench.port.submit(hasty).unwrap();
        assert_eq!(next(&mut bench.port).await.result.unwrap_err(), FetchError::Timeout, "{path}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_told_from_one_that_never_was() {
    let url = rest(Pages::new()).await;
    let mut bench = Bench::new(&RigConfig::default());
    let error = bench.get(format!("{url}/reset")).await.unwrap_err();
    assert!(matches!(error, FetchError::Body(_)), "{error:?}");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let error = bench.get(nobody).await.unwrap_err();
    assert!(matches!(error, FetchError::Connect(_)), "{error:?}");

    let error = bench.get("no address".to_owned()).await.unwrap_err();
    assert!(matches!(error, FetchError::Url(_)), "{error:?}");
}

#[tokio::test]
async fn names_are_looked_up_by_the_resolver_that_was_handed_in() {
    let url = rest(Pages::from([("/ok", page("200 OK", "", "{}"))])).await;
    let url = url.replace("127.0.0.1", "venue.example");
    let names = Names { failures: AtomicUsize::new(1), ..Names::default() };
    let config = RigConfig { names: Arc::new(names), ..RigConfig::default() };
    let mut bench = Bench::new(&config);
    let error = bench.get(format!("{url}/ok")).await.unwrap_err();
    assert!(matches!(&error, FetchError::Connect(why) if why.contains("no such host")), "{error}");
    assert_eq!(bench.get(format!("{url}/ok")).await.unwrap().status, 200);
    assert_eq!(*config.names.asked.lock().unwrap(), ["venue.example", "venue.example"]);
}

#[tokio::test]
async fn what_is_cancelled_does_not_answer_and_others_do() {
    let url = rest(Pages::from([("/never", Vec::new()), ("/ok", page("200 OK", "", "{}"))])).await;
    let mut bench = Bench::new(&RigConfig::default());
    bench.port.submit(fetch(1, format!("{url}/never"))).unwrap();
    bench.port.submit(fetch(2, format!("{url}/ok"))).unwrap();
    bench.port.cancel(RequestId(1));
    assert_eq!(next(&mut bench.port).await.id, RequestId(2));
    // The same id again is another attempt.
    bench.port.submit(fetch(1, format!("{url}/ok"))).unwrap();
    assert_eq!(next(&mut bench.port).await.result.unwrap().status, 200);
}

#[tokio::test]
async fn the_queue_to_the_thread_is_bounded() {
    let url = rest(Pages::from([("/never", Vec::new())])).await;
    let mut bench = Bench::new(&RigConfig::default());
    let mut other = bench._thread.port(None);
    // In the queue, under way, and one between the two.
    let room = 64 + 64 + 1;
    let mut taken = 0;
    let fill = async {
        while taken < room {
            let port = if taken % 2 == 0 { &mut bench.port } else { &mut other };
            match port.submit(fetch(taken, format!("{url}/never"))) {
                Ok(()) => taken += 1,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    timeout(GENEROUS, fill).await.unwrap();
    for id in 1_000..1_010 {
        assert_eq!(bench.port.submit(fetch(id, &*url)).unwrap_err(), FetchError::Busy);
    }
}
