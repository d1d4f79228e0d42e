//! The shapes that the venue really sends, followed by the cursor.
//!
//! Each function takes one payload's fields after its type, up to and without the closing brace.

use model::event::{Ticker, Trade};
use model::{CanonicalEvent, Decimal, Kind, Level, Side};

use super::{fill_book, fill_ticker, fill_trade};
use crate::json::Cursor;

/// Reads a message of known shape into `event` and gives its symbol; `None` when the shape is
/// another one. The event is then half filled.
#[inline]
pub fn follow<'a>(message: &'a [u8], event: &mut CanonicalEvent) -> Option<&'a str> {
    let mut c = Cursor::new(message);
    c.lit(b"{\"type\":\"")?;
    // By how often they come.
    let symbol = if c.at(b"l2update\",") {
        update(&mut c, event)
    } else if c.at(b"match\",") {
        trade(&mut c, event)
    } else if c.at(b"ticker\",") {
        ticker(&mut c, event)
    } else if c.at(b"snapshot\",") {
        snapshot(&mut c, event)
    } else {
        None
    }?;
    c.lit(b"}")?;
    c.end()?;
    Some(symbol)
}

#[inline(always)]
fn product<'a>(c: &mut Cursor<'a>) -> Option<&'a str> {
    c.lit(b"\"product_id\":\"")?;
    c.text()
}

/// `product_id,changes,time`
#[inline]
fn update<'a>(c: &mut Cursor<'a>, event: &mut CanonicalEvent) -> Option<&'a str> {
    let product = product(c)?;
    c.lit(b",\"changes\":[[\"")?;
    loop {
        let side = side(c)?;
        c.lit(b",")?;
        let price = c.quoted_decimal()?;
        c.lit(b",")?;
        let quantity = c.quoted_decimal()?;
        let levels = if side == Side::Buy { &mut event.bids } else { &mut event.asks };
        levels.push(Level { price, quantity });
        if !c.at(b"],[\"") {
            break;
        }
    }
    c.lit(b"]],\"time\":")?;
    let ts_event = c.utc()?;
    fill_book(event, Kind::BookUpdate, Some(ts_event));
    Some(product)
}

/// The rest of `"buy"` or `"sell"`.
#[inline(always)]
fn side(c: &mut Cursor<'_>) -> Option<Side> {
    if c.at(b"buy\"") { Some(Side::Buy) } else { c.lit(b"sell\"").map(|()| Side::Sell) }
}

/// `product_id`, then `asks,bids` or `bids,asks`, then perhaps `time`.
#[inline]
fn snapshot<'a>(c: &mut Cursor<'a>, event: &mut CanonicalEvent) -> Option<&'a str> {
    let product = product(c)?;
    if c.at(b",\"asks\":") {
        c.levels(&mut event.asks)?;
        c.lit(b",\"bids\":")?;
        c.levels(&mut event.bids)?;
    } else {
        c.lit(b",\"bids\":")?;
        c.levels(&mut event.bids)?;
        c.lit(b",\"asks\":")?;
        c.levels(&mut event.asks)?;
    }
    let ts_event = if c.at(b",\"time\":") { Some(c.utc()?) } else { None };
    fill_book(event, Kind::BookSnapshot, ts_event);
    Some(product)
}

/// `trade_id,maker_order_id,taker_order_id,side,size,price,product_id,sequence,time`
#[inline]
fn trade<'a>(c: &mut Cursor<'a>, event: &mut CanonicalEvent) -> Option<&'a str> {
    c.lit(b"\"trade_id\":")?;
    let trade_id = c.uint()?;
    c.lit(b",\"maker_order_id\":\"")?;
    c.skip_text()?;
    c.lit(b",\"taker_order_id\":\"")?;
    c.skip_text()?;
    c.lit(b",\"side\":\"")?;
    let maker = side(c)?;
    let quantity = field(c, b",\"size\":")?;
    let price = field(c, b",\"price\":")?;
    c.lit(b",")?;
    let product = product(c)?;
    c.lit(b",\"sequence\":")?;
    c.uint()?;
    c.lit(b",\"time\":")?;
    let ts_event = c.utc()?;
    fill_trade(event, maker, Trade { price, quantity, trade_id, ..Trade::default() }, ts_event);
    Some(product)
}

/// `sequence,product_id,price,open_24h,volume_24h,low_24h,high_24h,volume_30d,best_bid,
/// [best_bid_size,]best_ask,[best_ask_size,]side,time,trade_id,last_size`
#[inline]
fn ticker<'a>(c: &mut Cursor<'a>, event: &mut CanonicalEvent) -> Option<&'a str> {
    c.lit(b"\"sequence\":")?;
    let sequence = c.uint()?;
    c.lit(b",")?;
    let product = product(c)?;
    let mut ticker = Ticker { last: field(c, b",\"price\":")?, ..Ticker::default() };
    ticker.open = Some(field(c, b",\"open_24h\":")?);
    ticker.volume = Some(field(c, b",\"volume_24h\":")?);
    ticker.low = Some(field(c, b",\"low_24h\":")?);
    ticker.high = Some(field(c, b",\"high_24h\":")?);
    c.lit(b",\"volume_30d\":\"")?;
    c.skip_text()?;
    ticker.bid = Some(field(c, b",\"best_bid\":")?);
    if c.at(b",\"best_bid_size\":\"") {
        c.skip_text()?;
    }
    ticker.ask = Some(field(c, b",\"best_ask\":")?);
    if c.at(b",\"best_ask_size\":\"") {
        c.skip_text()?;
    }
    c.lit(b",\"side\":\"")?;
    c.skip_text()?;
    c.lit(b",\"time\":")?;
    let ts_event = c.utc()?;
    c.lit(b",\"trade_id\":")?;
    c.uint()?;
    ticker.last_quantity = Some(field(c, b",\"last_size\":")?);
    fill_ticker(event, sequence, &ticker, Some(ts_event));
    Some(product)
}

/// A field whose value is a decimal between quotation marks.
#[inline(always)]
fn field<const N: usize>(c: &mut Cursor<'_>, name: &[u8; N]) -> Option<Decimal> {
    c.lit(name)?;
    c.quoted_decimal()
}
