//! What accounts are told of their orders, balances and positions.
//!
//! <https://github.com/binance/binance-spot-api-docs/blob/master/user-data-stream.md>;
//! developers.binance.com, USDⓈ-M futures, "Event: Order Update", "Event: Balance and Position
//! Update".

use std::collections::{BTreeMap, BTreeSet};

use super::super::simulated::SimulatedBinance;
use super::super::wire::{Print, eight_places, ms};
use super::payload::{self, fee_asset, name, self_trade, status};
use crate::market::Market;
use crate::market::ledger::Balance;
use crate::market::order::{AccountId, Cause, Event, Index, Report, State, What};
use crate::venue::Floor;

/// What of an account has changed in one action.
#[derive(Default)]
struct Touched {
    assets: BTreeSet<usize>,
    instruments: BTreeSet<Index>,
}

impl SimulatedBinance {
    /// Tells accounts what one action has led to: each report, then what they have now.
    pub(in super::super) fn tell_accounts(&mut self, floor: &mut Floor<'_>, events: &[Event]) {
        let mut touched: BTreeMap<AccountId, Touched> = BTreeMap::new();
        for event in events {
            let What::Report(report) = &event.what else { continue };
            let order = &report.order;
            let (id, index) = (order.account, order.instrument);
            if self.is_heard(id) {
                let print = self.print(floor.market, index);
                let text = if self.line.is_spot() {
                    self.execution_report(print, floor, report)
                } else {
                    self.order_trade_update(print, floor, report)
                };
                self.tell(floor, id, &text);
            }
            let all = touched.entry(id).or_default();
            if self.line.is_spot() || matches!(report.cause, Cause::Filled(_)) {
                all.assets.extend(self.assets_of(floor.market, index));
                all.instruments.insert(index);
            }
            if !order.state.is_open() {
                self.trading.cancels.remove(&(index, order.id));
                self.trading.reduce_only.remove(&(index, order.id));
            }
        }
        for (id, touched) in touched {
            if touched.assets.is_empty() || !self.is_heard(id) {
                continue;
            }
            let text = if self.line.is_spot() {
                account_position(floor, id, &touched.assets)
            } else {
                self.account_update(floor, id, &touched)
            };
            self.tell(floor, id, &text);
        }
    }

    /// The assets whose balances a report may have changed.
    fn assets_of(&self, market: &Market, index: Index) -> impl Iterator<Item = usize> + use<> {
        let instrument = market.instrument(index);
        let quote = market.find_asset(&instrument.quote);
        let base = market.find_asset(&instrument.base).filter(|_| self.line.is_spot());
        quote.into_iter().chain(base)
    }

    /// `executionReport`.
    fn execution_report(&self, print: Print<'_>, floor: &Floor<'_>, report: &Report) -> String {
        let Report { order, cause } = report;
        let (sort, lasting) = payload::sort(true, order);
        let kind = match (cause, order.state) {
            (Cause::Placed, _) => "NEW",
            (Cause::Filled(_), _) => "TRADE",
            (Cause::Ended, State::Cancelled) => "CANCELED",
            (Cause::Ended, State::ExpiredInMatch) | (Cause::Amended, _) => "TRADE_PREVENTION",
            (Cause::Ended, _) => "EXPIRED",
        };
        // A cancel has a name of its own, and the order's comes beside it.
        let cancel = self.trading.cancels.get(&(order.instrument, order.id));
        let cancel = cancel.filter(|_| kind == "CANCELED");
        let (client, original) = cancel.map_or((name(order), ""), |cancel| (cancel, name(order)));
        let fill = match cause {
            Cause::Filled(fill) => Some(fill),
            _ => None,
        };
        let trade = fill.map(|fill| fill.trade);
        let commission = fill.map_or_else(
            || r#""n":"0","N":null"#.to_owned(),
            |fill| format!(r#""n":"{}","N":"{}""#, print.amount(fill.fee), fee_asset(print, order)),
        );
        let prevented = if order.prevented > 0 {
            format!(r#","A":"{}""#, print.quantity(order.prevented))
        } else {
            String::new()
        };
        let (created, updated) = (ms(order.created), ms(order.updated));
        format!(
            r#"{{"e":"executionReport","E":{},"s":"{}","c":"{client}","S":"{}","o":"{sort}","f":"{lasting}","q":"{}","p":"{}","P":"0.00000000","F":"0.00000000","g":-1,"C":"{original}","x":"{kind}","X":"{}","r":"NONE","i":{},"l":"{}","z":"{}","L":"{}",{commission},"T":{updated},"t":{},"I":{},"w":{},"m":{},"M":false,"O":{created},"Z":"{}","Y":"{}","Q":"0.00000000","W":{created},"V":"{}"{prevented}}}"#,
            ms(floor.now),
            print.symbol,
            payload::side(order.side),
            print.quantity(order.lots),
            print.price(order.ticks().unwrap_or(0)),
            status(order.state),
            order.id,
            print.quantity(trade.map_or(0, |trade| trade.lots)),
            print.quantity(order.filled),
            print.price(trade.map_or(0, |trade| trade.ticks)),
            trade.map_or(-1, |trade| i128::from(trade.id)),
            order.id,
            order.state.is_open(),
            fill.is_some_and(|fill| fill.is_maker),
            print.amount(order.value),
            print.amount(fill.map_or(0, |fill| fill.value)),
            self_trade(order.self_trade),
        )
    }

    /// `ORDER_TRADE_UPDATE`.
    fn order_trade_update(&self, print: Print<'_>, floor: &Floor<'_>, report: &Report) -> String {
        let Report { order, cause } = report;
        let (sort, lasting) = payload::sort(false, order);
        let kind = match (cause, order.state) {
            (Cause::Placed, _) => "NEW",
            (Cause::Filled(_), _) => "TRADE",
            (Cause::Amended, _) => "AMENDMENT",
            (Cause::Ended, State::Cancelled) => "CANCELED",
            (Cause::Ended, _) => "EXPIRED",
        };
        let fill = match cause {
            Cause::Filled(fill) => Some(fill),
            _ => None,
        };
        let trade = fill.map(|fill| fill.trade);
        // "N": "will not push if no commission".
        let commission = fill.map_or_else(String::new, |fill| {
            format!(r#""N":"{}","n":"{}","#, fee_asset(print, order), print.amount(fill.fee))
        });
        let updated = ms(order.updated);
        format!(
            r#"{{"e":"ORDER_TRADE_UPDATE","E":{},"T":{updated},"o":{{"s":"{}","c":"{}","S":"{}","o":"{sort}","f":"{lasting}","q":"{}","p":"{}","ap":"{}","sp":"0","x":"{kind}","X":"{}","i":{},"l":"{}","z":"{}","L":"{}",{commission}"T":{updated},"t":{},"b":"0","a":"0","m":{},"R":{},"wt":"CONTRACT_PRICE","ot":"{sort}","ps":"BOTH","cp":false,"rp":"{}","pP":false,"si":0,"ss":0,"V":"{}","pm":"NONE","gtd":0}}}}"#,
            ms(floor.now),
            print.symbol,
            name(order),
            payload::side(order.side),
            print.quantity(order.lots),
            print.price(order.ticks().unwrap_or(0)),
            print.mean(order.value, order.filled),
            status(order.state),
            order.id,
            print.quantity(trade.map_or(0, |trade| trade.lots)),
            print.quantity(order.filled),
            print.price(trade.map_or(0, |trade| trade.ticks)),
            trade.map_or(0, |trade| trade.id),
            fill.is_some_and(|fill| fill.is_maker),
            self.is_reduce_only(order),
            print.amount(fill.map_or(0, |fill| fill.profit)),
            self_trade(order.self_trade),
        )
    }

    /// `ACCOUNT_UPDATE`.
    fn account_update(&self, floor: &Floor<'_>, id: AccountId, touched: &Touched) -> String {
        let market = &*floor.market;
        let balance = |asset: &usize| {
            let Balance { free, locked } = market.ledger().balance(id, *asset);
            let wallet = eight_places(free + locked);
            let name = &market.assets()[*asset];
            format!(r#"{{"a":"{name}","wb":"{wallet}","cw":"{wallet}","bc":"0"}}"#)
        };
        let position = |index: &Index| {
            let held = self.held(market, id, *index);
            let print = self.print(market, *index);
            let sign = if held.lots < 0 { "-" } else { "" };
            format!(
                r#"{{"s":"{}","pa":"{sign}{}","ep":"{}","bep":"{}","cr":"0","up":"{}","mt":"cross","iw":"0","ps":"BOTH"}}"#,
                print.symbol,
                print.quantity(held.lots.unsigned_abs()),
                held.entry,
                held.entry,
                eight_places(held.profit),
            )
        };
        let balances: Vec<_> = touched.assets.iter().map(balance).collect();
        let positions: Vec<_> = touched.instruments.iter().map(position).collect();
        let at_ms = ms(floor.now);
        format!(
            r#"{{"e":"ACCOUNT_UPDATE","E":{at_ms},"T":{at_ms},"a":{{"m":"ORDER","B":[{}],"P":[{}]}}}}"#,
            balances.join(","),
            positions.join(","),
        )
    }
}

/// `outboundAccountPosition`.
fn account_position(floor: &Floor<'_>, id: AccountId, assets: &BTreeSet<usize>) -> String {
    let row = |asset: &usize| {
        let Balance { free, locked } = floor.market.ledger().balance(id, *asset);
        let name = &floor.market.assets()[*asset];
        let (free, locked) = (eight_places(free), eight_places(locked));
        format!(r#"{{"a":"{name}","f":"{free}","l":"{locked}"}}"#)
    };
    let rows: Vec<_> = assets.iter().map(row).collect();
    let at_ms = ms(floor.now);
    let rows = rows.join(",");
    format!(r#"{{"e":"outboundAccountPosition","E":{at_ms},"u":{at_ms},"B":[{rows}]}}"#)
}
