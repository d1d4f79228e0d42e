//! What happens beside the gateway while a demo runs: servers, samples, faults by a schedule, and
//! at the end the stop of everything in its order.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use futures_util::future::{Either, select};
use model::Nanos;
use serde::Serialize;
use sim::server::{self, ServerHandle, ServerOptions};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::books::Books;
use super::memory;
use super::orders::{Gap, Orders};
use super::report::Pool;
use super::stage::Part;
use crate::clock::SystemClock;
use crate::outcome::{Gauges, Stop};

/// After the market froze, books have so long to be what the venue's are.
const SETTLE_WITHIN: Duration = Duration::from_secs(10);
/// How often it is looked whether they are.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What the supervisor does, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// Ends by itself after so long.
    pub duration: Option<Duration>,
    /// How often memory is looked at.
    pub sample_every: Duration,
    /// At each sample faults stop and the market stands still until the books are compared.
    pub compare_at_samples: bool,
}

/// What was seen at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct Sample {
    /// Since the start, in seconds.
    pub t_s: f64,
    /// Resident memory.
    pub rss_bytes: u64,
    /// Open descriptors.
    pub descriptors: usize,
    /// The pools.
    pub pools: Vec<Pool>,
    /// Whether every book was the venue's; `None` where that was not looked at.
    pub books_match_venues: Option<bool>,
    /// Faults so far.
    pub faults: u64,
}

/// What the supervisor saw.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub samples: Vec<Sample>,
    pub books_match: bool,
    /// What was different at the end.
    pub differences: Vec<String>,
    /// What the maker was not told at the end, or told twice.
    pub gap: Gap,
}

/// All that the supervisor looks after.
pub(super) struct Supervisor {
    pub parts: Vec<Part>,
    pub books: Books,
    pub orders: Orders,
    pub gauges: Gauges,
    pub stop: Stop,
    pub clock: SystemClock,
    pub plan: Plan,
    /// The gateway is gone.
    pub ended: oneshot::Receiver<()>,
}

impl Supervisor {
    /// Serves the venues, says where, and stays until the gateway is gone.
    pub(super) fn run(self, addresses: &SyncSender<Result<Vec<SocketAddr>, String>>) -> Seen {
        let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match built {
            Ok(runtime) => runtime.block_on(self.serve(addresses)),
            Err(error) => {
                // Nobody to hear it means that nobody waits for the demo any more.
                let _ = addresses.send(Err(format!("the venues' runtime: {error}")));
                Seen::default()
            }
        }
    }

    async fn serve(mut self, addresses: &SyncSender<Result<Vec<SocketAddr>, String>>) -> Seen {
        let started = self.start().await;
        let listening = started.as_ref().map(|servers| servers.iter().map(ServerHandle::addr));
        let told = listening.map(Iterator::collect).map_err(Clone::clone);
        if addresses.send(told).is_err() {
            return Seen::default();
        }
        let Ok(servers) = started else { return Seen::default() };
        let seen = self.watch().await;
        self.stop.stop();
        // The venues stay until the gateway has said goodbye to them; where it could not start, it is
        // gone already.
        if !self.ended.is_terminated() {
            let _ = (&mut self.ended).await;
        }
        for server in servers {
            server.stop().await;
        }
        seen
    }

    async fn start(&self) -> Result<Vec<ServerHandle>, String> {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut servers = Vec::new();
        for part in &self.parts {
            let machine = Box::new(part.simulator.clone());
            let server = server::start(listen, machine, ServerOptions::default()).await;
            servers.push(server.map_err(|error| error.message)?);
        }
        Ok(servers)
    }

    /// Until it is over: by time, by a signal, or because the gateway is gone.
    async fn watch(&mut self) -> Seen {
        let mut seen = Seen::default();
        let started = self.clock.now();
        let end = self.plan.duration.map(|duration| started + duration);
        let mut interrupted = std::pin::pin!(interrupted());
        let mut sample_at = started + Duration::from_secs(1).min(self.plan.sample_every);
        loop {
            let next = sample_at.earliest(end);
            let told = select(&mut self.ended, interrupted.as_mut());
            let wait = next.since(self.clock.now());
            match timeout(wait, told).await {
                Ok(Either::Left(_)) => return seen,
                Ok(Either::Right(_)) => break,
                Err(_) if end.is_some_and(|end| end <= self.clock.now()) => break,
                Err(_) => {
                    let sample = self.sample(started).await;
                    seen.samples.push(sample);
                    sample_at = sample_at + self.plan.sample_every;
                }
            }
        }
        let last = self.take_sample(started, None);
        seen.samples.push(last);
        seen.differences = self.settle().await;
        seen.books_match = seen.differences.is_empty();
        seen.gap = self.gap();
        seen
    }

    async fn sample(&self, started: Nanos) -> Sample {
        let compared = if self.plan.compare_at_samples {
            let differences = self.settle().await;
            for difference in &differences {
                tracing::error!(difference, "a book is not its venue's");
            }
            self.set_calm(false);
            Some(differences.is_empty())
        } else {
            None
        };
        self.take_sample(started, compared)
    }

    fn take_sample(&self, started: Nanos, books_match_venues: Option<bool>) -> Sample {
        Sample {
            t_s: self.clock.now().since(started).as_secs_f64(),
            rss_bytes: memory::resident_bytes().unwrap_or(0),
            descriptors: memory::descriptors().unwrap_or(0),
            pools: self.gauges.pools().iter().map(Pool::new).collect(),
            books_match_venues,
            faults: self.parts.iter().map(|part| part.simulator.faults_injected()).sum(),
        }
    }

    /// Faults stop and the market stands still, or both go on.
    fn set_calm(&self, calm: bool) {
        // The last quotes of the market have the maker take its orders back.
        self.orders.set_calm(calm);
        self.parts.iter().for_each(|part| part.set_calm(calm));
    }

    /// What the maker was not told, or told twice, over all venues.
    fn gap(&self) -> Gap {
        let mut all = Gap::default();
        for Gap { lost, doubled, what } in self.parts.iter().map(|part| part.gap(&self.orders)) {
            all.lost += lost;
            all.doubled += doubled;
            all.what = all.what.or(what);
        }
        all
    }

    /// Gives the books time to become the venues', and reports time to come; how books differ after
    /// it.
    async fn settle(&self) -> Vec<String> {
        self.set_calm(true);
        let until = self.clock.now() + SETTLE_WITHIN;
        loop {
            let differences: Vec<_> =
                self.parts.iter().flat_map(|part| part.differences(&self.books)).collect();
            let settled = differences.is_empty() && self.gap().lost == 0;
            if settled || self.clock.now() >= until {
                return differences.iter().map(ToString::to_string).collect();
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Ready when the process is asked to end.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
        tracing::warn!("signals can't be listened for; the demo ends by time alone");
        return std::future::pending().await;
    };
    select(std::pin::pin!(interrupt.recv()), std::pin::pin!(terminate.recv())).await;
}
