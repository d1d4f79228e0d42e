//! Every ban of the `clippy.toml` files bites: CI's own command, run over a scratch workspace with
//! a use of each, fails at that use and names what to take instead.
//!
//! The scratch workspace has a member for each `clippy.toml` of ours, with our lints, and uses the
//! real libraries in the versions of our `Cargo.lock`, so that a path which is spelt wrongly or
//! which a new version has moved is missed here.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test says what it expects by failing"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use tempfile::TempDir;
use toml::Table;
use walls::command::Outcome;
use walls::house;
use walls::scratch::{Scratch, messages};

/// Every banned method or type and a use of it, as statements of a function's body.
const CASES: &[(&str, &str)] = &[
    ("std::sync::mpsc::channel", "drop(std::sync::mpsc::channel::<u8>());"),
    ("tokio::sync::mpsc::unbounded_channel", "drop(tokio::sync::mpsc::unbounded_channel::<u8>());"),
    ("tokio::sync::broadcast::channel", "drop(tokio::sync::broadcast::channel::<u8>(1));"),
    ("tokio::sync::broadcast::Sender::new", "drop(tokio::sync::broadcast::Sender::<u8>::new(1));"),
    ("futures_channel::mpsc::unbounded", "drop(futures_channel::mpsc::unbounded::<u8>());"),
    ("std::thread::sleep", "std::thread::sleep(std::time::Duration::from_secs(1));"),
    ("rust_decimal::Decimal::from_str_exact", "let _ = Decimal::from_str_exact(\"1\");"),
    ("rust_decimal::Decimal::from_str_radix", "let _ = Decimal::from_str_radix(\"1\", 10);"),
    ("rust_decimal::Decimal::from_scientific", "let _ = Decimal::from_scientific(\"1\");"),
    (
        "rust_decimal::Decimal::from_scientific_lossy",
        "let _ = Decimal::from_scientific_lossy(\"1\");",
    ),
    ("rust_decimal::Decimal::from_f32_retain", "let _ = Decimal::from_f32_retain(1.0);"),
    ("rust_decimal::Decimal::from_f64_retain", "let _ = Decimal::from_f64_retain(1.0);"),
    ("rust_decimal::Decimal::as_f64", "let _ = Decimal::ONE.as_f64();"),
    ("rust_decimal::prelude::FromPrimitive::from_f32", "let _ = Decimal::from_f32(1.0);"),
    ("rust_decimal::prelude::FromPrimitive::from_f64", "let _ = Decimal::from_f64(1.0);"),
    ("rust_decimal::prelude::ToPrimitive::to_f32", "let _ = Decimal::ONE.to_f32();"),
    ("rust_decimal::prelude::ToPrimitive::to_f64", "let _ = Decimal::ONE.to_f64();"),
    ("std::time::Instant::now", "let _ = std::time::Instant::now();"),
    ("std::time::Instant::elapsed", "let _ = std::time::Instant::now().elapsed();"),
    ("std::time::SystemTime::now", "let _ = std::time::SystemTime::now();"),
    ("std::time::SystemTime::elapsed", "let _ = std::time::SystemTime::UNIX_EPOCH.elapsed();"),
    ("std::net::TcpStream::connect", "drop(std::net::TcpStream::connect(\"localhost:1\"));"),
    ("std::net::TcpListener::bind", "drop(std::net::TcpListener::bind(\"localhost:1\"));"),
    ("std::net::UdpSocket::bind", "drop(std::net::UdpSocket::bind(\"localhost:1\"));"),
    ("f32", "let _: f32 = Default::default();"),
    ("f64", "let _: f64 = Default::default();"),
    ("std::time::Instant", "let _: Option<std::time::Instant> = None;"),
    ("std::time::SystemTime", "let _: Option<std::time::SystemTime> = None;"),
    ("std::collections::HashMap", "let _: std::collections::HashMap<u8, u8> = Default::default();"),
    ("std::collections::HashSet", "let _: std::collections::HashSet<u8> = Default::default();"),
    ("std::hash::RandomState", "let _: std::hash::RandomState = Default::default();"),
    ("serde_json::Value", "let _: serde_json::Value = Default::default();"),
    ("serde_json::from_str", "let _: Result<u8, _> = serde_json::from_str(\"1\");"),
    ("serde_json::from_slice", "let _: Result<u8, _> = serde_json::from_slice(b\"1\");"),
    (
        "serde_json::from_reader",
        "let _: Result<u8, _> = serde_json::from_reader(std::io::empty());",
    ),
    (
        "serde_json::from_value",
        "let _: Result<u8, _> = serde_json::from_value(Default::default());",
    ),
    ("serde_json::to_string", "let _ = serde_json::to_string(&1);"),
    ("serde_json::to_vec", "let _ = serde_json::to_vec(&1);"),
    ("serde_json::to_writer", "let _ = serde_json::to_writer(std::io::sink(), &1);"),
    ("serde_json::to_value", "let _ = serde_json::to_value(1);"),
];

/// Lints of the workspace that hold a house rule, and a breach of each.
const LINTS: &[(&str, &str)] = &[
    ("unwrap", "let _ = Some(1).filter(|n| *n == 2).unwrap();"),
    ("expect", "let _ = Some(1).filter(|n| *n == 2).expect(\"one\");"),
    ("panic", "if std::env::args().count() == 9 { panic!(\"nine\") }"),
    ("todo", "if std::env::args().count() == 9 { todo!() }"),
    ("dbg", "dbg!(1);"),
    ("unsafe", "let _ = unsafe { std::str::from_utf8_unchecked(b\"a\") };"),
];

/// What is approved instead, in every crate.
const APPROVED: &str = r#"//! Approved uses.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc;

use rust_decimal::Decimal;
use rustc_hash::{FxHashMap, FxHashSet};

/// Everything that a ban points to.
pub fn approved() -> Option<Decimal> {
    drop(mpsc::sync_channel::<u8>(1));
    drop(tokio::sync::mpsc::channel::<u8>(1));
    let by_name: BTreeMap<u8, u8> = BTreeMap::new();
    let names: BTreeSet<u8> = BTreeSet::new();
    let fast: FxHashMap<u8, u8> = FxHashMap::default();
    let set: FxHashSet<u8> = FxHashSet::default();
    let count = by_name.len() + names.len() + fast.len() + set.len();
    Decimal::try_from_i128_with_scale(i128::try_from(count).ok()?, 2).ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn tests_may_unwrap() {
        let value = Some(1).filter(|n| *n == 1).unwrap();
        assert_eq!(value, 1);
    }
}
"#;

const LIBRARIES: &str = r#"[dependencies]
futures-channel = { version = "0.3", default-features = false, features = ["std"] }
rust_decimal = { version = "1", default-features = false, features = ["std"] }
rustc-hash = "2"
serde_json = "1"
tokio = { version = "1", default-features = false, features = ["sync"] }
"#;

/// A ban of a `clippy.toml`.
struct Ban {
    path: String,
    reason: String,
}

#[test]
fn every_ban_has_a_case_and_a_reason_that_names_another_way() {
    let mut banned = BTreeSet::new();
    for (place, bans) in all_bans() {
        for Ban { path, reason } in bans {
            assert!(reason.contains("use "), "{place}/clippy.toml: {path}: what to use instead?");
            banned.insert(path);
        }
    }
    let cases: BTreeSet<String> = CASES.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(banned, cases, "left: the clippy.toml files, right: CASES of this test");
}

/// A crate's own file replaces the root's: whatever is banned there has to be repeated.
#[test]
fn a_crates_own_file_repeats_what_no_crate_may_use() {
    let all = all_bans();
    for (place, bans) in &all {
        let own: BTreeSet<(&str, &str)> = bans.iter().map(|b| (&*b.path, &*b.reason)).collect();
        for general in &all["."] {
            let repeated = own.contains(&(&*general.path, &*general.reason));
            assert!(repeated, "{place}/clippy.toml lacks the root's ban of {}", general.path);
        }
    }
    for own in ["crates/model", "crates/venues", "crates/engine"] {
        assert!(all.contains_key(own), "{own} has a clippy.toml");
    }
}

#[test]
fn every_banned_use_fails_the_check_and_the_message_names_another() {
    let folder = TempDir::new().unwrap();
    let mut scratch = Scratch::new(folder.path()).unwrap();
    let mut expected = Vec::new();
    for (place, bans) in all_bans() {
        let member = format!("uses-{}", place.rsplit('/').next().unwrap().replace('.', "root"));
        fill(&mut scratch, &member, &place, &bans, &mut expected);
    }
    let outcome = scratch.run("clippy").unwrap();
    assert!(!outcome.ok, "{}", outcome.text);
    let messages = messages(&outcome.text);
    for Expected { file, parts } in expected {
        let found = messages.iter().any(|message| {
            message.starts_with("error")
                && message.contains(&file)
                && parts.iter().all(|part| message.contains(part.as_str()))
        });
        assert!(found, "no error in {file} with {parts:?}\n{}", outcome.text);
    }
    assert!(!outcome.text.contains("does not refer to"), "{}", outcome.text);
}

#[test]
fn approved_uses_pass() {
    let folder = TempDir::new().unwrap();
    let mut scratch = Scratch::new(folder.path()).unwrap();
    for place in all_bans().keys() {
        let member = format!("approved-{}", place.rsplit('/').next().unwrap().replace('.', "root"));
        scratch.member(&member, LIBRARIES, APPROVED).unwrap();
        copy_config(&scratch, &member, place);
    }
    let Outcome { ok, text } = scratch.run("clippy").unwrap();
    assert!(ok, "{text}");
}

/// What must be said about a file.
struct Expected {
    file: String,
    parts: Vec<String>,
}

/// A member with the `clippy.toml` of `place`, and a file for each of its bans and lints.
fn fill(
    scratch: &mut Scratch,
    member: &str,
    place: &str,
    bans: &[Ban],
    expected: &mut Vec<Expected>,
) {
    let mut lib = String::from("//! Banned uses.\n\n");
    let mut add = |name: &str, body: &str| {
        let import = match body {
            body if body.contains("Decimal::from_f32(") || body.contains("Decimal::from_f64(") => {
                "use rust_decimal::{Decimal, prelude::FromPrimitive};"
            }
            body if body.contains(".to_f") => "use rust_decimal::{Decimal, prelude::ToPrimitive};",
            body if body.contains("Decimal::") => "use rust_decimal::Decimal;",
            _ => "",
        };
        let text =
            format!("//! A case.\n\n{import}\n\n/// A use.\npub fn case() {{\n    {body}\n}}\n");
        let file = format!("{member}/src/{name}.rs");
        scratch.write(&file, &text).unwrap();
        writeln!(lib, "pub mod {name};").unwrap();
        file
    };
    for Ban { path, reason } in bans {
        let body = CASES.iter().find(|(case, _)| case == path).expect("a case in CASES").1;
        let file = add(&path.to_lowercase().replace("::", "_"), body);
        expected
            .push(Expected { file, parts: vec![format!("use of a disallowed"), reason.clone()] });
    }
    for (name, body) in LINTS {
        let file = add(&format!("lint_{name}"), body);
        expected.push(Expected { file, parts: vec![(*name).to_owned()] });
    }
    scratch
        .member(member, LIBRARIES, &lib.replace("pub mod", "#[allow(missing_docs)]\npub mod"))
        .unwrap();
    copy_config(scratch, member, place);
}

fn copy_config(scratch: &Scratch, member: &str, place: &str) {
    let config = fs::read_to_string(house::root().join(place).join("clippy.toml")).unwrap();
    scratch.write(&format!("{member}/clippy.toml"), &config).unwrap();
}

/// All bans by the folder whose `clippy.toml` has them; `.` is the root.
fn all_bans() -> BTreeMap<String, Vec<Ban>> {
    let mut places = vec![".".to_owned()];
    for entry in fs::read_dir(house::root().join("crates")).unwrap().flatten() {
        if entry.path().join("clippy.toml").exists() {
            places.push(format!("crates/{}", entry.file_name().into_string().unwrap()));
        }
    }
    places.into_iter().map(|place| (place.clone(), bans(&place))).collect()
}

fn bans(place: &str) -> Vec<Ban> {
    let text = fs::read_to_string(house::root().join(place).join("clippy.toml")).unwrap();
    let config: Table = text.parse().unwrap();
    let rows = config.iter().filter(|(key, _)| key.starts_with("disallowed-"));
    let rows = rows.flat_map(|(_, rows)| rows.as_array().unwrap());
    rows.map(|row| {
        let field =
            |key| row.get(key).and_then(|v| v.as_str()).expect("path and reason").to_owned();
        Ban { path: field("path"), reason: field("reason") }
    })
    .collect()
}
