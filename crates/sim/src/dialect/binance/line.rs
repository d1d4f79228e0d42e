//! The three product lines as a simulator knows them: what differs between them is this data.
//!
//! Sources: binance/binance-spot-api-docs `rest-api.md`, `web-socket-streams.md`, `filters.md`;
//! developers.binance.com, derivatives, USDⓈ-M and COIN-M, "General Info" and each request's page.

use std::time::Duration;

use model::Error;
use model::instrument::{Contract, Expiry};

use super::limits::OrderLimit;
use super::simulated::SimulatedBinance;
use crate::dialect::Simulated;
use crate::market::Market;
use crate::market::instrument::{Instrument, Listing, Settlement, default_names};
use crate::market::money::Step;
use crate::venue::{Dialect, SimOptions};

/// A product line.
#[derive(Debug)]
pub struct Line {
    /// The venue's name in configuration and captures.
    pub name: &'static str,
    /// Prefix of the REST paths.
    pub rest: &'static str,
    /// What sort of market it is.
    pub sort: Sort,
    /// Weight that one address may use a minute.
    pub weight_max: u32,
    /// A connection is pinged so often.
    pub ping_every: Duration,
    /// And ends where a ping is not answered in this time.
    pub pong_within: Duration,
    /// Messages that a client may send a second on one connection, pings and pongs among them.
    pub messages_max: u32,
    /// Streams that a connection may have.
    pub streams_max: usize,
    /// Weight of a depth request by the number of levels, ascending.
    pub depth_weights: &'static [(u64, u32)],
    /// Milliseconds between two diffs of a book: those that a stream's name may ask for.
    pub depth_ms: &'static [u64],
    /// And where it asks for none.
    pub depth_ms_default: u64,
    /// Milliseconds between two updates of a candle.
    pub kline_ms: u64,
    /// Weights of requests: see [`Weights`].
    pub weights: Weights,
    /// Orders that an account may place; none where nothing is traded here.
    pub order_limits: &'static [OrderLimit],
}

/// What is traded on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Base against quote.
    Spot,
    /// Contracts settled in the quote.
    Linear,
    /// Contracts settled in the base, with prices in dollars.
    Inverse,
}

/// Weights of requests, those for one symbol and for all where that differs.
#[derive(Debug)]
pub struct Weights {
    /// `exchangeInfo`.
    pub list: u32,
    /// `trades`.
    pub trades: u32,
    /// `aggTrades`.
    pub agg_trades: u32,
    /// `klines`, for up to 500 rows.
    pub klines: u32,
    /// `ticker/24hr`.
    pub day: (u32, u32),
    /// `ticker/bookTicker`.
    pub quote: (u32, u32),
    /// `ticker/price`.
    pub price: (u32, u32),
}

const FUTURES_WEIGHTS: Weights = Weights {
    list: 1,
    trades: 5,
    agg_trades: 20,
    klines: 2,
    day: (1, 40),
    quote: (2, 5),
    price: (1, 2),
};

/// "100 orders per 10 SECOND", "200000 orders per 1 DAY" (spot, `exchangeInfo`).
const SPOT_ORDERS: &[OrderLimit] = &[
    OrderLimit { interval: "SECOND", interval_num: 10, seconds: 10, header: "10s", limit: 100 },
    OrderLimit { interval: "DAY", interval_num: 1, seconds: 86_400, header: "1d", limit: 200_000 },
];

/// "300 orders per 10 SECOND", "1200 orders per 1 MINUTE" (USDⓈ-M, `exchangeInfo`).
const LINEAR_ORDERS: &[OrderLimit] = &[
    OrderLimit { interval: "SECOND", interval_num: 10, seconds: 10, header: "10s", limit: 300 },
    OrderLimit { interval: "MINUTE", interval_num: 1, seconds: 60, header: "1m", limit: 1_200 },
];

/// Futures take these numbers of levels and no others.
const FUTURES_DEPTH: &[(u64, u32)] =
    &[(5, 2), (10, 2), (20, 2), (50, 2), (100, 5), (500, 10), (1_000, 20)];

/// Every line.
pub static LINES: [Line; 3] = [
    Line {
        name: "binance",
        rest: "/api/v3",
        sort: Sort::Spot,
        weight_max: 6_000,
        ping_every: Duration::from_secs(20),
        pong_within: Duration::from_secs(60),
        messages_max: 5,
        streams_max: 1_024,
        depth_weights: &[(100, 5), (500, 25), (1_000, 50), (5_000, 250)],
        depth_ms: &[100, 1_000],
        depth_ms_default: 1_000,
        kline_ms: 2_000,
        weights: Weights {
            list: 20,
            trades: 25,
            agg_trades: 4,
            klines: 2,
            day: (2, 80),
            quote: (2, 4),
            price: (2, 4),
        },
        order_limits: SPOT_ORDERS,
    },
    Line {
        name: "binance-usdm",
        rest: "/fapi/v1",
        sort: Sort::Linear,
        weight_max: 2_400,
        ping_every: Duration::from_secs(3 * 60),
        pong_within: Duration::from_secs(10 * 60),
        messages_max: 10,
        streams_max: 1_024,
        depth_weights: FUTURES_DEPTH,
        depth_ms: &[100, 250, 500],
        depth_ms_default: 250,
        kline_ms: 250,
        weights: FUTURES_WEIGHTS,
        order_limits: LINEAR_ORDERS,
    },
    Line {
        name: "binance-coinm",
        rest: "/dapi/v1",
        sort: Sort::Inverse,
        weight_max: 2_400,
        ping_every: Duration::from_secs(3 * 60),
        pong_within: Duration::from_secs(10 * 60),
        messages_max: 10,
        streams_max: 200,
        depth_weights: FUTURES_DEPTH,
        depth_ms: &[100, 250, 500],
        depth_ms_default: 250,
        kline_ms: 250,
        weights: FUTURES_WEIGHTS,
        order_limits: &[],
    },
];

impl Line {
    /// Whether it is the spot market.
    #[must_use]
    pub fn is_spot(&self) -> bool {
        self.sort == Sort::Spot
    }

    /// The venue's symbol: `BTCUSDT`, `BTCUSDT_261225`, `BTCUSD_PERP`.
    #[must_use]
    pub fn symbol(&self, instrument: &Instrument) -> String {
        let pair = format!("{}{}", instrument.base, instrument.quote);
        match (instrument.contract, self.sort) {
            (Contract::Perpetual, Sort::Inverse) => format!("{pair}_PERP"),
            (Contract::Dated(day), _) => format!("{pair}_{day}"),
            _ => pair,
        }
    }

    /// The asset that margin and profit are in.
    #[must_use]
    pub fn margin_asset<'i>(&self, instrument: &'i Instrument) -> &'i str {
        if self.sort == Sort::Inverse { &instrument.base } else { &instrument.quote }
    }

    fn lists(&self) -> &'static str {
        match self.sort {
            Sort::Spot => "spot pairs such as BTC-USDT",
            Sort::Linear => "contracts such as BTC-USDT-PERP or BTC-USDT-261225",
            Sort::Inverse => "contracts in dollars such as BTC-USD-PERP or BTC-USD-261225",
        }
    }
}

/// What one COIN-M contract is worth in dollars.
fn contract_dollars(base: &str) -> u64 {
    if base == "BTC" { 100 } else { 10 }
}

impl Simulated for Line {
    fn name(&self) -> &'static str {
        self.name
    }

    fn listing(&self, name: &str) -> Result<Listing, Error> {
        let parts: Vec<&str> = name.split('-').collect();
        let settlement = match (self.sort, parts.as_slice()) {
            (Sort::Spot, [_, _]) => Some(Settlement::Spot),
            (Sort::Linear, [_, quote, _]) if *quote != "USD" => {
                Some(Settlement::Linear { size: Step::tenth(0) })
            }
            (Sort::Inverse, [base, "USD", _]) => {
                Some(Settlement::Inverse { size: contract_dollars(base) })
            }
            _ => None,
        };
        let settlement = settlement.ok_or_else(|| {
            Error::reject(format!("{} lists {}, not '{name}'", self.name, self.lists()))
        })?;
        Ok(Listing { name: name.to_owned(), settlement })
    }

    fn default_symbols(&self, count: usize) -> Vec<String> {
        match self.sort {
            Sort::Spot => default_names(count, &["USDT", "USDC", "EUR"], ""),
            Sort::Linear => {
                let mut all = default_names(count, &["USDT", "USDC"], "-PERP");
                all.extend(default_names(count - all.len(), &["USDT"], "-270326"));
                all
            }
            Sort::Inverse => {
                let mut all = default_names(count, &["USD"], "-PERP");
                all.extend(default_names(count - all.len(), &["USD"], "-270326"));
                all.extend(default_names(count - all.len(), &["USD"], "-270625"));
                all
            }
        }
    }

    fn dialect(&self, market: &Market, options: &SimOptions) -> Result<Box<dyn Dialect>, Error> {
        let line = LINES.iter().find(|line| line.name == self.name).unwrap_or(&LINES[0]);
        Ok(Box::new(SimulatedBinance::new(line, market, options)?))
    }
}

/// When a contract of that day is delivered, in ms: 08:00 UTC; `None` where there is no such day.
pub(super) fn delivery_ms(day: Expiry) -> Option<u64> {
    const DAY_MS: u64 = 86_400_000;
    const YEAR_2000_MS: u64 = 946_684_800_000;
    let days = (0..36_525).map(|n| YEAR_2000_MS + n * DAY_MS);
    days.into_iter().find(|ms| Expiry::from_millis(*ms) == Some(day)).map(|ms| ms + 8 * 3_600_000)
}
