//! What the messages of the suite's venues say: the same for all of them.

use std::time::Duration;

use model::event::{Body, Kline, Quote, Ticker, Trade};
use model::{Decimal, Level, Nanos, Side};

pub fn number(text: &str) -> Decimal {
    model::decimal::parse(text.as_bytes()).unwrap()
}

/// Sold 0.500 at 100.10.
pub fn trade(trade_id: u64) -> Body {
    let (price, quantity) = (number("100.10"), number("0.500"));
    Body::Trade(Trade { price, quantity, aggressor: Side::Sell, trade_id })
}

/// 1.50 at 99.50, 2 at 101.
pub fn quote() -> Body {
    Body::Quote(Quote {
        bid: Level { price: number("99.50"), quantity: number("1.50") },
        ask: Level { price: number("101"), quantity: number("2") },
    })
}

/// 2 at 1, from 7 between 9 and 8, in all 13.0; with what a venue adds.
pub fn ticker(more: Ticker) -> Body {
    Body::Ticker(Ticker {
        last: number("1"),
        last_quantity: Some(number("2")),
        open: Some(number("7")),
        high: Some(number("8")),
        low: Some(number("9")),
        volume: Some(number("13.0")),
        ..more
    })
}

/// A minute from 1 to 2 between 0.5 and 4, 10 for 12.50.
pub fn kline(trades: Option<u64>) -> Body {
    Body::Kline(Kline {
        interval: Duration::from_secs(60),
        ts_open: Nanos::from_millis(1_699_999_980_000),
        ts_close: Nanos::from_millis(1_700_000_039_999),
        open: number("1"),
        high: number("4"),
        low: number("0.5"),
        close: number("2"),
        volume: number("10"),
        quote_volume: Some(number("12.50")),
        trades,
        closed: false,
    })
}
