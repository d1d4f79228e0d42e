//! The commands as a shell sees them: what is printed where, and the exit codes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use common::{fixture, lines_of, replayed_with_events};
use serde_json::Value;
use tempfile::TempDir;

/// No command here takes so long; one that does is killed, and its test fails.
const LIMIT: Duration = Duration::from_secs(30);

fn meltica(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meltica"));
    command.args(arguments).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MELTICA_")) {
        command.env_remove(name);
    }
    command
}

fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args([name, &pid.to_string()]).status().unwrap();
    assert!(status.success(), "kill {name} {pid}");
}

/// Waits for the end of a process, but not for ever.
fn end_of(child: Child) -> Output {
    let pid = child.id();
    let (send, ended) = sync_channel(1);
    std::thread::spawn(move || send.send(child.wait_with_output()));
    match ended.recv_timeout(LIMIT) {
        Ok(output) => output.unwrap(),
        Err(_) => {
            signal(pid, "-KILL");
            panic!("the command did not end within {LIMIT:?}");
        }
    }
}

/// What a command printed and how it ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

fn run(arguments: &[&str]) -> Ended {
    end_of(meltica(arguments).spawn().unwrap()).into()
}

/// The lines that a process writes, as they come.
fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (send, lines) = sync_channel(10_000);
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            // A test that has seen enough is no reason to make the process wait.
            let _ = send.try_send(line);
        }
    });
    lines
}

/// Exactly one JSON object on one line.
#[track_caller]
fn one_object(text: &str) -> Value {
    assert_eq!(text.matches('\n').count(), 1, "{text}");
    assert!(text.ends_with('\n'));
    let value: Value = serde_json::from_str(text).unwrap();
    assert!(value.is_object(), "{text}");
    value
}

#[track_caller]
fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A file in a folder that goes with the test.
fn file(name: &str, content: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

#[test]
fn replay_prints_one_object_with_the_fields_of_the_contract() {
    let fixture = fixture();
    let ended = run(&["replay", text(&fixture), "--json"]);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    let object = one_object(&ended.out);
    assert_eq!(keys(&object), ["elapsed_s", "files", "frames_per_s"]);
    assert!(object["elapsed_s"].is_f64() && object["frames_per_s"].is_f64());
    let files = object["files"].as_array().unwrap();
    assert_eq!(files.len(), 3);
    for file in files {
        assert_eq!(keys(file), ["file", "instruments", "malformed", "venue", "ws_frames"]);
        assert_eq!(file["file"], "first-light.jsonl");
        for instrument in file["instruments"].as_object().unwrap().values() {
            assert_eq!(keys(instrument), ["book", "events"]);
            let fields = [
                "asks",
                "bids",
                "checksum_failed",
                "checksum_ok",
                "gaps",
                "levels",
                "resyncs",
                "synced",
            ];
            assert_eq!(keys(&instrument["book"]), fields);
            assert_eq!(instrument["book"]["bids"].as_array().unwrap().len(), 10);
        }
    }
    let (reports, _) = replayed_with_events(&fixture);
    assert_eq!(object["files"], serde_json::to_value(&reports).unwrap());
}

#[test]
fn files_are_independent_of_each_other() {
    let fixture = fixture();
    let twice = run(&["replay", text(&fixture), text(&fixture), "--json"]);
    let files = one_object(&twice.out)["files"].as_array().unwrap().clone();
    assert_eq!(files.len(), 6);
    assert_eq!(files[..3], files[3..]);
}

#[test]
fn replay_prints_events_as_a_consumer_gets_them_and_the_same_twice() {
    let fixture = fixture();
    let (first, second) = (
        run(&["replay", text(&fixture), "--events"]),
        run(&["replay", text(&fixture), "--events"]),
    );
    assert_eq!((first.code, first.err.as_str()), (Some(0), ""));
    assert!(first.out == second.out);
    let (_, expected) = replayed_with_events(&fixture);
    assert!(first.out == expected);
    for line in first.out.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["ts_emit"], event["ts_recv"], "{line}");
        assert!(event["trace_id"].as_u64().unwrap() > 0, "{line}");
    }
}

#[test]
fn the_summary_for_people_names_every_instrument() {
    let ended = run(&["replay", text(&fixture())]);
    assert_eq!(ended.code, Some(0));
    for name in ["BTC-USDT ", "ETH-BTC ", "BTC-USDT-PERP ", "ETH-USD-260925 ", "frames/s"] {
        assert!(ended.out.contains(name), "{name} not in {}", ended.out);
    }
}

#[test]
fn an_unreadable_line_is_named_and_nothing_is_printed() {
    let whole = std::fs::read_to_string(fixture()).unwrap();
    let start: String = whole.lines().take(20).map(|line| format!("{line}\n")).collect();
    for wrong in ["{\"t\":1,", "nonsense", "[1,2]", "{\"t\":\"soon\"}", "{}"] {
        let (_folder, path) = file("broken.jsonl", &format!("{start}{wrong}\n{start}"));
        for form in [&["--json"][..], &[]] {
            let ended = run(&[&["replay", text(&path)], form].concat());
            assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{wrong}: {ended:?}");
            assert!(ended.err.contains("broken.jsonl:21:"), "{wrong}: {}", ended.err);
            assert_eq!(ended.err.lines().count(), 1, "{wrong}: {}", ended.err);
        }
    }
}

#[test]
fn an_unknown_venue_is_named_with_those_that_are_known() {
    let line = std::fs::read_to_string(fixture()).unwrap().lines().next().unwrap().to_owned();
    let line = line.replace("\"venue\":\"binance\"", "\"venue\":\"binanse\"");
    let (_folder, path) = file("other.jsonl", &line);
    let ended = run(&["replay", text(&path), "--json"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""));
    for words in ["other.jsonl", "line 1", "'binanse'", "binance-usdm"] {
        assert!(ended.err.contains(words), "{words} not in {}", ended.err);
    }
}

#[test]
fn a_missing_file_is_said_in_clear_words() {
    for command in [&["replay", "/nowhere/a.jsonl"][..], &["sim", "--play", "/nowhere/a.jsonl"]] {
        let ended = run(command);
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{command:?}");
        assert!(ended.err.contains("/nowhere/a.jsonl"), "{}", ended.err);
        assert!(ended.err.to_lowercase().contains("no such file"), "{}", ended.err);
    }
}

#[test]
fn wrong_usage_ends_with_2_and_prints_nothing_as_a_result() {
    let fixture = fixture();
    let fixture = text(&fixture);
    for wrong in [
        &["replay"][..],
        &["replay", fixture, "--json", "--events"],
        &["replay", fixture, "--events", "--speed", "0x"],
        &["replay", fixture, "--frobnicate"],
        &["fly"],
        &["run"],
        &["run", "--config", "c.toml", "--for", "soon"],
        &["record", "--config", "c.toml"],
        &["check"],
        &["sim"],
        &["sim", "--play", fixture, "--listen", "here"],
        &["sim", "--play", fixture, "--speed", "fast"],
        &["sim", "--play", fixture, "--venue", "binance"],
        &["sim", "--play", fixture, "--symbols", "BTC-USDT"],
        &["sim", "--venue", "nowhere"],
        &["sim", "--venue", "binance", "--symbols", "BTCUSDT"],
        &["sim", "--venue", "binance", "--faults", "some"],
        &["sim", "--venue", "binance", "--rate", "fast"],
        &["sim", "--venue", "binance", "--accounts", "/nowhere/accounts.toml"],
        &["sim", "--play", fixture, "--accounts", "/nowhere/accounts.toml"],
        &["sweep", "--seeds", "0"],
    ] {
        let ended = run(wrong);
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{wrong:?}");
        assert!(!ended.err.is_empty(), "{wrong:?}");
    }
}

#[test]
fn a_venue_that_is_named_twice_is_said_so() {
    for command in [
        &["sim", "--venue", "okx,okx", "--listen", "127.0.0.1:0"][..],
        &["demo", "--venues", "okx,okx", "--for", "1s"],
        &["sweep", "--venues", "kraken,okx,kraken", "--seeds", "1"],
    ] {
        let ended = run(command);
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{command:?}");
        assert!(ended.err.contains("twice; expected each once"), "{}", ended.err);
    }
}

const GOOD: &str =
    "[[provider]]\nname = \"spot\"\nvenue = \"binance\"\ninstruments = [\"BTC-USDT\"]\n";

#[test]
fn check_says_what_is_wrong_for_people_and_for_programs() {
    let (_folder, good) = file("good.toml", GOOD);
    let ended = run(&["check", "--config", text(&good)]);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    let ended = run(&["check", "--config", text(&good), "--json"]);
    assert_eq!(ended.code, Some(0));
    assert_eq!(one_object(&ended.out), serde_json::json!({"ok": true, "errors": []}));

    let bad = GOOD.replace("\"binance\"", "\"binanse\"") + "depht = 3\n";
    let (_folder, bad) = file("bad.toml", &bad);
    let ended = run(&["check", "--config", text(&bad)]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""));
    assert_eq!(ended.err.lines().count(), 2, "one line a fault: {}", ended.err);
    let ended = run(&["check", "--config", text(&bad), "--json"]);
    assert_eq!(ended.code, Some(2));
    let object = one_object(&ended.out);
    assert_eq!(object["ok"], false);
    let errors = object["errors"].as_array().unwrap();
    let found: Vec<_> = errors.iter().map(|error| error["key"].as_str().unwrap()).collect();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(errors.iter().all(|error| keys(error) == ["expected", "key", "value"]));
    assert!(errors.iter().any(|error| error["key"] == "provider[0].venue"), "{errors:?}");
}

#[test]
fn nothing_runs_on_a_bad_configuration() {
    let (_folder, bad) = file("bad.toml", &GOOD.replace("\"binance\"", "\"binanse\""));
    let missing = PathBuf::from("/nowhere/c.toml");
    for path in [&bad, &missing] {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("captures");
        for command in [
            &["run", "--config", text(path)][..],
            &["run", "--config", text(path), "--json", "--for", "1s"],
            &["record", "--config", text(path), "--out", text(&out), "--json"],
        ] {
            let ended = run(command);
            assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{command:?}");
            let words = if path == &bad { "binanse" } else { "/nowhere/c.toml" };
            assert!(ended.err.contains(words), "{}", ended.err);
        }
        assert!(!out.exists(), "no folder is made for a run that does not start");
    }
}

#[test]
fn every_command_shows_examples() {
    let help = run(&["--help"]);
    assert_eq!(help.code, Some(0));
    let listed = help.out.split("Commands:").nth(1).unwrap().split("\n\n").next().unwrap();
    let commands: Vec<_> =
        listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    for command in ["run", "check", "replay", "record", "sim"] {
        assert!(commands.contains(&command), "{command} not in {commands:?}");
    }
    for command in commands.into_iter().filter(|command| *command != "help") {
        let help = run(&[command, "--help"]);
        assert_eq!((help.code, help.err.as_str()), (Some(0), ""), "{command}");
        let (_, examples) = help.out.split_once("Examples:").unwrap_or_else(|| panic!("{command}"));
        assert!(examples.contains(&format!("meltica {command}")), "{command}: {examples}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child = meltica(&["replay", text(&fixture()), "--events"]).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    out.read_line(&mut first).unwrap();
    drop(out);
    assert!(serde_json::from_str::<Value>(&first).is_ok());
    let ended = end_of(child);
    assert_eq!(ended.status.code(), Some(0));
    assert_eq!(String::from_utf8(ended.stderr).unwrap(), "");
}

/// A player of the fixture, and what it says when it is ready.
fn player(more: &[&str]) -> (Child, Receiver<String>) {
    let fixture = fixture();
    let arguments = ["sim", "--play", text(&fixture), "--listen", "127.0.0.1:0"];
    let mut child = meltica(&[&arguments[..], more].concat()).spawn().unwrap();
    let out = lines(child.stdout.take().unwrap());
    (child, out)
}

fn get(url: &str, target: &str) -> String {
    ask(url, &format!("GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"))
}

fn ask(url: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_player_says_where_it_is_and_ends_when_it_is_told_to() {
    let (child, out) = player(&["--json"]);
    let ready: Value = serde_json::from_str(&out.recv_timeout(LIMIT).unwrap()).unwrap();
    let venues = ready["venues"].as_array().unwrap();
    let names: Vec<_> = venues.iter().map(|venue| venue["venue"].as_str().unwrap()).collect();
    assert_eq!(names, ["binance", "binance-usdm", "binance-coinm"]);
    let answer = get(venues[0]["rest_url"].as_str().unwrap(), "/api/v3/exchangeInfo");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("BTCUSDT"), "{answer}");
    assert!(venues[2]["ws_url"].as_str().unwrap().starts_with("ws://127.0.0.1:"));
    signal(child.id(), "-TERM");
    assert_eq!(end_of(child).status.code(), Some(0));
    assert!(out.recv_timeout(LIMIT).is_err(), "one line and no more");
}

/// A simulated venue over real sockets, and the gateway that takes it for a real one.
#[test]
fn a_run_on_a_simulated_venue_has_live_books() {
    let (faults_folder, faults) = file("faults.toml", "duplicated = 100000\nclock_skew_ms = 250\n");
    let arguments =
        ["sim", "--venue", "binance,binance-coinm", "--listen", "127.0.0.1:0", "--json"];
    let more = ["--seed", "7", "--rate", "500", "--faults", text(&faults)];
    let mut sim = meltica(&[&arguments[..], &more].concat()).spawn().unwrap();
    let out = lines(sim.stdout.take().unwrap());
    let ready: Value = serde_json::from_str(&out.recv_timeout(LIMIT).unwrap()).unwrap();
    let url = |venue: usize, key: &str| ready["venues"][venue][key].as_str().unwrap().to_owned();
    assert_eq!(ready["venues"][1]["venue"], "binance-coinm");
    let answer = get(&url(1, "rest_url"), "/dapi/v1/exchangeInfo");
    assert!(
        answer.contains("BTCUSD_PERP") && answer.contains("x-mbx-used-weight-1m: 1"),
        "{answer}"
    );
    let (ws, rest) = (url(0, "ws_url"), url(0, "rest_url"));
    let config = format!("{GOOD}ws_url = \"{ws}\"\nrest_url = \"{rest}\"\n");
    let (folder, config) = file("run.toml", &config);
    let ended = run(&["run", "--config", text(&config), "--for", "3s", "--json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let report = one_object(&ended.out);
    let book = &report["providers"][0]["instruments"]["BTC-USDT"]["book"];
    assert_eq!((&book["synced"], &book["gaps"]), (&true.into(), &0.into()), "{report}");
    assert!(report["providers"][0]["ws_frames"].as_u64().unwrap() > 20, "{report}");
    signal(sim.id(), "-TERM");
    assert_eq!(end_of(sim).status.code(), Some(0));
    drop((folder, faults_folder));
}

#[test]
fn the_accounts_of_a_file_are_those_that_may_trade() {
    let accounts = "[[account]]\napi_key = \"mine\"\nsecret = \"hidden\"\n\
                    [[account]]\napi_key = \"other\"\n\
                    public_key = \"Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\"\n";
    let (folder, accounts) = file("accounts.toml", accounts);
    let arguments = ["sim", "--venue", "binance-usdm", "--listen", "127.0.0.1:0", "--json"];
    let mut sim =
        meltica(&[&arguments[..], &["--accounts", text(&accounts)]].concat()).spawn().unwrap();
    let line = lines(sim.stdout.take().unwrap()).recv_timeout(LIMIT).unwrap();
    assert!(!line.contains("hidden") && !line.contains("account"), "{line}");
    let ready: Value = serde_json::from_str(&line).unwrap();
    let url = ready["venues"][0]["rest_url"].as_str().unwrap();
    let start = |key: &str| {
        let head = "POST /fapi/v1/listenKey HTTP/1.1\r\nHost: h\r\nConnection: close\r\n";
        ask(url, &format!("{head}X-MBX-APIKEY: {key}\r\nContent-Length: 0\r\n\r\n"))
    };
    assert!(start("mine").contains("listenKey") && start("other").contains("listenKey"));
    assert!(start("meltica-demo-key").contains("-2015"), "{}", start("meltica-demo-key"));
    signal(sim.id(), "-TERM");
    assert_eq!(end_of(sim).status.code(), Some(0));
    drop(folder);
}

#[test]
fn a_player_speaks_to_people_too() {
    let (child, out) = player(&[]);
    for venue in ["binance", "binance-usdm", "binance-coinm"] {
        let line = out.recv_timeout(LIMIT).unwrap();
        assert!(line.starts_with(venue) && line.contains("ws://127.0.0.1:"), "{line}");
    }
    signal(child.id(), "-INT");
    assert_eq!(end_of(child).status.code(), Some(0));
}

#[test]
fn an_address_that_is_taken_is_said_in_clear_words() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = run(&["sim", "--play", text(&fixture()), "--listen", &address]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""));
    assert!(ended.err.contains(&address), "{}", ended.err);
    assert!(ended.err.trim_end().ends_with("choose a free port, or port 0"), "{}", ended.err);
}

/// The shape that a run's end has, for one that is ended by time and one by a signal; and that a
/// recording is a capture.
#[test]
fn a_run_ends_with_its_report() {
    let (sim, out) = player(&["--json", "--speed", "max"]);
    let ready: Value = serde_json::from_str(&out.recv_timeout(LIMIT).unwrap()).unwrap();
    let url = |key: &str| ready["venues"][0][key].as_str().unwrap().to_owned();
    let (ws, rest) = (url("ws_url"), url("rest_url"));
    let config = format!("{GOOD}ws_url = \"{ws}\"\nrest_url = \"{rest}\"\n");
    let (folder, config) = file("run.toml", &config);

    let ended = run(&["run", "--config", text(&config), "--for", "1s", "--json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    check_report(&one_object(&ended.out));

    let out = folder.path().join("captures");
    let record = ["record", "--config", text(&config), "--out", text(&out), "--json"];
    let mut child = meltica(&record).spawn().unwrap();
    let log = lines(child.stderr.take().unwrap());
    while !log.recv_timeout(LIMIT).unwrap().contains("connected") {}
    signal(child.id(), "-TERM");
    let ended = end_of(child);
    assert_eq!(ended.status.code(), Some(0));
    check_report(&one_object(&String::from_utf8(ended.stdout).unwrap()));
    let files: Vec<_> = std::fs::read_dir(&out).unwrap().map(|f| f.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    assert!(lines_of(&files[0]).iter().any(|line| line.url.contains("exchangeInfo")));

    signal(sim.id(), "-TERM");
    assert_eq!(end_of(sim).status.code(), Some(0));
}

fn check_report(report: &Value) {
    assert!(report["elapsed_s"].is_f64() && report["frames_per_s"].is_f64(), "{report}");
    let providers = report["providers"].as_array().unwrap();
    assert_eq!(providers.len(), 1, "{report}");
    for key in ["file", "venue", "ws_frames", "malformed", "instruments"] {
        assert!(providers[0].get(key).is_some(), "{key} not in {report}");
    }
    assert_eq!(providers[0]["venue"], "binance");
}
