//! `meltica sim`: far ends for other people's software.

use std::future::poll_fn;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::task::Poll;

use clap::{ArgGroup, Args};
use serde::Serialize;
use sim::accounts::Account;
use sim::faults::{Faults, PRESETS};
use sim::play::{self, PlayOptions, Speed};
use sim::server::{self, ServerHandle, ServerOptions};
use sim::venue::SimOptions;
use store::capture::Reader;
use tokio::signal::unix::{SignalKind, signal};

use super::{Failure, Outcome, finish};
use crate::clock::SystemClock;
use crate::demo::stage;

mod accounts;

/// Stands in for venues, over WebSocket and REST: simulated ones with a market of their own, or a
/// raw capture that is played.
///
/// A simulated venue speaks the protocol of the real one; all of its chance comes from the seed.
/// Of a capture, frames go by stream name to whoever subscribed. The clock starts when every
/// recorded stream is subscribed; a recorded REST answer is served when it is asked for, and the
/// frames recorded after it wait for that. Several venues have one address each, the ports counting
/// up.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("what").required(true).args(["play", "venue"]),
    after_help = "Examples:
  meltica sim --venue binance --symbols BTC-USDT,ETH-USDT --seed 7 --rate 1000
  meltica sim --venue binance,binance-usdm --faults flaky --json
  meltica sim --venue binance --accounts accounts.toml
  meltica sim --play binance.jsonl --listen 127.0.0.1:9443
  meltica sim --play binance.jsonl --listen 127.0.0.1:0 --json
  meltica sim --play binance.jsonl --speed max"
)]
pub(super) struct SimArguments {
    /// The capture, `.jsonl` or `.jsonl.zst`
    #[arg(long, value_name = "FILE")]
    play: Option<PathBuf>,
    /// The venues to simulate, separated by commas: binance, binance-usdm, binance-coinm, coinbase, kraken, okx
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = venue)]
    venue: Vec<String>,
    /// Where to listen; port 0 takes any that is free
    #[arg(long, default_value = "127.0.0.1:9443", value_name = "ADDR", value_parser = listen)]
    listen: SocketAddr,
    /// How fast a capture is played: 1x as recorded, 10x, or max
    #[arg(long, default_value = "1x", value_name = "FACTOR", value_parser = speed)]
    speed: Speed,
    /// What is traded, by canonical names; else five instruments that the venue would list
    #[arg(long, value_name = "NAMES", value_delimiter = ',', conflicts_with = "play")]
    symbols: Vec<String>,
    /// All chance of a simulated venue comes from it
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Trades and changes of best levels a second, over all instruments of a venue
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    rate: u32,
    /// What goes wrong: none, flaky, throttled, orders, chaos, or a TOML file of faults
    #[arg(long, default_value = "none", value_name = "PRESET|FILE", value_parser = faults)]
    faults: Faults,
    /// Who may trade at the simulated venues: a TOML file with an [[account]] each; else one that
    /// everybody knows
    #[arg(long, value_name = "FILE", value_parser = traders, conflicts_with = "play")]
    accounts: Option<Traders>,
    /// Print one line of JSON with the addresses when ready
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Ready<'a> {
    venues: Vec<Address<'a>>,
}

#[derive(Serialize)]
struct Address<'a> {
    venue: &'a str,
    ws_url: String,
    rest_url: String,
    /// Who may trade there; not told of those of a file, and nobody where a capture is played.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<Keys<'a>>,
}

#[derive(Clone, Copy, Serialize)]
struct Keys<'a> {
    api_key: &'a str,
    secret: &'a str,
    passphrase: &'a str,
}

fn speed(text: &str) -> Result<Speed, String> {
    text.parse().map_err(|error: model::Error| error.message.into_owned())
}

fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected an IP address and a port, such as 127.0.0.1:9443".to_owned())
}

fn venue(name: &str) -> Result<String, String> {
    let known = sim::venue::venues();
    if known.contains(&name) {
        return Ok(name.to_owned());
    }
    Err(format!("expected one of {}", known.join(", ")))
}

/// A preset by its name, else what a file says.
fn faults(text: &str) -> Result<Faults, String> {
    if let Some(preset) = Faults::preset(text) {
        return Ok(preset);
    }
    let known = PRESETS.join(", ");
    let file = std::fs::read_to_string(text)
        .map_err(|error| format!("expected {known} or a file of faults; {error}"))?;
    toml::from_str(&file).map_err(|error| error.to_string())
}

/// Who may trade, from a file.
#[derive(Clone, Debug)]
struct Traders(Vec<Account>);

fn traders(path: &str) -> Result<Traders, String> {
    accounts::read(path).map(Traders)
}

impl SimArguments {
    fn traders(&self) -> Vec<Account> {
        self.accounts.as_ref().map_or_else(|| vec![Account::demo()], |of| of.0.clone())
    }
}

pub(super) fn run(arguments: &SimArguments) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::failed)?;
    runtime.block_on(serve(arguments))
}

async fn serve(arguments: &SimArguments) -> Outcome {
    let servers = match &arguments.play {
        Some(file) => play_file(arguments, file).await?,
        None => simulate(arguments).await?,
    };
    // Before anybody is told that it is ready: whoever is may end it at once.
    let interrupted = interrupted()?;
    // What is in a file its owner knows: no secret of it is told.
    let account = (arguments.play.is_none() && arguments.accounts.is_none()).then(Account::demo);
    announce(&servers, arguments.json, account.as_ref())?;
    interrupted.await;
    for (_, server) in servers {
        server.stop().await;
    }
    finish(Ok(()))
}

/// One server a venue, each with the venue's name.
type Servers = Vec<(String, ServerHandle)>;

async fn play_file(arguments: &SimArguments, file: &Path) -> Result<Servers, Failure> {
    let reader = Reader::open(file).map_err(Failure::failed)?;
    let lines = reader.collect::<Result<Vec<_>, _>>().map_err(Failure::failed)?;
    let mut servers = Servers::new();
    for (index, venue) in play::venues(&lines).into_iter().enumerate() {
        let listen = address(arguments.listen, index);
        let options = PlayOptions {
            speed: arguments.speed,
            venue: Some(venue.clone()),
            ..PlayOptions::default()
        };
        let server = play::serve(listen, lines.clone(), &options).await;
        servers.push((venue, server.map_err(|error| Failure::failed(error.message))?));
    }
    if servers.is_empty() {
        let path = file.display();
        return Err(Failure::failed(format!("{path} holds no line to play")));
    }
    Ok(servers)
}

/// Instruments of a venue where none are named.
const SYMBOLS: usize = 5;

async fn simulate(arguments: &SimArguments) -> Result<Servers, Failure> {
    stage::once(&arguments.venue).map_err(|what| Failure::usage(format!("--venue: {what}")))?;
    let mut servers = Servers::new();
    for (index, name) in arguments.venue.iter().enumerate() {
        let mut symbols = arguments.symbols.clone();
        if symbols.is_empty() {
            symbols = sim::venue::default_symbols(name, SYMBOLS);
        }
        let options = SimOptions {
            seed: arguments.seed,
            symbols,
            rate: arguments.rate,
            faults: arguments.faults.clone(),
            start: SystemClock::start().now(),
            accounts: arguments.traders(),
        };
        let simulator = sim::venue(name, &options);
        let simulator = simulator.map_err(|error| Failure::usage(error.message))?;
        let simulator = simulator.ok_or_else(|| Failure::usage(format!("no venue '{name}'")))?;
        let listen = address(arguments.listen, index);
        let server = server::start(listen, Box::new(simulator), ServerOptions::default()).await;
        let server = server.map_err(|error| Failure::failed(error.message))?;
        servers.push((name.clone(), server));
    }
    Ok(servers)
}

/// The address of the venue with that place: ports count up, unless any will do.
fn address(mut listen: SocketAddr, index: usize) -> SocketAddr {
    if listen.port() != 0 {
        listen.set_port(listen.port().saturating_add(u16::try_from(index).unwrap_or(u16::MAX)));
    }
    listen
}

fn announce(
    servers: &[(String, ServerHandle)],
    json: bool,
    account: Option<&Account>,
) -> Result<(), Failure> {
    let keys = account.map(|Account { api_key, secret, passphrase, .. }| Keys {
        api_key,
        secret,
        passphrase,
    });
    let address = |(venue, server): &'_ (String, ServerHandle)| {
        (venue.clone(), server.ws_url(), server.http_url())
    };
    let all: Vec<_> = servers.iter().map(address).collect();
    let mut out = io::stdout().lock();
    let written = if json {
        let venues = all.iter().map(|(venue, ws_url, rest_url)| Address {
            venue,
            ws_url: ws_url.clone(),
            rest_url: rest_url.clone(),
            account: keys,
        });
        serde_json::to_writer(&mut out, &Ready { venues: venues.collect() })
            .map_err(io::Error::from)
            .and_then(|()| writeln!(out))
    } else {
        all.iter().try_for_each(|(venue, ws_url, rest_url)| {
            writeln!(out, "{venue} is at {ws_url} and {rest_url}; Ctrl-C ends it")?;
            account.map_or(Ok(()), |Account { api_key, secret, passphrase, .. }| {
                writeln!(out, "  key {api_key}, secret {secret}, passphrase {passphrase}")
            })
        })
    };
    written.and_then(|()| out.flush()).map_err(Failure::failed)
}

/// Ready when the process is asked to end; listens from now on.
fn interrupted() -> Result<impl Future<Output = ()>, Failure> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::failed)?;
    Ok(poll_fn(move |cx| {
        let asked = interrupt.poll_recv(cx).is_ready() || terminate.poll_recv(cx).is_ready();
        if asked { Poll::Ready(()) } else { Poll::Pending }
    }))
}
