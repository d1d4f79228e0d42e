//! New orders, held to the venue's filters.
//!
//! www.okx.com/docs-v5/en, "Order Book Trading", "Trade", "Place order". The account is in net mode
//! without borrowing: spot is traded in `cash`, swaps `cross`. A spot market order's `sz` is base or
//! quote currency as `tgtCcy` says, by default quote for a buy and base for a sell; where it asks
//! for more than the account can pay, as much as it can is traded, unless `banAmend`.
//!
//! | filter | refused with |
//! | --- | --- |
//! | a parameter missing, or not one of its words | 50014, 51000 |
//! | `clOrdId` 1 to 32, `tag` 1 to 16 letters and digits | 51000 |
//! | `clOrdId` of another open order | 51016 |
//! | `px` not there, not a multiple of `tickSz`, too far from the last | 51204, 51150, 51006 |
//! | `sz` below `minSz`, not a multiple of `lotSz`, above the most | 51020, 51121, 51005 or 51101 |
//! | too many open orders, too little money | 51174, 51008 |
//! | `reduceOnly`, attached stops, which are not simulated | 51205, 54070 |

use model::{Decimal, Side};

use super::super::errors::{
    AMEND, AMEND_TAKES, ATTACHED, BALANCE, CONFLICT, DUPLICATE, INVALID, LOT_SIZE, MARGIN,
    NO_OFFERS, NO_PRICE, OPEN_MAX, PRICE_LIMIT, REDUCE_ONLY, SIZE_MAX_SPOT, SIZE_MAX_SWAP,
    SIZE_MIN, SUSPENDED, TICK_SIZE, Wrong,
};
use super::super::payload::{price, size};
use super::fields::{self, Fields};
use super::{Facts, Target};
use crate::market::Market;
use crate::market::instrument::{Instrument, Settlement};
use crate::market::money::{self, Amount};
use crate::market::order::{
    AccountId, Index, Lasting, NewOrder, Order, Pricing, Refusal, SelfTrade,
};
use crate::venue::Floor;

/// A name of an order has so many letters and digits at most.
pub(super) const NAME_MAX: usize = 32;
/// A tag has so many.
pub(super) const TAG_MAX: usize = 16;

/// Types of orders: whether they have a price, and what becomes of what is left.
const ORDER_TYPES: [(&str, (&str, bool, Lasting)); 6] = [
    ("market", ("market", false, Lasting::ImmediateOrCancel)),
    ("limit", ("limit", true, Lasting::GoodTillCancel)),
    ("post_only", ("post_only", true, Lasting::MakeOrExpire)),
    ("fok", ("fok", true, Lasting::FillOrKill)),
    ("ioc", ("ioc", true, Lasting::ImmediateOrCancel)),
    ("optimal_limit_ioc", ("optimal_limit_ioc", false, Lasting::ImmediateOrCancel)),
];

/// Whose order goes where an order meets another of its own account; the first by default.
pub(super) const STP_MODES: [(&str, SelfTrade); 3] = [
    ("cancel_maker", SelfTrade::ExpireMaker),
    ("cancel_taker", SelfTrade::ExpireTaker),
    ("cancel_both", SelfTrade::ExpireBoth),
];

/// Places an order.
///
/// # Errors
/// The filter that refuses it.
pub(super) fn place(
    floor: &mut Floor<'_>,
    account: AccountId,
    index: Index,
    fields: &Fields,
) -> Result<(Order, Facts), Wrong> {
    let market = &*floor.market;
    let of = market.instrument(index);
    let side = side(fields)?;
    let (ord_type, limited, lasting) = ord_type(of, fields)?;
    let self_trade = fields::word(fields, "stpMode", &STP_MODES)?;
    if self_trade == SelfTrade::ExpireBoth && lasting == Lasting::FillOrKill {
        return Err(CONFLICT.of("stpMode").of("ordType"));
    }
    check_mode(of, fields)?;
    let tag = fields::name(fields, "tag", TAG_MAX)?.unwrap_or_default();
    let client_id = fields::name(fields, "clOrdId", NAME_MAX)?.map(String::into_boxed_str);
    let pricing = if limited { limit(of, fields)? } else { Pricing::Market };
    let (lots, target) = match target(of, side, limited, fields)? {
        Target::None => (lots(of, fields, "sz")?, Target::None),
        target => (market_lots(market, (account, index, side), target, fields)?, target),
    };
    let new = NewOrder {
        account,
        instrument: index,
        client_id,
        side,
        pricing,
        lots,
        lasting,
        self_trade,
    };
    let placed =
        floor.place(&new).map_err(|refusal| refused(floor.market, index, side, refusal))?;
    let sized = (target == Target::Quote).then(|| fields::text(fields, "sz")).flatten();
    Ok((placed.order, Facts { tag, ord_type, target, sized, ..Facts::default() }))
}

fn side(fields: &Fields) -> Result<Side, Wrong> {
    fields::need(fields, "side")?;
    fields::word(fields, "side", &[("buy", Side::Buy), ("sell", Side::Sell)])
}

fn ord_type(of: &Instrument, fields: &Fields) -> Result<(&'static str, bool, Lasting), Wrong> {
    fields::need(fields, "ordType")?;
    let found = fields::word(fields, "ordType", &ORDER_TYPES)?;
    if found.0 == "optimal_limit_ioc" && !of.is_derivative() {
        return Err(INVALID.of("ordType"));
    }
    Ok(found)
}

/// Account and position mode, and what is not simulated.
fn check_mode(of: &Instrument, fields: &Fields) -> Result<(), Wrong> {
    let mode = if of.is_derivative() { "cross" } else { "cash" };
    if fields::need(fields, "tdMode")? != mode {
        return Err(INVALID.of("tdMode"));
    }
    fields::word(fields, "posSide", &[("net", ())])?;
    if fields::flag(fields, "reduceOnly")? {
        return Err(REDUCE_ONLY);
    }
    let attached = fields.get("attachAlgoOrds").and_then(|value| value.as_array());
    if attached.is_some_and(|attached| !attached.is_empty()) {
        return Err(ATTACHED);
    }
    Ok(())
}

fn limit(of: &Instrument, fields: &Fields) -> Result<Pricing, Wrong> {
    let ticks = ticks(of, fields, "px")?.ok_or(NO_PRICE)?;
    Ok(Pricing::Limit { ticks, post_only: false })
}

/// A price in ticks.
pub(super) fn ticks(of: &Instrument, fields: &Fields, name: &str) -> Result<Option<u64>, Wrong> {
    let price = fields::positive(fields, name)?;
    price.map(|price| of.tick.steps(price).ok_or(TICK_SIZE)).transpose()
}

/// A quantity in lots.
pub(super) fn lots(of: &Instrument, fields: &Fields, name: &str) -> Result<u64, Wrong> {
    fields::need(fields, name)?;
    let wanted = fields::positive(fields, name)?.unwrap_or_default();
    if wanted < of.lot.decimal(1) {
        return Err(SIZE_MIN);
    }
    of.lot.steps(wanted).ok_or(LOT_SIZE)
}

/// In which currency a spot market order's size is; no choice for others.
fn target(of: &Instrument, side: Side, limited: bool, fields: &Fields) -> Result<Target, Wrong> {
    if limited || of.is_derivative() {
        return Ok(Target::None);
    }
    let words = [("quote_ccy", Target::Quote), ("base_ccy", Target::Base)];
    if fields::text(fields, "tgtCcy").is_none() {
        return Ok(if side == Side::Buy { Target::Quote } else { Target::Base });
    }
    fields::word(fields, "tgtCcy", &words)
}

/// The size of a spot market order, no more than the account can pay.
fn market_lots(
    market: &Market,
    (account, index, side): (AccountId, Index, Side),
    target: Target,
    fields: &Fields,
) -> Result<u64, Wrong> {
    let of = market.instrument(index);
    let bans = fields::flag(fields, "banAmend")?;
    let free = |asset: &str| {
        let asset = market.find_asset(asset);
        asset.map_or(0, |asset| market.ledger().balance(account, asset).free)
    };
    let wanted = if target == Target::Base {
        lots(of, fields, "sz")?
    } else {
        fields::need(fields, "sz")?;
        let amount = fields::positive(fields, "sz")?.unwrap_or_default();
        let lots = worth(market, index, side, quote_amount(amount));
        lots.ok_or(NO_OFFERS)?
    };
    let payable = match side {
        Side::Buy => worth(market, index, side, free(&of.quote)),
        Side::Sell => u64::try_from(free(&of.base) / of.lot.in_amounts()).ok(),
    };
    let paid = wanted.min(payable.unwrap_or(wanted));
    let short = if side == Side::Buy { &of.quote } else { &of.base };
    if paid < wanted && (bans || paid == 0) {
        return Err(BALANCE.of(&**short));
    }
    if paid == 0 { Err(SIZE_MIN) } else { Ok(paid) }
}

/// What does not fit is more than anybody has.
fn quote_amount(value: Decimal) -> Amount {
    money::amount(value.trunc_with_scale(money::PLACES)).unwrap_or(Amount::MAX)
}

/// How many lots so much quote currency is worth in the book; `None` where it is empty. More than
/// all that is offered counts as all.
fn worth(market: &Market, index: Index, side: Side, amount: Amount) -> Option<u64> {
    let of = market.instrument(index);
    let other = if side == Side::Buy { Side::Sell } else { Side::Buy };
    let (mut left, mut sum, mut any) = (amount, 0, false);
    for (ticks, lots) in market.book(index).levels(other) {
        any = true;
        let value = of.value(ticks, lots);
        if value > left {
            let some = left / of.value(ticks, 1).max(1);
            return Some(sum + u64::try_from(some).unwrap_or(0).min(lots));
        }
        (left, sum) = (left - value, sum + lots);
    }
    any.then_some(sum)
}

/// A refusal of the market in the venue's words.
pub(super) fn refused(market: &Market, index: Index, side: Side, refusal: Refusal) -> Wrong {
    let of = market.instrument(index);
    match refusal {
        Refusal::PriceRange | Refusal::PriceBand => {
            let last = market.tape(index).last();
            let highest = (last * of.band).min(of.ticks_max);
            PRICE_LIMIT.of(price(of, highest)).of(price(of, last.div_ceil(of.band)))
        }
        Refusal::QuantityRange if of.is_derivative() => SIZE_MAX_SWAP.of(size(of, of.lots_max)),
        Refusal::QuantityRange => SIZE_MAX_SPOT,
        Refusal::ValueMin => SIZE_MIN,
        Refusal::OpenOrders => OPEN_MAX.of(&*of.name).of(of.open_orders_max.to_string()),
        Refusal::Balance => match (of.settlement, side) {
            (Settlement::Spot, Side::Buy) => BALANCE.of(&*of.quote),
            (Settlement::Spot, Side::Sell) => BALANCE.of(&*of.base),
            (Settlement::Linear { .. }, _) => MARGIN.of(&*of.quote),
            (Settlement::Inverse { .. }, _) => MARGIN.of(&*of.base),
        },
        Refusal::DuplicateClientId => DUPLICATE,
        Refusal::WouldTake => AMEND_TAKES,
        Refusal::UnknownOrder => AMEND,
        Refusal::Frozen => SUSPENDED,
    }
}
