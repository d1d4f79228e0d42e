//! A merge window that closed with all its providers: the pooled form, from the window's close to
//! the fan-out.

use pool::{Reset, reset_vec};

use crate::event::{Body, Header};
use crate::ids::ProviderId;
use crate::time::Nanos;

/// A returned event keeps room for so many providers.
pub const FRAGMENTS_KEPT: usize = 64;

/// The newest event that one provider sent into a window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fragment {
    /// Who sent it.
    pub provider: ProviderId,
    /// Its header.
    pub header: Header,
    /// What it says.
    pub body: Body,
    /// How many the provider sent while the window was open.
    pub count: u32,
}

/// A merged event.
#[derive(Debug, Default, PartialEq)]
pub struct MergedEvent {
    /// What it belongs to; the merge's own counter is its sequence.
    pub header: Header,
    /// Which window it is.
    pub merge_id: u64,
    /// When the window opened.
    pub ts_open: Nanos,
    /// When it closed.
    pub ts_close: Nanos,
    /// One per expected provider, in the order of the merge's configuration.
    pub fragments: Vec<Fragment>,
}

impl Reset for MergedEvent {
    fn reset(&mut self) {
        let Self { header, merge_id, ts_open, ts_close, fragments } = self;
        *header = Header::default();
        *merge_id = 0;
        *ts_open = Nanos::default();
        *ts_close = Nanos::default();
        reset_vec(fragments, FRAGMENTS_KEPT);
    }
}
