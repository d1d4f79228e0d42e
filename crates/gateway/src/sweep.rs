//! `meltica sweep`: gateway and simulators in virtual time, seed after seed.
//!
//! Each seed is a world of its own: what it does is the same on every machine, and a failing one is
//! reproduced by its number.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use engine::orders::DeskOptions;
use engine::{Capacity, Catalog, Inbox, QueueCapacity, RoutingTable, Shard, Subscription};
use model::Nanos;
use model::venue::Command;
use sim::accounts::Account;
use store::ledger::MemoryLedger;
use venues::signing::Credentials;

use crate::config::subscriptions;
use crate::demo::books::Books;
use crate::demo::maker::{self, Maker};
use crate::demo::merges::{self, Merges};
use crate::demo::orders::Orders;
use crate::demo::stage::Part;
use crate::demo::{self, stage};
use crate::report::StreamReport;
use crate::virtual_time::{Trader, TradingLink, World};

/// When every world begins.
const BEGIN: Nanos = Nanos(1_780_000_000_000_000_000);
/// One way between gateway and venue.
const LATENCY: Duration = Duration::from_millis(2);
/// Between two looks at a consumer's queue.
const SLICE: Duration = Duration::from_millis(20);
/// After the market froze, books have so long to be what the venue's are.
const SETTLE_WITHIN: Duration = Duration::from_secs(10);

/// What came of one world.
#[derive(Debug, Default)]
pub struct Verdict {
    /// What did not hold, in words; nothing where all did.
    pub broken: Vec<String>,
    /// How many merged windows were held against a replay of the quotes: none where those who were
    /// to keep the quotes were sent fewer, for their queue was full.
    pub windows: u64,
}

/// Plays one world to its end.
///
/// # Errors
/// The world can't be made at all.
pub fn run(options: &demo::Options, simulated: Duration) -> Result<Verdict, String> {
    let parts = stage::cast(options, BEGIN)?;
    let mut scene = Scene::new(&parts).map_err(|error| error.message)?;
    scene.run_for(simulated);
    scene.orders.set_calm(true);
    parts.iter().for_each(|part| part.set_calm(true));
    let end = scene.world.now + SETTLE_WITHIN;
    let mut broken = scene.differences(&parts);
    while !broken.is_empty() && scene.world.now < end {
        scene.run_for(SLICE);
        broken = scene.differences(&parts);
    }
    // What the maker handed in last is taken; nobody hands in more.
    scene.world.run_for(Duration::ZERO);
    broken.extend(scene.broken_promises(&parts));
    let twice: u64 = parts.iter().map(|part| part.counts().sent_twice).sum();
    if twice > 0 {
        broken.push(format!("{twice} orders were sent twice"));
    }
    let (windows, wrong) = scene.replay_of_merges();
    broken.extend(wrong);
    Ok(Verdict { broken, windows })
}

/// A world with a consumer of everything, one of what is merged, and one that trades.
struct Scene {
    world: World,
    inbox: Inbox,
    books: Books,
    merges: Option<(Inbox, Merges)>,
    maker: Option<(Inbox, Maker)>,
    orders: Orders,
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
        let orders = Orders::default();
        let tradable: Vec<_> =
            parts.iter().filter(|part| part.trades).map(|part| part.venue).collect();
        let maker = match tradable.is_empty() {
            true => None,
            false => Some(shard.add_consumer(maker::NAME, QueueCapacity::default(), BEGIN)?),
        };
        let of_maker = maker
            .as_ref()
            .map(|inbox| Subscription { consumer: inbox.id(), ..Maker::wants(&tradable) });
        let all: Vec<_> = all.into_iter().chain(of_maker).collect();
        for part in parts {
            shard.catalog().provider(part.venue)?;
        }
        let table = RoutingTable::default().next(&all, shard.catalog())?;
        shard.set_routing(Arc::new(table), BEGIN);
        let mut world = World::new(shard, BEGIN, LATENCY);
        for part in parts {
            let settings = venues::Settings { silence: demo::SILENCE, ..Default::default() };
            let venue = venues::create(part.venue, settings)
                .ok_or_else(|| model::Error::reject(format!("'{}' has no adapter", part.venue)))?;
            let link = world.add(part.venue, venue, Box::new(part.simulator.clone()))?;
            let wanted = subscriptions(&part.instruments, &part.kinds);
            world.command(link, &Command::Subscribe(wanted));
        }
        if let Some(spec) = merges::spec(parts) {
            world.shard.add_merge(&spec)?;
        }
        let maker = match maker {
            Some(inbox) => Some((joined(inbox, parts, &mut world)?, Maker::new(orders.clone()))),
            None => None,
        };
        Ok(Self { world, inbox, books: Books::default(), merges, maker, orders })
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
            if let Some((inbox, maker)) = &mut self.maker {
                while inbox.drain(maker, || now) > 0 {}
            }
        }
    }

    /// Where books differ from their venues', and what the maker was not told or told twice.
    fn differences(&self, parts: &[Part]) -> Vec<String> {
        let books = parts.iter().flat_map(|part| part.differences(&self.books));
        let books = books.map(|difference| difference.to_string());
        let gaps = parts.iter().map(|part| part.gap(&self.orders));
        let gaps = gaps.filter_map(|gap| match gap.doubled {
            0 => gap.what,
            twice => Some(format!("{twice} reports were told twice")),
        });
        books.chain(gaps).collect()
    }

    /// What must hold whatever happened.
    fn broken_promises(&self, parts: &[Part]) -> Vec<String> {
        let shard = &self.world.shard;
        let pools = shard.pools().manager().stats();
        let out = pools.iter().filter(|pool| pool.in_use > 0);
        let mut broken: Vec<_> =
            out.map(|pool| format!("{} of {} are not back", pool.in_use, pool.pool)).collect();
        let streams = StreamReport::all(shard, self.world.now);
        let in_order = |stream: &&StreamReport| !self.skips(parts, stream);
        let disordered = streams.iter().filter(in_order).filter(|stream| stream.out_of_order > 0);
        broken.extend(self.merges.iter().flat_map(|(_, merges)| merges.broken()));
        broken.extend(disordered.map(|stream| {
            let (provider, instrument) = (&stream.provider, &stream.instrument);
            format!("{provider} {instrument} {}: events out of order", stream.kind)
        }));
        broken
    }
}

impl Scene {
    /// Whether a stream's positions skip, so that what comes late goes out late.
    fn skips(&self, parts: &[Part], stream: &StreamReport) -> bool {
        let of = parts.iter().position(|part| part.venue == &*stream.provider);
        let skipping = of.map_or(&[][..], |link| self.world.session(link).profile().skipping);
        skipping.iter().any(|kind| kind.name() == stream.kind)
    }

    /// Merged events are those that a replay comes to; how many, and what is not so. The consumer has
    /// everything for that unless its queue conflated.
    fn replay_of_merges(&self) -> (u64, Option<String>) {
        match &self.merges {
            Some((inbox, merges)) if inbox.tally().counts().conflated == 0 => {
                let catalog = self.world.shard.catalog();
                merges.replay(self.world.now, |name| catalog.find_provider(name))
            }
            _ => (0, None),
        }
    }
}

/// Joins the maker's orders to the world; gives its queue back.
fn joined(mut inbox: Inbox, parts: &[Part], world: &mut World) -> Result<Inbox, model::Error> {
    let ledger = MemoryLedger::new();
    let links = trading_links(parts)?;
    let trader = Trader { id: inbox.id(), name: maker::NAME };
    let ports = world.join_orders(&ledger, DeskOptions::default(), links, &[trader]);
    let ports = ports.map_err(|error| model::Error::reject(error.0))?;
    ports.into_iter().for_each(|port| inbox.trade_through(port));
    Ok(inbox)
}

/// The trading machine of each venue that has one, with the demo's account.
///
/// # Errors
/// It can't be made.
pub fn trading_links(parts: &[Part]) -> Result<Vec<TradingLink>, model::Error> {
    let link = |part: &Part| {
        let Account { api_key, secret, passphrase, .. } = Account::demo();
        let credentials = Credentials::new(api_key, secret, Some(passphrase))?;
        Ok(TradingLink {
            provider: part.venue.to_owned(),
            venue: venues::create_trading(part.venue, venues::Settings::default(), credentials)?,
            far: Box::new(part.simulator.clone()),
            instruments: part.instruments.clone(),
        })
    };
    parts.iter().filter(|part| part.trades).map(link).collect()
}

#[cfg(test)]
mod tests {
    use sim::faults::{Faults, PRESETS};

    use super::*;

    #[test]
    fn no_preset_breaks_a_promise_and_merges_are_replayed() {
        for preset in PRESETS {
            let mut windows = 0;
            for seed in 1..=2 {
                let faults = Faults::preset(preset).unwrap();
                let venues = ["binance", "okx", "kraken"].map(str::to_owned).to_vec();
                let options = demo::Options { venues, seed, faults, ..demo::Options::default() };
                let verdict = run(&options, Duration::from_secs(3)).unwrap();
                assert_eq!(verdict.broken, Vec::<String>::new(), "{preset}, seed {seed}");
                windows += verdict.windows;
            }
            assert!(windows > 0, "{preset}: no window was compared");
        }
    }
}
