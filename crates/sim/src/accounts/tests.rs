//! What accounts know of their orders, beside the market itself.

use model::{Nanos, Side};
use proptest::prelude::*;

use super::*;
use crate::market::instrument::{Listing, Settlement};
use crate::market::order::{Lasting, NewOrder, Pricing, SelfTrade};
use crate::market::{Market, MarketOptions};

fn market(accounts: usize) -> (Market, Accounts) {
    let listing = |name: &str| Listing { name: name.to_owned(), settlement: Settlement::Spot };
    let assets = ["BTC", "ETH", "USDT"].map(|asset| (asset.to_owned(), FUNDS));
    let market = MarketOptions {
        seed: 1,
        listings: ["BTC-USDT", "ETH-USDT"].map(listing).to_vec(),
        rate: 0,
        accounts: vec![assets.into(); accounts],
    };
    let market = Market::new(&market, Nanos(0)).unwrap();
    let all: Vec<_> = (0..accounts).map(|n| Account::new(&format!("key {n}"), "s", "p")).collect();
    let accounts = Accounts::new(&all, market.client(0)).unwrap();
    (market, accounts)
}

fn order(account: AccountId, index: Index, side: Side, ticks: u64, name: &str) -> NewOrder {
    NewOrder {
        account,
        instrument: index,
        client_id: Some(name.into()),
        side,
        pricing: Pricing::Limit { ticks, post_only: false },
        lots: 1_000,
        lasting: Lasting::GoodTillCancel,
        self_trade: SelfTrade::Allow,
    }
}

#[test]
fn keys_find_their_account_and_none_may_be_twice() {
    let (market, accounts) = market(2);
    assert_eq!(accounts.by_key("key 1").map(|(id, _)| id), Some(market.client(1)));
    assert!(accounts.by_key("other").is_none() && accounts.get(AccountId(0)).is_none());
    let twice = [Account::demo(), Account::demo()];
    let error = Accounts::new(&twice, market.client(0)).unwrap_err();
    assert!(error.message.contains("meltica-demo-key"), "{error}");
}

#[test]
fn no_secret_is_shown() {
    let shown = format!("{:?}", Account::demo());
    assert!(shown.contains("meltica-demo-key"));
    assert!(!shown.contains("NotReal") && !shown.contains("passphrase"), "{shown}");
}

#[test]
fn an_order_is_known_by_id_and_the_newest_by_its_name() {
    let (mut market, mut accounts) = market(1);
    let (id, mut events) = (market.client(0), Vec::new());
    let new = order(id, 0, Side::Buy, 500_000, "a");
    let first = market.place(Nanos(1), &new, &mut events).unwrap();
    market.cancel(Nanos(2), (id, 0, first.id), &mut events).unwrap();
    let second = market.place(Nanos(3), &new, &mut events).unwrap();
    accounts.learn(&events);
    assert_eq!(accounts.order(id, 0, first.id).unwrap().order.state, State::Cancelled);
    assert_eq!(accounts.named(id, 0, "a").unwrap().order, second);
    assert!(accounts.named(id, 1, "a").is_none() && accounts.order(id, 1, first.id).is_none());
    let counts = Counts { placed: 2, ended: 1, reports: 3, ..Counts::default() };
    assert_eq!(accounts.counts(id), counts);
    assert_eq!(accounts.reports(id).count(), 3);
}

#[test]
fn requests_of_one_name_are_counted() {
    let (market, mut accounts) = market(2);
    let [one, two] = [0, 1].map(|n| market.client(n));
    for (id, name) in [(one, "a"), (one, "a"), (one, "b"), (two, "a"), (one, "a")] {
        accounts.asked(id, name);
    }
    assert_eq!(accounts.times_asked(one, "a"), 3);
    assert_eq!((accounts.counts(one).asked, accounts.counts(one).sent_twice), (4, 2));
    assert_eq!(accounts.counts(two).sent_twice, 0);
    (0..=REPORTS_EACH * ORDERS_MAX).for_each(|n| accounts.asked(one, &format!("n{n}")));
    assert_eq!((accounts.times_asked(one, "a"), accounts.times_asked(one, "n9")), (0, 1));
}

#[test]
fn what_has_ended_long_ago_is_forgotten_but_counted() {
    let (mut market, mut accounts) = market(1);
    let id = market.client(0);
    let open = order(id, 1, Side::Buy, 300_000, "open");
    let mut events = Vec::new();
    let kept = market.place(Nanos(1), &open, &mut events).unwrap();
    let rounds = ORDERS_MAX as u64 + 5;
    for n in 0..rounds {
        let new = order(id, 0, Side::Buy, 500_000, &format!("n{n}"));
        let placed = market.place(Nanos(n), &new, &mut events).unwrap();
        market.cancel(Nanos(n), (id, 0, placed.id), &mut events).unwrap();
        accounts.learn(&events);
        events.clear();
    }
    assert_eq!(accounts.orders(id).count(), ORDERS_MAX + 1);
    assert!(accounts.named(id, 0, "n4").is_none() && accounts.named(id, 0, "n5").is_some());
    assert_eq!(accounts.order(id, 1, kept.id).unwrap().order, kept);
    assert_eq!(accounts.counts(id).ended, rounds);
}

proptest! {
    /// What was learned is what the market has: open orders the same, fills adding up.
    #[test]
    fn records_add_up_to_the_market(
        steps in prop::collection::vec((0..3_usize, 0..2_usize, any::<bool>(), 0..40_u64), 1..80)
    ) {
        let (mut market, mut accounts) = market(3);
        for (n, (client, index, buys, off)) in steps.into_iter().enumerate() {
            let (id, now, mut events) = (market.client(client), Nanos(n as u64), Vec::new());
            let open = market.open_orders(id).next().cloned();
            match open.filter(|_| off % 4 == 0) {
                Some(open) if off % 8 == 0 => drop(market.amend(
                    now, (id, open.instrument, open.id), (open.ticks().unwrap() + 1, 1_500),
                    &mut events)),
                Some(open) => {
                    market.cancel(now, (id, open.instrument, open.id), &mut events).unwrap();
                }
                None => {
                    let side = if buys { Side::Buy } else { Side::Sell };
                    let ticks = market.instrument(index).reference + off;
                    let new = order(id, index, side, ticks, &format!("n{n}"));
                    drop(market.place(now, &new, &mut events));
                }
            }
            accounts.learn(&events);
        }
        for id in accounts.ids() {
            let open: Vec<_> = accounts.orders(id).map(|record| &record.order)
                .filter(|order| order.state.is_open()).collect();
            let mut theirs: Vec<_> = market.open_orders(id).collect();
            theirs.sort_by_key(|order| (order.instrument, order.id));
            prop_assert_eq!(open, theirs);
            for Record { order, fills } in accounts.orders(id) {
                let lots: u64 = fills.iter().map(|fill| fill.trade.lots).sum();
                let value: i128 = fills.iter().map(|fill| fill.value).sum();
                prop_assert_eq!((lots, value), (order.filled, order.value));
            }
            let counts = accounts.counts(id);
            let fills: usize = accounts.orders(id).map(|record| record.fills.len()).sum();
            prop_assert_eq!(counts.fills, fills as u64);
            prop_assert_eq!(counts.reports, accounts.reports(id).count() as u64);
            prop_assert_eq!(counts.placed - counts.filled - counts.ended,
                market.open_orders(id).count() as u64);
        }
    }
}
