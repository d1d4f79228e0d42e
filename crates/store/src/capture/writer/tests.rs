//! What a writer writes, and how it names it.

use model::capture::{CaptureLine, Direction, Wire};
use proptest::prelude::*;

use super::super::reader::Reader;
use super::*;

const SECOND: u64 = 1_000_000_000;

fn line(t: u64, data: &[u8]) -> CaptureLine {
    CaptureLine {
        t: Nanos(t),
        venue: "binance".into(),
        conn: "ws-1".into(),
        wire: Wire::Ws,
        direction: Direction::In,
        url: "wss://h/stream?streams=a".into(),
        data: data.to_vec(),
        status: None,
    }
}

fn names(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn read(path: &Path) -> Vec<CaptureLine> {
    Reader::open(path).unwrap().map(Result::unwrap).collect()
}

#[test]
fn a_file_has_its_name_only_when_it_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::new(WriterOptions::stamped(folder.path(), "b")).unwrap();
    assert!(names(folder.path()).is_empty());
    writer.write(&(&line(1_633_998_511 * SECOND, b"x")).into()).unwrap();
    assert_eq!(names(folder.path()), ["b-20211012T002831Z-1.jsonl.zst.part"]);
    writer.flush().unwrap();
    let part = folder.path().join("b-20211012T002831Z-1.jsonl.zst.part");
    let mut reader = Reader::open(part).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().data, b"x");

    let report = writer.finish().unwrap();
    assert_eq!(names(folder.path()), ["b-20211012T002831Z-1.jsonl.zst"]);
    assert_eq!((report.lines, report.files), (1, 1));
    assert_eq!(read(&report.paths[0]).len(), 1);
}

#[test]
fn files_end_by_size_and_by_age_and_never_share_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = WriterOptions::stamped(folder.path(), "b");
    options.compress = false;
    options.file_bytes_max = 300;
    options.file_age_max = Duration::from_secs(60);
    let mut writer = Writer::new(options).unwrap();
    for t in [0, 0, 0, 60 * SECOND - 1, 59 * SECOND, 120 * SECOND] {
        writer.write(&(&line(t, &[b'x'; 20])).into()).unwrap();
    }
    let report = writer.finish().unwrap();
    assert_eq!(
        names(folder.path()),
        [
            "b-19700101T000000Z-1.jsonl", // two lines of 130 bytes
            "b-19700101T000000Z-2.jsonl", // two more, the second a nanosecond before the minute
            "b-19700101T000059Z-1.jsonl", // one, ended by its age
            "b-19700101T000200Z-1.jsonl",
        ]
    );
    assert_eq!((report.lines, report.files, report.paths.len()), (6, 4, 4));
    let lines: usize = report.paths.iter().map(|path| read(path).len()).sum();
    assert_eq!(lines, 6);
}

#[test]
fn a_line_larger_than_a_file_may_be_gets_a_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = WriterOptions::stamped(folder.path(), "b");
    options.file_bytes_max = 10;
    let mut writer = Writer::new(options).unwrap();
    writer.write(&(&line(1, b"first")).into()).unwrap();
    writer.write(&(&line(2, b"second")).into()).unwrap();
    assert_eq!(writer.finish().unwrap().files, 2);
}

#[test]
fn one_named_file_is_never_overwritten_and_never_rotated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.jsonl");
    let mut writer = Writer::new(WriterOptions::file(&path)).unwrap();
    for t in 0..100 {
        writer.write(&(&line(t * 3_600 * SECOND, b"x")).into()).unwrap();
    }
    assert_eq!(writer.finish().unwrap().files, 1);
    assert_eq!(read(&path).len(), 100);
    let error = Writer::new(WriterOptions::file(&path)).unwrap_err();
    assert!(error.to_string().contains("never overwritten"), "{error}");
}

#[test]
fn a_folder_that_can_not_be_made_and_a_full_disk_are_errors_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    let error = Writer::new(WriterOptions::stamped(file.join("sub"), "b")).unwrap_err();
    assert!(error.to_string().contains("making the folder failed"), "{error}");

    if Path::new("/dev/full").exists() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut current = Current {
            part: "/dev/full".into(),
            path: "x".into(),
            sink: Sink::new(full, false).unwrap(),
            begun: Nanos(0),
            bytes: 0,
        };
        current.write(b"line\n").unwrap();
        let error = current.end().unwrap_err();
        assert!(error.to_string().contains("free some space"), "{error}");
    }
}

#[test]
fn an_empty_writer_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::new(WriterOptions::stamped(folder.path().join("deep/er"), "b")).unwrap();
    assert_eq!(writer.finish().unwrap(), WriterReport::default());
    assert!(names(&folder.path().join("deep/er")).is_empty());
}

fn any_line() -> impl Strategy<Value = CaptureLine> {
    let payload = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        any::<String>().prop_map(String::into_bytes),
    ];
    let direction = prop::sample::select(vec![
        Direction::Open,
        Direction::Out,
        Direction::In,
        Direction::Close,
    ]);
    let wire = prop::sample::select(vec![Wire::Ws, Wire::Http]);
    let names = (any::<String>(), any::<String>(), any::<String>());
    (any::<u64>(), names, wire, direction, payload, any::<Option<u16>>()).prop_map(
        |(t, (venue, conn, url), wire, direction, data, status)| CaptureLine {
            t: Nanos(t),
            venue,
            conn,
            wire,
            direction,
            url,
            data,
            status,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read_again(
        lines in prop::collection::vec(any_line(), 1..20),
        compress: bool,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let name = if compress { "a.jsonl.zst" } else { "a.jsonl" };
        let path = folder.path().join(name);
        let mut writer = Writer::new(WriterOptions::file(&path)).unwrap();
        for line in &lines {
            writer.write(&line.into()).unwrap();
        }
        writer.finish().unwrap();
        prop_assert_eq!(read(&path), lines);
    }
}
