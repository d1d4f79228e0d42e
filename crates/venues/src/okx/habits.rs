//! Addresses, limits, channels, the symbol rule and the book's proof, as data.
//!
//! Sources, read 2026-11-24: okx.com/docs-v5, "Overview / WebSocket" (connection, request and
//! message limits, `ping`, notice 64008), "Order Book Trading / Market Data" (channels, `seqId`,
//! checksum) and "Public Data" (instruments, funding); okx.com/help-center, "Changes to V5 API
//! WebSocket subscription parameter and URL" (candles on `/business`). Port 8443 was retired on
//! 2026-10-31.

use std::fmt::Write;
use std::time::Duration;

use model::instrument::{Contract, Expiry};
use model::venue::{Profile, Rate};
use model::{Book, Kind, Side};

use crate::assembler::{Checksum, Continuity, Places, Rules};
use crate::crc32::Crc32;

/// The venue's name in configuration and captures.
pub const NAME: &str = "okx";
/// Where streams are, without path.
pub const WS_URL: &str = "wss://ws.okx.com";
/// Where requests go, without path.
pub const REST_URL: &str = "https://openapi.okx.com";

/// Streams on one connection. Each may have to be subscribed anew, which costs two of the
/// connection's 480 requests an hour.
pub const STREAMS_MAX: usize = 240;

/// Levels a side of the `books` channel and of the REST book that starts it.
pub const BOOK_LEVELS: u32 = 400;

/// A connection that is silent for 30 s is ended by the venue. Requests to subscribe are counted
/// per hour and connection; our pings count among them here, so the limit is never reached. REST
/// limits are per path: the book's, 40 requests in 2 s, is taken for all.
pub const PROFILE: Profile = Profile {
    connection_lifetime: None,
    ping_after: Duration::from_secs(20),
    ping_text: Some("ping"),
    pong_timeout: Duration::from_secs(8),
    connects: Rate { count: 3, per: Duration::from_secs(1) },
    messages: Rate { count: 480, per: Duration::from_secs(60 * 60) },
    weight: Rate { count: 40, per: Duration::from_secs(2) },
    used_weight_header: None,
    message_bytes_max: 4 << 20,
    contiguous: &[],
    // A message of the trades channel may stand for several: their ids skip.
    skipping: &[Kind::Trade],
};

/// How a book is proven. The venue sends a removal for every level that falls out of the 400, so
/// nothing is cut here.
pub const RULES: Rules = Rules {
    continuity: Continuity::PreviousSequence,
    depth: None,
    checksum: Some(Checksum { compute: checksum, places: Places { price: None, quantity: None } }),
    crossed_is_fault: true,
};

/// How many levels a side the checksum covers.
const CHECKSUM_LEVELS: usize = 25;

/// CRC-32 of `bid:quantity:ask:quantity:…`, best first and side by side, in the digits as sent.
/// Always 0 on the wire, which means none, since 2026-06-23 (notice of 2026-05-21).
#[must_use]
pub fn checksum(book: &Book, _: Places) -> u32 {
    let mut bids = book.levels(Side::Buy).take(CHECKSUM_LEVELS);
    let mut asks = book.levels(Side::Sell).take(CHECKSUM_LEVELS);
    let mut crc = Crc32::default();
    let mut between = "";
    loop {
        let (bid, ask) = (bids.next(), asks.next());
        if bid.is_none() && ask.is_none() {
            return crc.value();
        }
        for level in [bid, ask].into_iter().flatten() {
            // Feeding a checksum can't fail.
            let _ = write!(crc, "{between}{}:{}", level.price, level.quantity);
            between = ":";
        }
    }
}

/// The channel of a kind; `None` where the venue has none for that contract.
#[must_use]
pub fn channel(kind: Kind, contract: Contract) -> Option<&'static str> {
    match kind {
        Kind::BookUpdate => Some("books"),
        Kind::Trade => Some("trades"),
        Kind::Quote => Some("bbo-tbt"),
        Kind::Ticker => Some("tickers"),
        Kind::Kline => Some("candle1m"),
        // Some dated contracts have funding too.
        Kind::Funding if contract != Contract::Spot => Some("funding-rate"),
        _ => None,
    }
}

/// The path on which a kind's channel speaks.
#[must_use]
pub fn path(kind: Kind) -> &'static str {
    if kind == Kind::Kline { "/ws/v5/business" } else { "/ws/v5/public" }
}

/// Base, quote and contract of a symbol: `BTC-USDT`, `BTC-USDT-SWAP`, `BTC-USD-261225`.
///
/// Linear contracts on dollars are told from inverse ones by their quote, `USD_UM` beside `USD`;
/// it is kept as it is, so that no two symbols have one canonical name.
#[must_use]
pub fn split_symbol(symbol: &str) -> Option<(&str, &str, Contract)> {
    let mut parts = symbol.split('-');
    let (base, quote) = (parts.next()?, parts.next()?);
    let contract = match parts.next() {
        None => Contract::Spot,
        Some("SWAP") => Contract::Perpetual,
        Some(day) => Contract::Dated(Expiry::parse(day)?),
    };
    let word = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    (parts.next().is_none() && word(base) && word(quote)).then_some((base, quote, contract))
}

/// The venue's lists, one a type of instrument.
pub const LISTS: [&str; 3] = ["SPOT", "SWAP", "FUTURES"];

/// The list in which an instrument of that canonical name stands.
#[must_use]
pub fn list_of(name: &str) -> &'static str {
    match name.splitn(3, '-').nth(2) {
        None => "SPOT",
        Some("PERP") => "SWAP",
        Some(_) => "FUTURES",
    }
}

#[cfg(test)]
mod tests {
    use model::Level;
    use model::decimal::parse;
    use model::instrument::canonical_name;

    use super::*;

    #[test]
    fn symbols_follow_the_rule_and_no_two_share_a_name() {
        let name = |symbol| {
            let (base, quote, contract) = split_symbol(symbol)?;
            Some(canonical_name(base, quote, contract))
        };
        for (symbol, expected) in [
            ("BTC-USDT", "BTC-USDT"),
            ("BTC-USDT-SWAP", "BTC-USDT-PERP"),
            ("BTC-USD-SWAP", "BTC-USD-PERP"),
            ("BTC-USD_UM-SWAP", "BTC-USD_UM-PERP"),
            ("BTC-USD-261225", "BTC-USD-261225"),
            ("BTC-USD_UM_XPERP-310404", "BTC-USD_UM_XPERP-310404"),
        ] {
            assert_eq!(name(symbol).as_deref(), Some(expected));
        }
        for wrong in ["BTC", "BTC-", "BTC-USD-261399", "BTC-USD-261225-90000-C", "B\"-USD", ""] {
            assert_eq!(name(wrong), None, "{wrong}");
        }
        assert_eq!(list_of("BTC-USDT"), "SPOT");
        assert_eq!(list_of("BTC-USD_UM-PERP"), "SWAP");
        assert_eq!(list_of("BTC-USD-261225"), "FUTURES");
    }

    #[test]
    fn the_checksum_is_over_the_digits_as_sent_side_by_side() {
        let level = |price: &str, quantity: &str| Level {
            price: parse(price.as_bytes()).unwrap(),
            quantity: parse(quantity.as_bytes()).unwrap(),
        };
        let mut book = Book::with_places(1);
        let bids = [level("3366.1", "7"), level("3366", "6.10")];
        let asks = [level("3366.8", "9"), level("3368", "8"), level("3372", "8")];
        book.apply(&bids, &asks).unwrap();
        let mut crc = Crc32::default();
        crc.update(b"3366.1:7:3366.8:9:3366:6.10:3368:8:3372:8");
        assert_eq!(checksum(&book, Places::default()), crc.value());
        for n in 0..30 {
            book.set(Side::Sell, level(&format!("{}", 4_000 + n), "1")).unwrap();
        }
        let covered = checksum(&book, Places::default());
        book.set(Side::Sell, level("4021", "2")).unwrap();
        assert_ne!(checksum(&book, Places::default()), covered, "the 25th");
        let covered = checksum(&book, Places::default());
        book.set(Side::Sell, level("4022", "2")).unwrap();
        assert_eq!(checksum(&book, Places::default()), covered, "the 26th");
    }

    #[test]
    fn channels_are_where_the_venue_speaks_them() {
        assert_eq!(channel(Kind::Funding, Contract::Spot), None);
        assert_eq!(channel(Kind::Funding, Contract::Perpetual), Some("funding-rate"));
        assert_eq!(path(Kind::Kline), "/ws/v5/business");
        assert_eq!(path(Kind::BookUpdate), "/ws/v5/public");
    }
}
