//! Letters come back from their lines, files rotate as they are told, and what is wrong is named.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn letter(t_s: u64, seq: u64, detail: &str) -> DeadLetter {
    DeadLetter {
        t: t_s * 1_000_000_000,
        seq,
        reason: "unreadable".into(),
        priority: "normal".into(),
        detail: detail.to_owned(),
        ..DeadLetter::default()
    }
}

fn options(folder: &TempDir, file_bytes_max: u64, files_max: usize) -> FilesOptions {
    FilesOptions { folder: folder.path().join("a/b"), file_bytes_max, files_max }
}

fn names(options: &FilesOptions) -> Vec<String> {
    let files = files_of(&options.folder).unwrap();
    files.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

/// The numbers of all letters in a folder, file by file, and how many lines are torn.
fn numbers(options: &FilesOptions) -> (Vec<u64>, usize) {
    let (mut numbers, mut torn) = (Vec::new(), 0);
    for file in files_of(&options.folder).unwrap() {
        torn += usize::from(read(&file, &mut |letter| numbers.push(letter.seq)).unwrap());
    }
    (numbers, torn)
}

#[test]
fn a_letter_is_written_with_the_fields_that_apply_and_no_others() {
    let mut full = letter(1, 2, "no comma");
    full.provider = Some("spot".into());
    full.set_payload(b"{\"a\":1 2}", 9, 100);
    let expected = "{\"t\":1000000000,\"seq\":2,\"reason\":\"unreadable\",\"priority\":\"normal\",\
                    \"provider\":\"spot\",\"detail\":\"no comma\",\"payload\":\"{\\\"a\\\":1 2}\",\
                    \"bytes\":9}";
    assert_eq!(serde_json::to_string(&full).unwrap(), expected);
    assert_eq!(full.time(), "1970-01-01T00:00:01.000Z");
}

#[test]
fn a_payload_that_is_cut_says_so_and_stays_text_where_it_was() {
    let mut letter = letter(1, 1, "");
    letter.set_payload("aä".as_bytes(), 3, 2);
    assert_eq!((letter.payload.as_deref(), letter.bytes, letter.cut), (Some("a"), 3, true));
    letter.set_payload("aä".as_bytes(), 3, 3);
    assert_eq!((letter.payload.as_deref(), letter.cut), (Some("aä"), false));
    letter.set_payload(b"a\xff", 900, 64);
    assert_eq!((letter.payload.as_deref(), letter.payload_b64.as_deref()), (None, Some("Yf8=")));
    assert_eq!((letter.bytes, letter.cut), (900, true), "it was cut before");
    letter.set_payload(b"a\xc3", 2, 64);
    assert_eq!(letter.payload_b64.as_deref(), Some("YcM="), "whole, and no text");
}

#[test]
fn files_follow_each_other_by_size_and_the_oldest_go() {
    let folder = tempfile::tempdir().unwrap();
    let two = 2 * (serde_json::to_string(&letter(1, 1, "x")).unwrap().len() as u64 + 1);
    let options = options(&folder, two, 3);
    let mut files = Files::open(options.clone()).unwrap();
    for seq in 1..=9 {
        files.write(&letter(seq, seq, "x")).unwrap();
    }
    assert_eq!(
        names(&options),
        [5, 7, 9].map(|s| format!("dead-letters-19700101T00000{s}Z-0001.jsonl"))
    );
    assert_eq!(numbers(&options), ((5..=9).collect(), 0));
    drop(files);
    let mut again = Files::open(options.clone()).unwrap();
    again.write(&letter(8, 10, "")).unwrap();
    assert_eq!(numbers(&options), ((5..=10).collect(), 0), "a restart goes on");
}

#[test]
fn names_of_one_second_and_of_a_clock_that_was_set_back_still_sort() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(&folder, 1, 100);
    let mut files = Files::open(options.clone()).unwrap();
    for (seq, t) in [5, 5, 3, 5, 6].into_iter().enumerate() {
        files.write(&letter(t, seq as u64, "")).unwrap();
    }
    assert_eq!(numbers(&options), ((0..5).collect(), 0));
    assert!(names(&options)[2].starts_with("dead-letters-19700101T000005Z-0003"));
}

#[test]
fn nothing_is_put_behind_a_torn_line() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(&folder, 1_000_000, 9);
    let mut files = Files::open(options.clone()).unwrap();
    files.write(&letter(1, 1, "")).unwrap();
    let path = files_of(&options.folder).unwrap().remove(0);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [&whole[..], &whole[..30]].concat()).unwrap();
    drop(files);
    let mut files = Files::open(options.clone()).unwrap();
    files.write(&letter(2, 2, "")).unwrap();
    assert_eq!(numbers(&options), (vec![1, 2], 1));
    assert_eq!(names(&options).len(), 2);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_with_the_path_and_writing_goes_on_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(&folder, 1_000_000, 9);
    let mut files = Files::open(options.clone()).unwrap();
    let path = options.folder.join("dead-letters-20000101T000000Z-0001.jsonl");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let error = files.write(&letter(1, 1, "")).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    assert!(error.to_string().contains("20000101T000000Z-0001.jsonl: writing: "), "{error}");
    fs::remove_file(path).unwrap();
    files.write(&letter(2, 2, "")).unwrap();
    assert_eq!(numbers(&options), (vec![2], 0));
}

#[test]
fn what_is_no_file_of_dead_letters_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("nowhere");
    assert!(files_of(&missing).unwrap_err().to_string().contains("nowhere: opening: "));
    let empty = files_of(folder.path()).unwrap_err().to_string();
    assert!(empty.contains("dead-letters-….jsonl"), "{empty}");
    let line = serde_json::to_string(&letter(1, 1, "")).unwrap();
    for (wrong, words) in [
        ("nonsense", "expected ident"),
        ("{}", "missing field `t`"),
        ("{\"t\":1}", "missing field `reason`"),
        ("{\"t\":1.5,\"reason\":\"x\",\"priority\":\"low\"}", "floating point"),
        ("[1]", "not a dead letter"),
        ("", "EOF"),
    ] {
        let path: PathBuf = folder.path().join("wrong.jsonl");
        fs::write(&path, format!("{line}\n{wrong}\n{line}\n")).unwrap();
        let error = read(&path, &mut |_| {}).unwrap_err().to_string();
        assert!(error.contains("wrong.jsonl:2: not a dead letter: "), "{error}");
        assert!(error.contains(words) && error.contains("[dead_letters]"), "{words}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
    let long = [b"{".as_slice(), &vec![b' '; LINE_BYTES_MAX as usize]].concat();
    let (at, why) = read_from(&long[..], &mut |_| {}).unwrap_err();
    assert!(at == 1 && why.contains("longer than"), "{why}");
}

fn any_letter() -> impl Strategy<Value = DeadLetter> {
    let name = || prop::option::of("\\PC{0,8}".prop_map(Into::into));
    let parts = (name(), name(), name(), any::<Option<u32>>(), any::<Option<u64>>());
    let payload = prop::collection::vec(any::<u8>(), 0..40);
    (any::<(u64, u64, u64)>(), parts, "(?s).{0,20}", payload, 0..48usize).prop_map(
        |(
            (t, seq, lost),
            (provider, instrument, consumer, conn, trace_id),
            detail,
            payload,
            max,
        )| {
            let (reason, priority) = ("dropped".into(), "low".into());
            let named = (provider, instrument, consumer);
            let (provider, instrument, consumer) = named;
            let some = DeadLetter { t, seq, lost, reason, priority, ..DeadLetter::default() };
            let mut letter =
                DeadLetter { provider, instrument, consumer, conn, trace_id, detail, ..some };
            letter.set_payload(&payload, payload.len(), max);
            letter
        },
    )
}

proptest! {
    #[test]
    fn any_letters_come_back_from_their_lines(
        letters in prop::collection::vec(any_letter(), 0..8),
        cut in 0..4_000usize,
    ) {
        let mut text = Vec::new();
        for letter in &letters {
            serde_json::to_writer(&mut text, letter).unwrap();
            text.push(b'\n');
        }
        let mut back = Vec::new();
        prop_assert_eq!(read_from(&text[..], &mut |letter| back.push(letter)), Ok(false));
        prop_assert_eq!(&back, &letters);
        // Wherever a kill ends it: what is whole before it is read.
        let mut start = Vec::new();
        let cut = cut.min(text.len());
        read_from(&text[..cut], &mut |letter| start.push(letter)).unwrap();
        prop_assert!(letters.starts_with(&start));
        let whole = text[..cut].iter().filter(|byte| **byte == b'\n').count();
        prop_assert!(start.len() == whole || start.len() == whole + 1);
    }

    #[test]
    fn any_text_gives_letters_or_an_error(text in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err((line, why)) = read_from(&text[..], &mut |_| {}) {
            prop_assert!(line > 0 && !why.is_empty());
        }
    }

    /// Against a list: what is on the disk is the end of what was written, within the bounds.
    #[test]
    fn the_newest_letters_are_kept_within_the_bounds(
        sizes in prop::collection::vec((0..300usize, 0..3u64), 1..40),
        file_bytes_max in 100..1_000u64,
        files_max in 1..5usize,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let options = options(&folder, file_bytes_max, files_max);
        let mut files = Files::open(options.clone()).unwrap();
        let (mut t, mut last) = (100, 0);
        for (seq, (size, step)) in (1..).zip(sizes) {
            t += step;
            files.write(&letter(t, seq, &"x".repeat(size))).unwrap();
            last = seq;
        }
        let (kept, torn) = numbers(&options);
        prop_assert_eq!(torn, 0);
        prop_assert!(!kept.is_empty() && kept.iter().copied().eq(last + 1 - kept.len() as u64..=last));
        let paths = files_of(&options.folder).unwrap();
        prop_assert!(paths.len() <= files_max);
        for path in paths {
            let text = fs::read_to_string(&path).unwrap();
            prop_assert!(text.len() as u64 <= file_bytes_max || text.lines().count() == 1);
        }
    }
}
