//! Who trades when nobody does: makers that quote around a wandering price, takers, bursts and
//! quiet times, all from one seed.
//!
//! Every instrument has its own weather: for some seconds little happens, or the usual, or much,
//! or so little that a window of a second just sees it. Over time it averages to the usual, so that
//! the rate that was asked for is the rate that comes.

use std::time::Duration;

use model::{Nanos, Side};

use super::book::Book;
use super::instrument::Instrument;
use super::order::{AccountId, Index, Lasting, NewOrder, Pricing, SelfTrade};
use crate::rng::Rng;

/// The crowd's accounts: makers first, then takers.
pub const ACCOUNTS: usize = 4;
const MAKERS: u64 = 2;

/// Orders that makers keep in a book, about.
const RESTING: u64 = 240;
/// And never more.
const RESTING_MAX: usize = 1_000;

/// (percent of the time, tenths of the usual rate); percents sum to 100 and the weighted rates
/// to 10.
const WEATHER: [(u64, u32); 4] = [(10, 2), (30, 5), (45, 10), (15, 25)];
/// A weather lasts around so long.
const WEATHER_LASTS: Duration = Duration::from_secs(6);

/// What somebody of the crowd does next.
#[derive(Clone, Debug)]
pub(super) enum Action {
    Place(NewOrder),
    Cancel(AccountId, u64),
    /// Account, order, price and lots.
    Amend(AccountId, u64, u64, u64),
}

/// The crowd around one instrument.
#[derive(Clone, Debug)]
pub(super) struct Crowd {
    index: Index,
    rng: Rng,
    /// What the crowd takes the price to be, in ticks.
    fair: u64,
    /// Makers' orders that were placed, the dead among them until they are come upon.
    resting: Vec<(AccountId, u64)>,
    /// Tenths of the usual rate.
    weather: u32,
    weather_ends: Nanos,
}

impl Crowd {
    pub fn new(index: Index, fair: u64, mut rng: Rng, now: Nanos) -> Self {
        let weather_ends = now + rng.around(WEATHER_LASTS);
        Self { index, rng, fair, resting: Vec::new(), weather: 10, weather_ends }
    }

    /// The next orders of makers, to begin with: a book as deep as it will be.
    pub fn opening(&mut self, instrument: &Instrument) -> Vec<NewOrder> {
        let sides = [Side::Buy, Side::Sell];
        (0..RESTING).map(|n| self.quote(instrument, sides[usize::from(n % 2 == 0)])).collect()
    }

    /// When the next action comes, after one that was worth so many messages; `usual` is the time
    /// between two messages.
    pub fn next_at(&mut self, now: Nanos, usual: Duration, messages: u32) -> Nanos {
        if now >= self.weather_ends {
            self.change_weather(now);
        }
        let mean = usual * 10 / self.weather;
        // What changes no best level is part of a batch at most: an eighth of a message.
        now + self.rng.around((mean * messages).max(mean / 8))
    }

    fn change_weather(&mut self, now: Nanos) {
        let mut drawn = self.rng.below(100);
        for (percent, tenths) in WEATHER {
            if drawn < percent {
                self.weather = tenths;
                break;
            }
            drawn -= percent;
        }
        self.weather_ends = now + self.rng.around(WEATHER_LASTS);
    }

    /// What happens next.
    pub fn act(&mut self, instrument: &Instrument, book: &Book) -> Option<Action> {
        self.wander(instrument);
        let crowded = u64::try_from(book.len()).unwrap_or(u64::MAX);
        // More orders than wanted make cancels likelier than new ones, fewer the other way round.
        let place = (45 * RESTING / (crowded + 1).max(RESTING / 2)).clamp(10, 75);
        match self.rng.below(100) {
            n if n < place => {
                let side = self.side();
                Some(Action::Place(self.quote(instrument, side)))
            }
            n if n < 82 => self.withdraw(book),
            n if n < 86 => self.shrink(book),
            _ => Some(Action::Place(self.take(instrument, book))),
        }
    }

    /// Remembers an order of a maker that waits.
    pub fn waits(&mut self, account: AccountId, id: u64) {
        if self.resting.len() >= RESTING_MAX {
            self.resting.swap_remove(0);
        }
        self.resting.push((account, id));
    }

    /// Far from where it began the price is pulled back.
    fn wander(&mut self, instrument: &Instrument) {
        if !self.rng.one_in(4) {
            return;
        }
        let (reference, step) = (instrument.reference, 1 + self.rng.skewed(3));
        let far = self.fair.abs_diff(reference) > reference / 20;
        let up = if far { self.fair < reference } else { self.rng.one_in(2) };
        self.fair = if up { self.fair + step } else { self.fair.saturating_sub(step).max(20) };
    }

    fn side(&mut self) -> Side {
        if self.rng.one_in(2) { Side::Buy } else { Side::Sell }
    }

    /// A maker's order near the price.
    fn quote(&mut self, instrument: &Instrument, side: Side) -> NewOrder {
        let away = 1 + self.rng.skewed(8);
        let ticks = match side {
            Side::Buy => self.fair.saturating_sub(away).max(1),
            Side::Sell => self.fair + away,
        };
        let account = AccountId(usize::try_from(self.rng.below(MAKERS)).unwrap_or(0));
        let post_only = self.rng.one_in(2);
        let pricing = Pricing::Limit { ticks, post_only };
        self.order(instrument, account, side, pricing, Lasting::GoodTillCancel)
    }

    /// A taker's order: at the market mostly, sometimes with a limit behind the best price.
    fn take(&mut self, instrument: &Instrument, book: &Book) -> NewOrder {
        let side = self.side();
        let best = match side {
            Side::Buy => book.best(Side::Sell),
            Side::Sell => book.best(Side::Buy),
        };
        let reach = self.rng.skewed(4);
        let (pricing, lasting) = match (self.rng.below(4), best) {
            (0 | 1, _) | (_, None) => (Pricing::Market, Lasting::ImmediateOrCancel),
            (n, Some((ticks, _))) => {
                let ticks = match side {
                    Side::Buy => ticks + reach,
                    Side::Sell => ticks.saturating_sub(reach).max(1),
                };
                let lasting = if n == 2 { Lasting::ImmediateOrCancel } else { Lasting::FillOrKill };
                (Pricing::Limit { ticks, post_only: false }, lasting)
            }
        };
        let taker = MAKERS + self.rng.below(ACCOUNTS as u64 - MAKERS);
        let account = AccountId(usize::try_from(taker).unwrap_or(0));
        self.order(instrument, account, side, pricing, lasting)
    }

    fn order(
        &mut self,
        instrument: &Instrument,
        account: AccountId,
        side: Side,
        pricing: Pricing,
        lasting: Lasting,
    ) -> NewOrder {
        let one = instrument.value(self.fair.max(1), 1).max(1);
        // Twice the smallest, since the price at which it is judged may be a lower one.
        let least = u64::try_from(instrument.value_min * 2 / one).unwrap_or(0) + 1;
        let lots = least + self.rng.skewed(12);
        let self_trade = SelfTrade::ExpireMaker;
        let (client_id, instrument) = (None, self.index);
        NewOrder { account, instrument, client_id, side, pricing, lots, lasting, self_trade }
    }

    /// One of the makers' orders that is still in the book.
    fn pick(&mut self, book: &Book) -> Option<(usize, AccountId, u64)> {
        for _ in 0..8 {
            let count = u64::try_from(self.resting.len()).unwrap_or(0);
            let at = usize::try_from(self.rng.below(count)).unwrap_or(0);
            let (account, id) = *self.resting.get(at)?;
            if book.get(id).is_some() {
                return Some((at, account, id));
            }
            self.resting.swap_remove(at);
        }
        None
    }

    fn withdraw(&mut self, book: &Book) -> Option<Action> {
        let (at, account, id) = self.pick(book)?;
        self.resting.swap_remove(at);
        Some(Action::Cancel(account, id))
    }

    fn shrink(&mut self, book: &Book) -> Option<Action> {
        let (_, account, id) = self.pick(book)?;
        let order = book.get(id)?;
        let lots = order.lots.saturating_sub(1 + self.rng.below(order.left()));
        Some(Action::Amend(account, id, order.ticks()?, lots))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weather_averages_to_the_usual() {
        assert_eq!(WEATHER.iter().map(|(percent, _)| percent).sum::<u64>(), 100);
        let weighted = WEATHER.iter().map(|(percent, tenths)| percent * u64::from(*tenths));
        // Hundredths of tenths: 1,000 is the usual.
        assert!((980..=1_020).contains(&weighted.sum::<u64>()));
    }

    #[test]
    fn quiet_times_are_slow_and_never_dead() {
        let mut crowd = Crowd::new(0, 1_000, Rng::new(3, 0), Nanos(0));
        let (mut now, mut seconds) = (Nanos(0), Vec::new());
        for _ in 0..200_000 {
            now = crowd.next_at(now, Duration::from_millis(5), 1);
            seconds.resize(usize::try_from(now.since(Nanos(0)).as_secs()).unwrap() + 1, 0_u32);
            *seconds.last_mut().unwrap() += 1;
        }
        // 200,000 messages at 200 a second.
        assert!((800..1_250).contains(&seconds.len()), "{} s", seconds.len());
        let quiet = seconds.iter().filter(|count| **count < 70).count();
        assert!((4..16).contains(&(quiet * 100 / seconds.len())), "{quiet} s are quiet");
        let slowest = seconds.iter().rev().skip(1).min();
        assert!(slowest.is_some_and(|count| *count > 10), "{slowest:?}");
    }
}
