//! Pre-trade risk: what an order is checked against before its intent is written.

use std::collections::BTreeMap;

use model::event::Side;
use model::instrument::Trading;
use model::ledger::{Name, Terms};
use model::order::{OrderType, TimeInForce};
use model::venue::Rate;
use model::{Decimal, Denial, Instrument, Nanos};

use super::budget::Budget;
use super::exposure::{Exposure, Holding, Place};

/// What limits are about. An order is checked against every scope that it falls into.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// All orders of a consumer.
    Consumer(Name),
    /// All orders for an instrument at a provider, whoever gives them.
    Instrument {
        /// The provider.
        provider: Name,
        /// Canonical name.
        instrument: Name,
    },
    /// All orders of a provider's account, whoever gives them.
    Account(Name),
}

/// Limits of one scope; `None` is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The largest value of one order, in quote currency.
    pub order_notional_max: Option<Decimal>,
    /// The largest position in each instrument, long or short, if everything open were filled; in
    /// base currency or contracts. What brings a position nearer to zero passes.
    pub position_max: Option<Decimal>,
    /// The largest value of all positions, if everything open were filled; in quote currency, at the
    /// prices that were last known. What does not raise it passes.
    pub notional_max: Option<Decimal>,
    /// How far from the market a price may be, in hundredths of a per cent of the market's.
    pub price_band_bp: Option<u32>,
    /// How many new orders in how long.
    pub orders: Option<Rate>,
    /// How many orders may be open at once.
    pub open_max: Option<usize>,
}

/// What the shard knows of an instrument's market at that moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Market<'a> {
    /// The venue's list on it.
    pub instrument: Option<&'a Instrument>,
    /// The middle of the proven book's best levels, in quote currency; `None` where there is no such book
    /// now, also where the provider follows quotes alone.
    pub price: Option<Decimal>,
}

/// What is to be checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) consumer: &'a Name,
    pub(super) terms: &'a Terms,
    /// What the order already counts with: of a new one nothing, of one to be amended its leaves.
    pub(super) counted: Decimal,
    /// What may be filled of it if it is done.
    pub(super) leaves: Decimal,
    pub(super) new: bool,
}

/// Limits and what counts against them.
#[derive(Debug, Default)]
pub(super) struct Risk {
    pub(super) exposure: Exposure,
    limits: BTreeMap<Scope, (Limits, Budget)>,
}

impl Risk {
    pub(super) fn set(&mut self, scope: Scope, limits: Limits) {
        let rates: Vec<Rate> = limits.orders.into_iter().collect();
        self.limits.insert(scope, (limits, Budget::new(&rates, 0)));
    }

    /// Checks an order, and counts it against the rates where it passes.
    pub(super) fn check(
        &mut self,
        asked: Asked<'_>,
        market: Market<'_>,
        now: Nanos,
    ) -> Result<(), Denial> {
        let terms = asked.terms;
        well_formed(terms)?;
        let unit = listed(terms, market)?;
        let price = terms.price.or(market.price);
        let value = |price: Decimal| price.saturating_mul(unit);
        if let Some(price) = market.price.or(terms.price) {
            self.exposure.value(&terms.provider, &terms.instrument, value(price));
        }
        for scope in scopes(asked) {
            let Some((limits, budget)) = self.limits.get(&scope) else { continue };
            order_limits(limits, asked, price.map(value), market.price)?;
            self.holdings(limits, &scope, asked)?;
            if asked.new && budget.free_at(true, now) > now {
                return Err(Denial::OrderRate);
            }
        }
        for scope in scopes(asked).into_iter().filter(|_| asked.new) {
            if let Some((_, budget)) = self.limits.get_mut(&scope) {
                budget.take(now);
            }
        }
        Ok(())
    }

    fn holdings(&self, limits: &Limits, scope: &Scope, asked: Asked<'_>) -> Result<(), Denial> {
        let within = |place: &Place| match scope {
            Scope::Consumer(consumer) => place.0 == *consumer,
            Scope::Instrument { provider, instrument } => {
                place.1 == *provider && place.2 == *instrument
            }
            Scope::Account(provider) => place.1 == *provider,
        };
        let mut open = 0;
        let mut by_instrument: BTreeMap<(&Name, &Name), Holding> = BTreeMap::new();
        for (place, holding) in self.exposure.within(within) {
            open += holding.open;
            let sum = by_instrument.entry((&place.1, &place.2)).or_default();
            sum.position = sum.position.saturating_add(holding.position);
            sum.buys = sum.buys.saturating_add(holding.buys);
            sum.sells = sum.sells.saturating_add(holding.sells);
        }
        if asked.new && limits.open_max.is_some_and(|most| open >= most) {
            return Err(Denial::TooManyOpen);
        }
        let own = (&asked.terms.provider, &asked.terms.instrument);
        let before = by_instrument.entry(own).or_default().clone();
        let after = added(before.clone(), asked);
        let grows = worst(&after, asked.terms.side) > worst(&before, asked.terms.side);
        let position = worst(&after, asked.terms.side);
        if grows && limits.position_max.is_some_and(|most| position > most) {
            return Err(Denial::Position);
        }
        let Some(most) = limits.notional_max else { return Ok(()) };
        let value = |(place, holding): (&(&Name, &Name), &Holding)| {
            let unit = self.exposure.value_of(place.0, place.1).unwrap_or_default();
            let worst = worst(holding, Side::Buy).max(worst(holding, Side::Sell));
            worst.saturating_mul(unit)
        };
        let sum = |all: &BTreeMap<_, _>| {
            all.iter().map(value).fold(Decimal::ZERO, |sum, value| sum.saturating_add(value))
        };
        let total = sum(&by_instrument);
        by_instrument.insert(own, after);
        let then = sum(&by_instrument);
        if then > most && then > total { Err(Denial::Notional) } else { Ok(()) }
    }
}

/// The scopes that an order falls into.
fn scopes(asked: Asked<'_>) -> [Scope; 3] {
    let (provider, instrument) = (asked.terms.provider.clone(), asked.terms.instrument.clone());
    [
        Scope::Consumer(asked.consumer.clone()),
        Scope::Instrument { provider: provider.clone(), instrument },
        Scope::Account(provider),
    ]
}

/// The holding with what is asked for instead of what is counted for it.
fn added(mut holding: Holding, asked: Asked<'_>) -> Holding {
    let more = asked.leaves.saturating_sub(asked.counted);
    match asked.terms.side {
        Side::Buy => holding.buys = holding.buys.saturating_add(more),
        Side::Sell => holding.sells = holding.sells.saturating_add(more),
    }
    holding
}

/// How far a position may go to one side if everything open on that side were filled.
fn worst(holding: &Holding, side: Side) -> Decimal {
    match side {
        Side::Buy => holding.position.saturating_add(holding.buys),
        Side::Sell => holding.sells.saturating_sub(holding.position),
    }
}

fn well_formed(terms: &Terms) -> Result<(), Denial> {
    let priced = match (terms.order_type, terms.price) {
        (OrderType::Limit, Some(price)) => price > Decimal::ZERO,
        (OrderType::Market, None) => terms.time_in_force != TimeInForce::PostOnly,
        (OrderType::Limit, None) | (OrderType::Market, Some(_)) => false,
    };
    if priced && terms.quantity > Decimal::ZERO { Ok(()) } else { Err(Denial::Malformed) }
}

/// Checks against the venue's own list; gives the size of one unit, by which price times quantity is
/// multiplied. The list does not tell inverse contracts from linear ones: their value, which has no
/// price in it, is taken for so many times as much.
fn listed(terms: &Terms, market: Market<'_>) -> Result<Decimal, Denial> {
    let instrument = market.instrument.ok_or(Denial::Unlisted)?;
    match instrument.trading {
        Trading::Open => {}
        Trading::Unlisted => return Err(Denial::Unlisted),
        Trading::Halted | Trading::Other(_) => return Err(Denial::Halted),
    }
    let (Some(tick), Some(lot)) = (instrument.tick, instrument.lot) else {
        return Err(Denial::Unlisted);
    };
    let whole = |amount: Decimal, step: Decimal| {
        amount.checked_rem(step).is_some_and(|rest| rest.is_zero())
    };
    if !terms.price.is_none_or(|price| whole(price, tick)) {
        return Err(Denial::Tick);
    }
    if !whole(terms.quantity, lot) {
        return Err(Denial::Lot);
    }
    let unit = instrument.contract_size.unwrap_or(Decimal::ONE);
    if let Some(least) = instrument.notional_min {
        let price = terms.price.or(market.price).ok_or(Denial::NoReference)?;
        if price.saturating_mul(terms.quantity).saturating_mul(unit) < least {
            return Err(Denial::NotionalMin);
        }
    }
    Ok(unit)
}

/// The limits that are about the one order alone.
fn order_limits(
    limits: &Limits,
    asked: Asked<'_>,
    value: Option<Decimal>,
    reference: Option<Decimal>,
) -> Result<(), Denial> {
    if let Some(most) = limits.order_notional_max {
        let value = value.ok_or(Denial::NoReference)?;
        if value.saturating_mul(asked.terms.quantity) > most {
            return Err(Denial::OrderNotional);
        }
    }
    if limits.notional_max.is_some() && value.is_none() {
        return Err(Denial::NoReference);
    }
    if let (Some(band), Some(price)) = (limits.price_band_bp, asked.terms.price) {
        let reference = reference.ok_or(Denial::NoReference)?;
        let away = price.saturating_sub(reference).abs().saturating_mul(Decimal::from(10_000));
        if away > reference.abs().saturating_mul(Decimal::from(band)) {
            return Err(Denial::PriceBand);
        }
    }
    Ok(())
}
