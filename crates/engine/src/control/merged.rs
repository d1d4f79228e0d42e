//! Merges that are commanded: each lives as long as a consumer wants it.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::control::Refusal;
use model::{ConsumerId, Error, Kind, Nanos, Stream, instrument};

use super::{Control, Done, check};
use crate::books::lane_kind;
use crate::capacity::MERGES_PER_CONSUMER;
use crate::merge::MergeSpec;
use crate::route::{Filter, Subscription};
use crate::shard::Shard;

/// A merge that was commanded.
#[derive(Debug)]
pub(super) struct Merged {
    consumers: BTreeSet<ConsumerId>,
    /// Whether it was there before anybody commanded it: then it stays.
    lasting: bool,
    /// What a consumer of it subscribes.
    filter: Arc<Filter>,
    /// What it needs of venues.
    inputs: Vec<Stream>,
}

impl Control {
    /// Lets a consumer have a merge's events.
    pub(super) fn add_merged(
        &mut self,
        consumer: ConsumerId,
        spec: &MergeSpec,
        shard: &mut Shard,
        now: Nanos,
    ) -> Result<Done, Refusal> {
        let MergeSpec { name, instrument, kind, providers, .. } = spec;
        let parts = Subscription {
            providers: providers.clone(),
            instruments: vec![instrument.clone()],
            kinds: vec![*kind],
            ..Subscription::default()
        };
        check::subscription(&parts, shard.catalog(), &self.offers)?;
        if !instrument::is_canonical(instrument) {
            return Err(Refusal::MalformedInstrument);
        }
        // Whoever has it already takes no more room.
        let is_new =
            self.merged.get(name).is_none_or(|merged| !merged.consumers.contains(&consumer));
        if is_new {
            self.admit_merge(consumer)?;
        }
        let edit = self.edit(shard).clone();
        let refuse = |error: Error| {
            tracing::warn!(merge = &**name, %error, "a merge is refused");
            Refusal::MalformedMerge
        };
        shard.check_merge(spec, &|id| edit.names(id)).map_err(refuse)?;
        if is_new {
            self.admit(consumer, &parts, shard)?;
        }
        let lasting = shard.merges().any(|merge| merge.is_active() && merge.spec() == spec);
        shard.put_merge(spec, &|id| edit.names(id)).map_err(refuse)?;
        let catalog = shard.catalog();
        let wanted = Subscription::of(name, instrument, Kind::Merged);
        let filter = Arc::new(Filter::new(&wanted, catalog).map_err(|_| Refusal::NoRoom)?);
        let inputs = Filter::new(&parts, catalog).map_err(|_| Refusal::NoRoom)?;
        let inputs: Vec<_> = inputs
            .streams()
            .map(|stream| Stream { kind: lane_kind(stream.kind), ..stream })
            .collect();
        let merged = self.merged.entry(name.clone()).or_insert_with(|| Merged {
            consumers: BTreeSet::new(),
            lasting,
            filter: filter.clone(),
            inputs: inputs.clone(),
        });
        if is_new {
            merged.consumers.insert(consumer);
            inputs.iter().for_each(|stream| self.natives.retain(*stream));
            self.edit(shard).add(consumer, filter.clone());
        }
        Ok(Done { verdict: self.standing(&inputs, now), wanted: Some((filter, inputs)) })
    }

    /// Whether a consumer may have one more merge.
    fn admit_merge(&self, consumer: ConsumerId) -> Result<(), Refusal> {
        let there = self.merged.values().filter(|merged| merged.consumers.contains(&consumer));
        if there.count() < MERGES_PER_CONSUMER {
            Ok(())
        } else {
            Err(Refusal::TooManySubscriptions)
        }
    }

    /// Takes a merge's events from a consumer.
    pub(super) fn remove_merged(
        &mut self,
        consumer: ConsumerId,
        name: &str,
        shard: &mut Shard,
        now: Nanos,
    ) {
        let Some(merged) = self.merged.get_mut(name) else { return };
        if !merged.consumers.remove(&consumer) {
            return;
        }
        let (filter, inputs) = (merged.filter.clone(), merged.inputs.clone());
        if merged.consumers.is_empty() {
            let lasting = merged.lasting;
            self.merged.remove(name);
            if !lasting {
                shard.remove_merge(name);
            }
        }
        inputs.iter().for_each(|stream| self.natives.release(*stream, now));
        self.edit(shard).remove(consumer, &filter);
        self.withdraw(consumer, &filter);
    }
}
