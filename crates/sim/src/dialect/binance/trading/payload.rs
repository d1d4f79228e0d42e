//! Orders and executions as REST and the WebSocket API answer them.
//!
//! <https://github.com/binance/binance-spot-api-docs/blob/master/rest-api.md>; developers.binance.com,
//! USDⓈ-M futures, "New Order", "Query Order", "Account Trade List".

use model::Side;
use serde_json::{Value, json};

use super::super::wire::{Print, ms};
use super::terms::Detail;
use crate::accounts::Record;
use crate::market::order::{Fill, Lasting, Order, Pricing, SelfTrade, State};

/// `BUY`, `SELL`.
pub(super) fn side(side: Side) -> &'static str {
    match side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    }
}

/// Where an order stands.
pub(super) fn status(state: State) -> &'static str {
    match state {
        State::New => "NEW",
        State::PartiallyFilled => "PARTIALLY_FILLED",
        State::Filled => "FILLED",
        State::Cancelled => "CANCELED",
        State::Expired => "EXPIRED",
        State::ExpiredInMatch => "EXPIRED_IN_MATCH",
    }
}

/// An order's type and how long it lasts.
pub(super) fn sort(is_spot: bool, order: &Order) -> (&'static str, &'static str) {
    let lasting = match order.lasting {
        Lasting::GoodTillCancel => "GTC",
        Lasting::ImmediateOrCancel => "IOC",
        Lasting::FillOrKill => "FOK",
        // The venue's word; here it refuses such an order rather than expire it.
        Lasting::MakeOrExpire => "GTX",
    };
    match order.pricing {
        Pricing::Market => ("MARKET", lasting),
        Pricing::Limit { post_only: true, .. } if is_spot => ("LIMIT_MAKER", lasting),
        Pricing::Limit { post_only: true, .. } => ("LIMIT", "GTX"),
        Pricing::Limit { .. } => ("LIMIT", lasting),
    }
}

/// How it meets its own account's orders.
pub(super) fn self_trade(mode: SelfTrade) -> &'static str {
    match mode {
        SelfTrade::Allow => "NONE",
        SelfTrade::ExpireTaker => "EXPIRE_TAKER",
        SelfTrade::ExpireMaker => "EXPIRE_MAKER",
        SelfTrade::ExpireBoth => "EXPIRE_BOTH",
        SelfTrade::Decrement => "DECREMENT",
    }
}

/// An order's name; every one has one here.
pub(super) fn name(order: &Order) -> &str {
    order.client_id.as_deref().unwrap_or_default()
}

/// What all of spot's answers about an order have.
fn spot_order(print: Print<'_>, order: &Order) -> Value {
    let (sort, lasting) = sort(true, order);
    json!({
        "symbol": print.symbol,
        "orderId": order.id,
        "orderListId": -1,
        "clientOrderId": name(order),
        "price": print.price(order.ticks().unwrap_or(0)).to_string(),
        "origQty": print.quantity(order.lots).to_string(),
        "executedQty": print.quantity(order.filled).to_string(),
        "origQuoteOrderQty": "0.00000000",
        "cummulativeQuoteQty": print.amount(order.value).to_string(),
        "status": status(order.state),
        "timeInForce": lasting,
        "type": sort,
        "side": side(order.side),
        "selfTradePreventionMode": self_trade(order.self_trade),
    })
}

/// Spot's answer to a new order.
pub(super) fn spot_placed(print: Print<'_>, record: &Record, detail: Detail) -> Value {
    let order = &record.order;
    if detail == Detail::Ack {
        return json!({
            "symbol": print.symbol,
            "orderId": order.id,
            "orderListId": -1,
            "clientOrderId": name(order),
            "transactTime": ms(order.updated),
        });
    }
    let mut answer = spot_order(print, order);
    answer["transactTime"] = ms(order.updated).into();
    answer["workingTime"] = ms(order.created).into();
    if detail == Detail::Full {
        let fill = |fill: &Fill| {
            json!({
                "price": print.price(fill.trade.ticks).to_string(),
                "qty": print.quantity(fill.trade.lots).to_string(),
                "commission": print.amount(fill.fee).to_string(),
                "commissionAsset": fee_asset(print, order),
                "tradeId": fill.trade.id,
            })
        };
        answer["fills"] = record.fills.iter().map(fill).collect();
    }
    answer
}

/// Spot's answer to a cancel, which has a name of its own.
pub(super) fn spot_cancelled(print: Print<'_>, order: &Order, cancel: &str) -> Value {
    let mut answer = spot_order(print, order);
    answer["origClientOrderId"] = name(order).into();
    answer["clientOrderId"] = cancel.into();
    answer["transactTime"] = ms(order.updated).into();
    answer
}

/// Spot's answer to a question for an order.
pub(super) fn spot_status(print: Print<'_>, order: &Order) -> Value {
    let mut answer = spot_order(print, order);
    answer["stopPrice"] = "0.00000000".into();
    answer["icebergQty"] = "0.00000000".into();
    answer["time"] = ms(order.created).into();
    answer["updateTime"] = ms(order.updated).into();
    answer["isWorking"] = true.into();
    answer["workingTime"] = ms(order.created).into();
    if order.prevented > 0 {
        answer["preventedQuantity"] = print.quantity(order.prevented).to_string().into();
    }
    answer
}

/// The futures' answer about an order, all alike.
pub(super) fn futures_order(print: Print<'_>, order: &Order, reduce_only: bool) -> Value {
    let (sort, lasting) = sort(false, order);
    json!({
        "symbol": print.symbol,
        "orderId": order.id,
        "clientOrderId": name(order),
        "price": print.price(order.ticks().unwrap_or(0)).to_string(),
        "avgPrice": print.mean(order.value, order.filled).to_string(),
        "origQty": print.quantity(order.lots).to_string(),
        "executedQty": print.quantity(order.filled).to_string(),
        "cumQty": print.quantity(order.filled).to_string(),
        "cumQuote": print.amount(order.value).to_string(),
        "status": status(order.state),
        "timeInForce": lasting,
        "type": sort,
        "origType": sort,
        "side": side(order.side),
        "positionSide": "BOTH",
        "reduceOnly": reduce_only,
        "closePosition": false,
        "stopPrice": "0",
        "workingType": "CONTRACT_PRICE",
        "priceProtect": false,
        "priceMatch": "NONE",
        "selfTradePreventionMode": self_trade(order.self_trade),
        "goodTillDate": 0,
        "time": ms(order.created),
        "updateTime": ms(order.updated),
    })
}

/// The asset that a fee is paid in: on spot what is received, else the quote.
pub(super) fn fee_asset<'a>(print: Print<'a>, order: &Order) -> &'a str {
    let instrument = print.instrument;
    if instrument.is_derivative() || order.side == Side::Sell {
        &instrument.quote
    } else {
        &instrument.base
    }
}

/// A row of `myTrades` and `userTrades`.
pub(super) fn execution(print: Print<'_>, order: &Order, fill: &Fill) -> Value {
    let trade = &fill.trade;
    let mut row = json!({
        "symbol": print.symbol,
        "id": trade.id,
        "orderId": order.id,
        "price": print.price(trade.ticks).to_string(),
        "qty": print.quantity(trade.lots).to_string(),
        "quoteQty": print.amount(fill.value).to_string(),
        "commission": print.amount(fill.fee).to_string(),
        "commissionAsset": fee_asset(print, order),
        "time": ms(trade.at),
    });
    let buys = order.side == Side::Buy;
    if print.instrument.is_derivative() {
        row["buyer"] = buys.into();
        row["maker"] = fill.is_maker.into();
        row["side"] = side(order.side).into();
        row["positionSide"] = "BOTH".into();
        row["realizedPnl"] = print.amount(fill.profit).to_string().into();
    } else {
        row["orderListId"] = (-1).into();
        row["isBuyer"] = buys.into();
        row["isMaker"] = fill.is_maker.into();
        row["isBestMatch"] = true.into();
    }
    row
}
