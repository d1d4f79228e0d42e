//! Merges that are commanded: each lives as long as a consumer wants it.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::control::Refusal;
use model::{ConsumerId, Error, Kind, Nanos, Stream};

use super::{Control, Done, check};
use crate::books::lane_kind;
use crate::capacity::MERGES_PER_CONSUMER;
use crate::catalog::Catalog;
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
        let parts = parts(spec);
        check::subscription(&parts, shard.catalog(), &self.offers)?;
        // Whoever has it already takes no more room.
        let is_new =
            self.merged.get(&spec.name).is_none_or(|merged| !merged.consumers.contains(&consumer));
        if is_new {
            self.admit_merge(consumer)?;
        }
        let edit = self.edit(shard).clone();
        let refuse = |error: Error| {
            tracing::warn!(merge = &*spec.name, %error, "a merge is refused");
            Refusal::MalformedMerge
        };
        shard.check_merge(spec, &|id| edit.names(id)).map_err(refuse)?;
        if is_new {
            self.admit(consumer, &parts, shard)?;
        }
        let lasting = shard.merges().any(|merge| merge.is_active() && merge.spec() == spec);
        shard.put_merge(spec, &|id| edit.names(id)).map_err(refuse)?;
        let (filter, inputs) = needs(spec, &parts, shard.catalog())?;
        let merged = self.merged.entry(spec.name.clone()).or_insert_with(|| Merged {
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

    /// The merge of which these are the events, where the consumer has commanded it.
    pub(super) fn merge_of(&self, consumer: ConsumerId, events: &Filter) -> Option<Box<str>> {
        let is_it =
            |merged: &Merged| *merged.filter == *events && merged.consumers.contains(&consumer);
        self.merged.iter().find(|(_, merged)| is_it(merged)).map(|(name, _)| name.clone())
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

/// What is merged, as a subscription.
fn parts(spec: &MergeSpec) -> Subscription {
    Subscription {
        providers: spec.providers.clone(),
        instruments: vec![spec.instrument.clone()],
        kinds: vec![spec.kind],
        ..Subscription::default()
    }
}

/// What a consumer of a merge subscribes, and which streams that needs of venues.
fn needs(
    spec: &MergeSpec,
    parts: &Subscription,
    catalog: &Catalog,
) -> Result<(Arc<Filter>, Vec<Stream>), Refusal> {
    let wanted = Subscription::of(&spec.name, &spec.instrument, Kind::Merged);
    let filter = Filter::new(&wanted, catalog).map_err(|_| Refusal::NoRoom)?;
    let inputs = Filter::new(parts, catalog).map_err(|_| Refusal::NoRoom)?;
    let of_lane = |stream: Stream| Stream { kind: lane_kind(stream.kind), ..stream };
    Ok((Arc::new(filter), inputs.streams().map(of_lane).collect()))
}
