//! What is particular to the file: opening, versions, locks, damage, a full disk.

use model::Remedy;
use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::TempDir;

use super::super::conformance::{self, Bench, Naive, any_fact, appends, key, report, submit};
use super::super::storage::LedgerRead;
use super::*;
use model::order::OrderState;

struct FileBench(TempDir);

impl FileBench {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("ledger.db")
    }
}

impl Bench for FileBench {
    fn write(&self) -> Box<dyn LedgerWrite> {
        Box::new(SqliteWriter::open(self.path()).unwrap())
    }

    fn read(&self) -> Box<dyn LedgerRead> {
        Box::new(SqliteReader::open(self.path()).unwrap())
    }
}

#[test]
fn the_file_conforms() {
    conformance::all(&|| Box::new(FileBench::new()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes, in whatever groups, with a recovery, a new process, a batch that is tried twice
    /// or one that is taken back at its end in between: the ledger says what a plain list says.
    #[test]
    fn the_ledger_is_a_list(
        batches in proptest::collection::vec(
            (proptest::collection::vec(any_fact(), 1..8), 0..5_u8), 1..8,
        ),
    ) {
        let bench = FileBench::new();
        let mut ledger = SqliteWriter::open(bench.path()).unwrap();
        let (mut naive, mut seq) = (Naive::default(), 1);
        for (facts, between) in batches {
            let batch = appends(seq, facts);
            seq += batch.len() as u64;
            if between == 4 {
                // The transaction breaks off after all of the batch was written.
                let db = Connection::open(bench.path()).unwrap();
                let breaks = "CREATE TRIGGER breaks BEFORE UPDATE ON runs
                              BEGIN SELECT raise(ABORT, 'it breaks off'); END";
                db.execute_batch(breaks).unwrap();
                prop_assert!(ledger.append(&batch).is_err());
                db.execute_batch("DROP TRIGGER breaks").unwrap();
            }
            let verdicts = ledger.append(&batch).unwrap();
            let expected: Vec<_> = batch.iter().map(|a| naive.append(&a.fact)).collect();
            prop_assert_eq!(&verdicts, &expected);
            match between {
                1 => ledger.recover().unwrap(),
                2 => {
                    drop(ledger);
                    ledger = SqliteWriter::open(bench.path()).unwrap();
                    seq = 1;
                }
                3 => {
                    // The commit got through and nobody heard of it.
                    ledger.recover().unwrap();
                    let again = ledger.append(&batch).unwrap();
                    for (first, second) in verdicts.iter().zip(again) {
                        match first {
                            Verdict::Stored { .. } | Verdict::Known { .. } => {
                                prop_assert_eq!(first, &second);
                            }
                            Verdict::Duplicate(_) => {
                                prop_assert!(matches!(second, Verdict::Duplicate(_)));
                            }
                            Verdict::Conflict(_) => {
                                prop_assert!(matches!(second, Verdict::Conflict(_)));
                            }
                        }
                    }
                }
                _ => {}
            }
        }
        let mut reader = SqliteReader::open(bench.path()).unwrap();
        let mut keys = Vec::new();
        for consumer in ["a", "b"] {
            prop_assert_eq!(reader.acknowledged(consumer).unwrap(), naive.acknowledged(consumer));
            prop_assert_eq!(conformance::held(&bench, consumer), naive.held(consumer));
            let reports = reader.reports_after(consumer, 0, 1_000).unwrap();
            keys.extend(reports.iter().map(|(_, report)| report.key()));
        }
        let mut expected = naive.report_keys();
        keys.sort();
        expected.sort();
        prop_assert_eq!(keys, expected);
    }
}

#[test]
fn an_older_file_gets_what_is_held_by_the_reports_that_it_has() {
    let bench = FileBench::new();
    let mut ledger = SqliteWriter::open(bench.path()).unwrap();
    let fills = ["1", "2", "3"].map(|trade| report("a", "1", OrderState::Partial, Some(trade)));
    ledger.append(&appends(1, fills.map(Fact::Report))).unwrap();
    drop(ledger);
    let db = Connection::open(bench.path()).unwrap();
    let older = "DROP TABLE positions; DROP INDEX intents_of_venue;
                 ALTER TABLE runs ADD COLUMN syncs INTEGER NOT NULL DEFAULT 0;
                 PRAGMA user_version = 1";
    db.execute_batch(older).unwrap();
    let error = SqliteReader::open(bench.path()).unwrap_err();
    assert!(error.message.contains("version 1"), "{error}");
    drop(SqliteWriter::open(bench.path()).unwrap());
    assert_eq!(conformance::held(&bench, "a"), ["p BTC-USDT -3"]);
}

#[test]
fn facts_can_be_neither_changed_nor_deleted() {
    let bench = FileBench::new();
    let mut ledger = SqliteWriter::open(bench.path()).unwrap();
    ledger.append(&appends(1, [Fact::Submit(submit("a", "1"))])).unwrap();
    drop(ledger);
    let db = Connection::open(bench.path()).unwrap();
    for sql in ["DELETE FROM facts", "UPDATE facts SET body = ''"] {
        let error = db.execute(sql, []).unwrap_err().to_string();
        assert!(error.contains("facts are never"), "{error}");
    }
}

#[test]
fn a_second_writer_is_refused_until_the_first_is_gone() {
    let bench = FileBench::new();
    let first = SqliteWriter::open(bench.path()).unwrap();
    let error = SqliteWriter::open(bench.path()).unwrap_err();
    assert_eq!(error.remedy, Remedy::Stop);
    assert!(error.to_string().contains("another process writes this ledger"), "{error}");
    drop(first);
    SqliteWriter::open(bench.path()).unwrap();
}

#[test]
fn a_later_version_and_another_programs_file_are_refused_and_left_alone() {
    let bench = FileBench::new();
    drop(SqliteWriter::open(bench.path()).unwrap());
    let db = Connection::open(bench.path()).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    for error in [
        SqliteWriter::open(bench.path()).map(|_| ()).unwrap_err(),
        SqliteReader::open(bench.path()).map(|_| ()).unwrap_err(),
    ] {
        assert!(error.message.contains("has version 99, this program writes 4"), "{error}");
    }

    let other = FileBench::new();
    let db = Connection::open(other.path()).unwrap();
    db.execute_batch("CREATE TABLE mine (a)").unwrap();
    let before = std::fs::read(other.path()).unwrap();
    let error = SqliteWriter::open(other.path()).unwrap_err();
    assert!(error.message.contains("a database of something else"), "{error}");
    assert_eq!(std::fs::read(other.path()).unwrap(), before);

    let text = FileBench::new();
    std::fs::write(text.path(), "this is a letter, and long enough to have a header".repeat(9))
        .unwrap();
    let error = SqliteWriter::open(text.path()).unwrap_err();
    assert!(error.message.contains("put back a copy"), "{error}");
}

#[test]
fn a_reader_makes_no_file_and_a_missing_folder_is_named() {
    let bench = FileBench::new();
    let error = SqliteReader::open(bench.path()).unwrap_err();
    assert!(error.to_string().contains("check that the folder exists"), "{error}");
    assert!(!bench.path().exists());
    let error = SqliteWriter::open(bench.0.path().join("no/ledger.db")).unwrap_err();
    assert!(error.to_string().contains("check that the folder exists"), "{error}");
}

#[test]
fn a_full_disk_keeps_nothing_of_the_batch_and_it_goes_on_with_room() {
    let bench = FileBench::new();
    let mut ledger = SqliteWriter::open(bench.path()).unwrap();
    ledger.set_full(true).unwrap();
    let batch = appends(1, (0..200).map(|n| Fact::Submit(submit("a", &n.to_string()))));
    let error = ledger.append(&batch).unwrap_err();
    assert_eq!(error.remedy, Remedy::Reject);
    assert!(error.message.contains("free some space"), "{error}");
    let mut reader = SqliteReader::open(bench.path()).unwrap();
    assert_eq!(reader.open_orders(0, 1_000).unwrap(), []);
    ledger.recover().unwrap();
    let verdicts = ledger.append(&batch).unwrap();
    assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Stored { .. })));
    assert_eq!(reader.open_orders(0, 1_000).unwrap().len(), 200);
    let more = |seq| appends(seq, (0..200).map(|n| Fact::Submit(submit("b", &n.to_string()))));
    ledger.set_full(true).unwrap();
    ledger.append(&more(201)).unwrap_err();
    ledger.set_full(false).unwrap();
    assert_eq!(ledger.append(&more(201)).unwrap().len(), 200);
}

thread_local! {
    /// Holds the file until it is asked for the first time.
    static HOLDS: std::cell::RefCell<Option<Connection>> = const { std::cell::RefCell::new(None) };
}

fn lets_go(_: i32) -> bool {
    HOLDS.take().is_some()
}

#[test]
fn who_holds_the_file_at_its_opening_is_waited_for() {
    let holds = [
        "BEGIN EXCLUSIVE",
        "BEGIN; SELECT * FROM sqlite_schema",
        "PRAGMA journal_mode = WAL; BEGIN IMMEDIATE",
    ];
    for how in holds {
        let bench = FileBench::new();
        let hold = |how| {
            let other = Connection::open(bench.path()).unwrap();
            other.execute_batch(how).unwrap();
            HOLDS.set(Some(other));
        };
        hold(how);
        let error = SqliteWriter::open_with(bench.path(), never).unwrap_err();
        assert_eq!(error.remedy, Remedy::Reject);
        assert!(error.message.contains("end the program that holds it"), "{error}");
        let mut ledger = SqliteWriter::open_with(bench.path(), lets_go).unwrap();
        assert!(HOLDS.take().is_none(), "{how}: it was not waited for");
        // Behind the opening it is the writer's thread that waits.
        hold("BEGIN IMMEDIATE");
        ledger.append(&appends(1, [Fact::Submit(submit("a", "1"))])).unwrap_err();
        assert!(HOLDS.take().is_some(), "{how}: the file waited too");
    }
}

#[test]
fn a_locked_file_is_waited_for() {
    let bench = FileBench::new();
    let mut ledger = SqliteWriter::open(bench.path()).unwrap();
    let other = Connection::open(bench.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let batch = appends(1, [Fact::Submit(submit("a", "1"))]);
    let error = ledger.append(&batch).unwrap_err();
    assert_eq!(error.remedy, Remedy::Reject);
    assert!(error.message.contains("end the program that holds it"), "{error}");
    assert!(ledger.recover().is_err());
    other.execute_batch("ROLLBACK").unwrap();
    ledger.recover().unwrap();
    assert_eq!(ledger.append(&batch).unwrap(), [Verdict::Stored { position: 1 }]);
}

#[test]
fn a_damaged_file_is_refused_and_an_exchanged_one_too() {
    let bench = FileBench::new();
    let mut ledger = SqliteWriter::open(bench.path()).unwrap();
    let orders = (0..500).map(|n| Fact::Submit(submit("a", &n.to_string())));
    ledger.append(&appends(1, orders)).unwrap();
    drop(ledger);
    let mut bytes = std::fs::read(bench.path()).unwrap();
    let pages = bytes.len() / 4_096;
    for page in 2..pages {
        bytes[page * 4_096..page * 4_096 + 64].fill(0xAA);
    }
    std::fs::write(bench.path(), bytes).unwrap();
    let error = SqliteWriter::open(bench.path()).unwrap_err();
    assert_eq!(error.remedy, Remedy::Stop);
    assert!(error.message.contains("put back a copy"), "{error}");

    let bench = FileBench::new();
    let mut ledger = SqliteWriter::open(bench.path()).unwrap();
    let mut moved = bench.path();
    moved.set_extension("moved");
    std::fs::rename(bench.path(), &moved).unwrap();
    let error = ledger.recover().unwrap_err();
    assert!(error.message.contains("check that the folder exists"), "{error}");
    assert!(!bench.path().exists(), "no empty ledger in its place");
}

#[test]
fn what_was_written_is_there_for_a_reader_before_it_is_synced() {
    let bench = FileBench::new();
    let mut ledger = SqliteWriter::open(bench.path()).unwrap();
    let mut reader = SqliteReader::open(bench.path()).unwrap();
    let batch = appends(
        1,
        [Fact::Submit(submit("a", "1")), Fact::Report(report("a", "1", OrderState::Filled, None))],
    );
    ledger.append(&batch).unwrap();
    assert!(!reader.order(&key("a", "1")).unwrap().unwrap().is_open());
    assert_eq!(reader.reports_after("a", 0, 0).unwrap(), []);
    let mut side = ledger.syncing().unwrap();
    side.sync().unwrap();
    ledger.append(&appends(3, [Fact::Submit(submit("a", "2"))])).unwrap();
}
