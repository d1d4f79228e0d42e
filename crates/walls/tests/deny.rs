//! Every ban of `deny.toml` bites: CI's own command, run over a scratch workspace that has the
//! banned library, fails and names what to take instead.
//!
//! The scratch libraries are empty ones of that name, so nothing is fetched. `cargo-deny` is
//! installed by `.ci/run`; on a machine without it these tests say so and hold back, in CI they
//! fail.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test says what it expects by failing"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use toml::{Table, Value};
use walls::command::{self, Outcome};
use walls::house;
use walls::scratch::{Scratch, messages, package};

/// Every banned library and what its message must name.
const CASES: &[(&str, &str)] = &[
    ("tungstenite", "use tokio-websockets"),
    ("fastwebsockets", "use tokio-websockets"),
    ("soketto", "use tokio-websockets"),
    ("yawc", "use tokio-websockets"),
    ("tokio-tungstenite", "use tokio-websockets"),
    ("async-tungstenite", "use tokio-websockets"),
    ("ws_stream_tungstenite", "use tokio-websockets"),
    ("reqwest-websocket", "use tokio-websockets"),
    ("ezsockets", "use tokio-websockets"),
    ("websocket", "use tokio-websockets"),
    ("websocket-base", "use tokio-websockets"),
    ("ws", "use tokio-websockets"),
    ("ratchet_rs", "use tokio-websockets"),
    ("web-socket", "use tokio-websockets"),
    ("actix-web-actors", "use tokio-websockets"),
    ("openssl", "use rustls"),
    ("openssl-sys", "use rustls"),
    ("native-tls", "use rustls"),
    ("tokio-native-tls", "use tokio-rustls"),
    ("tokio-openssl", "use tokio-rustls"),
    ("hyper-tls", "rustls-no-provider"),
    ("boring", "use rustls"),
    ("boring-sys", "use rustls"),
    ("simd-json", "venues/src/json"),
    ("sonic-rs", "venues/src/json"),
    ("jiter", "venues/src/json"),
    ("json", "venues/src/json"),
    ("gjson", "venues/src/json"),
    ("hifijson", "venues/src/json"),
    ("tinyjson", "venues/src/json"),
    ("miniserde", "venues/src/json"),
    ("nanoserde", "venues/src/json"),
    ("struson", "venues/src/json"),
    ("bigdecimal", "use rust_decimal"),
    ("fastnum", "use rust_decimal"),
    ("ordered-float", "use rust_decimal"),
    ("crossbeam-channel", "sync_channel"),
    ("flume", "sync_channel"),
    ("async-channel", "sync_channel"),
    ("kanal", "sync_channel"),
    ("async-broadcast", "one bounded queue per consumer"),
    ("async-std", "use tokio"),
    ("smol", "use tokio"),
];

/// What the measuring crate may hold.
const MEASURED: &[&str] =
    &["tungstenite", "fastwebsockets", "soketto", "yawc", "simd-json", "sonic-rs", "jiter"];

/// What is approved instead.
const APPROVED: &[&str] =
    &["tokio-websockets", "rustls", "tokio-rustls", "serde_json", "rust_decimal", "rtrb", "tokio"];

#[test]
fn every_ban_has_a_case_and_a_reason() {
    let mut banned = BTreeSet::new();
    for ban in bans() {
        let name = ban["name"].as_str().unwrap().to_owned();
        let reason = ban.get("reason").and_then(Value::as_str).unwrap_or_default();
        assert!(reason.starts_with("use "), "{name}: the reason begins with what to use: {reason}");
        banned.insert(name);
    }
    let cases: BTreeSet<String> = CASES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(banned, cases, "left: deny.toml, right: CASES of this test");
}

#[test]
fn every_banned_library_fails_the_check_and_the_message_names_another() {
    let names: Vec<&str> = CASES.iter().map(|(name, _)| *name).collect();
    let Some(outcome) = deny(|house| house.crate_with("gateway", &names)) else { return };
    assert!(!outcome.ok, "{}", outcome.text);
    for (name, instead) in CASES {
        let crate_name = format!("crate '{name} = 0.0.0'");
        assert_message(&outcome, &["banned", &crate_name, instead]);
    }
}

#[test]
fn each_banned_library_fails_the_check_alone() {
    for (name, instead) in [CASES[0], CASES[15], CASES[23]] {
        let Some(outcome) = deny(|house| house.crate_with("gateway", &[name])) else { return };
        assert!(!outcome.ok, "{}", outcome.text);
        assert_message(&outcome, &["banned", name, instead]);
    }
}

#[test]
fn a_banned_library_behind_an_approved_one_fails_the_check() {
    let outcome = deny(|house| {
        house.stub("tokio-websockets", "MIT", &["openssl"]);
        house.crate_with("gateway", &["tokio-websockets"]);
    });
    let Some(outcome) = outcome else { return };
    assert!(!outcome.ok, "{}", outcome.text);
    assert_message(&outcome, &["banned", "crate 'openssl = 0.0.0'", "use rustls"]);
}

#[test]
fn the_measuring_crate_may_hold_what_it_measures_and_no_other_may() {
    let Some(outcome) = deny(|house| house.crate_with("yardstick", MEASURED)) else { return };
    assert!(outcome.ok, "{}", outcome.text);

    let outcome = deny(|house| {
        house.crate_with("yardstick", MEASURED);
        house.crate_with("net", MEASURED);
    });
    let Some(outcome) = outcome else { return };
    assert!(!outcome.ok, "{}", outcome.text);
    for name in MEASURED {
        assert_message(&outcome, &["error", &format!("'{name} = 0.0.0'")]);
    }
}

#[test]
fn licenses_and_sources_are_looked_at() {
    let outcome = deny(|house| {
        house.stub("copyleft", "GPL-3.0-only", &[]);
        house.crate_with("gateway", &["copyleft"]);
    });
    let Some(outcome) = outcome else { return };
    assert!(!outcome.ok, "{}", outcome.text);
    assert_message(&outcome, &["error[rejected]", "GPL-3.0-only"]);

    let outcome = deny(|house| {
        house.stub("borrowed", "MIT", &[]);
        let repository = house.folder.path().join("stubs/borrowed");
        for arguments in ["init --quiet", "add .", "commit --quiet --message x"] {
            let mut git = Command::new("git");
            git.current_dir(&repository).args(["-c", "user.name=x", "-c", "user.email=x@y.z"]);
            git.args(arguments.split(' '));
            assert!(command::run(git, Duration::from_secs(30)).unwrap().ok);
        }
        let url = format!("file://{}", repository.display());
        let dependency = format!("[dependencies]\nborrowed = {{ git = \"{url}\" }}");
        house.scratch.member("gateway", &dependency, "").unwrap();
    });
    let Some(outcome) = outcome else { return };
    assert!(!outcome.ok, "{}", outcome.text);
    assert_message(&outcome, &["error[source-not-allowed]", "borrowed"]);
}

#[test]
fn approved_libraries_pass() {
    let Some(outcome) = deny(|house| house.crate_with("gateway", APPROVED)) else { return };
    assert!(outcome.ok, "{}", outcome.text);
}

fn bans() -> Vec<Table> {
    let text = fs::read_to_string(house::root().join("deny.toml")).unwrap();
    let config: Table = text.parse().unwrap();
    let bans = config["bans"]["deny"].as_array().unwrap();
    bans.iter().map(|ban| ban.as_table().cloned().expect("a table with a reason")).collect()
}

/// A message in which all of `parts` stand.
fn assert_message(outcome: &Outcome, parts: &[&str]) {
    let messages = messages(&outcome.text);
    let found = messages.iter().any(|message| parts.iter().all(|part| message.contains(part)));
    assert!(found, "no message with {parts:?} in\n{}", outcome.text);
}

struct House {
    folder: TempDir,
    scratch: Scratch,
}

impl House {
    /// A member that depends on libraries of these names.
    fn crate_with(&mut self, name: &str, libraries: &[&str]) {
        for library in libraries {
            if !self.folder.path().join("stubs").join(library).exists() {
                self.stub(library, "MIT", &[]);
            }
        }
        self.scratch.member(name, &dependencies("../stubs", libraries), "").unwrap();
    }

    /// An empty library called `name`.
    fn stub(&mut self, name: &str, license: &str, libraries: &[&str]) {
        for library in libraries {
            self.stub(library, "MIT", &[]);
        }
        self.write_stub(name, license, &dependencies("..", libraries));
    }

    fn write_stub(&mut self, name: &str, license: &str, manifest: &str) {
        let folder = Path::new("stubs").join(name);
        let path = |file: &str| folder.join(file).display().to_string();
        self.scratch.write(&path("Cargo.toml"), &package(name, license, manifest)).unwrap();
        self.scratch.write(&path("src/lib.rs"), "").unwrap();
    }
}

fn dependencies(folder: &str, libraries: &[&str]) -> String {
    let mut manifest = String::from("[dependencies]\n");
    for library in libraries {
        writeln!(manifest, "{library} = {{ path = \"{folder}/{library}\" }}").unwrap();
    }
    manifest
}

/// Runs CI's command over what `fill` builds; nothing where `cargo-deny` is not installed.
fn deny(fill: impl FnOnce(&mut House)) -> Option<Outcome> {
    let mut version = Command::new("cargo");
    version.args(["deny", "--version"]);
    if !command::run(version, Duration::from_secs(30)).unwrap().ok {
        assert!(std::env::var_os("CI").is_none(), "CI installs cargo-deny: see .ci/run");
        eprintln!("held back: cargo-deny is not installed, .ci/run installs it");
        return None;
    }
    let folder = TempDir::new().unwrap();
    let scratch = Scratch::new(folder.path()).unwrap();
    let mut house = House { folder, scratch };
    fill(&mut house);
    Some(house.scratch.run("deny").unwrap())
}
