//! Payloads: what the simulator writes, field by field as the documentation shows it.
//!
//! Sources: binance-spot-api-docs `web-socket-streams.md` and `rest-api.md`; developers.binance.com,
//! USDⓈ-M and COIN-M futures, "Websocket Market Streams" and the requests' pages.

use std::fmt::{self, Write as _};

use model::{Nanos, Side};

use super::feed::{AggTrade, Diff, Feed};
use super::line::{Line, Sort};
use super::list::contract_type;
use super::streams::INTERVALS;
use crate::market::Market;
use crate::market::bar::Bar;
use crate::market::instrument::Instrument;
use crate::market::money::{Amount, PLACES};
use crate::market::order::{Index, Trade};
use crate::market::tape::Candle;

/// Spot prints all numbers with eight places; futures as many as the step has.
const SPOT_PLACES: u32 = 8;

/// A number with its places.
#[derive(Clone, Copy, Debug)]
pub struct Fixed {
    units: i128,
    places: u32,
}

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.places == 0 {
            return write!(f, "{}", self.units);
        }
        let one = 10_u128.pow(self.places);
        let (sign, units) = (if self.units < 0 { "-" } else { "" }, self.units.unsigned_abs());
        write!(f, "{sign}{}.{:0width$}", units / one, units % one, width = self.places as usize)
    }
}

/// How an instrument's numbers are written.
#[derive(Clone, Copy)]
pub struct Print<'a> {
    line: &'a Line,
    /// The instrument.
    pub instrument: &'a Instrument,
    /// Its symbol.
    pub symbol: &'a str,
}

impl<'a> Print<'a> {
    /// For one instrument.
    #[must_use]
    pub fn new(line: &'a Line, market: &'a Market, feed: &'a Feed) -> Self {
        Self { line, instrument: market.instrument(feed.index), symbol: &feed.symbol }
    }

    fn padded(self, units: i128, places: u32) -> Fixed {
        match SPOT_PLACES.checked_sub(places).filter(|_| self.line.is_spot()) {
            Some(more) => Fixed { units: units * 10_i128.pow(more), places: SPOT_PLACES },
            None => Fixed { units, places },
        }
    }

    /// A price.
    #[must_use]
    pub fn price(self, ticks: u64) -> Fixed {
        let tick = self.instrument.tick;
        self.padded(i128::from(ticks) * i128::from(tick.units), tick.places)
    }

    /// A difference of prices.
    #[must_use]
    pub fn change(self, from: u64, to: u64) -> Fixed {
        let tick = self.instrument.tick;
        let ticks = i128::from(to) - i128::from(from);
        self.padded(ticks * i128::from(tick.units), tick.places)
    }

    /// A quantity.
    #[must_use]
    pub fn quantity(self, lots: u64) -> Fixed {
        let lot = self.instrument.lot;
        self.padded(i128::from(lots) * i128::from(lot.units), lot.places)
    }

    /// What trades were worth: eight places, rounded down.
    #[must_use]
    pub fn amount(self, amount: Amount) -> Fixed {
        eight_places(amount)
    }

    /// The price at which so much was traded on average, to a tick.
    #[must_use]
    pub fn average(self, candle: &Candle) -> Fixed {
        let one = self.instrument.value(1, candle.lots);
        let average = match self.line.sort {
            Sort::Inverse => None,
            _ => candle.value.checked_div(one).and_then(|ticks| u64::try_from(ticks).ok()),
        };
        self.price(average.unwrap_or(candle.close))
    }

    /// The price at which so much was executed on average, three places finer than a tick; 0 for
    /// nothing.
    #[must_use]
    pub fn mean(self, value: Amount, lots: u64) -> Fixed {
        let tick = self.instrument.tick;
        let thousandths = (value * 1_000).checked_div(self.instrument.value(1, lots)).unwrap_or(0);
        Fixed { units: thousandths * i128::from(tick.units), places: tick.places + 3 }
    }

    /// A number with eight places that is so many millionths.
    #[must_use]
    pub fn millionths(self, ppm: u32) -> Fixed {
        Fixed { units: i128::from(ppm) * 100, places: SPOT_PLACES }
    }

    /// The name of a pair beside the symbol, as COIN-M has it in its messages.
    fn pair(self) -> String {
        match self.line.sort {
            Sort::Inverse => {
                format!(r#","ps":"{}{}""#, self.instrument.base, self.instrument.quote)
            }
            _ => String::new(),
        }
    }

    /// `[["price","quantity"],…]`.
    pub fn levels(self, levels: impl Iterator<Item = (u64, u64)>) -> String {
        let mut text = String::from("[");
        for (ticks, lots) in levels {
            let comma = if text.len() > 1 { "," } else { "" };
            // A `String` takes whatever is written.
            let _ = write!(text, r#"{comma}["{}","{}"]"#, self.price(ticks), self.quantity(lots));
        }
        text.push(']');
        text
    }

    /// `aggTrade`.
    #[must_use]
    pub fn agg_trade(self, now: Nanos, agg: &AggTrade) -> String {
        let AggTrade { id, trade, last } = agg;
        let (event_ms, symbol, at_ms) = (ms(now), self.symbol, ms(trade.at));
        let (price, quantity, first) =
            (self.price(trade.ticks), self.quantity(trade.lots), trade.id);
        let maker = trade.aggressor == Side::Sell;
        if self.line.is_spot() {
            return format!(
                r#"{{"e":"aggTrade","E":{event_ms},"s":"{symbol}","a":{id},"p":"{price}","q":"{quantity}","f":{first},"l":{last},"T":{at_ms},"m":{maker},"M":true}}"#
            );
        }
        format!(
            r#"{{"e":"aggTrade","E":{event_ms},"a":{id},"s":"{symbol}","p":"{price}","q":"{quantity}","f":{first},"l":{last},"T":{at_ms},"m":{maker}}}"#
        )
    }

    /// `trade`.
    #[must_use]
    pub fn trade(self, now: Nanos, trade: &Trade) -> String {
        let (event_ms, symbol, id, at_ms) = (ms(now), self.symbol, trade.id, ms(trade.at));
        let (price, quantity) = (self.price(trade.ticks), self.quantity(trade.lots));
        let maker = trade.aggressor == Side::Sell;
        let last = if self.line.is_spot() { r#","M":true"# } else { r#","X":"MARKET""# };
        format!(
            r#"{{"e":"trade","E":{event_ms},"T":{at_ms},"s":"{symbol}","t":{id},"p":"{price}","q":"{quantity}","m":{maker}{last}}}"#
        )
    }

    /// `bookTicker`; a side without orders is zero.
    #[must_use]
    pub fn quote(self, now: Nanos, update_id: u64, best: [Option<(u64, u64)>; 2]) -> String {
        let [(bid, bid_lots), (ask, ask_lots)] = best.map(Option::unwrap_or_default);
        let symbol = self.symbol;
        let levels = format!(
            r#""b":"{}","B":"{}","a":"{}","A":"{}""#,
            self.price(bid),
            self.quantity(bid_lots),
            self.price(ask),
            self.quantity(ask_lots)
        );
        if self.line.is_spot() {
            return format!(r#"{{"u":{update_id},"s":"{symbol}",{levels}}}"#);
        }
        let (at_ms, pair) = (ms(now), self.pair());
        format!(
            r#"{{"e":"bookTicker","u":{update_id},"s":"{symbol}"{pair},{levels},"T":{at_ms},"E":{at_ms}}}"#
        )
    }

    /// `depthUpdate`.
    #[must_use]
    pub fn diff(self, now: Nanos, diff: &Diff) -> String {
        let Diff { first, last, previous, levels: [bids, asks] } = diff;
        let level = |(ticks, lots): (&u64, &u64)| (*ticks, *lots);
        let (bids, asks) =
            (self.levels(bids.iter().rev().map(level)), self.levels(asks.iter().map(level)));
        let (at_ms, symbol) = (ms(now), self.symbol);
        if self.line.is_spot() {
            return format!(
                r#"{{"e":"depthUpdate","E":{at_ms},"s":"{symbol}","U":{first},"u":{last},"b":{bids},"a":{asks}}}"#
            );
        }
        let pair = self.pair();
        format!(
            r#"{{"e":"depthUpdate","E":{at_ms},"T":{at_ms},"s":"{symbol}"{pair},"U":{first},"u":{last},"pu":{previous},"b":{bids},"a":{asks}}}"#
        )
    }

    /// The best levels: a REST answer, and what spot sends on `depth<levels>`.
    #[must_use]
    pub fn depth(self, now: Nanos, feed: &Feed, market: &Market, levels: usize) -> String {
        let side = |side| self.levels(market.book(feed.index).levels(side).take(levels));
        let (bids, asks) = (side(Side::Buy), side(Side::Sell));
        let (last_id, at_ms) = (feed.last_id, ms(now));
        let mut times = String::new();
        if !self.line.is_spot() {
            times = format!(r#","E":{at_ms},"T":{at_ms}"#);
        }
        if self.line.sort == Sort::Inverse {
            let (symbol, pair) = (self.symbol, self.pair_name());
            times = format!(r#","symbol":"{symbol}","pair":"{pair}"{times}"#);
        }
        format!(r#"{{"lastUpdateId":{last_id}{times},"bids":{bids},"asks":{asks}}}"#)
    }

    /// What futures send on `depth<levels>`: a diff with all of the best levels.
    #[must_use]
    pub fn partial(self, now: Nanos, feed: &Feed, market: &Market, levels: usize) -> String {
        if self.line.is_spot() {
            return self.depth(now, feed, market, levels);
        }
        let best = |side| market.book(feed.index).levels(side).take(levels).collect();
        let levels = [best(Side::Buy), best(Side::Sell)];
        let id = feed.last_id;
        self.diff(now, &Diff { first: id, last: id, previous: id, levels })
    }

    /// Base and quote without a mark between them.
    #[must_use]
    pub fn pair_name(self) -> String {
        format!("{}{}", self.instrument.base, self.instrument.quote)
    }

    /// `kline`.
    #[must_use]
    pub fn kline(self, now: Nanos, interval: usize, candle: &Candle, closed: bool) -> String {
        let (event_ms, symbol) = (ms(now), self.symbol);
        let of = format!(r#""s":"{symbol}","#);
        let candle = self.candle_fields(interval, candle, closed, &of);
        format!(r#"{{"e":"kline","E":{event_ms},"s":"{symbol}","k":{candle}}}"#)
    }

    /// `continuous_kline`: the same of a pair's contract.
    #[must_use]
    pub fn continuous_kline(
        self,
        now: Nanos,
        interval: usize,
        candle: &Candle,
        closed: bool,
    ) -> String {
        let (event_ms, pair) = (ms(now), self.pair_name());
        let kind = contract_type(self.instrument);
        let candle = self.candle_fields(interval, candle, closed, "");
        format!(
            r#"{{"e":"continuous_kline","E":{event_ms},"ps":"{pair}","ct":"{kind}","k":{candle}}}"#
        )
    }

    /// A candle in a message; `of` says whose it is.
    fn candle_fields(self, interval: usize, candle: &Candle, closed: bool, of: &str) -> String {
        let (name, bar) = INTERVALS.get(interval).copied().unwrap_or(INTERVALS[0]);
        let open_ms = ms(candle.opened);
        let close_ms = ms(bar.end(candle.opened)) - 1;
        let (first, last, count) = (candle.first_trade, candle.last_trade(), candle.trades);
        let Volumes { volume, quote, taker, taker_quote } = self.volumes(candle);
        let (open, close) = (self.price(candle.open), self.price(candle.close));
        let (high, low) = (self.price(candle.high), self.price(candle.low));
        format!(
            r#"{{"t":{open_ms},"T":{close_ms},{of}"i":"{name}","f":{first},"L":{last},"o":"{open}","c":"{close}","h":"{high}","l":"{low}","v":"{volume}","n":{count},"x":{closed},"q":"{quote}","V":"{taker}","Q":"{taker_quote}","B":"0"}}"#
        )
    }

    /// A row of `klines`.
    #[must_use]
    pub fn kline_row(self, bar: Bar, candle: &Candle) -> String {
        let open_ms = ms(candle.opened);
        let close_ms = ms(bar.end(candle.opened)) - 1;
        let Volumes { volume, quote, taker, taker_quote } = self.volumes(candle);
        format!(
            r#"[{open_ms},"{}","{}","{}","{}","{volume}",{close_ms},"{quote}",{},"{taker}","{taker_quote}","0"]"#,
            self.price(candle.open),
            self.price(candle.high),
            self.price(candle.low),
            self.price(candle.close),
            candle.trades
        )
    }

    /// Quantity and what it was worth; on COIN-M contracts and base currency.
    #[must_use]
    pub fn volumes(self, candle: &Candle) -> Volumes {
        Volumes {
            volume: self.quantity(candle.lots),
            quote: self.amount(candle.value),
            taker: self.quantity(candle.taker_lots),
            taker_quote: self.amount(candle.taker_value),
        }
    }

    /// `24hrTicker`.
    #[must_use]
    pub fn day(self, now: Nanos, market: &Market, feed: &Feed) -> String {
        let day = Day::new(self, market, feed);
        let (at_ms, symbol, pair) = (ms(now), self.symbol, self.pair());
        let Day { change, percent, average, last, last_quantity, candle, .. } = &day;
        let best = if self.line.is_spot() {
            let [(bid, bid_lots), (ask, ask_lots)] = day.best;
            format!(
                r#","b":"{}","B":"{}","a":"{}","A":"{}""#,
                self.price(bid),
                self.quantity(bid_lots),
                self.price(ask),
                self.quantity(ask_lots)
            )
        } else {
            String::new()
        };
        let before = if self.line.is_spot() {
            format!(r#","x":"{}""#, self.price(candle.open))
        } else {
            String::new()
        };
        let Volumes { volume, quote, .. } = self.volumes(candle);
        format!(
            r#"{{"e":"24hrTicker","E":{at_ms},"s":"{symbol}"{pair},"p":"{change}","P":"{percent}","w":"{average}"{before},"c":"{last}","Q":"{last_quantity}"{best},"o":"{}","h":"{}","l":"{}","v":"{volume}","q":"{quote}","O":{},"C":{at_ms},"F":{},"L":{},"n":{}}}"#,
            self.price(candle.open),
            self.price(candle.high),
            self.price(candle.low),
            ms(candle.opened),
            candle.first_trade,
            candle.last_trade(),
            candle.trades
        )
    }

    /// `24hrMiniTicker`.
    #[must_use]
    pub fn mini_day(self, now: Nanos, candle: &Candle) -> String {
        let (at_ms, symbol, pair) = (ms(now), self.symbol, self.pair());
        let Volumes { volume, quote, .. } = self.volumes(candle);
        format!(
            r#"{{"e":"24hrMiniTicker","E":{at_ms},"s":"{symbol}"{pair},"c":"{}","o":"{}","h":"{}","l":"{}","v":"{volume}","q":"{quote}"}}"#,
            self.price(candle.close),
            self.price(candle.open),
            self.price(candle.high),
            self.price(candle.low)
        )
    }

    /// `markPriceUpdate`.
    #[must_use]
    pub fn mark(self, now: Nanos, funding: &Funding) -> String {
        let (at_ms, symbol) = (ms(now), self.symbol);
        let Funding { mark, rate, next_ms } = funding;
        // The index's symbol is quoted apart on COIN-M; its price is in the message of all lines.
        format!(
            r#"{{"e":"markPriceUpdate","E":{at_ms},"s":"{symbol}","p":"{mark}","i":"{mark}","P":"{mark}","r":"{rate}","T":{next_ms}}}"#
        )
    }
}

/// The volumes of a candle, written.
pub struct Volumes {
    /// In base currency or contracts.
    pub volume: Fixed,
    /// In quote currency; on COIN-M in base currency.
    pub quote: Fixed,
    /// What of it was bought by orders that did not wait.
    pub taker: Fixed,
    /// What that was worth.
    pub taker_quote: Fixed,
}

/// The statistics of a day.
pub struct Day {
    /// Last price less the first.
    pub change: Fixed,
    /// The same in percent.
    pub percent: Fixed,
    /// Weighted by volume.
    pub average: Fixed,
    /// Last price.
    pub last: Fixed,
    /// Last quantity.
    pub last_quantity: Fixed,
    /// Ticks and lots; zeros where a side is empty.
    pub best: [(u64, u64); 2],
    /// All of it.
    pub candle: Candle,
}

impl Day {
    /// The last 24 hours of an instrument.
    #[must_use]
    pub fn new(print: Print<'_>, market: &Market, feed: &Feed) -> Self {
        let tape = market.tape(feed.index);
        let candle = tape.day();
        let change = i128::from(candle.close) - i128::from(candle.open);
        let percent = change * 100_000 / i128::from(candle.open.max(1));
        let last_lots = tape.trades().back().map_or(0, |trade| trade.lots);
        Self {
            change: print.change(candle.open, candle.close),
            percent: Fixed { units: percent, places: 3 },
            average: print.average(&candle),
            last: print.price(candle.close),
            last_quantity: print.quantity(last_lots),
            best: market.best(feed.index).map(Option::unwrap_or_default),
            candle,
        }
    }
}

/// Mark price and funding of a perpetual contract.
pub struct Funding {
    /// The middle of the best levels, to a tick.
    pub mark: Fixed,
    /// Of 8 hours; empty for a contract without funding.
    pub rate: String,
    /// When it is next paid, in ms; 0 for never.
    pub next_ms: u64,
}

impl Funding {
    /// Eight hours.
    pub const EVERY_MS: u64 = 8 * 3_600_000;
    /// What everybody pays here.
    pub const RATE: &'static str = "0.00010000";

    /// As it stands.
    #[must_use]
    pub fn new(print: Print<'_>, market: &Market, feed: &Feed, now: Nanos) -> Self {
        let middle = middle(market, feed.index);
        let perpetual = print.instrument.contract == model::instrument::Contract::Perpetual;
        Self {
            mark: print.price(middle),
            rate: if perpetual { Self::RATE.to_owned() } else { String::new() },
            next_ms: if perpetual { (ms(now) / Self::EVERY_MS + 1) * Self::EVERY_MS } else { 0 },
        }
    }
}

/// The middle of the best levels, to a tick; the last trade's price where one is not there.
#[must_use]
pub fn middle(market: &Market, index: Index) -> u64 {
    match market.best(index) {
        [Some((bid, _)), Some((ask, _))] => u64::midpoint(bid, ask),
        _ => market.tape(index).last(),
    }
}

/// An amount with eight places, rounded down.
#[must_use]
pub fn eight_places(amount: Amount) -> Fixed {
    Fixed { units: amount / 10_i128.pow(PLACES - SPOT_PLACES), places: SPOT_PLACES }
}

/// The time as the venue writes it.
#[must_use]
pub fn ms(at: Nanos) -> u64 {
    at.0 / 1_000_000
}
