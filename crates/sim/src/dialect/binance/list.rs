//! `exchangeInfo`: instruments, and the market's rules in the venue's words.
//!
//! <https://github.com/binance/binance-spot-api-docs/blob/master/filters.md>;
//! developers.binance.com, USDⓈ-M and COIN-M futures, "Exchange Information".

use model::Decimal;
use model::instrument::Contract;
use serde_json::{Value, json};

use super::line::{Line, Sort, delivery_ms};
use super::wire::Print;
use crate::market::instrument::{Instrument, Settlement};
use crate::market::money;

/// An entry of `exchangeInfo`.
pub(super) fn entry(line: &Line, print: Print<'_>) -> Value {
    let instrument = print.instrument;
    let mut entry = json!({
        "symbol": print.symbol,
        "baseAsset": *instrument.base,
        "quoteAsset": *instrument.quote,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "filters": filters(line, print),
    });
    if line.is_spot() {
        entry["status"] = "TRADING".into();
        for precision in
            ["quoteAssetPrecision", "baseCommissionPrecision", "quoteCommissionPrecision"]
        {
            entry[precision] = 8.into();
        }
        entry["orderTypes"] = json!(["LIMIT", "LIMIT_MAKER", "MARKET"]);
        entry["icebergAllowed"] = false.into();
        for sort in ["ocoAllowed", "otoAllowed", "opoAllowed", "allowTrailingStop"] {
            entry[sort] = false.into();
        }
        entry["quoteOrderQtyMarketAllowed"] = false.into();
        entry["cancelReplaceAllowed"] = true.into();
        entry["amendAllowed"] = false.into();
        entry["isSpotTradingAllowed"] = true.into();
        entry["isMarginTradingAllowed"] = false.into();
        entry["permissions"] = json!(["SPOT"]);
        entry["permissionSets"] = json!([["SPOT"]]);
        entry["defaultSelfTradePreventionMode"] = "EXPIRE_MAKER".into();
        entry["allowedSelfTradePreventionModes"] =
            json!(["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"]);
        return entry;
    }
    entry["pair"] = print.pair_name().into();
    entry["marginAsset"] = line.margin_asset(instrument).into();
    entry["pricePrecision"] = instrument.tick.places.into();
    entry["quantityPrecision"] = instrument.lot.places.into();
    entry["onboardDate"] = 1_569_398_400_000_u64.into();
    entry["orderTypes"] = json!(["LIMIT", "MARKET"]);
    entry["timeInForce"] = json!(["GTC", "IOC", "FOK", "GTX"]);
    margins(&mut entry, line);
    let delivery = match instrument.contract {
        Contract::Dated(day) => delivery_ms(day).unwrap_or(0),
        // What the venue writes for never.
        _ => 4_133_404_800_000,
    };
    entry["contractType"] = contract_type(instrument).into();
    entry["deliveryDate"] = delivery.into();
    let status = if line.sort == Sort::Inverse { "contractStatus" } else { "status" };
    entry[status] = "TRADING".into();
    if let Settlement::Inverse { size } = instrument.settlement {
        entry["contractSize"] = size.into();
    }
    entry
}

/// What the venue says of margins and liquidation; a client reads it, nothing here goes by it.
fn margins(entry: &mut Value, line: &Line) {
    let text = [
        ("underlyingType", "COIN"),
        ("maintMarginPercent", "2.5000"),
        ("requiredMarginPercent", "5.0000"),
        ("triggerProtect", "0.0500"),
        ("liquidationFee", "0.012500"),
        ("marketTakeBound", "0.05"),
    ];
    for (field, value) in text {
        entry[field] = value.into();
    }
    entry["underlyingSubType"] = json!([]);
    if line.sort == Sort::Linear {
        entry["settlePlan"] = 0.into();
    }
}

/// The venue's word for a contract's term.
pub(super) fn contract_type(instrument: &Instrument) -> &'static str {
    if matches!(instrument.contract, Contract::Dated(_)) { "CURRENT_QUARTER" } else { "PERPETUAL" }
}

/// The filters of an instrument, which are the market's rules in the venue's words.
fn filters(line: &Line, print: Print<'_>) -> Value {
    let Instrument { ticks_max, lots_max, band, open_orders_max, value_min, .. } =
        *print.instrument;
    let (tick, lot) = (print.price(1).to_string(), print.quantity(1).to_string());
    let lots_max = print.quantity(lots_max).to_string();
    let mut all = vec![
        json!({"filterType": "PRICE_FILTER", "minPrice": tick, "tickSize": tick,
               "maxPrice": print.price(ticks_max).to_string()}),
        json!({"filterType": "LOT_SIZE", "minQty": lot, "maxQty": lots_max, "stepSize": lot}),
        json!({"filterType": "MARKET_LOT_SIZE", "minQty": lot, "maxQty": lots_max,
               "stepSize": lot}),
    ];
    let least = money::decimal(value_min).to_string();
    if line.is_spot() {
        let down = Decimal::ONE / Decimal::from(band);
        let (up, down) = (band.to_string(), down.to_string());
        all.push(json!({"filterType": "PERCENT_PRICE_BY_SIDE", "bidMultiplierUp": up,
                        "bidMultiplierDown": down, "askMultiplierUp": up,
                        "askMultiplierDown": down, "avgPriceMins": 0}));
        all.push(json!({"filterType": "NOTIONAL", "minNotional": least, "applyMinToMarket": true,
                        "maxNotional": "9000000.00000000", "applyMaxToMarket": false,
                        "avgPriceMins": 0}));
        all.push(json!({"filterType": "MAX_NUM_ORDERS", "maxNumOrders": open_orders_max}));
        return all.into();
    }
    all.push(json!({"filterType": "MAX_NUM_ORDERS", "limit": open_orders_max}));
    if line.sort == Sort::Linear {
        all.push(json!({"filterType": "MIN_NOTIONAL", "notional": least}));
    }
    all.into()
}
