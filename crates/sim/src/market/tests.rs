//! The market against a naive one, what must never change in it, and examples of its rules.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::instrument::Settlement;
use super::money::Step;
use super::naive::{Naive, Wanted};
use super::order::{Cause, Lasting, Pricing, SelfTrade, Trade};
use super::*;

const NOW: Nanos = Nanos(1_780_000_000_000_000_000);
const SPOT: Settlement = Settlement::Spot;
const LINEAR: Settlement = Settlement::Linear { size: Step::tenth(0) };
const INVERSE: Settlement = Settlement::Inverse { size: 100 };

/// One instrument without a crowd, and clients with so much of base and quote.
fn market(settlement: Settlement, clients: usize, (base, quote): (u64, u64)) -> Market {
    let name = match settlement {
        Settlement::Spot => "BTC-USDT",
        Settlement::Linear { .. } => "BTC-USDT-PERP",
        Settlement::Inverse { .. } => "BTC-USD-PERP",
    };
    let quote_name = if settlement == INVERSE { "USD" } else { "USDT" };
    let funds = BTreeMap::from([("BTC".to_owned(), base), (quote_name.to_owned(), quote)]);
    let listings = vec![Listing { name: name.to_owned(), settlement }];
    let options = MarketOptions { seed: 1, listings, rate: 0, accounts: vec![funds; clients] };
    Market::new(&options, NOW).unwrap()
}

fn limit(market: &Market, client: usize, side: Side, ticks: u64, lots: u64) -> NewOrder {
    NewOrder {
        account: market.client(client),
        instrument: 0,
        client_id: None,
        side,
        pricing: Pricing::Limit { ticks, post_only: false },
        lots,
        lasting: Lasting::GoodTillCancel,
        self_trade: SelfTrade::Allow,
    }
}

fn trades(events: &[Event]) -> Vec<Trade> {
    let trade = |event: &Event| match event.what {
        What::Trade(trade) => Some(trade),
        _ => None,
    };
    events.iter().filter_map(trade).collect()
}

// ---- Against the naive model. ----

#[derive(Clone, Debug)]
enum Op {
    Place(Wanted),
    Cancel { account: usize, which: usize },
    Amend { account: usize, which: usize, ticks: u64, lots: u64 },
}

const MIDDLE: u64 = 600_000;

fn op() -> impl Strategy<Value = Op> {
    let side = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    let pricing = prop_oneof![
        1 => Just(Pricing::Market),
        6 => (MIDDLE - 4..MIDDLE + 4, prop::bool::weighted(0.2))
            .prop_map(|(ticks, post_only)| Pricing::Limit { ticks, post_only }),
    ];
    let lasting = prop_oneof![
        4 => Just(Lasting::GoodTillCancel),
        1 => Just(Lasting::ImmediateOrCancel),
        1 => Just(Lasting::FillOrKill),
        1 => Just(Lasting::MakeOrExpire),
    ];
    let self_trade = prop_oneof![
        Just(SelfTrade::Allow),
        Just(SelfTrade::ExpireTaker),
        Just(SelfTrade::ExpireMaker),
        Just(SelfTrade::ExpireBoth),
        Just(SelfTrade::Decrement),
    ];
    let wanted = (0..3_usize, side, pricing, 0..60_u64, lasting, self_trade).prop_map(
        |(account, side, pricing, lots, lasting, self_trade)| {
            // Nothing waits without a limit.
            let lasting = match (pricing, lasting) {
                (Pricing::Market, Lasting::GoodTillCancel | Lasting::MakeOrExpire) => {
                    Lasting::ImmediateOrCancel
                }
                (_, lasting) => lasting,
            };
            Op::Place(Wanted { account, side, pricing, lots, lasting, self_trade })
        },
    );
    prop_oneof![
        6 => wanted,
        1 => (0..3_usize, 0..20_usize).prop_map(|(account, which)| Op::Cancel { account, which }),
        1 => (0..3_usize, 0..20_usize, MIDDLE - 4..MIDDLE + 4, 0..60_u64)
            .prop_map(|(account, which, ticks, lots)| Op::Amend { account, which, ticks, lots }),
    ]
}

/// Both do it; both must say the same of it.
fn do_both(market: &mut Market, naive: &mut Naive, op: &Op) -> Result<(), TestCaseError> {
    let mut events = Vec::new();
    let known = naive.trades.len();
    let any = |naive: &Naive, which: usize| {
        let at = which.checked_rem(naive.orders.len())?;
        Some(naive.orders[at].id)
    };
    match op {
        Op::Place(wanted) => {
            let new = NewOrder {
                account: market.client(wanted.account),
                instrument: 0,
                client_id: None,
                side: wanted.side,
                pricing: wanted.pricing,
                lots: wanted.lots,
                lasting: wanted.lasting,
                self_trade: wanted.self_trade,
            };
            let found = market.place(NOW, &new, &mut events);
            let expected = naive.place(wanted);
            let came = found.map(|order| (order.state.is_open(), order.filled, order.prevented));
            prop_assert_eq!(came, expected.map(|came| (came.rests, came.filled, came.prevented)));
        }
        Op::Cancel { account, which } => {
            let id = any(naive, *which).unwrap_or(1);
            let client = market.client(*account);
            let found = market.cancel(NOW, (client, 0, id), &mut events).map(|_| ());
            prop_assert_eq!(found, naive.cancel(*account, id));
        }
        Op::Amend { account, which, ticks, lots } => {
            let id = any(naive, *which).unwrap_or(1);
            let order = market.book(0).get(id).cloned();
            let makes = |o: &Order| {
                matches!(o.pricing, Pricing::Limit { post_only: true, .. })
                    || o.lasting == Lasting::MakeOrExpire
            };
            let makes = order.as_ref().is_some_and(makes);
            let gone = order.as_ref().map_or(0, |order| order.filled + order.prevented);
            let self_trade = order.map_or(SelfTrade::Allow, |order| order.self_trade);
            let client = market.client(*account);
            let found = market.amend(NOW, (client, 0, id), (*ticks, *lots), &mut events);
            let expected = naive.amend((*account, id), (*ticks, *lots, gone), (self_trade, makes));
            prop_assert_eq!(found.map(|_| ()), expected);
        }
    }
    let found = trades(&events).into_iter();
    let found: Vec<_> = found.map(|t| (t.ticks, t.lots, t.aggressor, t.taker, t.maker)).collect();
    let expected = naive.trades[known..].iter();
    let expected: Vec<_> =
        expected.map(|t| (t.price, t.lots, t.aggressor, t.taker, t.maker)).collect();
    prop_assert_eq!(found, expected);
    Ok(())
}

fn agree(market: &Market, naive: &Naive) -> Result<(), TestCaseError> {
    let mut sum = (0, 0);
    for account in 0..3 {
        let client = market.client(account);
        let (base, quote) =
            (market.ledger().balance(client, 0), market.ledger().balance(client, 1));
        prop_assert_eq!((base.free, quote.free), naive.free(account));
        for amount in [base.free, base.locked, quote.free, quote.locked] {
            prop_assert!(amount >= 0, "an account owes something: {:?} {:?}", base, quote);
        }
        sum = (sum.0 + base.free + base.locked, sum.1 + quote.free + quote.locked);
    }
    let all = (sum.0 + market.ledger().fees(0), sum.1 + market.ledger().fees(1));
    prop_assert_eq!(all, (naive.funds.0 * 3, naive.funds.1 * 3), "something was made or lost");
    for side in [Side::Buy, Side::Sell] {
        let mut expected: Vec<_> = naive.orders.iter().filter(|o| o.side == side).collect();
        // Stable: those of one price stay in the sequence of their arrival.
        expected.sort_by_key(|order| match side {
            Side::Buy => u64::MAX - order.price,
            Side::Sell => order.price,
        });
        let found: Vec<_> = market.book(0).queue(side).map(|o| (o.id, o.left())).collect();
        let queue: Vec<_> = expected.iter().map(|o| (o.id, o.left)).collect();
        prop_assert_eq!(found, queue);
        let mut levels: Vec<(u64, u64)> = Vec::new();
        for order in expected {
            match levels.last_mut().filter(|(price, _)| *price == order.price) {
                Some((_, lots)) => *lots += order.left,
                None => levels.push((order.price, order.left)),
            }
        }
        prop_assert_eq!(market.book(0).levels(side).collect::<Vec<_>>(), levels);
    }
    Ok(())
}

/// Two instruments' crowds, and a client that keeps books by what is told; gives the best prices of the
/// end, where there are any.
fn adds_up(seed: u64) -> Result<Vec<[Option<u64>; 2]>, TestCaseError> {
    let listings = vec![
        Listing { name: "ETH-BTC".to_owned(), settlement: SPOT },
        Listing { name: "BTC-USD-PERP".to_owned(), settlement: INVERSE },
    ];
    let options = MarketOptions { seed, listings, rate: 1_000, accounts: Vec::new() };
    let mut market = Market::new(&options, NOW).unwrap();
    let levels = |market: &Market, index| -> [BTreeMap<u64, u64>; 2] {
        [Side::Buy, Side::Sell].map(|side| market.book(index).levels(side).collect())
    };
    let mut books = [levels(&market, 0), levels(&market, 1)];
    let mut events = Vec::new();
    for _ in 0..2_000 {
        let now = market.deadline().unwrap();
        market.advance(now, &mut events);
    }
    market.freeze(NOW, &mut events);
    prop_assert_eq!(market.deadline(), None);
    for event in &events {
        if let What::Level { side, ticks, lots } = event.what {
            let book = &mut books[event.instrument][usize::from(side == Side::Sell)];
            if lots == 0 {
                book.remove(&ticks)
            } else {
                book.insert(ticks, lots)
            };
        }
    }
    let mut all = Vec::new();
    for (index, book) in books.into_iter().enumerate() {
        prop_assert_eq!(levels(&market, index), book);
        let best = market.best(index).map(|level| level.map(|(ticks, _)| ticks));
        if let [Some(bid), Some(ask)] = best {
            prop_assert!(bid < ask, "crossed: {:?}", best);
        }
        all.push(best);
    }
    Ok(all)
}

#[test]
fn a_side_of_which_a_taker_has_taken_all_adds_up_too() {
    let best = adds_up(6_826_816_660_062_347_164).unwrap();
    assert!(matches!(best[..], [[Some(_), Some(_)], [None, Some(_)]]), "{best:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_market_does_what_the_naive_one_does(ops in prop::collection::vec(op(), 1..120)) {
        // Little enough to run out of it.
        let mut market = market(SPOT, 3, (1, 100));
        let instrument = market.instrument(0).clone();
        let next_id = market.pits[0].next_order;
        let funds = (ONE, 100 * ONE);
        let mut naive =
            Naive { instrument, orders: Vec::new(), trades: Vec::new(), next_id, funds };
        for op in &ops {
            do_both(&mut market, &mut naive, op)?;
            agree(&market, &naive)?;
        }
    }

    /// Levels that are told one by one make the book.
    #[test]
    fn the_events_add_up_to_the_book(seed in any::<u64>()) {
        adds_up(seed)?;
    }

    /// Positions sum to nothing; balances, fees and open profit to what was deposited.
    #[test]
    fn derivatives_conserve_money(
        inverse in any::<bool>(),
        ops in prop::collection::vec((0..3_usize, any::<bool>(), 0..8_u64, 1..90_u64), 1..100),
    ) {
        let settlement = if inverse { INVERSE } else { LINEAR };
        let mut market = market(settlement, 3, (2, 5_000));
        let asset = usize::from(!inverse);
        let sign = if inverse { -1 } else { 1 };
        let deposited = 3 * if inverse { 2 * ONE } else { 5_000 * ONE };
        for (client, buys, away, lots) in ops {
            let side = if buys { Side::Buy } else { Side::Sell };
            let order = limit(&market, client, side, MIDDLE - 4 + away, lots);
            // One that can't be paid for is refused, and that is fine here.
            let _ = market.place(NOW, &order, &mut Vec::new());
            let accounts = [0, 1, 2].map(|client| market.client(client));
            let held = accounts.map(|account| market.ledger().position(account, 0));
            let balances = accounts.map(|account| market.ledger().balance(account, asset));
            prop_assert_eq!(held.iter().map(|position| position.lots).sum::<i64>(), 0);
            let total: Amount = balances.iter().map(|b| b.free + b.locked).sum();
            let cost: Amount = held.iter().map(|position| position.cost).sum();
            prop_assert_eq!(total + market.ledger().fees(asset) - sign * cost, deposited);
            for (account, (balance, held)) in accounts.iter().zip(balances.iter().zip(held)) {
                let orders: Amount = market.open_orders(*account).map(|order| order.locked).sum();
                prop_assert_eq!(balance.locked, orders + held.cost.abs() / ledger::LEVERAGE);
            }
        }
    }
}

// ---- Examples. ----

#[test]
fn an_order_trades_at_the_price_of_the_one_that_waited() {
    let mut market = market(SPOT, 2, (1, 1_000));
    let mut out = Vec::new();
    let sell = limit(&market, 0, Side::Sell, MIDDLE, 100);
    let sold = market.place(NOW, &sell, &mut out).unwrap();
    assert_eq!((sold.state, sold.left()), (order::State::New, 100));
    let buy = limit(&market, 1, Side::Buy, MIDDLE + 50, 40);
    let bought = market.place(NOW, &buy, &mut out).unwrap();
    assert_eq!((bought.state, bought.filled), (order::State::Filled, 40));
    // 40 lots of 0.00001 at 60,000.0: 24 dollars; a thousandth of 0.0004 as a fee.
    let ledger = market.ledger();
    let (base, quote) = (ledger.balance(market.client(1), 0), ledger.balance(market.client(1), 1));
    assert_eq!(money::decimal(quote.free).to_string(), "976");
    assert_eq!(money::decimal(base.free).to_string(), "1.0003996");
    assert_eq!((base.locked, quote.locked), (0, 0));
    let causes: Vec<_> = out
        .iter()
        .filter_map(|event| match &event.what {
            What::Report(report) => Some((report.order.id - sold.id, report.cause.clone())),
            _ => None,
        })
        .map(|(order, cause)| (order, matches!(cause, Cause::Filled(_))))
        .collect();
    assert_eq!(causes, [(0, false), (1, false), (1, true), (0, true)]);
}

#[test]
fn a_position_is_opened_closed_and_turned() {
    let mut market = market(LINEAR, 2, (0, 100_000));
    let mut out = Vec::new();
    let steps = [(Side::Sell, MIDDLE, 100), (Side::Buy, MIDDLE + 1_000, 150)];
    for (side, ticks, lots) in steps {
        let waits = limit(&market, 0, side, ticks, lots);
        market.place(NOW, &waits, &mut out).unwrap();
        let takes = limit(&market, 1, matching::opposite(side), ticks, lots);
        market.place(NOW, &takes, &mut out).unwrap();
    }
    // The second bought 100 lots of 0.0001 at 60,000.0 and sold 150 at 60,100.0: one dollar.
    let held = market.ledger().position(market.client(1), 0);
    assert_eq!(held.lots, -50);
    assert_eq!(money::decimal(held.cost).to_string(), "-300.5");
    let profits: Amount = out
        .iter()
        .filter_map(|event| match &event.what {
            What::Report(report) if report.order.account == market.client(1) => {
                match &report.cause {
                    Cause::Filled(fill) => Some(fill.profit),
                    _ => None,
                }
            }
            _ => None,
        })
        .sum();
    assert_eq!(money::decimal(profits).to_string(), "1");
}

#[test]
fn every_rule_refuses_and_leaves_everything_as_it_was() {
    let mut market = market(SPOT, 1, (1, 1_000));
    let good =
        NewOrder { client_id: Some("mine".into()), ..limit(&market, 0, Side::Buy, MIDDLE, 100) };
    let placed = market.place(NOW, &good, &mut Vec::new()).unwrap();
    let plain = NewOrder { client_id: None, ..good.clone() };
    let at = |ticks| Pricing::Limit { ticks, post_only: false };
    let cases = [
        (good.clone(), Refusal::DuplicateClientId),
        (NewOrder { pricing: at(0), ..plain.clone() }, Refusal::PriceRange),
        (NewOrder { pricing: at(60_000_000), ..plain.clone() }, Refusal::PriceRange),
        (NewOrder { pricing: at(3_000_001), ..plain.clone() }, Refusal::PriceBand),
        (NewOrder { pricing: at(119_999), ..plain.clone() }, Refusal::PriceBand),
        (NewOrder { lots: 0, ..plain.clone() }, Refusal::QuantityRange),
        (NewOrder { lots: 100_000_001, ..plain.clone() }, Refusal::QuantityRange),
        (NewOrder { lots: 8, ..plain.clone() }, Refusal::ValueMin),
        (NewOrder { lots: 2_000, ..plain.clone() }, Refusal::Balance),
        (
            NewOrder {
                side: Side::Sell,
                pricing: Pricing::Limit { ticks: MIDDLE, post_only: true },
                ..plain.clone()
            },
            Refusal::WouldTake,
        ),
    ];
    let before = market.ledger().balance(market.client(0), 1);
    for (order, refusal) in cases {
        let mut out = Vec::new();
        assert_eq!(market.place(NOW, &order, &mut out), Err(refusal), "{order:?}");
        assert!(out.is_empty() && market.book(0).len() == 1);
        assert_eq!(market.ledger().balance(market.client(0), 1), before);
    }
    assert_eq!(market.named(market.client(0), "mine").map(|order| order.id), Some(placed.id));
    let key = (market.client(0), 0, placed.id);
    market.cancel(NOW, key, &mut Vec::new()).unwrap();
    assert_eq!(market.cancel(NOW, key, &mut Vec::new()), Err(Refusal::UnknownOrder));
    assert_eq!(market.named(market.client(0), "mine"), None);
    assert_eq!(market.ledger().balance(market.client(0), 1).locked, 0);
    market.freeze(NOW, &mut Vec::new());
    assert_eq!(market.place(NOW, &plain, &mut Vec::new()), Err(Refusal::Frozen));
}

#[test]
fn what_is_left_ends_in_the_state_that_says_why() {
    let mut market = market(SPOT, 2, (1, 1_000));
    let mut came = |client: usize, lasting, self_trade, side, lots| {
        let order = limit(&market, client, side, MIDDLE, lots);
        let order = NewOrder { lasting, self_trade, ..order };
        let order = market.place(NOW, &order, &mut Vec::new()).unwrap();
        (order.state, order.filled)
    };
    let (gtc, ioc) = (Lasting::GoodTillCancel, Lasting::ImmediateOrCancel);
    assert_eq!(came(0, gtc, SelfTrade::Allow, Side::Sell, 50), (order::State::New, 0));
    let whole = Lasting::FillOrKill;
    assert_eq!(came(1, whole, SelfTrade::Allow, Side::Buy, 51), (order::State::Expired, 0));
    let taker = SelfTrade::ExpireTaker;
    assert_eq!(came(0, gtc, taker, Side::Buy, 20), (order::State::ExpiredInMatch, 0));
    assert_eq!(came(1, whole, SelfTrade::Allow, Side::Buy, 20), (order::State::Filled, 20));
    assert_eq!(came(1, ioc, SelfTrade::Allow, Side::Buy, 40), (order::State::Expired, 30));
    assert_eq!(came(0, gtc, SelfTrade::Allow, Side::Sell, 20), (order::State::New, 0));
    assert_eq!(came(1, gtc, taker, Side::Buy, 30), (order::State::PartiallyFilled, 20));
}

#[test]
fn an_account_has_so_many_open_orders_and_no_more() {
    let mut market = market(SPOT, 1, (1, 1_000_000));
    let order = limit(&market, 0, Side::Buy, MIDDLE, 10);
    for _ in 0..market.instrument(0).open_orders_max {
        market.place(NOW, &order, &mut Vec::new()).unwrap();
    }
    assert_eq!(market.place(NOW, &order, &mut Vec::new()), Err(Refusal::OpenOrders));
    let first = market.open_orders(market.client(0)).next().unwrap().id;
    market.cancel(NOW, (market.client(0), 0, first), &mut Vec::new()).unwrap();
    assert!(market.place(NOW, &order, &mut Vec::new()).is_ok());
}

// ---- The crowd. ----

/// Also how often a best level changed, per action.
fn run(seed: u64, rate: u32, seconds: u64) -> (Market, Vec<Event>, usize) {
    let names = instrument::default_names(10, &["USDT"], "");
    let listings = names.into_iter().map(|name| Listing { name, settlement: SPOT }).collect();
    let options = MarketOptions { seed, listings, rate, accounts: Vec::new() };
    let mut market = Market::new(&options, NOW).unwrap();
    let (mut events, mut changes) = (Vec::new(), 0);
    let end = NOW + Duration::from_secs(seconds);
    while let Some(at) = market.deadline().filter(|at| *at <= end) {
        let best = |market: &Market| (0..10).map(|index| market.best(index)).collect::<Vec<_>>();
        let before = best(&market);
        market.advance(at, &mut events);
        changes += usize::from(best(&market) != before);
    }
    (market, events, changes)
}

#[test]
fn a_seed_is_a_run() {
    assert!(run(3, 500, 5).1 == run(3, 500, 5).1);
    assert!(run(3, 500, 5).1 != run(4, 500, 5).1);
}

#[test]
fn the_rate_is_about_what_was_asked_for_and_books_stay_deep() {
    let (market, events, changes) = run(5, 1_000, 60);
    let messages = trades(&events).len() + changes;
    assert!((45_000..75_000).contains(&messages), "{messages} in a minute");
    for index in 0..market.len() {
        let levels = [Side::Buy, Side::Sell].map(|side| market.book(index).levels(side).count());
        assert!(levels.iter().all(|count| *count > 20), "{levels:?}");
        assert!(market.book(index).len() < 800);
    }
}
