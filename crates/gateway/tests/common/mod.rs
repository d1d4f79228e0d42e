//! What the gateway's tests share: captures and how they are replayed, an independent reading of
//! them, a small exchange that can be made to misbehave, consumers that keep what they get.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod exchange;
pub mod follower;
pub mod host;
pub mod naive;
pub mod naive_channels;
pub mod rig;
pub mod trading;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use meltica::event_json::EventLine;
use meltica::replay::{Captures, Replay};
use meltica::report::VenueReport;
use meltica::{Consumer, Context, Event};
use model::capture::CaptureLine;

/// Our own small capture: three venues, every kind of stream.
pub fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/first-light.jsonl")
}

/// The lines of a capture.
pub fn lines_of(path: &Path) -> Vec<CaptureLine> {
    store::capture::Reader::open(path).unwrap().collect::<Result<_, _>>().unwrap()
}

/// The lines of one venue of the fixture.
pub fn fixture_lines(venue: &str) -> Vec<CaptureLine> {
    lines_of(&fixture()).into_iter().filter(|line| line.venue == venue).collect()
}

/// What the lines of one venue come to.
pub fn replayed(lines: &[CaptureLine]) -> VenueReport {
    let mut replay = Replay::new(&lines[0].venue).unwrap();
    lines.iter().for_each(|line| replay.line(line));
    replay.finish();
    replay.report("lines").unwrap()
}

/// What a file comes to, and every event that a consumer would get, as lines of JSON.
pub fn replayed_with_events(path: &Path) -> (Vec<VenueReport>, String) {
    let mut captures = Captures::new(vec![path.to_owned()]);
    let mut printed = Printed::default();
    captures
        .run(
            |replay| Ok(Some(replay.subscribe().unwrap())),
            |t, _, inbox| {
                let inbox = inbox.unwrap();
                while inbox.drain(&mut printed, || t) > 0 {}
                Ok(())
            },
        )
        .unwrap();
    (captures.reports, printed.text)
}

#[derive(Default)]
struct Printed {
    text: String,
}

impl Consumer for Printed {
    fn on_event(&mut self, event: Event, ctx: &mut Context<'_>) {
        let line = EventLine { event: &event, catalog: ctx.catalog };
        self.text += &serde_json::to_string(&line).unwrap();
        self.text.push('\n');
    }
}

/// Keeps what it gets, where the test can look at it.
#[derive(Clone, Default)]
pub struct Kept(pub Arc<Mutex<Vec<Event>>>);

impl Consumer for Kept {
    fn on_event(&mut self, event: Event, _: &mut Context<'_>) {
        self.0.lock().unwrap().push(event);
    }
}
