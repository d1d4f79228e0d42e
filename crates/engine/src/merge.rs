//! Merge windows: what several providers send of one instrument and kind, joined into one event.
//!
//! A window opens with its first fragment and is over when its time has passed, when it holds as
//! many fragments as it may, or, where the merge says so, when every provider has sent
//! ([`CloseOn`]). All of them present: the newest fragment of each goes out as one event. One
//! missing: nothing goes out, and who was missing is counted. Times are those of arrival
//! ([`Header::ts_recv`]): a fragment that did not arrive after its merge's last window closed is
//! late, dropped and counted.
//!
//! Nothing here waits for anything, and an open window is plain memory: the newest fragment of each
//! provider, whatever the number that came. Execution never passes here.

use std::collections::BTreeMap;

use model::merged::{Fragment, MergedEvent};
use model::{Body, Header, InstrumentId, Kind, Nanos, ProviderId, Stream};
use pool::{LocalPool, LocalPooled};

use crate::books::Lane;

mod spec;
mod table;

pub use spec::{CloseOn, MergeSpec};
pub(crate) use table::{Input, Merges, Room};

/// What was counted of a merge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MergeCounts {
    /// Fragments that were taken into a window.
    pub fragments: u64,
    /// Fragments that arrived before the last window closed and came after it: dropped.
    pub late: u64,
    /// Windows in which all were present: so many events went out.
    pub emitted: u64,
    /// Windows in which somebody was missing: nothing went out.
    pub suppressed: u64,
    /// Of those, windows during which every provider's stream was `Live` all the time.
    pub suppressed_up: u64,
    /// In how many suppressed windows each provider was missing: of all that it ever joined.
    pub missing: BTreeMap<ProviderId, u64>,
    /// Complete windows for which the pool had no object; nothing went out.
    pub exhausted: u64,
}

impl MergeCounts {
    /// Counts for those providers too.
    fn join(&mut self, parties: &Parties) {
        for provider in &parties.providers {
            self.missing.entry(*provider).or_default();
        }
    }
}

/// One merge: what it joins, its window, and what was counted.
#[derive(Debug)]
pub struct Merge {
    spec: MergeSpec,
    parties: Parties,
    /// When it was removed, where it is not in force: it keeps its place, its counter and its counts
    /// until another merge needs them.
    removed: Option<Removed>,
    counts: MergeCounts,
    /// The event that goes out next has this position.
    next: u64,
    window: Window,
    /// When the last window closed.
    closed: Option<Nanos>,
}

/// When a merge was removed.
#[derive(Clone, Copy, Debug)]
struct Removed {
    /// How many had been before.
    nth: u64,
    /// The table that was in force: its events are of this version at most.
    version: u32,
}

/// The numbers behind a specification's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parties {
    /// The merge's own.
    pub id: ProviderId,
    pub instrument: InstrumentId,
    pub providers: Box<[ProviderId]>,
    /// By provider, where its fragments come from.
    pub inputs: Box<[Lane]>,
    /// Where merged events go.
    pub output: Lane,
}

/// What became of a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It opened a window, which this is the last instant of.
    First(Nanos),
    /// It went into the open window.
    Further,
    /// It went into the window, which closes with it, at that time.
    Last(Nanos),
    /// It did not arrive after the last window closed: dropped.
    Late,
}

/// The window of a merge; closed while it holds nothing.
#[derive(Debug, Default)]
struct Window {
    open: Nanos,
    /// Its last instant.
    end: Nanos,
    /// When the newest of its fragments arrived.
    newest: Nanos,
    /// By provider; what nobody sent has the count 0. Empty between windows.
    fragments: Vec<Fragment>,
    /// How many came.
    count: u32,
    /// From how many providers.
    present: usize,
}

impl Merge {
    pub(crate) fn new(spec: MergeSpec, parties: Parties) -> Self {
        let mut counts = MergeCounts::default();
        counts.join(&parties);
        Self {
            spec,
            parties,
            removed: None,
            counts,
            next: 1,
            window: Window::default(),
            closed: None,
        }
    }

    /// Puts it in force again, perhaps with other terms; its counters go on.
    fn revive(&mut self, spec: MergeSpec, parties: Parties) {
        self.counts.join(&parties);
        (self.spec, self.parties, self.removed) = (spec, parties, None);
    }

    /// Takes it out of force.
    fn retire(&mut self, removed: Removed) {
        self.removed = Some(removed);
        self.forget();
    }

    /// What it joins, and when its windows close.
    #[must_use]
    pub fn spec(&self) -> &MergeSpec {
        &self.spec
    }

    /// Its number among the providers: merged events come from there.
    #[must_use]
    pub fn id(&self) -> ProviderId {
        self.parties.id
    }

    /// What was counted, windows of before it was last removed included.
    #[must_use]
    pub fn counts(&self) -> &MergeCounts {
        &self.counts
    }

    /// Whether it is in force.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.removed.is_none()
    }

    pub(crate) fn output(&self) -> Lane {
        self.parties.output
    }

    /// The last instant of the open window.
    fn end(&self) -> Option<Nanos> {
        (self.window.count > 0).then_some(self.window.end)
    }

    /// When the open window closed, where its time is over.
    pub(crate) fn over(&self, now: Nanos) -> Option<Nanos> {
        self.end().filter(|end| *end < now)
    }

    /// Takes a fragment of the provider at that place, if there is such a place. Whether the window
    /// is over by time is to be asked before.
    pub(crate) fn take(&mut self, place: usize, header: &Header, body: &Body) -> Option<Taken> {
        let arrival = header.ts_recv;
        if self.closed.is_some_and(|closed| arrival <= closed) {
            self.counts.late += 1;
            return Some(Taken::Late);
        }
        let (window, providers) = (&mut self.window, self.parties.providers.len());
        let opens = window.count == 0;
        if opens {
            (window.open, window.end) = (arrival, arrival + self.spec.window);
            window.newest = arrival;
            window.fragments.resize(providers, Fragment::default());
        }
        let fragment = window.fragments.get_mut(place)?;
        let (provider, count) = (header.stream.provider, fragment.count + 1);
        *fragment = Fragment { provider, header: *header, body: body.clone(), count };
        window.newest = window.newest.max(arrival);
        window.present += usize::from(count == 1);
        window.count += 1;
        self.counts.fragments += 1;
        let complete = self.spec.close == CloseOn::Complete && window.present == providers;
        let last = complete || window.count >= self.spec.fragments_max;
        Some(match (last, opens) {
            (true, _) => Taken::Last(window.newest),
            (false, true) => Taken::First(window.end),
            (false, false) => Taken::Further,
        })
    }

    /// Where the open window's fragments come from, and since when it is open.
    pub(crate) fn inputs(&self) -> (&[Lane], Nanos) {
        (&self.parties.inputs, self.window.open)
    }

    /// Ends the open window at that time; where all were present, the event that goes out. `up`
    /// says whether all streams were `Live` since it opened.
    pub(crate) fn close(
        &mut self,
        at: Nanos,
        up: bool,
        pool: &LocalPool<MergedEvent>,
    ) -> Option<LocalPooled<MergedEvent>> {
        self.closed = Some(at);
        let complete = self.window.present == self.parties.providers.len();
        let event = if complete { self.fill(at, pool) } else { self.suppress(up) };
        self.forget();
        event
    }

    fn fill(
        &mut self,
        ts_close: Nanos,
        pool: &LocalPool<MergedEvent>,
    ) -> Option<LocalPooled<MergedEvent>> {
        let Some(mut event) = pool.try_acquire() else {
            self.counts.exhausted += 1;
            return None;
        };
        let Parties { id: provider, instrument, .. } = self.parties;
        let ts_open = self.window.open;
        event.header.stream = Stream { provider, instrument, kind: Kind::Merged };
        event.header.seq_provider = Some(self.next);
        // A window opens after the one before it closed, so its opening names it.
        (event.of, event.merge_id) = (self.spec.kind, ts_open.0);
        (event.ts_open, event.ts_close) = (ts_open, ts_close);
        event.fragments.append(&mut self.window.fragments);
        self.next += 1;
        self.counts.emitted += 1;
        Some(event)
    }

    fn suppress(&mut self, up: bool) -> Option<LocalPooled<MergedEvent>> {
        self.counts.suppressed += 1;
        self.counts.suppressed_up += u64::from(up);
        for (provider, fragment) in self.parties.providers.iter().zip(&self.window.fragments) {
            if let Some(missing) = self.counts.missing.get_mut(provider) {
                *missing += u64::from(fragment.count == 0);
            }
        }
        None
    }

    /// What is in the open window is given up.
    fn forget(&mut self) {
        self.window.fragments.clear();
        (self.window.count, self.window.present) = (0, 0);
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
