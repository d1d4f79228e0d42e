//! What an account has: balances, positions, fees, limits.
//!
//! <https://github.com/binance/binance-spot-api-docs/blob/master/rest-api.md#account-endpoints>;
//! developers.binance.com, USDⓈ-M futures, "Account Information V3", "Futures Account Balance V3",
//! "Position Information V3", "Notional and Leverage Brackets"; wallet, "All Coins' Information", "Trade Fee".

use serde_json::{Value, json};

use super::super::errors::Failure;
use super::super::feed::Feed;
use super::super::query::Query;
use super::super::simulated::SimulatedBinance;
use super::super::wire::{Fixed, eight_places, middle, ms};
use crate::market::Market;
use crate::market::ledger::{Balance, LEVERAGE, Position};
use crate::market::money::Amount;
use crate::market::order::{AccountId, Index};
use crate::venue::Floor;

/// A position and what it is worth now.
pub(super) struct Held {
    pub index: Index,
    pub lots: i64,
    /// At which price it was entered.
    pub entry: Fixed,
    /// What closing it now would bring.
    pub profit: Amount,
    /// What it is worth, with its sign.
    pub notional: Amount,
    /// What is set aside for it.
    pub margin: Amount,
    /// The price that it is valued at.
    pub mark: Fixed,
}

impl SimulatedBinance {
    /// A position of an account.
    pub(super) fn held(&self, market: &Market, id: AccountId, index: Index) -> Held {
        let Position { lots, cost } = market.ledger().position(id, index);
        let print = self.print(market, index);
        let (size, ticks) = (lots.unsigned_abs(), middle(market, index));
        let notional = print.instrument.value(ticks, size) * Amount::from(lots.signum());
        Held {
            index,
            lots,
            entry: print.mean(cost.abs(), size),
            profit: notional - cost,
            notional,
            margin: cost.abs() / LEVERAGE,
            mark: print.price(ticks),
        }
    }

    fn positions(&self, market: &Market, id: AccountId) -> Vec<Held> {
        (0..market.len()).map(|index| self.held(market, id, index)).collect()
    }

    /// `account`.
    pub(super) fn account(&self, floor: &Floor<'_>, id: AccountId, query: &Query) -> Value {
        if self.line.is_spot() {
            spot_account(floor, id, query)
        } else {
            self.futures_account(floor, id)
        }
    }

    /// One asset of futures.
    fn asset_row(&self, floor: &Floor<'_>, id: AccountId, asset: usize) -> Value {
        let market = &*floor.market;
        let name = &market.assets()[asset];
        let Balance { free, locked } = market.ledger().balance(id, asset);
        let held = self.positions(market, id).into_iter();
        let held: Vec<Held> =
            held.filter(|held| *market.instrument(held.index).quote == **name).collect();
        let profit: Amount = held.iter().map(|held| held.profit).sum();
        let margin: Amount = held.iter().map(|held| held.margin).sum();
        let wallet = free + locked;
        let text = |amount| eight_places(amount).to_string();
        json!({
            "asset": **name,
            "walletBalance": text(wallet),
            "unrealizedProfit": text(profit),
            "marginBalance": text(wallet + profit),
            "maintMargin": text(0),
            "initialMargin": text(locked),
            "positionInitialMargin": text(margin),
            "openOrderInitialMargin": text(locked - margin),
            "crossWalletBalance": text(wallet),
            "crossUnPnl": text(profit),
            "availableBalance": text(free),
            "maxWithdrawAmount": text(free),
            "marginAvailable": true,
            "updateTime": ms(floor.now),
        })
    }

    /// The assets that margin is in.
    fn margin_assets(market: &Market) -> Vec<usize> {
        let quotes: Vec<&str> =
            (0..market.len()).map(|index| &*market.instrument(index).quote).collect();
        let is_quote = |asset: &usize| quotes.contains(&&*market.assets()[*asset]);
        (0..market.assets().len()).filter(is_quote).collect()
    }

    fn futures_account(&self, floor: &Floor<'_>, id: AccountId) -> Value {
        let market = &*floor.market;
        let assets: Vec<Value> = Self::margin_assets(market)
            .into_iter()
            .map(|asset| self.asset_row(floor, id, asset))
            .collect();
        let positions: Vec<Value> = self
            .positions(market, id)
            .iter()
            .map(|held| self.position_row(market, held, floor))
            .collect();
        // In single-asset mode the totals are those of USDT.
        let usdt = assets.iter().find(|row| row["asset"] == "USDT");
        let total = |name: &str| usdt.map_or("0.00000000".into(), |row| row[name].clone());
        json!({
            "feeTier": 0,
            "canTrade": true,
            "canDeposit": true,
            "canWithdraw": true,
            "multiAssetsMargin": false,
            "updateTime": ms(floor.now),
            "totalInitialMargin": total("initialMargin"),
            "totalMaintMargin": total("maintMargin"),
            "totalWalletBalance": total("walletBalance"),
            "totalUnrealizedProfit": total("unrealizedProfit"),
            "totalMarginBalance": total("marginBalance"),
            "totalPositionInitialMargin": total("positionInitialMargin"),
            "totalOpenOrderInitialMargin": total("openOrderInitialMargin"),
            "totalCrossWalletBalance": total("crossWalletBalance"),
            "totalCrossUnPnl": total("crossUnPnl"),
            "availableBalance": total("availableBalance"),
            "maxWithdrawAmount": total("maxWithdrawAmount"),
            "assets": assets,
            "positions": positions,
        })
    }

    /// One position, in the words of all requests that tell it.
    fn position_row(&self, market: &Market, held: &Held, floor: &Floor<'_>) -> Value {
        let print = self.print(market, held.index);
        let sign = if held.lots < 0 { "-" } else { "" };
        let text = |amount| eight_places(amount).to_string();
        json!({
            "symbol": print.symbol,
            "positionSide": "BOTH",
            "positionAmt": format!("{sign}{}", print.quantity(held.lots.unsigned_abs())),
            "entryPrice": held.entry.to_string(),
            "breakEvenPrice": held.entry.to_string(),
            "markPrice": held.mark.to_string(),
            "unRealizedProfit": text(held.profit),
            "unrealizedProfit": text(held.profit),
            "liquidationPrice": "0",
            "isolatedMargin": "0",
            "isolatedWallet": "0",
            "isolated": false,
            "marginType": "cross",
            "leverage": LEVERAGE.to_string(),
            "marginAsset": *print.instrument.quote,
            "notional": text(held.notional),
            "initialMargin": text(held.margin),
            "positionInitialMargin": text(held.margin),
            "maintMargin": text(0),
            "adl": 0,
            "updateTime": ms(floor.now),
        })
    }

    /// `balance`.
    pub(super) fn balances(&self, floor: &Floor<'_>, id: AccountId) -> Value {
        let row = |asset| {
            let mut row = self.asset_row(floor, id, asset);
            row["accountAlias"] = "SgsR".into();
            row["balance"] = row["walletBalance"].clone();
            row
        };
        Self::margin_assets(floor.market).into_iter().map(row).collect()
    }

    /// `positionRisk`: one symbol, or those with a position.
    pub(super) fn position_risk(
        &self,
        floor: &Floor<'_>,
        id: AccountId,
        query: &Query,
    ) -> Result<Value, Failure> {
        let one = match query.get("symbol") {
            Some(_) => Some(self.feed(query)?.index),
            None => None,
        };
        let wanted = |held: &Held| one.map_or(held.lots != 0, |index| held.index == index);
        let held = self.positions(floor.market, id);
        let rows = held.iter().filter(|held| wanted(held));
        Ok(rows.map(|held| self.position_row(floor.market, held, floor)).collect())
    }

    /// `account/commission` and `commissionRate`.
    pub(super) fn commission(&self, market: &Market, query: &Query) -> Result<Value, Failure> {
        let print = self.print(market, self.feed(query)?.index);
        let maker = print.millionths(print.instrument.maker_fee_ppm).to_string();
        let taker = print.millionths(print.instrument.taker_fee_ppm).to_string();
        if !self.line.is_spot() {
            return Ok(json!({
                "symbol": print.symbol,
                "makerCommissionRate": maker,
                "takerCommissionRate": taker,
            }));
        }
        let none = "0.00000000";
        let zeros = json!({"maker": none, "taker": none, "buyer": none, "seller": none});
        Ok(json!({
            "symbol": print.symbol,
            "standardCommission": {"maker": maker, "taker": taker, "buyer": none, "seller": none},
            "specialCommission": zeros,
            "taxCommission": zeros,
            "discount": {"enabledForAccount": false, "enabledForSymbol": false,
                         "discountAsset": "BNB", "discount": none},
        }))
    }

    /// `tradeFee`: of a symbol, or of all.
    pub(super) fn trade_fee(&self, market: &Market, query: &Query) -> Result<Value, Failure> {
        let wanted = match query.get("symbol") {
            Some(_) => std::slice::from_ref(self.feed(query)?),
            None => &self.feeds,
        };
        let row = |feed: &Feed| {
            let print = self.print(market, feed.index);
            json!({
                "symbol": feed.symbol,
                "makerCommission": print.millionths(print.instrument.maker_fee_ppm).to_string(),
                "takerCommission": print.millionths(print.instrument.taker_fee_ppm).to_string(),
            })
        };
        Ok(wanted.iter().map(row).collect())
    }

    /// `leverageBracket`: one bracket each, since nothing is liquidated here.
    pub(super) fn brackets(&self, market: &Market, query: &Query) -> Result<Value, Failure> {
        let wanted = match query.get("symbol") {
            Some(_) => vec![self.feed(query)?.index],
            None => (0..market.len()).collect(),
        };
        let row = |index: Index| {
            json!({
                "symbol": self.feeds[index].symbol,
                "brackets": [{"bracket": 1, "initialLeverage": u32::try_from(LEVERAGE).ok(),
                              "notionalCap": 1_000_000_000, "notionalFloor": 0,
                              "maintMarginRatio": 0, "cum": 0}],
            })
        };
        Ok(wanted.into_iter().map(row).collect())
    }

    /// `rateLimit/order`.
    pub(super) fn order_counts(&mut self, floor: &Floor<'_>, id: AccountId) -> Value {
        let used = self.counts_of(id).used(floor.now);
        let row = |(limit, count): (&super::super::limits::OrderLimit, u32)| {
            let mut row = limit.entry();
            row["count"] = count.into();
            row
        };
        used.map(row).collect()
    }
}

fn spot_account(floor: &Floor<'_>, id: AccountId, query: &Query) -> Value {
    let market = &*floor.market;
    let all = query.get("omitZeroBalances") != Some("true");
    let row = |asset: usize| {
        let Balance { free, locked } = market.ledger().balance(id, asset);
        (all || free + locked != 0).then(|| {
            json!({
                "asset": *market.assets()[asset],
                "free": eight_places(free).to_string(),
                "locked": eight_places(locked).to_string(),
            })
        })
    };
    let balances: Vec<Value> = (0..market.assets().len()).filter_map(row).collect();
    json!({
        "makerCommission": 10,
        "takerCommission": 10,
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {"maker": "0.00100000", "taker": "0.00100000",
                            "buyer": "0.00000000", "seller": "0.00000000"},
        "canTrade": true,
        "canWithdraw": true,
        "canDeposit": true,
        "brokered": false,
        "requireSelfTradePrevention": false,
        "preventSor": false,
        "updateTime": ms(floor.now),
        "accountType": "SPOT",
        "balances": balances,
        "permissions": ["SPOT"],
        "uid": id.0,
    })
}

/// `capital/config/getall`: coins without a network, since nothing is withdrawn.
pub(super) fn coins(floor: &Floor<'_>, id: AccountId) -> Value {
    let market = &*floor.market;
    let row = |asset: usize| {
        let name = &market.assets()[asset];
        let Balance { free, locked } = market.ledger().balance(id, asset);
        json!({
            "coin": **name,
            "name": **name,
            "free": eight_places(free).to_string(),
            "locked": eight_places(locked).to_string(),
            "freeze": "0",
            "withdrawing": "0",
            "ipoable": "0",
            "ipoing": "0",
            "storage": "0",
            "isLegalMoney": false,
            "trading": true,
            "depositAllEnable": false,
            "withdrawAllEnable": false,
            "networkList": [],
        })
    };
    (0..market.assets().len()).map(row).collect()
}
