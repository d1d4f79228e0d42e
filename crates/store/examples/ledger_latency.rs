//! How long a fact takes from `try_append` to the reply that it is durable, by mode, beside the
//! disk's own sync: `cargo run --release -p store --example ledger_latency [FOLDER]`.
//!
//! Timed is one intent at a time, as one consumer sends orders, then 50 at once, as many do; the
//! file is in FOLDER, `.` by default, because a folder of temporary files may be memory.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use model::event::Side;
use model::ledger::{Fact, LedgerAppend, LedgerReply, OrderKey, Submit, Terms};
use model::order::{OrderType, TimeInForce};
use model::{Decimal, Nanos};
use store::ledger::{Durability, LedgerWriter, SqliteWriter, WriterOptions};

const ALONE: u64 = 1_000;
const BURSTS: u64 = 40;
const BURST: u64 = 50;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| ".".into()));
    println!("{:<22}{:>12}{:>12}", "microseconds", "p50", "p99");
    print("fdatasync of 4 KiB", disk(&folder)?);
    for durability in [Durability::Each, Durability::Batch, Durability::Os] {
        let (alone, burst) = ledger(&folder, durability)?;
        print(&format!("{durability:?}, one by one"), alone);
        print(&format!("{durability:?}, 50 at once"), burst);
    }
    Ok(())
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |percent: usize| times.get(times.len() * percent / 100).map_or(0, Duration::as_micros);
    println!("{what:<22}{:>12}{:>12}", at(50), at(99));
}

/// Appends 4 KiB and syncs it, as the ledger's log does.
fn disk(folder: &Path) -> Outcome<Vec<Duration>> {
    let path = folder.join("ledger_latency.tmp");
    let mut file = File::create(&path)?;
    file.write_all(&vec![0; 4_096 * 1_000])?;
    file.sync_all()?;
    file.rewind()?;
    let mut times = Vec::new();
    for _ in 0..ALONE {
        let begun = Instant::now();
        file.write_all(&[1; 4_096])?;
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    std::fs::remove_file(path)?;
    Ok(times)
}

fn ledger(folder: &Path, durability: Durability) -> Outcome<(Vec<Duration>, Vec<Duration>)> {
    let path = folder.join("ledger_latency.db");
    let storage = Box::new(SqliteWriter::open(&path)?);
    let waiter = std::thread::current();
    let options = WriterOptions { durability, ..WriterOptions::default() };
    let writer = LedgerWriter::start(storage, options, move || waiter.unpark())?;
    let mut seq = 0;
    let mut alone = Vec::new();
    for _ in 0..ALONE {
        alone.extend(burst(&writer, &mut seq, 1)?);
    }
    let mut together = Vec::new();
    for _ in 0..BURSTS {
        together.extend(burst(&writer, &mut seq, BURST)?);
    }
    writer.finish()?;
    for ending in ["db", "db-wal", "db-shm", "db.lock"] {
        let _ = std::fs::remove_file(path.with_extension(ending));
    }
    Ok((alone, together))
}

/// Appends `count` intents at once and times each until it is durable.
fn burst(writer: &LedgerWriter, seq: &mut u64, count: u64) -> Outcome<Vec<Duration>> {
    let first = *seq + 1;
    *seq += count;
    let begun = Instant::now();
    for seq in first..=*seq {
        writer.try_append(LedgerAppend { seq, fact: intent(seq) }).map_err(|_| "full")?;
    }
    let mut times = Vec::new();
    while (times.len() as u64) < count {
        match writer.try_next() {
            Some(LedgerReply::Durable { up_to }) => {
                let covered = (up_to + 1 - first) as usize;
                times.resize(covered, begun.elapsed());
            }
            Some(LedgerReply::Stuck(error)) => return Err(error.into()),
            Some(_) => {}
            None => std::thread::park(),
        }
    }
    Ok(times)
}

fn intent(id: u64) -> Fact {
    Fact::Submit(Submit {
        order: OrderKey { consumer: "maker".into(), client_order_id: format!("{id:012}").into() },
        terms: Terms {
            provider: "spot".into(),
            instrument: "BTC-USDT".into(),
            side: Side::Buy,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::PostOnly,
            price: Some(Decimal::new(6_543_210, 2)),
            quantity: Decimal::new(15, 3),
        },
        venue_client_id: format!("m-{id:012}").into(),
        deadline: Some(Nanos(1_700_000_000_000_000_000)),
        ts: Nanos(1_700_000_000_000_000_000),
        decision_id: id,
    })
}
