//! Rests one bid a little below the market, and takes it back when the market has moved away.
//!
//! See README.md for how to run it.

use std::error::Error;
use std::time::Duration;

use meltica::orders::{Intent, OrderReply, OrderSpec, ReplyAnswer, Report, TimeInForce};
use meltica::{
    Body, Consumer, ConsumerOptions, Context, Decimal, Event, Gateway, InstrumentId, Kind, Nanos,
    ProviderId, Side, Subscription, config,
};

/// The bid rests so many ticks below the best one.
const BELOW: i64 = 20;
/// It is moved when the market is so many ticks away from where it was placed.
const MOVED: i64 = 60;
/// Between two orders.
const PAUSE: Duration = Duration::from_secs(1);

struct Strategy {
    /// Tells this run's ids from those of all others: when it began, in ns.
    run: u64,
    count: u64,
    bid: Option<Bid>,
    /// Nothing new before then.
    rest: Nanos,
    /// Up to where reports are dealt with.
    position: u64,
}

/// The order that stands, or is on its way.
struct Bid {
    id: String,
    /// The best bid when it was placed.
    market: Decimal,
    cancelled: bool,
}

impl Strategy {
    fn new(run: u64) -> Self {
        Self { run, count: 0, bid: None, rest: Nanos::default(), position: 0 }
    }

    fn on_quote(
        &mut self,
        (provider, instrument): (ProviderId, InstrumentId),
        market: Decimal,
        ctx: &mut Context<'_>,
    ) {
        // What the venue says of the instrument: steps of price and quantity, smallest value.
        let Some(facts) = ctx.catalog.facts(provider, instrument) else { return };
        let (Some(tick), Some(lot)) = (facts.tick, facts.lot) else { return };
        if let Some(bid) = &mut self.bid {
            let moved = (market - bid.market).abs() > tick * Decimal::from(MOVED);
            // Where the request is not taken now, the next quote tries again.
            bid.cancelled |= moved && !bid.cancelled && ctx.cancel(&bid.id).is_ok();
            return;
        }
        if ctx.now < self.rest || !ctx.may_trade() {
            return;
        }
        let price = market - tick * Decimal::from(BELOW);
        let smallest = facts.notional_min.unwrap_or(Decimal::ONE);
        let quantity = (smallest * Decimal::TWO / price / lot).ceil() * lot;
        let id = format!("{}-{}", self.run, self.count + 1);
        let order = OrderSpec::limit(&id, provider, instrument, Side::Buy, quantity, price)
            .for_time(TimeInForce::PostOnly);
        if ctx.submit(&order).is_ok() {
            self.count += 1;
            self.bid = Some(Bid { id, market, cancelled: false });
        }
    }

    fn on_report(&mut self, report: &Report, ctx: &mut Context<'_>) {
        let (id, state) = (&report.order.client_order_id, report.state.name());
        println!("{id} {state} {} of {} {}", report.filled, report.quantity, report.text);
        let ours = self.bid.as_ref().is_some_and(|bid| *bid.id == **id);
        if report.state.is_terminal() {
            self.rest = ctx.now + PAUSE;
            self.bid.take_if(|_| ours);
        } else if !ours {
            // It is from an earlier run, and nobody looks after it any more.
            let _ = ctx.cancel(id);
        }
    }

    fn on_reply(&mut self, reply: &OrderReply, now: Nanos) {
        if let ReplyAnswer::Denied(denial) = reply.answer
            && reply.intent == Intent::Submit
        {
            println!("{} denied: {}", reply.order.client_order_id, denial.text());
            (self.bid, self.rest) = (None, now + PAUSE);
        }
    }
}

impl Consumer for Strategy {
    fn on_event(&mut self, event: Event, ctx: &mut Context<'_>) {
        let stream = event.header.stream;
        match &event.body {
            Body::Quote(quote) => {
                self.on_quote((stream.provider, stream.instrument), quote.bid.price, ctx);
            }
            Body::Exec(report) => {
                self.on_report(report, ctx);
                self.position = event.header.seq_provider.unwrap_or(self.position);
            }
            Body::Reply(reply) => self.on_reply(reply, ctx.now),
            _ => {}
        }
    }

    fn on_batch_end(&mut self, ctx: &mut Context<'_>) {
        // Here a real strategy has written down what it has to remember of these reports.
        if let Err(error) = ctx.acknowledge(self.position) {
            eprintln!("{error}");
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let seconds = std::env::args().nth(1).map_or(Ok(u64::MAX), |text| text.parse())?;
    let config = config::load("strategy.toml".as_ref());
    let config = config.map_err(|faults| {
        let lines = faults.iter().map(|f| format!("{}: expected {}", f.key, f.expected));
        lines.collect::<Vec<_>>().join("\n")
    })?;
    let options = ConsumerOptions::of(Subscription::of("spot", "BTC-USDT", Kind::Quote));
    let began = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let mut run = u64::try_from(began.as_nanos())?;
    let strategy = move || {
        run += 1;
        Strategy::new(run)
    };
    let gateway = Gateway::builder(config).consumer_with("strategy", options, strategy);
    let summary = gateway.stop_on_signals().stop_after(Duration::from_secs(seconds)).run()?;
    println!("{:?}", summary.orders);
    Ok(())
}
