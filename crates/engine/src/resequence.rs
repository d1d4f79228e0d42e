//! Resequencing: streams whose positions count up by one leave here in that order, each event once.
//! Those whose positions skip leave as they come, each event once (`recent`).
//!
//! What comes in order is not delayed. An event behind a hole waits, in plain memory, until the hole
//! is filled, or has kept it for [`Limits::lateness`], or more than [`Limits::events_max`] wait; then
//! the hole is given up and what waited goes out. What is not newer than what went out is dropped,
//! so of two connections that bring the same stream the first wins.
//!
//! Which streams these are is the venue's to say
//! ([`Profile::contiguous`](model::venue::Profile::contiguous),
//! [`Profile::skipping`](model::venue::Profile::skipping)); all others pass straight through.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use model::venue::Limits;
use model::{Event, Kind, Nanos, ProviderId};

use crate::books::{Books, LANES, Lane, Slot};
use crate::capacity::HOLES_MAX;

mod recent;

use recent::Recent;

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
    /// Too late: it fills a hole that was given up, or nobody knows any more whether it was there.
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
    /// What the newest holes that were given up lack, first and last of each; ascending.
    given_up: VecDeque<(u64, u64)>,
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
            given_up: VecDeque::new(),
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

    /// A position that has gone by: late once, and then it was there.
    #[cold]
    fn repeated(&mut self, position: u64) -> Place {
        let holds = |(first, last): &(u64, u64)| (*first..=*last).contains(&position);
        let Some(at) = self.given_up.iter().position(holds) else { return Place::Duplicate };
        if let Some((first, last)) = self.given_up.remove(at) {
            // The upper part first, so that both stand at the same place in the end.
            if position < last {
                self.given_up.insert(at, (position + 1, last));
            }
            if first < position {
                self.given_up.insert(at, (first, position - 1));
            }
        }
        self.trim();
        Place::Late
    }

    fn trim(&mut self) {
        while self.given_up.len() > HOLES_MAX {
            self.given_up.pop_front();
        }
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
        self.position = None;
        self.given_up.clear();
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
        self.given_up.push_back((next, first - 1));
        self.trim();
        self.position = Some(first - 1);
        Some(Release::Gap)
    }
}

/// What is done to the streams of a kind.
#[derive(Clone, Copy, Debug)]
enum Rule {
    InOrder(Limits),
    Once,
}

/// One stream of which anything is known.
#[derive(Debug)]
enum Known {
    InOrder(Box<Sequence>),
    Once(Box<Recent>),
}

impl Known {
    fn new(rule: Rule) -> Self {
        match rule {
            Rule::InOrder(limits) => Self::InOrder(Box::new(Sequence::new(limits))),
            Rule::Once => Self::Once(Box::default()),
        }
    }

    fn sequence(&self) -> Option<&Sequence> {
        match self {
            Self::InOrder(sequence) => Some(sequence),
            Self::Once(_) => None,
        }
    }
}

/// The sequences of a shard.
#[derive(Debug, Default)]
pub(crate) struct Sequences {
    /// By provider: the kinds whose positions say something.
    declared: BTreeMap<ProviderId, Vec<(Kind, Rule)>>,
    /// By lane; `None` for streams that pass straight through.
    by_lane: Vec<Option<Known>>,
    /// Lanes in which something waits.
    waiting: BTreeSet<Lane>,
}

impl Sequences {
    /// Says of a provider's streams of a kind that their positions count up by one.
    pub(crate) fn in_order(
        &mut self,
        provider: ProviderId,
        kind: Kind,
        limits: Limits,
        books: &Books,
    ) {
        self.declare(provider, (kind, Rule::InOrder(limits)), books);
    }

    /// The same of those whose positions only go up.
    pub(crate) fn once(&mut self, provider: ProviderId, kind: Kind, books: &Books) {
        self.declare(provider, (kind, Rule::Once), books);
    }

    fn declare(&mut self, provider: ProviderId, (kind, rule): (Kind, Rule), books: &Books) {
        let kinds = self.declared.entry(provider).or_default();
        kinds.retain(|(other, _)| *other != kind);
        kinds.push((kind, rule));
        for (slot, _) in books.iter().filter(|(_, entry)| entry.provider == provider) {
            self.add_slot(slot, provider);
        }
    }

    /// Makes the sequences of a slot.
    pub(crate) fn add_slot(&mut self, slot: Slot, provider: ProviderId) {
        let declared = self.declared.get(&provider).map_or(&[][..], Vec::as_slice);
        for (kind, rule) in declared {
            let Some(lane) = slot.lane(*kind) else { continue };
            if self.by_lane.len() <= lane.index() {
                self.by_lane.resize_with((slot.index() + 1) * LANES, || None);
            }
            self.by_lane[lane.index()].get_or_insert_with(|| Known::new(*rule));
        }
    }

    /// Where a position that arrives stands in its stream.
    #[inline]
    pub(crate) fn arrive(&mut self, lane: Lane, position: Option<u64>) -> Place {
        let known = self.by_lane.get_mut(lane.index()).and_then(Option::as_mut);
        match (known, position) {
            (Some(Known::InOrder(sequence)), Some(position)) => sequence.arrive(position),
            (Some(Known::Once(recent)), Some(position)) => recent.arrive(position),
            _ => Place::Next,
        }
    }

    /// The sequence of a lane, where its positions count up by one.
    #[inline]
    pub(crate) fn get(&mut self, lane: Lane) -> Option<&mut Sequence> {
        match self.by_lane.get_mut(lane.index())? {
            Some(Known::InOrder(sequence)) => Some(sequence),
            _ => None,
        }
    }

    /// The stream starts over: the next position may be any. To be called when nothing waits.
    pub(crate) fn forget(&mut self, lane: Lane) {
        match self.by_lane.get_mut(lane.index()) {
            Some(Some(Known::InOrder(sequence))) => sequence.forget(),
            Some(Some(Known::Once(recent))) => **recent = Recent::default(),
            _ => {}
        }
    }

    /// Whether a stream's consumers have to be told of something that was too late. Of a hole that
    /// was given up they have heard when it was.
    pub(crate) fn tells(&mut self, lane: Lane) -> bool {
        match self.by_lane.get_mut(lane.index()) {
            Some(Some(Known::Once(recent))) => recent.tells(),
            _ => false,
        }
    }

    /// Keeps account of whether anything waits in a lane.
    pub(crate) fn note(&mut self, lane: Lane) {
        if self.get(lane).is_some_and(|sequence| sequence.look_at.is_some()) {
            self.waiting.insert(lane);
        } else {
            self.waiting.remove(&lane);
        }
    }

    /// How many events of a lane wait behind a hole.
    pub(crate) fn waiting(&self, lane: Lane) -> usize {
        let known = self.by_lane.get(lane.index()).and_then(Option::as_ref);
        known.and_then(Known::sequence).map_or(0, |sequence| sequence.waiting.len())
    }

    fn look_at(&self, lane: Lane) -> Option<Nanos> {
        let known = self.by_lane.get(lane.index())?.as_ref()?;
        known.sequence()?.look_at
    }

    /// When the next look is due, while anything waits.
    pub(crate) fn deadline(&self) -> Option<Nanos> {
        self.waiting.iter().filter_map(|lane| self.look_at(*lane)).min()
    }

    /// A lane that is to be looked at now.
    pub(crate) fn due(&self, now: Nanos) -> Option<Lane> {
        let is_due = |lane: &&Lane| self.look_at(**lane).is_some_and(|at| at <= now);
        self.waiting.iter().find(is_due).copied()
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
