//! Resequencing: streams whose positions count up by one leave here in that order, each event once.
//!
//! What comes in order is not delayed. An event behind a hole waits, in plain memory, until the hole
//! is filled, or has kept it for [`Limits::lateness`], or more than [`Limits::events_max`] wait; then
//! the hole is given up and what waited goes out. What is not newer than what went out is dropped,
//! so of two connections that bring the same stream the first wins.
//!
//! Which streams these are is the venue's to say
//! ([`Profile::contiguous`](model::venue::Profile::contiguous)); all others pass straight through.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::{Event, Kind, Nanos, ProviderId};

use crate::books::{Books, LANES, Lane, Slot};

/// How long, and how many, events wait behind a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// An event that waited for so long goes at the next look, whatever is missing before it.
    pub lateness: Duration,
    /// While anything waits it is looked at so often.
    pub look_every: Duration,
    /// At most so many events of a stream wait; with another one the oldest hole is given up.
    pub events_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lateness: Duration::from_millis(150),
            look_every: Duration::from_millis(50),
            events_max: 200,
        }
    }
}

/// Where an arriving position stands in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is the next one: the stream is there now. So it is said of streams without sequence too.
    Next,
    /// It is the next one, and what it was missing for waits.
    Filler,
    /// Something before it is missing.
    Early,
    /// It was there before.
    Duplicate,
    /// It fills a hole that was given up: too late.
    Late,
}

/// What leaves a stream in which something waited.
#[expect(clippy::large_enum_variant, reason = "it is moved once, from the map to the fan-out")]
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Release {
    /// The hole before the next event is given up.
    Gap,
    /// The next event.
    Event(Event),
}

/// One stream in which positions count up by one.
#[derive(Debug)]
pub(crate) struct Sequence {
    limits: Limits,
    /// The position that went out last; `None` before the first, which may be any.
    position: Option<u64>,
    /// What the newest hole that was given up lacks, first and last.
    given_up: Option<(u64, u64)>,
    /// By position, all behind a hole. Bounded by the limits.
    waiting: BTreeMap<u64, Event>,
    /// What waits up to here goes, whatever is missing.
    due: Option<u64>,
    /// When to look next, while anything waits.
    look_at: Option<Nanos>,
}

impl Sequence {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            position: None,
            given_up: None,
            waiting: BTreeMap::new(),
            due: None,
            look_at: None,
        }
    }

    /// Takes note of a position that arrives.
    #[inline]
    pub(crate) fn arrive(&mut self, position: u64) -> Place {
        match self.position {
            Some(last) if position <= last => self.repeated(position),
            Some(last) if position - last > 1 => {
                if self.waiting.contains_key(&position) {
                    Place::Duplicate
                } else {
                    Place::Early
                }
            }
            _ => {
                self.position = Some(position);
                if self.waiting.is_empty() { Place::Next } else { Place::Filler }
            }
        }
    }

    #[cold]
    fn repeated(&self, position: u64) -> Place {
        let late = self.given_up.is_some_and(|(first, last)| (first..=last).contains(&position));
        if late { Place::Late } else { Place::Duplicate }
    }

    /// Keeps an early event; its header says when it was received.
    pub(crate) fn hold(&mut self, position: u64, event: Event, now: Nanos) {
        self.waiting.insert(position, event);
        self.look_at.get_or_insert(now + self.limits.look_every);
    }

    /// Looks who waited long enough, if it is time to.
    pub(crate) fn look(&mut self, now: Nanos) {
        if self.look_at.is_none_or(|at| now < at) {
            return;
        }
        self.look_at = Some(now + self.limits.look_every);
        let lateness = self.limits.lateness;
        let expired = |event: &Event| now.since(event.header.ts_recv) >= lateness;
        let newest = self.waiting.iter().rev().find(|(_, event)| expired(event));
        self.due = newest.map(|(position, _)| *position);
    }

    /// Nothing that waits is to wait any longer.
    pub(crate) fn flush(&mut self) {
        self.due = self.waiting.last_key_value().map(|(position, _)| *position);
    }

    /// The stream starts over: the next position may be any. To be called when nothing waits.
    pub(crate) fn forget(&mut self) {
        (self.position, self.given_up) = (None, None);
    }

    /// The next thing that may leave.
    pub(crate) fn release(&mut self) -> Option<Release> {
        let Some(entry) = self.waiting.first_entry() else {
            (self.due, self.look_at) = (None, None);
            return None;
        };
        let first = *entry.key();
        let next = self.position.map_or(first, |last| last.saturating_add(1));
        if first == next {
            self.position = Some(first);
            return Some(Release::Event(entry.remove()));
        }
        let over = self.waiting.len() > self.limits.events_max;
        if !over && self.due.is_none_or(|due| due < first) {
            return None;
        }
        self.given_up = Some((next, first - 1));
        self.position = Some(first - 1);
        Some(Release::Gap)
    }
}

/// The sequences of a shard.
#[derive(Debug, Default)]
pub(crate) struct Sequences {
    /// By provider: the kinds whose positions count up by one, and their limits.
    declared: BTreeMap<ProviderId, Vec<(Kind, Limits)>>,
    /// By lane; `None` for streams that pass straight through.
    by_lane: Vec<Option<Box<Sequence>>>,
    /// Lanes in which something waits.
    waiting: BTreeSet<Lane>,
}

impl Sequences {
    /// Says of a provider's streams of a kind that their positions count up by one.
    pub(crate) fn declare(
        &mut self,
        provider: ProviderId,
        kind: Kind,
        limits: Limits,
        books: &Books,
    ) {
        let kinds = self.declared.entry(provider).or_default();
        kinds.retain(|(other, _)| *other != kind);
        kinds.push((kind, limits));
        for (slot, _) in books.iter().filter(|(_, entry)| entry.provider == provider) {
            self.add_slot(slot, provider);
        }
    }

    /// Makes the sequences of a slot.
    pub(crate) fn add_slot(&mut self, slot: Slot, provider: ProviderId) {
        let declared = self.declared.get(&provider).map_or(&[][..], Vec::as_slice);
        for (kind, limits) in declared {
            let Some(lane) = slot.lane(*kind) else { continue };
            if self.by_lane.len() <= lane.index() {
                self.by_lane.resize_with((slot.index() + 1) * LANES, || None);
            }
            let place = &mut self.by_lane[lane.index()];
            place.get_or_insert_with(|| Box::new(Sequence::new(*limits)));
        }
    }

    /// The sequence of a lane, where it has one.
    #[inline]
    pub(crate) fn get(&mut self, lane: Lane) -> Option<&mut Sequence> {
        self.by_lane.get_mut(lane.index())?.as_deref_mut()
    }

    /// Keeps account of whether anything waits in a lane.
    pub(crate) fn note(&mut self, lane: Lane) {
        if self.get(lane).is_some_and(|sequence| sequence.look_at.is_some()) {
            self.waiting.insert(lane);
        } else {
            self.waiting.remove(&lane);
        }
    }

    /// When the next look is due, while anything waits.
    pub(crate) fn deadline(&self) -> Option<Nanos> {
        let sequences = self.waiting.iter().filter_map(|lane| self.by_lane.get(lane.index()));
        sequences.flatten().filter_map(|sequence| sequence.look_at).min()
    }

    /// A lane that is to be looked at now.
    pub(crate) fn due(&self, now: Nanos) -> Option<Lane> {
        let is_due = |lane: &&Lane| {
            let sequence = self.by_lane.get(lane.index()).and_then(Option::as_ref);
            sequence.and_then(|sequence| sequence.look_at).is_some_and(|at| at <= now)
        };
        self.waiting.iter().find(is_due).copied()
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
