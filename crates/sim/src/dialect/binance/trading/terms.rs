//! What a request for an order says, and every rule that it can break before the market sees it.
//!
//! <https://github.com/binance/binance-spot-api-docs/blob/master/rest-api.md#new-order-trade>;
//! developers.binance.com, USDⓈ-M futures, "New Order".

use model::{Decimal, Side};

use super::super::errors::{Failure, Wrong};
use super::super::line::{Line, Sort};
use super::super::query::Query;
use super::errors::Why;
use crate::market::instrument::Instrument;
use crate::market::order::{Index, Lasting, Pricing, SelfTrade};

/// How much of an order is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    Ack,
    Result,
    Full,
}

/// An order as it was asked for.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub index: Index,
    pub side: Side,
    pub pricing: Pricing,
    pub lots: u64,
    pub lasting: Lasting,
    pub self_trade: SelfTrade,
    pub name: Option<String>,
    pub detail: Detail,
    pub reduce_only: bool,
}

/// Letters of a name that an account gives an order.
const NAME_LEGAL: &str = "'newClientOrderId'; legal range is '^[a-zA-Z0-9-_]{1,36}$'";
/// Places of a number that are read.
const PLACES_MAX: u32 = 8;

impl Terms {
    /// What the request says, of an instrument.
    pub(super) fn read(
        line: &Line,
        (index, instrument): (Index, &Instrument),
        query: &Query,
    ) -> Result<Self, Failure> {
        let side = side(query)?;
        let sort = query.get("type").ok_or_else(|| Why::Missing.of("type"))?;
        let spot = line.is_spot();
        if !spot && query.get("positionSide").is_some_and(|side| side != "BOTH") {
            return Err(Why::FuturesPositionSide.failure());
        }
        let is_market = sort == "MARKET";
        let (post_only, lasting) = match (sort, query.get("timeInForce")) {
            ("MARKET", None) => (false, Lasting::GoodTillCancel),
            ("LIMIT_MAKER", None) if spot => (true, Lasting::GoodTillCancel),
            ("LIMIT", None) => return Err(Why::Missing.of("timeInForce")),
            ("LIMIT", Some("GTX")) if !spot => (true, Lasting::GoodTillCancel),
            ("LIMIT", Some(text)) => (false, lasting(text)?),
            ("MARKET", Some(_)) if !spot => (false, Lasting::GoodTillCancel),
            ("MARKET" | "LIMIT_MAKER", Some(_)) if spot => {
                return Err(Why::NotRequired.of("timeInForce"));
            }
            _ => return Err(Why::OrderType.failure()),
        };
        if query.get("quoteOrderQty").is_some() {
            return Err(Why::QuoteQuantity.failure());
        }
        let lots = lots(line, instrument, query)?;
        let pricing = match price(line, instrument, query)? {
            Some(_) if is_market => return Err(Why::NotRequired.of("price")),
            None if is_market => Pricing::Market,
            Some(ticks) => Pricing::Limit { ticks, post_only },
            None => return Err(Why::Missing.of("price")),
        };
        Ok(Self {
            index,
            side,
            pricing,
            lots,
            lasting,
            self_trade: self_trade(query)?,
            name: name(query, "newClientOrderId")?,
            detail: detail(line, sort, query)?,
            reduce_only: query.get("reduceOnly").is_some_and(|text| text == "true"),
        })
    }
}

/// `BUY` or `SELL`.
pub(super) fn side(query: &Query) -> Result<Side, Failure> {
    match query.get("side") {
        Some("BUY") => Ok(Side::Buy),
        Some("SELL") => Ok(Side::Sell),
        Some(_) => Err(Why::Side.failure()),
        None => Err(Why::Missing.of("side")),
    }
}

fn lasting(text: &str) -> Result<Lasting, Failure> {
    match text {
        "GTC" => Ok(Lasting::GoodTillCancel),
        "IOC" => Ok(Lasting::ImmediateOrCancel),
        "FOK" => Ok(Lasting::FillOrKill),
        _ => Err(Why::TimeInForce.failure()),
    }
}

fn self_trade(query: &Query) -> Result<SelfTrade, Failure> {
    match query.get("selfTradePreventionMode") {
        None | Some("EXPIRE_MAKER") => Ok(SelfTrade::ExpireMaker),
        Some("NONE") => Ok(SelfTrade::Allow),
        Some("EXPIRE_TAKER") => Ok(SelfTrade::ExpireTaker),
        Some("EXPIRE_BOTH") => Ok(SelfTrade::ExpireBoth),
        Some("DECREMENT") => Ok(SelfTrade::Decrement),
        Some(_) => Err(Wrong::Invalid("selfTradePreventionMode").failure()),
    }
}

/// "MARKET and LIMIT order types default to FULL, all other orders default to ACK"; on futures `ACK`.
fn detail(line: &Line, sort: &str, query: &Query) -> Result<Detail, Failure> {
    match query.get("newOrderRespType") {
        Some("ACK") => Ok(Detail::Ack),
        Some("RESULT") => Ok(Detail::Result),
        Some("FULL") if line.is_spot() => Ok(Detail::Full),
        Some(_) => Err(Wrong::Invalid("newOrderRespType").failure()),
        None if line.is_spot() && sort != "LIMIT_MAKER" => Ok(Detail::Full),
        None => Ok(Detail::Ack),
    }
}

/// The account's own name for an order.
pub(super) fn name(query: &Query, parameter: &str) -> Result<Option<String>, Failure> {
    let Some(name) = query.get(parameter) else { return Ok(None) };
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte);
    if name.len() > 36 || !name.bytes().all(legal) {
        return Err(Why::Illegal.of(NAME_LEGAL));
    }
    Ok(Some(name.to_owned()))
}

/// The quantity in lots.
pub(super) fn lots(line: &Line, instrument: &Instrument, query: &Query) -> Result<u64, Failure> {
    let quantity = decimal(query, "quantity")?.ok_or_else(|| Why::Missing.of("quantity"))?;
    precise(line, "quantity", quantity, instrument.lot.places)?;
    match instrument.lot.steps(quantity) {
        Some(0) if line.sort == Sort::Linear => Err(Why::FuturesQuantityMin.failure()),
        Some(lots) => Ok(lots),
        None => Err(Why::LotSize.failure()),
    }
}

/// The price in ticks.
pub(super) fn price(
    line: &Line,
    instrument: &Instrument,
    query: &Query,
) -> Result<Option<u64>, Failure> {
    let Some(price) = decimal(query, "price")? else { return Ok(None) };
    precise(line, "price", price, instrument.tick.places)?;
    instrument.tick.steps(price).map(Some).ok_or_else(|| Why::PriceFilter.failure())
}

fn precise(line: &Line, name: &str, number: Decimal, places: u32) -> Result<(), Failure> {
    let scale = number.normalize().scale();
    match line.sort {
        Sort::Spot if scale > PLACES_MAX => Err(Why::Precision.of(name)),
        Sort::Linear if scale > places => Err(Why::FuturesPrecision.failure()),
        _ => Ok(()),
    }
}

/// A number of digits and at most one point.
fn decimal(query: &Query, name: &str) -> Result<Option<Decimal>, Failure> {
    let Some(text) = query.get(name) else { return Ok(None) };
    let digits = |part: &str| part.len() <= 20 && part.bytes().all(|byte| byte.is_ascii_digit());
    let legal = match text.split_once('.') {
        Some((whole, rest)) => !whole.is_empty() && digits(whole) && digits(rest),
        None => digits(text),
    };
    let read = legal.then(|| model::decimal::parse(text.trim_end_matches('.').as_bytes()).ok());
    let range = r"legal range is '^([0-9]{1,20})(\.[0-9]{1,20})?$'";
    let illegal = || Why::Illegal.of(&format!("'{name}'; {range}"));
    read.flatten().map(Some).ok_or_else(illegal)
}
