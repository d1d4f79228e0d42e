//! The account's stream and lists, as what is heard.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write;

use model::event::{Reason, Side};
use model::instrument::canonical_name;
use model::ledger::{Name, Outcome};
use model::trading::{Balance, Heard, Position, Ticket, VenueState};
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
                self.tell_report(&wire::read_report(body)?, now, sink);
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
        let instrument: Name = self.name(&held.symbol.0, sink).into();
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
    fn tell_report(&self, told: &Report<'_>, now: Nanos, sink: &mut Sink<'_>) {
        let id = match &*told.original_client_id.0 {
            "" => &told.client_id,
            _ => &told.original_client_id,
        };
        let state = state(&told.status.0, sink);
        let reason = Some(&*told.reason.0).filter(|reason| *reason != "NONE");
        let text = if state.is_none() { Some(&*told.status.0) } else { reason };
        let Some(mut report) = sink.pipeline.exec_report() else { return };
        report.instrument.push_str(&self.name(&told.symbol.0, sink));
        report.venue_client_id.push_str(&id.0);
        write_id(&mut report.venue_order_id, told.order_id);
        report.side = side(&told.side.0);
        report.price = Some(told.price.0).filter(|price| !price.is_zero());
        report.state = state;
        report.quantity = Some(told.quantity.0);
        report.filled = Some(told.filled.0);
        // The list and the query have no number of the event: with it, one report would have two keys.
        if told.trade_id >= 0 && !told.last_quantity.0.is_zero() {
            write_id(&mut report.trade_id, told.trade_id);
            (report.last_price, report.last_quantity) = (told.last_price.0, told.last_quantity.0);
        }
        report.text.push_str(text.unwrap_or_default());
        report.ts_event = Some(Nanos::from_millis(told.time));
        report.ts_recv = now;
        sink.pipeline.heard(Heard::Order(report));
    }

    /// What a query or the list of open orders tells. An order that was asked for by our id has it,
    /// whatever the venue calls it by now.
    pub(super) fn tell_order(
        &self,
        ticket: Ticket,
        order: &Order<'_>,
        asked: Option<&Name>,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) {
        let state = state(&order.status.0, sink);
        let Some(mut report) = sink.pipeline.exec_report() else { return };
        report.ticket = Some(ticket);
        report.instrument.push_str(&self.name(&order.symbol.0, sink));
        report.venue_client_id.push_str(asked.map_or(&*order.client_order_id.0, |id| id));
        write_id(&mut report.venue_order_id, order.order_id);
        report.side = side(&order.side.0);
        report.price = Some(order.price.0).filter(|price| !price.is_zero());
        report.state = state;
        report.quantity = Some(order.orig_qty.0);
        report.filled = Some(order.executed_qty.0);
        report.text.push_str(if state.is_none() { &order.status.0 } else { "" });
        report.ts_event = order.update_time.map(Nanos::from_millis);
        report.ts_recv = now;
        sink.pipeline.heard(Heard::Order(report));
    }

    /// The canonical name of a symbol: by the list, by the symbol rule for what it does not hold, and
    /// the symbol itself where that has no rule either.
    fn name<'a>(&'a self, symbol: &'a str, sink: &mut Sink<'_>) -> Cow<'a, str> {
        if let Some(listing) = self.listings.of_symbol(symbol) {
            return Cow::Borrowed(&listing.instrument.name);
        }
        sink.pipeline.notice(Notice::UnexpectedSymbol(symbol));
        match self.market.split_symbol(symbol) {
            Some((base, quote, contract)) => canonical_name(base, quote, contract).into(),
            None => symbol.into(),
        }
    }
}

/// What the list of fills tells: nothing of the order's state.
pub(super) fn tell_fill(
    ticket: Ticket,
    instrument: &str,
    fill: &Fill,
    now: Nanos,
    sink: &mut Sink<'_>,
) {
    let Some(mut report) = sink.pipeline.exec_report() else { return };
    report.ticket = Some(ticket);
    report.instrument.push_str(instrument);
    write_id(&mut report.venue_order_id, fill.order_id);
    report.side = Some(if fill.is_buyer { Side::Buy } else { Side::Sell });
    write_id(&mut report.trade_id, fill.id);
    (report.last_price, report.last_quantity) = (fill.price.0, fill.qty.0);
    report.ts_event = Some(Nanos::from_millis(fill.time));
    report.ts_recv = now;
    sink.pipeline.heard(Heard::Order(report));
}

/// A number in decimal, into a buffer that has room for it from the last time on.
fn write_id(text: &mut String, id: impl std::fmt::Display) {
    // A string takes everything.
    let _ = write!(text, "{id}");
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
