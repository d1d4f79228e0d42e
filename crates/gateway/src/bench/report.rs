//! The result, as JSON and as a table.

use std::fmt;

use serde::Serialize;

use super::allocations::{self as asked, Allocations};
use super::{decode, fanout, orders, replay, websocket};

/// What was measured; a section that was not is `null`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Frame bytes to a filled event.
    pub decode: Option<Vec<decode::Case>>,
    /// Bytes of a connection to messages.
    pub websocket: Option<Vec<websocket::Case>>,
    /// Captures through the whole way to a consumer.
    pub replay: Option<Vec<replay::Case>>,
    /// An event until it is in every subscriber's queue.
    pub fanout: Option<Vec<fanout::Case>>,
    /// Of a later version.
    pub pipeline: Option<()>,
    /// How often memory is asked for.
    pub allocations: Option<Allocations>,
    /// The way of an order out and back.
    pub orders: Option<orders::Orders>,
    /// Of a later version.
    pub stall_ms: Option<()>,
}

/// To one place behind the point: more is noise.
pub(super) fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// To two places behind the point.
pub(super) fn hundredth(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// A figure, or a dash where it was not measured.
struct Figure(Option<f64>, usize);

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(Some(value), places) => f.pad(&format!("{value:.places$}")),
            Self(None, _) => f.pad("-"),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        if let Some(cases) = &self.decode {
            decode(f, cases)?;
            gap = "\n";
        }
        if let Some(cases) = &self.websocket {
            f.write_str(std::mem::replace(&mut gap, "\n"))?;
            websocket(f, cases)?;
        }
        if let Some(cases) = &self.fanout {
            f.write_str(std::mem::replace(&mut gap, "\n"))?;
            fanout(f, cases)?;
        }
        if let Some(found) = &self.allocations {
            f.write_str(std::mem::replace(&mut gap, "\n"))?;
            allocations(f, found)?;
        }
        if let Some(found) = &self.orders {
            f.write_str(std::mem::replace(&mut gap, "\n"))?;
            ways(f, found)?;
        }
        if let Some(cases) = &self.replay {
            f.write_str(gap)?;
            writeln!(f, "{:30} {:>6} {:>12}", "replay", "frames", "frames/s")?;
            for replay::Case { capture, frames, frames_per_s } in cases {
                writeln!(f, "{capture:30} {frames:>6} {frames_per_s:>12}")?;
            }
        }
        Ok(())
    }
}

fn decode(f: &mut fmt::Formatter<'_>, cases: &[decode::Case]) -> fmt::Result {
    writeln!(
        f,
        "{:30} {:>6} {:>6} {:>6} {:>7} {:>11} {:>13} {:>7}",
        "decode", "frames", "bytes", "levels", "ns", "fallback ns", "serde_json ns", "speedup"
    )?;
    for row in cases {
        let decode::Case { case, frames, frame_bytes, levels, ns, fallback_ns, .. } = row;
        let (theirs, speedup) = (Figure(row.serde_json_ns, 1), Figure(row.speedup, 2));
        writeln!(
            f,
            "{case:30} {frames:>6} {frame_bytes:>6} {levels:>6} {ns:>7.1} {fallback_ns:>11.1} \
             {theirs:>13} {speedup:>7}"
        )?;
    }
    Ok(())
}

fn websocket(f: &mut fmt::Formatter<'_>, cases: &[websocket::Case]) -> fmt::Result {
    writeln!(
        f,
        "{:30} {:>6} {:>7} {:>14} {:>9} {:>8} {:>19}",
        "websocket",
        "bytes",
        "ns",
        "tungstenite ns",
        "less by %",
        "tuned ns",
        "tokio-websockets ns"
    )?;
    for row in cases {
        let websocket::Case { read_bytes, frame_bytes, ns, .. } = row;
        let reads = format!("reads of {read_bytes}");
        let (theirs, less) = (Figure(row.tungstenite_ns, 1), Figure(row.reduction_pct, 1));
        let tuned = Figure(row.tungstenite_tuned_ns, 1);
        let library = row.tokio_websockets_ns;
        writeln!(
            f,
            "{reads:30} {frame_bytes:>6} {ns:>7.1} {theirs:>14} {less:>9} {tuned:>8} {library:>19.1}"
        )?;
    }
    Ok(())
}

fn ways(f: &mut fmt::Formatter<'_>, found: &orders::Orders) -> fmt::Result {
    writeln!(f, "{:30} {:>9} {:>9}", "orders", "p50 µs", "p99 µs")?;
    let submit = found.submit_to_socket_us;
    for (what, orders::Quantiles { p50, p99 }) in [
        ("the disk's own sync", found.disk_sync_us),
        ("submit to socket, os", submit.os),
        ("submit to socket, batch", submit.batch),
        ("submit to socket, each", submit.each),
        ("report to consumer", found.report_to_consumer_us),
    ] {
        writeln!(f, "{what:30} {p50:>9.1} {p99:>9.1}")?;
    }
    Ok(())
}

fn fanout(f: &mut fmt::Formatter<'_>, cases: &[fanout::Case]) -> fmt::Result {
    writeln!(
        f,
        "{:30} {:>11} {:>8} {:>14}",
        "fan-out", "subscribers", "trade ns", "book_update ns"
    )?;
    for fanout::Case { subscribers, ns, book_update_ns } in cases {
        writeln!(f, "{:30} {subscribers:>11} {ns:>8.1} {book_update_ns:>14.1}", "into all queues")?;
    }
    Ok(())
}

fn allocations(f: &mut fmt::Formatter<'_>, found: &Allocations) -> fmt::Result {
    writeln!(
        f,
        "{:30} {:>6} {:>11} {:>9} {:>11} {:>9}",
        "allocations per event", "levels", "subscribers", "pooled", "unpooled", "less by %"
    )?;
    for asked::Case { kind, levels, subscribers, per_event } in &found.cases {
        let asked::Pair { pooled, unpooled, reduction_pct } = per_event;
        writeln!(
            f,
            "{kind:30} {levels:>6} {subscribers:>11} {pooled:>9.2} {unpooled:>11.2} {reduction_pct:>9.1}"
        )?;
    }
    let asked::Pair { pooled, unpooled, reduction_pct } = found.full_speed;
    writeln!(
        f,
        "{:30} {:>6} {:>11} {pooled:>9.2} {unpooled:>11.2} {reduction_pct:>9.1}",
        "mixed, full speed", 8, 3
    )?;
    let (pooled, unpooled) = (found.pooled_per_s, found.unpooled_per_s);
    let label = "mixed, 1,000/s: per second";
    let reduction_pct = found.reduction_pct;
    writeln!(f, "{label:30} {:>6} {:>11} {pooled:>9.1} {unpooled:>11.1} {reduction_pct:>9.1}", 8, 3)
}
