//! The three product lines: what differs between them is this data.
//!
//! Sources: binance/binance-spot-api-docs `web-socket-streams.md` and `rest-api.md`;
//! developers.binance.com, derivatives, "Important WebSocket Change Notice" and "How to manage a
//! local order book correctly".

use std::time::Duration;

use model::Kind;
use model::instrument::{Contract, Expiry};
use model::venue::{Profile, Rate};

use crate::assembler::{Continuity, Rules};

/// A product line.
#[derive(Debug)]
pub struct Line {
    /// The venue's name in configuration and captures.
    pub name: &'static str,
    /// Where streams are, without path.
    pub ws_url: &'static str,
    /// Where requests go, without path.
    pub rest_url: &'static str,
    /// Prefix of the REST paths.
    pub rest_path: &'static str,
    /// Path of the combined streams that carry books and quotes.
    pub book_path: &'static str,
    /// Path of the combined streams that carry everything else.
    pub market_path: &'static str,
    /// How a book is proven.
    pub rules: Rules,
    /// Streams on one connection.
    pub streams_max: usize,
    /// Weight of a depth request by the number of levels asked for, ascending.
    pub depth_weights: &'static [(u32, u32)],
    /// Weight of the instrument list.
    pub list_weight: u32,
    /// Weight of a request for the newest trade.
    pub trades_weight: u32,
    /// Whether there is funding.
    pub funding: bool,
    /// What sort of contract a symbol without suffix is.
    pub plain_contract: Contract,
    /// Limits and habits.
    pub profile: Profile,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// Servers ping every 20 s (spot) or 3 min (futures); asking after 30 s of silence finds a dead
/// connection well before the venue would.
const SPOT_PROFILE: Profile = Profile {
    connection_lifetime: Some(DAY),
    ping_after: Duration::from_secs(30),
    ping_text: None,
    pong_timeout: Duration::from_secs(10),
    connects: Rate { count: 300, per: Duration::from_secs(300) },
    messages: Rate { count: 5, per: SECOND },
    weight: Rate { count: 6_000, per: MINUTE },
    used_weight_header: Some("x-mbx-used-weight-1m"),
    message_bytes_max: 4 << 20,
    // `a`, the number of an aggregate trade, counts per symbol on all three lines.
    contiguous: &[Kind::Trade],
    skipping: &[],
};

const FUTURES_PROFILE: Profile = Profile {
    messages: Rate { count: 10, per: SECOND },
    weight: Rate { count: 2_400, per: MINUTE },
    ..SPOT_PROFILE
};

/// Futures take these numbers of levels and no others.
const FUTURES_DEPTH_WEIGHTS: &[(u32, u32)] =
    &[(5, 2), (10, 2), (20, 2), (50, 2), (100, 5), (500, 10), (1_000, 20)];

/// Every product line of the venue.
pub static LINES: [Line; 3] = [
    Line {
        name: "binance",
        ws_url: "wss://stream.binance.com:9443",
        rest_url: "https://api.binance.com",
        rest_path: "/api/v3",
        book_path: "/stream",
        market_path: "/stream",
        rules: Rules::numbered(Continuity::Ranges),
        streams_max: 1_024,
        depth_weights: &[(5, 5), (100, 5), (500, 25), (1_000, 50), (5_000, 250)],
        list_weight: 20,
        trades_weight: 4,
        funding: false,
        plain_contract: Contract::Spot,
        profile: SPOT_PROFILE,
    },
    Line {
        name: "binance-usdm",
        ws_url: "wss://fstream.binance.com",
        rest_url: "https://fapi.binance.com",
        rest_path: "/fapi/v1",
        // Split since 2026-03-06; on the wrong path a stream is silent.
        book_path: "/public/stream",
        market_path: "/market/stream",
        rules: Rules::numbered(Continuity::PreviousId),
        streams_max: 1_024,
        depth_weights: FUTURES_DEPTH_WEIGHTS,
        list_weight: 1,
        trades_weight: 20,
        funding: true,
        plain_contract: Contract::Perpetual,
        profile: FUTURES_PROFILE,
    },
    Line {
        name: "binance-coinm",
        ws_url: "wss://dstream.binance.com",
        rest_url: "https://dapi.binance.com",
        rest_path: "/dapi/v1",
        book_path: "/stream",
        market_path: "/stream",
        rules: Rules::numbered(Continuity::PreviousId),
        streams_max: 200,
        depth_weights: FUTURES_DEPTH_WEIGHTS,
        list_weight: 1,
        trades_weight: 20,
        funding: true,
        plain_contract: Contract::Perpetual,
        profile: FUTURES_PROFILE,
    },
];

/// Quote assets, for symbols that are in no list; the longest that fits is taken. Symbols are
/// written without a mark between base and quote, so there is no rule but this one.
const QUOTES: [&str; 41] = [
    "FDUSD", "USDT", "USDC", "TUSD", "BUSD", "USDP", "USDS", "USD1", "IDRT", "BIDR", "BVND",
    "BKRW", "DOGE", "BTC", "ETH", "BNB", "USD", "EUR", "GBP", "TRY", "BRL", "AUD", "RUB", "UAH",
    "NGN", "ZAR", "PLN", "RON", "ARS", "JPY", "TRX", "DAI", "XRP", "UST", "VAI", "AEUR", "EURI",
    "MXN", "CZK", "COP", "XUSD",
];

impl Line {
    /// The line of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        LINES.iter().find(|line| line.name == name)
    }

    /// The stream name of a kind, lower-case symbol first; `None` where the line has no such
    /// stream.
    #[must_use]
    pub fn stream(&self, symbol: &str, kind: Kind) -> Option<String> {
        let symbol = symbol.to_lowercase();
        match kind {
            Kind::BookUpdate => Some(format!("{symbol}@depth@100ms")),
            Kind::Trade => Some(format!("{symbol}@aggTrade")),
            Kind::Quote => Some(format!("{symbol}@bookTicker")),
            Kind::Ticker => Some(format!("{symbol}@ticker")),
            Kind::Kline => Some(format!("{symbol}@kline_1m")),
            Kind::Funding if self.funding => Some(format!("{symbol}@markPrice@1s")),
            _ => None,
        }
    }

    /// The path on which a kind's stream speaks.
    #[must_use]
    pub fn path(&self, kind: Kind) -> &'static str {
        match kind {
            Kind::BookUpdate | Kind::Quote => self.book_path,
            _ => self.market_path,
        }
    }

    /// The smallest number of levels that can be asked for and holds `wanted`, with its weight;
    /// the largest there is where none holds it.
    #[must_use]
    pub fn depth(&self, wanted: u32) -> (u32, u32) {
        let holds = self.depth_weights.iter().find(|(levels, _)| *levels >= wanted);
        holds.or(self.depth_weights.last()).copied().unwrap_or((1_000, 50))
    }

    /// Base, quote and contract of a symbol that is in no list, by the venue's symbol rule:
    /// `BTCUSDT`, `BTCUSD_PERP`, `BTCUSD_210625`.
    #[must_use]
    pub fn split_symbol<'s>(&self, symbol: &'s str) -> Option<(&'s str, &'s str, Contract)> {
        let (pair, contract) = match symbol.rsplit_once('_') {
            Some((pair, "PERP")) => (pair, Contract::Perpetual),
            Some((pair, day)) => (pair, Contract::Dated(Expiry::parse(day)?)),
            None => (symbol, self.plain_contract),
        };
        let quote = QUOTES.iter().filter(|quote| pair.len() > quote.len());
        let quote =
            quote.filter(|quote| pair.ends_with(**quote)).max_by_key(|quote| quote.len())?;
        let (base, quote) = pair.split_at(pair.len() - quote.len());
        Some((base, quote, contract))
    }
}

#[cfg(test)]
mod tests {
    use model::instrument::canonical_name;

    use super::*;

    fn name(line: &str, symbol: &str) -> Option<String> {
        let (base, quote, contract) = Line::find(line).unwrap().split_symbol(symbol)?;
        Some(canonical_name(base, quote, contract))
    }

    #[test]
    fn symbols_follow_the_rule_of_their_line() {
        assert_eq!(name("binance", "BTCUSDT").unwrap(), "BTC-USDT");
        assert_eq!(name("binance", "BTCFDUSD").unwrap(), "BTC-FDUSD");
        assert_eq!(name("binance", "ETHBTC").unwrap(), "ETH-BTC");
        assert_eq!(name("binance-usdm", "SUSHIUSDT").unwrap(), "SUSHI-USDT-PERP");
        assert_eq!(name("binance-usdm", "BTCUSDT_261225").unwrap(), "BTC-USDT-261225");
        assert_eq!(name("binance-coinm", "BTCUSD_PERP").unwrap(), "BTC-USD-PERP");
        assert_eq!(name("binance-coinm", "BTCUSD_210625").unwrap(), "BTC-USD-210625");
        assert_eq!(name("binance", "USDT"), None);
        assert_eq!(name("binance", "ABCXYZ"), None);
        assert_eq!(name("binance-coinm", "BTCUSD_219925"), None);
    }

    #[test]
    fn a_depth_request_knows_its_weight() {
        let spot = Line::find("binance").unwrap();
        assert_eq!(spot.depth(1), (5, 5));
        assert_eq!(spot.depth(1_000), (1_000, 50));
        assert_eq!(spot.depth(1_001), (5_000, 250));
        assert_eq!(spot.depth(9_999), (5_000, 250));
        assert_eq!(Line::find("binance-usdm").unwrap().depth(5_000), (1_000, 20));
    }

    #[test]
    fn books_and_the_rest_are_on_different_paths_only_where_the_line_splits() {
        let usdm = Line::find("binance-usdm").unwrap();
        assert_eq!(usdm.path(Kind::Quote), "/public/stream");
        assert_eq!(usdm.path(Kind::Funding), "/market/stream");
        let coinm = Line::find("binance-coinm").unwrap();
        assert_eq!(coinm.path(Kind::BookUpdate), coinm.path(Kind::Trade));
        assert_eq!(Line::find("binance").unwrap().stream("BTCUSDT", Kind::Funding), None);
    }
}
