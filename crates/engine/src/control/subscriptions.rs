//! Subscriptions of consumers: staged for the next flip, and counted for the venues.

use std::sync::Arc;

use model::control::{Refusal, Verdict, Waiting};
use model::{ConsumerId, Nanos, ProviderId, Stream, venue};

use super::natives::Standing;
use super::{Control, Done, check};
use crate::catalog::Catalog;
use crate::route::{Edit, Filter, RoutingTable, Subscription};
use crate::shard::Shard;

impl Control {
    /// Subscribes a consumer as its own command would.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn subscribe(
        &mut self,
        subscription: &Subscription,
        shard: &Shard,
        now: Nanos,
    ) -> Result<(), Refusal> {
        self.add_subscription(subscription.consumer, subscription, shard, now).map(drop)
    }

    pub(super) fn add_subscription(
        &mut self,
        consumer: ConsumerId,
        wanted: &Subscription,
        shard: &Shard,
        now: Nanos,
    ) -> Result<Done, Refusal> {
        let catalog = shard.catalog();
        check::subscription(wanted, catalog, &self.offers)?;
        let known =
            Filter::find(wanted, catalog).filter(|filter| self.has(consumer, filter, shard));
        let filter = match known {
            Some(filter) => Arc::new(filter),
            None => {
                self.admit(consumer, wanted, shard)?;
                let filter = Filter::new(wanted, catalog).map_err(|_| Refusal::NoRoom)?;
                let filter = Arc::new(filter);
                filter.streams().for_each(|stream| self.natives.retain(stream));
                self.edit(shard).add(consumer, filter.clone());
                filter
            }
        };
        let streams: Vec<_> = filter.streams().collect();
        Ok(Done { verdict: self.standing(&streams, now), wanted: Some((filter, streams)) })
    }

    /// Whether a consumer may have one more subscription.
    pub(super) fn admit(
        &mut self,
        consumer: ConsumerId,
        wanted: &Subscription,
        shard: &Shard,
    ) -> Result<(), Refusal> {
        let there = self.edit(shard).filters(consumer).len();
        let desk = self.desk_mut(consumer).ok_or(Refusal::UnknownConsumer)?;
        desk.admit(wanted, there, shard.catalog())
    }

    fn has(&mut self, consumer: ConsumerId, filter: &Filter, shard: &Shard) -> bool {
        let there = self.edit(shard).filters(consumer);
        there.binary_search_by(|other| (**other).cmp(filter)).is_ok()
    }

    /// The table that is being staged.
    pub(super) fn edit(&mut self, shard: &Shard) -> &mut Edit {
        self.staged.get_or_insert_with(|| shard.table().edit())
    }

    /// How streams stand at their venues.
    pub(super) fn standing(&self, streams: &[Stream], now: Nanos) -> Verdict {
        let mut why = None;
        for stream in streams {
            match self.natives.standing(*stream) {
                Some(Standing::Confirmed) => {}
                Some(Standing::Refused) => return Verdict::Refused(Refusal::UnknownAtVenue),
                Some(Standing::Queued) if self.natives.is_busy(stream.provider) => {
                    why = Some(Waiting::Budget);
                }
                _ => why = why.or(Some(Waiting::Venue)),
            }
        }
        let until = now + self.settings.confirm_within;
        why.map_or(Verdict::Effective, |why| Verdict::Pending { why, until })
    }

    pub(super) fn remove_subscription(
        &mut self,
        consumer: ConsumerId,
        unwanted: &Subscription,
        shard: &mut Shard,
        now: Nanos,
    ) -> Result<(), Refusal> {
        check::names(unwanted, shard.catalog())?;
        // What names an instrument that nobody ever named is not subscribed.
        let Some(filter) = Filter::find(unwanted, shard.catalog()) else { return Ok(()) };
        if let Some(merge) = self.merge_of(consumer, &filter) {
            self.remove_merged(consumer, &merge, shard, now);
        } else if self.edit(shard).remove(consumer, &filter) {
            filter.streams().for_each(|stream| self.natives.release(stream, now));
            self.withdraw(consumer, &filter);
        }
        Ok(())
    }

    /// The table that was staged in this turn, where it differs from the one in force or somebody
    /// begins anew.
    pub(crate) fn staged(&mut self, table: &RoutingTable) -> Option<RoutingTable> {
        let anew = self.renewals().next().is_some();
        let edit = self.staged.take().filter(|edit| anew || edit.is_change());
        edit.or_else(|| anew.then(|| table.edit())).map(Edit::finish)
    }

    /// What a provider's venue is to be told now.
    pub(crate) fn venue_commands(
        &mut self,
        provider: ProviderId,
        free: bool,
        catalog: &Catalog,
    ) -> Vec<venue::Command> {
        let Some((on, off)) = self.natives.take(provider, free) else { return Vec::new() };
        let named = |streams: Vec<Stream>| -> Vec<_> {
            let one = |stream: Stream| {
                let instrument = (*catalog.instrument_name(stream.instrument)?).into();
                Some(venue::Subscription { instrument, kind: stream.kind })
            };
            streams.into_iter().filter_map(one).collect()
        };
        // New ones first: a connection that would be left without streams is then kept.
        let commands = [
            (!on.is_empty()).then(|| venue::Command::Subscribe(named(on))),
            (!off.is_empty()).then(|| venue::Command::Unsubscribe(named(off))),
        ];
        commands.into_iter().flatten().collect()
    }
}
