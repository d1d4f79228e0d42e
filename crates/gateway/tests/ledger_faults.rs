//! A ledger that can't be written, under a whole gateway that trades over real sockets: the file is
//! locked by another program, the operating system refuses every write, the file is damaged. As long
//! as that lasts no order leaves, cancels do, consumers get a clear denial and the operator is told;
//! when the cause is gone it goes on by itself, and what was reported meanwhile is told once.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::fmt::{Debug, Write};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::host::{Host, LIMIT, Running, any_port};
use common::trading::{config, provider};
use engine::orders::OrderSpec;
use meltica::clock::SystemClock;
use meltica::demo::Options;
use meltica::demo::folder::Folder;
use meltica::demo::maker::{Maker, quantity};
use meltica::demo::orders::Orders;
use meltica::demo::stage::{self, Part};
use meltica::{Body, Consumer, ConsumerOptions, Context, Event, Gateway};
use model::event::{Quote, Side};
use model::ledger::Report;
use model::order::{Intent, TimeInForce};
use model::reply::{OrderReply, ReplyAnswer};
use model::{Decimal, Denial, InstrumentId, Nanos, ProviderId};
use rusqlite::{Connection, TransactionBehavior};
use sim::accounts::Account;
use store::ledger::{LedgerRead, SqliteReader};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::field::{Field, Visit};
use tracing::{Level, Metadata, span};
use venues::OrderWay;

const VENUES: [&str; 2] = ["binance-usdm", "okx"];
const TRADER: &str = "trader";
/// Between two orders on one instrument, within what venues grant an account.
const PAUSE: Duration = Duration::from_millis(40);
/// An order stands for so long, then it is taken back.
const STANDS: Duration = Duration::from_millis(60);
/// So many ticks from the market nobody takes it.
const FAR: Decimal = Decimal::ONE_HUNDRED;
/// A cancel that came to nothing is asked for again after so long.
const AGAIN: Duration = Duration::from_millis(500);
/// What the operator is told when nothing can be written.
const STUCK: &str = "the ledger can't be written";
/// So many orders are enough to see that it trades, and so many denials that it does not.
const SOME: u64 = 15;

/// What the operator's log says, of a warning upwards or about the ledger.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, words: &str) -> usize {
        self.lines().iter().filter(|line| line.contains(words)).count()
    }
}

#[derive(Default)]
struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{field}={value:?} ").unwrap();
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, of: &Metadata<'_>) -> bool {
        *of.level() <= Level::INFO
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut words = Words::default();
        event.record(&mut words);
        self.lines().push(words.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// What the trader tells the test.
#[derive(Default)]
struct Counts {
    accepted: AtomicU64,
    denied: AtomicU64,
    cancels_denied: AtomicU64,
    /// Orders whose end was not told.
    open: AtomicU64,
    /// Orders stand far from the market, and are not taken back.
    waits: AtomicBool,
}

/// Orders that wait and orders that take, all the time, each taken back after a while.
struct Trader {
    seen: Orders,
    counts: Arc<Counts>,
    news: SyncSender<()>,
    rests: BTreeMap<(ProviderId, InstrumentId), Nanos>,
    /// Since when each stands, and when it was last asked to be cancelled.
    open: BTreeMap<String, (Nanos, Option<Nanos>)>,
}

impl Trader {
    fn on_quote(&mut self, event: &Event, quote: &Quote, ctx: &mut Context<'_>) {
        let (now, calm) = (ctx.now, self.seen.is_calm());
        let waits = self.counts.waits.load(Ordering::Relaxed);
        for (id, (since, cancelled)) in &mut self.open {
            let stood = !waits && (calm || now.since(*since) > STANDS);
            let asked = cancelled.is_some_and(|at| now.since(at) < AGAIN);
            if stood && !asked && ctx.cancel(id).is_ok() {
                *cancelled = Some(now);
            }
        }
        let desk = (event.header.stream.provider, event.header.stream.instrument);
        if calm || self.rests.get(&desk).is_some_and(|until| now < *until) {
            return;
        }
        let number = self.seen.next_id();
        let side = if number.is_multiple_of(2) { Side::Buy } else { Side::Sell };
        let takes = !waits && number.is_multiple_of(3);
        let level = if (side == Side::Buy) == takes { quote.ask } else { quote.bid };
        let facts = ctx.catalog.facts(desk.0, desk.1);
        let of = facts.and_then(|facts| Some((quantity(&facts, level.price)?, facts.tick?)));
        let Some((quantity, tick)) = of else { return };
        let away = if waits { tick * FAR } else { Decimal::ZERO };
        let price = if side == Side::Buy { level.price - away } else { level.price + away };
        let id = format!("t-{number}");
        let order = OrderSpec::limit(&id, desk.0, desk.1, side, quantity, price);
        let order = if takes { order } else { order.for_time(TimeInForce::PostOnly) };
        if ctx.submit(&order).is_ok() {
            self.rests.insert(desk, now + PAUSE);
            self.open.insert(id, (now, None));
        }
    }

    fn on_report(&mut self, position: u64, report: &Report) {
        assert!(self.seen.note(position, report), "{position} came again: {report:?}");
        if report.state.is_terminal() {
            self.open.remove(&*report.order.client_order_id);
        }
        self.counts.accepted.fetch_add(1, Ordering::Relaxed);
    }

    fn on_reply(&mut self, reply: &OrderReply) {
        match (&reply.answer, reply.intent) {
            (ReplyAnswer::Denied(denial), Intent::Submit) => {
                self.open.remove(&*reply.order.client_order_id);
                if is_of_ledger(*denial) {
                    self.counts.denied.fetch_add(1, Ordering::Relaxed);
                }
            }
            (ReplyAnswer::Denied(denial), Intent::Cancel) if is_of_ledger(*denial) => {
                self.counts.cancels_denied.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
    }
}

/// Whether it says that the ledger is what is wrong. Who looks first whether a new id is known finds that
/// a damaged file can't be read, before anybody has tried to write it.
fn is_of_ledger(denial: Denial) -> bool {
    matches!(denial, Denial::LedgerStuck | Denial::LedgerFull | Denial::LedgerUnreadable)
}

impl Consumer for Trader {
    fn on_event(&mut self, event: Event, ctx: &mut Context<'_>) {
        match &event.body {
            Body::Quote(quote) => self.on_quote(&event, quote, ctx),
            Body::Exec(report) => self.on_report(event.header.seq_provider.unwrap(), report),
            Body::Reply(reply) => self.on_reply(reply),
            _ => {}
        }
    }

    fn on_batch_end(&mut self, ctx: &mut Context<'_>) {
        ctx.acknowledge(self.seen.position()).unwrap();
        self.counts.open.store(self.open.len() as u64, Ordering::Relaxed);
        // One that waits already says it.
        let _ = self.news.try_send(());
    }
}

/// A gateway that trades, and everybody around it.
struct Stage {
    parts: Vec<Part>,
    hosts: Vec<Host>,
    folder: Folder,
    running: Running,
    seen: Orders,
    counts: Arc<Counts>,
    news: Receiver<()>,
    log: Log,
    /// A write that the system refuses is an error, and not the end of the process.
    _refusals: (Runtime, Signal),
}

impl Stage {
    fn start() -> Self {
        let log = Log::default();
        tracing::subscriber::set_global_default(log.clone()).unwrap();
        let venues = VENUES.map(str::to_owned).to_vec();
        let options = Options { venues, symbols: 1, rate: 300, ..Options::default() };
        let parts = stage::cast(&options, SystemClock::start().now()).unwrap();
        let folder = Folder::make().unwrap();
        let far = |part: &Part| Host::start(any_port(), Box::new(part.simulator.clone()));
        let hosts: Vec<_> = parts.iter().map(far).collect();
        let providers = parts.iter().zip(&hosts).map(|(part, host)| {
            let (name, way) = ((part.venue, part.venue), OrderWay::default());
            provider(name, host.addr, &part.instruments, way, &folder)
        });
        let (seen, counts) = (Orders::default(), Arc::<Counts>::default());
        let (send, news) = sync_channel(1);
        let trader = Trader {
            seen: seen.clone(),
            counts: counts.clone(),
            news: send,
            rests: BTreeMap::new(),
            open: BTreeMap::new(),
        };
        let wants = ConsumerOptions::of(Maker::wants(&VENUES));
        let wants = ConsumerOptions { trading: true, ..wants };
        let builder = Gateway::builder(config(providers.collect(), folder.orders()));
        let mut trader = Some(trader);
        let builder = builder.consumer_with(TRADER, wants, move || trader.take().unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let guard = runtime.enter();
        let refused = signal(SignalKind::from_raw(SIGXFSZ)).unwrap();
        drop(guard);
        let running = Running::start(builder);
        let _refusals = (runtime, refused);
        Self { parts, hosts, folder, running, seen, counts, news, log, _refusals }
    }

    fn ledger(&self) -> PathBuf {
        self.folder.path().join("ledger.db")
    }

    /// Waits until it is as wanted, looking whenever the trader has news.
    #[track_caller]
    fn until(&self, what: &str, done: impl Fn() -> bool) {
        let end = Instant::now() + LIMIT;
        while !done() {
            let left = end.saturating_duration_since(Instant::now());
            let news = self.news.recv_timeout(left);
            assert!(news.is_ok(), "in time: {what}; {:#?}", self.log.lines());
        }
    }

    #[track_caller]
    fn until_more(&self, what: &str, counter: &AtomicU64) {
        let before = counter.load(Ordering::Relaxed);
        self.until(what, || counter.load(Ordering::Relaxed) >= before + SOME);
    }

    fn placed(&self) -> u64 {
        self.parts.iter().map(|part| part.counts().placed).sum()
    }

    fn open(&self) -> usize {
        let key = &Account::demo().api_key;
        let orders = self.parts.iter().flat_map(|part| part.simulator.orders(key));
        orders.filter(|order| order.state.is_open()).count()
    }

    /// Trades, can't write for a while, and trades again.
    fn suffer(&self, cause: Cause) {
        let (stuck, again) = (STUCK, "the ledger can be written again");
        self.until_more("it trades", &self.counts.accepted);
        let told = (self.log.count(stuck), self.log.count(again));
        self.counts.waits.store(true, Ordering::Relaxed);
        self.until("orders stand", || self.open() as u64 >= SOME);
        let end = cause(self);
        self.until_more("it denies", &self.counts.denied);
        assert!(self.log.count(stuck) > told.0, "the operator is told");
        let (placed, position) = (self.placed(), self.seen.position());
        assert!(self.open() > 0, "they stand, and nobody wants them gone yet");
        self.counts.waits.store(false, Ordering::Relaxed);
        self.until_more("it denies still", &self.counts.denied);
        self.until("what stood is taken back all the same", || self.open() == 0);
        assert_eq!(self.placed(), placed, "no order leaves");
        assert_eq!(self.seen.position(), position, "nothing is told that is not written");
        assert_eq!(self.log.count(again), told.1);
        end();
        self.until_more("it goes on by itself", &self.counts.accepted);
        self.until("orders leave again", || self.placed() > placed);
        assert!(self.log.count(again) > told.1, "the operator is told that it is over");
    }

    /// Everything comes to rest; then venues, ledger and trader agree.
    fn agree(self) {
        self.seen.set_calm(true);
        let lost = || self.parts.iter().map(|part| part.gap(&self.seen).lost).sum::<u64>();
        let told = || self.counts.open.load(Ordering::Relaxed) == 0 && lost() == 0;
        self.until("all comes to rest", || self.open() == 0 && told());
        for part in &self.parts {
            let gap = part.gap(&self.seen);
            assert_eq!((gap.lost, gap.doubled, gap.what), (0, 0, None), "{}", part.venue);
            assert_eq!(part.counts().sent_twice, 0, "{}", part.venue);
        }
        assert_eq!(self.counts.cancels_denied.load(Ordering::Relaxed), 0, "cancels always pass");
        let summary = self.running.stop();
        assert_eq!(summary.orders.unknown, 0);
        let mut read = SqliteReader::open(self.folder.path().join("ledger.db")).unwrap();
        assert_eq!(read.open_orders(0, 1).unwrap(), []);
        let reports = read.reports_after(TRADER, 0, usize::MAX >> 1).unwrap();
        assert_eq!(reports.last().unwrap().0, self.seen.position(), "told to the end");
        let known: BTreeMap<_, _> =
            reports.iter().map(|(_, of)| ((&*of.provider, &*of.venue_order_id), of)).collect();
        for part in &self.parts {
            for order in part.simulator.orders(&Account::demo().api_key) {
                let id = order.id.to_string();
                let report = known.get(&(part.venue, id.as_str())).expect("the ledger knows it");
                assert_eq!(report.filled, order.filled, "{} {id}", part.venue);
                let intent = read.order(&report.order).unwrap().unwrap().submit;
                assert_eq!(Some(&*intent.venue_client_id), order.client_order_id.as_deref());
            }
        }
        self.hosts.into_iter().for_each(|host| _ = host.kill());
    }
}

/// Makes that the ledger can't be written; what is given back ends that.
type Cause = fn(&Stage) -> Box<dyn FnOnce()>;

/// Another program holds the file.
fn locked(stage: &Stage) -> Box<dyn FnOnce()> {
    let mut other = Connection::open(stage.ledger()).unwrap();
    other.busy_timeout(LIMIT).unwrap();
    other.transaction_with_behavior(TransactionBehavior::Immediate).unwrap().forget();
    Box::new(move || other.execute_batch("ROLLBACK").unwrap())
}

trait Forget {
    fn forget(self);
}

impl Forget for rusqlite::Transaction<'_> {
    /// It stays open.
    fn forget(mut self) {
        self.set_drop_behavior(rusqlite::DropBehavior::Ignore);
    }
}

/// What the system says to a write where no file may have so many bytes.
const SIGXFSZ: i32 = 25;

/// The operating system refuses every write to a file.
fn refused(_: &Stage) -> Box<dyn FnOnce()> {
    limit("0");
    Box::new(|| limit("unlimited"))
}

/// No file of this process may be longer.
fn limit(bytes: &str) {
    let (pid, limit) = (std::process::id().to_string(), format!("--fsize={bytes}:unlimited"));
    let set = Command::new("prlimit").args(["--pid", &pid, &limit]).status();
    assert!(set.expect("prlimit, of util-linux").success());
}

/// The file and its log are overwritten, and put back in the end. That is done while another program
/// holds them and a write was refused: the writer looks at the file anew then. Otherwise it may go on for
/// long with the pages that it has in memory.
fn damaged(stage: &Stage) -> Box<dyn FnOnce()> {
    let (ledger, told) = (stage.ledger(), stage.log.count(STUCK));
    let free = locked(stage);
    stage.until("a write is refused", || stage.log.count(STUCK) > told);
    let log = ledger.with_file_name("ledger.db-wal");
    let files = [ledger, log].map(|path| (fs::read(&path).unwrap(), path));
    for (bytes, path) in &files {
        overwrite(path, &vec![0xAA; bytes.len()]);
    }
    free();
    Box::new(move || files.iter().for_each(|(bytes, path)| overwrite(path, bytes)))
}

/// In place: whoever has the file open sees it.
fn overwrite(path: &Path, bytes: &[u8]) {
    use std::io::Write;
    fs::OpenOptions::new().write(true).open(path).unwrap().write_all(bytes).unwrap();
}

#[test]
fn no_order_leaves_while_the_ledger_cant_be_written_and_it_goes_on_when_it_can() {
    let stage = Stage::start();
    for cause in [locked, refused, damaged] {
        stage.suffer(cause);
    }
    assert!(stage.log.count("end the program that holds it") > 0);
    assert!(stage.log.count("check the disk") > 0);
    assert!(stage.log.count("put back a copy") > 0);
    stage.agree();
}
