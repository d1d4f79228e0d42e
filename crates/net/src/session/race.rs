//! Of two connections that bring the same streams: which was first, and how far behind the other.

use std::collections::{BTreeMap, VecDeque};

use model::{Header, InstrumentId, Kind, Nanos};

/// Messages of which it is remembered who brought them: the lag of a copy is known as long as so
/// many have not come in between.
const REMEMBERED_MAX: usize = 4_096;

/// What one of two connections came to, over all links and all that took its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeatStats {
    /// Messages that it brought before the other one, or alone.
    pub first: u64,
    /// Messages that had been there before.
    pub again: u64,
    /// Of those, copies of what the other one had brought, and not long before.
    pub lagged: u64,
    /// By how much these were behind, in ns, added up.
    pub lag_ns_sum: u64,
    /// The longest.
    pub lag_ns_max: u64,
}

/// A message by its place in its stream.
type Key = (InstrumentId, Kind, u64);

/// Who brought what, and when.
#[derive(Debug, Default)]
pub(super) struct Race {
    by_key: BTreeMap<Key, (usize, Nanos)>,
    order: VecDeque<Key>,
    seats: [SeatStats; 2],
}

/// The place of a message in its stream, where it has one.
pub(super) fn key(header: &Header) -> Option<Key> {
    let position = header.seq_provider.or(header.ts_event.map(|ts| ts.0))?;
    Some((header.stream.instrument, header.stream.kind, position))
}

impl Race {
    pub(super) fn seats(&self) -> [SeatStats; 2] {
        self.seats
    }

    /// A message came for the first time.
    pub(super) fn first(&mut self, seat: usize, key: Option<Key>, now: Nanos) {
        let Some(stats) = self.seats.get_mut(seat) else { return };
        stats.first += 1;
        let Some(key) = key else { return };
        if self.by_key.insert(key, (seat, now)).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > REMEMBERED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_key.remove(&oldest);
        }
    }

    /// A message came that had been there before.
    pub(super) fn again(&mut self, seat: usize, key: Option<Key>, now: Nanos) {
        let Some(stats) = self.seats.get_mut(seat) else { return };
        stats.again += 1;
        let first = key.and_then(|key| self.by_key.get(&key)).filter(|(other, _)| *other != seat);
        if let Some((_, at)) = first {
            let lag = now.0.saturating_sub(at.0);
            stats.lagged += 1;
            stats.lag_ns_sum = stats.lag_ns_sum.saturating_add(lag);
            stats.lag_ns_max = stats.lag_ns_max.max(lag);
        }
    }
}

#[cfg(test)]
mod tests {
    use model::Stream;

    use super::*;

    fn header(instrument: u32, kind: Kind, seq: u64) -> Header {
        let stream = Stream { instrument: InstrumentId(instrument), kind, ..Stream::default() };
        Header { stream, seq_provider: Some(seq), ..Header::default() }
    }

    #[test]
    fn the_first_wins_and_the_other_is_behind_by_so_much() {
        let mut race = Race::default();
        for (seq, lag) in [(1, 30), (2, 10)] {
            let key = key(&header(0, Kind::Trade, seq));
            race.first(0, key, Nanos(100));
            race.again(1, key, Nanos(100 + lag));
        }
        race.first(1, key(&header(0, Kind::Trade, 3)), Nanos(200));
        let [one, other] = race.seats();
        assert_eq!((one.first, one.again), (2, 0));
        assert_eq!((other.first, other.again, other.lagged), (1, 2, 2));
        assert_eq!((other.lag_ns_sum, other.lag_ns_max), (40, 30));
    }

    #[test]
    fn streams_are_kept_apart_and_a_double_of_ones_own_is_no_lag() {
        let mut race = Race::default();
        race.first(0, key(&header(0, Kind::Trade, 1)), Nanos(1));
        race.again(0, key(&header(0, Kind::Trade, 1)), Nanos(9));
        race.again(1, key(&header(1, Kind::Trade, 1)), Nanos(9));
        race.again(1, key(&header(0, Kind::Quote, 1)), Nanos(9));
        race.again(1, None, Nanos(9));
        assert!(race.seats().iter().all(|seat| seat.lagged == 0));
        assert_eq!(race.seats().map(|seat| seat.again), [1, 3]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut race = Race::default();
        for seq in 0..3 * REMEMBERED_MAX as u64 {
            race.first(0, key(&header(0, Kind::Trade, seq)), Nanos(1));
        }
        assert_eq!((race.order.len(), race.by_key.len()), (REMEMBERED_MAX, REMEMBERED_MAX));
    }
}
