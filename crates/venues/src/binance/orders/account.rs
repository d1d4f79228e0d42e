//! The account's stream and lists, as what is heard.

use std::collections::BTreeSet;

use model::event::{Reason, Side};
use model::instrument::canonical_name;
use model::ledger::{self, Name, Outcome};
use model::trading::{Balance, Heard, Observation, OrderSeen, Position, Ticket, VenueState};
use model::venue::{Notice, Sink};
use model::{ConnId, Decimal, Error, Nanos};

use super::Orders;
use super::wire::{
    self, Account, Asset, Fill, FuturesUpdate, Held, Order, Report, SpotBalance, SpotUpdate,
};
use crate::json::fallback::{read, start_of};
use crate::orders::DONE;

impl Orders {
    /// Something of the account.
    pub(super) fn on_event(
        &mut self,
        conn: ConnId,
        kind: &str,
        body: &str,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        match kind {
            "executionReport" | "ORDER_TRADE_UPDATE" => {
                let seen = self.report_seen(&wire::read_report(body)?, now, sink);
                sink.pipeline.heard(Heard::Order(Box::new(seen)));
            }
            "outboundAccountPosition" => {
                let update: SpotUpdate<'_> = read(body.as_bytes())?;
                for balance in &update.balances {
                    self.tell_spot(balance, Some(update.time), now, sink);
                }
            }
            "ACCOUNT_UPDATE" => {
                let FuturesUpdate { time, changed } = read(body.as_bytes())?;
                for asset in &changed.assets {
                    self.tell_asset(asset, Some(time), now, sink);
                }
                for held in &changed.positions {
                    self.tell_position(held, Some(time), now, sink);
                }
            }
            "listenKeyExpired" => {
                self.forget_key();
                self.key_at = Some(now);
            }
            "eventStreamTerminated" => {
                if let Some(conn) = self.conn(conn) {
                    conn.ready = false;
                }
                sink.outbox.reconnect.push((conn, Reason::VenueReset));
            }
            "serverShutdown" => {
                sink.pipeline.notice(Notice::ShutdownAnnounced("serverShutdown"));
                sink.outbox.renew.push((conn, Reason::VenueReset));
            }
            "MARGIN_CALL" => sink.pipeline.notice(Notice::VenueStatus(start_of(body))),
            // Said by others again (changes of balances, fills in short), or about nothing of ours.
            "balanceUpdate"
            | "externalLockUpdate"
            | "listStatus"
            | "TRADE_LITE"
            | "ACCOUNT_CONFIG_UPDATE"
            | "STRATEGY_UPDATE"
            | "GRID_UPDATE"
            | "ALGO_UPDATE"
            | "CONDITIONAL_ORDER_TRIGGER_REJECT" => {}
            other => sink.pipeline.notice(Notice::UnknownType(other)),
        }
        Ok(())
    }

    /// The account's balances and positions; what it leaves out is zero.
    pub(super) fn on_account(
        &mut self,
        body: &[u8],
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Result<Outcome, Error> {
        let account: Account<'_> = read(body)?;
        if account.balances.is_none() && account.assets.is_none() {
            return Err(Error::ignore("an account with neither balances nor assets"));
        }
        let (mut assets, mut held) = (BTreeSet::new(), BTreeSet::new());
        for balance in account.balances.iter().flatten() {
            assets.insert(self.tell_spot(balance, None, now, sink));
        }
        for asset in account.assets.iter().flatten() {
            assets.insert(self.tell_asset(asset, None, now, sink));
        }
        for position in &account.positions {
            held.extend(self.tell_position(position, None, now, sink));
        }
        for asset in self.balances.left_out(&assets) {
            let (free, locked) = (Decimal::ZERO, Decimal::ZERO);
            let gone = Balance { asset, free, locked, ts_event: None, ts_recv: now };
            sink.pipeline.heard(Heard::Balance(gone));
        }
        for instrument in self.positions.left_out(&held) {
            let quantity = Decimal::ZERO;
            let gone =
                Position { instrument, quantity, entry_price: None, ts_event: None, ts_recv: now };
            sink.pipeline.heard(Heard::Position(gone));
        }
        Ok(DONE)
    }

    fn tell_spot(
        &mut self,
        balance: &SpotBalance<'_>,
        time: Option<u64>,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Name {
        self.tell_balance(&balance.asset.0, balance.free.0, balance.locked.0, time, now, sink)
    }

    fn tell_asset(
        &mut self,
        asset: &Asset<'_>,
        time: Option<u64>,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Name {
        let (wallet, cross) = (asset.wallet_balance.0, asset.cross_wallet_balance.0);
        let isolated = wallet.checked_sub(cross).unwrap_or_default();
        self.tell_balance(&asset.asset.0, cross, isolated, time, now, sink)
    }

    fn tell_balance(
        &mut self,
        asset: &str,
        free: Decimal,
        locked: Decimal,
        time: Option<u64>,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Name {
        let asset: Name = asset.into();
        self.balances.tell(&asset, free.is_zero() && locked.is_zero());
        let ts_event = time.map(Nanos::from_millis);
        let balance = Balance { asset: asset.clone(), free, locked, ts_event, ts_recv: now };
        sink.pipeline.heard(Heard::Balance(balance));
        asset
    }

    fn tell_position(
        &mut self,
        held: &Held<'_>,
        time: Option<u64>,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Option<Name> {
        let quantity = held.position_amt.0;
        if held.position_side.0 != "BOTH" {
            if !quantity.is_zero() {
                sink.pipeline.notice(Notice::VenueStatus(
                    "the account holds long and short positions side by side (hedge mode), which \
                     orders from here can't be placed in: set it to one-way mode",
                ));
            }
            return None;
        }
        let instrument = self.name(&held.symbol.0, sink);
        self.positions.tell(&instrument, quantity.is_zero());
        let position = Position {
            instrument: instrument.clone(),
            quantity,
            entry_price: held.entry_price.map(|price| price.0).filter(|price| !price.is_zero()),
            ts_event: time.map(Nanos::from_millis),
            ts_recv: now,
        };
        sink.pipeline.heard(Heard::Position(position));
        Some(instrument)
    }

    /// What the stream tells of an order. Of a cancel `c` is the cancel's own id and `C` the order's;
    /// else `C` is empty.
    fn report_seen(&self, report: &Report<'_>, now: Nanos, sink: &mut Sink<'_>) -> OrderSeen {
        let id = match &*report.original_client_id.0 {
            "" => &report.client_id,
            _ => &report.original_client_id,
        };
        let is_fill =
            report.trade_id > 0 || (report.trade_id == 0 && !report.last_quantity.0.is_zero());
        let fill = (is_fill && !report.last_quantity.0.is_zero()).then(|| ledger::Fill {
            trade_id: report.trade_id.to_string().into(),
            price: report.last_price.0,
            quantity: report.last_quantity.0,
        });
        let state = state(&report.status.0, sink);
        let reason = Some(&*report.reason.0).filter(|reason| *reason != "NONE");
        let text = if state.is_none() { Some(&*report.status.0) } else { reason };
        OrderSeen {
            ticket: None,
            instrument: self.name(&report.symbol.0, sink),
            venue_client_id: Some((*id.0).into()),
            side: side(&report.side.0),
            price: Some(report.price.0).filter(|price| !price.is_zero()),
            seen: Observation {
                venue_order_id: report.order_id.to_string().into(),
                state,
                quantity: Some(report.quantity.0),
                filled: Some(report.filled.0),
                fill,
                // The list and the query have none: with it, one report would have two keys.
                venue_event_id: None,
                text: text.unwrap_or_default().into(),
                ts_event: Some(Nanos::from_millis(report.time)),
                ts_recv: now,
            },
        }
    }

    /// What a query or the list of open orders tells. An order that was asked for by our id has it,
    /// whatever the venue calls it by now.
    pub(super) fn order_seen(
        &self,
        ticket: Ticket,
        order: &Order<'_>,
        asked: Option<&Name>,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> OrderSeen {
        let state = state(&order.status.0, sink);
        let text = if state.is_none() { &*order.status.0 } else { "" };
        OrderSeen {
            ticket: Some(ticket),
            instrument: self.name(&order.symbol.0, sink),
            venue_client_id: Some(
                asked.cloned().unwrap_or_else(|| (*order.client_order_id.0).into()),
            ),
            side: side(&order.side.0),
            price: Some(order.price.0).filter(|price| !price.is_zero()),
            seen: Observation {
                venue_order_id: order.order_id.to_string().into(),
                state,
                quantity: Some(order.orig_qty.0),
                filled: Some(order.executed_qty.0),
                fill: None,
                venue_event_id: None,
                text: text.into(),
                ts_event: order.update_time.map(Nanos::from_millis),
                ts_recv: now,
            },
        }
    }

    /// What the list of fills tells: nothing of the order's state.
    pub(super) fn fill_seen(
        &self,
        ticket: Ticket,
        instrument: &Name,
        fill: &Fill,
        now: Nanos,
    ) -> OrderSeen {
        OrderSeen {
            ticket: Some(ticket),
            instrument: instrument.clone(),
            venue_client_id: None,
            side: Some(if fill.is_buyer { Side::Buy } else { Side::Sell }),
            price: None,
            seen: Observation {
                venue_order_id: fill.order_id.to_string().into(),
                state: None,
                quantity: None,
                filled: None,
                fill: Some(ledger::Fill {
                    trade_id: fill.id.to_string().into(),
                    price: fill.price.0,
                    quantity: fill.qty.0,
                }),
                venue_event_id: None,
                text: "".into(),
                ts_event: Some(Nanos::from_millis(fill.time)),
                ts_recv: now,
            },
        }
    }

    /// The canonical name of a symbol: by the list, by the symbol rule for what it does not hold, and
    /// the symbol itself where that has no rule either.
    fn name(&self, symbol: &str, sink: &mut Sink<'_>) -> Name {
        if let Some(listing) = self.listings.of_symbol(symbol) {
            return (&*listing.instrument.name).into();
        }
        sink.pipeline.notice(Notice::UnexpectedSymbol(symbol));
        match self.market.split_symbol(symbol) {
            Some((base, quote, contract)) => canonical_name(base, quote, contract).into(),
            None => symbol.into(),
        }
    }
}

/// A state that this version does not know is none, and the operator hears of it.
fn state(status: &str, sink: &mut Sink<'_>) -> Option<VenueState> {
    Some(match status {
        "NEW" | "PARTIALLY_FILLED" | "PENDING_NEW" | "PENDING_CANCEL" | "NEW_INSURANCE"
        | "NEW_ADL" => VenueState::Open,
        "FILLED" => VenueState::Filled,
        "CANCELED" => VenueState::Cancelled,
        "REJECTED" => VenueState::Rejected,
        "EXPIRED" | "EXPIRED_IN_MATCH" => VenueState::Expired,
        other => {
            sink.pipeline.notice(Notice::UnknownType(other));
            return None;
        }
    })
}

fn side(side: &str) -> Option<Side> {
    match side {
        "BUY" => Some(Side::Buy),
        "SELL" => Some(Side::Sell),
        _ => None,
    }
}
