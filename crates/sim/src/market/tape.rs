//! What was traded: the last trades, a day of one-minute candles.

use std::collections::VecDeque;
use std::time::Duration;

use model::{Nanos, Side};

use super::bar::Bar;
use super::money::Amount;
use super::order::Trade;

/// So many of the last trades are kept.
pub const TRADES_MAX: usize = 1_000;
/// A day of minutes.
pub const CANDLES_MAX: usize = 1_440;

const MINUTE_NS: u64 = 60_000_000_000;

/// What was traded in a stretch of time. Prices in ticks, quantities in lots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Candle {
    /// Its beginning.
    pub opened: Nanos,
    /// Price at the beginning.
    pub open: u64,
    /// Highest price.
    pub high: u64,
    /// Lowest price.
    pub low: u64,
    /// Price at the end.
    pub close: u64,
    /// What was traded.
    pub lots: u64,
    /// What that was worth.
    pub value: Amount,
    /// What of it was bought by orders that did not wait.
    pub taker_lots: u64,
    /// What that was worth.
    pub taker_value: Amount,
    /// How many trades.
    pub trades: u64,
    /// The id of the first trade; the next one's where there is none.
    pub first_trade: u64,
}

impl Candle {
    /// A candle without trades.
    fn flat(opened: Nanos, ticks: u64, next_trade: u64) -> Self {
        let (open, high, low, close) = (ticks, ticks, ticks, ticks);
        Self { opened, open, high, low, close, first_trade: next_trade, ..Self::default() }
    }

    /// The two as one; `later` follows.
    fn join(&mut self, later: &Self) {
        self.high = self.high.max(later.high);
        self.low = self.low.min(later.low);
        self.close = later.close;
        self.lots += later.lots;
        self.value += later.value;
        self.taker_lots += later.taker_lots;
        self.taker_value += later.taker_value;
        self.trades += later.trades;
    }

    /// The id of the last trade; one below the first where there is none.
    #[must_use]
    pub fn last_trade(&self) -> u64 {
        (self.first_trade + self.trades).saturating_sub(1)
    }
}

/// The trades of an instrument.
#[derive(Clone, Debug)]
pub struct Tape {
    trades: VecDeque<Trade>,
    candles: VecDeque<Candle>,
    next_trade: u64,
    last: u64,
}

impl Tape {
    /// A tape with a past: a day of candles from a walk that ends at `ticks`.
    pub(super) fn new(now: Nanos, ticks: u64, next_trade: u64, mut dice: crate::rng::Rng) -> Self {
        let minute = now.0 / MINUTE_NS;
        let mut candles = VecDeque::with_capacity(CANDLES_MAX);
        let (mut close, span) = (ticks, (ticks / 2_000).max(1));
        for back in 0..CANDLES_MAX as u64 {
            let opened = Nanos(minute.saturating_sub(back) * MINUTE_NS);
            let open = (close + span / 2).saturating_sub(dice.below(span + 1)).max(span);
            let (high, low) = (open.max(close) + dice.below(span), open.min(close));
            let candle = Candle { high, low, ..Candle::flat(opened, open, next_trade) };
            candles.push_front(Candle { close, ..candle });
            close = open;
        }
        Self { trades: VecDeque::new(), candles, next_trade, last: ticks }
    }

    /// The price of the last trade, in ticks.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.last
    }

    /// The id that the next trade gets.
    #[must_use]
    pub fn next_trade(&self) -> u64 {
        self.next_trade
    }

    /// The last trades, oldest first: at most [`TRADES_MAX`].
    #[must_use]
    pub fn trades(&self) -> &VecDeque<Trade> {
        &self.trades
    }

    /// Adds a trade.
    pub(super) fn push(&mut self, trade: Trade, value: Amount) {
        self.roll(trade.at);
        self.next_trade = trade.id + 1;
        self.last = trade.ticks;
        if let Some(candle) = self.candles.back_mut() {
            if candle.trades == 0 {
                // A minute begins with its first trade, not with the last price before it.
                *candle = Candle::flat(candle.opened, trade.ticks, trade.id);
            }
            let taker = trade.aggressor == Side::Buy;
            let (taker_lots, taker_value) = if taker { (trade.lots, value) } else { (0, 0) };
            candle.join(&Candle {
                lots: trade.lots,
                value,
                taker_lots,
                taker_value,
                trades: 1,
                ..Candle::flat(trade.at, trade.ticks, trade.id)
            });
        }
        self.trades.push_back(trade);
        if self.trades.len() > TRADES_MAX {
            self.trades.pop_front();
        }
    }

    /// Brings the candles up to a time: minutes without trades have candles too.
    pub fn roll(&mut self, now: Nanos) {
        let minute = now.0 / MINUTE_NS;
        let newest = self.candles.back().map_or(minute, |candle| candle.opened.0 / MINUTE_NS);
        let missing = minute.saturating_sub(newest).min(CANDLES_MAX as u64);
        for back in (0..missing).rev() {
            let opened = Nanos((minute - back) * MINUTE_NS);
            // Before the new one comes: one more than there is room for would double the buffer.
            if self.candles.len() >= CANDLES_MAX {
                self.candles.pop_front();
            }
            self.candles.push_back(Candle::flat(opened, self.last, self.next_trade));
        }
    }

    /// The candles of that length or of so many minutes, oldest first; the last one is not over yet.
    #[must_use]
    pub fn candles(&self, bar: impl Into<Bar>) -> Vec<Candle> {
        let bar = bar.into();
        let (mut all, mut end): (Vec<Candle>, Nanos) = (Vec::new(), Nanos(0));
        for candle in &self.candles {
            match all.last_mut().filter(|_| candle.opened < end) {
                Some(last) => last.join(candle),
                None => {
                    let opened = bar.begin(candle.opened);
                    end = bar.end(opened);
                    all.push(Candle { opened, ..*candle });
                }
            }
        }
        all
    }

    /// The last candle of that length or of so many minutes.
    #[must_use]
    pub fn candle(&self, bar: impl Into<Bar>) -> Candle {
        let newest = self.candles.back().map_or(Nanos(0), |candle| candle.opened);
        let opened = bar.into().begin(newest);
        let same = |candle: &&Candle| candle.opened >= opened;
        let count = self.candles.iter().rev().take_while(same).count();
        Candle { opened, ..self.sum_of_last(count) }
    }

    /// The last 24 hours as one candle.
    #[must_use]
    pub fn day(&self) -> Candle {
        self.sum_of_last(self.candles.len())
    }

    fn sum_of_last(&self, count: usize) -> Candle {
        let mut all = self.candles.range(self.candles.len() - count..);
        let mut sum = all.next().copied().unwrap_or_default();
        all.for_each(|candle| sum.join(candle));
        sum
    }
}

/// How long a candle of one minute is.
pub const MINUTE: Duration = Duration::from_nanos(MINUTE_NS);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    const START: Nanos = Nanos(1_780_000_000_000_000_000);

    fn trade(id: u64, at: Nanos, ticks: u64, aggressor: Side) -> Trade {
        Trade { id, at, ticks, lots: 2, aggressor, taker: 1, maker: 2 }
    }

    #[test]
    fn a_past_of_one_day_ends_at_the_price_of_now() {
        let tape = Tape::new(START, 1_000, 7, Rng::new(1, 1));
        let candles = tape.candles(1);
        assert_eq!((candles.len(), candles.last().unwrap().close), (CANDLES_MAX, 1_000));
        for pair in candles.windows(2) {
            assert_eq!(pair[0].opened + MINUTE, pair[1].opened);
            assert_eq!(pair[0].close, pair[1].open);
            assert!(pair[0].low <= pair[0].open.min(pair[0].close));
            assert!(pair[0].high >= pair[0].open.max(pair[0].close));
        }
    }

    #[test]
    fn trades_fill_their_minute_and_quiet_minutes_are_flat() {
        let mut tape = Tape::new(START, 1_000, 7, Rng::new(1, 1));
        tape.push(trade(7, START, 1_003, Side::Buy), 30);
        tape.push(trade(8, START, 999, Side::Sell), 20);
        tape.roll(START + 3 * MINUTE);
        let candles = tape.candles(1);
        let [.., busy, _, _, last] = candles.as_slice() else { panic!() };
        assert_eq!((busy.open, busy.high, busy.low, busy.close), (1_003, 1_003, 999, 999));
        assert_eq!((busy.lots, busy.value, busy.taker_lots, busy.taker_value), (4, 50, 2, 30));
        assert_eq!((busy.trades, busy.first_trade, busy.last_trade()), (2, 7, 8));
        assert_eq!((last.open, last.close, last.trades, last.first_trade), (999, 999, 0, 9));
        assert_eq!((candles.len(), tape.last(), tape.next_trade()), (CANDLES_MAX, 999, 9));
    }

    #[test]
    fn longer_candles_are_made_of_minutes() {
        let mut tape = Tape::new(START, 1_000, 7, Rng::new(1, 1));
        (0..10).for_each(|n| {
            tape.push(
                trade(7 + n, START + MINUTE * u32::try_from(n).unwrap(), 990 + n, Side::Buy),
                1,
            );
        });
        let five = tape.candles(5);
        assert!(five.iter().all(|candle| candle.opened.0.is_multiple_of(5 * MINUTE_NS)));
        assert_eq!(five.last().copied(), Some(tape.candle(5)));
        assert_eq!(five.iter().map(|candle| candle.trades).sum::<u64>(), 10);
        let day = tape.day();
        assert_eq!((day.trades, day.close, day.lots), (10, 999, 20));
        assert_eq!(day.opened, tape.candles(1)[0].opened);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut tape = Tape::new(START, 1_000, 0, Rng::new(1, 1));
        (0..3_000).for_each(|n| tape.push(trade(n, START, 1_000, Side::Buy), 1));
        assert_eq!((tape.trades().len(), tape.trades()[0].id), (TRADES_MAX, 2_000));
        tape.roll(START + MINUTE * 1_000_000);
        assert_eq!(tape.candles(1).len(), CANDLES_MAX);
        assert!(tape.candles.capacity() < 2 * CANDLES_MAX, "{}", tape.candles.capacity());
    }
}
