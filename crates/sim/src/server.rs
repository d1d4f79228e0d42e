//! The socket driver: puts a [`Machine`] behind one port, WebSocket and REST alike.
//!
//! One task drives the machine, so its calls come one after the other; each connection has a task
//! that reads and writes. Everything is bounded by [`ServerOptions`]. A WebSocket client whose queue
//! is full is closed with 1008 and logged, so that it harms nobody else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use model::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::machine::Machine;
use driver::{Command, Driver};

mod driver;
mod http;
mod rest;
mod websocket;

/// The bounds of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerOptions {
    /// At most this many connections at a time; more are closed at once.
    pub connections_max: usize,
    /// At most this many messages wait for one WebSocket client.
    pub queue_messages_max: usize,
    /// A client's message may be this long.
    pub message_bytes_max: usize,
    /// The body of a request may be this long.
    pub body_bytes_max: usize,
    /// A request, once begun, has to be complete within this time.
    pub request_within: Duration,
    /// A connection without a request is closed after this time.
    pub idle_max: Duration,
    /// How long a client that does not read may hold up a machine that waits for its clients.
    pub stall_max: Duration,
    /// How long a client may take to answer a close.
    pub close_within: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            connections_max: 256,
            queue_messages_max: 4_096,
            message_bytes_max: 1_024 * 1_024,
            body_bytes_max: 1_024 * 1_024,
            request_within: Duration::from_secs(10),
            idle_max: Duration::from_secs(60),
            stall_max: Duration::from_secs(10),
            close_within: Duration::from_secs(2),
        }
    }
}

/// A server that runs. Dropping it stops it without ceremony; [`stop`](Self::stop) says goodbye.
#[derive(Debug)]
pub struct ServerHandle {
    addr: SocketAddr,
    stop: watch::Sender<bool>,
    finished: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl ServerHandle {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What stands for `wss://stream.…`, without a path.
    #[must_use]
    pub fn ws_url(&self) -> String {
        format!("ws://{}", self.addr)
    }

    /// What stands for `https://api.…`, without a path.
    #[must_use]
    pub fn http_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Waits until the machine has sent all that it sends by itself; for a capture: until it has
    /// been played to its end. Connections stay open.
    pub async fn finished(&self) {
        // An error means that the server has ended, and then there is nothing more to come.
        let _ = self.finished.clone().wait_for(|finished| *finished).await;
    }

    /// Closes all connections (1001) and waits for their end, for a few seconds at most.
    pub async fn stop(mut self) {
        // Nobody to hear it means that the server has ended already.
        let _ = self.stop.send(true);
        let _ = (&mut self.task).await;
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Puts a machine behind an address; port 0 takes a free one.
///
/// # Errors
/// When the address can't be listened on.
pub async fn start(
    listen: SocketAddr,
    machine: Box<dyn Machine>,
    options: ServerOptions,
) -> Result<ServerHandle, Error> {
    let refused = |error: std::io::Error| {
        Error::stop(format!("can't listen on {listen}: {error}; choose a free port, or port 0"))
    };
    let listener = TcpListener::bind(listen).await.map_err(refused)?;
    let addr = listener.local_addr().map_err(refused)?;
    let (stop, stopped) = watch::channel(false);
    let (finish, finished) = watch::channel(false);
    let (commands, received) = mpsc::channel(COMMANDS_MAX);
    let driver = Driver::new(machine, received, finish, stopped.clone(), options);
    let shared = Shared { commands, options, stopped };
    let task = tokio::spawn(run(listener, driver, shared));
    Ok(ServerHandle { addr, stop, finished, task })
}

/// At most this many commands wait for the machine; connections wait for room.
const COMMANDS_MAX: usize = 1_024;

/// What every connection's task needs.
#[derive(Clone, Debug)]
struct Shared {
    commands: mpsc::Sender<Command>,
    options: ServerOptions,
    stopped: watch::Receiver<bool>,
}

/// Waits until the server is told to stop, or let go of.
async fn until_stopped(stopped: &mut watch::Receiver<bool>) {
    // An error means that the handle is gone, and with it the wish that this goes on.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Accepts connections until stopped, then waits for them to say goodbye.
async fn run(listener: TcpListener, driver: Driver, shared: Shared) {
    let options = shared.options;
    let mut stopped = shared.stopped.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(driver.run());
    let places = Arc::new(Semaphore::new(options.connections_max));
    loop {
        tokio::select! {
            () = until_stopped(&mut stopped) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    accept(&mut tasks, &places, &shared, stream, peer);
                }
                Err(error) => {
                    // For lack of descriptors, mostly: better a pause than a spinning loop.
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = tasks.join_next() => {}
        }
    }
    drop(listener);
    let goodbye = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(options.close_within * 2, goodbye).await.is_err() {
        tracing::warn!("connections were still open at the end and are cut");
    }
}

fn accept(
    tasks: &mut JoinSet<()>,
    places: &Arc<Semaphore>,
    shared: &Shared,
    stream: TcpStream,
    peer: SocketAddr,
) {
    let Ok(place) = places.clone().try_acquire_owned() else {
        tracing::warn!(%peer, "refused a connection: all places are taken");
        return;
    };
    // Without it small frames would wait for others; where it fails they do, and nothing else.
    let _ = stream.set_nodelay(true);
    let shared = shared.clone();
    tasks.spawn(async move {
        let _place: OwnedSemaphorePermit = place;
        rest::serve(stream, peer, shared).await;
    });
}
