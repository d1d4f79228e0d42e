//! A consumer in forty lines: the widest spread seen per instrument.
//!
//! ```text
//! cargo run --release --example spread -- config/meltica.toml
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use meltica::{Body, Consumer, Context, Event, Gateway, config};
use model::Decimal;

#[derive(Default)]
struct Spread {
    widest: BTreeMap<String, Decimal>,
}

impl Consumer for Spread {
    /// Called for every event, in the order of its stream; the event is ours to keep.
    fn on_event(&mut self, event: Event, ctx: &mut Context<'_>) {
        let Body::Quote(quote) = event.body else { return };
        let instrument = event.header.stream.instrument;
        let Some(name) = ctx.catalog.instrument_name(instrument) else { return };
        let spread = quote.ask.price - quote.bid.price;
        let widest = self.widest.entry(name.to_string()).or_default();
        *widest = spread.max(*widest);
    }

    /// Called when no more is there for now: the place for work that is done once per batch.
    fn on_batch_end(&mut self, _ctx: &mut Context<'_>) {
        println!("{:?}", self.widest);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "config/meltica.toml".to_owned());
    let config = config::load(path.as_ref()).map_err(|faults| format!("{faults:?}"))?;
    let gateway = Gateway::builder(config).consumer("spread", Spread::default());
    let summary = gateway.stop_on_signals().stop_after(Duration::from_secs(60)).run()?;
    println!("{} providers", summary.providers.len());
    Ok(())
}
