//! The `[dead_letters]` section: what it may say, and what is wrong about the rest.
#![allow(clippy::unwrap_used, clippy::panic)]

use meltica::config::{DeadLetters, load_str};

const GOOD: &str = r#"
[[provider]]
name = "spot"
venue = "binance"
instruments = ["BTC-USDT"]
[dead_letters]
"#;

/// The one fault of a section with that line: its key and value, and what is expected.
#[track_caller]
fn fault(line: &str) -> (String, String, String) {
    let mut faults = load_str(&format!("{GOOD}{line}\n"), &[]).unwrap_err();
    assert_eq!(faults.len(), 1, "{line}: {faults:?}");
    let fault = faults.remove(0);
    (fault.key, fault.value, fault.expected)
}

#[test]
fn what_is_written_goes_over_the_defaults_and_the_environment_over_that() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("not/yet/there");
    let text = format!("{GOOD}folder = {below:?}\nmax_bytes = \"1MiB\"\nmax_files = 2\n");
    let variable = ("MELTICA_DEAD_LETTERS_MAX_FILES".to_owned(), "3".to_owned());
    let config = load_str(&text, &[variable]).unwrap();
    let expected = DeadLetters {
        folder: Some(below.clone()),
        bytes_max: 1 << 20,
        files_max: 3,
        ..DeadLetters::default()
    };
    assert_eq!(config.dead_letters, expected);
    assert!(!below.exists(), "a check makes nothing");
    assert_eq!(load_str(GOOD, &[]).unwrap().dead_letters, DeadLetters::default());
}

#[test]
fn what_is_wrong_is_told_with_what_would_be_right() {
    for (line, key, value, words) in [
        ("max_entries = 0", "max_entries", "0", "from 1 to 1000000"),
        ("max_bytes = 1000000", "max_bytes", "1000000", "in quotation marks"),
        ("max_bytes = \"1KiB\"", "max_bytes", "1KiB", "from 1MiB to 4GiB"),
        ("max_payload = \"65KiB\"", "max_payload", "65KiB", "from 256B to 64KiB"),
        ("file_size = \"16MB\"", "file_size", "16MB", "such as \"16MiB\""),
        ("max_files = 1001", "max_files", "1001", "from 1 to 1000"),
        ("folder = \"\"", "folder", "\"\"", "the path of a folder"),
        ("folder = 7", "folder", "7", "in quotation marks"),
        ("file = \"x\"", "file", "x", "folder, max_entries, max_bytes"),
    ] {
        let (found, shown, expected) = fault(line);
        assert_eq!((&*found, &*shown), (&*format!("dead_letters.{key}"), value), "{line}");
        assert!(expected.contains(words), "{line}: {expected}");
    }
}

#[test]
fn a_folder_below_a_file_is_told_with_the_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for path in [file.path().to_owned(), file.path().join("a/b")] {
        let (_, _, expected) = fault(&format!("folder = {path:?}"));
        let name = file.path().file_name().unwrap().to_str().unwrap();
        assert!(expected.contains(name) && expected.contains("is none"), "{expected}");
    }
}
