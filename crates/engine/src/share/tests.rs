//! The rule against a naive model, and what a budget does to consumers of a shard.

use proptest::prelude::*;

use super::*;
use crate::{Consumer, ConsumerCounts, Context, Inbox, QueueCapacity, Shard, testing};
use model::{Event, Kind, StreamState};

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
    fn shares_are_the_written_rule_to_within_an_event(
        budget in 1..5_000u64,
        demands in prop::collection::vec(prop_oneof![1 => Just(0), 4 => 0..4_000u64], 1..12),
    ) {
        prop_assume!(demands.iter().any(|demand| *demand > 0));
        let (limits, scaled) = divide(budget, &demands);
        let wide: Vec<u128> = demands.iter().map(|demand| u128::from(*demand)).collect();
        let mut total = 0;
        for ((limit, demand), (numerator, denominator)) in
            limits.iter().zip(&demands).zip(naive(budget.into(), &wide))
        {
            let share = u128::from((*limit).min(*demand));
            total += share;
            // Whole events: a quarter is rounded up, a part down; scaling carries both.
            prop_assert!(share * denominator <= numerator + 2 * denominator, "{limit} {demand}");
            prop_assert!((share + 2) * denominator >= numerator, "{limit} {demand}");
        }
        prop_assert!(!scaled || total <= u128::from(budget), "scaled shares fit the budget");
        if !scaled {
            prop_assert!(limits.iter().zip(&demands).all(|(limit, d)| *limit >= d.div_ceil(4)));
        }
    }
}

#[test]
fn a_quarter_is_had_whatever_the_others_want() {
    assert_eq!(divide(1_200, &[1_000, 1_000, 1_000, 100]), (vec![300; 4], false));
    assert_eq!(divide(1_000, &[2_000, 100]), (vec![500, 500], false));
    let (shares, scaled) = divide(600, &[1_000, 1_000, 1_000, 100]);
    assert_eq!((&shares[..], scaled), (&[176, 176, 176, 70][..], true));
    assert_eq!(divide(100, &[0, 0]), (vec![100, 100], false), "who begins may begin");
}

#[test]
fn refills_come_ten_times_a_window_and_are_made_up_for() {
    let mut pace = Pace::new(NonZeroU32::new(100).unwrap(), Nanos(0));
    assert_eq!(pace.due(Nanos(99_999_999)), None);
    assert_eq!(pace.due(Nanos(0) + REFILL), Some(Due { refills: 1, window: false }));
    assert_eq!(pace.due(Nanos(0) + 4 * REFILL), Some(Due { refills: 3, window: false }));
    assert_eq!(pace.due(Nanos(0) + WINDOW), Some(Due { refills: 6, window: true }));
    assert_eq!(pace.refill_at(), Nanos(0) + 11 * REFILL);
}

#[test]
fn a_low_rate_gathers_its_tokens_over_several_refills() {
    let mut bucket = Bucket { parts: 0, ..Bucket::full(3) };
    let mut events = 0;
    for _ in 0..100 {
        bucket.refill(1);
        while bucket.has_one() {
            bucket.parts -= TOKEN;
            events += 1;
        }
    }
    assert_eq!(events, 30, "three a second for ten seconds");
    bucket.refill(1_000);
    assert_eq!(bucket.parts, TOKEN + 3, "and no more than a burst is kept");
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
