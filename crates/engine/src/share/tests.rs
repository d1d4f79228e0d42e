//! The rule against a naive model, and what a budget does to consumers of a shard.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::{
    Consumer, ConsumerCounts, Context, Inbox, QueueCapacity, RoutingTable, Shard, Subscription,
    testing,
};
use model::instrument::Contract;
use model::venue::Pipeline;
use model::{Event, Instrument, InstrumentId, Kind, ProviderId, StreamState};

/// The rule as it is written, over fractions of the budget's `n`th part and quarters of demands:
/// everything times `4 n`.
fn naive(budget: u128, demands: &[u128]) -> Vec<(u128, u128)> {
    let active = demands.iter().filter(|demand| **demand > 0).count() as u128;
    let shares: Vec<u128> =
        demands.iter().map(|d| (4 * active * d).min((active * d).max(4 * budget))).collect();
    let total: u128 = shares.iter().sum();
    let scale = |share: &u128| match total > 4 * active * budget {
        // Numerator and denominator of the share in events.
        true => (share * budget, total),
        false => (*share, 4 * active),
    };
    shares.iter().map(scale).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, ..ProptestConfig::default() })]

    #[test]
    fn shares_are_the_written_rule_to_within_a_fraction_of_an_event(
        budget in 1..5_000u64,
        demands in prop::collection::vec(prop_oneof![1 => Just(0), 4 => 0..4_000u64], 1..12),
    ) {
        prop_assume!(demands.iter().any(|demand| *demand > 0));
        let (budget, demands) = (budget * EVENT, in_parts(&demands));
        let (limits, scaled) = divide(budget, &demands);
        let (budget, demands) = (u128::from(budget), wide(&demands));
        let exact = naive(budget, &demands);
        let mut total = 0;
        for ((limit, demand), (numerator, denominator)) in limits.iter().zip(&demands).zip(exact) {
            let share = u128::from(*limit).min(*demand);
            total += share;
            // Whole parts: a quarter is rounded up, a part down; scaling carries all of it.
            prop_assert!((share * denominator).abs_diff(numerator) <= 20 * denominator, "{demand}");
            prop_assert!(scaled || 4 * share >= *demand, "at least a quarter");
        }
        prop_assert!(total <= budget);
    }
}

fn in_parts(events: &[u64]) -> Vec<u64> {
    events.iter().map(|events| events * EVENT).collect()
}

fn wide(numbers: &[u64]) -> Vec<u128> {
    numbers.iter().copied().map(u128::from).collect()
}

#[test]
fn a_quarter_is_had_whatever_the_others_want() {
    assert_eq!(divide(1_200, &[1_000, 1_000, 1_000, 100]), (vec![300; 4], false));
    assert_eq!(divide(1_000, &[2_000, 100]), (vec![500, 500], false));
    let (shares, scaled) = divide(600, &[1_000, 1_000, 1_000, 100]);
    assert_eq!((&shares[..], scaled), (&[176, 176, 176, 70][..], true));
    assert_eq!(divide(100, &[0, 0]), (vec![50, 50], false), "who begins may begin");
}

proptest! {
    #[test]
    fn streams_use_up_a_share_and_none_is_cut_below_another(
        share in 0..2_000u64,
        demands in prop::collection::vec(1..500u64, 1..20),
    ) {
        let level = level(share, demands.clone());
        let had: u64 = demands.iter().map(|demand| level.min(*demand)).sum();
        let wanted: u64 = demands.iter().sum();
        prop_assert!(had <= share);
        // Whole parts: what does not go round is left.
        prop_assert!(had == wanted || share - had < demands.len() as u64, "{had} of {share}");
    }
}

#[test]
fn refills_come_ten_times_a_window_and_are_made_up_for() {
    let mut pace = Pace::new(NonZeroU32::new(100).unwrap(), Nanos(0));
    assert_eq!(pace.due(Nanos(99_999_999)), None);
    assert_eq!(pace.due(Nanos(0) + REFILL), Some(Due { refills: 1, window: false }));
    assert_eq!(pace.due(Nanos(0) + 4 * REFILL), Some(Due { refills: 3, window: false }));
    assert_eq!(pace.due(Nanos(0) + WINDOW), Some(Due { refills: 6, window: true }));
    assert_eq!(pace.refill_at(), Nanos(0) + 11 * REFILL);
    let late = Nanos(0) + 2 * WINDOW + REFILL / 2;
    assert_eq!(pace.due(late), Some(Due { refills: 10, window: true }));
    let next = Nanos(0) + 3 * WINDOW;
    assert_eq!(pace.due(next), Some(Due { refills: 10, window: true }), "a second each");
}

#[test]
fn a_low_rate_gathers_its_tokens_over_several_refills() {
    let rate = 3 * EVENT / 2;
    let mut bucket = Bucket { there: 0, demand: 0 };
    let mut events = 0;
    for _ in 0..100 {
        bucket.refill(rate, 1);
        while bucket.has_one() {
            bucket.take_one();
            events += 1;
        }
    }
    assert_eq!(events, 15, "one and a half a second for ten seconds");
    bucket.refill(rate, 1_000);
    assert_eq!(bucket.there, TOKEN + rate, "and no more than a burst is kept");
}

/// Counts what came by kind.
#[derive(Default)]
struct Count {
    trades: u64,
    dropped: u64,
    statuses: u64,
}

impl Consumer for Count {
    fn on_event(&mut self, event: Event, _: &mut Context<'_>) {
        match event.kind() {
            Kind::Trade => {
                self.trades += 1;
                self.dropped += u64::from(event.header.dropped);
            }
            Kind::StreamStatus => self.statuses += 1,
            _ => {}
        }
    }
}

/// Ten seconds of so many trades a second, under a budget; what each got.
fn run(shard: &mut Shard, inboxes: &mut [Inbox], per_s: u64) -> Vec<Count> {
    let mut counts: Vec<Count> = inboxes.iter().map(|_| Count::default()).collect();
    let step = WINDOW / per_s as u32;
    let mut now = Nanos(0);
    for n in 1..=10 * per_s {
        now = now + step;
        testing::trade(shard, now, n);
        shard.end_turn(now);
        for (inbox, count) in inboxes.iter_mut().zip(&mut counts) {
            while inbox.drain(count, || now) > 0 {}
        }
    }
    counts
}

#[test]
fn consumers_get_their_shares_and_states_are_outside_of_it() {
    let capacity = QueueCapacity { trades: 50, ..QueueCapacity::default() };
    let (mut shard, mut inboxes) = testing::shard(&[("a", capacity), ("b", capacity)]);
    shard.set_budget(NonZeroU32::new(200), Nanos(0));
    let counts = run(&mut shard, &mut inboxes, 500);
    for (inbox, count) in inboxes.iter().zip(&counts) {
        let told = inbox.tally().counts();
        assert_eq!((told.demand, told.share), (500, 100));
        // A quarter of 500 is 125, which is more than half of the budget: scaled to 100 each.
        assert!((980..=1_100).contains(&count.trades), "{}", count.trades);
        assert!(told.held > 0);
        assert_eq!(count.trades + told.dropped + told.waiting, 5_000);
        assert!(told.dropped - count.dropped <= 1, "told in the stream, but for the newest");
    }
    assert!(shard.shares_scaled() >= 9);
    let now = Nanos(0) + 10 * WINDOW;
    assert!(shard.deadline().is_some_and(|at| at > now && at <= now + REFILL));
    testing::status(&mut shard, now, Kind::Trade, StreamState::Gapped);
    shard.end_turn(now);
    let mut count = Count::default();
    while inboxes[0].drain(&mut count, || now) > 0 {}
    assert_eq!(count.statuses, 1, "and what was before it in its stream");
    shard.set_budget(None, now);
    shard.end_turn(now);
    while inboxes[1].drain(&mut count, || now) > 0 {}
    let ConsumerCounts { waiting, share, .. } = inboxes[1].tally().counts();
    assert_eq!((waiting, share), (0, 0), "without a budget nothing is held");
}

/// Trades of each of three instruments.
#[derive(Default)]
struct ByStream([u64; 3]);

impl Consumer for ByStream {
    fn on_event(&mut self, event: Event, _: &mut Context<'_>) {
        if event.kind() == Kind::Trade {
            self.0[event.header.stream.instrument.index()] += 1;
        }
    }
}

/// What one consumer with a share of 100 events a second got of each stream, second by second, where so
/// many were wanted.
fn seconds(wanted: &[[u64; 3]]) -> Vec<[u64; 3]> {
    let capacity = QueueCapacity { trades: TRADES_WAIT, ..QueueCapacity::default() };
    let (mut shard, mut inboxes) = testing::shard(&[("c", capacity)]);
    let market = Market { budget: 100, per_s: vec![0; 3], wants: vec![vec![true; 3]] };
    market.subscribe(&mut shard, &inboxes);
    shard.set_budget(NonZeroU32::new(market.budget), Nanos(0));
    let (turns, mut now) = (50, Nanos(0));
    let second = |of: &[u64; 3]| {
        let mut got = ByStream::default();
        for turn in 0..turns {
            now = now + WINDOW / turns as u32;
            for (instrument, per_s) in (0..).zip(of) {
                for id in turn * per_s / turns..(turn + 1) * per_s / turns {
                    testing::trade_of(&mut shard, now, InstrumentId(instrument), id + 1);
                }
            }
            shard.end_turn(now);
            while inboxes[0].drain(&mut got, || now) > 0 {}
        }
        got.0
    };
    wanted.iter().map(second).collect()
}

#[test]
fn a_stream_that_wants_little_gets_it_beside_one_that_wants_all() {
    for [greedy, modest, _] in seconds(&[[1_000, 20, 0]; 6]).into_iter().skip(2) {
        assert!(modest.abs_diff(20) <= 1 && greedy.abs_diff(80) <= 2, "{greedy} and {modest}");
    }
}

#[test]
fn streams_that_all_begin_at_once_have_no_more_than_the_consumer() {
    let [first] = seconds(&[[100; 3]])[..] else { panic!("one second") };
    // The share, and the burst that a bucket holds.
    assert!(first.iter().sum::<u64>() <= 100 + 20, "{first:?}");
}

#[test]
fn a_stream_that_was_quiet_begins_anew() {
    let got = seconds(&[[50, 0, 0], [0; 3], [0; 3], [50, 0, 0], [50, 0, 0]]);
    let of_it: Vec<_> = got.iter().map(|[first, ..]| *first).collect();
    assert_eq!(of_it, [50, 0, 0, 50, 50]);
}

/// Constant demands of streams, and who wants which of them.
#[derive(Clone, Debug)]
struct Market {
    budget: u32,
    /// Events a second of each instrument's trades.
    per_s: Vec<u64>,
    /// By consumer and instrument.
    wants: Vec<Vec<bool>>,
}

fn market() -> impl Strategy<Value = Market> {
    (prop::collection::vec(1..150u64, 1..8), 1..5usize).prop_flat_map(|(per_s, consumers)| {
        let one = prop::collection::vec(any::<bool>(), per_s.len());
        (1..900u32, prop::collection::vec(one, consumers)).prop_map(move |(budget, wants)| Market {
            budget,
            per_s: per_s.clone(),
            wants,
        })
    })
}

const TRADES_WAIT: usize = 20;

impl Market {
    /// Trades to each consumer in the seconds 3 to 6, when the shares have settled.
    fn run(&self) -> Vec<u64> {
        let capacity = QueueCapacity { trades: TRADES_WAIT, ..QueueCapacity::default() };
        let names: Vec<String> = (0..self.wants.len()).map(|n| n.to_string()).collect();
        let consumers: Vec<_> = names.iter().map(|name| (&**name, capacity)).collect();
        let (mut shard, mut inboxes) = testing::shard(&consumers);
        self.subscribe(&mut shard, &inboxes);
        shard.set_budget(NonZeroU32::new(self.budget), Nanos(0));
        let mut counts: Vec<Count> = inboxes.iter().map(|_| Count::default()).collect();
        let (turn, turns) = (WINDOW / 50, 50);
        let mut before = Vec::new();
        for n in 1..=6 * turns {
            let now = Nanos(0) + turn * n;
            for (instrument, per_s) in (0..).zip(&self.per_s) {
                let until = |turn: u32| u64::from(turn) * per_s / u64::from(turns);
                for id in until(n - 1)..until(n) {
                    testing::trade_of(&mut shard, now, InstrumentId(instrument), id + 1);
                }
            }
            shard.end_turn(now);
            for (inbox, count) in inboxes.iter_mut().zip(&mut counts) {
                while inbox.drain(count, || now) > 0 {}
            }
            if n == 2 * turns {
                before = counts.iter().map(|count| count.trades).collect();
            }
        }
        counts.iter().zip(before).map(|(count, before)| count.trades - before).collect()
    }

    fn subscribe(&self, shard: &mut Shard, inboxes: &[Inbox]) {
        let name = |n: usize| format!("C{n}-USDT");
        for n in 1..self.per_s.len() {
            let listed = Instrument::unlisted(&format!("C{n}"), "USDT", Contract::Spot);
            shard.port(ProviderId(0), Nanos(0)).list(&listed).unwrap();
        }
        let wants = |wants: &[bool]| -> Vec<_> {
            let wanted = (0..wants.len()).filter(|n| wants[*n]);
            wanted.map(|n| if n == 0 { "BTC-USDT".into() } else { name(n).into() }).collect()
        };
        let wanted: Vec<_> = inboxes
            .iter()
            .zip(&self.wants)
            .filter(|(_, of)| of.contains(&true))
            .map(|(inbox, of)| Subscription {
                consumer: inbox.id(),
                instruments: wants(of),
                ..Subscription::default()
            })
            .collect();
        let table = RoutingTable::default().next(&wanted, shard.catalog()).unwrap();
        shard.set_routing(Arc::new(table), Nanos(0));
    }

    /// Events a second that each wants.
    fn demands(&self) -> Vec<u128> {
        let per_s = |of: &Vec<bool>, n: usize| if of[n] { u128::from(self.per_s[n]) } else { 0 };
        let demand = |of| (0..self.per_s.len()).map(|n| per_s(of, n)).sum();
        self.wants.iter().map(demand).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, ..ProptestConfig::default() })]

    #[test]
    fn of_constant_demands_each_consumer_gets_its_share_and_all_of_it(market in market()) {
        let (demands, had) = (market.demands(), market.run());
        let naive = naive(market.budget.into(), &demands);
        for ((had, (numerator, denominator)), demand) in had.iter().zip(naive).zip(&demands) {
            let (had, share) = (u128::from(*had), 4 * numerator / denominator.max(1));
            // What waited when the four seconds began or ended, and a refill's worth either way.
            let about = TRADES_WAIT as u128 + share / 20 + 4;
            prop_assert!(had.abs_diff(share) <= about, "{had}, not {share}, of {demand}");
        }
    }
}
