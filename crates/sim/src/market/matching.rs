//! The matching engine: price before time, one action at a time.

use std::collections::BTreeMap;

use model::{Nanos, Side};

use super::book::Book;
use super::instrument::{Instrument, Settlement};
use super::ledger::{Assets, Booking, Ledger};
use super::money::Amount;
use super::order::{
    AccountId, Cause, Event, Fill, Index, Lasting, NewOrder, Order, Pricing, Refusal, Report,
    SelfTrade, State, Trade, What,
};
use super::tape::Tape;

/// Open orders of accounts that name them, by that name.
pub(super) type Names = BTreeMap<(AccountId, Box<str>), (Index, u64)>;

/// Where one instrument is traded.
#[derive(Clone, Debug)]
pub(super) struct Pit {
    pub index: Index,
    pub instrument: Instrument,
    pub assets: Assets,
    pub book: Book,
    pub tape: Tape,
    pub next_order: u64,
    /// How many orders each account has open.
    pub open: Vec<usize>,
}

/// One action in a pit.
pub(super) struct Desk<'a> {
    pub now: Nanos,
    pub pit: &'a mut Pit,
    pub ledger: &'a mut Ledger,
    pub names: &'a mut Names,
    /// Accounts from this one on are told what becomes of their orders, and have limits.
    pub clients_from: usize,
    pub out: &'a mut Vec<Event>,
}

/// The other side.
pub(super) fn opposite(side: Side) -> Side {
    match side {
        Side::Buy => Side::Sell,
        Side::Sell => Side::Buy,
    }
}

/// Whether an order with that limit takes what stands at a price.
fn crosses(side: Side, limit: Option<u64>, ticks: u64) -> bool {
    limit.is_none_or(|limit| match side {
        Side::Buy => ticks <= limit,
        Side::Sell => ticks >= limit,
    })
}

impl Desk<'_> {
    /// Places an order; gives it as it stands when nothing more happens to it at once.
    pub(super) fn place(&mut self, new: &NewOrder) -> Result<Order, Refusal> {
        self.check(new)?;
        let id = self.pit.next_order;
        let mut order = Order {
            id,
            account: new.account,
            instrument: self.pit.index,
            client_id: new.client_id.clone(),
            side: new.side,
            pricing: new.pricing,
            lots: new.lots,
            filled: 0,
            prevented: 0,
            value: 0,
            lasting: new.lasting,
            self_trade: new.self_trade,
            state: State::New,
            created: self.now,
            updated: self.now,
            locked: 0,
        };
        let (asset, amount) = self.reserve(&order);
        if !self.ledger.lock(order.account, asset, amount) {
            return Err(Refusal::Balance);
        }
        order.locked = amount;
        self.pit.next_order += 1;
        if let Some(name) = &order.client_id {
            self.names.insert((order.account, name.clone()), (self.pit.index, id));
        }
        self.count(order.account, true);
        self.report(&order, Cause::Placed);
        Ok(self.execute(order))
    }

    /// Ends an open order.
    pub(super) fn cancel(&mut self, account: AccountId, id: u64) -> Result<Order, Refusal> {
        self.own(account, id)?;
        self.end_resting(id, State::Cancelled).ok_or(Refusal::UnknownOrder)
    }

    /// Changes price and quantity of an open order. Made smaller at its price it keeps its place,
    /// otherwise it goes to the end of the queue, and may trade at once.
    pub(super) fn amend(
        &mut self,
        account: AccountId,
        id: u64,
        ticks: u64,
        lots: u64,
    ) -> Result<Order, Refusal> {
        let order = self.own(account, id)?.clone();
        self.check_terms(Some(ticks), lots)?;
        let left = lots.checked_sub(order.filled + order.prevented).filter(|left| *left > 0);
        let left = left.ok_or(Refusal::QuantityRange)?;
        let mut amended = Order { lots, updated: self.now, ..order.clone() };
        if let Pricing::Limit { post_only, .. } = order.pricing {
            amended.pricing = Pricing::Limit { ticks, post_only };
            let makes = post_only || order.lasting == Lasting::MakeOrExpire;
            if makes && self.would_take(order.side, ticks) {
                return Err(Refusal::WouldTake);
            }
        }
        let (asset, amount) = self.reserve(&amended);
        let free = self.ledger.balance(account, asset).free;
        if free + order.locked < amount {
            return Err(Refusal::Balance);
        }
        self.ledger.unlock(account, asset, order.locked);
        self.ledger.lock(account, asset, amount);
        amended.locked = amount;
        if order.ticks() == Some(ticks) && lots <= order.lots {
            self.pit.book.shrink(order.side, ticks, order.left() - left);
            if let Some(resting) = self.pit.book.get_mut(id) {
                *resting = amended.clone();
            }
            self.level(order.side, ticks);
            self.report(&amended, Cause::Amended);
            return Ok(amended);
        }
        self.pit.book.remove(id);
        self.level(order.side, order.ticks().unwrap_or(0));
        self.report(&amended, Cause::Amended);
        Ok(self.execute(amended))
    }

    fn own(&self, account: AccountId, id: u64) -> Result<&Order, Refusal> {
        let order = self.pit.book.get(id).filter(|order| order.account == account);
        order.ok_or(Refusal::UnknownOrder)
    }

    /// Every rule that an order can break before anything happens.
    fn check(&self, new: &NewOrder) -> Result<(), Refusal> {
        let limit = match new.pricing {
            Pricing::Market => None,
            Pricing::Limit { ticks, .. } => Some(ticks),
        };
        self.check_terms(limit, new.lots)?;
        let is_client = new.account.0 >= self.clients_from;
        let open = self.pit.open.get(new.account.0).copied().unwrap_or(0);
        if is_client && open >= self.pit.instrument.open_orders_max {
            return Err(Refusal::OpenOrders);
        }
        if let Some(name) = &new.client_id
            && self.names.contains_key(&(new.account, name.clone()))
        {
            return Err(Refusal::DuplicateClientId);
        }
        match new.pricing {
            Pricing::Limit { ticks, post_only: true } if self.would_take(new.side, ticks) => {
                Err(Refusal::WouldTake)
            }
            _ => Ok(()),
        }
    }

    fn check_terms(&self, limit: Option<u64>, lots: u64) -> Result<(), Refusal> {
        let instrument = &self.pit.instrument;
        if lots == 0 || lots > instrument.lots_max {
            return Err(Refusal::QuantityRange);
        }
        let last = self.pit.tape.last();
        if let Some(ticks) = limit {
            if ticks == 0 || ticks > instrument.ticks_max {
                return Err(Refusal::PriceRange);
            }
            if ticks > last * instrument.band || ticks * instrument.band < last {
                return Err(Refusal::PriceBand);
            }
        }
        if instrument.value(limit.unwrap_or(last), lots) < instrument.value_min {
            return Err(Refusal::ValueMin);
        }
        Ok(())
    }

    fn would_take(&self, side: Side, ticks: u64) -> bool {
        let best = self.pit.book.best(opposite(side));
        best.is_some_and(|(other, _)| crosses(side, Some(ticks), other))
    }

    /// What an order has to set aside: at its limit, or at the prices that are there now.
    fn reserve(&self, order: &Order) -> (usize, Amount) {
        let Pit { instrument, assets, book, .. } = &*self.pit;
        let (side, left) = (order.side, order.left());
        if let Some(ticks) = order.ticks() {
            return Ledger::reserve(instrument, *assets, side, ticks, left);
        }
        if instrument.settlement == Settlement::Spot && side == Side::Sell {
            return Ledger::reserve(instrument, *assets, side, 0, left);
        }
        let (mut sum, mut wanted) = (0, left);
        let (asset, _) = Ledger::reserve(instrument, *assets, side, 1, 0);
        for (ticks, lots) in book.levels(opposite(side)) {
            let taken = lots.min(wanted);
            sum += Ledger::reserve(instrument, *assets, side, ticks, taken).1;
            wanted -= taken;
            if wanted == 0 {
                break;
            }
        }
        (asset, sum)
    }

    /// What an order has set aside for so many of its lots that trade at a price.
    fn unlocked(&self, order: &Order, ticks: u64, lots: u64) -> Amount {
        let Pit { instrument, assets, .. } = &*self.pit;
        let at = order.ticks().unwrap_or(ticks);
        Ledger::reserve(instrument, *assets, order.side, at, lots).1.min(order.locked)
    }

    /// Trades what can be traded at once; what is left waits or expires.
    fn execute(&mut self, mut order: Order) -> Order {
        let meets = match order.lasting {
            Lasting::GoodTillCancel | Lasting::ImmediateOrCancel => true,
            Lasting::FillOrKill => self.can_fill(&order),
            Lasting::MakeOrExpire => false,
        };
        if meets {
            self.meet(&mut order);
        }
        let waits = match order.lasting {
            Lasting::GoodTillCancel => true,
            Lasting::ImmediateOrCancel | Lasting::FillOrKill => false,
            Lasting::MakeOrExpire => {
                order.ticks().is_some_and(|ticks| !self.would_take(order.side, ticks))
            }
        };
        match order.ticks() {
            _ if !order.state.is_open() => self.end(&mut order),
            Some(ticks) if waits => {
                let (side, resting) = (order.side, order.clone());
                self.pit.book.push(resting, ticks);
                self.level(side, ticks);
            }
            _ => {
                order.state = State::Expired;
                self.end(&mut order);
                self.report(&order, Cause::Ended);
            }
        }
        order
    }

    /// Whether all of an order can be traded at once.
    fn can_fill(&self, order: &Order) -> bool {
        let mut left = order.left();
        for resting in self.pit.book.queue(opposite(order.side)) {
            if !crosses(order.side, order.ticks(), resting.ticks().unwrap_or(0)) {
                break;
            }
            if resting.account == order.account && order.self_trade != SelfTrade::Allow {
                if order.self_trade == SelfTrade::ExpireMaker {
                    continue;
                }
                break;
            }
            left = left.saturating_sub(resting.left());
            if left == 0 {
                return true;
            }
        }
        false
    }

    /// Meets the other side's orders, best first, while they cross.
    fn meet(&mut self, taker: &mut Order) {
        let other = opposite(taker.side);
        while taker.state.is_open() && taker.left() > 0 {
            let Some((ticks, _)) = self.pit.book.best(other) else { return };
            if !crosses(taker.side, taker.ticks(), ticks) {
                return;
            }
            let Some(maker) = self.pit.book.front(other) else { return };
            if maker.account == taker.account && taker.self_trade != SelfTrade::Allow {
                let maker = maker.id;
                self.prevent(taker, maker, ticks);
            } else {
                let lots = taker.left().min(maker.left());
                self.trade(taker, ticks, lots);
            }
        }
    }

    /// An order has met its own account's.
    fn prevent(&mut self, taker: &mut Order, maker: u64, ticks: u64) {
        match taker.self_trade {
            SelfTrade::Allow => {}
            SelfTrade::ExpireTaker => taker.state = State::ExpiredInMatch,
            SelfTrade::ExpireMaker => {
                self.end_resting(maker, State::ExpiredInMatch);
            }
            SelfTrade::ExpireBoth => {
                self.end_resting(maker, State::ExpiredInMatch);
                taker.state = State::ExpiredInMatch;
            }
            SelfTrade::Decrement => self.decrement(taker, maker, ticks),
        }
        if !taker.state.is_open() {
            self.report(taker, Cause::Ended);
        }
    }

    fn decrement(&mut self, taker: &mut Order, maker: u64, ticks: u64) {
        let other = opposite(taker.side);
        let Some(resting) = self.pit.book.get(maker).cloned() else { return };
        let lots = taker.left().min(resting.left());
        let (asset, _) = self.reserve(taker);
        let released = self.unlocked(taker, ticks, lots);
        self.ledger.unlock(taker.account, asset, released);
        taker.locked -= released;
        taker.prevented += lots;
        if taker.left() == 0 {
            taker.state = State::ExpiredInMatch;
        }
        if resting.left() == lots {
            self.end_resting(maker, State::ExpiredInMatch);
            return;
        }
        let unlocked = self.unlocked(&resting, ticks, lots);
        let (asset, _) = self.reserve(&resting);
        self.ledger.unlock(resting.account, asset, unlocked);
        self.pit.book.shrink(other, ticks, lots);
        if let Some(resting) = self.pit.book.get_mut(maker) {
            resting.prevented += lots;
            resting.locked -= unlocked;
            resting.updated = self.now;
            let after = resting.clone();
            self.report(&after, Cause::Amended);
        }
        self.level(other, ticks);
    }

    /// The order that came and the first that waits trade.
    fn trade(&mut self, taker: &mut Order, ticks: u64, lots: u64) {
        let side = taker.side;
        let (now, value) = (self.now, self.pit.instrument.value(ticks, lots));
        let Some(before) = self.pit.book.front(opposite(side)).map(|order| order.clone()) else {
            return;
        };
        let unlocked = self.unlocked(&before, ticks, lots);
        let Some(maker) = self.pit.book.front(opposite(side)) else { return };
        fill(maker, lots, value, unlocked, now);
        let maker = maker.clone();
        self.pit.book.shrink(maker.side, ticks, lots);
        if maker.left() == 0 {
            self.pit.book.remove(maker.id);
            self.forget(&maker);
        }
        let taken = self.unlocked(taker, ticks, lots);
        fill(taker, lots, value, taken, now);
        let id = self.pit.tape.next_trade();
        let (taker_id, maker_id) = (taker.id, maker.id);
        let trade =
            Trade { id, at: now, ticks, lots, aggressor: side, taker: taker_id, maker: maker_id };
        self.pit.tape.push(trade, value);
        self.emit(What::Trade(trade));
        self.level(maker.side, ticks);
        self.settle(taker, trade, value, (taken, false));
        self.settle(&maker, trade, value, (unlocked, true));
        if maker.left() == 0 {
            self.give_back(&maker);
        }
    }

    /// Books an order's side of a trade and tells its account.
    fn settle(
        &mut self,
        order: &Order,
        trade: Trade,
        value: Amount,
        (unlocked, is_maker): (Amount, bool),
    ) {
        let Pit { index, instrument, assets, .. } = &*self.pit;
        let fee_ppm = if is_maker { instrument.maker_fee_ppm } else { instrument.taker_fee_ppm };
        let (account, side, lots) = (order.account, order.side, trade.lots);
        let booking = Booking { account, side, lots, value, unlocked, fee_ppm };
        let booked = self.ledger.book(instrument, (*index, *assets), booking);
        let (fee, fee_asset, profit) = (booked.fee, booked.fee_asset, booked.profit);
        let fill = Fill { trade, value, fee, fee_asset, is_maker, profit };
        self.report(order, Cause::Filled(fill));
    }

    /// Takes an order out of the book, whatever is left of it.
    fn end_resting(&mut self, id: u64, state: State) -> Option<Order> {
        let mut order = self.pit.book.remove(id)?;
        (order.state, order.updated) = (state, self.now);
        self.level(order.side, order.ticks().unwrap_or(0));
        self.end(&mut order);
        self.report(&order, Cause::Ended);
        Some(order)
    }

    /// Gives back what an order that has ended had set aside, and forgets its name.
    fn end(&mut self, order: &mut Order) {
        self.give_back(order);
        order.locked = 0;
        self.forget(order);
    }

    fn give_back(&mut self, order: &Order) {
        let Pit { instrument, assets, .. } = &*self.pit;
        let (asset, _) = Ledger::reserve(instrument, *assets, order.side, 1, 0);
        self.ledger.unlock(order.account, asset, order.locked);
    }

    fn forget(&mut self, order: &Order) {
        self.count(order.account, false);
        if let Some(name) = &order.client_id {
            self.names.remove(&(order.account, name.clone()));
        }
    }

    fn count(&mut self, account: AccountId, more: bool) {
        if let Some(open) = self.pit.open.get_mut(account.0) {
            *open = if more { *open + 1 } else { open.saturating_sub(1) };
        }
    }

    fn level(&mut self, side: Side, ticks: u64) {
        let lots = self.pit.book.lots(side, ticks);
        self.emit(What::Level { side, ticks, lots });
    }

    fn report(&mut self, order: &Order, cause: Cause) {
        if order.account.0 >= self.clients_from {
            self.emit(What::Report(Box::new(Report { order: order.clone(), cause })));
        }
    }

    fn emit(&mut self, what: What) {
        self.out.push(Event { at: self.now, instrument: self.pit.index, what });
    }
}

fn fill(order: &mut Order, lots: u64, value: Amount, unlocked: Amount, now: Nanos) {
    order.filled += lots;
    order.value += value;
    order.locked -= unlocked;
    order.updated = now;
    order.state = if order.left() == 0 { State::Filled } else { State::PartiallyFilled };
}
