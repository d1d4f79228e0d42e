//! The consumer that trades: orders that wait and orders that take, on every desk all the time, and
//! each report noted before it is acknowledged.

use std::collections::BTreeMap;
use std::time::Duration;

use meltica::demo::maker::quantity;
use meltica::{Body, Consumer, Context, Event};
use model::event::{Quote, Side};
use model::ledger::Report;
use model::order::{Intent, TimeInForce};
use model::reply::{OrderReply, ReplyAnswer};
use model::{InstrumentId, Nanos, ProviderId};

use engine::orders::OrderSpec;

use crate::notebook::{About, Line, Notebook};

/// An order stands for so long, then it is taken back.
const STANDS: Duration = Duration::from_millis(150);
/// A cancel that came to nothing is asked for again after so long.
const AGAIN: Duration = Duration::from_millis(500);
/// Between two orders on one instrument of a provider, within what venues grant an account.
const PAUSE: Duration = Duration::from_millis(250);

/// The trader, in one of its lives.
#[derive(Debug)]
pub struct Trader {
    notebook: Notebook,
    life: u32,
    /// Nothing new, and all that is open is taken back.
    calm: bool,
    /// Orders of this life so far.
    orders: u64,
    /// The last position that was handed over in this life.
    handed: u64,
    /// What was dealt with in earlier lives ends here.
    dealt_with: u64,
    /// Each desk, with the time before which it does nothing new.
    desks: BTreeMap<(ProviderId, InstrumentId), Nanos>,
    open: BTreeMap<String, Working>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Working {
    since: Nanos,
    cancelled: Option<Nanos>,
}

impl Trader {
    /// With what earlier lives have left.
    pub fn new(notebook: Notebook, lines: &[Line], life: u32, calm: bool) -> Self {
        let mut trader = Self {
            notebook,
            life,
            calm,
            orders: 0,
            handed: 0,
            dealt_with: 0,
            desks: BTreeMap::new(),
            open: BTreeMap::new(),
        };
        for line in lines {
            trader.dealt_with = trader.dealt_with.max(line.position);
            trader.follow(&line.about);
        }
        trader
    }

    /// An order is open, or over.
    fn follow(&mut self, about: &About) {
        if about.over {
            self.open.remove(&about.client_order_id);
        } else {
            self.open.entry(about.client_order_id.clone()).or_default();
        }
    }

    fn on_quote(&mut self, event: &Event, quote: &Quote, ctx: &mut Context<'_>) {
        self.take_back(ctx);
        let desk = (event.header.stream.provider, event.header.stream.instrument);
        let rests = self.desks.get(&desk).is_some_and(|until| ctx.now < *until);
        if self.calm || rests {
            return;
        }
        // Buying and selling in turn: two orders that wait for one that takes.
        let side = if self.orders.is_multiple_of(2) { Side::Buy } else { Side::Sell };
        let takes = self.orders.is_multiple_of(3);
        let level = if (side == Side::Buy) == takes { quote.ask } else { quote.bid };
        let facts = ctx.catalog.facts(desk.0, desk.1);
        let Some(quantity) = facts.and_then(|facts| quantity(&facts, level.price)) else { return };
        let id = format!("{}-{}", self.life, self.orders + 1);
        let order = OrderSpec::limit(&id, desk.0, desk.1, side, quantity, level.price);
        let order = if takes { order } else { order.for_time(TimeInForce::PostOnly) };
        if ctx.submit(&order).is_ok() {
            self.orders += 1;
            self.desks.insert(desk, ctx.now + PAUSE);
            self.open.insert(id, Working { since: ctx.now, cancelled: None });
        }
    }

    /// Wants gone what stands for too long; of earlier lives, all.
    fn take_back(&mut self, ctx: &mut Context<'_>) {
        let now = ctx.now;
        for (id, working) in &mut self.open {
            let asked = working.cancelled.is_some_and(|at| now.since(at) < AGAIN);
            let stood = self.calm || now.since(working.since) > STANDS;
            if stood && !asked && ctx.cancel(id).is_ok() {
                working.cancelled = Some(now);
            }
        }
    }

    fn on_report(&mut self, position: u64, report: &Report) {
        let about = About::of(report);
        let line = Line { life: self.life, position, about };
        if let Err(error) = self.notebook.note(&line) {
            // What can't be noted is not acknowledged, and nothing here makes sense any more.
            eprintln!("the trader's notebook: {error}");
            std::process::exit(1);
        }
        self.handed = position;
        if position > self.dealt_with {
            self.follow(&line.about);
        }
    }

    fn on_reply(&mut self, reply: &OrderReply) {
        if matches!(reply.answer, ReplyAnswer::Denied(_)) && reply.intent == Intent::Submit {
            self.open.remove(&*reply.order.client_order_id);
        }
    }
}

impl Consumer for Trader {
    fn on_event(&mut self, event: Event, ctx: &mut Context<'_>) {
        match &event.body {
            Body::Quote(quote) => self.on_quote(&event, quote, ctx),
            Body::Exec(report) => {
                self.on_report(event.header.seq_provider.unwrap_or_default(), report);
            }
            Body::Reply(reply) => self.on_reply(reply),
            _ => {}
        }
    }

    fn on_batch_end(&mut self, ctx: &mut Context<'_>) {
        if let Err(error) = ctx.acknowledge(self.handed) {
            eprintln!("an acknowledgement was refused: {}", error.message);
        }
    }
}
