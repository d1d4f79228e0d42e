//! The shapes that the venue really sends, followed by the cursor.

use model::event::{Kline, Ticker, Trade};
use model::{CanonicalEvent, Decimal, Kind, Level, Side};

use super::{fill_book, fill_kline, fill_ticker, fill_trade};
use crate::json::Cursor;

/// Reads a message of known shape: its first entry into `event`. Gives that entry's symbol and the
/// other entries, which are of the same shape; `None` when the shape is another one. The event is
/// then half filled.
#[inline]
pub fn follow<'a>(
    message: &'a [u8],
    event: &mut CanonicalEvent,
) -> Option<(&'a str, Vec<&'a [u8]>)> {
    let mut c = Cursor::new(message);
    c.lit(b"{\"channel\":\"")?;
    // By how often they come.
    if c.at(b"book\",\"type\":\"update\",\"data\":[") {
        entries(c, Kind::BookUpdate, event)
    } else if c.at(b"trade\",\"type\":\"update\",\"data\":[") {
        entries(c, Kind::Trade, event)
    } else if c.at(b"ticker\",\"type\":\"update\",\"data\":[")
        || c.at(b"ticker\",\"type\":\"snapshot\",\"data\":[")
    {
        entries(c, Kind::Ticker, event)
    } else if c.at(b"ohlc\",\"type\":\"update\",\"timestamp\":") {
        let ts_event = c.utc()?;
        c.lit(b",\"data\":[")?;
        let read = entries(c, Kind::Kline, event)?;
        event.header.ts_event = Some(ts_event);
        Some(read)
    } else if c.at(b"book\",\"type\":\"snapshot\",\"data\":[") {
        entries(c, Kind::BookSnapshot, event)
    } else {
        None
    }
}

/// An entry by itself.
pub(super) fn entry_alone<'a>(
    kind: Kind,
    text: &'a [u8],
    event: &mut CanonicalEvent,
) -> Option<&'a str> {
    let mut c = Cursor::new(text);
    let symbol = entry(&mut c, kind, event)?;
    c.end()?;
    Some(symbol)
}

/// All entries up to the message's end.
#[inline]
fn entries<'a>(
    mut c: Cursor<'a>,
    kind: Kind,
    event: &mut CanonicalEvent,
) -> Option<(&'a str, Vec<&'a [u8]>)> {
    let symbol = entry(&mut c, kind, event)?;
    let mut more = Vec::new();
    while c.at(b",") {
        // Seldom, and then a few trades: they are read here to be checked, and again to be used.
        let start = c;
        entry(&mut c, kind, &mut CanonicalEvent::default())?;
        more.push(c.since(&start));
    }
    c.lit(b"]}")?;
    c.end()?;
    Some((symbol, more))
}

#[inline]
fn entry<'a>(c: &mut Cursor<'a>, kind: Kind, event: &mut CanonicalEvent) -> Option<&'a str> {
    c.lit(b"{\"symbol\":\"")?;
    let symbol = c.text()?;
    match kind {
        Kind::BookUpdate | Kind::BookSnapshot => book(c, kind, event),
        Kind::Trade => trade(c, event),
        Kind::Ticker => ticker(c, event),
        Kind::Kline => kline(c, event),
        _ => None,
    }?;
    c.lit(b"}")?;
    Some(symbol)
}

/// `bids,asks,checksum[,timestamp]`
#[inline(always)]
fn book(c: &mut Cursor<'_>, kind: Kind, event: &mut CanonicalEvent) -> Option<()> {
    c.lit(b",\"bids\":")?;
    levels(c, &mut event.bids)?;
    c.lit(b",\"asks\":")?;
    levels(c, &mut event.asks)?;
    c.lit(b",\"checksum\":")?;
    let checksum = u32::try_from(c.uint()?).ok()?;
    let ts_event = if c.at(b",\"timestamp\":") { Some(c.utc()?) } else { None };
    fill_book(event, kind, Some(checksum), ts_event);
    Some(())
}

/// `[{"price":1.50,"qty":2.00000000},…]`
#[inline]
fn levels(c: &mut Cursor<'_>, levels: &mut Vec<Level>) -> Option<()> {
    if c.at(b"[]") {
        return Some(());
    }
    c.lit(b"[{\"price\":")?;
    loop {
        let price = c.bare_decimal()?;
        let quantity = field(c, b",\"qty\":")?;
        levels.push(Level { price, quantity });
        if !c.at(b"},{\"price\":") {
            return c.lit(b"}]");
        }
    }
}

/// `side,price,qty,ord_type,trade_id,timestamp`
#[inline]
fn trade(c: &mut Cursor<'_>, event: &mut CanonicalEvent) -> Option<()> {
    c.lit(b",\"side\":\"")?;
    let aggressor =
        if c.at(b"buy\"") { Side::Buy } else { c.lit(b"sell\"").map(|()| Side::Sell)? };
    let price = field(c, b",\"price\":")?;
    let quantity = field(c, b",\"qty\":")?;
    c.lit(b",\"ord_type\":\"")?;
    c.skip_text()?;
    c.lit(b",\"trade_id\":")?;
    let trade_id = c.uint()?;
    c.lit(b",\"timestamp\":")?;
    let ts_event = c.utc()?;
    fill_trade(event, Trade { price, quantity, aggressor, trade_id }, ts_event);
    Some(())
}

/// `bid,bid_qty,ask,ask_qty,last,volume,vwap,low,high,change,change_pct[,trades][,timestamp]`
#[inline]
fn ticker(c: &mut Cursor<'_>, event: &mut CanonicalEvent) -> Option<()> {
    let mut ticker = Ticker { bid: Some(field(c, b",\"bid\":")?), ..Ticker::default() };
    field(c, b",\"bid_qty\":")?;
    ticker.ask = Some(field(c, b",\"ask\":")?);
    field(c, b",\"ask_qty\":")?;
    ticker.last = field(c, b",\"last\":")?;
    ticker.volume = Some(field(c, b",\"volume\":")?);
    field(c, b",\"vwap\":")?;
    ticker.low = Some(field(c, b",\"low\":")?);
    ticker.high = Some(field(c, b",\"high\":")?);
    field(c, b",\"change\":")?;
    field(c, b",\"change_pct\":")?;
    if c.at(b",\"trades\":") {
        c.uint()?;
    }
    let ts_event = if c.at(b",\"timestamp\":") { Some(c.utc()?) } else { None };
    fill_ticker(event, &ticker, ts_event);
    Some(())
}

/// `open,high,low,close,trades,volume,vwap,interval_begin,interval[,timestamp]`
#[inline]
fn kline(c: &mut Cursor<'_>, event: &mut CanonicalEvent) -> Option<()> {
    let mut kline = Kline { open: field(c, b",\"open\":")?, ..Kline::default() };
    kline.high = field(c, b",\"high\":")?;
    kline.low = field(c, b",\"low\":")?;
    kline.close = field(c, b",\"close\":")?;
    c.lit(b",\"trades\":")?;
    kline.trades = Some(c.uint()?);
    kline.volume = field(c, b",\"volume\":")?;
    field(c, b",\"vwap\":")?;
    c.lit(b",\"interval_begin\":")?;
    kline.ts_open = c.utc()?;
    c.lit(b",\"interval\":")?;
    let minutes = u32::try_from(c.uint()?).ok()?;
    if c.at(b",\"timestamp\":\"") {
        c.skip_text()?;
    }
    fill_kline(event, &kline, minutes);
    Some(())
}

/// A field whose value is a number without quotation marks.
#[inline(always)]
fn field<const N: usize>(c: &mut Cursor<'_>, name: &[u8; N]) -> Option<Decimal> {
    c.lit(name)?;
    c.bare_decimal()
}
