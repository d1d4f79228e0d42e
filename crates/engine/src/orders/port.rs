//! The way of a consumer's requests from its thread to the shard: a bounded ring of pooled
//! [`OrderRequest`]s. Never waits on either side.
//!
//! The ring has a place for every object of the pool, so that whoever got an object gets through; that
//! the pool has none is the back-pressure. Some of its objects only cancels may take.

use std::fmt;
use std::task::Waker;

use model::event::Side;
use model::ledger::{Name, OrderKey, Terms};
use model::order::{ID_KEPT, Intent, OrderRequest, OrderType, TimeInForce};
use model::{ConsumerId, Decimal, InstrumentId, Nanos, ProviderId};
use pool::{Pool, Pooled};
use rtrb::{Consumer, Producer, RingBuffer};

use super::desk::{Desk, Market, NewOrder};
use crate::capacity::ORDER_REQUESTS_FOR_CANCELS;
use crate::catalog::Catalog;

/// Why a request was not taken. Nothing of it was done, and it may be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// As many requests as may be are on their way: go on with other events and try again.
    Busy,
    /// Nothing trades here: no provider is configured for orders.
    NoTrading,
    /// The client order id is empty or longer than 64 characters.
    BadId,
}

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "as many requests as may be are on their way: try again later",
            Self::NoTrading => "nothing trades here: configure a provider for orders",
            Self::BadId => "a client order id has 1 to 64 bytes",
        })
    }
}

impl std::error::Error for NotTaken {}

/// A new order, as a consumer writes it.
///
/// ```
/// use engine::orders::OrderSpec;
/// use model::event::Side;
/// use model::order::TimeInForce;
/// use model::{Decimal, InstrumentId, ProviderId};
///
/// let (provider, btc) = (ProviderId(0), InstrumentId(0)); // as in the headers of events
/// let order = OrderSpec::limit("a-1", provider, btc, Side::Buy, Decimal::ONE, Decimal::TEN)
///     .for_time(TimeInForce::PostOnly);
/// assert_eq!(order.price, Some(Decimal::TEN));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderSpec<'a> {
    /// The consumer's own id, unique for ever: the same again is the same order.
    pub client_order_id: &'a str,
    /// Where it goes.
    pub provider: ProviderId,
    /// What it is for.
    pub instrument: InstrumentId,
    /// Which side.
    pub side: Side,
    /// In base currency or contracts.
    pub quantity: Decimal,
    /// In quote currency; `None` for market orders.
    pub price: Option<Decimal>,
    /// How long it stands.
    pub time_in_force: TimeInForce,
}

impl<'a> OrderSpec<'a> {
    /// An order at a price or better, until it is cancelled.
    #[must_use]
    pub fn limit(
        client_order_id: &'a str,
        provider: ProviderId,
        instrument: InstrumentId,
        side: Side,
        quantity: Decimal,
        price: Decimal,
    ) -> Self {
        let (price, time_in_force) = (Some(price), TimeInForce::Gtc);
        Self { client_order_id, provider, instrument, side, quantity, price, time_in_force }
    }

    /// An order at what the book gives.
    #[must_use]
    pub fn market(
        client_order_id: &'a str,
        provider: ProviderId,
        instrument: InstrumentId,
        side: Side,
        quantity: Decimal,
    ) -> Self {
        let (price, time_in_force) = (None, TimeInForce::Ioc);
        Self { client_order_id, provider, instrument, side, quantity, price, time_in_force }
    }

    /// The same, standing for so long.
    #[must_use]
    pub fn for_time(self, time_in_force: TimeInForce) -> Self {
        Self { time_in_force, ..self }
    }
}

/// The consumer's end.
pub struct OrderPort {
    consumer: ConsumerId,
    pool: Pool<OrderRequest>,
    ring: Producer<Pooled<OrderRequest>>,
    shard: Waker,
}

/// The shard's end: to be asked in every turn.
pub struct OrderGate {
    ring: Consumer<Pooled<OrderRequest>>,
}

/// Both ends for one consumer. `shard` is called with every request.
#[must_use]
pub fn way(
    consumer: ConsumerId,
    pool: &Pool<OrderRequest>,
    shard: Waker,
) -> (OrderPort, OrderGate) {
    let (producer, ring) = RingBuffer::new(pool.capacity().into());
    (OrderPort { consumer, pool: pool.clone(), ring: producer, shard }, OrderGate { ring })
}

impl OrderPort {
    pub(crate) fn submit(&mut self, spec: &OrderSpec<'_>, now: Nanos) -> Result<(), NotTaken> {
        let mut request = self.request(Intent::Submit, spec.client_order_id, now)?;
        let priced = spec.price.is_some();
        request.provider = spec.provider;
        request.instrument = spec.instrument;
        request.side = spec.side;
        request.order_type = if priced { OrderType::Limit } else { OrderType::Market };
        request.time_in_force = spec.time_in_force;
        request.price = spec.price;
        request.quantity = spec.quantity;
        self.send(request)
    }

    pub(crate) fn cancel(&mut self, client_order_id: &str, now: Nanos) -> Result<(), NotTaken> {
        let request = self.request(Intent::Cancel, client_order_id, now)?;
        self.send(request)
    }

    pub(crate) fn amend(
        &mut self,
        client_order_id: &str,
        price: Option<Decimal>,
        quantity: Option<Decimal>,
        now: Nanos,
    ) -> Result<(), NotTaken> {
        let mut request = self.request(Intent::Amend, client_order_id, now)?;
        request.price = price;
        request.quantity = quantity.unwrap_or_default();
        self.send(request)
    }

    pub(crate) fn query(&mut self, client_order_id: &str, now: Nanos) -> Result<(), NotTaken> {
        let request = self.request(Intent::Query, client_order_id, now)?;
        self.send(request)
    }

    fn request(
        &self,
        intent: Intent,
        id: &str,
        now: Nanos,
    ) -> Result<Pooled<OrderRequest>, NotTaken> {
        if id.is_empty() || id.len() > ID_KEPT {
            return Err(NotTaken::BadId);
        }
        let cancel = intent == Intent::Cancel;
        let kept = if cancel { 0 } else { ORDER_REQUESTS_FOR_CANCELS };
        let mut request = self.pool.try_acquire_above(kept).ok_or(NotTaken::Busy)?;
        request.consumer = self.consumer;
        request.intent = intent;
        request.client_order_id.push_str(id);
        request.ts_submit = now;
        Ok(request)
    }

    fn send(&mut self, request: Pooled<OrderRequest>) -> Result<(), NotTaken> {
        self.ring.push(request).map_err(|_| NotTaken::Busy)?;
        self.shard.wake_by_ref();
        Ok(())
    }
}

impl fmt::Debug for OrderPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrderPort").field("consumer", &self.consumer).finish_non_exhaustive()
    }
}

impl OrderGate {
    /// The next request, in the order in which they were made.
    pub fn take(&mut self) -> Option<Pooled<OrderRequest>> {
        self.ring.pop().ok()
    }
}

impl fmt::Debug for OrderGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrderGate").field("waiting", &self.ring.slots()).finish()
    }
}

impl Desk {
    /// Deals with a consumer's request; `market` is that of the request's instrument, or of the order's
    /// where it changes one ([`terms_of`](Self::terms_of)). A name that the catalog lacks is denied as
    /// any other that the desk does not know.
    pub fn request(
        &mut self,
        request: &OrderRequest,
        catalog: &Catalog,
        market: Market<'_>,
        now: Nanos,
    ) {
        let unknown = || -> Name { "".into() };
        let order = OrderKey {
            consumer: catalog.consumer_name(request.consumer).unwrap_or_else(unknown),
            client_order_id: request.client_order_id.as_str().into(),
        };
        match request.intent {
            Intent::Submit => {
                let terms = Terms {
                    provider: catalog.provider_name(request.provider).unwrap_or_else(unknown),
                    instrument: catalog.instrument_name(request.instrument).unwrap_or_else(unknown),
                    side: request.side,
                    order_type: request.order_type,
                    time_in_force: request.time_in_force,
                    price: request.price,
                    quantity: request.quantity,
                };
                let new = NewOrder { order, terms, decision_id: request.decision_id };
                self.submit(new, market, now);
            }
            Intent::Cancel => self.cancel(&order, now),
            Intent::Amend => {
                let quantity = Some(request.quantity).filter(|quantity| !quantity.is_zero());
                self.amend(&order, request.price, quantity, market, now);
            }
            Intent::Query => self.query(&order),
        }
    }

    /// Values what is held by the prices that are known now, before a request is checked: what was taken
    /// over from the ledger has no other, and what is held may have moved while nothing was asked of it.
    pub fn value_holdings(
        &mut self,
        catalog: &Catalog,
        price: impl Fn(ProviderId, InstrumentId) -> Option<Decimal>,
    ) {
        for (provider, instrument) in self.valued() {
            let at = catalog.find_provider(&provider).zip(catalog.find_instrument(&instrument));
            let Some((at, of)) = at else { continue };
            let facts = catalog.facts(at, of);
            let market = Market { instrument: facts.as_deref(), price: price(at, of) };
            self.value(&provider, &instrument, market);
        }
    }

    /// What an order asked for, where it is here: an amend is checked in the market of its instrument.
    #[must_use]
    pub fn terms_of(&self, order: &OrderKey) -> Option<&Terms> {
        self.orders().get(order).map(|order| &order.submit().terms)
    }
}

#[cfg(test)]
#[cfg(not(loom))]
#[path = "port/tests.rs"]
mod tests;
