//! Merges on the shard: which there are, the fragments that go into them, the events that come out.

use model::{Body, Error, Event, Header, Kind, Nanos, ProviderId};

use super::Shard;
use crate::books::Lane;
use crate::dead_letters::{Content, LetterReason};
use crate::merge::{Input, Merge, MergeSpec, Parties, Room, Taken};

/// What a merge that is asked for comes to.
#[derive(Debug)]
pub(crate) enum Checked {
    /// It is there, alike.
    There(ProviderId),
    /// It can be had, there, with those providers.
    New(Room, Box<[ProviderId]>),
}

fn no_room(spec: &MergeSpec) -> Error {
    Error::reject(format!("the merge '{}': no room for its streams", spec.name))
}

impl Shard {
    /// Puts a merge in force and gives its number among the providers. Whoever subscribes
    /// [`Kind::Merged`] of a provider of that number or name gets its events.
    /// Asked for twice alike, nothing changes.
    ///
    /// The windows begin with the next event. That the providers' streams come at all is not this
    /// method's business.
    ///
    /// # Errors
    /// [`Remedy::Reject`](model::Remedy::Reject), and nothing has changed: the specification does not
    /// hold together, a provider is not known, the name is taken, or there is no room.
    pub fn add_merge(&mut self, spec: &MergeSpec) -> Result<ProviderId, Error> {
        self.put_merge(spec, &|_| false)
    }

    /// The same, where `is_named` says whose numbers a table that is staged names.
    pub(crate) fn put_merge(
        &mut self,
        spec: &MergeSpec,
        is_named: &dyn Fn(ProviderId) -> bool,
    ) -> Result<ProviderId, Error> {
        match self.check_merge(spec, is_named)? {
            Checked::There(id) => Ok(id),
            Checked::New(room, providers) => self.make_merge(spec, room, providers),
        }
    }

    /// Whether a merge can be put in force; changes nothing.
    pub(crate) fn check_merge(
        &self,
        spec: &MergeSpec,
        is_named: &dyn Fn(ProviderId) -> bool,
    ) -> Result<Checked, Error> {
        if let Some(known) = self.merges.find(&spec.name).filter(|merge| merge.is_active()) {
            return if known.spec() == spec {
                Ok(Checked::There(known.id()))
            } else {
                Err(Error::reject(format!(
                    "a merge named '{}' is there with other terms ({:?}): remove it first, or take \
                     another name",
                    spec.name,
                    known.spec()
                )))
            };
        }
        spec.check()?;
        let providers = spec.providers.iter().map(|name| self.merged_provider(spec, name));
        let providers = providers.collect::<Result<Box<[_]>, _>>()?;
        let taken = self.catalog.find_provider(&spec.name);
        if spec.name.is_empty() || taken.is_some_and(|id| !self.merges.is_merge(id)) {
            return Err(Error::reject(format!(
                "a merge can't be named '{}': expected a name that no provider has",
                spec.name
            )));
        }
        let is_named = |id| is_named(id) || self.fanout.table().names(id);
        let room = self.merges.room(&spec.name, self.fanout.version(), is_named)?;
        if self.slots_wanted(spec, room, &providers) > self.slots_free() {
            return Err(no_room(spec));
        }
        Ok(Checked::New(room, providers))
    }

    /// How many slots a merge needs that are not there yet.
    fn slots_wanted(&self, spec: &MergeSpec, room: Room, providers: &[ProviderId]) -> usize {
        let instrument = self.catalog.find_instrument(&spec.instrument);
        let lacks = |id: ProviderId| instrument.is_none_or(|i| self.books.find(id, i).is_none());
        let own = match room {
            Room::Known(id) | Room::Of(id) => lacks(id),
            Room::New => true,
        };
        providers.iter().filter(|id| lacks(**id)).count() + usize::from(own)
    }

    /// Takes a merge out of force; its open window is forgotten. Whether there was one of that
    /// name.
    pub fn remove_merge(&mut self, name: &str) -> bool {
        self.merges.remove(name, self.fanout.version())
    }

    /// Every merge that there is, and those that were removed and whose place no other has taken.
    pub fn merges(&self) -> impl Iterator<Item = &Merge> {
        self.merges.iter()
    }

    /// Puts a merge in force that was found to be right.
    fn make_merge(
        &mut self,
        spec: &MergeSpec,
        room: Room,
        providers: Box<[ProviderId]>,
    ) -> Result<ProviderId, Error> {
        let gone = match room {
            Room::Of(id) => Some(id),
            Room::Known(_) | Room::New => None,
        };
        // Other threads know the catalog too: this is the last thing that may fail.
        let (id, instrument) = self.catalog.merge(&spec.name, &spec.instrument, gone)?;
        let mut lane = |provider, kind| {
            let slot = self.slot(provider, instrument);
            slot.and_then(|slot| slot.lane(kind)).ok_or_else(|| no_room(spec))
        };
        let inputs = providers.iter().map(|provider| lane(*provider, spec.kind));
        let inputs = inputs.collect::<Result<_, _>>()?;
        let output = lane(id, Kind::Merged)?;
        self.merges.put(spec.clone(), Parties { id, instrument, providers, inputs, output });
        Ok(id)
    }

    fn merged_provider(&self, spec: &MergeSpec, name: &str) -> Result<ProviderId, Error> {
        let found = self.catalog.find_provider(name).filter(|id| !self.merges.is_merge(*id));
        found.ok_or_else(|| {
            let known: Vec<_> =
                self.catalog.providers().into_iter().map(|(_, name)| name).collect();
            let MergeSpec { name: merge, .. } = spec;
            Error::reject(format!(
                "the merge '{merge}': no provider is named '{name}'; there are {known:?}"
            ))
        })
    }

    /// An event that goes out is a fragment of every merge that takes its stream. `now` is when it
    /// came out of its stream, later than its arrival where it waited for its turn.
    #[inline(never)]
    pub(super) fn merge(
        &mut self,
        lane: Lane,
        (header, body): (&Header, &Body),
        now: Nanos,
        ts_emit: Nanos,
    ) {
        let mut nth = 0;
        while let Some(Input { merge: n, place }) = self.merges.input(lane, nth) {
            nth += 1;
            self.close_if_over(n, now, ts_emit);
            let taken = self.merges.get_mut(n).and_then(|merge| merge.take(place, header, body));
            match taken {
                Some(Taken::Last(at)) => self.close_window(n, at, at, ts_emit),
                Some(Taken::First(end)) => self.merges.note(end),
                Some(Taken::Late) => self.bury_fragment(n, (header, body), now),
                Some(Taken::Further) | None => {}
            }
        }
    }

    #[cold]
    fn bury_fragment(&mut self, n: usize, (header, body): (&Header, &Body), now: Nanos) {
        let Some(merge) = self.merges.get_mut(n).map(|merge| merge.id()) else { return };
        self.letters.put(LetterReason::LateFragment, now, || {
            let event = Event { header: *header, body: body.clone(), levels: None };
            Some(Content::LateFragment { merge, event })
        });
    }

    /// Closes the windows whose time is over.
    pub(super) fn close_windows(&mut self, now: Nanos) {
        while let Some(n) = self.merges.over(now) {
            self.close_if_over(n, now, now);
        }
    }

    fn close_if_over(&mut self, n: usize, now: Nanos, ts_emit: Nanos) {
        if let Some(end) = self.merges.get_mut(n).and_then(|merge| merge.over(now)) {
            self.close_window(n, end, now, ts_emit);
        }
    }

    /// Closes the window of the nth merge at that time. What it comes to goes out as received when
    /// it was known, which is `ts_recv`: at the last fragment's arrival, or now.
    fn close_window(&mut self, n: usize, at: Nanos, ts_recv: Nanos, ts_emit: Nanos) {
        let Some(merge) = self.merges.get_mut(n) else { return };
        let output = merge.output();
        let (inputs, opened) = merge.inputs();
        let up = inputs.iter().all(|lane| {
            let stream = self.streams.get(lane.index());
            stream.is_some_and(|stream| stream.is_live_since(opened))
        });
        let Some(mut event) = merge.close(at, up, &self.pools.merged_events) else { return };
        event.header.ts_recv = ts_recv;
        event.header.ts_emit = ts_emit;
        event.header.routing_version = self.fanout.version();
        event.header.trace_id = self.next_trace();
        self.fanout.send_merged(output, &event);
    }
}
