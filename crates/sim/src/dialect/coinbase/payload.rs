//! What the venue's messages look like, and what REST shares with them.

use std::collections::BTreeSet;

use model::{Nanos, Side};
use serde_json::{Value, json};

use super::{Coinbase, SIZE_PLACES, place};
use crate::digits::{fixed, rfc3339};
use crate::market::Market;
use crate::market::instrument::Instrument;
use crate::market::money;
use crate::market::order::{Index, Trade};

/// A time as everything here writes it.
pub(super) fn time(at: Nanos) -> String {
    rfc3339(at, 6)
}

pub(super) fn price(of: &Instrument, ticks: u64) -> String {
    of.tick.decimal(ticks).to_string()
}

/// A size with all of its places, as books have it.
pub(super) fn size(of: &Instrument, lots: u64) -> String {
    fixed(of.lot.decimal(lots), SIZE_PLACES)
}

/// A size without trailing zeros, as trades have it.
pub(super) fn short_size(of: &Instrument, lots: u64) -> String {
    of.lot.decimal(lots).normalize().to_string()
}

fn word(side: Side) -> &'static str {
    if side == Side::Buy { "buy" } else { "sell" }
}

/// The side of the order that waited.
pub(super) fn maker_side(trade: &Trade) -> &'static str {
    word(if trade.aggressor == Side::Buy { Side::Sell } else { Side::Buy })
}

/// An order's number as the UUID that the venue would have given it.
fn order_id(index: Index, id: u64) -> String {
    format!("{index:08x}-0000-4000-8000-{:012x}", id & 0xffff_ffff_ffff)
}

impl Coinbase {
    pub(super) fn snapshot(&self, market: &Market, index: Index) -> String {
        let (of, book) = (market.instrument(index), market.book(index));
        let side = |side| {
            let level = |(ticks, lots)| format!(r#"["{}","{}"]"#, price(of, ticks), size(of, lots));
            book.levels(side).map(level).collect::<Vec<_>>().join(",")
        };
        format!(
            r#"{{"type":"snapshot","product_id":"{}","asks":[{}],"bids":[{}]}}"#,
            self.products[index].id,
            side(Side::Sell),
            side(Side::Buy)
        )
    }

    /// What stands now where something has changed; a size of 0 is a level that is gone.
    pub(super) fn update(
        &self,
        market: &Market,
        now: Nanos,
        index: Index,
        changed: &[BTreeSet<u64>; 2],
    ) -> String {
        let (of, book) = (market.instrument(index), market.book(index));
        let changes = [Side::Buy, Side::Sell].into_iter().flat_map(|side| {
            changed[place(side)].iter().map(move |ticks| {
                let lots = size(of, book.lots(side, *ticks));
                format!(r#"["{}","{}","{lots}"]"#, word(side), price(of, *ticks))
            })
        });
        format!(
            r#"{{"type":"l2update","product_id":"{}","changes":[{}],"time":"{}"}}"#,
            self.products[index].id,
            changes.collect::<Vec<_>>().join(","),
            time(now)
        )
    }

    /// A trade that has just been numbered, or the last one.
    pub(super) fn matched(
        &self,
        market: &Market,
        index: Index,
        trade: &Trade,
        kind: &str,
    ) -> String {
        let of = market.instrument(index);
        format!(
            r#"{{"type":"{kind}","trade_id":{},"maker_order_id":"{}","taker_order_id":"{}","side":"{}","size":"{}","price":"{}","product_id":"{}","sequence":{},"time":"{}"}}"#,
            trade.id,
            order_id(index, trade.maker),
            order_id(index, trade.taker),
            maker_side(trade),
            short_size(of, trade.lots),
            price(of, trade.ticks),
            self.products[index].id,
            self.products[index].match_sequence,
            time(trade.at)
        )
    }

    /// The last trade and the day. The market knows no more than a day, so that 30 days are one;
    /// `side` is the one who took, unlike that of a match.
    pub(super) fn ticker(&self, market: &Market, index: Index, last: &Trade) -> String {
        let (of, day) = (market.instrument(index), market.tape(index).day());
        let [bid, ask] = market.best(index).map(Option::unwrap_or_default);
        format!(
            r#"{{"type":"ticker","sequence":{},"product_id":"{}","price":"{}","open_24h":"{}","volume_24h":"{volume}","low_24h":"{}","high_24h":"{}","volume_30d":"{volume}","best_bid":"{}","best_bid_size":"{}","best_ask":"{}","best_ask_size":"{}","side":"{}","time":"{}","trade_id":{},"last_size":"{}"}}"#,
            self.products[index].match_sequence,
            self.products[index].id,
            price(of, last.ticks),
            price(of, day.open),
            price(of, day.low),
            price(of, day.high),
            price(of, bid.0),
            size(of, bid.1),
            price(of, ask.0),
            size(of, ask.1),
            word(last.aggressor),
            time(last.at),
            last.id,
            short_size(of, last.lots),
            volume = size(of, day.lots)
        )
    }

    pub(super) fn heartbeat(&self, market: &Market, now: Nanos, index: Index) -> String {
        let last = market.tape(index).next_trade().saturating_sub(1);
        format!(
            r#"{{"type":"heartbeat","last_trade_id":{last},"product_id":"{}","sequence":{},"time":"{}"}}"#,
            self.products[index].id,
            self.products[index].sequence,
            time(now)
        )
    }

    pub(super) fn status(&self, market: &Market) -> String {
        let products: Vec<_> =
            (0..self.products.len()).map(|index| self.product(market, index)).collect();
        json!({"type": "status", "products": products, "currencies": currencies(market)})
            .to_string()
    }

    /// A product as `status` and REST list it.
    pub(super) fn product(&self, market: &Market, index: Index) -> Value {
        let (of, id) = (market.instrument(index), &self.products[index].id);
        json!({
            "id": id,
            "base_currency": of.base,
            "quote_currency": of.quote,
            "quote_increment": price(of, 1),
            "base_increment": of.lot.decimal(1).to_string(),
            "display_name": id,
            "min_market_funds": money::decimal(of.value_min).to_string(),
            "margin_enabled": false,
            "post_only": false,
            "limit_only": false,
            "cancel_only": false,
            "status": "online",
            "status_message": "",
            "trading_disabled": false,
            "fx_stablecoin": false,
            "max_slippage_percentage": "0.02000000",
            "auction_mode": false,
        })
    }
}

/// All currencies, as `status` and REST list them.
pub(super) fn currencies(market: &Market) -> Vec<Value> {
    let currency = |name: &str| {
        let is_fiat = matches!(name, "USD" | "EUR" | "GBP");
        json!({
            "id": name,
            "name": name,
            "min_size": "0.00000001",
            "status": "online",
            "message": "",
            "max_precision": if is_fiat { "0.01" } else { "0.00000001" },
            "convertible_to": [],
            "details": {"type": if is_fiat { "fiat" } else { "crypto" }, "sort_order": 0},
            "default_network": "",
            "supported_networks": [],
        })
    };
    market.assets().iter().map(|name| currency(name)).collect()
}
