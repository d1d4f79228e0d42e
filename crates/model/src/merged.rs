//! A merge window that closed with all its providers: the pooled form, from the window's close to
//! the fan-out.

use pool::{Reset, reset_vec};

use crate::event::{Body, Event, Header, Kind, Merged};
use crate::ids::ProviderId;
use crate::time::Nanos;

/// A returned event keeps room for so many providers.
pub const FRAGMENTS_KEPT: usize = 64;

/// The newest event that one provider sent into a window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fragment {
    /// Who sent it.
    pub provider: ProviderId,
    /// Its header.
    pub header: Header,
    /// What it says.
    pub body: Body,
    /// How many the provider sent into the window, this one included.
    pub count: u32,
}

/// A merged event.
#[derive(Debug, Default, PartialEq)]
pub struct MergedEvent {
    /// What it belongs to; the merge's own counter is its position.
    pub header: Header,
    /// The kind that was merged.
    pub of: Kind,
    /// Which window it is.
    pub merge_id: u64,
    /// When the window opened.
    pub ts_open: Nanos,
    /// When it closed.
    pub ts_close: Nanos,
    /// One per expected provider, in the order of the merge's configuration.
    pub fragments: Vec<Fragment>,
}

impl MergedEvent {
    /// The copy that consumers get. Its fragments are one allocation, however many consumers share
    /// it.
    #[must_use]
    pub fn to_event(&self) -> Event {
        let Self { header, of, merge_id, ts_open, ts_close, fragments } = self;
        let (of, merge_id, ts_open, ts_close) = (*of, *merge_id, *ts_open, *ts_close);
        let fragments = fragments.as_slice().into();
        let body = Body::Merged(Merged { of, merge_id, ts_open, ts_close, fragments });
        Event { header: *header, body, levels: None }
    }
}

impl Reset for MergedEvent {
    fn reset(&mut self) {
        let Self { header, of, merge_id, ts_open, ts_close, fragments } = self;
        *header = Header::default();
        *of = Kind::default();
        *merge_id = 0;
        *ts_open = Nanos::default();
        *ts_close = Nanos::default();
        reset_vec(fragments, FRAGMENTS_KEPT);
    }
}
