//! Records what goes over the wires without ever making a wire wait.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use model::capture::{Direction, Tap, Wire};
use model::{ConnId, Nanos};

use super::error::CaptureError;
use super::line::LineRef;
use super::writer::{Writer, WriterOptions, WriterReport};

/// How a recorder works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecorderOptions {
    /// How and where it writes.
    pub writer: WriterOptions,
    /// At most this many lines wait for the disk.
    pub queue_lines_max: usize,
    /// At most this many bytes of payload wait for the disk.
    pub queue_bytes_max: usize,
    /// How long a line may stay in this process before it is handed to the operating system.
    pub flush_after: Duration,
}

impl RecorderOptions {
    /// 16,384 lines and 64 MiB may wait, a second at most.
    #[must_use]
    pub fn new(writer: WriterOptions) -> Self {
        Self {
            writer,
            queue_lines_max: 16_384,
            queue_bytes_max: 64 * 1_024 * 1_024,
            flush_after: Duration::from_secs(1),
        }
    }
}

/// What a recorder recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecorderReport {
    /// What was written.
    pub written: WriterReport,
    /// How many lines were dropped: the queue was full, or the disk had failed.
    pub lost: u64,
}

/// How a recorder is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecorderStatus {
    /// Lines written.
    pub lines: u64,
    /// Lines dropped.
    pub lost: u64,
    /// Bytes of payload that wait for the disk.
    pub waiting_bytes: usize,
    /// Why nothing is written any more, where that is so.
    pub failed: Option<CaptureError>,
}

/// A [`Writer`] on a thread of its own behind a bounded queue.
///
/// **When the queue is full** (by lines, or by bytes of payload) the newest line is dropped and
/// counted, and the next one that gets through carries the number in its field `lost`. Payloads are
/// copied into plain memory, not into pooled `ProviderRaw`s: what waits for a disk must not hold a
/// pool slot, and the bound in bytes keeps the memory in check.
///
/// When the disk fails, recording ends there: later lines are counted as lost,
/// [`status`](Self::status) and [`finish`](Self::finish) say why, and nothing else is touched.
#[derive(Debug)]
pub struct Recorder {
    queue: SyncSender<Message>,
    shared: Arc<Shared>,
    thread: JoinHandle<Result<WriterReport, CaptureError>>,
}

impl Recorder {
    /// Starts the thread. The first file is made with the first line.
    ///
    /// # Errors
    /// When the folder can't be made, the one file exists, or no thread can be had.
    pub fn start(options: RecorderOptions) -> Result<Self, CaptureError> {
        let writer = Writer::new(options.writer)?;
        let shared = Arc::new(Shared { bytes_max: options.queue_bytes_max, ..Shared::default() });
        let (queue, received) = sync_channel(options.queue_lines_max);
        let desk = Desk {
            writer,
            shared: shared.clone(),
            flush_after: options.flush_after,
            flushed: Nanos(0),
            dirty: false,
        };
        let thread = std::thread::Builder::new().name("recorder".into());
        let thread = thread
            .spawn(move || desk.run(&received))
            .map_err(|error| thread_error("starting the recorder's thread", &error))?;
        Ok(Self { queue, shared, thread })
    }

    /// A tap for one provider of the named venue. Connections are called `ws-N` after their
    /// [`ConnId`], requests `http-0`; providers whose connection ids may be equal need recorders of
    /// their own.
    #[must_use]
    pub fn tap(&self, venue: &str) -> RecorderTap {
        RecorderTap {
            queue: self.queue.clone(),
            shared: self.shared.clone(),
            venue: venue.into(),
            urls: BTreeMap::new(),
            lost: 0,
        }
    }

    /// How it is doing.
    #[must_use]
    pub fn status(&self) -> RecorderStatus {
        RecorderStatus {
            lines: self.shared.lines.load(Ordering::Relaxed),
            lost: self.shared.lost.load(Ordering::Relaxed),
            waiting_bytes: self.shared.waiting_bytes.load(Ordering::Relaxed),
            failed: self.shared.failure().clone(),
        }
    }

    /// Writes what waits, ends the file and says what was recorded. Waits for the disk, so it is
    /// not for the shard's thread. Taps that live on count what they see as lost.
    ///
    /// # Errors
    /// What stopped the recording, where something did.
    pub fn finish(self) -> Result<RecorderReport, CaptureError> {
        // An error here means that the thread has ended by itself; joining says why.
        let _ = self.queue.send(Message::Finish);
        let written = self.thread.join().map_err(|_| {
            let error = io::Error::other("it panicked; this is a bug, please report it");
            thread_error("ending the recorder's thread", &error)
        })??;
        Ok(RecorderReport { written, lost: self.shared.lost.load(Ordering::Relaxed) })
    }
}

fn thread_error(doing: &str, error: &io::Error) -> CaptureError {
    CaptureError::io(&PathBuf::from("recorder"), None, doing, error)
}

#[derive(Debug, Default)]
struct Shared {
    bytes_max: usize,
    waiting_bytes: AtomicUsize,
    lines: AtomicU64,
    lost: AtomicU64,
    failure: Mutex<Option<CaptureError>>,
}

impl Shared {
    fn failure(&self) -> std::sync::MutexGuard<'_, Option<CaptureError>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes room for a payload, where there is some. One that is larger than the bound by itself
    /// gets through an empty queue.
    fn take_room(&self, bytes: usize) -> bool {
        let before = self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before > 0 && before.saturating_add(bytes) > self.bytes_max {
            self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        true
    }
}

#[derive(Debug)]
enum Message {
    Line(Entry),
    Finish,
}

#[derive(Debug)]
struct Entry {
    t: Nanos,
    venue: Arc<str>,
    /// Which WebSocket connection; none for a request.
    conn: Option<ConnId>,
    direction: Direction,
    url: Arc<str>,
    data: Vec<u8>,
    status: Option<u16>,
    method: Option<&'static str>,
    lost: u64,
}

/// What one provider's wires are shown to: copies what goes by into the recorder's queue.
#[derive(Debug)]
pub struct RecorderTap {
    queue: SyncSender<Message>,
    shared: Arc<Shared>,
    venue: Arc<str>,
    /// The addresses of open connections, so that a frame costs no copy of one that can be long.
    urls: BTreeMap<ConnId, Arc<str>>,
    /// Lines dropped since the last one that got through.
    lost: u64,
}

impl RecorderTap {
    fn url(&mut self, conn: ConnId, url: &str) -> Arc<str> {
        let known = self.urls.entry(conn).or_insert_with(|| url.into());
        if &**known != url {
            *known = url.into();
        }
        known.clone()
    }

    fn put(&mut self, entry: Entry, payload: &[u8]) {
        if !self.shared.take_room(payload.len()) {
            return self.drop_line();
        }
        let message = Message::Line(Entry { data: payload.to_vec(), lost: self.lost, ..entry });
        match self.queue.try_send(message) {
            Ok(()) => self.lost = 0,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.shared.waiting_bytes.fetch_sub(payload.len(), Ordering::Relaxed);
                self.drop_line();
            }
        }
    }

    fn drop_line(&mut self) {
        if self.lost == 0 {
            tracing::warn!(venue = &*self.venue, "recorder is behind: lines are being dropped");
        }
        self.lost += 1;
        self.shared.lost.fetch_add(1, Ordering::Relaxed);
    }

    fn entry(&self, t: Nanos, conn: Option<ConnId>, direction: Direction, url: Arc<str>) -> Entry {
        Entry {
            t,
            venue: self.venue.clone(),
            conn,
            direction,
            url,
            data: Vec::new(),
            status: None,
            method: None,
            lost: 0,
        }
    }
}

impl Tap for RecorderTap {
    fn opened(&mut self, now: Nanos, conn: ConnId, url: &str) {
        let url = self.url(conn, url);
        self.put(self.entry(now, Some(conn), Direction::Open, url), b"");
    }

    fn closed(&mut self, now: Nanos, conn: ConnId, url: &str, why: &str) {
        let url = self.url(conn, url);
        self.urls.remove(&conn);
        self.put(self.entry(now, Some(conn), Direction::Close, url), why.as_bytes());
    }

    fn frame(&mut self, now: Nanos, conn: ConnId, direction: Direction, url: &str, payload: &[u8]) {
        let url = self.url(conn, url);
        self.put(self.entry(now, Some(conn), direction, url), payload);
    }

    fn requested(&mut self, now: Nanos, method: &'static str, url: &str) {
        let entry = self.entry(now, None, Direction::Out, url.into());
        self.put(Entry { method: Some(method), ..entry }, b"");
    }

    fn answered(&mut self, now: Nanos, url: &str, status: u16, body: &[u8]) {
        let entry = self.entry(now, None, Direction::In, url.into());
        self.put(Entry { status: Some(status), ..entry }, body);
    }
}

/// The thread's side of the queue.
struct Desk {
    writer: Writer,
    shared: Arc<Shared>,
    flush_after: Duration,
    flushed: Nanos,
    dirty: bool,
}

impl Desk {
    fn run(mut self, queue: &Receiver<Message>) -> Result<WriterReport, CaptureError> {
        let written = self.write_all(queue).and_then(|()| self.writer.finish());
        if let Err(error) = &written {
            tracing::error!(%error, "recording has stopped");
            *self.shared.failure() = Some(error.clone());
        }
        // What still waits is lost, and so is what comes: senders will see the queue closed.
        for message in queue.try_iter() {
            if let Message::Line(entry) = message {
                self.shared.waiting_bytes.fetch_sub(entry.data.len(), Ordering::Relaxed);
                self.shared.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
        written
    }

    fn write_all(&mut self, queue: &Receiver<Message>) -> Result<(), CaptureError> {
        loop {
            match queue.recv_timeout(self.flush_after) {
                Ok(Message::Line(entry)) => self.write(&entry)?,
                Ok(Message::Finish) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => self.flush()?,
            }
        }
    }

    fn write(&mut self, entry: &Entry) -> Result<(), CaptureError> {
        let conn = entry.conn.map_or_else(|| "http-0".to_owned(), |conn| format!("ws-{conn}"));
        let written = self.writer.write(&LineRef {
            t: entry.t,
            venue: &entry.venue,
            conn: &conn,
            wire: if entry.conn.is_some() { Wire::Ws } else { Wire::Http },
            direction: entry.direction,
            url: &entry.url,
            data: &entry.data,
            status: entry.status,
            method: entry.method,
            lost: entry.lost,
        });
        self.shared.waiting_bytes.fetch_sub(entry.data.len(), Ordering::Relaxed);
        if let Err(error) = written {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            return Err(error);
        }
        self.shared.lines.fetch_add(1, Ordering::Relaxed);
        self.dirty = true;
        if entry.t.since(self.flushed) >= self.flush_after {
            self.flushed = entry.t;
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), CaptureError> {
        if std::mem::take(&mut self.dirty) {
            self.writer.flush()?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "recorder/tests.rs"]
mod tests;
