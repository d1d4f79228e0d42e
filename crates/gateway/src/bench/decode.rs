//! Frame bytes to a filled event: by the cursor, by the fallback, and by an ordinary library.
//!
//! All levels become exact decimals. A case is all frames of one kind that one product line sent;
//! they are read one after the other, as they come. The cases take turns too, so that the figures of
//! two of them can be compared.

use std::hint::black_box;

use model::{CanonicalEvent, Kind};
use pool::Reset;
use serde::Serialize;

use super::frames::Captures;
use super::readers::{Reader, Readers};
use super::report::{hundredth, tenth};
use super::{Contender, Rounds, race};

/// Short turns: what else the machine does falls into few of them, and the median is of the others.
const ROUNDS: Rounds = Rounds { count: 401, operations: 800 };

/// One kind of frame of one product line.
#[derive(Clone, Debug, Serialize)]
pub struct Case {
    /// `venue/kind`.
    pub case: String,
    /// How many different frames were read in turn.
    pub frames: usize,
    /// Their mean length.
    pub frame_bytes: usize,
    /// Their mean number of levels.
    pub levels: usize,
    /// By the cursor.
    pub ns: f64,
    /// By the fallback.
    pub fallback_ns: f64,
    /// By `serde_json`, the same work.
    pub serde_json_ns: Option<f64>,
    /// How many times faster the cursor is than `serde_json`.
    pub speedup: Option<f64>,
}

/// Frames of one kind that one product line sent.
#[derive(Debug)]
pub struct Frames<'a> {
    venue: &'a str,
    kind: Kind,
    /// The frames, in the order in which they came.
    pub frames: Vec<&'a [u8]>,
}

/// Measures every case that `captures` hold.
///
/// # Errors
/// The contenders don't read the same from a frame.
pub fn measure(captures: &Captures) -> Result<Vec<Case>, String> {
    let cases = cases(captures)?;
    let mut contenders: Vec<_> = cases.iter().flat_map(contenders).collect();
    let times = race(ROUNDS, &mut contenders)?;
    let of_each = times.chunks(contenders.len() / cases.len().max(1));
    Ok(cases.iter().zip(of_each).map(|(case, times)| found(case, times)).collect())
}

/// The cases that `captures` hold, each frame read by all contenders to the same event.
///
/// # Errors
/// The contenders don't read the same from a frame.
pub fn cases(captures: &Captures) -> Result<Vec<Frames<'_>>, String> {
    let mut cases: Vec<Frames<'_>> = Vec::new();
    for (venue, frame) in captures.frames() {
        let Some(event) = by_cursor(venue, frame) else { continue };
        check(venue, frame, &event)?;
        let kind = event.header.stream.kind;
        match cases.iter_mut().find(|case| (case.venue, case.kind) == (venue, kind)) {
            Some(case) => case.frames.push(frame),
            None => cases.push(Frames { venue, kind, frames: vec![frame] }),
        }
    }
    cases.sort_by_key(|case| (case.venue, place(case.kind)));
    Ok(cases)
}

impl Frames<'_> {
    /// `venue/kind`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.venue, self.kind.name())
    }

    /// The mean length of a frame.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        self.mean(|frame| frame.len())
    }

    /// The mean number of levels in a frame.
    #[must_use]
    pub fn levels(&self) -> usize {
        let levels = |event: CanonicalEvent| event.bids.len() + event.asks.len();
        self.mean(|frame| by_cursor(self.venue, frame).map_or(0, levels))
    }

    fn mean(&self, of: impl Fn(&[u8]) -> usize) -> usize {
        let (sum, count) = (self.frames.iter().map(|f| of(f)).sum::<usize>(), self.frames.len());
        (sum + count / 2) / count.max(1)
    }
}

/// Books first, then by how often they come.
fn place(kind: Kind) -> (bool, Kind) {
    (kind != Kind::BookUpdate, kind)
}

fn by_cursor(venue: &str, frame: &[u8]) -> Option<CanonicalEvent> {
    let mut event = CanonicalEvent::default();
    (Readers::of(venue).cursor)(frame, &mut event).then_some(event)
}

/// Whether all contenders read the same from a frame, to the last digit.
fn check(venue: &str, frame: &[u8], event: &CanonicalEvent) -> Result<(), String> {
    let mut other = CanonicalEvent::default();
    let read = (Readers::of(venue).fallback)(frame, &mut other);
    if !read || !same(event, &other) {
        return Err(differs("the fallback", venue, frame));
    }
    #[cfg(feature = "yardsticks")]
    {
        let other = super::yardsticks::event(venue, frame, event.header.stream.kind)
            .map_err(|error| format!("serde_json: {error}"))?;
        if !same(event, &other) {
            return Err(differs("serde_json", venue, frame));
        }
    }
    Ok(())
}

/// Decimals compare by value; written out, they show their digits too.
fn same(event: &CanonicalEvent, other: &CanonicalEvent) -> bool {
    event == other && format!("{event:?}") == format!("{other:?}")
}

fn differs(who: &str, venue: &str, frame: &[u8]) -> String {
    let frame = String::from_utf8_lossy(frame);
    format!("{who} reads a frame of {venue} otherwise than the cursor: {frame}")
}

/// Who reads a case's frames: as many for each case, and in the same order.
fn contenders<'a>(case: &'a Frames<'_>) -> Vec<Contender<'a>> {
    let (frames, readers) = (&case.frames, Readers::of(case.venue));
    let lane = |read: Reader| {
        let mut event = CanonicalEvent::default();
        Contender::new(frames.len(), move || {
            for frame in frames {
                event.reset();
                black_box(read(black_box(frame), &mut event));
                black_box(&event);
            }
            Ok(())
        })
    };
    vec![
        lane(readers.cursor),
        lane(readers.fallback),
        #[cfg(feature = "yardsticks")]
        Contender::new(frames.len(), super::yardsticks::decoder(case.venue, case.kind, frames)),
    ]
}

fn found(case: &Frames<'_>, times: &[f64]) -> Case {
    let serde_json_ns = times.get(2).copied();
    Case {
        case: case.name(),
        frames: case.frames.len(),
        frame_bytes: case.frame_bytes(),
        levels: case.levels(),
        ns: tenth(times[0]),
        fallback_ns: tenth(times[1]),
        serde_json_ns: serde_json_ns.map(tenth),
        speedup: serde_json_ns.map(|ns| hundredth(ns / times[0])),
    }
}
