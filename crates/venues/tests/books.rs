//! Whatever happens to a venue's diffs on their way, the assembled book equals the venue's or it
//! is not `Live`.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;

use common::Bench;
use model::{Kind, Side, StreamState};
use proptest::prelude::*;
use venues::Settings;

/// The venue's own book: a map, and a diff for each step.
#[derive(Clone, Default)]
struct VenueBook {
    bids: BTreeMap<u32, u32>,
    id: u64,
}

impl VenueBook {
    /// One diff of a few ids; gives it as JSON.
    fn step(&mut self, price: u32, quantity: u32, ids: u64, skip: u64, futures: bool) -> String {
        let previous = self.id;
        let first = previous + 1 + if futures { skip } else { 0 };
        self.id = first + ids;
        if quantity == 0 {
            self.bids.remove(&price);
        } else {
            self.bids.insert(price, quantity);
        }
        let pu = if futures { format!(r#","pu":{previous}"#) } else { String::new() };
        format!(
            r#"{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":{first},"u":{}{pu},"b":[["{price}","{quantity}"]],"a":[]}}}}"#,
            self.id
        )
    }

    fn snapshot(&self) -> String {
        let levels: Vec<_> = self.bids.iter().map(|(p, q)| format!(r#"["{p}","{q}"]"#)).collect();
        format!(r#"{{"lastUpdateId":{},"bids":[{}],"asks":[]}}"#, self.id, levels.join(","))
    }

    fn levels(&self) -> Vec<String> {
        self.bids.iter().rev().map(|(price, quantity)| format!("{price}×{quantity}")).collect()
    }
}

#[derive(Clone, Debug)]
enum Fate {
    Deliver,
    Drop,
    Double,
    /// Delivered after the next one.
    Swap,
    /// The connection is lost and comes back.
    Disconnect,
    /// A snapshot that was asked for is answered, as of now.
    Answer,
    /// Time passes.
    Wait,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        12 => Just(Fate::Deliver),
        1 => Just(Fate::Drop),
        1 => Just(Fate::Double),
        1 => Just(Fate::Swap),
        1 => Just(Fate::Disconnect),
        4 => Just(Fate::Answer),
        2 => Just(Fate::Wait),
    ]
}

fn start(line: &str) -> (Bench, &'static str) {
    let futures = line != "binance";
    let mut bench = Bench::new(venues::create(line, Settings::default()).unwrap());
    let name = if futures { "BTC-USDT-PERP" } else { "BTC-USDT" };
    bench.subscribe(&[(name, Kind::BookUpdate)]);
    let contract = if futures { r#""contractType":"PERPETUAL","# } else { "" };
    let list = bench.take_request("exchangeInfo").unwrap();
    let body = format!(
        r#"{{"symbols":[{{"symbol":"BTCUSDT","status":"TRADING",{contract}"baseAsset":"BTC","quoteAsset":"USDT"}}]}}"#
    );
    bench.answer(&list, &body).unwrap();
    bench.open(0, 1);
    (bench, name)
}

type Step = (Fate, u32, u32, u64, u64);

fn check(line: &str, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let (mut bench, name) = start(line);
    let futures = line != "binance";
    let mut venue = VenueBook { id: 1_000, ..VenueBook::default() };
    let mut held: Option<String> = None;
    let mut conn = 1;
    for (fate, price, quantity, ids, skip) in steps {
        match fate {
            Fate::Answer => {
                if let Some(request) = bench.take_request("depth") {
                    bench.answer(&request, &venue.snapshot()).unwrap();
                }
                continue;
            }
            Fate::Wait => {
                bench.pass(500);
                continue;
            }
            Fate::Disconnect => {
                bench.close(conn);
                conn += 1;
                bench.open(0, conn);
                held = None;
                continue;
            }
            _ => {}
        }
        let diff = venue.step(price, quantity, ids, skip, futures);
        match fate {
            Fate::Drop => continue,
            Fate::Swap if held.is_none() => {
                held = Some(diff);
                continue;
            }
            Fate::Double => {
                bench.frame(conn, &diff).unwrap();
                bench.frame(conn, &diff).unwrap();
            }
            _ => bench.frame(conn, &diff).unwrap(),
        }
        if let Some(late) = held.take() {
            bench.frame(conn, &late).unwrap();
        }
        // What waits for one before it has it, or is a gap.
        bench.pass(200);
        if bench.state(name) == StreamState::Live {
            prop_assert_eq!(bench.levels(name, Side::Buy), venue.levels());
        }
    }
    // Left alone, it recovers.
    for _ in 0..20 {
        bench.pass(11_000);
        while let Some(request) = bench.take_request("depth") {
            bench.answer(&request, &venue.snapshot()).unwrap();
        }
        let diff = venue.step(1, 1, 0, 0, futures);
        bench.frame(conn, &diff).unwrap();
    }
    bench.pass(200);
    prop_assert_eq!(bench.state(name), StreamState::Live);
    prop_assert_eq!(bench.levels(name, Side::Buy), venue.levels());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn equal_or_not_live(
        futures in any::<bool>(),
        steps in proptest::collection::vec((fate(), 1u32..6, 0u32..9, 0u64..3, 0u64..5), 1..80),
    ) {
        check(if futures { "binance-usdm" } else { "binance" }, steps)?;
    }
}
