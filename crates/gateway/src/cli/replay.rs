//! `meltica replay`: captures through the same code as live traffic, in virtual time.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use engine::{Consumer, Context};
use model::{Event, Nanos};
use serde::Serialize;

use super::{Failure, Outcome, finish, print_json};
use crate::event_json::EventLine;
use crate::replay::Captures;
use crate::report::VenueReport;

/// Replays raw captures and says what they come to.
///
/// The lines go through the same provider code as live traffic, in virtual time, so that two runs
/// give the same result to the byte.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  meltica replay binance.jsonl
  meltica replay binance.jsonl okx.jsonl.zst --json
  meltica replay binance.jsonl --events | head
  meltica replay binance.jsonl --events --speed 1x")]
pub(super) struct ReplayArguments {
    /// Captures, `.jsonl` or `.jsonl.zst`, independent of each other
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Print what a consumer would receive, one JSON line an event, instead of the summary
    #[arg(long, conflicts_with = "json")]
    events: bool,
    /// Pace the events that are printed: 1x as recorded, 10x ten times as fast; a summary comes at once
    #[arg(long, value_name = "FACTOR", value_parser = factor)]
    speed: Option<u32>,
}

#[derive(Serialize)]
struct Summary<'a> {
    files: &'a [VenueReport],
    elapsed_s: f64,
    frames_per_s: f64,
}

fn factor(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix('x').and_then(|n| n.parse().ok()).filter(|n| *n > 0);
    number.ok_or_else(|| "expected a whole number of times, such as 1x or 10x".to_owned())
}

pub(super) fn run(arguments: &ReplayArguments) -> Outcome {
    let mut captures = Captures::new(arguments.files.clone());
    if arguments.events {
        return events(&mut captures, arguments.speed);
    }
    let started = Instant::now();
    captures.run(|_| Ok(None), |_, _, _| Ok(())).map_err(Failure::failed)?;
    let elapsed_s = started.elapsed().as_secs_f64();
    let frames: u64 = captures.reports.iter().map(|report| report.ws_frames).sum();
    let frames_per_s = frames as f64 / elapsed_s.max(1e-9);
    if arguments.json {
        return print_json(&Summary { files: &captures.reports, elapsed_s, frames_per_s });
    }
    let mut out = io::stdout().lock();
    let text = crate::report::text(&captures.reports);
    finish(writeln!(out, "{text}\n{frames} frames in {elapsed_s:.3} s, {frames_per_s:.0} frames/s"))
}

/// Writes what a consumer would receive.
fn events(captures: &mut Captures, speed: Option<u32>) -> Outcome {
    let mut printer = Printer { out: BufWriter::new(io::stdout()), result: Ok(()) };
    let mut pace = speed.map(Pace::new);
    let replayed = captures.run(
        |replay| replay.subscribe().map(Some).map_err(|error| error.to_string()),
        |t, _, inbox| {
            if let Some(pace) = &mut pace {
                pace.wait_for(t, &mut printer);
            }
            let Some(inbox) = inbox else { return Ok(()) };
            while inbox.drain(&mut printer, || t) > 0 {}
            match std::mem::replace(&mut printer.result, Ok(())) {
                Ok(()) => Ok(()),
                Err(error) => {
                    printer.result = Err(error);
                    Err(String::new())
                }
            }
        },
    );
    let written = std::mem::replace(&mut printer.result, Ok(())).and_then(|()| printer.out.flush());
    match (written, replayed) {
        (Ok(()), Err(error)) => Err(Failure::failed(error)),
        (written, _) => finish(written),
    }
}

/// Prints every event as a line.
struct Printer<W: Write> {
    out: W,
    result: io::Result<()>,
}

impl<W: Write + Send> Consumer for Printer<W> {
    fn on_event(&mut self, event: Event, ctx: &mut Context<'_>) {
        if self.result.is_ok() {
            let line = EventLine { event: &event, catalog: ctx.catalog };
            self.result = serde_json::to_writer(&mut self.out, &line)
                .map_err(io::Error::from)
                .and_then(|()| self.out.write_all(b"\n"));
        }
    }
}

/// Holds lines back until they are due in real time.
struct Pace {
    factor: u32,
    /// The first line's time, and when it was taken.
    anchor: Option<(Nanos, Instant)>,
}

impl Pace {
    fn new(factor: u32) -> Self {
        Self { factor, anchor: None }
    }

    fn wait_for(&mut self, t: Nanos, printer: &mut Printer<impl Write>) {
        let (first, started) = *self.anchor.get_or_insert_with(|| (t, Instant::now()));
        let due = started + t.since(first) / self.factor;
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            if printer.result.is_ok() {
                printer.result = printer.out.flush();
            }
            std::thread::park_timeout(left.min(Duration::from_secs(1)));
        }
    }
}
