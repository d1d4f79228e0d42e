//! What the thread promises: nothing is called durable that is not, nothing is lost, and it goes on.

use std::sync::mpsc;

use model::Remedy;
use model::ledger::{Fact, Verdict};
use model::order::OrderState;
use tempfile::TempDir;

use super::super::conformance::{appends, report, submit};
use super::super::sqlite::{SqliteReader, SqliteWriter};
use super::super::storage::{LedgerRead, LedgerSync};
use super::*;

/// What a [`Watched`] ledger was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Append(usize),
    Sync,
    Tidy,
    Recover,
}

/// Turns of the calls: each takes one first, where there is something to take turns from.
type Turns = Option<Receiver<()>>;

/// A real ledger that shows its calls, and fails when it is told to.
struct Watched {
    inner: SqliteWriter,
    calls: mpsc::SyncSender<Asked>,
    /// While the switch holds an error, nothing gets to the file.
    broken: Arc<Mutex<Option<LedgerError>>>,
    /// The next so many appends are committed and reported as failed all the same.
    unheard: Arc<AtomicU64>,
    turns: Turns,
    sync_turns: Arc<Mutex<Turns>>,
}

/// Its side that syncs.
struct WatchedSync {
    inner: Box<dyn LedgerSync>,
    calls: mpsc::SyncSender<Asked>,
    broken: Arc<Mutex<Option<LedgerError>>>,
    turns: Arc<Mutex<Turns>>,
}

fn begin(
    call: Asked,
    calls: &mpsc::SyncSender<Asked>,
    turns: &Turns,
    broken: &Mutex<Option<LedgerError>>,
) -> Result<(), LedgerError> {
    let _ = calls.try_send(call);
    if let Some(turns) = turns {
        let _ = turns.recv();
    }
    broken.lock().unwrap().clone().map_or(Ok(()), Err)
}

impl Watched {
    fn begin(&self, call: Asked) -> Result<(), LedgerError> {
        begin(call, &self.calls, &self.turns, &self.broken)
    }
}

impl LedgerWrite for Watched {
    fn append(&mut self, batch: &[LedgerAppend]) -> Result<Vec<Verdict>, LedgerError> {
        self.begin(Asked::Append(batch.len()))?;
        let verdicts = self.inner.append(batch)?;
        let unheard = self.unheard.load(Ordering::SeqCst);
        if unheard > 0 {
            self.unheard.store(unheard - 1, Ordering::SeqCst);
            return Err(error("nobody heard of it"));
        }
        Ok(verdicts)
    }

    fn syncing(&mut self) -> Result<Box<dyn LedgerSync>, LedgerError> {
        let (inner, calls) = (self.inner.syncing()?, self.calls.clone());
        let (broken, turns) = (self.broken.clone(), self.sync_turns.clone());
        Ok(Box::new(WatchedSync { inner, calls, broken, turns }))
    }

    fn recover(&mut self) -> Result<(), LedgerError> {
        self.begin(Asked::Recover)?;
        self.inner.recover()
    }
}

impl LedgerSync for WatchedSync {
    fn sync(&mut self) -> Result<(), LedgerError> {
        begin(Asked::Sync, &self.calls, &self.turns.lock().unwrap(), &self.broken)?;
        self.inner.sync()
    }

    fn tidy(&mut self) -> Result<(), LedgerError> {
        begin(Asked::Tidy, &self.calls, &None, &self.broken)?;
        self.inner.tidy()
    }
}

fn error(message: &str) -> LedgerError {
    LedgerError::reject("ledger.db", message)
}

struct Rig {
    folder: TempDir,
    writer: LedgerWriter,
    woken: Receiver<()>,
    calls: Receiver<Asked>,
    broken: Arc<Mutex<Option<LedgerError>>>,
    unheard: Arc<AtomicU64>,
}

fn options(durability: Durability) -> WriterOptions {
    WriterOptions { durability, retry_after: Duration::from_micros(100), ..Default::default() }
}

impl Rig {
    fn new(options: WriterOptions, turns: Turns) -> Self {
        Self::with(options, turns, None)
    }

    /// With turns for appends and recoveries, and with turns for syncs.
    fn with(options: WriterOptions, turns: Turns, sync_turns: Turns) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let inner = SqliteWriter::open(folder.path().join("ledger.db")).unwrap();
        let (to_test, calls) = mpsc::sync_channel(10_000);
        let (broken, unheard) = (Arc::default(), Arc::default());
        let watched = Watched {
            inner,
            calls: to_test,
            broken: Arc::clone(&broken),
            unheard: Arc::clone(&unheard),
            turns,
            sync_turns: Arc::new(Mutex::new(sync_turns)),
        };
        let (wake, woken) = mpsc::sync_channel(1);
        let wake = move || {
            let _ = wake.try_send(());
        };
        let writer = LedgerWriter::start(Box::new(watched), options, wake).unwrap();
        Self { folder, writer, woken, calls, broken, unheard }
    }

    fn reader(&self) -> SqliteReader {
        SqliteReader::open(self.folder.path().join("ledger.db")).unwrap()
    }

    fn append(&self, first: u64, facts: impl IntoIterator<Item = Fact>) {
        for append in appends(first, facts) {
            self.writer.try_append(append).unwrap();
        }
    }

    /// Replies until one of them is `last`, that one included.
    fn until(&self, last: impl Fn(&LedgerReply) -> bool) -> Vec<LedgerReply> {
        let mut replies = Vec::new();
        loop {
            while let Some(reply) = self.writer.try_next() {
                replies.push(reply);
                if last(&replies[replies.len() - 1]) {
                    return replies;
                }
            }
            self.woken.recv_timeout(Duration::from_secs(20)).expect("a reply");
        }
    }

    fn until_durable(&self, up_to: u64) -> Vec<LedgerReply> {
        self.until(|reply| *reply == LedgerReply::Durable { up_to })
    }

    fn breaks(&self, error: Option<LedgerError>) {
        *self.broken.lock().unwrap() = error;
    }
}

fn intent(id: u64) -> Fact {
    Fact::Submit(submit("a", &id.to_string()))
}

fn fill(id: u64) -> Fact {
    Fact::Report(report("a", "1", OrderState::Partial, Some(&id.to_string())))
}

#[test]
fn a_verdict_comes_before_the_mark_that_covers_it() {
    let rig = Rig::new(options(Durability::Batch), None);
    rig.append(1, [intent(1), intent(1), fill(1), fill(1)]);
    let replies = rig.until_durable(4);
    let mut told = 0;
    for reply in &replies {
        match reply {
            LedgerReply::Verdict { seq, .. } => {
                assert_eq!(*seq, told + 1);
                told = *seq;
            }
            LedgerReply::Written { up_to } | LedgerReply::Durable { up_to } => {
                assert!(*up_to <= told);
            }
            other => panic!("{other:?}"),
        }
    }
    let verdicts: Vec<_> = replies
        .iter()
        .filter_map(|reply| match reply {
            LedgerReply::Verdict { verdict, .. } => Some(verdict),
            _ => None,
        })
        .collect();
    assert_eq!(*verdicts[0], Verdict::Stored { position: 1 });
    assert!(matches!(verdicts[1], Verdict::Duplicate(order) if order.position == 1));
    assert_eq!(*verdicts[3], Verdict::Known { position: 2 });
    let report = rig.writer.finish().unwrap();
    assert_eq!(report.durable_up_to, 4);
}

/// Holds the first call until more waits behind it, so that groups are certain.
fn grouped(durability: Durability) -> Vec<Asked> {
    let (turn, turns) = mpsc::sync_channel(100);
    let long = Duration::from_secs(3_600);
    let rig = Rig::new(WriterOptions { sync_within: long, ..options(durability) }, Some(turns));
    rig.append(1, [fill(1)]);
    let first = rig.calls.recv().unwrap();
    rig.append(2, [fill(2), intent(1), fill(3)]);
    drop(turn);
    rig.until(|reply| *reply == LedgerReply::Written { up_to: 4 });
    rig.writer.finish().unwrap();
    [first].into_iter().chain(rig.calls.try_iter()).collect()
}

#[test]
fn each_mode_syncs_what_it_promises_and_no_more() {
    use Asked::{Append, Sync};
    assert_eq!(grouped(Durability::Batch), [Append(1), Append(3), Sync]);
    assert_eq!(grouped(Durability::Os), [Append(1), Append(3)]);
    // Reports alone are written at once and synced soon after.
    let rig = Rig::new(options(Durability::Batch), None);
    rig.append(1, [fill(1)]);
    let replies = rig.until_durable(1);
    assert_eq!(replies[1], LedgerReply::Written { up_to: 1 });
    assert_eq!(replies.len(), 3);
    rig.writer.finish().unwrap();
    assert_eq!(rig.calls.try_iter().collect::<Vec<_>>(), [Append(1), Sync]);
}

#[test]
fn a_request_shares_its_sync_with_no_other_where_each_is_to_have_its_own() {
    for (durability, marks) in [(Durability::Each, [2, 3, 4].as_slice()), (Durability::Batch, &[4])]
    {
        let (turn, turns) = mpsc::sync_channel(100);
        let long = Duration::from_secs(3_600);
        let rig = Rig::new(WriterOptions { sync_within: long, ..options(durability) }, Some(turns));
        rig.append(1, [fill(1)]);
        rig.calls.recv().unwrap();
        // They are there together.
        rig.append(2, [intent(1), intent(2), intent(3)]);
        drop(turn);
        let durable = |reply: LedgerReply| match reply {
            LedgerReply::Durable { up_to } => Some(up_to),
            _ => None,
        };
        let told: Vec<_> = rig.until_durable(4).into_iter().filter_map(durable).collect();
        assert_eq!(told, marks, "{durability:?}");
        rig.writer.finish().unwrap();
    }
}

#[test]
fn a_report_does_not_wait_for_the_sync_of_the_request_before_it() {
    for durability in [Durability::Each, Durability::Batch, Durability::Os] {
        let (give, sync_turns) = mpsc::sync_channel(9);
        let rig = Rig::with(options(durability), None, Some(sync_turns));
        rig.append(1, [intent(1)]);
        rig.until(|reply| *reply == LedgerReply::Written { up_to: 1 });
        rig.append(2, [fill(1)]);
        rig.append(3, [fill(2)]);
        let replies = rig.until(|reply| *reply == LedgerReply::Written { up_to: 3 });
        let durable = replies.contains(&LedgerReply::Durable { up_to: 1 });
        assert_eq!(durable, durability == Durability::Os, "nothing is synced yet");
        drop(give);
        rig.writer.finish().unwrap();
    }
}

#[test]
fn a_sync_that_is_under_way_ends_and_is_told_before_anything_is_recovered() {
    let (give, sync_turns) = mpsc::sync_channel(1);
    let rig = Rig::with(options(Durability::Batch), None, Some(sync_turns));
    // Over and over: what must not happen would be a matter of chance.
    for round in 0..20 {
        let seq = 2 * round + 1;
        rig.append(seq, [intent(seq)]);
        while rig.calls.recv_timeout(Duration::from_secs(20)).unwrap() != Asked::Sync {}
        rig.unheard.store(1, Ordering::SeqCst);
        rig.append(seq + 1, [fill(seq)]);
        while rig.unheard.load(Ordering::SeqCst) > 0 {
            std::thread::yield_now();
        }
        give.send(()).unwrap();
        let replies = rig.until(|reply| matches!(reply, LedgerReply::Stuck(_)));
        assert!(replies.contains(&LedgerReply::Durable { up_to: seq }), "{replies:?}");
        // What is written now is synced too, some time.
        give.send(()).unwrap();
        rig.until_durable(seq + 1);
        rig.calls.try_iter().for_each(drop);
    }
    drop(give);
    rig.writer.finish().unwrap();
}

#[test]
fn reports_without_end_are_synced_all_the_same() {
    let (give, turns) = mpsc::sync_channel(1);
    let options = WriterOptions { group_max: 1, ..options(Durability::Batch) };
    let rig = Rig::new(options, Some(turns));
    for seq in 1..=20 {
        rig.append(seq, [fill(seq)]);
        give.send(()).unwrap();
    }
    rig.until_durable(20);
    drop(give);
    rig.writer.finish().unwrap();
}

#[test]
fn what_comes_while_the_disk_syncs_is_written_and_told_before_that_is_over() {
    let (give, sync_turns) = mpsc::sync_channel(2);
    let rig = Rig::with(options(Durability::Batch), None, Some(sync_turns));
    rig.append(1, [intent(1)]);
    rig.until(|reply| *reply == LedgerReply::Written { up_to: 1 });
    // The disk is at it; a report does not wait for that, and an order is no more durable than it is.
    let syncs = |call: Asked| call == Asked::Sync;
    while !syncs(rig.calls.recv().unwrap()) {}
    rig.append(2, [fill(1), intent(2)]);
    let replies = rig.until(|reply| *reply == LedgerReply::Written { up_to: 3 });
    assert!(!replies.iter().any(|reply| matches!(reply, LedgerReply::Durable { .. })));
    give.send(()).unwrap();
    let replies = rig.until(|reply| matches!(reply, LedgerReply::Durable { .. }));
    assert_eq!(replies.last(), Some(&LedgerReply::Durable { up_to: 1 }), "what it was begun for");
    give.send(()).unwrap();
    rig.until_durable(3);
    drop(give);
    rig.writer.finish().unwrap();
}

#[test]
fn what_transactions_leave_behind_is_put_in_order_now_and_then_in_every_mode() {
    for durability in [Durability::Each, Durability::Batch, Durability::Os] {
        let rig = Rig::new(WriterOptions { group_max: 1, ..options(durability) }, None);
        rig.append(1, (1..=201).map(fill));
        rig.until_durable(201);
        let mut calls = std::iter::from_fn(|| rig.calls.recv().ok());
        assert!(calls.any(|call| call == Asked::Tidy), "{durability:?}");
        rig.writer.finish().unwrap();
    }
}

#[test]
fn while_the_disk_refuses_nothing_is_durable_and_then_everything_is() {
    for durability in [Durability::Each, Durability::Batch, Durability::Os] {
        let rig = Rig::new(options(durability), None);
        rig.breaks(Some(error("disk full")));
        rig.append(1, [intent(1), fill(1), intent(2)]);
        let replies = rig.until(|reply| matches!(reply, LedgerReply::Stuck(_)));
        let [LedgerReply::Stuck(told)] = &replies[..] else { panic!("{replies:?}") };
        assert_eq!(told.remedy, Remedy::Reject);
        assert!(told.message.contains("ledger.db: disk full"), "{told}");
        // Tried again more than once, told once.
        let tried = || rig.calls.recv_timeout(Duration::from_secs(20)).unwrap();
        let calls: Vec<_> = (0..4).map(|_| tried()).collect();
        let recovered = calls.iter().filter(|call| **call == Asked::Recover).count();
        assert!(recovered >= 2, "{calls:?}");
        assert_eq!(rig.writer.status().durable_up_to, 0);
        assert!(rig.writer.status().stuck.is_some());
        assert_eq!(rig.writer.try_next(), None);
        rig.breaks(None);
        let replies = rig.until_durable(3);
        assert_eq!(replies[0], LedgerReply::Recovered);
        let verdicts =
            replies.iter().filter(|reply| matches!(reply, LedgerReply::Verdict { .. })).count();
        assert_eq!(verdicts, 3);
        assert_eq!(rig.reader().open_orders(0, 10).unwrap().len(), 2);
        rig.writer.finish().unwrap();
    }
}

#[test]
fn a_database_that_does_not_answer_is_told_and_its_answer_counts_all_the_same() {
    let (turn, turns) = mpsc::sync_channel(100);
    let answers_within = Duration::from_millis(1);
    let rig = Rig::new(WriterOptions { answers_within, ..options(Durability::Batch) }, Some(turns));
    rig.append(1, [intent(1)]);
    // Its call is under way, and nothing ends it.
    let replies = rig.until(|reply| matches!(reply, LedgerReply::Stuck(_)));
    let [LedgerReply::Stuck(told)] = &replies[..] else { panic!("{replies:?}") };
    assert!(told.message.contains("no answer within 1ms"), "{told}");
    assert_eq!(rig.writer.status().durable_up_to, 0);
    turn.send(()).unwrap();
    let replies = rig.until_durable(1);
    assert_eq!(replies[0], LedgerReply::Recovered);
    assert!(rig.writer.status().stuck.is_none());
    drop(turn);
    assert_eq!(rig.writer.finish().unwrap().durable_up_to, 1);
}

#[test]
fn a_commit_that_got_through_unheard_is_neither_lost_nor_taken_for_a_duplicate() {
    let rig = Rig::new(options(Durability::Batch), None);
    rig.unheard.store(3, Ordering::SeqCst);
    rig.append(1, [intent(1), fill(1)]);
    let replies = rig.until_durable(2);
    let stored = |seq| LedgerReply::Verdict { seq, verdict: Verdict::Stored { position: seq } };
    assert!(matches!(replies[0], LedgerReply::Stuck(_)));
    assert!(replies.contains(&stored(1)) && replies.contains(&stored(2)), "{replies:?}");
    assert_eq!(rig.reader().reports_after("a", 0, 10).unwrap().len(), 1);
    rig.writer.finish().unwrap();
}

#[test]
fn a_sync_that_failed_is_made_good_before_anything_is_durable() {
    for durability in [Durability::Each, Durability::Batch] {
        let (turn, turns) = mpsc::sync_channel(100);
        let rig = Rig::with(options(durability), None, Some(turns));
        rig.append(1, [fill(1)]);
        rig.until(|reply| *reply == LedgerReply::Written { up_to: 1 });
        rig.breaks(Some(error("input/output error")));
        drop(turn);
        rig.until(|reply| matches!(reply, LedgerReply::Stuck(_)));
        assert_eq!(rig.writer.status().durable_up_to, 0);
        rig.breaks(None);
        let replies = rig.until_durable(1);
        assert_eq!(replies[0], LedgerReply::Recovered);
        let calls: Vec<_> = rig.calls.try_iter().collect();
        let last_sync = calls.iter().rposition(|call| *call == Asked::Sync).unwrap();
        assert_eq!(calls[last_sync - 1], Asked::Recover, "{calls:?}");
        rig.writer.finish().unwrap();
    }
}

#[test]
fn a_sync_without_an_end_is_told_and_no_write_that_goes_well_says_otherwise() {
    let (turn, turns) = mpsc::sync_channel(100);
    let answers_within = Duration::from_millis(1);
    let options = WriterOptions { answers_within, ..options(Durability::Batch) };
    let rig = Rig::with(options, None, Some(turns));
    rig.append(1, [intent(1)]);
    let replies = rig.until(|reply| matches!(reply, LedgerReply::Stuck(_)));
    assert!(!replies.contains(&LedgerReply::Durable { up_to: 1 }));
    rig.append(2, [fill(1)]);
    let replies = rig.until(|reply| *reply == LedgerReply::Written { up_to: 2 });
    assert!(!replies.contains(&LedgerReply::Recovered), "{replies:?}");
    drop(turn);
    let replies = rig.until(|reply| matches!(reply, LedgerReply::Durable { .. }));
    assert_eq!(replies[0], LedgerReply::Recovered);
    rig.writer.finish().unwrap();
}

#[test]
fn the_end_syncs_what_is_written_or_says_that_it_could_not() {
    let long = Duration::from_secs(3_600);
    for fails in [false, true] {
        let options = WriterOptions { sync_within: long, ..options(Durability::Batch) };
        let (turn, turns) = mpsc::sync_channel(1);
        let rig = Rig::with(options, None, Some(turns));
        rig.append(1, [fill(1)]);
        rig.until(|reply| *reply == LedgerReply::Written { up_to: 1 });
        rig.breaks(fails.then(|| error("input/output error")));
        drop(turn);
        match rig.writer.finish() {
            Ok(report) => assert_eq!((report.durable_up_to, fails), (1, false)),
            Err(error) => {
                assert!(fails, "{error}");
                let right = "input/output error; 0 facts could not be written, the last written \
                             ones not synced";
                assert!(error.message.contains(right), "{error}");
            }
        }
    }
}

#[test]
fn a_full_queue_gives_the_append_back_and_keeps_the_others() {
    let (turn, turns) = mpsc::sync_channel(100);
    let rig = Rig::new(WriterOptions { queue_max: 2, ..options(Durability::Batch) }, Some(turns));
    rig.append(1, [intent(1)]);
    // The thread has it, and waits for its turn.
    rig.calls.recv().unwrap();
    rig.append(2, [intent(2), intent(3)]);
    let append = appends(4, [intent(4)]).remove(0);
    assert_eq!(rig.writer.try_append(append.clone()), Err(Box::new(append)));
    drop(turn);
    rig.until_durable(3);
    rig.writer.finish().unwrap();
}

#[test]
fn the_end_writes_what_waits_or_says_what_it_could_not() {
    let rig = Rig::new(options(Durability::Batch), None);
    rig.append(1, (1..=50).map(intent));
    let mut reader = rig.reader();
    assert_eq!(rig.writer.finish().unwrap().durable_up_to, 50);
    assert_eq!(reader.open_orders(0, 100).unwrap().len(), 50);

    let rig = Rig::new(options(Durability::Batch), None);
    rig.breaks(Some(error("disk full")));
    rig.append(1, (1..=50).map(intent));
    let error = rig.writer.finish().unwrap_err();
    assert!(error.message.contains("disk full; 50 facts could not be written"), "{error}");
}

#[test]
fn the_end_does_not_wait_for_a_database_that_never_answers() {
    let (turn, turns) = mpsc::sync_channel(100);
    let ends_within = Duration::from_millis(1);
    let options = WriterOptions { ends_within, ..options(Durability::Batch) };
    let rig = Rig::new(options, Some(turns));
    rig.append(1, [intent(1)]);
    turn.send(()).unwrap();
    rig.until_durable(1);
    rig.append(2, (2..=50).map(intent));
    let (error, mut reader) = (
        rig.writer.finish().unwrap_err(),
        SqliteReader::open(rig.folder.path().join("ledger.db")).unwrap(),
    );
    assert_eq!(error.remedy, Remedy::Stop);
    assert!(error.message.contains("no answer within 1ms; 49 facts may be unwritten"), "{error}");
    // It does answer after all: what was handed in is written by who was left behind.
    drop(turn);
    while rig.calls.recv_timeout(Duration::from_secs(20)).is_ok() {}
    assert_eq!(reader.open_orders(0, 100).unwrap().len(), 50);
}

#[test]
fn a_lock_of_another_program_holds_orders_back_and_its_end_lets_them_go() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let storage = Box::new(SqliteWriter::open(&path).unwrap());
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (wake, woken) = mpsc::sync_channel(1);
    let wake = move || {
        let _ = wake.try_send(());
    };
    let writer = LedgerWriter::start(storage, options(Durability::Batch), wake).unwrap();
    writer.try_append(appends(1, [intent(1)]).remove(0)).unwrap();
    woken.recv_timeout(Duration::from_secs(20)).unwrap();
    let reply = writer.try_next().unwrap();
    let LedgerReply::Stuck(told) = reply else { panic!("{reply:?}") };
    assert!(told.message.contains("locked"), "{told}");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(writer.finish().unwrap().durable_up_to, 1);
}
