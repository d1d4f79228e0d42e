//! What an account asks: its orders, fills, balances, positions.
//!
//! www.okx.com/docs-v5/en, each request's page for its parameters and its limit. Lists are newest
//! first, at most 100 rows; `after` and `before` page by `ordId` or `billId`, `begin` and `end` by
//! time.

use model::Nanos;
use model::capture::params;

use super::super::errors::{INSTRUMENT, INVALID, MISSING, NO_ID, UNKNOWN, Wrong};
use super::super::limits::Counted;
use super::super::{Okx, inst_type, ms, payload};
use super::{Bill, holdings, login, rows};
use crate::machine::{Reply, Request};
use crate::market::Market;
use crate::market::order::{AccountId, Index, Order};
use crate::venue::Floor;

/// Rows in one answer at most.
const ROWS_MAX: usize = 100;

/// What may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Query {
    Order,
    OrdersPending,
    OrdersHistory,
    OrdersArchive,
    Fills,
    FillsHistory,
    Balance,
    Positions,
    Config,
    Currencies,
}

/// With how often an account may ask in two seconds.
const PATHS: [(&str, Query, u32); 10] = [
    ("/api/v5/trade/order", Query::Order, 60),
    ("/api/v5/trade/orders-pending", Query::OrdersPending, 60),
    ("/api/v5/trade/orders-history", Query::OrdersHistory, 40),
    ("/api/v5/trade/orders-history-archive", Query::OrdersArchive, 20),
    ("/api/v5/trade/fills", Query::Fills, 60),
    ("/api/v5/trade/fills-history", Query::FillsHistory, 10),
    ("/api/v5/account/balance", Query::Balance, 10),
    ("/api/v5/account/positions", Query::Positions, 10),
    ("/api/v5/account/config", Query::Config, 5),
    ("/api/v5/asset/currencies", Query::Currencies, 12),
];

impl Query {
    /// What is asked at a path.
    pub(super) fn find(path: &str) -> Option<Self> {
        PATHS.iter().find(|(known, ..)| *known == path).map(|(_, query, _)| *query)
    }

    fn limit(self) -> u32 {
        PATHS.iter().find(|(_, query, _)| *query == self).map_or(0, |(.., limit)| *limit)
    }
}

/// The parameters of a question.
struct Asked<'a>(&'a str);

impl<'a> Asked<'a> {
    fn get(&self, name: &str) -> Option<&'a str> {
        let found = params(self.0).find(|(other, _)| *other == name);
        found.map(|(_, value)| value).filter(|value| !value.is_empty())
    }

    fn number(&self, name: &str) -> Result<Option<u64>, Wrong> {
        self.get(name).map(|text| text.parse().map_err(|_| INVALID.of(name))).transpose()
    }

    /// Whether one of the words separated by commas is that one, or nothing is said.
    fn lists(&self, name: &str, word: &str) -> bool {
        // Clients may write the comma as it is in a form.
        let is_one = |words: &str| words.replace("%2C", ",").split(',').any(|one| one == word);
        self.get(name).is_none_or(is_one)
    }

    fn limit(&self) -> Result<usize, Wrong> {
        let limit = self.number("limit")?.map(usize::try_from);
        Ok(limit.and_then(Result::ok).unwrap_or(ROWS_MAX).min(ROWS_MAX))
    }

    /// Whether something of that place in the list and that time is in the stretch that is asked for;
    /// `place` says where in the list an id is.
    fn page<K: Ord>(&self, place: impl Fn(u64) -> K) -> Result<impl Fn(&K, Nanos) -> bool, Wrong> {
        let [after, before] =
            [self.number("after")?.map(&place), self.number("before")?.map(&place)];
        let [begin, end] = [self.number("begin")?, self.number("end")?];
        Ok(move |at: &K, time: Nanos| {
            after.as_ref().is_none_or(|after| at < after)
                && before.as_ref().is_none_or(|before| at > before)
                && begin.is_none_or(|begin| ms(time) >= begin)
                && end.is_none_or(|end| ms(time) <= end)
        })
    }
}

impl Okx {
    /// Answers a question of an account.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn asked(
        &mut self,
        floor: &mut Floor<'_>,
        request: &Request,
        query: Query,
        text: &str,
    ) -> Result<Reply, Wrong> {
        let account = login::signed_by(floor.accounts, floor.now, request)?;
        let asked = Asked(text);
        let beside = if query == Query::Order { self.instrument_of(&asked)? } else { 0 };
        let counted = Counted::Query(account, query, beside);
        self.limits.take(floor.now, counted, 1, query.limit())?;
        let rows = match query {
            Query::Order => self.order(floor, account, beside, &asked)?,
            Query::OrdersPending => self.orders(floor, account, true, &asked)?,
            Query::OrdersHistory | Query::OrdersArchive => {
                asked.get("instType").ok_or_else(|| MISSING.of("instType"))?;
                self.orders(floor, account, false, &asked)?
            }
            Query::Fills => self.fills(floor.market, account, &asked)?,
            Query::FillsHistory => {
                asked.get("instType").ok_or_else(|| MISSING.of("instType"))?;
                self.fills(floor.market, account, &asked)?
            }
            Query::Balance => {
                let market = &*floor.market;
                let wanted = |asset: usize| asked.lists("ccy", &market.assets()[asset]);
                holdings::balance_row(market, floor.now, account, wanted)
            }
            Query::Positions => self.positions(floor, account, &asked)?,
            Query::Config => config(account),
            Query::Currencies => currencies(floor.market, &asked),
        };
        Ok(Reply::new(200, format!(r#"{{"code":"0","data":[{rows}],"msg":""}}"#)))
    }

    fn instrument_of(&self, asked: &Asked<'_>) -> Result<Index, Wrong> {
        let name = asked.get("instId").ok_or_else(|| MISSING.of("instId"))?;
        self.feeds.iter().position(|feed| feed.inst_id == name).ok_or(INSTRUMENT)
    }

    /// Whether an instrument is asked for; names and sorts must be known.
    fn wanted(&self, market: &Market, asked: &Asked<'_>) -> Result<Vec<bool>, Wrong> {
        if let Some(kind) = asked.get("instType") {
            payload::find_type(kind).ok_or_else(|| INVALID.of("instType"))?;
        }
        let is_wanted = |index: Index| {
            let of = market.instrument(index);
            let family = format!("{}-{}", of.base, of.quote);
            asked.get("instType").is_none_or(|kind| kind == inst_type(of))
                && asked.get("instFamily").is_none_or(|name| name == family && of.is_derivative())
                && asked.lists("instId", &self.feeds[index].inst_id)
        };
        Ok((0..self.feeds.len()).map(is_wanted).collect())
    }

    fn order_row(&self, market: &Market, order: &Order) -> String {
        let of = market.instrument(order.instrument);
        let facts = self.trading.facts(order);
        rows::order_row(&self.feeds[order.instrument].inst_id, of, order, &facts)
    }

    fn order(
        &self,
        floor: &Floor<'_>,
        account: AccountId,
        index: Index,
        asked: &Asked<'_>,
    ) -> Result<String, Wrong> {
        let found = match (asked.get("ordId"), asked.get("clOrdId")) {
            (Some(id), _) => {
                let id = id.parse().ok();
                id.and_then(|id| floor.accounts.order(account, index, id))
            }
            (None, Some(name)) => floor.accounts.named(account, index, name),
            (None, None) => return Err(NO_ID),
        };
        Ok(self.order_row(floor.market, &found.ok_or(UNKNOWN)?.order))
    }

    /// Open orders, or those that have ended.
    fn orders(
        &self,
        floor: &Floor<'_>,
        account: AccountId,
        open: bool,
        asked: &Asked<'_>,
    ) -> Result<String, Wrong> {
        let wanted = self.wanted(floor.market, asked)?;
        let all = || floor.accounts.orders(account).map(|record| &record.order);
        let place = |id| {
            let known = all().find(|order| order.id == id);
            (known.map_or(Nanos(0), |order| order.created), id)
        };
        let (page, limit) = (asked.page(place)?, asked.limit()?);
        let is_wanted = |order: &&Order| {
            let facts = self.trading.facts(order);
            order.state.is_open() == open
                && wanted[order.instrument]
                && asked.lists("ordType", facts.ord_type)
                && asked.get("state").is_none_or(|state| state == rows::state(order, &facts))
                && page(&(order.created, order.id), order.created)
        };
        let mut found: Vec<&Order> = all().filter(is_wanted).collect();
        found.sort_by_key(|order| std::cmp::Reverse((order.created, order.id)));
        let rows = found.into_iter().take(limit).map(|order| self.order_row(floor.market, order));
        Ok(rows.collect::<Vec<_>>().join(","))
    }

    fn fills(
        &self,
        market: &Market,
        account: AccountId,
        asked: &Asked<'_>,
    ) -> Result<String, Wrong> {
        let wanted = self.wanted(market, asked)?;
        let (page, limit) = (asked.page(|id| id)?, asked.limit()?);
        let order = asked.number("ordId")?;
        let is_wanted = |bill: &&Bill| {
            wanted[bill.order.instrument]
                && order.is_none_or(|order| order == bill.order.id)
                && page(&bill.id, bill.fill.trade.at)
        };
        let bills = self.trading.bills.get(&account).into_iter().flatten().rev();
        let rows = bills.filter(is_wanted).take(limit).map(|bill| {
            let index = bill.order.instrument;
            rows::fill_row(&self.feeds[index].inst_id, market.instrument(index), bill)
        });
        Ok(rows.collect::<Vec<_>>().join(","))
    }

    /// Open positions; where instruments are named, closed ones of them too.
    fn positions(
        &self,
        floor: &Floor<'_>,
        account: AccountId,
        asked: &Asked<'_>,
    ) -> Result<String, Wrong> {
        let wanted = self.wanted(floor.market, asked)?;
        let named = asked.get("instId").is_some();
        let held = self.trading.held.range((account, 0)..=(account, usize::MAX));
        let is_wanted = |index: Index, lots: i64| wanted[index] && (named || lots != 0);
        let mut found: Vec<_> =
            held.filter(|((_, index), held)| is_wanted(*index, held.lots)).collect();
        found.sort_by_key(|(_, held)| std::cmp::Reverse((held.opened, held.id)));
        let rows = found.into_iter().map(|((_, index), held)| {
            self.position_row(floor.market, floor.now, account, *index, held)
        });
        Ok(rows.collect::<Vec<_>>().join(","))
    }
}

/// How an account is called.
pub(super) fn uid(account: AccountId) -> String {
    (44_705_892_343_619_584 + account.0).to_string()
}

/// "Get account configuration": futures mode, net positions, an ordinary trader.
fn config(account: AccountId) -> String {
    let uid = uid(account);
    format!(
        r#"{{"acctLv":"2","acctStpMode":"cancel_maker","autoLoan":false,"ctIsoMode":"automatic","enableSpotBorrow":false,"feeType":"0","greeksType":"PA","ip":"","kycLv":"3","label":"simulated","level":"Lv1","levelTmp":"","liquidationGear":"-1","mainUid":"{uid}","mgnIsoMode":"automatic","opAuth":"0","perm":"read_only,trade","posMode":"net_mode","roleType":"0","settleCcy":"USDC","settleCcyList":["USD","USDC","USDG"],"spotBorrowAutoRepay":false,"spotOffsetType":"","spotRoleType":"0","spotTraderInsts":[],"stgyType":"0","traderInsts":[],"type":"0","uid":"{uid}"}}"#
    )
}

/// "Get currencies": each asset on a chain of its own, neither to be sent nor fetched.
fn currencies(market: &Market, asked: &Asked<'_>) -> String {
    let row = |name: &str| {
        format!(
            r#"{{"burningFeeRate":"","canDep":false,"canInternal":false,"canWd":false,"ccy":"{name}","chain":"{name}-Simulated","ctAddr":"","depEstOpenTime":"","depQuotaFixed":"","depQuoteDailyLayer2":"","fee":"0","logoLink":"","mainNet":true,"maxFee":"0","maxFeeForCtAddr":"","maxWd":"0","minDep":"0","minDepArrivalConfirm":"0","minFee":"0","minFeeForCtAddr":"","minInternal":"0","minWd":"0","minWdUnlockConfirm":"0","name":"{name}","needTag":false,"usedDepQuotaFixed":"","usedWdQuota":"0","wdEstOpenTime":"","wdQuota":"0","wdTickSz":"8"}}"#
        )
    };
    let wanted = market.assets().iter().filter(|name| asked.lists("ccy", name));
    wanted.map(|name| row(name)).collect::<Vec<_>>().join(",")
}
