//! Each limit by example, and positions and their value against a naive count.

use model::reply::ReplyAnswer;
use proptest::prelude::*;

use super::world::World;
use super::*;
use crate::catalog::Catalog;

/// A desk that trades, with these limits for its consumer.
fn world(limits: Limits) -> World {
    let mut world = World::new(DeskOptions::default());
    world.run();
    world.desk.set_limits(Scope::Consumer("c".into()), limits);
    world
}

/// What is answered to an order with these terms in this market.
fn answer(world: &mut World, id: &str, terms: Terms, market: Market<'_>) -> Option<Denial> {
    let new = NewOrder { order: key(id), terms, decision_id: 1 };
    world.desk.submit(new, market, world.now);
    world.look_up();
    match world.desk.take_reply().map(|reply| reply.answer) {
        Some(ReplyAnswer::Denied(denial)) => Some(denial),
        None => None,
        other => panic!("{other:?}"),
    }
}

fn of(quantity: i64, price: i64) -> Terms {
    Terms { quantity: quantity.into(), price: Some(price.into()), ..terms() }
}

fn market(instrument: &Instrument) -> Market<'_> {
    Market { instrument: Some(instrument), price: Some(Decimal::TEN) }
}

#[test]
fn what_the_venue_would_not_take_is_denied_here() {
    let mut world = world(Limits::default());
    let btc = btc();
    let ok = market(&btc);
    let halted = Instrument { trading: Trading::Halted, ..btc.clone() };
    let no_tick = Instrument { tick: None, ..btc.clone() };
    let no_price = Terms { price: None, ..terms() };
    let priced_market = Terms { order_type: OrderType::Market, ..terms() };
    let off_tick = Terms { price: Some(Decimal::new(1005, 2)), ..terms() };
    let off_lot = Terms { quantity: Decimal::new(15, 1), ..terms() };
    let unseen = Terms { order_type: OrderType::Market, ..no_price.clone() };
    let blind = Market { price: None, ..ok };
    let unlisted = Market { instrument: None, ..ok };
    let cases = [
        (of(0, 10), ok, Denial::Malformed),
        (of(1, 0), ok, Denial::Malformed),
        (no_price, ok, Denial::Malformed),
        (priced_market, ok, Denial::Malformed),
        (terms(), unlisted, Denial::Unlisted),
        (terms(), Market { instrument: Some(&no_tick), ..ok }, Denial::Unlisted),
        (terms(), Market { instrument: Some(&halted), ..ok }, Denial::Halted),
        (off_tick, ok, Denial::Tick),
        (off_lot, ok, Denial::Lot),
        (of(1, 9), ok, Denial::NotionalMin),
        (unseen, blind, Denial::NoReference),
    ];
    for (n, (terms, market, denial)) in cases.into_iter().enumerate() {
        let given = answer(&mut world, &n.to_string(), terms, market);
        assert_eq!(given, Some(denial), "case {n}");
    }
    assert_eq!(answer(&mut world, "", terms(), ok), Some(Denial::Malformed));
    assert_eq!(answer(&mut world, "good", terms(), ok), None);
    assert_eq!(world.facts.len(), 0, "a denial is no fact");
}

#[test]
fn one_order_is_limited_in_value_and_price() {
    let limits = Limits {
        order_notional_max: Some(100.into()),
        price_band_bp: Some(1_000),
        ..Limits::default()
    };
    let mut world = world(limits);
    let btc = btc();
    assert_eq!(answer(&mut world, "1", of(11, 10), market(&btc)), Some(Denial::OrderNotional));
    assert_eq!(answer(&mut world, "2", of(5, 12), market(&btc)), Some(Denial::PriceBand));
    assert_eq!(answer(&mut world, "3", of(5, 8), market(&btc)), Some(Denial::PriceBand));
    let blind = Market { price: None, ..market(&btc) };
    assert_eq!(answer(&mut world, "4", of(5, 10), blind), Some(Denial::NoReference));
    assert_eq!(answer(&mut world, "5", of(5, 11), market(&btc)), None);
}

#[test]
fn positions_count_with_everything_that_is_open_and_may_always_shrink() {
    let limits = Limits { position_max: Some(8.into()), ..Limits::default() };
    let mut world = world(limits);
    let btc = btc();
    assert_eq!(answer(&mut world, "1", of(5, 10), market(&btc)), None);
    assert_eq!(answer(&mut world, "2", of(4, 10), market(&btc)), Some(Denial::Position));
    assert_eq!(answer(&mut world, "3", of(3, 10), market(&btc)), None);
    world.run();
    (0..5).for_each(|_| world.trade("1"));
    world.run();
    assert_eq!(world.desk.position("c", P, BTC), 5.into());
    let sell = |quantity| Terms { side: Side::Sell, ..of(quantity, 10) };
    assert_eq!(answer(&mut world, "4", sell(14), market(&btc)), Some(Denial::Position));
    assert_eq!(answer(&mut world, "5", sell(13), market(&btc)), None);
}

#[test]
fn the_value_of_everything_is_limited_for_an_account_whoever_trades() {
    let mut world = world(Limits::default());
    let btc = btc();
    let limits = Limits { notional_max: Some(80.into()), ..Limits::default() };
    world.desk.set_limits(Scope::Account(P.into()), limits);
    world.desk.add_consumer("d".into(), true, 0, None);
    assert_eq!(answer(&mut world, "1", of(5, 10), market(&btc)), None);
    let order = OrderKey { consumer: "d".into(), client_order_id: "1".into() };
    let new = NewOrder { order, terms: of(4, 10), decision_id: 1 };
    world.desk.submit(new, market(&btc), world.now);
    world.look_up();
    let denied = world.desk.take_reply().map(|reply| reply.answer);
    assert_eq!(denied, Some(ReplyAnswer::Denied(Denial::Notional)));
    assert_eq!(answer(&mut world, "2", of(3, 10), market(&btc)), None);
}

fn sell(quantity: i64, price: i64) -> Terms {
    Terms { side: Side::Sell, ..of(quantity, price) }
}

#[test]
fn an_order_is_worth_its_limit_or_what_the_market_pays_whichever_is_more() {
    let btc = btc();
    let blind = Market { price: None, ..market(&btc) };
    let most = Some(100.into());
    let one = Limits { order_notional_max: most, ..Limits::default() };
    let all = Limits { notional_max: most, ..Limits::default() };
    for (limits, denial) in [(one, Denial::OrderNotional), (all, Denial::Notional)] {
        let mut world = world(limits);
        assert_eq!(answer(&mut world, "1", sell(11, 1), market(&btc)), Some(denial));
        assert_eq!(answer(&mut world, "2", sell(6, 20), market(&btc)), Some(denial));
        assert_eq!(answer(&mut world, "3", of(6, 20), market(&btc)), Some(denial));
        assert_eq!(answer(&mut world, "4", of(11, 5), market(&btc)), Some(denial));
        // A buy pays no more than its limit; what a sell brings nobody knows then.
        assert_eq!(answer(&mut world, "5", sell(1, 10), blind), Some(Denial::NoReference));
        assert_eq!(answer(&mut world, "6", sell(10, 5), market(&btc)), None);
    }
}

#[test]
fn without_a_market_a_buy_is_worth_its_limit_unless_something_is_held() {
    let mut world = world(Limits { notional_max: Some(100.into()), ..Limits::default() });
    let btc = btc();
    let blind = Market { price: None, ..market(&btc) };
    assert_eq!(answer(&mut world, "1", of(11, 10), blind), Some(Denial::Notional));
    assert_eq!(answer(&mut world, "2", of(5, 10), blind), None);
    assert_eq!(answer(&mut world, "3", of(1, 10), blind), Some(Denial::NoReference));
    assert_eq!(answer(&mut world, "4", of(6, 10), market(&btc)), Some(Denial::Notional));
    assert_eq!(answer(&mut world, "5", of(4, 10), market(&btc)), None);
}

#[test]
fn an_amend_to_a_higher_price_is_worth_more() {
    let mut world = world(Limits { notional_max: Some(60.into()), ..Limits::default() });
    let btc = btc();
    assert_eq!(answer(&mut world, "1", of(5, 10), market(&btc)), None);
    world.run();
    let mut amend = |price: i64, quantity: i64| {
        let wanted = (Some(price.into()), Some(quantity.into()));
        world.desk.amend(&key("1"), wanted.0, wanted.1, market(&btc), world.now);
        world.run();
        world.replied.pop().map(|reply| reply.answer)
    };
    assert_eq!(amend(13, 5), Some(ReplyAnswer::Denied(Denial::Notional)));
    assert_eq!(amend(12, 5), None);
    assert_eq!(amend(16, 4), Some(ReplyAnswer::Denied(Denial::Notional)));
    assert_eq!(amend(12, 4), None);
}

#[test]
fn what_was_taken_over_counts_with_what_it_is_worth_and_nothing_is_added_before_that_is_known() {
    let mut world = world(Limits { notional_max: Some(80.into()), ..Limits::default() });
    let (mut listed, eth) = (btc(), "ETH-USDT");
    world.desk.restore_position(("c".into(), P.into(), eth.into()), Decimal::from(-3));
    assert_eq!(answer(&mut world, "1", of(5, 10), market(&listed)), Some(Denial::NoReference));

    let catalog = Catalog::new();
    let at = catalog.provider(P).unwrap();
    listed.name = eth.into();
    listed.contract_size = Some(Decimal::TWO);
    catalog.list(at, &listed).unwrap();
    world.desk.value_holdings(&catalog, |_, _| None);
    assert_eq!(answer(&mut world, "2", of(5, 10), market(&btc())), Some(Denial::NoReference));
    world.desk.value_holdings(&catalog, |_, of| {
        assert_eq!(catalog.instrument_name(of).as_deref(), Some(eth));
        Some(5.into())
    });
    assert_eq!(answer(&mut world, "3", of(6, 10), market(&btc())), Some(Denial::Notional));
    assert_eq!(answer(&mut world, "4", of(5, 10), market(&btc())), None);
    // What it is worth moves while nothing is asked of it.
    world.desk.value_holdings(&catalog, |_, of| {
        let eth = catalog.instrument_name(of).as_deref() == Some(eth);
        Some(if eth { 4 } else { 10 }.into())
    });
    assert_eq!(answer(&mut world, "5", of(1, 10), market(&btc())), Some(Denial::Notional));
}

#[test]
fn what_is_open_after_a_restart_is_not_worth_nothing() {
    let mut world = world(Limits::default());
    world.submit("1");
    world.run();
    world.crash();
    world.run();
    let limits = Limits { notional_max: Some(60.into()), ..Limits::default() };
    world.desk.set_limits(Scope::Account(P.into()), limits);
    let btc = btc();
    let blind = Market { price: None, ..market(&btc) };
    assert_eq!(answer(&mut world, "2", of(1, 10), blind), Some(Denial::NoReference));
    assert_eq!(answer(&mut world, "3", of(2, 10), market(&btc)), Some(Denial::Notional));
    assert_eq!(answer(&mut world, "4", of(1, 10), market(&btc)), None);
}

/// One by one: what may be bought and sold of what is held, at the market's price, and of the new
/// order at its limit where that is higher.
fn naive_value(held: i64, open: &[(Side, i64)], new: Option<(Side, i64, i64)>) -> i64 {
    let on = |side| {
        let signed = if side == Side::Buy { held } else { -held };
        let others = open.iter().filter(|(on, _)| *on == side).map(|(_, quantity)| quantity);
        let rest = signed + others.sum::<i64>();
        let new = new.filter(|(on, ..)| *on == side);
        // Of the new order what does not only bring the position nearer to zero.
        let (quantity, limit) = new.map_or((0, 0), |(_, quantity, limit)| (quantity, limit));
        (0..quantity).fold(rest * 10, |value, unit| {
            let beyond = rest + quantity - unit > 0;
            value + if beyond { limit.max(10) } else { 10 }
        })
    };
    on(Side::Buy).max(on(Side::Sell))
}

proptest! {
    #[test]
    fn the_value_of_what_is_held_and_open_is_that_of_a_naive_count(
        held in -9_i64..9,
        orders in proptest::collection::vec((any::<bool>(), 1_i64..9, 2_i64..30), 1..9),
        most in 0_i64..300,
    ) {
        let mut world = world(Limits { notional_max: Some(most.into()), ..Limits::default() });
        world.desk.restore_position(("c".into(), P.into(), BTC.into()), held.into());
        let btc = Instrument { notional_min: None, ..btc() };
        let mut open = Vec::new();
        for (n, (buys, quantity, limit)) in orders.into_iter().enumerate() {
            let side = if buys { Side::Buy } else { Side::Sell };
            let terms = Terms { side, ..of(quantity, limit) };
            let before = naive_value(held, &open, None);
            let then = naive_value(held, &open, Some((side, quantity, limit)));
            let denied = then > most && then > before;
            let expected = denied.then_some(Denial::Notional);
            prop_assert_eq!(answer(&mut world, &n.to_string(), terms, market(&btc)), expected);
            if !denied {
                open.push((side, quantity));
            }
        }
    }
}

#[test]
fn orders_are_limited_in_number_and_in_time() {
    let rate = Rate { count: 2, per: Duration::from_secs(10) };
    let limits = Limits { orders: Some(rate), open_max: Some(3), ..Limits::default() };
    let mut world = world(limits);
    let btc = btc();
    assert_eq!(answer(&mut world, "1", terms(), market(&btc)), None);
    assert_eq!(answer(&mut world, "2", terms(), market(&btc)), None);
    assert_eq!(answer(&mut world, "3", terms(), market(&btc)), Some(Denial::OrderRate));
    world.tick(10_001);
    assert_eq!(answer(&mut world, "3", terms(), market(&btc)), None);
    assert_eq!(answer(&mut world, "4", terms(), market(&btc)), Some(Denial::TooManyOpen));
}

#[test]
fn too_many_rejections_throw_the_switch_off() {
    let mut world = World::new(DeskOptions::default());
    world.run();
    let rate = Rate { count: 3, per: Duration::from_secs(10) };
    world.desk.add_consumer("b".into(), true, 0, Some(rate));
    let btc = btc();
    for n in 0..3 {
        assert!(world.desk.is_on("b"));
        let order = OrderKey { consumer: "b".into(), client_order_id: n.to_string().into() };
        let new = NewOrder { order, terms: of(0, 10), decision_id: 1 };
        world.desk.submit(new, market(&btc), world.now);
    }
    assert!(!world.desk.is_on("b") && world.desk.is_on("c"));
    assert_eq!(world.desk.take_note(), Some(Note::BreakerTripped("b".into())));
}
