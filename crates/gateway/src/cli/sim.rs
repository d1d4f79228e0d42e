//! `meltica sim`: far ends for other people's software.

use std::future::poll_fn;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::task::Poll;

use clap::Args;
use serde::Serialize;
use sim::play::{self, PlayOptions, Speed};
use sim::server::ServerHandle;
use store::capture::Reader;
use tokio::signal::unix::{SignalKind, signal};

use super::{Failure, Outcome, finish};

/// Plays a raw capture as if it were its venue, over WebSocket and REST.
///
/// Frames go by stream name to whoever subscribed. The clock starts when every recorded stream is
/// subscribed; a recorded REST answer is served when it is asked for, and the frames recorded
/// after it wait for that. A capture of several venues is played at one address each, the ports
/// counting up.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  meltica sim --play binance.jsonl --listen 127.0.0.1:9443
  meltica sim --play binance.jsonl --listen 127.0.0.1:0 --json
  meltica sim --play binance.jsonl --speed max")]
pub(super) struct SimArguments {
    /// The capture, `.jsonl` or `.jsonl.zst`
    #[arg(long, required = true, value_name = "FILE")]
    play: PathBuf,
    /// Where to listen; port 0 takes any that is free
    #[arg(long, default_value = "127.0.0.1:9443", value_name = "ADDR")]
    listen: SocketAddr,
    /// How fast: 1x as recorded, 10x, or max
    #[arg(long, default_value = "1x", value_name = "FACTOR", value_parser = speed)]
    speed: Speed,
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
}

fn speed(text: &str) -> Result<Speed, String> {
    text.parse().map_err(|error: model::Error| error.message.into_owned())
}

pub(super) fn run(arguments: &SimArguments) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::failed)?;
    runtime.block_on(serve(arguments))
}

async fn serve(arguments: &SimArguments) -> Outcome {
    let reader = Reader::open(&arguments.play).map_err(Failure::failed)?;
    let lines = reader.collect::<Result<Vec<_>, _>>().map_err(Failure::failed)?;
    let mut servers: Vec<(String, ServerHandle)> = Vec::new();
    for (index, venue) in play::venues(&lines).into_iter().enumerate() {
        let mut listen = arguments.listen;
        if listen.port() != 0 {
            listen.set_port(listen.port() + u16::try_from(index).unwrap_or(0));
        }
        let options = PlayOptions {
            speed: arguments.speed,
            venue: Some(venue.clone()),
            ..PlayOptions::default()
        };
        let server = play::serve(listen, lines.clone(), &options).await.map_err(Failure::failed)?;
        servers.push((venue, server));
    }
    if servers.is_empty() {
        let path = arguments.play.display();
        return Err(Failure::failed(format!("{path} holds no line to play")));
    }
    // Before anybody is told that it is ready: whoever is may end it at once.
    let interrupted = interrupted()?;
    announce(&servers, arguments.json)?;
    interrupted.await;
    for (_, server) in servers {
        server.stop().await;
    }
    finish(Ok(()))
}

fn announce(servers: &[(String, ServerHandle)], json: bool) -> Result<(), Failure> {
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
        });
        serde_json::to_writer(&mut out, &Ready { venues: venues.collect() })
            .map_err(io::Error::from)
            .and_then(|()| writeln!(out))
    } else {
        all.iter().try_for_each(|(venue, ws_url, rest_url)| {
            writeln!(out, "{venue} is played at {ws_url} and {rest_url}; Ctrl-C ends it")
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
