//! The shapes that the venue really sends, followed by the cursor.
//!
//! Each function takes one entry's fields, from the opening brace or bracket on, up to and without
//! the closing one. Optional fields came or went over the years.

use std::time::Duration;

use model::event::{Kline, Ticker};
use model::{CanonicalEvent, Decimal, Level, Side};

use super::{BookFields, TradeFields, fill_kline, fill_quote, fill_ticker, span};
use crate::json::Cursor;

/// Reads a message of known shape and one entry into `event` and gives its symbol; `None` when the
/// shape is another one. The event is then half filled.
#[inline]
pub fn follow<'a>(message: &'a [u8], event: &mut CanonicalEvent) -> Option<&'a str> {
    let mut c = Cursor::new(message);
    c.lit(b"{\"arg\":{\"channel\":\"")?;
    // By how often they come.
    let symbol = if c.at(b"books\",") {
        let symbol = symbol(&mut c)?;
        c.lit(b"\"action\":\"")?;
        let snapshot = !c.at(b"update\",");
        if snapshot {
            c.lit(b"snapshot\",")?;
        }
        c.lit(b"\"data\":[{")?;
        book(&mut c, event, snapshot)?;
        symbol
    } else if c.at(b"bbo-tbt\",") {
        let symbol = symbol(&mut c)?;
        c.lit(b"\"data\":[{")?;
        quote(&mut c, event)?;
        symbol
    } else if c.at(b"trades\",") {
        let symbol = symbol(&mut c)?;
        c.lit(b"\"data\":[{")?;
        trade(&mut c, event)?;
        symbol
    } else if c.at(b"tickers\",") {
        let symbol = symbol(&mut c)?;
        c.lit(b"\"data\":[{")?;
        ticker(&mut c, event)?;
        symbol
    } else {
        c.lit(b"candle1m\",")?;
        let symbol = symbol(&mut c)?;
        c.lit(b"\"data\":[[\"")?;
        kline(&mut c, event)?;
        c.lit(b"]]}")?;
        c.end()?;
        return Some(symbol);
    };
    c.lit(b"}]}")?;
    c.end()?;
    Some(symbol)
}

/// `"instId":"BTC-USDT"},`
#[inline]
fn symbol<'a>(c: &mut Cursor<'a>) -> Option<&'a str> {
    c.lit(b"\"instId\":\"")?;
    let symbol = c.text()?;
    c.lit(b"},")?;
    Some(symbol)
}

/// `asks,bids,ts,[checksum,][seqId,prevSeqId]`, the last two in either order.
#[inline]
fn book(c: &mut Cursor<'_>, event: &mut CanonicalEvent, snapshot: bool) -> Option<()> {
    sides(c, event)?;
    let ts_event = quoted_uint(c, b",\"ts\":\"")?;
    let checksum = if c.at(b",\"checksum\":") { signed(c)? } else { 0 };
    let (mut last, mut previous) = (None, None);
    if c.at(b",\"seqId\":") {
        last = Some(c.uint()?);
        c.lit(b",\"prevSeqId\":")?;
        previous = before(c)?;
    } else if c.at(b",\"prevSeqId\":") {
        previous = before(c)?;
        c.lit(b",\"seqId\":")?;
        last = Some(c.uint()?);
    }
    BookFields { snapshot, ts_event, last, previous, checksum }.fill(event);
    Some(())
}

/// `asks,bids,ts,[seqId]`
#[inline]
fn quote(c: &mut Cursor<'_>, event: &mut CanonicalEvent) -> Option<()> {
    sides(c, event)?;
    let ts_event = quoted_uint(c, b",\"ts\":\"")?;
    let last = if c.at(b",\"seqId\":") { Some(c.uint()?) } else { None };
    fill_quote(event, last, ts_event);
    Some(())
}

/// `instId,tradeId,px,sz,side,ts,[count,][source,][seqId]`
#[inline]
fn trade(c: &mut Cursor<'_>, event: &mut CanonicalEvent) -> Option<()> {
    skip(c, b"\"instId\":\"")?;
    let id = quoted_uint(c, b",\"tradeId\":\"")?;
    let price = field(c, b",\"px\":")?;
    let quantity = field(c, b",\"sz\":")?;
    c.lit(b",\"side\":\"")?;
    let side = if c.at(b"buy\"") {
        Side::Buy
    } else {
        c.lit(b"sell\"")?;
        Side::Sell
    };
    let ts_trade = quoted_uint(c, b",\"ts\":\"")?;
    if c.at(b",\"count\":\"") {
        c.skip_text()?;
    }
    if c.at(b",\"source\":\"") {
        c.skip_text()?;
    }
    if c.at(b",\"seqId\":") {
        c.uint()?;
    }
    TradeFields { id, price, quantity, side, ts_trade }.fill(event);
    Some(())
}

/// `instType,instId,last,lastSz,askPx,askSz,bidPx,bidSz,open24h,high24h,low24h,sodUtc0,sodUtc8,
/// volCcy24h,vol24h,ts`, the two starts of the day also before the last.
#[inline]
fn ticker(c: &mut Cursor<'_>, event: &mut CanonicalEvent) -> Option<()> {
    c.lit(b"\"instType\":\"")?;
    let spot = c.text()? == "SPOT";
    skip(c, b",\"instId\":\"")?;
    let mut ticker = Ticker { last: field(c, b",\"last\":")?, ..Ticker::default() };
    ticker.last_quantity = Some(field(c, b",\"lastSz\":")?);
    ticker.ask = Some(field(c, b",\"askPx\":")?);
    skip(c, b",\"askSz\":\"")?;
    ticker.bid = Some(field(c, b",\"bidPx\":")?);
    skip(c, b",\"bidSz\":\"")?;
    ticker.open = Some(field(c, b",\"open24h\":")?);
    ticker.high = Some(field(c, b",\"high24h\":")?);
    ticker.low = Some(field(c, b",\"low24h\":")?);
    let first = starts_of_day(c)?;
    c.lit(b",\"volCcy24h\":")?;
    let value = c.quoted_decimal()?;
    ticker.quote_volume = spot.then_some(value);
    ticker.volume = Some(field(c, b",\"vol24h\":")?);
    if !first {
        starts_of_day(c)?;
    }
    let ts_event = quoted_uint(c, b",\"ts\":\"")?;
    fill_ticker(event, ts_event, &ticker);
    Some(())
}

#[inline]
fn starts_of_day(c: &mut Cursor<'_>) -> Option<bool> {
    let there = c.at(b",\"sodUtc0\":\"");
    if there {
        c.skip_text()?;
        skip(c, b",\"sodUtc8\":\"")?;
    }
    Some(there)
}

/// `ts","o","h","l","c","vol","volCcy","volCcyQuote","confirm"`
#[inline]
fn kline(c: &mut Cursor<'_>, event: &mut CanonicalEvent) -> Option<()> {
    let ts_open = c.uint()?;
    let interval = Duration::from_secs(60);
    let (ts_open, ts_close) = span(ts_open, interval);
    let mut kline = Kline { interval, ts_open, ts_close, ..Kline::default() };
    kline.open = field(c, b"\",")?;
    kline.high = field(c, b",")?;
    kline.low = field(c, b",")?;
    kline.close = field(c, b",")?;
    kline.volume = field(c, b",")?;
    skip(c, b",\"")?;
    kline.quote_volume = Some(field(c, b",")?);
    kline.closed = !c.at(b",\"0\"");
    if kline.closed {
        c.lit(b",\"1\"")?;
    }
    fill_kline(event, &kline);
    Some(())
}

/// `"asks":[…],"bids":[…]`
#[inline]
fn sides(c: &mut Cursor<'_>, event: &mut CanonicalEvent) -> Option<()> {
    c.lit(b"\"asks\":")?;
    levels(c, &mut event.asks)?;
    c.lit(b",\"bids\":")?;
    levels(c, &mut event.bids)
}

/// `[["price","quantity","0","orders"],…]`; the third has no meaning any more. Every second level
/// or so is a removal: what follows its price is always the same and taken at once, which makes a
/// message a fifth cheaper.
#[inline]
fn levels(c: &mut Cursor<'_>, levels: &mut Vec<Level>) -> Option<()> {
    if c.at(b"[]") {
        return Some(());
    }
    c.lit(b"[[")?;
    loop {
        let price = c.quoted_decimal()?;
        let quantity = if c.at(b",\"0\",\"0\",\"0\"") { Decimal::ZERO } else { quantity(c)? };
        levels.push(Level { price, quantity });
        if !c.at(b"],[") {
            return c.lit(b"]]");
        }
    }
}

/// `,"quantity","0","orders"`
#[inline(always)]
fn quantity(c: &mut Cursor<'_>) -> Option<Decimal> {
    let quantity = field(c, b",")?;
    field(c, b",\"0\",")?;
    Some(quantity)
}

/// `-1`, which is none, or a number.
#[inline]
fn before(c: &mut Cursor<'_>) -> Option<Option<u64>> {
    if c.at(b"-1") { Some(None) } else { c.uint().map(Some) }
}

/// A signed integer of 32 bits.
#[inline]
fn signed(c: &mut Cursor<'_>) -> Option<i32> {
    let negative = c.at(b"-");
    let value = i64::try_from(c.uint()?).ok()?;
    if negative && value == 0 {
        return None;
    }
    i32::try_from(if negative { -value } else { value }).ok()
}

/// A field whose value is an integer between quotation marks.
#[inline(always)]
fn quoted_uint<const N: usize>(c: &mut Cursor<'_>, name: &[u8; N]) -> Option<u64> {
    c.lit(name)?;
    let value = c.uint()?;
    c.lit(b"\"")?;
    Some(value)
}

/// A field whose value is a decimal between quotation marks.
#[inline(always)]
fn field<const N: usize>(c: &mut Cursor<'_>, name: &[u8; N]) -> Option<Decimal> {
    c.lit(name)?;
    c.quoted_decimal()
}

/// A field that is passed over; `name` goes up to and with the quotation mark of its value.
#[inline(always)]
fn skip<const N: usize>(c: &mut Cursor<'_>, name: &[u8; N]) -> Option<()> {
    c.lit(name)?;
    c.skip_text()
}
