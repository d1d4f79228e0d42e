//! What a write of the ledger costs, by how long its thread has slept before: an intent a transaction,
//! nothing synced, as with `durability = "os"`.
//!
//! ```sh
//! cargo run --release -p store --example append_cost
//! ```

use std::error::Error;
use std::time::{Duration, Instant};

use model::event::Side;
use model::ledger::{Fact, LedgerAppend, OrderKey, Submit, Terms};
use model::order::{OrderType, TimeInForce};
use model::{Decimal, Nanos};
use store::ledger::{LedgerWrite, SqliteWriter};

const WRITES: u64 = 200;
const SLEEPS_MS: [u64; 5] = [0, 1, 5, 20, 45];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let mut ledger = SqliteWriter::open(folder.path().join("ledger.db"))?;
    let mut seq = 0;
    println!("slept, ms   p50 us   p99 us");
    for slept in SLEEPS_MS {
        let mut took = Vec::new();
        for _ in 0..WRITES {
            seq += 1;
            let append = [LedgerAppend { seq, fact: Fact::Submit(intent(seq)) }];
            std::thread::park_timeout(Duration::from_millis(slept));
            let start = Instant::now();
            ledger.append(&append)?;
            took.push(start.elapsed().as_micros());
        }
        took.sort_unstable();
        println!("{slept:>9} {:>8} {:>8}", took[took.len() / 2], took[took.len() * 99 / 100]);
    }
    Ok(())
}

fn intent(nth: u64) -> Submit {
    Submit {
        order: OrderKey { consumer: "maker".into(), client_order_id: format!("m-{nth}").into() },
        terms: Terms {
            provider: "binance".into(),
            instrument: "BTC-USDT".into(),
            side: Side::Buy,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::Gtc,
            price: Some(Decimal::new(6_000_012, 2)),
            quantity: Decimal::new(1, 3),
        },
        venue_client_id: format!("{nth:032}").into(),
        deadline: None,
        ts: Nanos(nth),
        decision_id: nth,
    }
}
