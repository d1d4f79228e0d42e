//! REST: every public request, its weight and its answer.
//!
//! <https://github.com/binance/binance-spot-api-docs/blob/master/rest-api.md>;
//! developers.binance.com, USDⓈ-M and COIN-M futures, "Market Data".

use model::capture::split_url;
use model::{Nanos, Side};
use serde_json::{Value, json};

use super::errors::Wrong;
use super::feed::{AggTrade, Feed};
use super::limits::{OrderLimit, refusal};
use super::line::Sort;
use super::list::entry;
use super::query::{Query, ROWS_MAX};
use super::simulated::SimulatedBinance;
use super::wire::{Day, Funding, Print, Volumes, ms};
use crate::machine::{Reply, Request};
use crate::market::Market;
use crate::market::order::{Index, Trade};
use crate::venue::Floor;

impl SimulatedBinance {
    /// Answers a request.
    pub(super) fn rest(&mut self, floor: &mut Floor<'_>, request: &Request) -> Reply {
        let (path, query) = split_url(&request.target);
        if let Some(reply) = self.trade_by_rest(floor, request, path, query) {
            return reply;
        }
        let query = Query::parse(query);
        let asked = match path {
            // The one request of market data that USDⓈ-M has anew; the old one is answered as well.
            "/fapi/v2/ticker/price" if self.line.sort == Sort::Linear => Some("ticker/price"),
            _ => path.strip_prefix(self.line.rest).map(|path| path.trim_start_matches('/')),
        };
        let mut reply = match asked {
            Some(asked) => self.answer(floor, request, asked, &query),
            None => Wrong::Path.reply(),
        };
        self.say_weight(&mut reply);
        reply
    }

    /// How much of the minute's weight is used. Spot says it by the header's older name too, which is the
    /// one that some clients read.
    pub(super) fn say_weight(&self, reply: &mut Reply) {
        let names = ["x-mbx-used-weight-1m", "x-mbx-used-weight"];
        for name in &names[..if self.line.is_spot() { 2 } else { 1 }] {
            reply.headers.push(((*name).to_owned(), self.weight.used().to_string()));
        }
    }

    fn answer(
        &mut self,
        floor: &mut Floor<'_>,
        request: &Request,
        asked: &str,
        query: &Query,
    ) -> Reply {
        let Some(weight) = self.weight_of(asked, query) else { return Wrong::Path.reply() };
        if let Err(failure) = self.weight.take(floor.now, weight) {
            return refusal(floor.now, &failure);
        }
        if request.method != "GET" && request.method != "HEAD" {
            return Wrong::Method.reply();
        }
        match self.body(floor, asked, query) {
            Ok(body) => Reply::new(200, body),
            Err(wrong) => wrong.reply(),
        }
    }

    /// The table of requests; `None` for what is none.
    pub(super) fn weight_of(&self, asked: &str, query: &Query) -> Option<u32> {
        let weights = &self.line.weights;
        let one = query.get("symbol").is_some();
        let by_symbol = |(one_symbol, all): (u32, u32)| if one { one_symbol } else { all };
        // "Weight by symbols: 1 to 20: 2, 21 to 100: 40, 101 or more: 80" (spot, "24hr ticker").
        let named = self.named(query).ok().flatten().map(|named| named.len());
        let day = match named {
            Some(0..=20) if !one => 2,
            Some(21..=100) => 40,
            _ => by_symbol(weights.day),
        };
        let futures = !self.line.is_spot();
        Some(match asked {
            "ping" | "time" => 1,
            "exchangeInfo" => weights.list,
            "depth" => {
                let wanted = query.get("limit").and_then(|text| text.parse().ok()).unwrap_or(100);
                let table = self.line.depth_weights;
                let holds = table.iter().find(|(levels, _)| *levels >= wanted);
                holds.or(table.last()).map_or(1, |(_, weight)| *weight)
            }
            "trades" => weights.trades,
            "historicalTrades" if !futures => weights.trades,
            "aggTrades" => weights.agg_trades,
            "klines" => weights.klines,
            "uiKlines" if !futures => weights.klines,
            "continuousKlines" if futures => weights.klines,
            "avgPrice" if !futures => 2,
            "ticker/24hr" => day,
            "ticker/bookTicker" => by_symbol(weights.quote),
            "ticker/price" => by_symbol(weights.price),
            "premiumIndex" if futures => by_symbol((1, 10)),
            "fundingRate" if futures => 1,
            _ => return None,
        })
    }

    pub(super) fn body<'q>(
        &self,
        floor: &mut Floor<'_>,
        asked: &str,
        query: &'q Query,
    ) -> Result<String, Wrong<'q>> {
        let now = floor.now;
        match asked {
            "ping" => Ok("{}".to_owned()),
            "time" => Ok(json!({"serverTime": ms(now)}).to_string()),
            "exchangeInfo" => self.list(floor.market, now, query),
            "depth" => self.depth(floor.market, now, query),
            "trades" => self.last_trades(floor.market, query, None),
            "historicalTrades" => self.last_trades(floor.market, query, query.number("fromId")?),
            "aggTrades" => self.agg_trades(floor.market, query),
            // What makes candles fit for pictures is not said.
            "klines" | "uiKlines" => self.klines(floor, self.feed(query)?, query),
            "continuousKlines" => self.klines(floor, self.continuous(floor.market, query)?, query),
            "avgPrice" => self.average_price(floor, query),
            "fundingRate" => self.funding_history(floor.market, now, query),
            _ => self.per_symbol(floor, asked, query),
        }
    }

    pub(super) fn feed(&self, query: &Query) -> Result<&Feed, Wrong<'static>> {
        let symbol = query.get("symbol").ok_or(Wrong::Missing("symbol"))?;
        self.feeds.iter().find(|feed| feed.symbol == symbol).ok_or(Wrong::Symbol)
    }

    /// The instruments that spot's `symbol` or `symbols` names; `None` where neither is there.
    fn named(&self, query: &Query) -> Result<Option<Vec<Index>>, Wrong<'static>> {
        let named: Vec<String> = match (query.get("symbol"), query.get("symbols")) {
            (Some(_), Some(_)) => return Err(Wrong::Combination),
            (Some(symbol), None) => vec![symbol.to_owned()],
            (None, Some(list)) => {
                serde_json::from_str(list).map_err(|_| Wrong::Invalid("symbols"))?
            }
            (None, None) => return Ok(None),
        };
        let find = |name: &String| self.feeds.iter().position(|feed| feed.symbol == *name);
        named.iter().map(find).collect::<Option<_>>().ok_or(Wrong::Symbol).map(Some)
    }

    fn depth<'q>(
        &self,
        market: &Market,
        now: Nanos,
        query: &'q Query,
    ) -> Result<String, Wrong<'q>> {
        let feed = self.feed(query)?;
        let futures = !self.line.is_spot();
        let wanted = query.number("limit")?.unwrap_or(if futures { 500 } else { 100 });
        let table = self.line.depth_weights;
        if futures && !table.iter().any(|(levels, _)| *levels == wanted) {
            return Err(Wrong::DepthLimit(query.get("limit").unwrap_or_default()));
        }
        if wanted == 0 {
            return Err(Wrong::Invalid("limit"));
        }
        let levels = wanted.min(table.last().map_or(wanted, |(levels, _)| *levels));
        let levels = usize::try_from(levels).unwrap_or(usize::MAX);
        Ok(self.print(market, feed.index).depth(now, feed, market, levels))
    }

    /// The newest trades, or those from an id on.
    fn last_trades<'q>(
        &self,
        market: &Market,
        query: &'q Query,
        from: Option<u64>,
    ) -> Result<String, Wrong<'q>> {
        let (feed, rows) = (self.feed(query)?, query.rows()?);
        let print = self.print(market, feed.index);
        let trades = market.tape(feed.index).trades();
        let row = |trade: &Trade| self.trade_row(print, trade);
        let skip = match from {
            None => trades.len().saturating_sub(rows),
            Some(from) => trades.partition_point(|trade| trade.id < from),
        };
        let told = trades.iter().skip(skip).take(rows);
        Ok(Value::from(told.map(row).collect::<Vec<_>>()).to_string())
    }

    fn trade_row(&self, print: Print<'_>, trade: &Trade) -> Value {
        let value = print.amount(print.instrument.value(trade.ticks, trade.lots)).to_string();
        let mut row = json!({
            "id": trade.id,
            "price": print.price(trade.ticks).to_string(),
            "qty": print.quantity(trade.lots).to_string(),
            "time": ms(trade.at),
            "isBuyerMaker": trade.aggressor == Side::Sell,
        });
        match self.line.sort {
            Sort::Spot => {
                row["quoteQty"] = value.into();
                row["isBestMatch"] = true.into();
            }
            Sort::Linear => row["quoteQty"] = value.into(),
            Sort::Inverse => row["baseQty"] = value.into(),
        }
        row
    }

    fn agg_trades<'q>(&self, market: &Market, query: &'q Query) -> Result<String, Wrong<'q>> {
        let (feed, rows, holds) = (self.feed(query)?, query.rows()?, query.holds()?);
        let from = query.number("fromId")?;
        let print = self.print(market, feed.index);
        let mut found: Vec<&AggTrade> = feed
            .agg_trades
            .iter()
            .filter(|agg| from.is_none_or(|from| agg.id >= from) && holds(agg.trade.at))
            .collect();
        // From the given beginning on where there is one, else the newest.
        if from.is_some() || query.get("startTime").is_some() {
            found.truncate(rows);
        } else {
            found.drain(..found.len().saturating_sub(rows));
        }
        let row = |agg: &&AggTrade| {
            let AggTrade { id, trade, last } = **agg;
            let mut row = json!({
                "a": id,
                "p": print.price(trade.ticks).to_string(),
                "q": print.quantity(trade.lots).to_string(),
                "f": trade.id,
                "l": last,
                "T": ms(trade.at),
                "m": trade.aggressor == Side::Sell,
            });
            if self.line.is_spot() {
                row["M"] = true.into();
            }
            row
        };
        Ok(Value::from(found.iter().map(row).collect::<Vec<_>>()).to_string())
    }

    fn funding_history<'q>(
        &self,
        market: &Market,
        now: Nanos,
        query: &'q Query,
    ) -> Result<String, Wrong<'q>> {
        let feed = self.feed(query)?;
        let rows = query.number("limit")?.unwrap_or(100).min(ROWS_MAX);
        let holds = query.holds()?;
        let print = self.print(market, feed.index);
        if print.instrument.contract != model::instrument::Contract::Perpetual {
            return Ok("[]".to_owned());
        }
        let newest = ms(now) / Funding::EVERY_MS;
        let mark = print.price(market.tape(feed.index).last()).to_string();
        let times = (0..rows).rev().map(|back| newest.saturating_sub(back) * Funding::EVERY_MS);
        let row = |at_ms: u64| {
            json!({"symbol": feed.symbol, "fundingTime": at_ms, "fundingRate": Funding::RATE,
                   "markPrice": mark})
        };
        let held = times.filter(|at_ms| holds(Nanos::from_millis(*at_ms)));
        Ok(Value::from(held.map(row).collect::<Vec<_>>()).to_string())
    }

    /// One object for a symbol, a list of them for all; COIN-M has lists only.
    fn per_symbol<'q>(
        &self,
        floor: &mut Floor<'_>,
        asked: &str,
        query: &'q Query,
    ) -> Result<String, Wrong<'q>> {
        let wanted: Vec<Index> = match query.get("symbol") {
            Some(_) if !self.line.is_spot() => vec![self.feed(query)?.index],
            _ => {
                let named = if self.line.is_spot() { self.named(query)? } else { None };
                named.unwrap_or_else(|| (0..self.feeds.len()).collect())
            }
        };
        let mut rows = Vec::with_capacity(wanted.len());
        for index in wanted {
            floor.market.roll(index, floor.now);
            rows.push(self.row(floor.market, floor.now, asked, index));
        }
        let alone = query.get("symbol").is_some() && self.line.sort != Sort::Inverse;
        Ok(match rows.pop() {
            Some(row) if alone => row.to_string(),
            row => Value::from_iter(rows.into_iter().chain(row)).to_string(),
        })
    }

    fn row(&self, market: &Market, now: Nanos, asked: &str, index: Index) -> Value {
        let (print, feed) = (self.print(market, index), &self.feeds[index]);
        let mut row = match asked {
            "ticker/24hr" => self.day_row(market, now, print, feed),
            "ticker/bookTicker" => {
                let [(bid, bid_lots), (ask, ask_lots)] =
                    market.best(index).map(Option::unwrap_or_default);
                json!({
                    "bidPrice": print.price(bid).to_string(),
                    "bidQty": print.quantity(bid_lots).to_string(),
                    "askPrice": print.price(ask).to_string(),
                    "askQty": print.quantity(ask_lots).to_string(),
                })
            }
            "ticker/price" => json!({"price": print.price(market.tape(index).last()).to_string()}),
            _ => {
                let funding = Funding::new(print, market, feed, now);
                let mark = funding.mark.to_string();
                json!({
                    "markPrice": mark,
                    "indexPrice": mark,
                    "estimatedSettlePrice": mark,
                    "lastFundingRate": funding.rate,
                    "interestRate": Funding::RATE,
                    "nextFundingTime": funding.next_ms,
                })
            }
        };
        row["symbol"] = feed.symbol.as_str().into();
        if !self.line.is_spot() && asked != "ticker/24hr" {
            row["time"] = ms(now).into();
        }
        if self.line.sort == Sort::Inverse {
            let name = if asked == "ticker/price" { "ps" } else { "pair" };
            row[name] = print.pair_name().into();
        }
        row
    }

    fn day_row(&self, market: &Market, now: Nanos, print: Print<'_>, feed: &Feed) -> Value {
        let day = Day::new(print, market, feed);
        let candle = &day.candle;
        let Volumes { volume, quote, .. } = print.volumes(candle);
        let mut row = json!({
            "priceChange": day.change.to_string(),
            "priceChangePercent": day.percent.to_string(),
            "weightedAvgPrice": day.average.to_string(),
            "lastPrice": day.last.to_string(),
            "lastQty": day.last_quantity.to_string(),
            "openPrice": print.price(candle.open).to_string(),
            "highPrice": print.price(candle.high).to_string(),
            "lowPrice": print.price(candle.low).to_string(),
            "volume": volume.to_string(),
            "openTime": ms(candle.opened),
            "closeTime": ms(now),
            "firstId": candle.first_trade,
            "lastId": candle.last_trade(),
            "count": candle.trades,
        });
        let value = if self.line.sort == Sort::Inverse { "baseVolume" } else { "quoteVolume" };
        row[value] = quote.to_string().into();
        if self.line.is_spot() {
            let [(bid, bid_lots), (ask, ask_lots)] = day.best;
            row["prevClosePrice"] = print.price(candle.open).to_string().into();
            row["bidPrice"] = print.price(bid).to_string().into();
            row["bidQty"] = print.quantity(bid_lots).to_string().into();
            row["askPrice"] = print.price(ask).to_string().into();
            row["askQty"] = print.quantity(ask_lots).to_string().into();
        }
        row
    }

    fn list<'q>(&self, market: &Market, now: Nanos, query: &'q Query) -> Result<String, Wrong<'q>> {
        let mut feeds: Vec<&Feed> = self.feeds.iter().collect();
        if self.line.is_spot()
            && let Some(named) = self.named(query)?
        {
            feeds = named.into_iter().map(|index| &self.feeds[index]).collect();
        }
        let entry = |feed: &&Feed| entry(self.line, self.print(market, feed.index));
        let symbols: Vec<Value> = feeds.iter().map(entry).collect();
        let weight = json!({"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE",
                            "intervalNum": 1, "limit": self.line.weight_max});
        let orders = self.line.order_limits.iter().map(OrderLimit::entry);
        let limits: Vec<Value> = [weight].into_iter().chain(orders).collect();
        let answer = json!({"timezone": "UTC", "serverTime": ms(now), "rateLimits": limits,
                            "exchangeFilters": [], "symbols": symbols});
        Ok(answer.to_string())
    }
}
