//! The pooled records of raw traffic.

use pool::{Reset, reset_string, reset_vec};

use crate::error::Remedy;
use crate::ids::{ConnId, ProviderId};
use crate::time::Nanos;

/// A returned payload keeps this many bytes of room; most messages are below 4 KiB.
pub const PAYLOAD_KEPT: usize = 16 * 1_024;

/// A message between the socket read and the end of the turn: the stamp, the connection and the
/// payload, copied out of the connection's buffer so that the next read has it to itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct WsFrame {
    /// When the read that completed it returned.
    pub ts_recv: Nanos,
    /// Which connection brought it.
    pub conn: ConnId,
    /// The payload.
    pub payload: Vec<u8>,
}

impl Reset for WsFrame {
    fn reset(&mut self) {
        let Self { ts_recv, conn, payload } = self;
        *ts_recv = Nanos::default();
        *conn = ConnId::default();
        reset_vec(payload, PAYLOAD_KEPT);
    }
}

/// A payload that must outlive its frame, copied, on its way to another thread: it could not be
/// read, and someone will want to see it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ProviderRaw {
    /// When it arrived.
    pub ts_recv: Nanos,
    /// Whose it is.
    pub provider: ProviderId,
    /// Which connection brought it.
    pub conn: ConnId,
    /// The payload, or its start.
    pub payload: Vec<u8>,
    /// How long it was as a whole.
    pub bytes: usize,
    /// How far the damage reaches.
    pub remedy: Option<Remedy>,
    /// What was wrong with it.
    pub error: String,
}

impl Reset for ProviderRaw {
    fn reset(&mut self) {
        let Self { ts_recv, provider, conn, payload, bytes, remedy, error } = self;
        *bytes = 0;
        *remedy = None;
        reset_string(error, PAYLOAD_KEPT);
        *ts_recv = Nanos::default();
        *provider = ProviderId::default();
        *conn = ConnId::default();
        reset_vec(payload, PAYLOAD_KEPT);
    }
}
