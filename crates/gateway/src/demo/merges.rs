//! A consumer that gets merged events and everything that they are made of, and checks each.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::{Consumer, Context, MergeSpec, Subscription};
use model::event::Merged;
use model::{Body, Event, Header, Kind, Nanos, ProviderId};

use super::stage::Part;

/// What the merge of a demo is called.
pub const NAME: &str = "merged-quotes";

/// What a demo merges: quotes of the first instrument over all venues that have them; `None` where
/// fewer than two do.
#[must_use]
pub fn spec(parts: &[Part]) -> Option<MergeSpec> {
    let instrument = parts.first()?.instruments.first()?;
    let has =
        |part: &&Part| part.kinds.contains(&Kind::Quote) && part.instruments.contains(instrument);
    let providers: Vec<_> = parts.iter().filter(has).map(|part| part.venue.into()).collect();
    (providers.len() > 1).then(|| MergeSpec {
        name: NAME.into(),
        instrument: instrument.as_str().into(),
        kind: Kind::Quote,
        providers,
        window: Duration::from_secs(1),
        ..MergeSpec::default()
    })
}

/// The consumer; clones share what it saw.
#[derive(Clone, Debug)]
pub struct Merges(Arc<Mutex<Seen>>);

#[derive(Debug)]
struct Seen {
    spec: MergeSpec,
    /// Whether everything is kept for a [`replay`](Merges::replay).
    keeps: bool,
    windows: Vec<Window>,
    quotes: Vec<Header>,
    last: Option<(u64, u64)>,
    broken: Vec<String>,
}

/// A window: when it opened and closed, and of each provider its newest event, by trace id, and how
/// many it sent.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Window {
    open: Nanos,
    close: Nanos,
    newest: Vec<(u64, u32)>,
}

impl Merges {
    /// A consumer that checks the events of that merge one by one.
    #[must_use]
    pub fn new(spec: MergeSpec) -> Self {
        Self::make(spec, false)
    }

    /// One that also keeps them all, for a run of known length.
    #[must_use]
    pub fn keeping(spec: MergeSpec) -> Self {
        Self::make(spec, true)
    }

    fn make(spec: MergeSpec, keeps: bool) -> Self {
        let (windows, quotes, broken) = (Vec::new(), Vec::new(), Vec::new());
        Self(Arc::new(Mutex::new(Seen { spec, keeps, windows, quotes, last: None, broken })))
    }

    /// What it has to be subscribed to: the merged events, and what they are made of where it keeps
    /// that.
    #[must_use]
    pub fn wants(&self) -> Subscription {
        let seen = self.lock();
        if !seen.keeps {
            return Subscription::of(&seen.spec.name, &seen.spec.instrument, Kind::Merged);
        }
        let kinds = vec![Kind::Merged, seen.spec.kind];
        let instruments = vec![seen.spec.instrument.clone()];
        Subscription { instruments, kinds, ..Subscription::default() }
    }

    /// What did not hold so far, in words.
    #[must_use]
    pub fn broken(&self) -> Vec<String> {
        self.lock().broken.clone()
    }

    /// Where the windows that came are not those that a replay over everything kept comes to;
    /// `now` is the time up to which the engine was driven.
    #[must_use]
    pub fn replay(
        &self,
        now: Nanos,
        provider: impl Fn(&str) -> Option<ProviderId>,
    ) -> (u64, Option<String>) {
        let seen = self.lock();
        let providers: Vec<_> =
            seen.spec.providers.iter().filter_map(|name| provider(name)).collect();
        let expected = replay(&seen.spec, &providers, &seen.quotes, now);
        let (found, wanted) = (seen.windows.len(), expected.len());
        let differs = (0..found.max(wanted)).find(|n| seen.windows.get(*n) != expected.get(*n));
        let wrong = differs.map(|at| {
            let (found, wanted) = (seen.windows.get(at), expected.get(at));
            format!("merged window {at} is {found:?}, a replay comes to {wanted:?}")
        });
        (wanted as u64, wrong)
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Consumer for Merges {
    fn on_event(&mut self, event: Event, _: &mut Context<'_>) {
        let mut seen = self.lock();
        match &event.body {
            Body::Merged(merged) => seen.merged(&event.header, merged),
            _ if seen.keeps && event.kind() == seen.spec.kind => seen.quotes.push(event.header),
            _ => {}
        }
    }
}

impl Seen {
    fn merged(&mut self, header: &Header, merged: &Merged) {
        let position = (header.seq_provider.unwrap_or(0), merged.merge_id);
        let follows = self.last.is_none_or(|last| last.0 < position.0 && last.1 < position.1);
        self.last = Some(position);
        let all = merged.fragments.len() == self.spec.providers.len()
            && merged.fragments.iter().all(|fragment| fragment.count > 0);
        if !(follows && all) && self.broken.len() < 8 {
            self.broken.push(format!("merged event {position:?} is partial or came twice"));
        }
        if self.keeps {
            let newest = merged.fragments.iter().map(|f| (f.header.trace_id, f.count)).collect();
            self.windows.push(Window { open: merged.ts_open, close: merged.ts_close, newest });
        }
    }
}

/// The windows of a list of events, closed by time alone, read over the whole list.
fn replay(spec: &MergeSpec, providers: &[ProviderId], list: &[Header], now: Nanos) -> Vec<Window> {
    let mut windows = Vec::new();
    let mut rest = list;
    while let Some(first) = rest.first() {
        let (open, end) = (first.ts_recv, first.ts_recv + spec.window);
        let within = rest.iter().take_while(|header| header.ts_recv <= end).count();
        let full = usize::try_from(spec.fragments_max).unwrap_or(usize::MAX);
        let (members, behind) = rest.split_at(within.min(full));
        let closed_full = members.len() == full;
        if !closed_full && end >= now {
            break;
        }
        let close = members.last().filter(|_| closed_full).map_or(end, |last| last.ts_recv);
        let mut newest: BTreeMap<ProviderId, (u64, u32)> = BTreeMap::new();
        for header in members {
            let newest = newest.entry(header.stream.provider).or_default();
            *newest = (header.trace_id, newest.1 + 1);
        }
        let newest: Option<Vec<_>> =
            providers.iter().map(|provider| newest.get(provider).copied()).collect();
        windows.extend(newest.map(|newest| Window { open, close, newest }));
        let late = behind.iter().take_while(|header| header.ts_recv <= close).count();
        rest = &behind[late..];
    }
    windows
}
