//! `meltica demo`, `meltica soak` and `meltica sweep`: the whole system against simulated venues.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use sim::faults::{Faults, PRESETS};

use super::{Failure, Outcome, finish, print_json};
use crate::config::{self, Log};
use crate::demo::report::Report;
use crate::demo::{self, Options, Sample, Shown, stage};
use crate::{soak, sweep};

/// A check did not hold.
const BROKEN: u8 = 3;

/// The whole system on this machine with nothing to set up.
///
/// Simulated venues on loopback sockets that speak the venues' real protocols, the gateway connected
/// to them as it would be to the real ones, and some consumers, of which one trades. At the end the
/// market stands still, every book is compared with its venue's own, and every report of an order with
/// what the venues did.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  meltica demo
  meltica demo --for 60s --json
  meltica demo --faults flaky --rate 5000 --symbols 20
  meltica demo --venues binance,binance-usdm --seed 7")]
pub(super) struct DemoArguments {
    /// Stop after so long: 10s, 5m, 24h; without it on Ctrl-C
    #[arg(long = "for", value_name = "DURATION", value_parser = config::duration::parse)]
    duration: Option<Duration>,
    #[command(flatten)]
    stage: Stage,
    /// Consumers beside the table
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    consumers: u16,
    /// Where all chance begins
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Print one JSON object at the end
    #[arg(long)]
    json: bool,
}

/// The demo under load and faults for as long as you like, watched for anything that grows.
///
/// Every minute faults stop, the market stands still, and every book is compared with its venue's
/// own; memory, descriptors and pools are sampled. At the end a line is fitted through memory.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  meltica soak --for 24h
  meltica soak --for 20m --rate 5000 --symbols 50 --faults flaky --json")]
pub(super) struct SoakArguments {
    /// For how long: 20m, 24h
    #[arg(long = "for", value_name = "DURATION", value_parser = config::duration::parse)]
    duration: Duration,
    #[command(flatten)]
    stage: Stage,
    /// Where all chance begins
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Print one JSON object at the end
    #[arg(long)]
    json: bool,
}

/// Gateway and simulators in virtual time, seed after seed, thousands of times faster than real.
///
/// A seed that fails prints the one command that reproduces it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  meltica sweep --seeds 500 --seconds 5 --faults flaky
  meltica sweep --seeds 1 --from 17 --faults flaky")]
pub(super) struct SweepArguments {
    /// How many seeds
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    seeds: u64,
    /// Simulated seconds of each
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    seconds: u32,
    /// The first seed
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    from: u64,
    #[command(flatten)]
    stage: Stage,
    /// Print one JSON object at the end
    #[arg(long)]
    json: bool,
}

/// What stands on the stage.
#[derive(Debug, Args)]
struct Stage {
    /// Which venues, separated by commas: binance, binance-usdm, binance-coinm, coinbase, kraken, okx
    #[arg(long, value_delimiter = ',', value_name = "VENUE", default_value = "binance,okx,kraken")]
    venues: Vec<String>,
    /// Instruments of each venue
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=150))]
    symbols: u16,
    /// Messages a second, over all venues
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: u32,
    /// What goes wrong: a preset (none, flaky, throttled, orders, chaos), or a TOML file that names faults
    #[arg(long, value_name = "PRESET|FILE", default_value = "none")]
    faults: String,
}

#[derive(Serialize)]
struct SoakReport<'a> {
    #[serde(flatten)]
    report: &'a Report,
    samples: &'a [Sample],
}

#[derive(Serialize)]
struct SweepReport {
    seeds: u64,
    failed: Vec<u64>,
    simulated_s: u64,
    elapsed_s: f64,
    /// Merged windows that were held against a replay.
    windows_replayed: u64,
}

impl Stage {
    fn options(&self, seed: u64) -> Result<Options, Failure> {
        let options = Options {
            venues: self.venues.clone(),
            symbols: self.symbols.into(),
            rate: self.rate,
            faults: faults(&self.faults)?,
            seed,
            ..Options::default()
        };
        stage::check(&options).map_err(Failure::usage)?;
        Ok(options)
    }
}

/// A preset, or what a file says.
fn faults(named: &str) -> Result<Faults, Failure> {
    if let Some(preset) = Faults::preset(named) {
        return Ok(preset);
    }
    let wrong = |error: &dyn std::fmt::Display| {
        let known = PRESETS.join(", ");
        Failure::usage(format!(
            "--faults {named}: {error}; expected one of {known}, or a TOML file"
        ))
    };
    let text = std::fs::read_to_string(Path::new(named)).map_err(|error| wrong(&error))?;
    toml::from_str(&text).map_err(|error| wrong(&error.message()))
}

pub(super) fn demo(arguments: &DemoArguments) -> Outcome {
    let table = !arguments.json && io::stdout().is_terminal();
    init_log(table)?;
    let options = Options {
        duration: arguments.duration,
        consumers: arguments.consumers.into(),
        table,
        ..arguments.stage.options(arguments.seed)?
    };
    let shown = demo::run(&options).map_err(Failure::failed)?;
    if arguments.json {
        print_json(&shown.report)?;
        return Ok(verdict(&shown));
    }
    finish(write!(io::stdout(), "{}", shown.report))?;
    Ok(verdict(&shown))
}

pub(super) fn soak(arguments: &SoakArguments) -> Outcome {
    init_log(false)?;
    let options =
        Options { duration: Some(arguments.duration), ..arguments.stage.options(arguments.seed)? };
    let shown = soak::run(&options, soak::Watch::default()).map_err(Failure::failed)?;
    if arguments.json {
        print_json(&SoakReport { report: &shown.report, samples: &shown.samples })?;
        return Ok(verdict(&shown));
    }
    finish(write!(io::stdout(), "{}", shown.report))?;
    Ok(verdict(&shown))
}

/// The table and log lines would write over each other: with a table only what is wrong is logged.
fn init_log(table: bool) -> Result<(), Failure> {
    let filter = if table { "error" } else { "warn" };
    let log = Log { filter: filter.to_owned(), ..Log::default() };
    crate::logging::init(&log).map_err(|fault| Failure::failed(fault.to_string()))
}

fn verdict(shown: &Shown) -> ExitCode {
    let mut err = io::stderr().lock();
    for broken in &shown.broken {
        let _ = writeln!(err, "meltica: {broken}");
    }
    if shown.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(BROKEN) }
}

pub(super) fn sweep(arguments: &SweepArguments) -> Outcome {
    let log = Log { filter: "off".to_owned(), ..Log::default() };
    crate::logging::init(&log).map_err(|fault| Failure::failed(fault.to_string()))?;
    let options = arguments.stage.options(arguments.from)?;
    let simulated = Duration::from_secs(arguments.seconds.into());
    let (started, mut failed, mut windows) = (Instant::now(), Vec::new(), 0);
    for nth in 0..arguments.seeds {
        let seed = arguments.from.saturating_add(nth);
        let options = Options { seed, ..options.clone() };
        let verdict = sweep::run(&options, simulated).map_err(Failure::failed)?;
        windows += verdict.windows;
        if !verdict.broken.is_empty() {
            failed.push(seed);
            tell(arguments, seed, &verdict.broken);
        }
        progress(nth + 1, arguments.seeds, failed.len());
    }
    let report = SweepReport {
        seeds: arguments.seeds,
        simulated_s: arguments.seeds * u64::from(arguments.seconds),
        elapsed_s: started.elapsed().as_secs_f64(),
        windows_replayed: windows,
        failed,
    };
    let code = if report.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(BROKEN) };
    if arguments.json {
        print_json(&report)?;
        return Ok(code);
    }
    let SweepReport { seeds, failed, simulated_s, elapsed_s, windows_replayed } = &report;
    let failures = failed.len();
    finish(writeln!(
        io::stdout(),
        "{seeds} seeds, {failures} failed; {simulated_s} s simulated in {elapsed_s:.1} s, \
         {windows_replayed} merged windows replayed"
    ))?;
    Ok(code)
}

/// What broke, and the one line that does it again.
fn tell(arguments: &SweepArguments, seed: u64, broken: &[String]) {
    let line = arguments.reproduce(seed);
    let mut err = io::stderr().lock();
    let _ = writeln!(err, "seed {seed}: {}\n  {line}", broken.join("; "));
}

impl SweepArguments {
    /// The command line that plays that seed alone.
    fn reproduce(&self, seed: u64) -> String {
        let Stage { venues, symbols, rate, faults } = &self.stage;
        format!(
            "meltica sweep --seeds 1 --from {seed} --seconds {} --symbols {symbols} --rate {rate} \
             --faults {faults} --venues {}",
            self.seconds,
            venues.join(",")
        )
    }
}

/// One line on a terminal, written over itself.
fn progress(done: u64, all: u64, failed: usize) {
    let mut err = io::stderr().lock();
    if err.is_terminal() {
        let end = if done == all { "\n" } else { "" };
        let _ = write!(err, "\r{done} of {all} seeds, {failed} failed{end}");
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        sweep: SweepArguments,
    }

    #[test]
    fn the_line_that_is_told_plays_the_same_world() {
        let given = "sweep --seeds 9 --from 3 --seconds 7 --symbols 2 --rate 333 --faults chaos \
                     --venues okx,coinbase";
        let given = Line::parse_from(given.split_whitespace()).sweep;
        let line = given.reproduce(5);
        let again = line.strip_prefix("meltica ").unwrap();
        let again = Line::parse_from(again.split_whitespace()).sweep;
        assert_eq!((again.seeds, again.from, again.seconds), (1, 5, 7));
        assert_eq!(format!("{:?}", again.stage), format!("{:?}", given.stage));
    }
}
