//! A consumer that believes nothing: it rebuilds every book from its events alone, checks on the
//! way what a consumer is promised, and keeps what it was told of states.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use meltica::{Body, Consumer, Context, Event, Kind};
use model::event::{BookMeta, Reason, StreamState};
use model::{Decimal, Nanos};

/// Provider and instrument.
pub type Name = (String, String);
/// One side: quantity by price, both without trailing zeros.
pub type Side = BTreeMap<Decimal, Decimal>;

/// One change of a stream's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub at: Nanos,
    pub of: Kind,
    pub state: StreamState,
    pub reason: Reason,
}

/// What a consumer can know of one instrument.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub bids: Side,
    pub asks: Side,
    pub position: u64,
    pub generation: u32,
    /// No update followed the snapshot yet.
    pub fresh: bool,
    pub updates: u64,
    pub book_state: StreamState,
    pub trades: Vec<u64>,
    /// Below it no trade is expected; a stream that was lost may begin anywhere.
    trade_floor: u64,
    pub changes: Vec<Change>,
}

/// The consumer; clones share what they know.
#[derive(Clone, Default)]
pub struct Follower(Arc<Mutex<Inner>>);

#[derive(Default)]
pub struct Inner {
    pub known: BTreeMap<Name, Known>,
    /// Events that are neither books nor states, by provider.
    pub plain: BTreeMap<String, u64>,
    /// Every event in its order, to be compared with those of another run.
    pub events: Vec<Event>,
    pub keep_events: bool,
    /// The first promise that was not kept.
    pub complaint: Option<String>,
}

impl Follower {
    pub fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    pub fn known(&self, provider: &str, instrument: &str) -> Known {
        let name = (provider.to_owned(), instrument.to_owned());
        self.inner().known.get(&name).cloned().unwrap_or_default()
    }

    /// The states of a stream, in order.
    pub fn states(&self, provider: &str, instrument: &str, of: Kind) -> Vec<(StreamState, Reason)> {
        let changes = self.known(provider, instrument).changes;
        changes.iter().filter(|c| c.of == of).map(|c| (c.state, c.reason)).collect()
    }
}

impl Consumer for Follower {
    fn on_event(&mut self, event: Event, ctx: &mut Context<'_>) {
        let stream = event.header.stream;
        let name = |name: Option<Arc<str>>| name.unwrap().to_string();
        let provider = name(ctx.catalog.provider_name(stream.provider));
        let instrument = name(ctx.catalog.instrument_name(stream.instrument));
        let mut inner = self.inner();
        if !matches!(event.body, Body::Book(_) | Body::Status(_)) {
            *inner.plain.entry(provider.clone()).or_default() += 1;
        }
        let known = inner.known.entry((provider, instrument)).or_default();
        if let Err(broken) = known.take(&event) {
            let complaint = format!("{broken}; {event:?} after {known:?}");
            inner.complaint.get_or_insert(complaint);
        }
        if inner.keep_events {
            inner.events.push(event);
        }
    }
}

impl Known {
    /// Says what was promised and not kept.
    fn take(&mut self, event: &Event) -> Result<(), &'static str> {
        match event.body {
            Body::Book(meta) if event.kind() == Kind::BookSnapshot => {
                let next = meta.generation == self.generation + 1;
                self.generation = meta.generation;
                self.bids.clear();
                self.asks.clear();
                self.position = meta.seq_last.unwrap();
                self.fresh = true;
                self.set(event);
                if !next {
                    return Err("a generation was left out");
                }
            }
            Body::Book(meta) => {
                let follows = self.follows(&meta);
                self.position = meta.seq_last.unwrap();
                self.fresh = false;
                self.updates += 1;
                self.set(event);
                follows?;
            }
            Body::Trade(trade) => {
                let newer = trade.trade_id > self.trade_floor;
                self.trade_floor = trade.trade_id;
                self.trades.push(trade.trade_id);
                if !newer {
                    return Err("a trade that is not newer");
                }
            }
            Body::Status(status) => {
                if status.of == Kind::BookUpdate {
                    self.book_state = status.state;
                } else if status.of == Kind::Trade && status.state != StreamState::Live {
                    self.trade_floor = 0;
                }
                let (of, at) = (status.of, event.header.ts_recv);
                self.changes.push(Change { at, of, state: status.state, reason: status.reason });
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether an update may be applied to what is known.
    fn follows(&self, meta: &BookMeta) -> Result<(), &'static str> {
        let (first, last) = (meta.seq_first.unwrap(), meta.seq_last.unwrap());
        let joins = match meta.seq_prev {
            None => first <= self.position + 1,
            Some(_) if self.fresh => true,
            Some(previous) => previous == self.position,
        };
        match () {
            () if self.book_state != StreamState::Live => Err("an update of a book in doubt"),
            () if meta.generation != self.generation => Err("an update of another generation"),
            () if last <= self.position => Err("an update that is not newer"),
            () if !joins => Err("an update that does not follow"),
            () => Ok(()),
        }
    }

    fn set(&mut self, event: &Event) {
        for (side, levels) in [(&mut self.bids, event.bids()), (&mut self.asks, event.asks())] {
            for level in levels {
                let (price, quantity) = (level.price.normalize(), level.quantity.normalize());
                if quantity.is_zero() {
                    side.remove(&price);
                } else {
                    side.insert(price, quantity);
                }
            }
        }
    }
}
