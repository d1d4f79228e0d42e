//! `meltica dead-letters` as a shell sees it: what is printed where, and the exit codes.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use store::dead_letters::{DeadLetter, Files, FilesOptions};

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meltica"));
    let output = command.arg("dead-letters").args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A folder of three files with one letter each.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let kept = tempfile::tempdir().unwrap();
    let folder = kept.path().join("letters");
    let options = FilesOptions { folder: folder.clone(), file_bytes_max: 1, files_max: 9 };
    let mut files = Files::open(options).unwrap();
    let mut letter = DeadLetter {
        t: 1_780_000_000_500_000_000,
        seq: 1,
        reason: "unreadable".into(),
        priority: "normal".into(),
        provider: Some("spot".into()),
        conn: Some(4),
        detail: "expected a comma at byte 7".into(),
        ..DeadLetter::default()
    };
    letter.set_payload(b"{\"a\":1\n2}", 9, 8);
    files.write(&letter).unwrap();
    for (seq, consumer) in [(2, "table"), (3, "strategy")] {
        let letter = DeadLetter {
            t: letter.t + seq * 1_000_000_000,
            seq,
            reason: "dropped".into(),
            priority: "low".into(),
            provider: Some("spot".into()),
            consumer: Some(consumer.into()),
            lost: 5,
            ..DeadLetter::default()
        };
        files.write(&letter).unwrap();
    }
    (kept, folder)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn object(out: &str) -> Value {
    assert_eq!(out.matches('\n').count(), 1, "{out}");
    serde_json::from_str(out).unwrap()
}

#[test]
fn letters_are_shown_with_what_is_known_of_them_oldest_first() {
    let (_kept, folder) = folder();
    let (code, out, err) = run(&[text(&folder)]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let lines: Vec<_> = out.lines().collect();
    let first = "2026-05-28T20:26:40.500Z  unreadable      spot conn 4: expected a comma at byte 7";
    assert_eq!(lines[..2], [first, "    {\"a\":1 2 … (9 bytes)"]);
    assert!(lines[2].contains(" consumer table: ") && lines[3].contains(" consumer strategy: "));
    let last = "3 letters shown; 3 in 3 files, and 10 more were counted and not kept";
    assert_eq!(lines[4], last);
}

#[test]
fn filters_leave_what_was_asked_for_and_json_is_one_object() {
    let (_kept, folder) = folder();
    for (arguments, seqs, matched) in [
        (&["--reason", "dropped"][..], &[2, 3][..], 2),
        (&["--consumer", "table"], &[2], 1),
        (&["--provider", "spot", "--tail", "1"], &[3], 3),
        (&["--provider", "usdm"], &[], 0),
        (&["--since", "2026-05-28T20:26:42"], &[2, 3], 2),
        (&["--since", "1s"], &[], 0),
    ] {
        let (code, out, err) = run(&[&[text(&folder), "--json"], arguments].concat());
        assert_eq!((code, err.as_str()), (Some(0), ""), "{arguments:?}");
        let found = object(&out);
        let letters = found["letters"].as_array().unwrap();
        let shown: Vec<_> = letters.iter().map(|letter| letter["seq"].as_u64().unwrap()).collect();
        assert_eq!(shown, seqs, "{arguments:?}");
        assert_eq!((&found["matched"], &found["read"]), (&matched.into(), &3.into()));
        assert_eq!((&found["files"], &found["torn"]), (&3.into(), &0.into()));
    }
}

#[test]
fn what_is_wrong_is_told_and_nothing_is_printed() {
    let (kept, folder) = folder();
    let wrong = kept.path().join("wrong.jsonl");
    std::fs::write(&wrong, "{\"t\":1}\n{}\n").unwrap();
    let missing = kept.path().join("missing");
    for (arguments, code, words) in [
        (vec![text(&wrong)], 1, "wrong.jsonl:1: not a dead letter: missing field `reason`"),
        (vec![text(&missing)], 1, "missing: opening: "),
        (vec![text(kept.path())], 1, "no file in this folder is called dead-letters-"),
        (vec![text(&folder), "--since", "noon"], 2, "--since noon: expected a duration"),
        (vec![text(&folder), "--reason", "other"], 2, "late_fragment, late, unmapped, unreadable"),
        (vec![text(&folder), "--tail", "0"], 2, "--tail"),
        (vec![], 2, "<PATH>..."),
    ] {
        for json in [&[][..], &["--json"]] {
            let (found, out, err) = run(&[&arguments[..], json].concat());
            assert_eq!((found, out.as_str()), (Some(code), ""), "{arguments:?}: {err}");
            assert!(err.contains(words), "{arguments:?}: {err}");
        }
    }
}
