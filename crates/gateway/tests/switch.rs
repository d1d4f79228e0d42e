//! The trading switch and the kill switch, thrown by another thread at any moment while a gateway
//! trades over real sockets: once the throw has returned, no order is written any more.
//!
//! A simulated venue stamps the arrival of each order, which is later than its writing. What arrived
//! after a throw had returned is therefore held against the gateway's own trace: it must have been
//! handed to its machine before, and written before. A request is in hand until it is answered, so
//! that it has even arrived before.
//!
//! `MELTICA_THROWS=20000` throws that often.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::fmt::{Debug, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::host::{Host, LIMIT, Running, any_port};
use common::trading::{config, provider};
use engine::orders::OrderSpec;
use meltica::clock::SystemClock;
use meltica::config::{LedgerConfig, OrdersConfig, Provider};
use meltica::demo::folder::Folder;
use meltica::demo::maker::Maker;
use meltica::demo::{Options, stage};
use meltica::{Body, Consumer, ConsumerOptions, Context, Control, Event, Gateway, Ticket};
use model::control::Verdict;
use model::event::{Quote, Side};
use model::order::TimeInForce;
use model::{Decimal, Nanos};
use sim::machine::{ClientId, ControlFrame, Machine, Output, Reply, Request, RequestId};
use sim::rng::Rng;
use store::ledger::Durability;
use tracing::field::{Field, Visit};
use tracing::{Metadata, span};
use venues::OrderWay;

/// The venue whose budget allows most orders: 30 a second for each account.
const VENUE: &str = "okx";
/// Accounts whose orders go over a socket, and as many whose orders are requests.
const ACCOUNTS: u64 = 5;
/// Changes of a market a second.
const RATE: u32 = 300;
const TRADER: &str = "trader";
const THROWS: usize = 600;
/// An order that was submitted may be anywhere on its way by then.
const WAY: Duration = Duration::from_micros(1_500);
/// One that was handed out is written by then, or on its way to that.
const LAST_STEP: Duration = Duration::from_micros(300);
/// A throw that took so long may have given up what was on its way: that it never arrives can't be
/// said then.
const GIVEN_UP: Duration = Duration::from_millis(400);

/// What the gateway says of itself.
#[derive(Default)]
struct Trace {
    /// When each order was handed to its machine, by the venue's name of it.
    handed: BTreeMap<String, Instant>,
    /// When something was written that is long enough for an order.
    written: Vec<Instant>,
}

/// Keeps it, and says when an order is handed out.
#[derive(Clone)]
struct Tracer(Arc<Mutex<Trace>>, SyncSender<()>);

/// A message with an order is no shorter.
const ORDER_BYTES: u64 = 100;

#[derive(Default)]
struct Fields {
    text: String,
    bytes: u64,
}

impl Visit for Fields {
    fn record_u64(&mut self, _: &Field, value: u64) {
        self.bytes = value;
    }

    fn record_debug(&mut self, _: &Field, value: &dyn Debug) {
        write!(self.text, "{value:?} ").unwrap();
    }
}

impl tracing::Subscriber for Tracer {
    fn enabled(&self, of: &Metadata<'_>) -> bool {
        ["net::ws", "meltica::live::orders"].contains(&of.target())
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let (now, mut fields) = (Instant::now(), Fields::default());
        event.record(&mut fields);
        let mut trace = self.0.lock().unwrap();
        if fields.text.contains("Place") {
            let id = between(&fields.text, "venue_client_id: \"").unwrap();
            trace.handed.insert(id, now);
            // One that waits already says it.
            let _ = self.1.try_send(());
        } else if fields.text.contains("written") && fields.bytes >= ORDER_BYTES {
            trace.written.push(now);
        }
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// What stands behind a beginning, up to the next quotation mark.
fn between(text: &str, begin: &str) -> Option<String> {
    let (_, rest) = text.split_once(begin)?;
    rest.split_once('"').map(|(id, _)| id.to_owned())
}

/// When each order arrived, by the venue's name of it.
type Arrivals = Arc<Mutex<BTreeMap<String, Instant>>>;

/// A far end that stamps orders.
struct Stamping {
    inner: Box<dyn Machine>,
    arrivals: Arrivals,
}

impl Stamping {
    fn stamp(&self, places: bool, text: &[u8]) {
        let now = Instant::now();
        if places {
            let id = between(&String::from_utf8_lossy(text), "\"clOrdId\":\"").unwrap();
            assert!(self.arrivals.lock().unwrap().insert(id, now).is_none(), "twice");
        }
    }
}

impl Machine for Stamping {
    fn connect(
        &mut self,
        now: Nanos,
        client: ClientId,
        target: &str,
        out: &mut Vec<Output>,
    ) -> Result<(), Reply> {
        self.inner.connect(now, client, target, out)
    }

    fn message(&mut self, now: Nanos, client: ClientId, message: &[u8], out: &mut Vec<Output>) {
        const PLACES: &[u8] = b"\"op\":\"order\"";
        self.stamp(message.windows(PLACES.len()).any(|window| window == PLACES), message);
        self.inner.message(now, client, message, out);
    }

    fn control(
        &mut self,
        now: Nanos,
        client: ClientId,
        control: &ControlFrame,
        out: &mut Vec<Output>,
    ) {
        self.inner.control(now, client, control, out);
    }

    fn disconnected(&mut self, now: Nanos, client: ClientId, out: &mut Vec<Output>) {
        self.inner.disconnected(now, client, out);
    }

    fn request(&mut self, now: Nanos, id: RequestId, request: &Request, out: &mut Vec<Output>) {
        let places = request.method == "POST" && request.target == "/api/v5/trade/order";
        self.stamp(places, &request.body);
        self.inner.request(now, id, request, out);
    }

    fn answered(&mut self, now: Nanos, id: RequestId, written: bool, out: &mut Vec<Output>) {
        self.inner.answered(now, id, written, out);
    }

    fn tick(&mut self, now: Nanos, out: &mut Vec<Output>) {
        self.inner.tick(now, out);
    }

    fn deadline(&self) -> Option<Nanos> {
        self.inner.deadline()
    }
}

/// Submits an order with every quote while its switch is on: far from the market and for at once or
/// never, so that none of them stands.
struct Trader {
    submitted: SyncSender<()>,
    orders: u64,
    handed: u64,
}

impl Trader {
    fn submit(&mut self, event: &Event, quote: &Quote, ctx: &mut Context<'_>) {
        let stream = event.header.stream;
        let facts = ctx.catalog.facts(stream.provider, stream.instrument).unwrap();
        let (Some(tick), Some(lot)) = (facts.tick, facts.lot) else { return };
        let price = (quote.bid.price / Decimal::TWO / tick).floor() * tick;
        let id = format!("o-{}", self.orders);
        let (side, quantity) = (Side::Buy, lot * Decimal::ONE_THOUSAND);
        let order =
            OrderSpec::limit(&id, stream.provider, stream.instrument, side, quantity, price)
                .for_time(TimeInForce::Ioc);
        if ctx.submit(&order).is_ok() {
            self.orders += 1;
            // One that waits already says it.
            let _ = self.submitted.try_send(());
        }
    }
}

impl Consumer for Trader {
    fn on_event(&mut self, event: Event, ctx: &mut Context<'_>) {
        match &event.body {
            Body::Quote(quote) if ctx.may_trade() => self.submit(&event, quote, ctx),
            Body::Exec(_) => self.handed = event.header.seq_provider.unwrap(),
            _ => {}
        }
    }

    fn on_batch_end(&mut self, ctx: &mut Context<'_>) {
        ctx.acknowledge(self.handed).unwrap();
    }
}

/// A switch that was thrown.
struct Throw {
    begun: Instant,
    /// The throw returned: nothing leaves from here on…
    off: Instant,
    /// …up to here.
    on: Instant,
}

/// Venues that stamp what arrives, and what is configured of them.
fn venues(arrivals: &Arrivals, folder: &Folder) -> (Vec<Host>, Vec<Provider>) {
    let ways = [OrderWay::WebSocket, OrderWay::Rest];
    let accounts = (0..ACCOUNTS).flat_map(|nth| ways.map(|way| (nth, way)));
    let all = accounts.enumerate().map(|(seed, (nth, way))| {
        let (seed, venues) = (seed as u64, vec![VENUE.to_owned()]);
        let options = Options { seed, venues, symbols: 1, rate: RATE, ..Options::default() };
        let part = stage::cast(&options, SystemClock::start().now()).unwrap().remove(0);
        let inner = Box::new(part.simulator);
        let far = Stamping { inner, arrivals: arrivals.clone() };
        let (host, name) = (Host::start(any_port(), Box::new(far)), format!("{way:?}-{nth}"));
        let provider = provider((&name, VENUE), host.addr, &part.instruments, way, folder);
        (host, provider)
    });
    all.unzip()
}

/// Throws switches, each at a moment of its own after an order was submitted, or after one was handed
/// out.
fn throw_them(
    control: &Control,
    [submitted, handed]: [&Receiver<()>; 2],
    count: usize,
) -> Vec<Throw> {
    let effective = |ticket: Ticket| {
        let answer = ticket.settled(LIMIT).expect("it is answered");
        assert_eq!(answer.verdict, Verdict::Effective);
    };
    let (mut rng, mut throws) = (Rng::new(1, 0), Vec::<Throw>::new());
    while throws.len() < count {
        let late = rng.below(2) == 0;
        let (orders, most) = if late { (handed, LAST_STEP) } else { (submitted, WAY) };
        orders.recv_timeout(LIMIT).expect("it trades");
        spin(&mut rng, most);
        let begun = Instant::now();
        effective(if rng.below(3) == 0 {
            control.kill().unwrap()
        } else {
            control.set_trading(TRADER, false).unwrap()
        });
        let off = Instant::now();
        spin(&mut rng, WAY);
        // Of before.
        let _ = (submitted.try_recv(), handed.try_recv());
        throws.push(Throw { begun, off, on: Instant::now() });
        effective(control.set_trading(TRADER, true).unwrap());
    }
    throws
}

fn spin(rng: &mut Rng, most: Duration) {
    let end = Instant::now() + Duration::from_nanos(rng.below(most.as_nanos() as u64));
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

/// What was written after a throw had returned; beside it, how many throws could not tell.
fn written_after(throws: &[Throw], arrivals: &Arrivals, trace: &Trace) -> (Vec<String>, usize) {
    let (mut after, mut open) = (Vec::new(), 0);
    for (id, handed) in &trace.handed {
        let before = throws.partition_point(|throw| throw.off < *handed);
        if let Some(late) = before.checked_sub(1).map(|at| &throws[at])
            && *handed < late.on
        {
            after.push(format!("{id}: handed out {:?} after off", *handed - late.off));
        }
        let (Some(throw), Some(arrived)) =
            (throws.get(before), arrivals.lock().unwrap().get(id).copied())
        else {
            continue;
        };
        let at = trace.written.partition_point(|written| written < handed);
        let written = trace.written.get(at).is_some_and(|written| *written < throw.off);
        if arrived < throw.off || written {
            continue;
        }
        if throw.off - throw.begun > GIVEN_UP {
            open += 1;
        } else {
            after.push(format!("{id}: arrived {:?} after off", arrived - throw.off));
        }
    }
    (after, open)
}

#[test]
fn no_order_is_written_once_a_switch_that_another_thread_throws_is_off() {
    let (tell, handed) = sync_channel(1);
    let tracer = Tracer(Arc::default(), tell);
    tracing::subscriber::set_global_default(tracer.clone()).unwrap();
    let (arrivals, folder) = (Arrivals::default(), Folder::make().unwrap());
    let (hosts, providers) = venues(&arrivals, &folder);
    let names: Vec<String> = providers.iter().map(|provider| provider.name.clone()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let options = ConsumerOptions { trading: true, ..ConsumerOptions::of(Maker::wants(&names)) };
    let (send, submitted) = sync_channel(1);
    let trader = Trader { submitted: send, orders: 0, handed: 0 };
    let mut trader = Some(trader);
    let orders = folder.orders();
    let ledger = LedgerConfig { durability: Durability::Os, ..orders.ledger };
    let builder = Gateway::builder(config(providers, OrdersConfig { ledger, ..orders }));
    let control = builder.control();
    let builder = builder.consumer_with(TRADER, options, move || trader.take().unwrap());
    let running = Running::start(builder);
    while arrivals.lock().unwrap().len() < 2 * ACCOUNTS as usize {
        submitted.recv_timeout(LIMIT).expect("it begins to trade");
    }
    let count = std::env::var("MELTICA_THROWS").ok().and_then(|count| count.parse().ok());
    let throws = throw_them(&control, [&submitted, &handed], count.unwrap_or(THROWS));
    running.stop();
    let trace = tracer.0.lock().unwrap();
    let (after, open) = written_after(&throws, &arrivals, &trace);
    let (handed, arrived) = (trace.handed.len(), arrivals.lock().unwrap().len());
    println!("{} throws, {handed} orders handed out, {arrived} arrived", throws.len());
    assert!(arrived > throws.len() / 4, "{arrived} orders arrived: too few to tell");
    assert!(open <= throws.len() / 50, "{open} orders were given up: too many to tell");
    assert_eq!(after, [""; 0]);
    hosts.into_iter().for_each(|host| _ = host.kill());
}
