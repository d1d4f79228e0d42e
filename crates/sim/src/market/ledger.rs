//! Who has what: balances, what is set aside for orders, positions, fees.
//!
//! Spot: an order sets aside what it may have to give; a trade moves base one way and quote the
//! other. Derivatives: an order sets aside a margin of its value; a trade changes a position, and
//! closing one brings a profit or a loss to the balance. Nothing is liquidated: a loss that is
//! larger than the balance leaves it below zero, which is the account's business.
//!
//! Nothing is made or lost: per asset, the sum over all accounts of free, locked and fees is what
//! was deposited, once the profit that open positions have not brought yet is counted with their
//! cost.

use model::Side;

use super::instrument::{Instrument, Settlement};
use super::money::{Amount, ONE};
use super::order::AccountId;

/// A derivative order sets aside one part in so many of its value: all of it, as an account does at a
/// real venue that has set its leverage to 1, so that nobody trades what they do not have.
pub const LEVERAGE: Amount = 1;

/// Fees are multiples of 10⁻⁸, so that balances move by just what a fill says.
pub const FEE_STEP: Amount = ONE / 100_000_000;

/// What an account has of an asset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// To be disposed of.
    pub free: Amount,
    /// Set aside for open orders and positions.
    pub locked: Amount,
}

/// What an account holds of a derivative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Positive when bought.
    pub lots: i64,
    /// What it was worth when it was entered; has the sign of `lots`.
    pub cost: Amount,
}

/// All accounts. Dense: accounts, assets and instruments are fixed when a market begins.
#[derive(Clone, Debug)]
pub struct Ledger {
    balances: Vec<Vec<Balance>>,
    positions: Vec<Vec<Position>>,
    fees: Vec<Amount>,
}

/// The places of an instrument's two assets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assets {
    /// What is bought and sold.
    pub base: usize,
    /// What prices are in.
    pub quote: usize,
}

/// One side of a trade, as the ledger books it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Booking {
    pub account: AccountId,
    pub side: Side,
    pub lots: u64,
    pub value: Amount,
    /// What the order had set aside for these lots.
    pub unlocked: Amount,
    pub fee_ppm: u32,
}

/// What became of a booking.
#[derive(Clone, Copy, Debug)]
pub(super) struct Booked {
    pub fee: Amount,
    pub fee_asset: usize,
    pub profit: Amount,
}

impl Ledger {
    pub(super) fn new(accounts: usize, assets: usize, instruments: usize) -> Self {
        Self {
            balances: vec![vec![Balance::default(); assets]; accounts],
            positions: vec![vec![Position::default(); instruments]; accounts],
            fees: vec![0; assets],
        }
    }

    /// Gives an account something.
    pub(super) fn deposit(&mut self, account: AccountId, asset: usize, amount: Amount) {
        if let Some(balance) = self.balance_mut(account, asset) {
            balance.free += amount;
        }
    }

    /// What an account has of an asset.
    #[must_use]
    pub fn balance(&self, account: AccountId, asset: usize) -> Balance {
        let balances = self.balances.get(account.0);
        balances.and_then(|all| all.get(asset)).copied().unwrap_or_default()
    }

    /// What an account holds of a derivative.
    #[must_use]
    pub fn position(&self, account: AccountId, instrument: usize) -> Position {
        let positions = self.positions.get(account.0);
        positions.and_then(|all| all.get(instrument)).copied().unwrap_or_default()
    }

    /// The fees that were paid in an asset.
    #[must_use]
    pub fn fees(&self, asset: usize) -> Amount {
        self.fees.get(asset).copied().unwrap_or(0)
    }

    /// What an order has to set aside, and in which asset.
    pub(super) fn reserve(
        instrument: &Instrument,
        assets: Assets,
        side: Side,
        ticks: u64,
        lots: u64,
    ) -> (usize, Amount) {
        match (instrument.settlement, side) {
            (Settlement::Spot, Side::Buy) => (assets.quote, instrument.value(ticks, lots)),
            (Settlement::Spot, Side::Sell) => (assets.base, instrument.lot.amount(lots)),
            (Settlement::Linear { .. }, _) => {
                (assets.quote, instrument.value(ticks, lots) / LEVERAGE)
            }
            (Settlement::Inverse { .. }, _) => {
                (assets.base, instrument.value(ticks, lots) / LEVERAGE)
            }
        }
    }

    /// Sets an amount aside; `false` where it is not there.
    pub(super) fn lock(&mut self, account: AccountId, asset: usize, amount: Amount) -> bool {
        let Some(balance) = self.balance_mut(account, asset) else { return false };
        if balance.free < amount {
            return false;
        }
        balance.free -= amount;
        balance.locked += amount;
        true
    }

    /// Gives back what was set aside.
    pub(super) fn unlock(&mut self, account: AccountId, asset: usize, amount: Amount) {
        if let Some(balance) = self.balance_mut(account, asset) {
            balance.free += amount;
            balance.locked -= amount;
        }
    }

    /// Books one side of a trade.
    pub(super) fn book(
        &mut self,
        instrument: &Instrument,
        (index, assets): (usize, Assets),
        booking: Booking,
    ) -> Booked {
        match instrument.settlement {
            Settlement::Spot => self.exchange(instrument, assets, booking),
            Settlement::Linear { .. } => self.hold(index, assets.quote, 1, booking),
            Settlement::Inverse { .. } => self.hold(index, assets.base, -1, booking),
        }
    }

    /// Base against quote; the fee is taken from what is received.
    fn exchange(&mut self, instrument: &Instrument, assets: Assets, booking: Booking) -> Booked {
        let quantity = instrument.lot.amount(booking.lots);
        let (given, gives, got, gets) = match booking.side {
            Side::Buy => (assets.quote, booking.value, assets.base, quantity),
            Side::Sell => (assets.base, quantity, assets.quote, booking.value),
        };
        if let Some(balance) = self.balance_mut(booking.account, given) {
            balance.locked -= booking.unlocked;
            balance.free += booking.unlocked - gives;
        }
        let fee = self.charge(got, gets, booking.fee_ppm);
        if let Some(balance) = self.balance_mut(booking.account, got) {
            balance.free += gets - fee;
        }
        Booked { fee, fee_asset: got, profit: 0 }
    }

    /// A position changes; `sign` says in which direction a higher value is a profit.
    fn hold(&mut self, index: usize, asset: usize, sign: Amount, booking: Booking) -> Booked {
        let signed = i64::try_from(booking.lots).unwrap_or(i64::MAX);
        let (lots, value) = match booking.side {
            Side::Buy => (signed, booking.value),
            Side::Sell => (-signed, -booking.value),
        };
        let before = self.position(booking.account, index);
        let (after, profit) = before.change(lots, value);
        let profit = profit * sign;
        if let Some(place) =
            self.positions.get_mut(booking.account.0).and_then(|all| all.get_mut(index))
        {
            *place = after;
        }
        let fee = self.charge(asset, booking.value, booking.fee_ppm);
        let margin = after.cost.abs() / LEVERAGE - before.cost.abs() / LEVERAGE;
        if let Some(balance) = self.balance_mut(booking.account, asset) {
            balance.locked += margin - booking.unlocked;
            balance.free += profit + booking.unlocked - margin - fee;
        }
        Booked { fee, fee_asset: asset, profit }
    }

    /// A share of an amount, rounded down to what venues print.
    fn charge(&mut self, asset: usize, amount: Amount, ppm: u32) -> Amount {
        let fee = amount * Amount::from(ppm) / 1_000_000;
        let fee = fee - fee % FEE_STEP;
        if let Some(sum) = self.fees.get_mut(asset) {
            *sum += fee;
        }
        fee
    }

    fn balance_mut(&mut self, account: AccountId, asset: usize) -> Option<&mut Balance> {
        self.balances.get_mut(account.0)?.get_mut(asset)
    }
}

impl Position {
    /// The position after a trade, and what its closed part has brought.
    fn change(self, lots: i64, value: Amount) -> (Self, Amount) {
        let opens = self.lots == 0 || (self.lots > 0) == (lots > 0);
        if opens {
            return (Self { lots: self.lots + lots, cost: self.cost + value }, 0);
        }
        let closed = self.lots.abs().min(lots.abs());
        // Each its share: of what the position had cost, and of what this trade was worth.
        let cost = self.cost * Amount::from(closed) / Amount::from(self.lots.abs());
        let worth = value * Amount::from(closed) / Amount::from(lots.abs());
        let left = Self { lots: self.lots + lots, cost: self.cost - cost + (value - worth) };
        (left, -(cost + worth))
    }
}
