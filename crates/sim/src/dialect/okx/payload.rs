//! What the venue's messages and rows look like.

use std::collections::BTreeMap;

use model::{Decimal, Nanos, Side};

use super::{BARS, Feed, INST_TYPES, LEVELS, LEVELS_FEW, Okx, QUIET, Sides, Topic, inst_type, ms};
use crate::market::Market;
use crate::market::instrument::{Instrument, Settlement};
use crate::market::money;
use crate::market::order::{Index, Trade};
use crate::market::tape::Candle;
use crate::venue::Floor;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// Funding is paid so often.
const FUNDING_MS: u64 = 8 * HOUR_MS;
/// What everybody pays here.
const FUNDING_RATE: &str = "0.0001";
/// Every instrument has been listed since then: 2020-01-01.
const LISTED_MS: u64 = 1_577_836_800_000;

/// Dollars that an order may be worth: more than any of the most lots is.
const AMOUNT_MAX: &str = "1000000000000";

/// The best levels of a book.
pub(super) fn visible(market: &Market, index: Index, depth: usize) -> Sides {
    let book = market.book(index);
    [Side::Buy, Side::Sell].map(|side| book.levels(side).take(depth).collect())
}

/// The candle that began then, where it is over.
pub(super) fn ended(market: &Market, index: Index, bar: usize, opened: Nanos) -> Option<Candle> {
    let candles = market.tape(index).candles(BARS[bar].1);
    let (_, over) = candles.split_last()?;
    over.iter().find(|candle| candle.opened == opened).copied()
}

/// Numbers are written as short as they go.
pub(super) fn short(value: Decimal) -> String {
    value.normalize().to_string()
}

pub(super) fn price(of: &Instrument, ticks: u64) -> String {
    short(of.tick.decimal(ticks))
}

pub(super) fn size(of: &Instrument, lots: u64) -> String {
    short(of.lot.decimal(lots))
}

/// What was traded: in base currency or contracts; in quote currency, of a swap in base currency;
/// in quote currency.
fn volumes(of: &Instrument, candle: &Candle) -> [String; 3] {
    let contracts = of.lot.decimal(candle.lots);
    let value = money::decimal(candle.value);
    let [second, third] = match of.settlement {
        Settlement::Spot => [value, value],
        Settlement::Linear { size } => [contracts * size.decimal(1), value],
        Settlement::Inverse { size } => [value, contracts * Decimal::from(size)],
    };
    [contracts, second, third].map(short)
}

/// `[ts,o,h,l,c,vol,volCcy,volCcyQuote,confirm]`.
pub(super) fn candle_row(of: &Instrument, candle: &Candle, ended: bool) -> String {
    let [volume, currency, quote] = volumes(of, candle);
    format!(
        r#"["{}","{}","{}","{}","{}","{volume}","{currency}","{quote}","{}"]"#,
        ms(candle.opened),
        price(of, candle.open),
        price(of, candle.high),
        price(of, candle.low),
        price(of, candle.close),
        u8::from(ended)
    )
}

/// One side: price, size, a zero that once meant something, and the number of orders.
fn levels(market: &Market, index: Index, side: Side, levels: &[(u64, u64)]) -> String {
    let (of, book) = (market.instrument(index), market.book(index));
    let level = |(ticks, lots): &(u64, u64)| {
        // Shown late, a level may have lost its orders since.
        let orders = if *lots == 0 { 0 } else { book.orders_at(side, *ticks).max(1) };
        format!(r#"["{}","{}","0","{orders}"]"#, price(of, *ticks), size(of, *lots))
    };
    levels.iter().map(level).collect::<Vec<_>>().join(",")
}

/// `"asks":[…],"bids":[…],"ts":"…"`.
fn book(market: &Market, now: Nanos, index: Index, [bids, asks]: &Sides) -> String {
    format!(
        r#""asks":[{}],"bids":[{}],"ts":"{}""#,
        levels(market, index, Side::Sell, asks),
        levels(market, index, Side::Buy, bids),
        ms(now)
    )
}

impl Okx {
    /// What a client says to subscribe to it.
    pub(super) fn arg(&self, topic: Topic) -> String {
        let channel = |name: &str, index: Index| {
            format!(r#"{{"channel":"{name}","instId":"{}"}}"#, self.feeds[index].inst_id)
        };
        match topic {
            Topic::Books(index) => channel("books", index),
            Topic::Books5(index) => channel("books5", index),
            Topic::Bbo(index) => channel("bbo-tbt", index),
            Topic::Trades(index) => channel("trades", index),
            Topic::Ticker(index) => channel("tickers", index),
            Topic::Candle(index, bar) => channel(&format!("candle{}", BARS[bar].0), index),
            Topic::Funding(index) => channel("funding-rate", index),
            Topic::Instruments(kind) => {
                format!(r#"{{"channel":"instruments","instType":"{kind}"}}"#)
            }
        }
    }

    /// A push of rows.
    pub(super) fn push(&self, topic: Topic, rows: &str) -> String {
        format!(r#"{{"arg":{},"data":[{rows}]}}"#, self.arg(topic))
    }

    /// How things stand, as a new listener is told them; there is nothing to tell of trades.
    pub(super) fn state(&self, floor: &mut Floor<'_>, topic: Topic) -> Option<String> {
        let now = floor.now;
        let row = match topic {
            Topic::Books(index) => return self.snapshot(floor.market, index),
            Topic::Trades(_) => return None,
            Topic::Books5(index) => {
                let book = self.book_fields(floor.market, now, index, LEVELS_FEW);
                format!(r#"{{{book},"instId":"{}"}}"#, self.feeds[index].inst_id)
            }
            Topic::Bbo(index) => {
                format!("{{{}}}", self.book_fields(floor.market, now, index, 1))
            }
            Topic::Ticker(index) => self.ticker_row(floor, index),
            Topic::Candle(index, bar) => {
                let candle = floor.market.roll(index, now).candle(BARS[bar].1);
                candle_row(floor.market.instrument(index), &candle, false)
            }
            Topic::Funding(index) => self.funding_row(now, index),
            Topic::Instruments(kind) => self.instrument_rows(floor.market, kind, None),
        };
        Some(self.push(topic, &row))
    }

    /// The book as `books` has shown it to everybody.
    fn snapshot(&self, market: &Market, index: Index) -> Option<String> {
        let told = self.feeds[index].told.as_ref()?;
        let [bids, asks] = &told.sides;
        let sides = [
            bids.iter().rev().map(|(ticks, lots)| (*ticks, *lots)).collect(),
            asks.iter().map(|(ticks, lots)| (*ticks, *lots)).collect(),
        ];
        let book = book(market, told.at, index, &sides);
        Some(self.books("snapshot", index, &book, "-1", told.seq))
    }

    /// What has changed since `books` was last told, where anything has, or for long nothing.
    pub(super) fn update(&mut self, floor: &Floor<'_>, index: Index) -> Option<String> {
        let Feed { seq, told, .. } = &mut self.feeds[index];
        let told = told.as_mut()?;
        if *seq == told.seq && floor.now.since(told.at) < QUIET {
            return None;
        }
        let visible = visible(floor.market, index, LEVELS).map(BTreeMap::from_iter);
        let changes: Sides = std::array::from_fn(|side| {
            let (before, after) = (&told.sides[side], &visible[side]);
            // What fell out of the depth is gone for a client, as if it were no more.
            let gone = before.keys().filter(|ticks| !after.contains_key(ticks));
            let is_new = |(ticks, lots): &(&u64, &u64)| before.get(ticks) != Some(lots);
            let new = after.iter().filter(is_new).map(|(ticks, lots)| (*ticks, *lots));
            gone.map(|ticks| (*ticks, 0)).chain(new).collect()
        });
        let previous = std::mem::replace(&mut told.seq, *seq).to_string();
        (told.at, told.sides) = (floor.now, visible);
        let seq = *seq;
        let book = book(floor.market, floor.now, index, &changes);
        Some(self.books("update", index, &book, &previous, seq))
    }

    /// A message of `books`. Its checksum is 0 since 2026-06-23.
    fn books(&self, action: &str, index: Index, book: &str, previous: &str, seq: u64) -> String {
        format!(
            r#"{{"arg":{},"action":"{action}","data":[{{{book},"checksum":0,"seqId":{seq},"prevSeqId":{previous}}}]}}"#,
            self.arg(Topic::Books(index))
        )
    }

    /// The best levels as they are now: the fields of an object.
    pub(super) fn book_fields(
        &self,
        market: &Market,
        now: Nanos,
        index: Index,
        depth: usize,
    ) -> String {
        let book = book(market, now, index, &visible(market, index, depth));
        format!(r#"{book},"seqId":{}"#, self.feeds[index].seq)
    }

    /// One order's trades at one price, called by the last one's id.
    pub(super) fn trade_row(&self, market: &Market, index: Index, same: &[Trade]) -> String {
        let Some(last) = same.last() else { return String::new() };
        let (of, Feed { inst_id, seq, .. }) = (market.instrument(index), &self.feeds[index]);
        let side = if last.aggressor == Side::Buy { "buy" } else { "sell" };
        format!(
            r#"{{"instId":"{inst_id}","tradeId":"{}","px":"{}","sz":"{}","side":"{side}","ts":"{}","count":"{}","source":"0","seqId":{seq}}}"#,
            last.id,
            price(of, last.ticks),
            size(of, same.iter().map(|trade| trade.lots).sum()),
            ms(last.at),
            same.len()
        )
    }

    pub(super) fn ticker_row(&self, floor: &mut Floor<'_>, index: Index) -> String {
        let now_ms = ms(floor.now);
        floor.market.roll(index, floor.now);
        let market = &*floor.market;
        let (of, tape) = (market.instrument(index), market.tape(index));
        let (day, hours) = (tape.day(), tape.candles(60));
        let [(bid, bid_lots), (ask, ask_lots)] = market.best(index).map(Option::unwrap_or_default);
        // The price at the beginning of the day, in UTC and eight hours east of it.
        let since = |shift_ms: u64| {
            let begin_ms = (now_ms + shift_ms) / DAY_MS * DAY_MS - shift_ms;
            let first = hours.iter().find(|candle| ms(candle.opened) >= begin_ms);
            price(of, first.map_or(day.open, |candle| candle.open))
        };
        let [volume, currency, _] = volumes(of, &day);
        format!(
            r#"{{"instType":"{}","instId":"{}","last":"{}","lastSz":"{}","askPx":"{}","askSz":"{}","bidPx":"{}","bidSz":"{}","open24h":"{}","high24h":"{}","low24h":"{}","sodUtc0":"{}","sodUtc8":"{}","volCcy24h":"{currency}","vol24h":"{volume}","ts":"{now_ms}"}}"#,
            inst_type(of),
            self.feeds[index].inst_id,
            price(of, tape.last()),
            size(of, tape.trades().back().map_or(0, |trade| trade.lots)),
            price(of, ask),
            size(of, ask_lots),
            price(of, bid),
            size(of, bid_lots),
            price(of, day.open),
            price(of, day.high),
            price(of, day.low),
            since(0),
            since(8 * HOUR_MS),
        )
    }

    pub(super) fn funding_row(&self, now: Nanos, index: Index) -> String {
        let next_ms = (ms(now) / FUNDING_MS + 1) * FUNDING_MS;
        format!(
            r#"{{"formulaType":"withRate","fundingRate":"{FUNDING_RATE}","fundingTime":"{next_ms}","impactValue":"20000","instId":"{}","instType":"SWAP","interestRate":"{FUNDING_RATE}","maxFundingRate":"0.00375","method":"current_period","minFundingRate":"-0.00375","nextFundingRate":"","nextFundingTime":"{}","premium":"0","settFundingRate":"{FUNDING_RATE}","settState":"settled","ts":"{}"}}"#,
            self.feeds[index].inst_id,
            next_ms + FUNDING_MS,
            ms(now)
        )
    }

    /// The instruments of one sort, or the one that is named.
    pub(super) fn instrument_rows(
        &self,
        market: &Market,
        kind: &str,
        inst_id: Option<&str>,
    ) -> String {
        let wanted = |index: &Index| {
            inst_type(market.instrument(*index)) == kind
                && inst_id.is_none_or(|id| self.feeds[*index].inst_id == id)
        };
        let rows = (0..self.feeds.len()).filter(wanted);
        rows.map(|index| self.instrument_row(market, index)).collect::<Vec<_>>().join(",")
    }

    fn instrument_row(&self, market: &Market, index: Index) -> String {
        let of = market.instrument(index);
        let Instrument { base, quote, .. } = of;
        let sort = match of.settlement {
            Settlement::Spot => format!(
                r#""instFamily":"","uly":"","baseCcy":"{base}","quoteCcy":"{quote}","settleCcy":"","ctType":"","ctVal":"","ctMult":"","ctValCcy":"","lever":"""#
            ),
            Settlement::Linear { size } => format!(
                r#""instFamily":"{base}-{quote}","uly":"{base}-{quote}","baseCcy":"","quoteCcy":"","settleCcy":"{quote}","ctType":"linear","ctVal":"{}","ctMult":"1","ctValCcy":"{base}","lever":"100""#,
                short(size.decimal(1))
            ),
            Settlement::Inverse { size } => format!(
                r#""instFamily":"{base}-{quote}","uly":"{base}-{quote}","baseCcy":"","quoteCcy":"","settleCcy":"{base}","ctType":"inverse","ctVal":"{size}","ctMult":"1","ctValCcy":"{quote}","lever":"100""#
            ),
        };
        let (lot, max) = (size(of, 1), size(of, of.lots_max));
        let is_spot = matches!(of.settlement, Settlement::Spot);
        let quotes = if is_spot { format!(r#"["{quote}"]"#) } else { "[]".to_owned() };
        format!(
            r#"{{"instType":"{}","instId":"{}","instIdCode":{},{sort},"alias":"","category":"1","groupId":"1","expTime":"","listTime":"{LISTED_MS}","contTdSwTime":"{LISTED_MS}","preMktSwTime":"","openType":"","auctionEndTime":"","futureSettlement":false,"lotSz":"{lot}","maxLmtSz":"{max}","maxMktSz":"{max}","maxLmtAmt":"{AMOUNT_MAX}","maxMktAmt":"{}","maxTwapSz":"{max}","maxIcebergSz":"{max}","maxTriggerSz":"{max}","maxStopSz":"{max}","minSz":"{lot}","optType":"","ruleType":"normal","state":"live","stk":"","tickSz":"{}","tradeQuoteCcyList":{quotes}}}"#,
            inst_type(of),
            self.feeds[index].inst_id,
            index + 1,
            if is_spot { AMOUNT_MAX } else { "" },
            price(of, 1),
        )
    }
}

/// The sort of that name.
pub(super) fn find_type(name: &str) -> Option<&'static str> {
    INST_TYPES.into_iter().find(|known| *known == name)
}
