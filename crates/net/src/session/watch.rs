//! Notices which messages of a connection really carry data (acknowledgements and greetings decode to
//! nothing, so what counts is that the venue filled an event) and, of two connections, which of
//! them was first.

use model::book::Book;
use model::event::{Kind, Reason, StreamState};
use model::trading::Heard;
use model::venue::{Count, Discard, Notice, Pipeline};
use model::{CanonicalEvent, ConnId, Error, ExecReport, Instrument, InstrumentId, Nanos};
use pool::LocalPooled;

use super::race::{self, Race};

/// The pipeline, watched. In the way until a connection's first data; always where a link has two
/// connections.
pub(super) struct Watch<'a> {
    pub(super) inner: &'a mut dyn Pipeline,
    pub(super) saw_data: bool,
    /// Where it is counted who was first, with the connection's seat and the time.
    pub(super) race: Option<(&'a mut Race, usize, Nanos)>,
}

impl Pipeline for Watch<'_> {
    fn event(&mut self) -> Option<LocalPooled<CanonicalEvent>> {
        self.inner.event()
    }

    fn emit(&mut self, event: LocalPooled<CanonicalEvent>) -> bool {
        self.saw_data = true;
        let key = self.race.as_ref().and_then(|_| race::key(&event.header));
        let is_new = self.inner.emit(event);
        match &mut self.race {
            Some((race, seat, now)) if is_new => race.first(*seat, key, *now),
            Some((race, seat, now)) => race.again(*seat, key, *now),
            None => {}
        }
        is_new
    }

    fn derive(&mut self, event: LocalPooled<CanonicalEvent>) {
        self.inner.derive(event);
    }

    fn discard(&mut self, event: LocalPooled<CanonicalEvent>, why: Discard) {
        // While two connections overlap, the new one's data are mostly duplicates: data all the same.
        self.saw_data = true;
        match (&mut self.race, why) {
            (Some((race, seat, now)), Discard::Duplicate) => {
                race.again(*seat, race::key(&event.header), *now);
            }
            (Some((race, seat, now)), Discard::Early) => {
                race.first(*seat, race::key(&event.header), *now);
            }
            _ => {}
        }
        self.inner.discard(event, why);
    }

    fn status(&mut self, instrument: InstrumentId, of: Kind, state: StreamState, reason: Reason) {
        self.inner.status(instrument, of, state, reason);
    }

    fn count(&mut self, instrument: InstrumentId, kind: Kind, what: Count) {
        self.inner.count(instrument, kind, what);
    }

    fn notice(&mut self, notice: Notice<'_>) {
        self.inner.notice(notice);
    }

    fn unreadable(&mut self, conn: ConnId, payload: &[u8], error: &Error) {
        self.inner.unreadable(conn, payload, error);
    }

    fn exec_report(&mut self) -> Option<LocalPooled<ExecReport>> {
        self.inner.exec_report()
    }

    fn heard(&mut self, heard: Heard) {
        self.saw_data = true;
        self.inner.heard(heard);
    }

    fn book(&mut self, instrument: InstrumentId) -> &mut Book {
        self.inner.book(instrument)
    }

    fn list(&mut self, instrument: &Instrument) -> Result<InstrumentId, Error> {
        self.inner.list(instrument)
    }
}
