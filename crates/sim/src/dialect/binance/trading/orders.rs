//! What is done about orders: placed, found, cancelled, replaced, changed.

use model::Side;
use serde_json::{Value, json};

use super::super::errors::Failure;
use super::super::query::Query;
use super::super::simulated::SimulatedBinance;
use super::errors::Why;
use super::payload;
use super::terms::{self, Detail, Terms};
use crate::accounts::{Accounts, Record};
use crate::market::Market;
use crate::market::order::{AccountId, Fill, Index, NewOrder, Order};
use crate::venue::Floor;

/// Rows of orders and executions at most, and where nothing is said.
const ROWS_MAX: u64 = 1_000;
const ROWS: u64 = 500;

impl SimulatedBinance {
    /// `POST order`.
    pub(super) fn place(
        &mut self,
        floor: &mut Floor<'_>,
        id: AccountId,
        query: &Query,
    ) -> Result<Value, Failure> {
        count(floor.accounts, id, query);
        let terms = self.terms(floor.market, id, query)?;
        let detail = terms.detail;
        let record = self.send_order(floor, id, terms)?;
        Ok(self.placed(floor.market, &record, detail))
    }

    /// `POST order/test`: every rule that needs no matching.
    pub(super) fn test(
        &mut self,
        market: &Market,
        id: AccountId,
        query: &Query,
    ) -> Result<Value, Failure> {
        self.terms(market, id, query).map(|_| json!({}))
    }

    /// What a request for an order says.
    fn terms(&self, market: &Market, id: AccountId, query: &Query) -> Result<Terms, Failure> {
        let index = self.feed(query)?.index;
        let terms = Terms::read(self.line, (index, market.instrument(index)), query)?;
        if terms.reduce_only && !self.line.is_spot() {
            let lots = market.ledger().position(id, index).lots;
            let closes = if terms.side == Side::Sell { lots } else { -lots };
            if !i64::try_from(terms.lots).is_ok_and(|lots| lots <= closes) {
                return Err(Why::FuturesReduceOnly.failure());
            }
        }
        Ok(terms)
    }

    /// Counts an order and places it.
    fn send_order(
        &mut self,
        floor: &mut Floor<'_>,
        id: AccountId,
        terms: Terms,
    ) -> Result<Record, Failure> {
        self.counts_of(id).take(floor.now).map_err(|limit| {
            let per =
                format!("{} orders per {} {}", limit.limit, limit.interval_num, limit.interval);
            Failure { retry_at: Some(limit.ends(floor.now)), ..Why::OrderCount.of(&per) }
        })?;
        let name = terms.name.unwrap_or_else(|| self.trading.new_name());
        let order = NewOrder {
            account: id,
            instrument: terms.index,
            client_id: Some(name.into()),
            side: terms.side,
            pricing: terms.pricing,
            lots: terms.lots,
            lasting: terms.lasting,
            self_trade: terms.self_trade,
        };
        let refused = |refusal| Why::refused(self.line.sort, refusal).failure();
        let record = floor.place(&order).map_err(refused)?;
        if terms.reduce_only {
            self.trading.reduce_only.insert((terms.index, record.order.id));
        }
        Ok(record)
    }

    fn placed(&self, market: &Market, record: &Record, detail: Detail) -> Value {
        let print = self.print(market, record.order.instrument);
        if self.line.is_spot() {
            payload::spot_placed(print, record, detail)
        } else {
            self.order_row(market, &record.order)
        }
    }

    /// An order as a question for it is answered.
    fn order_row(&self, market: &Market, order: &Order) -> Value {
        let print = self.print(market, order.instrument);
        if self.line.is_spot() {
            return payload::spot_status(print, order);
        }
        payload::futures_order(print, order, self.is_reduce_only(order))
    }

    /// Whether an order was to make a position smaller, while it is open.
    pub(super) fn is_reduce_only(&self, order: &Order) -> bool {
        self.trading.reduce_only.contains(&(order.instrument, order.id))
    }

    /// The order that a request means, by its number or else by its name.
    fn wanted(
        &self,
        accounts: &Accounts,
        id: AccountId,
        query: &Query,
        [number, name]: [&str; 2],
    ) -> Result<Option<Record>, Failure> {
        let index = self.feed(query)?.index;
        let record = match (query.get(number), query.get(name)) {
            (Some(number), name) => {
                let legal = "'orderId'; legal range is '^[0-9]{1,20}$'";
                let number = number.parse().map_err(|_| Why::Illegal.of(legal))?;
                let named =
                    |record: &&Record| name.is_none_or(|name| payload::name(&record.order) == name);
                accounts.order(id, index, number).filter(named)
            }
            (None, Some(name)) => accounts.named(id, index, name),
            (None, None) => {
                return Err(Why::MissingBoth.of(&format!("'{name}' or '{number}'")));
            }
        };
        Ok(record.cloned())
    }

    /// `GET order`.
    pub(super) fn status(
        &self,
        floor: &Floor<'_>,
        id: AccountId,
        query: &Query,
    ) -> Result<Value, Failure> {
        let record = self.wanted(floor.accounts, id, query, ["orderId", "origClientOrderId"])?;
        let record = record.ok_or(Why::NoOrder)?;
        Ok(self.order_row(floor.market, &record.order))
    }

    /// `DELETE order`.
    pub(super) fn cancel(
        &mut self,
        floor: &mut Floor<'_>,
        id: AccountId,
        query: &Query,
    ) -> Result<Value, Failure> {
        let wanted = self.wanted(floor.accounts, id, query, ["orderId", "origClientOrderId"])?;
        let name = terms::name(query, "newClientOrderId")?;
        self.cancel_order(floor, wanted, name)
    }

    fn cancel_order(
        &mut self,
        floor: &mut Floor<'_>,
        wanted: Option<Record>,
        name: Option<String>,
    ) -> Result<Value, Failure> {
        let order = wanted.ok_or(Why::UnknownOrder)?.order;
        let key = (order.account, order.instrument, order.id);
        let record = floor.cancel(key).map_err(|_| Why::UnknownOrder.failure())?;
        let order = &record.order;
        if !self.line.is_spot() {
            return Ok(self.order_row(floor.market, order));
        }
        let name = name.unwrap_or_else(|| self.trading.new_name());
        let answer =
            payload::spot_cancelled(self.print(floor.market, order.instrument), order, &name);
        self.trading.cancels.insert((order.instrument, order.id), name);
        Ok(answer)
    }

    /// `DELETE openOrders` and `allOpenOrders`.
    pub(super) fn cancel_all(
        &mut self,
        floor: &mut Floor<'_>,
        id: AccountId,
        query: &Query,
    ) -> Result<Value, Failure> {
        let index = self.feed(query)?.index;
        let rows = self.cancel_symbol(floor, id, index)?;
        if !self.line.is_spot() {
            return Ok(json!({
                "code": 200,
                "msg": "The operation of cancel all open order is done.",
            }));
        }
        if rows.is_empty() {
            return Err(Why::UnknownOrder.failure());
        }
        Ok(rows.into())
    }

    /// Cancels all open orders of an account in one instrument.
    pub(super) fn cancel_symbol(
        &mut self,
        floor: &mut Floor<'_>,
        id: AccountId,
        index: Index,
    ) -> Result<Vec<Value>, Failure> {
        let open: Vec<u64> = floor
            .market
            .open_orders(id)
            .filter(|order| order.instrument == index)
            .map(|order| order.id)
            .collect();
        let mut rows = Vec::with_capacity(open.len());
        for number in open {
            let wanted = floor.accounts.order(id, index, number).cloned();
            rows.push(self.cancel_order(floor, wanted, None)?);
        }
        Ok(rows)
    }

    /// `POST order/cancelReplace`.
    pub(super) fn cancel_replace(
        &mut self,
        floor: &mut Floor<'_>,
        id: AccountId,
        query: &Query,
    ) -> Result<Value, Failure> {
        count(floor.accounts, id, query);
        let stops = match query.get("cancelReplaceMode") {
            Some("STOP_ON_FAILURE") => true,
            Some("ALLOW_FAILURE") => false,
            _ => return Err(Why::Missing.of("cancelReplaceMode")),
        };
        let terms = self.terms(floor.market, id, query)?;
        let which = ["cancelOrderId", "cancelOrigClientOrderId"];
        let wanted = self.wanted(floor.accounts, id, query, which)?;
        let name = terms::name(query, "cancelNewClientOrderId")?;
        let detail = terms.detail;
        let cancel = self.cancel_order(floor, wanted, name);
        let placed =
            if cancel.is_err() && stops { None } else { Some(self.send_order(floor, id, terms)) };
        let placed =
            placed.map(|placed| placed.map(|record| self.placed(floor.market, &record, detail)));
        replaced(cancel, placed)
    }

    /// `PUT order` of futures: price and quantity of an open order.
    pub(super) fn modify(
        &mut self,
        floor: &mut Floor<'_>,
        id: AccountId,
        query: &Query,
    ) -> Result<Value, Failure> {
        let index = self.feed(query)?.index;
        let side = terms::side(query)?;
        let instrument = floor.market.instrument(index);
        let lots = terms::lots(self.line, instrument, query)?;
        let ticks = terms::price(self.line, instrument, query)?;
        let ticks = ticks.ok_or_else(|| Why::Missing.of("price"))?;
        let wanted = self.wanted(floor.accounts, id, query, ["orderId", "origClientOrderId"])?;
        let order = wanted.ok_or(Why::NoOrder)?.order;
        if !order.state.is_open() || order.side != side {
            return Err(Why::UnknownOrder.failure());
        }
        if (order.ticks(), order.lots) == (Some(ticks), lots) {
            return Err(Why::FuturesUnchanged.failure());
        }
        let refused = |refusal| Why::refused(self.line.sort, refusal).failure();
        let record = floor.amend((id, index, order.id), (ticks, lots)).map_err(refused)?;
        Ok(self.order_row(floor.market, &record.order))
    }

    /// `GET openOrders`.
    pub(super) fn open_orders(
        &self,
        floor: &Floor<'_>,
        id: AccountId,
        query: &Query,
    ) -> Result<Value, Failure> {
        let one = match query.get("symbol") {
            Some(_) => Some(self.feed(query)?.index),
            None => None,
        };
        let mut open: Vec<&Order> = floor
            .market
            .open_orders(id)
            .filter(|order| one.is_none_or(|index| order.instrument == index))
            .collect();
        open.sort_by_key(|order| (order.instrument, order.id));
        Ok(open.into_iter().map(|order| self.order_row(floor.market, order)).collect())
    }

    /// `GET allOrders`: from a number or a time on, else the newest.
    pub(super) fn all_orders(
        &self,
        floor: &Floor<'_>,
        id: AccountId,
        query: &Query,
    ) -> Result<Value, Failure> {
        let index = self.feed(query)?.index;
        let (from, holds) = (query.number("orderId")?, query.holds()?);
        let all = floor.accounts.orders(id).map(|record| &record.order);
        let mut found: Vec<&Order> = all
            .filter(|order| order.instrument == index && holds(order.created))
            .filter(|order| from.is_none_or(|from| order.id >= from))
            .collect();
        cut(&mut found, rows(query)?, from.is_some() || query.get("startTime").is_some());
        Ok(found.into_iter().map(|order| self.order_row(floor.market, order)).collect())
    }

    /// `GET myTrades` and `userTrades`.
    pub(super) fn my_trades(
        &self,
        floor: &Floor<'_>,
        id: AccountId,
        query: &Query,
    ) -> Result<Value, Failure> {
        let index = self.feed(query)?.index;
        let (from, of) = (query.number("fromId")?, query.number("orderId")?);
        let holds = query.holds()?;
        let orders = floor.accounts.orders(id).filter(|record| record.order.instrument == index);
        let mut found: Vec<(&Order, &Fill)> = orders
            .filter(|record| of.is_none_or(|number| record.order.id == number))
            .flat_map(|record| record.fills.iter().map(|fill| (&record.order, fill)))
            .filter(|(_, fill)| {
                holds(fill.trade.at) && from.is_none_or(|from| fill.trade.id >= from)
            })
            .collect();
        found.sort_by_key(|(order, fill)| (fill.trade.id, order.id));
        cut(&mut found, rows(query)?, from.is_some() || query.get("startTime").is_some());
        let print = self.print(floor.market, index);
        Ok(found.into_iter().map(|(order, fill)| payload::execution(print, order, fill)).collect())
    }
}

/// Counts a request for an order under a name, whatever comes of it.
pub(super) fn count(accounts: &mut Accounts, id: AccountId, query: &Query) {
    if let Some(name) = query.get("newClientOrderId") {
        accounts.asked(id, name);
    }
}

fn rows(query: &Query) -> Result<usize, Failure> {
    let rows = query.number("limit")?.unwrap_or(ROWS).min(ROWS_MAX);
    Ok(usize::try_from(rows).unwrap_or(usize::MAX))
}

/// The first rows, or the last.
fn cut<T>(found: &mut Vec<T>, rows: usize, from_the_front: bool) {
    if from_the_front {
        found.truncate(rows);
    } else {
        found.drain(..found.len().saturating_sub(rows));
    }
}

/// The answer to a cancel and what follows it, which was not even tried where there is none.
fn replaced(
    cancel: Result<Value, Failure>,
    placed: Option<Result<Value, Failure>>,
) -> Result<Value, Failure> {
    let part = |result: &Result<Value, Failure>| match result {
        Ok(answer) => ("SUCCESS", answer.clone()),
        Err(failure) => ("FAILURE", failure.body()),
    };
    let (cancelled, cancel_answer) = part(&cancel);
    let (was_placed, place_answer) = placed.as_ref().map_or(("NOT_ATTEMPTED", Value::Null), part);
    let body = json!({
        "cancelResult": cancelled,
        "newOrderResult": was_placed,
        "cancelResponse": cancel_answer,
        "newOrderResponse": place_answer,
    });
    let why = match (&cancel, &placed) {
        (Ok(_), Some(Ok(_))) => return Ok(body),
        (Ok(_), _) | (_, Some(Ok(_))) => Why::CancelReplacePart,
        _ => Why::CancelReplace,
    };
    Err(Failure { data: Some(body), ..why.failure() })
}
