//! `meltica run`, `meltica record` and `meltica check`: the gateway on configured venues.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::{Failure, Outcome, check, finish, print_json};
use crate::config::{self, Config, Fault};
use crate::gateway::{Builder, Gateway};
use crate::outcome::Summary;
use crate::report::{
    self, ConsumerReport, LetterReport, MergeReport, QueueReport, StreamReport, VenueReport,
};
use crate::table::Table;

/// Runs the gateway on the venues of a configuration.
///
/// Shows a table where standard output is a terminal. Ctrl-C closes the connections properly and
/// prints what the run came to.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  meltica run --config config/meltica.toml
  meltica run --config config/meltica.toml --for 5m --json
  MELTICA_LOG_FILTER=debug meltica run --config config/meltica.toml")]
pub(super) struct RunArguments {
    #[command(flatten)]
    how: How,
}

/// Records what the providers of a configuration receive and send.
///
/// One set of files a provider, compressed, a new one every hour or 256 MiB; `meltica replay`
/// reads them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  meltica record --config config/meltica.toml --out captures
  meltica record --config config/meltica.toml --out captures --for 10m --json")]
pub(super) struct RecordArguments {
    #[command(flatten)]
    how: How,
    /// Where the captures go; made where it is missing
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

/// What every run of the gateway is told.
#[derive(Debug, Args)]
struct How {
    /// The configuration; config/meltica.toml explains every key
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Stop after so long: 10s, 5m, 24h
    #[arg(long = "for", value_name = "DURATION", value_parser = config::duration::parse)]
    duration: Option<Duration>,
    /// Print one JSON object at the end
    #[arg(long)]
    json: bool,
}

/// Says everything that is wrong with a configuration, and starts nothing.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  meltica check --config config/meltica.toml
  meltica check --config config/meltica.toml --json")]
pub(super) struct CheckArguments {
    /// The configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct RunReport {
    providers: Vec<ProviderReport>,
    streams: Vec<StreamReport>,
    merges: Vec<MergeReport>,
    dead_letters: Vec<LetterReport>,
    consumers: Vec<RunConsumer>,
    elapsed_s: f64,
    frames_per_s: f64,
    lines_lost: u64,
}

#[derive(Serialize)]
struct RunConsumer {
    id: String,
    delivered: u64,
    conflated: u64,
    dropped: u64,
    critical_delivered: u64,
    #[serde(flatten)]
    queue: QueueReport,
}

#[derive(Serialize)]
struct ProviderReport {
    provider: String,
    #[serde(flatten)]
    report: VenueReport,
}

pub(super) fn run(arguments: &RunArguments) -> Outcome {
    let config = load(&arguments.how.config)?;
    go(Gateway::builder(config.clone()), &config, &arguments.how)
}

pub(super) fn record(arguments: &RecordArguments) -> Outcome {
    let config = load(&arguments.how.config)?;
    let builder = Gateway::builder(config.clone()).record(&arguments.out);
    go(builder, &config, &arguments.how)
}

pub(super) fn check(arguments: &CheckArguments) -> ExitCode {
    let (mut out, mut err) = (io::stdout(), io::stderr());
    ExitCode::from(check::run(&arguments.config, arguments.json, &mut out, &mut err))
}

fn go(mut builder: Builder, config: &Config, how: &How) -> Outcome {
    crate::logging::init(&config.log).map_err(|fault| Failure::usage(told(&[fault])))?;
    builder = builder.stop_on_signals();
    if let Some(duration) = how.duration {
        builder = builder.stop_after(duration);
    }
    if !how.json && config.table.enabled && io::stdout().is_terminal() {
        let table = Table::on_terminal(config.table.every, builder.stop_handle());
        builder = builder.consumer("table", table);
    }
    let summary = builder.run().map_err(Failure::failed)?;
    if how.json { print_json(&RunReport::new(summary)) } else { print_text(&summary) }
}

fn print_text(summary: &Summary) -> Outcome {
    let mut out = io::stdout().lock();
    let text = report::text(&summary.providers);
    let written = writeln!(out, "{text}\nran for {:.1} s", summary.elapsed.as_secs_f64());
    let written = written.and_then(|()| match summary.lines_lost {
        0 => Ok(()),
        lost => writeln!(out, "{lost} lines were not recorded: the disk was too slow or failed"),
    });
    let written = summary.unreturned.iter().fold(written, |written, pool| {
        written.and_then(|()| {
            writeln!(out, "{} of the pool {} were not returned", pool.out, pool.pool)
        })
    });
    finish(written)
}

impl RunReport {
    fn new(summary: Summary) -> Self {
        let frames: u64 = summary.providers.iter().map(|report| report.ws_frames).sum();
        let elapsed_s = summary.elapsed.as_secs_f64();
        let consumers = summary.consumers.iter().map(|of| RunConsumer::new(of, &summary));
        let consumers = consumers.collect();
        let named = |report: VenueReport| ProviderReport { provider: report.file.clone(), report };
        Self {
            providers: summary.providers.into_iter().map(named).collect(),
            streams: summary.streams,
            merges: summary.merges,
            dead_letters: summary.dead_letters,
            consumers,
            elapsed_s,
            frames_per_s: frames as f64 / elapsed_s.max(1e-9),
            lines_lost: summary.lines_lost,
        }
    }
}

impl RunConsumer {
    fn new(of: &ConsumerReport, summary: &Summary) -> Self {
        let counts = of.counts;
        Self {
            id: of.id.clone(),
            delivered: counts.delivered,
            conflated: counts.conflated,
            dropped: counts.dropped,
            critical_delivered: counts.critical_delivered,
            queue: QueueReport::of(of, &summary.metrics),
        }
    }
}

fn load(path: &Path) -> Result<Config, Failure> {
    config::load(path).map_err(|faults| Failure::usage(told(&faults)))
}

/// One line a fault.
fn told(faults: &[Fault]) -> String {
    let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
    format!("the configuration has {} fault(s):\n{}", faults.len(), lines.join("\n"))
}
