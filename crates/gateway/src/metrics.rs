//! The shard's counters, asked for from any thread while a gateway runs.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::Duration;

use engine::{ConnectionMetrics, Metrics};
use net::session::SeatStats;

/// Requests that wait for the shard's next turn.
const REQUESTS_MAX: usize = 16;

/// Where the metrics of a run are asked for; clones ask the same run.
#[derive(Clone, Debug)]
pub struct MetricsHandle {
    requests: SyncSender<SyncSender<Metrics>>,
    shard: Arc<OnceLock<Waker>>,
}

/// The shard's end.
#[derive(Debug)]
pub(crate) struct MetricsEnd {
    requests: Receiver<SyncSender<Metrics>>,
    shard: Arc<OnceLock<Waker>>,
}

/// Both ends.
pub(crate) fn handle() -> (MetricsHandle, MetricsEnd) {
    let (sender, requests) = sync_channel(REQUESTS_MAX);
    let shard = Arc::new(OnceLock::new());
    (MetricsHandle { requests: sender, shard: shard.clone() }, MetricsEnd { requests, shard })
}

impl MetricsHandle {
    /// Everything that is counted, as it stands after the shard's next turn; [`Metrics`] says how
    /// consistent that is. `None` where the gateway does not answer within that time: it has not begun,
    /// has ended, or too many ask.
    #[must_use]
    pub fn snapshot(&self, within: Duration) -> Option<Metrics> {
        let (reply, answer) = sync_channel(1);
        self.requests.try_send(reply).ok()?;
        if let Some(shard) = self.shard.get() {
            shard.wake_by_ref();
        }
        answer.recv_timeout(within).ok()
    }
}

impl MetricsEnd {
    /// Calls the shard for each request from here on; one that came before is served with the first
    /// turn.
    pub(crate) fn attach(&self, waker: Waker) {
        self.shard.get_or_init(|| waker);
    }

    /// Answers whoever asks; to be called between turns.
    pub(crate) fn serve(&self, snapshot: impl Fn() -> Metrics) {
        for reply in self.requests.try_iter() {
            // Whoever has stopped waiting is no fault.
            let _ = reply.try_send(snapshot());
        }
    }
}

/// What each of a provider's two connections came to.
pub(crate) fn connections(
    provider: &str,
    seats: Vec<SeatStats>,
) -> impl Iterator<Item = ConnectionMetrics> + use<> {
    let provider: Arc<str> = provider.into();
    seats.into_iter().map(move |seat| ConnectionMetrics {
        provider: provider.clone(),
        first: seat.first,
        again: seat.again,
        lagged: seat.lagged,
        lag_ns_sum: seat.lag_ns_sum,
        lag_ns_max: seat.lag_ns_max,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_first_and_by_how_much_stands_with_the_provider() {
        let winner = SeatStats { first: 9, again: 1, lagged: 1, lag_ns_sum: 5, lag_ns_max: 5 };
        let other = SeatStats { first: 1, again: 9, lagged: 7, lag_ns_sum: 70, lag_ns_max: 30 };
        let found: Vec<_> = connections("okx", vec![winner, other]).collect();
        let (provider, first, again) = (Arc::from("okx"), 1, 9);
        let expected =
            ConnectionMetrics { provider, first, again, lagged: 7, lag_ns_sum: 70, lag_ns_max: 30 };
        assert_eq!((found.len(), &found[1], found[0].first), (2, &expected, 9));
    }
}
