//! A consumer and the end of the queue that its thread drains.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Waker;

use model::{ConsumerId, Error, Event, Kind, Nanos};
use rtrb::{Consumer as Ring, RingBuffer};

use crate::capacity::{BATCH_MAX, QueueCapacity};
use crate::catalog::Catalog;
use crate::critical::Critical;
use crate::doorbell::Doorbell;
use crate::fanout::Outlet;
use crate::tally::{ConsumerCounts, Tally};

/// A program fed by the gateway.
///
/// Each event is the consumer's own: plain memory that nothing waits for. A handler that panics
/// loses that event and nothing else; it is called again with the next.
pub trait Consumer: Send {
    /// An event, in the order of its stream.
    fn on_event(&mut self, event: Event, ctx: &mut Context<'_>);

    /// No more is there for now, or the batch is as large as a batch gets: the place for work that
    /// is better done once than per event.
    fn on_batch_end(&mut self, ctx: &mut Context<'_>) {
        let _ = ctx;
    }
}

/// What a handler can know beside its event.
#[derive(Debug)]
pub struct Context<'a> {
    /// Names behind numbers.
    pub catalog: &'a Catalog,
    /// Who is called.
    pub consumer: ConsumerId,
    /// When the batch was begun.
    pub now: Nanos,
    tally: &'a Tally,
    /// The position of the last execution event that it was handed.
    executed_to: u64,
}

impl Context<'_> {
    /// What was counted for this consumer up to the last turn: how many trades were dropped, how
    /// much was conflated.
    #[must_use]
    pub fn counts(&self) -> ConsumerCounts {
        self.tally.counts()
    }

    /// Says that the consumer has dealt with its execution events up to and with a position, which
    /// is the `seq_provider` of their headers: after a restart it gets what is behind it. A position
    /// that was acknowledged before changes nothing.
    ///
    /// # Errors
    /// [`Remedy::Reject`](model::Remedy::Reject) for a position that it was not handed yet.
    pub fn acknowledge(&mut self, position: u64) -> Result<(), Error> {
        if position > self.executed_to {
            return Err(Error::reject(format!(
                "position {position} was not delivered yet: the last one was {}",
                self.executed_to
            )));
        }
        if position > self.tally.acknowledged() {
            self.tally.acknowledge(position);
        }
        Ok(())
    }
}

/// The consumer's end of its queue. Its thread does
/// ```text
/// inbox.attach(waker)
/// until inbox.is_closed():
///     if inbox.drain(…) == 0 and inbox.may_sleep(): park
/// ```
#[derive(Debug)]
pub struct Inbox {
    id: ConsumerId,
    name: Arc<str>,
    ring: Ring<Event>,
    /// Execution and control: read first.
    critical: Ring<Event>,
    executed_to: u64,
    catalog: Catalog,
    tally: Arc<Tally>,
    counts: ConsumerCounts,
    latencies_ns: Vec<u64>,
    bell: Arc<Doorbell>,
    room: Arc<Doorbell>,
    /// Calls the shard, to pass an acknowledgement on.
    shard: Waker,
}

/// Both ends of a new queue; `shard` is called when room that is waited for was made.
pub(crate) fn queue(
    id: ConsumerId,
    name: &str,
    catalog: &Catalog,
    capacity: QueueCapacity,
    shard: Waker,
) -> Result<(Outlet, Inbox), Error> {
    let (producer, ring) = RingBuffer::new(capacity.ring.max(1));
    let tally = Arc::new(Tally::new()?);
    let (bell, room) = (Arc::new(Doorbell::default()), Arc::new(Doorbell::new(shard.clone())));
    let ends = (bell.clone(), room.clone());
    let name: Arc<str> = name.into();
    let (window, critical) = RingBuffer::new(capacity.critical.max(1));
    let owner = (id, name.clone());
    let window = Critical::new(owner, window, capacity.commands, tally.clone());
    let outlet = Outlet::new(id, producer, window, capacity.trades, tally.clone(), ends);
    let inbox = Inbox {
        id,
        name,
        ring,
        critical,
        executed_to: 0,
        catalog: catalog.clone(),
        tally,
        counts: ConsumerCounts::default(),
        latencies_ns: Vec::with_capacity(BATCH_MAX),
        bell,
        room,
        shard,
    };
    Ok((outlet, inbox))
}

impl Inbox {
    /// Whose it is.
    #[must_use]
    pub fn id(&self) -> ConsumerId {
        self.id
    }

    /// Whose it is, by name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Its counters and latencies.
    #[must_use]
    pub fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }

    /// Says how to wake whoever drains this; once, before the first [`may_sleep`](Self::may_sleep).
    /// `false` where it was said before.
    pub fn attach(&self, waker: Waker) -> bool {
        self.bell.attach(waker)
    }

    /// Whether nothing is there and the waker will be called when something is, or when the shard
    /// is gone. To be asked right before every sleep.
    #[must_use]
    pub fn may_sleep(&self) -> bool {
        self.bell.arm();
        let idle = self.is_empty() && !self.ring.is_abandoned();
        if !idle {
            self.bell.disarm();
        }
        idle
    }

    /// Whether nothing is there and nothing will come: the shard is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.ring.is_abandoned() && self.is_empty()
    }

    /// Whether nothing is in the queue now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.critical.is_empty() && self.ring.is_empty()
    }

    /// Hands one batch to the consumer and says how many events it was; `now` is read once per
    /// event. Execution and control events go before market data, also before what was there first.
    pub fn drain(&mut self, consumer: &mut dyn Consumer, now: impl FnMut() -> Nanos) -> usize {
        self.drain_up_to(BATCH_MAX, consumer, now)
    }

    pub(crate) fn drain_up_to(
        &mut self,
        most: usize,
        consumer: &mut dyn Consumer,
        mut now: impl FnMut() -> Nanos,
    ) -> usize {
        let acknowledged = self.tally.acknowledged();
        let (mut handed, mut ready) = (0, self.ring.slots());
        let mut begun = None;
        while handed < most {
            let Some(event) = self.next(&mut ready) else { break };
            handed += 1;
            let entered = now();
            let begun = *begun.get_or_insert(entered);
            self.count(&event, entered);
            let trace_id = event.header.trace_id;
            self.guarded(begun, Some(trace_id), |ctx| consumer.on_event(event, ctx));
        }
        if let Some(begun) = begun {
            self.room.ring();
            self.guarded(begun, None, |ctx| consumer.on_batch_end(ctx));
            self.tally.publish_inbox(&self.counts, &self.latencies_ns);
            self.latencies_ns.clear();
            if self.tally.acknowledged() != acknowledged {
                self.shard.wake_by_ref();
            }
        }
        handed
    }

    /// The next event; of market data at most as many as were `ready` when the batch was begun.
    #[inline]
    fn next(&mut self, ready: &mut usize) -> Option<Event> {
        if let Ok(event) = self.critical.pop() {
            return Some(event);
        }
        *ready = ready.checked_sub(1)?;
        self.ring.pop().ok()
    }

    #[inline]
    fn count(&mut self, event: &Event, entered: Nanos) {
        self.counts.delivered += 1;
        if !event.kind().is_critical() {
            self.latencies_ns.push(entered.0.saturating_sub(event.header.ts_recv.0));
            return;
        }
        self.counts.critical_delivered += 1;
        if let (Kind::ExecReport | Kind::Balance, Some(position)) =
            (event.kind(), event.header.seq_provider)
        {
            self.executed_to = position;
        }
    }

    /// Calls a handler; its panic goes no further than here.
    fn guarded(&mut self, now: Nanos, trace_id: Option<u64>, call: impl FnOnce(&mut Context<'_>)) {
        let tally = &*self.tally;
        let (catalog, consumer, executed_to) = (&self.catalog, self.id, self.executed_to);
        let mut ctx = Context { catalog, consumer, now, tally, executed_to };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| call(&mut ctx))) {
            self.counts.panics += 1;
            self.log_panic(trace_id, &*panic);
        }
    }

    /// One line a panic at first, then one for each power of two: a handler that panics on every
    /// event must not fill the disk.
    #[cold]
    fn log_panic(&self, trace_id: Option<u64>, panic: &(dyn Any + Send)) {
        const LOGGED_EACH: u64 = 16;
        let panics = self.counts.panics;
        if panics > LOGGED_EACH && !panics.is_power_of_two() {
            return;
        }
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        tracing::error!(
            consumer = &*self.name,
            trace_id,
            panics,
            panic = text.unwrap_or("(no text)"),
            "a consumer's handler panicked; it goes on with the next event"
        );
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
