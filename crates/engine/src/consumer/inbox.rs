//! The consumer's end of its queue: batches out, panics caught, times taken.

use std::sync::Arc;
use std::task::Waker;

use model::{CommandId, ConsumerId, Error, Event, Kind, Nanos};
use rtrb::{Consumer as Ring, RingBuffer};

use super::panics::{self, Caught};
use super::{Consumer, Context};
use crate::capacity::{BATCH_MAX, COMMANDS_MAX, HANDLER_SLOW, QueueCapacity};
use crate::catalog::Catalog;
use crate::control::{self, Command, Desk};
use crate::critical::Critical;
use crate::doorbell::Doorbell;
use crate::fanout::Outlet;
use crate::orders::OrderPort;
use crate::route::is_older;
use crate::tally::{ConsumerCounts, Taken, Tally};

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
    taken: Vec<Taken>,
    bell: Arc<Doorbell>,
    room: Arc<Doorbell>,
    /// Calls the shard, to pass an acknowledgement on.
    shard: Waker,
    control: control::Port,
    /// The consumer was made anew: market data of versions before that one is not for it, and none
    /// at all before the shard has said which.
    anew: Option<Option<u32>>,
    orders: Option<OrderPort>,
}

/// Both ends of a new queue, and the shard's end of the way of its commands; `shard` is called when
/// room that is waited for was made.
pub(crate) fn queue(
    id: ConsumerId,
    name: &str,
    catalog: &Catalog,
    capacity: QueueCapacity,
    shard: Waker,
) -> Result<(Outlet, Inbox, Desk), Error> {
    let (producer, ring) = RingBuffer::new(capacity.ring.max(1));
    let tally = Arc::new(Tally::new()?);
    let (bell, room) = (Arc::new(Doorbell::default()), Arc::new(Doorbell::new(shard.clone())));
    let ends = (bell.clone(), room.clone());
    let name: Arc<str> = name.into();
    let (window, critical) = RingBuffer::new(capacity.critical.max(1));
    let owner = (id, name.clone());
    let window = Critical::new(owner, window, capacity.commands, tally.clone());
    let (control, desk) = control::port(id, name.clone(), COMMANDS_MAX, shard.clone());
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
        taken: Vec::with_capacity(BATCH_MAX),
        bell,
        room,
        shard,
        control,
        anew: None,
        orders: None,
    };
    Ok((outlet, inbox, desk))
}

impl Inbox {
    /// Whose it is.
    #[must_use]
    pub fn id(&self) -> ConsumerId {
        self.id
    }

    /// From here on its consumer's orders go that way.
    pub fn trade_through(&mut self, port: OrderPort) {
        self.orders = Some(port);
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

    /// Whether nothing will come any more: the shard is gone.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.ring.is_abandoned()
    }

    /// Whether nothing is there and nothing will come: the shard is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.ring.is_abandoned() && self.is_empty()
    }

    /// Hands a command in outside of a handler; see [`Context::command`].
    ///
    /// # Errors
    /// [`Remedy::Reject`](model::Remedy::Reject) where as many commands as may be are open.
    pub fn command(&mut self, id: CommandId, command: Command) -> Result<(), Error> {
        self.control.submit(id, command)
    }

    /// Whether nothing is in the queue now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.critical.is_empty() && self.ring.is_empty()
    }

    /// Hands one batch to the consumer and says how many events it was; `now` is read once per
    /// event. Execution and control events go before market data, also before what was there first.
    pub fn drain(&mut self, consumer: &mut dyn Consumer, now: impl FnMut() -> Nanos) -> usize {
        self.drain_batch(BATCH_MAX, consumer, now, false)
    }

    #[cfg(test)]
    #[cfg(not(loom))]
    pub(crate) fn drain_up_to(
        &mut self,
        most: usize,
        consumer: &mut dyn Consumer,
        now: impl FnMut() -> Nanos,
    ) -> usize {
        self.drain_batch(most, consumer, now, false)
    }

    /// The same for at most so many events. Where `stop` says so, a handler's panic ends the batch, and
    /// the consumer is not called any more: what follows stays in the queue.
    pub(crate) fn drain_batch(
        &mut self,
        most: usize,
        consumer: &mut dyn Consumer,
        mut now: impl FnMut() -> Nanos,
        stop: bool,
    ) -> usize {
        let acknowledged = self.tally.acknowledged();
        let (mut handed, mut ready) = (0, self.ring.slots());
        let (mut begun, mut last, mut stopped) = (None, None, false);
        while handed < most {
            let Some(event) = self.next(&mut ready) else { break };
            handed += 1;
            if self.is_left_behind(&event) {
                self.counts.skipped += 1;
                continue;
            }
            let entered = now();
            let begun = *begun.get_or_insert(entered);
            self.count(&event, entered);
            let trace_id = event.header.trace_id;
            self.note_slow(last.replace((entered, trace_id)), entered);
            self.tally.enter(entered, trace_id);
            let returned = self.guarded(begun, Some(trace_id), |ctx| consumer.on_event(event, ctx));
            stopped = stop && !returned;
            if stopped {
                break;
            }
        }
        if let Some(begun) = begun {
            if !stopped {
                self.guarded(begun, None, |ctx| consumer.on_batch_end(ctx));
            }
            self.note_slow(last, now());
            self.tally.leave();
        }
        if handed > 0 {
            self.end_batch(acknowledged);
        }
        handed
    }

    /// What the batch came to is told; `acknowledged` is how far the consumer had got before it.
    #[inline]
    fn end_batch(&mut self, acknowledged: u64) {
        self.room.ring();
        self.tally.publish_inbox(&self.counts, &self.taken);
        self.taken.clear();
        if self.tally.acknowledged() != acknowledged {
            self.shard.wake_by_ref();
        }
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
        let model::Header { stream, ts_recv, ts_emit, .. } = event.header;
        let [latency_ns, queued_ns] = [ts_recv, ts_emit].map(|ts| entered.0.saturating_sub(ts.0));
        self.taken.push(Taken { stream, latency_ns, queued_ns });
        if !event.kind().is_critical() {
            return;
        }
        self.counts.critical_delivered += 1;
        if let (Kind::ExecReport | Kind::Balance, Some(position)) =
            (event.kind(), event.header.seq_provider)
        {
            self.executed_to = position;
        }
    }

    /// Whether an event is market data from before a consumer was made anew.
    #[inline]
    fn is_left_behind(&mut self, event: &Event) -> bool {
        self.anew.is_some() && !event.kind().is_critical() && self.is_before(event)
    }

    #[inline(never)]
    fn is_before(&mut self, event: &Event) -> bool {
        if self.anew == Some(None) {
            self.anew = Some(self.control.renewed());
        }
        let first = self.anew.flatten();
        first.is_none_or(|first| is_older(event.header.routing_version, first))
    }

    /// The consumer is a new one, which knows nothing of what was.
    pub(super) fn begin_anew(&mut self) {
        self.counts.restarts += 1;
        self.anew = Some(None);
        self.control.renew();
    }

    /// A batch took longer than its budget.
    pub(super) fn overran(&mut self) {
        self.counts.overruns += 1;
        self.tally.publish_inbox(&self.counts, &[]);
    }

    /// The consumer could not be made.
    pub(super) fn not_made(&mut self, caught: &Caught) {
        self.panicked(None, caught);
        self.tally.publish_inbox(&self.counts, &[]);
    }

    /// Calls a handler; its panic goes no further than here. Whether it returned.
    fn guarded(
        &mut self,
        now: Nanos,
        trace_id: Option<u64>,
        call: impl FnOnce(&mut Context<'_>),
    ) -> bool {
        let stack = is_logged(self.counts.panics + 1);
        let (tally, control) = (&*self.tally, &mut self.control);
        let (catalog, consumer, executed_to) = (&self.catalog, self.id, self.executed_to);
        let orders = self.orders.as_mut();
        let mut ctx = Context { catalog, consumer, now, tally, executed_to, control, orders };
        match panics::catch(stack, || call(&mut ctx)) {
            Ok(()) => true,
            Err(caught) => {
                self.panicked(trace_id, &caught);
                false
            }
        }
    }

    /// How many panics there were.
    pub(super) fn panics(&self) -> u64 {
        self.counts.panics
    }

    /// Counts a panic, and says so.
    #[cold]
    fn panicked(&mut self, trace_id: Option<u64>, caught: &Caught) {
        self.counts.panics += 1;
        self.log_panic(trace_id, caught);
    }

    #[cold]
    pub(super) fn log_panic(&self, trace_id: Option<u64>, caught: &Caught) {
        let panics = self.counts.panics;
        if !is_logged(panics) {
            return;
        }
        let Caught { message, location, stack } = caught;
        tracing::error!(
            consumer = &*self.name,
            trace_id,
            panics,
            panic = message,
            at = location,
            stack = stack.as_deref(),
            "a consumer's handler panicked"
        );
    }

    /// Counts a handler that took long, and says so.
    #[inline]
    fn note_slow(&mut self, last: Option<(Nanos, u64)>, now: Nanos) {
        if let Some((entered, trace_id)) = last.filter(|(at, _)| now.since(*at) > HANDLER_SLOW) {
            self.counts.slow += 1;
            let (slow, took_ms) = (self.counts.slow, now.since(entered).as_millis());
            if is_logged(slow) {
                let consumer = &*self.name;
                tracing::warn!(consumer, trace_id, slow, took_ms, "a consumer's handler was slow");
            }
        }
    }
}

/// One line an occurrence at first, then one for each power of two: a handler that fails on every
/// event must not fill the disk.
fn is_logged(occurrences: u64) -> bool {
    const LOGGED_EACH: u64 = 16;
    occurrences <= LOGGED_EACH || occurrences.is_power_of_two()
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
