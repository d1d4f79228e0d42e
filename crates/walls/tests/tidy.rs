//! The style guide as a test: the rules hold in the whole repository, and each of them bites.

use std::fs;

use walls::house::{self, File};
use walls::rules::{self, Breach, EXCEPTIONS, Exception, RULES, VENUE_NAMES};
use walls::shape::{self, LONG_FUNCTIONS};

#[test]
fn the_rules_hold() {
    let breaches: Vec<Breach> = house::files().iter().flat_map(rules::check).collect();
    let wrong = rules::settle(&breaches, EXCEPTIONS);
    assert!(wrong.is_empty(), "{} breaches\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn files_and_functions_have_the_house_numbers() {
    let files = house::files();
    assert!(files.iter().any(|f| f.path == "crates/walls/tests/tidy.rs"), "the house is seen");
    let wrong: Vec<String> =
        files.iter().flat_map(|file| shape::check(file, LONG_FUNCTIONS)).collect();
    assert!(wrong.is_empty(), "{} breaches\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_venue_has_its_name_in_the_list() {
    let venues = house::root().join("crates/venues/src");
    for entry in fs::read_dir(venues).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let is_venue =
            entry.path().join("feed.rs").exists() || entry.path().join("wire.rs").exists();
        assert!(!is_venue || VENUE_NAMES.contains(&name.as_str()), "add {name} to VENUE_NAMES");
    }
}

#[test]
fn the_test_command_of_the_readme_is_the_one_of_ci() {
    let ci = fs::read_to_string(house::root().join(".ci/run")).unwrap();
    let command = ci
        .lines()
        .find_map(|line| line.strip_prefix("test_command='")?.strip_suffix('\''))
        .expect("a line test_command='…' in .ci/run");
    // There is no README on the first day.
    if let Ok(readme) = fs::read_to_string(house::root().join("README.md")) {
        assert!(readme.contains(command), "README.md does not say `{command}`");
    }
}

/// A breach per rule and pattern: (rule, path, line that breaks it).
const BREACHES: &[(&str, &str, &str)] = &[
    ("float", "crates/model/src/a.rs", "let a = b as f64;"),
    ("float", "crates/venues/src/binance/feed.rs", "fn a(b: f32) {}"),
    ("float", "crates/engine/src/merge/window.rs", "let share = demand * 0.25;"),
    ("decimal from text", "crates/gateway/src/a.rs", "let a = Decimal::from_str(text)?;"),
    ("decimal from text", "crates/sim/src/a.rs", "let a = <Decimal as FromStr>::from_str(text)?;"),
    ("decimal from text", "crates/sim/tests/a.rs", "let a = text.parse::<Decimal>()?;"),
    ("decimal from text", "crates/sim/src/a.rs", "let a = text.parse::<rust_decimal::Decimal>()?;"),
    ("decimal from text", "crates/store/src/a.rs", "let a: Decimal = text.parse()?;"),
    ("decimal from text", "crates/sim/src/a.rs", "let a = Decimal::try_from(x as f64)?;"),
    ("decimal from text", "crates/sim/src/a.rs", "let a = Decimal::try_from(2_f32)?;"),
    ("serde_json", "crates/model/src/a.rs", "use serde_json::from_str;"),
    ("serde_json", "crates/engine/src/a.rs", "serde_json::to_string(&a);"),
    ("serde_json", "crates/venues/src/binance/wire.rs", "serde_json::from_slice(a);"),
    ("clock", "crates/engine/src/a.rs", "let now = Instant::now();"),
    ("clock", "crates/model/src/a.rs", "let now = std::time::SystemTime::now();"),
    ("clock", "crates/venues/src/a.rs", "now.duration_since(UNIX_EPOCH)"),
    ("clock", "crates/net/src/session/backoff.rs", "tokio::time::timeout(a, b)"),
    ("waiting and I/O", "crates/engine/src/a.rs", "pub async fn run() {}"),
    ("waiting and I/O", "crates/engine/src/a.rs", "read().await?;"),
    ("waiting and I/O", "crates/venues/src/a.rs", "use tokio::sync::mpsc;"),
    ("waiting and I/O", "crates/net/src/session.rs", "std::net::TcpStream::connect(a)?;"),
    ("waiting and I/O", "crates/net/src/session.rs", "std::net::TcpListener::bind(a)?;"),
    ("waiting and I/O", "crates/net/src/session.rs", "std::net::UdpSocket::bind(a)?;"),
    ("waiting and I/O", "crates/venues/src/a.rs", "use std::net::ToSocketAddrs;"),
    ("waiting and I/O", "crates/model/src/a.rs", "std::fs::read(path)?;"),
    ("waiting and I/O", "crates/model/src/a.rs", "std::env::var(name)?;"),
    ("waiting and I/O", "crates/engine/src/a.rs", "std::process::exit(1);"),
    ("venue's name", "crates/engine/src/books.rs", "// as Binance does"),
    ("venue's name", "crates/net/src/a.rs", "if provider == \"OKX\" {}"),
    ("venue's name", "crates/venues/src/binance/feed.rs", "use crate::kraken::wire;"),
    ("venue's name", "crates/venues/src/book.rs", "// Coinbase sends no ids"),
    ("venue's name in code", "crates/gateway/src/run.rs", "venues::binance::new()"),
    ("venue's name in code", "crates/store/src/a.rs", "if venue == \"kraken\" {}"),
    ("venue's name in code", "crates/sim/src/binance/a.rs", "\"okx\" => other(),"),
    ("sleep in a test", "crates/net/tests/a.rs", "tokio::time::sleep(second).await;"),
    ("sleep in a test", "crates/net/src/a/tests.rs", "time::sleep_until(later).await;"),
    ("sleep in a test", "crates/net/src/a/tests.rs", "std::thread::sleep(second);"),
    ("sleep in a test", "crates/net/src/a/tests.rs", "use tokio::time::{Duration, sleep};"),
    ("sleep in a test", "crates/net/src/a/tests.rs", "use std::thread::{self, sleep};"),
    ("sleep in a test", "crates/pool/tests/a.rs", "thread::park_timeout(second);"),
    ("lifted ban", "crates/net/src/a.rs", "#[allow(clippy::disallowed_methods)]"),
    ("lifted ban", "crates/net/tests/a.rs", "#![expect(clippy::disallowed_types)]"),
    ("lifted ban", "crates/net/src/a.rs", "#![allow(clippy::all)]"),
    ("left behind", "crates/net/src/a.rs", "todo!()"),
    ("left behind", "crates/net/tests/a.rs", "unimplemented!(\"later\")"),
    ("left behind", "crates/net/src/a.rs", "dbg!(a);"),
    ("note to oneself", "crates/net/src/a.rs", "// FIXME: wrong on Sundays"),
    ("note to oneself", "crates/net/src/a.rs", "// XXX"),
    ("unwrap", "crates/net/src/a.rs", "let a = b.unwrap();"),
    ("unwrap", "crates/net/src/a.rs", "let a = b.unwrap_err();"),
    ("path of one machine", "README.md", concat!("cd /wo", "rk/main")),
    ("path of one machine", "crates/sim/tests/a.rs", concat!("read(\"/ro", "ot/a\")")),
    ("path of one machine", "config/a.toml", concat!("dir = \"/ho", "me/me/a\"")),
    ("path of one machine", "docs/a.md", concat!("/Us", "ers/me")),
    ("package registry", ".cargo/config.toml", concat!("[regis", "tries.a]")),
    ("package registry", ".cargo/config.toml", concat!("replace-", "with = \"a\"")),
    ("package registry", ".ci/run", concat!("https://index.cra", "tes.example")),
    ("package registry", ".ci/run", concat!("export CARGO_REGIS", "TRIES_A_INDEX=b")),
];

/// Lines that look like a breach and are none.
const NO_BREACHES: &[(&str, &str)] = &[
    ("crates/model/src/a.rs", "// never an f64, see 1.5"),
    ("crates/model/src/a.rs", "let text = \"1.5\"; let b = a.0.1; for i in 0..5 {}"),
    ("crates/gateway/src/a.rs", "let progress = 0.5_f64;"),
    ("crates/venues/src/json/fallback.rs", "serde_json::from_slice(a);"),
    ("crates/gateway/src/a.rs", "let now = Instant::now();"),
    ("crates/net/src/client.rs", "tokio::time::timeout(a, b)"),
    ("crates/venues/src/binance/feed.rs", "//! Binance, spot and futures"),
    ("crates/venues/src/registry.rs", "\"okx\" => okx::venue(),"),
    ("crates/gateway/src/run.rs", "/// Such as `binance-usdm`."),
    ("crates/store/src/a.rs", "// {\"venue\":\"binance\"}"),
    ("crates/engine/tests/a.rs", "sleeper.sleep();"),
    ("crates/engine/src/testing.rs", "let a = b.unwrap();"),
    ("crates/engine/tests/a.rs", "let provider = \"binance\";"),
    ("crates/net/tests/a.rs", "let a = b.unwrap();"),
    ("crates/net/src/a.rs", "/// assert_eq!(parse(b).unwrap(), c);"),
    ("crates/net/src/a.rs", "let a = b.unwrap_or_default();"),
];

#[test]
fn every_rule_bites_and_says_what_to_do_instead() {
    for (rule, path, line) in BREACHES {
        let breaches = rules::check(&file(path, line));
        let breach = breaches.iter().find(|b| b.rule.name == *rule);
        let breach = breach.unwrap_or_else(|| panic!("{rule} lets pass: {line} in {path}"));
        let message = breach.to_string();
        assert!(message.starts_with(&format!("{path}:2: {rule}")), "{message}");
        assert!(message.contains(breach.rule.instead), "{message}");
    }
    for (path, line) in NO_BREACHES {
        let breaches = rules::check(&file(path, line));
        assert!(breaches.is_empty(), "{line} in {path}: {breaches:?}");
    }
}

/// Without one pattern of a rule, one of the breaches above would pass: so each pattern has a case.
#[test]
fn no_rule_and_no_pattern_is_without_a_breach_that_it_finds() {
    for rule in RULES {
        let cases = BREACHES.iter().filter(|(name, ..)| *name == rule.name).count();
        assert!(cases >= rule.banned.len(), "{}: {cases} cases in BREACHES", rule.name);
        for pattern in rule.banned {
            let found = BREACHES.iter().any(|(name, path, line)| {
                let file = file(path, line);
                *name == rule.name && rules::finds_in(pattern, rule.lines, &file)
            });
            assert!(found, "{}: {pattern:?} has no case in BREACHES", rule.name);
        }
    }
}

#[test]
fn an_exception_holds_for_its_lines_and_no_more() {
    let file = file("crates/net/src/a.rs", "let a = b.unwrap();\nlet c = d.unwrap();");
    let breaches = rules::check(&file);
    let row = |lines, path| Exception { rule: "unwrap", path, lines, why: "shown to be there" };
    assert_eq!(rules::settle(&breaches, &[]).len(), 2);
    assert_eq!(rules::settle(&breaches, &[row(2, "crates/net/src/a.rs")]), Vec::<String>::new());
    assert!(rules::settle(&breaches, &[row(1, "crates/net/src/a.rs")])[0].contains("2 lines"));
    assert_eq!(rules::settle(&breaches, &[row(2, "crates/net/src/b.rs")]).len(), 3);
    for Exception { rule, path, why, .. } in EXCEPTIONS {
        assert!(RULES.iter().any(|r| r.name == *rule), "{path}: no rule {rule}");
        assert!(!why.is_empty(), "{path}: {rule} without a reason");
    }
}

fn file(path: &str, line: &str) -> File {
    File { path: (*path).to_owned(), text: format!("//! x\n{line}\n") }
}
