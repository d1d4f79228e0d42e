//! The REST API: public requests.
//!
//! www.okx.com/docs-v5/en, each request's page for its limit; "Error Code", "REST API".

use model::capture::{params, split_url};

use super::errors::{INSTRUMENT, INVALID, METHOD, MISSING, PATH, Wrong};
use super::limits::Counted;
use super::{BARS, INST_TYPES, LEVELS, Okx, inst_type, ms, payload};
use crate::machine::{Reply, Request};
use crate::market::order::{Index, Trade};
use crate::venue::Floor;

/// Trades in one answer at most.
const TRADES_MAX: u64 = 500;
/// Candles in one answer at most.
const CANDLES_MAX: u64 = 300;
/// Rows where none are asked for.
const ROWS: u64 = 100;

/// What may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Path {
    Instruments,
    Time,
    Funding,
    Books,
    Trades,
    HistoryTrades,
    Ticker,
    Tickers,
    Candles,
    HistoryCandles,
}

impl Path {
    /// With how often it may be asked for in two seconds.
    fn parse(text: &str) -> Option<(Self, u32)> {
        Some(match text.strip_prefix("/api/v5/")? {
            "public/instruments" => (Self::Instruments, 20),
            "public/time" => (Self::Time, 10),
            "public/funding-rate" => (Self::Funding, 10),
            "market/books" => (Self::Books, 40),
            "market/trades" => (Self::Trades, 100),
            "market/history-trades" => (Self::HistoryTrades, 20),
            "market/ticker" => (Self::Ticker, 20),
            "market/tickers" => (Self::Tickers, 20),
            "market/candles" => (Self::Candles, 40),
            "market/history-candles" => (Self::HistoryCandles, 20),
            _ => return None,
        })
    }
}

/// The parameters of a request.
struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    fn get(&self, name: &str) -> Option<&'a str> {
        let found = params(self.0).find(|(other, _)| *other == name);
        found.map(|(_, value)| value).filter(|value| !value.is_empty())
    }

    fn number(&self, name: &'static str) -> Result<Option<u64>, Wrong> {
        self.get(name).map(|text| text.parse().map_err(|_| INVALID.of(name))).transpose()
    }

    /// A number of rows or levels; more than the most counts as the most.
    fn count(&self, name: &'static str, usual: u64, max: u64) -> Result<usize, Wrong> {
        let count = self.number(name)?.unwrap_or(usual).min(max);
        usize::try_from(count).map_err(|_| INVALID.of(name))
    }

    fn inst_type(&self) -> Result<&'static str, Wrong> {
        let name = self.get("instType").ok_or_else(|| MISSING.of("instType"))?;
        payload::find_type(name).ok_or_else(|| INVALID.of("instType"))
    }
}

impl Okx {
    /// Answers a request.
    pub(super) fn rest(&mut self, floor: &mut Floor<'_>, request: &Request) -> Reply {
        if let Some(reply) = self.private(floor, request) {
            return reply;
        }
        match self.rows(floor, request) {
            Ok(rows) => Reply::new(200, format!(r#"{{"code":"0","data":[{rows}],"msg":""}}"#)),
            Err(wrong) => wrong.reply(),
        }
    }

    fn rows(&mut self, floor: &mut Floor<'_>, request: &Request) -> Result<String, Wrong> {
        let (path, query) = split_url(&request.target);
        let (path, max) = Path::parse(path).ok_or(PATH)?;
        if request.method != "GET" {
            return Err(METHOD);
        }
        let (query, now) = (Query(query), floor.now);
        // Some limits are by address and instrument, or sort of instruments.
        let beside = match path {
            Path::Funding => self.place(&query)?,
            Path::Instruments => {
                let kind = query.inst_type()?;
                INST_TYPES.iter().position(|known| *known == kind).unwrap_or(0)
            }
            _ => 0,
        };
        self.limits.take(now, Counted::Public(path, beside), 1, max)?;
        match path {
            Path::Time => Ok(format!(r#"{{"ts":"{}"}}"#, ms(now))),
            Path::Instruments => {
                Ok(self.instrument_rows(floor.market, query.inst_type()?, query.get("instId")))
            }
            Path::Funding => {
                let index = self.place(&query)?;
                let is_swap = inst_type(floor.market.instrument(index)) == "SWAP";
                is_swap.then(|| self.funding_row(now, index)).ok_or(INSTRUMENT)
            }
            Path::Books => {
                let (index, depth) = (self.place(&query)?, query.count("sz", 1, LEVELS as u64)?);
                Ok(format!("{{{}}}", self.book_fields(floor.market, now, index, depth)))
            }
            Path::Trades => self.trade_rows(floor, &query),
            Path::HistoryTrades => self.older_trade_rows(floor, &query),
            Path::Ticker => Ok(self.ticker_row(floor, self.place(&query)?)),
            Path::Tickers => {
                let kind = query.inst_type()?;
                let is_one = |index: &Index| inst_type(floor.market.instrument(*index)) == kind;
                let wanted: Vec<Index> = (0..self.feeds.len()).filter(is_one).collect();
                let rows = wanted.into_iter().map(|index| self.ticker_row(floor, index));
                Ok(rows.collect::<Vec<_>>().join(","))
            }
            // The one for years, the other for the newest 1,440; here there is a day for both.
            Path::Candles | Path::HistoryCandles => self.candle_rows(floor, &query),
        }
    }

    fn place(&self, query: &Query<'_>) -> Result<Index, Wrong> {
        let name = query.get("instId").ok_or_else(|| MISSING.of("instId"))?;
        let found = self.feeds.iter().position(|feed| feed.inst_id == name);
        found.ok_or(INSTRUMENT)
    }

    /// Each trade alone, newest first.
    fn trade_rows(&self, floor: &Floor<'_>, query: &Query<'_>) -> Result<String, Wrong> {
        let (index, count) = (self.place(query)?, query.count("limit", ROWS, TRADES_MAX)?);
        let trades = floor.market.tape(index).trades().iter().rev().take(count);
        let row = |trade| self.trade_row(floor.market, index, std::slice::from_ref(trade));
        Ok(trades.map(row).collect::<Vec<_>>().join(","))
    }

    /// The same, in pages: older than `after` and newer than `before`, which are ids, or with `type` 2
    /// times, of which only `after` is read.
    fn older_trade_rows(&self, floor: &Floor<'_>, query: &Query<'_>) -> Result<String, Wrong> {
        let (index, count) = (self.place(query)?, query.count("limit", ROWS, ROWS)?);
        let by_time = match query.get("type") {
            None | Some("1") => false,
            Some("2") => true,
            Some(_) => return Err(INVALID.of("type")),
        };
        let (after, before) = (query.number("after")?, query.number("before")?);
        let is_wanted = |trade: &&Trade| {
            let at = if by_time { ms(trade.at) } else { trade.id };
            let is_newer = by_time || before.is_none_or(|begin| at > begin);
            is_newer && after.is_none_or(|end| at < end)
        };
        let trades = floor.market.tape(index).trades().iter().rev().filter(is_wanted).take(count);
        let row = |trade| self.trade_row(floor.market, index, std::slice::from_ref(trade));
        Ok(trades.map(row).collect::<Vec<_>>().join(","))
    }

    /// Candles older than `after` and newer than `before`, newest first.
    fn candle_rows(&self, floor: &mut Floor<'_>, query: &Query<'_>) -> Result<String, Wrong> {
        let (index, count) = (self.place(query)?, query.count("limit", ROWS, CANDLES_MAX)?);
        let name = query.get("bar").unwrap_or("1m");
        let bar = BARS.iter().find(|(known, _)| *known == name).ok_or_else(|| INVALID.of("bar"))?;
        let (after, before) = (query.number("after")?, query.number("before")?);
        let candles = floor.market.roll(index, floor.now).candles(bar.1);
        let newest = candles.last().map(|candle| candle.opened);
        let is_wanted = |opened: u64| {
            after.is_none_or(|end| opened < end) && before.is_none_or(|begin| opened > begin)
        };
        let of = floor.market.instrument(index);
        let wanted = candles.iter().rev().filter(|candle| is_wanted(ms(candle.opened)));
        let row = |candle| payload::candle_row(of, candle, Some(candle.opened) != newest);
        Ok(wanted.take(count).map(row).collect::<Vec<_>>().join(","))
    }
}
