//! `meltica demo` and `meltica soak`: the whole system on one machine with nothing to set up.
//!
//! | file | what it is |
//! | --- | --- |
//! | [`stage`] | which venues play, and how their books are compared |
//! | [`books`] | the consumer that keeps every book and compares it with the venue's own |
//! | [`merges`] | what is merged, and the consumer that checks it |
//! | [`maker`] | the consumer that trades |
//! | [`tape`] | what it does, in words for those who watch it |
//! | [`orders`] | what it was told of its orders, held against what the venues know |
//! | [`folder`] | where keys and ledger of a demo are |
//! | `supervisor` | servers, samples, faults by a schedule, the end in its order |
//! | [`report`] | what it came to, as a contract |
//! | [`memory`] | what the process holds, and whether it grows |

use std::net::SocketAddr;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use engine::{Consumer, Context};
use model::Event;
use sim::accounts::Counts;
use sim::faults::Faults;
use tokio::sync::oneshot;

use crate::clock::SystemClock;
use crate::config::{Config, DeadLetters, Dispatch, Log, Merge, Network, Provider, Table};
use crate::consumers::ConsumerOptions;
use crate::gateway::{Builder, Gateway};
use crate::outcome::Summary;

pub mod books;
pub mod folder;
pub mod maker;
pub mod memory;
pub mod merges;
pub mod orders;
pub mod report;
pub mod stage;
mod supervisor;
pub mod tape;

pub use report::Report;
pub use supervisor::Sample;

use books::Books;
use folder::Folder;
use maker::Maker;
use merges::Merges;
use orders::Orders;
use report::Memory;
use stage::Part;
use supervisor::{Plan, Seen, Supervisor};
use tape::Board;

/// A stream that is silent for so long is probed: sooner than at real venues, since a demo's are
/// never quiet.
pub(crate) const SILENCE: Duration = Duration::from_secs(5);
/// How often a demo looks at its memory.
const SAMPLE_EVERY: Duration = Duration::from_secs(10);

/// What is to be shown.
#[derive(Clone, Debug)]
pub struct Options {
    /// Ends by itself after so long; on Ctrl-C where `None`.
    pub duration: Option<Duration>,
    /// Which venues; all that can be simulated where empty.
    pub venues: Vec<String>,
    /// Instruments of each venue.
    pub symbols: usize,
    /// Messages a second, over all venues.
    pub rate: u32,
    /// Consumers beside the table.
    pub consumers: usize,
    /// What goes wrong.
    pub faults: Faults,
    /// Where all chance begins.
    pub seed: u64,
    /// Whether a table is drawn on standard output.
    pub table: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            duration: None,
            venues: Vec::new(),
            symbols: 5,
            rate: 1_000,
            consumers: 3,
            faults: Faults::default(),
            seed: 1,
            table: false,
        }
    }
}

/// A demo that is over.
#[derive(Clone, Debug)]
pub struct Shown {
    /// What it came to.
    pub report: Report,
    /// What was seen on the way.
    pub samples: Vec<Sample>,
    /// What does not hold, in words.
    pub broken: Vec<String>,
}

/// Runs a demo to its end.
///
/// # Errors
/// A venue that has no simulator, or what a gateway needs and can't have.
pub fn run(options: &Options) -> Result<Shown, String> {
    let plan =
        Plan { duration: options.duration, sample_every: SAMPLE_EVERY, compare_at_samples: false };
    play(options, plan)
}

/// Runs a demo whose memory is looked at so often, with all faults stopped, the market standing
/// still and every book compared.
pub(crate) fn sampled(options: &Options, every: Duration) -> Result<Shown, String> {
    let duration = options.duration;
    play(options, Plan { duration, sample_every: every, compare_at_samples: true })
}

fn play(options: &Options, plan: Plan) -> Result<Shown, String> {
    let clock = SystemClock::start();
    let parts = stage::cast(options, clock.now())?;
    let (books, orders) = (Books::default(), Orders::default());
    let folder = Folder::make()?;
    let (ended_send, ended) = oneshot::channel();
    let (send, addresses) = sync_channel(1);
    let (stop, gauges) = (crate::Stop::default(), crate::outcome::Gauges::default());
    let supervisor = Supervisor {
        parts: parts.clone(),
        books: books.clone(),
        orders: orders.clone(),
        gauges: gauges.clone(),
        stop: stop.clone(),
        clock,
        plan,
        ended,
    };
    let thread = std::thread::Builder::new().name("venues".to_owned());
    let thread = thread
        .spawn(move || supervisor.run(&send))
        .map_err(|error| format!("a thread for the venues: {error}"))?;
    let listening =
        addresses.recv().unwrap_or_else(|_| Err("the venues did not start".to_owned()))?;
    let config = config(&parts, &listening, &folder);
    let builder = Gateway::builder(config).stop_with(stop).gauges(gauges);
    let merges = merges::spec(&parts).map(Merges::new);
    let board = Board::default();
    let builder = trading(builder, &parts, &orders, &board, options);
    let builder = consumers(builder, books, merges.clone(), options);
    let ran = if options.table { table(builder, board) } else { builder }.run();
    // The supervisor may be gone already.
    let _ = ended_send.send(());
    let seen = thread.join().map_err(|_| "the venues' thread panicked".to_owned())?;
    let merges = merges.map(|merges| merges.broken()).unwrap_or_default();
    let counts: Vec<_> = parts.iter().map(Part::counts).collect();
    Ok(shown(&ran.map_err(|error| error.to_string())?, seen, &counts, merges))
}

fn shown(summary: &Summary, seen: Seen, counts: &[Counts], merges: Vec<String>) -> Shown {
    let moments: Vec<_> = seen
        .samples
        .iter()
        .map(|sample| (Duration::from_secs_f64(sample.t_s), sample.rss_bytes))
        .collect();
    let orders = report::Orders::of(summary, counts);
    let mut report = Report::new(summary, orders, seen.books_match, Memory::of(&moments));
    report.lost(maker::NAME, seen.gap.lost);
    let mut broken = seen.differences;
    broken.extend(seen.gap.what);
    if seen.gap.doubled > 0 {
        broken.push(format!("{} reports were told twice", seen.gap.doubled));
    }
    broken.extend(report.broken());
    broken.extend(merges);
    broken.extend(summary.unreturned.iter().map(ToString::to_string));
    Shown { report, samples: seen.samples, broken }
}

/// The gateway as it would be on real venues, but for the addresses.
fn config(parts: &[Part], listening: &[SocketAddr], folder: &Folder) -> Config {
    let providers = parts.iter().zip(listening).map(|(part, address)| Provider {
        name: part.venue.to_owned(),
        venue: part.venue.to_owned(),
        instruments: part.instruments.clone(),
        kinds: part.kinds.clone(),
        redundancy: 1,
        settings: venues::Settings {
            ws_url: Some(format!("ws://{address}")),
            rest_url: Some(format!("http://{address}")),
            silence: SILENCE,
            ..venues::Settings::default()
        },
        account: part.trades.then(|| folder.account()),
    });
    let merge = |spec| Merge { spec, consumers: Vec::new() };
    Config {
        providers: providers.collect(),
        merges: merges::spec(parts).map(merge).into_iter().collect(),
        network: Network::default(),
        dispatch: Dispatch::default(),
        log: Log::default(),
        table: Table::default(),
        control: engine::ControlSettings::default(),
        dead_letters: DeadLetters::default(),
        consumers: Vec::new(),
        orders: folder.orders(),
    }
}

/// The maker, where there is a second consumer and anything that can be traded.
fn trading(
    builder: Builder,
    parts: &[Part],
    orders: &Orders,
    board: &Board,
    options: &Options,
) -> Builder {
    let tradable = parts.iter().filter(|part| part.trades).map(|part| part.venue);
    let tradable: Vec<_> = tradable.collect();
    if tradable.is_empty() || options.consumers < 2 {
        return builder;
    }
    let (seen, board) = (orders.clone(), board.clone());
    let options = ConsumerOptions { trading: true, ..ConsumerOptions::of(Maker::wants(&tradable)) };
    builder.consumer_with(maker::NAME, options, move || Maker::watched(seen.clone(), board.clone()))
}

/// The first consumer keeps the books, the second checks what is merged, the others read along.
fn consumers(builder: Builder, books: Books, merges: Option<Merges>, options: &Options) -> Builder {
    let mut builder = builder.consumer("books", books);
    let merges = merges.filter(|_| options.consumers > 1);
    let readers_from = if merges.is_some() { 2 } else { 1 };
    if let Some(merges) = merges {
        builder = builder.consumer_of(merges::NAME, merges.wants(), merges);
    }
    for n in readers_from..options.consumers {
        builder = builder.consumer(&format!("reader-{n}"), Reader);
    }
    builder
}

/// The live table, with what the maker does below it.
fn table(builder: Builder, board: Board) -> Builder {
    let stop = builder.stop_handle();
    let table = crate::table::Table::on_terminal(Table::default().every, stop);
    builder.consumer("table", table.with_below(move || board.lines()))
}

/// A consumer that looks at everything and keeps nothing.
struct Reader;

impl Consumer for Reader {
    fn on_event(&mut self, event: Event, _: &mut Context<'_>) {
        std::hint::black_box(&event);
    }
}
