//! The account's channels and lists, as what is heard.

use std::borrow::Cow;
use std::collections::BTreeSet;

use model::event::Side;
use model::instrument::canonical_name;
use model::ledger::Name;
use model::trading::{Balance, Heard, Position, Ticket, VenueState};
use model::venue::{Notice, Sink};
use model::{Decimal, Error, Nanos};

use super::super::habits::split_symbol;
use super::Orders;
use super::wire::{Account, Detail, Fill, Held, Order, time};
use crate::json::fallback::{Raw, read_raw};

impl Orders {
    /// Something of the account. A message is told whole or not at all.
    pub(super) fn on_data(
        &mut self,
        channel: &str,
        data: &[Raw<'_>],
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        match channel {
            "orders" => {
                let orders = data.iter().map(|raw| read_raw(raw));
                for order in orders.collect::<Result<Vec<Order<'_>>, _>>()? {
                    self.tell_order(None, &order, now, sink);
                }
            }
            "account" => {
                let accounts = data.iter().map(|raw| read_raw(raw));
                for account in accounts.collect::<Result<Vec<Account<'_>>, _>>()? {
                    for detail in &account.details {
                        self.tell_balance(detail, now, sink);
                    }
                }
            }
            "positions" => {
                let positions = data.iter().map(|raw| read_raw(raw));
                for held in positions.collect::<Result<Vec<Held<'_>>, _>>()? {
                    self.tell_position(&held, now, sink);
                }
            }
            other => sink.pipeline.notice(Notice::UnknownType(other)),
        }
        Ok(())
    }

    /// The account's balances, all of them: what is left out is zero.
    pub(super) fn on_balances(
        &mut self,
        accounts: &[Account<'_>],
        now: Nanos,
        sink: &mut Sink<'_>,
    ) {
        let mut told = BTreeSet::new();
        for detail in accounts.iter().flat_map(|account| &account.details) {
            told.insert(self.tell_balance(detail, now, sink));
        }
        for asset in self.balances.left_out(&told) {
            let (free, locked) = (Decimal::ZERO, Decimal::ZERO);
            let gone = Balance { asset, free, locked, ts_event: None, ts_recv: now };
            sink.pipeline.heard(Heard::Balance(gone));
        }
    }

    /// The account's positions, all of them: what is left out is zero.
    pub(super) fn on_positions(&mut self, all: &[Held<'_>], now: Nanos, sink: &mut Sink<'_>) {
        let mut told = BTreeSet::new();
        for held in all {
            told.extend(self.tell_position(held, now, sink));
        }
        for instrument in self.positions.left_out(&told) {
            let quantity = Decimal::ZERO;
            let gone =
                Position { instrument, quantity, entry_price: None, ts_event: None, ts_recv: now };
            sink.pipeline.heard(Heard::Position(gone));
        }
    }

    fn tell_balance(&mut self, detail: &Detail<'_>, now: Nanos, sink: &mut Sink<'_>) -> Name {
        let asset: Name = (*detail.ccy.0).into();
        let free = detail.avail_bal.0.unwrap_or_default();
        let locked = detail.frozen_bal.0.unwrap_or_default();
        self.balances.tell(&asset, free.is_zero() && locked.is_zero());
        let ts_event = Some(time(detail.u_time));
        let balance = Balance { asset: asset.clone(), free, locked, ts_event, ts_recv: now };
        sink.pipeline.heard(Heard::Balance(balance));
        asset
    }

    fn tell_position(&mut self, held: &Held<'_>, now: Nanos, sink: &mut Sink<'_>) -> Option<Name> {
        // Borrowed spot is told by the balances.
        if held.inst_type.0 == "MARGIN" {
            return None;
        }
        let quantity = held.pos.0.unwrap_or_default();
        if held.pos_side.0 != "net" {
            if !quantity.is_zero() {
                sink.pipeline.notice(Notice::VenueStatus(
                    "the account holds long and short positions side by side, which orders from \
                     here can't be placed in: set it to net mode",
                ));
            }
            return None;
        }
        let instrument: Name = self.name(&held.inst_id.0, sink).into();
        self.positions.tell(&instrument, quantity.is_zero());
        let position = Position {
            instrument: instrument.clone(),
            quantity,
            entry_price: held.avg_px.some(),
            ts_event: Some(time(held.u_time)),
            ts_recv: now,
        };
        sink.pipeline.heard(Heard::Position(position));
        Some(instrument)
    }

    /// What channel, query or list tells of an order. The last fill is news in the channel alone.
    pub(super) fn tell_order(
        &self,
        ticket: Option<Ticket>,
        order: &Order<'_>,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) {
        let state = state(order, sink);
        let Some(mut report) = sink.pipeline.exec_report() else { return };
        report.ticket = ticket;
        report.instrument.push_str(&self.name(&order.inst_id.0, sink));
        report.venue_client_id.push_str(&order.cl_ord_id.0);
        report.venue_order_id.push_str(&order.ord_id.0);
        report.side = side(&order.side.0);
        report.price = order.px.some();
        report.state = state;
        report.quantity = Some(order.sz.0).filter(|_| order.tgt_ccy.0 != "quote_ccy");
        report.filled = order.acc_fill_sz.0;
        let last = order.fill_px.0.zip(order.fill_sz.some());
        if let Some(last) = last.filter(|_| ticket.is_none() && !order.trade_id.0.is_empty()) {
            report.trade_id.push_str(&order.trade_id.0);
            (report.last_price, report.last_quantity) = last;
        }
        report.text.push_str(match state {
            None => &order.state.0,
            Some(_) => &order.cancel_source_reason.0,
        });
        report.ts_event = Some(time(order.u_time));
        report.ts_recv = now;
        sink.pipeline.heard(Heard::Order(report));
    }

    /// What the list of fills tells: nothing of the order's state.
    pub(super) fn tell_fill(
        &self,
        ticket: Ticket,
        fill: &Fill<'_>,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) {
        let Some(mut report) = sink.pipeline.exec_report() else { return };
        report.ticket = Some(ticket);
        report.instrument.push_str(&self.name(&fill.inst_id.0, sink));
        report.venue_client_id.push_str(&fill.cl_ord_id.0);
        report.venue_order_id.push_str(&fill.ord_id.0);
        report.side = side(&fill.side.0);
        report.trade_id.push_str(&fill.trade_id.0);
        (report.last_price, report.last_quantity) = (fill.fill_px.0, fill.fill_sz.0);
        report.ts_event = Some(time(fill.ts));
        report.ts_recv = now;
        sink.pipeline.heard(Heard::Order(report));
    }

    /// The canonical name of a symbol: by the list, by the symbol rule for what it does not hold, and
    /// the symbol itself where that has no rule either (options).
    fn name<'a>(&'a self, symbol: &'a str, sink: &mut Sink<'_>) -> Cow<'a, str> {
        if let Some(listing) = self.listings.of_symbol(symbol) {
            return Cow::Borrowed(&listing.instrument.name);
        }
        match split_symbol(symbol) {
            Some((base, quote, contract)) => canonical_name(base, quote, contract).into(),
            None => {
                sink.pipeline.notice(Notice::UnexpectedSymbol(symbol));
                symbol.into()
            }
        }
    }
}

/// A state that this version does not know is none, and the operator hears of it. Of what was
/// cancelled the source says whether it was its time in force: 13 a FOK, 14 the rest of an IOC, 31 a
/// post-only order that would have taken.
fn state(order: &Order<'_>, sink: &mut Sink<'_>) -> Option<VenueState> {
    Some(match &*order.state.0 {
        "live" | "partially_filled" => VenueState::Open,
        "filled" => VenueState::Filled,
        "canceled" if ["13", "14", "31"].contains(&&*order.cancel_source.0) => VenueState::Expired,
        "canceled" | "mmp_canceled" => VenueState::Cancelled,
        other => {
            sink.pipeline.notice(Notice::UnknownType(other));
            return None;
        }
    })
}

fn side(side: &str) -> Option<Side> {
    match side {
        "buy" => Some(Side::Buy),
        "sell" => Some(Side::Sell),
        _ => None,
    }
}
