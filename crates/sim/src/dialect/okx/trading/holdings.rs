//! What balances and positions look like.
//!
//! www.okx.com/docs-v5/en: "Get balance", "Account channel", "Get positions", "Positions channel",
//! "Balance and position channel". What does not apply is empty, as the venue has it. Marks and
//! indexes are last prices; a position is never closed by force.

use model::{Decimal, Nanos};

use super::super::payload::{price, short, size};
use super::super::{Okx, inst_type, ms};
use super::Held;
use super::rows::{Object, amount, average, dollars, notional};
use crate::market::Market;
use crate::market::instrument::{Instrument, Settlement};
use crate::market::ledger::{LEVERAGE, Position};
use crate::market::money::{self, Amount};
use crate::market::order::{AccountId, Index};

/// A position would be closed by force at one part in so many of its value.
const MAINTENANCE: Amount = 250;

/// What a position would bring if it were closed at a price.
fn unrealized(of: &Instrument, position: Position, ticks: u64) -> Amount {
    let value = of.value(ticks, position.lots.unsigned_abs());
    let worth = if position.lots < 0 { -value } else { value };
    match of.settlement {
        Settlement::Inverse { .. } => position.cost - worth,
        Settlement::Spot | Settlement::Linear { .. } => worth - position.cost,
    }
}

/// The asset that a derivative settles in.
pub(super) fn settles(of: &Instrument) -> &str {
    if matches!(of.settlement, Settlement::Inverse { .. }) { &of.base } else { &of.quote }
}

/// A signed quantity of contracts.
fn contracts(of: &Instrument, lots: i64) -> String {
    let sign = if lots < 0 { "-" } else { "" };
    format!("{sign}{}", size(of, lots.unsigned_abs()))
}

/// What an account has of an asset: cash, and the profit that its positions would bring.
fn equity(market: &Market, account: AccountId, asset: usize) -> [Amount; 2] {
    let balance = market.ledger().balance(account, asset);
    let name = &market.assets()[asset];
    let upl = (0..market.len()).map(|index| {
        let of = market.instrument(index);
        let position = market.ledger().position(account, index);
        let counts = position.lots != 0 && settles(of) == &**name;
        if counts { unrealized(of, position, market.tape(index).last()) } else { 0 }
    });
    [balance.free + balance.locked, upl.sum()]
}

/// An account with its assets; those of which there is nothing are left out, and where `wanted`
/// says so others too.
pub(super) fn balance_row(
    market: &Market,
    now: Nanos,
    account: AccountId,
    wanted: impl Fn(usize) -> bool,
) -> String {
    let (mut details, mut total) = (Vec::new(), Decimal::ZERO);
    for (asset, name) in market.assets().iter().enumerate() {
        let [cash, upl] = equity(market, account, asset);
        let usd = dollars(market, name).unwrap_or_default();
        let worth = money::decimal(cash + upl).checked_mul(usd).unwrap_or(Decimal::MAX);
        total = total.checked_add(worth).unwrap_or(Decimal::MAX);
        if wanted(asset) && (cash != 0 || upl != 0) {
            details.push(detail(market, now, (account, asset), [cash, upl], [usd, worth]));
        }
    }
    Object::new()
        .raw("details", &format!("[{}]", details.join(",")))
        .text("totalEq", short(total.round_dp(12)))
        .text("uTime", ms(now))
        .zero(&["isoEq"])
        .empty(&["adjEq", "availEq", "borrowFroz", "delta", "deltaLever", "deltaNeutralStatus"])
        .empty(&["imr", "mgnRatio", "mmr", "notionalUsd", "notionalUsdForBorrow", "ordFroz"])
        .empty(&["notionalUsdForFutures", "notionalUsdForOption", "notionalUsdForSwap", "upl"])
        .end()
}

/// What an account has of an asset, in few words.
pub(super) fn short_balance(
    market: &Market,
    now: Nanos,
    account: AccountId,
    asset: usize,
) -> String {
    let [cash, _] = equity(market, account, asset);
    Object::new()
        .text("ccy", &market.assets()[asset])
        .text("cashBal", amount(cash))
        .text("uTime", ms(now))
        .end()
}

impl Okx {
    /// A position, closed ones too.
    pub(super) fn position_row(
        &self,
        market: &Market,
        now: Nanos,
        account: AccountId,
        index: Index,
        held: &Held,
    ) -> String {
        let (of, last) = (market.instrument(index), market.tape(index).last());
        let position = market.ledger().position(account, index);
        let lots = position.lots.unsigned_abs();
        let value = of.value(last, lots);
        let upl = unrealized(of, position, last);
        let margin = position.cost.abs() / LEVERAGE;
        let ratio = money::decimal(upl).checked_div(money::decimal(margin)).unwrap_or_default();
        let ratio = short(ratio.round_dp(8));
        let entry = average(of, position.cost.abs(), lots).map(short).unwrap_or_default();
        let last = price(of, last);
        Object::new()
            .text("adl", "0")
            .text("avgPx", entry)
            .text("cTime", ms(held.opened))
            .text("ccy", settles(of))
            .raw("closeOrderAlgo", "[]")
            .text("fee", amount(-held.fee))
            .text("idxPx", &last)
            .text("imr", amount(value / LEVERAGE))
            .text("instId", &self.feeds[index].inst_id)
            .text("instType", inst_type(of))
            .text("last", &last)
            .text("lever", LEVERAGE)
            .text("markPx", &last)
            .text("mgnMode", "cross")
            .text("mmr", amount(value / MAINTENANCE))
            .text("notionalUsd", notional(market, of, market.tape(index).last(), lots))
            .text("pTime", ms(now))
            .text("pnl", amount(held.profit))
            .text("pos", contracts(of, position.lots))
            .text("posId", held.id)
            .text("posSide", "net")
            .text("realizedPnl", amount(held.profit - held.fee))
            .text("tradeId", held.trade)
            .text("uTime", ms(held.updated))
            .text("upl", amount(upl))
            .text("uplLastPx", amount(upl))
            .text("uplRatio", &ratio)
            .text("uplRatioLastPx", &ratio)
            .text("usdPx", dollars(market, settles(of)).map(short).unwrap_or_default())
            .zero(&["fundingFee", "interest", "liqPenalty"])
            .empty(&["availPos", "baseBal", "baseBorrowed", "baseInterest", "bePx", "bizRefId"])
            .empty(&["bizRefType", "clSpotInUseAmt", "deltaBS", "deltaPA", "gammaBS", "gammaPA"])
            .empty(&["hedgedPos", "liab", "liabCcy", "liqPx", "margin", "maxSpotInUseAmt"])
            .empty(&["mgnRatio", "nonSettleAvgPx", "optVal", "pendingCloseOrdLiabVal", "posCcy"])
            .empty(&["quoteBal", "quoteBorrowed", "quoteInterest", "settledPnl", "spotInUseAmt"])
            .empty(&["spotInUseCcy", "thetaBS", "thetaPA", "vegaBS", "vegaPA"])
            .end()
    }

    /// The same in few words.
    pub(super) fn short_position(
        &self,
        market: &Market,
        account: AccountId,
        index: Index,
        held: &Held,
    ) -> String {
        let of = market.instrument(index);
        let position = market.ledger().position(account, index);
        let entry = average(of, position.cost.abs(), position.lots.unsigned_abs());
        Object::new()
            .text("posId", held.id)
            .text("tradeId", held.trade)
            .text("instId", &self.feeds[index].inst_id)
            .text("instType", inst_type(of))
            .text("mgnMode", "cross")
            .text("posSide", "net")
            .text("pos", contracts(of, position.lots))
            .text("ccy", settles(of))
            .text("avgPx", entry.map(short).unwrap_or_default())
            .text("uTime", ms(held.updated))
            .empty(&["posCcy", "nonSettleAvgPx", "settledPnl"])
            .end()
    }
}

/// An asset of an account.
fn detail(
    market: &Market,
    now: Nanos,
    (account, asset): (AccountId, usize),
    [cash, upl]: [Amount; 2],
    [usd, worth]: [Decimal; 2],
) -> String {
    let balance = market.ledger().balance(account, asset);
    let (free, locked) = (amount(balance.free), amount(balance.locked));
    let worth = short(worth.round_dp(12));
    Object::new()
        .text("availBal", &free)
        .text("availEq", &free)
        .text("cashBal", amount(cash))
        .text("ccy", &market.assets()[asset])
        .text("coinUsdPrice", short(usd))
        .raw("collateralEnabled", "false")
        .raw("collateralRestrict", "false")
        .text("disEq", &worth)
        .text("eq", amount(cash + upl))
        .text("eqUsd", &worth)
        .text("frozenBal", &locked)
        .text("ordFrozen", &locked)
        .text("autoLendStatus", "off")
        .text("uTime", ms(now))
        .text("upl", amount(upl))
        .zero(&["autoLendMtAmt", "colBorrAutoConversion", "colRes", "fixedBal", "frpType", "isoEq"])
        .zero(&["isoUpl", "rewardBal", "smtSyncEq", "spotCopyTradingEq", "spotIsoBal", "stgyEq"])
        .empty(&["accAvgPx", "borrowFroz", "clSpotInUseAmt", "crossLiab", "imr", "interest"])
        .empty(&["isoLiab", "liab", "maxLoan", "maxSpotInUseAmt", "mgnRatio", "mmr", "openAvgPx"])
        .empty(&["notionalLever", "spotBal", "spotInUseAmt", "spotUpl", "spotUplRatio", "totalPnl"])
        .empty(&["totalPnlRatio", "twap", "uplLiab"])
        .end()
}
