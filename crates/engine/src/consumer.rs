//! A consumer and the end of the queue that its thread drains.

use std::sync::Arc;
use std::task::Waker;

use model::{CommandId, ConsumerId, Decimal, Error, Event, Kind, Nanos};
use rtrb::{Consumer as Ring, RingBuffer};

use crate::capacity::{BATCH_MAX, COMMANDS_MAX, HANDLER_SLOW, QueueCapacity};
use crate::catalog::Catalog;
use crate::control::{self, Command, Desk};
use crate::critical::Critical;
use crate::doorbell::Doorbell;
use crate::fanout::Outlet;
use crate::orders::{NotTaken, OrderPort, OrderSpec};
use crate::route::is_older;
use crate::tally::{ConsumerCounts, Taken, Tally};

mod panics;
mod runner;

use panics::Caught;
pub use runner::{Factory, Placement, Resident, Restart, Runner, Stay};

/// A program fed by the gateway.
///
/// Each event is the consumer's own: plain memory that nothing waits for. A handler that panics
/// loses that event and nothing else; it is called again with the next, or made anew where it is
/// made by a factory ([`Restart`]). One that is slow or does not return delays nobody but itself.
///
/// # Across a flip of the routing table
/// The header's routing version is that of the table that routed the event. What may be relied on:
///
/// 1. In a stream, versions never go back.
/// 2. An event of version `v` came because table `v` says so. From the version of an ack on, a stream
///    that was subscribed brings everything, a book its snapshot first, and one that was unsubscribed
///    brings nothing.
/// 3. Streams that both tables give are not disturbed: nothing is missing and nothing comes twice.
/// 4. Market data of an older version than an ack's may be skipped ([`VersionGate`]), but not that of
///    a book, whose updates build on each other.
/// 5. Critical events come always, whatever their version, and are never to be skipped.
///
/// A handler that obeys them depends on events alone: it reads no clock but [`Context::now`] and
/// keeps no more than what events told it. Then the same events make it do the same again.
///
/// [`VersionGate`]: crate::VersionGate
pub trait Consumer: Send {
    /// An event, in the order of its stream. Where a venue's numbers skip, what one of two connections
    /// brings late comes late: its position is below the one before it.
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
    control: &'a mut control::Port,
    orders: Option<&'a mut OrderPort>,
}

impl Context<'_> {
    /// Hands a command in, under a number of the consumer's choice: the same command under the same
    /// number is the same one. Its ack is an event ([`ControlAck`](model::ControlAck)), and so is
    /// its result ([`ControlResult`](model::ControlResult)) where the ack says pending.
    ///
    /// # Errors
    /// [`Remedy::Reject`](model::Remedy::Reject) where as many commands as may be are open: it was
    /// not taken.
    pub fn command(&mut self, id: u64, command: Command) -> Result<(), Error> {
        self.control.submit(CommandId(id), command)
    }

    /// Whether the consumer's orders may go now.
    #[must_use]
    pub fn may_trade(&self) -> bool {
        self.control.switch.is_on()
    }

    /// Hands a new order in and returns at once. What becomes of it comes as execution events, or,
    /// where it is denied before it is written down, as a reply with a stable code.
    ///
    /// ```
    /// use engine::orders::OrderSpec;
    /// use engine::{Consumer, Context};
    /// use model::event::{Body, Event, Side};
    /// use model::{Decimal, Kind};
    ///
    /// /// Buys one, a tenth below the best bid, once.
    /// struct Once(bool);
    ///
    /// impl Consumer for Once {
    ///     fn on_event(&mut self, event: Event, ctx: &mut Context<'_>) {
    ///         let stream = event.header.stream;
    ///         if let (Body::Quote(quote), false) = (&event.body, self.0) {
    ///             let (provider, instrument) = (stream.provider, stream.instrument);
    ///             let price = quote.bid.price - Decimal::new(1, 1);
    ///             let one = Decimal::ONE;
    ///             let order =
    ///                 OrderSpec::limit("once", provider, instrument, Side::Buy, one, price);
    ///             // `Busy` means later; the same id again is the same order, never a second one.
    ///             self.0 = ctx.submit(&order).is_ok();
    ///         }
    ///         if event.kind() == Kind::ExecReport {
    ///             // Dealt with: after a restart it is not told again.
    ///             event.header.seq_provider.map(|position| ctx.acknowledge(position));
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// [`NotTaken`]: nothing was done.
    pub fn submit(&mut self, order: &OrderSpec<'_>) -> Result<(), NotTaken> {
        let now = self.now;
        self.orders()?.submit(order, now)
    }

    /// Wants an order of the consumer's gone, by the consumer's id of it. Passes where new orders do
    /// not: a switch that is off, a ledger that is stuck, a pool that has room for cancels only.
    ///
    /// # Errors
    /// [`NotTaken`]: nothing was done.
    pub fn cancel(&mut self, client_order_id: &str) -> Result<(), NotTaken> {
        let now = self.now;
        self.orders()?.cancel(client_order_id, now)
    }

    /// Wants an order to have another price, another quantity (in all, what is filled included), or
    /// both; `None` leaves what is.
    ///
    /// # Errors
    /// [`NotTaken`]: nothing was done.
    pub fn amend(
        &mut self,
        client_order_id: &str,
        price: Option<Decimal>,
        quantity: Option<Decimal>,
    ) -> Result<(), NotTaken> {
        let now = self.now;
        self.orders()?.amend(client_order_id, price, quantity, now)
    }

    /// Wants to know how an order stands, also one that was settled long ago.
    ///
    /// # Errors
    /// [`NotTaken`]: nothing was done.
    pub fn query(&mut self, client_order_id: &str) -> Result<(), NotTaken> {
        let now = self.now;
        self.orders()?.query(client_order_id, now)
    }

    fn orders(&mut self) -> Result<&mut OrderPort, NotTaken> {
        self.orders.as_deref_mut().ok_or(NotTaken::NoTrading)
    }

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

    /// The same for at most so many events. Where `stop` says so, a handler's panic ends the batch:
    /// what follows stays in the queue.
    pub(crate) fn drain_batch(
        &mut self,
        most: usize,
        consumer: &mut dyn Consumer,
        mut now: impl FnMut() -> Nanos,
        stop: bool,
    ) -> usize {
        let acknowledged = self.tally.acknowledged();
        let (mut handed, mut ready) = (0, self.ring.slots());
        let (mut begun, mut last) = (None, None);
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
            if !self.guarded(begun, Some(trace_id), |ctx| consumer.on_event(event, ctx)) && stop {
                break;
            }
        }
        if let Some(begun) = begun {
            self.guarded(begun, None, |ctx| consumer.on_batch_end(ctx));
            self.note_slow(last, now());
            self.tally.leave();
        }
        if handed > 0 {
            self.room.ring();
            self.tally.publish_inbox(&self.counts, &self.taken);
            self.taken.clear();
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
    fn begin_anew(&mut self) {
        self.counts.restarts += 1;
        self.anew = Some(None);
        self.control.renew();
    }

    /// A batch took longer than its budget.
    fn overran(&mut self) {
        self.counts.overruns += 1;
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
                self.counts.panics += 1;
                self.log_panic(trace_id, &caught);
                false
            }
        }
    }

    #[cold]
    fn log_panic(&self, trace_id: Option<u64>, caught: &Caught) {
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
