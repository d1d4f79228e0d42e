//! The player: a capture as a state machine without socket or clock.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use bytes::Bytes;
use model::capture::CaptureLine;
use model::{Error, Nanos};

use super::PlayOptions;
use super::answers::Pick;
use super::speed::Speed;
use super::tape::{Tape, What};
use crate::dialect::Session;
use crate::machine::{
    ClientId, ControlFrame, Machine, Output, Reply, Request, RequestId, SENDS_MAX,
};

/// A WebSocket close reason is at most this long (RFC 6455, 5.5).
const REASON_BYTES_MAX: usize = 123;

/// What was played so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlayReport {
    /// Recorded frames that were due.
    pub frames: u64,
    /// Messages to clients that came of them.
    pub sent: u64,
    /// Frames that nobody was subscribed to when they were due.
    pub unheard: u64,
    /// REST requests answered from the capture.
    pub answered: u64,
    /// REST requests for which the capture held no (further) answer.
    pub refused: u64,
}

/// Where playback stands.
#[derive(Debug)]
enum Clock {
    /// Waits until these streams are subscribed, then goes on at this recorded time.
    Waiting { streams: BTreeSet<usize>, from: Nanos },
    /// This recorded time was at this real one.
    Running { recorded: Nanos, real: Nanos },
    /// As running, but the next step is an answer that has not been asked for.
    Blocked,
}

/// Plays a capture; see [`crate::play`] for the rules.
pub struct Player {
    tape: Tape,
    speed: Speed,
    clock: Clock,
    next: usize,
    /// Per stream, how many frames are still to come.
    left: Vec<u64>,
    clients: BTreeMap<ClientId, Session>,
    in_flight: BTreeMap<RequestId, usize>,
    report: PlayReport,
}

impl Player {
    /// Takes the lines of a capture.
    ///
    /// # Errors
    /// When there is no line of the venue, its dialect can't be played, the capture holds several
    /// venues and none was chosen, or more bytes than [`PlayOptions::bytes_max`].
    pub fn new(
        lines: impl IntoIterator<Item = CaptureLine>,
        options: &PlayOptions,
    ) -> Result<Self, Error> {
        let tape = Tape::new(lines, options)?;
        let streams = (0..tape.streams.len()).filter(|n| tape.frames[*n] > 0).collect();
        Ok(Self {
            speed: options.speed,
            clock: Clock::Waiting { streams, from: tape.begins },
            next: 0,
            left: tape.frames.clone(),
            clients: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            report: PlayReport::default(),
            tape,
        })
    }

    /// The venue that is played.
    #[must_use]
    pub fn venue(&self) -> &str {
        &self.tape.venue
    }

    /// What was played so far.
    #[must_use]
    pub fn report(&self) -> PlayReport {
        self.report
    }

    /// The streams that playback waits for, where it waits for some.
    #[must_use]
    pub fn missing(&self) -> Vec<&str> {
        let Clock::Waiting { streams, .. } = &self.clock else { return Vec::new() };
        let names = streams.iter().map(|stream| self.tape.streams[*stream].as_str());
        names.filter(|name| !self.is_served(name)).collect()
    }

    fn is_served(&self, stream: &str) -> bool {
        self.clients.values().any(|session| self.tape.dialect.serves(session, stream))
    }

    /// Starts the clock where all that it waits for is there.
    fn start(&mut self, now: Nanos) {
        let Clock::Waiting { from, .. } = self.clock else { return };
        if self.clients.is_empty() {
            return;
        }
        let missing = self.missing();
        if !missing.is_empty() {
            let first = missing[..missing.len().min(5)].join(", ");
            tracing::info!(missing = missing.len(), first, "waits for subscriptions");
            return;
        }
        tracing::info!(venue = self.tape.venue, from = from.0, "plays");
        self.clock = Clock::Running { recorded: from, real: now };
    }

    /// When the next step is due; none while playback waits or is over.
    fn due(&self) -> Option<Nanos> {
        let Clock::Running { recorded, real } = self.clock else { return None };
        let step = self.tape.steps.get(self.next)?;
        Some(real + self.speed.takes(step.t.since(recorded)))
    }

    /// Does what is due, some steps at most; the next deadline says whether there is more.
    fn advance(&mut self, now: Nanos, out: &mut Vec<Output>) {
        for _ in 0..SENDS_MAX {
            if self.due().is_none_or(|due| due > now) {
                return;
            }
            let at = self.next;
            match &self.tape.steps[at].what {
                What::Frame { stream, whole, body } => {
                    let (stream, whole, body) = (*stream, whole.clone(), body.clone());
                    self.send_frame(stream, &whole, &body, out);
                }
                What::Unnamed { source, whole } => {
                    let (source, whole) = (*source, whole.clone());
                    self.send_unnamed(source, whole, out);
                }
                What::Answer(number) if self.tape.answers.blocks(*number) => {
                    tracing::info!(url = self.tape.answers.get(*number).url, "waits for a request");
                    self.clock = Clock::Blocked;
                    return;
                }
                What::Answer(number) => self.tape.answers.pass(*number),
                What::Close { .. } => self.close(at, now, out),
            }
            self.next += 1;
            if self.finished() {
                tracing::info!(venue = self.tape.venue, report = ?self.report, "played");
            }
        }
    }

    fn send_frame(
        &mut self,
        stream: usize,
        whole: &Bytes,
        body: &Range<usize>,
        out: &mut Vec<Output>,
    ) {
        self.left[stream] -= 1;
        let name = &self.tape.streams[stream];
        let before = out.len();
        for (&client, session) in &self.clients {
            if self.tape.dialect.serves(session, name) {
                let payload = self.tape.dialect.payload(session, name, whole, body);
                out.push(Output::Send { client, payload });
            }
        }
        self.count_frame(out.len() - before);
    }

    /// To the oldest connection that shares a stream with the recorded one, else to the oldest.
    fn send_unnamed(&mut self, source: usize, payload: Bytes, out: &mut Vec<Output>) {
        let shares = |session: &Session| {
            let mut names = self.tape.sources[source].iter().map(|n| &self.tape.streams[*n]);
            names.any(|name| self.tape.dialect.serves(session, name))
        };
        let sharing = self.clients.iter().find(|(_, session)| shares(session));
        let client = sharing.or_else(|| self.clients.first_key_value()).map(|(&client, _)| client);
        if let Some(client) = client {
            out.push(Output::Send { client, payload });
        }
        self.count_frame(usize::from(client.is_some()));
    }

    fn count_frame(&mut self, sent: usize) {
        self.report.frames += 1;
        self.report.sent += sent as u64;
        self.report.unheard += u64::from(sent == 0);
    }

    /// Closes the connections with the streams that a recorded `close` ended, where such a stream
    /// goes on later, and waits for those to be subscribed again.
    fn close(&mut self, at: usize, now: Nanos, out: &mut Vec<Output>) {
        let step = &self.tape.steps[at];
        let What::Close { streams, why } = &step.what else { return };
        let later: BTreeSet<_> =
            streams.iter().copied().filter(|stream| self.left[*stream] > 0).collect();
        if later.is_empty() {
            return;
        }
        let (code, reason) = close_frame(why);
        let dialect = &self.tape.dialect;
        let names: Vec<_> = streams.iter().map(|stream| &self.tape.streams[*stream]).collect();
        self.clients.retain(|&client, session| {
            let ends = names.iter().any(|name| dialect.serves(session, name));
            if ends {
                out.push(Output::Close { client, code, reason: reason.clone() });
            }
            !ends
        });
        self.clock = Clock::Waiting { streams: later, from: step.t };
        self.start(now);
    }

    fn refuse(&mut self, status: u16, message: &str) -> Reply {
        self.report.refused += 1;
        Reply::new(status, self.tape.dialect.refusal(status, message))
    }
}

/// The close code that the recorder wrote first, where it is one that may be sent, and the reason.
fn close_frame(why: &str) -> (u16, String) {
    let number = why.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    let sendable = |code: &u16| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    let code = number.parse().ok().filter(sendable).unwrap_or(1001);
    let end = (0..=why.len().min(REASON_BYTES_MAX)).rev().find(|end| why.is_char_boundary(*end));
    (code, why[..end.unwrap_or(0)].to_owned())
}

impl Machine for Player {
    fn connect(
        &mut self,
        now: Nanos,
        client: ClientId,
        target: &str,
        _out: &mut Vec<Output>,
    ) -> Result<(), Reply> {
        let session = self.tape.dialect.connect(target);
        let session = session.map_err(|(status, message)| self.refuse(status, &message))?;
        self.clients.insert(client, session);
        self.start(now);
        Ok(())
    }

    fn message(&mut self, now: Nanos, client: ClientId, message: &[u8], out: &mut Vec<Output>) {
        let Some(session) = self.clients.get_mut(&client) else { return };
        let replies = self.tape.dialect.message(session, message);
        out.extend(replies.into_iter().map(|payload| Output::Send { client, payload }));
        self.start(now);
    }

    /// Who keeps a connection alive is not in a capture.
    fn control(&mut self, _: Nanos, _: ClientId, _: &ControlFrame, _: &mut Vec<Output>) {}

    fn disconnected(&mut self, _now: Nanos, client: ClientId, _out: &mut Vec<Output>) {
        self.clients.remove(&client);
    }

    fn request(&mut self, _now: Nanos, id: RequestId, request: &Request, out: &mut Vec<Output>) {
        let target = &request.target;
        let reply = match self.tape.answers.pick(target) {
            Pick::Answer(number) => {
                self.report.answered += 1;
                self.in_flight.insert(id, number);
                let answer = self.tape.answers.get(number);
                Reply::new(answer.status, answer.body.clone())
            }
            Pick::NoneLeft => {
                self.refuse(503, &format!("this capture holds no further answer to {target}"))
            }
            Pick::Unknown => self.refuse(404, &format!("this capture holds no answer to {target}")),
        };
        out.push(Output::Answer { request: id, reply });
    }

    fn answered(&mut self, now: Nanos, id: RequestId, written: bool, _out: &mut Vec<Output>) {
        let Some(number) = self.in_flight.remove(&id) else { return };
        self.tape.answers.settle(number, written);
        if matches!(self.clock, Clock::Blocked)
            && let Some(step) = self.tape.steps.get(self.next)
            && matches!(step.what, What::Answer(number) if !self.tape.answers.blocks(number))
        {
            self.clock = Clock::Running { recorded: step.t, real: now };
        }
    }

    fn tick(&mut self, now: Nanos, out: &mut Vec<Output>) {
        self.advance(now, out);
    }

    fn deadline(&self) -> Option<Nanos> {
        self.due()
    }

    fn waits_for_clients(&self) -> bool {
        self.speed == Speed::Max
    }

    fn finished(&self) -> bool {
        self.next >= self.tape.steps.len()
    }
}

#[cfg(test)]
#[path = "player/tests.rs"]
mod tests;
