//! The shard's counters, asked for from any thread while a gateway runs.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::Duration;

use engine::{Metrics, Shard};
use model::Nanos;

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
    pub(crate) fn serve(&self, shard: &Shard, now: impl Fn() -> Nanos) {
        for reply in self.requests.try_iter() {
            // Whoever has stopped waiting is no fault.
            let _ = reply.try_send(shard.metrics(now()));
        }
    }
}
