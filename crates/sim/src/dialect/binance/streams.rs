//! What a stream's name says: `btcusdt@depth@100ms`.
//!
//! | name behind the symbol | sent |
//! | --- | --- |
//! | `aggTrade`, `trade` | with every trade |
//! | `bookTicker` | with every change of the best levels |
//! | `depth`, `depth@<speed>` | what changed, every 100, 250, 500 or 1,000 ms as the line has it |
//! | `depth5`, `depth10`, `depth20`, the same with `@<speed>` | the best levels |
//! | `kline_<interval>` | every 2 s, on futures every 250 ms, when it changed; once when it closes |
//! | `continuousKline_<interval>` | futures: the same, behind a pair and a contract's type |
//! | `ticker`, `miniTicker` | every second |
//! | `markPrice`, `markPrice@1s` | futures: every 3 s or 1 s |
//!
//! A name that is none of these is subscribed without complaint and stays silent, as at the venue.

use super::line::Line;
use crate::market::bar::Bar;

/// Intervals of candles by the venue's names. Of spot's the one of a second is not there. From which day
/// on three are counted is written nowhere.
pub const INTERVALS: [(&str, Bar); 15] = [
    ("1m", Bar::minutes(1)),
    ("3m", Bar::minutes(3)),
    ("5m", Bar::minutes(5)),
    ("15m", Bar::minutes(15)),
    ("30m", Bar::minutes(30)),
    ("1h", Bar::minutes(60)),
    ("2h", Bar::minutes(120)),
    ("4h", Bar::minutes(240)),
    ("6h", Bar::minutes(360)),
    ("8h", Bar::minutes(480)),
    ("12h", Bar::minutes(720)),
    ("1d", Bar::days(1)),
    ("3d", Bar::days(3)),
    ("1w", Bar::WEEK),
    ("1M", Bar::months(1)),
];

/// What a stream of an instrument carries. Times in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// Trades of one order at one price as one.
    AggTrade,
    /// Every trade.
    Trade,
    /// The best levels.
    Quote,
    /// What changed in the book.
    Depth {
        /// Between two messages.
        every_ms: u64,
        /// Whether the name says so.
        named: bool,
    },
    /// The best of the book.
    Partial {
        /// How many levels a side.
        levels: usize,
        /// Between two messages.
        every_ms: u64,
        /// Whether the name says so.
        named: bool,
    },
    /// A candle.
    Kline {
        /// Its place in [`INTERVALS`].
        interval: usize,
    },
    /// The same, of a pair's contract.
    Continuous {
        /// Its place in [`INTERVALS`].
        interval: usize,
    },
    /// 24 hours.
    Day,
    /// 24 hours, in short.
    MiniDay,
    /// Mark price and funding.
    Mark {
        /// Between two messages.
        every_ms: u64,
    },
}

impl Topic {
    /// What the part of a stream's name behind the symbol says.
    #[must_use]
    pub fn parse(line: &Line, text: &str) -> Option<Self> {
        let (kind, speed) = text.split_once('@').map_or((text, None), |(a, b)| (a, Some(b)));
        let every_ms = |speed: Option<&str>| match speed {
            None => Some(line.depth_ms_default),
            Some(speed) => {
                let ms = speed.strip_suffix("ms")?.parse().ok()?;
                line.depth_ms.contains(&ms).then_some(ms)
            }
        };
        let futures = !line.is_spot();
        match (kind, speed) {
            ("aggTrade", None) => Some(Self::AggTrade),
            ("trade", None) => Some(Self::Trade),
            ("bookTicker", None) => Some(Self::Quote),
            ("ticker", None) => Some(Self::Day),
            ("miniTicker", None) => Some(Self::MiniDay),
            ("markPrice", None) if futures => Some(Self::Mark { every_ms: 3_000 }),
            ("markPrice", Some("1s")) if futures => Some(Self::Mark { every_ms: 1_000 }),
            ("depth", speed) => {
                Some(Self::Depth { every_ms: every_ms(speed)?, named: speed.is_some() })
            }
            ("depth5" | "depth10" | "depth20", speed) => Some(Self::Partial {
                levels: kind["depth".len()..].parse().ok()?,
                every_ms: every_ms(speed)?,
                named: speed.is_some(),
            }),
            (kind, None) => {
                let (kind, name) = kind.split_once('_')?;
                let interval = INTERVALS.iter().position(|(other, _)| *other == name)?;
                match kind {
                    "kline" => Some(Self::Kline { interval }),
                    "continuousKline" if futures => Some(Self::Continuous { interval }),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// How often it is looked at, where that is by the clock.
    #[must_use]
    pub fn every_ms(self, line: &Line) -> Option<u64> {
        match self {
            Self::AggTrade | Self::Trade | Self::Quote => None,
            Self::Depth { every_ms, .. }
            | Self::Partial { every_ms, .. }
            | Self::Mark { every_ms } => Some(every_ms),
            Self::Kline { .. } | Self::Continuous { .. } => Some(line.kline_ms),
            Self::Day | Self::MiniDay => Some(1_000),
        }
    }

    /// The part of the stream's name behind the symbol.
    #[must_use]
    pub fn name(self) -> String {
        let speed = |ms: u64, named: bool| if named { format!("@{ms}ms") } else { String::new() };
        match self {
            Self::AggTrade => "aggTrade".to_owned(),
            Self::Trade => "trade".to_owned(),
            Self::Quote => "bookTicker".to_owned(),
            Self::Depth { every_ms, named } => format!("depth{}", speed(every_ms, named)),
            Self::Partial { levels, every_ms, named } => {
                format!("depth{levels}{}", speed(every_ms, named))
            }
            Self::Kline { interval } => {
                format!("kline_{}", INTERVALS.get(interval).map_or("", |(name, _)| name))
            }
            Self::Continuous { interval } => {
                format!("continuousKline_{}", INTERVALS.get(interval).map_or("", |(name, _)| name))
            }
            Self::Day => "ticker".to_owned(),
            Self::MiniDay => "miniTicker".to_owned(),
            Self::Mark { every_ms: 1_000 } => "markPrice@1s".to_owned(),
            Self::Mark { .. } => "markPrice".to_owned(),
        }
    }
}
