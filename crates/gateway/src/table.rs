//! The built-in consumer: a live table of every instrument on the terminal.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use engine::{Consumer, Context};
use hdrhistogram::Histogram;
use model::decimal::Plain;
use model::event::{Reason, StreamStatus};
use model::{Body, Book, Event, Kind, Level, Nanos, Side, StreamState};

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

/// Draws itself over itself at the end of a batch, at most once per interval.
pub struct Table<W: Write + Send> {
    out: W,
    every: Duration,
    rows: BTreeMap<(u16, u32), Row>,
    drawn: Nanos,
    lines: usize,
}

impl<W: Write + Send> Table<W> {
    /// A table that writes to a terminal.
    pub fn new(out: W, every: Duration) -> Self {
        let drawn = Nanos::default();
        Self { out, every, rows: BTreeMap::new(), drawn, lines: 0 }
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

    /// The table as text; `since` is the time since it was last drawn.
    fn text(&mut self, since: Duration) -> String {
        let mut text = String::new();
        let _ = writeln!(
            text,
            "{:<16} {:<18} {:<28} {:>14} {:>14} {:>9} {:>5} {:>10}",
            "provider", "instrument", "state", "bid", "ask", "events/s", "gaps", "p99"
        );
        for row in self.rows.values_mut() {
            let rate = (row.events - row.events_before) * 1_000 / (since.as_millis().max(1) as u64);
            row.events_before = row.events;
            let price = |level: Option<Level>| {
                level.map_or_else(|| "-".to_owned(), |level| Plain(level.price).to_string())
            };
            let p99 = row.latency.as_ref().map_or(0, |h| h.value_at_quantile(0.99));
            let _ = writeln!(
                text,
                "{:<16} {:<18} {:<28} {:>14} {:>14} {:>9} {:>5} {:>10}",
                row.provider,
                row.instrument,
                row.standing(),
                price(row.bid),
                price(row.ask),
                rate,
                row.gaps,
                duration(p99),
            );
        }
        text
    }

    fn draw(&mut self, now: Nanos) -> io::Result<()> {
        let since = now.since(self.drawn);
        let text = self.text(since);
        self.drawn = now;
        let mut frame = String::new();
        if self.lines > 0 {
            let _ = write!(frame, "\x1b[{}A", self.lines);
        }
        for line in text.lines() {
            let _ = writeln!(frame, "{line}\x1b[K");
        }
        self.lines = text.lines().count();
        self.out.write_all(frame.as_bytes())?;
        self.out.flush()
    }
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
        if ctx.now.since(self.drawn) >= self.every && self.draw(ctx.now).is_err() {
            // Nobody looks any more; the gateway goes on.
            self.every = Duration::MAX;
        }
    }
}

impl Row {
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
            _ => {}
        }
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
