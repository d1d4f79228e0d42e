//! What orders and fills look like.
//!
//! www.okx.com/docs-v5/en: "Order details", "Transaction details", "Order channel". What does not
//! apply is empty, as the venue has it.

use std::fmt::{Display, Write as _};

use model::{Decimal, Side};

use super::super::payload::{price, short, size};
use super::super::{inst_type, ms};
use super::{Bill, Facts, Target};
use crate::market::Market;
use crate::market::instrument::{Instrument, Settlement};
use crate::market::ledger::LEVERAGE;
use crate::market::money::{self, Amount};
use crate::market::order::{Cause, Fill, Lasting, Order, Pricing, Report, SelfTrade, State};

/// An object in the making. Values need no escapes: numbers, and names of letters and digits.
pub(super) struct Object(String);

impl Object {
    pub(super) fn new() -> Self {
        Self("{".to_owned())
    }

    pub(super) fn text(mut self, key: &str, value: impl Display) -> Self {
        // A `String` takes whatever is written.
        let _ = write!(self.0, r#""{key}":"{value}","#);
        self
    }

    pub(super) fn raw(mut self, key: &str, json: &str) -> Self {
        let _ = write!(self.0, r#""{key}":{json},"#);
        self
    }

    /// What does not apply here.
    pub(super) fn empty(self, keys: &[&str]) -> Self {
        keys.iter().fold(self, |object, key| object.text(key, ""))
    }

    pub(super) fn zero(self, keys: &[&str]) -> Self {
        keys.iter().fold(self, |object, key| object.text(key, "0"))
    }

    pub(super) fn end(mut self) -> String {
        self.0.pop();
        self.0.push('}');
        self.0
    }
}

pub(super) fn amount(value: Amount) -> String {
    short(money::decimal(value))
}

fn side(side: Side) -> &'static str {
    if side == Side::Buy { "buy" } else { "sell" }
}

/// An average price, to four places more than prices have.
pub(super) fn average(of: &Instrument, value: Amount, lots: u64) -> Option<Decimal> {
    let (value, lots) = (money::decimal(value), of.lot.decimal(lots));
    let average = match of.settlement {
        Settlement::Spot => value.checked_div(lots),
        Settlement::Linear { size } => value.checked_div(lots * size.decimal(1)),
        Settlement::Inverse { size } => (lots * Decimal::from(size)).checked_div(value),
    };
    average.map(|average| average.round_dp(of.tick.places + 4))
}

/// What an asset is worth in dollars; `None` where no market says so.
pub(super) fn dollars(market: &Market, asset: &str) -> Option<Decimal> {
    if matches!(asset, "USD" | "USDT" | "USDC") {
        return Some(Decimal::ONE);
    }
    let names = ["USDT", "USDC", "USD-PERP"].map(|quote| format!("{asset}-{quote}"));
    let index = names.iter().find_map(|name| market.find(name))?;
    Some(market.instrument(index).tick.decimal(market.tape(index).last()))
}

/// So many lots at a price, in dollars.
pub(super) fn notional(market: &Market, of: &Instrument, ticks: u64, lots: u64) -> Decimal {
    match of.settlement {
        Settlement::Inverse { size } => of.lot.decimal(lots) * Decimal::from(size),
        _ => {
            let value = money::decimal(of.value(ticks, lots));
            (value * dollars(market, &of.quote).unwrap_or(Decimal::ONE)).normalize()
        }
    }
}

/// In which currency an order's fee is: what it receives, or what its instrument settles in; and the
/// other one.
fn fee_currencies<'a>(of: &'a Instrument, order: &Order) -> [&'a str; 2] {
    match (of.settlement, order.side) {
        (Settlement::Spot, Side::Buy) | (Settlement::Inverse { .. }, _) => [&of.base, &of.quote],
        (Settlement::Spot, Side::Sell) | (Settlement::Linear { .. }, _) => [&of.quote, &of.base],
    }
}

pub(super) fn state(order: &Order, facts: &Facts) -> &'static str {
    match order.state {
        State::New => "live",
        State::PartiallyFilled => "partially_filled",
        State::Filled => "filled",
        _ if facts.amended_to_done => "filled",
        State::Cancelled | State::Expired | State::ExpiredInMatch => "canceled",
    }
}

/// The code of why an order was canceled, and the words.
fn cancel_source(order: &Order, facts: &Facts) -> [&'static str; 2] {
    if state(order, facts) != "canceled" {
        return ["", ""];
    }
    match (facts.canceled_by, order.state, order.lasting) {
        (Some("20"), ..) => ["20", "Cancel all after triggered"],
        (Some(_), ..) => ["0", "Order canceled by system"],
        (None, State::ExpiredInMatch, _) => ["32", "Self trade prevention"],
        (None, State::Expired, Lasting::FillOrKill) => {
            ["13", "Order canceled: FOK order was canceled due to incompletely filled."]
        }
        (None, State::Expired, Lasting::MakeOrExpire) => {
            ["31", "The post-only order will take liquidity in taker orders"]
        }
        (None, State::Expired, _) => {
            ["14", "Order canceled: IOC order was partially canceled due to incompletely filled."]
        }
        _ => ["1", "Order canceled by user"],
    }
}

/// What both ways say of an order.
fn order_object(inst_id: &str, of: &Instrument, order: &Order, facts: &Facts) -> Object {
    let [fee, rebate] = fee_currencies(of, order);
    let derivative = of.is_derivative();
    let target = match facts.target {
        Target::None => "",
        Target::Base => "base_ccy",
        Target::Quote => "quote_ccy",
    };
    let stp = match order.self_trade {
        SelfTrade::ExpireTaker => "cancel_taker",
        SelfTrade::ExpireBoth => "cancel_both",
        _ => "cancel_maker",
    };
    let px = match order.pricing {
        Pricing::Market => String::new(),
        Pricing::Limit { ticks, .. } => price(of, ticks),
    };
    let sized = facts.sized.clone().unwrap_or_else(|| size(of, order.lots));
    Object::new()
        .text("accFillSz", size(of, order.filled))
        .text("cTime", ms(order.created))
        .text("cancelSource", cancel_source(order, facts)[0])
        .text("category", "normal")
        .text("clOrdId", order.client_id.as_deref().unwrap_or(""))
        .text("fee", amount(-facts.fee))
        .text("feeCcy", fee)
        .text("instId", inst_id)
        .text("instType", inst_type(of))
        .text("isTpLimit", false)
        .text("lever", if derivative { LEVERAGE.to_string() } else { String::new() })
        .raw("linkedAlgoOrd", r#"{"algoId":""}"#)
        .text("ordId", order.id)
        .text("ordType", facts.ord_type)
        .text("pnl", amount(facts.profit))
        .text("posSide", if derivative { "net" } else { "" })
        .text("px", px)
        .text("rebate", "0")
        .text("rebateCcy", rebate)
        .text("reduceOnly", false)
        .text("side", side(order.side))
        .text("state", state(order, facts))
        .text("stpMode", stp)
        .text("sz", sized)
        .text("tag", &facts.tag)
        .text("tdMode", if derivative { "cross" } else { "cash" })
        .text("tgtCcy", target)
        .text("tradeQuoteCcy", if derivative { "" } else { &of.quote })
        .text("uTime", ms(order.updated))
        .raw("attachAlgoOrds", "[]")
        .empty(&["algoClOrdId", "algoId", "attachAlgoClOrdId", "ccy", "pxType", "pxUsd", "pxVol"])
        .empty(&["quickMgnType", "slOrdPx", "slTriggerPx", "slTriggerPxType", "source", "stpId"])
        .empty(&["tpOrdPx", "tpTriggerPx", "tpTriggerPxType"])
}

/// An order as it is asked for; its last execution is the last ever.
pub(super) fn order_row(inst_id: &str, of: &Instrument, order: &Order, facts: &Facts) -> String {
    let average = average(of, order.value, order.filled).map(short);
    let last = facts.last.as_ref();
    let of_last = |text: fn(&Instrument, &Fill) -> String| last.map(|fill| text(of, fill));
    order_object(inst_id, of, order, facts)
        .text("avgPx", average.unwrap_or_default())
        .text("cancelSourceReason", cancel_source(order, facts)[1])
        .text("fillPx", of_last(|of, fill| price(of, fill.trade.ticks)).unwrap_or_default())
        .text("fillSz", of_last(|of, fill| size(of, fill.trade.lots)).unwrap_or("0".to_owned()))
        .text("fillTime", of_last(|_, fill| ms(fill.trade.at).to_string()).unwrap_or_default())
        .text("tradeId", of_last(|_, fill| fill.trade.id.to_string()).unwrap_or_default())
        .end()
}

/// What happened to an order, as the channel tells it; the execution is the one that happened.
pub(super) fn order_push(market: &Market, inst_id: &str, report: &Report, facts: &Facts) -> String {
    let (of, order) = (market.instrument(report.order.instrument), &report.order);
    let average = average(of, order.value, order.filled).unwrap_or_default();
    let last = market.tape(order.instrument).last();
    let amended = report.cause == Cause::Amended || facts.amended_to_done;
    let object = order_object(inst_id, of, order, facts)
        .text("avgPx", short(average))
        .text("amendResult", if amended { "0" } else { "" })
        .text("amendSource", if amended { "1" } else { "" })
        .text("reqId", if amended { &facts.amended_by } else { "" })
        .text("code", "0")
        .text("lastPx", price(of, last))
        .text("notionalUsd", notional(market, of, order.ticks().unwrap_or(last), order.lots))
        .empty(&["msg", "fillPxVol", "fillPxUsd", "fillMarkVol", "fillFwdPx", "fillMarkPx"]);
    let Cause::Filled(fill) = &report.cause else {
        return object
            .zero(&["fillSz", "fillPnl", "fillFee"])
            .empty(&["execType", "fillPx", "fillTime", "tradeId", "fillFeeCcy"])
            .empty(&["fillNotionalUsd", "fillIdxPx"])
            .end();
    };
    let Fill { trade, .. } = fill;
    object
        .text("execType", if fill.is_maker { "M" } else { "T" })
        .text("fillFee", amount(-fill.fee))
        .text("fillFeeCcy", fee_currencies(of, order)[0])
        .text("fillIdxPx", price(of, trade.ticks))
        .text("fillNotionalUsd", notional(market, of, trade.ticks, trade.lots))
        .text("fillPnl", amount(fill.profit))
        .text("fillPx", price(of, trade.ticks))
        .text("fillSz", size(of, trade.lots))
        .text("fillTime", ms(trade.at))
        .text("tradeId", trade.id)
        .end()
}

/// An execution.
pub(super) fn fill_row(inst_id: &str, of: &Instrument, bill: &Bill) -> String {
    let Bill { order, fill, .. } = bill;
    let ppm = if fill.is_maker { of.maker_fee_ppm } else { of.taker_fee_ppm };
    let rate = short(Decimal::new(-i64::from(ppm), 6));
    Object::new()
        .text("billId", bill.id)
        .text("clOrdId", order.client_id.as_deref().unwrap_or(""))
        .text("execType", if fill.is_maker { "M" } else { "T" })
        .text("fee", amount(-fill.fee))
        .text("feeCcy", fee_currencies(of, order)[0])
        .text("feeRate", if of.is_derivative() { String::new() } else { rate })
        .text("fillIdxPx", price(of, fill.trade.ticks))
        .text("fillPnl", amount(fill.profit))
        .text("fillPx", price(of, fill.trade.ticks))
        .text("fillSz", size(of, fill.trade.lots))
        .text("fillTime", ms(fill.trade.at))
        .text("instId", inst_id)
        .text("instType", inst_type(of))
        .text("ordId", order.id)
        .text("posSide", "net")
        .text("side", side(order.side))
        .text("subType", if order.side == Side::Buy { "1" } else { "2" })
        .text("tag", &bill.tag)
        .text("tradeId", fill.trade.id)
        .text("tradeQuoteCcy", if of.is_derivative() { "" } else { &of.quote })
        .text("ts", ms(fill.trade.at))
        .empty(&["fillFwdPx", "fillMarkPx", "fillMarkVol", "fillPxUsd", "fillPxVol"])
        .end()
}
