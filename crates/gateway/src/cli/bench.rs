//! `meltica bench`: measures this machine.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use super::{Failure, Outcome, finish, print_json};
use crate::bench::{self, Options, Section};

/// Measures this machine, side by side with the ordinary libraries in the same run.
///
/// The ordinary libraries are compiled in with the cargo feature `yardsticks`; without it their
/// fields are null.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo run --release --features yardsticks -- bench
  meltica bench --only decode,websocket --json
  meltica bench --only decode --captures captures")]
pub(super) struct BenchArguments {
    /// Only these sections, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "SECTION")]
    only: Vec<Section>,
    /// Measure on the captures in that folder instead of on the built-in frames
    #[arg(long, value_name = "DIR")]
    captures: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &BenchArguments) -> Outcome {
    let options = Options { only: arguments.only.clone(), captures: arguments.captures.clone() };
    let report = bench::run(&options).map_err(Failure::failed)?;
    if arguments.json {
        return print_json(&report);
    }
    finish(write!(io::stdout(), "{report}"))
}
