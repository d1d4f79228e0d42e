//! A capture through the whole way: machine, books, routing, a consumer that drains its queue.
//!
//! The lines lie in memory, so that neither the disk nor the reading of the capture's own JSON
//! counts.

use std::hint::black_box;
use std::time::Instant;

use engine::{Consumer, Context, Inbox};
use model::Event;
use model::capture::CaptureLine;
use serde::Serialize;

use super::frames::{Captures, is_frame};
use super::{WARM_UP, median};
use crate::replay::Replay;

const ROUNDS: usize = 15;
/// A round replays a capture as often as it takes for so many frames, each time from the start.
const FRAMES: usize = 10_000;

/// One capture.
#[derive(Clone, Debug, Serialize)]
pub struct Case {
    /// The file's name.
    pub capture: String,
    /// WebSocket frames in it.
    pub frames: usize,
    /// How many a second.
    pub frames_per_s: f64,
}

/// Measures every capture.
///
/// # Errors
/// A venue that is not known, or events that get lost.
pub fn measure(captures: &Captures) -> Result<Vec<Case>, String> {
    captures.files.iter().map(|(name, lines)| case(name, lines)).collect()
}

fn case(name: &str, lines: &[CaptureLine]) -> Result<Case, String> {
    let frames = lines.iter().filter(|line| is_frame(line)).count();
    let mut times = Vec::with_capacity(ROUNDS);
    for round in 0..WARM_UP + ROUNDS {
        let passes = FRAMES.div_ceil(frames.max(1));
        let mut elapsed_s = 0.0;
        for _ in 0..passes {
            let mut replays = replays(lines)?;
            let started = Instant::now();
            pass(lines, &mut replays);
            elapsed_s += started.elapsed().as_secs_f64();
        }
        if round >= WARM_UP {
            times.push((passes * frames) as f64 / elapsed_s);
        }
    }
    Ok(Case { capture: name.to_owned(), frames, frames_per_s: median(times).round() })
}

/// A venue's replay and its consumer's end.
type One<'a> = (&'a str, Replay, Inbox);

/// A fresh replay for every venue of the capture.
fn replays(lines: &[CaptureLine]) -> Result<Vec<One<'_>>, String> {
    let mut replays: Vec<One<'_>> = Vec::new();
    for line in lines {
        if !replays.iter().any(|(venue, ..)| *venue == line.venue) {
            let mut replay = Replay::new(&line.venue)?;
            let inbox = replay.subscribe().map_err(|error| error.to_string())?;
            replays.push((&line.venue, replay, inbox));
        }
    }
    Ok(replays)
}

fn pass(lines: &[CaptureLine], replays: &mut [One<'_>]) {
    let mut taker = Taker;
    for line in lines {
        if let Some((_, replay, inbox)) = replays.iter_mut().find(|(v, ..)| *v == line.venue) {
            replay.line(line);
            while inbox.drain(&mut taker, || line.t) > 0 {}
        }
    }
}

/// A consumer that takes what it gets.
struct Taker;

impl Consumer for Taker {
    fn on_event(&mut self, event: Event, _: &mut Context<'_>) {
        black_box(&event);
    }
}
