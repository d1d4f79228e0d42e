//! What is particular to the database. They want a server, whose address stands in
//! `MELTICA_TEST_POSTGRES`; each test has a schema of its own in it.

use std::sync::atomic::{AtomicU32, Ordering};

use model::Remedy;
use model::ledger::LedgerReply;
use model::order::OrderState;
use proptest::prelude::*;

use super::super::conformance::{
    self, Bench, Naive, acknowledge, any_fact, appends, report, submit,
};
use super::super::storage::LedgerRead;
use super::super::writer::{LedgerWriter, WriterOptions};
use super::*;

static SCHEMAS: AtomicU32 = AtomicU32::new(0);

/// The server's address; `None`, said aloud, where there is no server to test with.
fn server() -> Option<String> {
    let url = std::env::var("MELTICA_TEST_POSTGRES").ok();
    if url.is_none() {
        eprintln!("SKIPPED: MELTICA_TEST_POSTGRES names no server");
    }
    url
}

struct SchemaBench {
    url: String,
}

impl SchemaBench {
    fn new(server: &str) -> Self {
        let number = SCHEMAS.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        let mut db = Client::connect(server, NoTls).unwrap();
        db.batch_execute(&format!("CREATE SCHEMA {name}")).unwrap();
        let separator = if server.contains('?') { '&' } else { '?' };
        Self { url: format!("{server}{separator}options=-csearch_path%3D{name}") }
    }

    fn writer(&self) -> PostgresWriter {
        PostgresWriter::open(&self.url, Durability::Os).unwrap()
    }

    /// Ends the sessions of this schema's writers, as a restart of the server does.
    fn cut(&self) {
        let mut db = Client::connect(&self.url, NoTls).unwrap();
        let held = "SELECT pg_terminate_backend(pid) FROM pg_locks
                    WHERE locktype = 'advisory' AND classid::bigint =
                    (hashtext(current_schema())::bigint & x'FFFFFFFF'::bigint)";
        assert_eq!(db.query(held, &[]).unwrap().len(), 1);
    }
}

impl Bench for SchemaBench {
    fn write(&self) -> Box<dyn LedgerWrite> {
        Box::new(self.writer())
    }

    fn read(&self) -> Box<dyn LedgerRead> {
        Box::new(PostgresReader::open(&self.url).unwrap())
    }
}

#[test]
fn the_database_conforms() {
    let Some(server) = server() else { return };
    conformance::all(&|| Box::new(SchemaBench::new(&server)));
}

#[test]
fn a_second_writer_is_refused_and_a_later_version_is_left_alone() {
    let Some(server) = server() else { return };
    let bench = SchemaBench::new(&server);
    let first = bench.writer();
    let error = PostgresWriter::open(&bench.url, Durability::Os).map(drop).unwrap_err();
    assert!(error.message.contains("another session writes this ledger"), "{error}");
    drop(first);
    drop(bench.writer());
    let mut db = Client::connect(&bench.url, NoTls).unwrap();
    db.batch_execute("UPDATE meltica_ledger SET version = 99").unwrap();
    let error = PostgresWriter::open(&bench.url, Durability::Os).map(drop).unwrap_err();
    assert!(error.message.contains("version 99"), "{error}");
}

#[test]
fn an_older_ledger_gets_what_is_held_by_the_reports_that_it_has() {
    let Some(server) = server() else { return };
    let bench = SchemaBench::new(&server);
    let fills = ["1", "2", "3"].map(|trade| report("a", "1", OrderState::Partial, Some(trade)));
    bench.writer().append(&appends(1, fills.map(Fact::Report))).unwrap();
    let mut db = Client::connect(&bench.url, NoTls).unwrap();
    let older = "DROP TABLE positions; DROP INDEX intents_of_venue;
                 UPDATE meltica_ledger SET version = 1";
    db.batch_execute(older).unwrap();
    drop(bench.writer());
    assert_eq!(conformance::held(&bench, "a"), ["p BTC-USDT -3"]);
}

#[test]
fn facts_can_be_neither_changed_nor_deleted() {
    let Some(server) = server() else { return };
    let bench = SchemaBench::new(&server);
    bench.writer().append(&appends(1, [Fact::Submit(submit("a", "1"))])).unwrap();
    let mut db = Client::connect(&bench.url, NoTls).unwrap();
    for change in ["DELETE FROM facts", "UPDATE facts SET body = ''", "TRUNCATE facts"] {
        let error = db.batch_execute(change).unwrap_err();
        assert!(error.as_db_error().unwrap().message().contains("never"), "{error}");
    }
}

#[test]
fn a_lost_session_is_an_error_that_passes_and_nothing_is_lost() {
    let Some(server) = server() else { return };
    let bench = SchemaBench::new(&server);
    let mut ledger = bench.writer();
    let first = appends(1, [Fact::Submit(submit("a", "1"))]);
    ledger.append(&first).unwrap();
    bench.cut();
    let second = appends(2, [Fact::Report(report("a", "1", OrderState::Filled, None))]);
    let error = ledger.append(&second).unwrap_err();
    assert_eq!(error.remedy, Remedy::Reject, "{error}");
    while let Err(error) = ledger.recover() {
        assert_eq!(error.remedy, Remedy::Reject, "{error}");
    }
    let verdicts = ledger.append(&second).unwrap();
    assert_eq!(verdicts, [Verdict::Stored { position: 2 }]);
}

#[test]
fn each_commit_waits_for_the_disk_whatever_the_session_begins_with() {
    let Some(server) = server() else { return };
    let bench = SchemaBench::new(&server);
    for (role, ours) in [("off", "on"), ("on", "on"), ("local", "local")] {
        let url = format!("{}%20-csynchronous_commit%3D{role}", bench.url);
        let mut ledger = PostgresWriter::open(&url, Durability::Os).unwrap();
        let mode = |ledger: &mut PostgresWriter| -> String {
            ledger.db.query_one("SHOW synchronous_commit", &[]).unwrap().get(0)
        };
        assert_eq!(mode(&mut ledger), ours, "where it begins with {role}");
        ledger.recover().unwrap();
        assert_eq!(mode(&mut ledger), ours, "connected anew");
    }
}

/// The server's sync is turned off until this goes.
struct Unsynced(Client);

impl Unsynced {
    fn new(server: &str) -> Self {
        let unsynced = Self(Client::connect(server, NoTls).unwrap());
        unsynced.set(server, "ALTER SYSTEM SET fsync = off", "off")
    }

    fn set(mut self, server: &str, sql: &str, wanted: &str) -> Self {
        self.0.batch_execute(sql).unwrap();
        self.0.batch_execute("SELECT pg_reload_conf()").unwrap();
        // The server looks at it in its own time.
        let begun = Instant::now();
        loop {
            let mut new = Client::connect(server, NoTls).unwrap();
            let fsync: String = new.query_one("SHOW fsync", &[]).unwrap().get(0);
            if fsync == wanted {
                return self;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{fsync}");
        }
    }
}

impl Drop for Unsynced {
    fn drop(&mut self) {
        let _ = self.0.batch_execute("ALTER SYSTEM RESET fsync");
        let _ = self.0.batch_execute("SELECT pg_reload_conf()");
    }
}

/// The other tests, beside which this one runs, are promised no disk.
#[test]
fn a_server_that_promises_no_disk_is_refused_where_one_is_promised() {
    let Some(server) = server() else { return };
    let bench = SchemaBench::new(&server);
    let open = |durability| PostgresWriter::open(&bench.url, durability);
    for durability in [Durability::Each, Durability::Batch] {
        let mut ledger = open(durability).unwrap();
        let unsynced = Unsynced::new(&server);
        let error = ledger.recover().unwrap_err();
        assert_eq!(error.remedy, Remedy::Stop, "{error}");
        drop(ledger);
        let error = open(durability).map(drop).unwrap_err();
        assert_eq!(error.remedy, Remedy::Stop);
        assert!(error.message.contains("fsync = off"), "{error}");
        let mut ledger = open(Durability::Os).unwrap();
        ledger.append(&appends(1, [acknowledge("a", 1)])).unwrap();
        drop(unsynced.set(&server, "ALTER SYSTEM RESET fsync", "on"));
        drop(ledger);
        open(durability).unwrap();
    }
}

#[test]
fn what_a_server_promises_is_said_with_what_would_be_right() {
    let why = |durability, fsync, commit| broken_promise(durability, fsync, commit);
    for durability in [Durability::Each, Durability::Batch, Durability::Os] {
        for commit in ["on", "local", "remote_write", "remote_apply"] {
            assert_eq!(why(durability, "on", commit), None);
        }
    }
    let refused = why(Durability::Batch, "off", "on").unwrap();
    assert!(refused.contains("fsync = off") && refused.contains("turn it on, or"), "{refused}");
    let refused = why(Durability::Each, "on", "off").unwrap();
    assert!(refused.contains("synchronous_commit = off") && refused.contains("turn it on"));
    let warned = why(Durability::Os, "off", "on").unwrap();
    assert!(warned.contains("within what durability = \"os\" promises"), "{warned}");
}

#[test]
fn a_network_that_is_gone_is_noticed_within_some_ten_seconds() {
    let Place { config, .. } = Place::new("postgres://user@192.0.2.1/db").unwrap();
    assert_eq!(config.get_tcp_user_timeout(), Some(&ACKNOWLEDGED_WITHIN));
    assert!(ACKNOWLEDGED_WITHIN <= Duration::from_secs(10) && config.get_keepalives());
    let asked =
        config.get_keepalives_interval().unwrap() * config.get_keepalives_retries().unwrap();
    assert!(config.get_keepalives_idle() + asked <= Duration::from_secs(10));
}

/// A process of the server that is stopped where it stands, and goes on when this goes.
struct Frozen(String);

impl Frozen {
    fn new(ledger: &mut PostgresWriter) -> Self {
        let pid: i32 = ledger.db.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
        let frozen = Self(pid.to_string());
        frozen.signal("-STOP");
        frozen
    }

    fn signal(&self, signal: &str) {
        let sent = std::process::Command::new("kill").args([signal, &self.0]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.signal("-CONT");
    }
}

#[test]
fn a_server_that_does_not_answer_any_more_is_told_and_nothing_is_lost() {
    let Some(server) = server() else { return };
    let bench = SchemaBench::new(&server);
    let mut ledger = bench.writer();
    let frozen = Frozen::new(&mut ledger);
    let (wake, woken) = std::sync::mpsc::sync_channel(1);
    let wake = move || {
        let _ = wake.try_send(());
    };
    let options =
        WriterOptions { answers_within: Duration::from_millis(100), ..WriterOptions::default() };
    let writer = LedgerWriter::start(Box::new(ledger), options, wake).unwrap();
    writer.try_append(appends(1, [Fact::Submit(submit("a", "1"))]).remove(0)).unwrap();
    let next = || loop {
        match writer.try_next() {
            Some(reply) => return reply,
            None => woken.recv_timeout(Duration::from_secs(20)).expect("a reply"),
        }
    };
    let told = next();
    assert!(
        matches!(&told, LedgerReply::Stuck(why) if why.message.contains("no answer")),
        "{told:?}"
    );
    drop(frozen);
    assert_eq!(next(), LedgerReply::Recovered);
    assert_eq!(writer.finish().unwrap().durable_up_to, 1);
    assert_eq!(bench.read().open_orders(0, 10).unwrap().len(), 1);
}

#[test]
fn an_address_shows_neither_user_nor_password() {
    for (url, wants) in [
        ("postgres://user:hidden@127.0.0.1:1/db?connect_timeout=1", "check the server"),
        ("postgres://user:hidden@h/db?sslmode=require", "TLS is not built in"),
        ("postgres://user:hidden@h/db?nonsense=1", "must look like postgres://"),
    ] {
        let error = PostgresWriter::open(url, Durability::Os).map(drop).unwrap_err().to_string();
        assert!(error.contains(wants) && !error.contains("hidden"), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whatever comes, in whatever groups, with lost sessions and new processes in between: the
    /// ledger says what a plain list says.
    #[test]
    fn the_ledger_is_a_list(
        batches in proptest::collection::vec(
            (proptest::collection::vec(any_fact(), 1..8), 0..5_u8), 1..6,
        ),
    ) {
        let Some(server) = server() else { return Ok(()) };
        let bench = SchemaBench::new(&server);
        let mut ledger = bench.writer();
        let (mut naive, mut seq) = (Naive::default(), 1);
        for (facts, between) in batches {
            let batch = appends(seq, facts);
            seq += batch.len() as u64;
            if between == 4 {
                // The transaction breaks off after all of the batch was written.
                let mut db = Client::connect(&bench.url, NoTls).unwrap();
                let breaks = "ALTER TABLE runs ADD CONSTRAINT breaks CHECK (seq = 0) NOT VALID";
                db.batch_execute(breaks).unwrap();
                prop_assert!(ledger.append(&batch).is_err());
                db.batch_execute("ALTER TABLE runs DROP CONSTRAINT breaks").unwrap();
                ledger.recover().unwrap();
            }
            let verdicts = ledger.append(&batch).unwrap();
            let expected: Vec<_> = batch.iter().map(|a| naive.append(&a.fact)).collect();
            prop_assert_eq!(&verdicts, &expected);
            match between {
                1 => {
                    bench.cut();
                    while ledger.recover().is_err() {}
                }
                2 => {
                    drop(ledger);
                    ledger = bench.writer();
                    seq = 1;
                }
                _ => {}
            }
        }
        let mut reader = bench.read();
        let mut keys = Vec::new();
        for consumer in ["a", "b"] {
            prop_assert_eq!(conformance::held(&bench, consumer), naive.held(consumer));
            let reports = reader.reports_after(consumer, 0, 1_000).unwrap();
            keys.extend(reports.into_iter().map(|(_, report)| report.key()));
            prop_assert_eq!(reader.acknowledged(consumer).unwrap(), naive.acknowledged(consumer));
        }
        let mut expected = naive.report_keys();
        keys.sort();
        expected.sort();
        prop_assert_eq!(keys, expected);
    }
}
