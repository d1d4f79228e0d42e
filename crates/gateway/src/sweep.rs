//! `meltica sweep`: gateway and simulators in virtual time, seed after seed.
//!
//! Each seed is a world of its own: what it does is the same on every machine, and a failing one is
//! reproduced by its number.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use engine::{Capacity, Catalog, Inbox, QueueCapacity, RoutingTable, Shard, Subscription};
use model::Nanos;
use model::venue::{Command, Subscription as Wanted};

use crate::demo::books::Books;
use crate::demo::merges::{self, Merges};
use crate::demo::stage::Part;
use crate::demo::{self, stage};
use crate::virtual_time::World;

/// When every world begins.
const BEGIN: Nanos = Nanos(1_780_000_000_000_000_000);
/// One way between gateway and venue.
const LATENCY: Duration = Duration::from_millis(2);
/// Between two looks at a consumer's queue.
const SLICE: Duration = Duration::from_millis(20);
/// After the market froze, books have so long to be what the venue's are.
const SETTLE_WITHIN: Duration = Duration::from_secs(10);

/// What did not hold in one world, in words; nothing where all did.
///
/// # Errors
/// The world can't be made at all.
pub fn run(options: &demo::Options, simulated: Duration) -> Result<Vec<String>, String> {
    let parts = stage::cast(options, BEGIN)?;
    let mut scene = Scene::new(&parts).map_err(|error| error.to_string())?;
    scene.run_for(simulated);
    parts.iter().for_each(|part| part.set_calm(true));
    let end = scene.world.now + SETTLE_WITHIN;
    let mut broken = scene.differences(&parts);
    while !broken.is_empty() && scene.world.now < end {
        scene.run_for(SLICE);
        broken = scene.differences(&parts);
    }
    broken.extend(scene.broken_promises());
    Ok(broken)
}

/// A world with one consumer of everything, and one of what is merged.
struct Scene {
    world: World,
    inbox: Inbox,
    books: Books,
    merges: Option<(Inbox, Merges)>,
}

impl Scene {
    fn new(parts: &[Part]) -> Result<Self, model::Error> {
        let mut shard = Shard::new(Capacity::default(), Catalog::new(), Waker::noop().clone());
        let inbox = shard.add_consumer("books", QueueCapacity::default(), BEGIN)?;
        let all = Subscription { consumer: inbox.id(), ..Subscription::default() };
        let (merges, wanted_of_merges) = match merges::spec(parts) {
            Some(spec) => {
                let merges = Merges::keeping(spec);
                let inbox = shard.add_consumer(merges::NAME, QueueCapacity::default(), BEGIN)?;
                let wants = Subscription { consumer: inbox.id(), ..merges.wants() };
                (Some((inbox, merges)), Some(wants))
            }
            None => (None, None),
        };
        let all: Vec<_> = std::iter::once(all).chain(wanted_of_merges).collect();
        let table = RoutingTable::default().next(&all, shard.catalog())?;
        shard.set_routing(Arc::new(table), BEGIN);
        let mut world = World::new(shard, BEGIN, LATENCY);
        for part in parts {
            let settings = venues::Settings { silence: demo::SILENCE, ..Default::default() };
            let venue = venues::create(part.venue, settings)
                .ok_or_else(|| model::Error::reject(format!("'{}' has no adapter", part.venue)))?;
            let link = world.add(part.venue, venue, Box::new(part.simulator.clone()))?;
            world.command(link, &Command::Subscribe(wanted(part)));
        }
        if let Some(spec) = merges::spec(parts) {
            world.shard.add_merge(&spec)?;
        }
        Ok(Self { world, inbox, books: Books::default(), merges })
    }

    fn run_for(&mut self, duration: Duration) {
        let end = self.world.now + duration;
        while self.world.now < end {
            self.world.run_for(SLICE.min(end.since(self.world.now)));
            let now = self.world.now;
            while self.inbox.drain(&mut self.books, || now) > 0 {}
            if let Some((inbox, merges)) = &mut self.merges {
                while inbox.drain(merges, || now) > 0 {}
            }
        }
    }

    fn differences(&self, parts: &[Part]) -> Vec<String> {
        let all = parts.iter().flat_map(|part| part.differences(&self.books));
        all.map(|difference| difference.to_string()).collect()
    }

    /// What must hold whatever happened.
    fn broken_promises(&self) -> Vec<String> {
        let shard = &self.world.shard;
        let pools = shard.pools().manager().stats();
        let out = pools.iter().filter(|pool| pool.in_use > 0);
        let mut broken: Vec<_> =
            out.map(|pool| format!("{} of {} are not back", pool.in_use, pool.pool)).collect();
        let streams = crate::report::StreamReport::all(shard, self.world.now);
        let disordered = streams.iter().filter(|stream| stream.out_of_order > 0);
        broken.extend(self.broken_merges());
        broken.extend(disordered.map(|stream| {
            let (provider, instrument) = (&stream.provider, &stream.instrument);
            format!("{provider} {instrument} {}: events out of order", stream.kind)
        }));
        broken
    }
}

impl Scene {
    /// Merged events are whole and come once, and are those that a replay comes to; the consumer
    /// has everything for that unless its queue conflated.
    fn broken_merges(&self) -> Vec<String> {
        let Some((inbox, merges)) = &self.merges else { return Vec::new() };
        let mut broken = merges.broken();
        if inbox.tally().counts().conflated == 0 {
            let catalog = self.world.shard.catalog();
            broken.extend(merges.replay(self.world.now, |name| catalog.find_provider(name)));
        }
        broken
    }
}

fn wanted(part: &Part) -> Vec<Wanted> {
    let all =
        part.instruments.iter().flat_map(|name| part.kinds.iter().map(move |kind| (name, kind)));
    all.map(|(name, kind)| Wanted { instrument: name.as_str().into(), kind: *kind }).collect()
}
