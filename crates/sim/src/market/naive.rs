//! The matching engine as anybody would write it who need not be fast: a list of orders that is
//! searched from the beginning, and balances that are worked out anew from all that ever happened.

use model::Side;

use super::instrument::Instrument;
use super::money::Amount;
use super::order::{Lasting, Pricing, Refusal, SelfTrade};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NaiveOrder {
    pub id: u64,
    pub account: usize,
    pub side: Side,
    pub price: u64,
    pub left: u64,
    pub filled: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NaiveTrade {
    pub price: u64,
    pub lots: u64,
    pub aggressor: Side,
    pub taker: u64,
    pub maker: u64,
    pub taker_account: usize,
    pub maker_account: usize,
}

/// What an order came to at once: left in the book, executed, taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Came {
    pub rests: bool,
    pub filled: u64,
    pub prevented: u64,
}

#[derive(Clone, Debug)]
pub struct Wanted {
    pub account: usize,
    pub side: Side,
    pub pricing: Pricing,
    pub lots: u64,
    pub lasting: Lasting,
    pub self_trade: SelfTrade,
}

/// One spot instrument with accounts that begin with the same funds: (base, quote).
pub struct Naive {
    pub instrument: Instrument,
    /// In the sequence of their arrival at their price.
    pub orders: Vec<NaiveOrder>,
    pub trades: Vec<NaiveTrade>,
    pub next_id: u64,
    pub funds: (Amount, Amount),
}

impl Naive {
    fn limit(pricing: Pricing) -> Option<u64> {
        match pricing {
            Pricing::Market => None,
            Pricing::Limit { ticks, .. } => Some(ticks),
        }
    }

    /// The place of the order that trades next with one that takes up to `limit` from `side`.
    fn next(&self, side: Side, limit: Option<u64>, skip: Option<usize>) -> Option<usize> {
        let mut best: Option<usize> = None;
        for (at, order) in self.orders.iter().enumerate() {
            let good = match (side, limit) {
                (_, None) => true,
                (Side::Sell, Some(limit)) => order.price <= limit,
                (Side::Buy, Some(limit)) => order.price >= limit,
            };
            if order.side != side || !good || skip == Some(order.account) {
                continue;
            }
            let better = best.is_none_or(|other: usize| match side {
                Side::Sell => order.price < self.orders[other].price,
                Side::Buy => order.price > self.orders[other].price,
            });
            if better {
                best = Some(at);
            }
        }
        best
    }

    /// Free base and quote of an account: what it began with, plus all its trades, less all its
    /// open orders.
    pub fn free(&self, account: usize) -> (Amount, Amount) {
        let (mut base, mut quote) = self.funds;
        let lot = self.instrument.lot.in_amounts();
        let fee = |amount: Amount, ppm: u32| {
            let step = super::ledger::FEE_STEP;
            amount * Amount::from(ppm) / 1_000_000 / step * step
        };
        for trade in &self.trades {
            let value = self.instrument.value(trade.price, trade.lots);
            let quantity = lot * Amount::from(trade.lots);
            let taker_buys = trade.aggressor == Side::Buy;
            let sides = [
                (trade.taker_account, taker_buys, self.instrument.taker_fee_ppm),
                (trade.maker_account, !taker_buys, self.instrument.maker_fee_ppm),
            ];
            for (who, buys, ppm) in sides.into_iter().filter(|(who, ..)| *who == account) {
                assert_eq!(who, account);
                if buys {
                    base += quantity - fee(quantity, ppm);
                    quote -= value;
                } else {
                    base -= quantity;
                    quote += value - fee(value, ppm);
                }
            }
        }
        for order in self.orders.iter().filter(|order| order.account == account) {
            match order.side {
                Side::Buy => quote -= self.instrument.value(order.price, order.left),
                Side::Sell => base -= lot * Amount::from(order.left),
            }
        }
        (base, quote)
    }

    fn terms(&self, limit: Option<u64>, lots: u64, last: u64) -> Result<(), Refusal> {
        if lots == 0 || lots > self.instrument.lots_max {
            return Err(Refusal::QuantityRange);
        }
        if self.instrument.value(limit.unwrap_or(last), lots) < self.instrument.value_min {
            return Err(Refusal::ValueMin);
        }
        Ok(())
    }

    fn last(&self) -> u64 {
        self.trades.last().map_or(self.instrument.reference, |trade| trade.price)
    }

    pub fn place(&mut self, wanted: &Wanted) -> Result<Came, Refusal> {
        let limit = Self::limit(wanted.pricing);
        self.terms(limit, wanted.lots, self.last())?;
        let other = if wanted.side == Side::Buy { Side::Sell } else { Side::Buy };
        let post_only = matches!(wanted.pricing, Pricing::Limit { post_only: true, .. });
        if post_only && self.next(other, limit, None).is_some() {
            return Err(Refusal::WouldTake);
        }
        let (base, quote) = self.free(wanted.account);
        let pays = match wanted.side {
            Side::Sell => self.instrument.lot.amount(wanted.lots) <= base,
            Side::Buy => self.cost(wanted, limit) <= quote,
        };
        if !pays {
            return Err(Refusal::Balance);
        }
        let id = self.next_id;
        self.next_id += 1;
        Ok(self.run(id, wanted, 0))
    }

    /// What a buyer must have: its limit, or what stands in the book.
    fn cost(&self, wanted: &Wanted, limit: Option<u64>) -> Amount {
        if let Some(limit) = limit {
            return self.instrument.value(limit, wanted.lots);
        }
        let mut asks: Vec<_> = self.orders.iter().filter(|o| o.side == Side::Sell).collect();
        asks.sort_by_key(|order| order.price);
        let (mut left, mut cost) = (wanted.lots, 0);
        for ask in asks {
            let lots = left.min(ask.left);
            cost += self.instrument.value(ask.price, lots);
            left -= lots;
        }
        cost
    }

    fn run(&mut self, id: u64, wanted: &Wanted, filled_before: u64) -> Came {
        let limit = Self::limit(wanted.pricing);
        let other = if wanted.side == Side::Buy { Side::Sell } else { Side::Buy };
        let mut came = Came { rests: false, filled: filled_before, prevented: 0 };
        let mut left = wanted.lots;
        if wanted.lasting == Lasting::FillOrKill && !self.whole(wanted) {
            return came;
        }
        let makes = wanted.lasting == Lasting::MakeOrExpire;
        if makes && self.next(other, limit, None).is_some() {
            return came;
        }
        while left > 0
            && let Some(at) = self.next(other, limit, None)
        {
            let maker = self.orders[at].clone();
            let lots = left.min(maker.left);
            if maker.account == wanted.account && wanted.self_trade != SelfTrade::Allow {
                match wanted.self_trade {
                    SelfTrade::ExpireMaker => drop(self.orders.remove(at)),
                    SelfTrade::ExpireBoth => {
                        self.orders.remove(at);
                        return came;
                    }
                    SelfTrade::Decrement => {
                        came.prevented += lots;
                        left -= lots;
                        self.take(at, lots);
                    }
                    SelfTrade::ExpireTaker | SelfTrade::Allow => return came,
                }
                continue;
            }
            self.trades.push(NaiveTrade {
                price: maker.price,
                lots,
                aggressor: wanted.side,
                taker: id,
                maker: maker.id,
                taker_account: wanted.account,
                maker_account: maker.account,
            });
            came.filled += lots;
            left -= lots;
            self.orders[at].filled += lots;
            self.take(at, lots);
        }
        if let Some(price) = limit
            && left > 0
            && (makes || wanted.lasting == Lasting::GoodTillCancel)
        {
            came.rests = true;
            let (account, side, filled) = (wanted.account, wanted.side, came.filled);
            self.orders.push(NaiveOrder { id, account, side, price, left, filled });
        }
        came
    }

    fn take(&mut self, at: usize, lots: u64) {
        self.orders[at].left -= lots;
        if self.orders[at].left == 0 {
            self.orders.remove(at);
        }
    }

    /// Whether an order can be filled whole: tried out on a copy where own orders are in the way.
    fn whole(&self, wanted: &Wanted) -> bool {
        let other = if wanted.side == Side::Buy { Side::Sell } else { Side::Buy };
        let mut rest = self.orders.clone();
        let mut left = wanted.lots;
        let copy = |orders| Self {
            instrument: self.instrument.clone(),
            orders,
            trades: Vec::new(),
            next_id: 0,
            funds: self.funds,
        };
        loop {
            let book = copy(rest);
            let Some(at) = book.next(other, Self::limit(wanted.pricing), None) else {
                return false;
            };
            rest = book.orders;
            let maker = rest.remove(at);
            match (maker.account == wanted.account, wanted.self_trade) {
                (false, _) | (true, SelfTrade::Allow) => left = left.saturating_sub(maker.left),
                (true, SelfTrade::ExpireMaker) => {}
                (true, _) => return false,
            }
            if left == 0 {
                return true;
            }
        }
    }

    pub fn cancel(&mut self, account: usize, id: u64) -> Result<(), Refusal> {
        let mine = |order: &NaiveOrder| order.account == account && order.id == id;
        let at = self.orders.iter().position(mine).ok_or(Refusal::UnknownOrder)?;
        self.orders.remove(at);
        Ok(())
    }

    /// `lots` is the whole quantity, `gone` what of it is executed or taken away already; whether the
    /// order only makes.
    pub fn amend(
        &mut self,
        (account, id): (usize, u64),
        (price, lots, gone): (u64, u64, u64),
        (self_trade, makes): (SelfTrade, bool),
    ) -> Result<(), Refusal> {
        let mine = |order: &NaiveOrder| order.account == account && order.id == id;
        let at = self.orders.iter().position(mine).ok_or(Refusal::UnknownOrder)?;
        self.terms(Some(price), lots, self.last())?;
        let left = lots.checked_sub(gone).filter(|left| *left > 0);
        let left = left.ok_or(Refusal::QuantityRange)?;
        let other = if self.orders[at].side == Side::Buy { Side::Sell } else { Side::Buy };
        if makes && self.next(other, Some(price), None).is_some() {
            return Err(Refusal::WouldTake);
        }
        let before = self.orders.remove(at);
        let (base, quote) = self.free(account);
        let pays = match before.side {
            Side::Buy => self.instrument.value(price, left) <= quote,
            Side::Sell => self.instrument.lot.amount(left) <= base,
        };
        if !pays {
            self.orders.insert(at, before);
            return Err(Refusal::Balance);
        }
        if price == before.price && left <= before.left {
            self.orders.insert(at, NaiveOrder { left, ..before });
            return Ok(());
        }
        let pricing = Pricing::Limit { ticks: price, post_only: false };
        let (side, lasting) = (before.side, Lasting::GoodTillCancel);
        let wanted = Wanted { account, side, pricing, lots: left, lasting, self_trade };
        self.run(id, &wanted, before.filled);
        Ok(())
    }
}
