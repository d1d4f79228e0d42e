//! REST: candles, of an instrument or of a pair's contract, and the average price.

use serde_json::json;

use super::errors::Wrong;
use super::feed::Feed;
use super::list::contract_type;
use super::query::Query;
use super::simulated::SimulatedBinance;
use super::streams::INTERVALS;
use super::wire::ms;
use crate::market::Market;
use crate::venue::Floor;

/// Of so many minutes the average price is made (spot, "Current average price").
const AVERAGE_MINUTES: usize = 5;

impl SimulatedBinance {
    /// `klines`.
    pub(super) fn klines<'q>(
        &self,
        floor: &mut Floor<'_>,
        feed: &Feed,
        query: &'q Query,
    ) -> Result<String, Wrong<'q>> {
        let (rows, holds) = (query.rows()?, query.holds()?);
        let name = query.get("interval").ok_or(Wrong::Missing("interval"))?;
        let interval = INTERVALS.iter().find(|(other, _)| *other == name);
        let (_, bar) = *interval.ok_or(Wrong::Interval)?;
        let mut candles = floor.market.roll(feed.index, floor.now).candles(bar);
        candles.retain(|candle| holds(candle.opened));
        if query.get("startTime").is_some() {
            candles.truncate(rows);
        } else {
            candles.drain(..candles.len().saturating_sub(rows));
        }
        let print = self.print(floor.market, feed.index);
        let rows: Vec<_> = candles.iter().map(|candle| print.kline_row(bar, candle)).collect();
        Ok(format!("[{}]", rows.join(",")))
    }

    /// The contract that `pair` and `contractType` name.
    pub(super) fn continuous(
        &self,
        market: &Market,
        query: &Query,
    ) -> Result<&Feed, Wrong<'static>> {
        let pair = query.get("pair").ok_or(Wrong::Missing("pair"))?;
        let kind = query.get("contractType").ok_or(Wrong::Missing("contractType"))?;
        let is_meant = |feed: &&Feed| {
            let print = self.print(market, feed.index);
            print.pair_name() == pair && contract_type(print.instrument) == kind
        };
        self.feeds.iter().find(is_meant).ok_or(Wrong::Symbol)
    }

    /// `avgPrice`: what the last minutes' trades were worth by their quantity, the last price where
    /// there were none.
    pub(super) fn average_price<'q>(
        &self,
        floor: &mut Floor<'_>,
        query: &'q Query,
    ) -> Result<String, Wrong<'q>> {
        let feed = self.feed(query)?;
        let candles = floor.market.roll(feed.index, floor.now).candles(1);
        let recent = &candles[candles.len().saturating_sub(AVERAGE_MINUTES)..];
        let tape = floor.market.tape(feed.index);
        let print = self.print(floor.market, feed.index);
        let (value, lots) =
            recent.iter().fold((0, 0), |(value, lots), c| (value + c.value, lots + c.lots));
        let ticks = value.checked_div(print.instrument.value(1, lots));
        let ticks = ticks.and_then(|ticks| u64::try_from(ticks).ok()).unwrap_or(tape.last());
        let last = tape.trades().back().map_or(floor.now, |trade| trade.at);
        Ok(json!({"mins": AVERAGE_MINUTES, "price": print.price(ticks).to_string(),
                  "closeTime": ms(last)})
        .to_string())
    }
}
