//! What the venue's messages look like.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use model::{Decimal, Nanos, Side};

use super::{CHECKSUM_LEVELS, Kraken, LOT_PLACES, Sides, rest};
use crate::digits::{crc32, fixed, rfc3339, short};
use crate::market::Market;
use crate::market::money;
use crate::market::order::{Index, Trade};

impl Kraken {
    /// What the depth of a book makes visible.
    pub(super) fn visible(market: &Market, index: Index, depth: usize) -> Sides {
        let book = market.book(index);
        [Side::Buy, Side::Sell].map(|side| book.levels(side).take(depth).collect())
    }

    pub(super) fn checksum(market: &Market, index: Index) -> u32 {
        let [bids, asks] = Self::visible(market, index, CHECKSUM_LEVELS);
        let instrument = market.instrument(index);
        let mut text = String::new();
        for (ticks, lots) in asks.into_iter().chain(bids) {
            let price = fixed(instrument.tick.decimal(ticks), instrument.tick.places);
            let quantity = fixed(instrument.lot.decimal(lots), LOT_PLACES);
            for digits in [price, quantity] {
                text += digits.replace('.', "").trim_start_matches('0');
            }
        }
        crc32(text.as_bytes())
    }

    /// One side of a book message.
    fn levels(market: &Market, index: Index, levels: &[(u64, u64)]) -> String {
        let instrument = market.instrument(index);
        let level = |(ticks, lots): &(u64, u64)| {
            let (price, quantity) =
                (instrument.tick.decimal(*ticks), instrument.lot.decimal(*lots));
            format!(r#"{{"price":{},"qty":{}}}"#, short(price), short(quantity))
        };
        levels.iter().map(level).collect::<Vec<_>>().join(",")
    }

    pub(super) fn book_message(
        &self,
        market: &Market,
        now: Nanos,
        index: Index,
        kind: &str,
        [bids, asks]: &Sides,
    ) -> Bytes {
        format!(
            r#"{{"channel":"book","type":"{kind}","data":[{{"symbol":"{}","bids":[{}],"asks":[{}],"checksum":{},"timestamp":"{}"}}]}}"#,
            self.symbols[index],
            Self::levels(market, index, bids),
            Self::levels(market, index, asks),
            Self::checksum(market, index),
            rfc3339(now, 6)
        )
        .into()
    }

    pub(super) fn trade_json(&self, market: &Market, index: Index, trade: &Trade) -> String {
        let instrument = market.instrument(index);
        let side = if trade.aggressor == Side::Buy { "buy" } else { "sell" };
        format!(
            r#"{{"symbol":"{}","side":"{side}","price":{},"qty":{},"ord_type":"limit","trade_id":{},"timestamp":"{}"}}"#,
            self.symbols[index],
            short(instrument.tick.decimal(trade.ticks)),
            short(instrument.lot.decimal(trade.lots)),
            trade.id,
            rfc3339(trade.at, 6)
        )
    }

    pub(super) fn ticker_message(&self, market: &Market, index: Index, kind: &str) -> Bytes {
        let (instrument, tape) = (market.instrument(index), market.tape(index));
        let price = |ticks: u64| short(instrument.tick.decimal(ticks));
        let lots = |lots: u64| short(instrument.lot.decimal(lots));
        let [bid, ask] = market.best(index).map(Option::unwrap_or_default);
        let day = tape.day();
        let open = instrument.tick.decimal(day.open);
        let change = instrument.tick.decimal(tape.last()) - open;
        format!(
            r#"{{"channel":"ticker","type":"{kind}","data":[{{"symbol":"{}","bid":{},"bid_qty":{},"ask":{},"ask_qty":{},"last":{},"volume":{},"vwap":{},"low":{},"high":{},"change":{},"change_pct":{}}}]}}"#,
            self.symbols[index],
            price(bid.0),
            lots(bid.1),
            price(ask.0),
            lots(ask.1),
            price(tape.last()),
            lots(day.lots),
            price(rest::vwap(instrument, &day)),
            price(day.low),
            price(day.high),
            short(change),
            short((change / open * Decimal::ONE_HUNDRED).round_dp(2)),
        )
        .into()
    }

    pub(super) fn candle_message(
        &self,
        market: &Market,
        now: Nanos,
        index: Index,
        minutes: u32,
        told: usize,
    ) -> Bytes {
        let instrument = market.instrument(index);
        let candles = market.tape(index).candles(u64::from(minutes));
        let length = Duration::from_secs(60 * u64::from(minutes));
        let price = |ticks: u64| short(instrument.tick.decimal(ticks));
        let rows = candles.iter().skip(candles.len().saturating_sub(told)).map(|candle| {
            format!(
                r#"{{"symbol":"{}","open":{},"high":{},"low":{},"close":{},"trades":{},"volume":{},"vwap":{},"interval_begin":"{}","interval":{minutes},"timestamp":"{}"}}"#,
                self.symbols[index],
                price(candle.open),
                price(candle.high),
                price(candle.low),
                price(candle.close),
                candle.trades,
                short(instrument.lot.decimal(candle.lots)),
                price(rest::vwap(instrument, candle)),
                rfc3339(candle.opened, 9),
                rfc3339(candle.opened + length, 6)
            )
        });
        let kind = if told == 1 { "update" } else { "snapshot" };
        let rows = rows.collect::<Vec<_>>().join(",");
        format!(
            r#"{{"channel":"ohlc","type":"{kind}","timestamp":"{}","data":[{rows}]}}"#,
            rfc3339(now, 6)
        )
        .into()
    }

    pub(super) fn instrument_message(&self, market: &Market) -> Bytes {
        let mut assets: BTreeSet<&str> = BTreeSet::new();
        let pair = |index| {
            let instrument = market.instrument(index);
            let (tick, lot) = (instrument.tick, instrument.lot);
            format!(
                r#"{{"symbol":"{}","base":"{}","quote":"{}","status":"online","qty_precision":{LOT_PLACES},"qty_increment":{},"price_precision":{},"cost_precision":8,"marginable":false,"has_index":true,"cost_min":{},"price_increment":{},"qty_min":{}}}"#,
                self.symbols[index],
                instrument.base,
                instrument.quote,
                short(lot.decimal(1)),
                tick.places,
                short(money::decimal(instrument.value_min)),
                short(tick.decimal(1)),
                short(lot.decimal(1)),
            )
        };
        let pairs: Vec<_> = (0..self.symbols.len()).map(pair).collect();
        for index in 0..self.symbols.len() {
            let instrument = market.instrument(index);
            assets.extend([&*instrument.base, &*instrument.quote]);
        }
        let asset = |id: &&str| {
            format!(
                r#"{{"id":"{id}","status":"enabled","precision":8,"precision_display":5,"borrowable":false,"collateral_value":1.0}}"#
            )
        };
        let assets: Vec<_> = assets.iter().map(asset).collect();
        format!(
            r#"{{"channel":"instrument","type":"snapshot","data":{{"assets":[{}],"pairs":[{}]}}}}"#,
            assets.join(","),
            pairs.join(",")
        )
        .into()
    }
}
