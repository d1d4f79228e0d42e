//! Market data by the WebSocket API: the same as by REST, by other names.
//!
//! <https://github.com/binance/binance-spot-api-docs/blob/master/web-socket-api.md>, "Market data
//! requests"; developers.binance.com, USDⓈ-M futures, "Market Data", "Websocket API".

use super::errors::Failure;
use super::line::Sort;
use super::query::Query;
use super::simulated::SimulatedBinance;
use crate::venue::Floor;

/// What spot calls its requests here and by REST.
const SPOT: [(&str, &str); 11] = [
    ("exchangeInfo", "exchangeInfo"),
    ("depth", "depth"),
    ("trades.recent", "trades"),
    ("trades.historical", "historicalTrades"),
    ("trades.aggregate", "aggTrades"),
    ("klines", "klines"),
    ("uiKlines", "uiKlines"),
    ("avgPrice", "avgPrice"),
    ("ticker.24hr", "ticker/24hr"),
    ("ticker.price", "ticker/price"),
    ("ticker.book", "ticker/bookTicker"),
];

/// USDⓈ-M has these.
const LINEAR: [(&str, &str); 3] =
    [("depth", "depth"), ("ticker.price", "ticker/price"), ("ticker.book", "ticker/bookTicker")];

impl SimulatedBinance {
    /// Answers a request of market data; `None` where it is none.
    pub(super) fn market_data(
        &mut self,
        floor: &mut Floor<'_>,
        method: &str,
        params: &Query,
    ) -> Option<Result<String, Failure>> {
        let table: &[(&str, &str)] = match self.line.sort {
            Sort::Spot => &SPOT,
            Sort::Linear => &LINEAR,
            Sort::Inverse => &[],
        };
        let (_, asked) = table.iter().find(|(name, _)| *name == method)?;
        let weight = self.weight_of(asked, params)?;
        if let Err(failure) = self.weight.take(floor.now, weight) {
            return Some(Err(failure));
        }
        Some(self.body(floor, asked, params).map_err(Failure::from))
    }
}
