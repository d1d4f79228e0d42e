//! A simple market maker: one bid and one ask of each instrument, a tick behind the best prices, moved
//! when the market moves, leaning against what it holds.
//!
//! It shows what a strategy looks like. Every order has an id of its own, a request that was not
//! taken is made again later, and a position is acknowledged once all before it is dealt with.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use engine::orders::OrderSpec;
use engine::{Consumer, Context, Subscription};
use model::event::{Body, Event, Quote, Side};
use model::instrument::Trading;
use model::ledger::Report;
use model::order::{Intent, TimeInForce};
use model::reply::{OrderReply, ReplyAnswer};
use model::{Decimal, Instrument, InstrumentId, Kind, Nanos, ProviderId};

use super::orders::Orders;
use super::tape::{Board, Tape};

/// The name under which it is registered.
pub const NAME: &str = "maker";
/// An order whose market has moved is left alone for so long.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// Between two orders of one side.
const PAUSE: Duration = Duration::from_millis(500);
/// An order's value is so many times the venue's smallest.
const WORTH: i64 = 4;
/// What that is, in quote currency, where the venue does not say: OKX only refuses what is worth less.
const SMALLEST: i64 = 5;
/// It holds at most so many orders' worth, long or short.
const HOLDS: i64 = 5;
/// So many orders of a provider may be without a word of them: more would wait for the venue's rate
/// budget until nobody wants them.
const UNHEARD_MAX: usize = 4;

/// The maker; what it sees is noted in [`Orders`], which others look at.
#[derive(Debug)]
pub struct Maker {
    seen: Orders,
    desks: BTreeMap<(ProviderId, InstrumentId), Desk>,
    /// Where each open order belongs.
    places: BTreeMap<String, (ProviderId, InstrumentId, Side)>,
    /// Those of which nothing was heard yet.
    unheard: BTreeSet<(ProviderId, String)>,
    tape: Tape,
}

/// One instrument at one provider.
#[derive(Debug, Default)]
struct Desk {
    held: Decimal,
    buy: Seat,
    sell: Seat,
}

/// One side of it.
#[derive(Debug, Default)]
struct Seat {
    order: Option<Working>,
    /// No new order before then.
    rest: Nanos,
}

#[derive(Debug)]
struct Working {
    id: String,
    /// The best price when it was placed.
    price: Decimal,
    since: Nanos,
    cancelled: Option<Nanos>,
}

impl Maker {
    /// A maker that notes what it sees.
    #[must_use]
    pub fn new(seen: Orders) -> Self {
        Self::watched(seen, Board::default())
    }

    /// A maker that also says what it does.
    #[must_use]
    pub fn watched(seen: Orders, board: Board) -> Self {
        let (desks, places, unheard) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { seen, desks, places, unheard, tape: Tape::on(board) }
    }

    /// What it has to get: quotes of what can be traded.
    #[must_use]
    pub fn wants(providers: &[&str]) -> Subscription {
        let providers = providers.iter().map(|name| (*name).into()).collect();
        Subscription { providers, kinds: vec![Kind::Quote], ..Subscription::default() }
    }

    fn on_quote(&mut self, event: &Event, quote: &Quote, ctx: &mut Context<'_>) {
        let place = (event.header.stream.provider, event.header.stream.instrument);
        for (side, level) in [(Side::Buy, quote.bid), (Side::Sell, quote.ask)] {
            let desk = self.desks.entry(place).or_default();
            let held = desk.held;
            let seat = desk.seat(side);
            match &mut seat.order {
                Some(working) => {
                    let moved = working.price != level.price || self.seen.is_calm();
                    let stood = ctx.now.since(working.since) > PATIENCE || self.seen.is_calm();
                    let asked = working.cancelled.is_some_and(|at| ctx.now.since(at) < PATIENCE);
                    let unheard = self.unheard.contains(&(place.0, working.id.clone()));
                    if moved && stood && !asked && !unheard && ctx.cancel(&working.id).is_ok() {
                        working.cancelled = Some(ctx.now);
                    }
                }
                None if self.seen.is_calm() || ctx.now < seat.rest => {}
                None => self.quote((place.0, place.1, side), level.price, held, ctx),
            }
        }
    }

    fn quote(
        &mut self,
        place: (ProviderId, InstrumentId, Side),
        price: Decimal,
        held: Decimal,
        ctx: &mut Context<'_>,
    ) {
        let (provider, instrument, side) = place;
        let Some(facts) = ctx.catalog.facts(provider, instrument) else { return };
        let (Some(quantity), Some(tick)) = (quantity(&facts, price), facts.tick) else { return };
        let leaning = if side == Side::Buy { held } else { -held };
        let unheard = self.unheard.iter().filter(|(of, _)| *of == provider).count();
        if leaning >= quantity * Decimal::from(HOLDS) || unheard >= UNHEARD_MAX {
            return;
        }
        let id = format!("m-{}", self.seen.next_id());
        // At the best price itself it would often take by the time it is there, and be refused.
        let behind = if side == Side::Buy { price - tick } else { price + tick };
        let order = OrderSpec::limit(&id, provider, instrument, side, quantity, behind)
            .for_time(TimeInForce::PostOnly);
        if ctx.submit(&order).is_err() {
            return;
        }
        self.tape.submitted();
        let seat = self.desks.entry((provider, instrument)).or_default().seat(side);
        seat.order = Some(Working { id: id.clone(), price, since: ctx.now, cancelled: None });
        self.unheard.insert((provider, id.clone()));
        self.places.insert(id, place);
    }

    fn on_report(&mut self, position: u64, report: &Report, ctx: &mut Context<'_>) {
        if !self.seen.note(position, report) {
            return;
        }
        let id = &*report.order.client_order_id;
        let Some(place) = self.places.get(id).copied() else {
            if !report.state.is_terminal() {
                // It is from an earlier life. `Busy` is no loss: it only stands a little longer.
                let _ = ctx.cancel(id);
            }
            return;
        };
        let facts = ctx.catalog.facts(place.0, place.1);
        let contract_size = facts.and_then(|facts| facts.contract_size).unwrap_or(Decimal::ONE);
        self.tape.report(report, contract_size);
        self.unheard.remove(&(place.0, id.to_owned()));
        let desk = self.desks.entry((place.0, place.1)).or_default();
        if let Some(fill) = &report.fill {
            desk.held += if report.side == Side::Buy { fill.quantity } else { -fill.quantity };
        }
        if report.state.is_terminal() {
            self.end(id, ctx.now);
        } else if self.seen.is_calm() {
            // Nothing new while the market stands still, and nothing left in its books.
            let _ = ctx.cancel(id);
        }
    }

    fn on_reply(&mut self, reply: &OrderReply, now: Nanos) {
        let denied = matches!(reply.answer, ReplyAnswer::Denied(_));
        if denied && reply.intent == Intent::Submit {
            self.tape.denied();
            self.end(&reply.order.client_order_id, now);
        }
    }

    /// An order is over; its side rests a little.
    fn end(&mut self, id: &str, now: Nanos) {
        let Some((provider, instrument, side)) = self.places.remove(id) else { return };
        self.unheard.remove(&(provider, id.to_owned()));
        let seat = self.desks.entry((provider, instrument)).or_default().seat(side);
        seat.rest = now + PAUSE;
        seat.order = seat.order.take().filter(|working| working.id != id);
    }
}

impl Desk {
    fn seat(&mut self, side: Side) -> &mut Seat {
        match side {
            Side::Buy => &mut self.buy,
            Side::Sell => &mut self.sell,
        }
    }
}

impl Consumer for Maker {
    fn on_event(&mut self, event: Event, ctx: &mut Context<'_>) {
        match &event.body {
            Body::Quote(quote) => self.on_quote(&event, quote, ctx),
            Body::Exec(report) => {
                let position = event.header.seq_provider.unwrap_or_default();
                self.on_report(position, report, ctx);
            }
            Body::Reply(reply) => self.on_reply(reply, ctx.now),
            _ => {}
        }
    }

    fn on_batch_end(&mut self, ctx: &mut Context<'_>) {
        // Refused only where an earlier life got further than this one: then it is acknowledged later.
        let _ = ctx.acknowledge(self.seen.position());
        self.tape.write(ctx.now);
    }
}

/// How much is worth an order at that price, in whole lots; `None` where no orders are taken.
#[must_use]
pub fn quantity(facts: &Instrument, price: Decimal) -> Option<Decimal> {
    let lot = facts.lot.filter(|_| facts.trading == Trading::Open)?;
    let unit = price.checked_mul(facts.contract_size.unwrap_or(Decimal::ONE))?;
    let worth = facts.notional_min.unwrap_or_else(|| Decimal::from(SMALLEST));
    let worth = worth.checked_mul(Decimal::from(WORTH))?;
    let lots = worth.checked_div(unit)?.checked_div(lot)?.ceil();
    lot.checked_mul(lots.max(Decimal::ONE))
}
