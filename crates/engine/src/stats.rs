//! What is counted per stream and per provider, and how long a stream was not to be relied on.

use std::collections::BTreeMap;

use model::Nanos;
use model::event::{Reason, StreamState};
use model::venue::{Count, Discard, Notice};

use crate::capacity::NOTICES_MAX;
use crate::histogram::LatencyHistogram;

/// The counters of one stream. The state of a book is kept with its updates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamStats {
    /// Venue messages decoded, whatever became of them.
    pub decoded: u64,
    /// Events routed, derived ones included.
    pub emitted: u64,
    /// Decoded and not newer than what the stream had.
    pub duplicates: u64,
    /// Decoded after the hole that they would have filled was given up, or so long after their
    /// neighbours that nobody knows any more whether they were there.
    pub late: u64,
    /// Decoded before something that they follow, and kept until it came or was given up.
    pub early: u64,
    /// Decoded and taken into a book that was not `Live`.
    pub absorbed: u64,
    /// Decoded though nobody subscribed.
    pub unsubscribed: u64,
    /// Events whose venue position was below the one before it: of streams whose positions skip, what
    /// one of two connections brought after the other had gone beyond it.
    pub out_of_order: u64,
    /// Transitions out of `Live` by a continuity or checksum fault, holes that were given up
    /// included.
    pub gaps: u64,
    /// Returns to `Live` after the first.
    pub resyncs: u64,
    /// Venue checksums that agreed.
    pub checksum_ok: u64,
    /// Venue checksums that differed.
    pub checksum_failed: u64,
    /// Periodic snapshots that agreed.
    pub compare_ok: u64,
    /// Probes sent.
    pub probes: u64,
    /// Changes of state or reason.
    pub transitions: u64,
    /// From leaving `Live` to being back, the last time, in ns.
    pub last_recovery_ns: Option<u64>,
    /// From the return of the read that completed a frame to the hand-over of its event, the wait
    /// behind a hole included.
    pub wait: LatencyHistogram,
    /// The state now.
    pub state: StreamState,
    /// Why.
    pub reason: Reason,
    /// Since when it is in that state; `None` before the first.
    pub since: Option<Nanos>,
    /// When the first state was given.
    started: Nanos,
    /// When it last left `Live`, while it is not back.
    left_live: Option<Nanos>,
    /// Time not `Live`, without the period that runs.
    not_live_ns: u64,
    last_seq: Option<u64>,
}

impl StreamStats {
    /// Counts an occurrence.
    pub(crate) fn count(&mut self, what: Count) {
        *match what {
            Count::Decoded => &mut self.decoded,
            Count::Gap => &mut self.gaps,
            Count::Resync => &mut self.resyncs,
            Count::ChecksumOk => &mut self.checksum_ok,
            Count::ChecksumFailed => &mut self.checksum_failed,
            Count::CompareOk => &mut self.compare_ok,
            Count::Probe => &mut self.probes,
        } += 1;
    }

    /// Counts a decoded message that reaches nobody, or nobody yet.
    pub(crate) fn discard(&mut self, why: Discard) {
        self.decoded += 1;
        *match why {
            Discard::Duplicate => &mut self.duplicates,
            Discard::Absorbed => &mut self.absorbed,
            Discard::Early => &mut self.early,
            Discard::Unsubscribed => &mut self.unsubscribed,
        } += 1;
    }

    /// Counts an event that goes out, at that position, so long after it was read.
    #[inline]
    pub(crate) fn emit(&mut self, seq: Option<u64>, wait_ns: u64) {
        self.emitted += 1;
        self.wait.record(wait_ns);
        if let Some(seq) = seq {
            self.out_of_order += u64::from(self.last_seq.is_some_and(|last| seq < last));
            self.last_seq = Some(seq);
        }
    }

    /// The state from `now` on; whether that changes anything.
    pub(crate) fn turn(&mut self, state: StreamState, reason: Reason, now: Nanos) -> bool {
        let first = self.since.is_none();
        if !first && (state, reason) == (self.state, self.reason) {
            return false;
        }
        self.transitions += 1;
        if first {
            self.started = now;
        }
        if first || state != self.state {
            if self.state != StreamState::Live {
                self.not_live_ns += self.running_ns(now);
            }
            self.note_recovery(first, state, now);
            self.since = Some(now);
        }
        (self.state, self.reason) = (state, reason);
        true
    }

    fn note_recovery(&mut self, first: bool, state: StreamState, now: Nanos) {
        if state == StreamState::Live {
            let left = self.left_live.take();
            self.last_recovery_ns = left.map(|left| ns(left, now)).or(self.last_recovery_ns);
        } else if !first && self.state == StreamState::Live {
            self.left_live = Some(now);
        }
    }

    /// Time in which the stream could not be relied on, from its first state until `now`, in ns.
    #[must_use]
    pub fn not_live_ns(&self, now: Nanos) -> u64 {
        let running = if self.state == StreamState::Live { 0 } else { self.running_ns(now) };
        self.not_live_ns + running
    }

    /// The share of its time in which the stream was `Live`, in millionths. A stream that was
    /// never given a state is not known to have been anything else.
    #[must_use]
    pub fn valid_ppm(&self, now: Nanos) -> u32 {
        const WHOLE: u128 = 1_000_000;
        let total = u128::from(ns(self.started, now));
        let live = total.saturating_sub(self.not_live_ns(now).into());
        match self.since {
            None => 1_000_000,
            Some(_) if total == 0 => u32::from(self.state == StreamState::Live) * 1_000_000,
            Some(_) => u32::try_from(live * WHOLE / total).unwrap_or(1_000_000),
        }
    }

    /// Whether it was `Live` all the time from then on.
    pub(crate) fn is_live_since(&self, then: Nanos) -> bool {
        self.state == StreamState::Live && self.since.is_some_and(|since| since <= then)
    }

    /// Whether anything was ever heard of the stream.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.since.is_some() || self.decoded > 0 || self.emitted > 0
    }

    fn running_ns(&self, now: Nanos) -> u64 {
        self.since.map_or(0, |since| ns(since, now))
    }
}

fn ns(from: Nanos, to: Nanos) -> u64 {
    to.0.saturating_sub(from.0)
}

/// The counters of one provider that belong to no stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderStats {
    /// Events that a decoder wanted while the pool was exhausted.
    pub exhausted: u64,
    /// Messages that could not be read.
    pub unreadable: u64,
    /// Of those, how many there was no room to keep.
    pub unreadable_not_kept: u64,
    /// Events that have no lane: the shard's table of books is full, or their kind is no market
    /// data.
    pub refused: u64,
    /// What the operator was told, by name.
    pub notices: Notices,
}

/// How often each thing was noticed: bounded, since names come from venues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notices {
    counts: BTreeMap<&'static str, BTreeMap<Box<str>, u64>>,
    names: usize,
    /// Occurrences whose name came after the table was full.
    pub others: u64,
}

/// Longer names are cut.
const NAME_BYTES_MAX: usize = 128;

impl Notices {
    /// Counts an occurrence; `true` the first time that it is seen, or where it has no room.
    pub(crate) fn count(&mut self, notice: Notice<'_>) -> bool {
        let (what, name) = parts(notice);
        let name = name.get(..name.floor_char_boundary(NAME_BYTES_MAX)).unwrap_or(name);
        let counts = self.counts.entry(what).or_default();
        if let Some(count) = counts.get_mut(name) {
            *count += 1;
            return false;
        }
        if self.names >= NOTICES_MAX {
            self.others += 1;
            return false;
        }
        self.names += 1;
        counts.insert(name.into(), 1);
        true
    }

    /// Every (what, name, count), in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str, u64)> {
        self.counts
            .iter()
            .flat_map(|(what, names)| names.iter().map(|(name, count)| (*what, &**name, *count)))
    }

    /// How often a notice of that sort was counted under a name of its own.
    #[must_use]
    pub fn total(&self, what: &str) -> u64 {
        self.counts.get(what).map_or(0, |names| names.values().sum())
    }
}

/// A notice's sort, as output uses it, and its detail.
pub(crate) fn parts(notice: Notice<'_>) -> (&'static str, &str) {
    match notice {
        Notice::UnknownType(name) => ("unknown_type", name),
        Notice::UnexpectedSymbol(name) => ("unexpected_symbol", name),
        Notice::UnreadableInstrument(name) => ("unreadable_instrument", name),
        Notice::UnknownInstrument(name) => ("unknown_instrument", name),
        Notice::SubscriptionRefused(name) => ("subscription_refused", name),
        Notice::RequestRefused(name) => ("request_refused", name),
        Notice::ShutdownAnnounced(name) => ("shutdown_announced", name),
        Notice::VenueStatus(name) => ("venue_status", name),
    }
}

/// Whether a message could not be used, since what it is or what it is about is not known.
pub(crate) fn is_unmapped(notice: Notice<'_>) -> bool {
    match notice {
        Notice::UnknownType(_)
        | Notice::UnexpectedSymbol(_)
        | Notice::UnreadableInstrument(_)
        | Notice::UnknownInstrument(_) => true,
        Notice::SubscriptionRefused(_)
        | Notice::RequestRefused(_)
        | Notice::ShutdownAnnounced(_)
        | Notice::VenueStatus(_) => false,
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use StreamState::{Gapped, Live, Stale, Syncing};

    #[test]
    fn time_in_state_is_accounted_from_the_first_state_on() {
        let mut stats = StreamStats::default();
        assert_eq!(stats.valid_ppm(Nanos(1_000)), 1_000_000);
        assert!(stats.turn(Syncing, Reason::Subscribed, Nanos(1_000)));
        assert_eq!((stats.not_live_ns(Nanos(1_300)), stats.valid_ppm(Nanos(1_300))), (300, 0));
        assert!(stats.turn(Live, Reason::Synced, Nanos(1_500)));
        assert_eq!(stats.last_recovery_ns, None, "the first sync is no recovery");
        assert_eq!(stats.valid_ppm(Nanos(2_000)), 500_000);
        assert!(stats.turn(Gapped, Reason::SequenceGap, Nanos(2_500)));
        assert!(stats.turn(Gapped, Reason::RateLimited, Nanos(2_600)), "a reason is a change");
        assert_eq!(stats.since, Some(Nanos(2_500)), "but the state goes on");
        assert!(stats.turn(Stale, Reason::Disconnected, Nanos(2_700)));
        assert!(stats.turn(Live, Reason::Synced, Nanos(3_000)));
        assert_eq!(stats.last_recovery_ns, Some(500));
        assert_eq!(stats.not_live_ns(Nanos(9_000)), 1_000);
        assert_eq!(stats.valid_ppm(Nanos(3_000)), 500_000);
        assert_eq!(stats.transitions, 5 + 1);
    }

    #[test]
    fn the_same_state_for_the_same_reason_changes_nothing() {
        let mut stats = StreamStats::default();
        assert!(stats.turn(Live, Reason::Flowing, Nanos(5)));
        let before = stats.clone();
        assert!(!stats.turn(Live, Reason::Flowing, Nanos(50)));
        assert_eq!(stats, before);
        assert_eq!(stats.valid_ppm(Nanos(5)), 1_000_000, "no time has passed, and it is live");
    }

    #[test]
    fn a_position_that_goes_back_is_counted_and_equal_ones_are_not() {
        let mut stats = StreamStats::default();
        for seq in [Some(5), Some(5), None, Some(4), Some(6)] {
            stats.emit(seq, 7);
        }
        assert_eq!((stats.emitted, stats.out_of_order), (5, 1));
        assert_eq!((stats.wait.count(), stats.wait.at(1_000_000)), (5, 7));
    }

    #[test]
    fn notices_are_counted_by_name_within_a_bound() {
        let mut notices = Notices::default();
        assert!(notices.count(Notice::UnknownType("rolling")));
        assert!(!notices.count(Notice::UnknownType("rolling")));
        assert!(notices.count(Notice::UnexpectedSymbol("rolling")), "sorts are kept apart");
        for n in 0..2 * NOTICES_MAX {
            notices.count(Notice::UnknownType(&format!("type {n}")));
        }
        assert_eq!(notices.iter().count(), NOTICES_MAX);
        assert_eq!(notices.others, NOTICES_MAX as u64 + 2);
        assert_eq!(notices.total("unknown_type"), NOTICES_MAX as u64);
        let long = "ä".repeat(NAME_BYTES_MAX);
        let mut notices = Notices::default();
        notices.count(Notice::UnknownType(&long));
        assert!(notices.iter().all(|(_, name, _)| name.len() == NAME_BYTES_MAX));
    }
}
