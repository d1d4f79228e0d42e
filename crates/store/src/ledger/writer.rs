//! The ledger's writer: a thread that groups facts, writes them, and says what is durable.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel,
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use model::ledger::{LedgerAppend, LedgerReply};

use super::error::LedgerError;
use super::storage::{LedgerWrite, Reach};

mod watch;

use watch::{Timed, Watch};

/// What has to be true of a request before it is sent. There is no mode in which nothing has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// It is on the disk, by a sync of its own.
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
    queue: SyncSender<LedgerAppend>,
    replies: Receiver<LedgerReply>,
    shared: Arc<Shared>,
    thread: JoinHandle<Result<LedgerReport, LedgerError>>,
    watch: JoinHandle<()>,
    /// Nobody sends here: it ends with the writer's thread.
    ended: Receiver<()>,
    ends_within: Duration,
}

#[derive(Debug, Default)]
struct Shared {
    finishing: AtomicBool,
    /// The last append that was handed in.
    handed_in: AtomicU64,
    durable_up_to: AtomicU64,
    groups: AtomicU64,
    failures: AtomicU64,
    stuck: Mutex<Option<LedgerError>>,
    /// Since when a call of the database lasts.
    begun: Mutex<Option<Instant>>,
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
    /// When no thread can be had.
    pub fn start(
        storage: Box<dyn LedgerWrite>,
        options: WriterOptions,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let (queue, appends) = sync_channel(options.queue_max.max(1));
        let (to_engine, replies) = sync_channel(options.queue_max.max(1));
        let (shared, wake) = (Arc::new(Shared::default()), Arc::new(wake));
        let ((alive, writer), (runs, ended)) = (sync_channel(0), sync_channel(0));
        let watch = Watch {
            shared: shared.clone(),
            replies: to_engine.clone(),
            wake: wake.clone(),
            answers_within: options.answers_within,
            writer,
        };
        let desk = Desk {
            storage: Timed { storage, shared: shared.clone() },
            options,
            appends,
            group: VecDeque::new(),
            replies: to_engine,
            wake,
            shared: shared.clone(),
            dirty: None,
            seq: 0,
            _alive: [alive, runs],
        };
        let thread = |name: &str| std::thread::Builder::new().name(name.into());
        let watch = thread("ledger-watch").spawn(move || watch.run())?;
        let thread = thread("ledger").spawn(move || desk.run())?;
        let ends_within = options.ends_within;
        Ok(Self { queue, replies, shared, thread, watch, ended, ends_within })
    }

    /// Hands in the next fact; appends are to come in the order of their `seq`.
    ///
    /// # Errors
    /// The append itself, where there is no room for it now.
    pub fn try_append(&self, append: LedgerAppend) -> Result<(), Box<LedgerAppend>> {
        let seq = append.seq;
        self.queue.try_send(append).map_err(|refused| match refused {
            TrySendError::Full(append) | TrySendError::Disconnected(append) => Box::new(append),
        })?;
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
        let (report, watched) = (self.thread.join(), self.watch.join());
        report.ok().filter(|_| watched.is_ok()).unwrap_or_else(|| {
            let message = "the ledger's thread panicked; this is a bug, please report it";
            Err(LedgerError::stop("ledger", message))
        })
    }
}

/// The thread's side.
struct Desk {
    storage: Timed,
    options: WriterOptions,
    appends: Receiver<LedgerAppend>,
    /// What is being written; at most `group_max`.
    group: VecDeque<LedgerAppend>,
    replies: SyncSender<LedgerReply>,
    wake: Arc<dyn Fn() + Send + Sync>,
    shared: Arc<Shared>,
    /// Since when something is written that is not synced.
    dirty: Option<Instant>,
    /// The last append that is written.
    seq: u64,
    /// Whoever watches ends with this, and whoever waits for the end.
    _alive: [SyncSender<()>; 2],
}

impl Desk {
    fn run(mut self) -> Result<LedgerReport, LedgerError> {
        while self.gather() {
            if self.group.is_empty() {
                self.until_done(Self::sync)?;
            } else {
                self.until_done(Self::write)?;
            }
            // Reports go on from here: they don't wait for a sync that is due as well.
            (self.wake)();
            if self.dirty.is_some_and(|since| since.elapsed() >= self.options.sync_within) {
                self.until_done(Self::sync)?;
                (self.wake)();
            }
        }
        self.until_done(Self::sync)?;
        Ok(LedgerReport {
            durable_up_to: self.shared.durable_up_to.load(Ordering::Relaxed),
            groups: self.shared.groups.load(Ordering::Relaxed),
        })
    }

    /// Waits for something to do and takes what is there; an empty group means that it is time to
    /// sync. `false` when nothing will come any more.
    fn gather(&mut self) -> bool {
        let first = match self.dirty {
            None => self.appends.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(since) => {
                let left = self.options.sync_within.saturating_sub(since.elapsed());
                self.appends.recv_timeout(left)
            }
        };
        match first {
            Ok(append) => self.group.push_back(append),
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        let most = match self.options.durability {
            Durability::Each => 1,
            Durability::Batch | Durability::Os => self.options.group_max,
        };
        while self.group.len() < most {
            match self.appends.try_recv() {
                Ok(append) => self.group.push_back(append),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        true
    }

    /// One try at the group.
    fn write(&mut self) -> Result<(), LedgerError> {
        let reach = match self.options.durability {
            Durability::Each => Reach::Disk,
            Durability::Os => Reach::System,
            Durability::Batch if self.group.iter().any(|append| append.fact.releases()) => {
                Reach::Disk
            }
            Durability::Batch => Reach::System,
        };
        let verdicts = self.storage.append(self.group.make_contiguous(), reach)?;
        self.relieve();
        self.shared.groups.fetch_add(1, Ordering::Relaxed);
        for (append, verdict) in self.group.drain(..).zip(verdicts) {
            self.seq = append.seq;
            let (to, wake) = (&self.replies, &*self.wake);
            reply(to, wake, LedgerReply::Verdict { seq: append.seq, verdict });
        }
        self.reply(LedgerReply::Written { up_to: self.seq });
        match (reach, self.options.durability) {
            (Reach::Disk, _) => self.durable(),
            (Reach::System, Durability::Os) => self.durable(),
            (Reach::System, _) => {
                self.dirty.get_or_insert_with(Instant::now);
            }
        }
        Ok(())
    }

    /// One try at a sync, where something waits for one.
    fn sync(&mut self) -> Result<(), LedgerError> {
        if self.dirty.is_some() {
            self.storage.sync()?;
            self.relieve();
            self.durable();
        }
        Ok(())
    }

    fn durable(&mut self) {
        self.dirty = None;
        self.shared.durable_up_to.store(self.seq, Ordering::Release);
        self.reply(LedgerReply::Durable { up_to: self.seq });
    }

    /// Tries until it succeeds; once the gateway is being shut down, once more only.
    fn until_done(
        &mut self,
        mut attempt: impl FnMut(&mut Self) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        let mut wait = self.options.retry_after;
        let mut tried = attempt(self);
        while let Err(error) = tried {
            self.tell(&error);
            let last = self.shared.finishing.load(Ordering::Acquire);
            if !last {
                std::thread::park_timeout(wait);
                wait = wait.saturating_mul(2).min(RETRY_MAX);
            }
            tried = self.storage.recover().and_then(|()| attempt(self));
            if last && tried.is_err() {
                return tried.map_err(|error| self.give_up(error));
            }
        }
        Ok(())
    }

    /// Tells the engine and the operator that it works again, where they were told that it does not.
    fn relieve(&self) {
        if self.shared.stuck().take().is_some() {
            tracing::info!("the ledger can be written again");
            self.reply(LedgerReply::Recovered);
        }
    }

    fn reply(&self, message: LedgerReply) {
        reply(&self.replies, &*self.wake, message);
    }

    /// Tells the engine and the operator, once for as long as the cause stays the same.
    fn tell(&self, error: &LedgerError) {
        self.shared.failures.fetch_add(1, Ordering::Relaxed);
        let mut stuck = self.shared.stuck();
        if stuck.as_ref() == Some(error) {
            return;
        }
        *stuck = Some(error.clone());
        drop(stuck);
        tracing::error!(%error, "the ledger can't be written: no order leaves until it can");
        self.reply(LedgerReply::Stuck(error.into()));
        (self.wake)();
    }

    fn give_up(&self, mut error: LedgerError) -> LedgerError {
        let waiting = self.group.len() + self.appends.try_iter().count();
        let unsynced = if self.dirty.is_some() { ", the last written ones not synced" } else { "" };
        error.message =
            format!("{}; {waiting} facts could not be written{unsynced}", error.message);
        error
    }
}

/// Waits where there is no room, but not before the engine was told to make some. An error means
/// that nobody listens any more; what is written stays written.
fn reply(to: &SyncSender<LedgerReply>, wake: &dyn Fn(), message: LedgerReply) {
    if let Err(TrySendError::Full(message)) = to.try_send(message) {
        wake();
        let _ = to.send(message);
    }
}

#[cfg(test)]
#[path = "writer/tests.rs"]
mod tests;
