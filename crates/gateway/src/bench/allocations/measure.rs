//! Runs the same traffic with the pools and without, and counts.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::{Allocations, Case, Pair, PerEvent};
use crate::bench::report::{hundredth, tenth};
use crate::bench::rig::Rig;
use crate::bench::synthetic::{self, Traffic};

/// Events before the first that counts: long enough that a book has seen all its prices.
const WARM_UP: usize = 4_000;
/// Events that count, of each case.
const EVENTS: usize = 4_000;
/// Events in a turn at full speed.
const TURN: usize = 64;
/// Paced events come so far apart: 1,000 a second.
const GAP: Duration = Duration::from_millis(1);
/// How many paced events count.
const PACED_EVENTS: usize = 2_000;
/// Subscribers of the paced run, and of `per_event`.
const SUBSCRIBERS: usize = 3;

/// Measures.
///
/// # Errors
/// An event that does not reach a consumer.
pub fn measure() -> Result<Allocations, String> {
    let mut cases = Vec::new();
    for traffic in Traffic::EACH {
        for subscribers in [1, 3, 10] {
            let per_event = both(traffic, |boxed| full_speed(traffic, subscribers, boxed))?;
            let (kind, levels) = (traffic.name(), traffic.levels());
            cases.push(Case { kind, levels, subscribers, per_event });
        }
    }
    let paced = both(Traffic::Mixed, paced)?;
    let per_s = |per_event: f64| tenth(per_event / GAP.as_secs_f64());
    Ok(Allocations {
        per_event: per_event(&cases),
        pooled_per_s: per_s(paced.pooled),
        unpooled_per_s: per_s(paced.unpooled),
        reduction_pct: paced.reduction_pct,
        full_speed: both(Traffic::Mixed, |boxed| full_speed(Traffic::Mixed, SUBSCRIBERS, boxed))?,
        cases,
    })
}

fn per_event(cases: &[Case]) -> PerEvent {
    let of = |traffic: Traffic| {
        let (kind, levels) = (traffic.name(), traffic.levels());
        let found = cases
            .iter()
            .find(|case| (case.kind, case.levels, case.subscribers) == (kind, levels, SUBSCRIBERS));
        found.map_or(0.0, |case| case.per_event.pooled)
    };
    PerEvent {
        trade: of(Traffic::Trade),
        quote: of(Traffic::Quote),
        ticker: of(Traffic::Ticker),
        book_update: of(Traffic::Book(8)),
    }
}

fn both(traffic: Traffic, run: impl Fn(bool) -> Result<f64, String>) -> Result<Pair, String> {
    let fault = |error| format!("{}: {error}", traffic.name());
    let (pooled, unpooled) = (run(false).map_err(fault)?, run(true).map_err(fault)?);
    let reduction = if unpooled > 0.0 { 1.0 - pooled / unpooled } else { 0.0 };
    Ok(Pair {
        pooled: hundredth(pooled),
        unpooled: hundredth(unpooled),
        reduction_pct: tenth(reduction * 100.0),
    })
}

/// Allocations per event, 64 events a turn, one turn after the other.
pub(in crate::bench) fn full_speed(
    traffic: Traffic,
    subscribers: usize,
    boxed: bool,
) -> Result<f64, String> {
    let frames = synthetic::frames(traffic, WARM_UP + EVENTS);
    let mut rig = Rig::new(subscribers, boxed)?;
    let (first, counted) = frames.split_at(WARM_UP);
    first.chunks(TURN).for_each(|turn| rig.turn(turn));
    let before = yardstick::allocations::count();
    counted.chunks(TURN).for_each(|turn| rig.turn(turn));
    let allocations = yardstick::allocations::count() - before;
    rig.check(frames.len())?;
    Ok(allocations as f64 / counted.len() as f64)
}

/// Allocations per event, each in a turn of its own when its time has come.
fn paced(boxed: bool) -> Result<f64, String> {
    let frames = synthetic::frames(Traffic::Mixed, WARM_UP + PACED_EVENTS);
    let mut rig = Rig::new(SUBSCRIBERS, boxed)?;
    let (first, counted) = frames.split_at(WARM_UP);
    first.chunks(1).for_each(|turn| rig.turn(turn));
    let (before, started) = (yardstick::allocations::count(), Instant::now());
    for (nth, turn) in (0..).zip(counted.chunks(1)) {
        while started.elapsed() < GAP * nth {
            std::hint::spin_loop();
        }
        rig.turn(black_box(turn));
    }
    let allocations = yardstick::allocations::count() - before;
    rig.check(frames.len())?;
    Ok(allocations as f64 / counted.len() as f64)
}
