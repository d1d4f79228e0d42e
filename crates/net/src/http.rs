//! REST on a thread of its own, so that names, TLS handshakes and large bodies never stall a shard.
//!
//! [`HttpThread`] is started once; each provider takes an [`HttpPort`] from it, which is polled on
//! the shard like a socket. Both directions are bounded: a full queue of requests answers
//! [`FetchError::Busy`], and a port that isn't read holds up only its own answers.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::{Either, select};
use model::venue::{Bulk, Method, Request};
use model::{Error, Nanos, RequestId};
use reqwest::Client;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use crate::date;
use crate::fault::FetchError;
use crate::resolve::Resolver;
use crate::session::requests::changes;
use crate::tls::Tls;

/// Larger bodies are read on the HTTP thread and handed over whole.
pub const BULK_BYTES: usize = 256 * 1_024;
/// Requests on their way to the thread, all providers together.
const QUEUE_LEN_MAX: usize = 64;
/// Requests being carried out, all providers together.
const IN_FLIGHT_MAX: usize = 64;
/// Answers that wait for one provider's shard.
const ANSWERS_LEN_MAX: usize = 16;

/// What the HTTP thread needs.
#[derive(Clone)]
pub struct HttpConfig {
    /// Finds addresses.
    pub resolver: Arc<dyn Resolver>,
    /// What TLS trusts.
    pub tls: Tls,
    /// Name, TCP and TLS together; the rest of a request's time is for its answer.
    pub connect_timeout: Duration,
    /// Larger bodies are not read.
    pub body_bytes_max: usize,
}

impl HttpConfig {
    /// With the usual limits: 5 s to connect, 64 MiB.
    #[must_use]
    pub fn new(resolver: Arc<dyn Resolver>, tls: Tls) -> Self {
        let connect_timeout = Duration::from_secs(5);
        Self { resolver, tls, connect_timeout, body_bytes_max: 64 * 1_024 * 1_024 }
    }
}

/// A request to carry out.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// The request; its decoder reads bodies over [`BULK_BYTES`].
    pub request: Request,
    /// For everything, from the name to the last byte.
    pub timeout: Duration,
}

/// An answer with a status.
#[derive(Debug)]
pub struct HttpAnswer {
    /// HTTP status.
    pub status: u16,
    /// What the provider's used-weight header says.
    pub weight_used: Option<u32>,
    /// How long the venue asks to wait.
    pub retry_after: Option<Duration>,
    /// The venue's time, to the second.
    pub date: Option<Nanos>,
    /// The body as it came.
    pub body: Bytes,
    /// The body read whole; only for status 2xx and a body over [`BULK_BYTES`].
    pub bulk: Option<Result<Bulk, Error>>,
}

/// What became of a [`Fetch`].
#[derive(Debug)]
pub struct Fetched {
    /// Which.
    pub id: RequestId,
    /// Its answer, of whatever status.
    pub result: Result<HttpAnswer, FetchError>,
}

/// The thread. Ends when it and all ports are dropped; what is under way is then given up.
#[derive(Debug)]
pub struct HttpThread {
    jobs: mpsc::Sender<Job>,
}

struct Job {
    fetch: Fetch,
    /// Dropped when nothing of the request can be written any more.
    in_hand: Option<InHand>,
    weight_header: Option<&'static str>,
    cancelled: oneshot::Receiver<()>,
    answers: mpsc::Sender<Fetched>,
}

impl HttpThread {
    /// Starts the thread.
    ///
    /// # Errors
    /// The machine gives no thread, or TLS can't be set up.
    pub fn start(config: HttpConfig) -> io::Result<Self> {
        let client = client(&config).map_err(io::Error::other)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(2)
            .build()?;
        let (jobs, queue) = mpsc::channel(QUEUE_LEN_MAX);
        let limit = config.body_bytes_max;
        thread::Builder::new()
            .name("net-http".to_owned())
            .spawn(move || runtime.block_on(serve(client, limit, queue)))?;
        Ok(Self { jobs })
    }

    /// A provider's way to the thread; `weight_header` as in
    /// [`Profile`](model::venue::Profile::used_weight_header).
    #[must_use]
    pub fn port(&self, weight_header: Option<&'static str>) -> HttpPort {
        let (sender, answers) = mpsc::channel(ANSWERS_LEN_MAX);
        let jobs = self.jobs.clone();
        HttpPort {
            jobs,
            weight_header,
            sender,
            answers,
            open: BTreeMap::new(),
            changes: 0,
            in_hand: VecDeque::new(),
        }
    }
}

/// One provider's requests.
#[derive(Debug)]
pub struct HttpPort {
    jobs: mpsc::Sender<Job>,
    weight_header: Option<&'static str>,
    sender: mpsc::Sender<Fetched>,
    answers: mpsc::Receiver<Fetched>,
    /// Dropping an entry cancels its request. Bounded by the queue: an id is here only while its
    /// job is queued or under way.
    open: BTreeMap<RequestId, oneshot::Sender<()>>,
    /// How many requests that change something were submitted.
    changes: u64,
    /// Those of them that the thread may not have let go of, by number, and whether it has. As many as
    /// may be queued and under way.
    in_hand: VecDeque<(u64, Arc<AtomicBool>)>,
}

/// One of the requests that change something and that the thread has not let go of.
#[derive(Debug, Default)]
struct InHand(Arc<AtomicBool>);

impl Drop for InHand {
    fn drop(&mut self) {
        // Whoever reads it sees that whatever the thread did for the request is over.
        self.0.store(true, Ordering::Release);
    }
}

impl HttpPort {
    /// Hands a request to the thread.
    ///
    /// # Errors
    /// [`FetchError::Busy`] when its queue is full; nothing was sent.
    pub fn submit(&mut self, fetch: Fetch) -> Result<(), FetchError> {
        let (cancel, cancelled) = oneshot::channel();
        let (id, answers) = (fetch.request.id, self.sender.clone());
        let in_hand = changes(&fetch.request).then(InHand::default);
        let gone = in_hand.as_ref().map(|in_hand| in_hand.0.clone());
        let weight_header = self.weight_header;
        let job = Job { fetch, in_hand, weight_header, cancelled, answers };
        self.jobs.try_send(job).map_err(|_| FetchError::Busy)?;
        self.open.insert(id, cancel);
        if let Some(gone) = gone {
            self.changes += 1;
            self.in_hand.retain(|(_, gone)| !gone.load(Ordering::Acquire));
            self.in_hand.push_back((self.changes, gone));
        }
        Ok(())
    }

    /// How many requests that change something were submitted so far.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Whether the thread has let go of the first so many of them: they are answered, failed, or given
    /// up, and nothing of them can be written any more.
    #[must_use]
    pub fn has_let_go(&self, changes: u64) -> bool {
        let before = self.in_hand.iter().take_while(|(number, _)| *number <= changes);
        before.map(|(_, gone)| gone).all(|gone| gone.load(Ordering::Acquire))
    }

    /// Gives a request up; no answer comes.
    pub fn cancel(&mut self, id: RequestId) {
        self.open.remove(&id);
    }

    /// The next answer.
    pub fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Fetched> {
        while let Poll::Ready(Some(fetched)) = self.answers.poll_recv(cx) {
            // Cancelled after its answer was on the way: not wanted.
            if self.open.remove(&fetched.id).is_some() {
                return Poll::Ready(fetched);
            }
        }
        Poll::Pending
    }
}

async fn serve(client: Client, limit: usize, mut queue: mpsc::Receiver<Job>) {
    let room = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
    while let Some(job) = queue.recv().await {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        let client = client.clone();
        tokio::spawn(async move {
            carry_out(&client, limit, job).await;
            drop(permit);
        });
    }
}

async fn carry_out(client: &Client, limit: usize, job: Job) {
    let Job { fetch, in_hand, weight_header, mut cancelled, answers } = job;
    let mut whole =
        Box::pin(timeout(fetch.timeout, exchange(client, limit, &fetch.request, weight_header)));
    // The cancellation is looked at first: a request cancelled in the queue is never sent.
    let result = match select(&mut cancelled, whole.as_mut()).await {
        Either::Left(_) => None,
        Either::Right((result, _)) => Some(result.unwrap_or(Err(FetchError::Timeout))),
    };
    // In this order: what the request still holds goes before it counts as let go.
    drop(whole);
    drop(in_hand);
    let Some(result) = result else { return };
    // Fails only when the port is gone, and with it whoever asked.
    let _ = answers.send(Fetched { id: fetch.request.id, result }).await;
}

async fn exchange(
    client: &Client,
    limit: usize,
    request: &Request,
    weight_header: Option<&'static str>,
) -> Result<HttpAnswer, FetchError> {
    let method = match request.method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Delete => reqwest::Method::DELETE,
    };
    let mut asked = client.request(method, &request.url);
    for (name, value) in &request.headers {
        asked = asked.header(*name, value);
    }
    if !request.body.is_empty() {
        asked = asked.body(request.body.clone());
    }
    let mut response = asked.send().await.map_err(|error| failure(&error))?;
    let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let weight_used = weight_header.and_then(text).and_then(|value| value.parse().ok());
    let retry_after = text("retry-after").and_then(|value| date::retry_after(value, text("date")));
    let date = text("date").and_then(date::parse);
    let status = response.status().as_u16();
    let body = read_body(&mut response, limit).await?;
    let is_bulk = body.len() > BULK_BYTES && response.status().is_success();
    let bulk = is_bulk.then(|| (request.bulk)(&body));
    Ok(HttpAnswer { status, weight_used, retry_after, date, body, bulk })
}

async fn read_body(response: &mut reqwest::Response, limit: usize) -> Result<Bytes, FetchError> {
    let too_large = FetchError::TooLarge { limit };
    let announced = usize::try_from(response.content_length().unwrap_or(0)).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(too_large);
    }
    let mut body = BytesMut::with_capacity(announced);
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(&error))? {
        if body.len() + chunk.len() > limit {
            return Err(too_large);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn failure(error: &reqwest::Error) -> FetchError {
    // The chain's last link says what happened; the first only where in the library. No address,
    // since its query may carry keys.
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    if error.is_timeout() {
        FetchError::Timeout
    } else if error.is_builder() {
        FetchError::Url(cause.to_string())
    } else if error.is_connect() {
        FetchError::Connect(cause.to_string())
    } else {
        FetchError::Body(cause.to_string())
    }
}

fn client(config: &HttpConfig) -> reqwest::Result<Client> {
    Client::builder()
        .tls_backend_preconfigured(config.tls.client_config())
        .dns_resolver(Arc::new(Names(config.resolver.clone())))
        .connect_timeout(config.connect_timeout)
        .pool_max_idle_per_host(8)
        .pool_idle_timeout(Duration::from_secs(30))
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("meltica/", env!("CARGO_PKG_VERSION")))
        .http1_only()
        .tcp_nodelay(true)
        .no_proxy()
        .build()
}

/// Our resolver as the HTTP library wants it.
struct Names(Arc<dyn Resolver>);

impl reqwest::dns::Resolve for Names {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        // Port 0: the library puts in the address's own.
        let found = self.0.resolve(name.as_str(), 0);
        Box::pin(async move {
            let addresses: reqwest::dns::Addrs = Box::new(found.await?.into_iter());
            Ok(addresses)
        })
    }
}
