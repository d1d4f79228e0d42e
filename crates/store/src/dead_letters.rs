//! Dead letters as they are kept: with names for numbers, as JSON lines in files that rotate.
//!
//! * [`DeadLetter`] is one of them, in memory, in a file and in the output of commands.
//! * [`Files`] writes them: a new file by size, the oldest file goes where there are too many.
//! * [`read`] gives the letters of a file, [`files_of`] the files of a folder.
//!
//! One line:
//!
//! ```json
//! {"t":1633998511159679000,"seq":17,"reason":"unreadable","priority":"normal","provider":"spot",
//!  "conn":3,"remedy":"Ignore","detail":"expected a comma at byte 7","payload":"{\"a\":1 2}","bytes":9}
//! ```
//!
//! `t` is in nanoseconds since the Unix epoch, `seq` counts up within one run of the gateway. A payload
//! that is no UTF-8 stands in `payload_b64` (base64, padded). `bytes` is how long it was as a whole and
//! `cut` that it was longer than is kept; `lost` says how many letters of the same reason were counted
//! and not kept since the one before this. What does not apply is left out.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use model::Nanos;
use serde::{Deserialize, Serialize};

use crate::stamp;

mod files;
mod reader;

pub use files::{Files, FilesOptions, files_of};
pub use reader::{LINE_BYTES_MAX, ReadError, read, read_from};

/// What could not be used or was not delivered, with what is known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// When it became a letter, in ns since the Unix epoch.
    pub t: u64,
    /// Its number in the run of the gateway that kept it, from 1.
    #[serde(default)]
    pub seq: u64,
    /// Why it is one.
    pub reason: Cow<'static, str>,
    /// What it is worth: `low`, `normal`, `high`.
    pub priority: Cow<'static, str>,
    /// The provider, or the merge, that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<Arc<str>>,
    /// The instrument that it is about, by its canonical name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instrument: Option<Arc<str>>,
    /// The kind of event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Cow<'static, str>>,
    /// Which connection brought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conn: Option<u32>,
    /// Whom it was for, or who wanted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer: Option<Arc<str>>,
    /// The occurrence, as in logs and in the headers of events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<u64>,
    /// What the fault asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<Cow<'static, str>>,
    /// What was wrong, in words.
    #[serde(default)]
    pub detail: String,
    /// The payload, or its start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// The same where it is no UTF-8, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_b64: Option<String>,
    /// How long the payload was as a whole.
    #[serde(default)]
    pub bytes: u64,
    /// Whether its end is missing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cut: bool,
    /// How many of the same reason were not kept since the last one that was.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_false(is: &bool) -> bool {
    !*is
}

impl DeadLetter {
    /// Puts a payload in, of which at most `max` bytes are kept; `bytes` is how long it was as a whole.
    pub fn set_payload(&mut self, payload: &[u8], bytes: usize, max: usize) {
        let kept = payload.get(..max).unwrap_or(payload);
        // A character that is cut in two goes, and makes no binary of the rest.
        let text = match std::str::from_utf8(kept) {
            Ok(text) => Some(text),
            Err(error) if error.error_len().is_none() && kept.len() < payload.len().max(bytes) => {
                kept.get(..error.valid_up_to()).and_then(|kept| std::str::from_utf8(kept).ok())
            }
            Err(_) => None,
        };
        (self.payload, self.payload_b64) = match text {
            Some(text) => (Some(text.to_owned()), None),
            None => (None, Some(BASE64.encode(kept))),
        };
        self.bytes = bytes as u64;
        self.cut = kept.len() < payload.len().max(bytes);
    }

    /// When it became a letter, in UTC: `2026-11-03T14:25:01.000Z`.
    #[must_use]
    pub fn time(&self) -> String {
        stamp::utc_ms(Nanos(self.t))
    }

    /// About how much memory it takes, in bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        size_of::<Self>() + self.detail.len() + text(&self.payload) + text(&self.payload_b64)
    }
}

#[cfg(test)]
mod tests;
