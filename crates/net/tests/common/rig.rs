//! A wire over real loopback sockets, and the far end that it talks to. Nothing here sleeps: a
//! script at the far end and the wire are polled together until the script is through.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use model::capture::{Direction, Tap};
use model::frame::WsFrame;
use model::venue::{Command, Profile};
use model::{ConnId, LinkId, Nanos};
use net::http::{HttpConfig, HttpThread};
use net::{
    Connector, Ports, Resolver, Resolving, Session, SessionConfig, Tls, Wire, WireParts, WsTimeouts,
};
use pool::LocalPool;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_websockets::{Message, ServerBuilder, WebSocketStream};

use super::desk::START;
use super::{Call, FakeVenue, Handle, Nowhere};

/// Longer than anything here takes; a test that needs it has failed.
pub const GENEROUS: Duration = Duration::from_secs(20);

/// Real time, anchored at the start.
pub fn clock() -> impl Fn() -> Nanos + Send + Sync {
    let from = Instant::now();
    move || START + from.elapsed()
}

/// A clock that goes one nanosecond a look.
pub fn counter() -> impl Fn() -> Nanos + Send + Sync {
    let looks = AtomicU64::new(START.0);
    move || Nanos(looks.fetch_add(1, Ordering::Relaxed))
}

/// Every name is this machine; the first so many questions fail.
#[derive(Default)]
pub struct Names {
    pub failures: AtomicUsize,
    pub asked: Mutex<Vec<String>>,
}

impl Resolver for Names {
    fn resolve(&self, host: &str, port: u16) -> Resolving {
        self.asked.lock().unwrap().push(host.to_owned());
        let fails = self
            .failures
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .is_ok();
        Box::pin(async move {
            if fails {
                return Err(io::Error::other("no such host"));
            }
            Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))])
        })
    }
}

/// What a recorder would have seen.
#[derive(Clone, Default)]
pub struct Seen(pub Arc<Mutex<Vec<String>>>);

impl Seen {
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

impl Tap for Seen {
    fn opened(&mut self, _: Nanos, conn: ConnId, _: &str) {
        self.note(format!("open {conn}"));
    }

    fn closed(&mut self, _: Nanos, conn: ConnId, _: &str, why: &str) {
        self.note(format!("close {conn}: {why}"));
    }

    fn frame(&mut self, _: Nanos, conn: ConnId, way: Direction, _: &str, payload: &[u8]) {
        let way = if way == Direction::In { "in" } else { "out" };
        self.note(format!("{way} {conn} {}", String::from_utf8_lossy(payload)));
    }

    fn requested(&mut self, _: Nanos, method: &'static str, _: &str) {
        self.note(method.to_owned());
    }

    fn answered(&mut self, _: Nanos, _: &str, status: u16, body: &[u8]) {
        self.note(format!("{status} {}", String::from_utf8_lossy(body)));
    }
}

pub struct RigConfig {
    pub profile: Profile,
    pub timeouts: WsTimeouts,
    pub names: Arc<Names>,
    pub extra_ca: Option<String>,
    pub frames: u16,
    pub counting_clock: bool,
    pub request_timeout: Duration,
    pub body_bytes_max: usize,
}

impl Default for RigConfig {
    fn default() -> Self {
        Self {
            profile: super::PROFILE,
            timeouts: WsTimeouts::default(),
            names: Arc::default(),
            extra_ca: None,
            frames: 8,
            counting_clock: false,
            request_timeout: Duration::from_secs(10),
            body_bytes_max: 64 * 1_024 * 1_024,
        }
    }
}

impl RigConfig {
    pub fn tls(&self) -> Tls {
        Tls::new(self.extra_ca.as_ref().map(|pem| pem.as_bytes())).unwrap()
    }

    pub fn connector(&self) -> Arc<Connector> {
        Arc::new(Connector {
            resolver: self.names.clone(),
            tls: self.tls(),
            clock: if self.counting_clock { Arc::new(counter()) } else { Arc::new(clock()) },
            timeouts: self.timeouts,
        })
    }

    pub fn http(&self) -> HttpThread {
        let mut config = HttpConfig::new(self.names.clone(), self.tls());
        config.body_bytes_max = self.body_bytes_max;
        HttpThread::start(config).unwrap()
    }
}

pub struct Rig {
    pub wire: Wire,
    pub venue: Handle,
    pub ports: Nowhere,
    pub seen: Seen,
    pub frames: LocalPool<WsFrame>,
    pub http: HttpThread,
}

impl Rig {
    pub fn new(config: &RigConfig) -> Self {
        let venue = Handle::default();
        let fake = FakeVenue::new(config.profile, venue.clone());
        let mut session = SessionConfig::new("test", 1);
        session.request_timeout = config.request_timeout;
        let http = config.http();
        let (seen, frames) = (Seen::default(), LocalPool::new("frames", config.frames));
        let wire = Wire::new(WireParts {
            session: Session::new(Box::new(fake), session),
            connector: config.connector(),
            http: http.port(config.profile.used_weight_header),
            frames: frames.clone(),
            tap: Some(Box::new(seen.clone())),
        });
        Self { wire, venue, ports: Nowhere::new(), seen, frames, http }
    }

    /// Asks for links to the given addresses.
    pub fn link<'a>(&mut self, urls: impl IntoIterator<Item = &'a str>) {
        let urls = urls.into_iter().enumerate();
        let links = urls.map(|(link, url)| (LinkId(link as u16), url.to_owned()));
        self.venue.lock().links.extend(links);
        self.command();
    }

    /// Lets the venue's machine say what it wants.
    pub fn command(&mut self) {
        self.wire.command(&Command::Subscribe(Vec::new()), &mut self.ports);
    }

    /// Runs the wire beside a script until the script is through.
    pub async fn run<T>(&mut self, script: impl Future<Output = T>) -> T {
        let mut script = pin!(script);
        let both = poll_fn(|cx| {
            while self.wire.poll_turn(cx, &mut self.ports, 64).is_ready() {}
            script.as_mut().poll(cx)
        });
        timeout(GENEROUS, both).await.expect("the script hangs")
    }

    /// Runs the wire until the venue's machine was told something.
    pub async fn until(&mut self, holds: impl Fn(&[Call]) -> bool) {
        let venue = self.venue.clone();
        self.until_holds(move || holds(&venue.calls())).await;
    }

    pub async fn until_holds(&mut self, holds: impl Fn() -> bool) {
        let turns = poll_fn(|cx| {
            loop {
                if holds() {
                    return Poll::Ready(());
                }
                if self.wire.poll_turn(cx, &mut self.ports, 64).is_pending() {
                    return Poll::Pending;
                }
            }
        });
        if timeout(GENEROUS, turns).await.is_err() {
            panic!("it never came; the venue heard {:?}", self.venue.calls());
        }
    }

    pub fn texts(&self) -> Vec<String> {
        let text = |call: &Call| match call {
            Call::Frame(_, text) => Some(text.clone()),
            _ => None,
        };
        self.venue.lock().calls.iter().filter_map(text).collect()
    }

    pub fn ports(&mut self) -> &mut dyn Ports {
        &mut self.ports
    }
}

/// The far end of WebSockets.
pub struct Far {
    listener: TcpListener,
}

pub type FarSocket = WebSocketStream<TcpStream>;

impl Far {
    pub async fn bind() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // Bounded, so that a far end that does not read is noticed on any machine.
        socket.set_recv_buffer_size(64 * 1_024).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self { listener: socket.listen(16).unwrap() }
    }

    pub fn url(&self) -> String {
        format!("ws://{}/ws", self.listener.local_addr().unwrap())
    }

    pub fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    /// A connection before its upgrade.
    pub async fn accept_raw(&self) -> TcpStream {
        self.listener.accept().await.unwrap().0
    }

    /// A connection after its upgrade.
    pub async fn accept(&self) -> FarSocket {
        let tcp = self.accept_raw().await;
        ServerBuilder::new().accept(tcp).await.unwrap().1
    }

    /// A connection after its upgrade, as bytes.
    pub async fn accept_bytes(&self) -> TcpStream {
        self.accept().await.into_inner()
    }

    /// A connection that is answered with the bytes given, once its request is read.
    pub async fn answer(&self, bytes: &[u8]) -> TcpStream {
        let mut tcp = self.accept_raw().await;
        read_head(&mut tcp).await;
        tcp.write_all(bytes).await.unwrap();
        tcp
    }
}

/// The next text message.
pub async fn text(far: &mut FarSocket) -> String {
    let message = far.next().await.unwrap().unwrap();
    message.as_text().unwrap_or_else(|| panic!("no text: {message:?}")).to_owned()
}

pub async fn send(far: &mut FarSocket, text: &str) {
    far.send(Message::text(text.to_owned())).await.unwrap();
}

/// The close frame that comes next; everything before it is skipped.
pub async fn close_code(far: &mut FarSocket) -> Option<u16> {
    while let Some(Ok(message)) = far.next().await {
        if let Some((code, _)) = message.as_close() {
            // The library's answer is only queued yet.
            let code = code.into();
            let _ = far.next().await;
            return Some(code);
        }
    }
    None
}

/// A server's frame: first byte, then the payload.
pub fn raw(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..=125 => frame.push(len as u8),
        len => {
            frame.push(126);
            frame.extend((len as u16).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

/// The code of the masked close frame in a client's bytes, read to their end.
pub async fn raw_close_code(tcp: &mut TcpStream) -> Option<u16> {
    let mut bytes = Vec::new();
    let _ = tcp.read_to_end(&mut bytes).await;
    let at = bytes.iter().position(|&byte| byte == 0x88)?;
    let (mask, code) = (bytes.get(at + 2..at + 6)?, bytes.get(at + 6..at + 8)?);
    Some(u16::from_be_bytes([code[0] ^ mask[0], code[1] ^ mask[1]]))
}

/// Reads an HTTP request's head; gives its path.
pub async fn read_head(tcp: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if tcp.read(&mut byte).await.ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    Some(head.split(' ').nth(1).unwrap().to_owned())
}

pub type Pages = BTreeMap<&'static str, Vec<u8>>;

/// A REST server with fixed answers by path; one that is empty is never answered, one that is
/// unknown is reset.
pub async fn rest(pages: Pages) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let pages = Arc::new(pages);
    tokio::spawn(async move {
        loop {
            let (mut tcp, _) = listener.accept().await.unwrap();
            let pages = pages.clone();
            tokio::spawn(async move {
                while let Some(path) = read_head(&mut tcp).await {
                    match pages.get(path.as_str()) {
                        Some(page) if page.is_empty() => std::future::pending().await,
                        Some(page) => {
                            if tcp.write_all(page).await.is_err() {
                                return;
                            }
                        }
                        None => return reset(tcp),
                    }
                }
            });
        }
    });
    url
}

/// Ends a connection with RST: what a crashed process or a middlebox does.
pub fn reset(tcp: TcpStream) {
    tcp.set_zero_linger().unwrap();
}

pub fn page(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let len = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {len}\r\n{headers}\r\n{body}").into_bytes()
}
