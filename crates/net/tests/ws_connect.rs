//! Every way in which a connect can fail, in its own words; and TLS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use common::rig::{Far, GENEROUS, Names, RigConfig, read_head};
use net::{ConnectError, Phase, WebSocket, WsTimeouts};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_websockets::ServerBuilder;

async fn connect(config: &RigConfig, url: &str) -> Result<WebSocket, ConnectError> {
    timeout(GENEROUS, config.connector().connect(url.to_owned(), 1_024)).await.unwrap()
}

async fn failure(config: &RigConfig, url: &str) -> ConnectError {
    connect(config, url).await.err().expect("an error")
}

fn hasty() -> RigConfig {
    let connect = Duration::from_millis(100);
    RigConfig { timeouts: WsTimeouts { connect, ..WsTimeouts::default() }, ..RigConfig::default() }
}

#[tokio::test]
async fn a_name_that_is_not_known() {
    let names = Names { failures: AtomicUsize::new(1), ..Names::default() };
    let config = RigConfig { names: Arc::new(names), ..RigConfig::default() };
    let error = failure(&config, "ws://venue.example:9/").await;
    let (host, detail) = ("venue.example".into(), "no such host".into());
    assert_eq!(error, ConnectError::Resolve { host, detail });
    assert!(error.to_string().contains("check its spelling"), "{error}");
    assert_eq!(*config.names.asked.lock().unwrap(), ["venue.example"]);
}

#[tokio::test]
async fn a_port_where_nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = failure(&RigConfig::default(), &format!("ws://{address}/")).await;
    assert_eq!(error, ConnectError::Refused { address });
    assert!(error.to_string().contains("check the port"), "{error}");
}

#[tokio::test]
async fn an_address_that_is_none() {
    let error = failure(&RigConfig::default(), "http://h/").await;
    assert!(matches!(error, ConnectError::Url(_)));
}

#[tokio::test]
async fn an_upgrade_that_is_refused() {
    let far = Far::bind().await;
    let long = "x".repeat(5_000);
    let cases = [
        (
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\nbanned".to_owned(),
            403,
            "banned",
            None,
        ),
        ("HTTP/1.1 503 Busy\r\nRetry-After: 9\r\n\r\n".to_owned(), 503, "", Some(9)),
        (format!("HTTP/1.1 500 No\r\nContent-Length: 5000\r\n\r\n{long}"), 500, &long[..300], None),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_owned(), 200, "hello", None),
        // It announces more than it sends, and keeps the connection open.
        ("HTTP/1.1 429 No\r\nContent-Length: 50\r\n\r\npart".to_owned(), 429, "part", None),
    ];
    for (answer, status, body, retry_after) in cases {
        let config = if status == 429 { hasty() } else { RigConfig::default() };
        let url = far.url();
        let (error, _open) = tokio::join!(failure(&config, &url), far.answer(answer.as_bytes()));
        let retry_after = retry_after.map(Duration::from_secs);
        assert_eq!(error.retry_after(), retry_after);
        assert_eq!(error, ConnectError::Upgrade { status, retry_after, body: body.to_owned() });
    }
}

#[tokio::test]
async fn a_far_end_that_speaks_something_else() {
    let far = Far::bind().await;
    let long = "A".repeat(80);
    let answers = [
        "SSH-2.0-OpenSSH_9.6\r\n\r\n".to_owned(),
        "HTTP/1.1 101 Switching Protocols\r\n\r\n".to_owned(),
        // A hash that is not ours, and one that the library's check would panic on.
        "HTTP/1.1 101 OK\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n".to_owned(),
        format!("HTTP/1.1 101 OK\r\nSec-WebSocket-Accept: {long}\r\n\r\n"),
        "x".repeat(20_000),
    ];
    for answer in answers {
        let url = far.url();
        let config = RigConfig::default();
        let (error, _open) = tokio::join!(failure(&config, &url), far.answer(answer.as_bytes()));
        assert!(matches!(error, ConnectError::Handshake(_)), "{answer}: {error:?}");
    }
}

#[tokio::test]
async fn a_far_end_that_hangs_up_or_says_nothing() {
    let far = Far::bind().await;
    let url = far.url();
    let config = RigConfig::default();
    let (error, ()) = tokio::join!(failure(&config, &url), async {
        let mut tcp = far.accept_raw().await;
        read_head(&mut tcp).await;
    });
    assert!(matches!(&error, ConnectError::Handshake(why) if why.contains("without an answer")));

    let config = hasty();
    let (error, _open) = tokio::join!(failure(&config, &url), far.accept_raw());
    let after = Duration::from_millis(100);
    assert_eq!(error, ConnectError::Timeout { after, phase: Phase::Upgrade });

    let tls = format!("wss://127.0.0.1:{}/", far.port());
    let (error, _open) = tokio::join!(failure(&config, &tls), far.accept_raw());
    assert_eq!(error, ConnectError::Timeout { after, phase: Phase::Tls });
}

/// A TLS server's certificate, as PEM, and what it needs to serve it.
fn certificate() -> (String, TlsAcceptor) {
    let made = rcgen::generate_simple_self_signed(vec!["venue.example".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (made.cert.pem(), TlsAcceptor::from(Arc::new(config)))
}

#[tokio::test]
async fn tls_trusts_the_extra_authority_and_nobody_else() {
    let far = Far::bind().await;
    let (pem, acceptor) = certificate();
    let url = format!("wss://venue.example:{}/ws", far.port());
    let trusting = RigConfig { extra_ca: Some(pem), ..RigConfig::default() };

    let serve = async || {
        let tls = acceptor.accept(far.accept_raw().await).await.ok()?;
        Some(ServerBuilder::new().accept(tls).await.ok()?.1)
    };
    let (opened, served) = tokio::join!(connect(&trusting, &url), serve());
    assert!(opened.is_ok() && served.is_some());

    let strict = RigConfig::default();
    let (error, served) = tokio::join!(failure(&strict, &url), serve());
    assert!(served.is_none());
    assert!(matches!(&error, ConnectError::Tls { host, .. } if host == "venue.example"));
    assert!(error.to_string().contains("configure its authority"), "{error}");

    // The right authority, but another name.
    let other = format!("wss://other.example:{}/ws", far.port());
    let (error, _) = tokio::join!(failure(&trusting, &other), serve());
    assert!(matches!(&error, ConnectError::Tls { host, .. } if host == "other.example"));

    // No TLS at all.
    let (error, _) = tokio::join!(failure(&trusting, &url), async {
        let _ = far.accept_raw().await.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    });
    assert!(matches!(error, ConnectError::Tls { .. }), "{error:?}");
}
