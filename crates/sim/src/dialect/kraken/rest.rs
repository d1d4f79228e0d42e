//! The public REST API.

use std::borrow::Cow;
use std::fmt::Write as _;

use model::{Nanos, Side};

use super::LOT_PLACES;
use super::errors::{ARGUMENTS, ASSET, METHOD, PAIR, TOO_OFTEN, UNAVAILABLE, refusal};
use super::limits::Limits;
use super::names;
use crate::digits::{fixed, rfc1123, rfc3339};
use crate::faults::Trouble;
use crate::machine::{Reply, Request};
use crate::market::instrument::Instrument;
use crate::market::money;
use crate::market::order::Index;
use crate::market::tape::Candle;
use crate::venue::Floor;

/// Candles of so many minutes.
pub(super) const INTERVALS: [u32; 9] = [1, 5, 15, 30, 60, 240, 1_440, 10_080, 21_600];
/// Levels a side of a book in one answer at most.
const COUNT_MAX: usize = 500;
/// Trades in one answer at most, and where nothing is said.
const TRADES_MAX: usize = 1_000;
/// A `since` below it is in seconds, else in nanoseconds.
const NANOS_FROM: u64 = 1_000_000_000_000;

/// Answers a request.
pub(super) fn answer(
    symbols: &[String],
    limits: &mut Limits,
    floor: &mut Floor<'_>,
    request: &Request,
) -> Reply {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let of = Query { symbols, query };
    let counted = match path {
        "/0/public/Trades" => of.place(floor).ok().map(|(index, _)| ("Trades", index)),
        "/0/public/OHLC" => of.place(floor).ok().map(|(index, _)| ("OHLC", index)),
        _ => None,
    };
    if let Err(error) = limits.take(floor.now, counted) {
        return refusal(error);
    }
    let result = match path {
        "/0/public/Time" => Ok(time(floor.now)),
        "/0/public/SystemStatus" => Ok(status(floor.now)),
        "/0/public/Assets" => of.assets(floor),
        "/0/public/AssetPairs" => of.pairs(floor),
        "/0/public/Depth" => of.depth(floor),
        "/0/public/Trades" => of.trades(floor),
        "/0/public/Ticker" => of.tickers(floor),
        "/0/public/OHLC" => of.candles(floor),
        _ => Err(METHOD),
    };
    match result {
        Ok(result) => Reply::new(200, format!(r#"{{"error":[],"result":{result}}}"#)),
        Err(error) => refusal(error),
    }
}

/// The answer to a request that is turned away whatever it asks for. It says nothing of how long to
/// wait, and bans nobody.
pub(super) fn turn_away(why: Trouble) -> Option<Reply> {
    match why {
        Trouble::Unavailable => Some(refusal(UNAVAILABLE)),
        Trouble::TooOften(_) => Some(refusal(TOO_OFTEN)),
        Trouble::Banned(_) => None,
    }
}

type Answer = Result<String, &'static str>;

/// The mean price of a candle's trades, in ticks; its close where there were none.
pub(super) fn vwap(instrument: &Instrument, candle: &Candle) -> u64 {
    let one = instrument.value(1, candle.lots);
    match candle.value.checked_div(one) {
        Some(ticks) if candle.lots > 0 => u64::try_from(ticks).unwrap_or(candle.close),
        _ => candle.close,
    }
}

fn time(now: Nanos) -> String {
    let seconds = now.0 / 1_000_000_000;
    format!(r#"{{"unixtime":{seconds},"rfc1123":"{}"}}"#, rfc1123(now))
}

fn status(now: Nanos) -> String {
    format!(
        r#"{{"status":"online","timestamp":"{}","upcoming_maintenance":[],"emergency":[]}}"#,
        rfc3339(now, 0)
    )
}

struct Query<'a> {
    symbols: &'a [String],
    query: &'a str,
}

impl Query<'_> {
    fn parameter(&self, name: &str) -> Option<&str> {
        let all = self.query.split('&').filter_map(|pair| pair.split_once('='));
        all.filter(|(other, _)| *other == name).map(|(_, value)| value).next()
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.parameter(name)?.parse().ok()
    }

    fn list(&self, name: &str) -> Option<impl Iterator<Item = &str>> {
        Some(self.parameter(name)?.split("%2C").flat_map(|some| some.split(',')))
    }

    /// The instrument that is asked for, and the name that it is answered by: `XXBTZUSD` for that and for
    /// `XBTUSD` and `BTCUSD`, those with a slash as they are.
    fn place(&self, floor: &Floor<'_>) -> Result<(Index, Cow<'_, str>), &'static str> {
        let pair = self.parameter("pair").ok_or(ARGUMENTS)?;
        names::find(floor.market, pair).ok_or(PAIR)
    }

    /// Those that are asked for, or all.
    fn places(&self, floor: &Floor<'_>) -> Result<Vec<(Index, Cow<'_, str>)>, &'static str> {
        match self.list("pair") {
            None => {
                let name = |index| (index, names::pair(floor.market.instrument(index)).into());
                Ok((0..self.symbols.len()).map(name).collect())
            }
            Some(pairs) => {
                let found = pairs.map(|pair| names::find(floor.market, pair));
                found.collect::<Option<_>>().ok_or(PAIR)
            }
        }
    }

    fn assets(&self, floor: &Floor<'_>) -> Answer {
        let all = floor.market.assets();
        let wanted: Vec<&str> = match self.list("asset") {
            None => all.iter().map(|name| &**name).collect(),
            Some(asked) => {
                let find = |asked| {
                    all.iter().map(|name| &**name).find(|name| names::is_asset(name, asked))
                };
                asked.map(find).collect::<Option<_>>().ok_or(ASSET)?
            }
        };
        let asset = |name: &&str| {
            let (id, short) = names::asset(name);
            format!(
                r#""{id}":{{"aclass":"currency","altname":"{short}","decimals":{LOT_PLACES},"display_decimals":5,"status":"enabled"}}"#
            )
        };
        Ok(format!("{{{}}}", wanted.iter().map(asset).collect::<Vec<_>>().join(",")))
    }

    fn pairs(&self, floor: &Floor<'_>) -> Answer {
        let pair = |(index, name): &(Index, Cow<'_, str>)| {
            let of = floor.market.instrument(*index);
            let (short, slashed) = (names::short(of), names::slashed(of));
            let ((base, _), (quote, _)) = (names::asset(&of.base), names::asset(&of.quote));
            let (tick, lot) = (of.tick, of.lot);
            format!(
                r#""{name}":{{"altname":"{short}","wsname":"{slashed}","aclass_base":"currency","base":"{base}","aclass_quote":"currency","quote":"{quote}","lot":"unit","cost_decimals":8,"pair_decimals":{},"lot_decimals":{LOT_PLACES},"lot_multiplier":1,"leverage_buy":[],"leverage_sell":[],"fees":[[0,0.4]],"fees_maker":[[0,0.25]],"fee_volume_currency":"ZUSD","margin_call":80,"margin_stop":40,"ordermin":"{}","costmin":"{}","tick_size":"{}","status":"online"}}"#,
                tick.places,
                lot.decimal(1),
                money::decimal(of.value_min).normalize(),
                tick.decimal(1),
            )
        };
        let rows: Vec<_> = self.places(floor)?.iter().map(pair).collect();
        Ok(format!("{{{}}}", rows.join(",")))
    }

    fn depth(&self, floor: &Floor<'_>) -> Answer {
        let (index, name) = self.place(floor)?;
        let count = self.number("count").map_or(100, |n| n as usize).clamp(1, COUNT_MAX);
        let seconds = floor.now.0 / 1_000_000_000;
        let of = floor.market.instrument(index);
        let side = |side| {
            let level = |(ticks, lots)| {
                let (price, quantity) = (of.tick.decimal(ticks), of.lot.decimal(lots));
                format!(r#"["{price}","{}",{seconds}]"#, fixed(quantity, 3.max(of.lot.places)))
            };
            let levels = floor.market.book(index).levels(side).take(count).map(level);
            levels.collect::<Vec<_>>().join(",")
        };
        let (bids, asks) = (side(Side::Buy), side(Side::Sell));
        Ok(format!(r#"{{"{name}":{{"asks":[{asks}],"bids":[{bids}]}}}}"#))
    }

    /// The newest, or the first after a time, from which `last` goes on: a page ends with a moment.
    fn trades(&self, floor: &Floor<'_>) -> Answer {
        let (index, name) = self.place(floor)?;
        let count = self.number("count").map_or(TRADES_MAX, |n| n as usize).clamp(1, TRADES_MAX);
        let since = self.parameter("since").map(|text| text.parse().map_err(|_| ARGUMENTS));
        let since = since.transpose()?.map(|since: u64| match since < NANOS_FROM {
            true => since * 1_000_000_000,
            false => since,
        });
        let (of, tape) = (floor.market.instrument(index), floor.market.tape(index));
        let all = tape.trades();
        let (begin, end) = match since {
            None => (all.len().saturating_sub(count), all.len()),
            Some(since) => {
                let begin = all.partition_point(|trade| trade.at.0 <= since);
                let cut = all.get(begin + count - 1).map(|last| last.at);
                (begin, cut.map_or(all.len(), |cut| all.partition_point(|trade| trade.at <= cut)))
            }
        };
        let rows = all.range(begin..end).map(|trade| {
            let side = if trade.aggressor == Side::Buy { "b" } else { "s" };
            let (seconds, nanos) = (trade.at.0 / 1_000_000_000, trade.at.0 % 1_000_000_000);
            format!(
                r#"["{}","{}",{seconds}.{nanos:09},"{side}","l","",{}]"#,
                of.tick.decimal(trade.ticks),
                fixed(of.lot.decimal(trade.lots), LOT_PLACES),
                trade.id
            )
        });
        let rows = rows.collect::<Vec<_>>().join(",");
        let told = all.range(begin..end).last().map(|trade| trade.at.0);
        let last = told.or(since).unwrap_or(0);
        Ok(format!(r#"{{"{name}":[{rows}],"last":"{last}"}}"#))
    }

    fn tickers(&self, floor: &Floor<'_>) -> Answer {
        let wanted = self.places(floor)?;
        let rows = wanted.iter().map(|(index, name)| ticker(floor, *index, name));
        Ok(format!("{{{}}}", rows.collect::<Vec<_>>().join(",")))
    }

    fn candles(&self, floor: &mut Floor<'_>) -> Answer {
        let (index, name) = self.place(floor)?;
        let minutes = self.number("interval").unwrap_or(1);
        if !INTERVALS.iter().any(|known| u64::from(*known) == minutes) {
            return Err(ARGUMENTS);
        }
        let since = self.number("since").unwrap_or(0);
        let candles = floor.market.roll(index, floor.now).candles(minutes);
        let of = floor.market.instrument(index);
        let price = |ticks: u64| of.tick.decimal(ticks).to_string();
        let mut rows = String::new();
        let (mut comma, mut last) = ("", 0);
        for candle in candles.iter().filter(|candle| candle.opened.0 / 1_000_000_000 > since) {
            last = candle.opened.0 / 1_000_000_000;
            // Writing to a string can't fail.
            let _ = write!(
                rows,
                r#"{comma}[{last},"{}","{}","{}","{}","{}","{}",{}]"#,
                price(candle.open),
                price(candle.high),
                price(candle.low),
                price(candle.close),
                price(vwap(of, candle)),
                fixed(of.lot.decimal(candle.lots), LOT_PLACES),
                candle.trades
            );
            comma = ",";
        }
        Ok(format!(r#"{{"{name}":[{rows}],"last":{last}}}"#))
    }
}

fn ticker(floor: &Floor<'_>, index: Index, name: &str) -> String {
    let (of, tape) = (floor.market.instrument(index), floor.market.tape(index));
    let day = tape.day();
    let price = |ticks: u64| of.tick.decimal(ticks).to_string();
    let lots = |lots: u64| fixed(of.lot.decimal(lots), LOT_PLACES);
    let [bid, ask] = floor.market.best(index).map(Option::unwrap_or_default);
    let (vwap, volume) = (price(vwap(of, &day)), lots(day.lots));
    format!(
        r#""{name}":{{"a":["{}","1","{}"],"b":["{}","1","{}"],"c":["{}","{}"],"v":["{volume}","{volume}"],"p":["{vwap}","{vwap}"],"t":[{count},{count}],"l":["{low}","{low}"],"h":["{high}","{high}"],"o":"{}"}}"#,
        price(ask.0),
        lots(ask.1),
        price(bid.0),
        lots(bid.1),
        price(tape.last()),
        lots(tape.trades().back().map_or(1, |trade| trade.lots)),
        price(day.open),
        count = day.trades,
        low = price(day.low),
        high = price(day.high),
    )
}
