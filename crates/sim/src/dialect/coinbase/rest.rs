//! The public REST API.

use std::collections::BTreeMap;

use model::Side;
use serde_json::json;

use super::Coinbase;
use super::errors::{
    AFTER, BEFORE, END, GRANULARITY, LEVEL, LIMIT, NOT_FOUND, RANGE, START, TOO_OFTEN, UNAVAILABLE,
    Wrong, refusal,
};
use super::payload::{currencies, maker_side, price, short_size, size, time};
use crate::digits::{rfc3339, seconds_of};
use crate::faults::Trouble;
use crate::machine::{Reply, Request};
use crate::market::order::Index;
use crate::venue::Floor;

/// Candles of so many seconds.
const GRANULARITIES: [u64; 6] = [60, 300, 900, 3_600, 21_600, 86_400];
/// Candles in one answer at most; a range of more is refused.
const CANDLES_MAX: u64 = 300;
/// Trades in one answer at most, and where nothing is said.
const TRADES_MAX: usize = 1_000;

type Answer = Result<Reply, Wrong>;

fn ok(body: String) -> Answer {
    Ok(Reply::new(200, body))
}

/// The answer to a request that is turned away whatever it asks for. It says nothing of how long to wait,
/// and bans nobody.
pub(super) fn turn_away(why: Trouble) -> Option<Reply> {
    match why {
        Trouble::Unavailable => Some(refusal(UNAVAILABLE)),
        Trouble::TooOften(_) => Some(refusal(TOO_OFTEN)),
        Trouble::Banned(_) => None,
    }
}

struct Query<'a>(&'a str);

impl Query<'_> {
    fn text(&self, name: &str) -> Option<String> {
        let mut all = self.0.split('&').filter_map(|pair| pair.split_once('='));
        let value = all.find(|(other, _)| *other == name).map(|(_, value)| value);
        value.map(|value| value.replace("%3A", ":").replace("%3a", ":"))
    }

    fn number(&self, name: &str, wrong: Wrong) -> Result<Option<u64>, Wrong> {
        self.text(name).map(|text| text.parse().map_err(|_| wrong)).transpose()
    }

    /// Seconds since the epoch, as such or as a date.
    fn time(&self, name: &str, wrong: Wrong) -> Result<Option<u64>, Wrong> {
        let read = |text: String| text.parse().ok().or_else(|| seconds_of(&text));
        self.text(name).map(|text| read(text).ok_or(wrong)).transpose()
    }
}

impl Coinbase {
    /// Answers a request.
    pub(super) fn rest(&mut self, floor: &mut Floor<'_>, request: &Request) -> Reply {
        if !self.requests.take(floor.now) {
            return refusal(TOO_OFTEN);
        }
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let parts: Vec<_> = path.trim_matches('/').split('/').collect();
        let query = Query(query);
        let answer = match parts.as_slice() {
            ["time"] => {
                let ms = floor.now.0 / 1_000_000;
                let (iso, epoch) =
                    (rfc3339(floor.now, 3), format!("{}.{:03}", ms / 1_000, ms % 1_000));
                ok(format!(r#"{{"iso":"{iso}","epoch":{epoch}}}"#))
            }
            ["currencies"] => ok(json!(currencies(floor.market)).to_string()),
            ["products"] => {
                let all = (0..self.products.len()).map(|index| self.product(floor.market, index));
                ok(json!(all.collect::<Vec<_>>()).to_string())
            }
            ["products", id, rest @ ..] => match self.find(id) {
                Some(index) => self.of_product(floor, index, rest, &query),
                None => Err(NOT_FOUND),
            },
            _ => Err(NOT_FOUND),
        };
        answer.unwrap_or_else(refusal)
    }

    fn of_product(
        &self,
        floor: &mut Floor<'_>,
        index: Index,
        rest: &[&str],
        query: &Query<'_>,
    ) -> Answer {
        match rest {
            [] => ok(self.product(floor.market, index).to_string()),
            ["book"] => self.book(floor, index, query),
            ["trades"] => Self::trades(floor, index, query),
            ["ticker"] => Self::last(floor, index),
            ["candles"] => Self::candles(floor, index, query),
            ["stats"] => Self::stats(floor, index),
            _ => Err(NOT_FOUND),
        }
    }

    /// Best levels, or all of them, each with the number of its orders.
    fn book(&self, floor: &Floor<'_>, index: Index, query: &Query<'_>) -> Answer {
        let count = match query.number("level", LEVEL)? {
            None | Some(1) => 1,
            Some(2) => usize::MAX,
            Some(_) => return Err(LEVEL),
        };
        let (of, book) = (floor.market.instrument(index), floor.market.book(index));
        let mut orders: BTreeMap<(bool, u64), u64> = BTreeMap::new();
        for order in book.orders() {
            let at = (order.side == Side::Buy, order.ticks().unwrap_or_default());
            *orders.entry(at).or_default() += 1;
        }
        let side = |side| {
            let level = |(ticks, lots)| {
                let count = orders.get(&(side == Side::Buy, ticks)).copied().unwrap_or_default();
                format!(r#"["{}","{}",{count}]"#, price(of, ticks), size(of, lots))
            };
            book.levels(side).take(count).map(level).collect::<Vec<_>>().join(",")
        };
        ok(format!(
            r#"{{"bids":[{}],"asks":[{}],"sequence":{},"auction_mode":false,"auction":null,"time":"{}"}}"#,
            side(Side::Buy),
            side(Side::Sell),
            self.products[index].sequence,
            time(floor.now)
        ))
    }

    /// Newest first. `after` asks for older ones, `before` for newer ones than a trade; the headers
    /// say from where to go on.
    fn trades(floor: &Floor<'_>, index: Index, query: &Query<'_>) -> Answer {
        let limit = query.number("limit", LIMIT)?;
        let limit = limit.map_or(TRADES_MAX, |n| usize::try_from(n).unwrap_or(TRADES_MAX));
        let before = query.number("before", BEFORE)?;
        let after = query.number("after", AFTER)?;
        let (of, tape) = (floor.market.instrument(index), floor.market.tape(index));
        let newest = tape.trades().iter().rev();
        let within = newest.filter(|trade| {
            before.is_none_or(|id| trade.id > id) && after.is_none_or(|id| trade.id < id)
        });
        let told: Vec<_> = within.take(limit.min(TRADES_MAX)).collect();
        let rows = told.iter().map(|trade| {
            format!(
                r#"{{"trade_id":{},"side":"{}","size":"{}","price":"{}","time":"{}"}}"#,
                trade.id,
                maker_side(trade),
                size(of, trade.lots),
                price(of, trade.ticks),
                time(trade.at)
            )
        });
        let body = format!("[{}]", rows.collect::<Vec<_>>().join(","));
        let mut reply = Reply::new(200, body);
        if let (Some(first), Some(last)) = (told.first(), told.last()) {
            reply.headers.push(("cb-before".to_owned(), first.id.to_string()));
            reply.headers.push(("cb-after".to_owned(), last.id.to_string()));
        }
        Ok(reply)
    }

    fn last(floor: &mut Floor<'_>, index: Index) -> Answer {
        let day = floor.market.roll(index, floor.now).day();
        let (of, tape) = (floor.market.instrument(index), floor.market.tape(index));
        let trade = tape.trades().back().ok_or(NOT_FOUND)?;
        let [bid, ask] = floor.market.best(index).map(Option::unwrap_or_default);
        ok(json!({
            "ask": price(of, ask.0),
            "bid": price(of, bid.0),
            "volume": size(of, day.lots),
            "trade_id": trade.id,
            "price": price(of, trade.ticks),
            "size": short_size(of, trade.lots),
            "time": time(trade.at),
        })
        .to_string())
    }

    /// `[time, low, high, open, close, volume]`, newest first; nothing for an interval in which
    /// nothing was traded.
    fn candles(floor: &mut Floor<'_>, index: Index, query: &Query<'_>) -> Answer {
        let granularity = query.number("granularity", GRANULARITY)?.unwrap_or(60);
        if !GRANULARITIES.contains(&granularity) {
            return Err(GRANULARITY);
        }
        let start = query.time("start", START)?;
        let end = query.time("end", END)?;
        // One without the other is ignored.
        let (start, end) = start.zip(end).unwrap_or((0, u64::MAX));
        if end < u64::MAX && end.saturating_sub(start) / granularity > CANDLES_MAX {
            return Err(RANGE);
        }
        let candles = floor.market.roll(index, floor.now).candles(granularity / 60);
        let of = floor.market.instrument(index);
        let told = candles.iter().rev().filter(|candle| {
            let opened = candle.opened.0 / 1_000_000_000;
            // The past before the market began has prices that moved, without trades.
            (candle.trades > 0 || candle.high > candle.low) && (start..=end).contains(&opened)
        });
        let rows = told.take(CANDLES_MAX as usize).map(|candle| {
            let [low, high, open, close] =
                [candle.low, candle.high, candle.open, candle.close].map(|ticks| price(of, ticks));
            let opened = candle.opened.0 / 1_000_000_000;
            let volume = short_size(of, candle.lots);
            format!("[{opened},{low},{high},{open},{close},{volume}]")
        });
        ok(format!("[{}]", rows.collect::<Vec<_>>().join(",")))
    }

    fn stats(floor: &mut Floor<'_>, index: Index) -> Answer {
        let day = floor.market.roll(index, floor.now).day();
        let (of, tape) = (floor.market.instrument(index), floor.market.tape(index));
        ok(json!({
            "open": price(of, day.open),
            "high": price(of, day.high),
            "low": price(of, day.low),
            "last": price(of, tape.last()),
            "volume": size(of, day.lots),
            "volume_30day": size(of, day.lots),
        })
        .to_string())
    }
}
