//! A shard with consumers, fed with frames by hand: all of the way of a frame but the socket.

use std::hint::black_box;
use std::sync::Arc;
use std::task::Waker;

use engine::{
    Capacity, Catalog, Consumer, Context, Inbox, QueueCapacity, RoutingTable, Shard, Subscription,
};
use model::venue::{Outbox, Outcome, Response, Sink, Venue};
use model::{ConnId, Event, Nanos, ProviderId};

use super::synthetic;

const CONN: ConnId = ConnId(1);

/// A provider, a shard and its consumers on one thread.
pub(super) struct Rig {
    machine: Box<dyn Venue>,
    shard: Shard,
    provider: ProviderId,
    inboxes: Vec<Inbox>,
    outbox: Outbox,
    taker: Taker,
    now: Nanos,
}

/// A consumer that counts and drops what it gets.
#[derive(Default)]
struct Taker {
    taken: u64,
}

impl Consumer for Taker {
    fn on_event(&mut self, event: Event, _: &mut Context<'_>) {
        // A change of state is no market data.
        self.taken += u64::from(!event.kind().is_critical());
        black_box(&event);
    }
}

impl Rig {
    /// A rig whose book is live.
    pub(super) fn new(consumers: usize, boxed: bool) -> Result<Self, String> {
        let settings = venues::Settings { adopt: true, ..venues::Settings::default() };
        let machine = venues::create(synthetic::VENUE, settings).ok_or("no such venue")?;
        let capacity = Capacity { boxed, ..Capacity::default() };
        let mut shard = Shard::new(capacity, Catalog::new(), Waker::noop().clone());
        let provider = shard.catalog().provider("bench").map_err(|error| error.to_string())?;
        let inboxes = seat(&mut shard, consumers).map_err(|error| error.to_string())?;
        let (outbox, taker, now) = (Outbox::default(), Taker::default(), Nanos(1));
        let mut rig = Self { machine, shard, provider, inboxes, outbox, taker, now };
        rig.make_live()?;
        Ok(rig)
    }

    /// One turn: these frames, then the consumers.
    pub(super) fn turn(&mut self, frames: &[String]) {
        self.now.0 += 1;
        for bytes in frames {
            let Some(mut frame) = self.shard.pools().ws_frames.try_acquire() else { continue };
            frame.payload.extend_from_slice(bytes.as_bytes());
            let mut port = self.shard.port(self.provider, self.now);
            let mut sink = Sink { pipeline: &mut port, outbox: &mut self.outbox };
            // What is not decoded is missed in `check`.
            let _ = self.machine.on_frame(CONN, &frame.payload, self.now, &mut sink);
            self.outbox.wake_at = None;
        }
        self.shard.end_turn(self.now);
        for inbox in &mut self.inboxes {
            while inbox.drain(&mut self.taker, || self.now) > 0 {}
        }
    }

    /// Whether every consumer got every event.
    pub(super) fn check(&self, events: usize) -> Result<(), String> {
        // The snapshot that made the book live comes first.
        let expected = (events + 1) * self.inboxes.len();
        if self.taker.taken == expected as u64 {
            return Ok(());
        }
        Err(format!("consumers got {} events instead of {expected}", self.taker.taken))
    }

    fn make_live(&mut self) -> Result<(), String> {
        self.turn(&[synthetic::first_diff()]);
        let (url, body) = synthetic::snapshot();
        let mut port = self.shard.port(self.provider, self.now);
        let mut sink = Sink { pipeline: &mut port, outbox: &mut self.outbox };
        let outcome = Outcome::Answered(body.as_bytes());
        let response = Response { id: None, url: &url, outcome };
        self.machine
            .on_response(response, self.now, &mut sink)
            .map_err(|error| error.to_string())?;
        self.outbox = Outbox::default();
        self.turn(&[]);
        Ok(())
    }
}

fn seat(shard: &mut Shard, consumers: usize) -> Result<Vec<Inbox>, model::Error> {
    let inboxes = (0..consumers)
        .map(|n| shard.add_consumer(&n.to_string(), QueueCapacity::default(), Nanos(0)))
        .collect::<Result<Vec<_>, _>>()?;
    let all: Vec<_> = inboxes
        .iter()
        .map(|inbox| Subscription { consumer: inbox.id(), ..Subscription::default() })
        .collect();
    let table = RoutingTable::default().next(&all, shard.catalog())?;
    shard.set_routing(Arc::new(table), Nanos(0));
    Ok(inboxes)
}
