//! Trading by REST.

use serde_json::{Value, json};

use super::super::errors::{Failure, Wrong};
use super::super::limits::refusal;
use super::super::query::Query;
use super::super::simulated::SimulatedBinance;
use super::account::coins;
use super::requests::{Action, Asked, at_path};
use super::sign::{self, Claim};
use crate::machine::{Reply, Request};
use crate::market::order::AccountId;
use crate::venue::Floor;

/// The header that names the account's key.
const KEY: &str = "x-mbx-apikey";

impl SimulatedBinance {
    /// Answers a request of trading; `None` where it is none.
    pub(in super::super) fn trade_by_rest(
        &mut self,
        floor: &mut Floor<'_>,
        request: &Request,
        path: &str,
        query: &str,
    ) -> Option<Reply> {
        at_path(self.line.sort, path).next()?;
        let Some(asked) =
            at_path(self.line.sort, path).find(|asked| asked.method == request.method)
        else {
            return Some(Wrong::Method.reply());
        };
        let params = params(query, request);
        if let Err(failure) = self.weight.take(floor.now, weight(asked, &params)) {
            return Some(refusal(floor.now, &failure));
        }
        let id = claimed(floor, request, query, &params, asked.action);
        let answer = id.clone().and_then(|id| self.act(floor, id, asked.action, &params));
        let mut reply = match answer {
            Ok(answer) => Reply::new(200, answer.to_string()),
            Err(failure) => failure.reply(),
        };
        self.say_weight(&mut reply);
        if let Ok(id) = id
            && matches!(asked.action, Action::Place | Action::CancelReplace)
        {
            let used = self.counts_of(id).used(floor.now);
            reply.headers.extend(used.map(|(limit, count)| {
                (format!("x-mbx-order-count-{}", limit.header), count.to_string())
            }));
        }
        Some(reply)
    }

    /// Does what an account asks for.
    pub(super) fn act(
        &mut self,
        floor: &mut Floor<'_>,
        id: AccountId,
        action: Action,
        query: &Query,
    ) -> Result<Value, Failure> {
        match action {
            Action::Place => self.place(floor, id, query),
            Action::Test => self.test(floor.market, id, query),
            Action::Modify => self.modify(floor, id, query),
            Action::Status => self.status(floor, id, query),
            Action::Cancel => self.cancel(floor, id, query),
            Action::CancelReplace => self.cancel_replace(floor, id, query),
            Action::CancelAll => self.cancel_all(floor, id, query),
            Action::OpenOrders => self.open_orders(floor, id, query),
            Action::AllOrders => self.all_orders(floor, id, query),
            Action::MyTrades => self.my_trades(floor, id, query),
            Action::Account => Ok(self.account(floor, id, query)),
            Action::Balance => Ok(self.balances(floor, id)),
            Action::Positions => self.position_risk(floor, id, query),
            Action::Commission => self.commission(floor.market, query),
            Action::OrderCounts => Ok(self.order_counts(floor, id)),
            Action::Coins => Ok(coins(floor, id)),
            Action::TradeFee => self.trade_fee(floor.market, query),
            // Nothing is lent here.
            Action::MarginPairs => Ok(json!([])),
            Action::Brackets => self.brackets(floor.market, query),
            Action::PositionSide => Ok(json!({"dualSidePosition": false})),
            Action::MultiAssets => Ok(json!({"multiAssetsMargin": false})),
            Action::Countdown => self.countdown(floor, id, query),
            Action::ListenKeyStart => Ok(self.start_key(floor, id)),
            Action::ListenKeyKeep => self.keep_key(floor, id),
            Action::ListenKeyStop => Ok(self.stop_key(id)),
        }
    }
}

/// The parameters of query and body, the query's first.
fn params(query: &str, request: &Request) -> Query {
    let mut all = Query::parse(query);
    all.0.extend(Query::parse(&String::from_utf8_lossy(&request.body)).0);
    all
}

/// What a request weighs.
pub(super) fn weight(asked: &Asked, params: &Query) -> u32 {
    if params.get("symbol").is_some() { asked.weight.0 } else { asked.weight.1 }
}

fn key(request: &Request) -> Option<&str> {
    let header = request.headers.iter().find(|(name, _)| name == KEY);
    header.map(|(_, value)| value.as_str())
}

/// The account that asks.
fn claimed(
    floor: &Floor<'_>,
    request: &Request,
    query: &str,
    params: &Query,
    action: Action,
) -> Result<AccountId, Failure> {
    let key = key(request);
    if action.is_unsigned() {
        return sign::known(floor.accounts, key);
    }
    let body = String::from_utf8_lossy(&request.body);
    let payload = sign::without_signature(query) + &sign::without_signature(&body);
    sign::signed(floor.accounts, floor.now, &Claim { key, payload: &payload, params })
}

/// The account of a request that was refused before anybody looked at it, and the name of the order
/// that it asks for.
pub(super) fn order_asked(
    accounts: &crate::accounts::Accounts,
    sort: super::super::line::Sort,
    request: &Request,
) -> Option<(AccountId, Query)> {
    let (path, query) = model::capture::split_url(&request.target);
    let asked = at_path(sort, path).find(|asked| asked.method == request.method)?;
    let places = matches!(asked.action, Action::Place | Action::CancelReplace);
    let id = sign::known(accounts, key(request)).ok().filter(|_| places)?;
    Some((id, params(query, request)))
}
