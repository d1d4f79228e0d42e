//! The JSON codec of the hot path: a cursor that follows the shape a venue really sends, and an
//! order-independent fallback for everything else.
//!
//! The rule that makes the pair safe: the [`cursor::Cursor`] either gives the whole message or
//! declines, and it accepts only spellings that the fallback reads to the same values (no white
//! space, no escapes, the known fields in the known order, nothing after the end). A decline costs
//! a second pass; it is never an error. Errors come from the fallback alone.
//!
//! `serde_json` is used in this folder only, into borrowed structs; [`serde_json::Value`] nowhere.

pub mod cursor;
pub mod fallback;
pub mod timestamp;

pub use cursor::Cursor;

/// A text as JSON writes it, with its quotation marks.
#[must_use]
pub fn quoted(text: &str) -> String {
    // Writing a text can't fail.
    serde_json::to_string(text).unwrap_or_default()
}
