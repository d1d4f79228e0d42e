//! Hours of trading in virtual time with a third of all reports suppressed, though their connections
//! stay up: what reconciliation comes to is what the venues have, told once, and reconciling again
//! changes nothing.
//!
//! ```text
//! cargo test --release -p meltica --test reconciliation -- --ignored --nocapture
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::trading::world;
use engine::orders::desk::Orphans;
use engine::orders::{Desk, DeskOptions};
use engine::{Consumer, Context, Inbox};
use meltica::demo::Options;
use meltica::demo::maker::{self, Maker};
use meltica::demo::orders::Orders;
use meltica::demo::stage::{self, Part};
use meltica::virtual_time::World;
use model::event::Side;
use model::ledger::{Fact, Name};
use model::{Body, Decimal, Event, Nanos};
use sim::accounts::Account;
use sim::faults::Faults;
use store::ledger::MemoryLedger;

const BEGIN: Nanos = Nanos(1_780_000_000_000_000_000);
const VENUES: [&str; 3] = ["binance", "binance-usdm", "okx"];
/// Between two looks at the maker's queue.
const SLICE: Duration = Duration::from_millis(250);
/// Reconciled that often.
const EVERY: Duration = Duration::from_secs(60);
/// Whatever went wrong last is found within so long: two reconciliations, and a line that is silent.
const SETTLE: Duration = Duration::from_secs(180);

/// The maker, and the last that it was told of its accounts.
struct Holder {
    maker: Maker,
    /// The maker sees no market, and does nothing.
    rests: bool,
    balances: BTreeMap<(Name, Name), (Decimal, Decimal)>,
    positions: BTreeMap<(Name, Name), Decimal>,
}

impl Consumer for Holder {
    fn on_event(&mut self, event: Event, ctx: &mut Context<'_>) {
        let provider = ctx.catalog.provider_name(event.header.stream.provider).unwrap_or_default();
        match &event.body {
            Body::Balance(of) => {
                self.balances.insert((provider, of.asset.clone()), (of.free, of.locked));
            }
            Body::Position(of) => {
                self.positions.insert((provider, of.instrument.clone()), of.quantity);
            }
            Body::Quote(_) if self.rests => {}
            _ => self.maker.on_event(event, ctx),
        }
    }

    fn on_batch_end(&mut self, ctx: &mut Context<'_>) {
        self.maker.on_batch_end(ctx);
    }
}

struct Rig {
    parts: Vec<Part>,
    ledger: MemoryLedger,
    seen: Orders,
    world: World,
    inbox: Inbox,
    holder: Holder,
}

/// An open order: provider, instrument, the venue's id, how much of it is filled.
type Open = BTreeSet<(String, String, String, Decimal)>;

impl Rig {
    fn new(seed: u64, faults: Faults) -> Self {
        let venues = VENUES.map(str::to_owned).to_vec();
        let options = Options { seed, venues, symbols: 1, rate: 6, faults, ..Options::default() };
        let parts = stage::cast(&options, BEGIN).unwrap();
        Self::at(parts, DeskOptions::default(), (BEGIN, 0))
    }

    /// A gateway with an empty ledger, the `nth` at these venues.
    fn at(parts: Vec<Part>, options: DeskOptions, nth: (Nanos, u8)) -> Self {
        let (ledger, seen) = (MemoryLedger::new(), Orders::default());
        let options = DeskOptions { reconcile_every: Some(EVERY), ..options };
        let (world, inbox) = world(&parts, &ledger, options, nth);
        let maker = Maker::new(seen.clone());
        let holder =
            Holder { maker, rests: false, balances: BTreeMap::new(), positions: BTreeMap::new() };
        Self { parts, ledger, seen, world, inbox, holder }
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.world.now + time;
        while self.world.now < end {
            self.world.run_for(SLICE.min(end.since(self.world.now)));
            let now = self.world.now;
            while self.inbox.drain(&mut self.holder, || now) > 0 {}
        }
        assert_eq!(self.inbox.tally().counts().panics, 0);
    }

    fn desk(&self) -> &Desk {
        self.world.desk().unwrap()
    }

    fn open_here(&self) -> Open {
        let orders = self.desk().orders().iter();
        let open = orders.filter(|(_, order)| !order.standing().is_terminal());
        let legs = open.flat_map(|(key, order)| {
            let terms = &order.submit().terms;
            let open: Vec<_> =
                order.legs().iter().filter(|leg| !leg.standing().is_terminal()).collect();
            assert!(!open.is_empty(), "{key} is open and nowhere: {order:?}");
            open.into_iter().map(|leg| {
                let (provider, instrument) = (&terms.provider, &terms.instrument);
                let id = leg.venue_order_id().to_string();
                (provider.to_string(), instrument.to_string(), id, leg.filled().normalize())
            })
        });
        legs.collect()
    }

    fn open_there(&self) -> Open {
        let all = self.parts.iter().flat_map(|part| {
            let orders = part.simulator.orders(&Account::demo().api_key);
            let open = orders.into_iter().filter(|order| order.state.is_open());
            open.map(|order| {
                let (id, filled) = (order.id.to_string(), order.filled.normalize());
                (part.venue.to_owned(), order.instrument, id, filled)
            })
        });
        all.collect()
    }

    /// The ledger's fills are the venues', each once, and make up what is held.
    fn check_fills(&self) {
        let mut known = BTreeSet::new();
        let mut held: BTreeMap<(Name, Name), Decimal> = BTreeMap::new();
        for (_, fact) in self.ledger.facts() {
            let Fact::Report(report) = fact else { continue };
            let Some(fill) = &report.fill else { continue };
            let of = (report.provider.to_string(), report.instrument.to_string());
            let names = (report.venue_order_id.to_string(), fill.trade_id.to_string());
            assert!(known.insert((of, names)), "twice: {report:?}");
            let signed = if report.side == Side::Buy { fill.quantity } else { -fill.quantity };
            *held.entry((report.provider.clone(), report.instrument.clone())).or_default() +=
                signed;
        }
        for part in &self.parts {
            let of_part = known.iter().filter(|((provider, _), _)| provider == part.venue);
            assert_eq!(of_part.count() as u64, part.counts().fills, "{}", part.venue);
            for order in part.simulator.orders(&Account::demo().api_key) {
                let of = (part.venue.to_owned(), order.instrument.clone());
                for fill in &order.fills {
                    let names = (order.id.to_string(), fill.trade.to_string());
                    assert!(known.contains(&(of.clone(), names)), "{of:?}: {fill:?}");
                }
            }
        }
        for ((provider, instrument), held) in &held {
            let position = self.desk().position(maker::NAME, provider, instrument);
            assert_eq!(position, *held, "{provider} {instrument}");
            let told = self.holder.positions.get(&(provider.clone(), instrument.clone()));
            let perpetual = instrument.ends_with("-PERP");
            assert_eq!(told.copied(), perpetual.then_some(*held), "{provider} {instrument}");
        }
    }

    /// Accounts are as their venues have them, as far as venues tell.
    fn check_balances(&self) {
        for part in &self.parts {
            let truth = part.simulator.balances(&Account::demo().api_key);
            let told = self.holder.balances.iter().filter(|((of, _), _)| **of == *part.venue);
            let told: Vec<_> = told.collect();
            assert!(!told.is_empty(), "{}", part.venue);
            for ((_, asset), (free, locked)) in told {
                let (true_free, true_locked) = truth[&**asset];
                // Told with eight digits.
                let apart = (free + locked - true_free - true_locked).abs();
                assert!(apart < Decimal::new(2, 8), "{} {asset}: {apart} apart", part.venue);
                // The margin of open orders is set aside in what the venue tells alone.
                let margin = part.instruments.iter().any(|name| name.ends_with("-PERP"));
                assert!(margin || *locked == true_locked, "{} {asset}", part.venue);
            }
        }
    }

    fn check(&self) {
        assert_eq!(self.open_here(), self.open_there());
        assert_eq!(self.world.order_counts().unknown, 0);
        for part in &self.parts {
            let gap = part.gap(&self.seen);
            assert_eq!((gap.lost, gap.doubled, gap.what), (0, 0, None), "{}", part.venue);
            assert_eq!(part.counts().sent_twice, 0, "{}", part.venue);
        }
        self.check_fills();
        self.check_balances();
    }
}

/// How many orders were open in the end.
fn hours_of_silence(seed: u64, simulated: Duration) -> usize {
    let faults =
        Faults { report_suppressed: 333_333, disconnect_every_s: 1_800, ..Faults::default() };
    let mut rig = Rig::new(seed, faults);
    rig.run_for(simulated);
    // The market stands still, with orders in its books.
    rig.parts.iter().for_each(|part| part.set_calm(true));
    rig.run_for(SETTLE);
    rig.check();
    let (open, facts) = (rig.open_here(), rig.ledger.facts());
    rig.run_for(3 * EVERY);
    rig.check();
    assert_eq!(rig.open_here(), open);
    let changed: Vec<_> = rig.ledger.facts().into_iter().skip(facts.len()).collect();
    assert!(changed.is_empty(), "reconciling again changes something: {changed:?}");
    let counts = rig.parts.iter().map(Part::counts);
    let (placed, fills) = counts.fold((0, 0), |sum, of| (sum.0 + of.placed, sum.1 + of.fills));
    let faults: u64 = rig.parts.iter().map(|part| part.simulator.faults_injected()).sum();
    println!(
        "seed {seed}, {} min: {placed} orders, {fills} fills, {faults} reports suppressed, \
         {} facts, {} open in the end",
        simulated.as_secs() / 60,
        facts.len(),
        open.len()
    );
    let minutes = simulated.as_secs() / 60;
    assert!(fills > minutes && faults > minutes, "nothing was shown");
    open.len()
}

/// Of some worlds no order is open in the end, of all of them some are.
fn shown(seeds: std::ops::RangeInclusive<u64>, simulated: Duration) {
    let open: usize = seeds.map(|seed| hours_of_silence(seed, simulated)).sum();
    assert!(open > 0, "nothing was shown");
}

/// Until an order is open of which a part was filled, in a market that stands still and with a maker that
/// leaves it alone.
fn partly_filled(rig: &mut Rig) {
    let partly = |rig: &Rig| rig.open_there().iter().any(|(_, _, _, filled)| !filled.is_zero());
    for _ in 0..3_600 {
        rig.run_for(Duration::from_secs(1));
        if partly(rig) {
            rig.holder.rests = true;
            rig.parts.iter().for_each(|part| part.simulator.freeze());
            rig.run_for(Duration::from_secs(5));
            if partly(rig) {
                return;
            }
            rig.holder.rests = false;
            rig.parts.iter().for_each(|part| part.simulator.thaw());
        }
    }
    panic!("nothing to be shown: {:?}", rig.open_there());
}

#[test]
fn each_list_finds_what_nothing_else_tells() {
    // Nothing is heard but answers.
    let faults = Faults { report_suppressed: 1_000_000, ..Faults::default() };
    let mut rig = Rig::new(3, faults);
    // What nothing has moved yet comes by the list of balances.
    rig.seen.set_calm(true);
    rig.run_for(Duration::from_secs(10));
    rig.check_balances();
    let told = rig.holder.balances.keys().filter(|(of, _)| &**of == "binance");
    assert!(told.map(|(_, asset)| &**asset).eq(["BTC", "USDT"]));
    rig.seen.set_calm(false);
    partly_filled(&mut rig);
    rig.run_for(SETTLE);
    // Fills of what is open come by the list of fills, balances and positions by theirs.
    rig.check();
    let open = rig.open_here();
    assert!(!open.is_empty());
    // Whose orders these are another gateway does not know: it finds them in the list of what is open.
    let options = DeskOptions { orphans: Orphans::Cancel, ..DeskOptions::default() };
    let mut other = Rig::at(rig.parts.clone(), options, (rig.world.now, 1));
    other.seen.set_calm(true);
    other.run_for(Duration::from_secs(5));
    assert_eq!(other.open_there(), Open::new());
    // That they are gone shows when they are asked about one by one.
    assert_eq!(rig.open_here(), open);
    rig.world.now = other.world.now;
    rig.run_for(SETTLE);
    assert_eq!(rig.open_here(), Open::new());
    rig.check();
}

#[test]
fn what_reconciliation_comes_to_is_what_the_venues_have() {
    shown(1..=2, Duration::from_secs(30 * 60));
}

#[test]
#[ignore = "minutes: twelve simulated hours for each of five seeds"]
fn so_it_is_after_half_a_day() {
    shown(11..=15, Duration::from_secs(12 * 3_600));
}
