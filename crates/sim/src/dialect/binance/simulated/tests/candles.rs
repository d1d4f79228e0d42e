//! Candles by REST, of every length and by either name, and what is made of them.

use super::*;

#[test]
fn candles_of_every_length_end_before_the_next_and_hold_the_same_trades() {
    for (name, prefix) in [("binance", "/api/v3"), ("binance-coinm", "/dapi/v1")] {
        let mut far = Far::new(name, 50);
        far.run_for(300 * SECOND);
        let symbol = if name == "binance" { "BTCUSDT" } else { "BTCUSD_PERP" };
        let klines = format!("{prefix}/klines?symbol={symbol}&limit=1000&interval=");
        let newest = |rows: &Value| rows.as_array().unwrap().last().unwrap().clone();
        let minute = newest(&far.json(&format!("{klines}1m")));
        for (interval, begin, end) in [
            // 2026-09-21, a Monday, of a month of thirty days.
            ("1d", 1_789_948_800_000_u64, 1_790_035_200_000_u64),
            ("1w", 1_789_948_800_000, 1_790_553_600_000),
            ("1M", 1_788_220_800_000, 1_790_812_800_000),
        ] {
            let row = newest(&far.json(&format!("{klines}{interval}")));
            assert_eq!((&row[0], &row[6]), (&begin.into(), &(end - 1).into()), "{interval}");
            assert_eq!(row[4], minute[4], "{interval}");
            assert!(number(&row[5]) > number(&minute[5]), "{interval}");
        }
        assert_eq!(far.get(&format!("{klines}1y")).status, 400);
    }
}

#[test]
fn a_pairs_contract_has_the_candles_of_its_symbol() {
    let mut far = Far::new("binance-usdm", 50);
    far.run_for(10 * SECOND);
    let same = far.json("/fapi/v1/klines?symbol=BTCUSDT&interval=5m");
    let asked = "/fapi/v1/continuousKlines?pair=BTCUSDT&interval=5m&contractType=";
    assert_eq!(far.json(&format!("{asked}PERPETUAL")), same);
    for (more, code) in [("CURRENT_QUARTER", -1121), ("", -1102)] {
        let reply = far.get(&format!("{asked}{more}"));
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!((reply.status, &body["code"]), (400, &code.into()), "{more}");
    }
    assert_eq!(far.get("/fapi/v1/uiKlines?symbol=BTCUSDT&interval=5m").status, 404);
}

#[test]
fn a_pairs_contract_has_the_stream_of_its_symbol() {
    let streams = "btcusd_perpetual@continuousKline_1m/btcusd_perp@kline_1m/\
                   btcusd_perp@continuousKline_1m/btcusd_perpetual@kline_1m";
    let mut far = Far::connected("binance-coinm", 200, &format!("/stream?streams={streams}"));
    far.run_for(5 * SECOND);
    let messages = far.messages();
    let of = |stream: &str| -> Vec<Value> {
        let mine = messages.iter().filter(|message| message["stream"] == stream);
        mine.map(|message| message["data"].clone()).collect()
    };
    let (pairs, symbols) = (of("btcusd_perpetual@continuousKline_1m"), of("btcusd_perp@kline_1m"));
    assert!(pairs.len() > 10, "{}", pairs.len());
    assert_eq!(pairs.len() + symbols.len(), messages.len(), "silent by the other's name");
    for (pair, symbol) in pairs.iter().zip(&symbols) {
        assert_eq!(
            [&pair["e"], &pair["ps"], &pair["ct"]],
            ["continuous_kline", "BTCUSD", "PERPETUAL"]
        );
        let mut candle = symbol["k"].clone();
        assert_eq!(candle.as_object_mut().unwrap().remove("s").unwrap(), "BTCUSD_PERP");
        assert_eq!(pair["k"], candle);
    }
}

#[test]
fn the_average_price_is_that_of_the_last_minutes_trades() {
    let mut far = Far::new("binance", 50);
    far.run_for(10 * SECOND);
    let rows = far.json("/api/v3/uiKlines?symbol=BTCUSDT&interval=1m&limit=5");
    let sum = |column: usize| -> Decimal {
        rows.as_array().unwrap().iter().map(|row| number(&row[column])).sum()
    };
    let average = far.json("/api/v3/avgPrice?symbol=BTCUSDT");
    let (price, exact) = (number(&average["price"]), sum(7) / sum(5));
    assert!(price <= exact && exact - price < Decimal::ONE, "{price} {exact}");
    let last = far.json("/api/v3/trades?symbol=BTCUSDT&limit=1")[0].clone();
    assert_eq!((&average["mins"], &average["closeTime"]), (&5.into(), &last["time"]));
}

#[test]
fn trades_are_had_from_an_id_on_and_futures_prices_by_the_newer_path() {
    let mut far = Far::new("binance", 50);
    far.run_for(20 * SECOND);
    let all = far.json("/api/v3/trades?symbol=BTCUSDT&limit=100");
    let from = &all[40]["id"];
    let page = far.json(&format!("/api/v3/historicalTrades?symbol=BTCUSDT&fromId={from}&limit=7"));
    assert_eq!(page.as_array().unwrap(), &all.as_array().unwrap()[40..47]);
    assert_eq!(far.json("/api/v3/historicalTrades?symbol=BTCUSDT&limit=100"), all);

    let mut far = Far::new("binance-usdm", 50);
    far.run_for(2 * SECOND);
    let one = "ticker/price?symbol=BTCUSDT";
    let newer = far.json(&format!("/fapi/v2/{one}"));
    assert_eq!(newer, far.json(&format!("/fapi/v1/{one}")));
    assert_eq!(newer["symbol"], "BTCUSDT");
    assert_eq!(Far::new("binance-coinm", 0).get("/dapi/v2/ticker/price").status, 404);
}
