//! What one consumer was handed of each stream, found by two array look-ups.

use model::{InstrumentId, Kind, ProviderId, Stream};

use crate::books::LANES;

/// Of one stream, for one consumer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handed {
    /// Events handed to it.
    pub delivered: u64,
    /// From the return of the read to the handler's entry, of all of them together, in ns.
    pub latency_sum_ns: u64,
    /// The longest.
    pub latency_max_ns: u64,
}

/// By provider and instrument, a place for each kind of market data.
#[derive(Debug, Default)]
pub(crate) struct HandedTable {
    /// Place + 1; 0 where there is none.
    index: Vec<Vec<u32>>,
    places: Vec<(ProviderId, InstrumentId, [Handed; LANES])>,
}

impl HandedTable {
    /// Counts an event of market data; of other kinds nothing.
    pub(crate) fn count(&mut self, stream: Stream, latency_ns: u64) {
        let Some(handed) = self.place(stream) else { return };
        handed.delivered += 1;
        handed.latency_sum_ns = handed.latency_sum_ns.saturating_add(latency_ns);
        handed.latency_max_ns = handed.latency_max_ns.max(latency_ns);
    }

    /// Every stream of which something was handed over.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Stream, Handed)> + '_ {
        self.places.iter().flat_map(|(provider, instrument, kinds)| {
            let (provider, instrument) = (*provider, *instrument);
            let named = move |(kind, handed)| (Stream { provider, instrument, kind }, handed);
            Kind::ALL.into_iter().zip(*kinds).map(named).filter(|(_, of)| of.delivered > 0)
        })
    }

    fn place(&mut self, stream: Stream) -> Option<&mut Handed> {
        let Stream { provider, instrument, kind } = stream;
        if self.index.len() <= provider.index() {
            self.index.resize_with(provider.index() + 1, Vec::new);
        }
        let row = self.index.get_mut(provider.index())?;
        if row.len() <= instrument.index() {
            row.resize(instrument.index() + 1, 0);
        }
        let place = row.get_mut(instrument.index())?;
        if *place == 0 {
            self.places.push((provider, instrument, [Handed::default(); LANES]));
            *place = u32::try_from(self.places.len()).ok()?;
        }
        let (_, _, kinds) = self.places.get_mut(*place as usize - 1)?;
        kinds.get_mut(kind.index())
    }
}
