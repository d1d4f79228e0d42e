//! What was asked and is not answered.
//!
//! Whatever is put in here comes out exactly once: by its answer, with its connection, or by its time.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{ConnId, Nanos, RequestId};

/// An answer that is not there after so long is lost.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// So many may be open; more are not sent.
const OPEN_MAX: usize = 4_096;

#[derive(Debug)]
struct Open<J> {
    job: J,
    conn: Option<ConnId>,
    due: Nanos,
}

/// Requests of both ways, under one count of ids.
#[derive(Debug)]
pub struct Tickets<J> {
    open: BTreeMap<RequestId, Open<J>>,
    next: u64,
}

impl<J> Default for Tickets<J> {
    fn default() -> Self {
        Self { open: BTreeMap::new(), next: 1 }
    }
}

impl<J> Tickets<J> {
    /// An id that was never used.
    pub fn next_id(&mut self) -> RequestId {
        let id = RequestId(self.next);
        self.next += 1;
        id
    }

    /// Whether one more would be too many.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.open.len() >= OPEN_MAX
    }

    /// Something was asked, on a connection where one is given.
    pub fn open(&mut self, id: RequestId, job: J, conn: Option<ConnId>, now: Nanos) {
        self.open.insert(id, Open { job, conn, due: now + ANSWER_WITHIN });
    }

    /// Something was asked that the session repeats until it is answered.
    pub fn open_for_ever(&mut self, id: RequestId, job: J) {
        self.open.insert(id, Open { job, conn: None, due: Nanos(u64::MAX) });
    }

    /// What that was; `None` for what is answered, lost or not ours.
    pub fn take(&mut self, id: RequestId) -> Option<J> {
        self.open.remove(&id).map(|open| open.job)
    }

    /// What that is, and stays.
    #[must_use]
    pub fn get(&self, id: RequestId) -> Option<&J> {
        self.open.get(&id).map(|open| &open.job)
    }

    /// All that was asked on a connection that is gone.
    pub fn take_of_conn(&mut self, conn: ConnId) -> Vec<J> {
        self.take_all(|open| open.conn == Some(conn))
    }

    /// All whose time is over.
    pub fn take_due(&mut self, now: Nanos) -> Vec<J> {
        self.take_all(|open| open.due <= now)
    }

    /// When the next one's time is over.
    #[must_use]
    pub fn due(&self) -> Option<Nanos> {
        self.open.values().map(|open| open.due).min().filter(|due| due.0 < u64::MAX)
    }

    fn take_all(&mut self, which: impl Fn(&Open<J>) -> bool) -> Vec<J> {
        let ids: Vec<_> =
            self.open.iter().filter(|(_, open)| which(open)).map(|(id, _)| *id).collect();
        ids.into_iter().filter_map(|id| self.take(id)).collect()
    }
}
