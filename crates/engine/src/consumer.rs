//! A consumer: what it is handed, and what it may do meanwhile.
//!
//! | file | what it is |
//! | --- | --- |
//! | `inbox` | the end of the queue that its thread drains |
//! | `runner` | who makes it, makes it anew, and moves it off the shard's thread |
//! | `panics` | what is known of a handler's panic |

use model::{CommandId, ConsumerId, Decimal, Error, Event, Nanos};

use crate::catalog::Catalog;
use crate::control::{self, Command};
use crate::orders::{NotTaken, OrderPort, OrderSpec};
use crate::tally::{ConsumerCounts, Tally};

mod inbox;
mod panics;
mod runner;

pub use inbox::Inbox;
pub(crate) use inbox::queue;
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
    /// not: a switch that is off, a ledger that is stuck, a pool that has room for cancels only. Where it
    /// may have come to nothing, since no order was found or the answer is lost, a reply says so
    /// ([`ReplyAnswer::Refused`](model::reply::ReplyAnswer::Refused)): if the order stands it is to be
    /// wanted again.
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
