//! One instrument as the venue numbers it: update ids, aggregate trades, diffs under way.

use std::collections::{BTreeMap, VecDeque};

use model::Side;

use crate::market::order::{Index, Trade};
use crate::rng::Rng;

/// So many aggregate trades can be asked for again.
pub const AGG_TRADES_MAX: usize = 1_000;

/// Trades of one order at one price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AggTrade {
    /// Counts up by one.
    pub id: u64,
    /// The first of them, with the quantity of all.
    pub trade: Trade,
    /// The last one's id.
    pub last: u64,
}

/// What has changed in a book since the last message of a stream.
#[derive(Clone, Debug, Default)]
pub struct Diff {
    /// Update id of the first change; 0 where there is none yet.
    pub first: u64,
    /// Of the last change.
    pub last: u64,
    /// Of the last change that the stream's message before told.
    pub previous: u64,
    /// Lots by ticks, bids and asks.
    pub levels: [BTreeMap<u64, u64>; 2],
}

/// An instrument of the venue.
#[derive(Clone, Debug)]
pub struct Feed {
    /// Its place in the market.
    pub index: Index,
    /// The venue's symbol.
    pub symbol: String,
    /// The same in small letters, as streams have it.
    pub lower: String,
    /// The update id of the book as it is now.
    pub last_id: u64,
    /// The last aggregate trades, oldest first.
    pub agg_trades: VecDeque<AggTrade>,
    next_agg: u64,
    /// By the time between two messages; those that somebody has subscribed.
    pub diffs: BTreeMap<u64, Diff>,
    /// What was last told as the best levels.
    pub quoted: [Option<(u64, u64)>; 2],
}

/// Numbers the changes of books: by one each per instrument on spot; on futures one row of numbers
/// for all instruments, with gaps.
#[derive(Clone, Debug)]
pub enum Numbering {
    /// Spot.
    ByOne,
    /// Futures: the last number given, and what makes the gaps.
    Shared(u64, Rng),
}

impl Numbering {
    fn next(&mut self, last: u64) -> u64 {
        match self {
            Self::ByOne => last + 1,
            Self::Shared(newest, rng) => {
                *newest += 1 + rng.skewed(5);
                *newest
            }
        }
    }
}

impl Feed {
    /// An instrument whose ids begin somewhere.
    #[must_use]
    pub fn new(index: Index, symbol: String, last_id: u64, next_agg: u64) -> Self {
        Self {
            index,
            lower: symbol.to_lowercase(),
            symbol,
            last_id,
            agg_trades: VecDeque::new(),
            next_agg,
            diffs: BTreeMap::new(),
            quoted: [None; 2],
        }
    }

    /// A level of the book has changed.
    pub fn change(&mut self, side: Side, ticks: u64, lots: u64, numbering: &mut Numbering) {
        self.last_id = numbering.next(self.last_id);
        for diff in self.diffs.values_mut() {
            if diff.first == 0 {
                diff.first = self.last_id;
            }
            diff.last = self.last_id;
            diff.levels[usize::from(side == Side::Sell)].insert(ticks, lots);
        }
    }

    /// Diffs of that speed are wanted from now on.
    pub fn begin_diffs(&mut self, every_ms: u64) {
        let previous = self.last_id;
        self.diffs.entry(every_ms).or_insert_with(|| Diff { previous, ..Diff::default() });
    }

    /// What has changed since the last call, where anything has.
    pub fn take_diff(&mut self, every_ms: u64) -> Option<Diff> {
        let diff = self.diffs.get_mut(&every_ms).filter(|diff| diff.first != 0)?;
        let previous = diff.last;
        Some(std::mem::replace(diff, Diff { previous, ..Diff::default() }))
    }

    /// Adds the trades of one action; gives the aggregate ones that came of them.
    pub fn aggregate(&mut self, trades: &[Trade]) -> Vec<AggTrade> {
        let mut all: Vec<AggTrade> = Vec::new();
        for trade in trades {
            let same = |agg: &&mut AggTrade| {
                agg.trade.taker == trade.taker && agg.trade.ticks == trade.ticks
            };
            if let Some(agg) = all.last_mut().filter(same) {
                agg.trade.lots += trade.lots;
                agg.last = trade.id;
                continue;
            }
            all.push(AggTrade { id: self.next_agg, trade: *trade, last: trade.id });
            self.next_agg += 1;
        }
        self.agg_trades.extend(&all);
        let over = self.agg_trades.len().saturating_sub(AGG_TRADES_MAX);
        self.agg_trades.drain(..over);
        all
    }
}
