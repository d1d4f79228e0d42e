//! The shapes that the venue really sends, followed by the cursor.
//!
//! Each function takes one payload's fields after its type, up to and without the closing brace.
//! Optional fields are those by which the product lines differ.

use model::event::{Funding, Kline, Ticker};
use model::{CanonicalEvent, Decimal, Level, Nanos};

use super::{
    DepthFields, QuoteFields, TradeFields, fill_funding, fill_kline, fill_ticker, interval,
    next_time,
};
use crate::json::Cursor;

/// Reads a message of known shape into `event` and gives its symbol; `None` when the shape is
/// another one. The event is then half filled.
#[inline]
pub fn follow<'a>(message: &'a [u8], event: &mut CanonicalEvent) -> Option<&'a str> {
    let mut c = Cursor::new(message);
    let combined = c.at(b"{\"stream\":\"");
    if combined {
        c.skip_text()?;
        c.lit(b",\"data\":{")?;
    } else {
        c.lit(b"{")?;
    }
    let symbol = payload(&mut c, event)?;
    if combined {
        c.lit(b"}}")?;
    } else {
        c.lit(b"}")?;
    }
    c.end()?;
    Some(symbol)
}

#[inline]
fn payload<'a>(c: &mut Cursor<'a>, event: &mut CanonicalEvent) -> Option<&'a str> {
    if c.at(b"\"e\":\"") {
        // By how often they come.
        if c.at(b"depthUpdate\",\"E\":") {
            depth(c, event)
        } else if c.at(b"bookTicker\",") {
            quote(c, event, true)
        } else if c.at(b"aggTrade\",\"E\":") {
            trade(c, event)
        } else if c.at(b"24hrTicker\",\"E\":") {
            ticker(c, event)
        } else if c.at(b"kline\",\"E\":") {
            kline(c, event)
        } else if c.at(b"markPriceUpdate\",\"E\":") {
            funding(c, event)
        } else {
            None
        }
    } else {
        quote(c, event, false)
    }
}

/// `"s":"BTCUSD_210625","ps":"BTCUSD",`: COIN-M names the pair too.
#[inline]
fn symbol<'a>(c: &mut Cursor<'a>) -> Option<&'a str> {
    c.lit(b"\"s\":\"")?;
    let symbol = c.text()?;
    c.lit(b",")?;
    if c.at(b"\"ps\":\"") {
        c.skip_text()?;
        c.lit(b",")?;
    }
    Some(symbol)
}

/// `E,[T,]s,[ps,]U,u,[pu,]b,a`
#[inline]
fn depth<'a>(c: &mut Cursor<'a>, event: &mut CanonicalEvent) -> Option<&'a str> {
    let ts_event = c.uint()?;
    c.lit(b",")?;
    if c.at(b"\"T\":") {
        c.uint()?;
        c.lit(b",")?;
    }
    let symbol = symbol(c)?;
    c.lit(b"\"U\":")?;
    let first = c.uint()?;
    c.lit(b",\"u\":")?;
    let last = c.uint()?;
    c.lit(b",")?;
    let previous = if c.at(b"\"pu\":") {
        let previous = c.uint()?;
        c.lit(b",")?;
        Some(previous)
    } else {
        None
    };
    c.lit(b"\"b\":")?;
    c.levels(&mut event.bids)?;
    c.lit(b",\"a\":")?;
    c.levels(&mut event.asks)?;
    DepthFields { ts_event, first, last, previous }.fill(event);
    Some(symbol)
}

/// Spot `u,s,b,B,a,A`; futures `e,u,s,[ps,]b,B,a,A,T,E`.
#[inline]
fn quote<'a>(c: &mut Cursor<'a>, event: &mut CanonicalEvent, timed: bool) -> Option<&'a str> {
    c.lit(b"\"u\":")?;
    let update_id = c.uint()?;
    c.lit(b",")?;
    let symbol = symbol(c)?;
    let bid = Level { price: field(c, b"\"b\":")?, quantity: field(c, b",\"B\":")? };
    let ask = Level { price: field(c, b",\"a\":")?, quantity: field(c, b",\"A\":")? };
    let ts_event = if timed {
        c.lit(b",\"T\":")?;
        c.uint()?;
        c.lit(b",\"E\":")?;
        Some(c.uint()?)
    } else {
        None
    };
    QuoteFields { update_id, bid, ask, ts_event }.fill(event);
    Some(symbol)
}

/// Spot `E,s,a,p,q,f,l,T,m,M`; futures `E,a,s,p,q,[nq,]f,l,T,m`.
#[inline]
fn trade<'a>(c: &mut Cursor<'a>, event: &mut CanonicalEvent) -> Option<&'a str> {
    c.uint()?;
    c.lit(b",")?;
    let (id, symbol_text);
    if c.at(b"\"a\":") {
        id = c.uint()?;
        c.lit(b",")?;
        symbol_text = symbol(c)?;
    } else {
        symbol_text = symbol(c)?;
        c.lit(b"\"a\":")?;
        id = c.uint()?;
        c.lit(b",")?;
    }
    let price = field(c, b"\"p\":")?;
    let quantity = field(c, b",\"q\":")?;
    if c.at(b",\"nq\":\"") {
        c.skip_text()?;
    }
    c.lit(b",\"f\":")?;
    c.uint()?;
    c.lit(b",\"l\":")?;
    c.uint()?;
    c.lit(b",\"T\":")?;
    let ts_trade = c.uint()?;
    c.lit(b",\"m\":")?;
    let buyer_is_maker = c.boolean()?;
    if c.at(b",\"M\":") {
        c.boolean()?;
    }
    TradeFields { id, price, quantity, ts_trade, buyer_is_maker }.fill(event);
    Some(symbol_text)
}

/// `E,s,[ps,]p,P,w,[x,]c,Q,[b,B,a,A,]o,h,l,v,q,O,C,F,L,n`
#[inline]
fn ticker<'a>(c: &mut Cursor<'a>, event: &mut CanonicalEvent) -> Option<&'a str> {
    let ts_event = c.uint()?;
    c.lit(b",")?;
    let symbol = symbol(c)?;
    skip(c, b"\"p\":\"")?;
    skip(c, b",\"P\":\"")?;
    skip(c, b",\"w\":\"")?;
    if c.at(b",\"x\":\"") {
        c.skip_text()?;
    }
    let mut ticker = Ticker { last: field(c, b",\"c\":")?, ..Ticker::default() };
    ticker.last_quantity = Some(field(c, b",\"Q\":")?);
    if c.at(b",\"b\":") {
        ticker.bid = Some(c.quoted_decimal()?);
        skip(c, b",\"B\":\"")?;
        ticker.ask = Some(field(c, b",\"a\":")?);
        skip(c, b",\"A\":\"")?;
    }
    ticker.open = Some(field(c, b",\"o\":")?);
    ticker.high = Some(field(c, b",\"h\":")?);
    ticker.low = Some(field(c, b",\"l\":")?);
    ticker.volume = Some(field(c, b",\"v\":")?);
    ticker.quote_volume = Some(field(c, b",\"q\":")?);
    c.lit(b",\"O\":")?;
    c.uint()?;
    c.lit(b",\"C\":")?;
    c.uint()?;
    c.lit(b",\"F\":")?;
    c.uint()?;
    c.lit(b",\"L\":")?;
    c.uint()?;
    c.lit(b",\"n\":")?;
    c.uint()?;
    fill_ticker(event, ts_event, &ticker);
    Some(symbol)
}

/// `E,s,[ps,]k:{t,T,s,i,f,L,o,c,h,l,v,n,x,q,V,Q,B}`
#[inline]
fn kline<'a>(c: &mut Cursor<'a>, event: &mut CanonicalEvent) -> Option<&'a str> {
    let ts_event = c.uint()?;
    c.lit(b",")?;
    let symbol = symbol(c)?;
    c.lit(b"\"k\":{\"t\":")?;
    let ts_open = Nanos::from_millis(c.uint()?);
    c.lit(b",\"T\":")?;
    let ts_close = Nanos::from_millis(c.uint()?);
    c.lit(b",\"s\":\"")?;
    c.skip_text()?;
    c.lit(b",\"i\":\"")?;
    let interval = interval(c.text()?);
    c.lit(b",\"f\":")?;
    c.uint()?;
    c.lit(b",\"L\":")?;
    c.uint()?;
    let mut kline = Kline { interval, ts_open, ts_close, ..Kline::default() };
    kline.open = field(c, b",\"o\":")?;
    kline.close = field(c, b",\"c\":")?;
    kline.high = field(c, b",\"h\":")?;
    kline.low = field(c, b",\"l\":")?;
    kline.volume = field(c, b",\"v\":")?;
    c.lit(b",\"n\":")?;
    kline.trades = Some(c.uint()?);
    c.lit(b",\"x\":")?;
    kline.closed = c.boolean()?;
    kline.quote_volume = Some(field(c, b",\"q\":")?);
    skip(c, b",\"V\":\"")?;
    skip(c, b",\"Q\":\"")?;
    skip(c, b",\"B\":\"")?;
    c.lit(b"}")?;
    fill_kline(event, ts_event, &kline);
    Some(symbol)
}

/// `E,s,p,[ap,]i,P,r,T`, of which dated contracts leave the rate empty: those go the slow way.
#[inline]
fn funding<'a>(c: &mut Cursor<'a>, event: &mut CanonicalEvent) -> Option<&'a str> {
    let ts_event = c.uint()?;
    c.lit(b",")?;
    let symbol = symbol(c)?;
    let mark = Some(field(c, b"\"p\":")?);
    if c.at(b",\"ap\":\"") {
        c.skip_text()?;
    }
    let index = if c.at(b",\"i\":") { Some(c.quoted_decimal()?) } else { None };
    skip(c, b",\"P\":\"")?;
    let rate = Some(field(c, b",\"r\":")?);
    c.lit(b",\"T\":")?;
    let ts_next = next_time(c.uint()?);
    fill_funding(event, ts_event, &Funding { rate, ts_next, mark, index });
    Some(symbol)
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
