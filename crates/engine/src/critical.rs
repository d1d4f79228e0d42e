//! A consumer's critical lane, the shard's end: execution and control, never dropped, never
//! coalesced, and always before market data.
//!
//! # Execution
//! The ring is a window over a cursor over a log ([`exec_log`](crate::exec_log)). What fits goes into
//! the ring at once. Where one event does not fit, it and all that follow are left in the log, and
//! read back from there, in order, when the consumer has made room: by request and answer, so that
//! nothing waits here. The cursor is the position of the last event that went into the ring, and
//! nothing goes in that is not behind it: no event is missed and none comes twice.
//!
//! # Control
//! A command is opened before it is carried out, and refused where too many of the consumer's are
//! open; so the answers that wait for room in the ring are bounded by that limit.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use model::{ConsumerId, Error, Event, Nanos};
use rtrb::{Producer, PushError};

use crate::exec_log::{LogRequest, Page};
use crate::tally::{ConsumerCounts, Tally};

/// A log that could not be read, or lacked what it was said to have, is asked again so much later.
pub const ASK_AGAIN: Duration = Duration::from_millis(100);

/// Answers to one command: that it was taken, and what came of it.
const ANSWERS_EACH: usize = 2;

/// So many notices may wait; then none is taken until the consumer has read some.
const NOTICES_MAX: usize = 64;

/// What an answer that waits is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// One of a command's, and another will follow.
    First,
    /// The last of a command's.
    Last,
    /// None of a command's.
    Notice,
}

/// What of the log is not in the window yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// Nothing: what comes next goes into the ring.
    CaughtUp,
    /// Something. To be asked for from then on, as soon as there is room.
    Behind { not_before: Nanos },
    /// The next request is to be fetched.
    Due { limit: usize },
    /// The log was asked for so many; when it was, it had an event at that position.
    Asked { limit: usize, expected: u64 },
}

/// One consumer's critical lane.
#[derive(Debug)]
pub(crate) struct Critical {
    consumer: ConsumerId,
    name: Arc<str>,
    ring: Producer<Event>,
    window: usize,
    /// The cursor: the position of the last execution event that went into the ring.
    queued_to: u64,
    /// The highest position that is known to be in the log.
    logged_to: u64,
    reading: Reading,
    /// The window was full when more came, and not all of that has been read back yet.
    stalled: bool,
    /// How far the log was told that the consumer has acknowledged.
    acknowledged: u64,
    /// What waits for room.
    answers: VecDeque<(Event, Part)>,
    /// How many of them are notices.
    notices: usize,
    /// Commands whose last answer is not in the ring yet.
    commands: usize,
    commands_max: usize,
    tally: Arc<Tally>,
}

impl Critical {
    pub(crate) fn new(
        (consumer, name): (ConsumerId, Arc<str>),
        ring: Producer<Event>,
        commands_max: usize,
        tally: Arc<Tally>,
    ) -> Self {
        Self {
            consumer,
            name,
            window: ring.slots(),
            ring,
            queued_to: 0,
            logged_to: 0,
            reading: Reading::CaughtUp,
            stalled: false,
            acknowledged: 0,
            answers: VecDeque::new(),
            notices: 0,
            commands: 0,
            commands_max,
            tally,
        }
    }

    /// Begins behind that position: what the log has after it is read first.
    pub(crate) fn resume(&mut self, after: u64) {
        self.queued_to = self.queued_to.max(after);
        self.acknowledged = self.acknowledged.max(after);
        self.reading = Reading::Behind { not_before: Nanos::default() };
    }

    /// Takes an execution event that the log has at `position`; whether it went into the ring.
    pub(crate) fn execution(
        &mut self,
        position: u64,
        event: Event,
        counts: &mut ConsumerCounts,
    ) -> bool {
        self.logged_to = self.logged_to.max(position);
        if position <= self.queued_to || self.reading != Reading::CaughtUp {
            return false;
        }
        if self.push(event, counts).is_none() {
            self.queued_to = position;
            return true;
        }
        self.reading = Reading::Behind { not_before: Nanos::default() };
        self.stall(counts);
        false
    }

    /// Takes what the log answered; how many events went into the ring.
    pub(crate) fn page(
        &mut self,
        page: Page,
        now: Nanos,
        stamp: impl FnMut(&mut Event),
        counts: &mut ConsumerCounts,
    ) -> usize {
        let Reading::Asked { limit, expected } = self.reading else { return 0 };
        if page.after != self.queued_to {
            return 0;
        }
        let events = page.events.and_then(|events| {
            let last = events.last().and_then(|event| event.header.seq_provider);
            if events.len() < limit && last.unwrap_or(page.after) < expected {
                return Err(Error::stop(format!("nothing at position {expected}, which it had")));
            }
            Ok(events)
        });
        let events = match events {
            Ok(events) => events,
            Err(error) => {
                let consumer = &*self.name;
                tracing::error!(consumer, %error, "execution events can't be read back; asked again");
                self.reading = Reading::Behind { not_before: now + ASK_AGAIN };
                return 0;
            }
        };
        self.read_back(events, limit, stamp, counts)
    }

    fn read_back(
        &mut self,
        events: Vec<Event>,
        limit: usize,
        mut stamp: impl FnMut(&mut Event),
        counts: &mut ConsumerCounts,
    ) -> usize {
        let more = events.len() >= limit;
        let (mut pushed, mut fits) = (0, true);
        for mut event in events {
            let Some(position) = event.header.seq_provider.filter(|at| *at > self.queued_to) else {
                continue;
            };
            stamp(&mut event);
            fits = self.push(event, counts).is_none();
            if !fits {
                break;
            }
            self.queued_to = position;
            pushed += 1;
        }
        counts.read_back += pushed as u64;
        self.logged_to = self.logged_to.max(self.queued_to);
        if fits && !more && self.queued_to >= self.logged_to {
            self.reading = Reading::CaughtUp;
            self.stalled = false;
            counts.stalled = false;
        } else {
            self.reading = Reading::Behind { not_before: Nanos::default() };
            if self.ring.is_full() {
                self.stall(counts);
            }
        }
        pushed
    }

    /// Whether another command can be opened.
    pub(crate) fn takes_command(&self) -> bool {
        self.commands < self.commands_max
    }

    /// Opens a command.
    pub(crate) fn open_command(&mut self) -> Result<(), Error> {
        if !self.takes_command() {
            return Err(Error::reject(format!(
                "{} commands of this consumer are open, which is the limit: read their answers first",
                self.commands
            )));
        }
        self.commands += 1;
        Ok(())
    }

    /// Takes an answer to a command that was opened; `last` where it is the last one. One that no
    /// open command has room for is given back.
    pub(crate) fn answer(&mut self, event: Event, last: bool) -> Result<(), Box<Event>> {
        let ended = self.answers.iter().filter(|(_, part)| *part == Part::Last).count();
        let answers = self.answers.len() - self.notices;
        if answers >= ANSWERS_EACH * self.commands_max || ended >= self.commands {
            return Err(Box::new(event));
        }
        self.answers.push_back((event, if last { Part::Last } else { Part::First }));
        Ok(())
    }

    /// Whether a notice would be taken.
    pub(crate) fn has_notice_room(&self) -> bool {
        self.notices < NOTICES_MAX
    }

    /// Takes what is told to the consumer beside log and commands: an answer to a request about an
    /// order, news of an account. One for which there is no room is given back.
    pub(crate) fn notice(&mut self, event: Event) -> Result<(), Box<Event>> {
        if !self.has_notice_room() {
            return Err(Box::new(event));
        }
        self.notices += 1;
        self.answers.push_back((event, Part::Notice));
        Ok(())
    }

    /// Moves the answers that wait, as far as there is room, and sees whether the log is to be asked;
    /// whether anything went into the ring.
    pub(crate) fn end_turn(&mut self, now: Nanos, counts: &mut ConsumerCounts) -> bool {
        let mut filled = false;
        while let Some((event, part)) = self.answers.pop_front() {
            if let Some(event) = self.push(event, counts) {
                self.answers.push_front((event, part));
                break;
            }
            self.commands = self.commands.saturating_sub(usize::from(part == Part::Last));
            self.notices = self.notices.saturating_sub(usize::from(part == Part::Notice));
            filled = true;
        }
        if self.can_go_on(now) {
            self.reading = Reading::Due { limit: self.ring.slots() };
        }
        filled
    }

    /// How many events are in the ring.
    pub(crate) fn queued(&self) -> usize {
        self.ring.buffer().capacity() - self.ring.slots()
    }

    /// Whether something waits for room in the ring, which has not got it.
    pub(crate) fn wants_room(&self) -> bool {
        let behind = matches!(self.reading, Reading::Behind { .. });
        !self.answers.is_empty() || (behind && !self.has_room())
    }

    /// Whether the end of a turn at `now` would move anything on.
    pub(crate) fn can_go_on(&self, now: Nanos) -> bool {
        let due = matches!(self.reading, Reading::Behind { not_before } if now >= not_before);
        (!self.answers.is_empty() && !self.ring.is_full()) || (due && self.has_room())
    }

    /// Reading back one by one would ask the log for each event anew.
    fn has_room(&self) -> bool {
        self.ring.slots() >= self.window.div_ceil(2)
    }

    /// What the log is to be asked or told next.
    pub(crate) fn request(&mut self) -> Option<LogRequest> {
        let consumer = self.consumer;
        let position = self.tally.acknowledged();
        if position > self.acknowledged {
            self.acknowledged = position;
            return Some(LogRequest::Acknowledge { consumer, position });
        }
        let Reading::Due { limit } = self.reading else { return None };
        self.reading = Reading::Asked { limit, expected: self.logged_to };
        Some(LogRequest::Read { consumer, after: self.queued_to, limit })
    }

    /// When a turn is wanted though nothing arrives.
    pub(crate) fn deadline(&self) -> Option<Nanos> {
        match self.reading {
            Reading::Behind { not_before } if not_before > Nanos::default() => Some(not_before),
            _ => None,
        }
    }

    pub(crate) fn is_stalled(&self) -> bool {
        self.stalled
    }

    /// What waits outside of the ring and of the log.
    pub(crate) fn waiting(&self) -> usize {
        self.answers.len()
    }

    /// The consumer is gone: what it has not got stays in the log.
    pub(crate) fn close(&mut self) {
        self.answers = VecDeque::new();
        self.reading = Reading::CaughtUp;
        self.stalled = false;
    }

    /// Puts an event into the ring; gives it back where there is no room.
    fn push(&mut self, event: Event, counts: &mut ConsumerCounts) -> Option<Event> {
        match self.ring.push(event) {
            Ok(()) => {
                counts.offered += 1;
                None
            }
            Err(PushError::Full(event)) => Some(event),
        }
    }

    /// From here on, until all is read back, the consumer is one that does not keep up with its own
    /// executions.
    fn stall(&mut self, counts: &mut ConsumerCounts) {
        if !std::mem::replace(&mut self.stalled, true) {
            counts.stalled = true;
            counts.stalls += 1;
            tracing::warn!(
                consumer = &*self.name,
                window = self.window,
                stalls = counts.stalls,
                "a consumer's critical window is full: it is stalled until it has read what waits in \
                 the log"
            );
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
