//! Replay: a raw capture through the same machine and pipeline as live traffic, in virtual time.
//!
//! `now` is the line's `t`. Nothing is asked of anybody: the file's own answers are handed to the
//! machine as they come, which knows by their address what they answer; what the file does not
//! answer stays open. No timer runs but for what waits behind a hole, so nothing is repaired or
//! refreshed that the file does not.

use std::path::{Path, PathBuf};
use std::task::Waker;

use engine::resequence::Limits;
use engine::{Capacity, Catalog, Inbox, QueueCapacity, RoutingTable, Shard, Subscription};
use model::capture::{CaptureLine, Direction, Wire};
use model::venue::{Outbox, Outcome, Response, Sink, Venue};
use model::{ConnId, LinkId, Nanos, ProviderId};

use crate::report::VenueReport;

/// One venue's lines of one capture.
pub struct Replay {
    venue: String,
    machine: Box<dyn Venue>,
    shard: Shard,
    provider: ProviderId,
    outbox: Outbox,
    /// When the machine wants to look at what waits for something before it.
    wake_at: Option<Nanos>,
    /// The recording's connections, by its names; the number is the place.
    conns: Vec<String>,
    /// Those that are up.
    up: Vec<ConnId>,
    ws_frames: u64,
    malformed: u64,
}

impl Replay {
    /// A replay of a venue's lines.
    ///
    /// # Errors
    /// The venue is not one that this version knows.
    pub fn new(venue: &str) -> Result<Self, String> {
        let settings = venues::Settings { adopt: true, ..venues::Settings::default() };
        let machine = venues::create(venue, settings).ok_or_else(|| {
            let known = venues::registry::names().join(", ");
            format!("the venue '{venue}' is not known; known are {known}")
        })?;
        let catalog = Catalog::new();
        let provider = catalog.provider(venue).map_err(|error| error.to_string())?;
        let mut shard = Shard::new(Capacity::default(), catalog, Waker::noop().clone());
        shard.follow(provider, machine.profile(), Limits::default());
        Ok(Self {
            venue: venue.to_owned(),
            machine,
            shard,
            provider,
            outbox: Outbox::default(),
            wake_at: None,
            conns: Vec::new(),
            up: Vec::new(),
            ws_frames: 0,
            malformed: 0,
        })
    }

    /// A consumer of everything, to be drained after every line.
    ///
    /// # Errors
    /// The engine has no room for it.
    pub fn subscribe(&mut self) -> Result<Inbox, model::Error> {
        let inbox =
            self.shard.add_consumer("replay", QueueCapacity::default(), Nanos::default())?;
        let all = Subscription { consumer: inbox.id(), ..Subscription::default() };
        let table = RoutingTable::default().next(&[all], self.shard.catalog())?;
        self.shard.set_routing(table.into(), Nanos::default());
        Ok(inbox)
    }

    /// The directory of names.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        self.shard.catalog()
    }

    /// Where the lines go.
    #[must_use]
    pub fn shard(&self) -> &Shard {
        &self.shard
    }

    /// Takes one line.
    pub fn line(&mut self, line: &CaptureLine) {
        self.pass(line.t);
        match (line.wire, line.direction) {
            (Wire::Ws, Direction::Open) => self.opened(line),
            (Wire::Ws, Direction::In) => self.frame(line),
            (Wire::Ws, Direction::Close) => self.closed(line),
            (Wire::Http, Direction::In) => self.answered(line),
            // What the recording's client sent is not what this one would send.
            (_, Direction::Out) | (Wire::Http, _) => {}
        }
        self.shard.end_turn(line.t);
    }

    /// Lets the time after the last line pass, until nothing waits any more; says when that was.
    pub fn finish(&mut self) -> Option<Nanos> {
        let mut last = None;
        while let Some(at) = self.deadline() {
            self.pass(at);
            last = Some(at);
        }
        last
    }

    /// What the machine and the engine do by themselves until then.
    fn pass(&mut self, until: Nanos) {
        while let Some(at) = self.deadline().filter(|at| *at <= until) {
            if self.wake_at.take_if(|wake_at| *wake_at <= at).is_some() {
                self.with(at, |machine, sink| machine.on_timer(at, sink));
            }
            self.shard.end_turn(at);
        }
    }

    fn deadline(&self) -> Option<Nanos> {
        self.shard.deadline().into_iter().chain(self.wake_at).min()
    }

    /// What the capture's venue came to.
    #[must_use]
    pub fn report(&self, file: &str) -> Option<VenueReport> {
        let frames = (self.ws_frames, self.malformed);
        VenueReport::of(&self.shard, &self.venue, &self.venue, frames)
            .map(|report| VenueReport { file: file.to_owned(), ..report })
    }

    fn opened(&mut self, line: &CaptureLine) {
        let conn = self.conn(&line.conn);
        // A connection that opens again had ended, also where the recorder did not write so.
        if self.up.contains(&conn) {
            self.closed(line);
        }
        self.up.push(conn);
        self.with(line.t, |machine, sink| machine.on_open(LinkId(0), conn, line.t, sink));
    }

    fn closed(&mut self, line: &CaptureLine) {
        let conn = self.conn(&line.conn);
        self.up.retain(|other| *other != conn);
        self.with(line.t, |machine, sink| machine.on_close(conn, line.t, sink));
    }

    fn frame(&mut self, line: &CaptureLine) {
        self.ws_frames += 1;
        let conn = self.conn(&line.conn);
        let read =
            self.with(line.t, |machine, sink| machine.on_frame(conn, &line.data, line.t, sink));
        if let Err(error) = read {
            tracing::debug!(conn = line.conn, t = line.t.0, %error, "malformed frame");
            self.malformed += 1;
        }
    }

    fn answered(&mut self, line: &CaptureLine) {
        // A live session would have tried again: the request stays open.
        let status = line.status.unwrap_or(200);
        if status == 429 || status == 418 || status >= 500 {
            return;
        }
        let text = String::from_utf8_lossy(&line.data);
        let outcome = match status {
            200..300 => Outcome::Answered(&line.data),
            _ => Outcome::Refused(status, &text),
        };
        let response = Response { id: None, url: &line.url, outcome };
        let read = self.with(line.t, |machine, sink| machine.on_response(response, line.t, sink));
        if let Err(error) = read {
            tracing::debug!(url = line.url, t = line.t.0, %error, "unreadable answer");
        }
    }

    fn with<R>(&mut self, now: Nanos, call: impl FnOnce(&mut dyn Venue, &mut Sink<'_>) -> R) -> R {
        let mut port = self.shard.port(self.provider, now);
        let mut sink = Sink { pipeline: &mut port, outbox: &mut self.outbox };
        let result = call(&mut *self.machine, &mut sink);
        // A recording's machine may only want to look at what waits; what it asks for it has.
        let Outbox { wake_at, .. } = std::mem::take(&mut self.outbox);
        self.wake_at = self.wake_at.into_iter().chain(wake_at).min();
        result
    }

    fn conn(&mut self, name: &str) -> ConnId {
        let at = self.conns.iter().position(|other| other == name).unwrap_or_else(|| {
            self.conns.push(name.to_owned());
            self.conns.len() - 1
        });
        ConnId(u32::try_from(at).unwrap_or(u32::MAX))
    }
}

/// The captures of a command line, replayed one after the other, each by itself.
pub struct Captures {
    files: Vec<PathBuf>,
    /// What each came to, in order; a capture with several venues comes to several.
    pub reports: Vec<VenueReport>,
}

impl Captures {
    /// Nothing replayed yet.
    #[must_use]
    pub fn new(files: Vec<PathBuf>) -> Self {
        Self { files, reports: Vec::new() }
    }

    /// Replays all of them; `each` sees the replay of a line's venue after the line was taken, with
    /// the line's time, and once more at the end where something still came. `begin` is called when
    /// a venue is first met.
    ///
    /// # Errors
    /// A file or line can't be read, or names an unknown venue; or what `begin` or `each` say.
    pub fn run(
        &mut self,
        mut begin: impl FnMut(&mut Replay) -> Result<Option<Inbox>, String>,
        mut each: impl FnMut(Nanos, &Replay, Option<&mut Inbox>) -> Result<(), String>,
    ) -> Result<(), String> {
        for path in std::mem::take(&mut self.files) {
            let mut venues: Vec<(Replay, Option<Inbox>)> = Vec::new();
            let mut reader =
                store::capture::Reader::open(&path).map_err(|error| error.to_string())?;
            while let Some(line) = reader.next() {
                let line = line.map_err(|error| error.to_string())?;
                let known = venues.iter().position(|(replay, _)| replay.venue == line.venue);
                let at = match known {
                    Some(at) => at,
                    None => {
                        let place = || format!("{}, line {}", path.display(), reader.line());
                        let mut replay = Replay::new(&line.venue)
                            .map_err(|error| format!("{}: {error}", place()))?;
                        let inbox = begin(&mut replay)?;
                        venues.push((replay, inbox));
                        venues.len() - 1
                    }
                };
                let (replay, inbox) = &mut venues[at];
                replay.line(&line);
                each(line.t, replay, inbox.as_mut())?;
            }
            for (replay, inbox) in &mut venues {
                if let Some(at) = replay.finish() {
                    each(at, replay, inbox.as_mut())?;
                }
            }
            let name = base_name(&path);
            self.reports.extend(venues.iter().filter_map(|(replay, _)| replay.report(&name)));
        }
        Ok(())
    }
}

fn base_name(path: &Path) -> String {
    path.file_name()
        .map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned())
}
