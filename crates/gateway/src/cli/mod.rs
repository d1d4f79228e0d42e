//! The commands, and what they print.
//!
//! Standard output is for results: tables and lines for people, exactly one JSON object with
//! `--json`. Logs and errors go to standard error. Exit codes: 0 done, 1 failed, 2 wrong usage or
//! configuration, 3 a check did not hold.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
pub mod check;
mod dead_letters;
mod demo;
mod replay;
mod run;
mod sim;

/// A gateway between crypto exchanges and the programs that trade on them.
#[derive(Debug, Parser)]
#[command(name = "meltica", version, about, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::DemoArguments),
    Run(run::RunArguments),
    Check(run::CheckArguments),
    Replay(replay::ReplayArguments),
    Record(run::RecordArguments),
    DeadLetters(dead_letters::DeadLettersArguments),
    Sim(sim::SimArguments),
    Sweep(demo::SweepArguments),
    Soak(demo::SoakArguments),
    Bench(bench::BenchArguments),
}

/// Why a command ended without a result.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// It was tried and did not work: exit code 1.
    pub(crate) fn failed(message: impl fmt::Display) -> Self {
        Self { code: 1, message: message.to_string() }
    }

    /// It was asked for wrongly: exit code 2.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self { code: 2, message: message.to_string() }
    }
}

type Outcome = Result<ExitCode, Failure>;

/// Runs the command of the process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    // Prints help and usage errors itself, the latter with exit code 2.
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Command::Demo(arguments) => demo::demo(&arguments),
        Command::Sweep(arguments) => demo::sweep(&arguments),
        Command::Soak(arguments) => demo::soak(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Check(arguments) => Ok(run::check(&arguments)),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Record(arguments) => run::record(&arguments),
        Command::DeadLetters(arguments) => dead_letters::run(&arguments),
        Command::Sim(arguments) => sim::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
    };
    outcome.unwrap_or_else(|failure| {
        let _ = writeln!(io::stderr(), "meltica: {}", failure.message);
        ExitCode::from(failure.code)
    })
}

/// Prints a result as one JSON object.
fn print_json(value: &impl serde::Serialize) -> Outcome {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, value).map_err(Failure::failed)?;
    finish(out.write_all(b"\n").and_then(|()| out.flush()))
}

/// A reader that went away (`| head`) is no failure.
fn finish(written: io::Result<()>) -> Outcome {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("writing to standard output: {error}")))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}
