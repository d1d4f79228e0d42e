//! What a recorder keeps, what it drops, and how it says so.

use std::path::Path;

use super::super::reader::Reader;
use super::*;
use model::capture::CaptureLine;

fn options(path: &Path) -> RecorderOptions {
    RecorderOptions::new(WriterOptions::file(path))
}

fn read(path: &Path) -> Vec<CaptureLine> {
    Reader::open(path).unwrap().map(Result::unwrap).collect()
}

#[test]
fn everything_a_wire_shows_becomes_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl.zst");
    let recorder = Recorder::start(options(&path)).unwrap();
    let mut tap: Box<dyn Tap> = Box::new(recorder.tap("binance"));
    tap.requested(Nanos(1), "GET", "https://h/info");
    tap.answered(Nanos(2), "https://h/info", 200, b"{}");
    tap.opened(Nanos(3), ConnId(7), "wss://h/stream");
    tap.frame(Nanos(4), ConnId(7), Direction::Out, "wss://h/stream", b"sub");
    tap.frame(Nanos(5), ConnId(7), Direction::In, "wss://h/stream", &[0xff, 0x00]);
    tap.closed(Nanos(6), ConnId(7), "wss://h/stream", "1006 gone");
    let report = recorder.finish().unwrap();
    assert_eq!((report.written.lines, report.lost), (6, 0));

    let lines = read(&path);
    let seen: Vec<_> = lines.iter().map(|l| (l.conn.as_str(), l.wire, l.direction)).collect();
    assert_eq!(
        seen,
        [
            ("http-0", Wire::Http, Direction::Out),
            ("http-0", Wire::Http, Direction::In),
            ("ws-7", Wire::Ws, Direction::Open),
            ("ws-7", Wire::Ws, Direction::Out),
            ("ws-7", Wire::Ws, Direction::In),
            ("ws-7", Wire::Ws, Direction::Close),
        ]
    );
    assert_eq!(lines[1].status, Some(200));
    assert_eq!(lines[4].data, [0xff, 0x00]);
    assert_eq!(lines[5].data, b"1006 gone");
    assert!(lines.iter().all(|line| line.venue == "binance"));
    assert!(lines.iter().enumerate().all(|(at, line)| line.t == Nanos(at as u64 + 1)));
}

/// A tap whose queue nobody empties, as if the disk had stalled.
fn stalled(lines_max: usize, bytes_max: usize) -> (RecorderTap, Receiver<Message>) {
    let (queue, received) = sync_channel(lines_max);
    let shared = Arc::new(Shared { bytes_max, ..Shared::default() });
    (RecorderTap { queue, shared, venue: "v".into(), urls: BTreeMap::new(), lost: 0 }, received)
}

fn entry(message: Message) -> Entry {
    let Message::Line(entry) = message else { panic!("a line") };
    entry
}

#[test]
fn a_full_queue_drops_counts_and_says_so_on_the_next_line() {
    let (mut tap, received) = stalled(2, 1_000);
    for n in 0..5 {
        tap.frame(Nanos(n), ConnId(1), Direction::In, "u", b"x");
    }
    assert_eq!(tap.shared.lost.load(Ordering::Relaxed), 3);
    assert_eq!(tap.shared.waiting_bytes.load(Ordering::Relaxed), 2);
    assert_eq!(entry(received.recv().unwrap()).lost, 0);
    tap.frame(Nanos(9), ConnId(1), Direction::In, "u", b"x");
    tap.frame(Nanos(10), ConnId(1), Direction::In, "u", b"x");
    assert_eq!(entry(received.recv().unwrap()).lost, 0);
    let next = entry(received.recv().unwrap());
    assert_eq!((next.t, next.lost), (Nanos(9), 3));
}

#[test]
fn waiting_bytes_are_bounded_and_one_huge_payload_still_gets_through() {
    let (mut tap, received) = stalled(100, 10);
    tap.frame(Nanos(1), ConnId(1), Direction::In, "u", &[b'x'; 50]);
    tap.frame(Nanos(2), ConnId(1), Direction::In, "u", b"y");
    assert_eq!(tap.shared.lost.load(Ordering::Relaxed), 1);
    assert_eq!(entry(received.recv().unwrap()).data.len(), 50);
}

#[test]
fn an_address_is_kept_while_its_connection_is_open_only() {
    let (mut tap, received) = stalled(100, 1_000);
    tap.opened(Nanos(1), ConnId(1), "u");
    tap.frame(Nanos(2), ConnId(1), Direction::In, "u", b"x");
    let (first, second) = (entry(received.recv().unwrap()), entry(received.recv().unwrap()));
    assert!(Arc::ptr_eq(&first.url, &second.url));
    tap.closed(Nanos(3), ConnId(1), "u", "");
    assert!(tap.urls.is_empty());
}

#[test]
fn a_failing_disk_ends_the_recording_with_its_reason_and_harms_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("gone");
    let recorder =
        Recorder::start(RecorderOptions::new(WriterOptions::stamped(&inner, "b"))).unwrap();
    std::fs::remove_dir(&inner).unwrap();
    let mut tap = recorder.tap("v");
    tap.opened(Nanos(1), ConnId(1), "u");
    // The thread ends on the first line; from then on the queue is closed.
    while !recorder.thread.is_finished() {
        std::thread::yield_now();
    }
    tap.frame(Nanos(2), ConnId(1), Direction::In, "u", b"x");
    let status = recorder.status();
    assert_eq!((status.lines, status.lost, status.waiting_bytes), (0, 2, 0));
    assert!(status.failed.unwrap().to_string().contains("making the capture file failed"));
    let error = recorder.finish().unwrap_err();
    assert!(error.to_string().contains("check the path"), "{error}");
    tap.frame(Nanos(3), ConnId(1), Direction::In, "u", b"x");
}

#[test]
fn lines_reach_the_file_before_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let recorder = Recorder::start(options(&path)).unwrap();
    let mut tap = recorder.tap("v");
    // The first line is older than a flush interval by its own clock, so it is flushed at once.
    tap.opened(Nanos(5_000_000_000), ConnId(1), "u");
    while recorder.status().lines == 0 {
        std::thread::yield_now();
    }
    tap.opened(Nanos(7_000_000_000), ConnId(2), "u");
    while recorder.status().lines == 1 {
        std::thread::yield_now();
    }
    let part = folder.path().join("a.jsonl.part");
    assert!(!read(&part).is_empty());
    recorder.finish().unwrap();
    assert_eq!(read(&path).len(), 2);
}
