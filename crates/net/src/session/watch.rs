//! Notices the first message of a connection that really carries data: acknowledgements and
//! greetings decode to nothing, so what counts is that the venue filled an event.

use model::book::Book;
use model::event::{Kind, Reason, StreamState};
use model::trading::Heard;
use model::venue::{Count, Discard, Notice, Pipeline};
use model::{CanonicalEvent, ConnId, Error, Instrument, InstrumentId};
use pool::LocalPooled;

/// The pipeline, watched. Only in the way until a connection's first data.
pub(super) struct Watch<'a> {
    pub(super) inner: &'a mut dyn Pipeline,
    pub(super) saw_data: bool,
}

impl Pipeline for Watch<'_> {
    fn event(&mut self) -> Option<LocalPooled<CanonicalEvent>> {
        self.inner.event()
    }

    fn emit(&mut self, event: LocalPooled<CanonicalEvent>) {
        self.saw_data = true;
        self.inner.emit(event);
    }

    fn derive(&mut self, event: LocalPooled<CanonicalEvent>) {
        self.inner.derive(event);
    }

    fn discard(&mut self, event: LocalPooled<CanonicalEvent>, why: Discard) {
        // While two connections overlap, the new one's data are mostly duplicates: data all the same.
        self.saw_data = true;
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
