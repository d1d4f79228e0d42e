//! The ledger's writer: a thread that groups facts and writes them, and one that syncs them and says what
//! is durable.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use model::ledger::{LedgerAppend, LedgerReply};

use super::error::LedgerError;
use super::storage::LedgerWrite;

mod progress;
mod sync;
mod voice;
mod watch;

use progress::Progress;
use sync::{Side, Syncer};
use voice::Voice;
use watch::{Call, UnderWay, Watch};

/// What has to be true of a request before it is sent. There is no mode in which nothing has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// It is on the disk, by a sync that it shares with no other request.
    Each,
    /// It is on the disk, by a sync that it may share with others.
    #[default]
    Batch,
    /// It is with the operating system: it survives a kill, not a power cut.
    Os,
}

/// How a writer works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterOptions {
    /// What has to be true of a request before it is sent.
    pub durability: Durability,
    /// At most this many facts wait for the writer.
    pub queue_max: usize,
    /// At most this many facts share a sync.
    pub group_max: usize,
    /// How long facts for which nobody waits (reports, answers) may be without a sync. A request
    /// waits for nobody: while one group is synced, the next one gathers.
    pub sync_within: Duration,
    /// How long after an error it is tried again; doubled from try to try, up to
    /// `RETRY_MAX`.
    pub retry_after: Duration,
    /// A call of the database that lasts longer is told as one that failed, though it may still
    /// succeed: what must not wait for a ledger, as a cancel, goes on without it.
    pub answers_within: Duration,
    /// What waits in the end is written within so long, or may not be: longer than a call of a
    /// database may take that does answer.
    pub ends_within: Duration,
}

/// The longest wait between two tries.
pub const RETRY_MAX: Duration = Duration::from_secs(1);

impl Default for WriterOptions {
    /// Groups of up to 256 facts, synced within 2 ms; 4,096 facts may wait.
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            queue_max: 4_096,
            group_max: 256,
            sync_within: Duration::from_millis(2),
            retry_after: Duration::from_millis(50),
            answers_within: Duration::from_secs(8),
            ends_within: Duration::from_secs(15),
        }
    }
}

/// How a writer is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerStatus {
    /// The last append that is as durable as the mode promises.
    pub durable_up_to: u64,
    /// How many transactions were committed.
    pub groups: u64,
    /// How many times writing failed.
    pub failures: u64,
    /// Why nothing can be written now, where that is so.
    pub stuck: Option<LedgerError>,
}

/// What a writer that has ended leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerReport {
    /// The last append that is as durable as the mode promises.
    pub durable_up_to: u64,
    /// How many transactions were committed.
    pub groups: u64,
}

/// The engine's side of the ledger.
///
/// **When the queue is full** an append comes back to the caller, who refuses the order, or keeps
/// the report until there is room: nothing is dropped in here.
///
/// **When the disk refuses** the thread keeps what it was writing, says [`LedgerReply::Stuck`], and
/// tries again until it succeeds ([`LedgerReply::Recovered`]). Until then nothing is said to be
/// durable, so no request leaves; the queue fills up and appends come back. A database that does not
/// answer at all is told by a second thread, in the same way.
#[derive(Debug)]
pub struct LedgerWriter {
    queue: Arc<SyncSender<Work>>,
    replies: Receiver<LedgerReply>,
    shared: Arc<Shared>,
    thread: JoinHandle<Result<LedgerReport, LedgerError>>,
    beside: [JoinHandle<()>; 2],
    /// Nobody sends here: it ends with the writer's thread.
    ended: Receiver<()>,
    ends_within: Duration,
}

/// What the writer's thread is to write; nothing where it is to look whether a sync has failed.
type Work = Option<LedgerAppend>;

#[derive(Debug, Default)]
struct Shared {
    finishing: AtomicBool,
    /// The last append that was handed in.
    handed_in: AtomicU64,
    durable_up_to: AtomicU64,
    groups: AtomicU64,
    failures: AtomicU64,
    stuck: Mutex<Option<LedgerError>>,
    /// Since when a call of the database lasts, of each sort.
    begun: Mutex<[Option<Instant>; 2]>,
}

impl Shared {
    fn stuck(&self) -> MutexGuard<'_, Option<LedgerError>> {
        self.stuck.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be said of a thread that does not come to its end.
    fn left_behind(&self, within: Duration) -> LedgerError {
        let durable = self.durable_up_to.load(Ordering::Acquire);
        let facts = self.handed_in.load(Ordering::Relaxed).saturating_sub(durable);
        let message = format!(
            "no answer within {within:?}; {facts} facts may be unwritten, what was sent is asked about \
             at the next start: check the server, its network and its disk before that"
        );
        LedgerError::stop("the ledger's database", message)
    }
}

impl LedgerWriter {
    /// Starts the threads over a database. `wake` is called after each turn that left replies.
    ///
    /// # Errors
    /// When the database has no side that syncs, or no thread can be had.
    pub fn start(
        mut storage: Box<dyn LedgerWrite>,
        options: WriterOptions,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let side = storage.syncing().map_err(|error| std::io::Error::other(error.to_string()))?;
        let (queue, work) = sync_channel(options.queue_max.max(1));
        let (to_engine, replies) = sync_channel(options.queue_max.max(1));
        let (queue, shared) = (Arc::new(queue), Arc::new(Shared::default()));
        let voice = Voice {
            shared: shared.clone(),
            replies: to_engine,
            wake: Arc::new(wake),
            answers_within: options.answers_within,
        };
        let ((alive, writer), (runs, ended)) = (sync_channel(0), sync_channel(0));
        let watch = Watch { voice: voice.clone(), writer };
        let progress = Arc::new(Progress::default());
        let writer = Arc::downgrade(&queue);
        let syncer = Syncer { side, progress: progress.clone(), voice: voice.clone(), writer };
        let group = VecDeque::new();
        let ends_within = options.ends_within;
        let (seq, request, _alive) = (0, 0, [alive, runs]);
        let desk = Desk { storage, options, work, group, voice, progress, seq, request, _alive };
        let thread = |name: &str| std::thread::Builder::new().name(name.into());
        let beside = [
            thread("ledger-watch").spawn(move || watch.run())?,
            thread("ledger-sync").spawn(move || syncer.run())?,
        ];
        let thread = thread("ledger").spawn(move || desk.run())?;
        Ok(Self { queue, replies, shared, thread, beside, ended, ends_within })
    }

    /// Hands in the next fact; appends are to come in the order of their `seq`.
    ///
    /// # Errors
    /// The append itself, where there is no room for it now.
    pub fn try_append(&self, append: LedgerAppend) -> Result<(), Box<LedgerAppend>> {
        let seq = append.seq;
        let refused = match self.queue.try_send(Some(append)) {
            Ok(()) => None,
            Err(TrySendError::Full(work) | TrySendError::Disconnected(work)) => work,
        };
        if let Some(append) = refused {
            return Err(Box::new(append));
        }
        self.shared.handed_in.store(seq, Ordering::Relaxed);
        Ok(())
    }

    /// The next reply, where there is one. Replies are bounded too: where nobody takes them, the
    /// thread calls `wake` and waits.
    pub fn try_next(&self) -> Option<LedgerReply> {
        self.replies.try_recv().ok()
    }

    /// How it is doing.
    #[must_use]
    pub fn status(&self) -> LedgerStatus {
        LedgerStatus {
            durable_up_to: self.shared.durable_up_to.load(Ordering::Acquire),
            groups: self.shared.groups.load(Ordering::Relaxed),
            failures: self.shared.failures.load(Ordering::Relaxed),
            stuck: self.shared.stuck().clone(),
        }
    }

    /// Writes and syncs what waits, and ends. Waits for the disk, so it is not for the shard's
    /// thread; replies that were not taken are gone. Where a database does not answer in time its
    /// threads are left behind, to end with the process.
    ///
    /// # Errors
    /// Why what still waited could not be written, or may not have been, and how much that is.
    pub fn finish(self) -> Result<LedgerReport, LedgerError> {
        self.shared.finishing.store(true, Ordering::Release);
        drop(self.queue);
        drop(self.replies);
        self.thread.thread().unpark();
        if self.ended.recv_timeout(self.ends_within) == Err(RecvTimeoutError::Timeout) {
            return Err(self.shared.left_behind(self.ends_within));
        }
        let report = self.thread.join();
        let ended = self.beside.map(|thread| thread.join().is_ok());
        report.ok().filter(|_| ended == [true, true]).unwrap_or_else(|| {
            let message = "the ledger's thread panicked; this is a bug, please report it";
            Err(LedgerError::stop("ledger", message))
        })
    }
}

/// The side of the thread that writes.
struct Desk {
    storage: Box<dyn LedgerWrite>,
    options: WriterOptions,
    work: Receiver<Work>,
    /// What is being written; at most `group_max`.
    group: VecDeque<LedgerAppend>,
    voice: Voice,
    progress: Arc<Progress<Side, LedgerError>>,
    /// The last append that is written.
    seq: u64,
    /// The last of these that has something sent.
    request: u64,
    /// Whoever watches ends with this, and whoever waits for the end.
    _alive: [SyncSender<()>; 2],
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.progress.end();
    }
}

impl Desk {
    fn run(mut self) -> Result<LedgerReport, LedgerError> {
        while self.gather() {
            if self.progress.failure().is_some() {
                self.until_done(Self::synced)?;
            }
            if self.group.is_empty() {
                continue;
            }
            if self.options.durability == Durability::Each && self.releases() && !self.is_alone() {
                self.settle()?;
            }
            self.until_done(Self::write)?;
            (self.voice.wake)();
        }
        self.settle()?;
        let shared = &self.voice.shared;
        Ok(LedgerReport {
            durable_up_to: shared.durable_up_to.load(Ordering::Relaxed),
            groups: shared.groups.load(Ordering::Relaxed),
        })
    }

    /// Waits for something to do and takes what is there. `false` when nothing will come any more.
    fn gather(&mut self) -> bool {
        let Ok(first) = self.work.recv() else { return false };
        let mut next = Some(first);
        while let Some(work) = next {
            self.group.extend(work);
            let ends = self.options.durability == Durability::Each && self.releases();
            let more = self.group.len() < self.options.group_max && !ends;
            next = if more { self.work.try_recv().ok() } else { None };
        }
        true
    }

    /// Whether the group's last has something sent.
    fn releases(&self) -> bool {
        self.group.back().is_some_and(|append| append.fact.releases())
    }

    /// Whether no request waits for the disk.
    fn is_alone(&self) -> bool {
        self.voice.shared.durable_up_to.load(Ordering::Acquire) >= self.request
    }

    /// One try at the group.
    fn write(&mut self) -> Result<(), LedgerError> {
        let under_way = UnderWay::begin(&self.voice.shared, Call::Write);
        let verdicts = self.storage.append(self.group.make_contiguous())?;
        drop(under_way);
        self.voice.relieve();
        self.voice.shared.groups.fetch_add(1, Ordering::Relaxed);
        let request = self.group.iter().rfind(|append| append.fact.releases());
        let releases = request.is_some();
        self.request = request.map_or(self.request, |append| append.seq);
        for (append, verdict) in self.group.drain(..).zip(verdicts) {
            self.seq = append.seq;
            self.voice.reply(LedgerReply::Verdict { seq: append.seq, verdict });
        }
        self.voice.reply(LedgerReply::Written { up_to: self.seq });
        let sync_within = match self.options.durability {
            Durability::Os => None,
            Durability::Batch | Durability::Each if releases => Some(Duration::ZERO),
            Durability::Batch | Durability::Each => Some(self.options.sync_within),
        };
        self.progress.written(self.seq, sync_within);
        if sync_within.is_none() {
            self.voice.durable(self.seq);
        }
        Ok(())
    }

    /// Whether all syncs went well.
    fn synced(&mut self) -> Result<(), LedgerError> {
        self.progress.failure().map_or(Ok(()), Err)?;
        self.voice.relieve();
        Ok(())
    }

    /// Waits until everything that is to be on the disk is there.
    fn settle(&mut self) -> Result<(), LedgerError> {
        while self.progress.settle().is_err() {
            self.until_done(Self::synced)?;
        }
        Ok(())
    }

    /// Tries until it succeeds; once the gateway is being shut down, once more only.
    fn until_done(
        &mut self,
        mut attempt: impl FnMut(&mut Self) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        let Err(mut error) = attempt(self) else { return Ok(()) };
        // What is under way ends first: whatever is durable was told before.
        self.progress.hold();
        let mut wait = self.options.retry_after;
        loop {
            self.voice.stuck(&error);
            let last = self.voice.shared.finishing.load(Ordering::Acquire);
            if !last {
                std::thread::park_timeout(wait);
                wait = wait.saturating_mul(2).min(RETRY_MAX);
            }
            error = match self.recover().and_then(|()| attempt(self)) {
                Ok(()) => break,
                Err(error) if last => return Err(self.give_up(error)),
                Err(error) => error,
            };
        }
        self.progress.go_on();
        Ok(())
    }

    fn recover(&mut self) -> Result<(), LedgerError> {
        let _under_way = UnderWay::begin(&self.voice.shared, Call::Write);
        self.storage.recover()?;
        self.progress.recovered(self.storage.syncing()?);
        Ok(())
    }

    fn give_up(&self, mut error: LedgerError) -> LedgerError {
        let waiting = self.group.len() + self.work.try_iter().count();
        let behind = self.progress.is_behind();
        let unsynced = if behind { ", the last written ones not synced" } else { "" };
        error.message =
            format!("{}; {waiting} facts could not be written{unsynced}", error.message);
        error
    }
}

#[cfg(test)]
#[path = "writer/tests.rs"]
mod tests;
