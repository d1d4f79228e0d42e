//! The way of an order over real sockets: from a consumer's submit to the bytes at the far end, for each
//! durability, and from a report's arrival to the consumer's handler; beside the disk's own sync time.
//!
//! The gateway is whole, the far end is a simulated venue on loopback that notes when an order's bytes
//! arrive: its read is in the figure, so that the bytes were on the socket before. One order is under
//! way at a time; none of them stands, since each is far from the market and for at once or never.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use engine::orders::OrderSpec;
use engine::{Consumer, Context};
use model::event::{Quote, Side};
use model::order::TimeInForce;
use model::{Body, Decimal, Event, Kind, Nanos};
use serde::Serialize;
use sim::machine::{ClientId, ControlFrame, Machine, Output, Reply, Request, RequestId};
use sim::server::{self, ServerOptions};
use store::ledger::Durability;

use super::report::tenth;
use crate::clock::SystemClock;
use crate::config::{
    Config, DeadLetters, Dispatch, LedgerConfig, Log, Network, OrdersConfig, Provider, Table,
};
use crate::consumers::ConsumerOptions;
use crate::demo::folder::Folder;
use crate::demo::maker::Maker;
use crate::demo::{Options, stage};
use crate::gateway::Gateway;
use crate::outcome::Stop;

/// The venue whose budget allows most orders.
const VENUE: &str = "okx";
/// Orders of a durability.
const ORDERS: usize = 150;
/// Between two orders: the venue takes 60 in 2 s, of which some are kept for cancels.
const PAUSE: Duration = Duration::from_millis(45);
/// Syncs of the disk.
const SYNCS: usize = 200;
/// Longer than all orders take: something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);

/// Two quantiles, in µs.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Quantiles {
    /// Half of them are below it.
    pub p50: f64,
    /// 99 of 100 are.
    pub p99: f64,
}

/// From submit to the bytes, by durability.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Submit {
    /// The intent is with the operating system.
    pub os: Quantiles,
    /// It is on the disk, by a sync that it may share.
    pub batch: Quantiles,
    /// It is on the disk, by a sync of its own.
    pub each: Quantiles,
}

/// What was measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Orders {
    /// Writing 4 KiB to the ledger's disk and syncing them.
    pub disk_sync_us: Quantiles,
    /// From submit to the bytes at the far end.
    pub submit_to_socket_us: Submit,
    /// From a report's arrival to the consumer's handler.
    pub report_to_consumer_us: Quantiles,
}

/// Measures.
///
/// # Errors
/// The gateway can't run, or orders do not come back.
pub fn measure() -> Result<Orders, String> {
    let disk_sync_us = disk_sync()?;
    let (os, mut reports) = orders(Durability::Os)?;
    let (batch, more) = orders(Durability::Batch)?;
    reports.extend(more);
    let (each, more) = orders(Durability::Each)?;
    reports.extend(more);
    Ok(Orders {
        disk_sync_us,
        submit_to_socket_us: Submit { os, batch, each },
        report_to_consumer_us: quantiles(reports),
    })
}

/// What the disk of the ledger takes by itself.
fn disk_sync() -> Result<Quantiles, String> {
    let folder = Folder::make()?;
    let failed = |error: std::io::Error| format!("syncing a file: {error}");
    let mut file = std::fs::File::create(folder.path().join("sync")).map_err(failed)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let begun = Instant::now();
        file.write_all(&[7; 4_096]).map_err(failed)?;
        file.sync_data().map_err(failed)?;
        times.push(begun.elapsed());
    }
    Ok(quantiles(times))
}

/// Runs a gateway that trades with that durability: the ways out, and the ways of all reports back.
fn orders(durability: Durability) -> Result<(Quantiles, Vec<Duration>), String> {
    let (folder, arrivals) = (Folder::make()?, Arrivals::default());
    let options =
        Options { venues: vec![VENUE.to_owned()], symbols: 1, rate: 200, ..Options::default() };
    let parts = stage::cast(&options, SystemClock::start().now())?;
    let part = parts.first().ok_or("nothing is simulated")?;
    let far = Stamping { inner: Box::new(part.simulator.clone()), arrivals: arrivals.clone() };
    let (stop_server, address) = serve(far)?;
    let (send, taken) = sync_channel(1);
    let stop = Stop::default();
    let seen = Seen { stop: stop.clone(), send };
    let trading = ConsumerOptions { trading: true, ..ConsumerOptions::of(Maker::wants(&[VENUE])) };
    let ran = Gateway::builder(config(part, address, &folder, durability))
        .stop_with(stop)
        .stop_after(PATIENCE)
        .consumer_with("bench", trading, move || Trader::new(seen.clone()))
        .run();
    drop(stop_server);
    ran.map_err(|error| error.to_string())?;
    let Taken { submits, reports } =
        taken.try_recv().map_err(|_| "not all orders came back in time".to_owned())?;
    let arrivals = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
    if arrivals.len() != submits.len() {
        return Err(format!("{} orders arrived of {}", arrivals.len(), submits.len()));
    }
    let ways = submits.iter().zip(arrivals.iter()).map(|(from, to)| to.duration_since(*from));
    Ok((quantiles(ways.collect()), reports))
}

fn config(part: &stage::Part, at: SocketAddr, folder: &Folder, durability: Durability) -> Config {
    let orders = folder.orders();
    let provider = Provider {
        name: part.venue.to_owned(),
        venue: part.venue.to_owned(),
        instruments: part.instruments.clone(),
        kinds: vec![Kind::Quote],
        redundancy: 1,
        settings: venues::Settings {
            ws_url: Some(format!("ws://{at}")),
            rest_url: Some(format!("http://{at}")),
            ..venues::Settings::default()
        },
        account: Some(folder.account()),
    };
    Config {
        providers: vec![provider],
        merges: Vec::new(),
        network: Network::default(),
        dispatch: Dispatch::default(),
        log: Log::default(),
        table: Table::default(),
        control: engine::ControlSettings::default(),
        dead_letters: DeadLetters::default(),
        consumers: Vec::new(),
        orders: OrdersConfig { ledger: LedgerConfig { durability, ..orders.ledger }, ..orders },
    }
}

/// Serves the far end on a thread of its own until what is given back is dropped.
fn serve(far: Stamping) -> Result<(tokio::sync::oneshot::Sender<()>, SocketAddr), String> {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (send, address) = sync_channel(1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("the venue's runtime: {error}"))?;
    let thread = std::thread::Builder::new().name("venue".to_owned()).spawn(move || {
        runtime.block_on(async move {
            let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let started = server::start(listen, Box::new(far), ServerOptions::default()).await;
            let told = started.as_ref().map(server::ServerHandle::addr);
            // Nobody to hear it means that nobody measures any more.
            let _ = send.send(told.map_err(ToString::to_string));
            let _ = stopped.await;
            if let Ok(server) = started {
                server.stop().await;
            }
        });
    });
    thread.map_err(|error| format!("a thread for the venue: {error}"))?;
    let address = address.recv().map_err(|_| "the venue did not start".to_owned())??;
    Ok((stop, address))
}

/// When the bytes of each order arrived.
type Arrivals = Arc<Mutex<Vec<Instant>>>;

/// A far end that notes when orders arrive.
struct Stamping {
    inner: Box<dyn Machine>,
    arrivals: Arrivals,
}

/// What a message begins with that places an order.
const PLACES: &[u8] = b"\"op\":\"order\"";

impl Machine for Stamping {
    fn connect(
        &mut self,
        now: Nanos,
        client: ClientId,
        target: &str,
        out: &mut Vec<Output>,
    ) -> Result<(), Reply> {
        self.inner.connect(now, client, target, out)
    }

    fn message(&mut self, now: Nanos, client: ClientId, message: &[u8], out: &mut Vec<Output>) {
        if message.windows(PLACES.len()).any(|window| window == PLACES) {
            self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
        }
        self.inner.message(now, client, message, out);
    }

    fn control(
        &mut self,
        now: Nanos,
        client: ClientId,
        control: &ControlFrame,
        out: &mut Vec<Output>,
    ) {
        self.inner.control(now, client, control, out);
    }

    fn disconnected(&mut self, now: Nanos, client: ClientId, out: &mut Vec<Output>) {
        self.inner.disconnected(now, client, out);
    }

    fn request(&mut self, now: Nanos, id: RequestId, request: &Request, out: &mut Vec<Output>) {
        self.inner.request(now, id, request, out);
    }

    fn answered(&mut self, now: Nanos, id: RequestId, written: bool, out: &mut Vec<Output>) {
        self.inner.answered(now, id, written, out);
    }

    fn tick(&mut self, now: Nanos, out: &mut Vec<Output>) {
        self.inner.tick(now, out);
    }

    fn deadline(&self) -> Option<Nanos> {
        self.inner.deadline()
    }
}

/// What a trader has measured.
#[derive(Debug, Default)]
struct Taken {
    submits: Vec<Instant>,
    reports: Vec<Duration>,
}

/// Where it goes when all orders are back.
#[derive(Clone)]
struct Seen {
    stop: Stop,
    send: SyncSender<Taken>,
}

/// Submits one order after the other.
struct Trader {
    seen: Seen,
    taken: Taken,
    under_way: bool,
}

impl Trader {
    fn new(seen: Seen) -> Self {
        Self { seen, taken: Taken::default(), under_way: false }
    }

    fn submit(&mut self, event: &Event, quote: &Quote, ctx: &mut Context<'_>) {
        let rested = self.taken.submits.last().is_none_or(|last| last.elapsed() > PAUSE);
        if self.under_way || !rested || self.taken.submits.len() == ORDERS {
            return;
        }
        let (provider, instrument) = (event.header.stream.provider, event.header.stream.instrument);
        let facts = ctx.catalog.facts(provider, instrument);
        let Some((tick, lot)) = facts.and_then(|facts| Some((facts.tick?, facts.lot?))) else {
            return;
        };
        // Far below the market: for at once or never, so never.
        let price = (quote.bid.price / Decimal::TWO / tick).floor() * tick;
        let id = format!("b-{}", self.taken.submits.len());
        let quantity = lot * Decimal::ONE_THOUSAND;
        let order = OrderSpec::limit(&id, provider, instrument, Side::Buy, quantity, price)
            .for_time(TimeInForce::Ioc);
        let now = Instant::now();
        if ctx.submit(&order).is_ok() {
            self.taken.submits.push(now);
            self.under_way = true;
        }
    }
}

impl Consumer for Trader {
    fn on_event(&mut self, event: Event, ctx: &mut Context<'_>) {
        match &event.body {
            Body::Quote(quote) => self.submit(&event, quote, ctx),
            Body::Exec(report) => {
                self.taken.reports.push(ctx.now.since(report.ts_recv));
                if report.state.is_terminal() {
                    self.under_way = false;
                    if self.taken.submits.len() == ORDERS {
                        // Nobody to hear it means that nobody measures any more.
                        let _ = self.seen.send.try_send(std::mem::take(&mut self.taken));
                        self.seen.stop.stop();
                    }
                }
            }
            // Denied, as before the account was reconciled: not measured, and tried again.
            Body::Reply(_) => {
                self.under_way = false;
                self.taken.submits.pop();
            }
            _ => {}
        }
    }
}

fn quantiles(mut times: Vec<Duration>) -> Quantiles {
    times.sort_unstable();
    let at = |share: usize| {
        let place = (times.len() * share / 100).min(times.len().saturating_sub(1));
        times.get(place).map_or(0.0, |time| tenth(time.as_nanos() as f64 / 1_000.0))
    };
    Quantiles { p50: at(50), p99: at(99) }
}
