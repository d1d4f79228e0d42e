//! Pre-trade risk: what an order is checked against before its intent is written.

use std::collections::{BTreeMap, BTreeSet};

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
    /// The largest value of one order, in quote currency: at its limit or at the market's price, whichever
    /// is higher.
    pub order_notional_max: Option<Decimal>,
    /// The largest position in each instrument, long or short, if everything open were filled; in
    /// base currency or contracts. What brings a position nearer to zero passes.
    pub position_max: Option<Decimal>,
    /// The largest value of all positions, if everything open were filled; in quote currency, at the
    /// prices that were last known, what an order asks for at its limit where that is higher. What does
    /// not raise it passes; nothing that does where something is held of which no price is known.
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
    /// The limit with which it counts.
    pub(super) price: Option<Decimal>,
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
        let prices = Prices { unit, reference: market.price };
        if let Some(reference) = prices.market() {
            self.exposure.value(&terms.provider, &terms.instrument, reference);
        }
        for scope in scopes(asked) {
            let Some((limits, budget)) = self.limits.get(&scope) else { continue };
            order_limits(limits, asked, prices)?;
            self.holdings(limits, &scope, asked, prices)?;
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

    /// See [`Desk::value`](super::Desk::value).
    pub(super) fn value(&mut self, provider: &Name, instrument: &Name, market: Market<'_>) {
        if let (Some(listed), Some(price)) = (market.instrument, market.price) {
            self.exposure.value(provider, instrument, price.saturating_mul(unit(listed)));
        }
    }

    /// The instruments whose value counts against a limit, or may.
    pub(super) fn valued(&self) -> BTreeSet<(Name, Name)> {
        if !self.limits.values().any(|(limits, _)| limits.notional_max.is_some()) {
            return BTreeSet::new();
        }
        let held = self.exposure.within(|_| true).filter(|(_, holding)| !is_flat(holding));
        held.map(|(place, _)| (place.1.clone(), place.2.clone())).collect()
    }

    /// What is held within a scope: how many orders are open, and the sums by instrument.
    fn held(&self, scope: &Scope) -> (usize, BTreeMap<(&Name, &Name), Holding>) {
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
        (open, by_instrument)
    }

    fn holdings(
        &self,
        limits: &Limits,
        scope: &Scope,
        asked: Asked<'_>,
        prices: Prices,
    ) -> Result<(), Denial> {
        let (open, mut by_instrument) = self.held(scope);
        if asked.new && limits.open_max.is_some_and(|most| open >= most) {
            return Err(Denial::TooManyOpen);
        }
        let own = (&asked.terms.provider, &asked.terms.instrument);
        let before = by_instrument.remove(&own).unwrap_or_default();
        let after = added(before.clone(), asked);
        let grows = worst(&after, asked.terms.side) > worst(&before, asked.terms.side);
        let position = worst(&after, asked.terms.side);
        if grows && limits.position_max.is_some_and(|most| position > most) {
            return Err(Denial::Position);
        }
        let Some(most) = limits.notional_max else { return Ok(()) };
        let (before, after) = self.values(asked, prices, &before, &after)?;
        if after <= before {
            return Ok(());
        }
        // Of the others too: what nobody can value may be worth anything.
        let mut total = after;
        for (place, holding) in by_instrument.iter().filter(|(_, holding)| !is_flat(holding)) {
            let unit = self.exposure.value_of(place.0, place.1).ok_or(Denial::NoReference)?;
            total = total.saturating_add(value(holding, unit, None));
        }
        if total > most { Err(Denial::Notional) } else { Ok(()) }
    }

    /// What the holding of an order's instrument may come to, before it and with it.
    fn values(
        &self,
        asked: Asked<'_>,
        prices: Prices,
        before: &Holding,
        after: &Holding,
    ) -> Result<(Decimal, Decimal), Denial> {
        let (terms, side) = (asked.terms, asked.terms.side);
        let with = prices.worst(side, terms.price).ok_or(Denial::NoReference)?;
        let known = self.exposure.value_of(&terms.provider, &terms.instrument);
        let unit = known.or(is_flat(before).then_some(with)).ok_or(Denial::NoReference)?;
        let was = prices.worst(side, asked.price).unwrap_or(unit);
        let was = Part { side, amount: asked.counted, value: was };
        let with = Part { side, amount: asked.leaves, value: with };
        Ok((value(before, unit, Some(was)), value(after, unit, Some(with))))
    }
}

/// The prices by which an order is judged.
#[derive(Clone, Copy, Debug)]
struct Prices {
    /// The size of one unit, by which a price is multiplied.
    unit: Decimal,
    /// The market's.
    reference: Option<Decimal>,
}

impl Prices {
    /// What one unit is worth in the market, where that is known.
    fn market(self) -> Option<Decimal> {
        self.reference.map(|price| price.saturating_mul(self.unit))
    }

    /// The most that one unit of an order may come to. One that is sold below the market is filled at
    /// the market's price: where that is not known nobody can say what a sell comes to. Who buys pays no
    /// more than the limit.
    fn worst(self, side: Side, limit: Option<Decimal>) -> Option<Decimal> {
        let price = match (limit, self.reference) {
            (Some(limit), Some(reference)) => Some(limit.max(reference)),
            (Some(limit), None) => Some(limit).filter(|_| side == Side::Buy),
            (None, reference) => reference,
        };
        price.map(|price| price.saturating_mul(self.unit))
    }
}

/// What of a holding an order stands for, at a value of its own.
#[derive(Clone, Copy, Debug)]
struct Part {
    side: Side,
    amount: Decimal,
    value: Decimal,
}

/// What a holding is worth if everything open on its worse side were filled.
fn value(holding: &Holding, unit: Decimal, part: Option<Part>) -> Decimal {
    let of = |side| {
        let amount = worst(holding, side);
        let more = part.filter(|part| part.side == side).map(|part| {
            let dearer = part.value.saturating_sub(unit).max(Decimal::ZERO);
            part.amount.min(amount).max(Decimal::ZERO).saturating_mul(dearer)
        });
        amount.saturating_mul(unit).saturating_add(more.unwrap_or_default())
    };
    of(Side::Buy).max(of(Side::Sell))
}

/// Whether nothing is held and nothing is open.
fn is_flat(holding: &Holding) -> bool {
    let Holding { position, buys, sells, .. } = holding;
    position.is_zero() && buys.is_zero() && sells.is_zero()
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
    let unit = unit(instrument);
    if let Some(least) = instrument.notional_min {
        let price = terms.price.or(market.price).ok_or(Denial::NoReference)?;
        if price.saturating_mul(terms.quantity).saturating_mul(unit) < least {
            return Err(Denial::NotionalMin);
        }
    }
    Ok(unit)
}

fn unit(instrument: &Instrument) -> Decimal {
    instrument.contract_size.unwrap_or(Decimal::ONE)
}

/// The limits that are about the one order alone.
fn order_limits(limits: &Limits, asked: Asked<'_>, prices: Prices) -> Result<(), Denial> {
    let value = prices.worst(asked.terms.side, asked.terms.price);
    if let Some(most) = limits.order_notional_max {
        let value = value.ok_or(Denial::NoReference)?;
        if value.saturating_mul(asked.terms.quantity) > most {
            return Err(Denial::OrderNotional);
        }
    }
    if let (Some(band), Some(price)) = (limits.price_band_bp, asked.terms.price) {
        let reference = prices.reference.ok_or(Denial::NoReference)?;
        let away = price.saturating_sub(reference).abs().saturating_mul(Decimal::from(10_000));
        if away > reference.abs().saturating_mul(Decimal::from(band)) {
            return Err(Denial::PriceBand);
        }
    }
    Ok(())
}
