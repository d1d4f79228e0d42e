//! An order book: two sides of price levels, keyed by scaled integers.
//!
//! The assembler in `venues` changes it, the engine reads it. The book itself knows nothing of
//! sequences beyond keeping the last one: proof of continuity is the assembler's work.

use rust_decimal::Decimal;

use crate::error::Error;
use crate::event::{Level, Reason, Side, StreamState};
use crate::time::Nanos;

mod ladder;

use ladder::Ladder;

/// More places than any venue prints; a price with more is refused.
const SCALE_MAX: u32 = 18;

/// At most this many levels a side; the worst beyond it are dropped and counted. The deepest
/// public books hold a third of it.
pub const LEVELS_MAX: usize = 65_536;

/// A book with its state and the position of its last update.
///
/// Prices are integers of `10^-scale` quote currency: comparing them is one instruction, and two
/// spellings of one price (`0.10`, `0.1`) are one level, and the last one is what is read back:
/// some checksums are taken over the digits as sent. The scale starts at the instrument's
/// precision where it is known and grows when a finer price arrives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    scale: u32,
    bids: Ladder<Resting>,
    asks: Ladder<Resting>,
    levels_dropped: u64,
    /// Whether it can be relied on.
    pub state: StreamState,
    /// Why it is in that state.
    pub reason: Reason,
    /// Since when it is.
    pub since: Nanos,
    /// The venue's id of the last update applied.
    pub seq_last: Option<u64>,
    /// The venue's time of the last update applied.
    pub ts_event: Option<Nanos>,
    /// Counts snapshots; 0 before the first.
    pub generation: u32,
}

/// What stands at a price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Resting {
    quantity: Decimal,
    /// Places of the price as it was sent.
    places: u8,
}

impl Book {
    /// An empty book for prices of `places` digits after the point.
    #[must_use]
    pub fn with_places(places: u32) -> Self {
        Self { scale: places.min(SCALE_MAX), ..Self::default() }
    }

    /// Removes every level. State and generation are left to the caller.
    pub fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
        self.seq_last = None;
        self.ts_event = None;
    }

    /// Sets the quantity at a price; zero removes the level.
    ///
    /// # Errors
    /// [`Remedy::Resync`](crate::Remedy::Resync) when the price has more places or digits than a
    /// book holds, or the quantity is negative. Nothing is changed then.
    #[inline]
    pub fn set(&mut self, side: Side, level: Level) -> Result<(), Error> {
        if level.quantity.is_sign_negative() && !level.quantity.is_zero() {
            return Err(Error::resync(format!(
                "a book level of quantity {} at {}: a quantity is zero or more",
                level.quantity, level.price
            )));
        }
        let key = self.key(level.price)?;
        let levels = match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        if level.quantity.is_zero() {
            levels.remove(key);
        } else {
            // A decimal has at most 28 places.
            let places = u8::try_from(level.price.scale()).unwrap_or(u8::MAX);
            levels.insert(key, Resting { quantity: level.quantity, places });
            if levels.len() > LEVELS_MAX {
                self.levels_dropped += 1;
                self.truncate(LEVELS_MAX);
            }
        }
        Ok(())
    }

    /// Sets every level of both sides, in order.
    ///
    /// # Errors
    /// As [`set`](Self::set), for the first level that can't be held; those before it are applied.
    pub fn apply(&mut self, bids: &[Level], asks: &[Level]) -> Result<(), Error> {
        bids.iter().try_for_each(|level| self.set(Side::Buy, *level))?;
        asks.iter().try_for_each(|level| self.set(Side::Sell, *level))
    }

    /// Cuts both sides to the best `depth` levels, as venues demand that send no removal for a
    /// level that falls out of the subscribed depth.
    pub fn truncate(&mut self, depth: usize) {
        while self.bids.len() > depth {
            self.bids.pop_first();
        }
        while self.asks.len() > depth {
            self.asks.pop_last();
        }
    }

    /// The levels of a side, best first, with the digits as they were sent last.
    pub fn levels(&self, side: Side) -> impl Iterator<Item = Level> + '_ {
        let (bids, asks) = match side {
            Side::Buy => (Some(self.bids.iter().rev()), None),
            Side::Sell => (None, Some(self.asks.iter())),
        };
        bids.into_iter().flatten().chain(asks.into_iter().flatten()).map(|(key, resting)| Level {
            price: as_sent(key, self.scale, u32::from(resting.places)),
            quantity: resting.quantity,
        })
    }

    /// The best level of a side.
    #[must_use]
    pub fn best(&self, side: Side) -> Option<Level> {
        self.levels(side).next()
    }

    /// How many levels each side holds: bids, offers.
    #[must_use]
    pub fn depth(&self) -> (usize, usize) {
        (self.bids.len(), self.asks.len())
    }

    /// Whether the best bid is not below the best offer, which no venue's book ever is.
    #[must_use]
    pub fn is_crossed(&self) -> bool {
        match (self.bids.last_key(), self.asks.first_key()) {
            (Some(bid), Some(ask)) => bid >= ask,
            _ => false,
        }
    }

    /// Levels that were lost at the far end of a side since the start, for want of room.
    #[must_use]
    pub fn levels_dropped(&self) -> u64 {
        self.levels_dropped
    }

    /// The price as an integer of the book's scale, which grows where the price needs it.
    #[inline]
    fn key(&mut self, price: Decimal) -> Result<i64, Error> {
        let (mantissa, scale) = (price.mantissa(), price.scale());
        if scale == self.scale
            && let Ok(key) = i64::try_from(mantissa)
        {
            return Ok(key);
        }
        self.key_rescaled(price.normalize())
    }

    fn key_rescaled(&mut self, price: Decimal) -> Result<i64, Error> {
        let out_of_range = || {
            Error::resync(format!(
                "the price {price} has more digits than a book holds: at most {SCALE_MAX} places \
                 and 18 digits at the instrument's precision"
            ))
        };
        if price.scale() > SCALE_MAX {
            return Err(out_of_range());
        }
        if price.scale() > self.scale && !self.grow(price.scale()) {
            return Err(out_of_range());
        }
        let factor = 10i128.pow(self.scale - price.scale());
        price
            .mantissa()
            .checked_mul(factor)
            .and_then(|key| i64::try_from(key).ok())
            .ok_or_else(out_of_range)
    }

    /// Re-keys every level to a finer scale; false, and nothing changed, where a price would not
    /// fit any more.
    fn grow(&mut self, scale: u32) -> bool {
        let Some(factor) = 10i64.checked_pow(scale - self.scale) else { return false };
        if !self.bids.fits(factor) || !self.asks.fits(factor) {
            return false;
        }
        self.bids.scale(factor);
        self.asks.scale(factor);
        self.scale = scale;
        true
    }
}

/// The price of a key at `scale`, spelled with `places` places. Fewer than the scale only ever
/// leave zeros out; more come from a spelling with zeros at its end.
#[inline]
fn as_sent(key: i64, scale: u32, places: u32) -> Decimal {
    if places == scale {
        return Decimal::new(key, scale);
    }
    if places < scale {
        return Decimal::new(key / 10i64.pow(scale - places), places);
    }
    let zeros = 10i128.checked_pow(places - scale);
    zeros
        .and_then(|zeros| zeros.checked_mul(i128::from(key)))
        .and_then(|mantissa| Decimal::try_from_i128_with_scale(mantissa, places).ok())
        .unwrap_or_else(|| Decimal::new(key, scale))
}

#[cfg(test)]
mod tests;
