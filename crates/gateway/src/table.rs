//! The built-in consumer: a live table of every instrument on the terminal.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Stdout, Write};
use std::time::Duration;

use engine::{Consumer, Context};
use hdrhistogram::Histogram;
use model::decimal::Plain;
use model::event::{Merged, Reason, StreamStatus};
use model::{Body, Book, Event, Kind, Level, Nanos, Side, StreamState};

use crate::outcome::Stop;

/// One line of the table.
#[derive(Debug, Default)]
struct Row {
    provider: String,
    instrument: String,
    book: Book,
    /// Whether there is a book stream, whose state is shown; else the last state of any stream.
    has_book: bool,
    state: StreamState,
    reason: Reason,
    bid: Option<Level>,
    ask: Option<Level>,
    gaps: u64,
    events: u64,
    /// At the last drawing.
    events_before: u64,
    latency: Option<Histogram<u64>>,
}

/// How wide and how high a terminal is, in characters.
type Size = (usize, usize);

/// Where a terminal does not say.
const SIZE: Size = (80, 24);
/// What every row has.
const HEADS: [&str; COLUMNS] =
    ["provider", "instrument", "state", "bid", "ask", "events/s", "gaps", "p99"];
const COLUMNS: usize = 8;
/// The column that gives way where a row would be too wide.
const STATE: usize = 2;
/// At least so many of the lines below the rows are shown.
const BELOW_MIN: usize = 1;
/// From here on columns are numbers, which stand to the right.
const NUMBERS_FROM: usize = 3;

/// Draws itself over itself at the end of a batch, at most once per interval, within the terminal.
pub struct Table<W: Write + Send> {
    out: W,
    every: Duration,
    size: fn() -> Size,
    /// What else is said, below the rows.
    below: Box<dyn Fn() -> Vec<String> + Send>,
    /// What connections do while they are closed is not shown.
    stop: Stop,
    rows: BTreeMap<(u16, u32), Row>,
    drawn: Nanos,
    lines: usize,
}

impl Table<Stdout> {
    /// A table on the terminal that standard output is, until the run is stopped.
    #[must_use]
    pub fn on_terminal(every: Duration, stop: Stop) -> Self {
        let size = || {
            let size = rustix::termios::tcgetwinsize(io::stdout());
            size.map_or(SIZE, |size| (size.ws_col.into(), size.ws_row.into()))
        };
        Self::new(io::stdout(), every, size, stop)
    }
}

impl<W: Write + Send> Table<W> {
    fn new(out: W, every: Duration, size: fn() -> Size, stop: Stop) -> Self {
        let drawn = Nanos::default();
        let below = Box::new(Vec::new);
        Self { out, every, size, below, stop, rows: BTreeMap::new(), drawn, lines: 0 }
    }

    /// With lines below the rows, as many as there is room for.
    #[must_use]
    pub fn with_below(mut self, lines: impl Fn() -> Vec<String> + Send + 'static) -> Self {
        self.below = Box::new(lines);
        self
    }

    fn row(&mut self, event: &Event, ctx: &Context<'_>) -> &mut Row {
        let stream = event.header.stream;
        self.rows.entry((stream.provider.0, stream.instrument.0)).or_insert_with(|| {
            let text =
                |name: Option<std::sync::Arc<str>>| name.as_deref().unwrap_or("?").to_owned();
            Row {
                provider: text(ctx.catalog.provider_name(stream.provider)),
                instrument: text(ctx.catalog.instrument_name(stream.instrument)),
                latency: Histogram::new_with_bounds(1, 60_000_000_000, 2).ok(),
                ..Row::default()
            }
        })
    }

    /// The lines of the table; `since` is the time since it was last drawn.
    fn lines(&mut self, since: Duration, (width, height): Size) -> Vec<String> {
        // The cursor stands behind the last line, and the first must still be there to be drawn over.
        let below = (self.below)();
        let room = height.saturating_sub(2).max(1);
        let kept = below.len().min(BELOW_MIN).min(room - 1);
        let (all, free) = (self.rows.len(), room - kept);
        let shown = if all > free { free - 1 } else { all };
        let mut rows = vec![HEADS.map(str::to_owned)];
        rows.extend(self.rows.values_mut().map(|row| row.cells(since)));
        rows.truncate(shown + 1);
        let widths = widths(&rows, width);
        let mut lines: Vec<_> = rows.iter().map(|cells| line(cells, &widths, width)).collect();
        if shown < all {
            let more = format!("and {} more, for which the terminal is too low", all - shown);
            lines.push(more.chars().take(width).collect());
        }
        let left = (room + 1).saturating_sub(lines.len());
        lines.extend(below.iter().take(left).map(|line| line.chars().take(width).collect()));
        lines
    }

    fn draw(&mut self, now: Nanos) -> io::Result<()> {
        let lines = self.lines(now.since(self.drawn), (self.size)());
        self.drawn = now;
        let mut frame = String::new();
        if self.lines > 0 {
            let _ = write!(frame, "\x1b[{}A", self.lines);
        }
        for line in &lines {
            let _ = writeln!(frame, "{line}\x1b[K");
        }
        // What is left of a frame that was higher.
        frame.push_str("\x1b[J");
        self.lines = lines.len();
        self.out.write_all(frame.as_bytes())?;
        self.out.flush()
    }
}

/// As wide as what stands in each column, the state less where that is more than there is room for.
fn widths(rows: &[[String; COLUMNS]], width: usize) -> [usize; COLUMNS] {
    let mut widths = [0; COLUMNS];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let surplus = (widths.iter().sum::<usize>() + COLUMNS - 1).saturating_sub(width);
    widths[STATE] = widths[STATE].saturating_sub(surplus).max(HEADS[STATE].len());
    widths
}

/// A line of the table, cut where even that is too wide.
fn line(cells: &[String; COLUMNS], widths: &[usize; COLUMNS], width: usize) -> String {
    let mut line = String::new();
    for (nth, (cell, &width)) in cells.iter().zip(widths).enumerate() {
        let gap = if nth > 0 { " " } else { "" };
        let _ = if nth < NUMBERS_FROM {
            write!(line, "{gap}{cell:<width$.width$}")
        } else {
            write!(line, "{gap}{cell:>width$}")
        };
    }
    line.chars().take(width).collect()
}

impl<W: Write + Send> Consumer for Table<W> {
    fn on_event(&mut self, event: Event, ctx: &mut Context<'_>) {
        let now = ctx.now;
        let row = self.row(&event, ctx);
        row.events += 1;
        if let Some(latency) = &mut row.latency {
            let ns = u64::try_from(now.since(event.header.ts_recv).as_nanos()).unwrap_or(u64::MAX);
            latency.saturating_record(ns);
        }
        row.take(&event);
    }

    fn on_batch_end(&mut self, ctx: &mut Context<'_>) {
        let due = ctx.now.since(self.drawn) >= self.every && !self.stop.is_set();
        if due && self.draw(ctx.now).is_err() {
            // Nobody looks any more; the gateway goes on.
            self.every = Duration::MAX;
        }
    }
}

impl Row {
    /// What is shown of it; `since` is the time since that was last asked.
    fn cells(&mut self, since: Duration) -> [String; COLUMNS] {
        let rate = (self.events - self.events_before) * 1_000 / (since.as_millis().max(1) as u64);
        self.events_before = self.events;
        let price = |level: Option<Level>| {
            level.map_or_else(|| "-".to_owned(), |level| Plain(level.price).to_string())
        };
        let p99 = self.latency.as_ref().map_or(0, |h| h.value_at_quantile(0.99));
        [
            self.provider.clone(),
            self.instrument.clone(),
            self.standing(),
            price(self.bid),
            price(self.ask),
            rate.to_string(),
            self.gaps.to_string(),
            duration(p99),
        ]
    }

    /// The state, and why where it is not live.
    fn standing(&self) -> String {
        match self.state {
            StreamState::Live => self.state.name().to_owned(),
            state => format!("{} ({})", state.name(), self.reason.name()),
        }
    }

    fn take(&mut self, event: &Event) {
        match event.body {
            Body::Quote(quote) => (self.bid, self.ask) = (Some(quote.bid), Some(quote.ask)),
            Body::Book(_) => {
                self.has_book = true;
                if event.kind() == Kind::BookSnapshot {
                    self.book.clear();
                }
                // The engine applied the same levels; what it could hold this can hold.
                let _ = self.book.apply(event.bids(), event.asks());
                (self.bid, self.ask) = (self.book.best(Side::Buy), self.book.best(Side::Sell));
            }
            Body::Status(status) => self.turn(&status),
            Body::Merged(ref merged) => self.join(merged),
            _ => {}
        }
    }

    /// The best of what was merged. A merge says nothing of a state: it sends when all have sent.
    fn join(&mut self, merged: &Merged) {
        let quotes = merged.fragments.iter().filter_map(|fragment| match fragment.body {
            Body::Quote(quote) => Some(quote),
            _ => None,
        });
        self.bid = quotes.clone().map(|quote| quote.bid).max_by_key(|level| level.price);
        self.ask = quotes.map(|quote| quote.ask).min_by_key(|level| level.price);
        self.state = StreamState::Live;
    }

    fn turn(&mut self, status: &StreamStatus) {
        self.has_book |= status.of == Kind::BookUpdate;
        if self.has_book && status.of != Kind::BookUpdate {
            return;
        }
        let fault = matches!(status.reason, Reason::SequenceGap | Reason::ChecksumMismatch);
        self.gaps += u64::from(fault && status.state == StreamState::Gapped);
        (self.state, self.reason) = (status.state, status.reason);
    }
}

/// A duration in ns, for people.
fn duration(ns: u64) -> String {
    match ns {
        0..10_000 => format!("{ns} ns"),
        10_000..10_000_000 => format!("{} µs", ns / 1_000),
        _ => format!("{} ms", ns / 1_000_000),
    }
}

#[cfg(test)]
#[path = "table/tests.rs"]
mod tests;
