//! Cancels, amendments, and the dead-man switch.
//!
//! www.okx.com/docs-v5/en, "Order Book Trading", "Trade", "Cancel order", "Amend order", "Cancel
//! All After".

use std::time::Duration;

use model::Nanos;

use super::super::errors::{
    AMEND, AMEND_BALANCE, AMEND_NOTHING, CANCEL, CANCEL_NO_ID, INVALID, NO_ID, SWITCHES_MAX, Wrong,
};
use super::super::limits::{Counted, Limits};
use super::Trading;
use super::fields::{self, Fields};
use super::place::{self, NAME_MAX, TAG_MAX};
use crate::market::Market;
use crate::market::order::{AccountId, Index, Order, Refusal};
use crate::venue::Floor;

/// The open order that is meant: `ordId` before `clOrdId`.
fn open<'a>(
    market: &'a Market,
    account: AccountId,
    index: Index,
    fields: &Fields,
    no_id: Wrong,
) -> Result<Option<&'a Order>, Wrong> {
    if let Some(id) = fields::text(fields, "ordId") {
        let order = id.parse().ok().and_then(|id| market.book(index).get(id));
        return Ok(order.filter(|order| order.account == account));
    }
    let name = fields::text(fields, "clOrdId").ok_or(no_id)?;
    Ok(market.named(account, &name).filter(|order| order.instrument == index))
}

/// Cancels an open order.
///
/// # Errors
/// There is none.
pub(super) fn cancel(
    floor: &mut Floor<'_>,
    account: AccountId,
    index: Index,
    fields: &Fields,
) -> Result<Order, Wrong> {
    let order = open(floor.market, account, index, fields, CANCEL_NO_ID)?.ok_or(CANCEL)?;
    let key = (account, index, order.id);
    floor.cancel(key).map(|record| record.order).map_err(|_| CANCEL)
}

impl Trading {
    /// Amends an open order; where that fails and `cxlOnFail` is set, cancels it.
    ///
    /// # Errors
    /// Why it is not amended.
    pub(super) fn amend(
        &mut self,
        floor: &mut Floor<'_>,
        account: AccountId,
        index: Index,
        fields: &Fields,
    ) -> Result<Order, Wrong> {
        let order = open(floor.market, account, index, fields, NO_ID)?.ok_or(AMEND)?.clone();
        let cancels = fields::flag(fields, "cxlOnFail")?;
        let amended = self.amend_to(floor, &order, fields);
        if amended.is_err() && cancels {
            self.facts_mut(&order).canceled_by = Some("0");
            // It was open a moment ago.
            drop(floor.cancel((account, index, order.id)));
        }
        amended
    }

    /// A quantity that is executed already makes the order a filled one.
    fn amend_to(
        &mut self,
        floor: &mut Floor<'_>,
        order: &Order,
        fields: &Fields,
    ) -> Result<Order, Wrong> {
        let req_id = fields::name(fields, "reqId", NAME_MAX)?.unwrap_or_default();
        let (ticks, lots) = terms(floor.market, order, fields)?;
        let key = (order.account, order.instrument, order.id);
        let is_done = lots <= order.filled;
        let amended = if is_done { floor.cancel(key) } else { floor.amend(key, (ticks, lots)) };
        let amended = amended.map_err(|refusal| match refusal {
            Refusal::Balance => AMEND_BALANCE,
            other => place::refused(floor.market, order.instrument, order.side, other),
        })?;
        let facts = self.facts_mut(order);
        (facts.amended_by, facts.amended_to_done) = (req_id, is_done);
        Ok(amended.order)
    }

    /// Winds an account's dead-man switch, or one for the orders with a tag, or stops it; gives when
    /// it strikes.
    ///
    /// # Errors
    /// The time is none that may be, or there are too many switches.
    pub(super) fn wind(
        &mut self,
        limits: &mut Limits,
        now: Nanos,
        account: AccountId,
        fields: &Fields,
    ) -> Result<(Option<Nanos>, String), Wrong> {
        let tag = fields::name(fields, "tag", TAG_MAX)?.unwrap_or_default();
        // One in a second.
        limits.take(now, Counted::Switch(account, tag.clone()), 1, 2)?;
        let seconds: u64 = fields::need(fields, "timeOut")?.parse().unwrap_or(u64::MAX);
        let key = (account, tag.clone());
        if seconds == 0 {
            self.switches.remove(&key);
            return Ok((None, tag));
        }
        if !(10..=120).contains(&seconds) {
            return Err(INVALID.of("timeOut"));
        }
        let tagged = self.switches.keys().filter(|(of, tag)| *of == account && !tag.is_empty());
        if !tag.is_empty() && !self.switches.contains_key(&key) && tagged.count() >= TAGGED_MAX {
            return Err(SWITCHES_MAX);
        }
        let at = now + Duration::from_secs(seconds);
        self.switches.insert(key, at);
        Ok((Some(at), tag))
    }

    /// Strikes the switches whose time has come.
    pub(super) fn strike(&mut self, floor: &mut Floor<'_>) {
        let due = self.switches.extract_if(.., |_, at| *at <= floor.now);
        for ((account, tag), _) in due.collect::<Vec<_>>() {
            let open: Vec<Order> = floor.market.open_orders(account).cloned().collect();
            for order in open {
                let facts = self.facts_mut(&order);
                if !tag.is_empty() && facts.tag != tag {
                    continue;
                }
                facts.canceled_by = Some("20");
                let key = (account, order.instrument, order.id);
                drop(floor.cancel(key));
            }
        }
    }
}

/// Switches with a tag that an account may have at once.
const TAGGED_MAX: usize = 20;

/// New price and whole quantity, each as it was where nothing is said.
fn terms(market: &Market, order: &Order, fields: &Fields) -> Result<(u64, u64), Wrong> {
    let of = market.instrument(order.instrument);
    let ticks = place::ticks(of, fields, "newPx")?;
    let sized = fields::text(fields, "newSz").is_some();
    if ticks.is_none() && !sized {
        return Err(AMEND_NOTHING);
    }
    let lots = if sized { place::lots(of, fields, "newSz")? } else { order.lots };
    Ok((ticks.or_else(|| order.ticks()).unwrap_or(0), lots))
}
