//! `meltica bench`: measures this machine, side by side with the ordinary libraries in one run.
//!
//! The method is the same everywhere: the contenders take turns round by round (A B C A B C …), so
//! that whatever else the machine does meets all of them alike; the first rounds warm up and don't
//! count; the result is the median. Before anything is timed, the contenders' results are compared
//! with each other: whoever reads less or otherwise ends the run with an error.
//!
//! | file | what it is |
//! | --- | --- |
//! | [`frames`] | what is measured on: frames that ship with the binary, or captures |
//! | [`decode`] | frame bytes to a filled event |
//! | [`websocket`] | bytes of a connection to messages |
//! | [`replay`] | a capture through the whole way to a consumer |
//! | [`fanout`] | an event until it is in every subscriber's queue |
//! | [`allocations`] | how often memory is asked for, with the pools and without |
//! | [`orders`] | the way of an order out and back, over sockets |
//! | [`report`] | the result, as JSON and as a table |

use std::path::PathBuf;
use std::time::Instant;

pub mod allocations;
pub mod decode;
pub mod fanout;
pub mod frames;
pub mod orders;
mod readers;
pub mod replay;
pub mod report;
#[cfg(feature = "yardsticks")]
mod rig;
#[cfg(feature = "yardsticks")]
mod synthetic;
pub mod websocket;
#[cfg(feature = "yardsticks")]
mod yardsticks;

pub use report::Report;

use frames::Captures;

/// What is to be measured.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// These sections; all where empty.
    pub only: Vec<Section>,
    /// The folder of captures to measure on; the built-in frames where `None`.
    pub captures: Option<PathBuf>,
}

/// A part of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Section {
    /// Frame bytes to a filled event; `replay` comes with it.
    Decode,
    /// Bytes of a connection to messages.
    Websocket,
    /// A capture through the whole way to a consumer.
    Replay,
    /// An event until it is in every subscriber's queue.
    Fanout,
    /// How often memory is asked for, with the pools and without.
    Allocations,
    /// The way of an order out and back, over sockets.
    Orders,
}

/// Measures.
///
/// # Errors
/// Captures that can't be read, or contenders that don't read the same.
pub fn run(options: &Options) -> Result<Report, String> {
    let wants = |section| options.only.is_empty() || options.only.contains(&section);
    if cfg!(not(feature = "yardsticks")) {
        eprintln!(
            "the ordinary libraries are not compiled in, their fields are null; to have them: \
             cargo run --release --features yardsticks -- bench"
        );
    }
    if cfg!(debug_assertions) {
        eprintln!("this is a build without optimisation: its figures mean nothing");
    }
    let mut report = Report::default();
    if wants(Section::Decode) || wants(Section::Replay) {
        let captures = match &options.captures {
            Some(folder) => Captures::read(folder)?,
            None => Captures::built_in()?,
        };
        if wants(Section::Decode) {
            report.decode = Some(decode::measure(&captures)?);
        }
        report.replay = Some(replay::measure(&captures)?);
    }
    if wants(Section::Websocket) {
        report.websocket = Some(websocket::measure()?);
    }
    if wants(Section::Fanout) {
        report.fanout = Some(fanout::measure()?);
    }
    if wants(Section::Allocations) {
        report.allocations = allocations()?;
    }
    if wants(Section::Orders) {
        report.orders = Some(orders::measure()?);
    }
    Ok(report)
}

#[cfg(feature = "yardsticks")]
fn allocations() -> Result<Option<allocations::Allocations>, String> {
    allocations::measure().map(Some)
}

/// The counting allocator is one of the yardsticks.
#[cfg(not(feature = "yardsticks"))]
fn allocations() -> Result<Option<allocations::Allocations>, String> {
    Ok(None)
}

/// A section's rounds: how many, and how much work each is.
#[derive(Clone, Copy, Debug)]
struct Rounds {
    count: usize,
    /// How many operations a round is to have at least.
    operations: usize,
}

/// Rounds before the first that counts.
const WARM_UP: usize = 3;

/// One who takes part in a race.
struct Contender<'a> {
    /// How many operations one call is.
    operations: usize,
    /// Does them once.
    call: Box<dyn FnMut() -> Result<(), String> + 'a>,
}

impl<'a> Contender<'a> {
    fn new(operations: usize, call: impl FnMut() -> Result<(), String> + 'a) -> Self {
        Self { operations, call: Box::new(call) }
    }
}

/// Lets the contenders take turns and gives each one's median time for one operation, in ns.
fn race(rounds: Rounds, contenders: &mut [Contender<'_>]) -> Result<Vec<f64>, String> {
    let mut times = vec![Vec::with_capacity(rounds.count); contenders.len()];
    for round in 0..WARM_UP + rounds.count {
        for (Contender { operations, call }, times) in contenders.iter_mut().zip(&mut times) {
            let passes = rounds.operations.div_ceil((*operations).max(1));
            let started = Instant::now();
            for _ in 0..passes {
                call()?;
            }
            let elapsed = started.elapsed();
            if round >= WARM_UP {
                times.push(elapsed.as_nanos() as f64 / (passes * *operations) as f64);
            }
        }
    }
    Ok(times.into_iter().map(median).collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests;
