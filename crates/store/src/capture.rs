//! Raw captures: what went over a venue's wires, one JSON object a line, plain or compressed.
//!
//! * [`Reader`] gives the lines of a file one by one, whoever wrote it.
//! * [`Writer`] writes files that [`Reader`] and others read, and starts a new one by size or age.
//! * [`Recorder`] is a [`Writer`] on a thread of its own, fed by a bounded queue that never makes
//!   the sender wait; its [`RecorderTap`]s are what the wires are shown to.
//!
//! One line, as others write it:
//!
//! ```json
//! {"t":1633998511159679000,"venue":"binance","conn":"ws-1","kind":"ws","dir":"in",
//!  "url":"wss://stream.binance.com:9443/stream?streams=btcusdt@trade","data":"{\"stream\":…}"}
//! ```
//!
//! `t` is in nanoseconds since the Unix epoch, `kind` is `ws` or `http`, `dir` is `open`, `out`,
//! `in`, or `close` (ours: the connection ended, `data` says why). A payload that is no UTF-8 stands
//! in `data_b64` (base64, padded) instead of `data`. Answers may carry `status`, requests `method`;
//! `lost` (ours) says how many lines before this one the recorder had to drop.

mod error;
mod line;
mod reader;
mod recorder;
mod writer;

pub use error::CaptureError;
pub use line::LineRef;
pub use reader::{LINE_BYTES_MAX, Reader};
pub use recorder::{Recorder, RecorderOptions, RecorderReport, RecorderStatus, RecorderTap};
pub use writer::{FILES_NAMED_MAX, Naming, Writer, WriterOptions, WriterReport};
