//! The log that execution events are read back from: what the engine asks of it, and one in memory.
//!
//! A consumer's window over its execution events is bounded, and what does not fit is never dropped:
//! it is in the log already, because only what the log has is handed to the engine at all. When the
//! consumer goes on, the engine asks ([`LogRequest::Read`]), goes on with its work, and is given the
//! answer ([`Page`]) some turns later. The log may therefore stand on another thread and on a disk;
//! the ledger is one of its kind, and [`MemoryLog`] the one for tests and for a gateway without it.
//!
//! An execution event stands in the log under the position that its header's `seq_provider` says.
//! Positions grow; those of one consumer need not be without gaps.

use std::collections::{BTreeMap, VecDeque};

use model::{Body, ConsumerId, Error, Event, Header, Kind, ProviderId, Stream};

use crate::catalog::Catalog;

/// What a consumer's window asks of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogRequest {
    /// The consumer's events behind a position, to be answered with one [`Page`].
    Read {
        /// Whose.
        consumer: ConsumerId,
        /// Behind this position.
        after: u64,
        /// At most so many.
        limit: usize,
    },
    /// The consumer has dealt with everything up to a position; not answered. A later one covers the
    /// earlier.
    Acknowledge {
        /// Who.
        consumer: ConsumerId,
        /// Up to and with this position.
        position: u64,
    },
}

/// The answer to a [`LogRequest::Read`].
#[derive(Debug)]
pub struct Page {
    /// Whose events.
    pub consumer: ConsumerId,
    /// Behind which position.
    pub after: u64,
    /// All that the log has behind it, oldest first, up to the limit: fewer than the limit mean that
    /// there were no more. What was handed to the engine before it asked must be among them. An error
    /// is asked again later.
    pub events: Result<Vec<Event>, Error>,
}

/// A log of execution events, on whatever thread it stands.
pub trait ExecLog {
    /// A consumer's events behind a position, oldest first, at most `limit`.
    ///
    /// # Errors
    /// When the log can't be read now.
    fn read(&mut self, consumer: ConsumerId, after: u64, limit: usize)
    -> Result<Vec<Event>, Error>;

    /// Keeps that a consumer has dealt with everything up to a position.
    ///
    /// # Errors
    /// When that can't be kept now.
    fn acknowledge(&mut self, consumer: ConsumerId, position: u64) -> Result<(), Error>;

    /// Does what the engine asks; a page where it is to be answered.
    ///
    /// # Errors
    /// When an acknowledgement can't be kept. A read that fails is answered with a page that says so.
    fn serve(&mut self, request: LogRequest) -> Result<Option<Page>, Error> {
        match request {
            LogRequest::Read { consumer, after, limit } => {
                let events = self.read(consumer, after, limit);
                Ok(Some(Page { consumer, after, events }))
            }
            LogRequest::Acknowledge { consumer, position } => {
                self.acknowledge(consumer, position).map(|()| None)
            }
        }
    }
}

/// An execution event as consumers get it, from a report and its position in the log. Numbers are
/// handed out for names that are new; a name for which there is no room any more has the highest
/// number there is, and stands in the report.
#[must_use]
pub fn exec_event(
    position: u64,
    report: std::sync::Arc<model::ledger::Report>,
    catalog: &Catalog,
) -> Event {
    let provider = catalog.provider(&report.provider).unwrap_or(ProviderId(u16::MAX));
    let instrument = catalog.instrument(&report.instrument);
    let instrument = instrument.unwrap_or(model::InstrumentId(u32::MAX));
    let header = Header {
        stream: Stream { provider, instrument, kind: Kind::ExecReport },
        seq_provider: Some(position),
        ts_event: report.ts_event,
        ts_recv: report.ts_recv,
        ..Header::default()
    };
    Event { header, body: Body::Exec(report), levels: None }
}

/// A log in memory: bounded, and gone with the process. What a consumer has acknowledged makes room.
#[derive(Debug)]
pub struct MemoryLog {
    consumers: BTreeMap<ConsumerId, Unread>,
    /// How many events all of them have not acknowledged.
    held: usize,
    position: u64,
    capacity: usize,
}

/// What one consumer has not acknowledged, in the order of positions.
#[derive(Debug, Default)]
struct Unread {
    events: VecDeque<(u64, Event)>,
    acknowledged: u64,
}

impl MemoryLog {
    /// An empty one, for at most `capacity` events that are not acknowledged.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { consumers: BTreeMap::new(), held: 0, position: 0, capacity }
    }

    /// Keeps an event, and gives it with its position.
    ///
    /// # Errors
    /// [`Remedy::Reject`](model::Remedy::Reject) where as many as may are not acknowledged.
    pub fn append(&mut self, consumer: ConsumerId, mut event: Event) -> Result<Event, Error> {
        if self.held >= self.capacity {
            return Err(Error::reject(format!(
                "the log holds its limit of {} events that are not acknowledged",
                self.capacity
            )));
        }
        self.position += 1;
        event.header.seq_provider = Some(self.position);
        self.held += 1;
        let unread = self.consumers.entry(consumer).or_default();
        unread.events.push_back((self.position, event.clone()));
        Ok(event)
    }

    /// Up to which position a consumer has acknowledged; 0 where it never did.
    #[must_use]
    pub fn acknowledged(&self, consumer: ConsumerId) -> u64 {
        self.consumers.get(&consumer).map_or(0, |unread| unread.acknowledged)
    }
}

impl ExecLog for MemoryLog {
    fn read(
        &mut self,
        consumer: ConsumerId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Event>, Error> {
        let Some(unread) = self.consumers.get(&consumer) else { return Ok(Vec::new()) };
        let from = unread.events.partition_point(|(position, _)| *position <= after);
        Ok(unread.events.range(from..).take(limit).map(|(_, event)| event.clone()).collect())
    }

    fn acknowledge(&mut self, consumer: ConsumerId, position: u64) -> Result<(), Error> {
        let unread = self.consumers.entry(consumer).or_default();
        unread.acknowledged = position.max(unread.acknowledged);
        let read = unread.events.partition_point(|(at, _)| *at <= unread.acknowledged);
        self.held -= unread.events.drain(..read).count();
        Ok(())
    }
}
